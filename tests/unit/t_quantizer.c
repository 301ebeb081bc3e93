/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/rng.h"
#include "quant/allot.h"
#include "quant/grid.h"
#include "../tap.h"

static const char *const all[] = {
    "int2", "int3", "int4", "int5", "int6", "int7", "int8", "int16", "uint1", "uint2", "uint4", "uint8", "uint16",
    "int4:narrow", "int4:away", "int4:flip", "int8:narrow:away:flip", "uint4:away", "uint4:flip", "int4+offset",
        "int4+zp",
    "uint4+zp", "uint8+zp", "uint4:flip+zp", "uint3:away+zp", "int5:narrow+zp", "pot2", "pot4", "pot8", "apot2",
        "apot3",
    "apot4", "apot5", "apot6", "apot7", "uapot2", "uapot4", "uapot6", "nf4", "nf4:flip", "nf4+offset", "nf4+zp", "fp4",
    "fp4:away", "fp4+zp", "fp8e4m3", "fp8e5m2", "codebook(-1;0;1)", "codebook(-1;1)", "codebook(1;2;5)",
        "codebook(0.7)",
    "codebook(-3;-1;1;3):away", "codebook(-1;0;2):flip+offset",
};
enum { ALL = sizeof all / sizeof *all };

static const struct { double step, offset; } places[] = {{1, 0}, {0.1, 0.3}, {0.0371, -2}, {-0.3, 0.05}, {3e-3, 1e-3},
                                                         {1e30, 1e29}, {1e-40, 0}};

/* One grid of a format at a place, or false where the place does not suit it. */
static bool place(qs_grid *g, const char *text, size_t i, qs_format **f)
{
    *f = qs_format_parse(text, NULL);
    double step = places[i].step, offset = (*f)->offset ? places[i].offset : 0, lo, hi;
    bool good = step > 0 || (*f)->flip;
    if ((*f)->offset == QS_OFFSET_ZP) {
        qs_format_zp_range(*f, &lo, &hi);
        double z = rint(-offset / step);
        offset = -step * (z < lo ? lo : z > hi ? hi : z);
    }
    qs_quantizer *q = good ? qs_quantizer_new(*f, NULL, 1, &step, &offset, NULL) : NULL;
    if (!q) {
        qs_format_free(*f);
        return false;
    }
    qs_grid_init(g, q, 0);
    qs_quantizer_unref(q);
    qs_format *own = *f;
    g->f = own;
    if (!g->own) g->c = own->c, g->t = own->t, g->up = own->up;
    return true;
}

static size_t samples(const qs_grid *g, qs_rng *r, float *x)
{
    size_t n = 0;
    double lo = g->lv[0], hi = g->lv[g->n - 1], span = hi - lo + g->s;
    for (int i = 0; i < 200; i++) x[n++] = (float)(lo - span / 2 + 2 * span * qs_rng_uniform(r));
    for (int i = 0; i < 40; i++) x[n++] = (float)(qs_rng_normal(r) * g->s + g->beta);
    for (int i = 0; i < 30; i++) x[n++] = g->lv[qs_rng_next(r) % g->n];
    for (int i = 0; i < 30 && g->n > 1; i++) x[n++] = g->t[qs_rng_next(r) % (g->n - 1)] * g->s + g->beta;
    const float special[] = {0, -0.0f, INFINITY, -INFINITY, FLT_MAX, -FLT_MAX, FLT_MIN, -1e-45f};
    for (size_t i = 0; i < sizeof special / sizeof *special; i++) x[n++] = special[i];
    return n;
}

