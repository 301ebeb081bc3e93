/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Runs of a session: steps between jobs, pause, turns, what is looked at, pictures, Ctrl-C, the end. */
#include <time.h>

#include "engine_help.h"

#define N 320

/* Three kinds of 8 x 8 images: a stripe across, a stripe down, a blot; with noise. */
static qs_dataset *images(void)
{
    static float x[N * 64];
    static int32_t y[N];
    qs_rng r;
    qs_rng_seed(&r, 5);
    for (size_t i = 0; i < N; i++) {
        y[i] = (int32_t)(i % 3);
        for (size_t k = 0; k < 64; k++) {
            size_t row = k / 8, col = k % 8, at = 2 + i / 3 % 4;
            bool on = y[i] == 0 ? row == at : y[i] == 1 ? col == at : row > 1 && row < 5 && col > 1 && col < 5;
            x[i * 64 + k] = (float)(on + 0.3 * qs_rng_normal(&r));
        }
    }
    return qs_dataset_memory("stripes", 8, 8, 1, 3, x, y, N, 60, 20, NULL);
}

static qs_net *small_net(void)
{
    static const qs_layer layers[] = {
        {.op = QS_OP_CONV, .in = -1, .out = 8, .kernel = 3, .pad = 1, .no_bias = 1}, {.op = QS_OP_BATCHNORM, .in = -1},
        {.op = QS_OP_RELU, .in = -1}, {.op = QS_OP_CONV, .in = -1, .out = 8, .kernel = 3, .pad = 1, .no_bias = 1},
        {.op = QS_OP_BATCHNORM, .in = -1}, {.op = QS_OP_RELU, .in = -1}, {.op = QS_OP_GLOBALPOOL, .in = -1},
        {.op = QS_OP_FLATTEN, .in = -1}, {.op = QS_OP_LINEAR, .in = -1, .out = 3},
    };
    qs_net *net = qs_net_new(8, 8, 1, NULL);
    qs_err err = {0};
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++)
        if (qs_net_add(net, &layers[i], &err) < 0) printf("# %s\n", err.msg);
    qs_net_seed(net, 1);
    return net;
}

static qs_run *run_from(uint64_t steps, const char *format, const char *init)
{
    qs_dataset *d = images();
    qs_net *net = small_net();
    qs_run_opts o;
    qs_err err = {0};
    qs_run_defaults(&o);
    o.steps = steps;
    o.batch = 32;
    o.record = 4;
    o.evaluate = 10;
    o.lr = 0.05;
    o.quant.on = true;
    o.quant.weights.format = format;
    o.quant.weights.init = o.quant.acts.init = init;
    o.quant.calib = 64;
    o.quant.adapt.images = 64;
    o.quant.adapt.norms = QS_ADAPT_ON;
    o.quant.weights.learn = o.quant.acts.learn = "lsq";
    o.quant.acts.format = "uint2";
    qs_run *r = qs_run_new(net, d, &o, NULL, &err);
    if (!r) printf("# %s\n", err.msg);
    qs_net_unref(net);
    qs_dataset_unref(d);
    return r;
}

static qs_run *small_run(uint64_t steps, const char *format) { return run_from(steps, format, "mse"); }

static qs_session *on_screen(qs_board **b)
{
    qs_session *s = qs_session_new();
    *b = qs_board_new(NULL, NULL, NULL);
    qs_session_attach(s, *b, NULL);
    return s;
}

static int pick_view(qs_session *s, const char *view)
{
    return select_text(s, QS_PICK_VIEW, view, NULL);
}

static int pick_seek(qs_session *s, double t, qs_err *err)
{
    return qs_session_select(s, &(qs_pick){.set = QS_PICK_SEEK, .seek = t}, err);
}

static int pick_run(qs_session *s, long run, qs_err *err)
{
    return qs_session_select(s, &(qs_pick){.set = QS_PICK_RUN, .run = run}, err);
}

static int pick_site(qs_session *s, const char *site, qs_err *err)
{
    qs_pick p = {.set = QS_PICK_SITE};
    snprintf(p.site, sizeof p.site, "%s", site);
    return qs_session_select(s, &p, err);
}

/* What the screen would see now. */
static qs_snapshot *seen(qs_session *s, qs_board *b)
{
    qs_session_publish(s, true);
    return qs_board_get(b);
}

