/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Initializations that choose by the network's loss: what all of them share. Sites that ask for none of them are
 * calibrated by their own init, in the order of the network, every time another start is put to the test.
 */
#include "train/search.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"

#define COST 100                      /* training steps */
#define STEP (3 * 128)                /* images of one, forward and twice as much backward */
#define VALUES ((size_t)1 << 16)      /* of an input that a norm is fitted on */

static const struct strategy {
    const char *name;
    size_t images;            /* a half, unless told otherwise */
    bool labels;              /* whatever is asked for */
    bool apart;               /* chosen by other images than those of the calibration, which costs as many passes again */
    int (*run)(qs_search *a, qs_err *err);
    bool (*asks)(const qs_search *a);         /* is the loss looked at at all? NULL: always */
    double (*known)(const qs_site *s);        /* the norm of a site, where it is not */
} strategies[] = {
    {"adaptive", 256, false, false, qs_search_adaptive, qs_search_adaptive_asks, qs_search_adaptive_known},
    {"lapq", 512, true, true, qs_search_lapq, NULL, NULL},
};

static const struct strategy *strategy_of(const qs_site *s)
{
    for (size_t i = 0; i < sizeof strategies / sizeof *strategies; i++)
        if (!strcmp(s->init, strategies[i].name)) return &strategies[i];
    return NULL;
}

bool qs_run_searches(const qs_run *r)
{
    for (size_t i = 0; i < r->nsite; i++)
        if (strategy_of(&r->site[i])) return true;
    return false;
}

/* ---- its sites ------------------------------------------------------------------------------------ */
static bool is_of(const qs_site *s, int kind) { return kind == QS_ATTEMPT_ALL || s->act == (kind == QS_ATTEMPT_ACTS); }

bool qs_search_has(const qs_search *a, int kind)
{
    for (size_t i = 0; i < a->n; i++)
        if (is_of(&a->r->site[a->site[i]], kind)) return true;
    return false;
}

static void norm_of_site(qs_search *a, size_t s, double p)
{
    snprintf(a->name[s], sizeof a->name[s], "lp:%g", p);
    a->init[s] = a->name[s];
    a->keep[s] = false;
}

void qs_search_norm(qs_search *a, int kind, double p)
{
    for (size_t i = 0; i < a->n; i++)
        if (is_of(&a->r->site[a->site[i]], kind)) norm_of_site(a, a->site[i], p);
}

static void keep_weights(qs_search *a)
{
    for (size_t i = 0; i < a->r->nsite; i++) a->keep[i] = !a->r->site[i].act;
}

void qs_search_scale(qs_search *a, size_t i, double factor) { qs_site_scale(&a->r->site[a->site[i]], factor); }

/* ---- parameters of all sites, one after the other --------------------------------------------------- */
static size_t params_of(const qs_run *r)
{
    size_t n = 0;
    for (size_t i = 0; i < r->nsite; i++) n += r->site[i].parts * (r->site[i].offset ? 2 : 1);
    return n;
}

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
    keep_weights(a);
}

/* ---- looks at the loss -------------------------------------------------------------------------------- */
qs_attempt *qs_search_last(qs_search *a) { return &a->r->adapted.attempt[a->r->adapted.nattempt - 1]; }

static void remember(qs_adapted *d, qs_attempt t)
{
    if (d->nattempt == d->cap) d->attempt = qs_xrealloc(d->attempt, (d->cap = 2 * d->cap + 32) * sizeof *d->attempt);
    d->attempt[d->nattempt++] = t;
}

int qs_search_start(qs_search *a, int kind, double p, double *loss, qs_err *err)
{
    qs_adapted *d = &a->r->adapted;
    qs_search_norm(a, kind, p);
    int rc = qs_calib_run(a->k, a->ctl, err);
    a->probe.images += a->k->images;
    keep_weights(a);
    if (rc) return rc;
    if (qs_probe_can_go_on(&a->probe, a->k)) *loss = qs_probe_go_on(&a->probe, a->k);
    else rc = qs_probe_look(&a->probe, 0, 0, a->ctl, loss, err);
    if (!rc) remember(d, (qs_attempt){kind, p, NAN, *loss, d->nattempt ? a->loss : NAN, NAN, false});
    return rc;
}

int qs_search_try(qs_search *a, int site, double factor, double *loss, qs_err *err)
{
    int rc = qs_probe_look(&a->probe, 0, 0, a->ctl, loss, err);
    if (!rc) remember(&a->r->adapted, (qs_attempt){site, NAN, factor, *loss, a->loss, NAN, false});
    return rc;
}

