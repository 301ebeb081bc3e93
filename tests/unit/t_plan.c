/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Plans against a second implementation: every layer once more in double, as
 * the textbook writes it, and its gradients by central differences. The plain
 * backend and oneDNN must both agree with it, and the bits must not depend on
 * the number of threads.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "base/rng.h"
#include "base/sync.h"
#include "train/dnn.h"
#include "train/plan.h"
#include "../tap.h"
#define diag(...) (printf("# " __VA_ARGS__), putchar('\n'))

#define B 8      /* images */

/* ---- the second implementation ------------------------------------------------------------------- */
typedef struct ref {
    const qs_net *net;
    double *x;               /* (B, input) */
    double **p;              /* parameters */
    double **y;              /* (nodes) outputs */
    int32_t label[B];
} ref;

static size_t size_of(const qs_node *n) { return (size_t)(n->h * n->w * n->c); }

static double *pix(double *v, const qs_node *n, int b, int y, int x) { return v + ((size_t)((b * n->h + y) * n->w + x)) * (size_t)n->c; }

static void ref_conv(ref *r, const qs_node *n, const qs_node *in, double *x, double *out)
{
    const double *w = r->p[n->weight];
    int cg = in->c / n->groups, og = n->c / n->groups;
    for (int b = 0; b < B; b++)
        for (int y = 0; y < n->h; y++)
            for (int xx = 0; xx < n->w; xx++)
                for (int o = 0; o < n->c; o++) {
                    double s = n->bias >= 0 ? r->p[n->bias][o] : 0;
                    for (int i = 0; i < cg; i++)
                        for (int ky = 0; ky < n->kernel; ky++)
                            for (int kx = 0; kx < n->kernel; kx++) {
                                int iy = y * n->stride + ky - n->pad, ix = xx * n->stride + kx - n->pad;
                                if (iy < 0 || ix < 0 || iy >= in->h || ix >= in->w) continue;
                                s += pix(x, in, b, iy, ix)[o / og * cg + i] * w[((o * cg + i) * n->kernel + ky) * n->kernel + kx];
                            }
                    pix(out, n, b, y, xx)[o] = s;
                }
}

static void ref_linear(ref *r, const qs_node *n, const qs_node *in, double *x, double *out)
{
    size_t k = size_of(in), m = (size_t)n->c;
    for (size_t b = 0; b < B; b++)
        for (size_t o = 0; o < m; o++) {
            double s = n->bias >= 0 ? r->p[n->bias][o] : 0;
            for (size_t i = 0; i < k; i++) s += x[b * k + i] * r->p[n->weight][o * k + i];
            out[b * m + o] = s;
        }
}

static void ref_bn(ref *r, const qs_node *n, double *x, double *out)
{
    size_t rows = (size_t)(B * n->h * n->w), c = (size_t)n->c;
    for (size_t j = 0; j < c; j++) {
        double m = 0, v = 0;
        for (size_t i = 0; i < rows; i++) m += x[i * c + j] / (double)rows;
        for (size_t i = 0; i < rows; i++) v += (x[i * c + j] - m) * (x[i * c + j] - m) / (double)rows;
        for (size_t i = 0; i < rows; i++)
            out[i * c + j] = r->p[n->weight][j] * (x[i * c + j] - m) / sqrt(v + (double)n->eps) + r->p[n->bias][j];
    }
}

static void ref_pool(const qs_node *n, const qs_node *in, double *x, double *out)
{
    for (int b = 0; b < B; b++)
        for (int y = 0; y < n->h; y++)
            for (int xx = 0; xx < n->w; xx++)
                for (int c = 0; c < n->c; c++) {
                    double m = -INFINITY, s = 0;
                    for (int ky = 0; ky < n->kernel; ky++)
                        for (int kx = 0; kx < n->kernel; kx++) {
                            int iy = y * n->stride + ky - n->pad, ix = xx * n->stride + kx - n->pad;
                            if (iy < 0 || ix < 0 || iy >= in->h || ix >= in->w) continue;
                            double v = pix(x, in, b, iy, ix)[c];
                            m = v > m ? v : m;
                            s += v;
                        }
                    pix(out, n, b, y, xx)[c] = n->op == QS_OP_MAXPOOL ? m : s / (n->kernel * n->kernel);
                }
}

