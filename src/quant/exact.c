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
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"
#include "quant/exact.h"

#define LEAF 96           /* breakpoints that are swept rather than halved */
#define START 24          /* points of the first curve */
#define SWEEP_ALL 8192    /* entries x levels up to which all breakpoints are swept at once */
#define WORK 4e7          /* thresholds looked up before the search of one codebook gives up proving */
#define NARROW 0x1p-10    /* intervals of steps, relative, that are left to the second look */

/* ---- one codebook over one index --------------------------------------------------------- */
/* crossed: breakpoints at steps above s, times weight if not ranked */
struct point { double s, B, C, F, crossed; };
struct event { double at, dB, dC; };
struct node { struct point lo, hi; double ub; };

void qs_exact_init(qs_exact *b, const qs_index *ix, const qs_format *f, double z, bool mirrored)
{
    *b = (qs_exact){.ix = ix, .ev = qs_index_fine(ix) ? qs_index_fine(ix) : ix, .n = f->n};
    b->c = qs_xmalloc(2 * f->n * sizeof *b->c);
    b->t = b->c + f->n;
    for (size_t k = 0; k < f->n; k++) {
        double c = (float)((double)f->c[k] - z);
        b->c[mirrored ? f->n - 1 - k : k] = mirrored ? -c : c;
    }
    for (size_t k = 0; k + 1 < f->n; k++) b->t[k] = (b->c[k] + b->c[k + 1]) / 2;
    b->density = f->n > 1 ? (double)(f->n - 1) / (b->c[f->n - 1] - b->c[0]) : 0;
    b->v = qs_xmalloc(f->n * sizeof *b->v);
    b->at = qs_xmalloc(f->n * sizeof *b->at);
    b->r = qs_xmalloc(2 * f->n * sizeof *b->r);
    b->r2 = b->r + f->n;
    b->ranked = qs_index_kind_of(ix) == QS_INDEX_SORTED && !qs_index_weighted(ix);
    b->by_entry = qs_index_entries(ix) * 4 < f->n;
}

void qs_exact_clear(qs_exact *b)
{
    free(b->c);
    free(b->v);
    free(b->at);
    free(b->r);
}

/* The smallest float32 >= beta + t s. */
float qs_exact_cut(const qs_exact *b, double t, double s)
{
    double d = b->beta + t * s;
    float v = (float)d;
    return (double)v < d ? nextafterf(v, INFINITY) : v;
}

/* The level of x. Where it would be if levels were evenly spread is tried first: of integers it is there. */
static size_t rank_of(const qs_exact *b, float x, double s)
{
    size_t lo = 0, hi = b->n - 1;
    double g = rint(((x - b->beta) / s - b->c[0]) * b->density);
    if (g > 0 && g < (double)hi) {
        size_t k = (size_t)g;
        if (x < qs_exact_cut(b, b->t[k - 1], s)) hi = k - 1;
        else if (x < qs_exact_cut(b, b->t[k], s)) return k;
        else lo = k + 1;
    }
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (x >= qs_exact_cut(b, b->t[mid], s)) lo = mid + 1;
        else hi = mid;
    }
    return lo;
}

static void eval_entries(const qs_exact *b, struct point *p)
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
static double slack(const qs_exact *b, size_t k, double theta, qs_sums in)
{
    double d1 = in.wx - theta * in.w, d2 = in.wxx - 2 * theta * in.wx + theta * theta * in.w;
    d2 = fmax(d2, 0) + 1e-13 * (in.wxx + theta * theta * in.w);     /* what cancelling lost */
    return fmax(sqrt(in.w * d2) - fabs(d1), 0) * (b->c[k + 1] - b->c[k]);
}

