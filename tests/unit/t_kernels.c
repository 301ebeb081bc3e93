/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Every vector kernel gives the bits of the scalar reference; the reference gives what the header says. */
#include <float.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/rng.h"
#include "num/kernels.h"
#include "../tap.h"

#define NMAX 67
#define PAD 8

static const float special[] = {0.0f, -0.0f, 1.0f, -1.0f, 0.5f, -0.5f, 1.5f, -1.5f, 2.5f, 0.49999997f, -0.49999997f, FLT_MIN,
                                -FLT_MIN, 1e-45f, -1e-45f, FLT_MAX, -FLT_MAX, INFINITY, -INFINITY, NAN, -NAN, 3.3f};
#define NSPECIAL (sizeof special / sizeof *special)

static float random_float(qs_rng *r, int kind)
{
    uint32_t b = (uint32_t)qs_rng_next(r);
    float x;
    if (kind == 0) return (float)qs_rng_normal(r);
    if (kind == 1) return special[b % NSPECIAL];
    if (kind == 2) return (float)((int)(b % 41) - 20) * 0.25f;   /* ties */
    memcpy(&x, &b, sizeof x);                                     /* any bits at all */
    return x;
}

static float X[NMAX + PAD], Y[NMAX + PAD], A[NMAX + PAD], B[NMAX + PAD];
static uint16_t H[NMAX + PAD];
static int32_t CA[NMAX + PAD], CB[NMAX + PAD];
static uint8_t YA[NMAX + PAD], YB[NMAX + PAD];
static const qs_kernels *s, *v;

static void fill(qs_rng *r, int kind)
{
    for (size_t i = 0; i < NMAX + PAD; i++) {
        X[i] = random_float(r, kind);
        Y[i] = random_float(r, kind == 3 ? 0 : kind);
        H[i] = (uint16_t)qs_rng_next(r);
    }
}

static void wipe(void)
{
    for (size_t i = 0; i < NMAX + PAD; i++) {
        A[i] = B[i] = 77;
        CA[i] = CB[i] = 77;
        YA[i] = YB[i] = 77;
    }
}

static bool floats_same(void) { return !memcmp(A, B, sizeof A); }
static bool codes_same(void) { return !memcmp(CA, CB, sizeof CA); }

/* All lengths, at an offset: results equal, and nothing written past the end. */
typedef bool trial(size_t n, size_t off, const void *how);

static bool try_pass1(size_t n, size_t off, const void *how)
{
    qs_pass1 a, b;
    (void)how;
    memset(&a, 0, sizeof a);
    memset(&b, 0, sizeof b);
    s->pass1(X + off, n, &a);
    v->pass1(X + off, n, &b);
    return !memcmp(&a, &b, sizeof a);
}

static bool try_pass2(size_t n, size_t off, const void *how)
{
    qs_pass2 a, b;
    s->pass2(X + off, n, *(const double *)how, &a);
    v->pass2(X + off, n, *(const double *)how, &b);
    return !memcmp(&a, &b, sizeof a);
}

static bool try_diff(size_t n, size_t off, const void *how)
{
    qs_diff a, b;
    (void)how;
    for (size_t i = 0; i < NMAX + PAD; i++) A[i] = isfinite(Y[i]) ? Y[i] : 1;
    s->diff(X + off, A + off, n, &a);
    v->diff(X + off, A + off, n, &b);
    return !memcmp(&a, &b, sizeof a);
}

static bool try_block16(size_t n, size_t off, const void *how)
{
    double a[8] = {0}, b[8] = {0};
    (void)how;
    for (size_t i = 0; i < NMAX + PAD; i++) A[i] = isfinite(X[i]) ? X[i] : 1;
    s->block16(A + off, n / 16, a);
    v->block16(A + off, n / 16, b);
    return !memcmp(a, b, sizeof a);
}

static bool try_half(size_t n, size_t off, const void *how)
{
    bool brain = how != NULL;
    wipe();
    (brain ? s->bf16 : s->f16)(H + off, n, A + off);
    (brain ? v->bf16 : v->f16)(H + off, n, B + off);
    return floats_same();
}

