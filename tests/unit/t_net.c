/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Networks: shapes, names, errors, files, signs, folding. */
#include <stdlib.h>

#include "files.h"
#include "train/net.h"
#include "../tap.h"

static char *dir;

static int add(qs_net *net, qs_layer l)
{
    qs_err e = {0};
    if (!l.in) l.in = -1;
    int k = qs_net_add(net, &l, &e);
    if (k < 0) printf("# %s\n", e.msg);
    return k;
}
#define ADD(net, ...) add(net, (qs_layer){.op = __VA_ARGS__})

static bool is_size(const qs_net *net, int i, int h, int w, int c)
{
    const qs_node *v = &net->node[i];
    if (v->h != h || v->w != w || v->c != c) printf("# %s is %dx%dx%d\n", v->name, v->h, v->w, v->c);
    return v->h == h && v->w == w && v->c == c;
}

static const qs_param *param(const qs_net *net, const char *name)
{
    for (int i = 0; i < net->nparam; i++)
        if (!strcmp(net->param[i].name, name)) return &net->param[i];
    return NULL;
}

static bool is_shape(const qs_net *net, const char *name, int ndim, const int64_t *shape)
{
    const qs_param *p = param(net, name);
    bool good = p && p->ndim == ndim;
    size_t n = 1;
    for (int i = 0; good && i < ndim; n *= (size_t)shape[i++]) good = p->shape[i] == shape[i];
    return good && p->n == n && (uintptr_t)p->v % 64 == 0;
}
#define SHAPE(net, name, ...) is_shape(net, name, sizeof((int64_t[]){__VA_ARGS__}) / 8, (int64_t[]){__VA_ARGS__})

/* A small net with everything in it: 9x8x3. */
static qs_net *sample(void)
{
    qs_net *net = qs_net_new(9, 8, 3, NULL);
    ADD(net, QS_OP_CONV, .out = 8, .kernel = 3, .stride = 2, .pad = 1, .no_bias = 1);  /* 1: 5x4x8 */
    ADD(net, QS_OP_BATCHNORM);                                                         /* 2 */
    int fork = ADD(net, QS_OP_RELU);                                                   /* 3 */
    ADD(net, QS_OP_CONV, .prefix = "block1.", .out = 12, .kernel = 3, .stride = 2, .pad = 1, .groups = 4); /* 4: 3x2x12 */
    int end = ADD(net, QS_OP_BATCHNORM, .prefix = "block1.");                          /* 5 */
    int cut = ADD(net, QS_OP_SHORTCUT, .prefix = "block1.", .in = fork, .out = 12, .stride = 2); /* 6 */
    ADD(net, QS_OP_ADD, .prefix = "block1.", .in = end, .in2 = cut);                   /* 7 */
    ADD(net, QS_OP_RELU6);                                                             /* 8 */
    ADD(net, QS_OP_MAXPOOL, .kernel = 2);                                              /* 9: 1x1x12 */
    ADD(net, QS_OP_FLATTEN);
    ADD(net, QS_OP_LINEAR, .out = 5);
    return net;
}

