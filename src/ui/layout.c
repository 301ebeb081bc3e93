/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where things stand at which size, and what surrounds the views: the line
 * above, frames, console, status line. Knows rectangles; the views know numbers.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "ui/console.h"
#include "ui/screen.h"

#define MIN_H 12
#define MIN_W 40

static int clamp(int v, int lo, int hi) { return v < lo ? lo : v > hi ? hi : v; }

const qs_view *qs_view_of(int v)
{
    static const qs_view *const all[QS_VIEWS] = {&qs_view_list, &qs_view_hist, &qs_view_curve, &qs_view_compare, &qs_view_map, &qs_view_train,
                                                  &qs_view_results, &qs_view_race};
    return all[v];
}

/* ---- where -------------------------------------------------------------------------------- */

static bool small(const qs_ui *u) { return u->w < 70 || u->h < 18; }

/* Views that are never beside another. */
static bool alone(int view) { return view == QS_V_RESULTS || view == QS_V_RACE; }

void qs_ui_focus(qs_ui *u, int view)
{
    u->focus = view;
    u->con_focus = false;
    if (view != QS_V_LIST) u->pane = view;
    else if (u->pane == QS_V_MAP && u->place[QS_V_LIST].h > 0 && !small(u)) u->pane = QS_V_MAP;
    qs_ui_touch(u);
}

static void place_two(qs_ui *u, int top, int h)
{
    int list = clamp(u->w * 9 / 20, 34, u->w >= 100 ? 42 : 36);
    u->place[QS_V_LIST] = (qs_rect){top, 0, h, list};
    u->place[u->pane] = (qs_rect){top, list, h, u->w - list};
}

/* The list left, weights over the error curve right, the comparison below (with the map beside it where there is room). */
static void place_all(qs_ui *u, int top, int h)
{
    int list = clamp(u->w * (u->w >= 150 ? 36 : 33) / 100, 36, 72), right = u->w - list;
    int rows = u->s && u->s->ncompare ? (int)u->s->ncompare + 3 : 10;
    int low = clamp(rows, 7, h / 3), up = h - low, hist = (up + 1) / 2;
    u->place[QS_V_LIST] = (qs_rect){top, 0, up, list};
    if (u->w >= 160) {
        int map = u->w * 2 / 5;
        u->place[QS_V_COMPARE] = (qs_rect){top + up, 0, low, u->w - map};
        u->place[QS_V_MAP] = (qs_rect){top + up, u->w - map, low, map};
    } else if (u->pane == QS_V_MAP) {
        u->place[QS_V_MAP] = (qs_rect){top, list, up, right};
        u->place[QS_V_COMPARE] = (qs_rect){top + up, 0, low, u->w};
        return;
    } else {
        u->place[QS_V_COMPARE] = (qs_rect){top + up, 0, low, u->w};
    }
    u->place[QS_V_HIST] = (qs_rect){top, list, hist, right};
    u->place[QS_V_CURVE] = (qs_rect){top + hist, list, up - hist, right};
}

/* Training takes the place of everything right of the list; on a smaller screen it stands alone. */
static void place_training(qs_ui *u, int top, int h)
{
    int list = clamp(u->w * 30 / 100, 36, 56);
    u->place[QS_V_LIST] = (qs_rect){top, 0, h, list};
    u->place[QS_V_TRAIN] = (qs_rect){top, list, h, u->w - list};
}

