/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_STAT_INDEX_BUILD_H
#define QS_STAT_INDEX_BUILD_H
/*
 * The ways an index comes about, and what they share. Private to index_build.c, which chooses and sorts,
 * index_counted.c and index_buckets.c.
 */
#include "stat/index_in.h"

#define QS_SLAB ((size_t)4 << 20)   /* elements a lane between two looks at the cancel token */
#define QS_LANES 8

/* ---- compensated sums ---------------------------------------------------------------------------- */
struct qs_acc { double s, c; };

static inline void qs_acc_add(struct qs_acc *a, double x)
{
    double t = a->s + x, z = t - a->s;
    a->c += (a->s - (t - z)) + (x - z);   /* Knuth's two-sum: what t lost */
    a->s = t;
}

static inline double qs_acc_get(const struct qs_acc *a) { return a->s + a->c; }

struct qs_acc3 { struct qs_acc w, x, xx; };

static inline void qs_acc3_add(struct qs_acc3 *a, qs_sums s)
{
    qs_acc_add(&a->w, s.w);
    qs_acc_add(&a->x, s.wx);
    qs_acc_add(&a->xx, s.wxx);
}

static inline qs_sums qs_acc3_get(const struct qs_acc3 *a)
{
    return (qs_sums){qs_acc_get(&a->w), qs_acc_get(&a->x), qs_acc_get(&a->xx)};
}

/* ---- shared (index_build.c) ------------------------------------------------------------------------ */
enum { QS_HAS_WEIGHTS = 1, QS_HAS_CUM = 2 };

/* Room for m entries, in one block: the struct, zeroed, and its arrays, not zeroed; has: which of w and cum. ENOMEM. */
qs_index *qs_index_allocate(qs_index_kind kind, size_t m, int has, qs_err *err);
/* Everything else of sorted entries, with value, w, cum and m > 0 in place. Not of buckets. */
void qs_index_finish(qs_index *ix);
/* The n values are all skipped, or their weights all 0: ERANGE that says which. Drops ix (NULL allowed); returns NULL. */
qs_index *qs_index_nothing(qs_index *ix, size_t n, qs_err *err);
/* w: (n); the first is called weight `at`. ERANGE: one is negative or not finite. */
int qs_index_check_weights(const float *w, size_t n, size_t at, qs_err *err);

/* ---- counted (index_counted.c) --------------------------------------------------------------------- */
/* Of n elements of 1 or 2 bytes that lie one after the other, from element start of t; w: a tensor as t, or NULL. */
qs_index *qs_index_counted(const qs_tensor *t, const qs_tensor *w, size_t start, size_t n, const qs_ctl *ctl,
                           qs_err *err);

/* ---- buckets (index_buckets.c) --------------------------------------------------------------------- */
/* Where floats come from: memory, or a tensor that is read piece by piece. */
struct qs_index_source {
    const float *x, *w;
    const qs_tensor *t, *wt;     /* where x, w are NULL */
    qs_tensor *again;            /* the tensor, where they can be looked at again; else NULL */
    size_t start, n;
};

qs_index *qs_index_buckets(const struct qs_index_source *src, const qs_ctl *ctl, qs_err *err);
/* Of -x. */
qs_index *qs_index_buckets_mirror(const qs_index *ix, qs_err *err);

#endif
