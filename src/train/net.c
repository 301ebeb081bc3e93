/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Networks as data: nodes, their shapes, their parameters by name. Knows what a layer asks for and what it gives,
 * nothing of how it is computed (layers.c) or trained.
 *
 * To add a layer: one row in the table `ops`, and what its shape and parameters are.
 */
#include "train/net.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "base/text.h"

/* What is being added: the node so far, and the nodes it reads. */
typedef struct adding {
    const qs_layer *l;
    const qs_node *x, *y;     /* y: the second input, or NULL */
    qs_node *v;
} adding;

typedef int shape_fn(const adding *a, qs_err *err);
typedef int params_fn(qs_net *net, const adding *a, qs_err *err);

/* ---- shapes -------------------------------------------------------------------- */
static int check_range(const qs_node *v, const char *what, int x, int lo, int hi, qs_err *err)
{
    if (x >= lo && x <= hi) return 0;
    return qs_fail(err, QS_EARG, _("%s: %s must be %d to %d, not %d"), v->name, what, lo, hi, x);
}

static int check_size(const qs_node *v, qs_err *err)
{
    if ((int64_t)v->h * v->w * v->c <= INT32_MAX / 4) return 0; /* bytes of an image are an int still */
    return qs_fail(err, QS_EARG, _("%s: an output of %dx%dx%d is too large"), v->name, v->h, v->w, v->c);
}

/* A window of kernel x kernel that slides over the padded image; max_pad: padding alone must not fill a window. */
static int window(const adding *a, int stride, int max_pad, qs_err *err)
{
    qs_node *v = a->v;
    const qs_node *x = a->x;
    v->kernel = a->l->kernel ? a->l->kernel : 1;
    v->stride = a->l->stride ? a->l->stride : stride ? stride : v->kernel;
    v->pad = a->l->pad;
    int rc = check_range(v, _("the kernel"), v->kernel, 1, 256, err);
    if (!rc) rc = check_range(v, _("the stride"), v->stride, 1, 256, err);
    if (!rc) rc = check_range(v, _("the padding"), v->pad, 0, max_pad < 0 ? v->kernel - 1 : v->kernel / 2, err);
    if (rc) return rc;
    if (v->kernel > x->h + 2 * v->pad || v->kernel > x->w + 2 * v->pad)
        return qs_fail(err, QS_EARG, _("%s: a kernel of %dx%d does not fit the %dx%dx%d of %s padded by %d"), v->name,
                       v->kernel, v->kernel, x->h, x->w, x->c, x->name, v->pad);
    v->h = (x->h + 2 * v->pad - v->kernel) / v->stride + 1;
    v->w = (x->w + 2 * v->pad - v->kernel) / v->stride + 1;
    v->c = x->c;
    return 0;
}

static int shape_conv(const adding *a, qs_err *err)
{
    qs_node *v = a->v;
    int rc = window(a, 1, -1, err);
    if (!rc) rc = check_range(v, _("output channels"), a->l->out, 1, 65536, err);
    if (rc) return rc;
    v->c = a->l->out;
    v->groups = a->l->groups ? a->l->groups : 1;
    if (v->groups < 1 || a->x->c % v->groups || v->c % v->groups)
        return qs_fail(err, QS_EARG, _("%s: groups must divide the %d channels of %s and the %d outputs; %d do not"), v->name,
                       a->x->c, a->x->name, v->c, v->groups);
    return 0;
}

static int shape_pool(const adding *a, qs_err *err) { return window(a, 0, 1, err); }

static int shape_linear(const adding *a, qs_err *err)
{
    a->v->h = a->v->w = 1;
    a->v->c = a->l->out;
    return check_range(a->v, _("outputs"), a->l->out, 1, 1 << 20, err);
}

static int shape_same(const adding *a, qs_err *err)
{
    (void)err;
    a->v->h = a->x->h;
    a->v->w = a->x->w;
    a->v->c = a->x->c;
    return 0;
}

static int shape_global(const adding *a, qs_err *err)
{
    (void)err;
    a->v->h = a->v->w = 1;
    a->v->c = a->x->c;
    return 0;
}

