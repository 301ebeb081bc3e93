/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Training against PyTorch (make_qat.py): the gradients of every kind of layer and of the steps and offsets of
 * quantizers, and whole runs of 20 steps, LSQ and LSQ+ at 4 bits, from the same weights, batches and order.
 *
 * Gradients: 1e-4 of the largest of their array (float32 against double); those of steps 1e-5 relative to what is summed.
 * Runs: every loss to 1e-4 relative, and where steps, offsets and weights end. N in the gradient scale 1/sqrt(N Qp) is that
 * of an image (gscale paper) in some runs and of the batch, as most code has it, in others.
 */
#include <jansson.h>
#include <stdlib.h>

#include "base/mem.h"
#include "model/model.h"
#include "train/optim.h"
#include "train/plan.h"
#include "../tap.h"

#define MAX_SITES 16

/* A net of a golden file with its sites, parameters read from tensors called PREFIX/p/NAME. */
typedef struct fixture {
    const json_t *row;
    const char *what;
    const qs_model *m;
    size_t number, batch, nsite;
    qs_net *net;
    qs_site site[MAX_SITES];
    qs_plan *plan;
} fixture;

/* ---- reading ------------------------------------------------------------------------------------------------------- */
static char *golden(const char *name)
{
    const char *top = getenv("top_srcdir");
    return qs_xasprintf("%s/tests/oracle/golden/%s", top ? top : ".", name);
}

static int integer(const json_t *row, const char *key, int or_else)
{
    const json_t *v = json_object_get(row, key);
    return json_is_integer(v) ? (int)json_integer_value(v) : or_else;
}

static double number(const json_t *row, const char *key) { return json_number_value(json_object_get(row, key)); }
static const char *text(const json_t *row, const char *key) { return json_string_value(json_object_get(row, key)); }

static qs_tensor *find(const fixture *f, const char *kind, const char *name)
{
    char *full = qs_xasprintf("%zu/%s%s", f->number, kind, name);
    qs_tensor *t = qs_model_find(f->m, full);
    free(full);
    return t;
}

/* The values of a tensor as floats, for the caller; NULL if there is none or it has another size. */
static float *values(const fixture *f, const char *kind, const char *name, size_t n)
{
    const qs_tensor *t = find(f, kind, name);
    if (!t || t->n != n) return NULL;
    float *v = qs_xmalloc((n + 1) * sizeof *v);
    qs_tensor_read(t, 0, n, v);
    return v;
}

static int index_of(const char *word, const char *const *words)
{
    for (int i = 0; words[i]; i++)
        if (word && !strcmp(word, words[i])) return i;
    return -1;
}

/* ---- building --------------------------------------------------------------------------------------------------------- */
static const char *const op_names[] = {"input", "conv", "linear", "batchnorm", "relu", "relu6", "silu", "maxpool", "avgpool",
                                       "globalpool", "flatten", "add", "shortcut", NULL};
static const char *const mask_names[] = {"paper", "clamp", "code", "none", NULL};
static const char *const gscale_names[] = {"paper", "batch", "none", NULL};

static int build_net(fixture *f, qs_err *err)
{
    const json_t *image = json_object_get(f->row, "image"), *r;
    size_t i;
    f->net = qs_net_new((int)json_integer_value(json_array_get(image, 0)), (int)json_integer_value(json_array_get(image, 1)),
                        (int)json_integer_value(json_array_get(image, 2)), err);
    json_array_foreach(json_object_get(f->row, "nodes"), i, r) {
        int op = index_of(text(r, "op"), op_names);
        qs_layer l = {.op = (qs_op)op, .name = text(r, "name"), .in = integer(r, "in", -1), .in2 = integer(r, "in2", -1),
                      .out = integer(r, "out", 0), .kernel = integer(r, "kernel", 0), .stride = integer(r, "stride", 0),
                      .pad = integer(r, "pad", 0), .groups = integer(r, "groups", 0), .no_bias = integer(r, "no_bias", 0)};
        if (op < 0 || !f->net || qs_net_add(f->net, &l, err) < 0) return -QS_EARG;
    }
    return 0;
}

