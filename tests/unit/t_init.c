/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/rng.h"
#include "quant/grid.h"
#include "quant/rows.h"
#include "../tap.h"

static const float x11[] = {-1.9f, -1.1f, -.75f, -.4f, -.1f, .05f, .3f, .62f, .9f, 1.4f, 2.6f};

static qs_init_out fit(const char *name, const qs_index *ix, const char *format, qs_role role)
{
    qs_init_out out = {0};
    qs_init_opts o = {.role = role};
    qs_err e = {0};
    qs_format *f = qs_format_parse(format, NULL);
    if (qs_init_index(name, ix, f, &o, NULL, &out, &e)) {
        printf("# %s %s: %s\n", name, format, e.msg);
        out.step = NAN;
    }
    qs_format_free(f);
    return out;
}

static void rule(const qs_index *ix, const char *name, const char *format, double want, double tol)
{
    near(fit(name, ix, format, QS_ROLE_WEIGHT).step, want, tol, "%s on %s", name, format);
}

/* The published rules on the data of METHODS 11.8. */
static void rules(void)
{
    qs_index *ix = qs_index_new(x11, 11, NULL, NULL, NULL);
    rule(ix, "lsq", "int2", 1.84, 1e-6);
    rule(ix, "lsq", "int3", 1.062324, 1e-6);
    rule(ix, "lsq", "int4", .695455, 1e-6);
    rule(ix, "lsq", "uint4", 2 * .92 / sqrt(15), 1e-6);
    rule(ix, "lsq", "nf4", 2 * .92 * sqrt(7), 1e-6);
    rule(ix, "lsq", "codebook(-2;0;2)", .92, 1e-6);
    rule(ix, "lsq+", "int2", 1.930296, 1e-6);
    rule(ix, "lsq+", "int3", .965148, 1e-6);
    rule(ix, "lsq+", "int4", .482574, 1e-6);
    rule(ix, "lsq+:paper", "int4", .482574, 1e-6);
    rule(ix, "lsq+:2^b-1", "int4", .482574 * 8 / 15, 1e-6);
    rule(ix, "lsq+:2^b", "int4", .482574 / 2, 1e-6);
    rule(ix, "lsq+", "nf4", .482574 * 7, 1e-6);
    rule(ix, "minmax", "int4", 2.6 / 7, 1e-6);
    rule(ix, "minmax:2^b", "int4", 2.6 / 8, 1e-6);
    rule(ix, "minmax:2^b-1", "int4", 2.6 / 7.5, 1e-6);
    rule(ix, "minmax", "int4:flip", -2.6 / 8, 1e-6);
    rule(ix, "minmax", "uint4", 2.6 / 15, 1e-6);
    rule(ix, "minmax", "nf4", 2.6, 1e-6);
    rule(ix, "minmax", "fp4", 2.6 / 6, 1e-6);
    rule(ix, "minmax", "uint4+zp", 4.5 / 15, 1e-6);
    rule(ix, "minmax", "uint4+offset", 4.5 / 15, 1e-6);
    rule(ix, "percentile:100", "int4", 2.6 / 7, 1e-6);
    rule(ix, "percentile:50", "int4", .75 / 7, 1e-6);
    rule(ix, "octav", "int2", 2.151724 / 2, 1e-6);
    rule(ix, "octav", "int4", 2.566581 / 8, 1e-6);
    rule(ix, "octav:qp", "int4", 2.566581 / 7, 1e-6);
    rule(ix, "octav", "int16", 2.6 / 32768, 1e-6);
    rule(ix, "aciq-gauss", "int4", 2.559136 * 1.2377729 / 8, 1e-6);
    rule(ix, "aciq-gauss", "uint4", (2.936201 * 1.2377729 + .1472727) / 16, 1e-6);
    rule(ix, "apot", "apot4", 3 * 1.2377729, 1e-6);
    rule(ix, "apot:6", "apot4", 6, 0);
    rule(ix, "apot", "uapot4", 8, 0);
    rule(ix, "apot:imagenet", "uapot4", 6, 0);
    rule(ix, "apot:imagenet", "apot4", 3 * 1.2377729, 1e-6);
    rule(ix, "pact", "uint4", 10. / 15, 1e-12);
    rule(ix, "pact:6", "uint4", 6. / 15, 1e-12);
    rule(ix, "pact", "uapot4", 10, 0);
    rule(ix, "pact", "int4", 2.6 / 7, 1e-6);
    near(fit("pact", ix, "int4", QS_ROLE_ACT).step, 10. / 7, 1e-12, "PACT for activations with a sign");
    rule(ix, "lsq:one", "int4", .695455, 1e-6);
    rule(ix, "lsq:one", "uint4", 1, 0);
    near(fit("lsq:one", ix, "int4", QS_ROLE_ACT).step, 1, 0, "lsq:one leaves activations to training");
    rule(ix, "lsq:one", "nf4", .695455 * 7, 1e-6);
    rule(ix, "lsq+:one", "int4", .482574 * 8 / 15, 1e-6);
    near(fit("lsq+:one", ix, "uint4+offset", QS_ROLE_ACT).step, 1, 0, "lsq+:one for activations");
    near(fit("lsq+:one", ix, "uint4+offset", QS_ROLE_ACT).offset, 0, 0, "with no offset");
    rule(ix, "aciq-gauss", "codebook(-1;1)", 1.239905 * 1.2377729 / 2, 1e-6);
    double rms = 0;
    for (int i = 0; i < 11; i++) rms += x11[i] * (double)x11[i] / 11;
    rule(ix, "sawb", "int2", (3.12 * sqrt(rms) - 2.064 * .92) * 2 / 3, 1e-6);
    rule(ix, "sawb:older", "int2", (3.212 * sqrt(rms) - 2.178 * .92) * 2 / 3, 1e-6);
    rule(ix, "sawb", "int4", (12.68 * sqrt(rms) - 12.80 * .92) * 2 / 15, 1e-6);
    near(fit("minmax", ix, "uint4+offset", QS_ROLE_WEIGHT).offset, -1.9, 1e-6,
         "min-max puts the lowest level on the smallest value");
    near(fit("minmax", ix, "uint4+zp", QS_ROLE_WEIGHT).offset, -.3 * 6, 1e-6, "zero point 6");
    near(fit("lsq+:minmax", ix, "uint3+offset", QS_ROLE_ACT).step, 4.5 / 7, 1e-6, "LSQ+ for activations, min-max");
    ok(fit("lsq+", ix, "uint3+offset", QS_ROLE_ACT).step == fit("mse", ix, "uint3+offset", QS_ROLE_ACT).step,
       "LSQ+ for activations: least squares");
    same(fit("lsq", ix, "int4", 0).formula, "2 E|x| / sqrt(Qp) = 2 * 0.92 / sqrt(7)", "formula with its values");
    same(fit("minmax", ix, "int4", 0).formula, "max|x| / Qp = 2.6 / 7", "formula with its values");
    ok(strstr(fit("aciq", ix, "int4", 0).note, "chosen"), "aciq says which it chose");
    qs_index_unref(ix);
}

