/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A race in a file: JSON, one racer a line, which is the picture and nothing
 * else. One table of fields serves both directions. What a file claims is
 * checked before it is believed: lengths, ranges, that time goes forward.
 */
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "engine/race.h"
#include "model/reader.h"

#define MARK "quantscope race"
#define VERSION 1
#define FILE_MOST ((size_t)8 << 20)
#define SITES_MOST 4096
#define DIGITS 5               /* of numbers */

/* ---- fields ------------------------------------------------------------------------------ */
typedef struct field {
    const char *name;
    size_t at, size;           /* size 0: a number, lo .. hi, or null */
    double lo, hi;
} field;

#define TEXT(type, key, name) {key, offsetof(type, name), sizeof ((type *)0)->name, 0, 0}
#define REAL(type, key, name, lo, hi) {key, offsetof(type, name), 0, lo, hi}
#define STEPS_MOST 1e12
static const field head[] = {
    TEXT(qs_snap_race, "name", name), TEXT(qs_snap_race, "net", net), TEXT(qs_snap_race, "set", set),
    TEXT(qs_snap_race, "program", program), TEXT(qs_snap_race, "machine", machine), TEXT(qs_snap_race, "when", when),
    REAL(qs_snap_race, "seed", seed, 0, 1e20), REAL(qs_snap_race, "batch", batch, 1, 1e9),
    REAL(qs_snap_race, "steps", total, 1, STEPS_MOST), REAL(qs_snap_race, "images", images, 1, 1e12),
    REAL(qs_snap_race, "float", floating, 0, 1), {NULL, 0, 0, 0, 0},
};
static const field of_racer[] = {
    TEXT(qs_snap_racer, "init", init), REAL(qs_snap_racer, "steps", t, 0, STEPS_MOST),
    REAL(qs_snap_racer, "before", before, 0, 1), REAL(qs_snap_racer, "after", after, 0, 1),
    REAL(qs_snap_racer, "loss", loss, 0, 1e30), REAL(qs_snap_racer, "accuracy_raw", raw, 0, 1),
    REAL(qs_snap_racer, "init_seconds", init_s, 0, 1e9), REAL(qs_snap_racer, "seconds", train_s, 0, 1e9),
    {NULL, 0, 0, 0, 0},
};
static const char *const states[] = {
    [QS_SNAP_READY] = "not started", [QS_SNAP_RUNNING] = "running", [QS_SNAP_PAUSED] = "paused", [QS_SNAP_DONE] = "done",
    [QS_SNAP_STOPPED] = "stopped", [QS_SNAP_DIVERGED] = "diverged",
};
enum { STATES = sizeof states / sizeof *states };

/* ---- writing ------------------------------------------------------------------------------- */
static json_t *put_real(double x)
{
    if (!isfinite(x)) return json_null();
    return x == floor(x) && fabs(x) < 1e15 ? json_integer((json_int_t)x) : json_real(x);
}

/* What is no UTF-8 (a path may be anything) becomes "?". */
static json_t *put_text(const char *s)
{
    json_t *t = json_string(s);
    if (t) return t;
    char *copy = qs_xstrdup(s);
    for (char *p = copy; *p; p++)
        if ((unsigned char)*p >= 0x80) *p = '?';
    t = json_string(copy);
    free(copy);
    return t;
}

static json_t *put_array(const double *v, size_t n)
{
    json_t *a = json_array();
    for (size_t i = 0; i < n; i++) json_array_append_new(a, put_real(v[i]));
    return a;
}

static json_t *put_fields(const field *f, const void *base)
{
    json_t *o = json_object();
    for (; f->name; f++) {
        const void *p = (const char *)base + f->at;
        json_object_set_new(o, f->name, f->size ? put_text(p) : put_real(*(const double *)p));
    }
    return o;
}

