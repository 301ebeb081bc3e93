/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What each layer does forward and backward, as pieces of work for a plan. One
 * row of the table below a layer. Fake quantization happens at the entrance of
 * convolutions and linear layers.
 */
#include <math.h>
#include <string.h>

#include "train/plan_in.h"

/* Where chunk k of an array of n floats an image begins, and how many floats it is. */
static size_t at(const qs_plan *p, size_t k, size_t n) { return k * p->per * n; }
static size_t len(const qs_plan *p, size_t n) { return p->per * n; }

/* A chunk of what lives only while a stretch works on it: threads have places, not chunks, and keep them in their caches. */
static size_t mine(const qs_plan *p, size_t n) { return at(p, qs_worker(), n); }

/* Chunk k of the arrays of a step. */
struct piece { const float *x, *x2; float *y, *gx, *gx2, *gy, *arg; };

static size_t place(const qs_plan *p, bool brief, size_t k, size_t n) { return brief ? mine(p, n) : at(p, k, n); }

static struct piece cut_out(const qs_plan *p, const struct step *s, size_t k)
{
    const struct brief *b = &s->brief;
    struct piece c = {.x = s->x + place(p, b->x, k, s->nx), .y = s->y + place(p, b->y, k, s->ny)};
    if (s->x2) c.x2 = s->x2 + place(p, b->x2, k, s->nx2);
    if (s->arg) c.arg = s->arg + at(p, k, s->ny);
    if (!p->train) return c;
    c.gy = s->gy + place(p, b->gy, k, s->ny);
    c.gx = s->gx + place(p, b->gx, k, s->nx);
    if (s->gx2) c.gx2 = s->gx2 + place(p, b->gx2, k, s->nx2);
    return c;
}

/* Leaves the gradient of x, which stands where that of y was, where it belongs. */
static void settle(const qs_plan *p, const struct step *s, const struct piece *v)
{
    if (v->gx == v->gy) return;
    if (s->add) p->k->add(v->gy, len(p, s->nx), v->gx);
    else memcpy(v->gx, v->gy, len(p, s->nx) * sizeof(float));
}

static size_t rows(const qs_plan *p, const struct step *s) { return len(p, s->ny) / (size_t)s->node->c; }

static void bn_apply(qs_plan *p, struct step *s, size_t k)
{
    struct piece v = cut_out(p, s, k);
    p->k->bnapply(v.x, rows(p, s), (size_t)s->node->c, s->scale, s->shift, s->lo, s->hi, v.y);
}

/* ---- the entrance: fake quantization of activations --------------------------------------------- */
static void quantize(const qs_plan *p, const struct step *s, size_t k, float *q)
{
    const float *x = s->x + place(p, s->brief.x, k, s->nx);
    size_t n = len(p, s->nx);
    if (plan_site_on(p, s->asite, s->asi)) qs_site_forward(s->asite, x, at(p, k, s->nx), n, q);
    else memcpy(q, x, n * sizeof *q);
}

/* Where chunk k of the quantized input is; it is kept for the backward pass only where making it again would cost more. */
static float *quantized(const qs_plan *p, const struct step *s, size_t k)
{
    return s->q + place(p, s->asite ? s->brief.q : s->brief.x, k, s->nx);
}

static void enter(qs_plan *p, struct step *s, size_t k)
{
    if (!s->counts) quantize(p, s, k, quantized(p, s, k));
}

static bool wants_gx(const qs_plan *p, const struct step *s) { return !s->shallow_x || p->want_gx; }

/* The gradient of the quantized input, made apart where it is added to another. */
static float *gradient(const qs_plan *p, const struct step *s, size_t k)
{
    return s->add ? s->gq + place(p, s->brief.gq, k, s->nx) : cut_out(p, s, k).gx;
}

static void enter_back(qs_plan *p, struct step *s, size_t k)
{
    struct piece c = cut_out(p, s, k);
    float *g = gradient(p, s, k);
    if (s->asite) qs_site_backward(s->asite, c.x, at(p, k, s->nx), len(p, s->nx), k, g);
    if (g != c.gx && wants_gx(p, s)) p->k->add(g, len(p, s->nx), c.gx);
}

static void add_enter(qs_plan *p, struct step *s)
{
    if (!s->asite) return;
    p->site_stage[s->asi] = p->fwd.n;
    plan_stage(&p->fwd, s, enter, 0, NULL);
}

