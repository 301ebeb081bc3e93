/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Straight-through gradients of a quantizer with respect to its input, its
 * steps and its offsets. Four published rules, written as two questions an
 * element: is it inside (for dx), and what does the step feel? And the same
 * questions as numbers, for the kernels that training runs on.
 */
#include "quant/quantizer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "quant/book.h"
#include "quant/grid.h"

const qs_doc qs_learn_docs[] = {
    {"lsq",  N_("learned step (Esser et al. 2020): inside d/ds = round(v) - v, outside the bound")},
    {"lsq+", N_("learned step and offset (Bhalgat et al. 2020): d/dbeta = 1 outside, 0 inside")},
    {"rcf",  N_("reparameterized clipping (Li et al. 2020, APoT): as lsq, the bound itself inside")},
    {"pact", N_("learned clip (Choi et al. 2018): only elements at or beyond the clip move it")},
    {"none", N_("nothing is learned: step and offset stay as they are")},
    {NULL, NULL},
};

int qs_learn_named(const char *name, qs_learn *out, qs_err *err)
{
    for (int i = 0; qs_learn_docs[i].name; i++)
        if (!strcmp(qs_learn_docs[i].name, name)) {
            *out = (qs_learn)i;
            return 0;
        }
    return qs_fail(err, QS_EARG, _("no learning rule \"%.40s\": lsq, lsq+, rcf, pact, none"), name);
}

int qs_mask_named(const char *name, qs_mask *out, qs_err *err)
{
    static const char *const names[] = {"paper", "clamp", "code", "none"};
    for (int i = 0; i < 4; i++)
        if (!strcmp(names[i], name)) {
            *out = (qs_mask)i;
            return 0;
        }
    return qs_fail(err, QS_EARG, _("no mask \"%.40s\": paper, clamp, code, none"), name);
}

/* What an element knows: its place u in steps, the level it goes to, the outermost levels. */
struct place {
    float u, c, lo, hi;
    int side;              /* of the rounded code before clipping: -1 below the lowest level, 1 above the highest, 0 */
};

/* The rounded code is outside where u is past the threshold that would stand half a gap beyond the last level. */
static int code_side(const qs_grid *g, float u)
{
    size_t n = g->n;
    if (g->uniform) {
        float r = g->f->away ? roundf(u) : rintf(u);
        return r < g->lo ? -1 : r > g->hi;
    }
    if (n < 2) return 0;
    double below = 1.5 * g->c[0] - 0.5 * g->c[1], above = 1.5 * g->c[n - 1] - 0.5 * g->c[n - 2];
    return u < below ? -1 : u > above;
}

static bool inside(const struct place *p, qs_mask mask)
{
    switch (mask) {
    case QS_MASK_PAPER: return p->u > p->lo && p->u < p->hi;
    case QS_MASK_CLAMP: return p->u >= p->lo && p->u <= p->hi;
    case QS_MASK_CODE: return p->side == 0;
    case QS_MASK_NONE: break;
    }
    return true;
}

/* Whether the step and the offset see the element as clipped: -1 below, 1 above, 0 not. */
static int clipped(const struct place *p, qs_learn learn, qs_mask mask)
{
    bool strict = learn == QS_LEARN_RCF || (learn != QS_LEARN_PACT && mask == QS_MASK_CLAMP);
    if (learn != QS_LEARN_RCF && learn != QS_LEARN_PACT && mask == QS_MASK_CODE) return p->side;
    if (strict) return p->u < p->lo ? -1 : p->u > p->hi;
    return p->u <= p->lo ? -1 : p->u >= p->hi;
}

/* d xhat / d s at this element. */
static double step_slope(const struct place *p, qs_learn learn, int side)
{
    if (learn == QS_LEARN_NONE) return 0;
    if (side) return side < 0 ? p->lo : p->hi;
    return learn == QS_LEARN_PACT ? 0 : (double)p->c - p->u;
}

double qs_grad_scale(const qs_format *f, double n)
{
    double qp = f->c[f->n - 1] > 0 ? f->c[f->n - 1] : f->cmax;
    return n > 0 && qp > 0 ? 1 / sqrt(n * qp) : 1;
}

/* ---- as numbers ---------------------------------------------------------------------------- */
enum bounds { OPEN, CLOSED, CODE, ALL };   /* what lies inside: c_min < u < c_max, with its ends, by rounded code, all */

static float float_from(double at_least)
{
    float v = (float)at_least;
    return v < at_least ? nextafterf(v, INFINITY) : v;
}

/* Places whose rounded code is one of the format's, as a closed interval. */
static void code_bounds(const qs_grid *g, float *from, float *to)
{
    size_t n = g->n;
    if (g->uniform) {
        *from = g->lo - 0.5f;
        *to = g->hi + 0.5f;
        if (code_side(g, *from)) *from = nextafterf(*from, INFINITY);
        if (code_side(g, *to)) *to = nextafterf(*to, -INFINITY);
        return;
    }
    *from = n < 2 ? -INFINITY : float_from(1.5 * g->c[0] - 0.5 * g->c[1]);
    *to = n < 2 ? INFINITY : -float_from(-(1.5 * g->c[n - 1] - 0.5 * g->c[n - 2]));
}

