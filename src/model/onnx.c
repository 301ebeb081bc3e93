/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ONNX models: finds the weights of all graphs (initializers, Constant nodes, those of sub-graphs and functions),
 * gives them unique names, and learns from the node that uses a weight which of its axes are outputs and inputs.
 * Knows graphs; bytes are onnx_tensor.c's business, the wire format onnx_skim.c's.
 */
#include "model/onnx.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

/* ---- names in scope ------------------------------------------------------------------- */
/* What is known of a weight while its graph is read. */
typedef struct weight {
    qs_tensor *t;          /* borrowed from the model */
    bool used, conflict;
    struct weight *next;
} weight;

/* A name that means a weight, a rearrangement or a part of one: its axis i is axis axes[i] of the weight, -1: of none. */
typedef struct alias {
    const char *name;      /* of the proto */
    weight *w;
    int ndim;
    int axes[QS_MAXDIM];
} alias;

typedef struct scope {
    void *aliases;         /* tsearch tree */
    const struct scope *up;
    const char *path;      /* of the sub-graph; "" for the graph of the model */
} scope;

typedef struct reader {
    qs_model *m;
    qs_blob *blob;
    qs_onnx_files files;
    weight *weights;
    qs_err *err;
} reader;

static int by_name(const void *a, const void *b) { return strcmp(((const alias *)a)->name, ((const alias *)b)->name); }

static alias *find_here(const scope *s, const char *name)
{
    const alias key = {.name = name};
    void *node = tfind(&key, &s->aliases, by_name);
    return node ? *(alias **)node : NULL;
}

static alias *find_alias(const scope *s, const char *name)
{
    alias *a = NULL;
    for (; s && !a; s = s->up) a = find_here(s, name);
    return a;
}

/* `like` under another name; the first meaning of a name stands. */
static void add_alias(scope *s, const char *name, const alias *like)
{
    if (!name || !*name || find_here(s, name)) return;
    alias *a = qs_xmalloc(sizeof *a);
    *a = *like;
    a->name = name;
    tsearch(a, &s->aliases, by_name);
}

/* ---- adding tensors --------------------------------------------------------------------- */
/* The name itself where it is free, else with the path of its sub-graph, else with a number. */
static char *unique_name(const reader *r, const scope *s, const char *name)
{
    if (!qs_model_find(r->m, name)) return qs_xstrdup(name);
    char *full = *s->path ? qs_xasprintf("%s/%s", s->path, name) : qs_xstrdup(name);
    for (int i = 2; qs_model_find(r->m, full); i++) {
        free(full);
        full = qs_xasprintf("%s%s%s#%d", s->path, *s->path ? "/" : "", name, i);
    }
    return full;
}

static int fail_tensor(reader *r, const char *name)
{
    char shown[80];
    qs_fail_prefix(r->err, _("tensor %s"), qs_name_shown(name, shown, sizeof shown));
    return r->err ? -r->err->code : -QS_EFORMAT;
}

/* Takes over t. name: what nodes call it. */
static int add_tensor(reader *r, scope *s, const char *name, qs_tensor *t)
{
    int rc = qs_model_add(r->m, t, r->err);
    if (rc) return rc;
    weight *w = qs_xcalloc(1, sizeof *w);
    w->t = t;
    w->next = r->weights;
    r->weights = w;
    alias a = {.w = w, .ndim = t->ndim};
    for (int i = 0; i < a.ndim; i++) a.axes[i] = i;
    add_alias(s, name, &a);
    return 0;
}

static int add_proto(reader *r, scope *s, const char *name, const Onnx__TensorProto *p)
{
    if (name && *name && find_here(s, name)) {
        qs_fail(r->err, QS_EFORMAT, _("stands twice in one graph"));
        return fail_tensor(r, name);
    }
    char *full = unique_name(r, s, name && *name ? name : "unnamed");
    qs_tensor *t = qs_onnx_tensor(full, p, r->blob, r->m->path, &r->files, r->err);
    int rc = t ? add_tensor(r, s, name, t) : fail_tensor(r, full);
    free(full);
    return rc;
}

static int add_sparse(reader *r, scope *s, const char *name, const Onnx__SparseTensorProto *p)
{
    if ((!name || !*name) && p->values) name = p->values->name;
    char *full = unique_name(r, s, name && *name ? name : "unnamed");
    qs_tensor *t = qs_tensor_unknown(full, "sparse", p->n_dims <= QS_MAXDIM ? (int)p->n_dims : -1, p->dims, r->blob);
    free(full);
    return add_tensor(r, s, name, t);
}