/* Buckets go to the side where their mean is; returns the slack of all of them. */
static double rough_sums(const qs_exact *b, double s)
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
static double eval_sums(const qs_exact *b, struct point *p)
{
    qs_sums all = qs_index_total(b->ix), last = {0};
    double loss = 0;
    for (size_t k = 0; k + 1 < b->n; k++) b->v[k] = qs_exact_cut(b, b->t[k], p->s);
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

static struct point eval(const qs_exact *b, double s)
{
    struct point p = {.s = s};
    double loss = 0;
    if (b->by_entry) eval_entries(b, &p);
    else loss = eval_sums(b, &p);
    p.F = s * p.C - 2 * p.B - loss;
    return p;
}

static void consider(qs_exact_best *best, double B, double C)
{
    if (!(B > 0) || !(C > 0)) return;
    double gain = B / C * B;
    if (gain > best->gain) *best = (qs_exact_best){gain, B, C, best->bound};
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
static void ranks(const qs_exact *b, double s, size_t *r)
{
    for (size_t k = 0; k + 1 < b->n; k++) b->v[k] = qs_exact_cut(b, b->t[k], s);
    qs_index_rank_many(b->ev, b->v, b->n - 1, r);
}

static size_t count_by_entry(const qs_exact *b, double s1, double s2)
{
    size_t n = 0;
    for (size_t i = 0; i < qs_index_entries(b->ev); i++) {
        float x = qs_index_value(b->ev, i);
        size_t k1 = rank_of(b, x, s1), k2 = rank_of(b, x, s2);
        n += k1 > k2 ? k1 - k2 : k2 - k1;
    }
    return n;
}

static size_t count_events(const qs_exact *b, double s1, double s2)
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
static struct event event_of(const qs_exact *b, size_t i, size_t k)
{
    bool pos = b->t[k] > 0;
    double near = pos ? b->c[k] : b->c[k + 1], far = pos ? b->c[k + 1] : b->c[k];
    double x = qs_index_value(b->ev, i) - b->beta, w = qs_index_weight(b->ev, i);
    return (struct event){x / b->t[k], w * x * (far - near), w * (far * far - near * near)};
}

static size_t events_by_entry(const qs_exact *b, double s1, double s2, struct event *e)
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
static size_t events_by_level(const qs_exact *b, struct event *e)
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
static void sweep(const qs_exact *b, const struct node *v, size_t events, qs_exact_best *best)
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
static double last_breakpoint(const qs_exact *b)
{
    double lo = qs_index_min(b->ix) - b->beta, hi = qs_index_max(b->ix) - b->beta, s = 0;
    for (size_t k = 0; k + 1 < b->n; k++) {
        if (b->t[k] > 0 && hi > 0) s = fmax(s, hi / b->t[k]);
        if (b->t[k] < 0 && lo < 0) s = fmax(s, lo / b->t[k]);
    }
    return s;
}

static void push_if(struct heap *h, const struct point *lo, const struct point *hi, const qs_exact_best *best)
{
    struct node v = {*lo, *hi, bound(lo, hi)};
    if (v.ub > best->gain * (1 + 1e-15)) heap_push(h, &v);
}

/* The first points between lo and hi: each at 0.72 of the next, at most START. */
static void open_intervals(const qs_exact *b, double lo, double hi, struct heap *h, qs_exact_best *best)
{
    struct point p = eval(b, hi);
    consider(best, p.B, p.C);
    for (int i = 0; p.s > lo; i++) {
        double s = i < START && p.s * 0.72 > lo ? p.s * 0.72 : lo;
        struct point q = eval(b, s);
        consider(best, q.B, q.C);
        push_if(h, &q, &p, best);
        p = q;
    }
}

static bool is_leaf(const qs_exact *b, const struct node *v, size_t *events)
{
    bool narrow = v->hi.s - v->lo.s <= 4e-16 * v->hi.s;
    if (!narrow && !b->by_entry && b->ranked && v->lo.crossed - v->hi.crossed > LEAF) return false;
    *events = count_events(b, v->lo.s, v->hi.s);
    return narrow || *events <= LEAF;
}

/* ---- where the step may be ------------------------------------------------------------------------ */
/*
 * No step is the best at which the outermost values are clipped so much, or so many are rounded to 0, that their error alone is
 * more than the least known. What is left is a window of steps, often empty for a zero point far off. Groups of a few dozen values
 * are millions: this spares them the sorting of most of their breakpoints.
 */
#define OUTERMOST 16
#define WALKED 4096          /* values up to which those near 0 are added up one by one */

/* Below this step the largest (side 1) or smallest (-1) values alone lose more than `most` beyond the outermost level. */
static double clipping_bound(const qs_exact *b, int side, double most)
{
    size_t n = qs_index_entries(b->ev);
    double c = side * b->c[side > 0 ? b->n - 1 : 0], w = 0, wx = 0, wxx = 0, s = 0;
    for (size_t k = 0; k < n && k < OUTERMOST; k++) {
        size_t i = side > 0 ? n - 1 - k : k;
        double x = side * (qs_index_value(b->ev, i) - b->beta), m = qs_index_weight(b->ev, i);
        if (x <= 0) break;
        w += m;
        wx += m * x;
        wxx += m * x * x;
        if (wxx <= most) continue;
        if (c <= 0) return INFINITY;       /* there is no level on their side */
        double d = wx * wx - w * (wxx - most), root = d > 0 ? (wx - sqrt(d)) / (w * c) : INFINITY;
        s = fmax(s, fmin(root, x / c));    /* all of them are clipped up to x / c */
    }
    return s;
}

/* Above this step what is rounded to 0 alone loses more than `most`. */
static double zero_bound(const qs_exact *b, double most)
{
    size_t zero = 0, n = qs_index_entries(b->ev), up = 0, end = n;
    while (zero < b->n && b->c[zero] != 0) zero++;
    if (zero == b->n || n > WALKED) return INFINITY;
    while (up < end) {                     /* the first value above 0 */
        size_t mid = (up + end) / 2;
        if (qs_index_value(b->ev, mid) - b->beta > 0) end = mid;
        else up = mid + 1;
    }
    double above = zero + 1 < b->n ? 1 / b->t[zero] : 0, below = zero > 0 ? 1 / b->t[zero - 1] : -0.0, lost = 0;
    for (size_t down = up; up < n || down > 0;) {
        double x = up < n ? qs_index_value(b->ev, up) - b->beta : INFINITY, y = down > 0 ? qs_index_value(b->ev, down - 1) - b->beta : 0;
        double sx = up < n ? x * above : INFINITY, sy = down > 0 ? y * below : INFINITY;     /* the steps from which on they are 0 */
        bool first = sx <= sy;
        double v = first ? x : y;
        lost += qs_index_weight(b->ev, first ? up : down - 1) * v * v;
        if (lost > most) return first ? sx : sy;
        if (first) up++;
        else down--;
    }
    return INFINITY;
}

/* Where the step may be that is better than best; false: nowhere. */
static bool window(const qs_exact *b, const qs_exact_best *best, double *lo, double *hi)
{
    qs_sums all = qs_index_total(b->ix);
    double energy = all.wxx - 2 * b->beta * all.wx + b->beta * b->beta * all.w;
    double most = fmax(energy - best->gain, 0) * (1 + 1e-9) + 1e-12 * energy;
    *lo = fmax(clipping_bound(b, 1, most), clipping_bound(b, -1, most)) * (1 - 1e-9);
    *hi = fmin(*hi, zero_bound(b, most) * (1 + 1e-9));
    return *lo < *hi;
}

/* The step that clips nothing, and one a little less: so that something is known. */
static void guess(const qs_exact *b, qs_exact_best *best)
{
    double x = qs_index_max(b->ix) - b->beta, y = qs_index_min(b->ix) - b->beta, c = b->c[b->n - 1], d = b->c[0];
    double s = fmax(x > 0 && c > 0 ? x / c : 0, y < 0 && d < 0 ? y / d : 0);
    for (int i = 0; i < 2 && s > 0; i++, s *= 0.8) {
        struct point p = eval(b, s);
        consider(best, p.B, p.C);
    }
}

/* Few breakpoints in all: sweeps them at once. */
static bool sweep_all(const qs_exact *b, double lo, double hi, qs_exact_best *best)
{
    if (qs_index_entries(b->ev) * b->n > SWEEP_ALL) return false;
    struct node v = {.lo = {.s = lo}, .hi = eval(b, hi)};
    consider(best, v.hi.B, v.hi.C);
    sweep(b, &v, count_events(b, lo, hi), best);
    return true;
}

/* ---- intervals ------------------------------------------------------------------------------------- */
static void lefts_add(qs_exact_lefts *l, const struct node *v, double z, bool mirrored)
{
    if (l->n == l->cap) l->a = qs_xrealloc(l->a, (l->cap = l->cap ? 2 * l->cap : 64) * sizeof *l->a);
    l->a[l->n++] = (qs_exact_left){z, v->lo.s, v->hi.s, v->ub, mirrored};
}

static struct point middle(const qs_exact *b, const struct node *v)
{
    return eval(b, v->lo.s > 0.25 * v->hi.s ? 0.5 * (v->lo.s + v->hi.s) : v->lo.s > 0 ? sqrt(v->lo.s * v->hi.s) : 0.25 * v->hi.s);
}

/*
 * Works off the intervals of h. The work is bounded: where levels are so many that the curve has minima without number
 * (16 bits), best->bound keeps what was not excluded. rough: what is narrow and not excluded goes to `left` in place of a sweep.
 */
static int work_off(const qs_exact *b, struct heap *h, qs_exact_best *best, qs_exact_lefts *left, double z, bool mirrored,
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
int qs_exact_search(const qs_exact *b, const qs_ctl *ctl, qs_exact_best *best, qs_err *err)
{
    struct heap h = {0};
    double lo, top = last_breakpoint(b), hi = 2 * top;
    if (!(top > 0)) {
        struct point far = eval(b, 1e300);
        consider(best, far.B, far.C);
        return 0;
    }
    if (!(best->gain > 0)) guess(b, best);
    if (!window(b, best, &lo, &hi) || sweep_all(b, lo, hi, best)) return 0;
    open_intervals(b, lo, hi, &h, best);
    int rc = work_off(b, &h, best, NULL, 0, false, ctl, err);
    free(h.a);
    return rc;
}

/* The first look at buckets: raises best by what whole buckets reach, and says where more may be. */
int qs_exact_rough(qs_exact *b, const qs_ctl *ctl, qs_exact_best *best, qs_exact_lefts *left, double z, bool mirrored, qs_err *err)
{
    struct heap h = {0};
    b->rough = true;
    if (!(best->gain > 0)) guess(b, best);
    struct point far = eval(b, 1e300);
    double top = last_breakpoint(b);
    consider(best, far.B, far.C);
    if (top > 0) open_intervals(b, 0, top * (1 + 1e-12), &h, best);
    int rc = work_off(b, &h, best, left, z, mirrored, ctl, err);
    free(h.a);
    return rc;
}

/* The second look: only between these steps, with b over the refined index. */
int qs_exact_within(const qs_exact *b, double lo, double hi, const qs_ctl *ctl, qs_exact_best *best, qs_err *err)
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