static void ref_global(const qs_node *in, double *x, double *out)
{
    int hw = in->h * in->w;
    for (int b = 0; b < B; b++)
        for (int c = 0; c < in->c; c++) {
            double s = 0;
            for (int i = 0; i < hw; i++) s += x[(size_t)((b * hw + i) * in->c + c)];
            out[b * in->c + c] = s / hw;
        }
}

static void ref_flatten(const qs_node *in, double *x, double *out)
{
    int hw = in->h * in->w;
    for (int b = 0; b < B; b++)
        for (int i = 0; i < hw; i++)
            for (int c = 0; c < in->c; c++) out[(b * in->c + c) * hw + i] = x[(b * hw + i) * in->c + c];
}

static void ref_shortcut(const qs_node *n, const qs_node *in, double *x, double *out)
{
    memset(out, 0, B * size_of(n) * sizeof *out);
    for (int b = 0; b < B; b++)
        for (int y = 0; y < n->h; y++)
            for (int xx = 0; xx < n->w; xx++)
                for (int c = 0; c < in->c; c++)
                    pix(out, n, b, y, xx)[(n->c - in->c) / 2 + c] = pix(x, in, b, y * n->stride, xx * n->stride)[c];
}

static double ref_point(qs_op op, double v)
{
    if (op == QS_OP_SILU) return v / (1 + exp(-v));
    if (v < 0) return 0;
    return op == QS_OP_RELU6 && v > 6 ? 6 : v;
}

static void ref_node(ref *r, int i)
{
    const qs_node *n = &r->net->node[i], *in = &r->net->node[n->in[0]];
    double *x = r->y[n->in[0]], *out = r->y[i];
    size_t all = B * size_of(n);
    switch (n->op) {
    case QS_OP_CONV: ref_conv(r, n, in, x, out); break;
    case QS_OP_LINEAR: ref_linear(r, n, in, x, out); break;
    case QS_OP_BATCHNORM: ref_bn(r, n, x, out); break;
    case QS_OP_MAXPOOL: case QS_OP_AVGPOOL: ref_pool(n, in, x, out); break;
    case QS_OP_GLOBALPOOL: ref_global(in, x, out); break;
    case QS_OP_FLATTEN: ref_flatten(in, x, out); break;
    case QS_OP_SHORTCUT: ref_shortcut(n, in, x, out); break;
    case QS_OP_ADD: for (size_t j = 0; j < all; j++) out[j] = x[j] + r->y[n->in[1]][j]; break;
    default: for (size_t j = 0; j < all; j++) out[j] = ref_point(n->op, x[j]);
    }
}

static double ref_loss(ref *r)
{
    const qs_net *net = r->net;
    size_t c = (size_t)net->node[net->n - 1].c;
    double loss = 0;
    r->y[0] = r->x;
    for (int i = 1; i < net->n; i++) ref_node(r, i);
    for (size_t b = 0; b < B; b++) {
        const double *z = r->y[net->n - 1] + b * c;
        double s = 0;
        for (size_t j = 0; j < c; j++) s += exp(z[j] - z[r->label[b]]);
        loss += log(s) / B;
    }
    return loss;
}

/* ---- nets ------------------------------------------------------------------------------------------- */
static int layer(qs_net *n, qs_layer l)
{
    qs_err err = {0};
    l.prefix = NULL;
    int k = qs_net_add(n, &l, &err);
    if (k < 0) diag("%s", err.msg);
    return k;
}
#define ADD(...) layer(net, (qs_layer){.in = -1, __VA_ARGS__})

