/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One quantizer of a run, as it trains or as it was at a record: the values it
 * sees, its levels, the squared error it would make at other steps, and where
 * the loss pulls its step. Values that are gone (those of records) are taken
 * from the histogram that was kept. Several parts are looked at together,
 * each scaled so that its step is the geometric mean of all.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "engine/state.h"

#define SAMPLE 65536           /* weights looked at */
#define BINS 192               /* of their histogram */
#define POINTS 160             /* of the error curve */
#define AROUND 4               /* records to each side of the one whose gradient is shown */
#define LEVELS_MAX 512

struct looking {
    const qs_run *r;
    const qs_site *site;
    size_t i;                  /* its number */
    size_t k;                  /* the record, or the newest where it is looked at live */
    bool live;
    const qs_record *rec;      /* NULL: there is none yet */
    qs_format *f;              /* for one part */
    qs_snap_look *o;
    float *x;                  /* (n) values, or NULL: only a histogram is left */
    size_t n;
};

void look_free(qs_snap_look *l)
{
    free(l->count);
    free(l->level);
    free(l->cut);
    free(l->curve_step);
    free(l->curve_error);
    free(l->probe_step);
    free(l->probe_loss);
    *l = (qs_snap_look){0};
}

static const qs_record *record_at(const struct looking *w, size_t k) { return &w->r->h.rec[k * w->r->h.nsite + w->i]; }

/* ---- the parameters --------------------------------------------------------------------- */
static double geometric(const double *v, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += log(v[i]);
    return exp(sum / (double)n);
}

static double mean(const double *v, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += v[i];
    return sum / (double)n;
}

static qs_format *for_one_part(const qs_format *f)
{
    char *text = qs_format_print(f);
    text[strcspn(text, "@")] = '\0';
    qs_format *one = qs_format_parse(text, NULL);
    free(text);
    return one;
}

static void put_parameters(struct looking *w)
{
    qs_snap_look *o = w->o;
    const qs_site *s = w->site;
    snprintf(o->init, sizeof o->init, "%s", s->init);
    o->fixed = s->fixed;
    o->live = w->live;
    o->t = w->live || !w->rec ? (double)w->r->t : (double)w->r->h.rec_t[w->k];
    o->step = w->live || !w->rec ? geometric(s->step, s->parts) : w->rec->step;
    o->offset = !s->offset ? 0 : w->live || !w->rec ? mean(s->offset, s->parts) : w->rec->offset;
    o->first = w->r->h.nrec ? record_at(w, 0)->step : o->step;
    o->oscillating = w->rec ? w->rec->oscillating : NAN;
    o->ratio = w->rec ? w->rec->ratio : NAN;
    o->levels = (double)s->f->n;
}

/* ---- the values ----------------------------------------------------------------------------- */
/* rcf quantizes weights of mean 0 and deviation 1. */
static void normalize(float *x, size_t n)
{
    double m = 0, v = 0;
    for (size_t i = 0; i < n; i++) m += x[i];
    m /= (double)n;
    for (size_t i = 0; i < n; i++) v += (x[i] - m) * (x[i] - m);
    double dev = n > 1 && v > 0 ? sqrt(v / (double)(n - 1)) : 1;
    for (size_t i = 0; i < n; i++) x[i] = (float)((x[i] - m) / dev);
}

static void take_values(struct looking *w)
{
    const qs_site *s = w->site;
    size_t n;
    const float *v = w->live ? qs_run_seen(w->r, w->i, &n) : NULL;
    if (!v) return;
    size_t by = s->act ? 1 : n / SAMPLE + 1;           /* of inputs, the first images */
    if (s->act && n > SAMPLE) n = s->n < SAMPLE ? SAMPLE / s->n * s->n : s->n;
    w->x = qs_xmalloc((n / by + 1) * sizeof *w->x);
    for (size_t i = 0; i < n; i += by) {
        size_t part = s->parts > 1 ? i / s->inner % s->parts : 0;
        double scale = s->normalize || s->parts == 1 ? 1 : w->o->step / s->step[part];
        w->x[w->n++] = (float)(v[i] * scale);
    }
    if (s->normalize) normalize(w->x, w->n);
}

