/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_BASE_MEM_H
#define QS_BASE_MEM_H
/*
 * Memory. Small allocations abort when they fail (there is nothing sensible to
 * do); sizes that come from a file or a user go through qs_big_alloc, which
 * returns NULL. Huge pages matter: first touch of fresh 4 KiB pages costs more
 * than most of our arithmetic.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void *qs_xmalloc(size_t n);                 /* never NULL; n = 0 allowed */
void *qs_xcalloc(size_t n, size_t size);    /* zeroed; aborts on overflow */
void *qs_xrealloc(void *p, size_t n);
char *qs_xstrdup(const char *s);
char *qs_xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* *out = a * b; false if it does not fit. */
static inline bool qs_mul(size_t a, size_t b, size_t *out) { return !__builtin_mul_overflow(a, b, out); }

/*
 * A block of at least n bytes, 64-byte aligned, contents unspecified; NULL if it cannot be had.
 * From 2 MiB on it is mapped with huge pages and recycled: qs_big_free keeps up to
 * 1 GiB of blocks for the next request of about the same size. Thread: any.
 */
void *qs_big_alloc(size_t n);
void qs_big_free(void *p);          /* NULL allowed */
void qs_big_keep(size_t bytes);     /* gives kept blocks back to the system until at most so much is kept */
void qs_big_trim(void);             /* gives all of them back */

/* A growing string; zero-initialize, free s when done. */
typedef struct qs_str {
    char *s;     /* NUL-terminated once anything was added, else NULL */
    size_t n;    /* bytes without the NUL */
    size_t cap;
} qs_str;
void qs_str_add(qs_str *b, const char *s);
void qs_str_addn(qs_str *b, const char *s, size_t n);
void qs_str_addf(qs_str *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
