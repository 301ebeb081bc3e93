/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * quantscope compare: every initialization on every chosen tensor and format,
 * best first.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/app.h"
#include "app/out.h"
#include "base/mem.h"
#include "base/text.h"
#include "model/importance.h"
#include "model/match.h"
#include "quant/init.h"

#define DEFAULT_FORMAT "int4"

enum { TENSOR, FORMAT, BPW, INIT, STEP, STEP_RATIO, OFFSET, CLIP, MSE, MSE_RATIO, NMSE, SQNR, CLIPPED, CLIPPED_PC, MS,
       FORMULA, SOURCE, NOTE, STEPS, OFFSETS, CLIPS, ERROR, COLS };

static const qs_out_col cols[COLS] = {
    [TENSOR] = {"tensor", NULL, QS_COL_DATA, 0, NULL},
    [FORMAT] = {"format", NULL, QS_COL_DATA, 0, NULL},
    [BPW] = {"bpw", NULL, QS_COL_DATA, 0, NULL},
    [INIT] = {"init", N_("init"), QS_COL_ALL, -14, NULL},
    [STEP] = {"step", N_("step"), QS_COL_ALL, 10, "%.5g"},
    [STEP_RATIO] = {"step_ratio", N_("step/min"), QS_COL_ALL, 8, "%.3f"},
    [OFFSET] = {"offset", N_("offset"), QS_COL_ALL, 9, "%.4g"},
    [CLIP] = {"clip", N_("clip"), QS_COL_ALL, 9, "%.4g"},
    [MSE] = {"mse", N_("MSE"), QS_COL_ALL, 10, "%.3e"},
    [MSE_RATIO] = {"mse_ratio", N_("MSE/min"), QS_COL_ALL, 8, "%.3f"},
    [NMSE] = {"nmse", NULL, QS_COL_DATA, 0, NULL},
    [SQNR] = {"sqnr_db", N_("SQNR dB"), QS_COL_ALL, 7, "%.2f"},
    [CLIPPED] = {"clipped", NULL, QS_COL_DATA, 0, NULL},
    [CLIPPED_PC] = {NULL, N_("clipped %"), QS_COL_TABLE, 9, "%.2f"},
    [MS] = {"ms", N_("ms"), QS_COL_ALL, 7, "%.2f"},
    [FORMULA] = {"formula", N_("how"), QS_COL_ALL, 0, NULL},
    [SOURCE] = {"source", NULL, QS_COL_DATA, 0, NULL},
    [NOTE] = {"note", NULL, QS_COL_DATA | QS_COL_OPTIONAL, 0, NULL},
    [STEPS] = {"steps", NULL, QS_COL_JSON | QS_COL_OPTIONAL, 0, NULL},
    [OFFSETS] = {"offsets", NULL, QS_COL_JSON | QS_COL_OPTIONAL, 0, NULL},
    [CLIPS] = {"clips", NULL, QS_COL_JSON | QS_COL_OPTIONAL, 0, NULL},
    [ERROR] = {"error", NULL, QS_COL_DATA | QS_COL_OPTIONAL, 0, NULL},
};

typedef struct job {
    qs_asked q;
    qs_model *importance; /* or NULL */
    qs_model *acts;       /* recorded activations, or NULL */
    qs_out o;
    size_t good;          /* rows with numbers */
    bool more;
} job;

/* ---- rows ------------------------------------------------------------------------------- */
/* steps, offsets and clips of every part, where there are several; *clips is for the caller to free. */
static void put_parts(qs_out_val *v, const qs_quantizer *q, double **clips)
{
    if (q->f->gran == QS_SPLIT_TENSOR) return;
    *clips = qs_xcalloc(q->parts, sizeof **clips);
    for (size_t i = 0; i < q->parts; i++) (*clips)[i] = fabs(q->step[i]) * q->f->cmax;
    v[STEPS] = qs_out_reals(q->step, q->parts);
    if (q->offset) v[OFFSETS] = qs_out_reals(q->offset, q->parts);
    v[CLIPS] = qs_out_reals(*clips, q->parts);
}

static void put_numbers(qs_out_val *v, const qs_compare_row *r)
{
    v[STEP] = qs_out_real(r->step);
    v[STEP_RATIO] = qs_out_real(r->step_ratio);
    v[OFFSET] = qs_out_real(r->offset);
    v[CLIP] = qs_out_real(r->clip);
    v[MSE] = qs_out_real(r->mse);
    v[MSE_RATIO] = qs_out_real(r->mse_ratio);
    v[NMSE] = qs_out_real(r->nmse);
    v[SQNR] = qs_out_real(r->sqnr_db);
    v[CLIPPED] = qs_out_real(r->clipped);
    v[CLIPPED_PC] = qs_out_real(100 * r->clipped);
    v[MS] = qs_out_real(r->ms);
}

