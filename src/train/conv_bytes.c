/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Every image is copied into a frame of zeros, so that the kernel meets no border. */
#include "train/conv_bytes.h"

#include <string.h>

#include "num/kernels.h"
#include "train/conv_plain.h"

/* Bytes of a row of the frame, and of a row of the kernel in whole fours. */
static size_t pitch(const qs_conv_shape *s) { return (size_t)(s->w + 2 * s->pad) * (size_t)s->c; }
static size_t run(const qs_conv_shape *s) { return ((size_t)(s->kernel * s->c) + 3) / 4 * 4; }

bool qs_bytes_fit(const qs_conv_shape *s)
{
    const qs_kernels *k = qs_num();
    bool fast = k->convbyte && k->convbyte != qs_num_isa("scalar")->convbyte;
    return fast && s->groups == 1 && s->out % 16 == 0 && qs_conv_side(s->h, s) * qs_conv_side(s->w, s) >= 8;
}

size_t qs_bytes_weights(const qs_conv_shape *s) { return (size_t)s->kernel * run(s) * (size_t)s->out; }
size_t qs_bytes_room(const qs_conv_shape *s) { return (size_t)(s->h + 2 * s->pad) * pitch(s) + 3; }

/* (out, c, rows, columns) -> (rows, columns and c in fours, out, four of those) */
void qs_bytes_pack(const qs_conv_shape *s, const int8_t *w, int8_t *wc)
{
    size_t out = (size_t)s->out, c = (size_t)s->c, k = (size_t)s->kernel;
    if (run(s) != k * c) memset(wc, 0, qs_bytes_weights(s));
    for (size_t o = 0; o < out; o++)
        for (size_t j = 0; j < c; j++)
            for (size_t t = 0; t < k * k; t++) {
                size_t i = t / k * run(s) + t % k * c + j;
                wc[i / 4 * 4 * out + 4 * o + i % 4] = *w++;
            }
}

void qs_bytes_forward(const qs_conv_shape *s, const qs_conv_at *at, uint8_t *room)
{
    size_t c = (size_t)s->c, line = (size_t)s->w * c, p = pitch(s), pad = (size_t)s->pad;
    qs_bytes b = {.rows = (size_t)s->kernel, .run = run(s), .pitch = p, .down = (size_t)s->stride * p, .along = (size_t)s->stride * c,
                  .oh = (size_t)qs_conv_side(s->h, s), .ow = (size_t)qs_conv_side(s->w, s), .out = (size_t)s->out,
                  .factor = at->factor, .bias = at->bias};
    const uint8_t *x = at->codes;
    float *y = at->y;
    for (int i = 0; i < s->n; i++, y += b.oh * b.ow * b.out) {
        for (size_t row = 0; row < (size_t)s->h; row++, x += line) memcpy(room + (row + pad) * p + pad * c, x, line);
        qs_num()->convbyte(room, at->wc, &b, y);
    }
}
