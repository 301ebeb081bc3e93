/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The runs of a session: which there are, which of them is looked at, and their
 * steps between jobs. A step is never begun inside another one, and what is
 * asked for while one is made is served in the middle of it, like in a job.
 * What a picture shows of runs is in train_snap.c, numbers of one quantizer in
 * train_look.c.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "engine/state.h"

#define SLICE 0.010
#define TRAIN_FRAME 0.066      /* seconds between pictures of a run that moves: the screen takes time from it */
#define LOOK 0.12              /* between looks at its quantizer */

/* ---- which there are ---------------------------------------------------------------- */
struct run_slot *train_slot(const qs_session *s, const qs_run *r)
{
    const struct training *t = &s->train;
    for (size_t i = 0; i < t->n; i++)
        if (t->slot[i].r == r) return (struct run_slot *)&t->slot[i];
    return NULL;
}

size_t qs_session_runs(const qs_session *s) { return s->train.n; }
qs_run *qs_session_run(const qs_session *s, size_t i) { return i < s->train.n ? s->train.slot[i].r : NULL; }

size_t qs_session_run_number(const qs_session *s, const qs_run *r)
{
    const struct run_slot *k = train_slot(s, r);
    return k ? (size_t)(k - s->train.slot) + 1 : 0;
}

static int free_color(const struct training *t)
{
    for (int c = 0; c < QS_SNAP_COLORS; c++) {
        bool used = false;
        for (size_t i = 0; i < t->n; i++) used = used || t->slot[i].color == c;
        if (!used) return c;
    }
    return (int)(t->n % QS_SNAP_COLORS);
}

void qs_session_run_drop(qs_session *s, qs_run *r)
{
    struct training *t = &s->train;
    struct run_slot *k = train_slot(s, r);
    if (!k) return;
    size_t i = (size_t)(k - t->slot);
    memmove(k, k + 1, (--t->n - i) * sizeof *k);
    if (t->at.r == r) train_look_at(s, &(struct train_at){.r = t->n ? t->slot[t->n - 1].r : NULL, .seek = -1});
    t->changed = s->news = true;
    qs_run_unref(r);
}

/* The oldest that neither trains nor is looked at; -1: none. */
static long dispensable(const struct training *t)
{
    for (size_t i = 0; i < t->n; i++)
        if (!t->slot[i].going && t->slot[i].r != t->at.r) return (long)i;
    return -1;
}

int qs_session_run_add(qs_session *s, qs_run *r, qs_err *err)
{
    struct training *t = &s->train;
    if (train_slot(s, r)) return 0;
    if (t->n == QS_RUNS_MAX) {
        long i = dispensable(t);
        if (i < 0) return qs_fail(err, QS_ESTATE, _("%d runs are being trained; pause or stop one"), QS_RUNS_MAX);
        qs_session_run_drop(s, t->slot[i].r);
    }
    t->slot[t->n] = (struct run_slot){.r = qs_run_ref(r), .color = free_color(t), .mark_t = r->t, .mark_s = r->seconds,
                                      .speed = NAN};
    t->n++;
    struct train_at at = {.r = r, .seek = -1};
    memcpy(at.site, t->at.site, sizeof at.site);
    train_look_at(s, &at);
    t->changed = true;
    return 0;
}

void train_clear(qs_session *s)
{
    struct training *t = &s->train;
    for (size_t i = 0; i < t->n; i++) qs_run_unref(t->slot[i].r);
    look_free(&t->look.s);
    qs_snap_train_unref(t->made);
    *t = (struct training){0};
}

/* ---- going, and not ------------------------------------------------------------------------- */
bool qs_session_run_going(const qs_session *s, const qs_run *r)
{
    const struct run_slot *k = train_slot(s, r);
    return k && k->going;
}

bool train_going(const qs_session *s)
{
    for (size_t i = 0; i < s->train.n; i++)
        if (s->train.slot[i].going) return true;
    return false;
}

static void set_going(qs_session *s, struct run_slot *k, bool going)
{
    k->going = going;
    s->train.changed = s->news = true;
}

