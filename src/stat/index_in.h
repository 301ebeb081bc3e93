/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_STAT_INDEX_IN_H
#define QS_STAT_INDEX_IN_H
/*
 * What an index is made of. Private to stat/: index.c asks, index_build.c and its ways make.
 *
 * Entries are ascending. Sums are kept at every 16th entry, relative to the
 * start of their run of 65536 entries; the rest is added up from the entries
 * themselves, which are in one cache line. A table over the upper bits of a
 * value says between which entries it must lie.
 */
#include "stat/index.h"

#define QS_BLOCK 16
#define QS_RUN 65536
#define QS_BUCKET_SHIFT 14                      /* bits of a key inside a bucket */
#define QS_BUCKETS (1u << (32 - QS_BUCKET_SHIFT))
#define QS_COARSE SIZE_MAX
#define QS_BUCKET_LOW ((1u << QS_BUCKET_SHIFT) - 1)

struct qs_index {
    _Atomic int refs;
    qs_index_kind kind;
    bool weighted;
    size_t n, skipped, distinct, bytes;
    float min, max;
    qs_sums total;
    size_t m;               /* entries */
    float *value;           /* (m) 64-byte aligned. Buckets: their means */
    double *w;              /* (m) weights, or NULL: 1 each */
    size_t *cum;            /* (m+1) values before entry i, or NULL: i */
    size_t runs;
    qs_sums *run;           /* (runs+1) sums before the run; w only where weights are kept */
    double *block;          /* (m/16 + 1) times 2 (wx, wxx) or 3 (w, wx, wxx): sums from the run's start */
    uint32_t *slot;         /* (slots+1) first entry at or after the slot, or NULL: too small to pay */
    uint32_t slots, floor;  /* see slot_of in index.c */
    int shift;
    /* buckets: */
    uint32_t *id;           /* (m) key >> QS_BUCKET_SHIFT */
    qs_sums *edge;          /* (m+1) sums below the bucket, exact */
    size_t zero_n;          /* of the values that are 0: how many, and their weight */
    double zero_w;
    bool *single;           /* (m) all its values are one: `value`, exactly */
    bool all_single;
    qs_tensor *src;         /* where the values are, from element start: a reference, or NULL */
    size_t start;
    qs_index *fine;         /* refined: the values of some buckets, sorted; a reference */
    size_t *fine_at;        /* (m) where those of a bucket begin in it; QS_COARSE: they are not there */
    _Atomic(qs_moments *) moments;   /* made when first asked for */
};

/* This index goes: what is kept beside it does too (index_fine.c). */
void qs_index_forget_fine(const qs_index *of);

/* The slot of a value: sign and magnitude, everything below 2^-20 of the largest in the middle. Monotone. */
static inline uint32_t qs_slot_of(const qs_index *ix, float v)
{
    uint32_t b, mag, half = ix->slots / 2;
    v += 0.0f;
    __builtin_memcpy(&b, &v, sizeof b);
    mag = b & 0x7fffffffu;
    mag = mag > ix->floor ? (mag - ix->floor) >> ix->shift : 0;
    if (mag >= half) mag = half - 1;
    return b >> 31 ? half - 1 - mag : half + mag;
}

/* Of a bucket index: the first entry whose bucket is id or above; m if there is none. */
size_t qs_index_entry_from(const qs_index *ix, uint32_t id);

#endif
