/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Fake quantization with a step a channel, channels last: one source for every
 * instruction set, compiled once each with QS_ISA saying which. A vector holds
 * neighbouring channels and runs down the rows; every channel is by itself, so
 * the width of a vector does not show in the bits.
 */
#include "num/kernels.h"

#include <string.h>

#ifndef QS_ISA
#define QS_ISA scalar
#endif
#define GLUE2(name, isa) qs_##name##__##isa
#define GLUE(name, isa) GLUE2(name, isa)
#define KERNEL(name) GLUE(name, QS_ISA)

#pragma GCC diagnostic ignored "-Wpsabi"   /* vectors are returned by functions that are inlined only */

/* Floats a vector: wider ones than the machine has are taken apart badly. */
#ifdef __AVX512F__
#define W 16
#else
#define W 8
#endif
typedef float vf __attribute__((vector_size(4 * W)));
typedef int32_t vi __attribute__((vector_size(4 * W)));
typedef float vh __attribute__((vector_size(2 * W)));    /* half of one, */
typedef double vd __attribute__((vector_size(4 * W)));   /* and what it widens to */

#define INLINE static inline __attribute__((always_inline))
INLINE vf get(const float *p) { vf v; memcpy(&v, p, sizeof v); return v; }
INLINE vd getd(const double *p) { vd v; memcpy(&v, p, sizeof v); return v; }
INLINE vd wide(const float *p) { vh v; memcpy(&v, p, sizeof v); return __builtin_convertvector(v, vd); }
#define put(p, v) do { vf put_v = (v); memcpy((p), &put_v, sizeof put_v); } while (0)
#define putd(p, v) do { vd put_v = (v); memcpy((p), &put_v, sizeof put_v); } while (0)
#define both(v, mask) ((vf)((vi)(v) & (mask)))
/* x where the mask is set, else y. */
#define pick(mask, x, y) ((vf)(((vi)(x) & (mask)) | ((vi)(y) & ~(mask))))

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
        float part[3][W];   /* g, slope and the clipped g, to be widened by halves */
        vf u = (get(x + at) - beta) / s, up = get(g + at), k = pick(u < lo, lo, u);
        k = pick(k > hi, hi, k) + ROUNDER - ROUNDER;
        vi below = u < clip_lo, above = u > clip_hi, number = u == u;
        put(g + at, both(up, (u >= in_lo) & (u <= in_hi)));
        up = both(up, number);
        put(part[0], up);
        put(part[1], pick(below, lo, pick(above, hi, both(both(k - u, inner), number))));
        put(part[2], both(up, below | above));
        s0 += wide(part[0]) * wide(part[1]);
        s1 += wide(part[0] + W / 2) * wide(part[1] + W / 2);
        o0 += wide(part[2]);
        o1 += wide(part[2] + W / 2);
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
