/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * AVX2 twins of kern_scalar.c: the same bits, eight floats at a time. Only this
 * file is compiled with -mavx2 -mfma -mf16c; nothing here runs unless the
 * dispatch asked the CPU first. Fused multiply-add appears only where the
 * product is exact.
 */
#include "num/lanes.h"

#include <immintrin.h>

/* Outputs from this size on go past the caches: reading a line only to overwrite it costs a third of the bandwidth. */
#define STREAM_MIN ((size_t)1 << 20)

static inline __m256i finite_mask(__m256 v)
{
    __m256i mag = _mm256_and_si256(_mm256_castps_si256(v), _mm256_set1_epi32(0x7fffffff));
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(0x7f800000), mag);
}

static inline __m256d low(__m256 v) { return _mm256_cvtps_pd(_mm256_castps256_ps128(v)); }
static inline __m256d high(__m256 v) { return _mm256_cvtps_pd(_mm256_extractf128_ps(v, 1)); }
static inline __m256d absd(__m256d v) { return _mm256_andnot_pd(_mm256_set1_pd(-0.0), v); }

static inline void store2(double to[8], __m256d l, __m256d h)
{
    _mm256_storeu_pd(to, l);
    _mm256_storeu_pd(to + 4, h);
}

static inline unsigned count_mask(__m256i m)
{
    return (unsigned)__builtin_popcount((unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(m)));
}

/* ---- sums ---------------------------------------------------------------------------- */
static inline float fold_min(__m256 v, float with)
{
    float t[8];
    _mm256_storeu_ps(t, v);
    for (int i = 0; i < 8; i++) with = t[i] < with ? t[i] : with;
    return with;
}

static inline float fold_max(__m256 v, float with)
{
    float t[8];
    _mm256_storeu_ps(t, v);
    for (int i = 0; i < 8; i++) with = t[i] > with ? t[i] : with;
    return with;
}

void qs_pass1__avx2(const float *x, size_t n, qs_pass1 *out)
{
    const __m256 inf = _mm256_set1_ps(INFINITY), ninf = _mm256_set1_ps(-INFINITY);
    __m256d s0 = _mm256_setzero_pd(), s1 = s0, a0 = s0, a1 = s0, q0 = s0, q1 = s0;
    __m256 mn = inf, mx = ninf;
    qs_lanes1 a = {.min = INFINITY, .max = -INFINITY};
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m256 v = _mm256_loadu_ps(x + i);
        __m256i fin = finite_mask(v);
        __m256 f = _mm256_and_ps(v, _mm256_castsi256_ps(fin));   /* what is not finite adds +0 */
        __m256d l = low(f), h = high(f);
        s0 = _mm256_add_pd(s0, l);
        s1 = _mm256_add_pd(s1, h);
        a0 = _mm256_add_pd(a0, absd(l));
        a1 = _mm256_add_pd(a1, absd(h));
        q0 = _mm256_fmadd_pd(l, l, q0);
        q1 = _mm256_fmadd_pd(h, h, q1);
        mn = _mm256_min_ps(mn, _mm256_blendv_ps(inf, v, _mm256_castsi256_ps(fin)));
        mx = _mm256_max_ps(mx, _mm256_blendv_ps(ninf, v, _mm256_castsi256_ps(fin)));
        unsigned nf = count_mask(fin);
        a.finite += nf;
        a.zeros += (unsigned)__builtin_popcount((unsigned)_mm256_movemask_ps(
            _mm256_cmp_ps(v, _mm256_setzero_ps(), _CMP_EQ_OQ)));
        if (nf != 8) {
            unsigned nan = (unsigned)__builtin_popcount((unsigned)_mm256_movemask_ps(_mm256_cmp_ps(v, v, _CMP_UNORD_Q)));
            a.nans += nan;
            a.infs += 8 - nf - nan;
        }
    }
    store2(a.sum, s0, s1);
    store2(a.abs, a0, a1);
    store2(a.sq, q0, q1);
    a.min = fold_min(mn, a.min);
    a.max = fold_max(mx, a.max);
    for (; i < n; i++) qs_lanes1_add(&a, x[i], i);
    qs_lanes1_end(&a, out);
}

struct acc2 { __m256d m2, m3, m4, abs; };