static void shapes(void)
{
    qs_net *net = sample();
    ok(net->n == 12 && net->nparam == 1 + 4 + 2 + 4 + 2, "12 nodes, 13 parameters: %d, %d", net->n, net->nparam);
    ok(is_size(net, 0, 9, 8, 3) && is_size(net, 1, 5, 4, 8) && is_size(net, 4, 3, 2, 12), "convolutions with stride and padding");
    ok(is_size(net, 6, 3, 2, 12) && is_size(net, 7, 3, 2, 12), "a shortcut of every second pixel fits the branch");
    ok(is_size(net, 9, 1, 1, 12) && is_size(net, 11, 1, 1, 5), "a pool steps by its kernel; the last layer");
    ok(SHAPE(net, "conv1.weight", 8, 3, 3, 3) && !param(net, "conv1.bias"), "convolution: (out, in, k, k), no bias");
    ok(SHAPE(net, "block1.conv1.weight", 12, 2, 3, 3) && SHAPE(net, "block1.conv1.bias", 12), "groups: (out, in / groups, k, k)");
    ok(SHAPE(net, "bn1.weight", 8) && SHAPE(net, "block1.bn1.running_var", 12) && SHAPE(net, "bn1.running_mean", 8),
       "batch normalization: four vectors");
    ok(SHAPE(net, "fc1.weight", 5, 12) && SHAPE(net, "fc1.bias", 5), "linear: (out, in)");
    ok(param(net, "fc1.weight")->decays && !param(net, "fc1.bias")->decays && !param(net, "bn1.weight")->decays, "what decays");
    ok(param(net, "bn1.bias")->trained && !param(net, "bn1.running_mean")->trained, "what is trained");
    ok(qs_net_values(net) == 216 + 16 + 216 + 12 + 24 + 60 + 5, "trained values: %zu", qs_net_values(net));
    qs_net *image = qs_net_new(7, 6, 2, NULL);
    int flat = ADD(image, QS_OP_FLATTEN), fc = ADD(image, QS_OP_LINEAR, .out = 3, .no_bias = 1);
    ok(is_size(image, flat, 1, 1, 84) && SHAPE(image, "fc1.weight", 3, 84) && is_size(image, fc, 1, 1, 3), "flatten");
    qs_net *direct = qs_net_new(7, 6, 2, NULL);
    ADD(direct, QS_OP_LINEAR, .out = 3);
    ok(SHAPE(direct, "fc1.weight", 3, 84), "linear over an image takes all of it");
    int pool = ADD(image, QS_OP_AVGPOOL, .kernel = 1);
    ok(is_size(image, pool, 1, 1, 3), "a pool of 1");
    qs_net_unref(direct);
    qs_net_unref(image);
    image = qs_net_new(7, 6, 2, NULL);
    ok(is_size(image, ADD(image, QS_OP_AVGPOOL, .kernel = 3, .stride = 2, .pad = 1), 4, 3, 2), "a padded pool");
    ok(is_size(image, ADD(image, QS_OP_GLOBALPOOL), 1, 1, 2), "global pooling");
    qs_net_unref(image);
    qs_net_unref(net);
}

static void names(void)
{
    qs_net *net = qs_net_new(8, 8, 4, NULL);
    const qs_layer l[] = {{.op = QS_OP_CONV, .in = -1, .out = 4}, {.op = QS_OP_CONV, .in = -1, .out = 4, .name = "stem"},
                          {.op = QS_OP_CONV, .in = -1, .out = 4}, {.op = QS_OP_CONV, .in = -1, .out = 4, .prefix = "block2."},
                          {.op = QS_OP_RELU, .in = -1}, {.op = QS_OP_LINEAR, .in = -1, .out = 2},
                          {.op = QS_OP_LINEAR, .in = -1, .out = 2, .name = "a", .prefix = "head."}};
    static const char *const want[] = {"conv1", "stem", "conv2", "block2.conv1", "relu1", "fc1", "head.a"};
    for (int i = 0; i < 7; i++) {
        int k = qs_net_add(net, &l[i], NULL);
        same(k > 0 ? net->node[k].name : "", want[i], "layer %d", k);
    }
    ok(SHAPE(net, "head.a.weight", 2, 2), "its parameter carries the name");
    qs_net_unref(net);
}

static void refuse(qs_net *net, qs_layer l, int code, const char *word, const char *word2)
{
    qs_err e = {0};
    const int n = net->n, p = net->nparam;
    int k = qs_net_add(net, &l, &e);
    bool good = k == -code && e.code == code && strstr(e.msg, word) && strstr(e.msg, word2) && net->n == n && net->nparam == p;
    ok(good, "refused, and nothing added: %s", e.msg);
}

