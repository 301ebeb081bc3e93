/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/rng.h"
#include "quant/grid.h"
#include "quant/init.h"
#include "../tap.h"

static const float x11[] = {-1.9f, -1.1f, -.75f, -.4f, -.1f, .05f, .3f, .62f, .9f, 1.4f, 2.6f};

/* The sum of squares at a step, in real numbers: x at the nearest level. */
static double plain_error(const double *c, size_t n, const float *x, const float *w, size_t m, double s)
{
    double e = 0;
    for (size_t i = 0; i < m; i++) {
        double best = INFINITY;
        for (size_t k = 0; k < n; k++) best = fmin(best, (x[i] - s * c[k]) * (x[i] - s * c[k]));
        e += best * (w ? w[i] : 1);
    }
    return e;
}

static int descending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x < y) - (x > y);
}

/* Brute force: between two neighbouring breakpoints codes are constant; try the best step of every piece. */
static double brute(const double *c, size_t n, const float *x, const float *w, size_t m, double *step)
{
    double *bp = qs_xmalloc((n * m + 2) * sizeof *bp), best = INFINITY;
    size_t k = 0;
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j + 1 < n; j++) {
            double t = (c[j] + c[j + 1]) / 2, s = t != 0 ? x[i] / t : 0;
            if (s > 0) bp[k++] = s;
        }
    qsort(bp, k, sizeof *bp, descending);
    for (size_t p = 0; p <= k; p++) {
        double hi = p ? bp[p - 1] : k ? 4 * bp[0] : 1e3, lo = p < k ? bp[p] : k ? bp[k - 1] / 4 : 1e-3, s =
            (hi + lo) / 2, B = 0, C = 0;
        for (size_t i = 0; i < m; i++) {
            size_t at = 0;
            for (size_t j = 1; j < n; j++)
                if (fabs(x[i] - s * c[j]) < fabs(x[i] - s * c[at])) at = j;
            B += (w ? w[i] : 1) * x[i] * c[at];
            C += (w ? w[i] : 1) * c[at] * c[at];
        }
        if (!(B > 0) || !(C > 0)) continue;
        double e = plain_error(c, n, x, w, m, B / C);
        if (e < best) {
            best = e;
            *step = B / C;
        }
    }
    free(bp);
    return best;
}

static void level_table(const qs_format *f, double z, bool mirrored, double *c)
{
    for (size_t k = 0; k < f->n; k++) c[mirrored ? f->n - 1 - k : k] = (mirrored ? -1 : 1) * (f->c[k] - z);
}

static void vector_11_8(void)
{
    static const struct { const char *f; double s, mse; } t[] = {
        {"int2", 1.58, .279763636364}, {"int3", .846190476190, .0475086580087},
            {"int4", .370265486726, .00613563958166},
        {"int2:flip", -1.187, .13361}, {"int3:flip", -.642432, .0262526}, {"int4:flip", -.328056, .00564141},
    };
    qs_index *ix = qs_index_new(x11, 11, NULL, NULL, NULL);
    for (size_t i = 0; i < 6; i++) {
        qs_format *f = qs_format_parse(t[i].f, NULL);
        double s = 0, e = 0;
        ok(!qs_mse_step(f, ix, NULL, &s, &e, NULL), "11.8 %s", t[i].f);
        near(s, t[i].s, i < 3 ? 2e-7 : 2e-6, "step of %s", t[i].f);
        near(e, t[i].mse, i < 3 ? 2e-6 : 1e-5, "mse of %s", t[i].f);
        qs_format_free(f);
    }
    qs_index_unref(ix);
}

static const char *const small[] = {
    "int2", "int3", "int4", "int3:narrow", "int2:flip", "int3:flip", "uint2", "uint3", "uint1", "apot3", "apot4",
        "nf4", "fp4",
    "nf4:flip", "codebook(-1;1)", "codebook(-3;-1;1;3)", "codebook(1;2;5)", "codebook(-1;0;3)", "codebook(-2;-1)",
    "codebook(0.3;2)", "codebook(-1;-0.5;0.4;2)", "int3+zp", "uint2+zp", "codebook(-1;0;2)+zp", "int2:flip+zp",
};

