/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A run in a file, to go on with bit for bit: a .safetensors file whose tensors are the parameters of the net under
 * their own names (so that it also loads as a model), the state of optimizer, sites and history under "run.", and as
 * bytes of JSON ("run.json") the options and the position.
 *
 * One walk over the state serves both directions: saving and loading cannot disagree on what there is.
 */
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "train/run_work.h"

#define VERSION 4

/* ---- options, by table ---------------------------------------------------------------- */
typedef enum kind { TEXT, REAL, SIZE, WIDE, INT, BOOL } kind;
typedef struct field {
    const char *name;
    kind kind;
    size_t at;
    int most;                 /* INT: of 0 .. most */
} field;

#define F(type, name, kind, most) {#name, kind, offsetof(type, name), most}
static const field run_fields[] = {
    F(qs_run_opts, epochs, REAL, 0), F(qs_run_opts, steps, WIDE, 0), F(qs_run_opts, batch, SIZE, 0),
    F(qs_run_opts, lr, REAL, 0), F(qs_run_opts, momentum, REAL, 0), F(qs_run_opts, beta2, REAL, 0),
    F(qs_run_opts, eps, REAL, 0), F(qs_run_opts, weight_decay, REAL, 0), F(qs_run_opts, nesterov, BOOL, 0),
    F(qs_run_opts, optimizer, INT, QS_ADAM), F(qs_run_opts, schedule, INT, QS_CONSTANT), F(qs_run_opts, gamma, REAL, 0),
    F(qs_run_opts, every, WIDE, 0), F(qs_run_opts, clip, REAL, 0), F(qs_run_opts, bound, REAL, 0),
    F(qs_run_opts, seed, WIDE, 0), F(qs_run_opts, record, WIDE, 0), F(qs_run_opts, evaluate, WIDE, 0),
    F(qs_run_opts, patience, WIDE, 0), F(qs_run_opts, val_limit, SIZE, 0), F(qs_run_opts, aug_pad, INT, 4096),
    F(qs_run_opts, aug_flip, BOOL, 0), {NULL, 0, 0, 0},
};
static const field quant_fields[] = {
    F(qs_quant_opts, on, BOOL, 0), F(qs_quant_opts, input, TEXT, 0), F(qs_quant_opts, calib, SIZE, 0),
    F(qs_quant_opts, adapt.images, SIZE, 0), F(qs_quant_opts, adapt.cost, REAL, 0), F(qs_quant_opts, adapt.labels, BOOL, 0),
    F(qs_quant_opts, adapt.norms, INT, QS_ADAPT_OFF),
    F(qs_quant_opts, adapt.factors, INT, QS_ADAPT_RANDOM),
    F(qs_quant_opts, follow.weights, BOOL, 0), F(qs_quant_opts, follow.acts, BOOL, 0),
    F(qs_quant_opts, follow.every, WIDE, 0), F(qs_quant_opts, follow.upto, REAL, 0), {NULL, 0, 0, 0},
};
static const field site_fields[] = {
    F(qs_site_opts, format, TEXT, 0), F(qs_site_opts, init, TEXT, 0), F(qs_site_opts, learn, TEXT, 0),
    F(qs_site_opts, mask, INT, QS_MASK_NONE), F(qs_site_opts, gscale, INT, QS_GSCALE_NONE),
    F(qs_site_opts, attached, BOOL, 0), F(qs_site_opts, step_rate, REAL, 0), F(qs_site_opts, step_decay, REAL, 0),
    F(qs_site_opts, allocate, INT, QS_ALLOCATE_YES), F(qs_site_opts, correct, INT, QS_CORRECT_BOTH),
    {NULL, 0, 0, 0},
};
static const field override_fields[] = {
    F(struct qs_override, layer, TEXT, 0), F(struct qs_override, has_w, BOOL, 0), F(struct qs_override, has_a, BOOL, 0),
    {NULL, 0, 0, 0},
};
/* How its start was chosen. */
static const field adapted_fields[] = {
    F(qs_adapted, p_weights, REAL, 0), F(qs_adapted, p_acts, REAL, 0), F(qs_adapted, first, REAL, 0),
    F(qs_adapted, last, REAL, 0), F(qs_adapted, images, WIDE, 0), {NULL, 0, 0, 0},
};
static const field attempt_fields[] = {
    F(qs_attempt, p, REAL, 0), F(qs_attempt, factor, REAL, 0), F(qs_attempt, loss, REAL, 0), F(qs_attempt, before, REAL, 0),
    F(qs_attempt, check, REAL, 0),
    F(qs_attempt, taken, BOOL, 0), {NULL, 0, 0, 0},
};
/* Where a run stands. */
static const field state_fields[] = {
    F(qs_run, t, WIDE, 0), F(qs_run, lr, REAL, 0), F(qs_run, loss, REAL, 0), F(qs_run, state, INT, QS_RUN_DIVERGED),
    F(qs_run, seconds, REAL, 0), F(qs_run, init_seconds, REAL, 0), {NULL, 0, 0, 0},
};
static const field work_fields[] = {
    F(struct qs_run_work, best, REAL, 0), F(struct qs_run_work, stale, WIDE, 0), F(struct qs_run_work, due, BOOL, 0),
    {NULL, 0, 0, 0},
};
static const field score_fields[] = {
    F(qs_score, accuracy, REAL, 0), F(qs_score, loss, REAL, 0), F(qs_score, accuracy_raw, REAL, 0), F(qs_score, n, SIZE, 0),
    {NULL, 0, 0, 0},
};
static const field eval_fields[] = {
    F(qs_eval, t, WIDE, 0), F(qs_eval, accuracy, REAL, 0), F(qs_eval, loss, REAL, 0), F(qs_eval, accuracy_raw, REAL, 0),
    F(qs_eval, part, INT, QS_PART_TEST), F(qs_eval, n, SIZE, 0), {NULL, 0, 0, 0},
};
static const field data_fields[] = {
    F(qs_dataset, h, INT, 4096), F(qs_dataset, w, INT, 4096), F(qs_dataset, c, INT, 4096),
    F(qs_dataset, classes, INT, 1 << 30), F(qs_dataset, hash, WIDE, 0), {NULL, 0, 0, 0},
};

