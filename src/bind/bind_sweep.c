/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Sweeps in Lua: what a script declares, and sweep:run. Which cells run, and
 * where, is store/sweep_run.h; one cell is bind_cell.c.
 */
#include "bind/bind_sweep.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "config.h"
#include "num/kernels.h"
#include "store/crew.h"

static const char wanted_key;      /* registry, in a worker: the sweep whose cell is to be run */


/* ---- in a worker process ---------------------------------------------------------------------------------- */
bool qs_sweep_is_wanted(lua_State *L, const char *name)
{
    const char *worker = qs_bind_get(L)->worker;
    return worker && !strcmp(worker, name);
}

void qs_sweep_set_wanted(lua_State *L, int i)
{
    lua_pushvalue(L, i);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &wanted_key);
}

bool qs_sweep_push_wanted(lua_State *L) { return lua_rawgetp(L, LUA_REGISTRYINDEX, &wanted_key) != LUA_TNIL; }

/* ---- a declaration ------------------------------------------------------------------------------------- */
static void *declared_ref(void *p)
{
    ((qs_declared *)p)->refs++;
    return p;
}

static void free_words(char **w)
{
    for (size_t i = 0; w && w[i]; i++) free(w[i]);
    free(w);
}

void qs_declared_unref(qs_declared *d)
{
    if (!d || --d->refs) return;
    qs_sweep_free(d->s);
    free_words(d->input);
    free_words(d->arg);
    free(d->file);
    free(d);
}

static void declared_unref(void *p) { qs_declared_unref(p); }
static qs_declared *check_sweep(lua_State *L, int i) { return qs_check(L, i, &qs_type_sweep); }

static void add_input(qs_declared *d, const char *path)
{
    for (size_t i = 0; i < d->ninput; i++) {
        if (!strcmp(d->input[i], path)) return;
    }
    d->input = qs_xrealloc(d->input, (d->ninput + 2) * sizeof *d->input);
    d->input[d->ninput++] = qs_xstrdup(path);
    d->input[d->ninput] = NULL;
}

/* The value at index i as one of a parameter; false: it is none. Text is borrowed. */
static bool to_value(lua_State *L, int i, qs_sweep_value *v)
{
    switch (lua_type(L, i)) {
    case LUA_TBOOLEAN: *v = (qs_sweep_value){.kind = QS_SWEEP_BOOL, .i = lua_toboolean(L, i)}; return true;
    case LUA_TSTRING: *v = (qs_sweep_value){.kind = QS_SWEEP_TEXT, .s = (char *)lua_tostring(L, i)}; return true;
    case LUA_TNUMBER:
        if (lua_isinteger(L, i)) *v = (qs_sweep_value){.kind = QS_SWEEP_INTEGER, .i = lua_tointeger(L, i)};
        else *v = (qs_sweep_value){.kind = QS_SWEEP_REAL, .x = lua_tonumber(L, i)};
        return true;
    default: return false;
    }
}

static int bad_value(lua_State *L, const char *name, qs_err *err)
{
    return qs_fail(err, QS_EARG, _("%s: a %s is no value of a parameter; strings, numbers and booleans are"), name,
                   luaL_typename(L, -1));
}

/* One parameter: key at -2, a value or a list of them at -1. */
static int read_axis(lua_State *L, qs_sweep *s, qs_err *err)
{
    qs_sweep_value v;
    if (lua_type(L, -2) != LUA_TSTRING) return qs_fail(err, QS_EARG, _("a parameter's name is a string"));
    const char *name = lua_tostring(L, -2);
    if (!lua_istable(L, -1)) return to_value(L, -1, &v) ? qs_sweep_add_value(s, name, &v, err) : bad_value(L, name, err);
    size_t n = lua_rawlen(L, -1);
    if (!n) return qs_fail(err, QS_EARG, _("%s: an empty list"), name);
    int rc = 0;
    for (size_t i = 1; i <= n && !rc; i++) {
        lua_rawgeti(L, -1, (lua_Integer)i);
        rc = to_value(L, -1, &v) ? qs_sweep_add_value(s, name, &v, err) : bad_value(L, name, err);
        lua_pop(L, 1);
    }
    return rc;
}

