/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is read from a results database: sweeps, the table of results, series.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "store/store_in.h"

int qs_trial_status_of(qs_store *s, sqlite3_stmt *st, int i, qs_trial_status *out, qs_err *err)
{
    *out = QS_TRIAL_NONE;
    if (sqlite3_column_type(st, i) == SQLITE_NULL) return 0;
    const char *name = qs_sql_peek(st, i);
    for (qs_trial_status k = QS_TRIAL_RUNNING; k <= QS_TRIAL_TIMEOUT; k++) {
        if (strcmp(name, qs_trial_status_name[k])) continue;
        *out = k;
        if (k == QS_TRIAL_RUNNING && qs_process_gone(&s->me, qs_sql_peek(st, i + 1), sqlite3_column_int64(st, i + 2),
                                                     qs_sql_peek(st, i + 3), qs_sql_peek(st, i + 4)))
            *out = QS_TRIAL_KILLED;
        return 0;
    }
    return qs_fail(err, QS_EFORMAT, _("%s: a run has the status \"%s\""), s->path, name);
}

/* ---- sweeps ------------------------------------------------------------------------------------------ */
static void count_cell(qs_sweep_row *r, qs_trial_status status)
{
    r->cells++;
    if (status == QS_TRIAL_DONE) r->done++;
    else if (status == QS_TRIAL_RUNNING) r->running++;
    else if (status == QS_TRIAL_NONE) r->left++;
    else r->failed++;
}

static int count_cells(qs_store *s, int64_t sweep, qs_sweep_row *r, qs_err *err)
{
    sqlite3_stmt *st = qs_sql(s, err, "SELECT r.status, r.host, r.pid, r.born, r.seen FROM cell c"
                                      " LEFT JOIN run r ON r.id = (SELECT max(id) FROM run WHERE cell = c.id) WHERE c.sweep = ?");
    if (!st) return -(err ? err->code : QS_EIO);
    qs_trial_status status;
    qs_sql_bind(st, "i", sweep);
    int rc;
    while ((rc = qs_sql_step(s, st, err)) == 1) {
        rc = qs_trial_status_of(s, st, 0, &status, err);
        if (rc) break;
        count_cell(r, status);
    }
    sqlite3_reset(st);
    return rc;
}

static int read_sweeps(qs_store *s, qs_sweep_row **row, size_t *n, qs_err *err)
{
    sqlite3_stmt *st = qs_sql(s, err, "SELECT sweep.id, name, script, script_hash, program, grid, made FROM sweep"
                                      " JOIN source ON source.id = sweep.source ORDER BY sweep.id");
    if (!st) return -(err ? err->code : QS_EIO);
    int rc;
    while ((rc = qs_sql_step(s, st, err)) == 1) {
        *row = qs_xrealloc(*row, (*n + 1) * sizeof **row);
        qs_sweep_row *r = &(*row)[(*n)++];
        *r = (qs_sweep_row){
            .name = qs_xstrdup(qs_sql_peek(st, 1)), .script = qs_xstrdup(qs_sql_peek(st, 2)),
            .script_hash = qs_xstrdup(qs_sql_peek(st, 3)), .program = qs_xstrdup(qs_sql_peek(st, 4)),
            .grid = qs_xstrdup(qs_sql_peek(st, 5)), .made = qs_xstrdup(qs_sql_peek(st, 6)),
        };
        rc = count_cells(s, sqlite3_column_int64(st, 0), r, err);
        if (rc) break;
    }
    sqlite3_reset(st);
    return rc;
}

int qs_store_sweeps(qs_store *s, qs_sweep_row **row, size_t *n, qs_err *err)
{
    *row = NULL;
    *n = 0;
    int rc = qs_tx_look(s, err);
    if (!rc) rc = qs_tx_end(s, read_sweeps(s, row, n, err), err);
    if (!rc) return 0;
    qs_store_free_sweeps(*row, *n);
    *row = NULL;
    *n = 0;
    return rc;
}

void qs_store_free_sweeps(qs_sweep_row *row, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        qs_sweep_row *r = &row[i];
        free(r->name);
        free(r->script);
        free(r->script_hash);
        free(r->program);
        free(r->grid);
        free(r->made);
    }
    free(row);
}

