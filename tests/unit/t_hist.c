/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Histograms against the rule they follow, from an index and from values; the first range; the density. */
#include <float.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/rng.h"
#include "stat/hist.h"
#include "../tap.h"

static qs_rng rng;

/* NumPy for float32 data: the last edge <= x, the last bin closed; by looking at every edge. */
static size_t slow_bin(const float *edge, size_t bins, float x)
{
    size_t b = 0;
    if (x == edge[bins]) {
        for (b = bins - 1; b && edge[b] > x; b--) continue;
        return b;
    }
    for (size_t i = 1; i < bins; i++)
        if (x >= edge[i]) b = i;
    return b;
}

static size_t wrong_counts(const qs_hist *h, const float *x, size_t n, double lo, double hi, size_t bins)
{
    float *edge = qs_xmalloc((bins + 1) * sizeof *edge);
    uint64_t *want = qs_xcalloc(bins, sizeof *want), under = 0, over = 0, skipped = 0, bad = 0;
    double step = (hi - lo) / (double)bins;
    for (size_t i = 0; i <= bins; i++) edge[i] = (float)(i == bins ? hi : (double)i * step + lo);
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(x[i])) skipped++;
        else if (x[i] < edge[0]) under++;
        else if (x[i] > edge[bins]) over++;
        else want[slow_bin(edge, bins, x[i])]++;
    }
    for (size_t i = 0; i < bins; i++) bad += want[i] != h->count[i] || qs_hist_edge(h, i) != edge[i];
    bad += under != h->under || over != h->over || skipped != h->skipped;
    free(edge);
    free(want);
    return bad;
}

static qs_tensor *tensor_of(const float *x, size_t n)
{
    float *mem;
    int64_t shape = (int64_t)n;
    qs_tensor *t = qs_tensor_f32("w", 1, &shape, &mem, NULL);
    memcpy(mem, x, n * sizeof *x);
    return t;
}

static void numpy_rule(void)
{
    enum { N = 20000 };
    static float x[N];
    static const struct { double lo, hi; size_t bins; } how[] = {
        {-1, 1, 10}, {-1, 1, 100}, {0, 1, 3}, {-0.1, 0.3, 64}, {-5, 5, 1}, {-4.7, 3.3, 1000}, {1.0 / 3, 2.0 / 3, 7}, {-1e30, 1e30, 5}};
    size_t bad = 0, badt = 0;
    qs_rng_seed(&rng, 5);
    for (size_t i = 0; i < N; i++) {
        float grid = (float)((int)(qs_rng_next(&rng) % 41) - 20) * 0.1f;   /* on edges and their neighbours */
        x[i] = i % 3 == 0 ? grid : i % 3 == 1 ? nextafterf(grid, i & 1 ? 9.0f : -9.0f) : (float)qs_rng_normal(&rng);
        if (i % 1000 == 7) x[i] = i & 8 ? NAN : INFINITY;
    }
    qs_tensor *t = tensor_of(x, N);
    qs_index *ix = qs_index_new(x, N, NULL, NULL, NULL);
    for (size_t k = 0; k < sizeof how / sizeof *how; k++) {
        qs_hist h;
        qs_hist_index(ix, how[k].lo, how[k].hi, how[k].bins, false, &h, NULL);
        bad += wrong_counts(&h, x, N, how[k].lo, how[k].hi, how[k].bins);
        qs_hist_clear(&h);
        for (int th = 1; th <= 3; th++) {
            qs_threads_set(th);
            qs_hist_tensor(t, how[k].lo, how[k].hi, how[k].bins, NULL, &h, NULL);
            badt += wrong_counts(&h, x, N, how[k].lo, how[k].hi, how[k].bins);
            qs_hist_clear(&h);
        }
    }
    ok(!bad, "counts of an index follow NumPy's rule (%zu wrong)", bad);
    ok(!badt, "so do counts of values, on any number of threads (%zu wrong)", badt);
    qs_index_unref(ix);
    qs_tensor_unref(t);
}

