/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The exact least-squares step of any codebook (METHODS 10), with weights,
 * zero points and either sign. Knows no statistics of distributions: only
 * sorted values with prefix sums.
 *
 * At a step s the nearest codes give B = sum w x c and C = sum w c^2, and
 *     E(s) = A - 2 s B + s^2 C,   A = sum w x^2.
 * Any code vector's own best step is B/C with error A - B^2/C >= E(B/C), so B^2/C ("gain") is what we maximize. Between
 * steps, F(s) = (E(s) - A)/s = min over code vectors of (s C - 2 B) is a minimum of straight lines, hence concave: on
 * an interval it lies above its chord, which bounds the gain inside from above. Intervals that cannot beat the best are
 * dropped, the others halved until few breakpoints are left in them; these are swept one by one. Nothing is sampled:
 * the result is the global minimum.
 *
 * Of a bucket index the same is done twice. First with whole buckets at one code, which is a code vector too: its gain is
 * reached, and how much lower F could be is bounded by what lies on the wrong side of a threshold within a bucket. What the
 * chords then leave are narrow intervals of steps. The values that cross a threshold there are looked at again
 * (qs_index_refine), and the search goes on in these intervals with sums that are exact.
 */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "num/fft.h"
#include "quant/rows.h"
#include "quant/grid.h"

#define LEAF 96           /* breakpoints that are swept rather than halved */
#define START 24          /* points of the first curve */
#define SWEEP_ALL 8192    /* entries x levels up to which all breakpoints are swept at once */
#define WORK 4e7          /* thresholds looked up before the search of one codebook gives up proving */
#define ZP_ALL 1024       /* zero points up to which all are tried */

#define NARROW 0x1p-10     /* intervals of steps, relative, that are left to the second look */
#define LOOKS 24           /* times the values are looked at again */

/* ---- one codebook over one index --------------------------------------------------------- */
struct book {
    const qs_index *ix;    /* sums */
    const qs_index *ev;    /* entries that cross thresholds: ix, or what was gathered of it */
    bool rough;            /* buckets go as a whole, F is a lower bound */
    size_t n;
    double *c, *t;         /* (n) levels, (n-1) thresholds, units of the step */
    double beta;           /* values are x - beta */
    bool ranked;           /* every entry weighs 1: sums count entries */
    bool by_entry;         /* fewer entries than levels: go value by value */
    float *v;              /* (n-1) scratch: cuts */
    qs_sums *at;           /* (n-1) scratch */
    size_t *r, *r2;        /* (n-1) scratch: ranks */
};

/* crossed: breakpoints at steps above s, times weight if not ranked */
struct point { double s, B, C, F, crossed; };
struct best { double gain, B, C, bound; };          /* bound: gain that was not excluded, 0 if all was */
struct event { double at, dB, dC; };
struct node { struct point lo, hi; double ub; };

static void book_init(struct book *b, const qs_index *ix, const qs_format *f, double z, bool mirrored)
{
    *b = (struct book){.ix = ix, .ev = qs_index_fine(ix) ? qs_index_fine(ix) : ix, .n = f->n};
    b->c = qs_xmalloc(2 * f->n * sizeof *b->c);
    b->t = b->c + f->n;
    for (size_t k = 0; k < f->n; k++) {
        double c = (float)((double)f->c[k] - z);
        b->c[mirrored ? f->n - 1 - k : k] = mirrored ? -c : c;
    }
    for (size_t k = 0; k + 1 < f->n; k++) b->t[k] = (b->c[k] + b->c[k + 1]) / 2;
    b->v = qs_xmalloc(f->n * sizeof *b->v);
    b->at = qs_xmalloc(f->n * sizeof *b->at);
    b->r = qs_xmalloc(2 * f->n * sizeof *b->r);
    b->r2 = b->r + f->n;
    b->ranked = qs_index_kind_of(ix) == QS_INDEX_SORTED && !qs_index_weighted(ix);
    b->by_entry = qs_index_entries(ix) * 4 < f->n;
}

static void book_clear(struct book *b)
{
    free(b->c);
    free(b->v);
    free(b->at);
    free(b->r);
}

/* The smallest float32 >= beta + t s. */
static float cut_at(const struct book *b, double t, double s)
{
    double d = b->beta + t * s;
    float v = (float)d;
    return (double)v < d ? nextafterf(v, INFINITY) : v;
}

static size_t rank_of(const struct book *b, float x, double s)
{
    size_t lo = 0, hi = b->n - 1;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (x >= cut_at(b, b->t[mid], s)) lo = mid + 1;
        else hi = mid;
    }
    return lo;
}

static void eval_entries(const struct book *b, struct point *p)
{
    for (size_t i = 0; i < qs_index_entries(b->ix); i++) {
        float x = qs_index_value(b->ix, i);
        double w = qs_index_weight(b->ix, i), c = b->c[rank_of(b, x, p->s)];
        p->B += w * (x - b->beta) * c;
        p->C += w * c * c;
    }
}