/* ---- the table of results ------------------------------------------------------------------------------ */
/* What is known while the table is read. */
typedef struct reading {
    qs_store *s;
    qs_results *t;
    int64_t *best;             /* (nrow) the last done run of each cell; 0: none */
    size_t cap;                /* rows there is room for */
    qs_err *err;
} reading;

static int find_sweep(qs_store *s, const char *name, int64_t *id, qs_err *err)
{
    int rc = qs_sql_number(s, err, id, "SELECT id FROM sweep WHERE name = ?", "t", name);
    return rc ? (rc < 0 ? rc : 0) : qs_fail(err, QS_EARG, _("%s: there is no sweep called \"%s\""), s->path, name);
}

static qs_results_row *new_row(reading *g)
{
    qs_results *t = g->t;
    if (t->nrow == g->cap) {
        g->cap = g->cap ? 2 * g->cap : 64;
        t->row = qs_xrealloc(t->row, g->cap * sizeof *t->row);
        g->best = qs_xrealloc(g->best, g->cap * sizeof *g->best);
    }
    return &t->row[t->nrow++];
}

static int read_rows(reading *g, int64_t sweep)
{
    sqlite3_stmt *st = qs_sql(g->s, g->err,
        "SELECT c.key, c.params, r.status, r.host, r.pid, r.born, r.seen, r.error,"
        " (SELECT max(id) FROM run WHERE cell = c.id AND status = 'done') AS best,"
        " (SELECT seconds FROM run WHERE cell = c.id AND ended NOT NULL ORDER BY id DESC LIMIT 1)"
        " FROM cell c LEFT JOIN run r ON r.id = (SELECT max(id) FROM run WHERE cell = c.id)"
        " WHERE c.sweep = ? ORDER BY c.place, c.id");
    if (!st) return -g->err->code;
    qs_sql_bind(st, "i", sweep);
    int rc;
    while ((rc = qs_sql_step(g->s, st, g->err)) == 1) {
        qs_results_row *r = new_row(g);
        *r = (qs_results_row){.key = qs_xstrdup(qs_sql_peek(st, 0)), .params = qs_xstrdup(qs_sql_peek(st, 1)),
                              .error = qs_sql_text(st, 7), .seconds = NAN};
        g->best[g->t->nrow - 1] = sqlite3_column_int64(st, 8);
        if (sqlite3_column_type(st, 9) != SQLITE_NULL) r->seconds = sqlite3_column_double(st, 9);
        rc = qs_trial_status_of(g->s, st, 2, &r->status, g->err);
        if (rc) break;
    }
    sqlite3_reset(st);
    return rc;
}

static size_t metric_column(qs_results *t, const char *name, size_t guess)
{
    if (guess < t->nmetric && !strcmp(t->metric[guess], name)) return guess;
    for (size_t i = 0; i < t->nmetric; i++) {
        if (!strcmp(t->metric[i], name)) return i;
    }
    t->metric = qs_xrealloc(t->metric, (t->nmetric + 1) * sizeof *t->metric);
    t->metric[t->nmetric] = qs_xstrdup(name);
    return t->nmetric++;
}

/* A metric that came up after other rows were read makes those rows longer at the end (widen), not here. */
static int read_metrics(reading *g, size_t i, size_t *width)
{
    sqlite3_stmt *st = qs_sql(g->s, g->err, "SELECT name, x FROM metric WHERE run = ? ORDER BY place");
    if (!st) return -g->err->code;
    qs_results_row *r = &g->t->row[i];
    size_t guess = 0;
    int rc;
    qs_sql_bind(st, "i", g->best[i]);
    while ((rc = qs_sql_step(g->s, st, g->err)) == 1) {
        size_t k = metric_column(g->t, qs_sql_peek(st, 0), guess);
        if (k >= *width) {
            size_t more = g->t->nmetric;
            r->x = qs_xrealloc(r->x, more * sizeof *r->x);
            for (size_t j = *width; j < more; j++) r->x[j] = NAN;
            *width = more;
        }
        if (sqlite3_column_type(st, 1) != SQLITE_NULL) r->x[k] = sqlite3_column_double(st, 1);
        guess = k + 1;
    }
    return rc;
}

static void widen(qs_results_row *r, size_t width, size_t want)
{
    if (width == want && r->x) return;
    r->x = qs_xrealloc(r->x, (want ? want : 1) * sizeof *r->x);
    for (size_t j = width; j < want; j++) r->x[j] = NAN;
}

