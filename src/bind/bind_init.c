/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Initializations in Lua: qs.init, those written in Lua, and how they compare.
 * The step comes from quant/, or from the function that was registered; this
 * file checks arguments and results. What a quantizer is there is in bind_quant.c.
 */
#include "bind/bind_quant.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "quant/init.h"

static qs_cache *cache(lua_State *L) { return qs_session_cache(qs_bind_session(L)); }

/* ---- qs.init ----------------------------------------------------------------------------------- */
/* Options {role=, divisor=, percentile=, weights=} at index i. Values stay alive through the table. */
static int init_options(lua_State *L, int i, const char *what, qs_init_opts *o, qs_err *err)
{
    static const char *const options[] = {"role", "divisor", "percentile", "weights", NULL};
    const char *role = qs_opt_text(L, i, "role"), *divisor = qs_opt_text(L, i, "divisor");
    *o = (qs_init_opts){.role = QS_ROLE_WEIGHT, .percentile = qs_opt_number(L, i, "percentile", 0)};
    if (lua_istable(L, i) && lua_getfield(L, i, "weights") != LUA_TNIL &&
        !(o->weights = qs_test(L, -1, &qs_type_tensor)))
        luaL_error(L, "bad option 'weights' (qs.tensor expected, got %s)", luaL_typename(L, -1));
    if (qs_opts_check(L, i, what, options, err)) return -QS_EARG;
    if (role && !strcmp(role, "act")) o->role = QS_ROLE_ACT;
    else if (role && strcmp(role, "weight"))
        return qs_fail(err, QS_EARG, "%s: role should be \"weight\" or \"act\", got \"%s\"", what, role);
    if (divisor && strlen(divisor) >= sizeof o->variant)
        return qs_fail(err, QS_EARG, "%s: no divisor \"%s\"", what, divisor);
    if (divisor) memcpy(o->variant, divisor, strlen(divisor) + 1);
    return 0;
}

static char *text_or_null(const char *s) { return *s ? qs_xstrdup(s) : NULL; }

static void out_clear(void *o) { qs_format_free(((qs_init_out *)o)->f); }

/* Initializes from an index: one part. */
static int init_index(lua_State *L, const char *name, const qs_index *ix, const qs_format *f, const qs_init_opts *o)
{
    qs_err err;
    qs_init_out *out = qs_scratch(L, sizeof *out, out_clear);
    double start = qs_now();
    if (qs_init_index(name, ix, f, o, qs_bind_ctl(L), out, &err)) return qs_bind_fail(L, &err);
    double ms = 1e3 * (qs_now() - start);
    qs_quantizer *q = qs_push_quantizer(L, out->f ? out->f : f, out->step, out->offset, &err);
    if (!q) return qs_bind_fail(L, &err);
    const qs_init *row = qs_init_named(name);
    snprintf(q->init, sizeof q->init, "%s", name);
    q->formula = text_or_null(out->formula);
    q->note = text_or_null(out->note);
    q->source = row ? row->source : NULL;
    q->ms = ms;
    return 1;
}

static int init(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    qs_tensor *t;
    const qs_index *ix = qs_arg_tensor_or_index(L, 2, &t);
    qs_init_opts o;
    qs_err err;
    qs_opt_table(L, 4);
    lua_settop(L, 4);
    const qs_format *f = ix ? qs_arg_format_single(L, 3, &err) : qs_arg_format(L, 3, &err);
    if (!f || init_options(L, 4, "qs.init", &o, &err)) return qs_bind_fail(L, &err);
    if (ix) return init_index(L, name, ix, f, &o);
    void **box = qs_box(L, &qs_type_quantizer);
    *box = qs_init_tensor(name, t, f, &o, cache(L), qs_bind_ctl(L), &err);
    return *box ? 1 : qs_bind_fail(L, &err);
}

