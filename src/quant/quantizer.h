/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_QUANT_QUANTIZER_H
#define QS_QUANT_QUANTIZER_H
/*
 * A quantizer: a format with its steps and offsets. Q(x) = s c[k] + beta.
 *
 * Parameters are kept in double; arithmetic is float32: u = fl(fl(x - beta)/s), one correctly rounded division;
 * the level is chosen in u; its value is fl(fl(c s) + beta). With +zp the codebook is shifted by the integer z
 * (beta = -s z exactly) and u = x/s. With flip the step may be negative: the codebook mirrored. With scale= steps and
 * offsets are rounded to what can be kept; where a published rule decides with what was before (init ggml), that is
 * `pick`: u = fl(fl(x - pick_offset) fl(1/pick)), and the value still c s + beta.
 */
#include "quant/format.h"
#include "stat/index.h"

typedef struct qs_quantizer {
    atomic_int refs;
    qs_format *f;
    qs_split split;      /* parts = 1 for @tensor */
    size_t parts;
    double *step;        /* (parts) > 0; flip: != 0 */
    double *offset;      /* (parts) beta in the unit of x (zp: -step*z), or NULL where the format has none */
    /* Of qs_quantizer_channels and _correct, else NULL. */
    uint8_t *bits;       /* (parts) of each channel, where they differ from f's */
    qs_format *by_bits[9];   /* the formats of 0 .. 8 bits, where bits is there */
    double unit;         /* scale=e4m3: the float32 the steps are small floats of; else 1 */
    float *pick, *pick_offset;   /* (parts) */
    double *gain, *shift;    /* (parts) what comes out is gain Q(x) + shift; gain > 0. Decisions stay those of Q. */
    char init[64];       /* how it came about: "lsq", "mse", "by hand", ... */
    char *formula;       /* with the values filled in, or NULL */
    const char *source;  /* paper and equation, or NULL */
    char *note;          /* a diagnosis for people, or NULL */
    double ms;           /* what finding it cost */
} qs_quantizer;

/* parts steps (and offsets or NULL). EARG: step <= 0, not finite, or beyond float32; offset without +offset/+zp;
 * zp: offset must be -step*z for an integer z in the code range (it is rounded to the nearest such). f is copied. */
qs_quantizer *qs_quantizer_new(const qs_format *f, const qs_split *split, size_t parts, const double *step,
                               const double *offset, qs_err *err);
/* The same for scale=, steps in a unit that is known (0: as qs_quantizer_new, by the largest step), decided with pick and
 * pick_offset (parts; pick 0: with the step) or NULL. */
qs_quantizer *qs_quantizer_blocks(const qs_format *f, const qs_split *split, size_t parts, double unit, const double *step,
                                  const double *offset, const float *pick, const float *pick_offset, qs_err *err);
/* The same with bits (parts) of its own for each channel, 0 .. 8. EUNSUP as qs_format_channel. */
qs_quantizer *qs_quantizer_channels(const qs_format *f, const qs_split *split, size_t parts, const uint8_t *bits,
                                    const double *step, const double *offset, qs_err *err);
/* Before it is shared: corrected levels; gain, shift: (parts), copied. */
void qs_quantizer_correct(qs_quantizer *q, const double *gain, const double *shift);
/* The format of a part; the levels a code may be among (those of 8 bits where bits differ). */
static inline const qs_format *qs_quantizer_format(const qs_quantizer *q, size_t part)
{
    return q->bits ? q->by_bits[q->bits[part]] : q->f;
}
static inline size_t qs_quantizer_levels(const qs_quantizer *q) { return q->bits ? q->by_bits[8]->n : q->f->n; }
qs_quantizer *qs_quantizer_ref(qs_quantizer *q);
void qs_quantizer_unref(qs_quantizer *q);

/* The quantizer of one part, ready for arithmetic. Built by qs_grid_init, which allocates only for zp and flip. */
typedef struct qs_grid {
    const qs_format *f;
    float s, beta;
    size_t n;                 /* levels */
    const float *c, *t;       /* codebook and thresholds in units of s (shifted by zp, mirrored by flip) */
    const unsigned char *up;
    float *lv;                /* (n) the levels in the unit of x, ascending */
    bool uniform;
    float lo, hi;             /* uniform: first and last code */
    int code0;                /* what encode adds to the rank to give the code the format defines */
    bool mirrored;            /* flip with a negative step: rank r is code n-1-r */
    bool picked;              /* u = (x - origin) inv */
    float inv, origin;
    bool corrected;           /* what comes out is gain Q(x) + shift, and so are the levels */
    float gain, shift;
    void *own;
} qs_grid;
void qs_grid_init(qs_grid *g, const qs_quantizer *q, size_t part);
void qs_grid_clear(qs_grid *g);
void qs_grid_apply(const qs_grid *g, const float *x, size_t n, float *out);      /* Q(x); NaN stays NaN */
void qs_grid_encode(const qs_grid *g, const float *x, size_t n, int32_t *code);
/* The smallest float32 x that goes to level k+1 or above, k = 0 .. n-2: exactly what the arithmetic above does. */
float qs_grid_cut(const qs_grid *g, size_t k);

/* Whole tensors. out: (t->n) in C order. EARG where the quantizer's parts do not fit t. */
int qs_quantizer_apply(const qs_quantizer *q, const qs_tensor *t, float *out, const qs_ctl *ctl, qs_err *err);
int qs_quantizer_encode(const qs_quantizer *q, const qs_tensor *t, int32_t *out, const qs_ctl *ctl, qs_err *err);

/* ---- gradients ------------------------------------------------------------------------- */
typedef enum qs_learn { QS_LEARN_LSQ, QS_LEARN_LSQP, QS_LEARN_RCF, QS_LEARN_PACT, QS_LEARN_NONE } qs_learn;
typedef enum qs_mask { QS_MASK_PAPER, QS_MASK_CLAMP, QS_MASK_CODE, QS_MASK_NONE } qs_mask;
typedef struct qs_grad_opts {
    qs_learn learn;
    qs_mask mask;
    bool scale;          /* times 1/sqrt(N Qp), N = elements that share the step */
} qs_grad_opts;
extern const qs_doc qs_learn_docs[];
int qs_learn_named(const char *name, qs_learn *out, qs_err *err);
int qs_mask_named(const char *name, qs_mask *out, qs_err *err);
/* x, up, dx: (t->n); dstep, doffset: (parts), doffset may be NULL. The formulas of METHODS 2 to 4 and 7.
 * QS_LEARN_NONE: dstep and doffset are 0. */
int qs_quantizer_grad(const qs_quantizer *q, const qs_tensor *x, const float *up, const qs_grad_opts *o,
                      float *dx, double *dstep, double *doffset, qs_err *err);

#endif
