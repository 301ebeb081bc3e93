/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Means, intervals and sign-flip tests against SciPy (make_infer.py) and closed
 * forms. Where both sides draw random samples, within what the draws allow.
 */
#include <jansson.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/rng.h"
#include "stat/infer.h"
#include "../tap.h"

static double number(const json_t *row, const char *key) { return json_number_value(json_object_get(row, key)); }

static void one(const json_t *row)
{
    const char *name = json_string_value(json_object_get(row, "name"));
    const json_t *list = json_object_get(row, "x");
    size_t n = json_array_size(list);
    double *x = qs_xmalloc(n * sizeof *x);
    for (size_t i = 0; i < n; i++) x[i] = json_number_value(json_array_get(list, i));
    bool exact = json_is_true(json_object_get(row, "exact"));
    qs_infer o;
    qs_infer_mean(x, n, &o);
    near(o.mean, number(row, "mean"), 1e-12, "%s: mean", name);
    near(o.std, number(row, "std"), 1e-12, "%s: std", name);
    ok(o.n == n && o.min == number(row, "min") && o.max == number(row, "max"), "%s: n, min, max", name);
    double lo = number(row, "lo"), hi = number(row, "hi"), slack = (exact ? 1e-9 : 0.02) * (hi - lo), p = number(row, "p");
    ok(fabs(o.lo - lo) < slack && fabs(o.hi - hi) < slack, "%s: interval %g %g, SciPy %g %g", name, o.lo, o.hi, lo, hi);
    double got = qs_infer_flip(x, n);
    ok(fabs(got - p) <= (exact ? 0 : 5 * sqrt(p * (1 - p) / 99999)), "%s: p %.6f, SciPy %.6f", name, got, p);
    free(x);
}

static void test_edges(void)
{
    double same_value[25], huge[] = {1e308, 1e308, 1e308};
    qs_infer o;
    qs_infer_mean(NULL, 0, &o);
    ok(o.n == 0 && isnan(o.mean) && isnan(o.std) && isnan(o.lo) && isnan(qs_infer_flip(NULL, 0)), "nothing of nothing");
    qs_infer_mean((double[]){3}, 1, &o);
    ok(o.mean == 3 && o.min == 3 && isnan(o.std) && isnan(o.lo) && isnan(o.hi), "one value has no spread");
    ok(qs_infer_flip((double[]){3}, 1) == 1, "one difference says nothing");
    for (int i = 0; i < 25; i++) same_value[i] = 0.1;
    qs_infer_mean(same_value, 25, &o);
    ok(o.mean == 0.1 && o.std == 0 && o.lo == 0.1 && o.hi == 0.1, "equal values: the interval is the value");
    ok(qs_infer_flip((double[]){0, 0, 0}, 3) == 1, "no difference at all");
    qs_infer_mean(huge, 3, &o);
    ok(o.mean == 1e308 && o.std == 0, "a sum that is too large has a mean");
    /* Ten differences of one sign: only all plus and all minus are as far. */
    ok(qs_infer_flip((double[]){1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, 10) == 2.0 / 1024, "ten of one sign: 2 / 2^10");
    /* Equal up to rounding: 0.1 + 0.2 against 0.3. All 8 sums are 0 or at least as large as the one seen, 0. */
    ok(qs_infer_flip((double[]){0.1, 0.2, -0.3}, 3) == 1, "rounding is no difference");
    near(qs_infer_flip(same_value, 25), 1e-5, 1e-12, "25 of one sign: none of the random flips, never 0");
    /* t of one degree of freedom: tan. */
    qs_infer_mean((double[]){-1, 1}, 2, &o);
    near(o.hi, tan(0.475 * M_PI), 1e-12, "two values: half the width is tan(0.475 pi)");
}

/* How often the interval holds the mean, over samples of a normal distribution. */
static void test_cover(size_t n, double lo, double hi)
{
    enum { TIMES = 400 };
    double x[30];
    int held = 0;
    qs_rng r;
    qs_rng_seed(&r, 5);
    for (int k = 0; k < TIMES; k++) {
        qs_infer o;
        for (size_t i = 0; i < n; i++) x[i] = qs_rng_normal(&r);
        qs_infer_mean(x, n, &o);
        held += o.lo <= 0 && o.hi >= 0;
    }
    double rate = (double)held / TIMES;
    ok(rate > lo && rate < hi, "n = %zu: %.1f %% of the intervals hold the mean", n, 100 * rate);
}

int main(void)
{
    const char *top = getenv("top_srcdir");
    char *path = qs_xasprintf("%s/tests/oracle/golden/infer.json", top ? top : ".");
    json_t *rows = json_load_file(path, 0, NULL);
    ok(json_array_size(rows) == 9, "the golden file is there");
    for (size_t i = 0; i < json_array_size(rows); i++) one(json_array_get(rows, i));
    json_decref(rows);
    free(path);
    test_edges();
    test_cover(5, 0.92, 0.98);
    if (!TAP_THREADS_ONLY) test_cover(30, 0.90, 0.98);
    return done();
}
