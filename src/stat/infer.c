/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "stat/infer.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/rng.h"

#define SEED 20
#define Z975 1.959963984540054

/* ---- interval of a mean: Student's t ------------------------------------------------------------------ */
/* The 97.5 % quantile for n values, n - 1 degrees of freedom. */
static double t975(size_t n)
{
    static const double t[QS_INFER_BOOTSTRAP] = {
        NAN, NAN, 12.706204736174694, 4.302652729749462, 3.1824463052837078, 2.7764451051977934, 2.570581835636314,
        2.446911851144969, 2.3646242515927844, 2.306004135204166, 2.2621571627982049, 2.2281388519649385, 2.2009851600916384,
        2.1788128296672284, 2.160368656462792, 2.1447866879169273, 2.131449545559323, 2.1199052992210112, 2.1098155778333160,
        2.1009220402410382,
    };
    return t[n];
}

/* ---- interval of a mean: bootstrap ----------------------------------------------------------------------- */
static double normal_below(double z) { return 0.5 * erfc(-z / 1.4142135623730951); }

/* Where normal_below is p: by halving, as it is asked once. */
static double normal_quantile(double p)
{
    double lo = -10, hi = 10;
    for (int i = 0; i < 60; i++) {
        double mid = 0.5 * (lo + hi);
        if (normal_below(mid) < p) lo = mid;
        else hi = mid;
    }
    return 0.5 * (lo + hi);
}

/* A random number of 64 bits chooses two values; n is below 2^32. */
static double resampled_mean(const double *x, size_t n, qs_rng *r)
{
    double a = 0, b = 0;
    for (size_t i = 0; i + 1 < n; i += 2) {
        uint64_t bits = qs_rng_next(r);
        a += x[(bits >> 32) * n >> 32];
        b += x[(bits & UINT32_MAX) * n >> 32];
    }
    if (n % 2) a += x[(qs_rng_next(r) >> 32) * n >> 32];
    return (a + b) / (double)n;
}

/* Puts in place what v[k] would be if v (m) were sorted: less before it, more behind. */
static void put_in_place(double *v, size_t m, size_t k)
{
    size_t lo = 0, hi = m - 1;
    while (lo < hi) {
        double pivot = v[lo + (hi - lo) / 2];
        size_t i = lo, j = hi;
        for (;;) {
            while (v[i] < pivot) i++;
            while (v[j] > pivot) j--;
            if (i >= j) break;
            double t = v[i];
            v[i++] = v[j];
            v[j--] = t;
        }
        if (k <= j) hi = j;
        else lo = j + 1;
    }
}

/* The value below which a part p of m lies, between two neighbours in proportion. Reorders v. */
static double quantile(double *v, size_t m, double p)
{
    double at = p * (double)(m - 1), next = INFINITY;
    size_t i = (size_t)at;
    put_in_place(v, m, i);
    for (size_t k = i + 1; k < m; k++) next = fmin(next, v[k]);
    return i + 1 < m ? v[i] + (at - (double)i) * (next - v[i]) : v[i];
}

/* The normal deviate that z becomes once bias (z0) and acceleration (a) are taken into account, as a part of 1. */
static double corrected(double z0, double a, double z) { return normal_below(z0 + (z0 + z) / (1 - a * (z0 + z))); }

static double acceleration(const double *x, size_t n, double mean)
{
    double s2 = 0, s3 = 0;
    for (size_t i = 0; i < n; i++) {
        double d = x[i] - mean;
        s2 += d * d;
        s3 += d * d * d;
    }
    return s3 / (6 * pow(s2, 1.5));
}

static void bootstrap(const double *x, qs_infer *o)
{
    size_t m = o->n < 10000 ? 10000 : o->n < 100000 ? 100000000 / o->n : 1000;
    double *mean = qs_xmalloc(m * sizeof *mean), below = 0;
    qs_rng r;
    qs_rng_seed(&r, SEED);
    for (size_t k = 0; k < m; k++) {
        mean[k] = resampled_mean(x, o->n, &r);
        below += mean[k] < o->mean ? 1 : mean[k] == o->mean ? 0.5 : 0;
    }
    double z0 = normal_quantile(below / (double)m), a = acceleration(x, o->n, o->mean);
    o->lo = quantile(mean, m, corrected(z0, a, -Z975));
    o->hi = quantile(mean, m, corrected(z0, a, Z975));
    free(mean);
}

