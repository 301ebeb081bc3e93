/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the panes show, computed in stages: each stage is keyed by the generation
 * of what it depends on, so that a moved step costs the quantizer's own numbers
 * and nothing else. A stage that a newer pick makes pointless gives way; what is
 * done stays done. Knows no screen and makes no snapshot.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "engine/state.h"

#define LEVELS_MAX 512         /* levels that are given to be drawn */
#define BIG 100000             /* values from which on a pane may wait for its index */
#define MOVED (QS_PICK_MODEL | QS_PICK_TENSOR | QS_PICK_UNDO)

/* ---- letting go ---------------------------------------------------------------------- */
void clear_snap_quant(qs_snap_quant *q)
{
    void *const own[] = {q->level, q->cut, q->occupancy, q->qbins, q->formula, q->source, q->note};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) free(own[i]);
    *q = (qs_snap_quant){0};
}

static void side_clear(struct side *x)
{
    if (x->q) qs_quantizer_unref(x->q);
    qs_qerror_clear(&x->e);
    clear_snap_quant(&x->s);
    *x = (struct side){0};
}

static void hist_clear(struct view *v)
{
    qs_hist_clear(&v->hist);
    free(v->density);
    v->hist = (qs_hist){0};
    v->density = NULL;
    v->left_out = 0;
}

static void curve_clear(struct view *v)
{
    qs_curve_clear(&v->curve);
    v->curve = (qs_curve){0};
    v->curve_made = 0;
}

static void look_clear(struct view *v)
{
    if (v->ix) qs_index_unref(v->ix);
    v->ix = NULL;
    v->ix_err.code = 0;
    v->summary_there = false;
    own_clear(&v->own);
    v->summary_made = v->index_made = v->hist_made = 0;
    hist_clear(v);
}

void view_clear(struct view *v)
{
    look_clear(v);
    versus_clear(&v->versus);
    side_clear(&v->a);
    side_clear(&v->b);
    curve_clear(v);
    v->cmp = NULL;
}

void view_stale(qs_session *s, const struct gens *old)
{
    struct view *v = &s->view;
    if (s->gen.look != old->look) look_clear(v);
    if (s->gen.tensor != old->tensor) versus_clear(&v->versus);
    if (s->gen.quant != old->quant) side_clear(&v->a);
    if (s->gen.pin != old->pin || s->gen.look != old->look) side_clear(&v->b);
    if (s->gen.format != old->format) {
        curve_clear(v);
        v->compare_made = 0;
        v->cmp = NULL;
    }
}

/* ---- what is looked at ------------------------------------------------------------------ */
static bool one_part(const qs_session *s) { return s->sel.channel >= 0; }

/* The split and part whose values are looked at: the channel, or the whole tensor. */
static int looked_at(const qs_session *s, qs_split *split, size_t *part, qs_err *err)
{
    *part = one_part(s) ? (size_t)s->sel.channel : 0;
    if (one_part(s)) return qs_format_split(s->sel.f->f, s->sel.t, split, err);
    return qs_split_init(split, s->sel.t, QS_SPLIT_TENSOR, -1, 0, err);
}

static bool readable(const qs_session *s) { return s->sel.t && s->sel.t->dtype != QS_UNKNOWN_DTYPE; }

static int stage_summary(qs_session *s, qs_err *err)
{
    struct view *v = &s->view;
    qs_split split;
    size_t part;
    int rc = 0;
    bool known = !looked_at(s, &split, &part, NULL);
    v->n = s->sel.t->n;
    if (known && v->n) own_look(s->sel.t, &split, part, &v->own);
    if (one_part(s) && known) {
        v->n = qs_split_len(&split, s->sel.t, part);
        float *x = qs_xmalloc(v->n * sizeof *x);
        qs_split_gather(&split, s->sel.t, part, x);
        qs_summary_floats(x, v->n, &v->summary);
        free(x);
    } else {
        rc = qs_summary_tensor(s->sel.t, &s->work, &v->summary, err);
    }
    if (rc == -QS_ECANCEL) return rc;
    v->summary_there = rc == 0;
    v->summary_made = s->gen.look;
    return 0;
}

