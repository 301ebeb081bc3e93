/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/rng.h"
#include "quant/rows.h"
#include "../tap.h"

static const float x11[] = {-1.9f, -1.1f, -.75f, -.4f, -.1f, .05f, .3f, .62f, .9f, 1.4f, 2.6f};

static void published_small(void)
{
    static const struct { size_t k; double mse; double c[3]; } t[] = {
        {2, .524449351, {-.557143, 1.38}}, {3, .232643939, {-1.25, .228333, 2.0}}, {4, .11492197, {NAN}},
    };
    qs_index *ix = qs_index_new(x11, 11, NULL, NULL, NULL);
    for (size_t i = 0; i < 3; i++) {
        double c[16], mse;
        size_t merged, k = qs_lloyd(ix, t[i].k, NULL, c, &mse, &merged, NULL);
        ok(k == t[i].k && !merged, "%zu levels", k);
        near(mse, t[i].mse, 2e-7, "11.8: mse of %zu levels", k);
        for (size_t j = 0; i < 2 && j < k; j++) near(c[j], t[i].c[j], 2e-6, "level %zu", j);
    }
    qs_index_unref(ix);
}

/* METHODS 11.4, from a fine grid weighted by the density. */
static void published_normal(void)
{
    static const struct { size_t k; double mse, top; } t[] = {
        {2, .36338023, .79788}, {3, .19017404, 1.22401}, {4, .11748185, 1.51042}, {5, .079941127, 1.72415},
            {7, .044000382, 2.03337},
        {8, .034547761, 2.15195}, {15, .010737211, NAN}, {16, .009501008, 2.73259}, {32, .0025046684, 3.26073},
            {64, 6.4423967e-4, 3.74410},
    };
    size_t n = 40001;
    float *x = qs_xmalloc(2 * n * sizeof *x), *w = x + n;
    for (size_t i = 0; i < n; i++) {
        x[i] = (float)(-8 + 16 * (double)i / (double)(n - 1));
        w[i] = (float)exp(-0.5 * (double)x[i] * x[i]);
    }
    qs_index *ix = qs_index_new(x, n, w, NULL, NULL);
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        double c[64], mse;
        size_t merged;
        qs_lloyd(ix, t[i].k, NULL, c, &mse, &merged, NULL);
        near(mse, t[i].mse, 2e-4, "11.4: Lloyd-Max, %zu levels", t[i].k);
        if (!isnan(t[i].top)) near(c[t[i].k - 1], t[i].top, 2e-3, "its highest level");
    }
    qs_index_unref(ix);
    free(x);
}

/* Every way to cut n sorted values into k runs. */
static double brute(const float *x, const float *w, size_t n, size_t k)
{
    if (k == 1 || n == 1) {
        double sw = 0, sx = 0, e = 0;
        for (size_t i = 0; i < n; i++) sw += w[i], sx += w[i] * (double)x[i];
        for (size_t i = 0; i < n; i++) e += w[i] * (x[i] - sx / sw) * (x[i] - sx / sw);
        return e;
    }
    double best = INFINITY;
    for (size_t cut = 1; cut < n; cut++) best = fmin(best, brute(x, w, cut, 1) + brute(x + cut, w + cut, n - cut,
            k - 1));
    return best;
}

static int ascending(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void against_brute_force(void)
{
    qs_rng r;
    qs_rng_seed(&r, 6);
    int bad = 0, cases = 0;
    for (int round = 0; round < 200; round++) {
        float x[12], w[12];
        size_t n = 3 + qs_rng_next(&r) % 10, k = 1 + qs_rng_next(&r) % 4, merged;
        double c[8], mse, sum = 0;
        for (size_t i = 0; i < n; i++) x[i] = (float)(round % 3 ? qs_rng_normal(&r) : rint(2 * qs_rng_normal(&r)));
        qsort(x, n, sizeof *x, ascending);
        for (size_t i = 0; i < n; i++) sum += w[i] = round % 2 ? 1 : (float)qs_rng_uniform(&r);
        qs_index *ix = qs_index_new(x, n, w, NULL, NULL);
        double want = k < n ? brute(x, w, n, k) : 0;
        size_t got = qs_lloyd(ix, k, NULL, c, &mse, &merged, NULL);
        cases++;
        bad += got > k || fabs(mse * sum - want) > 1e-6 * want + 1e-7;
        for (size_t i = 1; i < got; i++) bad += c[i] <= c[i - 1];
        qs_index_unref(ix);
    }
    ok(bad == 0, "optimal in %d small cases", cases);
}

static void as_an_initialization(void)
{
    qs_err e = {0};
    qs_init_out out;
    qs_format *f = qs_format_parse("int3", NULL), *ch = qs_format_parse("int3@channel", NULL);
    qs_index *ix = qs_index_new(x11, 11, NULL, NULL, NULL);
    ok(!qs_init_index("lloyd", ix, f, NULL, NULL, &out, &e) && out.f && out.f->n == 8 && out.step == 1,
       "lloyd gives a codebook of 8");
    same(out.f->base, "codebook", "of its own");
    qs_format_free(out.f);
    ok(qs_init_index("lloyd", ix, ch, NULL, NULL, &out, &e) == -QS_EUNSUP, "but not one for each channel");
    qs_index_unref(ix);
    ix = qs_index_new((float[]){1, 2, 2, 1, 3}, 5, NULL, NULL, NULL);
    ok(!qs_init_index("lloyd", ix, f, NULL, NULL, &out, &e) && out.f->n == 3 && strstr(out.note, "3 distinct"),
       "fewer values than levels");
    qs_format_free(out.f);
    qs_index_unref(ix);
    size_t n = 100000, merged;
    float *x = qs_xmalloc(n * sizeof *x);
    qs_rng r;
    qs_rng_seed(&r, 7);
    for (size_t i = 0; i < n; i++) x[i] = (float)qs_rng_normal(&r);
    ix = qs_index_new(x, n, NULL, NULL, NULL);
    double c[16], mse;
    qs_lloyd(ix, 16, NULL, c, &mse, &merged, NULL);
    ok(merged > 65536 && fabs(mse / .0095010 - 1) < 0.02, "many values are merged first: mse %g", mse);
    ok(!qs_init_index("lloyd", ix, f, NULL, NULL, &out, &e) && strstr(out.note, "merged"), "and the note says so");
    qs_format_free(out.f);
    qs_index_unref(ix);
    free(x);
    qs_format_free(f);
    qs_format_free(ch);
}

int main(void)
{
    published_small();
    published_normal();
    against_brute_force();
    as_an_initialization();
    return done();
}