static void properties(void)
{
    int grids = 0, levels = 0, near_bad = 0, again = 0, order = 0, codes = 0, cuts = 0;
    qs_rng r;
    qs_rng_seed(&r, 1);
    for (size_t a = 0; a < ALL; a++)
        for (size_t p = 0; p < sizeof places / sizeof *places; p++) {
            qs_grid g;
            qs_format *f;
            float x[400], y[400], y2[400];
            int32_t rank[400], code[400];
            if (!place(&g, all[a], p, &f)) continue;
            grids++;
            bool tiny = g.s < 1e-38f || fabsf(g.beta) > 1e6f * g.s;    /* levels share ulps there */
            for (size_t k = 0; k + 1 < g.n; k++) levels += tiny ? g.lv[k] > g.lv[k + 1] : g.lv[k] >= g.lv[k + 1];
            size_t n = samples(&g, &r, x);
            qs_grid_apply(&g, x, n, y);
            qs_grid_apply(&g, y, n, y2);
            qs_grid_rank(&g, x, n, rank);
            qs_grid_encode(&g, x, n, code);
            for (size_t i = 0; i < n; i++) {
                double best = INFINITY;
                for (size_t k = 0; k < g.n; k++) best = fmin(best, fabs((double)x[i] - g.lv[k]));
                double slack = isfinite(x[i]) ? 4e-7 * (fabs((double)x[i]) + fabs((double)g.beta) + fabs(y[i])) + 2e-45
                    : INFINITY;
                near_bad += !(fabs((double)x[i] - y[i]) <= best + slack);
                again += y2[i] != y[i] && !tiny;
                codes += y[i] != g.lv[rank[i]];
                bool integer = !strncmp(f->base, "int", 3) || !strncmp(f->base, "uint", 4);
                int32_t want = (g.mirrored ? (int32_t)g.n - 1 - rank[i] : rank[i]) - (integer ? f->qn : 0);
                codes += code[i] != want;
                for (size_t j = 0; j < i; j += 37) order += (x[i] < x[j] && y[i] > y[j]);
            }
            for (size_t k = 0; k + 1 < g.n; k += g.n > 300 ? 1009 : 1) {
                float v = qs_grid_cut(&g, k), at[2] = {v, nextafterf(v, -INFINITY)};
                int32_t side[2];
                qs_grid_rank(&g, at, 2, side);
                cuts += isinf(v) ? v < 0 : (size_t)side[0] < k + 1 || (isfinite(at[1]) && (size_t)side[1] > k);
            }
            qs_grid_clear(&g);
            qs_format_free(f);
        }
    ok(grids > 250 && levels == 0, "levels ascend, %d grids", grids);
    ok(near_bad == 0, "Q(x) is the nearest level");
    ok(again == 0, "Q(Q(x)) = Q(x)");
    ok(order == 0, "Q is monotone");
    ok(codes == 0, "values, ranks and codes agree");
    ok(cuts == 0, "a cut is the smallest value that goes up");
}

static void nan_stays(void)
{
    for (size_t i = 0; i < 3; i++) {
        qs_format *f = qs_format_parse(((const char *[]){"int4", "nf4", "uint4+zp"})[i], NULL);
        qs_quantizer *q = qs_quantizer_new(f, NULL, 1, &(double){0.5}, NULL, NULL);
        qs_grid g;
        float x[3] = {NAN, 1, -NAN}, y[3];
        int32_t c[3];
        qs_grid_init(&g, q, 0);
        qs_grid_apply(&g, x, 3, y);
        qs_grid_encode(&g, x, 3, c);
        ok(isnan(y[0]) && isnan(y[2]) && y[1] > 0 && c[0] == c[2], "%s: NaN stays NaN", f->text);
        qs_grid_clear(&g);
        qs_quantizer_unref(q);
        qs_format_free(f);
    }
}

/* METHODS 11.11 (without the formats whose scale has a type of its own). */
static void vector_11_11(void)
{
    float x[] = {.11f, -.42f, .9f, -1.7f, 2.4f, -3.1f, 5.2f, -7.9f}, y[8];
    const float want[] = {0, -.5f, 1, -1.5f, 2, -3, 6, -6};
    int32_t c[8], bad = 0;
    qs_format *f = qs_format_parse("fp4", NULL);
    qs_grid g;
    qs_grid_at(&g, f, 1, 0);
    qs_grid_apply(&g, x, 8, y);
    for (int i = 0; i < 8; i++) bad += y[i] != want[i];
    ok(!bad, "11.11: E2M1 with scale 1");
    qs_grid_clear(&g);
    qs_format_free(f);
    f = qs_format_parse("int8:narrow:away", NULL);
    const int32_t q8[] = {2, -7, 14, -27, 39, -50, 84, -127}, q4[] = {8, 8, 9, 6, 10, 5, 13, 0};
    qs_grid_at(&g, f, 7.9f / 127, 0);
    qs_grid_encode(&g, x, 8, c);
    bad = 0;
    for (int i = 0; i < 8; i++) bad += c[i] != q8[i];
    ok(!bad, "11.11: Q8_0 codes");
    qs_grid_clear(&g);
    qs_format_free(f);
    f = qs_format_parse("int4:flip", NULL);
    qs_grid_at(&g, f, .9875, 0);
    qs_grid_encode(&g, x, 8, c);
    bad = 0;
    for (int i = 0; i < 8; i++) bad += c[i] + 8 != q4[i];
    ok(!bad, "11.11: Q4_0 codes");
    qs_grid_clear(&g);
    qs_format_free(f);
}

