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

#include <math.h>

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

/* ---- blocks of 32 ----------------------------------------------------------------------------- */
static void scale_first(const unsigned char *b, size_t run, float *scale, float *offset) /* f16, then the codes */
{
    (void)run;
    *scale = half_at(b);
    *offset = 0;
}

static void scale_and_offset(const unsigned char *b, size_t run, float *scale, float *offset)
{
    (void)run;
    *scale = half_at(b);
    *offset = half_at(b + 2);
}

/* 2n codes of 4 bits: the low halves of n bytes, then the high ones. */
static void nibbles(const unsigned char *b, int n, uint8_t *q)
{
    for (int i = 0; i < n; i++) {
        q[i] = b[i] & 15;
        q[i + n] = b[i] >> 4;
    }
}

/* Bit i of four bytes is the fifth of code i. */
static void fifth_bits(const unsigned char *b, uint8_t *q)
{
    for (int i = 0; i < 32; i++) q[i] |= (uint8_t)((b[i / 8] >> i % 8 & 1) << 4);
}

static void codes_q4_0(const unsigned char *b, uint8_t *q) { nibbles(b + 2, 16, q); }
static void codes_q4_1(const unsigned char *b, uint8_t *q) { nibbles(b + 4, 16, q); }

static void codes_q5_0(const unsigned char *b, uint8_t *q)
{
    nibbles(b + 6, 16, q);
    fifth_bits(b + 2, q);
}

static void codes_q5_1(const unsigned char *b, uint8_t *q)
{
    nibbles(b + 8, 16, q);
    fifth_bits(b + 4, q);
}

static void codes_q8_0(const unsigned char *b, uint8_t *q)
{
    for (int i = 0; i < 32; i++) q[i] = b[2 + i] ^ 0x80; /* -128 is level 0 */
}

/* ---- 4-bit floats ------------------------------------------------------------------------------- */
/* The 15 values of E2M1, and which of them a code is: bit 3 is the sign, so 0 and 8 are both zero. */
static const float e2m1[] = {-6, -4, -3, -2, -1.5f, -1, -0.5f, 0, 0.5f, 1, 1.5f, 2, 3, 4, 6};

static void levels_of_e2m1(uint8_t *q, int n)
{
    for (int i = 0; i < n; i++) q[i] = (uint8_t)(q[i] & 8 ? 7 - (q[i] & 7) : 7 + q[i]);
}

static void codes_mxfp4(const unsigned char *b, uint8_t *q)
{
    nibbles(b + 1, 16, q);
    levels_of_e2m1(q, 32);
}

static void scale_e8m0(const unsigned char *b, size_t run, float *scale, float *offset)
{
    (void)run;
    *scale = *b == 255 ? NAN : ldexpf(1, *b - 127);
    *offset = 0;
}

/* Four runs of 16, each with a scale that is an E4M3 float without a sign; 8 bytes of codes a run. */
static void codes_nvfp4(const unsigned char *b, uint8_t *q)
{
    for (int run = 0; run < 4; run++) nibbles(b + 4 + 8 * run, 8, q + 16 * run);
    levels_of_e2m1(q, 64);
}

static void scale_e4m3(const unsigned char *b, size_t run, float *scale, float *offset)
{
    int e = b[run] >> 3 & 15, m = b[run] & 7;
    *scale = (b[run] & 127) == 127 ? NAN : e ? ldexpf(8 + (float)m, e - 10) : ldexpf((float)m, -9);
    *offset = 0;
}

/* ---- super-blocks of 256 ------------------------------------------------------------------------ */
/* Codes of 2 bits: each half of 128 values takes 32 bytes, whose lowest pairs come first. */
static void pairs(const unsigned char *b, uint8_t *q)
{
    for (int i = 0; i < 256; i++) q[i] = b[i / 128 * 32 + i % 32] >> i % 128 / 32 * 2 & 3;
}

/* Codes of 4 bits in strips of 64 values: 32 bytes, the low halves first. */
static void strips(const unsigned char *b, uint8_t *q)
{
    for (int i = 0; i < 4; i++) nibbles(b + 32 * i, 32, q + 64 * i);
}

static void codes_q2_k(const unsigned char *b, uint8_t *q) { pairs(b + 16, q); }

/* A byte a run: scale and offset, 4 bits each, times two halves at the end. */
static void scale_q2_k(const unsigned char *b, size_t run, float *scale, float *offset)
{
    *scale = half_at(b + 80) * (float)(b[run] & 15);
    *offset = -(half_at(b + 82) * (float)(b[run] >> 4));
}

