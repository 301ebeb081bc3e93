/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What all parts of the binding share: the context of a Lua state, errors on
 * their way to Lua, userdata boxes, option tables, and the registration of the
 * module. Knows no tensor and no format beyond their names.
 */
#include "bind/bind.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "config.h"

static const char context_key, session_key, known_key, data_key, program_key;

/* ---- the context of a state -------------------------------------------------------------------- */
void qs_bind_set_session(lua_State *L, qs_session *s)
{
    lua_pushlightuserdata(L, s);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &session_key);
}

qs_bind *qs_bind_get(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &context_key);
    qs_bind *b = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return b;
}

qs_session *qs_bind_session(lua_State *L)
{
    qs_bind *b = qs_bind_get(L);
    if (!b || !b->session) luaL_error(L, "quantscope is closing");
    return b->session;
}

void qs_bind_set_data(lua_State *L, const char *dir)
{
    size_t n = strlen(dir);
    while (n > 1 && dir[n - 1] == '/') n--;
    lua_pushlstring(L, dir, n);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &data_key);
}

const char *qs_bind_data(lua_State *L)
{
    int type = lua_rawgetp(L, LUA_REGISTRYINDEX, &data_key);
    const char *dir = type == LUA_TSTRING ? lua_tostring(L, -1) : QS_DATADIR;
    lua_pop(L, 1);   /* the registry keeps it */
    return dir;
}

void qs_bind_set_program(lua_State *L, const char *path)
{
    lua_pushstring(L, path);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &program_key);
}

const char *qs_bind_program(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &program_key);
    const char *path = lua_tostring(L, -1);
    lua_pop(L, 1);   /* the registry keeps it */
    return path;
}

qs_ctl *qs_bind_ctl(lua_State *L) { return qs_session_ctl(qs_bind_session(L)); }

static int context_gc(lua_State *L)
{
    qs_bind *b = lua_touserdata(L, 1);
    qs_bind_forget_inits(b);
    if (b->own) qs_session_free(b->session);
    b->session = NULL;
    return 0;
}

static void context_new(lua_State *L)
{
    qs_bind *b = lua_newuserdatauv(L, sizeof *b, QS_BIND_DEPTH);
    *b = (qs_bind){0};
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, context_gc);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    for (int i = 0; i < QS_BIND_DEPTH; i++) {
        b->call[i] = lua_newthread(L);
        lua_setiuservalue(L, -2, i + 1);
    }
    lua_rawgetp(L, LUA_REGISTRYINDEX, &session_key);
    b->session = lua_touserdata(L, -1);
    lua_pop(L, 1);
    if (!b->session) {
        b->session = qs_session_new();
        b->own = true;
    }
    lua_rawsetp(L, LUA_REGISTRYINDEX, &context_key);
    /* Objects that live elsewhere, by address: the same tensor is the same userdata. */
    lua_newtable(L);
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "v");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &known_key);
}

/* ---- results ----------------------------------------------------------------------------------- */
int qs_bind_fail(lua_State *L, const qs_err *err)
{
    qs_bind *b = qs_bind_get(L);
    if (err->code == QS_ECANCEL) {
        if (b->on_cancel) b->on_cancel(L);
        return luaL_error(L, "interrupted");
    }
    lua_pushnil(L);
    lua_pushfstring(L, "%s: %s", qs_code_name(err->code), err->msg);
    lua_pushstring(L, qs_code_name(err->code));
    return 3;
}

int qs_bind_fail_file(lua_State *L, const qs_err *err)
{
    qs_bind *b = qs_bind_get(L);
    snprintf(b->file_error, sizeof b->file_error, "%s: %s", qs_code_name(err->code), err->msg);
    return qs_bind_fail(L, err);
}

void qs_push_number(lua_State *L, double v)
{
    if (isnan(v)) lua_pushnil(L);
    else lua_pushnumber(L, v);
}

void qs_set_number(lua_State *L, const char *key, double v)
{
    qs_push_number(L, v);
    lua_setfield(L, -2, key);
}

void qs_set_count(lua_State *L, const char *key, size_t v)
{
    lua_pushinteger(L, (lua_Integer)v);
    lua_setfield(L, -2, key);
}

void qs_set_text(lua_State *L, const char *key, const char *text)
{
    if (!text || !*text) return;
    lua_pushstring(L, text);
    lua_setfield(L, -2, key);
}

