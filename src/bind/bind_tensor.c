/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Tensors and indexes in Lua: making them, looking at their values. Knows no
 * file, no model and no quantizer; formats only where they divide a tensor.
 */
#include "bind/bind.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "base/text.h"
#include "stat/hist.h"
#include "stat/summary.h"

#define BLOCK 65536   /* elements between two looks at the cancel token */

static qs_tensor *check_tensor(lua_State *L, int i) { return qs_check(L, i, &qs_type_tensor); }
static qs_index *check_index(lua_State *L, int i) { return qs_check(L, i, &qs_type_index); }

/* ---- shapes ------------------------------------------------------------------------------------ */
struct shape { int ndim; int64_t dim[QS_MAXDIM]; size_t n; };

/* The array part of the table at index i. Raises where it holds something else than integers. */
static int read_shape(lua_State *L, int i, const char *what, struct shape *s, qs_err *err)
{
    lua_Unsigned nd = lua_rawlen(L, i);
    if (nd > QS_MAXDIM) return qs_fail(err, QS_EARG, "%s: %d dimensions at most", what, QS_MAXDIM);
    *s = (struct shape){.ndim = (int)nd, .n = 1};
    for (int d = 0; d < s->ndim; d++) {
        int whole;
        lua_rawgeti(L, i, d + 1);
        s->dim[d] = lua_tointegerx(L, -1, &whole);
        if (!whole)
            luaL_error(L, "%s: dimension %d should be an integer, got %s", what, d + 1, luaL_tolstring(L, -1, NULL));
        lua_pop(L, 1);
        if (s->dim[d] < 0) return qs_fail(err, QS_EARG, "%s: dimension %d is negative", what, d + 1);
        if (!qs_mul(s->n, (size_t)s->dim[d], &s->n) || s->n > PTRDIFF_MAX / sizeof(float))
            return qs_fail(err, QS_ENOMEM, "%s: the shape has too many elements", what);
    }
    return 0;
}

/* A new float32 tensor in a box at the top; *mem is where to write. false with err set. */
static bool push_f32(lua_State *L, const char *name, const struct shape *s, float **mem, qs_err *err)
{
    void **box = qs_box(L, &qs_type_tensor);
    *box = qs_tensor_f32(name, s->ndim, s->dim, mem, err);
    return *box;
}

static void push_shape(lua_State *L, const qs_tensor *t)
{
    lua_createtable(L, t->ndim, 0);
    for (int d = 0; d < t->ndim; d++) {
        lua_pushinteger(L, t->shape[d]);
        lua_rawseti(L, -2, d + 1);
    }
}

/* ---- qs.tensor --------------------------------------------------------------------------------- */
static void fill_from_table(lua_State *L, int i, float *out, size_t n)
{
    for (size_t k = 0; k < n; k++) {
        int number;
        lua_rawgeti(L, i, (lua_Integer)k + 1);
        out[k] = (float)lua_tonumberx(L, -1, &number);
        if (!number) luaL_error(L, "qs.tensor: value %d should be a number, got %s", (int)k + 1, luaL_typename(L, -1));
        lua_pop(L, 1);
    }
}

static int tensor_new(lua_State *L)
{
    qs_err err;
    struct shape s;
    luaL_checktype(L, 1, LUA_TTABLE);
    int values = lua_isnoneornil(L, 2) ? 1 : 2;
    luaL_checktype(L, values, LUA_TTABLE);
    size_t got = lua_rawlen(L, values);
    if (values == 1) s = (struct shape){.ndim = 1, .dim = {(int64_t)got}, .n = got};
    else if (read_shape(L, 1, "qs.tensor", &s, &err)) return qs_bind_fail(L, &err);
    if (s.n != got) {
        qs_fail(&err, QS_EARG, "qs.tensor: the shape has %zu elements, there are %zu values", s.n, got);
        return qs_bind_fail(L, &err);
    }
    float *mem;
    if (!push_f32(L, "tensor", &s, &mem, &err)) return qs_bind_fail(L, &err);
    fill_from_table(L, values, mem, s.n);
    return 1;
}

/* ---- qs.randn ---------------------------------------------------------------------------------- */
static double draw_laplace(qs_rng *r)
{
    double u = qs_rng_uniform(r) - 0.5;
    return u < 0 ? log1p(2 * u) : -log1p(-2 * u);
}