static int read_axes(lua_State *L, int grid, qs_sweep *s, qs_err *err)
{
    int rc = 0;
    for (lua_pushnil(L); lua_next(L, grid); lua_pop(L, 1)) {
        if (!rc) rc = read_axis(L, s, err);
    }
    return rc;
}

/* The table at the top as a cell. */
static int read_cell(lua_State *L, qs_sweep *s, qs_err *err)
{
    enum { MOST = 64 };
    qs_sweep_param p[MOST];
    size_t n = 0;
    int rc = 0, cell = lua_gettop(L);
    for (lua_pushnil(L); lua_next(L, cell); lua_pop(L, 1)) {
        if (rc) continue;
        if (lua_type(L, -2) != LUA_TSTRING) rc = qs_fail(err, QS_EARG, _("a parameter's name is a string"));
        else if (n == MOST) rc = qs_fail(err, QS_EARG, _("a cell of more than %d parameters"), MOST);
        else if (!to_value(L, -1, &p[n].value)) rc = bad_value(L, lua_tostring(L, -2), err);
        else p[n++].name = lua_tostring(L, -2);
    }
    return rc ? rc : qs_sweep_add_cell(s, p, n, err);
}

static int read_cells(lua_State *L, int grid, qs_sweep *s, qs_err *err)
{
    int rc = 0;
    size_t n = lua_rawlen(L, grid);
    for (size_t i = 1; i <= n && !rc; i++) {
        lua_rawgeti(L, grid, (lua_Integer)i);
        rc = lua_istable(L, -1) ? read_cell(L, s, err) : qs_fail(err, QS_EARG, _("cell %zu is a %s, not a table"), i,
                                                                luaL_typename(L, -1));
        lua_pop(L, 1);
    }
    return rc;
}

static int read_grid(lua_State *L, int grid, qs_sweep *s, qs_err *err)
{
    int rc = lua_rawlen(L, grid) ? read_cells(L, grid, s, err) : read_axes(L, grid, s, err);
    return rc ? rc : qs_sweep_close(s, err);
}

/* Asks where(cell) of every cell; the function is at index fn. */
static int ask_where(lua_State *L, int fn, qs_sweep *s, qs_err *err)
{
    bool *keep = lua_newuserdatauv(L, s->ncell, 0);
    for (size_t i = 0; i < s->ncell; i++) {
        lua_pushvalue(L, fn);
        qs_push_cell(L, &s->cell[i]);
        lua_call(L, 1, 1);
        keep[i] = lua_toboolean(L, -1);
        lua_pop(L, 1);
    }
    int rc = qs_sweep_keep(s, keep, err);
    lua_pop(L, 1);
    return rc;
}

/* The file whose code called qs.sweep, and with which arguments. */
static void find_file(lua_State *L, qs_declared *d)
{
    lua_Debug ar;
    int level = 1;
    while (lua_getstack(L, level, &ar) && lua_getinfo(L, "S", &ar) && *ar.what == 'C') level++;      /* through pcall */
    if (!lua_getstack(L, level, &ar) || !lua_getinfo(L, "S", &ar) || *ar.source != '@' || access(ar.source + 1, R_OK)) return;
    d->file = qs_xstrdup(ar.source + 1);
    if (lua_getglobal(L, "arg") == LUA_TTABLE && lua_rawgeti(L, -1, 0) == LUA_TSTRING && !strcmp(lua_tostring(L, -1), d->file)) {
        size_t n = lua_rawlen(L, -2);
        d->arg = qs_xcalloc(n + 1, sizeof *d->arg);
        for (size_t i = 0; i < n; i++) {
            lua_rawgeti(L, -2, (lua_Integer)i + 1);
            d->arg[i] = qs_xstrdup(luaL_tolstring(L, -1, NULL));
            lua_pop(L, 2);
        }
    }
}

