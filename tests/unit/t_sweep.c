/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Grids, keys, filters, shards, seeds. */
#include <stdlib.h>

#include "../tap.h"
#include "store/report.h"
#include "store/sweep.h"

static qs_sweep_value text(const char *s) { return (qs_sweep_value){.kind = QS_SWEEP_TEXT, .s = (char *)s}; }
static qs_sweep_value whole(int64_t i) { return (qs_sweep_value){.kind = QS_SWEEP_INTEGER, .i = i}; }
static qs_sweep_value real(double x) { return (qs_sweep_value){.kind = QS_SWEEP_REAL, .x = x}; }
static qs_sweep_value flag(bool b) { return (qs_sweep_value){.kind = QS_SWEEP_BOOL, .i = b}; }

static void put(qs_sweep *s, const char *name, qs_sweep_value v)
{
    qs_err err;
    if (qs_sweep_add_value(s, name, &v, &err)) ok(false, "%s", err.msg);
}

static int refuse(const char *name, qs_sweep_value v, qs_err *err)
{
    qs_sweep *s = qs_sweep_new("x", err);
    int rc = qs_sweep_add_value(s, name, &v, err);
    qs_sweep_free(s);
    return rc;
}

/* bits 2..4, init lsq mse, seed 1..5: 30 cells; given in another order than that of the names. */
static qs_sweep *grid(void)
{
    qs_err err;
    qs_sweep *s = qs_sweep_new("init-race", &err);
    for (int i = 1; i <= 5; i++) put(s, "seed", whole(i));
    put(s, "init", text("mse"));
    put(s, "init", text("lsq"));
    for (int i = 2; i <= 4; i++) put(s, "bits", real(i));
    ok(!qs_sweep_close(s, &err), "a grid");
    return s;
}

static void test_grid(void)
{
    qs_err err;
    qs_sweep *s = grid();
    ok(s->ncell == 30, "3 x 2 x 5 cells");
    same(s->cell[0].key, "{\"bits\":2,\"init\":\"mse\",\"seed\":1}", "names sorted, values as given");
    same(s->cell[1].key, "{\"bits\":2,\"init\":\"mse\",\"seed\":2}", "the last name is the fastest");
    same(s->cell[29].key, "{\"bits\":4,\"init\":\"lsq\",\"seed\":5}", "and the first the slowest");
    char *t = qs_sweep_cell_text(&s->cell[0]), *g = qs_sweep_grid(s);
    same(t, "bits=2 init=mse seed=1", "as people read it");
    same(g, "{\"bits\":[2,3,4],\"init\":[\"mse\",\"lsq\"],\"seed\":[1,2,3,4,5]}", "the grid as JSON");
    free(t);
    free(g);
    bool keep[30];
    for (int i = 0; i < 30; i++) keep[i] = i % 7 == 3;
    ok(!qs_sweep_keep(s, keep, &err) && s->ncell == 4 && strstr(s->cell[0].key, "\"seed\":4"), "cells left out");
    memset(keep, 0, sizeof keep);
    ok(qs_sweep_keep(s, keep, &err) == -QS_EARG, "not all of them");
    qs_sweep_free(s);

    s = qs_sweep_new("x", &err);
    ok(qs_sweep_close(s, &err) == -QS_EARG, "an empty grid");
    qs_sweep_free(s);
    s = qs_sweep_new("x", &err);
    put(s, "a", whole(1));
    put(s, "a", real(1));
    ok(qs_sweep_close(s, &err) == -QS_EARG && strstr(err.msg, "a has a value twice"), "1 and 1.0 are one value");
    qs_sweep_free(s);
    s = qs_sweep_new("x", &err);
    for (int a = 0; a < 8; a++) {
        for (int i = 0; i < 8; i++) put(s, (char[]){(char)('a' + a), 0}, whole(i));
    }
    ok(qs_sweep_close(s, &err) == -QS_EARG && strstr(err.msg, "more than"), "8^8 cells are too many");
    qs_sweep_free(s);
    static const char *const bad[] = {"", "a b", "../x", ".x", "-x", "a/b"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) ok(!qs_sweep_new(bad[i], &err), "no name: \"%s\"", bad[i]);
}

