/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Bits for tensors, by marginal gain over what was measured. Knows numbers only: no tensor, no format.
 */
#include "quant/budget.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"

/* From one choice of a row to a larger one. */
struct step {
    size_t row, to;
    double bits, error;   /* what it costs and takes away, both > 0 */
};

struct way {
    const qs_choice *c;
    size_t n, k, steps;
    struct step *step;    /* (steps) by error a bit, the most first */
    double bits, error;   /* where it begins: the smallest choices */
};

/* Rows with few bits first; of equal ones the smaller error. */
static int by_bits(const void *a, const void *b)
{
    const qs_choice *const *x = a, *const *y = b;
    if ((*x)->bits != (*y)->bits) return (*x)->bits < (*y)->bits ? -1 : 1;
    if ((*x)->error != (*y)->error) return (*x)->error < (*y)->error ? -1 : 1;
    return (*x > *y) - (*x < *y);
}

static int by_gain(const void *a, const void *b)
{
    const struct step *x = a, *y = b;
    double p = x->error * y->bits, q = y->error * x->bits;
    if (p != q) return p > q ? -1 : 1;
    if (x->row != y->row) return x->row < y->row ? -1 : 1;
    return (x->bits > y->bits) - (x->bits < y->bits);
}

static bool usable(const qs_choice *c) { return isfinite(c->bits) && isfinite(c->error); }

/* The lower convex hull of a row, bits ascending and errors falling, into hull (k); returns how many. */
static size_t hull_of(const qs_choice *row, size_t k, const qs_choice **hull)
{
    const qs_choice **all = hull + k;
    size_t m = 0, h = 0;
    for (size_t i = 0; i < k; i++)
        if (usable(&row[i])) all[m++] = &row[i];
    qsort(all, m, sizeof *all, by_bits);
    for (size_t i = 0; i < m; i++) {
        const qs_choice *p = all[i];
        if (h && !(p->error < hull[h - 1]->error)) continue;
        while (h > 1) {      /* the last one lies on or above the line past it */
            const qs_choice *a = hull[h - 2], *b = hull[h - 1];
            if ((a->error - b->error) * (p->bits - b->bits) > (b->error - p->error) * (b->bits - a->bits)) break;
            h--;
        }
        if (h == 1 && p->bits == hull[0]->bits) h = 0;
        hull[h++] = p;
    }
    return h;
}

/* Every row at its smallest choice, and the steps that lead on. */
static void way_init(struct way *w, const qs_choice *c, size_t n, size_t k, size_t *pick)
{
    const qs_choice **hull = qs_xcalloc(2 * k + 1, sizeof *hull);
    *w = (struct way){.c = c, .n = n, .k = k, .step = qs_xcalloc(n * k + 1, sizeof *w->step)};
    for (size_t r = 0; r < n; r++) {
        const qs_choice *row = c + r * k;
        size_t h = hull_of(row, k, hull);
        pick[r] = h ? (size_t)(hull[0] - row) : k;
        if (!h) continue;
        w->bits += hull[0]->bits;
        w->error += hull[0]->error;
        for (size_t i = 1; i < h; i++)
            w->step[w->steps++] = (struct step){r, (size_t)(hull[i] - row), hull[i]->bits - hull[i - 1]->bits,
                                                hull[i - 1]->error - hull[i]->error};
    }
    free(hull);
    qsort(w->step, w->steps, sizeof *w->step, by_gain);
}

static double sum_of(const struct way *w, const size_t *pick, bool bits)
{
    double sum = 0;
    for (size_t r = 0; r < w->n; r++)
        if (pick[r] < w->k) sum += bits ? w->c[r * w->k + pick[r]].bits : w->c[r * w->k + pick[r]].error;
    return sum;
}

#define SLACK (1 + 1e-12)   /* sums of bits are rounded */

/*
 * Between two sums of the way: rows are added one after the other, of the sums so far only those are kept that no other
 * beats in both and that could still beat what is known. What the rows to come leave at least is a Lagrangian bound: with the
 * price `rate` a bit, each of them costs at least its cheapest choice.
 */
enum { STATES = 1 << 20 };   /* in all; where there are more, what is known stays */

struct state {
    double bits, error;
    uint32_t from, to;       /* its place in the row before; the choice of this row */
};

struct search {
    const struct way *w;
    double most, rate, best; /* best: an error that is known */
    double *rest;            /* (n+1) what the rows from here on cost at least, at this price */
    struct state *all;       /* (room, at most STATES) of all rows, one after the other */
    size_t room;
    size_t *at;              /* (n+1) where a row's begin */
};

static void prices(struct search *s)
{
    const struct way *w = s->w;
    s->rest[w->n] = 0;
    for (size_t r = w->n; r-- > 0;) {
        double least = INFINITY;
        for (size_t i = 0; i < w->k; i++) {
            const qs_choice *c = &w->c[r * w->k + i];
            if (usable(c)) least = fmin(least, c->error + s->rate * c->bits);
        }
        s->rest[r] = s->rest[r + 1] + (isfinite(least) ? least : 0);
    }
}

static int by_bits_then_error(const void *a, const void *b)
{
    const struct state *x = a, *y = b;
    if (x->bits != y->bits) return x->bits < y->bits ? -1 : 1;
    return (x->error > y->error) - (x->error < y->error);
}

/* Room for state i; false: that would be too many. */
static bool make_room(struct search *s, size_t i)
{
    if (i < s->room) return true;
    if (s->room == STATES) return false;
    s->room = s->room ? 4 * s->room : 1024;
    s->all = qs_xrealloc(s->all, s->room * sizeof *s->all);
    return true;
}

