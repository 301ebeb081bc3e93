/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The picture the screen gets of a results database: the groups of one sweep, and the series of two of them. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "store/watch_in.h"

#define SERIES_CELLS 100       /* cells of a group whose series are read at most */

/* ---- names ----------------------------------------------------------------------------- */
static char *group_name(const qs_study *y, const qs_groups *g, size_t k)
{
    qs_str b = {0};
    for (size_t i = 0; i < g->nby; i++) {
        const qs_value *v = qs_study_value(y, g->g[k].row, g->by[i]);
        qs_str_addf(&b, "%s%s=%s", i ? "," : "", y->param[g->by[i]].name, v ? v->text : "-");
    }
    return b.s ? b.s : qs_xstrdup("all");
}

/* "bits,init" cut at its commas: pointers into copy, which is cut. malloc'd. */
static const char **cut_names(char *copy, size_t *n)
{
    const char **name = NULL;
    char *save = NULL;
    *n = 0;
    for (char *w = strtok_r(copy, ",", &save); w; w = strtok_r(NULL, ",", &save)) {
        name = qs_xrealloc(name, (*n + 1) * sizeof *name);
        name[(*n)++] = w;
    }
    return name;
}

/* ---- groups ------------------------------------------------------------------------------- */
void qs_watch_ungroup(qs_reading *r)
{
    if (r->grouped) qs_groups_clear(&r->g);
    free(r->why);
    r->why = NULL;
    r->grouped = false;
}

static bool same_groups(const qs_results_at *a, const qs_results_at *b)
{
    return !strcmp(a->by, b->by) && !strcmp(a->metric, b->metric) && !strcmp(a->baseline, b->baseline);
}

/* As asked for; where that cannot be, the defaults, and r->why says so. false: abandoned. */
static bool make_groups(qs_reading *r, const qs_results_at *at, const qs_ctl *ctl)
{
    qs_err err;
    char by[sizeof at->by];
    size_t n;
    if (r->grouped && same_groups(at, &r->as)) return true;
    qs_watch_ungroup(r);
    memcpy(by, at->by, sizeof by);
    const char **name = cut_names(by, &n);
    int rc = qs_groups_make(&r->y, name, n, *at->metric ? at->metric : NULL, *at->baseline ? at->baseline : NULL, ctl, &r->g, &err);
    free(name);
    if (rc && rc != -QS_ECANCEL) {
        r->why = qs_xasprintf("%s: %s", qs_code_name(rc), err.msg);
        rc = qs_groups_make(&r->y, NULL, 0, NULL, NULL, ctl, &r->g, NULL);
    }
    r->grouped = !rc;
    r->as = *at;
    return r->grouped;
}

static void put_group(const qs_study *y, const qs_groups *g, size_t k, qs_snap_group *o)
{
    const qs_group *x = &g->g[k];
    *o = (qs_snap_group){
        .name = group_name(y, g, k), .value = qs_xcalloc(g->nby + 1, sizeof *o->value), .n = x->stat.n,
        .undefined = x->undefined, .failed = x->failed, .left = x->left, .mean = x->stat.mean, .std = x->stat.std,
        .min = x->stat.min, .max = x->stat.max, .lo = x->stat.lo, .hi = x->stat.hi, .baseline = x->baseline,
        .pairs = x->diff.n, .diff = x->diff.mean, .diff_lo = x->diff.lo, .diff_hi = x->diff.hi, .p = x->p,
    };
    for (size_t i = 0; i < g->nby; i++) {
        const qs_value *v = qs_study_value(y, x->row, g->by[i]);
        o->value[i] = qs_xstrdup(v ? v->text : "-");
    }
}

static void put_groups(const qs_study *y, const qs_groups *g, qs_snap_results *o)
{
    o->by = qs_xcalloc(g->nby + 1, sizeof *o->by);
    o->nby = g->nby;
    o->at.by[0] = '\0';
    for (size_t i = 0; i < g->nby; i++) {
        const char *name = y->param[g->by[i]].name;
        size_t used = strlen(o->at.by);
        o->by[i] = qs_xstrdup(name);
        snprintf(o->at.by + used, sizeof o->at.by - used, "%s%s", i ? "," : "", name);
    }
    o->group = qs_xcalloc(g->n + 1, sizeof *o->group);
    for (size_t k = 0; k < g->n; k++) put_group(y, g, k, &o->group[o->ngroup++]);
    snprintf(o->at.metric, sizeof o->at.metric, "%s", g->metric < 0 ? "" : y->t.metric[g->metric]);
}

