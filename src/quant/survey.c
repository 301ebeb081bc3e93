/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A whole model in one pass: which tensors are worked on together, what is kept of each, and what they add up to. What is
 * measured of one is in compare.c, stat/summary.c and stat/peaks.c; bits are given out in budget.c.
 */
#include "quant/survey.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "model/packed.h"

#define VALUE_BYTES 24             /* a tensor takes so much a value at most while it is worked on, its cache included */
#define CACHE ((size_t)80 << 20)   /* of indexes, of a tensor that has all threads */
#define COUNTED_FROM 65536          /* values of 1 or 2 bytes */
enum { BATCH = 64, CURVE = 400 };

struct survey {
    const qs_survey_opts *o;
    const qs_ctl *ctl;
    qs_ctl quiet, inner;           /* quiet: only asks for cancel; inner: also tells progress, of the whole */
    qs_survey *out;
    double done, here, all;        /* values done; in the tensor that is worked on; in all */
    size_t first;                  /* of the batch */
    qs_err errs[BATCH];            /* what ends the work: ECANCEL, ENOMEM */
};

/* ---- one tensor ------------------------------------------------------------------------------------ */
static char *text_or_null(const char *s) { return s && *s ? qs_xstrdup(s) : NULL; }

static void fail_cell(qs_survey_cell *c, int code, const char *why)
{
    const double no = NAN;
    *c = (qs_survey_cell){.code = code, .error = qs_xstrdup(why), .step = no, .offset = no, .clip = no, .mse = no, .nmse = no,
                          .sqnr_db = no, .clipped = no, .mse_ratio = no, .rule_ratio = no, .bpw = no};
}

static void take_cell(qs_survey_cell *c, const qs_compare *all)
{
    const qs_compare_row *best = &all->row[0];
    *c = (qs_survey_cell){.note = text_or_null(best->q ? best->q->note : NULL), .step = best->step, .offset = best->offset,
                          .clip = best->clip, .mse = best->mse, .nmse = best->nmse, .sqnr_db = best->sqnr_db,
                          .clipped = best->clipped, .mse_ratio = best->mse_ratio, .rule_ratio = NAN};
    snprintf(c->init, sizeof c->init, "%s", best->init);
    for (size_t i = 0; i < all->n && !all->row[i].code; i++)
        if (strcmp(all->row[i].init, "mse")) {
            snprintf(c->rule, sizeof c->rule, "%s", all->row[i].init);
            c->rule_ratio = all->row[i].mse_ratio;
            break;
        }
}

static bool ends_all(int code) { return code == QS_ECANCEL || code == QS_ENOMEM || code == QS_EIO; }

static int do_cell(const struct survey *s, qs_tensor *t, const qs_format *f, qs_cache *cache, const qs_ctl *ctl,
                   qs_survey_cell *c, qs_err *err)
{
    qs_compare all = {0};
    int rc = qs_compare_tensor(t, f, s->o->init, s->o->ninit, NULL, cache, ctl, &all, err);
    if (!rc && all.n && !all.row[0].code) take_cell(c, &all);
    else if (!rc && all.n) fail_cell(c, all.row[0].code, all.row[0].error);
    else if (!rc) fail_cell(c, QS_ESTATE, _("no initialization applies"));
    else if (!ends_all(-rc)) fail_cell(c, -rc, err->msg);
    if (!c->code) c->bpw = qs_format_bpw(f, t);
    qs_compare_clear(&all);
    return ends_all(-rc) ? rc : 0;
}

/* Bytes an index may take in the cache: all of them for a small tensor. */
static size_t cache_for(const qs_tensor *t) { return t->n < CACHE / 8 ? 8 * t->n + ((size_t)4 << 20) : CACHE; }

/* Where values are counted anyway they need not be read for statistics. */
static int statistics(qs_tensor *t, qs_cache *cache, const qs_ctl *ctl, qs_summary *out, qs_err *err)
{
    qs_split whole;
    qs_err mine = {0};
    if (qs_dtype_size(t->dtype) <= 2 && t->n >= COUNTED_FROM && !qs_split_init(&whole, t, QS_SPLIT_TENSOR, 0, 0, NULL)) {
        qs_index *ix = qs_cache_get(cache, t, &whole, 0, ctl, &mine);
        bool known = ix && qs_summary_counted(ix, out);
        qs_index_unref(ix);
        if (known) return 0;
        if (mine.code && ends_all(mine.code)) return qs_fail(err, mine.code, "%s", mine.msg);
    }
    return qs_summary_tensor(t, ctl, out, err);
}

static int do_tensor(const struct survey *s, qs_survey_row *r, const qs_ctl *ctl, qs_err *err)
{
    qs_tensor *t = r->t;
    bool known = t->dtype != QS_UNKNOWN_DTYPE;
    qs_cache *cache = qs_cache_new(cache_for(t));
    int rc = known ? statistics(t, cache, ctl, &r->s, err) : 0;
    if (!rc && known) rc = qs_outliers_find(t, ctl, &r->o, err);
    for (size_t k = 0; k < s->o->nf && !rc; k++) rc = do_cell(s, t, s->o->f[k], cache, ctl, &r->cell[k], err);
    qs_cache_free(cache);
    return rc;
}

