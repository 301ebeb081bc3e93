/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The sites of a run: which layers are quantized how, and where their parameters start. Options are laid over each
 * other: what holds for all weights or inputs, what the first and last layers say, what a layer is told by name.
 *
 * Initialization walks through the network: each input sees what the quantizers before it leave of the images.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "train/run_work.h"

/* ---- layers --------------------------------------------------------------------------- */
bool qs_layer_is(const qs_net *net, int node)
{
    return net->node[node].op == QS_OP_CONV || net->node[node].op == QS_OP_LINEAR;
}

int qs_layer_first(const qs_net *net)
{
    for (int i = 0; i < net->n; i++)
        if (qs_layer_is(net, i)) return i;
    return -1;
}

int qs_layer_last(const qs_net *net)
{
    for (int i = net->n - 1; i >= 0; i--)
        if (qs_layer_is(net, i)) return i;
    return -1;
}

/* ---- options --------------------------------------------------------------------------- */
static bool quantized(const char *format) { return format && strcmp(format, "float") != 0; }

/* What `over` says replaces what holds so far; what it leaves at 0, NULL or NaN stays. */
static void lay_over(qs_site_opts *o, const qs_site_opts *over)
{
    if (over->format) o->format = over->format;
    if (over->init) o->init = over->init;
    if (over->learn) o->learn = over->learn;
    if (over->mask) o->mask = over->mask;
    if (over->gscale) o->gscale = over->gscale;
    if (over->attached) o->attached = true;
    if (over->step_rate > 0) o->step_rate = over->step_rate;
    if (!isnan(over->step_decay)) o->step_decay = over->step_decay;
    if (over->allocate) o->allocate = over->allocate;
    if (over->correct) o->correct = over->correct;
}

/* The first and last layers; with a format of their own they start by least squares, whatever the others use, and share
 * no bits unless they are told to. */
static void lay_end(qs_site_opts *o, const qs_site_opts *end)
{
    if (end->format && !end->init) o->init = "mse";
    if (end->format) o->allocate = QS_ALLOCATE_NO;
    lay_over(o, end);
}

static qs_site_opts options_of(const qs_run *r, int node, bool act)
{
    const qs_quant_opts *q = &r->o.quant;
    bool first = node == qs_layer_first(r->net), last = node == qs_layer_last(r->net);
    qs_site_opts o = act ? q->acts : q->weights;
    bool any = quantized(o.format);
    if (any && first) lay_end(&o, act ? &q->first_a : &q->first_w);
    if (any && last && !(act && first)) lay_end(&o, act ? &q->last_a : &q->last_w);
    if (act && first) {
        o.format = q->input;   /* the image itself: only if asked for */
        o.allocate = QS_ALLOCATE_NO;
    }
    for (size_t i = 0; i < q->noverride; i++) {
        const struct qs_override *v = &q->override[i];
        if (strcmp(v->layer, r->net->node[node].name)) continue;
        if (act ? v->has_a : v->has_w) lay_over(&o, act ? &v->a : &v->w);
    }
    return o;
}

static int check_overrides(const qs_run *r, qs_err *err)
{
    for (size_t i = 0; i < r->o.quant.noverride; i++) {
        const char *name = r->o.quant.override[i].layer;
        bool found = false;
        for (int k = 0; k < r->net->n; k++) found |= qs_layer_is(r->net, k) && !strcmp(r->net->node[k].name, name);
        if (!found)
            return qs_fail(err, QS_EARG, _("no convolution or linear layer is called %s (the first is %s)"), name,
                           r->net->node[qs_layer_first(r->net)].name);
    }
    return 0;
}

/* The same grid for values of the other kind: "uint2:away" and "int2:away"; NULL where it has none, or holds an offset. */
static char *other_sign(const char *text)
{
    qs_format *f = qs_format_parse(text, NULL), *g = NULL;
    const char *kind = f && !f->offset ? f->base + (f->base[0] == 'u') : "";
    char *other = NULL;
    if (!strcmp(kind, "int") || !strcmp(kind, "apot"))
        other = f->base[0] == 'u' ? qs_xstrdup(text + 1) : qs_xasprintf("u%s", text);
    if (other && !(g = qs_format_parse(other, NULL))) {
        free(other);
        other = NULL;
    }
    qs_format_free(f);
    qs_format_free(g);
    return other;
}

/*
 * The format of a place, malloc'd. The sign of inputs follows what produces them: a number of bits takes it, and a grid
 * of the other kind changes to it, which `note` says; with an offset it stays as it was asked for.
 */
static char *place_format(const char *text, bool act, bool positive, char *note, size_t size)
{
    size_t digits = strspn(text, "0123456789");
    if (digits && strchr(":+@", text[digits])) return qs_xasprintf("%s%s", act && positive ? "uint" : "int", text);
    char *other = act && (text[0] == 'u') != positive ? other_sign(text) : NULL;
    if (!other) return qs_xstrdup(text);
    snprintf(note, size, positive ? _("%s was asked for; these values have no sign") : _("%s was asked for; these values have a sign"),
             text);
    return other;
}

