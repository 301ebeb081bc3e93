/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The console without a screen: lines, printing, errors, interrupting, completion. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/sync.h"
#include "bind/repl.h"
#include "config.h"
#include "tests/tap.h"

static _Atomic uint64_t cancel_upto;
static qs_ctl ctl = {.cancel_upto = &cancel_upto, .job = 1};
static qs_session *session;
static qs_repl *repl;
static qs_str said;      /* everything the sink was given: kind, text, newline */
static int quit_code = -1;

static void sink(void *ctx, char kind, const char *line)
{
    (void)ctx;
    qs_str_addf(&said, "%c%s\n", kind, line);
}

static void quit(int code) { quit_code = code; }

/* What one line says. */
static const char *line(const char *text)
{
    said.n = 0;
    if (said.s) *said.s = 0;
    qs_repl_line(repl, text);
    return said.s ? said.s : "";
}

static bool has(const char *text, const char *part) { return strstr(text, part); }

static void says(const char *text, const char *want) { same(line(text), want, "%s", text); }

static void part_says(const char *text, const char *part)
{
    const char *got = line(text);
    if (!ok(has(got, part), "%s says %s", text, part)) printf("# got %s", got);
}

/* ---- lines --------------------------------------------------------------------------- */
static void test_lines(void)
{
    says("1 + 1", "=2\n");
    says("= 1 + 1", "=2\n");
    says("1, 'a', nil", "=1\ta\tnil\n");
    says("x = 5", "");
    says("x", "=5\n");
    says("local y = 1; print(x, y)", " 5\t1\n");
    says("print 'a\\nb'", " a\n b\n");
    says("nil", "=nil\n");
    says("", "");
    says("-- only a comment", "");
    says("1 -- with a comment", "=1\n");
    says("return 7", "=7\n");
    says("io.write('part'); io.write(' of a line')", " part of a line\n");
    says("local f = io.write('a\\nb\\n')", " a\n b\n");
    says("io.stdout:write('x\\n'); print 'y'; io.stderr:write('z\\n')", " x\n y\n z\n");
    says("io.write('before ') print('after')", " before \n after\n");
    says("warn('careful')", " careful\n");
}

static void test_incomplete(void)
{
    static const char *const open[] = {"for i = 1, 3 do", "f(", "x = {", "function g()", "if x then", "s = [[text",
                                       "return function()", "(1 +", "x =", "--[[ comment", "print('a',"};
    static const char *const closed[] = {"for i = 1, 3 do end", "x = )", "'unfinished", "}", "end", "x = = 1"};
    for (size_t i = 0; i < sizeof open / sizeof *open; i++)
        ok(qs_repl_line(repl, open[i]) == 1, "wants more: %s", open[i]);
    for (size_t i = 0; i < sizeof closed / sizeof *closed; i++)
        ok(qs_repl_line(repl, closed[i]) != 1, "is over: %s", closed[i]);
    says("for i = 1, 2 do\nprint(i)\nend", " 1\n 2\n");
    said.n = 0;
    qs_repl_line(repl, "for i = 1, 3 do");
    ok(said.n == 0, "an incomplete line says nothing");
}

static void test_errors(void)
{
    says("x = = 1", "!console:1: unexpected symbol near '='\n");
    says("error('plain', 0)", "!plain\n");
    says("local a = nil + 1", "!console:1: attempt to perform arithmetic on a nil value\n");
    says("error({})", "!(error object is a table value)\n");
    says("error(setmetatable({}, {__tostring = function() return 'own words' end}))", "!own words\n");
    line("function deep(n) if n == 0 then error 'bottom' end deep(n - 1) return 1 end");
    const char *got = line("deep(3)");
    ok(has(got, "bottom") && has(got, "in function 'deep'") && !has(got, "[C]"), "a traceback without C functions");
    if (has(got, "[C]")) printf("# %s", got);
    line("function endless() return 1 + endless() end");
    got = line("endless()");
    size_t lines = 0;
    for (const char *c = got; *c; c++) lines += *c == '\n';
    ok(has(got, "stack overflow") && lines < 20, "a deep stack is cut short");
    ok(qs_repl_line(repl, "error 'x'") < 0, "a line that fails is negative");
    ok(qs_repl_line(repl, "y = 1") == 0, "and the next one works");
}