static double draw_uniform(qs_rng *r) { return 2 * qs_rng_uniform(r) - 1; }

static double draw_student4(qs_rng *r)
{
    double chi = -2 * (log(qs_rng_uniform(r)) + log(qs_rng_uniform(r)));   /* four degrees of freedom */
    return qs_rng_normal(r) / sqrt(chi / 4);
}

static double draw_bimodal(qs_rng *r)
{
    double mode = qs_rng_uniform(r) < 0.5 ? -1 : 1;
    return mode + 0.25 * qs_rng_normal(r);
}

static const struct dist { const char *name; double (*draw)(qs_rng *r); } dists[] = {
    {"normal", qs_rng_normal}, {"laplace", draw_laplace}, {"uniform", draw_uniform},
    {"student4", draw_student4}, {"bimodal", draw_bimodal}, {NULL, NULL}};

static const struct dist *find_dist(const char *name, qs_err *err)
{
    for (const struct dist *d = dists; d->name; d++)
        if (!strcmp(d->name, name)) return d;
    qs_fail(err, QS_EARG, "qs.randn: no distribution '%s'; there are normal, laplace, uniform, student4, bimodal",
            name);
    return NULL;
}

static int fill_random(const struct dist *d, uint64_t seed, double scale, float *out, size_t n, const qs_ctl *ctl,
                       qs_err *err)
{
    qs_rng r;
    qs_rng_seed(&r, seed);
    for (size_t at = 0; at < n; at += BLOCK) {
        if (qs_ctl_check(ctl, "qs.randn", (double)at / (double)n, err)) return -QS_ECANCEL;
        size_t end = n - at < BLOCK ? n : at + BLOCK;
        for (size_t i = at; i < end; i++) out[i] = (float)(scale * d->draw(&r));
    }
    return 0;
}

static int randn(lua_State *L)
{
    static const char *const options[] = {"seed", "dist", "scale", NULL};
    qs_err err;
    struct shape s;
    luaL_checktype(L, 1, LUA_TTABLE);
    uint64_t seed = (uint64_t)qs_opt_integer(L, 1, "seed", 1);
    double scale = qs_opt_number(L, 1, "scale", 1);
    const char *name = qs_opt_text(L, 1, "dist");
    const struct dist *d;
    if (qs_opts_check(L, 1, "qs.randn", options, &err) || read_shape(L, 1, "qs.randn", &s, &err) ||
        !(d = find_dist(name ? name : "normal", &err)))
        return qs_bind_fail(L, &err);
    if (!s.ndim) {
        qs_fail(&err, QS_EARG, "qs.randn: how many? qs.randn{1000} or qs.randn{16, 64}");
        return qs_bind_fail(L, &err);
    }
    float *mem;
    if (!push_f32(L, d->name, &s, &mem, &err) || fill_random(d, seed, scale, mem, s.n, qs_bind_ctl(L), &err))
        return qs_bind_fail(L, &err);
    return 1;
}

/* ---- tensors ----------------------------------------------------------------------------------- */
static void *tensor_ref(void *t) { return qs_tensor_ref(t); }
static void tensor_unref(void *t) { qs_tensor_unref(t); }

static void push_value(lua_State *L, const qs_tensor *t, double v)
{
    if (qs_dtype_float(t->dtype) || fabs(v) >= 9.2e18) lua_pushnumber(L, v);
    else lua_pushinteger(L, (lua_Integer)v);
}

static int tensor_at(lua_State *L)   /* t[i] */
{
    const qs_tensor *t = check_tensor(L, 1);
    int whole;
    lua_Integer i = lua_tointegerx(L, 2, &whole);
    if (lua_type(L, 2) != LUA_TNUMBER || !whole || i < 1 || (size_t)i > t->n || t->dtype == QS_UNKNOWN_DTYPE) return 0;
    double v = qs_tensor_at(t, (size_t)i - 1);
    qs_err err;
    if (t->blob && qs_guard_lost(&t->blob->guard) && qs_tensor_check(t, &err))
        return luaL_error(L, "EIO: %s", err.msg);    /* an index has one value: there is no nil, message */
    push_value(L, t, v);
    return 1;
}

static int tensor_name(lua_State *L) { lua_pushstring(L, check_tensor(L, 1)->name); return 1; }
static int tensor_shape(lua_State *L) { push_shape(L, check_tensor(L, 1)); return 1; }

