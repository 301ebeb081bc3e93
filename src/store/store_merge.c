/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One results database into another: sweeps by name, cells by key, of each cell
 * the better run. The other file is only read.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/text.h"
#include "store/store_in.h"

/* Ids of the other file and what they are here are paired in a temporary table: `there` is the attached file. */
static const char sweeps_sql[] =
    "INSERT INTO main.source (script, script_hash, inputs, program)"
    " SELECT script, script_hash, inputs, program FROM there.source WHERE true ORDER BY id ON CONFLICT DO NOTHING;"
    "CREATE TEMP TABLE pair_source AS SELECT t.id AS there, h.id AS here FROM there.source t JOIN main.source h"
    " ON h.script = t.script AND h.script_hash = t.script_hash AND h.inputs = t.inputs AND h.program = t.program;"
    "INSERT INTO main.sweep (name, made, source, grid) SELECT t.name, t.made, p.here, t.grid FROM there.sweep t"
    " JOIN pair_source p ON p.there = t.source WHERE true ORDER BY t.id ON CONFLICT DO NOTHING;"
    "INSERT INTO main.cell (sweep, place, key, params) SELECT h.id, c.place, c.key, c.params FROM there.cell c"
    " JOIN there.sweep t ON t.id = c.sweep JOIN main.sweep h ON h.name = t.name WHERE true ORDER BY c.id"
    " ON CONFLICT DO NOTHING;";

/* Rank: done before not done, then by the time it ended; 'better' pairs runs to copy with the cells they go to. */
static const char runs_sql[] =
    "CREATE TEMP TABLE better AS SELECT c.here AS cell, a.id AS run, 0 AS fresh FROM"
    " (SELECT h.id AS here, t.id AS there FROM there.cell t JOIN there.sweep ts ON ts.id = t.sweep"
    "  JOIN main.sweep hs ON hs.name = ts.name JOIN main.cell h ON h.sweep = hs.id AND h.key = t.key) c"
    " JOIN there.run a ON a.id = (SELECT id FROM there.run WHERE cell = c.there AND status <> 'running'"
    "  ORDER BY status = 'done' DESC, ended DESC, id DESC LIMIT 1)"
    " LEFT JOIN main.run b ON b.id = (SELECT id FROM main.run WHERE cell = c.here AND status <> 'running'"
    "  ORDER BY status = 'done' DESC, ended DESC, id DESC LIMIT 1)"
    " WHERE b.id IS NULL OR (a.status = 'done', ifnull(a.ended, '')) > (b.status = 'done', ifnull(b.ended, '')) ORDER BY a.id;"
    "INSERT INTO main.run (cell, source, status, began, ended, seconds, seed, host, pid, born, seen, error, text)"
    " SELECT better.cell, p.here, status, began, ended, seconds, seed, host, pid, born, seen, error, text FROM better"
    " JOIN there.run a ON a.id = better.run JOIN pair_source p ON p.there = a.source ORDER BY better.rowid;"
    "UPDATE better SET fresh = (SELECT max(id) FROM main.run WHERE cell = better.cell);"
    "INSERT INTO main.metric (run, place, name, x) SELECT fresh, place, name, x FROM better"
    " JOIN there.metric m ON m.run = better.run;"
    "INSERT INTO main.series (run, name, n, x) SELECT fresh, name, n, x FROM better JOIN there.series m ON m.run = better.run;"
    "DROP TABLE better; DROP TABLE pair_source;";

/* Sweeps of the same name that came from something else. */
static int check_same(qs_store *s, const char *from, qs_err *err)
{
    sqlite3_stmt *st = NULL;
    if (sqlite3_prepare_v2(s->db,
        "SELECT h.name, hs.script_hash = ts.script_hash FROM main.sweep h JOIN there.sweep t ON t.name = h.name"
        " JOIN main.source hs ON hs.id = h.source JOIN there.source ts ON ts.id = t.source"
        " WHERE hs.script_hash <> ts.script_hash OR hs.inputs <> ts.inputs", -1, &st, NULL)) return qs_sql_fail(s, err);
    int rc = sqlite3_step(st);
    if (rc == SQLITE_ROW)
        rc = qs_fail(err, QS_ESTATE, sqlite3_column_int(st, 1)
                         ? _("%s: the sweep \"%s\" was run with other inputs than in %s")
                         : _("%s: the sweep \"%s\" was run with another script than in %s"), from, qs_sql_peek(st, 0), s->path);
    else rc = rc == SQLITE_DONE ? 0 : qs_sql_fail(s, err);
    sqlite3_finalize(st);
    return rc;
}

static int merge(qs_store *s, const char *from, bool accept, qs_err *err)
{
    /* BEGIN IMMEDIATE would lock the other file too; this takes the lock of ours. */
    int rc = qs_tx_look(s, err);
    if (rc) return rc;
    rc = qs_sql_run(s, err, "DELETE FROM main.sweep WHERE false", "");
    if (!rc && !accept) rc = check_same(s, from, err);
    if (!rc) rc = qs_sql_script(s, err, sweeps_sql);
    if (!rc) rc = qs_sql_script(s, err, runs_sql);
    return qs_tx_end(s, rc, err);
}

static bool same_file(const char *a, const char *b)
{
    struct stat x, y;
    return !stat(a, &x) && !stat(b, &y) && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

int qs_store_merge(qs_store *s, const char *from, bool accept, qs_err *err)
{
    qs_store *other = qs_store_open(from, QS_STORE_READ, err);      /* says what is wrong with it; keeps it from changing kind */
    if (!other) return -(err ? err->code : QS_EIO);
    if (same_file(s->path, from)) {
        qs_store_close(other);
        return 0;
    }
    char *name = qs_xstrdup(sqlite3_db_filename(other->db, "main"));
    int rc = qs_sql_run(s, err, "ATTACH ? AS there", "t", name);
    if (!rc) {
        rc = merge(s, from, accept, err);
        sqlite3_exec(s->db, "DETACH there", NULL, NULL, NULL);
    }
    free(name);
    qs_store_close(other);
    return rc;
}
