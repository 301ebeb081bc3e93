/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * All initializations of a format on a tensor, side by side, each measured
 * against the least-squares optimum of the same part. Every part's index is
 * made once and serves all of them.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "quant/grid.h"
#include "quant/rows.h"

#define CHUNK ((size_t)16384)   /* elements a chunk */
enum { BATCH = 16 };

/* One initialization while it is being compared. */
struct lane {
    const qs_init *row;
    qs_init_opts opts;
    char name[64];
    double *step, *offset, *mse, *clipped;   /* (parts) */
    float *pick, *pick_offset;               /* (parts) */
    double seconds;
    qs_init_out first;     /* of part 0: texts and codebook */
    qs_err err;            /* the first thing that went wrong, or code 0 */
    char note[200];
    size_t noted;
};

struct table {
    qs_tensor *t;
    const qs_format *f;
    qs_split s;
    qs_cache *cache;
    const qs_ctl *ctl, *quiet;
    struct lane *lane;     /* (n); lane 0 is mse, the reference */
    size_t n;
    double unit;           /* of the steps (quantizer.h) */
    double *count, *energy;                  /* (parts) finite values; sum x^2 */
    const qs_tensor *weights;
    size_t per, first;
    double (*seconds)[BATCH];                /* (n)[chunk of the batch] */
    qs_err (*errs)[BATCH];                   /* (n)[chunk of the batch] */
    qs_err index_err[BATCH];
    bool lua;              /* this pass runs the rows in Lua, the other all but those */
};

static void fail_lane(struct table *b, size_t i, size_t slot, const qs_err *e)
{
    if (!b->errs[i][slot].code) b->errs[i][slot] = *e;
}

/* One part, of which every lane finds a step before all are measured. */
struct part {
    size_t p, slot;
    const qs_index *ix;
    const qs_ctl *ctl;
    qs_format **f;        /* (n) another format than the table's (lloyd), or NULL */
};

/* mse under its own name is the reference once more. */
static bool is_reference(const struct table *b, size_t i)
{
    return i > 0 && b->lane[i].row == b->lane[0].row && !*b->lane[i].opts.variant;
}

static void copy_reference(struct table *b, size_t i, size_t p, size_t slot, double seconds)
{
    struct lane *l = &b->lane[i], *of = &b->lane[0];
    if (b->errs[0][slot].code) fail_lane(b, i, slot, &b->errs[0][slot]);
    l->step[p] = of->step[p];
    l->offset[p] = of->offset[p];
    l->pick[p] = of->pick[p];
    l->pick_offset[p] = of->pick_offset[p];
    if (p == 0) l->first = of->first;
    b->seconds[i][slot] += seconds;
}

/* Returns what it took. */
static double lane_part(struct table *b, size_t i, const struct part *part)
{
    struct lane *l = &b->lane[i];
    float *x = qs_init_values(l->row, b->t, &b->s, part->p);
    qs_init_in in = {.ix = part->ix, .f = b->f, .opts = &l->opts, .ctl = part->ctl, .unit = b->unit, .x = x,
                     .n = x ? qs_split_len(&b->s, b->t, part->p) : 0};
    qs_init_out out = {0};
    qs_err e = {0};
    double start = qs_now();
    int rc = qs_init_part(l->row, &in, &out, &e);
    free(x);
    double seconds = qs_now() - start;
    b->seconds[i][part->slot] += seconds;
    if (rc) {
        if (!e.code) e.code = -rc;
        fail_lane(b, i, part->slot, &e);
        return seconds;
    }
    l->step[part->p] = out.step;
    l->offset[part->p] = out.offset;
    l->pick[part->p] = out.pick;
    l->pick_offset[part->p] = out.pick_offset;
    part->f[i] = out.f;
    if (part->p == 0) l->first = out;
    return seconds;
}

/* Whether a lane takes part in this pass, and nothing has gone wrong with it. */
static bool runs(const struct table *b, size_t i, size_t slot)
{
    bool lua = b->lane[i].row && (b->lane[i].row->flags & QS_INIT_LUA);
    return b->lane[i].row && !b->lane[i].err.code && !b->errs[i][slot].code && lua == b->lua;
}

static void grid_of(const struct table *b, size_t i, const struct part *part, qs_grid *g)
{
    const struct lane *l = &b->lane[i];
    qs_grid_at(g, part->f[i] ? part->f[i] : b->f, l->step[part->p], l->offset[part->p]);
    if (l->pick[part->p] != 0) qs_grid_pick(g, l->pick[part->p], l->pick_offset[part->p]);
    qs_grid_levels(g);
}

