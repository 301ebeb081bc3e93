/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Accuracy, measured so that it can be compared: statistics of batch normalization are re-estimated on the same 2048
 * training images first, because the running ones lag behind weights that move and pass for instability. They go to the
 * plan, never to the net: an evaluation leaves no trace.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "train/run_work.h"

#define REFRESH 2048                /* images */
#define BATCH 256
#define DRAW 0x5153                 /* the seed of the choice: the same images whatever the run's seed */
#define INDEXED ((size_t)1 << 22)   /* values an index of activations is made of at most */

/* ---- the evaluator ------------------------------------------------------------------- */
static int draw(qs_evaluator *e, const qs_dataset *d, size_t batch, qs_err *err)
{
    qs_order order;
    int rc = qs_order_init(&order, d->n[QS_PART_TRAIN], batch, DRAW, err);
    if (rc) return rc;
    size_t batches = d->n[QS_PART_TRAIN] / batch;
    if (batches > REFRESH / batch) batches = REFRESH / batch;
    e->nrefresh = batches * batch;
    e->refresh = qs_xmalloc(e->nrefresh * sizeof *e->refresh);
    for (size_t k = 0; k < batches; k++)
        memcpy(e->refresh + k * batch, qs_order_batch(&order, k), batch * sizeof *e->refresh);
    qs_order_clear(&order);
    return 0;
}

int qs_evaluator_init(qs_evaluator *e, qs_net *net, qs_site *site, size_t nsite, const qs_dataset *d, qs_err *err)
{
    size_t batch = d->n[QS_PART_TRAIN] < BATCH ? d->n[QS_PART_TRAIN] : BATCH;
    *e = (qs_evaluator){0};
    for (int i = 0; i < net->n; i++) e->bn |= net->node[i].op == QS_OP_BATCHNORM;
    int rc = draw(e, d, batch, err);
    if (rc) return rc;
    e->which = qs_xmalloc(batch * sizeof *e->which);
    e->plan = qs_plan_new(net, site, nsite, batch, false, err);
    if (e->plan) return 0;
    qs_evaluator_clear(e);
    return err ? -err->code : -QS_ENOMEM;
}

void qs_evaluator_clear(qs_evaluator *e)
{
    qs_plan_free(e->plan);
    free(e->refresh);
    free(e->which);
    *e = (qs_evaluator){0};
}

/* What the passes of one score share. */
struct scoring {
    qs_evaluator *e;
    const qs_dataset *d;
    const char *what;
    const qs_ctl *ctl;
    size_t done, total;       /* images */
};

static int advance(struct scoring *k, size_t images, qs_err *err)
{
    int rc = qs_ctl_check(k->ctl, k->what, (double)k->done / (double)k->total, err);
    k->done += images;
    return rc;
}

static int collect(struct scoring *k, qs_err *err)
{
    qs_plan *p = k->e->plan;
    size_t batch = qs_plan_batch(p);
    qs_plan_bn_reset(p);
    for (size_t at = 0; at < k->e->nrefresh; at += batch) {
        int rc = advance(k, batch, err);
        if (rc) return rc;
        qs_dataset_batch(k->d, QS_PART_TRAIN, k->e->refresh + at, batch, NULL, qs_plan_input(p), qs_plan_labels(p));
        qs_plan_forward(p, QS_BN_COLLECT);
    }
    return 0;
}

/* The first n images of a part, in order; a last batch is filled up with its own images, which do not count. */
static int pass(struct scoring *k, qs_part part, size_t n, qs_bn_mode mode, double *accuracy, double *loss, qs_err *err)
{
    qs_plan *p = k->e->plan;
    size_t batch = qs_plan_batch(p), right = 0;
    double sum = 0;
    for (size_t at = 0; at < n; at += batch) {
        size_t m = n - at < batch ? n - at : batch, hit;
        int rc = advance(k, m, err);
        if (rc) return rc;
        for (size_t i = 0; i < batch; i++) k->e->which[i] = (uint32_t)(at + i % m);
        qs_dataset_batch(k->d, part, k->e->which, batch, NULL, qs_plan_input(p), qs_plan_labels(p));
        qs_plan_forward(p, mode);
        sum += qs_plan_loss(p, m, &hit) * (double)m;
        right += hit;
    }
    *accuracy = (double)right / (double)n;
    *loss = sum / (double)n;
    return 0;
}

