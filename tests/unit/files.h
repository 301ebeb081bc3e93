/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_TESTS_FILES_H
#define QS_TESTS_FILES_H
/* For tests that write files: a folder of their own, and models from bytes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "model/model.h"

/* A new folder; the test removes what it wrote with rm_dir. */
__attribute__((unused)) static char *tmp_dir(void)
{
    const char *base = getenv("TMPDIR");
    char *d = qs_xasprintf("%s/qs-test-XXXXXX", base && *base ? base : "/tmp");
    return mkdtemp(d);
}

__attribute__((unused)) static char *in_dir(const char *dir, const char *name) { return qs_xasprintf("%s/%s", dir, name); }

__attribute__((unused)) static char *in_source(const char *name)
{
    const char *top = getenv("top_srcdir");
    return qs_xasprintf("%s/%s", top ? top : ".", name);
}

__attribute__((unused)) static bool write_bytes(const char *path, const void *p, size_t n)
{
    FILE *f = fopen(path, "wb");
    bool good = f && fwrite(p, 1, n, f) == n;
    return f && !fclose(f) && good;
}

/* Opens bytes as the file `path`; a new one each time, since some file systems wait for the disk where one is cut and written again. */
__attribute__((unused)) static qs_model *open_bytes(const char *path, const void *p, size_t n, qs_err *err)
{
    *err = (qs_err){0};
    unlink(path);
    return write_bytes(path, p, n) ? qs_model_open(path, err) : NULL;
}

#endif
