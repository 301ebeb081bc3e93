/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Block formats: from a step that a rule found to one that can be kept, and the rules that published layouts have of
 * their own. Knows the types of scales by scale.h only.
 */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "quant/grid.h"
#include "quant/rows.h"

/* ---- keeping a step ------------------------------------------------------------------------ */
struct kept { double step, offset, mse, clip; };

static void measure(const qs_format *f, const qs_index *ix, struct kept *k)
{
    qs_grid g;
    qs_qerror e;
    qs_grid_at(&g, f, k->step, k->offset);
    qs_grid_levels(&g);
    qs_error_index(&g, ix, &e, NULL);
    k->mse = e.mse;
    k->clip = e.clip_mse;
    qs_qerror_clear(&e);
    qs_grid_clear(&g);
}

/* The offset that goes with a step: a zero point stays the same integer. */
static double offset_with(const qs_format *f, const qs_init_out *found, double step)
{
    if (f->offset == QS_OFFSET_REAL) return qs_scale_offset(f->scale, found->offset);
    return found->offset != 0 ? -rint(-found->offset / found->step) * step : 0;
}

/* Takes step where its error is smaller. Returns the part that clipping has in it. */
static double try_step(const qs_format *f, const qs_index *ix, const qs_init_out *found, double step, struct kept *best)
{
    struct kept k = {.step = step, .offset = offset_with(f, found, step)};
    measure(f, ix, &k);
    if (k.mse < best->mse) *best = k;
    return k.clip;
}

/* The next smaller number that can be kept, or 0 at the end. */
static double next_below(qs_scale type, double unit, double s)
{
    double below, above;
    qs_scale_around(type, unit, s * (1 - 1e-6), &below, &above);
    return fabs(below) < fabs(s) ? below : 0;
}

/*
 * Numbers of few bits are so far apart that the neighbours of the optimum need not be best: all, from where every value
 * is on the level nearest zero down to where clipping alone, which only grows, costs more than the best so far.
 */
static void best_of_few(const qs_format *f, const qs_index *ix, double unit, const qs_init_out *found, double sign,
                        struct kept *best)
{
    double least = INFINITY, below, s;
    bool grows = f->c[0] <= 0 && f->c[f->n - 1] >= 0;
    for (size_t k = 0; k + 1 < f->n; k++)
        if (f->t[k] != 0) least = fmin(least, fabs((double)f->t[k]));
    if (!isfinite(least)) least = 1;
    qs_scale_around(f->scale, unit, sign * qs_index_absmax(ix) / least, &below, &s);
    for (; s != 0; s = next_below(f->scale, unit, s))
        if (try_step(f, ix, found, s, best) >= best->mse && grows) return;
}

/* Of the steps that can be kept, a rule gets the nearest; least squares the best, of half precision the better neighbour. */
static void choose(const qs_format *f, const qs_init_in *in, bool best_of, double unit, const qs_init_out *found,
                   struct kept *k)
{
    double below, above;
    *k = (struct kept){.step = qs_scale_near(f->scale, unit, found->step), .mse = INFINITY};
    k->offset = offset_with(f, found, k->step);
    if (!best_of) return;
    qs_scale_around(f->scale, unit, found->step, &below, &above);
    try_step(f, in->ix, found, below, k);
    try_step(f, in->ix, found, above, k);
    if (qs_scale_types[f->scale].mantissa > 3) return;
    best_of_few(f, in->ix, unit, found, 1, k);
    if (f->flip) best_of_few(f, in->ix, unit, found, -1, k);
}

