/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where a quantizer puts the values: the histogram of the quantized values on
 * the bins of the other one; and the errors of several parts together, which is
 * where both would cost a pass over all values, and need not while the parts'
 * indexes are still in the cache.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "engine/state.h"

enum { CHUNKS = 16 };

/* ---- the histogram of quantized values ----------------------------------------------------- */
struct qbins {
    qs_session *s;
    const struct side *x;
    const double *edge;        /* (bins+1) */
    double *bin;               /* (chunks, bins) */
    size_t from, to, chunk;    /* parts */
};

static void add_to_bin(const qs_hist *h, const double *edge, double *bin, double v, double count)
{
    size_t lo = 0, hi = h->bins;
    if (h->log_x) v = fabs(v);
    if (!(v >= edge[0]) || v > edge[h->bins]) return;
    while (hi - lo > 1) {
        size_t mid = (lo + hi) / 2;
        if (v >= edge[mid]) lo = mid;
        else hi = mid;
    }
    bin[lo] += count;
}

static void bin_levels(const struct qbins *b, const qs_grid *g, const double *occ, double *bin)
{
    for (size_t k = 0; k < g->n; k++)
        if (occ[k] > 0) add_to_bin(&b->s->view.hist, b->edge, bin, g->lv[k], occ[k]);
}

/* Of values: how many go to each level, by bisection among the cuts. */
static void count_levels(const qs_grid *g, const float *x, size_t n, double *occ)
{
    float *y = qs_xmalloc(n * sizeof *y);
    qs_grid_apply(g, x, n, y);
    for (size_t i = 0; i < n; i++) {
        size_t lo = 0, hi = g->n;
        if (!isfinite(x[i])) continue;
        while (hi - lo > 1) {
            size_t mid = (lo + hi) / 2;
            if (y[i] >= g->lv[mid]) lo = mid;
            else hi = mid;
        }
        occ[lo] += 1;
    }
    free(y);
}

static void bin_part(const struct qbins *b, size_t part, double *bin)
{
    const qs_quantizer *q = b->x->q;
    qs_tensor *t = b->s->sel.t;
    qs_grid g;
    qs_qerror e = {0};
    qs_grid_init(&g, q, part);
    qs_index *ix = qs_cache_peek(b->s->cache, t, &q->split, part);
    if (ix && !qs_error_index(&g, ix, &e, NULL)) {
        bin_levels(b, &g, e.occupancy, bin);
    } else {
        size_t n = qs_split_len(&q->split, t, part);
        float *x = qs_xmalloc(n * sizeof *x);
        double *occ = qs_xcalloc(g.n, sizeof *occ);
        qs_split_gather(&q->split, t, part, x);
        count_levels(&g, x, n, occ);
        bin_levels(b, &g, occ, bin);
        free(occ);
        free(x);
    }
    qs_qerror_clear(&e);
    if (ix) qs_index_unref(ix);
    qs_grid_clear(&g);
}

static void bin_chunk(void *arg, size_t chunk)
{
    struct qbins *b = arg;
    size_t to = b->from + (chunk + 1) * b->chunk;
    for (size_t p = b->from + chunk * b->chunk; p < to && p < b->to; p++)
        bin_part(b, p, b->bin + chunk * b->s->view.hist.bins);
}

/* Some millions of values at a time, so that it can be stopped. */
static int bin_all_parts(struct qbins *b, double *out, qs_err *err)
{
    enum { VALUES = 1 << 22 };
    size_t bins = b->s->view.hist.bins, parts = b->x->q->parts, n = b->s->sel.t->n;
    size_t per = n / parts < 1 ? VALUES : VALUES / (n / parts) + 1;
    int rc = 0;
    for (b->from = 0; b->from < parts && !rc; b->from = b->to) {
        b->to = b->from + per < parts ? b->from + per : parts;
        b->chunk = (b->to - b->from + CHUNKS - 1) / CHUNKS;
        b->bin = qs_xcalloc(CHUNKS * bins, sizeof *b->bin);
        qs_parallel(CHUNKS, bin_chunk, b);
        for (size_t i = 0; i < CHUNKS * bins; i++) out[i % bins] += b->bin[i];
        free(b->bin);
        rc = qs_ctl_check(&b->s->work, "", (double)b->to / (double)parts, err);
    }
    return rc;
}