static void test_failures(void)
{
    says("nil, 'EIO: gone', 'EIO'", "!EIO: gone\n");
    says("nil, 'gone', 'EIO'", "=nil\tgone\tEIO\n");
}

/* ---- printing ---------------------------------------------------------------------------- */
static void test_printing(void)
{
    says("{}", "={}\n");
    says("{1, 2.5, 'x'}", "={1, 2.5, \"x\"}\n");
    says("{b = 1, a = {c = true}}", "={a={c=true}, b=1}\n");
    says("{[true] = 1}", "={[true]=1}\n");
    const char *got = line("local t = {} for i = 1, 1e5 do t[i] = i end return t");
    ok(strlen(got) < 200 && has(got, "99988 more"), "a long array is bounded");
    got = line("local t = {} for i = 1, 1e4 do t['key' .. i] = ('x'):rep(1000) end return t");
    ok(strlen(got) < 20000 && has(got, "more"), "a large map is bounded");
    got = line("local t = {} t.t = t return t");
    ok(has(got, "{t={…}}"), "a table inside itself");
    got = line("local t = {} for i = 1, 50 do t = {t} end return t");
    ok(strlen(got) < 100, "a deep table is bounded");
    says("{{init='lsq', step=0.25}, {init='mse', step=0.5}}", "=init  step\n=lsq   0.25\n=mse   0.5\n");
    says("{{init='x', error='EARG: no'}}", "=init\n=x  EARG: no\n");
    says("setmetatable({}, {__tostring = function() return 'mine' end})", "=mine\n");
    got = line("setmetatable({}, {__tostring = function() error 'bad' end})");
    ok(has(got, "!") && has(got, "bad"), "a __tostring that fails is an error like any other");
    ok(qs_repl_line(repl, "x = 1") == 0, "and the next line works");
}

/* ---- interrupting --------------------------------------------------------------------------- */
#ifdef QS_SANITIZED
#define LIMIT 4.0
#else
#define LIMIT 1.0
#endif

static double cpu(void)   /* seconds of processor this program has had */
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double cancelled_at, cancelled_cpu;

static void *cancel_soon(void *arg)
{
    (void)arg;
    struct timespec wait = {.tv_nsec = 150000000};
    nanosleep(&wait, NULL);
    cancelled_at = qs_now();
    cancelled_cpu = cpu();
    atomic_store(&cancel_upto, ctl.job);
    return NULL;
}

/* Runs a line that never ends, cancels it after 0.15 s, and sees that it ends within a second (of processor time, where
 * the machine is busy with other things) and that the next line works. */
static void stops(const char *text)
{
    pthread_t th;
    ctl.job++;
    qs_session_set_ctl(session, &ctl);
    said.n = 0;
    pthread_create(&th, NULL, cancel_soon, NULL);
    int rc = qs_repl_line(repl, text);
    double end = qs_now(), end_cpu = cpu();
    pthread_join(th, NULL);
    ok(rc == -QS_ECANCEL && (end - cancelled_at < LIMIT || end_cpu - cancelled_cpu < LIMIT),
       "stops within a second (%.2f s, cpu %.2f s): %.60s", end - cancelled_at, end_cpu - cancelled_cpu, text);
    same(said.s, "!interrupted\n", "and says so");
    ctl.job++;
    qs_session_set_ctl(session, &ctl);
    says("1 + 1", "=2\n");
}

static void test_interrupt(void)
{
    stops("while true do end");
    stops("while true do pcall(function() while true do end end) end");
    stops("while true do pcall(pcall, error) end");
    stops("while true do pcall(string.rep, 'x', 1000) end");
    stops("local c = coroutine.wrap(function() while true do end end) while true do c() end");
    stops("while true do coroutine.wrap(function() pcall(function() while true do end end) end)() end");
    stops("local function f() while true do pcall(coroutine.wrap(f)) end end f()");
    stops("while true do pcall(table.sort, {3, 1, 2, 5, 4}, function(a, b) while true do end end) end");
    stops("while true do xpcall(function() while true do end end, function() while true do end end) end");
    stops("setmetatable({}, {__index = function(t, k) while true do end end}).x()");
    line("co = coroutine.create(function() while true do coroutine.yield(1) end end) coroutine.resume(co)");
    stops("while true do coroutine.resume(co) end");
    ctl.job++;
    qs_session_set_ctl(session, &ctl);
    line("n = 0 co2 = coroutine.wrap(function() for i = 1, 3e6 do n = n + 1 end return n end)");
    says("co2()", "=3000000\n");
}

