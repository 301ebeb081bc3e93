/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Whole models in Lua: written quantized, their steps for other trainers, compared. The work is engine/quantize.h's and
 * engine/pairs.h's.
 */
#include "bind/bind.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "engine/pairs.h"
#include "engine/quantize.h"
#include "model/importance.h"

static qs_model *check_model(lua_State *L, int i) { return qs_check(L, i, &qs_type_model); }

/* ---- what to do: (model, path, {format=, init=, codes=, tensors={name, ...}}) ------------------------ */
/* The tensors named at index i, borrowed; nothing there: all that are quantized. */
static qs_tensor *const *arg_tensors(lua_State *L, int i, const qs_model *m, size_t *n, qs_err *err)
{
    bool some = lua_istable(L, i);
    size_t max = some ? (size_t)lua_rawlen(L, i) : m->n;
    qs_tensor **t = qs_scratch(L, (max + 1) * sizeof *t, NULL);
    *n = 0;
    for (size_t k = 0; k < m->n && !some; k++)
        if (!qs_tensor_reason(m->tensors[k])) t[(*n)++] = m->tensors[k];
    for (size_t k = 0; k < max && some; k++) {
        if (lua_rawgeti(L, i, (lua_Integer)k + 1) != LUA_TSTRING)
            luaL_error(L, "bad option 'tensors' (an array of names expected, it holds a %s)", luaL_typename(L, -1));
        const char *name = lua_tostring(L, -1);
        if (!(t[(*n)++] = qs_model_find(m, name))) {
            qs_fail(err, QS_EARG, "%s has no tensor '%s'", m->path, name);
            return NULL;
        }
        lua_pop(L, 1);
    }
    if (*n) return t;
    qs_fail(err, QS_EARG, "%s: no tensor to quantize", m->path);
    return NULL;
}

/* Everything o points at stays on the stack. */
static int arg_opts(lua_State *L, const char *what, const char *const *names, qs_quantize_opts *o, qs_err *err)
{
    const qs_model *m = check_model(L, 1);
    luaL_checkstring(L, 2);
    qs_opt_table(L, 3);
    lua_settop(L, 3);
    const char *init = qs_opt_text(L, 3, "init");
    if (qs_opts_check(L, 3, what, names, err)) return -QS_EARG;
    *o = (qs_quantize_opts){.init = init ? init : "mse", .codes = qs_opt_bool(L, 3, "codes", false)};
    if (!lua_istable(L, 3) || lua_getfield(L, 3, "format") == LUA_TNIL) lua_pushstring(L, "int4");
    if (!(o->format = qs_arg_format(L, lua_gettop(L), err))) return -QS_EARG;
    if (lua_istable(L, 3) && lua_getfield(L, 3, "importance") != LUA_TNIL) o->importance = check_model(L, lua_gettop(L));
    if (!lua_istable(L, 3)) lua_pushnil(L);
    else lua_getfield(L, 3, "tensors");
    o->tensor = arg_tensors(L, lua_gettop(L), m, &o->n, err);
    return o->tensor ? 0 : -QS_EARG;
}

/* ---- qs.quantize --------------------------------------------------------------------------------------- */
static int push_row(lua_State *L)      /* (rows, const qs_quantized *) */
{
    const qs_quantized *r = lua_touserdata(L, 2);
    lua_createtable(L, 0, 12);
    qs_set_text(L, "tensor", r->t->name);
    qs_set_text(L, "left_out", r->left_out);
    if (r->q) {
        qs_set_text(L, "format", r->q->f->text);
        qs_set_text(L, "init", r->q->init);
        qs_set_text(L, "note", r->q->note);
        const struct { const char *key; double v; } of[] = {
            {"mse", r->e.mse}, {"nmse", r->e.nmse}, {"sqnr_db", r->e.sqnr_db}, {"bpw", r->bpw}};
        for (size_t i = 0; i < sizeof of / sizeof *of; i++) qs_set_number(L, of[i].key, of[i].v);
        qs_set_count(L, "used", r->e.used);
        qs_set_count(L, "levels", r->e.levels);
        qs_set_count(L, "skipped", r->e.skipped);
        qs_push_ref(L, &qs_type_quantizer, (void *)(uintptr_t)r->q);
        lua_setfield(L, -2, "quantizer");
    }
    lua_rawseti(L, 1, (lua_Integer)lua_rawlen(L, 1) + 1);
    return 0;
}

struct rows { lua_State *L; int at; };

/* Called in the middle of C code that holds memory: what Lua raises becomes an error of ours. */
static int add_row(void *ctx, const qs_quantized *r, qs_err *err)
{
    const struct rows *w = ctx;
    if (!r->q && !r->left_out) return 0;
    lua_pushcfunction(w->L, push_row);
    lua_pushvalue(w->L, w->at);
    lua_pushlightuserdata(w->L, (void *)(uintptr_t)r);
    if (lua_pcall(w->L, 2, 0, 0) == LUA_OK) return 0;
    lua_pop(w->L, 1);
    return qs_fail(err, QS_ENOMEM, "no memory for a row");
}