void qs_push_array(lua_State *L, const double *v, size_t n)
{
    lua_createtable(L, n < INT32_MAX ? (int)n : 0, 0);
    for (size_t i = 0; i < n; i++) {
        lua_pushnumber(L, v[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
}

void qs_push_docs(lua_State *L, const qs_doc *docs)
{
    lua_newtable(L);
    for (lua_Integer i = 0; docs[i].name; i++) {
        lua_createtable(L, 0, 2);
        qs_set_text(L, "name", docs[i].name);
        qs_set_text(L, "doc", docs[i].doc);
        lua_rawseti(L, -2, i + 1);
    }
}

/* ---- userdata ---------------------------------------------------------------------------------- */
const qs_type *const qs_bind_types[] = {&qs_type_model, &qs_type_tensor, &qs_type_index, &qs_type_format,
                                        &qs_type_quantizer, &qs_type_dataset, &qs_type_net, &qs_type_run, &qs_type_plot,
                                        &qs_type_results, &qs_type_sweep, NULL};

void **qs_box(lua_State *L, const qs_type *type)
{
    void **box = lua_newuserdatauv(L, sizeof *box, 1);
    *box = NULL;
    luaL_setmetatable(L, type->name);
    return box;
}

void qs_push_ref(lua_State *L, const qs_type *type, void *object)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &known_key);
    if (lua_rawgetp(L, -1, object) == LUA_TNIL) {
        lua_pop(L, 1);
        void **box = qs_box(L, type);
        *box = type->ref(object);
        lua_pushvalue(L, -1);
        lua_rawsetp(L, -3, object);
    }
    lua_remove(L, -2);
}

void qs_box_known(lua_State *L, void *object)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &known_key);
    lua_pushvalue(L, -2);
    lua_rawsetp(L, -2, object);
    lua_pop(L, 1);
}

void *qs_test(lua_State *L, int i, const qs_type *type)
{
    void **box = luaL_testudata(L, i, type->name);
    return box ? *box : NULL;
}

void *qs_check(lua_State *L, int i, const qs_type *type)
{
    void **box = luaL_checkudata(L, i, type->name);
    if (!*box) luaL_argerror(L, i, "it was closed");
    return *box;
}

/* __gc and __close: upvalue 1 is the type. */
static int box_gc(lua_State *L)
{
    const qs_type *type = lua_touserdata(L, lua_upvalueindex(1));
    void **box = luaL_checkudata(L, 1, type->name);
    if (*box) type->unref(*box);
    *box = NULL;
    return 0;
}

/* __index: methods, then what the type makes of the key itself (t[1], m["conv"]), then fields. Upvalues: type,
 * methods, fields. */
static int box_index(lua_State *L)
{
    const qs_type *type = lua_touserdata(L, lua_upvalueindex(1));
    qs_check(L, 1, type);
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(2)) != LUA_TNIL) return 1;
    lua_settop(L, 2);
    if (type->other && type->other(L)) return 1;
    lua_settop(L, 2);
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(3)) != LUA_TFUNCTION) return 0;
    lua_pushvalue(L, 1);
    lua_call(L, 1, 1);
    return 1;
}

static void push_functions(lua_State *L, const luaL_Reg *list)
{
    lua_newtable(L);
    if (list) luaL_setfuncs(L, list, 0);
}

static void type_register(lua_State *L, const qs_type *type)
{
    luaL_newmetatable(L, type->name);
    if (type->meta) luaL_setfuncs(L, type->meta, 0);
    void *self = (void *)(uintptr_t)type;
    for (int i = 0; i < 2; i++) {
        lua_pushlightuserdata(L, self);
        lua_pushcclosure(L, box_gc, 1);
        lua_setfield(L, -2, i ? "__close" : "__gc");
    }
    lua_pushlightuserdata(L, self);
    push_functions(L, type->methods);
    lua_pushvalue(L, -1);
    lua_setfield(L, -4, "__methods");
    push_functions(L, type->fields);
    lua_pushvalue(L, -1);
    lua_setfield(L, -5, "__fields");
    lua_pushcclosure(L, box_index, 3);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
}

/* ---- C memory that must not be lost when Lua raises -------------------------------------------- */
typedef struct scratch { void (*clear)(void *); max_align_t data[]; } scratch;
#define SCRATCH "qs.scratch"

static int scratch_gc(lua_State *L)
{
    scratch *s = luaL_checkudata(L, 1, SCRATCH);
    void (*clear)(void *) = s->clear;
    s->clear = NULL;
    if (clear) clear(s->data);
    return 0;
}