static void layer_memory(qs_plan *p, struct step *s)
{
    size_t bytes = p->batch * s->nx * sizeof(float);
    if (s->asite) plan_want(p, &s->q, bytes, s->f0, p->train && !s->again ? s->b1 : s->f1);
    if (s->again) plan_want(p, &s->qb, bytes, s->b0, s->b0);
    s->brief.q = s->f0 == s->f1 && (!p->train || s->again);
    if (p->train && s->add) plan_want(p, &s->gq, bytes, s->b0, s->b1);
    s->brief.gq = s->node->op == QS_OP_CONV && s->b0 == s->b1;
    if (s->wsite) plan_want(p, &s->wq, s->wsite->n * sizeof(float), 0, p->end);
    if (p->train) plan_want(p, &s->sums, p->chunks * 2 * (size_t)s->node->c * sizeof(double), 0, p->end);
}

static void layer_bind(qs_plan *p, struct step *s)
{
    if (!s->asite) s->q = s->x;
    if (!s->add) s->gq = s->gx;
    s->w = p->net->param[s->node->weight].v;
    s->gw = p->train ? p->grad[s->node->weight] : NULL;
    if (s->node->bias >= 0) {
        s->b = p->net->param[s->node->bias].v;
        s->gb = p->train ? p->grad[s->node->bias] : NULL;
    }
    if (!s->wsite) s->wq = s->w;
}

/* ---- convolution --------------------------------------------------------------------------------------- */
static void conv_memory(qs_plan *p, struct step *s)
{
    int end = p->end;
    layer_memory(p, s);
    plan_want(p, &s->wf, qs_conv_wf(s->conv) * sizeof(float), 0, end);
    if (s->whole) {
        plan_want(p, &s->codes, p->batch * s->nx, s->f1, s->f1);
        plan_want(p, &s->wcodes, s->wsite->n, 0, end);
        plan_want(p, &s->wc, qs_conv_wc(s->conv), 0, end);
        plan_want(p, &s->strange, plan_pieces(s->wsite->n), 0, end);
        plan_want(p, &s->factor, (size_t)s->node->c * sizeof(float), 0, end);
    }
    if (!p->train) return;
    plan_want(p, &s->wb, qs_conv_wb(s->conv) * sizeof(float), 0, end);
    plan_want(p, &s->part, p->chunks * qs_conv_gw(s->conv) * sizeof(float), 0, end);
}

static qs_conv_at arrays(const qs_plan *p, const struct step *s, size_t k)
{
    struct piece c = cut_out(p, s, k);
    qs_conv_at a = {.x = quantized(p, s, k), .wf = s->wf, .bias = s->b, .y = c.y};
    if (s->whole) {
        a.codes = s->codes + mine(p, s->nx);
        a.wc = s->wc;
        a.factor = s->factor;
    }
    if (p->train) {
        a.xb = s->again ? s->qb + mine(p, s->nx) : a.x;
        a.wb = s->wb;
        a.gy = c.gy;
        a.gx = gradient(p, s, k);
        a.gw = s->part + k * qs_conv_gw(s->conv);
    }
    return a;
}

static int conv_make(qs_plan *p, struct step *s, qs_err *err)
{
    layer_bind(p, s);
    for (size_t k = 0; k < p->chunks; k++) {
        qs_conv_at a = arrays(p, s, k);
        s->job[k] = qs_conv_job_new(s->conv, &a, err);
        if (!s->job[k]) return -QS_ENOMEM;
    }
    return 0;
}

static bool any_strange(const struct step *s)
{
    return memchr(s->strange, 1, plan_pieces(s->wsite->n));
}

/* In whole numbers. They cannot say NaN: where one is, all that could come from it is one. */
static void conv_count(qs_plan *p, struct step *s, const qs_conv_at *a, size_t k)
{
    size_t n = len(p, s->ny);
    const float *x = s->x + place(p, s->brief.x, k, s->nx);
    bool numbers = qs_site_codes(s->asite, x, at(p, k, s->nx), len(p, s->nx), s->codes + mine(p, s->nx)) && !any_strange(s);
    if (numbers) qs_conv_forward_codes(s->job[qs_worker()], a);
    for (size_t i = 0; !numbers && i < n; i++) a->y[i] = NAN;
}

