/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Plans: lays memory out, puts the work of the layers in order, runs it. What a
 * layer does is in layers.c, what a site does in site.c, what a convolution is
 * in dnn.c.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "train/plan_in.h"

/* ---- memory ------------------------------------------------------------------------------------ */
void plan_want(qs_plan *p, void *slot, size_t bytes, int birth, int death)
{
    if (p->nwant == p->cwant) p->want = qs_xrealloc(p->want, (p->cwant = 2 * p->cwant + 64) * sizeof *p->want);
    p->want[p->nwant++] = (struct want){slot, (bytes + 63) & ~(size_t)63, 0, birth, death};
}

static int larger_first(const void *a, const void *b)
{
    const struct want *x = *(struct want *const *)a, *y = *(struct want *const *)b;
    return x->bytes != y->bytes ? (x->bytes < y->bytes) - (x->bytes > y->bytes) : (x > y) - (x < y);
}

static bool meet(const struct want *a, const struct want *b) { return a->birth <= b->death && b->birth <= a->death; }

/* The lowest place where w overlaps none of those placed that live at the same time. */
static void place(struct want *w, struct want *const *placed, size_t n)
{
    bool moved = true;
    while (moved) {
        moved = false;
        for (size_t i = 0; i < n; i++) {
            const struct want *o = placed[i];
            if (meet(w, o) && w->at < o->at + o->bytes && o->at < w->at + w->bytes) {
                w->at = o->at + o->bytes;
                moved = true;
            }
        }
    }
}

static int lay_out(qs_plan *p, qs_err *err)
{
    struct want **order = qs_xmalloc(p->nwant * sizeof *order);
    for (size_t i = 0; i < p->nwant; i++) order[i] = &p->want[i];
    qsort(order, p->nwant, sizeof *order, larger_first);
    for (size_t i = 0; i < p->nwant; i++) {
        place(order[i], order, i);
        size_t end = order[i]->at + order[i]->bytes;
        if (end > p->bytes) p->bytes = end;
    }
    free(order);
    p->arena = qs_big_alloc(p->bytes + 64);
    if (!p->arena) return qs_fail(err, QS_ENOMEM, _("no memory for batches of %zu images (%zu MB)"), p->batch, p->bytes >> 20);
    memset(p->arena, 0, p->bytes);
    for (size_t i = 0; i < p->nwant; i++) {
        void *there = p->arena + p->want[i].at;
        memcpy(p->want[i].slot, &there, sizeof there);   /* slots are pointers of several types */
    }
    return 0;
}

/* ---- who shares memory with whom -------------------------------------------------------------------- */
static size_t floats(const qs_node *n) { return (size_t)n->h * (size_t)n->w * (size_t)n->c; }

static void count_readers(const qs_net *net, int *readers)
{
    for (int i = 0; i < net->n; i++)
        for (int j = 0; j < 2; j++)
            if (net->node[i].in[j] >= 0) readers[net->node[i].in[j]]++;
}

static bool is_relu(qs_op op) { return op == QS_OP_RELU || op == QS_OP_RELU6; }

/* A ReLU is drawn into the normalization or sum before it, or works in place where the output before it is not needed. */
static void share_values(qs_plan *p, struct step *s, const int *readers)
{
    s->value = s->i;
    if (!is_relu(s->node->op) || readers[s->node->in[0]] != 1) return;
    struct step *from = &p->step[s->node->in[0]];
    qs_op op = from->node->op;
    if (op == QS_OP_BATCHNORM || op == QS_OP_ADD) {
        from->lo = s->lo;
        from->hi = s->hi;
        s->drawn = true;
    }
    if (s->drawn || (op != QS_OP_INPUT && !is_relu(op) && !qs_layer_table[op].own_y)) s->value = from->value;
}

/* Max pooling takes a ReLU before it over: the largest of values cut is the largest value cut, and there are fewer of them. */
static void share_pools(qs_plan *p, const int *readers)
{
    for (int i = 1; i < p->net->n; i++) {
        struct step *s = &p->step[i], *relu = &p->step[s->node->in[0]];
        bool free_relu = is_relu(relu->node->op) && !relu->drawn && relu->value != relu->i && readers[relu->i] == 1;
        if (s->node->op != QS_OP_MAXPOOL || !free_relu) continue;
        relu->drawn = true;
        s->lo = relu->lo;
        s->hi = relu->hi;
    }
}

