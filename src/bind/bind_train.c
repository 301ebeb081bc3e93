/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a run is asked to be: the option tables of qs.train as qs_run_opts. The
 * run itself is in bind_run.c. Strings are borrowed from Lua until the run is
 * made: those that are put together here are kept in a table meanwhile.
 */
#include "bind/bind.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "bind/bind_run.h"

/* ---- numbers ----------------------------------------------------------------------------------- */
/* Ranges are checked where the run is made. */
struct number { const char *key; size_t at; };
#define NUMBER(key, field) {key, offsetof(qs_run_opts, field)}
static const struct number numbers[] = {
    NUMBER("epochs", epochs), NUMBER("lr", lr), NUMBER("momentum", momentum), NUMBER("beta2", beta2), NUMBER("eps", eps),
    NUMBER("weight_decay", weight_decay), NUMBER("gamma", gamma), NUMBER("clip", clip), NUMBER("bound", bound), {NULL, 0}};

struct count { const char *key; size_t at; bool wide; };        /* wide: uint64_t; else size_t */
#define COUNT(key, field) {key, offsetof(qs_run_opts, field), sizeof ((qs_run_opts *)0)->field == sizeof(uint64_t)}
static const struct count counts[] = {
    COUNT("steps", steps), COUNT("batch", batch), COUNT("every", every), COUNT("seed", seed), COUNT("record", record),
    COUNT("evaluate", evaluate), COUNT("patience", patience), COUNT("val_limit", val_limit), {NULL, 0, false}};

static bool given(lua_State *L, int i, const char *key)
{
    bool is = lua_getfield(L, i, key) != LUA_TNIL;
    lua_pop(L, 1);
    return is;
}

static void read_numbers(lua_State *L, int i, qs_run_opts *o)
{
    for (const struct number *n = numbers; n->key; n++) {
        double *at = (double *)(void *)((char *)o + n->at);
        *at = qs_opt_number(L, i, n->key, *at);
    }
}

static int read_counts(lua_State *L, int i, qs_run_opts *o, qs_err *err)
{
    for (const struct count *c = counts; c->key; c++) {
        lua_Integer v = qs_opt_integer(L, i, c->key, 0);
        void *at = (char *)o + c->at;
        if (!given(L, i, c->key)) continue;
        if (v < 0 || v > 1000000000)
            return qs_fail(err, QS_EARG, _("qs.train: %s is 0 to 1000000000, not %lld"), c->key, (long long)v);
        if (c->wide) *(uint64_t *)at = (uint64_t)v;
        else *(size_t *)at = (size_t)v;
    }
    return 0;
}

/* ---- one of a few names -------------------------------------------------------------------------- */
static const char *const optimizers[] = {[QS_SGD] = "sgd", [QS_ADAM] = "adam", NULL};
static const char *const schedules[] = {[QS_COSINE] = "cosine", [QS_STEPWISE] = "step", [QS_CONSTANT] = "constant", NULL};
static const char *const corrections[] = {"mean", "both", NULL};
static const char *const gscales[] = {[QS_GSCALE_PAPER] = "paper", [QS_GSCALE_BATCH] = "batch", [QS_GSCALE_NONE] = "none",
                                      NULL};

/* The number of text among names. EARG lists them. */
static int choose(const char *key, const char *const *names, const char *text, int *out, qs_err *err)
{
    qs_str all = {0};
    for (int k = 0; names[k]; k++) {
        if (!strcmp(names[k], text)) {
            free(all.s);
            *out = k;
            return 0;
        }
        qs_str_addf(&all, "%s%s", k ? ", " : "", names[k]);
    }
    int rc = qs_fail(err, QS_EARG, _("qs.train: %s is one of %s, not \"%s\""), key, all.s, text);
    free(all.s);
    return rc;
}

static int read_choices(lua_State *L, int i, qs_run_opts *o, qs_err *err)
{
    const char *optimizer = qs_opt_text(L, i, "optimizer"), *schedule = qs_opt_text(L, i, "schedule");
    int k, rc = 0;
    if (optimizer && !(rc = choose("optimizer", optimizers, optimizer, &k, err))) o->optimizer = (qs_optimizer)k;
    if (!rc && schedule && !(rc = choose("schedule", schedules, schedule, &k, err))) o->schedule = (qs_schedule)k;
    return rc;
}

