/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The selection and the machine in Lua: what the panes show, undo, pin, threads;
 * and the console's globals m, t, f and q that follow the selection.
 */
#include "bind/bind.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

static const char followed_key;   /* registry: the selection the globals were last in step with */

/* ---- qs.select --------------------------------------------------------------------------- */
/* Copies a text into a field of a pick. EARG: too long. */
static int put(char *to, size_t size, const char *key, const char *text, qs_err *err)
{
    size_t n = strlen(text);
    if (n >= size)
        return qs_fail(err, QS_EARG, "qs.select: %s is too long (%zu characters, %zu at most)", key, n, size - 1);
    memcpy(to, text, n + 1);
    return 0;
}

struct text_key { const char *key; unsigned bit; size_t at, size; };
#define TEXT(name, bit) {#name, bit, offsetof(qs_pick, name), sizeof ((qs_pick *)0)->name}
#define OF_RESULTS(key, name, bit) {key, bit, offsetof(qs_pick, results.name), sizeof ((qs_pick *)0)->results.name}
static const struct text_key text_keys[] = {
    TEXT(model, QS_PICK_MODEL), TEXT(tensor, QS_PICK_TENSOR), TEXT(format, QS_PICK_FORMAT), TEXT(init, QS_PICK_INIT),
    TEXT(view, QS_PICK_VIEW), TEXT(learn, QS_PICK_LEARN), TEXT(site, QS_PICK_SITE),
    OF_RESULTS("results", file, QS_PICK_RESULTS), OF_RESULTS("sweep", sweep, QS_PICK_SWEEP),
    OF_RESULTS("by", by, QS_PICK_BY), OF_RESULTS("metric", metric, QS_PICK_METRIC),
    OF_RESULTS("baseline", baseline, QS_PICK_BASELINE), OF_RESULTS("group", group, QS_PICK_GROUP), {NULL, 0, 0, 0}};

/* The text that the value at the top stands for under this key: a string or one of our objects; NULL: neither. */
static const char *text_of(lua_State *L, const char *key)
{
    if (lua_type(L, -1) == LUA_TSTRING) return lua_tostring(L, -1);
    const qs_model *m = qs_test(L, -1, &qs_type_model);
    const qs_tensor *t = qs_test(L, -1, &qs_type_tensor);
    if (m && !strcmp(key, "model")) return m->path;
    if (t && !strcmp(key, "tensor")) return t->name;
    if (!qs_test(L, -1, &qs_type_format) || strcmp(key, "format") != 0) return NULL;
    return luaL_tolstring(L, -1, NULL);   /* stays on the stack */
}

static int pick_texts(lua_State *L, qs_pick *p, qs_err *err)
{
    for (const struct text_key *k = text_keys; k->key; k++) {
        int top = lua_gettop(L);
        if (lua_getfield(L, 1, k->key) != LUA_TNIL) {
            const char *text = text_of(L, k->key);
            if (!text) luaL_error(L, "bad option '%s' (string expected, got %s)", k->key, luaL_typename(L, -1));
            if (put((char *)p + k->at, k->size, k->key, text, err)) return -QS_EARG;
            p->set |= k->bit;
        }
        lua_settop(L, top);
    }
    return 0;
}

static bool given(lua_State *L, const char *key)
{
    bool is = lua_getfield(L, 1, key) != LUA_TNIL;
    lua_pop(L, 1);
    return is;
}

static int push_current(lua_State *L);

/* Selects, publishes, and keeps the globals in step. Pushes the selection. */
static int serve(lua_State *L, const qs_pick *p)
{
    qs_session *s = qs_bind_session(L);
    qs_err err;
    if (qs_session_select(s, p, &err)) return qs_bind_fail(L, &err);
    qs_bind_sync(L);
    qs_session_publish(s, false);
    return push_current(L);
}

/* run=: a number, or a run of the session. */
static long run_option(lua_State *L)
{
    lua_getfield(L, 1, "run");
    const qs_run *r = qs_test(L, -1, &qs_type_run);
    lua_pop(L, 1);
    return r ? (long)qs_session_run_number(qs_bind_session(L), r) : (long)qs_opt_integer(L, 1, "run", 0);
}

