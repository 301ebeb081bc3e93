/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Runs: they learn, they repeat bit for bit whatever the threads and however often they are saved, they say why they
 * end, and nothing but a step moves them.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/rng.h"
#include "files.h"
#include "runs.h"
#include "train/run.h"
#include "../tap.h"

/* ---- counting what this program asks of malloc (not what libraries do inside), where nothing else replaces it ---- */
#if !defined __SANITIZE_ADDRESS__ && !defined __SANITIZE_THREAD__ && defined __GLIBC__
#define COUNTS_MALLOC 1
extern char __executable_start, etext;
static atomic_ulong asked;
static void count(const void *caller)
{
    asked += (uintptr_t)caller >= (uintptr_t)&__executable_start && (uintptr_t)caller < (uintptr_t)&etext;
}
void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);
void *malloc(size_t n)
{
    count(__builtin_return_address(0));
    return __libc_malloc(n);
}
void *calloc(size_t n, size_t m)
{
    count(__builtin_return_address(0));
    return __libc_calloc(n, m);
}
void *realloc(void *p, size_t n)
{
    count(__builtin_return_address(0));
    return __libc_realloc(p, n);
}
void *aligned_alloc(size_t a, size_t n)
{
    count(__builtin_return_address(0));
    return __libc_memalign(a, n);
}
#endif

/* n steps; false: it ended or failed before. */
static bool go(qs_run *r, int n)
{
    qs_err e = {0};
    int rc = 1;
    for (int i = 0; i < n && rc == 1; i++) rc = qs_run_step(r, NULL, &e);
    if (rc < 0) printf("# %s\n", e.msg);
    return rc >= 0;
}

static bool same_doubles(const double *a, const double *b, size_t n)
{
    return (!a && !b) || !memcmp(a, b, n * sizeof *a);
}

/* Bit for bit: parameters and running statistics, steps and offsets, the losses, the records. */
static bool equal(const qs_run *a, const qs_run *b)
{
    bool good = a->t == b->t && a->h.nloss == b->h.nloss && a->h.nrec == b->h.nrec && a->nsite == b->nsite;
    for (int i = 0; i < a->net->nparam && good; i++)
        good = !memcmp(a->net->param[i].v, b->net->param[i].v, a->net->param[i].n * sizeof(float));
    if (!good) printf("# parameters differ\n");
    for (size_t i = 0; i < a->nsite && good; i++) {
        const qs_site *x = &a->site[i], *y = &b->site[i];
        good = same_doubles(x->step, y->step, x->parts) && same_doubles(x->offset, y->offset, x->parts);
        if (!good) printf("# %s: step %.17g, %.17g\n", x->name, x->step[0], y->step[0]);
    }
    if (good && memcmp(a->h.loss, b->h.loss, a->h.nloss * sizeof *a->h.loss)) good = false, printf("# losses differ\n");
    if (good && memcmp(a->h.lr, b->h.lr, a->h.nloss * sizeof *a->h.lr)) good = false, printf("# rates differ\n");
    for (size_t i = 0; i < a->h.nrec * a->nsite && good; i++) {
        const qs_record *x = &a->h.rec[i], *y = &b->h.rec[i];
        good = !memcmp(x, y, offsetof(qs_record, look)) && !memcmp(x->look.bin, y->look.bin, sizeof x->look.bin) &&
               x->look.mse == y->look.mse && x->look.entropy == y->look.entropy && x->look.lo == y->look.lo;
        if (!good) printf("# record %zu of %s differs\n", i / a->nsite, a->site[i % a->nsite].name);
    }
    return good;
}

static double mean_loss(const qs_run *r, size_t from, size_t n)
{
    double s = 0;
    for (size_t i = 0; i < n; i++) s += r->h.loss[from + i];
    return s / (double)n;
}

/* ---- learning ------------------------------------------------------------------------------------------ */
static qs_net *trained;       /* conv_net after a float run */

