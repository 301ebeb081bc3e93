/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The least-squares step of a bucket index, exact by looking again.
 *
 * First with whole buckets at one code, which is a code vector too: its gain is reached, and how much lower F (exact.c) could
 * be is bounded by what lies on the wrong side of a threshold within a bucket. What the chords then leave are narrow intervals
 * of steps. The values that cross a threshold there are looked at again (qs_index_refine), and the search goes on in these
 * intervals with sums that are exact.
 */
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "quant/exact.h"

#define LOOKS 24           /* times the values are looked at again */

struct intervals { qs_interval *a; size_t n, cap; };

static void intervals_add(struct intervals *l, double x, double y)
{
    if (l->n == l->cap) l->a = qs_xrealloc(l->a, (l->cap = l->cap ? 2 * l->cap : 256) * sizeof *l->a);
    l->a[l->n++] = (qs_interval){(float)fmin(x, y), (float)fmax(x, y)};
}

/* Where thresholds and outermost levels are between two steps, a few roundings wider. */
static void intervals_of(struct intervals *l, const qs_format *f, double z, bool mirrored, double lo, double hi)
{
    const double wide = 4e-6;
    for (size_t k = 0; k <= f->n; k++) {
        double t = k == 0 ? f->c[0] : k == f->n ? f->c[f->n - 1] : ((double)f->c[k - 1] + (double)f->c[k]) / 2;
        t = mirrored ? -(t - z) : t - z;
        intervals_add(l, t * lo * (1 - wide), t * hi * (1 + wide));
    }
}

static int most_first(const void *a, const void *b)
{
    const qs_exact_left *x = a, *y = b;
    return (x->ub < y->ub) - (x->ub > y->ub);
}

/* How many of the intervals, the most promising first, can be looked at together; l: theirs. 0: not even one. */
static size_t take_some(const qs_format *f, const qs_index *ix, const qs_exact_left *a, size_t n, struct intervals *l)
{
    size_t taken = 0;
    for (size_t step = n; step && taken < n;) {     /* all of them, else a half of the rest, ... */
        size_t to = taken + step < n ? taken + step : n, before = l->n;
        for (size_t i = taken; i < to; i++) intervals_of(l, f, a[i].z, a[i].mirrored, a[i].lo, a[i].hi);
        if (qs_index_refine_count(ix, l->a, l->n) <= qs_index_fine_most()) taken = to;
        else {
            l->n = before;
            step /= 2;
        }
    }
    return taken;
}

static int look_again(const qs_index *ix, const struct intervals *at, const qs_ctl *ctl, qs_exact_answer *a, qs_err *err)
{
    qs_err e = {0};
    qs_index_unref(a->ix);
    a->ix = qs_index_refine(ix, at->a, at->n, ctl, &e);
    return a->ix ? 0 : qs_fail(err, e.code, "%s", e.msg);
}

static int look_within(const qs_format *f, const qs_index *fine, const qs_exact_left *at, const qs_ctl *ctl, qs_exact_best *best,
                       qs_exact_answer *a, qs_err *err)
{
    qs_exact b;
    double before = best->gain;
    qs_exact_init(&b, fine, f, at->z, at->mirrored);
    b.by_entry = false;
    int rc = qs_exact_within(&b, at->lo, at->hi, ctl, best, err);
    qs_exact_clear(&b);
    if (best->gain > before) qs_exact_keep(a, best, at->z, at->mirrored);
    return rc;
}

/* Decides the intervals that are left. *decided: all of them. */
static int decide(const qs_format *f, const qs_index *ix, qs_exact_lefts *l, const qs_ctl *ctl, qs_exact_best *best, qs_exact_answer *a,
                  bool *decided, qs_err *err)
{
    struct intervals at = {0};
    size_t i = 0, n;
    int rc = 0;
    if (l->n) qsort(l->a, l->n, sizeof *l->a, most_first);
    for (int look = 0; i < l->n && l->a[i].ub > best->gain * (1 + 1e-15) && look < LOOKS && !rc; look++, i += n) {
        at.n = 0;
        n = take_some(f, ix, l->a + i, l->n - i, &at);
        if (!n) break;
        rc = look_again(ix, &at, ctl, a, err);
        for (size_t k = i; k < i + n && !rc; k++) rc = look_within(f, a->ix, &l->a[k], ctl, best, a, err);
    }
    *decided = !rc && (i >= l->n || l->a[i].ub <= best->gain * (1 + 1e-15));
    free(at.a);
    return rc;
}

/* a->ix is exact around the answer, whichever look found it. *done: it is; else that takes more values than may be gathered. */
static int settle(const qs_format *f, const qs_index *ix, qs_exact_answer *a, const qs_ctl *ctl, bool *done, qs_err *err)
{
    struct intervals at = {0};
    bool mirrored = a->step < 0;
    double s = fabs(a->step), z = a->offset != 0 ? rint(-a->offset / a->step) : 0;
    intervals_of(&at, f, z, mirrored, s, s);
    *done = qs_index_refine_count(ix, at.a, at.n) <= qs_index_fine_most();
    int rc = *done ? look_again(ix, &at, ctl, a, err) : 0;
    free(at.a);
    return rc;
}

/* Of buckets whose values can be looked at again. *done: a is the minimum, a->ix exact there; else nothing is known. */
int qs_exact_buckets(const qs_format *f, const qs_index *ix, const qs_ctl *ctl, qs_exact_answer *a, bool *done, qs_err *err)
{
    qs_exact_best best = {0};
    qs_exact_lefts left = {0};
    double lo, hi, stride = qs_exact_zps(f, &lo, &hi);
    int rc = 0;
    *done = false;
    for (double z = lo; z <= hi && !rc; z += stride)
        for (int m = 0; m <= f->flip && !rc; m++) {
            qs_exact b;
            qs_exact_init(&b, ix, f, z, m);
            b.by_entry = false;
            double before = best.gain;
            rc = qs_exact_rough(&b, ctl, &best, &left, z, m, err);
            if (best.gain > before) qs_exact_keep(a, &best, z, m);
            qs_exact_clear(&b);
        }
    bool decided = false;
    if (!rc && !(best.bound > best.gain)) rc = decide(f, ix, &left, ctl, &best, a, &decided, err);
    if (!rc && decided && a->found) rc = settle(f, ix, a, ctl, done, err);
    *done &= !rc;
    a->all = stride == 1;
    if (!*done) {
        qs_index_unref(a->ix);
        *a = (qs_exact_answer){0};
    }
    free(left.a);
    return rc;
}
