/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The selection: one state that is replaced as a whole, so that what is wrong in
 * a pick leaves everything as it was, and undo is the state before. Computes
 * nothing but what a step by hand starts from.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "engine/state.h"

#define UNDO_MAX 500

/* ---- formats that states share -------------------------------------------------------- */
struct fmt *fmt_new(qs_format *f)
{
    struct fmt *b = qs_xcalloc(1, sizeof *b);
    b->refs = 1;
    b->f = f;
    b->text = qs_format_print(f);
    return b;
}

struct fmt *fmt_ref(struct fmt *f)
{
    if (f) f->refs++;
    return f;
}

void fmt_unref(struct fmt *f)
{
    if (!f || --f->refs) return;
    qs_format_free(f->f);
    free(f->text);
    free(f);
}

/* ---- states ------------------------------------------------------------------------------ */
void sel_default(struct sel *s)
{
    *s = (struct sel){.f = fmt_new(qs_format_parse("int4", NULL)), .init = "mse", .learn = "lsq", .view = "hist",
                      .channel = -1};
}

static struct sel sel_copy(const struct sel *s)
{
    struct sel n = *s;
    if (n.m) qs_model_ref(n.m);
    if (n.t) qs_tensor_ref(n.t);
    if (n.hand) qs_quantizer_ref(n.hand);
    fmt_ref(n.f);
    return n;
}

static void let_go(struct sel *s)   /* of the step by hand */
{
    if (s->hand) qs_quantizer_unref(s->hand);
    s->hand = NULL;
}

void sel_clear(struct sel *s)
{
    let_go(s);
    if (s->t) qs_tensor_unref(s->t);
    if (s->m) qs_model_unref(s->m);
    fmt_unref(s->f);
    *s = (struct sel){0};
}

void pin_clear(struct pin *p)
{
    if (p->t) qs_tensor_unref(p->t);
    if (p->q) qs_quantizer_unref(p->q);
    fmt_unref(p->f);
    *p = (struct pin){0};
}

const char *sel_reason(const struct sel *s)
{
    return s->t ? qs_tensor_reason(s->t) : N_("nothing is selected");
}

