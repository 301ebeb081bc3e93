/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The workbench: makes session, Lua, board, worker and screen, and ties them.
 * Once the worker runs, session and Lua are its own; the screen's thread only
 * touches the board and the job box.
 */
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/app.h"
#include "base/mem.h"
#include "base/text.h"
#include "bind/repl.h"
#include "store/watch.h"
#include "ui/ui.h"

typedef struct workbench {
    qs_session *session;
    qs_repl *repl;
    qs_board *board;
    qs_jobs *jobs;
    qs_watch *watch;
    const char *results;       /* a results database that was named, or NULL */
} workbench;

/* ---- the worker's side --------------------------------------------------------------------- */
static void renew_words(workbench *w)
{
    char **words = NULL;
    size_t n = qs_repl_words(w->repl, &words);
    qs_board_set_words(w->board, words, n);
}

/* A line from the console. One that is not complete asks for more: the screen hides its echo again ('?', see ui). */
static void run_job(void *ctx, uint64_t id, const char *text)
{
    workbench *w = ctx;
    size_t lines = 1;
    for (const char *p = text; *p; p++) lines += *p == '\n';
    qs_session_log(w->session, '>', text);
    qs_session_publish(w->session, true);
    if (qs_repl_line(w->repl, text) == 1) {
        char more[64];
        snprintf(more, sizeof more, "%llu %zu", (unsigned long long)id, lines);
        qs_session_log(w->session, '?', more);
    }
    renew_words(w);
    qs_session_serve(w->session);
    qs_session_publish(w->session, true);
}

/* A line that was cancelled before its turn came. */
static void skip_job(void *ctx, uint64_t id, const char *text)
{
    workbench *w = ctx;
    char *line = qs_xasprintf(_("not run: %s"), text);
    (void)id;
    qs_session_log(w->session, '!', line);
    qs_session_publish(w->session, true);
    free(line);
}

static void serve(void *ctx)
{
    workbench *w = ctx;
    qs_session_serve(w->session);
}

static bool idle(void *ctx)
{
    workbench *w = ctx;
    return qs_session_idle(w->session);
}

/* Called by the board, on either thread, and by the reader of results. */
static void wake(void *ctx)
{
    workbench *w = ctx;
    if (w->jobs) qs_jobs_wake(w->jobs);
}

static void poke(void *ctx)
{
    workbench *w = ctx;
    if (w->jobs) qs_jobs_poke(w->jobs);
}

static void sink(void *ctx, char kind, const char *line)
{
    workbench *w = ctx;
    qs_session_log(w->session, kind, line);
}

/* ---- before the screen opens ------------------------------------------------------------------- */
static int cannot_open(const qs_args *a, int i, const qs_err *err)
{
    const char *path = a->rest[i];
    if (i == 0 && err->code == QS_EIO && access(path, F_OK) && !strchr(path, '/') && !strchr(path, '.'))
        qs_say(_("there is no file \"%s\", and no command of that name; quantscope --help lists them"), path);
    else
        return qs_say_file(err);
    return QS_EXIT_FILE;
}

static int open_bundled(workbench *w)
{
    qs_err err = {0};
    char *path = qs_path_bundled();
    if (!path) {
        qs_say(_("the bundled model is not where it was installed (%s); name a MODEL"), QS_DATADIR);
        return QS_EXIT_FILE;
    }
    int code = qs_session_open(w->session, path, &err) ? 0 : qs_say_file(&err);
    free(path);
    return code;
}

/* What is named is a model, or a results database. */
static int open_models(workbench *w, const qs_args *a)
{
    qs_err err = {0};
    for (int i = 0; i < a->nrest; i++) {
        if (qs_watch_can(a->rest[i])) w->results = a->rest[i];
        else if (!qs_session_open(w->session, a->rest[i], &err)) return cannot_open(a, i, &err);
    }
    return 0;
}

