/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Following: while the network moves most, steps learned by gradients lag behind the values they quantize. Every few
 * steps of the first part of a run they are solved anew by least squares, on the values of the batch that was just seen;
 * where the adaptive start had its reasons not to be at the least squares, its ratio to them stays. Then they are left to
 * learning.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "train/run_work.h"

#define VALUES ((size_t)1 << 14)      /* of a site that are looked at; of channels with steps of their own four times that */
#define EVERY 10
#define UPTO 0.6

struct qs_following { float **room; };   /* (nsite) for the values looked at, those of an input twice; NULL: not followed */

/* What was asked for, with what was left open. */
static struct qs_follow_opts opts(const qs_run *r)
{
    struct qs_follow_opts o = r->o.quant.follow;
    if (!o.every) o.every = EVERY;
    if (!(o.upto > 0)) o.upto = UPTO;
    return o;
}

/* Its first and last layers are not what a run compares, and hardly move: they learn from the start. */
static bool followed(const qs_run *r, const qs_site *s)
{
    bool end = s->node == qs_layer_first(r->net) || s->node == qs_layer_last(r->net);
    return !end && !s->fixed && (s->act ? opts(r).acts : opts(r).weights);
}

/* Values of an input that are looked at; weights are all looked at, where they are. */
static size_t chosen_of(const qs_run *r, size_t i, const float *x, float *out)
{
    const qs_site *s = &r->site[i];
    return qs_run_thin(r, i, x, r->o.batch * s->n, s->parts > 1 ? 4 * VALUES : VALUES, out);
}

int qs_run_follow_init(qs_run *r, qs_err *err)
{
    const struct qs_follow_opts o = opts(r);
    if (!r->o.quant.on || !(o.acts || o.weights)) return 0;
    struct qs_following *f = r->work->following = qs_xcalloc(1, sizeof *f);
    f->room = qs_xcalloc(r->nsite, sizeof *f->room);
    for (size_t i = 0; i < r->nsite; i++) {
        if (!followed(r, &r->site[i])) continue;
        size_t n = r->site[i].act ? 2 * chosen_of(r, i, NULL, NULL) : r->site[i].n;
        f->room[i] = qs_big_alloc(n * sizeof **f->room);
        if (!f->room[i]) return qs_fail(err, QS_ENOMEM, _("%s: no memory to follow it"), r->site[i].name);
    }
    return 0;
}

void qs_run_follow_clear(qs_run *r)
{
    struct qs_following *f = r->work->following;
    if (!f) return;
    for (size_t i = 0; i < r->nsite; i++) qs_big_free(f->room[i]);
    free(f->room);
    free(f);
}

/* The least-squares parameters of what site i saw of the last batch. */
static void refit(qs_run *r, size_t i)
{
    qs_site *s = &r->site[i];
    float *room = r->work->following->room[i];
    size_t n;
    const float *x = qs_run_seen(r, i, &n);
    if (!s->act) {
        qs_site_refit(s, x, n, room);
        return;
    }
    n = chosen_of(r, i, x, room);
    qs_site_refit(s, room, n, room + n);
}

static double mean_log_step(const qs_site *s)
{
    double sum = 0;
    for (size_t p = 0; p < s->parts; p++) sum += log(fabs(s->step[p]));
    return sum / (double)s->parts;
}

static void measure_ratio(void *arg, size_t i)
{
    qs_run *r = arg;
    qs_site *s = &r->site[i];
    if (!r->work->following->room[i] || strcmp(s->init, "adaptive")) return;
    double *saved = qs_xmalloc(2 * s->parts * sizeof *saved), was = mean_log_step(s);
    memcpy(saved, s->step, s->parts * sizeof *saved);
    if (s->offset) memcpy(saved + s->parts, s->offset, s->parts * sizeof *saved);
    refit(r, i);
    r->adapted.ratio[i] = exp(was - mean_log_step(s));
    qs_site_set(s, saved, s->offset ? saved + s->parts : NULL);
    free(saved);
}

static void begin_weights(qs_run *r)
{
    for (size_t i = 0; i < r->nsite; i++)
        if (!r->site[i].act) qs_site_begin(&r->site[i], r->net->param[r->net->node[r->site[i].node].weight].v);
}

void qs_run_follow_start(qs_run *r)
{
    if (!r->work->following || !r->adapted.ratio) return;
    begin_weights(r);
    qs_parallel(r->nsite, measure_ratio, r);
}

static void resolve(void *arg, size_t i)
{
    qs_run *r = arg;
    if (!r->work->following->room[i]) return;
    refit(r, i);
    if (r->adapted.ratio) qs_site_scale(&r->site[i], r->adapted.ratio[i]);
    qs_optim_forget(&r->work->optim, i, r->site[i].parts);
}

void qs_run_follow(qs_run *r)
{
    const struct qs_follow_opts o = opts(r);
    if (!r->work->following || r->t % o.every != o.every / 2 || (double)r->t > o.upto * (double)r->total) return;
    begin_weights(r);
    qs_parallel(r->nsite, resolve, r);
}
