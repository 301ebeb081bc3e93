/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A snapshot of the session: copies what the stages have made so far. Computes nothing. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "engine/state.h"

#define FRESH 0.5              /* seconds for which progress of a job is still shown after its last word */

static char *copy(const char *s) { return s ? qs_xstrdup(s) : NULL; }

static double *doubles(const double *v, size_t n)
{
    if (!v || !n) return NULL;
    return memcpy(qs_xmalloc(n * sizeof *v), v, n * sizeof *v);
}

static void put_tensor(const qs_session *s, qs_snapshot *o)
{
    const qs_tensor *t = s->sel.t;
    if (!t) return;
    const char *why = qs_tensor_reason(t);
    char *label = list_label(s, t);
    if (label) snprintf(o->label, sizeof o->label, "%s", label);
    free(label);
    qs_tensor_shape_text(t, o->shape, sizeof o->shape);
    snprintf(o->dtype, sizeof o->dtype, "%s", t->dtype_text ? t->dtype_text : qs_dtype_name(t->dtype));
    o->reason = why ? qs_xstrdup(_(why)) : NULL;
    o->bpw = why ? NAN : qs_format_bpw(s->sel.f->f, t);
    o->n = s->view.summary_there ? s->view.n : t->n;
    if (t->out_axis < 0 && t->ndim > 1 && !why) o->axes_note = qs_xstrdup(_("output axis unknown: axis 0 is taken"));
    if (s->view.ix) o->index_kind = qs_xstrdup(qs_index_kind_text(s->view.ix));
}

static void put_summary(const struct view *v, qs_snapshot *o)
{
    const qs_summary *m = &v->summary;
    if (!v->summary_there) return;
    o->zeros = (double)m->zeros;
    o->nans = (double)m->nans;
    o->infs = (double)m->infs;
    if (v->ix) o->distinct = (double)qs_index_distinct(v->ix);
    if (m->nans + m->infs >= m->n) return;   /* no finite value: its numbers stay unknown */
    o->min = m->min;
    o->max = m->max;
    o->mean = m->mean;
    o->std = m->std;
    o->skewness = m->skewness;
    o->kurtosis = m->kurtosis;
}

static void put_hist(const struct view *v, qs_snap_hist *o)
{
    const qs_hist *h = &v->hist;
    if (!h->bins || !h->count) return;
    o->bins = h->bins;
    o->lo = h->lo;
    o->hi = h->hi;
    o->log_x = h->log_x;
    o->count = qs_xmalloc(h->bins * sizeof *o->count);
    for (size_t i = 0; i < h->bins; i++) o->count[i] = (double)h->count[i];
    o->under = (double)h->under;
    o->over = (double)h->over;
    o->skipped = (double)h->skipped;
    o->density = doubles(v->density, h->bins);
    o->left_out = v->left_out;
    o->zoomed = v->zoomed;
}

static void put_side(const struct view *v, const struct side *x, qs_snap_quant *o)
{
    if (!x->s.format[0]) return;     /* nothing known: as a new snapshot has it */
    if (!x->s.there) {
        memcpy(o->format, x->s.format, sizeof o->format);
        memcpy(o->init, x->s.init, sizeof o->init);
        o->note = copy(x->s.note);
        return;
    }
    *o = x->s;
    o->level = doubles(x->s.level, o->nlevel);
    o->cut = o->nlevel ? doubles(x->s.cut, o->nlevel > 1 ? o->nlevel - 1 : 1) : NULL;
    o->occupancy = doubles(x->s.occupancy, o->nlevel);
    o->qbins = x->qbins_made == v->hist_seq ? doubles(x->s.qbins, v->hist.bins) : NULL;
    o->formula = copy(x->s.formula);
    o->source = copy(x->s.source);
    o->note = copy(x->s.note);
}

static void put_compare(const struct cmp *c, qs_snapshot *o)
{
    if (!c || !c->n) return;
    o->ncompare = c->n;
    o->compare = qs_xcalloc(c->n, sizeof *o->compare);
    o->curve.mark = qs_xcalloc(c->n, sizeof *o->curve.mark);
    for (size_t i = 0; i < c->n; i++) {
        const qs_snap_compare_row *r = &c->row[i].s;
        qs_snap_marker *m = &o->curve.mark[o->curve.nmark++];
        o->compare[i] = *r;
        o->compare[i].error = copy(r->error);
        o->compare[i].formula = copy(r->formula);
        o->compare[i].source = copy(r->source);
        memcpy(m->init, r->init, sizeof m->init);
        m->step = fabs(r->step);
        m->error = r->mse;
        m->ok = c->row[i].ok;
    }
}

static void put_curve(const struct view *v, qs_snap_curve *o)
{
    const qs_curve *c = &v->curve;
    if (!c->points) return;
    o->points = c->points;
    o->step = doubles(c->step, c->points);
    o->error = doubles(c->error, c->points);
    o->clip = doubles(c->clip, c->points);
    o->round = doubles(c->round, c->points);
    o->approximate = v->ix && qs_index_kind_of(v->ix) == QS_INDEX_BUCKETS;
}

static void put_log(const qs_session *s, qs_snapshot *o)
{
    o->nlog = qs_log_tail(&s->log, QS_SNAP_LOG, &o->log_first);
    o->log = qs_xcalloc(o->nlog, sizeof *o->log);
    for (size_t i = 0; i < o->nlog; i++) o->log[i] = qs_xstrdup(qs_log_line(&s->log, o->log_first + i));
    o->status = copy(s->status);
    o->exports = s->exports;
    memcpy(o->export, s->export, sizeof o->export);
}

static void put_progress(const qs_session *s, qs_snapshot *o)
{
    if (s->jobs) {
        o->running = qs_jobs_running(s->jobs);
        o->queued = qs_jobs_queued(s->jobs);
    }
    if (s->doing[0] && (s->serving || (o->running && qs_now() - s->doing_at < FRESH))) {
        memcpy(o->doing, s->doing, sizeof o->doing);
        o->done = s->done;
    }
    o->background = list_open(s);
}

qs_snapshot *picture(qs_session *s, bool force)
{
    qs_snapshot *o = qs_snapshot_new();
    o->seq = ++s->seq;
    o->selection_seq = s->served;
    o->picked = s->picked;
    o->sel = *qs_session_selected(s);
    put_tensor(s, o);
    put_summary(&s->view, o);
    put_hist(&s->view, &o->hist);
    o->own = (qs_snap_own){s->view.own.nlevel, doubles(s->view.own.level, s->view.own.nlevel), copy(s->view.own.note)};
    o->versus = s->view.versus.s;
    o->versus.bins = s->view.versus.bins_made == s->view.hist_seq ? doubles(s->view.versus.s.bins, s->view.hist.bins) : NULL;
    put_side(&s->view, &s->view.a, &o->a);
    if (s->pin.there) put_side(&s->view, &s->view.b, &o->b);
    put_curve(&s->view, &o->curve);
    put_compare(s->view.cmp, o);
    o->list = list_snap(s, force);
    o->train = train_snap(s);
    o->results = results_snap(s);
    o->race = race_snap(s, &o->race_at);
    put_log(s, o);
    put_progress(s, o);
    return o;
}