/*
 * How much less F could be than with the bucket at one side of threshold k: x on the wrong side costs 2 dc |x - theta| too
 * much. Of their sum the mean and the variance of the bucket know a bound (Cauchy, Schwarz).
 */
static double slack(const struct book *b, size_t k, double theta, qs_sums in)
{
    double d1 = in.wx - theta * in.w, d2 = in.wxx - 2 * theta * in.wx + theta * theta * in.w;
    d2 = fmax(d2, 0) + 1e-13 * (in.wxx + theta * theta * in.w);     /* what cancelling lost */
    return fmax(sqrt(in.w * d2) - fabs(d1), 0) * (b->c[k + 1] - b->c[k]);
}

/* Buckets go to the side where their mean is; returns the slack of all of them. */
static double rough_sums(const struct book *b, double s)
{
    double loss = 0;
    for (size_t k = 0; k + 1 < b->n; k++) {
        qs_sums in;
        double theta = b->beta + b->t[k] * s;
        qs_index_bracket(b->ix, b->v[k], &b->at[k], &in);
        if (!(in.w > 0)) continue;
        loss += slack(b, k, theta, in);
        if (in.wx < theta * in.w) b->at[k] = (qs_sums){b->at[k].w + in.w, b->at[k].wx + in.wx, b->at[k].wxx + in.wxx};
    }
    return loss;
}

/* Returns by how much F could still be less; 0 unless rough. */
static double eval_sums(const struct book *b, struct point *p)
{
    qs_sums all = qs_index_total(b->ix), last = {0};
    double loss = 0;
    for (size_t k = 0; k + 1 < b->n; k++) b->v[k] = cut_at(b, b->t[k], p->s);
    if (b->rough) loss = rough_sums(b, p->s);
    else qs_index_below_many(b->ix, b->v, b->n - 1, b->at);
    for (size_t k = 0; k < b->n; k++) {
        qs_sums to = k + 1 < b->n ? b->at[k] : all;
        double w = to.w - last.w, wx = to.wx - last.wx - b->beta * w;
        p->B += b->c[k] * wx;
        p->C += b->c[k] * b->c[k] * w;
        if (k + 1 < b->n) p->crossed += b->t[k] > 0 ? all.w - to.w : b->t[k] < 0 ? to.w : 0;
        last = to;
    }
    return loss;
}

static struct point eval(const struct book *b, double s)
{
    struct point p = {.s = s};
    double loss = 0;
    if (b->by_entry) eval_entries(b, &p);
    else loss = eval_sums(b, &p);
    p.F = s * p.C - 2 * p.B - loss;
    return p;
}

static void consider(struct best *best, double B, double C)
{
    if (!(B > 0) || !(C > 0)) return;
    double gain = B / C * B;
    if (gain > best->gain) *best = (struct best){gain, B, C, best->bound};
}

/* The largest -s F(s) that the chord allows between lo and hi. */
static double bound(const struct point *lo, const struct point *hi)
{
    double b = (hi->F - lo->F) / (hi->s - lo->s), a = lo->F - b * lo->s;
    double s = b > 0 ? -a / (2 * b) : a < 0 ? hi->s : lo->s;
    s = s < lo->s ? lo->s : s > hi->s ? hi->s : s;
    double g = -s * (a + b * s), g1 = -lo->s * lo->F, g2 = -hi->s * hi->F;
    return fmax(g, fmax(g1, g2));
}

/* ---- the sweep inside an interval ------------------------------------------------------------ */
/* Entries on the far side of every threshold at step s. */
static void ranks(const struct book *b, double s, size_t *r)
{
    for (size_t k = 0; k + 1 < b->n; k++) r[k] = qs_index_rank(b->ev, cut_at(b, b->t[k], s));
}

static size_t count_by_entry(const struct book *b, double s1, double s2)
{
    size_t n = 0;
    for (size_t i = 0; i < qs_index_entries(b->ev); i++) {
        float x = qs_index_value(b->ev, i);
        size_t k1 = rank_of(b, x, s1), k2 = rank_of(b, x, s2);
        n += k1 > k2 ? k1 - k2 : k2 - k1;
    }
    return n;
}

static size_t count_events(const struct book *b, double s1, double s2)
{
    if (b->by_entry) return count_by_entry(b, s1, s2);
    size_t n = 0;
    ranks(b, s1, b->r);
    ranks(b, s2, b->r2);
    for (size_t k = 0; k + 1 < b->n; k++) n += b->t[k] > 0 ? b->r2[k] - b->r[k] : b->t[k] < 0 ? b->r[k] - b->r2[k] : 0;
    return n;
}

static void insertion(struct event *e, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        struct event v = e[i];
        size_t j = i;
        for (; j > 0 && e[j - 1].at < v.at; j--) e[j] = e[j - 1];
        e[j] = v;
    }
}

