/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Runs in Lua: the loop is Lua's, a step is C's. What qs.train may be told is
 * read in bind_train.c; races are in lua/quantscope/races.lua, export in runs.lua.
 */
#include "bind/bind_run.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"

static qs_run *check_run(lua_State *L, int i) { return qs_check(L, i, &qs_type_run); }

/* ---- making ------------------------------------------------------------------------------------ */
static void *run_ref(void *r) { return qs_run_ref(r); }
static void run_unref(void *r) { qs_run_unref(r); }

/* The run in the box at the top; NULL: err says why. On a screen the session shows it. */
static int made(lua_State *L, void **box, qs_run *r, qs_err *err)
{
    qs_session *s = qs_bind_session(L);
    *box = r;
    if (!r) return qs_bind_fail(L, err);
    qs_box_known(L, r);
    if (qs_session_on_screen(s) && qs_session_run_add(s, r, err)) return qs_bind_fail(L, err);
    return 1;
}

static int train(lua_State *L)   /* qs.train(net, d, options) */
{
    const qs_net *net = qs_check(L, 1, &qs_type_net);
    qs_dataset *d = qs_check(L, 2, &qs_type_dataset);
    qs_run_opts o;
    qs_err err;
    qs_opt_table(L, 3);
    lua_settop(L, 3);
    if (qs_bind_run_opts(L, 3, &o, &err)) return qs_bind_fail(L, &err);
    void **box = qs_box(L, &qs_type_run);
    return made(L, box, qs_run_new(net, d, &o, qs_bind_ctl(L), &err), &err);
}

static int resume(lua_State *L)   /* qs.resume(net, d, path) */
{
    const qs_net *net = qs_check(L, 1, &qs_type_net);
    qs_dataset *d = qs_check(L, 2, &qs_type_dataset);
    const char *path = luaL_checkstring(L, 3);
    qs_err err;
    void **box = qs_box(L, &qs_type_run);
    qs_run *r = qs_run_load(net, d, path, &err);
    if (!r && (err.code == QS_EIO || err.code == QS_EFORMAT)) return qs_bind_fail_file(L, &err);
    return made(L, box, r, &err);
}

static int branch(lua_State *L)   /* run:branch{init=, learn=} */
{
    static const char *const options[] = {"init", "learn", NULL};
    const qs_run *r = check_run(L, 1);
    qs_err err;
    qs_opt_table(L, 2);
    lua_settop(L, 2);
    const char *init = qs_opt_text(L, 2, "init"), *learn = qs_opt_text(L, 2, "learn");
    if (qs_opts_check(L, 2, "run:branch", options, &err)) return qs_bind_fail(L, &err);
    void **box = qs_box(L, &qs_type_run);
    return made(L, box, qs_run_branch(r, learn, init, qs_bind_ctl(L), &err), &err);
}

static int save(lua_State *L)
{
    const qs_run *r = check_run(L, 1);
    qs_err err;
    if (qs_run_save(r, luaL_checkstring(L, 2), &err)) return qs_bind_fail(L, &err);
    lua_pushboolean(L, true);
    return 1;
}

/* ---- steps -------------------------------------------------------------------------------------- */
/* Remembers a run that diverged: a script that ends after that ends with exit code 4. */
static void note_divergence(lua_State *L, const qs_run *r)
{
    qs_bind *b = qs_bind_get(L);
    if (r->state == QS_RUN_DIVERGED)
        snprintf(b->diverged, sizeof b->diverged, "EDIVERGED: %s: %s", r->name, r->reason);
}

/* One step, if the run is not over. Raises for what is neither a step nor an end. True: a step was made. */
static bool one_step(lua_State *L, qs_run *r)
{
    qs_err err;
    uint64_t before = r->t;
    if (r->state != QS_RUN_READY) return false;
    if (qs_run_step(r, qs_bind_ctl(L), &err) < 0) {
        qs_bind_fail(L, &err);   /* a cancel does not come back */
        luaL_error(L, "%s: %s", qs_code_name(err.code), err.msg);
    }
    return r->t > before;
}

