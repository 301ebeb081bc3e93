/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The event loop: poll on the keyboard and the wake pipe, news at most every
 * 33 ms, keys and what answers them at once. Owns the state of the screen.
 */
#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "ui/console.h"
#include "ui/screen.h"
#include "ui/term.h"

#define FRAME 0.033

static atomic_int quit_asked = -1;           /* os.exit from any thread */
static _Atomic(qs_jobs *) quit_wakes;

void qs_ui_quit(int code)
{
    atomic_store(&quit_asked, code < 0 ? 1 : code);
    qs_jobs *j = atomic_load(&quit_wakes);
    if (j) qs_jobs_wake(j);
}

void qs_ui_touch(qs_ui *u) { u->dirty = u->fresh = true; }

void qs_ui_say(qs_ui *u, bool bad, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(u->message, sizeof u->message, fmt, ap);
    va_end(ap);
    u->message_bad = bad;
    qs_ui_touch(u);
}

/* ---- what comes from the worker ------------------------------------------------------------- */

/* A line that the worker found unfinished comes back to the prompt, if nothing was sent after it. */
static void find_unfinished(qs_ui *u)
{
    const qs_snapshot *s = u->s;
    for (size_t i = 0; i < s->nlog; i++) {
        unsigned long long id;
        if (s->log_first + i < u->log_seen || s->log[i][0] != '?') continue;
        if (sscanf(s->log[i] + 1, "%llu", &id) == 1 && id == u->sent_id && u->sent_text) {
            qs_console_resume(u->sent_text);
            free(u->sent_text);
            u->sent_text = NULL;
        }
    }
    if (s->log_first + s->nlog > u->log_seen) u->log_seen = s->log_first + s->nlog;
}

/* The status line shows the queue as it is while it is drawn: a line that ends after its last snapshot is news too. */
static void take_queue(qs_ui *u)
{
    uint64_t running = qs_jobs_running(u->o->jobs);
    size_t queued = qs_jobs_queued(u->o->jobs);
    if (running != u->seen_running || queued != u->seen_queued) u->dirty = true;
    u->seen_running = running;
    u->seen_queued = queued;
}

static void take_news(qs_ui *u)
{
    take_queue(u);
    qs_snapshot *s = qs_board_get(u->o->board);
    if (!s) return;
    if (s == u->s || (u->s && s->seq == u->s->seq)) { qs_snapshot_unref(s); return; }
    bool answer = !u->s || s->selection_seq != u->s->selection_seq;
    qs_snapshot_unref(u->s);
    u->s = s;
    u->dirty = true;
    if (answer || s->running == 0) u->fresh = true;
    find_unfinished(u);
    qs_act_news(u);
    qs_export_news(u);
    if (!s->running && !s->doing[0] && u->stage) {
        u->stage = 0;
        u->message[0] = 0;                                  /* "cancelled" is answered by the log */
    }
}

bool qs_ui_idle(const qs_ui *u)
{
    return u->s && qs_jobs_idle(u->o->jobs) && !qs_jobs_queued(u->o->jobs) && !qs_board_pick_waits(u->o->board) && !u->dirty;
}

/* ---- Ctrl-C ------------------------------------------------------------------------------------- */

void qs_ui_interrupt(qs_ui *u)
{
    uint64_t job = qs_jobs_running(u->o->jobs);
    if (u->con_focus) qs_console_cancel();
    if (!job && !(u->s && u->s->doing[0])) {
        u->stage = 0;
        if (u->s && u->s->train && u->s->train->going) qs_ui_say(u, false, "%s", _("training pauses; p in its view goes on"));
        else if (!u->con_focus) qs_ui_say(u, false, "%s", _("nothing runs; q quits"));
        qs_ui_touch(u);
        return;
    }
    if (job != u->stage_job) u->stage = 0;
    u->stage_job = job;
    u->stage++;
    if (u->stage == 1) qs_ui_say(u, false, "%s", _("cancelled; it ends at its next check"));
    else if (u->stage == 2) qs_ui_say(u, true, "%s", _("in a call of a C library, which cannot be stopped; ^C again ends the program"));
    else {
        qs_console_stop();
        qs_term_die();
    }
}

/* ---- keys --------------------------------------------------------------------------------------- */

static void click(qs_ui *u)
{
    int y, x, wheel;
    if (!qs_term_mouse(&y, &x, &wheel)) return;
    if (y >= u->con.y && y < u->con.y + u->con.h) {
        if (wheel) u->con_scroll -= wheel;
        else u->con_focus = true;
        qs_ui_touch(u);
        return;
    }
    for (int v = 0; v < QS_VIEWS; v++) {
        qs_rect r = u->place[v];
        if (y < r.y || y >= r.y + r.h || x < r.x || x >= r.x + r.w) continue;
        const qs_view *view = qs_view_of(v);
        if (wheel && view->wheel) { view->wheel(u, wheel); return; }
        bool was = u->focus == v && !u->con_focus;
        qs_ui_focus(u, v);
        if (view->click && (was || v != QS_V_CURVE)) view->click(u, y, x);     /* a click to focus must not move the step */
    }
}

