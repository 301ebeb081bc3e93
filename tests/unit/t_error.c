/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/rng.h"
#include "quant/grid.h"
#include "../tap.h"

static const char *const formats[] = {
    "int2", "int3", "int4", "int5", "int6", "int7", "int8", "int16", "uint1", "uint4", "uint8", "int4:narrow",
        "int4:away", "int4:flip",
    "int4+offset", "uint4+zp", "int8:flip+zp", "pot4", "apot3", "apot4", "apot7", "uapot4", "nf4", "nf4:flip",
        "nf4+offset", "fp4",
    "fp8e4m3", "fp8e5m2", "codebook(-1;1)", "codebook(0.5)", "codebook(1;2;5)",
};
enum { N = 3000, KINDS = 7 };

static void fill(int kind, float *x, qs_rng *r)
{
    for (int i = 0; i < N; i++) {
        double v = qs_rng_normal(r);
        x[i] = (float)(kind == 1 ? fabs(v) : kind == 2 ? rint(4 * v) / 4 : kind == 3 ? v * v * v : kind == 4
                       ? 1000 + 0.01 * v
                       : kind == 5 ? 1e-30 * v : v);
        if (kind == 6 && i % 100 == 3) x[i] = i % 200 == 3 ? NAN : i % 400 == 103 ? -INFINITY : INFINITY;
    }
}

/* What the definitions say, value by value. */
static void by_hand(const qs_grid *g, const float *x, qs_qerror *e, double *occ)
{
    float y[N];
    int32_t rank[N];
    *e = (qs_qerror){0};
    qs_grid_apply(g, x, N, y);
    qs_grid_rank(g, x, N, rank);
    for (size_t k = 0; k < g->n; k++) occ[k] = 0;
    for (int i = 0; i < N; i++) {
        if (!isfinite(x[i])) {
            e->skipped++;
            continue;
        }
        double d = (double)y[i] - x[i];
        bool out = (x[i] < g->lv[0] && rank[i] == 0) || (x[i] > g->lv[g->n - 1] && (size_t)rank[i] == g->n - 1);
        *(out ? &e->clip_mse : &e->round_mse) += d * d;
        e->clipped += out;
        e->bias += d;
        e->n++;
        e->energy += (double)x[i] * x[i];
        e->max_abs = fmax(e->max_abs, fabs(d));
        occ[rank[i]]++;
    }
    e->clip_mse /= e->n, e->round_mse /= e->n, e->clipped /= e->n, e->bias /= e->n, e->energy /= e->n;
    e->mse = e->clip_mse + e->round_mse;
}

static bool close_to(double a, double b, double rel, double abs) { return fabs(a - b) <= rel * fabs(b) + abs; }

static bool agree(const qs_qerror *a, const qs_qerror *b, const double *occ)
{
    double tiny = 1e-13 * b->energy;
    for (size_t k = 0; k < a->levels; k++)
        if (a->occupancy[k] != occ[k]) return false;
    return close_to(a->mse, b->mse, 1e-9, 0) && close_to(a->clip_mse, b->clip_mse, 1e-8, tiny) &&
           close_to(a->round_mse, b->round_mse, 1e-8, tiny) && a->mse == a->clip_mse + a->round_mse &&
           close_to(a->clipped, b->clipped, 1e-12, 0) && close_to(a->max_abs, b->max_abs, 1e-12, 0) &&
           close_to(a->bias, b->bias, 1e-8, 1e-10 * sqrt(b->energy)) && a->n == b->n && a->skipped == b->skipped &&
           close_to(a->energy, b->energy, 1e-10, 0);
}

static bool pick(const qs_format *f, const float *x, double factor, double *step, double *offset)
{
    double top = 0, sum = 0, lo, hi;
    int n = 0;
    for (int i = 0; i < N; i++)
        if (isfinite(x[i])) top = fmax(top, fabs(x[i])), sum += x[i], n++;
    *step = factor * top / f->cmax * (f->flip && factor < 0.5 ? -1 : 1);
    *offset = f->offset == QS_OFFSET_REAL ? sum / n : 0;
    if (f->offset == QS_OFFSET_REAL && fabs(sum / n) > 100) *step *= 2e-5;
    qs_format_zp_range(f, &lo, &hi);
    if (f->offset == QS_OFFSET_ZP) *offset = -*step * rint(lo + 0.4 * (hi - lo));
    return *step != 0;
}

