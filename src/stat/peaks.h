/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_STAT_PEAKS_H
#define QS_STAT_PEAKS_H
/*
 * Channels that stand out: the largest magnitude in every channel, and which of them are far above the others'.
 */
#include "base/sync.h"
#include "model/tensor.h"

#define QS_PEAKS_MOST ((size_t)1 << 20)   /* channels; more are no channels of a layer */
#define QS_PEAKS_FACTOR 3.0

/* peak: (shape[axis]) max |x| over the finite values of the channel, 0 where there is none. EARG: no such axis, more
 * channels than QS_PEAKS_MOST; EUNSUP: a type that cannot be read; ECANCEL. Cost: one read. Test: t_survey */
int qs_peaks(const qs_tensor *t, int axis, float *peak, const qs_ctl *ctl, qs_err *err);

typedef struct qs_outliers {
    size_t channels;   /* 0: not looked at */
    size_t n;          /* channels whose peak is above QS_PEAKS_FACTOR times the median peak */
    size_t worst;      /* the one with the largest peak */
    double ratio;      /* its peak against the median; 0 where that is 0 */
} qs_outliers;

/* Along the output axis (where unknown: 0). Fewer than 2 channels or axes, or more than can be: out->channels is 0. */
int qs_outliers_find(const qs_tensor *t, const qs_ctl *ctl, qs_outliers *out, qs_err *err);

#endif
