/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Real Fourier transforms of power-of-two lengths. The only file that knows
 * FFTW. Plans are estimated, not measured, so that the same data gives the
 * same bits in every run; they are kept for the life of the program.
 */
#include "num/fft.h"

#include <fftw3.h>
#include <pthread.h>
#include <stdint.h>

#include "base/mem.h"
#include "base/text.h"

#define LOG_MAX 24

static fftw_plan plans[2][LOG_MAX + 1];   /* forward, inverse; by log2 n */
static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;

double *qs_fft_alloc(size_t n)
{
    size_t bytes;
    return qs_mul(n, sizeof(double), &bytes) ? fftw_malloc(bytes ? bytes : sizeof(double)) : NULL;
}

void qs_fft_free(double *p) { fftw_free(p); }

/* FFTW's planner is not safe for threads: with mu held. */
static fftw_plan make(int log, int inverse)
{
    size_t n = (size_t)1 << log;
    double *re = qs_fft_alloc(n), *cx = qs_fft_alloc(n + 2);
    fftw_plan p = NULL;
    if (re && cx)
        p = inverse ? fftw_plan_dft_c2r_1d((int)n, (fftw_complex *)cx, re, FFTW_ESTIMATE)
                    : fftw_plan_dft_r2c_1d((int)n, re, (fftw_complex *)cx, FFTW_ESTIMATE);
    qs_fft_free(re);
    qs_fft_free(cx);
    return p;
}

static int plan_for(size_t n, const double *re, const double *cx, int inverse, fftw_plan *out, qs_err *err)
{
    if (n < 2 || n > (size_t)1 << LOG_MAX || (n & (n - 1)))
        return qs_fail(err, QS_EARG, _("transform length %zu is not a power of two from 2 to 2^%d"), n, LOG_MAX);
    if ((uintptr_t)re % 16 || (uintptr_t)cx % 16)
        return qs_fail(err, QS_EARG, _("transform buffers are not aligned; take them from qs_fft_alloc"));
    int log = __builtin_ctzl(n);
    pthread_mutex_lock(&mu);
    if (!plans[inverse][log]) plans[inverse][log] = make(log, inverse);
    *out = plans[inverse][log];
    pthread_mutex_unlock(&mu);
    return *out ? 0 : qs_fail(err, QS_ENOMEM, _("no memory for a transform of length %zu"), n);
}

int qs_fft_forward(size_t n, double *re, double *cx, qs_err *err)
{
    fftw_plan p;
    int rc = plan_for(n, re, cx, 0, &p, err);
    if (!rc) fftw_execute_dft_r2c(p, re, (fftw_complex *)cx);
    return rc;
}

int qs_fft_inverse(size_t n, double *cx, double *re, qs_err *err)
{
    fftw_plan p;
    int rc = plan_for(n, re, cx, 1, &p, err);
    if (!rc) fftw_execute_dft_c2r(p, (fftw_complex *)cx, re);
    return rc;
}
