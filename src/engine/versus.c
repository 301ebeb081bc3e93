/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A quantized tensor against the float one it was made of, where another open model has that: how far apart they are
 * (pairs.h), and where the float values lie on the bins of its histogram. Of the tensor as a whole, whatever part is looked
 * at; the histogram is of the part.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "engine/pairs.h"
#include "engine/state.h"

void versus_clear(struct versus *v)
{
    if (v->a) qs_tensor_unref(v->a);
    free(v->s.bins);
    *v = (struct versus){0};
}

static bool quantized(const qs_tensor *t) { return t->packed || t->dtype == QS_F8_E4M3 || t->dtype == QS_F8_E5M2; }

bool versus_wanted(const qs_session *s) { return s->sel.t && quantized(s->sel.t); }

/* The first that is there, in the order the models were opened. */
static bool find(const qs_session *s, qs_pair *p, const qs_model **in)
{
    *p = (qs_pair){.b = s->sel.t};
    for (size_t i = 0; i < s->nmodel; i++) {
        *in = s->model[i];
        p->a = *in == s->sel.m ? NULL : qs_model_match(*in, p->b->name, &p->how);
        if (p->a && p->a->n && qs_dtype_float(p->a->dtype) && !quantized(p->a)) return true;
    }
    return false;
}

static void put_numbers(qs_snap_versus *o, const qs_diff *d)
{
    o->there = true;
    o->n = d->n;
    o->mse = d->mse;
    o->energy = d->energy;
    o->sqnr = d->sqnr_db;
    o->max_abs = d->max_abs;
    o->bias = d->bias;
    o->bpw = d->bpw;
    o->levels = d->levels;
    o->used = d->used;
}

int versus_measure(qs_session *s, qs_err *err)
{
    struct versus *v = &s->view.versus;
    const qs_model *in;
    qs_pair p;
    versus_clear(v);
    if (find(s, &p, &in)) {
        int rc = qs_pair_measure(&p, &s->work, err);
        if (rc) return rc;
        snprintf(v->s.model, sizeof v->s.model, "%s", in->path);
        snprintf(v->s.tensor, sizeof v->s.tensor, "%s", p.a->name);
        snprintf(v->s.note, sizeof v->s.note, "%s", p.note);
        if (p.measured) {
            put_numbers(&v->s, &p.d);
            v->a = qs_tensor_ref(p.a);
        }
    }
    v->made = s->gen.tensor;
    v->models = s->nmodel;
    return 0;
}

/* The range and the number of bins are those of the histogram there is. */
int versus_bins(qs_session *s, const qs_split *split, size_t part, qs_err *err)
{
    struct versus *v = &s->view.versus;
    const qs_hist *h = &s->view.hist;
    qs_hist mine = {0};
    qs_err e = {0};
    free(v->s.bins);
    v->s.bins = NULL;
    qs_index *ix = v->a && h->bins ? qs_cache_get(s->cache, v->a, split, part, &s->work, &e) : NULL;
    if (ix && !qs_hist_index(ix, h->lo, h->hi, h->bins, h->log_x, &mine, NULL)) {
        v->s.bins = qs_xmalloc(h->bins * sizeof *v->s.bins);
        for (size_t i = 0; i < h->bins; i++) v->s.bins[i] = (double)mine.count[i];
        qs_hist_clear(&mine);
    }
    qs_index_unref(ix);
    if (e.code == QS_ECANCEL) return qs_fail(err, QS_ECANCEL, "%s", e.msg);
    v->bins_made = s->view.hist_seq;
    return 0;
}
