/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Plots in Lua: a table that says what is to be seen becomes a plot of src/plot
 * that owns its numbers, and is saved as a picture or shown as text. What there
 * is to plot (histograms, curves, runs) is written in lua/quantscope/plots.lua.
 */
#include "bind/bind.h"

#include <langinfo.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "plot/color.h"
#include "plot/paper.h"

/* A plot with the memory of everything it points to. */
typedef struct owned {
    qs_plot p;
    qs_heat heat;
    qs_series *series;
    qs_limit *limit;
    qs_ruler *ruler;
    qs_marker *marker;
    void **block;
    size_t nblock;
} owned;

static void owned_free(void *v)
{
    owned *o = v;
    for (size_t i = 0; o && i < o->nblock; i++) free(o->block[i]);
    if (o) free(o->block);
    free(o);
}

static void *keep(owned *o, void *block)
{
    o->block = qs_xrealloc(o->block, (o->nblock + 1) * sizeof *o->block);
    return o->block[o->nblock++] = block;
}

static void *room(owned *o, size_t n, size_t size) { return keep(o, qs_xcalloc(n + 1, size)); }

/* ---- reading ----------------------------------------------------------------------------------- */

/* A text field of the table at the top, kept; NULL: absent. Raises for another type. */
static const char *text_field(lua_State *L, owned *o, const char *key)
{
    const char *s = qs_opt_text(L, lua_gettop(L), key);
    return s ? keep(o, qs_xstrdup(s)) : NULL;
}

static double number_field(lua_State *L, const char *key) { return qs_opt_number(L, lua_gettop(L), key, NAN); }

/* The numbers of the table or tensor at the top, kept. nil and false are gaps. NULL with err set: a value is no number. */
static double *read_numbers(lua_State *L, owned *o, const char *what, size_t *n, qs_err *err)
{
    const qs_tensor *t = qs_test(L, -1, &qs_type_tensor);
    if (!t && !lua_istable(L, -1)) {
        qs_fail(err, QS_EARG, "%s: a table of numbers or a tensor expected, got %s", what, luaL_typename(L, -1));
        return NULL;
    }
    *n = t ? t->n : (size_t)lua_rawlen(L, -1);
    double *v = room(o, *n, sizeof *v);
    for (size_t i = 0; t && i < *n; i++) v[i] = qs_tensor_at(t, i);
    if (t && qs_tensor_check(t, err)) return NULL;
    for (size_t i = 0; !t && i < *n; i++) {
        int type = lua_rawgeti(L, -1, (lua_Integer)i + 1);
        v[i] = type == LUA_TNUMBER ? lua_tonumber(L, -1) : NAN;
        if (type != LUA_TNUMBER && lua_toboolean(L, -1)) {
            qs_fail(err, QS_EARG, "%s[%zu]: a number expected, got %s", what, i + 1, luaL_typename(L, -1));
            return NULL;
        }
        lua_pop(L, 1);
    }
    return v;
}

/* t[key] as numbers, t at the top; 0 and *out NULL: absent. */
static int number_list(lua_State *L, owned *o, const char *where, const char *key, double **out, size_t *n, qs_err *err)
{
    char what[80];
    *out = NULL;
    *n = 0;
    snprintf(what, sizeof what, "%s.%s", where, key);
    if (lua_getfield(L, -1, key) != LUA_TNIL) *out = read_numbers(L, o, what, n, err);
    bool bad = !*out && !lua_isnil(L, -1);
    lua_pop(L, 1);
    return bad ? -QS_EARG : 0;
}

static const struct { const char *name; qs_series_kind kind; } kinds[] = {
    {"line", QS_PLOT_LINE}, {"points", QS_PLOT_POINTS}, {"bars", QS_PLOT_BARS}, {"band", QS_PLOT_BAND}};

static int kind_field(lua_State *L, const char *where, qs_series_kind *out, qs_err *err)
{
    const char *name = qs_opt_text(L, lua_gettop(L), "kind");
    *out = QS_PLOT_LINE;
    for (size_t i = 0; i < 4; i++)
        if (name && !strcmp(kinds[i].name, name)) { *out = kinds[i].kind; return 0; }
    return name ? qs_fail(err, QS_EARG, "%s: kind \"%s\" is none of line, points, bars, band", where, name) : 0;
}

