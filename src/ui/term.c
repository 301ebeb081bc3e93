/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From initscr to endwin: cells to curses, curses to keys, signals to flags.
 * Knows colours and terminals; knows nothing of what is shown.
 */
#include "config.h"

#include "ui/term.h"

#include <curses.h>
#include <errno.h>
#include <langinfo.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <term.h>
#include <termios.h>
#include <unistd.h>

#include "base/guard.h"
#include "base/text.h"
#include "plot/color.h"
#include "ui/keys.h"

qs_signals qs_term_signals;

static qs_jobs *waker;
static qs_cells shadow;                  /* what the terminal shows */
static bool running, all_again, stops;
static int depth;                       /* colours in use: 0, 8, 256 */
static struct termios before;           /* as it was, for the crash handler */
static char goodbye[256];               /* leave the alternate screen, show the cursor, plain text */
static size_t goodbye_n;

/* ---- colours ------------------------------------------------------------------------ */

typedef struct look { short fg8; unsigned attr8, mono; } look;   /* where there are not 256 colours (those: plot/color.h) */

static const look looks[QS_ROLE_INIT0] = {
    [QS_ROLE_TEXT]     = {-1, 0, 0},
    [QS_ROLE_DIM]      = {-1, A_DIM, A_DIM},
    [QS_ROLE_FRAME]    = {-1, A_DIM, A_DIM},
    [QS_ROLE_FOCUS]    = {COLOR_CYAN, 0, A_BOLD},
    [QS_ROLE_TITLE]    = {-1, A_BOLD, A_BOLD},
    [QS_ROLE_BARS]     = {COLOR_BLUE, 0, 0},
    [QS_ROLE_DENSITY]  = {COLOR_YELLOW, 0, A_BOLD},
    [QS_ROLE_LEVEL]    = {COLOR_GREEN, A_BOLD, A_BOLD},
    [QS_ROLE_CUT]      = {-1, A_DIM, A_DIM},
    [QS_ROLE_CLIP]     = {COLOR_RED, 0, 0},
    [QS_ROLE_ERROR]    = {-1, A_BOLD, A_BOLD},
    [QS_ROLE_ROUND]    = {COLOR_CYAN, 0, 0},
    [QS_ROLE_A]        = {-1, A_BOLD, A_BOLD},
    [QS_ROLE_B]        = {COLOR_MAGENTA, 0, A_UNDERLINE},
    [QS_ROLE_CURSOR]   = {COLOR_YELLOW, A_BOLD, A_REVERSE},
    [QS_ROLE_GOOD]     = {COLOR_GREEN, 0, 0},
    [QS_ROLE_WARN]     = {COLOR_YELLOW, 0, A_BOLD},
    [QS_ROLE_BAD]      = {COLOR_RED, A_BOLD, A_BOLD},
    [QS_ROLE_ECHO]     = {COLOR_CYAN, 0, A_BOLD},
    [QS_ROLE_KEY]      = {-1, A_BOLD, A_BOLD},
};
static const short init8[16] = {COLOR_GREEN, COLOR_YELLOW, COLOR_CYAN, COLOR_CYAN, COLOR_MAGENTA, COLOR_MAGENTA, COLOR_RED,
                                COLOR_YELLOW, COLOR_GREEN, COLOR_GREEN, COLOR_RED, COLOR_MAGENTA, COLOR_YELLOW, COLOR_CYAN,
                                COLOR_YELLOW, COLOR_WHITE};
static const short heat8[10] = {COLOR_RED, COLOR_RED, COLOR_RED, COLOR_YELLOW, COLOR_YELLOW, COLOR_YELLOW, COLOR_CYAN,
                                COLOR_CYAN, COLOR_BLUE, COLOR_BLUE};
static const short run8[8] = {COLOR_CYAN, COLOR_YELLOW, COLOR_GREEN, COLOR_MAGENTA, COLOR_WHITE, COLOR_RED, COLOR_BLUE,
                              COLOR_YELLOW};

