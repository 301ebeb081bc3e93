/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A run: its options, its making, its steps, its end. What a step needs is laid out when the run is made; a step
 * computes, updates, and remembers.
 *
 * What may be interrupted comes first: a step asks before it begins and between forward and backward, where the only
 * thing to take back are running statistics. An evaluation that is due after a step and is interrupted stays due: the
 * next call makes it up.
 */
#include "train/run.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "train/run_work.h"

#define RECORDS 4096   /* of a run, where the number of steps between two is ours to choose */

/* ---- options ------------------------------------------------------------------------- */
static const qs_site_opts unset = {.step_decay = NAN};

void qs_run_defaults(qs_run_opts *o)
{
    qs_site_opts w8 = unset, a8 = unset;
    w8.format = "int8";
    w8.init = "mse";
    a8.format = "8";
    a8.init = "mse";
    *o = (qs_run_opts){.momentum = NAN, .weight_decay = NAN};
    o->quant = (qs_quant_opts){.weights = unset, .acts = unset, .first_w = w8, .first_a = a8, .last_w = w8, .last_a = a8};
}

/* A copy of the string that lives as long as the run. */
static void keep(struct qs_run_work *w, const char **s)
{
    if (!*s) return;
    w->text = qs_xrealloc(w->text, (w->ntext + 1) * sizeof *w->text);
    *s = w->text[w->ntext++] = qs_xstrdup(*s);
}

static void keep_site(struct qs_run_work *w, qs_site_opts *o)
{
    keep(w, &o->format);
    keep(w, &o->init);
    keep(w, &o->learn);
}

static void keep_options(qs_run *r, const qs_run_opts *o)
{
    qs_quant_opts *q = &r->o.quant;
    r->o = *o;
    q->override = qs_xcalloc(q->noverride, sizeof *q->override);
    if (q->noverride) memcpy(q->override, o->quant.override, q->noverride * sizeof *q->override);
    qs_site_opts *const all[] = {&q->weights, &q->acts, &q->first_w, &q->first_a, &q->last_w, &q->last_a};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) keep_site(r->work, all[i]);
    keep(r->work, &q->input);
    for (size_t i = 0; i < q->noverride; i++) {
        keep(r->work, &q->override[i].layer);
        keep_site(r->work, &q->override[i].w);
        keep_site(r->work, &q->override[i].a);
    }
}

