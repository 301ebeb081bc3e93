/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Optimizers. Weights are worked through in fixed blocks, so that neither the update nor the sum of squares depends on
 * the number of threads; steps and offsets are few and go one by one, in double.
 */
#include "train/optim.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "num/kernels.h"

#define BLOCK ((size_t)1 << 14)

struct qs_optim_block { int param; size_t start, n; };

/* ---- memory ------------------------------------------------------------------------ */
static float *zeros(size_t n)
{
    float *p = qs_big_alloc((n ? n : 1) * sizeof *p);
    if (p) memset(p, 0, n * sizeof *p);
    return p;
}

static void cut_blocks(qs_optim *q, const qs_net *net)
{
    size_t n = 0;
    for (int i = 0; i < net->nparam; i++) n += net->param[i].trained ? (net->param[i].n + BLOCK - 1) / BLOCK : 0;
    q->block = qs_xcalloc(n, sizeof *q->block);
    q->sum = qs_xcalloc(n, sizeof *q->sum);
    for (int i = 0; i < net->nparam; i++)
        for (size_t at = 0; net->param[i].trained && at < net->param[i].n; at += BLOCK) {
            size_t left = net->param[i].n - at;
            q->block[q->nblock++] = (struct qs_optim_block){i, at, left < BLOCK ? left : BLOCK};
        }
}

static void site_memory(qs_optim *q, const qs_site *site, size_t nsite)
{
    size_t most = 1;
    q->nsite = nsite;
    q->sm = qs_xcalloc(nsite, sizeof *q->sm);
    q->sv = qs_xcalloc(nsite, sizeof *q->sv);
    for (size_t i = 0; i < nsite; i++) {
        q->sm[i] = qs_xcalloc(2 * site[i].parts, sizeof(double));
        if (q->o.kind == QS_ADAM) q->sv[i] = qs_xcalloc(2 * site[i].parts, sizeof(double));
        if (site[i].parts > most) most = site[i].parts;
    }
    q->room = qs_xcalloc(2 * most, sizeof(double));
}

int qs_optim_init(qs_optim *q, const qs_optim_opts *o, const qs_net *net, const qs_site *site, size_t nsite, qs_err *err)
{
    bool good = true;
    *q = (qs_optim){.o = *o, .nparam = net->nparam};
    q->m = qs_xcalloc((size_t)net->nparam, sizeof *q->m);
    q->v = qs_xcalloc((size_t)net->nparam, sizeof *q->v);
    for (int i = 0; i < net->nparam && good; i++) {
        const qs_param *p = &net->param[i];
        if (!p->trained) continue;
        good = (q->m[i] = zeros(p->n)) && (o->kind != QS_ADAM || (q->v[i] = zeros(p->n)));
    }
    cut_blocks(q, net);
    site_memory(q, site, nsite);
    if (good) return 0;
    qs_optim_clear(q);
    return qs_fail(err, QS_ENOMEM, _("no memory for the momentum of %zu parameters"), qs_net_values(net));
}

void qs_optim_clear(qs_optim *q)
{
    for (int i = 0; i < q->nparam; i++) {
        qs_big_free(q->m[i]);
        qs_big_free(q->v[i]);
    }
    for (size_t i = 0; i < q->nsite; i++) {
        free(q->sm[i]);
        free(q->sv[i]);
    }
    free(q->m);
    free(q->v);
    free(q->sm);
    free(q->sv);
    free(q->block);
    free(q->sum);
    free(q->room);
    *q = (qs_optim){0};
}

/* ---- the norm ------------------------------------------------------------------------ */
struct norm { qs_optim *q; float *const *grad; };

static void norm_block(void *arg, size_t k)
{
    const struct norm *a = arg;
    const struct qs_optim_block *b = &a->q->block[k];
    a->q->sum[k] = qs_num()->sumsq(a->grad[b->param] + b->start, b->n);
}

double qs_optim_norm(qs_optim *q, float *const *grad)
{
    double sum = 0;
    qs_parallel(q->nblock, norm_block, &(struct norm){q, grad});
    for (size_t k = 0; k < q->nblock; k++) sum += q->sum[k];
    return sqrt(sum);
}

/* ---- weights --------------------------------------------------------------------------- */
struct update {
    qs_optim *q;
    const qs_net *net;
    float *const *grad;
    qs_sgd sgd;
    qs_adam adam;
};