static look look_of(int role)
{
    if (role >= QS_ROLE_RUN0) {
        int i = role - QS_ROLE_RUN0;
        return (look){run8[i], i < 6 ? A_BOLD : 0, i == 0 ? A_BOLD : 0};
    }
    if (role >= QS_ROLE_HEAT0) {
        int i = role - QS_ROLE_HEAT0;
        return (look){heat8[i], A_REVERSE, i < 4 ? A_REVERSE : 0};
    }
    if (role >= QS_ROLE_INIT0) {
        int i = role - QS_ROLE_INIT0;
        return (look){init8[i], 0, 0};
    }
    return looks[role];
}

static void colors_start(int want)
{
    depth = 0;
    if (want == 0 || !has_colors()) return;
    start_color();
    use_default_colors();
    depth = COLORS >= 256 && want != 8 && COLOR_PAIRS > 2 * QS_ROLES ? 256 : 8;
    for (int r = 0; r < QS_ROLES; r++) {
        qs_color c = qs_color_of(r);
        short pair = (short)(1 + r);
        if (depth == 8) { init_pair(pair, look_of(r).fg8, -1); continue; }
        init_pair(pair, c.fg, c.bg);
        init_pair((short)(pair + QS_ROLES), qs_color_selected(c).fg, qs_color_selected(c).bg);
    }
}

static void style_of(const qs_cell *c, attr_t *attr, short *pair)
{
    look l = look_of(c->role);
    *attr = A_NORMAL;
    *pair = depth ? (short)(1 + c->role) : 0;
    if (depth == 0) *attr |= l.mono;
    if (depth == 8) *attr |= l.attr8;
    if (c->attr & QS_BOLD) *attr |= A_BOLD;
    if (c->attr & QS_UNDER) *attr |= A_UNDERLINE;
    if (c->attr & QS_REVERSE) *attr ^= A_REVERSE;
    if (c->attr & QS_SELECTED) {
        if (depth == 256) *pair = (short)(*pair + QS_ROLES);
        else *attr = (*attr & ~(attr_t)A_DIM) | A_REVERSE;
    }
}

/* ---- signals ------------------------------------------------------------------------- */

static void on_signal(int s)
{
    int e = errno;
    if (s == SIGINT) {
        qs_term_signals.intr++;
        qs_jobs_cancel(waker);
    }
    if (s == SIGWINCH) qs_term_signals.winch = 1;
    if (s == SIGCONT) qs_term_signals.cont = 1;
    if (s == SIGTSTP) qs_term_signals.stop = 1;
    if (s == SIGTERM || s == SIGHUP) qs_term_signals.term = s;
    qs_jobs_wake(waker);
    errno = e;
}

/* Nothing here but calls that are safe in a handler, with what was saved at the start. */
static void on_crash(int s)
{
    ssize_t r = write(STDOUT_FILENO, goodbye, goodbye_n);
    (void)r;
    tcsetattr(STDIN_FILENO, TCSANOW, &before);
    raise(s);                                   /* SA_RESETHAND: this time for good */
}

static void handle(int s, void (*fn)(int), int flags)
{
    struct sigaction sa = {.sa_handler = fn, .sa_flags = flags};
    sigemptyset(&sa.sa_mask);
    sigaction(s, &sa, NULL);
}

static void signals_start(void)
{
    static const int ours[] = {SIGINT, SIGWINCH, SIGTERM, SIGHUP, SIGCONT};
    struct sigaction was;
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) handle(ours[i], on_signal, SA_RESTART);
    /* curses would leave the screen inside its handler, whatever it was in the middle of; a shell without job control
     * ignores the signal, and so do its programs */
    stops = sigaction(SIGTSTP, NULL, &was) == 0 && was.sa_handler != SIG_IGN;
    if (stops) handle(SIGTSTP, on_signal, SA_RESTART);
    handle(SIGPIPE, SIG_IGN, 0);
