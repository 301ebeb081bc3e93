/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Block formats: numbers that scales are kept in, quantizers that keep them, the best step among them, codes by pick. */
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/rng.h"
#include "num/kernels.h"
#include "quant/grid.h"
#include "quant/init.h"
#include "../tap.h"

/* ---- the numbers ------------------------------------------------------------------------------- */
/* All positive numbers of a type, ascending: by the bits of their codes. */
static size_t all_of(qs_scale type, double *v)
{
    size_t n = 0;
    if (type == QS_SCALE_F16)
        for (uint16_t h = 1; h < 0x7c00; h++) {
            float x;
            qs_num()->f16(&h, 1, &x);
            v[n++] = x;
        }
    if (type == QS_SCALE_E8M0)
        for (int e = -127; e <= 127; e++) v[n++] = ldexp(1, e);
    if (type == QS_SCALE_E4M3)
        for (int code = 1; code < 127; code++)
            v[n++] = code < 8 ? ldexp(code, -9) : ldexp(8 + code % 8, code / 8 - 10);
    return n;
}

/* Nearest, of two the even code; its neighbours. */
static size_t nearest(const double *v, size_t n, double s)
{
    size_t best = 0;
    for (size_t i = 1; i < n; i++) {
        double a = fabs(v[i] - s), b = fabs(v[best] - s);
        if (a < b || (a == b && i % 2 == 1)) best = i; /* v[i] has code i + 1 */
    }
    return best;
}

static void numbers(void)
{
    static double v[32768];
    qs_rng r = {0};
    qs_rng_seed(&r, 5);
    for (qs_scale type = QS_SCALE_F16; type < QS_SCALES; type++) {
        size_t n = all_of(type, v), bad = 0;
        const char *name = qs_scale_types[type].name;
        for (int i = 0; i < (TAP_SANITIZED ? 100 : 400); i++) {
            size_t at = (size_t)(qs_rng_uniform(&r) * (double)(n - 1));
            double s = (float)(i % 4 == 0 ? v[at] : i % 4 == 1 ? (v[at] + v[at + 1]) / 2 : v[at] + (v[at + 1] - v[at]) * qs_rng_uniform(&r));
            double below, above, want = v[nearest(v, n, s)];
            if (type == QS_SCALE_E8M0) want = s / v[at] > 1.5 || (s / v[at] == 1.5) ? v[at + 1] : v[at];
            if (i % 4 == 0) want = v[at];
            qs_scale_around(type, 1, -s, &below, &above);
            bool good = qs_scale_near(type, 1, s) == want && -below <= s && -above >= s && -above <= v[at + 1] && -below >= v[at];
            if (!good) printf("# %s: %.9g is kept as %.9g, want %.9g (%.9g, %.9g)\n", name, s, qs_scale_near(type, 1, s), want, below, above);
            bad += !good;
        }
        ok(bad == 0, "%s: nearest of all %zu numbers, ties to even, and the neighbours", name, n);
        ok(qs_scale_near(type, 1, 1e-45) == v[0] && qs_scale_near(type, 1, -3e38) == -v[n - 1], "%s: held at its ends", name);
    }
    ok(qs_scale_near(QS_SCALE_F32, 1, 0.3) == 0.3, "without a type a step is what it is");
    ok(qs_scale_unit(QS_SCALE_F16, 5, 8) == 1 && qs_scale_unit(QS_SCALE_E4M3, 0, 6) == 1, "units are for e4m3");
    near(qs_scale_unit(QS_SCALE_E4M3, 2688, 6), 1, 0, "largest value, largest level, largest scale");
    ok(qs_scale_offset(QS_SCALE_F16, -1e-9) == 0 && qs_scale_offset(QS_SCALE_F16, 1e9) == 65504 && qs_scale_offset(QS_SCALE_F16, -0.1f) == -0.0999755859375,
       "an offset may be 0");
}

