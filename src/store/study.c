/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A sweep as a table of parameters: JSON is read by SQLite (json_each).
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "store/groups.h"
#include "store/store_in.h"

/* ---- which sweep ------------------------------------------------------------------------------------ */
static int only_sweep(qs_store *s, char **name, qs_err *err)
{
    qs_sweep_row *row;
    size_t n;
    int rc = qs_store_sweeps(s, &row, &n, err);
    if (rc) return rc;
    qs_str all = {0};
    for (size_t i = 0; i < n; i++) qs_str_addf(&all, "%s%s", i ? ", " : "", row[i].name);
    if (!n) rc = qs_fail(err, QS_ERANGE, _("%s: no sweep in it yet"), qs_store_path(s));
    else if (n > 1) rc = qs_fail(err, QS_EARG, _("%s: several sweeps, choose one: %s"), qs_store_path(s), all.s);
    else *name = qs_xstrdup(row[0].name);
    free(all.s);
    qs_store_free_sweeps(row, n);
    return rc;
}

/* ---- values ------------------------------------------------------------------------------------------- */
static qs_value_kind kind_of(const char *type)
{
    static const struct { const char *type; qs_value_kind kind; } kinds[] = {
        {"text", QS_VALUE_TEXT}, {"integer", QS_VALUE_INT}, {"real", QS_VALUE_REAL}, {"true", QS_VALUE_BOOL},
        {"false", QS_VALUE_BOOL},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (!strcmp(type, kinds[i].type)) return kinds[i].kind;
    }
    return QS_VALUE_JSON;
}

/* Columns of json_each: key, value, type. */
static qs_value value_of(sqlite3_stmt *st)
{
    const char *type = qs_sql_peek(st, 2);
    qs_value v = {.kind = kind_of(type), .x = sqlite3_column_double(st, 1)};
    if (v.kind == QS_VALUE_REAL) {
        v.text = qs_numbers_text(&v.x, 1);
        v.text[strlen(v.text) - 1] = '\0';      /* without the brackets */
        memmove(v.text, v.text + 1, strlen(v.text));
    } else if (v.kind == QS_VALUE_BOOL || !strcmp(type, "null")) {
        v.text = qs_xstrdup(type);
    } else {
        v.text = qs_xstrdup(qs_sql_peek(st, 1));
    }
    return v;
}

static size_t hash_of(const qs_value *v)
{
    uint64_t h = 0xcbf29ce484222325u ^ (uint64_t)v->kind;      /* FNV-1a */
    for (const char *p = v->text; *p; p++) h = (h ^ (unsigned char)*p) * 0x100000001b3u;
    return (size_t)h;
}

/* Where v is in the table, or the free place where it belongs. */
static int *find_slot(const qs_factor *f, const qs_value *v)
{
    size_t i = hash_of(v) & (f->nslot - 1);
    for (; f->slot[i]; i = (i + 1) & (f->nslot - 1)) {
        const qs_value *w = &f->value[f->slot[i] - 1];
        if (w->kind == v->kind && !strcmp(w->text, v->text)) break;
    }
    return &f->slot[i];
}

/* Room for one more, the table at most half full; the list of values grows with it. */
static void make_room(qs_factor *f)
{
    if (2 * (f->nvalue + 1) <= f->nslot) return;
    f->nslot = f->nslot ? 4 * f->nslot : 16;
    free(f->slot);
    f->slot = qs_xcalloc(f->nslot, sizeof *f->slot);
    f->value = qs_xrealloc(f->value, f->nslot / 2 * sizeof *f->value);
    for (size_t i = 0; i < f->nvalue; i++) *find_slot(f, &f->value[i]) = (int)i + 1;
}

/* The number of this value, whose text is the list's from now on, or freed. */
static int code_of(qs_factor *f, qs_value v)
{
    make_room(f);
    int *at = find_slot(f, &v);
    if (*at) {
        free(v.text);
    } else {
        f->value[f->nvalue++] = v;
        *at = (int)f->nvalue;
    }
    return *at - 1;
}

