/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The error at every step at once. For squares: exact at every point, from
 * the index, the points shared among threads. For any other norm: one
 * correlation in ln |x| (METHODS 9 A), good to the width of its cells.
 */
#include "quant/error.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "quant/book.h"
#include "quant/grid.h"
#include "stat/loghist.h"

#define POINTS 512
#define POINTS_MAX 1000000
#define CELLS ((size_t)1 << 14)
#define AHEAD 32             /* points a chunk */

void qs_curve_clear(qs_curve *c)
{
    free(c->step);
    free(c->error);
    free(c->clip);
    free(c->round);
    *c = (qs_curve){0};
}

/* ---- the range ------------------------------------------------------------------------- */
/* The step at which the outermost levels just reach the outermost values, on the sides that have both. */
static double covering_step(const qs_grid *g, double min, double max)
{
    double s = 0, lo = g->c[0], hi = g->c[g->n - 1];
    if (max > 0 && hi > 0) s = fmax(s, max / hi);
    if (min < 0 && lo < 0) s = fmax(s, min / lo);
    if (s > 0) return s;
    double cmax = fmax(fabs(lo), fabs(hi));
    return cmax > 0 ? fmax(fabs(min), fabs(max)) / cmax : 0;
}

/*
 * From half the mean magnitude at the clip (all but odd results of kl lie farther out) to beyond min-max on the shorter
 * side and beyond LSQ's rule, whose clip grows as the root of the number of levels.
 */
static int default_range(const qs_grid *g, const qs_index *ix, double *lo, double *hi, qs_err *err)
{
    qs_sums all = qs_index_total(ix), low = qs_index_below(ix, g->beta);
    double b = g->beta, c0 = fabs((double)g->c[0]), c1 = fabs((double)g->c[g->n - 1]), cmax = fmax(c0, c1);
    double cover = covering_step(g, qs_index_min(ix) - b, qs_index_max(ix) - b);
    double far = fmax(fabs(qs_index_min(ix) - b), fabs(qs_index_max(ix) - b));
    double mean_abs = (all.wx - 2 * low.wx - b * (all.w - 2 * low.w)) / all.w;
    if (!(cover > 0) || !(mean_abs > 0) || !(cmax > 0))
        return qs_fail(err, QS_ERANGE, _("no error curve: there is no finite value but %g, or no level but 0"), b);
    double l = fmin(0.5 * mean_abs / cmax, 0.25 * cover);
    double h = fmax(1.5 * fmax(cover, c0 > 0 && c1 > 0 ? fmin(far / fmin(c0, c1), 4 * cover) : 0),
                    2.2 * mean_abs * sqrt((double)g->n) / cmax);
    if (!(*lo > 0)) *lo = fmax(l, FLT_MIN);
    if (!(*hi > 0)) *hi = fmin(fmax(h, *lo * 1.001), FLT_MAX / fmax(cmax, 1) / 2);
    return 0;
}

/* ---- squares ------------------------------------------------------------------------------ */
struct squares_job {
    const qs_grid *g;      /* all but s and lv */
    const qs_index *ix;
    qs_curve *out;
    size_t first;
};

static void squares_chunk(void *arg, size_t chunk)
{
    const struct squares_job *j = arg;
    qs_grid g = *j->g;
    size_t from = j->first + chunk * AHEAD, to = from + AHEAD < j->out->points ? from + AHEAD : j->out->points;
    double n = qs_index_total(j->ix).w;
    float *v = qs_xmalloc((g.n + 1) * sizeof *v);
    qs_sums *at = qs_xmalloc((g.n + 1) * sizeof *at);
    for (size_t i = from; i < to; i++) {
        double clip, round;
        g.s = (float)j->out->step[i];
        qs_grid_squares(&g, j->ix, v, at, &clip, &round);
        j->out->clip[i] = clip / n;
        j->out->round[i] = round / n;
        j->out->error[i] = j->out->clip[i] + j->out->round[i];
    }
    free(v);
    free(at);
}