static int select_call(lua_State *L)
{
    static const char *const options[] = {"model", "tensor", "format", "init", "learn", "step", "offset", "channel",
                                          "view", "run", "site", "seek", "results", "sweep", "by", "metric", "baseline", "group", NULL};
    qs_pick p = {0};
    qs_err err;
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    if (given(L, "step")) p.set |= QS_PICK_STEP;
    if (given(L, "offset")) p.set |= QS_PICK_OFFSET;
    if (given(L, "channel")) p.set |= QS_PICK_CHANNEL;
    if (given(L, "run")) p.set |= QS_PICK_RUN;
    if (given(L, "seek")) p.set |= QS_PICK_SEEK;
    p.run = run_option(L);
    p.seek = qs_opt_number(L, 1, "seek", -1);
    p.step = qs_opt_number(L, 1, "step", 0);
    p.offset = qs_opt_number(L, 1, "offset", 0);
    p.channel = (long)qs_opt_integer(L, 1, "channel", -1);
    if (pick_texts(L, &p, &err) || qs_opts_check(L, 1, "qs.select", options, &err)) return qs_bind_fail(L, &err);
    return serve(L, &p);
}

static int undo(lua_State *L) { return serve(L, &(qs_pick){.set = QS_PICK_UNDO}); }
static int pin(lua_State *L) { return serve(L, &(qs_pick){.set = QS_PICK_PIN}); }

/* qs.export(what, path [, {overwrite=true}]): what the screen makes a picture of, as soon as it has a snapshot. */
static int export(lua_State *L)
{
    static const char *const views[] = {"screen", "list", "hist", "curve", "compare", "map", "train", "results", "race", NULL};
    static const char *const options[] = {"overwrite", NULL};
    const char *what = luaL_checkstring(L, 1), *path = luaL_checkstring(L, 2);
    qs_pick p = {.set = QS_PICK_EXPORT};
    qs_err err;
    size_t i = 0;
    qs_opt_table(L, 3);
    p.export.overwrite = qs_opt_bool(L, 3, "overwrite", false);
    while (views[i] && strcmp(views[i], what)) i++;
    if (!views[i]) {
        qs_fail(&err, QS_EARG, "qs.export: \"%s\" is none of screen, list, hist, curve, compare, map, train, results, race", what);
        return qs_bind_fail(L, &err);
    }
    if (qs_opts_check(L, 3, "qs.export", options, &err) || put(p.export.what, sizeof p.export.what, "what", what, &err) ||
        put(p.export.path, sizeof p.export.path, "path", path, &err) || qs_session_select(qs_bind_session(L), &p, &err))
        return qs_bind_fail(L, &err);
    qs_session_publish(qs_bind_session(L), false);
    lua_pushboolean(L, true);
    return 1;
}

static int push_current(lua_State *L)
{
    const qs_selected *s = qs_session_selected(qs_bind_session(L));
    lua_createtable(L, 0, 19);
    qs_set_text(L, "model", s->model);
    qs_set_text(L, "tensor", s->tensor);
    qs_set_text(L, "format", s->format);
    qs_set_text(L, "init", s->init);
    qs_set_text(L, "learn", s->learn);
    qs_set_text(L, "view", s->view);
    if (s->run) {
        qs_set_count(L, "run", (size_t)s->run);
        qs_set_text(L, "site", s->site);
        qs_set_number(L, "seek", s->seek);
    }
    qs_set_text(L, "results", s->results.file);
    qs_set_text(L, "sweep", s->results.sweep);
    qs_set_text(L, "by", s->results.by);
    qs_set_text(L, "metric", s->results.metric);
    qs_set_text(L, "baseline", s->results.baseline);
    qs_set_text(L, "group", s->results.group);
    if (!*s->tensor) return 1;
    if (s->step != 0) {
        qs_set_number(L, "step", s->step);
        qs_set_number(L, "offset", s->offset);
    }
    lua_pushinteger(L, s->channel);
    lua_setfield(L, -2, "channel");
    qs_set_count(L, "parts", s->parts);
    return 1;
}

static int current(lua_State *L) { return push_current(L); }

