/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A results database in Lua: sweeps, cells, groups with their statistics,
 * series. Read only: what writes is a sweep.
 */
#include "bind/bind.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "store/groups.h"

static qs_store *check_results(lua_State *L) { return qs_check(L, 1, &qs_type_results); }

static int fail(lua_State *L, const qs_err *err)
{
    return err->code == QS_EIO || err->code == QS_EFORMAT ? qs_bind_fail_file(L, err) : qs_bind_fail(L, err);
}

static int open_results(lua_State *L)   /* qs.results(path) */
{
    const char *path = luaL_checkstring(L, 1);
    qs_err err;
    void **box = qs_box(L, &qs_type_results);
    *box = qs_store_open(path, QS_STORE_READ, &err);
    return *box ? 1 : qs_bind_fail_file(L, &err);
}

/* ---- sweeps ------------------------------------------------------------------------------------- */
typedef struct sweeps { qs_sweep_row *row; size_t n; } sweeps;
static void sweeps_clear(void *p) { qs_store_free_sweeps(((sweeps *)p)->row, ((sweeps *)p)->n); }

static int list_sweeps(lua_State *L)
{
    qs_store *s = check_results(L);
    qs_err err;
    sweeps *w = qs_scratch(L, sizeof *w, sweeps_clear);
    int slot = lua_gettop(L);
    if (qs_store_sweeps(s, &w->row, &w->n, &err)) return fail(L, &err);
    lua_createtable(L, (int)w->n, 0);
    for (size_t i = 0; i < w->n; i++) {
        const qs_sweep_row *r = &w->row[i];
        lua_createtable(L, 0, 10);
        qs_set_text(L, "name", r->name);
        qs_set_text(L, "script", r->script);
        qs_set_text(L, "program", r->program);
        qs_set_text(L, "made", r->made);
        qs_set_count(L, "cells", r->cells);
        qs_set_count(L, "done", r->done);
        qs_set_count(L, "failed", r->failed);
        qs_set_count(L, "running", r->running);
        qs_set_count(L, "left", r->left);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    qs_scratch_done(L, slot);
    return 1;
}

/* ---- a sweep that is read -------------------------------------------------------------------------- */
static void study_clear(void *p) { qs_study_clear(p); }

/* The sweep that the options at index i name, as scratch at the top. NULL: err. */
static qs_study *read_study(lua_State *L, qs_store *s, int i, qs_err *err)
{
    qs_study *y = qs_scratch(L, sizeof *y, study_clear);
    return qs_study_read(s, qs_opt_text(L, i, "sweep"), y, err) ? NULL : y;
}

static void push_value(lua_State *L, const qs_value *v)
{
    switch (v->kind) {
    case QS_VALUE_INT: lua_pushinteger(L, (lua_Integer)v->x); break;
    case QS_VALUE_REAL: lua_pushnumber(L, v->x); break;
    case QS_VALUE_BOOL: lua_pushboolean(L, v->x != 0); break;
    default: lua_pushstring(L, v->text);
    }
}

static void push_params(lua_State *L, const qs_study *y, size_t row)
{
    lua_createtable(L, 0, (int)y->nparam);
    for (size_t p = 0; p < y->nparam; p++) {
        const qs_value *v = qs_study_value(y, row, p);
        if (!v) continue;
        push_value(L, v);
        lua_setfield(L, -2, y->param[p].name);
    }
}

/* Whether the Lua value at the top is v. A text also stands for the number or truth value that is written so. */
static bool is_value(lua_State *L, const qs_value *v)
{
    int type = lua_type(L, -1);
    if (v->kind == QS_VALUE_BOOL && type == LUA_TBOOLEAN) return lua_toboolean(L, -1) == (v->x != 0);
    if (v->kind == QS_VALUE_INT || v->kind == QS_VALUE_REAL) {
        int number;
        double x = lua_tonumberx(L, -1, &number);
        return number && x == v->x;
    }
    return type == LUA_TSTRING && !strcmp(lua_tostring(L, -1), v->text);
}

/* The parameter whose name is at index -2 with the value at the top; *value: its number. Errors name what is there not. */
static int find_pair(lua_State *L, const qs_study *y, const char *what, int *param, int *value, qs_err *err)
{
    const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?";
    *param = qs_study_param(y, name);
    *value = -1;
    if (*param < 0) return qs_fail(err, QS_EARG, _("%s: sweep %s has no parameter \"%s\""), what, y->sweep, name);
    const qs_factor *f = &y->param[*param];
    for (size_t i = 0; i < f->nvalue && *value < 0; i++) {
        if (is_value(L, &f->value[i])) *value = (int)i;
    }
    if (*value >= 0) return 0;
    int rc = qs_fail(err, QS_EARG, _("%s: no cell has %s = %s"), what, name, luaL_tolstring(L, -1, NULL));
    lua_pop(L, 1);
    return rc;
}

/* One parameter of `where`: -2 its name, top its value or a list of them. Takes what has none of these from keep. */
static int read_condition(lua_State *L, const qs_study *y, bool *keep, qs_err *err)
{
    int param = -1, value, rc = 0;
    bool list = lua_istable(L, -1);
    lua_Integer n = list ? (lua_Integer)lua_rawlen(L, -1) : 1;
    bool *ok = qs_scratch(L, y->t.nrow + 1, NULL);      /* above name and value */
    for (lua_Integer k = 1; k <= n && !rc; k++) {
        lua_pushvalue(L, -3);
        if (list) lua_rawgeti(L, -3, k);
        else lua_pushvalue(L, -3);
        rc = find_pair(L, y, "where", &param, &value, err);
        for (size_t i = 0; i < y->t.nrow && !rc; i++) ok[i] = ok[i] || y->code[i * y->nparam + (size_t)param] == value;
        lua_pop(L, 2);
    }
    for (size_t i = 0; i < y->t.nrow && !rc; i++) keep[i] = keep[i] && ok[i];
    lua_pop(L, 1);
    return rc;
}

/* where={bits=2, init={"lsq", "mse"}}: the rows that have all these values; keep: (nrow), true before. */
static int read_where(lua_State *L, int i, const qs_study *y, bool *keep, qs_err *err)
{
    int rc = 0, top = lua_gettop(L);
    if (!lua_istable(L, i) || lua_getfield(L, i, "where") == LUA_TNIL) {
        lua_settop(L, top);
        return 0;
    }
    luaL_argcheck(L, lua_istable(L, -1), i, "where is a table: {bits=2}");
    lua_pushnil(L);
    while (!rc && lua_next(L, -2)) {
        rc = read_condition(L, y, keep, err);
        lua_pop(L, 1);
    }
    lua_settop(L, top);
    return rc;
}

/* The study and the rows of it that the options at index i choose; both scratch, on the stack. */
static qs_study *chosen_rows(lua_State *L, qs_store *s, int i, bool **keep, qs_err *err)
{
    qs_study *y = read_study(L, s, i, err);
    if (!y) return NULL;
    *keep = qs_scratch(L, y->t.nrow + 1, NULL);
    memset(*keep, true, y->t.nrow);
    return read_where(L, i, y, *keep, err) ? NULL : y;
}

/* ---- cells ------------------------------------------------------------------------------------------ */
static void push_cell(lua_State *L, const qs_study *y, size_t i)
{
    const qs_results_row *r = &y->t.row[i];
    lua_createtable(L, 0, 6);
    qs_set_text(L, "key", r->key);
    qs_set_text(L, "status", qs_trial_status_name[r->status]);
    qs_set_text(L, "error", r->error);
    qs_set_number(L, "seconds", r->seconds);
    push_params(L, y, i);
    lua_setfield(L, -2, "params");
    lua_createtable(L, 0, (int)y->t.nmetric);
    for (size_t k = 0; k < y->t.nmetric; k++) qs_set_number(L, y->t.metric[k], r->x[k]);
    lua_setfield(L, -2, "metrics");
}

static int list_cells(lua_State *L)   /* r:cells{sweep=, where=} */
{
    static const char *const options[] = {"sweep", "where", NULL};
    qs_store *s = check_results(L);
    qs_err err;
    bool *keep;
    qs_opt_table(L, 2);
    lua_settop(L, 2);
    if (qs_opts_check(L, 2, "results:cells", options, &err)) return qs_bind_fail(L, &err);
    const qs_study *y = chosen_rows(L, s, 2, &keep, &err);
    if (!y) return fail(L, &err);
    lua_newtable(L);
    lua_Integer n = 0;
    for (size_t i = 0; i < y->t.nrow; i++) {
        if (!keep[i]) continue;
        push_cell(L, y, i);
        lua_rawseti(L, -2, ++n);
    }
    qs_scratch_done(L, 3);
    return 1;
}

/* ---- series -------------------------------------------------------------------------------------------- */
typedef struct numbers { double *x; size_t n; } numbers;
static void numbers_clear(void *p) { free(((numbers *)p)->x); }

/* Appends the series of a cell to the list at the top, where it has it. */
static int push_series(lua_State *L, qs_store *s, const qs_study *y, size_t i, const char *name, qs_err *err)
{
    int list = lua_gettop(L);
    numbers *v = qs_scratch(L, sizeof *v, numbers_clear);
    if (qs_store_series(s, y->sweep, y->t.row[i].key, name, &v->x, &v->n, err)) return -err->code;
    if (v->x) {
        lua_createtable(L, 0, 3);
        qs_set_text(L, "key", y->t.row[i].key);
        push_params(L, y, i);
        lua_setfield(L, -2, "params");
        lua_createtable(L, (int)v->n, 0);
        for (size_t k = 0; k < v->n; k++) {
            lua_pushnumber(L, v->x[k]);
            lua_rawseti(L, -2, (lua_Integer)k + 1);
        }
        lua_setfield(L, -2, "x");
        lua_rawseti(L, list, (lua_Integer)lua_rawlen(L, list) + 1);
    }
    qs_scratch_done(L, list + 1);
    lua_settop(L, list);
    return 0;
}

static int list_series(lua_State *L)   /* r:series(name, {sweep=, where=}) */
{
    static const char *const options[] = {"sweep", "where", NULL};
    qs_store *s = check_results(L);
    const char *name = luaL_checkstring(L, 2);
    qs_err err;
    bool *keep;
    qs_opt_table(L, 3);
    lua_settop(L, 3);
    if (qs_opts_check(L, 3, "results:series", options, &err)) return qs_bind_fail(L, &err);
    const qs_study *y = chosen_rows(L, s, 3, &keep, &err);
    if (!y) return fail(L, &err);
    lua_newtable(L);
    for (size_t i = 0; i < y->t.nrow; i++) {
        if (keep[i] && push_series(L, s, y, i, name, &err)) return fail(L, &err);
    }
    qs_scratch_done(L, 4);
    return 1;
}

typedef struct names { char **v; size_t n; } names;

static void names_clear(void *p)
{
    names *l = p;
    for (size_t i = 0; i < l->n; i++) free(l->v[i]);
    free(l->v);
}

static int list_series_names(lua_State *L)   /* r:series_names{sweep=} */
{
    static const char *const options[] = {"sweep", NULL};
    qs_store *s = check_results(L);
    qs_err err;
    qs_opt_table(L, 2);
    lua_settop(L, 2);
    if (qs_opts_check(L, 2, "results:series_names", options, &err)) return qs_bind_fail(L, &err);
    const qs_study *y = read_study(L, s, 2, &err);
    if (!y) return fail(L, &err);
    names *l = qs_scratch(L, sizeof *l, names_clear);
    if (qs_store_series_names(s, y->sweep, NULL, &l->v, &l->n, &err)) return fail(L, &err);
    lua_createtable(L, (int)l->n, 0);
    for (size_t i = 0; i < l->n; i++) {
        lua_pushstring(L, l->v[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

/* ---- groups --------------------------------------------------------------------------------------------- */
static void groups_clear(void *p) { qs_groups_clear(p); }

/* by={"init", "bits"} or by="init": names borrowed from the table. NULL: not given. */
static const char **read_by(lua_State *L, int i, size_t *n)
{
    *n = 0;
    if (!lua_istable(L, i) || lua_getfield(L, i, "by") == LUA_TNIL) return NULL;
    bool list = lua_istable(L, -1);
    int at = lua_gettop(L);
    *n = list ? (size_t)lua_rawlen(L, at) : 1;
    const char **by = qs_scratch(L, (*n + 1) * sizeof *by, NULL);
    for (size_t k = 0; k < *n; k++) {
        if (list) lua_rawgeti(L, at, (lua_Integer)k + 1);
        else lua_pushvalue(L, at);
        luaL_argcheck(L, lua_type(L, -1) == LUA_TSTRING, i, "by is a list of names");
        by[k] = lua_tostring(L, -1);      /* the table keeps it */
        lua_pop(L, 1);
    }
    return by;
}

/* baseline="init=mse" or {init="mse"}: as text, at the top of the stack. NULL: none, or err->code is set. */
static const char *read_baseline(lua_State *L, int i, const qs_study *y, qs_err *err)
{
    err->code = 0;
    if (!lua_istable(L, i) || lua_getfield(L, i, "baseline") == LUA_TNIL) return NULL;
    if (!lua_istable(L, -1)) return luaL_checkstring(L, -1);
    lua_pushliteral(L, "");
    lua_insert(L, -2);
    lua_pushnil(L);
    while (lua_next(L, -2)) {      /* text, table, key, value */
        int param, value;
        if (find_pair(L, y, "baseline", &param, &value, err)) return NULL;
        const qs_factor *f = &y->param[param];
        lua_pushfstring(L, "%s%s%s=%s", lua_tostring(L, -4), *lua_tostring(L, -4) ? "," : "", f->name, f->value[value].text);
        lua_replace(L, -5);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return lua_tostring(L, -1);
}

static void push_infer(lua_State *L, const qs_group *g, bool compared)
{
    qs_set_count(L, "n", g->stat.n);
    qs_set_number(L, "mean", g->stat.mean);
    qs_set_number(L, "std", g->stat.std);
    qs_set_number(L, "min", g->stat.min);
    qs_set_number(L, "max", g->stat.max);
    qs_set_number(L, "lo", g->stat.lo);
    qs_set_number(L, "hi", g->stat.hi);
    qs_set_count(L, "undefined", g->undefined);
    qs_set_count(L, "failed", g->failed);
    qs_set_count(L, "left", g->left);
    if (!compared || g->baseline) return;
    qs_set_number(L, "diff", g->diff.mean);
    qs_set_number(L, "diff_lo", g->diff.lo);
    qs_set_number(L, "diff_hi", g->diff.hi);
    qs_set_count(L, "pairs", g->diff.n);
    qs_set_number(L, "p", g->p);
}

static void push_groups(lua_State *L, const qs_study *y, const qs_groups *g, bool compared)
{
    lua_createtable(L, (int)g->n, 0);
    for (size_t i = 0; i < g->n; i++) {
        lua_createtable(L, 0, 16);
        for (size_t k = 0; k < g->nby; k++) {
            const qs_value *v = qs_study_value(y, g->g[i].row, g->by[k]);
            if (!v) continue;
            push_value(L, v);
            lua_setfield(L, -2, g->label[k]);
        }
        if (g->metric >= 0) qs_set_text(L, "metric", y->t.metric[g->metric]);
        push_infer(L, &g->g[i], compared);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
}

static int table_of(lua_State *L)   /* r:table{sweep=, where=, by=, metric=, baseline=} */
{
    static const char *const options[] = {"sweep", "where", "by", "metric", "baseline", NULL};
    qs_store *s = check_results(L);
    qs_err err;
    size_t nby;
    qs_opt_table(L, 2);
    lua_settop(L, 2);
    if (qs_opts_check(L, 2, "results:table", options, &err)) return qs_bind_fail(L, &err);
    bool *keep;
    qs_study *y = chosen_rows(L, s, 2, &keep, &err);
    if (!y) return fail(L, &err);
    qs_study_keep(y, keep);
    qs_groups *g = qs_scratch(L, sizeof *g, groups_clear);
    const char **by = read_by(L, 2, &nby);
    const char *baseline = read_baseline(L, 2, y, &err);
    if (err.code || qs_groups_make(y, by, nby, qs_opt_text(L, 2, "metric"), baseline, qs_bind_ctl(L), g, &err)) return fail(L, &err);
    push_groups(L, y, g, baseline);
    qs_scratch_done(L, 5);
    qs_scratch_done(L, 3);
    return 1;
}

/* ---- the type ---------------------------------------------------------------------------------------------- */
static int path(lua_State *L)
{
    lua_pushstring(L, qs_store_path(check_results(L)));
    return 1;
}

static int text(lua_State *L)
{
    lua_pushfstring(L, "results %s", qs_store_path(check_results(L)));
    return 1;
}

static void results_unref(void *s) { qs_store_close(s); }

static const luaL_Reg methods[] = {
    {"sweeps", list_sweeps}, {"cells", list_cells}, {"table", table_of}, {"series", list_series},
    {"series_names", list_series_names}, {NULL, NULL},
};
static const luaL_Reg fields[] = {{"path", path}, {NULL, NULL}};
static const luaL_Reg meta[] = {{"__tostring", text}, {NULL, NULL}};
const qs_type qs_type_results = {"qs.results", NULL, results_unref, methods, fields, meta, NULL};

const luaL_Reg qs_bind_results_functions[] = {{"results", open_results}, {NULL, NULL}};
