/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Starts chosen by the network's loss, and steps that are followed: what is reported is what was measured, nothing gets
 * worse on the images it was chosen by, the same bits come out whatever the threads, and a run goes on after saving.
 */
#include <unistd.h>

#include "../tap.h"
#include "base/sync.h"
#include "files.h"
#include "runs.h"
#include "train/search.h"

static qs_run_opts adaptive(uint64_t steps, const char *w, const char *a, const char *learn)
{
    qs_run_opts o = quantized(steps, w, a, learn);
    o.quant.weights.init = o.quant.acts.init = "adaptive";
    o.quant.calib = o.quant.adapt.images = 128;
    o.quant.adapt.norms = o.quant.adapt.factors = QS_ADAPT_ON;
    return o;
}

/* A net that has learned something: else there is no loss to speak of. */
static qs_net *taught(qs_net *fresh, qs_dataset *d)
{
    qs_run_opts o = options(TAP_THREADS_ONLY ? 20 : 150);
    o.lr = 0.05;
    qs_run *r = start(fresh, d, o);
    while (r && qs_run_step(r, NULL, NULL) == 1) {}
    qs_net *net = qs_net_copy(r->net);
    qs_run_unref(r);
    qs_net_unref(fresh);
    return net;
}

/* ---- passes that stop and go on ------------------------------------------------------------------- */
static qs_net *forked_net(void)
{
    qs_net *net = qs_net_new(SIDE, SIDE, 1, NULL);
    add(net, (qs_layer){.op = QS_OP_CONV, .out = 8, .kernel = 3, .pad = 1, .no_bias = 1});
    add(net, (qs_layer){.op = QS_OP_BATCHNORM});
    add(net, (qs_layer){.op = QS_OP_RELU});                                                        /* node 3 */
    add(net, (qs_layer){.op = QS_OP_CONV, .out = 8, .kernel = 3, .pad = 1});
    add(net, (qs_layer){.op = QS_OP_RELU});
    add(net, (qs_layer){.op = QS_OP_CONV, .out = 8, .kernel = 3, .pad = 1, .no_bias = 1});
    add(net, (qs_layer){.op = QS_OP_BATCHNORM});
    qs_layer sum = {.op = QS_OP_ADD, .in = -1, .in2 = 3};
    qs_err e = {0};
    if (qs_net_add(net, &sum, &e) < 0) printf("# %s\n", e.msg);
    add(net, (qs_layer){.op = QS_OP_RELU});
    add(net, (qs_layer){.op = QS_OP_CONV, .out = 16, .kernel = 3, .stride = 2, .pad = 1});
    add(net, (qs_layer){.op = QS_OP_MAXPOOL, .kernel = 2, .stride = 2});
    add(net, (qs_layer){.op = QS_OP_RELU});
    add(net, (qs_layer){.op = QS_OP_FLATTEN});
    add(net, (qs_layer){.op = QS_OP_LINEAR, .out = CLASSES});
    qs_net_seed(net, 9);
    return net;
}

static int differs(qs_run *r, size_t batch)
{
    qs_plan *once = qs_plan_new(r->net, r->site, r->nsite, batch, false, NULL);
    qs_plan *twice = qs_plan_new(r->net, r->site, r->nsite, batch, false, NULL);
    size_t last = r->nsite, bad = 0;
    uint32_t *which = qs_xmalloc(batch * sizeof *which);
    for (size_t i = 0; i < batch; i++) which[i] = (uint32_t)(3 * i % r->data->n[QS_PART_TRAIN]);
    qs_dataset_batch(r->data, QS_PART_TRAIN, which, batch, NULL, qs_plan_input(once), qs_plan_labels(once));
    qs_dataset_batch(r->data, QS_PART_TRAIN, which, batch, NULL, qs_plan_input(twice), qs_plan_labels(twice));
    qs_plan_weights(once);
    qs_plan_weights(twice);
    for (size_t i = 0; i < r->nsite; i++) {
        if (!r->site[i].act) continue;
        const float *a = qs_plan_forward_to(once, QS_BN_BATCH, i);
        const float *b = last == r->nsite ? qs_plan_forward_to(twice, QS_BN_BATCH, i) : qs_plan_forward_on(twice, last, i);
        bad += memcmp(a, b, batch * r->site[i].n * sizeof *a) != 0;
        last = i;
    }
    free(which);
    qs_plan_free(once);
    qs_plan_free(twice);
    return (int)bad;
}

