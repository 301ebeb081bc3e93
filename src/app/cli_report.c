/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * quantscope report: a whole model at once. A line a tensor for people, a row a tensor and format for programs; the page
 * (--html) is made in lua/quantscope/reports.lua.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/app.h"
#include "app/out.h"
#include "base/mem.h"
#include "base/text.h"
#include "quant/survey.h"

#define DEFAULT_FORMATS "int2,int3,int4,int6,int8"

/* ---- for programs ----------------------------------------------------------------------------------- */
enum { KIND, TENSOR, DTYPE, SHAPE, SHAPE_TEXT, N, MIN, MAX, MEAN, STD, KURT, ZEROS, NANS, INFS, OUTLIERS, OUT_CHANNEL, OUT_RATIO,
       FORMAT, INIT, STEP, OFFSET, CLIP, MSE, NMSE, SQNR, CLIPPED, MSE_RATIO, RULE, RULE_RATIO, BPW, BYTES, SUGGESTED, BOUND, NOTE,
       ERROR, COLS };

static const qs_out_col cols[COLS] = {
    [KIND] = {"kind", NULL, QS_COL_DATA, 0, NULL},
    [TENSOR] = {"tensor", NULL, QS_COL_DATA, 0, NULL},
    [DTYPE] = {"dtype", NULL, QS_COL_DATA | QS_COL_OPTIONAL, 0, NULL},
    [SHAPE] = {"shape", NULL, QS_COL_JSON | QS_COL_OPTIONAL, 0, NULL},
    [SHAPE_TEXT] = {"shape", NULL, QS_COL_CSV, 0, NULL},
    [N] = {"n", NULL, QS_COL_DATA, 0, NULL},
    [MIN] = {"min", NULL, QS_COL_DATA | QS_COL_OPTIONAL, 0, NULL},
    [MAX] = {"max", NULL, QS_COL_DATA | QS_COL_OPTIONAL, 0, NULL},
    [MEAN] = {"mean", NULL, QS_COL_DATA | QS_COL_OPTIONAL, 0, NULL},
    [STD] = {"std", NULL, QS_COL_DATA | QS_COL_OPTIONAL, 0, NULL},
    [KURT] = {"kurtosis", NULL, QS_COL_DATA | QS_COL_OPTIONAL, 0, NULL},
    [ZEROS] = {"zeros", NULL, QS_COL_DATA | QS_COL_OPTIONAL, 0, NULL},
    [NANS] = {"nans", NULL, QS_COL_DATA | QS_COL_OPTIONAL, 0, NULL},
    [INFS] = {"infs", NULL, QS_COL_DATA | QS_COL_OPTIONAL, 0, NULL},
    [OUTLIERS] = {"outliers", NULL, QS_COL_DATA | QS_COL_OPTIONAL, 0, NULL},
    [OUT_CHANNEL] = {"outlier_channel", NULL, QS_COL_DATA | QS_COL_OPTIONAL, 0, NULL},
    [OUT_RATIO] = {"outlier_ratio", NULL, QS_COL_DATA | QS_COL_OPTIONAL, 0, NULL},
    [FORMAT] = {"format", NULL, QS_COL_DATA, 0, NULL},
    [INIT] = {"init", NULL, QS_COL_DATA | QS_COL_OPTIONAL, 0, NULL},
    [STEP] = {"step", NULL, QS_COL_DATA | QS_COL_OPTIONAL, 0, NULL},
    [OFFSET] = {"offset", NULL, QS_COL_DATA | QS_COL_OPTIONAL, 0, NULL},
    [CLIP] = {"clip", NULL, QS_COL_DATA | QS_COL_OPTIONAL, 0, NULL},
    [MSE] = {"mse", NULL, QS_COL_DATA | QS_COL_OPTIONAL, 0, NULL},
    [NMSE] = {"nmse", NULL, QS_COL_DATA, 0, NULL},
    [SQNR] = {"sqnr_db", NULL, QS_COL_DATA, 0, NULL},
    [CLIPPED] = {"clipped", NULL, QS_COL_DATA | QS_COL_OPTIONAL, 0, NULL},
    [MSE_RATIO] = {"mse_ratio", NULL, QS_COL_DATA | QS_COL_OPTIONAL, 0, NULL},
    [RULE] = {"rule", NULL, QS_COL_DATA | QS_COL_OPTIONAL, 0, NULL},
    [RULE_RATIO] = {"rule_ratio", NULL, QS_COL_DATA | QS_COL_OPTIONAL, 0, NULL},
    [BPW] = {"bpw", NULL, QS_COL_DATA, 0, NULL},
    [BYTES] = {"bytes", NULL, QS_COL_DATA, 0, NULL},
    [SUGGESTED] = {"suggested", NULL, QS_COL_DATA | QS_COL_OPTIONAL, 0, NULL},
    [BOUND] = {"bound", NULL, QS_COL_DATA | QS_COL_OPTIONAL, 0, NULL},
    [NOTE] = {"note", NULL, QS_COL_DATA | QS_COL_OPTIONAL, 0, NULL},
    [ERROR] = {"error", NULL, QS_COL_DATA | QS_COL_OPTIONAL, 0, NULL},
};

