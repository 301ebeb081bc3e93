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

/* What a file is filled with. */
typedef struct filling { int (*fill)(FILE *f, void *ctx, qs_err *err); void *ctx; } filling;

/* Writes and closes. */
static int fill_file(int fd, const filling *w, qs_err *err)
{
    FILE *f = fdopen(fd, "wb");
    if (!f) {
        int why = errno;
        close(fd);
        return qs_fail(err, QS_EIO, "%s", strerror(why));
    }
    int rc = w->fill(f, w->ctx, err);
    return fclose(f) && !rc ? qs_fail(err, QS_EIO, "%s", strerror(errno)) : rc;
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

static int name_failed(bool fresh, qs_err *err)
{
    if (fresh && errno == EEXIST) return qs_fail(err, QS_ESTATE, _("it is there already"));
    return qs_fail(err, QS_EIO, "%s", strerror(errno));
}

/* A file in the folder of path that has no name yet, so that nothing is left of it however the program ends; *kept: the
 * same, for call_it. -1: this file system has none. */
static int open_nameless(const char *path, int *kept)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash ? qs_xasprintf("%.*s", (int)(slash - path) + 1, path) : qs_xstrdup(".");
    int fd = access("/proc/self/fd", X_OK) ? -1 : open(folder, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666);
    *kept = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
    free(folder);
    if (*kept >= 0) return fd;
    if (fd >= 0) close(fd);
    return -1;
}

static bool call_it(int kept, const char *name)
{
    char self[32];
    snprintf(self, sizeof self, "/proc/self/fd/%d", kept);
    return linkat(AT_FDCWD, self, AT_FDCWD, name, AT_SYMLINK_FOLLOW) == 0;
}

static int write_beside(const char *path, const filling *w, bool fresh, qs_err *err)
{
    static atomic_uint counter;
    char *tmp = qs_xasprintf("%s.tmp%ld-%u", path, (long)getpid(), atomic_fetch_add(&counter, 1));
    int kept, fd = open_nameless(path, &kept);
    if (fd < 0) fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    bool named = fd >= 0 && kept < 0;
    int rc = fd < 0 ? qs_fail(err, QS_EIO, "%s", strerror(errno)) : fill_file(fd, w, err);
    if (!rc && !named && !(named = call_it(kept, tmp))) rc = qs_fail(err, QS_EIO, "%s", strerror(errno));
    if (!rc && !give_name(tmp, path, fresh)) rc = name_failed(fresh, err);
    if (named && rc) unlink(tmp);
    if (kept >= 0) close(kept);
    free(tmp);
    return rc;
}

static int write_straight(const char *path, const filling *w, qs_err *err)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    return fd < 0 ? qs_fail(err, QS_EIO, "%s", strerror(errno)) : fill_file(fd, w, err);
}

int qs_file_fill(const char *path, int (*fill)(FILE *f, void *ctx, qs_err *err), void *ctx, bool fresh, qs_err *err)
{
    struct stat st;
    const filling w = {fill, ctx};
    bool there = stat(path, &st) == 0;
    int rc = there && fresh ? qs_fail(err, QS_ESTATE, _("it is there already"))
             : there && !S_ISREG(st.st_mode) ? write_straight(path, &w, err) : write_beside(path, &w, fresh, err);
    return rc ? qs_fail_prefix(err, "%s", path) : 0;
}

typedef struct bytes { const void *p; size_t n; } bytes;

static int write_bytes(FILE *f, void *ctx, qs_err *err)
{
    const bytes *b = ctx;
    return b->n && fwrite(b->p, 1, b->n, f) != b->n ? qs_fail(err, QS_EIO, "%s", strerror(errno)) : 0;
}

int qs_file_write(const char *path, const void *data, size_t n, bool fresh, qs_err *err)
{
    return qs_file_fill(path, write_bytes, &(bytes){data, n}, fresh, err);
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