/* crop=4: pixels a side; crop=true: 4. */
static int read_augment(lua_State *L, int i, qs_run_opts *o, qs_err *err)
{
    o->aug_flip = qs_opt_bool(L, i, "flip", o->aug_flip);
    o->nesterov = qs_opt_bool(L, i, "nesterov", o->nesterov);
    if (lua_getfield(L, i, "crop") == LUA_TBOOLEAN) o->aug_pad = lua_toboolean(L, -1) ? 4 : 0;
    else o->aug_pad = (int)qs_opt_integer(L, i, "crop", o->aug_pad);
    lua_pop(L, 1);
    if (o->aug_pad >= 0 && o->aug_pad <= 64) return 0;
    return qs_fail(err, QS_EARG, _("qs.train: crop is 0 to 64 pixels, not %d"), o->aug_pad);
}

/* ---- how a kind of site is quantized ----------------------------------------------------------------- */
/* Reading: the table that keeps strings alive is at index `keep`. */
struct reading { lua_State *L; int keep; const char *what; qs_err *err; };

/* The string at the top, popped and kept. */
static const char *keep_top(struct reading *r)
{
    const char *s = lua_tostring(r->L, -1);
    lua_rawseti(r->L, r->keep, (lua_Integer)lua_rawlen(r->L, r->keep) + 1);
    return s;
}

/* The value at the top as a format: a string, a qs.format, a number of bits, false: none. Pops it. */
static int read_format(struct reading *r, const char **out)
{
    lua_State *L = r->L;
    if (lua_type(L, -1) == LUA_TSTRING) {
        *out = keep_top(r);
    } else if (lua_isinteger(L, -1)) {
        lua_Integer bits = lua_tointeger(L, -1);
        lua_pop(L, 1);
        if (bits < 1 || bits > 16)
            return qs_fail(r->err, QS_EARG, _("qs.train: %s: 1 to 16 bits, not %lld"), r->what, (long long)bits);
        lua_pushfstring(L, "%d", (int)bits);   /* the sign follows the values */
        *out = keep_top(r);
    } else if (qs_test(L, -1, &qs_type_format)) {
        luaL_tolstring(L, -1, NULL);
        *out = keep_top(r);
        lua_pop(L, 1);
    } else if (lua_isboolean(L, -1) && !lua_toboolean(L, -1)) {
        lua_pop(L, 1);
        *out = "float";
    } else {
        luaL_error(L, "bad option '%s' (a format, a number of bits or a table expected, got %s)", r->what,
                   luaL_typename(L, -1));
    }
    return 0;
}

/* correct=true (mean and deviation: "both"), "mean" or false. */
static int read_correct(struct reading *r, int i, qs_site_opts *o)
{
    int type = lua_getfield(r->L, i, "correct"), k = 1, rc = 0;
    if (type == LUA_TSTRING) rc = choose("correct", corrections, lua_tostring(r->L, -1), &k, r->err);
    else if (type != LUA_TNIL && type != LUA_TBOOLEAN)
        luaL_error(r->L, "bad option 'correct' (boolean or string expected, got %s)", luaL_typename(r->L, -1));
    bool on = type == LUA_TSTRING || lua_toboolean(r->L, -1);
    if (type != LUA_TNIL) o->correct = !on ? QS_CORRECT_NO : k ? QS_CORRECT_BOTH : QS_CORRECT_MEAN;
    lua_pop(r->L, 1);
    return rc;
}

/* What stands in weights= beside the format, and may stand in quant= for all. i: the table. */
static int read_rule(struct reading *r, int i, qs_site_opts *o)
{
    lua_State *L = r->L;
    const char *mask = qs_opt_text(L, i, "mask"), *gscale = qs_opt_text(L, i, "grad_scale");
    int k, rc = 0;
    o->attached = qs_opt_bool(L, i, "attached", o->attached);
    o->step_rate = qs_opt_number(L, i, "step_rate", o->step_rate);
    o->step_decay = qs_opt_number(L, i, "step_decay", o->step_decay);
    if (!(o->step_rate >= 0 && o->step_rate <= 1e6) || o->step_decay < 0 || o->step_decay > 1e6)
        rc = qs_fail(r->err, QS_EARG, _("qs.train: %s: step_rate and step_decay are 0 to 1e6"), r->what);
    if (!rc && mask) rc = qs_mask_named(mask, &o->mask, r->err);
    if (!rc && gscale && !(rc = choose("grad_scale", gscales, gscale, &k, r->err))) o->gscale = (qs_gscale)k;
    if (given(L, i, "allocate")) o->allocate = qs_opt_bool(L, i, "allocate", false) ? QS_ALLOCATE_YES : QS_ALLOCATE_NO;
    return rc ? rc : read_correct(r, i, o);
}