/* METHODS 5: the clip multiples. */
static void aciq_table(void)
{
    static const double g[] = {1.239905, 1.710635, 2.151593, 2.559136, 2.936201, 3.286914, 3.615114, 3.924035,
                               4.216330};
    static const double l[] = {1.862817, 2.830683, 3.897229, 5.028640, 6.204766, 7.413126, 8.645620, 9.896760,
                               11.162685};
    for (int b = 1; b <= 9; b++) {
        near(qs_aciq_gauss(b), g[b - 1], 3e-7, "ACIQ, normal, %d bits", b);
        near(qs_aciq_laplace(b), l[b - 1], 3e-7, "ACIQ, Laplace, %d bits", b);
    }
}

/* METHODS 11.13, on values weighted by the density. */
static void octav_table(void)
{
    static const double want[2][7] = {{1.738835, 2.161117, 2.562090, 2.937070, 3.287162, 3.615183, 3.924054},
                                      {2.873734, 3.913293, 5.034090, 6.206505, 7.413658, 8.645778, 9.896805}};
    size_t n = 400000;
    float *x = qs_xmalloc(2 * n * sizeof *x), *w = x + n;
    for (int kind = 0; kind < 2; kind++) {
        double top = kind ? 30 : 9;
        for (size_t i = 0; i < n; i++) {
            x[i] = (float)(-top + 2 * top * ((double)i + 0.5) / (double)n);
            w[i] = (float)(kind ? exp(-fabs(x[i])) : exp(-0.5 * (double)x[i] * x[i]));
        }
        qs_index *ix = qs_index_new(x, n, w, NULL, NULL);
        for (int b = 2; b <= 8; b++)
            near(qs_octav_clip(ix, b, true), want[kind][b - 2], 1e-4, "OCTAV, %s, %d bits", kind ? "Laplace"
                 : "normal", b);
        qs_index_unref(ix);
    }
    free(x);
}

