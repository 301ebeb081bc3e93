/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * quantscope quantize: a model written as a quantized one; quantscope init: the steps it would have, for other trainers.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/app.h"
#include "app/out.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "engine/quantize.h"

#define DEFAULT_FORMAT "int4"
#define DEFAULT_INIT "mse"

enum { TENSOR, SHAPE, FORMAT, INIT, STEP, MSE, NMSE, SQNR, USED, LEVELS, BPW, SKIPPED, REASON, COLS };

static qs_out_col cols[COLS] = {
    [TENSOR] = {"tensor", N_("tensor"), QS_COL_ALL, -6, NULL},
    [SHAPE] = {"shape", N_("shape"), QS_COL_TABLE | QS_COL_CSV, -16, NULL},
    [FORMAT] = {"format", N_("format"), QS_COL_ALL, -14, NULL},
    [INIT] = {"init", N_("init"), QS_COL_ALL, -8, NULL},
    [STEP] = {"step", N_("step"), QS_COL_ALL, 10, "%.5g"},
    [MSE] = {"mse", N_("MSE"), QS_COL_ALL, 10, "%.3e"},
    [NMSE] = {"nmse", NULL, QS_COL_DATA, 0, NULL},
    [SQNR] = {"sqnr_db", N_("SQNR dB"), QS_COL_ALL, 7, "%.2f"},
    [USED] = {"used", N_("used"), QS_COL_ALL, 5, NULL},
    [LEVELS] = {"levels", N_("levels"), QS_COL_ALL, 6, NULL},
    [BPW] = {"bpw", N_("bits"), QS_COL_ALL, 6, "%.3f"},
    [SKIPPED] = {"skipped", NULL, QS_COL_DATA, 0, NULL},
    [REASON] = {"note", N_("note"), QS_COL_ALL, 0, NULL},
};

typedef struct job {
    qs_headless h;
    qs_model *m;
    qs_tensor **t;
    qs_quantize_opts o;
    qs_format *f;
    qs_out out;
    size_t quantized, copied, left;
    double values, bits, error, energy;   /* sums over the quantized tensors */
} job;

/* ---- quantize ---------------------------------------------------------------------------- */
static void tally(job *j, const qs_quantized *r)
{
    if (!r->q) {
        j->copied += !r->left_out;
        j->left += r->left_out != NULL;
        return;
    }
    j->quantized++;
    j->values += (double)r->t->n;
    j->bits += r->bpw * (double)r->t->n;
    j->error += r->e.mse * r->e.n;
    j->energy += r->e.energy * r->e.n;
}

static int put_row(void *ctx, const qs_quantized *r, qs_err *err)
{
    job *j = ctx;
    char shape[128], note[256] = "";
    tally(j, r);
    if (!r->q && !r->left_out) return 0;
    qs_out_val v[COLS] = {
        [TENSOR] = qs_out_text(r->t->name), [SHAPE] = qs_out_text(qs_tensor_shape_text(r->t, shape, sizeof shape)),
    };
    if (r->left_out) snprintf(note, sizeof note, _("left out: %s"), _(r->left_out));
    else if (r->e.skipped && j->o.codes) snprintf(note, sizeof note, _("%zu values are NaN or infinite: codes cannot say so"), r->e.skipped);
    else if (r->q->note) snprintf(note, sizeof note, "%s", r->q->note);
    if (r->q) {
        v[FORMAT] = qs_out_text(j->out.kind == QS_OUT_TABLE ? qs_format_name(r->q->f->text) : r->q->f->text);
        v[INIT] = qs_out_text(r->q->init);
        if (r->q->parts == 1) v[STEP] = qs_out_real(r->q->step[0]);
        v[MSE] = qs_out_real(r->e.mse);
        v[NMSE] = qs_out_real(r->e.nmse);
        v[SQNR] = qs_out_real(r->e.sqnr_db);
        v[USED] = qs_out_count((int64_t)r->e.used);
        v[LEVELS] = qs_out_count((int64_t)r->e.levels);
        v[BPW] = qs_out_real(r->bpw);
        v[SKIPPED] = qs_out_count((int64_t)r->e.skipped);
    }
    if (*note) v[REASON] = qs_out_text(note);
    qs_progress_clear();
    if (!j->out.rows) qs_out_head(&j->out);
    qs_out_row(&j->out, v);   /* nobody may be reading; the file is still wanted */
    (void)err;
    return 0;
}