static void conv_run(qs_plan *p, struct step *s, size_t k)
{
    qs_conv_at a = arrays(p, s, k);
    if (s->counts) conv_count(p, s, &a, k);
    else qs_conv_forward(s->job[qs_worker()], &a);
}

static void conv_back(qs_plan *p, struct step *s, size_t k)
{
    size_t c = (size_t)s->node->c;
    qs_conv_at a = arrays(p, s, k);
    if (s->again) quantize(p, s, k, s->qb + mine(p, s->nx));
    qs_conv_backward_weights(s->job[qs_worker()], &a);
    if (s->gb) {
        double *sum = s->sums + k * 2 * c;
        memset(sum, 0, c * sizeof *sum);
        p->k->colsum(a.gy, len(p, s->ny) / c, c, sum);
    }
    if (s->asite || wants_gx(p, s)) qs_conv_backward_data(s->job[qs_worker()], &a);
}

/* Bias gradients of the chunks, in their order. */
static void bias_end(qs_plan *p, struct step *s)
{
    size_t c = (size_t)s->node->c;
    for (size_t j = 0; s->gb && j < c; j++) {
        double sum = 0;
        for (size_t k = 0; k < p->chunks; k++) sum += s->sums[k * 2 * c + j];
        s->gb[j] = (float)sum;
    }
}

static void add_enter_back(qs_plan *p, struct step *s)
{
    if (s->asite || s->add) plan_stage(&p->bwd, s, enter_back, 0, NULL);
}

static void make_x(qs_plan *p, struct step *s, size_t k) { bn_apply(p, s->again_x, k); }

static void conv_forward(qs_plan *p, struct step *s)
{
    add_enter(p, s);
    plan_stage(&p->fwd, s, conv_run, 0, NULL);
}

static void conv_backward(qs_plan *p, struct step *s)
{
    if (s->again_x) plan_stage(&p->bwd, s, make_x, 0, NULL);
    plan_stage(&p->bwd, s, conv_back, 0, s->node->bias >= 0 ? bias_end : NULL);
    add_enter_back(p, s);
}

/* ---- linear: cut by outputs (forward, weights) and by inputs (data), not by images ------------------------- */
struct cut { size_t from, n; };

static size_t slices(size_t n) { return n < 32 ? 1 : n / 32 < QS_SLICES ? n / 32 : QS_SLICES; }

static struct cut slice(size_t n, size_t k)
{
    size_t m = slices(n), a = n * k / m, b = n * (k + 1) / m;
    return (struct cut){a, b - a};
}

static int linear_make(qs_plan *p, struct step *s, qs_err *err)
{
    (void)err;
    layer_bind(p, s);
    return 0;
}

static void linear_run(qs_plan *p, struct step *s, size_t k)
{
    struct cut c = slice(s->ny, k);
    qs_gemm(false, true, p->batch, c.n, s->nx, s->q, s->nx, s->wq + c.from * s->nx, s->nx, s->y + c.from, s->ny);
    for (size_t i = 0; s->b && i < p->batch; i++) p->k->add(s->b + c.from, c.n, s->y + i * s->ny + c.from);
}

static void linear_weights(qs_plan *p, struct step *s, size_t k)
{
    struct cut c = slice(s->ny, k);
    qs_gemm(true, false, c.n, s->nx, p->batch, s->gy + c.from, s->ny, s->q, s->nx, s->gw + c.from * s->nx, s->nx);
    for (size_t j = c.from; s->gb && j < c.from + c.n; j++) {
        double sum = 0;
        for (size_t i = 0; i < p->batch; i++) sum += s->gy[i * s->ny + j];
        s->gb[j] = (float)sum;
    }
}

static void linear_data(qs_plan *p, struct step *s, size_t k)
{
    struct cut c = slice(s->nx, k);
    qs_gemm(false, false, p->batch, c.n, s->ny, s->gy, s->ny, s->wq + c.from, s->nx, s->gq + c.from, s->nx);
}

static void linear_back(qs_plan *p, struct step *s, size_t k)
{
    size_t m = slices(s->ny);
    if (k < m) linear_weights(p, s, k);
    else if (s->asite || wants_gx(p, s)) linear_data(p, s, k - m);
}

