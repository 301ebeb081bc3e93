/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The largest magnitude of every channel. A maximum does not depend on the order, so neither do the bits on the threads.
 */
#include "stat/peaks.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "num/kernels.h"

enum { PIECE = 16384, LANES = 8, SLAB = 64 };   /* floats at a time; pieces of work at a time; rounds between two looks */
#define SHORT 32                                 /* runs of a channel below this are looked at value by value */

/* The tensor as [outer][channels][inner]. */
struct peaks {
    const qs_tensor *t;
    const float *x;          /* NULL: read */
    size_t channels, inner, rows, first, per;   /* rows: outer * channels; this round: first .., per each piece */
    float *peak;             /* (channels), or (LANES, channels) where a channel has several rows */
    bool shared;             /* several rows a channel */
};

static float finite_abs(float v)
{
    v = fabsf(v);
    return v < INFINITY ? v : 0;
}

static float highest(const float *x, size_t n)
{
    qs_pass1 p;
    float m = 0;
    if (n >= SHORT) {
        qs_num()->pass1(x, n, &p);
        return p.finite ? fmaxf(-p.min, p.max) : 0;
    }
    for (size_t i = 0; i < n; i++) m = fmaxf(m, finite_abs(x[i]));
    return m;
}

/* A long row, piece by piece. */
static float row_peak(const struct peaks *p, size_t row, float *buf)
{
    float m = 0;
    for (size_t i = 0; i < p->inner; i += PIECE) {
        size_t n = p->inner - i < PIECE ? p->inner - i : PIECE, at = row * p->inner + i;
        if (!p->x) qs_tensor_read(p->t, at, n, buf);
        m = fmaxf(m, highest(p->x ? p->x + at : buf, n));
    }
    return m;
}

/* Short rows, several of them a piece; one value a row: the channels themselves lie side by side. */
static void rows_peak(const struct peaks *p, size_t row, size_t rows, float *buf, float *peak)
{
    size_t at = row * p->inner, channel = row % p->channels;
    if (!p->x) qs_tensor_read(p->t, at, rows * p->inner, buf);
    const float *x = p->x ? p->x + at : buf;
    for (size_t r = 0; r < rows; r++, x += p->inner) {
        peak[channel] = fmaxf(peak[channel], p->inner == 1 ? finite_abs(*x) : highest(x, p->inner));
        if (++channel == p->channels) channel = 0;
    }
}

static void run(void *arg, size_t lane)
{
    const struct peaks *p = arg;
    size_t from = p->first + lane * p->per, to = from + p->per < p->rows ? from + p->per : p->rows;
    size_t few = p->inner < PIECE ? PIECE / p->inner : 1;
    float *peak = p->peak + (p->shared ? lane * p->channels : 0), *buf = p->x ? NULL : qs_xmalloc(PIECE * sizeof *buf);
    for (size_t r = from; r < to; r += few) {
        if (p->inner < PIECE) rows_peak(p, r, to - r < few ? to - r : few, buf, peak);
        else peak[r % p->channels] = fmaxf(peak[r % p->channels], row_peak(p, r, buf));
    }
    free(buf);
}

static int peaks_run(struct peaks *p, const qs_ctl *ctl, qs_err *err)
{
    int rc = 0;
    for (p->first = 0; p->first < p->rows && !rc; p->first += LANES * p->per) {
        rc = qs_ctl_check(ctl, _("statistics"), (double)p->first / (double)p->rows, err);
        if (!rc) qs_parallel(LANES, run, p);
    }
    return rc;
}

int qs_peaks(const qs_tensor *t, int axis, float *peak, const qs_ctl *ctl, qs_err *err)
{
    struct peaks p = {.t = t, .x = qs_tensor_floats(t), .inner = 1, .rows = 1};
    if (axis < 0 || axis >= t->ndim) return qs_fail(err, QS_EARG, _("%s has no axis %d"), t->name, axis);
    if (t->dtype == QS_UNKNOWN_DTYPE) return qs_fail(err, QS_EUNSUP, _("%s: values of type %s cannot be read"), t->name, t->dtype_text);
    p.channels = (size_t)t->shape[axis];
    if (p.channels > QS_PEAKS_MOST) return qs_fail(err, QS_EARG, _("%s: %zu channels are too many"), t->name, p.channels);
    memset(peak, 0, p.channels * sizeof *peak);
    if (!t->n) return 0;
    for (int i = axis + 1; i < t->ndim; i++) p.inner *= (size_t)t->shape[i];
    for (int i = 0; i <= axis; i++) p.rows *= (size_t)t->shape[i];
    size_t pieces = p.inner < PIECE ? PIECE / p.inner * SLAB : 1 + (size_t)SLAB * PIECE / p.inner;
    p.per = (p.rows + LANES - 1) / LANES < pieces ? (p.rows + LANES - 1) / LANES : pieces;
    p.shared = p.rows > p.channels;
    p.peak = p.shared ? qs_xcalloc(LANES * p.channels, sizeof *p.peak) : peak;
    int rc = peaks_run(&p, ctl, err);
    for (size_t i = 0; p.shared && i < LANES * p.channels; i++)
        peak[i % p.channels] = fmaxf(peak[i % p.channels], p.peak[i]);
    if (p.shared) free(p.peak);
    return rc ? rc : qs_tensor_check(t, err);
}

static int ascending(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void find(const float *peak, float *sorted, size_t n, qs_outliers *out)
{
    memcpy(sorted, peak, n * sizeof *peak);
    qsort(sorted, n, sizeof *sorted, ascending);
    double median = n % 2 ? (double)sorted[n / 2] : ((double)sorted[n / 2 - 1] + (double)sorted[n / 2]) / 2;
    *out = (qs_outliers){.channels = n};
    for (size_t i = 0; i < n; i++) {
        out->n += (double)peak[i] > QS_PEAKS_FACTOR * median;
        if (peak[i] > peak[out->worst]) out->worst = i;
    }
    out->ratio = median > 0 ? (double)peak[out->worst] / median : 0;
}

int qs_outliers_find(const qs_tensor *t, const qs_ctl *ctl, qs_outliers *out, qs_err *err)
{
    int axis = t->out_axis >= 0 && t->out_axis < t->ndim ? t->out_axis : 0;
    *out = (qs_outliers){0};
    if (t->ndim < 2 || t->shape[axis] < 2 || (size_t)t->shape[axis] > QS_PEAKS_MOST || !t->n) return 0;
    size_t n = (size_t)t->shape[axis];
    float *peak = qs_xmalloc(2 * n * sizeof *peak);
    int rc = qs_peaks(t, axis, peak, ctl, err);
    if (!rc) find(peak, peak + n, n, out);
    free(peak);
    return rc;
}
