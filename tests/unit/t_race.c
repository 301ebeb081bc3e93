/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Races: the picture of runs that make their steps in turn; a race in a file and back; files that are cut, changed, of another
 * version or something else: each gives a named error, or is read as what it then says.
 */
#include "base/file.h"
#include "base/sync.h"
#include "engine/race.h"
#include "files.h"
#include "../tap.h"
#include "runs.h"

static bool same_array(const double *a, const double *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (isnan(a[i]) != isnan(b[i]) || fabs(a[i] - b[i]) > 1e-4 * fabs(a[i])) return false;
    return true;
}

/* ---- live -------------------------------------------------------------------------------- */
static void test_live(qs_race *race, qs_run *run[2])
{
    const qs_snap_race *p = qs_race_picture(race);
    ok(p->n == 3 && p->racer[0].state == QS_SNAP_READY && !p->racer[0].neval && isnan(p->total), "nobody is at the start yet");
    qs_race_enter(race, 0, run[0]);
    qs_race_refuse(race, 1, "EUNSUP: not here");
    qs_race_going(race, true);
    p = qs_race_picture(race);
    ok(p->racer[0].state == QS_SNAP_RUNNING && p->racer[2].state == QS_SNAP_READY && p->total == 12 && p->batch == 32, "one is, and says what it is about");
    same(p->name, "lsq int2/int2", "the name of all, without an initialization");
    ok(p->racer[1].refused, "one cannot start");
    same(p->racer[1].reason, "EUNSUP: not here", "and why");
    qs_race_enter(race, 2, run[1]);
    for (int i = 0; i < 5; i++) ok(qs_run_step(run[0], NULL, NULL) == 1, "a step");
    p = qs_race_picture(race);
    ok(p->racer[0].t == 5 && p->racer[0].nloss == 5 && p->racer[2].t == 0, "it is seen to move");
    ok(p == qs_race_picture(race), "nothing moved: the same picture");
    ok(p->racer[0].neval == 1 && p->racer[0].eval[0] == run[0]->before.accuracy, "before the first step");
    qs_race_going(race, false);
    ok(qs_race_picture(race)->racer[0].state == QS_SNAP_PAUSED, "nobody makes its steps any more");
    for (int i = 0; i < 2; i++)
        while (qs_run_step(run[i], NULL, NULL) == 1) {}
    p = qs_race_picture(race);
    ok(p->racer[0].state == QS_SNAP_DONE && p->racer[2].state == QS_SNAP_DONE, "done");
    near(p->racer[2].after, run[1]->last.accuracy, 1e-12, "the accuracy it came to");
    ok(p->nsite == run[0]->nsite && !strcmp(p->site[1].name, run[0]->site[1].name), "its quantizers by name");
    ok(p->racer[0].nrec == run[0]->h.nrec, "as many records");
    near(p->racer[0].step[p->racer[0].nrec + 1], run[0]->h.rec[run[0]->nsite + 1].step, 1e-12, "the step of the second at the second record");
}

static void test_bounds(void)
{
    qs_err e;
    const char *one[QS_RACERS + 1];
    for (int i = 0; i <= QS_RACERS; i++) one[i] = "mse";
    ok(!qs_race_new(one, 0, "p", &e) && e.code == QS_EARG, "nobody races");
    ok(!qs_race_new(one, QS_RACERS + 1, "p", &e) && e.code == QS_EARG, "too many do: %s", e.msg);
}

