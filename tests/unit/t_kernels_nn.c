/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Kernels of layers: every instruction set gives the bits of the scalar one,
 * which gives what the header says, written once more here as plain loops.
 */
#include <stdlib.h>

#include "base/rng.h"
#include "num/kernels.h"
#include "../tap.h"

#define MAX 4096
static float X[MAX], Y[MAX], G[MAX], A[MAX], B[MAX], S[MAX], T[MAX], U[MAX], arg_a[MAX], arg_b[MAX];
static double M[MAX], DA[2 * MAX], DB[2 * MAX];

static void fill(uint64_t seed)
{
    qs_rng r;
    qs_rng_seed(&r, seed);
    for (int i = 0; i < MAX; i++) {
        X[i] = (float)qs_rng_normal(&r);
        G[i] = (float)qs_rng_normal(&r);
        S[i] = (float)qs_rng_normal(&r);
        T[i] = (float)qs_rng_normal(&r);
        U[i] = (float)qs_rng_normal(&r);
        M[i] = qs_rng_normal(&r);
        Y[i] = i % 3 ? fabsf(X[i]) : 0;
        arg_a[i] = arg_b[i] = (float)(i % 4);
    }
}

static void wipe(void)
{
    for (int i = 0; i < MAX; i++) A[i] = B[i] = G[i];
    for (int i = 0; i < 2 * MAX; i++) DA[i] = DB[i] = 0.25 * i;
}

static bool floats_same(void) { return !memcmp(A, B, sizeof A); }
static bool sums_same(void) { return !memcmp(DA, DB, sizeof DA); }

/* One kernel on rows x c values with set k; results into v, sums into d. */
typedef void call(const qs_kernels *k, size_t rows, size_t c, float *v, double *d, float *arg);

static void do_bnsum(const qs_kernels *k, size_t r, size_t c, float *v, double *d, float *a) { (void)v, (void)a; k->bnsum(X, r, c, d, d + c); }
static void do_colsum(const qs_kernels *k, size_t r, size_t c, float *v, double *d, float *a) { (void)v, (void)a; k->colsum(X, r, c, d); }
static void do_bnapply(const qs_kernels *k, size_t r, size_t c, float *v, double *d, float *a) { (void)d, (void)a; k->bnapply(X, r, c, S, T, 0, 6, v); }
static void do_bngradsum(const qs_kernels *k, size_t r, size_t c, float *v, double *d, float *a)
{
    (void)v, (void)a;
    k->bngradsum(X, G, r, c, S, T, 0, INFINITY, M, d, d + c);
}
static void do_bngrad(const qs_kernels *k, size_t r, size_t c, float *v, double *d, float *a)
{
    (void)d, (void)a;
    k->bngrad(X, v, r, c, S, T, 0, 2, T, U, S, v);
}
static void do_clip(const qs_kernels *k, size_t r, size_t c, float *v, double *d, float *a) { (void)d, (void)a; k->clip(X, r * c, -0.5f, 1, v); }
static void do_clipgrad(const qs_kernels *k, size_t r, size_t c, float *v, double *d, float *a) { (void)d, (void)a; k->clipgrad(Y, r * c, 0, 1, v); }
static void do_add(const qs_kernels *k, size_t r, size_t c, float *v, double *d, float *a) { (void)d, (void)a; k->add(X, r * c, v); }
static void do_addclip(const qs_kernels *k, size_t r, size_t c, float *v, double *d, float *a) { (void)d, (void)a; k->addclip(X, Y, r * c, 0, INFINITY, v); }
static void do_maxrow(const qs_kernels *k, size_t r, size_t c, float *v, double *d, float *a) { (void)d; k->maxrow(X, r * c, 3, v, a); }
static void do_maxgrad(const qs_kernels *k, size_t r, size_t c, float *v, double *d, float *a) { (void)d; k->maxgrad(X, a, r * c, 2, v); }

/* Windows of 2 x 2: rows windows side by side. */
static void do_maxpool(const qs_kernels *k, size_t r, size_t c, float *v, double *d, float *a)
{
    (void)d;
    k->maxpool(X, 2 * r * c, c, 2, r, -0.5f, 1, v, a);
}
static void do_maxpoolgrad(const qs_kernels *k, size_t r, size_t c, float *v, double *d, float *a)
{
    (void)d;
    k->maxpoolgrad(Y, a, G, 2 * r * c, c, 2, r, 0, 1, v);
}

static const struct { const char *name; call *run; } kernels[] = {
    {"bnsum", do_bnsum}, {"colsum", do_colsum}, {"bnapply", do_bnapply}, {"bngradsum", do_bngradsum}, {"bngrad", do_bngrad},
    {"clip", do_clip}, {"clipgrad", do_clipgrad}, {"add", do_add}, {"addclip", do_addclip}, {"maxrow", do_maxrow},
    {"maxgrad", do_maxgrad}, {"maxpool", do_maxpool}, {"maxpoolgrad", do_maxpoolgrad},
};

static void compare(const qs_kernels *a, const qs_kernels *b)
{
    for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++) {
        int bad = 0;
        for (size_t c = 1; c < 70; c += TAP_THREADS_ONLY ? 17 : TAP_SANITIZED ? 3 : 1)
            for (size_t rows = 0; rows < 8; rows += 1 + c % 3) {
                fill(c);
                wipe();
                kernels[i].run(a, rows, c, A, DA, arg_a);
                kernels[i].run(b, rows, c, B, DB, arg_b);
                bad += !floats_same() || !sums_same() || memcmp(arg_a, arg_b, sizeof arg_a);
            }
        ok(!bad, "%s: %s gives the bits of %s (%d differences)", kernels[i].name, b->isa, a->isa, bad);
    }
}