/* Buckets are looked at again where the levels of the lanes part, so that errors are exact; NULL: no need, or no way. */
static qs_index *look_again(const struct table *b, const struct part *part)
{
    qs_interval *at = NULL;
    size_t n = 0;
    if (!qs_index_refinable(part->ix)) return NULL;
    for (size_t i = 0; i < b->n; i++) {
        if (!runs(b, i, part->slot)) continue;
        qs_grid g;
        grid_of(b, i, part, &g);
        float *v = qs_xmalloc((g.n + 1) * sizeof *v);
        at = qs_xrealloc(at, (n + g.n + 1) * sizeof *at);
        qs_grid_edges(&g, v);
        for (size_t k = 0; k <= g.n; k++) at[n++] = (qs_interval){v[k], v[k]};
        qs_grid_clear(&g);
        free(v);
    }
    bool fits = qs_index_refine_count(part->ix, at, n) <= qs_index_fine_most();
    qs_index *fine = fits ? qs_index_refine(part->ix, at, n, part->ctl, NULL) : NULL;
    free(at);
    return fine;
}

static void measure(struct table *b, const struct part *part)
{
    qs_index *fine = look_again(b, part);
    for (size_t i = 0; i < b->n; i++) {
        struct lane *l = &b->lane[i];
        if (!runs(b, i, part->slot)) continue;
        qs_grid g;
        grid_of(b, i, part, &g);
        l->mse[part->p] = qs_error_mse(&g, fine ? fine : part->ix, &l->clipped[part->p]);
        qs_grid_clear(&g);
    }
    qs_index_unref(fine);
}

static void do_part(struct table *b, size_t p, size_t slot, const qs_ctl *ctl)
{
    qs_err e = {0};
    qs_index *ix = qs_init_part_index(b->t, &b->s, p, b->weights, b->cache, ctl, &e);
    if (!ix && e.code != QS_ERANGE) b->index_err[slot] = e;
    if (!ix) {   /* nothing finite: any step, no error */
        for (size_t i = 0; i < b->n; i++) b->lane[i].step[p] = 1;
        return;
    }
    struct part part = {p, slot, ix, ctl, qs_xcalloc(b->n, sizeof *part.f)};
    qs_sums all = qs_index_total(ix);
    double reference = 0;
    b->count[p] = all.w;
    b->energy[p] = all.wxx;
    for (size_t i = 0; i < b->n; i++) {
        if (!runs(b, i, slot)) continue;
        if (is_reference(b, i)) copy_reference(b, i, p, slot, reference);
        else {
            double seconds = lane_part(b, i, &part);
            if (i == 0) reference = seconds;
        }
    }
    measure(b, &part);
    for (size_t i = 0; i < b->n && p; i++) qs_format_free(part.f[i]);
    free(part.f);
    qs_index_unref(ix);
}

static void do_chunk(void *arg, size_t i)
{
    struct table *b = arg;
    size_t from = (b->first + i) * b->per, to = from + b->per < b->s.parts ? from + b->per : b->s.parts;
    for (size_t p = from; p < to; p++) do_part(b, p, i, b->quiet);
}

static int collect(struct table *b, size_t chunks, qs_err *err)
{
    for (size_t c = 0; c < chunks; c++) {
        if (b->index_err[c].code) return qs_fail(err, b->index_err[c].code, "%s", b->index_err[c].msg);
        for (size_t i = 0; i < b->n; i++) {
            b->lane[i].seconds += b->seconds[i][c];
            if (b->errs[i][c].code == QS_ECANCEL) return qs_fail(err, QS_ECANCEL, "%s", b->errs[i][c].msg);
            if (!b->lane[i].err.code) b->lane[i].err = b->errs[i][c];
        }
    }
    return 0;
}

/* All parts for the rows in Lua (one after the other, on this thread) or for all others. */
static int pass(struct table *b, bool lua, qs_err *err)
{
    size_t longest = qs_split_longest(&b->s, b->t);
    bool alone = lua || b->s.parts == 1;
    int rc = 0;
    b->lua = lua;
    b->per = alone || !longest || longest >= CHUNK ? 1 : CHUNK / longest;
    size_t chunks = (b->s.parts + b->per - 1) / b->per;
    for (b->first = 0; b->first < chunks && !rc; b->first += BATCH) {
        size_t n = chunks - b->first < BATCH ? chunks - b->first : BATCH;
        rc = qs_ctl_check(b->ctl, _("comparing"), (double)b->first / (double)chunks, err);
        if (rc) break;
        memset(b->seconds, 0, b->n * sizeof *b->seconds);
        memset(b->errs, 0, b->n * sizeof *b->errs);
        memset(b->index_err, 0, sizeof b->index_err);
        if (alone) for (size_t i = 0; i < n; i++) do_part(b, b->first + i, i, b->ctl);
        else qs_parallel(n, do_chunk, b);
        rc = collect(b, n, err);
    }
    return rc;
}