static int stage_index(qs_session *s, qs_err *err)
{
    struct view *v = &s->view;
    qs_split split;
    size_t part;
    qs_err e = {0};
    if (!looked_at(s, &split, &part, &e)) v->ix = qs_cache_get(s->cache, s->sel.t, &split, part, &s->work, &e);
    if (!v->ix && e.code == QS_ECANCEL) {
        if (err) *err = e;
        return -QS_ECANCEL;
    }
    v->ix_err = e;
    v->index_made = s->gen.look;
    return 0;
}

/* ---- the histogram ---------------------------------------------------------------------------- */
static double middle(double a, double b) { return a + (b - a) / 2; }

/* Expected counts on equal bins of x: the density at their middles. */
static int density_linear(const struct view *v, double *out)
{
    const qs_hist *h = &v->hist;
    double w = (h->hi - h->lo) / (double)h->bins, bw;
    if (qs_density(v->ix, h->lo + w / 2, h->hi - w / 2, h->bins, out, &bw, NULL)) return -1;
    for (size_t i = 0; i < h->bins; i++) out[i] *= w * (double)qs_index_n(v->ix);
    return 0;
}

static double between(const double *y, size_t n, double at)
{
    size_t i = at <= 0 ? 0 : at >= (double)(n - 1) ? n - 2 : (size_t)at;
    return y[i] + (at - (double)i) * (y[i + 1] - y[i]);
}

/* On bins of ln |x|: both signs together, from a fine grid over -hi .. hi. */
static int density_log(const struct view *v, double *out)
{
    enum { GRID = 4097 };
    const qs_hist *h = &v->hist;
    double *y = qs_xmalloc(GRID * sizeof *y), bw, scale = (GRID - 1) / (2 * h->hi);
    int rc = qs_density(v->ix, -h->hi, h->hi, GRID, y, &bw, NULL);
    for (size_t i = 0; i < h->bins && !rc; i++) {
        double a = qs_hist_edge(h, i), b = qs_hist_edge(h, i + 1), m = middle(a, b);
        out[i] = (between(y, GRID, (m + h->hi) * scale) + between(y, GRID, (h->hi - m) * scale)) * (b - a) *
                 (double)qs_index_n(v->ix);
    }
    free(y);
    return rc;
}

static void add_density(struct view *v)
{
    double *d = qs_xmalloc(v->hist.bins * sizeof *d);
    if (v->hist.bins >= 2 && !(v->hist.log_x ? density_log(v, d) : density_linear(v, d))) v->density = d;
    else free(d);
}

static int stage_hist(qs_session *s, qs_err *err)
{
    struct view *v = &s->view;
    const qs_viewport *p = &v->port;
    (void)err;
    hist_clear(v);
    v->hist_made = s->gen.look;
    v->hist_seq++;
    if (!v->ix) return 0;
    size_t bins = p->hist_bins < 1 ? 128 : p->hist_bins > 65536 ? 65536 : p->hist_bins;
    v->zoomed = !isnan(p->hist_lo) && !isnan(p->hist_hi);
    bool log_x = p->hist_log_x;
    if (v->zoomed) v->zoomed = !qs_hist_index(v->ix, p->hist_lo, p->hist_hi, bins, log_x, &v->hist, NULL);
    if (!v->zoomed && qs_hist_index(v->ix, NAN, NAN, bins, log_x, &v->hist, NULL)) return 0;
    if (!v->zoomed && !log_x) {
        double lo, hi;
        uint64_t left;
        qs_hist_range(v->ix, &lo, &hi, &left);
        v->left_out = (double)left;
    }
    add_density(v);
    return 0;
}

/* ---- one quantizer ------------------------------------------------------------------------------ */
/* The part whose step is the (lower) median. */
static size_t median_part(const qs_quantizer *q)
{
    double mid = median_of(q->step, q->parts), best = INFINITY;
    size_t at = 0;
    for (size_t i = 0; i < q->parts; i++)
        if (fabs(q->step[i] - mid) < best) {
            best = fabs(q->step[i] - mid);
            at = i;
        }
    return at;
}

