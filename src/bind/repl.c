/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A Lua state that people talk to: lines, files and chunks, what they print, how
 * they fail and how they are interrupted. Knows the session only as something
 * that can say "cancelled"; completion is in complete.c.
 *
 * Interrupting: a count hook looks at the cancel word every 10,000 instructions
 * and, once the job is cancelled, puts itself on every single instruction
 * before it raises. An error alone would be swallowed by the next pcall; with
 * the hook at 1 the handler of that pcall is stopped as well. Every coroutine
 * has a hook of its own, inherited from the thread that makes it, so all that
 * live are known here and get the same: without that, coroutines that go on
 * making coroutines would each have their 10,000 instructions left.
 */
#include "bind/repl.h"

#include <errno.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "bind/bind.h"
#include "bind/lua_files.h"

#define HOOK_COUNT 10000
#define TRACE_LINES 12

struct qs_repl {
    qs_repl_opts o;
    lua_State *L;
    FILE *out, *in;    /* screen: what io.write and io.read get instead of the terminal */
    qs_str partial;    /* written without a newline so far */
    bool serving;      /* the hook serves picks: it must not do so again inside */
    bool stopping;     /* all hooks of this job are at 1 */
    bool quitting;     /* os.exit was called on the screen */
};

static qs_repl *repl_of(lua_State *L) { return *(qs_repl **)lua_getextraspace(L); }

/* ---- what is said --------------------------------------------------------------------- */
static void say_line(qs_repl *r, char kind, const char *line)
{
    if (r->o.sink) {
        r->o.sink(r->o.ctx, kind, line);
        return;
    }
    FILE *to = kind == '!' ? stderr : stdout;
    if (kind == '!') fflush(stdout);
    fputs(line, to);
    fputc('\n', to);
}

/* One call of the sink a line. */
static void say(qs_repl *r, char kind, const char *text)
{
    for (const char *end; (end = strchr(text, '\n')); text = end + 1) {
        char *line = strndup(text, (size_t)(end - text));
        if (line) say_line(r, kind, line);
        free(line);
    }
    say_line(r, kind, text);
}

static void flush(qs_repl *r)
{
    if (r->out) fflush(r->out);
    else fflush(stdout);
    if (r->partial.n) say(r, ' ', r->partial.s);
    r->partial.n = 0;
}

/* ---- interrupting ----------------------------------------------------------------------- */
static bool stopped(qs_repl *r) { return r->quitting || qs_cancelled(qs_session_ctl(r->o.session)); }

static void hook(lua_State *L, lua_Debug *ar);

static const char threads_key;   /* registry: every coroutine that lives, as weak keys */

static void hook_all(lua_State *L)
{
    const qs_bind *b = qs_bind_get(L);
    lua_sethook(repl_of(L)->L, hook, LUA_MASKCOUNT, 1);
    for (int i = 0; b && i < QS_BIND_DEPTH; i++) lua_sethook(b->call[i], hook, LUA_MASKCOUNT, 1);
    luaL_checkstack(L, 4, NULL);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &threads_key);
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) lua_sethook(lua_tothread(L, -2), hook, LUA_MASKCOUNT, 1);
    lua_pop(L, 1);
}

static void hook_every_instruction(lua_State *L)
{
    qs_repl *r = repl_of(L);
    lua_sethook(L, hook, LUA_MASKCOUNT, 1);
    if (!r->stopping) hook_all(L);
    r->stopping = true;
}

static void hook_normal(lua_State *L)
{
    lua_sethook(L, hook, LUA_MASKCOUNT, stopped(repl_of(L)) ? 1 : HOOK_COUNT);
}

/* coroutine.create and coroutine.wrap, remembering the thread. Upvalue 1: the original. */
static int make_coroutine(lua_State *L)
{
    int n = lua_gettop(L);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, n, 1);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &threads_key);
    if (lua_isthread(L, -2)) lua_pushvalue(L, -2);
    else if (!lua_getupvalue(L, -2, 1)) lua_pushnil(L);   /* what wrap returns holds the thread */
    if (lua_isthread(L, -1)) {
        lua_pushboolean(L, true);
        lua_rawset(L, -3);
    }
    lua_settop(L, 1);
    return 1;
}

