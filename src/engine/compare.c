/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The rows of the comparison pane, one initialization at a time, so that they
 * can be shown as they come and work can give way between two. Kept for the
 * tensors and formats looked at last; a row is made anew only if its
 * initialization was registered anew.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "engine/state.h"

/* ---- the cache -------------------------------------------------------------------------- */
static void row_clear(struct cmp_row *r)
{
    free(r->s.error);
    free(r->s.formula);
    free(r->s.source);
}

static void cmp_free(struct cmp *c)
{
    if (!c) return;
    for (size_t i = 0; i < c->n; i++) row_clear(&c->row[i]);
    if (c->best) qs_quantizer_unref(c->best);
    qs_tensor_unref(c->t);
    free(c->row);
    free(c->format);
    free(c);
}

void cmp_clear_all(qs_session *s)
{
    for (size_t i = 0; i < CMP_KEPT; i++) cmp_free(s->cmp[i]);
    memset(s->cmp, 0, sizeof s->cmp);
}

static size_t cmp_bytes(const struct cmp *c)
{
    return sizeof *c + c->n * (sizeof *c->row + 256) + (c->best ? c->best->parts * 2 * sizeof(double) : 0);
}

/* The place of the one that was used least recently. */
static size_t oldest(const qs_session *s)
{
    size_t at = 0;
    for (size_t i = 0; i < CMP_KEPT; i++) {
        if (!s->cmp[i]) continue;
        if (!s->cmp[at] || s->cmp[i]->used < s->cmp[at]->used) at = i;
    }
    return at;
}

/* A free place, when all together are within their bound again. */
static size_t make_room(qs_session *s)
{
    for (;;) {
        size_t bytes = 0, empty = CMP_KEPT, at = oldest(s);
        for (size_t i = 0; i < CMP_KEPT; i++) {
            if (s->cmp[i]) bytes += cmp_bytes(s->cmp[i]);
            else empty = i;
        }
        if (empty < CMP_KEPT && bytes <= CMP_BYTES) return empty;
        if (!s->cmp[at]) return at;
        cmp_free(s->cmp[at]);
        s->cmp[at] = NULL;
    }
}

struct cmp *cmp_find(qs_session *s, bool make)
{
    const struct sel *n = &s->sel;
    for (size_t i = 0; i < CMP_KEPT; i++) {
        struct cmp *c = s->cmp[i];
        if (!c || c->t != n->t || c->part != n->channel || strcmp(c->format, n->f->text)) continue;
        c->used = ++s->cmp_clock;
        return c;
    }
    if (!make) return NULL;
    size_t at = make_room(s);
    struct cmp *c = s->cmp[at] = qs_xcalloc(1, sizeof *c);
    c->t = qs_tensor_ref(n->t);
    c->format = qs_xstrdup(n->f->text);
    c->part = n->channel;
    c->used = ++s->cmp_clock;
    c->best_step = c->best_mse = NAN;
    return c;
}

/* ---- which rows ----------------------------------------------------------------------------- */
/* A row that is registered again is a new row; the old one is never freed. */
static uint64_t id_of(const qs_init *r) { return (uint64_t)(uintptr_t)r; }

uint64_t init_id(const char *name)
{
    const qs_init *r = qs_init_named(name);
    return r ? id_of(r) : 0;
}

static struct cmp_row *row_of(const struct cmp *c, const char *name)
{
    for (size_t i = 0; i < c->n; i++)
        if (!strcmp(c->row[i].s.init, name)) return &c->row[i];
    return NULL;
}

static bool wanted(const struct cmp *c, const qs_init *r, const qs_format *f, bool nested)
{
    if (r->flags & QS_INIT_NAMED_ONLY || (nested && r->flags & QS_INIT_LUA)) return false;
    const struct cmp_row *old = row_of(c, r->name);
    if (old && old->id == id_of(r)) return false;
    return !r->applies || !r->applies(f, QS_ROLE_WEIGHT, NULL);
}

