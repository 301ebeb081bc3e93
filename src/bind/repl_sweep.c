/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A script that declares a sweep, run for its declaration, and in a worker
 * process for one of its cells: up to the sweep that is wanted, which it
 * returns, or whose :run it calls. Other sweeps on the way are passed over.
 */
#include "bind/bind_sweep.h"

#include <stdlib.h>
#include <string.h>

/* ---- in a worker process ------------------------------------------------------------------------------------------ */
static void load_script(lua_State *L, const char *path, const char *text, size_t n, int argc, char *const *argv)
{
    const char *at = text;
    if (n && *text == '#') at += strcspn(text, "\n");      /* as luaL_loadfile does */
    lua_pushfstring(L, "@%s", path);
    if (luaL_loadbufferx(L, at, n - (size_t)(at - text), lua_tostring(L, -1), "t") != LUA_OK) lua_error(L);
    lua_remove(L, -2);
    lua_createtable(L, argc, 1);
    lua_pushstring(L, path);
    lua_rawseti(L, -2, 0);
    for (int i = 0; i < argc; i++) {
        lua_pushstring(L, argv[i]);
        lua_rawseti(L, -2, i + 1);
    }
    lua_setglobal(L, "arg");
    luaL_checkstack(L, argc + 4, "too many arguments");
    for (int i = 0; i < argc; i++) lua_pushstring(L, argv[i]);
}

struct worker_call {
    const qs_cell_call *c;
    const qs_sweep_cell *cell;
    qs_report *out;
};

static int run_script(lua_State *L)
{
    const qs_cell_call *c = ((struct worker_call *)lua_touserdata(L, 1))->c;
    qs_bind_get(L)->worker = c->name;
    load_script(L, c->path, c->text, c->ntext, c->argc, c->argv);
    lua_call(L, c->argc, 1);
    const qs_declared *d = qs_test(L, -1, &qs_type_sweep);
    if (d && qs_sweep_is_wanted(L, d->s->name)) qs_sweep_set_wanted(L, -1);
    return 0;
}

static int run_cell(lua_State *L)
{
    struct worker_call *w = lua_touserdata(L, 1);
    qs_bind_get(L)->worker = NULL;      /* a sweep that the cell runs is one of its own */
    if (!qs_sweep_push_wanted(L))
        return luaL_error(L, "%s declares no sweep \"%s\" when it is run by itself", w->c->path, w->c->name);
    qs_call_cell(L, 2, w->cell, w->c, w->out);
    return 0;
}

void qs_repl_cell(qs_repl *r, const qs_cell_call *c, qs_report *out)
{
    qs_err err;
    qs_sweep_cell cell;
    char *message = NULL;
    if (qs_sweep_cell_read(c->key, &cell, &err)) {
        qs_report_fail(out, QS_TRIAL_FAILED, "%s", err.msg);
        return;
    }
    struct worker_call w = {c, &cell, out};
    qs_repl_guard(r, run_script, &w, &message);
    if (!message) qs_repl_guard(r, run_cell, &w, &message);
    if (message) qs_report_fail(out, QS_TRIAL_FAILED, "%s", message);
    free(message);
    qs_sweep_cell_clear(&cell);
}

/* ---- the declaration of a file ---------------------------------------------------------------------------------------- */
struct file_call {
    const char *path, *text;
    size_t n;
    qs_declared *out;
};

static int take_sweep(lua_State *L)
{
    struct file_call *f = lua_touserdata(L, 1);
    load_script(L, f->path, f->text, f->n, 0, NULL);
    lua_call(L, 0, 3);
    qs_declared *d = qs_test(L, 2, &qs_type_sweep);
    if (!d && lua_isnil(L, 2) && lua_isstring(L, 3)) return luaL_error(L, "%s", lua_tostring(L, 3));
    if (!d) return luaL_error(L, "%s returns a %s: `return qs.sweep{...}` is expected at its end", f->path, luaL_typename(L, 2));
    qs_sweep_add_modules(L, d);
    d->refs++;
    f->out = d;
    return 0;
}

int qs_repl_sweep(qs_repl *r, const char *path, const char *text, size_t n, qs_declared **out)
{
    struct file_call f = {path, text, n, NULL};
    int code = qs_repl_guard(r, take_sweep, &f, NULL);
    *out = f.out;
    return code;
}