static int tensor_dtype(lua_State *L)
{
    const qs_tensor *t = check_tensor(L, 1);
    lua_pushstring(L, t->dtype_text ? t->dtype_text : qs_dtype_name(t->dtype));
    return 1;
}

static int tensor_out_axis(lua_State *L)
{
    int axis = check_tensor(L, 1)->out_axis;
    if (axis < 0) return 0;
    lua_pushinteger(L, axis);
    return 1;
}

static int tensor_in_axes(lua_State *L)
{
    const qs_tensor *t = check_tensor(L, 1);
    if (!t->in_axes) return 0;
    lua_newtable(L);
    for (int d = 0, k = 0; d < t->ndim; d++) {
        if (!(t->in_axes >> d & 1)) continue;
        lua_pushinteger(L, d);
        lua_rawseti(L, -2, ++k);
    }
    return 1;
}

static int tensor_use(lua_State *L) { lua_pushstring(L, check_tensor(L, 1)->use); return 1; }

static int tensor_bpw(lua_State *L)
{
    double bpw = qs_tensor_bpw(check_tensor(L, 1));
    if (bpw > 0) lua_pushnumber(L, bpw);
    else lua_pushnil(L);
    return 1;
}

static int tensor_reason(lua_State *L)
{
    const char *reason = qs_tensor_reason(check_tensor(L, 1));
    lua_pushstring(L, reason ? _(reason) : NULL);
    return 1;
}

static int tensor_len(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)check_tensor(L, 1)->n);
    return 1;
}

static int tensor_tostring(lua_State *L)
{
    const qs_tensor *t = check_tensor(L, 1);
    char shape[160];
    tensor_dtype(L);
    lua_pushfstring(L, "tensor %s %s %s", t->name, qs_tensor_shape_text(t, shape, sizeof shape), lua_tostring(L, -1));
    return 1;
}

static int unread(lua_State *L, const qs_tensor *t)   /* for a type nobody can read */
{
    qs_err err;
    qs_fail(&err, QS_EUNSUP, "%s: values of type %s are not read", t->name, t->dtype_text ? t->dtype_text : "?");
    return qs_bind_fail(L, &err);
}

/* float32 holds these exactly, so blocks can be read. */
static bool narrow(const qs_tensor *t)
{
    return t->dtype == QS_F32 || t->dtype == QS_F16 || t->dtype == QS_BF16 || t->dtype == QS_F8_E4M3 ||
           t->dtype == QS_F8_E5M2 || t->dtype == QS_PACKED;
}

static int tensor_totable(lua_State *L)
{
    enum { PART = 4096 };
    const qs_tensor *t = check_tensor(L, 1);
    const qs_ctl *ctl = qs_bind_ctl(L);
    float x[PART];
    qs_err err;
    if (t->dtype == QS_UNKNOWN_DTYPE) return unread(L, t);
    lua_createtable(L, t->n < INT_MAX ? (int)t->n : 0, 0);
    for (size_t at = 0; at < t->n; at += PART) {
        size_t n = t->n - at < PART ? t->n - at : PART;
        if (at % BLOCK == 0 && qs_ctl_check(ctl, "totable", (double)at / (double)t->n, &err))
            return qs_bind_fail(L, &err);
        if (narrow(t)) qs_tensor_read(t, at, n, x);
        for (size_t i = 0; i < n; i++) {
            if (narrow(t)) lua_pushnumber(L, (double)x[i]);
            else push_value(L, t, qs_tensor_at(t, at + i));
            lua_rawseti(L, -2, (lua_Integer)(at + i) + 1);
        }
    }
    if (qs_tensor_check(t, &err)) return qs_bind_fail(L, &err);
    return 1;
}

static void push_summary(lua_State *L, const qs_summary *s)
{
    bool finite = s->n > s->nans + s->infs;
    lua_createtable(L, 0, 14);
    qs_set_count(L, "n", s->n);
    qs_set_count(L, "zeros", s->zeros);
    qs_set_count(L, "nans", s->nans);
    qs_set_count(L, "infs", s->infs);
    const struct { const char *key; double v; } of[] = {
        {"min", s->min}, {"max", s->max}, {"absmax", s->absmax}, {"mean", s->mean}, {"std", s->std},
        {"mean_abs", s->mean_abs}, {"mean_sq", s->mean_sq}, {"skewness", s->skewness}, {"kurtosis", s->kurtosis}};
    for (size_t i = 0; finite && i < sizeof of / sizeof *of; i++) qs_set_number(L, of[i].key, of[i].v);
}