static int next_step(lua_State *L)   /* upvalues: the run, steps left (-1: all), whether to note a divergence */
{
    qs_run *r = check_run(L, lua_upvalueindex(1));
    lua_Integer left = lua_tointeger(L, lua_upvalueindex(2));
    if (left == 0) return 0;
    bool more = one_step(L, r);
    note_divergence(L, r);
    if (!more) return 0;
    lua_pushinteger(L, left < 0 ? left : left - 1);
    lua_replace(L, lua_upvalueindex(2));
    lua_createtable(L, 0, 3);
    qs_set_count(L, "step", (size_t)r->t);
    qs_set_number(L, "loss", r->loss);
    qs_set_number(L, "lr", r->lr);
    return 1;
}

static int steps(lua_State *L)   /* for s in run:steps(n) do */
{
    check_run(L, 1);
    lua_Integer n = luaL_optinteger(L, 2, -1);
    luaL_argcheck(L, n >= 0 || lua_isnoneornil(L, 2), 2, "a number of steps");
    lua_pushvalue(L, 1);
    lua_pushinteger(L, n);
    lua_pushcclosure(L, next_step, 2);
    return 1;
}

/* nil, "EDIVERGED: ..." where the run diverged, else the run itself (at index 1). */
static int outcome(lua_State *L, const qs_run *r)
{
    qs_err err;
    if (r->state == QS_RUN_DIVERGED) {
        qs_fail(&err, QS_EDIVERGED, "%s: %s", r->name, r->reason);
        return qs_bind_fail(L, &err);
    }
    lua_settop(L, 1);
    return 1;
}

static int finish(lua_State *L)
{
    qs_run *r = check_run(L, 1);
    while (r->state == QS_RUN_READY) one_step(L, r);
    note_divergence(L, r);
    return outcome(L, r);
}

/* run:advance(n): steps without a loop, for races, where one of several may diverge. */
static int advance(lua_State *L)   /* (run, n) -> whether more is to come */
{
    qs_run *r = check_run(L, 1);
    for (lua_Integer n = luaL_checkinteger(L, 2); n > 0 && r->state == QS_RUN_READY; n--) one_step(L, r);
    lua_pushboolean(L, r->state == QS_RUN_READY);
    return 1;
}

static int start(lua_State *L)
{
    qs_run *r = check_run(L, 1);
    qs_session *s = qs_bind_session(L);
    qs_err err;
    if (!qs_session_on_screen(s)) {
        qs_fail(&err, QS_ESTATE, _("run:start needs the workbench, which makes steps between jobs; here run:finish() and "
                                   "run:steps() make them"));
        return qs_bind_fail(L, &err);
    }
    if (qs_session_run_start(s, r, &err)) return qs_bind_fail(L, &err);
    lua_settop(L, 1);
    return 1;
}

static int pause_run(lua_State *L)
{
    qs_run *r = check_run(L, 1);
    qs_session_run_pause(qs_bind_session(L), r);
    lua_settop(L, 1);
    return 1;
}

static int stop(lua_State *L)   /* run:stop(reason) */
{
    qs_run *r = check_run(L, 1);
    const char *reason = luaL_optstring(L, 2, _("stopped by hand"));
    qs_err err;
    if (r->state != QS_RUN_READY) {
        qs_fail(&err, QS_ESTATE, _("the run is over already"));
        return qs_bind_fail(L, &err);
    }
    qs_session_run_pause(qs_bind_session(L), r);
    qs_run_stop(r, reason);
    lua_settop(L, 1);
    return 1;
}

/* ---- accuracy -------------------------------------------------------------------------------------- */
static int evaluate(lua_State *L, qs_part part)
{
    qs_run *r = check_run(L, 1);
    lua_Integer limit = luaL_optinteger(L, 2, 0);
    qs_score score;
    qs_err err;
    luaL_argcheck(L, limit >= 0, 2, "a number of images");
    if (qs_run_evaluate(r, part, (size_t)limit, qs_bind_ctl(L), &score, &err)) return qs_bind_fail(L, &err);
    qs_push_score(L, &score);
    return 1;
}