static bool finite_result(const qs_init_out *o, const qs_format *f)
{
    return isfinite(o->step) && (o->step > 0 || (f->flip && o->step != 0)) && (float)o->step != 0 &&
        isfinite(o->offset) &&
           isfinite((float)(o->step * f->cmax));
}

/* Zero, constant, single, subnormal, huge, mixed with NaN and infinity: every rule gives a quantizer that works. */
static void degenerate(void)
{
    static const struct { const char *name; size_t n; float x[4]; const char *note; } data[] = {
        {"zeros", 3, {0, -0.0f, 0}, "every value is 0"}, {"one value", 1, {2.5f}, "single value"},
            {"constant", 4, {-3, -3, -3, -3}, "every value is -3"},
        {"subnormal", 3, {1e-42f, -3e-43f, 0}, "subnormal"}, {"smallest", 2, {1e-45f, -1e-45f}, "subnormal"},
            {"huge", 3, {3e38f, -1e38f, 1}, NULL},
        {"largest", 2, {FLT_MAX, -FLT_MAX}, NULL},
        {"all largest", 4, {FLT_MAX, FLT_MAX, FLT_MAX, FLT_MAX}, "every value is 3.403e+38"},
        {"ends", 4, {3.4e38f, -3.4e38f, 1, 0}, NULL}, {"range", 4, {1e-38f, 1e38f, -1, 1e-3f}, NULL},
            {"nan", 4, {NAN, 1, -2, INFINITY}, "2 NaN"},
        {"negative", 3, {-1, -2, -4}, NULL}, {"positive", 3, {1, 2, 4}, NULL}, {"two values", 4, {1, -1, 1, -1}, NULL},
    };
    static const char *const formats[] = {"int2", "int4", "int8", "int16", "int4:narrow:away", "int4:flip", "uint1",
                                          "uint4", "uint8:flip", "int4+offset",
        "int4+zp", "uint4+zp", "uint8+offset", "int4:flip+zp", "pot4", "apot3", "apot4", "uapot4", "nf4", "nf4+zp",
            "fp4",
            "fp8e4m3", "fp8e5m2", "codebook(-1;1)",
        "codebook(0)", "codebook(2)", "codebook(1;2)", "codebook(-3;-1)"};
    int cases = 0, bad = 0, notes = 0;
    const size_t every = TAP_SANITIZED ? 4 : 1;    /* slow there */
    for (size_t d = 0; d < sizeof data / sizeof *data; d++) {
        qs_index *ix = qs_index_new(data[d].x, data[d].n, NULL, NULL, NULL);
        for (size_t i = d % every; i < sizeof formats / sizeof *formats; i += every)
            for (size_t k = 0; k < qs_init_count() + 2; k++)
                for (int role = 0; role < 2; role++) {
                    const char *init = k < qs_init_count() ? qs_init_at(k)->name : k == qs_init_count() ? "lp:1" : "lp:4";
                    if (qs_init_named(init)->flags & QS_INIT_NETWORK) continue;
                    qs_init_out out;
                    qs_err e = {0};
                    qs_init_opts o = {.role = (qs_role)role};
                    qs_format *f = qs_format_parse(formats[i], NULL);
                    int rc = qs_init_index(init, ix, f, &o, NULL, &out, &e);
                    if (rc == -QS_EUNSUP) {
                        qs_format_free(f);
                        continue;
                    }
                    const qs_format *with = !rc && out.f ? out.f : f;
                    qs_quantizer *q = rc ? NULL : qs_quantizer_new(with, NULL, 1, &out.step, &out.offset, &e);
                    bool good = q && finite_result(&out, with);
                    if (good) {
                        qs_grid g;
                        qs_qerror err;
                        qs_grid_init(&g, q, 0);
                        qs_error_index(&g, ix, &err, NULL);
                        good = isfinite(err.mse) && err.mse >= 0 && !isnan(err.nmse) && !isnan(err.sqnr_db) &&
                            isfinite(err.bias);
                        qs_qerror_clear(&err);
                        qs_grid_clear(&g);
                    }
                    cases++;
                    bad += !good;
                    if (!good) printf("# %s, %s, %s: rc %d step %g offset %g %s\n", data[d].name, formats[i],
                                      init, rc, out.step, out.offset, e.msg);
                    if (good && data[d].note && !strstr(out.note, data[d].note) && !out.f && f->cmax > 0 && notes++ < 5)
                        printf("# %s, %s, %s: note \"%s\"\n", data[d].name, formats[i], init, out.note);
                    if (!rc) qs_format_free(out.f);
                    qs_quantizer_unref(q);
                    qs_format_free(f);
                }
        qs_index_unref(ix);
    }
    ok(cases > 5000 / (int)every && bad == 0, "%d degenerate cases give a quantizer that works", cases);
    ok(notes == 0, "and say what is odd about the data");
}