static const char *const site_options[] = {"format", "bits", "init", "learn", "mask", "grad_scale", "attached", "step_rate",
                                           "step_decay", "allocate", "correct", NULL};

/* The value at the top, popped: a format, or a table {format=, init=, ...}. */
static int read_site(struct reading *r, qs_site_opts *o)
{
    lua_State *L = r->L;
    if (!lua_istable(L, -1)) return read_format(r, &o->format);
    int i = lua_gettop(L), rc = qs_opts_check(L, i, r->what, site_options, r->err);
    if (!rc && lua_getfield(L, i, "format") != LUA_TNIL) rc = read_format(r, &o->format);
    lua_settop(L, i);
    if (!rc && lua_getfield(L, i, "bits") != LUA_TNIL) rc = read_format(r, &o->format);
    lua_settop(L, i);
    if (rc) return rc;
    const char *init = qs_opt_text(L, i, "init"), *learn = qs_opt_text(L, i, "learn");
    if (init) o->init = init;
    if (learn) o->learn = learn;
    rc = read_rule(r, i, o);
    lua_settop(L, i - 1);
    return rc;
}

/* init= or learn= of table i: a name for both, or {weights=, acts=}. */
static void read_names(struct reading *r, int i, const char *key, const char **w, const char **a)
{
    lua_State *L = r->L;
    int type = lua_getfield(L, i, key);
    if (type == LUA_TTABLE) {
        const char *tw = qs_opt_text(L, lua_gettop(L), "weights"), *ta = qs_opt_text(L, lua_gettop(L), "acts");
        if (tw) *w = tw;
        if (ta) *a = ta;
    } else if (type == LUA_TSTRING) {
        *w = *a = lua_tostring(L, -1);
    } else if (type != LUA_TNIL) {
        luaL_error(L, "bad option '%s' (string expected, got %s)", key, luaL_typename(L, -1));
    }
    lua_pop(L, 1);
}

/* weights= or acts= of table i. had: whether it is there. */
static int read_part(struct reading *r, int i, const char *key, qs_site_opts *o, bool *had)
{
    if (lua_getfield(r->L, i, key) == LUA_TNIL) {
        lua_pop(r->L, 1);
        return 0;
    }
    if (had) *had = true;
    r->what = key;
    return read_site(r, o);
}

static const char *const layer_options[] = {"weights", "acts", "init", "learn", NULL};

/* first= or last=: a format for both, {weights=, acts=}, or one {format=, init=, ...} for both; false: as the others. */
static int read_end(struct reading *r, int i, const char *key, qs_site_opts *w, qs_site_opts *a)
{
    lua_State *L = r->L;
    int top = lua_gettop(L), type = lua_getfield(L, i, key), rc = 0;
    r->what = key;
    if (type == LUA_TBOOLEAN && !lua_toboolean(L, -1)) {
        w->format = a->format = w->init = a->init = NULL;
    } else if (type == LUA_TTABLE && (given(L, top + 1, "weights") || given(L, top + 1, "acts"))) {
        rc = qs_opts_check(L, top + 1, key, layer_options, r->err);
        read_names(r, top + 1, "init", &w->init, &a->init);
        read_names(r, top + 1, "learn", &w->learn, &a->learn);
        if (!rc) rc = read_part(r, top + 1, "weights", w, NULL);
        if (!rc) rc = read_part(r, top + 1, "acts", a, NULL);
    } else if (type != LUA_TNIL) {
        lua_pushvalue(L, -1);
        rc = read_site(r, w);
        if (!rc) {
            lua_settop(L, top + 1);
            rc = read_site(r, a);
        }
    }
    lua_settop(L, top);
    return rc;
}

/* What a layer says; the rest stays as it is for all (train/calib.c lays one over the other). */
static int read_layer(struct reading *r, int i, struct qs_override *o)
{
    int rc = qs_opts_check(r->L, i, o->layer, layer_options, r->err);
    o->w.step_decay = o->a.step_decay = NAN;
    read_names(r, i, "init", &o->w.init, &o->a.init);
    read_names(r, i, "learn", &o->w.learn, &o->a.learn);
    o->has_w = o->w.init || o->w.learn;
    o->has_a = o->a.init || o->a.learn;
    if (!rc) rc = read_part(r, i, "weights", &o->w, &o->has_w);
    return rc ? rc : read_part(r, i, "acts", &o->a, &o->has_a);
}

