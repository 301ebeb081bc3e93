/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_MODEL_MODEL_H
#define QS_MODEL_MODEL_H
/*
 * A model: an ordered list of named tensors from a file. Opening reads the
 * header and maps the file; no weight is touched.
 *
 * To add a file format: one file with one `const struct qs_reader`, one row in
 * the table of model.c.
 */
#include "model/tensor.h"

typedef struct qs_model {
    atomic_int refs;
    char *path;               /* as given */
    const char *format;       /* the reader's name */
    qs_tensor **tensors;      /* in the order of the file */
    size_t n;
    size_t values;            /* elements of the tensors that are quantized (qs_tensor_reason NULL) */
    size_t weights;           /* how many those tensors are */
    char *note;               /* what the reader wants people to know, or NULL */
    struct qs_hints *hints;   /* while it is being read: what its reader knows of codes and scales, private */
    struct qs_model_names *names; /* name -> number, private */
} qs_model;

typedef struct qs_reader {
    const char *name;         /* "safetensors" */
    const char *doc;          /* one line for qs.readers() */
    /* Does this content look like ours? head: the first bytes of the file (min(size, 4096)); size: of the file. */
    bool (*probe)(const unsigned char *head, size_t n, size_t size);
    /* Fills m with qs_model_add. The whole file is in blob. Errors need not name the file: qs_model_open does. */
    int (*read)(qs_model *m, qs_blob *blob, qs_err *err);
} qs_reader;

extern const qs_reader *const qs_readers[];   /* NULL-terminated, in the order they are asked */

/* path: a file, or a folder in which one file is the model (an index of shards first).
 * EIO: missing, unreadable (with the reason). EFORMAT: no reader knows it, or it is damaged. Messages name the file. */
qs_model *qs_model_open(const char *path, qs_err *err);
/* An empty model, for readers and tests. */
qs_model *qs_model_new(const char *path, const char *format);
/* Appends t (takes over the reference). EFORMAT on a duplicate name. */
int qs_model_add(qs_model *m, qs_tensor *t, qs_err *err);
qs_tensor *qs_model_find(const qs_model *m, const char *name);   /* borrowed; NULL if there is none */
/* qs_tensor_check of all its tensors. */
int qs_model_check(const qs_model *m, qs_err *err);
qs_model *qs_model_ref(qs_model *m);
void qs_model_unref(qs_model *m);

/* Writes tensors to path: .npy (exactly one tensor) or .safetensors (any number; names must differ).
 * float32 stays float32; other types keep their bytes where the format has them. Written beside and renamed.
 * EARG: unknown ending, several tensors for .npy; EIO. */
int qs_model_save(const char *path, qs_tensor *const *tensors, size_t n, qs_err *err);

/* ---- a file larger than memory: its header first, then tensor after tensor ------------------------ */
typedef struct qs_item {
    const char *name;         /* borrowed */
    qs_dtype dtype;           /* one with a size */
    int ndim;
    int64_t shape[QS_MAXDIM];
} qs_item;
qs_item qs_item_of(const qs_tensor *t);   /* as it is saved: codes as float32 */

typedef struct qs_stream qs_stream;
/*
 * Writes a .safetensors file of n items, beside and renamed. fill puts every one of them once, in any order; what it
 * returns other than 0 leaves no file. meta: key, text, ..., NULL for the file's __metadata__; NULL: none.
 * EARG: another ending, two names alike, a type that cannot be saved; EIO; ESTATE: fill left one out.  Test: t_save
 */
int qs_model_stream(const char *path, const qs_item *item, size_t n, const char *const *meta,
                    int (*fill)(qs_stream *s, void *ctx, qs_err *err), void *ctx, qs_err *err);
/* All values of item i, in C order and this machine's byte order. */
int qs_stream_put(qs_stream *s, size_t i, const void *values, qs_err *err);
/* The same from a tensor of its type and size. */
int qs_stream_copy(qs_stream *s, size_t i, const qs_tensor *t, qs_err *err);

#endif
