/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The screen as files: e asks for a name for the pane, E for the whole; what then comes back in a snapshot (also from
 * qs.export in Lua) is drawn once more and written. Views draw as always; their plots land on a page as well.
 */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "plot/paper.h"
#include "ui/names.h"
#include "ui/screen.h"

/* Plots of a view on their way to a page. The first time they only say where they stand. */
struct qs_page {
    qs_paper *paper;         /* NULL: the first time */
    qs_rect all;             /* around all plots, in cells */
    int n;
};

/* ---- onto the page ------------------------------------------------------------------------ */

static qs_rect around(qs_rect a, qs_rect b)
{
    int y = a.y < b.y ? a.y : b.y, x = a.x < b.x ? a.x : b.x;
    int end_y = a.y + a.h > b.y + b.h ? a.y + a.h : b.y + b.h, end_x = a.x + a.w > b.x + b.w ? a.x + a.w : b.x + b.w;
    return (qs_rect){y, x, end_y - y, end_x - x};
}

void qs_ui_plot(qs_ui *u, const qs_plot *p, qs_rect r, qs_rect *area)
{
    struct qs_page *page = u->page;
    qs_plot_draw(p, u->cs, &u->g, r, area);
    if (!page || r.h < 1 || r.w < 1) return;
    if (p->end_part > 0) r.w = (int)lround(r.w / (1 - p->end_part));      /* names that are no part of the plot in cells */
    if (!page->paper) page->all = page->n++ ? around(page->all, r) : r;
    else qs_paper_plot(page->paper, p, (double)(r.x - page->all.x) / page->all.w, (double)(r.y - page->all.y) / page->all.h,
                       (double)r.w / page->all.w, (double)r.h / page->all.h);
}

/* ---- writing ----------------------------------------------------------------------------------- */

static int view_named(const char *name)
{
    int v = 0;
    while (v < QS_VIEWS && strcmp(qs_view_of(v)->name, name)) v++;
    return v;                                    /* QS_VIEWS: the screen */
}

/* Draws what is to be exported into the grid, and its plots onto the page if there is one. Returns where it stands. */
static qs_rect draw_again(qs_ui *u, int view)
{
    if (view == QS_VIEWS) {
        qs_ui_draw(u);
        return (qs_rect){0, 0, u->g.h, u->g.w};
    }
    qs_rect r = u->place[view].h >= 3 ? u->place[view] : (qs_rect){0, 0, u->g.h, u->g.w};
    qs_cells_clear(&u->g);
    u->nspot = 0;
    qs_view_of(view)->draw(u, r);
    return r;
}

static const struct { const char *ending; char *(*text)(const qs_cells *, qs_rect); } texts[] = {
    {".txt", qs_cells_text_of}, {".ans", qs_cells_ansi}, {".svg", qs_cells_svg}};

static int write_cells(qs_ui *u, const qs_export *e, qs_rect r, qs_err *err)
{
    if (u->ascii) qs_cells_ascii(&u->g);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (!qs_ends_in(e->path, texts[i].ending)) continue;
        char *s = texts[i].text(&u->g, r);
        int rc = qs_file_write(e->path, s, strlen(s), !e->overwrite, err);
        free(s);
        return rc;
    }
    double by = qs_ends_in(e->path, ".png") ? 24 : 12;            /* a row of text, in units of the page */
    qs_paper_opts o = {.width = (r.w + 2) * by * 0.5, .height = (r.h + 1) * by, .font = by / 2, .fresh = !e->overwrite};
    qs_paper *pp = qs_paper_new(e->path, &o, err);
    if (!pp) return -err->code;
    qs_paper_cells(pp, &u->g, r);
    return qs_paper_close(pp, err);
}

static int write_export(qs_ui *u, const qs_export *e, qs_err *err)
{
    struct qs_page page = {0};
    int view = view_named(e->what);
    bool knows = qs_paper_knows(e->path);
    if (!knows && !qs_ends_in(e->path, ".txt") && !qs_ends_in(e->path, ".ans"))
        return qs_fail(err, QS_EARG, _("%s: the name must end in .svg, .pdf, .png, .txt or .ans"), e->path);
    u->page = knows && view < QS_VIEWS ? &page : NULL;
    qs_rect r = draw_again(u, view);
    u->page = NULL;
    if (!page.n) return write_cells(u, e, r, err);
    page.paper = qs_paper_new(e->path, &(qs_paper_opts){.fresh = !e->overwrite}, err);
    if (!page.paper) return -err->code;
    u->page = &page;
    draw_again(u, view);
    u->page = NULL;
    return qs_paper_close(page.paper, err);
}

