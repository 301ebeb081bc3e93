/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_TRAIN_RUN_WORK_H
#define QS_TRAIN_RUN_WORK_H
/*
 * The inside of a run, shared by the files that make one: run.c (making, steps), calib.c (sites), record.c (what is
 * remembered), evaluate.c, checkpoint.c. Nobody else includes this.
 */
#include "train/optim.h"
#include "train/plan.h"
#include "train/run.h"

/* Accuracy of a net under its sites, on batches of a size of its own. */
typedef struct qs_evaluator {
    qs_plan *plan;            /* forward only */
    bool bn;                  /* the net has batch normalization */
    uint32_t *refresh;        /* (nrefresh) training images its statistics are re-estimated on: whole batches */
    size_t nrefresh;
    uint32_t *which;          /* (batch) */
} qs_evaluator;
int qs_evaluator_init(qs_evaluator *e, qs_net *net, qs_site *site, size_t nsite, const qs_dataset *d, qs_err *err);
void qs_evaluator_clear(qs_evaluator *e);
/* EARG: the images do not fit the net's input, or its logits the classes. ESTATE: no training images. */
int qs_net_fits(const qs_net *net, const qs_dataset *d, qs_err *err);
/* off: (nsite) sites that pass values through, or NULL. ESTATE: the part is empty. */
int qs_evaluator_score(qs_evaluator *e, const qs_dataset *d, qs_part part, size_t limit, const bool *off, const char *what,
                       const qs_ctl *ctl, qs_score *out, qs_err *err);

/* Weights of a site whose codes are followed for oscillation (METHODS 8): `runs` runs of `len`, `stride` apart. */
typedef struct qs_wobble {
    size_t runs, len, stride, n;
    int32_t *code;            /* (n) of the last step */
    int32_t *now;             /* (n) scratch */
    int8_t *dir;              /* (n) of the last change of the code: -1, 1; 0: none yet */
    float *f;                 /* (n) frequency of oscillation, a moving mean */
    bool seen;                /* code is known */
} qs_wobble;

struct qs_run_work {
    qs_plan *plan;            /* forward and backward, o.batch images */
    qs_evaluator eval;
    qs_order order;
    qs_optim optim;
    bool *off, *all_off;      /* (nsite) sites not initialized yet; all of them, for the float net */
    float **grad;             /* (nparam) */
    float *stats;             /* running statistics as before the step */
    qs_wobble *wobble;        /* (nsite) n = 0 for activations */
    float **sample;           /* (nsite) room for a choice of weights, where there are too many for a record */
    struct qs_following *following;   /* NULL: nothing is followed */
    bool seen;                /* the plan has seen a batch: records have something to look at */
    bool due;                 /* an evaluation is due, which was interrupted */
    double best;              /* validation loss */
    uint64_t stale;           /* evaluations since it was better */
    char **text;              /* (ntext) strings of r->o */
    size_t ntext;
};

/* ---- run.c ---- */
/* All of a run but its state: nothing initialized or evaluated. */
qs_run *qs_run_make(const qs_net *net, qs_dataset *d, const qs_run_opts *o, qs_err *err);
/* "lsq int2/uint2 mse" */
void qs_run_rename(qs_run *r);
int qs_layer_first(const qs_net *net);   /* nodes of the first and last convolution or linear layer; -1: none */
int qs_layer_last(const qs_net *net);
bool qs_layer_is(const qs_net *net, int node);

/* ---- calib.c ---- */
int qs_run_sites(qs_run *r, qs_err *err);
int qs_run_calibrate(qs_run *r, const qs_ctl *ctl, qs_err *err);
/* Initializing all sites in the order of the network, again and again where several starts are compared. */
typedef struct qs_calib {
    qs_run *r;
    uint32_t *which;          /* (images) of the training images */
    size_t images;
    const char *const *init;  /* (nsite) another init than the sites' own; NULL: their own */
    const bool *keep;         /* (nsite) those that keep what they have; NULL: none */
    size_t most;              /* values of an input that are looked at; 0: all */
    float *x;                 /* the values of one site */
    size_t stands;            /* the site the plan stopped before; nsite: none */
} qs_calib;
int qs_calib_init(qs_calib *k, qs_run *r, qs_err *err);
void qs_calib_clear(qs_calib *k);
int qs_calib_run(qs_calib *k, const qs_ctl *ctl, qs_err *err);
/* Training images from .. from+n-1 of the run's first epoch; returns how many there are. */
size_t qs_run_images(qs_run *r, size_t from, size_t n, uint32_t *which);
/* Whole pixels of x (n), what an activation site saw, about `most` values (a pixel at least), spread evenly; out may be x,
 * or NULL. Returns how many. */
size_t qs_run_thin(const qs_run *r, size_t site, const float *x, size_t n, size_t most, float *out);
/* Site i anew with another format; parameters are 1. */
int qs_run_resite(qs_run *r, size_t i, const char *format, qs_err *err);

/* ---- search.c ---- */
bool qs_run_searches(const qs_run *r);        /* is there a site whose init looks at the network's loss? */
int qs_run_search(qs_calib *k, const qs_ctl *ctl, qs_err *err);   /* calibrates all sites, those as the loss wants them */

/* ---- follow.c ---- */
int qs_run_follow_init(qs_run *r, qs_err *err);   /* makes its memory, where anything is followed */
void qs_run_follow_clear(qs_run *r);
void qs_run_follow_start(qs_run *r);          /* after the first batch was seen: how the start relates to least squares */
void qs_run_follow(qs_run *r);                /* after step r->t: re-solves the steps that are due */

/* ---- record.c ---- */
void qs_run_watch(qs_run *r);                 /* makes the wobbles and samples */
void qs_run_unwatch(qs_run *r);
void qs_run_track(qs_run *r);                 /* codes of the weights as the forward pass saw them; before the update */
void qs_run_record(qs_run *r, double loss);   /* of every site, at r->t; replaces a record of the same step */

#endif