static void stepping(void)
{
    qs_board *b;
    qs_session *s = on_screen(&b);
    qs_run *r = small_run(120, "int2");
    qs_err err = {0};
    ok(!qs_session_idle(s), "no run: nothing to do");
    ok(!qs_session_run_add(s, r, &err) && !qs_session_run_add(s, r, &err) && qs_session_runs(s) == 1, "a run is added once");
    ok(qs_session_run(s, 0) == r && qs_session_run_number(s, r) == 1 && !qs_session_run(s, 1), "it is number 1");
    ok(qs_session_selected(s)->run == 1 && qs_session_selected(s)->seek < 0, "and looked at, live");
    same(qs_session_selected(s)->site, "conv2.weight", "from the first quantizer of the fewest bits");
    ok(!qs_session_idle(s) && r->t == 0, "it does not go on by itself");
    ok(!qs_session_run_start(s, r, &err) && qs_session_run_going(s, r), "started");
    for (int i = 0; i < 3; i++) ok(qs_session_idle(s), "a slice, and more to come");
    uint64_t t = r->t;
    ok(t > 0, "steps were made");
    qs_session_run_pause(s, r);
    ok(!qs_session_idle(s) && r->t == t && !qs_session_run_going(s, r), "paused: none");
    qs_session_run_start(s, r, NULL);
    for (int i = 0; i < 1000 && qs_session_idle(s); i++) {}
    ok(r->t == 120 && r->state == QS_RUN_DONE && !qs_session_run_going(s, r), "to its end");
    ok(qs_session_run_start(s, r, &err) == -QS_ESTATE && qs_session_run_stop(s, r, &err) == -QS_ESTATE, "then it is over");
    qs_snapshot *o = seen(s, b);
    ok(o->nlog && strstr(o->log[o->nlog - 1], "run 1 is done: accuracy"), "the log says so");
    qs_snapshot_unref(o);
    qs_run_unref(r);
    qs_session_free(s);
    qs_board_free(b);
}

static double sum(const double *v, size_t n)
{
    double a = 0;
    for (size_t i = 0; i < n; i++) a += v[i];
    return a;
}

static void pictures(void)
{
    qs_board *b;
    qs_session *s = on_screen(&b);
    qs_snapshot *o = seen(s, b);
    ok(!o->train, "no run: nothing in the picture");
    qs_snapshot_unref(o);
    qs_run *r = small_run(30, "int2");
    qs_session_run_start(s, r, NULL);
    o = seen(s, b);
    ok(o->train && o->train->nrun == 1 && !o->train->look.there, "a run; its quantizer is not looked at before its view is");
    ok(o->train->run[0].state == QS_SNAP_RUNNING && o->train->run[0].t < 1 && isnan(o->train->run[0].images_s), "running, speed unknown");
    qs_snapshot_unref(o);
    pick_view(s, "train");
    while (r->t < 17) qs_session_idle(s);
    qs_session_run_pause(s, r);
    o = seen(s, b);
    const qs_snap_train *t = o->train;
    const qs_snap_run *n = &t->run[0];
    ok(n->state == QS_SNAP_PAUSED && n->t == (double)r->t && n->total == 30, "paused at its step");
    ok(n->nloss == r->t && n->loss_t[0] == 1 && n->low[0] == n->high[0] && n->low[0] == (double)r->h.loss[0], "the loss of every step");
    ok(n->neval >= 2 && n->eval_t[0] == 0 && n->eval_t[1] == 10 && n->eval[0] == r->before.accuracy, "evaluations, from before the first step");
    ok(t->nsite == r->nsite && t->nrec == r->h.nrec + 1 && t->rec_t[t->nrec - 1] == (double)r->t, "steps at every record, and now");
    near(t->site[t->site_cur].step[t->nrec - 1], r->site[t->site_cur].step[0], 1e-12, "the step as it is");
    const qs_snap_look *l = &t->look;
    ok(l->there && l->live && l->nlevel == 4 && l->points > 10, "the quantizer: levels, curve");
    near(sum(l->count, l->bins) + l->under + l->over, (double)r->site[t->site_cur].n, 1e-12, "every weight is in the histogram");
    ok(l->lo < l->clip_lo && l->hi > l->clip_hi && l->best_error <= l->error * 1.001, "in a range around its levels; no error below the least");
    ok(isfinite(l->pull) && l->pull_rel >= 0 && l->pull_rel <= 1 && isfinite(l->slope), "both pulls on its step");
    qs_snapshot *again = seen(s, b);
    ok(again->train == t && again != o, "what did not move is shared");
    qs_snapshot_unref(again);
    qs_snapshot_unref(o);
    pick_site(s, "conv2.input", NULL);
    o = seen(s, b);
    l = &o->train->look;
    ok(o->train->site[o->train->site_cur].act && l->there && !l->coarse && isnan(l->oscillating), "an input, from the last batch");
    qs_snapshot_unref(o);
    qs_run_unref(r);
    qs_session_free(s);
    qs_board_free(b);
}

