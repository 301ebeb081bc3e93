/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_MODEL_IMPORTANCE_H
#define QS_MODEL_IMPORTANCE_H
/*
 * How much the values of a weight matter: the mean square of what they are multiplied with, one number a column (input),
 * repeated over rows (outputs). From any file that has it, in one of these forms:
 *
 *     llama.cpp's imatrix     X, one number a column: the older layout; X.in_sum2 and X.counts: the newer one, GGUF.
 *                             For experts [experts, outputs, inputs] one a column of each.
 *     recorded activations    X [..., inputs] of a matrix, or [images, inputs, height, width] of a convolution: their
 *                             mean squares. scripts/dump-activations.py writes them.
 *
 * X is the weight's name by model/match.h.
 */
#include "model/model.h"

/* A float32 tensor of t's shape: the importance of each value, for qs_init_opts.weights. EARG: `from` has nothing of t (then
 * *none is set, which may be NULL), or something of another size; ENOMEM.
 * Cost: a read of what is there, a tensor of floats.  Test: t_importance */
qs_tensor *qs_importance_of(const qs_model *from, const qs_tensor *t, bool *none, qs_err *err);

#endif
