/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * safetensors: 8 bytes length (little-endian), a JSON object, the bytes of the tensors. As strict as the format
 * says: the tensors must cover the bytes exactly, in the order of their offsets, without holes or overlaps.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "model/json.h"

static uint64_t little64(const unsigned char *p)
{
    uint64_t x = 0;
    for (int i = 7; i >= 0; i--) x = x << 8 | p[i];
    return x;
}

static bool probe(const unsigned char *head, size_t n, size_t size)
{
    return size >= 10 && n >= 10 && head[8] == '{' && (head[9] == '"' || head[9] == '}' || strchr(" \t\r\n", head[9]));
}

/* ---- the entries -------------------------------------------------------------- */
typedef struct entry {
    const char *name;   /* of the JSON object */
    const char *dtype;
    qs_dtype d;
    json_t *shape;
    size_t begin, end;  /* in the bytes after the header */
    size_t order;       /* in the header */
} entry;

static qs_dtype dtype_of(const char *s)
{
    for (qs_dtype d = QS_F64; d < QS_PACKED; d++)
        if (!strcmp(s, qs_dtype_name(d))) return d;
    return QS_UNKNOWN_DTYPE;
}

static int read_offset(const json_t *pair, size_t i, size_t size, size_t *out, qs_err *err)
{
    const json_t *v = json_array_get(pair, i);
    if (!json_is_integer(v) || json_integer_value(v) < 0)
        return qs_fail(err, QS_EFORMAT, _("data_offsets must be two integers, 0 or more"));
    if ((uint64_t)json_integer_value(v) > size)
        return qs_fail(err, QS_EFORMAT, _("data_offsets %lld is beyond the end of the data (%zu bytes)"),
                       (long long)json_integer_value(v), size);
    *out = (size_t)json_integer_value(v);
    return 0;
}

static int read_offsets(entry *e, const json_t *o, size_t size, qs_err *err)
{
    const json_t *pair = json_object_get(o, "data_offsets");
    if (!json_is_array(pair) || json_array_size(pair) != 2)
        return qs_fail(err, QS_EFORMAT, _("data_offsets must be two integers, 0 or more"));
    if (read_offset(pair, 0, size, &e->begin, err) || read_offset(pair, 1, size, &e->end, err)) return -QS_EFORMAT;
    if (e->end < e->begin) return qs_fail(err, QS_EFORMAT, _("data_offsets end before they begin"));
    return 0;
}

static int read_fields(entry *e, json_t *o, size_t size, qs_err *err)
{
    const char *key;
    json_t *value;
    if (!json_is_object(o)) return qs_fail(err, QS_EFORMAT, _("must be an object with dtype, shape, data_offsets"));
    json_object_foreach(o, key, value)
        if (strcmp(key, "dtype") && strcmp(key, "shape") && strcmp(key, "data_offsets"))
            return qs_fail(err, QS_EFORMAT, _("has a field other than dtype, shape, data_offsets"));
    e->dtype = json_string_value(json_object_get(o, "dtype"));
    if (!e->dtype) return qs_fail(err, QS_EFORMAT, _("dtype must be a string"));
    e->d = dtype_of(e->dtype);
    e->shape = json_object_get(o, "shape");
    if (!json_is_array(e->shape)) return qs_fail(err, QS_EFORMAT, _("shape must be an array"));
    for (size_t i = 0; i < json_array_size(e->shape); i++) {
        const json_t *v = json_array_get(e->shape, i);
        if (!json_is_integer(v) || json_integer_value(v) < 0)
            return qs_fail(err, QS_EFORMAT, _("shape must hold integers, 0 or more"));
    }
    return read_offsets(e, o, size, err);
}