static bool try_u8(size_t n, size_t off, const void *how)
{
    const float *a = how;
    wipe();
    s->u8((const uint8_t *)H + off, n, a[0], a[1], A + off);
    v->u8((const uint8_t *)H + off, n, a[0], a[1], B + off);
    return floats_same();
}

/* The codes once more, a byte each. */
static bool bytes_same(size_t n, size_t off, const qs_fq *q)
{
    if (q->hi > INT16_MAX || q->lo < INT16_MIN) return true;
    bool a = s->fqbyte(X + off, n, q, YA + off), b = v->fqbyte(X + off, n, q, YB + off), numbers = true;
    for (size_t i = off; i < off + n; i++) {
        if (YA[i] != (uint8_t)CA[i]) return false;
        numbers &= !isnan(X[i]);
    }
    return a == numbers && b == numbers && !memcmp(YA, YB, sizeof YA);
}

static bool try_fq(size_t n, size_t off, const void *how)
{
    wipe();
    s->fq(X + off, n, how, A + off);
    v->fq(X + off, n, how, B + off);
    s->fqcode(X + off, n, how, CA + off);
    v->fqcode(X + off, n, how, CB + off);
    return floats_same() && codes_same() && bytes_same(n, off, how);
}

static bool try_book(size_t n, size_t off, const void *how)
{
    wipe();
    s->fqbook(X + off, n, how, A + off);
    v->fqbook(X + off, n, how, B + off);
    s->fqbookcode(X + off, n, how, CA + off);
    v->fqbookcode(X + off, n, how, CB + off);
    return floats_same() && codes_same();
}

/* Sums that are no number are none everywhere, whatever its bits. */
static bool sums_same(const qs_fqsums *a, const qs_fqsums *b)
{
    return (a->step == b->step || (isnan(a->step) && isnan(b->step))) &&
           (a->offset == b->offset || (isnan(a->offset) && isnan(b->offset)));
}

struct how_grad { qs_fq q; const qs_fqbook *b; qs_fqrule r; };

static bool try_grad(size_t n, size_t off, const void *how)
{
    const struct how_grad *h = how;
    qs_fqsums a, b;
    memcpy(A, Y, sizeof A);
    memcpy(B, Y, sizeof B);
    if (h->b) {
        s->fqbookgrad(X + off, n, h->b, &h->r, A + off, &a);
        v->fqbookgrad(X + off, n, h->b, &h->r, B + off, &b);
    } else {
        s->fqgrad(X + off, n, &h->q, &h->r, A + off, &a);
        v->fqgrad(X + off, n, &h->q, &h->r, B + off, &b);
    }
    return floats_same() && sums_same(&a, &b);
}

static void all_lengths(const char *what, trial *t, const void *how)
{
    qs_rng r;
    size_t bad = 0;
    qs_rng_seed(&r, 11);
    for (int kind = 0; kind < 4; kind++)
        for (size_t n = 0; n <= NMAX; n++) {
            fill(&r, kind);
            for (size_t off = 0; off < PAD; off += 1 + n % 3) bad += !t(n, off, how);
        }
    ok(!bad, "%s: %s gives the bits of scalar (%zu differences)", what, v->isa, bad);
}

/* ---- codebooks ------------------------------------------------------------------------ */
struct book { qs_fqbook q; float c[4096], t[4096]; unsigned char up[4096]; };

static void make_book(struct book *b, size_t n, uint64_t seed)
{
    qs_rng r;
    qs_rng_seed(&r, seed);
    float x = -(float)n / 8;
    for (size_t k = 0; k < n; k++) {
        b->c[k] = x;
        x += 0.25f * (float)(1 + qs_rng_next(&r) % 2);
    }
    for (size_t k = 0; k + 1 < n; k++) {
        b->t[k] = 0.5f * (b->c[k] + b->c[k + 1]);
        b->up[k] = qs_rng_next(&r) & 1;
    }
    b->q = (qs_fqbook){.s = 0.5f, .beta = seed & 1 ? 0.125f : 0.0f, .c = b->c, .t = b->t, .up = b->up, .n = n};
}