/* Does its backward pass leave the gradient of the output as it was? (A normalization whose gradient is added does not.) */
static bool only_reads(const qs_node *n, int i, const int *readers)
{
    qs_op op = n[i].op;
    return op == QS_OP_CONV || op == QS_OP_SHORTCUT || (op == QS_OP_BATCHNORM && readers[n[i].in[0]] == 1);
}

/*
 * A sum sends the same gradient both ways, to a and b: one memory will do if a only reads it, and nobody writes to b's
 * before that.
 */
static bool both_ways(const qs_plan *p, const struct step *s, const int *readers)
{
    const qs_node *n = p->net->node;
    int a = s->node->in[0], b = s->node->in[1];
    bool will = s->node->op == QS_OP_ADD && a > 0 && b > 0 && a != b && readers[a] == 1 && only_reads(n, a, readers);
    will = will && (b < a || only_reads(n, b, readers));
    for (int i = a; will && i < s->i; i++) will = n[i].in[0] != b && n[i].in[1] != b;
    return will;
}

/* The gradient of the input stands where that of the output stood, if nobody else adds to it. */
static void share_grads(qs_plan *p, const int *readers)
{
    bool *written = qs_xcalloc((size_t)p->net->n, sizeof *written);
    for (int i = p->net->n - 1; i > 0; i--) {
        struct step *s = &p->step[i];
        for (int j = 1; j >= 0; j--) {
            int u = s->node->in[j];
            if (u < 0) continue;
            bool here = j ? !written[u] && both_ways(p, s, readers)
                          : u > 0 && readers[u] == 1 && qs_layer_table[s->node->op].in_place;
            if (here) p->step[u].grad = s->grad;
            *(j ? &s->add2 : &s->add) = !here && written[u];
            written[u] = true;
        }
    }
    free(written);
}

static void find_sites(qs_plan *p, struct step *s)
{
    for (size_t i = 0; i < p->nsite; i++) {
        if (p->site[i].node != s->i) continue;
        if (p->site[i].act) s->asite = &p->site[i], s->asi = i;
        else s->wsite = &p->site[i], s->wsi = i;
    }
}

static void describe(qs_plan *p)
{
    int *readers = qs_xcalloc((size_t)p->net->n, sizeof *readers);
    count_readers(p->net, readers);
    for (int i = 0; i < p->net->n; i++) {
        struct step *s = &p->step[i];
        const qs_node *n = &p->net->node[i], *in = n->in[0] >= 0 ? &p->net->node[n->in[0]] : n;
        bool relu = is_relu(n->op);
        *s = (struct step){.node = n, .i = i, .nx = floats(in), .ny = floats(n), .grad = i, .lo = relu ? 0 : -INFINITY,
                           .hi = n->op == QS_OP_RELU6 ? 6 : INFINITY};
        s->nx2 = n->in[1] >= 0 ? floats(&p->net->node[n->in[1]]) : 0;
        s->shallow_x = i == 0 || (p->step[n->in[0]].shallow && (n->in[1] < 0 || p->step[n->in[1]].shallow));
        s->shallow = s->shallow_x && n->weight < 0;
        find_sites(p, s);
        share_values(p, s, readers);
    }
    share_pools(p, readers);
    share_grads(p, readers);
    free(readers);
}

/* ---- what is wanted ------------------------------------------------------------------------------------ */
static void later(int *t, int than) { *t = *t < than ? than : *t; }

/* Values that somebody reads later than the forward pass: gradients where they need them, a look at what a site sees. */
static bool *find_kept(const qs_plan *p)
{
    int n = p->net->n;
    bool *kept = qs_xcalloc((size_t)n, sizeof *kept);
    kept[0] = kept[p->step[n - 1].value] = true;
    for (int i = 1; i < n && p->train; i++) {
        const struct step *s = &p->step[i];
        const qs_layer_work *w = &qs_layer_table[s->node->op];
        if (w->own_y && plan_cuts(s)) kept[s->value] = true;
        if (w->own_x) kept[p->step[s->node->in[0]].value] = true;
    }
    return kept;
}

