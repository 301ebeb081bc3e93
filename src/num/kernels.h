/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_NUM_KERNELS_H
#define QS_NUM_KERNELS_H
/*
 * Vector kernels: one list (kernels.def), a scalar reference that defines the
 * result, faster twins that give the same bits. Dispatched once; QUANTSCOPE_ISA
 * (scalar, avx2, avx512) forces a choice. Every kernel works on one thread.
 *
 * The same lane order everywhere: 8 partial sums, folded as ((0+4)+(2+6)) + ((1+5)+(3+7)).
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config.h"   /* HAVE_AVX2, HAVE_AVX512, for kernels.def */

/* What one pass over values learns. */
typedef struct qs_pass1 {
    double sum, sum_abs, sum_sq;   /* over finite values */
    float min, max;                /* +inf, -inf if no value is finite; a zero is +0 */
    uint64_t finite, zeros, nans, infs;
} qs_pass1;

/* Central sums over finite values: sum (x-m)^k. */
typedef struct qs_pass2 { double m2, m3, m4, abs_dev; } qs_pass2;

/* A uniform quantizer: code = clip(round((x - beta)/s), lo, hi), value = code*s + beta, all in float32. */
typedef struct qs_fq {
    float s;        /* > 0 */
    float beta;
    float lo, hi;   /* integers */
    bool away;      /* ties away from zero instead of to even */
} qs_fq;

/* A quantizer with any codebook. level(x): u = (x - beta)/s; the number of thresholds t[k] with u > t[k], or
 * u == t[k] where up[k] is set; value = c[k]*s + beta in float32. */
typedef struct qs_fqbook {
    float s, beta;
    const float *c;           /* (n) ascending */
    const float *t;           /* (n-1) decision thresholds in units of s, ascending */
    const unsigned char *up;  /* (n-1) 1: a value on the threshold goes up */
    size_t n;                 /* 1..65536 */
} qs_fqbook;

/*
 * What a straight-through gradient does with an element, by its place u = fl(fl(x - beta)/s). Strict and inclusive
 * bounds alike are written as these closed ones: "u <= b" is "u < the float after b".
 */
typedef struct qs_fqrule {
    float in_lo, in_hi;   /* dx = g where in_lo <= u <= in_hi, else 0 */
    float lo, hi;         /* u < lo, u > hi: the step sees the element as clipped */
    float below, above;   /* d/ds of those: the outermost codes */
    bool inner;           /* d/ds of all others is c - u; false: 0 */
    bool exact;           /* books: c - u of those is exact in float32 (u between c/2 and 2c, or c = 0): a quicker way */
    bool offset;          /* sum the offset too */
} qs_fqrule;
typedef struct qs_fqsums {
    double step;          /* sum g d/ds */
    double offset;        /* sum g over clipped elements; 0 where the rule does not ask for it */
} qs_fqsums;

/* Uniform quantizers, one a channel of rows of c values; ties to even. Arrays of (c). */
typedef struct qs_fqcols {
    const float *s, *beta, *lo, *hi;                       /* as in qs_fq; |lo|, |hi| <= 2^16 */
    const float *in_lo, *in_hi, *clip_lo, *clip_hi;        /* as in_lo .. hi of qs_fqrule; d/ds of what is clipped: lo, hi */
    bool inner;
} qs_fqcols;

typedef void qs_pass1_fn(const float *x, size_t n, qs_pass1 *out);
typedef void qs_pass2_fn(const float *x, size_t n, double mean, qs_pass2 *out);
typedef void qs_f16_fn(const uint16_t *x, size_t n, float *out);
typedef void qs_bf16_fn(const uint16_t *x, size_t n, float *out);
typedef void qs_u8_fn(const uint8_t *x, size_t n, float a, float b, float *out);      /* fl(fl(x a) + b) */
typedef void qs_fq_fn(const float *x, size_t n, const qs_fq *q, float *out);          /* fake quantization; NaN stays NaN */
typedef void qs_fqcode_fn(const float *x, size_t n, const qs_fq *q, int32_t *code);   /* NaN: lo */
typedef bool qs_fqbyte_fn(const float *x, size_t n, const qs_fq *q, uint8_t *code);   /* its low byte (lo, hi fit in 16 bits); false: a NaN came by */
typedef void qs_fqbook_fn(const float *x, size_t n, const qs_fqbook *q, float *out);           /* NaN stays NaN */
typedef void qs_fqbookcode_fn(const float *x, size_t n, const qs_fqbook *q, int32_t *code);    /* NaN: level 0 */
/* g: dL/d out, becomes dL/dx. NaN in x: dx = 0, counts for nothing. fqgrad: lo and hi lie at most half a step outside
 * the outermost codes. */