/* ---- what to compare ---------------------------------------------------------------------- */
static void lane_init(struct table *b, struct lane *l, const qs_init *row, const char *name, const qs_init_opts *o)
{
    *l = (struct lane){.row = row, .opts = o ? *o : (qs_init_opts){0}};
    snprintf(l->name, sizeof l->name, "%s", name);
    if (!row) row = qs_init_find(name, l->opts.variant, &l->err);
    else if (*l->opts.variant && !row->variants) *l->opts.variant = 0;
    l->row = row;
    if (row && row->applies && row->applies(b->f, l->opts.role, &l->err)) l->row = NULL;
    l->step = qs_xcalloc(4 * b->s.parts, sizeof(double));
    l->offset = l->step + b->s.parts;
    l->mse = l->offset + b->s.parts;
    l->clipped = l->mse + b->s.parts;
    l->pick = qs_xcalloc(2 * b->s.parts, sizeof *l->pick);
    l->pick_offset = l->pick + b->s.parts;
}

static void choose(struct table *b, const char *const *wanted, size_t n, const qs_init_opts *o)
{
    size_t rows = qs_init_count();
    qs_init_opts plain = o ? *o : (qs_init_opts){0};
    *plain.variant = 0;
    b->lane = qs_xcalloc((wanted ? n : rows) + 1, sizeof *b->lane);
    lane_init(b, &b->lane[b->n++], qs_init_named("mse"), "mse", &plain);
    for (size_t i = 0; i < (wanted ? n : rows); i++) {
        const qs_init *row = wanted ? NULL : qs_init_at(i);
        if (row && (row->flags & QS_INIT_NAMED_ONLY)) continue;
        if (row && row->applies && row->applies(b->f, plain.role, NULL)) continue;
        lane_init(b, &b->lane[b->n++], row, wanted ? wanted[i] : row->name, &plain);
    }
}

/* ---- rows ------------------------------------------------------------------------------------- */
static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(const double *v, size_t n)
{
    double *s = qs_xmalloc(n * sizeof *s), m;
    memcpy(s, v, n * sizeof *s);
    qsort(s, n, sizeof *s, ascending);
    m = n % 2 ? s[n / 2] : 0.5 * (s[n / 2 - 1] + s[n / 2]);
    free(s);
    return m;
}

/* exp of the mean of ln |s / s*| over parts that have values. */
static double step_ratio(const struct table *b, const struct lane *l)
{
    double sum = 0, n = 0;
    const struct lane *ref = &b->lane[0];
    if (l->first.f || ref->err.code) return NAN;
    for (size_t p = 0; p < b->s.parts; p++) {
        if (!(b->count[p] > 0) || !(b->energy[p] > 0)) continue;
        sum += log(fabs(l->step[p] / ref->step[p]));
        n++;
    }
    return n > 0 ? exp(sum / n) : NAN;
}

static double total(const struct table *b, const double *per_part)
{
    double sum = 0;
    for (size_t p = 0; p < b->s.parts; p++) sum += per_part[p] * b->count[p];
    return sum;
}

static double mse_ratio(const struct table *b, const struct lane *l)
{
    double e = total(b, l->mse), least = total(b, b->lane[0].mse);
    if (b->lane[0].err.code) return NAN;
    return least > 0 ? e / least : e == 0 ? 1 : NAN;
}

static qs_quantizer *quantizer_of(const struct table *b, struct lane *l)
{
    const qs_format *f = l->first.f ? l->first.f : b->f;
    qs_quantizer *q = qs_quantizer_blocks(f, &b->s, b->s.parts, b->unit, l->step, f->offset ? l->offset : NULL,
                                          l->row->flags & QS_INIT_VALUES ? l->pick : NULL, l->pick_offset, &l->err);
    if (!q) return NULL;
    snprintf(q->init, sizeof q->init, "%s", l->name);
    if (*l->first.formula)
        q->formula = b->s.parts > 1 ? qs_xasprintf(_("%s; the first of %zu: %s"), l->row->formula, b->s.parts,
                                                   l->first.formula)
                                    : qs_xstrdup(l->first.formula);
    q->source = l->row->source && *l->row->source ? l->row->source : NULL;
    if (*l->first.note) q->note = qs_xstrdup(l->first.note);
    q->ms = l->seconds * 1e3;
    return q;
}