/* Numbers that stand in an attribute: value_float(s), value_int(s). ndim 0 or 1. */
static int add_numbers(reader *r, scope *s, const char *name, qs_dtype d, int ndim, const void *from, size_t n)
{
    size_t bytes = n * qs_dtype_size(d);
    const int64_t shape[] = {(int64_t)n};
    qs_blob *b = qs_blob_new(bytes, r->err);
    if (!b) return -QS_ENOMEM;
    if (bytes) memcpy(qs_blob_mem(b), from, bytes);
    char *full = unique_name(r, s, name && *name ? name : "unnamed");
    qs_tensor *t = qs_tensor_new(full, d, ndim, shape, b, b->data, r->err);
    qs_blob_unref(b);
    int rc = t ? add_tensor(r, s, name, t) : fail_tensor(r, full);
    free(full);
    return rc;
}

static int add_attribute(reader *r, scope *s, const char *name, const Onnx__AttributeProto *a)
{
    if (!a->name) return 0;
    if (!strcmp(a->name, "value")) return a->t ? add_proto(r, s, name, a->t) : 0;
    if (!strcmp(a->name, "sparse_value")) return a->sparse_tensor ? add_sparse(r, s, name, a->sparse_tensor) : 0;
    if (!strcmp(a->name, "value_float")) return add_numbers(r, s, name, QS_F32, 0, &a->f, 1);
    if (!strcmp(a->name, "value_floats")) return add_numbers(r, s, name, QS_F32, 1, a->floats, a->n_floats);
    if (!strcmp(a->name, "value_int")) return add_numbers(r, s, name, QS_I64, 0, &a->i, 1);
    if (!strcmp(a->name, "value_ints")) return add_numbers(r, s, name, QS_I64, 1, a->ints, a->n_ints);
    if (strcmp(a->name, "value_string") && strcmp(a->name, "value_strings")) return 0;
    char *full = unique_name(r, s, name && *name ? name : "unnamed");
    qs_tensor *t = qs_tensor_unknown(full, "STRING", -1, NULL, r->blob);
    free(full);
    return add_tensor(r, s, name, t);
}

/* ---- axes from the node that uses a weight -------------------------------------------------- */
static int64_t attribute_int(const Onnx__NodeProto *n, const char *name, int64_t dflt)
{
    for (size_t i = 0; i < n->n_attribute; i++)
        if (n->attribute[i]->name && !strcmp(n->attribute[i]->name, name)) return n->attribute[i]->i;
    return dflt;
}

typedef struct roles { int out; unsigned in; } roles;  /* out < 0: nothing is known */

static unsigned but(int ndim, int axis) { return ((1u << ndim) - 1) & ~(1u << axis); }

static roles conv(const Onnx__NodeProto *n, int d) { (void)n; return (roles){0, but(d, 0)}; }
static roles conv_transpose(const Onnx__NodeProto *n, int d) { (void)n; return (roles){1, but(d, 1)}; }
static roles matmul_left(const Onnx__NodeProto *n, int d) { (void)n; return (roles){d - 2, 1u << (d - 1)}; }
static roles matmul_right(const Onnx__NodeProto *n, int d) { (void)n; return (roles){d - 1, 1u << (d - 2)}; }
static roles recurrent(const Onnx__NodeProto *n, int d) { (void)n, (void)d; return (roles){1, 1u << 2}; }

static roles gemm_left(const Onnx__NodeProto *n, int d)
{
    (void)d;
    return attribute_int(n, "transA", 0) ? (roles){1, 1u << 0} : (roles){0, 1u << 1};
}

static roles gemm_right(const Onnx__NodeProto *n, int d)
{
    (void)d;
    return attribute_int(n, "transB", 0) ? (roles){0, 1u << 1} : (roles){1, 1u << 0};
}

/* An embedding: every row is a vector of its own. */
static roles gather(const Onnx__NodeProto *n, int d)
{
    return attribute_int(n, "axis", 0) || attribute_int(n, "gather_axis", 0) ? (roles){-1, 0} : (roles){0, but(d, 0)};
}

