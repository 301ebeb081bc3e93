/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_STAT_LOGHIST_H
#define QS_STAT_LOGHIST_H
/*
 * Values on a logarithmic grid: sums of |x|^p at its nodes ln|x| = lo + i (hi-lo)/cells, one grid for x > 0 and one for
 * x < 0; a value counts for the nodes around it (Lagrange). It accumulates over batches of activations, and in ln |x| the
 * error curve of any scale-covariant quantizer is a cross-correlation with it (METHODS 9 A): two real FFTs a side give
 * E(s) for every s and any norm.
 */
#include "stat/index.h"

typedef struct qs_loghist {
    double lo, hi;       /* range of ln|x| */
    size_t cells;        /* a power of two */
    double p;            /* the norm */
    double *pos, *neg;   /* (cells) sums of w |x|^p */
    double *wpos, *wneg; /* (cells) sums of w */
    double zeros;        /* weight of x = 0 */
    double n;            /* weight of all finite values */
    double under, over;  /* sums of w|x|^p that fell outside: under counts in cell 0, over in the last */
} qs_loghist;

/* EARG: lo >= hi, cells no power of two from 2 to 2^20, p <= 0 or > 64. ENOMEM. */
int qs_loghist_init(qs_loghist *h, double lo, double hi, size_t cells, double p, qs_err *err);
/* NaN and infinity are left out. Cost: a logarithm a value. */
void qs_loghist_add(qs_loghist *h, const float *x, size_t n);
/* From an index, range chosen to hold it: every non-zero value of it down to absmax * 2^-40, and
 * at least 14 wide. ERANGE: it is all 0.
 * Cost: O(cells log n); up to 65536 entries one by one. */
int qs_loghist_index(qs_loghist *h, const qs_index *ix, size_t cells, double p, qs_err *err);
void qs_loghist_clear(qs_loghist *h);

/*
 * The mean of |x - Q_s(x)|^p for all steps at once, s = exp(c0 + k (hi-lo)/cells), k = 0 .. count-1 (count <= cells).
 * eps_pos(t, ctx) = |1 - Q_1(t)/t|^p for t > 0, eps_neg the same for x = -t; zero_err: |Q_1(0)|^p (0 where 0 is a level).
 * Cost: 2 real FFTs of 2*cells a side and one more; twice that where zero_err > 0. out: (count).
 * EARG: count 0 or > cells.  Test: against direct evaluation, the accuracy of METHODS 9 A.
 */
typedef double qs_loghist_eps(double t, void *ctx);
int qs_loghist_curve(const qs_loghist *h, qs_loghist_eps *eps_pos, qs_loghist_eps *eps_neg, void *ctx,
                     double zero_err, double c0, size_t count, double *out, qs_err *err);

#endif
