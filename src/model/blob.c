/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Bytes that tensors borrow: files mapped read-only, or memory of ours. Knows nothing of what the bytes mean.
 *
 * A file that another program cuts short while it is mapped makes reading it a SIGBUS; nobody who maps files can
 * prevent that, and copying a model of gigabytes to be safe from it costs more than it gives. So mappings are guarded
 * (base/guard.h): what is gone reads as zeros, and qs_blob_check says so.
 */
#include "model/tensor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"

static void unmap(qs_blob *b)
{
    qs_guard_remove(&b->guard);
    munmap((void *)(uintptr_t)b->data, b->size);
}

static void release_mem(qs_blob *b) { qs_big_free((void *)(uintptr_t)b->data); }

static qs_blob *blob(const void *data, size_t size, const char *path, void (*release)(qs_blob *))
{
    qs_blob *b = qs_xcalloc(1, sizeof *b);
    b->refs = 1;
    b->data = data;
    b->size = size;
    b->path = path ? qs_xstrdup(path) : NULL;
    b->release = release;
    return b;
}

static int check_file(int fd, const char *path, struct stat *st, qs_err *err)
{
    if (fstat(fd, st)) return qs_fail(err, QS_EIO, "%s: %s", path, strerror(errno));
    if (S_ISDIR(st->st_mode)) return qs_fail(err, QS_EIO, _("%s: is a folder"), path);
    if (!S_ISREG(st->st_mode)) return qs_fail(err, QS_EIO, _("%s: not a regular file"), path);
    if (!st->st_size) return qs_fail(err, QS_EFORMAT, _("%s: the file is empty"), path);
    if ((uintmax_t)st->st_size > PTRDIFF_MAX) return qs_fail(err, QS_ENOMEM, _("%s: too large to map"), path);
    return 0;
}

qs_blob *qs_blob_map(const char *path, qs_err *err)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe with no writer must not hang us */
    if (fd < 0) {
        qs_fail(err, QS_EIO, "%s: %s", path, strerror(errno));
        return NULL;
    }
    qs_blob *b = NULL;
    if (!check_file(fd, path, &st, err)) {
        void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p == MAP_FAILED)
            qs_fail(err, QS_EIO, _("%s: cannot map: %s"), path, strerror(errno));
        else {
            b = blob(p, (size_t)st.st_size, path, unmap);
            b->dev = st.st_dev;
            b->ino = st.st_ino;
            qs_guard_add(&b->guard, p, b->size);
        }
    }
    close(fd);
    return b;
}

qs_blob *qs_blob_new(size_t n, qs_err *err)
{
    void *p = qs_big_alloc(n ? n : 1);
    if (!p) {
        qs_fail(err, QS_ENOMEM, _("%zu bytes of memory could not be had"), n);
        return NULL;
    }
    memset(p, 0, n); /* recycled blocks are not zero */
    return blob(p, n, NULL, release_mem);
}

int qs_blob_check(const qs_blob *b, qs_err *err)
{
    struct stat st;
    if (!b || !b->path) return 0;
    /* Behind its end the last page of a file is zeros, without a fault. Another file of that name is not ours. */
    bool cut = !stat(b->path, &st) && st.st_dev == b->dev && st.st_ino == b->ino && (uintmax_t)st.st_size < b->size;
    if (!cut && !qs_guard_lost(&b->guard)) return 0;
    return qs_fail(err, QS_EIO, _("%s: was cut short, or cannot be read any more, since it was opened"), b->path);
}

void *qs_blob_mem(qs_blob *b) { return b->path ? NULL : (void *)(uintptr_t)b->data; }

qs_blob *qs_blob_ref(qs_blob *b)
{
    atomic_fetch_add(&b->refs, 1);
    return b;
}

void qs_blob_unref(qs_blob *b)
{
    if (!b || atomic_fetch_sub(&b->refs, 1) != 1) return;
    if (b->release) b->release(b);
    free(b->path);
    free(b);
}
