/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The index against plain loops: order, sums, quantiles, moments, weights, codes, buckets, the cache. */
#include <float.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/rng.h"
#include "stat/index.h"
#include "../tap.h"

static qs_rng rng;

typedef float maker(size_t i);
static float normal(size_t i) { (void)i; return (float)qs_rng_normal(&rng); }
static float ties(size_t i) { (void)i; return (float)((int)(qs_rng_next(&rng) % 9) - 4) * 0.5f; }
static float constant(size_t i) { (void)i; return -2.5f; }
static float zeros(size_t i) { return i & 1 ? 0.0f : -0.0f; }
static float relu(size_t i) { float x = normal(i); return x > 0 ? x : 0; }
static float tiny(size_t i) { return (float)(int)(i % 17) * 1e-44f - 5e-44f; }
static float huge(size_t i) { return (i & 1 ? 1.0f : -1.0f) * FLT_MAX * (float)qs_rng_uniform(&rng); }
static float narrow(size_t i) { (void)i; return 1.0f + 1e-6f * (float)qs_rng_normal(&rng); }
static float outlier(size_t i) { return i == 3 ? 1e9f : normal(i); }
static float holes(size_t i)
{
    static const float hole[] = {NAN, INFINITY, -INFINITY, -NAN};
    return i % 7 == 3 ? hole[i / 7 % 4] : normal(i);
}
static float anything(size_t i)
{
    uint32_t b = (uint32_t)qs_rng_next(&rng);
    float x;
    (void)i;
    memcpy(&x, &b, sizeof x);
    return x;
}

static const struct { const char *name; maker *make; } kinds[] = {
    {"normal", normal}, {"ties", ties}, {"constant", constant}, {"zeros", zeros}, {"relu", relu}, {"tiny", tiny},
    {"huge", huge}, {"narrow", narrow}, {"outlier", outlier}, {"holes", holes}, {"anything", anything},
};
#define KINDS (sizeof kinds / sizeof *kinds)

static float *make(maker *m, size_t n)
{
    float *x = qs_xmalloc(n * sizeof *x);
    qs_rng_seed(&rng, n);
    for (size_t i = 0; i < n; i++) x[i] = m(i);
    return x;
}

