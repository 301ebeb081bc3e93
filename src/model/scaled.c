/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Blocks under one more scale: a packed tensor times a number for all of it, or one for each place along its first axis
 * (experts, rows), as llama.cpp keeps them beside its NVFP4 weights. Which tensors belong together is join.c's business.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"
#include "model/joined.h"

enum { BLOCKS = QS_JOINED_CODES, SCALE = QS_JOINED_SCALE };

/* The factor of value i, and how many values from it on have the same. */
static float factor(const qs_packed *p, size_t i, size_t *run)
{
    float f;
    size_t each = p->part[BLOCKS]->n / p->part[SCALE]->n;
    qs_tensor_read(p->part[SCALE], i / each, 1, &f);
    *run = each - i % each;
    return f;
}

static void read_scaled(const qs_packed *p, size_t start, size_t n, float *out)
{
    qs_tensor_read(p->part[BLOCKS], start, n, out);
    for (size_t i = 0, run; i < n; i += run) {
        float f = factor(p, start + i, &run);
        if (run > n - i) run = n - i;
        for (size_t k = 0; k < run; k++) out[i + k] *= f;
    }
}

static void grid_scaled(const qs_packed *p, size_t i, float *scale, float *offset)
{
    size_t run;
    const qs_packed *blocks = p->part[BLOCKS]->packed;
    float f = factor(p, i, &run);
    blocks->kind->grid(blocks, i, scale, offset);
    *scale *= f;
    *offset *= f;
}

static void release(qs_packed *p) { free(p->own); }

qs_tensor *qs_scaled_tensor(const char *name, qs_tensor *blocks, qs_tensor *scale, qs_err *err)
{
    const qs_packed *of = blocks->packed;
    qs_packed_kind *k = qs_xmalloc(sizeof *k);
    *k = *of->kind;            /* its texts and levels are those of a constant */
    k->read = read_scaled;
    k->grid = grid_scaled;
    k->release = release;
    double more = 8.0 * (double)qs_dtype_size(scale->dtype) * (double)scale->n / (double)blocks->n;
    qs_packed *p = qs_packed_new(k, of->bpw + more, blocks->blob);
    p->own = k;
    p->part[BLOCKS] = qs_tensor_ref(blocks);
    p->part[SCALE] = qs_tensor_ref(scale);
    return qs_packed_tensor(name, blocks->ndim, blocks->shape, p, err);
}
