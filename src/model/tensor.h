/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_MODEL_TENSOR_H
#define QS_MODEL_TENSOR_H
/*
 * A tensor: a name, a type, a shape, and bytes that usually belong to a mapped
 * file. Immutable once its model is open, shared by reference count; a tensor
 * keeps the file it lives in mapped. Values are read as float32, the precision
 * quantization works in (F64 and wide integers round to nearest).
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/guard.h"
#include "base/sync.h"

#define QS_MAXDIM 8

typedef enum qs_dtype {
    QS_UNKNOWN_DTYPE, /* listed, never read */
    QS_F64, QS_F32, QS_F16, QS_BF16, QS_F8_E4M3, QS_F8_E5M2,
    QS_I64, QS_I32, QS_I16, QS_I8, QS_U64, QS_U32, QS_U16, QS_U8, QS_BOOL,
    QS_PACKED,        /* codes with scales: packed.h; read and saved as F32 */
    QS_DTYPES
} qs_dtype;

const char *qs_dtype_name(qs_dtype d);   /* "F32"; the safetensors spelling */
size_t qs_dtype_size(qs_dtype d);        /* bytes; 0 for unknown, 4 for QS_PACKED (as it is read) */
bool qs_dtype_float(qs_dtype d);

/* Bytes that tensors borrow: a mapped file, or memory of ours. Reference counted. */
typedef struct qs_blob {
    atomic_int refs;
    const unsigned char *data;
    size_t size;
    char *path;                       /* of the file; NULL for memory */
    void (*release)(struct qs_blob *);
    qs_guard guard;                   /* of a mapped file */
    uint64_t dev, ino;                /* which file it is */
} qs_blob;

/* Maps a file read-only. EIO with the path and the reason; an empty file is EFORMAT. Not a regular file (a folder, a
 * pipe, a device): EIO at once, it is never waited for. */
qs_blob *qs_blob_map(const char *path, qs_err *err);
/* EIO with the path where the file is shorter than it was, or its bytes could not be had (they read as zeros): asked after
 * reading. b may be NULL. Cost: a system call. */
int qs_blob_check(const qs_blob *b, qs_err *err);
/* Zeroed memory of n bytes (huge pages when large), writable through qs_blob_mem until shared. */
qs_blob *qs_blob_new(size_t n, qs_err *err);
void *qs_blob_mem(qs_blob *b);
qs_blob *qs_blob_ref(qs_blob *b);
void qs_blob_unref(qs_blob *b);

typedef struct qs_tensor {
    atomic_int refs;
    char *name;
    qs_dtype dtype;
    const char *dtype_text;           /* as the file says it, where dtype is unknown or packed; else qs_dtype_name. Static or owned by blob/name */
    int ndim;                         /* 0..QS_MAXDIM; 0: a scalar, n = 1 */
    int64_t shape[QS_MAXDIM];
    size_t n;                         /* number of elements, may be 0 */
    int out_axis;                     /* the axis of output channels; -1: unknown (then 0 is used and said so) */
    unsigned in_axes;                 /* bit i: axis i is an input axis; 0: unknown (then all but out) */
    const char *use;                  /* what kind of node uses it ("Conv", "MatMul"), or NULL; static */
    bool swapped;                     /* bytes are in the other order than this machine's */
    bool strided;                     /* elements are not stored in C order; reading is always in C order */
    size_t stride[QS_MAXDIM];         /* then: elements from one to the next along each axis (0: the same one again) */
    const unsigned char *data;        /* (n * size) inside blob */
    qs_blob *blob;                    /* keeps data alive */
    struct qs_packed *packed;         /* dtype QS_PACKED: codes, scales and how to read them (owned); else NULL */
} qs_tensor;

/* A new tensor over blob (takes a reference of its own). name is copied. EARG on a bad shape; checks that data fits. */
qs_tensor *qs_tensor_new(const char *name, qs_dtype d, int ndim, const int64_t *shape, qs_blob *blob,
                         const unsigned char *data, qs_err *err);
/* The same where elements lie apart or in another order: stride[i] elements from one to the next along axis i, all within
 * `room` bytes from data on. EARG: they reach beyond; the tensor has more values than QS_EXPAND of those the blob can hold (axes of stride 0 cost a file nothing). */