/* The definition in the header, word for word. */
static size_t level_of(float x, const qs_fqbook *q)
{
    float u = (x - q->beta) / q->s;
    size_t k = 0;
    for (size_t j = 0; j + 1 < q->n; j++) k += u > q->t[j] || (u == q->t[j] && q->up[j]);
    return k;
}

/* One quantizer a channel: as fq and fqgrad of each channel, and every instruction set the same bits. */
static bool try_cols(size_t n, size_t off, const void *how)
{
    static float p[8][40];
    const size_t c = *(const size_t *)how, rows = n / c;
    double sa[40] = {0}, oa[40] = {0}, sb[40] = {0}, ob[40] = {0};
    qs_fqcols q = {p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7], n % 2};
    for (size_t j = 0; j < c; j++) {
        const float col[8] = {0.1f * (float)(j + 1), j % 3 ? 0 : 0.5f, -(float)(j % 9), (float)(j % 5 + 1), -(float)(j % 9) - 0.5f,
                            (float)(j % 5) + 1.5f, nextafterf(-(float)(j % 9), 1), nextafterf((float)(j % 5 + 1), -1)};
        for (int k = 0; k < 8; k++) p[k][j] = col[k];
    }
    wipe();
    s->fqcols(X + off, rows, c, &q, A + off);
    v->fqcols(X + off, rows, c, &q, B + off);
    if (!floats_same()) return false;
    for (size_t i = 0; i < rows * c; i++) {
        const size_t j = i % c;
        float one;
        s->fq(X + off + i, 1, &(qs_fq){.s = p[0][j], .beta = p[1][j], .lo = p[2][j], .hi = p[3][j]}, &one);
        if (one != A[off + i] && !(isnan(one) && isnan(A[off + i]))) return false;
    }
    for (size_t i = 0; i < NMAX + PAD; i++) A[i] = B[i] = isfinite(Y[i]) ? Y[i] : 2;
    s->fqcolsgrad(X + off, rows, c, &q, A + off, sa, oa);
    v->fqcolsgrad(X + off, rows, c, &q, B + off, sb, ob);
    return floats_same() && !memcmp(sa, sb, sizeof sa) && !memcmp(oa, ob, sizeof oa);
}

/* The rules training uses, for outermost codes lo and hi: strict, with the ends, half a gap further; learned or not. */
static void all_rules(struct how_grad h, float lo, float hi)
{
    const float open[] = {nextafterf(lo, INFINITY), nextafterf(hi, -INFINITY)}, wide[] = {lo - 0.125f, hi + 0.125f};
    const qs_fqrule r[] = {
        {open[0], open[1], open[0], open[1], lo, hi, .inner = true},
        {lo, hi, lo, hi, lo, hi, .inner = true, .offset = true},
        {wide[0], wide[1], wide[0], wide[1], lo, hi, .inner = true, .offset = true},
        {-INFINITY, INFINITY, open[0], open[1], lo, hi, .offset = false},
        {-INFINITY, INFINITY, lo, hi, 0, 0, .offset = true}};
    for (size_t i = 0; i < sizeof r / sizeof *r; i++) {
        h.r = r[i];
        all_lengths(h.b ? "fqbookgrad" : "fqgrad", try_grad, &h);
    }
    if (!h.b) return;
    for (size_t k = 0; k < h.b->n; k++) {   /* only where c - u is exact may a kernel be told so */
        float c = h.b->c[k], from = k ? h.b->t[k - 1] : lo, to = k + 1 < h.b->n ? h.b->t[k] : hi;
        if (c != 0 && (c > 0 ? from < c / 2 || to > 2 * c : to > c / 2 || from < 2 * c)) return;
    }
    for (int i = 0; i < 2; i++) {
        h.r = r[i];
        h.r.exact = true;
        all_lengths("fqbookgrad, exact slopes", try_grad, &h);
    }
}