static int read_layers(struct reading *r, int i, qs_quant_opts *q)
{
    lua_State *L = r->L;
    int top = lua_gettop(L), type = lua_getfield(L, i, "layers"), rc = 0;
    if (type == LUA_TNIL) {
        lua_settop(L, top);
        return 0;
    }
    if (type != LUA_TTABLE) luaL_error(L, "bad option 'layers' (table expected, got %s)", luaL_typename(L, -1));
    for (lua_pushnil(L); lua_next(L, top + 1); lua_pop(L, 1)) q->noverride++;
    q->override = qs_scratch(L, q->noverride * sizeof *q->override, NULL);
    lua_rawseti(L, r->keep, (lua_Integer)lua_rawlen(L, r->keep) + 1);
    size_t n = 0;
    for (lua_pushnil(L); !rc && lua_next(L, top + 1); lua_settop(L, top + 2)) {
        if (lua_type(L, -2) != LUA_TSTRING) luaL_error(L, "bad option 'layers' (names of layers expected as keys)");
        if (!lua_istable(L, -1))
            luaL_error(L, "bad option 'layers' (a table a layer expected, got %s)", luaL_typename(L, -1));
        q->override[n].layer = lua_tostring(L, -2);
        rc = read_layer(r, lua_gettop(L), &q->override[n++]);
    }
    lua_settop(L, top);
    return rc;
}

static const char *const quant_options[] = {"weights", "acts", "init", "learn", "first", "last", "input", "calib", "mask",
                                            "grad_scale", "attached", "step_rate", "step_decay", "layers", "adapt", "follow",
                                            "allocate", "correct", NULL};

/* The table of an option that is a table; 0: it is not there. */
static int open_table(lua_State *L, int i, const char *key)
{
    int type = lua_getfield(L, i, key);
    if (type == LUA_TTABLE) return lua_gettop(L);
    if (type != LUA_TNIL) luaL_error(L, "bad option '%s' (table expected, got %s)", key, luaL_typename(L, -1));
    lua_pop(L, 1);
    return 0;
}

/* norms, factors: true or false; factors also "random". */
static int read_adapt_part(lua_State *L, int i, const char *name, bool random, int *part, qs_err *err)
{
    int type = lua_getfield(L, i, name), rc = 0;
    if (type == LUA_TBOOLEAN) *part = lua_toboolean(L, -1) ? QS_ADAPT_ON : QS_ADAPT_OFF;
    else if (random && type == LUA_TSTRING && !strcmp(lua_tostring(L, -1), "random")) *part = QS_ADAPT_RANDOM;
    else if (type != LUA_TNIL)
        rc = qs_fail(err, QS_EARG, random ? _("qs.train: adapt.%s is true, false or \"random\"") : _("qs.train: adapt.%s is true or false"), name);
    lua_pop(L, 1);
    return rc;
}

static int read_adapt(lua_State *L, int i, struct qs_adapt_opts *o, qs_err *err)
{
    static const char *const options[] = {"images", "cost", "labels", "norms", "factors", NULL};
    int t = open_table(L, i, "adapt");
    if (!t) return 0;
    int rc = qs_opts_check(L, t, "adapt", options, err);
    lua_Integer images = qs_opt_integer(L, t, "images", 0);
    o->cost = qs_opt_number(L, t, "cost", 0);
    if (!rc && (images < 0 || images > 1000000 || !(o->cost >= 0 && o->cost <= 1e6)))
        rc = qs_fail(err, QS_EARG, _("qs.train: adapt: images and cost are 0 to 1000000"));
    o->images = (size_t)images;
    o->labels = qs_opt_bool(L, t, "labels", false);
    if (!rc) rc = read_adapt_part(L, t, "norms", false, &o->norms, err);
    if (!rc) rc = read_adapt_part(L, t, "factors", true, &o->factors, err);
    lua_settop(L, t - 1);
    return rc;
}