/* Which part of q goes with the values looked at; false: none does. */
static bool choose_part(const qs_session *s, struct side *x)
{
    qs_split split;
    x->all = false;
    x->part = 0;
    if (x->q->parts == 1) return true;
    if (!one_part(s)) {
        x->all = true;
        x->part = median_part(x->q);
        return true;
    }
    sel_parts(&s->sel, &split);
    const qs_split *own = &x->q->split;
    x->part = (size_t)s->sel.channel;
    return own->kind == split.kind && own->axis == split.axis && own->group == split.group && x->part < x->q->parts;
}

static void put_levels(struct side *x, const qs_grid *g)
{
    qs_snap_quant *o = &x->s;
    o->levels = g->n;
    o->clip_lo = g->lv[0];
    o->clip_hi = g->lv[g->n - 1];
    if (g->n > LEVELS_MAX) return;
    o->nlevel = g->n;
    o->level = qs_xmalloc(g->n * sizeof *o->level);
    o->cut = qs_xmalloc(g->n * sizeof *o->cut);
    o->occupancy = qs_xcalloc(g->n, sizeof *o->occupancy);
    for (size_t k = 0; k < g->n; k++) {
        o->level[k] = g->lv[k];
        if (k + 1 < g->n) o->cut[k] = qs_grid_cut(g, k);
        if (k < x->e.levels) o->occupancy[k] = x->e.occupancy[k];
    }
}

static void put_numbers(struct side *x)
{
    qs_snap_quant *o = &x->s;
    const qs_qerror *e = &x->e;
    const qs_quantizer *q = x->q;
    o->there = true;
    o->step = x->all ? median_of(q->step, q->parts) : q->step[x->part];
    o->offset = !q->offset ? 0 : x->all ? median_of(q->offset, q->parts) : q->offset[x->part];
    o->mse = e->mse;
    o->nmse = e->nmse;
    o->sqnr = e->sqnr_db;
    o->clip_mse = e->clip_mse;
    o->round_mse = e->round_mse;
    o->clipped = e->clipped;
    o->max_abs = e->max_abs;
    o->bias = e->bias;
    o->entropy = e->entropy;
    o->used = e->used;
    o->mse_ratio = o->step_ratio = NAN;
    if (q->formula) o->formula = qs_xstrdup(q->formula);
    if (q->source) o->source = qs_xstrdup(q->source);
    if (q->note) o->note = qs_xstrdup(q->note);
}

static void side_none(struct side *x, const char *why)
{
    x->s.there = false;
    free(x->s.note);
    x->s.note = why && *why ? qs_xstrdup(why) : NULL;
}

/* x->q is there, the index too: its errors and levels. */
static int side_errors(qs_session *s, struct side *x, qs_err *err)
{
    qs_err e = {0};
    qs_grid g;
    if (!choose_part(s, x)) {
        side_none(x, _("it divides the tensor another way: no part of it goes with this one"));
        return 0;
    }
    qs_grid_init(&g, x->q, x->part);
    int rc = x->all ? parts_errors(s, x, &e) : qs_error_index(&g, s->view.ix, &x->e, &e);
    if (!rc) {
        put_numbers(x);
        put_levels(x, &g);
        side_ratios(s, x);
    } else if (rc != -QS_ECANCEL) {
        side_none(x, e.msg);
    }
    qs_grid_clear(&g);
    if (rc == -QS_ECANCEL && err) *err = e;
    return rc == -QS_ECANCEL ? rc : 0;
}

static double geometric_ratio(const qs_quantizer *q, const qs_quantizer *best)
{
    double sum = 0;
    if (!best || best->parts != q->parts) return NAN;
    for (size_t i = 0; i < q->parts; i++) sum += log(fabs(q->step[i] / best->step[i]));
    return exp(sum / (double)q->parts);
}