static int fixed_fit(const qs_init_in *in, qs_init_out *out, qs_err *err)
{
    (void)err;
    out->step = *(double *)in->ctx * qs_index_absmax(in->ix);
    return 0;
}

static int failing_fit(const qs_init_in *in, qs_init_out *out, qs_err *err)
{
    (void)in, (void)out;
    return qs_fail(err, QS_ESTATE, "not today");
}

static void registry(void)
{
    static double factor = 0.25;
    size_t n = qs_init_count();
    qs_err e = {0};
    qs_init row = {.name = "mine", .doc = "a test", .fit = fixed_fit, .ctx = &factor}, taken = row, bad = row;
    taken.name = "lsq";
    bad.name = "a b";
    ok(!qs_init_register(&row, &e) && qs_init_count() == n + 1, "a row of our own");
    ok(qs_init_register(&taken, &e) == -QS_EARG && strstr(e.msg, "built in"), "not over a built-in one");
    ok(qs_init_register(&bad, &e) == -QS_EARG, "not with a space");
    qs_index *ix = qs_index_new(x11, 11, NULL, NULL, NULL);
    near(fit("mine", ix, "int4", 0).step, 2.6 / 4, 1e-7, "it is found by name");
    factor = -1;
    ok(fit("mine", ix, "int4", 0).step > 0 && strstr(fit("mine", ix, "int4", 0).note, "mine gives the step"),
       "a step < 0 is mended and told");
    factor = 0.5;
    row.doc = "again";
    ok(!qs_init_register(&row, &e) && qs_init_count() == n + 1 && !strcmp(qs_init_named("mine")->doc, "again"),
       "replaced by the same name");
    row.name = "failing";
    row.fit = failing_fit;
    qs_init_register(&row, &e);
    qs_index_unref(ix);
    static const struct { const char *name; const char *says; } wrong[] = {
        {"nothing", "no initialization"}, {"pact:one", "no variant"}, {"apot:cifar", "no variant"}, {"lsq:x", "no variant"}, {"lsq+:", "no variant"}, {"lsq+:2", "no variant"},
            {"percentile:abc", "no variant"},
        {"percentile:-3", "no variant"}, {"minmax:a-variant-much-too-long-for-the-room", "no variant"},
            {"", "no initialization"},
    };
    qs_init_out out;
    qs_format *f = qs_format_parse("int4", NULL), *i6 = qs_format_parse("int6", NULL), *u4 =
        qs_format_parse("uint4", NULL);
    ix = qs_index_new(x11, 11, NULL, NULL, NULL);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        bool good = qs_init_index(wrong[i].name, ix, f, NULL, NULL, &out, &e) == -QS_EARG &&
            strstr(e.msg, wrong[i].says);
        if (!good) printf("# %s\n", e.msg);
        ok(good, "\"%s\": %s", wrong[i].name, wrong[i].says);
    }
    ok(qs_init_index("percentile:40", ix, f, NULL, NULL, &out, &e) == -QS_EARG, "percentile below 50");
    ok(qs_init_index("sawb", ix, i6, NULL, NULL, &out, &e) == -QS_EUNSUP && strstr(e.msg, "2, 3, 4, 5 and 8"),
       "sawb has no constants for 6 bits");
    ok(qs_init_index("sawb", ix, u4, NULL, NULL, &out, &e) == -QS_EUNSUP, "nor for unsigned formats");
    ok(qs_init_index("apot", ix, f, NULL, NULL, &out, &e) == -QS_EUNSUP, "apot starts APoT levels");
    qs_format_free(f), qs_format_free(i6), qs_format_free(u4);
    qs_index_unref(ix);
}

