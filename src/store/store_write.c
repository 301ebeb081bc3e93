/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a sweep writes: itself, its cells, runs that begin and end.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/mem.h"
#include "store/store_in.h"

/* ---- sweeps ------------------------------------------------------------------------------------------ */
static int source_of(qs_store *s, const qs_sweep_info *i, int64_t *id, qs_err *err)
{
    int rc = qs_sql_run(s, err, "INSERT INTO source (script, script_hash, inputs, program) VALUES (?, ?, ?, ?)"
                                " ON CONFLICT DO NOTHING", "tttt", i->script, i->script_hash, i->inputs, i->program);
    if (!rc)
        rc = qs_sql_number(s, err, id, "SELECT id FROM source WHERE script = ? AND script_hash = ? AND inputs = ?"
                                       " AND program = ?", "tttt", i->script, i->script_hash, i->inputs, i->program);
    return rc < 0 ? rc : 0;
}

static int make_sweep(qs_store *s, const qs_sweep_info *i, int64_t *id, qs_err *err)
{
    char now[QS_UTC_TEXT];
    int64_t source = 0;
    int rc = source_of(s, i, &source, err);
    if (!rc)
        rc = qs_sql_run(s, err, "INSERT INTO sweep (name, made, source, grid) VALUES (?, ?, ?, ?)", "ttit", i->name,
                        qs_utc_text(0, now), source, i->grid);
    *id = sqlite3_last_insert_rowid(s->db);
    return rc;
}

/* The input files that are not the same in both, "a.npy, b.npy". */
static int inputs_differ(qs_store *s, const char *was, const char *is, char **out, qs_err *err)
{
    static const char sql[] =
        "SELECT group_concat(DISTINCT key) FROM (SELECT * FROM (SELECT key, value FROM json_each(?1)"
        " EXCEPT SELECT key, value FROM json_each(?2)) UNION ALL SELECT * FROM (SELECT key, value FROM json_each(?2)"
        " EXCEPT SELECT key, value FROM json_each(?1)))";
    sqlite3_stmt *st = qs_sql(s, err, sql);
    *out = NULL;
    if (!st) return -(err ? err->code : QS_EIO);
    qs_sql_bind(st, "tt", was, is);
    int rc = qs_sql_step(s, st, err);
    if (rc < 0) return rc;
    *out = qs_sql_text(st, 0);
    sqlite3_reset(st);
    return 0;
}

static void add_change(qs_str *b, const char *text) { qs_str_addf(b, "%s%s", b->n ? "; " : "", text); }

/* st: at the row of the sweep as it was. */
static int compare_info(qs_store *s, sqlite3_stmt *st, const qs_sweep_info *i, qs_str *b, qs_err *err)
{
    char *text = NULL, *inputs = qs_sql_text(st, 2), *program = qs_sql_text(st, 3);
    if (strcmp(qs_sql_peek(st, 1), i->script_hash)) {
        text = qs_xasprintf(_("the script %s"), i->script);
        add_change(b, text);
        free(text);
    }
    int rc = inputs_differ(s, inputs ? inputs : "{}", i->inputs, &text, err);
    if (text) {
        char *line = qs_xasprintf(_("the input %s"), text);
        add_change(b, line);
        free(line);
    }
    free(text);
    if (program && strcmp(program, i->program)) {
        text = qs_xasprintf(_("the program (was %s, is %s)"), program, i->program);
        add_change(b, text);
        free(text);
    }
    if (strcmp(qs_sql_peek(st, 4), i->grid)) add_change(b, _("the grid"));
    free(inputs);
    free(program);
    return rc;
}

/* 1: there is such a sweep; 0: none; else an error. */
static int find_sweep(qs_store *s, const qs_sweep_info *i, int64_t *id, qs_str *changed, qs_err *err)
{
    sqlite3_stmt *st = qs_sql(s, err, "SELECT sweep.id, script_hash, inputs, program, grid FROM sweep JOIN source"
                                      " ON source.id = sweep.source WHERE name = ?");
    if (!st) return -(err ? err->code : QS_EIO);
    qs_sql_bind(st, "t", i->name);
    int rc = qs_sql_step(s, st, err);
    if (rc != 1) return rc;
    *id = sqlite3_column_int64(st, 0);
    rc = compare_info(s, st, i, changed, err);
    sqlite3_reset(st);
    return rc ? rc : 1;
}

int qs_store_sweep(qs_store *s, const qs_sweep_info *info, int64_t *id, char *changed, size_t n, qs_err *err)
{
    qs_str b = {0};
    int rc = qs_tx_begin(s, err);
    if (rc) return rc;
    rc = find_sweep(s, info, id, &b, err);
    if (!rc) rc = make_sweep(s, info, id, err);
    snprintf(changed, n, "%s", b.s ? b.s : "");
    free(b.s);
    return qs_tx_end(s, rc < 0 ? rc : 0, err);
}

