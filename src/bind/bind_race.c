/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Races in Lua: the object that watches the runs, or that was read from a file.
 * Who races and when is in lua/quantscope/races.lua, which calls what is private
 * here.
 */
#include "bind/bind.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/sync.h"
#include "base/text.h"
#include "bind/sweep.h"
#include "engine/race.h"

static qs_race *check_race(lua_State *L) { return qs_check(L, 1, &qs_type_race); }
static void *race_ref(void *r) { return qs_race_ref(r); }
static void race_unref(void *r) { qs_race_unref(r); }

/* ---- making ------------------------------------------------------------------------------- */
static int race_new(lua_State *L)   /* ({name, ...}) -> race */
{
    qs_err err;
    luaL_checktype(L, 1, LUA_TTABLE);
    size_t n = lua_rawlen(L, 1);
    const char **init = qs_scratch(L, (n + 1) * sizeof *init, NULL);
    for (size_t i = 0; i < n; i++) {
        lua_rawgeti(L, 1, (lua_Integer)i + 1);
        init[i] = luaL_checkstring(L, -1);   /* the table keeps it */
        lua_pop(L, 1);
    }
    void **box = qs_box(L, &qs_type_race);
    *box = qs_race_new(init, n, qs_program_text(), &err);
    return *box ? 1 : qs_bind_fail(L, &err);
}

static int race_load(lua_State *L)   /* (path) -> race */
{
    qs_err err;
    const char *path = luaL_checkstring(L, 1);
    void **box = qs_box(L, &qs_type_race);
    *box = qs_race_load(path, &err);
    return *box ? 1 : qs_bind_fail_file(L, &err);
}

/* race:enter(i, run), or race:enter(i, "why it cannot start") */
static int enter(lua_State *L)
{
    qs_race *r = check_race(L);
    lua_Integer i = luaL_checkinteger(L, 2);
    luaL_argcheck(L, i >= 1 && (size_t)i <= qs_race_picture(r)->n, 2, "one of the racers");
    qs_run *run = qs_test(L, 3, &qs_type_run);
    if (run) qs_race_enter(r, (size_t)i - 1, run);
    else qs_race_refuse(r, (size_t)i - 1, luaL_checkstring(L, 3));
    return 0;
}

static int going(lua_State *L)   /* race:going(yes) */
{
    qs_race_going(check_race(L), lua_toboolean(L, 2));
    qs_session_publish(qs_bind_session(L), false);
    return 0;
}

/* ---- looking --------------------------------------------------------------------------------- */
/* race:show(at) -> whether there is a screen; at: as in qs_snapshot, all of it without. */
static int show(lua_State *L)
{
    qs_session *s = qs_bind_session(L);
    qs_session_race_show(s, check_race(L), luaL_optnumber(L, 2, (double)INFINITY));
    qs_session_publish(s, false);
    lua_pushboolean(L, qs_session_on_screen(s));
    return 1;
}

static int save(lua_State *L)
{
    qs_err err;
    if (qs_race_save(check_race(L), luaL_checkstring(L, 2), &err)) return qs_bind_fail_file(L, &err);
    lua_pushboolean(L, true);
    return 1;
}

static void set_array(lua_State *L, const char *key, const double *v, size_t n)
{
    qs_push_array(L, v, n);
    lua_setfield(L, -2, key);
}

/* As a row of qs.race. */
static void push_row(lua_State *L, const qs_snap_racer *x)
{
    static const char *const state[] = {[QS_SNAP_RUNNING] = "running", [QS_SNAP_PAUSED] = "paused", [QS_SNAP_DONE] = "done",
                                        [QS_SNAP_STOPPED] = "stopped", [QS_SNAP_DIVERGED] = "diverged"};
    lua_createtable(L, 0, 12);
    qs_set_text(L, "init", x->init);
    if (x->refused) {
        qs_set_text(L, "error", x->reason);
        return;
    }
    qs_set_text(L, "state", state[x->state]);
    qs_set_text(L, "reason", x->reason);
    qs_set_number(L, "before", x->before);
    qs_set_number(L, "after", x->after);
    qs_set_number(L, "loss", x->loss);
    qs_set_number(L, "accuracy_raw", x->raw);
    qs_set_number(L, "seconds", x->train_s);
    qs_set_number(L, "init_seconds", x->init_s);
    qs_set_count(L, "steps", (size_t)x->t);
    lua_createtable(L, 0, 2);
    set_array(L, "step", x->eval_t, x->neval);
    set_array(L, "accuracy", x->eval, x->neval);
    lua_setfield(L, -2, "series");
}

static int rows(lua_State *L)   /* race:rows(): as they stand */
{
    const qs_snap_race *p = qs_race_picture(check_race(L));
    lua_createtable(L, (int)p->n, 0);
    for (size_t i = 0; i < p->n; i++) {
        push_row(L, &p->racer[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

static int about(lua_State *L)   /* race:about(): what they share */
{
    const qs_snap_race *p = qs_race_picture(check_race(L));
    lua_createtable(L, 0, 14);
    const struct { const char *key, *text; } texts[] = {{"name", p->name}, {"net", p->net}, {"set", p->set}, {"program", p->program},
                                                        {"machine", p->machine}, {"when", p->when}, {"data", p->data}};
    const struct { const char *key; double v; } numbers[] = {{"seed", p->seed}, {"batch", p->batch}, {"steps", p->total},
                                                             {"images", p->images}, {"float", p->floating}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) qs_set_text(L, texts[i].key, texts[i].text);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) qs_set_number(L, numbers[i].key, numbers[i].v);
    lua_pushboolean(L, p->recorded);
    lua_setfield(L, -2, "recorded");
    return 1;
}

/* ---- time -------------------------------------------------------------------------------------- */
/* (seconds): lets them pass. What the screen asks for is served meanwhile; Ctrl-C ends it as it ends all work. */
static int wait(lua_State *L)
{
    double until = qs_now() + luaL_checknumber(L, 1), left;
    qs_err err;
    do {
        if (qs_ctl_check(qs_bind_ctl(L), _("playing"), luaL_optnumber(L, 2, -1), &err)) return qs_bind_fail(L, &err);
        left = fmin(until - qs_now(), 0.02);
        if (left > 0) nanosleep(&(struct timespec){0, (long)(left * 1e9)}, NULL);
    } while (qs_now() < until);
    return 0;
}

static int now(lua_State *L)   /* seconds, from some moment on */
{
    lua_pushnumber(L, qs_now());
    return 1;
}

static const luaL_Reg methods[] = {{"enter", enter}, {"going", going}, {"show", show}, {"save", save}, {"rows", rows},
                                   {"about", about}, {NULL, NULL}};
const qs_type qs_type_race = {"qs.race", race_ref, race_unref, methods, NULL, NULL, NULL};

const luaL_Reg qs_bind_race_private[] = {{"race_new", race_new}, {"race_load", race_load}, {"wait", wait}, {"now", now}, {NULL, NULL}};