/* Weights that are in no file follow the line that make_qat.py has too. */
static int fill_params(fixture *f, qs_err *err)
{
    for (int i = 0; i < f->net->nparam; i++) {
        qs_param *p = &f->net->param[i];
        float *v = values(f, "p/", p->name, p->n);
        if (!v && find(f, "p/", p->name)) return qs_fail(err, QS_EFORMAT, "%s has another size", p->name);
        for (size_t k = 0; k < p->n; k++) p->v[k] = v ? v[k] : (float)((double)(k * 7919 % 257) - 128) / 512;
        free(v);
    }
    return 0;
}

static int node_of(const qs_net *net, const char *name)
{
    for (int i = 0; i < net->n; i++)
        if (!strcmp(net->node[i].name, name)) return i;
    return -1;
}

static int build_site(fixture *f, const json_t *r, qs_err *err)
{
    int node = node_of(f->net, text(r, "node"));
    bool act = json_is_true(json_object_get(r, "act"));
    qs_site *s = &f->site[f->nsite];
    qs_site_opts o = {.format = text(r, "format"), .init = "mse", .learn = text(r, "learn"),
                      .mask = (qs_mask)index_of(text(r, "mask"), mask_names),
                      .gscale = (qs_gscale)index_of(text(r, "gscale"), gscale_names), .step_decay = NAN};
    int rc = qs_site_init(s, f->net, node, act, &o, f->batch, qs_plan_pieces(f->net, node, act, f->batch), err);
    if (rc) return rc;
    f->nsite++;
    double step[64], offset = number(r, "offset");
    for (size_t i = 0; i < s->parts; i++) step[i] = json_number_value(json_array_get(json_object_get(r, "step"), i));
    qs_site_set(s, step, s->offset ? &offset : NULL);
    return 0;
}

static int build(fixture *f, const json_t *row, const qs_model *m, size_t number_, qs_err *err)
{
    *f = (fixture){.row = row, .what = text(row, "name"), .m = m, .number = number_, .batch = (size_t)integer(row, "batch", 0)};
    const json_t *r;
    size_t i;
    int rc = build_net(f, err);
    if (!rc) rc = fill_params(f, err);
    json_array_foreach(json_object_get(row, "sites"), i, r)
        if (!rc) rc = build_site(f, r, err);
    if (!rc && !(f->plan = qs_plan_new(f->net, f->site, f->nsite, f->batch, true, err))) rc = -err->code;
    if (!rc) qs_plan_weights(f->plan);
    return rc;
}

static void tear_down(fixture *f)
{
    qs_plan_free(f->plan);
    for (size_t i = 0; i < f->nsite; i++) qs_site_clear(&f->site[i]);
    qs_net_unref(f->net);
}

/* ---- gradients, layer by layer -------------------------------------------------------------------------------------- */
/* Largest difference against the largest value. */
static bool agree(const fixture *f, const char *kind, const char *name, const float *got, size_t n, double tol)
{
    float *want = values(f, kind, name, n);
    double worst = 0, top = 0;
    size_t at = 0;
    for (size_t i = 0; want && i < n; i++) {
        double d = fabs((double)got[i] - want[i]);
        if (!(d <= worst)) worst = d, at = i;
        if (fabs((double)want[i]) > top) top = fabs((double)want[i]);
    }
    bool fine = want && worst <= tol * top + 1e-6;   /* a bias before batch normalization: 0 up to rounding */
    if (!fine) printf("# %s: %s%s differs by %.3g of %.3g at %zu of %zu\n", f->what, kind, name, worst, top, at, n);
    free(want);
    return fine;
}