/* ---- a file ---------------------------------------------------------------------------------- */
static void test_back(qs_race *race, const char *path)
{
    qs_err e = {0};
    ok(!qs_race_save(race, path, &e), "written: %s", e.msg);
    qs_race *back = qs_race_load(path, &e);
    ok(back, "read: %s", e.msg);
    if (!back) return;
    const qs_snap_race *a = qs_race_picture(race), *b = qs_race_picture(back);
    ok(b->recorded && !a->recorded && b->n == a->n && b->nsite == a->nsite && b->total == a->total && b->seed == a->seed, "the same race");
    same(b->machine, a->machine, "on that machine");
    same(b->program, "a program", "by that program");
    same(b->data, a->data, "on that data");
    same(b->racer[1].reason, a->racer[1].reason, "why one could not start");
    for (size_t i = 0; i < a->n; i += 2) {
        const qs_snap_racer *x = &a->racer[i], *y = &b->racer[i];
        ok(x->nloss == y->nloss && x->neval == y->neval && x->nrec == y->nrec && x->state == y->state, "racer %zu: as long", i + 1);
        ok(same_array(x->mean, y->mean, x->nloss) && same_array(x->eval, y->eval, x->neval) && same_array(x->oscillating, y->oscillating, x->nrec) &&
           same_array(x->step, y->step, x->nrec * a->nsite), "racer %zu: the same curves", i + 1);
    }
    ok(!qs_race_save(back, path, &e), "written once more");
    qs_race_unref(back);
    ok(qs_race_save(race, "/nowhere/at/all.json", &e) == -QS_EIO, "a folder there is not: %s", e.msg);
    ok(!qs_race_load("/nowhere/at/all.json", &e) && e.code == QS_EIO, "a file there is not: %s", e.msg);
}

/* Reads bytes as a race. NULL: err. */
static qs_race *read_bytes(const char *path, const char *text, size_t n, qs_err *e)
{
    *e = (qs_err){0};
    return write_bytes(path, text, n) ? qs_race_load(path, e) : NULL;
}