typedef void qs_fqgrad_fn(const float *x, size_t n, const qs_fq *q, const qs_fqrule *r, float *g, qs_fqsums *out);
typedef void qs_fqbookgrad_fn(const float *x, size_t n, const qs_fqbook *q, const qs_fqrule *r, float *g,
                              qs_fqsums *out);
/* rows x c values, channels last: as fq and fqgrad (always with the offset); sums are added to step, offset (c). */
typedef void qs_fqcols_fn(const float *x, size_t rows, size_t c, const qs_fqcols *q, float *out);
typedef void qs_fqcolsgrad_fn(const float *x, size_t rows, size_t c, const qs_fqcols *q, float *g, double *step,
                              double *offset);
/* sum (x-y)^2, sum (y-x), max |x-y| over finite x. */
typedef struct qs_diff { double sq, bias, max; } qs_diff;
typedef void qs_diff_fn(const float *x, const float *y, size_t n, qs_diff *out);
/* Of `blocks` runs of 16 finite values: sum[2k] = sum x, sum[2k+1] = sum x^2 of run k. */
typedef void qs_block16_fn(const float *x, size_t blocks, double *sum);

/*
 * One image of a convolution of bytes x (rows x columns x channels, its border included) by weights: for every output
 * pixel and channel, an exact sum of products, rounded to float32, times the channel's factor, plus its bias. A row of
 * the kernel is a run of bytes that lie together, filled up to a multiple of four (with weights of 0: up to 3 bytes
 * behind x are read). Weights: (rows, run / 4, out, 4).
 */
typedef struct qs_bytes {
    size_t rows, run;         /* of the kernel; bytes of a row, a multiple of 4 */
    size_t pitch;             /* bytes from one row of x to the next */
    size_t down, along;       /* bytes of x from one output pixel to that below, to the next */
    size_t oh, ow;            /* output pixels: at least 8 */
    size_t out;               /* channels, a multiple of 16 */
    const float *factor, *bias;   /* (out); bias may be NULL */
} qs_bytes;
typedef void qs_convbyte_fn(const uint8_t *x, const int8_t *w, const qs_bytes *s, float *y);

/* ---- layers of a network; rows of c channels, channels last. Sums are added to what is there ---- */
typedef void qs_bnsum_fn(const float *x, size_t rows, size_t c, double *sum, double *sq);   /* sum x, sum x^2 */
typedef void qs_colsum_fn(const float *x, size_t rows, size_t c, double *sum);
/* y = min(max(x scale + shift, lo), hi) */
typedef void qs_bnapply_fn(const float *x, size_t rows, size_t c, const float *scale, const float *shift, float lo,
                           float hi, float *y);
/* Its gradient. With g' = g where lo < x scale + shift < hi, else 0: sum g', sum g' (x - mean) */
typedef void qs_bngradsum_fn(const float *x, const float *g, size_t rows, size_t c, const float *scale, const float *shift,
                             float lo, float hi, const double *mean, double *sg, double *sgx);
/* dx = a g' + (b x + d); may be g */
typedef void qs_bngrad_fn(const float *x, const float *g, size_t rows, size_t c, const float *scale, const float *shift, float lo,
                          float hi, const float *a, const float *b, const float *d, float *dx);
