/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/digits.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/sha256.h"
#include "base/sync.h"
#include "../tap.h"

static _Atomic size_t seen[1000];
static void mark(void *arg, size_t c) { (void)arg; atomic_fetch_add(&seen[c], 1); }

static void nest(void *arg, size_t c)
{
    (void)c;
    qs_parallel(10, mark, arg);
}

static bool all(size_t n, size_t want)
{
    for (size_t i = 0; i < n; i++)
        if (seen[i] != want) return false;
    return true;
}

static int stop_at_half(void *ctx, const char *what, double done)
{
    (void)ctx, (void)what;
    return done >= 0.5;
}

/* Against printf: numbers of every size, those that are a few digits, and those in the middle of two. */
static void digits(void)
{
    qs_rng r;
    size_t wrong = 0, taken = 0, n = 0;
    qs_rng_seed(&r, 11);
    for (int i = 0; i < 120000; i++) {
        char a[QS_DIGITS_ROOM] = "", b[64];
        int d = 1 + i % 9;
        double x = qs_rng_normal(&r) * pow(10, (double)(i % 15) - 5);
        if (i % 4 == 1) x = nearbyint(x * 1000) / 1000;                        /* 0.5, 1.25, 100 */
        if (i % 4 == 2) x = nextafter(nearbyint(x) + 0.5, i % 8 < 4 ? 0 : 1e9); /* beside the middle */
        snprintf(b, sizeof b, "%.*g", d, x);
        n++;
        if (!qs_digits(x, d, a)) continue;
        taken++;
        if (strcmp(a, b) && !wrong++) printf("# %.17g with %d digits: %s, not %s\n", x, d, a, b);
    }
    ok(!wrong && taken > n / 2, "%zu of %zu numbers as printf writes them, %zu wrong", taken, n, wrong);
    char buf[QS_DIGITS_ROOM];
    ok(qs_digits(0.5, 9, buf) && !strcmp(buf, "0.5") && qs_digits(-99999.96, 6, buf) && !strcmp(buf, "-100000"), "0.5; -100000");
    ok(!qs_digits(NAN, 4, buf) && !qs_digits(INFINITY, 4, buf) && !qs_digits(0, 4, buf) && !qs_digits(2.5, 1, buf),
       "what printf must be asked for");
}

int main(void)
{
    digits();
    qs_err e = {0};
    ok(qs_fail(&e, QS_EFORMAT, "tensor %s", "w") == -QS_EFORMAT, "qs_fail returns the negative code");
    same(e.msg, "tensor w", "the message is formatted");
    ok(qs_fail_prefix(&e, "file %s", "a.npy") == -QS_EFORMAT, "a prefix keeps the code");
    same(e.msg, "file a.npy: tensor w", "a prefix goes before the message");
    ok(qs_fail(NULL, QS_EIO, "x") == -QS_EIO, "no error object is fine");
    same(qs_code_name(-QS_ERANGE), "ERANGE", "names of codes");

    for (int t = 1; t <= 4; t++) {
        qs_threads_set(t);
        for (int i = 0; i < 1000; i++) seen[i] = 0;
        for (int i = 0; i < 50; i++) qs_parallel(1000, mark, NULL);
        ok(all(1000, 50), "every chunk exactly once, %d threads", t);
        for (int i = 0; i < 1000; i++) seen[i] = 0;
        qs_parallel(20, nest, NULL);
        ok(all(10, 20), "a loop inside a loop, %d threads", t);
    }

    _Atomic uint64_t upto = 4;
    qs_ctl c = {.cancel_upto = &upto, .job = 5};
    ok(!qs_cancelled(&c) && !qs_ctl_check(&c, "", 0, &e), "a later job is not cancelled");
    upto = 5;
    ok(qs_ctl_check(&c, "", 0, &e) == -QS_ECANCEL, "the job itself is");
    qs_ctl p = {.job = 1, .poll = stop_at_half};
    ok(!qs_ctl_check(&p, "", 0.4, &e) && qs_ctl_check(&p, "", 0.5, &e) == -QS_ECANCEL, "poll may abandon work");
    ok(!qs_ctl_check(NULL, "", 0, NULL) && !qs_cancelled(NULL), "no ctl: never");

    char *big = qs_big_alloc((size_t)5 << 20);
    ok(big && (uintptr_t)big % 64 == 0, "big blocks are aligned");
    memset(big, 1, (size_t)5 << 20);
    qs_big_free(big);
    char *again = qs_big_alloc((size_t)5 << 20);
    ok(again == big, "and recycled");
    qs_big_free(again);
    qs_big_trim();
    ok(!qs_big_alloc(SIZE_MAX - 10), "an absurd size is refused");

    qs_str s = {0};
    for (int i = 0; i < 300; i++) qs_str_addf(&s, "%d,", i);
    ok(s.n == strlen(s.s) && !strncmp(s.s, "0,1,2,", 6), "strings grow");
    free(s.s);

    qs_rng r;
    qs_rng_seed(&r, 1);
    double m = 0, v = 0;
    for (int i = 0; i < 100000; i++) {
        double x = qs_rng_normal(&r);
        m += x;
        v += x * x;
    }
    ok(fabs(m / 1e5) < 0.01 && fabs(v / 1e5 - 1) < 0.02, "normal numbers are normal");
    qs_rng a, b;
    qs_rng_seed(&a, 7);
    qs_rng_seed(&b, 7);
    ok(qs_rng_next(&a) == qs_rng_next(&b), "the same seed, the same numbers");

    /* FIPS 180-4's examples, and a length that leaves no room for the count in its last block. */
    char hash[QS_SHA256_TEXT];
    qs_sha256 h;
    qs_sha256_init(&h);
    qs_sha256_add(&h, "abc", 3);
    same(qs_sha256_text(&h, hash), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", "SHA-256 of abc");
    qs_sha256_init(&h);
    same(qs_sha256_text(&h, hash), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "of nothing");
    qs_sha256_init(&h);
    for (int i = 0; i < 1000000; i += 40) qs_sha256_add(&h, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 40);
    same(qs_sha256_text(&h, hash), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0", "of a million");
    qs_sha256_init(&h);
    qs_sha256_add(&h, "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56);
    same(qs_sha256_text(&h, hash), "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1", "of 56 bytes");
    return done();
}