/* ---- from an entry to a tensor ------------------------------------------------- */
static int make_tensor(qs_model *m, const entry *e, qs_blob *blob, const unsigned char *data, qs_err *err)
{
    int64_t shape[QS_MAXDIM];
    size_t dims = json_array_size(e->shape), n, size = qs_dtype_size(e->d);
    if (dims > QS_MAXDIM) {
        char *text = qs_xasprintf("%.40s, %zu axes", e->dtype, dims);
        qs_tensor *t = qs_tensor_unknown(e->name, text, -1, NULL, blob);
        free(text);
        return qs_model_add(m, t, err);
    }
    for (size_t i = 0; i < dims; i++) shape[i] = json_integer_value(json_array_get(e->shape, i));
    if (!size) return qs_model_add(m, qs_tensor_unknown(e->name, e->dtype, (int)dims, shape, blob), err);
    if (qs_shape_count((int)dims, shape, size, &n, err)) return -QS_EFORMAT;
    if (n * size != e->end - e->begin)
        return qs_fail(err, QS_EFORMAT, _("%zu elements of %s are %zu bytes, data_offsets say %zu"), n, e->dtype,
                       n * size, e->end - e->begin);
    qs_tensor *t = qs_tensor_new(e->name, e->d, (int)dims, shape, blob, data + e->begin, err);
    if (!t) return err ? -err->code : -QS_EFORMAT;
    t->swapped = qs_big_endian() && size > 1;
    return qs_model_add(m, t, err);
}

