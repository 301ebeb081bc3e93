/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Knows how SQLite is spoken to and what its errors mean here. Knows no table.
 */
#include <errno.h>
#include <stdarg.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "store/store_in.h"

/* ---- errors -------------------------------------------------------------------------------------- */
static int fail_system(qs_store *s, qs_err *err)
{
    int e = sqlite3_system_errno(s->db);
    return qs_fail(err, QS_EIO, "%s: %s%s%s", s->path, sqlite3_errmsg(s->db), e ? ": " : "", e ? strerror(e) : "");
}

int qs_sql_fail(qs_store *s, qs_err *err)
{
    switch (sqlite3_errcode(s->db)) {
    case SQLITE_NOTADB: return qs_fail(err, QS_EFORMAT, _("%s: not a results database"), s->path);
    case SQLITE_CORRUPT: return qs_fail(err, QS_EFORMAT, _("%s: the file is damaged (%s)"), s->path, sqlite3_errmsg(s->db));
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
        return qs_fail(err, QS_EIO, _("%s: another process has had it locked for more than %g s"), s->path, s->patience);
    case SQLITE_FULL: return qs_fail(err, QS_EIO, _("%s: the disk is full"), s->path);
    case SQLITE_NOMEM: return qs_fail(err, QS_ENOMEM, _("%s: no memory"), s->path);
    case SQLITE_TOOBIG: return qs_fail(err, QS_EARG, _("%s: a value is too long for it"), s->path);
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH: return fail_system(s, err);
    default: return qs_fail(err, QS_EFORMAT, _("%s: not what a results database should be: %s"), s->path, sqlite3_errmsg(s->db));
    }
}

/* ---- statements ------------------------------------------------------------------------------------ */
sqlite3_stmt *qs_sql(qs_store *s, qs_err *err, const char *sql)
{
    for (size_t i = 0; i < s->nkept; i++) {
        if (s->sql[i] != sql) continue;
        sqlite3_reset(s->kept[i]);
        return s->kept[i];
    }
    sqlite3_stmt *st = NULL;
    if (s->nkept == QS_STORE_KEPT) {
        qs_fail(err, QS_ENOMEM, _("%s: more kinds of statements than QS_STORE_KEPT"), s->path);
        return NULL;
    }
    if (sqlite3_prepare_v3(s->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &st, NULL)) {
        qs_sql_fail(s, err);
        return NULL;
    }
    s->sql[s->nkept] = sql;
    return s->kept[s->nkept++] = st;
}

static void bind(sqlite3_stmt *st, const char *kinds, va_list ap)
{
    for (int i = 1; *kinds; kinds++, i++) {
        if (*kinds == 'i') sqlite3_bind_int64(st, i, va_arg(ap, int64_t));
        else if (*kinds == 'd') sqlite3_bind_double(st, i, va_arg(ap, double));
        else sqlite3_bind_text(st, i, va_arg(ap, const char *), -1, SQLITE_STATIC);
    }
}

void qs_sql_bind(sqlite3_stmt *st, const char *kinds, ...)
{
    va_list ap;
    va_start(ap, kinds);
    bind(st, kinds, ap);
    va_end(ap);
}

int qs_sql_step(qs_store *s, sqlite3_stmt *st, qs_err *err)
{
    int rc = sqlite3_step(st);
    if (rc == SQLITE_ROW) return 1;
    int code = rc == SQLITE_DONE ? 0 : qs_sql_fail(s, err);
    sqlite3_reset(st);
    return code;
}

/* Compiled and bound; NULL: err. */
static sqlite3_stmt *bound(qs_store *s, qs_err *err, const char *sql, const char *kinds, va_list ap)
{
    sqlite3_stmt *st = qs_sql(s, err, sql);
    if (st) bind(st, kinds, ap);
    return st;
}

int qs_sql_run(qs_store *s, qs_err *err, const char *sql, const char *kinds, ...)
{
    va_list ap;
    va_start(ap, kinds);
    sqlite3_stmt *st = bound(s, err, sql, kinds, ap);
    va_end(ap);
    return st ? qs_sql_step(s, st, err) : -(err ? err->code : QS_EIO);
}

int qs_sql_number(qs_store *s, qs_err *err, int64_t *out, const char *sql, const char *kinds, ...)
{
    va_list ap;
    va_start(ap, kinds);
    sqlite3_stmt *st = bound(s, err, sql, kinds, ap);
    va_end(ap);
    int rc = st ? qs_sql_step(s, st, err) : -(err ? err->code : QS_EIO);
    if (rc != 1) return rc;
    *out = sqlite3_column_int64(st, 0);
    sqlite3_reset(st);
    return 1;
}

int qs_sql_script(qs_store *s, qs_err *err, const char *sql)
{
    return sqlite3_exec(s->db, sql, NULL, NULL, NULL) ? qs_sql_fail(s, err) : 0;
}

char *qs_sql_text(sqlite3_stmt *st, int i)
{
    const char *t = (const char *)sqlite3_column_text(st, i);
    return t ? qs_xstrdup(t) : NULL;
}

const char *qs_sql_peek(sqlite3_stmt *st, int i)
{
    const char *t = (const char *)sqlite3_column_text(st, i);
    return t ? t : "";
}

/* ---- transactions ----------------------------------------------------------------------------------- */
int qs_tx_begin(qs_store *s, qs_err *err)
{
    if (s->mode == QS_STORE_READ) return qs_fail(err, QS_ESTATE, _("%s: open for reading only"), s->path);
    int rc = s->depth ? qs_sql_run(s, err, "SAVEPOINT part", "") : qs_sql_run(s, err, "BEGIN IMMEDIATE", "");
    s->depth += !rc;
    return rc;
}

int qs_tx_look(qs_store *s, qs_err *err) { return qs_sql_run(s, err, "BEGIN", ""); }

/* Some errors have ended the whole transaction already. */
static bool ended(const qs_store *s) { return sqlite3_get_autocommit(s->db); }

static int end_part(qs_store *s, int rc, qs_err *err)
{
    if (rc < 0 && !ended(s)) qs_sql_run(s, NULL, "ROLLBACK TO part", "");
    if (!ended(s)) {
        int done = qs_sql_run(s, rc < 0 ? NULL : err, "RELEASE part", "");
        return rc < 0 ? rc : done;
    }
    return rc < 0 ? rc : qs_fail(err, QS_EIO, _("%s: the transaction was taken back"), s->path);
}

int qs_tx_end(qs_store *s, int rc, qs_err *err)
{
    if (s->depth > 0 && --s->depth > 0) return end_part(s, rc, err);
    if (rc >= 0) rc = ended(s) ? qs_fail(err, QS_EIO, _("%s: the transaction was taken back"), s->path) : qs_sql_run(s, err, "COMMIT", "");
    if (rc < 0 && !ended(s)) qs_sql_run(s, NULL, "ROLLBACK", "");
    return rc;
}

int qs_store_group_begin(qs_store *s, qs_err *err) { return qs_tx_begin(s, err); }
int qs_store_group_end(qs_store *s, int rc, qs_err *err) { return qs_tx_end(s, rc, err); }