static void test_keys(void)
{
    qs_err err;
    qs_sweep_param p[] = {{"s", text("a\"b\\c\n\xc3\xa9")}, {"t", flag(true)}, {"f", flag(false)}, {"x", real(0.1)}, {"y", real(1e-5)},
                    {"z", real(1.0 / 3)}, {"big", real(1e20)}, {"neg", real(-0.0)}, {"n", whole(-7)}, {"i", whole(INT64_MAX)}};
    qs_sweep *s = qs_sweep_new("x", &err);
    ok(!qs_sweep_add_cell(s, p, sizeof p / sizeof *p, &err) && !qs_sweep_close(s, &err), "a cell of all kinds");
    same(s->cell[0].key, "{\"big\":1e+20,\"f\":false,\"i\":9223372036854775807,\"n\":-7,\"neg\":0,\"s\":\"a\\\"b\\\\c\\u000a\xc3\xa9\","
                         "\"t\":true,\"x\":0.1,\"y\":1e-05,\"z\":0.3333333333333333}", "its key");
    qs_sweep_cell c;
    ok(!qs_sweep_cell_read(s->cell[0].key, &c, &err), "is read back");
    same(c.key, s->cell[0].key, "as the same key");
    ok(c.n == 10 && c.param[9].value.kind == QS_SWEEP_REAL && memcmp(&c.param[9].value.x, &p[5].value.x, 8) == 0,
       "with the same bits");
    qs_sweep_cell_clear(&c);
    static const char *const bad[] = {"", "[1]", "{\"a\":null}", "{\"a\":[1]}", "{\"a\":1,\"a\":2}", "{\"a\":1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ok(qs_sweep_cell_read(bad[i], &c, &err) == -QS_EFORMAT, "no key: %s", bad[i]);
    qs_sweep_free(s);

    /* Written down once: other machines and later versions must come to the same. */
    ok(qs_key_seed("{\"bits\":2}") == 2912676721716447, "the seed of a cell");
    ok(qs_key_seed("{\"init\":\"lsq\",\"seed\":1}") == 7934344136931272, "is the key's");

    ok(refuse("a", real(NAN), &err) == -QS_EARG && strstr(err.msg, "finite"), "NaN is no value");
    ok(refuse("a", real(-INFINITY), &err) == -QS_EARG, "nor is infinity");
    ok(refuse("a", text("\xff"), &err) == -QS_EARG && refuse("\xff", whole(1), &err) == -QS_EARG, "nor what is no UTF-8");
    ok(refuse("", whole(1), &err) == -QS_EARG, "a name is not empty");
}

static void test_list(void)
{
    qs_err err;
    qs_sweep *s = qs_sweep_new("x", &err);
    qs_sweep_param a[] = {{"init", text("mse")}, {"bits", whole(2)}}, b[] = {{"format", text("apot4")}, {"bits", whole(2)}};
    ok(!qs_sweep_add_cell(s, a, 2, &err) && !qs_sweep_add_cell(s, b, 2, &err) && !qs_sweep_close(s, &err), "cells with other names");
    same(s->cell[1].key, "{\"bits\":2,\"format\":\"apot4\"}", "keep their order");
    char *g = qs_sweep_grid(s);
    same(g, "{\"bits\":[2],\"format\":[\"apot4\"],\"init\":[\"mse\"]}", "the grid is what came up");
    free(g);
    qs_sweep_free(s);
    s = qs_sweep_new("x", &err);
    ok(!qs_sweep_add_cell(s, a, 2, &err) && !qs_sweep_add_cell(s, a, 2, &err) && qs_sweep_close(s, &err) == -QS_EARG &&
       strstr(err.msg, "twice"), "a cell twice");
    qs_sweep_free(s);
}

static size_t count(const qs_sweep *s, const char *filter, long i, long of, qs_err *err)
{
    size_t *at, n;
    if (qs_sweep_choose(s, filter, i, of, &at, &n, err)) return SIZE_MAX;
    free(at);
    return n;
}

static void test_filter(void)
{
    static const struct { const char *filter; size_t n; } good[] = {
        {NULL, 30}, {"", 30}, {"bits=2", 10}, {"bits=2|3", 20}, {"bits=2.0,init=lsq", 5}, {"seed=1|5,bits=4,init=mse|lsq", 4},
        {"bits=2,bits=3", 0}};
    static const struct { const char *filter, *word; } bad[] = {
        {"bit=2", "there are: bits, init, seed"}, {"bits=7", "there are: 2, 3, 4"}, {"bits", "NAME=VALUE"}, {"bits=", "no cell has"},
        {"init=lsq,", "NAME=VALUE"}, {"init=LSQ", "mse, lsq"}, {"bits=2x", "no cell has bits=2x"}};
    qs_err err;
    qs_sweep *s = grid();
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        ok(count(s, good[i].filter, 0, 0, &err) == good[i].n, "%s: %zu", good[i].filter ? good[i].filter : "NULL", good[i].n);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ok(count(s, bad[i].filter, 0, 0, &err) == SIZE_MAX && err.code == QS_EARG && strstr(err.msg, bad[i].word), "%s: %s",
           bad[i].filter, err.msg);
    qs_sweep_free(s);

    s = qs_sweep_new("x", &err);
    put(s, "format", text("codebook(-1,0,1)"));
    put(s, "format", text("int2"));
    put(s, "on", flag(true));
    put(s, "on", flag(false));
    qs_sweep_close(s, &err);
    ok(count(s, "format=codebook(-1,0,1),on=true", 0, 0, &err) == 1, "commas in parentheses, true and false");
    qs_sweep_free(s);
}

static void test_shards(void)
{
    qs_err err;
    qs_sweep *s = grid();
    for (long of = 1; of <= 40; of += 3) {
        int seen[30] = {0};
        size_t least = SIZE_MAX, most = 0;
        for (long i = 1; i <= of; i++) {
            size_t *at, n;
            if (qs_sweep_choose(s, NULL, i, of, &at, &n, &err)) break;
            for (size_t k = 0; k < n; k++) seen[at[k]]++;
            least = n < least ? n : least;
            most = n > most ? n : most;
            free(at);
        }
        bool once = true;
        for (int c = 0; c < 30; c++) once &= seen[c] == 1;
        ok(once && most - least <= 1, "%ld shards: every cell in one, none larger by more than a cell", of);
    }
    size_t *a, *b, na, nb, hits = 0;
    qs_sweep_choose(s, NULL, 2, 3, &a, &na, &err);
    qs_sweep_choose(s, "bits=3", 2, 3, &b, &nb, &err);
    for (size_t i = 0; i < na; i++) hits += strstr(s->cell[a[i]].key, "\"bits\":3") != NULL;
    ok(nb && hits == nb, "a filter does not move cells between shards");
    free(a);
    free(b);
    ok(count(s, NULL, 0, 3, &err) == SIZE_MAX && count(s, NULL, 4, 3, &err) == SIZE_MAX && count(s, NULL, 1, -1, &err) == SIZE_MAX,
       "I is 1 to N");
    qs_sweep_free(s);
}

/* What a worker reports comes over as it is. */
static void test_lines(void)
{
    qs_err err;
    qs_report r = {0};
    qs_line l;
    double loss[] = {1.0 / 3, NAN, INFINITY, -INFINITY, 5e-324, 1e308};
    qs_report_metric(&r, "y", 0.1);
    qs_report_metric(&r, "a \"b\"", -INFINITY);
    qs_report_series(&r, "loss", loss, 6);
    qs_report_series(&r, "empty", NULL, 0);
    qs_report_text(&r, "note", "two\nlines \xff");
    qs_report_flag(&r, "good", true);
    qs_report_close(&r, 1.5);
    char *line = qs_line_report(&r);
    ok(line && line[strlen(line) - 1] == '\n' && strchr(line, '\n') == line + strlen(line) - 1, "one line");
    ok(line && !qs_line_read(line, &l, &err) && l.kind == QS_LINE_REPORT && l.report.o.status == QS_TRIAL_DONE, "a report is read back");
    const qs_outcome *o = &l.report.o;
    ok(o->nmetric == 2 && !strcmp(o->metric[0].name, "a \"b\"") && isinf(o->metric[0].x) && o->metric[1].x - 0.1 == 0,
       "metrics by name, infinity too");
    ok(o->nseries == 2 && o->series[0].n == 0 && o->series[1].n == 6, "series");
    ok(o->nseries == 2 && o->series[1].n == 6 && isnan(o->series[1].x[1]) && isinf(o->series[1].x[2]) && o->series[1].x[3] < 0 &&
       memcmp(&o->series[1].x[4], &loss[4], 2 * sizeof *loss) == 0 && memcmp(o->series[1].x, loss, sizeof *loss) == 0, "to the bit");
    same(o->text, "{\"note\":\"two\\nlines ?\",\"good\":true}", "texts and flags");
    ok(o->seconds - 1.5 == 0 && !o->error, "and how long it took");
    qs_line_clear(&l);
    free(line);
    qs_report_metric(&r, "z", NAN);
    qs_report_clear(&r);
    qs_report_metric(&r, "z", NAN);
    qs_report_close(&r, 1);
    ok(r.o.status == QS_TRIAL_FAILED && strstr(r.o.error, "z is not a number") && r.o.nmetric == 1, "NaN is a failure that keeps it");
    qs_report_clear(&r);

    line = qs_line_job("{\"a\":1}", 9007199254740991, 3);
    ok(!qs_line_read(line, &l, &err) && l.kind == QS_LINE_JOB && l.seed == 9007199254740991 && l.threads == 3, "a job");
    same(l.text, "{\"a\":1}", "its key");
    qs_line_clear(&l);
    free(line);
    static const char *const bad[] = {"", "x", "[]", "{}", "{\"status\":1}", "{\"hello\":1}", "{\"status\":\"done\"}",
                                      "{\"status\":\"done\",\"metrics\":[\"a\"],\"x\":\"[1,2]\"}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ok(qs_line_read(bad[i], &l, &err) == -QS_EFORMAT && !l.text && !l.report.metric, "no line: %s", bad[i]);
}

int main(void)
{
    test_grid();
    test_keys();
    test_list();
    test_filter();
    test_shards();
    test_lines();
    return done();
}
