/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_TESTS_RUNS_H
#define QS_TESTS_RUNS_H
/* Small data and nets that can be trained in a moment, for tests of runs. Include ../tap.h as well. */
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/rng.h"
#include "train/run.h"

/* ---- data and nets --------------------------------------------------------------------------------- */
enum { SIDE = 8, CLASSES = 4, IMAGES = 1400, VAL = 200, TEST = 200 };

/* Blobs: each class has two soft spots of its own; noise on top. */
__attribute__((unused)) static qs_dataset *blobs(size_t val)
{
    qs_rng r;
    qs_err e = {0};
    float *x = qs_xmalloc(IMAGES * SIDE * SIDE * sizeof *x);
    int32_t *y = qs_xmalloc(IMAGES * sizeof *y);
    qs_rng_seed(&r, 11);
    for (size_t i = 0; i < IMAGES; i++) {
        y[i] = (int32_t)(qs_rng_next(&r) % CLASSES);
        double cy = 2 + 3.0 * (y[i] / 2) + 0.5 * qs_rng_normal(&r), cx = 2 + 3.0 * (y[i] % 2) + 0.5 * qs_rng_normal(&r);
        for (int p = 0; p < SIDE * SIDE; p++) {
            double dy = p / SIDE - cy, dx = p % SIDE - cx, v = exp(-(dy * dy + dx * dx) / 3) + 0.5 * qs_rng_normal(&r);
            x[i * SIDE * SIDE + (size_t)p] = (float)v;
        }
    }
    qs_dataset *d = qs_dataset_memory("blobs", SIDE, SIDE, 1, CLASSES, x, y, IMAGES, val, TEST, &e);
    if (!d) printf("# %s\n", e.msg);
    free(x);
    free(y);
    return d;
}

static void add(qs_net *net, qs_layer l)
{
    qs_err e = {0};
    l.in = -1;
    if (qs_net_add(net, &l, &e) < 0) printf("# %s\n", e.msg);
}

__attribute__((unused)) static qs_net *conv_net(void)
{
    qs_net *net = qs_net_new(SIDE, SIDE, 1, NULL);
    add(net, (qs_layer){.op = QS_OP_CONV, .out = 8, .kernel = 3, .pad = 1, .no_bias = 1});
    add(net, (qs_layer){.op = QS_OP_BATCHNORM});
    add(net, (qs_layer){.op = QS_OP_RELU});
    add(net, (qs_layer){.op = QS_OP_CONV, .out = 16, .kernel = 3, .stride = 2, .pad = 1, .no_bias = 1});
    add(net, (qs_layer){.op = QS_OP_BATCHNORM});
    add(net, (qs_layer){.op = QS_OP_RELU});
    add(net, (qs_layer){.op = QS_OP_CONV, .out = 16, .kernel = 3, .pad = 1, .no_bias = 1});
    add(net, (qs_layer){.op = QS_OP_BATCHNORM});
    add(net, (qs_layer){.op = QS_OP_RELU});
    add(net, (qs_layer){.op = QS_OP_FLATTEN});
    add(net, (qs_layer){.op = QS_OP_LINEAR, .out = CLASSES});
    qs_net_seed(net, 5);
    return net;
}

/* No batch normalization; a middle layer whose inputs have a sign. */
__attribute__((unused)) static qs_net *dense_net_of(int first, int second)
{
    qs_net *net = qs_net_new(SIDE, SIDE, 1, NULL);
    add(net, (qs_layer){.op = QS_OP_FLATTEN});
    add(net, (qs_layer){.op = QS_OP_LINEAR, .out = first});
    add(net, (qs_layer){.op = QS_OP_SILU});
    add(net, (qs_layer){.op = QS_OP_LINEAR, .out = second});
    add(net, (qs_layer){.op = QS_OP_RELU});
    add(net, (qs_layer){.op = QS_OP_LINEAR, .out = CLASSES});
    qs_net_seed(net, 6);
    return net;
}
__attribute__((unused)) static qs_net *dense_net(void) { return dense_net_of(32, 24); }

__attribute__((unused)) static qs_run_opts options(uint64_t steps)
{
    qs_run_opts o;
    qs_run_defaults(&o);
    o.steps = steps;
    o.batch = 32;
    o.lr = 0.02;
    o.record = 5;
    return o;
}

__attribute__((unused)) static qs_run_opts quantized(uint64_t steps, const char *w, const char *a, const char *learn)
{
    qs_run_opts o = options(steps);
    o.quant.on = true;
    o.quant.weights = (qs_site_opts){.format = w, .init = "mse", .learn = learn, .step_decay = NAN};
    o.quant.acts = (qs_site_opts){.format = a, .init = "mse", .learn = learn, .step_decay = NAN};
    o.quant.calib = 64;
    return o;
}

__attribute__((unused)) static qs_run *start(const qs_net *net, qs_dataset *d, qs_run_opts o)
{
    qs_err e = {0};
    qs_run *r = qs_run_new(net, d, &o, NULL, &e);
    if (!r) printf("# %s\n", e.msg);
    return r;
}

#endif
