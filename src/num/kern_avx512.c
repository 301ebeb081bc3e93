/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * AVX-512 twins of the quantizers, forward and backward: the same bits, sixteen
 * floats at a time. Only what training spends its time in; everything else is
 * AVX2's. Only this file is compiled with these instructions, and nothing here
 * runs unless the dispatch asked the CPU first.
 *
 * What is left at the end is one masked step: a masked lane reads 0, adds 0 to
 * the sums and stores nothing.
 */
#include "num/lanes.h"

#include <immintrin.h>

/* Outputs from this size on go past the caches, as in kern_avx2.c. */
#define STREAM_MIN ((size_t)1 << 20)
#define ALL ((__mmask16)0xffff)
/* Loops are specialized by constant arguments: everything in them has to be in them. */
#define INLINE static inline __attribute__((always_inline))

INLINE __mmask16 rest(size_t n) { return (__mmask16)((1u << n) - 1); }
INLINE __m512d low(__m512 v) { return _mm512_cvtps_pd(_mm512_castps512_ps256(v)); }
INLINE __m512d high(__m512 v) { return _mm512_cvtps_pd(_mm512_extractf32x8_ps(v, 1)); }

/* ---- uniform quantizers ------------------------------------------------------------------ */
struct vfq { __m512 s, beta, lo, hi; };

INLINE struct vfq vfq_load(const qs_fq *q)
{
    return (struct vfq){_mm512_set1_ps(q->s), _mm512_set1_ps(q->beta), _mm512_set1_ps(q->lo), _mm512_set1_ps(q->hi)};
}

