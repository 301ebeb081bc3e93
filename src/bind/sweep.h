/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_BIND_SWEEP_H
#define QS_BIND_SWEEP_H
/*
 * Sweeps as scripts declare them. Includes no Lua header, so that app can use it
 * plainly: `quantscope sweep` takes the declaration of a file, its workers run
 * one cell of it, and all who run one say the same.
 */
#include "bind/repl.h"
#include "store/sweep_run.h"

/* What qs.sweep{...} declared; counted references. Its functions stay in Lua. */
typedef struct qs_declared {
    int refs;
    qs_sweep *s;
    char *file;                /* where it was declared; NULL: not in a file */
    char **input;              /* its inputs, and the modules the script has loaded; ends with NULL */
    size_t ninput;
    char **arg;                /* the script's arguments; ends with NULL */
} qs_declared;
void qs_declared_unref(qs_declared *d);

/* "quantscope 0.1.0 (onednn, avx512)": results of two programs that say the same are the same. */
const char *qs_program_text(void);

/* Runs the script and takes the one sweep it returns. The exit code as in repl.h; the reason was said. */
int qs_repl_sweep(qs_repl *r, const char *path, const char *text, size_t n, qs_declared **out);

/* What argv a worker process gets; malloc'd, its words too; ends with NULL. qs_worker_argv_free. */
char **qs_worker_argv(const qs_declared *d, const char *path);
void qs_worker_argv_free(char **argv);

/* One cell in a worker process. */
typedef struct qs_cell_call {
    const char *path, *text;   /* the script */
    size_t ntext;
    int argc;                  /* its arguments */
    char **argv;
    const char *name;          /* of the sweep */
    const char *key;
    int64_t seed;
    void (*progress)(void *ctx, double done, const char *text);
    void *ctx;
} qs_cell_call;
/* Runs the script up to the sweep, then its function. What comes of it, and every failure, is in the report. */
void qs_repl_cell(qs_repl *r, const qs_cell_call *c, qs_report *out);

/* ---- what is said while a sweep runs (sweep_say.c) --------------------------------------------------------------- */
/* On a terminal a line that is redrawn, and a line a cell that did not end well; elsewhere a line a cell. On stderr, or in
 * the log of a session that is on the screen. */
typedef struct qs_sweep_say {
    const char *name, *db;
    qs_session *session;       /* NULL: stderr */
    bool tty, shown, here;     /* here: cells run in this process */
    bool quiet;                /* say nothing */
} qs_sweep_say;
/* s: a session on the screen, or NULL. */
void qs_sweep_say_init(qs_sweep_say *y, const char *name, const char *db, qs_session *s, bool here);
qs_sweep_watch qs_sweep_say_watch(qs_sweep_say *y);
/* The last word: how it ended, rc being what qs_sweep_run returned. */
void qs_sweep_say_end(qs_sweep_say *y, const qs_tally *t, int rc);

#endif
