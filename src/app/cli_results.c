/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * quantscope results: what a results database holds: its sweeps, or one sweep in
 * groups with means and intervals, compared with a baseline.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "app/app.h"
#include "app/out.h"
#include "base/mem.h"
#include "base/text.h"
#include "store/groups.h"

static qs_out_kind kind_of(const qs_args *a) { return a->json ? QS_OUT_JSON : a->csv ? QS_OUT_CSV : QS_OUT_TABLE; }

/* ---- the sweeps ------------------------------------------------------------------------------------- */
enum { L_SWEEP, L_MADE, L_CELLS, L_DONE, L_FAILED, L_RUNNING, L_LEFT, L_SCRIPT, L_PROGRAM, L_COLS };

static const qs_out_col list_cols[L_COLS] = {
    [L_SWEEP] = {"sweep", N_("sweep"), QS_COL_ALL, -20, NULL},
    [L_MADE] = {"made", N_("made (UTC)"), QS_COL_ALL, -24, NULL},
    [L_CELLS] = {"cells", N_("cells"), QS_COL_ALL, 7, NULL},
    [L_DONE] = {"done", N_("done"), QS_COL_ALL, 7, NULL},
    [L_FAILED] = {"failed", N_("failed"), QS_COL_ALL, 7, NULL},
    [L_RUNNING] = {"running", N_("running"), QS_COL_ALL, 7, NULL},
    [L_LEFT] = {"left", N_("left"), QS_COL_ALL, 7, NULL},
    [L_SCRIPT] = {"script", N_("script"), QS_COL_ALL, 0, NULL},
    [L_PROGRAM] = {"program", NULL, QS_COL_DATA, 0, NULL},
};

static int print_list(const qs_args *a, const qs_sweep_row *row, size_t n)
{
    qs_out o;
    qs_out_begin(&o, kind_of(a), list_cols, L_COLS);
    qs_out_head(&o);
    bool more = true;
    for (size_t i = 0; i < n && more; i++) {
        const qs_sweep_row *r = &row[i];
        qs_out_val v[L_COLS] = {
            [L_SWEEP] = qs_out_text(r->name), [L_MADE] = qs_out_text(r->made), [L_CELLS] = qs_out_count((int64_t)r->cells),
            [L_DONE] = qs_out_count((int64_t)r->done), [L_FAILED] = qs_out_count((int64_t)r->failed),
            [L_RUNNING] = qs_out_count((int64_t)r->running), [L_LEFT] = qs_out_count((int64_t)r->left),
            [L_SCRIPT] = qs_out_text(r->script), [L_PROGRAM] = qs_out_text(r->program),
        };
        more = qs_out_row(&o, v);
    }
    return qs_out_end(&o);
}

/* ---- one sweep in groups ------------------------------------------------------------------------------ */
/* Columns after those of the parameters. */
enum { METRIC, N, MEAN, STD, MIN, MAX, LO, HI, DIFF, DIFF_LO, DIFF_HI, PAIRS, P, UNDEFINED, FAILED, LEFT, COLS };

static const qs_out_col cols[COLS] = {
    [METRIC] = {"metric", NULL, QS_COL_DATA, 0, NULL},
    [N] = {"n", N_("n"), QS_COL_ALL, 4, NULL},
    [MEAN] = {"mean", N_("mean"), QS_COL_ALL, 8, "%.5g"},
    [STD] = {"std", N_("std"), QS_COL_ALL, 8, "%.3g"},
    [MIN] = {"min", N_("min"), QS_COL_ALL, 8, "%.4g"},
    [MAX] = {"max", NULL, QS_COL_DATA, 0, NULL},
    [LO] = {"lo", N_("95 % lo"), QS_COL_ALL, 8, "%.4g"},
    [HI] = {"hi", N_("hi"), QS_COL_ALL, 8, "%.4g"},
    [DIFF] = {"diff", N_("diff"), QS_COL_ALL, 8, "%+.3g"},
    [DIFF_LO] = {"diff_lo", N_("95 % lo"), QS_COL_ALL, 8, "%+.3g"},
    [DIFF_HI] = {"diff_hi", N_("hi"), QS_COL_ALL, 8, "%+.3g"},
    [PAIRS] = {"pairs", N_("pairs"), QS_COL_ALL, 5, NULL},
    [P] = {"p", N_("p"), QS_COL_ALL, 7, "%.2g"},
    [UNDEFINED] = {"undefined", N_("undefined"), QS_COL_ALL, 9, NULL},
    [FAILED] = {"failed", N_("failed"), QS_COL_ALL, 6, NULL},
    [LEFT] = {"left", N_("left"), QS_COL_ALL, 5, NULL},
};
enum { MOST_BY = QS_OUT_MAX - COLS };

