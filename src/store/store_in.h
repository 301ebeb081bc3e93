/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_STORE_STORE_IN_H
#define QS_STORE_STORE_IN_H
/*
 * What the files of the store share: SQL in one line a statement, transactions,
 * SQLite's errors as ours, who a process is, and lists of numbers as text.
 */
#include <sqlite3.h>

#include "store/store.h"

#define QS_STORE_VERSION 1                    /* PRAGMA user_version: the schema in store.c */
#define QS_STORE_APPLICATION 0x71736462       /* PRAGMA application_id: "qsdb" */
#define QS_STORE_KEPT 40                      /* different statements a store keeps compiled */

/* A process, so that it can be told whether it is gone. */
typedef struct qs_process {
    char host[256];
    int64_t pid;
    char born[96];             /* "boot id/start time since boot": another process never has both and the same pid */
} qs_process;

struct qs_store {
    sqlite3 *db;
    char *path;
    qs_store_mode mode;
    double patience;           /* seconds */
    int depth;                 /* transactions that write, in one another */
    qs_process me;
    const char *sql[QS_STORE_KEPT];           /* as the literal that asked for it */
    sqlite3_stmt *kept[QS_STORE_KEPT];
    size_t nkept;
};

/* ---- sql.c ----------------------------------------------------------------------------------- */
/* The error of the last call to SQLite, as ours. */
int qs_sql_fail(qs_store *s, qs_err *err);
/* A statement ready to bind, compiled once: sql is a literal. NULL: err. */
sqlite3_stmt *qs_sql(qs_store *s, qs_err *err, const char *sql);
/* Binds from ?1 on; kinds: i int64_t, d double (NaN becomes NULL), t text that outlives the statement's use (NULL allowed). */
void qs_sql_bind(sqlite3_stmt *st, const char *kinds, ...);
/* 1: a row; 0: no more, and the statement is at rest; else an error, at rest too. */
int qs_sql_step(qs_store *s, sqlite3_stmt *st, qs_err *err);
/* All three, for what gives no rows. 0 or an error. */
int qs_sql_run(qs_store *s, qs_err *err, const char *sql, const char *kinds, ...);
/* For what gives one number: 1, *out; 0: no row; else an error. */
int qs_sql_number(qs_store *s, qs_err *err, int64_t *out, const char *sql, const char *kinds, ...);
/* Several statements, not kept. */
int qs_sql_script(qs_store *s, qs_err *err, const char *sql);
/* Column i as malloc'd text; NULL for NULL. */
char *qs_sql_text(sqlite3_stmt *st, int i);
/* The same, borrowed until the next step; "" for NULL. */
const char *qs_sql_peek(sqlite3_stmt *st, int i);

/* A transaction that writes; qs_tx_end commits where rc is 0, else takes it back and returns rc. In another one it is part of
 * that: taken back alone, there with the outermost. */
int qs_tx_begin(qs_store *s, qs_err *err);
int qs_tx_end(qs_store *s, int rc, qs_err *err);
/* One that only reads: all in it sees one state of the file. */
int qs_tx_look(qs_store *s, qs_err *err);

/* ---- process.c ----------------------------------------------------------------------------------- */
void qs_process_self(qs_process *p);
/* Whether the process that began a run is gone; seen: when it was last heard of, as qs_utc_text. */
bool qs_process_gone(const qs_process *me, const char *host, int64_t pid, const char *born, const char *seen);
/* Now plus `after` seconds, UTC, "2024-05-31T12:00:00.000Z": sorts by time. */
#define QS_UTC_TEXT 32
const char *qs_utc_text(double after, char out[QS_UTC_TEXT]);

/* ---- numbers.c ------------------------------------------------------------------------------------ */
/* A JSON array of numbers with the digits to read back the same; NaN is null, infinities are 1e999 and -1e999. malloc'd. */
char *qs_numbers_text(const double *x, size_t n);
/* And back; *x malloc'd. false: the text is no such list. */
bool qs_numbers_read(const char *text, double **x, size_t *n);

/* ---- store_read.c --------------------------------------------------------------------------------- */
/* The status of the run in columns i .. i+4: status, host, pid, born, seen; NONE where status is NULL. */
int qs_trial_status_of(qs_store *s, sqlite3_stmt *st, int i, qs_trial_status *out, qs_err *err);

#endif
