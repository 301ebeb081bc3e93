/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Formats, quantizers, initializations, errors, curves, gradients and
 * comparisons in Lua, and initializations written in Lua. All numbers come from
 * quant/; this file checks arguments and builds tables.
 */
#include "bind/bind_quant.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "quant/error.h"
#include "quant/init.h"

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

static int format_bpw(lua_State *L)
{
    const qs_format *f = check_format(L, 1);
    lua_pushnumber(L, qs_format_bpw(f, lua_isnoneornil(L, 2) ? NULL : check_tensor(L, 2)));
    return 1;
}

/* ---- quantizers -------------------------------------------------------------------------------- */
static void *quantizer_ref(void *q) { return qs_quantizer_ref(q); }
static void quantizer_unref(void *q) { qs_quantizer_unref(q); }

static double step_of(const qs_quantizer *q, size_t p) { return q->step[p]; }
static double offset_of(const qs_quantizer *q, size_t p) { return q->offset ? q->offset[p] : 0; }
static double clip_of(const qs_quantizer *q, size_t p) { return fabs(q->step[p]) * q->f->cmax; }

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
        lua_pushnumber(L, 0.5 * ((double)g->lv[k] + (double)g->lv[k + 1]));
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

static int formats(lua_State *L) { qs_push_docs(L, qs_format_docs); return 1; }
static int learns(lua_State *L) { qs_push_docs(L, qs_learn_docs); return 1; }

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

static void push_compare_row(lua_State *L, const qs_compare_row *r)
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
    qs_tensor *t = check_tensor(L, 1);
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
        else push_compare_row(L, &c->row[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    qs_scratch_done(L, slot);
    return 1;
}

/* ---- registration ------------------------------------------------------------------------------ */
static const luaL_Reg format_methods[] = {{"bpw", format_bpw}, {NULL, NULL}};
static const luaL_Reg format_fields[] = {
    {"bits", format_bits}, {"base", format_base}, {"codebook", format_codebook}, {"granularity", format_granularity},
    {"signed", format_signed}, {"offset", format_offset}, {NULL, NULL}};
static const luaL_Reg format_meta[] = {
    {"__tostring", format_tostring}, {"__eq", format_eq}, {"__concat", concat}, {NULL, NULL}};
const qs_type qs_type_format = {"qs.format", NULL, format_free, format_methods, format_fields, format_meta, NULL};

static const luaL_Reg quantizer_methods[] = {
    {"error", quantizer_error}, {"quantize", quantizer_quantize}, {"encode", quantizer_encode},
    {"levels", quantizer_levels}, {"thresholds", quantizer_thresholds}, {"grad", quantizer_grad}, {NULL, NULL}};
static const luaL_Reg quantizer_fields[] = {
    {"step", quantizer_step}, {"offset", quantizer_offset}, {"clip", quantizer_clip}, {"range", quantizer_range},
    {"init", quantizer_init}, {"format", quantizer_format}, {"note", quantizer_note}, {"formula", quantizer_formula},
    {"source", quantizer_source}, {"parts", quantizer_parts}, {"ms", quantizer_ms}, {NULL, NULL}};
static const luaL_Reg quantizer_meta[] = {{"__tostring", quantizer_tostring}, {NULL, NULL}};
const qs_type qs_type_quantizer = {"qs.quantizer", quantizer_ref, quantizer_unref, quantizer_methods, quantizer_fields,
                                   quantizer_meta, NULL};

const luaL_Reg qs_bind_quant_functions[] = {
    {"format", format_new}, {"quantizer", quantizer_new}, {"init", init}, {"curve", curve}, {"compare", compare},
    {"register_init", register_init}, {"inits", inits}, {"formats", formats}, {"learns", learns}, {NULL, NULL}};