static void bounds_of(const qs_grid *g, enum bounds b, float *from, float *to)
{
    *from = b == ALL ? -INFINITY : g->c[0];
    *to = b == ALL ? INFINITY : g->c[g->n - 1];
    if (b == OPEN) {
        *from = nextafterf(*from, INFINITY);
        *to = nextafterf(*to, -INFINITY);
    }
    if (b == CODE) code_bounds(g, from, to);
}

/*
 * Is c - u exact in float32 for every u that is not clipped? It is where u lies between c/2 and 2c (Sterbenz), and for
 * c = 0. Thresholds are midpoints, so only a level three times its inner neighbour, or one without it, is in the way.
 */
static bool slopes_exact(const qs_grid *g, const qs_fqrule *r)
{
    for (size_t k = 0; k < g->n; k++) {
        float c = g->c[k], from = k ? g->t[k - 1] : r->lo, to = k + 1 < g->n ? g->t[k] : r->hi;
        float near = c > 0 ? from : -to, far = c > 0 ? to : -from;
        if (c != 0 && !(near >= fabsf(c) / 2 && far <= 2 * fabsf(c))) return false;
    }
    return true;
}

void qs_grid_rule(const qs_grid *g, qs_learn learn, qs_mask mask, qs_fqrule *r)
{
    static const enum bounds dx[] = {[QS_MASK_PAPER] = OPEN, [QS_MASK_CLAMP] = CLOSED, [QS_MASK_CODE] = CODE,
                                     [QS_MASK_NONE] = ALL};
    enum bounds step = mask == QS_MASK_NONE ? OPEN : dx[mask];
    if (learn == QS_LEARN_RCF) step = CLOSED;
    if (learn == QS_LEARN_PACT) step = OPEN;
    bool none = learn == QS_LEARN_NONE;
    *r = (qs_fqrule){.below = none ? 0 : g->c[0], .above = none ? 0 : g->c[g->n - 1],
                     .inner = !none && learn != QS_LEARN_PACT, .offset = learn == QS_LEARN_LSQP};
    bounds_of(g, dx[mask], &r->in_lo, &r->in_hi);
    bounds_of(g, step, &r->lo, &r->hi);
    r->exact = g->uniform || slopes_exact(g, r);
}

/* ---- as sentences -------------------------------------------------------------------------- */
/* One part: x, up, dx (n); the sums over it. */
static void part_grad(const qs_grid *g, const float *x, const float *up, size_t n, const qs_grad_opts *o, float *dx,
                      double *dstep, double *doffset)
{
    double ds = 0, db = 0;
    int32_t *rank = qs_xmalloc(n * sizeof *rank);
    qs_grid_rank(g, x, n, rank);
    for (size_t i = 0; i < n; i++) {
        struct place p = {.u = (x[i] - g->beta) / g->s, .c = g->c[rank[i]], .lo = g->c[0], .hi = g->c[g->n - 1]};
        if (isnan(p.u)) {
            dx[i] = 0;
            continue;
        }
        p.side = o->mask == QS_MASK_CODE ? code_side(g, p.u) : 0;
        int side = clipped(&p, o->learn, o->mask);
        dx[i] = inside(&p, o->mask) ? up[i] : 0;
        ds += up[i] * step_slope(&p, o->learn, side);
        if (side && o->learn != QS_LEARN_NONE) db += up[i];
    }
    free(rank);
    double scale = o->scale ? qs_grad_scale(g->f, (double)n) : 1;
    *dstep = scale * (g->mirrored ? -ds : ds);
    *doffset = scale * db;
}

int qs_quantizer_grad(const qs_quantizer *q, const qs_tensor *x, const float *up, const qs_grad_opts *o,
                      float *dx, double *dstep, double *doffset, qs_err *err)
{
    qs_split s;
    int rc = qs_quantizer_fits(q, x, &s, err);
    if (rc) return rc;
    size_t longest = qs_split_longest(&s, x);
    float *buf = qs_big_alloc(3 * longest * sizeof *buf + 64);
    if (!buf) return qs_fail(err, QS_ENOMEM, _("no memory for the gradients of %zu values"), longest);
    float *bx = buf, *bup = buf + longest, *bdx = bup + longest;
    for (size_t p = 0; p < s.parts; p++) {
        qs_grid g;
        size_t n = qs_split_len(&s, x, p);
        double db = 0;
        qs_grid_part(&g, q, p);
        qs_split_gather(&s, x, p, bx);
        for (size_t i = 0; i < n; i++) bup[i] = up[qs_split_where(&s, x, p, i)];
        if (g.corrected) qs_correct(g.gain, 0, bup, n);
        part_grad(&g, bx, bup, n, o, bdx, &dstep[p], &db);
        qs_split_scatter(&s, x, p, bdx, dx);
        if (doffset) doffset[p] = q->f->offset == QS_OFFSET_REAL ? db : 0;
        qs_grid_clear(&g);
    }
    qs_big_free(buf);
    return 0;
}