/* JSON has no NaN and no infinity: null, and words. */
static json_t *put_real(double x)
{
    if (isnan(x)) return json_null();
    return isinf(x) ? json_string(x > 0 ? "inf" : "-inf") : json_real(x);
}

static json_t *put_value(const field *f, const void *p)
{
    switch (f->kind) {
    case TEXT: return *(const char *const *)p ? json_string(*(const char *const *)p) : json_null();
    case REAL: return put_real(*(const double *)p);
    case SIZE: return json_integer((json_int_t)*(const size_t *)p);
    case WIDE: return json_integer((json_int_t)*(const uint64_t *)p);
    case INT: return json_integer(*(const int *)p);
    case BOOL: break;
    }
    return json_boolean(*(const bool *)p);
}

static json_t *put_fields(const field *f, const void *base)
{
    json_t *o = json_object();
    for (; f->name; f++) json_object_set_new(o, f->name, put_value(f, (const char *)base + f->at));
    return o;
}

static bool get_real(const json_t *v, double *x)
{
    const char *s = json_string_value(v);
    if (json_is_null(v)) *x = NAN;
    else if (json_is_number(v)) *x = json_number_value(v);
    else if (s && (!strcmp(s, "inf") || !strcmp(s, "-inf"))) *x = *s == '-' ? -INFINITY : INFINITY;
    else return false;
    return true;
}

/* Texts are borrowed from the JSON. */
static bool get_value(const field *f, const json_t *v, void *p)
{
    json_int_t i = json_integer_value(v);
    switch (f->kind) {
    case TEXT:
        *(const char **)p = json_string_value(v);
        return json_is_string(v) || json_is_null(v);
    case REAL: return get_real(v, p);
    case SIZE:
        *(size_t *)p = (size_t)i;
        return json_is_integer(v) && i >= 0;
    case WIDE:
        *(uint64_t *)p = (uint64_t)i;
        return json_is_integer(v);
    case INT:
        *(int *)p = (int)i;
        return json_is_integer(v) && i >= 0 && i <= f->most;
    case BOOL: break;
    }
    *(bool *)p = json_is_true(v);
    return json_is_boolean(v);
}

