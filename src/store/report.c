/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/report.h"

#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "store/store_in.h"

/* ---- filling --------------------------------------------------------------------------------------- */
void qs_report_clear(qs_report *r)
{
    for (size_t i = 0; i < r->o.nmetric; i++) free((char *)r->metric[i].name);
    for (size_t i = 0; i < r->o.nseries; i++) {
        free((char *)r->series[i].name);
        free((double *)r->series[i].x);
    }
    free(r->metric);
    free(r->series);
    free(r->text.s);
    free(r->error);
    *r = (qs_report){0};
}

void qs_report_metric(qs_report *r, const char *name, double x)
{
    r->metric = qs_xrealloc(r->metric, (r->o.nmetric + 1) * sizeof *r->metric);
    r->metric[r->o.nmetric++] = (qs_metric){qs_xstrdup(name), x};
}

void qs_report_series(qs_report *r, const char *name, const double *x, size_t n)
{
    double *mine = qs_xmalloc(n * sizeof *mine);
    if (n) memcpy(mine, x, n * sizeof *mine);
    r->series = qs_xrealloc(r->series, (r->o.nseries + 1) * sizeof *r->series);
    r->series[r->o.nseries++] = (qs_metric_series){qs_xstrdup(name), mine, n};
}

/* Text from anywhere: what is no UTF-8 becomes "?". */
static json_t *text_json(const char *s)
{
    json_t *t = json_string(s);
    if (t) return t;
    char *copy = qs_xstrdup(s);
    for (char *p = copy; *p; p++) {
        if ((unsigned char)*p >= 0x80) *p = '?';
    }
    t = json_string(copy);
    free(copy);
    return t;
}

/* Takes value over. */
static void other(qs_report *r, const char *name, json_t *value)
{
    json_t *key = text_json(name);
    char *k = json_dumps(key, JSON_ENCODE_ANY), *v = json_dumps(value, JSON_ENCODE_ANY);
    qs_str_addf(&r->text, "%s%s:%s", r->text.n ? "," : "{", k, v);
    json_decref(key);
    json_decref(value);
    free(k);
    free(v);
}

void qs_report_text(qs_report *r, const char *name, const char *text) { other(r, name, text_json(text)); }
void qs_report_flag(qs_report *r, const char *name, bool is) { other(r, name, json_boolean(is)); }

void qs_report_fail(qs_report *r, qs_trial_status status, const char *fmt, ...)
{
    char *text = NULL;
    va_list ap;
    va_start(ap, fmt);
    if (vasprintf(&text, fmt, ap) < 0) text = NULL;
    va_end(ap);
    free(r->error);
    r->error = text;
    r->o.status = status;
}

static int by_metric(const void *a, const void *b) { return strcmp(((const qs_metric *)a)->name, ((const qs_metric *)b)->name); }
static int by_series(const void *a, const void *b)
{
    return strcmp(((const qs_metric_series *)a)->name, ((const qs_metric_series *)b)->name);
}

void qs_report_close(qs_report *r, double seconds)
{
    if (r->o.nmetric) qsort(r->metric, r->o.nmetric, sizeof *r->metric, by_metric);
    if (r->o.nseries) qsort(r->series, r->o.nseries, sizeof *r->series, by_series);
    for (size_t i = 0; i < r->o.nmetric && r->o.status == QS_TRIAL_NONE; i++) {
        if (isnan(r->metric[i].x)) qs_report_fail(r, QS_TRIAL_FAILED, _("the metric %s is not a number"), r->metric[i].name);
    }
    if (r->o.status == QS_TRIAL_NONE) r->o.status = QS_TRIAL_DONE;
    if (r->text.n) qs_str_add(&r->text, "}");
    r->o.seconds = seconds;
    r->o.metric = r->metric;
    r->o.series = r->series;
    r->o.error = r->error;
    r->o.text = r->text.s;
}

/* ---- lines ------------------------------------------------------------------------------------------- */
/* Takes j over. */
static char *line_of(json_t *j)
{
    char *text = json_dumps(j, JSON_COMPACT), *line = text ? qs_xasprintf("%s\n", text) : NULL;
    json_decref(j);
    free(text);
    return line;
}

char *qs_line_job(const char *key, int64_t seed, int threads)
{
    return line_of(json_pack("{s:s,s:I,s:i}", "cell", key, "seed", (json_int_t)seed, "threads", threads));
}

char *qs_line_hello(const char *program) { return line_of(json_pack("{s:s}", "hello", program)); }