/* Descending: runs of 12, then merges back and forth between e and its second half of n. */
static struct event *sort_events(struct event *e, size_t n)
{
    struct event *from = e, *to = e + n;
    for (size_t i = 0; i < n; i += 12) insertion(e + i, n - i < 12 ? n - i : 12);
    for (size_t run = 12; run < n; run *= 2) {
        for (size_t i = 0; i < n; i += 2 * run) {
            size_t a = i, am = i + run < n ? i + run : n, b = am, bm = i + 2 * run < n ? i + 2 * run : n, k = i;
            while (a < am && b < bm) to[k++] = from[a].at >= from[b].at ? from[a++] : from[b++];
            while (a < am) to[k++] = from[a++];
            while (b < bm) to[k++] = from[b++];
        }
        struct event *swap = from;
        from = to;
        to = swap;
    }
    return from;
}

/* The breakpoint where entry i crosses threshold k, outward. */
static struct event event_of(const struct book *b, size_t i, size_t k)
{
    bool pos = b->t[k] > 0;
    double near = pos ? b->c[k] : b->c[k + 1], far = pos ? b->c[k + 1] : b->c[k];
    double x = qs_index_value(b->ev, i) - b->beta, w = qs_index_weight(b->ev, i);
    return (struct event){x / b->t[k], w * x * (far - near), w * (far * far - near * near)};
}

static size_t events_by_entry(const struct book *b, double s1, double s2, struct event *e)
{
    size_t n = 0;
    for (size_t i = 0; i < qs_index_entries(b->ev); i++) {
        float x = qs_index_value(b->ev, i);
        size_t k1 = rank_of(b, x, s1), k2 = rank_of(b, x, s2);
        for (size_t k = k1 < k2 ? k1 : k2; k < k1 || k < k2; k++)
            if (b->t[k] != 0) e[n++] = event_of(b, i, k);
    }
    return n;
}

/* From the ranks that count_events has just filled. */
static size_t events_by_level(const struct book *b, struct event *e)
{
    size_t n = 0;
    for (size_t k = 0; k + 1 < b->n; k++) {
        bool pos = b->t[k] > 0;
        size_t from = pos ? b->r[k] : b->r2[k], to = pos ? b->r2[k] : b->r[k];
        for (size_t i = from; b->t[k] != 0 && i < to; i++) e[n++] = event_of(b, i, k);
    }
    return n;
}

/* All breakpoints inside an interval, from the state at its upper end down. */
static void sweep(const struct book *b, const struct node *v, size_t events, struct best *best)
{
    struct event *room = qs_xmalloc(2 * events * sizeof *room);
    size_t n = b->by_entry ? events_by_entry(b, v->lo.s, v->hi.s, room) : events_by_level(b, room);
    struct event *e = sort_events(room, n);
    double B = v->hi.B, C = v->hi.C;
    for (size_t i = 0; i < n; i++) {
        B += e[i].dB;
        C += e[i].dC;
        consider(best, B, C);
    }
    free(room);
}

/* ---- the search -------------------------------------------------------------------------------- */
struct heap { struct node *a; size_t n, cap; };

static void heap_push(struct heap *h, const struct node *v)
{
    if (h->n == h->cap) h->a = qs_xrealloc(h->a, (h->cap = h->cap ? 2 * h->cap : 64) * sizeof *h->a);
    size_t i = h->n++;
    for (; i > 0 && h->a[(i - 1) / 2].ub < v->ub; i = (i - 1) / 2) h->a[i] = h->a[(i - 1) / 2];
    h->a[i] = *v;
}

static struct node heap_pop(struct heap *h)
{
    struct node top = h->a[0], v = h->a[--h->n];
    size_t i = 0;
    for (size_t k = 1; k < h->n; k = 2 * i + 1) {
        if (k + 1 < h->n && h->a[k + 1].ub > h->a[k].ub) k++;
        if (h->a[k].ub <= v.ub) break;
        h->a[i] = h->a[k];
        i = k;
    }
    if (h->n) h->a[i] = v;
    return top;
}

/* Beyond this step nothing crosses a threshold any more; 0 if nothing ever does. */
static double last_breakpoint(const struct book *b)
{
    double lo = qs_index_min(b->ix) - b->beta, hi = qs_index_max(b->ix) - b->beta, s = 0;
    for (size_t k = 0; k + 1 < b->n; k++) {
        if (b->t[k] > 0 && hi > 0) s = fmax(s, hi / b->t[k]);
        if (b->t[k] < 0 && lo < 0) s = fmax(s, lo / b->t[k]);
    }
    return s;
}

static void push_if(struct heap *h, const struct point *lo, const struct point *hi, const struct best *best)
{
    struct node v = {*lo, *hi, bound(lo, hi)};
    if (v.ub > best->gain * (1 + 1e-15)) heap_push(h, &v);
}

static void open_intervals(const struct book *b, double top, struct heap *h, struct best *best)
{
    struct point p[START + 2];
    p[0] = eval(b, 0);
    for (int i = 1; i <= START + 1; i++) {
        p[i] = eval(b, i > START ? top * (1 + 1e-12) : top * pow(0.72, START + 1 - i));
        consider(best, p[i].B, p[i].C);
    }
    for (int i = 0; i <= START; i++) push_if(h, &p[i], &p[i + 1], best);
}

