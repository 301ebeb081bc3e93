/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Grids, cells and keys; which cells a filter and a shard choose.
 */
#include "store/sweep.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

/* ---- values and keys ------------------------------------------------------------------------------ */
static bool is_utf8(const char *s)
{
    json_t *t = json_string(s);      /* NULL: it is not */
    json_decref(t);
    return t;
}

static void add_quoted(qs_str *out, const char *s)
{
    static const char special[] = "\"\\\1\2\3\4\5\6\7\10\11\12\13\14\15\16\17\20\21\22\23\24\25\26\27\30\31\32\33\34\35\36\37";
    qs_str_add(out, "\"");
    for (size_t n; *s; s += n + (s[n] != 0)) {
        n = strcspn(s, special);
        qs_str_addn(out, s, n);
        if (s[n] == '"' || s[n] == '\\') qs_str_addf(out, "\\%c", s[n]);
        else if (s[n]) qs_str_addf(out, "\\u%04x", (unsigned)s[n]);
    }
    qs_str_add(out, "\"");
}

/* The fewest digits that read back the same (%g leaves zeros at the end out, so 15 are no more than needed). A host's locale
 * may have another point. */
static void add_real(qs_str *out, double x)
{
    char text[40];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, x);
        double back = strtod(text, NULL);
        if (memcmp(&back, &x, sizeof x) == 0) break;
    }
    char *comma = strchr(text, ',');
    if (comma) *comma = '.';
    qs_str_add(out, text);
}

void qs_sweep_value_json(const qs_sweep_value *v, qs_str *out)
{
    switch (v->kind) {
    case QS_SWEEP_BOOL: qs_str_add(out, v->i ? "true" : "false"); return;
    case QS_SWEEP_INTEGER: qs_str_addf(out, "%" PRId64, v->i); return;
    case QS_SWEEP_REAL: add_real(out, v->x); return;
    case QS_SWEEP_TEXT: add_quoted(out, v->s); return;
    }
}

void qs_sweep_value_text(const qs_sweep_value *v, qs_str *out)
{
    if (v->kind == QS_SWEEP_TEXT) qs_str_add(out, v->s);
    else qs_sweep_value_json(v, out);
}

static char *key_of(const qs_sweep_cell *c)
{
    qs_str out = {0};
    qs_str_add(&out, "{");
    for (size_t i = 0; i < c->n; i++) {
        if (i) qs_str_add(&out, ",");
        add_quoted(&out, c->param[i].name);
        qs_str_add(&out, ":");
        qs_sweep_value_json(&c->param[i].value, &out);
    }
    qs_str_add(&out, "}");
    return out.s;
}

char *qs_sweep_cell_text(const qs_sweep_cell *c)
{
    qs_str out = {0};
    qs_str_add(&out, "");
    for (size_t i = 0; i < c->n; i++) {
        qs_str_addf(&out, "%s%s=", i ? " " : "", c->param[i].name);
        qs_sweep_value_text(&c->param[i].value, &out);
    }
    return out.s;
}

/* FNV-1a, its bits spread by the end of splitmix64; `salt` makes it another one. */
static uint64_t hash(const char *key, uint64_t salt)
{
    uint64_t h = 0xcbf29ce484222325u ^ salt;
    for (; *key; key++) h = (h ^ (unsigned char)*key) * 0x100000001b3u;
    h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9u;
    h = (h ^ (h >> 27)) * 0x94d049bb133111ebu;
    return h ^ (h >> 31);
}

int64_t qs_key_seed(const char *key)
{
    uint64_t most = ((uint64_t)1 << 53) - 1;      /* exact in JSON, SQLite, Lua and as a double */
    return (int64_t)(hash(key, 0) % most) + 1;
}

/* ---- making a sweep --------------------------------------------------------------------------------- */
qs_sweep *qs_sweep_new(const char *name, qs_err *err)
{
    static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t n = strlen(name);
    if (!n || n > 100 || strspn(name, good) != n || *name == '.' || *name == '-') {
        qs_fail(err, QS_EARG, _("the name of a sweep is 1 to 100 of a-z A-Z 0-9 . _ - and begins with a letter, a digit or _: "
                                "\"%.120s\" is not"), name);
        return NULL;
    }
    qs_sweep *s = qs_xcalloc(1, sizeof *s);
    s->name = qs_xstrdup(name);
    return s;
}

static void free_cell(qs_sweep_cell *c)
{
    free(c->param);
    free(c->key);
}