static void stopping(qs_dataset *d)
{
    qs_net *nets[] = {conv_net(), dense_net(), forked_net()};
    int bad = 0;
    for (int i = 0; i < 3; i++) {
        qs_run *r = start(nets[i], d, quantized(10, "int3", "4", "lsq"));
        bad += differs(r, 256) + differs(r, 24) + differs(r, 7);
        qs_run_unref(r);
        qs_net_unref(nets[i]);
    }
    ok(!bad, "a pass that goes on from site to site sees what passes from the start see, bit for bit");
}

/* ---- adaptive ------------------------------------------------------------------------------------------ */
static double loss_now(qs_run *r, size_t from, size_t images, bool labels)
{
    qs_probe p = {0};
    double mean = NAN;
    if (qs_probe_init(&p, r, from, images, labels, NULL, NULL)) return NAN;
    qs_probe_look(&p, 0, 0, NULL, &mean, NULL);
    qs_probe_clear(&p);
    return mean;
}

static void check_report(qs_run *r, const char *what, bool labels)
{
    const qs_adapted *d = &r->adapted;
    size_t taken = 0, bad = 0;
    double least = d->first;
    for (size_t i = 0; i < d->nattempt; i++) {
        const qs_attempt *t = &d->attempt[i];
        taken += t->taken;
        bad += !isfinite(t->loss) || (t->taken && !(t->loss < least)) || (isnan(t->p) && t->taken && isnan(t->check));
        if (t->taken) least = t->loss;
    }
    ok(d->nattempt > 1 && !bad && d->attempt[0].loss == d->first && d->attempt[0].site == QS_ATTEMPT_ALL && d->attempt[0].p == 2,
       "%s: every attempt that was taken lowered the loss (%zu of %zu)", what, taken, d->nattempt);
    ok(d->last == least && d->last <= d->first, "%s: from %.4g to %.4g", what, d->first, d->last);
    near(loss_now(r, 0, r->o.quant.adapt.images, labels), d->last, 1e-6, "%s: the sites stand where it says they do", what);
    const qs_site *s = &r->site[2];
    ok(strstr(s->formula, "argmin E|x - Q(x)|^") && strstr(s->note, "by the loss"), "%s: and say so: %s (%s)", what, s->formula, s->note);
}

static void chooses(qs_dataset *d, const qs_net *net)
{
    static const struct { const char *w, *a, *learn; } row[] = {
        {"int2", "2", "lsq"}, {"int3@channel", "uint2+offset", "lsq+"}, {"apot3", "3", "rcf"}, {"nf4", "uint2", "pact"},
        {"codebook(-1;0;1)", "uint2+zp", "none"}, {"pot3", "fp4", "lsq"}};
    for (size_t i = 0; i < (TAP_SANITIZED ? 2 : sizeof row / sizeof *row); i++) {
        char what[64];
        snprintf(what, sizeof what, "%s %s/%s", row[i].learn, row[i].w, row[i].a);
        qs_run *r = start(net, d, adaptive(10, row[i].w, row[i].a, row[i].learn));
        check_report(r, what, false);
        qs_run_unref(r);
    }
    qs_run_opts o = adaptive(10, "int2", "2", "lsq");
    o.quant.adapt.labels = true;
    o.quant.calib = 100;       /* other images than those it looks at, and not a whole batch */
    qs_run *r = start(net, d, o);
    check_report(r, "with labels", true);
    qs_run_unref(r);
}

static int kinds(const qs_adapted *d, bool norm)
{
    int n = 0;
    for (size_t i = 1; i < d->nattempt; i++) n += isnan(d->attempt[i].p) != norm;
    return n;
}