static void learns(qs_dataset *d)
{
    qs_net *net = conv_net();
    qs_run *r = start(net, d, options(150));
    qs_score s = {0};
    qs_err e = {0};
    same(r->name, "float", "a run without quantizers is called so");
    ok(r->before.accuracy < 0.6 && r->before.n == VAL, "an untrained net knows little (%.3f)", r->before.accuracy);
    while (qs_run_step(r, NULL, &e) == 1) {}
    ok(r->state == QS_RUN_DONE && r->t == 150 && r->h.nloss == 150, "150 steps, then it is done");
    ok(mean_loss(r, 140, 10) < 0.4 * mean_loss(r, 0, 10), "the loss fell: %.3f to %.3f", mean_loss(r, 0, 10), mean_loss(r, 140, 10));
    ok(r->last.accuracy > 0.9, "validation accuracy %.3f", r->last.accuracy);
    ok(r->h.neval == 2 && r->h.eval[1].t == 150, "evaluated before and at the end");
    ok(qs_run_step(r, NULL, &e) == -QS_ESTATE, "no step after the last: %s", e.msg);
    int rc = qs_run_evaluate(r, QS_PART_TEST, 0, NULL, &s, &e);
    ok(!rc && s.n == TEST && s.accuracy > 0.85, "test accuracy %.3f", s.accuracy);
    ok(r->h.eval[2].part == QS_PART_TEST, "the test is on record");
    ok(r->last.n == VAL && r->h.nrec && r->h.rec_t[r->h.nrec - 1] == 150, "and a record of the last step");
    ok(net->param[0].v[0] != r->net->param[0].v[0], "a copy was trained, not the net");
    trained = qs_net_copy(r->net);
    qs_run_unref(r);
    qs_net_unref(net);
}

static void recovers(qs_dataset *d)
{
    qs_run *r = start(trained, d, quantized(120, "int2", "2", "lsq"));
    same(r->name, "lsq int2/uint2 mse", "its name says it all");
    printf("# float %.3f, 2 bits before %.3f\n", r->floating.accuracy, r->before.accuracy);
    ok(r->floating.accuracy > 0.9, "the float baseline is measured");
    ok(r->before.loss > r->floating.loss, "two bits cost: loss %.3f, float %.3f", r->before.loss, r->floating.loss);
    go(r, 1000);
    ok(r->state == QS_RUN_DONE && r->last.accuracy > r->floating.accuracy - 0.06, "training brings it back: %.3f", r->last.accuracy);
    ok(r->seconds > 0 && r->init_seconds > 0, "times are kept");
    qs_run_unref(r);
}

static const qs_site *site(const qs_run *r, const char *name)
{
    for (size_t i = 0; i < r->nsite; i++)
        if (!strcmp(r->site[i].name, name)) return &r->site[i];
    return NULL;
}

static void sites(qs_dataset *d)
{
    qs_run *r = start(trained, d, quantized(10, "int3", "3", "lsq"));
    ok(r->nsite == 7, "seven quantizers: four weights, three inputs (%zu)", r->nsite);
    ok(!site(r, "conv1.input"), "the image is not quantized");
    same(site(r, "conv1.weight")->f->text, "int8", "first weights");
    same(site(r, "fc1.input")->f->text, "uint8", "last inputs");
    same(site(r, "fc1.weight")->f->text, "int8", "last weights");
    same(site(r, "conv2.input")->f->text, "uint3", "a number of bits takes the sign of what comes");
    qs_run_unref(r);
    r = start(trained, d, quantized(10, "int3", "int3", "lsq"));
    same(site(r, "conv2.input")->f->text, "uint3", "and so does a signed grid where values have no sign");
    ok(*site(r, "conv2.input")->note && !*site(r, "fc1.input")->note, "which it says: %s", site(r, "conv2.input")->note);
    qs_run_unref(r);

    qs_net *net = dense_net();
    struct qs_override over = {.layer = "fc2", .has_w = true, .w = {.format = "int4@channel", .learn = "none", .step_decay = NAN}};
    qs_run_opts o = quantized(10, "2", "uint2:away", "lsq+");
    o.quant.input = "8";
    o.quant.override = &over;
    o.quant.noverride = 1;
    r = start(net, d, o);
    same(site(r, "fc1.input")->f->text, "int8", "the image where asked for");
    same(site(r, "fc2.input")->f->text, "int2:away", "unsigned becomes signed where values have a sign");
    ok(strstr(site(r, "fc2.input")->note, "uint2:away"), "and says so: %s", site(r, "fc2.input")->note);
    same(site(r, "fc2.weight")->f->text, "int4@channel", "a layer of its own");
    ok(site(r, "fc2.weight")->fixed && site(r, "fc2.weight")->parts == 24, "with a rule of its own");
    qs_run_unref(r);

    o.quant.acts.format = "uint2+offset";
    over.layer = "fc9";
    qs_err e = {0};
    ok(!qs_run_new(net, d, &o, NULL, &e) && e.code == QS_EARG, "no such layer: %s", e.msg);
    o.quant.noverride = 0;
    r = start(net, d, o);
    same(site(r, "fc2.input")->f->text, "uint2+offset", "an unsigned grid with an offset stays");
    qs_run_unref(r);
    o = quantized(10, "apot4", "4", "lsq");
    o.quant.weights.learn = "rcf";
    o.quant.weights.init = "apot";
    r = start(net, d, o);
    same(r->name, "rcf:rescale/lsq apot4/int4 apot/mse", "what differs is named twice");
    ok(strstr(site(r, "fc2.weight")->note, "rescale"), "rcf multiplies back where no normalization follows, and says so");
    qs_run_unref(r);
    qs_net_unref(net);
}