static bool is_leaf(const struct book *b, const struct node *v, size_t *events)
{
    bool narrow = v->hi.s - v->lo.s <= 4e-16 * v->hi.s;
    if (!narrow && !b->by_entry && b->ranked && v->lo.crossed - v->hi.crossed > LEAF) return false;
    *events = count_events(b, v->lo.s, v->hi.s);
    return narrow || *events <= LEAF;
}

/* Few breakpoints in all: sweep them at once. */
static bool sweep_all(const struct book *b, double top, const struct point *far, struct best *best)
{
    if (qs_index_entries(b->ev) * b->n > SWEEP_ALL) return false;
    struct node v = {.lo = {.s = 0}, .hi = *far};
    v.hi.s = 2 * top;
    sweep(b, &v, count_events(b, 0, v.hi.s), best);
    return true;
}

/* Intervals of steps that a second look has to decide, of one zero point and side. */
struct left { double z, lo, hi, ub; bool mirrored; };
struct lefts { struct left *a; size_t n, cap; };

static void lefts_add(struct lefts *l, const struct node *v, double z, bool mirrored)
{
    if (l->n == l->cap) l->a = qs_xrealloc(l->a, (l->cap = l->cap ? 2 * l->cap : 64) * sizeof *l->a);
    l->a[l->n++] = (struct left){z, v->lo.s, v->hi.s, v->ub, mirrored};
}

static struct point middle(const struct book *b, const struct node *v)
{
    return eval(b, v->lo.s > 0.25 * v->hi.s ? 0.5 * (v->lo.s + v->hi.s) : v->lo.s > 0 ? sqrt(v->lo.s * v->hi.s) : 0.25 * v->hi.s);
}

/*
 * Works off the intervals of h. The work is bounded: where levels are so many that the curve has minima without number
 * (16 bits), best->bound keeps what was not excluded. rough: what is narrow and not excluded goes to `left` in place of a sweep.
 */
static int work_off(const struct book *b, struct heap *h, struct best *best, struct lefts *left, double z, bool mirrored,
                    const qs_ctl *ctl, qs_err *err)
{
    double cost = (double)(b->by_entry ? 16 * qs_index_entries(b->ev) : b->n), spent = 0;
    int rc = 0;
    while (h->n && !rc) {
        struct node v = heap_pop(h);
        size_t events;
        if (v.ub <= best->gain * (1 + 1e-15)) break;
        if ((spent += cost) > WORK) {
            best->bound = fmax(best->bound, v.ub);
            break;
        }
        if (b->rough && v.hi.s - v.lo.s <= NARROW * v.hi.s) {
            lefts_add(left, &v, z, mirrored);
            continue;
        }
        if (!b->rough && is_leaf(b, &v, &events)) {
            sweep(b, &v, events, best);
            continue;
        }
        struct point mid = middle(b, &v);
        consider(best, mid.B, mid.C);
        push_if(h, &v.lo, &mid, best);
        push_if(h, &mid, &v.hi, best);
        if (fmod(spent, 16 * cost) < cost) rc = qs_ctl_check(ctl, _("exact least squares"), -1, err);
    }
    return rc;
}

/* The best code vector of a codebook; best comes with what is already known and is raised. */
static int search(const struct book *b, const qs_ctl *ctl, struct best *best, qs_err *err)
{
    struct heap h = {0};
    struct point far = eval(b, 1e300);
    double top = last_breakpoint(b);
    consider(best, far.B, far.C);
    if (top > 0 && sweep_all(b, top, &far, best)) return 0;
    if (top > 0) open_intervals(b, top, &h, best);
    int rc = work_off(b, &h, best, NULL, 0, false, ctl, err);
    free(h.a);
    return rc;
}

/* The first look at buckets: raises best by what whole buckets reach, and says where more may be. */
static int search_rough(struct book *b, const qs_ctl *ctl, struct best *best, struct lefts *left, double z, bool mirrored, qs_err *err)
{
    struct heap h = {0};
    b->rough = true;
    struct point far = eval(b, 1e300);
    double top = last_breakpoint(b);
    consider(best, far.B, far.C);
    if (top > 0) open_intervals(b, top, &h, best);
    int rc = work_off(b, &h, best, left, z, mirrored, ctl, err);
    free(h.a);
    return rc;
}

/* The second look: only between these steps, with b over the refined index. */
static int search_within(const struct book *b, double lo, double hi, const qs_ctl *ctl, struct best *best, qs_err *err)
{
    struct heap h = {0};
    struct point p = eval(b, lo), q = eval(b, hi);
    consider(best, p.B, p.C);
    consider(best, q.B, q.C);
    push_if(&h, &p, &q, best);
    int rc = work_off(b, &h, best, NULL, 0, false, ctl, err);
    free(h.a);
    return rc;
}

/* ---- step, zero point, sign ------------------------------------------------------------------------ */
struct answer {
    double step, offset;   /* step < 0: mirrored */
    double above;          /* the minimum is at most this much below, sum of squares; 0: proved */
    bool found, all;       /* all: every zero point was tried */
    qs_index *ix;          /* refined where the answer is: a reference; NULL: not needed, or it could not be had */
};

