/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Looking at the network's own loss: images are put through the network with its quantizers as they stand, and their
 * outputs are compared with those of the float network, or with the labels. One half of the images is for choosing, the
 * other for checking what was chosen.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "train/search.h"

#define FEWEST 16             /* images a half */

/* The logarithms of the probabilities of one image. */
static void log_softmax(const float *z, size_t n, double *out)
{
    double top = (double)z[0], sum = 0;
    for (size_t j = 1; j < n; j++) top = fmax(top, (double)z[j]);
    for (size_t j = 0; j < n; j++) sum += exp((double)z[j] - top);
    for (size_t j = 0; j < n; j++) out[j] = (double)z[j] - top - log(sum);
}

static double image_loss(const qs_probe *p, size_t image, const double *q, int label)
{
    const float *f = p->soft + image * p->classes;
    double sum = 0;
    if (p->labels) return -q[label];
    for (size_t j = 0; j < p->classes; j++) sum += exp((double)f[j]) * ((double)f[j] - q[j]);
    return sum;
}

static double progress(const qs_probe *p) { return p->budget ? fmin(1, (double)p->images / (double)p->budget) : -1; }

typedef void taker(qs_probe *p, size_t image, const double *q, int label);

/* What a pass that is over says of images image .. image+m-1, those at the head of its batch. */
static void take_batch(qs_probe *p, size_t image, size_t m, taker *take)
{
    qs_plan *plan = p->r->work->eval.plan;
    const size_t width = (size_t)p->r->net->node[p->r->net->n - 1].c;
    double *q = qs_xmalloc(width * sizeof *q);
    for (size_t i = 0; i < m; i++) {
        log_softmax(qs_plan_logits(plan) + i * width, width, q);
        take(p, image + i, q, (int)qs_plan_labels(plan)[i]);
    }
    free(q);
}

/* Images from .. from+n-1 of all, a batch at a time; a last batch is filled up with its own images, which do not count. */
static int each_batch(qs_probe *p, size_t from, size_t n, const qs_ctl *ctl, qs_err *err, taker *take)
{
    struct qs_evaluator *e = &p->r->work->eval;
    const size_t batch = qs_plan_batch(e->plan);
    int rc = 0;
    for (size_t at = 0; at < n && !(rc = qs_ctl_check(ctl, _("looking at the loss"), progress(p), err)); at += batch) {
        size_t m = n - at < batch ? n - at : batch;
        for (size_t i = 0; i < batch; i++) e->which[i] = p->which[from + at + i % m];
        qs_dataset_batch(p->r->data, QS_PART_TRAIN, e->which, batch, NULL, qs_plan_input(e->plan), qs_plan_labels(e->plan));
        qs_plan_forward(e->plan, QS_BN_BATCH);
        p->images += batch;
        take_batch(p, from + at, m, take);
    }
    return rc;
}

static void keep_float(qs_probe *p, size_t image, const double *q, int label)
{
    (void)label;
    for (size_t j = 0; j < p->classes; j++) p->soft[image * p->classes + j] = (float)q[j];
}

static void keep_loss(qs_probe *p, size_t image, const double *q, int label)
{
    bool second = image >= p->half;
    p->loss[second][image - (second ? p->half : 0)] = image_loss(p, image, q, label);
}

/* What the float network says of a half. */
static int know(qs_probe *p, int half, const qs_ctl *ctl, qs_err *err)
{
    qs_plan *plan = p->r->work->eval.plan;
    if (p->known[half]) return 0;
    qs_plan_off(plan, p->r->work->all_off);
    qs_plan_weights(plan);
    int rc = each_batch(p, half ? p->half : 0, p->half, ctl, err, keep_float);
    qs_plan_off(plan, NULL);
    p->known[half] = !rc;
    return rc;
}

int qs_probe_init(qs_probe *p, qs_run *r, size_t from, size_t half, bool labels, const qs_ctl *ctl, qs_err *err)
{
    const size_t all = r->data->n[QS_PART_TRAIN] / r->o.batch * r->o.batch;
    size_t left = all > from ? all - from : 0;
    if (left < 2 * half) half = left / 2;
    *p = (qs_probe){.r = r, .half = half, .budget = p->budget, .labels = labels, .classes = (size_t)r->net->node[r->net->n - 1].c};
    if (half < FEWEST)
        return qs_fail(err, QS_EARG, _("%zu training images are too few to choose an initialization by the loss: %zu are for "
                                       "calibration, and 2 x %d more are needed"), all, from, FEWEST);
    p->which = qs_xmalloc(2 * half * sizeof *p->which);
    p->soft = qs_xmalloc(2 * half * p->classes * sizeof *p->soft);
    for (int i = 0; i < 2; i++) p->loss[i] = qs_xcalloc(half, sizeof(double));
    qs_run_images(r, from, 2 * half, p->which);
    int rc = know(p, 0, ctl, err);
    if (rc) qs_probe_clear(p);
    return rc;
}

void qs_probe_clear(qs_probe *p)
{
    free(p->which);
    free(p->soft);
    free(p->loss[0]);
    free(p->loss[1]);
    *p = (qs_probe){0};
}

static double mean_loss(const qs_probe *p, int half, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += p->loss[half][i];
    return isfinite(sum) ? sum / (double)n : INFINITY;
}

int qs_probe_look(qs_probe *p, int half, size_t n, const qs_ctl *ctl, double *mean, qs_err *err)
{
    if (!n || n > p->half) n = p->half;
    int rc = know(p, half, ctl, err);
    if (rc) return rc;
    qs_plan_weights(p->r->work->eval.plan);
    rc = each_batch(p, half ? p->half : 0, n, ctl, err, keep_loss);
    *mean = mean_loss(p, half, n);
    return rc;
}

bool qs_probe_can_go_on(const qs_probe *p, const qs_calib *k)
{
    return k->stands < p->r->nsite && k->images == p->half && !memcmp(k->which, p->which, p->half * sizeof *p->which);
}

double qs_probe_go_on(qs_probe *p, const qs_calib *k)
{
    qs_plan_forward_rest(p->r->work->eval.plan, k->stands);
    take_batch(p, 0, p->half, keep_loss);
    return mean_loss(p, 0, p->half);
}