static int curve_of_squares(const qs_grid *g, const qs_index *ix, const qs_ctl *ctl, qs_curve *out, qs_err *err)
{
    struct squares_job j = {.g = g, .ix = ix, .out = out};
    size_t chunks = (out->points + AHEAD - 1) / AHEAD, batch = g->n > 256 ? 4 : 64;
    int rc = 0;
    out->clip = qs_xmalloc(out->points * sizeof *out->clip);
    out->round = qs_xmalloc(out->points * sizeof *out->round);
    for (size_t c = 0; c < chunks && !rc; c += batch) {
        rc = qs_ctl_check(ctl, _("error curve"), (double)c / (double)chunks, err);
        j.first = c * AHEAD;
        if (!rc) qs_parallel(chunks - c < batch ? chunks - c : batch, squares_chunk, &j);
    }
    return rc;
}

/* ---- any other norm --------------------------------------------------------------------------- */
struct eps { const qs_grid *g; double p; };

static double eps_at(double t, double sign, const struct eps *e)
{
    const qs_grid *g = e->g;
    double c = sign * g->c[qs_book_rank(g->t, g->up, g->n, (float)(sign * t))];
    return pow(fabs(1 - c / t), e->p);
}

static double eps_pos(double t, void *ctx) { return eps_at(t, 1, ctx); }
static double eps_neg(double t, void *ctx) { return eps_at(t, -1, ctx); }

/* The index of x - beta: in ln |x| only the distance from the offset matters. */
static qs_index *moved(const qs_index *ix, double beta, const qs_ctl *ctl, qs_err *err)
{
    size_t n = qs_index_entries(ix);
    float *x = qs_big_alloc(2 * n * sizeof *x), *w = x + n;
    if (!x) {
        qs_fail(err, QS_ENOMEM, _("no memory for %zu values less the offset"), n);
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        x[i] = (float)(qs_index_value(ix, i) - beta);
        w[i] = (float)qs_index_weight(ix, i);
    }
    qs_index *out = qs_index_new(x, n, w, ctl, err);
    qs_big_free(x);
    return out;
}

/* From the correlation's own steps to ours, linear in the logarithms. */
static void read_off(const double *y, size_t n, double c0, double h, qs_curve *out)
{
    for (size_t i = 0; i < out->points; i++) {
        double at = (log(out->step[i]) - c0) / h, k = floor(at);
        size_t j = k < 0 ? 0 : (size_t)k >= n - 1 ? n - 2 : (size_t)k;
        double f = fmin(fmax(at - (double)j, 0), 1);
        if (y[j] > 0 && y[j + 1] > 0) out->error[i] = exp((1 - f) * log(y[j]) + f * log(y[j + 1]));
        else out->error[i] = fmax((1 - f) * y[j] + f * y[j + 1], 0);
    }
}

static int correlate(const qs_grid *g, qs_loghist *h, qs_curve *out, qs_err *err)
{
    struct eps e = {g, out->p};
    double width = (h->hi - h->lo) / (double)h->cells, c0 = log(out->step[0]) - width;
    size_t count = (size_t)ceil((log(out->step[out->points - 1]) - c0) / width) + 2;
    double zero = pow(fabs((double)g->c[qs_book_rank(g->t, g->up, g->n, 0)]), out->p);
    int rc = 0;
    /* A range wider than the histogram's takes several runs of the correlation. */
    double *y = qs_xmalloc(count * sizeof *y);
    for (size_t k = 0; k < count && !rc; k += h->cells) {
        size_t n = count - k < h->cells ? count - k : h->cells;
        rc = qs_loghist_curve(h, eps_pos, eps_neg, &e, zero, c0 + (double)k * width, n, y + k, err);
    }
    if (!rc) read_off(y, count, c0, width, out);
    free(y);
    return rc;
}

static int curve_of_norm(const qs_grid *g, const qs_index *ix, size_t cells, const qs_ctl *ctl, qs_curve *out, qs_err *err)
{
    qs_loghist h = {0};
    qs_index *own = NULL;
    qs_grid about0 = *g;
    about0.beta = 0;
    if (g->beta != 0 && !(own = moved(ix, g->beta, ctl, err))) return err ? -err->code : -QS_ENOMEM;
    int rc = qs_loghist_index(&h, own ? own : ix, cells, out->p, err);
    if (!rc) rc = correlate(&about0, &h, out, err);
    qs_loghist_clear(&h);
    qs_index_unref(own);
    return rc;
}