static int by_offset(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    if (x->end != y->end) return x->end < y->end ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

static int fail_entry(const entry *e, qs_err *err)
{
    char buf[80];
    qs_fail_prefix(err, _("tensor %s"), qs_name_shown(e->name, buf, sizeof buf));
    return err ? -err->code : -QS_EFORMAT;
}

/* Sorted by offset, every tensor must begin where the one before it ends. */
static int check_cover(const entry *e, size_t n, size_t size, qs_err *err)
{
    size_t at = 0;
    for (size_t i = 0; i < n; at = e[i++].end) {
        if (e[i].begin == at) continue;
        qs_fail(err, QS_EFORMAT, e[i].begin < at ? _("its bytes overlap those of the tensor before it (%zu < %zu)")
                                                 : _("a hole before its bytes (%zu > %zu)"), e[i].begin, at);
        return fail_entry(&e[i], err);
    }
    if (at == size) return 0;
    return qs_fail(err, QS_EFORMAT, _("%zu bytes after the last tensor"), size - at);
}

/* What we wrote there ourselves says how codes are meant. */
static int read_metadata(qs_model *m, const json_t *meta, qs_err *err)
{
    const char *key;
    json_t *value;
    if (!json_is_object(meta)) return qs_fail(err, QS_EFORMAT, _("__metadata__ must be an object"));
    json_object_foreach((json_t *)(uintptr_t)meta, key, value)
        if (!json_is_string(value)) return qs_fail(err, QS_EFORMAT, _("__metadata__ must map strings to strings"));
        else if (!strcmp(key, "quantscope.format")) qs_join_format(m, json_string_value(value));
    return 0;
}

static int collect(qs_model *m, entry *e, size_t *n, json_t *root, size_t size, qs_err *err)
{
    const char *name;
    json_t *o;
    *n = 0;
    json_object_foreach(root, name, o) {
        if (!strcmp(name, "__metadata__")) {
            if (read_metadata(m, o, err)) return -QS_EFORMAT;
            continue;
        }
        e[*n].name = name;
        e[*n].order = *n;
        if (read_fields(&e[*n], o, size, err)) return fail_entry(&e[*n], err);
        ++*n;
    }
    qsort(e, *n, sizeof *e, by_offset);
    return check_cover(e, *n, size, err);
}

static int read_header(qs_model *m, json_t *root, qs_blob *blob, size_t data, qs_err *err)
{
    size_t n;
    entry *e = qs_xcalloc(json_object_size(root), sizeof *e);
    int rc = collect(m, e, &n, root, blob->size - data, err);
    for (size_t i = 0; i < n && !rc; i++)
        if (make_tensor(m, &e[i], blob, blob->data + data, err)) rc = fail_entry(&e[i], err);
    free(e);
    return rc;
}

static int read_file(qs_model *m, qs_blob *blob, qs_err *err)
{
    uint64_t length = little64(blob->data);
    if (length > QS_JSON_MAX)
        return qs_fail(err, QS_EFORMAT, _("a header of %llu bytes: the format allows 100 MB"), (unsigned long long)length);
    if (length > blob->size - 8)
        return qs_fail(err, QS_EFORMAT, _("a header of %llu bytes in a file of %zu: cut short?"),
                       (unsigned long long)length, blob->size);
    json_t *root = qs_json_object(_("header"), blob->data + 8, (size_t)length, err);
    if (!root) return err ? -err->code : -QS_EFORMAT;
    int rc = read_header(m, root, blob, 8 + (size_t)length, err);
    json_decref(root);
    return rc;
}

const qs_reader qs_reader_safetensors = {
    "safetensors", N_("safetensors: names, shapes and raw bytes; strict, mapped"), probe, read_file,
};

/* ---- writing ------------------------------------------------------------------- */
struct qs_stream {
    FILE *f;
    const qs_item *item;  /* (n) as the caller numbers them */
    size_t n;
    size_t *at;           /* (n) where each begins in the file */
    bool *there;          /* (n) */
    size_t here;          /* where the file stands */
};

static size_t item_bytes(const qs_item *o)
{
    size_t n = qs_dtype_size(o->dtype);
    for (int i = 0; i < o->ndim; i++) n *= (size_t)o->shape[i];
    return n;
}

static json_t *describe(const qs_item *o, size_t begin)
{
    json_t *shape = json_array();
    for (int i = 0; i < o->ndim; i++) json_array_append_new(shape, json_integer(o->shape[i]));
    return json_pack("{s:s, s:o, s:[I, I]}", "dtype", qs_dtype_name(o->dtype), "shape", shape, "data_offsets",
                     (json_int_t)begin, (json_int_t)(begin + item_bytes(o)));
}

static json_t *describe_meta(const char *const *meta)
{
    json_t *o = json_object();
    for (; meta[0]; meta += 2) json_object_set_new(o, meta[0], json_string(meta[1]));
    return o;
}

/* Padded with spaces so that the data begins at a multiple of 8. */
static char *pad_header(json_t *root, qs_err *err)
{
    char *json = json_dumps(root, JSON_COMPACT);
    if (!json) {
        qs_fail(err, QS_ENOMEM, _("no memory for the header"));
        return NULL;
    }
    size_t len = strlen(json), pad = (len + 7) / 8 * 8;
    char *text = qs_xmalloc(pad + 1);
    memset(text, ' ', pad);
    memcpy(text, json, len);
    text[pad] = '\0';
    free(json);
    return text;
}

/* The text of the header; items in the order `sorted`, and where each begins after it, into s->at. */
static char *header_text(qs_stream *s, const qs_item *const *sorted, const char *const *meta, qs_err *err)
{
    size_t at = 0;
    json_t *root = json_object();
    if (meta && meta[0]) json_object_set_new(root, "__metadata__", describe_meta(meta));
    for (size_t i = 0; i < s->n; i++) {
        char buf[80];
        json_t *o = describe(sorted[i], at);
        if (o && !json_object_set_new(root, sorted[i]->name, o)) {
            s->at[sorted[i] - s->item] = at;
            at += item_bytes(sorted[i]);
            continue;
        }
        qs_fail(err, QS_EARG, _("tensor %s: the name is not UTF-8"), qs_name_shown(sorted[i]->name, buf, sizeof buf));
        json_decref(root);
        return NULL;
    }
    char *text = pad_header(root, err);
    json_decref(root);
    return text;
}

/* Wide types first: every tensor is then aligned to its own size. */
static int by_width(const void *a, const void *b)
{
    const qs_item *x = *(const qs_item *const *)a, *y = *(const qs_item *const *)b;
    size_t sx = qs_dtype_size(x->dtype), sy = qs_dtype_size(y->dtype);
    if (sx != sy) return sx > sy ? -1 : 1;
    return strcmp(x->name, y->name);
}

static int put_header(qs_stream *s, const char *text, qs_err *err)
{
    unsigned char length[8];
    size_t len = strlen(text);
    for (int i = 0; i < 8; i++) length[i] = (unsigned char)((uint64_t)len >> 8 * i);
    if (fwrite(length, 1, 8, s->f) != 8 || fwrite(text, 1, len, s->f) != len) return qs_fail(err, QS_EIO, "%s", strerror(errno));
    s->here = 8 + len;
    for (size_t i = 0; i < s->n; i++) s->at[i] += s->here;
    return 0;
}

qs_stream *qs_safetensors_begin(FILE *f, const qs_item *item, size_t n, const char *const *meta, qs_err *err)
{
    qs_stream *s = qs_xcalloc(1, sizeof *s);
    const qs_item **sorted = qs_xmalloc(n * sizeof *sorted);
    *s = (qs_stream){.f = f, .item = item, .n = n, .at = qs_xcalloc(n, sizeof *s->at), .there = qs_xcalloc(n, sizeof *s->there)};
    for (size_t i = 0; i < n; i++) sorted[i] = &item[i];
    qsort(sorted, n, sizeof *sorted, by_width);
    char *text = header_text(s, sorted, meta, err);
    bool good = text && !put_header(s, text, err);
    free(text);
    free(sorted);
    if (good) return s;
    qs_safetensors_end(s, NULL);
    return NULL;
}

/* Items that are written in the order of the file need no seeking, so that they can go down a pipe. */
static int stand_at(qs_stream *s, size_t i, qs_err *err)
{
    if (s->at[i] != s->here && fseeko(s->f, (off_t)s->at[i], SEEK_SET)) return qs_fail(err, QS_EIO, "%s", strerror(errno));
    s->here = s->at[i] + item_bytes(&s->item[i]);
    s->there[i] = true;
    return 0;
}

int qs_stream_copy(qs_stream *s, size_t i, const qs_tensor *t, qs_err *err)
{
    size_t want = item_bytes(&s->item[i]), size = qs_dtype_size(t->dtype);
    if (qs_tensor_saved(t) != s->item[i].dtype || t->n * size != want)
        return qs_fail(err, QS_ESTATE, _("tensor %s is not what the header says"), t->name);
    int rc = stand_at(s, i, err);
    return rc ? rc : qs_bytes_write(s->f, t, err);
}

int qs_stream_put(qs_stream *s, size_t i, const void *values, qs_err *err)
{
    size_t bytes = item_bytes(&s->item[i]), size = qs_dtype_size(s->item[i].dtype);
    qs_blob loan = {.refs = 1, .data = values, .size = bytes};
    qs_tensor t = {.refs = 1, .name = (char *)(uintptr_t)s->item[i].name, .dtype = s->item[i].dtype, .n = bytes / size, .data = values,
                   .blob = &loan};
    return qs_stream_copy(s, i, &t, err);
}

int qs_safetensors_end(qs_stream *s, qs_err *err)
{
    int rc = 0;
    for (size_t i = 0; i < s->n && !rc && err; i++)
        if (!s->there[i]) rc = qs_fail(err, QS_ESTATE, _("tensor %s was not written"), s->item[i].name);
    free(s->at);
    free(s->there);
    free(s);
    return rc;
}

static int by_place(const void *a, const void *b, void *ctx)
{
    const size_t *at = ctx, x = at[*(const size_t *)a], y = at[*(const size_t *)b];
    return (x > y) - (x < y);
}

int qs_safetensors_write(FILE *f, qs_tensor *const *tensors, size_t n, qs_err *err)
{
    qs_item *item = qs_xcalloc(n, sizeof *item);
    size_t *order = qs_xcalloc(n, sizeof *order);
    for (size_t i = 0; i < n; i++) {
        item[i] = qs_item_of(tensors[i]);
        order[i] = i;
    }
    qs_stream *s = qs_safetensors_begin(f, item, n, NULL, err);
    int rc = s ? 0 : -QS_EARG;
    if (s) qsort_r(order, n, sizeof *order, by_place, s->at);
    for (size_t i = 0; i < n && !rc; i++) rc = qs_stream_copy(s, order[i], tensors[order[i]], err);
    if (s) qs_safetensors_end(s, NULL);
    free(item);
    free(order);
    return rc;
}