/* From lowest to highest value that any histogram of the run has shown: the picture stays where it is. */
static void put_range(struct looking *w, const qs_grid *g)
{
    qs_snap_look *o = w->o;
    double lo = g->lv[0], hi = g->lv[g->n - 1], more = 0.125 * (hi - lo);
    o->lo = lo - more;
    o->hi = hi + more;
    for (size_t k = 0; k < w->r->h.nrec; k++) {
        const qs_site_look *l = &record_at(w, k)->look;
        if (!(l->hi > l->lo) || !isfinite(l->lo) || !isfinite(l->hi)) continue;
        o->lo = fmin(o->lo, l->lo);
        o->hi = fmax(o->hi, l->hi);
    }
}

static void bin_values(struct looking *w)
{
    qs_snap_look *o = w->o;
    o->bins = BINS;
    o->bin_lo = o->lo;
    o->bin_hi = o->hi;
    o->count = qs_xcalloc(BINS, sizeof *o->count);
    o->under = o->over = 0;
    double per = BINS / (o->hi - o->lo);
    for (size_t i = 0; i < w->n; i++) {
        double at = (w->x[i] - o->lo) * per;
        if (at < 0) o->under++;
        else if (at >= BINS) o->over++;
        else o->count[(size_t)at]++;
    }
}

static void bins_of_record(struct looking *w)
{
    qs_snap_look *o = w->o;
    const qs_site_look *l = w->rec ? &w->rec->look : NULL;
    if (!l || !(l->hi > l->lo)) return;
    o->bins = QS_SITE_BINS;
    o->bin_lo = l->lo;
    o->bin_hi = l->hi;
    o->count = qs_xmalloc(QS_SITE_BINS * sizeof *o->count);
    for (size_t i = 0; i < QS_SITE_BINS; i++) o->count[i] = l->bin[i];
    o->under = l->under;
    o->over = l->over;
}

/* An index of the values, or of the middles of the bins with their counts as weights. */
static qs_index *index_of(struct looking *w)
{
    const qs_snap_look *o = w->o;
    if (w->x) return qs_index_new(w->x, w->n, NULL, NULL, NULL);
    if (!o->bins) return NULL;
    float *x = qs_xmalloc(2 * (o->bins + 2) * sizeof *x), *c = x + o->bins + 2;
    double each = (o->bin_hi - o->bin_lo) / (double)o->bins;
    for (size_t i = 0; i < o->bins; i++) {
        x[i] = (float)(o->bin_lo + ((double)i + 0.5) * each);
        c[i] = (float)o->count[i];
    }
    x[o->bins] = (float)(o->bin_lo - each);
    c[o->bins] = (float)o->under;
    x[o->bins + 1] = (float)(o->bin_hi + each);
    c[o->bins + 1] = (float)o->over;
    qs_index *ix = qs_index_new(x, o->bins + 2, c, NULL, NULL);
    free(x);
    return ix;
}

/* ---- levels and errors ------------------------------------------------------------------------- */
static void put_levels(qs_snap_look *o, const qs_grid *g)
{
    o->clip_lo = g->lv[0];
    o->clip_hi = g->lv[g->n - 1];
    if (g->n > LEVELS_MAX) return;
    o->nlevel = g->n;
    o->level = qs_xmalloc(g->n * sizeof *o->level);
    o->cut = qs_xmalloc(g->n * sizeof *o->cut);
    for (size_t k = 0; k < g->n; k++) {
        o->level[k] = g->lv[k];
        o->cut[k] = k + 1 < g->n ? qs_grid_cut(g, k) : NAN;
    }
}

static void put_errors(struct looking *w, const qs_grid *g, const qs_index *ix)
{
    qs_snap_look *o = w->o;
    qs_qerror e = {0};
    if (w->rec && !w->x) {
        const qs_site_look *l = &w->rec->look;
        o->clipped = l->clipped;
        o->entropy = l->entropy;
        o->used = l->used;
        o->error = l->mse;
    }
    if (!ix || qs_error_index(g, ix, &e, NULL)) return;
    if (w->x) {
        o->clipped = e.clipped;
        o->entropy = e.entropy;
        o->used = (double)e.used;
    }
    o->error = e.mse;          /* of the curve's own values: the step lies on the curve */
    qs_qerror_clear(&e);
}

