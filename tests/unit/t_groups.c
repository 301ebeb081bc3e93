/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Groups of results: parameters and their values, means and counts, pairs with a
 * baseline. The numbers themselves: t_oracle_infer.
 */
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "store/groups.h"
#include "../tap.h"
#include "files.h"

static char *dir;
static const char *const inits[] = {"mse", "lsq", "adaptive"};

/* What the made-up sweep measures: adaptive is better than mse by 0.01 to 0.03, lsq worse; seeds differ more than inits. */
static double accuracy(int init, int bits, int seed)
{
    static const double step[] = {0, -0.05, 0.01};
    return 0.5 + 0.1 * bits + 0.07 * seed + step[init] + (init == 2 ? 0.005 * seed : 0);
}

static qs_store *store_of(const char *name)
{
    qs_err err = {0};
    char *path = in_dir(dir, name);
    qs_store *s = qs_store_open(path, QS_STORE_WAL, &err);
    if (!s) printf("# %s\n", err.msg);
    free(path);
    return s;
}

static void run(qs_store *s, int64_t cell, qs_trial_status status, double x)
{
    qs_err err = {0};
    int64_t id;
    qs_metric m[] = {{"accuracy", x}, {"loss", -x}};
    qs_outcome o = {.status = status, .seconds = 1, .metric = m, .nmetric = status == QS_TRIAL_DONE ? 2 : 0,
                    .error = status == QS_TRIAL_FAILED ? "broken" : NULL};
    if (qs_store_begin(s, cell, &id, &err) || qs_store_end(s, id, &o, &err)) printf("# %s\n", err.msg);
}

/* 3 inits, 2 bits, 5 seeds; seed 3 of lsq at 2 bits failed, seed 4 of mse at 4 bits is NaN, the last cell is left. */
static qs_store *race(void)
{
    qs_sweep_info info = {"race", "r.lua", "1", "{}", "q", "{}"};
    qs_store *s = store_of("race.db");
    char changed[64];
    int64_t sweep;
    qs_err err = {0};
    qs_store_sweep(s, &info, &sweep, changed, sizeof changed, &err);
    for (int k = 0; k < 30; k++) {
        int init = k % 3, bits = k / 3 % 2 ? 4 : 2, seed = k / 6 + 1;
        char text[128];
        snprintf(text, sizeof text, "{\"bits\":%d,\"init\":\"%s\",\"n\":0.10000000000000001,\"seed\":%d}", bits, inits[init], seed);
        qs_trial c = {.key = text, .params = text, .place = k};
        qs_store_cells(s, sweep, &c, 1, &err);
        if (k == 29) break;
        if (init == 1 && bits == 2 && seed == 3) run(s, c.id, QS_TRIAL_FAILED, 0);
        else run(s, c.id, QS_TRIAL_DONE, init == 0 && bits == 4 && seed == 4 ? NAN : accuracy(init, bits, seed));
    }
    return s;
}

static const qs_group *group_of(const qs_study *y, const qs_groups *g, const char *bits, const char *init)
{
    for (size_t i = 0; i < g->n; i++) {
        const qs_value *b = qs_study_value(y, g->g[i].row, (size_t)qs_study_param(y, "bits"));
        const qs_value *v = qs_study_value(y, g->g[i].row, (size_t)qs_study_param(y, "init"));
        if (!strcmp(b->text, bits) && !strcmp(v->text, init)) return &g->g[i];
    }
    return NULL;
}

static void test_study(const qs_study *y)
{
    ok(y->nparam == 4 && y->t.nrow == 30 && y->t.nmetric == 2, "4 parameters, 30 cells, 2 metrics");
    int p = qs_study_param(y, "n"), i = qs_study_param(y, "init"), b = qs_study_param(y, "bits");
    ok(p >= 0 && i >= 0 && b >= 0 && qs_study_param(y, "inits") == -1, "parameters by name");
    ok(y->param[i].nvalue == 3 && y->param[b].nvalue == 2 && y->param[p].nvalue == 1, "each with its values");
    const qs_value *v = qs_study_value(y, 7, (size_t)b);
    ok(v->kind == QS_VALUE_INT && v->x == 2 && !strcmp(v->text, "2"), "a whole number");
    v = qs_study_value(y, 7, (size_t)i);
    ok(v->kind == QS_VALUE_TEXT && !strcmp(v->text, "lsq"), "a text");
    v = qs_study_value(y, 7, (size_t)p);
    ok(v->kind == QS_VALUE_REAL && v->x == 0.1 && !strcmp(v->text, "0.1"), "a number, with as few digits as it needs");
    ok(qs_study_failed(y) == 1 && y->count[QS_TRIAL_NONE] == 1 && y->count[QS_TRIAL_DONE] == 28, "cells are counted");
}