static void refused(void)
{
    static const struct { const char *f; double step, offset; const char *says; } t[] = {
        {"int4", 0, 0, "finite number > 0"}, {"int4", -1, 0, "> 0"}, {"int4", NAN, 0, "nan"},
            {"int4", INFINITY, 0, "inf"},
        {"int4:flip", 0, 0, "other than 0"}, {"int4", 1e-50, 0, "is 0 in float32"}, {"int4", 1e39, 0, "beyond float32"},
        {"int8", 1e37, 0, "beyond float32"}, {"int4", 1, 0.5, "has no offset"}, {"uint4+zp", 1, -16, "zero point 16"},
        {"uint4+zp", 1, 1, "0 .. 15"}, {"int4+offset", 1, 1e39, "offset 1"}, {"int4+offset", 1, NAN, "offset 1"},
    };
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        qs_err e = {0};
        qs_format *f = qs_format_parse(t[i].f, NULL);
        qs_quantizer *q = qs_quantizer_new(f, NULL, 1, &t[i].step, &t[i].offset, &e);
        if (q || !strstr(e.msg, t[i].says)) printf("# %s\n", e.msg);
        ok(!q && e.code == QS_EARG && strstr(e.msg, t[i].says), "%s step %g offset %g", t[i].f, t[i].step, t[i].offset);
        qs_quantizer_unref(q);
        qs_format_free(f);
    }
    qs_format *f = qs_format_parse("uint4+zp", NULL);
    qs_quantizer *q = qs_quantizer_new(f, NULL, 1, &(double){0.5}, &(double){-3.1}, NULL);
    ok(q && q->offset[0] == -3, "a zero point's offset is rounded to -step z");
    qs_quantizer_unref(q);
    qs_format_free(f);
}

/* The tensor functions do part by part what a grid does to gathered values. */
static void tensors(void)
{
    static const char *const formats[] = {"int4", "int4@channel", "int4@channel1", "nf4@channel2", "uint4+zp@group7",
                                          "int3+offset@group64"};
    int64_t shape[] = {6, 5, 8};
    float *mem;
    qs_err e = {0};
    qs_rng r;
    qs_rng_seed(&r, 2);
    qs_tensor *t = qs_tensor_f32("w", 3, shape, &mem, &e);
    for (size_t i = 0; i < t->n; i++) mem[i] = (float)qs_rng_normal(&r);
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        qs_format *f = qs_format_parse(formats[i], NULL);
        qs_split s;
        qs_format_split(f, t, &s, NULL);
        double step[240], offset[240];
        for (size_t p = 0; p < s.parts; p++) {
            step[p] = 0.1 + 0.01 * (double)p;
            offset[p] = f->offset == QS_OFFSET_ZP ? -step[p] * (double)(p % 16) : f->offset ? 0.1 * (double)p : 0;
        }
        qs_quantizer *q = qs_quantizer_new(f, &s, s.parts, step, offset, NULL);
        float out[240], x[240], y[240];
        int32_t code[240], c[240];
        int bad = !q || qs_quantizer_apply(q, t, out, NULL, &e) || qs_quantizer_encode(q, t, code, NULL, &e);
        for (size_t p = 0; p < s.parts && !bad; p++) {
            qs_grid g;
            size_t n = qs_split_len(&s, t, p);
            qs_split_gather(&s, t, p, x);
            qs_grid_init(&g, q, p);
            qs_grid_apply(&g, x, n, y);
            qs_grid_encode(&g, x, n, c);
            for (size_t k = 0; k < n; k++) {
                size_t at = qs_split_where(&s, t, p, k);
                bad += out[at] != y[k] || code[at] != c[k];
            }
            qs_grid_clear(&g);
        }
        ok(!bad, "%s: a tensor is its %zu parts", formats[i], s.parts);
        qs_quantizer_unref(q);
        qs_format_free(f);
    }
    qs_format *f = qs_format_parse("int4@channel", NULL);
    qs_quantizer *q = qs_quantizer_new(f, NULL, 2, (double[]){1, 1}, NULL, NULL);
    float out[240];
    ok(qs_quantizer_apply(q, t, out, NULL, &e) == -QS_EARG && strstr(e.msg, "2 steps") && strstr(e.msg, "needs 6"),
       "parts that do not fit");
    qs_quantizer_unref(q);
    qs_format_free(f);
    qs_tensor_unref(t);
}

