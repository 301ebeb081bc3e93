/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_MODEL_READER_H
#define QS_MODEL_READER_H
/* What the readers and writers of this room share; nobody else includes this. */
#include <stdio.h>

#include "model/model.h"
#include "model/packed.h"

extern const qs_reader qs_reader_index, qs_reader_npz, qs_reader_torch, qs_reader_safetensors, qs_reader_npy, qs_reader_onnx, qs_reader_onnx_tensor,
                       qs_reader_gguf, qs_reader_imatrix;

/*
 * A tensor that is listed and never read: dtype QS_UNKNOWN_DTYPE, dtype_text a copy of `text`. A shape that is
 * not known (ndim -1) or that a tensor cannot have (too many axes or elements, negative) is left out: ndim 0, n 0.
 */
qs_tensor *qs_tensor_unknown(const char *name, const char *text, int ndim, const int64_t *shape, qs_blob *blob);

/* The product of a shape and its size in bytes (size 0: any). EFORMAT where it is negative or overflows. */
int qs_shape_count(int ndim, const int64_t *shape, size_t size, size_t *n, qs_err *err);

/* ---- numbers of fewer than 8 bits, several a byte (bits.c) ---- */
extern const qs_packed_kind qs_bits_int4, qs_bits_uint4, qs_bits_int2, qs_bits_uint2, qs_bits_fp4;
float qs_bits_value(const qs_packed_kind *k, int code);     /* what a pattern of k->bits means */
size_t qs_bits_bytes(const qs_packed_kind *k, size_t n);   /* that n of them take */
bool qs_bits_are(const qs_tensor *t);                      /* is t made of such numbers, under no scale? */
/* As qs_packed_tensor; the caller has made sure that its bytes are at data. */
qs_tensor *qs_bits_tensor(const char *name, const qs_packed_kind *k, int ndim, const int64_t *shape, qs_blob *blob,
                          const unsigned char *data, qs_err *err);

/* ---- quantized models (join.c) ---- */
/* Codes whose scale and zero point (or NULL) a reader knows; borrowed from the model. */
typedef struct qs_told {
    qs_tensor *codes, *scale, *zero;
    int axis;                   /* of the scales, where there are several; < 0: from the end */
    size_t block;               /* values along that axis that share a scale; 0: all of a channel */
    int bits;                   /* of codes that lie one after the other in the bytes of `codes` (MatMulNBits); 0: they are elements */
    size_t rows, inputs;        /* then: how many there are, every row in whole blocks */
    qs_tensor *order;           /* then: the group of every input, or NULL */
    const char *use;            /* then: what kind of node uses them, static */
} qs_told;
typedef struct qs_hints {
    qs_told *told;              /* (ntold) */
    size_t ntold;
    char *format;               /* of the codes we wrote ("int4@group32"), or NULL */
} qs_hints;
/* Called by readers for a model being read; copied. */
void qs_join_told(qs_model *m, const qs_told *t);
void qs_join_format(qs_model *m, const char *format);
/* One tensor of parts that are in no model; told as above, its parts borrowed. scheme: whose layout, static. EFORMAT: they do
 * not fit together, and why. */
qs_tensor *qs_join_parts(const char *name, const char *scheme, const qs_told *told, qs_err *err);
void qs_hints_free(qs_hints *h);   /* NULL allowed */
/* Puts one tensor in place of codes and their scales, wherever it can; m->note says what it did and could not do.
 * Cost: names; of group orders and the first zero points their values. */
void qs_model_join(qs_model *m);
/* Other tensors in place of those there are; list: (n), names differ, taken over. */
void qs_model_replace(qs_model *m, qs_tensor *const *list, size_t n);

static inline bool qs_big_endian(void) { return __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__; }

/* A name from a file for a message: not longer than a line, without control characters. buf: at least 8. */
const char *qs_name_shown(const char *name, char *buf, size_t size);

/* Who reads b, by its content; NULL: nobody. */
const qs_reader *qs_reader_for(const qs_blob *b);
/* The model in b; errors name path. apart: codes and their scales as the tensors they are stored as, not yet joined. */
qs_model *qs_model_read(const char *path, qs_blob *b, qs_err *err);
qs_model *qs_model_read_apart(const char *path, qs_blob *b, qs_err *err);
/* The model that a folder is (folder.c). EIO: none, or several, with what was looked for. */
qs_model *qs_folder_open(const char *folder, qs_err *err);

/* Adds one array: a whole .npy file of size bytes at data in `in`. What is well-formed but no numbers is listed as unknown. */
int qs_npy_read(qs_model *m, const char *name, qs_blob *in, const unsigned char *data, size_t size, qs_err *err);

/* ---- writers: tensors already checked, f open for writing; errors need not name the file ---- */
int qs_safetensors_write(FILE *f, qs_tensor *const *tensors, size_t n, qs_err *err);
/* Writes the header; meta as qs_model_stream. NULL: EIO, EARG for a name that is not UTF-8. item is borrowed. */
qs_stream *qs_safetensors_begin(FILE *f, const qs_item *item, size_t n, const char *const *meta, qs_err *err);
/* Frees it. ESTATE: a tensor was not put (not looked at where err is NULL). */
int qs_safetensors_end(qs_stream *s, qs_err *err);
int qs_npy_write(FILE *f, const qs_tensor *t, qs_err *err);
/* The type t has in a file: its own, but F32 where it is packed. */
static inline qs_dtype qs_tensor_saved(const qs_tensor *t) { return t->dtype == QS_PACKED ? QS_F32 : t->dtype; }
/* The elements of t in C order and little-endian. */
int qs_bytes_write(FILE *f, const qs_tensor *t, qs_err *err);
/* Elements start, start + stride, ... (n of them, C order) as they are stored, in this machine's byte order. */
void qs_tensor_bytes(const qs_tensor *t, size_t start, size_t stride, size_t n, unsigned char *out);

/* The same as float32. */
void qs_tensor_read_strided(const qs_tensor *t, size_t start, size_t stride, size_t n, float *out);

#endif