static void errors(void)
{
    qs_err e = {0};
    ok(!qs_net_new(0, 8, 3, &e) && e.code == QS_EARG, "input of 0 rows: %s", e.msg);
    ok(!qs_net_new(4096, 4097, 1, &e) && e.code == QS_EARG, "input of 4097 columns: %s", e.msg);
    ok(!qs_net_new(4096, 4096, 4096, &e) && e.code == QS_EARG, "an image beyond memory: %s", e.msg);
    qs_net *net = qs_net_new(8, 6, 4, NULL);
    refuse(net, (qs_layer){.op = QS_OP_CONV, .in = -1, .out = 8, .kernel = 7}, QS_EARG, "conv1", "8x6x4");
    refuse(net, (qs_layer){.op = QS_OP_CONV, .in = -1, .out = 0, .kernel = 3}, QS_EARG, "conv1", "output channels");
    refuse(net, (qs_layer){.op = QS_OP_CONV, .in = -1, .out = 8, .kernel = 3, .pad = 3}, QS_EARG, "conv1", "padding");
    refuse(net, (qs_layer){.op = QS_OP_CONV, .in = -1, .out = 8, .kernel = -1}, QS_EARG, "conv1", "kernel");
    refuse(net, (qs_layer){.op = QS_OP_CONV, .in = -1, .out = 8, .kernel = 3, .stride = -2}, QS_EARG, "conv1", "stride");
    refuse(net, (qs_layer){.op = QS_OP_CONV, .in = -1, .out = 8, .kernel = 3, .groups = 3}, QS_EARG, "conv1", "groups");
    refuse(net, (qs_layer){.op = QS_OP_MAXPOOL, .in = -1, .kernel = 2, .pad = 2}, QS_EARG, "maxpool1", "padding");
    refuse(net, (qs_layer){.op = QS_OP_SHORTCUT, .in = -1, .out = 2}, QS_EARG, "shortcut1", "4 channels");
    refuse(net, (qs_layer){.op = QS_OP_CONV, .in = 3, .out = 2}, QS_EARG, "conv1", "layer 3");
    refuse(net, (qs_layer){.op = QS_OP_LINEAR, .in = -1, .out = 0}, QS_EARG, "fc1", "outputs");
    refuse(net, (qs_layer){.op = QS_OP_INPUT, .in = -1}, QS_EARG, "kind", "");
    refuse(net, (qs_layer){.op = QS_OPS, .in = -1}, QS_EARG, "kind", "");
    refuse(net, (qs_layer){.op = QS_OP_RELU, .in = -1, .name = ""}, QS_EARG, "relu", "empty");
    refuse(net, (qs_layer){.op = QS_OP_RELU, .in = -1, .name = "input"}, QS_EARG, "input", "two");
    refuse(net, (qs_layer){.op = QS_OP_RELU, .in = -1, .name = "0123456789012345678901234567890123456789012345678901234567890123"},
           QS_EARG, "63", "name");
    int k = ADD(net, QS_OP_CONV, .out = 4, .stride = 2);
    refuse(net, (qs_layer){.op = QS_OP_ADD, .in = k, .in2 = 0}, QS_EARG, "4x3x4 of conv1", "8x6x4 of input");
    refuse(net, (qs_layer){.op = QS_OP_ADD, .in = k, .in2 = -1}, QS_EARG, "add1", "-1");
    qs_net_unref(net);
}

static bool equal(const qs_net *a, const qs_net *b)
{
    bool good = a->n == b->n && a->nparam == b->nparam && !memcmp(a->node, b->node, (size_t)a->n * sizeof *a->node);
    for (int i = 0; good && i < a->nparam; i++)
        good = a->param[i].n == b->param[i].n && a->param[i].v != b->param[i].v && !strcmp(a->param[i].name, b->param[i].name) &&
               !memcmp(a->param[i].v, b->param[i].v, a->param[i].n * sizeof(float));
    return good;
}

static void files(void)
{
    qs_err e = {0};
    char *path = in_dir(dir, "net.safetensors");
    qs_net *net = sample(), *other = sample();
    qs_net_seed(net, 7);
    qs_net_seed(other, 8);
    ok(!equal(net, other), "other seeds, other weights");
    qs_net *copy = qs_net_copy(net);
    ok(equal(net, copy), "a copy is equal and has memory of its own");
    ok(!qs_net_save(net, path, false, &e), "saved: %s", e.msg);
    qs_model *m = qs_model_open(path, &e);
    ok(m && m->n == (size_t)net->nparam && !qs_net_load(other, m, &e) && equal(net, other), "loaded equal: %s", e.msg);
    qs_model_unref(m);
    ok(!qs_net_save(net, path, true, &e), "saved in half: %s", e.msg);
    m = qs_model_open(path, &e);
    const qs_tensor *w = m ? qs_model_find(m, "conv1.weight") : NULL;
    ok(w && w->dtype == QS_F16 && qs_model_find(m, "bn1.weight")->dtype == QS_F32, "weights are F16, the rest float");
    ok(!qs_net_load(other, m, &e) && !equal(net, other), "loads");
    bool near_all = true;
    for (int i = 0; i < net->nparam; i++)
        for (size_t k = 0; k < net->param[i].n; k++)
            near_all &= fabsf(net->param[i].v[k] - other->param[i].v[k]) <= fabsf(net->param[i].v[k]) / 2048 + 3e-8f;
    ok(near_all, "to half an F16 step");
    qs_model_unref(m);
    ok(qs_net_save(net, "/nonexistent/x.safetensors", false, &e) == -QS_EIO, "no such folder: %s", e.msg);
    unlink(path);
    free(path);
    qs_net_unref(copy);
    qs_net_unref(other);
    qs_net_unref(net);
}

