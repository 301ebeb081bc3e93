/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where levels come from. Knows the number systems and the published level
 * sets; knows nothing of format strings, steps or data.
 */
#include "quant/book.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"

static double *room(size_t n) { return qs_xmalloc(n * sizeof(double)); }

/* ---- integers ------------------------------------------------------------------- */
static size_t integers(long lo, long hi, double **c)
{
    size_t n = (size_t)(hi - lo + 1);
    *c = room(n);
    for (size_t i = 0; i < n; i++) (*c)[i] = (double)(lo + (long)i);
    return n;
}

size_t qs_book_int(const qs_format *f, double **c)
{
    long top = 1L << (f->bits - 1);
    return integers(f->narrow ? 1 - top : -top, top - 1, c);
}

size_t qs_book_uint(const qs_format *f, double **c) { return integers(0, (1L << f->bits) - 1, c); }

/* ---- powers of two and their sums ---------------------------------------------------- */
/* m magnitudes in c, the largest scaled to 1, and their negatives behind them. Returns 2m. */
static size_t normalized_signed(double *c, size_t m)
{
    double top = 0;
    for (size_t i = 0; i < m; i++) top = fmax(top, c[i]);
    for (size_t i = 0; i < m; i++) {
        c[i] /= top;
        c[m + i] = -c[i];
    }
    return 2 * m;
}

/* {0} and 1, 1/2, ... 2^-(2^m - 2): what APoT's code builds with additive=False on m = B-1 magnitude bits. */
size_t qs_book_pot(const qs_format *f, double **c)
{
    size_t m = (size_t)1 << (f->bits - 1);
    *c = room(2 * m);
    (*c)[0] = 0;
    for (size_t i = 1; i < m; i++) (*c)[i] = ldexp(1, -(int)(i - 1));
    return normalized_signed(*c, m);
}

/*
 * Sums of powers of two, one out of each term. Exponents e stand for 2^-e, 0 for the value 0.
 * Source: Li, Dong, Wang 2020, arXiv 1909.13144, and the build_power_value of its code (which differs
 * from eq. (5) where an odd bit is left over).
 */
static const struct terms { int bits; int e[3][4], len[3]; } apot_terms[] = {
    {1, {{0, 1}, {0}, {0}}, {2, 1, 1}},                       /* ternary weights: {0, 1} and a sign */
    {2, {{0, 1, 2, 3}, {0}, {0}}, {4, 1, 1}},
    {3, {{0, 1, 2, 4}, {0, 3}, {0}}, {4, 2, 1}},
    {4, {{0, 1, 3, 5}, {0, 2, 4, 6}, {0}}, {4, 4, 1}},
    {5, {{0, 1, 3, 6}, {0, 2, 4, 7}, {0, 5}}, {4, 4, 2}},
    {6, {{0, 1, 4, 7}, {0, 2, 5, 8}, {0, 3, 6, 9}}, {4, 4, 4}},
};

static double power(int e) { return e ? ldexp(1, -e) : 0; }

/* The magnitudes of `bits` bits with room for their negatives. */
static size_t sums_of_powers(int bits, double **c)
{
    const struct terms *w = &apot_terms[bits - 1];
    size_t m = 0;
    *c = room((size_t)2 << bits);
    for (int i = 0; i < w->len[0]; i++)
        for (int j = 0; j < w->len[1]; j++)
            for (int k = 0; k < w->len[2]; k++)
                (*c)[m++] = power(w->e[0][i]) + power(w->e[1][j]) + power(w->e[2][k]);
    return m;
}

size_t qs_book_apot(const qs_format *f, double **c)
{
    size_t m = sums_of_powers(f->bits - 1, c);
    return normalized_signed(*c, m);
}

size_t qs_book_uapot(const qs_format *f, double **c)
{
    size_t m = sums_of_powers(f->bits, c);
    normalized_signed(*c, m);
    return m;
}

/* ---- NF4 ------------------------------------------------------------------------------- */
/* The standard normal quantile for 1/2 <= p < 1 by Newton on erfc; exact to a few ulp. */
static double normal_quantile(double p)
{
    double z = 0;
    for (int i = 0; i < 60; i++) {
        double f = (1 - p) - 0.5 * erfc(z / M_SQRT2);
        double d = exp(-0.5 * z * z) * 0.39894228040143267794;
        double step = f / d;
        z -= step;
        if (fabs(step) < 1e-16) break;
    }
    return z;
}