static int no_images(qs_part part, qs_err *err)
{
    static const char *const why[] = {N_("no training images"), N_("no validation images: val="), N_("no test images")};
    return qs_fail(err, QS_ESTATE, "%s", _(why[part]));
}

int qs_evaluator_score(qs_evaluator *e, const qs_dataset *d, qs_part part, size_t limit, const bool *off, const char *what,
                       const qs_ctl *ctl, qs_score *out, qs_err *err)
{
    size_t n = d->n[part];
    double unused;
    if (!n) return no_images(part, err);
    if (limit && limit < n) n = limit;
    struct scoring k = {.e = e, .d = d, .what = what, .ctl = ctl, .total = e->bn ? e->nrefresh + 2 * n : n};
    qs_score s = {.n = n};
    qs_plan_off(e->plan, off);
    qs_plan_weights(e->plan);
    int rc = e->bn ? collect(&k, err) : 0;
    if (!rc) rc = pass(&k, part, n, e->bn ? QS_BN_ESTIMATED : QS_BN_RUNNING, &s.accuracy, &s.loss, err);
    s.accuracy_raw = s.accuracy;
    if (!rc && e->bn) rc = pass(&k, part, n, QS_BN_RUNNING, &s.accuracy_raw, &unused, err);
    qs_plan_off(e->plan, NULL);
    if (!rc) *out = s;
    return rc;
}

/* ---- of a run ---------------------------------------------------------------------------- */
int qs_run_evaluate(qs_run *r, qs_part part, size_t limit, const qs_ctl *ctl, qs_score *out, qs_err *err)
{
    qs_score s;
    if ((unsigned)part > QS_PART_TEST) return qs_fail(err, QS_EARG, _("no part %d of the data"), (int)part);
    if (part == QS_PART_VAL && !limit) limit = r->o.val_limit;
    int rc = qs_evaluator_score(&r->work->eval, r->data, part, limit, NULL, _("evaluating"), ctl, &s, err);
    if (rc) return rc;
    if (part == QS_PART_VAL) r->last = s;
    qs_history_eval(&r->h, &(qs_eval){.t = r->t, .accuracy = s.accuracy, .loss = s.loss, .accuracy_raw = s.accuracy_raw,
                                      .part = (int)part, .n = s.n});
    if (out) *out = s;
    return 0;
}

/* ---- of a net ------------------------------------------------------------------------------ */
int qs_net_fits(const qs_net *net, const qs_dataset *d, qs_err *err)
{
    const qs_node *in = &net->node[0], *last = &net->node[net->n - 1];
    if (in->h != d->h || in->w != d->w || in->c != d->c)
        return qs_fail(err, QS_EARG, _("the net takes %dx%dx%d, the images of %s are %dx%dx%d"), in->h, in->w, in->c, d->name,
                       d->h, d->w, d->c);
    if (last->h != 1 || last->w != 1 || last->c < d->classes)
        return qs_fail(err, QS_EARG, _("the net ends in %dx%dx%d (%s); the %d classes of %s need 1x1x%d"), last->h, last->w,
                       last->c, last->name, d->classes, d->name, d->classes);
    return d->n[QS_PART_TRAIN] ? 0 : no_images(QS_PART_TRAIN, err);
}

static qs_net *copy_net(const qs_net *net, qs_err *err)
{
    qs_net *copy = qs_net_copy(net);
    if (!copy) qs_fail(err, QS_ENOMEM, _("no memory for a copy of the net"));
    return copy;
}

int qs_net_evaluate(const qs_net *net, qs_dataset *d, qs_part part, size_t limit, const qs_ctl *ctl, qs_score *out,
                    qs_err *err)
{
    qs_evaluator e;
    int rc = qs_net_fits(net, d, err);
    if (rc) return rc;
    qs_net *copy = copy_net(net, err);
    if (!copy) return -QS_ENOMEM;
    rc = qs_evaluator_init(&e, copy, NULL, 0, d, err);
    if (!rc) {
        rc = qs_evaluator_score(&e, d, part, limit, NULL, _("evaluating"), ctl, out, err);
        qs_evaluator_clear(&e);
    }
    qs_net_unref(copy);
    return rc;
}

/* ---- activations --------------------------------------------------------------------------------- */
/* The inputs of the layers of a float net, as sites that are all off. */
struct watching {
    qs_net *net;
    qs_site *site;
    bool *off;
    size_t n;
    qs_plan *plan;
    qs_order order;
};

