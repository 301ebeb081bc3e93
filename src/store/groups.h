/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_STORE_GROUPS_H
#define QS_STORE_GROUPS_H
/*
 * The results of a sweep by parameters: which parameters its cells have and
 * which values, and what a metric is in groups of cells that are alike in some
 * of them: mean, spread, interval, and the difference from a baseline in pairs
 * of cells that are alike in everything else.
 */
#include "base/sync.h"
#include "stat/infer.h"
#include "store/store.h"

/* ---- parameters -------------------------------------------------------------------------------- */
typedef enum qs_value_kind { QS_VALUE_TEXT, QS_VALUE_INT, QS_VALUE_REAL, QS_VALUE_BOOL, QS_VALUE_JSON } qs_value_kind;
typedef struct qs_value {
    qs_value_kind kind;        /* JSON: null, a list or an object */
    char *text;                /* as one writes it: mse, 2, 0.1, true */
    double x;                  /* INT, REAL, BOOL */
} qs_value;
typedef struct qs_factor {
    char *name;
    qs_value *value;           /* (nvalue) different ones, in the order they came up */
    size_t nvalue;
    int *slot;                 /* (nslot) hash table of value: 1 + its number; 0: free */
    size_t nslot;
} qs_factor;

/* One sweep, read once. */
typedef struct qs_study {
    char *sweep;
    qs_results t;
    qs_factor *param;           /* (nparam) in the order they came up */
    size_t nparam;
    int *code;                 /* (t.nrow, nparam) which value the cell has; -1: it has no such parameter */
    size_t count[QS_TRIAL_TIMEOUT + 1];      /* cells by status */
} qs_study;

/*
 * sweep NULL: the only one there is. EARG: no such sweep, or there are several (the message names them); ERANGE: none;
 * EFORMAT: parameters that are no JSON object. Cost: qs_store_results and 6 us a cell.
 */
int qs_study_read(qs_store *s, const char *sweep, qs_study *out, qs_err *err);
void qs_study_clear(qs_study *y);
/* Forgets the rows that are not to be kept; keep: (t.nrow). */
void qs_study_keep(qs_study *y, const bool *keep);
/* NULL where the cell has no such parameter. */
const qs_value *qs_study_value(const qs_study *y, size_t row, size_t param);
/* The number of a parameter, or of a metric; -1: there is none of that name. */
int qs_study_param(const qs_study *y, const char *name);
int qs_study_metric(const qs_study *y, const char *name);
/* Cells that failed, were killed or ran out of time. */
size_t qs_study_failed(const qs_study *y);

/* ---- groups ---------------------------------------------------------------------------------------- */
typedef struct qs_group {
    size_t row;                /* a cell of the group: its values of the parameters `by` are the group's */
    qs_infer stat;             /* of the metric over the cells that have it as a finite number */
    size_t undefined;          /* cells that are done without such a number */
    size_t failed, left;       /* cells that failed (killed, timeout); that are not begun or running */
    bool baseline;             /* it is one */
    qs_infer diff;             /* this minus the baseline, in pairs; n 0: there are none */
    double p;                  /* qs_infer_flip of these differences; NaN: none */
} qs_group;

typedef struct qs_groups {
    size_t *by;                /* (nby) parameters */
    char **label;              /* (nby) their names; "by_n" for a parameter that is called as a column (n, mean, ...) */
    size_t nby;
    int metric;                /* -1: no cell has any */
    qs_group *g;               /* (n) in the order of the values */
    size_t n;
} qs_groups;

/*
 * by: names, NULL: all parameters but "seed". metric NULL: the first. baseline: "init=mse" or "init=mse,bits=4" with
 * parameters of `by`, or NULL: the group that has these values and else the same; cells are paired that agree in all
 * parameters not in `by`. EARG: a name or value that is not there (the message says which are). ctl: asked once a group;
 * while it is told "intervals", out can be read: all is there but, NaN, the bootstrap's intervals and p of groups to come.
 * Cost: of qs_infer_mean and, with a baseline, qs_infer_flip for each group.
 */
int qs_groups_make(const qs_study *y, const char *const *by, size_t nby, const char *metric, const char *baseline,
                   const qs_ctl *ctl, qs_groups *out, qs_err *err);
void qs_groups_clear(qs_groups *g);

#endif