/* A calibration stops before a site and looks at what it sees. */
static bool *find_seen(const qs_plan *p)
{
    bool *seen = qs_xcalloc((size_t)p->net->n, sizeof *seen);
    for (int i = 1; i < p->net->n; i++)
        if (p->step[i].asite) seen[p->step[p->step[i].node->in[0]].value] = true;
    return seen;
}

/* Does a forward-only pass stop within moment t, before a site, and go on from there later? */
static bool stops_in(const qs_plan *p, int t)
{
    bool stops = false;
    for (int i = 1; i < p->net->n && !p->train; i++) stops |= p->step[i].asite && p->step[i].f0 == t;
    return stops;
}

/* Output of node i: from the node's last stage until its last reader has run. */
static void want_values(qs_plan *p)
{
    int n = p->net->n, *death = qs_xcalloc((size_t)n, sizeof *death);
    bool *kept = find_kept(p), *seen = find_seen(p);
    for (int i = 0; i < n; i++) {
        const struct step *s = &p->step[i];
        later(&death[s->value], s->f1);
        for (int j = 0; j < 2; j++)
            if (s->node->in[j] >= 0) later(&death[p->step[s->node->in[j]].value], s->f1);
    }
    for (int i = 0; i < n; i++) {
        struct step *s = &p->step[i];
        if (s->value != i) continue;
        plan_want(p, &s->y, p->batch * s->ny * sizeof(float), s->f1, kept[i] ? p->end : death[i]);
        s->brief.y = s->passing || (!kept[i] && !seen[i] && s->f1 == death[i] && !stops_in(p, s->f1));
    }
    free(death);
    free(kept);
    free(seen);
}

/* Gradient of node i: from its last reader (the first one backward) to the node itself, and those that share it. */
static void want_grads(qs_plan *p)
{
    int n = p->net->n, *birth = qs_xcalloc((size_t)n, sizeof *birth), *death = qs_xcalloc((size_t)n, sizeof *death);
    for (int i = 0; i < n; i++) {   /* later readers overwrite: the last one is the first backward */
        const struct step *s = &p->step[i];
        later(&death[s->grad], s->b1);
        for (int j = 0; j < 2; j++)
            if (s->node->in[j] >= 0) birth[s->node->in[j]] = s->node->op == QS_OP_BATCHNORM ? s->b1 : s->b0;
    }
    for (int i = 0; i < n; i++) {
        struct step *s = &p->step[i];
        int from = i < n - 1 ? birth[i] : 0, to = i ? death[i] : p->end;
        s->brief.gy = s->grad == i && from == to;
        if (s->grad == i) plan_want(p, &s->gy, p->batch * s->ny * sizeof(float), from, to);
    }
    free(birth);
    free(death);
}

static void want_param_grads(qs_plan *p)
{
    for (int i = 0; i < p->net->nparam; i++)
        if (p->net->param[i].trained)
            plan_want(p, &p->grad[i], p->net->param[i].n * sizeof(float), 0, p->end);
}

/* Steps see what the nodes before them left. */
static void connect(qs_plan *p)
{
    for (int i = 0; i < p->net->n; i++) {
        struct step *s = &p->step[i];
        s->y = p->step[s->value].y;
        s->brief.y = p->step[s->value].brief.y;
        if (!p->train) continue;
        s->gy = p->step[s->grad].gy;
        s->brief.gy = p->step[s->grad].brief.gy;
    }
    for (int i = 1; i < p->net->n; i++) {
        struct step *s = &p->step[i], *a = &p->step[s->node->in[0]], *b = s->node->in[1] >= 0 ? &p->step[s->node->in[1]] : NULL;
        s->x = a->y;
        s->gx = a->gy;
        s->brief.x = a->brief.y;
        s->brief.gx = a->brief.gy;
        if (!b) continue;
        s->x2 = b->y;
        s->gx2 = b->gy;
        s->brief.x2 = b->brief.y;
        s->brief.gx2 = b->brief.gy;
    }
}

