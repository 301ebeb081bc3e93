/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The steps an initialization finds on the tensors of a model, as JSON for other trainers. Knows the words of that file
 * (man quantscope, STEPS) and no more; scripts/load_steps.py is its reader.
 */
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/sha256.h"
#include "base/text.h"
#include "config.h"
#include "engine/quantize.h"

static json_t *real(double v) { return isfinite(v) ? json_real(v) : json_null(); }
static json_t *text(const char *s) { return s && *s ? json_string(s) : json_null(); }

static json_t *floats(const float *v, size_t n)
{
    json_t *a = json_array();
    for (size_t i = 0; i < n; i++) json_array_append_new(a, json_real((double)v[i]));
    return a;
}

static json_t *reals(const double *v, size_t n)
{
    json_t *a = json_array();
    for (size_t i = 0; i < n; i++) json_array_append_new(a, json_real(v[i]));
    return a;
}

static json_t *zero_points(const qs_quantizer *q)
{
    json_t *a = json_array();
    for (size_t i = 0; i < q->parts; i++) json_array_append_new(a, json_integer((json_int_t)rint(-q->offset[i] / q->step[i])));
    return a;
}

/* What a step is for, and which levels there are. */
static void describe_format(json_t *o, const qs_tensor *t, const qs_quantizer *q)
{
    static const char *const words[] = {[QS_SPLIT_TENSOR] = "tensor", [QS_SPLIT_CHANNEL] = "channel", [QS_SPLIT_GROUP] = "group"};
    const qs_format *f = q->f;
    char *format = qs_format_print(f);
    json_object_set_new(o, "format", text(format));
    free(format);
    json_object_set_new(o, "bits", json_integer(f->bits));
    json_object_set_new(o, "granularity", json_string(words[q->split.kind]));
    if (q->split.kind == QS_SPLIT_CHANNEL) json_object_set_new(o, "axis", json_integer(q->split.axis));
    if (q->split.kind == QS_SPLIT_GROUP) json_object_set_new(o, "axis", json_integer(t->out_axis < 0 ? 0 : t->out_axis));
    if (q->split.kind == QS_SPLIT_GROUP) json_object_set_new(o, "group", json_integer((json_int_t)q->split.group));
    json_object_set_new(o, "ties", json_string(f->away ? "away" : "even"));
    if (f->uniform) {
        json_object_set_new(o, "low", json_integer(-f->qn));
        json_object_set_new(o, "high", json_integer(f->qp));
        return;
    }
    json_t *up = json_array();
    for (size_t i = 0; i + 1 < f->n; i++) json_array_append_new(up, json_boolean(f->up[i]));
    json_object_set_new(o, "codebook", floats(f->c, f->n));
    json_object_set_new(o, "thresholds", floats(f->t, f->n - 1));
    json_object_set_new(o, "tie_goes_up", up);
}

static json_t *describe(const qs_tensor *t, const qs_quantizer *q, const qs_qerror *e)
{
    json_t *o = json_object(), *shape = json_array();
    for (int i = 0; i < t->ndim; i++) json_array_append_new(shape, json_integer(t->shape[i]));
    json_object_set_new(o, "tensor", text(t->name));
    json_object_set_new(o, "shape", shape);
    json_object_set_new(o, "init", text(q->init));
    describe_format(o, t, q);
    json_object_set_new(o, "steps", reals(q->step, q->parts));
    if (q->f->offset == QS_OFFSET_REAL) json_object_set_new(o, "offsets", reals(q->offset, q->parts));
    if (q->f->offset == QS_OFFSET_ZP) json_object_set_new(o, "zero_points", zero_points(q));
    json_object_set_new(o, "mse", real(e->mse));
    json_object_set_new(o, "sqnr_db", real(e->sqnr_db));
    json_object_set_new(o, "formula", text(q->formula));
    json_object_set_new(o, "source", text(q->source));
    json_object_set_new(o, "note", text(q->note));
    return o;
}

/* Of a single file; of anything else (a folder, a file that is gone) null. */
static json_t *hash_of(const char *path)
{
    char hash[QS_SHA256_TEXT];
    struct stat st;
    bool file = stat(path, &st) == 0 && S_ISREG(st.st_mode);
    return file && !qs_sha256_file(path, hash, NULL) ? json_string(hash) : json_null();
}

/* Dumps o and lets it go. */
static int put(FILE *f, json_t *o, size_t flags, qs_err *err)
{
    int bad = json_dumpf(o, f, flags | JSON_COMPACT);
    json_decref(o);
    return bad ? qs_fail(err, QS_EIO, "%s", strerror(errno)) : 0;
}

static int put_head(FILE *f, const qs_model *m, const qs_quantize_opts *o, qs_err *err)
{
    char *format = qs_format_print(o->format);
    json_t *head = json_object();
    json_object_set_new(head, "program", json_string(PACKAGE_STRING));
    json_object_set_new(head, "model", text(m->path));
    json_object_set_new(head, "sha256", hash_of(m->path));
    json_object_set_new(head, "format", text(format));
    json_object_set_new(head, "init", text(o->init));
    json_object_set_new(head, "importance", text(o->importance ? o->importance->path : NULL));
    free(format);
    fputc('{', f);
    int rc = put(f, head, JSON_EMBED, err);
    fputs(",\n\"tensors\":[", f);
    return rc;
}

/* A line a tensor: nothing is kept, and a file of many steps can still be looked at. */
static int put_rows(FILE *f, const qs_quantize_opts *o, const qs_ctl *ctl, qs_err *err)
{
    qs_share share;
    double all = 0;
    int rc = 0;
    for (size_t i = 0; i < o->n; i++) all += (double)o->tensor[i]->n;
    qs_share_init(&share, ctl, all);
    for (size_t i = 0; i < o->n && !rc; i++) {
        qs_qerror e = {0};
        qs_share_next(&share, (double)o->tensor[i]->n);
        qs_quantizer *q = qs_quantize_fit(o->tensor[i], o, &share.ctl, &e, err);
        fputs(i ? ",\n" : "\n", f);
        rc = q ? put(f, describe(o->tensor[i], q, &e), 0, err) : -err->code;
        qs_qerror_clear(&e);
        qs_quantizer_unref(q);
    }
    return rc;
}

int qs_steps_write(FILE *f, const qs_model *m, const qs_quantize_opts *o, const qs_ctl *ctl, qs_err *err)
{
    qs_err own = {0};
    int rc = put_head(f, m, o, &own);
    if (!rc) rc = put_rows(f, o, ctl, &own);
    if (!rc && fputs("\n]}\n", f) == EOF) rc = qs_fail(&own, QS_EIO, "%s", strerror(errno));
    return rc ? qs_fail(err, own.code, "%s", own.msg) : 0;
}