/* Against the least-squares optimum, where the comparison knows it for the format of this side. */
void side_ratios(qs_session *s, struct side *x)
{
    const struct cmp *c = s->view.cmp;
    if (!x->s.there || !c || strcmp(x->s.format, s->sel.f->text) || isnan(c->best_mse)) return;
    x->s.mse_ratio = c->best_mse > 0 ? x->e.mse / c->best_mse : x->e.mse == 0 ? 1 : NAN;
    x->s.step_ratio = x->all ? geometric_ratio(x->q, c->best) : fabs(x->s.step / c->best_step);
}

static int stage_a(qs_session *s, qs_err *err)
{
    struct side *x = &s->view.a;
    qs_err e = {0};
    side_clear(x);
    snprintf(x->s.format, sizeof x->s.format, "%s", s->sel.f->text);
    snprintf(x->s.init, sizeof x->s.init, "%s", s->sel.hand ? "by hand" : s->sel.init);
    if (!s->view.ix && !sel_reason(&s->sel)) e = s->view.ix_err;
    else x->q = qs_session_cur_quantizer(s, &s->work, &e);
    if (!x->q && e.code == QS_ECANCEL) {
        if (err) *err = e;
        return -QS_ECANCEL;
    }
    if (!x->q) {
        side_none(x, e.msg);
    } else {
        qs_quantizer_ref(x->q);
        int rc = side_errors(s, x, err);
        if (rc) return rc;
    }
    bool waits = !x->q && init_must_wait(s, s->sel.init);      /* then it is tried again when Lua is free */
    if (!waits) x->made = s->gen.quant;
    return 0;
}

static qs_quantizer *pinned_here(qs_session *s, qs_err *err)
{
    const struct pin *p = &s->pin;
    if (p->t == s->sel.t) return qs_quantizer_ref(p->q);
    if (p->hand) {
        qs_fail(err, QS_ESTATE, _("pinned by hand on %s"), p->t->name);
        return NULL;
    }
    return qs_init_tensor(p->init, s->sel.t, p->f->f, NULL, s->cache, &s->work, err);
}

static int stage_b(qs_session *s, qs_err *err)
{
    struct side *x = &s->view.b;
    qs_err e = {0};
    side_clear(x);
    snprintf(x->s.format, sizeof x->s.format, "%s", s->pin.f->text);
    snprintf(x->s.init, sizeof x->s.init, "%s", s->pin.init);
    if (sel_reason(&s->sel)) qs_fail(&e, QS_EUNSUP, "%s", _(sel_reason(&s->sel)));
    else if (!s->view.ix) e = s->view.ix_err;
    else x->q = pinned_here(s, &e);
    if (!x->q && e.code == QS_ECANCEL) {
        if (err) *err = e;
        return -QS_ECANCEL;
    }
    int rc = 0;
    if (!x->q) side_none(x, e.msg);
    else rc = side_errors(s, x, err);
    if (!rc) x->made = s->gen.pin + s->gen.look;
    return rc;
}

static int stage_qa(qs_session *s, qs_err *err) { return side_qbins(s, &s->view.a, err); }
static int stage_qb(qs_session *s, qs_err *err) { return side_qbins(s, &s->view.b, err); }

static int stage_versus(qs_session *s, qs_err *err) { return versus_measure(s, err); }

static int stage_versus_bins(qs_session *s, qs_err *err)
{
    qs_split split;
    size_t part;
    int rc = looked_at(s, &split, &part, err);
    return rc ? rc : versus_bins(s, &split, part, err);
}

/* ---- the curve ------------------------------------------------------------------------------------------ */
/* What the curve holds fixed: the offset of the quantizer there is, as qs_curve_opts wants it. */
static double curve_offset(const qs_session *s)
{
    const qs_snap_quant *a = &s->view.a.s;
    qs_offset_kind kind = s->sel.f->f->offset;
    if (kind == QS_OFFSET_NONE || !a->there || !isfinite(a->offset)) return 0;
    return kind == QS_OFFSET_ZP ? nearbyint(-a->offset / a->step) : a->offset;
}

