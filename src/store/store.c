/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The schema of the results database, opening and closing one. quantscope(1)
 * documents the schema: what changes here changes there, with the version.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/sync.h"
#include "base/text.h"
#include "store/store_in.h"

/*
 * Ids are never used again, so that a run that was taken away cannot be ended as
 * another. A metric that is NULL is NaN. source: what runs came from, once each.
 */
static const char schema[] =
    "CREATE TABLE source (id INTEGER PRIMARY KEY, script TEXT NOT NULL, script_hash TEXT NOT NULL, inputs TEXT NOT NULL,"
    " program TEXT NOT NULL, UNIQUE (script_hash, script, inputs, program));"
    "CREATE TABLE sweep (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, made TEXT NOT NULL,"
    " source INTEGER NOT NULL REFERENCES source, grid TEXT NOT NULL);"
    "CREATE TABLE cell (id INTEGER PRIMARY KEY AUTOINCREMENT, sweep INTEGER NOT NULL REFERENCES sweep ON DELETE CASCADE,"
    " place INTEGER NOT NULL, key TEXT NOT NULL, params TEXT NOT NULL, UNIQUE (sweep, key));"
    "CREATE TABLE run (id INTEGER PRIMARY KEY AUTOINCREMENT, cell INTEGER NOT NULL REFERENCES cell ON DELETE CASCADE,"
    " source INTEGER NOT NULL REFERENCES source,"
    " status TEXT NOT NULL CHECK (status IN ('running', 'done', 'failed', 'killed', 'timeout')),"
    " began TEXT NOT NULL, ended TEXT, seconds REAL, seed INTEGER, host TEXT NOT NULL, pid INTEGER NOT NULL,"
    " born TEXT NOT NULL, seen TEXT NOT NULL, error TEXT, text TEXT);"
    "CREATE INDEX run_cell ON run (cell);"
    "CREATE TABLE metric (run INTEGER NOT NULL REFERENCES run ON DELETE CASCADE, place INTEGER NOT NULL,"
    " name TEXT NOT NULL, x REAL, PRIMARY KEY (run, place)) WITHOUT ROWID;"
    "CREATE TABLE series (run INTEGER NOT NULL REFERENCES run ON DELETE CASCADE, name TEXT NOT NULL, n INTEGER NOT NULL,"
    " x TEXT NOT NULL, PRIMARY KEY (run, name));"
    "CREATE VIEW result AS SELECT sweep.name AS sweep, cell.id AS cell, cell.key AS key, cell.params AS params,"
    " run.id AS run, run.seconds AS seconds, metric.name AS metric, metric.x AS x"
    " FROM sweep JOIN cell ON cell.sweep = sweep.id"
    " JOIN run ON run.id = (SELECT max(r.id) FROM run r WHERE r.cell = cell.id AND r.status = 'done')"
    " JOIN metric ON metric.run = run.id;";

const char *const qs_trial_status_name[] = {
    [QS_TRIAL_NONE] = "none", [QS_TRIAL_RUNNING] = "running", [QS_TRIAL_DONE] = "done", [QS_TRIAL_FAILED] = "failed",
    [QS_TRIAL_KILLED] = "killed", [QS_TRIAL_TIMEOUT] = "timeout",
};

/* ---- is it ours ----------------------------------------------------------------------------------- */
typedef enum kind { OURS, EMPTY } kind;

