/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_PLOT_AXIS_H
#define QS_PLOT_AXIS_H
/* An axis: where a value lies between its ends, and which values deserve a tick. */
#include <stdbool.h>
#include <stddef.h>

typedef struct qs_axis {
    double lo, hi;   /* lo < hi; > 0 where log */
    bool log;
} qs_axis;

/* 0 at lo, 1 at hi; outside below 0 or above 1; NaN for what has no place (log of 0 is below everything: -1e9). */
double qs_axis_at(const qs_axis *a, double v);
/* The value at t in 0..1. */
double qs_axis_value(const qs_axis *a, double t);
/* True where the axis can be used: finite ends in order, positive for log. */
bool qs_axis_ok(const qs_axis *a);

/* Ticks inside the axis: linear: 1, 2 or 5 times a power of ten; log: decades, with 2 and 5 between where there are few.
 * At most max (>= 2). Returns how many were written to out, ascending. */
size_t qs_axis_ticks(const qs_axis *a, size_t max, double *out);
/* A tick as text, all of one axis alike: "0.25", "-1", "1e-3", "2e-4". out: at least 16 bytes. */
void qs_axis_label(const qs_axis *a, const double *ticks, size_t n, double v, char *out, size_t size);

#endif
