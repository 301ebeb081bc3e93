/* SPDX-License-Identifier: GPL-3.0-or-later */
/* METHODS 2, 3 and 10: how far the published rules are from the least-squares optimum, on the quantile data of 11.9. */
#include <math.h>
#include <stdlib.h>

#include "quant/grid.h"
#include "quant/init.h"
#include "../tap.h"

enum { N = 1000 };

static double normal_quantile(double p)
{
    double lo = -9, hi = 9;
    for (int i = 0; i < 100; i++) {
        double m = (lo + hi) / 2;
        if (0.5 * erfc(-m / M_SQRT2) < p) lo = m;
        else hi = m;
    }
    return lo;
}

static qs_index *quantiles(int kind)
{
    float x[N];
    for (int i = 0; i < N; i++) {
        double p = (i + 0.5) / N;
        x[i] = (float)(kind == 0 ? normal_quantile(p) : kind == 1 ? (p < 0.5 ? log(2 * p) : -log(2 * (1 - p)))
                       : 2 * p - 1);
    }
    return qs_index_new(x, N, NULL, NULL, NULL);
}

static double mse_of(const qs_format *f, const qs_index *ix, const char *init, double *step)
{
    qs_init_out out;
    qs_grid g;
    if (qs_init_index(init, ix, f, NULL, NULL, &out, NULL)) return NAN;
    qs_grid_at(&g, f, out.step, out.offset);
    qs_grid_levels(&g);
    double e = qs_error_mse(&g, ix, NULL);
    qs_grid_clear(&g);
    *step = out.step;
    return e;
}

/* E(s0)/E(s*), to the digits of the table. */
static void ratios(void)
{
    static const char *const names[] = {"minmax", "lsq", "lsq+", "aciq-gauss", "aciq-laplace", "sawb", "octav"};
    static const struct { int kind, bits; double want[7]; } t[] = {
        {0, 2, {4.88, 1.48, 1.34, 1.09, 1.01, 1.01, 1.08}}, {0, 3, {2.50, 1.77, 1.22, 1.06, 1.29, 1.01, 1.06}},
        {0, 4, {1.60, 2.65, 1.08, 1.02, 1.83, 1.01, 1.03}}, {0, 8, {1.02, 30.3, 4.18, 1.42, 5.82, 1.36, 1.02}},
        {1, 2, {3.85, 1.04, 1.07, 1.17, 1.05, 1.01, 1.05}}, {1, 4, {1.72, 1.10, 1.22, 1.73, 1.01, 1.01, 1.01}},
        {2, 4, {1.14, 8.57, 2.73, 1.87, 5.28, 1.09, 1.25}},
    };
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        char text[16];
        double s, best_s;
        qs_index *ix = quantiles(t[i].kind);
        snprintf(text, sizeof text, "int%d", t[i].bits);
        qs_format *f = qs_format_parse(text, NULL);
        double best = mse_of(f, ix, "mse", &best_s);
        for (int k = 0; k < 7; k++) {
            double r = mse_of(f, ix, names[k], &s) / best, w = t[i].want[k];
            bool good = fabs(r - w) <= (w >= 10 ? 0.06 : 0.006);
            if (!good) printf("# got %.4f, want %.2f\n", r, w);
            ok(good, "kind %d, %s, %s: %.2f times the least error", t[i].kind, text, names[k], w);
        }
        qs_format_free(f);
        qs_index_unref(ix);
    }
}

/* METHODS 3: the three divisors of LSQ+ in the wild. */
static void divisors(void)
{
    static const struct { int bits; double want[3]; } t[] = {
        {2, {1.34, 1.01, 1.24}}, {3, {1.22, 1.60, 2.20}}, {4, {1.08, 4.29, 5.33}}, {8, {4.2, 820, 833}},
    };
    qs_index *ix = quantiles(0);
    for (size_t i = 0; i < 4; i++) {
        char text[16];
        double s;
        snprintf(text, sizeof text, "int%d", t[i].bits);
        qs_format *f = qs_format_parse(text, NULL);
        double best = mse_of(f, ix, "mse", &s);
        for (int k = 0; k < 3; k++) {
            double r = mse_of(f, ix, ((const char *[]){"lsq+", "lsq+:2^b-1", "lsq+:2^b"})[k], &s) / best, w =
                t[i].want[k];
            bool good = fabs(r - w) <= (w >= 100 ? 0.6 : i == 3 ? 0.06 : 0.006);
            if (!good) printf("# got %.4f, want %.2f\n", r, w);
            ok(good, "LSQ+ on %s, divisor %d: %.4g times the least error", text, k, w);
        }
        qs_format_free(f);
    }
    qs_index_unref(ix);
}

static qs_index *density(int kind)
{
    size_t n = 200000;
    double top = kind ? 28 : 9;
    float *x = malloc(2 * n * sizeof *x), *w = x + n;
    for (size_t i = 0; i < n; i++) {
        x[i] = (float)(-top + 2 * top * ((double)i + 0.5) / (double)n);
        w[i] = (float)(kind ? exp(-fabs((double)x[i])) : exp(-0.5 * (double)x[i] * x[i]));
    }
    qs_index *ix = qs_index_new(x, n, w, NULL, NULL);
    free(x);
    return ix;
}

/* METHODS 2: LSQ's step against the optimum, for the distributions themselves. */
static void lsq_steps(void)
{
    static const double want[2][7] = {{1.52, 1.53, 1.78, 2.18, 2.75, 3.53, 4.60},
                                      {1.17, 1.07, 1.14, 1.30, 1.53, 1.85, 2.29}};
    for (int kind = 0; kind < 2; kind++) {
        qs_index *ix = density(kind);
        for (int b = 2; b <= 8; b++) {
            char text[16];
            double s, best;
            snprintf(text, sizeof text, "int%d", b);
            qs_format *f = qs_format_parse(text, NULL);
            mse_of(f, ix, "lsq", &s);
            mse_of(f, ix, "mse", &best);
            double w = want[kind][b - 2];
            ok(fabs(s / best - w) <= 0.006, "LSQ's step on %s is %.2f times the best, kind %d (%.4f)", text, w, kind,
               s / best);
            qs_format_free(f);
        }
        qs_index_unref(ix);
    }
}

int main(void)
{
    ratios();
    divisors();
    lsq_steps();
    return done();
}