static json_t *put_racer(const qs_snap_race *p, const qs_snap_racer *x)
{
    json_t *o = put_fields(of_racer, x), *steps = json_array();
    json_object_set_new(o, "state", json_string(states[x->state]));
    json_object_set_new(o, "refused", json_boolean(x->refused));
    json_object_set_new(o, "reason", x->reason ? put_text(x->reason) : json_null());
    json_object_set_new(o, "loss_step", put_array(x->loss_t, x->nloss));
    json_object_set_new(o, "loss_mean", put_array(x->mean, x->nloss));
    json_object_set_new(o, "accuracy_step", put_array(x->eval_t, x->neval));
    json_object_set_new(o, "accuracy", put_array(x->eval, x->neval));
    json_object_set_new(o, "record_step", put_array(x->rec_t, x->nrec));
    json_object_set_new(o, "oscillating", put_array(x->oscillating, x->nrec));
    for (size_t i = 0; i < p->nsite && x->nrec; i++) json_array_append_new(steps, put_array(x->step + i * x->nrec, x->nrec));
    json_object_set_new(o, "quantizer_step", steps);
    return o;
}

static void add_line(qs_str *b, json_t *o, const char *before, const char *after)
{
    char *text = json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(DIGITS));
    json_decref(o);
    qs_str_addf(b, "%s%s%s", before, text ? text : "null", after);
    free(text);
}

int qs_race_save(qs_race *r, const char *path, qs_err *err)
{
    const qs_snap_race *p = qs_race_picture(r);
    json_t *about = put_fields(head, p), *sites = json_array();
    qs_str b = {0};
    json_object_set_new(about, "data", p->data ? put_text(p->data) : json_null());
    for (size_t i = 0; i < p->nsite; i++)
        json_array_append_new(sites, json_pack("{s:o,s:o,s:b}", "name", put_text(p->site[i].name), "format", put_text(p->site[i].format),
                                               "act", (int)p->site[i].act));
    qs_str_addf(&b, "{\"%s\":%d,\n\"about\":", MARK, VERSION);
    add_line(&b, about, "", ",\n\"quantizers\":");
    add_line(&b, sites, "", ",\n\"racers\":[");
    for (size_t i = 0; i < p->n; i++) add_line(&b, put_racer(p, &p->racer[i]), i ? ",\n" : "\n", "");
    qs_str_add(&b, "\n]}\n");
    int rc = qs_file_write(path, b.s, b.n, false, err);
    free(b.s);
    return rc;
}

/* ---- reading ---------------------------------------------------------------------------------- */
/* Where something is wrong: "racer 2: loss". */
typedef struct reading { qs_err *err; char where[32]; } reading;

static int bad(const reading *r, const char *key, const char *what)
{
    return qs_fail(r->err, QS_EFORMAT, "%s%s: %s", r->where, key, what);
}

static int get_text(const reading *r, const json_t *o, const char *key, char *out, size_t size)
{
    const json_t *v = json_object_get(o, key);
    if (!json_is_string(v)) return bad(r, key, _("is missing, or no text"));
    if (json_string_length(v) >= size) return bad(r, key, _("is too long"));
    memcpy(out, json_string_value(v), json_string_length(v) + 1);
    return 0;
}

/* A text of any length that may be null. */
static int get_note(const reading *r, const json_t *o, const char *key, char **out)
{
    const json_t *v = json_object_get(o, key);
    if (json_is_string(v)) *out = qs_xstrdup(json_string_value(v));
    else if (!json_is_null(v)) return bad(r, key, _("is missing, or neither text nor null"));
    return 0;
}

static int get_fields(const reading *r, const json_t *o, const field *f, void *base)
{
    if (!json_is_object(o)) return bad(r, "", _("no JSON object"));
    for (int rc; f->name; f++) {
        void *p = (char *)base + f->at;
        const json_t *v = json_object_get(o, f->name);
        if (f->size && (rc = get_text(r, o, f->name, p, f->size))) return rc;
        if (f->size) continue;
        double x = json_is_number(v) ? json_number_value(v) : (double)NAN;
        if (!json_is_number(v) && !json_is_null(v)) return bad(r, f->name, _("is missing, or neither number nor null"));
        if (x < f->lo || x > f->hi) return bad(r, f->name, _("is out of range"));
        *(double *)p = x;
    }
    return 0;
}