/* What the start was chosen by: the norms that were tried, as steps of the quantizer looked at. */
static void probes(void)
{
    qs_board *b;
    qs_session *s = on_screen(&b);
    qs_run *r = run_from(8, "int2", "adaptive");
    qs_err err = {0};
    ok(!qs_session_run_add(s, r, &err), "a run from an adaptive start: %s", err.msg);
    pick_view(s, "train");
    while (qs_run_step(r, NULL, NULL) == 1) {}
    qs_session_publish(s, true);
    qs_snapshot *o = qs_board_get(b);
    const qs_snap_look *l = &o->train->look;
    size_t norms = 0, chosen = 0;
    for (size_t i = 0; i < r->adapted.nattempt; i++) {
        const qs_attempt *t = &r->adapted.attempt[i];
        norms += isnan(t->factor) && (t->site == QS_ATTEMPT_ALL || t->site == QS_ATTEMPT_WEIGHTS);
    }
    for (size_t i = 0; i < l->nprobe; i++) chosen += fabs(l->probe_step[i] / l->first - 1) < 1e-9;
    ok(norms > 1 && l->nprobe == norms, "every norm tried for the weights is a dot (%zu of %zu)", l->nprobe, norms);
    ok(chosen == 1, "one of them where it began");
    near(l->probe_p, r->adapted.p_weights, 1e-12, "the norm it settled on");
    near(l->probe_last, r->adapted.last, 1e-12, "and the network's loss with it");
    qs_snapshot_unref(o);
    qs_run_unref(r);
    qs_session_free(s);
    qs_board_free(b);
}

static void scrubbing(void)
{
    qs_board *b;
    qs_session *s = on_screen(&b);
    qs_err err = {0};
    ok(pick_seek(s, 3, &err) == -QS_ESTATE && pick_run(s, 1, &err) == -QS_EARG, "no run: nothing to look at");
    qs_run *r = small_run(24, "int2");
    qs_session_run_start(s, r, NULL);
    pick_view(s, "train");
    while (qs_session_idle(s)) {}
    ok(!pick_seek(s, 9, &err) && qs_session_selected(s)->seek == 8, "the last record until then");
    qs_snapshot *o = seen(s, b);
    const qs_snap_look *l = &o->train->look;
    size_t i = o->train->site_cur;
    ok(l->there && !l->live && l->t == 8 && l->coarse && l->points > 10, "as it was: the curve from the histogram kept");
    near(l->step, r->h.rec[2 * r->nsite + i].step, 1e-12, "with its step");
    ok(o->train->before_t == 4 && o->train->after_t == 12 && o->train->record == 2, "and what is beside it");
    near(o->train->site[i].now, l->step, 1e-12, "the list of steps says the same");
    qs_snapshot_unref(o);
    pick_seek(s, 1e9, NULL);
    ok(qs_session_selected(s)->seek == 24, "beyond the end: the last one");
    pick_seek(s, -1, NULL);
    ok(qs_session_selected(s)->seek < 0, "live again");
    ok(pick_site(s, "conv9.weight", &err) == -QS_EARG && pick_run(s, 2, &err) == -QS_EARG, "no such quantizer, no such run");
    ok(strstr(err.msg, "run: there is no run 2"), "the message names it");
    same(qs_session_selected(s)->site, "conv2.weight", "and nothing changed");
    ok(qs_session_select(s, &(qs_pick){.set = QS_PICK_SEEK | QS_PICK_FORMAT, .seek = 4, .format = "int99"}, &err) &&
       qs_session_selected(s)->seek < 0, "one wrong field: none is taken");
    char *text = qs_pick_text(&(qs_pick){.set = QS_PICK_RUN | QS_PICK_SITE | QS_PICK_SEEK | QS_PICK_VIEW, .view = "train", .run = 1,
                                         .site = "conv2.weight", .seek = -1});
    same(text, "qs.select{view=\"train\", run=1, site=\"conv2.weight\", seek=-1}", "as Lua");
    free(text);
    qs_run_unref(r);
    qs_session_free(s);
    qs_board_free(b);
}