static void export_one(qs_ui *u, const qs_export *e)
{
    qs_err err = {0};
    if (u->w < 1 || u->h < 1 || !u->s) return;
    if (write_export(u, e, &err)) {
        qs_ui_say(u, true, "%s: %s", qs_code_name(err.code), err.msg);
        return;
    }
    char *full = realpath(e->path, NULL);
    qs_ui_say(u, false, _("written: %s"), full ? full : e->path);
    free(full);
}

void qs_export_news(qs_ui *u)
{
    const qs_snapshot *s = u->s;
    if (s->exports > u->export.seen + QS_SNAP_EXPORTS) {
        u->export.seen = s->exports - QS_SNAP_EXPORTS;
        qs_ui_say(u, true, _("only the last %d exports are written"), QS_SNAP_EXPORTS);
    }
    while (u->export.seen < s->exports) export_one(u, &s->export[u->export.seen++ % QS_SNAP_EXPORTS]);
}

/* ---- a name for it ---------------------------------------------------------------------------------- */

/* Letters, digits and a few signs of a name; the rest, as slashes and blanks, becomes "_". */
static void add_plain(qs_str *b, const char *s, size_t most)
{
    for (size_t i = 0; s[i] && i < most; i++) {
        char c = isalnum((unsigned char)s[i]) || strchr("._-+", s[i]) ? s[i] : '_';
        qs_str_addn(b, &c, 1);
    }
}

static const char *subject(const qs_ui *u, int view)
{
    const qs_snap_train *t = u->s->train;
    if (view == QS_V_TRAIN) return t ? t->run[t->cur].name : "";
    if (view == QS_V_RESULTS) return u->s->results ? u->s->results->at.sweep : "";
    if (view == QS_V_RACE) return u->s->race ? u->s->race->net : "";
    if (view != QS_V_LIST && view != QS_V_MAP) return qs_tensor_label(u->s);
    const char *slash = strrchr(u->s->sel.model, '/');
    return slash ? slash + 1 : u->s->sel.model;
}

/* "conv2d_1-hist.svg"; where that is taken, "conv2d_1-hist-2.svg". */
static void propose(qs_ui *u, int view)
{
    qs_str b = {0};
    const char *what = view < QS_VIEWS ? qs_view_of(view)->name : "screen", *of = view < QS_VIEWS && u->s ? subject(u, view) : "quantscope";
    size_t n = strlen(of);
    add_plain(&b, n > 100 ? of + n - 100 : of, 100);
    if (b.n && b.s[0] == '.') b.s[0] = '_';
    qs_str_addf(&b, "%s%s", b.n ? "-" : "", what);
    for (int i = 1; i < 1000; i++) {
        char number[16] = "";
        if (i > 1) snprintf(number, sizeof number, "-%d", i);
        snprintf(u->export.name.text, sizeof u->export.name.text, "%s%s.svg", b.s, number);
        if (access(u->export.name.text, F_OK)) break;
    }
    free(b.s);
}

void qs_export_open(qs_ui *u, bool screen)
{
    int view = screen ? QS_VIEWS : u->focus;
    snprintf(u->export.what, sizeof u->export.what, "%s", screen ? "screen" : qs_view_of(view)->name);
    propose(u, view);
    u->export.name.at = strlen(u->export.name.text);
    u->export.sure = false;
    u->pop = QS_POP_EXPORT;
    qs_ui_touch(u);
}

/* ---- the line ------------------------------------------------------------------------------------------- */

static size_t before(const qs_edit *e)
{
    size_t i = e->at;
    while (i > 0 && ((unsigned char)e->text[--i] & 0xC0) == 0x80) {}
    return i;
}

static size_t after(const qs_edit *e)
{
    const char *p = e->text + e->at;
    qs_utf8_next(&p);
    return (size_t)(p - e->text);
}

static void cut(qs_edit *e, size_t from, size_t to)
{
    memmove(e->text + from, e->text + to, strlen(e->text + to) + 1);
    e->at = from;
}