static int stage_curve(qs_session *s, qs_err *err)
{
    struct view *v = &s->view;
    qs_curve c = {0};
    double offset = curve_offset(s);
    size_t points = v->port.curve_points;
    if (v->ix && !sel_reason(&s->sel) && points > 1) {
        qs_curve_opts o = {.points = points > 4096 ? 4096 : points, .lo = v->port.curve_lo, .hi = v->port.curve_hi,
                           .p = 2, .offset = offset};
        int rc = qs_curve_index(s->sel.f->f, v->ix, &o, &s->work, &c, err);
        if (rc == -QS_ECANCEL) return rc;
        if (rc) c = (qs_curve){0};
    }
    curve_clear(v);
    v->curve = c;
    v->curve_offset = offset;
    v->curve_made = s->gen.format;
    return 0;
}

static int stage_compare(qs_session *s, qs_err *err)
{
    struct view *v = &s->view;
    if (!sel_reason(&s->sel) && v->ix) {
        v->cmp = cmp_find(s, true);
        int rc = cmp_fill(s, v->cmp, err);
        side_ratios(s, &v->a);
        side_ratios(s, &v->b);
        if (rc) return rc;
    }
    v->compare_made = s->gen.format;
    return 0;
}

/* ---- all stages ------------------------------------------------------------------------------------------- */
static bool open_summary(const qs_session *s, bool nested)
{
    (void)nested;
    return readable(s) && s->view.summary_made != s->gen.look;
}

static bool open_index(const qs_session *s, bool nested)
{
    (void)nested;
    return readable(s) && s->view.index_made != s->gen.look;
}

static bool open_hist(const qs_session *s, bool nested)
{
    (void)nested;
    return readable(s) && s->view.hist_made != s->gen.look;
}

static bool lua_waits(const char *init, bool nested)
{
    const qs_init *row = nested ? qs_init_named(init) : NULL;
    return row && row->flags & QS_INIT_LUA;
}

static bool open_a(const qs_session *s, bool nested)
{
    if (!s->sel.t || s->view.a.made == s->gen.quant) return false;
    return s->sel.hand || s->q || !lua_waits(s->sel.init, nested) || !s->view.a.s.init[0];
}

static bool open_b(const qs_session *s, bool nested)
{
    if (!s->pin.there || !s->sel.t || s->view.b.made == s->gen.pin + s->gen.look) return false;
    return s->pin.t == s->sel.t || s->pin.hand || !lua_waits(s->pin.init, nested);
}

static bool open_qa(const qs_session *s, bool nested)
{
    (void)nested;
    return s->view.a.made && s->view.a.qbins_made != s->view.hist_seq;
}

static bool open_qb(const qs_session *s, bool nested)
{
    (void)nested;
    return s->view.b.made && s->view.b.qbins_made != s->view.hist_seq;
}

/* A model that was opened since may have it. */
static bool open_versus(const qs_session *s, bool nested)
{
    (void)nested;
    return versus_wanted(s) && (s->view.versus.made != s->gen.tensor || s->view.versus.models != s->nmodel);
}

static bool open_versus_bins(const qs_session *s, bool nested)
{
    (void)nested;
    return s->view.versus.a && s->view.hist_made == s->gen.look && s->view.versus.bins_made != s->view.hist_seq;
}

static bool open_curve(const qs_session *s, bool nested)
{
    (void)nested;
    return readable(s) && (s->view.curve_made != s->gen.format || s->view.curve_offset != curve_offset(s));
}

/* Inside a job the comparison follows the user's picks, but not every qs.select of a Lua loop. */
static bool open_compare(const qs_session *s, bool nested)
{
    if (!readable(s) || (nested && !s->by_key)) return false;
    if (s->view.compare_made != s->gen.format) return true;
    return s->view.cmp && !cmp_whole(s->view.cmp, s->sel.f->f, nested);
}