/* Stored codes are looked at part by part too, though they are not quantized again. */
size_t sel_parts(const struct sel *s, qs_split *split)
{
    qs_split own;
    bool whole = sel_reason(s) && !(s->t && s->t->packed);
    if (whole || qs_format_split(s->f->f, s->t, split ? split : &own, NULL)) return 1;
    return (split ? split : &own)->parts;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double median_of(const double *v, size_t n)
{
    double *a = qs_xmalloc(n * sizeof *a);
    for (size_t i = 0; i < n; i++) a[i] = v[i];
    qsort(a, n, sizeof *a, by_size);
    double m = n ? n % 2 ? a[n / 2] : (a[n / 2 - 1] + a[n / 2]) / 2 : NAN;
    free(a);
    return m;
}

/* ---- fields, one function each: they alter a state that nobody sees yet ------------------------ */
struct change {
    qs_session *s;
    const qs_pick *p;
    struct sel *n;
    bool moved;            /* to another tensor */
};

static void set_tensor(struct change *c, qs_tensor *t)
{
    if (t == c->n->t) return;
    c->moved = true;
    let_go(c->n);
    if (c->n->t) qs_tensor_unref(c->n->t);
    c->n->t = t ? qs_tensor_ref(t) : NULL;
}

static qs_tensor *first_quantized(const qs_model *m)
{
    for (size_t i = 0; i < m->n; i++)
        if (!qs_tensor_reason(m->tensors[i])) return m->tensors[i];
    return m->n ? m->tensors[0] : NULL;
}

/* Names longer than a pick holds are found by their beginning. */
static qs_tensor *find(const qs_model *m, const char *name)
{
    qs_tensor *t = qs_model_find(m, name);
    size_t n = strlen(name);
    if (t || n + 1 < sizeof ((qs_pick *)0)->tensor) return t;
    for (size_t i = 0; i < m->n; i++)
        if (!strncmp(m->tensors[i]->name, name, n)) return m->tensors[i];
    return NULL;
}

static int pick_model(struct change *c, qs_err *err)
{
    qs_model *m = qs_session_open(c->s, c->p->model, err);
    if (!m) return qs_fail_prefix(err, "model");
    qs_tensor *same = c->n->t ? qs_model_find(m, c->n->t->name) : NULL;
    set_tensor(c, m == c->n->m && c->n->t ? c->n->t : same ? same : first_quantized(m));
    if (m == c->n->m) return 0;
    if (c->n->m) qs_model_unref(c->n->m);
    c->n->m = qs_model_ref(m);
    return 0;
}

static int pick_tensor(struct change *c, qs_err *err)
{
    if (!c->n->m) return qs_fail(err, QS_ESTATE, _("tensor: no model is open"));
    qs_tensor *t = find(c->n->m, c->p->tensor);
    if (!t) return qs_fail(err, QS_EARG, _("tensor: no \"%s\" in %s"), c->p->tensor, c->n->m->path);
    set_tensor(c, t);
    return 0;
}

/* The step by hand in another format: the same clip, part by part where the parts are the same, else their median. */
static int hand_over(struct sel *n, const qs_format *old, qs_err *err)
{
    const qs_quantizer *q = n->hand;
    const qs_format *f = n->f->f;
    qs_split split;
    if (qs_format_split(f, n->t, &split, err)) return qs_fail_prefix(err, "format");
    double ratio = old->cmax / f->cmax, mid = median_of(q->step, q->parts);
    bool keep = split.parts == q->parts;
    double *step = qs_xmalloc(split.parts * sizeof *step), *offset = NULL;
    if (f->offset != QS_OFFSET_NONE) offset = qs_xcalloc(split.parts, sizeof *offset);
    for (size_t i = 0; i < split.parts; i++) {
        step[i] = (keep ? q->step[i] : mid) * ratio;
        if (!f->flip) step[i] = fabs(step[i]);
        if (offset && q->offset) offset[i] = keep ? q->offset[i] : median_of(q->offset, q->parts);
    }
    qs_quantizer *h = qs_quantizer_new(f, &split, split.parts, step, offset, err);
    free(step);
    free(offset);
    if (!h) return qs_fail_prefix(err, "format");
    snprintf(h->init, sizeof h->init, "by hand");
    let_go(n);
    n->hand = h;
    return 0;
}

static int pick_format(struct change *c, qs_err *err)
{
    qs_format *f = qs_format_parse(c->p->format, err);
    if (!f) return qs_fail_prefix(err, "format");
    qs_split split;
    if (!sel_reason(c->n) && qs_format_split(f, c->n->t, &split, err)) {
        qs_format_free(f);
        return qs_fail_prefix(err, "format");
    }
    struct fmt *old = c->n->f;
    c->n->f = fmt_new(f);
    int rc = c->n->hand ? hand_over(c->n, old->f, err) : 0;
    fmt_unref(old);
    return rc;
}

/* A name with a variant is tried on three values: only the initialization knows its variants. */
static int try_init(const char *name, const qs_format *f, qs_err *err)
{
    static const float x[] = {-1, 0.25f, 0.5f};
    qs_init_out out = {0};
    qs_index *ix = qs_index_new(x, 3, NULL, NULL, err);
    if (!ix) return -QS_EARG;
    int rc = qs_init_index(name, ix, f, NULL, NULL, &out, err);
    if (out.f) qs_format_free(out.f);
    qs_index_unref(ix);
    return rc == -QS_EARG ? rc : 0;
}

static int pick_init(struct change *c, qs_err *err)
{
    const char *name = c->p->init;
    if (!strcmp(name, "by hand") && c->n->hand) return 0;
    const qs_init *row = qs_init_named(name);
    if (!row) return qs_fail(err, QS_EARG, _("init: there is no \"%s\""), name);
    int rc = row->applies ? row->applies(c->n->f->f, QS_ROLE_WEIGHT, err) : 0;
    if (!rc && strchr(name, ':') && !(row->flags & QS_INIT_LUA)) rc = try_init(name, c->n->f->f, err);
    if (rc) return qs_fail_prefix(err, "init");
    let_go(c->n);
    memcpy(c->n->init, name, sizeof c->n->init);
    return 0;
}

static int pick_learn(struct change *c, qs_err *err)
{
    qs_learn l;
    if (strcmp(c->p->learn, "none") && qs_learn_named(c->p->learn, &l, err)) return qs_fail_prefix(err, "learn");
    memcpy(c->n->learn, c->p->learn, sizeof c->n->learn);
    return 0;
}

static int pick_view(struct change *c, qs_err *err)
{
    static const char *const all[] = {"hist", "curve", "compare", "map", "explain", "list", "train", "results", "race"};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (!strcmp(c->p->view, all[i])) {
            memcpy(c->n->view, c->p->view, sizeof c->n->view);
            return 0;
        }
    return qs_fail(err, QS_EARG, _("view: \"%s\" is none of hist, curve, compare, map, explain, list, train, results, race"), c->p->view);
}

static int pick_channel(struct change *c, qs_err *err)
{
    (void)err;
    c->n->channel = c->p->channel;
    return 0;
}

static void clamp_channel(struct sel *n)
{
    size_t parts = sel_parts(n, NULL);
    if (parts < 2 || n->channel < 0) n->channel = -1;
    else if ((size_t)n->channel >= parts) n->channel = (long)parts - 1;
}

/* ---- a step or an offset by hand -------------------------------------------------------------- */
/* What it starts from: the quantizer there is; a step given to the only part needs none. */
static qs_quantizer *start_from(struct change *c, const qs_split *split, qs_err *err)
{
    struct sel *n = c->n, *cur = &c->s->sel;
    if (n->hand) return qs_quantizer_ref(n->hand);
    if (n->t == cur->t && !strcmp(n->f->text, cur->f->text) && !strcmp(n->init, cur->init) && !cur->hand) {
        if (!c->s->q && split->parts == 1 && n->f->f->offset == QS_OFFSET_NONE && c->p->set & QS_PICK_STEP)
            return qs_quantizer_new(n->f->f, split, 1, &c->p->step, NULL, err);
        qs_quantizer *q = qs_session_cur_quantizer(c->s, qs_session_ctl(c->s), err);
        return q ? qs_quantizer_ref(q) : NULL;
    }
    if (init_must_wait(c->s, n->init)) {
        qs_fail(err, QS_ESTATE, _("init: %s is written in Lua, and Lua is busy"), n->init);
        return NULL;
    }
    return qs_init_tensor(n->init, n->t, n->f->f, NULL, c->s->cache, qs_session_ctl(c->s), err);
}

/* Scales that are far apart: a small move is one to the neighbour. */
static double moved(const qs_format *f, double unit, double from, double to)
{
    double below, above;
    if (!f->scale || to == from || to * from <= 0 || qs_scale_near(f->scale, unit, to) != from) return to;
    bool up = fabs(to) > fabs(from);
    qs_scale_around(f->scale, unit, from * (up ? 1 + 1e-6 : 1 - 1e-6), &below, &above);
    return up ? above : below;
}

static void move_steps(const struct change *c, double unit, double *step, double *offset, size_t parts)
{
    double want = c->p->step, old = median_of(step, parts);
    for (size_t i = 0; i < parts; i++) {
        if (c->n->channel >= 0 && (size_t)c->n->channel != i) continue;
        double s = c->n->channel >= 0 || parts == 1 || old == 0 ? want : step[i] * (want / old);
        s = moved(c->n->f->f, unit, step[i], s);
        if (offset && c->n->f->f->offset == QS_OFFSET_ZP) offset[i] *= s / step[i];   /* the same zero point */
        step[i] = s;
    }
}

static void move_offsets(const struct change *c, double *offset, size_t parts)
{
    double by = c->p->offset - median_of(offset, parts);
    for (size_t i = 0; i < parts; i++) {
        if (c->n->channel >= 0 && (size_t)c->n->channel != i) continue;
        offset[i] = c->n->channel >= 0 || parts == 1 ? c->p->offset : offset[i] + by;
    }
}

static int check_numbers(const struct change *c, qs_err *err)
{
    const char *why = sel_reason(c->n), *what = c->p->set & QS_PICK_STEP ? "step" : "offset";
    const qs_format *f = c->n->f->f;
    const char *name = c->n->t ? c->n->t->name : "-";
    if (why) return qs_fail(err, QS_EUNSUP, _("%s: %s is left as it is: %s"), what, name, _(why));
    if (c->p->set & QS_PICK_STEP && !(isfinite(c->p->step) && (c->p->step > 0 || (f->flip && c->p->step != 0))))
        return qs_fail(err, QS_EARG, _("step: %g is not above 0"), c->p->step);
    if (c->p->set & QS_PICK_OFFSET && !isfinite(c->p->offset))
        return qs_fail(err, QS_EARG, _("offset: %g is not a finite number"), c->p->offset);
    if (c->p->set & QS_PICK_OFFSET && f->offset == QS_OFFSET_NONE)
        return qs_fail(err, QS_EARG, _("offset: %s has none; say %s+offset or +zp"), c->n->f->text, f->base);
    return 0;
}

static int by_hand(struct change *c, qs_err *err)
{
    qs_split split;
    int rc = check_numbers(c, err);
    if (rc) return rc;
    if ((rc = qs_format_split(c->n->f->f, c->n->t, &split, err))) return qs_fail_prefix(err, "format");
    qs_quantizer *q = start_from(c, &split, err), *h = NULL;
    if (!q) return qs_fail_prefix(err, c->p->set & QS_PICK_STEP ? "step" : "offset");
    double *step = qs_xmalloc(q->parts * sizeof *step), *offset = NULL;
    memcpy(step, q->step, q->parts * sizeof *step);
    if (c->n->f->f->offset != QS_OFFSET_NONE) {
        offset = qs_xcalloc(q->parts, sizeof *offset);
        if (q->offset) memcpy(offset, q->offset, q->parts * sizeof *offset);
    }
    if (c->p->set & QS_PICK_STEP) move_steps(c, q->unit, step, offset, q->parts);
    if (c->p->set & QS_PICK_OFFSET) move_offsets(c, offset, q->parts);
    h = qs_quantizer_blocks(c->n->f->f, &split, q->parts, q->unit, step, offset, NULL, NULL, err);
    free(step);
    free(offset);
    qs_quantizer_unref(q);
    if (!h) return qs_fail_prefix(err, c->p->set & QS_PICK_STEP ? "step" : "offset");
    snprintf(h->init, sizeof h->init, "by hand");
    let_go(c->n);
    c->n->hand = h;
    return 0;
}

/* ---- a change as a whole ------------------------------------------------------------------------ */
static int apply(struct change *c, qs_err *err)
{
    static const struct { unsigned bit; int (*fn)(struct change *, qs_err *); } fields[] = {
        {QS_PICK_MODEL, pick_model},     {QS_PICK_TENSOR, pick_tensor}, {QS_PICK_FORMAT, pick_format},
        {QS_PICK_INIT, pick_init},       {QS_PICK_LEARN, pick_learn},   {QS_PICK_VIEW, pick_view},
        {QS_PICK_CHANNEL, pick_channel},
    };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        int rc = c->p->set & fields[i].bit ? fields[i].fn(c, err) : 0;
        if (rc) return rc;
    }
    clamp_channel(c->n);
    return c->p->set & (QS_PICK_STEP | QS_PICK_OFFSET) ? by_hand(c, err) : 0;
}

