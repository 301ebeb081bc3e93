/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The step of least E_p(s) = sum |x - Q(x)|^p, for any codebook: p = 2 is `mse`, exactly; any other p is read off the
 * correlation in ln |x| (METHODS 9 A), once over all steps. With a zero point the
 * neighbours of the least-squares one are tried, with a real offset a descent from the least-squares one.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/mem.h"
#include "quant/rows.h"
#include "quant/grid.h"

#define P_MAX 16
#define CELLS 4096                    /* 0.35 % of a step each; the parabola does the rest */
#define ZP_NEAR 8                     /* zero points tried on either side */
#define FEW ((size_t)1 << 15)         /* values a search over offsets looks at */

struct lp { const qs_format *f; const qs_index *ix; double p; const qs_ctl *ctl; };
struct point { double step, offset, error; };

/* Where a parabola in ln s through the best point and its neighbours is least. */
static double polished(const qs_curve *c)
{
    size_t i = 0;
    while (c->step[i] != c->best_step) i++;
    if (!i || i + 1 == c->points) return c->best_step;
    double a = c->error[i - 1], b = c->error[i], d = c->error[i + 1], bend = a - 2 * b + d;
    double shift = bend > 0 ? 0.5 * (a - d) / bend : 0;
    return c->best_step * exp(shift * log(c->step[i + 1] / c->step[i]));
}

/* The best step at one offset (zp: z), from the curve between lo and hi (0: all that matter). */
static int along_steps(const struct lp *k, double offset, double lo, double hi, size_t points, struct point *best, qs_err *err)
{
    qs_curve c;
    const qs_curve_opts o = {.points = points, .lo = lo, .hi = hi, .p = k->p, .offset = offset, .cells = CELLS};
    int rc = qs_curve_index(k->f, k->ix, &o, k->ctl, &c, err);
    if (rc) return rc;
    if (c.best_error < best->error) *best = (struct point){polished(&c), offset, c.best_error};
    qs_curve_clear(&c);
    return 0;
}

static int over_zero_points(const struct lp *k, double z0, struct point *best, qs_err *err)
{
    double lo, hi;
    int rc = 0;
    qs_format_zp_range(k->f, &lo, &hi);
    lo = fmax(lo, z0 - ZP_NEAR);
    hi = fmin(hi, z0 + ZP_NEAR);
    for (double z = lo; z <= hi && !rc; z++) rc = along_steps(k, z, 0, 0, 128, best, err);
    return rc;
}

/* Offsets on either side at shrinking distance, each with the best step near the one so far. */
static int over_offsets(const struct lp *k, double step, double beta, struct point *best, qs_err *err)
{
    int rc = along_steps(k, beta, step / 3, step * 3, 128, best, err);
    for (double d = step / 2; d > step / 64 && !rc;) {
        const struct point before = *best;
        for (int side = -1; side <= 1 && !rc; side += 2)
            rc = along_steps(k, before.offset + side * d, before.step / 1.5, before.step * 1.5, 64, best, err);
        if (best->error >= before.error) d /= 2;
    }
    return rc;
}

/* So many values at equal ranks; the same index where it is small or weighted. */
static qs_index *reduced(qs_index *ix, const qs_ctl *ctl, qs_err *err)
{
    if (qs_index_entries(ix) <= FEW || qs_index_weighted(ix)) return qs_index_ref(ix);
    float *x = qs_xmalloc(FEW * sizeof *x);
    for (size_t i = 0; i < FEW; i++) x[i] = (float)qs_index_quantile(ix, (double)i / (double)(FEW - 1));
    qs_index *few = qs_index_new(x, FEW, NULL, ctl, err);
    free(x);
    return few;
}

/* From the least-squares parameters, of x itself or, mirrored, of -x. */
static int solve(struct lp *k, qs_index *ix, double step, double offset, struct point *best, qs_err *err)
{
    qs_index *few = NULL;
    int rc;
    k->ix = ix;
    if (k->f->offset == QS_OFFSET_REAL) {
        if (!(few = reduced(ix, k->ctl, err))) return err ? -err->code : -QS_ENOMEM;
        k->ix = few;
        rc = over_offsets(k, step, offset, best, err);
    } else if (k->f->offset == QS_OFFSET_ZP) {
        rc = over_zero_points(k, rint(-offset / step), best, err);
    } else {
        rc = along_steps(k, 0, 0, 0, 0, best, err);
    }
    qs_index_unref(few);
    return rc;
}

/* The other sign of the step is the same problem for -x. */
static int solve_mirrored(struct lp *k, double step, double offset, struct point *best, bool *mirrored, qs_err *err)
{
    struct point other = {.error = INFINITY};
    qs_index *ix = qs_index_mirror(k->ix, err);
    if (!ix) return err ? -err->code : -QS_ENOMEM;
    int rc = solve(k, ix, step, -offset, &other, err);
    qs_index_unref(ix);
    *mirrored = other.error < best->error;
    if (*mirrored) *best = other;
    return rc;
}

static void take(const qs_format *f, const struct point *b, bool mirrored, qs_init_out *out)
{
    double beta = f->offset == QS_OFFSET_ZP ? -b->step * b->offset : b->offset;
    out->step = mirrored ? -b->step : b->step;
    out->offset = !f->offset ? 0 : mirrored ? -beta : beta;
}

int qs_fit_lp(const qs_init_in *in, qs_init_out *out, qs_err *err)
{
    double p = *in->opts->variant ? atof(in->opts->variant) : 2;
    if (!(p > 0 && p <= P_MAX)) return qs_fail(err, QS_EARG, _("lp:%g: the norm is above 0 and at most %d"), p, P_MAX);
    int rc = qs_fit_mse(in, out, err);
    if (rc || p == 2 || qs_index_min(in->ix) == qs_index_max(in->ix) || !(fabs(out->step) > 0)) return rc;
    struct lp k = {.f = in->f, .ix = in->ix, .p = p, .ctl = in->ctl};
    struct point best = {.error = INFINITY};
    bool mirrored = false;
    double s = fabs(out->step), beta = out->step < 0 ? -out->offset : out->offset;
    rc = solve(&k, (qs_index *)in->ix, s, beta, &best, err);
    k.ix = in->ix;
    if (!rc && in->f->flip) rc = solve_mirrored(&k, s, beta, &best, &mirrored, err);
    if (rc == -QS_EARG || rc == -QS_ERANGE || (!rc && !(best.step > 0))) {   /* at the ends of float32 there is no curve */
        snprintf(out->note, sizeof out->note, _("least squares: these values have no curve of another norm"));
        return 0;
    }
    if (rc) return rc;
    take(in->f, &best, mirrored, out);
    snprintf(out->formula, sizeof out->formula, "argmin over s of E|x - Q(x)|^%g = %.6g", p, out->step);
    return 0;
}

/* ---- what needs a network ------------------------------------------------------------------------- */
int qs_fit_network(const qs_init_in *in, qs_init_out *out, qs_err *err)
{
    (void)out;
    return qs_fail(err, QS_ESTATE, _("%s needs a network and calibration data: qs.train(net, data, {quant = {init = \"%s\"}})"),
                   (const char *)in->ctx, (const char *)in->ctx);
}