bool cmp_whole(const struct cmp *c, const qs_format *f, bool nested)
{
    for (size_t i = 0; i < qs_init_count(); i++)
        if (wanted(c, qs_init_at(i), f, nested)) return false;
    return true;
}

/* ---- rows ------------------------------------------------------------------------------------------- */
/* In place, by error, equal ones by name; rows that failed last. */
static bool before(const struct cmp_row *a, const struct cmp_row *b)
{
    if (a->ok != b->ok) return a->ok;
    if (a->ok && a->s.mse != b->s.mse) return a->s.mse < b->s.mse;
    return strcmp(a->s.init, b->s.init) < 0;
}

static void insert(struct cmp *c, const struct cmp_row *r)
{
    struct cmp_row *old = row_of(c, r->s.init);
    if (old) {
        row_clear(old);
        memmove(old, old + 1, (size_t)(c->row + c->n - old - 1) * sizeof *old);
        c->n--;
    }
    size_t at = c->n;
    c->row = qs_xrealloc(c->row, (c->n + 1) * sizeof *c->row);
    while (at && before(r, &c->row[at - 1])) at--;
    memmove(c->row + at + 1, c->row + at, (c->n - at) * sizeof *c->row);
    c->row[at] = *r;
    c->n++;
}

static void put_text(struct cmp_row *r, const qs_init *row, const qs_quantizer *q)
{
    const char *formula = q->formula ? q->formula : row->formula;
    if (formula) r->s.formula = qs_xstrdup(formula);
    if (row->source) r->s.source = qs_xstrdup(row->source);
}

static void put_failed(struct cmp_row *r, const char *why)
{
    qs_snap_compare_row *o = &r->s;
    o->step = o->step_ratio = o->clip = o->mse = o->mse_ratio = o->sqnr = o->clipped = o->ms = NAN;
    o->error = qs_xstrdup(why);
}

static void keep_best(struct cmp *c, const char *name, qs_quantizer *q, double mse)
{
    if (strcmp(name, "mse")) return;
    if (c->best) qs_quantizer_unref(c->best);
    c->best = qs_quantizer_ref(q);
    c->best_step = q->step[0];
    c->best_mse = mse;
}

/* ---- one list of values: one initialization after the other, from the index there is --------------------- */
static qs_quantizer *fit(qs_session *s, const char *name, qs_qerror *e, qs_err *err)
{
    qs_init_out out = {0};
    qs_split whole;
    qs_quantizer *q = NULL;
    const qs_format *f = s->sel.f->f;
    double t0 = qs_now();
    if (qs_split_init(&whole, s->sel.t, QS_SPLIT_TENSOR, -1, 0, err)) return NULL;
    const qs_init_opts o = {.unit = s->q ? s->q->unit : 0};
    if (qs_init_index(name, s->view.ix, f, &o, &s->work, &out, err)) return NULL;
    double ms = (qs_now() - t0) * 1e3;
    if (out.f) {
        qs_format_free(out.f);
        qs_fail(err, QS_EUNSUP, _("%s gives another format"), name);
        return NULL;
    }
    q = qs_quantizer_blocks(f, &whole, 1, o.unit, &out.step, f->offset == QS_OFFSET_NONE ? NULL : &out.offset,
                            out.pick != 0 ? &out.pick : NULL, &out.pick_offset, err);
    if (!q) return NULL;
    q->ms = ms;
    if (out.formula[0]) q->formula = qs_xstrdup(out.formula);
    qs_grid g;
    qs_grid_init(&g, q, 0);
    if (qs_error_index(&g, s->view.ix, e, err)) {
        qs_quantizer_unref(q);
        q = NULL;
    }
    qs_grid_clear(&g);
    return q;
}

static void put_one(const struct cmp *c, struct cmp_row *r, const qs_quantizer *q, const qs_qerror *e)
{
    qs_snap_compare_row *o = &r->s;
    r->ok = true;
    o->step = q->step[0];
    o->clip = fabs(o->step) * q->f->cmax;
    o->mse = e->mse;
    o->sqnr = e->sqnr_db;
    o->clipped = e->clipped;
    o->ms = q->ms;
    o->step_ratio = c->best ? fabs(o->step / c->best_step) : NAN;
    o->mse_ratio = !c->best ? NAN : c->best_mse > 0 ? o->mse / c->best_mse : o->mse == 0 ? 1 : NAN;
}