/* 200,000 elements: chunks and threads make no difference. */
static void threads(void)
{
    int64_t n = 200000;
    float *mem, *a = qs_xmalloc((size_t)n * sizeof *a), *b = qs_xmalloc((size_t)n * sizeof *b);
    qs_rng r;
    qs_rng_seed(&r, 5);
    qs_tensor *t = qs_tensor_f32("w", 1, &n, &mem, NULL);
    for (int64_t i = 0; i < n; i++) mem[i] = (float)qs_rng_normal(&r);
    qs_format *f = qs_format_parse("nf4", NULL);
    qs_quantizer *q = qs_quantizer_new(f, NULL, 1, &(double){2.9}, NULL, NULL);
    qs_threads_set(1);
    qs_quantizer_apply(q, t, a, NULL, NULL);
    qs_threads_set(3);
    qs_quantizer_apply(q, t, b, NULL, NULL);
    ok(!memcmp(a, b, (size_t)n * sizeof *a), "one thread or three");
    _Atomic uint64_t upto = 1;
    qs_ctl ctl = {.cancel_upto = &upto, .job = 1};
    ok(qs_quantizer_apply(q, t, b, &ctl, NULL) == -QS_ECANCEL, "cancelled");
    qs_quantizer_unref(q);
    qs_format_free(f);
    qs_tensor_unref(t);
    free(a), free(b);
}

/* ---- channels with bits of their own, levels corrected ------------------------------------------- */
static int sum_of(const uint8_t *bits, size_t n)
{
    int sum = 0;
    for (size_t i = 0; i < n; i++) sum += bits[i];
    return sum;
}

/* round(2/3 log2 w + t) within 0 .. 8, for the shift t that gives so many bits in all; false: no shift gives them. */
static bool by_shift(const double *w, size_t n, int total, uint8_t *bits)
{
    for (double t = -40; t < 40; t += 1e-3) {
        for (size_t i = 0; i < n; i++) bits[i] = (uint8_t)fmax(0, fmin(8, rint(2.0 / 3 * log2(w[i]) + t)));
        if (sum_of(bits, n) == total) return true;
    }
    return false;
}

static void allotment(void)
{
    enum { N = 40 };
    double w[N];
    uint8_t bits[N], want[N];
    const double eight[4] = {1, 8, 64, 0};   /* two bits for every factor of 8 */
    qs_allot(eight, 4, 3, bits);
    ok(bits[0] == 2 && bits[1] == 4 && bits[2] == 6 && bits[3] == 0, "a channel 8 times as wide gets two bits more; nothing, none");
    for (int i = 0; i < 4; i++) w[i] = 0.3;
    qs_allot(w, 4, 5, bits);
    ok(bits[0] == 5 && bits[1] == 5 && bits[2] == 5 && bits[3] == 5, "equal channels: the same bits");
    w[3] = 0;
    qs_allot(w, 4, 8, bits);
    ok(sum_of(bits, 4) == 32 && bits[3] == 8, "of 8 on average all have 8, even those with nothing in them");
    qs_rng r;
    int same_bits = 0, sums = 0, found = 0;
    qs_rng_seed(&r, 77);
    for (int k = 0; k < 60; k++) {
        int mean = 1 + k % 7;
        for (int i = 0; i < N; i++) w[i] = exp(2 * qs_rng_normal(&r));
        qs_allot(w, N, mean, bits);
        sums += sum_of(bits, N) == N * mean;
        if (!by_shift(w, N, N * mean, want)) continue;
        found++;
        same_bits += !memcmp(bits, want, N);
    }
    ok(sums == 60, "the mean is exact");
    ok(found > 40 && same_bits == found, "as the search for a common shift finds them (%d of %d cases)", same_bits, found);
}

