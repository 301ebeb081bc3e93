/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A results database as pictures, while it is written: what they show, when there is a new one and when there is none,
 * what is said of a file that cannot be read; and that a session asks for them and gets them into its snapshots.
 */
#include <math.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/sync.h"
#include "store/store.h"
#include "store/watch.h"
#include "../tap.h"
#include "files.h"

static char *dir;
static atomic_int news;

static void changed(void *ctx)
{
    (void)ctx;
    atomic_fetch_add(&news, 1);
}

static void nap(double seconds) { nanosleep(&(struct timespec){(time_t)seconds, (long)(1e9 * (seconds - floor(seconds)))}, NULL); }

/* ---- a sweep ------------------------------------------------------------------------------ */
static int64_t sweep_of(qs_store *s, const char *name)
{
    qs_sweep_info info = {name, "r.lua", "1", "{}", "q", "{}"};
    char what[64];
    qs_err err = {0};
    int64_t id = 0;
    if (qs_store_sweep(s, &info, &id, what, sizeof what, &err)) printf("# %s\n", err.msg);
    return id;
}

/* One cell that is done: accuracy x; series loss of n points, x + i, the second of them NaN. */
static void cell(qs_store *s, int64_t sweep, const char *init, int seed, double x, size_t n)
{
    char key[80];
    qs_err err = {0};
    int64_t run;
    double *loss = qs_xmalloc((n + 2) * sizeof *loss);
    for (size_t i = 0; i < n; i++) loss[i] = i == 1 ? NAN : x + (double)i;
    snprintf(key, sizeof key, "{\"init\":\"%s\",\"seed\":%d}", init, seed);
    qs_trial t = {.key = key, .params = key, .place = seed};
    qs_metric m[] = {{"accuracy", x}, {"loss", -x}};
    qs_metric_series series = {"loss", loss, n};
    qs_outcome o = {.status = QS_TRIAL_DONE, .seconds = 1, .metric = m, .nmetric = 2, .series = &series, .nseries = n > 0};
    if (qs_store_cells(s, sweep, &t, 1, &err) || qs_store_begin(s, t.id, &run, &err) || qs_store_end(s, run, &o, &err)) printf("# %s\n", err.msg);
    free(loss);
}

static void left(qs_store *s, int64_t sweep, const char *init, int seed)
{
    char key[80];
    qs_err err = {0};
    snprintf(key, sizeof key, "{\"init\":\"%s\",\"seed\":%d}", init, seed);
    qs_trial t = {.key = key, .params = key, .place = seed};
    if (qs_store_cells(s, sweep, &t, 1, &err)) printf("# %s\n", err.msg);
}

static qs_store *make(const char *path)
{
    qs_err err = {0};
    qs_store *s = qs_store_open(path, QS_STORE_WAL, &err);
    if (!s) printf("# %s\n", err.msg);
    int64_t walk = sweep_of(s, "walk"), race = sweep_of(s, "race");
    cell(s, walk, "kl", 1, 7, 0);
    for (int seed = 1; seed <= 3; seed++) cell(s, race, "mse", seed, seed, 5);
    for (int seed = 1; seed <= 2; seed++) cell(s, race, "lsq", seed, 10 + seed, 4);
    left(s, race, "lsq", 3);
    return s;
}

/* ---- pictures -------------------------------------------------------------------------------- */
/* The next one; NULL: none within that time. */
static qs_snap_results *next(const qs_source *src, double seconds)
{
    qs_snap_results *o = NULL;
    for (double until = qs_now() + seconds; !o && qs_now() < until; nap(0.01)) o = src->take(src->ctx);
    return o;
}

static qs_snap_results *ask(const qs_source *src, const qs_results_at *at)
{
    qs_snap_results_unref(src->take(src->ctx));
    src->look(src->ctx, at, true);
    return next(src, 20);
}

static const qs_snap_group *group_of(const qs_snap_results *o, const char *name)
{
    for (size_t i = 0; o && i < o->ngroup; i++)
        if (!strcmp(o->group[i].name, name)) return &o->group[i];
    return NULL;
}