static int get_fields(const field *f, const json_t *o, void *base, const char *what, qs_err *err)
{
    if (!json_is_object(o)) return qs_fail(err, QS_EFORMAT, _("run.json: %s is missing"), what);
    for (; f->name; f++)
        if (!get_value(f, json_object_get(o, f->name), (char *)base + f->at))
            return qs_fail(err, QS_EFORMAT, _("run.json: %s.%s is missing or not what it should be"), what, f->name);
    return 0;
}

/* ---- options as JSON -------------------------------------------------------------------------- */
static const struct { const char *name; size_t at; } ends[] = {
    {"weights", offsetof(qs_quant_opts, weights)}, {"acts", offsetof(qs_quant_opts, acts)},
    {"first_w", offsetof(qs_quant_opts, first_w)}, {"first_a", offsetof(qs_quant_opts, first_a)},
    {"last_w", offsetof(qs_quant_opts, last_w)},   {"last_a", offsetof(qs_quant_opts, last_a)},
};
#define ENDS (sizeof ends / sizeof *ends)

static json_t *put_options(const qs_run_opts *o)
{
    const qs_quant_opts *q = &o->quant;
    json_t *out = put_fields(run_fields, o), *quant = put_fields(quant_fields, q), *list = json_array();
    for (size_t i = 0; i < ENDS; i++)
        json_object_set_new(quant, ends[i].name, put_fields(site_fields, (const char *)q + ends[i].at));
    for (size_t i = 0; i < q->noverride; i++) {
        json_t *v = put_fields(override_fields, &q->override[i]);
        json_object_set_new(v, "w", put_fields(site_fields, &q->override[i].w));
        json_object_set_new(v, "a", put_fields(site_fields, &q->override[i].a));
        json_array_append_new(list, v);
    }
    json_object_set_new(quant, "override", list);
    json_object_set_new(out, "quant", quant);
    return out;
}

/* o->quant.override is the caller's to free. */
static int get_options(const json_t *in, qs_run_opts *o, qs_err *err)
{
    qs_quant_opts *q = &o->quant;
    const json_t *quant = json_object_get(in, "quant"), *list = json_object_get(quant, "override");
    int rc = get_fields(run_fields, in, o, "options", err);
    if (!rc) rc = get_fields(quant_fields, quant, q, "options.quant", err);
    for (size_t i = 0; i < ENDS && !rc; i++)
        rc = get_fields(site_fields, json_object_get(quant, ends[i].name), (char *)q + ends[i].at, ends[i].name, err);
    q->override = qs_xcalloc(json_array_size(list), sizeof *q->override);
    for (size_t i = 0; i < json_array_size(list) && !rc; i++) {
        struct qs_override *v = &q->override[q->noverride++];
        const json_t *row = json_array_get(list, i);
        rc = get_fields(override_fields, row, v, "override", err);
        if (!rc) rc = get_fields(site_fields, json_object_get(row, "w"), &v->w, "override.w", err);
        if (!rc) rc = get_fields(site_fields, json_object_get(row, "a"), &v->a, "override.a", err);
        if (!rc && !v->layer) rc = qs_fail(err, QS_EFORMAT, _("run.json: an override names no layer"));
    }
    return rc;
}

/* ---- the walk over the state --------------------------------------------------------------------- */
/* Saving: tensors are collected. Loading: their bytes are put in place. */
struct walk {
    const qs_model *from;     /* NULL: saving */
    qs_tensor **t;
    size_t n, cap;
    qs_err *err;
    int rc;
};

static void put_tensor(struct walk *k, qs_tensor *t)
{
    if (k->n == k->cap) k->t = qs_xrealloc(k->t, (k->cap = k->cap * 2 + 64) * sizeof *k->t);
    k->t[k->n++] = t;
}

static void save_field(struct walk *k, const char *name, qs_dtype d, const void *p, int ndim, const int64_t *shape, size_t n)
{
    size_t bytes = n * qs_dtype_size(d);
    qs_blob *b = qs_blob_new(bytes, k->err);
    if (!b) {
        k->rc = k->err ? -k->err->code : -QS_ENOMEM;
        return;
    }
    if (bytes) memcpy(qs_blob_mem(b), p, bytes);
    qs_tensor *t = qs_tensor_new(name, d, ndim, shape, b, b->data, k->err);
    qs_blob_unref(b);
    if (t) put_tensor(k, t);
    else k->rc = k->err ? -k->err->code : -QS_EARG;
}

