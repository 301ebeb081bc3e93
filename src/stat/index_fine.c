/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A second look at the values of a bucket index: those in the buckets that matter are gathered and sorted, so that sums
 * below any value there are exact. Knows buckets and where values are; how an index answers from both is in index.c.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "stat/index_build.h"
#include "stat/sort.h"

enum { PIECE = 65536 };

static _Atomic size_t fine_most = QS_FINE_MOST;

size_t qs_index_fine_most(void) { return fine_most; }
void qs_index_fine_limit(size_t n) { fine_most = n ? n : QS_FINE_MOST; }

bool qs_index_refinable(const qs_index *ix) { return ix->kind == QS_INDEX_BUCKETS && ix->src && !ix->weighted; }
const qs_index *qs_index_fine(const qs_index *ix) { return ix->fine; }

/* ---- which buckets -------------------------------------------------------------------------------------- */
static size_t count_of(const qs_index *ix, size_t e) { return ix->cum[e + 1] - ix->cum[e]; }

/* Marks the buckets that reach into the intervals; returns how many values of them would have to be gathered. */
static size_t mark(const qs_index *ix, const qs_interval *at, size_t k, bool *want)
{
    size_t n = 0;
    for (size_t i = 0; i < k; i++) {
        if (!(at[i].lo <= at[i].hi)) continue;
        uint32_t last = qs_key(at[i].hi) >> QS_BUCKET_SHIFT;
        for (size_t e = qs_index_entry_from(ix, qs_key(at[i].lo) >> QS_BUCKET_SHIFT); e < ix->m && ix->id[e] <= last; e++) {
            if (want[e]) continue;
            want[e] = true;
            if (!ix->single[e]) n += count_of(ix, e);
        }
    }
    return n;
}

size_t qs_index_refine_count(const qs_index *ix, const qs_interval *at, size_t k)
{
    bool *want = qs_xcalloc(ix->m + 1, sizeof *want);
    size_t n = mark(ix, at, k, want);
    free(want);
    return n;
}

/* ---- gathering -------------------------------------------------------------------------------------------- */
struct gather {
    const qs_index *ix;
    const float *x;              /* in place, or NULL: read */
    uint32_t *bit;               /* (QS_BUCKETS / 32) buckets that are wanted */
    float *out;
    size_t room, from, step;
    _Atomic size_t at;
};

static void gather_lane(void *arg, size_t l)
{
    struct gather *g = arg;
    size_t i = g->from + l * g->step, to = i + g->step < g->ix->n + g->ix->skipped ? i + g->step : g->ix->n + g->ix->skipped;
    float *buf = qs_xmalloc((PIECE + 8) * sizeof *buf), *own = g->x ? NULL : qs_xmalloc(PIECE * sizeof *own);
    for (; i < to; i += PIECE) {
        size_t n = to - i < PIECE ? to - i : PIECE, m = 0;
        if (own) qs_tensor_read(g->ix->src, g->ix->start + i, n, own);
        const float *x = own ? own : g->x + i;
        for (size_t j = 0; j < n; j++) {
            uint32_t id = qs_key(x[j]) >> QS_BUCKET_SHIFT;
            buf[m] = x[j];
            m += g->bit[id >> 5] >> (id & 31) & 1;
        }
        size_t place = atomic_fetch_add(&g->at, m);
        if (m <= g->room && place <= g->room - m) memcpy(g->out + place, buf, m * sizeof *buf);
    }
    free(buf);
    free(own);
}

