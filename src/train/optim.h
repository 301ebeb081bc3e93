/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_TRAIN_OPTIM_H
#define QS_TRAIN_OPTIM_H
/*
 * How parameters move: SGD with momentum and Adam, as PyTorch defines them, on
 * the weights of a net (float32) and on the steps and offsets of its sites
 * (double). Steps and offsets are a group of their own: learning rate times the
 * site's step_rate, and of weight decay only what the site's method publishes.
 */
#include "train/run.h"

typedef struct qs_optim_opts {
    qs_optimizer kind;
    double momentum;          /* of SGD; beta1 of Adam. 0 <= . < 1 */
    bool nesterov;            /* SGD */
    double beta2, eps;        /* Adam */
    double decay;             /* added to the gradient as decay * w, where the parameter decays */
    double clip;              /* bound on the norm of the gradients of all weights; 0: none */
} qs_optim_opts;

typedef struct qs_optim {
    qs_optim_opts o;
    uint64_t t;               /* updates made */
    int nparam;
    float **m, **v;           /* (nparam) -> (n) momentum, and Adam's second moment; NULL where not needed */
    size_t nsite;
    double **sm, **sv;        /* (nsite) -> (2 parts) the same of steps, then of offsets */
    struct qs_optim_block *block;        /* fixed cuts of 16 K values */
    size_t nblock;
    double *sum;              /* (nblock) */
    double *room;             /* (2 * most parts) new steps and offsets */
} qs_optim;

/* For the trained parameters of net and for the sites (nsite; may be 0). ENOMEM. */
int qs_optim_init(qs_optim *q, const qs_optim_opts *o, const qs_net *net, const qs_site *site, size_t nsite, qs_err *err);
void qs_optim_clear(qs_optim *q);

/* The norm of the gradients of all trained parameters. grad: (nparam) pointers, NULL for running statistics. Not finite
 * if a gradient is not. No allocation; sums of fixed blocks, added in order. */
double qs_optim_norm(qs_optim *q, float *const *grad);

/*
 * One update. norm: what qs_optim_norm gave for these gradients. Steps keep their sign: an update that would take a
 * step below half of what it was leaves it at half. Sites whose learning rule is none stay.
 *
 *   SGD    g += decay w;  m = momentum m + g;  w -= lr (nesterov ? g + momentum m : m)
 *   Adam   g += decay w;  m, v = moving means of g, g^2;  w -= lr m^ / (sqrt(v^) + eps), ^: divided by 1 - beta^t
 *
 * Cost: one pass over the weights, in parallel; no allocation.
 */
void qs_optim_step(qs_optim *q, const qs_net *net, float *const *grad, qs_site *site, double lr, double norm);

/* Site i has parameters that were not learned: its momentum is gone. */
void qs_optim_forget(qs_optim *q, size_t site, size_t parts);

/* The learning rate of step t (0 .. total-1). cosine: lr/2 (1 + cos(pi t/total)); stepwise: lr gamma^(t / every). */
double qs_schedule_lr(qs_schedule kind, double lr, double gamma, uint64_t every, uint64_t t, uint64_t total);

#endif