/* Colours by role: "init:lsq" as everywhere, "run1".."run8", or a name of the list. */
static int role_named(const char *name, size_t otherwise)
{
    static const struct { const char *name; int role; } roles[] = {
        {"bars", QS_ROLE_BARS}, {"density", QS_ROLE_DENSITY}, {"error", QS_ROLE_ERROR}, {"rounding", QS_ROLE_ROUND},
        {"clipping", QS_ROLE_CLIP}, {"level", QS_ROLE_LEVEL}, {"dim", QS_ROLE_CURSOR}, {"b", QS_ROLE_B}};
    if (name && !strncmp(name, "init:", 5)) return qs_init_role(name + 5);
    if (name && !strncmp(name, "run", 3) && name[3] >= '1' && name[3] <= '8' && !name[4]) return QS_ROLE_RUN0 + name[3] - '1';
    for (size_t i = 0; name && i < sizeof roles / sizeof *roles; i++)
        if (!strcmp(roles[i].name, name)) return roles[i].role;
    return name ? -1 : QS_ROLE_RUN0 + (int)(otherwise % 8);
}

static int role_field(lua_State *L, const char *where, size_t otherwise, unsigned char *out, qs_err *err)
{
    const char *name = qs_opt_text(L, lua_gettop(L), "color");
    int role = role_named(name, otherwise);
    *out = (unsigned char)role;
    if (role >= 0) return 0;
    return qs_fail(err, QS_EARG, "%s: color \"%s\" is none of run1 to run8, init:NAME, bars, density, error, rounding, clipping, level, "
                   "dim, b", where, name);
}

/* Lines and bands go from left to right as their points come; a length that differs would shift them silently. */
static int same_length(const char *where, const char *key, size_t n, size_t want, qs_err *err)
{
    return n == want ? 0 : qs_fail(err, QS_EARG, "%s: %zu values of %s and %zu of y", where, n, key, want);
}

static int read_series(lua_State *L, owned *o, size_t i, size_t color, qs_series *s, qs_err *err)
{
    static const char *const fields[] = {"x", "y", "y2", "kind", "name", "color", "bold", NULL};
    char where[40];
    double *x, *y, *y2;
    size_t nx, ny, n2;
    snprintf(where, sizeof where, "qs.plot: series %zu", i + 1);
    if (!lua_istable(L, -1)) return qs_fail(err, QS_EARG, "%s: a table {y=...} expected, got %s", where, luaL_typename(L, -1));
    if (qs_opts_check(L, lua_gettop(L), where, fields, err) || kind_field(L, where, &s->kind, err) ||
        role_field(L, where, color, &s->role, err) || number_list(L, o, where, "x", &x, &nx, err) ||
        number_list(L, o, where, "y", &y, &ny, err) || number_list(L, o, where, "y2", &y2, &n2, err))
        return -QS_EARG;
    if (!y) return qs_fail(err, QS_EARG, "%s: y is missing", where);
    if (x && s->kind != QS_PLOT_BARS && same_length(where, "x", nx, ny, err)) return -QS_EARG;
    if (s->kind == QS_PLOT_BAND && !y2) return qs_fail(err, QS_EARG, "%s: a band needs y2, its other edge", where);
    if (y2 && same_length(where, "y2", n2, ny, err)) return -QS_EARG;
    if (x && s->kind == QS_PLOT_BARS) return qs_fail(err, QS_EARG, "%s: bars fill the axis from xmin to xmax and take no x", where);
    if (!x && s->kind != QS_PLOT_BARS) {
        x = room(o, ny, sizeof *x);
        for (size_t k = 0; k < ny; k++) x[k] = (double)k + 1;
    }
    s->x = x;
    s->y = y;
    s->y2 = y2;
    s->n = ny;
    s->label = text_field(L, o, "name");
    s->attr = qs_opt_bool(L, lua_gettop(L), "bold", false) ? QS_BOLD : 0;
    return 0;
}

/* Series without a colour get the next one. The series is at the top. */
static size_t next_color(lua_State *L, size_t used)
{
    bool own = lua_istable(L, -1) && lua_getfield(L, -1, "color") != LUA_TNIL;
    return own ? used : used + 1;
}

