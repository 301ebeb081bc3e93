/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_STAT_SORT_H
#define QS_STAT_SORT_H
/*
 * Sorting floats by their bits. Private to stat/.
 *
 * A key is the bits of a float, turned so that unsigned order is the order of
 * the values; -0 gets the key of 0. NaN and infinity lie at both ends.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/err.h"
#include "base/sync.h"

static inline uint32_t qs_key(float x)
{
    uint32_t b;
    x += 0.0f;   /* -0 + 0 = 0; a NaN stays one */
    memcpy(&b, &x, sizeof b);
    return b ^ (uint32_t)((int32_t)b >> 31 | INT32_MIN);
}

static inline float qs_key_float(uint32_t k)
{
    float x;
    k ^= ((k >> 31) - 1) | 0x80000000u;
    memcpy(&x, &k, sizeof x);
    return x;
}

#define QS_KEY_FIRST 0x00800000u   /* finite keys: FIRST .. LAST */
#define QS_KEY_LAST 0xff7fffffu
static inline bool qs_key_finite(uint32_t k) { return k - QS_KEY_FIRST <= QS_KEY_LAST - QS_KEY_FIRST; }

/*
 * The finite values of x (n), ascending, into out (n, 64-byte aligned); *kept says how many. Radix sort: a partition
 * into about 250 parts of equal size, each then sorted in cache. Cost: about 4 n moves, n floats of scratch.
 * Returns 0, ENOMEM, ECANCEL.  Thread: any; uses the pool.
 */
int qs_sort_floats(const float *x, size_t n, float *out, size_t *kept, const qs_ctl *ctl, qs_err *err);

/* The same with a weight that goes with each value; equal values keep their order. */
int qs_sort_pairs(const float *x, const float *w, size_t n, float *out, double *wout, size_t *kept,
                  const qs_ctl *ctl, qs_err *err);

#endif