static void linear_forward(qs_plan *p, struct step *s)
{
    add_enter(p, s);
    plan_stage(&p->fwd, s, linear_run, slices(s->ny), NULL);
}

static void linear_backward(qs_plan *p, struct step *s)
{
    plan_stage(&p->bwd, s, linear_back, slices(s->ny) + slices(s->nx), NULL);
    add_enter_back(p, s);
}

/* ---- batch normalization -------------------------------------------------------------------------------------- */
static bool fixed(const qs_plan *p) { return p->mode == QS_BN_ESTIMATED || p->mode == QS_BN_RUNNING; }

static void bn_memory(qs_plan *p, struct step *s)
{
    size_t c = (size_t)s->node->c;
    struct { void *slot; size_t bytes; } own[] = {
        {&s->sums, p->chunks * 2 * c * sizeof(double)}, {&s->mean, c * sizeof(double)}, {&s->var, c * sizeof(double)},
        {&s->emean, c * sizeof(double)}, {&s->evar, c * sizeof(double)}, {&s->scale, c * sizeof(float)},
        {&s->shift, c * sizeof(float)}, {&s->ca, c * sizeof(float)}, {&s->cb, c * sizeof(float)}, {&s->cd, c * sizeof(float)},
    };
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) plan_want(p, own[i].slot, own[i].bytes, 0, p->end);
}

static int bn_make(qs_plan *p, struct step *s, qs_err *err)
{
    (void)err;
    qs_param *v = p->net->param;
    s->gamma = v[s->node->weight].v;
    s->beta = v[s->node->bias].v;
    s->rmean = v[s->node->mean].v;
    s->rvar = v[s->node->var].v;
    if (p->train) {
        s->ggamma = p->grad[s->node->weight];
        s->gbeta = p->grad[s->node->bias];
    }
    return 0;
}

static void bn_sum(qs_plan *p, struct step *s, size_t k)
{
    size_t c = (size_t)s->node->c;
    double *sum = s->sums + k * 2 * c;
    if (fixed(p)) return;
    memset(sum, 0, 2 * c * sizeof *sum);
    p->k->bnsum(cut_out(p, s, k).x, rows(p, s), c, sum, sum + c);
}

/* The sum over chunks, in their order. */
static double total(const qs_plan *p, const struct step *s, size_t j)
{
    double sum = 0;
    for (size_t k = 0; k < p->chunks; k++) sum += s->sums[k * 2 * (size_t)s->node->c + j];
    return sum;
}

static void bn_statistics(qs_plan *p, struct step *s)
{
    size_t c = (size_t)s->node->c, n = p->chunks * rows(p, s);
    double m = s->node->momentum;
    for (size_t j = 0; j < c; j++) {
        double mean = total(p, s, j) / (double)n, var = total(p, s, c + j) / (double)n - mean * mean;
        if (var < 0) var = 0;
        double unbiased = n > 1 ? var * (double)n / (double)(n - 1) : var;
        s->mean[j] = mean;
        s->var[j] = var;
        if (p->mode == QS_BN_TRAIN) {
            s->rmean[j] = (float)((1 - m) * s->rmean[j] + m * mean);
            s->rvar[j] = (float)((1 - m) * s->rvar[j] + m * unbiased);
        } else if (p->mode == QS_BN_COLLECT) {
            s->emean[j] += mean;
            s->evar[j] += unbiased;
        }
    }
    s->collected += p->mode == QS_BN_COLLECT;
}

static void bn_ready(qs_plan *p, struct step *s)
{
    size_t c = (size_t)s->node->c;
    if (!fixed(p)) bn_statistics(p, s);
    bool running = p->mode == QS_BN_RUNNING || (p->mode == QS_BN_ESTIMATED && s->collected == 0);
    for (size_t j = 0; j < c; j++) {
        if (fixed(p)) {
            s->mean[j] = running ? s->rmean[j] : s->emean[j] / s->collected;
            s->var[j] = running ? s->rvar[j] : s->evar[j] / s->collected;
        }
        double scale = s->gamma[j] / sqrt(s->var[j] + s->node->eps);
        s->scale[j] = (float)scale;
        s->shift[j] = (float)(s->beta[j] - s->mean[j] * scale);
    }
}

