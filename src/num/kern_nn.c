/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Kernels of network layers, channels last, and of optimizers: one source for every instruction
 * set, compiled once each with QS_ISA saying which. Vectors are the compiler's
 * own, W floats or W/2 doubles wide; every lane
 * does the same single operations everywhere, so the bits are equal.
 *
 * Sums over rows run down each channel in the order of the rows.
 */
#include "num/kernels.h"

#include "num/vector.h"

/* ---- batch normalization ------------------------------------------------------------------- */
void KERNEL(bnsum)(const float *x, size_t rows, size_t c, double *sum, double *sq)
{
    size_t j = 0;
    for (; j + W <= c; j += W) {
        vd s0 = getd(sum + j), s1 = getd(sum + j + W / 2), q0 = getd(sq + j), q1 = getd(sq + j + W / 2);
        const float *p = x + j;
        for (size_t r = 0; r < rows; r++, p += c) {
            vd a = wide(p), b = wide(p + W / 2);
            s0 += a;
            s1 += b;
            q0 += a * a;
            q1 += b * b;
        }
        putd(sum + j, s0);
        putd(sum + j + W / 2, s1);
        putd(sq + j, q0);
        putd(sq + j + W / 2, q1);
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
    for (; j + W <= c; j += W) {
        vd s0 = getd(sum + j), s1 = getd(sum + j + W / 2);
        const float *p = x + j;
        for (size_t r = 0; r < rows; r++, p += c) {
            s0 += wide(p);
            s1 += wide(p + W / 2);
        }
        putd(sum + j, s0);
        putd(sum + j + W / 2, s1);
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
    vf l = same(lo), h = same(hi);
    for (; j + W <= c; j += W) {
        vf a = get(scale + j), b = get(shift + j);
        for (size_t r = 0; r < rows; r++) {
            vf v = get(x + r * c + j) * a + b;
            v = pick(v < l, l, v);
            put(y + r * c + j, pick(v > h, h, v));
        }
    }
    for (; j < c; j++)
        for (size_t r = 0; r < rows; r++) y[r * c + j] = bound(x[r * c + j] * scale[j] + shift[j], lo, hi);
}

/* g counts where y = x scale + shift was not cut: the same operations as above, so the same bits, and y need not be read. */
void KERNEL(bngradsum)(const float *x, const float *g, size_t rows, size_t c, const float *scale, const float *shift, float lo,
                       float hi, const double *mean, double *sg, double *sgx)
{
    size_t j = 0;
    vf l = same(lo), h = same(hi);
    for (; j + W <= c; j += W) {
        vd s0 = getd(sg + j), s1 = getd(sg + j + W / 2), t0 = getd(sgx + j), t1 = getd(sgx + j + W / 2);
        vd m0 = getd(mean + j), m1 = getd(mean + j + W / 2);
        vf k = get(scale + j), b = get(shift + j);
        for (size_t r = 0; r < rows; r++) {
            size_t at = r * c + j;
            vf up = fetch(g + at), y = get(x + at) * k + b;
            up = both(up, (y > l) & (y < h));
            vd u0 = wide_low(up), u1 = wide_high(up);
            s0 += u0;
            s1 += u1;
            t0 += u0 * (wide(x + at) - m0);
            t1 += u1 * (wide(x + at + W / 2) - m1);
        }
        putd(sg + j, s0);
        putd(sg + j + W / 2, s1);
        putd(sgx + j, t0);
        putd(sgx + j + W / 2, t1);
    }
    for (; j < c; j++)
        for (size_t r = 0; r < rows; r++) {
            size_t at = r * c + j;
            float y = x[at] * scale[j] + shift[j];
            double up = y > lo && y < hi ? (double)g[at] : 0;
            sg[j] += up;
            sgx[j] += up * ((double)x[at] - mean[j]);
        }
}

void KERNEL(bngrad)(const float *x, const float *g, size_t rows, size_t c, const float *scale, const float *shift, float lo,
                    float hi, const float *a, const float *b, const float *d, float *dx)
{
    size_t j = 0;
    vf l = same(lo), h = same(hi);
    for (; j + W <= c; j += W) {
        vf ka = get(a + j), kb = get(b + j), kd = get(d + j), ks = get(scale + j), kt = get(shift + j);
        for (size_t r = 0; r < rows; r++) {
            size_t at = r * c + j;
            vf up = fetch(g + at), v = get(x + at), y = v * ks + kt;
            up = both(up, (y > l) & (y < h));
            put(dx + at, up * ka + (v * kb + kd));
        }
    }
    for (; j < c; j++)
        for (size_t r = 0; r < rows; r++) {
            size_t at = r * c + j;
            float y = x[at] * scale[j] + shift[j], up = y > lo && y < hi ? g[at] : 0.0f;
            dx[at] = up * a[j] + (x[at] * b[j] + d[j]);
        }
}

/* ---- element by element ------------------------------------------------------------------------- */
void KERNEL(clip)(const float *x, size_t n, float lo, float hi, float *y)
{
    size_t i = 0;
    vf l = same(lo), h = same(hi);
    for (; i + W <= n; i += W) {
        vf v = get(x + i);
        v = pick(v < l, l, v);
        put(y + i, pick(v > h, h, v));
    }
    for (; i < n; i++) y[i] = bound(x[i], lo, hi);
}

void KERNEL(clipgrad)(const float *y, size_t n, float lo, float hi, float *g)
{
    size_t i = 0;
    vf l = same(lo), h = same(hi);
    for (; i + W <= n; i += W) {
        vf up = fetch(g + i), v = get(y + i);
        put(g + i, both(up, (v > l) & (v < h)));
    }
    for (; i < n; i++) g[i] = y[i] > lo && y[i] < hi ? g[i] : 0.0f;
}

void KERNEL(add)(const float *x, size_t n, float *y)
{
    size_t i = 0;
    for (; i + W <= n; i += W) put(y + i, get(y + i) + get(x + i));
    for (; i < n; i++) y[i] += x[i];
}

void KERNEL(addclip)(const float *a, const float *b, size_t n, float lo, float hi, float *y)
{
    size_t i = 0;
    vf l = same(lo), h = same(hi);
    for (; i + W <= n; i += W) {
        vf v = get(a + i) + get(b + i);
        v = pick(v < l, l, v);
        put(y + i, pick(v > h, h, v));
    }
    for (; i < n; i++) y[i] = bound(a[i] + b[i], lo, hi);
}

/* ---- pooling --------------------------------------------------------------------------------------- */
void KERNEL(maxrow)(const float *x, size_t n, float which, float *best, float *arg)
{
    size_t i = 0;
    vf w = same(which);
    for (; i + W <= n; i += W) {
        vf v = get(x + i), b = get(best + i);
        vi up = v > b;
        put(best + i, pick(up, v, b));
        put(arg + i, pick(up, w, get(arg + i)));
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
    vf w = same(which);
    for (; i + W <= n; i += W) {
        vf up = fetch(g + i);
        put(dx + i, get(dx + i) + both(up, get(arg + i) == w));
    }
    for (; i < n; i++) dx[i] += arg[i] == which ? g[i] : 0.0f;
}

/* A window's maximum stays in registers over its taps; ties go to the first. */
INLINE void max_tile(const float *x, size_t row, size_t c, size_t k, float lo, float hi, float *y, float *arg)
{
    vf best = same(-__builtin_inff()), at = same(0), l = same(lo), h = same(hi);
    for (size_t ty = 0; ty < k; ty++)
        for (size_t tx = 0; tx < k; tx++) {
            vf v = get(x + ty * row + tx * c);
            vi up = v > best;
            best = pick(up, v, best);
            at = pick(up, same((float)(ty * k + tx)), at);
        }
    best = pick(best < l, l, best);
    put(y, pick(best > h, h, best));
    put(arg, at);
}

INLINE void max_one(const float *x, size_t row, size_t c, size_t k, float lo, float hi, float *y, float *arg)
{
    float best = -__builtin_inff();
    *arg = 0;
    for (size_t ty = 0; ty < k; ty++)
        for (size_t tx = 0; tx < k; tx++) {
            float v = x[ty * row + tx * c];
            if (v <= best || v != v) continue;
            best = v;
            *arg = (float)(ty * k + tx);
        }
    *y = bound(best, lo, hi);
}

INLINE void max_row(const float *x, size_t row, size_t c, size_t k, size_t n, float lo, float hi, float *y, float *arg)
{
    for (size_t i = 0; i < n; i++, x += k * c, y += c, arg += c) {
        size_t j = 0;
        for (; j + W <= c; j += W) max_tile(x + j, row, c, k, lo, hi, y + j, arg + j);
        for (; j < c; j++) max_one(x + j, row, c, k, lo, hi, y + j, arg + j);
    }
}

/* Windows of 2 x 2, the usual ones, are unrolled. */
void KERNEL(maxpool)(const float *x, size_t row, size_t c, size_t k, size_t n, float lo, float hi, float *y, float *arg)
{
    if (k == 2) max_row(x, row, c, 2, n, lo, hi, y, arg);
    else max_row(x, row, c, k, n, lo, hi, y, arg);
}

INLINE void spread_row(const float *y, const float *arg, const float *g, size_t row, size_t c, size_t k, size_t n, float lo,
                       float hi, float *dx)
{
    vf l = same(lo), h = same(hi);
    for (size_t i = 0; i < n; i++, dx += k * c, y += c, arg += c, g += c) {
        size_t j = 0;
        for (; j + W <= c; j += W) {
            vf up = fetch(g + j), out = get(y + j), at = get(arg + j);
            up = both(up, (out > l) & (out < h));
            for (size_t ty = 0; ty < k; ty++)
                for (size_t tx = 0; tx < k; tx++)
                    put(dx + ty * row + tx * c + j, both(up, at == same((float)(ty * k + tx))));
        }
        for (; j < c; j++) {
            float up = y[j] > lo && y[j] < hi ? g[j] : 0.0f;
            for (size_t ty = 0; ty < k; ty++)
                for (size_t tx = 0; tx < k; tx++) dx[ty * row + tx * c + j] = arg[j] == (float)(ty * k + tx) ? up : 0.0f;
        }
    }
}

void KERNEL(maxpoolgrad)(const float *y, const float *arg, const float *g, size_t row, size_t c, size_t k, size_t n, float lo,
                         float hi, float *dx)
{
    if (k == 2) spread_row(y, arg, g, row, c, 2, n, lo, hi, dx);
    else spread_row(y, arg, g, row, c, k, n, lo, hi, dx);
}

/* ---- optimizers ------------------------------------------------------------------------------------ */
/* Sixteen sums side by side, added to eight, those as everywhere. */
double KERNEL(sumsq)(const float *x, size_t n)
{
    enum { N = 32 / W };       /* vectors that hold sixteen doubles */
    vd sum[N] = {0};
    double s[8];
    size_t i = 0;
    for (; i + 16 <= n; i += 16)
        for (int j = 0; j < N; j++) {
            vd a = wide(x + i + j * W / 2);
            sum[j] += a * a;
        }
    for (int j = 0; j < N / 2; j++) putd(s + j * W / 2, sum[j] + sum[j + N / 2]);
    for (; i < n; i++) s[i % 8] += (double)x[i] * x[i];
    return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
}

void KERNEL(sgd)(const qs_sgd *o, const float *g, size_t n, float *m, float *w)
{
    const float lr = o->lr, momentum = o->momentum, decay = o->decay, scale = o->scale;
    const vf klr = same(lr), km = same(momentum), kd = same(decay), ks = same(scale);
    size_t i = 0;
    for (; i + W <= n; i += W) {
        vf x = get(w + i), d = get(g + i) * ks + kd * x, k = km * get(m + i) + d;
        put(m + i, k);
        put(w + i, x - klr * (o->nesterov ? d + km * k : k));
    }
    for (; i < n; i++) {
        float d = g[i] * scale + decay * w[i];
        m[i] = momentum * m[i] + d;
        w[i] -= lr * (o->nesterov ? d + momentum * m[i] : m[i]);
    }
}

void KERNEL(adam)(const qs_adam *o, const float *g, size_t n, float *m, float *v, float *w)
{
    float root[W];
    size_t i = 0;
    for (; i + W <= n; i += W) {
        vf x = get(w + i), d = get(g + i) * o->scale + x * o->decay;
        vf k = get(m + i) * o->b1 + d * o->c1, q = get(v + i) * o->b2 + (d * d) * o->c2;
        put(m + i, k);
        put(v + i, q);
        for (size_t j = 0; j < W; j++) root[j] = __builtin_sqrtf(v[i + j]);
        put(w + i, x - (k / (get(root) / o->root2 + o->eps)) * o->lr);
    }
    for (; i < n; i++) {
        float d = g[i] * o->scale + w[i] * o->decay;
        m[i] = m[i] * o->b1 + d * o->c1;
        v[i] = v[i] * o->b2 + (d * d) * o->c2;
        w[i] -= (m[i] / (__builtin_sqrtf(v[i]) / o->root2 + o->eps)) * o->lr;
    }
}