/* Bytes: every output pixel and channel of images h x w x c, in the order of weights that the kernel wants. */
static void bytes(const qs_kernels *k, const qs_kernels *reference)
{
    static const struct { size_t h, w, c, kernel, stride, out; bool bias; } t[] = {
        {10, 10, 16, 3, 1, 16, false}, {6, 7, 3, 3, 1, 32, true}, {11, 9, 5, 5, 2, 48, true}, {8, 1, 4, 1, 1, 16, false},
        {9, 9, 64, 3, 2, 64, true}, {12, 4, 1, 2, 1, 80, false}};
    static uint8_t x[9 * 9 * 64 + 3];
    static int8_t w[3 * 192 * 64];
    static float a[8192], b[8192];
    qs_rng r;
    qs_rng_seed(&r, 7);
    for (size_t i = 0; i < sizeof x; i++) x[i] = (uint8_t)(i % 5 ? qs_rng_next(&r) : 255);
    for (size_t i = 0; i < sizeof w; i++) w[i] = (int8_t)(i % 7 ? (int)(qs_rng_next(&r) % 256) - 128 : -128);
    fill(5);
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        size_t pitch = t[i].w * t[i].c, run = (t[i].kernel * t[i].c + 3) / 4 * 4;
        qs_bytes s = {.rows = t[i].kernel, .run = run, .pitch = pitch, .down = t[i].stride * pitch, .along = t[i].stride * t[i].c,
                      .oh = (t[i].h - t[i].kernel) / t[i].stride + 1, .ow = (t[i].w - t[i].kernel) / t[i].stride + 1,
                      .out = t[i].out, .factor = S, .bias = t[i].bias ? T : NULL};
        size_t n = s.oh * s.ow * s.out;
        memset(b, 0, sizeof b);
        memset(a, 0, sizeof a);
        reference->convbyte(x, w, &s, a);
        if (k->convbyte) k->convbyte(x, w, &s, b);
        int64_t sum = 0;           /* the last pixel's last channel once more */
        const uint8_t *at = x + (s.oh - 1) * s.down + (s.ow - 1) * s.along;
        for (size_t row = 0; row < s.rows; row++)
            for (size_t j = 0; j < run; j++)
                sum += at[row * pitch + j] * w[((row * run + j) / 4 * s.out + s.out - 1) * 4 + j % 4];
        float want = (float)sum * S[s.out - 1];
        if (t[i].bias) want += T[s.out - 1];
        ok(n <= 8192 && (!k->convbyte || !memcmp(a, b, sizeof a)), "convbyte: %zu -> %zu channels, %s as %s", t[i].c, t[i].out,
           k->convbyte ? k->isa : "none", reference->isa);
        ok(a[n - 1] == want, "and the last of them is %g", (double)want);
    }
}

/* The meanings, in plain loops over 5 rows of 19 channels. */
#define R 5
#define C 19
static void meanings(const qs_kernels *k)
{
    double worst = 0;
    fill(1);
    wipe();
    memset(DA, 0, sizeof DA);
    k->bngradsum(X, G, R, C, S, T, 0, INFINITY, M, DA, DA + C);
    k->bnsum(X, R, C, DA + 2 * C, DA + 3 * C);
    for (size_t j = 0; j < C; j++) {
        double g = 0, gx = 0, s = 0, q = 0;
        for (size_t i = j; i < R * C; i += C) {
            double up = X[i] * S[j] + T[j] > 0 ? (double)G[i] : 0;
            g += up;
            gx += up * ((double)X[i] - M[j]);
            s += (double)X[i];
            q += (double)X[i] * (double)X[i];
        }
        worst = fmax(worst, fmax(fabs(g - DA[j]), fabs(gx - DA[C + j])));
        worst = fmax(worst, fmax(fabs(s - DA[2 * C + j]), fabs(q - DA[3 * C + j])));
    }
    ok(worst < 1e-12, "sums of channels (%g)", worst);
    k->bnapply(X, R, C, S, T, 0, 6, A);
    k->bngrad(X, G, R, C, S, T, 0, 2, T, U, S, B);
    int bad = 0;
    for (size_t i = 0; i < R * C; i++) {
        float v = X[i] * S[i % C] + T[i % C], up = v > 0 && v < 2 ? G[i] : 0;
        bad += A[i] != fminf(fmaxf(v, 0), 6);
        bad += fabsf(B[i] - (up * T[i % C] + (X[i] * U[i % C] + S[i % C]))) > 0;
    }
    ok(!bad, "normalization and its gradient, value by value");
    X[3] = NAN;
    k->clip(X, 20, 0, 6, A);
    ok(isnan(A[3]), "NaN passes through a ReLU: divergence is seen");
}

int main(void)
{
    static const char *const sets[] = {"avx2", "avx512"};
    const qs_kernels *scalar = qs_num_isa("scalar");
    for (int i = 0; i < 2; i++) {
        const qs_kernels *k = qs_num_isa(sets[i]);
        if (k) compare(scalar, k);
        if (k) bytes(k, scalar);
        else ok(true, "%s: not on this machine", sets[i]);
    }
    meanings(scalar);
    return done();
}
