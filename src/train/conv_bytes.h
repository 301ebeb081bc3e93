/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_TRAIN_CONV_BYTES_H
#define QS_TRAIN_CONV_BYTES_H
/*
 * The forward pass over codes by our own kernel (num/kernels.h: convbyte), which does without what a library does a
 * call: with few channels that is half the time. Sums are exact, so its bits are those of any other way. Private to train.
 */
#include "train/dnn.h"

/* Does this machine have the kernel, and does the shape suit it? */
bool qs_bytes_fit(const qs_conv_shape *s);
size_t qs_bytes_weights(const qs_conv_shape *s);   /* bytes of the packed weights */
size_t qs_bytes_room(const qs_conv_shape *s);      /* bytes a job needs, all 0 at first */
/* w: (out, c, kernel, kernel) */
void qs_bytes_pack(const qs_conv_shape *s, const int8_t *w, int8_t *wc);
void qs_bytes_forward(const qs_conv_shape *s, const qs_conv_at *at, uint8_t *room);

#endif