static bool same_steps(const qs_run *a, const qs_run *b)
{
    bool equal = true;
    for (size_t i = 0; i < a->nsite; i++)
        equal &= !memcmp(a->site[i].step, b->site[i].step, a->site[i].parts * sizeof(double));
    return equal;
}

/* Steps that are learned start by the norms that train well, on all values, and the loss is not looked at. */
static void check_unasked(const qs_run *r, qs_dataset *d, const qs_net *net)
{
    qs_run_opts o = quantized(10, "int2", "2", "lsq");
    o.quant.weights.init = "lp:3";
    o.quant.acts.init = "mse";
    o.quant.calib = r->o.quant.calib;
    qs_run *same = start(net, d, o);
    bool equal = same->nsite == r->nsite;
    for (size_t i = 0; i < r->nsite && equal; i++) equal = r->site[i].step[0] == same->site[i].step[0];
    ok(equal && !r->adapted.nattempt && !r->adapted.images && r->adapted.p_weights == 3 && r->adapted.p_acts == 2 &&
       strstr(r->site[2].formula, "argmin E|x - Q(x)|^3") && strstr(r->site[2].note, "best after training"),
       "and where they are, norm 3 for weights and least squares for inputs, at no cost: %s", r->site[2].formula);
    qs_run_unref(same);
    o = adaptive(10, "int3", "3", "lsq");
    o.quant.adapt.norms = o.quant.adapt.factors = QS_ADAPT_AUTO;
    qs_run *wide = start(net, d, o);
    o.quant.weights.init = o.quant.acts.init = "mse";
    same = start(net, d, o);
    ok(same_steps(wide, same) && wide->adapted.p_weights == 2, "with more levels least squares throughout");
    qs_run_unref(wide);
    qs_run_unref(same);
}

static void parts_of_it(qs_dataset *d, const qs_net *net)
{
    qs_run_opts o = adaptive(10, "int2", "2", "lsq");
    o.quant.weights.learn = o.quant.acts.learn = "none";
    o.quant.adapt.norms = o.quant.adapt.factors = QS_ADAPT_AUTO;
    qs_run *r = start(net, d, o);
    ok(kinds(&r->adapted, true) == 4 && kinds(&r->adapted, false) >= 4, "norms and factors where no step is learned");
    qs_run_unref(r);
    o.quant.weights.learn = o.quant.acts.learn = "lsq";
    r = start(net, d, o);
    check_unasked(r, d, net);
    qs_run_unref(r);
    o.quant.adapt.norms = QS_ADAPT_ON;
    r = start(net, d, o);
    ok(kinds(&r->adapted, true) == 4 && kinds(&r->adapted, false) == 0, "norms alone");
    qs_run_unref(r);
    o.quant.adapt.factors = QS_ADAPT_ON;
    o.quant.adapt.norms = QS_ADAPT_OFF;
    r = start(net, d, o);
    ok(kinds(&r->adapted, true) == 0 && kinds(&r->adapted, false) >= 4 && r->adapted.p_acts == 2, "factors alone");
    qs_run_unref(r);
    o.quant.adapt.factors = QS_ADAPT_RANDOM;
    r = start(net, d, o);
    ok(kinds(&r->adapted, false) == 5 * 4, "factors at random: as many looks whatever comes of them");
    qs_run_unref(r);
    o = adaptive(10, "int2", "2", "lsq");
    o.quant.adapt.cost = 5;
    r = start(net, d, o);
    ok(r->adapted.images <= 5 * 3 * 128 + 1024 && r->adapted.images >= 5 * 3 * 128, "what it may cost is what it costs (%llu images)",
       (unsigned long long)r->adapted.images);
    qs_run_unref(r);
    o = adaptive(10, "int2", "2", "lsq");
    o.quant.weights.init = "minmax";
    r = start(net, d, o);
    bool moved = false;
    for (size_t i = 0; i < r->nsite; i++) moved |= !r->site[i].act && r->adapted.factor[i] != 1;
    ok(isnan(r->adapted.p_weights) && !isnan(r->adapted.p_acts) && !moved && strstr(r->site[2].formula, "max"),
       "inputs alone: weights start by their own rule (%s)", r->site[2].formula);
    qs_run_unref(r);
}