static size_t word_before(const qs_edit *e)
{
    size_t i = e->at;
    while (i > 0 && !isalnum((unsigned char)e->text[i - 1])) i--;
    while (i > 0 && isalnum((unsigned char)e->text[i - 1])) i--;
    return i;
}

static void insert(qs_edit *e, int key)
{
    char c[5];
    size_t n = qs_utf8_put((wchar_t)key, c), len = strlen(e->text);
    if (len + n >= sizeof e->text) return;
    memmove(e->text + e->at + n, e->text + e->at, len - e->at + 1);
    memcpy(e->text + e->at, c, n);
    e->at += n;
}

/* The keys readline has for the same. */
static void edit(qs_edit *e, int key)
{
    size_t end = strlen(e->text);
    switch (key) {
    case QS_K_LEFT: case QS_K_CTRL('b'): e->at = before(e); break;
    case QS_K_RIGHT: case QS_K_CTRL('f'): e->at = after(e); break;
    case QS_K_HOME: case QS_K_CTRL('a'): e->at = 0; break;
    case QS_K_END: case QS_K_CTRL('e'): e->at = end; break;
    case QS_K_BACKSPACE: cut(e, before(e), e->at); break;
    case QS_K_DELETE: case QS_K_CTRL('d'): cut(e, e->at, after(e)); break;
    case QS_K_CTRL('u'): cut(e, 0, e->at); break;
    case QS_K_CTRL('k'): e->text[e->at] = 0; break;
    case QS_K_CTRL('w'): cut(e, word_before(e), e->at); break;
    default:
        if (key >= 32 && key < QS_K_UP) insert(e, key);
    }
}

/* The call goes to the worker, which echoes it and gives it back with its next snapshot. */
static void ask(qs_ui *u, bool overwrite)
{
    qs_pick p = {.set = QS_PICK_EXPORT, .export.overwrite = overwrite};
    snprintf(p.export.what, sizeof p.export.what, "%s", u->export.what);
    snprintf(p.export.path, sizeof p.export.path, "%s", u->export.name.text);
    u->pop = QS_POP_NONE;
    qs_board_pick(u->o->board, &p);
}

void qs_export_key(qs_ui *u, int key)
{
    qs_ui_touch(u);
    if (u->export.sure) {
        u->export.sure = false;
        if (key == 'y' || key == 'Y') ask(u, true);
        return;
    }
    if (key == QS_K_ESC) u->pop = QS_POP_NONE;
    else if (key != QS_K_ENTER) edit(&u->export.name, key);
    else if (!access(u->export.name.text, F_OK)) u->export.sure = true;
    else if (*u->export.name.text) ask(u, false);
}

void qs_export_draw(qs_ui *u)
{
    const qs_edit *e = &u->export.name;
    int y = u->h - 1, room = u->w - 2;
    char t[400], head[80];
    qs_cells_fill(&u->g, (qs_rect){y, 0, 1, u->w}, L' ', QS_ROLE_TEXT, 0);
    if (u->export.sure) {
        snprintf(t, sizeof t, _("%s is there already. Overwrite?   y  n"), e->text);
        qs_cells_text(&u->g, y, 1, room, t, QS_ROLE_WARN, 0);
        return;
    }
    snprintf(head, sizeof head, _("export %s to "), u->export.what);
    int x = 1 + qs_cells_text(&u->g, y, 1, room, head, QS_ROLE_KEY, QS_BOLD), w = u->w - x - 1;
    snprintf(t, sizeof t, "%.*s", (int)e->at, e->text);
    int col = qs_text_width(t), skip = col < w ? 0 : col - w + 1;
    const char *from = e->text;
    for (int gone = 0; gone < skip;) gone += qs_char_width(qs_utf8_next(&from));
    int used = qs_cells_text(&u->g, y, x, w, from, QS_ROLE_TEXT, 0);
    const char *hint = _("Enter Esc  .svg .pdf .png .txt .ans");
    if (used + 3 + qs_text_width(hint) > w) hint = _("Enter Esc");
    if (used + 3 + qs_text_width(hint) <= w) qs_cells_right(&u->g, y, x + used, w - used, hint, QS_ROLE_DIM, 0);
    u->cur_y = y;
    u->cur_x = x + col - skip;
}
