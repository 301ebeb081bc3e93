/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_TESTS_ZIPS_H
#define QS_TESTS_ZIPS_H
/* For tests that write zip files, right ones and wrong ones. */
#include <stdlib.h>

#include "base/mem.h"

typedef struct zip_entry {
    const char *name;
    const void *data;
    size_t n;
    unsigned method, flags;   /* 0 stored, 8 deflated; 1 encrypted */
    size_t size;              /* claimed; 0: n */
    unsigned crc;
    bool wide;                /* sizes in a zip64 field */
    size_t at;                /* of the local header; 0: where it is. 1: at the first one */
} zip_entry;

/* The rest of the fields by name. */
#define ENTRY(name_, data_, n_, ...) {.name = name_, .data = data_, .n = n_, __VA_ARGS__}

static void zip_number(qs_str *s, unsigned long long x, int bytes)
{
    for (int i = 0; i < bytes; i++) qs_str_addn(s, (const char[]){(char)(i < 8 ? x >> 8 * i : 0)}, 1);
}

static void zip_central(qs_str *dir, const zip_entry *e, size_t at)
{
    size_t size = e->size ? e->size : e->n, name = strlen(e->name);
    zip_number(dir, 0x02014b50, 4);
    zip_number(dir, 20 | 20 << 16, 4);
    zip_number(dir, e->flags | e->method << 16, 4);
    zip_number(dir, 0, 4);
    zip_number(dir, e->crc, 4);
    zip_number(dir, e->wide ? 0xffffffff : e->n, 4);
    zip_number(dir, e->wide ? 0xffffffff : size, 4);
    zip_number(dir, name | (e->wide ? 20 : 0) << 16, 4);
    zip_number(dir, 0, 10);
    zip_number(dir, e->at == 1 ? 0 : e->at ? e->at : at, 4);
    qs_str_addn(dir, e->name, name);
    if (!e->wide) return;
    zip_number(dir, 1 | 16 << 16, 4);
    zip_number(dir, size, 8);
    zip_number(dir, e->n, 8);
}

/* The whole file, in s. */
__attribute__((unused)) static void zip_make(qs_str *s, const zip_entry *e, size_t n)
{
    qs_str dir = {0};
    for (size_t i = 0; i < n; i++) {
        zip_central(&dir, &e[i], s->n);
        zip_number(s, 0x04034b50, 4);
        zip_number(s, 0, 14);
        zip_number(s, 0, 8);
        zip_number(s, strlen(e[i].name), 4);
        qs_str_add(s, e[i].name);
        qs_str_addn(s, e[i].data, e[i].n);
    }
    size_t at = s->n;
    if (dir.n) qs_str_addn(s, dir.s, dir.n);
    zip_number(s, 0x06054b50, 4);
    zip_number(s, 0, 4);
    zip_number(s, n | n << 16, 4);
    zip_number(s, dir.n, 4);
    zip_number(s, at, 4);
    zip_number(s, 0, 2);
    free(dir.s);
}

#endif
