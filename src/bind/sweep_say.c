/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/text.h"
#include "bind/sweep.h"

/* ---- lines -------------------------------------------------------------------------------------------- */
static void clear_status(qs_sweep_say *y)
{
    if (y->shown) fputs("\r\033[K", stderr);
    y->shown = false;
}

/* What a terminal could take amiss becomes "?". */
static void tame(char *s)
{
    for (; *s; s++) {
        if ((unsigned char)*s < 0x20 || *s == 0x7f) *s = *s == '\t' ? ' ' : '?';
    }
}

/* Takes line over. kind as in qs_session_log. */
static void line(qs_sweep_say *y, char kind, char *text)
{
    tame(text);
    if (y->session) {
        qs_session_log(y->session, kind, text);
    } else {
        clear_status(y);
        fprintf(stderr, "%s\n", text);
    }
    free(text);
}

/* 75 -> "1:15". */
static const char *clock_text(double s, char out[24])
{
    long t = s < 3.6e8 ? lrint(s) : 360000000;
    if (t < 3600) snprintf(out, 24, "%ld:%02ld", t / 60, t % 60);
    else snprintf(out, 24, "%ld:%02ld:%02ld", t / 3600, t / 60 % 60, t % 60);
    return out;
}

static size_t bad(const qs_tally *t) { return t->failed + t->killed + t->timeout + t->kept; }
static size_t over(const qs_tally *t) { return t->before + t->done + bad(t); }

/* ---- begin, cells, end ------------------------------------------------------------------------------------ */
static void begins(void *ctx, const qs_tally *t, int jobs)
{
    qs_sweep_say *y = ctx;
    size_t left = t->cells - t->before - t->kept;
    if (y->quiet) return;
    if (!left && t->kept)
        line(y, '!', qs_xasprintf(_("sweep %s: %zu of %zu cells are done in %s, %zu failed and are kept"), y->name, t->before, t->cells,
                                  y->db, t->kept));
    else if (!left)
        line(y, ' ', qs_xasprintf(_("sweep %s: all of %zu cells are done in %s"), y->name, t->cells, y->db));
    else if (y->here)
        line(y, ' ', qs_xasprintf(_("sweep %s: %zu of %zu cells to run here, one after the other, since it is in no file; "
                                    "results in %s"), y->name, left, t->cells, y->db));
    else
        line(y, ' ', qs_xasprintf(_("sweep %s: %zu of %zu cells to run, %d at a time; results in %s"), y->name, left, t->cells, jobs,
                                  y->db));
}

static void ended(void *ctx, const qs_tally *t, const qs_sweep_cell *c, const qs_outcome *o)
{
    enum { METRICS = 4 };
    qs_sweep_say *y = ctx;
    bool good = o->status == QS_TRIAL_DONE;
    if (y->quiet || (good && (y->tty || y->session))) return;
    char *text = qs_sweep_cell_text(c);
    qs_str out = {0};
    qs_str_addf(&out, "[%zu/%zu] %s: %s", over(t), t->cells, text, _(qs_trial_status_name[o->status]));
    if (o->error) {
        qs_str_addf(&out, ": %s", o->error);
        for (char *p = out.s; (p = strchr(p, '\n'));) *p = ' ';
    }
    qs_str_addf(&out, ", %.3g s", o->seconds);
    for (size_t i = 0; good && i < o->nmetric && i < METRICS; i++)
        qs_str_addf(&out, ", %s %.5g", o->metric[i].name, o->metric[i].x);
    if (good && o->nmetric > METRICS) qs_str_add(&out, ", ...");
    free(text);
    line(y, good ? ' ' : '!', out.s);
}

static void said(void *ctx, const qs_sweep_cell *c, const char *what)
{
    char *text = qs_sweep_cell_text(c);
    line(ctx, ' ', qs_xasprintf("%s | %s", text, what));
    free(text);
}