/* ---- making the sites ------------------------------------------------------------------------ */
static int init_site(const qs_run *r, qs_site *s, int node, bool act, const qs_site_opts *o, qs_err *err)
{
    const size_t batch = r->o.batch;
    return qs_site_init(s, r->net, node, act, o, batch, qs_plan_pieces(r->net, node, act, batch), err);
}

/* rcf normalizes weights; where no batch normalization takes the scale away again, the deviation is multiplied back. */
static void place_learn(const qs_run *r, int node, bool act, qs_site_opts *o, char *note, size_t size)
{
    if (act || strcmp(o->learn, "rcf") || qs_net_normalized(r->net, node)) return;
    o->learn = "rcf:rescale";
    snprintf(note, size, "%s", _("rcf:rescale: no batch normalization follows"));
}

static int add_site(qs_run *r, int node, bool act, qs_err *err)
{
    qs_site_opts o = options_of(r, node, act);
    char note[200] = "";
    if (!quantized(o.format)) return 0;
    char *format = place_format(o.format, act, act && qs_net_unsigned(r->net, node), note, sizeof note);
    o.format = format;
    if (!o.init) o.init = "mse";
    if (!o.learn) o.learn = "lsq";
    place_learn(r, node, act, &o, note, sizeof note);
    qs_site *s = &r->site[r->nsite];
    int rc = init_site(r, s, node, act, &o, err);
    free(format);
    if (rc) return rc;
    snprintf(s->note, sizeof s->note, "%s", note);
    r->nsite++;
    return 0;
}

int qs_run_sites(qs_run *r, qs_err *err)
{
    int rc = r->o.quant.on ? check_overrides(r, err) : 0;
    r->site = qs_xcalloc((size_t)r->net->n * 2, sizeof *r->site);
    for (int i = 0; i < r->net->n && !rc && r->o.quant.on; i++) {
        if (!qs_layer_is(r->net, i)) continue;
        rc = add_site(r, i, true, err);
        if (!rc) rc = add_site(r, i, false, err);
    }
    return rc;
}

int qs_run_resite(qs_run *r, size_t i, const char *format, qs_err *err)
{
    qs_site fresh, *s = &r->site[i];
    const qs_site_opts o = {format, s->init, s->learn_name, s->mask, s->gscale, s->attached, s->step_rate, s->step_decay,
                            s->bits ? QS_ALLOCATE_YES : QS_ALLOCATE_NO, s->correct};
    int rc = init_site(r, &fresh, s->node, s->act, &o, err);
    if (rc) return rc;
    snprintf(fresh.note, sizeof fresh.note, "%s", s->note);
    snprintf(fresh.formula, sizeof fresh.formula, "%s", s->formula);
    qs_site_clear(s);
    *s = fresh;
    return 0;
}

/* ---- initialization ------------------------------------------------------------------------------ */
/* An init may have made a codebook: the site is then made anew with it, as a checkpoint makes it. */
static int settle_format(qs_run *r, size_t i, const char *before, qs_err *err)
{
    qs_site *s = &r->site[i];
    char *text = qs_format_print(s->f);
    int rc = 0;
    if (strcmp(text, before)) {
        size_t parts = s->parts;
        double *step = qs_xmalloc(parts * sizeof *step);
        memcpy(step, s->step, parts * sizeof *step);
        rc = qs_run_resite(r, i, text, err);
        if (!rc && s->parts == parts) qs_site_set(s, step, NULL);
        free(step);
    }
    free(text);
    return rc;
}

static int fit(qs_calib *k, size_t i, const float *x, size_t n, const qs_ctl *ctl, qs_err *err)
{
    qs_run *r = k->r;
    qs_site *s = &r->site[i];
    char note[200], *before = qs_format_print(s->f);
    memcpy(note, s->note, sizeof note);
    int rc = qs_site_fit(s, k->init ? k->init[i] : NULL, x, n, ctl, err);
    if (!rc && *note) {
        size_t at = strlen(s->note);
        snprintf(s->note + at, sizeof s->note - at, "%s%s", at ? "; " : "", note);
    }
    if (!rc) rc = settle_format(r, i, before, err);
    free(before);
    return rc;
}

size_t qs_run_images(qs_run *r, size_t from, size_t n, uint32_t *which)
{
    const size_t batch = r->o.batch, whole = r->data->n[QS_PART_TRAIN] / batch * batch;
    size_t m = 0;
    for (; m < n && from + m < whole; m++)
        which[m] = qs_order_batch(&r->work->order, (from + m) / batch)[(from + m) % batch];
    return m;
}

