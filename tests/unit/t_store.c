/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The results database: what is written is read, and what happens to a file and
 * its processes leaves it whole or is named.
 */
#include <math.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/sync.h"
#include "config.h"
#include "store/groups.h"
#include "../tap.h"
#include "files.h"

static char *dir;

static const qs_sweep_info info = {.name = "race", .script = "race.lua", .script_hash = "ab12", .inputs = "{\"a.npy\":\"1\"}",
                                   .program = "quantscope 0", .grid = "{\"bits\":[2,3],\"seed\":[1,2]}"};

/* n cells of the sweep, as the caller's memory; key and params are the same text. */
static qs_trial *cells(size_t n)
{
    qs_trial *c = qs_xcalloc(n, sizeof *c);
    for (size_t i = 0; i < n; i++) {
        c[i].key = qs_xasprintf("{\"bits\":%zu,\"seed\":%zu}", i % 7, i);
        c[i].params = qs_xstrdup(c[i].key);
        c[i].place = (int64_t)i;
    }
    return c;
}

static void free_cells(qs_trial *c, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(c[i].key);
        free(c[i].params);
    }
    free(c);
}

static qs_store *open_at(const char *name, qs_store_mode mode)
{
    qs_err err = {0};
    char *path = in_dir(dir, name);
    qs_store *s = qs_store_open(path, mode, &err);
    if (!s) printf("# %s\n", err.msg);
    free(path);
    return s;
}

static int64_t sweep_of(qs_store *s, const qs_sweep_info *i)
{
    char changed[256];
    int64_t id = 0;
    qs_err err = {0};
    if (qs_store_sweep(s, i, &id, changed, sizeof changed, &err)) printf("# %s\n", err.msg);
    return id;
}

/* Begins and ends a cell with one metric. */
static int finish(qs_store *s, int64_t cell, double x, qs_err *err)
{
    qs_metric m = {"accuracy", x};
    double loss[] = {x, x / 2};
    qs_metric_series l = {"loss", loss, 2};
    qs_outcome o = {.status = QS_TRIAL_DONE, .seconds = 1, .metric = &m, .nmetric = 1, .series = &l, .nseries = 1};
    int64_t run;
    int rc = qs_store_begin(s, cell, &run, err);
    return rc ? rc : qs_store_end(s, run, &o, err);
}