/* ---- repeating -------------------------------------------------------------------------------------------- */
static void threads(qs_dataset *d)
{
    qs_run *r[3];
    for (int i = 0; i < 3; i++) {
        qs_threads_set(i + 1);
        r[i] = start(trained, d, quantized(12, "int3@channel", "3", "lsq"));
        go(r[i], 100);
    }
    ok(equal(r[0], r[1]) && equal(r[0], r[2]), "the same bits on 1, 2 and 3 threads");
    ok(r[0]->last.loss == r[1]->last.loss && r[0]->before.loss == r[2]->before.loss, "evaluations too");
    for (int i = 0; i < 3; i++) qs_run_unref(r[i]);
    qs_run_opts o = quantized(12, "int3@channel", "3", "lsq");
    o.seed = 2;
    qs_run *a = start(trained, d, o), *b = start(trained, d, quantized(12, "int3@channel", "3", "lsq"));
    go(a, 3);
    go(b, 3);
    ok(a->h.loss[2] != b->h.loss[2], "another seed is another run");
    qs_run_unref(a);
    qs_run_unref(b);
}

static qs_run *reload(qs_run *r, qs_dataset *d, const char *path)
{
    qs_err e = {0};
    if (qs_run_save(r, path, &e)) printf("# %s\n", e.msg);
    qs_run *l = qs_run_load(trained, d, path, &e);
    if (!l) printf("# %s\n", e.msg);
    return l;
}

static void checkpoint_of(qs_dataset *d, const char *path, qs_run_opts o, const char *what)
{
    qs_run *whole = start(trained, d, o), *half = start(trained, d, o);
    go(whole, 24);
    go(half, 11);
    qs_run *rest = reload(half, d, path);
    ok(rest && equal(half, rest), "%s: what is loaded is what was saved", what);
    ok(rest && !strcmp(rest->name, half->name) && rest->last.loss == half->last.loss, "%s: by name and score", what);
    if (rest) go(rest, 13);
    ok(rest && equal(whole, rest), "%s: 11 steps, a file, 13 steps are 24 steps", what);
    ok(rest && rest->h.neval == whole->h.neval && rest->last.loss == whole->last.loss, "%s: evaluations too", what);
    qs_run_unref(whole);
    qs_run_unref(half);
    qs_run_unref(rest);
}

static void checkpoints(qs_dataset *d, const char *dir)
{
    char *path = in_dir(dir, "run.safetensors");
    qs_run_opts o = quantized(24, "int3", "3", "lsq");
    o.evaluate = 6;
    checkpoint_of(d, path, o, "lsq");
    o = quantized(24, "int4@channel", "uint3+offset", "lsq+");
    o.optimizer = QS_ADAM;
    o.lr = 0.002;
    o.aug_pad = 1;
    o.aug_flip = true;
    checkpoint_of(d, path, o, "lsq+, adam");
    o = quantized(24, "apot4", "uapot4", "rcf");
    o.nesterov = true;
    o.clip = 1;
    checkpoint_of(d, path, o, "rcf");
    o = quantized(24, "int3@channel", "uint3+offset@channel", "lsq");
    o.quant.weights.allocate = o.quant.acts.allocate = QS_ALLOCATE_YES;
    o.quant.weights.correct = QS_CORRECT_BOTH;
    checkpoint_of(d, path, o, "bits allocated, means corrected");
    o = quantized(24, "int3", "3", "lsq");
    o.quant.weights.init = "lloyd";
    checkpoint_of(d, path, o, "lloyd");
    checkpoint_of(d, path, options(24), "float");

    qs_err e = {0};
    qs_net *other = dense_net();
    qs_dataset *cut = blobs(100);
    ok(!qs_run_load(other, d, path, &e) && e.code == QS_EFORMAT, "another net: %s", e.msg);
    ok(!qs_run_load(trained, cut, path, &e) && e.code == QS_ESTATE, "other data: %s", e.msg);
    qs_model *m = qs_model_open(path, &e);
    qs_net *net = conv_net();
    ok(m && !qs_net_load(net, m, &e), "a checkpoint is a model too: %s", e.msg);
    qs_model_unref(m);
    ok(!qs_net_save(net, path, false, &e) && !qs_run_load(trained, d, path, &e) && e.code == QS_EFORMAT, "a model is no checkpoint: %s", e.msg);
    qs_net_unref(net);
    qs_net_unref(other);
    qs_dataset_unref(cut);
    unlink(path);
    free(path);
}

