/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_TRAIN_HISTORY_H
#define QS_TRAIN_HISTORY_H
/*
 * What a run remembers: the loss of every step; every `record` steps a record
 * of every quantizer; every evaluation. Grows in reserved memory, laid out for
 * the whole run before the first step.
 */
#include "train/site.h"

typedef struct qs_record {    /* of one site at one step; parameters: geometric mean / mean over parts */
    double step, offset;
    double dstep, doffset;    /* gradients as the optimizer gets them, sum over parts */
    double raw;               /* dL/ds before scaling */
    double ratio;             /* LSQ's R = (|dL/ds|/s) / (||dL/dw||/||w||), weights; NaN else */
    double oscillating;       /* fraction of (sampled) weights with oscillation frequency f > 0.005; NaN for acts */
    qs_site_look look;
} qs_record;

typedef struct qs_eval { uint64_t t; double accuracy, loss, accuracy_raw; int part; size_t n; } qs_eval;

typedef struct qs_history {
    size_t nsite;
    uint64_t every;           /* a record every so many steps, and at the last */
    size_t nloss, cap;        /* steps made; steps of the run */
    float *loss, *lr;         /* (cap) of step t+1 at [t] */
    size_t nrec, rcap;
    uint64_t *rec_t;          /* (rcap) steps made when it was taken; 0: after initialization */
    double *rec_loss;         /* (rcap) */
    qs_record *rec;           /* (rcap, nsite) */
    size_t neval, ecap;
    qs_eval *eval;            /* (ecap) validations, tests too; grows */
} qs_history;

int qs_history_init(qs_history *h, size_t nsite, uint64_t steps, uint64_t every, qs_err *err);   /* ENOMEM */
void qs_history_clear(qs_history *h);
int qs_history_copy(qs_history *to, const qs_history *from, uint64_t steps, qs_err *err);  /* with room for `steps` */
void qs_history_loss(qs_history *h, double loss, double lr);
/* The next record's row of nsite, to be filled; NULL: no room (never for the steps laid out). */
qs_record *qs_history_record(qs_history *h, uint64_t t, double loss);
void qs_history_eval(qs_history *h, const qs_eval *e);

#endif