/* All formats, data of all kinds, three steps: the index, the tensor and the definitions agree. */
static void agreement(void)
{
    int cases = 0, bad = 0, bad_tensor = 0;
    static const double factors[] = {1.2, 0.3, 0.02};
    double *occ = qs_xmalloc(65536 * sizeof *occ);
    qs_rng r;
    qs_rng_seed(&r, 1);
    for (int kind = 0; kind < KINDS; kind++) {
        int64_t shape = N;
        float *x;
        qs_tensor *t = qs_tensor_f32("x", 1, &shape, &x, NULL);
        fill(kind, x, &r);
        qs_index *ix = qs_index_new(x, N, NULL, NULL, NULL);
        for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
            for (int j = 0; j < 3; j++) {
                qs_format *f = qs_format_parse(formats[i], NULL);
                double step, offset;
                pick(f, x, factors[j], &step, &offset);
                qs_err err = {0};
                qs_quantizer *q = qs_quantizer_new(f, NULL, 1, &step, &offset, &err);
                qs_grid g;
                qs_qerror a, b, c = {0};
                qs_grid_init(&g, q, 0);
                by_hand(&g, x, &b, occ);
                qs_error_index(&g, ix, &a, NULL);
                cases++;
                if (!agree(&a, &b, occ)) {
                    bad++;
                    printf("# %s kind %d step %g: mse %.15g %.15g clip %g %g bias %g %g max %g %g\n", formats[i], kind,
                           step, a.mse,
                           b.mse, a.clip_mse, b.clip_mse, a.bias, b.bias, a.max_abs, b.max_abs);
                }
                bad_tensor += qs_error_tensor(q, t, NULL, NULL, &c, NULL) || !agree(&c, &b, occ) ||
                    c.entropy != a.entropy ||
                              c.used != a.used;
                qs_qerror_clear(&a);
                qs_qerror_clear(&c);
                qs_grid_clear(&g);
                qs_quantizer_unref(q);
                qs_format_free(f);
            }
        qs_index_unref(ix);
        qs_tensor_unref(t);
    }
    ok(cases > 600 && bad == 0, "an index gives what the definitions say, %d cases", cases);
    ok(bad_tensor == 0, "a tensor gives the same");
    free(occ);
}

static void definitions(void)
{
    const float x[] = {-3, -1.5f, 0, 0.25f, 1, 2, 5, 7};
    qs_index *ix = qs_index_new(x, 8, NULL, NULL, NULL);
    qs_format *f = qs_format_parse("int2", NULL);
    qs_grid g;
    qs_qerror e;
    qs_grid_at(&g, f, 1, 0);
    qs_grid_levels(&g);
    qs_error_index(&g, ix, &e, NULL);
    /* levels -2 -1 0 1: -3 -> -2 (clipped), -1.5 -> -2, 0, .25 -> 0, 1, 2 5 7 -> 1 (clipped) */
    near(e.clip_mse, (1 + 1 + 16 + 36) / 8., 1e-15, "clip_mse");
    near(e.round_mse, (0.25 + 0.0625) / 8, 1e-15, "round_mse");
    near(e.clipped, 4. / 8, 1e-15, "clipped: strictly beyond the outermost levels");
    near(e.bias, (1 - .5 - .25 - 1 - 4 - 6) / 8, 1e-15, "bias");
    near(e.max_abs, 6, 1e-15, "max_abs");
    near(e.nmse, e.mse / ((9 + 2.25 + .0625 + 1 + 4 + 25 + 49) / 8), 1e-15, "nmse");
    near(e.sqnr_db, -10 * log10(e.nmse), 1e-15, "sqnr_db");
    ok(e.occupancy[0] == 2 && e.occupancy[1] == 0 && e.occupancy[2] == 2 && e.occupancy[3] == 4 && e.used == 3,
       "occupancy");
    near(e.entropy, 1.5, 1e-15, "entropy");
    qs_qerror_clear(&e);
    qs_grid_clear(&g);
    qs_index_unref(ix);

    ix = qs_index_new((float[]){0, 0}, 2, NULL, NULL, NULL);
    qs_grid_at(&g, f, 1, 0);
    qs_grid_levels(&g);
    qs_error_index(&g, ix, &e, NULL);
    ok(e.mse == 0 && e.nmse == 0 && isinf(e.sqnr_db) && e.entropy == 0, "nothing but zeros: no error, no noise");
    qs_qerror_clear(&e);
    qs_grid_clear(&g);
    qs_index_unref(ix);
    qs_format_free(f);

    f = qs_format_parse("codebook(1;2)", NULL);
    ix = qs_index_new((float[]){0, 0}, 2, NULL, NULL, NULL);
    qs_grid_at(&g, f, 1, 0);
    qs_grid_levels(&g);
    qs_error_index(&g, ix, &e, NULL);
    ok(e.mse == 1 && isinf(e.nmse) && e.nmse > 0, "an error on zeros is infinitely large beside them, not NaN");
    qs_qerror_clear(&e);
    qs_grid_clear(&g);
    qs_index_unref(ix);
    qs_format_free(f);
}