/* As this machine has them: files are little-endian. */
static void native(const qs_tensor *t, unsigned char *out)
{
    const size_t size = qs_dtype_size(t->dtype);
    if (t->n) memcpy(out, t->data, t->n * size);
    for (size_t i = 0; i < t->n && t->swapped; i++)
        for (size_t a = i * size, b = a + size - 1; a < b; a++, b--) {
            unsigned char c = out[a];
            out[a] = out[b];
            out[b] = c;
        }
}

static void load_field(struct walk *k, const char *name, qs_dtype d, void *p, size_t n)
{
    const qs_tensor *t = qs_model_find(k->from, name);
    if (!t || t->dtype != d || t->n != n) {
        k->rc = qs_fail(k->err, QS_EFORMAT, _("tensor %s is %s; this run needs %zu values of type %s"), name,
                        t ? _("another") : _("missing"), n, qs_dtype_name(d));
        return;
    }
    native(t, p);
}

static void values(struct walk *k, const char *name, qs_dtype d, void *p, int64_t n)
{
    if (k->rc) return;
    if (k->from) load_field(k, name, d, p, (size_t)n);
    else save_field(k, name, d, p, 1, &n, (size_t)n);
}

/* "run.WHAT.OF" */
static void named(struct walk *k, const char *what, const char *of, qs_dtype d, void *p, size_t n)
{
    char *name = qs_xasprintf("run.%s.%s", what, of);
    values(k, name, d, p, (int64_t)n);
    free(name);
}

static void walk_optimizer(struct walk *k, qs_run *r)
{
    qs_optim *q = &r->work->optim;
    for (int i = 0; i < q->nparam; i++) {
        const qs_param *p = &r->net->param[i];
        if (q->m[i]) named(k, "momentum", p->name, QS_F32, q->m[i], p->n);
        if (q->v[i]) named(k, "second", p->name, QS_F32, q->v[i], p->n);
    }
    for (size_t i = 0; i < q->nsite; i++) {
        const qs_site *s = &r->site[i];
        named(k, "step_momentum", s->name, QS_F64, q->sm[i], 2 * s->parts);
        if (q->sv[i]) named(k, "step_second", s->name, QS_F64, q->sv[i], 2 * s->parts);
    }
}

static void walk_bits(struct walk *k, qs_site *s)
{
    uint8_t *bits = qs_xmalloc(s->parts);
    memcpy(bits, s->bits, s->parts);
    named(k, "bits", s->name, QS_U8, bits, s->parts);
    for (size_t p = 0; p < s->parts && !k->rc; p++)
        if (bits[p] > 8) k->rc = qs_fail(k->err, QS_EFORMAT, _("run.bits.%s: a channel has 0 to 8 bits, not %d"), s->name, bits[p]);
    if (k->from && !k->rc) qs_site_allot(s, bits);
    free(bits);
}

/* Parameters come through qs_site_set, which makes the grids. */
static void walk_site(struct walk *k, qs_run *r, size_t i)
{
    qs_site *s = &r->site[i];
    qs_wobble *w = &r->work->wobble[i];
    double norms[] = {s->gnorm, s->vnorm}, *step = qs_xcalloc(2 * s->parts, sizeof *step), *offset = step + s->parts;
    uint8_t seen = w->seen;
    if (s->bits) walk_bits(k, s);
    memcpy(step, s->step, s->parts * sizeof *step);
    if (s->offset) memcpy(offset, s->offset, s->parts * sizeof *offset);
    named(k, "step", s->name, QS_F64, step, s->parts);
    if (s->offset) named(k, "offset", s->name, QS_F64, offset, s->parts);
    if (k->from && !k->rc) qs_site_set(s, step, s->offset ? offset : NULL);
    free(step);
    named(k, "dstep", s->name, QS_F64, s->dstep, s->parts);
    named(k, "raw", s->name, QS_F64, s->raw, s->parts);
    if (s->doffset) named(k, "doffset", s->name, QS_F64, s->doffset, s->parts);
    named(k, "norms", s->name, QS_F64, norms, 2);
    s->gnorm = norms[0];
    s->vnorm = norms[1];
    if (!w->n) return;
    named(k, "code", s->name, QS_I32, w->code, w->n);
    named(k, "direction", s->name, QS_I8, w->dir, w->n);
    named(k, "frequency", s->name, QS_F32, w->f, w->n);
    named(k, "followed", s->name, QS_U8, &seen, 1);
    w->seen = seen;
}