static int inits(lua_State *L)
{
    lua_newtable(L);
    for (size_t i = 0; i < qs_init_count(); i++) {
        const qs_init *row = qs_init_at(i);
        lua_createtable(L, 0, 5);
        qs_set_text(L, "name", row->name);
        qs_set_text(L, "doc", row->doc && *row->doc ? _(row->doc) : NULL);
        qs_set_text(L, "formula", row->formula);
        qs_set_text(L, "source", row->source);
        qs_set_text(L, "variants", row->variants);
        if (row->flags & QS_INIT_NETWORK) {
            lua_pushboolean(L, true);
            lua_setfield(L, -2, "network");
        }
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

/* ---- initializations written in Lua ------------------------------------------------------------ */
/* Behind a row of the table of initializations; lives as long as the row. b is NULL once its Lua state has closed. */
struct lua_init { qs_bind *b; int ref; };

struct call { const qs_init_in *in; qs_init_out *out; };

/* Checks what the function returned: step, offset, note at 1, 2, 3 from `base`. Raises with a message that says why. */
static void take_result(lua_State *L, int base, const qs_format *f, qs_init_out *out)
{
    const char *why = lua_type(L, base + 1) == LUA_TSTRING ? lua_tostring(L, base + 1) : NULL;
    if (lua_isnil(L, base)) luaL_error(L, "%s", why ? why : "returned no step");
    if (lua_type(L, base) != LUA_TNUMBER) luaL_error(L, "a step is a number, it returned a %s", luaL_typename(L, base));
    if (!lua_isnil(L, base + 1) && lua_type(L, base + 1) != LUA_TNUMBER)
        luaL_error(L, "an offset is a number or nil, it returned a %s", luaL_typename(L, base + 1));
    double step = lua_tonumber(L, base), offset = lua_isnil(L, base + 1) ? 0 : lua_tonumber(L, base + 1);
    if (!isfinite((float)step) || (float)step == 0 || (step < 0 && !f->flip))
        luaL_error(L, "a step is finite and greater than 0, it returned %s", luaL_tolstring(L, base, NULL));
    if (!isfinite((float)offset))
        luaL_error(L, "an offset is finite, it returned %s", luaL_tolstring(L, base + 1, NULL));
    if (offset != 0 && f->offset == QS_OFFSET_NONE) luaL_error(L, "it returned an offset, but %s has none", f->text);
    out->step = step;
    out->offset = offset;
    if (lua_type(L, base + 2) == LUA_TSTRING) snprintf(out->note, sizeof out->note, "%s", lua_tostring(L, base + 2));
}

static int call_protected(lua_State *L)   /* (struct call *, function) */
{
    struct call *c = lua_touserdata(L, 1);
    struct lua_init *li = c->in->ctx;
    lua_rawgeti(L, LUA_REGISTRYINDEX, li->ref);
    qs_push_ref(L, &qs_type_index, (void *)(uintptr_t)c->in->ix);
    qs_push_format(L, c->in->f);
    lua_pushstring(L, c->in->opts && c->in->opts->role == QS_ROLE_ACT ? "act" : "weight");
    lua_call(L, 3, 3);
    take_result(L, 2, c->in->f, c->out);
    return 0;
}

static int lua_fit(const qs_init_in *in, qs_init_out *out, qs_err *err)
{
    struct lua_init *li = in->ctx;
    qs_bind *b = li->b;
    if (!b) return qs_fail(err, QS_ESTATE, "the Lua state that registered it is closed");
    if (b->depth == QS_BIND_DEPTH) return qs_fail(err, QS_ESTATE, "initializations call each other too deep");
    lua_State *L = b->call[b->depth++];
    struct call c = {in, out};
    if (b->arm) b->arm(L);
    lua_pushcfunction(L, call_protected);   /* neither push allocates */
    lua_pushlightuserdata(L, &c);
    int status = lua_pcall(L, 1, 0, 0);
    b->depth--;
    int rc = 0;
    if (status != LUA_OK && qs_cancelled(in->ctl)) rc = qs_fail(err, QS_ECANCEL, "interrupted");
    else if (status != LUA_OK) rc = qs_fail(err, QS_EARG, "%s", lua_isstring(L, -1) ? lua_tostring(L, -1) : "failed");
    lua_settop(L, 0);
    return rc;
}

void qs_bind_forget_inits(qs_bind *b)
{
    for (size_t i = 0; i < qs_init_count(); i++) {
        const qs_init *row = qs_init_at(i);
        struct lua_init *li = row->fit == lua_fit ? row->ctx : NULL;
        if (li && li->b == b) li->b = NULL;
    }
}

/* The string t[key]; raises where it is missing and needed. */
static const char *text_field(lua_State *L, const char *key, bool needed)
{
    const char *s = qs_opt_text(L, 1, key);
    if (!s && needed) luaL_error(L, "qs.register_init: '%s' is missing (a string)", key);
    return s;
}

static int register_init(lua_State *L)
{
    static const char *const options[] = {"name", "doc", "formula", "source", "fn", NULL};
    qs_err err;
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    qs_init row = {.name = text_field(L, "name", true), .doc = text_field(L, "doc", false),
                   .formula = text_field(L, "formula", false), .source = text_field(L, "source", false),
                   .flags = QS_INIT_LUA, .fit = lua_fit};
    if (lua_getfield(L, 1, "fn") != LUA_TFUNCTION)
        luaL_error(L, "qs.register_init: 'fn' should be a function, got %s", luaL_typename(L, -1));
    if (qs_opts_check(L, 1, "qs.register_init", options, &err)) return qs_bind_fail(L, &err);
    const qs_init *old = qs_init_named(row.name);
    struct lua_init *li = old && old->fit == lua_fit ? old->ctx : NULL;
    bool fresh = !li;
    if (fresh) {
        li = qs_xmalloc(sizeof *li);
        *li = (struct lua_init){.ref = LUA_NOREF};
    }
    row.ctx = li;
    if (!row.doc) row.doc = "";
    if (!row.formula) row.formula = row.doc;
    if (qs_init_register(&row, &err)) {
        if (fresh) free(li);
        return qs_bind_fail(L, &err);
    }
    qs_bind *b = qs_bind_get(L);
    if (li->b == b) luaL_unref(L, LUA_REGISTRYINDEX, li->ref);
    li->b = b;
    li->ref = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_pushboolean(L, true);
    return 1;
}

/* ---- comparison -------------------------------------------------------------------------------- */
static void compare_clear(void *c) { qs_compare_clear(c); }

static void push_failed_row(lua_State *L, const qs_compare_row *r)
{
    lua_createtable(L, 0, 3);
    qs_set_text(L, "init", r->init);
    lua_pushfstring(L, "%s: %s", qs_code_name(r->code), r->error);
    lua_setfield(L, -2, "error");
    qs_set_text(L, "code", qs_code_name(r->code));
}

static void push_compare_row(lua_State *L, const qs_tensor *t, const qs_compare_row *r)
{
    const qs_init *row = qs_init_named(r->init);
    lua_createtable(L, 0, 18);
    qs_set_text(L, "init", r->init);
    const struct { const char *key; double v; } of[] = {
        {"step", r->step}, {"offset", r->offset}, {"clip", r->clip}, {"mse", r->mse}, {"nmse", r->nmse},
        {"sqnr_db", r->sqnr_db}, {"step_ratio", r->step_ratio}, {"mse_ratio", r->mse_ratio}, {"clipped", r->clipped},
        {"ms", r->ms}};
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) qs_set_number(L, of[i].key, of[i].v);
    qs_set_text(L, "formula", r->q && r->q->formula ? r->q->formula : row ? row->formula : NULL);
    qs_set_text(L, "source", r->q && r->q->source ? r->q->source : row ? row->source : NULL);
    if (!r->q) return;
    qs_set_number(L, "bpw", qs_format_bpw(r->q->f, t));
    qs_set_text(L, "note", r->q->note);
    if (r->q->parts > 1) {
        qs_push_steps(L, r->q);
        lua_setfield(L, -2, "steps");
        qs_push_offsets(L, r->q);
        lua_setfield(L, -2, "offsets");
        qs_push_clips(L, r->q);
        lua_setfield(L, -2, "clips");
    }
    qs_push_ref(L, &qs_type_quantizer, r->q);
    lua_setfield(L, -2, "quantizer");
}

/* The names at index i: NULL where there are none. The strings stay alive on the stack. */
static const char **arg_names(lua_State *L, int i, size_t *n)
{
    *n = 0;
    if (lua_isnoneornil(L, i)) return NULL;
    luaL_checktype(L, i, LUA_TTABLE);
    *n = (size_t)lua_rawlen(L, i);
    const char **names = qs_scratch(L, (*n + 1) * sizeof *names, NULL);
    luaL_checkstack(L, *n < 10000 ? (int)*n + 20 : INT_MAX, "qs.compare: too many names");
    for (size_t k = 0; k < *n; k++) {
        if (lua_rawgeti(L, i, (lua_Integer)k + 1) != LUA_TSTRING)
            luaL_error(L, "qs.compare: name %d should be a string, got %s", (int)k + 1, luaL_typename(L, -1));
        names[k] = lua_tostring(L, -1);
    }
    return names;
}

static int compare(lua_State *L)
{
    qs_tensor *t = qs_check(L, 1, &qs_type_tensor);
    qs_init_opts o;
    qs_err err;
    size_t n;
    qs_opt_table(L, 4);
    lua_settop(L, 4);
    const char **names = arg_names(L, 3, &n);
    const qs_format *f = qs_arg_format(L, 2, &err);
    if (!f || init_options(L, 4, "qs.compare", &o, &err)) return qs_bind_fail(L, &err);
    qs_compare *c = qs_scratch(L, sizeof *c, compare_clear);
    int slot = lua_gettop(L);
    if (qs_compare_tensor(t, f, (const char *const *)names, n, &o, cache(L), qs_bind_ctl(L), c, &err))
        return qs_bind_fail(L, &err);
    lua_createtable(L, (int)c->n, 0);
    for (size_t i = 0; i < c->n; i++) {
        if (c->row[i].code) push_failed_row(L, &c->row[i]);
        else push_compare_row(L, t, &c->row[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    qs_scratch_done(L, slot);
    return 1;
}

/* ---- registration ------------------------------------------------------------------------------ */
const luaL_Reg qs_bind_init_functions[] = {
    {"init", init}, {"inits", inits}, {"register_init", register_init}, {"compare", compare}, {NULL, NULL}};