int side_qbins(qs_session *s, struct side *x, qs_err *err)
{
    const qs_hist *h = &s->view.hist;
    int rc = 0;
    if (x->s.there && h->bins) {
        double *edge = qs_xmalloc((h->bins + 1) * sizeof *edge), *out = qs_xcalloc(h->bins, sizeof *out);
        struct qbins b = {.s = s, .x = x, .edge = edge};
        for (size_t i = 0; i <= h->bins; i++) edge[i] = qs_hist_edge(h, i);
        if (x->all) {
            rc = bin_all_parts(&b, out, err);
        } else {
            qs_grid g;
            qs_grid_init(&g, x->q, x->part);
            bin_levels(&b, &g, x->e.occupancy, out);
            qs_grid_clear(&g);
        }
        free(edge);
        free(rc ? out : x->s.qbins);
        if (!rc) x->s.qbins = out;
    } else {
        free(x->s.qbins);
        x->s.qbins = NULL;
    }
    if (!rc) x->qbins_made = s->view.hist_seq;
    return rc;
}


/* ---- errors of all parts ------------------------------------------------------------------------- */
struct sum {
    double n, energy, clip, round, clipped, bias, max;   /* sums over values */
    size_t skipped;
    double *occ;               /* (levels) */
};

struct all {
    const qs_quantizer *q;
    qs_index **ix;             /* (parts) */
    struct sum sum[CHUNKS];
};

static void add_part(struct sum *a, const qs_quantizer *q, size_t part, const qs_index *ix)
{
    qs_grid g;
    qs_qerror e = {0};
    qs_grid_init(&g, q, part);
    if (!qs_error_index(&g, ix, &e, NULL)) {
        a->n += e.n;
        a->energy += e.energy * e.n;
        a->clip += e.clip_mse * e.n;
        a->round += e.round_mse * e.n;
        a->clipped += e.clipped * e.n;
        a->bias += e.bias * e.n;
        a->max = fmax(a->max, e.max_abs);
        a->skipped += e.skipped;
        for (size_t k = 0; k < e.levels; k++) a->occ[k] += e.occupancy[k];
    }
    qs_qerror_clear(&e);
    qs_grid_clear(&g);
}

static void add_chunk(void *arg, size_t chunk)
{
    struct all *a = arg;
    size_t parts = a->q->parts, per = (parts + CHUNKS - 1) / CHUNKS;
    for (size_t p = chunk * per; p < (chunk + 1) * per && p < parts; p++) add_part(&a->sum[chunk], a->q, p, a->ix[p]);
}

static void finish(const struct sum *a, size_t levels, qs_qerror *o)
{
    *o = (qs_qerror){.n = a->n, .skipped = a->skipped, .levels = levels, .max_abs = a->max, .occupancy = a->occ};
    o->energy = a->energy / a->n;
    o->clip_mse = a->clip / a->n;
    o->round_mse = a->round / a->n;
    o->mse = o->clip_mse + o->round_mse;
    o->clipped = a->clipped / a->n;
    o->bias = a->bias / a->n;
    o->nmse = o->mse == 0 ? 0 : o->energy > 0 ? o->mse / o->energy : INFINITY;
    o->sqnr_db = o->nmse > 0 ? -10 * log10(o->nmse) : INFINITY;
    for (size_t k = 0; k < levels; k++) {
        double p = a->occ[k] / a->n;
        if (!(p > 0)) continue;
        o->used++;
        o->entropy -= p * log2(p);
    }
    o->entropy = fmax(o->entropy, 0);
}

static void from_indexes(struct all *a, qs_qerror *out)
{
    size_t levels = a->q->f->n;
    double *occ = qs_xcalloc(CHUNKS * levels, sizeof *occ);
    struct sum all = {.occ = qs_xcalloc(levels, sizeof *occ)};
    for (size_t i = 0; i < CHUNKS; i++) a->sum[i] = (struct sum){.occ = occ + i * levels};
    qs_parallel(CHUNKS, add_chunk, a);
    for (size_t i = 0; i < CHUNKS; i++) {
        const struct sum *b = &a->sum[i];
        all.n += b->n;
        all.energy += b->energy;
        all.clip += b->clip;
        all.round += b->round;
        all.clipped += b->clipped;
        all.bias += b->bias;
        all.max = fmax(all.max, b->max);
        all.skipped += b->skipped;
        for (size_t k = 0; k < levels; k++) all.occ[k] += b->occ[k];
    }
    finish(&all, levels, out);
    free(occ);
}

int parts_errors(qs_session *s, struct side *x, qs_err *err)
{
    struct all a = {.q = x->q};
    size_t have = 0, parts = x->q->parts;
    bool few = parts <= 65536 && x->q->f->n <= 4096;
    a.ix = few ? qs_xcalloc(parts, sizeof *a.ix) : NULL;
    while (few && have < parts && (a.ix[have] = qs_cache_peek(s->cache, s->sel.t, &x->q->split, have))) have++;
    if (have == parts) from_indexes(&a, &x->e);
    while (few && have--) qs_index_unref(a.ix[have]);
    free(a.ix);
    return x->e.occupancy ? 0 : qs_error_tensor(x->q, s->sel.t, s->cache, &s->work, &x->e, err);
}