void qs_ui_layout(qs_ui *u)
{
    int con = u->h >= 46 ? 7 : u->h >= 36 ? 5 : u->h >= 30 ? 3 : u->h < 16 ? 1 : 2;
    if (u->con_focus) con = con > u->h / 3 ? con : u->h / 3;     /* room to read while one types */
    int top = u->h >= 16 ? 1 : 0, h = u->h - top - con - 1;
    memset(u->place, 0, sizeof u->place);
    u->con = (qs_rect){top + h, 0, con, u->w};
    for (int i = 0; i < 2 && !alone(u->focus) && alone(u->pane); i++) u->pane = u->pane == QS_V_RACE ? u->race.back : u->results.back;
    if (!alone(u->focus) && alone(u->pane)) u->pane = QS_V_HIST;         /* each was opened from the other */
    bool big = u->w >= 110 && h >= 24, beside = u->w >= 140 && h >= 24;
    if (u->wide || small(u) || alone(u->focus) || (u->focus == QS_V_TRAIN && !beside)) u->place[u->focus] = (qs_rect){top, 0, h, u->w};
    else if (beside && u->pane == QS_V_TRAIN) place_training(u, top, h);
    else if (big && u->pane != QS_V_TRAIN) place_all(u, top, h);
    else place_two(u, top, h);
    if (u->place[u->focus].h == 0) u->focus = u->place[QS_V_LIST].h ? QS_V_LIST : u->pane;
}

/* ---- frames -------------------------------------------------------------------------------- */

qs_rect qs_ui_frame(qs_ui *u, int view, qs_rect r, const char *title, const char *right, const char *foot)
{
    bool on = view == u->focus && !u->con_focus && u->pop == QS_POP_NONE;
    int room = r.w - 6, used;
    qs_cells_frame(&u->g, r, on ? QS_ROLE_FOCUS : QS_ROLE_FRAME, 0);
    qs_cells_put(&u->g, r.y, r.x + 2, L' ', QS_ROLE_TEXT, 0);
    used = qs_cells_text(&u->g, r.y, r.x + 3, room, title, on ? QS_ROLE_FOCUS : QS_ROLE_TITLE, on ? QS_BOLD : 0);
    qs_cells_put(&u->g, r.y, r.x + 3 + used, L' ', QS_ROLE_TEXT, 0);
    if (right && *right) {
        int n = qs_text_width(right), x = r.x + r.w - 3 - n;
        if (x > r.x + used + 5) {
            qs_cells_put(&u->g, r.y, x - 1, L' ', QS_ROLE_TEXT, 0);
            qs_cells_text(&u->g, r.y, x, n, right, QS_ROLE_DIM, 0);
            qs_cells_put(&u->g, r.y, x + n, L' ', QS_ROLE_TEXT, 0);
        }
    }
    if (foot && *foot) {
        int n = qs_text_width(foot);
        if (n > room) n = room;
        qs_cells_put(&u->g, r.y + r.h - 1, r.x + 2, L' ', QS_ROLE_TEXT, 0);
        qs_cells_text(&u->g, r.y + r.h - 1, r.x + 3, n, foot, QS_ROLE_DIM, 0);
        qs_cells_put(&u->g, r.y + r.h - 1, r.x + 3 + n, L' ', QS_ROLE_TEXT, 0);
    }
    return (qs_rect){r.y + 1, r.x + 1, r.h - 2, r.w - 2};
}

/* ---- the line above --------------------------------------------------------------------------- */

static const char *file_name(const char *path)
{
    const char *s = strrchr(path, '/');
    return s && s[1] ? s + 1 : path;
}

static void draw_top(qs_ui *u)
{
    const qs_snapshot *s = u->s;
    char a[QS_FMT], b[QS_FMT], right[300], bits[40] = "", mid[120] = "";
    int x = 1;
    x += qs_cells_text(&u->g, 0, x, 12, "quantscope", QS_ROLE_FOCUS, QS_BOLD) + 2;
    if (!s) return;
    const char *f = qs_cur_format(u), *init = s->sel.init;
    if (isfinite(s->bpw) && !strcmp(f, s->sel.format)) snprintf(bits, sizeof bits, _("%s bits · "), qs_fmt_fixed(a, s->bpw, 3));
    snprintf(right, sizeof right, "%s · %s%s%s%s", *f ? f : "…", bits, *init ? init : "…", *s->sel.learn ? " · learn " : "", s->sel.learn);
    int rn = qs_text_width(right), rx = u->w - rn - 1;
    if (s->list)
        snprintf(mid, sizeof mid, ngettext("%s weight tensor · %s values", "%s weight tensors · %s values", s->list->weights),
                 qs_fmt_count(a, (double)s->list->weights, 9), qs_fmt_count(b, (double)s->list->values, 14));
    const char *name = *s->sel.model ? file_name(s->sel.model) : _("no model");
    x += qs_cells_text(&u->g, 0, x, rx - x - 2, name, QS_ROLE_TITLE, 0) + 3;
    if (x + qs_text_width(mid) + 2 < rx) qs_cells_text(&u->g, 0, x, rx - x, mid, QS_ROLE_DIM, 0);
    if (rx < 14) return;
    qs_cells_text(&u->g, 0, rx, rn, right, QS_ROLE_DIM, 0);
    qs_cells_text(&u->g, 0, rx, qs_text_width(f), f, QS_ROLE_TITLE, 0);
    rx += qs_text_width(f) + 3;
    if (*bits) qs_ui_spot(u, -1, 0, rx, qs_text_width(bits) - 3, QS_N_BITS, SIZE_MAX, s->bpw);
    rx += qs_text_width(bits);
    qs_cells_text(&u->g, 0, rx, qs_text_width(init), init, qs_init_role(init), QS_BOLD);
}

