/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <math.h>
#include <stdlib.h>

#include "base/rng.h"
#include "quant/grid.h"
#include "../tap.h"

static const float x8[] = {-2.3f, -1.26f, -.74f, -.3f, .2f, .37f, .9f, 1.6f}, g8[] =
    {.5f, -1, .25f, 2, -.75f, 1.5f, -.4f, .8f};

struct result { float y[64], dx[64]; double ds, db; };

static struct result run(const char *format, double step, double offset, const float *x, const float *up, int64_t n,
                         qs_grad_opts o)
{
    struct result r = {.ds = NAN};
    float *mem;
    qs_format *f = qs_format_parse(format, NULL);
    qs_tensor *t = qs_tensor_f32("x", 1, &n, &mem, NULL);
    memcpy(mem, x, (size_t)n * sizeof *x);
    qs_quantizer *q = qs_quantizer_new(f, NULL, 1, &step, &offset, NULL);
    qs_quantizer_apply(q, t, r.y, NULL, NULL);
    qs_quantizer_grad(q, t, up, &o, r.dx, &r.ds, &r.db, NULL);
    qs_quantizer_unref(q);
    qs_tensor_unref(t);
    qs_format_free(f);
    return r;
}

static bool equal(const float *a, const float *b, int n, double tol)
{
    for (int i = 0; i < n; i++)
        if (fabs((double)a[i] - b[i]) > tol) return false;
    return true;
}

/* METHODS 11.10. */
static void published(void)
{
    qs_grad_opts plain = {.learn = QS_LEARN_LSQ}, scaled = {.learn = QS_LEARN_LSQ, .scale = true};
    struct result a = run("int3", .5, 0, x8, g8, 8, plain), b = run("int3", .5, 0, x8, g8, 8, scaled);
    ok(equal(a.y, (float[]){-2, -1.5f, -.5f, -.5f, 0, .5f, 1, 1.5f}, 8, 0), "b=3: values");
    ok(equal(a.dx, (float[]){0, -1, .25f, 2, -.75f, 1.5f, -.4f, 0}, 8, 0), "b=3: dx");
    near(a.ds, .81, 1e-6, "b=3: dL/ds");
    near(b.ds, .16534055763786457, 1e-6, "b=3: scaled by 1/sqrt(8*3)");
    a = run("int2", .8, 0, x8, g8, 8, plain);
    b = run("int2", .8, 0, x8, g8, 8, scaled);
    ok(equal(a.y, (float[]){-1.6f, -1.6f, -.8f, 0, 0, 0, .8f, .8f}, 8, 1e-7), "b=2: values");
    near(a.ds, .05, 1e-5, "b=2: dL/ds");
    near(b.ds, .0176776695, 1e-5, "b=2: scaled");
    a = run("uint3+offset", .45, -1.3, x8, g8, 8, (qs_grad_opts){.learn = QS_LEARN_LSQP});
    ok(equal(a.y, (float[]){-1.3f, -1.3f, -.85f, -.4f, .05f, .5f, .95f, 1.4f}, 8, 3e-7), "LSQ+: values");
    near(a.ds, -.1333333333, 1e-5, "LSQ+: dL/ds");
    near(a.db, .5, 1e-12, "LSQ+: dL/dbeta");
}

/* Straight-through surrogate: clip(v) moves with s and beta, the rounding error stays. */
static double surrogate(const qs_format *f, double s, double beta, double s0, double beta0, const float *x,
                        const float *up, int n)
{
    double sum = 0, lo = f->c[0], hi = f->c[f->n - 1];
    qs_grid g;
    qs_grid_at(&g, f, s0, beta0);
    for (int i = 0; i < n; i++) {
        int32_t k;
        qs_grid_rank(&g, &x[i], 1, &k);
        double c = g.mirrored ? f->c[f->n - 1 - (size_t)k] : f->c[k];
        double v0 = fmin(fmax((x[i] - beta0) / s0, lo), hi), v = fmin(fmax((x[i] - beta) / s, lo), hi);
        sum += up[i] * (s * (v + (c - v0)) + beta);
    }
    qs_grid_clear(&g);
    return sum;
}

static void central_differences(void)
{
    static const struct { const char *f; double s, beta; qs_learn learn; } t[] = {
        {"int4", .31, 0, QS_LEARN_LSQ}, {"int2:narrow", .9, 0, QS_LEARN_LSQ}, {"uint4", .2, 0, QS_LEARN_LSQ},
            {"nf4", 2.1, 0, QS_LEARN_LSQ},
        {"apot4", 1.7, 0, QS_LEARN_RCF}, {"uapot3", 1.1, 0, QS_LEARN_RCF}, {"uint3+offset", .37, -1.1, QS_LEARN_LSQP},
        {"int4:flip", -.29, 0, QS_LEARN_LSQ}, {"codebook(-1;0;2)+offset", .6, .2, QS_LEARN_LSQP},
    };
    qs_rng r;
    qs_rng_seed(&r, 3);
    float x[64], up[64];
    for (int i = 0; i < 64; i++) x[i] = (float)(1.3 * qs_rng_normal(&r)), up[i] = (float)qs_rng_normal(&r);
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        qs_format *f = qs_format_parse(t[i].f, NULL);
        struct result a = run(t[i].f, t[i].s, t[i].beta, x, up, 64, (qs_grad_opts){.learn = t[i].learn});
        double h = 1e-6, s = t[i].s, b = t[i].beta;
        double ds = (surrogate(f, s + h, b, s, b, x, up, 64) - surrogate(f, s - h, b, s, b, x, up, 64)) / (2 * h);
        double db = (surrogate(f, s, b + h, s, b, x, up, 64) - surrogate(f, s, b - h, s, b, x, up, 64)) / (2 * h);
        ok(fabs(a.ds - ds) < 1e-4 * (1 + fabs(ds)), "%s: d/ds by differences (%g, %g)", t[i].f, a.ds, ds);
        ok(!f->offset ? a.db == 0 : fabs(a.db - db) < 1e-4 * (1 + fabs(db)), "%s: d/dbeta by differences", t[i].f);
        qs_format_free(f);
    }
}