static int add_one(qs_session *s, struct cmp *c, const qs_init *row, qs_err *err)
{
    struct cmp_row r = {.id = id_of(row)};
    qs_qerror e = {0};
    qs_err why = {0};
    qs_quantizer *q = fit(s, row->name, &e, &why);
    if (!q && why.code == QS_ECANCEL) {
        if (err) *err = why;
        return -QS_ECANCEL;
    }
    snprintf(r.s.init, sizeof r.s.init, "%s", row->name);
    if (q) {
        keep_best(c, row->name, q, e.mse);
        put_one(c, &r, q, &e);
        put_text(&r, row, q);
        qs_quantizer_unref(q);
    } else {
        put_failed(&r, why.msg);
    }
    qs_qerror_clear(&e);
    insert(c, &r);
    s->news = true;
    return 0;
}

/* The least-squares optimum first: the others are measured against it. */
static int fill_one_by_one(qs_session *s, struct cmp *c, qs_err *err)
{
    const qs_init *first = qs_init_named("mse");
    int rc = first && wanted(c, first, s->sel.f->f, s->nested) ? add_one(s, c, first, err) : 0;
    for (size_t i = 0, n = qs_init_count(); i < n && !rc; i++) {
        const qs_init *r = qs_init_at(i);
        if (!wanted(c, r, s->sel.f->f, s->nested)) continue;
        if (!(rc = work_check(s, err))) rc = add_one(s, c, r, err);
    }
    return rc;
}

/* ---- several parts: all at once, so that the index of a part is made once ------------------------------------ */
static void add_compared(struct cmp *c, const qs_compare_row *in)
{
    const qs_init *row = qs_init_named(in->init);
    if (!row) return;
    struct cmp_row r = {.id = id_of(row), .ok = in->q != NULL};
    memcpy(r.s.init, in->init, sizeof r.s.init);
    if (in->q) {
        keep_best(c, in->init, in->q, in->mse);
        r.s.step = in->step;
        r.s.step_ratio = in->step_ratio;
        r.s.clip = in->clip;
        r.s.mse = in->mse;
        r.s.mse_ratio = in->mse_ratio;
        r.s.sqnr = in->sqnr_db;
        r.s.clipped = in->clipped;
        r.s.ms = in->ms;
        put_text(&r, row, in->q);
    } else {
        put_failed(&r, in->error);
    }
    insert(c, &r);
}

static int fill_together(qs_session *s, struct cmp *c, qs_err *err)
{
    size_t all = qs_init_count(), n = 0;
    const char **name = qs_xcalloc(all, sizeof *name);
    qs_compare out = {0};
    for (size_t i = 0; i < all; i++)
        if (wanted(c, qs_init_at(i), s->sel.f->f, s->nested)) name[n++] = qs_init_at(i)->name;
    qs_err why = {0};
    int rc = n ? qs_compare_tensor(s->sel.t, s->sel.f->f, name, n, NULL, s->cache, &s->work, &out, &why) : 0;
    for (size_t i = 0; i < out.n; i++) add_compared(c, &out.row[i]);
    for (size_t i = 0; i < n && rc && rc != -QS_ECANCEL; i++) {
        struct cmp_row r = {.id = init_id(name[i])};
        snprintf(r.s.init, sizeof r.s.init, "%s", name[i]);
        put_failed(&r, why.msg);
        insert(c, &r);
    }
    s->news = true;
    qs_compare_clear(&out);
    free(name);
    if (rc == -QS_ECANCEL && err) *err = why;
    return rc == -QS_ECANCEL ? rc : 0;
}

int cmp_fill(qs_session *s, struct cmp *c, qs_err *err)
{
    bool one = s->sel.channel >= 0 || sel_parts(&s->sel, NULL) == 1;
    return one ? fill_one_by_one(s, c, err) : fill_together(s, c, err);
}