static void watch_coroutines(lua_State *L)
{
    lua_newtable(L);
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "k");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &threads_key);
    lua_getglobal(L, "coroutine");
    for (int i = 0; i < 2; i++) {
        const char *name = i ? "wrap" : "create";
        lua_getfield(L, -1, name);
        lua_pushcclosure(L, make_coroutine, 1);
        lua_setfield(L, -2, name);
    }
    lua_pop(L, 1);
}

/*
 * Raises from inside the hook. Message handlers run at once, with hooks off, so one that loops (xpcall) could not be
 * stopped; Lua's own memory error is the one that calls no handler, and lua_error knows it by its message.
 */
static void give_up(lua_State *L)
{
    if (!stopped(repl_of(L))) luaL_error(L, "interrupted");
    lua_pushliteral(L, "not enough memory");
    lua_error(L);
}

static void hook(lua_State *L, lua_Debug *ar)
{
    qs_repl *r = repl_of(L);
    bool stop = stopped(r);
    (void)ar;
    if (!stop && lua_gethookcount(L) != HOOK_COUNT) hook_normal(L);   /* a coroutine that outlived a cancelled job */
    if (!stop) r->stopping = false;
    if (!stop && !r->serving) {
        r->serving = true;
        stop = qs_ctl_check(qs_session_ctl(r->o.session), "Lua", -1, NULL);
        r->serving = false;
        qs_bind_sync(L);
    }
    if (!stop) return;
    hook_every_instruction(L);
    give_up(L);
}

/* ---- print, and the screen's replacements for what would touch the terminal ----------------- */
static int print(lua_State *L)
{
    qs_repl *r = repl_of(L);
    luaL_Buffer b;
    int n = lua_gettop(L);
    luaL_buffinit(L, &b);
    for (int i = 1; i <= n; i++) {
        if (i > 1) luaL_addchar(&b, '\t');
        luaL_tolstring(L, i, NULL);
        luaL_addvalue(&b);
    }
    luaL_pushresult(&b);
    if (r->out) flush(r);
    say(r, ' ', lua_tostring(L, -1));
    return 0;
}

static ssize_t cookie_write(void *ctx, const char *text, size_t n)
{
    qs_repl *r = ctx;
    qs_str_addn(&r->partial, text, n);
    char *end = r->partial.n ? memrchr(r->partial.s, '\n', r->partial.n) : NULL;
    if (!end) return (ssize_t)n;
    *end = 0;
    say(r, ' ', r->partial.s);
    size_t rest = r->partial.n - (size_t)(end + 1 - r->partial.s);
    memmove(r->partial.s, end + 1, rest + 1);
    r->partial.n = rest;
    return (ssize_t)n;
}

static ssize_t cookie_read(void *ctx, char *buf, size_t n)
{
    (void)ctx, (void)buf, (void)n;
    return 0;
}

static int keep_open(lua_State *L)
{
    luaL_Stream *s = luaL_checkudata(L, 1, LUA_FILEHANDLE);
    s->closef = keep_open;
    lua_pushnil(L);
    lua_pushliteral(L, "cannot close standard file");
    return 2;
}

/* io[name] (at index io) becomes a file over f, and the default of io.input or io.output where which says so. */
static void standard_file(lua_State *L, int io, const char *name, FILE *f, const char *which)
{
    luaL_Stream *s = lua_newuserdatauv(L, sizeof *s, 0);
    s->closef = NULL;
    luaL_setmetatable(L, LUA_FILEHANDLE);
    s->f = f;
    s->closef = keep_open;
    if (which) {
        lua_getfield(L, io, which);
        lua_pushvalue(L, -2);
        lua_call(L, 1, 0);
    }
    lua_setfield(L, io, name);
}

/* Upvalue 1: why not. */
static int refuse(lua_State *L) { return luaL_error(L, "%s", lua_tostring(L, lua_upvalueindex(1))); }

static const struct { const char *lib, *name, *why; } refused[] = {
    {"io", "read", N_("io.read: the keyboard belongs to the screen here; `quantscope run` and `repl` have it")},
    {"io", "popen", N_("io.popen: another program would draw over the screen; use `quantscope run` or `repl`")},
    {"os", "execute", N_("os.execute: another program would draw over the screen; use `quantscope run` or `repl`")},
    {"debug", "debug", N_("debug.debug: the keyboard belongs to the screen here")},
    {"debug", "sethook", N_("debug.sethook: the console's own hook is what Ctrl-C works by")},
};