/* ---- all of them ----------------------------------------------------------------------------------- */
static int tell(void *ctx, const char *what, double part)
{
    struct survey *s = ctx;
    double done = s->done + (part > 0 && part <= 1 ? part * s->here : 0);
    (void)what;
    return s->ctl->poll(s->ctl->ctx, _("report"), s->all > 0 ? done / s->all : -1);
}

static void do_one(void *arg, size_t i)
{
    struct survey *s = arg;
    qs_survey_row *r = &s->out->row[s->first + i];
    if (do_tensor(s, r, &s->quiet, &s->errs[i]) && !s->errs[i].code) s->errs[i].code = QS_ESTATE;
}

/* Initializations in Lua run on the thread that asked. */
static bool has_lua(const qs_survey_opts *o)
{
    bool lua = false;
    for (size_t i = 0; i < (o->init ? o->ninit : qs_init_count()); i++) {
        const qs_init *row = o->init ? qs_init_named(o->init[i]) : qs_init_at(i);
        lua |= row && (row->flags & QS_INIT_LUA);
    }
    return lua;
}

/* How many tensors from here on are worked on together; 1: the next one by all threads. */
static size_t batch_from(const struct survey *s, size_t i, size_t most)
{
    size_t n = 0;
    while (i + n < s->out->n && n < BATCH && s->out->row[i + n].t->n <= most) n++;
    return n ? n : 1;
}

static int run_batch(struct survey *s, size_t n, bool together, qs_err *err)
{
    memset(s->errs, 0, sizeof s->errs);
    s->here = (double)s->out->row[s->first].t->n;
    if (together) qs_parallel(n, do_one, s);
    else if (do_tensor(s, &s->out->row[s->first], &s->inner, &s->errs[0]) && !s->errs[0].code) s->errs[0].code = QS_ESTATE;
    for (size_t i = 0; i < n; i++) {
        if (s->errs[i].code && ends_all(s->errs[i].code)) return qs_fail(err, s->errs[i].code, "%s", s->errs[i].msg);
        s->done += (double)s->out->row[s->first + i].t->n;
    }
    qs_big_keep(QS_SURVEY_KEPT);
    return 0;
}

static int run_all(struct survey *s, qs_err *err)
{
    bool lua = has_lua(s->o);
    size_t most = lua ? 0 : QS_SURVEY_MEMORY / VALUE_BYTES / (size_t)qs_threads(), n;
    int rc = 0;
    for (size_t i = 0; i < s->out->n && !rc; i += n) {
        n = batch_from(s, i, most);
        s->first = i;
        rc = qs_ctl_check(s->ctl, _("report"), s->all > 0 ? s->done / s->all : -1, err);
        if (!rc) rc = run_batch(s, n, !lua && s->out->row[i].t->n <= most, err);
    }
    return rc;
}

/* ---- totals and the budget ----------------------------------------------------------------------- */
static double weight_of(const qs_survey_row *r) { return (double)(r->s.n - r->s.nans - r->s.infs); }

static void add(qs_survey_total *to, const qs_survey_row *r, const qs_survey_cell *c)
{
    to->tensors++;
    to->values += r->t->n;
    to->bits += c->bpw * (double)r->t->n;
    to->nmse += c->nmse * weight_of(r);   /* divided in finish() */
}

static void finish(qs_survey_total *t, double weight)
{
    t->bpw = t->values ? t->bits / (double)t->values : NAN;
    t->nmse = weight > 0 ? t->nmse / weight : NAN;
    t->sqnr_db = t->nmse > 0 ? -10 * log10(t->nmse) : t->nmse == 0 ? INFINITY : NAN;
}

static void sum_up(qs_survey *s)
{
    for (size_t k = 0; k < s->nf; k++) {
        double weight = 0;
        for (size_t i = 0; i < s->n; i++) {
            if (s->row[i].cell[k].code) continue;
            add(&s->total[k], &s->row[i], &s->row[i].cell[k]);
            weight += weight_of(&s->row[i]);
        }
        finish(&s->total[k], weight);
    }
    for (size_t i = 0; i < s->n; i++) {
        const qs_tensor *t = s->row[i].t;
        s->stored += qs_tensor_bpw(t) * (double)t->n;
    }
}

/* What the budget is about: values, and how many of them are finite. */
struct room { double values, weight; };

static qs_choice *choices(const qs_survey *s, struct room *all)
{
    qs_choice *c = qs_xcalloc(s->n * s->nf + 1, sizeof *c);
    *all = (struct room){0, 0};
    for (size_t i = 0; i < s->n; i++) {
        const qs_survey_row *r = &s->row[i];
        bool some = false;
        for (size_t k = 0; k < s->nf; k++) {
            const qs_survey_cell *cell = &r->cell[k];
            bool good = !cell->code && isfinite(cell->nmse);
            some |= good;
            c[i * s->nf + k] = good ? (qs_choice){cell->bpw * (double)r->t->n, cell->nmse * weight_of(r)} : (qs_choice){NAN, NAN};
        }
        all->values += some ? (double)r->t->n : 0;
        all->weight += some ? weight_of(r) : 0;
    }
    return c;
}