static void test_groups(const qs_study *y)
{
    qs_err err = {0};
    qs_groups g;
    ok(!qs_groups_make(y, NULL, 0, NULL, "init=mse", NULL, &g, &err) && g.nby == 3 && g.n == 6, "by all but the seed: 6 groups %s", err.msg);
    same(g.label[2], "by_n", "a parameter that is called as a column");
    const qs_group *a = group_of(y, &g, "2", "adaptive"), *m = group_of(y, &g, "2", "mse");
    ok(m && m->baseline && m->diff.n == 0 && isnan(m->p), "the baseline is not compared with itself");
    double want = 0;
    for (int s = 1; s <= 5; s++) want += accuracy(2, 2, s) / 5;
    ok(a->stat.n == 5 && a->failed == 0 && a->left == 0, "five values");
    near(a->stat.mean, want, 1e-12, "their mean");
    near(a->stat.min, accuracy(2, 2, 1), 1e-12, "their least");
    ok(a->diff.n == 5 && !a->baseline, "five pairs");
    near(a->diff.mean, 0.01 + 0.005 * 3, 1e-9, "the mean of the differences");
    near(a->diff.std, 0.005 * sqrt(2.5), 1e-9, "spread of the differences, not of the seeds");
    ok(a->p == 2.0 / 32, "all five of one sign: p = 1/16");
    const qs_group *l = group_of(y, &g, "2", "lsq"), *m4 = group_of(y, &g, "4", "mse"), *a4 = group_of(y, &g, "4", "adaptive");
    ok(l->stat.n == 4 && l->failed == 1 && l->diff.n == 4, "a failed cell is counted, its pair left out");
    near(l->diff.mean, -0.05, 1e-9, "lsq is worse");
    ok(m4->stat.n == 4 && m4->undefined == 1 && m4->baseline, "a NaN is counted");
    ok(a4->stat.n == 4 && a4->left == 1 && a4->diff.n == 3, "so is a cell that is left");
    qs_groups_clear(&g);

    const char *by[] = {"init"};
    ok(!qs_groups_make(y, by, 1, "loss", "init=mse", NULL, &g, &err) && g.n == 3 && g.g[1].diff.n == 8, "by one: pairs agree in bits and seed");
    near(g.g[1].diff.mean, 0.05, 1e-9, "of the metric that was named");
    qs_groups_clear(&g);
    ok(!qs_groups_make(y, by, 0, NULL, NULL, NULL, &g, &err) && g.n == 1 && g.g[0].stat.n == 27, "by nothing: all in one");
    qs_groups_clear(&g);
}

/* What is known when intervals begin to be computed. */
typedef struct early { const qs_groups *g; int asked; bool means, intervals; } early;

static int look_early(void *ctx, const char *what, double done)
{
    early *e = ctx;
    (void)done;
    if (strcmp(what, "intervals") || e->asked++) return 0;
    e->means = e->g->n == 1 && e->g->g[0].stat.n == 27 && e->g->g[0].stat.std > 0;
    e->intervals = !isnan(e->g->g[0].stat.lo);
    return 0;
}

static int stop(void *ctx, const char *what, double done)
{
    (void)ctx, (void)done;
    return !strcmp(what, "intervals");
}

static void test_early(const qs_study *y)
{
    qs_err err = {0};
    qs_groups g;
    early e = {.g = &g};
    const char *by[] = {"init"};
    ok(!qs_groups_make(y, by, 0, NULL, NULL, &(qs_ctl){.poll = look_early, .ctx = &e}, &g, &err), "somebody looks on");
    ok(e.asked == 1 && e.means && !e.intervals, "means can be read before intervals are there");
    ok(g.g[0].stat.lo < g.g[0].stat.mean && g.g[0].stat.mean < g.g[0].stat.hi, "which then are");
    qs_groups_clear(&g);
    ok(qs_groups_make(y, by, 0, NULL, NULL, &(qs_ctl){.poll = stop}, &g, &err) == -QS_ECANCEL, "abandoned between the two");
}

static void refused(const qs_study *y, const char *by, const char *metric, const char *baseline, const char *word)
{
    qs_err err = {0};
    qs_groups g;
    ok(qs_groups_make(y, by ? &by : NULL, by ? 1 : 0, metric, baseline, NULL, &g, &err) == -QS_EARG && strstr(err.msg, word), "%s", err.msg);
}

int main(void)
{
    dir = tmp_dir();
    qs_err err = {0};
    qs_study y, none;
    qs_store *s = race();
    ok(!qs_study_read(s, NULL, &y, &err), "the only sweep is read %s", err.msg);
    test_study(&y);
    test_groups(&y);
    test_early(&y);
    refused(&y, "inits", NULL, NULL, "bits, init, n, seed");
    refused(&y, NULL, "accurcy", NULL, "accuracy, loss");
    refused(&y, NULL, NULL, "init=mze", "mse, lsq, adaptive");
    refused(&y, NULL, NULL, "seed=1", "seed must be");
    refused(&y, NULL, NULL, "mse", "PARAMETER=VALUE");
    refused(&y, NULL, NULL, "", "PARAMETER=VALUE");
    qs_study_clear(&y);
    qs_store_close(s);
    s = store_of("other.db");
    ok(qs_study_read(s, NULL, &none, &err) == -QS_ERANGE, "%s", err.msg);
    ok(qs_study_read(s, "x", &none, &err) == -QS_EARG, "%s", err.msg);
    int64_t id;
    char changed[64];
    qs_sweep_info two[] = {{"a", "a.lua", "1", "{}", "q", "{}"}, {"b", "b.lua", "1", "{}", "q", "{}"}};
    for (int i = 0; i < 2; i++) qs_store_sweep(s, &two[i], &id, changed, sizeof changed, &err);
    ok(qs_study_read(s, NULL, &none, &err) == -QS_EARG && strstr(err.msg, "a, b"), "%s", err.msg);
    ok(!qs_study_read(s, "b", &none, &err) && none.t.nrow == 0, "a sweep without cells");
    qs_groups g;
    ok(!qs_groups_make(&none, NULL, 0, NULL, NULL, NULL, &g, &err) && g.n == 0 && g.metric == -1, "has no groups");
    qs_groups_clear(&g);
    qs_study_clear(&none);
    qs_trial bad = {.key = "k", .params = "no JSON"};
    ok(!qs_store_cells(s, id, &bad, 1, &err) && qs_study_read(s, "b", &none, &err) == -QS_EFORMAT, "%s", err.msg);
    qs_store_close(s);
    char *rm = qs_xasprintf("rm -rf '%s'", dir);
    if (system(rm)) printf("# %s is left\n", dir);
    free(rm);
    free(dir);
    return done();
}