static int screen_exit(lua_State *L)
{
    qs_repl *r = repl_of(L);
    int code = lua_isboolean(L, 1) ? !lua_toboolean(L, 1) : (int)luaL_optinteger(L, 1, 0);
    r->quitting = true;
    if (r->o.quit) r->o.quit(code);
    hook_every_instruction(L);
    return luaL_error(L, "exit");
}

static void screen_setup(lua_State *L)
{
    qs_repl *r = repl_of(L);
    r->out = fopencookie(r, "w", (cookie_io_functions_t){.write = cookie_write});
    r->in = fopencookie(r, "r", (cookie_io_functions_t){.read = cookie_read});
    if (!r->out || !r->in) luaL_error(L, "%s", strerror(errno));
    setvbuf(r->out, NULL, _IOLBF, 0);
    lua_getglobal(L, "io");
    int io = lua_gettop(L);
    standard_file(L, io, "stdin", r->in, "input");
    standard_file(L, io, "stdout", r->out, "output");
    standard_file(L, io, "stderr", r->out, NULL);
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        lua_getglobal(L, refused[i].lib);
        lua_pushstring(L, _(refused[i].why));
        lua_pushcclosure(L, refuse, 1);
        lua_setfield(L, -2, refused[i].name);
        lua_pop(L, 1);
    }
    lua_getglobal(L, "os");
    lua_pushcfunction(L, screen_exit);
    lua_setfield(L, -2, "exit");
    lua_settop(L, io - 1);
}

/* Raises until the job is over. */
static void leave(lua_State *L)
{
    repl_of(L)->quitting = true;
    hook_every_instruction(L);
    give_up(L);
}

/* warn(): pieces of one message come one by one. */
static void warning(void *ctx, const char *msg, int more)
{
    qs_repl *r = ctx;
    qs_str_add(&r->partial, msg);
    if (!more) flush(r);
}

/* ---- the state ----------------------------------------------------------------------------------- */
/* A searcher of package.preload for a file that is built in: upvalue 1 is its number. */
static int load_embedded(lua_State *L)
{
    const struct lua_file *f = &lua_files[lua_tointeger(L, lua_upvalueindex(1))];
    if (luaL_loadbufferx(L, f->text, strlen(f->text), f->chunk, "t") != LUA_OK) return lua_error(L);
    lua_pushstring(L, f->module);
    lua_call(L, 1, 1);
    return 1;
}

static void preload(lua_State *L)
{
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    lua_pushcfunction(L, qs_bind_open);
    lua_setfield(L, -2, "quantscope.core");
    for (size_t i = 0; i < sizeof lua_files / sizeof *lua_files; i++) {
        lua_pushinteger(L, (lua_Integer)i);
        lua_pushcclosure(L, load_embedded, 1);
        lua_setfield(L, -2, lua_files[i].module);
    }
    lua_pop(L, 1);
}

static int setup(lua_State *L)   /* (qs_repl *) */
{
    qs_repl *r = lua_touserdata(L, 1);
    luaL_openlibs(L);
    watch_coroutines(L);
    preload(L);
    qs_bind_set_session(L, r->o.session);
    if (r->o.data) qs_bind_set_data(L, r->o.data);
    if (r->o.program) qs_bind_set_program(L, r->o.program);
    if (r->o.screen) screen_setup(L);
    if (r->o.sink) lua_setwarnf(L, warning, r);
    if (r->o.sink) lua_register(L, "print", print);
    lua_getglobal(L, "require");
    lua_pushliteral(L, "quantscope");
    lua_call(L, 1, 1);
    lua_getfield(L, -1, "help");
    lua_setglobal(L, "help");
    lua_setglobal(L, "qs");
    qs_bind *b = qs_bind_get(L);
    b->arm = hook_normal;
    b->on_cancel = hook_every_instruction;
    b->leave = leave;
    qs_bind_follow(L);
    return 0;
}

