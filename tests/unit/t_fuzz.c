/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The corpora of tests/fuzz through the targets of the fuzzer: every file as it is (it opens, unless it is called bad-...), cut at every
 * byte if it is small, and some hundred deterministic mutations of each, different ones in every file and the same in every run.
 */
#include <dirent.h>
#include <sys/stat.h>

#include "../fuzz/fuzz.h"
#include "../tap.h"
#include "base/rng.h"
#include "files.h"

enum { MUTATIONS = TAP_SANITIZED ? 40 : 300, CUTS = 1200 };

typedef struct tally { size_t files, runs, opened; bool bad; } tally;

/* ---- one input ------------------------------------------------------------------------------ */
static bool runs(const fuzz_target *t, const char *file, const char *how, uint64_t which, const uint8_t *p, size_t n, tally *y)
{
    bool opened = false;
    uint8_t *exact = fuzz_copy(p, n);
    const char *bad = t->run(t, exact, n, &opened);
    free(exact);
    y->runs++;
    y->opened += opened;
    if (!bad) return opened;
    printf("# %s/%s, %s %llu: %s\n", t->name, file, how, (unsigned long long)which, bad);
    y->bad = true;
    return opened;
}

/* ---- mutations ---------------------------------------------------------------------------------- */
static size_t below(qs_rng *r, size_t n) { return (size_t)(qs_rng_next(r) % n); }

/* Numbers that lengths, offsets and counts overflow at. */
static const uint64_t edges[] = {0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff, 0x100000000,
                                 0x1fffffffffffffff, 0x4000000000000001, 0x7fffffffffffffff, 0x8000000000000000, UINT64_MAX};

/* One change of the n bytes at p, which has room for twice as many; returns how many there are then. */
static size_t mutate(qs_rng *r, uint8_t *p, size_t n)
{
    if (!n) return n;
    size_t at = below(r, n), len = 1 + below(r, n - at < 16 ? n - at : 16), to = below(r, n - len + 1);
    uint64_t edge = edges[below(r, sizeof edges / sizeof *edges)];
    switch (below(r, 7)) {
    case 0: p[at] ^= (uint8_t)(1u << below(r, 8)); return n;
    case 1: p[at] = (uint8_t)qs_rng_next(r); return n;
    case 2:                                                       /* a number, little-endian, of 1, 2, 4 or 8 bytes */
        len = (size_t)1 << below(r, 4);
        for (size_t i = 0; i < len && at + i < n; i++) p[at + i] = (uint8_t)(edge >> 8 * i);
        return n;
    case 3: memmove(p + to, p + at, len); return n;               /* a piece written over another */
    case 4: memmove(p + at, p + at + len, n - at - len); return n - len;
    case 5:                                                       /* a piece twice */
        memmove(p + at + len, p + at, n - at);
        return n + len;
    }
    return at;                                                    /* cut */
}

static void mutations(const fuzz_target *t, const char *file, const uint8_t *p, size_t n, tally *y)
{
    qs_rng r;
    uint64_t seed = 2;
    for (const char *s = file; *s; s++) seed = seed * 31 + (unsigned char)*s;
    qs_rng_seed(&r, seed);
    uint8_t *copy = qs_xmalloc(n + 16 * 4);
    for (uint64_t i = 0; i < MUTATIONS && !y->bad; i++) {
        size_t have = n;
        memcpy(copy, p, n);
        for (size_t k = 1 + below(&r, 4); k--;) have = mutate(&r, copy, have);
        runs(t, file, "mutation", i, copy, have, y);
    }
    free(copy);
}

/* ---- corpora -------------------------------------------------------------------------------------- */
static bool may_be_refused(const char *file) { return !strncmp(file, "bad-", 4) || !strcmp(file, "config.json"); }

static void replay_bytes(const fuzz_target *t, const char *file, const uint8_t *p, size_t n, tally *y)
{
    if (!runs(t, file, "as it is", 0, p, n, y) && !may_be_refused(file)) {
        printf("# %s/%s is refused\n", t->name, file);
        y->bad = true;
    }
    for (size_t i = 0; i < n && n <= CUTS && !y->bad; i++) runs(t, file, "cut at", i, p, i, y);
    mutations(t, file, p, n, y);
    y->files++;
}

static void replay_file(const fuzz_target *t, const char *path, const char *file, tally *y)
{
    struct stat st;
    FILE *f = stat(path, &st) ? NULL : fopen(path, "rb");
    uint8_t *p = qs_xmalloc(f ? (size_t)st.st_size : 0);
    size_t n = f ? fread(p, 1, (size_t)st.st_size, f) : 0;
    if (f && n == (size_t)st.st_size) replay_bytes(t, file, p, n, y);
    else y->bad = true;
    if (f) fclose(f);
    free(p);
}

static void replay(const fuzz_target *t)
{
    tally y = {0};
    char *where = qs_xasprintf("tests/fuzz/corpus/%s", t->name), *folder = in_source(where);
    struct dirent **e = NULL;
    int n = scandir(folder, &e, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        char *path = in_dir(folder, e[i]->d_name);
        if (*e[i]->d_name != '.') replay_file(t, path, e[i]->d_name, &y);
        free(path);
        free(e[i]);
    }
    ok(y.files && !y.bad, "%s: %zu files, %zu inputs made from them, of which %zu were accepted", t->name, y.files, y.runs, y.opened);
    free(e);
    free(folder);
    free(where);
}

int main(void)
{
    for (const fuzz_target *t = fuzz_targets; t->name; t++) replay(t);
    return done();
}