static bool same_params(fixture *f)
{
    bool fine = true;
    for (int i = 0; i < f->net->nparam; i++) {
        const qs_param *p = &f->net->param[i];
        if (!find(f, "g/", p->name)) continue;
        fine &= agree(f, "g/", p->name, p->trained ? qs_plan_grad(f->plan, i) : p->v, p->n, 1e-4);
    }
    return fine;
}

/* Gradients of steps are sums of terms of both signs: they are judged against the longest of the parts. */
static bool same_numbers(const fixture *f, const qs_site *s, const char *what, const double *got, const json_t *want, double tol)
{
    double top = 0;
    bool fine = json_array_size(want) == s->parts;
    for (size_t i = 0; i < s->parts; i++) top = fmax(top, fabs(json_number_value(json_array_get(want, i))));
    for (size_t i = 0; i < s->parts; i++) {
        double w = json_number_value(json_array_get(want, i));
        if (fabs(got[i] - w) <= tol * top) continue;
        printf("# %s: %s of %s, part %zu: got %.9g, torch %.9g\n", f->what, what, s->name, i, got[i], w);
        fine = false;
    }
    return fine;
}

static bool same_steps(const fixture *f)
{
    bool fine = true;
    for (size_t i = 0; i < f->nsite; i++) {
        const qs_site *s = &f->site[i];
        const json_t *r = json_array_get(json_object_get(f->row, "sites"), i);
        fine &= same_numbers(f, s, "dstep", s->dstep, json_object_get(r, "dstep"), 1e-5);
        if (s->offset) fine &= same_numbers(f, s, "doffset", s->doffset, json_object_get(r, "doffset"), 1e-5);
    }
    return fine;
}

static void fill_batch(const fixture *f)
{
    const qs_node *in = &f->net->node[0];
    size_t n = f->batch * (size_t)(in->h * in->w * in->c);
    float *x = values(f, "", "x", n), *y = values(f, "", "y", f->batch);
    if (x) memcpy(qs_plan_input(f->plan), x, n * sizeof *x);
    for (size_t i = 0; y && i < f->batch; i++) qs_plan_labels(f->plan)[i] = (int32_t)y[i];
    free(x);
    free(y);
}

static void layer(const json_t *row, const qs_model *m, size_t number_)
{
    fixture f;
    qs_err err = {0};
    int rc = build(&f, row, m, number_, &err);
    if (ok(!rc, "%s can be made%s%s", f.what, rc ? ": " : "", err.msg)) {
        const qs_node *in = &f.net->node[0];
        size_t right;
        fill_batch(&f);
        qs_plan_want_input_grad(f.plan, true);
        qs_plan_forward(f.plan, QS_BN_TRAIN);
        double loss = qs_plan_loss(f.plan, f.batch, &right);
        qs_plan_backward(f.plan);
        near(loss, number(row, "loss"), 1e-5, "%s: the loss", f.what);
        ok(agree(&f, "", "logits", qs_plan_logits(f.plan), f.batch * 5, 1e-4), "%s: logits", f.what);
        ok(agree(&f, "", "dx", qs_plan_input_grad(f.plan), f.batch * (size_t)(in->h * in->w * in->c), 1e-4),
           "%s: the gradient of the image", f.what);
        ok(same_params(&f), "%s: gradients of parameters, running statistics", f.what);
        if (f.nsite) ok(same_steps(&f), "%s: gradients of steps and offsets", f.what);
    }
    tear_down(&f);
}

/* ---- whole runs ------------------------------------------------------------------------------------------------------- */
static void run_batch(const fixture *f, size_t t)
{
    const qs_tensor *images = qs_model_find(f->m, "images"), *labels = qs_model_find(f->m, "labels");
    size_t each = images->n / labels->n;
    float *x = qs_plan_input(f->plan);
    for (size_t i = 0; i < f->batch * each; i++) x[i] = (float)(qs_tensor_at(images, t * f->batch * each + i) - 128) / 64;
    for (size_t i = 0; i < f->batch; i++) qs_plan_labels(f->plan)[i] = (int32_t)qs_tensor_at(labels, t * f->batch + i);
}