static int validate(lua_State *L) { return evaluate(L, QS_PART_VAL); }
static int test(lua_State *L) { return evaluate(L, QS_PART_TEST); }

/* ---- quantizers ------------------------------------------------------------------------------------ */
static int quantizers(lua_State *L)   /* {name = quantizer} as they are now */
{
    const qs_run *r = check_run(L, 1);
    qs_err err;
    lua_createtable(L, 0, (int)r->nsite);
    for (size_t i = 0; i < r->nsite; i++) {
        void **box = qs_box(L, &qs_type_quantizer);
        if (!(*box = qs_site_quantizer(&r->site[i], &err))) return qs_bind_fail(L, &err);
        lua_setfield(L, -2, r->site[i].name);
    }
    return 1;
}

static int names(lua_State *L)
{
    const qs_run *r = check_run(L, 1);
    lua_createtable(L, (int)r->nsite, 0);
    for (size_t i = 0; i < r->nsite; i++) {
        lua_pushstring(L, r->site[i].name);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

/* ---- history ------------------------------------------------------------------------------------------- */
/* t[key] = array of n values from a float column with a stride in bytes. */
static void set_floats(lua_State *L, const char *key, const float *v, size_t n)
{
    lua_createtable(L, (int)n, 0);
    for (size_t i = 0; i < n; i++) {
        lua_pushnumber(L, (double)v[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, key);
}

static void set_steps(lua_State *L, const char *key, const uint64_t *t, size_t n)
{
    lua_createtable(L, (int)n, 0);
    for (size_t i = 0; i < n; i++) {
        lua_pushinteger(L, (lua_Integer)(t ? t[i] : i + 1));
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, key);
}

static const struct column { const char *key; size_t at; } columns[] = {
    {"step", offsetof(qs_record, step)}, {"offset", offsetof(qs_record, offset)},
    {"gradient", offsetof(qs_record, dstep)}, {"offset_gradient", offsetof(qs_record, doffset)},
    {"raw_gradient", offsetof(qs_record, raw)}, {"ratio", offsetof(qs_record, ratio)},
    {"oscillating", offsetof(qs_record, oscillating)}, {"clipped", offsetof(qs_record, look.clipped)},
    {"entropy", offsetof(qs_record, look.entropy)}, {"mse", offsetof(qs_record, look.mse)},
    {"used", offsetof(qs_record, look.used)}};

static double value_of(const qs_record *rec, const struct column *c)
{
    return *(const double *)(const void *)((const char *)rec + c->at);
}

/* A column of site i over the records; left out where it is never known. */
static void set_column(lua_State *L, const qs_history *h, size_t site, const struct column *c)
{
    bool any = false;
    for (size_t k = 0; k < h->nrec && !any; k++) any = !isnan(value_of(&h->rec[k * h->nsite + site], c));
    if (!any) return;
    lua_createtable(L, (int)h->nrec, 0);
    for (size_t k = 0; k < h->nrec; k++) {
        lua_pushnumber(L, value_of(&h->rec[k * h->nsite + site], c));
        lua_rawseti(L, -2, (lua_Integer)k + 1);
    }
    lua_setfield(L, -2, c->key);
}

static void set_counts(lua_State *L, const char *key, const uint32_t *v, size_t n)
{
    lua_createtable(L, (int)n, 0);
    for (size_t i = 0; i < n; i++) {
        lua_pushinteger(L, v[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, key);
}

static void push_look(lua_State *L, const qs_site_look *k)
{
    lua_createtable(L, 0, 7);
    qs_set_count(L, "bins", QS_SITE_BINS);
    qs_set_number(L, "lo", (double)k->lo);
    qs_set_number(L, "hi", (double)k->hi);
    qs_set_count(L, "under", k->under);
    qs_set_count(L, "over", k->over);
    set_counts(L, "count", k->bin, QS_SITE_BINS);
    if (k->levels) set_counts(L, "occupancy", k->level, k->levels);
}

/* The newest histogram of a site. */
static void set_hist(lua_State *L, const qs_history *h, size_t site)
{
    if (!h->nrec) return;
    push_look(L, &h->rec[(h->nrec - 1) * h->nsite + site].look);
    lua_setfield(L, -2, "histogram");
}

/* All of them are made when somebody asks: (site's table, key), upvalues the run and the number of the site. */
static int lazy_hists(lua_State *L)
{
    const qs_run *r = qs_check(L, lua_upvalueindex(1), &qs_type_run);
    size_t site = (size_t)lua_tointeger(L, lua_upvalueindex(2));
    if (lua_type(L, 2) != LUA_TSTRING || strcmp(lua_tostring(L, 2), "histograms") != 0) return 0;
    lua_createtable(L, (int)r->h.nrec, 0);
    for (size_t k = 0; k < r->h.nrec; k++) {
        push_look(L, &r->h.rec[k * r->h.nsite + site].look);
        lua_rawseti(L, -2, (lua_Integer)k + 1);
    }
    lua_pushvalue(L, -1);
    lua_setfield(L, 1, "histograms");
    return 1;
}

static void add_lazy(lua_State *L, const qs_run *r, size_t site)
{
    lua_createtable(L, 0, 1);
    qs_push_ref(L, &qs_type_run, (void *)(uintptr_t)r);
    lua_pushinteger(L, (lua_Integer)site);
    lua_pushcclosure(L, lazy_hists, 2);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
}

/* What was allocated and corrected, as it is now: bits a channel; gain and shift an output channel. */
static void set_extras(lua_State *L, const qs_site *s)
{
    lua_createtable(L, (int)s->parts, 0);
    for (size_t p = 0; s->bits && p < s->parts; p++) {
        lua_pushinteger(L, s->bits[p]);
        lua_rawseti(L, -2, (lua_Integer)p + 1);
    }
    if (s->bits) lua_setfield(L, -2, "bits");
    else lua_pop(L, 1);
    if (!s->gain) return;
    set_floats(L, "gain", s->gain, s->channels);
    set_floats(L, "shift", s->shift, s->channels);
}

static void set_sites(lua_State *L, const qs_run *r)
{
    lua_createtable(L, 0, (int)r->nsite);
    for (size_t i = 0; i < r->nsite; i++) {
        const qs_site *s = &r->site[i];
        lua_createtable(L, 0, 20);
        set_steps(L, "t", r->h.rec_t, r->h.nrec);
        for (size_t c = 0; c < sizeof columns / sizeof *columns; c++)
            if (s->f->offset || strncmp(columns[c].key, "offset", 6) != 0) set_column(L, &r->h, i, &columns[c]);
        set_hist(L, &r->h, i);
        qs_set_text(L, "format", s->f->text);
        qs_set_text(L, "init", s->init);
        qs_set_text(L, "learn", s->learn_name);
        qs_set_text(L, "role", s->act ? "act" : "weight");
        qs_set_text(L, "formula", s->formula);
        qs_set_text(L, "note", s->note);
        set_extras(L, s);
        add_lazy(L, r, i);
        lua_setfield(L, -2, s->name);
    }
    lua_setfield(L, -2, "quantizers");
}

static void set_evaluations(lua_State *L, const qs_history *h)
{
    static const char *const parts[] = {"train", "val", "test"};
    lua_createtable(L, (int)h->neval, 0);
    for (size_t i = 0; i < h->neval; i++) {
        const qs_eval *e = &h->eval[i];
        qs_push_score(L, &(qs_score){e->accuracy, e->loss, e->accuracy_raw, e->n});
        qs_set_count(L, "step", (size_t)e->t);
        qs_set_text(L, "part", parts[e->part]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, "evaluations");
}

/* Validations alone, as two arrays. */
static void set_accuracy(lua_State *L, const qs_history *h)
{
    lua_Integer n = 0;
    lua_newtable(L);
    lua_newtable(L);
    for (size_t i = 0; i < h->neval; i++) {
        if (h->eval[i].part != QS_PART_VAL) continue;
        n++;
        lua_pushnumber(L, h->eval[i].accuracy);
        lua_rawseti(L, -3, n);
        lua_pushinteger(L, (lua_Integer)h->eval[i].t);
        lua_rawseti(L, -2, n);
    }
    lua_setfield(L, -3, "accuracy_step");
    lua_setfield(L, -2, "accuracy");
}

/* What was tried, in order: {what, p, factor, loss, before, check, taken}. */
static void push_attempts(lua_State *L, const qs_run *r)
{
    static const char *const kind[] = {[-QS_ATTEMPT_ALL] = "all", [-QS_ATTEMPT_WEIGHTS] = "weights", [-QS_ATTEMPT_ACTS] = "acts"};
    const qs_adapted *d = &r->adapted;
    lua_createtable(L, (int)d->nattempt, 0);
    for (size_t i = 0; i < d->nattempt; i++) {
        const qs_attempt *t = &d->attempt[i];
        lua_createtable(L, 0, 6);
        qs_set_text(L, "what", t->site < 0 ? kind[-t->site] : r->site[t->site].name);
        if (!isnan(t->p)) qs_set_number(L, "p", t->p);
        if (!isnan(t->factor)) qs_set_number(L, "factor", t->factor);
        qs_set_number(L, "loss", t->loss);
        if (!isnan(t->before)) qs_set_number(L, "before", t->before);
        if (!isnan(t->check)) qs_set_number(L, "check", t->check);
        lua_pushboolean(L, t->taken);
        lua_setfield(L, -2, "taken");
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
}

static void set_adapted(lua_State *L, const qs_run *r)
{
    const qs_adapted *d = &r->adapted;
    if (!d->factor) return;
    lua_createtable(L, 0, 8);
    if (!isnan(d->p_weights)) qs_set_number(L, "p_weights", d->p_weights);
    if (!isnan(d->p_acts)) qs_set_number(L, "p_acts", d->p_acts);
    if (!isnan(d->first)) qs_set_number(L, "first", d->first);
    if (!isnan(d->last)) qs_set_number(L, "last", d->last);
    qs_set_count(L, "images", (size_t)d->images);
    qs_set_number(L, "steps", (double)d->images / (3 * 128.0));
    push_attempts(L, r);
    lua_setfield(L, -2, "attempts");
    lua_createtable(L, 0, (int)r->nsite);
    for (size_t i = 0; i < r->nsite; i++) qs_set_number(L, r->site[i].name, d->factor[i]);
    lua_setfield(L, -2, "factors");
    lua_setfield(L, -2, "adapted");
}

static int run_history(lua_State *L)
{
    const qs_run *r = check_run(L, 1);
    lua_createtable(L, 0, 8);
    set_steps(L, "step", NULL, r->h.nloss);
    set_floats(L, "loss", r->h.loss, r->h.nloss);
    set_floats(L, "lr", r->h.lr, r->h.nloss);
    set_accuracy(L, &r->h);
    set_evaluations(L, &r->h);
    set_sites(L, r);
    set_adapted(L, r);
    return 1;
}

/* ---- fields ----------------------------------------------------------------------------------------------- */
static int push_score_field(lua_State *L, const qs_score *s)
{
    if (isnan(s->accuracy)) return 0;
    qs_push_score(L, s);
    return 1;
}

static int run_before(lua_State *L) { return push_score_field(L, &check_run(L, 1)->before); }
static int run_float(lua_State *L) { return push_score_field(L, &check_run(L, 1)->floating); }
static int run_last(lua_State *L) { return push_score_field(L, &check_run(L, 1)->last); }
static int run_name(lua_State *L) { lua_pushstring(L, check_run(L, 1)->name); return 1; }
static int run_step(lua_State *L) { lua_pushinteger(L, (lua_Integer)check_run(L, 1)->t); return 1; }
static int run_total(lua_State *L) { lua_pushinteger(L, (lua_Integer)check_run(L, 1)->total); return 1; }
static int run_seconds(lua_State *L) { lua_pushnumber(L, check_run(L, 1)->seconds); return 1; }
static int run_init_seconds(lua_State *L) { lua_pushnumber(L, check_run(L, 1)->init_seconds); return 1; }
static int run_batch(lua_State *L) { lua_pushinteger(L, (lua_Integer)check_run(L, 1)->o.batch); return 1; }
static int run_seed(lua_State *L) { lua_pushinteger(L, (lua_Integer)check_run(L, 1)->o.seed); return 1; }

static int run_loss(lua_State *L)
{
    const qs_run *r = check_run(L, 1);
    qs_push_number(L, r->t ? r->loss : (double)NAN);
    return 1;
}

static int run_lr(lua_State *L)
{
    const qs_run *r = check_run(L, 1);
    qs_push_number(L, r->t ? r->lr : (double)NAN);
    return 1;
}

static const char *state_of(lua_State *L, qs_run *r)
{
    static const char *const text[] = {[QS_RUN_READY] = "ready", [QS_RUN_DONE] = "done", [QS_RUN_STOPPED] = "stopped",
                                       [QS_RUN_DIVERGED] = "diverged"};
    return r->state == QS_RUN_READY && qs_session_run_going(qs_bind_session(L), r) ? "running" : text[r->state];
}

static int run_state(lua_State *L) { lua_pushstring(L, state_of(L, check_run(L, 1))); return 1; }

static int run_reason(lua_State *L)
{
    const qs_run *r = check_run(L, 1);
    lua_pushstring(L, *r->reason ? r->reason : NULL);
    return 1;
}

static int run_net(lua_State *L)
{
    qs_push_ref(L, &qs_type_net, check_run(L, 1)->net);
    return 1;
}

static int run_data(lua_State *L)
{
    qs_push_ref(L, &qs_type_dataset, check_run(L, 1)->data);
    return 1;
}

static int run_number(lua_State *L)   /* as qs.select{run=} counts */
{
    size_t n = qs_session_run_number(qs_bind_session(L), check_run(L, 1));
    if (!n) return 0;
    lua_pushinteger(L, (lua_Integer)n);
    return 1;
}

static int run_tostring(lua_State *L)
{
    qs_run *r = check_run(L, 1);
    char loss[32] = "", last[48] = "";
    if (r->t) snprintf(loss, sizeof loss, ", loss %.4f", r->loss);
    if (!isnan(r->last.accuracy)) snprintf(last, sizeof last, ", accuracy %.2f %%", 100 * r->last.accuracy);
    char *text = qs_xasprintf("run %s on %s: %s, step %llu of %llu%s%s%s%s", r->name, r->data->name, state_of(L, r),
                              (unsigned long long)r->t, (unsigned long long)r->total, loss, last, *r->reason ? "; " : "",
                              r->reason);
    lua_pushstring(L, text);
    free(text);
    return 1;
}

static int runs(lua_State *L)   /* qs.runs() */
{
    qs_session *s = qs_bind_session(L);
    lua_createtable(L, (int)qs_session_runs(s), 0);
    for (size_t i = 0; i < qs_session_runs(s); i++) {
        qs_push_ref(L, &qs_type_run, qs_session_run(s, i));
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

/* ---- registration -------------------------------------------------------------------------------------------- */
static const luaL_Reg run_methods[] = {
    {"steps", steps}, {"finish", finish}, {"advance", advance}, {"start", start}, {"pause", pause_run}, {"stop", stop},
    {"validate", validate}, {"test", test}, {"branch", branch}, {"save", save}, {"quantizers", quantizers}, {"names", names},
    {NULL, NULL}};
static const luaL_Reg run_fields[] = {
    {"net", run_net}, {"data", run_data}, {"name", run_name}, {"before", run_before}, {"float", run_float},
    {"last", run_last}, {"step", run_step}, {"total", run_total}, {"state", run_state}, {"reason", run_reason},
    {"loss", run_loss}, {"lr", run_lr}, {"seconds", run_seconds}, {"init_seconds", run_init_seconds},
    {"batch", run_batch}, {"seed", run_seed},
    {"history", run_history}, {"number", run_number}, {NULL, NULL}};
static const luaL_Reg run_meta[] = {{"__tostring", run_tostring}, {NULL, NULL}};
const qs_type qs_type_run = {"qs.run", run_ref, run_unref, run_methods, run_fields, run_meta, NULL};

const luaL_Reg qs_bind_train_functions[] = {{"train", train}, {"resume", resume}, {"runs", runs}, {NULL, NULL}};