static bool has_values(const qs_survey_row *r)
{
    return r->t->dtype != QS_UNKNOWN_DTYPE && r->s.nans + r->s.infs < r->s.n;
}

static void put_tensor(qs_out_val *v, const qs_survey_row *r, char *shape, size_t size)
{
    const qs_summary *s = &r->s;
    bool some = has_values(r);
    v[KIND] = qs_out_text("tensor");
    v[TENSOR] = qs_out_text(r->t->name);
    v[DTYPE] = qs_out_text(r->t->dtype_text);
    v[SHAPE] = qs_out_counts(r->t->shape, (size_t)r->t->ndim);
    v[SHAPE_TEXT] = qs_out_text(qs_tensor_shape_text(r->t, shape, size));
    v[N] = qs_out_count((int64_t)r->t->n);
    const double num[] = {s->min, s->max, s->mean, s->std, s->kurtosis};
    for (int i = 0; i < 5; i++) v[MIN + i] = qs_out_real(some ? num[i] : NAN);
    v[ZEROS] = qs_out_count((int64_t)s->zeros);
    v[NANS] = qs_out_count((int64_t)s->nans);
    v[INFS] = qs_out_count((int64_t)s->infs);
    if (!r->o.channels || !some) return;
    v[OUTLIERS] = qs_out_count((int64_t)r->o.n);
    v[OUT_CHANNEL] = qs_out_count((int64_t)r->o.worst);
    v[OUT_RATIO] = qs_out_real(r->o.ratio);
}

static void put_cell(qs_out_val *v, const qs_survey_row *r, const qs_survey_cell *c)
{
    v[ERROR] = qs_out_text(c->error);
    v[NOTE] = qs_out_text(c->note);
    if (c->code) return;
    v[INIT] = qs_out_text(c->init);
    v[RULE] = qs_out_text(*c->rule ? c->rule : NULL);
    const struct { int col; double d; } num[] = {
        {STEP, c->step}, {OFFSET, c->offset}, {CLIP, c->clip}, {MSE, c->mse}, {NMSE, c->nmse}, {SQNR, c->sqnr_db},
        {CLIPPED, c->clipped}, {MSE_RATIO, c->mse_ratio}, {RULE_RATIO, c->rule_ratio}, {BPW, c->bpw},
        {BYTES, c->bpw * (double)r->t->n / 8}};
    for (size_t i = 0; i < sizeof num / sizeof *num; i++) v[num[i].col] = qs_out_real(num[i].d);
}

static void put_total(qs_out_val *v, const char *kind, const char *format, const qs_survey_total *t)
{
    v[KIND] = qs_out_text(kind);
    v[FORMAT] = qs_out_text(format);
    v[N] = qs_out_count((int64_t)t->values);
    const struct { int col; double d; } num[] = {{NMSE, t->nmse}, {SQNR, t->sqnr_db}, {BPW, t->bpw}, {BYTES, t->bits / 8}};
    for (size_t i = 0; i < 4; i++) v[num[i].col] = qs_out_real(num[i].d);
}

static int print_rows(const qs_args *a, const qs_survey *s, char *const *format)
{
    qs_out o;
    char shape[128];
    bool more = true;
    qs_out_begin(&o, a->json ? QS_OUT_JSON : QS_OUT_CSV, cols, COLS);
    qs_out_head(&o);
    for (size_t i = 0; i < s->n; i++)
        for (size_t k = 0; k < s->nf && more; k++) {
            qs_out_val v[COLS] = {[FORMAT] = qs_out_text(format[k])};
            put_tensor(v, &s->row[i], shape, sizeof shape);
            put_cell(v, &s->row[i], &s->row[i].cell[k]);
            if (s->budgeted) v[SUGGESTED] = qs_out_bool(s->row[i].pick == k);
            more = qs_out_row(&o, v);
        }
    for (size_t k = 0; k < s->nf && more; k++) {
        qs_out_val v[COLS] = {0};
        put_total(v, "total", format[k], &s->total[k]);
        more = qs_out_row(&o, v);
    }
    if (more && s->budgeted) {
        qs_out_val v[COLS] = {[BOUND] = qs_out_real(s->bound)};
        put_total(v, "budget", NULL, &s->picked);
        qs_out_row(&o, v);
    }
    return qs_out_end(&o);
}