INLINE __m512 round_even(__m512 u)
{
    return _mm512_roundscale_ps(u, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

/* u - t is exact; infinity: NaN, so t. */
INLINE __m512 round_away(__m512 u)
{
    __m512 t = _mm512_roundscale_ps(u, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC);
    __mmask16 far = _mm512_cmp_ps_mask(_mm512_abs_ps(_mm512_sub_ps(u, t)), _mm512_set1_ps(0.5f), _CMP_GE_OQ);
    __m512 one = _mm512_or_ps(_mm512_and_ps(u, _mm512_set1_ps(-0.0f)), _mm512_set1_ps(1.0f));
    return _mm512_mask_add_ps(t, far, t, one);
}

INLINE __m512 place(__m512 x, __m512 s, __m512 beta) { return _mm512_div_ps(_mm512_sub_ps(x, beta), s); }

/* min and max give their second operand when one is NaN: here NaN passes. */
INLINE __m512 fq16(__m512 x, const struct vfq *q, bool away)
{
    __m512 u = place(x, q->s, q->beta);
    __m512 r = _mm512_min_ps(q->hi, _mm512_max_ps(q->lo, away ? round_away(u) : round_even(u)));
    return _mm512_add_ps(_mm512_mul_ps(r, q->s), q->beta);
}

/* Elements to do before p is 64-byte aligned. */
INLINE size_t to_align(const void *p) { return (64 - ((uintptr_t)p & 63)) % 64 / 4; }

INLINE void fq_run(const float *x, size_t n, const qs_fq *q, float *out, bool away)
{
    const struct vfq v = vfq_load(q);
    size_t i = 0;
    if (n >= STREAM_MIN) {
        i = to_align(out);
        _mm512_mask_storeu_ps(out, rest(i), fq16(_mm512_maskz_loadu_ps(rest(i), x), &v, away));
        for (; i + 16 <= n; i += 16) _mm512_stream_ps(out + i, fq16(_mm512_loadu_ps(x + i), &v, away));
        _mm_sfence();
    }
    for (; i + 16 <= n; i += 16) _mm512_storeu_ps(out + i, fq16(_mm512_loadu_ps(x + i), &v, away));
    if (i < n) _mm512_mask_storeu_ps(out + i, rest(n - i), fq16(_mm512_maskz_loadu_ps(rest(n - i), x + i), &v, away));
}

void qs_fq__avx512(const float *x, size_t n, const qs_fq *q, float *out)
{
    if (q->away) fq_run(x, n, q, out, true);
    else fq_run(x, n, q, out, false);
}

INLINE __mmask16 byte16(const float *x, __mmask16 m, const struct vfq *q, uint8_t *code, bool away)
{
    __m512 w = _mm512_maskz_loadu_ps(m, x), u = place(w, q->s, q->beta);
    __m512 r = _mm512_min_ps(_mm512_max_ps(away ? round_away(u) : round_even(u), q->lo), q->hi);
    _mm512_mask_cvtepi32_storeu_epi8(code, m, _mm512_cvttps_epi32(r));
    return _mm512_cmp_ps_mask(w, w, _CMP_UNORD_Q);
}

INLINE bool byte_run(const float *x, size_t n, const qs_fq *q, uint8_t *code, bool away)
{
    const struct vfq v = vfq_load(q);
    unsigned strange = 0;
    size_t i = 0;
    for (; i + 16 <= n; i += 16) strange |= byte16(x + i, ALL, &v, code + i, away);
    if (i < n) strange |= byte16(x + i, rest(n - i), &v, code + i, away);
    return !strange;
}

bool qs_fqbyte__avx512(const float *x, size_t n, const qs_fq *q, uint8_t *code)
{
    return q->away ? byte_run(x, n, q, code, true) : byte_run(x, n, q, code, false);
}

/* ---- codebooks ---------------------------------------------------------------------------- */
/*
 * Up to 32 levels live in registers: a binary search down a heap of thresholds, whose node j has the children 2j and
 * 2j+1; nodes are fetched by permutation, which reads only the low bits of j, so that at the end j itself finds the
 * level. A threshold that does not send its own value up is moved to the next float, so that one comparison (u >= t)
 * decides; what pads the tree is NaN and sends nothing up. Up to 16 levels need half of it.
 */
struct heap { __m512 s, beta, t0, t1, c0, c1; };

INLINE float next_up(float t)
{
    uint32_t b = qs_float_bits(t + 0.0f);
    return qs_bits_float(b >> 31 ? b - 1 : b + 1);
}

static struct heap heap_load(const qs_fqbook *q)
{
    size_t depth = q->n <= 16 ? 4 : 5, cap = (size_t)1 << depth;
    float t[32] = {0}, c[32] = {0};
    for (size_t d = 0, j = 1; d < depth; d++)
        for (size_t k = (cap >> (d + 1)) - 1; k < cap - 1; k += cap >> d, j++)
            t[j] = k + 1 >= q->n ? NAN : q->up[k] ? q->t[k] : next_up(q->t[k]);
    memcpy(c, q->c, q->n * sizeof *c);
    return (struct heap){_mm512_set1_ps(q->s), _mm512_set1_ps(q->beta), _mm512_loadu_ps(t), _mm512_loadu_ps(t + 16),
                         _mm512_loadu_ps(c), _mm512_loadu_ps(c + 16)};
}

INLINE __m512 pick(__m512 a, __m512 b, __m512i j, bool wide)
{
    return wide ? _mm512_permutex2var_ps(a, j, b) : _mm512_permutexvar_ps(j, a);
}

/* j -> 2j + (u >= node[j]). */
INLINE __m512i descend(__m512i j, __m512 u, const struct heap *b, bool wide)
{
    __mmask16 up = _mm512_cmp_ps_mask(u, pick(b->t0, b->t1, j, wide), _CMP_GE_OQ);
    __m512i twice = _mm512_add_epi32(j, j);
    return _mm512_mask_add_epi32(twice, up, twice, _mm512_set1_epi32(1));
}

/* The level u goes to, in steps; NaN: the first. */
INLINE __m512 heap_level(__m512 u, const struct heap *b, bool wide)
{
    __m512i j = descend(_mm512_set1_epi32(1), u, b, wide);
    j = descend(descend(descend(j, u, b, wide), u, b, wide), u, b, wide);
    if (wide) j = descend(j, u, b, wide);
    return pick(b->c0, b->c1, j, wide);
}

/* NaN where u is NaN. */
INLINE __m512 book16(__m512 x, const struct heap *b, bool wide)
{
    __m512 u = place(x, b->s, b->beta);
    __m512 v = _mm512_add_ps(_mm512_mul_ps(heap_level(u, b, wide), b->s), b->beta);
    return _mm512_mask_mov_ps(v, _mm512_cmp_ps_mask(u, u, _CMP_UNORD_Q), u);
}

INLINE void book_run(const float *x, size_t n, const qs_fqbook *q, float *out, bool wide)
{
    const struct heap b = heap_load(q);
    size_t i = 0;
    for (; i + 16 <= n; i += 16) _mm512_storeu_ps(out + i, book16(_mm512_loadu_ps(x + i), &b, wide));
    if (i < n) _mm512_mask_storeu_ps(out + i, rest(n - i), book16(_mm512_maskz_loadu_ps(rest(n - i), x + i), &b, wide));
}

void qs_fqbook__avx512(const float *x, size_t n, const qs_fqbook *q, float *out)
{
    if (q->n <= 16) book_run(x, n, q, out, false);
    else if (q->n <= 32) book_run(x, n, q, out, true);
    else qs_fqbook__avx2(x, n, q, out);
}

/* ---- gradients of quantizers ------------------------------------------------------------------ */
struct vrule { __m512 in_lo, in_hi, lo, hi, below, above; __mmask16 inner; };

INLINE struct vrule vrule_load(const qs_fqrule *r)
{
    return (struct vrule){_mm512_set1_ps(r->in_lo), _mm512_set1_ps(r->in_hi), _mm512_set1_ps(r->lo),
                          _mm512_set1_ps(r->hi), _mm512_set1_ps(r->below), _mm512_set1_ps(r->above),
                          r->inner ? ALL : 0};
}

/* Eight lanes of each sum. */
struct vgrad { __m512d step, offset; };

/* What the rule says of sixteen elements, of which m are there. */
struct felt { __mmask16 below, above, number; __m512 up; };

INLINE struct felt feel(__m512 u, const struct vrule *r, float *g, __mmask16 m)
{
    struct felt f = {.below = _mm512_mask_cmp_ps_mask(m, u, r->lo, _CMP_LT_OQ),
                     .above = _mm512_mask_cmp_ps_mask(m, u, r->hi, _CMP_GT_OQ),
                     .number = _mm512_mask_cmp_ps_mask(m, u, u, _CMP_ORD_Q)};
    __mmask16 in = _mm512_mask_cmp_ps_mask(_mm512_cmp_ps_mask(u, r->in_lo, _CMP_GE_OQ), u, r->in_hi, _CMP_LE_OQ);
    __m512 up = _mm512_maskz_loadu_ps(m, g);
    _mm512_mask_storeu_ps(g, m, _mm512_maskz_mov_ps(in, up));
    f.up = _mm512_maskz_mov_ps(f.number, up);
    return f;
}

INLINE void add_offset(struct vgrad *v, const struct felt *f)
{
    __m512 o = _mm512_maskz_mov_ps(f->below | f->above, f->up);
    v->offset = _mm512_add_pd(_mm512_add_pd(v->offset, low(o)), high(o));
}

/* The slope is exact in float32, its product with g in double. */
INLINE void exact16(struct vgrad *v, __m512 u, __m512 c, const struct vrule *r, float *g, __mmask16 m, bool offset)
{
    struct felt f = feel(u, r, g, m);
    __m512 slope = _mm512_maskz_sub_ps(f.number & r->inner, c, u);
    slope = _mm512_mask_mov_ps(_mm512_mask_mov_ps(slope, f.above, r->above), f.below, r->below);
    __m512d a = _mm512_mul_pd(low(f.up), low(slope)), b = _mm512_mul_pd(high(f.up), high(slope));
    v->step = _mm512_add_pd(_mm512_add_pd(v->step, a), b);
    if (offset) add_offset(v, &f);
}

/* Other slopes are differences in double, and their products are rounded: not fused. */
INLINE __m512d slope8(__m512d c, __m512d u, __mmask8 inner, __mmask8 below, __mmask8 above, const struct vrule *r)
{
    __m512d d = _mm512_maskz_sub_pd(inner, c, u);
    return _mm512_mask_mov_pd(_mm512_mask_mov_pd(d, above, low(r->above)), below, low(r->below));
}

INLINE void double16(struct vgrad *v, __m512 u, __m512 c, const struct vrule *r, float *g, __mmask16 m)
{
    struct felt f = feel(u, r, g, m);
    unsigned in = f.number & r->inner;
    __m512d a = slope8(low(c), low(u), (__mmask8)in, (__mmask8)f.below, (__mmask8)f.above, r);
    __m512d b = slope8(high(c), high(u), (__mmask8)(in >> 8), (__mmask8)(f.below >> 8), (__mmask8)(f.above >> 8), r);
    v->step = _mm512_add_pd(v->step, _mm512_mul_pd(low(f.up), a));
    v->step = _mm512_add_pd(v->step, _mm512_mul_pd(high(f.up), b));
    add_offset(v, &f);
}

/* By value: sums whose address leaves the loop would go through memory at every turn of it. */
static void sums_of(struct vgrad v, const qs_fqrule *r, qs_fqsums *out)
{
    qs_lanesg a;
    _mm512_storeu_pd(a.step, v.step);
    _mm512_storeu_pd(a.offset, v.offset);
    qs_lanesg_end(&a, out);
    if (!r->offset) out->offset = 0;
}

INLINE void grad16(struct vgrad *v, const float *x, float *g, __mmask16 m, const struct vfq *q, const struct vrule *r,
                   bool away, bool offset)
{
    __m512 u = place(_mm512_maskz_loadu_ps(m, x), q->s, q->beta);
    __m512 c = _mm512_min_ps(_mm512_max_ps(away ? round_away(u) : round_even(u), q->lo), q->hi);
    exact16(v, u, c, r, g, m, offset);
}

INLINE void fqgrad_run(const float *x, size_t n, const qs_fq *q, const qs_fqrule *r, float *g, qs_fqsums *out,
                       bool away, bool offset)
{
    const struct vfq f = vfq_load(q);
    const struct vrule k = vrule_load(r);
    struct vgrad v = {_mm512_setzero_pd(), _mm512_setzero_pd()};
    size_t i = 0;
    for (; i + 16 <= n; i += 16) grad16(&v, x + i, g + i, ALL, &f, &k, away, offset);
    if (i < n) grad16(&v, x + i, g + i, rest(n - i), &f, &k, away, offset);
    sums_of(v, r, out);
}

void qs_fqgrad__avx512(const float *x, size_t n, const qs_fq *q, const qs_fqrule *r, float *g, qs_fqsums *out)
{
    if (q->away) fqgrad_run(x, n, q, r, g, out, true, true);
    else if (r->offset) fqgrad_run(x, n, q, r, g, out, false, true);
    else fqgrad_run(x, n, q, r, g, out, false, false);
}

INLINE void bookgrad16(struct vgrad *v, const float *x, float *g, __mmask16 m, const struct heap *h,
                       const struct vrule *r, bool wide, bool exact, bool offset)
{
    __m512 u = place(_mm512_maskz_loadu_ps(m, x), h->s, h->beta), c = heap_level(u, h, wide);
    if (exact) exact16(v, u, c, r, g, m, offset);
    else double16(v, u, c, r, g, m);
}

INLINE void bookgrad_run(const float *x, size_t n, const qs_fqbook *q, const qs_fqrule *r, float *g, qs_fqsums *out,
                         bool wide, bool exact, bool offset)
{
    const struct heap h = heap_load(q);
    const struct vrule k = vrule_load(r);
    struct vgrad v = {_mm512_setzero_pd(), _mm512_setzero_pd()};
    size_t i = 0;
    for (; i + 16 <= n; i += 16) bookgrad16(&v, x + i, g + i, ALL, &h, &k, wide, exact, offset);
    if (i < n) bookgrad16(&v, x + i, g + i, rest(n - i), &h, &k, wide, exact, offset);
    sums_of(v, r, out);
}

void qs_fqbookgrad__avx512(const float *x, size_t n, const qs_fqbook *q, const qs_fqrule *r, float *g, qs_fqsums *out)
{
    bool wide = q->n > 16;
    if (q->n > 32) qs_fqbookgrad__avx2(x, n, q, r, g, out);
    else if (wide && r->exact) bookgrad_run(x, n, q, r, g, out, true, true, true);
    else if (wide) bookgrad_run(x, n, q, r, g, out, true, false, true);
    else if (!r->exact) bookgrad_run(x, n, q, r, g, out, false, false, true);
    else if (r->offset) bookgrad_run(x, n, q, r, g, out, false, true, true);
    else bookgrad_run(x, n, q, r, g, out, false, true, false);
}