static bool same_hand(const qs_quantizer *a, const qs_quantizer *b)
{
    if (!a || !b) return a == b;
    return a->parts == b->parts && !memcmp(a->step, b->step, a->parts * sizeof *a->step) && !a->offset == !b->offset &&
           (!a->offset || !memcmp(a->offset, b->offset, a->parts * sizeof *a->offset));
}

static bool same_quantizer(const struct sel *a, const struct sel *b)
{
    return a->t == b->t && !strcmp(a->f->text, b->f->text) && !strcmp(a->init, b->init) && same_hand(a->hand, b->hand);
}

static bool same_sel(const struct sel *a, const struct sel *b)
{
    return a->m == b->m && same_quantizer(a, b) && !strcmp(a->learn, b->learn) && a->channel == b->channel;
}

/* Do both look at the same values? A channel means others where the parts are cut another way. */
static bool same_look(const struct sel *a, const struct sel *b)
{
    if (a->t != b->t || a->channel != b->channel) return false;
    qs_split x, y;
    if (a->channel < 0) return true;
    sel_parts(a, &x);
    sel_parts(b, &y);
    return x.kind == y.kind && x.axis == y.axis && x.group == y.group;
}

static void forget_quantizer(qs_session *s)
{
    if (s->q) qs_quantizer_unref(s->q);
    s->q = NULL;
    s->q_err.code = 0;
}