#ifndef QS_SANITIZED
    static const int crash[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    for (size_t i = 0; i < sizeof crash / sizeof *crash; i++) handle(crash[i], on_crash, SA_RESETHAND | SA_NODEFER);
    qs_guard_renew();                           /* a file that is cut short is no crash */
#else
    (void)on_crash;                             /* the sanitizer's report is worth more */
#endif
}

static void signals_stop(void)
{
    static const int ours[] = {SIGINT, SIGWINCH, SIGTERM, SIGHUP, SIGCONT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) {
#ifdef QS_SANITIZED
        if (i >= 5) break;
#endif
        handle(ours[i], SIG_DFL, 0);
    }
    qs_guard_renew();
    if (stops) handle(SIGTSTP, SIG_DFL, 0);
}

/* ---- start and end ---------------------------------------------------------------------- */

bool qs_term_utf8(void)
{
    return strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

static void say_goodbye(char *cap)
{
    if (!cap || cap == (char *)-1) return;
    size_t n = strlen(cap);
    if (goodbye_n + n > sizeof goodbye) return;
    memcpy(goodbye + goodbye_n, cap, n);
    goodbye_n += n;
}

static int no_terminal(qs_err *err, const char *why)
{
    return qs_fail(err, QS_EUNSUP, _("the workbench needs a terminal (%s); `quantscope list MODEL` prints without one"), why);
}

int qs_term_start(int colors, qs_jobs *jobs, qs_err *err)
{
    const char *term = getenv("TERM");
    int status = 0;
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) return no_terminal(err, _("input or output is none"));
    if (!term || !*term || !strcmp(term, "dumb")) return no_terminal(err, _("TERM is not set, or dumb"));
    if (setupterm(term, STDOUT_FILENO, &status) != OK || status != 1)
        return qs_fail(err, QS_EUNSUP, _("TERM=%s is not known here; `quantscope list MODEL` prints without a screen"), term);
    bool can = cursor_address && clear_screen;
    del_curterm(cur_term);                      /* initscr makes its own */
    if (!can) return no_terminal(err, _("this one cannot place the cursor"));
    waker = jobs;
    tcgetattr(STDIN_FILENO, &before);
    memset(&qs_term_signals, 0, sizeof qs_term_signals);
    signals_start();                            /* before initscr, so that curses leaves SIGWINCH and SIGINT alone */
    initscr();
    cbreak();
    noecho();
    nonl();
    keypad(stdscr, TRUE);
    nodelay(stdscr, TRUE);
    set_escdelay(50);
    goodbye_n = 0;
    say_goodbye(exit_attribute_mode);
    say_goodbye(cursor_normal);
    say_goodbye(keypad_local);
    say_goodbye(exit_ca_mode);
    struct termios t;
    if (tcgetattr(STDIN_FILENO, &t) == 0) {     /* Ctrl-S, Ctrl-Q, Ctrl-V, Ctrl-O are keys like others */
        t.c_iflag &= ~(tcflag_t)(IXON | ICRNL);
        t.c_cc[VLNEXT] = t.c_cc[VDISCARD] = _POSIX_VDISABLE;
        tcsetattr(STDIN_FILENO, TCSADRAIN, &t);
        def_prog_mode();
    }
    colors_start(colors);
    qs_term_mouse_on(true);
    running = all_again = true;
    return 0;
}

void qs_term_stop(void)
{
    if (!running) return;
    running = false;
    curs_set(1);
    endwin();
    signals_stop();
    qs_cells_free(&shadow);
}

void qs_term_suspend(void)
{
    if (!stops) return;
    curs_set(1);
    endwin();
    handle(SIGTSTP, SIG_DFL, 0);
    raise(SIGTSTP);                             /* returns when the shell lets us go on */
    handle(SIGTSTP, on_signal, SA_RESTART);
    qs_term_signals.cont = 1;                   /* also where nobody could stop us (an orphaned process group) */
}

void qs_term_die(void)
{
    qs_term_stop();
    raise(SIGINT);
    _exit(130);
}

/* ---- cells ---------------------------------------------------------------------------------- */