static void test_round_trip(void)
{
    qs_err err = {0};
    qs_store *s = open_at("round.db", QS_STORE_WAL);
    int64_t sweep = sweep_of(s, &info), run = 0, change, before;
    qs_trial *c = cells(4);
    ok(!qs_store_cells(s, sweep, c, 4, &err) && c[0].id && c[3].status == QS_TRIAL_NONE, "cells are added");
    ok(!qs_store_change(s, &before, &err), "the counter of changes");
    ok(!qs_store_begin(s, c[1].id, &run, &err), "a run begins");
    ok(qs_store_begin(s, c[1].id, &run, &err) == -QS_ESTATE && strstr(err.msg, "being run"), "not twice: %s", err.msg);
    qs_metric m[] = {{"accuracy", 0.1}, {"nothing", NAN}, {"up", INFINITY}, {"down", -INFINITY}, {"tiny", 5e-324}};
    double loss[] = {1.0 / 3, NAN, INFINITY, -INFINITY, (double)0.1f, 1e308, -2};
    qs_metric_series l[] = {{"loss", loss, 7}, {"empty", NULL, 0}};
    qs_outcome o = {.status = QS_TRIAL_DONE, .seconds = 2.5, .seed = UINT64_MAX, .text = "{\"note\":\"x\"}", .metric = m,
                    .nmetric = 5, .series = l, .nseries = 2};
    ok(!qs_store_end(s, run, &o, &err), "and ends");
    ok(qs_store_end(s, run, &o, &err) == -QS_ESTATE, "once: %s", err.msg);
    ok(qs_store_begin(s, c[1].id, &run, &err) == -QS_ESTATE, "a cell that is done is not run again: %s", err.msg);
    ok(!qs_store_change(s, &change, &err) && change > before, "the counter grew");

    qs_results t;
    ok(!qs_store_results(s, "race", &t, &err) && t.nrow == 4 && t.nmetric == 5, "a row a cell, a column a metric");
    same(t.row[1].key, c[1].key, "in order");
    same(t.metric[2], "up", "metrics in the order they were given");
    ok(t.row[1].x[0] == 0.1 && isnan(t.row[1].x[1]) && t.row[1].x[2] == INFINITY && t.row[1].x[3] == -INFINITY
       && t.row[1].x[4] == 5e-324, "numbers come back, also those that are none");
    ok(t.row[1].status == QS_TRIAL_DONE && t.row[1].seconds == 2.5 && isnan(t.row[0].x[0]), "done is done, the others not");
    qs_results_clear(&t);

    double *x;
    size_t n;
    ok(!qs_store_series(s, "race", c[1].key, "loss", &x, &n, &err) && n == 7, "a series comes back");
    bool equal = n == 7;
    for (size_t i = 0; i < n; i++) equal = equal && (isnan(loss[i]) ? isnan(x[i]) : x[i] == loss[i]);
    ok(equal, "bit for bit");
    free(x);
    ok(!qs_store_series(s, "race", c[1].key, "empty", &x, &n, &err) && !x && !n, "an empty one");
    ok(!qs_store_series(s, "race", c[0].key, "loss", &x, &n, &err) && !x && !n, "none where nothing is done");
    ok(qs_store_results(s, "rice", &t, &err) == -QS_EARG && strstr(err.msg, "rice"), "no such sweep: %s", err.msg);

    qs_trial *again = cells(6);
    ok(!qs_store_cells(s, sweep, again, 6, &err) && again[1].id == c[1].id && again[1].status == QS_TRIAL_DONE
       && again[5].status == QS_TRIAL_NONE, "cells are found again, others added");
    ok(!qs_store_begin(s, c[0].id, &run, &err) && !qs_store_abandon(s, run, &err)
       && !qs_store_begin(s, c[0].id, &run, &err), "a run that never was leaves the cell free");
    o.status = QS_TRIAL_FAILED;
    o.error = "no such thing";
    o.nmetric = o.nseries = 0;
    ok(!qs_store_end(s, run, &o, &err), "one that failed");
    qs_sweep_row *row;
    ok(!qs_store_sweeps(s, &row, &n, &err) && n == 1 && row[0].cells == 6 && row[0].done == 1 && row[0].failed == 1
       && row[0].left == 4 && !strcmp(row[0].script, "race.lua"), "the list of sweeps counts");
    qs_store_free_sweeps(row, n);
    ok(!qs_store_results(s, "race", &t, &err) && t.row[0].error && !strcmp(t.row[0].error, "no such thing"), "why it failed");
    qs_results_clear(&t);
    ok(!qs_store_forget(s, sweep, &err) && !qs_store_results(s, "race", &t, &err) && t.nrow == 0, "forgotten");
    qs_results_clear(&t);
    free_cells(c, 4);
    free_cells(again, 6);
    qs_store_close(s);
}

static void test_changes(void)
{
    char changed[512];
    int64_t a, b;
    qs_err err = {0};
    qs_store *s = open_at("changes.db", QS_STORE_WAL);
    ok(!qs_store_sweep(s, &info, &a, changed, sizeof changed, &err) && !*changed, "a new sweep: nothing differs");
    ok(!qs_store_sweep(s, &info, &b, changed, sizeof changed, &err) && !*changed && a == b, "the same: nothing differs");
    qs_sweep_info other = info;
    other.script_hash = "cd";
    other.inputs = "{\"a.npy\":\"2\",\"b.npy\":\"1\"}";
    other.program = "quantscope 1";
    ok(!qs_store_sweep(s, &other, &b, changed, sizeof changed, &err) && a == b, "found by its name");
    same(changed, "the script race.lua; the input a.npy,b.npy; the program (was quantscope 0, is quantscope 1)", "what differs");
    ok(!qs_store_accept(s, a, &other, &err), "accepted");
    ok(!qs_store_sweep(s, &other, &b, changed, sizeof changed, &err) && !*changed, "no longer different");
    qs_store_close(s);
}