void qs_sweep_free(qs_sweep *s)
{
    if (!s) return;
    for (size_t i = 0; i < s->ncell; i++) free_cell(&s->cell[i]);
    for (size_t i = 0; i < s->naxis; i++) {
        free(s->axis[i].name);
        free(s->axis[i].value);
    }
    for (size_t i = 0; i < s->nown; i++) free(s->own[i]);
    free(s->own);
    free(s->axis);
    free(s->cell);
    free(s->name);
    free(s);
}

/* Room for one more where n is a power of two, or 0. */
static void *grow(void *p, size_t n, size_t size)
{
    return n & (n - 1) ? p : qs_xrealloc(p, (n ? 2 * n : 1) * size);
}

static qs_sweep_axis *axis_of(qs_sweep *s, const char *name)
{
    for (size_t i = 0; i < s->naxis; i++) {
        if (!strcmp(s->axis[i].name, name)) return &s->axis[i];
    }
    s->axis = grow(s->axis, s->naxis, sizeof *s->axis);
    s->axis[s->naxis] = (qs_sweep_axis){.name = qs_xstrdup(name)};
    return &s->axis[s->naxis++];
}

static int check_value(const char *name, const qs_sweep_value *v, qs_err *err)
{
    if (!*name || !is_utf8(name)) return qs_fail(err, QS_EARG, _("a parameter's name is empty or no UTF-8"));
    if (v->kind == QS_SWEEP_REAL && !isfinite(v->x))
        return qs_fail(err, QS_EARG, _("%s: %g is no value of a parameter: a key needs finite numbers"), name, v->x);
    if (v->kind == QS_SWEEP_TEXT && !is_utf8(v->s)) return qs_fail(err, QS_EARG, _("%s: a text that is no UTF-8"), name);
    return 0;
}

/* A value that is the sweep's: whole numbers are integers. */
static qs_sweep_value keep_value(qs_sweep *s, qs_sweep_value v)
{
    if (v.kind == QS_SWEEP_REAL && fabs(v.x) < 0x1p53 && v.x - trunc(v.x) == 0)
        return (qs_sweep_value){.kind = QS_SWEEP_INTEGER, .i = (int64_t)v.x};
    if (v.kind != QS_SWEEP_TEXT) return v;
    s->own = grow(s->own, s->nown, sizeof *s->own);
    s->own[s->nown++] = v.s = qs_xstrdup(v.s);
    return v;
}

int qs_sweep_add_value(qs_sweep *s, const char *name, const qs_sweep_value *v, qs_err *err)
{
    if (check_value(name, v, err)) return -QS_EARG;
    qs_sweep_axis *a = axis_of(s, name);
    a->value = grow(a->value, a->n, sizeof *a->value);
    a->value[a->n++] = keep_value(s, *v);
    return 0;
}

static int by_name(const void *a, const void *b) { return strcmp(((const qs_sweep_param *)a)->name, ((const qs_sweep_param *)b)->name); }
static int by_axis(const void *a, const void *b) { return strcmp(((const qs_sweep_axis *)a)->name, ((const qs_sweep_axis *)b)->name); }

/* Takes param over. */
static void add_cell(qs_sweep *s, qs_sweep_param *param, size_t n)
{
    s->cell = grow(s->cell, s->ncell, sizeof *s->cell);
    qs_sweep_cell *c = &s->cell[s->ncell++];
    *c = (qs_sweep_cell){.param = param, .n = n};
    c->key = key_of(c);
}

int qs_sweep_add_cell(qs_sweep *s, const qs_sweep_param *param, size_t n, qs_err *err)
{
    if (s->ncell >= QS_SWEEP_MAX) return qs_fail(err, QS_EARG, _("more than %d cells"), QS_SWEEP_MAX);
    for (size_t i = 0; i < n; i++) {
        if (check_value(param[i].name, &param[i].value, err)) return -QS_EARG;
    }
    qs_sweep_param *mine = qs_xmalloc(n * sizeof *mine);
    for (size_t i = 0; i < n; i++) {
        qs_sweep_add_value(s, param[i].name, &param[i].value, err);
        const qs_sweep_axis *a = axis_of(s, param[i].name);
        mine[i] = (qs_sweep_param){a->name, a->value[a->n - 1]};
    }
    if (n) qsort(mine, n, sizeof *mine, by_name);
    add_cell(s, mine, n);
    for (size_t i = 1; i < n; i++) {
        if (!strcmp(mine[i].name, mine[i - 1].name))
            return qs_fail(err, QS_EARG, _("a cell has %s twice"), mine[i].name);
    }
    return 0;
}

