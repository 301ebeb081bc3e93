/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Tensors: types, shapes, and reading elements of any type as float32. Knows byte order, strides and
 * misaligned data; does not know files, nor how elements are divided among quantizers (split.c).
 *
 * Everything is read in two steps: stored bytes to an aligned block in native order (skipped where the file is
 * already like that), then the block to floats by a function of the type.
 */
#include "model/tensor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "model/packed.h"
#include "model/reader.h"
#include "num/kernels.h"

/* ---- types ------------------------------------------------------------------- */
/* Elements of a native, aligned array: to floats, and one as a double. */
#define PLAIN(tag, type) \
    static void floats_##tag(const void *p, size_t n, float *out) \
    { \
        const type *x = p; \
        for (size_t i = 0; i < n; i++) out[i] = (float)x[i]; \
    } \
    static double double_##tag(const void *p) { return (double)*(const type *)p; }
PLAIN(f64, double)
PLAIN(i64, int64_t)
PLAIN(i32, int32_t)
PLAIN(i16, int16_t)
PLAIN(i8, int8_t)
PLAIN(u64, uint64_t)
PLAIN(u32, uint32_t)
PLAIN(u16, uint16_t)
PLAIN(u8, uint8_t)

static void floats_f32(const void *p, size_t n, float *out) { memcpy(out, p, n * sizeof *out); }
static double double_f32(const void *p) { return (double)*(const float *)p; }