static qs_tensor *random_tensor(int64_t a, int64_t b, uint64_t seed, float **mem)
{
    qs_rng r;
    qs_rng_seed(&r, seed);
    qs_tensor *t = qs_tensor_f32("w", 2, (int64_t[]){a, b}, mem, NULL);
    for (size_t i = 0; i < t->n; i++) (*mem)[i] = (float)((1 + (double)(i / (size_t)b)) * qs_rng_normal(&r));
    return t;
}

static void tensors(void)
{
    float *x;
    qs_err e = {0};
    qs_tensor *t = random_tensor(12, 500, 1, &x);
    qs_format *f = qs_format_parse("int4@channel", NULL), *one = qs_format_parse("int4", NULL);
    for (int i = 0; i < 500; i++) x[3 * 500 + i] = 0;
    for (int i = 0; i < 500; i++) x[5 * 500 + i] = NAN;
    qs_quantizer *q = qs_init_tensor("lsq", t, f, NULL, NULL, NULL, &e);
    bool good = q && q->parts == 12 && q->step[3] == 1 && q->step[5] == 1;
    for (size_t p = 0; good && p < 12; p++) {
        qs_index *ix = p == 5 ? NULL : qs_index_new(x + 500 * p, 500, NULL, NULL, NULL);
        qs_init_out out;
        if (ix) good &= !qs_init_index("lsq", ix, one, NULL, NULL, &out, NULL) && out.step == q->step[p];
        qs_index_unref(ix);
    }
    ok(good, "a step for each channel, each from its own values");
    ok(q && q->note && strstr(q->note, "2 of 12 parts"),
       "two channels have no values worth the name, and the note says so");
    ok(q && !strcmp(q->init, "lsq") && q->source && strstr(q->source, "1902.08153") && q->formula && q->ms > 0,
       "where it comes from");
    qs_quantizer_unref(q);
    q = qs_init_tensor("lsq+", t, one, &(qs_init_opts){.variant = "2^b"}, NULL, NULL, &e);
    same(q ? q->init : NULL, "lsq+:2^b", "a divisor given as an option is part of the name");
    qs_quantizer_unref(q);
    q = qs_init_tensor("lloyd", t, one, NULL, NULL, NULL, &e);
    ok(q && !strcmp(q->f->base, "codebook") && q->f->n == 16, "lloyd brings its own format");
    qs_quantizer_unref(q);
    ok(!qs_init_tensor("lsq+:x", t, one, NULL, NULL, NULL, &e) && e.code == QS_EARG, "a variant that is not there");
    ok(!qs_init_tensor("lsq+", t, one, &(qs_init_opts){.variant = "x"}, NULL, NULL, &e) && e.code == QS_EARG,
       "nor as an option");
    ok(!qs_init_tensor("failing", t, f, NULL, NULL, NULL, &e) && e.code == QS_ESTATE && strstr(e.msg, "not today"),
       "a rule's own error comes through");

    float *w;
    qs_tensor *wt = random_tensor(12, 500, 2, &w), *other = random_tensor(500, 12, 2, &w);
    ok(!qs_init_tensor("mse", t, f, &(qs_init_opts){.weights = other}, NULL, NULL, &e) && e.code == QS_EARG,
       "weights of another shape");
    ok(!qs_init_tensor("mse", t, one, &(qs_init_opts){.weights = wt}, NULL, NULL, &e) && e.code == QS_ERANGE,
       "negative weights");
    for (size_t i = 0; i < t->n; i++) x[i] = NAN;
    ok(!qs_init_tensor("lsq", t, f, NULL, NULL, NULL, &e) && e.code == QS_ERANGE, "all NaN: ERANGE");
    ok(!qs_init_tensor("lsq", t, one, NULL, NULL, NULL, &e) && e.code == QS_ERANGE, "all NaN, one part: ERANGE");
    qs_tensor *empty = qs_tensor_f32("none", 2, (int64_t[]){0, 4}, &x, &e);
    ok(empty && !qs_init_tensor("lsq", empty, f, NULL, NULL, NULL, &e) && e.code == QS_ERANGE &&
       strstr(e.msg, "empty"), "empty: ERANGE");
    qs_tensor_unref(empty), qs_tensor_unref(t), qs_tensor_unref(wt), qs_tensor_unref(other);
    qs_format_free(f), qs_format_free(one);
}

