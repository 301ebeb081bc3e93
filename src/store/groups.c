/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Groups of cells: all rows are sorted by the parameters of the groups, then by
 * the others; a group is then a stretch, and two groups are paired by walking
 * both stretches.
 */
#include "store/groups.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"

/* What the making of groups works with. */
typedef struct work {
    const qs_study *y;
    qs_groups *out;
    size_t *order;             /* (nparam) parameters: those of `by`, then the others */
    size_t *row;               /* (nrow) sorted */
    size_t *start;             /* (n + 1) where the stretches of the groups begin in row */
    int *base;                 /* (nparam) the baseline's value; -1: any */
} work;

/* ---- names ----------------------------------------------------------------------------------------- */
/* "EARG: there is no ... called x; there are a, b". */
static int unknown(qs_err *err, const char *fmt, const char *name, const char *sweep, const char *(*nth)(const void *, size_t),
                   const void *list, size_t n)
{
    qs_str all = {0};
    for (size_t i = 0; i < n; i++) qs_str_addf(&all, "%s%s", i ? ", " : "", nth(list, i));
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    int rc = qs_fail(err, QS_EARG, fmt, sweep, name, all.s ? all.s : _("none"));
#pragma GCC diagnostic pop
    free(all.s);
    return rc;
}
static const char *nth_param(const void *list, size_t i) { return ((const qs_factor *)list)[i].name; }
static const char *nth_value(const void *list, size_t i) { return ((const qs_value *)list)[i].text; }
static const char *nth_metric(const void *list, size_t i) { return ((char *const *)list)[i]; }

static int no_param(const qs_study *y, const char *name, qs_err *err)
{
    return unknown(err, _("sweep %s has no parameter \"%s\"; there are: %s"), name, y->sweep, nth_param, y->param, y->nparam);
}

static char *label_of(const char *name)
{
    static const char *const taken[] = {"", "n", "mean", "std", "min", "max", "lo", "hi", "undefined", "failed", "left", "diff",
                                        "diff_lo", "diff_hi", "pairs", "p", "metric"};
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++) {
        if (!strcmp(name, taken[i])) return qs_xasprintf("by_%s", name);
    }
    return qs_xstrdup(name);
}

static bool in_by(const qs_groups *o, size_t param)
{
    for (size_t i = 0; i < o->nby; i++) {
        if (o->by[i] == param) return true;
    }
    return false;
}

static void take_by(work *w, size_t param)
{
    qs_groups *o = w->out;
    if (in_by(o, param)) return;
    o->label[o->nby] = label_of(w->y->param[param].name);
    w->order[o->nby] = o->by[o->nby] = param;
    o->nby++;
}

static int choose_by(work *w, const char *const *by, size_t nby, qs_err *err)
{
    const qs_study *y = w->y;
    for (size_t i = 0; by && i < nby; i++) {
        int p = qs_study_param(y, by[i]);
        if (p < 0) return no_param(y, by[i], err);
        take_by(w, (size_t)p);
    }
    for (size_t p = 0; !by && p < y->nparam; p++) {
        if (strcmp(y->param[p].name, "seed") != 0) take_by(w, p);
    }
    size_t n = w->out->nby;
    for (size_t p = 0; p < y->nparam; p++) {
        if (!in_by(w->out, p)) w->order[n++] = p;
    }
    return 0;
}

static int choose_metric(work *w, const char *metric, qs_err *err)
{
    const qs_study *y = w->y;
    w->out->metric = metric ? qs_study_metric(y, metric) : y->t.nmetric ? 0 : -1;
    if (!metric || w->out->metric >= 0) return 0;
    return unknown(err, _("sweep %s has no metric \"%s\"; there are: %s"), metric, y->sweep, nth_metric, y->t.metric,
                   y->t.nmetric);
}

