/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_STAT_HIST_H
#define QS_STAT_HIST_H
/*
 * Histograms from the raw values at every zoom: the bins of a range are counted
 * anew, never merged from coarser ones. From an index the counts cost O(bins log n).
 */
#include "stat/index.h"

typedef struct qs_hist {
    double lo, hi;        /* the range; for log_x: of |x|, both > 0 */
    size_t bins;
    bool log_x;           /* bins are equal in ln |x| */
    uint64_t *count;      /* (bins); NumPy's rule: [edge, next), the last bin closed */
    uint64_t under, over; /* finite values outside (log_x: zeros are under) */
    uint64_t skipped;     /* NaN and infinite */
    bool wide;            /* edges are doubles: bins are finer than float32 (see qs_hist_edge) */
} qs_hist;

/*
 * NaN lo/hi: the default range of qs_hist_range; for log_x the range of the magnitudes, at most 2^-40 deep
 * (without an index the rule looks at a sample, the ends are those of all values).
 * EARG: lo >= hi, bins 0 or > 65536. Edges are NumPy's for float32 data: linspace, rounded to float32; so are the counts.
 * ECANCEL (tensor). Weights of an index are ignored.
 */
int qs_hist_index(const qs_index *ix, double lo, double hi, size_t bins, bool log_x, qs_hist *out, qs_err *err);
/* Straight from values, no index: one pass. */
int qs_hist_tensor(const qs_tensor *t, double lo, double hi, size_t bins, const qs_ctl *ctl, qs_hist *out, qs_err *err);
void qs_hist_clear(qs_hist *h);
/* Edge i, 0..bins. Rounded to float32 as values are compared, unless bins are narrower than a few float32 steps. */
double qs_hist_edge(const qs_hist *h, size_t i);

/*
 * The range to look at first: min..max, unless a few outliers (up to a thousandth a side, at least one; from 16 values
 * on) squeeze the rest into less than a third of the width; then the rest with a margin of a twentieth, and *left_out
 * says how many values lie outside (0 otherwise). Of a constant: a range around it. Always lo < hi, finite.
 */
void qs_hist_range(const qs_index *ix, double *lo, double *hi, uint64_t *left_out);

/*
 * Smooth density: Gaussian kernel estimate by FFT (Silverman AS 176), h = 0.9 min(sd, IQR/1.34) n^(-1/5), at `points`
 * equidistant places from lo to hi, right to 9 digits where (hi-lo)/h < 400. A constant tensor gives ERANGE.
 * Weights count; h takes n from the number of values. EARG: lo >= hi, points < 2.  Test: METHODS 11.14.
 */
int qs_density(const qs_index *ix, double lo, double hi, size_t points, double *out, double *bandwidth, qs_err *err);

#endif
