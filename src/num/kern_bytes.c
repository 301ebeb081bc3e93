/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Convolution in whole numbers for CPUs that multiply bytes (AVX-512 VNNI): the
 * reference's sums, which are exact in any order. Eight output pixels times 16
 * or 32 channels stay in registers; four bytes of every pixel meet 64 weights at
 * a time.
 */
#include "num/kernels.h"

#include <immintrin.h>
#include <string.h>

#define P 8                    /* pixels a tile */
#define INLINE static inline __attribute__((always_inline))

INLINE __m512i four(const uint8_t *x)
{
    int32_t v;
    memcpy(&v, x, sizeof v);
    return _mm512_set1_epi32(v);
}

/* sum += four products a lane. Not _mm512_dpbusd_epi32: GCC (12) copies all sums about around each. */
INLINE void meet(__m512i *sum, __m512i x, __m512i w) { __asm__("vpdpbusd %2, %1, %0" : "+v"(*sum) : "v"(x), "v"(w)); }

/* y = float of the sum, times the factor, plus the bias. */
INLINE void finish(__m512i sum, const qs_bytes *s, size_t o, float *y)
{
    __m512 v = _mm512_mul_ps(_mm512_cvtepi32_ps(sum), _mm512_loadu_ps(s->factor + o));
    if (s->bias) v = _mm512_add_ps(v, _mm512_loadu_ps(s->bias + o));
    _mm512_storeu_ps(y, v);
}

/* Pixels that begin at x[], and `blocks` times 16 channels from o on. */
INLINE void tile(const uint8_t *const x[P], const int8_t *w, const qs_bytes *s, size_t o, int blocks, float *y)
{
    __m512i sum[P][2];
#pragma GCC unroll 8
    for (int i = 0; i < P; i++) sum[i][0] = sum[i][1] = _mm512_setzero_si512();
    w += 4 * o;
    for (size_t row = 0; row < s->rows * s->pitch; row += s->pitch)
        for (size_t at = row; at < row + s->run; at += 4, w += 4 * s->out) {
            const __m512i w0 = _mm512_loadu_si512(w), w1 = blocks > 1 ? _mm512_loadu_si512(w + 64) : w0;
#pragma GCC unroll 8
            for (int i = 0; i < P; i++) {
                const __m512i v = four(x[i] + at);
                meet(&sum[i][0], v, w0);
                if (blocks > 1) meet(&sum[i][1], v, w1);
            }
        }
#pragma GCC unroll 8
    for (int i = 0; i < P; i++, y += s->out) {
        finish(sum[i][0], s, o, y + o);
        if (blocks > 1) finish(sum[i][1], s, o + 16, y + o + 16);
    }
}

/* Where pixels n .. n+P-1 begin. */
INLINE void begin(const uint8_t *x, const qs_bytes *s, size_t n, const uint8_t *at[P])
{
    size_t row = n / s->ow, col = n % s->ow;
    for (int i = 0; i < P; i++) {
        at[i] = x + row * s->down + col * s->along;
        if (++col < s->ow) continue;
        col = 0;
        row++;
    }
}

/* The last tile begins early, and makes some pixels a second time. */
void qs_convbyte__avx512(const uint8_t *x, const int8_t *w, const qs_bytes *s, float *y)
{
    size_t n = s->oh * s->ow;
    for (size_t i = 0; i < n; i += P) {
        const uint8_t *at[P];
        size_t first = i + P <= n ? i : n - P, o = 0;
        begin(x, s, first, at);
        for (; o + 32 <= s->out; o += 32) tile(at, w, s, o, 2, y + first * s->out);
        if (o < s->out) tile(at, w, s, o, 1, y + first * s->out);
    }
}
