/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * quantscope sweep, and what its worker processes are. Which cells run is in
 * store/sweep_run.h.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/app.h"
#include "app/out.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "bind/sweep.h"
#include "store/crew.h"

/* ---- what would run -------------------------------------------------------------------------------- */
enum { CELL, SEED, STATUS, RUNS, COLS };
static const qs_out_col cols[COLS] = {
    [CELL] = {"cell", N_("cell"), QS_COL_ALL, -60, NULL},
    [SEED] = {"job_seed", NULL, QS_COL_DATA, 0, NULL},
    [STATUS] = {"status", N_("status"), QS_COL_ALL, -8, NULL},
    [RUNS] = {"runs", N_("runs"), QS_COL_ALL, 0, NULL},
};

static int print_cells(const qs_args *a, const qs_sweep *s, const qs_sweep_opts *o)
{
    qs_err err;
    qs_out out;
    size_t *at, n;
    qs_trial_status *status;
    if (qs_sweep_look(s, o, &at, &status, &n, &err)) return qs_say_err(&err);
    bool more = true;
    qs_out_begin(&out, a->json ? QS_OUT_JSON : a->csv ? QS_OUT_CSV : QS_OUT_TABLE, cols, COLS);
    qs_out_head(&out);
    for (size_t i = 0; i < n && more; i++) {
        const qs_sweep_cell *c = &s->cell[at[i]];
        char *text = qs_sweep_cell_text(c);
        qs_out_val v[COLS] = {
            [CELL] = qs_out_text(out.kind == QS_OUT_TABLE ? text : c->key),
            [SEED] = qs_out_count(qs_key_seed(c->key)),
            [STATUS] = qs_out_text(qs_trial_status_name[status[i]]),
            [RUNS] = qs_out_bool(qs_sweep_wants(o, status[i])),
        };
        more = qs_out_row(&out, v);
        free(text);
    }
    free(at);
    free(status);
    return qs_out_end(&out);
}

/* ---- running ------------------------------------------------------------------------------------------ */
static int exit_code(const qs_tally *t, int rc, const qs_err *err)
{
    if (rc == -QS_ECANCEL) return qs_stop_signal() ? QS_EXIT_SIGNAL + qs_stop_signal() : QS_EXIT_INT;
    if (rc) return qs_say_err(err);
    return t->before + t->done == t->cells ? QS_EXIT_OK : QS_EXIT_FAIL;
}

static int run_cells(const qs_declared *d, const qs_sweep_opts *o, const char *path, const char *text, size_t n)
{
    qs_err err;
    qs_tally t;
    qs_sweep_say say;
    char *db = o->db ? qs_xstrdup(o->db) : qs_sweep_db(d->s, o->shard, o->shards), **argv = qs_worker_argv(d, path);
    qs_sweep_source src = {.path = path, .text = text, .ntext = n, .input = d->input, .version = qs_program_text(),
                           .program = "/proc/self/exe", .argv = argv};
    qs_sweep_say_init(&say, d->s->name, db, NULL, false);
    qs_sweep_watch watch = qs_sweep_say_watch(&say);
    qs_stop_begin();
    int rc = qs_sweep_run(d->s, o, &src, &watch, NULL, &t, &err);
    qs_stop_end();
    qs_sweep_say_end(&say, &t, rc);
    qs_worker_argv_free(argv);
    free(db);
    return exit_code(&t, rc, &err);
}

static int read_options(const qs_args *a, qs_sweep_opts *o)
{
    qs_err err;
    *o = (qs_sweep_opts){.db = a->db, .journal = qs_journal(a), .jobs = a->jobs < 0 ? 0 : (int)a->jobs, .limit = a->limit,
                         .fresh = a->fresh, .accept = a->accept_changes, .keep_failed = a->keep_failed, .filter = a->filter};
    if (a->nrest != 1) return qs_usage(_("sweep takes one FILE.lua"));
    if (a->jobs > QS_CREW_MAX) return qs_usage(_("--jobs: at most %d"), QS_CREW_MAX);
    if (a->fresh && a->resume) return qs_usage(_("--fresh and --resume: choose one"));
    if (a->shard && qs_shard_read(a->shard, &o->shard, &o->shards, &err)) return qs_usage("--shard: %s", err.msg);

    return 0;
}

/* The Lua state is gone before cells run: they have their own. */
static int declared(const char *path, const char *text, size_t n, qs_declared **out)
{
    qs_headless h;
    int code = qs_headless_open(&h);
    if (!code) code = qs_headless_lua(&h, false);
    if (!code) code = qs_repl_sweep(h.repl, path, text, n, out);
    qs_headless_close(&h);
    return code;
}

int qs_cmd_sweep(const qs_args *a)
{
    qs_err err;
    qs_sweep_opts o;
    qs_declared *d = NULL;
    size_t n;
    int code = read_options(a, &o);
    if (code) return code;
    char *text = qs_file_read(a->rest[0], &n, &err);
    if (!text) return qs_say_file(&err);
    code = declared(a->rest[0], text, n, &d);
    if (!code) code = a->dry_run ? print_cells(a, d->s, &o) : run_cells(d, &o, a->rest[0], text, n);
    qs_declared_unref(d);
    free(text);
    return code;
}

/* ---- a worker process ------------------------------------------------------------------------------------- */
static qs_hand hand;

/* At most ten a second. */
static void tell_progress(void *ctx, double done, const char *text)
{
    static double last;
    (void)ctx;
    if (qs_now() - last < 0.1) return;
    last = qs_now();
    qs_hand_tell(&hand, qs_line_progress(done, text), NULL);
}

/* Every cell has a session and a Lua state of its own. */
static int run_cell(const qs_args *a, const qs_line *job)
{
    qs_err err;
    qs_headless h;
    qs_report report = {0};
    double began = qs_now();
    qs_cell_call c = {.path = a->rest[1], .name = a->rest[2], .argc = a->nrest - 3, .argv = a->rest + 3, .text = hand.script,
                      .ntext = hand.nscript, .key = job->text, .seed = job->seed, .progress = tell_progress};
    qs_threads_set(job->threads);
    int code = qs_headless_open(&h);
    if (!code) code = qs_headless_lua(&h, false);
    if (!code) qs_repl_cell(h.repl, &c, &report);
    qs_headless_close(&h);
    fflush(stdout);
    qs_report_close(&report, qs_now() - began);
    if (!code) code = qs_hand_tell(&hand, qs_line_report(&report), &err) ? QS_EXIT_FAIL : 0;
    qs_report_clear(&report);
    return code;
}

int qs_cmd_sweep_worker(const qs_args *a)
{
    qs_err err;
    qs_line job;
    int code = 0, got = 0;
    if (a->nrest < 3) return qs_usage(_("a worker process is started by `quantscope sweep`, not by hand"));
    if (qs_hand_open(&hand, (pid_t)atol(a->rest[0]), &err)) return qs_say_err(&err);
    setvbuf(stdout, NULL, _IOLBF, 0);      /* what a cell prints is seen when it does, and not lost with it */
    if (qs_hand_tell(&hand, qs_line_hello(qs_program_text()), &err)) code = qs_say_err(&err);
    while (!code && (got = qs_hand_next(&hand, &job, &err)) == 1) {
        code = run_cell(a, &job);
        qs_line_clear(&job);
    }
    if (got < 0) code = qs_say_err(&err);
    qs_hand_close(&hand);
    return code;
}
