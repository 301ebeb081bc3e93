/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_STORE_SWEEP_RUN_H
#define QS_STORE_SWEEP_RUN_H
/*
 * Runs a sweep: which cells are to be run is in the database, who runs them is a
 * crew, or the caller itself; this process is the one that writes.
 *
 * Whatever happens, a cell is done with everything it gave, or will run again:
 * cells that failed, were killed or took too long run again with the next call,
 * unless keep_failed.
 */
#include <signal.h>

#include "base/sync.h"
#include "store/report.h"
#include "store/store.h"
#include "store/sweep.h"

typedef struct qs_sweep_opts {
    const char *db;            /* NULL: qs_sweep_db */
    qs_store_mode journal;     /* WAL or DELETE */
    int jobs;                  /* workers; 0: one a thread */
    double limit;              /* seconds a cell may take; 0: any */
    bool fresh;                /* forget all runs of the sweep in that database first; not with a filter */
    bool accept;               /* go on though script, inputs, grid or program changed */
    bool keep_failed;
    const char *filter;        /* as qs_sweep_choose */
    long shard, shards;        /* as qs_sweep_choose */
} qs_sweep_opts;

/* What the cells are made of. */
typedef struct qs_sweep_source {
    const char *path;          /* of the script */
    const char *text;          /* (ntext) its bytes, which workers get */
    size_t ntext;
    char *const *input;        /* files; ends with NULL; NULL: none */
    const char *version;       /* of the program: "quantscope 0.1.0 (onednn, avx512)" */
    const char *program;       /* what workers are; NULL: `here` runs the cells */
    char *const *argv;         /* its arguments; ends with NULL */
    /* Runs a cell in this process and fills the report up to qs_report_close. Not 0: it was interrupted. */
    int (*here)(void *ctx, const qs_sweep_cell *c, int64_t seed, qs_report *out);
    void *ctx;
} qs_sweep_source;

typedef struct qs_tally {
    size_t cells;              /* chosen by filter and shard */
    size_t before;             /* done when it began, or by another process meanwhile */
    size_t kept;               /* failed before, and kept */
    size_t done, failed, killed, timeout;      /* now */
    size_t running;            /* now, here */
    size_t elsewhere;          /* waited for: other processes run them */
    double part;               /* of the running cells: the sum of their progress */
    double seconds;
    const char *doing;         /* what a running cell said last, or NULL */
} qs_tally;

/* Who wants to know. All may be NULL. */
typedef struct qs_sweep_watch {
    void (*begins)(void *ctx, const qs_tally *t, int jobs);
    void (*ended)(void *ctx, const qs_tally *t, const qs_sweep_cell *c, const qs_outcome *o);
    void (*said)(void *ctx, const qs_sweep_cell *c, const char *line);      /* a line that a worker printed */
    int (*tick)(void *ctx, const qs_tally *t);                         /* now and then; not 0: stop */
    void *ctx;
} qs_sweep_watch;

/* "wal" or "delete". EARG. */
int qs_journal_read(const char *text, qs_store_mode *out, qs_err *err);
/* The file that results go to where none is named: NAME.db, of a shard NAME.I-of-N.db; malloc'd. */
char *qs_sweep_db(const qs_sweep *s, long shard, long shards);

/*
 * Runs what is left. 0: no cell is left, though some may have failed; tally says how it went, whatever is returned.
 * EARG; ESTATE: something changed since, and accept is not set; EIO and EFORMAT: the database, an input, the program.
 * ECANCEL: ctl or watch.tick, or a signal, which qs_stop_signal tells: cells that ran are as if they had not begun.
 */
int qs_sweep_run(const qs_sweep *s, const qs_sweep_opts *o, const qs_sweep_source *src, const qs_sweep_watch *watch,
                 const qs_ctl *ctl, qs_tally *tally, qs_err *err);

/* What a run would find, without writing: status[i] is that of cell at[i]; both malloc'd, *n of them. A database that is
 * not there knows no cell. Errors as above. */
int qs_sweep_look(const qs_sweep *s, const qs_sweep_opts *o, size_t **at, qs_trial_status **status, size_t *n, qs_err *err);
/* Whether a cell of that status is to be run. */
bool qs_sweep_wants(const qs_sweep_opts *o, qs_trial_status status);

/* ---- signals (stop.c) -------------------------------------------------------------------------------------- */
/* From begin to end SIGINT, SIGTERM and SIGHUP are noted instead of ending the program; a handler that was there is called
 * too. Signals that are ignored stay ignored. SIGXFSZ (ulimit -f) is an error of the write, as a full disk. Pairs may stand inside
 * each other; one thread. */
void qs_stop_begin(void);
void qs_stop_end(void);
int qs_stop_signal(void);      /* the first that came since qs_stop_begin, or 0 */

#endif