static void branches(qs_dataset *d)
{
    qs_err e = {0};
    qs_run *r = start(trained, d, quantized(20, "int3", "3", "lsq"));
    go(r, 8);
    qs_run *same_run = qs_run_branch(r, NULL, NULL, NULL, &e), *learn = qs_run_branch(r, "pact", NULL, NULL, &e);
    qs_run *init = qs_run_branch(r, NULL, "minmax", NULL, &e), *rcf = qs_run_branch(r, "rcf:rescale", NULL, NULL, &e);
    ok(same_run && equal(r, same_run), "a branch begins where it branched: %s", e.msg);
    ok(learn && learn->t == 8 && learn->site[2].learn == QS_LEARN_PACT && learn->site[2].step[0] == r->site[2].step[0],
       "another rule keeps the steps");
    ok(init && init->site[2].step[0] != r->site[2].step[0] && !strcmp(init->site[2].init, "minmax") &&
       init->net->param[0].v[0] == r->net->param[0].v[0], "another init begins anew on the weights as they are");
    same(init->site[0].init, "mse", "but for the first layer");
    ok(rcf && fabs(rcf->before.loss - learn->before.loss) < 0.05, "a rule that normalizes weights counts their steps in deviations: "
       "loss %.3f, %.3f before", rcf->before.loss, learn->before.loss);
    go(r, 100);
    go(same_run, 100);
    ok(equal(r, same_run), "and goes where the run goes");
    go(learn, 100);
    go(init, 100);
    ok(learn->state == QS_RUN_DONE && init->state == QS_RUN_DONE, "the others go on to the end");
    ok(!qs_run_branch(r, NULL, NULL, NULL, &e) && e.code == QS_ESTATE, "nothing branches off a finished run: %s", e.msg);
    qs_run_unref(r);
    qs_run_unref(same_run);
    qs_run_unref(learn);
    qs_run_unref(init);
    qs_run_unref(rcf);
}

/* ---- ends --------------------------------------------------------------------------------------------------- */
static void divergence(qs_dataset *d)
{
    qs_run_opts o = quantized(50, "int3", "3", "lsq");
    o.lr = 1e6;
    o.schedule = QS_CONSTANT;
    qs_run *r = start(trained, d, o);
    go(r, 50);
    ok(r->state == QS_RUN_DIVERGED && r->t < 50, "lr 1e6 diverges: %s", r->reason);
    ok(strstr(r->reason, "step") && r->h.nloss == r->t && r->t > 0 && r->h.rec_t[r->h.nrec - 1] == r->t, "its history is kept, up to step %d", (int)r->t);
    bool finite = true;
    for (int i = 0; i < r->net->nparam; i++)
        for (size_t k = 0; k < r->net->param[i].n; k++) finite = finite && isfinite(r->net->param[i].v[k]);
    for (size_t i = 0; i < r->nsite; i++) finite = finite && r->site[i].step[0] > 0 && isfinite(r->site[i].step[0]);
    ok(finite, "nothing of it is NaN");
    qs_err e = {0};
    ok(qs_run_step(r, NULL, &e) == -QS_ESTATE && strstr(e.msg, r->reason), "it is over: %s", e.msg);
    qs_run_unref(r);
    o = quantized(50, "int3", "3", "lsq");
    o.bound = 1e-6;
    r = start(trained, d, o);
    go(r, 1);
    ok(r->state == QS_RUN_DIVERGED && r->t == 0, "a bound on the loss: %s", r->reason);
    qs_run_unref(r);
}

static void stops(qs_dataset *d)
{
    qs_run *r = start(trained, d, quantized(50, "int3", "3", "lsq"));
    go(r, 7);
    qs_run_stop(r, "enough");
    ok(r->state == QS_RUN_STOPPED && !strcmp(r->reason, "enough") && r->h.rec_t[r->h.nrec - 1] == 7, "stopped by hand");
    qs_run_unref(r);
    qs_run_opts o = options(400);
    o.lr = 1e-9;
    o.evaluate = 2;
    o.patience = 3;
    r = start(trained, d, o);
    go(r, 400);
    ok(r->state == QS_RUN_STOPPED && r->t < 400, "without progress it stops at step %d: %s", (int)r->t, r->reason);
    qs_run_unref(r);
}