/* ---- making ------------------------------------------------------------------------------------------------ */
void plan_stage(struct stages *l, struct step *s, piece_fn *run, size_t n, whole_fn *end)
{
    if (l->n == l->cap) l->v = qs_xrealloc(l->v, (l->cap = 2 * l->cap + 32) * sizeof *l->v);
    l->v[l->n++] = (struct stage){s, run, n, end};
}

static size_t chunks_of(size_t batch)
{
    size_t k = batch < QS_CHUNKS ? batch : QS_CHUNKS;
    while (batch % k) k--;
    return k;
}

size_t qs_plan_pieces(const qs_net *net, int node, bool act, size_t batch)
{
    return act ? chunks_of(batch) : plan_pieces(net->param[net->node[node].weight].n);
}

static int make_convs(qs_plan *p, qs_err *err)
{
    for (int i = 1; i < p->net->n; i++) {
        struct step *s = &p->step[i];
        const qs_node *n = s->node, *from = &p->net->node[n->in[0]];
        if (n->op == QS_OP_CONV || n->op == QS_OP_LINEAR) p->layer[p->nlayer++] = s;
        if (n->op != QS_OP_CONV) continue;
        bool whole = s->asite && s->wsite && qs_site_whole(s->asite) && qs_site_whole(s->wsite);
        s->again = p->train && s->asite && s->asite->f->uniform;
        qs_conv_shape c = {.n = (int)p->per, .h = from->h, .w = from->w, .c = from->c, .out = n->c, .kernel = n->kernel,
                           .stride = n->stride, .pad = n->pad, .groups = n->groups, .bias = n->has_bias, .train = p->train, .codes = whole};
        s->conv = qs_conv_new(&c, err);
        if (!s->conv) return qs_fail_prefix(err, "%s", n->name);
        s->whole = qs_conv_wc(s->conv);
    }
    return 0;
}

static void make_blocks(qs_plan *p)
{
    for (size_t i = 0; i < p->nlayer; i++) {
        struct step *s = p->layer[i];
        if (!s->wsite) continue;
        for (size_t start = 0, piece = 0; start < s->wsite->n; start += QS_BLOCK, piece++) {
            size_t n = s->wsite->n - start;
            p->block = qs_xrealloc(p->block, (p->nblock + 1) * sizeof *p->block);
            p->block[p->nblock++] = (struct block){s, start, n < QS_BLOCK ? n : QS_BLOCK, piece};
        }
    }
}

static void want_all(qs_plan *p)
{
    plan_want(p, &p->labels, p->batch * sizeof *p->labels, 0, p->end);
    if (p->train) want_param_grads(p);
    want_values(p);
    if (p->train) want_grads(p);
    for (int i = 1; i < p->net->n; i++) {
        void (*f)(qs_plan *, struct step *) = qs_layer_table[p->net->node[i].op].memory;
        if (f) f(p, &p->step[i]);
    }
}

static int make_steps(qs_plan *p, qs_err *err)
{
    for (int i = 1; i < p->net->n; i++) {
        const qs_layer_work *w = &qs_layer_table[p->step[i].node->op];
        if (w->make && w->make(p, &p->step[i], err)) return -QS_ENOMEM;
    }
    return 0;
}

/* How many stages from g on run through a chunk together, at most `left`. */
static size_t together(const struct stage *g, size_t left)
{
    size_t m = 1;
    while (!g->slices && !g[m - 1].end && m < left && !g[m].slices) m++;
    return m;
}

/* Numbers the moments of a list from t on; returns the next. */
static int number(const struct stages *l, int t, bool backward)
{
    for (size_t i = 0; i < l->n; t++) {
        size_t m = together(&l->v[i], l->n - i);
        for (; m--; i++) {
            struct step *s = l->v[i].s;
            int *first = backward ? &s->b0 : &s->f0, *last = backward ? &s->b1 : &s->f1;
            if (!*first) *first = t;
            *last = t;
        }
    }
    return t;
}

/*
 * What a normalization hands to a convolution at once need not be remembered: x is, and the same y is made from it once
 * more where the backward pass of the convolution wants it, cheaper than fetched from memory. Both must use it up
 * within one stretch.
 */