static void failed_row(const struct lane *l, qs_compare_row *r)
{
    *r = (qs_compare_row){.code = l->err.code ? l->err.code : QS_ESTATE, .step = NAN, .offset = NAN, .clip = NAN,
                          .mse = NAN, .nmse = NAN, .sqnr_db = NAN, .clipped = NAN, .step_ratio = NAN,
                          .mse_ratio = NAN, .ms = NAN};
    snprintf(r->init, sizeof r->init, "%s", l->name);
    snprintf(r->error, sizeof r->error, "%.250s", l->err.msg);
}

static void fill_row(const struct table *b, struct lane *l, qs_compare_row *r)
{
    qs_quantizer *q = l->row && !l->err.code ? quantizer_of(b, l) : NULL;
    if (!q) {
        failed_row(l, r);
        return;
    }
    double n = 0, energy = 0;
    for (size_t p = 0; p < b->s.parts; p++) {
        n += b->count[p];
        energy += b->energy[p];
    }
    *r = (qs_compare_row){.step = median(l->step, b->s.parts), .offset = median(l->offset, b->s.parts), .ms = q->ms,
                          .q = q};
    snprintf(r->init, sizeof r->init, "%s", l->name);
    r->clip = fabs(r->step) * q->f->cmax;
    r->mse = total(b, l->mse) / n;
    r->nmse = r->mse == 0 ? 0 : energy > 0 ? r->mse * n / energy : INFINITY;
    r->sqnr_db = r->nmse > 0 ? -10 * log10(r->nmse) : INFINITY;
    r->clipped = total(b, l->clipped) / n;
    r->step_ratio = step_ratio(b, l);
    r->mse_ratio = mse_ratio(b, l);
}

static int by_mse(const void *a, const void *b)
{
    const qs_compare_row *x = a, *y = b;
    if (!x->code != !y->code) return x->code ? 1 : -1;
    if (x->code) return strcmp(x->init, y->init);
    return x->mse != y->mse ? (x->mse > y->mse) - (x->mse < y->mse) : strcmp(x->init, y->init);
}

static int fill(struct table *b, qs_compare *out, qs_err *err)
{
    double n = 0;
    for (size_t p = 0; p < b->s.parts; p++) n += b->count[p];
    if (!(n > 0)) return qs_fail(err, QS_ERANGE, _("tensor %s has no finite value"), b->t->name ? b->t->name : "?");
    out->n = b->n - 1;
    out->row = qs_xcalloc(b->n, sizeof *out->row);
    for (size_t i = 1; i < b->n; i++) fill_row(b, &b->lane[i], &out->row[i - 1]);
    qsort(out->row, out->n, sizeof *out->row, by_mse);
    return 0;
}

static void table_clear(struct table *b)
{
    for (size_t i = 0; i < b->n; i++) {
        free(b->lane[i].step);
        free(b->lane[i].pick);
        qs_format_free(b->lane[i].first.f);
    }
    free(b->lane);
    free(b->count);
    free(b->seconds);
    free(b->errs);
}

int qs_compare_tensor(qs_tensor *t, const qs_format *f, const char *const *names, size_t n, const qs_init_opts *o,
                      qs_cache *cache, const qs_ctl *ctl, qs_compare *out, qs_err *err)
{
    struct table b = {.t = t, .f = f, .cache = cache, .ctl = ctl, .weights = o ? o->weights : NULL};
    qs_ctl quiet = ctl ? (qs_ctl){.cancel_upto = ctl->cancel_upto, .job = ctl->job} : (qs_ctl){0};
    *out = (qs_compare){0};
    int rc = qs_init_check_opts(t, o, err);
    if (!rc) rc = qs_format_split(f, t, &b.s, err);
    if (!rc) rc = qs_init_unit(f, t, ctl, &b.unit, err);
    if (rc) return rc;
    b.quiet = &quiet;
    choose(&b, names, n, o);
    b.count = qs_xcalloc(2 * b.s.parts, sizeof(double));
    b.energy = b.count + b.s.parts;
    b.seconds = qs_xcalloc(b.n, sizeof *b.seconds);
    b.errs = qs_xcalloc(b.n, sizeof *b.errs);
    bool lua = false;
    for (size_t i = 0; i < b.n; i++) lua |= b.lane[i].row && (b.lane[i].row->flags & QS_INIT_LUA);
    rc = pass(&b, false, err);
    if (!rc && lua) rc = pass(&b, true, err);
    if (!rc) rc = fill(&b, out, err);
    table_clear(&b);
    return rc;
}

void qs_compare_clear(qs_compare *c)
{
    for (size_t i = 0; i < c->n; i++) qs_quantizer_unref(c->row[i].q);
    free(c->row);
    *c = (qs_compare){0};
}