static bool alike(double a, double b) { return (isnan(a) && isnan(b)) || fabs(a - b) < 1e-12; }

static void test_picture(const qs_source *src, qs_results_at at)
{
    qs_snap_results *o = ask(src, &at);
    ok(o && !o->error && o->nsweep == 2 && !strcmp(o->at.sweep, "race") && o->sweep == 1, "the newest sweep, where none is named");
    ok(o->cells == 6 && o->done == 5 && o->left == 1 && !o->failed && !o->running && isnan(o->rate), "its cells; nothing runs: no rate");
    ok(o->nparam == 2 && o->nmetric == 2 && o->nby == 1 && !strcmp(o->at.by, "init") && !strcmp(o->at.metric, "accuracy"), "defaults are filled in");
    const qs_snap_group *mse = group_of(o, "init=mse"), *lsq = group_of(o, "init=lsq");
    ok(o->ngroup == 2 && mse && lsq && !strcmp(mse->value[0], "mse"), "two groups");
    ok(mse->n == 3 && mse->mean == 2 && mse->std == 1 && mse->min == 1 && mse->max == 3 && alike(mse->hi - 2, 2 - mse->lo), "mean, std, interval");
    ok(lsq->n == 2 && lsq->left == 1 && !lsq->baseline && isnan(lsq->diff), "cells that are left; nothing to compare with");
    ok(o->nseries == 1 && !strcmp(o->at.group, "init=mse") && !o->nbase, "the series of the first group");
    const qs_snap_series *s = o->series;
    ok(!strcmp(s->name, "loss") && s->cells == 3 && s->n == 5 && s->at[0] == 1 && s->at[4] == 5, "over its cells, point by point");
    ok(s->mean[0] == 2 && s->low[0] == 1 && s->high[0] == 3 && isnan(s->mean[1]) && s->mean[4] == 6, "mean, least, greatest; NaN where none is finite");
    qs_snap_results_unref(o);
}

static void test_choices(const qs_source *src, qs_results_at at)
{
    snprintf(at.baseline, sizeof at.baseline, "init=mse");
    snprintf(at.group, sizeof at.group, "init=lsq");
    qs_snap_results *o = ask(src, &at);
    const qs_snap_group *mse = group_of(o, "init=mse"), *lsq = group_of(o, "init=lsq");
    ok(mse->baseline && lsq->pairs == 2 && alike(lsq->diff, 10) && lsq->p == 0.5, "a baseline: pairs, their difference");
    ok(o->nseries == 1 && o->series->mean[0] == 11.5 && o->nbase == 1 && o->base->mean[0] == 2, "series of the group named, and of the baseline");
    qs_snap_results_unref(o);
    snprintf(at.metric, sizeof at.metric, "loss");
    snprintf(at.by, sizeof at.by, "init,seed");
    o = ask(src, &at);
    const qs_snap_group *two = group_of(o, "init=lsq,seed=2");
    ok(!o->error && o->ngroup == 6 && two->pairs == 1 && two->diff == -10 && group_of(o, "init=mse,seed=3")->baseline, "by two: a baseline for each seed");
    qs_snap_results_unref(o);
    at.baseline[0] = '\0';
    o = ask(src, &at);
    two = group_of(o, "init=mse,seed=2");
    ok(!o->error && two->mean == -2 && isnan(two->std) && !two->baseline, "without one; of another metric");
    qs_snap_results_unref(o);
    snprintf(at.metric, sizeof at.metric, "los");
    o = ask(src, &at);
    ok(o->error && strstr(o->error, "EARG: ") == o->error && strstr(o->error, "accuracy, loss"), "%s", o->error);
    ok(o->ngroup == 2 && !strcmp(o->at.metric, "accuracy"), "and the defaults are shown");
    qs_snap_results_unref(o);
    at.metric[0] = at.by[0] = '\0';
    snprintf(at.sweep, sizeof at.sweep, "walk");
    o = ask(src, &at);
    ok(!o->error && !strcmp(o->at.sweep, "walk") && o->cells == 1 && !o->nseries && group_of(o, "init=kl")->mean == 7, "another sweep, without series");
    qs_snap_results_unref(o);
    snprintf(at.sweep, sizeof at.sweep, "run");
    o = ask(src, &at);
    ok(o->error && strstr(o->error, "there is no sweep called \"run\""), "%s", o->error);
    qs_snap_results_unref(o);
    at.sweep[0] = '\0';
    o = ask(src, &at);
    ok(!o->error && !strcmp(o->at.sweep, "race"), "back to the newest");
    qs_snap_results_unref(o);
}

