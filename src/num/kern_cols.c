/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Fake quantization with a step a channel, channels last: one source for every
 * instruction set, compiled once each with QS_ISA saying which. A vector holds
 * neighbouring channels and runs down the rows; every channel is by itself, so
 * the width of a vector does not show in the bits.
 */
#include "num/kernels.h"

#include "num/vector.h"

/* Clipping to integers and rounding may change places. After it, adding and taking away 1.5 * 2^23 rounds half to even. */
#define ROUNDER 12582912.0f

void KERNEL(fqcols)(const float *x, size_t rows, size_t c, const qs_fqcols *q, float *out)
{
    size_t j = 0;
    for (; j + W <= c; j += W) {
        vf s = get(q->s + j), beta = get(q->beta + j), lo = get(q->lo + j), hi = get(q->hi + j);
        for (size_t at = j; at < rows * c; at += c) {
            vf u = (get(x + at) - beta) / s;   /* NaN passes */
            u = pick(u < lo, lo, u);
            u = pick(u > hi, hi, u);
            put(out + at, (u + ROUNDER - ROUNDER) * s + beta);
        }
    }
    for (; j < c; j++)
        for (size_t at = j; at < rows * c; at += c) {
            float u = (x[at] - q->beta[j]) / q->s[j];
            u = u < q->lo[j] ? q->lo[j] : u;
            u = u > q->hi[j] ? q->hi[j] : u;
            out[at] = (u + ROUNDER - ROUNDER) * q->s[j] + q->beta[j];
        }
}

/* One channel: the definition, and what the channels left over take. */
static void one_column(const float *x, size_t rows, size_t c, const qs_fqcols *q, size_t j, float *g, double *step,
                       double *offset)
{
    for (size_t at = j; at < rows * c; at += c) {
        float u = (x[at] - q->beta[j]) / q->s[j], up = g[at], k = u < q->lo[j] ? q->lo[j] : u;
        k = (k > q->hi[j] ? q->hi[j] : k) + ROUNDER - ROUNDER;
        bool below = u < q->clip_lo[j], above = u > q->clip_hi[j];
        float slope = below ? q->lo[j] : above ? q->hi[j] : q->inner ? k - u : 0;
        g[at] = u >= q->in_lo[j] && u <= q->in_hi[j] ? up : 0;
        if (u != u) continue;
        step[j] += (double)up * (double)slope;
        offset[j] += below || above ? (double)up : 0;
    }
}

/* W channels. Slopes are exact in float32 and their products in double, as in lanes.h. */
INLINE void columns(const float *x, size_t rows, size_t c, const qs_fqcols *q, size_t j, float *g, double *step,
                    double *offset)
{
    const vi inner = (vi){0} - (int32_t)q->inner;
    const vf s = get(q->s + j), beta = get(q->beta + j), lo = get(q->lo + j), hi = get(q->hi + j);
    const vf in_lo = get(q->in_lo + j), in_hi = get(q->in_hi + j), clip_lo = get(q->clip_lo + j), clip_hi = get(q->clip_hi + j);
    vd s0 = getd(step + j), s1 = getd(step + j + W / 2), o0 = getd(offset + j), o1 = getd(offset + j + W / 2);
    for (size_t at = j; at < rows * c; at += c) {
        vf up = fetch(g + at), u = (get(x + at) - beta) / s, k = pick(u < lo, lo, u);
        k = pick(k > hi, hi, k) + ROUNDER - ROUNDER;
        vi below = u < clip_lo, above = u > clip_hi, number = u == u;
        put(g + at, both(up, (u >= in_lo) & (u <= in_hi)));
        up = both(up, number);
        vf slope = pick(below, lo, pick(above, hi, both(both(k - u, inner), number))), cut = both(up, below | above);
        s0 += wide_low(up) * wide_low(slope);
        s1 += wide_high(up) * wide_high(slope);
        o0 += wide_low(cut);
        o1 += wide_high(cut);
    }
    putd(step + j, s0);
    putd(step + j + W / 2, s1);
    putd(offset + j, o0);
    putd(offset + j + W / 2, o1);
}

void KERNEL(fqcolsgrad)(const float *x, size_t rows, size_t c, const qs_fqcols *q, float *g, double *step, double *offset)
{
    size_t j = 0;
    for (; j + W <= c; j += W) columns(x, rows, c, q, j, g, step, offset);
    for (; j < c; j++) one_column(x, rows, c, q, j, g, step, offset);
}