/* Four lanes; m: all ones where the value counts. */
static inline void pass2_step(struct acc2 *a, __m256d x, __m256d mean, __m256d m)
{
    __m256d d = _mm256_and_pd(_mm256_sub_pd(x, mean), m), d2 = _mm256_mul_pd(d, d);
    a->m2 = _mm256_add_pd(a->m2, d2);
    a->m3 = _mm256_add_pd(a->m3, _mm256_mul_pd(d2, d));
    a->m4 = _mm256_add_pd(a->m4, _mm256_mul_pd(d2, d2));
    a->abs = _mm256_add_pd(a->abs, absd(d));
}

static inline __m256d wide_low(__m256i m) { return _mm256_castsi256_pd(_mm256_cvtepi32_epi64(_mm256_castsi256_si128(m))); }
static inline __m256d wide_high(__m256i m)
{
    return _mm256_castsi256_pd(_mm256_cvtepi32_epi64(_mm256_extracti128_si256(m, 1)));
}

void qs_pass2__avx2(const float *x, size_t n, double mean, qs_pass2 *out)
{
    const __m256d z = _mm256_setzero_pd(), mu = _mm256_set1_pd(mean);
    struct acc2 l = {z, z, z, z}, h = l;
    qs_lanes2 a;
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m256 v = _mm256_loadu_ps(x + i);
        __m256i fin = finite_mask(v);
        pass2_step(&l, low(v), mu, wide_low(fin));
        pass2_step(&h, high(v), mu, wide_high(fin));
    }
    store2(a.m2, l.m2, h.m2);
    store2(a.m3, l.m3, h.m3);
    store2(a.m4, l.m4, h.m4);
    store2(a.abs, l.abs, h.abs);
    for (; i < n; i++) qs_lanes2_add(&a, x[i], i, mean);
    qs_lanes2_end(&a, out);
}

void qs_diff__avx2(const float *x, const float *y, size_t n, qs_diff *out)
{
    __m256d s[2], b[2], m[2];
    for (int k = 0; k < 2; k++) s[k] = b[k] = m[k] = _mm256_setzero_pd();
    qs_lanesd a;
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m256 v = _mm256_loadu_ps(x + i), w = _mm256_loadu_ps(y + i);
        __m256i fin = finite_mask(v);
        __m256d d[2] = {_mm256_and_pd(_mm256_sub_pd(low(w), low(v)), wide_low(fin)),
                        _mm256_and_pd(_mm256_sub_pd(high(w), high(v)), wide_high(fin))};
        for (int k = 0; k < 2; k++) {
            s[k] = _mm256_add_pd(s[k], _mm256_mul_pd(d[k], d[k]));
            b[k] = _mm256_add_pd(b[k], d[k]);
            m[k] = _mm256_max_pd(absd(d[k]), m[k]);
        }
    }
    store2(a.sq, s[0], s[1]);
    store2(a.bias, b[0], b[1]);
    store2(a.max, m[0], m[1]);
    for (; i < n; i++) qs_lanesd_add(&a, x[i], y[i], i);
    qs_lanesd_end(&a, out);
}

void qs_block16__avx2(const float *x, size_t blocks, double *sum)
{
    for (size_t k = 0; k < blocks; k++, x += 16) {
        __m256 a = _mm256_loadu_ps(x), b = _mm256_loadu_ps(x + 8);
        __m256d al = low(a), ah = high(a), bl = low(b), bh = high(b);
        __m256d s = _mm256_add_pd(_mm256_add_pd(al, bl), _mm256_add_pd(ah, bh));
        __m256d q = _mm256_add_pd(_mm256_fmadd_pd(bl, bl, _mm256_mul_pd(al, al)),
                                  _mm256_fmadd_pd(bh, bh, _mm256_mul_pd(ah, ah)));
        /* s and q hold (0+4, 1+5, 2+6, 3+7) */
        __m128d s2 = _mm_add_pd(_mm256_castpd256_pd128(s), _mm256_extractf128_pd(s, 1));
        __m128d q2 = _mm_add_pd(_mm256_castpd256_pd128(q), _mm256_extractf128_pd(q, 1));
        _mm_storeu_pd(sum + 2 * k, _mm_hadd_pd(s2, q2));
    }
}

/* ---- 16-bit floats --------------------------------------------------------------------- */
void qs_f16__avx2(const uint16_t *x, size_t n, float *out)
{
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(out + i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)(x + i))));
    for (; i < n; i++) out[i] = qs_f16_float(x[i]);
}