/* Replaces the first `from` in a good file; the error must say what is wrong. */
static void test_changed(const char *path, const char *good)
{
    static const struct { const char *from, *to, *says; } rows[] = {
        {"{\"quantscope race\":1", "{\"quantscope race\":2", "version 2"}, {"{\"quantscope race\":1", "{\"quantscope\":1", "no recorded race"},
        {"\"steps\":12", "\"steps\":-1", "steps: is out of range"}, {"\"steps\":12", "\"steps\":\"12\"", "steps: is missing"},
        {"\"steps\":12", "\"steps\":null", "steps: is no number"}, {"\"batch\":32", "\"batch\":1e99", "batch"},
        {"\"net\":\"\"", "\"net\":\"0123456789012345678901234567890123456789012345678901234567890123456789\"", "net: is too long"},
        {"\"net\":\"\"", "\"net\":7", "net: is missing, or no text"}, {"\"racers\":[", "\"racers\":[],\"x\":[", "racers: 1 to"},
        {"\"state\":\"done\"", "\"state\":\"won\"", "racer 1: state"}, {"\"refused\":false", "\"refused\":0", "racer 1: refused"},
        {"\"loss_step\":[1,", "\"loss_step\":[1,1,", "racer 1: loss_mean: is of the wrong length"}, {"\"loss_step\":[1,2", "\"loss_step\":[2,1", "do not go forward"},
        {"\"loss_step\":[1,", "\"loss_step\":[null,", "do not go forward"}, {"\"accuracy_step\":[0", "\"accuracy_step\":[-1", "do not go forward"},
        {"\"record_step\":[0", "\"record_step\":[\"0\"", "no number"}, {"\"oscillating\":[", "\"oscillating\":[0,", "wrong length"},
        {"\"quantizer_step\":[[", "\"quantizer_step\":[[-", "a step is above 0"}, {"\"quantizer_step\":[[", "\"quantizer_step\":[[1],[", "one array a quantizer"},
        {"\"quantizers\":[", "\"quantizers\":[7,", "name: is missing"}, {"\"about\":", "\"about\":7,\"x\":", "no JSON object"},
        {"\"before\":0", "\"before\":7", "before: is out of range"}, {"\"data\":\"", "\"data\":7,\"x\":\"", "data: is missing"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *at = strstr(good, rows[i].from);
        qs_err e;
        char *bad = at ? qs_xasprintf("%.*s%s%s", (int)(at - good), good, rows[i].to, at + strlen(rows[i].from)) : NULL;
        qs_race *r = bad ? read_bytes(path, bad, strlen(bad), &e) : NULL;
        ok(bad && !r && e.code == QS_EFORMAT && strstr(e.msg, rows[i].says) && strstr(e.msg, path), "%s: %s", rows[i].to, bad ? e.msg : "not in the file");
        qs_race_unref(r);
        free(bad);
    }
}

/* Cut short everywhere, a byte changed everywhere. */
static void test_damaged(const char *path, const char *good, size_t n)
{
    size_t wrong = 0, read = 0, step = TAP_SANITIZED ? 17 : 3;
    for (size_t k = 0; k + 3 < n; k += step) {
        qs_err e;
        qs_race *r = read_bytes(path, good, k, &e);
        wrong += r || e.code != QS_EFORMAT || !strstr(e.msg, path);
        qs_race_unref(r);
    }
    ok(!wrong, "cut anywhere it is refused by name (%zu were not)", wrong);
    char *text = qs_xstrdup(good);
    for (size_t k = 0; k < n; k += step) {
        static const char bytes[] = {'0', '"', ']', '-', 'e', '\0', '\200'};
        qs_err e;
        text[k] = bytes[k / step % sizeof bytes];
        qs_race *r = read_bytes(path, text, n, &e);
        if (r) qs_race_picture(r), read++;
        else wrong += e.code != QS_EFORMAT || !e.msg[0];
        qs_race_unref(r);
        text[k] = good[k];
    }
    ok(!wrong && read, "a byte changed anywhere it is refused by name, or read (%zu)", read);
    free(text);
}

static void test_others(const char *path)
{
    qs_err e;
    ok(!read_bytes(path, "", 0, &e) && e.code == QS_EFORMAT, "empty: %s", e.msg);
    ok(!read_bytes(path, "[]", 2, &e) && e.code == QS_EFORMAT, "an array: %s", e.msg);
    ok(!read_bytes(path, "\033]0;x\007", 7, &e) && e.code == QS_EFORMAT && !strchr(e.msg, '\033'), "control characters are not repeated: %s", e.msg);
    ok(!qs_race_load("/dev/zero", &e) && e.code == QS_EFORMAT, "a file without an end: %s", e.msg);
    ok(!qs_race_load("/", &e) && e.code == QS_EIO, "a folder: %s", e.msg);
    size_t n = 4000000;
    char *deep = qs_xmalloc(n);
    memset(deep, '[', n);
    ok(!read_bytes(path, deep, n, &e) && e.code == QS_EFORMAT, "as deep as it is long: %s", e.msg);
    free(deep);
}

/* ---- those that come with the program -------------------------------------------------------------- */
static void test_bundled(void)
{
    static const char *const names[] = {"smallcnn-2bit", "depthwise-2bit", "resnet8-apot3"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *name = qs_xasprintf("data/races/%s.json", names[i]), *path = in_source(name);
        qs_err e = {0};
        qs_race *r = qs_race_load(path, &e);
        const qs_snap_race *p = r ? qs_race_picture(r) : NULL;
        ok(p && p->n == 4 && p->total == 150 && p->nsite > 5 && strlen(p->machine) > 4 && strstr(p->data, "60,000"), "%s: %s", name, e.msg);
        for (size_t k = 0; p && k < p->n; k++)
            ok(p->racer[k].state == QS_SNAP_DONE && p->racer[k].neval == 11 && p->racer[k].after > 0.5 && p->racer[k].init_s > 0, "%s: %s", names[i], p->racer[k].init);
        qs_race_unref(r);
        free(name);
        free(path);
    }
}

int main(void)
{
    static const char *const inits[] = {"lsq", "nonsense", "mse"};
    qs_err e = {0};
    qs_dataset *d = blobs(VAL);
    qs_net *net = dense_net();
    qs_run *run[2];
    for (int i = 0; i < 2; i++) {
        qs_run_opts o = quantized(12, "int2", "uint2", "lsq");
        o.quant.weights.init = o.quant.acts.init = inits[2 * i];
        run[i] = start(net, d, o);
    }
    char *dir = tmp_dir(), *path = in_dir(dir, "race.json"), *bad = in_dir(dir, "bad.json");
    qs_race *race = qs_race_new(inits, 3, "a program", &e);
    ok(race, "a race of three");
    test_bounds();
    test_live(race, run);
    test_back(race, path);
    size_t n;
    char *good = qs_file_read(path, &n, &e);
    test_changed(bad, good);
    test_damaged(bad, good, n);
    test_others(bad);
    test_bundled();
    free(good);
    qs_race_unref(race);
    for (int i = 0; i < 2; i++) qs_run_unref(run[i]);
    qs_net_unref(net);
    qs_dataset_unref(d);
    unlink(path);
    unlink(bad);
    rmdir(dir);
    free(path);
    free(bad);
    free(dir);
    return done();
}
