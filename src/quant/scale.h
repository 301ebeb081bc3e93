/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_QUANT_SCALE_H
#define QS_QUANT_SCALE_H
/*
 * Block formats keep their scales in small numbers: half precision (GGUF), a
 * power of two (OCP MX), an 8-bit float times one float32 of the tensor
 * (NVFP4). A step of such a format is one that can be kept, always.
 *
 * The float32 of the tensor is the `unit` here: E4M3's is max|x| / (448 max|c|),
 * so that the largest block's largest value reaches the outermost level;
 * that of all others is 1.
 */
#include <stddef.h>

typedef enum qs_scale { QS_SCALE_F32, QS_SCALE_F16, QS_SCALE_E8M0, QS_SCALE_E4M3, QS_SCALES } qs_scale;

typedef struct qs_scale_type {
    const char *name;     /* "f16"; as in ":scale=f16" */
    int bits;
    int mantissa;         /* bits behind the point */
    int least_exponent;   /* of normal numbers */
    double most;          /* the largest; the smallest is 2^(least_exponent - mantissa) */
} qs_scale_type;
extern const qs_scale_type qs_scale_types[QS_SCALES];

/* The float32 whose multiples E4M3 scales are, for a tensor with this largest magnitude; 1 for other types and where
 * there is none. cmax: of the format. */
double qs_scale_unit(qs_scale type, double absmax, double cmax);
/* The scale nearest |s| (ties to even) with the sign of s; never 0, held at the ends of the type. s finite, not 0. */
double qs_scale_near(qs_scale type, double unit, double s);
/* The neighbours of s: the largest scale not above |s|, the smallest not below, both with the sign of s. */
void qs_scale_around(qs_scale type, double unit, double s, double *below, double *above);
/* The same for an offset, which may be 0: nearest. */
double qs_scale_offset(qs_scale type, double beta);

#endif
