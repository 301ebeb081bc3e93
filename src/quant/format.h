/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_QUANT_FORMAT_H
#define QS_QUANT_FORMAT_H
/*
 * A format says which values can be represented: a sorted codebook under an
 * affine map, and how finely that map is chosen.
 *
 *     format := base {":" flag} ["+offset" | "+zp"] ["@" granularity]
 *     base   := intB (2..8, 16) | uintB (1..8, 16) | potB | apotB | uapotB | nf4 | fp4 | fp8e4m3 | fp8e5m2
 *             | codebook(c;c;...)
 *     flag   := narrow | away | flip | scale=f16 | scale=e8m0 | scale=e4m3
 *     granularity := tensor | channel | channelN | groupN
 *
 * scale= is for @groupN: steps (and real offsets, f16 only) are numbers of that type (scale.h). Whole block formats have
 * names: q4_0 is int4:flip:scale=f16@group32. Names are read, what they stand for is written.
 *
 * To add a format: one row in the table of format.c, one builder in codebook.c.
 */
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "model/tensor.h"
#include "quant/scale.h"

typedef enum qs_offset_kind { QS_OFFSET_NONE, QS_OFFSET_REAL, QS_OFFSET_ZP } qs_offset_kind;

typedef struct qs_format {
    char text[128];          /* canonical; long codebooks are cut here, qs_format_print gives all */
    const char *base;        /* "int", "uint", "pot", "apot", "uapot", "nf4", "fp4", "fp8e4m3", "fp8e5m2", "codebook" */
    int bits;                /* bits of a code: ceil(log2 levels) for codebook() */
    bool narrow, away, flip;
    bool is_signed;          /* has levels below 0 */
    bool uniform;            /* levels are consecutive integers: the fast kernels apply */
    int qn, qp;              /* uniform: levels -qn .. qp */
    qs_offset_kind offset;
    qs_scale scale;          /* what steps are kept in */
    qs_split_kind gran;
    int axis;                /* @channelN: N; @channel: -1 */
    size_t group;            /* @groupN */
    size_t n;                /* levels, 1 .. 65536 */
    float *c;                /* (n) the codebook, strictly ascending, units of the step */
    float *t;                /* (n-1) thresholds: midpoints */
    unsigned char *up;       /* (n-1) a value on the threshold goes to the upper level. Default: to the level of even
                                rank counted from the level nearest zero; away: outward */
    double cmax;             /* max |c|: clip = step * cmax; Qp of the gradient scale is max c */
    size_t zero;             /* rank of the level nearest zero */
} qs_format;

/* NULL and EFORMAT for a string outside the grammar, EUNSUP for what the literature does not define (apot1, apot8);
 * the message says what was expected where. */
qs_format *qs_format_parse(const char *text, qs_err *err);
/* With levels of our own; c need not be sorted; duplicates are merged. EARG: n < 1, not finite. */
qs_format *qs_format_codebook(const double *c, size_t n, qs_err *err);
qs_format *qs_format_copy(const qs_format *f);
void qs_format_free(qs_format *f);
/* The whole canonical string, malloc'd. parse(print(f)) is f. */
char *qs_format_print(const qs_format *f);
/* The name that a canonical text goes by elsewhere (q4_0), else the text itself. For tables that people read. */
const char *qs_format_name(const char *text);
/* The split this format asks for on t. */
int qs_format_split(const qs_format *f, const qs_tensor *t, qs_split *out, qs_err *err);
/* Bits a weight with scales (steps and offsets of 32 bits or as scale= has it, b-bit zero points), for a tensor; without
 * one: f->bits. */
double qs_format_bpw(const qs_format *f, const qs_tensor *t);
/* Another number of bits, same kind ("int4@channel", +1 -> "int5@channel"); NULL and ERANGE at the ends. */
qs_format *qs_format_bits(const qs_format *f, int bits, qs_err *err);
/* The same for one channel of a tensor whose channels differ (allot.h): 0 .. 8 bits, so also what the grammar has no name
 * for: no bits are the level 0, one bit with a sign is -1 and 1. NULL and EUNSUP: not an intB or uintB of up to 8 bits. */
qs_format *qs_format_channel(const qs_format *f, int bits, qs_err *err);

/* name and one line, for qs.formats(), help and completion. NULL name ends it. */
typedef struct qs_doc { const char *name, *doc; } qs_doc;
extern const qs_doc qs_format_docs[];

#endif
