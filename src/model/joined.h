/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_MODEL_JOINED_H
#define QS_MODEL_JOINED_H
/*
 * Codes, scales and zero points that are tensors of their own, as one tensor: value = scale * (level - zero) + offset.
 * join.c finds them and says how they belong together, joined.c reads. Within this room only.
 *
 * The values in C order are seen as [outer][axis][inner]; those that share a scale are a part. The part of value
 * (o, a, k) is o / outer_block * outer_step + a / axis_block * axis_step + k * inner_step, or with an order of the
 * inputs (g_idx) o * outer_step + order[a] * axis_step.
 */
#include "model/packed.h"
#include "model/reader.h"

enum { QS_JOINED_CODES, QS_JOINED_SCALE, QS_JOINED_ZERO, QS_JOINED_EXTRA };   /* part[]; ZERO and EXTRA may be NULL */

typedef enum qs_codes_layout {
    QS_CODES_PLAIN,     /* one an element: integers of any width, or floats that are levels themselves */
    QS_CODES_DOWN,      /* I32 words [axis * bits / 32, outer]: bits run along the axis within a column (GPTQ) */
    QS_CODES_ALONG,     /* I32 words [outer, axis * bits / 32]: bits run along the axis (compressed-tensors) */
    QS_CODES_AWQ,       /* I32 words [axis, outer / 8]: eight outputs a word, in AWQ's order */
    QS_CODES_BYTES      /* U8 [outer, row]: bits run along the axis from the low end, a row is whole blocks (MatMulNBits) */
} qs_codes_layout;

typedef enum qs_zero_layout {
    QS_ZERO_PLAIN,      /* numbers, one a part; a single one is for all */
    QS_ZERO_BITS,       /* I32 words [groups, outer * bits / 32], bits run along the outputs (GPTQ) */
    QS_ZERO_AWQ,        /* the same, eight outputs a word in AWQ's order */
    QS_ZERO_BYTES       /* U8 [outer, groups * bits / 8 rounded up]: bits run along the groups (MatMulNBits) */
} qs_zero_layout;

typedef enum qs_extra { QS_EXTRA_NONE, QS_EXTRA_ORDER, QS_EXTRA_OFFSET } qs_extra;

typedef struct qs_joined {
    const char *scheme;               /* "GPTQ" */
    char base[24];                    /* of the format's name: "uint4" */
    int bits;
    int lowest, levels;               /* of the codes, as integers; a codebook has level 0 .. levels-1 */
    float *level;                     /* (levels) ascending, owned; NULL: integers */
    bool book;                        /* codes are numbers of those levels */
    const qs_packed_kind *small;      /* QS_CODES_BYTES: codes are patterns of such numbers (bits.c); NULL: integers */
    size_t outer, axis, inner;
    size_t outer_block, axis_block, outer_step, axis_step, inner_step;
    qs_codes_layout codes;
    qs_zero_layout zeros;
    size_t row;                       /* QS_CODES_BYTES: bytes of a row */
    int zero_plus;                    /* added to every zero that is stored, and the zero where none is */
    qs_extra extra;
    double factor, divisor;           /* of every scale; divisor 0: none */
    bool powers;                      /* scales are U8: exponents of two, with 127 added (E8M0); 255 is NaN */
    int shift;                        /* added to every code as stored: -8 for unsigned nibbles that mean -8..7 */
    char granularity[32];             /* "channel", "group128": for the name of the format */
} qs_joined;

/*
 * A tensor of that name and shape. part: codes, scale, zero, extra as above, borrowed; j is copied (level taken over).
 * The caller has made sure that every element they are read at is there. bpw is counted from what is stored.
 */
qs_tensor *qs_joined_tensor(const char *name, int ndim, const int64_t *shape, const qs_joined *j, qs_tensor *const part[4],
                            qs_err *err);

/* Packed blocks times a scale (scaled.c): one number, or as many as the first axis is long. Both borrowed, neither empty. */
qs_tensor *qs_scaled_tensor(const char *name, qs_tensor *blocks, qs_tensor *scale, qs_err *err);

#endif