static const struct use {
    const char *op;
    size_t input;
    int min_dims, max_dims;
    roles (*roles)(const Onnx__NodeProto *n, int ndim);
} uses[] = {
    {"Conv", 1, 2, QS_MAXDIM, conv},             {"ConvTranspose", 1, 2, QS_MAXDIM, conv_transpose},
    {"ConvInteger", 1, 2, QS_MAXDIM, conv},      {"QLinearConv", 3, 2, QS_MAXDIM, conv},
    {"MatMul", 0, 2, QS_MAXDIM, matmul_left},    {"MatMul", 1, 2, QS_MAXDIM, matmul_right},
    {"MatMulInteger", 0, 2, QS_MAXDIM, matmul_left}, {"MatMulInteger", 1, 2, QS_MAXDIM, matmul_right},
    {"QLinearMatMul", 0, 2, QS_MAXDIM, matmul_left}, {"QLinearMatMul", 3, 2, QS_MAXDIM, matmul_right},
    {"Gemm", 0, 2, 2, gemm_left},                {"Gemm", 1, 2, 2, gemm_right},
    {"LSTM", 1, 3, 3, recurrent},                {"LSTM", 2, 3, 3, recurrent},
    {"GRU", 1, 3, 3, recurrent},                 {"GRU", 2, 3, 3, recurrent},
    {"RNN", 1, 3, 3, recurrent},                 {"RNN", 2, 3, 3, recurrent},
    {"Gather", 0, 2, QS_MAXDIM, gather},         {"GatherBlockQuantized", 0, 2, QS_MAXDIM, gather},
};

/* Writes what a node says about a weight; nodes that disagree leave it unknown. */
static void apply(const alias *a, const struct use *u, roles x)
{
    qs_tensor *t = a->w->t;
    unsigned in = 0;
    int out = x.out < 0 ? -1 : a->axes[x.out];
    if (out < 0 || a->w->conflict) return;
    for (int i = 0; i < a->ndim; i++)
        if (x.in >> i & 1 && a->axes[i] >= 0) in |= 1u << a->axes[i];
    a->w->conflict = a->w->used && (t->out_axis != out || t->in_axes != in);
    if (!a->w->used) t->use = u->op;
    if (a->w->conflict) t->use = NULL;
    t->out_axis = a->w->conflict ? -1 : out;
    t->in_axes = a->w->conflict ? 0 : in;
    a->w->used = true;
}

static void learn_axes(const scope *s, const Onnx__NodeProto *n)
{
    for (size_t i = 0; i < sizeof uses / sizeof *uses; i++) {
        if (strcmp(n->op_type, uses[i].op) || n->n_input <= uses[i].input) continue;
        const alias *a = find_alias(s, n->input[uses[i].input]);
        if (a && a->ndim >= uses[i].min_dims && a->ndim <= uses[i].max_dims)
            apply(a, &uses[i], uses[i].roles(n, a->ndim));
    }
}

/* ---- nodes that hand a weight on --------------------------------------------------------------- */
/* perm of a Transpose over d axes; without the attribute it turns the axes around. false: not a permutation. */
static bool read_perm(const Onnx__NodeProto *n, int d, int *perm)
{
    unsigned seen = 0;
    for (int i = 0; i < d; i++) perm[i] = d - 1 - i;
    for (size_t k = 0; k < n->n_attribute; k++) {
        const Onnx__AttributeProto *a = n->attribute[k];
        if (!a->name || strcmp(a->name, "perm")) continue;
        if (a->n_ints != (size_t)d) return false;
        for (int i = 0; i < d; i++) {
            if (a->ints[i] < 0 || a->ints[i] >= d || seen >> a->ints[i] & 1) return false;
            seen |= 1u << a->ints[i];
            perm[i] = (int)a->ints[i];
        }
    }
    return true;
}

static void hand_same(scope *s, const Onnx__NodeProto *n, const alias *a) { add_alias(s, n->output[0], a); }

static void hand_transposed(scope *s, const Onnx__NodeProto *n, const alias *a)
{
    int perm[QS_MAXDIM];
    alias b = *a;
    if (!read_perm(n, a->ndim, perm)) return;
    for (int i = 0; i < a->ndim; i++) b.axes[i] = a->axes[perm[i]];
    add_alias(s, n->output[0], &b);
}

/* Parts of one weight put together again, as PyTorch's exporter reorders the gates of an LSTM. */
static void hand_joined(scope *s, const Onnx__NodeProto *n, const alias *a)
{
    for (size_t i = 1; i < n->n_input; i++) {
        const alias *b = find_alias(s, n->input[i]);
        if (!b || b->w != a->w || b->ndim != a->ndim || memcmp(a->axes, b->axes, sizeof a->axes)) return;
    }
    add_alias(s, n->output[0], a);
}