static qs_net *net_conv(void)      /* kernel, stride, padding, groups, bias; ReLU6; max pool; flatten; linear */
{
    qs_net *net = qs_net_new(9, 7, 3, NULL);
    ADD(.op = QS_OP_CONV, .out = 6, .kernel = 3, .stride = 2, .pad = 1);
    ADD(.op = QS_OP_RELU6);
    ADD(.op = QS_OP_CONV, .out = 8, .kernel = 2, .pad = 1, .groups = 2);
    ADD(.op = QS_OP_RELU);
    ADD(.op = QS_OP_MAXPOOL, .kernel = 2, .stride = 2);
    ADD(.op = QS_OP_FLATTEN);
    ADD(.op = QS_OP_LINEAR, .out = 40);
    ADD(.op = QS_OP_SILU);
    ADD(.op = QS_OP_LINEAR, .out = 5);
    return net;
}

static qs_net *net_pools(void)     /* windows side by side that fill the image, behind ReLUs; one pool on a pool */
{
    qs_net *net = qs_net_new(16, 8, 3, NULL);
    ADD(.op = QS_OP_CONV, .out = 18, .kernel = 5, .pad = 2);
    ADD(.op = QS_OP_RELU6);
    ADD(.op = QS_OP_MAXPOOL, .kernel = 2, .stride = 2);
    ADD(.op = QS_OP_CONV, .out = 16, .kernel = 3, .pad = 1);
    ADD(.op = QS_OP_RELU);
    ADD(.op = QS_OP_MAXPOOL, .kernel = 2, .stride = 2);
    ADD(.op = QS_OP_RELU);
    ADD(.op = QS_OP_MAXPOOL, .kernel = 2, .stride = 1, .pad = 1);
    ADD(.op = QS_OP_FLATTEN);
    ADD(.op = QS_OP_LINEAR, .out = 5);
    return net;
}

static qs_net *net_residual(void)  /* batch normalization, identity and padded shortcuts, global pool */
{
    qs_net *net = qs_net_new(8, 8, 2, NULL);
    ADD(.op = QS_OP_CONV, .out = 16, .kernel = 3, .pad = 1, .no_bias = 1);
    ADD(.op = QS_OP_BATCHNORM);
    int a = ADD(.op = QS_OP_RELU);
    ADD(.op = QS_OP_CONV, .out = 16, .kernel = 3, .pad = 1, .no_bias = 1);
    ADD(.op = QS_OP_BATCHNORM);
    ADD(.op = QS_OP_RELU);
    ADD(.op = QS_OP_CONV, .out = 16, .kernel = 3, .pad = 1, .no_bias = 1);
    int m = ADD(.op = QS_OP_BATCHNORM);
    layer(net, (qs_layer){.op = QS_OP_ADD, .in = m, .in2 = a});
    int b = ADD(.op = QS_OP_RELU);
    ADD(.op = QS_OP_CONV, .out = 20, .kernel = 3, .pad = 1, .stride = 2, .no_bias = 1);
    m = ADD(.op = QS_OP_BATCHNORM);
    int s = layer(net, (qs_layer){.op = QS_OP_SHORTCUT, .in = b, .out = 20, .stride = 2});
    layer(net, (qs_layer){.op = QS_OP_ADD, .in = m, .in2 = s});
    ADD(.op = QS_OP_RELU);
    ADD(.op = QS_OP_GLOBALPOOL);
    ADD(.op = QS_OP_LINEAR, .out = 7);
    return net;
}

static qs_net *net_depthwise(void) /* depthwise and 1x1, silu behind batch normalization, mean pool with padding, a fork */
{
    qs_net *net = qs_net_new(6, 6, 4, NULL);
    ADD(.op = QS_OP_CONV, .out = 4, .kernel = 3, .pad = 1, .groups = 4, .no_bias = 1);
    ADD(.op = QS_OP_BATCHNORM);
    int a = ADD(.op = QS_OP_SILU);
    int u = layer(net, (qs_layer){.op = QS_OP_CONV, .in = a, .out = 8, .kernel = 1});
    int v = layer(net, (qs_layer){.op = QS_OP_CONV, .in = a, .out = 8, .kernel = 3, .pad = 1, .groups = 4});
    layer(net, (qs_layer){.op = QS_OP_ADD, .in = u, .in2 = v});
    ADD(.op = QS_OP_AVGPOOL, .kernel = 3, .stride = 2, .pad = 1);
    ADD(.op = QS_OP_BATCHNORM);
    ADD(.op = QS_OP_RELU6);
    ADD(.op = QS_OP_FLATTEN);
    ADD(.op = QS_OP_LINEAR, .out = 3);
    return net;
}

