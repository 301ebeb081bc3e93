/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A model through one format and one initialization into a file. Knows which tensors a quantized file holds and how they
 * are called; the bytes are model's, the numbers quant's.
 */
#include "engine/quantize.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "config.h"
#include "model/importance.h"
#include "model/reader.h"

/* ---- progress over several tensors --------------------------------------------------------------- */
static int share_poll(void *ctx, const char *what, double done)
{
    qs_share *s = ctx;
    double part = done >= 0 && done <= 1 ? done : 0;
    if (!s->given || !s->given->poll) return 0;
    return s->given->poll(s->given->ctx, what, s->all > 0 ? (s->before + part * s->now) / s->all : 0);
}

void qs_share_init(qs_share *s, const qs_ctl *given, double all)
{
    *s = (qs_share){.given = given, .all = all};
    if (given) s->ctl = (qs_ctl){.cancel_upto = given->cancel_upto, .job = given->job};
    s->ctl.poll = share_poll;
    s->ctl.ctx = s;
}

void qs_share_next(qs_share *s, double n)
{
    s->before += s->now;
    s->now = n;
}

/* ---- one tensor ------------------------------------------------------------------------------------ */
qs_quantizer *qs_quantize_fit(qs_tensor *t, const qs_quantize_opts *o, const qs_ctl *ctl, qs_qerror *e, qs_err *err)
{
    char name[80];
    bool none = false;
    qs_init_opts with = {0};
    qs_tensor *weights = o->importance ? qs_importance_of(o->importance, t, &none, err) : NULL;
    if (o->importance && !weights && !none) return NULL;
    with.weights = weights;
    qs_cache *cache = qs_cache_new(SIZE_MAX / 4);   /* of this tensor alone: the index serves twice and goes */
    qs_quantizer *q = qs_init_tensor(o->init, t, o->format, &with, cache, ctl, err);
    if (q && qs_error_tensor(q, t, cache, ctl, e, err)) {
        qs_quantizer_unref(q);
        q = NULL;
    }
    qs_cache_free(cache);
    qs_tensor_unref(weights);
    if (q && none && !q->note) q->note = qs_xasprintf(_("%s has no importance of it"), o->importance->path);
    if (!q && !strstr(err->msg, t->name)) qs_fail_prefix(err, "%s", qs_name_shown(t->name, name, sizeof name));
    return q;
}

/* ---- what a file holds ------------------------------------------------------------------------------- */
enum part { VALUES, CODES, SCALE, ZERO, OFFSET, BOOK, PARTS };
static const char *const endings[PARTS] = {"", ".codes", ".scale", ".zero_point", ".offset", ".codebook"};

struct entry {                   /* of a tensor of the model */
    bool quantized;
    size_t item[PARTS];          /* number of the item + 1; 0: it has none */
};

struct file {
    const qs_model *m;
    const qs_quantize_opts *o;
    struct entry *entry;         /* (m->n) */
    qs_item *item;               /* (n), names owned */
    size_t n;
    qs_share share;
    int (*row)(void *ctx, const qs_quantized *r, qs_err *err);
    void *ctx;
};

static void add(struct file *w, size_t i, enum part part, qs_dtype d, int ndim, const int64_t *shape)
{
    qs_item *o = &w->item[w->n];
    *o = (qs_item){.name = qs_xasprintf("%s%s", w->m->tensors[i]->name, endings[part]), .dtype = d, .ndim = ndim};
    for (int k = 0; k < ndim; k++) o->shape[k] = shape[k];
    w->entry[i].item[part] = ++w->n;
}

static qs_dtype code_type(const qs_format *f)
{
    if (f->uniform && f->c[0] < 0) return f->n <= 256 ? QS_I8 : QS_I16;
    return f->n <= 256 ? QS_U8 : QS_U16;
}

static int scale_shape(const qs_split *s, const qs_tensor *t, int64_t *shape)
{
    if (s->kind == QS_SPLIT_TENSOR) return 0;
    if (s->kind == QS_SPLIT_GROUP) {
        int rows = t->out_axis <= 0 && (!t->in_axes || t->in_axes == ((1u << t->ndim) - 2)) ? 0 : 1;
        shape[0] = 1;
        shape[rows] = (int64_t)s->out;
        shape[rows + 1] = s->out ? (int64_t)(s->parts / s->out) : 0;
        return rows + 2;
    }
    for (int k = 0; k < t->ndim; k++) shape[k] = k == s->axis ? t->shape[k] : 1;
    return t->ndim;
}