void follow_init(qs_session *s)
{
    uint64_t id = init_id(s->sel.init);
    if (id == s->init_seen) return;
    struct gens before = s->gen;
    s->init_seen = id;
    forget_quantizer(s);
    s->gen.quant++;
    view_stale(s, &before);
    list_follow(s);
}

static void install(qs_session *s, struct sel *n)
{
    struct sel old = s->sel;
    struct gens before = s->gen;
    bool look = !same_look(&old, n), quant = !same_quantizer(&old, n);
    bool format = look || strcmp(old.f->text, n->f->text);
    s->sel = *n;
    s->gen.tensor += old.t != n->t;
    s->gen.look += look;
    s->gen.format += format;
    s->gen.quant += look || quant;
    if (old.t != n->t || strcmp(old.f->text, n->f->text) || strcmp(old.init, n->init)) forget_quantizer(s);
    s->init_seen = init_id(s->sel.init);
    view_stale(s, &before);
    if (look || quant || format) s->view.stopped = false;
    sel_clear(&old);
    list_follow(s);
}

static void push_undo(qs_session *s)
{
    if (s->nundo == UNDO_MAX) {
        sel_clear(&s->undo[0]);
        memmove(s->undo, s->undo + 1, --s->nundo * sizeof *s->undo);
    }
    s->undo = qs_xrealloc(s->undo, (s->nundo + 1) * sizeof *s->undo);
    s->undo[s->nundo++] = sel_copy(&s->sel);
}