char *qs_line_progress(double done, const char *text)
{
    return line_of(json_pack("{s:f,s:o}", "progress", isfinite(done) ? done : 0, "text", text_json(text)));
}

char *qs_line_report(const qs_report *r)
{
    json_t *j = json_object(), *names = json_array(), *series = json_object();
    double *x = qs_xmalloc((r->o.nmetric + 1) * sizeof *x);
    for (size_t i = 0; i < r->o.nmetric; i++) {
        json_array_append_new(names, text_json(r->metric[i].name));
        x[i] = r->metric[i].x;
    }
    char *text = qs_numbers_text(x, r->o.nmetric);
    json_object_set_new(j, "metrics", names);
    json_object_set_new(j, "x", json_string(text));
    free(text);
    free(x);
    for (size_t i = 0; i < r->o.nseries; i++) {
        text = qs_numbers_text(r->series[i].x, r->series[i].n);
        json_object_set_new(series, r->series[i].name, json_string(text));
        free(text);
    }
    json_object_set_new(j, "series", series);
    json_object_set_new(j, "status", json_string(qs_trial_status_name[r->o.status]));
    json_object_set_new(j, "seconds", json_real(r->o.seconds));
    if (r->o.error) json_object_set_new(j, "error", text_json(r->o.error));
    if (r->o.text) json_object_set_new(j, "text", text_json(r->o.text));
    return line_of(j);
}

static bool read_metrics(const json_t *j, qs_report *r)
{
    const json_t *names = json_object_get(j, "metrics");
    const char *text = json_string_value(json_object_get(j, "x"));
    double *x = NULL;
    size_t n = 0;
    if (!text || !qs_numbers_read(text, &x, &n)) return false;
    bool good = json_array_size(names) == n;
    for (size_t i = 0; good && i < n; i++) {
        const char *name = json_string_value(json_array_get(names, i));
        good = name;
        if (name) qs_report_metric(r, name, x[i]);
    }
    free(x);
    return good;
}

static bool read_series(json_t *all, qs_report *r)
{
    const char *name;
    json_t *j;
    json_object_foreach(all, name, j) {
        double *x = NULL;
        size_t n = 0;
        const char *text = json_string_value(j);
        if (!text || !qs_numbers_read(text, &x, &n)) return false;
        qs_report_series(r, name, x, n);
        free(x);
    }
    return true;
}

static bool read_report(const json_t *j, const char *status, qs_report *r)
{
    const char *error = json_string_value(json_object_get(j, "error"));
    const char *text = json_string_value(json_object_get(j, "text"));
    if (!read_metrics(j, r) || !read_series(json_object_get(j, "series"), r)) return false;
    if (strcmp(status, qs_trial_status_name[QS_TRIAL_DONE])) qs_report_fail(r, QS_TRIAL_FAILED, "%s", error ? error : "");
    qs_report_close(r, json_real_value(json_object_get(j, "seconds")));
    if (text) qs_str_add(&r->text, text);
    r->o.text = r->text.s;
    return true;
}

static bool read_line(const json_t *j, qs_line *out)
{
    static const char *const keys[] = {"cell", "hello", "progress", "status"};
    const json_t *v = NULL;
    int kind = -1;
    while (!v && ++kind < 4) v = json_object_get(j, keys[kind]);
    if (!v) return false;
    out->kind = kind;
    if (kind == QS_LINE_REPORT) return json_is_string(v) && read_report(j, json_string_value(v), &out->report);
    const json_t *text = kind == QS_LINE_PROGRESS ? json_object_get(j, "text") : v;
    if (!json_is_string(text)) return false;
    out->text = qs_xstrdup(json_string_value(text));
    out->done = json_number_value(v);
    out->seed = json_integer_value(json_object_get(j, "seed"));
    out->threads = (int)json_integer_value(json_object_get(j, "threads"));
    return true;
}

int qs_line_read(const char *text, qs_line *out, qs_err *err)
{
    json_t *j = json_loads(text, 0, NULL);
    *out = (qs_line){0};
    bool good = json_is_object(j) && read_line(j, out);
    json_decref(j);
    if (good) return 0;
    qs_line_clear(out);
    return qs_fail(err, QS_EFORMAT, _("what a worker sent makes no sense: \"%.80s\""), text);
}

void qs_line_clear(qs_line *l)
{
    free(l->text);
    qs_report_clear(&l->report);
    *l = (qs_line){0};
}