static void fill(qs_rng *r, int kind, float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double v = qs_rng_normal(r);
        if (kind == 1) v = fabs(v);
        if (kind == 2) v = -fabs(v);
        if (kind == 3) v = rint(2 * v);              /* ties, zeros, equal values */
        if (kind == 4) v = v * v * v;
        if (kind == 5) v += 3;
        x[i] = (float)v;
    }
}

/* Hundreds of small cases against brute force over every piece of the error curve. */
static void against_brute_force(void)
{
    int cases = 0, bad = 0, none = 0;
    qs_rng r;
    qs_rng_seed(&r, 8);
    for (size_t fi = 0; fi < sizeof small / sizeof *small; fi++)
        for (int round = 0; round < 24; round++) {
            qs_format *f = qs_format_parse(small[fi], NULL);
            if (!f) continue;
            float x[24], w[24];
            size_t n = 1 + qs_rng_next(&r) % 24;
            bool weighted = round % 4 == 3;
            fill(&r, round % 6, x, n);
            for (size_t i = 0; i < n; i++) w[i] = (float)qs_rng_uniform(&r);
            double lo = 0, hi = 0, want = INFINITY, at = 0, c[16], total = 0;
            if (f->offset == QS_OFFSET_ZP) qs_format_zp_range(f, &lo, &hi);
            for (double z = lo; z <= hi; z++)
                for (int m = 0; m <= f->flip; m++) {
                    level_table(f, z, m, c);
                    want = fmin(want, brute(c, f->n, x, weighted ? w : NULL, n, &at));
                }
            for (size_t i = 0; i < n; i++) total += weighted ? w[i] : 1;
            qs_index *ix = qs_index_new(x, n, weighted ? w : NULL, NULL, NULL);
            qs_init_out out;
            qs_err e = {0};
            int rc = qs_init_index("mse", ix, f, NULL, NULL, &out, &e);
            qs_grid g;
            qs_grid_at(&g, f, out.step, out.offset);
            qs_grid_levels(&g);
            double got = qs_error_mse(&g, ix, NULL) * total;
            cases++;
            if (isinf(want)) none++;
            else if (rc || !(got <= want * (1 + 1e-5) + 1e-10)) {
                bad++;
                printf("# %s n=%zu kind %d: got %.12g at %g (%g), want %.12g\n", small[fi], n, round % 6, got,
                       out.step, out.offset, want);
            }
            qs_grid_clear(&g);
            qs_index_unref(ix);
            qs_format_free(f);
        }
    ok(cases >= 500 && none < cases / 8 && bad == 0, "global minimum in %d small cases (%d without any)", cases, none);
}

static double grid_error(const qs_format *f, const qs_index *ix, double s)
{
    qs_grid g;
    qs_grid_at(&g, f, s, 0);
    qs_grid_levels(&g);
    double e = qs_error_mse(&g, ix, NULL);
    qs_grid_clear(&g);
    return e;
}

/* Never worse than 10^5 steps, on large data of five kinds; float32 levels leave a few parts in 1e8 to luck. */
static void against_grids(void)
{
    static const char *const kinds[] = {"normal", "laplace", "uniform", "bimodal", "outliers"};
    static const char *const formats[] = {"int2", "int4", "int8", "uint4", "nf4", "apot4"};
    size_t n = 50000;
    float *x = qs_xmalloc(n * sizeof *x);
    qs_rng r;
    for (int k = 0; k < 5; k++) {
        qs_rng_seed(&r, 100 + (uint64_t)k);
        for (size_t i = 0; i < n; i++) {
            double g = qs_rng_normal(&r), u = qs_rng_uniform(&r) - 0.5;
            x[i] = (float)(k == 0 ? g : k == 1 ? copysign(-log(1 - 2 * fabs(u)), u) : k == 2 ? u
                           : k == 3 ? copysign(1, u) + 0.1 * g : i % 5000 == 7 ? 20 * g : g);
        }
        qs_index *ix = qs_index_new(x, n, NULL, NULL, NULL);
        for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
            qs_format *f = qs_format_parse(formats[i], NULL);
            qs_curve_opts o = {.points = f->n > 64 ? 4000 : 100000};
            qs_curve c;
            double s, e = 0;
            int rc = qs_mse_step(f, ix, NULL, &s, &e, NULL);
            rc = rc ? rc : qs_curve_index(f, ix, &o, NULL, &c, NULL);
            if (!rc && e > grid_error(f, ix, c.best_step) * (1 + 1e-7))
                printf("# %.17g at %.17g, grid %.17g at %.17g\n", e, s, grid_error(f, ix, c.best_step), c.best_step);
            ok(!rc && e <= grid_error(f, ix, c.best_step) * (1 + 1e-7), "%s, %s: not above the best of %zu steps",
               kinds[k], formats[i], o.points);
            if (!rc) qs_curve_clear(&c);
            qs_format_free(f);
        }
        qs_index_unref(ix);
    }
    free(x);
}

