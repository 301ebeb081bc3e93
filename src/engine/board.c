/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What passes between the two threads as data: the newest snapshot one way,
 * picks and the sizes of panes the other, words for completion. Knows no session.
 *
 * One leaf mutex, held for copying only; wake and poke are called without it.
 */
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "engine/snapshot.h"

struct qs_board {
    void (*wake)(void *);
    void (*poke)(void *);
    void *ctx;
    pthread_mutex_t mu;
    qs_snapshot *cur;
    qs_viewport view;
    qs_pick *pick;             /* (npick), oldest first */
    size_t npick, pick_cap;
    uint64_t tickets;          /* given so far */
    char **word;               /* (nword) sorted */
    size_t nword;
    atomic_bool wanted;
    _Atomic uint64_t view_seq;
    atomic_uint waits;         /* the fields of all picks that wait; 0: none */
};

qs_board *qs_board_new(void (*wake)(void *), void (*poke)(void *), void *ctx)
{
    qs_board *b = qs_xcalloc(1, sizeof *b);
    b->wake = wake;
    b->poke = poke;
    b->ctx = ctx;
    b->view = (qs_viewport){.hist_bins = 128, .hist_lo = NAN, .hist_hi = NAN, .curve_points = 256};
    pthread_mutex_init(&b->mu, NULL);
    atomic_store(&b->wanted, true);
    return b;
}

static void free_words(char **word, size_t n)
{
    for (size_t i = 0; i < n; i++) free(word[i]);
    free(word);
}

void qs_board_free(qs_board *b)
{
    if (!b) return;
    qs_snapshot_unref(b->cur);
    free_words(b->word, b->nword);
    free(b->pick);
    pthread_mutex_destroy(&b->mu);
    free(b);
}

/* ---- the snapshot ------------------------------------------------------------------ */
void qs_board_publish(qs_board *b, qs_snapshot *s)
{
    pthread_mutex_lock(&b->mu);
    qs_snapshot *old = b->cur;
    b->cur = s;
    atomic_store(&b->wanted, false);
    pthread_mutex_unlock(&b->mu);
    qs_snapshot_unref(old);
    if (b->wake) b->wake(b->ctx);
}

qs_snapshot *qs_board_get(qs_board *b)
{
    pthread_mutex_lock(&b->mu);
    qs_snapshot *s = qs_snapshot_ref(b->cur);
    pthread_mutex_unlock(&b->mu);
    return s;
}

void qs_board_want(qs_board *b) { atomic_store(&b->wanted, true); }
bool qs_board_wanted(const qs_board *b) { return b && atomic_load(&b->wanted); }

/* ---- the viewport --------------------------------------------------------------------- */
static bool same_number(double a, double b) { return a == b || (isnan(a) && isnan(b)); }

static bool same_view(const qs_viewport *a, const qs_viewport *b)
{
    return a->hist_bins == b->hist_bins && same_number(a->hist_lo, b->hist_lo) && same_number(a->hist_hi, b->hist_hi) &&
           a->hist_log_x == b->hist_log_x && a->curve_points == b->curve_points &&
           same_number(a->curve_lo, b->curve_lo) && same_number(a->curve_hi, b->curve_hi);
}

void qs_board_set_viewport(qs_board *b, const qs_viewport *v)
{
    pthread_mutex_lock(&b->mu);
    bool changed = !same_view(&b->view, v);
    b->view = *v;
    if (changed) atomic_fetch_add(&b->view_seq, 1);
    pthread_mutex_unlock(&b->mu);
    if (changed && b->poke) b->poke(b->ctx);
}

void qs_board_viewport(const qs_board *b, qs_viewport *v)
{
    pthread_mutex_t *mu = (pthread_mutex_t *)&b->mu;
    pthread_mutex_lock(mu);
    *v = b->view;
    pthread_mutex_unlock(mu);
}

uint64_t qs_board_viewport_seq(const qs_board *b) { return atomic_load(&b->view_seq); }

/* ---- picks ------------------------------------------------------------------------------- */
/* Undo twice is two undos, but two steps are the second step. */
static bool merges(const qs_pick *last, const qs_pick *p)
{
    return last->set == p->set && !(p->set & (QS_PICK_UNDO | QS_PICK_PIN | QS_PICK_EXPORT));
}

uint64_t qs_board_pick(qs_board *b, const qs_pick *p)
{
    if (!p->set) return 0;
    pthread_mutex_lock(&b->mu);
    if (!b->npick || !merges(&b->pick[b->npick - 1], p)) {
        if (b->npick == b->pick_cap) {
            b->pick_cap = b->pick_cap ? 2 * b->pick_cap : 8;
            b->pick = qs_xrealloc(b->pick, b->pick_cap * sizeof *b->pick);
        }
        b->npick++;
    }
    b->pick[b->npick - 1] = *p;
    uint64_t ticket = b->pick[b->npick - 1].ticket = ++b->tickets;
    atomic_fetch_or(&b->waits, p->set);
    pthread_mutex_unlock(&b->mu);
    if (b->poke) b->poke(b->ctx);
    return ticket;
}

bool qs_board_take_pick(qs_board *b, qs_pick *out)
{
    pthread_mutex_lock(&b->mu);
    bool some = b->npick > 0;
    if (some) {
        *out = b->pick[0];
        memmove(b->pick, b->pick + 1, --b->npick * sizeof *b->pick);
    }
    unsigned waits = 0;
    for (size_t i = 0; i < b->npick; i++) waits |= b->pick[i].set;
    atomic_store(&b->waits, waits);
    pthread_mutex_unlock(&b->mu);
    return some;
}

bool qs_board_pick_waits(const qs_board *b) { return atomic_load(&b->waits) != 0; }
unsigned qs_board_pick_fields(const qs_board *b) { return atomic_load(&b->waits); }

/* ---- words ---------------------------------------------------------------------------------- */
static int by_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

void qs_board_set_words(qs_board *b, char **words, size_t n)
{
    if (n) qsort(words, n, sizeof *words, by_text);
    pthread_mutex_lock(&b->mu);
    char **old = b->word;
    size_t nold = b->nword;
    b->word = words;
    b->nword = n;
    pthread_mutex_unlock(&b->mu);
    free_words(old, nold);
}

size_t qs_board_words(qs_board *b, const char *prefix, char **out, size_t max)
{
    size_t len = strlen(prefix), k = 0;
    pthread_mutex_lock(&b->mu);
    size_t lo = 0, hi = b->nword;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (strcmp(b->word[mid], prefix) < 0) lo = mid + 1;
        else hi = mid;
    }
    for (; k < max && lo < b->nword && !strncmp(b->word[lo], prefix, len); lo++) out[k++] = qs_xstrdup(b->word[lo]);
    pthread_mutex_unlock(&b->mu);
    return k;
}
