/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_STAT_SUMMARY_H
#define QS_STAT_SUMMARY_H
/*
 * What a tensor's values are like, in two passes over the raw values (vector
 * kernels, double sums): no sort, no copy.
 */
#include "base/sync.h"
#include "stat/index.h"

typedef struct qs_summary {
    size_t n;                 /* all elements */
    size_t zeros, nans, infs; /* zeros: +0 and -0 */
    double min, max, absmax;  /* over finite values; 0 if there are none */
    double mean;
    double std;               /* n-1; 0 for one value */
    double mean_abs;
    double mean_sq;
    double skewness;          /* 0 where std is 0 */
    double kurtosis;          /* Pearson: normal = 3; 0 where std is 0 */
} qs_summary;

/* Of a whole tensor. Empty or no finite value: counts are set, the rest 0, returns 0. ECANCEL.
 * EUNSUP: a type that cannot be read. Cost: two reads. */
int qs_summary_tensor(const qs_tensor *t, const qs_ctl *ctl, qs_summary *out, qs_err *err);
/*
 * Of the first of n tensors, as many as are worked on at once: small ones side by side (QS_SUMMARIES at most), or one that
 * is large. Returns how many, 1 or more, out: (so many); where a type cannot be read only n is set. ECANCEL, EIO.
 * The same bits as one by one. Cost: their files are asked for once, not once a tensor.  Test: t_summary
 */
#define QS_SUMMARIES 256
int qs_summary_some(qs_tensor *const *t, size_t n, const qs_ctl *ctl, qs_summary *out, qs_err *err);
/* The same from an index of counted values, without reading them again: equal to about 1e-12. false: this index does not
 * know it all (another kind, or NaN or infinite values, which it does not tell apart). */
bool qs_summary_counted(const qs_index *ix, qs_summary *out);
void qs_summary_floats(const float *x, size_t n, qs_summary *out);

#endif