static void find_again(qs_plan *p)
{
    int *readers = qs_xcalloc((size_t)p->net->n, sizeof *readers);
    count_readers(p->net, readers);
    for (int i = 1; i < p->net->n && p->train; i++) {
        struct step *s = &p->step[i], *from = &p->step[p->step[s->node->in[0]].value];
        bool at_once = from->f1 == s->f0 && s->f0 == s->f1, in_one = !s->node->has_bias || !s->asite;
        if (s->node->op != QS_OP_CONV || from->node->op != QS_OP_BATCHNORM || readers[s->node->in[0]] != 1) continue;
        if (!at_once || !in_one) continue;
        s->again_x = from;
        from->passing = true;
    }
    free(readers);
}

/* The order of all work, and from it the times. A ReLU that was drawn in has no stage of its own. */
static void make_stages(qs_plan *p)
{
    for (int i = 1; i < p->net->n; i++) qs_layer_table[p->step[i].node->op].forward(p, &p->step[i]);
    int t = number(&p->fwd, 1, false);
    find_again(p);
    for (int i = p->net->n - 1; i > 0 && p->train; i--) qs_layer_table[p->step[i].node->op].backward(p, &p->step[i]);
    p->end = number(&p->bwd, t, true);
    for (int i = 1; i < p->net->n; i++) {
        struct step *s = &p->step[i], *from = &p->step[s->node->in[0]];
        if (!s->drawn) continue;
        s->f0 = s->f1 = from->f1;
        s->b0 = s->b1 = from->b0;
    }
}

qs_plan *qs_plan_new(qs_net *net, qs_site *sites, size_t nsite, size_t batch, bool train, qs_err *err)
{
    if (batch < 1 || batch > 65536) {
        qs_fail(err, QS_EARG, _("a batch of %zu images: from 1 to 65536"), batch);
        return NULL;
    }
    if (net->n < 2) {
        qs_fail(err, QS_EARG, _("a net without layers"));
        return NULL;
    }
    qs_plan *p = qs_xcalloc(1, sizeof *p);
    *p = (qs_plan){.net = net, .site = sites, .nsite = nsite, .batch = batch, .train = train, .k = qs_num()};
    p->chunks = chunks_of(batch);
    p->per = batch / p->chunks;
    p->step = qs_xcalloc((size_t)net->n, sizeof *p->step);
    p->layer = qs_xcalloc((size_t)net->n, sizeof *p->layer);
    p->grad = qs_xcalloc((size_t)net->nparam + 1, sizeof *p->grad);
    p->site_stage = qs_xcalloc(nsite + 1, sizeof *p->site_stage);
    describe(p);
    make_stages(p);
    int rc = make_convs(p, err);
    if (!rc) {
        want_all(p);
        rc = lay_out(p, err);
    }
    if (!rc) {
        connect(p);
        make_blocks(p);
        rc = make_steps(p, err);
    }
    if (rc) {
        qs_plan_free(p);
        return NULL;
    }
    return p;
}

void qs_plan_free(qs_plan *p)
{
    if (!p) return;
    for (int i = 0; i < p->net->n; i++) {
        for (size_t k = 0; k < QS_CHUNKS; k++) qs_conv_job_free(p->step[i].job[k]);
        qs_conv_free(p->step[i].conv);
    }
    qs_big_free(p->arena);
    free(p->step);
    free(p->layer);
    free(p->grad);
    free(p->site_stage);
    free(p->block);
    free(p->want);
    free(p->fwd.v);
    free(p->bwd.v);
    free(p);
}

/* ---- what others see ------------------------------------------------------------------------------------- */
size_t qs_plan_bytes(const qs_plan *p) { return p->bytes; }
size_t qs_plan_batch(const qs_plan *p) { return p->batch; }
float *qs_plan_input(qs_plan *p) { return p->step[0].y; }
int32_t *qs_plan_labels(qs_plan *p) { return p->labels; }
const float *qs_plan_logits(const qs_plan *p) { return p->step[p->net->n - 1].y; }
void qs_plan_off(qs_plan *p, const bool *off) { p->off = off; }
float *qs_plan_grad(qs_plan *p, int param) { return p->grad[param]; }
void qs_plan_want_input_grad(qs_plan *p, bool want) { p->want_gx = want; }
const float *qs_plan_input_grad(const qs_plan *p) { return p->step[0].gy; }