static void update_block(void *arg, size_t k)
{
    const struct update *u = arg;
    const struct qs_optim_block *b = &u->q->block[k];
    const qs_param *p = &u->net->param[b->param];
    const float decay = p->decays ? (float)u->q->o.decay : 0;
    float *m = u->q->m[b->param] + b->start, *w = p->v + b->start;
    const float *g = u->grad[b->param] + b->start;
    qs_sgd sgd = u->sgd;
    qs_adam adam = u->adam;
    sgd.decay = adam.decay = decay;
    if (u->q->o.kind == QS_ADAM) qs_num()->adam(&adam, g, b->n, m, u->q->v[b->param] + b->start, w);
    else qs_num()->sgd(&sgd, g, b->n, m, w);
}

/* ---- steps and offsets -------------------------------------------------------------------- */
/* How far a single parameter goes down. */
static double move(const qs_optim *q, double *m, double *v, double g, double lr)
{
    const double b1 = q->o.momentum, b2 = q->o.beta2, t = (double)q->t;
    if (q->o.kind == QS_SGD) {
        *m = b1 * *m + g;
        return lr * (q->o.nesterov ? g + b1 * *m : *m);
    }
    *m = b1 * *m + (1 - b1) * g;
    *v = b2 * *v + (1 - b2) * g * g;
    return lr / (1 - pow(b1, t)) * *m / (sqrt(*v) / sqrt(1 - pow(b2, t)) + q->o.eps);
}

/* The sign stays, and between half and four times the size: so a step is positive by construction, and one large gradient (of a small
 * layer with 8 bits, say) cannot throw it where it would never come back from. What would have gone further is forgotten. */
static double bounded(double old, double next, double *momentum)
{
    double ratio = next / old, most = fmin(fmax(ratio, 0.5), 4);
    if (most != ratio) *momentum = 0;
    return old * most;
}

static void update_site(qs_optim *q, size_t k, qs_site *s, double lr)
{
    double *step = q->room, *offset = q->room + s->parts, *m = q->sm[k], *v = q->sv[k], unused = 0;
    for (size_t i = 0; i < s->parts; i++) {
        double g = s->dstep[i] + s->step_decay * s->step[i];
        step[i] = bounded(s->step[i], s->step[i] - move(q, &m[i], v ? &v[i] : &unused, g, lr), &m[i]);
        if (!s->offset) continue;
        size_t o = s->parts + i;
        offset[i] = s->offset[i] - move(q, &m[o], v ? &v[o] : &unused, s->doffset[i], lr);
    }
    qs_site_set(s, step, s->offset ? offset : NULL);
}

void qs_optim_step(qs_optim *q, const qs_net *net, float *const *grad, qs_site *site, double lr, double norm)
{
    const qs_optim_opts *o = &q->o;
    const double t = (double)++q->t, b1 = o->momentum, b2 = o->beta2;
    const float scale = (float)(o->clip > 0 && norm > o->clip ? o->clip / norm : 1);
    struct update u = {.q = q, .net = net, .grad = grad};
    u.sgd = (qs_sgd){.lr = (float)lr, .momentum = (float)b1, .scale = scale, .nesterov = o->nesterov};
    u.adam = (qs_adam){.lr = (float)(lr / (1 - pow(b1, t))), .root2 = (float)sqrt(1 - pow(b2, t)), .b1 = (float)b1,
                       .b2 = (float)b2, .c1 = (float)(1 - b1), .c2 = (float)(1 - b2), .eps = (float)o->eps, .scale = scale};
    qs_parallel(q->nblock, update_block, &u);
    for (size_t k = 0; k < q->nsite; k++)
        if (!site[k].fixed) update_site(q, k, &site[k], lr * site[k].step_rate);
}

/* ---- schedules -------------------------------------------------------------------------------- */
void qs_optim_forget(qs_optim *q, size_t site, size_t parts)
{
    memset(q->sm[site], 0, 2 * parts * sizeof *q->sm[site]);
    if (q->sv[site]) memset(q->sv[site], 0, 2 * parts * sizeof *q->sv[site]);
}

double qs_schedule_lr(qs_schedule kind, double lr, double gamma, uint64_t every, uint64_t t, uint64_t total)
{
    if (kind == QS_COSINE) return lr / 2 * (1 + cos(M_PI * (double)t / (double)total));
    if (kind == QS_STEPWISE) return lr * pow(gamma, (double)(t / (every ? every : 1)));
    return lr;
}