/* Deeper than floats are dense, and at the ends of their range. */
static void extremes(void)
{
    float v = 1.0f, x[] = {v, nextafterf(v, 2), nextafterf(v, 0)};
    qs_index *ix = qs_index_new(x, 3, NULL, NULL, NULL);
    qs_hist h;
    qs_hist_index(ix, 1 - 1e-7, 1 + 2e-7, 300, false, &h, NULL);
    ok(h.wide && h.count[100] == 1 && h.under == 0 && h.over == 0, "below the spacing of floats edges are doubles");
    uint64_t sum = 0;
    for (size_t i = 0; i < 300; i++) sum += h.count[i];
    ok(sum == 3 && qs_hist_edge(&h, 100) == 100 * (3e-7 / 300) + (1 - 1e-7) , "and nothing is lost");
    qs_hist_clear(&h);
    qs_index_unref(ix);
    float big[] = {FLT_MAX, -FLT_MAX, 0, 1e-45f};
    ix = qs_index_new(big, 4, NULL, NULL, NULL);
    ok(!qs_hist_index(ix, NAN, NAN, 4, false, &h, NULL) && h.count[0] == 1 && h.count[2] == 2 && h.count[3] == 1, "the widest range");
    qs_hist_clear(&h);
    qs_hist_index(ix, -1e-45, 1e-45, 2, false, &h, NULL);
    ok(h.count[1] == 1 && h.under == 1 && h.over == 2, "the narrowest range: 1.4e-45 is beyond 1e-45");
    qs_hist_clear(&h);
    qs_index_unref(ix);
}

static void log_axis(void)
{
    float x[] = {0, -0.0f, 1, -1, 2, -4, 8, 100, NAN, -1000, 1e-3f};
    qs_index *ix = qs_index_new(x, 11, NULL, NULL, NULL);
    qs_hist h;
    qs_hist_index(ix, 1, 16, 4, true, &h, NULL);
    ok(h.count[0] == 2 && h.count[1] == 1 && h.count[2] == 1 && h.count[3] == 1, "magnitudes in octaves");
    ok(h.under == 3 && h.over == 2 && h.skipped == 1, "zeros are under");
    near(qs_hist_edge(&h, 2), 4, 1e-7, "edges are equal in the logarithm");
    qs_hist_clear(&h);
    qs_hist_index(ix, NAN, NAN, 10, true, &h, NULL);
    near(h.lo, 1e-3, 1e-6, "the default starts at the smallest magnitude");
    ok(h.hi == 1000 && h.under == 2 && h.over == 0, "and ends at the largest");
    qs_hist_clear(&h);
    qs_index_unref(ix);
}

static void ranges(void)
{
    enum { N = 10000 };
    static float x[N];
    double lo, hi;
    uint64_t left;
    qs_rng_seed(&rng, 9);
    for (int i = 0; i < N; i++) x[i] = (float)qs_rng_normal(&rng);
    qs_index *ix = qs_index_new(x, N, NULL, NULL, NULL);
    qs_hist_range(ix, &lo, &hi, &left);
    ok(lo == qs_index_min(ix) && hi == qs_index_max(ix) && left == 0, "normal data: all of it");
    qs_index_unref(ix);
    x[7] = 1000;
    x[9] = -50;
    ix = qs_index_new(x, N, NULL, NULL, NULL);
    qs_hist_range(ix, &lo, &hi, &left);
    uint64_t want = 0;
    for (int i = 0; i < N; i++) want += x[i] < lo || x[i] > hi;
    ok(lo > -4 && lo < -2.5 && hi < 4 && hi > 2.5 && left == want && left >= 2 && left < 25, "outliers are left out and counted: %.3g..%.3g, %d",
       lo, hi, (int)left);
    qs_index_unref(ix);
    qs_tensor *t = tensor_of(x, N);
    qs_hist h;
    ok(!qs_hist_tensor(t, NAN, NAN, 50, NULL, &h, NULL) && h.lo > -4 && h.hi < 4 && h.under + h.over >= 2, "from values the same rule");
    qs_hist_clear(&h);
    qs_tensor_unref(t);
    float c[] = {3, 3, 3}, z[] = {0, 0}, one[] = {-2};
    ix = qs_index_new(c, 3, NULL, NULL, NULL);
    qs_hist_range(ix, &lo, &hi, &left);
    ok(lo == 1.5 && hi == 4.5 && left == 0, "a constant: a range around it");
    qs_index_unref(ix);
    ix = qs_index_new(z, 2, NULL, NULL, NULL);
    qs_hist_range(ix, &lo, &hi, &left);
    ok(lo == -0.5 && hi == 0.5, "zeros: a range around 0");
    ok(!qs_hist_index(ix, NAN, NAN, 5, true, &h, NULL) && h.under == 2 && h.count[0] == 0, "zeros have no logarithm: all under");
    qs_hist_clear(&h);
    qs_index_unref(ix);
    t = tensor_of(one, 1);
    ok(!qs_hist_tensor(t, NAN, NAN, 3, NULL, &h, NULL) && h.count[1] == 1, "one value stands in the middle");
    qs_hist_clear(&h);
    qs_tensor_unref(t);
    float nan[] = {NAN, INFINITY};
    t = tensor_of(nan, 2);
    ok(!qs_hist_tensor(t, NAN, NAN, 3, NULL, &h, NULL) && h.skipped == 2 && h.count[1] == 0, "nothing finite: empty bins");
    qs_hist_clear(&h);
    qs_tensor_unref(t);
}

