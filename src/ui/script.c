/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * QUANTSCOPE_SCRIPT: keys from a file, for demonstrations and screen tests.
 *
 *     key NAME      a key by its name, or a character     type TEXT   the rest of the line as keys
 *     wait idle|MS  until nothing runs any more; a while  capture FILE  the screen as text, UTF-8
 *     quit          ends as q does                        # a comment
 *
 * Knows keys and the clock; a line that is wrong ends the program with its number.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "ui/screen.h"

#define QUIET 0.12            /* seconds without news that count as idle */

static struct {
    FILE *f;
    char *path;
    unsigned line;
    double until;             /* waiting for a time; 0: not */
    bool idle;                /* waiting for quiet */
    double quiet_since;
    uint64_t seq;
} sc;

int qs_script_open(const char *path, qs_err *err)
{
    sc.f = fopen(path, "re");
    if (!sc.f) return qs_fail(err, QS_EIO, _("%s: %s"), path, strerror(errno));
    sc.path = qs_xstrdup(path);
    return 0;
}

bool qs_script_active(void) { return sc.f != NULL; }

void qs_script_close(void)
{
    if (sc.f) fclose(sc.f);
    free(sc.path);
    memset(&sc, 0, sizeof sc);
}

/* ---- actions ------------------------------------------------------------------------------ */

static int wrong(qs_err *err, const char *what) { return qs_fail(err, QS_EARG, "%s:%u: %s", sc.path, sc.line, what); }

static void press(qs_ui *u, int key)
{
    char b[16];
    if (!u->con_focus) { qs_ui_key(u, key); return; }
    qs_key_bytes(key, b);
    qs_ui_console_bytes(u, b, strlen(b));
}

static int do_key(qs_ui *u, const char *arg, qs_err *err)
{
    int key = qs_key_of(arg);
    if (key < 0) {
        char t[200];
        snprintf(t, sizeof t, _("no key is called \"%s\""), arg);
        return wrong(err, t);
    }
    if (key == QS_K_CTRL('c')) {
        qs_jobs_cancel(u->o->jobs);
        qs_ui_interrupt(u);
    } else {
        press(u, key);
    }
    return 0;
}

static int do_type(qs_ui *u, const char *arg, qs_err *err)
{
    (void)err;
    for (wchar_t c; (c = qs_utf8_next(&arg));) press(u, (int)c);
    return 0;
}

static int do_wait(qs_ui *u, const char *arg, qs_err *err)
{
    char *end;
    double ms = strtod(arg, &end);
    (void)u;
    if (!strcmp(arg, "idle")) {
        sc.idle = true;
        sc.quiet_since = qs_now();
        return 0;
    }
    if (end == arg || *end || !(ms >= 0)) return wrong(err, _("wait wants \"idle\" or milliseconds"));
    sc.until = qs_now() + ms / 1000;
    return 0;
}

static int do_capture(qs_ui *u, const char *arg, qs_err *err)
{
    if (!*arg) return wrong(err, _("capture wants a file"));
    qs_ui_draw_now(u);
    char *text = qs_cells_string(&u->g);
    FILE *f = fopen(arg, "we");
    bool bad = !f || fputs(text, f) == EOF;
    if (f && fclose(f)) bad = true;
    free(text);
    return bad ? qs_fail(err, QS_EIO, "%s:%u: %s: %s", sc.path, sc.line, arg, strerror(errno)) : 0;
}

static int do_quit(qs_ui *u, const char *arg, qs_err *err)
{
    (void)arg;
    (void)err;
    u->quit = 0;
    return 0;
}

static const struct { const char *name; int (*fn)(qs_ui *, const char *, qs_err *); } actions[] = {
    {"key", do_key}, {"type", do_type}, {"wait", do_wait}, {"capture", do_capture}, {"quit", do_quit},
};

static int do_line(qs_ui *u, char *s, qs_err *err)
{
    s += strspn(s, " \t");
    size_t n = strcspn(s, " \t");
    if (!*s || *s == '#') return 0;
    const char *arg = s[n] ? s + n + 1 : s + n;
    s[n] = 0;
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++)
        if (!strcmp(actions[i].name, s)) return actions[i].fn(u, arg, err);
    char t[200];
    snprintf(t, sizeof t, _("\"%s\": key, type, wait, capture or quit"), s);
    return wrong(err, t);
}

/* ---- time --------------------------------------------------------------------------------------- */

/* Milliseconds still to wait, 0: go on. */
static int waiting(qs_ui *u)
{
    double now = qs_now();
    if (sc.until > now) return (int)((sc.until - now) * 1000) + 1;
    sc.until = 0;
    if (!sc.idle) return 0;
    uint64_t seq = u->s ? u->s->seq : 0;
    if (seq != sc.seq || !qs_ui_idle(u)) {
        sc.seq = seq;
        sc.quiet_since = now;
    }
    if (now - sc.quiet_since < QUIET) return 20;
    sc.idle = false;
    return 0;
}

int qs_script_step(qs_ui *u, qs_err *err)
{
    int ms = waiting(u);
    char *line = NULL;
    size_t cap = 0;
    if (ms > 0) return ms;
    ssize_t n = getline(&line, &cap, sc.f);
    if (n < 0) {
        free(line);
        qs_script_close();               /* the user goes on where the script ends */
        return 1;
    }
    sc.line++;
    while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r')) line[--n] = 0;
    int bad = do_line(u, line, err);
    free(line);
    return bad ? -1 : 0;
}
