/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_TRAIN_SITE_H
#define QS_TRAIN_SITE_H
/*
 * A site: a place in a network where values are fake-quantized, with the
 * parameters of its quantizer and what is known of their gradients. The weights
 * of a layer are one site ("conv2.weight"), its input another ("conv2.input");
 * at a fork each consumer has a site of its own.
 *
 * A site runs forward and backward on pieces, from several threads: pieces are
 * numbered, each has partial sums of its own, and they are added in order.
 */
#include "quant/init.h"
#include "train/net.h"

typedef enum qs_gscale { QS_GSCALE_PAPER, QS_GSCALE_BATCH, QS_GSCALE_NONE } qs_gscale;

/*
 * What ACIQ adds to a start, by any init. allocate: the channels of an @channel format (int, uint) share its bits, wide
 * ones get more (quant/allot.h): by the deviation of weights, by E|x - mean| of inputs. correct: what the quantized
 * weights of an output channel lose of mean (and deviation) is given back: Q'(w) = gain Q(w) + shift, found anew from
 * the weights whenever they or the steps change; gradients take both for constants.
 * Source: Banner et al. 2019, arXiv 1810.05723, sections 4 and 5, in the order of its code (the mean last, so exact).
 */
typedef enum qs_allocate { QS_ALLOCATE_UNSAID, QS_ALLOCATE_NO, QS_ALLOCATE_YES } qs_allocate;
typedef enum qs_correction { QS_CORRECT_UNSAID, QS_CORRECT_NO, QS_CORRECT_MEAN, QS_CORRECT_BOTH } qs_correction;

/* How one kind of site is quantized; strings are borrowed. */
typedef struct qs_site_opts {
    const char *format;       /* "int2@channel"; NULL or "float": not quantized */
    const char *init;         /* a name of qs.inits(), "mse" */
    const char *learn;        /* "none", "lsq", "lsq+", "rcf", "rcf:rescale", "pact" */
    qs_mask mask;
    /* what the gradient of the step is multiplied with: 1/sqrt(N Qp), N = elements sharing the step (activations: of one
     * image: the paper's "features"); batch: N counts the images of the batch too; none: 1 */
    qs_gscale gscale;
    bool attached;            /* rcf: gradients flow through the mean and deviation of the weights (default: detached) */
    double step_rate;         /* learning rate of step and offset, as a multiple of the weights'; 0: 1 */
    double step_decay;        /* weight decay of the clip (pact, rcf publish one); NaN: the method's own, else 0 */
    qs_allocate allocate;
    qs_correction correct;    /* weights only */
} qs_site_opts;

typedef struct qs_site {
    char name[96];
    int node;                 /* the layer */
    bool act;                 /* its input, else its weights */
    bool positive;            /* act: comes without sign */
    qs_format *f;             /* owned */
    char init[64], learn_name[16];
    bool fixed;               /* learn none: parameters stay */
    qs_learn learn;
    qs_mask mask;
    qs_gscale gscale;
    bool normalize, rescale, attached;   /* rcf on weights */
    double step_rate, step_decay;
    size_t parts;             /* 1, or channels */
    size_t n;                 /* weights: elements; act: elements an image */
    size_t inner;             /* element i belongs to part (i / inner) % parts; parts 1: unused */
    uint8_t *bits;            /* (parts) where they are allocated, else NULL; those of the format until qs_site_fit */
    qs_correction correct;
    size_t channels;          /* corrected: output channels, n / channels weights each */
    float *gain, *shift;      /* (channels) of the last qs_site_begin; NULL: not corrected */
    double *step, *offset;    /* (parts) step > 0; offset NULL where the format has none */
    double *dstep, *doffset;  /* (parts) gradients of the last backward pass, scaled; doffset as offset */
    double *raw;              /* (parts) dL/ds of the last backward pass before scaling */
    double gnorm, vnorm;      /* weights: norms of gradient and of values in the last backward pass, for LSQ's R */
    double mean, dev;         /* rcf: of the weights in the last forward pass (dev: n-1) */
    char formula[160], note[200];        /* of the initialization */
    struct qs_site_work *work;           /* private: grids ready for arithmetic, partial sums */
} qs_site;

/* node: the layer's node of net; positive: as qs_net_unsigned says of its input. Steps are 1 until set.
 * pieces: how many pieces a pass is cut into at most; batch: images of a step (for gscale batch).
 * EFORMAT, EUNSUP (@group; @channelN that is not the channel axis; allocate, correct where they
 * have no sense; rcf for activations' normalization is ignored). */
