/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_QUANT_ERROR_H
#define QS_QUANT_ERROR_H
/*
 * What quantizing costs: the error and its parts, at one step or at all of them.
 */
#include "quant/quantizer.h"

typedef struct qs_qerror {
    double mse;          /* mean (x - Q(x))^2 over finite values; never negative */
    /* mse / mean x^2; 0 where both are 0, NaN never: mse > 0 with x = 0 gives infinity -> QS_INF note */
    double nmse;
    double sqnr_db;      /* -10 log10 nmse; +infinity where the error is 0 (printed as null in JSON) */
    double clip_mse;     /* the part of elements strictly beyond the outermost level */
    double round_mse;    /* the rest: mse = clip_mse + round_mse */
    double clipped;      /* fraction of elements strictly beyond the outermost level */
    double max_abs;      /* max |x - Q(x)| */
    double bias;         /* mean (Q(x) - x) */
    double entropy;      /* of the codes, bits */
    double n;            /* finite values (their weights' sum, where weighted) */
    double energy;       /* mean x^2 */
    size_t skipped;      /* NaN and infinite values */
    size_t levels;       /* length of occupancy */
    size_t used;         /* levels with occupancy > 0 */
    double *occupancy;   /* (levels) counts, levels ascending; summed over parts of equal level number */
} qs_qerror;
void qs_qerror_clear(qs_qerror *e);

/* Of one part, from its index. O(levels log n) up to 4096 levels. */
int qs_error_index(const qs_grid *g, const qs_index *ix, qs_qerror *out, qs_err *err);
/* Of a tensor; uses and fills the cache where that pays (cache may be NULL). */
int qs_error_tensor(const qs_quantizer *q, qs_tensor *t, qs_cache *cache, const qs_ctl *ctl, qs_qerror *out,
                    qs_err *err);
/* Only the mean squared error of every part: out (parts). */
int qs_error_parts(const qs_quantizer *q, qs_tensor *t, qs_cache *cache, const qs_ctl *ctl, double *out, qs_err *err);

/* ---- curves --------------------------------------------------------------------------------- */
typedef struct qs_curve_opts {
    size_t points;       /* default 512; 2 .. 1e6 */
    double lo, hi;       /* range of the step; 0: chosen to show the minimum and every usual initialization */
    double p;            /* norm, default 2; others by the log-domain correlation */
    double offset;       /* beta, or -s z is not meaningful here: z for +zp */
    size_t cells;        /* p other than 2: of the grid in ln|x|, a power of two; 0: 16384. Cost is proportional */
} qs_curve_opts;

typedef struct qs_curve {
    size_t points;
    double p;
    double *step;        /* (points) geometric */
    double *error;       /* (points) mean |e|^p */
    double *clip, *round;/* (points) its parts; only p = 2, else NULL */
    double best_step, best_error;  /* of the points */
} qs_curve;
/* p = 2: exact at every point. ERANGE: no finite value but 0. Cost: O(points levels log n). */
int qs_curve_index(const qs_format *f, const qs_index *ix, const qs_curve_opts *o, const qs_ctl *ctl, qs_curve *out,
                   qs_err *err);
void qs_curve_clear(qs_curve *c);

#endif