/* Weights of 1, 2, 3 are the same as values once, twice, three times. */
static void weights(void)
{
    float x[300], w[300], rep[900];
    size_t m = 0;
    qs_rng r;
    qs_rng_seed(&r, 2);
    for (int i = 0; i < 300; i++) {
        x[i] = (float)qs_rng_normal(&r);
        w[i] = (float)(1 + i % 3);
        for (int j = 0; j <= i % 3; j++) rep[m++] = x[i];
    }
    qs_index *a = qs_index_new(x, 300, w, NULL, NULL), *b = qs_index_new(rep, m, NULL, NULL, NULL);
    qs_format *f = qs_format_parse("int3", NULL);
    qs_grid g;
    qs_qerror ea, eb;
    qs_grid_at(&g, f, 0.5, 0);
    qs_grid_levels(&g);
    qs_error_index(&g, a, &ea, NULL);
    qs_error_index(&g, b, &eb, NULL);
    near(ea.mse, eb.mse, 1e-12, "weights count values");
    near(ea.clipped, eb.clipped, 1e-12, "clipped is weighted");
    near(ea.entropy, eb.entropy, 1e-12, "entropy is weighted");
    qs_qerror_clear(&ea);
    qs_qerror_clear(&eb);
    qs_grid_clear(&g);
    qs_format_free(f);
    qs_index_unref(a);
    qs_index_unref(b);
}

/* Parts: the tensor's error is their mean; occupancy the sum; the threads do not matter. */
static void parts(void)
{
    int64_t shape[] = {40, 50, 20};
    float *x;
    qs_err err = {0};
    qs_rng r;
    qs_rng_seed(&r, 3);
    qs_tensor *t = qs_tensor_f32("x", 3, shape, &x, NULL);
    for (size_t i = 0; i < t->n; i++) x[i] = (float)((1 + (double)(i / 1000)) * qs_rng_normal(&r));
    static const char *const gran[] = {"int4@channel", "int4@channel2", "nf4@group96", "int16@channel"};
    for (size_t i = 0; i < 4; i++) {
        qs_format *f = qs_format_parse(gran[i], NULL);
        qs_split s;
        qs_format_split(f, t, &s, NULL);
        double *step = qs_xmalloc(s.parts * sizeof *step), *mse = qs_xmalloc(s.parts * sizeof *mse), sum = 0, n = 0;
        for (size_t p = 0; p < s.parts; p++) step[p] = 3. / f->cmax * (1 + (double)(p % 7));
        qs_quantizer *q = qs_quantizer_new(f, &s, s.parts, step, NULL, NULL);
        qs_qerror e, e1;
        int rc = qs_error_parts(q, t, NULL, NULL, mse, &err);
        for (size_t p = 0; p < s.parts; p++) sum += mse[p] * (double)qs_split_len(&s, t, p);
        qs_threads_set(1);
        rc |= qs_error_tensor(q, t, NULL, NULL, &e1, &err);
        qs_threads_set(3);
        rc |= qs_error_tensor(q, t, NULL, NULL, &e, &err);
        for (size_t k = 0; k < e.levels; k++) n += e.occupancy[k];
        ok(!rc && close_to(e.mse, sum / (double)t->n, 1e-12, 0), "%s: the mean of the parts", gran[i]);
        ok(n == (double)t->n && e.mse == e1.mse && e.bias == e1.bias &&
           !memcmp(e.occupancy, e1.occupancy, e.levels * sizeof(double)),
           "%s: one thread or three", gran[i]);
        qs_qerror_clear(&e);
        qs_qerror_clear(&e1);
        qs_quantizer_unref(q);
        qs_format_free(f);
        free(step), free(mse);
    }
    qs_format *f = qs_format_parse("int4", NULL);
    qs_quantizer *q = qs_quantizer_new(f, NULL, 1, &(double){5}, NULL, NULL);
    qs_cache *cache = qs_cache_new(1 << 24);
    qs_qerror a, b;
    qs_error_tensor(q, t, cache, NULL, &a, NULL);
    qs_error_tensor(q, t, NULL, NULL, &b, NULL);
    near(a.mse, b.mse, 1e-10, "with a cache and without");
    ok(!memcmp(a.occupancy, b.occupancy, 16 * sizeof(double)), "the same occupancy");
    qs_qerror_clear(&a);
    qs_qerror_clear(&b);
    for (size_t i = 0; i < t->n; i++) x[i] = NAN;
    ok(qs_error_tensor(q, t, NULL, NULL, &a, &err) == -QS_ERANGE, "nothing finite: no error, but ERANGE");
    qs_cache_free(cache);
    qs_quantizer_unref(q);
    qs_format_free(f);
    qs_tensor_unref(t);
}

int main(void)
{
    agreement();
    definitions();
    weights();
    parts();
    return done();
}