static int plan_codes(struct file *w, size_t i, qs_err *err)
{
    const qs_tensor *t = w->m->tensors[i];
    const qs_format *f = w->o->format;
    const int64_t levels = (int64_t)f->n;
    int64_t shape[QS_MAXDIM];
    qs_split s;
    int rc = qs_format_split(f, t, &s, err);
    if (rc) return rc;
    int ndim = scale_shape(&s, t, shape);
    add(w, i, CODES, code_type(f), t->ndim, t->shape);
    add(w, i, SCALE, QS_F32, ndim, shape);
    if (f->offset == QS_OFFSET_ZP) add(w, i, ZERO, QS_I32, ndim, shape);
    if (f->offset == QS_OFFSET_REAL) add(w, i, OFFSET, QS_F32, ndim, shape);
    if (!f->uniform) add(w, i, BOOK, QS_F32, 1, &levels);
    return 0;
}

static int by_address(const void *a, const void *b)
{
    const qs_tensor *x = *(qs_tensor *const *)a, *y = *(qs_tensor *const *)b;
    return (x > y) - (x < y);
}

static void mark_quantized(struct file *w)
{
    size_t n = w->o->n;
    qs_tensor **sorted = qs_xmalloc(n * sizeof *sorted);
    if (n) memcpy(sorted, w->o->tensor, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, by_address);
    for (size_t i = 0; i < w->m->n; i++)
        w->entry[i].quantized = bsearch(&w->m->tensors[i], sorted, n, sizeof *sorted, by_address);
    free(sorted);
}

static int plan(struct file *w, qs_err *err)
{
    int rc = 0;
    w->entry = qs_xcalloc(w->m->n, sizeof *w->entry);
    w->item = qs_xcalloc(w->m->n * PARTS, sizeof *w->item);
    mark_quantized(w);
    for (size_t i = 0; i < w->m->n && !rc; i++) {
        const qs_tensor *t = w->m->tensors[i];
        if (w->entry[i].quantized && w->o->codes) rc = plan_codes(w, i, err);
        else if (w->entry[i].quantized) add(w, i, VALUES, QS_F32, t->ndim, t->shape);
        else if (qs_dtype_size(t->dtype)) add(w, i, VALUES, qs_tensor_saved(t), t->ndim, t->shape);
    }
    return rc;
}

/* ---- writing ------------------------------------------------------------------------------------------- */
static int put(struct file *w, qs_stream *s, size_t i, enum part part, const void *values, qs_err *err)
{
    return qs_stream_put(s, w->entry[i].item[part] - 1, values, err);
}

static int put_values(struct file *w, qs_stream *s, size_t i, const qs_quantizer *q, qs_err *err)
{
    const qs_tensor *t = w->m->tensors[i];
    float *y = qs_big_alloc((t->n + 1) * sizeof *y);
    if (!y) return qs_fail(err, QS_ENOMEM, _("no memory for %zu quantized values"), t->n);
    int rc = qs_quantizer_apply(q, t, y, &w->share.ctl, err);
    if (!rc) rc = put(w, s, i, VALUES, y, err);
    qs_big_free(y);
    return rc;
}

/* Narrows codes in place. */
static void narrow(int32_t *code, size_t n, size_t size)
{
    if (size == 1) for (size_t i = 0; i < n; i++) ((uint8_t *)code)[i] = (uint8_t)code[i];
    else for (size_t i = 0; i < n; i++) memcpy((char *)code + 2 * i, &(uint16_t){(uint16_t)code[i]}, 2);
}

static int put_codes(struct file *w, qs_stream *s, size_t i, const qs_quantizer *q, qs_err *err)
{
    const qs_tensor *t = w->m->tensors[i];
    int32_t *code = qs_big_alloc((t->n + 1) * sizeof *code);
    if (!code) return qs_fail(err, QS_ENOMEM, _("no memory for %zu codes"), t->n);
    int rc = qs_quantizer_encode(q, t, code, &w->share.ctl, err);
    if (!rc) {
        narrow(code, t->n, qs_dtype_size(w->item[w->entry[i].item[CODES] - 1].dtype));
        rc = put(w, s, i, CODES, code, err);
    }
    qs_big_free(code);
    return rc;
}