qs_repl *qs_repl_new(const qs_repl_opts *o, qs_err *err)
{
    qs_repl *r = qs_xcalloc(1, sizeof *r);
    r->o = *o;
    r->L = luaL_newstate();
    if (!r->L) {
        free(r);
        qs_fail(err, QS_ENOMEM, "no memory for Lua");
        return NULL;
    }
    *(qs_repl **)lua_getextraspace(r->L) = r;   /* threads made later copy it */
    lua_pushcfunction(r->L, setup);
    lua_pushlightuserdata(r->L, r);
    if (lua_pcall(r->L, 1, 0, 0) == LUA_OK) return r;
    qs_fail(err, QS_ESTATE, "Lua: %s", luaL_tolstring(r->L, -1, NULL));
    qs_repl_free(r);
    return NULL;
}

void qs_repl_free(qs_repl *r)
{
    if (!r) return;
    lua_sethook(r->L, NULL, 0, 0);
    lua_close(r->L);
    flush(r);
    if (r->out) fclose(r->out);
    if (r->in) fclose(r->in);
    free(r->partial.s);
    free(r);
}

/* ---- one job ----------------------------------------------------------------------------------------- */
struct job {
    const char *text, *name;   /* a chunk and what it is called; or */
    const char *path;          /* a file with */
    int argc;                  /* its arguments */
    char **argv;
    lua_CFunction fn;          /* or a function with */
    void *arg;                 /* its argument */
    bool plain;                /* the message needs no traceback: it is about the text itself */
    bool no_file;              /* the file could not be read */
    bool incomplete;           /* wants another line */
    const char *const *pairs;  /* run_call: module in text, function in name */
    char *result;              /* malloc'd; of a failure: its message */
    int code;
};

/* Is this line of a traceback a call in Lua, not one in C, a tail call or lines left out? */
static bool is_lua_call(const char *line)
{
    return *line == '\t' && strncmp(line + 1, "[C]:", 4) != 0 && strncmp(line + 1, "...", 3) != 0 &&
           strncmp(line + 1, "(...", 4) != 0;
}

/* The calls that led to an error, without C functions, one a line; nothing where the message alone says it all (one Lua
 * function). */
static void add_trace(lua_State *L, qs_str *out)
{
    luaL_traceback(L, L, NULL, 1);
    qs_str calls = {0};
    int n = 0;
    for (const char *at = lua_tostring(L, -1), *end; at && *at; at = *end ? end + 1 : end) {
        end = strchrnul(at, '\n');
        if (!is_lua_call(at)) continue;
        if (n++ < TRACE_LINES) qs_str_addf(&calls, "\n  %.*s", (int)(end - at - 1), at + 1);
    }
    lua_pop(L, 1);
    if (n > 1) qs_str_add(out, calls.s);
    free(calls.s);
}

static int on_error(lua_State *L)   /* message handler; upvalue 1: the job */
{
    const struct job *job = lua_touserdata(L, lua_upvalueindex(1));
    const char *msg = lua_tostring(L, 1);
    if (!msg && luaL_callmeta(L, 1, "__tostring") && lua_type(L, -1) == LUA_TSTRING) return 1;
    if (!msg) msg = lua_pushfstring(L, "(error object is a %s value)", luaL_typename(L, 1));
    qs_str all = {0};
    qs_str_add(&all, msg);
    if (!job->plain && !stopped(repl_of(L))) add_trace(L, &all);
    lua_pushlstring(L, all.s, all.n);
    free(all.s);
    return 1;
}

/* Does this syntax error mean that the text is not over yet? */
static bool wants_more(const char *msg)
{
    static const char mark[] = "<eof>";
    size_t n = strlen(msg), k = sizeof mark - 1;
    return n >= k && !strcmp(msg + n - k, mark) && !strstr(msg, ": unfinished string near");
}

/* Pushes the compiled text: as an expression if it is one. */
static void compile_line(lua_State *L, struct job *job)
{
    const char *text = job->text + (job->text[strspn(job->text, " \t")] == '=' ? strcspn(job->text, "=") + 1 : 0);
    const char *as_value = lua_pushfstring(L, "return %s", text);
    if (luaL_loadbufferx(L, as_value, strlen(as_value), job->name, "t") == LUA_OK) {
        lua_remove(L, -2);
        return;
    }
    lua_pop(L, 2);
    if (luaL_loadbufferx(L, text, strlen(text), job->name, "t") == LUA_OK) return;
    job->plain = true;
    job->incomplete = wants_more(lua_tostring(L, -1));
    lua_error(L);
}

