/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * LAPQ (Nahshan et al. 2019, arXiv 1911.07190), the nearest published relative of the adaptive start, for comparison: one
 * norm p for all quantizers where a parabola through the calibration losses is least, then Powell's method on all steps
 * jointly. The loss is the cross-entropy with the labels. Written from the paper's description, not from its code; bounded
 * by the same number of images as the adaptive start.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "train/search.h"

#define REACH 0.2             /* of a line search at first, in ln s */
#define ENOUGH 1e-3           /* what a round must gain, of the loss, for another */

static const double norms[] = {2, 2.5, 3, 3.5, 4};
#define NORMS (sizeof norms / sizeof *norms)

/* The vertex of the parabola of least squares through (x, y), or NaN where it opens downwards. */
static double vertex(const double *x, const double *y, size_t n)
{
    double s[5] = {0}, t[3] = {0}, mean = 0;
    for (size_t i = 0; i < n; i++) mean += x[i] / (double)n;
    for (size_t i = 0; i < n; i++) {
        double u = x[i] - mean, v = 1;
        for (int k = 0; k < 5; k++, v *= u) {
            s[k] += v;
            if (k < 3) t[k] += v * y[i];
        }
    }
    /* the normal equations of a + b u + c u^2, by Cramer's rule */
    double det = s[0] * (s[2] * s[4] - s[3] * s[3]) - s[1] * (s[1] * s[4] - s[2] * s[3]) + s[2] * (s[1] * s[3] - s[2] * s[2]);
    double b = s[0] * (t[1] * s[4] - s[3] * t[2]) - t[0] * (s[1] * s[4] - s[2] * s[3]) + s[2] * (s[1] * t[2] - t[1] * s[2]);
    double c = s[0] * (s[2] * t[2] - t[1] * s[3]) - s[1] * (s[1] * t[2] - t[1] * s[2]) + t[0] * (s[1] * s[3] - s[2] * s[2]);
    return c / det > 0 ? mean - b / (2 * c) : NAN;
}

static int choose_norm(qs_search *a, qs_err *err)
{
    double loss[NORMS] = {a->loss}, best = norms[0], least = a->loss, at;
    for (size_t i = 1; i < NORMS; i++) {
        int rc = qs_search_start(a, QS_ATTEMPT_ALL, norms[i], &loss[i], err);
        if (rc) return rc;
        if (loss[i] < least) least = loss[i], best = norms[i];
    }
    double p = isfinite(loss[0]) ? vertex(norms, loss, NORMS) : NAN;
    if (!(p >= norms[0] && p <= norms[NORMS - 1])) p = best;
    int rc = qs_search_start(a, QS_ATTEMPT_ALL, p, &at, err);
    if (!rc && at > least) rc = qs_search_start(a, QS_ATTEMPT_ALL, p = best, &at, err);
    a->loss = at;
    a->r->adapted.p_weights = a->r->adapted.p_acts = p;
    qs_search_last(a)->taken = true;
    return rc;
}

/* ---- Powell ------------------------------------------------------------------------------------- */
struct powell {
    qs_search *a;
    double *home;             /* (nparam) parameters at u = 0 */
    double *u;                /* (n) ln of the factors where it stands */
    double *dir;              /* (n, n) directions, one a row */
};

static int loss_at(struct powell *k, const double *dir, double t, double *loss, qs_err *err)
{
    qs_search *a = k->a;
    qs_search_restore(a, k->home);
    for (size_t i = 0; i < a->n; i++) qs_search_scale(a, i, exp(k->u[i] + t * dir[i]));
    return qs_search_try(a, QS_ATTEMPT_ALL, NAN, loss, err);
}

/* The least of a parabola through three points a line search has looked at. */
static double parabola(double t0, double y0, double t1, double y1, double t2, double y2)
{
    double a = (t1 - t0) * (y1 - y2), b = (t1 - t2) * (y1 - y0);
    return t1 - 0.5 * ((t1 - t0) * a - (t1 - t2) * b) / (a - b);
}

/* Along a direction: both sides, then where the parabola is least. Moves u; *gain: what it brought. */
static int along(struct powell *k, const double *dir, double *gain, qs_err *err)
{
    double y[2], t = 0, least = k->a->loss, at;
    *gain = 0;
    for (int s = 0; s < 2; s++) {
        int rc = loss_at(k, dir, s ? REACH : -REACH, &y[s], err);
        if (rc) return rc;
        if (y[s] < least) least = y[s], t = s ? REACH : -REACH;
    }
    double v = parabola(-REACH, y[0], 0, k->a->loss, REACH, y[1]);
    if (isfinite(v) && fabs(v) > 0.02 && fabs(v) < 3 * REACH && !qs_search_over(k->a)) {
        int rc = loss_at(k, dir, v, &at, err);
        if (rc) return rc;
        if (at < least) least = at, t = v;
    }
    *gain = k->a->loss - least;
    k->a->loss = least;
    for (size_t i = 0; i < k->a->n; i++) k->u[i] += t * dir[i];
    return 0;
}

/* One round along all directions; the one that gained most gives way to the way of the whole round. */
static int round_of(struct powell *k, double *whole, double *brought, qs_err *err)
{
    const size_t n = k->a->n;
    size_t most = 0;
    double best = 0, before = k->a->loss, gain;
    memcpy(whole, k->u, n * sizeof *whole);
    for (size_t j = 0; j < n && !qs_search_over(k->a); j++) {
        int rc = along(k, k->dir + j * n, &gain, err);
        if (rc) return rc;
        if (gain > best) best = gain, most = j;
    }
    double size = 0;
    for (size_t i = 0; i < n; i++) {
        whole[i] = k->u[i] - whole[i];
        size = fmax(size, fabs(whole[i]));
    }
    *brought = before - k->a->loss;
    if (!(size > 0)) return 0;
    for (size_t i = 0; i < n; i++) whole[i] /= size;
    int rc = qs_search_over(k->a) ? 0 : along(k, whole, &gain, err);
    memcpy(k->dir + most * n, whole, n * sizeof *whole);
    return rc;
}

static int powell(qs_search *a, qs_err *err)
{
    struct powell k = {.a = a};
    double *whole = qs_xcalloc(a->n, sizeof *whole), brought = INFINITY;
    int rc = 0;
    k.home = qs_xmalloc(a->nparam * sizeof *k.home);
    k.u = qs_xcalloc(a->n, sizeof *k.u);
    k.dir = qs_xcalloc(a->n * a->n, sizeof *k.dir);
    for (size_t i = 0; i < a->n; i++) k.dir[i * a->n + i] = 1;
    qs_search_save(a, k.home);
    while (!rc && !qs_search_over(a) && brought > ENOUGH * a->loss) rc = round_of(&k, whole, &brought, err);
    qs_search_restore(a, k.home);
    for (size_t i = 0; i < a->n; i++) {
        qs_search_scale(a, i, exp(k.u[i]));
        a->r->adapted.factor[a->site[i]] = exp(k.u[i]);
    }
    free(whole);
    free(k.home);
    free(k.u);
    free(k.dir);
    return rc;
}

int qs_search_lapq(qs_search *a, qs_err *err)
{
    int rc = choose_norm(a, err);
    return rc ? rc : powell(a, err);
}