void *qs_scratch(lua_State *L, size_t size, void (*clear)(void *))
{
    scratch *s = lua_newuserdatauv(L, sizeof *s + size, 0);
    memset(s->data, 0, size);
    s->clear = clear;
    if (luaL_newmetatable(L, SCRATCH)) {
        lua_pushcfunction(L, scratch_gc);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    return s->data;
}

void qs_scratch_done(lua_State *L, int i)
{
    scratch *s = luaL_checkudata(L, i, SCRATCH);
    void (*clear)(void *) = s->clear;
    s->clear = NULL;
    if (clear) clear(s->data);
}

/* ---- option tables ----------------------------------------------------------------------------- */
void qs_opt_table(lua_State *L, int i)
{
    if (!lua_isnoneornil(L, i)) luaL_checktype(L, i, LUA_TTABLE);
}

static bool known(const char *const *names, const char *key)
{
    while (*names && strcmp(*names, key)) names++;
    return *names;
}

int qs_opts_check(lua_State *L, int i, const char *what, const char *const *names, qs_err *err)
{
    if (!lua_istable(L, i)) return 0;
    for (lua_pushnil(L); lua_next(L, i); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING || known(names, lua_tostring(L, -2))) continue;
        qs_str all = {0};
        for (const char *const *n = names; *n; n++) qs_str_addf(&all, "%s%s", n == names ? "" : ", ", *n);
        qs_fail(err, QS_EARG, "%s has no option '%s'; it has: %s", what, lua_tostring(L, -2), all.s ? all.s : "none");
        free(all.s);
        lua_pop(L, 2);
        return -QS_EARG;
    }
    return 0;
}

/* Pushes t[key]; false (nothing pushed) where there is none; raises where it is not of this Lua type. */
static bool option(lua_State *L, int i, const char *key, int type)
{
    if (!lua_istable(L, i)) return false;
    int got = lua_getfield(L, i, key);
    if (got == LUA_TNIL) {
        lua_pop(L, 1);
        return false;
    }
    if (got != type)
        luaL_error(L, "bad option '%s' (%s expected, got %s)", key, lua_typename(L, type), luaL_typename(L, -1));
    return true;
}

double qs_opt_number(lua_State *L, int i, const char *key, double otherwise)
{
    if (!option(L, i, key, LUA_TNUMBER)) return otherwise;
    double v = lua_tonumber(L, -1);
    lua_pop(L, 1);
    return v;
}

lua_Integer qs_opt_integer(lua_State *L, int i, const char *key, lua_Integer otherwise)
{
    if (!option(L, i, key, LUA_TNUMBER)) return otherwise;
    int whole;
    lua_Integer v = lua_tointegerx(L, -1, &whole);
    if (!whole) luaL_error(L, "bad option '%s' (number has no integer representation)", key);
    lua_pop(L, 1);
    return v;
}

bool qs_opt_bool(lua_State *L, int i, const char *key, bool otherwise)
{
    if (!option(L, i, key, LUA_TBOOLEAN)) return otherwise;
    bool v = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return v;
}

const char *qs_opt_text(lua_State *L, int i, const char *key)
{
    if (!option(L, i, key, LUA_TSTRING)) return NULL;
    const char *s = lua_tostring(L, -1);
    lua_pop(L, 1);   /* the table keeps it */
    return s;
}

/* ---- the module -------------------------------------------------------------------------------- */
static void push_types(lua_State *L)
{
    lua_newtable(L);
    for (const qs_type *const *t = qs_bind_types; *t; t++) {
        type_register(L, *t);
        luaL_getmetatable(L, (*t)->name);
        lua_setfield(L, -2, (*t)->name + strlen("qs."));
    }
    type_register(L, &qs_type_race);   /* races.lua hands it to nobody */
}

int qs_bind_open(lua_State *L)
{
    luaL_checkversion(L);
    if (!qs_bind_get(L)) context_new(L);
    lua_newtable(L);
    luaL_setfuncs(L, qs_bind_model_functions, 0);
    luaL_setfuncs(L, qs_bind_file_functions, 0);
    luaL_setfuncs(L, qs_bind_tensor_functions, 0);
    luaL_setfuncs(L, qs_bind_quant_functions, 0);
    luaL_setfuncs(L, qs_bind_init_functions, 0);
    luaL_setfuncs(L, qs_bind_session_functions, 0);
    luaL_setfuncs(L, qs_bind_net_functions, 0);
    luaL_setfuncs(L, qs_bind_train_functions, 0);
    luaL_setfuncs(L, qs_bind_results_functions, 0);
    luaL_setfuncs(L, qs_bind_sweep_functions, 0);
    push_functions(L, qs_bind_private);
    luaL_setfuncs(L, qs_bind_file_private, 0);
    luaL_setfuncs(L, qs_bind_plot_private, 0);
    luaL_setfuncs(L, qs_bind_race_private, 0);
    luaL_setfuncs(L, qs_bind_report_private, 0);
    lua_setfield(L, -2, "private");
    push_types(L);
    lua_setfield(L, -2, "types");   /* metatables by name, for help and pretty printing */
    qs_set_text(L, "version", PACKAGE_VERSION);
    qs_set_count(L, "api", QS_LUA_API);
    return 1;
}
