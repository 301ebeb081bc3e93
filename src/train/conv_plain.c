/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Convolutions and products as the textbook writes them: right, and slow. */
#include "train/conv_plain.h"

#include <string.h>

/* Every (output pixel, kernel place) that meets the image: f(output, input, weight base). */
typedef struct walk {
    const qs_conv_shape *s;
    size_t cg, og;            /* channels of a group: in, out */
} walk;

typedef void meet_fn(const walk *k, const qs_conv_at *at, size_t y, size_t x, size_t tap);

/* y, x: where the pixels of output and input begin; tap: the place in the kernel. */
static void each_meeting(const qs_conv_shape *s, const qs_conv_at *at, meet_fn *f)
{
    walk k = {s, (size_t)(s->c / s->groups), (size_t)(s->out / s->groups)};
    int oh = qs_conv_side(s->h, s), ow = qs_conv_side(s->w, s);
    for (int b = 0; b < s->n; b++)
        for (int oy = 0; oy < oh; oy++)
            for (int ox = 0; ox < ow; ox++)
                for (int ky = 0; ky < s->kernel; ky++)
                    for (int kx = 0; kx < s->kernel; kx++) {
                        int iy = oy * s->stride + ky - s->pad, ix = ox * s->stride + kx - s->pad;
                        if (iy < 0 || ix < 0 || iy >= s->h || ix >= s->w) continue;
                        f(&k, at, (size_t)((b * oh + oy) * ow + ox) * (size_t)s->out,
                          (size_t)((b * s->h + iy) * s->w + ix) * (size_t)s->c, (size_t)(ky * s->kernel + kx));
                    }
}

static size_t taps(const walk *k) { return (size_t)(k->s->kernel * k->s->kernel); }

static void meet_forward(const walk *k, const qs_conv_at *at, size_t y, size_t x, size_t tap)
{
    for (size_t o = 0; o < (size_t)k->s->out; o++) {
        const float *w = at->wf + o * k->cg * taps(k) + tap, *in = at->x + x + o / k->og * k->cg;
        float sum = 0;
        for (size_t i = 0; i < k->cg; i++) sum += in[i] * w[i * taps(k)];
        at->y[y + o] += sum;
    }
}

static void meet_data(const walk *k, const qs_conv_at *at, size_t y, size_t x, size_t tap)
{
    for (size_t o = 0; o < (size_t)k->s->out; o++) {
        const float *w = at->wb + o * k->cg * taps(k) + tap, g = at->gy[y + o];
        float *gx = at->gx + x + o / k->og * k->cg;
        for (size_t i = 0; i < k->cg; i++) gx[i] += g * w[i * taps(k)];
    }
}

static void meet_weights(const walk *k, const qs_conv_at *at, size_t y, size_t x, size_t tap)
{
    for (size_t o = 0; o < (size_t)k->s->out; o++) {
        const float *in = at->xb + x + o / k->og * k->cg, g = at->gy[y + o];
        float *gw = at->gw + o * k->cg * taps(k) + tap;
        for (size_t i = 0; i < k->cg; i++) gw[i * taps(k)] += g * in[i];
    }
}

void qs_plain_forward(const qs_conv_shape *s, const qs_conv_at *at)
{
    size_t pixels = (size_t)(s->n * qs_conv_side(s->h, s) * qs_conv_side(s->w, s)), out = (size_t)s->out;
    for (size_t i = 0; i < pixels; i++)
        for (size_t o = 0; o < out; o++) at->y[i * out + o] = at->bias ? at->bias[o] : 0;
    each_meeting(s, at, meet_forward);
}

/* The sum of products of codes at one output. */
static int32_t sum_codes(const qs_conv_shape *s, const qs_conv_at *at, int b, int oy, int ox, int o)
{
    int32_t sum = 0;
    int cg = s->c / s->groups, first = o / (s->out / s->groups) * cg, k2 = s->kernel * s->kernel;
    for (int t = 0; t < k2; t++) {
        int iy = oy * s->stride + t / s->kernel - s->pad, ix = ox * s->stride + t % s->kernel - s->pad;
        if (iy < 0 || ix < 0 || iy >= s->h || ix >= s->w) continue;
        const uint8_t *x = at->codes + (size_t)((b * s->h + iy) * s->w + ix) * (size_t)s->c + first;
        const int8_t *w = at->wc + (size_t)(o * cg * k2 + t);
        for (int i = 0; i < cg; i++) sum += x[i] * w[i * k2];
    }
    return sum;
}

void qs_plain_forward_codes(const qs_conv_shape *s, const qs_conv_at *at)
{
    int oh = qs_conv_side(s->h, s), ow = qs_conv_side(s->w, s), pixels = s->n * oh * ow;
    for (int i = 0; i < pixels; i++)
        for (int o = 0; o < s->out; o++) {
            float y = (float)sum_codes(s, at, i / (oh * ow), i / ow % oh, i % ow, o) * at->factor[o];
            at->y[(size_t)i * (size_t)s->out + (size_t)o] = at->bias ? y + at->bias[o] : y;
        }
}

void qs_plain_backward_data(const qs_conv_shape *s, const qs_conv_at *at)
{
    memset(at->gx, 0, (size_t)(s->n * s->h * s->w) * (size_t)s->c * sizeof(float));
    each_meeting(s, at, meet_data);
}

void qs_plain_backward_weights(const qs_conv_shape *s, const qs_conv_at *at)
{
    memset(at->gw, 0, (size_t)(s->out * (s->c / s->groups)) * (size_t)(s->kernel * s->kernel) * sizeof(float));
    each_meeting(s, at, meet_weights);
}

void qs_plain_gemm(bool ta, bool tb, size_t m, size_t n, size_t k, const float *a, size_t lda, const float *b, size_t ldb,
                   float *c, size_t ldc)
{
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < n; j++) {
            float sum = 0;
            for (size_t l = 0; l < k; l++)
                sum += (ta ? a[l * lda + i] : a[i * lda + l]) * (tb ? b[j * ldb + l] : b[l * ldb + j]);
            c[i * ldc + j] = sum;
        }
}
