/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_TRAIN_SITE_IN_H
#define QS_TRAIN_SITE_IN_H
/*
 * The inside of a site, shared by site.c (parameters, forward, backward), site_correct.c (mean and deviation given back),
 * site_fit.c (finding parameters) and site_look.c (what a record keeps). Private to train.
 */
#include "num/kernels.h"
#include "quant/grid.h"
#include "train/site.h"

#define SPAN 1024                       /* values of a span that pass through a buffer */
#define ACT_AXIS 3                      /* activations are (n, h, w, c) */

struct qs_site_work {
    qs_grid *grid;             /* (parts) */
    qs_fqrule *rule;           /* (parts) */
    double *z;                 /* (parts) zero points; 0 without */
    float *col[8];             /* (parts) each, or NULL: s, beta, lo, hi, then the rule, for channels last and uniform */
    unsigned char *room;       /* (parts, each) codebooks that zp and flip change */
    size_t each;
    double *sum;               /* (pieces, stride) steps of the parts, their offsets, then g Q(y) of all */
    size_t pieces, stride;
    double *edge;              /* (parts) for medians */
    double *fresh;             /* (2 parts) steps and offsets on their way to the site */
    uint32_t *count;           /* (f->n) */
    double scale;              /* of the step's gradient */
    qs_format *by_bits[9];     /* of 0 .. 8 bits, where they are allocated */
};

/* x: n values of one part, normalized where the site normalizes; io: 32-bit cells beside them, or NULL. */
typedef void span_fn(const qs_site *s, size_t part, const float *x, size_t n, void *io, void *ctx);

struct spans {
    const qs_site *s;
    span_fn *fn;
    void *ctx;
    bool reads;                /* fn reads io, not only writes it */
};

/* Runs fn over the values start .. start+n-1 at x, in spans of one part each; io: (n) cells, or NULL. */
void site_each_span(const struct spans *k, const float *x, size_t start, size_t n, void *io);
/* y: n weights in deviations from their mean. */
void site_normalize(const qs_site *s, const float *w, size_t n, float *y);
/* Forward without correction. */
void site_plain_forward(const qs_site *s, const float *x, size_t start, size_t n, float *out);
/* Gain and shift of every channel: Q(w) gets the deviation of w, then its mean. */
void site_find_correction(qs_site *s, const float *w);
/* Elements start .. start+n-1, y: gain y + shift of their channels; shift NULL: 0. */
void site_correct(const qs_site *s, size_t start, size_t n, const float *shift, float *y);
/* The levels an init found (f, owned now) take the place of the format's. */
void site_take_format(qs_site *s, qs_format *f);

#endif