static int tensor_summary(lua_State *L)
{
    qs_tensor *t = check_tensor(L, 1);
    qs_summary s;
    qs_split whole;
    qs_err err;
    if (t->dtype == QS_UNKNOWN_DTYPE) return unread(L, t);
    if (qs_summary_tensor(t, qs_bind_ctl(L), &s, &err)) return qs_bind_fail(L, &err);
    push_summary(L, &s);
    if (qs_split_init(&whole, t, QS_SPLIT_TENSOR, -1, 0, NULL)) return 1;
    qs_index *ix = qs_cache_peek(qs_session_cache(qs_bind_session(L)), t, &whole, 0);
    if (!ix) return 1;
    size_t distinct = qs_index_distinct(ix);
    qs_index_unref(ix);
    qs_set_count(L, "distinct", distinct);
    return 1;
}

/* The part that options {format=, part=} name; without them the whole tensor. */
static int named_part(lua_State *L, qs_tensor *t, qs_split *s, size_t *part, qs_err *err)
{
    lua_Integer k = qs_opt_integer(L, 2, "part", 1);
    bool divided = lua_istable(L, 2) && lua_getfield(L, 2, "format") != LUA_TNIL;
    int rc;
    if (divided) {
        const qs_format *f = qs_arg_format(L, lua_gettop(L), err);
        rc = f ? qs_format_split(f, t, s, err) : -err->code;
    } else {
        rc = qs_split_init(s, t, QS_SPLIT_TENSOR, -1, 0, err);
    }
    if (rc) return rc;
    if (k < 1 || (size_t)k > s->parts)
        return qs_fail(err, QS_EARG, "t:index: there is no part %lld; %s has %zu", (long long)k, t->name, s->parts);
    *part = (size_t)k - 1;
    return 0;
}

static qs_tensor *weights_option(lua_State *L, int i)
{
    qs_tensor *w = NULL;
    if (lua_istable(L, i) && lua_getfield(L, i, "weights") != LUA_TNIL) {
        w = qs_test(L, -1, &qs_type_tensor);
        if (!w) luaL_error(L, "bad option 'weights' (qs.tensor expected, got %s)", luaL_typename(L, -1));
    }
    return w;
}

static int tensor_index(lua_State *L)
{
    static const char *const options[] = {"weights", "format", "part", NULL};
    qs_tensor *t = check_tensor(L, 1);
    qs_split s;
    size_t part = 0;
    qs_err err;
    qs_opt_table(L, 2);
    lua_settop(L, 2);
    qs_tensor *w = weights_option(L, 2);
    if (t->dtype == QS_UNKNOWN_DTYPE) return unread(L, t);
    if (qs_opts_check(L, 2, "t:index", options, &err) || named_part(L, t, &s, &part, &err))
        return qs_bind_fail(L, &err);
    void **box = qs_box(L, &qs_type_index);
    *box = w ? qs_index_of(t, &s, part, w, qs_bind_ctl(L), &err)
             : qs_cache_get(qs_session_cache(qs_bind_session(L)), t, &s, part, qs_bind_ctl(L), &err);
    return *box ? 1 : qs_bind_fail(L, &err);
}

/* ---- histograms and densities ------------------------------------------------------------------ */
static void hist_clear(void *h) { qs_hist_clear(h); }