/* Work of the engine, and of functions it calls back. */
static void test_interrupt_engine(void)
{
    line("big = qs.randn{1000000} big:index()");
    stops("qs.curve(big, 'int8', {points = 1000000})");
    stops("while true do pcall(qs.curve, big, 'int8', {points = 1000000}) end");
    stops("coroutine.wrap(function() qs.curve(big, 'int8', {points = 1000000}) end)()");
    stops("xpcall(qs.curve, function() while true do end end, big, 'int8', {points = 1000000})");
    stops("while true do qs.randn{10000000, dist = 'student4'} end");
    line("qs.register_init{name = 'hang', fn = function() while true do end end}");
    stops("qs.init('hang', big, 'int4')");
    stops("while true do pcall(qs.init, 'hang', big, 'int4') end");
    stops("while true do pcall(qs.compare, big, 'int4', {'hang', 'lsq'}) end");
    stops("qs.register_init{name = 'hang', fn = function() "
          "while true do pcall(function() while true do end end) end end} qs.init('hang', big, 'int4')");
    stops("qs.register_init{name = 'hang', fn = function(ix, f) while true do "
          "coroutine.wrap(function() pcall(qs.init, 'hang', ix, f) end)() end end} qs.init('hang', big, 'int4')");
    says("qs.init('lsq', big, 'int4').init", "=lsq\n");
}

/* ---- the selection and the globals that follow it ------------------------------------------------------ */
static void test_selection(void)
{
    line("path = os.tmpname() .. '.safetensors'");
    line("qs.save(path, {['conv.weight'] = qs.randn{4, 50}, ['fc.weight'] = qs.randn{3, 60}, bias = qs.randn{4}})");
    says("m, t", "=nil\tnil\n");
    part_says("qs.select{model = path, tensor = 'conv.weight', format = 'int4', init = 'lsq'}", "conv.weight");
    says("#m", "=3\n");
    says("t.name", "=conv.weight\n");
    says("tostring(f)", "=int4\n");
    says("q.init", "=lsq\n");
    says("t == m['conv.weight']", "=true\n");
    line("qs.select{tensor = 'fc.weight'}");
    says("t.name", "=fc.weight\n");
    line("t = qs.tensor{1, 2} mine = 5");
    says("#t", "=2\n");
    line("qs.select{init = 'minmax'}");
    says("#t, q.init", "=2\tminmax\n");
    line("qs.select{tensor = 'conv.weight'}");
    says("t.name, mine", "=conv.weight\t5\n");
    says("qs.select{tensor = 'conv.weight'}; return t.name", "=conv.weight\n");
    line("qs.undo()");
    says("t.name", "=fc.weight\n");
    line("q = qs.quantizer('int4', {step = 0.5})");
    says("q.step", "=0.5\n");
    line("qs.select{step = 0.25}");
    says("q.step, q.init", "=0.25\tby hand\n");
    part_says("qs.select{tensor = 'nosuch'}", "!EARG");
    part_says("t", "tensor fc.weight [3,60] F32");
    part_says("m", "conv.weight");
}

static bool completes(const char *word, const char *want);