static int try_book(const qs_format *f, const qs_index *ix, double z, bool mirrored, const qs_ctl *ctl,
                    struct best *best,
                    bool *better, qs_err *err)
{
    struct book b;
    double before = best->gain;
    book_init(&b, ix, f, z, mirrored);
    int rc = search(&b, ctl, best, err);
    book_clear(&b);
    *better = best->gain > before;
    return rc;
}

static void keep(struct answer *a, const struct best *best, double z, bool mirrored)
{
    double s = best->B / best->C;
    *a = (struct answer){.step = mirrored ? -s : s, .offset = z != 0 ? (mirrored ? s : -s) * z : 0, .found = true,
                         .all = a->all, .ix = a->ix};
}

/* The zero points to try: all, or where they are very many ZP_ALL of them, evenly. */
static double zp_stride(const qs_format *f, double *lo, double *hi)
{
    if (f->offset != QS_OFFSET_ZP) {
        *lo = *hi = 0;
        return 1;
    }
    qs_format_zp_range(f, lo, hi);
    return *hi - *lo < ZP_ALL ? 1 : ceil((*hi - *lo) / ZP_ALL);
}

/* The zero point that puts the range in the middle of the levels. */
static double middle_zp(const qs_format *f, const qs_index *ix, double lo, double hi)
{
    double min = fmin(qs_index_min(ix), 0), max = fmax(qs_index_max(ix), 0);
    double z = max > min ? rint(f->c[0] - min / (max - min) * ((double)f->c[f->n - 1] - f->c[0])) : 0;
    return z < lo ? lo : z > hi ? hi : z;
}

/* ---- the second look ------------------------------------------------------------------------------------ */
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
    const struct left *x = a, *y = b;
    return (x->ub < y->ub) - (x->ub > y->ub);
}

/* How many of the intervals, the most promising first, can be looked at together; l: theirs. 0: not even one. */
static size_t take_some(const qs_format *f, const qs_index *ix, const struct left *a, size_t n, struct intervals *l)
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

static int look_again(const qs_index *ix, const struct intervals *at, const qs_ctl *ctl, struct answer *a, qs_err *err)
{
    qs_err e = {0};
    qs_index_unref(a->ix);
    a->ix = qs_index_refine(ix, at->a, at->n, ctl, &e);
    return a->ix ? 0 : qs_fail(err, e.code, "%s", e.msg);
}

static int look_within(const qs_format *f, const qs_index *fine, const struct left *at, const qs_ctl *ctl, struct best *best,
                       struct answer *a, qs_err *err)
{
    struct book b;
    double before = best->gain;
    book_init(&b, fine, f, at->z, at->mirrored);
    b.by_entry = false;
    int rc = search_within(&b, at->lo, at->hi, ctl, best, err);
    book_clear(&b);
    if (best->gain > before) keep(a, best, at->z, at->mirrored);
    return rc;
}

