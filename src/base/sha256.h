/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_BASE_SHA256_H
#define QS_BASE_SHA256_H
/*
 * SHA-256, to tell whether a file is the one it was: 3 ns a byte.
 * Source: FIPS 180-4. Test: tests/unit/t_base.c (its examples).
 */
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define QS_SHA256_TEXT 65      /* 64 hexadecimal digits and the NUL */

typedef struct qs_sha256 {
    uint32_t h[8];
    uint64_t n;                /* bytes so far */
    unsigned char block[64];   /* the last n % 64 of them */
} qs_sha256;

void qs_sha256_init(qs_sha256 *s);
void qs_sha256_add(qs_sha256 *s, const void *data, size_t n);
/* Ends it; returns out. */
const char *qs_sha256_text(qs_sha256 *s, char out[QS_SHA256_TEXT]);

/* All bytes of a file. 0, or EIO with its name. */
int qs_sha256_file(const char *path, char out[QS_SHA256_TEXT], qs_err *err);

#endif
