/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The runs as a part of a snapshot: their curves thinned out to what a screen can show, made anew when something moved. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "engine/state.h"

#define SPEED 0.3              /* seconds of training between two looks at its speed */

static double *doubles(size_t n) { return qs_xmalloc((n ? n : 1) * sizeof(double)); }

static double *copy(const double *v, size_t n)
{
    return v && n ? memcpy(doubles(n), v, n * sizeof *v) : NULL;
}

/* ---- one run -------------------------------------------------------------------------- */
/* The loss in at most QS_SNAP_LOSS spans of steps: the least and greatest of each, and a mean over about a fortieth. */
void snap_loss(const qs_history *h, qs_snap_run *o)
{
    size_t n = h->nloss, per = n / QS_SNAP_LOSS + 1, k = 0;
    double window = fmin(fmax((double)h->cap / 40, 1), 50), keep = 1 - 1 / window, sum = 0, weight = 0;
    o->loss = NAN;
    if (!n) return;
    o->loss_t = doubles(n / per + 1);
    o->low = doubles(n / per + 1);
    o->high = doubles(n / per + 1);
    o->mean = doubles(n / per + 1);
    for (size_t i = 0; i < n; k++) {
        double lo = INFINITY, hi = -INFINITY;
        for (size_t end = i + per < n ? i + per : n; i < end; i++) {
            double v = h->loss[i];
            lo = fmin(lo, v);
            hi = fmax(hi, v);
            sum = isfinite(v) ? keep * sum + v : sum;
            weight = isfinite(v) ? keep * weight + 1 : weight;
        }
        o->loss_t[k] = (double)i;
        o->low[k] = lo;
        o->high[k] = hi;
        o->mean[k] = weight > 0 ? sum / weight : NAN;
    }
    o->nloss = k;
    o->loss = o->mean[k - 1];
}

void snap_evals(const qs_run *r, qs_snap_run *o)
{
    const qs_history *h = &r->h;
    size_t first = !isnan(r->before.accuracy) && !(h->neval && h->eval[0].t == 0);
    o->eval_t = doubles(h->neval + 1);
    o->eval = doubles(h->neval + 1);
    if (first) {
        o->eval_t[0] = 0;
        o->eval[o->neval++] = r->before.accuracy;
    }
    for (size_t i = 0; i < h->neval; i++) {
        if (h->eval[i].part != QS_PART_VAL) continue;
        o->eval_t[o->neval] = (double)h->eval[i].t;
        o->eval[o->neval++] = h->eval[i].accuracy;
    }
}

static void put_speed(struct run_slot *k, size_t going, qs_snap_run *o)
{
    const qs_run *r = k->r;
    if (r->t > k->mark_t && r->seconds - k->mark_s >= (isnan(k->speed) ? SPEED / 4 : SPEED)) {
        double now = (double)(r->t - k->mark_t) / (r->seconds - k->mark_s);
        k->speed = isnan(k->speed) ? now : 0.5 * (k->speed + now);
        k->mark_t = r->t;
        k->mark_s = r->seconds;
    }
    o->images_s = k->speed * (double)r->o.batch;
    o->left_s = r->state == QS_RUN_READY ? (double)(r->total - r->t) / k->speed * (double)(going ? going : 1) : NAN;
}

static qs_snap_state state_of(const struct run_slot *k, bool driven)
{
    static const qs_snap_state over[] = {[QS_RUN_DONE] = QS_SNAP_DONE, [QS_RUN_STOPPED] = QS_SNAP_STOPPED,
                                         [QS_RUN_DIVERGED] = QS_SNAP_DIVERGED};
    if (k->r->state != QS_RUN_READY) return over[k->r->state];
    return k->going || driven ? QS_SNAP_RUNNING : k->r->t ? QS_SNAP_PAUSED : QS_SNAP_READY;
}

/* ---- steps over time -------------------------------------------------------------------------- */
/* Which records are shown: at most QS_SNAP_STEPS - 1 of them, the last one always. */
size_t snap_record(const qs_history *h, size_t k, size_t n)
{
    return n < 2 ? h->nrec - 1 : (size_t)((double)k * (double)(h->nrec - 1) / (double)(n - 1) + 0.5);
}

size_t snap_records(const qs_history *h) { return h->nrec < QS_SNAP_STEPS - 1 ? h->nrec : QS_SNAP_STEPS - 1; }

static double step_now(const qs_site *s)
{
    double sum = 0;
    for (size_t i = 0; i < s->parts; i++) sum += log(s->step[i]);
    return exp(sum / (double)s->parts);
}

/* Steps of a site over time; the last point is now. (snap_records + 1) */
static double *steps_of(const qs_run *r, size_t site)
{
    const qs_history *h = &r->h;
    size_t n = snap_records(h);
    double *v = doubles(n + 1);
    for (size_t k = 0; k < n; k++) v[k] = h->rec[snap_record(h, k, n) * h->nsite + site].step;
    v[n] = step_now(&r->site[site]);
    return v;
}

