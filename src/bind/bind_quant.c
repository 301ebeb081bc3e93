/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Formats and quantizers in Lua: making them, their levels, errors, curves,
 * quantized tensors and gradients. All numbers come from quant/; this file
 * checks arguments and builds tables. How a step is found is in bind_init.c.
 */
#include "bind/bind_quant.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "quant/error.h"
#include "quant/quantizer.h"

static qs_format *check_format(lua_State *L, int i) { return qs_check(L, i, &qs_type_format); }
static qs_quantizer *check_quantizer(lua_State *L, int i) { return qs_check(L, i, &qs_type_quantizer); }
static qs_tensor *check_tensor(lua_State *L, int i) { return qs_check(L, i, &qs_type_tensor); }

static qs_cache *cache(lua_State *L) { return qs_session_cache(qs_bind_session(L)); }

qs_index *qs_arg_tensor_or_index(lua_State *L, int i, qs_tensor **t)
{
    *t = qs_test(L, i, &qs_type_tensor);
    if (*t) return NULL;
    qs_index *ix = qs_test(L, i, &qs_type_index);
    if (!ix) luaL_typeerror(L, i, "qs.tensor or qs.index");
    return ix;
}

/* ---- formats ----------------------------------------------------------------------------------- */
static void format_free(void *f) { qs_format_free(f); }

int qs_push_format(lua_State *L, const qs_format *f)
{
    void **box = qs_box(L, &qs_type_format);
    *box = qs_format_copy(f);
    return 1;
}

const qs_format *qs_arg_format(lua_State *L, int i, qs_err *err)
{
    const qs_format *f = qs_test(L, i, &qs_type_format);
    if (f) {
        lua_pushvalue(L, i);
        return f;
    }
    if (lua_type(L, i) != LUA_TSTRING) luaL_typeerror(L, i, "qs.format or string");
    const char *text = lua_tostring(L, i);
    void **box = qs_box(L, &qs_type_format);
    return *box = qs_format_parse(text, err);
}

const qs_format *qs_arg_format_single(lua_State *L, int i, qs_err *err)
{
    const qs_format *f = qs_arg_format(L, i, err);
    if (!f || f->gran == QS_SPLIT_TENSOR) return f;
    void **box = qs_box(L, &qs_type_format);
    char *text = qs_format_print(f), *at = strrchr(text, '@');
    if (at) *at = 0;
    *box = qs_format_parse(text, err);
    free(text);
    return *box;
}

static int format_new(lua_State *L)
{
    qs_err err;
    return qs_arg_format(L, 1, &err) ? 1 : qs_bind_fail(L, &err);
}

static int format_tostring(lua_State *L)
{
    const qs_format *f = check_format(L, 1);
    if (strlen(f->text) + 1 < sizeof f->text) {
        lua_pushstring(L, f->text);
        return 1;
    }
    char *all = qs_format_print(f);
    lua_pushstring(L, all);
    free(all);
    return 1;
}

static int format_eq(lua_State *L)
{
    if (!qs_test(L, 1, &qs_type_format) || !qs_test(L, 2, &qs_type_format)) return 0;
    char *a = qs_format_print(check_format(L, 1)), *b = qs_format_print(check_format(L, 2));
    lua_pushboolean(L, !strcmp(a, b));
    free(a);
    free(b);
    return 1;
}

static int concat(lua_State *L)   /* "format " .. f */
{
    luaL_tolstring(L, 1, NULL);
    luaL_tolstring(L, 2, NULL);
    lua_concat(L, 2);
    return 1;
}

static int format_bits(lua_State *L) { lua_pushinteger(L, check_format(L, 1)->bits); return 1; }
static int format_base(lua_State *L) { lua_pushstring(L, check_format(L, 1)->base); return 1; }
static int format_signed(lua_State *L) { lua_pushboolean(L, check_format(L, 1)->is_signed); return 1; }

static int format_codebook(lua_State *L)
{
    const qs_format *f = check_format(L, 1);
    lua_createtable(L, (int)f->n, 0);
    for (size_t k = 0; k < f->n; k++) {
        lua_pushnumber(L, (double)f->c[k]);
        lua_rawseti(L, -2, (lua_Integer)k + 1);
    }
    return 1;
}

