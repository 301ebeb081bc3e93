/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_TRAIN_CONV_PLAIN_H
#define QS_TRAIN_CONV_PLAIN_H
/*
 * The reference: convolutions and products as the textbook writes them. Packed
 * weights are simply the weights. Private to train.
 */
#include "train/dnn.h"

void qs_plain_forward(const qs_conv_shape *s, const qs_conv_at *at);
void qs_plain_forward_codes(const qs_conv_shape *s, const qs_conv_at *at);
void qs_plain_backward_data(const qs_conv_shape *s, const qs_conv_at *at);
void qs_plain_backward_weights(const qs_conv_shape *s, const qs_conv_at *at);
void qs_plain_gemm(bool ta, bool tb, size_t m, size_t n, size_t k, const float *a, size_t lda, const float *b, size_t ldb,
                   float *c, size_t ldc);

/* Of one side: (size + 2 pad - kernel) / stride + 1. */
static inline int qs_conv_side(int size, const qs_conv_shape *s) { return (size + 2 * s->pad - s->kernel) / s->stride + 1; }

#endif
