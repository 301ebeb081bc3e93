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

/* What is done beside eight pixels times 16 channels: nothing, 16 more channels, or eight more pixels. */
enum more { NOTHING, CHANNELS, PIXELS };

/* Pixels that begin at x[] (and `apart` bytes behind each), 16 channels from o on (and those behind them). */
INLINE void tile(const uint8_t *const x[P], size_t apart, const int8_t *w, const qs_bytes *s, size_t o, enum more more, float *y)
{
    __m512i sum[P][2];
#pragma GCC unroll 8
    for (int i = 0; i < P; i++) sum[i][0] = sum[i][1] = _mm512_setzero_si512();
    w += 4 * o;
    for (size_t row = 0; row < s->rows * s->pitch; row += s->pitch)
        for (size_t at = row, far = at + apart; at < row + s->run; at += 4, far += 4, w += 4 * s->out) {
            const __m512i w0 = _mm512_loadu_si512(w), w1 = more == CHANNELS ? _mm512_loadu_si512(w + 64) : w0;
#pragma GCC unroll 8
            for (int i = 0; i < P; i++) {
                const __m512i v = four(x[i] + at);
                meet(&sum[i][0], v, w0);
                if (more) meet(&sum[i][1], more == PIXELS ? four(x[i] + far) : v, w1);
            }
        }
    const size_t next = more == PIXELS ? P * s->out : 16;
#pragma GCC unroll 8
    for (int i = 0; i < P; i++, y += s->out) {
        finish(sum[i][0], s, o, y + o);
        if (more) finish(sum[i][1], s, more == CHANNELS ? o + 16 : o, y + o + next);
    }
}

INLINE const uint8_t *pixel(const uint8_t *x, const qs_bytes *s, size_t n) { return x + n / s->ow * s->down + n % s->ow * s->along; }

/* Where pixels n .. n+P-1 begin. */
INLINE void begin(const uint8_t *x, const qs_bytes *s, size_t n, const uint8_t *at[P])
{
    size_t col = n % s->ow;
    const uint8_t *p = pixel(x, s, n);
    for (int i = 0; i < P; i++) {
        at[i] = p;
        p += s->along;
        if (++col < s->ow) continue;
        col = 0;
        p += s->down - s->ow * s->along;
    }
}

/* Channels from o on, pixels of the whole image. The last tile begins early, and makes some pixels a second time. */
INLINE void channels(const uint8_t *x, const int8_t *w, const qs_bytes *s, size_t o, enum more more, float *y)
{
    const size_t n = s->oh * s->ow, m = more == PIXELS ? 2 * P : P;
    for (size_t i = 0; i < n; i += m) {
        const uint8_t *at[P];
        size_t first = i + m <= n ? i : n - m;
        begin(x, s, first, at);
        tile(at, more == PIXELS ? (size_t)(pixel(x, s, first + P) - at[0]) : 0, w, s, o, more, y + first * s->out);
    }
}

void qs_convbyte__avx512(const uint8_t *x, const int8_t *w, const qs_bytes *s, float *y)
{
    size_t o = 0;
    for (; o + 32 <= s->out; o += 32) channels(x, w, s, o, CHANNELS, y);
    if (o == s->out) return;
    if (s->ow % P == 0 && s->oh * s->ow % (2 * P) == 0) channels(x, w, s, o, PIXELS, y);
    else channels(x, w, s, o, NOTHING, y);
}