static void put_row(job *j, const qs_tensor *t, const char *format, const qs_compare_row *r)
{
    const qs_init *init = qs_init_named(r->init);
    double *clips = NULL;
    qs_out_val v[COLS] = {
        [TENSOR] = qs_out_text(t->name),
        [FORMAT] = qs_out_text(format),
        [INIT] = qs_out_text(r->init),
        [SOURCE] = qs_out_text(r->q && r->q->source ? r->q->source : init ? init->source : NULL),
    };
    if (r->code) {
        v[FORMULA] = qs_out_text(j->o.kind == QS_OUT_TABLE ? r->error : init ? init->formula : NULL);
        v[ERROR] = qs_out_text(r->error);
    } else {
        put_numbers(v, r);
        if (r->q) v[BPW] = qs_out_real(qs_format_bpw(r->q->f, t));
        v[FORMULA] = qs_out_text(r->q && r->q->formula ? r->q->formula : init ? init->formula : NULL);
        v[NOTE] = qs_out_text(r->q ? r->q->note : NULL);
        if (r->q) put_parts(v, r->q, &clips);
        j->good++;
    }
    j->more = qs_out_row(&j->o, v);
    free(clips);
}

/* A tensor that no initialization can work on (all NaN, say) is a row with the reason. */
static void put_failure(job *j, const qs_tensor *t, const char *format, const char *why)
{
    qs_out_val v[COLS] = {
        [TENSOR] = qs_out_text(t->name), [FORMAT] = qs_out_text(format), [ERROR] = qs_out_text(why),
        [FORMULA] = qs_out_text(j->o.kind == QS_OUT_TABLE ? why : NULL),
    };
    j->more = qs_out_row(&j->o, v);
}

/* What goes into the layers of the chosen tensors takes their place. */
static int take_activations(job *j)
{
    size_t n = 0;
    for (size_t i = 0; i < j->q.nt; i++) {
        qs_tensor *t = qs_model_match(j->acts, j->q.t[i]->name, NULL);
        if (t) j->q.t[n++] = t;
    }
    j->q.nt = n;
    if (n) return 0;
    qs_say(_("%s: no tensor is called like a layer of the model"), j->acts->path);
    return QS_EXIT_FAIL;
}

/* The importance of t, a reference; NULL and no error: there is none, which is said. */
static int find_importance(const job *j, const qs_tensor *t, qs_tensor **out, qs_err *err)
{
    bool none = true;
    *out = j->importance ? qs_importance_of(j->importance, t, &none, err) : NULL;
    if (!*out && none && j->importance) qs_say(_("%s has no importance of %s: all values count the same"), j->importance->path, t->name);
    return *out || none ? 0 : -err->code;
}

static int one(job *j, qs_tensor *t, const qs_format *f, const char *format, qs_err *err)
{
    qs_compare c = {0};
    qs_session *s = j->q.h.session;
    char shape[128];
    if (j->o.rows) qs_out_title(&j->o, "%s", "");
    qs_out_title(&j->o, _("%s %s %s n=%zu  %s, %.3f bits a weight"), t->name, qs_tensor_shape_text(t, shape, sizeof shape), t->dtype_text,
                 t->n, format, qs_format_bpw(f, t));
    qs_tensor *weights;
    int rc = find_importance(j, t, &weights, err);
    if (rc) return rc;
    const qs_init_opts with = {.role = j->acts ? QS_ROLE_ACT : QS_ROLE_WEIGHT, .weights = weights};
    rc = qs_compare_tensor(t, f, (const char *const *)j->q.init, j->q.ninit, &with, qs_session_cache(s), qs_session_ctl(s), &c, err);
    qs_tensor_unref(weights);
    if (rc == -QS_ECANCEL) return rc;
    qs_progress_clear();
    qs_out_head(&j->o);
    if (rc) put_failure(j, t, format, err->msg);
    for (size_t i = 0; i < c.n && j->more; i++) put_row(j, t, format, &c.row[i]);
    qs_compare_clear(&c);
    return 0;
}

static int all(job *j, const qs_args *a)
{
    qs_err err = {0};
    int rc = 0;
    j->more = true;
    qs_out_begin(&j->o, a->json ? QS_OUT_JSON : a->csv ? QS_OUT_CSV : QS_OUT_TABLE, cols, COLS);
    for (size_t i = 0; i < j->q.nt && j->more && !rc; i++) {
        for (size_t k = 0; k < j->q.nf && j->more && !rc; k++) {
            char *format = qs_format_print(j->q.f[k]);
            rc = one(j, j->q.t[i], j->q.f[k], format, &err);
            free(format);
        }
    }
    if (!rc && j->more) {
        qs_out_title(&j->o, "%s", "");
        qs_out_title(&j->o, "%s",
                     _("step/min, MSE/min: against the exact least-squares minimum of the same tensor and format."));
    }
    int end = qs_out_end(&j->o);
    if (rc) return qs_say_err(&err);
    return end ? end : j->more && !j->good ? QS_EXIT_FAIL : 0;
}

int qs_cmd_compare(const qs_args *a)
{
    job j = {0};
    int code = qs_asked_open(&j.q, a, DEFAULT_FORMAT, SIZE_MAX);
    if (!code && a->importance && a->activations) code = qs_usage(_("--importance and --activations: choose one"));
    if (!code) j.importance = qs_headless_other(&j.q.h, a->importance, &code);
    if (!code) j.acts = qs_headless_other(&j.q.h, a->activations, &code);
    if (j.acts && !code) code = take_activations(&j);
    if (!code) code = j.q.nt ? all(&j, a) : qs_asked_nothing(&j.q, a);
    qs_asked_close(&j.q);
    return code;
}