static void channels(const char *text, const uint8_t *bits, size_t parts)
{
    enum { EACH = 300 };
    int64_t shape[2] = {(int64_t)parts, EACH};
    float *mem, *y = qs_xmalloc(parts * EACH * sizeof *y), one[EACH];
    double step[8], offset[8], gain[8], shift[8];
    qs_rng r;
    qs_rng_seed(&r, 9);
    qs_err e = {0};
    qs_tensor *t = qs_tensor_f32("w", 2, shape, &mem, NULL);
    for (size_t i = 0; i < parts * EACH; i++) mem[i] = (float)qs_rng_normal(&r);
    for (size_t p = 0; p < parts; p++) {
        step[p] = 0.1 + 0.05 * (double)p;
        offset[p] = 0.01 * (double)p;
        gain[p] = 1 + 0.1 * (double)p;
        shift[p] = 0.02 * (double)p - 0.05;
    }
    qs_format *f = qs_format_parse(text, NULL);
    qs_split s;
    qs_format_split(f, t, &s, NULL);
    qs_quantizer *q = qs_quantizer_channels(f, &s, parts, bits, step, f->offset ? offset : NULL, &e);
    ok(q != NULL, "%s: bits a channel %s", text, e.msg);
    int bad = 0, wrong = 0;
    double total = 0, sq = 0;
    for (int corrected = 0; corrected < 2; corrected++) {
        if (corrected) qs_quantizer_correct(q, gain, shift);
        qs_quantizer_apply(q, t, y, NULL, NULL);
        sq = 0;
        for (size_t p = 0; p < parts; p++) {
            qs_format *own = qs_format_channel(f, bits[p], NULL);
            qs_quantizer *alone = qs_quantizer_new(own, NULL, 1, &step[p], f->offset ? &offset[p] : NULL, NULL);
            qs_grid g;
            qs_grid_init(&g, alone, 0);
            qs_grid_apply(&g, mem + p * EACH, EACH, one);
            for (size_t i = 0; i < EACH; i++) {
                float want = one[i] * (float)gain[p];
                want = corrected ? want + (float)shift[p] : one[i];
                bad += want != y[p * EACH + i];
                sq += ((double)want - mem[p * EACH + i]) * ((double)want - mem[p * EACH + i]);
            }
            wrong += g.n != (bits[p] ? (size_t)1 << bits[p] : 1) - (bits[p] > 1 && f->narrow);
            qs_grid_clear(&g);
            qs_quantizer_unref(alone);
            qs_format_free(own);
        }
        qs_qerror err;
        qs_error_tensor(q, t, NULL, NULL, &err, NULL);
        bad += fabs(err.mse - sq / (double)(parts * EACH)) > 1e-12;
        total = 0;
        for (size_t k = 0; k < err.levels; k++) total += err.occupancy[k];
        bad += total != (double)(parts * EACH) || err.levels != (f->narrow ? 255 : 256);
        qs_qerror_clear(&err);
    }
    ok(!bad, "%s: every channel is the quantizer of its bits, then gain and shift; so is the error", text);
    ok(!wrong, "%s: 2^bits levels each", text);
    qs_quantizer_unref(q);
    qs_format_free(f);
    qs_tensor_unref(t);
    free(y);
}

static void differing(void)
{
    static const uint8_t bits[8] = {0, 1, 2, 3, 4, 5, 7, 8};
    qs_err e = {0};
    allotment();
    channels("int4@channel", bits, 8);
    channels("int3:narrow+offset@channel", bits, 8);
    channels("uint4@channel", bits, 8);
    static const char *const none[] = {"nf4", "int16", "codebook(-1;0;1)"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        qs_format *f = qs_format_parse(none[i], NULL);
        ok(!qs_format_channel(f, 3, &e) && e.code == QS_EUNSUP, "%s", e.msg);
        qs_format_free(f);
    }
}

int main(void)
{
    differing();
    properties();
    nan_stays();
    vector_11_11();
    refused();
    tensors();
    threads();
    return done();
}
