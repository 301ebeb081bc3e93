/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The types of GGUF: which are plain numbers, which are blocks, and what lies where in a block. Knows no files.
 *
 * A block type is two functions: the codes of a block as numbers of levels, and scale and offset of a run of values
 * within it. Everything else is written once: value = scale * level + offset, in float32 and in this order, which
 * is what the reference of every type here computes.
 *
 * Source: the layouts published with llama.cpp (ggml-common.h, gguf-py); OCP Microscaling 1.0 for MXFP4.
 */
#include "model/gguf.h"

#include <string.h>

#include "base/text.h"
#include "num/kernels.h"

#define VALUES_MAX 256

typedef struct block {
    qs_packed_kind kind;      /* first: a kind is its block */
    size_t values, bytes;
    void (*codes)(const unsigned char *b, uint8_t *q);                           /* (values) numbers of levels */
    void (*scale)(const unsigned char *b, size_t run, float *scale, float *offset); /* of run number `run` */
} block;

static float half_at(const unsigned char *b)
{
    float x;
    const uint16_t h = (uint16_t)(b[0] | b[1] << 8);
    qs_num()->f16(&h, 1, &x);
    return x;
}

/* ---- reading, for all of them ----------------------------------------------------------------- */
static const block *block_of(const qs_packed *p) { return (const block *)(const void *)p->kind; }

/* Values from .. to of the block at b. */
static void unpack(const block *k, const unsigned char *b, size_t from, size_t to, float *out)
{
    uint8_t q[VALUES_MAX];
    float scale, offset;
    k->codes(b, q);
    for (size_t i = from; i < to;) {
        size_t run = i / k->kind.run, end = (run + 1) * k->kind.run < to ? (run + 1) * k->kind.run : to;
        k->scale(b, run, &scale, &offset);
        if (k->kind.level)
            for (; i < end; i++) *out++ = scale * k->kind.level[q[i]] + offset;
        else
            for (; i < end; i++) *out++ = scale * (float)(k->kind.lowest + q[i]) + offset;
    }
}

static void read_blocks(const qs_packed *p, size_t start, size_t n, float *out)
{
    const block *k = block_of(p);
    while (n) {
        size_t from = start % k->values, m = k->values - from < n ? k->values - from : n;
        unpack(k, p->data + start / k->values * k->bytes, from, from + m, out);
        start += m;
        out += m;
        n -= m;
    }
}

static void grid_of_block(const qs_packed *p, size_t i, float *scale, float *offset)
{
    const block *k = block_of(p);
    k->scale(p->data + i / k->values * k->bytes, i % k->values / k->kind.run, scale, offset);
}

/* ---- layouts ---------------------------------------------------------------------------------- */
static void scale_first(const unsigned char *b, size_t run, float *scale, float *offset) /* f16, then the codes */
{
    (void)run;
    *scale = half_at(b);
    *offset = 0;
}

/* 32 codes of 4 bits: the low halves of 16 bytes, then the high ones. */
static void nibbles(const unsigned char *b, uint8_t *q)
{
    for (int i = 0; i < 16; i++) {
        q[i] = b[i] & 15;
        q[i + 16] = b[i] >> 4;
    }
}

static void codes_q4_0(const unsigned char *b, uint8_t *q) { nibbles(b + 2, q); }

static void codes_q8_0(const unsigned char *b, uint8_t *q)
{
    for (int i = 0; i < 32; i++) q[i] = b[2 + i] ^ 0x80; /* -128 is level 0 */
}

/* ---- the table -------------------------------------------------------------------------------- */
#define KIND(name, doc, bits, run, levels, lowest, level) \
    {name, doc, bits, run, levels, lowest, level, read_blocks, grid_of_block, NULL}

static const block
    q4_0 = {KIND("Q4_0", N_("32 codes of 4 bits, -8..7, with an f16 scale"), 4, 32, 16, -8, NULL),
            32, 18, codes_q4_0, scale_first},
    q8_0 = {KIND("Q8_0", N_("32 codes of 8 bits with an f16 scale"), 8, 32, 256, -128, NULL),
            32, 34, codes_q8_0, scale_first};

static const qs_gguf_type types[] = {
    [0] = {"F32", 1, 4, QS_F32, NULL},
    [1] = {"F16", 1, 2, QS_F16, NULL},
    [2] = {"Q4_0", 32, 18, QS_PACKED, &q4_0.kind},
    [3] = {"Q4_1", 32, 20, QS_UNKNOWN_DTYPE, NULL},
    [6] = {"Q5_0", 32, 22, QS_UNKNOWN_DTYPE, NULL},
    [7] = {"Q5_1", 32, 24, QS_UNKNOWN_DTYPE, NULL},
    [8] = {"Q8_0", 32, 34, QS_PACKED, &q8_0.kind},
    [9] = {"Q8_1", 32, 36, QS_UNKNOWN_DTYPE, NULL},
    [10] = {"Q2_K", 256, 84, QS_UNKNOWN_DTYPE, NULL},
    [11] = {"Q3_K", 256, 110, QS_UNKNOWN_DTYPE, NULL},
    [12] = {"Q4_K", 256, 144, QS_UNKNOWN_DTYPE, NULL},
    [13] = {"Q5_K", 256, 176, QS_UNKNOWN_DTYPE, NULL},
    [14] = {"Q6_K", 256, 210, QS_UNKNOWN_DTYPE, NULL},
    [15] = {"Q8_K", 256, 292, QS_UNKNOWN_DTYPE, NULL},
    [16] = {"IQ2_XXS", 256, 66, QS_UNKNOWN_DTYPE, NULL},
    [17] = {"IQ2_XS", 256, 74, QS_UNKNOWN_DTYPE, NULL},
    [18] = {"IQ3_XXS", 256, 98, QS_UNKNOWN_DTYPE, NULL},
    [19] = {"IQ1_S", 256, 50, QS_UNKNOWN_DTYPE, NULL},
    [20] = {"IQ4_NL", 32, 18, QS_UNKNOWN_DTYPE, NULL},
    [21] = {"IQ3_S", 256, 110, QS_UNKNOWN_DTYPE, NULL},
    [22] = {"IQ2_S", 256, 82, QS_UNKNOWN_DTYPE, NULL},
    [23] = {"IQ4_XS", 256, 136, QS_UNKNOWN_DTYPE, NULL},
    [24] = {"I8", 1, 1, QS_I8, NULL},
    [25] = {"I16", 1, 2, QS_I16, NULL},
    [26] = {"I32", 1, 4, QS_I32, NULL},
    [27] = {"I64", 1, 8, QS_I64, NULL},
    [28] = {"F64", 1, 8, QS_F64, NULL},
    [29] = {"IQ1_M", 256, 56, QS_UNKNOWN_DTYPE, NULL},
    [30] = {"BF16", 1, 2, QS_BF16, NULL},
    [34] = {"TQ1_0", 256, 54, QS_UNKNOWN_DTYPE, NULL},
    [35] = {"TQ2_0", 256, 66, QS_UNKNOWN_DTYPE, NULL},
    [39] = {"MXFP4", 32, 17, QS_UNKNOWN_DTYPE, NULL},
    [40] = {"NVFP4", 64, 36, QS_UNKNOWN_DTYPE, NULL},
};

const qs_gguf_type *qs_gguf_type_of(uint32_t number)
{
    return number < sizeof types / sizeof *types && types[number].name ? &types[number] : NULL;
}