static qs_net *net_sums(void)      /* sums whose two ways cannot share one gradient, and one whose ways can */
{
    qs_net *net = qs_net_new(6, 6, 3, NULL);
    int a = ADD(.op = QS_OP_CONV, .out = 16, .kernel = 3, .pad = 1, .no_bias = 1);
    int u = layer(net, (qs_layer){.op = QS_OP_BATCHNORM, .in = a});     /* a is read twice */
    int v = layer(net, (qs_layer){.op = QS_OP_BATCHNORM, .in = a});
    v = layer(net, (qs_layer){.op = QS_OP_SILU, .in = v});
    layer(net, (qs_layer){.op = QS_OP_ADD, .in = u, .in2 = v});
    a = ADD(.op = QS_OP_RELU);
    ADD(.op = QS_OP_CONV, .out = 16, .kernel = 1, .no_bias = 1);
    u = ADD(.op = QS_OP_BATCHNORM);
    v = layer(net, (qs_layer){.op = QS_OP_SILU, .in = a});              /* writes to its gradient before u has read it */
    layer(net, (qs_layer){.op = QS_OP_ADD, .in = u, .in2 = v});
    a = ADD(.op = QS_OP_RELU);
    ADD(.op = QS_OP_CONV, .out = 16, .kernel = 3, .pad = 1, .no_bias = 1);
    u = ADD(.op = QS_OP_BATCHNORM);
    v = layer(net, (qs_layer){.op = QS_OP_CONV, .in = a, .out = 16, .kernel = 1});   /* adds to a's before u has read it */
    u = layer(net, (qs_layer){.op = QS_OP_ADD, .in = u, .in2 = a});
    a = layer(net, (qs_layer){.op = QS_OP_ADD, .in = u, .in2 = v});
    int c = ADD(.op = QS_OP_CONV, .out = 16, .kernel = 3, .pad = 1);
    u = layer(net, (qs_layer){.op = QS_OP_BATCHNORM, .in = c});         /* adds to c's: writes where its own stood */
    v = layer(net, (qs_layer){.op = QS_OP_SILU, .in = c});
    u = layer(net, (qs_layer){.op = QS_OP_ADD, .in = u, .in2 = a});
    a = layer(net, (qs_layer){.op = QS_OP_ADD, .in = u, .in2 = v});
    ADD(.op = QS_OP_CONV, .out = 16, .kernel = 3, .pad = 1);
    u = ADD(.op = QS_OP_BATCHNORM);
    layer(net, (qs_layer){.op = QS_OP_ADD, .in = u, .in2 = a});
    ADD(.op = QS_OP_GLOBALPOOL);
    ADD(.op = QS_OP_LINEAR, .out = 4);
    return net;
}

/* ---- comparing ---------------------------------------------------------------------------------------- */
static void randomize(qs_net *net, ref *r, qs_plan *p, uint64_t seed)
{
    qs_rng g;
    qs_rng_seed(&g, seed);
    qs_net_seed(net, seed);
    for (int i = 0; i < net->nparam; i++) {
        qs_param *q = &net->param[i];
        for (size_t j = 0; q->trained && !q->decays && j < q->n; j++) q->v[j] += 0.3f * (float)qs_rng_normal(&g);
        for (size_t j = 0; j < q->n; j++) r->p[i][j] = q->v[j];
    }
    size_t n = B * size_of(&net->node[0]), classes = (size_t)net->node[net->n - 1].c;
    for (size_t j = 0; j < n; j++) r->x[j] = qs_plan_input(p)[j] = (float)qs_rng_normal(&g);
    for (size_t b = 0; b < B; b++) r->label[b] = qs_plan_labels(p)[b] = (int32_t)(qs_rng_next(&g) % classes);
}