/* The states of row r from those before it. Returns how many; 0: too many, or none that is better than what is known. */
static size_t extend(struct search *s, size_t r)
{
    const struct way *w = s->w;
    size_t from = s->at[r], to = s->at[r + 1], made = 0, kept = 0;
    for (size_t j = from; j < to; j++)
        for (size_t i = 0; i < w->k; i++) {
            const qs_choice *c = &w->c[r * w->k + i];
            struct state n = {s->all[j].bits + c->bits, s->all[j].error + c->error, (uint32_t)j, (uint32_t)i};
            if (!usable(c) || n.bits > s->most * SLACK) continue;
            if (n.error + s->rest[r + 1] - s->rate * (s->most - n.bits) >= s->best) continue;
            if (!make_room(s, to + made)) return 0;
            s->all[to + made++] = n;
        }
    struct state *out = s->all + to;
    qsort(out, made, sizeof *out, by_bits_then_error);
    for (size_t j = 0; j < made; j++)
        if (!kept || out[j].error < out[kept - 1].error) out[kept++] = out[j];
    return kept;
}

/* The rows that have a choice, in their order. */
static size_t rows_with_choice(const struct way *w, const size_t *pick, size_t *row)
{
    size_t n = 0;
    for (size_t r = 0; r < w->n; r++)
        if (pick[r] < w->k) row[n++] = r;
    return n;
}

/* Better picks, if there are any and they can be found. */
static void search(const struct way *w, double most, double rate, size_t *pick)
{
    size_t *row = qs_xcalloc(w->n + 1, sizeof *row), n = rows_with_choice(w, pick, row), r = 0;
    struct way rows = {.c = NULL, .n = n, .k = w->k};
    qs_choice *c = qs_xcalloc(n * w->k + 1, sizeof *c);
    for (size_t i = 0; i < n * w->k; i++) c[i] = w->c[row[i / w->k] * w->k + i % w->k];
    rows.c = c;
    struct search s = {.w = &rows, .most = most, .rate = rate, .best = sum_of(w, pick, false) * (1 - 1e-12),
                       .rest = qs_xcalloc(n + 1, sizeof *s.rest), .at = qs_xcalloc(n + 2, sizeof *s.at)};
    prices(&s);
    make_room(&s, 0);
    s.all[0] = (struct state){0, 0, 0, 0};
    s.at[1] = 1;
    for (size_t made = 1; r < n && made; r++) {
        made = extend(&s, r);
        s.at[r + 2] = s.at[r + 1] + made;
        if (!made) break;
    }
    if (r == n && n) {      /* the last state has the least error */
        size_t at = s.at[n + 1] - 1;
        for (size_t i = n; i-- > 0; at = s.all[at].from) pick[row[i]] = s.all[at].to;
    }
    free(row);
    free(c);
    free(s.rest);
    free(s.all);
    free(s.at);
}

/* Least sum of errors within `most` bits; *bound: no picks have less. false: the smallest choices need more. */
static bool solve(const qs_choice *c, size_t n, size_t k, double most, size_t *pick, double *bound)
{
    struct way w;
    size_t i = 0;
    way_init(&w, c, n, k, pick);
    double bits = w.bits, error = w.error;
    bool fits = bits <= most * SLACK;
    for (; fits && i < w.steps && bits + w.step[i].bits <= most * SLACK; i++) {
        bits += w.step[i].bits;
        error -= w.step[i].error;
        pick[w.step[i].row] = w.step[i].to;
    }
    *bound = fmax(error, 0);
    if (fits && i < w.steps) {
        double rate = w.step[i].error / w.step[i].bits;
        *bound = fmax(error - (most - bits) * rate, 0);
        search(&w, most, rate, pick);
    }
    *bound = fmin(*bound, sum_of(&w, pick, false));
    free(w.step);
    return fits;
}

int qs_budget_bits(const qs_choice *c, size_t n, size_t k, double most, size_t *pick, qs_budget *out, qs_err *err)
{
    struct way w = {.c = c, .n = n, .k = k};
    *out = (qs_budget){0};
    bool fits = solve(c, n, k, most, pick, &out->bound);
    out->bits = sum_of(&w, pick, true);
    out->error = sum_of(&w, pick, false);
    return fits ? 0 : qs_fail(err, QS_ERANGE, _("the smallest formats take %.6g bits, more than %.6g"), out->bits, most);
}

/* The same the other way round: bits are what is to be least. */
int qs_budget_error(const qs_choice *c, size_t n, size_t k, double most, size_t *pick, qs_budget *out, qs_err *err)
{
    struct way w = {.c = c, .n = n, .k = k};
    qs_choice *turned = qs_xcalloc(n * k + 1, sizeof *turned);
    *out = (qs_budget){0};
    for (size_t i = 0; i < n * k; i++) turned[i] = (qs_choice){c[i].error, c[i].bits};
    bool fits = solve(turned, n, k, most, pick, &out->bound);
    free(turned);
    out->bits = sum_of(&w, pick, true);
    out->error = sum_of(&w, pick, false);
    return fits ? 0 : qs_fail(err, QS_ERANGE, _("the best formats leave an error of %.6g, more than %.6g"), out->error, most);
}

size_t qs_budget_curve(const qs_choice *c, size_t n, size_t k, qs_choice *out, size_t points)
{
    struct way w;
    size_t *pick = qs_xcalloc(n + 1, sizeof *pick), made = 0;
    way_init(&w, c, n, k, pick);
    double bits = w.bits, error = w.error;
    for (size_t i = 0; i <= w.steps && points > 1; i++) {
        if (i) {
            bits += w.step[i - 1].bits;
            error = fmax(error - w.step[i - 1].error, 0);
        }
        size_t due = w.steps < points ? i : made * w.steps / (points - 1);
        if (i >= due && made < points) out[made++] = (qs_choice){bits, error};
    }
    free(w.step);
    free(pick);
    return made;
}