static int format_granularity(lua_State *L)
{
    const qs_format *f = check_format(L, 1);
    if (f->gran == QS_SPLIT_GROUP) lua_pushfstring(L, "group%d", (int)f->group);
    else if (f->gran == QS_SPLIT_CHANNEL && f->axis >= 0) lua_pushfstring(L, "channel%d", f->axis);
    else lua_pushstring(L, f->gran == QS_SPLIT_CHANNEL ? "channel" : "tensor");
    return 1;
}

static int format_offset(lua_State *L)
{
    static const char *const text[] = {[QS_OFFSET_NONE] = NULL, [QS_OFFSET_REAL] = "offset", [QS_OFFSET_ZP] = "zp"};
    lua_pushstring(L, text[check_format(L, 1)->offset]);
    return 1;
}

static int format_scale(lua_State *L)
{
    const qs_format *f = check_format(L, 1);
    lua_pushstring(L, f->scale ? qs_scale_types[f->scale].name : NULL);
    return 1;
}

static int format_bpw(lua_State *L)
{
    const qs_format *f = check_format(L, 1);
    lua_pushnumber(L, qs_format_bpw(f, lua_isnoneornil(L, 2) ? NULL : check_tensor(L, 2)));
    return 1;
}

static int formats(lua_State *L) { qs_push_docs(L, qs_format_docs); return 1; }

/* ---- quantizers -------------------------------------------------------------------------------- */
static void *quantizer_ref(void *q) { return qs_quantizer_ref(q); }
static void quantizer_unref(void *q) { qs_quantizer_unref(q); }

static double step_of(const qs_quantizer *q, size_t p) { return q->step[p]; }
static double offset_of(const qs_quantizer *q, size_t p) { return q->offset ? q->offset[p] : 0; }
static double clip_of(const qs_quantizer *q, size_t p) { return fabs(q->step[p]) * qs_quantizer_format(q, p)->cmax; }

/* An array computed part by part, or a number where there is one part. */
static int push_each(lua_State *L, const qs_quantizer *q, double (*of)(const qs_quantizer *, size_t))
{
    if (q->parts == 1) {
        lua_pushnumber(L, of(q, 0));
        return 1;
    }
    lua_createtable(L, q->parts < INT_MAX ? (int)q->parts : 0, 0);
    for (size_t p = 0; p < q->parts; p++) {
        lua_pushnumber(L, of(q, p));
        lua_rawseti(L, -2, (lua_Integer)p + 1);
    }
    return 1;
}

int qs_push_steps(lua_State *L, const qs_quantizer *q) { return push_each(L, q, step_of); }
int qs_push_offsets(lua_State *L, const qs_quantizer *q) { return push_each(L, q, offset_of); }
int qs_push_clips(lua_State *L, const qs_quantizer *q) { return push_each(L, q, clip_of); }

static int quantizer_step(lua_State *L) { return qs_push_steps(L, check_quantizer(L, 1)); }
static int quantizer_offset(lua_State *L) { return qs_push_offsets(L, check_quantizer(L, 1)); }
static int quantizer_clip(lua_State *L) { return qs_push_clips(L, check_quantizer(L, 1)); }

static void grid_clear(void *g) { if (((qs_grid *)g)->f) qs_grid_clear(g); }

/* The grid of a part, kept by a value at the top of the stack. */
static qs_grid *push_grid(lua_State *L, const qs_quantizer *q, size_t part)
{
    qs_grid *g = qs_scratch(L, sizeof *g, grid_clear);
    qs_grid_init(g, q, part);
    return g;
}

static void push_range(lua_State *L, const qs_quantizer *q, size_t part)
{
    const qs_grid *g = push_grid(L, q, part);
    lua_createtable(L, 2, 0);
    lua_pushnumber(L, (double)g->lv[0]);
    lua_rawseti(L, -2, 1);
    lua_pushnumber(L, (double)g->lv[g->n - 1]);
    lua_rawseti(L, -2, 2);
    qs_scratch_done(L, -2);
    lua_remove(L, -2);
}

static int quantizer_range(lua_State *L)
{
    const qs_quantizer *q = check_quantizer(L, 1);
    if (q->parts == 1) {
        push_range(L, q, 0);
        return 1;
    }
    lua_createtable(L, q->parts < INT_MAX ? (int)q->parts : 0, 0);
    for (size_t p = 0; p < q->parts; p++) {
        push_range(L, q, p);
        lua_rawseti(L, -2, (lua_Integer)p + 1);
    }
    return 1;
}

