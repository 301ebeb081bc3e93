/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The rows of the tensor list: what is known about each, kept for the formats
 * used last, and the object that snapshots share. A new object is made only when
 * rows changed, and not more often than frames are drawn.
 */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "engine/state.h"

/* ---- sets of rows, one for each format and init --------------------------------------- */
static void set_clear(struct rowset *r)
{
    free(r->format);
    free(r->init);
    free(r->row);
    *r = (struct rowset){0};
}

void list_clear(struct list *l)
{
    for (size_t i = 0; i < ROWSETS; i++) set_clear(&l->set[i]);
    free(l->base);
    qs_snap_list_unref(l->made);
    *l = (struct list){0};
}

static bool set_is(const struct rowset *r, const struct sel *n)
{
    return r->row && r->id == init_id(n->init) && !strcmp(r->format, n->f->text) && !strcmp(r->init, n->init);
}

static double bits_of(const qs_model *m, const qs_format *f)
{
    double bits = 0;
    for (size_t i = 0; i < m->n; i++)
        if (!qs_tensor_reason(m->tensors[i])) bits += qs_format_bpw(f, m->tensors[i]) * (double)m->tensors[i]->n;
    return bits;
}

static struct rowset *set_for(struct list *l, const struct sel *n)
{
    struct rowset *old = &l->set[0];
    for (size_t i = 0; i < ROWSETS; i++) {
        if (set_is(&l->set[i], n)) return &l->set[i];
        if (l->set[i].used < old->used) old = &l->set[i];
    }
    set_clear(old);
    old->format = qs_xstrdup(n->f->text);
    old->init = qs_xstrdup(n->init);
    old->id = init_id(n->init);
    old->row = qs_xcalloc(n->m->n, sizeof *old->row);
    old->bits = bits_of(n->m, n->f->f);
    return old;
}

/* Rows that are known already need no work. */
static void skip_known(struct list *l)
{
    l->sampled = l->exact = 0;
    while (l->sampled < l->m->n && l->base[l->sampled].known && l->cur->row[l->sampled].known) l->sampled++;
    while (l->exact < l->m->n && l->base[l->exact].known == EXACT && l->cur->row[l->exact].known == EXACT) l->exact++;
}

/* ---- labels ------------------------------------------------------------------------------- */
static bool parts_words(char c) { return c == '/' || c == '.' || c == ':'; }

/* What all weights share in front of and behind the words that tell them apart: whole words only, and never a whole name. */
static void shared_path(struct list *l)
{
    const char *first = NULL;
    size_t least = SIZE_MAX, head = SIZE_MAX, tail = SIZE_MAX, weights = 0;
    for (size_t i = 0; i < l->m->n; i++) {
        const char *s = l->m->tensors[i]->name;
        size_t n = strlen(s), a = 0, b = 0;
        if (qs_tensor_reason(l->m->tensors[i])) continue;
        if (!first) first = s;
        size_t nf = strlen(first);
        while (a < n && a < nf && a < head && s[a] == first[a]) a++;
        while (b < n && b < nf && b < tail && s[n - 1 - b] == first[nf - 1 - b]) b++;
        head = a;
        tail = b;
        least = n < least ? n : least;
        weights++;
    }
    l->head = l->tail = 0;
    l->weight_name = first ? first : "";
    if (weights < 2) return;
    while (head && !parts_words(first[head - 1])) head--;
    while (tail && !parts_words(first[strlen(first) - tail])) tail--;
    if (head + tail < least) {
        l->head = head;
        l->tail = tail;
    }
}

/* Drops a last word that the one before says already: "conv2d_9/Conv2D" -> "conv2d_9". */
static void drop_echo(char *label)
{
    char sep = strchr(label, '/') ? '/' : '.', *last = strrchr(label, sep);
    if (!last || last == label || !isalpha((unsigned char)last[1])) return;
    *last = '\0';
    const char *before = strrchr(label, sep);
    if (!strcasestr(before ? before : label, last + 1)) *last = sep;
}

char *list_label(const qs_session *s, const qs_tensor *t)
{
    const struct list *l = &s->list;
    size_t n = strlen(t->name), head = l->head, tail = l->tail;
    if (n <= head || strncmp(t->name, l->weight_name, head)) head = 0;
    if (n <= head + tail || strcmp(t->name + n - tail, l->weight_name + strlen(l->weight_name) - tail)) tail = 0;
    if (!(head + tail)) return NULL;
    char *label = qs_xasprintf("%.*s", (int)(n - head - tail), t->name + head);
    drop_echo(label);
    return label;
}