/* ---- the mean -------------------------------------------------------------------------------------------- */
void qs_infer_moments(const double *x, size_t n, qs_infer *o)
{
    *o = (qs_infer){n, NAN, NAN, NAN, NAN, NAN, NAN};
    if (!n) return;
    double sum = 0, square = 0;
    o->min = o->max = x[0];
    for (size_t i = 0; i < n; i++) {
        sum += x[i] / (double)n;      /* the sum itself may be too large a number */
        o->min = fmin(o->min, x[i]);
        o->max = fmax(o->max, x[i]);
    }
    o->mean = fmin(fmax(sum, o->min), o->max);      /* equal values have that mean, whatever the rounding */
    if (n == 1) return;
    for (size_t i = 0; i < n; i++) square += (x[i] - o->mean) * (x[i] - o->mean);
    o->std = sqrt(square / (double)(n - 1));
    if (n >= QS_INFER_BOOTSTRAP && o->std > 0) return;
    double half = t975(n < QS_INFER_BOOTSTRAP ? n : 2) * o->std / sqrt((double)n);
    o->lo = o->mean - half;
    o->hi = o->mean + half;
}

void qs_infer_mean(const double *x, size_t n, qs_infer *o)
{
    qs_infer_moments(x, n, o);
    if (n >= QS_INFER_BOOTSTRAP && o->std > 0) bootstrap(x, o);
}

/* ---- signs ------------------------------------------------------------------------------------------------- */
/* How many of the 2^(n - i) ways to give signs to d[i] .. d[n-1] reach |sum| >= want. */
static uint64_t reach(const double *d, size_t i, size_t n, double sum, double want)
{
    if (i == n) return fabs(sum) >= want;
    return reach(d, i + 1, n, sum + d[i], want) + reach(d, i + 1, n, sum - d[i], want);
}

/* What eight differences sum up to, for each of the 256 ways to give them signs: malloc'd, 256 for each eight. */
static double *sums_of_eight(const double *d, size_t n)
{
    double *sum = qs_xcalloc((n + 7) / 8 * 256, sizeof *sum);
    for (size_t i = 0; i < n; i++) {
        double *s = sum + i / 8 * 256;
        for (int bits = 0; bits < 256; bits++) s[bits] += bits >> i % 8 & 1 ? d[i] : -d[i];
    }
    return sum;
}

static double random_flips(const double *d, size_t n, double want)
{
    enum { FLIPS = 99999 };
    double *eight = sums_of_eight(d, n);
    size_t hits = 1, blocks = (n + 7) / 8;      /* hits: the signs that were seen */
    qs_rng r;
    qs_rng_seed(&r, SEED);
    for (int k = 0; k < FLIPS; k++) {
        double sum = 0;
        uint64_t bits = 0;
        for (size_t i = 0; i < blocks; i++, bits >>= 8) {
            if (i % 8 == 0) bits = qs_rng_next(&r);
            sum += eight[i * 256 + (bits & 255)];
        }
        hits += fabs(sum) >= want;
    }
    free(eight);
    return (double)hits / (FLIPS + 1);
}

double qs_infer_flip(const double *d, size_t n)
{
    double sum = 0, size = 0;
    if (!n) return NAN;
    for (size_t i = 0; i < n; i++) {
        sum += d[i];
        size += fabs(d[i]);
    }
    double want = fabs(sum) - 1e-12 * size;      /* sums that differ by rounding only are equal */
    return n < QS_INFER_BOOTSTRAP ? (double)reach(d, 0, n, 0, want) / (double)(UINT64_C(1) << n) : random_flips(d, n, want);
}