/* All combinations, the last axis fastest. */
static int expand(qs_sweep *s, qs_err *err)
{
    size_t total = 1;
    for (size_t i = 0; i < s->naxis; i++) {
        if (!qs_mul(total, s->axis[i].n, &total) || total > QS_SWEEP_MAX)
            return qs_fail(err, QS_EARG, _("more than %d cells"), QS_SWEEP_MAX);
    }
    for (size_t c = 0; s->naxis && c < total; c++) {
        qs_sweep_param *p = qs_xmalloc(s->naxis * sizeof *p);
        size_t left = c;
        for (size_t i = s->naxis; i-- > 0; left /= s->axis[i].n)
            p[i] = (qs_sweep_param){s->axis[i].name, s->axis[i].value[left % s->axis[i].n]};
        add_cell(s, p, s->naxis);
    }
    return 0;
}

struct text_at { char *text; size_t at; };
static int by_text(const void *a, const void *b)
{
    const struct text_at *x = a, *y = b;
    int c = strcmp(x->text, y->text);
    return c ? c : x->at < y->at ? -1 : 1;
}

/* Of the texts (n) sorted: sets drop[at] of those that came up before. How many. */
static size_t find_twins(struct text_at *t, size_t n, bool *drop)
{
    size_t twins = 0;
    if (n) qsort(t, n, sizeof *t, by_text);
    for (size_t i = 1; i < n; i++) {
        bool twin = !strcmp(t[i].text, t[i - 1].text);
        drop[t[i].at] = twin;
        twins += twin;
    }
    return twins;
}

/* Leaves values out that are there already: every value once, as it came up. */
static size_t unite(qs_sweep_axis *a)
{
    struct text_at *t = qs_xcalloc(a->n + 1, sizeof *t);
    bool *drop = qs_xcalloc(a->n + 1, sizeof *drop);
    size_t kept = 0;
    for (size_t i = 0; i < a->n; i++) {
        qs_str b = {0};
        qs_sweep_value_json(&a->value[i], &b);
        t[i] = (struct text_at){b.s, i};
    }
    size_t twins = find_twins(t, a->n, drop);
    for (size_t i = 0; i < a->n; i++) {
        free(t[i].text);
        if (!drop[i]) a->value[kept++] = a->value[i];
    }
    a->n = kept;
    free(drop);
    free(t);
    return twins;
}

static int check_keys(const qs_sweep *s, qs_err *err)
{
    struct text_at *t = qs_xcalloc(s->ncell + 1, sizeof *t);
    bool *drop = qs_xcalloc(s->ncell + 1, sizeof *drop);
    int rc = 0;
    for (size_t i = 0; i < s->ncell; i++) t[i] = (struct text_at){s->cell[i].key, i};
    bool twins = find_twins(t, s->ncell, drop) > 0;
    for (size_t i = 0; twins && !rc && i < s->ncell; i++) {
        if (drop[i]) rc = qs_fail(err, QS_EARG, _("the cell %.300s is there twice"), s->cell[i].key);
    }
    free(drop);
    free(t);
    return rc;
}

int qs_sweep_close(qs_sweep *s, qs_err *err)
{
    bool grid = !s->ncell;
    if (s->naxis) qsort(s->axis, s->naxis, sizeof *s->axis, by_axis);
    for (size_t i = 0; i < s->naxis; i++) {
        if (unite(&s->axis[i]) && grid) return qs_fail(err, QS_EARG, _("%s has a value twice"), s->axis[i].name);
    }
    if (grid && expand(s, err)) return -QS_EARG;
    if (!s->ncell) return qs_fail(err, QS_EARG, _("the grid is empty"));
    return grid ? 0 : check_keys(s, err);
}

int qs_sweep_keep(qs_sweep *s, const bool *keep, qs_err *err)
{
    size_t n = 0;
    for (size_t i = 0; i < s->ncell; i++) {
        if (keep[i]) s->cell[n++] = s->cell[i];
        else free_cell(&s->cell[i]);
    }
    s->ncell = n;
    return n ? 0 : qs_fail(err, QS_EARG, _("where() leaves no cell"));
}

char *qs_sweep_grid(const qs_sweep *s)
{
    qs_str out = {0};
    qs_str_add(&out, "{");
    for (size_t i = 0; i < s->naxis; i++) {
        if (i) qs_str_add(&out, ",");
        add_quoted(&out, s->axis[i].name);
        qs_str_add(&out, ":[");
        for (size_t k = 0; k < s->axis[i].n; k++) {
            if (k) qs_str_add(&out, ",");
            qs_sweep_value_json(&s->axis[i].value[k], &out);
        }
        qs_str_add(&out, "]");
    }
    qs_str_add(&out, "}");
    return out.s;
}

