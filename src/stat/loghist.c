/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Values on a logarithmic grid, and error curves from it by correlation. Knows
 * no format: what a quantizer does comes in as functions of x/s.
 */
#include "stat/loghist.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"
#include "num/fft.h"

#define CELLS_MAX ((size_t)1 << 20)
#define ONE_BY_ONE 65536     /* entries of an index that are added singly */
#define DEPTH (40 * M_LN2)
#define WIDTH_MIN 14.0       /* of the grid of an index: as many steps as anyone looks at */

int qs_loghist_init(qs_loghist *h, double lo, double hi, size_t cells, double p, qs_err *err)
{
    *h = (qs_loghist){.lo = lo, .hi = hi, .cells = cells, .p = p};
    if (!(lo < hi) || !isfinite(lo) || !isfinite(hi))
        return qs_fail(err, QS_EARG, _("a logarithmic grid from %g to %g; the first must be below the second"), lo, hi);
    if (cells < 2 || cells > CELLS_MAX || (cells & (cells - 1)))
        return qs_fail(err, QS_EARG, _("%zu cells; a power of two from 2 to 2^20 is needed"), cells);
    if (!(p > 0 && p <= 64)) return qs_fail(err, QS_EARG, _("norm %g; it must be above 0 and at most 64"), p);
    h->pos = qs_xcalloc(4 * cells, sizeof *h->pos);
    h->neg = h->pos + cells;
    h->wpos = h->neg + cells;
    h->wneg = h->wpos + cells;
    return 0;
}

void qs_loghist_clear(qs_loghist *h)
{
    free(h->pos);
    h->pos = h->neg = h->wpos = h->wneg = NULL;
}

/* ---- filling ------------------------------------------------------------------------------ */
static double cell_width(const qs_loghist *h) { return (h->hi - h->lo) / (double)h->cells; }

static double power(double x, double p) { return p == 2 ? x * x : p == 1 ? x : pow(x, p); }

/* Weight w at a place `at` (in cells) on one side's grid: for the two nodes beside it, by nearness. */
static void put(double *cell, size_t cells, double at, double w)
{
    size_t i = (size_t)fmin(fmax(at, 0), (double)(cells - 1));
    double f = fmin(fmax(at - (double)i, 0), 1);
    if (i + 1 == cells) {
        cell[i] += w;
        return;
    }
    cell[i] += w * (1 - f);
    cell[i + 1] += w * f;
}

/* For four nodes, so that what is cubic in ln|x| is summed exactly (Lagrange). */
static void put_cubic(double *cell, size_t cells, double at, double w)
{
    if (!(at >= 1 && at < (double)(cells - 2))) {
        put(cell, cells, at, w);
        return;
    }
    size_t i = (size_t)at;
    double t = at - (double)i;
    cell[i - 1] -= w * t * (t - 1) * (t - 2) / 6;
    cell[i] += w * (t + 1) * (t - 1) * (t - 2) / 2;
    cell[i + 1] -= w * (t + 1) * t * (t - 2) / 2;
    cell[i + 2] += w * (t + 1) * t * (t - 1) / 6;
}

static void add_one(qs_loghist *h, double x, double w)
{
    h->n += w;
    if (x == 0) {
        h->zeros += w;
        return;
    }
    double m = fabs(x), at = (log(m) - h->lo) / cell_width(h), wp = w * power(m, h->p);
    if (at < 0) h->under += wp;
    if (at > (double)(h->cells - 1)) h->over += wp;
    put_cubic(x > 0 ? h->pos : h->neg, h->cells, at, wp);
    put_cubic(x > 0 ? h->wpos : h->wneg, h->cells, at, w);
}

void qs_loghist_add(qs_loghist *h, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (isfinite(x[i])) add_one(h, x[i], 1);
}

/*
 * One cell from its exact sums: with x = c (1 + r), |r| < cell/2, both the power and the place in the cell are short
 * series in r, and sum w r, sum w r^2 come from the sums.
 */