/* Numbers or null. *n == SIZE_MAX: at most `most` of them, else exactly *n. */
static int get_array(const reading *r, const json_t *a, const char *key, size_t most, size_t *n, double *out)
{
    size_t len = json_array_size(a);
    if (!json_is_array(a)) return bad(r, key, _("is missing, or no array"));
    if (*n == SIZE_MAX ? len > most : len != *n) return bad(r, key, _("is of the wrong length"));
    for (size_t i = 0; i < len; i++) {
        const json_t *v = json_array_get(a, i);
        if (!json_is_number(v) && !json_is_null(v)) return bad(r, key, _("has what is no number"));
        out[i] = json_is_number(v) ? json_number_value(v) : (double)NAN;
    }
    *n = len;
    return 0;
}

static int get_times(const reading *r, const json_t *o, const char *key, size_t most, size_t *n, double **out)
{
    *out = qs_xcalloc(most + 1, sizeof **out);
    *n = SIZE_MAX;
    int rc = get_array(r, json_object_get(o, key), key, most, n, *out);
    if (rc) {
        *n = 0;
        return rc;
    }
    for (size_t i = 0; i < *n; i++)
        if (!((*out)[i] >= (i ? (*out)[i - 1] : 0) && (*out)[i] <= STEPS_MOST)) return bad(r, key, _("steps do not go forward"));
    return 0;
}

static int get_values(const reading *r, const json_t *o, const char *key, size_t n, double **out)
{
    *out = qs_xcalloc(n + 1, sizeof **out);
    return get_array(r, json_object_get(o, key), key, n, &n, *out);
}

static int get_steps(const reading *r, const json_t *o, const qs_snap_race *p, qs_snap_racer *x)
{
    static const char key[] = "quantizer_step";
    const json_t *a = json_object_get(o, key);
    size_t n = x->nrec, sites = n ? p->nsite : 0;
    if (!json_is_array(a) || json_array_size(a) != sites) return bad(r, key, _("is missing, or not one array a quantizer"));
    x->step = qs_xcalloc(sites * n + 1, sizeof *x->step);
    for (size_t i = 0; i < sites; i++) {
        int rc = get_array(r, json_array_get(a, i), key, n, &n, x->step + i * n);
        if (rc) return rc;
        for (size_t k = 0; k < n; k++)
            if (x->step[i * n + k] <= 0) return bad(r, key, _("a step is above 0"));
    }
    return 0;
}

static int get_state(const reading *r, const json_t *o, qs_snap_racer *x)
{
    const char *text = json_string_value(json_object_get(o, "state"));
    int i = 0;
    while (i < STATES && (!text || strcmp(text, states[i]))) i++;
    if (i == STATES) return bad(r, "state", _("is missing, or none that is known"));
    if (!json_is_boolean(json_object_get(o, "refused"))) return bad(r, "refused", _("is missing, or neither true nor false"));
    x->state = (qs_snap_state)i;
    x->refused = json_is_true(json_object_get(o, "refused"));
    return get_note(r, o, "reason", &x->reason);
}

static int get_racer(const reading *r, const json_t *o, const qs_snap_race *p, qs_snap_racer *x)
{
    int rc = get_fields(r, o, of_racer, x);
    if (!rc) rc = get_state(r, o, x);
    if (!rc && isnan(x->t)) rc = bad(r, "steps", _("is no number"));
    if (!rc) rc = get_times(r, o, "loss_step", QS_SNAP_LOSS, &x->nloss, &x->loss_t);
    if (!rc) rc = get_values(r, o, "loss_mean", x->nloss, &x->mean);
    if (!rc) rc = get_times(r, o, "accuracy_step", QS_SNAP_LOSS, &x->neval, &x->eval_t);
    if (!rc) rc = get_values(r, o, "accuracy", x->neval, &x->eval);
    if (!rc) rc = get_times(r, o, "record_step", QS_SNAP_STEPS, &x->nrec, &x->rec_t);
    if (!rc) rc = get_values(r, o, "oscillating", x->nrec, &x->oscillating);
    return rc ? rc : get_steps(r, o, p, x);
}