static void read_inputs(lua_State *L, qs_declared *d)
{
    if (lua_getfield(L, 1, "inputs") != LUA_TNIL) {
        if (!lua_istable(L, -1)) luaL_error(L, "bad option 'inputs' (an array of files expected)");
        size_t n = lua_rawlen(L, -1);
        for (size_t i = 1; i <= n; i++) {
            if (lua_rawgeti(L, -1, (lua_Integer)i) != LUA_TSTRING) luaL_error(L, "bad option 'inputs' (an array of files expected)");
            add_input(d, lua_tostring(L, -1));
            lua_pop(L, 1);
        }
    }
    lua_pop(L, 1);
}

static void check_functions(lua_State *L)
{
    if (lua_getfield(L, 1, "run") != LUA_TFUNCTION) luaL_error(L, "bad option 'run' (function(cell, job) expected)");
    if (lua_getfield(L, 1, "where") != LUA_TNIL && !lua_isfunction(L, -1)) luaL_error(L, "bad option 'where' (function(cell) expected)");
    if (lua_getfield(L, 1, "grid") != LUA_TTABLE) luaL_error(L, "bad option 'grid' ({parameter = values} or a list of cells expected)");
    if (lua_getfield(L, 1, "name") != LUA_TSTRING) luaL_error(L, "bad option 'name' (string expected)");
}

static int sweep(lua_State *L)   /* qs.sweep{name=, grid=, run=, where=, inputs=} */
{
    static const char *const options[] = {"name", "grid", "run", "where", "inputs", NULL};
    enum { RUN = 2, WHERE, GRID, NAME, BOX };
    qs_err err;
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    check_functions(L);
    if (qs_opts_check(L, 1, "qs.sweep", options, &err)) return qs_bind_fail(L, &err);
    void **box = qs_box(L, &qs_type_sweep);
    qs_declared *d = *box = qs_xcalloc(1, sizeof *d);
    d->refs = 1;
    d->s = qs_sweep_new(lua_tostring(L, NAME), &err);
    if (!d->s) return qs_bind_fail(L, &err);
    lua_pushvalue(L, RUN);
    lua_setiuservalue(L, BOX, 1);
    find_file(L, d);
    lua_settop(L, BOX);
    read_inputs(L, d);
    if (qs_sweep_is_wanted(L, d->s->name)) qs_sweep_set_wanted(L, BOX);
    if (qs_bind_get(L)->worker) return 1;      /* its cells are known to who asks for one */
    int rc = read_grid(L, GRID, d->s, &err);
    if (!rc && !lua_isnil(L, WHERE)) rc = ask_where(L, WHERE, d->s, &err);
    if (!rc) return 1;
    qs_fail_prefix(&err, "qs.sweep %s", d->s->name);
    return qs_bind_fail(L, &err);
}

static int sweep_len(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)check_sweep(L, 1)->s->ncell);
    return 1;
}

static int sweep_text(lua_State *L)
{
    const qs_declared *d = check_sweep(L, 1);
    lua_pushfstring(L, "sweep %s: %I cells", d->s->name, (lua_Integer)d->s->ncell);
    return 1;
}

static int sweep_name(lua_State *L)
{
    lua_pushstring(L, check_sweep(L, 1)->s->name);
    return 1;
}

static int sweep_file(lua_State *L)
{
    lua_pushstring(L, check_sweep(L, 1)->file);
    return 1;
}

