/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The gradients of training's quantizers against torch: autograd through clamp, a straight-through round and scaled
 * gradients, in double; and its learnable kernels (golden/torch_sites.safetensors, make_torch.py).
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "train/site.h"
#include "../tap.h"

struct instance {                  /* one case, read from the name of its tensors */
    int number;
    char format[40], kind[8], mask[8], learn[8], scale[8], prefix[120];
    const qs_model *m;
};

static const qs_tensor *part(const struct instance *c, const char *what)
{
    char name[160];
    snprintf(name, sizeof name, "%s/%s", c->prefix, what);
    return qs_model_find(c->m, name);
}

/* A net with one layer whose weights, or whose input of so many images, have the shape of x. */
static qs_net *net_for(const qs_tensor *x, bool act)
{
    const int64_t *d = x->shape;
    qs_layer l = {.op = x->ndim == 4 ? QS_OP_CONV : QS_OP_LINEAR, .in = -1, .in2 = -1, .out = act ? 1 : (int)d[0], .kernel =
                  act ? 1 : x->ndim == 4 ? (int)d[2] : 0};
    qs_net *net = act ? qs_net_new((int)d[1], (int)d[2], (int)d[3], NULL) : x->ndim == 4 ? qs_net_new(8, 8, (int)d[1], NULL)
                                                                                   : qs_net_new(1, 1, (int)d[1], NULL);
    if (net) qs_net_add(net, &l, NULL);
    return net;
}

/* The largest relative difference, beyond a slack for what cancels: terms have both signs. */
static double worst_of(const double *got, const qs_tensor *want, double slack)
{
    double worst = 0;
    for (size_t i = 0; i < want->n; i++) {
        double w = qs_tensor_at(want, i);
        worst = fmax(worst, (fabs(got[i] - w) - slack) / (fabs(w) + 1e-300));
    }
    return worst;
}

static void compare(const struct instance *c)
{
    const qs_tensor *x = part(c, "x"), *up = part(c, "up"), *dx = part(c, "dx"), *step = part(c, "step"),
                    *offset = part(c, "offset");
    bool act = !strcmp(c->kind, "input");
    qs_net *net = net_for(x, act);
    qs_site_opts o = {.format = c->format, .learn = c->learn, .mask = strcmp(c->mask, "code") ? QS_MASK_CLAMP : QS_MASK_CODE,
                      .gscale = strcmp(c->scale, "none") ? QS_GSCALE_BATCH : QS_GSCALE_NONE};
    qs_site s;
    qs_err e = {0};
    if (qs_site_init(&s, net, 1, act, &o, act ? (size_t)x->shape[0] : 7, 3, &e)) {
        ok(0, "%s: %s", c->prefix, e.msg);
        return;
    }
    double *st = qs_xcalloc(2 * s.parts, sizeof *st), *of = st + s.parts, terms = 0;
    float *g = qs_xmalloc(x->n * sizeof *g);
    for (size_t p = 0; p < s.parts && step->n == s.parts; p++) {
        st[p] = qs_tensor_at(step, p);
        if (offset) of[p] = qs_tensor_at(offset, p);
    }
    qs_site_set(&s, st, offset ? of : NULL);
    qs_tensor_read(up, 0, x->n, g);
    for (size_t i = 0; i < x->n; i++) terms += fabs((double)g[i]);
    qs_site_zero(&s);
    for (size_t k = 0; k < 3; k++) {
        size_t from = k * x->n / 3, to = (k + 1) * x->n / 3;
        qs_site_backward(&s, qs_tensor_floats(x) + from, from, to - from, k, g + from);
    }
    qs_site_end(&s, act ? NULL : qs_tensor_floats(x), act ? NULL : g);
    double apart = 0, scale = s.raw[0] != 0 ? fabs(s.dstep[0] / s.raw[0]) : 1;
    for (size_t i = 0; i < x->n; i++) apart = fmax(apart, fabs(g[i] - qs_tensor_at(dx, i)));
    /* Places are float32: each is wrong by half a unit in its last place at most. torch's kernels sum in float32 too. */
    double unit = 0x1p-24 * (s.f->qp > s.f->qn ? s.f->qp : s.f->qn);
    double slack = fmax(unit, strcmp(c->mask, "code") ? 0 : 1e-6) * terms * scale / (double)s.parts;
    double ds = worst_of(s.dstep, part(c, "dstep"), slack);
    double db = offset ? worst_of(s.doffset, part(c, "doffset"), 1e-7 * terms * scale / (double)s.parts) : 0;
    ok(step->n == s.parts && apart == 0 && ds <= 1e-5 && db <= 1e-5, "torch: %s (dstep %.1e, doffset %.1e)", c->prefix, ds,
       db);
    free(st);
    free(g);
    qs_site_clear(&s);
    qs_net_unref(net);
}

int main(void)
{
    const char *top = getenv("top_srcdir");
    char *path = qs_xasprintf("%s/tests/oracle/golden/torch_sites.safetensors", top ? top : ".");
    qs_err e = {0};
    qs_model *m = qs_model_open(path, &e);
    size_t cases = 0;
    for (size_t i = 0; m && i < m->n; i++) {
        struct instance c = {.m = m};
        char what[16];
        const char *name = m->tensors[i]->name;
        if (sscanf(name, "%d %39s %7s %7s %7s %7[a-z]/%15s", &c.number, c.format, c.kind, c.mask, c.learn, c.scale, what) != 7 ||
            strcmp(what, "x"))
            continue;
        snprintf(c.prefix, sizeof c.prefix, "%.*s", (int)(strrchr(name, '/') - name), name);
        compare(&c);
        cases++;
    }
    ok(cases >= 40, "%zu cases %s", cases, e.msg);
    qs_model_unref(m);
    free(path);
    return done();
}
