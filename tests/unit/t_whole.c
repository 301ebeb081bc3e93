/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Convolutions in whole numbers against the same layers in floats: same values, same gradients, to what floats round;
 * only where the formats allow it; and a NaN stays one.
 */
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/rng.h"
#include "base/sync.h"
#include "train/plan.h"
#include "../tap.h"

#define B 6
#define MAX_SITES 12

typedef struct work {
    qs_net *net;
    qs_site site[MAX_SITES];
    size_t n;
    qs_plan *plan;
} work;

static int layer(qs_net *n, qs_layer l)
{
    l.in = l.in2 = -1;
    return qs_net_add(n, &l, NULL);
}

static void conv(qs_net *n, int out, int kernel, int stride, int pad, int groups)
{
    layer(n, (qs_layer){.op = QS_OP_CONV, .out = out, .kernel = kernel, .stride = stride, .pad = pad, .groups = groups});
}

/*
 * Odd sizes, padding, strides, a depthwise layer; channels that fill vectors and some that do not. Every layer has a
 * bias: sums of products are often exactly 0 in whole numbers and nearly 0 in floats, and a ReLU behind them would let
 * a gradient through here and not there.
 */
static qs_net *make_net(void)
{
    qs_net *n = qs_net_new(11, 9, 3, NULL);
    layer(n, (qs_layer){.op = QS_OP_RELU});
    conv(n, 16, 3, 1, 1, 1);
    layer(n, (qs_layer){.op = QS_OP_RELU});
    conv(n, 21, 3, 2, 1, 1);
    layer(n, (qs_layer){.op = QS_OP_RELU6});
    conv(n, 21, 3, 1, 1, 21);
    layer(n, (qs_layer){.op = QS_OP_RELU});
    conv(n, 16, 1, 1, 0, 1);
    layer(n, (qs_layer){.op = QS_OP_FLATTEN});
    layer(n, (qs_layer){.op = QS_OP_LINEAR, .out = 5});
    qs_net_seed(n, 3);
    qs_rng r;
    qs_rng_seed(&r, 9);
    for (int i = 0; i < n->nparam; i++)   /* biases are not 0 */
        for (size_t j = 0; j < n->param[i].n; j++) n->param[i].v[j] += 0.05f * (float)qs_rng_normal(&r);
    return n;
}

static void make_site(work *w, int node, bool act, const char *format, double step)
{
    qs_site_opts o = {.format = format, .learn = "lsq", .init = "mse", .step_decay = NAN};
    qs_site *s = &w->site[w->n];
    qs_err e = {0};
    if (qs_site_init(s, w->net, node, act, &o, B, qs_plan_pieces(w->net, node, act, B), &e)) {
        ok(0, "%s: %s", format, e.msg);
        return;
    }
    double v[64];
    for (size_t i = 0; i < s->parts; i++) v[i] = step * (1 + 0.03 * (double)(i % 7));
    qs_site_set(s, v, NULL);
    w->n++;
}

static void make(work *w, const char *weights, const char *acts)
{
    *w = (work){.net = make_net()};
    for (int i = 1; i < w->net->n; i++) {
        if (w->net->node[i].weight < 0) continue;
        make_site(w, i, false, weights, 0.04);
        make_site(w, i, true, acts, 0.15);
    }
    qs_err e = {0};
    w->plan = qs_plan_new(w->net, w->site, w->n, B, true, &e);
    if (!w->plan) ok(0, "%s", e.msg);
}

static void clear(work *w)
{
    qs_plan_free(w->plan);
    for (size_t i = 0; i < w->n; i++) qs_site_clear(&w->site[i]);
    qs_net_unref(w->net);
}

static double step_of(work *w, float strange)
{
    qs_rng r;
    float *x = qs_plan_input(w->plan);
    qs_rng_seed(&r, 5);
    for (size_t i = 0; i < (size_t)B * 11 * 9 * 3; i++) x[i] = (float)qs_rng_normal(&r);
    if (isnan(strange)) x[17] = strange;
    for (int i = 0; i < B; i++) qs_plan_labels(w->plan)[i] = i % 5;
    qs_plan_weights(w->plan);
    qs_plan_forward(w->plan, QS_BN_BATCH);
    double loss = qs_plan_loss(w->plan, B, NULL);
    qs_plan_backward(w->plan);
    return loss;
}