static int shape_flatten(const adding *a, qs_err *err)
{
    (void)err;
    a->v->h = a->v->w = 1;
    a->v->c = a->x->h * a->x->w * a->x->c;
    return 0;
}

static int shape_add(const adding *a, qs_err *err)
{
    const qs_node *x = a->x, *y = a->y;
    if (x->h == y->h && x->w == y->w && x->c == y->c) return shape_same(a, err);
    return qs_fail(err, QS_EARG, _("%s: %dx%dx%d of %s and %dx%dx%d of %s cannot be added"), a->v->name, x->h, x->w, x->c,
                   x->name, y->h, y->w, y->c, y->name);
}

static int shape_shortcut(const adding *a, qs_err *err)
{
    qs_node *v = a->v;
    v->stride = a->l->stride ? a->l->stride : 1;
    v->c = a->l->out ? a->l->out : a->x->c;
    int rc = check_range(v, _("the stride"), v->stride, 1, 256, err);
    if (rc) return rc;
    v->h = (a->x->h - 1) / v->stride + 1;
    v->w = (a->x->w - 1) / v->stride + 1;
    if (v->c >= a->x->c && v->c <= 65536) return 0;
    return qs_fail(err, QS_EARG, _("%s: %d channels of %s cannot be padded to %d"), v->name, a->x->c, a->x->name, v->c);
}

/* ---- parameters ------------------------------------------------------------------ */
typedef enum kind { WEIGHT, SHIFT, STATISTIC } kind;

/* Appends a parameter of zeros; its number, or -QS_ENOMEM. */
static int add_param(qs_net *net, const qs_node *v, const char *what, kind k, int ndim, const int64_t *shape, qs_err *err)
{
    qs_param p = {.ndim = ndim, .n = 1, .trained = k != STATISTIC, .decays = k == WEIGHT};
    size_t bytes = sizeof(float);
    bool fits = true;
    for (int i = 0; i < ndim; i++) {
        p.shape[i] = shape[i];
        fits = fits && qs_mul(p.n, (size_t)shape[i], &p.n);
    }
    snprintf(p.name, sizeof p.name, "%s.%s", v->name, what);
    p.v = fits && qs_mul(bytes, p.n, &bytes) ? qs_big_alloc(bytes) : NULL;
    if (!p.v) return qs_fail(err, QS_ENOMEM, _("no memory for the parameter %s"), p.name);
    memset(p.v, 0, bytes);
    net->param = qs_xrealloc(net->param, (size_t)(net->nparam + 1) * sizeof p);
    net->param[net->nparam] = p;
    return net->nparam++;
}

static int add_bias(qs_net *net, const adding *a, qs_err *err)
{
    const int64_t c = a->v->c;
    a->v->has_bias = !a->l->no_bias;
    if (a->l->no_bias) return 0;
    a->v->bias = add_param(net, a->v, "bias", SHIFT, 1, &c, err);
    return a->v->bias < 0 ? a->v->bias : 0;
}

static int params_conv(qs_net *net, const adding *a, qs_err *err)
{
    const qs_node *v = a->v;
    const int64_t shape[] = {v->c, a->x->c / v->groups, v->kernel, v->kernel};
    a->v->weight = add_param(net, v, "weight", WEIGHT, 4, shape, err);
    return v->weight < 0 ? v->weight : add_bias(net, a, err);
}

static int params_linear(qs_net *net, const adding *a, qs_err *err)
{
    const qs_node *x = a->x;
    const int64_t shape[] = {a->v->c, (int64_t)x->h * x->w * x->c};
    a->v->weight = add_param(net, a->v, "weight", WEIGHT, 2, shape, err);
    return a->v->weight < 0 ? a->v->weight : add_bias(net, a, err);
}

