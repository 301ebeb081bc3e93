/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Summaries against long double loops, of every type, of odd data, on any number of threads. */
#include <float.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/rng.h"
#include "stat/summary.h"
#include "../tap.h"

static void against_loops(const float *x, size_t n, const char *name)
{
    qs_summary s;
    long double sum = 0, a = 0, q = 0, m2 = 0, m3 = 0, m4 = 0;
    size_t k = 0, bad = 0;
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(x[i])) continue;
        k++;
        sum += x[i];
        a += fabsf(x[i]);
        q += (long double)x[i] * x[i];
    }
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(x[i])) continue;
        long double d = x[i] - sum / (long double)k;
        m2 += d * d;
        m3 += d * d * d;
        m4 += d * d * d * d;
    }
    qs_summary_floats(x, n, &s);
    double var = (double)(m2 / (long double)k), std = sqrt((double)(m2 / (long double)(k - 1)));
    bad += fabs(s.mean - (double)(sum / (long double)k)) > 1e-13 * s.mean_abs;
    bad += fabs(s.std - std) > 1e-12 * std;
    bad += fabs(s.mean_abs - (double)(a / (long double)k)) > 1e-13 * s.mean_abs;
    bad += fabs(s.mean_sq - (double)(q / (long double)k)) > 1e-13 * s.mean_sq;
    bad += fabs(s.skewness - (double)(m3 / (long double)k) / pow(var, 1.5)) > 1e-10;
    bad += fabs(s.kurtosis - (double)(m4 / (long double)k) / var / var) > 1e-10 * s.kurtosis;
    bad += s.n != n || s.nans + s.infs != n - k;
    ok(!bad, "%s: %zu values (%zu wrong)", name, n, bad);
}

static void odd_data(void)
{
    qs_summary s;
    float x[] = {NAN, INFINITY, -INFINITY, -0.0f, 0.0f, 3, -5};
    qs_summary_floats(x, 7, &s);
    ok(s.n == 7 && s.nans == 1 && s.infs == 2 && s.zeros == 2, "counts of everything");
    ok(s.min == -5 && s.max == 3 && s.absmax == 5 && s.mean == -0.5 && s.mean_abs == 2 && s.mean_sq == 8.5, "sums over the finite");
    qs_summary_floats(x, 3, &s);
    ok(s.n == 3 && s.min == 0 && s.max == 0 && s.mean == 0 && s.std == 0 && s.kurtosis == 0, "nothing finite: zeros");
    qs_summary_floats(x, 0, &s);
    ok(s.n == 0 && s.mean == 0, "empty: zeros");
    qs_summary_floats(x + 5, 1, &s);
    ok(s.mean == 3 && s.std == 0 && s.kurtosis == 0 && s.min == 3, "one value");
    float c[] = {0.1f, 0.1f, 0.1f, 0.1f, 0.1f, 0.1f, 0.1f};
    qs_summary_floats(c, 7, &s);
    ok(s.mean == 0.1f && s.std == 0 && s.skewness == 0, "a constant has no spread at all");
    float big[] = {FLT_MAX, -FLT_MAX, FLT_MAX, -FLT_MAX}, small[] = {1e-45f, -1e-45f, 3e-45f, 0};
    qs_summary_floats(big, 4, &s);
    ok(s.mean == 0 && s.std > FLT_MAX && isfinite(s.std) && s.kurtosis == 1, "the largest floats");
    qs_summary_floats(small, 4, &s);
    ok(s.std > 0 && isfinite(s.kurtosis) && s.zeros == 1, "subnormal floats");
}

static int stop(void *ctx, const char *what, double done)
{
    (void)what;
    *(double *)ctx = done;
    return done > 0.4;
}

