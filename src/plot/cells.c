/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Cells and UTF-8. Knows the width of characters and how to clip; knows no
 * terminal and no plot.
 */
#include "plot/cells.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void qs_cells_init(qs_cells *g, int h, int w)
{
    g->h = h > 0 ? h : 0;
    g->w = w > 0 ? w : 0;
    g->c = qs_xcalloc((size_t)g->h * (size_t)g->w + 1, sizeof *g->c);
    qs_cells_clear(g);
}

void qs_cells_clear(qs_cells *g)
{
    size_t n = (size_t)g->h * (size_t)g->w;
    for (size_t i = 0; i < n; i++) g->c[i] = (qs_cell){L' ', QS_ROLE_TEXT, 0};
}

void qs_cells_free(qs_cells *g)
{
    free(g->c);
    *g = (qs_cells){0, 0, NULL};
}

static qs_cell *at(const qs_cells *g, int y, int x)
{
    if (y < 0 || x < 0 || y >= g->h || x >= g->w) return NULL;
    return &g->c[(size_t)y * (size_t)g->w + (size_t)x];
}

/* A wide character must not lose one half only: the half that stays becomes a blank. */
static void heal(qs_cells *g, int y, int x)
{
    qs_cell *c = at(g, y, x), *left = at(g, y, x - 1), *right = at(g, y, x + 1);
    if (c->ch == 0 && left) left->ch = L' ';
    else if (right && right->ch == 0) right->ch = L' ';
}

void qs_cells_put(qs_cells *g, int y, int x, wchar_t ch, int role, int attr)
{
    qs_cell *c = at(g, y, x);
    if (!c) return;
    heal(g, y, x);
    *c = (qs_cell){ch, (unsigned char)role, (unsigned char)attr};
}

void qs_cells_fill(qs_cells *g, qs_rect r, wchar_t ch, int role, int attr)
{
    for (int y = r.y; y < r.y + r.h; y++)
        for (int x = r.x; x < r.x + r.w; x++) qs_cells_put(g, y, x, ch, role, attr);
}

void qs_cells_mark(qs_cells *g, qs_rect r, int attr)
{
    for (int y = r.y; y < r.y + r.h; y++)
        for (int x = r.x; x < r.x + r.w; x++) {
            qs_cell *c = at(g, y, x);
            if (c) c->attr = (unsigned char)(c->attr | attr);
        }
}

/* Bytes of a sequence by its first byte, 0: not a first byte. */
static int utf8_len(unsigned char b)
{
    if (b < 0x80) return 1;
    if (b >= 0xC2 && b < 0xE0) return 2;
    if (b >= 0xE0 && b < 0xF0) return 3;
    if (b >= 0xF0 && b < 0xF5) return 4;
    return 0;
}