static int params_batchnorm(qs_net *net, const adding *a, qs_err *err)
{
    static const struct { const char *name; kind k; size_t where; } row[] = {
        {"weight", SHIFT, offsetof(qs_node, weight)},
        {"bias", SHIFT, offsetof(qs_node, bias)},
        {"running_mean", STATISTIC, offsetof(qs_node, mean)},
        {"running_var", STATISTIC, offsetof(qs_node, var)},
    };
    const int64_t c = a->v->c;
    a->v->eps = 1e-5f;
    a->v->momentum = 0.1f;
    a->v->has_bias = true;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        int k = add_param(net, a->v, row[i].name, row[i].k, 1, &c, err);
        if (k < 0) return k;
        *(int *)((char *)a->v + row[i].where) = k;
    }
    return 0;
}

/* ---- the table ------------------------------------------------------------------- */
static const struct op {
    const char *name;         /* in messages */
    const char *number;       /* "conv" of "conv1" */
    shape_fn *shape;
    params_fn *params;        /* NULL: none */
    bool keeps_sign;          /* what comes in without sign goes out without */
    bool unsign;              /* what goes out has no sign, whatever comes in */
} ops[QS_OPS] = {
    [QS_OP_INPUT]      = {N_("input"), "input", NULL, NULL, false, false},
    [QS_OP_CONV]       = {N_("convolution"), "conv", shape_conv, params_conv, false, false},
    [QS_OP_LINEAR]     = {N_("linear"), "fc", shape_linear, params_linear, false, false},
    [QS_OP_BATCHNORM]  = {N_("batchnorm"), "bn", shape_same, params_batchnorm, false, false},
    [QS_OP_RELU]       = {"relu", "relu", shape_same, NULL, false, true},
    [QS_OP_RELU6]      = {"relu6", "relu6_", shape_same, NULL, false, true},
    [QS_OP_SILU]       = {"silu", "silu", shape_same, NULL, false, false},
    [QS_OP_MAXPOOL]    = {"maxpool", "maxpool", shape_pool, NULL, true, false},
    [QS_OP_AVGPOOL]    = {"avgpool", "avgpool", shape_pool, NULL, true, false},
    [QS_OP_GLOBALPOOL] = {"globalpool", "globalpool", shape_global, NULL, true, false},
    [QS_OP_FLATTEN]    = {"flatten", "flatten", shape_flatten, NULL, true, false},
    [QS_OP_ADD]        = {N_("addition"), "add", shape_add, NULL, true, false},
    [QS_OP_SHORTCUT]   = {"shortcut", "shortcut", shape_shortcut, NULL, true, false},
};

const char *qs_op_name(qs_op op) { return (unsigned)op < QS_OPS ? _(ops[op].name) : "?"; }

/* ---- making ------------------------------------------------------------------------ */
static const qs_node blank = {.in = {-1, -1}, .weight = -1, .bias = -1, .mean = -1, .var = -1};

static qs_net *empty(void)
{
    qs_net *net = qs_xcalloc(1, sizeof *net);
    net->refs = 1;
    return net;
}

static void append(qs_net *net, const qs_node *v)
{
    net->node = qs_xrealloc(net->node, (size_t)(net->n + 1) * sizeof *v);
    net->node[net->n++] = *v;
}

qs_net *qs_net_new(int h, int w, int c, qs_err *err)
{
    qs_node v = blank;
    v.op = QS_OP_INPUT;
    snprintf(v.name, sizeof v.name, "%s", ops[QS_OP_INPUT].number);
    v.h = h;
    v.w = w;
    v.c = c;
    if (check_range(&v, _("rows"), h, 1, 4096, err) || check_range(&v, _("columns"), w, 1, 4096, err) ||
        check_range(&v, _("channels"), c, 1, 4096, err) || check_size(&v, err)) return NULL;
    qs_net *net = empty();
    append(net, &v);
    return net;
}

qs_net *qs_net_ref(qs_net *net)
{
    atomic_fetch_add(&net->refs, 1);
    return net;
}

static void drop_params(qs_net *net, int keep)
{
    while (net->nparam > keep) qs_big_free(net->param[--net->nparam].v);
}

void qs_net_unref(qs_net *net)
{
    if (!net || atomic_fetch_sub(&net->refs, 1) != 1) return;
    drop_params(net, 0);
    free(net->param);
    free(net->node);
    free(net);
}

static bool taken(const qs_net *net, const char *name)
{
    for (int i = 0; i < net->n; i++)
        if (!strcmp(net->node[i].name, name)) return true;
    return false;
}