static int must_live(const qs_run *r, qs_err *err)
{
    if (r->state == QS_RUN_READY) return 0;
    return qs_fail(err, QS_ESTATE, _("the run is over: %s"), *r->reason ? r->reason : _("all of its steps are made"));
}

int qs_session_run_start(qs_session *s, qs_run *r, qs_err *err)
{
    int rc = must_live(r, err);
    if (!rc) rc = qs_session_run_add(s, r, err);
    if (rc) return rc;
    set_going(s, train_slot(s, r), true);
    if (s->jobs) s->train.id = qs_jobs_own_id(s->jobs);   /* a Ctrl-C from now on is meant for it */
    return 0;
}

void qs_session_run_pause(qs_session *s, qs_run *r)
{
    struct run_slot *k = train_slot(s, r);
    if (k) set_going(s, k, false);
}

int qs_session_run_stop(qs_session *s, qs_run *r, qs_err *err)
{
    int rc = must_live(r, err);
    if (rc) return rc;
    qs_session_run_pause(s, r);
    qs_run_stop(r, _("stopped by hand"));
    s->news = true;
    return 0;
}

/* ---- steps ------------------------------------------------------------------------------------- */
static int step_poll(void *ctx, const char *what, double done)
{
    (void)what;
    (void)done;
    serve_nested(ctx);
    return 0;
}

static void say_end(qs_session *s, const qs_run *r)
{
    char text[400];
    size_t i = qs_session_run_number(s, r);
    const char *why = *r->reason ? r->reason : _("stopped");
    if (r->state == QS_RUN_DIVERGED) snprintf(text, sizeof text, _("run %zu diverged at step %llu: %s"), i, (unsigned long long)r->t, why);
    else if (r->state == QS_RUN_STOPPED) snprintf(text, sizeof text, _("run %zu ended at step %llu: %s"), i, (unsigned long long)r->t, why);
    else if (isnan(r->last.accuracy)) snprintf(text, sizeof text, _("run %zu is done"), i);
    else snprintf(text, sizeof text, _("run %zu is done: accuracy %.1f %%"), i, 100 * r->last.accuracy);
    qs_session_log(s, r->state == QS_RUN_DIVERGED ? '!' : ' ', text);
}

static void pause_all(qs_session *s)
{
    for (size_t i = 0; i < s->train.n; i++)
        if (s->train.slot[i].going) set_going(s, &s->train.slot[i], false);
    qs_session_status(s, _("training is paused; p in its view, or run:start(), goes on"));
}

/* false: no more of it now. */
static bool step(qs_session *s, struct run_slot *k, const qs_ctl *ctl)
{
    qs_err err = {0};
    int rc = qs_cancelled(ctl) ? -QS_ECANCEL : qs_run_step(k->r, ctl, &err);
    if (rc == 1) return true;
    if (rc == -QS_ECANCEL) {
        if (qs_cancelled(ctl)) pause_all(s);
        return false;
    }
    set_going(s, k, false);
    if (rc == 0) say_end(s, k->r);
    else qs_session_log(s, '!', err.msg);
    return false;
}

static struct run_slot *next_in_turn(struct training *t)
{
    for (size_t i = 0; i < t->n; i++) {
        struct run_slot *k = &t->slot[++t->turn % t->n];
        if (k->going) return k;
    }
    return NULL;
}

static bool something_waits(const qs_session *s)
{
    return (s->jobs && qs_jobs_waiting(s->jobs)) || (s->board && qs_board_pick_waits(s->board));
}

void train_slice(qs_session *s)
{
    struct training *t = &s->train;
    qs_ctl ctl = {.poll = step_poll, .ctx = s};
    if (s->jobs) {
        ctl.cancel_upto = qs_jobs_cancel_word(s->jobs);
        ctl.job = t->id;
    }
    double until = qs_now() + SLICE;
    do {
        struct run_slot *k = next_in_turn(t);
        if (!k || !step(s, k, &ctl)) break;
    } while (qs_now() < until && !something_waits(s));
}