/* Rounded outwards to an eighth of a decade, so that the axis seldom moves. */
static void step_range(const struct looking *w, double *lo, double *hi)
{
    double a = w->o->step, b = a;
    for (size_t k = 0; k < w->r->h.nrec; k++) {
        a = fmin(a, record_at(w, k)->step);
        b = fmax(b, record_at(w, k)->step);
    }
    *lo = pow(10, floor(log10(a / 3) * 8) / 8);
    *hi = pow(10, ceil(log10(b * 3) * 8) / 8);
}

/* ln of the error at a step, between the points. */
static double log_error(const qs_snap_look *o, double step)
{
    double at = log(step / o->curve_step[0]) / log(o->curve_step[1] / o->curve_step[0]);
    size_t i = at <= 0 ? 0 : at >= (double)(o->points - 1) ? o->points - 2 : (size_t)at;
    double a = log(o->curve_error[i]), b = log(o->curve_error[i + 1]);
    return a + (at - (double)i) * (b - a);
}

static void put_curve(struct looking *w, const qs_index *ix)
{
    qs_snap_look *o = w->o;
    qs_curve c = {0};
    qs_curve_opts opts = {.points = POINTS, .p = 2, .offset = o->offset};
    if (w->f->offset == QS_OFFSET_ZP) opts.offset = rint(-o->offset / o->step);
    step_range(w, &opts.lo, &opts.hi);
    if (!ix || qs_curve_index(w->f, ix, &opts, NULL, &c, NULL)) return;
    o->points = c.points;
    o->curve_step = qs_xmalloc(c.points * sizeof *c.step);
    o->curve_error = qs_xmalloc(c.points * sizeof *c.error);
    memcpy(o->curve_step, c.step, c.points * sizeof *c.step);
    memcpy(o->curve_error, c.error, c.points * sizeof *c.error);
    o->best_step = c.best_step;
    o->best_error = c.best_error;
    o->coarse = !w->x;
    const double h = 0.06;     /* of ln step: over the teeth of the curve */
    o->slope = (log_error(o, o->step * exp(h)) - log_error(o, o->step * exp(-h))) / (2 * h);
    if (!isfinite(o->slope)) o->slope = NAN;
    qs_curve_clear(&c);
}

/* ---- what the start was chosen by -------------------------------------------------------------------------- */
/* The step of norm p on the values seen now; NaN: there is none. */
static double step_of_norm(const struct looking *w, const qs_index *ix, double p)
{
    char name[32];
    qs_init_out out = {0};
    snprintf(name, sizeof name, "lp:%g", p);
    qs_init_opts o = {.role = w->site->act ? QS_ROLE_ACT : QS_ROLE_WEIGHT};
    bool known = ix && !isnan(p) && !qs_init_index(name, ix, w->f, &o, NULL, &out, NULL);
    qs_format_free(out.f);
    return known ? fabs(out.step) : (double)NAN;
}

/* Is it a look at this quantizer: at a factor of its step, or at a norm for all of its kind? */
static bool concerns(const struct looking *w, const qs_attempt *t)
{
    return t->site == (int)w->i || t->site == QS_ATTEMPT_ALL || t->site == (w->site->act ? QS_ATTEMPT_ACTS : QS_ATTEMPT_WEIGHTS);
}

/* Steps of this quantizer that its start looked at, in its own scale: others changed in between. Those of norms are against that
 * of the chosen one on the values seen now, which were others then. */