/* The third bits lie in 32 bytes before: one bit a byte for each stretch of 32 values. */
static void codes_q3_k(const unsigned char *b, uint8_t *q)
{
    pairs(b + 32, q);
    for (int i = 0; i < 256; i++) q[i] |= (uint8_t)((b[i % 32] >> i / 32 & 1) << 2);
}

/* 16 scales of 6 bits, 32 meaning zero: low halves in 8 bytes, upper pairs in the 4 bytes behind them. */
static void scale_q3_k(const unsigned char *b, size_t run, float *scale, float *offset)
{
    const unsigned char *s = b + 96;
    int low = s[run % 8] >> run / 8 * 4 & 15, high = s[8 + run % 4] >> run / 4 * 2 & 3;
    *scale = half_at(b + 108) * (float)((low | high << 4) - 32);
    *offset = 0;
}

/*
 * 8 scales and 8 offsets of 6 bits in 12 bytes: those of the first four runs are the low 6 bits of a byte each, of
 * the others 4 bits lie in the last four bytes and 2 above the first eight. Q4_K and Q5_K.
 */
static void scale_6_bits(const unsigned char *b, size_t run, float *scale, float *offset)
{
    const unsigned char *s = b + 4;
    int d = run < 4 ? s[run] & 63 : (s[run + 4] & 15) | s[run - 4] >> 6 << 4;
    int m = run < 4 ? s[run + 4] & 63 : s[run + 4] >> 4 | s[run] >> 6 << 4;
    *scale = half_at(b) * (float)d;
    *offset = -(half_at(b + 2) * (float)m);
}

static void codes_q4_k(const unsigned char *b, uint8_t *q) { strips(b + 16, q); }

static void codes_q5_k(const unsigned char *b, uint8_t *q)
{
    strips(b + 48, q);
    for (int i = 0; i < 256; i++) q[i] |= (uint8_t)((b[16 + i % 32] >> i / 32 & 1) << 4);
}

/* Each half: 64 bytes with the lower 4 bits of 128 values, 32 with the upper pairs. */
static void codes_q6_k(const unsigned char *b, uint8_t *q)
{
    for (int half = 0; half < 2; half++) {
        nibbles(b + 64 * half, 64, q + 128 * half);
        for (int i = 0; i < 128; i++)
            q[128 * half + i] |= (uint8_t)((b[128 + 32 * half + i % 32] >> i / 32 * 2 & 3) << 4);
    }
}

static void scale_q6_k(const unsigned char *b, size_t run, float *scale, float *offset)
{
    *scale = half_at(b + 208) * (float)(int8_t)b[192 + run];
    *offset = 0;
}

/* ---- levels that are not equally far apart --------------------------------------------------------- */
static const float iq4[] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

static void codes_iq4_xs(const unsigned char *b, uint8_t *q)
{
    for (int i = 0; i < 8; i++) nibbles(b + 8 + 16 * i, 16, q + 32 * i);
}

/* 8 scales of 6 bits, 32 meaning zero: upper pairs in two bytes, low halves in the four behind. */
static void scale_iq4_xs(const unsigned char *b, size_t run, float *scale, float *offset)
{
    int high = (b[2] | b[3] << 8) >> 2 * run & 3, low = b[4 + run / 2] >> run % 2 * 4 & 15;
    *scale = half_at(b) * (float)((low | high << 4) - 32);
    *offset = 0;
}

/* ---- the table -------------------------------------------------------------------------------- */
#define KIND(name, doc, bits, run, levels, lowest, level) \
    {name, doc, bits, run, levels, lowest, level, read_blocks, grid_of_block, NULL}