int qs_study_param(const qs_study *y, const char *name)
{
    for (size_t i = 0; i < y->nparam; i++) {
        if (!strcmp(y->param[i].name, name)) return (int)i;
    }
    return -1;
}

/* A parameter that no cell before had: all rows get a column. */
static size_t add_param(qs_study *y, const char *name)
{
    size_t was = y->nparam++, n = y->t.nrow;
    y->param = qs_xrealloc(y->param, y->nparam * sizeof *y->param);
    y->param[was] = (qs_factor){.name = qs_xstrdup(name)};
    y->code = qs_xrealloc(y->code, n * y->nparam * sizeof *y->code);
    for (size_t i = n; i-- > 0;) {
        memmove(y->code + i * y->nparam, y->code + i * was, was * sizeof *y->code);
        y->code[i * y->nparam + was] = -1;
    }
    return was;
}

static int read_params(qs_store *s, qs_study *y, size_t row, qs_err *err)
{
    sqlite3_stmt *st = qs_sql(s, err, "SELECT key, value, type FROM json_each(?)");
    if (!st) return -err->code;
    int rc;
    qs_sql_bind(st, "t", y->t.row[row].params);
    while ((rc = qs_sql_step(s, st, err)) == 1) {
        int known = qs_study_param(y, qs_sql_peek(st, 0));
        size_t p = known < 0 ? add_param(y, qs_sql_peek(st, 0)) : (size_t)known;
        y->code[row * y->nparam + p] = code_of(&y->param[p], value_of(st));
    }
    return rc;
}

int qs_study_read(qs_store *s, const char *sweep, qs_study *y, qs_err *err)
{
    qs_err none;
    if (!err) err = &none;
    *y = (qs_study){.sweep = sweep ? qs_xstrdup(sweep) : NULL};
    int rc = sweep ? 0 : only_sweep(s, &y->sweep, err);
    if (!rc) rc = qs_store_results(s, y->sweep, &y->t, err);
    for (size_t i = 0; i < y->t.nrow && !rc; i++) {
        y->count[y->t.row[i].status]++;
        rc = read_params(s, y, i, err);
    }
    if (rc) qs_study_clear(y);
    return rc;
}

void qs_study_keep(qs_study *y, const bool *keep)
{
    size_t n = 0, np = y->nparam;
    for (size_t i = 0; i < y->t.nrow; i++) {
        qs_results_row *r = &y->t.row[i];
        if (!keep[i]) {
            y->count[r->status]--;
            qs_results_row_clear(r);
            continue;
        }
        if (np) memmove(y->code + n * np, y->code + i * np, np * sizeof *y->code);
        y->t.row[n++] = *r;
    }
    y->t.nrow = n;
}

void qs_study_clear(qs_study *y)
{
    for (size_t i = 0; i < y->nparam; i++) {
        for (size_t k = 0; k < y->param[i].nvalue; k++) free(y->param[i].value[k].text);
        free(y->param[i].value);
        free(y->param[i].slot);
        free(y->param[i].name);
    }
    free(y->param);
    free(y->code);
    free(y->sweep);
    qs_results_clear(&y->t);
    *y = (qs_study){0};
}

const qs_value *qs_study_value(const qs_study *y, size_t row, size_t param)
{
    int code = y->code[row * y->nparam + param];
    return code < 0 ? NULL : &y->param[param].value[code];
}

int qs_study_metric(const qs_study *y, const char *name)
{
    for (size_t i = 0; i < y->t.nmetric; i++) {
        if (!strcmp(y->t.metric[i], name)) return (int)i;
    }
    return -1;
}

size_t qs_study_failed(const qs_study *y)
{
    return y->count[QS_TRIAL_FAILED] + y->count[QS_TRIAL_KILLED] + y->count[QS_TRIAL_TIMEOUT];
}