void qs_bf16__avx2(const uint16_t *x, size_t n, float *out)
{
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m256i w = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(const void *)(x + i)));
        _mm256_storeu_ps(out + i, _mm256_castsi256_ps(_mm256_slli_epi32(w, 16)));
    }
    for (; i < n; i++) out[i] = qs_bf16_float(x[i]);
}

void qs_u8__avx2(const uint8_t *x, size_t n, float a, float b, float *out)
{
    const __m256 va = _mm256_set1_ps(a), vb = _mm256_set1_ps(b);
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m256i w = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)(x + i)));
        _mm256_storeu_ps(out + i, _mm256_add_ps(_mm256_mul_ps(_mm256_cvtepi32_ps(w), va), vb));
    }
    for (; i < n; i++) out[i] = (float)x[i] * a + b;
}

/* ---- uniform quantizers ------------------------------------------------------------------ */
struct vfq { __m256 s, beta, lo, hi; };

static inline struct vfq vfq_load(const qs_fq *q)
{
    return (struct vfq){_mm256_set1_ps(q->s), _mm256_set1_ps(q->beta), _mm256_set1_ps(q->lo), _mm256_set1_ps(q->hi)};
}

static inline __m256 round_even(__m256 u) { return _mm256_round_ps(u, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }

static inline __m256 round_away(__m256 u)
{
    const __m256 sign = _mm256_set1_ps(-0.0f);
    __m256 t = _mm256_round_ps(u, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC);
    __m256 far = _mm256_cmp_ps(_mm256_andnot_ps(sign, _mm256_sub_ps(u, t)), _mm256_set1_ps(0.5f), _CMP_GE_OQ);
    __m256 one = _mm256_or_ps(_mm256_and_ps(u, sign), _mm256_set1_ps(1.0f));
    return _mm256_blendv_ps(t, _mm256_add_ps(t, one), far);
}

static inline __m256 fq_round(__m256 x, const struct vfq *q, bool away)
{
    __m256 u = _mm256_div_ps(_mm256_sub_ps(x, q->beta), q->s);
    return away ? round_away(u) : round_even(u);
}

/* min and max give their second operand when one is NaN: here NaN passes. */
static inline __m256 fq8(__m256 x, const struct vfq *q, bool away)
{
    __m256 r = _mm256_min_ps(q->hi, _mm256_max_ps(q->lo, fq_round(x, q, away)));
    return _mm256_add_ps(_mm256_mul_ps(r, q->s), q->beta);
}

static inline __m256i fqcode8(__m256 x, const struct vfq *q, bool away)
{
    __m256 r = _mm256_min_ps(_mm256_max_ps(fq_round(x, q, away), q->lo), q->hi);
    return _mm256_cvttps_epi32(r);
}

/* Elements to do singly until p is 32-byte aligned. */
static inline size_t to_align(const void *p, size_t n)
{
    size_t k = (32 - ((uintptr_t)p & 31)) % 32 / 4;
    return k < n ? k : n;
}

__attribute__((always_inline))
static inline void fq_run(const float *x, size_t n, const qs_fq *q, float *out, bool away)
{
    const struct vfq v = vfq_load(q);
    size_t i = 0;
    if (n >= STREAM_MIN) {
        for (size_t k = to_align(out, n); i < k; i++) out[i] = qs_fq_one(x[i], q);
        for (; i + 16 <= n; i += 16) {
            _mm256_stream_ps(out + i, fq8(_mm256_loadu_ps(x + i), &v, away));
            _mm256_stream_ps(out + i + 8, fq8(_mm256_loadu_ps(x + i + 8), &v, away));
        }
        _mm_sfence();
    }
    for (; i + 8 <= n; i += 8) _mm256_storeu_ps(out + i, fq8(_mm256_loadu_ps(x + i), &v, away));
    for (; i < n; i++) out[i] = qs_fq_one(x[i], q);
}

void qs_fq__avx2(const float *x, size_t n, const qs_fq *q, float *out)
{
    if (q->away) fq_run(x, n, q, out, true);
    else fq_run(x, n, q, out, false);
}

void qs_fqcode__avx2(const float *x, size_t n, const qs_fq *q, int32_t *code)
{
    const struct vfq v = vfq_load(q);
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m256 w = _mm256_loadu_ps(x + i);
        __m256i c = q->away ? fqcode8(w, &v, true) : fqcode8(w, &v, false);
        _mm256_storeu_si256((__m256i *)(void *)(code + i), c);
    }
    for (; i < n; i++) code[i] = qs_fqcode_one(x[i], q);
}

