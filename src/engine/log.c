/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The ring of log lines. Knows text only. */
#include "engine/log.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static const char cut_here[] = "…";

/* The longest prefix of s, at most max bytes, that does not end inside a UTF-8 sequence. */
static size_t whole(const char *s, size_t n, size_t max)
{
    if (n <= max) return n;
    while (max && ((unsigned char)s[max] & 0xc0) == 0x80) max--;
    return max;
}

/* Control characters would move the screen's cursor; a tab is four blanks everywhere. */
static void add_clean(qs_str *b, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c == '\t') qs_str_add(b, "    ");
        else if (c < 32 || c == 127) { if (c != '\r') qs_str_add(b, "?"); }
        else qs_str_addn(b, s + i, 1);
    }
}

static void add_line(qs_log *l, char kind, const char *s, size_t n)
{
    qs_str b = {0};
    size_t keep = whole(s, n, QS_LOG_LINE_MAX);
    qs_str_addn(&b, &kind, 1);
    add_clean(&b, s, keep);
    if (keep < n) qs_str_add(&b, cut_here);
    if (!l->line) l->line = qs_xcalloc(QS_LOG_LINES, sizeof *l->line);
    char **at = &l->line[l->count++ % QS_LOG_LINES];
    free(*at);
    *at = b.s;
}

void qs_log_add(qs_log *l, char kind, const char *text)
{
    for (;;) {
        size_t n = strcspn(text, "\n");
        add_line(l, kind, text, n);
        if (!text[n] || !text[n + 1]) return;
        text += n + 1;
    }
}

size_t qs_log_tail(const qs_log *l, size_t max, uint64_t *first)
{
    if (max > QS_LOG_LINES) max = QS_LOG_LINES;
    size_t n = l->count < max ? (size_t)l->count : max;
    *first = l->count - n;
    return n;
}

const char *qs_log_line(const qs_log *l, uint64_t i) { return l->line[i % QS_LOG_LINES]; }

void qs_log_clear(qs_log *l)
{
    for (size_t i = 0; l->line && i < QS_LOG_LINES; i++) free(l->line[i]);
    free(l->line);
    *l = (qs_log){0};
}