/* ---- filters ------------------------------------------------------------------------------------------ */
/* Cuts *text at the first `mark` outside parentheses; *text goes behind it, or NULL. */
static char *cut(char **text, char mark)
{
    char *from = *text, *p = from;
    for (int depth = 0; *p && (*p != mark || depth > 0); p++) depth += (*p == '(') - (*p == ')');
    *text = *p ? p + 1 : NULL;
    *p = '\0';
    return from;
}

static bool means(const char *text, const qs_sweep_value *v)
{
    char *end;
    double x = strtod(text, &end);
    bool number = *text && !*end;
    switch (v->kind) {
    case QS_SWEEP_BOOL: return !strcmp(text, v->i ? "true" : "false");
    case QS_SWEEP_INTEGER: return number && x - (double)v->i == 0;
    case QS_SWEEP_REAL: return number && x - v->x == 0;
    default: return !strcmp(text, v->s);
    }
}

/* Values of an axis, "2, 3, 4", for a message. */
static char *axis_text(const qs_sweep_axis *a)
{
    qs_str out = {0};
    for (size_t i = 0; i < a->n && out.n < 200; i++) {
        if (i) qs_str_add(&out, ", ");
        qs_sweep_value_text(&a->value[i], &out);
    }
    if (out.n >= 200) qs_str_add(&out, ", ...");
    return out.s;
}

static int no_such_value(const qs_sweep_axis *a, const char *text, qs_err *err)
{
    char *all = axis_text(a);
    int rc = qs_fail(err, QS_EARG, _("filter: no cell has %s=%.80s; there are: %s"), a->name, text, all);
    free(all);
    return rc;
}

static int no_such_name(const qs_sweep *s, const char *name, qs_err *err)
{
    qs_str all = {0};
    for (size_t i = 0; i < s->naxis && all.n < 200; i++) qs_str_addf(&all, "%s%s", i ? ", " : "", s->axis[i].name);
    int rc = qs_fail(err, QS_EARG, _("filter: there is no parameter \"%.80s\"; there are: %s"), name, all.s);
    free(all.s);
    return rc;
}

/* ok[i]: whether value i of the axis is among the alternatives "2|3". */
static int read_alternatives(const qs_sweep_axis *a, char *text, bool *ok, qs_err *err)
{
    while (text) {
        char *one = cut(&text, '|');
        bool hit = false;
        for (size_t i = 0; i < a->n; i++) {
            if (!means(one, &a->value[i])) continue;
            hit = ok[i] = true;
        }
        if (!hit) return no_such_value(a, one, err);
    }
    return 0;
}

static bool same_value(const qs_sweep_value *a, const qs_sweep_value *b)
{
    if (a->kind != b->kind) return false;
    if (a->kind == QS_SWEEP_TEXT) return !strcmp(a->s, b->s);
    return a->kind == QS_SWEEP_REAL ? a->x - b->x == 0 : a->i == b->i;
}

static bool has_one(const qs_sweep_cell *c, const qs_sweep_axis *a, const bool *ok)
{
    for (size_t i = 0; i < c->n; i++) {
        if (strcmp(c->param[i].name, a->name)) continue;
        for (size_t k = 0; k < a->n; k++) {
            if (ok[k] && same_value(&c->param[i].value, &a->value[k])) return true;
        }
    }
    return false;
}

/* One "name=values": takes away from keep what has another. */
static int apply(const qs_sweep *s, char *part, bool *keep, qs_err *err)
{
    char *values = part;
    if (!strchr(part, '=')) return qs_fail(err, QS_EARG, _("filter: \"%.80s\" is no NAME=VALUE|VALUE,..."), part);
    const char *name = cut(&values, '=');
    const qs_sweep_axis *a = s->axis, *end = a + s->naxis;
    while (a < end && strcmp(a->name, name)) a++;
    if (a == end) return no_such_name(s, name, err);
    bool *ok = qs_xcalloc(a->n + 1, sizeof *ok);
    int rc = read_alternatives(a, values, ok, err);
    for (size_t i = 0; i < s->ncell && !rc; i++) keep[i] &= has_one(&s->cell[i], a, ok);
    free(ok);
    return rc;
}

static int filter_cells(const qs_sweep *s, const char *filter, bool *keep, qs_err *err)
{
    char *copy = qs_xstrdup(filter), *rest = copy;
    int rc = 0;
    while (rest && !rc) rc = apply(s, cut(&rest, ','), keep, err);
    free(copy);
    return rc;
}