/* Decides the intervals that are left. *decided: all of them. */
static int decide(const qs_format *f, const qs_index *ix, struct lefts *l, const qs_ctl *ctl, struct best *best, struct answer *a,
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
static int settle(const qs_format *f, const qs_index *ix, struct answer *a, const qs_ctl *ctl, bool *done, qs_err *err)
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
static int best_of_buckets(const qs_format *f, const qs_index *ix, const qs_ctl *ctl, struct answer *a, bool *done, qs_err *err)
{
    struct best best = {0};
    struct lefts left = {0};
    double lo, hi, stride = zp_stride(f, &lo, &hi);
    int rc = 0;
    *done = false;
    for (double z = lo; z <= hi && !rc; z += stride)
        for (int m = 0; m <= f->flip && !rc; m++) {
            struct book b;
            book_init(&b, ix, f, z, m);
            b.by_entry = false;
            double before = best.gain;
            rc = search_rough(&b, ctl, &best, &left, z, m, err);
            if (best.gain > before) keep(a, &best, z, m);
            book_clear(&b);
        }
    bool decided = false;
    if (!rc && !(best.bound > best.gain)) rc = decide(f, ix, &left, ctl, &best, a, &decided, err);
    if (!rc && decided && a->found) rc = settle(f, ix, a, ctl, done, err);
    *done &= !rc;
    a->all = stride == 1;
    if (!*done) {
        qs_index_unref(a->ix);
        *a = (struct answer){0};
    }
    free(left.a);
    return rc;
}

static int best_of_all(const qs_format *f, const qs_index *ix, const qs_ctl *ctl, struct answer *a, qs_err *err)
{
    struct best best = {0};
    double lo, hi, stride = zp_stride(f, &lo, &hi), first = f->offset == QS_OFFSET_ZP ? middle_zp(f, ix, lo, hi) : 0;
    int rc = 0;
    if (qs_index_refinable(ix)) {
        bool done;
        rc = best_of_buckets(f, ix, ctl, a, &done, err);
        if (rc || done) return rc;
    }
    a->all = stride == 1;
    /* The likeliest first: what it finds lets most others be dropped after a few looks. */
    for (double d = 0; d <= hi - lo && !rc; d += stride)
        for (int m = 0; m < (d > 0 ? 4 : 2) && !rc; m++) {
            double z = first + (m < 2 ? d : -d);
            bool better, mirrored = m % 2;
            if (z < lo || z > hi || (mirrored && !f->flip)) continue;
            rc = try_book(f, ix, z, mirrored, ctl, &best, &better, err);
            if (better) keep(a, &best, z, mirrored);
        }
    a->above = best.bound > best.gain ? best.bound - best.gain : 0;
    return rc;
}

/* ---- float32 ------------------------------------------------------------------------------------------ */
static double mse_at(const qs_format *f, const qs_index *ix, double step, double offset)
{
    qs_grid g;
    if (step == 0 || (float)step == 0 || !isfinite((float)(step * f->cmax))) return INFINITY;
    qs_grid_at(&g, f, step, offset);
    qs_grid_levels(&g);
    double mse = qs_error_mse(&g, ix, NULL);
    qs_grid_clear(&g);
    return mse;
}

/*
 * The arithmetic is float32's, whose rounding of the levels moves the error by parts in 1e8: of the nearest steps
 * there, keep the best; ours, unrounded, if it is among the equals.
 */
static double polish(const qs_format *f, const qs_index *ix, struct answer *a)
{
    double mse = mse_at(f, ix, a->step, a->offset), z = f->offset == QS_OFFSET_ZP ? -a->offset / a->step : 0;
    float up = (float)a->step, down = up;
    size_t many = qs_index_kind_of(ix) == QS_INDEX_BUCKETS ? qs_index_n(ix) : qs_index_entries(ix);
    for (int i = many < 4096 || f->n > 64 ? 2 : 8; i > 0; i--) {
        up = nextafterf(up, INFINITY);
        down = nextafterf(down, -INFINITY);
        for (int side = 0; side < 2; side++) {
            float s = side ? up : down;
            double off = f->offset == QS_OFFSET_ZP ? (z != 0 ? -s * z : 0) : a->offset, e = mse_at(f, ix, s, off);
            if (e >= mse) continue;
            mse = e;
            a->step = s;
            a->offset = off;
        }
    }
    return mse;
}

/* ---- a real offset: best found --------------------------------------------------------------------------- */
struct affine { double s, beta, err; };

/* One round of alternating least squares from (s, beta): codes, then the 2x2 normal equations. Returns the squares. */
static double als_round(struct book *b, struct affine *p)
{
    qs_sums all = qs_index_total(b->ix), last = {0};
    double sq = 0, sqq = 0, sxq = 0, e = 0;
    b->beta = p->beta;
    for (size_t k = 0; k + 1 < b->n; k++) b->v[k] = cut_at(b, b->t[k], p->s);
    qs_index_below_many(b->ix, b->v, b->n - 1, b->at);
    for (size_t k = 0; k < b->n; k++) {
        qs_sums to = k + 1 < b->n ? b->at[k] : all;
        double w = to.w - last.w, wx = to.wx - last.wx, l = b->c[k] * p->s + p->beta;
        sq += b->c[k] * w;
        sqq += b->c[k] * b->c[k] * w;
        sxq += b->c[k] * wx;
        e += fmax((to.wxx - last.wxx) - 2 * l * wx + l * l * w, 0);
        last = to;
    }
    double det = all.w * sqq - sq * sq;
    if (det > 1e-12 * all.w * sqq) {
        double s = (all.w * sxq - all.wx * sq) / det;
        if (s > 0) {
            p->s = s;
            p->beta = (all.wx - s * sq) / all.w;
        }
    }
    return e;
}

static void als(struct book *b, struct affine *p, int rounds)
{
    struct affine try = *p;
    p->err = INFINITY;
    for (int i = 0; i < rounds; i++) {
        struct affine at = try;
        at.err = als_round(b, &try);
        if (!(at.err < p->err * (1 - 1e-13))) break;
        *p = at;
    }
}

/* With beta fixed, the exact step; then the offset again, while that helps. */
static int refine(struct book *b, struct affine *p, const qs_ctl *ctl, qs_err *err)
{
    int rc = 0;
    for (int i = 0; i < 6 && !rc; i++) {
        struct best best = {0};
        struct affine try = *p;
        b->beta = p->beta;
        rc = search(b, ctl, &best, err);
        if (rc || !(best.gain > 0)) break;
        try.s = best.B / best.C;
        als(b, &try, 60);
        if (!(try.err < p->err * (1 - 1e-12))) break;
        *p = try;
    }
    return rc;
}

/*
 * METHODS 9 B: for a step, the error at every offset is the correlation of the histogram with the error profile of the
 * quantizer. One FFT of the histogram, two a step. Cells are 1/MAP of the range wide; offsets from one range below the
 * smallest value to one above the largest.
 */
#define MAP ((size_t)512)
#define MAP_STEPS 48

static double profile(const struct book *b, double s, double x)
{
    size_t lo = 0, hi = b->n - 1;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (x >= b->t[mid] * s) lo = mid + 1;
        else hi = mid;
    }
    double e = x - b->c[lo] * s;
    return e * e;
}

