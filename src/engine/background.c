/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Work of the quiet moments: the rows of the list, first all from samples, then
 * each exactly, in the order of the model. A row that has to give way is begun
 * again the next time; what is done stays done.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "engine/state.h"

#define ROW_CACHE ((size_t)512 << 20)   /* for the indexes of one row, while it is worked on */

bool list_open(const qs_session *s)
{
    const struct list *l = &s->list;
    return s->board && l->m && (l->sampled < l->m->n || l->exact < l->m->n);
}

/* The same format with one quantizer a channel, for the gain there would be. */
static qs_format *per_channel(const struct fmt *f)
{
    char *text = qs_xasprintf("%.*s@channel", (int)strcspn(f->text, "@"), f->text);
    qs_format *c = qs_format_parse(text, NULL);
    free(text);
    return c;
}

static bool quantized(const qs_tensor *t) { return !qs_tensor_reason(t); }

/* ---- from a sample ------------------------------------------------------------------- */
static void sample_row(qs_session *s, size_t i, const qs_format *channel)
{
    struct list *l = &s->list;
    qs_tensor *t = l->m->tensors[i];
    struct row_err *e = &l->cur->row[i];
    if (l->base[i].known == NOT_KNOWN) sample_base(t, &l->base[i]);
    if (e->known != NOT_KNOWN) return;
    if (quantized(t)) sample_error(t, s->sel.f->f, channel, s->sel.init, &s->work, e);
    e->known = SAMPLED;
    l->changed = s->news = true;
}

/* ---- exactly ------------------------------------------------------------------------------- */
static int exact_base(qs_session *s, qs_tensor *t, struct row_base *b, qs_err *err)
{
    qs_summary m;
    qs_hist h = {0};
    double lo, hi, count[QS_SPARK];
    if (t->dtype == QS_UNKNOWN_DTYPE || !t->n) {
        *b = (struct row_base){.known = EXACT, .std = NAN, .kurtosis = NAN};
        return 0;
    }
    int rc = qs_summary_tensor(t, &s->work, &m, err);
    if (rc) return rc;
    bool some = m.nans + m.infs < m.n;
    struct row_base r = {.known = EXACT, .std = some ? m.std : NAN, .kurtosis = some ? m.kurtosis : NAN};
    spark_range(m.mean, m.std, m.min, m.max, &lo, &hi);
    if (lo < hi) {
        rc = qs_hist_tensor(t, lo, hi, QS_SPARK, &s->work, &h, err);
        if (rc == -QS_ECANCEL) return rc;
        for (size_t k = 0; k < QS_SPARK && !rc; k++) count[k] = (double)h.count[k];
        if (!rc) spark_of(count, r.spark);
        r.has_spark = !rc;
        qs_hist_clear(&h);
    }
    *b = r;
    return 0;
}

/* The mean squared error of an init in a format; 1: it does not apply, or there is no finite value. */
static int exact_mse(qs_session *s, qs_tensor *t, const qs_format *f, const char *init, qs_cache *cache, double *mse,
                     double *energy, qs_err *err)
{
    qs_qerror e = {0};
    qs_err why = {0};
    *mse = NAN;
    qs_quantizer *q = f ? qs_init_tensor(init, t, f, NULL, cache, &s->work, &why) : NULL;
    if (q && !qs_error_tensor(q, t, cache, &s->work, &e, &why)) {
        *mse = e.mse;
        if (energy) *energy = e.energy;
        qs_qerror_clear(&e);
    }
    if (q) qs_quantizer_unref(q);
    if (why.code == QS_ECANCEL && err) *err = why;
    return why.code == QS_ECANCEL ? -QS_ECANCEL : isnan(*mse);
}

static int exact_error(qs_session *s, qs_tensor *t, const qs_format *channel, qs_cache *cache, struct row_err *e,
                       qs_err *err)
{
    struct row_err r = {.known = EXACT, .best = NAN, .channel = NAN};
    const qs_format *f = s->sel.f->f;
    double none;
    int rc = exact_mse(s, t, f, s->sel.init, cache, &r.mse, &r.energy, err);
    r.there = rc == 0;
    if (!rc && !strcmp(s->sel.init, "mse")) r.best = r.mse;
    else if (!rc) rc = exact_mse(s, t, f, "mse", cache, &r.best, NULL, err);
    if (rc >= 0 && r.there) {
        bool is = f->gran == QS_SPLIT_CHANNEL && f->axis < 0;
        if (is) r.channel = r.mse;
        else rc = exact_mse(s, t, channel, s->sel.init, cache, &r.channel, &none, err);
    }
    if (rc == -QS_ECANCEL) return rc;
    *e = r;
    return 0;
}

/* Indexes made here do not push out those of the tensors the user looks at: they are gone after the row. */
static int exact_row(qs_session *s, size_t i, const qs_format *channel, qs_err *err)
{
    struct list *l = &s->list;
    qs_tensor *t = l->m->tensors[i];
    int rc = l->base[i].known == EXACT ? 0 : exact_base(s, t, &l->base[i], err);
    if (!rc && l->cur->row[i].known != EXACT) {
        qs_cache *own = t == s->sel.t || !quantized(t) ? NULL : qs_cache_new(ROW_CACHE);
        if (quantized(t)) rc = exact_error(s, t, channel, own ? own : s->cache, &l->cur->row[i], err);
        else l->cur->row[i].known = EXACT;
        qs_cache_free(own);
    }
    if (!rc) l->changed = s->news = true;
    return rc;
}

/* ---- a slice ------------------------------------------------------------------------------------ */
int list_slice(qs_session *s, double until, qs_err *err)
{
    struct list *l = &s->list;
    int rc = 0;
    if (!list_open(s)) return 0;
    qs_format *channel = per_channel(s->sel.f);
    work_ctl(s, NULL, ~0u, true);
    while (!rc && l->sampled < l->m->n && qs_now() < until && !(rc = work_check(s, err)))
        sample_row(s, l->sampled++, channel);
    while (!rc && l->sampled == l->m->n && l->exact < l->m->n && qs_now() < until) {
        rc = work_check(s, err);
        if (!rc) rc = exact_row(s, l->exact, channel, err);
        if (!rc || (rc == -QS_ECANCEL && qs_cancelled(&s->work))) l->exact++;   /* Ctrl-C: this row stays as it is */
    }
    qs_format_free(channel);
    return rc;
}