static void errors(void)
{
    float x[] = {1, 2, 3};
    qs_err e = {0};
    qs_hist h;
    qs_index *ix = qs_index_new(x, 3, NULL, NULL, NULL);
    ok(qs_hist_index(ix, 2, 2, 5, false, &h, &e) == -QS_EARG, "lo = hi: %s", e.msg);
    ok(qs_hist_index(ix, 0, 1, 0, false, &h, &e) == -QS_EARG, "no bins: %s", e.msg);
    ok(qs_hist_index(ix, 0, 1, 65537, false, &h, &e) == -QS_EARG, "too many bins: %s", e.msg);
    ok(qs_hist_index(ix, 0, INFINITY, 5, false, &h, &e) == -QS_EARG, "an infinite range: %s", e.msg);
    ok(qs_hist_index(ix, -1, 1, 5, true, &h, &e) == -QS_EARG, "a logarithm from below 0: %s", e.msg);
    qs_index_unref(ix);
}

/* Counted and bucketed indexes give the same counts (buckets: about). */
static void kinds(void)
{
    enum { N = 40000 };
    static float x[N];
    qs_rng_seed(&rng, 2);
    for (int i = 0; i < N; i++) x[i] = (float)qs_rng_normal(&rng);
    qs_index *ix = qs_index_new(x, N, NULL, NULL, NULL);
    qs_index_bucket_limit(100);
    qs_index *bx = qs_index_new(x, N, NULL, NULL, NULL);
    qs_index_bucket_limit(0);
    qs_hist a, b;
    qs_hist_index(ix, -4, 4, 80, false, &a, NULL);
    qs_hist_index(bx, -4, 4, 80, false, &b, NULL);
    uint64_t sum = 0, off = 0;
    for (int i = 0; i < 80; i++) {
        sum += b.count[i];
        off += a.count[i] > b.count[i] ? a.count[i] - b.count[i] : b.count[i] - a.count[i];
    }
    ok(sum + b.under + b.over == N && off < N / 200, "buckets: every value once, %d of %d in a bin beside", (int)off / 2, N);
    qs_hist_clear(&a);
    qs_hist_clear(&b);
    qs_index_unref(ix);
    qs_index_unref(bx);
}

/* ---- density ------------------------------------------------------------------------------- */
/* The normal quantile, by Newton on erfc from a rough start. */
static double normal_quantile(double p)
{
    double x = 0;
    for (int i = 0; i < 200; i++) {
        double f = 0.5 * erfc(-x / M_SQRT2) - p, d = exp(-x * x / 2) / sqrt(2 * M_PI), s = f / d;
        x -= s > 0.5 ? 0.5 : s < -0.5 ? -0.5 : s;
    }
    return x;
}