/* A record in columns: what is a number, and the counts of its histogram and its levels. */
#define NUMBERS 13
#define COUNTS (3 + QS_SITE_BINS + QS_SITE_LEVELS)

static void pack(qs_record *rec, double *x, uint32_t *c, bool back)
{
    qs_site_look *l = &rec->look;
    double lo = l->lo, hi = l->hi;
    double *const num[NUMBERS] = {&rec->step, &rec->offset, &rec->dstep, &rec->doffset, &rec->raw, &rec->ratio,
                                  &rec->oscillating, &l->clipped, &l->entropy, &l->mse, &l->used, &lo, &hi};
    for (size_t i = 0; i < NUMBERS; i++) {
        if (back) *num[i] = x[i];
        else x[i] = *num[i];
    }
    l->lo = (float)lo;
    l->hi = (float)hi;
    uint32_t *const count[] = {&l->under, &l->over, &l->levels};
    for (size_t i = 0; i < COUNTS; i++) {
        uint32_t *p = i < 3 ? count[i] : i < 3 + QS_SITE_BINS ? &l->bin[i - 3] : &l->level[i - 3 - QS_SITE_BINS];
        if (back) *p = c[i];
        else c[i] = *p;
    }
}

static void walk_records(struct walk *k, qs_history *h)
{
    size_t rows = h->nrec * h->nsite;
    double *x = qs_xcalloc(rows, NUMBERS * sizeof *x);
    uint32_t *c = qs_xcalloc(rows, COUNTS * sizeof *c);
    for (size_t i = 0; i < rows && !k->from; i++) pack(&h->rec[i], x + i * NUMBERS, c + i * COUNTS, false);
    values(k, "run.record.numbers", QS_F64, x, (int64_t)(rows * NUMBERS));
    values(k, "run.record.histogram", QS_U32, c, (int64_t)(rows * COUNTS));
    for (size_t i = 0; i < rows && k->from && !k->rc; i++) pack(&h->rec[i], x + i * NUMBERS, c + i * COUNTS, true);
    free(x);
    free(c);
}

static int walk_state(struct walk *k, qs_run *r)
{
    qs_history *h = &r->h;
    walk_optimizer(k, r);
    for (size_t i = 0; i < r->nsite && !k->rc; i++) walk_site(k, r, i);
    values(k, "run.loss", QS_F32, h->loss, (int64_t)h->nloss);
    values(k, "run.lr", QS_F32, h->lr, (int64_t)h->nloss);
    values(k, "run.record.step", QS_U64, h->rec_t, (int64_t)h->nrec);
    values(k, "run.record.loss", QS_F64, h->rec_loss, (int64_t)h->nrec);
    walk_records(k, h);
    return k->rc;
}

/* ---- the JSON ----------------------------------------------------------------------------------------- */
static json_t *put_sites(const qs_run *r)
{
    json_t *list = json_array();
    for (size_t i = 0; i < r->nsite; i++) {
        const qs_site *s = &r->site[i];
        char *format = qs_format_print(s->f);
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s}", "name", s->name, "format", format, "formula", s->formula,
                                              "note", s->note));
        free(format);
    }
    return list;
}

static json_t *put_evals(const qs_history *h)
{
    json_t *list = json_array();
    for (size_t i = 0; i < h->neval; i++) json_array_append_new(list, put_fields(eval_fields, &h->eval[i]));
    return list;
}

static json_t *put_data(const qs_dataset *d)
{
    json_t *o = put_fields(data_fields, d), *n = json_array();
    for (int i = 0; i < 3; i++) json_array_append_new(n, json_integer((json_int_t)d->n[i]));
    json_object_set_new(o, "n", n);
    json_object_set_new(o, "name", json_string(d->name));
    return o;
}

static const struct { const char *name; size_t at; } scores[] = {
    {"before", offsetof(qs_run, before)}, {"floating", offsetof(qs_run, floating)}, {"last", offsetof(qs_run, last)},
};
#define SCORES (sizeof scores / sizeof *scores)

