/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The adaptive initialization, ours: where the parameters of all quantizers start, chosen by the network itself.
 *
 *   norms    each quantizer starts where E|x - Q(x)|^p is least; p, one for the weights and one for the inputs, is chosen
 *            by the loss on calibration images. p = 2 is least squares. Inputs are always initialized in the order of the
 *            network, everything before them already quantized.
 *   factors  then one quantizer after the other, the most sensitive first, is made coarser or finer; what the loss likes on
 *            one half of the images is kept only if it helps on the other half too, by more than two standard errors.
 *
 * The loss is the divergence of the outputs from those of the float network: no labels are needed. Its nearest published
 * relative is LAPQ (lapq.c). What it costs is counted in images that go forward, and bounded.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "base/text.h"
#include "train/run_work.h"

#define IMAGES 512
#define COST 100
#define VALUES ((size_t)1 << 16)      /* of an input that a norm is fitted on */
#define SCAN 1.2                      /* the factor all are tried with first */

static const double weight_norms[] = {3, 4, 1.5}, act_norms[] = {3, 4, 1.5};
static const double steps_away[] = {1.15, 1.33};   /* and their inverses */

static const char *const searches[] = {"adaptive", "lapq"};

static bool is_searched(const qs_site *s)
{
    for (size_t i = 0; i < sizeof searches / sizeof *searches; i++)
        if (!strcmp(s->init, searches[i])) return true;
    return false;
}

bool qs_run_adapts(const qs_run *r)
{
    for (size_t i = 0; i < r->nsite; i++)
        if (is_searched(&r->site[i])) return true;
    return false;
}

/* ---- what searches share ---------------------------------------------------------------------- */
void qs_search_norm(qs_search *a, int act, double p)
{
    for (size_t i = 0; i < a->n; i++) {
        size_t s = a->site[i];
        if (act != 2 && a->r->site[s].act != (act == 1)) continue;
        snprintf(a->name[s], sizeof a->name[s], "lp:%g", p);
        a->init[s] = a->name[s];
        a->keep[s] = false;
    }
}

int qs_search_calibrate(qs_search *a, qs_err *err)
{
    int rc = qs_calib_run(a->k, a->ctl, err);
    a->probe.images += a->k->images;
    for (size_t i = 0; i < a->r->nsite; i++) a->keep[i] = !a->r->site[i].act;
    return rc;
}

static qs_attempt *remember(qs_run *r, qs_attempt t)
{
    qs_adapted *d = &r->adapted;
    if (d->nattempt == d->cap) d->attempt = qs_xrealloc(d->attempt, (d->cap = 2 * d->cap + 32) * sizeof *d->attempt);
    d->attempt[d->nattempt] = t;
    return &d->attempt[d->nattempt++];
}

int qs_search_try(qs_search *a, int site, double p, double factor, double *loss, qs_err *err)
{
    int rc = qs_probe_look(&a->probe, 0, 0, a->ctl, loss, err);
    if (!rc) remember(a->r, (qs_attempt){site, p, factor, *loss, a->r->adapted.nattempt ? a->loss : NAN, NAN, false});
    return rc;
}

bool qs_search_over(const qs_search *a) { return a->probe.images >= a->probe.budget; }

void qs_search_scale(qs_search *a, size_t i, double factor) { qs_site_scale(&a->r->site[a->site[i]], factor); }

void qs_search_save(const qs_search *a, double *v)
{
    for (size_t i = 0; i < a->r->nsite; i++) {
        const qs_site *s = &a->r->site[i];
        memcpy(v, s->step, s->parts * sizeof *v);
        v += s->parts;
        if (s->offset) memcpy(v, s->offset, s->parts * sizeof *v);
        v += s->offset ? s->parts : 0;
    }
}

void qs_search_restore(qs_search *a, const double *v)
{
    for (size_t i = 0; i < a->r->nsite; i++) {
        qs_site *s = &a->r->site[i];
        qs_site_set(s, v, s->offset ? v + s->parts : NULL);
        v += s->offset ? 2 * s->parts : s->parts;
    }
}

static size_t params_of(const qs_run *r)
{
    size_t n = 0;
    for (size_t i = 0; i < r->nsite; i++) n += r->site[i].parts * (r->site[i].offset ? 2 : 1);
    return n;
}

