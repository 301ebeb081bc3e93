/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_TRAIN_PLAN_IN_H
#define QS_TRAIN_PLAN_IN_H
/*
 * The inside of a plan, shared by plan.c (memory, order, passes) and layers.c
 * (what each layer does). Private to train.
 *
 * Every node of the net is a step. Steps add stages to two lists, forward and
 * backward. A stage is either cut by images (`chunk`, the same cut for all) or
 * in its own way (`slices`); what is to be done once after all pieces is `end`.
 * Stages cut by images run through one chunk together until one has an end, so
 * a chunk stays in the cache over several layers.
 */
#include <math.h>

#include "num/kernels.h"
#include "train/dnn.h"
#include "train/plan.h"

#define QS_CHUNKS 16            /* pieces of a batch at most */
#define QS_BLOCK ((size_t)16384)   /* weights a piece */
#define QS_SLICES 8            /* pieces of a matrix product at most */

struct step {
    const qs_node *node;
    int i;
    size_t nx, nx2, ny;        /* floats an image: inputs, output */
    float *x, *x2, *y;         /* (batch, ...) */
    float *gx, *gx2, *gy;      /* gradients; gx may be gy (in place) */
    struct brief { bool x, x2, y, gx, gx2, gy, q, gq; } brief;   /* lives within one stretch: threads have chunks of it */
    bool add, add2;            /* gradients are added to what is there */
    bool shallow, shallow_x;   /* no parameter here and before; before the input: a gradient only if the input's is wanted */
    int f0, f1, b0, b1;        /* times of its first and last stage, forward and backward */
    int value, grad;           /* the node whose memory holds the output, and its gradient */
    float lo, hi;              /* the output is cut to these: a ReLU that was drawn in */
    struct step *again_x;      /* convolution: the normalization that makes x once more for the backward pass, see find_again; or NULL */
    bool passing;              /* normalization: so it is with its y */
    bool drawn;                /* this ReLU is done by the step before it, or by the pool behind it */
    /* convolution, linear */
    qs_site *wsite, *asite;    /* or NULL */
    size_t wsi, asi;
    float *q;                  /* the quantized input; x where it is not quantized */
    float *qb;                 /* the same for the backward pass, where quantizing again is cheaper than remembering */
    bool again;
    float *gq;                 /* its gradient, before it is added to gx; gx where it need not be */
    float *w, *wq;             /* weights, quantized weights (w where they are not) */
    float *b, *gw, *gb;        /* bias; gradients of weights and bias */
    float *wf, *wb, *part;     /* packed weights; packed gradients (chunks * qs_conv_gw) */
    bool whole;                /* both sites give whole numbers, and the convolution can take them */
    bool counts;               /* this pass does so */
    uint8_t *codes;            /* those of the input */
    int8_t *wcodes, *wc;       /* those of the weights: plain, packed */
    unsigned char *strange;    /* (pieces of the weights) a NaN was in it */
    float *factor;             /* (c) what their product is worth */
    qs_conv *conv;
    qs_conv_job *job[QS_CHUNKS];   /* a thread */
    double *sums;              /* (chunks, 2, c) partial sums over channels */
    /* batch normalization */
    double *mean, *var;        /* (c) those in use */
    double *emean, *evar;      /* (c) sums over the batches collected */
    double collected;
    float *scale, *shift;      /* (c) forward */
    float *ca, *cb, *cd;       /* (c) backward */
    float *gamma, *beta, *rmean, *rvar, *ggamma, *gbeta;
    float *arg;                /* max pooling: which of the window */
};

typedef void piece_fn(qs_plan *p, struct step *s, size_t piece);
typedef void whole_fn(qs_plan *p, struct step *s);

struct stage {
    struct step *s;
    piece_fn *run;
    size_t slices;             /* 0: cut by images */
    whole_fn *end;
};

struct stages { struct stage *v; size_t n, cap; };

/* A piece of memory and when it is in use, from time `birth` to `death`, both included. Stages that run through a chunk
 * together are one moment: other chunks may be behind. */
struct want {
    void *slot;                /* the pointer that gets the address */
    size_t bytes, at;
    int birth, death;
};

struct qs_plan {
    qs_net *net;
    qs_site *site;
    size_t nsite, batch, chunks, per;   /* per: images a chunk */
    bool train, want_gx;
    const bool *off;
    qs_bn_mode mode;
    struct step *step;         /* (net->n) */
    struct stages fwd, bwd;
    size_t *site_stage;        /* (nsite) the forward stage that quantizes activations of this site */
    struct block { struct step *s; size_t start, n, piece; } *block;   /* (nblock) of quantized weights */
    size_t nblock;
    struct step **layer;       /* (nlayer) convolutions and linear layers */
    size_t nlayer;
    struct want *want;
    size_t nwant, cwant;
    int end;                   /* a time after all stages */
    unsigned char *arena;
    size_t bytes;
    float **grad;      /* (net->nparam) gradients; NULL for running statistics */
    int32_t *labels;
    const qs_kernels *k;
};

/* A row of the table of layers. */
typedef struct qs_layer_work {
    void (*memory)(qs_plan *p, struct step *s);    /* plan_want of what it needs for itself; NULL: nothing */
    int (*make)(qs_plan *p, struct step *s, qs_err *err);   /* once memory is there; NULL */
    void (*forward)(qs_plan *p, struct step *s);   /* adds its stages */
    void (*backward)(qs_plan *p, struct step *s);
    bool own_x, own_y;         /* backward reads x, y where it was cut */
    bool in_place;             /* backward can leave gx where gy was */
} qs_layer_work;
extern const qs_layer_work qs_layer_table[QS_OPS];

/* Makes the output of a normalization for the first images, all of it at hand at once. */
void plan_bn_show(const qs_plan *p, const struct step *s, size_t images);
void plan_want(qs_plan *p, void *slot, size_t bytes, int birth, int death);
void plan_stage(struct stages *l, struct step *s, piece_fn *run, size_t slices, whole_fn *end);
/* Is the output cut, by itself or by a ReLU that was drawn in? */
static inline bool plan_cuts(const struct step *s) { return s->lo > -INFINITY || s->hi < INFINITY; }
/* Pieces that n weights are cut into. */
static inline size_t plan_pieces(size_t n) { return (n + QS_BLOCK - 1) / QS_BLOCK; }
static inline bool plan_site_on(const qs_plan *p, const qs_site *site, size_t i) { return site && !(p->off && p->off[i]); }

#endif