static double bits_of_part(const qs_quantizer *q, size_t p) { return q->bits[p]; }
static double gain_of(const qs_quantizer *q, size_t p) { return q->gain[p]; }
static double shift_of(const qs_quantizer *q, size_t p) { return q->shift[p]; }

static int quantizer_bits(lua_State *L)
{
    const qs_quantizer *q = check_quantizer(L, 1);
    return q->bits ? push_each(L, q, bits_of_part) : 0;
}

static int quantizer_gain(lua_State *L)
{
    const qs_quantizer *q = check_quantizer(L, 1);
    return q->gain ? push_each(L, q, gain_of) : 0;
}

static int quantizer_shift(lua_State *L)
{
    const qs_quantizer *q = check_quantizer(L, 1);
    return q->shift ? push_each(L, q, shift_of) : 0;
}

static int quantizer_init(lua_State *L) { lua_pushstring(L, check_quantizer(L, 1)->init); return 1; }
static int quantizer_format(lua_State *L) { return qs_push_format(L, check_quantizer(L, 1)->f); }
static int quantizer_note(lua_State *L) { lua_pushstring(L, check_quantizer(L, 1)->note); return 1; }
static int quantizer_formula(lua_State *L) { lua_pushstring(L, check_quantizer(L, 1)->formula); return 1; }
static int quantizer_source(lua_State *L) { lua_pushstring(L, check_quantizer(L, 1)->source); return 1; }
static int quantizer_parts(lua_State *L) { lua_pushinteger(L, (lua_Integer)check_quantizer(L, 1)->parts); return 1; }
static int quantizer_ms(lua_State *L) { lua_pushnumber(L, check_quantizer(L, 1)->ms); return 1; }

static void span_text(char *buf, size_t size, const qs_quantizer *q, double (*of)(const qs_quantizer *, size_t))
{
    double lo = of(q, 0), hi = lo;
    for (size_t p = 1; p < q->parts; p++) {
        lo = fmin(lo, of(q, p));
        hi = fmax(hi, of(q, p));
    }
    snprintf(buf, size, lo < hi ? "%.5g..%.5g" : "%.5g", lo, hi);
}

static int quantizer_tostring(lua_State *L)
{
    const qs_quantizer *q = check_quantizer(L, 1);
    char step[64], clip[64], offset[80] = "", parts[48] = "";
    span_text(step, sizeof step, q, step_of);
    span_text(clip, sizeof clip, q, clip_of);
    if (q->offset) {
        memcpy(offset, "  offset ", sizeof "  offset ");
        span_text(offset + strlen(offset), 64, q, offset_of);
    }
    if (q->parts > 1) snprintf(parts, sizeof parts, "  parts %zu", q->parts);
    qs_push_format(L, q->f);
    luaL_tolstring(L, -1, NULL);
    lua_pushfstring(L, "quantizer %s  step %s%s  clip %s%s  init %s", lua_tostring(L, -1), step, offset, clip, parts,
                    q->init);
    return 1;
}

/* The part a method is asked about: argument 2, 1-based, default 1. */
static int arg_part(lua_State *L, const qs_quantizer *q, const char *what, size_t *part, qs_err *err)
{
    lua_Integer k = luaL_optinteger(L, 2, 1);
    if (k < 1 || (size_t)k > q->parts)
        return qs_fail(err, QS_EARG, "%s: there is no part %lld; the quantizer has %zu", what, (long long)k, q->parts);
    *part = (size_t)k - 1;
    return 0;
}

static int quantizer_levels(lua_State *L)
{
    const qs_quantizer *q = check_quantizer(L, 1);
    size_t part = 0;
    qs_err err;
    if (arg_part(L, q, "q:levels", &part, &err)) return qs_bind_fail(L, &err);
    const qs_grid *g = push_grid(L, q, part);
    lua_createtable(L, (int)g->n, 0);
    for (size_t k = 0; k < g->n; k++) {
        lua_pushnumber(L, (double)g->lv[k]);
        lua_rawseti(L, -2, (lua_Integer)k + 1);
    }
    return 1;
}