/* ---- norms ---------------------------------------------------------------------------------------- */
/* Tries norms for one kind; `best` (nparam) holds the parameters of the best start so far. */
static int choose_norm(qs_search *a, bool act, const double *norm, size_t n, double *best, qs_err *err)
{
    double *chosen = act ? &a->r->adapted.p_acts : &a->r->adapted.p_weights, loss;
    for (size_t i = 0; i < n && !qs_search_over(a); i++) {
        qs_search_norm(a, act, norm[i]);
        int rc = qs_search_calibrate(a, err);
        if (!rc) rc = qs_search_try(a, act ? QS_ATTEMPT_ACTS : QS_ATTEMPT_WEIGHTS, norm[i], NAN, &loss, err);
        if (rc) return rc;
        if (!(loss < a->loss)) continue;
        a->loss = loss;
        *chosen = norm[i];
        a->r->adapted.attempt[a->r->adapted.nattempt - 1].taken = true;
        qs_search_save(a, best);
    }
    qs_search_norm(a, act, *chosen);
    for (size_t i = 0; i < a->r->nsite; i++) a->keep[i] = !a->r->site[i].act;   /* they are restored */
    qs_search_restore(a, best);
    return 0;
}

static bool has(const qs_search *a, bool act)
{
    for (size_t i = 0; i < a->n; i++)
        if (a->r->site[a->site[i]].act == act) return true;
    return false;
}

static int choose_norms(qs_search *a, qs_err *err)
{
    double *best = qs_xmalloc(a->nparam * sizeof *best);
    int rc = 0;
    qs_search_save(a, best);
    if (has(a, true)) rc = choose_norm(a, true, act_norms, sizeof act_norms / sizeof *act_norms, best, err);
    if (!rc && has(a, false)) rc = choose_norm(a, false, weight_norms, sizeof weight_norms / sizeof *weight_norms, best, err);
    free(best);
    return rc;
}

/* ---- factors ---------------------------------------------------------------------------------------- */
struct factors {
    qs_search *a;
    double *gain;             /* (n) what the scan gained by the coarser step */
    size_t *order;            /* (n) */
    double *base;             /* (half) losses of the second half where the sites stand */
};

/* The mean of base - now, against its standard error. */
static bool helps(const double *base, const double *now, size_t n)
{
    double sum = 0, sq = 0;
    for (size_t i = 0; i < n; i++) sum += base[i] - now[i];
    double mean = sum / (double)n;
    for (size_t i = 0; i < n; i++) sq += (base[i] - now[i] - mean) * (base[i] - now[i] - mean);
    return mean > 2 * sqrt(sq / (double)(n - 1) / (double)n);
}

static int look_base(struct factors *k, qs_err *err)
{
    double mean;
    qs_probe *p = &k->a->probe;
    int rc = qs_probe_look(p, 1, 0, k->a->ctl, &mean, err);
    if (!rc) memcpy(k->base, p->loss[1], p->half * sizeof *k->base);
    return rc;
}

/* The step of site i times factor: kept, if the second half agrees. */
static int check(struct factors *k, size_t i, double factor, double loss, size_t attempt, qs_err *err)
{
    qs_search *a = k->a;
    double mean;
    int rc = qs_probe_look(&a->probe, 1, 0, a->ctl, &mean, err);
    if (rc) return rc;
    qs_attempt *t = &a->r->adapted.attempt[attempt];
    t->check = mean;
    t->taken = helps(k->base, a->probe.loss[1], a->probe.half);
    if (!t->taken) return 1;
    memcpy(k->base, a->probe.loss[1], a->probe.half * sizeof *k->base);
    a->loss = loss;
    a->r->adapted.factor[a->site[i]] *= factor;
    return 0;
}

/* Away from the step as it is, as long as the loss falls. *best 1: nothing was better. */
static int walk(struct factors *k, size_t i, bool up, const double *start, double *best, double *loss, size_t *attempt, qs_err *err)
{
    qs_search *a = k->a;
    for (size_t j = 0; j < sizeof steps_away / sizeof *steps_away && !qs_search_over(a); j++) {
        double f = up ? steps_away[j] : 1 / steps_away[j], at;
        qs_search_restore(a, start);
        qs_search_scale(a, i, f);
        int rc = qs_search_try(a, (int)a->site[i], NAN, a->r->adapted.factor[a->site[i]] * f, &at, err);
        if (rc) return rc;
        if (!(at < *loss)) break;
        *best = f;
        *loss = at;
        *attempt = a->r->adapted.nattempt - 1;
    }
    return 0;
}