static void add_cell(qs_loghist *h, double *cell, double *wcell, size_t i, qs_sums s)
{
    double d = cell_width(h), c = exp(h->lo + d * ((double)i + 0.5)), p = h->p;
    if (!(s.w > 0)) return;
    double r = s.wx / c - s.w, rr = fmax(s.wxx / c / c - 2 * s.wx / c + s.w, 0);
    double mass = power(c, p) * (s.w + p * r + p * (p - 1) / 2 * rr);
    double lean = power(c, p) * (r + (p - 0.5) * rr) / d;       /* sum w x^p (y - middle) / d */
    lean = fmin(fmax(lean, -mass / 2), mass / 2);
    put(cell, h->cells, (double)i, mass / 2 - lean);
    put(cell, h->cells, (double)i + 1, mass / 2 + lean);
    double wlean = fmin(fmax((r - rr / 2) / d, -s.w / 2), s.w / 2);
    put(wcell, h->cells, (double)i, s.w / 2 - wlean);
    put(wcell, h->cells, (double)i + 1, s.w / 2 + wlean);
}

/* The sums of the positive (sign 1) or negative side, cell by cell. */
static int add_side(qs_loghist *h, const qs_index *ix, float sign, qs_err *err)
{
    size_t n = h->cells;
    float *v = qs_big_alloc((n + 1) * sizeof *v);
    qs_sums *s = qs_big_alloc((n + 1) * sizeof *s);
    if (v && s) {
        for (size_t i = 0; i <= n; i++) {   /* ascending on either side: negative ones from the largest magnitude */
            size_t k = sign > 0 ? i : n - i;
            float e = (float)exp(h->lo + cell_width(h) * (double)k);
            if (k == n) e = INFINITY;
            if (k == 0) e = 0;
            v[i] = sign > 0 ? (k ? e : nextafterf(0, 1)) : (k ? nextafterf(-e, INFINITY) : 0);
        }
        v[sign > 0 ? n : 0] = sign * INFINITY;
        qs_index_below_many(ix, v, n + 1, s);
        for (size_t i = 0; i < n; i++) {
            qs_sums d = {s[i + 1].w - s[i].w, (double)sign * (s[i + 1].wx - s[i].wx), s[i + 1].wxx - s[i].wxx};
            add_cell(h, sign > 0 ? h->pos : h->neg, sign > 0 ? h->wpos : h->wneg, sign > 0 ? i : n - 1 - i, d);
        }
    }
    int rc = v && s ? 0 : qs_fail(err, QS_ENOMEM, _("no memory for a grid of %zu cells"), n);
    qs_big_free(v);
    qs_big_free(s);
    return rc;
}

static double smallest_magnitude(const qs_index *ix)
{
    size_t neg = qs_index_rank(ix, 0), pos = qs_index_rank(ix, nextafterf(0, 1));
    double a = neg > 0 ? -(double)qs_index_value(ix, neg - 1) : INFINITY;
    double b = pos < qs_index_entries(ix) ? qs_index_value(ix, pos) : INFINITY;
    return fmin(a, b);
}

int qs_loghist_index(qs_loghist *h, const qs_index *ix, size_t cells, double p, qs_err *err)
{
    double top = qs_index_absmax(ix), low = smallest_magnitude(ix);
    *h = (qs_loghist){.cells = 0};
    if (!(top > 0)) return qs_fail(err, QS_ERANGE, _("all values are 0: there is no logarithm"));
    double hi = log(top), lo = fmax(log(low), hi - DEPTH);
    lo = fmin(lo, hi - WIDTH_MIN);
    double room = 2 * (hi - lo) / (double)(cells > 2 ? cells : 2);   /* the ends are well inside */
    int rc = qs_loghist_init(h, lo - room, hi + room, cells, p, err);
    if (rc) return rc;
    if (qs_index_entries(ix) <= ONE_BY_ONE) {
        for (size_t i = 0; i < qs_index_entries(ix); i++) add_one(h, qs_index_value(ix, i), qs_index_weight(ix, i));
        return 0;
    }
    h->n = qs_index_total(ix).w;
    h->zeros = qs_index_below(ix, nextafterf(0, 1)).w - qs_index_below(ix, 0).w;
    rc = add_side(h, ix, 1, err);
    if (!rc) rc = add_side(h, ix, -1, err);
    if (rc) qs_loghist_clear(h);
    return rc;
}

/* ---- the curve --------------------------------------------------------------------------------- */
/*
 * A codebook without 0 has eps ~ (c0/t)^p for small t, which no sum of floats would survive. There the kernel is
 * |t - Q(t)|^p on the weights instead, and the result times s^p. tiny: below which t that holds; 0: nowhere.
 */