/* METHODS 11.3, 11.7b: analytic optima, from a fine grid of values weighted by the density. */
static double density(int kind, double x) { return kind ? 0.5 * exp(-fabs(x)) : exp(-0.5 * x * x) / sqrt(2 * M_PI); }

static qs_index *density_index(int kind, double from)
{
    size_t n = 200000;
    double top = kind ? 28 : 9;
    float *x = qs_xmalloc(2 * n * sizeof *x), *w = x + n;
    for (size_t i = 0; i < n; i++) {
        x[i] = (float)(from * top + (1 - from) * top * ((double)i + 0.5) / (double)n);
        w[i] = (float)density(kind, x[i]);
    }
    qs_index *ix = qs_index_new(x, n, w, NULL, NULL);
    free(x);
    return ix;
}

static void published_optima(void)
{
    static const struct { const char *f; int kind; double clip_or_step, mse; bool is_clip; } t[] = {
        {"int2", 0, 1.04839, .149431, false}, {"int3", 0, .60182, .0406382, false},
            {"int4", 0, .33861, .0118640, false},
        {"int5", 0, .18879, .00352596, false}, {"int8", 0, .03077, 8.77069e-5, false},
        {"int2:narrow", 0, 1.22401, .190174, false}, {"int4:narrow", 0, .35341, .0128894, false},
        {"int2", 1, 1.71703, .413989, false}, {"int4", 1, .66135, .0505206, false},
            {"int2:narrow", 1, 2, .528482, false},
        {"codebook(-0.5;0.5)", 0, 1.595769, .363380, false}, {"codebook(-1.5;-0.5;0.5;1.5)", 0, .995687, .118846,
                                                              false},
        {"codebook(-1.5;-0.5;0.5;1.5)", 1, 1.537805, .392605, false},
        {"apot3", 0, 2.07251, .0475602, true}, {"apot4", 0, 2.62791, .0120995, true},
            {"apot5", 0, 3.35773, .00600484, true},
        {"apot3", 1, 3.91145, .141363, true}, {"apot4", 1, 5.42809, .0407606, true},
        {"nf4", 0, 2.86306, .00989932, true}, {"nf4", 1, 5.74052, .0334895, true}, {"fp4", 0, 2.92248, .0126849, true},
        {"codebook(-127;-104;-83;-65;-49;-35;-22;-10;1;13;25;38;53;69;89;113)", 0, 2.84984, .00990479, true},
    };
    qs_index *ix[2] = {density_index(0, -1), density_index(1, -1)};
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        qs_format *f = qs_format_parse(t[i].f, NULL);
        double s = 0, e = 0;
        qs_mse_step(f, ix[t[i].kind], NULL, &s, &e, NULL);
        near(t[i].is_clip ? s * f->cmax : s, t[i].clip_or_step, 4e-4, "optimal %s of %s, %s", t[i].is_clip ? "clip"
             : "step", t[i].f,
             t[i].kind ? "Laplace" : "normal");
        near(e, t[i].mse, 1e-4, "its mse");
        qs_format_free(f);
    }
    qs_index_unref(ix[0]);
    qs_index_unref(ix[1]);
}