/* ---- series --------------------------------------------------------------------------------- */
/* One series of the cells of a group. */
typedef struct bundle {
    char *name;
    double **x;                /* (cells) each (n[i]) */
    size_t *n;
    size_t cells, most;        /* most: the longest */
} bundle;

static bundle *bundle_of(bundle **all, size_t *n, const char *name)
{
    for (size_t i = 0; i < *n; i++)
        if (!strcmp((*all)[i].name, name)) return &(*all)[i];
    *all = qs_xrealloc(*all, (*n + 1) * sizeof **all);
    (*all)[*n] = (bundle){.name = qs_xstrdup(name), .x = qs_xcalloc(SERIES_CELLS, sizeof(double *)),
                          .n = qs_xcalloc(SERIES_CELLS, sizeof(size_t))};
    return &(*all)[(*n)++];
}

static int read_cell(qs_reading *r, const char *key, bundle **all, size_t *n, qs_err *err)
{
    char **name;
    size_t names;
    int rc = qs_store_series_names(r->s, r->y.sweep, key, &name, &names, err);
    for (size_t i = 0; i < names; i++) {
        bundle *b = rc ? NULL : bundle_of(all, n, name[i]);
        double *x = NULL;
        size_t len = 0;
        if (b) rc = qs_store_series(r->s, r->y.sweep, key, name[i], &x, &len, err);
        if (x && len) {
            b->x[b->cells] = x;
            b->n[b->cells++] = len;
            if (len > b->most) b->most = len;
        } else {
            free(x);
        }
        free(name[i]);
    }
    free(name);
    return rc;
}

static bool same_group(const qs_study *y, const qs_groups *g, size_t row, size_t as)
{
    for (size_t i = 0; i < g->nby; i++)
        if (y->code[row * y->nparam + g->by[i]] != y->code[as * y->nparam + g->by[i]]) return false;
    return true;
}

/* The mean of the finite ones of x[from .. to); NaN: none is. */
static double mean_of(const double *x, size_t from, size_t to)
{
    double sum = 0;
    size_t n = 0;
    for (size_t i = from; i < to; i++) {
        if (!isfinite(x[i])) continue;
        sum += x[i];
        n++;
    }
    return n ? sum / (double)n : NAN;
}

static double *numbers(size_t n) { return qs_xmalloc((n ? n : 1) * sizeof(double)); }

/* Stretches of `per` places become one point: first the mean along each cell, then mean, least and greatest over the cells. */
static void put_bundle(const bundle *b, qs_snap_series *o)
{
    size_t per = (b->most + QS_SNAP_POINTS - 1) / QS_SNAP_POINTS, n = per ? (b->most + per - 1) / per : 0;
    *o = (qs_snap_series){.name = qs_xstrdup(b->name), .cells = b->cells, .n = n, .at = numbers(n), .mean = numbers(n),
                          .low = numbers(n), .high = numbers(n)};
    for (size_t k = 0; k < n; k++) {
        size_t from = k * per, to = from + per < b->most ? from + per : b->most, some = 0;
        double sum = 0, lo = INFINITY, hi = -INFINITY;
        for (size_t c = 0; c < b->cells; c++) {
            double v = from < b->n[c] ? mean_of(b->x[c], from, to < b->n[c] ? to : b->n[c]) : NAN;
            if (isnan(v)) continue;
            sum += v;
            lo = fmin(lo, v);
            hi = fmax(hi, v);
            some++;
        }
        o->at[k] = 0.5 * (double)(from + 1 + to);
        o->mean[k] = some ? sum / (double)some : NAN;
        o->low[k] = some ? lo : NAN;
        o->high[k] = some ? hi : NAN;
    }
}

static void free_bundles(bundle *all, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        for (size_t c = 0; c < all[i].cells; c++) free(all[i].x[c]);
        free(all[i].x);
        free(all[i].n);
        free(all[i].name);
    }
    free(all);
}