int qs_site_init(qs_site *s, const qs_net *net, int node, bool act, const qs_site_opts *o, size_t batch, size_t pieces,
                 qs_err *err);
void qs_site_clear(qs_site *s);
/* All steps times factor > 0; real offsets stay. No allocation. */
void qs_site_scale(qs_site *s, double factor);
/* Other bits of the parts of an allocated site: 0 .. 8. Steps stay. */
void qs_site_allot(qs_site *s, const uint8_t *bits);
/* The format of a part. */
const qs_format *qs_site_format(const qs_site *s, size_t part);
/* New parameters: rounds offsets (+zp), keeps steps > 0 and finite, makes the grids. No allocation. offset may be NULL. */
void qs_site_set(qs_site *s, const double *step, const double *offset);

/* rcf: mean and deviation of the weights; corrected: gain and shift. Before the forward pass. Others: nothing. */
void qs_site_begin(qs_site *s, const float *w);
/* Elements start .. start+n-1 (of the weights; of the batch for activations: start counts over images). out may be x. */
void qs_site_forward(const qs_site *s, const float *x, size_t start, size_t n, float *out);
/*
 * Is Q(x) a whole number times a step, one step a tensor (weights: or an output channel), the numbers bytes (weights:
 * with a sign, activations: without)? Then a layer may compute with the numbers: qs_site_codes instead of
 * qs_site_forward, same arguments. False: a NaN was among x, and the codes mean nothing.
 */
bool qs_site_whole(const qs_site *s);
bool qs_site_codes(const qs_site *s, const float *x, size_t start, size_t n, uint8_t *code);
/*
 * g: dL/d out, becomes dL/dx in place (straight-through, by mask); adds to the partial sums of `piece`.
 * Weights with rcf attached: dL/dx is finished by qs_site_end.
 */
void qs_site_backward(qs_site *s, const float *x, size_t start, size_t n, size_t piece, float *g);
/* Before the pieces of a backward pass: clears the sums. */
void qs_site_zero(qs_site *s);
/* After them: adds the pieces in order into dstep, doffset, raw, gnorm, vnorm. w, g: the weights and dL/dw (n) of a
 * weight site, else NULL. */
void qs_site_end(qs_site *s, const float *w, float *g);

/*
 * Finds the parameters from the values of the site by init (NULL: by its own). x: (n) values (weights: all; activations:
 * whole images in order, or whole pixels, n a multiple of the channels). rcf weights are normalized first. One init a part.
 * ERANGE: nothing finite. Errors name the site. Cost: an index a part.
 */
int qs_site_fit(qs_site *s, const char *init, const float *x, size_t n, const qs_ctl *ctl, qs_err *err);
/*
 * The same by least squares from where the parameters stand, for steps that follow moving values: the best of some steps
 * up to four times smaller and larger, then alternating between codes and parameters. Finds no better zero point.
 * x: (n) as above; room: (n). No allocation. Cost: some 70 passes over x. Test: never a larger error than before.
 */
void qs_site_refit(qs_site *s, const float *x, size_t n, float *room);
/* The quantizer as a value of its own: format, steps, offsets, init, formula. A reference for the caller. */
qs_quantizer *qs_site_quantizer(const qs_site *s, qs_err *err);

/* What a record keeps of the values a site sees. x: (n) values. codes: levels. */
#define QS_SITE_BINS 96
#define QS_SITE_LEVELS 256   /* the occupancy of formats with more levels is not kept */
typedef struct qs_site_look {
    double clipped;           /* fraction strictly beyond the outermost levels */
    double entropy;           /* bits of the codes */
    double mse;               /* mean (x - Q(x))^2 */
    double used;              /* levels that occur */
    uint32_t levels;          /* of the format; 0: too many to keep */
    uint32_t level[QS_SITE_LEVELS];   /* (levels) how many values go to each, ascending */
    float lo, hi;             /* range of the histogram: 1.25 times the clip range, of part 0's step scaled by the median */
    uint32_t bin[QS_SITE_BINS];
    uint32_t under, over;
} qs_site_look;
void qs_site_inspect(const qs_site *s, const float *x, size_t start, size_t n, qs_site_look *out);
/* Level numbers (ranks) of values, for oscillation: out (n). */
void qs_site_rank(const qs_site *s, const float *x, size_t start, size_t n, int32_t *out);

#endif