static int push_hist(lua_State *L, const qs_hist *h)
{
    lua_createtable(L, 0, 8);
    qs_set_count(L, "bins", h->bins);
    qs_set_number(L, "lo", h->lo);
    qs_set_number(L, "hi", h->hi);
    qs_set_count(L, "under", h->under);
    qs_set_count(L, "over", h->over);
    qs_set_count(L, "skipped", h->skipped);
    lua_createtable(L, (int)h->bins, 0);
    for (size_t i = 0; i < h->bins; i++) {
        lua_pushinteger(L, (lua_Integer)h->count[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, "count");
    lua_createtable(L, (int)h->bins + 1, 0);
    for (size_t i = 0; i <= h->bins; i++) {
        lua_pushnumber(L, qs_hist_edge(h, i));
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, "edge");
    return 1;
}

/* Counts the values at index 1: of an index, or of a tensor (on a logarithmic axis through its index). */
static int count(lua_State *L, double lo, double hi, size_t bins, bool log_x, qs_hist *h, qs_err *err)
{
    qs_tensor *t = qs_test(L, 1, &qs_type_tensor);
    if (t && !log_x) return qs_hist_tensor(t, lo, hi, bins, qs_bind_ctl(L), h, err);
    if (t) {
        qs_split s;
        void **box = qs_box(L, &qs_type_index);
        if (qs_split_init(&s, t, QS_SPLIT_TENSOR, -1, 0, err)) return -err->code;
        *box = qs_cache_get(qs_session_cache(qs_bind_session(L)), t, &s, 0, qs_bind_ctl(L), err);
        return *box ? qs_hist_index(*box, lo, hi, bins, true, h, err) : -err->code;
    }
    return qs_hist_index(check_index(L, 1), lo, hi, bins, log_x, h, err);
}

static int histogram(lua_State *L)   /* t:histogram, index:histogram */
{
    static const char *const options[] = {"bins", "lo", "hi", "log", NULL};
    const qs_tensor *t = qs_test(L, 1, &qs_type_tensor);
    qs_err err;
    if (!t) check_index(L, 1);
    qs_opt_table(L, 2);
    lua_Integer bins = qs_opt_integer(L, 2, "bins", 100);
    double lo = qs_opt_number(L, 2, "lo", (double)NAN), hi = qs_opt_number(L, 2, "hi", (double)NAN);
    bool log_x = qs_opt_bool(L, 2, "log", false);
    if (qs_opts_check(L, 2, "histogram", options, &err)) return qs_bind_fail(L, &err);
    if (bins < 1 || bins > 65536) {
        qs_fail(&err, QS_EARG, "histogram: bins should be 1 to 65536");
        return qs_bind_fail(L, &err);
    }
    if (t && t->dtype == QS_UNKNOWN_DTYPE) return unread(L, t);
    qs_hist *h = qs_scratch(L, sizeof *h, hist_clear);
    int slot = lua_gettop(L);
    if (count(L, lo, hi, (size_t)bins, log_x, h, &err)) return qs_bind_fail(L, &err);
    push_hist(L, h);
    qs_scratch_done(L, slot);
    return 1;
}

static int index_density(lua_State *L)
{
    static const char *const options[] = {"points", "lo", "hi", NULL};
    qs_index *ix = check_index(L, 1);
    qs_err err;
    double h;
    qs_opt_table(L, 2);
    lua_Integer points = qs_opt_integer(L, 2, "points", 512);
    double lo = qs_opt_number(L, 2, "lo", (double)qs_index_min(ix));
    double hi = qs_opt_number(L, 2, "hi", (double)qs_index_max(ix));
    if (qs_opts_check(L, 2, "index:density", options, &err)) return qs_bind_fail(L, &err);
    if (points < 2 || points > 65536) {
        qs_fail(&err, QS_EARG, "index:density: points should be 2 to 65536");
        return qs_bind_fail(L, &err);
    }
    double *y = qs_scratch(L, (size_t)points * sizeof *y, NULL);
    if (qs_density(ix, lo, hi, (size_t)points, y, &h, &err)) return qs_bind_fail(L, &err);
    lua_createtable(L, 0, 3);
    qs_push_array(L, y, (size_t)points);
    lua_setfield(L, -2, "density");
    for (lua_Integer i = 0; i < points; i++) y[i] = lo + (hi - lo) * (double)i / (double)(points - 1);
    qs_push_array(L, y, (size_t)points);
    lua_setfield(L, -2, "x");
    qs_set_number(L, "bandwidth", h);
    return 1;
}

/* ---- indexes ----------------------------------------------------------------------------------- */
static void *index_ref(void *ix) { return qs_index_ref(ix); }
static void index_unref(void *ix) { qs_index_unref(ix); }

static int index_len(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)qs_index_n(check_index(L, 1)));
    return 1;
}

static int index_skipped(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)qs_index_skipped(check_index(L, 1)));
    return 1;
}

static int index_distinct(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)qs_index_distinct(check_index(L, 1)));
    return 1;
}