/* nil, "ECODE: message", "ECODE": shown as what it is. */
static bool is_failure(lua_State *L, int first)
{
    if (lua_gettop(L) != first + 2 || !lua_isnil(L, first)) return false;
    if (lua_type(L, first + 1) != LUA_TSTRING || lua_type(L, first + 2) != LUA_TSTRING) return false;
    const char *code = lua_tostring(L, first + 2), *msg = lua_tostring(L, first + 1);
    size_t n = strlen(code);
    return *code == 'E' && !strncmp(msg, code, n) && msg[n] == ':';
}

/* Shows the results from index first on, as `quantscope.pretty` writes them. */
static void show_results(lua_State *L, int first)
{
    qs_repl *r = repl_of(L);
    int n = lua_gettop(L) - first + 1;
    if (n < 1) return;
    flush(r);
    if (is_failure(L, first)) {
        say(r, '!', lua_tostring(L, first + 1));
        return;
    }
    luaL_checkstack(L, n + 4, "too many results to print");
    lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_getfield(L, -1, "quantscope");
    lua_getfield(L, -1, "pretty");
    lua_replace(L, -3);
    lua_pop(L, 1);
    lua_insert(L, first);
    lua_call(L, n, 1);
    say(r, '=', luaL_tolstring(L, -1, NULL));
}

static int run_line(lua_State *L)   /* (job) */
{
    struct job *job = lua_touserdata(L, 1);
    compile_line(L, job);
    lua_call(L, 0, LUA_MULTRET);
    show_results(L, 2);
    return 0;
}

static int run_chunk(lua_State *L)
{
    struct job *job = lua_touserdata(L, 1);
    if (luaL_loadbufferx(L, job->text, strlen(job->text), job->name, "t") != LUA_OK) {
        job->plain = true;
        return lua_error(L);
    }
    lua_call(L, 0, 0);
    return 0;
}

static int run_file(lua_State *L)
{
    struct job *job = lua_touserdata(L, 1);
    bool console = !strcmp(job->path, "-");
    int status = luaL_loadfilex(L, console ? NULL : job->path, "t");
    if (status != LUA_OK) {
        job->plain = true;
        job->no_file = status == LUA_ERRFILE;
        return lua_error(L);
    }
    lua_createtable(L, job->argc, 1);
    lua_pushstring(L, job->path);
    lua_rawseti(L, -2, 0);
    luaL_checkstack(L, job->argc + 4, "too many arguments");
    for (int i = 0; i < job->argc; i++) {
        lua_pushstring(L, job->argv[i]);
        lua_rawseti(L, -2, i + 1);
    }
    lua_setglobal(L, "arg");
    for (int i = 0; i < job->argc; i++) lua_pushstring(L, job->argv[i]);
    lua_call(L, job->argc, 0);
    return 0;
}

/* A failure's message without its code, which *code gets. */
static const char *split_failure(lua_State *L, int first, int *code)
{
    const char *name = lua_tostring(L, first + 2), *msg = lua_tostring(L, first + 1);
    *code = QS_EARG;
    for (int c = 1; c < QS_CODES; c++)
        if (!strcmp(qs_code_name(c), name)) *code = c;
    return msg + strlen(name) + 2;
}

static int run_call(lua_State *L)
{
    struct job *job = lua_touserdata(L, 1);
    job->plain = true;
    lua_getglobal(L, "require");
    lua_pushstring(L, job->text);
    lua_call(L, 1, 1);
    lua_getfield(L, -1, job->name);
    lua_newtable(L);
    for (const char *const *p = job->pairs; *p; p += 2) {
        lua_pushstring(L, p[1]);
        lua_setfield(L, -2, p[0]);
    }
    lua_replace(L, 2);
    lua_pushvalue(L, 2);
    lua_call(L, 1, LUA_MULTRET);
    const char *text = is_failure(L, 3) ? split_failure(L, 3, &job->code) : lua_tostring(L, 3);
    job->result = qs_xstrdup(text ? text : "");
    return 0;
}

