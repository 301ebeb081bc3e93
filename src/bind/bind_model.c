/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Models in Lua: loading, saving, finding their tensors. What a tensor is there
 * is in bind_tensor.c.
 */
#include "bind/bind.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"

static qs_model *check_model(lua_State *L, int i) { return qs_check(L, i, &qs_type_model); }

/* ---- models ------------------------------------------------------------------------------------ */
static void *model_ref(void *m) { return qs_model_ref(m); }
static void model_unref(void *m) { qs_model_unref(m); }

/* A file that could not be opened: remembered, so that a script that dies of it ends with exit code 3. */
static int load(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    qs_err err;
    qs_model *m = qs_session_open(qs_bind_session(L), path, &err);
    if (!m) return qs_bind_fail_file(L, &err);
    qs_push_ref(L, &qs_type_model, m);
    return 1;
}

static int model_other(lua_State *L)   /* m["conv1.weight"], m[1] */
{
    const qs_model *m = check_model(L, 1);
    qs_tensor *t = NULL;
    if (lua_type(L, 2) == LUA_TSTRING) t = qs_model_find(m, lua_tostring(L, 2));
    else if (lua_isinteger(L, 2) && lua_tointeger(L, 2) >= 1 && (size_t)lua_tointeger(L, 2) <= m->n)
        t = m->tensors[lua_tointeger(L, 2) - 1];
    if (!t) return 0;
    qs_push_ref(L, &qs_type_tensor, t);
    return 1;
}

static int model_get(lua_State *L)
{
    const qs_model *m = check_model(L, 1);
    const char *name = luaL_checkstring(L, 2);
    qs_tensor *t = qs_model_find(m, name);
    qs_err err;
    if (t) {
        qs_push_ref(L, &qs_type_tensor, t);
        return 1;
    }
    qs_fail(&err, QS_EARG, "%s has no tensor '%s'", m->path, name);
    return qs_bind_fail(L, &err);
}

static int model_names(lua_State *L)
{
    const qs_model *m = check_model(L, 1);
    lua_createtable(L, m->n < INT_MAX ? (int)m->n : 0, 0);
    for (size_t i = 0; i < m->n; i++) {
        lua_pushstring(L, m->tensors[i]->name);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

static int next_tensor(lua_State *L)   /* upvalues: the model, how many were given */
{
    const qs_model *m = check_model(L, lua_upvalueindex(1));
    lua_Integer i = lua_tointeger(L, lua_upvalueindex(2));
    if ((size_t)i >= m->n) return 0;
    lua_pushinteger(L, i + 1);
    lua_replace(L, lua_upvalueindex(2));
    lua_pushstring(L, m->tensors[i]->name);
    qs_push_ref(L, &qs_type_tensor, m->tensors[i]);
    return 2;
}

static int model_tensors(lua_State *L)
{
    check_model(L, 1);
    lua_pushvalue(L, 1);
    lua_pushinteger(L, 0);
    lua_pushcclosure(L, next_tensor, 2);
    return 1;
}

static int model_len(lua_State *L) { lua_pushinteger(L, (lua_Integer)check_model(L, 1)->n); return 1; }
static int model_path(lua_State *L) { lua_pushstring(L, check_model(L, 1)->path); return 1; }
static int model_format(lua_State *L) { lua_pushstring(L, check_model(L, 1)->format); return 1; }
static int model_note(lua_State *L) { lua_pushstring(L, check_model(L, 1)->note); return 1; }
static int model_weights(lua_State *L) { lua_pushinteger(L, (lua_Integer)check_model(L, 1)->weights); return 1; }
static int model_values(lua_State *L) { lua_pushinteger(L, (lua_Integer)check_model(L, 1)->values); return 1; }

static int model_tostring(lua_State *L)
{
    const qs_model *m = check_model(L, 1);
    lua_pushfstring(L, "model %s (%s: %I tensors, %I of them weights with %I values)", m->path, m->format,
                    (LUAI_UACINT)m->n, (LUAI_UACINT)m->weights, (LUAI_UACINT)m->values);
    return 1;
}

/* ---- qs.save ----------------------------------------------------------------------------------- */
struct saving { size_t n, cap; qs_tensor **t; };

static void saving_clear(void *p)
{
    struct saving *s = p;
    for (size_t i = 0; i < s->n; i++) qs_tensor_unref(s->t[i]);
    free(s->t);
}

static void saving_add(struct saving *s, const qs_tensor *t, const char *name)
{
    if (s->n == s->cap) s->t = qs_xrealloc(s->t, (s->cap = 2 * s->cap + 16) * sizeof *s->t);
    s->t[s->n++] = qs_tensor_renamed(t, name);
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(qs_tensor *const *)a)->name, (*(qs_tensor *const *)b)->name);
}

/* {name = tensor, ...}: sorted by name, so that the same table gives the same file. */
static void gather_table(lua_State *L, int i, struct saving *s)
{
    for (lua_pushnil(L); lua_next(L, i); lua_pop(L, 1)) {
        const qs_tensor *t = qs_test(L, -1, &qs_type_tensor);
        if (!t) luaL_error(L, "qs.save: a table of tensors is expected, it holds a %s", luaL_typename(L, -1));
        else saving_add(s, t, lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : t->name);
    }
    if (s->n) qsort(s->t, s->n, sizeof *s->t, by_name);
}

static void gather(lua_State *L, int i, struct saving *s)
{
    const qs_model *m = qs_test(L, i, &qs_type_model);
    const qs_tensor *t = qs_test(L, i, &qs_type_tensor);
    for (size_t k = 0; m && k < m->n; k++) saving_add(s, m->tensors[k], m->tensors[k]->name);
    if (t) saving_add(s, t, t->name);
    if (m || t) return;
    luaL_checktype(L, i, LUA_TTABLE);
    gather_table(L, i, s);
}

static int save(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    qs_err err;
    luaL_checkany(L, 2);
    struct saving *s = qs_scratch(L, sizeof *s, saving_clear);
    int slot = lua_gettop(L);
    gather(L, 2, s);
    int rc = qs_model_save(path, s->t, s->n, &err);
    qs_scratch_done(L, slot);
    if (rc) return qs_bind_fail(L, &err);
    lua_pushboolean(L, true);
    return 1;
}

static int readers(lua_State *L)
{
    lua_newtable(L);
    for (lua_Integer i = 0; qs_readers[i]; i++) {
        lua_createtable(L, 0, 2);
        qs_set_text(L, "name", qs_readers[i]->name);
        qs_set_text(L, "doc", _(qs_readers[i]->doc));
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

/* ---- registration ------------------------------------------------------------------------------ */
static const luaL_Reg model_methods[] = {
    {"get", model_get}, {"names", model_names}, {"tensors", model_tensors}, {NULL, NULL}};
static const luaL_Reg model_fields[] = {
    {"path", model_path}, {"format", model_format}, {"note", model_note}, {"weights", model_weights},
    {"values", model_values}, {NULL, NULL}};
static const luaL_Reg model_meta[] = {
    {"__len", model_len}, {"__tostring", model_tostring}, {"__pairs", model_tensors}, {NULL, NULL}};
const qs_type qs_type_model = {"qs.model", model_ref, model_unref, model_methods, model_fields, model_meta,
                               model_other};

const luaL_Reg qs_bind_model_functions[] = {{"load", load}, {"save", save}, {"readers", readers}, {NULL, NULL}};