static int threads(lua_State *L)
{
    lua_Integer n = luaL_optinteger(L, 1, 0);
    qs_err err;
    if (!lua_isnoneornil(L, 1) && (n < 1 || n > 256)) {
        qs_fail(&err, QS_EARG, "qs.threads: 1 to 256, got %lld", (long long)n);
        return qs_bind_fail(L, &err);
    }
    if (n) qs_threads_set((int)n);
    lua_pushinteger(L, qs_threads());
    return 1;
}

/* ---- the console's globals ------------------------------------------------------------------- */
static void push_model(lua_State *L, qs_session *s)
{
    qs_model *m = qs_session_cur_model(s);
    if (m) qs_push_ref(L, &qs_type_model, m);
    else lua_pushnil(L);
}

static void push_tensor(lua_State *L, qs_session *s)
{
    qs_tensor *t = qs_session_cur_tensor(s);
    if (t) qs_push_ref(L, &qs_type_tensor, t);
    else lua_pushnil(L);
}

static void push_format(lua_State *L, qs_session *s)
{
    const qs_format *f = qs_session_cur_format(s);
    if (!f) {
        lua_pushnil(L);
        return;
    }
    void **box = qs_box(L, &qs_type_format);
    *box = qs_format_copy(f);
}

static void push_quantizer(lua_State *L, qs_session *s)
{
    qs_err err = {0};
    qs_quantizer *q = qs_session_cur_tensor(s) ? qs_session_cur_quantizer(s, qs_session_ctl(s), &err) : NULL;
    if (q) qs_push_ref(L, &qs_type_quantizer, q);
    else if (err.code == QS_ECANCEL) qs_bind_fail(L, &err);
    else lua_pushnil(L);
}

static const struct global {
    const char *name;
    void (*push)(lua_State *L, qs_session *s);
} globals[] = {{"m", push_model}, {"t", push_tensor}, {"f", push_format}, {"q", push_quantizer}};

bool qs_bind_push_current(lua_State *L, const char *name)
{
    for (size_t i = 0; i < sizeof globals / sizeof *globals; i++) {
        if (strcmp(globals[i].name, name) != 0) continue;
        globals[i].push(L, qs_bind_session(L));
        return true;
    }
    return false;
}

/* __index of _G: what is not set and is one of the names above is the selection's. */
static int globals_index(lua_State *L)
{
    return lua_type(L, 2) == LUA_TSTRING && qs_bind_push_current(L, lua_tostring(L, 2));
}

void qs_bind_follow(lua_State *L)
{
    qs_selected *last = lua_newuserdatauv(L, sizeof *last, 0);
    *last = *qs_session_selected(qs_bind_session(L));
    lua_rawsetp(L, LUA_REGISTRYINDEX, &followed_key);
    lua_pushglobaltable(L);
    if (!lua_getmetatable(L, -1)) lua_createtable(L, 0, 1);
    lua_pushcfunction(L, globals_index);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
    lua_pop(L, 1);
}

/* Which of the globals mean something else since the selection was `a`: a bit each, in the order of the table. */
static unsigned changes(const qs_selected *a, const qs_selected *b)
{
    bool m = strcmp(a->model, b->model), t = m || strcmp(a->tensor, b->tensor), f = strcmp(a->format, b->format);
    bool q = t || f || strcmp(a->init, b->init) || (a->step < b->step || a->step > b->step) ||
             (a->offset < b->offset || a->offset > b->offset);
    return (unsigned)m | (unsigned)t << 1 | (unsigned)f << 2 | (unsigned)q << 3;
}

void qs_bind_sync(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &followed_key);
    qs_selected *last = lua_touserdata(L, -1);
    lua_pop(L, 1);
    if (!last) return;   /* not a console */
    const qs_selected *now = qs_session_selected(qs_bind_session(L));
    unsigned changed = changes(last, now);
    if (!changed) return;
    *last = *now;
    lua_pushglobaltable(L);
    for (size_t i = 0; i < sizeof globals / sizeof *globals; i++) {
        if (!(changed >> i & 1)) continue;
        lua_pushstring(L, globals[i].name);
        lua_pushnil(L);
        lua_rawset(L, -3);
    }
    lua_pop(L, 1);
}

const luaL_Reg qs_bind_session_functions[] = {
    {"select", select_call}, {"current", current}, {"undo", undo}, {"pin", pin}, {"export", export}, {"threads", threads}, {NULL, NULL}};
