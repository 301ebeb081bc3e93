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

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double resampled_mean(const double *x, size_t n, qs_rng *r)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += x[(size_t)((unsigned __int128)qs_rng_next(r) * n >> 64)];
    return sum / (double)n;
}

/* The value below which a part p of m sorted ones lies, between two neighbours in proportion. */
static double quantile(const double *sorted, size_t m, double p)
{
    double at = p * (double)(m - 1);
    size_t i = (size_t)at;
    return i + 1 < m ? sorted[i] + (at - (double)i) * (sorted[i + 1] - sorted[i]) : sorted[m - 1];
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
    qsort(mean, m, sizeof *mean, by_value);
    double z0 = normal_quantile(below / (double)m), a = acceleration(x, o->n, o->mean);
    o->lo = quantile(mean, m, corrected(z0, a, -Z975));
    o->hi = quantile(mean, m, corrected(z0, a, Z975));
    free(mean);
}

/* ---- the mean -------------------------------------------------------------------------------------------- */
void qs_infer_mean(const double *x, size_t n, qs_infer *o)
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
    double half = t975(n < QS_INFER_BOOTSTRAP ? n : 2) * o->std / sqrt((double)n);
    o->lo = o->mean - half;
    o->hi = o->mean + half;
    if (n >= QS_INFER_BOOTSTRAP && o->std > 0) bootstrap(x, o);
}

/* ---- signs ------------------------------------------------------------------------------------------------- */
/* How many of the 2^(n - i) ways to give signs to d[i] .. d[n-1] reach |sum| >= want. */
static uint64_t reach(const double *d, size_t i, size_t n, double sum, double want)
{
    if (i == n) return fabs(sum) >= want;
    return reach(d, i + 1, n, sum + d[i], want) + reach(d, i + 1, n, sum - d[i], want);
}

static double random_flips(const double *d, size_t n, double want)
{
    enum { FLIPS = 99999 };
    size_t hits = 1;      /* the signs that were seen */
    qs_rng r;
    qs_rng_seed(&r, SEED);
    for (int k = 0; k < FLIPS; k++) {
        double sum = 0;
        uint64_t bits = 0;
        for (size_t i = 0; i < n; i++, bits >>= 1) {
            if (i % 64 == 0) bits = qs_rng_next(&r);
            sum += bits & 1 ? d[i] : -d[i];
        }
        hits += fabs(sum) >= want;
    }
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