static const struct stage {
    bool (*open)(const qs_session *s, bool nested);
    int (*run)(qs_session *s, qs_err *err);
    unsigned yields;           /* picks of these fields make it pointless */
    bool to_jobs;              /* a line that waits goes first */
    const char *label;
} stages[] = {
    {open_summary, stage_summary, MOVED, false, N_("read %s")},
    {open_index, stage_index, MOVED, false, N_("index %s")},
    {open_hist, stage_hist, MOVED, false, NULL},
    {open_a, stage_a, MOVED | QS_PICK_FORMAT | QS_PICK_INIT, false, N_("quantizer of %s")},
    {open_qa, stage_qa, MOVED | QS_PICK_FORMAT | QS_PICK_INIT | QS_PICK_STEP | QS_PICK_OFFSET, false, NULL},
    {open_b, stage_b, MOVED | QS_PICK_PIN, false, N_("quantizer B of %s")},
    {open_qb, stage_qb, MOVED | QS_PICK_PIN | QS_PICK_STEP | QS_PICK_OFFSET, false, NULL},
    {open_versus, stage_versus, MOVED, false, N_("compare %s with the float model")},
    {open_versus_bins, stage_versus_bins, MOVED, false, NULL},
    {open_curve, stage_curve, ~0u, false, N_("curve of %s")},
    {open_compare, stage_compare, ~0u, true, N_("compare on %s")},
};
#define STAGES (sizeof stages / sizeof *stages)

bool view_open(const qs_session *s, bool nested)
{
    if (!s->board || s->view.stopped) return false;
    for (size_t i = 0; i < STAGES; i++)
        if (stages[i].open(s, nested)) return true;
    return false;
}

/* The sizes of the panes; what was made for others is made anew, and stays until then. */
static void follow_viewport(qs_session *s)
{
    struct view *v = &s->view;
    qs_viewport p;
    qs_board_viewport(s->board, &p);
    const qs_viewport *o = &v->port;
    bool same_lo = p.hist_lo == o->hist_lo || (isnan(p.hist_lo) && isnan(o->hist_lo));
    bool same_hi = p.hist_hi == o->hist_hi || (isnan(p.hist_hi) && isnan(o->hist_hi));
    if (p.hist_bins != o->hist_bins || !same_lo || !same_hi || p.hist_log_x != o->hist_log_x) v->hist_made = 0;
    if (p.curve_points != o->curve_points || p.curve_lo != o->curve_lo || p.curve_hi != o->curve_hi) v->curve_made = 0;
    v->port = p;
}

/* The first picture of a big tensor is its name and shape, at once. */
static void show_name_first(qs_session *s)
{
    qs_split split;
    size_t part;
    if (!open_index(s, s->nested) || s->sel.t->n < BIG || looked_at(s, &split, &part, NULL)) return;
    qs_index *ix = qs_cache_peek(s->cache, s->sel.t, &split, part);
    if (ix) {
        qs_index_unref(ix);
        return;
    }
    qs_session_publish(s, true);
    let_draw(s);
}

static int run_stage(qs_session *s, const struct stage *st, qs_err *err)
{
    char label[sizeof s->doing], name[64];
    unsigned yields = st->yields;
    if (one_part(s) && yields == MOVED) yields |= QS_PICK_FORMAT | QS_PICK_CHANNEL;
    if (st->run == stage_a && sel_parts(&s->sel, NULL) == 1) yields |= QS_PICK_STEP;
    snprintf(name, sizeof name, "%s", s->sel.t->name);
    if (st->label) snprintf(label, sizeof label, _(st->label), name);
    work_ctl(s, st->label ? label : NULL, yields, st->to_jobs);
    int rc = work_check(s, err);
    return rc ? rc : st->run(s, err);
}

int view_update(qs_session *s, qs_err *err)
{
    if (!s->board || s->view.stopped || !s->sel.t) return 0;
    follow_viewport(s);
    show_name_first(s);
    for (size_t i = 0; i < STAGES; i++) {
        if (!stages[i].open(s, s->nested)) continue;
        int rc = run_stage(s, &stages[i], err);
        if (rc == -QS_ECANCEL && qs_cancelled(&s->work) && !s->nested) {
            s->view.stopped = true;
            qs_session_status(s, _("stopped; the next selection goes on"));
        }
        if (rc) return rc;
        publish_staged(s);
    }
    return 0;
}