void qs_init_keep(const qs_init *row, const qs_init_in *in, qs_init_out *out)
{
    const qs_format *f = out->f ? out->f : in->f;
    const qs_scale_type *t = &qs_scale_types[f->scale];
    struct kept k;
    if (!f->scale) return;
    double unit = in->unit > 0 ? in->unit : qs_scale_unit(f->scale, qs_index_absmax(in->ix), f->cmax);
    double least = unit * ldexp(1, t->least_exponent - t->mantissa), was = fabs(out->step);
    choose(f, in, row->flags & QS_INIT_LEAST, unit, out, &k);
    out->step = k.step;
    out->offset = k.offset;
    size_t n = strlen(out->formula);
    snprintf(out->formula + n, sizeof out->formula - n, _(", kept as %.6g (%s)"), k.step, t->name);
    if (was < least / 2 || was > t->most * unit * (1 + 1e-6))
        qs_init_note(out, _("the step is held at %.3g, the end of %s scales"), out->step, t->name);
}

/* ---- GGUF ------------------------------------------------------------------------------------ */
int qs_applies_ggml(const qs_format *f, qs_role role, qs_err *err)
{
    (void)role;
    bool layout = f->uniform && f->scale == QS_SCALE_F16 && (f->is_signed ? f->offset == QS_OFFSET_NONE
                                                                         : f->offset == QS_OFFSET_REAL);
    if (layout) return 0;
    return qs_fail(err, QS_EUNSUP, _("ggml is for GGUF's q4_0, q4_1, q5_0, q5_1, q8_0, not for %s"), f->text);
}

/* The value farthest from zero with its sign; of two the first, as the reference meets them. */
static float farthest(const qs_init_in *in)
{
    float lo = qs_index_min(in->ix), hi = qs_index_max(in->ix), first = hi;
    if (fabsf(lo) != hi) return fabsf(lo) > hi ? lo : hi;
    for (size_t i = in->n; i-- > 0;)
        if (fabsf(in->x[i]) == hi) first = in->x[i];
    return first;
}

/*
 * The reference picks codes with the float32 step and keeps the step in half precision afterwards. Where that is 0, all
 * values come back as the offset: a step so large that every value goes to its level does the same.
 */
int qs_fit_ggml(const qs_init_in *in, qs_init_out *out, qs_err *err)
{
    (void)err;
    const qs_format *f = in->f;
    float lo = qs_index_min(in->ix), hi = qs_index_max(in->ix), d;
    if (f->offset) d = (hi - lo) / (float)f->qp;
    else if (f->flip) d = farthest(in) / (float)-f->qn;
    else d = fmaxf(fabsf(lo), fabsf(hi)) / (float)f->qp;
    bool nothing = fabsf(d) <= 0x1p-25f;
    out->step = nothing ? 0x1p-24 : (double)d;
    out->offset = f->offset ? (double)lo : 0;
    out->pick = nothing ? FLT_MAX : d;
    out->pick_offset = f->offset ? lo : 0;
    const char *what = f->offset ? "(max - min) / Qp" : f->flip ? "x / -Qn, x farthest from 0" : "max|x| / Qp";
    snprintf(out->formula, sizeof out->formula, "%s = %.4g, which picks the codes", what, (double)d);
    return 0;
}

/* ---- OCP Microscaling ------------------------------------------------------------------------ */
int qs_applies_ocp(const qs_format *f, qs_role role, qs_err *err)
{
    (void)role;
    if (f->scale == QS_SCALE_E8M0 && f->offset == QS_OFFSET_NONE && f->c[f->n - 1] > 0) return 0;
    return qs_fail(err, QS_EUNSUP, _("ocp is for scale=e8m0 (mxfp4), not for %s"), f->text);
}

/* The largest power of two in the block over the largest one among the levels. */
int qs_fit_ocp(const qs_init_in *in, qs_init_out *out, qs_err *err)
{
    (void)err;
    double most = qs_index_absmax(in->ix);
    int e = ilogb(most) - ilogb((double)in->f->c[in->f->n - 1]);
    out->step = ldexp(1, e < -127 ? -127 : e);
    snprintf(out->formula, sizeof out->formula, "2^(floor(log2 max|x|) - floor(log2 max c)) = 2^(%d - %d)", ilogb(most),
             ilogb((double)in->f->c[in->f->n - 1]));
    return 0;
}
