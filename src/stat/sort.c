/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Radix sorting of floats, for the index. Knows keys, caches and threads; knows
 * nothing of sums. The result is unique, so it does not depend on the threads.
 */
#include "stat/sort.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"

#define INSERTION_MAX 48     /* below: insertion sort */
#define BYTES_MAX 2048       /* below: four passes of 8 bits; above: three of 11 */
#define PARTITION_MIN 65536  /* from here: partition first */

/* ---- small ----------------------------------------------------------------------------- */
static size_t insertion(const float *x, size_t n, float *out)
{
    uint32_t k[INSERTION_MAX];
    size_t m = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t key = qs_key(x[i]);
        if (!qs_key_finite(key)) continue;
        size_t j = m++;
        for (; j && k[j - 1] > key; j--) k[j] = k[j - 1];
        k[j] = key;
    }
    for (size_t i = 0; i < m; i++) out[i] = qs_key_float(k[i]);
    return m;
}

/*
 * Eight places are taken before eight keys are written: where stores whose address is not yet known hold back
 * later loads (speculative store bypass disabled), one at a time costs three times as much.
 */
static void move(const uint32_t *from, uint32_t *to, size_t n, uint32_t base, int shift, uint32_t mask, uint32_t *at)
{
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        uint32_t k[8], p[8];
#pragma GCC unroll 8
        for (int j = 0; j < 8; j++) {
            k[j] = from[i + (size_t)j];
            p[j] = at[(k[j] - base) >> shift & mask]++;
        }
#pragma GCC unroll 8
        for (int j = 0; j < 8; j++) to[p[j]] = k[j];
    }
    for (; i < n; i++) to[at[(from[i] - base) >> shift & mask]++] = from[i];
}

/* One stable pass on `bits` bits from `shift`; count: of each digit. False if all keys share the digit. */
static bool pass(const uint32_t *from, uint32_t *to, size_t n, uint32_t base, int shift, int bits, uint32_t *count)
{
    uint32_t mask = (1u << bits) - 1, at = 0;
    if (count[(from[0] - base) >> shift & mask] == n) return false;
    for (uint32_t d = 0; d <= mask; d++) {
        uint32_t c = count[d];
        count[d] = at;
        at += c;
    }
    move(from, to, n, base, shift, mask, count);
    return true;
}

/* Counts the digits of all passes in one read. */
__attribute__((always_inline))
static inline void tally_n(const uint32_t *a, size_t n, uint32_t base, int width, uint32_t count[][2048], int passes)
{
    uint32_t mask = (1u << width) - 1;
    for (size_t i = 0; i < n; i++) {
        uint32_t k = a[i] - base;
#pragma GCC unroll 4
        for (int p = 0; p < passes; p++, k >>= width) count[p][k & mask]++;
    }
}

typedef void tally_fn(const uint32_t *a, size_t n, uint32_t base, int width, uint32_t count[][2048]);
static void tally1(const uint32_t *a, size_t n, uint32_t b, int w, uint32_t c[][2048]) { tally_n(a, n, b, w, c, 1); }
static void tally2(const uint32_t *a, size_t n, uint32_t b, int w, uint32_t c[][2048]) { tally_n(a, n, b, w, c, 2); }
static void tally3(const uint32_t *a, size_t n, uint32_t b, int w, uint32_t c[][2048]) { tally_n(a, n, b, w, c, 3); }
static void tally4(const uint32_t *a, size_t n, uint32_t b, int w, uint32_t c[][2048]) { tally_n(a, n, b, w, c, 4); }
static tally_fn *const tally[] = {NULL, tally1, tally2, tally3, tally4};