static void ref_make(ref *r, const qs_net *net)
{
    *r = (ref){.net = net, .x = calloc(B * size_of(&net->node[0]), sizeof(double))};
    r->p = calloc((size_t)net->nparam, sizeof *r->p);
    r->y = calloc((size_t)net->n, sizeof *r->y);
    for (int i = 0; i < net->nparam; i++) r->p[i] = calloc(net->param[i].n, sizeof(double));
    for (int i = 1; i < net->n; i++) r->y[i] = calloc(B * size_of(&net->node[i]), sizeof(double));
}

static void ref_free(ref *r)
{
    for (int i = 0; i < r->net->nparam; i++) free(r->p[i]);
    for (int i = 1; i < r->net->n; i++) free(r->y[i]);
    free(r->p);
    free(r->y);
    free(r->x);
}

/* The largest difference between gradients and central differences at some places, relative to the largest gradient. */
static double worst(ref *r, double *v, size_t n, const float *grad)
{
    double top = 1e-3, bad = 0;
    for (size_t i = 0; i < n; i++) top = fabs((double)grad[i]) > top ? fabs((double)grad[i]) : top;
    size_t stride = n / (TAP_SANITIZED ? 1 : 6) + 1;
    for (size_t i = n % stride / 2; i < n; i += stride) {
        double was = v[i], h = 1e-6;
        v[i] = was + h;
        double up = ref_loss(r);
        v[i] = was - h;
        double down = ref_loss(r), d = fabs((up - down) / (2 * h) - (double)grad[i]) / top;
        v[i] = was;
        bad = d > bad ? d : bad;
    }
    return bad;
}

static void compare(const char *what, qs_net *net)
{
    qs_err err = {0};
    qs_plan *p = qs_plan_new(net, NULL, 0, B, true, &err);
    ref r;
    ok(p != NULL, "%s: a plan (%s) on %s", what, err.msg, qs_dnn_backend());
    if (!p) return;
    ref_make(&r, net);
    randomize(net, &r, p, 5);
    qs_plan_want_input_grad(p, true);
    qs_plan_weights(p);
    qs_plan_forward(p, QS_BN_BATCH);
    double loss = qs_plan_loss(p, B, NULL), want = ref_loss(&r);
    ok(fabs(loss - want) < 2e-6 * want, "%s: the loss %.7f is that of the second implementation, %.7f", what, loss, want);
    qs_plan_backward(p);
    for (int i = 0; i < net->nparam; i++) {
        if (!net->param[i].trained) continue;
        double d = worst(&r, r.p[i], net->param[i].n, qs_plan_grad(p, i));
        ok(d < 1e-4, "%s: the gradient of %s is the central difference (%.1e)", what, net->param[i].name, d);
    }
    double d = worst(&r, r.x, B * size_of(&net->node[0]), qs_plan_input_grad(p));
    ok(d < 1e-4, "%s: the gradient of the input too (%.1e)", what, d);
    ref_free(&r);
    qs_plan_free(p);
}

static void same_bits(qs_net *net)
{
    float *first = NULL;
    bool same = true;
    for (int threads = 1; threads <= 3; threads++) {
        qs_threads_set(threads);
        qs_plan *p = qs_plan_new(net, NULL, 0, B, true, NULL);
        ref r;
        ref_make(&r, net);
        randomize(net, &r, p, 9);
        qs_plan_weights(p);
        qs_plan_forward(p, QS_BN_BATCH);
        qs_plan_loss(p, B, NULL);
        qs_plan_backward(p);
        size_t n = 0;
        float *all = malloc(sizeof *all * qs_net_values(net));
        for (int i = 0; i < net->nparam; i++)
            if (net->param[i].trained) memcpy(all + n, qs_plan_grad(p, i), net->param[i].n * sizeof *all), n += net->param[i].n;
        if (first) same &= !memcmp(first, all, n * sizeof *all);
        if (first) free(all);
        else first = all;
        ref_free(&r);
        qs_plan_free(p);
    }
    free(first);
    qs_threads_set(2);
    ok(same, "gradients have the same bits on 1, 2 and 3 threads");
}

