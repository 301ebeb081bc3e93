/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_STORE_STORE_H
#define QS_STORE_STORE_H
/*
 * The results database: SQLite, one file, a schema with a version (documented
 * in quantscope(1)); any SQLite client may read it while a sweep writes.
 *
 *     sweep   a named grid of cells from one script
 *     cell    one combination of parameters; its key says the same thing everywhere
 *     run     one attempt at a cell: what happened, where, how long, with what
 *     metric  a named number of a run; series: a named list of numbers
 *
 * What a cell gave and that it is done are one transaction: after a crash a
 * cell is done with everything or not done. Several processes may write to one
 * file; a writer waits up to 30 s for another. One store serves one thread and
 * does not go through fork: open it again in the child.
 *
 * Errors, all with the file's name: EIO (cannot be opened, disk full, locked too
 * long), EFORMAT (not a results database, of a newer version, damaged), EARG,
 * ESTATE. Whatever the error, nothing of that call is in the file.
 *
 * Cost: a write is 0.1 ms with a write-ahead log, and what five flushes of the
 * disk take, 2 to 20 ms and more, with a rollback journal.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

typedef struct qs_store qs_store;

typedef enum qs_store_mode {
    QS_STORE_READ,            /* must exist; never changes what is in it */
    QS_STORE_WAL,             /* made if missing; write-ahead log: for local disks */
    QS_STORE_DELETE,          /* made if missing; rollback journal: for shared file systems, where a log in shared
                               * memory does not work */
} qs_store_mode;

qs_store *qs_store_open(const char *path, qs_store_mode mode, qs_err *err);
/* The same with a patience of its own, in seconds, from the first look on. */
qs_store *qs_store_open_within(const char *path, qs_store_mode mode, double patience, qs_err *err);
void qs_store_close(qs_store *s);
const char *qs_store_path(const qs_store *s);
/* How long to wait for another process's lock; 30 s where it is not called. */
void qs_store_patience(qs_store *s, double seconds);

/* ---- sweeps and cells -------------------------------------------------------------------------- */
/* What a sweep was started from; strings borrowed. */
typedef struct qs_sweep_info {
    const char *name;
    const char *script;        /* path as given */
    const char *script_hash;   /* SHA-256, hexadecimal, of the script's bytes */
    const char *inputs;        /* JSON object: input file -> SHA-256; "{}" */
    const char *program;       /* "quantscope 0.3 (onednn, avx512)" */
    const char *grid;          /* JSON object: parameter -> list of values, as declared */
} qs_sweep_info;

/* Finds the sweep of that name or makes it; *id. What differs from the last time (the script's bytes, inputs, program,
 * grid) is said in `changed` (size n; "" if nothing): the caller decides, and accepts by qs_store_accept. */
int qs_store_sweep(qs_store *s, const qs_sweep_info *info, int64_t *id, char *changed, size_t n, qs_err *err);
int qs_store_accept(qs_store *s, int64_t sweep, const qs_sweep_info *info, qs_err *err);
/* Takes all cells and runs of a sweep away (--fresh): call it before qs_store_cells. Who is at one of them elsewhere gets
 * ESTATE when it ends. */
int qs_store_forget(qs_store *s, int64_t sweep, qs_err *err);

typedef enum qs_trial_status {
    QS_TRIAL_NONE, QS_TRIAL_RUNNING, QS_TRIAL_DONE, QS_TRIAL_FAILED, QS_TRIAL_KILLED, QS_TRIAL_TIMEOUT
} qs_trial_status;
extern const char *const qs_trial_status_name[];   /* "none", "running", "done", "failed", "killed", "timeout" */

typedef struct qs_trial {
    int64_t id;                /* in this file */
    int64_t place;             /* in the whole grid, whatever the shard or filter: rows are read in this order, then in
                                * the order they were added */
    char *key;                 /* stable: canonical JSON of the parameters, names sorted, no spaces, shortest numbers */
    char *params;              /* JSON object as declared */
    qs_trial_status status;    /* of the last run; a RUNNING one whose process is gone counts as KILLED */
} qs_trial;
/*
 * Adds cells that are not there yet, in order, one transaction, and fills id and status of all n (key, params and place
 * are the caller's). 100,000 cells: under a second when they are all there.
 */
int qs_store_cells(qs_store *s, int64_t sweep, qs_trial *cell, size_t n, qs_err *err);

/* ---- runs ---------------------------------------------------------------------------------------- */
typedef struct qs_metric { const char *name; double x; } qs_metric;              /* NaN and infinities are kept */
typedef struct qs_metric_series { const char *name; const double *x; size_t n; } qs_metric_series;