static int read_all_series(lua_State *L, owned *o, qs_err *err)
{
    size_t n = (size_t)lua_rawlen(L, 1), used = 0;
    o->series = room(o, n, sizeof *o->series);
    for (size_t i = 0; i < n; i++) {
        lua_rawgeti(L, 1, (lua_Integer)i + 1);
        if (read_series(L, o, i, used, &o->series[i], err)) return -QS_EARG;
        used = next_color(L, used);
        lua_settop(L, 2);
    }
    o->p.series = o->series;
    o->p.nseries = n;
    return 0;
}

/* Calls one for each table in the list desc[key]. */
static int each(lua_State *L, owned *o, const char *key, void *(*make)(owned *, size_t n),
                int (*one)(lua_State *, owned *, const char *where, void *array, size_t i, qs_err *), qs_err *err)
{
    char where[60];
    if (lua_getfield(L, 1, key) == LUA_TNIL) {
        lua_settop(L, 2);
        return 0;
    }
    if (!lua_istable(L, -1)) return qs_fail(err, QS_EARG, "qs.plot: %s: a list of tables expected, got %s", key, luaL_typename(L, -1));
    size_t n = (size_t)lua_rawlen(L, -1);
    void *array = make(o, n);
    for (size_t i = 0; i < n; i++) {
        snprintf(where, sizeof where, "qs.plot: %s[%zu]", key, i + 1);
        lua_rawgeti(L, 3, (lua_Integer)i + 1);
        if (!lua_istable(L, -1)) return qs_fail(err, QS_EARG, "%s: a table expected, got %s", where, luaL_typename(L, -1));
        if (one(L, o, where, array, i, err)) return -QS_EARG;
        lua_settop(L, 3);
    }
    lua_settop(L, 2);
    return 0;
}

static void *make_markers(owned *o, size_t n)
{
    o->p.nmarker = n;
    return o->marker = room(o, n, sizeof *o->marker);
}

static int read_marker(lua_State *L, owned *o, const char *where, void *array, size_t i, qs_err *err)
{
    static const char *const fields[] = {"x", "name", "color", "strong", NULL};
    qs_marker *m = (qs_marker *)array + i;
    if (qs_opts_check(L, lua_gettop(L), where, fields, err) || role_field(L, where, i, &m->role, err)) return -QS_EARG;
    m->x = number_field(L, "x");
    m->label = text_field(L, o, "name");
    m->strong = qs_opt_bool(L, lua_gettop(L), "strong", false);
    if (!m->label) m->label = "";
    return isnan(m->x) ? qs_fail(err, QS_EARG, "%s: x is missing", where) : 0;
}

static void *make_limits(owned *o, size_t n)
{
    o->p.nlimit = n;
    return o->limit = room(o, n, sizeof *o->limit);
}

static int read_limit(lua_State *L, owned *o, const char *where, void *array, size_t i, qs_err *err)
{
    static const char *const fields[] = {"x", "name", "color", NULL};
    qs_limit *l = (qs_limit *)array + i;
    l->ch = L'┊';
    if (qs_opts_check(L, lua_gettop(L), where, fields, err) || role_field(L, where, i, &l->role, err)) return -QS_EARG;
    l->x = number_field(L, "x");
    l->label = text_field(L, o, "name");
    return isnan(l->x) ? qs_fail(err, QS_EARG, "%s: x is missing", where) : 0;
}

static void *make_rulers(owned *o, size_t n)
{
    o->p.nruler = n;
    return o->ruler = room(o, n, sizeof *o->ruler);
}

static int read_ruler(lua_State *L, owned *o, const char *where, void *array, size_t i, qs_err *err)
{
    static const char *const fields[] = {"levels", "thresholds", "color", NULL};
    qs_ruler *r = (qs_ruler *)array + i;
    double *level, *cut;
    size_t n, ncut;
    if (qs_opts_check(L, lua_gettop(L), where, fields, err) || role_field(L, where, i, &r->role, err) ||
        number_list(L, o, where, "levels", &level, &n, err) || number_list(L, o, where, "thresholds", &cut, &ncut, err))
        return -QS_EARG;
    if (!level || !n) return qs_fail(err, QS_EARG, "%s: levels are missing", where);
    if (cut && ncut + 1 != n) return qs_fail(err, QS_EARG, "%s: %zu thresholds between %zu levels", where, ncut, n);
    *r = (qs_ruler){level, cut, n, level[0], level[n - 1], r->role};
    return 0;
}