static void masks(void)
{
    /* Exactly at, half a step beyond, and just inside half a step beyond the bounds of int2: -2 .. 1. */
    const float x[] = {-2, -2.5f, -2.4f, 1, 1.5f, 1.4f, 0}, up[] = {1, 1, 1, 1, 1, 1, 1};
    static const struct { qs_mask m; float dx[7]; double ds; } t[] = {
        {QS_MASK_PAPER, {0, 0, 0, 0, 0, 0, 1}, -2 - 2 - 2 + 1 + 1 + 1},
        {QS_MASK_CLAMP, {1, 0, 0, 1, 0, 0, 1}, -2 - 2 + 1 + 1},
        {QS_MASK_CODE, {1, 1, 1, 1, 0, 1, 1}, 0 + .5 + .4 + 0 + 1 - .4},
        {QS_MASK_NONE, {1, 1, 1, 1, 1, 1, 1}, -2 - 2 - 2 + 1 + 1 + 1},
    };
    for (size_t i = 0; i < 4; i++) {
        struct result a = run("int2", 1, 0, x, up, 7, (qs_grad_opts){.mask = t[i].m});
        ok(equal(a.dx, t[i].dx, 7, 0), "mask %zu: dx", i);
        ok(fabs(a.ds - t[i].ds) < 1e-6, "mask %zu: dL/ds %g", i, a.ds);
    }
    struct result p = run("uint2", .5, 0, (float[]){-1, .2f, 1.5f, 2}, (float[]){1, 2, 4, 8}, 4,
                          (qs_grad_opts){.learn = QS_LEARN_PACT});
    ok(p.ds == 3 * (4 + 8) && equal(p.dx, (float[]){0, 2, 0, 0}, 4, 0),
       "pact: only elements at or beyond the clip move it");
    struct result b = run("apot3", 1, 0, (float[]){1, 1.5f, -2}, (float[]){1, 10, 100}, 3,
                          (qs_grad_opts){.learn = QS_LEARN_RCF});
    ok(b.ds == 10 - 100, "rcf: the bound itself is inside");
    struct result n = run("int4", 1, 0, (float[]){NAN, INFINITY, 1.2f}, (float[]){1, 1, 1}, 3,
                          (qs_grad_opts){.learn = QS_LEARN_LSQ});
    ok(n.dx[0] == 0 && n.dx[1] == 0 && fabs(n.ds - (7 - .2)) < 1e-6, "NaN stays out, infinity is clipped");
    qs_learn l;
    qs_mask m;
    qs_err e = {0};
    ok(!qs_learn_named("lsq+", &l, NULL) && l == QS_LEARN_LSQP && qs_learn_named("adam", &l, &e) == -QS_EARG,
       "learning rules by name");
    ok(!qs_mask_named("code", &m, NULL) && m == QS_MASK_CODE && qs_mask_named("x", &m, &e) == -QS_EARG,
       "masks by name");
}

/* Channels are apart: each its own sum, its own N. */
static void channels(void)
{
    int64_t shape[] = {4, 2};
    float *mem, dx[8];
    double ds[2];
    qs_tensor *t = qs_tensor_f32("x", 2, shape, &mem, NULL);
    memcpy(mem, x8, sizeof x8);
    qs_format *f = qs_format_parse("int3@channel1", NULL);
    qs_quantizer *q = qs_quantizer_new(f, NULL, 2, (double[]){.5, .25}, NULL, NULL);
    qs_grad_opts o = {.scale = true};
    ok(!qs_quantizer_grad(q, t, g8, &o, dx, ds, NULL, NULL), "gradients of two channels");
    float xa[4], ga[4], xb[4], gb[4];
    for (int i = 0; i < 4; i++) xa[i] = x8[2 * i], ga[i] = g8[2 * i], xb[i] = x8[2 * i + 1], gb[i] = g8[2 * i + 1];
    struct result a = run("int3", .5, 0, xa, ga, 4, o), b = run("int3", .25, 0, xb, gb, 4, o);
    ok(ds[0] == a.ds && ds[1] == b.ds && dx[2] == a.dx[1] && dx[3] == b.dx[1], "each its own");
    qs_quantizer_unref(q);
    qs_format_free(f);
    qs_tensor_unref(t);
}

int main(void)
{
    published();
    central_differences();
    masks();
    channels();
    return done();
}