typedef struct report {
    const qs_args *a;
    qs_study y;
    qs_groups g;
    qs_out_col col[QS_OUT_MAX];
    size_t ncol;
} report;

static qs_out_val value_of(const qs_value *v)
{
    if (!v) return (qs_out_val){0};
    switch (v->kind) {
    case QS_VALUE_INT: return qs_out_count((int64_t)v->x);
    case QS_VALUE_REAL: return qs_out_real(v->x);
    case QS_VALUE_BOOL: return qs_out_bool(v->x != 0);
    default: return qs_out_text(v->text);
    }
}

static int width_of(const qs_factor *p, const char *label)
{
    int w = qs_out_width(label);
    for (size_t i = 0; i < p->nvalue; i++) {
        int k = qs_out_width(p->value[i].text);
        if (k > w) w = k;
    }
    return w < 40 ? w : 40;
}

/* Columns about a baseline or about cells without a number are there only where there is one. */
static void choose_columns(report *r)
{
    size_t undefined = 0, left = r->y.count[QS_TRIAL_NONE] + r->y.count[QS_TRIAL_RUNNING];
    for (size_t i = 0; i < r->g.n; i++) undefined += r->g.g[i].undefined;
    for (size_t i = 0; i < r->g.nby; i++) {
        const char *label = r->g.label[i];
        r->col[r->ncol++] = (qs_out_col){label, label, QS_COL_ALL, -width_of(&r->y.param[r->g.by[i]], label), NULL};
    }
    for (size_t i = 0; i < COLS; i++) {
        qs_out_col c = cols[i];
        if (i >= DIFF && i <= P && !r->a->baseline) c.where = QS_COL_DATA | QS_COL_OPTIONAL;
        if ((i == UNDEFINED && !undefined) || (i == FAILED && !qs_study_failed(&r->y)) || (i == LEFT && !left))
            c.where &= ~QS_COL_TABLE;
        r->col[r->ncol++] = c;
    }
}

static void put_stat(const report *r, qs_out_val *v, const qs_group *g)
{
    v[METRIC] = qs_out_text(r->g.metric < 0 ? NULL : r->y.t.metric[r->g.metric]);
    v[N] = qs_out_count((int64_t)g->stat.n);
    v[MEAN] = qs_out_real(g->stat.mean);
    v[STD] = qs_out_real(g->stat.std);
    v[MIN] = qs_out_real(g->stat.min);
    v[MAX] = qs_out_real(g->stat.max);
    v[LO] = qs_out_real(g->stat.lo);
    v[HI] = qs_out_real(g->stat.hi);
    v[UNDEFINED] = qs_out_count((int64_t)g->undefined);
    v[FAILED] = qs_out_count((int64_t)g->failed);
    v[LEFT] = qs_out_count((int64_t)g->left);
}

static void put_diff(qs_out_val *v, const qs_group *g)
{
    v[DIFF] = qs_out_real(g->diff.mean);
    v[DIFF_LO] = qs_out_real(g->diff.lo);
    v[DIFF_HI] = qs_out_real(g->diff.hi);
    v[PAIRS] = qs_out_count((int64_t)g->diff.n);
    v[P] = qs_out_real(g->p);
}

static bool put_group(report *r, qs_out *o, const qs_group *g)
{
    qs_out_val v[QS_OUT_MAX] = {0};
    for (size_t i = 0; i < r->g.nby; i++) v[i] = value_of(qs_study_value(&r->y, g->row, r->g.by[i]));
    put_stat(r, v + r->g.nby, g);
    if (r->a->baseline && !g->baseline) put_diff(v + r->g.nby, g);
    return qs_out_row(o, v);
}

static char *names(const char *const *list, size_t n, size_t without)
{
    qs_str b = {0};
    for (size_t i = 0; i < n; i++) {
        if (i != without) qs_str_addf(&b, "%s%s", b.n ? ", " : "", list[i]);
    }
    qs_str_add(&b, "");
    return b.s;
}