static json_t *put_adapted(const qs_run *r)
{
    const qs_adapted *d = &r->adapted;
    json_t *o = put_fields(adapted_fields, d), *list = json_array(), *factor = json_array(), *ratio = json_array();
    for (size_t i = 0; i < d->nattempt; i++) {
        json_t *row = put_fields(attempt_fields, &d->attempt[i]);
        json_object_set_new(row, "site", json_integer(d->attempt[i].site));
        json_array_append_new(list, row);
    }
    for (size_t i = 0; i < r->nsite; i++) {
        json_array_append_new(factor, json_real(d->factor[i]));
        json_array_append_new(ratio, json_real(d->ratio[i]));
    }
    json_object_set_new(o, "attempts", list);
    json_object_set_new(o, "factors", factor);
    json_object_set_new(o, "ratios", ratio);
    return o;
}

static json_t *put_run(const qs_run *r)
{
    char *net = qs_net_text(r->net);
    json_t *o = json_object();
    json_object_set_new(o, "version", json_integer(VERSION));
    json_object_set_new(o, "net", json_string(net));
    json_object_set_new(o, "data", put_data(r->data));
    json_object_set_new(o, "options", put_options(&r->o));
    json_object_set_new(o, "state", put_fields(state_fields, r));
    if (r->adapted.factor) json_object_set_new(o, "adapted", put_adapted(r));
    json_object_set_new(o, "work", put_fields(work_fields, r->work));
    json_object_set_new(o, "reason", json_string(r->reason));
    for (size_t i = 0; i < SCORES; i++)
        json_object_set_new(o, scores[i].name, put_fields(score_fields, (const char *)r + scores[i].at));
    json_object_set_new(o, "updates", json_integer((json_int_t)r->work->optim.t));
    json_object_set_new(o, "losses", json_integer((json_int_t)r->h.nloss));
    json_object_set_new(o, "records", json_integer((json_int_t)r->h.nrec));
    json_object_set_new(o, "evaluations", put_evals(&r->h));
    json_object_set_new(o, "sites", put_sites(r));
    free(net);
    return o;
}

/* ---- saving ------------------------------------------------------------------------------------------------ */
static void save_net(struct walk *k, const qs_net *net)
{
    for (int i = 0; i < net->nparam && !k->rc; i++) {
        qs_tensor *t = qs_net_tensor(net, net->param[i].name, k->err);
        if (t) put_tensor(k, t);
        else k->rc = k->err ? -k->err->code : -QS_ENOMEM;
    }
}

int qs_run_save(const qs_run *r, const char *path, qs_err *err)
{
    struct walk k = {.err = err};
    json_t *o = put_run(r);
    char *text = json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(17));
    json_decref(o);
    if (!text) return qs_fail(err, QS_EFORMAT, _("%s: a name in this run is not UTF-8"), path);
    save_net(&k, r->net);
    values(&k, "run.json", QS_U8, text, (int64_t)strlen(text));
    /* The walk writes where it loads; saving, it writes back what it read. */
    if (!k.rc) walk_state(&k, (qs_run *)(uintptr_t)r);
    if (!k.rc) k.rc = qs_model_save(path, k.t, k.n, err);
    for (size_t i = 0; i < k.n; i++) qs_tensor_unref(k.t[i]);
    free(k.t);
    free(text);
    return k.rc;
}

/* ---- loading --------------------------------------------------------------------------------------------------- */
static json_t *read_json(const qs_model *m, qs_err *err)
{
    json_error_t why;
    const qs_tensor *t = qs_model_find(m, "run.json");
    if (!t || t->dtype != QS_U8) {
        qs_fail(err, QS_EFORMAT, _("no checkpoint of a run: no tensor run.json"));
        return NULL;
    }
    json_t *o = json_loadb((const char *)t->data, t->n, 0, &why);
    if (!o) qs_fail(err, QS_EFORMAT, _("run.json: %s (line %d)"), why.text, why.line);
    else if (json_integer_value(json_object_get(o, "version")) != VERSION) {
        qs_fail(err, QS_EFORMAT, _("run.json: version %lld; this program knows %d"),
                (long long)json_integer_value(json_object_get(o, "version")), VERSION);
        json_decref(o);
        o = NULL;
    }
    return o;
}