#define QS_EXPAND 1024
qs_tensor *qs_tensor_strided(const char *name, qs_dtype d, int ndim, const int64_t *shape, const size_t *stride, qs_blob *blob,
                             const unsigned char *data, size_t room, qs_err *err);
/* Says that the elements are stored in Fortran order (the first axis runs fastest). */
void qs_tensor_fortran(qs_tensor *t);
/* A float32 tensor with memory of its own, zeroed; *mem is where to write (n floats). */
qs_tensor *qs_tensor_f32(const char *name, int ndim, const int64_t *shape, float **mem, qs_err *err);
/* The same values under another name; axes are unknown again. */
qs_tensor *qs_tensor_renamed(const qs_tensor *t, const char *name);
qs_tensor *qs_tensor_ref(qs_tensor *t);
void qs_tensor_unref(qs_tensor *t);

/* Bits a value as it is stored: of codes with their scales and offsets. 0: an unknown type. */
double qs_tensor_bpw(const qs_tensor *t);
/* Elements start .. start+n-1 in C order as float32. Cost: one pass. Any thread. Unknown types: zeros. */
void qs_tensor_read(const qs_tensor *t, size_t start, size_t n, float *out);
/* The values in place, where they are native float32 in C order; else NULL. */
const float *qs_tensor_floats(const qs_tensor *t);
/* One element, exact (I64 beyond 2^53 rounds). i < n. */
double qs_tensor_at(const qs_tensor *t, size_t i);

/* EIO where values were read that the file of t has lost meanwhile (qs_blob_check): asked after reading, by who has an err. */
int qs_tensor_check(const qs_tensor *t, qs_err *err);
/* Of several, each file once where those of one file stand together. */
int qs_tensors_check(qs_tensor *const *t, size_t n, qs_err *err);

/* NULL if the tensor is a weight to be quantized (floating, two or more dimensions, not empty), else the
 * reason why it is not, for people: N_("integers: an index or a shape"), N_("one dimension: a bias or a norm"), ... */
const char *qs_tensor_reason(const qs_tensor *t);

/* "[28,24,1,1]" into buf; returns buf. */
char *qs_tensor_shape_text(const qs_tensor *t, char *buf, size_t size);

/* ---- how elements are divided among quantizers -------------------------------- */
typedef enum qs_split_kind { QS_SPLIT_TENSOR, QS_SPLIT_CHANNEL, QS_SPLIT_GROUP } qs_split_kind;

/*
 * One part for the tensor; one a channel along `axis`; or groups of `group` consecutive elements along the
 * flattened input axes of every output channel (in C order of those axes; the last group of a channel may be
 * short; axes that are neither output nor input count as output). Parts are numbered in C order: output
 * channel first, then group.
 */
typedef struct qs_split {
    qs_split_kind kind;
    int axis;          /* QS_SPLIT_CHANNEL: the axis */
    size_t group;      /* QS_SPLIT_GROUP: elements a group, >= 1 */
    size_t parts;      /* >= 1 */
    size_t out, in;    /* QS_SPLIT_GROUP: output channels (product) and inputs each */
    bool contiguous;   /* parts are runs of the C order: a part can be read without gathering */
} qs_split;

/* axis < 0: the tensor's out_axis (0 where unknown). EARG: no such axis; a scalar has one channel. */
int qs_split_init(qs_split *s, const qs_tensor *t, qs_split_kind kind, int axis, size_t group, qs_err *err);
size_t qs_split_len(const qs_split *s, const qs_tensor *t, size_t part);     /* elements of a part */
size_t qs_split_longest(const qs_split *s, const qs_tensor *t);              /* of the longest part */
/* The values of a part, in C order, into out (qs_split_len). */
void qs_split_gather(const qs_split *s, const qs_tensor *t, size_t part, float *out);
/* The C-order element number of element i of a part. */
size_t qs_split_where(const qs_split *s, const qs_tensor *t, size_t part, size_t i);
/* Puts values of a part back to their places in dst, (n) floats in C order; the inverse of gather. */
void qs_split_scatter(const qs_split *s, const qs_tensor *t, size_t part, const float *in, float *dst);

#endif