static int check_numbers(const qs_run_opts *o, qs_err *err)
{
    const struct { const char *name; double value, lo, hi; } row[] = {
        {"epochs", o->epochs, 0, 1e9}, {"lr", o->lr, 0, 1e30}, {"momentum", o->momentum, 0, 0.999999999},
        {"beta2", o->beta2, 0, 0.999999999}, {"eps", o->eps, 0, 1e30}, {"weight_decay", o->weight_decay, 0, 1e30},
        {"gamma", o->gamma, 0, 1e30}, {"aug_pad", o->aug_pad, 0, 4096}, {"clip", o->clip, 0, 1e300}, {"bound", o->bound, 0, 1e300},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        if (!(row[i].value >= row[i].lo && row[i].value <= row[i].hi))
            return qs_fail(err, QS_EARG, _("%s is %g: it must be %g or more%s"), row[i].name, row[i].value, row[i].lo,
                           row[i].hi < 1 ? _(" and less than 1") : "");
    if ((unsigned)o->optimizer > QS_ADAM || (unsigned)o->schedule > QS_CONSTANT)
        return qs_fail(err, QS_EARG, _("no such optimizer or schedule"));
    if (o->steps > (uint64_t)1 << 40) return qs_fail(err, QS_EARG, _("steps: %llu are too many"), (unsigned long long)o->steps);
    return 0;
}

static int check_validation(const qs_run_opts *o, const qs_dataset *d, qs_err *err)
{
    if (d->n[QS_PART_VAL] || !(o->evaluate || o->patience)) return 0;
    return qs_fail(err, QS_EARG, _("%s needs validation images, and %s has none: val="),
                   o->patience ? "patience" : "evaluate", d->name);
}

/* Everything left open by the caller. Steps and batch first: others depend on them. */
static int fill_options(qs_run *r, qs_err *err)
{
    qs_run_opts *o = &r->o;
    const size_t n = r->data->n[QS_PART_TRAIN];
    if (!o->batch) o->batch = n < 128 ? n : 128;
    if (o->batch > n) return qs_fail(err, QS_EARG, _("batch: %zu images, and only %zu to train on"), o->batch, n);
    if (o->lr == 0) o->lr = 0.01;
    if (isnan(o->momentum)) o->momentum = 0.9;
    if (isnan(o->weight_decay)) o->weight_decay = 1e-4;
    if (o->beta2 == 0) o->beta2 = 0.999;
    if (o->eps == 0) o->eps = 1e-8;
    if (o->gamma == 0) o->gamma = 0.1;
    if (o->bound == 0) o->bound = 1e4;
    if (!o->seed) o->seed = 1;
    if (!o->quant.calib) o->quant.calib = 256;
    int rc = check_numbers(o, err);
    if (!rc) rc = check_validation(o, r->data, err);
    if (rc) return rc;
    const double epoch = (double)(n / o->batch);
    if (!o->steps) o->steps = (uint64_t)fmin(fmax(1, rint((o->epochs > 0 ? o->epochs : 1) * epoch)), 0x1p40);
    if (!o->every) o->every = o->steps / 3 ? o->steps / 3 : 1;
    if (!o->record) o->record = o->steps / RECORDS + 1 > 10 ? o->steps / RECORDS + 1 : 10;
    if (o->patience && !o->evaluate) o->evaluate = (uint64_t)epoch;
    r->total = o->steps;
    return 0;
}

/* ---- its name --------------------------------------------------------------------------- */
/* The site that speaks for the weights or the inputs: one that is neither first nor last, if there is one. */
static const qs_site *typical(const qs_run *r, bool act)
{
    const qs_site *any = NULL;
    const int first = qs_layer_first(r->net), last = qs_layer_last(r->net);
    for (size_t i = 0; i < r->nsite; i++) {
        const qs_site *s = &r->site[i];
        if (s->act != act) continue;
        if (s->node != first && s->node != last) return s;
        if (!any) any = s;
    }
    return any;
}

static char *pair(const char *w, const char *a)
{
    return !a || (w && !strcmp(w, a)) ? qs_xstrdup(w) : w ? qs_xasprintf("%s/%s", w, a) : qs_xstrdup(a);
}

void qs_run_rename(qs_run *r)
{
    const qs_site *w = typical(r, false), *a = typical(r, true);
    if (!w && !a) {
        snprintf(r->name, sizeof r->name, "float");
        return;
    }
    char *learn = pair(w ? w->learn_name : NULL, a ? a->learn_name : NULL), *init = pair(w ? w->init : NULL, a ? a->init : NULL);
    snprintf(r->name, sizeof r->name, "%s %.16s/%.16s %s", learn, w ? w->f->text : "float", a ? a->f->text : "float", init);
    free(learn);
    free(init);
}

/* ---- making one ---------------------------------------------------------------------------- */
static size_t statistics(const qs_net *net)
{
    size_t n = 0;
    for (int i = 0; i < net->nparam; i++) n += net->param[i].trained ? 0 : net->param[i].n;
    return n;
}

static int make_work(qs_run *r, qs_err *err)
{
    struct qs_run_work *w = r->work;
    const qs_run_opts *o = &r->o;
    w->best = INFINITY;
    w->off = qs_xcalloc(r->nsite, sizeof *w->off);
    w->all_off = qs_xcalloc(r->nsite, sizeof *w->all_off);
    for (size_t i = 0; i < r->nsite; i++) w->all_off[i] = true;
    w->grad = qs_xcalloc((size_t)r->net->nparam, sizeof *w->grad);
    w->stats = qs_xcalloc(statistics(r->net), sizeof *w->stats);
    int rc = qs_order_init(&w->order, r->data->n[QS_PART_TRAIN], o->batch, o->seed, err);
    if (rc) return rc;
    w->plan = qs_plan_new(r->net, r->site, r->nsite, o->batch, true, err);
    if (!w->plan) return err ? -err->code : -QS_ENOMEM;
    rc = qs_evaluator_init(&w->eval, r->net, r->site, r->nsite, r->data, err);
    if (rc) return rc;
    const qs_optim_opts opts = {o->optimizer, o->momentum, o->nesterov, o->beta2, o->eps, o->weight_decay, o->clip};
    return qs_optim_init(&w->optim, &opts, r->net, r->site, r->nsite, err);
}

/* Room for the evaluations of the whole run, so that a step has none to ask for (of a million; then the list grows). */
static void reserve_evals(qs_run *r)
{
    uint64_t planned = r->o.evaluate ? r->total / r->o.evaluate : 0;
    size_t need = r->h.neval + 16 + (size_t)(planned < 1000000 ? planned : 1000000);
    if (need <= r->h.ecap) return;
    r->h.ecap = need;
    r->h.eval = qs_xrealloc(r->h.eval, need * sizeof *r->h.eval);
}

static int make(qs_run *r, qs_err *err)
{
    int rc = qs_net_fits(r->net, r->data, err);
    if (!rc && qs_layer_first(r->net) < 0) rc = qs_fail(err, QS_EARG, _("a net without a convolution or linear layer"));
    if (!rc) rc = fill_options(r, err);
    if (!rc) rc = qs_run_sites(r, err);
    if (!rc) rc = make_work(r, err);
    if (!rc) rc = qs_history_init(&r->h, r->nsite, r->total, r->o.record, err);
    if (rc) return rc;
    reserve_evals(r);
    qs_run_watch(r);
    qs_run_rename(r);
    return qs_run_follow_init(r, err);
}

qs_run *qs_run_make(const qs_net *net, qs_dataset *d, const qs_run_opts *o, qs_err *err)
{
    static const qs_score unknown = {NAN, NAN, NAN, 0};
    qs_run *r = qs_xcalloc(1, sizeof *r);
    r->refs = 1;
    r->work = qs_xcalloc(1, sizeof *r->work);
    r->data = qs_dataset_ref(d);
    r->net = qs_net_copy(net);
    r->before = r->floating = r->last = unknown;
    r->loss = NAN;
    keep_options(r, o);
    int rc = r->net ? make(r, err) : qs_fail(err, QS_ENOMEM, _("no memory for a copy of the net"));
    if (!rc) return r;
    qs_run_unref(r);
    return NULL;
}

static void work_free(qs_run *r)
{
    struct qs_run_work *w = r->work;
    qs_run_unwatch(r);
    qs_run_follow_clear(r);
    qs_plan_free(w->plan);
    qs_evaluator_clear(&w->eval);
    qs_order_clear(&w->order);
    qs_optim_clear(&w->optim);
    free(w->off);
    free(w->all_off);
    free(w->grad);
    free(w->stats);
    for (size_t i = 0; i < w->ntext; i++) free(w->text[i]);
    free(w->text);
    free(w);
}

qs_run *qs_run_ref(qs_run *r)
{
    atomic_fetch_add(&r->refs, 1);
    return r;
}

void qs_run_unref(qs_run *r)
{
    if (!r || atomic_fetch_sub(&r->refs, 1) != 1) return;
    work_free(r);
    for (size_t i = 0; i < r->nsite; i++) qs_site_clear(&r->site[i]);
    free(r->site);
    free(r->o.quant.override);
    qs_history_clear(&r->h);
    free(r->adapted.attempt);
    free(r->adapted.factor);
    free(r->adapted.ratio);
    qs_dataset_unref(r->data);
    qs_net_unref(r->net);
    free(r);
}

/* ---- batches --------------------------------------------------------------------------------- */
static void load_batch(qs_run *r)
{
    struct qs_run_work *w = r->work;
    const qs_run_opts *o = &r->o;
    const qs_augment aug = {.pad = o->aug_pad, .flip = o->aug_flip, .seed = o->seed, .step = r->t};
    bool augmented = o->aug_pad > 0 || o->aug_flip;
    qs_dataset_batch(r->data, QS_PART_TRAIN, qs_order_batch(&w->order, r->t), o->batch, augmented ? &aug : NULL,
                     qs_plan_input(w->plan), qs_plan_labels(w->plan));
}

static void copy_statistics(qs_run *r, bool back)
{
    float *at = r->work->stats;
    for (int i = 0; i < r->net->nparam; i++) {
        const qs_param *p = &r->net->param[i];
        if (p->trained) continue;
        if (back) memcpy(p->v, at, p->n * sizeof *at);
        else memcpy(at, p->v, p->n * sizeof *at);
        at += p->n;
    }
}

static float *const *gradients(qs_run *r)
{
    struct qs_run_work *w = r->work;
    for (int i = 0; i < r->net->nparam; i++) w->grad[i] = qs_plan_grad(w->plan, i);
    return w->grad;
}

/* Loss and gradients where the run stands, and the record of that; nothing moves. */
static int measure(qs_run *r, const qs_ctl *ctl, qs_err *err)
{
    struct qs_run_work *w = r->work;
    size_t right;
    int rc = qs_ctl_check(ctl, _("first batch"), -1, err);
    if (rc) return rc;
    qs_plan_weights(w->plan);
    load_batch(r);
    qs_plan_forward(w->plan, QS_BN_BATCH);
    double loss = qs_plan_loss(w->plan, r->o.batch, &right);
    qs_plan_backward(w->plan);
    w->seen = true;
    qs_run_record(r, loss);
    qs_run_follow_start(r);
    return 0;
}

/* ---- the start ---------------------------------------------------------------------------------- */
static int score_before(qs_run *r, const qs_ctl *ctl, qs_err *err)
{
    if (!r->data->n[QS_PART_VAL]) return 0;
    return qs_run_evaluate(r, QS_PART_VAL, 0, ctl, &r->before, err);
}

static int score_float(qs_run *r, const qs_ctl *ctl, qs_err *err)
{
    if (!r->data->n[QS_PART_VAL]) return 0;
    return qs_evaluator_score(&r->work->eval, r->data, QS_PART_VAL, r->o.val_limit, r->work->all_off, _("float accuracy"),
                              ctl, &r->floating, err);
}

static int initialize(qs_run *r, const qs_ctl *ctl, qs_err *err)
{
    double begun = qs_now();
    int rc = qs_run_calibrate(r, ctl, err);
    r->init_seconds = qs_now() - begun;
    qs_run_rename(r);   /* an init may have chosen a codebook */
    return rc;
}

qs_run *qs_run_new(const qs_net *net, qs_dataset *d, const qs_run_opts *o, const qs_ctl *ctl, qs_err *err)
{
    qs_run *r = qs_run_make(net, d, o, err);
    if (!r) return NULL;
    int rc = score_float(r, ctl, err);
    if (!rc) rc = initialize(r, ctl, err);
    if (!rc) rc = score_before(r, ctl, err);
    if (!rc) rc = measure(r, ctl, err);
    if (!rc) return r;
    qs_run_unref(r);
    return NULL;
}

/* ---- the end --------------------------------------------------------------------------------------- */
/* The last record is of the last step, whenever that was. */
static void end(qs_run *r, qs_run_state state, const char *reason)
{
    const qs_history *h = &r->h;
    if (r->work->seen && h->nrec && h->rec_t[h->nrec - 1] != r->t) qs_run_record(r, r->loss);
    r->state = state;
    snprintf(r->reason, sizeof r->reason, "%s", reason ? reason : "");
}

void qs_run_stop(qs_run *r, const char *reason)
{
    if (r->state == QS_RUN_READY) end(r, QS_RUN_STOPPED, reason && *reason ? reason : _("stopped"));
}

/* Step t+1 was not made: its batch gave something no step can be made from. */
static int diverge(qs_run *r, const char *what, double value)
{
    char reason[sizeof r->reason];
    copy_statistics(r, true);
    int n = snprintf(reason, sizeof reason, _("step %llu: %s is %g"), (unsigned long long)r->t + 1, what, value);
    if (isfinite(value) && n > 0 && (size_t)n < sizeof reason)
        snprintf(reason + n, sizeof reason - (size_t)n, _(", above the bound of %g"), r->o.bound);
    end(r, QS_RUN_DIVERGED, reason);
    return 0;
}

/* ---- a step ------------------------------------------------------------------------------------------ */
static void judge(qs_run *r)
{
    struct qs_run_work *w = r->work;
    char reason[sizeof r->reason];
    if (r->last.loss < w->best) {
        w->best = r->last.loss;
        w->stale = 0;
        return;
    }
    if (++w->stale < r->o.patience || !r->o.patience) return;
    snprintf(reason, sizeof reason, _("validation loss has not improved on %.4g in %llu evaluations"), w->best,
             (unsigned long long)w->stale);
    end(r, QS_RUN_STOPPED, reason);
}

/* What comes after a step: the evaluation that is due, the end. 1: more steps to come; 0: over. */
static int settle(qs_run *r, const qs_ctl *ctl, qs_err *err)
{
    struct qs_run_work *w = r->work;
    if (w->due) {
        int rc = qs_run_evaluate(r, QS_PART_VAL, 0, ctl, NULL, err);
        if (rc) return rc;
        w->due = false;
        judge(r);
    }
    if (r->state == QS_RUN_READY && r->t >= r->total) end(r, QS_RUN_DONE, "");
    return r->state == QS_RUN_READY;
}

static double worst_step_gradient(const qs_run *r)
{
    double worst = 0;
    for (size_t i = 0; i < r->nsite; i++)
        for (size_t p = 0; p < r->site[i].parts; p++) {
            if (!isfinite(r->site[i].dstep[p])) worst = r->site[i].dstep[p];
            if (r->site[i].doffset && !isfinite(r->site[i].doffset[p])) worst = r->site[i].doffset[p];
        }
    return worst;
}

/* Gradients are there; moves everything, or diverges: 0. */
static int update(qs_run *r, double loss)
{
    struct qs_run_work *w = r->work;
    const qs_run_opts *o = &r->o;
    float *const *grad = gradients(r);
    double norm = qs_optim_norm(&w->optim, grad), steps = worst_step_gradient(r);
    if (!isfinite(norm)) return diverge(r, _("the norm of the gradients"), norm);
    if (!isfinite(steps)) return diverge(r, _("the gradient of a step size"), steps);
    qs_run_track(r);
    r->lr = qs_schedule_lr(o->schedule, o->lr, o->gamma, o->every, r->t, r->total);
    qs_optim_step(&w->optim, r->net, grad, r->site, r->lr, norm);
    r->loss = loss;
    r->t++;
    qs_run_follow(r);
    qs_plan_weights(w->plan);
    qs_history_loss(&r->h, loss, r->lr);
    return 1;
}

/* Forward, loss, backward, update. 1: made; 0: diverged; ECANCEL: as before. */
static int make_step(qs_run *r, const qs_ctl *ctl, qs_err *err)
{
    struct qs_run_work *w = r->work;
    size_t right;
    load_batch(r);
    copy_statistics(r, false);
    qs_plan_forward(w->plan, QS_BN_TRAIN);
    w->seen = true;
    double loss = qs_plan_loss(w->plan, r->o.batch, &right);
    if (!isfinite(loss) || loss > r->o.bound) return diverge(r, _("the loss"), loss);
    int rc = qs_ctl_check(ctl, _("training"), (double)r->t / (double)r->total, err);
    if (rc) {
        copy_statistics(r, true);
        return rc;
    }
    qs_plan_backward(w->plan);
    return update(r, loss);
}

int qs_run_step(qs_run *r, const qs_ctl *ctl, qs_err *err)
{
    struct qs_run_work *w = r->work;
    const qs_run_opts *o = &r->o;
    if (r->state != QS_RUN_READY) return qs_fail(err, QS_ESTATE, _("the run is over: %s"), *r->reason ? r->reason : _("done"));
    int rc = qs_ctl_check(ctl, _("training"), (double)r->t / (double)r->total, err);
    if (!rc) rc = w->due || r->t >= r->total ? settle(r, ctl, err) : 1;
    if (rc != 1) return rc;
    double begun = qs_now();
    rc = make_step(r, ctl, err);
    if (rc == 1 && (r->t % o->record == 0 || r->t == r->total)) qs_run_record(r, r->loss);
    r->seconds += qs_now() - begun;
    if (rc != 1) return rc;
    w->due = r->data->n[QS_PART_VAL] && (r->t == r->total || (o->evaluate && r->t % o->evaluate == 0));
    rc = settle(r, ctl, err);
    return rc < 0 ? 1 : rc;
}

/* ---- branching ------------------------------------------------------------------------------------------ */
/* The options of a branch; where they name a rule or a start, the layers that are as the others follow. */
static qs_run_opts branch_options(const qs_run *r, const char *learn, const char *init)
{
    qs_run_opts o = r->o;
    if (learn) o.quant.weights.learn = o.quant.acts.learn = learn;
    if (init) o.quant.weights.init = o.quant.acts.init = init;
    return o;
}

/* Steps and offsets as they are there; a rule that normalizes weights counts in deviations. */
static void carry_site(qs_site *to, const qs_site *from, const float *w)
{
    double *step = qs_xmalloc(to->parts * sizeof *step), unit = 1;
    if (to->normalize != from->normalize) {
        qs_site *counts = to->normalize ? to : NULL;
        if (counts) qs_site_begin(counts, w);
        unit = counts ? 1 / counts->dev : from->dev;
    }
    for (size_t p = 0; p < to->parts; p++) step[p] = from->step[p] * unit;
    if (to->bits && from->bits) qs_site_allot(to, from->bits);
    qs_site_set(to, step, from->offset);
    free(step);
    memcpy(to->dstep, from->dstep, to->parts * sizeof *to->dstep);
    memcpy(to->raw, from->raw, to->parts * sizeof *to->raw);
    if (to->doffset) memcpy(to->doffset, from->doffset, to->parts * sizeof *to->doffset);
    to->gnorm = from->gnorm;
    to->vnorm = from->vnorm;
    if (!strcmp(to->init, from->init)) {
        memcpy(to->formula, from->formula, sizeof to->formula);
        memcpy(to->note, from->note, sizeof to->note);
    }
}

static int carry_sites(qs_run *to, const qs_run *from, qs_err *err)
{
    for (size_t i = 0; i < to->nsite; i++) {
        qs_site *s = &to->site[i];
        const qs_site *f = &from->site[i];
        char *want = qs_format_print(f->f), *have = qs_format_print(s->f);
        int rc = strcmp(want, have) ? qs_run_resite(to, i, want, err) : 0;
        free(want);
        free(have);
        if (rc) return rc;
        carry_site(s, f, s->act ? NULL : to->net->param[to->net->node[s->node].weight].v);
    }
    return 0;
}

/* Momentum of the weights; of steps and offsets where they mean the same still. */
static void carry_optimizer(qs_run *to, const qs_run *from, bool sites)
{
    qs_optim *q = &to->work->optim;
    const qs_optim *f = &from->work->optim;
    q->t = f->t;
    for (int i = 0; i < q->nparam; i++) {
        size_t bytes = to->net->param[i].n * sizeof(float);
        if (q->m[i]) memcpy(q->m[i], f->m[i], bytes);
        if (q->v[i]) memcpy(q->v[i], f->v[i], bytes);
    }
    for (size_t i = 0; i < q->nsite && sites; i++) {
        size_t bytes = 2 * to->site[i].parts * sizeof(double);
        memcpy(q->sm[i], f->sm[i], bytes);
        if (q->sv[i]) memcpy(q->sv[i], f->sv[i], bytes);
    }
}

static void carry_wobbles(qs_run *to, const qs_run *from)
{
    for (size_t i = 0; i < to->nsite; i++) {
        qs_wobble *w = &to->work->wobble[i];
        const qs_wobble *f = &from->work->wobble[i];
        if (!w->n) continue;
        w->seen = f->seen;
        memcpy(w->code, f->code, w->n * sizeof *w->code);
        memcpy(w->dir, f->dir, w->n * sizeof *w->dir);
        memcpy(w->f, f->f, w->n * sizeof *w->f);
    }
}

static void *copied(const void *from, size_t bytes) { return from ? memcpy(qs_xmalloc(bytes), from, bytes) : NULL; }

/* How the start was chosen stays true, and following goes by it. */
static void carry_adapted(qs_run *to, const qs_run *from)
{
    to->adapted = from->adapted;
    to->adapted.cap = from->adapted.nattempt;
    to->adapted.attempt = copied(from->adapted.attempt, from->adapted.nattempt * sizeof *from->adapted.attempt);
    to->adapted.factor = copied(from->adapted.factor, from->nsite * sizeof *from->adapted.factor);
    to->adapted.ratio = copied(from->adapted.ratio, from->nsite * sizeof *from->adapted.ratio);
}

static int carry(qs_run *to, const qs_run *from, bool same, qs_err *err)
{
    qs_history h;
    int rc = qs_history_copy(&h, &from->h, to->total, err);
    if (rc) return rc;
    qs_history_clear(&to->h);
    to->h = h;
    reserve_evals(to);
    to->t = from->t;
    to->lr = from->lr;
    to->loss = from->loss;
    to->before = from->before;
    to->floating = from->floating;
    to->last = from->last;
    to->seconds = from->seconds;
    to->init_seconds = from->init_seconds;
    to->work->best = from->work->best;
    to->work->stale = from->work->stale;
    to->work->due = from->work->due;
    carry_optimizer(to, from, same);
    if (same) carry_wobbles(to, from);
    return 0;
}

qs_run *qs_run_branch(const qs_run *r, const char *learn, const char *init, const qs_ctl *ctl, qs_err *err)
{
    const bool same = !learn && !init;
    const qs_run_opts o = branch_options(r, learn, init);
    if (!same && !r->nsite) {
        qs_fail(err, QS_EARG, _("a float run has no quantizers to change"));
        return NULL;
    }
    if (r->t >= r->total) {
        qs_fail(err, QS_ESTATE, _("the run made all of its %llu steps: there is nothing left to branch into"),
                (unsigned long long)r->total);
        return NULL;
    }
    qs_run *b = qs_run_make(r->net, r->data, &o, err);
    if (!b) return NULL;
    int rc = carry(b, r, same, err);
    if (!rc && !init) carry_adapted(b, r);
    if (!rc) rc = init ? initialize(b, ctl, err) : carry_sites(b, r, err);
    if (!rc) qs_plan_weights(b->work->plan);
    if (!rc && !same) rc = score_before(b, ctl, err);
    if (!rc && !same) rc = measure(b, ctl, err);
    if (!rc) return b;
    qs_run_unref(b);
    return NULL;
}
