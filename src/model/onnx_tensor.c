/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One ONNX tensor: its type, its shape, and where its bytes are: in the model file (borrowed), in a file beside it
 * (mapped), or as numbers of the message (converted). Does not know graphs.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "model/onnx.h"

enum typed { NOTHING, FLOATS, INT32S, INT64S, DOUBLES, UINT64S };

/* By the number ONNX gives the type: ours, or its name; which of the typed fields holds it; where several are a byte (then
 * d is that of the bytes), how they are read. */
static const struct { const char *name; qs_dtype d; enum typed typed; const qs_packed_kind *bits; } types[] = {
    [0] = {"UNDEFINED", QS_UNKNOWN_DTYPE, NOTHING, NULL},     [1] = {"FLOAT", QS_F32, FLOATS, NULL},
    [2] = {"UINT8", QS_U8, INT32S, NULL},                     [3] = {"INT8", QS_I8, INT32S, NULL},
    [4] = {"UINT16", QS_U16, INT32S, NULL},                   [5] = {"INT16", QS_I16, INT32S, NULL},
    [6] = {"INT32", QS_I32, INT32S, NULL},                    [7] = {"INT64", QS_I64, INT64S, NULL},
    [8] = {"STRING", QS_UNKNOWN_DTYPE, NOTHING, NULL},        [9] = {"BOOL", QS_BOOL, INT32S, NULL},
    [10] = {"FLOAT16", QS_F16, INT32S, NULL},                 [11] = {"DOUBLE", QS_F64, DOUBLES, NULL},
    [12] = {"UINT32", QS_U32, UINT64S, NULL},                 [13] = {"UINT64", QS_U64, UINT64S, NULL},
    [14] = {"COMPLEX64", QS_UNKNOWN_DTYPE, NOTHING, NULL},    [15] = {"COMPLEX128", QS_UNKNOWN_DTYPE, NOTHING, NULL},
    [16] = {"BFLOAT16", QS_BF16, INT32S, NULL},               [17] = {"FLOAT8E4M3FN", QS_F8_E4M3, INT32S, NULL},
    [18] = {"FLOAT8E4M3FNUZ", QS_UNKNOWN_DTYPE, NOTHING, NULL},[19] = {"FLOAT8E5M2", QS_F8_E5M2, INT32S, NULL},
    [20] = {"FLOAT8E5M2FNUZ", QS_UNKNOWN_DTYPE, NOTHING, NULL},[21] = {"UINT4", QS_U8, INT32S, &qs_bits_uint4},
    [22] = {"INT4", QS_U8, INT32S, &qs_bits_int4},            [23] = {"FLOAT4E2M1", QS_U8, INT32S, &qs_bits_fp4},
    [24] = {"FLOAT8E8M0", QS_UNKNOWN_DTYPE, NOTHING, NULL},   [25] = {"UINT2", QS_U8, INT32S, &qs_bits_uint2},
    [26] = {"INT2", QS_U8, INT32S, &qs_bits_int2},
};
#define TYPES (int)(sizeof types / sizeof *types)

/* Where the bytes of a tensor are; blob is a reference of ours. */
typedef struct place { qs_blob *blob; const unsigned char *data; size_t size; } place;

/* ---- external data -------------------------------------------------------------------- */
void qs_onnx_files_clear(qs_onnx_files *f)
{
    for (size_t i = 0; i < f->n; i++) {
        qs_blob_unref(f->blob[i]);
        free(f->location[i]);
    }
    free(f->blob);
    free(f->location);
    *f = (qs_onnx_files){0};
}

static const char *entry(const Onnx__TensorProto *p, const char *key)
{
    for (size_t i = 0; i < p->n_external_data; i++)
        if (p->external_data[i]->key && !strcmp(p->external_data[i]->key, key)) return p->external_data[i]->value;
    return NULL;
}

static bool goes_up(const char *s)
{
    for (const char *p = s; (p = strstr(p, "..")); p += 2)
        if ((p == s || p[-1] == '/') && (!p[2] || p[2] == '/')) return true;
    return false;
}

/* The file beside the model, with all links followed; NULL unless it is below the model's folder. */
static char *resolve(const char *model, const char *location, qs_err *err)
{
    char shown[80], *real = NULL;
    const char *slash = strrchr(model, '/');
    qs_name_shown(location, shown, sizeof shown);
    if (!*location || *location == '/' || goes_up(location)) {
        qs_fail(err, QS_EFORMAT, _("external data '%s': must be a file in the folder of the model"), shown);
        return NULL;
    }
    char *folder = slash ? strndup(model, (size_t)(slash - model) + 1) : strdup("./");
    char *base = folder ? realpath(folder, NULL) : NULL;
    char *joined = base ? qs_xasprintf("%s/%s", base, location) : NULL;
    if (!joined || !(real = realpath(joined, NULL)))
        qs_fail(err, QS_EIO, _("external data '%s': %s"), shown, strerror(errno));
    else {
        size_t n = strlen(base);
        if (strncmp(real, base, n) || (real[n] != '/' && n > 1)) {
            qs_fail(err, QS_EFORMAT, _("external data '%s': a link that leads out of the folder of the model"), shown);
            free(real);
            real = NULL;
        }
    }
    free(joined);
    free(base);
    free(folder);
    return real;
}