static int check_terminal(const qs_args *a)
{
    if (isatty(STDIN_FILENO) && isatty(STDOUT_FILENO)) return 0;
    qs_say(_("the workbench needs a terminal; without one: quantscope list %s, or compare, curve, run"),
           a->nrest ? a->rest[0] : "MODEL");
    return QS_EXIT_USAGE;
}

/* Shows the first model from the start, or the results that were named. */
static int select_first(workbench *w)
{
    qs_err err = {0};
    qs_pick p = {.set = QS_PICK_MODEL};
    if (w->results) {
        p.set |= QS_PICK_VIEW | QS_PICK_RESULTS;
        snprintf(p.view, sizeof p.view, "results");
        snprintf(p.results.file, sizeof p.results.file, "%s", w->results);
    }
    snprintf(p.model, sizeof p.model, "%s", qs_session_model(w->session, 0)->path);
    return qs_session_select(w->session, &p, &err) ? qs_say_err(&err) : 0;
}

static int make_lua(workbench *w, const qs_args *a)
{
    qs_err err = {0};
    char *data = qs_path_data("");
    qs_repl_opts o = {.session = w->session, .data = data, .program = "/proc/self/exe", .sink = sink, .quit = qs_ui_quit,
                        .ctx = w, .screen = true};
    w->repl = qs_repl_new(&o, &err);
    free(data);
    if (!w->repl) return qs_say_err(&err);
    char *path = a->no_config ? NULL : qs_path_config();
    if (path && !access(path, F_OK)) qs_repl_file(w->repl, path, 0, NULL);    /* what it says is in the console */
    free(path);
    return 0;
}

/* ---- the screen ------------------------------------------------------------------------------------ */
static int colors(const qs_args *a)
{
    const char *no = getenv("NO_COLOR");
    if (!a->color) return no && *no ? 0 : -1;
    return !strcmp(a->color, "none") ? 0 : !strcmp(a->color, "auto") ? -1 : atoi(a->color);
}

static int show(workbench *w, const qs_args *a)
{
    qs_err err = {0};
    qs_jobs_ops ops = {.ctx = w, .run = run_job, .skip = skip_job, .serve = serve, .idle = idle};
    char *history = qs_path_history();
    w->board = qs_board_new(wake, poke, w);
    w->jobs = qs_jobs_start(&ops, &err);
    int code = w->jobs ? make_lua(w, a) : qs_say_err(&err);
    if (!code && !(w->watch = qs_watch_start(poke, w, &err))) code = qs_say_err(&err);
    if (!code) {
        qs_source results = qs_watch_source(w->watch);
        qs_session_attach(w->session, w->board, w->jobs);
        qs_session_set_source(w->session, &results);
        code = select_first(w);
    }
    if (!code) {
        renew_words(w);
        qs_session_publish(w->session, true);
        qs_jobs_poke(w->jobs);      /* from here on session and Lua are the worker's */
        qs_ui_opts o = {.board = w->board, .jobs = w->jobs, .history = history, .script = getenv("QUANTSCOPE_SCRIPT"),
                        .charset = a->plot, .colors = colors(a)};
        code = qs_ui_run(&o, &err);
        if (code && *err.msg) qs_say("%s", err.msg);
    }
    qs_watch_stop(w->watch);        /* it pokes the worker; the worker asks it until the end */
    if (w->jobs) qs_jobs_stop(w->jobs);
    qs_watch_free(w->watch);
    free(history);
    return code;
}

int qs_cmd_workbench(const qs_args *a)
{
    workbench w = {.session = qs_session_new()};
    int code = open_models(&w, a);
    if (!code) code = check_terminal(a);
    if (!code && !qs_session_models(w.session)) code = open_bundled(&w);
    if (!code) code = show(&w, a);
    w.jobs = NULL;
    if (w.repl) qs_repl_free(w.repl);
    qs_session_free(w.session);
    if (w.board) qs_board_free(w.board);
    return code;
}
