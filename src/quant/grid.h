/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_QUANT_GRID_H
#define QS_QUANT_GRID_H
/*
 * What the files of quant share about grids beyond quantizer.h, and train's sites use.
 */
#include "num/kernels.h"
#include "quant/error.h"

/* The grid of a format at any step and offset, without levels; qs_grid_levels adds them (again after s or beta
 * changed). qs_grid_clear frees. */
void qs_grid_at(qs_grid *g, const qs_format *f, double step, double offset);
void qs_grid_levels(qs_grid *g);
/* Of a part of a quantizer, without levels. */
void qs_grid_part(qs_grid *g, const qs_quantizer *q, size_t part);
/* Decisions by another step and offset than those of the levels, as ggml makes them. */
void qs_grid_pick(qs_grid *g, float step, float offset);
/* y = gain y + shift. */
void qs_correct(float gain, float shift, float *y, size_t n);
/* The same without allocation: room, qs_grid_room bytes (0 where the format needs none), holds the codebook where zp or
 * flip change it, and outlives the grid. Nothing to clear. */
size_t qs_grid_room(const qs_format *f);
void qs_grid_place(qs_grid *g, const qs_format *f, double step, double offset, void *room);
/* Ranks of the levels, 0 .. n-1 ascending in x; NaN: 0. */
void qs_grid_rank(const qs_grid *g, const float *x, size_t n, int32_t *rank);
/* Of a uniform grid whose levels, as numbers or their low bytes, fit in a byte: those; false: a NaN was among x. */
bool qs_grid_byte(const qs_grid *g, const float *x, size_t n, uint8_t *code);
/* The rule of qs_quantizer_grad as numbers for the kernels: same gradients, same masks. QS_LEARN_NONE: sums are 0. */
void qs_grid_rule(const qs_grid *g, qs_learn learn, qs_mask mask, qs_fqrule *r);
/* grad: dL/dQ(x), becomes dL/dx; out: sums for step and offset, unscaled. A mirrored step's gradient is -out->step. */
void qs_grid_grad(const qs_grid *g, const float *x, size_t n, const qs_fqrule *r, float *grad, qs_fqsums *out);
/* 1/sqrt(n Qp), Qp the highest level. */
double qs_grad_scale(const qs_format *f, double n);
/* The smallest float32 x with fl(fl(x - beta)/s) > t, or >= t where up; infinity if there is none. */
float qs_cut(float s, float beta, float t, bool up);

/* The zero points a format has: integers lo .. hi. */
void qs_format_zp_range(const qs_format *f, double *lo, double *hi);
/* The split of q's format on t; EARG where the number of parts differs. */
int qs_quantizer_fits(const qs_quantizer *q, const qs_tensor *t, qs_split *split, qs_err *err);

/* The n+1 edges of a grid, ascending: the lowest level, the n-1 cuts, just above the highest level. */
void qs_grid_edges(const qs_grid *g, float *v);
/* Sums of squared errors from an index, in their two parts. v, at: room for n+1; at: sums below every edge. */
void qs_grid_squares(const qs_grid *g, const qs_index *ix, float *v, qs_sums *at, double *clip, double *round);
/* Only the mean squared error (g with levels), as qs_error_index gives it; clipped: fraction, or NULL. */
double qs_error_mse(const qs_grid *g, const qs_index *ix, double *clipped);

#endif
