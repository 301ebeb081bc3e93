/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Kernels of network layers, channels last: one source for every instruction
 * set, compiled once each with QS_ISA saying which. Vectors are the compiler's
 * own (16 floats, 8 doubles), which it cuts to what the machine has; every lane
 * does the same single operations everywhere, so the bits are equal.
 *
 * Sums over rows run down each channel in the order of the rows.
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

typedef float v16 __attribute__((vector_size(64)));
typedef float v8 __attribute__((vector_size(32)));
typedef double d8 __attribute__((vector_size(64)));
typedef int32_t i16 __attribute__((vector_size(64)));

/* Macros where a vector is an argument: passing one is a matter of the instruction set. */
#define INLINE static inline __attribute__((always_inline))
INLINE v16 get16(const float *p) { v16 v; memcpy(&v, p, sizeof v); return v; }
INLINE v16 same16(float x) { v16 v = {0}; return v + x; }
INLINE d8 wide(const float *p) { v8 v; memcpy(&v, p, sizeof v); return __builtin_convertvector(v, d8); }
INLINE d8 getd(const double *p) { d8 v; memcpy(&v, p, sizeof v); return v; }
#define put16(p, v) do { v16 put_v = (v); memcpy((p), &put_v, sizeof put_v); } while (0)
#define putd(p, v) do { d8 put_v = (v); memcpy((p), &put_v, sizeof put_v); } while (0)
#define both16(v, mask) ((v16)((i16)(v) & (mask)))
/* x where the mask is set, else y. */
#define pick16(mask, x, y) ((v16)(((i16)(x) & (mask)) | ((i16)(y) & ~(mask))))

/* ---- batch normalization ------------------------------------------------------------------- */
void KERNEL(bnsum)(const float *x, size_t rows, size_t c, double *sum, double *sq)
{
    size_t j = 0;
    for (; j + 16 <= c; j += 16) {
        d8 s0 = getd(sum + j), s1 = getd(sum + j + 8), q0 = getd(sq + j), q1 = getd(sq + j + 8);
        const float *p = x + j;
        for (size_t r = 0; r < rows; r++, p += c) {
            d8 a = wide(p), b = wide(p + 8);
            s0 += a;
            s1 += b;
            q0 += a * a;
            q1 += b * b;
        }
        putd(sum + j, s0);
        putd(sum + j + 8, s1);
        putd(sq + j, q0);
        putd(sq + j + 8, q1);
    }
    for (; j < c; j++)
        for (size_t r = 0; r < rows; r++) {
            double a = x[r * c + j];
            sum[j] += a;
            sq[j] += a * a;
        }
}

void KERNEL(colsum)(const float *x, size_t rows, size_t c, double *sum)
{
    size_t j = 0;
    for (; j + 16 <= c; j += 16) {
        d8 s0 = getd(sum + j), s1 = getd(sum + j + 8);
        const float *p = x + j;
        for (size_t r = 0; r < rows; r++, p += c) {
            s0 += wide(p);
            s1 += wide(p + 8);
        }
        putd(sum + j, s0);
        putd(sum + j + 8, s1);
    }
    for (; j < c; j++)
        for (size_t r = 0; r < rows; r++) sum[j] += x[r * c + j];
}

/* NaN passes, so that a run that diverges is seen to. */
static inline float bound(float v, float lo, float hi)
{
    v = v < lo ? lo : v;
    return v > hi ? hi : v;
}

/* lo = -infinity, hi = infinity: no bound. */
void KERNEL(bnapply)(const float *x, size_t rows, size_t c, const float *scale, const float *shift, float lo, float hi,
                     float *y)
{
    size_t j = 0;
    v16 l = same16(lo), h = same16(hi);
    for (; j + 16 <= c; j += 16) {
        v16 a = get16(scale + j), b = get16(shift + j);
        for (size_t r = 0; r < rows; r++) {
            v16 v = get16(x + r * c + j) * a + b;
            v = pick16(v < l, l, v);
            put16(y + r * c + j, pick16(v > h, h, v));
        }
    }
    for (; j < c; j++)
        for (size_t r = 0; r < rows; r++) y[r * c + j] = bound(x[r * c + j] * scale[j] + shift[j], lo, hi);
}