static void check_book(const struct book *b)
{
    qs_rng r;
    size_t bad = 0;
    qs_rng_seed(&r, 3);
    for (int kind = 0; kind < 4; kind++) {
        fill(&r, kind);
        s->fqbookcode(X, NMAX, &b->q, CA);
        s->fqbook(X, NMAX, &b->q, A);
        for (size_t i = 0; i < NMAX; i++) {
            size_t k = level_of(X[i], &b->q);
            bad += CA[i] != (int32_t)k;
            bad += isnan(X[i]) ? !isnan(A[i]) : A[i] != b->c[k] * b->q.s + b->q.beta;
        }
    }
    ok(!bad, "codebook of %zu levels: scalar is the definition (%zu differences)", b->q.n, bad);
}

static void books(void)
{
    static const size_t sizes[] = {1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 31, 32, 33, 255, 256, 1000, 4096};
    static struct book b;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        make_book(&b, sizes[i], i);
        check_book(&b);
        if (v) all_lengths("fqbook", try_book, &b.q);
        if (v) all_rules((struct how_grad){.b = &b.q}, b.c[0], b.c[sizes[i] - 1]);
    }
    float c[] = {-1, -0.0f, 1}, t[] = {-0.0f, FLT_MAX};
    unsigned char up[] = {0, 0};
    qs_fqbook q = {.s = 1, .c = c, .t = t, .up = up, .n = 3};
    float x[] = {0.0f, -0.0f, 1e-45f, -1e-45f, FLT_MAX, INFINITY, -INFINITY, NAN, 1};
    int32_t code[9];
    const int32_t want[] = {0, 0, 1, 0, 1, 2, 0, 0, 1};
    (v ? v : s)->fqbookcode(x, 9, &q, code);
    ok(!memcmp(code, want, sizeof want), "thresholds at zero and at the largest float hold to the last bit");
    if (!v) return;
    float levels[] = {-1, -.25f, 0, .25f, .5f, 1}, mid[] = {-.625f, -.125f, .125f, .375f, .75f};   /* ratios up to 4 of */
    unsigned char ups[] = {0, 1, 0, 1, 1};                                                         /* two: exact but one */
    q = (qs_fqbook){.s = .75f, .beta = .1f, .c = levels + 2, .t = mid + 2, .up = ups + 2, .n = 4};
    all_rules((struct how_grad){.b = &q}, 0, 1);
    q = (qs_fqbook){.s = .75f, .c = levels, .t = mid, .up = ups, .n = 6};
    all_rules((struct how_grad){.b = &q}, -1, 1);
}

