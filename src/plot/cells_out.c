/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Grids of cells as files: text, text with the colours of a terminal, SVG whose letters are letters; and on a page of paper.h,
 * as a terminal shows them.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "plot/color.h"
#include "plot/ink.h"

enum { PAPER = 0x1C1C1C, INK = 0xD0D0D0 };

typedef struct style { qs_color c; int attr; } style;

static style style_of(const qs_cell *cell)
{
    style s = {qs_color_of(cell->role), cell->attr & (QS_BOLD | QS_UNDER | QS_REVERSE)};
    if (cell->attr & QS_SELECTED) s.c = qs_color_selected(s.c);
    return s;
}

static bool alike(style a, style b) { return a.c.fg == b.c.fg && a.c.bg == b.c.bg && a.attr == b.attr; }

static const qs_cell *row_of(const qs_cells *g, qs_rect r, int y) { return g->c + (size_t)(r.y + y) * (size_t)g->w + r.x; }

static qs_rect within(const qs_cells *g, qs_rect r)
{
    if (r.y < 0) { r.h += r.y; r.y = 0; }
    if (r.x < 0) { r.w += r.x; r.x = 0; }
    if (r.y + r.h > g->h) r.h = g->h - r.y;
    if (r.x + r.w > g->w) r.w = g->w - r.x;
    return r;
}

/* The last column that shows something, and one. */
static int end_of(const qs_cell *row, int w)
{
    while (w > 0 && row[w - 1].ch == L' ' && !(row[w - 1].attr & (QS_REVERSE | QS_UNDER | QS_SELECTED)) && qs_color_of(row[w - 1].role).bg < 0) w--;
    return w;
}

static void add_char(qs_str *b, wchar_t ch)
{
    char c[5];
    qs_str_addn(b, c, qs_utf8_put(ch, c));
}

/* ---- text ---------------------------------------------------------------------------------- */

char *qs_cells_text_of(const qs_cells *g, qs_rect r)
{
    qs_str b = {0};
    r = within(g, r);
    qs_str_add(&b, "");
    for (int y = 0; y < r.h; y++) {
        const qs_cell *row = row_of(g, r, y);
        int end = r.w;
        while (end > 0 && row[end - 1].ch == L' ') end--;
        for (int x = 0; x < end; x++)
            if (row[x].ch) add_char(&b, row[x].ch);
        qs_str_add(&b, "\n");
    }
    return b.s;
}

/* ---- a terminal's colours --------------------------------------------------------------------- */

static void add_sgr(qs_str *b, style s)
{
    qs_str_add(b, "\033[0");
    if (s.attr & QS_BOLD) qs_str_add(b, ";1");
    if (s.attr & QS_UNDER) qs_str_add(b, ";4");
    if (s.attr & QS_REVERSE) qs_str_add(b, ";7");
    if (s.c.fg >= 0) qs_str_addf(b, ";38;5;%d", s.c.fg);
    if (s.c.bg >= 0) qs_str_addf(b, ";48;5;%d", s.c.bg);
    qs_str_add(b, "m");
}

char *qs_cells_ansi(const qs_cells *g, qs_rect r)
{
    static const style none = {{-1, -1, 0}, 0};
    qs_str b = {0};
    r = within(g, r);
    qs_str_add(&b, "");
    for (int y = 0; y < r.h; y++) {
        const qs_cell *row = row_of(g, r, y);
        style now = none;
        for (int x = 0; x < end_of(row, r.w); x++) {
            style s = style_of(&row[x]);
            if (row[x].ch && !alike(s, now)) add_sgr(&b, now = s);
            if (row[x].ch) add_char(&b, row[x].ch);
        }
        qs_str_add(&b, alike(now, none) ? "\n" : "\033[0m\n");
    }
    return b.s;
}

/* ---- SVG ------------------------------------------------------------------------------------------ */

enum { CW = 9, CH = 18, SIZE = 15 };       /* a cell, and the letters in it */

static void colors(style s, uint32_t *fg, uint32_t *bg)
{
    uint32_t f = s.c.fg < 0 ? INK : qs_color_xterm(s.c.fg), p = s.c.bg < 0 ? PAPER : qs_color_xterm(s.c.bg);
    bool turned = s.attr & QS_REVERSE;
    *fg = turned ? p : f;
    *bg = turned ? f : p;
}

static void add_svg_char(qs_str *b, wchar_t ch)
{
    if (ch == L'&') qs_str_add(b, "&amp;");
    else if (ch == L'<') qs_str_add(b, "&lt;");
    else if (ch == L'>') qs_str_add(b, "&gt;");
    else add_char(b, ch);
}

