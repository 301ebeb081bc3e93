/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_QUANT_EXACT_H
#define QS_QUANT_EXACT_H
/*
 * The exact least-squares step of any codebook (METHODS 10), with weights, zero points and either sign. Knows no statistics of
 * distributions: only sorted values with prefix sums. Private to quant; init_mse.c makes the init "mse" of it.
 */
#include "quant/init.h"

/* ---- one codebook over one index: exact.c ------------------------------------------------------------------- */
typedef struct qs_exact {
    const qs_index *ix;    /* sums */
    const qs_index *ev;    /* entries that cross thresholds: ix, or what was gathered of it */
    bool rough;            /* buckets go as a whole, F is a lower bound */
    size_t n;
    double *c, *t;         /* (n) levels, (n-1) thresholds, units of the step */
    double density;        /* levels in a unit of the step, if they were evenly spread */
    double beta;           /* values are x - beta */
    bool ranked;           /* every entry weighs 1: sums count entries */
    bool by_entry;         /* fewer entries than levels: go value by value */
    float *v;              /* (n-1) scratch: cuts */
    qs_sums *at;           /* (n-1) scratch */
    size_t *r, *r2;        /* (n-1) scratch: ranks */
} qs_exact;

/* The best code vector: B = sum w x c, C = sum w c^2, gain B^2/C, step B/C. bound: gain that was not excluded, 0 if all was. */
typedef struct qs_exact_best { double gain, B, C, bound; } qs_exact_best;

/* Intervals of steps that a second look has to decide, of one zero point and side. ub: the largest gain there can be in it. */
typedef struct qs_exact_left { double z, lo, hi, ub; bool mirrored; } qs_exact_left;
typedef struct qs_exact_lefts { qs_exact_left *a; size_t n, cap; } qs_exact_lefts;

/* Levels f->c - z, of the other sign if mirrored, over ix, which must outlive it. */
void qs_exact_init(qs_exact *b, const qs_index *ix, const qs_format *f, double z, bool mirrored);
void qs_exact_clear(qs_exact *b);
/* The smallest float32 >= beta + t s. */
float qs_exact_cut(const qs_exact *b, double t, double s);

/* These raise best, which comes with what is known already (zeros: nothing), and fail with ECANCEL only.
 * The best code vector of all. Cost: bounded (16 bits on very many values: best->bound says what was not excluded). */
int qs_exact_search(const qs_exact *b, const qs_ctl *ctl, qs_exact_best *best, qs_err *err);
/* The same over whole buckets; what may hold better is added to `left`, as intervals of z and mirrored. */
int qs_exact_rough(qs_exact *b, const qs_ctl *ctl, qs_exact_best *best, qs_exact_lefts *left, double z, bool mirrored, qs_err *err);
/* Only steps from lo to hi, b being over a refined index. */
int qs_exact_within(const qs_exact *b, double lo, double hi, const qs_ctl *ctl, qs_exact_best *best, qs_err *err);

/* ---- over zero points and signs: init_mse.c ------------------------------------------------------------------ */
typedef struct qs_exact_answer {
    double step, offset;   /* step < 0: mirrored */
    double above;          /* the minimum is at most this much below, sum of squares; 0: proved */
    bool found, all;       /* all: every zero point was tried */
    qs_index *ix;          /* refined where the answer is: a reference; NULL: not needed, or it could not be had */
} qs_exact_answer;

#define QS_EXACT_ZPS 1024  /* zero points up to which all are tried */
/* The zero points to try, from *lo to *hi in strides of what is returned: all, or where there are very many QS_EXACT_ZPS. */
double qs_exact_zps(const qs_format *f, double *lo, double *hi);
/* One zero point and sign; *better: best was raised. */
int qs_exact_try(const qs_format *f, const qs_index *ix, double z, bool mirrored, const qs_ctl *ctl, qs_exact_best *best,
                 bool *better, qs_err *err);
/* a becomes the step of best. */
void qs_exact_keep(qs_exact_answer *a, const qs_exact_best *best, double z, bool mirrored);

/* ---- of buckets whose values can be looked at again: exact_buckets.c ----------------------------------------- */
/* *done: a is the minimum, a->ix exact there; else nothing is known. */
int qs_exact_buckets(const qs_format *f, const qs_index *ix, const qs_ctl *ctl, qs_exact_answer *a, bool *done, qs_err *err);

/* ---- step and real offset: exact_offset.c -------------------------------------------------------------------- */
/* Best found; a->found is false where all values are one. */
int qs_exact_offset(const qs_init_in *in, qs_exact_answer *a, qs_err *err);

#endif
