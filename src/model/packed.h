/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_MODEL_PACKED_H
#define QS_MODEL_PACKED_H
/*
 * Tensors that are stored as codes: values that share a scale (and an offset)
 * are one level of a small codebook each,
 *
 *     value = scale * level[code] + offset.
 *
 * Blocks of GGUF are that, and so are codes whose scales and zero points are
 * tensors of their own (GPTQ, AWQ, ONNX's DequantizeLinear, I8 with scales).
 * Such a tensor has dtype QS_PACKED, `t->packed`, and is read as float32 like
 * any other: qs_tensor_read, statistics, histograms, error, saving (as F32)
 * need not know. What is stored how is a `qs_packed_kind`; who can make a
 * tensor of it is a reader.
 *
 * To add a kind: one const qs_packed_kind beside its reader.
 */
#include "model/tensor.h"

#define QS_PACKED_LEVELS 256 /* the most that are listed, and that a codebook has */
#define QS_PACKED_PARTS 4

typedef struct qs_packed_kind {
    const char *name;        /* "Q4_0"; what `list` shows as the type */
    const char *doc;         /* one line, N_() */
    int bits;                /* of a code */
    size_t run;              /* values in a row (C order) that share scale and offset; 0: shared otherwise, ask grid() */
    int levels;              /* of the codebook, at least 2; more than QS_PACKED_LEVELS are not listed */
    int lowest;              /* level[k] = lowest + k, where level is NULL */
    const float *level;      /* (levels) in units of the scale, ascending, or NULL */
    /* Values start .. start+n-1 of the tensor in C order, within its n. Any thread. Never fails: codes that mean
     * nothing are NaN. */
    void (*read)(const struct qs_packed *p, size_t start, size_t n, float *out);
    /* Scale and offset of value i. */
    void (*grid)(const struct qs_packed *p, size_t i, float *scale, float *offset);
    void (*release)(struct qs_packed *p); /* frees p->own; NULL: nothing to free */
} qs_packed_kind;

typedef struct qs_packed {
    atomic_int refs;
    const qs_packed_kind *kind;
    double bpw;                        /* bits a value as stored: codes, scales, offsets */
    qs_blob *blob;                     /* what keeps data, or NULL */
    const unsigned char *data;         /* blocks, where codes and scales lie together */
    qs_tensor *part[QS_PACKED_PARTS];  /* codes, scales, ... where they are tensors; as the kind says, NULL: none */
    void *own;                         /* what else a kind needs, or NULL */
} qs_packed;

/* All zero but kind, bpw and blob (NULL allowed; a reference of its own is taken). The kind's reader fills the rest. */
qs_packed *qs_packed_new(const qs_packed_kind *kind, double bpw, qs_blob *blob);
qs_packed *qs_packed_ref(qs_packed *p);
/* Lets go of blob, parts and what the kind owns. NULL allowed. */
void qs_packed_unref(qs_packed *p);

/* The tensor of p; takes p over, also where it fails. The caller has made sure that all its values are there.
 * EARG: the shape is none a tensor can have. */
qs_tensor *qs_packed_tensor(const char *name, int ndim, const int64_t *shape, qs_packed *p, qs_err *err);

/* The levels that value i could have had, ascending, into out (QS_PACKED_LEVELS). Returns how many; 0: not packed,
 * there are more, or the scale is not finite. */
int qs_packed_levels(const qs_tensor *t, size_t i, float *out);

#endif