/* Cells from .. to of one style: their ground, and their letters, each at its place whatever the font. */
static void add_run(qs_str *b, const qs_cell *row, int y, int from, int to, style s)
{
    uint32_t fg, bg;
    bool blank = true;
    colors(s, &fg, &bg);
    for (int x = from; x < to; x++) blank &= row[x].ch == L' ' || row[x].ch == 0;
    if (bg != PAPER)
        qs_str_addf(b, "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"#%06x\"/>\n", from * CW, y * CH, (to - from) * CW, CH, bg);
    if (blank) return;
    qs_str_addf(b, "<text y=\"%d\" fill=\"#%06x\"%s%s x=\"", y * CH + CH - 5, fg, s.attr & QS_BOLD ? " font-weight=\"bold\"" : "",
                s.attr & QS_UNDER ? " text-decoration=\"underline\"" : "");
    for (int x = from; x < to; x++)
        if (row[x].ch) qs_str_addf(b, "%s%d", x > from ? " " : "", x * CW);
    qs_str_add(b, "\">");
    for (int x = from; x < to; x++)
        if (row[x].ch) add_svg_char(b, row[x].ch);
    qs_str_add(b, "</text>\n");
}

char *qs_cells_svg(const qs_cells *g, qs_rect r)
{
    qs_str b = {0};
    r = within(g, r);
    qs_str_addf(&b, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
                "viewBox=\"-%d -%d %d %d\" font-family=\"'DejaVu Sans Mono', monospace\" font-size=\"%d\" xml:space=\"preserve\">\n"
                "<rect x=\"-%d\" y=\"-%d\" width=\"100%%\" height=\"100%%\" fill=\"#%06x\"/>\n",
                (r.w + 2) * CW, (r.h + 1) * CH, CW, CH / 2, (r.w + 2) * CW, (r.h + 1) * CH, SIZE, CW, CH / 2, PAPER);
    for (int y = 0; y < r.h; y++) {
        const qs_cell *row = row_of(g, r, y);
        int end = end_of(row, r.w);
        for (int x = 0, from; x < end;) {
            style s = style_of(&row[x]);
            for (from = x; x < end && alike(style_of(&row[x]), s); x++) {}
            add_run(&b, row, y, from, x, s);
        }
    }
    qs_str_add(&b, "</svg>\n");
    return b.s;
}

/* ---- a page ---------------------------------------------------------------------------------------- */

typedef struct screen { qs_paper *pp; double x, y, cw, ch, size; } screen;

/* A part of cells, in units of them. */
static void fill(const screen *s, double x, double y, double w, double h)
{
    qs_ink_rect(s->pp, (qs_box){s->x + x * s->cw, s->y + y * s->ch, w * s->cw, h * s->ch});
}

/* Braille and blocks as what they show: fonts differ too much in them. */
static bool draw_shape(const screen *s, wchar_t ch, double y, double x)
{
    static const int bit[8][2] = {{0, 0}, {0, 1}, {0, 2}, {1, 0}, {1, 1}, {1, 2}, {0, 3}, {1, 3}};
    if (ch >= 0x2800 && ch < 0x2900) {
        for (int i = 0; i < 8; i++)
            if ((ch - 0x2800) >> i & 1) fill(s, x + 0.08 + 0.5 * bit[i][0], y + 0.03 + 0.25 * bit[i][1], 0.36, 0.2);
        return true;
    }
    if (ch >= 0x2581 && ch <= 0x2588) {
        double h = (ch - 0x2580) / 8.0;
        fill(s, x, y + 1 - h, 1, h);
        return true;
    }
    return false;
}

static void draw_cell(const screen *s, const qs_cell *c, int y, int x)
{
    uint32_t fg, bg;
    colors(style_of(c), &fg, &bg);
    if (bg != PAPER) {
        qs_ink_color(s->pp, bg, 1);
        fill(s, x, y, 1.02, 1.02);
    }
    qs_ink_color(s->pp, fg, 1);
    if (c->attr & QS_UNDER) fill(s, x, y + 0.95, 1, 0.05);
    if (c->ch > L' ' && !draw_shape(s, c->ch, y, x))
        qs_ink_letter(s->pp, c->ch, s->x + x * s->cw, s->y + (y + 0.78) * s->ch, s->size, c->attr & QS_BOLD);
}

void qs_paper_cells(qs_paper *pp, const qs_cells *g, qs_rect r)
{
    if (r.h < 1 || r.w < 1) return;
    qs_ink_flood(pp, PAPER);
    qs_box page = qs_ink_page(pp);
    double wide = qs_ink_letter_width(pp), tall = 1.2;
    screen s = {.pp = pp, .size = fmin(page.w / ((r.w + 2) * wide), page.h / ((r.h + 1) * tall))};
    s.cw = s.size * wide;
    s.ch = s.size * tall;
    s.x = (page.w - r.w * s.cw) / 2;
    s.y = (page.h - r.h * s.ch) / 2;
    for (int y = 0; y < r.h; y++)
        for (int x = 0; x < r.w; x++)
            if (r.y + y < g->h && r.x + x < g->w) draw_cell(&s, &g->c[(size_t)(r.y + y) * (size_t)g->w + (size_t)(r.x + x)], y, x);
}
