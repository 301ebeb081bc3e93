/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whole files: written beside and renamed. Knows nothing of what is in them. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"

static bool write_all(int fd, const char *p, size_t n)
{
    while (n) {
        ssize_t w = write(fd, p, n);
        if (w < 0 && errno == EINTR) continue;
        if (w <= 0) return false;
        p += w;
        n -= (size_t)w;
    }
    return true;
}

/* Writes and closes; errno tells what failed. */
static bool fill(int fd, const void *data, size_t n)
{
    bool fine = write_all(fd, data, n);
    int why = errno;
    if (close(fd) && fine) return false;
    errno = why;
    return fine;
}

/* The new name for a file: in place of what has it, or (fresh) only where nothing has. */
static bool give_name(const char *tmp, const char *path, bool fresh)
{
    if (!fresh) return rename(tmp, path) == 0;
    if (renameat2(AT_FDCWD, tmp, AT_FDCWD, path, RENAME_NOREPLACE) == 0) return true;
    if (errno != EINVAL && errno != ENOSYS) return false;
    if (link(tmp, path)) return false;               /* a file system without that call */
    unlink(tmp);
    return true;
}

static bool write_beside(const char *path, const void *data, size_t n, bool fresh)
{
    static atomic_uint counter;
    char *tmp = qs_xasprintf("%s.tmp%ld-%u", path, (long)getpid(), atomic_fetch_add(&counter, 1));
    int fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    bool fine = fd >= 0 && fill(fd, data, n) && give_name(tmp, path, fresh);
    int why = errno;
    if (fd >= 0 && !fine) unlink(tmp);
    free(tmp);
    errno = why;
    return fine;
}

int qs_file_write(const char *path, const void *data, size_t n, bool fresh, qs_err *err)
{
    struct stat st;
    bool there = stat(path, &st) == 0, fine;
    if (there && fresh) return qs_fail(err, QS_ESTATE, _("%s is there already"), path);
    if (there && !S_ISREG(st.st_mode)) {
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        fine = fd >= 0 && fill(fd, data, n);
    } else {
        fine = write_beside(path, data, n, fresh);
    }
    if (fine) return 0;
    if (fresh && errno == EEXIST) return qs_fail(err, QS_ESTATE, _("%s is there already"), path);
    return qs_fail(err, QS_EIO, "%s: %s", path, strerror(errno));
}

bool qs_ends_in(const char *s, const char *ending)
{
    size_t n = strlen(s), e = strlen(ending);
    return n > e && !strcasecmp(s + n - e, ending);
}

char *qs_file_read(const char *path, size_t *n, qs_err *err)
{
    char buf[1 << 14];
    qs_str b = {0};
    FILE *f = fopen(path, "re");
    qs_str_add(&b, "");
    for (size_t k; f && (k = fread(buf, 1, sizeof buf, f)) > 0;) qs_str_addn(&b, buf, k);
    int bad = !f || ferror(f) ? errno : 0;
    if (f) fclose(f);
    *n = b.n;
    if (!bad) return b.s;
    free(b.s);
    qs_fail(err, QS_EIO, "%s: %s", path, strerror(bad));
    return NULL;
}