size_t qs_plan_whole(const qs_plan *p)
{
    size_t n = 0;
    for (size_t i = 0; i < p->nlayer; i++) n += p->layer[i]->whole;
    return n;
}

const float *qs_plan_seen(const qs_plan *p, size_t site, size_t images)
{
    const struct step *s = &p->step[p->site[site].node];
    if (!p->site[site].act) return s->w;
    if (s->again_x) plan_bn_show(p, s->again_x, images);
    return s->x;
}

void qs_plan_bn_reset(qs_plan *p)
{
    for (int i = 0; i < p->net->n; i++) {
        struct step *s = &p->step[i];
        if (s->node->op != QS_OP_BATCHNORM) continue;
        s->collected = 0;
        memset(s->emean, 0, (size_t)s->node->c * sizeof *s->emean);
        memset(s->evar, 0, (size_t)s->node->c * sizeof *s->evar);
    }
}

/* ---- running ------------------------------------------------------------------------------------------------ */
struct stretch { qs_plan *p; const struct stage *first; size_t n; bool skip; };

static void run_piece(void *arg, size_t k)
{
    const struct stretch *t = arg;
    for (size_t i = 0; i < t->n; i++)
        if (!t->skip || !t->first[i].s->shallow) t->first[i].run(t->p, t->first[i].s, k);
}

/* A layer computes in whole numbers where both its quantizers are on; their steps may be new. */
static void weigh(qs_plan *p)
{
    for (size_t i = 0; i < p->nlayer; i++) {
        struct step *s = p->layer[i];
        if (!s->whole) continue;
        s->counts = plan_site_on(p, s->asite, s->asi) && plan_site_on(p, s->wsite, s->wsi);
        for (size_t j = 0; j < (size_t)s->node->c; j++)
            s->factor[j] = (float)((double)(float)s->asite->step[0] * (float)s->wsite->step[s->wsite->parts > 1 ? j : 0]);
    }
}

/* Stages from .. n-1 of a list; those cut by images go through each chunk together. Backward, gradients that lead to no
 * parameter are left out unless asked for. */
static void run_stages(qs_plan *p, const struct stages *l, size_t from, size_t n)
{
    for (size_t i = from; i < n;) {
        const struct stage *g = &l->v[i];
        struct stretch t = {p, g, together(g, n - i), l == &p->bwd && !p->want_gx};
        qs_parallel(g->slices ? g->slices : p->chunks, run_piece, &t);
        if (g[t.n - 1].end) g[t.n - 1].end(p, g[t.n - 1].s);
        i += t.n;
    }
}

/* Whatever calls oneDNN does so between qs_signals_off and _on (base/sync.h says why): Ctrl-C waits for the end of a pass. */
static void forward(qs_plan *p, size_t from, size_t n)
{
    sigset_t old;
    qs_signals_off(&old);
    weigh(p);
    run_stages(p, &p->fwd, from, n);
    qs_signals_on(&old);
}

void qs_plan_forward(qs_plan *p, qs_bn_mode mode)
{
    p->mode = mode;
    forward(p, 0, p->fwd.n);
}

const float *qs_plan_forward_to(qs_plan *p, qs_bn_mode mode, size_t site)
{
    p->mode = mode;
    forward(p, 0, p->site_stage[site]);
    return qs_plan_seen(p, site, p->batch);
}

const float *qs_plan_forward_on(qs_plan *p, size_t from, size_t site)
{
    forward(p, p->site_stage[from], p->site_stage[site]);
    return qs_plan_seen(p, site, p->batch);
}

void qs_plan_forward_rest(qs_plan *p, size_t from) { forward(p, p->site_stage[from], p->fwd.n); }

