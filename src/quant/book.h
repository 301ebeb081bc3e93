/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_QUANT_BOOK_H
#define QS_QUANT_BOOK_H
/*
 * Codebooks: how the levels of every base are made, and the one rule that
 * makes thresholds and ties out of levels. Private to quant.
 */
#include "quant/format.h"

/* Makes the levels of f->base (f->bits, f->narrow are set) into *c, malloc'd; returns how many. Any order, duplicates
 * allowed (qs_book_finish sorts). */
typedef size_t qs_book_fn(const qs_format *f, double **c);
qs_book_fn qs_book_int, qs_book_uint, qs_book_pot, qs_book_apot, qs_book_uapot, qs_book_nf4, qs_book_fp4,
    qs_book_fp8e4m3, qs_book_fp8e5m2;

/* Takes c (n) over: sorts, merges equal float32 values, and fills c, n, t, up, cmax, zero, is_signed of f. */
void qs_book_finish(qs_format *f, double *c, size_t n);

/*
 * Thresholds are midpoints in float32; a value on one goes up where up[k] is set: to the level of even rank counted
 * from the level nearest zero (of two equally near, the positive one), or outward. Fills t, up (n-1); returns that
 * level.
 */
size_t qs_book_thresholds(const float *c, size_t n, bool away, float *t, unsigned char *up);

/* The number of thresholds below u, ties by up: the rank of the nearest level. */
size_t qs_book_rank(const float *t, const unsigned char *up, size_t n, float u);

#endif
