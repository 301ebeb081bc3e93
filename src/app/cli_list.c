/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * quantscope list: tensors, types, shapes, statistics. Two reads of every
 * tensor, nothing sorted. A file may have a hundred thousand small ones.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/app.h"
#include "app/out.h"
#include "base/text.h"
#include "stat/summary.h"

enum { TENSOR, NAME, DTYPE, BPW, SHAPE, SHAPE_TEXT, AXIS, N, MIN, MAX, ABSMAX, MEAN, STD, SKEW, KURT, ZEROS, NANS, INFS,
       REASON, COLS };

static qs_out_col cols[COLS] = {
    [TENSOR] = {"tensor", N_("tensor"), QS_COL_ALL, -6, NULL},
    [NAME] = {"name", NULL, QS_COL_JSON, 0, NULL},
    [DTYPE] = {"dtype", N_("type"), QS_COL_ALL, -7, NULL},
    [BPW] = {"bpw", N_("bits"), QS_COL_ALL, 5, "%.4g"},
    [SHAPE] = {"shape", NULL, QS_COL_JSON, 0, NULL},
    [SHAPE_TEXT] = {"shape", N_("shape"), QS_COL_TABLE | QS_COL_CSV, -16, NULL},
    [AXIS] = {"out_axis", NULL, QS_COL_DATA, 0, NULL},
    [N] = {"n", N_("values"), QS_COL_ALL, 9, NULL},
    [MIN] = {"min", N_("min"), QS_COL_ALL, 10, "%.4g"},
    [MAX] = {"max", N_("max"), QS_COL_ALL, 10, "%.4g"},
    [ABSMAX] = {"absmax", NULL, QS_COL_DATA, 0, NULL},
    [MEAN] = {"mean", N_("mean"), QS_COL_ALL, 10, "%.3g"},
    [STD] = {"std", N_("std"), QS_COL_ALL, 9, "%.4g"},
    [SKEW] = {"skewness", NULL, QS_COL_DATA, 0, NULL},
    [KURT] = {"kurtosis", N_("kurtosis"), QS_COL_ALL, 8, "%.4g"},
    [ZEROS] = {"zeros", NULL, QS_COL_DATA, 0, NULL},
    [NANS] = {"nans", NULL, QS_COL_DATA, 0, NULL},
    [INFS] = {"infs", NULL, QS_COL_DATA, 0, NULL},
    [REASON] = {"reason", N_("left as it is because"), QS_COL_ALL, 0, NULL},
};

static void put_numbers(qs_out_val *v, const qs_summary *s)
{
    bool some = s->nans + s->infs < s->n;
    const double num[] = {s->min, s->max, s->absmax, s->mean, s->std, s->skewness, s->kurtosis};
    for (int i = 0; i < 7; i++) v[MIN + i] = qs_out_real(some ? num[i] : NAN);
    v[ZEROS] = qs_out_count((int64_t)s->zeros);
    v[NANS] = qs_out_count((int64_t)s->nans);
    v[INFS] = qs_out_count((int64_t)s->infs);
}

static bool row(qs_out *o, const qs_tensor *t, const qs_summary *s)
{
    char shape[128];
    qs_out_val v[COLS] = {
        [TENSOR] = qs_out_text(t->name),
        [NAME] = qs_out_text(t->name),
        [DTYPE] = qs_out_text(t->dtype_text),
        [SHAPE] = qs_out_counts(t->shape, (size_t)t->ndim),
        [SHAPE_TEXT] = qs_out_text(qs_tensor_shape_text(t, shape, sizeof shape)),
        [AXIS] = t->out_axis >= 0 ? qs_out_count(t->out_axis) : (qs_out_val){0},
        [N] = qs_out_count((int64_t)t->n),
    };
    if (t->dtype != QS_UNKNOWN_DTYPE) {
        v[BPW] = qs_out_real(qs_tensor_bpw(t));
        put_numbers(v, s);
    }
    const char *why = qs_tensor_reason(t);
    if (why) v[REASON] = qs_out_text(_(why));
    return qs_out_row(o, v);
}

/* Returns how many tensors were done, or an error. */
static int some_rows(qs_out *o, qs_tensor *const *t, size_t n, const qs_ctl *ctl, bool *more, qs_err *err)
{
    qs_summary s[QS_SUMMARIES];
    int k = qs_summary_some(t, n, ctl, s, err);
    if (k < 0) return qs_fail_prefix(err, "%s", t[0]->name);
    for (int i = 0; i < k && *more; i++) *more = row(o, t[i], &s[i]);
    return k;
}

/* A column of text is as wide as what is in it, up to a limit. */
static void widen(qs_out_col *c, const char *text, int most)
{
    int w = qs_out_width(text);
    if (w > -c->width) c->width = w > most ? -most : -w;
}

static int rows(qs_headless *h, const qs_args *a, qs_model *m, qs_tensor **t, size_t n)
{
    qs_out o;
    qs_err err = {0};
    bool more = true;
    int k = 0;
    for (size_t i = 0; i < n; i++) {
        widen(&cols[TENSOR], t[i]->name, 100);
        widen(&cols[DTYPE], t[i]->dtype_text, 30);
    }
    qs_out_begin(&o, a->json ? QS_OUT_JSON : a->csv ? QS_OUT_CSV : QS_OUT_TABLE, cols, COLS);
    qs_out_title(&o, _("%s: %s, %zu tensors, %zu of them quantized with %zu values"), m->path, m->format, m->n,
                 m->weights, m->values);
    if (m->note) qs_out_title(&o, "%s", m->note);
    qs_out_head(&o);
    for (size_t i = 0; i < n && more && k >= 0; i += (size_t)k) k = some_rows(&o, t + i, n - i, qs_session_ctl(h->session), &more, &err);
    int end = qs_out_end(&o);
    return k < 0 ? qs_say_err(&err) : end;
}

int qs_cmd_list(const qs_args *a)
{
    qs_headless h;
    qs_tensor **t = NULL;
    size_t n = 0;
    int code = qs_headless_open(&h);
    qs_model *m = code ? NULL : qs_headless_model(&h, a, &code);
    if (m) code = qs_choose_tensors(a, m, true, &t, &n);
    if (m && !code) code = rows(&h, a, m, t, n);
    free(t);
    qs_headless_close(&h);
    return code;
}