static void filter_key(qs_ui *u, int key)
{
    char *f = u->list.filter;
    size_t n = strlen(f);
    if (key == QS_K_ENTER) u->pop = QS_POP_NONE;
    else if (key == QS_K_ESC) { f[0] = 0; u->pop = QS_POP_NONE; }
    else if (key == QS_K_CTRL('u')) f[0] = 0;
    else if (key == QS_K_BACKSPACE) {
        while (n > 0 && ((unsigned char)f[n - 1] & 0xC0) == 0x80) n--;
        if (n > 0) f[n - 1] = 0;
    } else if (key >= 32 && key < QS_K_UP && n + 5 < sizeof u->list.filter) qs_utf8_put((wchar_t)key, f + n);
    u->list.top = 0;
    qs_ui_touch(u);
}

void qs_ui_key(qs_ui *u, int key)
{
    u->message[0] = 0;
    u->dirty = u->fresh = true;
    if (key == QS_K_CTRL('l')) { qs_term_refresh(); return; }
    if (u->pop == QS_POP_HELP) { qs_help_key(u, key); return; }
    if (u->pop == QS_POP_MENU) { qs_menu_key(u, key); return; }
    if (u->pop == QS_POP_FILTER) { filter_key(u, key); return; }
    if (u->pop == QS_POP_EXPORT) { qs_export_key(u, key); return; }
    if (u->pop == QS_POP_ASK) {
        u->pop = QS_POP_NONE;
        if (key == 'y' || key == 'Y' || key == 'q') u->quit = 0;
        return;
    }
    if (key == QS_K_MOUSE) { click(u); return; }
    if (u->explain) { qs_explain_key(u, key); return; }
    if (qs_keys_run(&qs_view_of(u->focus)->keys, u, key)) return;
    if (!qs_keys_run(&qs_keys_global, u, key)) qs_ui_say(u, false, "%s", _("no such key here; F1 shows the keys"));
}

/* Bytes typed at the prompt: a few keys are ours, the rest is readline's. */
void qs_ui_console_bytes(qs_ui *u, const char *b, size_t n)
{
    static const struct { const char *bytes; int scroll; } ours[] = {{"\033[5~", 1}, {"\033[6~", -1}};
    u->message[0] = 0;
    qs_ui_touch(u);
    for (size_t i = 0; i < 2; i++)
        if (n == strlen(ours[i].bytes) && !memcmp(b, ours[i].bytes, n)) { u->con_scroll += ours[i].scroll * (u->con.h - 2); return; }
    if (n == 1 && b[0] == QS_K_CTRL('l')) { qs_term_refresh(); return; }
    if (n == 1 && b[0] == QS_K_ESC && !qs_console_vi_insert()) { u->con_focus = false; return; }
    if (n == 3 && !memcmp(b, "\033OP", 3)) { u->pop = QS_POP_HELP; u->con_focus = false; return; }
    if (!qs_console_feed(b, n)) u->con_focus = false;
}

static void line_typed(void *ctx, const char *text)
{
    qs_ui *u = ctx;
    free(u->sent_text);
    u->sent_text = qs_xstrdup(text);
    u->sent_id = qs_jobs_submit(u->o->jobs, text);
    u->con_scroll = 0;
    u->stage = 0;
}

/* Escape alone, or the first byte of a key? What belongs to a key comes within 50 ms. */
static void read_console(qs_ui *u)
{
    char b[4096];
    ssize_t n = read(STDIN_FILENO, b, sizeof b);
    struct pollfd p = {STDIN_FILENO, POLLIN, 0};
    if (n == 1 && b[0] == 27 && poll(&p, 1, 50) == 1) {
        ssize_t m = read(STDIN_FILENO, b + 1, sizeof b - 1);
        if (m > 0) n += m;
    }
    if (n > 0) qs_ui_console_bytes(u, b, (size_t)n);
    else if (n == 0) u->quit = 1;                                   /* the terminal is gone */
}

static void read_keys(qs_ui *u)
{
    bool was = u->con_focus;
    if (was) read_console(u);
    else for (int k; u->quit < 0 && !u->con_focus && (k = qs_term_key()) >= 0;) qs_ui_key(u, k);
    if (was != u->con_focus) qs_term_mouse_on(!u->con_focus);       /* the mouse's bytes are nothing for readline */
}

/* ---- drawing ------------------------------------------------------------------------------------- */

static void resize(qs_ui *u)
{
    qs_term_size(&u->h, &u->w);
    if (u->g.h == u->h && u->g.w == u->w) return;
    qs_cells_free(&u->g);
    qs_cells_init(&u->g, u->h, u->w);
    qs_console_resize(u->h, u->w > 10 ? u->w : 10);
    qs_ui_touch(u);
}