static int quantize(lua_State *L)
{
    static const char *const options[] = {"format", "init", "codes", "tensors", "importance", NULL};
    qs_quantize_opts o;
    qs_err err = {0};
    if (arg_opts(L, "qs.quantize", options, &o, &err)) return qs_bind_fail(L, &err);
    lua_newtable(L);
    struct rows w = {L, lua_gettop(L)};
    luaL_checkstack(L, 8, NULL);
    if (qs_quantize_file(check_model(L, 1), lua_tostring(L, 2), &o, qs_bind_ctl(L), add_row, &w, &err)) return qs_bind_fail(L, &err);
    return 1;
}

/* ---- qs.save_steps ------------------------------------------------------------------------------------- */
struct steps { const qs_model *m; const qs_quantize_opts *o; const qs_ctl *ctl; };

static int write_steps(FILE *f, void *ctx, qs_err *err)
{
    const struct steps *w = ctx;
    return qs_steps_write(f, w->m, w->o, w->ctl, err);
}

static int save_steps(lua_State *L)
{
    static const char *const options[] = {"format", "init", "tensors", "importance", NULL};
    qs_quantize_opts o;
    qs_err err = {0};
    if (arg_opts(L, "qs.save_steps", options, &o, &err)) return qs_bind_fail(L, &err);
    struct steps w = {check_model(L, 1), &o, qs_bind_ctl(L)};
    if (qs_file_fill(lua_tostring(L, 2), write_steps, &w, false, &err)) return qs_bind_fail(L, &err);
    lua_pushboolean(L, true);
    return 1;
}

/* private.match(model, name): the name of the same tensor, or of the layer's weight, in a model; nil: none. */
static int match(lua_State *L)
{
    const qs_tensor *t = qs_model_match(check_model(L, 1), luaL_checkstring(L, 2), NULL);
    lua_pushstring(L, t ? t->name : NULL);
    return 1;
}

/* ---- qs.importance -------------------------------------------------------------------------------------- */
static int importance(lua_State *L)
{
    const qs_model *from = check_model(L, 1);
    const qs_tensor *t = qs_check(L, 2, &qs_type_tensor);
    qs_err err = {0};
    void **box = qs_box(L, &qs_type_tensor);
    *box = qs_importance_of(from, t, NULL, &err);
    return *box ? 1 : qs_bind_fail(L, &err);
}

/* ---- qs.diff ------------------------------------------------------------------------------------------------ */
static void set_diff(lua_State *L, const qs_diff *d)
{
    const struct { const char *key; double v; } of[] = {
        {"mse", d->mse}, {"nmse", d->nmse}, {"sqnr_db", d->sqnr_db}, {"max_abs", d->max_abs}, {"bias", d->bias},
        {"bpw", d->bpw}, {"n", d->n}};
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) qs_set_number(L, of[i].key, of[i].v);
    qs_set_count(L, "skipped", d->skipped);
    if (d->levels) qs_set_count(L, "levels", d->levels);
    if (d->used) qs_set_count(L, "used", d->used);
}

/* Two tensors: one table. */
static int diff_tensors(lua_State *L, const qs_tensor *a, const qs_tensor *b)
{
    qs_err err = {0};
    qs_diff d;
    if (qs_diff_tensors(a, b, qs_bind_ctl(L), &d, &err)) return qs_bind_fail(L, &err);
    lua_createtable(L, 0, 10);
    set_diff(L, &d);
    return 1;
}

static void push_pair(lua_State *L, const qs_pair *p)
{
    lua_createtable(L, 0, 14);
    qs_set_text(L, "tensor", p->a->name);
    qs_set_text(L, "other", p->b->name);
    qs_set_text(L, "dtype", p->b->dtype_text);
    qs_set_text(L, "note", p->note);
    if (p->measured) set_diff(L, &p->d);
}

static int diff(lua_State *L)
{
    const qs_tensor *a = qs_test(L, 1, &qs_type_tensor), *b = a ? qs_check(L, 2, &qs_type_tensor) : NULL;
    qs_err err = {0};
    qs_pairing w;
    if (a) return diff_tensors(L, a, b);
    qs_pairing_init(&w, check_model(L, 1), check_model(L, 2), lua_toboolean(L, 3));
    lua_newtable(L);
    lua_Integer n = 0;
    for (qs_pair p; qs_pairing_next(&w, &p);) {
        if (qs_pairing_measure(&w, &p, qs_bind_ctl(L), &err)) return qs_bind_fail(L, &err);
        push_pair(L, &p);
        lua_rawseti(L, -2, ++n);
    }
    lua_createtable(L, 0, 14);
    set_diff(L, &w.sum.total);
    qs_set_count(L, "tensors", w.sum.measured);
    qs_set_count(L, "left", w.sum.left);
    qs_set_count(L, "only_a", w.sum.only_a);
    qs_set_count(L, "only_b", w.sum.only_b);
    return 2;
}

const luaL_Reg qs_bind_file_private[] = {{"match", match}, {NULL, NULL}};
const luaL_Reg qs_bind_file_functions[] = {{"diff", diff}, {"importance", importance}, {"quantize", quantize}, {"save_steps", save_steps}, {NULL, NULL}};