/* The first line where two descriptions differ, cut. */
static int other_net(const char *saved, const char *here, qs_err *err)
{
    while (*saved && *here) {
        size_t a = strcspn(saved, "\n"), b = strcspn(here, "\n");
        if (a != b || strncmp(saved, here, a)) break;
        saved += a + (saved[a] == '\n');
        here += b + (here[b] == '\n');
    }
    return qs_fail(err, QS_EFORMAT, _("the run is of another net: it has \"%.*s\" where this one has \"%.*s\""),
                   (int)fmin(100, (double)strcspn(saved, "\n")), saved, (int)fmin(100, (double)strcspn(here, "\n")), here);
}

static int check_net(const json_t *o, const qs_net *net, qs_err *err)
{
    const char *saved = json_string_value(json_object_get(o, "net"));
    if (!saved) return qs_fail(err, QS_EFORMAT, _("run.json: %s is missing"), "net");
    char *here = qs_net_text(net);
    int rc = strcmp(saved, here) ? other_net(saved, here, err) : 0;
    free(here);
    return rc;
}

static int check_data(const json_t *o, const qs_dataset *d, qs_err *err)
{
    static const char *const part[] = {N_("training"), N_("validation"), N_("test")};
    qs_dataset was = {0};
    const char *name = json_string_value(json_object_get(o, "name"));
    int rc = get_fields(data_fields, o, &was, "data", err);
    if (rc) return rc;
    if (!name) name = "?";
    if (was.h != d->h || was.w != d->w || was.c != d->c || was.classes != d->classes)
        return qs_fail(err, QS_ESTATE, _("the run was on %.60s: %dx%dx%d, %d classes; %s has %dx%dx%d, %d classes"), name,
                       was.h, was.w, was.c, was.classes, d->name, d->h, d->w, d->c, d->classes);
    for (int i = 0; i < 3; i++) {
        long long n = json_integer_value(json_array_get(json_object_get(o, "n"), (size_t)i));
        if (n != (long long)d->n[i])
            return qs_fail(err, QS_ESTATE, _("the run had %lld %s images of %.60s; here are %zu"), n, _(part[i]), name, d->n[i]);
    }
    if (was.hash == d->hash) return 0;
    return qs_fail(err, QS_ESTATE, _("the images of %s are others than those of the run (%.60s)"), d->name, name);
}

static int get_sites(const json_t *list, qs_run *r, qs_err *err)
{
    if (json_array_size(list) != r->nsite)
        return qs_fail(err, QS_EFORMAT, _("run.json: %zu quantizers; these options make %zu"), json_array_size(list), r->nsite);
    for (size_t i = 0; i < r->nsite; i++) {
        const char *name, *format, *formula, *note;
        if (json_unpack(json_array_get(list, i), "{s:s, s:s, s:s, s:s}", "name", &name, "format", &format, "formula", &formula,
                        "note", &note) || strcmp(name, r->site[i].name))
            return qs_fail(err, QS_EFORMAT, _("run.json: quantizer %zu is not %s"), i + 1, r->site[i].name);
        char *have = qs_format_print(r->site[i].f);
        int rc = strcmp(have, format) ? qs_run_resite(r, i, format, err) : 0;
        free(have);
        if (rc) return rc;
        snprintf(r->site[i].formula, sizeof r->site[i].formula, "%s", formula);
        snprintf(r->site[i].note, sizeof r->site[i].note, "%s", note);
    }
    return 0;
}

static int get_adapted(const json_t *o, qs_run *r, qs_err *err)
{
    const json_t *list = json_object_get(o, "attempts");
    const json_t *factor = json_object_get(o, "factors"), *ratio = json_object_get(o, "ratios");
    qs_adapted *d = &r->adapted;
    if (!o) return 0;
    int rc = get_fields(adapted_fields, o, d, "adapted", err);
    if (!rc && (json_array_size(factor) != r->nsite || json_array_size(ratio) != r->nsite))
        rc = qs_fail(err, QS_EFORMAT, _("run.json: %s is missing"), "adapted.factors or ratios");
    if (rc) return rc;
    d->cap = json_array_size(list);
    d->attempt = qs_xcalloc(d->cap, sizeof *d->attempt);
    d->factor = qs_xcalloc(r->nsite, sizeof *d->factor);
    d->ratio = qs_xcalloc(r->nsite, sizeof *d->ratio);
    for (size_t i = 0; i < r->nsite; i++) {
        d->factor[i] = json_number_value(json_array_get(factor, i));
        d->ratio[i] = json_number_value(json_array_get(ratio, i));
    }
    for (; d->nattempt < d->cap && !rc; d->nattempt++) {
        const json_t *row = json_array_get(list, d->nattempt);
        qs_attempt *t = &d->attempt[d->nattempt];
        long long site = json_integer_value(json_object_get(row, "site"));
        rc = get_fields(attempt_fields, row, t, "adapted.attempts", err);
        if (!rc && (site < QS_ATTEMPT_ACTS || site >= (long long)r->nsite))
            rc = qs_fail(err, QS_EFORMAT, _("run.json: an attempt at quantizer %lld of %zu"), site, r->nsite);
        t->site = (int)site;
    }
    return rc;
}