void plan_bn_show(const qs_plan *p, const struct step *s, size_t images)
{
    size_t c = (size_t)s->node->c;
    p->k->bnapply(s->x, images * s->ny / c, c, s->scale, s->shift, s->lo, s->hi, s->y);
}

static void bn_back_sum(qs_plan *p, struct step *s, size_t k)
{
    size_t c = (size_t)s->node->c;
    struct piece v = cut_out(p, s, k);
    double *sum = s->sums + k * 2 * c;
    memset(sum, 0, 2 * c * sizeof *sum);
    p->k->bngradsum(v.x, v.gy, rows(p, s), c, s->scale, s->shift, s->lo, s->hi, s->mean, sum, sum + c);
}

/* dx = gamma r (g - mean g - (x - mean) r^2 mean(g (x - mean))), r = 1/sqrt(var + eps); as a g + (b x + d). */
static void bn_back_ready(qs_plan *p, struct step *s)
{
    size_t c = (size_t)s->node->c;
    double n = (double)(p->chunks * rows(p, s));
    for (size_t j = 0; j < c; j++) {
        double g = total(p, s, j), gx = total(p, s, c + j), r = 1 / sqrt(s->var[j] + s->node->eps);
        double a = s->gamma[j] * r, b = -a * r * r * gx / n;
        s->ca[j] = (float)a;
        s->cb[j] = (float)b;
        s->cd[j] = (float)(-a * g / n - b * s->mean[j]);
        s->ggamma[j] = (float)(gx * r);
        s->gbeta[j] = (float)g;
    }
}

static void bn_back(qs_plan *p, struct step *s, size_t k)
{
    struct piece v = cut_out(p, s, k);
    float *dx = s->add ? v.gy : v.gx;
    p->k->bngrad(v.x, v.gy, rows(p, s), (size_t)s->node->c, s->scale, s->shift, s->lo, s->hi, s->ca, s->cb, s->cd, dx);
    if (s->add) settle(p, s, &v);
}

static void bn_forward(qs_plan *p, struct step *s)
{
    plan_stage(&p->fwd, s, bn_sum, 0, bn_ready);
    plan_stage(&p->fwd, s, bn_apply, 0, NULL);
}

static void bn_backward(qs_plan *p, struct step *s)
{
    plan_stage(&p->bwd, s, bn_back_sum, 0, bn_back_ready);
    plan_stage(&p->bwd, s, bn_back, 0, NULL);
}

/* ---- element by element ----------------------------------------------------------------------------------------- */
static void relu_run(qs_plan *p, struct step *s, size_t k)
{
    struct piece v = cut_out(p, s, k);
    p->k->clip(v.x, len(p, s->nx), s->lo, s->hi, v.y);
}

static void relu_back(qs_plan *p, struct step *s, size_t k)
{
    struct piece v = cut_out(p, s, k);
    p->k->clipgrad(v.y, len(p, s->nx), s->lo, s->hi, v.gy);
    settle(p, s, &v);
}

static void relu_forward(qs_plan *p, struct step *s)
{
    if (!s->drawn) plan_stage(&p->fwd, s, relu_run, 0, NULL);
}

static void relu_backward(qs_plan *p, struct step *s)
{
    if (!s->drawn) plan_stage(&p->bwd, s, relu_back, 0, NULL);
}

static void silu_run(qs_plan *p, struct step *s, size_t k)
{
    struct piece v = cut_out(p, s, k);
    for (size_t i = 0; i < len(p, s->nx); i++) v.y[i] = v.x[i] / (1 + expf(-v.x[i]));
}

static void silu_back(qs_plan *p, struct step *s, size_t k)
{
    struct piece v = cut_out(p, s, k);
    for (size_t i = 0; i < len(p, s->nx); i++) {
        float e = 1 / (1 + expf(-v.x[i]));
        v.gy[i] *= e * (1 + v.x[i] * (1 - e));
    }
    settle(p, s, &v);
}

static void silu_forward(qs_plan *p, struct step *s) { plan_stage(&p->fwd, s, silu_run, 0, NULL); }
static void silu_backward(qs_plan *p, struct step *s) { plan_stage(&p->bwd, s, silu_back, 0, NULL); }

static void add_run(qs_plan *p, struct step *s, size_t k)
{
    struct piece v = cut_out(p, s, k);
    p->k->addclip(v.x, v.x2, len(p, s->ny), s->lo, s->hi, v.y);
}