/* One number a part, as a float or a whole number. */
static int put_parts(struct file *w, qs_stream *s, size_t i, enum part part, const qs_quantizer *q, qs_err *err)
{
    if (!w->entry[i].item[part]) return 0;
    union { float f; int32_t z; } *v = qs_xmalloc(q->parts * sizeof *v);
    for (size_t p = 0; p < q->parts; p++) {
        if (part == SCALE) v[p].f = (float)q->step[p];
        else if (part == OFFSET) v[p].f = (float)q->offset[p];
        else v[p].z = (int32_t)rint(-q->offset[p] / q->step[p]);
    }
    int rc = put(w, s, i, part, v, err);
    free(v);
    return rc;
}

static int put_quantized(struct file *w, qs_stream *s, size_t i, const qs_quantizer *q, qs_err *err)
{
    if (!w->o->codes) return put_values(w, s, i, q, err);
    if (q->f->n != w->o->format->n || memcmp(q->f->c, w->o->format->c, q->f->n * sizeof(float)))
        return qs_fail(err, QS_EUNSUP, _("%s gives every tensor levels of its own: they are not written as codes"), w->o->init);
    int rc = put_codes(w, s, i, q, err);
    for (enum part p = SCALE; p <= OFFSET && !rc; p++) rc = put_parts(w, s, i, p, q, err);
    if (!rc && w->entry[i].item[BOOK]) rc = put(w, s, i, BOOK, q->f->c, err);
    return rc;
}

static int one(struct file *w, qs_stream *s, size_t i, qs_err *err)
{
    qs_tensor *t = w->m->tensors[i];
    qs_quantized r = {.t = t};
    qs_quantizer *q = NULL;
    int rc = 0;
    if (w->entry[i].quantized) {
        q = qs_quantize_fit(t, w->o, &w->share.ctl, &r.e, err);
        rc = q ? put_quantized(w, s, i, q, err) : -err->code;
        r.bpw = q ? qs_format_bpw(q->f, t) : 0;
    } else if (w->entry[i].item[VALUES]) {
        rc = qs_stream_copy(s, w->entry[i].item[VALUES] - 1, t, err);
    } else {
        r.left_out = N_("a type that is not known here");
    }
    r.q = q;
    if (!rc) rc = w->row(w->ctx, &r, err);
    qs_qerror_clear(&r.e);
    qs_quantizer_unref(q);
    return rc;
}

static int fill(qs_stream *s, void *ctx, qs_err *err)
{
    struct file *w = ctx;
    int rc = 0;
    for (size_t i = 0; i < w->m->n && !rc; i++) {
        qs_share_next(&w->share, (double)w->m->tensors[i]->n);
        rc = qs_ctl_check(&w->share.ctl, _("quantizing"), 0, err);
        if (!rc) rc = one(w, s, i, err);
    }
    return rc;
}

int qs_quantize_file(const qs_model *m, const char *path, const qs_quantize_opts *o, const qs_ctl *ctl,
                     int (*row)(void *ctx, const qs_quantized *r, qs_err *err), void *ctx, qs_err *err)
{
    qs_err own = {0};
    struct file w = {.m = m, .o = o, .row = row, .ctx = ctx};
    double all = 0;
    for (size_t i = 0; i < m->n; i++) all += (double)m->tensors[i]->n;
    qs_share_init(&w.share, ctl, all);
    char *format = qs_format_print(o->format);
    const char *const meta[] = {"format", "pt", "quantscope.version", PACKAGE_VERSION, "quantscope.model", m->path,
                                "quantscope.format", format, "quantscope.init", o->init,
                                "quantscope.codes", o->codes ? "true" : "false", NULL};
    int rc = plan(&w, &own);
    if (!rc) rc = qs_model_stream(path, w.item, w.n, meta, fill, &w, &own);
    for (size_t i = 0; i < w.n; i++) free((char *)(uintptr_t)w.item[i].name);
    free(w.item);
    free(w.entry);
    free(format);
    return rc ? qs_fail(err, own.code, "%s", own.msg) : 0;
}