static void repeats(qs_dataset *d, const qs_net *net)
{
    qs_run *r[3];
    qs_run_opts o = adaptive(12, "int2@channel", "2", "lsq");
    o.quant.follow = (struct qs_follow_opts){.acts = true, .weights = true, .every = 4};
    if (TAP_THREADS_ONLY) o.quant.adapt.cost = 3;
    bool equal = true;
    for (int i = 0; i < 3; i++) {
        qs_threads_set(i + 1);
        r[i] = start(net, d, o);
        while (qs_run_step(r[i], NULL, NULL) == 1) {}
        equal &= same_steps(r[0], r[i]) && r[0]->loss == r[i]->loss;
    }
    qs_threads_set(2);
    ok(equal, "the same bits on 1, 2 and 3 threads");
    for (int i = 0; i < 3; i++) qs_run_unref(r[i]);
}

/* ---- lapq ----------------------------------------------------------------------------------------------- */
static void lapq(qs_dataset *d, const qs_net *net)
{
    qs_run_opts o = adaptive(10, "int2", "2", "lsq");
    o.quant.weights.init = o.quant.acts.init = "lapq";
    o.quant.adapt.cost = 60;
    qs_run *r = start(net, d, o);
    const qs_adapted *a = &r->adapted;
    ok(a->last <= a->first && a->p_weights == a->p_acts && a->p_acts >= 2 && a->p_acts <= 4,
       "lapq: one norm, p = %.3g; loss from %.4g to %.4g", a->p_acts, a->first, a->last);
    near(loss_now(r, r->o.quant.calib, 128, true), a->last, 1e-6, "lapq: the sites stand where it says they do");
    qs_run_unref(r);
    qs_err e = {0};
    o.quant.weights.init = "adaptive";
    ok(!qs_run_new(net, d, &o, NULL, &e) && e.code == QS_EARG && strstr(e.msg, "one of them"), "mixed: %s", e.msg);
}

/* ---- following --------------------------------------------------------------------------------------------- */
/* After a followed step the inputs' steps are near least squares for that batch; after upto they only learn. */
static void follows(qs_dataset *d, const qs_net *net)
{
    qs_run_opts o = quantized(40, "int2", "2", "lsq");
    o.quant.weights.init = o.quant.acts.init = "minmax";
    o.quant.follow = (struct qs_follow_opts){.acts = true, .every = 10, .upto = 0.5};
    o.quant.acts.step_rate = o.quant.weights.step_rate = 1e-6;   /* else learning moves them too */
    qs_run *r = start(net, d, o);
    int jumps = 0, wrong = 0, weights = 0;
    for (int t = 1; t <= 40; t++) {
        double before = r->site[1].step[0], w = r->site[2].step[0];
        qs_run_step(r, NULL, NULL);
        bool moved = fabs(log(r->site[1].step[0] / before)) > 1e-3;
        jumps += moved;
        wrong += moved && (t % 10 != 5 || t > 20);
        weights += fabs(log(r->site[2].step[0] / w)) > 1e-3;
    }
    ok(r->site[1].act && !r->site[2].act && jumps == 2 && !wrong && !weights,
       "inputs jump at steps 5 and 15 of 40, and at no other (%d jumps)", jumps);
    qs_run_unref(r);
    o.quant.follow.weights = true;
    r = start(net, d, o);
    double w = r->site[2].step[0];
    for (int t = 0; t < 5; t++) qs_run_step(r, NULL, NULL);
    ok(fabs(log(r->site[2].step[0] / w)) > 0.1, "weights jump where they are asked to");
    qs_run_unref(r);
}