static void test_completion_of_objects(void)
{
    ok(completes("t:su", "t:summary") && completes("t.na", "t.name") && completes("t.su", "t.summary"),
       "methods and fields");
    ok(completes("t:na", NULL), "no fields after a colon");
    ok(completes("x = 1 + q:er", "x = 1 + q:error") && completes("q.fo", "q.format"), "of the selection's quantizer");
    ok(completes("m[\"conv", "m[\"conv.weight\"]"), "tensor names");
    ok(completes("m['conv", "m['conv.weight']"), "with either quote");
    ok(completes("m[\"conv.weight\"]:ind", "m[\"conv.weight\"]:index"), "and on from there");
    ok(completes("m:get(\"fc", "m:get(\"fc.weight\""), "m:get");
    ok(completes("qs.select{tensor=\"fc", "qs.select{tensor=\"fc.weight\""), "select{tensor=}");
    ok(completes("qs.select{init=\"aciq-g", "qs.select{init=\"aciq-gauss\""), "select{init=}");
    ok(completes("qs.select{format = \"int4@ch", "qs.select{format = \"int4@channel\""), "select{format=}");
    ok(completes("qs.format \"apot", "qs.format \"apot4\"") && completes("qs.format(\"uint", "qs.format(\"uint16\""),
       "formats");
    ok(completes("qs.init(\"oct", "qs.init(\"octav\""), "initializations");
    ok(completes("qs.compare(t, \"nf", "qs.compare(t, \"nf4\""), "in any string");
    ok(completes("qs.randn{9, dist=\"lap", "qs.randn{9, dist=\"laplace\""), "distributions");
    line("lfs = io.open('t_repl.dir', 'w') lfs:close()");
    ok(completes("qs.load \"t_repl.d", "qs.load \"t_repl.dir\""), "files");
    line("os.remove 't_repl.dir'");
    line("qs.register_init{name = 'my_rule', fn = function(ix) return ix.absmax end}");
    ok(completes("qs.init(\"my_", "qs.init(\"my_rule\""), "a rule registered just now");
    part_says("help 'my_rule'", "initialization my_rule");
    char **words;
    size_t n = qs_repl_words(repl, &words), found = 0;
    static const char *const want[] = {"t:summary", "t.shape", "q:error", "m[\"conv.weight\"]", "\"my_rule\"",
                                       "\"int4\"",
                                       "\"conv.weight\"", "qs.select"};
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < sizeof want / sizeof *want; k++) found += !strcmp(words[i], want[k]);
    ok(found == sizeof want / sizeof *want, "all of them among the words");
    for (size_t i = 0; i < n; i++) free(words[i]);
    free(words);
}

/* What the screen picks is served while a loop in Lua runs, and the globals follow inside it. */
static void *pick_soon(void *board)
{
    struct timespec wait = {.tv_nsec = 100000000};
    nanosleep(&wait, NULL);
    qs_board_pick(board, &(qs_pick){.set = QS_PICK_TENSOR, .tensor = "conv.weight"});
    return NULL;
}

static void test_picks(void)
{
    pthread_t th;
    qs_board *board = qs_board_new(NULL, NULL, NULL);
    qs_session_attach(session, board, NULL);
    line("qs.select{tensor = 'fc.weight'}");
    pthread_create(&th, NULL, pick_soon, board);
    says("local t0 = os.clock() while t.name ~= 'conv.weight' and os.clock() - t0 < 5 do end return t.name",
         "=conv.weight\n");
    pthread_join(th, NULL);
    qs_session_attach(session, NULL, NULL);
    qs_board_free(board);
    line("os.remove(path)");
}

/* ---- the screen ------------------------------------------------------------------------------- */
static void test_screen(void)
{
    part_says("io.read()", "keyboard");
    part_says("io.popen('ls')", "draw over");
    part_says("os.execute('ls')", "draw over");
    part_says("debug.sethook()", "Ctrl-C");
    says("for l in io.lines() do print(l) end", "");
    says("io.stdin:read()", "=nil\n");
    says("io.stdout:close()", "=nil\tcannot close standard file\n");
    ok(quit_code == -1, "nothing asked to quit so far");
    says("pcall(os.exit, 3) print 'not reached'", "");
    ok(quit_code == 3, "os.exit asks the screen to end, with its code");
}

/* ---- completion -------------------------------------------------------------------------------- */
static bool completes(const char *word, const char *want)
{
    char *out[4000];
    size_t n = qs_repl_complete(repl, word, out, 4000);
    bool there = false;
    for (size_t i = 0; i < n; i++) {
        there = there || (want && !strcmp(out[i], want));
        free(out[i]);
    }
    return want ? there : n == 0;
}