/* What the file is; an error where it is neither. */
static int look(qs_store *s, kind *out, qs_err *err)
{
    /* One statement sees one state of the file: another process may be making the schema. */
    sqlite3_stmt *st = qs_sql(s, err, "SELECT (SELECT count(*) FROM sqlite_schema), (SELECT user_version FROM pragma_user_version),"
                                      " (SELECT application_id FROM pragma_application_id)");
    if (!st) return -err->code;
    int rc = qs_sql_step(s, st, err);
    if (rc < 0) return rc;
    int64_t tables = sqlite3_column_int64(st, 0), version = sqlite3_column_int64(st, 1), app = sqlite3_column_int64(st, 2);
    sqlite3_reset(st);
    *out = !app && !version && !tables ? EMPTY : OURS;
    if (*out == EMPTY) return 0;
    if (app != QS_STORE_APPLICATION)
        return qs_fail(err, QS_EFORMAT, _("%s: not a results database, but another kind of SQLite file"), s->path);
    if (version > QS_STORE_VERSION)
        return qs_fail(err, QS_EFORMAT, _("%s: its schema is version %lld, of a newer program; this one knows up to %d"),
                       s->path, (long long)version, QS_STORE_VERSION);
    if (version < 1) return qs_fail(err, QS_EFORMAT, _("%s: there is no schema of version %lld"), s->path, (long long)version);
    return 0;
}

/* Where two processes find no file, one makes the schema and the other finds it. */
static int make_schema(qs_store *s, qs_err *err)
{
    char sql[128];
    kind k;
    snprintf(sql, sizeof sql, "PRAGMA application_id = %d; PRAGMA user_version = %d;", QS_STORE_APPLICATION, QS_STORE_VERSION);
    int rc = qs_tx_begin(s, err);
    if (rc) return rc;
    rc = look(s, &k, err);
    if (!rc && k == EMPTY) rc = qs_sql_script(s, err, schema);
    if (!rc && k == EMPTY) rc = qs_sql_script(s, err, sql);
    return qs_tx_end(s, rc, err);
}

static int check_or_make(qs_store *s, qs_err *err)
{
    kind k;
    int rc = look(s, &k, err);
    if (rc || k == OURS) return rc;
    if (s->mode == QS_STORE_READ) return qs_fail(err, QS_EFORMAT, _("%s: not a results database: it is empty"), s->path);
    return make_schema(s, err);
}

/* ---- opening --------------------------------------------------------------------------------------- */
/* PRAGMA journal_mode, which answers with the mode that is. 1: it is the wanted one; 0: another; else an error. */
static int ask_journal(qs_store *s, const char *sql, const char *want, qs_err *err)
{
    sqlite3_stmt *st = qs_sql(s, err, sql);
    if (!st) return -err->code;
    int rc = qs_sql_step(s, st, err);
    if (rc != 1) return rc;
    rc = !strcmp(qs_sql_peek(st, 0), want);
    sqlite3_reset(st);
    return rc;
}

/*
 * SQLite does not wait for a lock by itself here. Where others are about to make the log of a new file, waiting helps; where
 * they use one that is to be taken away, it does not.
 */
static int set_journal(qs_store *s, qs_err *err)
{
    bool wal = s->mode == QS_STORE_WAL;
    /* A journal that is emptied says the same as one that is deleted, and its folder need not be flushed. */
    const char *want = wal ? "wal" : "truncate", *sql = wal ? "PRAGMA journal_mode = WAL" : "PRAGMA journal_mode = TRUNCATE";
    double until = qs_now() + (wal ? s->patience : 1);
    int rc;
    while ((rc = ask_journal(s, sql, want, err)) < 0 && sqlite3_errcode(s->db) == SQLITE_BUSY && qs_now() < until)
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    if (rc < 0 && !wal && sqlite3_errcode(s->db) == SQLITE_BUSY)
        return qs_fail(err, QS_EIO, _("%s: another process has it open with a write-ahead log"), s->path);
    if (rc < 0) return rc;
    if (!rc)
        return qs_fail(err, QS_EIO, _("%s: cannot keep a journal of kind %s here (a write-ahead log needs a local disk)"), s->path,
                       want);
    /* With a log, the last commits before a power cut may be gone, whole; a crash of the program loses nothing. */
    return qs_sql_script(s, err, wal ? "PRAGMA synchronous = NORMAL" : "PRAGMA synchronous = FULL");
}

/*
 * Also a reader opens for writing where it may: only so it can put in order what a crashed writer left, and clears away the
 * files beside the database that SQLite needs for reading.
 */