/* The n values of the wanted buckets of more than one value, in any order. */
static int gather(const qs_index *ix, const bool *want, float *out, size_t n, const qs_ctl *ctl, qs_err *err)
{
    const float *x = qs_tensor_floats(ix->src);
    size_t all = ix->n + ix->skipped;
    struct gather g = {.ix = ix, .x = x ? x + ix->start : NULL, .bit = qs_xcalloc(QS_BUCKETS / 32, sizeof *g.bit), .out = out,
                       .room = n, .step = QS_SLAB / 4};
    int rc = 0;
    for (size_t e = 0; e < ix->m; e++)
        if (want[e] && !ix->single[e]) g.bit[ix->id[e] >> 5] |= 1u << (ix->id[e] & 31);
    for (g.from = 0; n && g.from < all && !rc; g.from += QS_LANES * g.step) {
        rc = qs_ctl_check(ctl, _("counting"), (double)g.from / (double)all, err);
        if (!rc) qs_parallel(QS_LANES, gather_lane, &g);
    }
    free(g.bit);
    if (!rc) rc = qs_tensor_check(ix->src, err);
    if (!rc && g.at != n && n) rc = qs_fail(err, QS_ESTATE, _("%s changed while it was read"), ix->src->name);
    return rc;
}

/* ---- the sorted part -------------------------------------------------------------------------------------- */
/* Sorted values x (n) and the buckets of a single value, which weigh as many as they are. */
static qs_index *with_singles(const qs_index *ix, const bool *want, const float *x, size_t n, size_t singles, qs_err *err)
{
    qs_index *f = qs_index_allocate(QS_INDEX_COUNTED, n + singles, QS_HAS_WEIGHTS | QS_HAS_CUM, err);
    size_t i = 0, m = 0;
    if (!f) return NULL;
    f->n = 0;
    for (size_t e = 0; e <= ix->m; e++) {
        bool single = e < ix->m && want[e] && ix->single[e];
        if (e < ix->m && !single) continue;
        for (; i < n && (e == ix->m || x[i] < ix->value[e]); i++, m++) {
            f->value[m] = x[i];
            f->w[m] = 1;
            f->cum[m] = f->n++;
        }
        if (!single) break;
        f->value[m] = ix->value[e];
        f->w[m] = (double)count_of(ix, e);
        f->cum[m++] = f->n;
        f->n += count_of(ix, e);
    }
    f->cum[m] = f->n;
    qs_index_finish(f);
    return f;
}

/* Everything wanted, sorted. NULL with err set. */
static qs_index *make_fine(const qs_index *ix, const bool *want, size_t n, const qs_ctl *ctl, qs_err *err)
{
    size_t singles = 0, kept = 0;
    for (size_t e = 0; e < ix->m; e++) singles += want[e] && ix->single[e];
    float *x = qs_big_alloc((n + 1) * sizeof *x);
    qs_index *f = x ? qs_index_allocate(QS_INDEX_SORTED, n + 1, 0, err) : NULL;
    if (!x) qs_fail(err, QS_ENOMEM, _("no memory for %zu values"), n);
    if (f && (gather(ix, want, x, n, ctl, err) || (n && qs_sort_floats(x, n, f->value, &kept, ctl, err)))) {
        qs_index_unref(f);
        f = NULL;
    }
    qs_big_free(x);
    if (!f) return NULL;
    f->m = f->n = kept;
    if (!kept && !singles) {        /* the intervals lie in gaps */
        f->run[0] = (qs_sums){0, 0, 0};
        f->block[0] = f->block[1] = 0;
        return f;
    }
    if (!singles) {
        qs_index_finish(f);
        return f;
    }
    qs_index *both = with_singles(ix, want, f->value, kept, singles, err);
    qs_index_unref(f);
    return both;
}

/* ---- the refined index -------------------------------------------------------------------------------------- */
static void copy_buckets(qs_index *r, const qs_index *ix)
{
    memcpy(r->value, ix->value, ix->m * sizeof *ix->value);
    memcpy(r->w, ix->w, ix->m * sizeof *ix->w);
    memcpy(r->cum, ix->cum, (ix->m + 1) * sizeof *ix->cum);
    memcpy(r->id, ix->id, ix->m * sizeof *ix->id);
    memcpy(r->edge, ix->edge, (ix->m + 1) * sizeof *ix->edge);
    memcpy(r->single, ix->single, ix->m * sizeof *ix->single);
    r->n = ix->n, r->skipped = ix->skipped, r->distinct = ix->distinct;
    r->min = ix->min, r->max = ix->max, r->total = ix->total;
    r->zero_n = ix->zero_n, r->zero_w = ix->zero_w;
    r->all_single = ix->all_single;
}

