/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One cell of a sweep: what its function is given, and what it gives back.
 */
#include "bind/bind_sweep.h"

#include <string.h>

#include "base/text.h"

void qs_push_cell(lua_State *L, const qs_sweep_cell *c)
{
    lua_createtable(L, 0, (int)c->n);
    for (size_t i = 0; i < c->n; i++) {
        const qs_sweep_value *v = &c->param[i].value;
        if (v->kind == QS_SWEEP_TEXT) lua_pushstring(L, v->s);
        else if (v->kind == QS_SWEEP_REAL) lua_pushnumber(L, v->x);
        else if (v->kind == QS_SWEEP_INTEGER) lua_pushinteger(L, v->i);
        else lua_pushboolean(L, (int)v->i);
        lua_setfield(L, -2, c->param[i].name);
    }
}

typedef struct progress {
    void (*fn)(void *ctx, double done, const char *text);
    void *ctx;
} progress;

static int job_progress(lua_State *L)   /* job.progress(fraction, text) */
{
    const progress *p = lua_touserdata(L, lua_upvalueindex(1));
    double done = luaL_checknumber(L, 1);
    const char *text = luaL_optstring(L, 2, "");
    if (p->fn) p->fn(p->ctx, done, text);
    return 0;
}

/* Pushes {seed=, threads=, sweep=, key=, progress=}, and what progress goes through, which is to be cut off afterwards. */
static progress *push_job(lua_State *L, const qs_cell_call *c)
{
    lua_createtable(L, 0, 5);
    lua_pushinteger(L, c->seed);
    lua_setfield(L, -2, "seed");
    qs_set_count(L, "threads", (size_t)qs_threads());
    qs_set_text(L, "sweep", c->name);
    qs_set_text(L, "key", c->key);
    progress *p = lua_newuserdatauv(L, sizeof *p, 0);
    *p = (progress){c->progress, c->ctx};
    lua_pushvalue(L, -1);
    lua_pushcclosure(L, job_progress, 1);
    lua_setfield(L, -3, "progress");
    return p;
}

static void take_series(lua_State *L, qs_report *out)   /* the table of series at the top */
{
    int at = lua_gettop(L);
    for (lua_pushnil(L); lua_next(L, at); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING || !lua_istable(L, -1)) {
            qs_report_fail(out, QS_TRIAL_FAILED, _("series: {name = {numbers}} expected"));
            continue;
        }
        size_t n = lua_rawlen(L, -1);
        double *x = lua_newuserdatauv(L, (n + 1) * sizeof *x, 0);
        bool good = true;
        for (size_t i = 0; i < n; i++) {
            good &= lua_rawgeti(L, -2, (lua_Integer)i + 1) == LUA_TNUMBER;
            x[i] = lua_tonumber(L, -1);
            lua_pop(L, 1);
        }
        if (good) qs_report_series(out, lua_tostring(L, -3), x, n);
        else qs_report_fail(out, QS_TRIAL_FAILED, _("series %s: not all of it are numbers"), lua_tostring(L, -3));
        lua_pop(L, 1);
    }
}

static void take_value(lua_State *L, qs_report *out)   /* name, value at the top */
{
    if (lua_type(L, -2) != LUA_TSTRING) {
        qs_report_fail(out, QS_TRIAL_FAILED, _("run returned a list: {name = number} expected"));
        return;
    }
    const char *name = lua_tostring(L, -2);
    switch (lua_type(L, -1)) {
    case LUA_TNUMBER: qs_report_metric(out, name, lua_tonumber(L, -1)); return;
    case LUA_TSTRING: qs_report_text(out, name, lua_tostring(L, -1)); return;
    case LUA_TBOOLEAN: qs_report_flag(out, name, lua_toboolean(L, -1)); return;
    case LUA_TTABLE:
        if (!strcmp(name, "series")) {
            take_series(L, out);
            return;
        }      /* fall through */
    default:
        qs_report_fail(out, QS_TRIAL_FAILED, _("run returned a %s as %s: a number, a string or a boolean expected"),
                       luaL_typename(L, -1), name);
    }
}

/* What run returned: from index first on. */
static void take_results(lua_State *L, int first, qs_report *out)
{
    if (lua_istable(L, first)) {
        for (lua_pushnil(L); lua_next(L, first); lua_pop(L, 1)) take_value(L, out);
        return;
    }
    if (lua_isnoneornil(L, first) && lua_type(L, first + 1) == LUA_TSTRING)      /* as the engine's functions fail */
        qs_report_fail(out, QS_TRIAL_FAILED, "%s", lua_tostring(L, first + 1));
    else
        qs_report_fail(out, QS_TRIAL_FAILED, _("run returned %s: a table of metrics expected"), luaL_typename(L, first));
}

/* Calls the run function of the sweep at index i for the cell. Raises what it raises. */
void qs_call_cell(lua_State *L, int i, const qs_sweep_cell *cell, const qs_cell_call *c, qs_report *out)
{
    int top = lua_gettop(L) + 1;
    lua_getiuservalue(L, i, 1);
    qs_push_cell(L, cell);
    progress *p = push_job(L, c);
    lua_insert(L, top);                /* kept below the function */
    lua_call(L, 2, LUA_MULTRET);
    p->fn = NULL;
    take_results(L, top + 1, out);
}