typedef void qs_clip_fn(const float *x, size_t n, float lo, float hi, float *y);        /* min(max(x, lo), hi) */
typedef void qs_clipgrad_fn(const float *y, size_t n, float lo, float hi, float *g);    /* g = 0 unless lo < y < hi */
typedef void qs_add_fn(const float *x, size_t n, float *y);                             /* y += x */
typedef void qs_addclip_fn(const float *a, const float *b, size_t n, float lo, float hi, float *y);
/* best = x, arg = which wherever x > best */
typedef void qs_maxrow_fn(const float *x, size_t n, float which, float *best, float *arg);
/* dx += g wherever arg == which */
typedef void qs_maxgrad_fn(const float *g, const float *arg, size_t n, float which, float *dx);
/* A row of n windows k x k side by side, input rows `row` floats apart: y = min(max(largest, lo), hi), arg = its place. */
typedef void qs_maxpool_fn(const float *x, size_t row, size_t c, size_t k, size_t n, float lo, float hi, float *y, float *arg);
/* dx, all of every window: g at the place arg where lo < y < hi, else 0 */
typedef void qs_maxpoolgrad_fn(const float *y, const float *arg, const float *g, size_t row, size_t c, size_t k, size_t n,
                               float lo, float hi, float *dx);

/* ---- optimizers: d = g scale + decay w -------------------------------------------------------------------------- */
typedef struct qs_sgd {
    float lr, momentum, decay, scale;
    bool nesterov;
} qs_sgd;
typedef struct qs_adam {
    float lr;                 /* lr / (1 - beta1^t) */
    float root2;              /* sqrt(1 - beta2^t) */
    float b1, b2, c1, c2;     /* beta1, beta2, 1 - beta1, 1 - beta2: rounded once */
    float eps, decay, scale;
} qs_adam;
typedef double qs_sumsq_fn(const float *x, size_t n);
/* m = momentum m + d;  w -= lr (nesterov ? d + momentum m : m) */
typedef void qs_sgd_fn(const qs_sgd *o, const float *g, size_t n, float *m, float *w);
/* m = b1 m + c1 d;  v = b2 v + c2 d^2;  w -= lr (m / (sqrt(v) / root2 + eps)) */
typedef void qs_adam_fn(const qs_adam *o, const float *g, size_t n, float *m, float *v, float *w);

#define QS_KERNEL(isa, name) qs_##name##_fn qs_##name##__##isa;
#include "num/kernels.def"
#undef QS_KERNEL

/* The chosen kernels: one pointer a name. */
typedef struct qs_kernels {
    const char *isa;
    qs_pass1_fn *pass1;
    qs_pass2_fn *pass2;
    qs_f16_fn *f16;
    qs_bf16_fn *bf16;
    qs_u8_fn *u8;
    qs_fq_fn *fq;
    qs_fqcode_fn *fqcode;
    qs_fqbyte_fn *fqbyte;
    qs_fqbook_fn *fqbook;
    qs_fqbookcode_fn *fqbookcode;
    qs_fqgrad_fn *fqgrad;
    qs_fqbookgrad_fn *fqbookgrad;
    qs_fqcols_fn *fqcols;
    qs_fqcolsgrad_fn *fqcolsgrad;
    qs_diff_fn *diff;
    qs_block16_fn *block16;
    qs_convbyte_fn *convbyte;   /* NULL where the machine does not multiply bytes; the reference is slow */
    qs_bnsum_fn *bnsum;
    qs_colsum_fn *colsum;
    qs_bnapply_fn *bnapply;
    qs_bngradsum_fn *bngradsum;
    qs_bngrad_fn *bngrad;
    qs_clip_fn *clip;
    qs_clipgrad_fn *clipgrad;
    qs_add_fn *add;
    qs_addclip_fn *addclip;
    qs_maxrow_fn *maxrow;
    qs_maxgrad_fn *maxgrad;
    qs_maxpool_fn *maxpool;
    qs_maxpoolgrad_fn *maxpoolgrad;
    qs_sumsq_fn *sumsq;
    qs_sgd_fn *sgd;
    qs_adam_fn *adam;
} qs_kernels;
const qs_kernels *qs_num(void);
/* "scalar", "avx2" or "avx512" (with avx2's kernels where it has none of its own): those; NULL where this machine or
 * this build has none of that name. */
const qs_kernels *qs_num_isa(const char *isa);

#endif