static void add_back(qs_plan *p, struct step *s, size_t k)
{
    struct piece v = cut_out(p, s, k);
    size_t n = len(p, s->ny);
    if (plan_cuts(s)) p->k->clipgrad(v.y, n, s->lo, s->hi, v.gy);
    if (s->add2) p->k->add(v.gy, n, v.gx2);
    else if (v.gx2 != v.gy) memcpy(v.gx2, v.gy, n * sizeof(float));
    settle(p, s, &v);
}

static void add_forward(qs_plan *p, struct step *s) { plan_stage(&p->fwd, s, add_run, 0, NULL); }
static void add_backward(qs_plan *p, struct step *s) { plan_stage(&p->bwd, s, add_back, 0, NULL); }

/* ---- pixels: pools, flatten, shortcut ------------------------------------------------------------------------------ */
/* Of chunk k: the pixel (image, y, x) of input or output. */
static const qs_node *source(const qs_plan *p, const struct step *s) { return &p->net->node[s->node->in[0]]; }

static size_t pixel(const qs_node *n, size_t image, int y, int x)
{
    return ((image * (size_t)n->h + (size_t)y) * (size_t)n->w + (size_t)x) * (size_t)n->c;
}

typedef void window_fn(const qs_plan *p, const struct step *s, const struct piece *v, size_t out, size_t in, int tap);

/* Every pair of an output pixel and an input pixel of its window. */
static void each_window(const qs_plan *p, const struct step *s, const struct piece *v, window_fn *f)
{
    const qs_node *n = s->node, *from = source(p, s);
    for (size_t b = 0; b < p->per; b++)
        for (int y = 0; y < n->h; y++)
            for (int x = 0; x < n->w; x++)
                for (int t = 0; t < n->kernel * n->kernel; t++) {
                    int iy = y * n->stride - n->pad + t / n->kernel, ix = x * n->stride - n->pad + t % n->kernel;
                    if (iy >= 0 && ix >= 0 && iy < from->h && ix < from->w)
                        f(p, s, v, pixel(n, b, y, x), pixel(from, b, iy, ix), t);
                }
}

static void max_window(const qs_plan *p, const struct step *s, const struct piece *v, size_t out, size_t in, int tap)
{
    p->k->maxrow(v->x + in, (size_t)s->node->c, (float)tap, v->y + out, v->arg + out);
}

static void max_window_back(const qs_plan *p, const struct step *s, const struct piece *v, size_t out, size_t in, int tap)
{
    p->k->maxgrad(v->gy + out, v->arg + out, (size_t)s->node->c, (float)tap, v->gx + in);
}

static void mean_window(const qs_plan *p, const struct step *s, const struct piece *v, size_t out, size_t in, int tap)
{
    (void)tap;
    p->k->add(v->x + in, (size_t)s->node->c, v->y + out);
}

static void mean_window_back(const qs_plan *p, const struct step *s, const struct piece *v, size_t out, size_t in, int tap)
{
    (void)tap;
    p->k->add(v->gy + out, (size_t)s->node->c, v->gx + in);
}

static void fill(float *v, size_t n, float x)
{
    for (size_t i = 0; i < n; i++) v[i] = x;
}

static void scale(float *v, size_t n, float by)
{
    for (size_t i = 0; i < n; i++) v[i] *= by;
}

/* The gradient of the input begins at zero, unless it is added to. */
static void clear_gx(const qs_plan *p, const struct step *s, const struct piece *v)
{
    if (!s->add) memset(v->gx, 0, len(p, s->nx) * sizeof(float));
}

static void max_memory(qs_plan *p, struct step *s)
{
    plan_want(p, &s->arg, p->batch * s->ny * sizeof(float), s->f0, p->train ? s->b1 : s->f1);
}

/* Windows side by side, the usual case: a row of them at a time. */
static bool side_by_side(const struct step *s) { return s->node->stride == s->node->kernel && !s->node->pad; }