static void print_title(const report *r, const qs_out *o)
{
    const qs_study *y = &r->y;
    qs_out_title(o, _("%s: %zu cells, %zu done, %zu failed, %zu running, %zu left"), y->sweep, y->t.nrow, y->count[QS_TRIAL_DONE],
                 qs_study_failed(y), y->count[QS_TRIAL_RUNNING], y->count[QS_TRIAL_NONE]);
    if (r->g.metric >= 0) {
        char *others = names((const char *const *)y->t.metric, y->t.nmetric, (size_t)r->g.metric);
        qs_out_title(o, *others ? _("metric %s; also: %s") : _("metric %s"), y->t.metric[r->g.metric], others);
        free(others);
    }
    qs_out_title(o, "%s", "");
}

static void print_notes(const report *r, const qs_out *o)
{
    qs_out_title(o, "%s", "");
    qs_out_title(o, "%s", _("lo, hi: 95 % interval of the mean, Student's t below 20 values, bootstrap from 20 on."));
    if (r->a->baseline)
        qs_out_title(o, _("diff: minus %s, in pairs that agree in all else; p: sign-flip test of the pairs."), r->a->baseline);
}

/* On stderr, whatever the kind of output: what failed is not to be overlooked. */
static void say_failed(const qs_study *y)
{
    size_t failed = qs_study_failed(y);
    for (size_t i = 0; i < y->t.nrow && failed; i++) {
        const qs_results_row *w = &y->t.row[i];
        if (w->status < QS_TRIAL_FAILED) continue;
        qs_say(_("%zu of %zu cells failed; the first: %s (%s%s%s)"), failed, y->t.nrow, w->key, qs_trial_status_name[w->status],
               w->error ? ": " : "", w->error ? w->error : "");
        return;
    }
}

static int print_groups(report *r)
{
    qs_out o;
    choose_columns(r);
    qs_out_begin(&o, kind_of(r->a), r->col, r->ncol);
    print_title(r, &o);
    qs_out_head(&o);
    bool more = true;
    for (size_t i = 0; i < r->g.n && more; i++) more = put_group(r, &o, &r->g.g[i]);
    if (more) print_notes(r, &o);
    int code = qs_out_end(&o);
    say_failed(&r->y);
    return code;
}

static int make_groups(report *r, qs_err *err)
{
    size_t n = 0;
    char **by = r->a->by ? qs_cut_list(r->a->by, &n) : NULL;
    int rc = qs_groups_make(&r->y, (const char *const *)by, n, r->a->metric, r->a->baseline, NULL, &r->g, err);
    free(by);
    if (!rc && r->g.nby > MOST_BY)
        rc = qs_fail(err, QS_EARG, _("groups by %zu parameters: at most %d, choose with --by"), r->g.nby, MOST_BY);
    return rc;
}

static int one_sweep(const qs_args *a, qs_store *s, const char *sweep)
{
    report r = {.a = a};
    qs_err err = {0};
    int rc = qs_study_read(s, sweep, &r.y, &err);
    if (!rc) rc = make_groups(&r, &err);
    int code = rc ? qs_say_err(&err) : print_groups(&r);
    qs_groups_clear(&r.g);
    qs_study_clear(&r.y);
    return code;
}

int qs_cmd_results(const qs_args *a)
{
    qs_err err = {0};
    qs_sweep_row *row;
    size_t n;
    if (a->nrest != 1)
        return a->nrest ? qs_usage(_("%s takes one DB, not %d"), a->command, a->nrest) : qs_usage(_("%s needs a DB"), a->command);
    qs_store *s = qs_store_open(a->rest[0], QS_STORE_READ, &err);
    if (!s) return qs_say_file(&err);
    int code, rc = qs_store_sweeps(s, &row, &n, &err);
    if (rc) code = qs_say_err(&err);
    else if (a->sweep) code = one_sweep(a, s, a->sweep);
    else if (n == 1 || a->by || a->metric || a->baseline) code = one_sweep(a, s, NULL);
    else code = print_list(a, row, n);
    if (!rc) qs_store_free_sweeps(row, n);
    qs_store_close(s);
    return code;
}