static void comparisons(void)
{
    static const char *const formats[] = {"int4", "int3@channel", "uint4+zp@group64", "nf4", "apot4", "uint4",
                                          "int4+offset"};
    float *x;
    qs_err e = {0};
    qs_tensor *t = random_tensor(8, 640, 3, &x);
    qs_cache *cache = qs_cache_new(1 << 24);
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        qs_format *f = qs_format_parse(formats[i], NULL);
        qs_compare c = {0}, again = {0};
        int rc = qs_compare_tensor(t, f, NULL, 0, NULL, cache, NULL, &c, &e), bad = 0, seen = 0;
        for (size_t k = 0; k < c.n && !rc; k++) {
            qs_compare_row *r = &c.row[k];
            if (!strcmp(r->init, "failing")) {
                bad += r->code != QS_ESTATE || k + 1 != c.n;
                continue;
            }
            qs_qerror err;
            bad += r->code || qs_error_tensor(r->q, t, cache, NULL, &err, &e);
            bad += fabs(err.mse - r->mse) > 1e-8 * r->mse || fabs(err.clipped - r->clipped) > 1e-9 ||
                fabs(err.sqnr_db - r->sqnr_db) > 1e-6;
            qs_qerror_clear(&err);
            bad += k && c.row[k - 1].mse > r->mse;
            bad += !(r->mse_ratio > (f->offset == QS_OFFSET_REAL ? 0.99 : 1 - 1e-6)) || !(r->step_ratio > 0) ||
                !(r->ms >= 0) || !strcmp(r->init, "lloyd");
            if (!strcmp(r->init, "mse")) bad += r->step_ratio != 1 || r->mse_ratio != 1;
            seen += !strcmp(r->init, "mse") || !strcmp(r->init, "lsq");
            if (bad) printf("# %s %s %g %g\n", formats[i], r->init, r->mse_ratio, r->step_ratio);
        }
        ok(!rc && c.n >= 9 && seen == 2 && !bad, "%s: %zu rows, sorted, each as its quantizer measures", formats[i],
           c.n);
        qs_threads_set(1);
        rc = qs_compare_tensor(t, f, NULL, 0, NULL, NULL, NULL, &again, &e);
        qs_threads_set(3);
        for (size_t k = 0; k < c.n && k < again.n; k++) bad += c.row[k].code ? 0 : c.row[k].mse != again.row[k].mse ||
            c.row[k].step != again.row[k].step;
        ok(!rc && !bad, "%s: without a cache, on one thread: the same", formats[i]);
        qs_compare_clear(&c);
        qs_compare_clear(&again);
        qs_format_free(f);
    }
    qs_format *f = qs_format_parse("int4", NULL);
    qs_compare c;
    const char *names[] = {"nothing", "lsq", "lsq+:2^b", "apot", "lloyd"};
    ok(!qs_compare_tensor(t, f, names, 5, NULL, cache, NULL, &c, &e) && c.n == 5, "named ones, wrong ones too");
    same(c.row[0].init, "lloyd", "the optimal codebook is below the uniform optimum");
    ok(isnan(c.row[0].step_ratio) && c.row[0].mse_ratio < 1 && !strcmp(c.row[0].q->f->base, "codebook"),
       "a step of another format has no ratio");
    ok(c.row[3].code == QS_EUNSUP && c.row[4].code == QS_EARG && *c.row[3].error && *c.row[4].error,
       "those that cannot run say why, at the end");
    qs_compare_clear(&c);
    _Atomic uint64_t upto = 1;
    qs_ctl ctl = {.cancel_upto = &upto, .job = 1};
    ok(qs_compare_tensor(t, f, NULL, 0, NULL, cache, &ctl, &c, &e) == -QS_ECANCEL && !c.n, "cancelled");
    qs_cache_free(cache);
    qs_format_free(f);
    qs_tensor_unref(t);
}