/* Sorts a (n) by bits 0 .. bits-1 of key - base, with b (n) as scratch; returns where the result is. n < 2^32. */
static uint32_t *lsd(uint32_t *a, uint32_t *b, size_t n, uint32_t base, int bits)
{
    uint32_t count[4][2048];
    int passes = n < BYTES_MAX ? (bits + 7) / 8 : (bits + 10) / 11;
    int width = (bits + passes - 1) / passes;
    for (int p = 0; p < passes; p++) memset(count[p], 0, sizeof **count << width);
    tally[passes](a, n, base, width, count);
    for (int p = 0; p < passes; p++)
        if (pass(a, b, n, base, p * width, width, count[p])) {
            uint32_t *t = a;
            a = b;
            b = t;
        }
    return a;
}

static int medium(const float *x, size_t n, float *out, size_t *kept, qs_err *err)
{
    uint32_t *k = qs_big_alloc(2 * n * sizeof *k);
    if (!k) return qs_fail(err, QS_ENOMEM, _("no memory to sort %zu values"), n);
    size_t m = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t key = qs_key(x[i]);
        k[m] = key;
        m += qs_key_finite(key);
    }
    const uint32_t *r = m ? lsd(k, k + n, m, 0, 32) : k;
    for (size_t i = 0; i < m; i++) out[i] = qs_key_float(r[i]);
    qs_big_free(k);
    *kept = m;
    return 0;
}

/* ---- large: partition, then every part on its own ------------------------------------------- */
#define PREFIXES 65536       /* the upper 16 bits of a key */
#define GOAL 250             /* parts aimed at: their lines fill the first cache, they themselves half of the second */
#define PARTS 512            /* at most 2 GOAL + 1, and what is not finite */
#define CHUNKS 8             /* pieces of the input, at most */
#define LINE 16              /* keys a cache line */

struct part { uint32_t first, last; size_t start, n; };   /* prefixes; place in the output */

struct chunk {
    size_t from, to;
    uint32_t *count;             /* (PREFIXES) */
    size_t at[PARTS];            /* where the next key of each part goes */
};

struct job {
    const float *x;
    size_t n;
    uint32_t *tmp;               /* (n) */
    float *out;
    const qs_ctl *ctl;
    size_t chunks, parts;        /* the last part holds what is not finite */
    struct chunk chunk[CHUNKS];
    struct part part[PARTS];
    uint16_t map[PREFIXES];      /* prefix -> part */
};

static void count_chunk(void *arg, size_t c)
{
    struct job *j = arg;
    uint32_t *count = j->chunk[c].count;
    const float *x = j->x;
    memset(count, 0, PREFIXES * sizeof *count);
    for (size_t i = j->chunk[c].from, to = j->chunk[c].to; i < to; i++) count[qs_key(x[i]) >> 16]++;
}

static bool prefix_finite(uint32_t p) { return qs_key_finite(p << 16); }

/* Cuts the prefixes into parts of about n/250 values; one that is larger by itself stands alone. */
static void plan(struct job *j)
{
    size_t goal = j->n / GOAL + 1, start = 0;
    struct part *p = j->part;
    *p = (struct part){.first = QS_KEY_FIRST >> 16};
    for (uint32_t f = QS_KEY_FIRST >> 16; f <= QS_KEY_LAST >> 16; f++) {
        size_t here = 0;
        for (size_t c = 0; c < j->chunks; c++) here += j->chunk[c].count[f];
        if (p->n && here && p->n + here > goal) {
            start += p->n;
            *++p = (struct part){.first = f, .start = start};
        }
        if (!p->n) p->first = f;
        if (here) p->last = f;
        p->n += here;
        j->map[f] = (uint16_t)(p - j->part);
    }
    start += p->n;
    *++p = (struct part){.start = start, .n = j->n - start};
    for (uint32_t f = 0; f < PREFIXES; f++)
        if (!prefix_finite(f)) j->map[f] = (uint16_t)(p - j->part);
    j->parts = (size_t)(p - j->part) + 1;
}