/* An input of one pixel and very many channels, more than there are to be looked at. */
static void follows_wide(qs_dataset *d)
{
    qs_net *net = qs_net_new(SIDE, SIDE, 1, NULL);
    add(net, (qs_layer){.op = QS_OP_CONV, .out = 400, .kernel = 3, .pad = 1, .no_bias = 1});
    add(net, (qs_layer){.op = QS_OP_RELU});
    add(net, (qs_layer){.op = QS_OP_FLATTEN});
    add(net, (qs_layer){.op = QS_OP_LINEAR, .out = 3});
    add(net, (qs_layer){.op = QS_OP_LINEAR, .out = CLASSES});
    qs_net_seed(net, 3);
    qs_run_opts o = quantized(6, "int2", "2", "lsq");
    o.quant.follow = (struct qs_follow_opts){.acts = true, .every = 1, .upto = 1};
    qs_run *r = start(net, d, o);
    while (r && qs_run_step(r, NULL, NULL) == 1) {}
    ok(r && r->t == 6 && r->site[1].n == (size_t)400 * SIDE * SIDE, "an input of %zu channels is followed", r ? r->site[1].n : 0);
    qs_run_unref(r);
    qs_net_unref(net);
}

static void goes_on(qs_dataset *d, const qs_net *net, const char *dir)
{
    char path[300];
    qs_run_opts o = adaptive(30, "int2", "2", "lsq");
    snprintf(path, sizeof path, "%s/adapted.safetensors", dir);
    qs_run *r = start(net, d, o);
    for (int t = 0; t < 8; t++) qs_run_step(r, NULL, NULL);
    qs_err e = {0};
    int rc = qs_run_save(r, path, &e);
    qs_run *b = rc ? NULL : qs_run_load(net, d, path, &e), *branch = qs_run_branch(r, NULL, NULL, NULL, &e);
    qs_run *other = qs_run_branch(r, NULL, "minmax", NULL, &e);
    ok(b && b->adapted.nattempt == r->adapted.nattempt && b->adapted.last == r->adapted.last &&
       !memcmp(b->adapted.factor, r->adapted.factor, r->nsite * sizeof(double)), "saved with all attempts %s", e.msg);
    while (qs_run_step(r, NULL, NULL) == 1) {}
    while (b && qs_run_step(b, NULL, NULL) == 1) {}
    ok(b && same_steps(r, b) && r->loss == b->loss, "and goes on bit for bit, followed as before");
    while (branch && qs_run_step(branch, NULL, NULL) == 1) {}
    ok(branch && same_steps(r, branch) && r->loss == branch->loss, "so does a branch");
    ok(other && !other->adapted.nattempt, "a branch that starts another way has no such report");
    qs_run_unref(branch);
    qs_run_unref(other);
    qs_run_unref(r);
    qs_run_unref(b);
    unlink(path);
}

/* ---- what cannot be ------------------------------------------------------------------------------------------ */
static void refusals(qs_dataset *d, const qs_net *net)
{
    qs_err e = {0};
    qs_run_opts o = adaptive(10, "int2", "2", "lsq");
    o.quant.weights.init = o.quant.acts.init = "lapq";
    o.quant.calib = 980;
    ok(!qs_run_new(net, d, &o, NULL, &e) && e.code == QS_EARG && strstr(e.msg, "too few"), "%s", e.msg);
    o = adaptive(10, "int2", "2", "lsq");
    _Atomic uint64_t upto = 0;
    qs_ctl ctl = {.cancel_upto = &upto, .job = 1};
    upto = 1;
    ok(!qs_run_new(net, d, &o, &ctl, &e) && e.code == QS_ECANCEL, "cancelled");
}

int main(void)
{
    char *dir = tmp_dir();
    qs_dataset *d = blobs(VAL);
    qs_net *net = taught(conv_net(), d), *dense = taught(dense_net(), d);
    stopping(d);
    repeats(d, net);
    if (!TAP_THREADS_ONLY) {
        chooses(d, net);
        if (!TAP_SANITIZED) chooses(d, dense);
        parts_of_it(d, net);
        lapq(d, net);
    }
    follows(d, net);
    follows_wide(d);
    goes_on(d, net, dir);
    refusals(d, net);
    qs_net_unref(net);
    qs_net_unref(dense);
    qs_dataset_unref(d);
    rmdir(dir);
    free(dir);
    return done();
}