struct corr {
    const qs_loghist *h;
    double c0, d, tiny;
    size_t count, n;             /* n: transform length, 2 * cells */
    double *a, *fa, *b, *fb;     /* (n), (n+2) twice */
    double *sum;                 /* (n+2) products of spectra */
};

static double kernel_at(const struct corr *c, qs_loghist_eps *eps, void *ctx, bool small, double t)
{
    if ((t < c->tiny) != small) return 0;
    double e = eps(t, ctx);
    return small ? e * power(t, c->h->p) : e;
}

/* Adds the spectrum of (cell * kernel reversed) to sum. */
static int correlate(struct corr *c, const double *cell, qs_loghist_eps *eps, void *ctx, bool small, qs_err *err)
{
    size_t m = c->h->cells;
    for (size_t i = 0; i < c->n; i++) c->a[i] = i < m ? cell[i] : 0;
    for (size_t j = 0; j < c->n; j++) {   /* place j holds the lag k - i = j, or j - n */
        double lag = j < m ? (double)j : (double)j - (double)c->n;
        c->b[j] = j == m ? 0 : kernel_at(c, eps, ctx, small, exp(c->h->lo - c->c0 - c->d * lag));
    }
    int rc = qs_fft_forward(c->n, c->a, c->fa, err);
    if (!rc) rc = qs_fft_forward(c->n, c->b, c->fb, err);
    for (size_t k = 0; k <= c->n / 2 && !rc; k++) {
        double ar = c->fa[2 * k], ai = c->fa[2 * k + 1], br = c->fb[2 * k], bi = c->fb[2 * k + 1];
        c->sum[2 * k] += ar * br - ai * bi;
        c->sum[2 * k + 1] += ar * bi + ai * br;
    }
    return rc;
}

static int both_sides(struct corr *c, const double *pos, const double *neg, qs_loghist_eps *ep, qs_loghist_eps *en,
                      void *ctx, bool small, qs_err *err)
{
    for (size_t k = 0; k < c->n + 2; k++) c->sum[k] = 0;
    int rc = correlate(c, pos, ep, ctx, small, err);
    if (!rc) rc = correlate(c, neg, en, ctx, small, err);
    return rc ? rc : qs_fft_inverse(c->n, c->sum, c->a, err);
}

static int curve(struct corr *c, qs_loghist_eps *ep, qs_loghist_eps *en, void *ctx, double zero_err, double *out, qs_err *err)
{
    const qs_loghist *h = c->h;
    int rc = both_sides(c, h->pos, h->neg, ep, en, ctx, false, err);
    for (size_t k = 0; k < c->count && !rc; k++) out[k] = c->a[k] / (double)c->n;
    if (rc || !(zero_err > 0)) return rc;
    rc = both_sides(c, h->wpos, h->wneg, ep, en, ctx, true, err);
    for (size_t k = 0; k < c->count && !rc; k++)
        out[k] += (c->a[k] / (double)c->n + h->zeros * zero_err) * exp(h->p * (c->c0 + c->d * (double)k));
    return rc;
}

int qs_loghist_curve(const qs_loghist *h, qs_loghist_eps *eps_pos, qs_loghist_eps *eps_neg, void *ctx,
                     double zero_err, double c0, size_t count, double *out, qs_err *err)
{
    if (!count || count > h->cells)
        return qs_fail(err, QS_EARG, _("%zu steps from a grid of %zu cells; 1 to that many are possible"), count, h->cells);
    struct corr c = {.h = h, .c0 = c0, .d = cell_width(h), .count = count, .n = 2 * h->cells,
                     .tiny = zero_err > 0 ? pow(zero_err, 1 / h->p) / 4 : 0};
    double *mem = qs_fft_alloc(5 * c.n + 8);
    if (!mem) return qs_fail(err, QS_ENOMEM, _("no memory for a curve from %zu cells"), h->cells);
    c.a = mem;
    c.b = c.a + c.n;
    c.fa = c.b + c.n;
    c.fb = c.fa + c.n + 2;
    c.sum = c.fb + c.n + 2;
    int rc = h->n > 0 ? curve(&c, eps_pos, eps_neg, ctx, zero_err, out, err)
                      : qs_fail(err, QS_ERANGE, _("there are no values on the grid"));
    for (size_t k = 0; k < count && !rc; k++) out[k] = fmax(out[k] / h->n, 0);
    qs_fft_free(mem);
    return rc;
}
