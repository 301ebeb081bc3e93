/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_NUM_FFT_H
#define QS_NUM_FFT_H
/*
 * The only room with FFTW in it: cached plans (FFTW_ESTIMATE, so results repeat)
 * behind one mutex; executing is free of locks. n is a power of two, 2 .. 2^24.
 */
#include <stddef.h>

#include "base/err.h"

/* Memory aligned as FFTW likes it; n doubles. Free with qs_fft_free. */
double *qs_fft_alloc(size_t n);
void qs_fft_free(double *p);

/* re: n reals -> (n/2+1) complex pairs in cx (n+2 doubles). Out of place. */
int qs_fft_forward(size_t n, double *re, double *cx, qs_err *err);
/* The inverse, not scaled (n times too large); cx is overwritten. */
int qs_fft_inverse(size_t n, double *cx, double *re, qs_err *err);

#endif