/* All cells of the file become done by one statement: a hundred thousand commits would test the disk. */
static void all_done(const char *name)
{
    sqlite3 *db;
    char *path = in_dir(dir, name);
    ok(!sqlite3_open(path, &db)
       && !sqlite3_exec(db, "BEGIN; INSERT INTO run (cell, source, status, began, ended, seconds, seed, host, pid, born, seen)"
                            " SELECT id, 1, 'done', '', '', 1, 1, 'h', 1, 'b', '' FROM cell;"
                            "INSERT INTO metric SELECT id, 0, 'accuracy', place / 2.0 FROM run JOIN"
                            " (SELECT id AS c, place FROM cell) ON c = cell;"
                            "INSERT INTO metric SELECT run, 1, 'loss', -x FROM metric; INSERT INTO metric SELECT run, 2, 'steps', x FROM"
                            " metric WHERE place = 0; COMMIT;", NULL, NULL, NULL), "all done %s", sqlite3_errmsg(db));
    sqlite3_close(db);
    free(path);
}

/* 100,000 cells that are all done: what a sweep that is resumed waits for. */
static void test_many(void)
{
#ifdef QS_SANITIZED
    const size_t n = 2000;
#else
    const size_t n = 100000;
#endif
    qs_err err = {0};
    qs_store *s = open_at("many.db", QS_STORE_WAL);
    int64_t sweep = sweep_of(s, &info);
    qs_trial *c = cells(n);
    double t0 = qs_now();
    ok(!qs_store_cells(s, sweep, c, n, &err), "%zu cells are added", n);
    double t1 = qs_now();
    all_done("many.db");
    double t2 = qs_now();
    ok(!qs_store_cells(s, sweep, c, n, &err) && c[n - 1].status == QS_TRIAL_DONE, "and found");
    double t3 = qs_now();
    qs_results t;
    ok(!qs_store_results(s, "race", &t, &err) && t.nrow == n && t.row[n - 1].x[0] == (double)(n - 1) / 2, "and read");
    double t4 = qs_now();
    qs_results_clear(&t);
    qs_study y;
    ok(!qs_study_read(s, NULL, &y, &err) && y.nparam == 2 && y.param[1].nvalue == n, "with their parameters");
    double t5 = qs_now();
    printf("# %zu cells: added %.2f s, found %.2f s, read %.2f s, with parameters %.2f s\n", n, t1 - t0, t3 - t2, t4 - t3, t5 - t4);
#ifndef QS_SANITIZED
    ok(t3 - t2 < 1, "a sweep of %zu cells is found in under a second (%.2f s)", n, t3 - t2);
#endif
    qs_study_clear(&y);
    free_cells(c, n);
    qs_store_close(s);
}

/* A run costs a few commits; a cell must stay below 10 ms with its process. */
static void test_cost(void)
{
    const size_t n = 200;
    qs_err err = {0};
    qs_store *s = open_at("cost.db", QS_STORE_WAL);
    qs_trial *c = cells(n);
    int rc = qs_store_cells(s, sweep_of(s, &info), c, n, &err);
    double t0 = qs_now();
    for (size_t i = 0; i < n && !rc; i++) rc = finish(s, c[i].id, (double)i, &err);
    double ms = 1e3 * (qs_now() - t0) / (double)n;
    ok(!rc, "%zu cells are done %s", n, err.msg);
    printf("# a cell: %.3f ms\n", ms);
    free_cells(c, n);
    qs_store_close(s);
}

/* ---- merging ------------------------------------------------------------------------------------------- */
enum { MERGED = 12 };

