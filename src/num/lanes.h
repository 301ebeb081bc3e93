/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_NUM_LANES_H
#define QS_NUM_LANES_H
/*
 * One element of every kernel, as the scalar reference defines it: the reference
 * is a loop over these, a vector kernel uses them for what is left at the end.
 * Element i of a sum goes to lane i mod 8. Private to num/.
 */
#include <math.h>
#include <string.h>

#include "num/kernels.h"

static inline double qs_lanes_fold(const double l[8])
{
    return ((l[0] + l[4]) + (l[2] + l[6])) + ((l[1] + l[5]) + (l[3] + l[7]));
}

static inline uint32_t qs_float_bits(float x)
{
    uint32_t b;
    memcpy(&b, &x, sizeof b);
    return b;
}

static inline float qs_bits_float(uint32_t b)
{
    float x;
    memcpy(&x, &b, sizeof x);
    return x;
}

/* ---- sums ------------------------------------------------------------------------ */
typedef struct qs_lanes1 {
    double sum[8], abs[8], sq[8];
    float min, max;
    uint64_t finite, zeros, nans, infs;
} qs_lanes1;

static inline void qs_lanes1_add(qs_lanes1 *a, float x, size_t i)
{
    uint32_t mag = qs_float_bits(x) & 0x7fffffffu;
    if (mag >= 0x7f800000u) {
        a->nans += mag > 0x7f800000u;
        a->infs += mag == 0x7f800000u;
        return;
    }
    double d = x;
    a->finite++;
    a->zeros += mag == 0;
    a->sum[i & 7] += d;
    a->abs[i & 7] += fabs(d);
    a->sq[i & 7] += d * d;   /* the product of two floats is exact in double: fused or not, the same */
    if (x < a->min) a->min = x;
    if (x > a->max) a->max = x;
}

/* A zero extremum is +0, whichever zero came first. */
static inline void qs_lanes1_end(const qs_lanes1 *a, qs_pass1 *out)
{
    out->sum = qs_lanes_fold(a->sum);
    out->sum_abs = qs_lanes_fold(a->abs);
    out->sum_sq = qs_lanes_fold(a->sq);
    out->min = a->min + 0.0f;
    out->max = a->max + 0.0f;
    out->finite = a->finite;
    out->zeros = a->zeros;
    out->nans = a->nans;
    out->infs = a->infs;
}

typedef struct qs_lanes2 { double m2[8], m3[8], m4[8], abs[8]; } qs_lanes2;

static inline void qs_lanes2_add(qs_lanes2 *a, float x, size_t i, double mean)
{
    if (!isfinite(x)) return;
    double d = (double)x - mean, d2 = d * d;
    a->m2[i & 7] += d2;
    a->m3[i & 7] += d2 * d;
    a->m4[i & 7] += d2 * d2;
    a->abs[i & 7] += fabs(d);
}

static inline void qs_lanes2_end(const qs_lanes2 *a, qs_pass2 *out)
{
    out->m2 = qs_lanes_fold(a->m2);
    out->m3 = qs_lanes_fold(a->m3);
    out->m4 = qs_lanes_fold(a->m4);
    out->abs_dev = qs_lanes_fold(a->abs);
}

typedef struct qs_lanesd { double sq[8], bias[8], max[8]; } qs_lanesd;

static inline void qs_lanesd_add(qs_lanesd *a, float x, float y, size_t i)
{
    if (!isfinite(x)) return;
    double d = (double)y - (double)x, m = fabs(d);
    a->sq[i & 7] += d * d;
    a->bias[i & 7] += d;
    a->max[i & 7] = m > a->max[i & 7] ? m : a->max[i & 7];
}

static inline void qs_lanesd_end(const qs_lanesd *a, qs_diff *out)
{
    out->sq = qs_lanes_fold(a->sq);
    out->bias = qs_lanes_fold(a->bias);
    out->max = 0;
    for (int i = 0; i < 8; i++)
        if (a->max[i] > out->max) out->max = a->max[i];
}