/* Dettmers et al. 2023, arXiv 2305.14314, with the offset of its code: 8 quantiles above zero, 7 below, and 0. */
size_t qs_book_nf4(const qs_format *f, double **c)
{
    (void)f;
    const double p = 0.9677083;
    double top = normal_quantile(p);
    *c = room(16);
    (*c)[0] = 0;
    for (int i = 0; i < 8; i++) (*c)[1 + i] = normal_quantile(p + (0.5 - p) * i / 8) / top;
    for (int i = 0; i < 7; i++) (*c)[9 + i] = -normal_quantile(p + (0.5 - p) * i / 7) / top;
    return 16;
}

/* ---- small floating-point numbers ---------------------------------------------------------- */
/* All finite values of a sign, `ebits`, `mbits` format: codes 0 .. last of the magnitude. */
static size_t small_floats(int mbits, int bias, unsigned last, double **c)
{
    size_t m = last + 1;
    *c = room(2 * m);
    for (unsigned code = 0; code <= last; code++) {
        int e = (int)(code >> mbits);
        double frac = code & ((1u << mbits) - 1);
        double v = e ? ldexp(1 + ldexp(frac, -mbits), e - bias) : ldexp(frac, 1 - bias - mbits);
        (*c)[code] = v;
        (*c)[m + code] = -v;
    }
    return 2 * m;
}

/* OCP Microscaling Formats 1.0 (FP4 E2M1) and OCP 8-bit Floating Point 1.0. */
size_t qs_book_fp4(const qs_format *f, double **c) { (void)f; return small_floats(1, 1, 7, c); }
size_t qs_book_fp8e4m3(const qs_format *f, double **c) { (void)f; return small_floats(3, 7, 126, c); }
size_t qs_book_fp8e5m2(const qs_format *f, double **c) { (void)f; return small_floats(2, 15, 123, c); }

/* ---- levels to thresholds --------------------------------------------------------------------- */
static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static size_t nearest_zero(const float *c, size_t n)
{
    size_t best = 0;
    for (size_t k = 1; k < n && fabsf(c[k]) <= fabsf(c[best]); k++) best = k;
    return best;
}

size_t qs_book_thresholds(const float *c, size_t n, bool away, float *t, unsigned char *up)
{
    size_t zero = nearest_zero(c, n);
    for (size_t k = 0; k + 1 < n; k++) {
        t[k] = (float)(0.5 * ((double)c[k] + c[k + 1]));
        up[k] = away ? t[k] >= 0 : (k > zero ? k - zero : zero - k) % 2 == 1;
        /* Levels that are neighbours in float32 have no midpoint of their own: keep each level on itself. */
        if (t[k] <= c[k]) up[k] = 0;
        if (t[k] >= c[k + 1]) up[k] = 1;
    }
    return zero;
}

void qs_book_finish(qs_format *f, double *c, size_t n)
{
    qsort(c, n, sizeof *c, ascending);
    f->c = qs_xmalloc(n * sizeof *f->c);
    f->n = 0;
    for (size_t i = 0; i < n; i++) {
        float v = (float)c[i] + 0.0f;   /* -0 becomes 0 */
        if (!f->n || v > f->c[f->n - 1]) f->c[f->n++] = v;
    }
    free(c);
    f->t = qs_xmalloc(f->n * sizeof *f->t);
    f->up = qs_xmalloc(f->n);
    f->zero = qs_book_thresholds(f->c, f->n, f->away, f->t, f->up);
    f->cmax = fmax(fabs((double)f->c[0]), fabs((double)f->c[f->n - 1]));
    f->is_signed = f->c[0] < 0;
}

size_t qs_book_rank(const float *t, const unsigned char *up, size_t n, float u)
{
    size_t lo = 0, hi = n - 1;   /* the answer is in lo .. hi */
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (u > t[mid] || (u == t[mid] && up[mid])) lo = mid + 1;
        else hi = mid;
    }
    return lo;
}