/* Cells first, first + step, ... of the sweep, as a shard adds and runs them; NaN and times included. */
static void shard(const char *name, const qs_sweep_info *i, size_t first, size_t step, qs_trial_status status)
{
    qs_err err = {0};
    qs_store *s = open_at(name, QS_STORE_WAL);
    qs_trial *all = cells(MERGED);
    int64_t sweep = sweep_of(s, i), run;
    for (size_t k = first; k < MERGED; k += step) {
        double loss[] = {1.0 / (double)(k + 3), NAN};
        qs_metric m[] = {{"accuracy", k == 5 ? NAN : 1.0 / (double)(k + 1)}, {"odd", -INFINITY}};
        qs_metric_series l = {"loss", loss, 2};
        qs_outcome o = {.status = status, .seconds = (double)k, .seed = k, .text = "{}", .metric = m, .series = &l,
                        .nmetric = status == QS_TRIAL_DONE ? 1 + k % 2 : 0, .nseries = status == QS_TRIAL_DONE,
                        .error = status == QS_TRIAL_DONE ? NULL : "broken"};
        if (qs_store_cells(s, sweep, &all[k], 1, &err) || qs_store_begin(s, all[k].id, &run, &err)
            || qs_store_end(s, run, &o, &err)) printf("# %s\n", err.msg);
    }
    free_cells(all, MERGED);
    qs_store_close(s);
}

/* All that the results of a file say, as text. */
static char *told(const char *name)
{
    qs_err err = {0};
    qs_str b = {0};
    qs_results t;
    qs_store *s = open_at(name, QS_STORE_READ);
    if (!s || qs_store_results(s, "race", &t, &err)) printf("# %s\n", err.msg);
    for (size_t i = 0; i < t.nrow; i++) {
        const qs_results_row *r = &t.row[i];
        double *x;
        size_t n;
        qs_str_addf(&b, "%s %s %g %s", r->key, qs_trial_status_name[r->status], r->seconds, r->error ? r->error : "-");
        for (size_t k = 0; k < t.nmetric; k++) qs_str_addf(&b, " %s=%a", t.metric[k], r->x[k]);
        qs_store_series(s, "race", r->key, "loss", &x, &n, &err);
        for (size_t k = 0; k < n; k++) qs_str_addf(&b, " %a", x[k]);
        free(x);
        qs_str_add(&b, "\n");
    }
    qs_results_clear(&t);
    qs_store_close(s);
    return b.s;
}

static int merge(const char *into, const char *from, bool accept, qs_err *err)
{
    qs_store *s = open_at(into, QS_STORE_WAL);
    char *path = in_dir(dir, from);
    int rc = qs_store_merge(s, path, accept, err);
    free(path);
    qs_store_close(s);
    return rc;
}

static void test_merge(void)
{
    qs_err err = {0};
    shard("whole.db", &info, 0, 1, QS_TRIAL_DONE);
    for (size_t k = 0; k < 3; k++) {
        char name[16];
        snprintf(name, sizeof name, "part%zu.db", k);
        shard(name, &info, k, 3, QS_TRIAL_DONE);
    }
    ok(!merge("all.db", "part2.db", false, &err) && !merge("all.db", "part0.db", false, &err) && !merge("all.db", "part1.db", false, &err),
       "three shards are merged, in any order %s", err.msg);
    char *want = told("whole.db"), *got = told("all.db");
    same(got, want, "the same as of one run");
    free(got);
    ok(!merge("all.db", "part1.db", false, &err) && !merge("all.db", "all.db", false, &err), "again, and with itself %s", err.msg);
    got = told("all.db");
    same(got, want, "changes nothing");
    free(got);

    shard("broken.db", &info, 0, 1, QS_TRIAL_FAILED);
    ok(!merge("all.db", "broken.db", false, &err), "one where all failed, later");
    got = told("all.db");
    same(got, want, "does not replace what is done");
    free(got);
    ok(!merge("broken.db", "whole.db", false, &err), "the other way round");
    got = told("broken.db");
    same(got, want, "what is done replaces what failed");
    free(got);

    qs_sweep_info other = info;
    other.script_hash = "other";
    shard("other.db", &other, 0, 1, QS_TRIAL_DONE);
    ok(merge("all.db", "other.db", false, &err) == -QS_ESTATE && strstr(err.msg, "another script"), "%s", err.msg);
    got = told("all.db");
    same(got, want, "and nothing of it is there");
    free(got);
    ok(!merge("all.db", "other.db", true, &err), "unless accepted");
    other.script_hash = info.script_hash;
    other.inputs = "{}";
    shard("inputs.db", &other, 0, 1, QS_TRIAL_DONE);
    ok(merge("whole.db", "inputs.db", false, &err) == -QS_ESTATE && strstr(err.msg, "other inputs"), "%s", err.msg);
    ok(merge("all.db", "none.db", false, &err) == -QS_EIO && strstr(err.msg, "none.db"), "%s", err.msg);
    free(want);
}