static qs_blob *external_file(const char *model, const char *location, qs_onnx_files *f, qs_err *err)
{
    for (size_t i = 0; i < f->n; i++)
        if (!strcmp(f->location[i], location)) return f->blob[i];
    char *path = resolve(model, location, err);
    qs_blob *b = path ? qs_blob_map(path, err) : NULL;
    free(path);
    if (!b) return NULL;
    f->blob = qs_xrealloc(f->blob, (f->n + 1) * sizeof *f->blob);
    f->location = qs_xrealloc(f->location, (f->n + 1) * sizeof *f->location);
    f->location[f->n] = qs_xstrdup(location);
    f->blob[f->n++] = b;
    return b;
}

/* A decimal number; absent: dflt. */
static int read_number(const char *s, size_t dflt, size_t *out, qs_err *err)
{
    char *end;
    *out = dflt;
    if (!s) return 0;
    errno = 0;
    unsigned long long x = strtoull(s, &end, 10);
    if (errno || *end || *s < '0' || *s > '9' || x > SIZE_MAX)
        return qs_fail(err, QS_EFORMAT, _("external data: offset and length must be numbers"));
    *out = (size_t)x;
    return 0;
}

static int find_external(const Onnx__TensorProto *p, size_t bytes, const char *path, qs_onnx_files *files, place *out, qs_err *err)
{
    size_t offset = 0, length = 0;
    const char *location = entry(p, "location");
    if (!location) return qs_fail(err, QS_EFORMAT, _("external data without a location"));
    if (read_number(entry(p, "offset"), 0, &offset, err) || read_number(entry(p, "length"), bytes, &length, err))
        return -QS_EFORMAT;
    if (!bytes) return 0; /* an empty tensor: the file need not be there */
    qs_blob *b = external_file(path, location, files, err);
    if (!b) return err ? -err->code : -QS_EIO;
    if (offset > b->size || length > b->size - offset)
        return qs_fail(err, QS_EFORMAT, _("external data: %zu bytes from byte %zu on, of a file of %zu"), length, offset, b->size);
    *out = (place){qs_blob_ref(b), b->data + offset, length};
    return 0;
}

/* ---- numbers of the message -------------------------------------------------------------- */
/* Integers of the message in the width of the type. int32_data carries the bits of small floats too. */
static int narrow(const Onnx__TensorProto *p, qs_dtype d, unsigned char *to, qs_err *err)
{
    size_t size = qs_dtype_size(d);
    for (size_t i = 0; i < p->n_int32_data; i++) {
        int32_t x = p->int32_data[i];
        if (size < 4 && (x < -(1 << (8 * size - 1)) || x >= 1 << 8 * size))
            return qs_fail(err, QS_EFORMAT, _("the value %d does not fit its type"), x);
        const int8_t i1 = (int8_t)x;
        const int16_t i2 = (int16_t)x;
        memcpy(to + i * size, size == 1 ? (const void *)&i1 : size == 2 ? (const void *)&i2 : &x, size);
    }
    return 0;
}

static int narrow_unsigned(const Onnx__TensorProto *p, qs_dtype d, unsigned char *to, qs_err *err)
{
    for (size_t i = 0; i < p->n_uint64_data; i++) {
        uint64_t x = p->uint64_data[i];
        const uint32_t u4 = (uint32_t)x;
        if (d == QS_U32 && x > UINT32_MAX) return qs_fail(err, QS_EFORMAT, _("a value does not fit its type"));
        memcpy(to + i * qs_dtype_size(d), d == QS_U32 ? (const void *)&u4 : &x, qs_dtype_size(d));
    }
    return 0;
}

static int find_typed(const Onnx__TensorProto *p, qs_dtype d, enum typed typed, place *out, qs_err *err)
{
    const size_t counts[] = {[FLOATS] = p->n_float_data, [INT32S] = p->n_int32_data, [INT64S] = p->n_int64_data,
                             [DOUBLES] = p->n_double_data, [UINT64S] = p->n_uint64_data};
    const void *plain[] = {[FLOATS] = p->float_data, [INT64S] = p->int64_data, [DOUBLES] = p->double_data, [UINT64S] = NULL};
    size_t bytes = counts[typed] * qs_dtype_size(d);
    qs_blob *b = qs_blob_new(bytes, err);
    if (!b) return -QS_ENOMEM;
    unsigned char *to = qs_blob_mem(b);
    *out = (place){b, to, bytes};
    if (typed == INT32S) return narrow(p, d, to, err);
    if (typed == UINT64S) return narrow_unsigned(p, d, to, err);
    if (bytes) memcpy(to, plain[typed], bytes);
    return 0;
}