/* ---- both -------------------------------------------------------------------------------------- */
static int check_opts(const qs_format *f, const qs_curve_opts *o, qs_curve *out, double *lo, double *hi, qs_err *err)
{
    out->points = o && o->points ? o->points : POINTS;
    out->p = o && o->p != 0 ? o->p : 2;
    *lo = o ? o->lo : 0;
    *hi = o ? o->hi : 0;
    if (out->points < 2 || out->points > POINTS_MAX)
        return qs_fail(err, QS_EARG, _("points is %zu: a curve has 2 to %d"), out->points, POINTS_MAX);
    if (!(out->p > 0) || out->p > 64) return qs_fail(err, QS_EARG, _("p is %g: a norm is > 0 and at most 64"), out->p);
    if (!isfinite(*lo) || !isfinite(*hi) || *lo < 0 || *hi < 0 || (*lo > 0 && *hi > 0 && *lo >= *hi))
        return qs_fail(err, QS_EARG, _("steps from %g to %g: the range is 0 < lo < hi"), *lo, *hi);
    if (*hi * f->cmax > FLT_MAX || (*lo > 0 && (float)*lo == 0))
        return qs_fail(err, QS_EARG, _("steps from %g to %g are beyond float32"), *lo, *hi);
    return 0;
}

static int offset_grid(qs_grid *g, const qs_format *f, const qs_curve_opts *o, qs_err *err)
{
    double lo, hi, off = o ? o->offset : 0;
    qs_format_zp_range(f, &lo, &hi);
    if (off != 0 && !f->offset)
        return qs_fail(err, QS_EARG, _("format %s has no offset: write %s+offset or %s+zp"), f->text, f->text, f->text);
    if (f->offset == QS_OFFSET_ZP && (off != rint(off) || off < lo || off > hi))
        return qs_fail(err, QS_EARG, _("offset is %g: for +zp it is the zero point, an integer %g .. %g"), off, lo, hi);
    if (!isfinite((float)off)) return qs_fail(err, QS_EARG, _("offset %g is beyond float32"), off);
    qs_grid_at(g, f, 1, f->offset == QS_OFFSET_ZP ? -off : off);
    return 0;
}

static void fill_steps(qs_curve *out, double lo, double hi)
{
    out->step = qs_xmalloc(out->points * sizeof(double));
    out->error = qs_xcalloc(out->points, sizeof(double));
    for (size_t i = 0; i < out->points; i++)
        out->step[i] = lo * exp(log(hi / lo) * (double)i / (double)(out->points - 1));
    out->step[0] = lo;
    out->step[out->points - 1] = hi;
}

static void find_best(qs_curve *c)
{
    size_t best = 0;
    for (size_t i = 1; i < c->points; i++)
        if (c->error[i] < c->error[best]) best = i;
    c->best_step = c->step[best];
    c->best_error = c->error[best];
}

int qs_curve_index(const qs_format *f, const qs_index *ix, const qs_curve_opts *o, const qs_ctl *ctl, qs_curve *out,
                   qs_err *err)
{
    double lo, hi;
    qs_grid g = {0};
    *out = (qs_curve){0};
    int rc = check_opts(f, o, out, &lo, &hi, err);
    if (!rc) rc = offset_grid(&g, f, o, err);
    if (!rc && (lo == 0 || hi == 0)) rc = default_range(&g, ix, &lo, &hi, err);
    if (!rc && !(lo < hi)) rc = qs_fail(err, QS_EARG, _("steps from %g to %g: the range is 0 < lo < hi"), lo, hi);
    if (!rc) {
        fill_steps(out, lo, hi);
        rc = out->p == 2 ? curve_of_squares(&g, ix, ctl, out, err) : curve_of_norm(&g, ix, o && o->cells ? o->cells : CELLS, ctl, out, err);
    }
    qs_grid_clear(&g);
    if (rc) qs_curve_clear(out);
    else find_best(out);
    return rc;
}
