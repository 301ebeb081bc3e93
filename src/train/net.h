/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_TRAIN_NET_H
#define QS_TRAIN_NET_H
/*
 * A network: a list of nodes in order, each with the nodes it takes its input
 * from, and the values of its parameters. What is computed with it is in
 * plan.h. Activations are channels last (n, h, w, c); parameters are kept as
 * PyTorch keeps them: convolution (out, in/groups, k, k), linear (out, in) over
 * the input flattened as (c, h, w).
 *
 * To add a layer: one row in the table of net.c (shape, parameters), one row in
 * that of layers.c (forward, backward).
 */
#include "model/model.h"

typedef enum qs_op {
    QS_OP_INPUT, QS_OP_CONV, QS_OP_LINEAR, QS_OP_BATCHNORM, QS_OP_RELU, QS_OP_RELU6, QS_OP_SILU, QS_OP_MAXPOOL,
    QS_OP_AVGPOOL, QS_OP_GLOBALPOOL, QS_OP_FLATTEN, QS_OP_ADD, QS_OP_SHORTCUT, QS_OPS
} qs_op;

typedef struct qs_param {
    char name[96];            /* "conv1.weight", "block2.bn1.running_mean" */
    int ndim;
    int64_t shape[4];
    size_t n;
    float *v;                 /* (n) owned by the net, 64-byte aligned */
    bool trained;             /* false: running statistics */
    bool decays;              /* weight decay applies: weights of convolutions and linear layers */
} qs_param;

typedef struct qs_node {
    qs_op op;
    char name[64];            /* "conv1", "block2.bn1"; unique */
    int in[2];                /* numbers of the nodes it reads, smaller than its own; -1: none */
    int h, w, c;              /* of its output, an image */
    int kernel, stride, pad;  /* convolution and pools */
    int groups;               /* convolution; = channels: depthwise */
    bool has_bias;
    float eps, momentum;      /* batch normalization: 1e-5, 0.1 (weight of the new batch in the running statistics) */
    int weight, bias;         /* numbers of parameters, or -1. batchnorm: gamma, beta */
    int mean, var;            /* batchnorm: running statistics */
} qs_node;

typedef struct qs_net {
    atomic_int refs;
    char name[64];            /* "smallcnn", or "" */
    qs_node *node;            /* (n) node 0 is the input; the last one gives the logits (1, 1, classes) */
    int n;
    qs_param *param;          /* (nparam) in the order of the nodes */
    int nparam;
    char note[200];           /* "float accuracy 91.3 %", or "" */
} qs_net;

/* An input of h x w x c. EARG: a size not in 1..4096. */
qs_net *qs_net_new(int h, int w, int c, qs_err *err);
qs_net *qs_net_ref(qs_net *net);
void qs_net_unref(qs_net *net);
/* A copy with values of its own. */
qs_net *qs_net_copy(const qs_net *net);

typedef struct qs_layer {     /* what a layer is asked to be */
    qs_op op;
    const char *name;         /* NULL: numbered ("conv1", "conv2", "bn1", "fc1") behind `prefix` */
    const char *prefix;       /* "block2." or NULL */
    int in, in2;              /* nodes; in < 0: the last one. in2: QS_OP_ADD only */
    int out;                  /* convolution, linear: output channels. SHORTCUT: channels (padded with zeros) */
    int kernel, stride, pad;  /* 0: 1, the default of the layer (pools: kernel), 0 */
    int groups;               /* 0: 1 */
    int no_bias;              /* 1: without; convolution directly before batchnorm: Lua decides */
} qs_layer;
/* Adds a node and its parameters (zero; see qs_net_seed). Returns its number or -QS_EARG with a message that names the
 * layer and the shapes. SHORTCUT: every stride-th pixel, channels padded with zeros on both sides (ResNet option A). */
int qs_net_add(qs_net *net, const qs_layer *l, qs_err *err);
/* Names of operations: "conv", "linear", ... for messages and help. */
const char *qs_op_name(qs_op op);

/* He's normal initialization for weights (fan-in, gain 2), gamma 1, beta and bias 0, running statistics 0 and 1. */
void qs_net_seed(qs_net *net, uint64_t seed);

/* Takes parameters by name. Names that the model does not have: EFORMAT, naming the first; wrong shapes likewise;
 * nothing is changed then. Extra tensors are ignored. */
int qs_net_load(qs_net *net, const qs_model *m, qs_err *err);
/* Writes all parameters; half: weights as F16. */
int qs_net_save(const qs_net *net, const char *path, bool half, qs_err *err);
/* One parameter as a tensor (a copy), with out_axis 0 and its name. NULL: no such name. */
qs_tensor *qs_net_tensor(const qs_net *net, const char *name, qs_err *err);

/* A net without the batch normalizations that directly follow a convolution or linear layer: folded into it, with the
 * running statistics; the layer gains a bias. Equal in evaluation up to rounding. */
qs_net *qs_net_fold(const qs_net *net, qs_err *err);
/* Does the input of node i come without sign (ReLU, ReLU6 behind it, through pools, flatten and shortcuts; sums of such)? */
bool qs_net_unsigned(const qs_net *net, int node);
/* Does batch normalization directly follow node i, and nothing else read it? */
bool qs_net_normalized(const qs_net *net, int node);
/* Trained parameters, in all. */
size_t qs_net_values(const qs_net *net);
/* "input 28x28x1 | conv1 16 3x3 ..." a line a node, malloc'd. */
char *qs_net_text(const qs_net *net);

#endif