static void max_rows(qs_plan *p, struct step *s, const struct piece *v, bool back)
{
    const qs_node *n = s->node, *from = source(p, s);
    size_t c = (size_t)n->c, row = (size_t)from->w * c, kernel = (size_t)n->kernel, w = (size_t)n->w;
    const float *seen = plan_cuts(s) ? v->y : v->arg;   /* as above */
    for (size_t b = 0; b < p->per; b++)
        for (int y = 0; y < n->h; y++) {
            size_t out = pixel(n, b, y, 0), in = pixel(from, b, y * n->stride, 0);
            if (back) p->k->maxpoolgrad(seen + out, v->arg + out, v->gy + out, row, c, kernel, w, s->lo, s->hi, v->gx + in);
            else p->k->maxpool(v->x + in, row, c, kernel, w, s->lo, s->hi, v->y + out, v->arg + out);
        }
}

static void max_run(qs_plan *p, struct step *s, size_t k)
{
    struct piece v = cut_out(p, s, k);
    size_t n = len(p, s->ny);
    if (side_by_side(s)) {
        max_rows(p, s, &v, false);
        return;
    }
    fill(v.y, n, -INFINITY);
    fill(v.arg, n, -1);
    each_window(p, s, &v, max_window);
    if (plan_cuts(s)) p->k->clip(v.y, n, s->lo, s->hi, v.y);
}

static void max_back(qs_plan *p, struct step *s, size_t k)
{
    struct piece v = cut_out(p, s, k);
    bool whole = source(p, s)->h % s->node->stride == 0 && source(p, s)->w % s->node->stride == 0;
    if (side_by_side(s) && whole && !s->add) {
        max_rows(p, s, &v, true);
        return;
    }
    if (plan_cuts(s)) p->k->clipgrad(v.y, len(p, s->ny), s->lo, s->hi, v.gy);
    clear_gx(p, s, &v);
    each_window(p, s, &v, max_window_back);
}

static float share(const struct step *s) { return 1.0f / (float)(s->node->kernel * s->node->kernel); }

/* Padding counts as zeros in the mean, as PyTorch has it. */
static void mean_run(qs_plan *p, struct step *s, size_t k)
{
    struct piece v = cut_out(p, s, k);
    fill(v.y, len(p, s->ny), 0);
    each_window(p, s, &v, mean_window);
    scale(v.y, len(p, s->ny), share(s));
}

static void mean_back(qs_plan *p, struct step *s, size_t k)
{
    struct piece v = cut_out(p, s, k);
    scale(v.gy, len(p, s->ny), share(s));
    clear_gx(p, s, &v);
    each_window(p, s, &v, mean_window_back);
}

static void max_forward(qs_plan *p, struct step *s) { plan_stage(&p->fwd, s, max_run, 0, NULL); }
static void max_backward(qs_plan *p, struct step *s) { plan_stage(&p->bwd, s, max_back, 0, NULL); }
static void mean_forward(qs_plan *p, struct step *s) { plan_stage(&p->fwd, s, mean_run, 0, NULL); }
static void mean_backward(qs_plan *p, struct step *s) { plan_stage(&p->bwd, s, mean_back, 0, NULL); }

static void global_memory(qs_plan *p, struct step *s)
{
    plan_want(p, &s->sums, p->chunks * 2 * s->ny * sizeof(double), 0, p->end);
}

static void global_run(qs_plan *p, struct step *s, size_t k)
{
    size_t c = s->ny, n = s->nx / c;
    struct piece v = cut_out(p, s, k);
    double *sum = s->sums + k * 2 * c;
    for (size_t b = 0; b < p->per; b++) {
        memset(sum, 0, c * sizeof *sum);
        p->k->colsum(v.x + b * s->nx, n, c, sum);
        for (size_t j = 0; j < c; j++) v.y[b * c + j] = (float)(sum[j] / (double)n);
    }
}

static void global_back(qs_plan *p, struct step *s, size_t k)
{
    size_t c = s->ny, n = s->nx / c;
    struct piece v = cut_out(p, s, k);
    clear_gx(p, s, &v);
    scale(v.gy, len(p, c), 1.0f / (float)n);
    for (size_t b = 0; b < p->per; b++)
        for (size_t i = 0; i < n; i++) p->k->add(v.gy + b * c, c, v.gx + b * s->nx + i * c);
}

static void global_forward(qs_plan *p, struct step *s) { plan_stage(&p->fwd, s, global_run, 0, NULL); }
static void global_backward(qs_plan *p, struct step *s) { plan_stage(&p->bwd, s, global_back, 0, NULL); }