/* The low bytes of 8 numbers that fit in 16 bits. */
static inline void store_bytes(uint8_t *code, __m256i c)
{
    __m128i w = _mm_packs_epi32(_mm256_castsi256_si128(c), _mm256_extracti128_si256(c, 1));
    w = _mm_and_si128(w, _mm_set1_epi16(255));
    _mm_storel_epi64((__m128i *)(void *)code, _mm_packus_epi16(w, w));
}

bool qs_fqbyte__avx2(const float *x, size_t n, const qs_fq *q, uint8_t *code)
{
    const struct vfq v = vfq_load(q);
    __m256 strange = _mm256_setzero_ps();
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m256 w = _mm256_loadu_ps(x + i);
        strange = _mm256_or_ps(strange, _mm256_cmp_ps(w, w, _CMP_UNORD_Q));
        store_bytes(code + i, q->away ? fqcode8(w, &v, true) : fqcode8(w, &v, false));
    }
    return qs_fqbyte__scalar(x + i, n - i, q, code + i) && !_mm256_movemask_ps(strange);
}

/* ---- codebooks ---------------------------------------------------------------------------- */
/*
 * Up to 16 levels live in registers: a binary search whose nodes are fetched by
 * permutation. A threshold that does not send its own value up is moved to the
 * next float, so that one comparison (u >= t) decides; what pads the tree is NaN
 * and sends nothing up.
 */
struct small {
    __m256 s, beta;
    __m256 t7, n2, n4, n8;    /* nodes: 8th; 4th, 12th; 2nd, 6th, 10th, 14th; all odd ones */
    __m256 c0, c1;            /* levels 0..7, 8..15 */
};

static inline float next_up(float t)
{
    uint32_t b = qs_float_bits(t + 0.0f);
    return qs_bits_float(b >> 31 ? b - 1 : b + 1);
}

static struct small small_load(const qs_fqbook *q)
{
    float t[15], c[16] = {0}, n8[8], n4[8] = {0}, n2[8] = {0};
    for (size_t k = 0; k < 15; k++) t[k] = k + 1 >= q->n ? NAN : q->up[k] ? q->t[k] : next_up(q->t[k]);
    memcpy(c, q->c, q->n * sizeof *c);
    for (int k = 0; k < 8; k++) n8[k] = t[2 * k];
    for (int k = 0; k < 4; k++) n4[k] = t[4 * k + 1];
    for (int k = 0; k < 2; k++) n2[k] = t[8 * k + 3];
    return (struct small){_mm256_set1_ps(q->s), _mm256_set1_ps(q->beta), _mm256_set1_ps(t[7]), _mm256_loadu_ps(n2),
                          _mm256_loadu_ps(n4), _mm256_loadu_ps(n8), _mm256_loadu_ps(c), _mm256_loadu_ps(c + 8)};
}

/* k -> 2k + (u >= node[k]). */
static inline __m256i descend(__m256i k, __m256 u, __m256 node)
{
    __m256i up = _mm256_castps_si256(_mm256_cmp_ps(u, node, _CMP_GE_OQ));
    return _mm256_sub_epi32(_mm256_add_epi32(k, k), up);
}

static inline __m256i small_level(__m256 u, const struct small *b)
{
    __m256i k = descend(_mm256_setzero_si256(), u, b->t7);
    k = descend(k, u, _mm256_permutevar8x32_ps(b->n2, k));
    k = descend(k, u, _mm256_permutevar8x32_ps(b->n4, k));
    return descend(k, u, _mm256_permutevar8x32_ps(b->n8, k));
}

/* The level itself, in steps. */
static inline __m256 small_value(__m256 u, const struct small *b)
{
    __m256i k = small_level(u, b);
    __m256 c0 = _mm256_permutevar8x32_ps(b->c0, k), c1 = _mm256_permutevar8x32_ps(b->c1, k);
    return _mm256_blendv_ps(c0, c1, _mm256_castsi256_ps(_mm256_slli_epi32(k, 28)));   /* bit 3 chooses */
}