static int read_group(qs_reading *r, size_t k, qs_snap_series **out, size_t *nout, qs_err *err)
{
    const qs_study *y = &r->y;
    const qs_groups *g = &r->g;
    bundle *all = NULL;
    size_t n = 0, cells = 0;
    int rc = 0;
    for (size_t row = 0; row < y->t.nrow && cells < SERIES_CELLS && !rc; row++) {
        if (y->t.row[row].status != QS_TRIAL_DONE || !same_group(y, g, row, g->g[k].row)) continue;
        rc = read_cell(r, y->t.row[row].key, &all, &n, err);
        cells++;
    }
    *out = n && !rc ? qs_xcalloc(n, sizeof **out) : NULL;
    for (size_t i = 0; i < n && !rc; i++) put_bundle(&all[i], &(*out)[(*nout)++]);
    free_bundles(all, n);
    return rc;
}

static size_t group_named(const qs_snap_results *o, const char *name)
{
    for (size_t k = 0; k < o->ngroup; k++)
        if (!strcmp(o->group[k].name, name)) return k;
    return o->ngroup;
}

static void put_series(qs_reading *r, qs_snap_results *o)
{
    qs_err err;
    size_t k = group_named(o, o->at.group), b = group_named(o, o->at.baseline);
    int rc = 0;
    if (k == o->ngroup) k = 0;
    snprintf(o->at.group, sizeof o->at.group, "%s", o->ngroup ? o->group[k].name : "");
    if (!r->s || !o->ngroup) return;
    rc = read_group(r, k, &o->series, &o->nseries, &err);
    if (!rc && b < o->ngroup && b != k) rc = read_group(r, b, &o->base, &o->nbase, &err);
    if (rc && !o->error) o->error = qs_xasprintf("%s: %s", qs_code_name(rc), err.msg);
}

/* ---- all of it ---------------------------------------------------------------------------------- */
static void put_rate(const qs_reading *r, qs_snap_results *o)
{
    if (r->nmark < 2 || !o->running) return;
    double t = r->mark[r->nmark - 1].t - r->mark[0].t, n = (double)r->mark[r->nmark - 1].over - (double)r->mark[0].over;
    if (!(t > 0) || !(n > 0)) return;
    o->rate = n / t;
    o->left_s = (double)(o->left + o->running) / o->rate;
}

static void put_sweep(const qs_reading *r, qs_snap_results *o)
{
    const qs_sweep_row *s = &r->sweep[r->cur];
    o->cells = s->cells;
    o->done = s->done;
    o->failed = s->failed;
    o->running = s->running;
    o->left = s->left;
    put_rate(r, o);
}

static char **copy_texts(size_t n, const char *(*nth)(const qs_reading *, size_t), const qs_reading *r)
{
    char **out = qs_xcalloc(n + 1, sizeof *out);
    for (size_t i = 0; i < n; i++) out[i] = qs_xstrdup(nth(r, i));
    return out;
}
static const char *nth_sweep(const qs_reading *r, size_t i) { return r->sweep[i].name; }
static const char *nth_param(const qs_reading *r, size_t i) { return r->y.param[i].name; }
static const char *nth_metric(const qs_reading *r, size_t i) { return r->y.t.metric[i]; }

/* Of groups that can be read. */
static qs_snap_results *picture(qs_reading *r, const qs_results_at *at, const char *why)
{
    qs_snap_results *o = qs_snap_results_new();
    o->at = *at;
    if (!why) why = r->why;
    o->error = why ? qs_xstrdup(why) : NULL;
    o->nsweep = r->nsweep;
    o->sweeps = copy_texts(r->nsweep, nth_sweep, r);
    o->sweep = r->cur;
    snprintf(o->at.sweep, sizeof o->at.sweep, "%s", r->y.sweep);
    put_sweep(r, o);
    o->nparam = r->y.nparam;
    o->param = copy_texts(r->y.nparam, nth_param, r);
    o->nmetric = r->y.t.nmetric;
    o->metric = copy_texts(r->y.t.nmetric, nth_metric, r);
    put_groups(&r->y, &r->g, o);
    put_series(r, o);
    return o;
}

qs_snap_results *qs_watch_rough(qs_reading *r, const qs_results_at *at)
{
    qs_snap_results *o = picture(r, at, NULL);
    o->rough = true;
    return o;
}

qs_snap_results *qs_watch_picture(qs_reading *r, const qs_results_at *at, const char *why, const qs_ctl *ctl)
{
    bool some = r->there && r->cur < r->nsweep;
    if (some && !make_groups(r, at, ctl)) return NULL;
    if (some) return picture(r, at, why);
    qs_snap_results *o = qs_snap_results_new();
    o->at = *at;
    o->error = why ? qs_xstrdup(why) : NULL;
    return o;
}