/* A result. text: other things a run returned, JSON object or NULL. error: message of what failed, or NULL. */
typedef struct qs_outcome {
    qs_trial_status status;
    double seconds;
    uint64_t seed;
    const char *error, *text;
    const qs_metric *metric;
    size_t nmetric;
    const qs_metric_series *series;
    size_t nseries;
} qs_outcome;

/*
 * A run begins (status RUNNING, this host and process). *run: its id. ESTATE, and nothing to worry about: the cell is
 * done meanwhile, or another process is at it and lives, or the cell was taken away.
 */
int qs_store_begin(qs_store *s, int64_t cell, int64_t *run, qs_err *err);
/* And ends: status, metrics and series in one transaction. ESTATE: the run was taken away, or is over. */
int qs_store_end(qs_store *s, int64_t run, const qs_outcome *r, qs_err *err);
/* It never was (the program is asked to stop before the cell is done): takes the run away. */
int qs_store_abandon(qs_store *s, int64_t run, qs_err *err);
/*
 * What is written between begin and end is one transaction, with one flush of the disk: all of it is in the file or, where rc
 * is negative or end fails, nothing. A call in between that fails takes itself back only. Not to be begun twice.
 */
int qs_store_group_begin(qs_store *s, qs_err *err);
int qs_store_group_end(qs_store *s, int rc, qs_err *err);
/*
 * All runs of this process live. A run whose process is on this host is known to live by the process (number, start time
 * and boot: a number used again is not taken for it); one on another host by this word, which is to come about once a
 * minute: it counts as KILLED when it is QS_STORE_SILENCE seconds old.
 */
int qs_store_alive(qs_store *s, qs_err *err);
#define QS_STORE_SILENCE 600

/* ---- reading --------------------------------------------------------------------------------------- */
/* A sweep and how its cells stand; the counts add up to `cells`. */
typedef struct qs_sweep_row {
    char *name, *script, *script_hash, *program, *grid;
    char *made;                /* when: UTC, "2024-05-31T12:00:00.000Z" */
    size_t cells, done, failed /* also killed and timeout */, running, left;
} qs_sweep_row;
/* All sweeps in the order they were made; *n of them, freed with qs_store_free_sweeps. */
int qs_store_sweeps(qs_store *s, qs_sweep_row **row, size_t *n, qs_err *err);
void qs_store_free_sweeps(qs_sweep_row *row, size_t n);

/* One line a cell: its parameters and the metrics of its last run that is done. */
typedef struct qs_results_row {
    char *key, *params;        /* JSON */
    qs_trial_status status;    /* of the last run */
    double seconds;            /* of the last run that is over; NaN: none */
    char *error;               /* of the last run; NULL: none */
    double *x;                 /* (nmetric of the table) NaN where it has none */
} qs_results_row;
typedef struct qs_results {
    char **metric;             /* (nmetric) names in the order they came up */
    size_t nmetric;
    qs_results_row *row;       /* (nrow) every cell of the sweep, in order; status NONE: not begun */
    size_t nrow;
    int64_t change;            /* as qs_store_change: read again only when that is another */
} qs_results;
/* EARG: there is no such sweep. 100,000 cells with 3 metrics: 0.5 s. */
int qs_store_results(qs_store *s, const char *sweep, qs_results *out, qs_err *err);
void qs_results_clear(qs_results *t);
void qs_results_row_clear(qs_results_row *r);
/* A series of the last done run of a cell, malloc'd; *n 0 and *x NULL where there is none. */
int qs_store_series(qs_store *s, const char *sweep, const char *key, const char *name, double **x, size_t *n, qs_err *err);
/* The names of its series, or (key NULL) of those of all cells: sorted; each malloc'd, as is the list. */
int qs_store_series_names(qs_store *s, const char *sweep, const char *key, char ***name, size_t *n, qs_err *err);
/* Grows with every write of any process; counts from when this store was opened. Cheap: ask before reading again. */
int qs_store_change(qs_store *s, int64_t *change, qs_err *err);

/*
 * Copies sweeps, cells and runs of the file `from` into s. Of a cell that is in both, a done run is kept over one that is
 * not, and of two alike the later; runs that are not over stay behind. Merging twice changes nothing. ESTATE: a sweep was
 * run with another script or other inputs; accept: all the same.
 */
int qs_store_merge(qs_store *s, const char *from, bool accept, qs_err *err);

#endif