static int read_table(reading *g, const char *sweep)
{
    int64_t id;
    int rc = find_sweep(g->s, sweep, &id, g->err);
    if (!rc) rc = qs_store_change(g->s, &g->t->change, g->err);
    if (!rc) rc = read_rows(g, id);
    size_t *width = qs_xcalloc(g->t->nrow + 1, sizeof *width);
    for (size_t i = 0; i < g->t->nrow && !rc; i++) {
        if (g->best[i]) rc = read_metrics(g, i, &width[i]);
    }
    for (size_t i = 0; i < g->t->nrow && !rc; i++) widen(&g->t->row[i], width[i], g->t->nmetric);
    free(width);
    return rc;
}

int qs_store_results(qs_store *s, const char *sweep, qs_results *out, qs_err *err)
{
    qs_err none;
    reading g = {.s = s, .t = out, .err = err ? err : &none};
    *out = (qs_results){0};
    int rc = qs_tx_look(s, g.err);
    if (!rc) rc = qs_tx_end(s, read_table(&g, sweep), g.err);
    if (rc) qs_results_clear(out);
    free(g.best);
    return rc;
}

void qs_results_row_clear(qs_results_row *r)
{
    free(r->key);
    free(r->params);
    free(r->error);
    free(r->x);
    *r = (qs_results_row){0};
}

void qs_results_clear(qs_results *t)
{
    for (size_t i = 0; i < t->nrow; i++) qs_results_row_clear(&t->row[i]);
    for (size_t i = 0; i < t->nmetric; i++) free(t->metric[i]);
    free(t->row);
    free(t->metric);
    *t = (qs_results){0};
}

/* ---- series, changes --------------------------------------------------------------------------------------- */
int qs_store_series(qs_store *s, const char *sweep, const char *key, const char *name, double **x, size_t *n, qs_err *err)
{
    sqlite3_stmt *st = qs_sql(s, err, "SELECT x FROM series WHERE name = ?3 AND run = (SELECT max(run.id) FROM run"
                                      " JOIN cell ON cell.id = run.cell JOIN sweep ON sweep.id = cell.sweep"
                                      " WHERE sweep.name = ?1 AND cell.key = ?2 AND run.status = 'done')");
    *x = NULL;
    *n = 0;
    if (!st) return -(err ? err->code : QS_EIO);
    qs_sql_bind(st, "ttt", sweep, key, name);
    int rc = qs_sql_step(s, st, err);
    if (rc != 1) return rc;
    rc = qs_numbers_read(qs_sql_peek(st, 0), x, n) ? 0
             : qs_fail(err, QS_EFORMAT, _("%s: the series %s is no list of numbers"), s->path, name);
    sqlite3_reset(st);
    return rc;
}

int qs_store_series_names(qs_store *s, const char *sweep, const char *key, char ***name, size_t *n, qs_err *err)
{
    sqlite3_stmt *st = key ? qs_sql(s, err, "SELECT name FROM series WHERE run = (SELECT max(run.id) FROM run"
                                            " JOIN cell ON cell.id = run.cell JOIN sweep ON sweep.id = cell.sweep"
                                            " WHERE sweep.name = ?1 AND cell.key = ?2 AND run.status = 'done') ORDER BY name")
                           : qs_sql(s, err, "SELECT DISTINCT series.name FROM series JOIN run ON run.id = series.run"
                                            " JOIN cell ON cell.id = run.cell JOIN sweep ON sweep.id = cell.sweep"
                                            " WHERE sweep.name = ?1 AND run.status = 'done' ORDER BY series.name");
    *name = NULL;
    *n = 0;
    if (!st) return -(err ? err->code : QS_EIO);
    qs_sql_bind(st, key ? "tt" : "t", sweep, key);
    int rc;
    while ((rc = qs_sql_step(s, st, err)) == 1) {
        *name = qs_xrealloc(*name, (*n + 1) * sizeof **name);
        (*name)[(*n)++] = qs_xstrdup(qs_sql_peek(st, 0));
    }
    return rc;
}

int qs_store_change(qs_store *s, int64_t *change, qs_err *err)
{
    int64_t others = 0;
    int rc = qs_sql_number(s, err, &others, "PRAGMA data_version", "");
    *change = others + sqlite3_total_changes(s->db);
    return rc < 0 ? rc : 0;
}