/* ---- what the reference means ----------------------------------------------------------- */
static void meanings(void)
{
    qs_pass1 p;
    float x[] = {1, -2, NAN, INFINITY, 0, -0.0f, 0.5f, -INFINITY};
    s->pass1(x, 8, &p);
    ok(p.finite == 5 && p.zeros == 2 && p.nans == 1 && p.infs == 2, "pass1 counts");
    ok(p.sum == -0.5 && p.sum_abs == 3.5 && p.sum_sq == 5.25 && p.min == -2 && p.max == 1, "pass1 sums");
    s->pass1(x + 2, 2, &p);
    ok(p.finite == 0 && p.min == INFINITY && p.max == -INFINITY && p.sum == 0, "pass1 of nothing finite");
    x[0] = -0.0f;
    s->pass1(x, 1, &p);
    ok(!signbit(p.min) && !signbit(p.max), "a zero extremum is +0");

    const uint8_t bytes[] = {0, 1, 128, 255};
    float pixels[4];
    s->u8(bytes, 4, 0.5f, -1, pixels);
    ok(pixels[0] == -1 && pixels[1] == -0.5f && pixels[2] == 63 && pixels[3] == 126.5f, "u8: x a + b");

    double b[4];
    float runs[32] = {1, 2, 3, [15] = -4, [16] = 0.5f};
    s->block16(runs, 2, b);
    ok(b[0] == 2 && b[1] == 30 && b[2] == 0.5 && b[3] == 0.25, "block16 sums runs of 16");

    qs_fq q = {.s = 0.5f, .lo = -2, .hi = 1};
    float in[] = {0.25f, 0.75f, -0.25f, -0.75f, 9, -INFINITY, NAN, -0.1f}, out[8];
    const float even[] = {0, 0.5f, 0, -1, 0.5f, -1}, away[] = {0.5f, 0.5f, -0.5f, -1, 0.5f, -1};
    s->fq(in, 8, &q, out);
    ok(!memcmp(out, even, sizeof even) && isnan(out[6]) && out[7] == 0 && !signbit(out[7]), "fq: half to even, clipped, NaN kept");
    q.away = true;
    s->fq(in, 8, &q, out);
    ok(!memcmp(out, away, sizeof away), "fq: half away from zero");
    int32_t code[8];
    s->fqcode(in, 8, &q, code);
    ok(code[0] == 1 && code[5] == -2 && code[6] == -2, "fqcode: NaN is lo");
    in[0] = 0.49999997f * 0.5f;
    s->fq(in, 1, &q, out);
    ok(out[0] == 0, "fq away: the float below one half stays");

    double bad = 0;
    qs_rng r;
    qs_rng_seed(&r, 5);
    q = (qs_fq){.s = 0.1f, .beta = 0.03f, .lo = -8, .hi = 7};
    for (int i = 0; i < 100000; i++) {
        float w = random_float(&r, i % 3), got, u = (w - q.beta) / q.s;
        s->fq(&w, 1, &q, &got);
        float level = fminf(fmaxf(nearbyintf(u), q.lo), q.hi) * q.s + q.beta;
        bad += isnan(w) ? !isnan(got) : got != level;
    }
    ok(!bad, "fq is fl(fl(c s) + beta) of the rounded quotient");
}

/* One element of a rule, as a sentence. */
static void gradient_meanings(void)
{
    qs_fq q = {.s = 0.5f, .lo = -2, .hi = 1};
    qs_fqrule r = {.in_lo = -2, .in_hi = 1, .lo = -2, .hi = 1, .below = -2, .above = 1, .inner = true, .offset = true};
    float x[] = {-9, -1, 0.2f, 0.5f, 0.7f, NAN, INFINITY}, g[] = {1, 2, 4, 8, 16, 32, 64};
    const float dx[] = {0, 2, 4, 8, 0, 0, 0};
    qs_fqsums a;
    s->fqgrad(x, 7, &q, &r, g, &a);
    ok(!memcmp(g, dx, sizeof dx), "fqgrad: g inside, 0 outside and for NaN");
    near(a.step, -2 - 4 * (double)0.4f + 16 + 64, 1e-15, "fqgrad: code less place inside, the outermost code outside");
    ok(a.offset == 1 + 16 + 64, "fqgrad: the offset feels what is clipped");
    float c[] = {-1, 0, 3}, t[] = {-0.5f, 1.5f}, h[] = {1, 2, 4};
    unsigned char up[] = {0, 0};
    qs_fqbook b = {.s = 0.5f, .c = c, .t = t, .up = up, .n = 3};
    r = (qs_fqrule){.in_lo = -INFINITY, .in_hi = INFINITY, .lo = -1, .hi = 3, .below = -1, .above = 3, .inner = true};
    s->fqbookgrad((float[]){-2, 0.25f, 1.25f}, 3, &b, &r, h, &a);
    ok(a.step == -1 - 2 * .5 + 4 * .5 && a.offset == 0 && h[0] == 1, "fqbookgrad: the same of any levels");
}