static const block
    q4_0 = {KIND("Q4_0", N_("32 codes of 4 bits, -8..7, with a half-precision scale"), 4, 32, 16, -8, NULL),
            32, 18, codes_q4_0, scale_first},
    q4_1 = {KIND("Q4_1", N_("32 codes of 4 bits with scale and offset in half precision"), 4, 32, 16, 0, NULL),
            32, 20, codes_q4_1, scale_and_offset},
    q5_0 = {KIND("Q5_0", N_("32 codes of 5 bits, -16..15, with a half-precision scale"), 5, 32, 32, -16, NULL),
            32, 22, codes_q5_0, scale_first},
    q5_1 = {KIND("Q5_1", N_("32 codes of 5 bits with scale and offset in half precision"), 5, 32, 32, 0, NULL),
            32, 24, codes_q5_1, scale_and_offset},
    q8_0 = {KIND("Q8_0", N_("32 codes of 8 bits with a half-precision scale"), 8, 32, 256, -128, NULL),
            32, 34, codes_q8_0, scale_first},
    q2_k = {KIND("Q2_K", N_("16 times 16 codes of 2 bits; scales and offsets of 4 bits"), 2, 16, 4, 0, NULL),
            256, 84, codes_q2_k, scale_q2_k},
    q3_k = {KIND("Q3_K", N_("16 times 16 codes of 3 bits, -4..3; scales of 6 bits"), 3, 16, 8, -4, NULL),
            256, 110, codes_q3_k, scale_q3_k},
    q4_k = {KIND("Q4_K", N_("8 times 32 codes of 4 bits; scales and offsets of 6 bits"), 4, 32, 16, 0, NULL),
            256, 144, codes_q4_k, scale_6_bits},
    q5_k = {KIND("Q5_K", N_("8 times 32 codes of 5 bits; scales and offsets of 6 bits"), 5, 32, 32, 0, NULL),
            256, 176, codes_q5_k, scale_6_bits},
    q6_k = {KIND("Q6_K", N_("16 times 16 codes of 6 bits, -32..31; scales of 8 bits"), 6, 16, 64, -32, NULL),
            256, 210, codes_q6_k, scale_q6_k},
    iq4_nl = {KIND("IQ4_NL", N_("32 codes of 4 bits for 16 unequal levels, with a half-precision scale"), 4, 32, 16, 0, iq4),
              32, 18, codes_q4_0, scale_first},
    iq4_xs = {KIND("IQ4_XS", N_("8 times 32 codes for the levels of IQ4_NL; scales of 6 bits"), 4, 32, 16, 0, iq4),
              256, 136, codes_iq4_xs, scale_iq4_xs},
    mxfp4 = {KIND("MXFP4", N_("32 floats of 4 bits (E2M1) with a power of two as scale (OCP)"), 4, 32, 15, 0, e2m1),
             32, 17, codes_mxfp4, scale_e8m0},
    nvfp4 = {KIND("NVFP4", N_("4 times 16 floats of 4 bits (E2M1) with an E4M3 float as scale"), 4, 16, 15, 0, e2m1),
             64, 36, codes_nvfp4, scale_e4m3};

#define PLAIN(dtype, size) {#dtype, 1, size, QS_##dtype, NULL}
#define BLOCKS(name, values, bytes, of) {name, values, bytes, QS_PACKED, &of.kind}
#define LISTED(name, values, bytes) {name, values, bytes, QS_UNKNOWN_DTYPE, NULL}

/* By the numbers files use; the gaps are types that were taken back. */
static const qs_gguf_type types[] = {
    [0] = PLAIN(F32, 4),
    [1] = PLAIN(F16, 2),
    [2] = BLOCKS("Q4_0", 32, 18, q4_0),
    [3] = BLOCKS("Q4_1", 32, 20, q4_1),
    [6] = BLOCKS("Q5_0", 32, 22, q5_0),
    [7] = BLOCKS("Q5_1", 32, 24, q5_1),
    [8] = BLOCKS("Q8_0", 32, 34, q8_0),
    [9] = LISTED("Q8_1", 32, 36),
    [10] = BLOCKS("Q2_K", 256, 84, q2_k),
    [11] = BLOCKS("Q3_K", 256, 110, q3_k),
    [12] = BLOCKS("Q4_K", 256, 144, q4_k),
    [13] = BLOCKS("Q5_K", 256, 176, q5_k),
    [14] = BLOCKS("Q6_K", 256, 210, q6_k),
    [15] = LISTED("Q8_K", 256, 292),
    [16] = LISTED("IQ2_XXS", 256, 66),
    [17] = LISTED("IQ2_XS", 256, 74),
    [18] = LISTED("IQ3_XXS", 256, 98),
    [19] = LISTED("IQ1_S", 256, 50),
    [20] = BLOCKS("IQ4_NL", 32, 18, iq4_nl),
    [21] = LISTED("IQ3_S", 256, 110),
    [22] = LISTED("IQ2_S", 256, 82),
    [23] = BLOCKS("IQ4_XS", 256, 136, iq4_xs),
    [24] = PLAIN(I8, 1),
    [25] = PLAIN(I16, 2),
    [26] = PLAIN(I32, 4),
    [27] = PLAIN(I64, 8),
    [28] = PLAIN(F64, 8),
    [29] = LISTED("IQ1_M", 256, 56),
    [30] = PLAIN(BF16, 2),
    [34] = LISTED("TQ1_0", 256, 54),
    [35] = LISTED("TQ2_0", 256, 66),
    [39] = BLOCKS("MXFP4", 32, 17, mxfp4),
    [40] = BLOCKS("NVFP4", 64, 36, nvfp4),
};

const qs_gguf_type *qs_gguf_type_of(uint32_t number)
{
    return number < sizeof types / sizeof *types && types[number].name ? &types[number] : NULL;
}
