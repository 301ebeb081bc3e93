/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Quantized models: finds the tensors that are codes, scales and zero points of one weight and puts one tensor in their
 * place. Runs after every reader. How programs name and shape them is join_schemes.c's.
 *
 * What does not fit stays as it was, and the model's note says why.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "model/join_in.h"

/* ---- going over a model ------------------------------------------------------------------------------------------ */
typedef struct joining {
    qs_model *m;
    const qs_tensor **gone;    /* (ngone) parts of what was joined */
    size_t ngone, cap;
    qs_tensor **made;          /* (m->n) in place of tensor i, or NULL */
    size_t joined;
    const char *scheme;        /* of the first */
    char why[160];             /* the first that does not fit */
    size_t failed;
    uint64_t may;              /* bit k: the model has scales of the names of rule k at all */
    qs_str name;               /* kept from one to the next */
} joining;

static void take(joining *w, const qs_tensor *t)
{
    if (!t) return;
    if (w->ngone == w->cap) w->gone = qs_xrealloc(w->gone, (w->cap = 2 * w->cap + 16) * sizeof *w->gone);
    w->gone[w->ngone++] = t;
}

static void fail(joining *w, const char *why)
{
    if (!w->failed++) snprintf(w->why, sizeof w->why, "%s", why);
}

/* Makes the tensor in place of number i. */
static void make(joining *w, size_t i, const qs_join_rule *r, qs_found *f)
{
    char *name = qs_xasprintf("%s%s", f->stem, r->joined);
    qs_tensor *other = qs_model_find(w->m, name), *c = f->part[CODES];
    qs_err err = {0};
    if (other && other != c) {
        qs_join_no(f, _("%s is there beside its codes"), name);
    } else if (!(w->made[i] = f->blocks ? qs_scaled_tensor(name, c, f->part[SCALE], &err)
                                        : qs_joined_tensor(name, f->ndim, f->shape, &f->j, f->part, &err))) {
        qs_join_no(f, "%s: %s", name, err.msg);
    } else {
        f->j.level = NULL;      /* taken over */
        if (f->told && f->told->bits) {
            w->made[i]->out_axis = 0;
            w->made[i]->in_axes = 1u << 1;
            w->made[i]->use = f->told->use;
        } else if (f->ndim == c->ndim) {
            w->made[i]->out_axis = c->out_axis;
            w->made[i]->in_axes = c->in_axes;
            w->made[i]->use = c->use;
        }
        for (int k = 0; k < 4; k++) take(w, f->part[k]);
        take(w, f->also);
        if (!w->joined++) w->scheme = r->scheme;
    }
    free(name);
}

static qs_found start(const joining *w, const qs_join_rule *r, const qs_told *told)
{
    return (qs_found){.m = w->m, .told = told,
                   .j = {.scheme = r->scheme, .inner = 1, .outer_block = 1, .axis_block = 1, .factor = 1}};
}

/* Where in name what comes before ending is over; 0: it does not end like that, or is nothing else. */
static size_t stem_of(const char *name, size_t n, const char *ending)
{
    size_t e = strlen(ending);
    return n > e && !memcmp(name + n - e, ending, e) ? n - e : 0;
}

static qs_tensor *partner(joining *w, const char *stem, const char *ending)
{
    if (!*ending) return NULL;
    w->name.n = 0;
    qs_str_add(&w->name, stem);
    qs_str_add(&w->name, ending);
    return qs_model_find(w->m, w->name.s);
}

/* Tensor i by one rule. true: nothing more is to be tried. */
static bool by_rule(joining *w, size_t i, const qs_join_rule *r, char *why, size_t size)
{
    qs_tensor *t = w->m->tensors[i];
    size_t n = stem_of(t->name, strlen(t->name), r->ending[CODES]);
    if (!n) return false;
    qs_found f = start(w, r, NULL);
    f.stem = qs_xasprintf("%.*s", (int)n, t->name);
    f.part[CODES] = t;
    for (int k = SCALE; k <= EXTRA; k++) f.part[k] = partner(w, f.stem, r->ending[k]);
    bool scales = r->powers ? f.part[SCALE] && f.part[SCALE]->dtype == QS_U8 : qs_join_is_scale(f.part[SCALE]);
    if (scales && r->fit(&f)) make(w, i, r, &f);
    if (*f.why) snprintf(why, size, "%s", f.why);
    free(f.j.level);
    free(f.stem);
    return w->made[i];
}

/* Most models have no scales, and then no partner of a hundred thousand tensors is looked for. */
static void look_for_scales(joining *w)
{
    for (size_t i = 0; i < w->m->n; i++) {
        const char *name = w->m->tensors[i]->name;
        size_t n = strlen(name);
        for (int k = 0; qs_join_rules[k].scheme; k++)
            if (stem_of(name, n, qs_join_rules[k].ending[SCALE])) w->may |= UINT64_C(1) << k;
    }
}