static void say_totals(const job *j, const char *path)
{
    qs_out_title(&j->out, "%s", "");
    qs_out_title(&j->out, _("%s: %zu tensors quantized, %zu copied, %zu left out; %.3f bits a weight, SQNR %.2f dB"), path, j->quantized,
                 j->copied, j->left, j->bits / j->values, -10 * log10(j->error / j->energy));
}

/* As wide as the names, up to a limit: long ones stand out to the right. */
static void fit_column(const job *j)
{
    for (size_t i = 0; i < j->o.n; i++) {
        int w = qs_out_width(j->t[i]->name);
        if (w > -cols[TENSOR].width) cols[TENSOR].width = w > 100 ? -100 : -w;
    }
}

/* ---- what was asked for -------------------------------------------------------------------- */
static int one_name(const char *option, const char *text)
{
    size_t n;
    char **list = qs_cut_list(text, &n);
    free(list);
    return n == 1 ? 0 : qs_usage(_("--%s: one, not %zu"), option, n);
}

static int begin(job *j, const qs_args *a)
{
    qs_err err = {0};
    const char *format = a->format ? a->format : DEFAULT_FORMAT;
    j->o.init = a->init ? a->init : DEFAULT_INIT;
    j->o.codes = a->codes;
    int code = one_name("format", format);
    if (!code) code = one_name("init", j->o.init);
    if (code) return code;
    if (!(j->f = qs_format_parse(format, &err))) return qs_usage("--format: %s", err.msg);
    j->o.format = j->f;
    if ((code = qs_headless_open(&j->h)) || (code = qs_headless_lua(&j->h, !a->no_config))) return code;
    if (!qs_init_named(j->o.init)) return qs_usage(_("--init: no initialization is called \"%s\""), j->o.init);
    if (!(j->m = qs_headless_model(&j->h, a, &code))) return code;
    j->o.importance = qs_headless_other(&j->h, a->importance, &code);
    if (code) return code;
    code = qs_choose_tensors(a, j->m, false, &j->t, &j->o.n);
    j->o.tensor = j->t;
    if (!code && !j->o.n) {
        qs_say(_("%s: no tensor here is quantized (floating, two or more dimensions)"), j->m->path);
        code = QS_EXIT_FAIL;
    }
    return code;
}

static void end(job *j)
{
    free(j->t);
    qs_format_free(j->f);
    qs_headless_close(&j->h);
}

int qs_cmd_quantize(const qs_args *a)
{
    job j = {0};
    qs_err err = {0};
    if (!a->output) return qs_usage(_("%s needs -o OUT.safetensors"), a->command);
    int code = begin(&j, a);
    if (!code) {
        fit_column(&j);
        qs_out_begin(&j.out, a->json ? QS_OUT_JSON : a->csv ? QS_OUT_CSV : QS_OUT_TABLE, cols, COLS);
        int rc = qs_quantize_file(j.m, a->output, &j.o, qs_session_ctl(j.h.session), put_row, &j, &err);
        qs_progress_clear();
        if (!rc) say_totals(&j, a->output);
        code = qs_out_end(&j.out);
        if (rc) code = qs_say_err(&err);
    }
    end(&j);
    return code;
}

/* ---- init ------------------------------------------------------------------------------------ */
static int write_steps(FILE *f, void *ctx, qs_err *err)
{
    job *j = ctx;
    return qs_steps_write(f, j->m, &j->o, qs_session_ctl(j->h.session), err);
}

int qs_cmd_init(const qs_args *a)
{
    job j = {0};
    qs_err err = {0};
    int code = begin(&j, a);
    if (!code) {
        int rc = a->output ? qs_file_fill(a->output, write_steps, &j, false, &err) : write_steps(stdout, &j, &err);
        qs_progress_clear();
        if (rc) code = qs_say_err(&err);
    }
    end(&j);
    return code;
}
