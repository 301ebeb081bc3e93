/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Our side of training in `make bench`: real runs (qs_run_step: batch, forward, loss, backward, update, history) of the
 * nets that train_peers.py has, LSQ 4/4 and in float, and the floor under them: every convolution forward and both
 * backward passes alone. One command a line, one answer a line:
 *
 *     version            what runs here
 *     net NAME           mlp lenet resnet20: makes both runs and the floor
 *     steps KIND N       KIND: lsq float floor -> N times in seconds
 *
 * The floor takes the same chunks of images and threads as training, every layer with arrays of its own and no
 * wait between layers: what the convolutions would take if everything else were free.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "num/kernels.h"
#include "train/dnn.h"
#include "train/run.h"

#define BATCH 128
#define CHUNKS 16
#define MAX_CONVS 32

typedef struct floor_conv {
    qs_conv *conv;
    qs_conv_job *job[CHUNKS];
    qs_conv_at at[CHUNKS];
    float *mem;               /* all its arrays */
    bool first;               /* the image wants no gradient */
} floor_conv;

typedef struct bench {
    qs_run *lsq, *plain;
    floor_conv conv[MAX_CONVS];
    size_t nconv;
} bench;

/* ---- nets ---------------------------------------------------------------------------------------------------------- */
/* Adds a layer and answers its number; -1 once anything went wrong. */
static int add(qs_net *net, qs_layer l, qs_err *err)
{
    if (err->code) return -1;
    return qs_net_add(net, &l, err);
}

static int conv(qs_net *net, int in, int out, int kernel, int stride, int pad, bool bias, qs_err *err)
{
    return add(net, (qs_layer){.op = QS_OP_CONV, .in = in, .in2 = -1, .out = out, .kernel = kernel, .stride = stride, .pad = pad,
                               .no_bias = !bias}, err);
}

static int simple(qs_net *net, qs_op op, int in, qs_err *err)
{
    return add(net, (qs_layer){.op = op, .in = in, .in2 = -1}, err);
}

static int linear(qs_net *net, int out, qs_err *err)
{
    return add(net, (qs_layer){.op = QS_OP_LINEAR, .in = -1, .in2 = -1, .out = out}, err);
}

static int pool(qs_net *net, qs_err *err)
{
    return add(net, (qs_layer){.op = QS_OP_MAXPOOL, .in = -1, .in2 = -1, .kernel = 2}, err);
}

static qs_net *mlp(qs_err *err)
{
    qs_net *net = qs_net_new(28, 28, 1, err);
    if (!net) return NULL;
    simple(net, QS_OP_FLATTEN, -1, err);
    linear(net, 256, err);
    simple(net, QS_OP_RELU, -1, err);
    linear(net, 128, err);
    simple(net, QS_OP_RELU, -1, err);
    linear(net, 10, err);
    return net;
}

static qs_net *lenet(qs_err *err)
{
    qs_net *net = qs_net_new(28, 28, 1, err);
    if (!net) return NULL;
    for (int i = 0; i < 2; i++) {
        conv(net, -1, i ? 32 : 16, 5, 1, 2, true, err);
        simple(net, QS_OP_RELU, -1, err);
        pool(net, err);
    }
    simple(net, QS_OP_FLATTEN, -1, err);
    linear(net, 128, err);
    simple(net, QS_OP_RELU, -1, err);
    linear(net, 10, err);
    return net;
}

/* Two 3x3 convolutions and a shortcut of option A around them. */
static void block(qs_net *net, int out, int stride, qs_err *err)
{
    int from = net->n - 1, c = net->node[from].c;
    conv(net, from, out, 3, stride, 1, false, err);
    simple(net, QS_OP_BATCHNORM, -1, err);
    simple(net, QS_OP_RELU, -1, err);
    conv(net, -1, out, 3, 1, 1, false, err);
    int a = simple(net, QS_OP_BATCHNORM, -1, err), b = from;
    if (stride > 1 || c != out)
        b = add(net, (qs_layer){.op = QS_OP_SHORTCUT, .in = from, .in2 = -1, .out = out, .stride = stride}, err);
    add(net, (qs_layer){.op = QS_OP_ADD, .in = a, .in2 = b}, err);
    simple(net, QS_OP_RELU, -1, err);
}

