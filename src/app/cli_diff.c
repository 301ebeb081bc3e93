/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * quantscope diff FLOAT QUANT: what a quantized model lost, tensor by tensor.
 */
#include <fnmatch.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/app.h"
#include "app/out.h"
#include "base/text.h"
#include "engine/pairs.h"

enum { TENSOR, OTHER, SHAPE, TYPE, N, MSE, NMSE, SQNR, MAX, BIAS, USED, LEVELS, BPW, SKIPPED, NOTE, COLS };

static qs_out_col cols[COLS] = {
    [TENSOR] = {"tensor", N_("tensor"), QS_COL_ALL, -6, NULL},
    [OTHER] = {"other", NULL, QS_COL_DATA, 0, NULL},
    [SHAPE] = {"shape", N_("shape"), QS_COL_TABLE | QS_COL_CSV, -14, NULL},
    [TYPE] = {"dtype", N_("type"), QS_COL_ALL, -18, NULL},
    [N] = {"n", N_("values"), QS_COL_ALL, 10, NULL},
    [MSE] = {"mse", N_("MSE"), QS_COL_ALL, 10, "%.3e"},
    [NMSE] = {"nmse", N_("relative"), QS_COL_ALL, 10, "%.3e"},
    [SQNR] = {"sqnr_db", N_("SQNR dB"), QS_COL_ALL, 8, "%.2f"},
    [MAX] = {"max_abs", N_("max"), QS_COL_ALL, 9, "%.3g"},
    [BIAS] = {"bias", NULL, QS_COL_DATA, 0, NULL},
    [USED] = {"used", N_("used"), QS_COL_ALL, 5, NULL},
    [LEVELS] = {"levels", N_("levels"), QS_COL_ALL, 6, NULL},
    [BPW] = {"bpw", N_("bits"), QS_COL_ALL, 7, "%.3f"},
    [SKIPPED] = {"skipped", NULL, QS_COL_DATA, 0, NULL},
    [NOTE] = {"note", N_("note"), QS_COL_ALL, 0, NULL},
};

static void put_numbers(qs_out_val *v, const qs_diff *d)
{
    v[N] = qs_out_count((int64_t)d->n);
    v[MSE] = qs_out_real(d->mse);
    v[NMSE] = qs_out_real(d->nmse);
    v[SQNR] = qs_out_real(d->sqnr_db);
    v[MAX] = qs_out_real(d->max_abs);
    v[BIAS] = qs_out_real(d->bias);
    if (d->used) v[USED] = qs_out_count((int64_t)d->used);
    if (d->levels) v[LEVELS] = qs_out_count((int64_t)d->levels);
    v[BPW] = qs_out_real(d->bpw);
    v[SKIPPED] = qs_out_count((int64_t)d->skipped);
}

static bool put_row(qs_out *o, const qs_pair *p)
{
    char shape[128];
    qs_out_val v[COLS] = {
        [TENSOR] = qs_out_text(p->a->name), [OTHER] = qs_out_text(p->b->name), [TYPE] = qs_out_text(p->b->dtype_text),
        [SHAPE] = qs_out_text(qs_tensor_shape_text(p->b, shape, sizeof shape)),
    };
    if (p->measured) put_numbers(v, &p->d);
    if (*p->note) v[NOTE] = qs_out_text(p->note);
    return qs_out_row(o, v);
}

static bool chosen(const qs_args *a, const qs_tensor *t)
{
    for (size_t k = 0; k < a->ntensor; k++)
        if (!fnmatch(a->tensor[k], t->name, 0) || !strcmp(a->tensor[k], t->name)) return true;
    return !a->ntensor;
}

static void say_total(const qs_out *o, const qs_pairs_sum *s)
{
    qs_out_title(o, "%s", "");
    qs_out_title(o, _("%zu tensors, %.0f values: MSE %.3e, relative %.3e, SQNR %.2f dB, %.3f bits a value"), s->measured, s->total.n,
                 s->total.mse, s->total.nmse, s->total.sqnr_db, s->total.bpw);
    if (s->left) qs_out_title(o, _("%zu pairs are not measured or not counted; their notes say why"), s->left);
    if (s->only_a || s->only_b) qs_out_title(o, _("%zu tensors are only in the first model, %zu only in the second"), s->only_a, s->only_b);
}

static int rows(qs_headless *h, const qs_args *a, const qs_model *x, const qs_model *y)
{
    qs_out o;
    qs_err err = {0};
    qs_pairing w;
    bool more = true;
    int rc = 0;
    for (size_t i = 0; i < x->n; i++) {
        int width = chosen(a, x->tensors[i]) ? qs_out_width(x->tensors[i]->name) : 0;
        if (width > -cols[TENSOR].width) cols[TENSOR].width = width > 100 ? -100 : -width;
    }
    qs_out_begin(&o, a->json ? QS_OUT_JSON : a->csv ? QS_OUT_CSV : QS_OUT_TABLE, cols, COLS);
    qs_out_head(&o);
    qs_pairing_init(&w, x, y, a->ntensor > 0);
    for (qs_pair p; more && qs_pairing_next(&w, &p);) {
        if (!chosen(a, p.a)) continue;
        if ((rc = qs_pairing_measure(&w, &p, qs_session_ctl(h->session), &err))) break;
        qs_progress_clear();
        more = put_row(&o, &p);
    }
    if (!rc && w.sum.measured) say_total(&o, &w.sum);
    int end = qs_out_end(&o);
    if (rc) return qs_say_err(&err);
    if (!w.sum.measured && more) {
        qs_say(_("%s and %s have no tensor in common that can be compared"), x->path, y->path);
        return QS_EXIT_FAIL;
    }
    return end;
}

int qs_cmd_diff(const qs_args *a)
{
    qs_headless h;
    qs_err err = {0};
    if (a->nrest != 2) return qs_usage(_("%s takes two models, FLOAT and QUANT"), a->command);
    int code = qs_headless_open(&h);
    qs_model *x = code ? NULL : qs_session_open(h.session, a->rest[0], &err);
    qs_model *y = x ? qs_session_open(h.session, a->rest[1], &err) : NULL;
    if (x && y) code = rows(&h, a, x, y);
    else if (!code) code = qs_say_file(&err);
    qs_headless_close(&h);
    return code;
}
