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
} qs_hist;

/* NaN lo/hi: the default range of qs_hist_range. EARG: lo >= hi, bins 0 or > 65536. Edges are NumPy's linspace. */
int qs_hist_index(const qs_index *ix, double lo, double hi, size_t bins, bool log_x, qs_hist *out, qs_err *err);
/* Straight from values, no index: one pass. */
int qs_hist_tensor(const qs_tensor *t, double lo, double hi, size_t bins, const qs_ctl *ctl, qs_hist *out, qs_err *err);
void qs_hist_clear(qs_hist *h);
double qs_hist_edge(const qs_hist *h, size_t i);   /* 0..bins */

/*
 * The range to look at first: min..max, unless a few outliers would squeeze the rest into less than a third of the
 * width; then the central quantiles, and *left_out says how many values lie outside (0 otherwise).
 */
void qs_hist_range(const qs_index *ix, double *lo, double *hi, uint64_t *left_out);

/*
 * Smooth density: Gaussian kernel estimate by FFT (Silverman AS 176), h = 0.9 min(sd, IQR/1.34) n^(-1/5), at `points`
 * equidistant places from lo to hi. A constant tensor gives ERANGE.  Test: METHODS 11.14.
 */
int qs_density(const qs_index *ix, double lo, double hi, size_t points, double *out, double *bandwidth, qs_err *err);

#endif