/* "13/50 done, 1 failed, 2 running, 0.52/s, 1:10 left". */
static char *status_text(const qs_tally *t)
{
    char left[24];
    qs_str out = {0};
    qs_str_addf(&out, _("%zu/%zu done"), t->before + t->done, t->cells);
    if (bad(t)) qs_str_addf(&out, _(", %zu failed"), bad(t));
    qs_str_addf(&out, _(", %zu running"), t->running);
    if (t->elsewhere) qs_str_addf(&out, _(", %zu in other processes"), t->elsewhere);
    double now = (double)(over(t) - t->before - t->kept) + t->part, rate = t->seconds > 0 ? now / t->seconds : 0;
    if (rate > 0 && t->seconds > 1) {
        qs_str_addf(&out, rate < 0.1 ? _(", %.3g/min") : _(", %.3g/s"), rate < 0.1 ? 60 * rate : rate);
        qs_str_addf(&out, _(", %s left"), clock_text(((double)(t->cells - over(t)) - t->part) / rate, left));
    }
    if (t->doing && *t->doing) qs_str_addf(&out, "  %s", t->doing);
    tame(out.s);
    return out.s;
}

static int columns(void)
{
    struct winsize w;
    return !ioctl(STDERR_FILENO, TIOCGWINSZ, &w) && w.ws_col > 1 ? w.ws_col - 1 : 79;
}

/* Cut at a character of UTF-8. */
static void cut(char *s, size_t most)
{
    if (strlen(s) <= most) return;
    while (most && ((unsigned char)s[most] & 0xc0) == 0x80) most--;
    s[most] = '\0';
}

static int tick(void *ctx, const qs_tally *t)
{
    qs_sweep_say *y = ctx;
    char *text = status_text(t);
    int rc = 0;
    if (y->session) {
        rc = qs_ctl_check(qs_session_ctl(y->session), text, t->cells ? (double)over(t) / (double)t->cells : -1, NULL);
    } else if (y->tty && !y->quiet) {
        cut(text, (size_t)columns());
        fprintf(stderr, "\r\033[K%s", text);
        fflush(stderr);
        y->shown = true;
    }
    free(text);
    return rc;
}

void qs_sweep_say_end(qs_sweep_say *y, const qs_tally *t, int rc)
{
    size_t left = t->cells - over(t);
    qs_str out = {0};
    clear_status(y);
    if (y->quiet || (!t->cells && rc) || (!rc && t->before + t->kept == t->cells)) return;      /* what there was to say is said */
    qs_str_addf(&out, _("sweep %s: %zu of %zu cells done"), y->name, t->before + t->done, t->cells);
    if (t->before) qs_str_addf(&out, _(" (%zu before)"), t->before);
    if (t->failed + t->kept) qs_str_addf(&out, _(", %zu failed"), t->failed + t->kept);
    if (t->killed) qs_str_addf(&out, _(", %zu killed"), t->killed);
    if (t->timeout) qs_str_addf(&out, _(", %zu took too long"), t->timeout);
    if (left) qs_str_addf(&out, _(", %zu left"), left);
    qs_str_addf(&out, _("; %.3g s; %s"), t->seconds, y->db);
    if (rc == -QS_ECANCEL) qs_str_add(&out, _("; the same command goes on from there"));
    else if (rc) qs_str_add(&out, _("; what is done is safe, the same command goes on from there"));
    else if (bad(t)) qs_str_add(&out, _("; the same command tries the others again"));
    line(y, rc || bad(t) ? '!' : ' ', out.s);
}

/* ---- set up ------------------------------------------------------------------------------------------------ */
void qs_sweep_say_init(qs_sweep_say *y, const char *name, const char *db, qs_session *s, bool here)
{
    const char *term = getenv("TERM");
    bool on_screen = s && qs_session_on_screen(s);
    *y = (qs_sweep_say){.name = name, .db = db, .session = on_screen ? s : NULL, .here = here};
    y->tty = !on_screen && isatty(STDERR_FILENO) && term && strcmp(term, "dumb");
}

qs_sweep_watch qs_sweep_say_watch(qs_sweep_say *y)
{
    return (qs_sweep_watch){.begins = begins, .ended = ended, .said = said, .tick = tick, .ctx = y};
}