/* g counts where lo < y < hi, the bounds that y was cut to. */
void KERNEL(bngradsum)(const float *x, const float *y, const float *g, size_t rows, size_t c, const double *mean, float lo,
                       float hi, double *sg, double *sgx)
{
    size_t j = 0;
    v16 l = same16(lo), h = same16(hi);
    for (; j + 16 <= c; j += 16) {
        d8 s0 = getd(sg + j), s1 = getd(sg + j + 8), t0 = getd(sgx + j), t1 = getd(sgx + j + 8);
        d8 m0 = getd(mean + j), m1 = getd(mean + j + 8);
        for (size_t r = 0; r < rows; r++) {
            size_t at = r * c + j;
            v16 out = get16(y + at), up = both16(get16(g + at), (out > l) & (out < h));
            float u[16];
            memcpy(u, &up, sizeof u);
            d8 a = wide(u), b = wide(u + 8);
            s0 += a;
            s1 += b;
            t0 += a * (wide(x + at) - m0);
            t1 += b * (wide(x + at + 8) - m1);
        }
        putd(sg + j, s0);
        putd(sg + j + 8, s1);
        putd(sgx + j, t0);
        putd(sgx + j + 8, t1);
    }
    for (; j < c; j++)
        for (size_t r = 0; r < rows; r++) {
            size_t at = r * c + j;
            double up = y[at] > lo && y[at] < hi ? (double)g[at] : 0;
            sg[j] += up;
            sgx[j] += up * ((double)x[at] - mean[j]);
        }
}

void KERNEL(bngrad)(const float *x, const float *y, size_t rows, size_t c, const float *a, const float *b, const float *d,
                    float lo, float hi, float *g)
{
    size_t j = 0;
    v16 l = same16(lo), h = same16(hi);
    for (; j + 16 <= c; j += 16) {
        v16 va = get16(a + j), vb = get16(b + j), vd = get16(d + j);
        for (size_t r = 0; r < rows; r++) {
            size_t at = r * c + j;
            v16 out = get16(y + at), up = both16(get16(g + at), (out > l) & (out < h));
            put16(g + at, up * va + (get16(x + at) * vb + vd));
        }
    }
    for (; j < c; j++)
        for (size_t r = 0; r < rows; r++) {
            size_t at = r * c + j;
            float up = y[at] > lo && y[at] < hi ? g[at] : 0.0f;
            g[at] = up * a[j] + (x[at] * b[j] + d[j]);
        }
}

/* ---- element by element ------------------------------------------------------------------------- */
void KERNEL(clip)(const float *x, size_t n, float lo, float hi, float *y)
{
    size_t i = 0;
    v16 l = same16(lo), h = same16(hi);
    for (; i + 16 <= n; i += 16) {
        v16 v = get16(x + i);
        v = pick16(v < l, l, v);
        put16(y + i, pick16(v > h, h, v));
    }
    for (; i < n; i++) y[i] = bound(x[i], lo, hi);
}

void KERNEL(clipgrad)(const float *y, size_t n, float lo, float hi, float *g)
{
    size_t i = 0;
    v16 l = same16(lo), h = same16(hi);
    for (; i + 16 <= n; i += 16) {
        v16 v = get16(y + i);
        put16(g + i, both16(get16(g + i), (v > l) & (v < h)));
    }
    for (; i < n; i++) g[i] = y[i] > lo && y[i] < hi ? g[i] : 0.0f;
}

void KERNEL(add)(const float *x, size_t n, float *y)
{
    size_t i = 0;
    for (; i + 16 <= n; i += 16) put16(y + i, get16(y + i) + get16(x + i));
    for (; i < n; i++) y[i] += x[i];
}

void KERNEL(addclip)(const float *a, const float *b, size_t n, float lo, float hi, float *y)
{
    size_t i = 0;
    v16 l = same16(lo), h = same16(hi);
    for (; i + 16 <= n; i += 16) {
        v16 v = get16(a + i) + get16(b + i);
        v = pick16(v < l, l, v);
        put16(y + i, pick16(v > h, h, v));
    }
    for (; i < n; i++) y[i] = bound(a[i] + b[i], lo, hi);
}

/* ---- pooling --------------------------------------------------------------------------------------- */
void KERNEL(maxrow)(const float *x, size_t n, float which, float *best, float *arg)
{
    size_t i = 0;
    v16 w = same16(which);
    for (; i + 16 <= n; i += 16) {
        v16 v = get16(x + i), b = get16(best + i);
        i16 up = v > b;
        put16(best + i, pick16(up, v, b));
        put16(arg + i, pick16(up, w, get16(arg + i)));
    }
    for (; i < n; i++)
        if (x[i] > best[i]) {
            best[i] = x[i];
            arg[i] = which;
        }
}

void KERNEL(maxgrad)(const float *g, const float *arg, size_t n, float which, float *dx)
{
    size_t i = 0;
    v16 w = same16(which);
    for (; i + 16 <= n; i += 16) put16(dx + i, get16(dx + i) + both16(get16(g + i), get16(arg + i) == w));
    for (; i < n; i++) dx[i] += arg[i] == which ? g[i] : 0.0f;
}
