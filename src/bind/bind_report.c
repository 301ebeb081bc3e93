/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * qs.report in Lua: the survey of a model as a table. Numbers come from quant/survey.h; the page that can be made of it is
 * in lua/quantscope/reports.lua.
 */
#include <fnmatch.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "bind/bind_quant.h"
#include "quant/survey.h"

/* ---- what was asked for --------------------------------------------------------------------------- */
/* The list o[key] at index i as strings that stay alive on the stack; a single value is a list of one. NULL: absent. */
static const char **texts(lua_State *L, int i, const char *key, size_t *n)
{
    *n = 0;
    if (lua_getfield(L, i, key) == LUA_TNIL) return NULL;
    if (!lua_istable(L, -1)) {
        lua_createtable(L, 1, 0);
        lua_insert(L, -2);
        lua_rawseti(L, -2, 1);
    }
    int list = lua_gettop(L);
    *n = (size_t)lua_rawlen(L, list);
    const char **out = qs_scratch(L, (*n + 1) * sizeof *out, NULL);
    luaL_checkstack(L, 20, NULL);
    for (size_t k = 0; k < *n; k++) {
        lua_rawgeti(L, list, (lua_Integer)k + 1);
        out[k] = luaL_tolstring(L, -1, NULL);      /* of a format: its text */
        lua_rawseti(L, list, (lua_Integer)k + 1);  /* the list keeps it */
        lua_pop(L, 1);
    }
    return out;
}

struct asked {
    qs_format **f;
    size_t nf, nt;
    qs_tensor **t;      /* borrowed from the model */
    qs_survey s;
};

static void asked_clear(void *v)
{
    struct asked *a = v;
    for (size_t i = 0; i < a->nf; i++) qs_format_free(a->f[i]);
    free(a->f);
    free(a->t);
    qs_survey_clear(&a->s);
}

static int read_formats(struct asked *a, const char **text, size_t n, qs_err *err)
{
    static const char *const usual[] = {"int2", "int3", "int4", "int6", "int8"};
    if (!text) n = sizeof usual / sizeof *usual;
    a->f = qs_xcalloc(n + 1, sizeof *a->f);
    for (size_t i = 0; i < n; i++) {
        if (!(a->f[i] = qs_format_parse(text ? text[i] : usual[i], err))) return -QS_EFORMAT;
        a->nf++;
    }
    return n ? 0 : qs_fail(err, QS_EARG, "qs.report: formats is empty");
}

static int read_inits(const char **name, size_t n, qs_err *err)
{
    for (size_t i = 0; i < n; i++)
        if (!qs_init_named(name[i])) return qs_fail(err, QS_EARG, "qs.report: no initialization \"%.60s\"", name[i]);
    return 0;
}

/* A name takes a tensor whatever it holds; a pattern those that are quantized; no pattern all of these. */
static bool wanted(const qs_tensor *t, const char **glob, size_t n)
{
    bool quantized = !qs_tensor_reason(t), take = !glob && quantized;
    for (size_t i = 0; i < n; i++) take |= !strcmp(glob[i], t->name) || (quantized && !fnmatch(glob[i], t->name, 0));
    return take;
}

static int choose(struct asked *a, const qs_model *m, const char **glob, size_t n, qs_err *err)
{
    a->t = qs_xcalloc(m->n + 1, sizeof *a->t);
    for (size_t i = 0; i < m->n; i++)
        if (wanted(m->tensors[i], glob, n)) a->t[a->nt++] = m->tensors[i];
    if (a->nt) return 0;
    return qs_fail(err, QS_ERANGE, "%s: no tensor%s is quantized (floating, two or more dimensions)", m->path, glob ? " that matches" : "");
}

/* ---- the answer ---------------------------------------------------------------------------------------- */
struct number { const char *key; double v; };

static void set_numbers(lua_State *L, const struct number *of, size_t n)
{
    for (size_t i = 0; i < n; i++) qs_set_number(L, of[i].key, of[i].v);
}

static void set_statistics(lua_State *L, const qs_survey_row *r)
{
    const qs_summary *s = &r->s;
    bool some = s->nans + s->infs < s->n && r->t->dtype != QS_UNKNOWN_DTYPE;
    const struct number of[] = {{"min", s->min}, {"max", s->max}, {"mean", s->mean}, {"std", s->std}, {"kurtosis", s->kurtosis}};
    qs_set_text(L, "tensor", r->t->name);
    qs_set_text(L, "dtype", r->t->dtype_text);
    lua_createtable(L, r->t->ndim, 0);
    for (int i = 0; i < r->t->ndim; i++) {
        lua_pushinteger(L, (lua_Integer)r->t->shape[i]);
        lua_rawseti(L, -2, i + 1);
    }
    lua_setfield(L, -2, "shape");
    qs_set_count(L, "n", r->t->n);
    qs_set_count(L, "zeros", s->zeros);
    qs_set_count(L, "nans", s->nans);
    qs_set_count(L, "infs", s->infs);
    if (some) set_numbers(L, of, sizeof of / sizeof *of);
    if (!r->o.channels || !some) return;
    qs_set_count(L, "outliers", r->o.n);
    qs_set_count(L, "outlier_channel", r->o.worst + 1);
    qs_set_number(L, "outlier_ratio", r->o.ratio);
}