/* The identity of 11.3: half-normal data on uint b is normal data on narrow int b+1. */
static void half_normal(void)
{
    qs_index *ix = density_index(0, 0);
    qs_format *f = qs_format_parse("uint4", NULL);
    double s = 0, e = 0;
    qs_mse_step(f, ix, NULL, &s, &e, NULL);
    near(s, .19325, 1e-4, "half-normal, uint4: step");
    near(e, .00369322, 1e-4, "half-normal, uint4: mse");
    qs_index_unref(ix);
    qs_format_free(f);
}

/* +offset: never above +zp's optimum nor a coarse grid of (s, beta). */
static void offsets(void)
{
    static const char *const pairs[][2] = {{"int2+offset", "int2+zp"}, {"uint3+offset", "uint3+zp"},
                                           {"int4+offset", "int4+zp"}, {"nf4+offset", "nf4"}};
    int bad = 0, cases = 0;
    qs_rng r;
    qs_rng_seed(&r, 4);
    for (size_t p = 0; p < 4; p++)
        for (int round = 0; round < 12; round++) {
            float x[200];
            size_t n = round < 6 ? 20 : 200;
            fill(&r, round % 6, x, n);
            qs_index *ix = qs_index_new(x, n, NULL, NULL, NULL);
            double got[2], least = INFINITY, lo = qs_index_min(ix), hi = qs_index_max(ix);
            qs_grid g;
            for (int j = 0; j < 2; j++) {
                qs_format *f = qs_format_parse(pairs[p][j], NULL);
                qs_init_out out = {0};
                qs_init_index("mse", ix, f, NULL, NULL, &out, NULL);
                qs_grid_at(&g, f, out.step, out.offset);
                qs_grid_levels(&g);
                got[j] = qs_error_mse(&g, ix, NULL);
                qs_grid_clear(&g);
                qs_format_free(f);
            }
            qs_format *f = qs_format_parse(pairs[p][0], NULL);
            double width = f->c[f->n - 1] - f->c[0];
            for (int i = 1; i <= 40; i++)
                for (int j = -20; j <= 60; j++) {
                    double s = (hi - lo) / width * i / 36, beta = lo + (hi - lo) * j / 40 - f->c[0] * s;
                    qs_grid_at(&g, f, s, beta);
                    qs_grid_levels(&g);
                    least = fmin(least, qs_error_mse(&g, ix, NULL));
                    qs_grid_clear(&g);
                }
            cases++;
            if (got[0] > got[1] * (1 + 1e-5) || got[0] > least * (1 + 1e-5)) {
                bad++;
                printf("# %s round %d: %.9g, zp %.9g, grid %.9g\n", pairs[p][0], round, got[0], got[1], least);
            }
            qs_format_free(f);
            qs_index_unref(ix);
        }
    ok(bad == 0, "+offset is not above +zp nor a 40 x 81 grid in %d cases", cases);
}

static void edge_cases(void)
{
    qs_err e = {0};
    double s = 0, mse = 0;
    qs_format *u = qs_format_parse("uint4", NULL), *i16 = qs_format_parse("int16", NULL);
    qs_index *ix = qs_index_new((float[]){-1, -2, -3}, 3, NULL, NULL, NULL);
    ok(qs_mse_step(u, ix, NULL, &s, &mse, &e) == -QS_ERANGE, "unsigned levels and only negative values: no best step");
    qs_init_out out;
    ok(!qs_init_index("mse", ix, u, NULL, NULL, &out, NULL) && out.step > 0 && *out.note,
       "the initialization still gives a step, and says so");
    qs_index_unref(ix);
    float x[300];
    qs_rng r;
    qs_rng_seed(&r, 3);
    fill(&r, 0, x, 300);
    ix = qs_index_new(x, 300, NULL, NULL, NULL);
    ok(!qs_mse_step(i16, ix, NULL, &s, &mse, &e) && mse <= grid_error(i16, ix, qs_index_absmax(ix) / 32767) ,
       "16 bits");
    qs_index_unref(ix);
    for (float v = 1e-44f; v < 1e38f; v *= 1e20f) {
        ix = qs_index_new((float[]){v, -v, v * 0.5f}, 3, NULL, NULL, NULL);
        ok(!qs_init_index("mse", ix, u, NULL, NULL, &out, &e) && out.step > 0 && isfinite(out.step), "values of %g",
           (double)v);
        qs_index_unref(ix);
    }
    float *y = qs_xmalloc(100000 * sizeof *y);
    for (int i = 0; i < 100000; i++) y[i] = (float)qs_rng_normal(&r);
    ix = qs_index_new(y, 100000, NULL, NULL, NULL);
    qs_init_out o2;
    qs_init_index("mse", ix, i16, NULL, NULL, &out, NULL);
    qs_init_index("octav", ix, i16, NULL, NULL, &o2, NULL);
    ok(strstr(out.note, "best found") && grid_error(i16, ix, out.step) <= grid_error(i16, ix, o2.step),
       "100,000 values in 16 bits: cut short, said, and still not above octav");
    qs_index_unref(ix);
    free(y);
    qs_format_free(u);
    qs_format_free(i16);
}