static int open_file(qs_store *s, const char *name, int flags, qs_err *err)
{
    int rc = sqlite3_open_v2(name, &s->db, flags | SQLITE_OPEN_NOMUTEX, NULL);
    if (!s->db) return qs_fail(err, QS_ENOMEM, _("%s: no memory"), s->path);
    sqlite3_extended_result_codes(s->db, 0);
    if (rc) return qs_sql_fail(s, err);
    qs_store_patience(s, s->patience);
    /* A file from elsewhere gets no code of its own to run. */
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
    rc = qs_sql_script(s, err, "PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;");
    if (!rc && s->mode == QS_STORE_READ) rc = qs_sql_script(s, err, "PRAGMA query_only = ON");
    return rc;
}

static void close_file(qs_store *s)
{
    for (size_t i = 0; i < s->nkept; i++) sqlite3_finalize(s->kept[i]);
    s->nkept = 0;
    if (s->db && s->mode == QS_STORE_DELETE) qs_sql_script(s, NULL, "PRAGMA journal_mode = DELETE");      /* takes the empty one away */
    sqlite3_close(s->db);
    s->db = NULL;
}

/*
 * A finished database in a folder that may not be written: SQLite must be told that it needs no files beside it. Not where
 * there is a log: then what it holds would be missed.
 */
static int open_immutable(qs_store *s, qs_err *err)
{
    char *wal = qs_xasprintf("%s-wal", s->path);
    bool log = !access(wal, F_OK);
    free(wal);
    if (log) return -err->code;
    qs_str uri = {0};
    qs_str_add(&uri, "file:");
    for (const char *p = s->path; *p; p++) qs_str_addf(&uri, strchr("?#%", *p) ? "%%%02X" : "%c", *p);
    qs_str_add(&uri, "?immutable=1");
    close_file(s);
    int rc = open_file(s, uri.s, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, err);
    if (!rc) rc = check_or_make(s, err);
    free(uri.s);
    return rc;
}

static int open_reader(qs_store *s, qs_err *err)
{
    if (access(s->path, R_OK)) return qs_fail(err, QS_EIO, "%s: %s", s->path, strerror(errno));
    int rc = open_file(s, s->path, SQLITE_OPEN_READWRITE, err);
    if (!rc) rc = check_or_make(s, err);
    int why = s->db ? sqlite3_errcode(s->db) : SQLITE_OK;
    return rc == -QS_EIO && (why == SQLITE_CANTOPEN || why == SQLITE_READONLY) ? open_immutable(s, err) : rc;
}

static int open_writer(qs_store *s, qs_err *err)
{
    kind k;
    int rc = open_file(s, s->path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, err);
    if (!rc) rc = look(s, &k, err);      /* before anything is written into a file that is not ours */
    if (!rc && sqlite3_db_readonly(s->db, "main"))
        rc = qs_fail(err, QS_EIO, _("%s: may not be written"), s->path);
    if (!rc) rc = set_journal(s, err);
    if (!rc) rc = check_or_make(s, err);
    return rc;
}

qs_store *qs_store_open(const char *path, qs_store_mode mode, qs_err *err)
{
    return qs_store_open_within(path, mode, 30, err);
}

qs_store *qs_store_open_within(const char *path, qs_store_mode mode, double patience, qs_err *err)
{
    qs_err none;
    if (!err) err = &none;
    if (!*path) {
        qs_fail(err, QS_EARG, _("a results database needs a file name"));
        return NULL;
    }
    qs_store *s = qs_xcalloc(1, sizeof *s);
    s->path = qs_xstrdup(path);
    s->mode = mode;
    s->patience = patience;
    qs_process_self(&s->me);
    int rc = mode == QS_STORE_READ ? open_reader(s, err) : open_writer(s, err);
    if (!rc) return s;
    qs_store_close(s);
    return NULL;
}

void qs_store_close(qs_store *s)
{
    if (!s) return;
    close_file(s);
    free(s->path);
    free(s);
}

const char *qs_store_path(const qs_store *s) { return s->path; }

void qs_store_patience(qs_store *s, double seconds)
{
    s->patience = seconds;
    sqlite3_busy_timeout(s->db, (int)(1e3 * seconds));
}