static void place(struct job *j)
{
    size_t next[PARTS];
    for (size_t p = 0; p < j->parts; p++) next[p] = j->part[p].start;
    for (size_t c = 0; c < j->chunks; c++) {
        const uint32_t *count = j->chunk[c].count;
        memcpy(j->chunk[c].at, next, sizeof next);
        for (size_t p = 0; p + 1 < j->parts; p++) {
            size_t sum = 0;
            for (uint32_t f = j->part[p].first; f <= j->part[p].last; f++) sum += count[f];
            next[p] += sum;
        }
        size_t rest = 0;
        for (uint32_t f = 0; f < QS_KEY_FIRST >> 16; f++) rest += count[f];
        for (uint32_t f = (QS_KEY_LAST >> 16) + 1; f < PREFIXES; f++) rest += count[f];
        next[j->parts - 1] += rest;
    }
}

struct lines { _Alignas(64) uint32_t key[PARTS][LINE]; };

/* Key k goes to place a of part p. Keys gather in a line a part, and a line leaves whole: memory sees sequential writes. */
static inline void put(uint32_t *tmp, struct lines *l, const size_t *first, uint32_t k, size_t p, size_t a)
{
    l->key[p][a % LINE] = k;
    if (a % LINE != LINE - 1) return;
    size_t from = a - (LINE - 1);   /* a line of the output that starts before the part is cut */
    if (from >= first[p]) memcpy(tmp + from, l->key[p], sizeof l->key[p]);
    else memcpy(tmp + first[p], l->key[p] + first[p] % LINE, (a + 1 - first[p]) * sizeof *tmp);
}

static void scatter_chunk(void *arg, size_t c)
{
    struct job *j = arg;
    struct chunk *ch = &j->chunk[c];
    struct lines l;
    size_t first[PARTS], at[PARTS];
    const uint16_t *map = j->map;
    memcpy(first, ch->at, sizeof first);
    memcpy(at, ch->at, sizeof at);
    if (qs_cancelled(j->ctl)) return;
    size_t i = ch->from;
    for (; i + 8 <= ch->to; i += 8) {   /* eight at a time: see move() */
        uint32_t k[8];
        size_t p[8], a[8];
#pragma GCC unroll 8
        for (int e = 0; e < 8; e++) {
            k[e] = qs_key(j->x[i + (size_t)e]);
            p[e] = map[k[e] >> 16];
            a[e] = at[p[e]]++;
        }
#pragma GCC unroll 8
        for (int e = 0; e < 8; e++) put(j->tmp, &l, first, k[e], p[e], a[e]);
    }
    for (; i < ch->to; i++) {
        uint32_t k = qs_key(j->x[i]);
        size_t p = map[k >> 16];
        put(j->tmp, &l, first, k, p, at[p]++);
    }
    for (size_t p = 0; p < j->parts; p++) {
        size_t line = at[p] / LINE * LINE, from = line > first[p] ? line : first[p];
        memcpy(j->tmp + from, l.key[p] + from % LINE, (at[p] - from) * sizeof *j->tmp);
    }
}

static void sort_part(void *arg, size_t i)
{
    struct job *j = arg;
    const struct part *p = &j->part[i];
    if (!p->n || qs_cancelled(j->ctl)) return;
    uint32_t *key = j->tmp + p->start, span = p->last - p->first;
    float *out = j->out + p->start;
    int bits = 16 + (span ? 32 - __builtin_clz(span) : 0);
    const uint32_t *r = lsd(key, (uint32_t *)(void *)out, p->n, p->first << 16, bits);
    for (size_t k = 0; k < p->n; k++) out[k] = qs_key_float(r[k]);
}

static int large_run(struct job *j, size_t *kept, qs_err *err)
{
    int rc = qs_ctl_check(j->ctl, _("sorting"), 0, err);
    if (rc) return rc;
    qs_parallel(j->chunks, count_chunk, j);
    plan(j);
    place(j);
    if ((rc = qs_ctl_check(j->ctl, _("sorting"), 0.2, err))) return rc;
    qs_parallel(j->chunks, scatter_chunk, j);
    if ((rc = qs_ctl_check(j->ctl, _("sorting"), 0.5, err))) return rc;
    qs_parallel(j->parts - 1, sort_part, j);
    *kept = j->part[j->parts - 1].start;
    return qs_ctl_check(j->ctl, _("sorting"), 0.9, err);
}

