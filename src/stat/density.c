/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Smooth density: a Gaussian kernel estimate by FFT (Silverman, AS 176). Values
 * are spread linearly on a fine grid, which the index does from its sums without
 * touching them one by one; what that spreading blurs is taken back in the
 * frequency domain.
 */
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"
#include "num/fft.h"
#include "stat/hist.h"

#define REACH 8.0            /* bandwidths beyond the ends that still matter */
#define NODES_MAX ((size_t)1 << 20)

struct grid {
    double from, step;
    size_t n;                /* a power of two */
};

static double silverman(const qs_index *ix, const qs_moments *m)
{
    double iqr = qs_index_quantile(ix, 0.75) - qs_index_quantile(ix, 0.25);
    double s = iqr > 0 ? fmin(m->std, iqr / 1.34) : m->std;
    return 0.9 * s * pow(m->n, -0.2);
}

/*
 * Grid steps a bandwidth. Where a value lies between two nodes shifts its kernel by up to (step/h)^2/8; the mean of
 * that is taken back, its scatter falls with sqrt n: 3e-10 of it may stay.
 */
static double fineness(double n) { return fmin(fmax(sqrt(1.2e8 / sqrt(n)), 128), 2048); }

/* Covers lo..hi and what reaches into it, as fine as it should be unless that takes too many nodes. */
static struct grid plan(double lo, double hi, double h, double n)
{
    double width = hi - lo + 2 * REACH * h;
    struct grid g = {.from = lo - REACH * h, .n = 64};
    while (g.n < NODES_MAX && (double)(g.n - 8) * h < width * fineness(n)) g.n *= 2;
    g.step = width / (double)(g.n - 8);   /* a few nodes to spare for interpolation at the end */
    return g;
}

static int spread(const qs_index *ix, const struct grid *g, double *c, qs_err *err)
{
    float *v = qs_big_alloc(g->n * sizeof *v);
    qs_sums *s = qs_big_alloc(g->n * sizeof *s);
    if (v && s) {
        for (size_t i = 0; i < g->n; i++) v[i] = (float)(g->from + g->step * (double)i);
        qs_index_below_many(ix, v, g->n, s);
        c[0] = 0;
        for (size_t i = 0; i + 1 < g->n; i++) {
            double a = g->from + g->step * (double)i, w = s[i + 1].w - s[i].w, x = s[i + 1].wx - s[i].wx;
            double upper = w != 0 ? (x - w * a) / g->step : 0;
            c[i] += w - upper;
            c[i + 1] = upper;
        }
    }
    int rc = v && s ? 0 : qs_fail(err, QS_ENOMEM, _("no memory for a density on %zu nodes"), g->n);
    qs_big_free(v);
    qs_big_free(s);
    return rc;
}

static double sinc(double x) { return fabs(x) < 1e-8 ? 1 : sin(x) / x; }

/* c: what is spread -> the estimate at the nodes, not divided by the weight. */
static int smooth(const struct grid *g, double h, double *c, qs_err *err)
{
    double *f = qs_fft_alloc(g->n + 2);
    if (!f) return qs_fail(err, QS_ENOMEM, _("no memory for a density on %zu nodes"), g->n);
    int rc = qs_fft_forward(g->n, c, f, err);
    double scale = 1 / ((double)g->n * g->step);
    for (size_t k = 0; k <= g->n / 2; k++) {
        double u = 2 * M_PI * (double)k / ((double)g->n * g->step), blur = sinc(u * g->step / 2);
        double a = exp(-h * h * u * u / 2) * scale;
        if (g->step < h / 3) a /= blur * blur;   /* coarser: the kernel has not died out where the blur is 0 */
        f[2 * k] *= a;
        f[2 * k + 1] *= a;
    }
    if (!rc) rc = qs_fft_inverse(g->n, f, c, err);
    qs_fft_free(f);
    return rc;
}

/* Through the six nodes around x (Lagrange). */
static double interpolate(const struct grid *g, const double *c, double x)
{
    double pos = (x - g->from) / g->step, sum = 0;
    size_t k = (size_t)fmin(fmax(pos - 2, 0), (double)(g->n - 6));
    for (size_t i = 0; i < 6; i++) {
        double w = 1;
        for (size_t j = 0; j < 6; j++)
            if (j != i) w *= (pos - (double)(k + j)) / ((double)i - (double)j);
        sum += w * c[k + i];
    }
    return fmax(sum, 0);
}

int qs_density(const qs_index *ix, double lo, double hi, size_t points, double *out, double *bandwidth, qs_err *err)
{
    qs_moments m;
    if (!(lo < hi) || !isfinite(lo) || !isfinite(hi) || points < 2)
        return qs_fail(err, QS_EARG, _("a density from %g to %g at %zu points; it takes two points and a width"), lo, hi, points);
    qs_index_moments(ix, &m);
    if (!(m.std > 0)) return qs_fail(err, QS_ERANGE, _("all values are %g: they have no density"), m.mean);
    double h = silverman(ix, &m), total = qs_index_total(ix).w;
    if (bandwidth) *bandwidth = h;
    struct grid g = plan(lo, hi, h, m.n);
    double *c = qs_fft_alloc(g.n);
    if (!c) return qs_fail(err, QS_ENOMEM, _("no memory for a density on %zu nodes"), g.n);
    int rc = spread(ix, &g, c, err);
    if (!rc) rc = smooth(&g, h, c, err);
    for (size_t i = 0; i < points && !rc; i++)
        out[i] = interpolate(&g, c, lo + (hi - lo) * (double)i / (double)(points - 1)) / total;
    qs_fft_free(c);
    return rc;
}