static double in_db(double nmse) { return nmse > 0 ? -10 * log10(nmse) : INFINITY; }

/* What could be had, in the units that were asked in. */
static int say_limit(const qs_survey_opts *o, const qs_choice *curve, size_t n, qs_err *err)
{
    if (o->budget > 0)
        return qs_fail(err, QS_ERANGE, _("a budget of %g bits a weight is less than the smallest formats take, %.4g"), o->budget,
                       curve[0].bits);
    return qs_fail(err, QS_ERANGE, _("an SQNR of %g dB is more than the best formats reach, %.4g dB"), o->sqnr_db,
                   in_db(curve[n - 1].error));
}

static void take_picks(qs_survey *s, const size_t *pick, double weight)
{
    for (size_t i = 0; i < s->n; i++) {
        s->row[i].pick = pick[i];
        if (pick[i] < s->nf) add(&s->picked, &s->row[i], &s->row[i].cell[pick[i]]);
    }
    finish(&s->picked, weight);
}

static int allot(qs_survey *s, const qs_survey_opts *o, qs_err *err)
{
    struct room all;
    qs_budget b;
    qs_choice *c = choices(s, &all);
    size_t *pick = qs_xcalloc(s->n + 1, sizeof *pick);
    int rc = 0;
    s->curve = qs_xcalloc(CURVE, sizeof *s->curve);
    s->ncurve = all.values > 0 ? qs_budget_curve(c, s->n, s->nf, s->curve, CURVE) : 0;
    for (size_t i = 0; i < s->ncurve; i++) {
        s->curve[i].bits /= all.values;
        s->curve[i].error /= fmax(all.weight, 1);
    }
    if ((o->budget > 0 || o->sqnr_db > 0) && !s->ncurve)
        rc = qs_fail(err, QS_ERANGE, _("no tensor has an error to give bits by"));
    else if (o->budget > 0) rc = qs_budget_bits(c, s->n, s->nf, o->budget * all.values, pick, &b, NULL);
    else if (o->sqnr_db > 0) rc = qs_budget_error(c, s->n, s->nf, pow(10, -o->sqnr_db / 10) * all.weight, pick, &b, NULL);
    if (rc && s->ncurve) say_limit(o, s->curve, s->ncurve, err);
    s->budgeted = !rc && (o->budget > 0 || o->sqnr_db > 0);
    if (s->budgeted) {
        take_picks(s, pick, all.weight);
        s->bound = o->budget > 0 ? in_db(b.bound / all.weight) : b.bound / all.values;
    }
    free(pick);
    free(c);
    return rc;
}

/* ---- what others call ------------------------------------------------------------------------------ */
static void survey_init(qs_survey *out, qs_tensor *const *t, size_t n, size_t nf)
{
    *out = (qs_survey){.n = n, .nf = nf, .row = qs_xcalloc(n + 1, sizeof *out->row), .total = qs_xcalloc(nf + 1, sizeof *out->total)};
    for (size_t i = 0; i < n; i++) {
        out->row[i] = (qs_survey_row){.t = qs_tensor_ref(t[i]), .s = {.n = t[i]->n}, .cell = qs_xcalloc(nf + 1, sizeof(qs_survey_cell)),
                                      .pick = nf};
        for (size_t k = 0; k < nf; k++) out->row[i].cell[k].code = QS_ESTATE;
    }
}

int qs_survey_run(qs_tensor *const *t, size_t n, const qs_survey_opts *o, const qs_ctl *ctl, qs_survey *out, qs_err *err)
{
    struct survey s = {.o = o, .ctl = ctl, .out = out};
    survey_init(out, t, n, o->nf);
    if (!n || !o->nf) return qs_fail(err, QS_EARG, _("a report needs a tensor and a format"));
    for (size_t i = 0; i < n; i++) s.all += (double)t[i]->n;
    if (ctl) s.quiet = (qs_ctl){.cancel_upto = ctl->cancel_upto, .job = ctl->job};
    s.inner = s.quiet;
    if (ctl && ctl->poll) s.inner.poll = tell, s.inner.ctx = &s;
    int rc = run_all(&s, err);
    if (rc) return rc;
    sum_up(out);
    return allot(out, o, err);
}

void qs_survey_clear(qs_survey *s)
{
    for (size_t i = 0; i < s->n; i++) {
        for (size_t k = 0; k < s->nf; k++) {
            free(s->row[i].cell[k].error);
            free(s->row[i].cell[k].note);
        }
        free(s->row[i].cell);
        qs_tensor_unref(s->row[i].t);
    }
    free(s->row);
    free(s->total);
    free(s->curve);
    *s = (qs_survey){0};
}