/* ---- buckets, and a second look ------------------------------------------------------------------------- */
static const char *const looked[] = {"int2", "int3", "int4", "int4:narrow", "int6", "int8", "uint3", "int3:flip", "nf4:flip", "apot4", "fp4", "fp8e4m3",
                                     "codebook(-1;0.5;3)", "int3+zp", "uint4+zp"};

static float large_value(qs_rng *r, int kind, size_t i)
{
    double v = qs_rng_normal(r);
    switch (kind) {
    case 1: return (float)(v > 0 ? v : 0);
    case 2: return (float)(rint(3 * v) / 7);                    /* few values, each many times */
    case 3: return (float)(i % 2 ? v : rint(2 * v));            /* both */
    case 4: return (float)(v * v * v * (i == 5 ? 1e4 : 1));
    case 5: return (float)(1 + 1e-4 * v);                       /* in few buckets */
    case 6: return i % 97 ? (float)v : NAN;
    default: return (float)v;
    }
}

static qs_tensor *large(int kind, size_t n)
{
    int64_t shape = (int64_t)n;
    float *x;
    qs_rng r;
    qs_rng_seed(&r, 40 + (uint64_t)kind);
    qs_tensor *t = qs_tensor_f32("large", 1, &shape, &x, NULL);
    for (size_t i = 0; i < n; i++) x[i] = large_value(&r, kind, i);
    return t;
}

static qs_index *whole_index(qs_tensor *t, size_t limit)
{
    qs_split s;
    qs_split_init(&s, t, QS_SPLIT_TENSOR, 0, 0, NULL);
    qs_index_bucket_limit(limit);
    qs_index *ix = qs_index_of(t, &s, 0, NULL, NULL, NULL);
    qs_index_bucket_limit(0);
    return ix;
}

/* Steps and errors of buckets that are looked at again are those of every value sorted, but for what the rounding of levels to
 * float32 does (parts in 1e8 of the error) and doubles to sums of squares (parts in 1e14 of the energy). most: gathered at a time. */
static void second_look(size_t n, size_t most)
{
    int cases = 0, steps = 0, errors = 0, inexact = 0;
    qs_index_fine_limit(most);
    for (int kind = 0; kind < 7; kind++) {
        qs_tensor *t = large(kind, n);
        qs_index *all = whole_index(t, 0), *few = whole_index(t, 1000);
        double energy = qs_index_total(all).wxx / qs_index_total(all).w;
        for (size_t k = 0; k < sizeof looked / sizeof *looked; k++) {
            qs_format *f = qs_format_parse(looked[k], NULL);
            qs_init_out want, got;
            bool bad = !qs_index_refinable(few) || qs_init_index("mse", all, f, NULL, NULL, &want, NULL) || qs_init_index("mse", few, f, NULL, NULL, &got, NULL);
            cases++;
            errors += bad;
            steps += bad || fabs(want.step - got.step) > 1e-6 * fabs(want.step) || fabs(want.offset - got.offset) > 1e-6 * fabs(want.offset);
            bool said = strstr(got.note, "bucket") != NULL;
            inexact += said;
            qs_grid g;
            qs_grid_at(&g, f, got.step, got.offset);
            qs_grid_levels(&g);
            double e = qs_error_mse(&g, all, NULL);
            qs_grid_clear(&g);
            qs_grid_at(&g, f, want.step, want.offset);
            qs_grid_levels(&g);
            double least = qs_error_mse(&g, all, NULL);
            qs_grid_clear(&g);
            if (!said && e > least * (1 + 1e-7) + 1e-14 * energy) {
                errors++;
                printf("# %s of kind %d: %.17g at %.9g, least %.17g at %.9g (%s)\n", looked[k], kind, e, got.step, least, want.step, got.note);
            }
            qs_format_free(f);
        }
        qs_index_unref(all);
        qs_index_unref(few);
        qs_tensor_unref(t);
    }
    qs_index_fine_limit(0);
    ok(errors == 0 && inexact <= (most ? cases / 7 : 0), "%d minima by a second look, %zu values at a time, are those of the sorted values (%d not, %d say they are not)",
       cases, most, errors, inexact);
    ok(steps <= cases / 8 + inexact, "and so are the steps, but where two are as good (%d)", steps);
}