static int undo(qs_session *s, qs_err *err)
{
    if (!s->nundo) return qs_fail(err, QS_ESTATE, _("there is nothing to undo"));
    struct sel n = s->undo[--s->nundo];
    install(s, &n);
    return 0;
}

static int pin(qs_session *s, qs_err *err)
{
    if (s->pin.there) {
        pin_clear(&s->pin);
    } else {
        qs_quantizer *q = qs_session_cur_quantizer(s, qs_session_ctl(s), err);
        if (!q) return qs_fail_prefix(err, "pin");
        s->pin = (struct pin){.there = true, .t = qs_tensor_ref(s->sel.t), .f = fmt_ref(s->sel.f),
                              .q = qs_quantizer_ref(q), .hand = s->sel.hand};
        memcpy(s->pin.init, s->sel.hand ? "by hand" : s->sel.init, s->sel.hand ? 8 : sizeof s->pin.init);
    }
    struct gens before = s->gen;
    s->gen.pin++;
    s->view.stopped = false;
    view_stale(s, &before);
    return 0;
}

/* Kept for the UI, which finds it in the next snapshot: the worker does not draw. */
static int ask_export(qs_session *s, const qs_export *e, qs_err *err)
{
    if (!s->board) return qs_fail(err, QS_ESTATE, _("export: there is no screen here; qs.plot(...):save(path) draws without one"));
    if (!*e->path) return qs_fail(err, QS_EARG, _("export: the path is empty"));
    s->export[s->exports++ % QS_SNAP_EXPORTS] = *e;
    return 0;
}

int qs_session_select(qs_session *s, const qs_pick *p, qs_err *err)
{
    s->served++;
    s->news = true;
    s->by_key = false;
    if (p->set & QS_PICK_UNDO) return undo(s, err);
    if (p->set & QS_PICK_PIN) return pin(s, err);
    if (p->set & QS_PICK_EXPORT) return ask_export(s, &p->export, err);
    struct train_at at = s->train.at;
    qs_results_at results = s->results.at;
    int rc = train_pick(s, p, &at, err);
    if (!rc) rc = results_pick(p, &results, err);
    if (rc) return rc;
    struct sel n = sel_copy(&s->sel);
    struct change c = {.s = s, .p = p, .n = &n};
    s->locked++;
    rc = apply(&c, err);
    s->locked--;
    if (!rc) train_look_at(s, &at);
    if (!rc) results_look_at(s, &results);
    if (rc || (same_sel(&n, &s->sel) && !strcmp(n.view, s->sel.view))) {
        sel_clear(&n);
        return rc;
    }
    if (!same_sel(&n, &s->sel) && s->sel.t) push_undo(s);
    install(s, &n);
    return 0;
}

void select_default(qs_session *s, qs_model *m)
{
    struct sel n = sel_copy(&s->sel);
    struct change c = {.s = s, .n = &n};
    n.m = qs_model_ref(m);
    set_tensor(&c, first_quantized(m));
    clamp_channel(&n);
    install(s, &n);
    s->news = true;
}