/* The MINIMA smallest local minima of a row; at[] in cells, least[] ascending, infinity where there are fewer. */
#define MINIMA 4
static void row_minima(const double *row, size_t n, size_t *at, double *least)
{
    for (int i = 0; i < MINIMA; i++) least[i] = INFINITY;
    for (size_t m = 0; m < n; m++) {
        if ((m > 0 && row[m - 1] < row[m]) || (m + 1 < n && row[m + 1] <= row[m]) ||
            row[m] >= least[MINIMA - 1])
            continue;
        int i = MINIMA - 1;
        for (; i > 0 && least[i - 1] > row[m]; i--) {
            least[i] = least[i - 1];
            at[i] = at[i - 1];
        }
        least[i] = row[m];
        at[i] = m;
    }
}

static int map_row(const struct book *b, double s, double d, const double *fh, double *re, double *cx, qs_err *err)
{
    const size_t n = 8 * MAP, half = 2 * MAP;
    /* re[k] = E(x - beta) at x - beta = (k - half) d; the histogram's cell i and offset j need k = i - j + half. */
    for (size_t k = 0; k < n; k++) re[k] = k < 2 * half ? profile(b, s, ((double)k - (double)half + 0.5) * d) : 0;
    int rc = qs_fft_forward(n, re, cx, err);
    for (size_t k = 0; k <= n / 2 && !rc; k++) {   /* times the conjugate of the histogram's transform */
        double r = cx[2 * k] * fh[2 * k] + cx[2 * k + 1] * fh[2 * k + 1];
        cx[2 * k + 1] = cx[2 * k + 1] * fh[2 * k] - cx[2 * k] * fh[2 * k + 1];
        cx[2 * k] = r;
    }
    return rc ? rc : qs_fft_inverse(n, cx, re, err);
}

/* The best offsets at each of MAP_STEPS steps: start values. */
static int offset_map(const struct book *b, struct affine *out, size_t *count, qs_err *err)
{
    const size_t n = 8 * MAP, half = 2 * MAP;
    double lo = qs_index_min(b->ix), hi = qs_index_max(b->ix), d = (hi - lo) / MAP, width = b->c[b->n - 1] - b->c[0];
    double *h = qs_fft_alloc(n), *fh = qs_fft_alloc(n + 2), *cx = qs_fft_alloc(n + 2);
    int rc = 0;
    memset(h, 0, n * sizeof *h);
    qs_sums last = {0};
    for (size_t i = 0; i < MAP; i++) {
        qs_sums to = i + 1 < MAP ? qs_index_below(b->ix, (float)(lo + d * (double)(i + 1))) : qs_index_total(b->ix);
        h[i] = to.w - last.w;
        last = to;
    }
    rc = qs_fft_forward(n, h, fh, err);
    for (int i = 0; i < MAP_STEPS && !rc; i++) {
        double s = (hi - lo) / width * pow(0.02, (double)i / MAP_STEPS) * 1.2, least[MINIMA];
        size_t m[MINIMA] = {0};
        rc = map_row(b, s, d, fh, h, cx, err);
        if (rc) break;
        row_minima(h, 2 * half - MAP + 1, m, least);   /* m = half - j */
        for (int k = 0; k < MINIMA && least[k] < INFINITY; k++)
            out[(*count)++] = (struct affine){s, lo + ((double)half - (double)m[k]) * d, least[k]};
    }
    qs_fft_free(h);
    qs_fft_free(fh);
    qs_fft_free(cx);
    return rc;
}

static int by_error(const void *a, const void *b)
{
    double x = ((const struct affine *)a)->err, y = ((const struct affine *)b)->err;
    return (x > y) - (x < y);
}

/* The range itself, and every zero point's best step. */
static int zp_starts(const qs_format *f, const struct book *b, struct affine *out, size_t *count, const qs_ctl *ctl,
                     qs_err *err)
{
    double lo = qs_index_min(b->ix), hi = qs_index_max(b->ix), zlo, zhi, width = b->c[b->n - 1] - b->c[0];
    int rc = 0;
    qs_format_zp_range(f, &zlo, &zhi);
    double stride = fmax(1, ceil((zhi - zlo) / 64));
    out[(*count)++] = (struct affine){(hi - lo) / width, lo - b->c[0] * (hi - lo) / width, 0};
    for (double z = zlo; z <= zhi && !rc; z += stride) {
        struct best best = {0};
        bool better;
        rc = try_book(f, b->ix, z, false, ctl, &best, &better, err);
        if (better) out[(*count)++] = (struct affine){best.B / best.C, -best.B / best.C * z, 0};
    }
    return rc;
}

