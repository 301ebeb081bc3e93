/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Transforms: against the sum that defines them, there and back, linear, bad lengths refused. */
#include <stdint.h>
#include <stdlib.h>

#include "base/rng.h"
#include "base/sync.h"
#include "num/fft.h"
#include "../tap.h"

static void against_definition(size_t n)
{
    double *x = qs_fft_alloc(n), *c = qs_fft_alloc(n + 2), worst = 0;
    qs_rng r;
    qs_rng_seed(&r, n);
    for (size_t i = 0; i < n; i++) x[i] = qs_rng_normal(&r);
    ok(!qs_fft_forward(n, x, c, NULL), "forward %zu", n);
    for (size_t k = 0; k <= n / 2; k++) {
        double re = 0, im = 0;
        for (size_t i = 0; i < n; i++) {
            double a = -2 * M_PI * (double)(i * k % n) / (double)n;
            re += x[i] * cos(a);
            im += x[i] * sin(a);
        }
        worst = fmax(worst, hypot(re - c[2 * k], im - c[2 * k + 1]));
    }
    ok(worst < 1e-13 * (double)n, "length %zu: the sum that defines it, to %g", n, worst);
    double *y = qs_fft_alloc(n);
    ok(!qs_fft_inverse(n, c, y, NULL), "inverse %zu", n);
    worst = 0;
    for (size_t i = 0; i < n; i++) worst = fmax(worst, fabs(y[i] / (double)n - x[i]));
    ok(worst < 1e-14 * (double)n, "length %zu: there and back, to %g", n, worst);
    qs_fft_free(x);
    qs_fft_free(y);
    qs_fft_free(c);
}

static _Atomic int wrong;

static void impulse(void *arg, size_t k)
{
    size_t n = (size_t)2 << k % 12;
    double *x = qs_fft_alloc(n), *c = qs_fft_alloc(n + 2);
    (void)arg;
    for (size_t i = 0; i < n; i++) x[i] = i == 0;
    if (qs_fft_forward(n, x, c, NULL)) atomic_fetch_add(&wrong, 1);
    for (size_t i = 0; i <= n / 2; i++)
        if (fabs(c[2 * i] - 1) > 1e-12 || fabs(c[2 * i + 1]) > 1e-12) atomic_fetch_add(&wrong, 1);
    qs_fft_free(x);
    qs_fft_free(c);
}

int main(void)
{
    qs_err e = {0};
    against_definition(2);
    against_definition(8);
    against_definition(512);
    qs_threads_set(3);
    qs_parallel(48, impulse, NULL);
    ok(!wrong, "an impulse has a flat spectrum, plans made from several threads");
    double *x = qs_fft_alloc(64), *c = qs_fft_alloc(66);
    ok(qs_fft_forward(3, x, c, &e) == -QS_EARG && strstr(e.msg, "3"), "a length that is no power of two is refused: %s", e.msg);
    ok(qs_fft_forward(1, x, c, &e) == -QS_EARG, "length 1 is refused");
    ok(qs_fft_inverse((size_t)1 << 25, c, x, &e) == -QS_EARG, "too long is refused");
    ok(qs_fft_forward(16, x + 1, c, &e) == -QS_EARG, "buffers that are not aligned are refused");
    ok(!qs_fft_alloc(SIZE_MAX / 4), "an impossible size is NULL");
    qs_fft_free(x);
    qs_fft_free(c);
    return done();
}