void qs_term_size(int *h, int *w)
{
    struct winsize ws;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) == 0 && ws.ws_row > 0 && ws.ws_col > 0 &&
        (ws.ws_row != LINES || ws.ws_col != COLS)) {
        resizeterm(ws.ws_row, ws.ws_col);
        all_again = true;
    }
    *h = LINES;
    *w = COLS;
}

void qs_term_refresh(void) { all_again = true; }

static void show_cell(int y, int x, const qs_cell *c)
{
    cchar_t cc;
    attr_t attr;
    short pair;
    wchar_t text[2] = {c->ch, 0};
    if (c->ch == 0) return;                     /* the right half of a wide one */
    style_of(c, &attr, &pair);
    setcchar(&cc, text, attr, pair, NULL);
    mvadd_wch(y, x, &cc);
}

static bool same_cell(const qs_cell *a, const qs_cell *b)
{
    return a->ch == b->ch && a->role == b->role && a->attr == b->attr;
}

void qs_term_show(const qs_cells *g, int cy, int cx)
{
    bool fresh = all_again || shadow.h != g->h || shadow.w != g->w;
    if (fresh) {
        qs_cells_free(&shadow);
        qs_cells_init(&shadow, g->h, g->w);
        erase();
        clearok(curscr, TRUE);
    }
    for (int y = 0; y < g->h; y++)
        for (int x = 0; x < g->w; x++) {
            size_t i = (size_t)y * (size_t)g->w + (size_t)x;
            if (fresh || !same_cell(&shadow.c[i], &g->c[i])) show_cell(y, x, &g->c[i]);
        }
    memcpy(shadow.c, g->c, (size_t)g->h * (size_t)g->w * sizeof(qs_cell));
    curs_set(cy >= 0);
    if (cy >= 0) move(cy, cx);
    else move(g->h - 1, 0);
    refresh();
    all_again = false;
}

/* ---- keys ------------------------------------------------------------------------------------ */

static const struct { int curses, ours; } names[] = {
    {KEY_UP, QS_K_UP}, {KEY_DOWN, QS_K_DOWN}, {KEY_LEFT, QS_K_LEFT}, {KEY_RIGHT, QS_K_RIGHT}, {KEY_HOME, QS_K_HOME},
    {KEY_END, QS_K_END}, {KEY_PPAGE, QS_K_PGUP}, {KEY_NPAGE, QS_K_PGDN}, {KEY_BTAB, QS_K_BACKTAB}, {KEY_DC, QS_K_DELETE},
    {KEY_F(1), QS_K_F1}, {KEY_MOUSE, QS_K_MOUSE}, {KEY_BACKSPACE, QS_K_BACKSPACE}, {KEY_ENTER, QS_K_ENTER},
    {KEY_SLEFT, QS_K_SLEFT}, {KEY_SRIGHT, QS_K_SRIGHT},
};

int qs_term_key(void)
{
    wint_t c;
    for (;;) {
        int r = get_wch(&c);
        if (r == ERR) return -1;
        if (r == OK) return c == '\n' ? QS_K_ENTER : c == 8 ? QS_K_BACKSPACE : (int)c;
        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
            if (names[i].curses == (int)c) return names[i].ours;
    }
}

void qs_term_mouse_on(bool on)
{
    mousemask(on ? BUTTON1_PRESSED | BUTTON1_CLICKED | BUTTON1_DOUBLE_CLICKED | BUTTON4_PRESSED | BUTTON5_PRESSED : 0, NULL);
    mouseinterval(0);
}

bool qs_term_mouse(int *y, int *x, int *wheel)
{
    MEVENT m;
    if (getmouse(&m) != OK) return false;
    *y = m.y;
    *x = m.x;
    *wheel = m.bstate & BUTTON4_PRESSED ? -1 : m.bstate & BUTTON5_PRESSED ? 1 : 0;
    return *wheel || m.bstate & (BUTTON1_PRESSED | BUTTON1_CLICKED);
}