static float from_bits(uint32_t u)
{
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

/* E4M3 as the file formats mean it ("FN"): no infinity, only 0x7f is NaN, so the largest value is 448. */
static float from_e4m3(uint8_t x)
{
    uint32_t sign = (uint32_t)(x & 0x80) << 24, e = x >> 3 & 15, m = x & 7;
    if ((x & 0x7f) == 0x7f) return from_bits(sign | 0x7fc00000u);
    if (e == 0) return sign ? -(float)m * 0x1p-9f : (float)m * 0x1p-9f;
    return from_bits(sign | (e + 120) << 23 | m << 20);
}

static float from_e5m2(uint8_t x) /* the upper half of an F16 */
{
    float y;
    const uint16_t h = (uint16_t)(x << 8);
    qs_num()->f16(&h, 1, &y);
    return y;
}

static float from_bool(uint8_t x) { return x != 0; }

#define DECODED(tag, type) \
    static void floats_##tag(const void *p, size_t n, float *out) \
    { \
        const type *x = p; \
        for (size_t i = 0; i < n; i++) out[i] = from_##tag(x[i]); \
    } \
    static double double_##tag(const void *p) { return (double)from_##tag(*(const type *)p); }
DECODED(e4m3, uint8_t)
DECODED(e5m2, uint8_t)
DECODED(bool, uint8_t)

static void floats_f16(const void *p, size_t n, float *out) { qs_num()->f16(p, n, out); }
static void floats_bf16(const void *p, size_t n, float *out) { qs_num()->bf16(p, n, out); }

static double double_f16(const void *p)
{
    float x;
    qs_num()->f16(p, 1, &x);
    return (double)x;
}

static double double_bf16(const void *p)
{
    float x;
    qs_num()->bf16(p, 1, &x);
    return (double)x;
}

enum kind { OTHER, FLOAT, FLOAT8, INTEGER, CODES };

static const struct type {
    const char *name;
    size_t size;
    enum kind kind;
    void (*floats)(const void *p, size_t n, float *out);
    double (*at)(const void *p);
} types[QS_DTYPES] = {
    [QS_UNKNOWN_DTYPE] = {"unknown", 0, OTHER, NULL, NULL},
    [QS_F64]     = {"F64", 8, FLOAT, floats_f64, double_f64},
    [QS_F32]     = {"F32", 4, FLOAT, floats_f32, double_f32},
    [QS_F16]     = {"F16", 2, FLOAT, floats_f16, double_f16},
    [QS_BF16]    = {"BF16", 2, FLOAT, floats_bf16, double_bf16},
    [QS_F8_E4M3] = {"F8_E4M3", 1, FLOAT8, floats_e4m3, double_e4m3},
    [QS_F8_E5M2] = {"F8_E5M2", 1, FLOAT8, floats_e5m2, double_e5m2},
    [QS_I64]     = {"I64", 8, INTEGER, floats_i64, double_i64},
    [QS_I32]     = {"I32", 4, INTEGER, floats_i32, double_i32},
    [QS_I16]     = {"I16", 2, INTEGER, floats_i16, double_i16},
    [QS_I8]      = {"I8", 1, INTEGER, floats_i8, double_i8},
    [QS_U64]     = {"U64", 8, INTEGER, floats_u64, double_u64},
    [QS_U32]     = {"U32", 4, INTEGER, floats_u32, double_u32},
    [QS_U16]     = {"U16", 2, INTEGER, floats_u16, double_u16},
    [QS_U8]      = {"U8", 1, INTEGER, floats_u8, double_u8},
    [QS_BOOL]    = {"BOOL", 1, INTEGER, floats_bool, double_bool},
    [QS_PACKED]  = {"PACKED", 4, CODES, floats_f32, double_f32}, /* once qs_tensor_bytes has read the codes */
};

const char *qs_dtype_name(qs_dtype d) { return types[d].name; }
size_t qs_dtype_size(qs_dtype d) { return types[d].size; }
bool qs_dtype_float(qs_dtype d)
{
    return types[d].kind == FLOAT || types[d].kind == FLOAT8 || types[d].kind == CODES;
}

double qs_tensor_bpw(const qs_tensor *t) { return t->packed ? t->packed->bpw : 8 * (double)types[t->dtype].size; }

/* ---- making ------------------------------------------------------------------ */
const char *qs_name_shown(const char *name, char *buf, size_t size)
{
    size_t n = 0;
    for (; name[n] && n + 4 < size; n++) buf[n] = (unsigned char)name[n] < 32 || name[n] == 127 ? '?' : name[n];
    bool cut = name[n] != '\0';
    while (cut && n && ((unsigned char)name[n] & 0xc0) == 0x80) n--; /* not within a character */
    memcpy(buf + n, cut ? "..." : "", cut ? 4 : 1);
    return buf;
}

int qs_shape_count(int ndim, const int64_t *shape, size_t size, size_t *n, qs_err *err)
{
    size_t count = 1, bytes;
    bool empty = false, fits = true;
    for (int i = 0; i < ndim; i++) {
        if (shape[i] < 0)
            return qs_fail(err, QS_EFORMAT, _("axis %d has the negative length %lld"), i, (long long)shape[i]);
        empty |= shape[i] == 0;
        fits = fits && qs_mul(count, (size_t)shape[i], &count);
    }
    if (empty) count = 0;
    else if (!fits || !qs_mul(count, size ? size : 1, &bytes) || bytes > PTRDIFF_MAX)
        return qs_fail(err, QS_EFORMAT, _("the shape has more elements than any machine can address"));
    *n = count;
    return 0;
}

/* Name and type text live in one allocation. */
static qs_tensor *blank(const char *name, qs_dtype d, const char *text)
{
    qs_tensor *t = qs_xcalloc(1, sizeof *t);
    size_t n = strlen(name) + 1, m = text ? strlen(text) + 1 : 0;
    t->refs = 1;
    t->dtype = d;
    t->out_axis = -1;
    t->name = qs_xmalloc(n + m);
    memcpy(t->name, name, n);
    t->dtype_text = text ? memcpy(t->name + n, text, m) : types[d].name;
    return t;
}

static void set_shape(qs_tensor *t, int ndim, const int64_t *shape, size_t n)
{
    t->ndim = ndim;
    for (int i = 0; i < ndim; i++) t->shape[i] = shape[i];
    t->n = n;
}

qs_tensor *qs_tensor_new(const char *name, qs_dtype d, int ndim, const int64_t *shape, qs_blob *blob,
                         const unsigned char *data, qs_err *err)
{
    size_t n;
    if (ndim < 0 || ndim > QS_MAXDIM) {
        qs_fail(err, QS_EARG, _("%d axes: a tensor has 0 to %d"), ndim, QS_MAXDIM);
        return NULL;
    }
    if (qs_shape_count(ndim, shape, types[d].size, &n, err)) {
        if (err) err->code = QS_EARG;
        return NULL;
    }
    size_t bytes = n * types[d].size;
    if (bytes && (!blob || data < blob->data || (size_t)(data - blob->data) > blob->size
                  || bytes > blob->size - (size_t)(data - blob->data))) {
        qs_fail(err, QS_EARG, _("%zu elements of %s do not fit the data"), n, types[d].name);
        return NULL;
    }
    qs_tensor *t = blank(name, d, NULL);
    set_shape(t, ndim, shape, n);
    t->data = data;
    t->blob = blob ? qs_blob_ref(blob) : NULL;
    return t;
}

/* The strides of C order (last axis fastest) or Fortran order (first axis fastest). */
static void plain_strides(int ndim, const int64_t *shape, bool fortran, size_t *stride)
{
    size_t at = 1;
    for (int i = 0; i < ndim; i++) {
        int k = fortran ? i : ndim - 1 - i;
        stride[k] = at;
        at *= (size_t)shape[k];
    }
}

/* Axes of length 1 have any stride. */
static bool in_c_order(int ndim, const int64_t *shape, const size_t *stride)
{
    bool same = true;
    size_t plain[QS_MAXDIM];
    plain_strides(ndim, shape, false, plain);
    for (int i = 0; i < ndim; i++) same &= shape[i] == 1 || stride[i] == plain[i];
    return same;
}

void qs_tensor_fortran(qs_tensor *t)
{
    plain_strides(t->ndim, t->shape, true, t->stride);
    t->strided = t->n && !in_c_order(t->ndim, t->shape, t->stride);
}

/* How many elements of the blob the tensor reaches over. false: more than can be counted. */
static bool reach(int ndim, const int64_t *shape, const size_t *stride, size_t *out)
{
    bool good = true;
    *out = 1;
    for (int i = 0; i < ndim; i++) {
        size_t far;
        good = good && qs_mul((size_t)shape[i] - 1, stride[i], &far) && !__builtin_add_overflow(*out, far, out);
    }
    return good;
}

qs_tensor *qs_tensor_strided(const char *name, qs_dtype d, int ndim, const int64_t *shape, const size_t *stride, qs_blob *blob,
                             const unsigned char *data, size_t room, qs_err *err)
{
    size_t n, over, bytes;
    if (ndim < 0 || ndim > QS_MAXDIM || qs_shape_count(ndim, shape, types[d].size, &n, NULL) || !n)
        return qs_tensor_new(name, d, ndim, shape, blob, data, err);
    if (!reach(ndim, shape, stride, &over) || !qs_mul(over, types[d].size, &bytes) || bytes > room) {
        qs_fail(err, QS_EARG, _("its strides reach beyond the data"));
        return NULL;
    }
    if (n / QS_EXPAND > blob->size) {
        qs_fail(err, QS_EARG, _("%zu values made of the same few, %d times more than the file has"), n, QS_EXPAND);
        return NULL;
    }
    if (in_c_order(ndim, shape, stride)) return qs_tensor_new(name, d, ndim, shape, blob, data, err);
    qs_tensor *t = blank(name, d, NULL);
    set_shape(t, ndim, shape, n);
    t->strided = true;
    memcpy(t->stride, stride, (size_t)ndim * sizeof *stride);
    t->data = data;
    t->blob = qs_blob_ref(blob);
    return t;
}

qs_tensor *qs_tensor_unknown(const char *name, const char *text, int ndim, const int64_t *shape, qs_blob *blob)
{
    size_t n;
    qs_tensor *t = blank(name, QS_UNKNOWN_DTYPE, text);
    if (ndim >= 0 && ndim <= QS_MAXDIM && !qs_shape_count(ndim, shape, 0, &n, NULL)) set_shape(t, ndim, shape, n);
    t->blob = blob ? qs_blob_ref(blob) : NULL;
    return t;
}

qs_tensor *qs_tensor_f32(const char *name, int ndim, const int64_t *shape, float **mem, qs_err *err)
{
    size_t n;
    if (ndim < 0 || ndim > QS_MAXDIM) {
        qs_fail(err, QS_EARG, _("%d axes: a tensor has 0 to %d"), ndim, QS_MAXDIM);
        return NULL;
    }
    if (qs_shape_count(ndim, shape, sizeof(float), &n, err)) {
        if (err) err->code = QS_EARG;
        return NULL;
    }
    qs_blob *b = qs_blob_new(n * sizeof(float), err);
    if (!b) return NULL;
    qs_tensor *t = qs_tensor_new(name, QS_F32, ndim, shape, b, b->data, err);
    if (t && mem) *mem = qs_blob_mem(b);
    qs_blob_unref(b);
    return t;
}

qs_tensor *qs_tensor_renamed(const qs_tensor *t, const char *name)
{
    qs_tensor *r = blank(name, t->dtype, t->dtype_text == types[t->dtype].name ? NULL : t->dtype_text);
    set_shape(r, t->ndim, t->shape, t->n);
    r->swapped = t->swapped;
    r->strided = t->strided;
    memcpy(r->stride, t->stride, sizeof r->stride);
    r->data = t->data;
    r->blob = t->blob ? qs_blob_ref(t->blob) : NULL;
    r->packed = t->packed ? qs_packed_ref(t->packed) : NULL;
    return r;
}

qs_tensor *qs_tensor_ref(qs_tensor *t)
{
    atomic_fetch_add(&t->refs, 1);
    return t;
}

void qs_tensor_unref(qs_tensor *t)
{
    if (!t || atomic_fetch_sub(&t->refs, 1) != 1) return;
    qs_packed_unref(t->packed);
    qs_blob_unref(t->blob);
    free(t->name);
    free(t);
}

/* ---- reading ----------------------------------------------------------------- */
#define BLOCK 512 /* elements read at a time where bytes must be moved first */

/* Where element i (C order) is stored, in elements. */
static size_t place_of(const qs_tensor *t, size_t i)
{
    size_t place = 0;
    for (int k = t->ndim - 1; k >= 0; k--) {
        size_t dim = (size_t)t->shape[k];
        place += i % dim * t->stride[k];
        i /= dim;
    }
    return place;
}

static void swap_bytes(unsigned char *p, size_t n, size_t size)
{
    for (; n--; p += size)
        for (size_t a = 0, b = size - 1; a < b; a++, b--) {
            unsigned char c = p[a];
            p[a] = p[b];
            p[b] = c;
        }
}

/* Constant sizes become single moves. */
static void copy_strided(const unsigned char *from, size_t step, size_t n, size_t size, unsigned char *out)
{
    switch (size) {
    case 1: for (size_t i = 0; i < n; i++) out[i] = from[i * step]; break;
    case 2: for (size_t i = 0; i < n; i++) memcpy(out + 2 * i, from + i * step, 2); break;
    case 4: for (size_t i = 0; i < n; i++) memcpy(out + 4 * i, from + i * step, 4); break;
    default: for (size_t i = 0; i < n; i++) memcpy(out + 8 * i, from + i * step, 8); break;
    }
}

/* Along the last axis elements have one stride; other steps than 1 find each element by itself. */
static void gather_bytes(const qs_tensor *t, size_t start, size_t step, size_t n, size_t size, unsigned char *out)
{
    size_t dim = (size_t)t->shape[t->ndim - 1];
    for (size_t i = 0, run; i < n; i += run) {
        size_t at = start + i * step, left = dim - at % dim;
        run = step > 1 ? 1 : left < n - i ? left : n - i;
        copy_strided(t->data + place_of(t, at) * size, t->stride[t->ndim - 1] * size, run, size, out + i * size);
    }
}

/* Runs are read as the kind likes them; values far apart one by one, each the cost of its block. */
static void read_packed(const qs_packed *p, size_t start, size_t stride, size_t n, float *out)
{
    if (stride == 1 && n) p->kind->read(p, start, n, out);
    else
        for (size_t i = 0; i < n; i++) p->kind->read(p, start + i * stride, 1, out + i);
}

void qs_tensor_bytes(const qs_tensor *t, size_t start, size_t stride, size_t n, unsigned char *out)
{
    size_t size = types[t->dtype].size;
    if (!n || !size) return;
    if (t->packed)
        for (size_t i = 0; i < n; i += BLOCK) {
            float x[BLOCK];
            size_t m = n - i < BLOCK ? n - i : BLOCK;
            read_packed(t->packed, start + i * stride, stride, m, x);
            memcpy(out + i * size, x, m * size);
        }
    else if (t->strided)
        gather_bytes(t, start, stride, n, size, out);
    else if (stride == 1)
        memcpy(out, t->data + start * size, n * size);
    else
        copy_strided(t->data + start * size, stride * size, n, size, out);
    if (t->swapped) swap_bytes(out, n, size);
}

void qs_tensor_read_strided(const qs_tensor *t, size_t start, size_t stride, size_t n, float *out)
{
    const struct type *y = &types[t->dtype];
    if (!y->floats) {
        memset(out, 0, n * sizeof *out);
        return;
    }
    if (t->packed) {
        read_packed(t->packed, start, stride, n, out);
        return;
    }
    const unsigned char *p = n ? t->data + start * y->size : NULL;
    if (n && stride == 1 && !t->strided && !t->swapped && (uintptr_t)p % y->size == 0) {
        y->floats(p, n, out);
        return;
    }
    _Alignas(8) unsigned char raw[BLOCK * 8];
    for (size_t i = 0; i < n; i += BLOCK) {
        size_t m = n - i < BLOCK ? n - i : BLOCK;
        qs_tensor_bytes(t, start + i * stride, stride, m, raw);
        y->floats(raw, m, out + i);
    }
}

void qs_tensor_read(const qs_tensor *t, size_t start, size_t n, float *out)
{
    qs_tensor_read_strided(t, start, 1, n, out);
}

const float *qs_tensor_floats(const qs_tensor *t)
{
    bool plain = t->dtype == QS_F32 && !t->swapped && !t->strided;
    return plain && t->data && (uintptr_t)t->data % _Alignof(float) == 0 ? (const float *)(const void *)t->data : NULL;
}

double qs_tensor_at(const qs_tensor *t, size_t i)
{
    _Alignas(8) unsigned char raw[8];
    if (!types[t->dtype].at) return 0;
    qs_tensor_bytes(t, i, 1, 1, raw);
    return types[t->dtype].at(raw);
}

/* last: the blob that was asked last. */
static int check_blob(const qs_blob *b, const qs_blob **last, qs_err *err)
{
    if (!b || b == *last) return 0;
    *last = b;
    return qs_blob_check(b, err);
}

static int check(const qs_tensor *t, const qs_blob **last, qs_err *err)
{
    int rc = check_blob(t->blob, last, err);
    if (!rc && t->packed) rc = check_blob(t->packed->blob, last, err);
    for (int i = 0; i < QS_PACKED_PARTS && t->packed && !rc; i++)
        if (t->packed->part[i]) rc = check(t->packed->part[i], last, err);
    return rc;
}

int qs_tensor_check(const qs_tensor *t, qs_err *err)
{
    const qs_blob *last = NULL;
    return check(t, &last, err);
}

int qs_tensors_check(qs_tensor *const *t, size_t n, qs_err *err)
{
    const qs_blob *last = NULL;
    int rc = 0;
    for (size_t i = 0; i < n && !rc; i++) rc = check(t[i], &last, err);
    return rc;
}

/* ---- for people -------------------------------------------------------------- */
const char *qs_tensor_reason(const qs_tensor *t)
{
    enum kind k = types[t->dtype].kind;
    if (k == OTHER) return N_("a type that is not known here");
    if (k == INTEGER) return t->dtype == QS_BOOL ? N_("truth values") : N_("integers: an index, a shape or codes");
    if (k == FLOAT8) return N_("already 8-bit floats");
    if (k == CODES) return N_("already quantized");
    if (t->ndim == 0) return N_("a scalar");
    if (t->n == 0) return N_("empty");
    if (t->ndim == 1) return N_("one dimension: a bias or a norm");
    return NULL;
}

/* The digits of a length at the end of room for 20; how many. */
static size_t digits_of(int64_t x, char *end)
{
    size_t n = 0;
    do end[-(ptrdiff_t)++n] = (char)('0' + x % 10);
    while (x /= 10);
    return n;
}

char *qs_tensor_shape_text(const qs_tensor *t, char *buf, size_t size)
{
    char text[QS_MAXDIM * 21 + 2], digits[20], *p = text;
    *p++ = '[';
    for (int i = 0; i < t->ndim; i++) {
        size_t n = digits_of(t->shape[i], digits + sizeof digits);
        if (i) *p++ = ',';
        p = mempcpy(p, digits + sizeof digits - n, n);
    }
    *p++ = ']';
    size_t n = (size_t)(p - text);
    if (!size) return buf;
    if (n >= size) n = size - 1;
    memcpy(buf, text, n);
    buf[n] = '\0';
    return buf;
}