/* ---- the baseline ---------------------------------------------------------------------------------------- */
/* One "init=mse", which this may cut. */
static int take_base(work *w, char *text, qs_err *err)
{
    const qs_study *y = w->y;
    char *is = strchr(text, '=');
    if (!is) return qs_fail(err, QS_EARG, _("baseline \"%s\": should be PARAMETER=VALUE, as init=mse"), text);
    *is++ = '\0';
    int p = qs_study_param(y, text);
    if (p < 0) return no_param(y, text, err);
    if (!in_by(w->out, (size_t)p)) return qs_fail(err, QS_EARG, _("baseline %s=%s: %s must be one that groups are made by"), text, is, text);
    const qs_factor *q = &y->param[p];
    for (size_t i = 0; i < q->nvalue; i++) {
        if (!strcmp(q->value[i].text, is)) {
            w->base[p] = (int)i;
            return 0;
        }
    }
    return unknown(err, _("baseline: %s has no value \"%s\"; there are: %s"), is, text, nth_value, q->value, q->nvalue);
}

static int choose_base(work *w, const char *baseline, qs_err *err)
{
    for (size_t p = 0; p < w->y->nparam; p++) w->base[p] = -1;
    if (!baseline) return 0;
    char *copy = qs_xstrdup(baseline), *save = NULL;
    int rc = *copy ? 0 : qs_fail(err, QS_EARG, _("baseline \"%s\": should be PARAMETER=VALUE, as init=mse"), baseline);
    for (char *word = strtok_r(copy, ",", &save); word && !rc; word = strtok_r(NULL, ",", &save)) rc = take_base(w, word, err);
    free(copy);
    return rc;
}

/* ---- sorting ----------------------------------------------------------------------------------------------- */
static int compare_codes(const work *w, size_t a, size_t b, size_t from, size_t to)
{
    size_t n = w->y->nparam;
    const int *x = w->y->code + a * n, *z = w->y->code + b * n;
    for (size_t i = from; i < to; i++) {
        int d = x[w->order[i]] - z[w->order[i]];
        if (d) return d;
    }
    return 0;
}

static int by_codes(const void *a, const void *b, void *ctx)
{
    size_t x = *(const size_t *)a, z = *(const size_t *)b;
    int d = compare_codes(ctx, x, z, 0, ((const work *)ctx)->y->nparam);
    return d ? d : (x > z) - (x < z);
}

static void cut(work *w)
{
    qs_groups *o = w->out;
    size_t n = w->y->t.nrow;
    for (size_t i = 0; i < n; i++) w->row[i] = i;
    if (n) qsort_r(w->row, n, sizeof *w->row, by_codes, w);
    for (size_t i = 0; i < n; i++) {
        if (i && !compare_codes(w, w->row[i - 1], w->row[i], 0, o->nby)) continue;
        o->g[o->n] = (qs_group){.row = w->row[i], .p = NAN};
        w->start[o->n++] = i;
    }
    w->start[o->n] = n;
}

/* ---- numbers -------------------------------------------------------------------------------------------------- */
/* The metric of a cell that is done; NaN: it is not, or has none, or one that is infinite. */
static double metric_of(const work *w, size_t row)
{
    const qs_results_row *r = &w->y->t.row[row];
    double x = r->status == QS_TRIAL_DONE && w->out->metric >= 0 ? r->x[w->out->metric] : NAN;
    return isfinite(x) ? x : NAN;
}

/* The values of group k; returns how many. */
static size_t values_of(const work *w, size_t k, double *x)
{
    size_t n = 0;
    for (size_t i = w->start[k]; i < w->start[k + 1]; i++) {
        double v = metric_of(w, w->row[i]);
        if (!isnan(v)) x[n++] = v;
    }
    return n;
}

static void count_others(work *w, size_t k)
{
    qs_group *g = &w->out->g[k];
    for (size_t i = w->start[k]; i < w->start[k + 1]; i++) {
        qs_trial_status status = w->y->t.row[w->row[i]].status;
        if (!isnan(metric_of(w, w->row[i]))) continue;
        if (status == QS_TRIAL_DONE) g->undefined++;
        else if (status == QS_TRIAL_NONE || status == QS_TRIAL_RUNNING) g->left++;
        else g->failed++;
    }
}

/* How group a stands to what group k becomes with the baseline's values: below, the same, above. */
static int compare_to_base(const work *w, size_t a, size_t k)
{
    const qs_groups *o = w->out;
    size_t n = w->y->nparam;
    const int *x = w->y->code + o->g[a].row * n, *z = w->y->code + o->g[k].row * n;
    for (size_t i = 0; i < o->nby; i++) {
        size_t p = o->by[i];
        int d = x[p] - (w->base[p] < 0 ? z[p] : w->base[p]);
        if (d) return d;
    }
    return 0;
}

