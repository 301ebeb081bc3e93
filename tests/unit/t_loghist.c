/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The log-domain error curve against direct evaluation: METHODS 9 A and 11.3, other norms, odd codebooks. */
#include <stdlib.h>

#include "base/mem.h"
#include "base/rng.h"
#include "stat/loghist.h"
#include "../tap.h"

/* A sorted codebook and a norm. */
struct book { const double *c; size_t n; double p; };

static double nearest(const struct book *b, double v)
{
    double best = b->c[0];
    for (size_t i = 1; i < b->n; i++)
        if (fabs(v - b->c[i]) < fabs(v - best)) best = b->c[i];
    return best;
}

static double eps_pos(double t, void *ctx) { return pow(fabs(1 - nearest(ctx, t) / t), ((struct book *)ctx)->p); }
static double eps_neg(double t, void *ctx) { return pow(fabs(1 + nearest(ctx, -t) / t), ((struct book *)ctx)->p); }

static double direct(const struct book *b, const float *x, size_t n, double s)
{
    double e = 0;
    for (size_t i = 0; i < n; i++) e += pow(fabs(x[i] - s * nearest(b, x[i] / s)), b->p);
    return e / (double)n;
}

static double normal_quantile(double p)
{
    double x = 0;
    for (int i = 0; i < 200; i++) {
        double f = 0.5 * erfc(-x / M_SQRT2) - p, d = exp(-x * x / 2) / sqrt(2 * M_PI), s = f / d;
        x -= s > 0.5 ? 0.5 : s < -0.5 ? -0.5 : s;
    }
    return x;
}

static float X[1000];

/* Steps from a to b: the largest deviation from the direct curve, relative. */
static double deviation(const qs_loghist *h, const struct book *b, const float *x, size_t n, double from, double to, double *best)
{
    double *out = qs_xmalloc(h->cells * sizeof *out), worst = 0, d = (h->hi - h->lo) / (double)h->cells, low = INFINITY;
    double zero = pow(fabs(nearest(b, 0)), b->p);
    size_t count = (size_t)(log(to / from) / d) + 1;
    if (qs_loghist_curve(h, eps_pos, eps_neg, (void *)(uintptr_t)b, zero, log(from), count, out, NULL)) return INFINITY;
    for (size_t k = 0; k < count; k++) {
        if (out[k] < low) {
            low = out[k];
            *best = from * exp((double)k * d);
        }
        if (k % 37) continue;
        double e = direct(b, x, n, from * exp((double)k * d));
        worst = fmax(worst, fabs(out[k] - e) / e);
    }
    free(out);
    return worst;
}

static void full_grid(double *c, int bits)
{
    for (int i = 0; i < 1 << bits; i++) c[i] = i - (1 << (bits - 1));
}

/* METHODS 9 A: quantile data, 8192 cells over [-8, 3]: deviations 2.5e-6, 6e-5, 2.5e-3 for b = 2, 4, 8. */
static void stated_accuracy(void)
{
    static const struct { int bits; double dev, s; } want[] = {{2, 2.5e-6, 1.04795}, {4, 6e-5, 0.33682}, {8, 2.5e-3, 0.02570}};
    qs_loghist h;
    ok(!qs_loghist_init(&h, -8, 3, 8192, 2, NULL), "a grid");
    qs_loghist_add(&h, X, 1000);
    ok(h.n == 1000 && h.zeros == 0 && h.under == 0 && h.over == 0, "all of it is on the grid");
    for (int k = 0; k < 3; k++) {
        double c[256], best = 0;
        full_grid(c, want[k].bits);
        struct book b = {c, (size_t)1 << want[k].bits, 2};
        double dev = deviation(&h, &b, X, 1000, want[k].s / 2, want[k].s * 2, &best);
        ok(dev <= want[k].dev * 1.5, "%d bits: the largest deviation is %.2g (stated: %.2g)", want[k].bits, dev, want[k].dev);
        near(best, want[k].s, 1.5e-3, "%d bits: where the minimum is", want[k].bits);
    }
    qs_loghist_clear(&h);
}

static void norms(void)
{
    static const double p[] = {1, 2, 3, 4, 0.5, 2.4};
    double c[16], best;
    full_grid(c, 4);
    for (int k = 0; k < 6; k++) {
        qs_loghist h;
        struct book b = {c, 16, p[k]};
        qs_loghist_init(&h, -8, 3, 16384, p[k], NULL);
        qs_loghist_add(&h, X, 1000);
        double dev = deviation(&h, &b, X, 1000, 0.1, 1, &best);
        ok(dev < (p[k] < 1 ? 2e-3 : 2e-4), "p = %g: %.2g", p[k], dev);
        qs_loghist_clear(&h);
    }
}