static int large(const float *x, size_t n, float *out, size_t *kept, const qs_ctl *ctl, qs_err *err)
{
    struct job *j = qs_xmalloc(sizeof *j);
    size_t chunks = (size_t)qs_threads() < CHUNKS ? (size_t)qs_threads() : CHUNKS;
    uint32_t *count = qs_xmalloc(chunks * PREFIXES * sizeof *count);
    j->x = x;
    j->n = n;
    j->out = out;
    j->ctl = ctl;
    j->chunks = chunks;
    for (size_t c = 0; c < chunks; c++) {
        j->chunk[c].from = n / chunks * c;
        j->chunk[c].to = c + 1 == chunks ? n : n / chunks * (c + 1);
        j->chunk[c].count = count + c * PREFIXES;
    }
    j->tmp = qs_big_alloc(n * sizeof *j->tmp);
    int rc = j->tmp ? large_run(j, kept, err) : qs_fail(err, QS_ENOMEM, _("no memory to sort %zu values"), n);
    qs_big_free(j->tmp);
    free(count);
    free(j);
    return rc;
}

int qs_sort_floats(const float *x, size_t n, float *out, size_t *kept, const qs_ctl *ctl, qs_err *err)
{
    if (n <= INSERTION_MAX) {
        *kept = insertion(x, n, out);
        return 0;
    }
    return n < PARTITION_MIN ? medium(x, n, out, kept, err) : large(x, n, out, kept, ctl, err);
}

/* ---- with weights ------------------------------------------------------------------------------ */
struct pair { uint32_t key; float w; };

static void pass_pairs(const struct pair *from, struct pair *to, size_t n, int shift)
{
    size_t count[2048] = {0}, at = 0;
    for (size_t i = 0; i < n; i++) count[from[i].key >> shift & 2047]++;
    for (int d = 0; d < 2048; d++) {
        size_t c = count[d];
        count[d] = at;
        at += c;
    }
    for (size_t i = 0; i < n; i++) to[count[from[i].key >> shift & 2047]++] = from[i];
}

static void insert_pairs(struct pair *p, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        struct pair v = p[i];
        size_t j = i;
        for (; j && p[j - 1].key > v.key; j--) p[j] = p[j - 1];
        p[j] = v;
    }
}

int qs_sort_pairs(const float *x, const float *w, size_t n, float *out, double *wout, size_t *kept,
                  const qs_ctl *ctl, qs_err *err)
{
    size_t bytes;
    struct pair *a = qs_mul(n, 2 * sizeof *a, &bytes) ? qs_big_alloc(bytes) : NULL;
    if (!a) return qs_fail(err, QS_ENOMEM, _("no memory to sort %zu values with weights"), n);
    struct pair *b = a + n;
    size_t m = 0;
    int rc = 0;
    for (size_t i = 0; i < n; i++) {
        a[m] = (struct pair){qs_key(x[i]), w[i]};
        m += qs_key_finite(a[m].key);
    }
    if (m <= INSERTION_MAX) insert_pairs(a, m);
    else
        for (int p = 0; p < 3 && !rc; p++) {
            struct pair *t = a;
            rc = qs_ctl_check(ctl, _("sorting"), p / 3.0, err);
            pass_pairs(a, b, m, 11 * p);
            a = b;
            b = t;
        }
    for (size_t i = 0; i < m; i++) {
        out[i] = qs_key_float(a[i].key);
        wout[i] = a[i].w;
    }
    qs_big_free(a < b ? a : b);
    *kept = m;
    return rc;
}