static int get_sites(const reading *r, const json_t *a, qs_snap_race *p)
{
    size_t n = json_array_size(a);
    if (!json_is_array(a) || n > SITES_MOST) return bad(r, "quantizers", _("is missing, or of the wrong length"));
    p->site = qs_xcalloc(n + 1, sizeof *p->site);
    for (p->nsite = 0; p->nsite < n; p->nsite++) {
        qs_snap_race_site *s = &p->site[p->nsite];
        const json_t *o = json_array_get(a, p->nsite);
        int rc = get_text(r, o, "name", s->name, sizeof s->name);
        if (!rc) rc = get_text(r, o, "format", s->format, sizeof s->format);
        if (rc) return rc;
        s->act = json_is_true(json_object_get(o, "act"));
    }
    return 0;
}

static int get_about(const reading *r, const json_t *root, qs_snap_race *p)
{
    const json_t *about = json_object_get(root, "about");
    int rc = get_fields(r, about, head, p);
    if (!rc) rc = get_note(r, about, "data", &p->data);
    if (!rc && isnan(p->total)) rc = bad(r, "steps", _("is no number"));
    return rc ? rc : get_sites(r, json_object_get(root, "quantizers"), p);
}

static qs_snap_race *get_race(const json_t *root, qs_err *err)
{
    reading r = {err, ""};
    const json_t *mark = json_object_get(root, MARK), *racers = json_object_get(root, "racers");
    size_t n = json_array_size(racers);
    if (!json_is_integer(mark)) qs_fail(err, QS_EFORMAT, _("no recorded race: \"%s\" is missing"), MARK);
    else if (json_integer_value(mark) != VERSION)
        qs_fail(err, QS_EFORMAT, _("version %lld of the format; this program reads version %d"), (long long)json_integer_value(mark), VERSION);
    else if (n < 1 || n > QS_RACERS) qs_fail(err, QS_EFORMAT, _("racers: 1 to %d, not %zu"), QS_RACERS, n);
    else {
        qs_snap_race *p = qs_snap_race_new(n);
        p->recorded = true;
        int rc = get_about(&r, root, p);
        for (size_t i = 0; i < n && !rc; i++) {
            snprintf(r.where, sizeof r.where, "racer %zu: ", i + 1);
            rc = get_racer(&r, json_array_get(racers, i), p, &p->racer[i]);
        }
        if (!rc) return p;
        qs_snap_race_unref(p);
    }
    return NULL;
}

/* A file, or a byte more than FILE_MOST of it: it may be of any size, or have no end. */
static char *read_file(const char *path, size_t *n, qs_err *err)
{
    FILE *f = fopen(path, "re");
    char *text = f ? qs_xmalloc(FILE_MOST + 1) : NULL;
    *n = f ? fread(text, 1, FILE_MOST + 1, f) : 0;
    int wrong = !f || ferror(f) ? errno : 0;
    if (f) fclose(f);
    if (!wrong) return text;
    free(text);
    qs_fail(err, QS_EIO, "%s: %s", path, strerror(wrong));
    return NULL;
}

qs_race *qs_race_load(const char *path, qs_err *err)
{
    size_t n;
    json_error_t e;
    char *text = read_file(path, &n, err), shown[sizeof e.text + 8];
    if (!text) return NULL;
    json_t *root = n > FILE_MOST ? NULL : json_loadb(text, n, JSON_REJECT_DUPLICATES, &e);
    qs_snap_race *p = NULL;
    if (n > FILE_MOST) qs_fail(err, QS_EFORMAT, _("too large for a recorded race"));
    else if (!root) qs_fail(err, QS_EFORMAT, _("no recorded race: line %d: %s"), e.line, qs_name_shown(e.text, shown, sizeof shown));
    else p = get_race(root, err);
    if (!p) qs_fail_prefix(err, "%s", path);
    json_decref(root);
    free(text);
    return p ? qs_race_of(p) : NULL;
}