static void test_live(const qs_source *src, const qs_results_at *at, qs_store *s)
{
    qs_snap_results_unref(ask(src, at));
    ok(!next(src, 0.8), "nothing is written: no picture");
    int before = atomic_load(&news);
    cell(s, sweep_of(s, "race"), "lsq", 3, 13, 2000);
    qs_snap_results *o = next(src, 10);
    ok(o && group_of(o, "init=lsq")->n == 3 && !o->left, "a cell is done: a picture that has it");
    ok(atomic_load(&news) > before, "and that there is one was said");
    qs_snap_results_unref(o);
    qs_results_at lsq = *at;
    snprintf(lsq.group, sizeof lsq.group, "init=lsq");
    o = ask(src, &lsq);
    ok(o->series->cells == 3 && o->series->n == QS_SNAP_POINTS && o->series->at[0] == 3 && o->series->mean[399] == 13 + 1997, "a long series is thinned out: %zu points", o->series->n);
    qs_snap_results_unref(o);
    src->look(src->ctx, at, false);
    qs_snap_results_unref(next(src, 20));
    cell(s, sweep_of(s, "race"), "mse", 4, 4, 0);
    ok(!next(src, 0.8), "nobody looks: no picture");
    o = ask(src, at);
    ok(o && group_of(o, "init=mse")->n == 4, "somebody looks again: what came since");
    qs_snap_results_unref(o);
}

/* ---- files that cannot be read ------------------------------------------------------------------ */
static void test_bad(const qs_source *src, const char *good)
{
    qs_results_at at = {0};
    char *path = in_dir(dir, "new.db"), *copy = qs_xasprintf("cp '%s' '%s'", good, path);
    snprintf(at.file, sizeof at.file, "%s", path);
    qs_snap_results *o = ask(src, &at);
    ok(o && !o->nsweep && o->error && strstr(o->error, "EIO: ") == o->error && strstr(o->error, "new.db"), "%s", o->error);
    ok(!next(src, 0.8), "which is said once");
    qs_snap_results_unref(o);
    if (system(copy)) printf("# %s failed\n", copy);
    o = next(src, 10);
    ok(o && !o->error && o->nsweep == 2, "the file has come: it is read");
    qs_snap_results_unref(o);
    write_bytes(path, "no database, but long enough to be looked at as one: 0123456789012345678901234567890123456789012345678901234567890", 110);
    o = next(src, 10);
    ok(o && o->error && strstr(o->error, "EFORMAT: ") == o->error, "something else is written into it: %s", o && o->error ? o->error : "no error");
    qs_snap_results_unref(o);
    unlink(path);
    o = next(src, 10);
    ok(o && o->error && !o->nsweep, "it is gone: nothing of it stays");
    qs_snap_results_unref(o);
    free(copy);
    free(path);
}

static void test_locked(const qs_source *src)
{
    sqlite3 *db;
    qs_err err = {0};
    qs_results_at at = {0};
    char *path = in_dir(dir, "slow.db");
    snprintf(at.file, sizeof at.file, "%s", path);
    qs_store *s = qs_store_open(path, QS_STORE_DELETE, &err);
    cell(s, sweep_of(s, "race"), "mse", 1, 1, 0);
    qs_store_close(s);
    qs_snap_results_unref(ask(src, &at));
    bool had = !sqlite3_open(path, &db) && !sqlite3_exec(db, "BEGIN EXCLUSIVE", NULL, NULL, NULL);
    qs_snap_results *o = had ? next(src, 20) : NULL;
    ok(o && o->error && strstr(o->error, "locked"), "%s", o && o->error ? o->error : "no error");
    ok(o && o->ngroup == 1, "what was read stays in sight");
    qs_snap_results_unref(o);
    sqlite3_close(db);
    o = next(src, 20);
    ok(o && !o->error && o->ngroup == 1, "free again: all is well");
    qs_snap_results_unref(o);
    free(path);
}