static int name_node(const qs_net *net, const qs_layer *l, qs_node *v, qs_err *err)
{
    const char *prefix = l->prefix ? l->prefix : "";
    int n = 0;
    if (l->name && !*l->name) return qs_fail(err, QS_EARG, _("a layer (%s) cannot have an empty name"), qs_op_name(l->op));
    if (l->name) n = snprintf(v->name, sizeof v->name, "%s%s", prefix, l->name);
    for (int i = 1; !l->name && (i == 1 || taken(net, v->name)); i++)
        n = snprintf(v->name, sizeof v->name, "%s%s%d", prefix, ops[l->op].number, i);
    if (n >= (int)sizeof v->name)
        return qs_fail(err, QS_EARG, _("%s...: the name of a layer has at most %zu bytes"), v->name, sizeof v->name - 1);
    if (taken(net, v->name)) return qs_fail(err, QS_EARG, _("two layers are called %s"), v->name);
    return 0;
}

static int place_node(const qs_net *net, const qs_layer *l, qs_node *v, qs_err *err)
{
    v->in[0] = l->in < 0 ? net->n - 1 : l->in;
    if (l->op == QS_OP_ADD) v->in[1] = l->in2;
    if (v->in[0] >= net->n) return qs_fail(err, QS_EARG, _("%s: there is no layer %d to read"), v->name, v->in[0]);
    if (l->op != QS_OP_ADD || (l->in2 >= 0 && l->in2 < net->n)) return 0;
    return qs_fail(err, QS_EARG, _("%s: there is no layer %d to add"), v->name, l->in2);
}

int qs_net_add(qs_net *net, const qs_layer *l, qs_err *err)
{
    qs_node v = blank;
    const int had = net->nparam;
    if (l->op <= QS_OP_INPUT || l->op >= QS_OPS) return qs_fail(err, QS_EARG, _("no layer is of kind %d"), (int)l->op);
    v.op = l->op;
    int rc = name_node(net, l, &v, err);
    if (!rc) rc = place_node(net, l, &v, err);
    if (rc) return rc;
    const adding a = {l, &net->node[v.in[0]], v.in[1] < 0 ? NULL : &net->node[v.in[1]], &v};
    rc = ops[v.op].shape(&a, err);
    if (!rc) rc = check_size(&v, err);
    if (!rc && ops[v.op].params) rc = ops[v.op].params(net, &a, err);
    if (rc) {
        drop_params(net, had);
        return rc;
    }
    append(net, &v);
    return net->n - 1;
}

qs_net *qs_net_copy(const qs_net *net)
{
    qs_net *to = empty();
    memcpy(to->name, net->name, sizeof to->name);
    memcpy(to->note, net->note, sizeof to->note);
    to->n = net->n;
    to->node = qs_xmalloc((size_t)net->n * sizeof *to->node);
    memcpy(to->node, net->node, (size_t)net->n * sizeof *to->node);
    to->param = qs_xmalloc((size_t)net->nparam * sizeof *to->param);
    for (int i = 0; i < net->nparam; i++) {
        qs_param *p = &to->param[to->nparam++];
        *p = net->param[i];
        p->v = qs_big_alloc(p->n * sizeof *p->v);
        if (p->v) {
            memcpy(p->v, net->param[i].v, p->n * sizeof *p->v);
            continue;
        }
        qs_net_unref(to); /* NULL: no memory */
        return NULL;
    }
    return to;
}

/* ---- values ------------------------------------------------------------------------ */
static void fill(qs_param *p, float x)
{
    for (size_t i = 0; i < p->n; i++) p->v[i] = x;
}

static void seed_weights(qs_param *p, qs_rng *r)
{
    const double dev = sqrt(2.0 / ((double)p->n / (double)p->shape[0]));
    for (size_t i = 0; i < p->n; i++) p->v[i] = (float)(dev * qs_rng_normal(r));
}

