/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The init "mse": the least-squares step of any codebook (METHODS 10), over zero points and either sign, in float32.
 * exact.h has the search.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "quant/exact.h"
#include "quant/grid.h"
#include "quant/rows.h"

/* ---- zero point, sign --------------------------------------------------------------------------------- */
int qs_exact_try(const qs_format *f, const qs_index *ix, double z, bool mirrored, const qs_ctl *ctl, qs_exact_best *best,
                 bool *better, qs_err *err)
{
    qs_exact b;
    double before = best->gain;
    qs_exact_init(&b, ix, f, z, mirrored);
    int rc = qs_exact_search(&b, ctl, best, err);
    qs_exact_clear(&b);
    *better = best->gain > before;
    return rc;
}

void qs_exact_keep(qs_exact_answer *a, const qs_exact_best *best, double z, bool mirrored)
{
    double s = best->B / best->C;
    *a = (qs_exact_answer){.step = mirrored ? -s : s, .offset = z != 0 ? (mirrored ? s : -s) * z : 0, .found = true,
                             .all = a->all, .ix = a->ix};
}

/* The zero points to try: all, or where they are very many QS_EXACT_ZPS of them, evenly. */
double qs_exact_zps(const qs_format *f, double *lo, double *hi)
{
    if (f->offset != QS_OFFSET_ZP) {
        *lo = *hi = 0;
        return 1;
    }
    qs_format_zp_range(f, lo, hi);
    return *hi - *lo < QS_EXACT_ZPS ? 1 : ceil((*hi - *lo) / QS_EXACT_ZPS);
}

/* The zero point that puts the range in the middle of the levels. */
static double middle_zp(const qs_format *f, const qs_index *ix, double lo, double hi)
{
    double min = fmin(qs_index_min(ix), 0), max = fmax(qs_index_max(ix), 0);
    double z = max > min ? rint(f->c[0] - min / (max - min) * ((double)f->c[f->n - 1] - f->c[0])) : 0;
    return z < lo ? lo : z > hi ? hi : z;
}

static int best_of_all(const qs_format *f, const qs_index *ix, const qs_ctl *ctl, qs_exact_answer *a, qs_err *err)
{
    qs_exact_best best = {0};
    double lo, hi, stride = qs_exact_zps(f, &lo, &hi), first = f->offset == QS_OFFSET_ZP ? middle_zp(f, ix, lo, hi) : 0;
    int rc = 0;
    if (qs_index_refinable(ix)) {
        bool done;
        rc = qs_exact_buckets(f, ix, ctl, a, &done, err);
        if (rc || done) return rc;
    }
    a->all = stride == 1;
    /* The likeliest first: what it finds lets most others be dropped after a few looks. */
    for (double d = 0; d <= hi - lo && !rc; d += stride)
        for (int m = 0; m < (d > 0 ? 4 : 2) && !rc; m++) {
            double z = first + (m < 2 ? d : -d);
            bool better, mirrored = m % 2;
            if (z < lo || z > hi || (mirrored && !f->flip)) continue;
            rc = qs_exact_try(f, ix, z, mirrored, ctl, &best, &better, err);
            if (better) qs_exact_keep(a, &best, z, mirrored);
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
static double polish(const qs_format *f, const qs_index *ix, qs_exact_answer *a)
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
/* ---- what others call ----------------------------------------------------------------------------------------- */
int qs_mse_step(const qs_format *f, const qs_index *ix, const qs_ctl *ctl, double *step, double *mse, qs_err *err)
{
    qs_exact_answer a = {0};
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
static double improve(const qs_init_in *in, qs_exact_answer *a, double mse)
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

static void say_found(const qs_init_in *in, const qs_exact_answer *a, double mse, qs_init_out *out)
{
    double z = rint(-a->offset / a->step) + 0.0, n = qs_index_total(in->ix).w;
    char *to = out->formula;
    size_t size = sizeof out->formula;
    if (in->f->offset == QS_OFFSET_REAL)
        snprintf(to, size, "best found: (s, beta) = (%.6g, %.6g), mse %.4g", a->step, a->offset, mse);
    else if (in->f->offset == QS_OFFSET_ZP && a->all)
        snprintf(to, size, "argmin over s and all z of E = (%.6g, %g), mse %.4g", a->step, z, mse);
    else if (in->f->offset == QS_OFFSET_ZP)
        snprintf(to, size, "best found over s and %d zero points: (%.6g, %g), mse %.4g", QS_EXACT_ZPS, a->step, z, mse);
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
    qs_exact_answer a = {0};
    bool real = in->f->offset == QS_OFFSET_REAL;
    int rc = real ? qs_exact_offset(in, &a, err) : best_of_all(in->f, in->ix, in->ctl, &a, err);
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
