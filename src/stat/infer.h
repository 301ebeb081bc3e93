/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_STAT_INFER_H
#define QS_STAT_INFER_H
/*
 * What a few repeated results say: the mean with a 95 % interval, and whether
 * two ways differ, judged by pairs that differ in nothing else (a seed, say).
 *
 * What is undefined is NaN: all but n without values; std, lo and hi of a single
 * one. Values must be finite. Results repeat bit for bit: random numbers have a
 * fixed seed.  Thread: any.  Test: t_oracle_infer, against SciPy and closed forms.
 */
#include <stddef.h>

#define QS_INFER_BOOTSTRAP 20    /* from this many values on intervals are the bootstrap's, below Student's t */

typedef struct qs_infer {
    size_t n;
    double mean, min, max;
    double std;                  /* n-1 */
    double lo, hi;               /* 95 % interval of the mean */
} qs_infer;

/*
 * x: (n). From QS_INFER_BOOTSTRAP values on the interval is the bias-corrected and accelerated bootstrap of 10,000 samples
 * (fewer from 10,000 values on, never below 1,000).
 * Cost: 0.5 ms at 20 values, 18 ms at 1000.
 * Source: Efron 1987, Better bootstrap confidence intervals, JASA 82, eq. 2.3 and 6.6 (acceleration of a mean).
 */
void qs_infer_mean(const double *x, size_t n, qs_infer *out);
/* All of it but what takes time: lo and hi are NaN where they would be the bootstrap's. */
void qs_infer_moments(const double *x, size_t n, qs_infer *out);

/*
 * The chance to see a mean at least as far from 0 as that of d (n) if the sign of each difference were a coin's: two-sided
 * sign-flip test. Below 20 values exact, over all 2^n flips; else of 99,999 random ones, with the one that was seen:
 * never 0. NaN: n = 0. Note that n values cannot give less than 2 / 2^n.
 * Cost: 0.7 ms at 19 values, 2 ms at 100, 12 ms at 1000.
 * Source: Fisher 1935, The Design of Experiments, section 21; Phipson and Smyth 2010 for the "+ 1".
 */
double qs_infer_flip(const double *d, size_t n);

#endif