void qs_net_seed(qs_net *net, uint64_t seed)
{
    qs_rng r;
    qs_rng_seed(&r, seed);
    for (int i = 0; i < net->nparam; i++) fill(&net->param[i], 0);
    for (int i = 0; i < net->n; i++) {
        const qs_node *v = &net->node[i];
        if (v->op == QS_OP_CONV || v->op == QS_OP_LINEAR) seed_weights(&net->param[v->weight], &r);
        if (v->op != QS_OP_BATCHNORM) continue;
        fill(&net->param[v->weight], 1);
        fill(&net->param[v->var], 1);
    }
    net->note[0] = 0;
}

size_t qs_net_values(const qs_net *net)
{
    size_t n = 0;
    for (int i = 0; i < net->nparam; i++) n += net->param[i].trained ? net->param[i].n : 0;
    return n;
}

/* ---- files ------------------------------------------------------------------------- */
/* A tensor that describes the parameter, without data; for its text. */
static const char *shape_text(const qs_param *p, char *buf, size_t size)
{
    qs_tensor t = {.ndim = p->ndim};
    for (int i = 0; i < p->ndim; i++) t.shape[i] = p->shape[i];
    return qs_tensor_shape_text(&t, buf, size);
}

static int check_param(const qs_param *p, const qs_tensor *t, qs_err *err)
{
    char want[96], have[96];
    bool good = t->ndim == p->ndim;
    for (int i = 0; good && i < p->ndim; i++) good = t->shape[i] == p->shape[i];
    if (!good) return qs_fail(err, QS_EFORMAT, _("%s is %s in the file and %s in the net"), p->name,
                              qs_tensor_shape_text(t, have, sizeof have), shape_text(p, want, sizeof want));
    if (t->dtype == QS_UNKNOWN_DTYPE)
        return qs_fail(err, QS_EFORMAT, _("%s: type %s is not read"), p->name, t->dtype_text);
    return 0;
}

int qs_net_load(qs_net *net, const qs_model *m, qs_err *err)
{
    const qs_param *first = NULL;
    int missing = 0;
    for (int i = 0; i < net->nparam; i++) {
        if (qs_model_find(m, net->param[i].name)) continue;
        if (!first) first = &net->param[i];
        missing++;
    }
    if (first) return qs_fail(err, QS_EFORMAT, _("%s: no tensor is called %s (%d of the net's %d parameters are missing)"),
                              m->path, first->name, missing, net->nparam);
    for (int i = 0; i < net->nparam; i++)
        if (check_param(&net->param[i], qs_model_find(m, net->param[i].name), err))
            return qs_fail_prefix(err, "%s", m->path);
    for (int i = 0; i < net->nparam; i++) {
        qs_param *p = &net->param[i];
        qs_tensor_read(qs_model_find(m, p->name), 0, p->n, p->v);
    }
    return qs_model_check(m, err);
}

/* Round to nearest even, subnormals and infinity included (F. Giesen, float_to_half_fast3_rtne). */
static uint16_t to_half(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    const uint32_t sign = u >> 16 & 0x8000;
    u &= 0x7fffffff;
    if (u >= 0x47800000) return (uint16_t)(sign | (u > 0x7f800000 ? 0x7e00 : 0x7c00));
    if (u < 0x38800000) { /* the sum's last bit is the last bit of a subnormal */
        float y;
        memcpy(&y, &u, sizeof y);
        y += 0.5f;
        memcpy(&u, &y, sizeof u);
        return (uint16_t)(sign | (u - 0x3f000000));
    }
    u += 0xc8000fff + (u >> 13 & 1);
    return (uint16_t)(sign | u >> 13);
}

static qs_tensor *half_tensor(const qs_param *p, qs_err *err)
{
    qs_blob *b = qs_blob_new(p->n * sizeof(uint16_t), err);
    if (!b) return NULL;
    uint16_t *h = qs_blob_mem(b);
    for (size_t i = 0; i < p->n; i++) h[i] = to_half(p->v[i]);
    qs_tensor *t = qs_tensor_new(p->name, QS_F16, p->ndim, p->shape, b, b->data, err);
    qs_blob_unref(b);
    return t;
}