static int quantizer_thresholds(lua_State *L)
{
    const qs_quantizer *q = check_quantizer(L, 1);
    size_t part = 0;
    qs_err err;
    if (arg_part(L, q, "q:thresholds", &part, &err)) return qs_bind_fail(L, &err);
    const qs_grid *g = push_grid(L, q, part);
    lua_createtable(L, (int)g->n, 0);
    for (size_t k = 0; k + 1 < g->n; k++) {
        double middle = 0.5 * ((double)g->lv[k] + (double)g->lv[k + 1]);
        if (g->picked) middle = (double)qs_grid_cut(g, k);
        lua_pushnumber(L, g->corrected ? (middle - (double)g->shift) / (double)g->gain : middle);
        lua_rawseti(L, -2, (lua_Integer)k + 1);
    }
    return 1;
}

/* ---- qs.quantizer ------------------------------------------------------------------------------ */
/* The numbers of option key (a number or an array of numbers), in memory kept by a value at the top; n of them. */
static double *numbers_option(lua_State *L, int i, const char *key, size_t *n)
{
    int type = lua_getfield(L, i, key);
    *n = 0;
    if (type == LUA_TNIL) return NULL;
    if (type != LUA_TNUMBER && type != LUA_TTABLE)
        luaL_error(L, "bad option '%s' (number or array of numbers expected, got %s)", key, luaL_typename(L, -1));
    *n = type == LUA_TNUMBER ? 1 : (size_t)lua_rawlen(L, -1);
    int from = lua_gettop(L);
    double *v = qs_scratch(L, (*n + 1) * sizeof *v, NULL);
    for (size_t k = 0; k < *n; k++) {
        if (type == LUA_TTABLE) lua_rawgeti(L, from, (lua_Integer)k + 1);
        else lua_pushvalue(L, from);
        int number;
        v[k] = lua_tonumberx(L, -1, &number);
        if (!number)
            luaL_error(L, "bad option '%s' (number expected at %d, got %s)", key, (int)k + 1, luaL_typename(L, -1));
        lua_pop(L, 1);
    }
    return v;
}

static int bad_parts(lua_State *L, const qs_format *f, size_t steps, size_t offsets)
{
    qs_err err;
    if (!steps) qs_fail(&err, QS_EARG, "qs.quantizer: a step is needed, as in {step=0.1}");
    else if (f->gran == QS_SPLIT_TENSOR && steps > 1)
        qs_fail(&err, QS_EARG, "qs.quantizer: %s has one step, %zu were given", f->text, steps);
    else qs_fail(&err, QS_EARG, "qs.quantizer: %zu steps, but %zu offsets", steps, offsets);
    return qs_bind_fail(L, &err);
}

static int quantizer_new(lua_State *L)
{
    static const char *const options[] = {"step", "offset", NULL};
    qs_err err;
    size_t steps, offsets;
    const qs_format *f = qs_arg_format(L, 1, &err);
    if (!f) return qs_bind_fail(L, &err);
    luaL_checktype(L, 2, LUA_TTABLE);
    if (qs_opts_check(L, 2, "qs.quantizer", options, &err)) return qs_bind_fail(L, &err);
    const double *step = numbers_option(L, 2, "step", &steps), *offset = numbers_option(L, 2, "offset", &offsets);
    if (!steps || (f->gran == QS_SPLIT_TENSOR && steps > 1) || (offset && offsets != steps))
        return bad_parts(L, f, steps, offsets);
    if (f->offset == QS_OFFSET_NONE && offset) {
        bool zero = true;
        for (size_t k = 0; k < offsets; k++) zero = zero && offset[k] == 0;
        if (zero) offset = NULL;   /* {step=0.1, offset=0} is fine for every format */
    }
    qs_split split = {.kind = f->gran, .axis = f->axis, .group = f->group, .parts = steps};
    void **box = qs_box(L, &qs_type_quantizer);
    *box = qs_quantizer_new(f, &split, steps, step, offset, &err);
    return *box ? 1 : qs_bind_fail(L, &err);
}

/* ---- errors ------------------------------------------------------------------------------------ */
static void qerror_clear(void *e) { qs_qerror_clear(e); }

static void push_qerror(lua_State *L, const qs_qerror *e)
{
    lua_createtable(L, 0, 15);
    const struct { const char *key; double v; } of[] = {
        {"mse", e->mse}, {"nmse", e->nmse}, {"sqnr_db", e->sqnr_db}, {"clip_mse", e->clip_mse},
        {"round_mse", e->round_mse}, {"clipped", e->clipped}, {"max_abs", e->max_abs}, {"bias", e->bias},
        {"entropy", e->entropy}, {"n", e->n}, {"energy", e->energy}};
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) qs_set_number(L, of[i].key, of[i].v);
    qs_set_count(L, "skipped", e->skipped);
    qs_set_count(L, "levels", e->levels);
    qs_set_count(L, "used", e->used);
    qs_push_array(L, e->occupancy, e->levels);
    lua_setfield(L, -2, "occupancy");
}