/* The axes an Unsqueeze adds: an attribute, since opset 13 an input that must be a constant. false: not known. */
static bool read_added(const scope *s, const Onnx__NodeProto *n, int ndim, unsigned *added)
{
    size_t count = 0;
    const Onnx__AttributeProto *at = NULL;
    const alias *a = n->n_input > 1 ? find_alias(s, n->input[1]) : NULL;
    for (size_t i = 0; i < n->n_attribute; i++)
        if (n->attribute[i]->name && !strcmp(n->attribute[i]->name, "axes")) at = n->attribute[i];
    if (at) count = at->n_ints;
    else if (a && a->w->t->dtype == QS_I64) count = a->w->t->n;
    *added = 0;
    if (!count || count > QS_MAXDIM - (size_t)ndim) return false;
    for (size_t i = 0; i < count; i++) {
        double x = at ? (double)at->ints[i] : qs_tensor_at(a->w->t, i);
        if (x < 0) x += ndim + (double)count;
        if (x < 0 || x >= ndim + (double)count || *added >> (int)x & 1) return false;
        *added |= 1u << (int)x;
    }
    return true;
}

static void hand_unsqueezed(scope *s, const Onnx__NodeProto *n, const alias *a)
{
    unsigned added;
    alias b = {.w = a->w, .ndim = a->ndim};
    if (!read_added(s, n, a->ndim, &added)) return;
    b.ndim += __builtin_popcount(added);
    for (int i = 0, k = 0; i < b.ndim; i++) b.axes[i] = added >> i & 1 ? -1 : a->axes[k++];
    add_alias(s, n->output[0], &b);
}

static const struct { const char *op; void (*hand)(scope *s, const Onnx__NodeProto *n, const alias *a); } handing[] = {
    {"Identity", hand_same},         {"Cast", hand_same},         {"QuantizeLinear", hand_same},
    {"DequantizeLinear", hand_same}, {"Slice", hand_same},        {"Transpose", hand_transposed},
    {"Concat", hand_joined},         {"Unsqueeze", hand_unsqueezed},
};

/* ---- weights that are codes --------------------------------------------------------------------- */
static const struct { const char *op; size_t codes, scale, zero; int axis; } dequantizing[] = {
    {"DequantizeLinear", 0, 1, 2, 1},
    {"QLinearConv", 3, 4, 5, 0},
    {"QLinearMatMul", 3, 4, 5, -1},
};

/* The weight an input is, as it stands in the file. */
static qs_tensor *input_weight(const scope *s, const Onnx__NodeProto *n, size_t input)
{
    const alias *a = n->n_input > input ? find_alias(s, n->input[input]) : NULL;
    if (!a || a->ndim != a->w->t->ndim) return NULL;
    for (int i = 0; i < a->ndim; i++)
        if (a->axes[i] != i) return NULL;
    return a->w->t;
}

static bool has_input(const Onnx__NodeProto *n, size_t input) { return n->n_input > input && *n->input[input]; }

static void tell_codes(reader *r, const scope *s, const Onnx__NodeProto *n)
{
    for (size_t i = 0; i < sizeof dequantizing / sizeof *dequantizing; i++) {
        if (strcmp(n->op_type, dequantizing[i].op)) continue;
        int64_t axis = attribute_int(n, "axis", dequantizing[i].axis), block = attribute_int(n, "block_size", 0);
        qs_told t = {.codes = input_weight(s, n, dequantizing[i].codes), .scale = input_weight(s, n, dequantizing[i].scale),
                     .zero = input_weight(s, n, dequantizing[i].zero),
                     .axis = axis >= -QS_MAXDIM && axis < QS_MAXDIM ? (int)axis : QS_MAXDIM, .block = block > 0 ? (size_t)block : 0};
        if (t.codes && t.scale && (t.zero || !has_input(n, dequantizing[i].zero)) && t.codes != t.scale) qs_join_told(r->m, &t);
    }
}