int qs_store_accept(qs_store *s, int64_t sweep, const qs_sweep_info *info, qs_err *err)
{
    int64_t source = 0;
    int rc = qs_tx_begin(s, err);
    if (rc) return rc;
    rc = source_of(s, info, &source, err);
    if (!rc) rc = qs_sql_run(s, err, "UPDATE sweep SET source = ?, grid = ? WHERE id = ?", "iti", source, info->grid, sweep);
    return qs_tx_end(s, rc, err);
}

int qs_store_forget(qs_store *s, int64_t sweep, qs_err *err)
{
    int rc = qs_tx_begin(s, err);
    if (rc) return rc;
    rc = qs_sql_run(s, err, "DELETE FROM cell WHERE sweep = ?", "i", sweep);      /* runs and what they gave go with it */
    return qs_tx_end(s, rc, err);
}

/* ---- cells ----------------------------------------------------------------------------------------------- */
static int add_cell(qs_store *s, int64_t sweep, qs_trial *c, qs_err *err)
{
    int rc = qs_sql_run(s, err, "INSERT INTO cell (sweep, place, key, params) VALUES (?, ?, ?, ?)", "iitt", sweep, c->place,
                        c->key, c->params);
    c->id = sqlite3_last_insert_rowid(s->db);
    c->status = QS_TRIAL_NONE;
    return rc;
}

/* The cell in the file: 1 there it is, id and status filled; 0: not there. */
static int find_cell(qs_store *s, int64_t sweep, qs_trial *c, bool *moved, qs_err *err)
{
    sqlite3_stmt *st = qs_sql(s, err, "SELECT c.id, c.place, r.status, r.host, r.pid, r.born, r.seen FROM cell c"
                                      " LEFT JOIN run r ON r.id = (SELECT max(id) FROM run WHERE cell = c.id)"
                                      " WHERE c.sweep = ? AND c.key = ?");
    if (!st) return -(err ? err->code : QS_EIO);
    qs_sql_bind(st, "it", sweep, c->key);
    int rc = qs_sql_step(s, st, err);
    if (rc != 1) return rc;
    c->id = sqlite3_column_int64(st, 0);
    *moved = sqlite3_column_int64(st, 1) != c->place;
    rc = qs_trial_status_of(s, st, 2, &c->status, err);
    sqlite3_reset(st);
    return rc ? rc : 1;
}

static int one_cell(qs_store *s, int64_t sweep, qs_trial *c, qs_err *err)
{
    bool moved = false;
    int rc = find_cell(s, sweep, c, &moved, err);
    if (!rc) return add_cell(s, sweep, c, err);
    if (rc == 1 && moved) rc = qs_sql_run(s, err, "UPDATE cell SET place = ? WHERE id = ?", "ii", c->place, c->id);
    return rc < 0 ? rc : 0;
}

int qs_store_cells(qs_store *s, int64_t sweep, qs_trial *cell, size_t n, qs_err *err)
{
    int rc = qs_tx_begin(s, err);
    if (rc) return rc;
    for (size_t i = 0; i < n && !rc; i++) rc = one_cell(s, sweep, &cell[i], err);
    return qs_tx_end(s, rc, err);
}

/* ---- runs ------------------------------------------------------------------------------------------------- */
/* Whether a run of this cell may begin: 0, or ESTATE. *last: its last run, 0: none. */
static int may_begin(qs_store *s, int64_t cell, int64_t *last, qs_trial_status *status, qs_err *err)
{
    sqlite3_stmt *st = qs_sql(s, err, "SELECT r.id, r.status, r.host, r.pid, r.born, r.seen, c.key FROM cell c"
                                      " LEFT JOIN run r ON r.id = (SELECT max(id) FROM run WHERE cell = c.id) WHERE c.id = ?");
    if (!st) return -(err ? err->code : QS_EIO);
    qs_sql_bind(st, "i", cell);
    int rc = qs_sql_step(s, st, err);
    if (rc < 0) return rc;
    if (!rc) return qs_fail(err, QS_ESTATE, _("%s: the cell was taken away meanwhile"), s->path);
    *last = sqlite3_column_int64(st, 0);
    rc = qs_trial_status_of(s, st, 1, status, err);
    if (!rc && *status == QS_TRIAL_DONE)
        rc = qs_fail(err, QS_ESTATE, _("%s: the cell %s is done already"), s->path, qs_sql_peek(st, 6));
    if (!rc && *status == QS_TRIAL_RUNNING)
        rc = qs_fail(err, QS_ESTATE, _("%s: the cell %s is being run by process %lld on %s"), s->path, qs_sql_peek(st, 6),
                     (long long)sqlite3_column_int64(st, 3), qs_sql_peek(st, 2));
    sqlite3_reset(st);
    return rc;
}