static int error_of_index(lua_State *L, const qs_quantizer *q, const qs_index *ix)
{
    qs_err err;
    if (q->parts != 1) {
        qs_fail(&err, QS_EARG, "q:error: an index is one part, the quantizer has %zu", q->parts);
        return qs_bind_fail(L, &err);
    }
    const qs_grid *g = push_grid(L, q, 0);
    qs_qerror *e = qs_scratch(L, sizeof *e, qerror_clear);
    int slot = lua_gettop(L);
    if (qs_error_index(g, ix, e, &err)) return qs_bind_fail(L, &err);
    push_qerror(L, e);
    qs_scratch_done(L, slot);
    return 1;
}

static int quantizer_error(lua_State *L)
{
    const qs_quantizer *q = check_quantizer(L, 1);
    qs_tensor *t;
    const qs_index *ix = qs_arg_tensor_or_index(L, 2, &t);
    qs_err err;
    if (ix) return error_of_index(L, q, ix);
    qs_qerror *e = qs_scratch(L, sizeof *e, qerror_clear);
    int slot = lua_gettop(L);
    if (qs_error_tensor(q, t, cache(L), qs_bind_ctl(L), e, &err)) return qs_bind_fail(L, &err);
    push_qerror(L, e);
    qs_scratch_done(L, slot);
    return 1;
}

qs_quantizer *qs_push_quantizer(lua_State *L, const qs_format *f, double step, double offset, qs_err *err)
{
    qs_split one = {.kind = QS_SPLIT_TENSOR, .axis = -1, .parts = 1};
    bool has = f->offset != QS_OFFSET_NONE || offset != 0;
    void **box = qs_box(L, &qs_type_quantizer);
    return *box = qs_quantizer_new(f, &one, 1, &step, has ? &offset : NULL, err);
}

int qs_bind_index_error(lua_State *L)
{
    const qs_index *ix = qs_check(L, 1, &qs_type_index);
    double step = luaL_checknumber(L, 3), offset = luaL_optnumber(L, 4, 0);
    qs_err err;
    const qs_format *f = qs_arg_format_single(L, 2, &err);
    qs_quantizer *q = f ? qs_push_quantizer(L, f, step, offset, &err) : NULL;
    return q ? error_of_index(L, q, ix) : qs_bind_fail(L, &err);
}

/* ---- quantized tensors ------------------------------------------------------------------------- */
static void same_axes(qs_tensor *to, const qs_tensor *from)
{
    to->out_axis = from->out_axis;
    to->in_axes = from->in_axes;
    to->use = from->use;
}

static int quantizer_quantize(lua_State *L)
{
    const qs_quantizer *q = check_quantizer(L, 1);
    const qs_tensor *t = check_tensor(L, 2);
    qs_err err;
    float *mem;
    void **box = qs_box(L, &qs_type_tensor);
    qs_tensor *out = *box = qs_tensor_f32(t->name, t->ndim, t->shape, &mem, &err);
    if (!out || qs_quantizer_apply(q, t, mem, qs_bind_ctl(L), &err)) return qs_bind_fail(L, &err);
    same_axes(out, t);
    return 1;
}

static int quantizer_encode(lua_State *L)
{
    const qs_quantizer *q = check_quantizer(L, 1);
    const qs_tensor *t = check_tensor(L, 2);
    qs_err err;
    void **box = qs_box(L, &qs_type_tensor);
    qs_blob *blob = qs_blob_new(t->n * sizeof(int32_t), &err);
    if (!blob) return qs_bind_fail(L, &err);
    int rc = qs_quantizer_encode(q, t, qs_blob_mem(blob), qs_bind_ctl(L), &err);
    qs_tensor *out = rc ? NULL : qs_tensor_new(t->name, QS_I32, t->ndim, t->shape, blob, blob->data, &err);
    *box = out;
    qs_blob_unref(blob);
    if (!out) return qs_bind_fail(L, &err);
    same_axes(out, t);
    return 1;
}