/* ---- console ------------------------------------------------------------------------------------- */

/* Lines to be shown, newest first: without the notes about unfinished input and the echo they take back. */
static size_t visible_log(const qs_snapshot *s, const char **out, size_t max)
{
    size_t n = 0;
    unsigned long hide = 0;
    for (size_t i = s->nlog; i-- > 0 && n < max;) {
        const char *l = s->log[i];
        if (l[0] == '?') {
            unsigned long long id;
            if (sscanf(l + 1, "%llu %lu", &id, &hide) < 2) hide = 0;
        } else if (hide && l[0] == '>') {
            hide--;
        } else {
            out[n++] = l;
        }
    }
    return n;
}

size_t qs_ui_row_bytes(const char *s, int w)
{
    const char *p = s, *blank = NULL;
    int used = 0;
    while (*p) {
        const char *at = p;
        wchar_t c = qs_utf8_next(&p);
        used += qs_char_width(c);
        if (used > w) {
            if (blank && (blank - s) * 3 > at - s) return (size_t)(blank - s);
            return at > s ? (size_t)(at - s) : (size_t)(p - s);
        }
        if (c == ' ') blank = p;
    }
    return (size_t)(p - s);
}

/* A line of the log as it is shown. malloc'd. */
static char *log_text(const char *l)
{
    char *t = qs_xasprintf("%s%s", l[0] == '>' ? "> " : "", l + 1);
    for (char *p = t; *p; p++) if (*p == '\t') *p = ' ';
    return t;
}

static int rows_of(const char *l, int w)
{
    int n = qs_text_width(l + 1) + 2, rows = 0;
    if (n <= w) return 1;
    char *t = log_text(l);
    for (const char *s = t; *s; rows++) s += qs_ui_row_bytes(s, w);
    free(t);
    return rows ? rows : 1;
}

/* Columns skip .. skip+w of a text. */
static void draw_part(qs_ui *u, int y, int x, int w, const char *s, int skip, int role, int attr)
{
    int at = 0;
    for (wchar_t c; (c = qs_utf8_next(&s));) {
        int cw = qs_char_width(c);
        if (at >= skip && at + cw <= skip + w) {
            char b[5];
            qs_utf8_put(c, b);
            qs_cells_text(&u->g, y, x + at - skip, cw, b, role, attr);
        }
        at += cw;
    }
}

static void draw_log_line(qs_ui *u, const char *l, int y, int x, int w, int part)
{
    static const struct { char kind; unsigned char role, attr; } looks[] = {
        {'>', QS_ROLE_ECHO, 0}, {'=', QS_ROLE_TITLE, 0}, {'!', QS_ROLE_BAD, 0},
    };
    int role = QS_ROLE_TEXT, attr = 0;
    for (size_t i = 0; i < sizeof looks / sizeof *looks; i++)
        if (looks[i].kind == l[0]) { role = looks[i].role; attr = looks[i].attr; }
    char *t = log_text(l), *s = t;
    while (part-- > 0 && *s) s += qs_ui_row_bytes(s, w);
    s[qs_ui_row_bytes(s, w)] = 0;
    qs_cells_text(&u->g, y, x, w, s, role, attr);
    free(t);
}