/* ONNX Runtime's product with codes that are packed into bytes. Weights that were prepared for one machine stay bytes. */
static void tell_bits(reader *r, const scope *s, const Onnx__NodeProto *n)
{
    if (strcmp(n->op_type, "MatMulNBits") || attribute_int(n, "weight_prepacked", 0)) return;
    int64_t bits = attribute_int(n, "bits", 4), block = attribute_int(n, "block_size", 0);
    int64_t rows = attribute_int(n, "N", 0), inputs = attribute_int(n, "K", 0);
    qs_told t = {.codes = input_weight(s, n, 1), .scale = input_weight(s, n, 2), .zero = input_weight(s, n, 3),
                 .order = input_weight(s, n, 4), .use = "MatMulNBits", .bits = bits > 0 && bits <= 8 ? (int)bits : 1, .block = block > 0 ? (size_t)block : 0,
                 .rows = rows > 0 ? (size_t)rows : 0, .inputs = inputs > 0 ? (size_t)inputs : 0};
    bool known = (t.zero || !has_input(n, 3)) && (t.order || !has_input(n, 4));
    if (t.codes && t.scale && known && t.codes != t.scale) qs_join_told(r->m, &t);
}

/* Its embeddings: integers of 4 bits with an axis, or bytes that hold a row each, as above. */
static void tell_gathered(reader *r, const scope *s, const Onnx__NodeProto *n)
{
    if (strcmp(n->op_type, "GatherBlockQuantized")) return;
    int64_t axis = attribute_int(n, "quantize_axis", 1), bits = attribute_int(n, "bits", 4), block = attribute_int(n, "block_size", 128);
    qs_told t = {.codes = input_weight(s, n, 0), .scale = input_weight(s, n, 2), .zero = input_weight(s, n, 3), .use = "Gather",
                 .axis = axis >= -QS_MAXDIM && axis < QS_MAXDIM ? (int)axis : QS_MAXDIM, .block = block > 0 ? (size_t)block : 0};
    if (t.codes && t.codes->dtype == QS_U8 && t.codes->ndim == 2) {
        t.bits = bits == 2 || bits == 4 || bits == 8 ? (int)bits : 1;
        t.rows = (size_t)t.codes->shape[0];
        t.inputs = (size_t)t.codes->shape[1] * (size_t)(8 / t.bits);
    }
    if (t.codes && t.scale && (t.zero || !has_input(n, 3)) && t.codes != t.scale) qs_join_told(r->m, &t);
}

static void hand_on(scope *s, const Onnx__NodeProto *n)
{
    const alias *a = n->n_input && n->n_output ? find_alias(s, n->input[0]) : NULL;
    for (size_t i = 0; a && i < sizeof handing / sizeof *handing; i++)
        if (!strcmp(n->op_type, handing[i].op)) handing[i].hand(s, n, a);
}

/* ---- graphs ---------------------------------------------------------------------------------------- */
static int walk_graph(reader *r, const Onnx__GraphProto *g, const scope *up, const char *path);

static char *graph_path(const scope *s, const Onnx__NodeProto *n, size_t number, const char *attribute)
{
    const char *slash = *s->path ? "/" : "", *name = attribute ? attribute : "graph";
    if (n->name && *n->name) return qs_xasprintf("%s%s%s.%s", s->path, slash, n->name, name);
    return qs_xasprintf("%s%s%s_%zu.%s", s->path, slash, n->op_type, number, name);
}

static int walk_attribute(reader *r, scope *s, const Onnx__NodeProto *n, size_t number, const Onnx__AttributeProto *a)
{
    int rc = 0;
    if (!a->g && !a->n_graphs) return 0;
    char *path = graph_path(s, n, number, a->name);
    if (a->g) rc = walk_graph(r, a->g, s, path);
    for (size_t i = 0; i < a->n_graphs && !rc; i++) rc = walk_graph(r, a->graphs[i], s, path);
    free(path);
    return rc;
}

static int walk_node(reader *r, scope *s, const Onnx__NodeProto *n, size_t number)
{
    int rc = 0;
    if (!n->op_type) return 0;
    bool constant = !strcmp(n->op_type, "Constant");
    for (size_t i = 0; i < n->n_attribute && !rc; i++)
        rc = constant ? add_attribute(r, s, n->n_output ? n->output[0] : NULL, n->attribute[i])
                      : walk_attribute(r, s, n, number, n->attribute[i]);
    learn_axes(s, n);
    tell_codes(r, s, n);
    tell_bits(r, s, n);
    tell_gathered(r, s, n);
    hand_on(s, n);
    return rc;
}

static int walk_nodes(reader *r, scope *s, Onnx__NodeProto *const *nodes, size_t n)
{
    int rc = 0;
    for (size_t i = 0; i < n && !rc; i++) rc = walk_node(r, s, nodes[i], i);
    tdestroy(s->aliases, free);
    return rc;
}