/* ---- what ACIQ adds ------------------------------------------------------------------------------------------- */
static size_t total_bits(const qs_site *s)
{
    size_t sum = 0;
    for (size_t p = 0; p < s->parts && s->bits; p++) sum += s->bits[p];
    return sum;
}

static void aciq(qs_dataset *d)
{
    qs_err e = {0};
    qs_run_opts o = quantized(12, "int3@channel", "3@channel", "none");
    o.quant.weights.init = o.quant.acts.init = "aciq";
    qs_run *plain = start(trained, d, o);
    o.quant.weights.allocate = o.quant.acts.allocate = QS_ALLOCATE_YES;
    o.quant.weights.correct = QS_CORRECT_BOTH;
    qs_run *r = start(trained, d, o);
    const qs_site *w = site(r, "conv2.weight"), *a = site(r, "conv2.input"), *first = site(r, "conv1.weight");
    ok(w && total_bits(w) == 3 * w->parts && total_bits(a) == 3 * a->parts && w->gain, "bits allocated and means corrected: %s", w->note);
    ok(!first->bits && first->gain, "the first layer, of 8 bits, is only corrected");
    ok(r->before.loss != plain->before.loss && isfinite(r->before.loss), "before: loss %.3f, without them %.3f", r->before.loss,
       plain->before.loss);
    float *gain = qs_xmalloc(w->channels * sizeof *gain);
    memcpy(gain, w->gain, w->channels * sizeof *gain);
    qs_run *b = qs_run_branch(r, "lsq", NULL, NULL, &e);
    ok(b && !memcmp(b->site[2].bits, r->site[2].bits, r->site[2].parts) && fabs(b->before.loss - r->before.loss) < 1e-9,
       "a branch keeps the bits (%s)", e.msg);
    go(r, 12);
    ok(r->state == QS_RUN_DONE && memcmp(gain, w->gain, w->channels * sizeof *gain) != 0, "weights move, and the correction with them");
    free(gain);
    qs_run_unref(b);
    qs_run_unref(r);
    qs_run_unref(plain);
    o = quantized(10, "int3", "3", "lsq");
    o.quant.weights.allocate = QS_ALLOCATE_YES;
    ok(!qs_run_new(trained, d, &o, NULL, &e) && e.code == QS_EARG && strstr(e.msg, "conv2.weight"), "%s", e.msg);
    o.quant.weights.format = "apot3@channel";
    ok(!qs_run_new(trained, d, &o, NULL, &e) && e.code == QS_EUNSUP && strstr(e.msg, "conv2.weight"), "%s", e.msg);
    o = quantized(10, "int3", "3", "lsq");
    o.quant.acts.correct = QS_CORRECT_BOTH;
    ok(!qs_run_new(trained, d, &o, NULL, &e) && e.code == QS_EUNSUP && strstr(e.msg, "conv2.input"), "%s", e.msg);
}

/* LSQ+ searches (s, beta) of inputs over all calibration batches: here seven, as qs_net_activations takes them. */
static void batches(qs_dataset *d)
{
    qs_err e = {0};
    qs_net *net = dense_net();
    qs_run_opts o = quantized(1, "float", "int3+offset", "lsq+");
    char **names;
    qs_index **index;
    size_t n, at = 0;
    o.batch = 128;
    o.quant.acts.init = "lsq+";
    o.quant.calib = 7 * 128;
    qs_run *r = start(net, d, o);
    int rc = qs_net_activations(net, d, o.quant.calib, NULL, &names, &index, &n, &e);
    const qs_site *s = r ? site(r, "fc2.input") : NULL;
    while (!rc && at < n && strcmp(names[at], "fc2.input")) at++;
    qs_init_out out = {0};
    qs_init_opts io = {.role = QS_ROLE_ACT};
    ok(s && !rc && at < n && !qs_init_index("lsq+", index[at], s->f, &io, NULL, &out, &e), "inputs of %zu training images %s",
       o.quant.calib, e.msg);
    ok(s && fabs(s->step[0] / out.step - 1) < 1e-6 && fabs(s->offset[0] / out.offset - 1) < 1e-6, "LSQ+ looked at all of them: "
       "(%g, %g) of (%g, %g)", s->step[0], s->offset[0], out.step, out.offset);
    o.quant.calib = 128;
    qs_run *one = start(net, d, o);
    ok(one && one->site[1].step[0] != r->site[1].step[0], "one batch gives another start");
    for (size_t i = 0; i < n && !rc; i++) {
        free(names[i]);
        qs_index_unref(index[i]);
    }
    free(names);
    free(index);
    qs_run_unref(one);
    qs_run_unref(r);
    qs_net_unref(net);
}