wchar_t qs_utf8_next(const char **s)
{
    const unsigned char *p = (const unsigned char *)*s;
    static const unsigned char mask[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (!*p) return 0;
    int n = utf8_len(*p);
    uint32_t v = n ? *p & mask[n] : 0;
    for (int i = 1; i < n; i++) {
        if ((p[i] & 0xC0) != 0x80) { n = 0; break; }
        v = v << 6 | (p[i] & 0x3F);
    }
    bool bad = n == 0 || v < least[n] || v > 0x10FFFF || (v >= 0xD800 && v < 0xE000);
    *s += bad ? 1 : n;
    return bad ? 0xFFFD : (wchar_t)v;
}

size_t qs_utf8_put(wchar_t ch, char *out)
{
    uint32_t v = (uint32_t)ch;
    size_t n = v < 0x80 ? 1 : v < 0x800 ? 2 : v < 0x10000 ? 3 : 4;
    static const unsigned char lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (size_t i = n; i-- > 1; v >>= 6) out[i] = (char)(0x80 | (v & 0x3F));
    out[0] = (char)(lead[n] | v);
    out[n] = 0;
    return n;
}

int qs_char_width(wchar_t ch)
{
    if (ch < 0x20 || ch == 0x7F) return 1;            /* shown as '?' */
    if (ch < 0x7F) return 1;
    if (ch < 0xA0 || ch == 0xFFFD) return 1;
    int w = wcwidth(ch);
    return w < 0 ? 1 : w;                             /* a locale that does not know it */
}

int qs_text_width(const char *s)
{
    int w = 0;
    for (; *s >= ' ' && *s <= '~'; s++) w++;                       /* most names are nothing else */
    for (wchar_t c; (c = qs_utf8_next(&s));) w += qs_char_width(c);
    return w;
}

static wchar_t shown(wchar_t c)
{
    return c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0xFFFD ? L'?' : c;
}

int qs_cells_text(qs_cells *g, int y, int x, int w, const char *s, int role, int attr)
{
    int used = 0;
    if (w <= 0 || !s) return 0;
    bool cut = qs_text_width(s) > w;
    int room = cut ? w - 1 : w;
    for (wchar_t c; (c = qs_utf8_next(&s));) {
        int cw = qs_char_width(c);
        if (cw == 0) continue;                        /* a combining mark has no cell of its own */
        if (used + cw > room) break;
        qs_cells_put(g, y, x + used, shown(c), role, attr);
        if (cw == 2) {
            qs_cell *half = at(g, y, x + used + 1);
            if (half) *half = (qs_cell){0, (unsigned char)role, (unsigned char)attr};
            else qs_cells_put(g, y, x + used, L' ', role, attr);
        }
        used += cw;
    }
    if (cut) qs_cells_put(g, y, x + used++, L'…', role, attr);
    return used;
}

int qs_cells_name(qs_cells *g, int y, int x, int w, const char *s, int role, int attr)
{
    int n = qs_text_width(s), tail = w / 2;
    if (n <= w || w < 5) return qs_cells_text(g, y, x, w, s, role, attr);
    const char *p = s;
    for (int left = n; left > tail;) left -= qs_char_width(qs_utf8_next(&p));
    tail = qs_text_width(p);
    int head = qs_cells_text(g, y, x, w - tail, s, role, attr);      /* ends in the ellipsis by itself */
    return head + qs_cells_text(g, y, x + head, tail, p, role, attr);
}

void qs_cells_right(qs_cells *g, int y, int x, int w, const char *s, int role, int attr)
{
    int n = qs_text_width(s);
    if (n > w) n = w;
    qs_cells_text(g, y, x + w - n, n, s, role, attr);
}

void qs_cells_frame(qs_cells *g, qs_rect r, int role, int attr)
{
    int b = r.y + r.h - 1, e = r.x + r.w - 1;
    if (r.h < 2 || r.w < 2) return;
    for (int x = r.x + 1; x < e; x++) {
        qs_cells_put(g, r.y, x, L'─', role, attr);
        qs_cells_put(g, b, x, L'─', role, attr);
    }
    for (int y = r.y + 1; y < b; y++) {
        qs_cells_put(g, y, r.x, L'│', role, attr);
        qs_cells_put(g, y, e, L'│', role, attr);
    }
    qs_cells_put(g, r.y, r.x, L'╭', role, attr);
    qs_cells_put(g, r.y, e, L'╮', role, attr);
    qs_cells_put(g, b, r.x, L'╰', role, attr);
    qs_cells_put(g, b, e, L'╯', role, attr);
}

/* Characters of ours and what stands for them where there is only ASCII. */
static const struct { wchar_t from; char to; } plain[] = {
    {L'─', '-'}, {L'│', '|'}, {L'╭', '+'}, {L'╮', '+'}, {L'╰', '+'}, {L'╯', '+'}, {L'├', '+'}, {L'┤', '+'},
    {L'┬', '+'}, {L'┴', '+'}, {L'━', '='}, {L'╌', '-'}, {L'┿', '+'}, {L'┷', '\''}, {L'┊', ':'}, {L'┼', '+'}, {L'┯', '\''},
    {L'╷', '\''}, {L'…', '~'}, {L'·', '.'}, {L'×', 'x'}, {L'▸', '>'}, {L'◂', '<'}, {L'▲', '^'}, {L'▼', 'v'}, {L'●', '*'},
    {L'○', 'o'}, {L'◆', '*'}, {L'▁', '.'}, {L'▂', '.'}, {L'▃', '-'}, {L'▄', '-'}, {L'▅', '='}, {L'▆', '='}, {L'▇', '#'},
    {L'█', '#'}, {L'▰', '#'}, {L'▱', '.'}, {L'░', '.'}, {L'▒', ':'}, {L'▓', '#'}, {L'±', '~'}, {L'≈', '~'}, {L'→', '>'},
    {L'←', '<'}, {L'↑', '^'}, {L'↓', 'v'}, {L'²', '2'}, {L'√', 'v'}, {L'Σ', 'S'}, {L'σ', 's'}, {L'µ', 'u'}, {L'μ', 'u'},
    {L'–', '-'}, {L'∞', '8'}, {L'⋯', '.'}, {L'⏎', '/'},
};

static wchar_t ascii_of(wchar_t c)
{
    if (c < 0x80) return c;
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        if (plain[i].from == c) return (wchar_t)plain[i].to;
    return L'?';
}

void qs_cells_ascii(qs_cells *g)
{
    size_t n = (size_t)g->h * (size_t)g->w;
    for (size_t i = 0; i < n; i++) g->c[i].ch = g->c[i].ch ? ascii_of(g->c[i].ch) : L' ';
}

char *qs_cells_string(const qs_cells *g) { return qs_cells_text_of(g, (qs_rect){0, 0, g->h, g->w}); }