static int sweep_cells(lua_State *L)
{
    const qs_sweep *s = check_sweep(L, 1)->s;
    lua_createtable(L, (int)s->ncell, 0);
    for (size_t i = 0; i < s->ncell; i++) {
        qs_push_cell(L, &s->cell[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

/* ---- the program of worker processes ------------------------------------------------------------------------------------ */
const char *qs_program_text(void)
{
    static char text[100];
    snprintf(text, sizeof text, "%s (%s, %s)", PACKAGE_STRING, HAVE_DNNL ? "onednn" : "plain", qs_num()->isa);
    return text;
}

static char *if_program(char *path)
{
    if (path && !access(path, X_OK)) return path;
    free(path);
    return NULL;
}

/* BUILD/quantscope, where this code is in BUILD/intree/quantscope/core.so. */
static char *program_of_build(void)
{
    static const char tail[] = "/intree/quantscope/core.so";
    Dl_info info;
    char real[PATH_MAX];
    if (!dladdr(&wanted_key, &info) || !info.dli_fname || !realpath(info.dli_fname, real)) return NULL;
    char *at = strstr(real, tail);
    return at && !at[strlen(tail)] ? if_program(qs_xasprintf("%.*s/quantscope", (int)(at - real), real)) : NULL;
}

static char *program_on_path(void)
{
    char *path = qs_xstrdup(getenv("PATH") ? getenv("PATH") : ""), *save = NULL, *found = NULL;
    for (char *dir = strtok_r(path, ":", &save); dir && !found; dir = strtok_r(NULL, ":", &save))
        found = if_program(qs_xasprintf("%s/quantscope", dir));
    free(path);
    return found;
}

/* malloc'd; NULL: err. */
static char *find_program(lua_State *L, qs_err *err)
{
    const char *host = qs_bind_program(L), *named = getenv("QUANTSCOPE_PROGRAM");
    if (host) return qs_xstrdup(host);
    if (named && *named) return qs_xstrdup(named);
    char *path = program_of_build();
    if (!path) path = if_program(qs_xstrdup(QS_BINDIR "/quantscope"));
    if (!path) path = program_on_path();
    if (!path) qs_fail(err, QS_EIO, _("the program quantscope, which runs the cells, is not found: put its folder into PATH, or its "
                                      "path into QUANTSCOPE_PROGRAM"));
    return path;
}

char **qs_worker_argv(const qs_declared *d, const char *path)
{
    size_t n = 0;
    while (d->arg && d->arg[n]) n++;
    char **argv = qs_xcalloc(n + 6, sizeof *argv);
    argv[0] = qs_xstrdup("quantscope");
    argv[1] = qs_xstrdup("sweep-worker");
    argv[2] = qs_xasprintf("%ld", (long)getpid());
    argv[3] = qs_xstrdup(path);
    argv[4] = qs_xstrdup(d->s->name);
    for (size_t i = 0; i < n; i++) argv[5 + i] = qs_xstrdup(d->arg[i]);
    return argv;
}

void qs_worker_argv_free(char **argv) { free_words(argv); }

/* Modules that came from files are inputs as well. */
void qs_sweep_add_modules(lua_State *L, qs_declared *d)
{
    int top = lua_gettop(L);
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "loaded");
    lua_getfield(L, -2, "searchpath");
    lua_getfield(L, -3, "path");
    if (!lua_istable(L, top + 2) || !lua_isfunction(L, top + 3) || !lua_isstring(L, top + 4)) {
        lua_settop(L, top);
        return;
    }
    for (lua_pushnil(L); lua_next(L, top + 2); lua_pop(L, 1)) {
        const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "quantscope";
        if (!strcmp(name, "quantscope") || !strncmp(name, "quantscope.", 11)) continue;
        lua_pushvalue(L, top + 3);
        lua_pushstring(L, name);
        lua_pushvalue(L, top + 4);
        if (lua_pcall(L, 2, 1, 0) == LUA_OK && lua_isstring(L, -1)) add_input(d, lua_tostring(L, -1));
        lua_pop(L, 1);
    }
    lua_settop(L, top);
}

/* ---- sweep:run --------------------------------------------------------------------------------------------------------- */
struct here {
    lua_State *L;
    int sweep, handler;        /* where they are on its stack */
    const qs_sweep_cell *cell;
    const qs_cell_call *call;
    qs_report *out;
};

static int call_here(lua_State *L)   /* (struct here *, sweep) */
{
    const struct here *h = lua_touserdata(L, 1);
    qs_call_cell(L, 2, h->cell, h->call, h->out);
    return 0;
}

static void progress_here(void *ctx, double done, const char *text) { qs_ctl_check(qs_session_ctl(ctx), text, done, NULL); }

static int run_here(void *ctx, const qs_sweep_cell *c, int64_t seed, qs_report *out)
{
    struct here *h = ctx;
    lua_State *L = h->L;
    const qs_declared *d = qs_test(L, h->sweep, &qs_type_sweep);
    qs_cell_call call = {.name = d->s->name, .key = c->key, .seed = seed, .progress = progress_here, .ctx = qs_bind_session(L)};
    h->cell = c;
    h->call = &call;
    h->out = out;
    lua_pushcfunction(L, call_here);
    lua_pushlightuserdata(L, h);
    lua_pushvalue(L, h->sweep);
    if (lua_pcall(L, 2, 0, h->handler) != LUA_OK) {
        const char *text = lua_tostring(L, -1);
        qs_report_fail(out, QS_TRIAL_FAILED, "%s", text ? text : "error");
        lua_pop(L, 1);
    }
    return qs_cancelled(qs_bind_ctl(L)) || qs_stop_signal();
}

static int add_traceback(lua_State *L)
{
    luaL_traceback(L, L, luaL_tolstring(L, 1, NULL), 1);
    return 1;
}

typedef struct run_call {
    qs_sweep_opts o;
    qs_sweep_source src;
    char *db, *text, *program, **argv;
} run_call;

static void clear_run(void *p)
{
    run_call *c = p;
    free(c->db);
    free(c->text);
    free(c->program);
    qs_worker_argv_free(c->argv);
}

static const char *const run_options[] = {"jobs", "db", "filter", "shard", "limit_seconds", "fresh", "accept_changes", "keep_failed",
                                          "journal", "quiet", "dry_run", NULL};

static int read_run(lua_State *L, const qs_declared *d, run_call *c, qs_err *err)
{
    lua_Integer jobs = qs_opt_integer(L, 2, "jobs", 0);
    c->o = (qs_sweep_opts){.jobs = (int)jobs, .limit = qs_opt_number(L, 2, "limit_seconds", 0), .fresh = qs_opt_bool(L, 2, "fresh", false),
                           .accept = qs_opt_bool(L, 2, "accept_changes", false), .filter = qs_opt_text(L, 2, "filter"),
                           .keep_failed = qs_opt_bool(L, 2, "keep_failed", false), .journal = QS_STORE_WAL};
    const char *shard = qs_opt_text(L, 2, "shard"), *journal = qs_opt_text(L, 2, "journal"), *db = qs_opt_text(L, 2, "db");
    if (qs_opts_check(L, 2, "sweep:run", run_options, err)) return -QS_EARG;
    if (jobs < 0 || jobs > QS_CREW_MAX) return qs_fail(err, QS_EARG, _("sweep:run: jobs is 1 to %d"), QS_CREW_MAX);
    if (!(c->o.limit >= 0)) return qs_fail(err, QS_EARG, _("sweep:run: limit_seconds is a number above 0"));
    if (shard && qs_shard_read(shard, &c->o.shard, &c->o.shards, err)) return -QS_EARG;
    if (journal && qs_journal_read(journal, &c->o.journal, err)) return -QS_EARG;
    c->db = db ? qs_xstrdup(db) : qs_sweep_db(d->s, c->o.shard, c->o.shards);
    c->o.db = c->db;
    return 0;
}

/* Who runs the cells: worker processes, where there is a file they can be found in. */
static int read_source(lua_State *L, qs_declared *d, run_call *c, qs_err *err)
{
    c->src = (qs_sweep_source){.path = d->file ? d->file : "", .version = qs_program_text()};
    if (d->file) {
        c->text = qs_file_read(d->file, &c->src.ntext, err);
        c->program = c->text ? find_program(L, err) : NULL;
        if (!c->program) return -err->code;
        c->argv = qs_worker_argv(d, d->file);
        qs_sweep_add_modules(L, d);
    }
    c->src.text = c->text ? c->text : "";
    c->src.program = c->program;
    c->src.argv = c->argv;
    c->src.input = d->input;
    return 0;
}

static int push_tally(lua_State *L, const qs_tally *t, const char *db)
{
    lua_createtable(L, 0, 8);
    qs_set_count(L, "cells", t->cells);
    qs_set_count(L, "done", t->before + t->done);
    qs_set_count(L, "before", t->before);
    qs_set_count(L, "failed", t->failed + t->kept);
    qs_set_count(L, "killed", t->killed);
    qs_set_count(L, "timeout", t->timeout);
    qs_set_number(L, "seconds", t->seconds);
    qs_set_text(L, "db", db);
    return 1;
}

static int look(lua_State *L, const qs_declared *d, const qs_sweep_opts *o)
{
    qs_err err;
    size_t *at, n;
    qs_trial_status *status;
    if (qs_sweep_look(d->s, o, &at, &status, &n, &err)) return qs_bind_fail_file(L, &err);
    lua_createtable(L, (int)n, 0);
    for (size_t i = 0; i < n; i++) {
        lua_createtable(L, 0, 3);
        qs_push_cell(L, &d->s->cell[at[i]]);
        lua_setfield(L, -2, "cell");
        qs_set_text(L, "status", qs_trial_status_name[status[i]]);
        lua_pushboolean(L, qs_sweep_wants(o, status[i]));
        lua_setfield(L, -2, "runs");
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    free(at);
    free(status);
    return 1;
}

/* The sweep with what was read of the call; the scratch is at 3, the handler of errors at 4. */
static int run_all(lua_State *L, const qs_declared *d, run_call *c)
{
    qs_err err;
    qs_tally t;
    qs_session *s = qs_bind_session(L);
    qs_ctl ctl = *qs_session_ctl(s);
    qs_sweep_say say;
    struct here h = {.L = L, .sweep = 1, .handler = 4};
    bool screen = qs_session_on_screen(s), quiet = qs_opt_bool(L, 2, "quiet", false);
    qs_sweep_say_init(&say, d->s->name, c->db, s, !c->program);
    say.quiet = quiet;
    qs_sweep_watch watch = qs_sweep_say_watch(&say);
    c->src.here = run_here;
    c->src.ctx = &h;
    luaL_checkstack(L, 20, NULL);
    if (!screen) qs_stop_begin();
    int rc = qs_sweep_run(d->s, &c->o, &c->src, &watch, &ctl, &t, &err);
    if (!screen) qs_stop_end();
    qs_sweep_say_end(&say, &t, rc);
    if (!screen && (qs_stop_signal() == SIGTERM || qs_stop_signal() == SIGHUP)) raise(qs_stop_signal());
    if (!rc) return push_tally(L, &t, c->db);
    return err.code == QS_EIO || err.code == QS_EFORMAT ? qs_bind_fail_file(L, &err) : qs_bind_fail(L, &err);
}

/* In a worker process: the sweep that is wanted is reached, or another one is passed over. */
static int pass_over(lua_State *L, const qs_declared *d)
{
    qs_bind *b = qs_bind_get(L);
    if (!qs_sweep_is_wanted(L, d->s->name)) return push_tally(L, &(qs_tally){0}, "");
    qs_sweep_set_wanted(L, 1);
    b->leave(L);
    return 0;
}

static int sweep_run(lua_State *L)   /* sweep:run{jobs=, db=, ...} */
{
    qs_declared *d = check_sweep(L, 1);
    qs_err err;
    qs_opt_table(L, 2);
    lua_settop(L, 2);
    if (qs_bind_get(L)->worker) return pass_over(L, d);
    run_call *c = qs_scratch(L, sizeof *c, clear_run);
    lua_pushcfunction(L, add_traceback);
    if (read_run(L, d, c, &err)) return qs_bind_fail(L, &err);
    if (qs_opt_bool(L, 2, "dry_run", false)) return look(L, d, &c->o);
    if (read_source(L, d, c, &err)) return qs_bind_fail_file(L, &err);
    return run_all(L, d, c);
}

/* ---- tables --------------------------------------------------------------------------------------------------------------- */
static const luaL_Reg sweep_methods[] = {{"run", sweep_run}, {"cells", sweep_cells}, {NULL, NULL}};
static const luaL_Reg sweep_fields[] = {{"name", sweep_name}, {"file", sweep_file}, {NULL, NULL}};
static const luaL_Reg sweep_meta[] = {{"__len", sweep_len}, {"__tostring", sweep_text}, {NULL, NULL}};

const qs_type qs_type_sweep = {.name = "qs.sweep", .ref = declared_ref, .unref = declared_unref, .methods = sweep_methods,
                               .fields = sweep_fields, .meta = sweep_meta};

const luaL_Reg qs_bind_sweep_functions[] = {{"sweep", sweep}, {NULL, NULL}};
