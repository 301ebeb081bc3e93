/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Memory of snapshots: reference counts and freeing. Every pointer in a snapshot
 * is a block of its own that the snapshot owns, but for the list and the parts on training, results and a race, which are shared.
 */
#include "engine/snapshot.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static void no_numbers(qs_snap_quant *q)
{
    double *const all[] = {&q->step, &q->offset, &q->clip_lo, &q->clip_hi, &q->mse, &q->nmse, &q->sqnr,
                           &q->clip_mse, &q->round_mse, &q->clipped, &q->max_abs, &q->bias, &q->entropy, &q->mse_ratio,
                           &q->step_ratio};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) *all[i] = NAN;
}

qs_snapshot *qs_snapshot_new(void)
{
    qs_snapshot *s = qs_xcalloc(1, sizeof *s);
    double *const unknown[] = {&s->min, &s->max, &s->mean, &s->std, &s->skewness, &s->kurtosis,
                               &s->zeros, &s->nans, &s->infs, &s->distinct, &s->sel.step, &s->sel.offset, &s->bpw};
    atomic_init(&s->refs, 1);
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) *unknown[i] = NAN;
    no_numbers(&s->a);
    no_numbers(&s->b);
    s->sel.channel = -1;
    s->sel.seek = -1;
    s->done = -1;
    return s;
}

qs_snapshot *qs_snapshot_ref(qs_snapshot *s)
{
    if (s) atomic_fetch_add(&s->refs, 1);
    return s;
}

qs_snap_list *qs_snap_list_ref(qs_snap_list *l)
{
    atomic_fetch_add(&l->refs, 1);
    return l;
}

void qs_snap_list_unref(qs_snap_list *l)
{
    if (!l || atomic_fetch_sub(&l->refs, 1) != 1) return;
    for (size_t i = 0; i < l->n; i++) {
        free(l->row[i].name);
        free(l->row[i].label);
        free(l->row[i].reason);
    }
    free(l->row);
    free(l);
}

qs_snap_train *qs_snap_train_new(void)
{
    qs_snap_train *t = qs_xcalloc(1, sizeof *t);
    qs_snap_look *l = &t->look;
    double *const unknown[] = {&t->before_t, &t->after_t, &l->t, &l->step, &l->offset, &l->first, &l->clip_lo, &l->clip_hi,
                               &l->clipped, &l->entropy, &l->used, &l->levels, &l->oscillating, &l->ratio, &l->error,
                               &l->best_step, &l->best_error, &l->slope, &l->probe_p, &l->probe_factor, &l->probe_first, &l->probe_last, &l->pull, &l->pull_noise, &l->pull_rel};
    atomic_init(&t->refs, 1);
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) *unknown[i] = NAN;
    return t;
}

static void free_all(void *const *own, size_t n)
{
    for (size_t i = 0; i < n; i++) free(own[i]);
}
#define FREE_ALL(...) free_all((void *const[]){__VA_ARGS__}, sizeof (void *const[]){__VA_ARGS__} / sizeof(void *))

void qs_snap_train_unref(qs_snap_train *t)
{
    if (!t || atomic_fetch_sub(&t->refs, 1) != 1) return;
    for (size_t i = 0; i < t->nrun; i++) {
        qs_snap_run *r = &t->run[i];
        FREE_ALL(r->reason, r->data, r->loss_t, r->low, r->high, r->mean, r->eval_t, r->eval, r->step_t, r->step);
    }
    for (size_t i = 0; i < t->nsite; i++) free(t->site[i].step);
    FREE_ALL(t->run, t->site, t->rec_t, t->look.count, t->look.level, t->look.cut, t->look.curve_step,
             t->look.curve_error, t->look.probe_step, t->look.probe_loss);
    free(t);
}

qs_snap_results *qs_snap_results_new(void)
{
    qs_snap_results *r = qs_xcalloc(1, sizeof *r);
    atomic_init(&r->refs, 1);
    r->rate = r->left_s = NAN;
    return r;
}

static void free_texts(char **text, size_t n)
{
    for (size_t i = 0; i < n; i++) free(text[i]);
    free(text);
}

static void free_series(qs_snap_series *s, size_t n)
{
    for (size_t i = 0; i < n; i++) FREE_ALL(s[i].name, s[i].at, s[i].mean, s[i].low, s[i].high);
    free(s);
}

void qs_snap_results_unref(qs_snap_results *r)
{
    if (!r || atomic_fetch_sub(&r->refs, 1) != 1) return;
    free_texts(r->sweeps, r->nsweep);
    free_texts(r->param, r->nparam);
    free_texts(r->metric, r->nmetric);
    free_texts(r->by, r->nby);
    for (size_t i = 0; i < r->ngroup; i++) {
        free(r->group[i].name);
        free_texts(r->group[i].value, r->nby);
    }
    free_series(r->series, r->nseries);
    free_series(r->base, r->nbase);
    FREE_ALL(r->error, r->group);
    free(r);
}

qs_snap_race *qs_snap_race_new(size_t n)
{
    qs_snap_race *r = qs_xcalloc(1, sizeof *r);
    atomic_init(&r->refs, 1);
    r->seed = r->batch = r->total = r->images = r->floating = NAN;
    r->racer = qs_xcalloc(n + 1, sizeof *r->racer);
    r->n = n;
    for (size_t i = 0; i < n; i++) {
        qs_snap_racer *x = &r->racer[i];
        double *const unknown[] = {&x->before, &x->after, &x->loss, &x->raw, &x->init_s, &x->train_s};
        for (size_t k = 0; k < sizeof unknown / sizeof *unknown; k++) *unknown[k] = NAN;
    }
    return r;
}

void qs_snap_race_unref(qs_snap_race *r)
{
    if (!r || atomic_fetch_sub(&r->refs, 1) != 1) return;
    for (size_t i = 0; i < r->n; i++) {
        qs_snap_racer *x = &r->racer[i];
        FREE_ALL(x->reason, x->loss_t, x->mean, x->eval_t, x->eval, x->rec_t, x->oscillating, x->step);
    }
    FREE_ALL(r->data, r->site, r->racer);
    free(r);
}

static void clear_quant(qs_snap_quant *q)
{
    void *const own[] = {q->level, q->cut, q->occupancy, q->qbins, q->formula, q->source, q->note};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) free(own[i]);
}

static void clear_compare(qs_snapshot *s)
{
    for (size_t i = 0; i < s->ncompare; i++) {
        free(s->compare[i].error);
        free(s->compare[i].formula);
        free(s->compare[i].source);
    }
    free(s->compare);
}

void qs_snapshot_unref(qs_snapshot *s)
{
    if (!s || atomic_fetch_sub(&s->refs, 1) != 1) return;
    clear_quant(&s->a);
    clear_quant(&s->b);
    clear_compare(s);
    for (size_t i = 0; i < s->nlog; i++) free(s->log[i]);
    void *const own[] = {s->reason, s->axes_note, s->index_kind, s->hist.count, s->hist.density, s->own.level, s->own.note, s->versus.bins, s->curve.step,
                         s->curve.error, s->curve.clip, s->curve.round, s->curve.mark, s->log, s->status};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) free(own[i]);
    qs_snap_list_unref(s->list);
    qs_snap_train_unref(s->train);
    qs_snap_results_unref(s->results);
    qs_snap_race_unref(s->race);
    free(s);
}