size_t qs_ui_log_lines(const qs_ui *u)
{
    const char *line[QS_SNAP_LOG];
    size_t n = u->s ? visible_log(u->s, line, QS_SNAP_LOG) : 0, rows = 0;
    for (size_t i = 0; i < n; i++) rows += (size_t)rows_of(line[i], u->w - 2);
    return rows;
}

static void draw_log(qs_ui *u, qs_rect r)
{
    const char *line[QS_SNAP_LOG];
    size_t n = u->s ? visible_log(u->s, line, QS_SNAP_LOG) : 0;
    int total = (int)qs_ui_log_lines(u);
    u->con_scroll = clamp(u->con_scroll, 0, total > r.h ? total - r.h : 0);
    int y = r.y + r.h - 1 + u->con_scroll;
    for (size_t i = 0; i < n && y >= r.y; i++)
        for (int k = rows_of(line[i], r.w) - 1; k >= 0; k--, y--)
            if (y >= r.y && y < r.y + r.h) draw_log_line(u, line[i], y, r.x, r.w, k);
    if (u->con_scroll > 0) qs_cells_right(&u->g, r.y, r.x, r.w, _(" … more below, PgDn "), QS_ROLE_DIM, QS_REVERSE);
}

static void draw_matches(qs_ui *u, qs_rect r)
{
    char **m;
    size_t n = qs_console_matches(&m), i;
    int wide = 0;
    if (!n) return;
    for (i = 0; i < n; i++) wide = qs_text_width(m[i]) > wide ? qs_text_width(m[i]) : wide;
    wide = clamp(wide + 2, 8, r.w);
    int cols = clamp(r.w / wide, 1, r.w), rows = (int)(n + (size_t)cols - 1) / cols;
    int show = rows < u->h / 3 ? rows : u->h / 3, top = r.y + r.h - 1 - show;
    qs_cells_fill(&u->g, (qs_rect){top, 0, show, u->w}, L' ', QS_ROLE_TEXT, 0);
    for (i = 0; i < n && (int)i < show * cols; i++)
        qs_cells_text(&u->g, top + (int)i / cols, r.x + (int)i % cols * wide, wide - 2, m[i], QS_ROLE_DENSITY, 0);
    if (rows > show) qs_cells_right(&u->g, top + show - 1, r.x, r.w, "…", QS_ROLE_DIM, 0);
}

static void draw_console(qs_ui *u)
{
    qs_rect r = {u->con.y, 1, u->con.h, u->w - 2};
    int col, y = r.y + r.h - 1;
    const char *t = qs_console_text(&col);
    int skip = col < r.w ? 0 : col - r.w + 1 + r.w / 4;        /* the cursor stays in sight */
    draw_log(u, (qs_rect){r.y, r.x, r.h - 1, r.w});
    if (u->con_focus) {
        draw_part(u, y, r.x, r.w, t, skip, QS_ROLE_TEXT, 0);
        draw_matches(u, r);
        u->cur_y = y;
        u->cur_x = r.x + col - skip;
    } else {
        draw_part(u, y, r.x, r.w, t, 0, QS_ROLE_DIM, 0);
    }
}

/* ---- status line ------------------------------------------------------------------------------------ */

/* Draws the hints of one kind (always shown or not) that fit; returns the column after them. y < 0: only counts. */
static int draw_hints(qs_ui *u, int y, int x, int end, const qs_key_table *t, bool always)
{
    for (size_t i = 0; i < t->n; i++) {
        const qs_key *k = &t->key[i];
        if (!k->brief || (k->place == QS_KEY_ALWAYS) != always || !qs_key_here(k, u)) continue;
        const char *name = _(k->shown), *what = _(k->brief);
        int n = qs_text_width(name) + 1 + qs_text_width(what);
        if (x + n > end) continue;
        x += qs_cells_text(&u->g, y, x, n, name, QS_ROLE_KEY, QS_BOLD) + 1;
        x += qs_cells_text(&u->g, y, x, n, what, QS_ROLE_DIM, 0) + 2;
    }
    return x;
}