static double far_apart(const float *a, const float *b, size_t n)
{
    double d = 0, m = 0;
    for (size_t i = 0; i < n; i++) {
        d = fmax(d, fabs((double)a[i] - b[i]));
        m = fmax(m, fabs((double)b[i]));
    }
    return d / (m > 0 ? m : 1);
}

static double worst_gradient(work *a, work *b)
{
    double d = 0;
    for (int i = 0; i < a->net->nparam; i++)
        if (a->net->param[i].trained)
            d = fmax(d, far_apart(qs_plan_grad(a->plan, i), qs_plan_grad(b->plan, i), a->net->param[i].n));
    return d;
}

static double worst_step(const work *a, const work *b)
{
    double d = 0;
    for (size_t i = 0; i < a->n; i++)
        for (size_t p = 0; p < a->site[i].parts; p++)
            d = fmax(d, fabs(a->site[i].dstep[p] - b->site[i].dstep[p]) / (1e-4 + fabs(b->site[i].dstep[p])));
    return d;
}

/* The same step in floats and as `how` says. */
static void compare(const char *how, const char *weights, const char *acts)
{
    work f, w;
    setenv("QUANTSCOPE_DNN", "float", 1);
    make(&f, weights, acts);
    ok(qs_plan_whole(f.plan) == 0, "%s %s: QUANTSCOPE_DNN=float computes in floats", weights, acts);
    double want = step_of(&f, 0);
    if (how) setenv("QUANTSCOPE_DNN", how, 1);
    else unsetenv("QUANTSCOPE_DNN");
    make(&w, weights, acts);
    double got = step_of(&w, 0);
    size_t n = (size_t)B * 5;
    ok(fabs(got - want) < 1e-6 * want, "%s %s %s: loss %.9g, in floats %.9g; %zu layers in whole numbers", how ? how : "default",
       weights, acts, got, want, qs_plan_whole(w.plan));
    ok(far_apart(qs_plan_logits(w.plan), qs_plan_logits(f.plan), n) < 1e-5, "same logits");
    ok(worst_gradient(&w, &f) < 1e-4, "same gradients: %.1e", worst_gradient(&w, &f));
    ok(worst_step(&w, &f) < 1e-3, "same gradients of the steps: %.1e", worst_step(&w, &f));
    clear(&f);
    clear(&w);
    unsetenv("QUANTSCOPE_DNN");
}

/* Sums are exact, so who makes them does not show: our own kernel (where the machine has it), oneDNN, plain loops. */
static void same_bits(const char *weights, const char *acts)
{
    static const char *const how[] = {"default", "onednn", "plain"};
    float first[B * 5];
    double loss = 0;
    for (int i = 0; i < 3; i++) {
        work w;
        setenv("QUANTSCOPE_DNN", how[i], 1);
        make(&w, weights, acts);
        double got = step_of(&w, 0);
        const float *z = qs_plan_logits(w.plan);
        if (!i) memcpy(first, z, sizeof first);
        if (!i) loss = got;
        if (i == 1 && qs_plan_whole(w.plan)) ok(got == loss && !memcmp(first, z, sizeof first), "%s %s: the bits of oneDNN", weights, acts);
        else ok(fabs(got - loss) < 1e-6 * loss, "%s %s %s: %.9g, %.9g", how[i], weights, acts, got, loss);
        clear(&w);
    }
    unsetenv("QUANTSCOPE_DNN");
}

static size_t layers_for(const char *weights, const char *acts)
{
    work w;
    make(&w, weights, acts);
    size_t n = qs_plan_whole(w.plan);
    clear(&w);
    return n;
}

static void where(void)
{
    ok(layers_for("int4", "uint4") == 4 && layers_for("int8@channel", "uint8") == 4, "bytes: all four convolutions");
    ok(layers_for("int4", "int8") == 0, "inputs with a sign: floats");
    ok(layers_for("int4+offset", "uint4") == 0 && layers_for("int4", "uint4+zp") == 0, "offsets: floats");
    ok(layers_for("apot4", "uint4") == 0 && layers_for("int16", "uint4") == 0, "levels that are no bytes: floats");
}