static void put_probes(struct looking *w, const qs_index *ix)
{
    const qs_adapted *d = &w->r->adapted;
    qs_snap_look *o = w->o;
    double p = w->site->act ? d->p_acts : d->p_weights, chosen = d->nattempt ? step_of_norm(w, ix, p) : (double)NAN;
    if (!d->nattempt) return;
    o->probe_p = p;
    o->probe_factor = d->factor[w->i];
    o->probe_first = d->first;
    o->probe_last = d->last;
    o->probe_step = qs_xmalloc(d->nattempt * sizeof *o->probe_step);
    o->probe_loss = qs_xmalloc(d->nattempt * sizeof *o->probe_loss);
    for (size_t i = 0; i < d->nattempt; i++) {
        const qs_attempt *t = &d->attempt[i];
        double by = concerns(w, t) ? isnan(t->factor) ? step_of_norm(w, ix, t->p) / chosen : t->factor / d->factor[w->i] : (double)NAN;
        if (isnan(by)) continue;
        o->probe_step[o->nprobe] = o->first * by;
        o->probe_loss[o->nprobe++] = isnan(t->before) ? 0 : t->loss / t->before - 1;
    }
}

/* ---- where the loss pulls ----------------------------------------------------------------------------- */
/* Mean and standard error of -dL/d ln step over the records around k. false: nothing known. */
static bool pull_at(const struct looking *w, size_t k, double *mean_out, double *noise)
{
    size_t last = w->r->h.nrec - 1, a = k > AROUND ? k - AROUND : 0, b = k + AROUND < last ? k + AROUND : last;
    if (w->live && k == last && last > 2 * AROUND) a = last - 2 * AROUND;
    double sum = 0, squares = 0, n = 0;
    for (size_t i = a; i <= b; i++) {
        double v = -record_at(w, i)->raw * record_at(w, i)->step;
        if (!isfinite(v)) continue;
        sum += v;
        squares += v * v;
        n++;
    }
    if (n < 1) return false;
    *mean_out = sum / n;
    *noise = n > 1 ? sqrt(fmax(squares / n - *mean_out * *mean_out, 0) / (n - 1)) : INFINITY;
    return true;
}

static void put_pull(struct looking *w)
{
    qs_snap_look *o = w->o;
    double most = 0, m, e;
    if (!w->r->h.nrec || !pull_at(w, w->k, &o->pull, &o->pull_noise)) return;
    for (size_t k = 0; k < w->r->h.nrec; k++)
        if (pull_at(w, k, &m, &e)) most = fmax(most, fabs(m));
    o->pull_rel = most > 0 ? fabs(o->pull) / most : 0;
}

/* ---- all of it ------------------------------------------------------------------------------------------- */
static void unknown(qs_snap_look *o)
{
    qs_snap_train *empty = qs_snap_train_new();
    *o = empty->look;
    qs_snap_train_unref(empty);
}

static void fill(struct looking *w)
{
    qs_split one = {.kind = QS_SPLIT_TENSOR, .axis = -1, .parts = 1};
    double *beta = w->f->offset == QS_OFFSET_NONE ? NULL : &w->o->offset;
    qs_grid g;
    put_parameters(w);
    qs_quantizer *q = qs_quantizer_new(w->f, &one, 1, &w->o->step, beta, NULL);
    if (!q) return;
    qs_grid_init(&g, q, 0);
    take_values(w);
    put_range(w, &g);
    put_levels(w->o, &g);
    if (w->x) bin_values(w);
    else bins_of_record(w);
    qs_index *ix = index_of(w);
    put_errors(w, &g, ix);
    put_curve(w, ix);
    put_probes(w, ix);
    put_pull(w);
    w->o->there = true;
    if (ix) qs_index_unref(ix);
    qs_grid_clear(&g);
    qs_quantizer_unref(q);
    free(w->x);
}

void look_make(qs_session *s)
{
    struct training *t = &s->train;
    const struct train_at *at = &t->at;
    struct looking w = {.r = at->r, .o = &t->look.s, .i = train_site(at), .k = train_record(at)};
    look_free(&t->look.s);
    unknown(&t->look.s);
    t->look.stale = false;
    if (w.i < w.r->nsite) {
        w.site = &w.r->site[w.i];
        w.live = w.k == w.r->h.nrec;
        if (w.live && w.k) w.k--;
        w.rec = w.r->h.nrec ? record_at(&w, w.k) : NULL;
        w.f = for_one_part(w.site->f);
        if (w.f) fill(&w);
        qs_format_free(w.f);
    }
    t->look.made_at = qs_now();
}
