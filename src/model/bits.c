/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Numbers of 2 or 4 bits that stand for themselves, several a byte, the first in the lowest bits: ONNX's small types.
 * As a tensor they are codes whose scale is 1; a scale they have of their own is join.c's business.
 */
#include "base/text.h"
#include "model/packed.h"
#include "model/reader.h"

static size_t a_byte(const qs_packed_kind *k) { return 8 / (size_t)k->bits; }

/* Levels of a float are a sign and a magnitude, integers are two's complement or unsigned. */
float qs_bits_value(const qs_packed_kind *k, int code)
{
    int sign = 1 << (k->bits - 1);
    if (k->level) return k->level[code & sign ? sign - 1 - (code & (sign - 1)) : sign - 1 + code];
    return (float)(k->lowest < 0 && code & sign ? code - 2 * sign : code);
}

static void read_bits(const qs_packed *p, size_t start, size_t n, float *out)
{
    const qs_packed_kind *k = p->kind;
    size_t each = a_byte(k);
    float value[16];
    for (int c = 0; c < 1 << k->bits; c++) value[c] = qs_bits_value(k, c);
    for (size_t i = 0; i < n; i++) {
        size_t at = start + i;
        out[i] = value[p->data[at / each] >> (size_t)k->bits * (at % each) & ((1 << k->bits) - 1)];
    }
}

static void grid_bits(const qs_packed *p, size_t i, float *scale, float *offset)
{
    (void)p, (void)i;
    *scale = 1;
    *offset = 0;
}

static const float e2m1[] = {-6, -4, -3, -2, -1.5f, -1, -0.5f, 0, 0.5f, 1, 1.5f, 2, 3, 4, 6};

#define BITS(called, said, width, many, low, book) \
    {.name = called, .doc = said, .bits = width, .levels = many, .lowest = low, .level = book, .read = read_bits, .grid = grid_bits}
const qs_packed_kind qs_bits_int4 = BITS("INT4", N_("signed integers of 4 bits, two a byte"), 4, 16, -8, NULL),
                     qs_bits_uint4 = BITS("UINT4", N_("unsigned integers of 4 bits, two a byte"), 4, 16, 0, NULL),
                     qs_bits_int2 = BITS("INT2", N_("signed integers of 2 bits, four a byte"), 2, 4, -2, NULL),
                     qs_bits_uint2 = BITS("UINT2", N_("unsigned integers of 2 bits, four a byte"), 2, 4, 0, NULL),
                     qs_bits_fp4 = BITS("FLOAT4E2M1", N_("floats of 4 bits (E2M1), two a byte"), 4, 15, 0, e2m1);

size_t qs_bits_bytes(const qs_packed_kind *k, size_t n) { return n / a_byte(k) + (n % a_byte(k) != 0); }

bool qs_bits_are(const qs_tensor *t) { return t->packed && t->packed->kind->read == read_bits; }

qs_tensor *qs_bits_tensor(const char *name, const qs_packed_kind *k, int ndim, const int64_t *shape, qs_blob *blob,
                          const unsigned char *data, qs_err *err)
{
    qs_packed *p = qs_packed_new(k, k->bits, blob);
    p->data = data;
    return qs_packed_tensor(name, ndim, shape, p, err);
}