/* follow=true (inputs), false, or {acts=, weights=, every=, upto=}. */
static int read_follow(lua_State *L, int i, struct qs_follow_opts *o, qs_err *err)
{
    static const char *const options[] = {"acts", "weights", "every", "upto", NULL};
    int type = lua_getfield(L, i, "follow");
    o->acts = type == LUA_TBOOLEAN && lua_toboolean(L, -1);
    if (type == LUA_TBOOLEAN) lua_pop(L, 1);
    if (type == LUA_TBOOLEAN) return 0;
    lua_pop(L, 1);
    int t = open_table(L, i, "follow");
    if (!t) return 0;
    int rc = qs_opts_check(L, t, "follow", options, err);
    lua_Integer every = qs_opt_integer(L, t, "every", 0);
    o->acts = qs_opt_bool(L, t, "acts", true);
    o->weights = qs_opt_bool(L, t, "weights", false);
    o->upto = qs_opt_number(L, t, "upto", 0);
    if (!rc && (every < 0 || every > 1000000 || !(o->upto >= 0 && o->upto <= 1)))
        rc = qs_fail(err, QS_EARG, _("qs.train: follow: every is a number of steps, upto a fraction of the run, 0 to 1"));
    o->every = (uint64_t)every;
    lua_settop(L, t - 1);
    return rc;
}

/* The table quant= at index i. */
static int read_quant(struct reading *r, int i, qs_quant_opts *q)
{
    lua_State *L = r->L;
    lua_Integer calib = qs_opt_integer(L, i, "calib", 0);
    int rc = qs_opts_check(L, i, "quant", quant_options, r->err);
    if (rc) return rc;
    q->on = true;
    if (calib < 0 || calib > 1000000) return qs_fail(r->err, QS_EARG, _("qs.train: calib: %lld images"), (long long)calib);
    q->calib = (size_t)calib;
    r->what = "quant";
    rc = read_rule(r, i, &q->weights);
    if (!rc) rc = read_rule(r, i, &q->acts);
    q->acts.correct = QS_CORRECT_UNSAID;   /* for all: that is, for the weights */
    read_names(r, i, "init", &q->weights.init, &q->acts.init);
    read_names(r, i, "learn", &q->weights.learn, &q->acts.learn);
    if (!rc) rc = read_part(r, i, "weights", &q->weights, NULL);
    if (!rc) rc = read_part(r, i, "acts", &q->acts, NULL);
    if (!rc) rc = read_end(r, i, "first", &q->first_w, &q->first_a);
    if (!rc) rc = read_end(r, i, "last", &q->last_w, &q->last_a);
    r->what = "input";
    if (!rc && lua_getfield(L, i, "input") != LUA_TNIL) rc = read_format(r, &q->input);
    if (!rc) rc = read_adapt(L, i, &q->adapt, r->err);
    if (!rc) rc = read_follow(L, i, &q->follow, r->err);
    return rc ? rc : read_layers(r, i, q);
}

/* ---- all of it ------------------------------------------------------------------------------------------ */
static const char *const train_options[] = {
    "epochs", "steps", "batch", "lr", "momentum", "beta2", "eps", "weight_decay", "nesterov", "optimizer", "schedule",
    "gamma", "every", "clip", "bound", "seed", "record", "evaluate", "patience", "val_limit", "crop", "flip", "step_rate",
    "quant", NULL};

int qs_bind_run_opts(lua_State *L, int i, qs_run_opts *o, qs_err *err)
{
    qs_run_defaults(o);
    lua_newtable(L);
    struct reading r = {L, lua_gettop(L), "qs.train", err};
    int rc = qs_opts_check(L, i, "qs.train", train_options, err);
    if (!lua_istable(L, i)) return rc;
    luaL_checkstack(L, 40, NULL);
    o->quant.weights.step_rate = o->quant.acts.step_rate = qs_opt_number(L, i, "step_rate", 1);
    if (!rc && !(o->quant.weights.step_rate > 0 && o->quant.weights.step_rate <= 1e6))
        rc = qs_fail(err, QS_EARG, _("qs.train: step_rate is more than 0 and at most 1e6"));
    read_numbers(L, i, o);
    if (!rc) rc = read_counts(L, i, o, err);
    if (!rc) rc = read_choices(L, i, o, err);
    if (!rc) rc = read_augment(L, i, o, err);
    if (rc) return rc;
    if (given(L, i, "epochs") && given(L, i, "steps"))
        return qs_fail(err, QS_EARG, _("qs.train: epochs or steps, not both"));
    int type = lua_getfield(L, i, "quant");
    if (type != LUA_TNIL && type != LUA_TTABLE)
        luaL_error(L, "bad option 'quant' (table expected, got %s)", luaL_typename(L, -1));
    if (type == LUA_TTABLE) rc = read_quant(&r, lua_gettop(L), &o->quant);
    lua_settop(L, r.keep);
    return rc;
}