/* ---- for people ------------------------------------------------------------------------------------- */
enum { T_NAME, T_TYPE, T_N, T_STD, T_KURT, T_OUT, T_FIXED };
enum { MOST_FORMATS = QS_OUT_MAX - T_FIXED - 2 };   /* then the rule, and what is suggested */

static const qs_out_col fixed[T_FIXED] = {
    [T_NAME] = {"tensor", N_("tensor"), QS_COL_TABLE, -6, NULL},
    [T_TYPE] = {"dtype", N_("type"), QS_COL_TABLE, -5, NULL},
    [T_N] = {"n", N_("values"), QS_COL_TABLE, 9, NULL},
    [T_STD] = {"std", N_("std"), QS_COL_TABLE, 9, "%.4g"},
    [T_KURT] = {"kurtosis", N_("kurtosis"), QS_COL_TABLE, 8, "%.4g"},
    [T_OUT] = {"outliers", N_("outliers"), QS_COL_TABLE, 8, NULL},
};

static size_t make_columns(const qs_survey *s, char *const *format, qs_out_col *col)
{
    size_t n = T_FIXED;
    memcpy(col, fixed, sizeof fixed);
    for (size_t i = 0; i < s->n; i++) {
        int w = qs_out_width(s->row[i].t->name);
        if (w > -col[T_NAME].width) col[T_NAME].width = w > 60 ? -60 : -w;
    }
    for (size_t k = 0; k < s->nf; k++) {
        int w = qs_out_width(format[k]);
        col[n++] = (qs_out_col){format[k], format[k], QS_COL_TABLE, w < 6 ? 6 : w, "%.2f"};
    }
    col[n++] = (qs_out_col){"rule", N_("best rule"), QS_COL_TABLE, s->budgeted ? -20 : 0, NULL};
    if (s->budgeted) col[n++] = (qs_out_col){"suggested", N_("suggested"), QS_COL_TABLE, 0, NULL};
    return n;
}

/* The best rule of every format, where they differ: "aciq, octav". */
static void rules_text(const qs_survey *s, const qs_survey_row *r, char *to, size_t size)
{
    size_t at = 0;
    *to = '\0';
    for (size_t k = 0; k < s->nf && at + 2 < size; k++) {
        const char *rule = r->cell[k].rule;
        bool known = !*rule;
        for (size_t i = 0; i < k; i++) known |= !strcmp(r->cell[i].rule, rule);
        if (!known) at += (size_t)snprintf(to + at, size - at, "%s%s", at ? ", " : "", rule);
    }
}

static const char *why_not(const qs_survey *s, const qs_survey_row *r)
{
    for (size_t k = 0; k < s->nf; k++)
        if (!r->cell[k].code) return NULL;
    return r->cell[0].error;
}

static bool print_line(qs_out *o, const qs_survey *s, const qs_survey_row *r, char *const *format)
{
    char rules[200];
    const char *why = why_not(s, r);
    bool some = has_values(r);
    qs_out_val v[QS_OUT_MAX] = {
        [T_NAME] = qs_out_text(r->t->name), [T_TYPE] = qs_out_text(r->t->dtype_text), [T_N] = qs_out_count((int64_t)r->t->n),
        [T_STD] = qs_out_real(some ? r->s.std : NAN), [T_KURT] = qs_out_real(some ? r->s.kurtosis : NAN),
        [T_OUT] = some && r->o.channels ? qs_out_count((int64_t)r->o.n) : (qs_out_val){0},
    };
    for (size_t k = 0; k < s->nf; k++) v[T_FIXED + k] = qs_out_real(r->cell[k].sqnr_db);
    rules_text(s, r, rules, sizeof rules);
    v[T_FIXED + s->nf] = qs_out_text(why ? why : rules);
    if (s->budgeted && r->pick < s->nf) v[T_FIXED + s->nf + 1] = qs_out_text(format[r->pick]);
    return qs_out_row(o, v);
}

static void print_total(const qs_out *o, const char *name, const qs_survey_total *t)
{
    if (!t->tensors) return;
    qs_out_title(o, _("  %-16s %7.3f bits a weight %10.4g MB  SQNR %6.2f dB  (%zu tensors)"), name, t->bpw, t->bits / 8e6,
                 t->sqnr_db, t->tensors);
}