/* The baseline of group k, by halving: groups are in order. n: there is none. */
static size_t base_of(const work *w, size_t k)
{
    size_t lo = 0, hi = w->out->n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (compare_to_base(w, mid, k) < 0) lo = mid + 1;
        else hi = mid;
    }
    return lo < w->out->n && !compare_to_base(w, lo, k) ? lo : w->out->n;
}

/* The differences of group k from group base, in pairs; returns how many. */
static size_t pairs_of(const work *w, size_t k, size_t base, double *x)
{
    size_t i = w->start[k], j = w->start[base], n = 0;
    while (i < w->start[k + 1] && j < w->start[base + 1]) {
        int d = compare_codes(w, w->row[i], w->row[j], w->out->nby, w->y->nparam);
        double v = d ? NAN : metric_of(w, w->row[i]) - metric_of(w, w->row[j]);
        if (isfinite(v)) x[n++] = v;
        i += d <= 0;
        j += d >= 0;
    }
    return n;
}

/* What is known at once of a group, and of its differences from the baseline. */
static void sum_up(work *w, size_t k, bool compared, double *x)
{
    qs_group *g = &w->out->g[k];
    size_t b = compared ? base_of(w, k) : w->out->n;
    count_others(w, k);
    qs_infer_moments(x, values_of(w, k, x), &g->stat);
    g->baseline = b == k;
    qs_infer_moments(x, b < w->out->n && b != k ? pairs_of(w, k, b, x) : 0, &g->diff);
}

/* And what takes samples and flips. */
static void judge(work *w, size_t k, double *x)
{
    qs_group *g = &w->out->g[k];
    if (g->stat.n >= QS_INFER_BOOTSTRAP) qs_infer_mean(x, values_of(w, k, x), &g->stat);
    if (!g->diff.n) return;
    size_t n = pairs_of(w, k, base_of(w, k), x);
    qs_infer_mean(x, n, &g->diff);
    g->p = qs_infer_flip(x, n);
}

static int all_groups(work *w, bool compared, double *scratch, const qs_ctl *ctl, qs_err *err)
{
    size_t n = w->out->n;
    for (size_t k = 0; k < n; k++) {
        if (qs_ctl_check(ctl, "groups", (double)k / (double)n, err)) return -QS_ECANCEL;
        sum_up(w, k, compared, scratch);
    }
    for (size_t k = 0; k < n; k++) {
        if (qs_ctl_check(ctl, "intervals", (double)k / (double)n, err)) return -QS_ECANCEL;
        judge(w, k, scratch);
    }
    return 0;
}

int qs_groups_make(const qs_study *y, const char *const *by, size_t nby, const char *metric, const char *baseline,
                   const qs_ctl *ctl, qs_groups *out, qs_err *err)
{
    size_t n = y->t.nrow, np = y->nparam;
    work w = {.y = y, .out = out, .order = qs_xcalloc(np + 1, sizeof *w.order), .row = qs_xcalloc(n + 1, sizeof *w.row),
              .start = qs_xcalloc(n + 2, sizeof *w.start), .base = qs_xcalloc(np + 1, sizeof *w.base)};
    *out = (qs_groups){.by = qs_xcalloc(np + 1, sizeof *out->by), .label = qs_xcalloc(np + 1, sizeof *out->label),
                       .g = qs_xcalloc(n + 1, sizeof *out->g)};
    double *scratch = qs_xmalloc((n + 1) * sizeof *scratch);
    int rc = choose_by(&w, by, nby, err);
    if (!rc) rc = choose_metric(&w, metric, err);
    if (!rc) rc = choose_base(&w, baseline, err);
    if (!rc) {
        cut(&w);
        rc = all_groups(&w, baseline != NULL, scratch, ctl, err);
    }
    free(scratch);
    free(w.order);
    free(w.row);
    free(w.start);
    free(w.base);
    if (rc) qs_groups_clear(out);
    return rc;
}

void qs_groups_clear(qs_groups *g)
{
    for (size_t i = 0; i < g->nby; i++) free(g->label[i]);
    free(g->label);
    free(g->by);
    free(g->g);
    *g = (qs_groups){0};
}