bool qs_search_over(const qs_search *a) { return a->probe.images >= a->probe.budget; }

/* ---- one search ----------------------------------------------------------------------------------------- */
static void report_init(qs_adapted *d, size_t nsite)
{
    d->p_weights = d->p_acts = NAN;
    d->factor = qs_xcalloc(nsite, sizeof *d->factor);
    d->ratio = qs_xcalloc(nsite, sizeof *d->ratio);
    for (size_t i = 0; i < nsite; i++) d->factor[i] = d->ratio[i] = 1;
}

/* The sites that are searched, and by which strategy. */
static int choose_sites(qs_search *a, const struct strategy **row, qs_err *err)
{
    for (size_t i = 0; i < a->r->nsite; i++) {
        const struct strategy *s = strategy_of(&a->r->site[i]);
        if (!s) continue;
        if (a->n && s != *row)
            return qs_fail(err, QS_EARG, _("%s and %s: one of them starts all quantizers it is asked for"), (*row)->name, s->name);
        *row = s;
        a->site[a->n++] = i;
    }
    return 0;
}

static int search_init(qs_search *a, qs_calib *k, const struct strategy **row, const qs_ctl *ctl, qs_err *err)
{
    qs_run *r = k->r;
    struct qs_adapt_opts *o = &r->o.quant.adapt;
    *a = (qs_search){.r = r, .k = k, .ctl = ctl, .nparam = params_of(r)};
    a->site = qs_xcalloc(r->nsite, sizeof *a->site);
    a->init = qs_xcalloc(r->nsite, sizeof *a->init);
    a->name = qs_xcalloc(r->nsite, sizeof *a->name);
    a->keep = qs_xcalloc(r->nsite, sizeof *a->keep);
    k->init = a->init;
    k->keep = a->keep;
    k->most = VALUES;
    int rc = choose_sites(a, row, err);
    if (rc) return rc;
    if (!o->images) o->images = (*row)->images;
    if (!(o->cost > 0)) o->cost = COST;
    a->probe.budget = (uint64_t)(o->cost * STEP);
    report_init(&r->adapted, r->nsite);
    if ((*row)->asks && !(*row)->asks(a)) return 0;
    return qs_probe_init(&a->probe, r, (*row)->apart ? k->images : 0, o->images, (*row)->labels || o->labels, ctl, err);
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

static void say_unasked(qs_site *s, double p)
{
    snprintf(s->formula, sizeof s->formula, "argmin E|x - Q(x)|^%g = %.6g", p, s->step[0]);
    snprintf(s->note, sizeof s->note, "%s", _("the norm that is best after training; adapt = {norms = true} asks the loss before it"));
}

/* By norms that are known, on all values there are: what least squares costs. */
static int start_unasked(qs_search *a, const struct strategy *row, qs_err *err)
{
    qs_adapted *d = &a->r->adapted;
    d->first = d->last = NAN;
    for (size_t i = 0; i < a->n; i++) {
        const qs_site *s = &a->r->site[a->site[i]];
        double p = row->known(s), *kind = s->act ? &d->p_acts : &d->p_weights;
        norm_of_site(a, a->site[i], p);
        *kind = fmax(*kind, p);               /* NaN: none so far */
    }
    a->k->most = 0;
    int rc = qs_calib_run(a->k, a->ctl, err);
    for (size_t i = 0; i < a->n && !rc; i++) say_unasked(&a->r->site[a->site[i]], row->known(&a->r->site[a->site[i]]));
    return rc;
}

/* Least squares first: what everything else is measured against. */
static int search(qs_search *a, const struct strategy *row, qs_err *err)
{
    qs_adapted *d = &a->r->adapted;
    int rc = qs_search_start(a, QS_ATTEMPT_ALL, 2, &a->loss, err);
    if (rc) return rc;
    d->first = a->loss;
    if (qs_search_has(a, QS_ATTEMPT_WEIGHTS)) d->p_weights = 2;
    if (qs_search_has(a, QS_ATTEMPT_ACTS)) d->p_acts = 2;
    rc = row->run(a, err);
    d->last = a->loss;
    if (!rc) say(a);
    return rc;
}

int qs_run_search(qs_calib *k, const qs_ctl *ctl, qs_err *err)
{
    qs_search a;
    const struct strategy *row = NULL;
    int rc = search_init(&a, k, &row, ctl, err);
    if (!rc) rc = a.probe.which ? search(&a, row, err) : start_unasked(&a, row, err);
    search_clear(&a);
    return rc;
}