static void by_name(joining *w)
{
    look_for_scales(w);
    for (size_t i = 0; i < w->m->n; i++) {
        char why[160] = "";
        bool done = w->made[i] != NULL;
        for (int k = 0; qs_join_rules[k].scheme && !done; k++) done = w->may >> k & 1 && by_rule(w, i, &qs_join_rules[k], why, sizeof why);
        if (!done && *why) fail(w, why);
    }
}

static int by_codes(const void *a, const void *b)
{
    const qs_told *x = a, *y = b;
    return (x->codes > y->codes) - (x->codes < y->codes);
}

static void by_told(joining *w)
{
    const qs_hints *h = w->m->hints;
    qsort(h->told, h->ntold, sizeof *h->told, by_codes);
    for (size_t i = 0; i < w->m->n; i++) {
        const qs_told key = {.codes = w->m->tensors[i]};
        const qs_told *told = bsearch(&key, h->told, h->ntold, sizeof key, by_codes);
        if (!told) continue;
        const qs_join_rule *r = told->bits ? &qs_join_onnx_bits : &qs_join_onnx;
        qs_found f = start(w, r, told);
        f.stem = told->codes->name;
        f.part[CODES] = told->codes;
        f.part[SCALE] = told->scale;
        f.part[ZERO] = told->zero;
        if (qs_join_is_scale(told->scale) && r->fit(&f)) make(w, i, r, &f);
        if (*f.why) fail(w, f.why);
        free(f.j.level);
    }
}

static int by_address(const void *a, const void *b)
{
    const qs_tensor *x = *(const qs_tensor *const *)a, *y = *(const qs_tensor *const *)b;
    return (x > y) - (x < y);
}

/* The joined tensors in the places of their codes, without what went into them. */
static void rebuild(joining *w)
{
    size_t n = 0;
    qs_tensor **list = qs_xcalloc(w->m->n, sizeof *list);
    qsort(w->gone, w->ngone, sizeof *w->gone, by_address);
    for (size_t i = 0; i < w->m->n; i++) {
        if (w->made[i]) list[n++] = w->made[i];
        else if (!bsearch(&w->m->tensors[i], w->gone, w->ngone, sizeof *w->gone, by_address)) list[n++] = qs_tensor_ref(w->m->tensors[i]);
    }
    qs_model_replace(w->m, list, n);
    free(list);
}

static void say(joining *w)
{
    qs_str s = {0};
    if (w->m->note) qs_str_addf(&s, "%s; ", w->m->note);
    if (w->joined) qs_str_addf(&s, _("%zu tensors are made of codes and their scales (%s)"), w->joined, w->scheme);
    if (w->failed) qs_str_addf(&s, _("%s%zu with codes stay as they are: %s"), w->joined ? "; " : "", w->failed, w->why);
    free(w->m->note);
    w->m->note = s.s;
}

void qs_model_join(qs_model *m)
{
    joining w = {.m = m, .made = qs_xcalloc(m->n, sizeof *w.made)};
    if (m->hints && m->hints->ntold) by_told(&w);
    by_name(&w);
    if (w.joined) rebuild(&w);
    if (w.joined || w.failed) say(&w);
    free(w.name.s);
    free(w.gone);
    free(w.made);
    qs_hints_free(m->hints);
    m->hints = NULL;
}

/* ---- what readers tell --------------------------------------------------------------------------------------------- */
static qs_hints *hints_of(qs_model *m)
{
    if (!m->hints) m->hints = qs_xcalloc(1, sizeof *m->hints);
    return m->hints;
}

void qs_join_told(qs_model *m, const qs_told *t)
{
    qs_hints *h = hints_of(m);
    h->told = qs_xrealloc(h->told, (h->ntold + 1) * sizeof *h->told);
    h->told[h->ntold++] = *t;
}

qs_tensor *qs_join_parts(const char *name, const char *scheme, const qs_told *told, qs_err *err)
{
    qs_tensor *t = NULL;
    qs_found f = {.told = told, .part = {told->codes, told->scale, told->zero}, .stem = told->codes->name,
               .j = {.scheme = scheme, .inner = 1, .outer_block = 1, .axis_block = 1, .factor = 1}};
    if (!qs_join_is_scale(told->scale)) qs_join_no_shape(&f, told->scale);
    else if (qs_join_onnx.fit(&f)) t = qs_joined_tensor(name, f.ndim, f.shape, &f.j, f.part, err);
    else if (!*f.why) qs_join_no_shape(&f, told->codes);
    if (*f.why) qs_fail(err, QS_EFORMAT, "%s", f.why);
    if (!t) free(f.j.level);
    return t;
}

void qs_join_format(qs_model *m, const char *format)
{
    qs_hints *h = hints_of(m);
    free(h->format);
    h->format = qs_xstrdup(format);
}

void qs_hints_free(qs_hints *h)
{
    if (!h) return;
    free(h->format);
    free(h->told);
    free(h);
}
