/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/rng.h"
#include "quant/grid.h"
#include "quant/init.h"
#include "../tap.h"

static qs_index *normal(size_t n, uint64_t seed, double shift)
{
    float *x = qs_xmalloc(n * sizeof *x);
    qs_rng r;
    qs_rng_seed(&r, seed);
    for (size_t i = 0; i < n; i++) x[i] = (float)(qs_rng_normal(&r) + shift);
    qs_index *ix = qs_index_new(x, n, NULL, NULL, NULL);
    free(x);
    return ix;
}

/* Every point is what a quantizer of that step has. */
static void exact(void)
{
    static const struct { const char *f; double offset; } t[] = {
        {"int2", 0}, {"int4", 0}, {"int8", 0}, {"uint4", 0}, {"nf4", 0}, {"fp4", 0}, {"apot4", 0}, {"int4:flip", 0},
        {"int4+offset", 0.4}, {"uint4+zp", 6}, {"fp8e4m3", 0}, {"codebook(1;2;5)", 0},
    };
    qs_index *ix = normal(20000, 1, 0.2);
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        qs_format *f = qs_format_parse(t[i].f, NULL);
        qs_curve_opts o = {.points = 97, .offset = t[i].offset};
        qs_curve c;
        qs_err e = {0};
        int rc = qs_curve_index(f, ix, &o, NULL, &c, &e), bad = 0;
        double least = INFINITY;
        for (size_t k = 0; !rc && k < c.points; k++) {
            qs_grid g;
            qs_qerror q;
            qs_grid_at(&g, f, c.step[k], f->offset == QS_OFFSET_ZP ? -c.step[k] * t[i].offset : t[i].offset);
            qs_grid_levels(&g);
            qs_error_index(&g, ix, &q, NULL);
            bad += fabs(q.mse - c.error[k]) > 1e-8 * q.mse || fabs(q.clip_mse - c.clip[k]) > 1e-8 * q.mse + 1e-18 ||
                   c.error[k] != c.clip[k] + c.round[k] || (k && c.step[k] <= c.step[k - 1]);
            least = fmin(least, c.error[k]);
            qs_qerror_clear(&q);
            qs_grid_clear(&g);
        }
        ok(!rc && !bad && c.best_error == least, "%s: exact at %zu points", t[i].f, c.points);
        if (!rc) qs_curve_clear(&c);
        qs_format_free(f);
    }
    qs_index_unref(ix);
}

/* The range shows the minimum and every initialization, on outliers too. */
static void range(void)
{
    float x[5000];
    qs_rng r;
    qs_rng_seed(&r, 4);
    int bad = 0, cases = 0;
    for (int kind = 0; kind < 4; kind++) {
        for (int i = 0; i < 5000; i++) {
            double v = qs_rng_normal(&r);
            x[i] = (float)(kind == 0 ? v : kind == 1 ? (i % 1000 ? v : 30 * v) : kind == 2 ? qs_rng_uniform(&r)
                           : v * v * v);
        }
        qs_index *ix = qs_index_new(x, 5000, NULL, NULL, NULL);
        static const char *const fs[] = {"int2", "int4", "int8", "uint4", "apot4", "nf4"};
        for (size_t i = 0; i < 6; i++) {
            qs_format *f = qs_format_parse(fs[i], NULL);
            qs_curve c;
            qs_curve_index(f, ix, NULL, NULL, &c, NULL);
            ok(c.points == 512, "512 points unless asked");
            for (size_t k = 0; k < qs_init_count(); k++) {
                qs_init_out out;
                const qs_init *row = qs_init_at(k);
                if (row->flags & QS_INIT_NAMED_ONLY || qs_init_index(row->name, ix, f, NULL, NULL, &out,
                                                                     NULL)) continue;
                if (!strcmp(row->name, "kl") && f->bits == 2) continue;   /* its clip can be next to nothing there */
                cases++;
                bool in = out.step > c.step[0] && out.step < c.step[c.points - 1];
                if (!in) printf("# kind %d %s %s: %g outside %g .. %g\n", kind, fs[i], row->name, out.step, c.step[0],
                                c.step[511]);
                bad += !in;
            }
            qs_curve_clear(&c);
            qs_format_free(f);
        }
        qs_index_unref(ix);
    }
    ok(cases > 150 && bad == 0, "%d initializations are inside the range shown", cases);
}

