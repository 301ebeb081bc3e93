/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/mem.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static void die(void)
{
    fputs("quantscope: out of memory\n", stderr);
    abort();
}

void *qs_xmalloc(size_t n)
{
    void *p = malloc(n ? n : 1);
    if (!p) die();
    return p;
}

void *qs_xcalloc(size_t n, size_t size)
{
    void *p = calloc(n ? n : 1, size ? size : 1);
    if (!p) die();
    return p;
}

void *qs_xrealloc(void *p, size_t n)
{
    void *q = realloc(p, n ? n : 1);
    if (!q) die();
    return q;
}

char *qs_xstrdup(const char *s)
{
    size_t n = strlen(s) + 1;
    return memcpy(qs_xmalloc(n), s, n);
}

char *qs_xasprintf(const char *fmt, ...)
{
    va_list ap;
    char *s = NULL;
    va_start(ap, fmt);
    int n = vasprintf(&s, fmt, ap);
    va_end(ap);
    if (n < 0) die();
    return s;
}

/* ---- big blocks ----------------------------------------------------------
 * A 64-byte header before the block says how long the mapping is (0: malloc).
 * Freed mappings wait in a short list, so that the pages of the last index
 * serve the next one. */
#define BIG_MIN ((size_t)2 << 20)
#define KEEP_BYTES ((size_t)1 << 30)
#define KEEP_MAX 16
#define HEADER 64

struct big { size_t map; };

static struct {
    pthread_mutex_t mu;
    struct big *b[KEEP_MAX];
    int n;
    size_t bytes;
} kept = {.mu = PTHREAD_MUTEX_INITIALIZER};

static struct big *take_kept(size_t need)
{
    struct big *found = NULL;
    pthread_mutex_lock(&kept.mu);
    for (int i = 0; i < kept.n && !found; i++)
        if (kept.b[i]->map >= need && kept.b[i]->map <= need + need / 2) {
            found = kept.b[i];
            kept.bytes -= found->map;
            kept.b[i] = kept.b[--kept.n];
        }
    pthread_mutex_unlock(&kept.mu);
    return found;
}

void *qs_big_alloc(size_t n)
{
    if (n > SIZE_MAX / 2) return NULL;
    if (n < BIG_MIN) {
        char *p = aligned_alloc(64, (n + HEADER + 63) / 64 * 64);
        if (!p) return NULL;
        ((struct big *)p)->map = 0;
        return p + HEADER;
    }
    size_t map = (n + HEADER + BIG_MIN - 1) / BIG_MIN * BIG_MIN;
    struct big *b = take_kept(map);
    if (!b) {
        b = mmap(NULL, map, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (b == MAP_FAILED) {   /* perhaps only what is kept is in the way */
            qs_big_trim();
            b = mmap(NULL, map, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        }
        if (b == MAP_FAILED) return NULL;
        madvise(b, map, MADV_HUGEPAGE);
        b->map = map;
    }
    return (char *)b + HEADER;
}

void qs_big_free(void *p)
{
    if (!p) return;
    struct big *b = (struct big *)((char *)p - HEADER);
    if (!b->map) {
        free(b);
        return;
    }
    pthread_mutex_lock(&kept.mu);
    bool keep = kept.n < KEEP_MAX && kept.bytes + b->map <= KEEP_BYTES;
    if (keep) {
        kept.b[kept.n++] = b;
        kept.bytes += b->map;
    }
    pthread_mutex_unlock(&kept.mu);
    if (!keep) munmap(b, b->map);
}

void qs_big_keep(size_t bytes)
{
    pthread_mutex_lock(&kept.mu);
    while (kept.n && kept.bytes > bytes) {
        struct big *b = kept.b[--kept.n];
        kept.bytes -= b->map;
        munmap(b, b->map);
    }
    pthread_mutex_unlock(&kept.mu);
}

void qs_big_trim(void) { qs_big_keep(0); }

/* ---- strings --------------------------------------------------------------- */
void qs_str_addn(qs_str *b, const char *s, size_t n)
{
    if (b->n + n + 1 > b->cap) {
        b->cap = (b->n + n + 1) * 2;
        b->s = qs_xrealloc(b->s, b->cap);
    }
    memcpy(b->s + b->n, s, n);
    b->n += n;
    b->s[b->n] = '\0';
}

void qs_str_add(qs_str *b, const char *s) { qs_str_addn(b, s, strlen(s)); }

void qs_str_addf(qs_str *b, const char *fmt, ...)
{
    va_list ap;
    char *s = NULL;
    va_start(ap, fmt);
    int n = vasprintf(&s, fmt, ap);
    va_end(ap);
    if (n < 0) die();
    qs_str_addn(b, s, (size_t)n);
    free(s);
}