/* What to_half must do, by way of a file: ties to even, subnormals, infinity. */
static void halves(void)
{
    static const float x[] = {1.0f + 0x1p-11f, 1.0f + 3 * 0x1p-11f, -0x1p-24f, 0x1p-25f, 0x1.8p-24f, 65504, 65519.996f, 65520, -0.0f,
                              0x1.ffap-15f, 0x1.ffcp-15f, 1e9f};
    static const float want[] = {1, 1 + 0x1p-9f, -0x1p-24f, 0, 0x1p-23f, 65504, 65504, INFINITY, -0.0f, 0x1.ff8p-15f, 0x1p-14f, INFINITY};
    const int n = sizeof x / sizeof *x;
    char *path = in_dir(dir, "half.safetensors");
    qs_net *net = qs_net_new(1, 1, n, NULL);
    ADD(net, QS_OP_LINEAR, .out = 1, .no_bias = 1);
    memcpy(net->param[0].v, x, sizeof x);
    ok(!qs_net_save(net, path, true, NULL), "saved in half");
    qs_model *m = qs_model_open(path, NULL);
    ok(m && !qs_net_load(net, m, NULL), "and loaded");
    for (int i = 0; i < n; i++) {
        const float got = net->param[0].v[i];
        ok(got == want[i] && signbit(got) == signbit(want[i]), "%a becomes %a, not %a", x[i], want[i], got);
    }
    qs_model_unref(m);
    qs_net_unref(net);
    unlink(path);
    free(path);
}

static void refused_files(void)
{
    qs_err e = {0};
    qs_net *net = sample(), *copy;
    qs_net_seed(net, 3);
    copy = qs_net_copy(net);
    qs_model *m = qs_model_new("a.safetensors", "safetensors");
    qs_tensor *t;
    float *mem;
    for (int i = 0; i < net->nparam; i++) {
        qs_param *p = &net->param[i];
        int64_t shape[4] = {p->shape[0], p->shape[1], p->shape[2], p->shape[3]};
        if (i == net->nparam - 2) { shape[0] = 12; shape[1] = 5; } /* fc1.weight turned */
        if (i == net->nparam - 1) continue;                        /* no fc1.bias */
        t = qs_tensor_f32(p->name, p->ndim, shape, &mem, NULL);
        qs_model_add(m, t, NULL);
    }
    ok(qs_net_load(net, m, &e) == -QS_EFORMAT && strstr(e.msg, "a.safetensors") && strstr(e.msg, "fc1.bias"), "missing: %s", e.msg);
    ok(equal(net, copy), "and nothing changed");
    const int64_t five = 5;
    qs_model_add(m, qs_tensor_f32("fc1.bias", 1, &five, &mem, NULL), NULL);
    qs_model_add(m, qs_tensor_f32("extra", 1, &five, &mem, NULL), NULL);
    ok(qs_net_load(net, m, &e) == -QS_EFORMAT && strstr(e.msg, "fc1.weight") && strstr(e.msg, "[12,5]") && strstr(e.msg, "[5,12]"),
       "another shape: %s", e.msg);
    ok(equal(net, copy), "and nothing changed");
    qs_model_unref(m);
    t = qs_net_tensor(net, "block1.conv1.weight", &e);
    ok(t && t->out_axis == 0 && t->in_axes == 14 && t->ndim == 4 && qs_tensor_at(t, 5) == param(net, "block1.conv1.weight")->v[5],
       "a parameter as a tensor");
    same(t ? t->name : "", "block1.conv1.weight", "with its name");
    qs_tensor_unref(t);
    ok(!qs_net_tensor(net, "conv9.weight", &e) && e.code == QS_EARG, "no such parameter: %s", e.msg);
    qs_net_unref(copy);
    qs_net_unref(net);
}