/* ---- lp ------------------------------------------------------------------------------------- */
static double norm_error(const qs_format *f, const float *x, size_t n, double s, double beta, double p)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        double best = INFINITY;
        for (size_t k = 0; k < f->n; k++) best = fmin(best, fabs((double)x[i] - (s * (double)f->c[k] + beta)));
        sum += pow(best, p);
    }
    return sum / (double)n;
}

/* Brute force: nearest levels one by one, steps (and zero points, or offsets) on a fine grid. */
static double least_norm(const qs_format *f, const float *x, size_t n, double s, double beta, double p)
{
    double best = INFINITY;
    for (int i = -60; i <= 60; i++) {
        double t = s * exp(i / 60.0);
        for (int j = f->offset ? -8 : 0; j <= (f->offset ? 8 : 0); j++) {
            double b = f->offset == QS_OFFSET_ZP ? -t * (rint(-beta / s) + j) : beta + 0.1 * j * s;
            if (f->offset == QS_OFFSET_ZP && (rint(-beta / s) + j < 0 || rint(-beta / s) + j > f->n - 1)) continue;
            best = fmin(best, norm_error(f, x, n, t, b, p));
        }
    }
    return best;
}

static void norms(void)
{
    static const char *const formats[] = {"int2", "int4", "uint3", "apot4", "nf4", "fp4", "codebook(-3;-1;0;1;7)", "uint3+zp",
                                          "uint2+offset"};
    static const double ps[] = {1, 1.5, 3, 4};
    float x[400];
    qs_rng r;
    qs_rng_seed(&r, 5);
    for (int i = 0; i < 400; i++) {
        double v = qs_rng_normal(&r) * exp(0.5 * qs_rng_normal(&r));
        x[i] = (float)v;
    }
    qs_index *ix = qs_index_new(x, 400, NULL, NULL, NULL);
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        qs_format *f = qs_format_parse(formats[i], NULL);
        double worst = 0;
        bool fine = true;
        for (size_t k = 0; k < sizeof ps / sizeof *ps; k++) {
            qs_init_out out = {0};
            qs_err e = {0};
            char name[16];
            snprintf(name, sizeof name, "lp:%g", ps[k]);
            fine &= !qs_init_index(name, ix, f, NULL, NULL, &out, &e);
            double got = norm_error(f, x, 400, out.step, out.offset, ps[k]);
            worst = fmax(worst, got / least_norm(f, x, 400, out.step, out.offset, ps[k]));
        }
        ok(fine && worst < 1.005, "lp, %s: within 0.5 %% of brute force near it (%.2f %%)", formats[i], 100 * (worst - 1));
        qs_init_out two = {0}, mse = {0};
        qs_init_index("lp:2", ix, f, NULL, NULL, &two, NULL);
        qs_init_index("mse", ix, f, NULL, NULL, &mse, NULL);
        ok(two.step == mse.step && two.offset == mse.offset, "lp:2, %s: is mse", formats[i]);
        qs_format_free(f);
    }
    qs_index_unref(ix);
}

