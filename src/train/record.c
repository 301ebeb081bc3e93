/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a run remembers of its quantizers: every `record` steps what stands in history.h, and at every step whether the
 * codes of a fixed sample of weights go to and fro. All memory is made with the run.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "train/run_work.h"

#define LOOK ((size_t)1 << 16)    /* values a record looks at, of a site, at most */
#define FOLLOWED 4096             /* weights of a site whose codes are followed */
#define RUNS 64                   /* in so many runs */
#define MOMENTUM 0.01f            /* METHODS 8: Nagel et al. 2022 */
#define OSCILLATES 0.005f

static const float *weights(const qs_run *r, const qs_site *s) { return r->net->param[r->net->node[s->node].weight].v; }

/* ---- memory --------------------------------------------------------------------------- */
static void follow(qs_wobble *w, const qs_site *s)
{
    bool all = s->n <= FOLLOWED;
    *w = (qs_wobble){.runs = all ? 1 : RUNS, .len = all ? s->n : FOLLOWED / RUNS, .stride = all ? 0 : s->n / RUNS};
    w->n = w->runs * w->len;
    w->code = qs_xcalloc(w->n, sizeof *w->code);
    w->now = qs_xcalloc(w->n, sizeof *w->now);
    w->dir = qs_xcalloc(w->n, sizeof *w->dir);
    w->f = qs_xcalloc(w->n, sizeof *w->f);
}

void qs_run_watch(qs_run *r)
{
    struct qs_run_work *w = r->work;
    w->wobble = qs_xcalloc(r->nsite, sizeof *w->wobble);
    w->sample = qs_xcalloc(r->nsite, sizeof *w->sample);
    for (size_t i = 0; i < r->nsite; i++) {
        const qs_site *s = &r->site[i];
        if (s->act) continue;
        follow(&w->wobble[i], s);
        if (s->n > LOOK && s->parts == 1 && !s->gain) w->sample[i] = qs_xcalloc(LOOK, sizeof(float));
    }
}

void qs_run_unwatch(qs_run *r)
{
    struct qs_run_work *w = r->work;
    for (size_t i = 0; i < r->nsite && w->wobble; i++) {
        qs_wobble *k = &w->wobble[i];
        free(k->code);
        free(k->now);
        free(k->dir);
        free(k->f);
        free(w->sample[i]);
    }
    free(w->wobble);
    free(w->sample);
}

/* ---- oscillation --------------------------------------------------------------------------- */
/* A change of the code against the last one: that is an oscillation; f is how often, a moving mean. */
static void compare_codes(qs_wobble *w)
{
    for (size_t i = 0; i < w->n; i++) {
        int d = (w->now[i] > w->code[i]) - (w->now[i] < w->code[i]);
        bool turned = d && d == -w->dir[i];
        w->f[i] = (1 - MOMENTUM) * w->f[i] + (turned ? MOMENTUM : 0);
        if (d) w->dir[i] = (int8_t)d;
        w->code[i] = w->now[i];
    }
}

static void track_site(void *arg, size_t i)
{
    const qs_run *r = arg;
    const qs_site *s = &r->site[i];
    qs_wobble *w = &r->work->wobble[i];
    if (!w->n) return;
    for (size_t k = 0; k < w->runs; k++)
        qs_site_rank(s, weights(r, s) + k * w->stride, k * w->stride, w->len, w->now + k * w->len);
    if (w->seen) compare_codes(w);
    else memcpy(w->code, w->now, w->n * sizeof *w->code);
    w->seen = true;
}

void qs_run_track(qs_run *r) { qs_parallel(r->nsite, track_site, r); }

static double oscillating(const qs_wobble *w)
{
    size_t n = 0;
    for (size_t i = 0; i < w->n; i++) n += w->f[i] > OSCILLATES;
    return (double)n / (double)w->n;
}

/* ---- records ---------------------------------------------------------------------------------- */
static void sum_parts(const qs_site *s, qs_record *rec)
{
    double log_step = 0, grad_sq = 0, step_sq = 0;
    *rec = (qs_record){.ratio = NAN, .oscillating = NAN};
    for (size_t p = 0; p < s->parts; p++) {
        log_step += log(fabs(s->step[p]));
        rec->dstep += s->dstep[p];
        rec->raw += s->raw[p];
        grad_sq += s->dstep[p] * s->dstep[p];
        step_sq += s->step[p] * s->step[p];
        if (!s->offset) continue;
        rec->offset += s->offset[p] / (double)s->parts;
        rec->doffset += s->doffset[p];
    }
    rec->step = exp(log_step / (double)s->parts);
    if (!s->act && s->gnorm > 0 && s->vnorm > 0) rec->ratio = sqrt(grad_sq / step_sq) / (s->gnorm / s->vnorm);
}

/* Weights: all, or every so many; where channels have steps or corrections of their own always all. */
static void look_weights(const qs_run *r, size_t i, qs_site_look *out)
{
    qs_site *s = &r->site[i];
    const float *w = weights(r, s);
    float *sample = r->work->sample[i];
    qs_site_begin(s, w);
    if (sample) {
        for (size_t k = 0; k < LOOK; k++) sample[k] = w[(size_t)((double)k / LOOK * (double)s->n)];
        qs_site_inspect(s, sample, 0, LOOK, out);
    } else {
        qs_site_inspect(s, w, 0, s->n, out);
    }
}

const float *qs_run_seen(const qs_run *r, size_t site, size_t *n)
{
    const qs_site *s = &r->site[site];
    *n = s->act ? r->o.batch * s->n : s->n;
    if (!s->act) return weights(r, s);
    return r->work->seen ? qs_plan_seen(r->work->plan, site, r->o.batch) : NULL;
}

/* Inputs: the first images of the batch. */
static void look_inputs(const qs_run *r, size_t i, qs_site_look *out)
{
    const qs_site *s = &r->site[i];
    size_t images = LOOK / s->n;
    if (images > r->o.batch) images = r->o.batch;
    if (!images) images = 1;
    qs_site_inspect(s, qs_plan_seen(r->work->plan, i, images), 0, images * s->n, out);
}

struct recording { qs_run *r; qs_record *row; };

static void record_site(void *arg, size_t i)
{
    const struct recording *k = arg;
    const qs_site *s = &k->r->site[i];
    sum_parts(s, &k->row[i]);
    if (s->act) look_inputs(k->r, i, &k->row[i].look);
    else look_weights(k->r, i, &k->row[i].look);
    if (!s->act) k->row[i].oscillating = oscillating(&k->r->work->wobble[i]);
}

void qs_run_record(qs_run *r, double loss)
{
    qs_history *h = &r->h;
    if (h->nrec && h->rec_t[h->nrec - 1] == r->t) h->nrec--;
    qs_record *row = qs_history_record(h, r->t, loss);
    if (row) qs_parallel(r->nsite, record_site, &(struct recording){r, row});
}