static void halves(void)
{
    size_t bad = 0;
    for (uint32_t h = 0; h < 65536; h++) {
        uint16_t b = (uint16_t)h;
        float a, w;
        s->f16(&b, 1, &a);
        int e = (int)(h >> 10 & 31), m = (int)(h & 1023);
        w = e == 31 ? (m ? NAN : INFINITY) : e ? ldexpf((float)(1024 + m), e - 25) : ldexpf((float)m, -24);
        if (h >> 15) w = -w;
        bad += isnan(w) ? !isnan(a) : a != w || signbit(a) != signbit(w);
    }
    ok(!bad, "f16: every one of 65536 codes");
    if (!v) return;
    uint16_t *all = qs_xmalloc(65536 * sizeof *all);
    float *fa = qs_xmalloc(65536 * sizeof *fa), *fb = qs_xmalloc(65536 * sizeof *fb);
    for (uint32_t h = 0; h < 65536; h++) all[h] = (uint16_t)h;
    s->f16(all, 65536, fa);
    v->f16(all, 65536, fb);
    ok(!memcmp(fa, fb, 65536 * sizeof *fa), "f16: every code, to the bit");
    s->bf16(all, 65536, fa);
    v->bf16(all, 65536, fb);
    ok(!memcmp(fa, fb, 65536 * sizeof *fa), "bf16: every code, to the bit");
    free(all);
    free(fa);
    free(fb);
}

/* The path for large outputs, which starts where the output is aligned. */
static void large(void)
{
    size_t n = ((size_t)1 << 20) + 29, bad = 0;
    float *x = qs_xmalloc((n + 8) * sizeof *x), *a = qs_xmalloc((n + 8) * sizeof *a), *b = qs_xmalloc((n + 8) * sizeof *b);
    qs_rng r;
    qs_rng_seed(&r, 8);
    for (size_t i = 0; i < n + 8; i++) x[i] = random_float(&r, (int)(i % 4));
    qs_fq q = {.s = 0.07f, .lo = -8, .hi = 7};
    for (size_t off = 0; off < 8; off += 3) {
        b[off + n] = 5;
        s->fq(x, n, &q, a);
        v->fq(x, n, &q, b + off);
        bad += memcmp(a, b + off, n * sizeof *a) != 0 || (off + n < n + 8 && b[off + n] != 5);
    }
    ok(!bad, "fq of a large array, aligned or not");
    free(x);
    free(a);
    free(b);
}

/* All kernels of one instruction set against the reference. */
static void all_kernels(void)
{
    double mean[] = {0, 0.3, -1e30};
    qs_fq q[] = {{.s = 0.5f, .lo = -8, .hi = 7},
                 {.s = 0.3f, .beta = 0.1f, .lo = 0, .hi = 255, .away = true},
                 {.s = 1e-40f, .lo = -128, .hi = 127},
                 {.s = 3e38f, .beta = -1e38f, .lo = -1, .hi = 1, .away = true}};
    all_lengths("pass1", try_pass1, NULL);
    for (int i = 0; i < 3; i++) all_lengths("pass2", try_pass2, &mean[i]);
    all_lengths("diff", try_diff, NULL);
    all_lengths("block16", try_block16, NULL);
    all_lengths("f16", try_half, NULL);
    all_lengths("bf16", try_half, "");
    all_lengths("u8", try_u8, (const float[]){0.0117f, -0.81f});
    for (int i = 0; i < 4; i++) {
        all_lengths("fq", try_fq, &q[i]);
        all_rules((struct how_grad){.q = q[i]}, q[i].lo, q[i].hi);
    }
    for (size_t c = 1; c < 40; c += c < 3 ? 1 : 5) all_lengths("fqcols", try_cols, &c);
    large();
    halves();
    books();
}

int main(void)
{
    static const char *const isas[] = {"avx2", "avx512"};
    s = qs_num_isa("scalar");
    ok(s && qs_num(), "there is a reference and a choice");
    ok(!qs_num_isa("pdp11"), "an unknown set is none");
    meanings();
    gradient_meanings();
    halves();
    books();
    for (int i = 0; i < 2; i++) {
        v = qs_num_isa(isas[i]);
        if (v) all_kernels();
        else printf("# %s: not on this machine, or not built\n", isas[i]);
    }
    return done();
}