static inline __m256 book_u(const float *x, __m256 s, __m256 beta)
{
    return _mm256_div_ps(_mm256_sub_ps(_mm256_loadu_ps(x), beta), s);
}

static inline __m256 book_x(__m256 c, __m256 s, __m256 beta) { return _mm256_add_ps(_mm256_mul_ps(c, s), beta); }

/* NaN where u is NaN, else v. */
static inline __m256 keep_nan(__m256 v, __m256 u) { return _mm256_blendv_ps(v, u, _mm256_cmp_ps(u, u, _CMP_UNORD_Q)); }

/*
 * More levels: the same tree over 15 pivots that cut the thresholds into 16 windows, then a search inside the
 * window. Loads are single: gathers are slower on the machines measured. Past the last threshold stands the last
 * one again, and the sum is cut to n-1. Thresholds equal to u are rare and settled one by one.
 */
struct large {
    struct small top;        /* its level is the window */
    const qs_fqbook *q;
    uint32_t width;          /* levels a window */
    __m256i last;            /* n-2: the last threshold */
};

static struct large large_load(const qs_fqbook *q)
{
    float t[15], c[16] = {0};
    unsigned char up[15] = {0};
    uint32_t width = (uint32_t)(q->n + 15) / 16;
    for (size_t k = 0; k < 15; k++) t[k] = (k + 1) * width < q->n ? q->t[(k + 1) * width - 1] : NAN;
    qs_fqbook top = {.s = q->s, .beta = q->beta, .c = c, .t = t, .up = up, .n = 16};
    return (struct large){small_load(&top), q, width, _mm256_set1_epi32((int)q->n - 2)};
}

/* from[k], k cut to the last threshold. */
static inline __m256 fetch(const float *from, __m256i k, __m256i last)
{
    uint32_t i[8];
    _mm256_storeu_si256((__m256i *)(void *)i, _mm256_min_epi32(k, last));
    return _mm256_setr_ps(from[i[0]], from[i[1]], from[i[2]], from[i[3]], from[i[4]], from[i[5]], from[i[6]], from[i[7]]);
}

static __m256i settle_ties(__m256i k, __m256 u, const qs_fqbook *q, unsigned tie)
{
    int32_t i[8];
    float v[8];
    _mm256_storeu_si256((__m256i *)(void *)i, k);
    _mm256_storeu_ps(v, u);
    for (int j = 0; j < 8; j++)
        if (tie >> j & 1) i[j] = (int32_t)qs_fqbook_level(v[j], q);
    return _mm256_loadu_si256((const __m256i *)(const void *)i);
}

static inline __m256i large_level(__m256 u, const struct large *b)
{
    __m256i k = _mm256_mullo_epi32(small_level(u, &b->top), _mm256_set1_epi32((int)b->width));
    for (uint32_t len = b->width; len > 1; len -= len >> 1) {
        __m256i half = _mm256_set1_epi32((int)(len >> 1));
        __m256i at = _mm256_sub_epi32(_mm256_add_epi32(k, half), _mm256_set1_epi32(1));
        __m256 right = _mm256_cmp_ps(fetch(b->q->t, at, b->last), u, _CMP_LT_OQ);
        k = _mm256_add_epi32(k, _mm256_and_si256(_mm256_castps_si256(right), half));
    }
    k = _mm256_min_epi32(k, _mm256_add_epi32(b->last, _mm256_set1_epi32(1)));
    unsigned tie = (unsigned)_mm256_movemask_ps(_mm256_cmp_ps(fetch(b->q->t, k, b->last), u, _CMP_EQ_OQ));
    return tie ? settle_ties(k, u, b->q, tie) : k;
}

void qs_fqbook__avx2(const float *x, size_t n, const qs_fqbook *q, float *out)
{
    size_t i = 0;
    if (q->n <= 16) {
        const struct small b = small_load(q);
        for (; i + 8 <= n; i += 8) {
            __m256 u = book_u(x + i, b.s, b.beta);
            _mm256_storeu_ps(out + i, keep_nan(book_x(small_value(u, &b), b.s, b.beta), u));
        }
    } else {
        const struct large b = large_load(q);
        const __m256i all = _mm256_set1_epi32((int)q->n - 1);
        for (; i + 8 <= n; i += 8) {
            __m256 u = book_u(x + i, b.top.s, b.top.beta), c = fetch(q->c, large_level(u, &b), all);
            _mm256_storeu_ps(out + i, keep_nan(book_x(c, b.top.s, b.top.beta), u));
        }
    }
    for (; i < n; i++) out[i] = qs_fqbook_one(x[i], q);
}