/* ---- gradients --------------------------------------------------------------------------------- */
/* The upstream gradient at index i, (n) floats kept by a value at the top: a tensor, or an array of numbers. */
static const float *arg_upstream(lua_State *L, int i, size_t n, qs_err *err)
{
    qs_tensor *t = qs_test(L, i, &qs_type_tensor);
    if (!t) luaL_argexpected(L, lua_istable(L, i), i, "qs.tensor or array of numbers");
    size_t got = t ? t->n : (size_t)lua_rawlen(L, i);
    float *up = qs_scratch(L, (n + 1) * sizeof *up, NULL);
    if (got != n) {
        qs_fail(err, QS_EARG, "q:grad: the tensor has %zu elements, the upstream gradient %zu", n, got);
        return NULL;
    }
    if (t) qs_tensor_read(t, 0, n, up);
    if (t && qs_tensor_check(t, err)) return NULL;
    for (size_t k = 0; !t && k < n; k++) {
        int number;
        lua_rawgeti(L, i, (lua_Integer)k + 1);
        up[k] = (float)lua_tonumberx(L, -1, &number);
        if (!number)
            luaL_error(L, "q:grad: upstream value %d should be a number, got %s", (int)k + 1, luaL_typename(L, -1));
        lua_pop(L, 1);
    }
    return up;
}

static int grad_options(lua_State *L, int i, qs_grad_opts *o, qs_err *err)
{
    static const char *const options[] = {"learn", "mask", "scale", NULL};
    const char *learn = qs_opt_text(L, i, "learn"), *mask = qs_opt_text(L, i, "mask");
    *o = (qs_grad_opts){.learn = QS_LEARN_LSQ, .mask = QS_MASK_PAPER, .scale = qs_opt_bool(L, i, "scale", true)};
    if (qs_opts_check(L, i, "q:grad", options, err)) return -QS_EARG;
    if (learn && qs_learn_named(learn, &o->learn, err)) return -QS_EARG;
    return mask ? qs_mask_named(mask, &o->mask, err) : 0;
}

/* One number, or an array where there are several parts. */
static void push_parts(lua_State *L, const double *v, size_t parts)
{
    if (parts == 1) lua_pushnumber(L, v[0]);
    else qs_push_array(L, v, parts);
}

static int quantizer_grad(lua_State *L)
{
    const qs_quantizer *q = check_quantizer(L, 1);
    const qs_tensor *t = check_tensor(L, 2);
    qs_grad_opts o;
    qs_err err;
    qs_opt_table(L, 4);
    if (grad_options(L, 4, &o, &err)) return qs_bind_fail(L, &err);
    const float *up = arg_upstream(L, 3, t->n, &err);
    if (!up) return qs_bind_fail(L, &err);
    double *dstep = qs_scratch(L, 2 * q->parts * sizeof *dstep, NULL), *doffset = dstep + q->parts;
    float *dx;
    void **box = qs_box(L, &qs_type_tensor);
    *box = qs_tensor_f32("dx", t->ndim, t->shape, &dx, &err);
    if (!*box || qs_quantizer_grad(q, t, up, &o, dx, dstep, q->offset ? doffset : NULL, &err))
        return qs_bind_fail(L, &err);
    push_parts(L, dstep, q->parts);
    if (q->offset) push_parts(L, doffset, q->parts);
    else lua_pushnil(L);
    return 3;
}

static int learns(lua_State *L) { qs_push_docs(L, qs_learn_docs); return 1; }

/* ---- curves ------------------------------------------------------------------------------------ */
static void curve_clear(void *c) { qs_curve_clear(c); }

static void set_array(lua_State *L, const char *key, const double *v, size_t n)
{
    if (!v) return;
    qs_push_array(L, v, n);
    lua_setfield(L, -2, key);
}

static void push_curve(lua_State *L, const qs_curve *c)
{
    lua_createtable(L, 0, 7);
    set_array(L, "step", c->step, c->points);
    set_array(L, "error", c->error, c->points);
    set_array(L, "clip", c->clip, c->points);
    set_array(L, "round", c->round, c->points);
    qs_set_number(L, "p", c->p);
    qs_set_number(L, "best_step", c->best_step);
    qs_set_number(L, "best_error", c->best_error);
}

