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
    const char *name, *dtype;   /* strings of the walk */
    qs_dtype d;
    size_t dims;
    int64_t shape[QS_MAXDIM];   /* of more axes: the first ones */
    size_t begin, end;          /* in the bytes after the header */
    size_t order;               /* in the header */
} entry;

static qs_dtype dtype_of(const char *s)
{
    for (qs_dtype d = QS_F64; d < QS_PACKED; d++)
        if (!strcmp(s, qs_dtype_name(d))) return d;
    return QS_UNKNOWN_DTYPE;
}

/* An array of whole numbers: how many, and the first `room` of them. wrong: what they must be, N_(). */
static int read_numbers(qs_json_walk *w, int64_t *out, size_t room, size_t *n, const char *wrong, qs_err *err)
{
    int more, rc;
    int64_t x;
    qs_json_take(w, '[');
    for (*n = 0; (more = qs_json_more(w, ']', *n, err)) > 0; ++*n) {
        if ((rc = qs_json_whole(w, &x, err)) <= 0) return rc ? rc : qs_fail(err, QS_EFORMAT, "%s", _(wrong));
        if (*n < room) out[*n] = x;
    }
    return more;
}

static int read_dtype(entry *e, qs_json_walk *w, size_t size, qs_err *err)
{
    (void)size;
    e->dtype = qs_json_string(w, err);
    if (!e->dtype) return -QS_EFORMAT;
    e->d = dtype_of(e->dtype);
    return 0;
}

static int read_shape(entry *e, qs_json_walk *w, size_t size, qs_err *err)
{
    (void)size;
    return read_numbers(w, e->shape, QS_MAXDIM, &e->dims, N_("shape must hold integers, 0 or more"), err);
}

static int read_offsets(entry *e, qs_json_walk *w, size_t size, qs_err *err)
{
    int64_t at[2];
    size_t n;
    int rc = read_numbers(w, at, 2, &n, N_("data_offsets must be two integers, 0 or more"), err);
    if (rc) return rc;
    if (n != 2) return qs_fail(err, QS_EFORMAT, _("data_offsets must be two integers, 0 or more"));
    for (size_t i = 0; i < 2; i++)
        if ((uint64_t)at[i] > size)
            return qs_fail(err, QS_EFORMAT, _("data_offsets %lld is beyond the end of the data (%zu bytes)"), (long long)at[i], size);
    e->begin = (size_t)at[0];
    e->end = (size_t)at[1];
    return e->end < e->begin ? qs_fail(err, QS_EFORMAT, _("data_offsets end before they begin")) : 0;
}

#define FIELDS 3
static const struct field {
    const char *name;
    char begins;               /* with */
    const char *must;
    int (*read)(entry *e, qs_json_walk *w, size_t size, qs_err *err);
} fields[FIELDS] = {
    {"dtype", '"', N_("dtype must be a string"), read_dtype},
    {"shape", '[', N_("shape must be an array"), read_shape},
    {"data_offsets", '[', N_("data_offsets must be two integers, 0 or more"), read_offsets},
};

static int read_field(entry *e, qs_json_walk *w, unsigned *seen, size_t size, qs_err *err)
{
    size_t k = 0;
    const char *key = qs_json_key(w, err);
    if (!key) return -QS_EFORMAT;
    while (k < FIELDS && strcmp(key, fields[k].name)) k++;
    if (k == FIELDS) return qs_fail(err, QS_EFORMAT, _("has a field other than dtype, shape, data_offsets"));
    if (*seen & 1u << k) return qs_fail(err, QS_EFORMAT, _("has %s twice"), fields[k].name);
    *seen |= 1u << k;
    if (qs_json_peek(w) != (unsigned char)fields[k].begins) return qs_fail(err, QS_EFORMAT, "%s", _(fields[k].must));
    return fields[k].read(e, w, size, err);
}

static int read_fields(entry *e, qs_json_walk *w, size_t size, qs_err *err)
{
    unsigned seen = 0;
    int more;
    if (!qs_json_take(w, '{')) return qs_fail(err, QS_EFORMAT, _("must be an object with dtype, shape, data_offsets"));
    for (size_t i = 0; (more = qs_json_more(w, '}', i, err)) > 0; i++) {
        int rc = read_field(e, w, &seen, size, err);
        if (rc) return rc;
    }
    for (size_t k = 0; k < FIELDS && !more; k++)
        if (!(seen & 1u << k)) return qs_fail(err, QS_EFORMAT, "%s", _(fields[k].must));
    return more;
}

