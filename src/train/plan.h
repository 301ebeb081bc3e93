/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_TRAIN_PLAN_H
#define QS_TRAIN_PLAN_H
/*
 * A plan computes a network on batches of one size: forward, loss, backward.
 * All memory is laid out when it is made (one arena, huge pages); a pass
 * allocates nothing.
 *
 * A batch is cut into equal chunks of images (at most 16), each worked through by
 * one thread of the pool, several layers at a time; what must be known of the
 * whole batch (batch statistics, gradients of weights, the loss) is kept a
 * chunk and added in the order of the chunks. The cut does not depend on the
 * number of threads, so neither do the bits of the result.
 */
#include "train/net.h"
#include "train/site.h"

typedef enum qs_bn_mode {
    QS_BN_TRAIN,      /* batch statistics, and the net's running statistics follow */
    QS_BN_BATCH,      /* batch statistics, nothing else changes */
    QS_BN_COLLECT,    /* batch statistics, added to the plan's re-estimated ones (qs_plan_bn_reset begins anew) */
    QS_BN_ESTIMATED,  /* the re-estimated ones: the mean of those of the batches collected */
    QS_BN_RUNNING     /* the net's running ones */
} qs_bn_mode;

typedef struct qs_plan qs_plan;

/* How many pieces a pass over a site is cut into, for qs_site_init. */
size_t qs_plan_pieces(const qs_net *net, int node, bool act, size_t batch);

/* net, sites (n; may be 0): kept by pointer, owned by the caller, and outlive the plan. train: with room for backward.
 * EARG: batch 0; ENOMEM. Cost: memory of about 4 times the activations of a batch with train. */
qs_plan *qs_plan_new(qs_net *net, qs_site *sites, size_t nsite, size_t batch, bool train, qs_err *err);
void qs_plan_free(qs_plan *p);
size_t qs_plan_bytes(const qs_plan *p);
size_t qs_plan_batch(const qs_plan *p);

float *qs_plan_input(qs_plan *p);      /* (batch, h, w, c): fill before forward */
int32_t *qs_plan_labels(qs_plan *p);   /* (batch) */
const float *qs_plan_logits(const qs_plan *p);   /* (batch, classes) after forward */

/* The quantized weights are made anew where sites or parameters changed: call when they did (an update does). */
void qs_plan_weights(qs_plan *p);
/* Sites that are `off` pass values through: for calibration. (nsite) flags, NULL: all on. Kept by pointer. */
void qs_plan_off(qs_plan *p, const bool *off);
void qs_plan_forward(qs_plan *p, qs_bn_mode mode);
/* Forward only as far as the input of activation site i is known; returns it: (batch, s->n). Borrowed until the next pass. */
const float *qs_plan_forward_to(qs_plan *p, qs_bn_mode mode, size_t site);
/* From there (`from`: the site where the last pass stopped, perhaps with other parameters by now, as may have the weights
 * behind it) on to activation site `site`. Only plans without backward. */
const float *qs_plan_forward_on(qs_plan *p, size_t from, size_t site);
void qs_plan_forward_rest(qs_plan *p, size_t from);   /* and from there to the logits */
/* After a forward or backward pass: the values site i saw; acts: (images * s->n), of the first images of the batch (some
 * are made once more for it: one thread a site); weights: (s->n). Borrowed until the next pass. */
const float *qs_plan_seen(const qs_plan *p, size_t site, size_t images);

/* Mean cross-entropy over the first n images, how many of them are right, and (train) dL/dlogits. */
double qs_plan_loss(qs_plan *p, size_t n, size_t *right);
/* Backward from dL/dlogits: gradients of every trained parameter and of the sites. */
void qs_plan_backward(qs_plan *p);
/* The gradient of parameter i of the net, (param.n); NULL for running statistics. */
float *qs_plan_grad(qs_plan *p, int param);
/* For tests: dL/d input, (batch, h, w, c); computed only if asked for before the pass. */
void qs_plan_want_input_grad(qs_plan *p, bool want);
const float *qs_plan_input_grad(const qs_plan *p);

void qs_plan_bn_reset(qs_plan *p);

/* How many layers compute forward in whole numbers (dnn.h) when their quantizers are on. */
size_t qs_plan_whole(const qs_plan *p);

#endif
