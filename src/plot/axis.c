/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Positions and ticks of an axis. Knows numbers only. */
#include "plot/axis.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

bool qs_axis_ok(const qs_axis *a)
{
    return isfinite(a->lo) && isfinite(a->hi) && a->lo < a->hi && (!a->log || a->lo > 0);
}

/* ln(v / lo), also where the quotient is out of range. */
static double log_of(double v, double lo)
{
    double q = v / lo;
    return isfinite(q) && q > 0 ? log(q) : log(v) - log(lo);
}

double qs_axis_at(const qs_axis *a, double v)
{
    if (isnan(v) || !qs_axis_ok(a)) return NAN;
    if (!a->log) return (v - a->lo) / (a->hi - a->lo);
    if (v <= 0) return -1e9;
    return log_of(v, a->lo) / log_of(a->hi, a->lo);
}

double qs_axis_value(const qs_axis *a, double t)
{
    if (!a->log) return a->lo + t * (a->hi - a->lo);
    double span = log_of(a->hi, a->lo);
    return span < 700 ? a->lo * exp(t * span) : exp(log(a->lo) + t * span);
}

/* The smallest of 1, 2, 5 times a power of ten that is not below x. */
static double nice(double x)
{
    double p = pow(10, floor(log10(x)));
    double m = x / p;
    double k = m <= 1.0 + 1e-9 ? 1 : m <= 2.0 + 1e-9 ? 2 : m <= 5.0 + 1e-9 ? 5 : 10;
    return k * p;
}

static size_t linear_ticks(const qs_axis *a, size_t max, double *out)
{
    double step = nice((a->hi - a->lo) / (double)(max - 1));
    size_t n = 0;
    if (!(step > 0) || !isfinite(step)) return 0;
    for (double k = ceil(a->lo / step - 1e-9); n < max && k * step <= a->hi + step * 1e-9; k++)
        out[n++] = k == 0 ? 0 : k * step;
    return n;
}

static size_t log_ticks(const qs_axis *a, size_t max, double *out)
{
    double d0 = ceil(log10(a->lo) - 1e-9), d1 = floor(log10(a->hi) + 1e-9);
    size_t decades = d1 >= d0 ? (size_t)(d1 - d0) + 1 : 0, n = 0;
    size_t every = decades > max ? (decades + max - 1) / max : 1;
    bool between = (decades + 1) * 3 <= max;
    d0 = between ? d0 - 1 : d0;
    for (double d = d0; d <= d1; d += (double)every) {
        static const double part[] = {1, 2, 5};
        for (int i = 0; i < (between ? 3 : 1); i++) {
            double v = part[i] * pow(10, d);
            if (v >= a->lo * (1 - 1e-9) && v <= a->hi * (1 + 1e-9) && n < max) out[n++] = v;
        }
    }
    return n;
}

size_t qs_axis_ticks(const qs_axis *a, size_t max, double *out)
{
    if (!qs_axis_ok(a) || max < 2) return 0;
    size_t n = a->log ? log_ticks(a, max, out) : linear_ticks(a, max, out);
    if (n >= 2 || !a->log || a->hi / a->lo > 20) return n;
    qs_axis lin = {a->lo, a->hi, false};      /* less than a decade: plain numbers say more */
    return linear_ticks(&lin, max, out);
}

void qs_axis_label(const qs_axis *a, const double *ticks, size_t n, double v, char *out, size_t size)
{
    double big = fmax(fabs(a->lo), fabs(a->hi));
    double gap = n > 1 ? fabs(ticks[1] - ticks[0]) : big;
    if (v == 0) { snprintf(out, size, "0"); return; }
    if (a->log && fabs(v) >= 0.9e-3 && big < 1e5 && a->lo >= 0.9e-3) {
        snprintf(out, size, "%.3g", v);
        return;
    }
    if (big >= 1e5 || gap < 1e-3 || (a->log && a->lo < 0.9e-3)) {
        int e = (int)floor(log10(fabs(v)) + 1e-9);
        double m = v / pow(10, e);
        bool whole = fabs(m - round(m)) < 1e-6;
        snprintf(out, size, whole ? "%.0fe%d" : "%.1fe%d", m, e);
        return;
    }
    int digits = (int)ceil(-log10(gap) - 1e-9);
    snprintf(out, size, "%.*f", digits < 0 ? 0 : digits > 6 ? 6 : digits, v);
}