static double norm_error(const qs_grid *g, const qs_index *ix, double p)
{
    double sum = 0;
    for (size_t i = 0; i < qs_index_entries(ix); i++) {
        float x = qs_index_value(ix, i), y;
        qs_grid_apply(g, &x, 1, &y);
        sum += pow(fabs((double)y - x), p);
    }
    return sum / (double)qs_index_n(ix);
}

static void norms(void)
{
    static const struct { const char *f; double p, offset, tol; } t[] = {
        {"int2", 1, 0, 2e-3}, {"int4", 1, 0, 2e-3}, {"int4", 3, 0, 5e-3}, {"nf4", 2.5, 0, 5e-3}, {"uint3", 1, 0, 2e-3},
        {"int3+offset", 1, 0.5, 5e-3}, {"uint3+zp", 1.5, 3, 5e-3},
    };
    qs_index *ix = normal(20000, 2, 0.3);
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        qs_format *f = qs_format_parse(t[i].f, NULL);
        qs_curve_opts o = {.points = 60, .p = t[i].p, .offset = t[i].offset};
        qs_curve c;
        qs_err e = {0};
        int rc = qs_curve_index(f, ix, &o, NULL, &c, &e);
        double worst = 0;
        for (size_t k = 0; !rc && k < c.points; k++) {
            qs_grid g;
            qs_grid_at(&g, f, c.step[k], f->offset == QS_OFFSET_ZP ? -c.step[k] * t[i].offset : t[i].offset);
            double want = norm_error(&g, ix, t[i].p);
            worst = fmax(worst, fabs(c.error[k] / want - 1));
            qs_grid_clear(&g);
        }
        ok(!rc && worst < t[i].tol && !c.clip && !c.round, "%s, p = %g: within %g of the direct sums (%.2g) %s",
           t[i].f, t[i].p, t[i].tol,
           worst, e.msg);
        if (!rc) qs_curve_clear(&c);
        qs_format_free(f);
    }
    qs_index_unref(ix);
}

static void refused(void)
{
    static const struct { const char *f; qs_curve_opts o; const char *says; } t[] = {
        {"int4", {.points = 1}, "points is 1"}, {"int4", {.points = 2000000}, "points"}, {"int4", {.p = -1}, "p is -1"},
        {"int4", {.lo = 2, .hi = 1}, "0 < lo < hi"}, {"int4", {.lo = -1}, "0 < lo < hi"},
            {"int4", {.hi = 1e39}, "float32"},
        {"int4", {.offset = 1}, "has no offset"}, {"uint4+zp", {.offset = 0.5}, "an integer 0 .. 15"},
            {"uint4+zp", {.offset = 16}, "0 .. 15"},
        {"int4", {.lo = NAN}, "0 < lo < hi"},
    };
    qs_index *ix = normal(100, 3, 0);
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        qs_format *f = qs_format_parse(t[i].f, NULL);
        qs_curve c;
        qs_err e = {0};
        ok(qs_curve_index(f, ix, &t[i].o, NULL, &c, &e) == -QS_EARG && strstr(e.msg, t[i].says), "refused: %s",
           t[i].says);
        qs_format_free(f);
    }
    qs_index_unref(ix);
    ix = qs_index_new((float[]){0, 0}, 2, NULL, NULL, NULL);
    qs_format *f = qs_format_parse("int4", NULL);
    qs_curve c;
    ok(qs_curve_index(f, ix, NULL, NULL, &c, NULL) == -QS_ERANGE, "zeros have no curve");
    qs_index_unref(ix);
    ix = normal(1000, 3, 0);
    qs_curve a;
    qs_threads_set(1);
    qs_curve_index(f, ix, NULL, NULL, &a, NULL);
    qs_threads_set(4);
    qs_curve_index(f, ix, NULL, NULL, &c, NULL);
    ok(!memcmp(a.error, c.error, 512 * sizeof(double)), "one thread or four");
    qs_curve_clear(&a);
    qs_curve_clear(&c);
    qs_index_unref(ix);
    qs_format_free(f);
}

int main(void)
{
    exact();
    range();
    norms();
    refused();
    return done();
}