/* ---- quantizers keep them ------------------------------------------------------------------------ */
static void quantizers(void)
{
    qs_err e = {0};
    qs_split s = {.kind = QS_SPLIT_GROUP, .group = 32, .parts = 3, .contiguous = true};
    const double step[] = {0.1, 0.3, 1e-9}, offset[] = {0.1, -0.3, 0}, zp[] = {-0.5, 0, 0};
    qs_format *f = qs_format_parse("q4_1", &e);
    qs_quantizer *q = qs_quantizer_new(f, &s, 3, step, offset, &e);
    ok(q && q->step[0] == 0.0999755859375 && q->offset[1] == -0.300048828125 && q->step[2] == 0x1p-24, "q4_1: half precision %s", e.msg);
    qs_quantizer_unref(q);
    qs_format_free(f);
    f = qs_format_parse("uint4:scale=f16+zp@group32", &e);
    q = qs_quantizer_new(f, &s, 3, step, zp, &e);
    ok(q && q->step[0] == 0.0999755859375 && q->offset[0] == -5 * q->step[0], "a zero point stays the same integer %s", e.msg);
    qs_quantizer_unref(q);
    qs_format_free(f);
    f = qs_format_parse("nvfp4", &e);
    q = qs_quantizer_new(f, &s, 3, step, NULL, &e);
    bool good = q && fabs(q->step[1] / 0.3 - 1) < 1e-7 && q->step[0] != 0.1 && fabs(q->step[0] / 0.1 - 1) < 0.04;
    ok(good && q->step[2] == (double)((float)0x1p-9 * (float)q->unit), "nvfp4: the largest step is kept, the others in its unit");
    qs_quantizer *again = q ? qs_quantizer_new(f, &s, 3, q->step, NULL, &e) : NULL;
    ok(again && again->step[0] == q->step[0] && again->step[1] == q->step[1] && again->step[2] == q->step[2], "and stay so");
    qs_quantizer_unref(again);
    qs_quantizer_unref(q);
    qs_format_free(f);
}

/* ---- the best among them --------------------------------------------------------------------------- */
static double mse_with(const qs_format *f, const qs_index *ix, double step)
{
    qs_grid g;
    qs_qerror e;
    qs_grid_at(&g, f, step, 0);
    qs_grid_levels(&g);
    qs_error_index(&g, ix, &e, NULL);
    qs_grid_clear(&g);
    qs_qerror_clear(&e);
    return e.mse;
}

static void fill(float *x, size_t n, int kind, qs_rng *r)
{
    for (size_t i = 0; i < n; i++) {
        double u = qs_rng_uniform(r) - 0.5;
        x[i] = (float)(kind == 0 ? qs_rng_normal(r) * 0.03 : kind == 1 ? u : kind == 2 ? u * u * u * 1e3 : (i ? u * 1e-4 : 7));
    }
}

/* Against every number of the type that could be a step. */
static void least_squares(const char *format, double slack)
{
    static double v[32768];
    qs_err e = {0};
    qs_format *f = qs_format_parse(format, &e);
    size_t n = all_of(f->scale, v), worse = 0;
    double most = 1;
    qs_rng r = {0};
    qs_rng_seed(&r, 9);
    for (int i = 0; i < (TAP_SANITIZED ? 8 : 40); i++) {
        float x[32];
        fill(x, 32, i % 4, &r);
        qs_index *ix = qs_index_new(x, 32, NULL, NULL, &e);
        qs_init_out o;
        double unit = qs_scale_unit(f->scale, qs_index_absmax(ix), f->cmax), best = INFINITY;
        int rc = qs_init_index("mse", ix, f, NULL, NULL, &o, &e);
        for (size_t k = 0; k < n; k += 1 + (n > 1000 && v[k] < fabs(o.step) / 8) * 16)
            for (int sign = 1; sign >= (f->flip ? -1 : 1); sign -= 2)
                if (isfinite((float)(v[k] * unit * f->cmax))) best = fmin(best, mse_with(f, ix, sign * v[k] * unit));
        double got = mse_with(f, ix, o.step);
        worse += rc || got > best * slack + 1e-300 || qs_scale_near(f->scale, unit, o.step) != o.step;
        if (best > 0) most = fmax(most, got / best);
        qs_index_unref(ix);
    }
    ok(worse == 0, "%s: mse is a step that can be kept, and the best (%zu are not, %.3g)", format, worse, most);
    qs_format_free(f);
}

/* ---- codes by pick ------------------------------------------------------------------------------------ */
static int32_t rank_of(const qs_grid *g, float x)
{
    int32_t r;
    qs_grid_rank(g, &x, 1, &r);
    return r;
}