/* The run that is looked at if it trains, else the first that does. Returns how much of it is done. */
static double train_progress(const qs_snap_train *t, char *out, size_t size)
{
    const qs_snap_run *r = &t->run[t->cur];
    char a[QS_FMT], b[QS_FMT];
    for (size_t i = 0; r->state != QS_SNAP_RUNNING && i < t->nrun; i++) r = &t->run[i];
    snprintf(out, size, _("training %.0f/%.0f"), r->t, r->total);
    if (!isnan(r->images_s))
        snprintf(out + strlen(out), size - strlen(out), _(" · %s img/s · %s left"), qs_fmt_count(a, r->images_s, 6),
                 qs_fmt_time(b, r->left_s));
    if (t->going > 1) snprintf(out + strlen(out), size - strlen(out), _(" · %zu runs"), t->going);
    return r->total > 0 ? r->t / r->total : -1;
}

/* What goes on, at the right: a bar that is as wide as the work is done. Returns the column where it begins. */
static int draw_progress(qs_ui *u, int y)
{
    const qs_snapshot *s = u->s;
    char b[QS_FMT], t[200] = "";
    size_t queued = qs_jobs_queued(u->o->jobs);
    bool busy = qs_jobs_running(u->o->jobs) != 0;
    if (!s) return u->w;
    double done = s->done;
    bool said = u->focus == QS_V_TRAIN && !u->con_focus;     /* its frame says it already */
    if (!s->doing[0] && !busy && s->train && s->train->going) done = said ? -1 : train_progress(s->train, t, sizeof t);
    else if (s->doing[0] && s->done >= 0) snprintf(t, sizeof t, "%s %s", s->doing, qs_fmt_percent(b, floor(s->done * 100) / 100));
    else if (s->doing[0]) snprintf(t, sizeof t, "%s", s->doing);
    else if (busy) snprintf(t, sizeof t, "%s", _("running"));
    else if (s->background && s->list) snprintf(t, sizeof t, _("%zu of %zu known"), s->list->known, s->list->n);
    if (queued) snprintf(t + strlen(t), sizeof t - strlen(t), _(" · %zu queued"), queued);
    if (busy) snprintf(t + strlen(t), sizeof t - strlen(t), "%s", _(" · ^C cancels"));
    int n = qs_text_width(t), bar = *t && done >= 0 ? 8 : 0;
    if (!n) return u->w;
    int x = u->w - n - 1 - (bar ? bar + 1 : 0);
    for (int i = 0; i < bar; i++) {
        bool full = i < (int)lround(done * bar);
        qs_cells_put(&u->g, y, x + i, full ? L'▰' : L'▱', full ? QS_ROLE_FOCUS : QS_ROLE_FRAME, 0);
    }
    qs_cells_text(&u->g, y, x + (bar ? bar + 1 : 0), n, t, QS_ROLE_DIM, 0);
    return x;
}

static const qs_key console_keys[] = {
    {{QS_K_ESC}, "Esc", N_("panes"), "", NULL, QS_KEY_FITS},       {{0}, "Tab", N_("complete"), "", NULL, QS_KEY_FITS},
    {{0}, "^R", N_("search"), "", NULL, QS_KEY_FITS},              {{0}, "PgUp PgDn", N_("scroll"), "", NULL, QS_KEY_FITS},
    {{0}, "help(x)", N_("explains"), "", NULL, QS_KEY_FITS},       {{0}, "^C", N_("cancel"), "", NULL, QS_KEY_FITS},
};
static const qs_key explain_keys[] = {
    {{0}, N_("arrows"), N_("another number"), "", NULL, QS_KEY_FITS}, {{0}, "Esc", N_("back"), "", NULL, QS_KEY_FITS},
};