void qs_fqbookcode__avx2(const float *x, size_t n, const qs_fqbook *q, int32_t *code)
{
    size_t i = 0;
    if (q->n <= 16) {
        const struct small b = small_load(q);
        for (; i + 8 <= n; i += 8)
            _mm256_storeu_si256((__m256i *)(void *)(code + i), small_level(book_u(x + i, b.s, b.beta), &b));
    } else {
        const struct large b = large_load(q);
        for (; i + 8 <= n; i += 8)
            _mm256_storeu_si256((__m256i *)(void *)(code + i), large_level(book_u(x + i, b.top.s, b.top.beta), &b));
    }
    for (; i < n; i++) code[i] = qs_fqbookcode_one(x[i], q);
}

/* ---- gradients of quantizers ------------------------------------------------------------------ */
/* One rule in registers, and eight lanes of each sum. */
struct vrule { __m256 in_lo, in_hi, lo, hi, below, above, inner; };
struct vgrad { __m256d s0, s1, o0, o1; };

static struct vrule vrule_load(const qs_fqrule *r)
{
    return (struct vrule){_mm256_set1_ps(r->in_lo), _mm256_set1_ps(r->in_hi), _mm256_set1_ps(r->lo),
                          _mm256_set1_ps(r->hi), _mm256_set1_ps(r->below), _mm256_set1_ps(r->above),
                          _mm256_castsi256_ps(_mm256_set1_epi32(r->inner ? -1 : 0))};
}

static void vgrad_store(const struct vgrad *v, qs_lanesg *a)
{
    store2(a->step, v->s0, v->s1);
    store2(a->offset, v->o0, v->o1);
}

/* What the rule makes of eight elements: dx over g, which of them are clipped; returns g where u is a number, else 0. */
__attribute__((always_inline)) static inline __m256 rule8(__m256 u, const struct vrule *r, float *g, __m256 *clipped, __m256 *below)
{
    __m256 up = _mm256_loadu_ps(g);
    __m256 in = _mm256_and_ps(_mm256_cmp_ps(u, r->in_lo, _CMP_GE_OQ), _mm256_cmp_ps(u, r->in_hi, _CMP_LE_OQ));
    *below = _mm256_cmp_ps(u, r->lo, _CMP_LT_OQ);
    *clipped = _mm256_or_ps(*below, _mm256_cmp_ps(u, r->hi, _CMP_GT_OQ));
    _mm256_storeu_ps(g, _mm256_and_ps(up, in));
    return _mm256_and_ps(up, _mm256_cmp_ps(u, u, _CMP_ORD_Q));
}

__attribute__((always_inline)) static inline void offset8(struct vgrad *v, __m256 up, __m256 clipped)
{
    __m256 o = _mm256_and_ps(up, clipped);
    v->o0 = _mm256_add_pd(v->o0, low(o));
    v->o1 = _mm256_add_pd(v->o1, high(o));
}

/* The slope is exact in float32, its product with g in double; fused or not, the same. */
__attribute__((always_inline)) static inline void exact8(struct vgrad *v, __m256 u, __m256 c, const struct vrule *k,
                                                         float *g, bool offset)
{
    __m256 clipped, below, up = rule8(u, k, g, &clipped, &below);
    __m256 ends = _mm256_blendv_ps(k->above, k->below, below);
    __m256 inner = _mm256_and_ps(_mm256_and_ps(_mm256_sub_ps(c, u), k->inner), _mm256_cmp_ps(u, u, _CMP_ORD_Q));
    __m256 slope = _mm256_blendv_ps(inner, ends, clipped);
    v->s0 = _mm256_fmadd_pd(low(up), low(slope), v->s0);
    v->s1 = _mm256_fmadd_pd(high(up), high(slope), v->s1);
    if (offset) offset8(v, up, clipped);
}