/* ---- a session ---------------------------------------------------------------------------------------- */
static qs_results_at asked;
static bool asked_shown;
static int asks;

static void fake_look(void *ctx, const qs_results_at *at, bool shown)
{
    (void)ctx;
    asked = *at;
    asked_shown = shown;
    asks++;
}

static qs_snap_results *fake_take(void *ctx)
{
    qs_snap_results **next_one = ctx, *o = *next_one;
    *next_one = NULL;
    return o;
}

static void select_results(qs_session *s, const char *file, const char *view)
{
    qs_pick p = {.set = QS_PICK_RESULTS | QS_PICK_VIEW};
    qs_err err = {0};
    snprintf(p.results.file, sizeof p.results.file, "%s", file);
    snprintf(p.view, sizeof p.view, "%s", view);
    if (qs_session_select(s, &p, &err)) printf("# %s\n", err.msg);
    qs_session_serve(s);
}

static void test_session(void)
{
    qs_snap_results *one = NULL;
    qs_session *s = qs_session_new();
    qs_board *b = qs_board_new(NULL, NULL, NULL);
    qs_session_attach(s, b, NULL);
    qs_session_set_source(s, &(qs_source){.ctx = &one, .look = fake_look, .take = fake_take});
    qs_session_serve(s);
    ok(asks == 0, "a session asks for no results where none are wanted");
    select_results(s, "a.db", "hist");
    ok(asks == 1 && !strcmp(asked.file, "a.db") && !asked_shown, "it says which file, and that nobody sees it");
    select_results(s, "a.db", "results");
    ok(asks == 2 && asked_shown, "and when somebody does");
    qs_session_serve(s);
    ok(asks == 2, "but not twice");
    one = qs_snap_results_new();
    snprintf(one->at.file, sizeof one->at.file, "a.db");
    qs_session_serve(s);
    qs_snapshot *shot = qs_board_get(b);
    ok(shot && shot->results && !strcmp(shot->results->at.file, "a.db") && !strcmp(shot->sel.results.file, "a.db"), "a picture is in the next snapshot");
    qs_snapshot_unref(shot);
    select_results(s, "b.db", "results");
    one = qs_snap_results_new();
    snprintf(one->at.file, sizeof one->at.file, "a.db");
    qs_session_serve(s);
    qs_session_publish(s, true);
    shot = qs_board_get(b);
    ok(shot && !shot->results && !one, "a late one of another file is not");
    qs_snapshot_unref(shot);
    qs_session_free(s);
    qs_board_free(b);
}

int main(void)
{
    qs_err err = {0};
    dir = tmp_dir();
    qs_results_at at = {0};
    char *path = in_dir(dir, "race.db");
    snprintf(at.file, sizeof at.file, "%s", path);
    qs_store *s = make(path);
    ok(qs_watch_can(path) && !qs_watch_can(dir) && !qs_watch_can("/nowhere"), "a database is known by how it begins");
    qs_watch *w = qs_watch_start(changed, NULL, &err);
    ok(w != NULL, "it starts %s", err.msg);
    qs_source src = qs_watch_source(w);
    test_picture(&src, at);
    test_choices(&src, at);
    test_live(&src, &at, s);
    qs_store_close(s);
    test_bad(&src, path);
    test_locked(&src);
    double begin = qs_now();
    qs_watch_stop(w);
    ok(qs_now() - begin < 2, "it ends at once");
    qs_snap_results_unref(src.take(src.ctx));
    qs_watch_free(w);
    qs_watch_free(NULL);
    test_session();
    char *rm = qs_xasprintf("rm -rf '%s'", dir);
    if (system(rm)) printf("# %s is left\n", dir);
    free(rm);
    free(path);
    free(dir);
    return done();
}
