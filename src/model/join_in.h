/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_MODEL_JOIN_IN_H
#define QS_MODEL_JOIN_IN_H
/*
 * What join.c (goes over a model) and join_schemes.c (how programs name and shape their parts) share. Within these two only.
 */
#include "model/joined.h"

enum { CODES = QS_JOINED_CODES, SCALE = QS_JOINED_SCALE, ZERO = QS_JOINED_ZERO, EXTRA = QS_JOINED_EXTRA };

/* What was found for one weight, and what it makes. */
typedef struct qs_found {
    qs_model *m;
    qs_tensor *part[4];        /* borrowed from the model */
    qs_tensor *also;           /* goes with them, and is not read later */
    char *stem;
    const qs_told *told;       /* what the reader knows, or NULL */
    qs_joined j;
    int ndim;
    int64_t shape[QS_MAXDIM];
    bool blocks;               /* CODES have scales of their own: qs_scaled_tensor */
    char why[160];             /* it does not fit */
} qs_found;

/* f->why is that; false. */
__attribute__((format(printf, 2, 3))) bool qs_join_no(qs_found *f, const char *fmt, ...);
bool qs_join_no_shape(qs_found *f, const qs_tensor *t);
bool qs_join_is_scale(const qs_tensor *t);

/* A way to keep codes and scales, in the order they are tried. */
typedef struct qs_join_rule {
    const char *scheme;
    const char *ending[4];     /* of codes, scale, zero point, extra; "": none. Codes and scale must be there */
    const char *joined;        /* the ending of the one tensor */
    bool (*fit)(qs_found *f);  /* false with f->why: it does not fit; false without: these are no codes */
    bool powers;               /* scales are bytes, else floats */
} qs_join_rule;
extern const qs_join_rule qs_join_rules[];     /* at most 64, the last without a scheme */
/* Of what an ONNX node tells; they have no names to look for. */
extern const qs_join_rule qs_join_onnx, qs_join_onnx_bits;

#endif