static qs_tensor *float_tensor(const qs_param *p, qs_err *err)
{
    float *mem;
    qs_tensor *t = qs_tensor_f32(p->name, p->ndim, p->shape, &mem, err);
    if (t) memcpy(mem, p->v, p->n * sizeof *mem);
    return t;
}

int qs_net_save(const qs_net *net, const char *path, bool half, qs_err *err)
{
    qs_tensor **t = qs_xcalloc((size_t)net->nparam, sizeof *t);
    int n = 0, rc = 0;
    for (; n < net->nparam && !rc; n++) {
        const qs_param *p = &net->param[n];
        t[n] = half && p->decays ? half_tensor(p, err) : float_tensor(p, err);
        if (!t[n]) rc = -QS_ENOMEM;
    }
    if (!rc) rc = qs_model_save(path, t, (size_t)net->nparam, err);
    for (int i = 0; i < n; i++) qs_tensor_unref(t[i]);
    free(t);
    return rc;
}

/* What kind of node of a file would use parameter k, where it is a weight. */
static const char *use_of(const qs_net *net, int k)
{
    for (int i = 0; i < net->n; i++)
        if (net->node[i].weight == k)
            return net->node[i].op == QS_OP_CONV ? "Conv" : net->node[i].op == QS_OP_LINEAR ? "Gemm" : NULL;
    return NULL;
}

qs_tensor *qs_net_tensor(const qs_net *net, const char *name, qs_err *err)
{
    for (int i = 0; i < net->nparam; i++) {
        const qs_param *p = &net->param[i];
        if (strcmp(p->name, name)) continue;
        qs_tensor *t = float_tensor(p, err);
        if (!t) return NULL;
        t->out_axis = 0;
        t->in_axes = p->ndim > 1 ? (1u << p->ndim) - 2 : 0;
        t->use = use_of(net, i);
        return t;
    }
    qs_fail(err, QS_EARG, _("the net has no parameter %s"), name);
    return NULL;
}

/* ---- questions about the graph ----------------------------------------------------- */
bool qs_net_unsigned(const qs_net *net, int node)
{
    bool *positive = qs_xcalloc((size_t)node + 1, sizeof *positive);
    bool all = false;
    for (int i = 1; i <= node; i++) {
        const qs_node *v = &net->node[i];
        all = positive[v->in[0]] && (v->in[1] < 0 || positive[v->in[1]]);
        positive[i] = ops[v->op].unsign || (ops[v->op].keeps_sign && all);
    }
    free(positive);
    return all;
}

/* Where the only node that reads node i is a batch normalization: its number, else -1. */
static int norm_of(const qs_net *net, int i)
{
    int found = -1, readers = 0;
    for (int k = i + 1; k < net->n; k++) {
        const qs_node *v = &net->node[k];
        readers += (v->in[0] == i) + (v->in[1] == i);
        if (v->in[0] == i && v->op == QS_OP_BATCHNORM) found = k;
    }
    return readers == 1 ? found : -1;
}

bool qs_net_normalized(const qs_net *net, int node) { return norm_of(net, node) >= 0; }

/* ---- folding ----------------------------------------------------------------------- */
static bool has_weights(const qs_node *v) { return v->op == QS_OP_CONV || v->op == QS_OP_LINEAR; }

static void copy_values(const qs_net *from, int a, qs_net *to, int b)
{
    if (a >= 0 && b >= 0) memcpy(to->param[b].v, from->param[a].v, from->param[a].n * sizeof(float));
}

/* w' = w gamma / sqrt(var + eps), b' = beta + (b - mean) gamma / sqrt(var + eps), a channel. */
static void fold_values(const qs_net *from, const qs_node *v, const qs_node *bn, qs_net *to, const qs_node *u)
{
    const size_t c = (size_t)v->c, len = from->param[v->weight].n / c;
    const float *w = from->param[v->weight].v, *b = v->bias < 0 ? NULL : from->param[v->bias].v;
    const float *gamma = from->param[bn->weight].v, *beta = from->param[bn->bias].v;
    const float *mean = from->param[bn->mean].v, *var = from->param[bn->var].v;
    for (size_t k = 0; k < c; k++) {
        const double s = gamma[k] / sqrt((double)var[k] + bn->eps);
        for (size_t i = 0; i < len; i++) to->param[u->weight].v[k * len + i] = (float)(w[k * len + i] * s);
        to->param[u->bias].v[k] = (float)(beta[k] + ((b ? b[k] : 0.0) - mean[k]) * s);
    }
}