static int begin(qs_store *s, int64_t cell, int64_t *run, qs_err *err)
{
    char now[QS_UTC_TEXT];
    int64_t last = 0;
    qs_trial_status status;
    int rc = may_begin(s, cell, &last, &status, err);
    if (rc) return rc;
    /* One that died without a word: now it is written down. */
    if (last && status == QS_TRIAL_KILLED)
        rc = qs_sql_run(s, err, "UPDATE run SET status = 'killed', ended = ifnull(ended, seen) WHERE id = ?", "i", last);
    qs_utc_text(0, now);
    if (!rc)
        rc = qs_sql_run(s, err, "INSERT INTO run (cell, source, status, began, host, pid, born, seen)"
                                " SELECT c.id, s.source, 'running', ?1, ?2, ?3, ?4, ?1 FROM cell c JOIN sweep s"
                                " ON s.id = c.sweep WHERE c.id = ?5", "ttiti", now, s->me.host, s->me.pid, s->me.born, cell);
    *run = sqlite3_last_insert_rowid(s->db);
    return rc;
}

int qs_store_begin(qs_store *s, int64_t cell, int64_t *run, qs_err *err)
{
    int rc = qs_tx_begin(s, err);
    if (rc) return rc;
    return qs_tx_end(s, begin(s, cell, run, err), err);
}

static int check_outcome(qs_store *s, const qs_outcome *r, qs_err *err)
{
    if (r->status <= QS_TRIAL_RUNNING || r->status > QS_TRIAL_TIMEOUT)
        return qs_fail(err, QS_EARG, _("%s: a run does not end as \"%s\""), s->path,
                       r->status == QS_TRIAL_RUNNING ? "running" : "none");
    for (size_t i = 0; i < r->nmetric; i++) {
        for (size_t k = 0; k < i; k++) {
            if (!strcmp(r->metric[i].name, r->metric[k].name))
                return qs_fail(err, QS_EARG, _("%s: the metric %s is there twice"), s->path, r->metric[i].name);
        }
    }
    for (size_t i = 0; i < r->nseries; i++) {
        for (size_t k = 0; k < i; k++) {
            if (!strcmp(r->series[i].name, r->series[k].name))
                return qs_fail(err, QS_EARG, _("%s: the series %s is there twice"), s->path, r->series[i].name);
        }
    }
    return 0;
}

static int add_series(qs_store *s, int64_t run, const qs_metric_series *x, qs_err *err)
{
    char *text = qs_numbers_text(x->x, x->n);
    int rc = qs_sql_run(s, err, "INSERT INTO series (run, name, n, x) VALUES (?, ?, ?, ?)", "itit", run, x->name, (int64_t)x->n,
                        text);
    free(text);
    return rc;
}

static int end(qs_store *s, int64_t run, const qs_outcome *r, qs_err *err)
{
    char now[QS_UTC_TEXT];
    qs_utc_text(0, now);
    int rc = qs_sql_run(s, err, "UPDATE run SET status = ?1, seconds = ?2, seed = ?3, error = ?4, text = ?5, ended = ?6,"
                                " seen = ?6 WHERE id = ?7 AND status = 'running'", "tdittti",
                        qs_trial_status_name[r->status], r->seconds, (int64_t)r->seed, r->error, r->text, now, run);
    if (!rc && !sqlite3_changes(s->db))
        rc = qs_fail(err, QS_ESTATE, _("%s: run %lld is over already, or was taken away"), s->path, (long long)run);
    for (size_t i = 0; i < r->nmetric && !rc; i++)
        rc = qs_sql_run(s, err, "INSERT INTO metric (run, place, name, x) VALUES (?, ?, ?, ?)", "iitd", run, (int64_t)i,
                        r->metric[i].name, r->metric[i].x);
    for (size_t i = 0; i < r->nseries && !rc; i++) rc = add_series(s, run, &r->series[i], err);
    return rc;
}

int qs_store_end(qs_store *s, int64_t run, const qs_outcome *r, qs_err *err)
{
    int rc = check_outcome(s, r, err);
    if (!rc) rc = qs_tx_begin(s, err);
    if (rc) return rc;
    return qs_tx_end(s, end(s, run, r, err), err);
}

int qs_store_abandon(qs_store *s, int64_t run, qs_err *err)
{
    int rc = qs_tx_begin(s, err);
    if (rc) return rc;
    return qs_tx_end(s, qs_sql_run(s, err, "DELETE FROM run WHERE id = ? AND status = 'running'", "i", run), err);
}

int qs_store_alive(qs_store *s, qs_err *err)
{
    char now[QS_UTC_TEXT];
    int rc = qs_tx_begin(s, err);
    if (rc) return rc;
    rc = qs_sql_run(s, err, "UPDATE run SET seen = ? WHERE status = 'running' AND host = ? AND pid = ? AND born = ?", "ttit",
                    qs_utc_text(0, now), s->me.host, s->me.pid, s->me.born);
    return qs_tx_end(s, rc, err);
}