static void test_completion(void)
{
    line("tab = {alpha = 1, beta = {gamma = 2}, ['not a name'] = 3}");
    ok(completes("pri", "print"), "globals");
    ok(completes("x = pri", "x = print"), "at the end of a line");
    ok(completes("whi", "while"), "keywords");
    ok(completes("qs.lo", "qs.load"), "functions of the module");
    ok(completes("qs.register", "qs.register_init"), "all of them");
    ok(completes("string.for", "string.format"), "functions of Lua's libraries");
    ok(completes("tab.al", "tab.alpha") && completes("tab.beta.g", "tab.beta.gamma"), "fields of tables");
    ok(completes("tab.", "tab.alpha") && !completes("tab.", "tab.not a name"), "only names");
    ok(completes("tab[\"not", "tab[\"not a name\"]"), "keys in brackets");
    ok(completes("tab[\"beta\"].g", "tab[\"beta\"].gamma"), "through brackets");
    ok(completes("io.stdout:wr", "io.stdout:write"), "methods of files");
    ok(completes("nothing.x", NULL) && completes("tab.alpha.x", NULL) && completes("", "print"),
       "nothing where nothing is");
    line("boom = setmetatable({}, {__index = function() error 'called' end, __pairs = function() error 'called' end})");
    ok(completes("boom.x.y", NULL), "no metamethod is called");
    char **words;
    size_t n = qs_repl_words(repl, &words);
    bool sorted = true, load = false, member = false;
    for (size_t i = 0; i < n; i++) {
        sorted = sorted && (!i || strcmp(words[i - 1], words[i]) < 0);
        load = load || !strcmp(words[i], "qs.load");
        member = member || !strcmp(words[i], "tab.alpha");
    }
    ok(sorted && load && member, "all words, sorted");
    for (size_t i = 0; i < n; i++) free(words[i]);
    free(words);
}

/* ---- files and chunks ----------------------------------------------------------------------------- */
static void put_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    if (!f) return;
    fputs(text, f);
    fclose(f);
}

static int file(const char *text, int argc, char **argv)
{
    char path[] = "t_repl.XXXXXX";
    int fd = mkstemp(path);
    if (fd < 0) return -1;
    close(fd);
    put_file(path, text);
    said.n = 0;
    int code = qs_repl_file(repl, path, argc, argv);
    unlink(path);
    return code;
}

static void test_files(void)
{
    char *argv[] = {(char *)"one", (char *)"two"};
    ok(file("print(#arg, arg[1], ..., select('#', ...))", 2, argv) == 0, "a file runs");
    same(said.s, " 2\tone\tone\t2\n", "with its arguments");
    ok(file("#!/usr/bin/env quantscope\nprint 'after'", 0, NULL) == 0, "a first line with #!");
    ok(file("error 'no'", 0, NULL) == 1, "a failure is 1");
    ok(file("x = = 1", 0, NULL) == 1, "a syntax error is 1");
    ok(qs_repl_file(repl, "no/such/file.lua", 0, NULL) == 3, "a missing file is 3");
    ok(has(said.s, "no/such/file.lua"), "and named");
    ok(file("assert(qs.load 'no/such.onnx')", 0, NULL) == 3, "a model that is missing is 3");
    ok(file("local m, why = qs.load 'no/such.onnx' error 'something else'", 0, NULL) == 1, "unless it fails otherwise");
    ok(file("assert(require 'quantscope' == qs)", 0, NULL) == 0, "require gives the module");
    ok(file("\x1bLua", 0, NULL) == 1, "compiled Lua is refused");
    ok(qs_repl_chunk(repl, "print(1)", "=-e") == 0, "a chunk runs");
    ok(qs_repl_chunk(repl, "error()", "=-e") == 1, "a chunk fails");
}

int main(void)
{
    qs_err err;
    session = qs_session_new();
    qs_session_set_ctl(session, &ctl);
    repl = qs_repl_new(&(qs_repl_opts){.session = session, .sink = sink, .quit = quit, .screen = true}, &err);
    if (!ok(repl, "a console")) return done();
    test_lines();
    test_incomplete();
    test_errors();
    test_failures();
    test_printing();
    test_completion();
    test_files();
    test_interrupt();
    test_interrupt_engine();
    test_selection();
    test_completion_of_objects();
    test_picks();
    test_screen();
    qs_repl_free(repl);
    qs_session_free(session);
    free(said.s);
    return done();
}
