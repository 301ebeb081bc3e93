/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_QUANT_DIFF_H
#define QS_QUANT_DIFF_H
/* How far a tensor of a quantized model is from the one it was made of. */
#include "base/sync.h"
#include "model/tensor.h"

typedef struct qs_diff {
    double n;            /* pairs of finite values */
    double mse, energy;  /* mean (a - b)^2; mean a^2 */
    double nmse;         /* mse / energy: the relative error; 0 where both are 0, infinity where only energy is */
    double sqnr_db;      /* -10 log10 nmse; infinity where the error is 0 */
    double max_abs, bias;/* max |a - b|; mean (b - a) */
    size_t skipped;      /* pairs with a NaN or an infinity */
    size_t levels;       /* b stored as codes: levels of its codebook; else 0 */
    size_t used;         /* of them that occur; else the most different values in one row of b (its first axis); 0: over 256 */
    double bpw;          /* bits a value of b, as stored */
} qs_diff;

/* Of two tensors of one shape. The numbers do not depend on the number of threads. EARG: the shapes differ; ERANGE: no pair
 * of finite values; ECANCEL.  Cost: one read of both, and of rows of b until one has too many values.  Test: t_diff */
int qs_diff_tensors(const qs_tensor *a, const qs_tensor *b, const qs_ctl *ctl, qs_diff *out, qs_err *err);

/* The same of several tensors together: sum = sum + d. levels and used mean nothing then. Zero-initialize sum. */
void qs_diff_add(qs_diff *sum, const qs_diff *d);

#endif