/* The best of all steps, not one near a start: against the whole range. */
static void far_norms(void)
{
    float x[600];
    qs_rng r;
    int bad = 0;
    qs_rng_seed(&r, 6);
    qs_format *f = qs_format_parse("int3", NULL);
    for (int t = 0; t < 20; t++) {
        for (int i = 0; i < 600; i++) {
            double v = (i % 3 ? 1 : 6) * qs_rng_normal(&r) + (i % 5 ? 0 : 9);
            x[i] = (float)v;
        }
        qs_index *ix = qs_index_new(x, 600, NULL, NULL, NULL);
        double p = 1 + 0.25 * t, best = INFINITY;
        char name[16];
        qs_init_out out = {0};
        snprintf(name, sizeof name, "lp:%g", p);
        qs_init_index(name, ix, f, NULL, NULL, &out, NULL);
        for (double s = 0.05; s < 20; s *= 1.01) best = fmin(best, norm_error(f, x, 600, s, 0, p));
        bad += norm_error(f, x, 600, out.step, 0, p) > 1.005 * best;
        qs_index_unref(ix);
    }
    qs_format_free(f);
    ok(!bad, "lp: the least over all steps, norms from 1 to 5.75");
}

static void of_networks(void)
{
    const float x[] = {1, 2, 3};
    static const char *const name[] = {"adaptive", "lapq"};
    qs_index *ix = qs_index_new(x, 3, NULL, NULL, NULL);
    qs_format *f = qs_format_parse("int4", NULL);
    for (int i = 0; i < 2; i++) {
        qs_init_out out;
        qs_err e = {0};
        int rc = qs_init_index(name[i], ix, f, NULL, NULL, &out, &e);
        ok(rc == -QS_ESTATE && strstr(e.msg, "needs a network and calibration data") && strstr(e.msg, name[i]), "%s", e.msg);
    }
    qs_err e = {0};
    qs_init_out out;
    ok(qs_init_index("lp:0", ix, f, NULL, NULL, &out, &e) == -QS_EARG, "lp:0: %s", e.msg);
    ok(qs_init_index("lp:17", ix, f, NULL, NULL, &out, &e) == -QS_EARG, "lp:17: %s", e.msg);
    ok(qs_init_index("lp:two", ix, f, NULL, NULL, &out, &e) == -QS_EARG, "lp:two: %s", e.msg);
    qs_format_free(f);
    qs_index_unref(ix);
}

int main(void)
{
    rules();
    norms();
    far_norms();
    of_networks();
    aciq_table();
    octav_table();
    if (!TAP_THREADS_ONLY) degenerate();
    registry();
    tensors();
    comparisons();
    return done();
}
