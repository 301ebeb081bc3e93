/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_NUM_VECTOR_H
#define QS_NUM_VECTOR_H
/*
 * Vectors of the compiler's own for kernels of one source, compiled once an instruction set with QS_ISA saying which:
 * W floats or W/2 doubles wide. Private to num/.
 *
 * Macros where a vector is an argument: passing one is a matter of the instruction set.
 */
#include <stdint.h>
#include <string.h>

#ifdef __AVX512F__
#include <immintrin.h>
#endif

#ifndef QS_ISA
#define QS_ISA scalar
#endif
#define GLUE2(name, isa) qs_##name##__##isa
#define GLUE(name, isa) GLUE2(name, isa)
#define KERNEL(name) GLUE(name, QS_ISA)

#pragma GCC diagnostic ignored "-Wpsabi"   /* vectors are returned by functions that are inlined only */

#ifdef __AVX512F__
#define W 16
#else
#define W 8                   /* wider ones than the machine has are taken apart badly */
#endif
typedef float vf __attribute__((vector_size(4 * W)));
typedef float vh __attribute__((vector_size(2 * W)));    /* half of one, */
typedef double vd __attribute__((vector_size(4 * W)));   /* and what it widens to */
typedef int32_t vi __attribute__((vector_size(4 * W)));

#define INLINE static inline __attribute__((always_inline))
INLINE vf get(const float *p) { vf v; memcpy(&v, p, sizeof v); return v; }
INLINE vf same(float x) { vf v = {0}; return v + x; }
INLINE vd getd(const double *p) { vd v; memcpy(&v, p, sizeof v); return v; }
#define put(p, v) do { vf put_v = (v); memcpy((p), &put_v, sizeof put_v); } while (0)
#define putd(p, v) do { vd put_v = (v); memcpy((p), &put_v, sizeof put_v); } while (0)
#define both(v, mask) ((vf)((vi)(v) & (mask)))
/* x where the mask is set, else y. */
#define pick(mask, x, y) ((vf)(((vi)(x) & (mask)) | ((vi)(y) & ~(mask))))

/*
 * Where the compiler (GCC 12) has to be helped. It widens eight floats as twice four, takes the halves of a vector by
 * way of memory, and makes both(get(p), mask) a masked load, which waits for its mask: three times as slow where data
 * come from afar. fetch is a get that is not put off.
 */
#ifdef __AVX512F__
INLINE vf fetch(const float *p) { vf v = get(p); __asm__("" : "+v"(v)); return v; }
INLINE vd wide(const float *p) { return (vd)_mm512_cvtps_pd(_mm256_loadu_ps(p)); }
#define wide_low(v) ((vd)_mm512_cvtps_pd(_mm512_castps512_ps256((__m512)(v))))
#define wide_high(v) ((vd)_mm512_cvtps_pd(_mm512_extractf32x8_ps((__m512)(v), 1)))
#else
INLINE vf fetch(const float *p) { return get(p); }
INLINE vd wide(const float *p) { vh v; memcpy(&v, p, sizeof v); return __builtin_convertvector(v, vd); }
#define wide_low(v) wide((const float *)&(v))      /* v: a variable */
#define wide_high(v) wide((const float *)&(v) + W / 2)
#endif

#endif