static int index_min(lua_State *L) { lua_pushnumber(L, (double)qs_index_min(check_index(L, 1))); return 1; }
static int index_max(lua_State *L) { lua_pushnumber(L, (double)qs_index_max(check_index(L, 1))); return 1; }
static int index_absmax(lua_State *L) { lua_pushnumber(L, (double)qs_index_absmax(check_index(L, 1))); return 1; }
static int index_kind(lua_State *L) { lua_pushstring(L, qs_index_kind_text(check_index(L, 1))); return 1; }
static int index_weighted(lua_State *L) { lua_pushboolean(L, qs_index_weighted(check_index(L, 1))); return 1; }

static int index_tostring(lua_State *L)
{
    const qs_index *ix = check_index(L, 1);
    char range[80];
    snprintf(range, sizeof range, "%.6g .. %.6g", (double)qs_index_min(ix), (double)qs_index_max(ix));
    lua_pushfstring(L, "index n=%I %s%s %s", (LUAI_UACINT)qs_index_n(ix), qs_index_kind_text(ix),
                    qs_index_weighted(ix) ? " weighted" : "", range);
    return 1;
}

static int quantile(lua_State *L, double (*of)(const qs_index *, double))
{
    const qs_index *ix = check_index(L, 1);
    double p = luaL_checknumber(L, 2);
    qs_err err;
    if (p >= 0 && p <= 1) {
        lua_pushnumber(L, of(ix, p));
        return 1;
    }
    qs_fail(&err, QS_EARG, "quantile: p should be 0 to 1, got %g", p);
    return qs_bind_fail(L, &err);
}

static int index_quantile(lua_State *L) { return quantile(L, qs_index_quantile); }
static int index_quantile_abs(lua_State *L) { return quantile(L, qs_index_quantile_abs); }

static int index_mean_abs(lua_State *L)
{
    qs_moments m;
    qs_index_moments(check_index(L, 1), &m);
    lua_pushnumber(L, m.mean_abs);
    return 1;
}

static int index_moments(lua_State *L)
{
    qs_moments m;
    qs_index_moments(check_index(L, 1), &m);
    lua_createtable(L, 0, 8);
    qs_set_number(L, "n", m.n);
    qs_set_number(L, "mean", m.mean);
    qs_set_number(L, "mean_abs", m.mean_abs);
    qs_set_number(L, "mean_sq", m.mean_sq);
    qs_set_number(L, "std", m.std);
    qs_set_number(L, "skewness", m.skewness);
    qs_set_number(L, "kurtosis", m.kurtosis);
    qs_set_number(L, "mean_abs_dev", m.mean_abs_dev);
    return 1;
}

/* ---- registration ------------------------------------------------------------------------------ */
static const luaL_Reg tensor_methods[] = {
    {"totable", tensor_totable}, {"summary", tensor_summary}, {"index", tensor_index}, {"histogram", histogram},
    {NULL, NULL}};
static const luaL_Reg tensor_fields[] = {
    {"name", tensor_name}, {"shape", tensor_shape}, {"dtype", tensor_dtype}, {"bpw", tensor_bpw}, {"out_axis", tensor_out_axis},
    {"in_axes", tensor_in_axes}, {"use", tensor_use}, {"reason", tensor_reason}, {NULL, NULL}};
static const luaL_Reg tensor_meta[] = {{"__len", tensor_len}, {"__tostring", tensor_tostring}, {NULL, NULL}};
const qs_type qs_type_tensor = {"qs.tensor", tensor_ref, tensor_unref, tensor_methods, tensor_fields, tensor_meta,
                                tensor_at};

static const luaL_Reg index_methods[] = {
    {"error", qs_bind_index_error}, {"quantile", index_quantile}, {"quantile_abs", index_quantile_abs},
    {"mean_abs", index_mean_abs}, {"moments", index_moments}, {"histogram", histogram}, {"density", index_density},
    {NULL, NULL}};
static const luaL_Reg index_fields[] = {
    {"skipped", index_skipped}, {"distinct", index_distinct}, {"kind", index_kind}, {"weighted", index_weighted},
    {"min", index_min}, {"max", index_max}, {"absmax", index_absmax}, {NULL, NULL}};
static const luaL_Reg index_meta[] = {{"__len", index_len}, {"__tostring", index_tostring}, {NULL, NULL}};
const qs_type qs_type_index = {"qs.index", index_ref, index_unref, index_methods, index_fields, index_meta, NULL};

const luaL_Reg qs_bind_tensor_functions[] = {{"tensor", tensor_new}, {"randn", randn}, {NULL, NULL}};
