/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Knows how values look as a table, JSON and CSV. Knows no command and no
 * engine type.
 */
#include "app/out.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>
#include <wctype.h>

#include "app/app.h"
#include "base/digits.h"
#include "base/mem.h"
#include "base/sync.h"
#include "base/text.h"

/* The next character of s as something a terminal takes without harm: names come from files. Returns its bytes. */
static size_t next_char(const char *s, wchar_t *w)
{
    mbstate_t st = {0};
    size_t n = mbrtowc(w, s, MB_CUR_MAX, &st);
    if (n == 0 || n > MB_CUR_MAX) {
        *w = L'?';
        return 1;
    }
    if (!iswprint((wint_t)*w)) *w = L'?';
    return n;
}

/* How many plain characters s begins with: most names are nothing else, and a hundred thousand of them are many. */
static size_t plain(const char *s)
{
    size_t n = 0;
    while (s[n] >= ' ' && s[n] <= '~') n++;
    return n;
}

int qs_out_width(const char *s)
{
    int cols = (int)plain(s);
    for (s += cols; *s;) {
        wchar_t w;
        s += next_char(s, &w);
        int c = wcwidth(w);
        cols += c > 0 ? c : 0;
    }
    return cols;
}

static void put_clean(const char *s)
{
    size_t ascii = plain(s);
    fwrite_unlocked(s, 1, ascii, stdout);
    for (s += ascii; *s;) {
        wchar_t w;
        size_t n = next_char(s, &w);
        if (w == L'?') putchar('?');
        else fwrite(s, 1, n, stdout);
        s += n;
    }
}

/* ---- table ------------------------------------------------------------------------ */
static void blanks(int n)
{
    for (; n > 0; n--) putchar_unlocked(' ');
}

static void put_cell(const char *s, int width)
{
    int fill = abs(width) - qs_out_width(s);
    if (width > 0) blanks(fill);
    put_clean(s);
    if (width < 0) blanks(fill);
}

/* "%.4g": 4; any other format: 0. */
static int digits_of(const char *fmt)
{
    bool short_g = fmt[0] == '%' && fmt[1] == '.' && fmt[2] >= '1' && fmt[2] <= '9' && !strcmp(fmt + 3, "g");
    return short_g ? fmt[2] - '0' : 0;
}

static const char *number_text(double d, const char *fmt, char *buf, size_t size)
{
    if (!isfinite(d)) return "-";
    if (!fmt) fmt = "%.5g";
    int digits = digits_of(fmt);
    if (digits && qs_digits(d, digits, buf)) return buf;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(buf, size, fmt, d);
#pragma GCC diagnostic pop
    return buf;
}

static const char *table_text(const qs_out_val *v, const char *fmt, char *buf, size_t size)
{
    switch (v->type) {
    case QS_OUT_TEXT: return v->s;
    case QS_OUT_REAL: return number_text(v->d, fmt, buf, size);
    case QS_OUT_COUNT: snprintf(buf, size, "%lld", (long long)v->i); return buf;
    case QS_OUT_BOOL: return v->i ? _("yes") : _("no");
    default: return "";
    }
}

/* One line of a table. v NULL: the headings. No blanks at its end. */
static void table_line(const qs_out *o, const qs_out_val *v)
{
    bool first = true;
    int owed = 0;
    for (size_t i = 0; i < o->n; i++) {
        char buf[400];
        const qs_out_col *c = &o->col[i];
        if (!(c->where & QS_COL_TABLE)) continue;
        const char *s = v ? table_text(&v[i], c->fmt, buf, sizeof buf) : _(c->head);
        owed += first ? 0 : 2;
        first = false;
        if (!*s) {
            owed += abs(c->width);
            continue;
        }
        blanks(owed);
        int fill = abs(c->width) - qs_out_width(s);
        put_cell(s, c->width > 0 ? c->width : 0);
        owed = c->width < 0 && fill > 0 ? fill : 0;
    }
    putchar('\n');
}

void qs_out_head(const qs_out *o)
{
    if (o->kind == QS_OUT_TABLE) table_line(o, NULL);
}

void qs_out_title(const qs_out *o, const char *fmt, ...)
{
    if (o->kind != QS_OUT_TABLE) return;
    char *s = NULL;
    va_list ap;
    va_start(ap, fmt);
    if (vasprintf(&s, fmt, ap) < 0) s = NULL;
    va_end(ap);
    if (s) put_clean(s);
    putchar('\n');
    free(s);
}