/* Codes that are integers. */
__attribute__((always_inline)) static inline void fqgrad_run(const float *x, size_t n, const qs_fq *q,
                                                             const qs_fqrule *r, float *g, qs_fqsums *out, bool away,
                                                             bool offset)
{
    const struct vfq f = vfq_load(q);
    const struct vrule k = vrule_load(r);
    const __m256d z = _mm256_setzero_pd();
    struct vgrad v = {z, z, z, z};
    qs_lanesg a;
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m256 u = _mm256_div_ps(_mm256_sub_ps(_mm256_loadu_ps(x + i), f.beta), f.s);
        __m256 c = _mm256_min_ps(_mm256_max_ps(away ? round_away(u) : round_even(u), f.lo), f.hi);
        exact8(&v, u, c, &k, g + i, offset);
    }
    vgrad_store(&v, &a);
    for (; i < n; i++) qs_fqgrad_one(x[i], q, &g[i], i, r, &a);
    qs_lanesg_end(&a, out);
    if (!r->offset) out->offset = 0;
}

void qs_fqgrad__avx2(const float *x, size_t n, const qs_fq *q, const qs_fqrule *r, float *g, qs_fqsums *out)
{
    if (q->away) fqgrad_run(x, n, q, r, g, out, true, true);
    else if (r->offset) fqgrad_run(x, n, q, r, g, out, false, true);
    else fqgrad_run(x, n, q, r, g, out, false, false);
}

/* Other slopes are differences in double, and their products are rounded: not fused. */
__attribute__((always_inline)) static inline __m256d slope4(__m256d c, __m256d u, __m256d inner, __m256d ends,
                                                            __m256d clipped)
{
    return _mm256_blendv_pd(_mm256_and_pd(_mm256_sub_pd(c, u), inner), ends, clipped);
}

__attribute__((always_inline)) static inline void double8(struct vgrad *v, __m256 u, __m256 c, const struct vrule *k,
                                                          float *g)
{
    __m256 clipped, below, up = rule8(u, k, g, &clipped, &below);
    __m256 ends = _mm256_blendv_ps(k->above, k->below, below);
    __m256i inner = _mm256_castps_si256(_mm256_and_ps(k->inner, _mm256_cmp_ps(u, u, _CMP_ORD_Q)));
    __m256i clip = _mm256_castps_si256(clipped);
    __m256d l = slope4(low(c), low(u), wide_low(inner), low(ends), wide_low(clip));
    __m256d h = slope4(high(c), high(u), wide_high(inner), high(ends), wide_high(clip));
    v->s0 = _mm256_add_pd(v->s0, _mm256_mul_pd(low(up), l));
    v->s1 = _mm256_add_pd(v->s1, _mm256_mul_pd(high(up), h));
    offset8(v, up, clipped);
}

__attribute__((always_inline)) static inline void bookgrad_run(const float *x, size_t n, const qs_fqbook *q,
                                                               const qs_fqrule *r, float *g, qs_fqsums *out, bool wide,
                                                               bool exact, bool offset)
{
    struct large b;
    if (wide) b = large_load(q);
    else b.top = small_load(q);
    const struct vrule k = vrule_load(r);
    const __m256d z = _mm256_setzero_pd();
    const __m256i all = _mm256_set1_epi32((int)q->n - 1);
    struct vgrad v = {z, z, z, z};
    qs_lanesg a;
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m256 u = book_u(x + i, b.top.s, b.top.beta);
        __m256 c = wide ? fetch(q->c, large_level(u, &b), all) : small_value(u, &b.top);
        if (exact) exact8(&v, u, c, &k, g + i, offset);
        else double8(&v, u, c, &k, g + i);
    }
    vgrad_store(&v, &a);
    for (; i < n; i++) qs_fqbookgrad_one(x[i], q, &g[i], i, r, &a);
    qs_lanesg_end(&a, out);
    if (!r->offset) out->offset = 0;
}

void qs_fqbookgrad__avx2(const float *x, size_t n, const qs_fqbook *q, const qs_fqrule *r, float *g, qs_fqsums *out)
{
    if (q->n > 16) bookgrad_run(x, n, q, r, g, out, true, false, true);
    else if (!r->exact) bookgrad_run(x, n, q, r, g, out, false, false, true);
    else if (r->offset) bookgrad_run(x, n, q, r, g, out, false, true, true);
    else bookgrad_run(x, n, q, r, g, out, false, true, false);
}