/* The sample of weights that is followed depends on nothing but the net, so wobbles are as qs_run_make left them. */
static int get_position(const json_t *o, qs_run *r, qs_err *err)
{
    const json_t *evals = json_object_get(o, "evaluations");
    qs_history *h = &r->h;
    json_int_t losses = json_integer_value(json_object_get(o, "losses")), recs = json_integer_value(json_object_get(o, "records"));
    int rc = get_fields(state_fields, json_object_get(o, "state"), r, "state", err);
    if (!rc) rc = get_fields(work_fields, json_object_get(o, "work"), r->work, "work", err);
    for (size_t i = 0; i < SCORES && !rc; i++)
        rc = get_fields(score_fields, json_object_get(o, scores[i].name), (char *)r + scores[i].at, scores[i].name, err);
    for (size_t i = 0; i < json_array_size(evals) && !rc; i++) {
        qs_eval e;
        rc = get_fields(eval_fields, json_array_get(evals, i), &e, "evaluations", err);
        if (!rc) qs_history_eval(h, &e);
    }
    if (rc) return rc;
    if (r->t > r->total || losses < 0 || (uint64_t)losses != r->t || recs < 0 || (uint64_t)recs > h->rcap)
        return qs_fail(err, QS_EFORMAT, _("run.json: step %" PRIu64 " of %" PRIu64 ", %lld losses, %lld records: no such run"),
                       r->t, r->total, (long long)losses, (long long)recs);
    h->nloss = (size_t)losses;
    h->nrec = (size_t)recs;
    r->work->optim.t = (uint64_t)json_integer_value(json_object_get(o, "updates"));
    const char *reason = json_string_value(json_object_get(o, "reason"));
    snprintf(r->reason, sizeof r->reason, "%s", reason ? reason : "");
    return 0;
}

static int fill(qs_run *r, const qs_model *m, const json_t *o, qs_err *err)
{
    struct walk k = {.from = m, .err = err};
    int rc = qs_net_load(r->net, m, err);
    if (!rc) rc = get_sites(json_object_get(o, "sites"), r, err);
    if (!rc) rc = get_adapted(json_object_get(o, "adapted"), r, err);
    if (!rc) rc = get_position(o, r, err);
    if (!rc) rc = walk_state(&k, r);
    if (rc) return rc;
    qs_run_rename(r);
    qs_plan_weights(r->work->plan);
    return 0;
}

static qs_run *restore(const qs_net *net, qs_dataset *d, const qs_model *m, const json_t *o, qs_err *err)
{
    qs_run_opts opts;
    qs_run *r = NULL;
    qs_run_defaults(&opts);
    if (check_net(o, net, err) || check_data(json_object_get(o, "data"), d, err)) return NULL;
    if (!get_options(json_object_get(o, "options"), &opts, err)) r = qs_run_make(net, d, &opts, err);
    free(opts.quant.override);
    if (!r || !fill(r, m, o, err)) return r;
    qs_run_unref(r);
    return NULL;
}

qs_run *qs_run_load(const qs_net *net, qs_dataset *d, const char *path, qs_err *err)
{
    qs_model *m = qs_model_open(path, err);
    if (!m) return NULL;
    json_t *o = read_json(m, err);
    qs_run *r = o ? restore(net, d, m, o, err) : NULL;
    if (r && qs_model_check(m, err)) {
        qs_run_unref(r);
        r = NULL;
    }
    if (!r) qs_fail_prefix(err, "%s", path);
    json_decref(o);
    qs_model_unref(m);
    return r;
}
