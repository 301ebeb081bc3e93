/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_STAT_INDEX_H
#define QS_STAT_INDEX_H
/*
 * The index: the sorted values of a tensor (or channel, or group, or any list)
 * with prefix sums of 1, x and x^2, or of w, wx, wx^2 where values carry weights.
 * The error of any quantizer at any step is then O(levels * log n), never O(n).
 *
 * Only finite values are in it; NaN and infinity are counted as skipped.
 * Immutable once made, reference counted, read from any thread.
 */
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/sync.h"
#include "model/tensor.h"

typedef struct qs_index qs_index;

typedef enum qs_index_kind {
    QS_INDEX_SORTED,   /* every value: radix sort */
    QS_INDEX_COUNTED,  /* distinct values with counts (16-bit types: one counting pass) */
    QS_INDEX_BUCKETS   /* float-bit buckets: sums exact at bucket edges, interpolated inside; qs_index_exact says no.
                          qs_index_refine makes them exact where that matters */
} qs_index_kind;

typedef struct qs_sums {
    double w;    /* sum of weights; the count where there are none */
    double wx;   /* sum of w x */
    double wxx;  /* sum of w x^2 */
} qs_sums;

/* Of n floats; w: (n) weights >= 0 or NULL. ERANGE if n = 0, or all are NaN or infinite, or weights are
 * negative, not finite or all 0; ENOMEM; ECANCEL. */
qs_index *qs_index_new(const float *x, size_t n, const float *w, const qs_ctl *ctl, qs_err *err);
/* Of a part of a tensor; weights: a tensor of the same shape, or NULL. 16-bit types take the counting pass. */
qs_index *qs_index_of(const qs_tensor *t, const qs_split *s, size_t part, const qs_tensor *weights,
                      const qs_ctl *ctl, qs_err *err);
/* Of -x: needed for `flip`. */
qs_index *qs_index_mirror(const qs_index *ix, qs_err *err);
qs_index *qs_index_ref(qs_index *ix);
void qs_index_unref(qs_index *ix);

qs_index_kind qs_index_kind_of(const qs_index *ix);
bool qs_index_exact(const qs_index *ix);              /* sums below any value are exact: all kinds but buckets */
const char *qs_index_kind_text(const qs_index *ix);   /* "sorted", "counted", "buckets" */
size_t qs_index_n(const qs_index *ix);         /* finite values */
size_t qs_index_skipped(const qs_index *ix);   /* NaN and infinite values */
size_t qs_index_distinct(const qs_index *ix);  /* distinct values (-0 and 0 are one); an estimate for buckets */
size_t qs_index_bytes(const qs_index *ix);     /* memory held */
bool qs_index_weighted(const qs_index *ix);
float qs_index_min(const qs_index *ix);
float qs_index_max(const qs_index *ix);
float qs_index_absmax(const qs_index *ix);
qs_sums qs_index_total(const qs_index *ix);

/* Sums over all values < v. O(log n). v may be infinite. Each sum is within a few 1e-16 of the total of its magnitudes. */
qs_sums qs_index_below(const qs_index *ix, float v);
/* The same for k values v, best ascending; faster than k calls. */
void qs_index_below_many(const qs_index *ix, const float *v, size_t k, qs_sums *out);

/* Entries, ascending: values with the weight of each (1, or the count of equal values, or the weights' sum). For sweeps.
 * Of buckets: the mean value of each; where no bucket holds two values these are all the values there are. */
bool qs_index_of_values(const qs_index *ix);
size_t qs_index_entries(const qs_index *ix);
float qs_index_value(const qs_index *ix, size_t i);
double qs_index_weight(const qs_index *ix, size_t i);
size_t qs_index_rank(const qs_index *ix, float v);   /* entries < v */
/* The same for k values v, best ascending; faster than k calls. */
void qs_index_rank_many(const qs_index *ix, const float *v, size_t k, size_t *rank);
size_t qs_index_count_below(const qs_index *ix, float v);   /* values < v, whatever their weights. Buckets: rounded */

/* ---- a second look, where buckets are too coarse --------------------------------------------------- */
/*
 * A bucket index of a tensor (not of values in memory, nor with weights) knows where its values are. Refined, it is exact at
 * every v in the intervals asked for: the values of the buckets that reach into them are gathered and sorted. Buckets that
 * hold a single value are exact without that.
 */
#define QS_FINE_MOST ((size_t)10 << 20)   /* values gathered at a time: 13 bytes each while they are sorted, then 5 */
typedef struct qs_interval { float lo, hi; } qs_interval;   /* both ends are in it */

size_t qs_index_fine_most(void);
void qs_index_fine_limit(size_t n);        /* another one, for tests; 0: the default */
bool qs_index_refinable(const qs_index *ix);
/* How many values would have to be gathered. */
size_t qs_index_refine_count(const qs_index *ix, const qs_interval *at, size_t k);
/* A new index of the same values. ERANGE: more than qs_index_fine_most(); EUNSUP: not refinable; ECANCEL, ENOMEM, EIO.
 * Cost: one read of the tensor, none where the one made last of this index has it all. Thread: the one that owns the work. */
qs_index *qs_index_refine(const qs_index *ix, const qs_interval *at, size_t k, const qs_ctl *ctl, qs_err *err);
/* Of a refined index: what was gathered, as an index whose values are those in the intervals (and beside them). Else NULL. */
const qs_index *qs_index_fine(const qs_index *ix);
/* Of buckets: where v lies within one that is not exact, the sums below that bucket and those in it; else the sums below v,
 * exactly, and in->w = 0. */
void qs_index_bracket(const qs_index *ix, float v, qs_sums *below, qs_sums *in);

/* The p-quantile of the values (0..1), linear between ranks (NumPy's default); weights are ignored. */
double qs_index_quantile(const qs_index *ix, double p);
/* The p-quantile of |x|. */
double qs_index_quantile_abs(const qs_index *ix, double p);
/* Weighted means over the finite values. */
typedef struct qs_moments {
    double n, mean, mean_abs, mean_sq, std, skewness, kurtosis; /* std: n-1; kurtosis: normal = 3 */
    double mean_abs_dev;  /* mean |x - mean|: ACIQ's Laplace b */
} qs_moments;
void qs_index_moments(const qs_index *ix, qs_moments *m);

/* Above this many values float-bit buckets take the place of sorting; 0: the default, 2^24. For tests. Thread: any. */
void qs_index_bucket_limit(size_t n);

/* ---- a cache of indexes, bounded in bytes ------------------------------------------- */
typedef struct qs_cache qs_cache;
qs_cache *qs_cache_new(size_t bytes);
size_t qs_cache_bytes(qs_cache *c);   /* held now */
void qs_cache_free(qs_cache *c);      /* NULL allowed */
/* The index of a part, built on first use; a reference for the caller. NULL cache: just builds. The cache keeps
 * the least recently used out when it is over its bound, and keeps nothing larger than that. Thread: any. */
qs_index *qs_cache_get(qs_cache *c, qs_tensor *t, const qs_split *s, size_t part, const qs_ctl *ctl, qs_err *err);
/* The same, only if it is there already; NULL otherwise. */
qs_index *qs_cache_peek(qs_cache *c, const qs_tensor *t, const qs_split *s, size_t part);

#endif