/* ---- shards --------------------------------------------------------------------------------------------- */
struct dealt { uint64_t hash; const char *key; size_t at; };
static int by_hash(const void *a, const void *b)
{
    const struct dealt *x = a, *y = b;
    return x->hash < y->hash ? -1 : x->hash > y->hash ? 1 : strcmp(x->key, y->key);
}

static int shard_cells(const qs_sweep *s, long i, long of, bool *keep, qs_err *err)
{
    if (!of) return 0;
    if (i < 1 || of < 1 || i > of) return qs_fail(err, QS_EARG, _("shard %ld/%ld: I/N with I from 1 to N"), i, of);
    struct dealt *d = qs_xcalloc(s->ncell, sizeof *d);
    for (size_t c = 0; c < s->ncell; c++) d[c] = (struct dealt){hash(s->cell[c].key, 0x7368617264), s->cell[c].key, c};
    qsort(d, s->ncell, sizeof *d, by_hash);
    for (size_t c = 0; c < s->ncell; c++) keep[d[c].at] &= c % (size_t)of == (size_t)(i - 1);
    free(d);
    return 0;
}

int qs_shard_read(const char *text, long *i, long *of, qs_err *err)
{
    int end = 0;
    if (sscanf(text, "%5ld/%5ld%n", i, of, &end) == 2 && !text[end] && *i >= 1 && *i <= *of) return 0;
    return qs_fail(err, QS_EARG, _("shard \"%.40s\": I/N with I from 1 to N, at most 99999"), text);
}

int qs_sweep_choose(const qs_sweep *s, const char *filter, long i, long of, size_t **out, size_t *n, qs_err *err)
{
    bool *keep = qs_xmalloc(s->ncell + 1);
    memset(keep, true, s->ncell);
    int rc = shard_cells(s, i, of, keep, err);
    if (!rc && filter && *filter) rc = filter_cells(s, filter, keep, err);
    *out = qs_xcalloc(s->ncell + 1, sizeof **out);
    *n = 0;
    for (size_t c = 0; c < s->ncell && !rc; c++) {
        if (keep[c]) (*out)[(*n)++] = c;
    }
    free(keep);
    if (!rc) return 0;
    free(*out);
    *out = NULL;
    return rc;
}

/* ---- reading a key back ------------------------------------------------------------------------------------ */
static bool read_value(const json_t *j, qs_sweep_value *v)
{
    *v = (qs_sweep_value){0};
    switch (json_typeof(j)) {
    case JSON_TRUE:
    case JSON_FALSE: *v = (qs_sweep_value){.kind = QS_SWEEP_BOOL, .i = json_is_true(j)}; return true;
    case JSON_INTEGER: *v = (qs_sweep_value){.kind = QS_SWEEP_INTEGER, .i = json_integer_value(j)}; return true;
    case JSON_REAL: *v = (qs_sweep_value){.kind = QS_SWEEP_REAL, .x = json_real_value(j)}; return true;
    case JSON_STRING: *v = (qs_sweep_value){.kind = QS_SWEEP_TEXT, .s = qs_xstrdup(json_string_value(j))}; return true;
    default: return false;
    }
}

void qs_sweep_cell_clear(qs_sweep_cell *c)
{
    for (size_t i = 0; i < c->n; i++) {
        free((char *)c->param[i].name);
        if (c->param[i].value.kind == QS_SWEEP_TEXT) free(c->param[i].value.s);
    }
    free_cell(c);
    *c = (qs_sweep_cell){0};
}

int qs_sweep_cell_read(const char *key, qs_sweep_cell *c, qs_err *err)
{
    json_t *j = json_loads(key, JSON_REJECT_DUPLICATES, NULL), *value;
    const char *name;
    *c = (qs_sweep_cell){0};
    bool good = json_is_object(j);
    if (good) c->param = qs_xcalloc(json_object_size(j) + 1, sizeof *c->param);
    json_object_foreach(j, name, value) {
        if (!(good = good && read_value(value, &c->param[c->n].value))) break;
        c->param[c->n++].name = qs_xstrdup(name);
    }
    json_decref(j);
    if (good && c->n) qsort(c->param, c->n, sizeof *c->param, by_name);
    if (good) c->key = key_of(c);
    if (good) return 0;
    qs_sweep_cell_clear(c);
    return qs_fail(err, QS_EFORMAT, _("\"%.100s\" is no cell's key"), key);
}