static double direct_density(const float *x, size_t n, double h, double at)
{
    double s = 0;
    for (size_t i = 0; i < n; i++) s += exp(-(at - x[i]) * (at - x[i]) / h / h / 2);
    return s / ((double)n * h * sqrt(2 * M_PI));
}

/* METHODS 11.9 and 11.14. */
static void known_density(void)
{
    float x[1000];
    double out[3], h;
    qs_moments m;
    for (int i = 0; i < 1000; i++) x[i] = (float)normal_quantile((i + 0.5) / 1000);
    qs_index *ix = qs_index_new(x, 1000, NULL, NULL, NULL);
    qs_index_moments(ix, &m);
    near(m.std, 0.9998494678, 1e-8, "sd of the quantile data");
    near(qs_index_quantile(ix, 0.75) - qs_index_quantile(ix, 0.25), 1.3474077364, 1e-7, "IQR");
    ok(!qs_density(ix, -1, 1, 3, out, &h, NULL), "its density");
    near(h, 0.2260357480, 1e-8, "h");
    near(out[1], direct_density(x, 1000, h, 0), 1e-9, "f(0): the sum of all kernels");
    near(out[2], direct_density(x, 1000, h, 1), 1e-9, "f(1): the sum of all kernels");
    near(out[1], 0.3891254784, 2e-9, "f(0), but for the rounding of the data to float32");
    near(out[2], 0.2418230300, 1e-8, "f(1), but for the rounding of the data to float32");
    qs_index_unref(ix);
}

static void density(void)
{
    enum { N = 3000, P = 101 };
    static float x[N];
    double out[P], h, worst = 0, wide[P];
    qs_rng_seed(&rng, 12);
    for (int i = 0; i < N; i++) x[i] = (float)(qs_rng_normal(&rng) * (i & 1 ? 1 : 0.1) + (i & 1 ? 0 : 3));
    qs_index *ix = qs_index_new(x, N, NULL, NULL, NULL);
    ok(!qs_density(ix, -2, 4, P, out, &h, NULL), "two bells");
    for (int i = 0; i < P; i++) worst = fmax(worst, fabs(out[i] - direct_density(x, N, h, -2 + 6.0 * i / (P - 1))));
    ok(worst < 1e-9, "against the sum of all kernels: %g", worst);
    qs_density(ix, 2.9, 2.90001, P, out, &h, NULL);
    worst = 0;
    for (int i = 0; i < P; i++) worst = fmax(worst, fabs(out[i] - direct_density(x, N, h, 2.9 + 1e-5 * i / (P - 1))));
    ok(worst < 1e-9, "deep inside: %g", worst);
    qs_density(ix, -20, 20, P, wide, NULL, NULL);
    double sum = 0;
    for (int i = 0; i < P; i++) sum += wide[i] * 0.4;
    near(sum, 1, 1e-3, "it integrates to 1");
    qs_err e = {0};
    ok(qs_density(ix, 1, 1, 5, out, NULL, &e) == -QS_EARG && qs_density(ix, 0, 1, 1, out, NULL, &e) == -QS_EARG, "bad places: %s", e.msg);
    qs_index_unref(ix);
    float c[] = {2, 2, 2};
    ix = qs_index_new(c, 3, NULL, NULL, NULL);
    ok(qs_density(ix, 0, 4, 5, out, NULL, &e) == -QS_ERANGE, "a constant: %s", e.msg);
    qs_index_unref(ix);
    float o[] = {1, 2, 3, 4, 1e6f, 2, 3, 2, 3, 2};
    ix = qs_index_new(o, 10, NULL, NULL, NULL);
    ok(!qs_density(ix, -1e7, 1e7, P, out, &h, NULL) && isfinite(out[50]) && out[50] > 0, "an outlier far off");
    qs_index_unref(ix);
}

int main(void)
{
    numpy_rule();
    extremes();
    log_axis();
    ranges();
    errors();
    kinds();
    known_density();
    density();
    return done();
}