static double *times_of(const qs_run *r)
{
    const qs_history *h = &r->h;
    size_t n = snap_records(h);
    double *v = doubles(n + 1);
    for (size_t k = 0; k < n; k++) v[k] = (double)h->rec_t[snap_record(h, k, n)];
    v[n] = (double)r->t;
    return v;
}

static void put_site_step(const qs_run *r, const char *name, qs_snap_run *o)
{
    struct train_at at = {.r = (qs_run *)r};
    snprintf(at.site, sizeof at.site, "%s", name);
    size_t i = train_site(&at);
    if (i == r->nsite) return;
    o->nstep = snap_records(&r->h) + 1;
    o->step_t = times_of(r);
    o->step = steps_of(r, i);
}

static void put_sites(const struct train_at *at, qs_snap_train *o)
{
    const qs_run *r = at->r;
    size_t k = train_record(at);
    o->nsite = r->nsite;
    o->site_cur = train_site(at);
    o->site = qs_xcalloc(r->nsite + 1, sizeof *o->site);
    o->nrec = snap_records(&r->h) + 1;
    o->rec_t = times_of(r);
    o->records = r->h.nrec;
    o->record = k;
    if (k > 0 && r->h.nrec) o->before_t = (double)r->h.rec_t[k < r->h.nrec ? k - 1 : r->h.nrec - 1];
    if (k + 1 < r->h.nrec) o->after_t = (double)r->h.rec_t[k + 1];
    for (size_t i = 0; i < r->nsite; i++) {
        const qs_site *s = &r->site[i];
        qs_snap_site *x = &o->site[i];
        snprintf(x->name, sizeof x->name, "%s", s->name);
        snprintf(x->format, sizeof x->format, "%s", s->f->text);
        snprintf(x->learn, sizeof x->learn, "%s", s->fixed ? "none" : s->learn_name);
        x->act = s->act;
        x->step = steps_of(r, i);
        x->now = k < r->h.nrec ? r->h.rec[k * r->h.nsite + i].step : x->step[o->nrec - 1];
    }
}

/* ---- all of it ----------------------------------------------------------------------------------- */
static void put_run(qs_session *s, struct run_slot *k, size_t going, qs_snap_run *o)
{
    const qs_run *r = k->r;
    bool driven = s->jobs && qs_jobs_running(s->jobs) && r->t != k->shown_t;    /* a line of Lua makes its steps */
    memcpy(o->name, r->name, sizeof o->name);
    o->color = k->color;
    o->state = state_of(k, driven);
    o->reason = *r->reason ? qs_xstrdup(r->reason) : NULL;
    o->data = r->data ? qs_xstrdup(r->data->note) : NULL;
    o->t = (double)r->t;
    o->total = (double)r->total;
    o->lr = r->lr;
    o->before = r->before.accuracy;
    o->floating = r->floating.accuracy;
    o->last = r->last.accuracy;
    snap_loss(&r->h, o);
    snap_evals(r, o);
    put_speed(k, going, o);
    put_site_step(r, s->train.at.site, o);
    k->shown_t = r->t;
    k->shown_evals = r->h.neval;
    k->shown_state = r->state;
}

static void put_look(const qs_snap_look *from, qs_snap_look *o)
{
    if (!from->there) return;
    *o = *from;
    o->count = copy(from->count, from->bins);
    o->level = copy(from->level, from->nlevel);
    o->cut = copy(from->cut, from->nlevel);
    o->curve_step = copy(from->curve_step, from->points);
    o->curve_error = copy(from->curve_error, from->points);
    o->probe_step = copy(from->probe_step, from->nprobe);
    o->probe_loss = copy(from->probe_loss, from->nprobe);
}

qs_snap_train *train_snap(qs_session *s)
{
    struct training *t = &s->train;
    if (t->changed || !t->n) {
        qs_snap_train_unref(t->made);
        t->made = NULL;
        t->changed = false;
        t->made_at = qs_now();
    }
    if (!t->made && t->n) {
        qs_snap_train *o = t->made = qs_snap_train_new();
        o->run = qs_xcalloc(t->n, sizeof *o->run);
        o->nrun = t->n;
        for (size_t i = 0; i < t->n; i++) o->going += t->slot[i].going;
        for (size_t i = 0; i < t->n; i++) put_run(s, &t->slot[i], o->going, &o->run[i]);
        if (t->at.r) {
            o->cur = qs_session_run_number(s, t->at.r) - 1;
            put_sites(&t->at, o);
            put_look(&t->look.s, &o->look);
        }
    }
    if (t->made) atomic_fetch_add(&t->made->refs, 1);
    return t->made;
}