static void set_cell(lua_State *L, const qs_survey_row *r, const qs_survey_cell *c)
{
    const struct number of[] = {
        {"step", c->step}, {"offset", c->offset}, {"clip", c->clip}, {"mse", c->mse}, {"nmse", c->nmse}, {"sqnr_db", c->sqnr_db},
        {"clipped", c->clipped}, {"mse_ratio", c->mse_ratio}, {"rule_ratio", c->rule_ratio}, {"bpw", c->bpw},
        {"bytes", c->bpw * (double)r->t->n / 8}};
    qs_set_text(L, "note", c->note);
    if (c->code) {
        lua_pushfstring(L, "%s: %s", qs_code_name(c->code), c->error ? c->error : "");
        lua_setfield(L, -2, "error");
        qs_set_text(L, "code", qs_code_name(c->code));
        return;
    }
    qs_set_text(L, "init", c->init);
    qs_set_text(L, "rule", c->rule);
    set_numbers(L, of, sizeof of / sizeof *of);
}

static void push_total(lua_State *L, const char *format, const qs_survey_total *t)
{
    const struct number of[] = {{"bpw", t->bpw}, {"bytes", t->bits / 8}, {"nmse", t->nmse}, {"sqnr_db", t->sqnr_db}};
    lua_createtable(L, 0, 7);
    qs_set_text(L, "format", format);
    qs_set_count(L, "tensors", t->tensors);
    qs_set_count(L, "n", t->values);
    set_numbers(L, of, sizeof of / sizeof *of);
}

static void push_curve(lua_State *L, const qs_survey *s)
{
    lua_createtable(L, 0, 2);
    lua_createtable(L, (int)s->ncurve, 0);
    lua_createtable(L, (int)s->ncurve, 0);
    for (size_t i = 0; i < s->ncurve; i++) {
        lua_pushnumber(L, s->curve[i].bits);
        lua_rawseti(L, -3, (lua_Integer)i + 1);
        lua_pushnumber(L, s->curve[i].error > 0 ? -10 * log10(s->curve[i].error) : INFINITY);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -3, "sqnr_db");
    lua_setfield(L, -2, "bpw");
}

static void push_rows(lua_State *L, const struct asked *a, char *const *format)
{
    const qs_survey *s = &a->s;
    for (size_t i = 0; i < s->n; i++)
        for (size_t k = 0; k < s->nf; k++) {
            lua_createtable(L, 0, 28);
            set_statistics(L, &s->row[i]);
            set_cell(L, &s->row[i], &s->row[i].cell[k]);
            qs_set_text(L, "format", format[k]);
            if (s->budgeted) {
                lua_pushboolean(L, s->row[i].pick == k);
                lua_setfield(L, -2, "suggested");
            }
            lua_rawseti(L, -2, (lua_Integer)(i * s->nf + k) + 1);
        }
}

/* At the top: what qs.report returns. */
static void push_report(lua_State *L, const struct asked *a, char *const *format, const char *bound)
{
    const qs_survey *s = &a->s;
    lua_createtable(L, (int)(s->n * s->nf), 5);
    push_rows(L, a, format);
    lua_createtable(L, (int)s->nf, 0);
    for (size_t k = 0; k < s->nf; k++) {
        push_total(L, format[k], &s->total[k]);
        lua_rawseti(L, -2, (lua_Integer)k + 1);
    }
    lua_setfield(L, -2, "totals");
    if (s->budgeted) {
        push_total(L, NULL, &s->picked);
        qs_set_number(L, bound, s->bound);
        lua_setfield(L, -2, "budget");
    }
    push_curve(L, s);
    lua_setfield(L, -2, "curve");
    qs_set_number(L, "stored_bytes", s->stored / 8);
}

static void texts_free(void *v)
{
    for (char **p = *(char ***)v; p && *p; p++) free(*p);
    free(*(char ***)v);
}

static int report(lua_State *L)   /* (model, {formats=, inits=, tensors=, budget=, sqnr=}) */
{
    static const char *const fields[] = {"formats", "inits", "tensors", "budget", "sqnr", NULL};
    const qs_model *m = qs_check(L, 1, &qs_type_model);
    qs_err err;
    size_t nf, ni, nt;
    qs_opt_table(L, 2);
    lua_settop(L, 2);
    if (lua_isnil(L, 2)) {
        lua_newtable(L);
        lua_replace(L, 2);
    }
    const char **f = texts(L, 2, "formats", &nf), **init = texts(L, 2, "inits", &ni), **glob = texts(L, 2, "tensors", &nt);
    qs_survey_opts o = {.init = init, .ninit = ni, .budget = qs_opt_number(L, 2, "budget", 0), .sqnr_db = qs_opt_number(L, 2, "sqnr", 0)};
    struct asked *a = qs_scratch(L, sizeof *a, asked_clear);
    int slot = lua_gettop(L);
    if (qs_opts_check(L, 2, "qs.report", fields, &err) || read_formats(a, f, nf, &err) || read_inits(init, ni, &err) ||
        choose(a, m, glob, nt, &err))
        return qs_bind_fail(L, &err);
    if ((o.budget > 0) + (o.sqnr_db > 0) > 1 || o.budget < 0 || o.sqnr_db < 0 || isnan(o.budget) || isnan(o.sqnr_db)) {
        qs_fail(&err, QS_EARG, "qs.report: budget (bits a weight) or sqnr (dB), one of them, above 0");
        return qs_bind_fail(L, &err);
    }
    o.f = (const qs_format *const *)a->f;
    o.nf = a->nf;
    if (qs_survey_run(a->t, a->nt, &o, qs_bind_ctl(L), &a->s, &err)) return qs_bind_fail(L, &err);
    char ***format = qs_scratch(L, sizeof *format, texts_free);
    *format = qs_xcalloc(a->nf + 1, sizeof **format);
    for (size_t k = 0; k < a->nf; k++) (*format)[k] = qs_format_print(a->f[k]);
    push_report(L, a, *format, o.budget > 0 ? "bound_db" : "bound_bpw");
    qs_scratch_done(L, slot);
    return 1;
}

const luaL_Reg qs_bind_report_private[] = {{"report", report}, {NULL, NULL}};