static void quantize_block(void *arg, size_t i)
{
    qs_plan *p = arg;
    const struct block *b = &p->block[i];
    struct step *s = b->s;
    const float *w = s->w + b->start;
    if (plan_site_on(p, s->wsite, s->wsi)) qs_site_forward(s->wsite, w, b->start, b->n, s->wq + b->start);
    else memcpy(s->wq + b->start, w, b->n * sizeof *s->wq);
    if (s->whole) s->strange[b->piece] = !qs_site_codes(s->wsite, w, b->start, b->n, (uint8_t *)s->wcodes + b->start);
}

static void pack_layer(void *arg, size_t i)
{
    struct step *s = ((qs_plan *)arg)->layer[i];
    if (s->conv) qs_conv_pack(s->conv, s->wq, s->wf, s->wb);
    if (s->whole) qs_conv_pack_codes(s->conv, s->wcodes, s->wc);
}

void qs_plan_weights(qs_plan *p)
{
    sigset_t old;
    qs_signals_off(&old);
    for (size_t i = 0; i < p->nlayer; i++)
        if (p->layer[i]->wsite) qs_site_begin(p->layer[i]->wsite, p->layer[i]->w);
    qs_parallel(p->nblock, quantize_block, p);
    qs_parallel(p->nlayer, pack_layer, p);
    qs_signals_on(&old);
}

/* ---- loss ------------------------------------------------------------------------------------------------------- */
/* Cross-entropy of one image; z becomes dL/dz times weight, where g is given. */
static double image_loss(const float *z, size_t classes, int label, float weight, float *g, bool *right)
{
    size_t best = 0;
    double sum = 0;
    for (size_t j = 1; j < classes; j++)
        if (z[j] > z[best]) best = j;
    for (size_t j = 0; j < classes; j++) sum += exp((double)z[j] - z[best]);
    for (size_t j = 0; g && j < classes; j++)
        g[j] = weight * (float)(exp((double)z[j] - z[best]) / sum - (j == (size_t)label));
    *right = best == (size_t)label && isfinite(sum);
    return log(sum) + (double)z[best] - (double)z[label];
}

double qs_plan_loss(qs_plan *p, size_t n, size_t *right)
{
    struct step *s = &p->step[p->net->n - 1];
    double sum = 0;
    size_t hits = 0;
    for (size_t i = 0; i < n; i++) {
        bool hit;
        sum += image_loss(s->y + i * s->ny, s->ny, p->labels[i], 1.0f / (float)n, p->train ? s->gy + i * s->ny : NULL, &hit);
        hits += hit;
    }
    if (p->train && n < p->batch) memset(s->gy + n * s->ny, 0, (p->batch - n) * s->ny * sizeof(float));
    if (right) *right = hits;
    return n ? sum / (double)n : 0;
}

/* ---- backward ------------------------------------------------------------------------------------------------------ */
/* The gradients of the chunks, added in their order, in the order of the parameter. */
static void gather_layer(void *arg, size_t i)
{
    qs_plan *p = arg;
    struct step *s = p->layer[i];
    if (!s->conv) return;
    size_t n = qs_conv_gw(s->conv);
    for (size_t k = 1; k < p->chunks; k++) p->k->add(s->part + k * n, n, s->part);
    qs_conv_unpack(s->conv, s->part, s->gw);
}

static void back_block(void *arg, size_t i)
{
    const struct block *b = &((qs_plan *)arg)->block[i];
    struct step *s = b->s;
    qs_site_backward(s->wsite, s->w + b->start, b->start, b->n, b->piece, s->gw + b->start);
}

void qs_plan_backward(qs_plan *p)
{
    sigset_t old;
    qs_signals_off(&old);
    for (size_t i = 0; i < p->nsite; i++) qs_site_zero(&p->site[i]);
    run_stages(p, &p->bwd, 0, p->bwd.n);
    qs_parallel(p->nlayer, gather_layer, p);
    qs_parallel(p->nblock, back_block, p);
    qs_signals_on(&old);
    for (size_t i = 0; i < p->nsite; i++) {
        const struct step *s = &p->step[p->site[i].node];
        bool act = p->site[i].act;
        qs_site_end(&p->site[i], act ? NULL : s->w, act ? NULL : s->gw);
    }
}