static void several(void)
{
    qs_board *b;
    qs_session *s = on_screen(&b);
    qs_run *one = small_run(400, "int2"), *two = small_run(400, "int3");
    qs_session_run_start(s, one, NULL);
    qs_session_run_start(s, two, NULL);
    for (int i = 0; i < 20; i++) qs_session_idle(s);
    ok(one->t > 0 && one->t <= two->t + 1 && two->t <= one->t + 1, "two runs take turns");
    pick_site(s, "conv2.input", NULL);
    pick_run(s, 1, NULL);
    same(qs_session_selected(s)->site, "conv2.input", "another run: the quantizer of the same name");
    qs_snapshot *o = seen(s, b);
    ok(o->train->nrun == 2 && o->train->going == 2 && o->train->cur == 0, "both in the picture");
    ok(o->train->run[0].color != o->train->run[1].color, "in colours of their own");
    ok(o->train->run[1].nstep > 1, "with the step of that quantizer");
    qs_snapshot_unref(o);
    qs_board_pick(b, &(qs_pick){.set = QS_PICK_VIEW, .view = "map"});
    qs_session_idle(s);
    ok(!strcmp(qs_session_selected(s)->view, "map"), "a pick that waits is served in the middle of a step");
    ok(!qs_session_run_stop(s, two, NULL) && two->state == QS_RUN_STOPPED, "stopped");
    qs_session_run_drop(s, one);
    ok(qs_session_runs(s) == 1 && qs_session_selected(s)->run == 1 && qs_session_run(s, 0) == two, "dropped: the other moves up");
    for (int i = 0; i < QS_RUNS_MAX + 2; i++) {
        qs_run *r = small_run(4, "int2");
        qs_session_run_add(s, r, NULL);
        qs_run_unref(r);
    }
    ok(qs_session_runs(s) == QS_RUNS_MAX && !qs_session_run_number(s, two), "so many are kept, the newest");
    qs_run_unref(one);
    qs_run_unref(two);
    qs_session_free(s);
    qs_board_free(b);
}

/* ---- with a worker ------------------------------------------------------------------------- */
static struct { qs_session *s; qs_run *r; } w;

static void job(void *ctx, uint64_t id, const char *text)
{
    (void)ctx;
    (void)id;
    if (!strcmp(text, "start")) qs_session_run_start(w.s, w.r, NULL);
    qs_session_publish(w.s, true);
}

static void serve(void *ctx) { (void)ctx; qs_session_serve(w.s); }
static bool idle(void *ctx) { (void)ctx; return qs_session_idle(w.s); }

static qs_snapshot *wait_for(qs_board *b, bool (*good)(const qs_snap_train *t))
{
    for (int i = 0; i < 500; i++) {
        qs_board_want(b);
        qs_snapshot *o = qs_board_get(b);
        if (o && o->train && good(o->train)) return o;
        qs_snapshot_unref(o);
        nanosleep(&(struct timespec){0, 10000000}, NULL);
    }
    return NULL;
}

static bool some_steps(const qs_snap_train *t) { return t->run[0].t > 8 && t->going; }
static bool is_paused(const qs_snap_train *t) { return t->run[0].state == QS_SNAP_PAUSED; }

static void worker(void)
{
    qs_board *b;
    w.s = on_screen(&b);
    w.r = small_run(1000000, "int2");
    qs_jobs *j = qs_jobs_start(&(qs_jobs_ops){.run = job, .serve = serve, .idle = idle}, NULL);
    qs_session_attach(w.s, b, j);
    qs_jobs_submit(j, "start");
    qs_snapshot *o = wait_for(b, some_steps);
    ok(o != NULL, "steps between jobs, and pictures of them");
    if (o) qs_snapshot_unref(o);
    double begun = qs_now();
    uint64_t ticket = qs_board_pick(b, &(qs_pick){.set = QS_PICK_VIEW, .view = "train"});
    qs_jobs_poke(j);
    do {
        nanosleep(&(struct timespec){0, 1000000}, NULL);
        qs_board_want(b);
        o = qs_board_get(b);
        bool answered = o && o->picked >= ticket;
        if (o) qs_snapshot_unref(o);
        if (answered) break;
    } while (qs_now() - begun < 3);
    ok(qs_now() - begun < 1, "a pick is answered meanwhile");
    qs_jobs_cancel(j);
    o = wait_for(b, is_paused);
    ok(o && o->status && strstr(o->status, "training is paused"), "Ctrl-C pauses, and says so");
    if (o) qs_snapshot_unref(o);
    qs_jobs_submit(j, "start");
    o = wait_for(b, some_steps);
    ok(o != NULL, "and it goes on");
    if (o) qs_snapshot_unref(o);
    begun = qs_now();
    qs_jobs_stop(j);
    ok(qs_now() - begun < 0.5, "the end does not wait for it");
    qs_run_unref(w.r);
    qs_session_free(w.s);
    qs_board_free(b);
}

int main(void)
{
    stepping();
    pictures();
    probes();
    scrubbing();
    several();
    worker();
    return done();
}