static void seeds(void)
{
    qs_net *net = qs_net_new(1, 1, 500, NULL), *again;
    ADD(net, QS_OP_LINEAR, .out = 400);
    ADD(net, QS_OP_BATCHNORM);
    again = qs_net_copy(net);
    qs_net_seed(net, 5);
    qs_net_seed(again, 5);
    ok(equal(net, again), "the same seed gives the same weights");
    double sum = 0, sum2 = 0;
    const qs_param *w = param(net, "fc1.weight");
    for (size_t i = 0; i < w->n; i++) {
        sum += w->v[i];
        sum2 += (double)w->v[i] * w->v[i];
    }
    near(sum2 / (double)w->n, 2.0 / 500, 0.02, "their variance is 2 / fan-in");
    ok(fabs(sum / (double)w->n) < 1e-3, "and their mean 0");
    ok(param(net, "bn1.weight")->v[3] == 1 && param(net, "bn1.running_var")->v[3] == 1 && param(net, "bn1.bias")->v[3] == 0 &&
       param(net, "bn1.running_mean")->v[3] == 0 && param(net, "fc1.bias")->v[3] == 0, "ones and zeros where they belong");
    qs_net_unref(again);
    qs_net_unref(net);
}

static void signs(void)
{
    qs_net *net = qs_net_new(8, 8, 4, NULL);
    int c1 = ADD(net, QS_OP_CONV, .out = 4);
    int bn = ADD(net, QS_OP_BATCHNORM), r = ADD(net, QS_OP_RELU), p = ADD(net, QS_OP_MAXPOOL, .kernel = 2);
    int c2 = ADD(net, QS_OP_CONV, .out = 4), r6 = ADD(net, QS_OP_RELU6);
    int sum = ADD(net, QS_OP_ADD, .in = r6, .in2 = p), c3 = ADD(net, QS_OP_CONV, .out = 4);
    int mixed = ADD(net, QS_OP_ADD, .in = c3, .in2 = sum), c4 = ADD(net, QS_OP_CONV, .out = 4);
    int cut = ADD(net, QS_OP_SHORTCUT, .in = sum, .out = 8, .stride = 2), g = ADD(net, QS_OP_GLOBALPOOL);
    int flat = ADD(net, QS_OP_FLATTEN), fc = ADD(net, QS_OP_LINEAR, .out = 3), si = ADD(net, QS_OP_SILU);
    int fc2 = ADD(net, QS_OP_LINEAR, .out = 3);
    ok(!qs_net_unsigned(net, c1) && !qs_net_unsigned(net, bn) && !qs_net_unsigned(net, 0), "the image has a sign");
    ok(qs_net_unsigned(net, p) && qs_net_unsigned(net, c2), "behind ReLU and a pool: none");
    ok(qs_net_unsigned(net, c3), "a sum of such: none");
    ok(!qs_net_unsigned(net, mixed) && !qs_net_unsigned(net, c4), "a sum with a convolution: a sign");
    ok(qs_net_unsigned(net, g) && qs_net_unsigned(net, flat) && qs_net_unsigned(net, fc), "through shortcut, pool, flatten: none");
    ok(!qs_net_unsigned(net, si) && !qs_net_unsigned(net, fc2), "SiLU goes below zero");
    ok(qs_net_normalized(net, c1) && !qs_net_normalized(net, c2) && !qs_net_normalized(net, r), "what is normalized");
    (void)cut;
    ADD(net, QS_OP_RELU, .in = c1);
    ok(!qs_net_normalized(net, c1), "not where something else reads it too");
    qs_net_unref(net);
}