static void load(qs_calib *k, size_t at, size_t batch)
{
    struct qs_evaluator *e = &k->r->work->eval;
    size_t m = k->images - at < batch ? k->images - at : batch;
    for (size_t i = 0; i < batch; i++) e->which[i] = k->which[at + i % m];
    qs_dataset_batch(k->r->data, QS_PART_TRAIN, e->which, batch, NULL, qs_plan_input(e->plan), qs_plan_labels(e->plan));
}

/*
 * What reaches site i, (images * s->n) values. One batch of images goes through the network once, from site to site;
 * of several each comes from the start.
 */
static int collect(qs_calib *k, size_t i, const qs_ctl *ctl, qs_err *err)
{
    qs_plan *p = k->r->work->eval.plan;
    const size_t n = k->r->site[i].n, batch = qs_plan_batch(p);
    const bool once = k->images <= batch;
    for (size_t at = 0; at < k->images; at += batch) {
        int rc = qs_ctl_check(ctl, k->r->site[i].name, (double)i / (double)k->r->nsite, err);
        if (rc) return rc;
        size_t m = k->images - at < batch ? k->images - at : batch;
        bool on = once && k->stands < k->r->nsite;
        if (!on) load(k, at, batch);
        const float *seen = on ? qs_plan_forward_on(p, k->stands, i) : qs_plan_forward_to(p, QS_BN_BATCH, i);
        memcpy(k->x + at * n, seen, m * n * sizeof *k->x);
        k->stands = once ? i : k->stands;
    }
    return 0;
}

static size_t divisor(size_t a, size_t b)
{
    while (b) {
        size_t t = a % b;
        a = b;
        b = t;
    }
    return a;
}

size_t qs_run_thin(const qs_run *r, size_t site, const float *x, size_t n, size_t most, float *out)
{
    const qs_node *from = &r->net->node[r->net->node[r->site[site].node].in[0]];
    const size_t c = (size_t)from->c, pixels = n / c, row = (size_t)from->w;
    size_t stride = (n + most - 1) / most, m = 0;
    while (stride > 1 && divisor(stride, row) > 1) stride++;       /* or some columns would never be looked at */
    for (size_t i = 0; i < pixels; i += stride, m += c)
        if (out) memmove(out + m, x + i * c, c * sizeof *x);
    return m;
}

static int calibrate_site(qs_calib *k, size_t i, const qs_ctl *ctl, qs_err *err)
{
    char what[128];
    qs_run *r = k->r;
    qs_site *s = &r->site[i];
    snprintf(what, sizeof what, _("initialize %s"), s->name);
    int rc = qs_ctl_check(ctl, what, (double)i / (double)r->nsite, err);
    if (rc || (k->keep && k->keep[i])) return rc;
    if (!s->act) return fit(k, i, r->net->param[r->net->node[s->node].weight].v, s->n, ctl, err);
    rc = collect(k, i, ctl, err);
    if (rc) return rc;
    size_t n = k->images * s->n;
    if (k->most && n > k->most) n = qs_run_thin(r, i, k->x, n, k->most, k->x);
    return fit(k, i, k->x, n, ctl, err);
}

int qs_calib_init(qs_calib *k, qs_run *r, qs_err *err)
{
    size_t most = 1;
    *k = (qs_calib){.r = r};
    for (size_t i = 0; i < r->nsite; i++)
        if (r->site[i].act && r->site[i].n > most) most = r->site[i].n;
    k->which = qs_xmalloc(r->o.quant.calib * sizeof *k->which);
    k->images = qs_run_images(r, 0, r->o.quant.calib, k->which);
    k->x = qs_big_alloc(k->images * most * sizeof *k->x);
    if (k->x) return 0;
    int rc = qs_fail(err, QS_ENOMEM, _("no memory for the inputs of a layer on %zu images"), k->images);
    qs_calib_clear(k);
    return rc;
}

void qs_calib_clear(qs_calib *k)
{
    free(k->which);
    qs_big_free(k->x);
}

int qs_calib_run(qs_calib *k, const qs_ctl *ctl, qs_err *err)
{
    struct qs_run_work *w = k->r->work;
    qs_plan *p = w->eval.plan;
    int rc = 0;
    k->stands = k->r->nsite;
    for (size_t i = 0; i < k->r->nsite; i++) w->off[i] = true;
    qs_plan_off(p, w->off);
    qs_plan_weights(p);
    for (size_t i = 0; i < k->r->nsite && !rc; i++) {
        rc = calibrate_site(k, i, ctl, err);
        w->off[i] = false;
        if (!rc && !k->r->site[i].act) qs_plan_weights(p);
    }
    qs_plan_off(p, NULL);
    qs_plan_weights(p);
    return rc;
}

int qs_run_calibrate(qs_run *r, const qs_ctl *ctl, qs_err *err)
{
    qs_calib k;
    int rc = qs_calib_init(&k, r, err);
    if (rc) return rc;
    rc = qs_run_searches(r) ? qs_run_search(&k, ctl, err) : qs_calib_run(&k, ctl, err);
    qs_calib_clear(&k);
    return rc;
}