static int refine_site(struct factors *k, size_t i, double *start, qs_err *err)
{
    qs_search *a = k->a;
    double best = 1, loss = a->loss;
    size_t attempt = 0;
    qs_search_save(a, start);
    int rc = walk(k, i, k->gain[i] > 0, start, &best, &loss, &attempt, err);
    if (!rc && best == 1) rc = walk(k, i, k->gain[i] <= 0, start, &best, &loss, &attempt, err);
    qs_search_restore(a, start);
    if (rc || best == 1) return rc;
    qs_search_scale(a, i, best);
    rc = check(k, i, best, loss, attempt, err);
    if (rc == 1) qs_search_restore(a, start);
    return rc == 1 ? 0 : rc;
}

/* Every step a little coarser, one at a time: which does the loss care about, and in which direction? */
static int scan(struct factors *k, double *start, qs_err *err)
{
    qs_search *a = k->a;
    int rc = 0;
    qs_search_save(a, start);
    for (size_t i = 0; i < a->n && !rc; i++) {
        double loss = a->loss;
        if (!qs_search_over(a)) {
            qs_search_scale(a, i, SCAN);
            rc = qs_search_try(a, (int)a->site[i], NAN, a->r->adapted.factor[a->site[i]] * SCAN, &loss, err);
            qs_search_restore(a, start);
        }
        k->gain[i] = a->loss - loss;
        size_t at = i;
        for (; at > 0 && fabs(k->gain[k->order[at - 1]]) < fabs(k->gain[i]); at--) k->order[at] = k->order[at - 1];
        k->order[at] = i;
    }
    return rc;
}

static int refine(struct factors *k, double *start, qs_err *err)
{
    int rc = scan(k, start, err);
    for (size_t i = 0; i < k->a->n && !rc && !qs_search_over(k->a); i++) rc = refine_site(k, k->order[i], start, err);
    return rc;
}

/* The control for an experiment: all factors drawn together, between the largest and the smallest of a walk. */
static int draw(struct factors *k, double *start, qs_err *err)
{
    qs_search *a = k->a;
    const double width = log(steps_away[sizeof steps_away / sizeof *steps_away - 1]);
    qs_rng rng;
    int rc = 0;
    double *f = qs_xmalloc(a->n * sizeof *f), loss;
    qs_rng_seed(&rng, a->r->o.seed);
    for (size_t t = 0; t < 5 * a->n && !rc && !qs_search_over(a); t++) {
        qs_search_save(a, start);
        for (size_t i = 0; i < a->n; i++) {
            f[i] = exp((2 * qs_rng_uniform(&rng) - 1) * width);
            qs_search_scale(a, i, f[i]);
        }
        rc = qs_search_try(a, QS_ATTEMPT_ALL, NAN, NAN, &loss, err);
        if (!rc && loss < a->loss) rc = check(k, 0, 1, loss, a->r->adapted.nattempt - 1, err);
        else if (!rc) rc = 1;
        if (rc == 1) qs_search_restore(a, start);
        else for (size_t i = 0; i < a->n && !rc; i++) a->r->adapted.factor[a->site[i]] *= f[i];
        rc = rc == 1 ? 0 : rc;
    }
    free(f);
    return rc;
}

static int choose_factors(qs_search *a, qs_err *err)
{
    struct factors k = {.a = a};
    double *start = qs_xmalloc(a->nparam * sizeof *start);
    k.gain = qs_xcalloc(a->n, sizeof *k.gain);
    k.order = qs_xcalloc(a->n, sizeof *k.order);
    k.base = qs_xcalloc(a->probe.half, sizeof *k.base);
    int rc = look_base(&k, err);
    if (!rc) rc = a->r->o.quant.adapt.random ? draw(&k, start, err) : refine(&k, start, err);
    free(start);
    free(k.gain);
    free(k.order);
    free(k.base);
    return rc;
}