/* The formula of the reference, in its own arithmetic; the number of the level, ascending. */
static int reference_rank(const qs_format *f, float x, float d, float m)
{
    float id = 1 / d, u = (x - m) * id;
    if (!f->flip && !f->offset) {
        float c = roundf(u);
        return (int)fminf(fmaxf(c, (float)-f->qn), (float)f->qp) + f->qn;
    }
    float v = u + ((float)f->qn + 0.5f);
    int code = v < 0 ? 0 : (int)v, last = (int)f->n - 1;
    code = code > last ? last : code;
    return d < 0 ? last - code : code;
}

static void picks(void)
{
    static const char *const formats[] = {"q4_0", "q4_1", "q5_0", "q5_1", "q8_0"};
    static const float steps[] = {0.1f, 0.037f, 1e-3f, 3.3333f, 1.0f, 1e-20f};
    qs_rng r = {0};
    qs_rng_seed(&r, 3);
    for (size_t i = 0; i < 5; i++) {
        qs_format *f = qs_format_parse(formats[i], NULL);
        size_t bad = 0, cuts = 0;
        for (size_t j = 0; j < 12; j++) {
            float d = steps[j % 6], m = f->offset ? -1.7f * d : 0;
            if (j >= 6 && !f->flip) break;
            if (j >= 6) d = -d;
            qs_grid g;
            qs_grid_at(&g, f, (double)d * 1.0004, (double)m);
            qs_grid_pick(&g, d, m);
            for (size_t k = 0; k + 1 < g.n; k++) {
                float x = qs_grid_cut(&g, k);
                cuts += rank_of(&g, x) != (int32_t)k + 1 || rank_of(&g, nextafterf(x, -INFINITY)) != (int32_t)k;
                for (int side = -2; side <= 2; side++) { /* around the point where codes change */
                    float at = ((float)k + 0.5f - (float)f->qn) * fabsf(d) + m, y = at + (float)side * 6e-8f * fabsf(at);
                    bad += rank_of(&g, y) != reference_rank(f, y, d, m);
                }
            }
            for (int k = 0; k < 400; k++) {
                float y = (float)((qs_rng_uniform(&r) - 0.5) * 1.3 * (double)g.n) * d + m;
                bad += rank_of(&g, y) != reference_rank(f, y, d, m);
            }
            qs_grid_clear(&g);
        }
        ok(bad == 0, "%s: codes as the reference's arithmetic has them (%zu are not)", formats[i], bad);
        ok(cuts == 0, "%s: the cuts are where codes change (%zu are not)", formats[i], cuts);
        qs_format_free(f);
    }
}

/* Of a value and its negative, both farthest from 0, the first in the block sets the sign. */
static void first_farthest(void)
{
    float *x;
    const int64_t shape[] = {2, 32};
    qs_err e = {0};
    qs_tensor *t = qs_tensor_f32("w", 2, shape, &x, &e);
    for (int i = 0; i < 64; i++) x[i] = (float)i * 1e-3f;
    x[3] = 8, x[7] = -8;
    x[35] = -8, x[39] = 8;
    qs_format *f = qs_format_parse("q4_0", &e);
    qs_quantizer *q = qs_init_tensor("ggml", t, f, NULL, NULL, NULL, &e);
    ok(q && q->step[0] == -1 && q->step[1] == 1, "the first of two sets the sign %s", e.msg);
    qs_quantizer_unref(q);
    qs_format_free(f);
    f = qs_format_parse("int4@group32", &e);
    q = qs_init_tensor("ggml", t, f, NULL, NULL, NULL, &e);
    ok(!q && e.code == QS_EUNSUP && strstr(e.msg, "q4_0"), "ggml is for its own formats: %s", e.msg);
    q = qs_init_tensor("ocp", t, f, NULL, NULL, NULL, &e);
    ok(!q && e.code == QS_EUNSUP && strstr(e.msg, "mxfp4"), "ocp too: %s", e.msg);
    qs_format_free(f);
    qs_tensor_unref(t);
}

int main(void)
{
    numbers();
    quantizers();
    least_squares("mxfp4", 1);
    least_squares("int4:flip:scale=e8m0@group32", 1);
    least_squares("int8:scale=e8m0@group32", 1);
    least_squares("nvfp4", 1);
    least_squares("codebook(1;2;4):scale=e4m3@group32", 1);
    least_squares("q4_0", 1.0005);
    picks();
    first_farthest();
    return done();
}