/* Sums below any value asked for are those of all values. */
static void refined_sums(void)
{
    size_t bad = 0, asked = 0;
    for (int kind = 0; kind < 7; kind++) {
        qs_tensor *t = large(kind, 20000);
        qs_index *all = whole_index(t, 0), *few = whole_index(t, 1000);
        qs_rng r;
        qs_rng_seed(&r, 5);
        for (int round = 0; round < 20; round++) {
            qs_interval at[3];
            for (int i = 0; i < 3; i++) {
                float v = (float)qs_rng_normal(&r), w = v + (float)(0.1 * qs_rng_uniform(&r));
                at[i] = (qs_interval){v, w};
            }
            qs_index *fx = qs_index_refine(few, at, 3, NULL, NULL);
            for (int i = 0; i < 60 && fx; i++) {
                float v = at[i % 3].lo + (at[i % 3].hi - at[i % 3].lo) * (float)qs_rng_uniform(&r);
                if (i < 3) v = at[i].hi;
                qs_sums a = qs_index_below(all, v), b = qs_index_below(fx, v), below, in;
                qs_index_bracket(fx, v, &below, &in);
                asked++;
                bad += a.w != b.w || fabs(a.wx - b.wx) > 1e-9 || fabs(a.wxx - b.wxx) > 1e-9 * a.wxx + 1e-9 || in.w != 0;
                bad += qs_index_count_below(all, v) != qs_index_count_below(fx, v);
                qs_index_bracket(few, v, &below, &in);
                bad += below.w > a.w || below.w + in.w < a.w;
            }
            bad += !fx;
            qs_index_unref(fx);
        }
        qs_index_unref(all);
        qs_index_unref(few);
        qs_tensor_unref(t);
    }
    ok(bad == 0, "%zu sums of refined buckets (%zu wrong)", asked, bad);
    qs_tensor *t = large(0, 5000);
    qs_index *few = whole_index(t, 1000), *none = qs_index_new(x11, 11, NULL, NULL, NULL);
    qs_interval gap = {1e20f, 2e20f}, all = {-100, 100};
    qs_index *fx = qs_index_refine(few, &gap, 1, NULL, NULL);
    ok(fx && qs_index_below(fx, 1.5e20f).w == 5000, "an interval in a gap");
    qs_index_unref(fx);
    qs_err e;
    qs_index_fine_limit(100);
    fx = qs_index_refine(few, &all, 1, NULL, &e);
    ok(!fx && e.code == QS_ERANGE, "more than may be gathered: %s", e.msg);
    qs_index_fine_limit(0);
    fx = qs_index_refine(none, &all, 1, NULL, &e);
    ok(!fx && e.code == QS_EUNSUP, "not of values in memory: %s", e.msg);
    qs_index_unref(few);
    qs_index_unref(none);
    qs_tensor_unref(t);
}

int main(void)
{
    vector_11_8();
    against_brute_force();
    offsets();
    if (TAP_THREADS_ONLY) return done();
    against_grids();
    published_optima();
    half_normal();
    edge_cases();
    refined_sums();
    second_look(TAP_SANITIZED ? 2000 : 8000, 0);
    second_look(3000, 400);
    return done();
}