/* The index of the part {part=} of a tensor as the format divides it, or of the whole tensor; in a box at the top. */
static const qs_index *push_part_index(lua_State *L, int opts, qs_tensor *t, const qs_format *f, qs_err *err)
{
    lua_Integer k = qs_opt_integer(L, opts, "part", 0);
    qs_split s;
    int rc = k ? qs_format_split(f, t, &s, err) : qs_split_init(&s, t, QS_SPLIT_TENSOR, -1, 0, err);
    void **box = qs_box(L, &qs_type_index);
    if (rc) return NULL;
    if (k < 0 || (size_t)k > s.parts) {
        qs_fail(err, QS_EARG, "qs.curve: there is no part %lld; %s has %zu", (long long)k, t->name, s.parts);
        return NULL;
    }
    return *box = qs_cache_get(cache(L), t, &s, k ? (size_t)k - 1 : 0, qs_bind_ctl(L), err);
}

static int curve(lua_State *L)
{
    static const char *const options[] = {"points", "lo", "hi", "p", "offset", "part", NULL};
    qs_tensor *t;
    const qs_index *ix = qs_arg_tensor_or_index(L, 1, &t);
    qs_err err;
    qs_opt_table(L, 3);
    lua_settop(L, 3);
    lua_Integer points = qs_opt_integer(L, 3, "points", 512);
    qs_curve_opts o = {.lo = qs_opt_number(L, 3, "lo", 0), .hi = qs_opt_number(L, 3, "hi", 0),
                       .p = qs_opt_number(L, 3, "p", 2), .offset = qs_opt_number(L, 3, "offset", 0),
                       .points = points < 0 ? 0 : (size_t)points};
    const qs_format *f = qs_arg_format(L, 2, &err);
    if (!f || qs_opts_check(L, 3, "qs.curve", options, &err)) return qs_bind_fail(L, &err);
    if (points < 2 || points > 1000000) {
        qs_fail(&err, QS_EARG, "qs.curve: points should be 2 to 1000000, got %lld", (long long)points);
        return qs_bind_fail(L, &err);
    }
    if (t && !(ix = push_part_index(L, 3, t, f, &err))) return qs_bind_fail(L, &err);
    qs_curve *c = qs_scratch(L, sizeof *c, curve_clear);
    int slot = lua_gettop(L);
    if (qs_curve_index(f, ix, &o, qs_bind_ctl(L), c, &err)) return qs_bind_fail(L, &err);
    push_curve(L, c);
    qs_scratch_done(L, slot);
    return 1;
}

/* ---- registration ------------------------------------------------------------------------------ */
static const luaL_Reg format_methods[] = {{"bpw", format_bpw}, {NULL, NULL}};
static const luaL_Reg format_fields[] = {
    {"bits", format_bits}, {"base", format_base}, {"codebook", format_codebook}, {"granularity", format_granularity},
    {"signed", format_signed}, {"offset", format_offset}, {"scale", format_scale}, {NULL, NULL}};
static const luaL_Reg format_meta[] = {
    {"__tostring", format_tostring}, {"__eq", format_eq}, {"__concat", concat}, {NULL, NULL}};
const qs_type qs_type_format = {"qs.format", NULL, format_free, format_methods, format_fields, format_meta, NULL};

static const luaL_Reg quantizer_methods[] = {
    {"error", quantizer_error}, {"quantize", quantizer_quantize}, {"encode", quantizer_encode},
    {"levels", quantizer_levels}, {"thresholds", quantizer_thresholds}, {"grad", quantizer_grad}, {NULL, NULL}};
static const luaL_Reg quantizer_fields[] = {
    {"step", quantizer_step}, {"offset", quantizer_offset}, {"clip", quantizer_clip}, {"range", quantizer_range},
    {"init", quantizer_init}, {"format", quantizer_format}, {"note", quantizer_note}, {"formula", quantizer_formula},
    {"source", quantizer_source}, {"parts", quantizer_parts}, {"ms", quantizer_ms}, {"bits", quantizer_bits},
    {"gain", quantizer_gain}, {"shift", quantizer_shift}, {NULL, NULL}};
static const luaL_Reg quantizer_meta[] = {{"__tostring", quantizer_tostring}, {NULL, NULL}};
const qs_type qs_type_quantizer = {"qs.quantizer", quantizer_ref, quantizer_unref, quantizer_methods, quantizer_fields,
                                   quantizer_meta, NULL};

const luaL_Reg qs_bind_quant_functions[] = {
    {"format", format_new}, {"quantizer", quantizer_new}, {"curve", curve}, {"formats", formats}, {"learns", learns},
    {NULL, NULL}};