static qs_net *resnet20(qs_err *err)
{
    qs_net *net = qs_net_new(32, 32, 3, err);
    if (!net) return NULL;
    conv(net, -1, 16, 3, 1, 1, false, err);
    simple(net, QS_OP_BATCHNORM, -1, err);
    simple(net, QS_OP_RELU, -1, err);
    for (int i = 0; i < 9; i++) block(net, 16 << i / 3, i && i % 3 == 0 ? 2 : 1, err);
    simple(net, QS_OP_GLOBALPOOL, -1, err);
    simple(net, QS_OP_FLATTEN, -1, err);
    linear(net, 10, err);
    return net;
}

/* ---- runs -------------------------------------------------------------------------------------------------------------- */
static qs_dataset *noise(const qs_net *net, qs_err *err)
{
    const qs_node *in = &net->node[0];
    size_t n = 12 * BATCH, each = (size_t)(in->h * in->w * in->c);
    float *x = qs_xmalloc(n * each * sizeof *x);
    int32_t *y = qs_xmalloc(n * sizeof *y);
    qs_rng r;
    qs_rng_seed(&r, 1);
    for (size_t i = 0; i < n * each; i++) x[i] = (float)qs_rng_normal(&r);
    for (size_t i = 0; i < n; i++) y[i] = (int32_t)(qs_rng_next(&r) % 10);
    qs_dataset *d = qs_dataset_memory("noise", in->h, in->w, in->c, 10, x, y, n, BATCH, BATCH, err);
    free(x);
    free(y);
    return d;
}

static qs_run *start(const qs_net *net, qs_dataset *d, bool lsq, qs_err *err)
{
    qs_run_opts o;
    qs_run_defaults(&o);
    o.steps = 1000000;
    o.batch = BATCH;
    o.lr = .001;
    o.quant.on = lsq;
    o.quant.weights.format = "int4";
    o.quant.acts.format = "4";
    o.quant.weights.init = o.quant.acts.init = "lsq";
    o.quant.weights.learn = o.quant.acts.learn = "lsq";
    return qs_run_new(net, d, &o, NULL, err);
}

/* ---- the floor ------------------------------------------------------------------------------------------------------- */
static float *cut(float **mem, size_t n)
{
    float *p = *mem;
    *mem += (n + 15) / 16 * 16;
    return p;
}

static int floor_layer(bench *b, const qs_node *in, const qs_node *v, bool first, qs_err *err)
{
    floor_conv *f = &b->conv[b->nconv];
    qs_conv_shape s = {.n = BATCH / CHUNKS, .h = in->h, .w = in->w, .c = in->c, .out = v->c, .kernel = v->kernel,
                       .stride = v->stride, .pad = v->pad, .groups = v->groups, .bias = v->has_bias, .train = true};
    if (!(f->conv = qs_conv_new(&s, err))) return -err->code;
    f->first = first;
    b->nconv++;
    size_t wf = qs_conv_wf(f->conv), wb = qs_conv_wb(f->conv), gw = qs_conv_gw(f->conv);
    size_t x = (size_t)(s.n * in->h * in->w * in->c), y = (size_t)(s.n * v->h * v->w * v->c);
    size_t all = wf + wb + (size_t)v->c + CHUNKS * (gw + 2 * (x + y)) + 64 * (4 + 5 * CHUNKS);
    float *mem = f->mem = qs_big_alloc(all * sizeof *mem);
    if (!mem) return qs_fail(err, QS_ENOMEM, "out of memory");
    for (size_t i = 0; i < all; i++) mem[i] = (float)(i % 17) / 17;
    qs_conv_at at = {.wf = cut(&mem, wf), .wb = cut(&mem, wb), .bias = cut(&mem, (size_t)v->c)};
    for (size_t k = 0; k < CHUNKS; k++) {
        at.x = at.xb = cut(&mem, x), at.gx = cut(&mem, x), at.gw = cut(&mem, gw);
        at.y = cut(&mem, y), at.gy = cut(&mem, y);
        f->at[k] = at;
        if (!(f->job[k] = qs_conv_job_new(f->conv, &at, err))) return -err->code;
    }
    return 0;
}