/* (h, w, c) -> (c, h, w), PyTorch's order of flattened images. */
static void flatten_run(qs_plan *p, struct step *s, size_t k)
{
    size_t c = (size_t)source(p, s)->c, n = s->nx / c;
    struct piece v = cut_out(p, s, k);
    for (size_t b = 0; b < p->per; b++)
        for (size_t j = 0; j < c; j++)
            for (size_t i = 0; i < n; i++) v.y[b * s->nx + j * n + i] = v.x[b * s->nx + i * c + j];
}

static void flatten_back(qs_plan *p, struct step *s, size_t k)
{
    size_t c = (size_t)source(p, s)->c, n = s->nx / c;
    struct piece v = cut_out(p, s, k);
    clear_gx(p, s, &v);
    for (size_t b = 0; b < p->per; b++)
        for (size_t j = 0; j < c; j++)
            for (size_t i = 0; i < n; i++) v.gx[b * s->nx + i * c + j] += v.gy[b * s->nx + j * n + i];
}

static void flatten_forward(qs_plan *p, struct step *s) { plan_stage(&p->fwd, s, flatten_run, 0, NULL); }
static void flatten_backward(qs_plan *p, struct step *s) { plan_stage(&p->bwd, s, flatten_back, 0, NULL); }

/* Every stride-th pixel; new channels are zero, half of them before the old ones. */
static void shortcut_run(qs_plan *p, struct step *s, size_t k)
{
    const qs_node *n = s->node, *from = source(p, s);
    size_t before = (size_t)(n->c - from->c) / 2;
    struct piece v = cut_out(p, s, k);
    memset(v.y, 0, len(p, s->ny) * sizeof(float));
    for (size_t b = 0; b < p->per; b++)
        for (int y = 0; y < n->h; y++)
            for (int x = 0; x < n->w; x++)
                memcpy(v.y + pixel(n, b, y, x) + before, v.x + pixel(from, b, y * n->stride, x * n->stride),
                       (size_t)from->c * sizeof(float));
}

static void shortcut_back(qs_plan *p, struct step *s, size_t k)
{
    const qs_node *n = s->node, *from = source(p, s);
    size_t before = (size_t)(n->c - from->c) / 2;
    struct piece v = cut_out(p, s, k);
    clear_gx(p, s, &v);
    for (size_t b = 0; b < p->per; b++)
        for (int y = 0; y < n->h; y++)
            for (int x = 0; x < n->w; x++)
                p->k->add(v.gy + pixel(n, b, y, x) + before, (size_t)from->c,
                          v.gx + pixel(from, b, y * n->stride, x * n->stride));
}

static void shortcut_forward(qs_plan *p, struct step *s) { plan_stage(&p->fwd, s, shortcut_run, 0, NULL); }
static void shortcut_backward(qs_plan *p, struct step *s) { plan_stage(&p->bwd, s, shortcut_back, 0, NULL); }

const qs_layer_work qs_layer_table[QS_OPS] = {
    [QS_OP_CONV]       = {conv_memory, conv_make, conv_forward, conv_backward, true, false, false},
    [QS_OP_LINEAR]     = {layer_memory, linear_make, linear_forward, linear_backward, true, false, false},
    [QS_OP_BATCHNORM]  = {bn_memory, bn_make, bn_forward, bn_backward, true, false, false},
    [QS_OP_RELU]       = {NULL, NULL, relu_forward, relu_backward, false, true, true},
    [QS_OP_RELU6]      = {NULL, NULL, relu_forward, relu_backward, false, true, true},
    [QS_OP_SILU]       = {NULL, NULL, silu_forward, silu_backward, true, false, true},
    [QS_OP_MAXPOOL]    = {max_memory, NULL, max_forward, max_backward, false, true, false},
    [QS_OP_AVGPOOL]    = {NULL, NULL, mean_forward, mean_backward, false, false, false},
    [QS_OP_GLOBALPOOL] = {global_memory, NULL, global_forward, global_backward, false, false, false},
    [QS_OP_FLATTEN]    = {NULL, NULL, flatten_forward, flatten_backward, false, false, false},
    [QS_OP_ADD]        = {NULL, NULL, add_forward, add_backward, false, true, true},
    [QS_OP_SHORTCUT]   = {NULL, NULL, shortcut_forward, shortcut_backward, false, false, false},
};
