/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The adaptive initialization, ours: one start for all formats and methods, that adapts to what comes after it.
 *
 *   learned  where steps learn afterwards, weights of 2 bits start where E|x - Q(x)|^3 is least, all else at least squares.
 *            A step that is a little wide for the weights it starts with is one they can move under; what the loss likes
 *            before training is forgotten by training (EXPERIMENTS.md), so it is not asked, and the start costs nothing.
 *   fixed    where nothing is learned, the network chooses:
 *     norms    each quantizer starts where E|x - Q(x)|^p is least; p, one for the weights and one for the inputs, is chosen
 *              by the loss on calibration images. p = 2 is least squares. Inputs are always initialized in the order of the
 *              network, everything before them already quantized.
 *     factors  then one quantizer after the other, the most sensitive first, is made coarser or finer; what the loss likes on
 *              one half of the images is kept only if it helps on the other half too, by more than two standard errors.
 *
 * The loss is the divergence of the outputs from those of the float network: no labels are needed. Its nearest published
 * relative is LAPQ (lapq.c). What it costs is counted in images that go forward, and bounded.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "train/search.h"

#define FEW 4                         /* levels: at 3 bits it is all the same, with APoT's levels least squares are better */
#define TRAINS_WELL 3                 /* the norm of weights that learn, with so few levels: after training better than 2 and 4 */
#define SCAN 1.2                      /* the factor all are tried with first */

static const double wider[] = {3, 4}, closer[] = {1.5};   /* norms that clip less than least squares, and more */
static const double steps_away[] = {1.15, 1.33};   /* and their inverses */

/* ---- norms ---------------------------------------------------------------------------------------- */
/* From least squares to the norms of one direction, for one kind of sites, as long as the loss falls; `best` (nparam)
 * holds the parameters of the best start so far. */
static int walk_norms(qs_search *a, int kind, const double *norm, size_t n, double *chosen, double *best, qs_err *err)
{
    double loss;
    for (size_t i = 0; i < n && !qs_search_over(a); i++) {
        int rc = qs_search_start(a, kind, norm[i], &loss, err);
        if (rc) return rc;
        if (!(loss < a->loss)) break;
        a->loss = loss;
        *chosen = norm[i];
        qs_search_last(a)->taken = true;
        qs_search_save(a, best);
    }
    return 0;
}

static int choose_norm(qs_search *a, int kind, double *best, qs_err *err)
{
    double *chosen = kind == QS_ATTEMPT_ACTS ? &a->r->adapted.p_acts : &a->r->adapted.p_weights;
    int rc = walk_norms(a, kind, wider, 2, chosen, best, err);
    if (!rc && *chosen == 2) rc = walk_norms(a, kind, closer, 1, chosen, best, err);
    if (rc) return rc;
    qs_search_norm(a, kind, *chosen);
    qs_search_restore(a, best);
    return 0;
}

static int choose_norms(qs_search *a, qs_err *err)
{
    static const int in_turn[] = {QS_ATTEMPT_ACTS, QS_ATTEMPT_WEIGHTS};
    double *best = qs_xmalloc(a->nparam * sizeof *best);
    int rc = 0;
    qs_search_save(a, best);
    for (size_t i = 0; i < 2 && !rc; i++)
        if (qs_search_has(a, in_turn[i])) rc = choose_norm(a, in_turn[i], best, err);
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
        int rc = qs_search_try(a, (int)a->site[i], a->r->adapted.factor[a->site[i]] * f, &at, err);
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
            rc = qs_search_try(a, (int)a->site[i], a->r->adapted.factor[a->site[i]] * SCAN, &loss, err);
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
        rc = qs_search_try(a, QS_ATTEMPT_ALL, NAN, &loss, err);
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
    if (!rc) rc = a->r->o.quant.adapt.factors == QS_ADAPT_RANDOM ? draw(&k, start, err) : refine(&k, start, err);
    free(start);
    free(k.gain);
    free(k.order);
    free(k.base);
    return rc;
}

/* ---- what is asked ------------------------------------------------------------------------------------- */
/* Does any of the steps it chooses learn later? */
static bool learns(const qs_search *a)
{
    for (size_t i = 0; i < a->n; i++)
        if (!a->r->site[a->site[i]].fixed) return true;
    return false;
}

static bool wanted(const qs_search *a, int part) { return part == QS_ADAPT_AUTO ? !learns(a) : part != QS_ADAPT_OFF; }

bool qs_search_adaptive_asks(const qs_search *a)
{
    const struct qs_adapt_opts *o = &a->r->o.quant.adapt;
    return wanted(a, o->norms) || wanted(a, o->factors);
}

double qs_search_adaptive_known(const qs_site *s) { return !s->act && !s->fixed && s->f->n <= FEW ? TRAINS_WELL : 2; }

int qs_search_adaptive(qs_search *a, qs_err *err)
{
    const struct qs_adapt_opts *o = &a->r->o.quant.adapt;
    int rc = wanted(a, o->norms) ? choose_norms(a, err) : 0;
    if (!rc && wanted(a, o->factors)) rc = choose_factors(a, err);
    return rc;
}