/* ---- JSON --------------------------------------------------------------------------- */
/* Names in files need not be UTF-8; JSON must. */
static json_t *json_text(const char *s)
{
    json_t *j = json_string(s);
    if (j) return j;
    char *t = qs_xstrdup(s);
    for (char *p = t; *p; p++) {
        if ((unsigned char)*p >= 0x80) *p = '?';
    }
    j = json_string(t);
    free(t);
    return j;
}

static json_t *json_number(double d) { return isfinite(d) ? json_real(d) : json_null(); }

static json_t *json_array_of(const qs_out_val *v)
{
    json_t *a = json_array();
    for (size_t i = 0; i < v->n; i++)
        json_array_append_new(a, v->type == QS_OUT_REALS ? json_number(v->reals[i]) : json_integer(v->counts[i]));
    return a;
}

static json_t *json_value(const qs_out_val *v)
{
    switch (v->type) {
    case QS_OUT_TEXT: return json_text(v->s);
    case QS_OUT_REAL: return json_number(v->d);
    case QS_OUT_COUNT: return json_integer(v->i);
    case QS_OUT_BOOL: return json_boolean(v->i != 0);
    case QS_OUT_REALS:
    case QS_OUT_COUNTS: return json_array_of(v);
    default: return json_null();
    }
}

static void json_line(const qs_out *o, const qs_out_val *v)
{
    json_t *obj = json_object();
    for (size_t i = 0; i < o->n; i++) {
        const qs_out_col *c = &o->col[i];
        if (!(c->where & QS_COL_JSON)) continue;
        if ((c->where & QS_COL_OPTIONAL) && v[i].type == QS_OUT_NONE) continue;
        json_object_set_new(obj, c->key, json_value(&v[i]));
    }
    fputs(o->rows ? ",\n " : " ", stdout);
    json_dumpf(obj, stdout, JSON_COMPACT | JSON_REAL_PRECISION(17));
    json_decref(obj);
}

/* ---- CSV (RFC 4180; lines end in a newline) ------------------------------------------- */
static void csv_field(const char *s)
{
    if (!s[strcspn(s, ",\"\r\n")]) {
        fputs(s, stdout);
        return;
    }
    putchar('"');
    for (; *s; s++) {
        if (*s == '"') putchar('"');
        putchar(*s);
    }
    putchar('"');
}

/* The shortest of 15 to 17 digits that reads back as the same number. */
static void csv_number(double d)
{
    char buf[40];
    if (!isfinite(d)) return;
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(buf, sizeof buf, "%.*g", digits, d);
        if (strtod(buf, NULL) == d) break;
    }
    fputs(buf, stdout);
}

/* v NULL: the names. */
static void csv_line(const qs_out *o, const qs_out_val *v)
{
    bool first = true;
    for (size_t i = 0; i < o->n; i++) {
        if (!(o->col[i].where & QS_COL_CSV)) continue;
        if (!first) putchar(',');
        first = false;
        if (!v) csv_field(o->col[i].key);
        else if (v[i].type == QS_OUT_TEXT) csv_field(v[i].s);
        else if (v[i].type == QS_OUT_REAL) csv_number(v[i].d);
        else if (v[i].type == QS_OUT_COUNT) printf("%lld", (long long)v[i].i);
        else if (v[i].type == QS_OUT_BOOL) fputs(v[i].i ? "true" : "false", stdout);
    }
    putchar('\n');
}

/* ---- rows ------------------------------------------------------------------------------ */
void qs_out_begin(qs_out *o, qs_out_kind kind, const qs_out_col *col, size_t n)
{
    *o = (qs_out){.kind = kind, .col = col, .n = n};
    if (kind == QS_OUT_JSON) fputs("[\n", stdout);
    if (kind == QS_OUT_CSV) csv_line(o, NULL);
}

bool qs_out_row(qs_out *o, const qs_out_val *v)
{
    qs_progress_clear();
    errno = 0;
    if (o->kind == QS_OUT_TABLE) table_line(o, v);
    else if (o->kind == QS_OUT_JSON) json_line(o, v);
    else csv_line(o, v);
    o->rows++;
    /* A reader of a pipe sees what is done, and we see soon that there is none. */
    if (qs_now() - o->flushed > 0.1) {
        fflush(stdout);
        o->flushed = qs_now();
    }
    return qs_stdout_open();
}

int qs_out_end(qs_out *o)
{
    if (o->kind == QS_OUT_JSON) fputs(o->rows ? "\n]\n" : "]\n", stdout);
    return qs_flush_stdout();
}