static void tensors(void)
{
    size_t n = ((size_t)64 << 16) * 2 + 12345;
    int64_t shape = (int64_t)n;
    float *mem;
    qs_tensor *t = qs_tensor_f32("w", 1, &shape, &mem, NULL);
    qs_blob *b = qs_blob_new(n * 2, NULL);
    uint16_t *h = qs_blob_mem(b);
    qs_rng r;
    qs_rng_seed(&r, 3);
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        float x = (float)qs_rng_normal(&r);
        memcpy(&bits, &x, sizeof bits);
        h[i] = (uint16_t)(bits >> 16);
        bits &= 0xffff0000u;
        memcpy(&mem[i], &bits, sizeof bits);
    }
    qs_tensor *half = qs_tensor_new("h", QS_BF16, 1, &shape, b, (unsigned char *)h, NULL);
    qs_summary first, s;
    size_t bad = 0;
    for (int k = 1; k <= 4; k++) {
        qs_threads_set(k);
        qs_summary_tensor(t, NULL, k == 1 ? &first : &s, NULL);
        if (k > 1) bad += memcmp(&s, &first, sizeof s) != 0;
    }
    ok(!bad, "the same bits on 1 to 4 threads");
    qs_summary_tensor(half, NULL, &s, NULL);
    ok(!memcmp(&s, &first, sizeof s), "BF16 is summarized as the floats it stands for");
    double done;
    qs_err e = {0};
    qs_ctl ctl = {.poll = stop, .ctx = &done};
    ok(qs_summary_tensor(t, &ctl, &s, &e) == -QS_ECANCEL && done > 0.4 && done < 0.6, "it can be stopped on the way");
    half->dtype = QS_UNKNOWN_DTYPE;
    ok(qs_summary_tensor(half, NULL, &s, &e) == -QS_EUNSUP && s.n == n, "an unknown type is refused: %s", e.msg);
    qs_tensor_unref(half);
    qs_tensor_unref(t);
    qs_blob_unref(b);
}

/* Small ones side by side, then one that is large: the same bits as one by one. */
static void several(void)
{
    enum { N = 300, LARGE = 3 };
    qs_tensor *t[N];
    qs_summary s[QS_SUMMARIES], one;
    qs_err e = {0};
    qs_rng r;
    qs_rng_seed(&r, 5);
    for (int i = 0; i < N; i++) {
        int64_t shape = i == LARGE ? 70001 : i % 50;
        float *mem;
        t[i] = qs_tensor_f32("w", 1, &shape, &mem, NULL);
        for (int64_t k = 0; k < shape; k++) mem[k] = (float)qs_rng_normal(&r);
    }
    t[5]->dtype = QS_UNKNOWN_DTYPE;
    size_t bad = 0, calls = 0;
    for (size_t i = 0, k; i < N; i += k, calls++) {
        k = (size_t)qs_summary_some(t + i, N - i, NULL, s, &e);
        for (size_t j = 0; j < k; j++) {
            one = (qs_summary){.n = t[i + j]->n};
            if (i + j != 5) qs_summary_tensor(t[i + j], NULL, &one, NULL);
            bad += memcmp(&one, &s[j], sizeof one) != 0;
        }
    }
    ok(!bad && calls == 4, "300 tensors in %zu calls (3, the large one, 256, the rest): %zu are not as one by one", calls, bad);
    double done;
    qs_ctl ctl = {.poll = stop, .ctx = &done}, never = {.poll = NULL};
    ok(qs_summary_some(t, N, &never, s, &e) == LARGE, "a large one waits");
    ok(qs_summary_some(t + LARGE, N - LARGE, &ctl, s, &e) == -QS_ECANCEL, "and can be stopped on the way");
    for (int i = 0; i < N; i++) qs_tensor_unref(t[i]);
}

int main(void)
{
    several();
    size_t n = 300007;
    float *x = qs_xmalloc(n * sizeof *x);
    qs_rng r;
    qs_rng_seed(&r, 1);
    for (size_t i = 0; i < n; i++) x[i] = (float)qs_rng_normal(&r) * 0.02f + 0.001f;
    against_loops(x, n, "normal");
    for (size_t i = 0; i < n; i += 97) x[i] = i % 2 ? NAN : INFINITY;
    against_loops(x, n, "with holes");
    for (size_t i = 0; i < n; i++) x[i] = 1000 + (float)(i % 3);
    against_loops(x, 1001, "far from zero");
    free(x);
    odd_data();
    tensors();
    return done();
}
