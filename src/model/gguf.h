/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_MODEL_GGUF_H
#define QS_MODEL_GGUF_H
/* The types of tensors in GGUF files, by number, and how the files of a split model are called. Within this room only. */
#include "model/packed.h"

typedef struct qs_gguf_type {
    const char *name;            /* "Q4_0"; NULL: no type has this number */
    size_t values, bytes;        /* of a block; plain types: 1 and the size */
    qs_dtype plain;              /* a type of ours, or QS_UNKNOWN_DTYPE */
    const qs_packed_kind *kind;  /* how blocks are read; NULL: plain, or listed only */
} qs_gguf_type;

/* NULL: no such number. */
const qs_gguf_type *qs_gguf_type_of(uint32_t number);

/* How long STEM is in "STEM-00002-of-00003.gguf", whose numbers are *no and *of; 0: a file that is not called like a part. */
size_t qs_gguf_part(const char *path, unsigned *no, unsigned *of);

#endif