static void refusals(qs_dataset *d)
{
    qs_err e = {0};
    qs_dataset *none = blobs(0);
    qs_run_opts o = options(10);
    qs_run *r = start(trained, none, o);
    ok(r && isnan(r->before.accuracy) && isnan(r->floating.loss), "without validation images nothing is known before");
    ok(qs_run_evaluate(r, QS_PART_VAL, 0, NULL, NULL, &e) == -QS_ESTATE && strstr(e.msg, "val="), "%s", e.msg);
    ok(go(r, 10) && r->state == QS_RUN_DONE, "but it runs");
    qs_run_unref(r);
    o.patience = 2;
    ok(!qs_run_new(trained, none, &o, NULL, &e) && e.code == QS_EARG, "%s", e.msg);
    o = options(10);
    o.batch = 5000;
    ok(!qs_run_new(trained, d, &o, NULL, &e) && e.code == QS_EARG, "%s", e.msg);
    o = options(10);
    o.lr = -1;
    ok(!qs_run_new(trained, d, &o, NULL, &e) && e.code == QS_EARG, "%s", e.msg);
    o = options(10);
    o.momentum = 1;
    ok(!qs_run_new(trained, d, &o, NULL, &e) && e.code == QS_EARG, "%s", e.msg);
    o = quantized(10, "int3", "3", "lsqq");
    ok(!qs_run_new(trained, d, &o, NULL, &e) && e.code == QS_EARG && strstr(e.msg, "conv"), "%s", e.msg);
    o = quantized(10, "inr3", "3", "lsq");
    ok(!qs_run_new(trained, d, &o, NULL, &e) && e.code == QS_EFORMAT && strstr(e.msg, "conv"), "%s", e.msg);
    o = quantized(10, "int3", "3", "lsq");
    o.quant.acts.init = "nosuch";
    ok(!qs_run_new(trained, d, &o, NULL, &e) && e.code == QS_EARG && strstr(e.msg, "conv"), "%s", e.msg);
    qs_net *small = qs_net_new(4, 4, 1, NULL);
    add(small, (qs_layer){.op = QS_OP_LINEAR, .out = CLASSES});
    ok(!qs_run_new(small, d, &o, NULL, &e) && e.code == QS_EARG, "%s", e.msg);
    qs_net_unref(small);
    qs_dataset_unref(none);
}

/* ---- what leaves no trace ------------------------------------------------------------------------------------- */
static void no_trace(qs_dataset *d)
{
    qs_run *a = start(trained, d, quantized(14, "int3", "3", "rcf")), *b = start(trained, d, quantized(14, "int3", "3", "rcf"));
    qs_score s = {0};
    for (int i = 0; i < 14; i++) {
        go(a, 1);
        go(b, 1);
        for (int p = 0; p < 3; p++) qs_run_evaluate(b, (qs_part)p, 50, NULL, &s, NULL);
    }
    ok(equal(a, b), "an evaluation leaves no trace");
    qs_score x, y;
    qs_run_evaluate(a, QS_PART_VAL, 0, NULL, &x, NULL);
    qs_run_evaluate(a, QS_PART_VAL, 0, NULL, &y, NULL);
    ok(!memcmp(&x, &y, sizeof x), "and says the same again");
    ok(x.accuracy_raw >= 0 && x.accuracy_raw <= 1, "the raw accuracy beside it: %.3f, %.3f", x.accuracy, x.accuracy_raw);
    qs_run_unref(a);
    qs_run_unref(b);
    qs_net *net = dense_net();
    a = start(net, d, options(5));
    ok(a->before.accuracy == a->before.accuracy_raw, "without batch normalization both are one");
    qs_run_unref(a);
    qs_net_unref(net);
}

static void allocations(qs_dataset *d)
{
#ifdef COUNTS_MALLOC
    qs_run_opts o = quantized(40, "int3@channel", "3", "lsq");
    o.record = 1;
    o.evaluate = 5;
    o.aug_flip = true;
    o.quant.follow = (struct qs_follow_opts){.acts = true, .weights = true, .every = 3};
    qs_threads_set(2);
    qs_run *r = start(trained, d, o);
    unsigned long before = asked;
    ok(before > 1000, "the counter counts (%lu)", before);
    go(r, 38);
    ok(asked == before, "a step asks for no memory, with records, evaluations and following (%lu times in 38)", asked - before);
    qs_run_unref(r);
#else
    (void)d;   /* a sanitizer's malloc is its own; the plain build counts */
#endif
}