static void floor_chunk(void *arg, size_t k)
{
    bench *b = arg;
    size_t me = qs_worker();
    for (size_t i = 0; i < b->nconv; i++) qs_conv_forward(b->conv[i].job[me], &b->conv[i].at[k]);
    for (size_t i = b->nconv; i-- > 0;) {
        qs_conv_backward_weights(b->conv[i].job[me], &b->conv[i].at[k]);
        if (!b->conv[i].first) qs_conv_backward_data(b->conv[i].job[me], &b->conv[i].at[k]);
    }
}

static int make_floor(bench *b, const qs_net *net, qs_err *err)
{
    int rc = 0;
    for (int i = 0; i < net->n && !rc; i++) {
        const qs_node *v = &net->node[i];
        if (v->op == QS_OP_CONV) rc = floor_layer(b, &net->node[v->in[0]], v, v->in[0] == 0, err);
    }
    return rc;
}

/* ---- commands ---------------------------------------------------------------------------------------------------------- */
static void forget(bench *b)
{
    qs_run_unref(b->lsq);
    qs_run_unref(b->plain);
    for (size_t i = 0; i < b->nconv; i++) {
        for (size_t k = 0; k < CHUNKS; k++) qs_conv_job_free(b->conv[i].job[k]);
        qs_conv_free(b->conv[i].conv);
        qs_big_free(b->conv[i].mem);
    }
    *b = (bench){0};
}

static const struct { const char *name; qs_net *(*make)(qs_err *err); } nets[] = {
    {"mlp", mlp}, {"lenet", lenet}, {"resnet20", resnet20}};

static int make_all(bench *b, const char *name, qs_err *err)
{
    qs_net *net = NULL;
    forget(b);
    for (size_t i = 0; i < sizeof nets / sizeof *nets; i++)
        if (!strcmp(name, nets[i].name)) net = nets[i].make(err);
    if (!net || err->code) {
        qs_net_unref(net);
        return err->code ? -err->code : qs_fail(err, QS_EARG, "no such net");
    }
    qs_net_seed(net, 1);
    qs_dataset *d = noise(net, err);
    if (d && (b->lsq = start(net, d, true, err))) b->plain = start(net, d, false, err);
    int rc = b->plain ? make_floor(b, net, err) : -err->code;
    qs_dataset_unref(d);
    qs_net_unref(net);
    if (!rc) printf("0\n");
    return rc;
}

static int one_step(bench *b, const char *kind, qs_err *err)
{
    if (strcmp(kind, "floor")) {
        int rc = qs_run_step(strcmp(kind, "lsq") ? b->plain : b->lsq, NULL, err);
        return rc < 0 ? rc : rc ? 0 : qs_fail(err, QS_ESTATE, "the run is over");
    }
    qs_parallel(CHUNKS, floor_chunk, b);
    return 0;
}

static int steps(bench *b, const char *kind, long n, qs_err *err)
{
    double *t = qs_xcalloc((size_t)n + 1, sizeof *t);
    int rc = b->plain ? 0 : qs_fail(err, QS_ESTATE, "net first");
    for (long i = 0; i < n && !rc; i++) {
        t[i] = qs_now();
        rc = one_step(b, kind, err);
        t[i] = qs_now() - t[i];
    }
    for (long i = 0; i < n && !rc; i++) printf(i ? " %.9g" : "%.9g", t[i]);
    if (!rc) putchar('\n');
    free(t);
    return rc;
}

static int run(bench *b, char *line, qs_err *err)
{
    char *arg[4] = {0};
    int n = 0;
    for (char *p = strtok(line, " \n"); p && n < 4; p = strtok(NULL, " \n")) arg[n++] = p;
    if (n == 2 && !strcmp(arg[0], "net")) return make_all(b, arg[1], err);
    if (n == 3 && !strcmp(arg[0], "steps")) return steps(b, arg[1], strtol(arg[2], NULL, 10), err);
    if (n == 1 && !strcmp(arg[0], "version"))
        return printf("%s, %s, %d threads\n", qs_dnn_backend(), qs_num()->isa, qs_threads()) < 0;
    return qs_fail(err, QS_EARG, "no such command");
}

int main(void)
{
    bench b = {0};
    char line[256];
    while (fgets(line, sizeof line, stdin)) {
        qs_err err = {0};
        if (run(&b, line, &err) < 0) printf("error %s\n", err.msg);
        fflush(stdout);
    }
    forget(&b);
    return 0;
}