/* Two channels out of a depth of one, by hand. */
static void fold(void)
{
    qs_err e = {0};
    qs_net *net = qs_net_new(2, 2, 1, NULL);
    ADD(net, QS_OP_CONV, .out = 2, .no_bias = 1);
    ADD(net, QS_OP_BATCHNORM);
    ADD(net, QS_OP_RELU);
    ADD(net, QS_OP_BATCHNORM); /* follows ReLU: stays */
    ADD(net, QS_OP_LINEAR, .out = 1);
    ADD(net, QS_OP_BATCHNORM);
    static const struct { const char *name; float v[2]; } set[] = {
        {"conv1.weight", {3, -5}}, {"bn1.weight", {2, 0.5f}}, {"bn1.bias", {1, -1}}, {"bn1.running_mean", {0.25f, 4}},
        {"bn1.running_var", {4, 0.25f}}, {"bn2.weight", {1.5f, 7}}, {"bn2.running_var", {9, 11}}, {"fc1.weight", {1, 2}},
        {"fc1.bias", {10}}, {"bn3.weight", {3}}, {"bn3.bias", {0.5f}}, {"bn3.running_mean", {6}}, {"bn3.running_var", {1}}};
    for (size_t i = 0; i < sizeof set / sizeof *set; i++) {
        const qs_param *p = param(net, set[i].name);
        memcpy(p->v, set[i].v, (p->n < 2 ? p->n : 2) * sizeof(float));
    }
    net->node[4].eps = 0.125f;
    qs_net *to = qs_net_fold(net, &e);
    ok(to && to->n == 5 && to->node[4].op == QS_OP_LINEAR, "two of three are folded: %s", e.msg);
    const float *w = param(to, "conv1.weight")->v, *b = param(to, "conv1.bias")->v;
    near(w[0], 3 * 2 / sqrt(4 + 1e-5), 1e-6, "w gamma / sqrt(var + eps)");
    near(w[1], -5 * 0.5 / sqrt(0.25 + 1e-5), 1e-6, "of the other channel");
    near(b[0], 1 - 0.25 * 2 / sqrt(4 + 1e-5), 1e-6, "beta - mean gamma / sqrt(var + eps)");
    near(b[1], -1 - 4 * 0.5 / sqrt(0.25 + 1e-5), 1e-6, "of the other channel");
    near(param(to, "fc1.bias")->v[0], 0.5 + (10 - 6) * 3 / sqrt(1 + 1e-5), 1e-6, "a bias that was there");
    near(param(to, "fc1.weight")->v[1], 2 * 3 / sqrt(1 + 1e-5), 1e-6, "a linear layer's weight");
    ok(param(to, "bn2.weight")->v[1] == 7 && param(to, "bn2.running_var")->v[0] == 9 && to->node[3].eps == 0.125f &&
       to->node[3].in[0] == 2 && to->node[4].in[0] == 3, "the other one stays as it is");
    ok(!param(to, "bn1.weight") && !param(to, "bn3.weight"), "the folded ones are gone");
    qs_net_unref(to);
    qs_net_unref(net);
    net = sample();
    qs_net_seed(net, 1);
    to = qs_net_fold(net, &e);
    ok(to && to->n == net->n - 2 && to->node[5].op == QS_OP_ADD && to->node[5].in[0] == 3 && to->node[5].in[1] == 4 &&
       to->node[4].in[0] == 2, "a residual's inputs are renumbered");
    qs_net_unref(to);
    qs_net_unref(net);
}

static void text(void)
{
    qs_net *net = sample();
    char *s = qs_net_text(net);
    ok(strstr(s, "input                9x8x3        input\n"), "the input");
    ok(strstr(s, "conv1                5x4x8        convolution, 3x3, stride 2, pad 1, no bias, 216 values\n"), "a convolution");
    ok(strstr(s, "block1.add1          3x2x12       addition of block1.bn1 and block1.shortcut1\n"), "an addition");
    ok(strstr(s, "block1.shortcut1     3x2x12       shortcut, stride 2 of relu1\n"), "a fork");
    ok(strstr(s, "fc1                  5            linear, 65 values\n"), "the last layer");
    free(s);
    qs_net_unref(net);
    same(qs_op_name(QS_OP_CONV), "convolution", "an operation's name");
}

int main(void)
{
    dir = tmp_dir();
    shapes();
    names();
    errors();
    files();
    halves();
    refused_files();
    seeds();
    signs();
    fold();
    text();
    rmdir(dir);
    free(dir);
    return done();
}