/* Node i of `from` appended to `to`, its inputs renumbered by map; its number, or a negative code. */
static int fold_node(const qs_net *from, int i, qs_net *to, const int *map, qs_err *err)
{
    const qs_node *v = &from->node[i];
    const int bn = has_weights(v) ? norm_of(from, i) : -1;
    const qs_layer l = {v->op, v->name, NULL, map[v->in[0]], v->in[1] < 0 ? -1 : map[v->in[1]], v->c,
                        v->kernel, v->stride, v->pad, v->groups, bn < 0 && !v->has_bias};
    const int k = qs_net_add(to, &l, err);
    if (k < 0) return k;
    qs_node *u = &to->node[k];
    u->eps = v->eps;
    u->momentum = v->momentum;
    if (bn >= 0) fold_values(from, v, &from->node[bn], to, u);
    if (bn >= 0) return k;
    copy_values(from, v->weight, to, u->weight);
    copy_values(from, v->bias, to, u->bias);
    copy_values(from, v->mean, to, u->mean);
    copy_values(from, v->var, to, u->var);
    return k;
}

qs_net *qs_net_fold(const qs_net *net, qs_err *err)
{
    const qs_node *in = &net->node[0];
    qs_net *to = qs_net_new(in->h, in->w, in->c, err);
    int *map = qs_xcalloc((size_t)net->n, sizeof *map), k = 0;
    if (to) memcpy(to->name, net->name, sizeof to->name);
    for (int i = 1; to && i < net->n && k >= 0; i++) {
        const qs_node *v = &net->node[i];
        const bool gone = v->op == QS_OP_BATCHNORM && has_weights(&net->node[v->in[0]]) && norm_of(net, v->in[0]) == i;
        map[i] = k = gone ? map[v->in[0]] : fold_node(net, i, to, map, err);
    }
    free(map);
    if (k >= 0) return to;
    qs_net_unref(to);
    return NULL;
}

/* ---- text -------------------------------------------------------------------------- */
static void text_detail(const qs_node *v, const qs_net *net, qs_str *s)
{
    if (v->kernel) qs_str_addf(s, ", %dx%d", v->kernel, v->kernel);
    if (v->stride > 1) qs_str_addf(s, _(", stride %d"), v->stride);
    if (v->pad) qs_str_addf(s, _(", pad %d"), v->pad);
    if (v->groups > 1 && v->groups == net->node[v->in[0]].c) qs_str_add(s, _(", depthwise"));
    else if (v->groups > 1) qs_str_addf(s, _(", %d groups"), v->groups);
    if (has_weights(v) && !v->has_bias) qs_str_add(s, _(", no bias"));
}

static void text_node(const qs_net *net, int i, qs_str *s)
{
    const qs_node *v = &net->node[i];
    char size[48];
    const size_t n = (v->weight < 0 ? 0 : net->param[v->weight].n) + (v->bias < 0 ? 0 : net->param[v->bias].n);
    if (v->h == 1 && v->w == 1) snprintf(size, sizeof size, "%d", v->c);
    else snprintf(size, sizeof size, "%dx%dx%d", v->h, v->w, v->c);
    qs_str_addf(s, "%-20s %-12s %s", v->name, size, qs_op_name(v->op));
    text_detail(v, net, s);
    if (n) qs_str_addf(s, _(", %zu values"), n);
    if (v->in[1] >= 0) qs_str_addf(s, _(" of %s and %s"), net->node[v->in[0]].name, net->node[v->in[1]].name);
    else if (i && v->in[0] != i - 1) qs_str_addf(s, _(" of %s"), net->node[v->in[0]].name);
    qs_str_add(s, "\n");
}

char *qs_net_text(const qs_net *net)
{
    qs_str s = {0};
    for (int i = 0; i < net->n; i++) text_node(net, i, &s);
    return s.s;
}