/* ---- what it says ---------------------------------------------------------------------------------------- */
static void say(qs_search *a)
{
    const qs_adapted *d = &a->r->adapted;
    for (size_t i = 0; i < a->n; i++) {
        qs_site *s = &a->r->site[a->site[i]];
        double p = s->act ? d->p_acts : d->p_weights, f = d->factor[a->site[i]];
        snprintf(s->formula, sizeof s->formula, "%.4g * argmin E|x - Q(x)|^%g = %.6g", f, p, s->step[0]);
        snprintf(s->note, sizeof s->note, _("p and factor by the loss: %.4g at least squares, %.4g with all that was chosen"),
                 d->first, d->last);
    }
}

/* ---- all of it --------------------------------------------------------------------------------------------- */
static int adaptive(qs_search *a, qs_err *err)
{
    const struct qs_adapt_opts *o = &a->r->o.quant.adapt;
    int rc = o->no_norms ? 0 : choose_norms(a, err);
    if (!rc && !o->no_factors) rc = choose_factors(a, err);
    return rc;
}

static int search_init(qs_search *a, qs_calib *k, const qs_ctl *ctl, qs_err *err)
{
    qs_run *r = k->r;
    struct qs_adapt_opts *o = &r->o.quant.adapt;
    size_t lapq = 0;
    *a = (qs_search){.r = r, .k = k, .ctl = ctl, .nparam = params_of(r)};
    a->site = qs_xcalloc(r->nsite, sizeof *a->site);
    a->init = qs_xcalloc(r->nsite, sizeof *a->init);
    a->name = qs_xcalloc(r->nsite, sizeof *a->name);
    for (size_t i = 0; i < r->nsite; i++) {
        if (is_searched(&r->site[i])) a->site[a->n++] = i;
        lapq += !strcmp(r->site[i].init, "lapq");
    }
    if (lapq && lapq < a->n) return qs_fail(err, QS_EARG, _("adaptive and lapq: one of them starts all quantizers it is asked for"));
    a->keep = qs_xcalloc(r->nsite, sizeof *a->keep);
    k->init = a->init;
    k->keep = a->keep;
    k->most = VALUES;
    if (!o->images) o->images = IMAGES;
    if (!(o->cost > 0)) o->cost = COST;
    a->probe.budget = (uint64_t)(o->cost * 3 * 128);   /* a step is forward and twice as much backward */
    free(r->adapted.factor);
    free(r->adapted.ratio);
    r->adapted = (qs_adapted){.attempt = r->adapted.attempt, .cap = r->adapted.cap, .p_weights = NAN, .p_acts = NAN};
    r->adapted.factor = qs_xcalloc(r->nsite, sizeof(double));
    r->adapted.ratio = qs_xcalloc(r->nsite, sizeof(double));
    for (size_t i = 0; i < r->nsite; i++) r->adapted.factor[i] = r->adapted.ratio[i] = 1;
    return qs_probe_init(&a->probe, r, k->images, o->images, lapq > 0 || o->labels, ctl, err);
}

static void search_clear(qs_search *a)
{
    a->k->init = NULL;
    a->k->keep = NULL;
    a->r->adapted.images = a->probe.images;
    qs_probe_clear(&a->probe);
    free(a->site);
    free(a->init);
    free(a->name);
    free(a->keep);
}

/* Least squares first: what everything else is measured against. */
static int search(qs_search *a, qs_err *err)
{
    qs_adapted *d = &a->r->adapted;
    qs_search_norm(a, 2, 2);
    int rc = qs_search_calibrate(a, err);
    if (!rc) rc = qs_search_try(a, QS_ATTEMPT_ALL, 2, NAN, &a->loss, err);
    if (rc) return rc;
    d->first = a->loss;
    if (has(a, false)) d->p_weights = 2;
    if (has(a, true)) d->p_acts = 2;
    rc = !strcmp(a->r->site[a->site[0]].init, "lapq") ? qs_search_lapq(a, err) : adaptive(a, err);
    d->last = a->loss;
    return rc;
}

int qs_run_adapt(qs_calib *k, const qs_ctl *ctl, qs_err *err)
{
    qs_search a;
    int rc = search_init(&a, k, ctl, err);
    if (!rc) rc = search(&a, err);
    if (!rc) say(&a);
    search_clear(&a);
    return rc;
}
