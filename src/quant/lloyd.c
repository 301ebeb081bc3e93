/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The optimal free codebook: k levels with the least squared error, by dynamic
 * programming over the sorted values (Bruce 1965), each layer by divide and
 * conquer because the best cut moves one way (the cost is a concave Monge array).
 * Exact; above ITEMS distinct values neighbours are merged first, and the note says so.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "quant/rows.h"

#define ITEMS ((size_t)1 << 16)

/* Prefix sums over items (equal or merged values), of w, w x, w x^2 with x taken from the mean. */
struct items {
    size_t n;
    double centre;
    double *w, *wx, *wxx;  /* (n+1) */
};

static size_t count_distinct(const qs_index *ix)
{
    size_t n = 1;
    for (size_t i = 1; i < qs_index_entries(ix); i++) n += qs_index_value(ix, i) != qs_index_value(ix, i - 1);
    return n;
}

/* The merged item of an entry: half of them spread over the ranks, half over the range, so that both the crowd and the
 * tails keep their detail. */
static size_t cell_of(const qs_index *ix, size_t i, double lo, double width)
{
    double by_rank = (double)i / (double)qs_index_entries(ix), by_value = (qs_index_value(ix, i) - lo) / width;
    return (size_t)((by_rank + by_value) * 0.5 * (double)(ITEMS - 1));
}

static bool items_init(struct items *it, const qs_index *ix, size_t distinct)
{
    bool merge = distinct > ITEMS;
    size_t room = merge ? ITEMS + 1 : distinct + 1, cell = 0;
    double lo = qs_index_min(ix), width = (double)qs_index_max(ix) - lo;
    qs_sums all = qs_index_total(ix);
    *it = (struct items){.centre = all.wx / all.w, .w = qs_big_alloc(3 * room * sizeof(double))};
    if (!it->w) return false;
    it->wx = it->w + room;
    it->wxx = it->wx + room;
    it->w[0] = it->wx[0] = it->wxx[0] = 0;
    for (size_t i = 0; i < qs_index_entries(ix); i++) {
        double x = qs_index_value(ix, i) - it->centre, w = qs_index_weight(ix, i);
        size_t c = merge ? cell_of(ix, i, lo, width) : 0;
        if (i == 0 || (merge ? c != cell : qs_index_value(ix, i) != qs_index_value(ix, i - 1))) {
            it->n++;
            it->w[it->n] = it->w[it->n - 1];
            it->wx[it->n] = it->wx[it->n - 1];
            it->wxx[it->n] = it->wxx[it->n - 1];
        }
        cell = c;
        it->w[it->n] += w;
        it->wx[it->n] += w * x;
        it->wxx[it->n] += w * x * x;
    }
    return true;
}

/* Squared error of one level for items i .. j-1. */
static inline double cost(const struct items *it, size_t i, size_t j)
{
    double w = it->w[j] - it->w[i], wx = it->wx[j] - it->wx[i], wxx = it->wxx[j] - it->wxx[i];
    double e = w > 0 ? wxx - wx * wx / w : 0;
    return e > 0 ? e : 0;
}

struct layer {
    const struct items *it;
    const double *prev;    /* (n+1) best error of the first j items with one level less */
    double *cur;           /* (n+1) */
    uint32_t *cut;         /* (n+1) where the last level begins */
};

/* cur[j] for lo <= j <= hi, knowing that its cut lies in from .. to. */
static void solve(const struct layer *l, size_t lo, size_t hi, size_t from, size_t to)
{
    size_t j = lo + (hi - lo) / 2, best = from;
    double least = INFINITY;
    for (size_t i = from; i <= to && i < j; i++) {
        double e = l->prev[i] + cost(l->it, i, j);
        if (e >= least) continue;
        least = e;
        best = i;
    }
    l->cur[j] = least;
    l->cut[j] = (uint32_t)best;
    if (j > lo) solve(l, lo, j - 1, from, best);
    if (j < hi) solve(l, j + 1, hi, best, to);
}