/* Runs fn(job) protected, hooked, and shows the error if there is one. LUA_OK or another status. */
static int run(qs_repl *r, lua_CFunction fn, struct job *job)
{
    lua_State *L = r->L;
    lua_settop(L, 0);
    r->stopping = false;
    hook_normal(L);
    lua_pushlightuserdata(L, job);
    lua_pushcclosure(L, on_error, 1);
    lua_pushcfunction(L, fn);
    lua_pushlightuserdata(L, job);
    int status = lua_pcall(L, 1, 0, 1);
    hook_normal(L);
    flush(r);
    return status;
}

int qs_repl_line(qs_repl *r, const char *text)
{
    struct job job = {.text = text, .name = "=console"};
    qs_bind_sync(r->L);
    int status = run(r, run_line, &job);
    qs_bind_sync(r->L);
    if (status == LUA_OK || r->quitting) return 0;
    if (job.incomplete) return 1;
    bool cancelled = stopped(r);
    say(r, '!', cancelled ? _("interrupted") : lua_tostring(r->L, -1));
    return cancelled ? -QS_ECANCEL : -QS_EARG;
}

/* Exit codes of DESIGN 5. The message is said, or given where message is not NULL. */
static int verdict(qs_repl *r, int status, const struct job *job, char **message)
{
    const char *file = qs_bind_get(r->L)->file_error, *diverged = qs_bind_get(r->L)->diverged;
    if (r->quitting) return 0;
    if (status == LUA_OK && *diverged && !message) say(r, '!', diverged);
    if (status == LUA_OK) return *diverged ? 4 : 0;
    bool cancelled = stopped(r);
    const char *msg = lua_tostring(r->L, -1);
    if (message) *message = qs_xstrdup(cancelled ? _("interrupted") : msg);
    else say(r, '!', cancelled ? _("interrupted") : msg);
    if (cancelled) return 130;
    bool about_file = *file && strstr(msg, file);   /* assert(qs.load(...)), wherever it stands */
    return job->no_file || about_file ? 3 : *diverged && strstr(msg, diverged) ? 4 : 1;
}

int qs_repl_chunk(qs_repl *r, const char *text, const char *chunkname)
{
    struct job job = {.text = text, .name = chunkname};
    return verdict(r, run(r, run_chunk, &job), &job, NULL);
}

int qs_repl_file(qs_repl *r, const char *path, int argc, char **argv)
{
    struct job job = {.path = path, .argc = argc, .argv = argv};
    return verdict(r, run(r, run_file, &job), &job, NULL);
}

static int run_guarded(lua_State *L)
{
    const struct job *job = lua_touserdata(L, 1);
    void *arg = job->arg;
    lua_CFunction fn = job->fn;
    lua_settop(L, 0);
    lua_pushlightuserdata(L, arg);
    return fn(L);
}

int qs_repl_guard(qs_repl *r, lua_CFunction fn, void *arg, char **message)
{
    struct job job = {.fn = fn, .arg = arg};
    if (message) *message = NULL;
    int code = verdict(r, run(r, run_guarded, &job), &job, message);
    if (!r->o.screen) r->quitting = false;      /* what was left is over */
    return code;
}

int qs_repl_call(qs_repl *r, const char *module, const char *function, const char *const *pairs, char **text, qs_err *err)
{
    struct job job = {.text = module, .name = function, .pairs = pairs};
    int status = run(r, run_call, &job);
    *text = NULL;
    if (status != LUA_OK) {
        free(job.result);
        if (stopped(r)) return qs_fail(err, QS_ECANCEL, "%s", _("interrupted"));
        return qs_fail(err, QS_EARG, "%s", lua_tostring(r->L, -1));
    }
    if (job.code) qs_fail(err, job.code, "%s", job.result);
    if (!job.code) *text = job.result;
    else free(job.result);
    return -job.code;
}

/* ---- completion (complete.c) ------------------------------------------------------------------------------ */
size_t qs_repl_complete(qs_repl *r, const char *word, char **out, size_t max)
{
    return qs_complete(r->L, word, out, max);
}

size_t qs_repl_words(qs_repl *r, char ***out) { return qs_complete_words(r->L, out); }
