/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_BASE_FILE_H
#define QS_BASE_FILE_H
/* Files as a whole: read, or written so that they are either wholly there or not at all. */
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/err.h"

/*
 * Writes n bytes as the file path: beside it first, renamed when all is on its way, so that a failure (no such folder, no
 * right to write, disk full) leaves what was there before, and no half file. Until then it has no name, where the file system
 * can do that (ext4, xfs, btrfs, tmpfs): the end of the program, even kill -9, leaves nothing either. fresh: a file of that name is an error and stays.
 * What is no regular file (a terminal, /dev/full) is written straight.
 * Returns 0; EIO, with the path and the system's reason. ESTATE: fresh, and the name is taken.  Thread: any.  Test: t_paper
 */
int qs_file_write(const char *path, const void *data, size_t n, bool fresh, qs_err *err);

/* The same for what is not in memory as one piece: fill writes it to f; its errors get the path in front. */
int qs_file_fill(const char *path, int (*fill)(FILE *f, void *ctx, qs_err *err), void *ctx, bool fresh, qs_err *err);

/* All bytes of a file, malloc'd, with a NUL behind them; *n without it. NULL: EIO, with the path and the system's reason. */
char *qs_file_read(const char *path, size_t *n, qs_err *err);

/* Whether s ends in ending and is longer ("a.svg", ".svg"); letters of either case. */
bool qs_ends_in(const char *s, const char *ending);

#endif