/* ---- 16-bit floats ------------------------------------------------------------------ */
static inline float qs_f16_float(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000u) << 16, mag = h & 0x7fffu;
    if (mag >= 0x7c00u) {   /* infinity; NaN becomes quiet, as the hardware does */
        uint32_t quiet = mag > 0x7c00u ? 0x400000u : 0;
        return qs_bits_float(sign | 0x7f800000u | quiet | (mag & 0x3ffu) << 13);
    }
    if (mag < 0x400u) {     /* zero and subnormal: a multiple of 2^-24 */
        float x = (float)mag * 0x1p-24f;
        return sign ? -x : x;
    }
    return qs_bits_float(sign | ((mag << 13) + 0x38000000u));
}

static inline float qs_bf16_float(uint16_t h) { return qs_bits_float((uint32_t)h << 16); }

/* ---- quantizers ----------------------------------------------------------------------- */
static inline float qs_round_away(float u)
{
    float t = truncf(u);
    return fabsf(u - t) >= 0.5f ? t + copysignf(1.0f, u) : t;   /* u - t is exact; infinity: NaN, so t */
}

static inline float qs_fq_round(float x, const qs_fq *q)
{
    float u = (x - q->beta) / q->s;
    return q->away ? qs_round_away(u) : rintf(u);
}

static inline float qs_fq_one(float x, const qs_fq *q)
{
    float r = qs_fq_round(x, q);
    r = q->lo > r ? q->lo : r;   /* in this order NaN passes */
    r = q->hi < r ? q->hi : r;
    return r * q->s + q->beta;
}

static inline int32_t qs_fqcode_one(float x, const qs_fq *q)
{
    float r = qs_fq_round(x, q);
    r = r > q->lo ? r : q->lo;   /* in this order NaN becomes lo */
    r = r < q->hi ? r : q->hi;
    return (int32_t)r;
}

/* ---- gradients of quantizers ----------------------------------------------------------- */
typedef struct qs_lanesg { double step[8], offset[8]; } qs_lanesg;

/* c: the level u goes to. c - u is exact in float32 for codes that are integers: u is at most half a step away. */
static inline void qs_lanesg_add(qs_lanesg *a, float u, float c, float *g, size_t i, const qs_fqrule *r)
{
    float up = *g;
    bool below = u < r->lo, above = u > r->hi;
    *g = u >= r->in_lo && u <= r->in_hi ? up : 0;
    if (u != u) return;
    double inner = r->inner ? (double)c - (double)u : 0;
    double slope = below ? (double)r->below : above ? (double)r->above : inner;
    a->step[i & 7] += (double)up * slope;
    if (r->offset && (below || above)) a->offset[i & 7] += (double)up;
}

static inline void qs_lanesg_end(const qs_lanesg *a, qs_fqsums *out)
{
    out->step = qs_lanes_fold(a->step);
    out->offset = qs_lanes_fold(a->offset);
}

static inline void qs_fqgrad_one(float x, const qs_fq *q, float *g, size_t i, const qs_fqrule *r, qs_lanesg *a)
{
    float u = (x - q->beta) / q->s, c = q->away ? qs_round_away(u) : rintf(u);
    c = c > q->lo ? c : q->lo;
    c = c < q->hi ? c : q->hi;
    qs_lanesg_add(a, u, c, g, i, r);
}

/* Thresholds below u, then those equal to u that send it up. NaN is above nothing. */
static inline size_t qs_fqbook_level(float u, const qs_fqbook *q)
{
    size_t base = 0, len = q->n - 1;
    while (len) {
        size_t half = len >> 1;
        bool right = q->t[base + half] < u;
        base = right ? base + half + 1 : base;
        len = right ? len - half - 1 : half;
    }
    size_t k = base;
    for (; base + 1 < q->n && q->t[base] == u; base++) k += q->up[base] != 0;
    return k;
}

static inline float qs_fqbook_one(float x, const qs_fqbook *q)
{
    float u = (x - q->beta) / q->s;
    if (u != u) return u;
    return q->c[qs_fqbook_level(u, q)] * q->s + q->beta;
}

static inline void qs_fqbookgrad_one(float x, const qs_fqbook *q, float *g, size_t i, const qs_fqrule *r, qs_lanesg *a)
{
    float u = (x - q->beta) / q->s;
    qs_lanesg_add(a, u, q->c[qs_fqbook_level(u, q)], g, i, r);
}

static inline int32_t qs_fqbookcode_one(float x, const qs_fqbook *q)
{
    return (int32_t)qs_fqbook_level((x - q->beta) / q->s, q);
}

#endif