static void print_totals(const qs_out *o, const qs_survey *s, const qs_args *a, char *const *format)
{
    qs_out_title(o, "%s", "");
    qs_out_title(o, _("The whole: %zu tensors, %.4g MB as stored"), s->n, s->stored / 8e6);
    for (size_t k = 0; k < s->nf; k++) print_total(o, format[k], &s->total[k]);
    if (s->budgeted) {
        print_total(o, _("suggested"), &s->picked);
        if (a->budget > 0) qs_out_title(o, _("  no choice of these formats within %g bits reaches more than %.2f dB"), a->budget, s->bound);
        else qs_out_title(o, _("  no choice of these formats reaches %g dB with less than %.3f bits"), a->sqnr, s->bound);
    }
    qs_out_title(o, "%s", "");
    qs_out_title(o, "%s", _("A column a format: SQNR in dB of its best initialization. best rule: the least error but for exact least"));
    qs_out_title(o, "%s", _("squares (mse). outliers: output channels that reach beyond 3 times the median channel. The whole: the mean"));
    qs_out_title(o, "%s", _("over values of each tensor's error against its own energy."));
}

static int print_table(const qs_args *a, const qs_model *m, const qs_survey *s, char *const *format)
{
    qs_out o;
    qs_out_col col[QS_OUT_MAX];
    bool more = true;
    size_t n = make_columns(s, format, col);
    qs_out_begin(&o, QS_OUT_TABLE, col, n);
    qs_out_title(&o, _("%s: %s, %zu tensors, %zu of them quantized with %zu values"), m->path, m->format, m->n, m->weights, m->values);
    if (m->note) qs_out_title(&o, "%s", m->note);
    qs_out_head(&o);
    for (size_t i = 0; i < s->n && more; i++) more = print_line(&o, s, &s->row[i], format);
    if (more) print_totals(&o, s, a, format);
    return qs_out_end(&o);
}

/* ---- what was asked for -------------------------------------------------------------------------- */
static void name_it(char **format)
{
    char *name = qs_xstrdup(qs_format_name(*format));
    free(*format);
    *format = name;
}

static int run(qs_asked *j, const qs_args *a)
{
    qs_err err = {0};
    qs_survey s;
    qs_survey_opts o = {.f = (const qs_format *const *)j->f, .nf = j->nf, .init = (const char *const *)j->init, .ninit = j->ninit,
                        .budget = a->budget, .sqnr_db = a->sqnr};
    char **format = qs_xcalloc(j->nf + 1, sizeof *format);
    int rc = qs_survey_run(j->t, j->nt, &o, qs_session_ctl(j->h.session), &s, &err), code;
    size_t good = 0;
    for (size_t k = 0; k < j->nf; k++) {
        format[k] = qs_format_print(j->f[k]);
        if (!a->json && !a->csv) name_it(&format[k]);
        if (!rc) good += s.total[k].tensors;
    }
    qs_progress_clear();
    if (rc) code = qs_say_err(&err);
    else code = a->json || a->csv ? print_rows(a, &s, format) : print_table(a, j->m, &s, format);
    for (size_t k = 0; k < j->nf; k++) free(format[k]);
    free(format);
    qs_survey_clear(&s);
    return code ? code : good ? 0 : QS_EXIT_FAIL;
}

/* The page: what was typed goes to Lua, which asks for the report and writes the file. */
static int page(const qs_args *a)
{
    qs_pairs p = {0};
    qs_str globs = {0};
    char *text;
    if (a->nrest != 1) return a->nrest ? qs_usage(_("%s takes one MODEL, not %d"), a->command, a->nrest) : qs_usage(_("%s needs a MODEL"), a->command);
    for (size_t i = 0; i < a->ntensor; i++) qs_str_addf(&globs, "%s%s", i ? "\n" : "", a->tensor[i]);
    qs_pairs_put(&p, "file", a->rest[0]);
    qs_pairs_put(&p, "format", a->format ? a->format : DEFAULT_FORMATS);
    qs_pairs_put(&p, "init", a->init);
    qs_pairs_put(&p, "tensor", globs.s);
    qs_pairs_put(&p, "output", a->html);
    qs_pairs_number(&p, "budget", a->budget > 0, a->budget);
    qs_pairs_number(&p, "sqnr", a->sqnr > 0, a->sqnr);
    int code = qs_headless_command(a, "quantscope.reports", &p, &text);
    if (text && *text) puts(text);
    free(text);
    free(globs.s);
    return code;
}

static int check(const qs_args *a)
{
    if (a->budget > 0 && a->sqnr > 0) return qs_usage(_("--budget and --sqnr: choose one"));
    if (a->html && (a->json || a->csv)) return qs_usage(_("--html and --json or --csv: choose one"));
    return 0;
}

int qs_cmd_report(const qs_args *a)
{
    qs_asked q;
    int code = check(a);
    if (code || a->html) return code ? code : page(a);
    code = qs_asked_open(&q, a, DEFAULT_FORMATS, MOST_FORMATS);
    if (!code) code = q.nt ? run(&q, a) : qs_asked_nothing(&q, a);
    qs_asked_close(&q);
    return code;
}
