/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * quantscope curve: the error at every step, its rounding and clipping parts,
 * one point a row.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/app.h"
#include "app/out.h"
#include "base/text.h"
#include "quant/error.h"

#define DEFAULT_FORMAT "int4"

enum { TENSOR, FORMAT, BPW, CHANNEL, STEP, ERROR, CLIP, ROUND, COLS };

static const qs_out_col cols[COLS] = {
    [TENSOR] = {"tensor", NULL, QS_COL_DATA, 0, NULL},
    [FORMAT] = {"format", NULL, QS_COL_DATA, 0, NULL},
    [BPW] = {"bpw", NULL, QS_COL_DATA, 0, NULL},
    [CHANNEL] = {"channel", NULL, QS_COL_DATA | QS_COL_OPTIONAL, 0, NULL},
    [STEP] = {"step", N_("step"), QS_COL_ALL, 12, "%.6g"},
    [ERROR] = {"error", N_("error"), QS_COL_ALL, 12, "%.5e"},
    [CLIP] = {"clip", N_("clipping"), QS_COL_ALL, 12, "%.5e"},
    [ROUND] = {"round", N_("rounding"), QS_COL_ALL, 12, "%.5e"},
};

static int print(const qs_args *a, const qs_tensor *t, const qs_format *f, const qs_curve *c)
{
    qs_out o;
    char *format = qs_format_print(f), shape[128];
    double bpw = qs_format_bpw(f, t);
    bool more = true;
    qs_out_begin(&o, a->json ? QS_OUT_JSON : a->csv ? QS_OUT_CSV : QS_OUT_TABLE, cols, COLS);
    qs_out_title(&o, _("%s %s %s n=%zu  %s, %.3f bits a weight"), t->name, qs_tensor_shape_text(t, shape, sizeof shape), t->dtype_text, t->n,
                 format, bpw);
    if (a->channel >= 0) qs_out_title(&o, _("channel or group %ld"), a->channel);
    qs_out_title(&o, c->p == 2 ? _("error: mean squared error") : _("error: mean |error|^%g"), c->p);
    qs_out_head(&o);
    for (size_t i = 0; i < c->points && more; i++) {
        qs_out_val v[COLS] = {
            [TENSOR] = qs_out_text(t->name),
            [FORMAT] = qs_out_text(format),
            [BPW] = qs_out_real(bpw),
            [CHANNEL] = a->channel >= 0 ? qs_out_count(a->channel) : (qs_out_val){0},
            [STEP] = qs_out_real(c->step[i]),
            [ERROR] = qs_out_real(c->error[i]),
            [CLIP] = qs_out_real(c->clip ? c->clip[i] : NAN),
            [ROUND] = qs_out_real(c->round ? c->round[i] : NAN),
        };
        more = qs_out_row(&o, v);
    }
    free(format);
    return qs_out_end(&o);
}

/* A curve is of one step: of the tensor's, or of the part --channel names. */
static int choose_part(const qs_args *a, const qs_tensor *t, const qs_format *f, qs_split *s)
{
    qs_err err = {0};
    if (qs_format_split(f, t, s, &err)) return qs_say_err(&err);
    if (a->channel < 0 && s->parts > 1)
        return qs_usage(_("%s has %zu steps on %s and a curve is of one: say --channel 0 to %zu"), f->text, s->parts,
                        t->name, s->parts - 1);
    if (a->channel >= 0 && (size_t)a->channel >= s->parts)
        return qs_usage(_("--channel %ld: %s has %zu of them on %s, counted from 0"), a->channel, f->text, s->parts,
                        t->name);
    return 0;
}

static int curve(qs_headless *h, const qs_args *a, qs_tensor *t, const qs_format *f)
{
    qs_err err = {0};
    qs_split s;
    qs_curve c = {0};
    qs_curve_opts o = {.points = a->points > 0 ? (size_t)a->points : 512, .lo = a->lo, .hi = a->hi, .p = a->norm};
    const qs_ctl *ctl = qs_session_ctl(h->session);
    int code = choose_part(a, t, f, &s);
    if (code) return code;
    size_t part = a->channel < 0 ? 0 : (size_t)a->channel;
    qs_index *ix = qs_cache_get(qs_session_cache(h->session), t, &s, part, ctl, &err);
    int rc = ix ? qs_curve_index(f, ix, &o, ctl, &c, &err) : -err.code;
    qs_index_unref(ix);
    if (rc) {
        qs_fail_prefix(&err, "%s", t->name);
        return qs_say_err(&err);
    }
    code = print(a, t, f, &c);
    qs_curve_clear(&c);
    return code;
}

static int on_tensor(qs_headless *h, const qs_args *a, const qs_format *f)
{
    int code = 0;
    size_t n = 0;
    qs_tensor **t = NULL;
    qs_model *m = qs_headless_model(h, a, &code);
    if (m) code = qs_choose_tensors(a, m, false, &t, &n);
    if (m && !code)
        code = n == 1 ? curve(h, a, t[0], f)
                      : qs_usage(_("--tensor %s matches %zu tensors, as %s and %s: a curve is of one"), a->tensor[0], n,
                                 t[0]->name, t[1]->name);
    free(t);
    return code;
}

int qs_cmd_curve(const qs_args *a)
{
    qs_err err = {0};
    qs_headless h;
    if (a->ntensor != 1) return qs_usage(_("curve needs one --tensor NAME"));
    qs_format *f = qs_format_parse(a->format ? a->format : DEFAULT_FORMAT, &err);
    if (!f) return qs_usage("--format: %s", err.msg);
    int code = qs_headless_open(&h);
    if (!code) code = on_tensor(&h, a, f);
    qs_headless_close(&h);
    qs_format_free(f);
    return code;
}