/* Evaluation: memory is shared by outputs that do not live together; statistics are the ones asked for. */
static void evaluation(qs_net *net)
{
    qs_plan *t = qs_plan_new(net, NULL, 0, B, true, NULL), *e = qs_plan_new(net, NULL, 0, B, false, NULL);
    size_t classes = (size_t)net->node[net->n - 1].c, n = B * size_of(&net->node[0]);
    ref r;
    ref_make(&r, net);
    randomize(net, &r, t, 3);
    memcpy(qs_plan_input(e), qs_plan_input(t), n * sizeof(float));
    qs_plan_weights(t);
    qs_plan_weights(e);
    qs_plan_forward(t, QS_BN_BATCH);
    qs_plan_bn_reset(e);
    qs_plan_forward(e, QS_BN_COLLECT);
    ok(!memcmp(qs_plan_logits(t), qs_plan_logits(e), B * classes * sizeof(float)), "a plan for evaluation gives the same bits");
    ok(qs_plan_bytes(e) < qs_plan_bytes(t), "in less memory (%zu kB of %zu)", qs_plan_bytes(e) >> 10, qs_plan_bytes(t) >> 10);
    qs_plan_forward(e, QS_BN_ESTIMATED);
    double d = 0;
    for (size_t i = 0; i < B * classes; i++) d = fmax(d, fabs((double)qs_plan_logits(t)[i] - (double)qs_plan_logits(e)[i]));
    ok(d < 0.2, "the re-estimated statistics of one batch are nearly that batch's (%.2g: n-1 against n)", d);
    qs_plan_forward(e, QS_BN_RUNNING);
    bool other = memcmp(qs_plan_logits(t), qs_plan_logits(e), B * classes * sizeof(float));
    ok(other, "the running ones are others");
    float *mean = net->param[net->node[2].mean].v, before = mean[0];
    qs_plan_forward(t, QS_BN_TRAIN);
    ok(mean[0] != before, "training moves the running statistics");
    ref_free(&r);
    qs_plan_free(t);
    qs_plan_free(e);
}

static void half_batches(qs_net *net)
{
    qs_plan *p = qs_plan_new(net, NULL, 0, B, true, NULL);
    ref r;
    size_t right;
    ref_make(&r, net);
    randomize(net, &r, p, 4);
    qs_plan_weights(p);
    qs_plan_forward(p, QS_BN_RUNNING);
    double whole = qs_plan_loss(p, B, &right) * B, part = qs_plan_loss(p, 3, NULL) * 3;
    ok(right <= B && part < whole, "the loss of the first images only: %.3f of %.3f", part, whole);
    ref_free(&r);
    qs_plan_free(p);
}

static void all(void)
{
    static qs_net *(*const make[])(void) = {net_conv, net_pools, net_residual, net_depthwise, net_sums};
    static const char *const name[] = {"convolutions", "pools", "residual", "depthwise", "sums"};
    for (int i = 0; i < 5; i++) {
        qs_net *net = make[i]();
        if (!TAP_THREADS_ONLY) compare(name[i], net);
        same_bits(net);
        qs_net_unref(net);
    }
}

int main(void)
{
    qs_err err = {0};
    qs_threads_set(2);
    all();
    setenv("QUANTSCOPE_DNN", "plain", 1);
    all();
    unsetenv("QUANTSCOPE_DNN");
    qs_net *net = net_residual();
    evaluation(net);
    half_batches(net);
    ok(!qs_plan_new(net, NULL, 0, 0, true, &err) && err.code == QS_EARG, "no batch of 0 images: %s", err.msg);
    qs_net_unref(net);
    return done();
}