static void draw_status(qs_ui *u)
{
    static const qs_key_table con = {"", console_keys, sizeof console_keys / sizeof *console_keys};
    static const qs_key_table exp = {"", explain_keys, sizeof explain_keys / sizeof *explain_keys};
    int y = u->h - 1, x = 1;
    const char *said = u->message[0] ? u->message : u->s && u->s->status ? u->s->status : NULL;
    bool all = said && qs_text_width(said) > u->w - 40;              /* a message comes before the progress */
    int end = all ? u->w : draw_progress(u, y) - 1;
    if (said) {
        qs_cells_text(&u->g, y, x, end - x, said, u->message[0] && !u->message_bad ? QS_ROLE_TEXT : QS_ROLE_WARN, 0);
    } else if (u->con_focus) {
        draw_hints(u, y, x, end, &con, false);
    } else if (u->explain) {
        draw_hints(u, y, x, end, &exp, false);
    } else {
        int last = draw_hints(u, -1, 0, end, &qs_keys_global, true);     /* how to get help is never crowded out */
        x = draw_hints(u, y, x, end - last, &qs_view_of(u->focus)->keys, false);
        x = draw_hints(u, y, x, end - last, &qs_keys_global, false);
        draw_hints(u, y, x, end, &qs_keys_global, true);
    }
}

/* ---- everything ---------------------------------------------------------------------------------------- */

qs_rect qs_ui_box(qs_ui *u, int h, int w, const char *title, const char *foot)
{
    h = clamp(h, 3, u->h - 1);
    w = clamp(w, 10, u->w);
    qs_rect r = {(u->h - h) / 2, (u->w - w) / 2, h, w};
    qs_cells_fill(&u->g, r, L' ', QS_ROLE_TEXT, 0);
    return qs_ui_frame(u, -1, r, title, NULL, foot);
}

static void draw_too_small(qs_ui *u)
{
    char t[80];
    snprintf(t, sizeof t, _("%d x %d is too small for quantscope."), u->w, u->h);
    qs_cells_text(&u->g, 0, 0, u->w, t, QS_ROLE_TEXT, 0);
    qs_cells_text(&u->g, 1, 0, u->w, _("It needs 40 x 12. q quits."), QS_ROLE_DIM, 0);
}

static void draw_ask(qs_ui *u)
{
    const char *t = _("Work is running. Quit all the same?   y  n");
    qs_rect r = qs_ui_box(u, 3, qs_text_width(t) + 6, _("Quit"), NULL);
    qs_cells_text(&u->g, r.y, r.x + 2, r.w - 2, t, QS_ROLE_WARN, 0);
}

static void draw_filter(qs_ui *u)
{
    int y = u->h - 1;
    qs_cells_fill(&u->g, (qs_rect){y, 0, 1, u->w}, L' ', QS_ROLE_TEXT, 0);
    int x = 1 + qs_cells_text(&u->g, y, 1, u->w - 2, "/", QS_ROLE_KEY, QS_BOLD);
    x += qs_cells_text(&u->g, y, x, u->w - x - 1, u->list.filter, QS_ROLE_TEXT, 0);
    qs_cells_right(&u->g, y, x + 2, u->w - x - 3, _("Enter keeps  Esc clears  * ? [ ] are wildcards"), QS_ROLE_DIM, 0);
    u->cur_y = y;
    u->cur_x = x;
}

void qs_ui_draw(qs_ui *u)
{
    qs_cells_clear(&u->g);
    u->nspot = 0;
    u->cur_y = u->cur_x = -1;
    if (u->w < MIN_W || u->h < MIN_H) { draw_too_small(u); return; }
    qs_ui_layout(u);
    if (u->h >= 16) draw_top(u);
    for (int v = 0; v < QS_VIEWS; v++)
        if (u->place[v].h >= 3) qs_view_of(v)->draw(u, u->place[v]);
    draw_console(u);
    draw_status(u);
    if (u->explain) qs_explain_draw(u);
    if (u->pop == QS_POP_HELP) qs_help_draw(u);
    if (u->pop == QS_POP_MENU) qs_menu_draw(u);
    if (u->pop == QS_POP_ASK) draw_ask(u);
    if (u->pop == QS_POP_FILTER) draw_filter(u);
    if (u->pop == QS_POP_EXPORT) qs_export_draw(u);
}