/* Names of rows or columns: a list of texts or numbers. */
static int names(lua_State *L, owned *o, const char *key, size_t want, const char *const **out, qs_err *err)
{
    *out = NULL;
    if (lua_getfield(L, 1, key) != LUA_TNIL) {
        if (!lua_istable(L, -1) || (size_t)lua_rawlen(L, -1) != want)
            return qs_fail(err, QS_EARG, "qs.plot: %s: a list of %zu names expected", key, want);
        const char **list = room(o, want, sizeof *list);
        for (size_t i = 0; i < want; i++) {
            lua_rawgeti(L, 3, (lua_Integer)i + 1);
            list[i] = keep(o, qs_xstrdup(luaL_tolstring(L, -1, NULL)));
            lua_settop(L, 3);
        }
        *out = list;
    }
    lua_settop(L, 2);
    return 0;
}

enum { HEAT_MOST = 32767 };      /* rows or columns: what an image holds */

static int read_matrix(lua_State *L, owned *o, qs_err *err)
{
    qs_heat *h = &o->heat;
    char what[40];
    const qs_tensor *t = qs_test(L, 3, &qs_type_tensor);
    if (!t && !lua_istable(L, 3)) return qs_fail(err, QS_EARG, "qs.plot: heat: a list of rows or a tensor expected, got %s", luaL_typename(L, 3));
    size_t n = t ? t->n : (size_t)lua_rawlen(L, 3);
    h->rows = t ? t->ndim > 1 ? (size_t)t->shape[0] : 1 : n;
    if (t && n) h->cols = n / h->rows;
    if (t) h->v = read_numbers(L, o, "heat", &n, err);
    double *all = NULL;
    for (size_t i = 0; !t && i < h->rows; i++) {
        snprintf(what, sizeof what, "qs.plot: heat[%zu]", i + 1);
        lua_rawgeti(L, 3, (lua_Integer)i + 1);
        size_t cols;
        double *row = read_numbers(L, o, what, &cols, err);
        lua_settop(L, 3);
        if (!row) return -QS_EARG;
        if (i && cols != h->cols) return qs_fail(err, QS_EARG, "%s has %zu values, the first row %zu", what, cols, h->cols);
        if (!i) h->v = all = room(o, h->rows * (h->cols = cols), sizeof *all);
        memcpy(all + i * cols, row, cols * sizeof *all);
    }
    if (!h->rows || !h->cols) return qs_fail(err, QS_ERANGE, "qs.plot: heat: there is no value");
    if (h->rows > HEAT_MOST || h->cols > HEAT_MOST)
        return qs_fail(err, QS_ERANGE, "qs.plot: heat: %zu x %zu; at most %d rows and columns can be drawn", h->rows, h->cols, HEAT_MOST);
    return 0;
}

/* The ends of the colours: as given, else those of the values; where both signs are there, 0 in the middle. */
static int heat_scale(lua_State *L, owned *o, qs_err *err)
{
    qs_heat *h = &o->heat;
    qs_series s = {.kind = QS_PLOT_POINTS, .x = h->v, .y = h->v, .n = h->rows * h->cols};
    bool log_scale = qs_opt_bool(L, 1, "log", false);
    double lo = qs_opt_number(L, 1, "lo", NAN), hi = qs_opt_number(L, 1, "hi", NAN), least = INFINITY, most = -INFINITY;
    for (size_t i = 0; i < s.n; i++)
        if (isfinite(h->v[i]) && (!log_scale || h->v[i] > 0)) {
            least = fmin(least, h->v[i]);
            most = fmax(most, h->v[i]);
        }
    if (!log_scale && least < 0 && most > 0) least = -(most = fmax(most, -least));
    if (isnan(lo) && least < most) lo = least;
    if (isnan(hi) && least < most) hi = most;
    qs_plot fit = {.x = {lo, hi, log_scale}, .y = {0, 1, false}, .series = &s, .nseries = 1};
    if (qs_plot_fit(&fit, err)) return qs_fail_prefix(err, "qs.plot: heat");
    h->scale = fit.x;
    h->high_is_best = qs_opt_bool(L, 1, "high_is_best", false);
    return 0;
}