/* Levels are the means between cuts, from the last one back. */
static void walk_back(const struct items *it, const uint32_t *cuts, size_t k, double *c)
{
    size_t j = it->n;
    for (size_t level = k; level-- > 0;) {
        size_t i = level ? cuts[level * (it->n + 1) + j] : 0;
        c[level] = it->centre + (it->wx[j] - it->wx[i]) / (it->w[j] - it->w[i]);
        j = i;
    }
}

static int solve_all(const struct items *it, size_t k, const qs_ctl *ctl, double *c, double *error, qs_err *err)
{
    size_t n = it->n;
    uint32_t *cuts = qs_big_alloc(k * (n + 1) * sizeof *cuts);
    double *d = qs_big_alloc(2 * (n + 1) * sizeof *d), *prev = d, *cur = d ? d + n + 1 : NULL;
    int rc = cuts && d ? 0 : qs_fail(err, QS_ENOMEM, _("no memory for %zu levels of %zu values"), k, n);
    for (size_t j = 0; j <= n && !rc; j++) prev[j] = cost(it, 0, j);
    for (size_t level = 1; level < k && !rc; level++) {
        struct layer l = {it, prev, cur, cuts + level * (n + 1)};
        solve(&l, level + 1, n, level, n - 1);
        double *swap = prev;
        prev = cur;
        cur = swap;
        rc = qs_ctl_check(ctl, _("optimal codebook"), (double)level / (double)k, err);
    }
    if (!rc) {
        *error = prev[n];
        walk_back(it, cuts, k, c);
    }
    qs_big_free(cuts);
    qs_big_free(d);
    return rc;
}

size_t qs_lloyd(const qs_index *ix, size_t k, const qs_ctl *ctl, double *c, double *mse, size_t *merged, qs_err *err)
{
    struct items it;
    size_t distinct = count_distinct(ix);
    double error = 0;
    if (k > distinct) k = distinct;
    *merged = distinct > ITEMS ? distinct : 0;
    if (!items_init(&it, ix, distinct)) {
        qs_fail(err, QS_ENOMEM, _("no memory for %zu values"), distinct);
        return 0;
    }
    if (k > it.n) k = it.n;
    int rc = solve_all(&it, k, ctl, c, &error, err);
    *mse = error / it.w[it.n];
    qs_big_free(it.w);
    return rc ? 0 : k;
}

int qs_applies_lloyd(const qs_format *f, qs_role role, qs_err *err)
{
    (void)role;
    if (f->gran != QS_SPLIT_TENSOR)
        return qs_fail(err, QS_EUNSUP, _("lloyd makes one codebook for the tensor; %s asks for more"), f->text);
    if (f->offset) return qs_fail(err, QS_EUNSUP, _("lloyd chooses the levels themselves: an offset adds nothing"));
    if (f->n > 1024) return qs_fail(err, QS_EUNSUP, _("lloyd makes up to 1024 levels; %s has %zu"), f->text, f->n);
    return 0;
}

int qs_fit_lloyd(const qs_init_in *in, qs_init_out *out, qs_err *err)
{
    double c[1024], mse;
    size_t merged, k = qs_lloyd(in->ix, in->f->n, in->ctl, c, &mse, &merged, err);
    if (!k) return err ? -err->code : -QS_ENOMEM;
    qs_format *f = qs_format_codebook(c, k, err);
    if (!f) return err ? -err->code : -QS_EARG;
    out->f = f;
    out->step = 1;
    snprintf(out->formula, sizeof out->formula, "%zu levels of least squared error, mse %.4g", k, mse);
    if (merged)
        snprintf(out->note, sizeof out->note, _("%zu distinct values merged into %zu before the search"), merged,
                 ITEMS);
    else if (k < in->f->n)
        snprintf(out->note, sizeof out->note, _("only %zu distinct values: as many levels"), k);
    return 0;
}