static qs_index *refined(const qs_index *ix, const bool *want, qs_index *fine, qs_err *err)
{
    qs_index *r = qs_index_allocate(QS_INDEX_BUCKETS, ix->m, QS_HAS_WEIGHTS | QS_HAS_CUM, err);
    if (!r) return NULL;
    copy_buckets(r, ix);
    r->fine_at = qs_xmalloc(ix->m * sizeof *r->fine_at);
    r->fine = qs_index_ref(fine);
    r->bytes += qs_index_bytes(fine) + ix->m * sizeof *r->fine_at;
    for (size_t e = 0; e < ix->m; e++)
        r->fine_at[e] = want[e] ? qs_index_rank(fine, qs_key_float(ix->id[e] << QS_BUCKET_SHIFT)) : QS_COARSE;
    return r;
}

/* The one that was made last is kept as long as the index it is of: what comes next mostly asks there again. */
static struct {
    pthread_mutex_t mu;
    const qs_index *of;
    qs_index *ix;
} last = {.mu = PTHREAD_MUTEX_INITIALIZER};

static qs_index *take_last(const qs_index *of, const bool *want)
{
    qs_index *ix = NULL;
    pthread_mutex_lock(&last.mu);
    if (last.of == of && last.ix) ix = qs_index_ref(last.ix);
    pthread_mutex_unlock(&last.mu);
    bool covers = ix;
    for (size_t e = 0; covers && e < of->m; e++) covers = !want[e] || ix->fine_at[e] != QS_COARSE;
    if (covers) return ix;
    qs_index_unref(ix);
    return NULL;
}

static void keep_last(const qs_index *of, qs_index *ix)
{
    pthread_mutex_lock(&last.mu);
    qs_index *old = last.ix;
    last.of = of;
    last.ix = ix ? qs_index_ref(ix) : NULL;
    pthread_mutex_unlock(&last.mu);
    qs_index_unref(old);
}

void qs_index_forget_fine(const qs_index *of)
{
    pthread_mutex_lock(&last.mu);
    bool mine = last.of == of;
    pthread_mutex_unlock(&last.mu);
    if (mine) keep_last(NULL, NULL);
}

qs_index *qs_index_refine(const qs_index *ix, const qs_interval *at, size_t k, const qs_ctl *ctl, qs_err *err)
{
    if (!qs_index_refinable(ix)) {
        qs_fail(err, QS_EUNSUP, _("these values cannot be looked at again"));
        return NULL;
    }
    bool *want = qs_xcalloc(ix->m + 1, sizeof *want);
    size_t n = mark(ix, at, k, want);
    qs_index *r = take_last(ix, want);
    if (!r && n > fine_most) qs_fail(err, QS_ERANGE, _("%zu values to look at again; at most %zu"), n, (size_t)fine_most);
    else if (!r) {
        keep_last(NULL, NULL);      /* its memory first */
        qs_index *fine = make_fine(ix, want, n, ctl, err);
        if (fine) r = refined(ix, want, fine, err);
        qs_index_unref(fine);
        if (r) keep_last(ix, r);
    }
    free(want);
    return r;
}

void qs_index_bracket(const qs_index *ix, float v, qs_sums *below, qs_sums *in)
{
    *in = (qs_sums){0, 0, 0};
    size_t e = v > ix->min && v <= ix->max ? qs_index_entry_from(ix, qs_key(v) >> QS_BUCKET_SHIFT) : ix->m;
    uint32_t id = qs_key(v) >> QS_BUCKET_SHIFT;
    bool inside = e < ix->m && ix->id[e] == id && qs_key(v) != id << QS_BUCKET_SHIFT;
    bool known = !inside || ix->single[e] || (ix->fine_at && ix->fine_at[e] != QS_COARSE);
    if (known) {
        *below = qs_index_below(ix, v);
        return;
    }
    const qs_sums *s = &ix->edge[e];
    *below = s[0];
    *in = (qs_sums){s[1].w - s[0].w, s[1].wx - s[0].wx, s[1].wxx - s[0].wxx};
}