static int read_heat(lua_State *L, owned *o, qs_err *err)
{
    if (lua_getfield(L, 1, "heat") == LUA_TNIL) {
        lua_settop(L, 2);
        return 0;
    }
    int rc = read_matrix(L, o, err);
    lua_settop(L, 2);
    if (rc || heat_scale(L, o, err) || names(L, o, "rows", o->heat.rows, &o->heat.row, err) ||
        names(L, o, "columns", o->heat.cols, &o->heat.col, err))
        return rc ? rc : -err->code;
    o->p.heat = &o->heat;
    return 0;
}

static int read_axes(lua_State *L, owned *o, qs_err *err)
{
    qs_plot *p = &o->p;
    lua_pushvalue(L, 1);
    p->title = text_field(L, o, "title");
    p->x_name = text_field(L, o, "xlabel");
    p->y_name = text_field(L, o, "ylabel");
    p->x = (qs_axis){number_field(L, "xmin"), number_field(L, "xmax"), qs_opt_bool(L, 1, "xlog", false)};
    p->y = (qs_axis){number_field(L, "ymin"), number_field(L, "ymax"), qs_opt_bool(L, 1, "ylog", false)};
    if (p->heat) return 0;
    return qs_plot_fit(p, err) ? qs_fail_prefix(err, "qs.plot") : 0;
}

static int read_plot(lua_State *L, owned *o, qs_err *err)
{
    static const char *const fields[] = {"title", "xlabel", "ylabel", "xmin", "xmax", "ymin", "ymax", "xlog", "ylog", "markers", "limits",
                                         "rulers", "heat", "rows", "columns", "lo", "hi", "log", "high_is_best", NULL};
    int rc = qs_opts_check(L, 1, "qs.plot", fields, err);
    if (!rc) rc = read_all_series(L, o, err);
    if (!rc) rc = each(L, o, "markers", make_markers, read_marker, err);
    if (!rc) rc = each(L, o, "limits", make_limits, read_limit, err);
    if (!rc) rc = each(L, o, "rulers", make_rulers, read_ruler, err);
    if (!rc) rc = read_heat(L, o, err);
    o->p.marker = o->marker;
    o->p.limit = o->limit;
    o->p.ruler = o->ruler;
    if (!rc) rc = read_axes(L, o, err);
    if (!rc && o->p.heat && o->p.nseries) rc = qs_fail(err, QS_EARG, "qs.plot: a heat map takes no series beside it");
    return rc;
}

static int plot_new(lua_State *L)   /* (description) -> plot */
{
    qs_err err;
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    void **box = qs_box(L, &qs_type_plot);       /* at 2, and what is read stands above it */
    owned *o = *box = qs_xcalloc(1, sizeof *o);
    int rc = read_plot(L, o, &err);
    lua_settop(L, 2);
    return rc ? qs_bind_fail(L, &err) : 1;
}

/* ---- what can be done with one ------------------------------------------------------------------- */

static int plot_save(lua_State *L)
{
    static const char *const fields[] = {"width", "height", "font", "family", "fresh", NULL};
    const owned *o = qs_check(L, 1, &qs_type_plot);
    const char *path = luaL_checkstring(L, 2);
    qs_err err;
    qs_opt_table(L, 3);
    lua_settop(L, 3);
    qs_paper_opts opts = {qs_opt_number(L, 3, "width", 0), qs_opt_number(L, 3, "height", 0), qs_opt_number(L, 3, "font", 0),
                          qs_opt_text(L, 3, "family"), qs_opt_bool(L, 3, "fresh", false)};
    if (qs_opts_check(L, 3, "plot:save", fields, &err)) return qs_bind_fail(L, &err);
    if (qs_plot_save(&o->p, path, &opts, &err)) return err.code == QS_EIO ? qs_bind_fail_file(L, &err) : qs_bind_fail(L, &err);
    lua_pushboolean(L, true);
    return 1;
}