/* ---- from an entry to a tensor ------------------------------------------------- */
static int make_tensor(qs_model *m, const entry *e, qs_blob *blob, const unsigned char *data, qs_err *err)
{
    size_t n, size = qs_dtype_size(e->d);
    int dims = (int)e->dims;
    if (e->dims > QS_MAXDIM) {
        char *text = qs_xasprintf("%.40s, %zu axes", e->dtype, e->dims);
        qs_tensor *t = qs_tensor_unknown(e->name, text, -1, NULL, blob);
        free(text);
        return qs_model_add(m, t, err);
    }
    if (!size) return qs_model_add(m, qs_tensor_unknown(e->name, e->dtype, dims, e->shape, blob), err);
    if (qs_shape_count(dims, e->shape, size, &n, err)) return -QS_EFORMAT;
    if (n * size != e->end - e->begin)
        return qs_fail(err, QS_EFORMAT, _("%zu elements of %s are %zu bytes, data_offsets say %zu"), n, e->dtype,
                       n * size, e->end - e->begin);
    qs_tensor *t = qs_tensor_new(e->name, e->d, dims, e->shape, blob, data + e->begin, err);
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
static int read_metadata(qs_model *m, qs_json_walk *w, qs_err *err)
{
    int more;
    bool object = qs_json_peek(w) == '{';
    size_t from = w->at;
    if (!object) return qs_fail(err, QS_EFORMAT, _("__metadata__ must be an object"));
    w->at++;
    for (size_t i = 0; (more = qs_json_more(w, '}', i, err)) > 0; i++) {
        const char *key = qs_json_key(w, err);
        if (!key) return -QS_EFORMAT;
        if (qs_json_peek(w) != '"') return qs_fail(err, QS_EFORMAT, _("__metadata__ must map strings to strings"));
        const char *value = qs_json_string(w, err);
        if (!value) return -QS_EFORMAT;
        if (!strcmp(key, "quantscope.format")) qs_join_format(m, value);
    }
    json_t *o = more ? NULL : qs_json_object(_("header"), w->p + from, w->at - from, err); /* are keys there twice? */
    json_decref(o);
    return o ? 0 : -QS_EFORMAT;
}

/* The entries of a header, in its order. */
typedef struct entries { entry *e; size_t n, cap; } entries;

/* Room for one more: in huge pages, since a hundred thousand are touched once. */
static int grow(entries *x, qs_err *err)
{
    size_t cap = 2 * x->cap + 16;
    entry *e = qs_big_alloc(cap * sizeof *e);
    if (!e) return qs_fail(err, QS_ENOMEM, _("no memory for %zu tensors"), cap);
    if (x->n) memcpy(e, x->e, x->n * sizeof *e);
    qs_big_free(x->e);
    x->e = e;
    x->cap = cap;
    return 0;
}

static int read_entry(qs_model *m, entries *x, qs_json_walk *w, bool *meta, size_t size, qs_err *err)
{
    const char *name = qs_json_key(w, err);
    if (!name) return -QS_EFORMAT;
    if (!strcmp(name, "__metadata__")) {
        if (*meta) return qs_fail(err, QS_EFORMAT, _("has %s twice"), name);
        *meta = true;
        return read_metadata(m, w, err);
    }
    int rc = x->n == x->cap ? grow(x, err) : 0;
    if (rc) return rc;
    entry *e = &x->e[x->n];
    *e = (entry){.name = name, .order = x->n++};
    return read_fields(e, w, size, err) ? fail_entry(e, err) : 0;
}

static int read_entries(qs_model *m, entries *x, qs_json_walk *w, size_t size, qs_err *err)
{
    bool meta = false;
    int more;
    if (!qs_json_take(w, '{')) return qs_fail(err, QS_EFORMAT, _("%s: not a JSON object"), w->what);
    for (size_t i = 0; (more = qs_json_more(w, '}', i, err)) > 0; i++) {
        int rc = read_entry(m, x, w, &meta, size, err);
        if (rc) return rc;
    }
    return more ? more : qs_json_over(w, err);
}

/* Most headers are in the order of the bytes. */
static void sort(entries *x)
{
    size_t i = 1;
    while (i < x->n && by_offset(&x->e[i - 1], &x->e[i]) < 0) i++;
    if (i < x->n) qsort(x->e, x->n, sizeof *x->e, by_offset);
}

static int read_header(qs_model *m, qs_json_walk *w, qs_blob *blob, size_t data, qs_err *err)
{
    entries x = {0};
    int rc = read_entries(m, &x, w, blob->size - data, err);
    if (!rc) sort(&x);
    if (!rc) rc = check_cover(x.e, x.n, blob->size - data, err);
    for (size_t i = 0; i < x.n && !rc; i++)
        if (make_tensor(m, &x.e[i], blob, blob->data + data, err)) rc = fail_entry(&x.e[i], err);
    qs_big_free(x.e);
    return rc;
}

static int read_file(qs_model *m, qs_blob *blob, qs_err *err)
{
    qs_json_walk w;
    uint64_t length = little64(blob->data);
    if (length > QS_JSON_MAX)
        return qs_fail(err, QS_EFORMAT, _("a header of %llu bytes: the format allows 100 MB"), (unsigned long long)length);
    if (length > blob->size - 8)
        return qs_fail(err, QS_EFORMAT, _("a header of %llu bytes in a file of %zu: cut short?"),
                       (unsigned long long)length, blob->size);
    int rc = qs_json_begin(&w, _("header"), blob->data + 8, (size_t)length, err);
    if (!rc) rc = read_header(m, &w, blob, 8 + (size_t)length, err);
    qs_json_end(&w);
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
