/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Numbers that scales are kept in. All of them are floats with few bits, so one rounding does for all: to a multiple
 * of the distance between neighbours, which double holds exactly.
 */
#include "quant/scale.h"

#include <float.h>
#include <math.h>

const qs_scale_type qs_scale_types[QS_SCALES] = {
    [QS_SCALE_F32]  = {"f32", 32, 23, -126, FLT_MAX},
    [QS_SCALE_F16]  = {"f16", 16, 10, -14, 65504},
    [QS_SCALE_E8M0] = {"e8m0", 8, 0, -127, 0x1p127},
    [QS_SCALE_E4M3] = {"e4m3", 8, 3, -6, 448},
};

double qs_scale_unit(qs_scale type, double absmax, double cmax)
{
    if (type != QS_SCALE_E4M3 || !(absmax > 0) || !(cmax > 0)) return 1;
    float unit = (float)(absmax / (qs_scale_types[type].most * cmax));
    return unit > 0 && isfinite(unit) ? (double)unit : 1;
}

/* |s| in units, float32 as everything that is computed of scales; by what neighbours differ there. */
static double in_units(const qs_scale_type *t, double unit, double s, double *apart)
{
    double v = (double)((float)fabs(s) / (float)unit);
    int e = v > 0 ? ilogb(v) : t->least_exponent;
    *apart = ldexp(1, (e > t->least_exponent ? e : t->least_exponent) - t->mantissa);
    return v;
}

/* Back from units: within the type, as the float32 product. */
static double held(const qs_scale_type *t, double unit, double v, double sign)
{
    double least = ldexp(1, t->least_exponent - t->mantissa);
    v = v < least ? least : v > t->most ? t->most : v;
    return copysign((double)((float)v * (float)unit), sign);
}

double qs_scale_near(qs_scale type, double unit, double s)
{
    const qs_scale_type *t = &qs_scale_types[type];
    double apart, v = in_units(t, unit, s, &apart);
    return type == QS_SCALE_F32 ? s : held(t, unit, rint(v / apart) * apart, s);
}

void qs_scale_around(qs_scale type, double unit, double s, double *below, double *above)
{
    const qs_scale_type *t = &qs_scale_types[type];
    double apart, v = in_units(t, unit, s, &apart);
    *below = type == QS_SCALE_F32 ? s : held(t, unit, floor(v / apart) * apart, s);
    *above = type == QS_SCALE_F32 ? s : held(t, unit, ceil(v / apart) * apart, s);
}

double qs_scale_offset(qs_scale type, double beta)
{
    const qs_scale_type *t = &qs_scale_types[type];
    double apart, v = in_units(t, 1, beta, &apart);
    if (type == QS_SCALE_F32) return beta;
    v = rint(v / apart) * apart;
    return copysign(v > t->most ? t->most : v, beta) + 0.0;
}