/* ---- bytes of the file ------------------------------------------------------------------- */
/* Packed floats may come in several pieces (then they are joined); raw_data not. */
static int find_spans(const Onnx__TensorProto *p, qs_blob *model, place *out, qs_err *err)
{
    size_t total = 0, at = 0;
    for (size_t i = 0; i < p->n_span; i++) {
        if (p->span[i]->field != p->span[0]->field || (i && p->span[i]->field == 9))
            return qs_fail(err, QS_EFORMAT, _("the data of the tensor is given twice"));
        total += p->span[i]->length; /* pieces of one file: cannot overflow */
    }
    if (p->n_span == 1) {
        *out = (place){qs_blob_ref(model), model->data + p->span[0]->offset, total};
        return 0;
    }
    qs_blob *b = qs_blob_new(total, err);
    if (!b) return -QS_ENOMEM;
    *out = (place){b, b->data, total};
    for (size_t i = 0; i < p->n_span; at += p->span[i++]->length)
        memcpy((unsigned char *)qs_blob_mem(b) + at, model->data + p->span[i]->offset, p->span[i]->length);
    return 0;
}

/* raw_data serves every type, packed floats and doubles only their own. */
static bool span_fits(const Onnx__TensorProto *p, qs_dtype d)
{
    uint32_t field = p->span[0]->field;
    return field == 9 || (field == 4 && d == QS_F32) || (field == 10 && d == QS_F64);
}

static size_t typed_count(const Onnx__TensorProto *p)
{
    return p->n_float_data + p->n_int32_data + p->n_int64_data + p->n_double_data + p->n_uint64_data;
}

/* The kinds of places; *swapped: the bytes are those of the file, little-endian. */
static int find_data(const Onnx__TensorProto *p, size_t bytes, qs_blob *model, const char *path, qs_onnx_files *files,
                     place *out, bool *swapped, qs_err *err)
{
    int type = p->data_type;
    *swapped = qs_big_endian() && qs_dtype_size(types[type].d) > 1;
    if (p->data_location == 1) return find_external(p, bytes, path, files, out, err);
    if (p->n_span && typed_count(p)) return qs_fail(err, QS_EFORMAT, _("the data of the tensor is given twice"));
    if (p->n_span && span_fits(p, types[type].d)) return find_spans(p, model, out, err);
    if (p->n_span) return qs_fail(err, QS_EFORMAT, _("the data is in a field for another type"));
    *swapped = false;
    return find_typed(p, types[type].d, types[type].typed, out, err);
}

static qs_tensor *read_known(const char *name, const Onnx__TensorProto *p, qs_blob *model, const char *path,
                             qs_onnx_files *files, qs_err *err)
{
    size_t n;
    bool swapped;
    place at = {0};
    qs_tensor *t = NULL;
    qs_dtype d = types[p->data_type].d;
    const qs_packed_kind *bits = types[p->data_type].bits;
    if (qs_shape_count((int)p->n_dims, p->dims, qs_dtype_size(d), &n, err)) return NULL;
    size_t bytes = bits ? qs_bits_bytes(bits, n) : n * qs_dtype_size(d);
    if (!find_data(p, bytes, model, path, files, &at, &swapped, err)) {
        if (at.size != bytes)
            qs_fail(err, QS_EFORMAT, _("%zu elements of %s are %zu bytes, the file has %zu"), n, bits ? bits->name : qs_dtype_name(d), bytes, at.size);
        else if (bits)
            t = qs_bits_tensor(name, bits, (int)p->n_dims, p->dims, at.blob ? at.blob : model, at.data, err);
        else if ((t = qs_tensor_new(name, d, (int)p->n_dims, p->dims, at.blob ? at.blob : model, at.data, err)))
            t->swapped = swapped;
    }
    qs_blob_unref(at.blob);
    return t;
}

qs_tensor *qs_onnx_tensor(const char *name, const Onnx__TensorProto *p, qs_blob *model, const char *path,
                          qs_onnx_files *files, qs_err *err)
{
    char text[48];
    bool named = p->data_type >= 0 && p->data_type < TYPES;
    if (named && types[p->data_type].d && p->n_dims <= QS_MAXDIM) return read_known(name, p, model, path, files, err);
    int dims = p->n_dims <= QS_MAXDIM ? (int)p->n_dims : -1;
    if (!named) snprintf(text, sizeof text, _("type %d"), p->data_type);
    else if (p->n_dims > QS_MAXDIM) snprintf(text, sizeof text, _("%s, %zu axes"), types[p->data_type].name, p->n_dims);
    else snprintf(text, sizeof text, "%s", types[p->data_type].name);
    return qs_tensor_unknown(name, text, dims, p->dims, model);
}