/* Cancels at the n-th question. */
struct counter { int left; };
static int count_down(void *ctx, const char *what, double done)
{
    struct counter *c = ctx;
    (void)what;
    (void)done;
    return c->left-- <= 0;
}

/* Handlers run while layers are computed; a library keeps data where a handler's frame would be written (base/sync.h). */
static atomic_ulong alarms;
static void on_alarm(int sig)
{
    (void)sig;
    atomic_fetch_add(&alarms, 1);
}

static double trained_loss(const qs_net *net, qs_dataset *d)
{
    qs_run_opts o = quantized(TAP_SANITIZED ? 10 : 300, "int2", "2", "lsq");
    o.batch = 128;
    qs_run *r = start(net, d, o);
    while (qs_run_step(r, NULL, NULL) == 1) free(malloc(1000));
    double loss = r->loss;
    qs_run_unref(r);
    return loss;
}

static void signals(qs_dataset *d)
{
    qs_net *net = dense_net_of(512, 784);
    double quiet = trained_loss(net, d);
    struct sigaction sa = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    const struct itimerval often = {{0, 200}, {0, 200}}, never = {{0, 0}, {0, 0}};
    sigaction(SIGALRM, &sa, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    double loss = trained_loss(net, d);
    setitimer(ITIMER_REAL, &never, NULL);
    ok(loss == quiet && atomic_load(&alarms) > 10, "signals that come while it trains change nothing (%lu came)", atomic_load(&alarms));
    qs_net_unref(net);
}

static void cancel(qs_dataset *d)
{
    qs_run_opts o = quantized(12, "int3", "3", "lsq");
    o.evaluate = 4;
    qs_run *a = start(trained, d, o), *b = start(trained, d, o);
    go(a, 100);
    int interrupted = 0, rc = 1;
    qs_err e = {0};
    for (int k = 0; b->state == QS_RUN_READY && k < 5000; k++) {
        struct counter c = {k % 7};
        const qs_ctl ctl = {.poll = count_down, .ctx = &c};
        uint64_t t = b->t;
        rc = qs_run_step(b, &ctl, &e);
        interrupted += rc < 0;
        if (rc < 0 && (e.code != QS_ECANCEL || b->t != t)) printf("# %s\n", e.msg);
        if (k % 7 == 6) qs_run_step(b, NULL, &e);
    }
    ok(interrupted > 3 && b->state == QS_RUN_DONE && equal(a, b), "interrupted %d times: the same run", interrupted);
    ok(a->h.neval == b->h.neval && a->last.loss == b->last.loss, "every evaluation is made up");
    bool clean = true;
    for (int k = 0; k < 60; k += 3) {
        struct counter c = {k};
        const qs_ctl ctl = {.poll = count_down, .ctx = &c};
        qs_run *r = qs_run_new(trained, d, &o, &ctl, &e);
        clean = clean && (r || e.code == QS_ECANCEL);
        qs_run_unref(r);
    }
    ok(clean, "the making of a run can be interrupted");
    qs_run_unref(a);
    qs_run_unref(b);
}

/* ---- every rule ----------------------------------------------------------------------------------------------------- */
static bool positive(const qs_run *r)
{
    for (size_t i = 0; i < r->nsite; i++)
        for (size_t p = 0; p < r->site[i].parts; p++)
            if (!(r->site[i].step[p] > 0) || !isfinite(r->site[i].step[p])) return false;
    return true;
}

static void rules(qs_dataset *d)
{
    static const char *const learns[] = {"none", "lsq", "lsq+", "rcf", "rcf:rescale", "pact"};
    static const char *const formats[][2] = {{"int3", "3"}, {"apot4", "uapot4"}, {"int4@channel", "uint4+offset"}, {"int4+zp", "uint4+zp"}};
    for (size_t f = 0; f < 4; f++)
        for (size_t l = 0; l < 6; l++) {
            qs_run_opts o = quantized(40, formats[f][0], formats[f][1], learns[l]);
            o.schedule = QS_CONSTANT;
            qs_run *r = start(trained, d, o);
            bool good = r != NULL;
            for (int i = 0; i < 40 && good; i++) good = go(r, 1) && positive(r);
            good = good && r->h.nloss == 40 && isfinite(r->loss);
            /* the net is trained already: the loss that quantization added goes away */
            double before = good ? r->h.rec_loss[0] : NAN, after = good ? mean_loss(r, 30, 10) : NAN;
            ok(good && after < before + 0.02, "%s %s/%s: %.3f, %.3f after", learns[l], formats[f][0], formats[f][1], before, after);
            qs_run_unref(r);
        }
}

static void adam(qs_dataset *d)
{
    qs_run_opts o = quantized(60, "int3", "3", "lsq");
    o.optimizer = QS_ADAM;
    o.lr = 0.002;
    qs_net *net = conv_net();
    qs_run *r = start(net, d, o);
    bool good = true;
    for (int i = 0; i < 60; i++) good = good && go(r, 1) && positive(r);
    ok(good && mean_loss(r, 50, 10) < 0.7 * mean_loss(r, 0, 10), "Adam from scratch at 3 bits: %.3f to %.3f", mean_loss(r, 0, 10), mean_loss(r, 50, 10));
    qs_run_unref(r);
    qs_net_unref(net);
}

static void records(qs_dataset *d)
{
    qs_run *r = start(trained, d, quantized(33, "int2", "2", "lsq"));
    go(r, 100);
    const qs_history *h = &r->h;
    bool times = h->nrec == 8 && h->rec_t[0] == 0 && h->rec_t[1] == 5 && h->rec_t[6] == 30 && h->rec_t[7] == 33;
    ok(times, "records at 0, 5, ..., 30 and 33 (%zu)", h->nrec);
    bool good = true;
    size_t wi = 0;
    for (size_t i = 0; i < h->nrec * r->nsite; i++) {
        const qs_record *x = &h->rec[i];
        const qs_site *s = &r->site[i % r->nsite];
        size_t n = x->look.under + x->look.over;
        for (int b = 0; b < QS_SITE_BINS; b++) n += x->look.bin[b];
        good = good && x->step > 0 && isfinite(x->dstep) && n == (s->act ? r->o.batch * s->n : s->n) && x->look.used >= 1;
        good = good && (s->act ? isnan(x->ratio) && isnan(x->oscillating) : x->ratio > 0 && x->oscillating >= 0 && x->oscillating <= 1);
        if (!strcmp(s->name, "conv2.weight")) wi = i;
    }
    ok(good, "every record is whole");
    const qs_record *x = &h->rec[wi];
    const qs_site *s = site(r, "conv2.weight");
    near(x->step, s->step[0], 1e-12, "the last one is of the steps as they are");
    near(x->ratio, fabs(s->dstep[0]) / s->step[0] / (s->gnorm / s->vnorm), 1e-9, "LSQ's R");
    qs_run_unref(r);
}

static void nets(qs_dataset *d)
{
    qs_score s = {0};
    qs_err e = {0};
    char **names;
    qs_index **index;
    size_t n;
    int rc = qs_net_evaluate(trained, d, QS_PART_VAL, 0, NULL, &s, &e);
    ok(!rc && s.accuracy > 0.9 && s.n == VAL, "a net by itself: %.3f (raw %.3f)", s.accuracy, s.accuracy_raw);
    qs_run *r = start(trained, d, quantized(5, "int3", "3", "lsq"));
    ok(s.loss == r->floating.loss, "is the float baseline of a run");
    ok(!qs_net_activations(trained, d, 64, NULL, &names, &index, &n, &e) && n == 4, "inputs of four layers");
    same(names[1], "conv2.input", "by name");
    ok(qs_index_n(index[1]) == 64 * SIDE * SIDE * 8, "all values of 64 images");
    for (size_t i = 0; i < n; i++) {
        free(names[i]);
        qs_index_unref(index[i]);
    }
    free(names);
    free(index);
    qs_run_unref(r);
}

int main(void)
{
    char *dir = tmp_dir();
    qs_dataset *d = blobs(VAL);
    if (TAP_THREADS_ONLY) {
        trained = conv_net();
        threads(d);
        cancel(d);
        return done();
    }
    learns(d);
    recovers(d);
    sites(d);
    threads(d);
    checkpoints(d, dir);
    branches(d);
    divergence(d);
    stops(d);
    aciq(d);
    batches(d);
    refusals(d);
    no_trace(d);
    allocations(d);
    cancel(d);
    signals(d);
    rules(d);
    adam(d);
    records(d);
    nets(d);
    qs_net_unref(trained);
    qs_dataset_unref(d);
    rmdir(dir);
    free(dir);
    return done();
}