/* ---- what is looked at --------------------------------------------------------------------------- */
size_t train_site(const struct train_at *at)
{
    size_t n = at->r ? at->r->nsite : 0;
    for (size_t i = 0; i < n; i++)
        if (!strcmp(at->r->site[i].name, at->site)) return i;
    return n;
}

size_t train_record(const struct train_at *at)
{
    const qs_history *h = &at->r->h;
    if (at->seek < 0 || !h->nrec) return h->nrec;
    size_t k = 0;
    while (k + 1 < h->nrec && (double)h->rec_t[k + 1] <= at->seek) k++;
    return k;
}

/* The first weights with the fewest levels: what the run is about. */
static size_t first_site(const qs_run *r)
{
    size_t best = 0;
    for (size_t i = 1; i < r->nsite; i++) {
        const qs_site *a = &r->site[i], *b = &r->site[best];
        if (a->act != b->act ? b->act : a->f->n < b->f->n) best = i;
    }
    return best;
}

static void find_site(struct train_at *at)
{
    if (!at->r || !at->r->nsite) at->site[0] = '\0';
    else if (train_site(at) == at->r->nsite) memcpy(at->site, at->r->site[first_site(at->r)].name, sizeof at->site);
}

void train_look_at(qs_session *s, const struct train_at *want)
{
    struct training *t = &s->train;
    struct train_at at = *want;
    find_site(&at);
    bool same = at.r == t->at.r && !strcmp(at.site, t->at.site) && !(at.seek < t->at.seek) && !(at.seek > t->at.seek);
    if (same) return;
    t->at = at;
    t->look.stale = t->changed = s->news = true;
}

int train_pick(const qs_session *s, const qs_pick *p, struct train_at *at, qs_err *err)
{
    const struct training *t = &s->train;
    if (p->set & QS_PICK_RUN) {
        if (p->run < 1 || (size_t)p->run > t->n)
            return qs_fail(err, QS_EARG, t->n ? _("run: there is no run %ld among %zu") : _("run: there is no run %ld yet"),
                           p->run, t->n);
        qs_run *r = t->slot[p->run - 1].r;
        if (r != at->r) at->seek = -1;
        at->r = r;
        find_site(at);
    }
    if (p->set & (QS_PICK_SITE | QS_PICK_SEEK) && !at->r)
        return qs_fail(err, QS_ESTATE, _("%s: there is no run"), p->set & QS_PICK_SITE ? "site" : "seek");
    if (p->set & QS_PICK_SITE) {
        snprintf(at->site, sizeof at->site, "%s", p->site);
        if (train_site(at) == at->r->nsite)
            return qs_fail(err, QS_EARG, _("site: %s quantizes no \"%s\""), at->r->name, p->site);
    }
    if (p->set & QS_PICK_SEEK) {
        if (isnan(p->seek)) return qs_fail(err, QS_EARG, _("seek: a number of steps, or -1 for the newest"));
        at->seek = p->seek < 0 ? -1 : p->seek;
        size_t k = train_record(at);
        at->seek = k < at->r->h.nrec ? (double)at->r->h.rec_t[k] : -1;
    }
    return 0;
}

/* ---- following ----------------------------------------------------------------------------------------- */
static bool has_moved(const struct run_slot *k)
{
    return k->r->t != k->shown_t || k->r->h.neval != k->shown_evals || k->r->state != k->shown_state;
}

void train_follow(qs_session *s, bool now)
{
    struct training *t = &s->train;
    double time = qs_now();
    bool moved = false;
    for (size_t i = 0; i < t->n; i++) {
        if (!has_moved(&t->slot[i])) continue;
        moved = true;
        if (t->slot[i].r == t->at.r && t->at.seek < 0) t->look.stale = true;
    }
    if (moved && (now || time - t->made_at >= TRAIN_FRAME)) t->changed = s->news = true;
    bool shown = t->at.r && !strcmp(s->sel.view, "train");
    if (shown && t->look.stale && (now || time - t->look.made_at >= LOOK)) {
        look_make(s);
        t->changed = s->news = true;
    }
}