void qs_ui_draw_now(qs_ui *u)
{
    resize(u);
    take_queue(u);
    qs_ui_draw(u);
    if (u->ascii) qs_cells_ascii(&u->g);
    qs_term_show(&u->g, u->cur_y, u->cur_x);
    u->dirty = u->fresh = false;
    qs_board_want(u->o->board);
}

static void signals(qs_ui *u)
{
    qs_signals *g = &qs_term_signals;
    if (g->intr) { g->intr = 0; qs_ui_interrupt(u); }
    if (g->term) u->quit = 128 + g->term;
    if (g->stop) { g->stop = 0; qs_term_suspend(); }
    if (g->winch || g->cont) {
        if (g->cont) qs_term_refresh();
        g->winch = g->cont = 0;
        qs_ui_touch(u);
    }
    int q = atomic_load(&quit_asked);
    if (q >= 0) u->quit = q;
}

static int run_loop(qs_ui *u, qs_err *err)
{
    double last = 0;
    int wake = qs_jobs_wake_fd(u->o->jobs);
    while (u->quit < 0) {
        double now = qs_now();
        int wait = -1;
        if (u->dirty && (u->fresh || now - last >= FRAME)) {
            qs_ui_draw_now(u);
            last = now;
        }
        if (u->dirty) wait = (int)ceil((FRAME - (now - last)) * 1000);
        if (qs_script_active()) {
            int ms = qs_script_step(u, err);
            if (ms < 0) return 1;
            if (u->fresh || u->quit >= 0) continue;
            wait = wait < 0 || ms < wait ? ms : wait;
        }
        struct pollfd p[2] = {{STDIN_FILENO, POLLIN, 0}, {wake, POLLIN, 0}};
        int r = poll(p, 2, wait < 0 ? -1 : wait);
        if (r < 0 && errno != EINTR) break;
        signals(u);
        if (r > 0 && p[1].revents) {
            char b[256];
            while (read(wake, b, sizeof b) > 0) {}
            take_news(u);
        }
        if (r > 0 && p[0].revents & (POLLHUP | POLLERR)) u->quit = 1;
        else if (r > 0 && p[0].revents & POLLIN) read_keys(u);
    }
    return u->quit < 0 ? 1 : u->quit;
}

/* ---- start and end ----------------------------------------------------------------------------------- */

static bool charset(qs_ui *u, qs_err *err)
{
    static const struct { const char *name; qs_charset cs; } sets[] = {{"braille", QS_BRAILLE}, {"block", QS_BLOCK}, {"ascii", QS_ASCII}};
    bool utf8 = qs_term_utf8();
    u->cs = utf8 ? QS_BRAILLE : QS_ASCII;
    u->ascii = !utf8;
    if (!u->o->charset) return true;
    for (size_t i = 0; i < 3; i++)
        if (!strcmp(sets[i].name, u->o->charset)) {
            if (utf8) u->cs = sets[i].cs;                    /* a terminal that has only ASCII gets ASCII */
            u->ascii = u->ascii || u->cs == QS_ASCII;
            return true;
        }
    qs_fail(err, QS_EARG, _("charset \"%s\": braille, block or ascii"), u->o->charset);
    return false;
}

static void start_state(qs_ui *u)
{
    u->quit = -1;
    u->focus = QS_V_LIST;
    u->pane = u->train.back = u->results.back = QS_V_HIST;
    u->list.sort = 8;                                        /* the order of the file */
    u->hist.log_y = true;
    u->hist.lo = u->hist.hi = NAN;
    u->vp.hist_lo = u->vp.hist_hi = NAN;
    u->curve.parts = true;
    u->compare.sort = 5;                                     /* error against the least */
    u->results.sort = -1;                                    /* the order of the values */
    u->dirty = u->fresh = true;
}

int qs_ui_run(const qs_ui_opts *o, qs_err *err)
{
    qs_ui *u = qs_xcalloc(1, sizeof *u);
    int code = 2;
    u->o = o;
    start_state(u);
    if (!charset(u, err)) goto out;
    if (o->script && qs_script_open(o->script, err)) { code = 1; goto out; }
    if (qs_term_start(o->colors, o->jobs, err)) goto out;
    atomic_store(&quit_wakes, o->jobs);
    qs_console_start(o->history, o->board, line_typed, u);
    resize(u);
    take_news(u);
    qs_board_want(o->board);
    code = run_loop(u, err);
    atomic_store(&quit_wakes, NULL);
    qs_console_stop();
    qs_term_stop();
out:
    qs_script_close();
    qs_menu_close(u);
    qs_map_free(u);
    qs_snapshot_unref(u->s);
    qs_cells_free(&u->g);
    free(u->list.order);
    free(u->results.order);
    free(u->sent_text);
    free(u);
    return code;
}