static int by_value(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Places to ask at: the values, beside them, between, and the ends. */
static float probe(const float *x, size_t n, size_t k)
{
    static const float ends[] = {0.0f, -0.0f, INFINITY, -INFINITY, FLT_MAX, -FLT_MAX, 1e-45f, -1e-45f};
    if (k < 8) return ends[k];
    float v = x[qs_rng_next(&rng) % n];
    if (!isfinite(v)) return 0.5f;
    switch (k % 4) {
    case 0: return v;
    case 1: return nextafterf(v, INFINITY);
    case 2: return v * 0.75f;
    default: return v + 0.1f;
    }
}

typedef struct sums3 { long double w, x, xx, ax; size_t n; } sums3;

static sums3 slow_below(const float *x, const float *w, size_t n, float v)
{
    sums3 s = {0, 0, 0, 0, 0};
    for (size_t i = 0; i < n; i++)
        if (isfinite(x[i]) && x[i] < v) {
            long double u = w ? w[i] : 1;
            s.n++;
            s.w += u;
            s.x += u * x[i];
            s.ax += u * fabsl((long double)x[i]);
            s.xx += u * x[i] * x[i];
        }
    return s;
}

static bool sums_near(qs_sums got, sums3 want, sums3 all, double rel)
{
    return fabsl(got.w - want.w) <= rel * all.w && fabsl(got.wx - want.x) <= rel * all.ax &&
           fabsl(got.wxx - want.xx) <= rel * all.xx;
}

/* ---- plain floats --------------------------------------------------------------------- */
static size_t wrong_order(const qs_index *ix, const float *x, size_t n)
{
    float *y = qs_xmalloc(n * sizeof *y);
    size_t m = 0, bad = 0, distinct = 0;
    for (size_t i = 0; i < n; i++)
        if (isfinite(x[i])) y[m++] = x[i];
    qsort(y, m, sizeof *y, by_value);
    bad += qs_index_n(ix) != m || qs_index_entries(ix) != m || qs_index_skipped(ix) != n - m;
    for (size_t i = 0; i < m && !bad; i++) {
        bad += qs_index_value(ix, i) != y[i] || qs_index_weight(ix, i) != 1 || !signbit(qs_index_value(ix, i)) == (y[i] < 0);
        distinct += i == 0 || y[i] != y[i - 1];
    }
    bad += qs_index_distinct(ix) != distinct || qs_index_min(ix) != y[0] || qs_index_max(ix) != y[m - 1];
    free(y);
    return bad;
}

static void against_loops(size_t n, int probes)
{
    size_t order = 0, sums = 0, many = 0, ranks = 0;
    for (size_t k = 0; k < KINDS; k++) {
        float *x = make(kinds[k].make, n), v[64];
        qs_sums got[64];
        qs_err e = {0};
        qs_index *ix = qs_index_new(x, n, NULL, NULL, &e);
        if (!ix) {
            order += kinds[k].make != holes && kinds[k].make != anything;
            free(x);
            continue;
        }
        order += wrong_order(ix, x, n);
        sums3 all = slow_below(x, NULL, n, INFINITY);
        for (int i = 0; i < probes; i++) v[i] = probe(x, n, (size_t)i);
        qs_index_below_many(ix, v, (size_t)probes, got);
        for (int i = 0; i < probes; i++) {
            sums3 want = slow_below(x, NULL, n, v[i]);
            qs_sums one = qs_index_below(ix, v[i]);
            sums += !sums_near(one, want, all, 2e-15) || one.w != (double)want.n;
            many += memcmp(&one, &got[i], sizeof one) != 0;
            ranks += qs_index_rank(ix, v[i]) != want.n;
        }
        sums += !sums_near(qs_index_total(ix), all, all, 1e-15);
        qs_index_unref(ix);
        free(x);
    }
    ok(!order, "%zu values: in order, counted (%zu wrong)", n, order);
    ok(!sums && !ranks, "%zu values: sums below any value (%zu wrong)", n, sums + ranks);
    ok(!many, "%zu values: many at once are the same bits", n);
}

static void thread_counts(void)
{
    size_t n = 300001, bad = 0;
    float *x = make(holes, n), v[200];
    qs_sums first[200], got[200];
    for (size_t i = 0; i < 200; i++) v[i] = (float)i * 0.05f - 5;
    for (int t = 1; t <= 5; t++) {
        qs_threads_set(t);
        qs_index *ix = qs_index_new(x, n, NULL, NULL, NULL);
        qs_moments m;
        static qs_moments m1;
        qs_index_below_many(ix, v, 200, t == 1 ? first : got);
        qs_index_moments(ix, t == 1 ? &m1 : &m);
        if (t > 1) bad += memcmp(first, got, sizeof got) != 0 || memcmp(&m, &m1, sizeof m) != 0;
        qs_index_unref(ix);
    }
    ok(!bad, "the same bits on 1 to 5 threads");
    free(x);
}

/* ---- quantiles and moments ------------------------------------------------------------------ */
static double slow_quantile(const float *y, size_t n, double p)
{
    double pos = p * (double)(n - 1);
    size_t k = (size_t)pos;
    return k + 1 < n ? y[k] + ((double)y[k + 1] - y[k]) * (pos - (double)k) : y[k];
}

static void order_statistics(maker *m, size_t n, const char *name)
{
    float *x = make(m, n);
    qs_index *ix = qs_index_new(x, n, NULL, NULL, NULL);
    size_t bad = 0;
    qsort(x, n, sizeof *x, by_value);
    double ps[] = {0, 1, 0.5, 0.25, 0.75, 0.001, 0.9999, 1.0 / 3};
    for (int i = 0; i < 8; i++) bad += fabs(qs_index_quantile(ix, ps[i]) - slow_quantile(x, n, ps[i])) > 1e-15 * FLT_MAX * (m == huge) + 1e-12;
    for (size_t i = 0; i < n; i++) x[i] = fabsf(x[i]);
    qsort(x, n, sizeof *x, by_value);
    for (int i = 0; i < 8; i++) bad += fabs(qs_index_quantile_abs(ix, ps[i]) - slow_quantile(x, n, ps[i])) > 1e-15 * FLT_MAX * (m == huge) + 1e-12;
    ok(!bad, "%s: quantiles of x and |x| (%zu wrong)", name, bad);
    qs_index_unref(ix);
    free(x);
}

static void moments_of(const float *x, const float *w, size_t n, const qs_index *ix, const char *name, double rel)
{
    qs_moments m;
    long double s = 0, sw = 0, a = 0, q = 0, m2 = 0, m3 = 0, m4 = 0, dev = 0;
    for (size_t i = 0; i < n; i++) {
        long double u = w ? w[i] : 1;
        sw += u;
        s += u * x[i];
        a += u * fabsf(x[i]);
        q += u * x[i] * x[i];
    }
    for (size_t i = 0; i < n; i++) {
        long double u = w ? w[i] : 1, d = x[i] - s / sw;
        m2 += u * d * d;
        m3 += u * d * d * d;
        m4 += u * d * d * d * d;
        dev += u * fabsl(d);
    }
    qs_index_moments(ix, &m);
    double var = (double)(m2 / sw);
    near(m.mean_abs, (double)(a / sw), rel, "%s: mean |x|", name);
    near(m.mean_sq, (double)(q / sw), rel, "%s: mean x^2", name);
    near(m.std, sqrt(var * (double)n / ((double)n - 1)), rel, "%s: std", name);
    near(m.kurtosis, (double)(m4 / sw) / var / var, rel * 100, "%s: kurtosis", name);
    near(m.mean_abs_dev, (double)(dev / sw), rel, "%s: mean |x - mean|", name);
    ok(fabs(m.mean - (double)(s / sw)) <= rel * m.mean_abs, "%s: mean", name);
    ok(fabs(m.skewness - (double)(m3 / sw) / pow(var, 1.5)) < rel * 1000, "%s: skewness", name);
}

static void moments(void)
{
    size_t n = 200003;
    float *x = make(normal, n);
    for (size_t i = 0; i < n; i++) x[i] = x[i] * x[i] + 100;   /* far from 0, skewed */
    qs_index *ix = qs_index_new(x, n, NULL, NULL, NULL);
    moments_of(x, NULL, n, ix, "skewed", 1e-12);
    qs_index_unref(ix);
    qs_moments m;
    float c[3] = {0.1f, 0.1f, 0.1f};
    ix = qs_index_new(c, 3, NULL, NULL, NULL);
    qs_index_moments(ix, &m);
    ok(m.std == 0 && m.kurtosis == 0 && m.mean == 0.1f && m.mean_abs == 0.1f, "a constant has no spread at all");
    qs_index_unref(ix);
    free(x);
}

/* The data of METHODS 11.8. */
static const float X11[] = {-1.9f, -1.1f, -.75f, -.4f, -.1f, .05f, .3f, .62f, .9f, 1.4f, 2.6f};

static void known_values(void)
{
    qs_index *ix = qs_index_new(X11, 11, NULL, NULL, NULL);
    qs_moments m;
    qs_index_moments(ix, &m);
    near(m.mean_abs, 0.92, 1e-7, "X11: mean |x|");
    near(m.mean, 0.1472727, 1e-6, "X11: mean");
    near(m.std, 1.2377729, 1e-7, "X11: std");
    qs_index_unref(ix);
}

/* ---- weights ------------------------------------------------------------------------------------ */
static void weights(size_t n)
{
    float *x = make(ties, n), *w = qs_xmalloc(n * sizeof *w);
    size_t bad = 0;
    for (size_t i = 0; i < n; i++) {
        if (i & 1) x[i] = normal(i);
        w[i] = i % 5 ? (float)qs_rng_uniform(&rng) : 0;
    }
    if (n > 20) x[9] = NAN;
    qs_index *ix = qs_index_new(x, n, w, NULL, NULL);
    sums3 all = slow_below(x, w, n, INFINITY);
    for (size_t k = 0; k < 60; k++) {
        float v = probe(x, n, k);
        qs_sums s = qs_index_below(ix, v), t;
        qs_index_below_many(ix, &v, 1, &t);
        bad += !sums_near(s, slow_below(x, w, n, v), all, 2e-15) || memcmp(&s, &t, sizeof s) != 0;
    }
    ok(!bad && qs_index_weighted(ix), "%zu weighted values: sums (%zu wrong)", n, bad);
    if (n > 20) x[9] = x[10], w[9] = 0;
    moments_of(x, w, n, ix, "weighted", n > 20 ? 2.0 / (double)n : 1e-12);   /* n-1 counts the value that was NaN */
    qs_index_unref(ix);
    free(x);
    free(w);
}

static void bad_data(void)
{
    qs_err e = {0};
    float nan[3] = {NAN, INFINITY, NAN}, x[2] = {1, 2}, minus[2] = {1, -1}, zero[2] = {0, 0}, inf[2] = {1, INFINITY};
    ok(!qs_index_new(x, 0, NULL, NULL, &e) && e.code == QS_ERANGE, "empty: %s", e.msg);
    ok(!qs_index_new(nan, 3, NULL, NULL, &e) && e.code == QS_ERANGE, "nothing finite: %s", e.msg);
    ok(!qs_index_new(x, 2, minus, NULL, &e) && e.code == QS_ERANGE, "negative weight: %s", e.msg);
    ok(!qs_index_new(x, 2, inf, NULL, &e) && e.code == QS_ERANGE, "infinite weight: %s", e.msg);
    ok(!qs_index_new(x, 2, zero, NULL, &e) && e.code == QS_ERANGE, "no weight: %s", e.msg);
    _Atomic uint64_t upto = 7;
    qs_ctl ctl = {.cancel_upto = &upto, .job = 7};
    float *big = make(normal, 100000);
    ok(!qs_index_new(big, 100000, NULL, &ctl, &e) && e.code == QS_ECANCEL, "a cancelled job ends");
    ctl.job = 8;
    qs_index *ix = qs_index_new(big, 100000, NULL, &ctl, &e);
    ok(ix, "a later job does not");
    qs_index_unref(ix);
    free(big);
}

/* ---- the mirror -------------------------------------------------------------------------------------- */
static size_t mirror_differs(const float *x, const float *w, size_t n, double rel)
{
    float *y = qs_xmalloc(n * sizeof *y);
    size_t bad = 0;
    for (size_t i = 0; i < n; i++) y[i] = -x[i];
    qs_index *ix = qs_index_new(x, n, w, NULL, NULL), *m = qs_index_mirror(ix, NULL), *d = qs_index_new(y, n, w, NULL, NULL);
    sums3 all = slow_below(y, w, n, INFINITY);
    bad += qs_index_entries(m) != qs_index_entries(d) || qs_index_n(m) != qs_index_n(d) ||
           qs_index_distinct(m) != qs_index_distinct(d) || qs_index_min(m) != qs_index_min(d);
    for (size_t k = 0; k < 60; k++) {
        float v = probe(y, n, k);
        qs_sums a = qs_index_below(m, v), b = qs_index_below(d, v);
        bad += !sums_near(a, (sums3){b.w, b.wx, b.wxx, 0, 0}, all, rel);
    }
    qs_index_unref(ix);
    qs_index_unref(m);
    qs_index_unref(d);
    free(y);
    return bad;
}

static void mirrors(void)
{
    size_t n = 5000, bad = 0;
    for (size_t k = 0; k < KINDS; k++) {
        float *x = make(kinds[k].make, n);
        bad += mirror_differs(x, NULL, n, 1e-15);
        qs_index_bucket_limit(1000);
        bad += mirror_differs(x, NULL, n, 1e-13);
        qs_index_bucket_limit(0);
        free(x);
    }
    ok(!bad, "the mirror is the index of -x (%zu wrong)", bad);
}

/* ---- buckets --------------------------------------------------------------------------------------------- */
static float edge_near(float v)
{
    uint32_t b;
    memcpy(&b, &v, sizeof b);
    b &= ~0x3fffu;   /* buckets hold 2^14 floats */
    if (v < 0) b += 0x3fff;   /* the lowest of a negative bucket */
    memcpy(&v, &b, sizeof v);
    return v;
}

static void buckets_of(maker *m, const char *name)
{
    size_t n = 70001, edges = 0, inside = 0;
    float *x = make(m, n);
    qs_index_bucket_limit(1000);
    qs_index *ix = qs_index_new(x, n, NULL, NULL, NULL);
    qs_index_bucket_limit(0);
    sums3 all = slow_below(x, NULL, n, INFINITY);
    ok(qs_index_kind_of(ix) == QS_INDEX_BUCKETS && !qs_index_exact(ix) && !strcmp(qs_index_kind_text(ix), "buckets"),
       "%s: buckets, and they say so", name);
    for (size_t k = 0; k < 60; k++) {
        float v = probe(x, n, k), e = isfinite(v) ? edge_near(v) : v;
        edges += !sums_near(qs_index_below(ix, e), slow_below(x, NULL, n, e), all, 2e-15);
        qs_sums s = qs_index_below(ix, v);
        sums3 want = slow_below(x, NULL, n, v);
        inside += !sums_near(s, want, all, m == narrow ? 0.05 : 3e-3);
    }
    ok(!edges, "%s: sums are exact at the edges of buckets (%zu wrong)", name, edges);
    ok(!inside, "%s: close inside (%zu wrong)", name, inside);
    qs_sums last = qs_index_below(ix, INFINITY), t = qs_index_total(ix);
    ok(!memcmp(&last, &t, sizeof t) && qs_index_n(ix) == all.n, "%s: all is below infinity", name);
    qs_index_unref(ix);
    free(x);
}

static void buckets(void)
{
    buckets_of(normal, "normal");
    buckets_of(holes, "holes");
    buckets_of(relu, "relu");
    buckets_of(outlier, "outlier");
    size_t n = 70001;
    float *x = make(normal, n), *w = qs_xmalloc(n * sizeof *w);
    for (size_t i = 0; i < n; i++) w[i] = (float)(i % 3);
    qs_index *exact = qs_index_new(x, n, NULL, NULL, NULL);
    qs_index_bucket_limit(n - 1);
    qs_index *ix = qs_index_new(x, n, NULL, NULL, NULL), *wx = qs_index_new(x, n, w, NULL, NULL);
    qs_index_bucket_limit(n);
    qs_index *last = qs_index_new(x, n, NULL, NULL, NULL);
    qs_index_bucket_limit(0);
    ok(qs_index_kind_of(last) == QS_INDEX_SORTED, "the limit itself is still sorted");
    for (int i = 0; i <= 10; i++) {
        double p = i / 10.0, a = qs_index_quantile(ix, p), b = qs_index_quantile(exact, p);
        double c = qs_index_quantile_abs(ix, p), d = qs_index_quantile_abs(exact, p);
        if (fabs(a - b) > 2e-3 * fabs(b) + 1e-4 || fabs(c - d) > 2e-3 * d + 1e-4) ok(0, "bucket quantile %g: %g %g %g %g", p, a, b, c, d);
    }
    moments_of(x, NULL, n, ix, "buckets", 2e-6);
    moments_of(x, w, n, wx, "weighted buckets", 2e-6);
    double d = (double)qs_index_distinct(exact);
    near((double)qs_index_distinct(ix), d, 0.02, "distinct values are estimated");
    size_t e = qs_index_entries(ix), bad = 0;
    double sum = 0;
    for (size_t i = 0; i < e; i++) {
        sum += qs_index_weight(ix, i);
        bad += i && qs_index_value(ix, i) <= qs_index_value(ix, i - 1);
    }
    ok(!bad && sum == (double)n, "entries are bucket means with counts, ascending");
    qs_index_unref(ix);
    qs_index_unref(wx);
    qs_index_unref(exact);
    qs_index_unref(last);
    free(x);
    free(w);
}

/* ---- tensors ------------------------------------------------------------------------------------------------- */
/* n random codes of a type as a tensor. */
static qs_tensor *code_tensor(qs_dtype d, size_t rows, size_t cols)
{
    size_t n = rows * cols, bytes = n * qs_dtype_size(d);
    int64_t shape[2] = {(int64_t)rows, (int64_t)cols};
    qs_blob *b = qs_blob_new(bytes, NULL);
    unsigned char *p = qs_blob_mem(b);
    qs_rng_seed(&rng, (uint64_t)d);
    for (size_t i = 0; i < bytes; i++) p[i] = (unsigned char)qs_rng_next(&rng);
    qs_tensor *t = qs_tensor_new("codes", d, 2, shape, b, p, NULL);
    qs_blob_unref(b);
    return t;
}

static bool same_index(const qs_index *a, const qs_index *b, const float *x, size_t n)
{
    bool good = qs_index_n(a) == qs_index_n(b) && qs_index_skipped(a) == qs_index_skipped(b) &&
                qs_index_distinct(a) == qs_index_distinct(b) && qs_index_min(a) == qs_index_min(b) &&
                qs_index_max(a) == qs_index_max(b);
    sums3 all = slow_below(x, NULL, n, INFINITY);
    for (size_t k = 0; k < 40; k++) {
        float v = probe(x, n, k);
        qs_sums s = qs_index_below(a, v), t = qs_index_below(b, v);
        good &= sums_near(s, (sums3){t.w, t.wx, t.wxx, 0, 0}, all, 2e-15);
        double p = (double)k / 39;
        good &= qs_index_quantile(a, p) == qs_index_quantile(b, p) && qs_index_quantile_abs(a, p) == qs_index_quantile_abs(b, p);
    }
    return good;
}

static void types(void)
{
    static const qs_dtype d[] = {QS_F16, QS_BF16, QS_F8_E4M3, QS_F8_E5M2, QS_I8, QS_U8, QS_I16, QS_U16, QS_BOOL};
    for (size_t k = 0; k < sizeof d / sizeof *d; k++)
        for (int swapped = 0; swapped < 2; swapped++) {
            qs_tensor *t = code_tensor(d[k], 100, 101);
            qs_split s;
            size_t bad = 0;
            float *x = qs_xmalloc(t->n * sizeof *x);
            t->swapped = swapped && qs_dtype_size(d[k]) > 1;
            for (int kind = 0; kind < 2; kind++) {
                qs_split_init(&s, t, kind ? QS_SPLIT_CHANNEL : QS_SPLIT_TENSOR, 1, 0, NULL);
                size_t n = qs_split_len(&s, t, 0);
                qs_split_gather(&s, t, 0, x);
                qs_index *a = qs_index_of(t, &s, 0, NULL, NULL, NULL), *b = qs_index_new(x, n, NULL, NULL, NULL);
                bad += qs_index_kind_of(a) != (kind ? QS_INDEX_SORTED : QS_INDEX_COUNTED) || !same_index(a, b, x, n);
                qs_index_unref(a);
                qs_index_unref(b);
            }
            ok(!bad, "%s%s: counted codes are the index of the floats", qs_dtype_name(d[k]), t->swapped ? ", swapped" : "");
            free(x);
            qs_tensor_unref(t);
        }
}

static void tensors(void)
{
    float *mem, *wm;
    int64_t shape[2] = {50, 120};
    qs_tensor *t = qs_tensor_f32("w", 2, shape, &mem, NULL), *w = qs_tensor_f32("imp", 2, shape, &wm, NULL);
    qs_tensor *h = code_tensor(QS_BF16, 50, 120);
    qs_rng_seed(&rng, 4);
    for (size_t i = 0; i < t->n; i++) {
        mem[i] = normal(i);
        wm[i] = (float)qs_rng_uniform(&rng);
    }
    size_t bad = 0;
    for (int kind = 0; kind < 3; kind++) {
        qs_split s;
        float x[6000], u[6000];
        qs_split_init(&s, t, (qs_split_kind)kind, 0, 32, NULL);
        for (size_t p = 0; p < s.parts; p += 7) {
            size_t n = qs_split_len(&s, t, p);
            qs_split_gather(&s, t, p, x);
            qs_split_gather(&s, w, p, u);
            qs_index *a = qs_index_of(t, &s, p, w, NULL, NULL), *b = qs_index_new(x, n, u, NULL, NULL);
            for (size_t k = 0; k < 20; k++) {
                float v = probe(x, n, k);
                qs_sums c = qs_index_below(a, v), d = qs_index_below(b, v);
                bad += memcmp(&c, &d, sizeof c) != 0;
            }
            qs_index_unref(a);
            qs_index_unref(b);
        }
    }
    ok(!bad, "parts of a tensor with weights (%zu wrong)", bad);
    qs_split all;
    qs_split_init(&all, h, QS_SPLIT_TENSOR, 0, 0, NULL);
    float *x = qs_xmalloc(h->n * sizeof *x);
    qs_tensor_read(h, 0, h->n, x);
    qs_index *a = qs_index_of(h, &all, 0, w, NULL, NULL), *b = qs_index_new(x, h->n, wm, NULL, NULL);
    sums3 total = slow_below(x, wm, h->n, INFINITY);
    bad = qs_index_kind_of(a) != QS_INDEX_COUNTED;
    for (size_t k = 0; k < 40; k++) {
        float v = probe(x, h->n, k);
        qs_sums d = qs_index_below(b, v);
        bad += !sums_near(qs_index_below(a, v), (sums3){d.w, d.wx, d.wxx, 0, 0}, total, 2e-15);
    }
    ok(!bad, "codes with weights (%zu wrong)", bad);
    qs_index_unref(a);
    qs_index_unref(b);
    qs_index_bucket_limit(1000);
    a = qs_index_of(t, &all, 0, NULL, NULL, NULL);
    b = qs_index_new(mem, t->n, NULL, NULL, NULL);
    qs_index_bucket_limit(0);
    qs_sums c = qs_index_below(a, 0.3f), d = qs_index_below(b, 0.3f);
    ok(qs_index_kind_of(a) == QS_INDEX_BUCKETS && !memcmp(&c, &d, sizeof c), "a large tensor takes buckets");
    qs_index_unref(a);
    qs_index_unref(b);
    qs_err e = {0};
    qs_tensor *few = code_tensor(QS_F32, 2, 2);
    ok(!qs_index_of(t, &all, 0, few, NULL, &e) && e.code == QS_EARG && strstr(e.msg, "w:"), "weights of another shape: %s", e.msg);
    free(x);
    qs_tensor_unref(few);
    qs_tensor_unref(h);
    qs_tensor_unref(w);
    qs_tensor_unref(t);
}

/* ---- the cache ---------------------------------------------------------------------------------------------------- */
struct shared { qs_cache *c; qs_tensor *t; qs_split s; _Atomic int bad; };

static void ask(void *arg, size_t k)
{
    struct shared *s = arg;
    qs_index *ix = qs_cache_get(s->c, s->t, &s->s, k * 7 % s->s.parts, NULL, NULL);
    if (!ix || qs_index_n(ix) != 64) atomic_fetch_add(&s->bad, 1);
    qs_index_unref(ix);
}

static void cache(void)
{
    float *mem;
    int64_t shape[2] = {64, 64};
    qs_tensor *t = qs_tensor_f32("w", 2, shape, &mem, NULL);
    for (size_t i = 0; i < t->n; i++) mem[i] = (float)i;
    qs_split ch, all;
    qs_split_init(&ch, t, QS_SPLIT_CHANNEL, 0, 0, NULL);
    qs_split_init(&all, t, QS_SPLIT_TENSOR, 0, 0, NULL);
    qs_cache *c = qs_cache_new((size_t)1 << 20);
    ok(!qs_cache_peek(c, t, &all, 0), "an empty cache has nothing");
    qs_index *a = qs_cache_get(c, t, &all, 0, NULL, NULL), *b = qs_cache_get(c, t, &all, 0, NULL, NULL);
    qs_index *p = qs_cache_peek(c, t, &all, 0), *d = qs_cache_get(c, t, &ch, 0, NULL, NULL);
    ok(a && a == b && a == p && d != a && qs_index_n(d) == 64, "the same part is built once; another split is another part");
    ok(qs_cache_bytes(c) >= qs_index_bytes(a) + qs_index_bytes(d), "bytes are counted");
    qs_index_unref(b);
    qs_index_unref(p);
    size_t one = qs_index_bytes(d);
    qs_index_unref(d);
    qs_cache_free(c);
    ok(qs_index_n(a) == 4096, "an index outlives its cache");
    qs_index_unref(a);

    c = qs_cache_new(10 * (one + 200));
    for (size_t k = 0; k < 64; k++) {
        qs_index_unref(qs_cache_get(c, t, &ch, 0, NULL, NULL));   /* used all the time */
        qs_index_unref(qs_cache_get(c, t, &ch, k, NULL, NULL));
    }
    p = qs_cache_peek(c, t, &ch, 0);
    ok(p && qs_cache_bytes(c) <= 10 * (one + 200) && !qs_cache_peek(c, t, &ch, 1), "over its bound the least used leaves");
    qs_index_unref(p);
    a = qs_cache_get(c, t, &all, 0, NULL, NULL);
    ok(a && !qs_cache_peek(c, t, &all, 0), "what is larger than the bound is built and not kept");
    qs_index_unref(a);
    a = qs_cache_get(NULL, t, &all, 0, NULL, NULL);
    ok(a && !qs_cache_peek(NULL, t, &all, 0), "without a cache it just builds");
    qs_index_unref(a);
    qs_threads_set(4);
    struct shared s = {c, t, ch, 0};
    qs_parallel(2000, ask, &s);
    ok(!s.bad, "several threads at once");
    qs_cache_free(c);
    qs_tensor_unref(t);
}

int main(void)
{
    static const size_t sizes[] = {1, 2, 3, 15, 16, 17, 48, 49, 255, 256, 257, 2047, 2048, 5000, 65535, 65536, 65537, 70000, 140000};
    qs_threads_set(2);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        against_loops(sizes[i], (sizes[i] > 10000 ? 24 : 64) / (TAP_THREADS_ONLY ? 8 : 1));
    thread_counts();
    order_statistics(normal, 1, "one value");
    order_statistics(normal, 1001, "normal");
    order_statistics(ties, 500, "ties");
    order_statistics(huge, 300, "huge");
    order_statistics(relu, 70000, "relu");
    moments();
    known_values();
    weights(20);
    weights(3000);
    weights(70000);
    bad_data();
    if (!TAP_THREADS_ONLY) mirrors();
    buckets();
    types();
    tensors();
    cache();
    return done();
}