static int walk_graph(reader *r, const Onnx__GraphProto *g, const scope *up, const char *path)
{
    int rc = 0;
    scope s = {.up = up, .path = path};
    for (size_t i = 0; i < g->n_initializer && !rc; i++) rc = add_proto(r, &s, g->initializer[i]->name, g->initializer[i]);
    for (size_t i = 0; i < g->n_sparse_initializer && !rc; i++) rc = add_sparse(r, &s, NULL, g->sparse_initializer[i]);
    int after = walk_nodes(r, &s, g->node, rc ? 0 : g->n_node);
    return rc ? rc : after;
}

static int walk_model(reader *r, const Onnx__ModelProto *p)
{
    if (!p->graph) return qs_fail(r->err, QS_EFORMAT, _("the model has no graph"));
    int rc = walk_graph(r, p->graph, NULL, "");
    for (size_t i = 0; i < p->n_functions && !rc; i++) {
        scope s = {.path = p->functions[i]->name ? p->functions[i]->name : "function"};
        rc = walk_nodes(r, &s, p->functions[i]->node, p->functions[i]->n_node);
    }
    return rc;
}

/* ---- files --------------------------------------------------------------------------------------------- */
/* Empty messages of two bytes become structs of a hundred: a bound, so that a hostile file is an error. */
#define PARSE_MAX ((size_t)1 << 30)

static void *bounded_alloc(void *left, size_t n)
{
    if (n > *(size_t *)left) return NULL;
    *(size_t *)left -= n;
    return malloc(n ? n : 1);
}

static void bounded_free(void *left, void *p)
{
    (void)left;
    free(p);
}

static int fail_parse(size_t left, qs_err *err)
{
    if (left < PARSE_MAX / 2) return qs_fail(err, QS_ENOMEM, _("its structure takes more than 1 GB of memory"));
    return qs_fail(err, QS_EFORMAT, _("not what ONNX says (a field of the wrong type, or a required one missing)"));
}

static int read_model(qs_model *m, qs_blob *b, qs_err *err)
{
    qs_str slim = {0};
    size_t left = PARSE_MAX;
    ProtobufCAllocator a = {bounded_alloc, bounded_free, &left};
    int rc = qs_onnx_skim(b, QS_ONNX_MODEL, &slim, err);
    if (!rc) {
        Onnx__ModelProto *p = onnx__model_proto__unpack(&a, slim.n, (const uint8_t *)slim.s);
        reader r = {.m = m, .blob = b, .err = err};
        rc = p ? walk_model(&r, p) : fail_parse(left, err);
        qs_onnx_files_clear(&r.files);
        for (weight *w = r.weights, *next; w; w = next) {
            next = w->next;
            free(w);
        }
        if (p) onnx__model_proto__free_unpacked(p, &a);
    }
    free(slim.s);
    return rc;
}

static bool probe_model(const unsigned char *head, size_t n, size_t size)
{
    return qs_onnx_looks_like(QS_ONNX_MODEL, head, n, size);
}

const qs_reader qs_reader_onnx = {
    "onnx", N_("ONNX: initializers, Constant nodes, those of sub-graphs; external data; mapped"), probe_model, read_model,
};

/* A tensor on its own, as ONNX's test data stores inputs and outputs. */
static int read_tensor(qs_model *m, qs_blob *b, qs_err *err)
{
    qs_str slim = {0};
    size_t left = PARSE_MAX;
    ProtobufCAllocator a = {bounded_alloc, bounded_free, &left};
    int rc = qs_onnx_skim(b, QS_ONNX_TENSOR, &slim, err);
    if (!rc) {
        Onnx__TensorProto *p = onnx__tensor_proto__unpack(&a, slim.n, (const uint8_t *)slim.s);
        const char *slash = strrchr(m->path, '/'), *file = slash ? slash + 1 : m->path;
        reader r = {.m = m, .blob = b, .err = err};
        scope s = {.path = ""};
        rc = p ? add_proto(&r, &s, p->name && *p->name ? p->name : file, p) : fail_parse(left, err);
        qs_onnx_files_clear(&r.files);
        tdestroy(s.aliases, free);
        free(r.weights);
        if (p) onnx__tensor_proto__free_unpacked(p, &a);
    }
    free(slim.s);
    return rc;
}

static bool probe_tensor(const unsigned char *head, size_t n, size_t size)
{
    return qs_onnx_looks_like(QS_ONNX_TENSOR, head, n, size);
}

const qs_reader qs_reader_onnx_tensor = {
    "onnx-tensor", N_("an ONNX tensor on its own (.pb)"), probe_tensor, read_tensor,
};
