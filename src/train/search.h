/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_TRAIN_SEARCH_H
#define QS_TRAIN_SEARCH_H
/*
 * Starts that are chosen by the network's own loss. A probe measures it; a
 * search puts starts to the test and remembers every look in run->adapted. What
 * is tried, and what is taken, a strategy decides: one function, one row in
 * search.c. Private to train.
 */
#include "train/run_work.h"

/* ---- probe.c: what quantizing costs the network, on images of its own ---- */
typedef struct qs_probe {
    qs_run *r;
    uint32_t *which;          /* (2 half) images: those to choose by, those to check with */
    size_t half, classes;
    bool known[2];            /* soft is there: for those to check with not before the first look at them */
    bool labels;              /* cross-entropy with the labels; else the divergence from the float outputs */
    float *soft;              /* (2 half, classes) logarithms of the float net's probabilities */
    double *loss[2];          /* (half) of every image at the last look at it */
    uint64_t images, budget;  /* that went forward so far; that may, for the progress that is shown */
} qs_probe;
/* The images are those after the first `from` of the run's order. EARG: too few of them. Cost: the first half once. */
int qs_probe_init(qs_probe *p, qs_run *r, size_t from, size_t half, bool labels, const qs_ctl *ctl, qs_err *err);
void qs_probe_clear(qs_probe *p);
/* The mean loss over the first n images of a half (0: all) with the sites as they stand; every image's into p->loss[half].
 * Batch normalization takes the statistics of the batch. Infinity where a loss is no number. */
int qs_probe_look(qs_probe *p, int half, size_t n, const qs_ctl *ctl, double *mean, qs_err *err);
/* The same over the first half, which is what k was just calibrated on: from the last input on, so it costs next to nothing. */
bool qs_probe_can_go_on(const qs_probe *p, const qs_calib *k);
double qs_probe_go_on(qs_probe *p, const qs_calib *k);

/* ---- search.c ---- */
typedef struct qs_search {
    qs_run *r;
    qs_calib *k;
    qs_probe probe;
    size_t *site, n;          /* (n) those it may move */
    const char **init;        /* (nsite) what the sites are calibrated by */
    char (*name)[24];         /* (nsite) room for "lp:2.5" */
    bool *keep;               /* (nsite) weights: nothing that was before them changes what they start from */
    size_t nparam;            /* steps and offsets of all sites together */
    double loss;              /* of where the sites stand, on the first half; least squares to begin with */
    const qs_ctl *ctl;
} qs_search;
/* kind: QS_ATTEMPT_WEIGHTS, _ACTS or _ALL of its sites. Are there any? From the next start on they start by norm p. */
bool qs_search_has(const qs_search *a, int kind);
void qs_search_norm(qs_search *a, int kind, double p);
/* Those of a kind by norm p from now on: starts all sites and looks at the loss; remembered as an attempt at `kind` with p.
 * Cost: a pass over the calibration images, and one over those to choose by unless they are the same. */
int qs_search_start(qs_search *a, int kind, double p, double *loss, qs_err *err);
/* The loss of where the sites stand, on the first half; remembered as an attempt at `site` (or a kind) with that factor. */
int qs_search_try(qs_search *a, int site, double factor, double *loss, qs_err *err);
qs_attempt *qs_search_last(qs_search *a);     /* the last attempt */
bool qs_search_over(const qs_search *a);      /* the budget is spent */
void qs_search_scale(qs_search *a, size_t i, double factor);   /* of the i-th of its sites */
void qs_search_save(const qs_search *a, double *v);            /* (nparam) */
void qs_search_restore(qs_search *a, const double *v);

/* ---- strategies: from least squares on ---- */
int qs_search_adaptive(qs_search *a, qs_err *err);   /* adapt.c */
bool qs_search_adaptive_asks(const qs_search *a);     /* or does it start by what is known? */
double qs_search_adaptive_known(const qs_site *s);    /* the norm, then */
int qs_search_lapq(qs_search *a, qs_err *err);       /* lapq.c */

#endif