void list_follow(qs_session *s)
{
    struct list *l = &s->list;
    if (l->m != s->sel.m) {
        list_clear(l);
        l->m = s->sel.m;
        if (l->m) {
            l->base = qs_xcalloc(l->m->n, sizeof *l->base);
            shared_path(l);
        }
    }
    if (!l->m || (l->cur && set_is(l->cur, &s->sel))) return;
    l->cur = set_for(l, &s->sel);
    l->cur->used = ++l->clock;
    skip_known(l);
    l->changed = true;
    qs_snap_list_unref(l->made);     /* of another format: not to be shown any more */
    l->made = NULL;
}

/* ---- the object ---------------------------------------------------------------------------- */
static double decibel(double error, double energy)
{
    return !(energy > 0) ? NAN : error > 0 ? -10 * log10(error / energy) : INFINITY;
}

static void put_error(const struct row_err *e, qs_snap_row *o)
{
    o->sqnr = o->mse_ratio = o->sqnr_channel = NAN;
    if (e->known == NOT_KNOWN || !e->there) return;
    o->sqnr = decibel(e->mse, e->energy);
    o->sqnr_channel = isnan(e->channel) ? NAN : decibel(e->channel, e->energy);
    o->mse_ratio = isnan(e->best) ? NAN : e->best > 0 ? e->mse / e->best : e->mse == 0 ? 1 : NAN;
}

static void put_row(const qs_tensor *t, const struct row_base *b, const struct row_err *e, qs_snap_row *o)
{
    const char *why = qs_tensor_reason(t);
    o->name = qs_xstrdup(t->name);
    qs_tensor_shape_text(t, o->shape, sizeof o->shape);
    snprintf(o->dtype, sizeof o->dtype, "%s", t->dtype_text ? t->dtype_text : qs_dtype_name(t->dtype));
    o->reason = why ? qs_xstrdup(_(why)) : NULL;
    o->n = t->n;
    o->std = b->known == NOT_KNOWN ? NAN : b->std;
    o->kurtosis = b->known == NOT_KNOWN ? NAN : b->kurtosis;
    o->has_spark = b->has_spark;
    memcpy(o->spark, b->spark, sizeof o->spark);
    put_error(e, o);
    o->sampled = b->known == SAMPLED || e->known == SAMPLED;
}

struct total { double error, channel, energy; };

static void add_total(struct total *sum, const struct row_err *e, double n)
{
    if (!e->there || e->known == NOT_KNOWN) return;
    sum->error += e->mse * n;
    sum->energy += e->energy * n;
    sum->channel += e->channel * n;      /* one that is not known makes the sum unknown */
}

static qs_snap_list *make(const qs_session *s)
{
    const struct list *l = &s->list;
    const qs_model *m = l->m;
    qs_snap_list *o = qs_xcalloc(1, sizeof *o);
    struct total sum = {0};
    atomic_init(&o->refs, 1);
    o->n = m->n;
    o->row = qs_xcalloc(m->n, sizeof *o->row);
    o->weights = m->weights;
    o->values = m->values;
    o->bits_total = l->cur->bits;
    for (size_t i = 0; i < m->n; i++) {
        const struct row_err *e = &l->cur->row[i];
        put_row(m->tensors[i], &l->base[i], e, &o->row[i]);
        o->row[i].label = list_label(s, m->tensors[i]);
        add_total(&sum, e, (double)m->tensors[i]->n);
        o->known += e->known != NOT_KNOWN && l->base[i].known != NOT_KNOWN;
    }
    o->sqnr_total = decibel(sum.error, sum.energy);
    o->sqnr_total_channel = isnan(sum.channel) ? NAN : decibel(sum.channel, sum.energy);
    return o;
}

qs_snap_list *list_snap(qs_session *s, bool force)
{
    struct list *l = &s->list;
    if (!l->m) return NULL;
    double now = qs_now();
    if (!l->made || (l->changed && (now - l->made_at >= FRAME || (force && !list_open(s))))) {
        qs_snap_list_unref(l->made);
        l->made = make(s);
        l->made_at = now;
        l->changed = false;
    }
    atomic_fetch_add(&l->made->refs, 1);
    return l->made;
}
