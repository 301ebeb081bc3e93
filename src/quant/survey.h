/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_QUANT_SURVEY_H
#define QS_QUANT_SURVEY_H
/*
 * A whole model in one pass (`quantscope report`): of every tensor its statistics and outlier channels, and in every format
 * asked for the best initialization and what it costs; then bits for each tensor within a budget, and totals.
 *
 * Every tensor is done with before the next ones begin, so that a file larger than memory is read once. Small tensors are
 * worked on side by side, large ones one after the other, each by all threads. Results repeat bit for bit for any number
 * of threads.
 *
 * Memory: what is taken for tensors does not grow with the model or its largest tensor: at most about 400 MB
 * (QS_SURVEY_MEMORY bounds what is worked on side by side, QS_SURVEY_KEPT what waits to be used again; an index takes at
 * most 5 bytes a value of 2^24, and 9 while it is made), beside about 300 bytes a tensor and format for the results.
 * Test: tests/cli/report.t, with a limit.
 *
 * Errors of tensors are of relative error: what one adds up over a model is nmse times values, each tensor's noise against its
 * own energy, since the scale of a tensor means nothing to a network that normalizes. nmse of a model is the mean over its
 * values, sqnr_db -10 log10 of that.
 */
#include "quant/budget.h"
#include "quant/init.h"
#include "stat/peaks.h"
#include "stat/summary.h"

#define QS_SURVEY_MEMORY ((size_t)192 << 20)
#define QS_SURVEY_KEPT ((size_t)96 << 20)

typedef struct qs_survey_opts {
    const qs_format *const *f;      /* (nf) at least one */
    size_t nf;
    const char *const *init;        /* (ninit), or NULL: all that apply */
    size_t ninit;
    double budget;                  /* bits a weight with its scales; 0: not asked */
    double sqnr_db;                 /* of the model, at least; 0: not asked */
} qs_survey_opts;

/* A tensor in a format. */
typedef struct qs_survey_cell {
    int code;                       /* 0, or why there is no number: enum qs_code, with the message */
    char *error, *note;             /* malloc'd or NULL */
    char init[64];                  /* the least error */
    char rule[64];                  /* the least error but for mse's, or "" */
    double step, offset, clip;      /* medians over parts */
    double mse, nmse, sqnr_db, clipped;
    double mse_ratio, rule_ratio;   /* against the least-squares optimum; NaN: undefined */
    double bpw;                     /* bits a weight with scales */
} qs_survey_cell;

typedef struct qs_survey_row {
    qs_tensor *t;                   /* a reference */
    qs_summary s;
    qs_outliers o;
    qs_survey_cell *cell;           /* (nf) */
    size_t pick;                    /* the format for the budget; nf: none */
} qs_survey_row;

/* Of all tensors that have a number there. */
typedef struct qs_survey_total {
    size_t tensors, values;
    double bits, bpw, nmse, sqnr_db;
} qs_survey_total;

typedef struct qs_survey {
    size_t n, nf;
    qs_survey_row *row;             /* (n) in the order given */
    qs_survey_total *total;         /* (nf) */
    double stored;                  /* bits the tensors take as they are stored */
    bool budgeted;
    qs_survey_total picked;         /* what the budget picked */
    double bound;                   /* no choice of these formats has more dB (budget), or fewer bits a weight (sqnr_db) */
    qs_choice *curve;               /* (ncurve) the best for every budget: bits a weight, nmse of the model */
    size_t ncurve;
} qs_survey;

/*
 * t: (n), at least one. A tensor that has no answer (all NaN, a type that cannot be read) is a row with the reason.
 * ERANGE: the budget cannot be met: says what could. ECANCEL; ENOMEM. Always leaves out to be cleared.
 * Thread: the session's (initializations in Lua run on it).
 */
int qs_survey_run(qs_tensor *const *t, size_t n, const qs_survey_opts *o, const qs_ctl *ctl, qs_survey *out, qs_err *err);
void qs_survey_clear(qs_survey *s);

#endif
