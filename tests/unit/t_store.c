/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The results database: what is written is read, and what happens to a file and
 * its processes leaves it whole or is named.
 */
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/sync.h"
#include "store/store.h"
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

/* 100,000 cells that are all done: what a sweep that is resumed waits for. */
static void test_many(void)
{
    const size_t n = TAP_THREADS_ONLY ? 2000 : 100000;
    qs_err err = {0};
    qs_store *s = open_at("many.db", QS_STORE_WAL);
    int64_t sweep = sweep_of(s, &info);
    qs_trial *c = cells(n);
    double t0 = qs_now();
    ok(!qs_store_cells(s, sweep, c, n, &err), "%zu cells are added", n);
    double t1 = qs_now();
    int rc = 0;
    for (size_t i = 0; i < n && !rc; i++) rc = finish(s, c[i].id, (double)i, &err);
    double t2 = qs_now();
    ok(!rc, "and done %s", err.msg);
    qs_store_close(s);
    s = open_at("many.db", QS_STORE_WAL);
    double t3 = qs_now();
    ok(!qs_store_cells(s, sweep, c, n, &err) && c[n - 1].status == QS_TRIAL_DONE, "and found");
    double t4 = qs_now();
    qs_results t;
    ok(!qs_store_results(s, "race", &t, &err) && t.nrow == n && t.row[n - 1].x[0] == (double)(n - 1), "and read");
    double t5 = qs_now();
    printf("# %zu cells: added %.2f s, done %.2f s, found %.2f s, read %.2f s\n", n, t1 - t0, t2 - t1, t4 - t3, t5 - t4);
    qs_results_clear(&t);
    free_cells(c, n);
    qs_store_close(s);
}

int main(void)
{
    dir = tmp_dir();
    test_round_trip();
    test_changes();
    test_many();
    char *rm = qs_xasprintf("rm -rf '%s'", dir);
    if (system(rm)) printf("# %s is left\n", dir);
    free(rm);
    free(dir);
    return done();
}
