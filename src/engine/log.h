/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_ENGINE_LOG_H
#define QS_ENGINE_LOG_H
/*
 * The last lines that were said: a ring of texts, each beginning with its kind
 * ('>' echo, '=' result, '!' error, ' ' print). One thread.
 */
#include <stddef.h>
#include <stdint.h>

#define QS_LOG_LINES 5000
#define QS_LOG_LINE_MAX 4096   /* bytes of a line; what is longer is cut, and says so */

typedef struct qs_log {
    char **line;         /* (QS_LOG_LINES) ring */
    uint64_t count;      /* lines since the start; line i is at i % QS_LOG_LINES */
} qs_log;

void qs_log_clear(qs_log *l);
/* Splits text at newlines; one at the end adds no empty line. Control characters become harmless.  Test: t_board */
void qs_log_add(qs_log *l, char kind, const char *text);
/* The last lines, at most max: their number; *first: the number of the first. */
size_t qs_log_tail(const qs_log *l, size_t max, uint64_t *first);
const char *qs_log_line(const qs_log *l, uint64_t i);

#endif
