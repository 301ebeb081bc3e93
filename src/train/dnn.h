/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_TRAIN_DNN_H
#define QS_TRAIN_DNN_H
/*
 * Convolutions and matrix products. The only room with oneDNN in it (2.6, C
 * API, channels last); beside it a plain C reference of the same meaning, which
 * builds without oneDNN use and tests compare with (QUANTSCOPE_DNN=plain, read
 * when a convolution is made).
 *
 * A convolution of quantized values by quantized weights can be done in whole
 * numbers, as a chip would: bytes in, 32-bit sums, one factor an output channel
 * at the end. Exact where floats round, and several times faster where the CPU
 * multiplies bytes (VNNI): by our own kernel (conv_bytes.h) where it fits, else by
 * oneDNN's. QUANTSCOPE_DNN=float does without, =onednn without the first.
 *
 * Every call works on the thread it is made on and starts no others: whoever
 * calls cuts the work. That way one pool of threads serves everything, and no
 * second one spins beside it.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

typedef struct qs_conv_shape {
    int n, h, w, c;           /* images, rows, columns, channels of the input */
    int out, kernel, stride, pad, groups;
    bool bias;
    bool train;               /* backward passes will be asked for */
    bool codes;               /* qs_conv_forward_codes will be asked for, where there is one */
} qs_conv_shape;

/* Where one piece of work finds its arrays; what is not used is NULL. */
typedef struct qs_conv_at {
    const float *x;           /* (n, h, w, c) */
    const float *xb;          /* the same for the backward pass to the weights */
    const float *wf;          /* weights packed for forward */
    const float *wb;          /* weights packed for backward to the data */
    const float *bias;        /* (out) */
    float *y;                 /* (n, oh, ow, out) */
    const float *gy;          /* its gradient; may be y's own memory later on */
    float *gx;                /* (n, h, w, c) */
    float *gw;                /* packed gradient of the weights, of this piece */
    const uint8_t *codes;     /* (n, h, w, c) instead of x */
    const int8_t *wc;         /* weights packed for them */
    const float *factor;      /* (out) what a sum of products of codes is worth */
} qs_conv_at;

typedef struct qs_conv qs_conv;
typedef struct qs_conv_job qs_conv_job;

/* EUNSUP: oneDNN has no such convolution. */
qs_conv *qs_conv_new(const qs_conv_shape *s, qs_err *err);
void qs_conv_free(qs_conv *c);
size_t qs_conv_wf(const qs_conv *c);   /* floats of the packed arrays */
size_t qs_conv_wb(const qs_conv *c);
size_t qs_conv_gw(const qs_conv *c);
size_t qs_conv_wc(const qs_conv *c);   /* bytes; 0: no forward pass over codes here */
/* w: (out, c/groups, kernel, kernel), as PyTorch keeps it. wb may be NULL. One thread a convolution. */
void qs_conv_pack(qs_conv *c, const float *w, float *wf, float *wb);
void qs_conv_pack_codes(qs_conv *c, const int8_t *w, int8_t *wc);
/* The gradient of the weights, packed, into w's order. */
void qs_conv_unpack(qs_conv *c, const float *gw, float *w);

/*
 * What one thread needs to work on pieces; different jobs run at the same time. `at` says which passes there will be
 * (those all of whose arrays are there), and where the arrays are at first: a call may come with others, but for the
 * weights.
 */
qs_conv_job *qs_conv_job_new(qs_conv *c, const qs_conv_at *at, qs_err *err);
void qs_conv_job_free(qs_conv_job *j);
void qs_conv_forward(qs_conv_job *j, const qs_conv_at *at);
/* y = factor (codes * wc) + bias; the sums are exact, and rounded once to float32. */
void qs_conv_forward_codes(qs_conv_job *j, const qs_conv_at *at);
void qs_conv_backward_data(qs_conv_job *j, const qs_conv_at *at);
void qs_conv_backward_weights(qs_conv_job *j, const qs_conv_at *at);

/* Row-major C (m, n) = op(A) op(B), ld: floats from row to row. */
void qs_gemm(bool ta, bool tb, size_t m, size_t n, size_t k, const float *a, size_t lda, const float *b, size_t ldb,
             float *c, size_t ldc);

/* "onednn" or "plain". */
const char *qs_dnn_backend(void);

#endif