static int watch_inputs(struct watching *k, const qs_net *net, size_t batch, qs_err *err)
{
    const qs_site_opts o = {.format = "int8", .init = "minmax", .learn = "none", .step_decay = NAN};
    int rc = 0;
    k->net = copy_net(net, err);
    if (!k->net) return -QS_ENOMEM;
    k->site = qs_xcalloc((size_t)net->n, sizeof *k->site);
    k->off = qs_xcalloc((size_t)net->n, sizeof *k->off);
    for (int i = 0; i < net->n && !rc; i++) {
        if (!qs_layer_is(net, i)) continue;
        rc = qs_site_init(&k->site[k->n], k->net, i, true, &o, batch, 1, err);
        if (!rc) k->off[k->n++] = true;
    }
    if (rc) return rc;
    k->plan = qs_plan_new(k->net, k->site, k->n, batch, false, err);
    if (!k->plan) return err ? -err->code : -QS_ENOMEM;
    qs_plan_off(k->plan, k->off);
    qs_plan_weights(k->plan);
    return 0;
}

static void watching_clear(struct watching *k)
{
    qs_plan_free(k->plan);
    for (size_t i = 0; i < k->n; i++) qs_site_clear(&k->site[i]);
    free(k->site);
    free(k->off);
    qs_net_unref(k->net);
    qs_order_clear(&k->order);
}

/* Every stride-th of the images, so that an index is made of at most INDEXED values. */
static qs_index *index_input(struct watching *k, qs_dataset *d, size_t site, size_t batches, const qs_ctl *ctl, qs_err *err)
{
    const size_t batch = qs_plan_batch(k->plan), n = k->site[site].n, images = batches * batch;
    const size_t most = INDEXED / n ? INDEXED / n : 1, stride = (images + most - 1) / most;
    size_t have = 0;
    float *x = qs_big_alloc((images + stride - 1) / stride * n * sizeof *x);
    if (!x) {
        qs_fail(err, QS_ENOMEM, _("%s: no memory for its values"), k->site[site].name);
        return NULL;
    }
    for (size_t b = 0; b < batches; b++) {
        if (qs_ctl_check(ctl, k->site[site].name, ((double)site + (double)b / (double)batches) / (double)k->n, err)) {
            qs_big_free(x);
            return NULL;
        }
        qs_dataset_batch(d, QS_PART_TRAIN, qs_order_batch(&k->order, b), batch, NULL, qs_plan_input(k->plan),
                         qs_plan_labels(k->plan));
        const float *seen = qs_plan_forward_to(k->plan, QS_BN_BATCH, site);
        for (size_t i = 0; i < batch; i++)
            if ((b * batch + i) % stride == 0) memcpy(x + n * have++, seen + i * n, n * sizeof *x);
    }
    qs_index *ix = qs_index_new(x, have * n, NULL, ctl, err);
    qs_big_free(x);
    return ix;
}

int qs_net_activations(const qs_net *net, qs_dataset *d, size_t images, const qs_ctl *ctl, char ***names,
                       qs_index ***index, size_t *n, qs_err *err)
{
    struct watching k = {0};
    qs_err own = {0};
    if (!err) err = &own;
    int rc = qs_net_fits(net, d, err);
    if (rc) return rc;
    size_t train = d->n[QS_PART_TRAIN], batch = train < 128 ? train : 128, made = 0;
    if (images && images < batch) batch = images;
    size_t batches = (images ? images : 256) / batch;
    if (batches > train / batch) batches = train / batch;
    rc = watch_inputs(&k, net, batch, err);
    if (!rc) rc = qs_order_init(&k.order, train, batch, 1, err);
    char **name = qs_xcalloc(k.n, sizeof *name);
    qs_index **ix = qs_xcalloc(k.n, sizeof *ix);
    for (; made < k.n && !rc; made += !rc) {
        ix[made] = index_input(&k, d, made, batches, ctl, err);
        if (ix[made]) name[made] = qs_xstrdup(k.site[made].name);
        else rc = -err->code;
    }
    watching_clear(&k);
    *n = made;
    *names = name;
    *index = ix;
    if (!rc) return 0;
    for (size_t i = 0; i < made; i++) {
        free(name[i]);
        qs_index_unref(ix[i]);
    }
    free(name);
    free(ix);
    *n = 0;
    *names = NULL;
    *index = NULL;
    return rc;
}