/* Of two that are done the later; what is still running stays behind. */
static void test_merge_later(void)
{
    qs_err err = {0};
    qs_results t;
    qs_trial *c = cells(2);
    const char *names[] = {"early.db", "late.db"};
    for (int k = 0; k < 2; k++) {
        int64_t run;
        qs_store *s = open_at(names[k], QS_STORE_WAL);
        qs_store_cells(s, sweep_of(s, &info), c, 2, &err);
        finish(s, c[0].id, k, &err);
        if (k) qs_store_begin(s, c[1].id, &run, &err);
        qs_store_close(s);
        usleep(5000);      /* times are in milliseconds */
    }
    for (int k = 0; k < 2; k++) {
        ok(!merge(names[k], names[1 - k], false, &err), "%s takes the other", names[k]);
        qs_store *s = open_at(names[k], QS_STORE_READ);
        ok(!qs_store_results(s, "race", &t, &err) && t.nrow == 2 && t.row[0].x[0] == 1, "the later of two that are done");
        ok(t.row[1].status == (k ? QS_TRIAL_RUNNING : QS_TRIAL_NONE), "a run that is not over stays where it is");
        qs_results_clear(&t);
        qs_store_close(s);
    }
    free_cells(c, 2);
}

/* The end of a cell and the beginning of the next as one: both or none; what fails in between takes only itself back. */
static void test_group(qs_store_mode mode, const char *name)
{
    qs_err err = {0};
    qs_trial *c = cells(3);
    qs_store *s = open_at(name, mode), *other;
    qs_outcome o = {.status = QS_TRIAL_DONE, .metric = &(qs_metric){"x", 1}, .nmetric = 1};
    qs_results t;
    int64_t run, next;
    qs_store_cells(s, sweep_of(s, &info), c, 3, &err);
    other = open_at(name, QS_STORE_READ);
    qs_store_begin(s, c[0].id, &run, &err);
    ok(!qs_store_group_begin(s, &err) && !qs_store_end(s, run, &o, &err) && !qs_store_begin(s, c[1].id, &next, &err), "%s: both are written", name);
    ok(!qs_store_results(other, "race", &t, &err) && t.row[0].status == QS_TRIAL_RUNNING && t.row[1].status == QS_TRIAL_NONE, "nobody else sees it yet");
    qs_results_clear(&t);
    ok(qs_store_begin(s, c[0].id, &run, &err) == -QS_ESTATE && !qs_store_group_end(s, 0, &err), "one that is refused does no harm");
    ok(!qs_store_results(other, "race", &t, &err) && t.row[0].status == QS_TRIAL_DONE && t.row[1].status == QS_TRIAL_RUNNING, "then both are there");
    qs_results_clear(&t);
    qs_store_group_begin(s, &err);
    qs_store_end(s, next, &o, &err);
    qs_store_begin(s, c[2].id, &run, &err);
    ok(qs_store_group_end(s, -QS_EIO, &err) == -QS_EIO, "taken back");
    ok(!qs_store_results(other, "race", &t, &err) && t.row[1].status == QS_TRIAL_RUNNING && t.row[2].status == QS_TRIAL_NONE, "neither is there");
    qs_results_clear(&t);
    ok(!qs_store_end(s, next, &o, &err), "and the file is as before");
    qs_store_close(other);
    qs_store_close(s);
    char *journal = qs_xasprintf("%s/%s-journal", dir, name);
    ok(access(journal, F_OK), "no journal is left behind");
    free(journal);
    free_cells(c, 3);
}

int main(void)
{
    dir = tmp_dir();
    test_group(QS_STORE_WAL, "group.db");
    test_group(QS_STORE_DELETE, "group-delete.db");
    test_round_trip();
    test_changes();
    test_merge();
    test_merge_later();
    test_many();
    test_cost();
    char *rm = qs_xasprintf("rm -rf '%s'", dir);
    if (system(rm)) printf("# %s is left\n", dir);
    free(rm);
    free(dir);
    return done();
}