/* Codebooks without 0, on one side only, uneven. */
static void codebooks(void)
{
    static const double rise[] = {-1.5, -0.5, 0.5, 1.5}, pot[] = {-1, -0.5, -0.25, 0.25, 0.5, 1}, one[] = {1, 2, 5},
                        uneven[] = {-1, 0, 0.3, 2};
    static const struct { const double *c; size_t n; const char *name; } books[] = {
        {rise, 4, "mid-rise"}, {pot, 6, "powers without 0"}, {one, 3, "positive only"}, {uneven, 4, "uneven"}};
    float x[1004];
    memcpy(x, X, sizeof X);
    x[1000] = x[1001] = x[1002] = x[1003] = 0;   /* zeros count where 0 is no level */
    for (int k = 0; k < 4; k++)
        for (int p = 1; p <= 2; p++) {
            qs_loghist h;
            struct book b = {books[k].c, books[k].n, p};
            double best;
            qs_loghist_init(&h, -8, 3, 16384, p, NULL);
            qs_loghist_add(&h, x, 1004);
            double dev = deviation(&h, &b, x, 1004, 0.02, 4, &best);
            ok(dev < 1e-4 && h.zeros == 4, "%s, p = %d: %.2g", books[k].name, p, dev);
            qs_loghist_clear(&h);
        }
}

/* A large index goes by sums of cells, a small one by values: both near the direct curve. */
static void from_index(double p, const char *name, bool skew)
{
    enum { N = 70000 };
    float *x = qs_xmalloc(N * sizeof *x);
    qs_rng r;
    qs_rng_seed(&r, 6);
    for (size_t i = 0; i < N; i++) {
        double v = qs_rng_normal(&r);
        x[i] = (float)(skew ? v > 0 ? v : -0.05 * v * v : v);
        if (i % 100 == 0) x[i] = 0;
    }
    double c[16], best;
    full_grid(c, 4);
    struct book b = {c, 16, p};
    for (int small = 0; small < 2; small++) {
        qs_loghist h;
        size_t n = small ? 5000 : N;
        qs_index *ix = qs_index_new(x, n, NULL, NULL, NULL);
        ok(!qs_loghist_index(&h, ix, 16384, p, NULL) && h.hi - h.lo >= 14, "%s, p = %g, %zu values: a grid", name, p, n);
        near(h.n, (double)n, 1e-12, "its weight");
        near(h.zeros, (double)n / 100, 1e-12, "its zeros");
        double dev = deviation(&h, &b, x, n, 0.2, 0.5, &best);
        ok(dev < 1e-4, "%s, p = %g, %zu values: %.2g", name, p, n, dev);
        qs_index_unref(ix);
        qs_loghist_clear(&h);
    }
    free(x);
}

/* Batches add up. */
static void batches(void)
{
    qs_loghist a, b;
    qs_loghist_init(&a, -8, 3, 1024, 2, NULL);
    qs_loghist_init(&b, -8, 3, 1024, 2, NULL);
    qs_loghist_add(&a, X, 1000);
    for (int i = 0; i < 10; i++) qs_loghist_add(&b, X + 100 * i, 100);
    ok(!memcmp(a.pos, b.pos, 1024 * sizeof *a.pos) && !memcmp(a.neg, b.neg, 1024 * sizeof *a.neg) && a.n == b.n, "batches add up");
    float odd[] = {NAN, INFINITY, 1e-30f, 1e30f, 0};
    double n = a.n;
    qs_loghist_add(&a, odd, 5);
    ok(a.n == n + 3 && a.zeros == 1 && a.under > 0 && a.over > 1e59, "outside values count at the ends, holes not at all");
    qs_loghist_clear(&a);
    qs_loghist_clear(&b);
}

static void errors(void)
{
    qs_loghist h;
    qs_err e = {0};
    double out[64], c[4] = {-2, -1, 0, 1};
    struct book b = {c, 4, 2};
    ok(qs_loghist_init(&h, 1, 1, 64, 2, &e) == -QS_EARG, "no width: %s", e.msg);
    ok(qs_loghist_init(&h, 0, 1, 63, 2, &e) == -QS_EARG, "no power of two: %s", e.msg);
    ok(qs_loghist_init(&h, 0, 1, 64, 0, &e) == -QS_EARG, "no norm: %s", e.msg);
    float zero[2] = {0, 0};
    qs_index *ix = qs_index_new(zero, 2, NULL, NULL, NULL);
    ok(qs_loghist_index(&h, ix, 64, 2, &e) == -QS_ERANGE, "only zeros: %s", e.msg);
    qs_index_unref(ix);
    qs_loghist_init(&h, -1, 1, 64, 2, NULL);
    ok(qs_loghist_curve(&h, eps_pos, eps_neg, &b, 0, 0, 64, out, &e) == -QS_ERANGE, "nothing on it: %s", e.msg);
    qs_loghist_add(&h, X, 10);
    ok(qs_loghist_curve(&h, eps_pos, eps_neg, &b, 0, 0, 65, out, &e) == -QS_EARG, "too many steps: %s", e.msg);
    qs_loghist_clear(&h);
}

int main(void)
{
    for (int i = 0; i < 1000; i++) X[i] = (float)normal_quantile((i + 0.5) / 1000);
    stated_accuracy();
    norms();
    codebooks();
    for (int p = 1; p <= 4; p++) from_index(p, "normal", false);
    from_index(2, "lopsided", true);
    from_index(0.5, "normal", false);
    batches();
    errors();
    return done();
}