static void follow(fixture *f, qs_optim *optim)
{
    const json_t *want = json_object_get(f->row, "loss");
    float *grad[64] = {0};
    double worst = 0;
    for (int i = 0; i < f->net->nparam; i++) grad[i] = f->net->param[i].trained ? qs_plan_grad(f->plan, i) : NULL;
    for (size_t t = 0; t < json_array_size(want); t++) {
        size_t right;
        run_batch(f, t);
        qs_plan_forward(f->plan, QS_BN_TRAIN);
        double loss = qs_plan_loss(f->plan, f->batch, &right), torch = json_number_value(json_array_get(want, t));
        double apart = fabs(loss / torch - 1);
        if (!(apart <= 1e-4)) printf("# %s, step %zu: loss %.9g, torch %.9g\n", f->what, t, loss, torch);
        worst = fmax(worst, apart);
        qs_plan_backward(f->plan);
        qs_optim_step(optim, f->net, grad, f->site, number(f->row, "lr"), qs_optim_norm(optim, grad));
        qs_plan_weights(f->plan);
    }
    ok(worst <= 1e-4, "%s: the loss of %zu steps, apart by %.1e at most", f->what, json_array_size(want), worst);
}

static void where_it_ends(const fixture *f)
{
    bool steps = true, weights = true;
    for (size_t i = 0; i < f->nsite; i++) {
        const qs_site *s = &f->site[i];
        const json_t *r = json_array_get(json_object_get(f->row, "sites"), i);
        steps &= same_numbers(f, s, "step", s->step, json_object_get(r, "end_step"), 1e-4);
        if (s->offset) steps &= same_numbers(f, s, "offset", s->offset, json_object_get(r, "end_offset"), 1e-4);
    }
    for (int i = 0; i < f->net->nparam; i++)
        weights &= agree(f, "end/", f->net->param[i].name, f->net->param[i].v, f->net->param[i].n, 1e-4);
    ok(steps, "%s: steps and offsets end where torch's do", f->what);
    ok(weights, "%s: weights, biases and running statistics too", f->what);
}

static void run(const json_t *row, const qs_model *m, size_t number_)
{
    const qs_optim_opts o = {.kind = QS_SGD, .momentum = number(row, "momentum"), .decay = number(row, "weight_decay")};
    fixture f;
    qs_optim optim = {0};
    qs_err err = {0};
    int rc = build(&f, row, m, number_, &err);
    if (!rc) rc = qs_optim_init(&optim, &o, f.net, f.site, f.nsite, &err);
    if (ok(!rc, "%s can be made%s%s", f.what, rc ? ": " : "", err.msg)) {
        follow(&f, &optim);
        where_it_ends(&f);
    }
    qs_optim_clear(&optim);
    tear_down(&f);
}

static void every(const char *name, size_t least, void (*one)(const json_t *, const qs_model *, size_t))
{
    char *file = qs_xasprintf("%s.safetensors", name), *text_file = qs_xasprintf("%s.json", name);
    char *tensors = golden(file), *rows = golden(text_file);
    qs_err err = {0};
    json_error_t jerr = {0};
    qs_model *m = qs_model_open(tensors, &err);
    json_t *all = json_load_file(rows, 0, &jerr);
    if (ok(m && json_array_size(all) >= least, "golden file %s: %s%s", name, err.msg, all ? "" : jerr.text))
        for (size_t i = 0; i < json_array_size(all); i++) one(json_array_get(all, i), m, i);
    json_decref(all);
    qs_model_unref(m);
    free(file);
    free(text_file);
    free(tensors);
    free(rows);
}

int main(void)
{
    every("qat_layers", 40, layer);
    every("qat_runs", 4, run);
    return done();
}