#define REFINED 6
static int best_offset(const qs_format *f, const qs_index *ix, bool mirrored, const qs_ctl *ctl, struct affine *out,
                       qs_err *err)
{
    struct book b;
    struct affine start[MAP_STEPS * MINIMA + 72];
    size_t n = 0;
    book_init(&b, ix, f, 0, mirrored);
    b.by_entry = false;
    int rc = zp_starts(f, &b, start, &n, ctl, err);
    if (!rc) rc = offset_map(&b, start, &n, err);
    for (size_t i = 0; i < n && !rc; i++) als(&b, &start[i], 40);
    qsort(start, n, sizeof *start, by_error);
    for (size_t i = 0; i < n && i < REFINED && !rc; i++) rc = refine(&b, &start[i], ctl, err);
    qsort(start, n < REFINED ? n : REFINED, sizeof *start, by_error);
    *out = start[0];
    book_clear(&b);
    return rc;
}

static int fit_offset(const qs_init_in *in, struct answer *a, qs_err *err)
{
    int rc = 0;
    struct affine best = {.err = INFINITY};
    if (qs_index_min(in->ix) == qs_index_max(in->ix) || in->f->n < 2) return 0;
    for (int m = 0; m <= in->f->flip && !rc; m++) {
        struct affine p;
        rc = best_offset(in->f, in->ix, m, in->ctl, &p, err);
        if (rc || !(p.err < best.err)) continue;
        best = p;
        *a = (struct answer){.step = m ? -p.s : p.s, .offset = p.beta, .found = true};
    }
    return rc;
}

/* ---- what others call ----------------------------------------------------------------------------------------- */
int qs_mse_step(const qs_format *f, const qs_index *ix, const qs_ctl *ctl, double *step, double *mse, qs_err *err)
{
    struct answer a = {0};
    qs_format plain = *f;
    plain.offset = QS_OFFSET_NONE;
    int rc = best_of_all(&plain, ix, ctl, &a, err);
    if (rc) return rc;
    if (!a.found)
        return qs_fail(err, QS_ERANGE, _("every step has the same error: no value meets a level of %s but 0"), f->text);
    double e = polish(&plain, a.ix ? a.ix : ix, &a);
    qs_index_unref(a.ix);
    *step = a.step;
    if (mse) *mse = e;
    return 0;
}

/* Where the search was cut short, a rule of thumb may still be better. */
static double improve(const qs_init_in *in, struct answer *a, double mse)
{
    qs_fit_fn *const rules[] = {qs_fit_minmax, qs_fit_octav, qs_fit_aciq_gauss};
    qs_init_opts plain = {.role = in->opts->role};
    qs_init_in with = *in;
    with.opts = &plain;
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        qs_init_out o = {0};
        double e = rules[i](&with, &o, NULL) || !(o.step > 0) ? INFINITY : mse_at(in->f, in->ix, o.step, o.offset);
        if (e >= mse) continue;
        mse = e;
        a->step = o.step;
        a->offset = o.offset;
    }
    return mse;
}

static void say_found(const qs_init_in *in, const struct answer *a, double mse, qs_init_out *out)
{
    double z = rint(-a->offset / a->step) + 0.0, n = qs_index_total(in->ix).w;
    char *to = out->formula;
    size_t size = sizeof out->formula;
    if (in->f->offset == QS_OFFSET_REAL)
        snprintf(to, size, "best found: (s, beta) = (%.6g, %.6g), mse %.4g", a->step, a->offset, mse);
    else if (in->f->offset == QS_OFFSET_ZP && a->all)
        snprintf(to, size, "argmin over s and all z of E = (%.6g, %g), mse %.4g", a->step, z, mse);
    else if (in->f->offset == QS_OFFSET_ZP)
        snprintf(to, size, "best found over s and %d zero points: (%.6g, %g), mse %.4g", ZP_ALL, a->step, z, mse);
    else snprintf(to, size, "argmin over s of E(s) = %.6g, mse %.4g", a->step, mse);
    double above = mse > 0 ? a->above / n / mse : 0;
    if (above > 0 && above < 0.5)
        snprintf(out->note, sizeof out->note,
                 _("best found: the search was cut short, at most %.2g %% above the minimum"),
                 100 * above / (1 - above));
    else if (above > 0)
        snprintf(out->note, sizeof out->note, _("best found: the search was cut short"));
    else if (qs_index_kind_of(in->ix) == QS_INDEX_BUCKETS && !a->ix)
        snprintf(out->note, sizeof out->note, _("from a bucket index: sums inside a bucket are interpolated"));
}

int qs_fit_mse(const qs_init_in *in, qs_init_out *out, qs_err *err)
{
    struct answer a = {0};
    bool real = in->f->offset == QS_OFFSET_REAL;
    int rc = real ? fit_offset(in, &a, err) : best_of_all(in->f, in->ix, in->ctl, &a, err);
    if (rc) return rc;
    if (!a.found) return qs_fit_minmax(in, out, err);
    double mse = polish(in->f, a.ix ? a.ix : in->ix, &a);
    if (a.above > 0) mse = improve(in, &a, mse);
    out->step = a.step;
    out->offset = a.offset;
    say_found(in, &a, mse, out);
    qs_index_unref(a.ix);
    return 0;
}