/* Whole numbers cannot say NaN; the layer must. */
static void strange(void)
{
    work w;
    make(&w, "int4", "uint4");
    ok(isnan(step_of(&w, NAN)), "a NaN in an image is one in the loss");
    w.net->param[w.net->node[4].weight].v[7] = NAN;
    ok(isnan(step_of(&w, 0)), "a NaN among the weights too");
    w.net->param[w.net->node[4].weight].v[7] = 0;
    ok(isfinite(step_of(&w, 0)), "and is gone when it is gone");
    clear(&w);
}

/* Quantizers that are off for a while. */
static void off(void)
{
    work a, b;
    bool none[MAX_SITES] = {0}, all[MAX_SITES];
    memset(all, 1, sizeof all);
    make(&a, "int4", "uint4");
    setenv("QUANTSCOPE_DNN", "float", 1);
    make(&b, "int4", "uint4");
    unsetenv("QUANTSCOPE_DNN");
    qs_plan_off(a.plan, all);
    qs_plan_off(b.plan, all);
    double fa = step_of(&a, 0), fb = step_of(&b, 0);
    qs_plan_off(a.plan, none);
    qs_plan_off(b.plan, none);
    double qa = step_of(&a, 0), qb = step_of(&b, 0);
    ok(fa == fb && fabs(qa - qb) < 1e-6 * qb && fa != qa, "off and on again: %.6f, %.6f", fa, qa);
    clear(&a);
    clear(&b);
}

/* What a normalization hands to a convolution is not kept by a plan that trains: a look at it makes it again. */
static void looks(void)
{
    work w = {.net = qs_net_new(11, 9, 3, NULL)};
    qs_err e = {0};
    for (int i = 0; i < 3; i++) {
        layer(w.net, (qs_layer){.op = QS_OP_CONV, .out = 16, .kernel = 3, .pad = 1, .no_bias = true});
        layer(w.net, (qs_layer){.op = QS_OP_BATCHNORM});
        layer(w.net, (qs_layer){.op = QS_OP_RELU});
    }
    layer(w.net, (qs_layer){.op = QS_OP_FLATTEN});
    layer(w.net, (qs_layer){.op = QS_OP_LINEAR, .out = 5});
    qs_net_seed(w.net, 3);
    for (int i = 4; i < w.net->n; i++) {
        if (w.net->node[i].op != QS_OP_CONV) continue;
        make_site(&w, i, false, "int4", 0.04);
        make_site(&w, i, true, "uint4", 0.15);
    }
    w.plan = qs_plan_new(w.net, w.site, w.n, B, true, &e);
    qs_plan *test = qs_plan_new(w.net, w.site, w.n, B, false, &e);
    ok(isfinite(step_of(&w, 0)), "a step was made");
    memcpy(qs_plan_input(test), qs_plan_input(w.plan), (size_t)B * 11 * 9 * 3 * sizeof(float));
    qs_plan_weights(test);
    for (size_t i = 1; i < w.n; i += 2) {
        size_t n = w.site[i].n * sizeof(float);
        const float *want = qs_plan_forward_to(test, QS_BN_BATCH, i), *seen = qs_plan_seen(w.plan, i, 2);
        ok(!memcmp(seen, want, 2 * n), "site %zu: two images", i);
        ok(!memcmp(qs_plan_seen(w.plan, i, B), want, B * n), "all images");
        ok(!memcmp(qs_plan_forward_to(w.plan, QS_BN_BATCH, i), want, B * n), "on the way to it");
    }
    qs_plan_free(test);
    clear(&w);
}

int main(void)
{
    qs_threads_set(2);
    compare(NULL, "int4", "uint4");
    compare(NULL, "int8@channel", "uint8");
    compare(NULL, "int2@channel", "uint3");
    compare("plain", "int4", "uint4");
    compare("plain", "int8@channel", "uint8");
    same_bits("int4", "uint4");
    same_bits("int8@channel", "uint8");
    strange();
    off();
    looks();
    setenv("QUANTSCOPE_DNN", "plain", 1);
    where();
    strange();
    return done();
}