static int plot_svg(lua_State *L)
{
    static const char *const fields[] = {"width", "height", "font", "family", NULL};
    const owned *o = qs_check(L, 1, &qs_type_plot);
    qs_err err;
    size_t n;
    qs_opt_table(L, 2);
    lua_settop(L, 2);
    qs_paper_opts opts = {qs_opt_number(L, 2, "width", 0), qs_opt_number(L, 2, "height", 0), qs_opt_number(L, 2, "font", 0),
                          qs_opt_text(L, 2, "family"), false};
    qs_paper *pp = qs_opts_check(L, 2, "plot:svg", fields, &err) ? NULL : qs_paper_new("plot.svg", &opts, &err);
    if (!pp) return qs_bind_fail(L, &err);
    qs_paper_plot(pp, &o->p, 0, 0, 1, 1);
    char *text = qs_paper_take(pp, &n, &err);
    if (!text) return qs_bind_fail(L, &err);
    lua_pushlstring(L, text, n);
    free(text);
    return 1;
}

enum { TEXT_W = 78, TEXT_H = 22, TEXT_LEAST_W = 24, TEXT_LEAST_H = 8, TEXT_MOST = 1000 };

static int show(lua_State *L, const owned *o, int h, int w, qs_charset cs)
{
    qs_cells g;
    qs_cells_init(&g, h, w);
    qs_plot_sheet(&o->p, cs, &g, (qs_rect){0, 0, h, w});
    if (cs == QS_ASCII) qs_cells_ascii(&g);
    char *text = qs_cells_string(&g);
    qs_cells_free(&g);
    size_t n = strlen(text);
    lua_pushlstring(L, text, n ? n - 1 : 0);
    free(text);
    return 1;
}

static qs_charset charset_here(void) { return strcmp(nl_langinfo(CODESET), "UTF-8") ? QS_ASCII : QS_BRAILLE; }

static int plot_text(lua_State *L)
{
    static const char *const fields[] = {"width", "height", "charset", NULL};
    static const char *const sets[] = {[QS_BRAILLE] = "braille", [QS_BLOCK] = "block", [QS_ASCII] = "ascii"};
    const owned *o = qs_check(L, 1, &qs_type_plot);
    qs_err err;
    qs_opt_table(L, 2);
    lua_settop(L, 2);
    lua_Integer w = qs_opt_integer(L, 2, "width", TEXT_W), h = qs_opt_integer(L, 2, "height", TEXT_H);
    const char *name = qs_opt_text(L, 2, "charset");
    int cs = name ? 0 : (int)charset_here();
    while (name && cs < 3 && strcmp(name, sets[cs])) cs++;
    if (qs_opts_check(L, 2, "plot:text", fields, &err)) return qs_bind_fail(L, &err);
    if (cs == 3) qs_fail(&err, QS_EARG, "plot:text: charset \"%s\" is none of braille, block, ascii", name);
    else if (w < TEXT_LEAST_W || h < TEXT_LEAST_H || w > TEXT_MOST || h > TEXT_MOST)
        qs_fail(&err, QS_EARG, "plot:text: from %d x %d to %d x %d characters, got %lld x %lld", TEXT_LEAST_W, TEXT_LEAST_H, TEXT_MOST,
                TEXT_MOST, (long long)w, (long long)h);
    else return show(L, o, (int)h, (int)w, (qs_charset)cs);
    return qs_bind_fail(L, &err);
}

static int plot_tostring(lua_State *L) { return show(L, qs_check(L, 1, &qs_type_plot), TEXT_H, TEXT_W, charset_here()); }

static const luaL_Reg methods[] = {{"save", plot_save}, {"svg", plot_svg}, {"text", plot_text}, {NULL, NULL}};
static const luaL_Reg meta[] = {{"__tostring", plot_tostring}, {NULL, NULL}};
const qs_type qs_type_plot = {"qs.plot", NULL, owned_free, methods, NULL, meta, NULL};

static int less_is_better(lua_State *L)   /* (name of a metric) -> true where less of it is better */
{
    lua_pushboolean(L, qs_less_is_better(luaL_checkstring(L, 1)));
    return 1;
}

const luaL_Reg qs_bind_plot_private[] = {{"plot", plot_new}, {"less_is_better", less_is_better}, {NULL, NULL}};
