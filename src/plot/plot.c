/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Plots as cells. A cell is divided into dots (2 x 4 in braille, 2 x 2 in
 * blocks, 1 x 3 in ASCII); lines and bars set dots, each cell then shows the
 * character that has them. Knows no terminal and no quantizer.
 */
#include "plot/plot.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* ---- dots ----------------------------------------------------------------------- */

static const struct { int x, y; } dots_of[] = {{2, 4}, {2, 2}, {1, 3}};

typedef struct canvas {
    qs_rect r;
    qs_charset cs;
    int sx, sy;                  /* dots a cell */
    unsigned char *bits, *role, *attr;
} canvas;

static void canvas_new(canvas *c, qs_rect r, qs_charset cs)
{
    size_t n = (size_t)r.h * (size_t)r.w;
    *c = (canvas){.r = r, .cs = cs, .sx = dots_of[cs].x, .sy = dots_of[cs].y};
    c->bits = qs_xcalloc(3, n + 1);
    c->role = c->bits + n;
    c->attr = c->role + n;
}

/* The bit of dot (dx, dy) inside its cell. */
static unsigned char dot_bit(qs_charset cs, int dx, int dy)
{
    static const unsigned char braille[4][2] = {{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}};
    if (cs == QS_BRAILLE) return braille[dy][dx];
    return (unsigned char)(1 << (cs == QS_BLOCK ? dy * 2 + dx : dy));
}

static void dot(canvas *c, int px, int py, int role, int attr)
{
    int x = px / c->sx, y = py / c->sy;
    if (px < 0 || py < 0 || x >= c->r.w || y >= c->r.h) return;
    size_t i = (size_t)y * (size_t)c->r.w + (size_t)x;
    c->bits[i] |= dot_bit(c->cs, px % c->sx, py % c->sy);
    c->role[i] = (unsigned char)role;
    c->attr[i] = (unsigned char)attr;
}

static wchar_t dot_char(qs_charset cs, unsigned char bits)
{
    static const wchar_t quad[] = L" ▘▝▀▖▌▞▛▗▚▐▜▄▙▟█";
    static const wchar_t ascii[] = L" '-|.||#";
    if (cs == QS_BRAILLE) return (wchar_t)(0x2800 + bits);
    return cs == QS_BLOCK ? quad[bits & 15] : ascii[bits & 7];
}

static void canvas_show(canvas *c, qs_cells *g)
{
    for (int y = 0; y < c->r.h; y++)
        for (int x = 0; x < c->r.w; x++) {
            size_t i = (size_t)y * (size_t)c->r.w + (size_t)x;
            if (c->bits[i]) qs_cells_put(g, c->r.y + y, c->r.x + x, dot_char(c->cs, c->bits[i]), c->role[i], c->attr[i]);
        }
    free(c->bits);
}

/* ---- bars ------------------------------------------------------------------------- */

int qs_plot_bins_per_cell(qs_charset cs) { return cs == QS_BRAILLE ? 2 : 1; }

void qs_plot_rebin(const double *in, size_t n, double *out, size_t cells)
{
    for (size_t c = 0; c < cells; c++) out[c] = 0;
    if (n >= cells) {
        for (size_t i = 0; i < n; i++) out[i * cells / n] += in[i];
        return;
    }
    for (size_t c = 0; c < cells; c++)          /* fewer bins than cells: a bin is several cells wide */
        out[c] = in[c * n / cells];
}

/* Height of a bar in parts of `full`; a bar that is not 0 shows at least one. */
static int bar_height(const qs_axis *y, double v, int full)
{
    if (!(v > 0)) return 0;
    double t = qs_axis_at(y, v);
    int h = (int)lround(t * full);
    return h < 1 ? 1 : h > full ? full : h;
}

static void bars_braille(const qs_plot *p, const qs_series *s, canvas *c)
{
    int cols = c->r.w * c->sx, full = c->r.h * c->sy;
    double *v = qs_xmalloc((size_t)cols * sizeof *v);
    qs_plot_rebin(s->y, s->n, v, (size_t)cols);
    for (int x = 0; x < cols; x++) {
        int h = bar_height(&p->y, v[x], full);
        for (int y = 0; y < h; y++) dot(c, x, full - 1 - y, s->role, s->attr);
    }
    free(v);
}

/* Whole characters that fill from below: eighths, or thirds in ASCII. */
static void bars_cells(const qs_plot *p, const qs_series *s, qs_charset cs, qs_cells *g, qs_rect r)
{
    static const wchar_t eighth[] = L" ▁▂▃▄▅▆▇█", third[] = L" .:#";
    const wchar_t *glyph = cs == QS_BLOCK ? eighth : third;
    int parts = cs == QS_BLOCK ? 8 : 3;
    double *v = qs_xmalloc((size_t)r.w * sizeof *v);
    qs_plot_rebin(s->y, s->n, v, (size_t)r.w);
    for (int x = 0; x < r.w; x++) {
        int h = bar_height(&p->y, v[x], r.h * parts);
        for (int y = 0; h > 0; y++, h -= parts)
            qs_cells_put(g, r.y + r.h - 1 - y, r.x + x, glyph[h < parts ? h : parts], s->role, s->attr);
    }
    free(v);
}

/* ---- lines ------------------------------------------------------------------------- */

static void segment(canvas *c, double x0, double y0, double x1, double y1, int role, int attr)
{
    double dx = x1 - x0, dy = y1 - y0;
    double len = fmax(fabs(dx), fabs(dy));
    int n = len > 1e5 ? 100000 : (int)ceil(len);
    for (int i = 0; i <= n; i++) {
        double t = n ? (double)i / n : 0;
        dot(c, (int)floor(x0 + t * dx), (int)floor(y0 + t * dy), role, attr);
    }
}

/* Liang and Barsky's clip in one direction. */
static bool clip_edge(double den, double num, double *t0, double *t1)
{
    if (den == 0) return num <= 0;
    double t = num / den;
    if (den > 0 ? t > *t1 : t < *t0) return false;
    if (den > 0) { if (t > *t0) *t0 = t; }
    else if (t < *t1) *t1 = t;
    return *t0 <= *t1;
}

static void line(const qs_plot *p, const qs_series *s, canvas *c)
{
    double w = c->r.w * c->sx - 1, h = c->r.h * c->sy - 1;
    double px = NAN, py = NAN;
    for (size_t i = 0; i < s->n; i++) {
        double tx = qs_axis_at(&p->x, s->x[i]), ty = qs_axis_at(&p->y, s->y[i]);
        double x = tx * w + 0.5, y = (1 - ty) * h + 0.5;
        if (!isnan(px) && !isnan(x) && !isnan(y)) {
            double t0 = 0, t1 = 1, dx = x - px, dy = y - py;
            if (clip_edge(dx, 0 - px, &t0, &t1) && clip_edge(-dx, px - (w + 1), &t0, &t1) &&
                clip_edge(dy, 0 - py, &t0, &t1) && clip_edge(-dy, py - (h + 1), &t0, &t1))
                segment(c, px + t0 * dx, py + t0 * dy, px + t1 * dx, py + t1 * dy, s->role, s->attr);
        }
        px = x;
        py = isnan(x) ? NAN : y;
        if (isnan(py)) px = NAN;
    }
}

/* ---- around the data -------------------------------------------------------------------- */

int qs_plot_column(const qs_axis *a, qs_rect area, double x)
{
    double t = qs_axis_at(a, x);
    if (isnan(t) || area.w <= 0) return area.x;
    int c = (int)floor(fmin(fmax(t, -1), 2) * area.w);
    return area.x + (c < 0 ? 0 : c >= area.w ? area.w - 1 : c);
}

double qs_plot_at_column(const qs_axis *a, qs_rect area, int col)
{
    return qs_axis_value(a, (col - area.x + 0.5) / (area.w > 0 ? area.w : 1));
}

static bool inside(const qs_axis *a, double x)
{
    double t = qs_axis_at(a, x);
    return t >= 0 && t <= 1;
}

static void draw_limits(const qs_plot *p, qs_charset cs, qs_cells *g, qs_rect r)
{
    for (size_t i = 0; i < p->nlimit; i++) {
        const qs_limit *l = &p->limit[i];
        if (!inside(&p->x, l->x)) continue;
        int x = qs_plot_column(&p->x, r, l->x);
        for (int y = r.y; y < r.y + r.h; y++) {
            wchar_t have = x >= 0 && x < g->w && y >= 0 && y < g->h ? g->c[(size_t)y * (size_t)g->w + (size_t)x].ch : 0;
            if (have == L' ') qs_cells_put(g, y, x, cs == QS_ASCII ? L':' : l->ch, l->role, 0);
            else if (l->over) qs_cells_mark(g, (qs_rect){y, x, 1, 1}, QS_REVERSE);
        }
    }
}

static void draw_ruler(const qs_plot *p, const qs_ruler *u, qs_charset cs, qs_cells *g, qs_rect r, int y)
{
    static const wchar_t fine[] = L"╌━┿┷", ascii[] = L".=+'";
    const wchar_t *glyph = cs == QS_ASCII ? ascii : fine;
    for (int x = r.x; x < r.x + r.w; x++) {
        double v = qs_plot_at_column(&p->x, r, x);
        bool in = v >= u->lo && v <= u->hi;
        qs_cells_put(g, y, x, glyph[in], in ? u->role : QS_ROLE_DIM, 0);
    }
    size_t seen = 0;
    for (size_t k = 0; k < u->n; k++) seen += inside(&p->x, u->level[k]);
    if (seen * 4 <= (size_t)r.w * 1 && u->cut)                 /* thresholds only where levels leave room */
        for (size_t k = 0; k + 1 < u->n; k++)
            if (inside(&p->x, u->cut[k]))
                qs_cells_put(g, y, qs_plot_column(&p->x, r, u->cut[k]), glyph[3], QS_ROLE_CUT, 0);
    for (size_t k = 0; k < u->n && seen * 3 <= (size_t)r.w * 2; k++)
        if (inside(&p->x, u->level[k]))
            qs_cells_put(g, y, qs_plot_column(&p->x, r, u->level[k]), glyph[2], u->role, QS_BOLD);
}

static bool is_free(const qs_cells *g, int y, int x, int n, wchar_t blank)
{
    for (int i = x; i < x + n; i++)
        if (i < 0 || i >= g->w || y < 0 || y >= g->h || g->c[(size_t)y * (size_t)g->w + (size_t)i].ch != blank) return false;
    return true;
}

/* The numbers of x: in the axis line where no sign of a marker stands, or as a row. */
static void draw_x_labels(const qs_plot *p, qs_charset cs, qs_cells *g, qs_rect r, int y)
{
    double t[64];
    wchar_t line = cs == QS_ASCII ? L'-' : L'─';
    size_t max = (size_t)(r.w / 8);
    size_t n = qs_axis_ticks(&p->x, max > 64 ? 64 : max, t);
    int used = r.x - 1;
    for (size_t i = 0; i < n; i++) {
        char b[24];
        qs_axis_label(&p->x, t, n, t[i], b, sizeof b);
        int c = qs_plot_column(&p->x, r, t[i]), len = (int)strlen(b), x = c - len / 2;
        if (x < r.x) x = r.x;
        if (x + len > r.x + r.w) x = r.x + r.w - len;
        if (x <= used || (p->x_line && !is_free(g, y, x, len, line))) continue;
        qs_cells_text(g, y, x, len, b, QS_ROLE_DIM, 0);
        used = x + len;
    }
}

static void draw_y_labels(const qs_plot *p, qs_charset cs, qs_cells *g, qs_rect r)
{
    double t[32];
    size_t least = p->y_ticks > 2 ? (size_t)p->y_ticks : 2, half = (size_t)r.h / 2;
    size_t max = half < least ? least : half > 32 ? 32 : half;
    size_t n = qs_axis_ticks(&p->y, max, t);
    int x = r.x - p->y_width, last = -9;
    for (int y = r.y; y < r.y + r.h; y++) qs_cells_put(g, y, r.x - 1, cs == QS_ASCII ? L'|' : L'│', QS_ROLE_FRAME, 0);
    for (size_t i = 0; i < n; i++) {
        char b[24];
        double at = qs_axis_at(&p->y, t[i]);
        if (at < 0 || at > 1) continue;
        int y = r.y + r.h - 1 - (int)floor(fmin(at * r.h, r.h - 1));
        if (y == last) continue;
        qs_axis_label(&p->y, t, n, t[i], b, sizeof b);
        qs_cells_right(g, y, x, p->y_width - 1, b, QS_ROLE_DIM, 0);
        qs_cells_put(g, y, r.x - 1, cs == QS_ASCII ? L'+' : L'┤', QS_ROLE_FRAME, 0);
        last = y;
    }
}

/* Tries to put one marker's label into a row; the sign stands exactly at its place. */
static bool place(const qs_plot *p, const qs_marker *m, qs_charset cs, qs_cells *g, qs_rect r, int y, bool left)
{
    int c = qs_plot_column(&p->x, r, m->x), len = qs_text_width(m->label) + 1;
    int x = left ? c - len + 1 : c;
    if (x < r.x || x + len > r.x + r.w) return false;
    for (int i = x - 1; i <= x + len; i++) {
        if (i < r.x || i >= r.x + r.w) continue;
        if (y < 0 || y >= g->h || i >= g->w || g->c[(size_t)y * (size_t)g->w + (size_t)i].ch != L' ') return false;
    }
    wchar_t sign = m->strong ? (cs == QS_ASCII ? L'*' : L'●') : (cs == QS_ASCII ? L'^' : L'▲');
    qs_cells_put(g, y, c, sign, m->role, m->strong ? QS_BOLD : 0);
    qs_cells_text(g, y, left ? x : x + 1, len - 1, m->label, m->role, m->strong ? QS_BOLD : 0);
    return true;
}

static void draw_markers(const qs_plot *p, qs_charset cs, qs_cells *g, qs_rect r, int y)
{
    for (int strong = 1; strong >= 0; strong--)
        for (size_t i = 0; i < p->nmarker; i++) {
            const qs_marker *m = &p->marker[i];
            bool done = false;
            if (m->strong != strong || !inside(&p->x, m->x)) continue;
            for (int k = 0; k < p->marker_rows && !done; k++)
                done = place(p, m, cs, g, r, y + k, false) || place(p, m, cs, g, r, y + k, true);
            if (!done && p->x_line)
                qs_cells_put(g, y - 1, qs_plot_column(&p->x, r, m->x), cs == QS_ASCII ? L'^' : L'▲', m->role, 0);
        }
}

void qs_plot_draw(const qs_plot *p, qs_charset cs, qs_cells *g, qs_rect r, qs_rect *area)
{
    int below = (p->x_line || p->x_labels ? 1 : 0) + (int)p->nruler + p->marker_rows;
    qs_rect d = {r.y, r.x + p->y_width, r.h - below, r.w - p->y_width};
    if (area) *area = d;
    if (d.h < 1 || d.w < 4 || !qs_axis_ok(&p->x) || !qs_axis_ok(&p->y)) {
        if (area) area->h = area->w = 0;
        return;
    }
    canvas c;
    canvas_new(&c, d, cs);
    for (size_t i = 0; i < p->nseries; i++) {
        const qs_series *s = &p->series[i];
        if (s->kind == QS_PLOT_LINE) line(p, s, &c);
        else if (cs == QS_BRAILLE) bars_braille(p, s, &c);
        else bars_cells(p, s, cs, g, d);
    }
    canvas_show(&c, g);
    draw_limits(p, cs, g, d);
    if (p->y_width > 0) draw_y_labels(p, cs, g, d);
    int y = d.y + d.h;
    for (size_t i = 0; i < p->nruler; i++) draw_ruler(p, &p->ruler[i], cs, g, d, y++);
    for (int x = d.x; p->x_line && x < d.x + d.w; x++) qs_cells_put(g, y, x, cs == QS_ASCII ? L'-' : L'─', QS_ROLE_FRAME, 0);
    draw_markers(p, cs, g, d, y + (p->x_line || p->x_labels ? 1 : 0));
    if (p->x_line || p->x_labels) draw_x_labels(p, cs, g, d, y);
}

void qs_spark(qs_cells *g, int y, int x, const unsigned char *v, int n, qs_charset cs, int role, int attr)
{
    static const wchar_t fine[] = L" ▁▂▃▄▅▆▇█", ascii[] = L" ..--==##";
    for (int i = 0; i < n; i++)
        qs_cells_put(g, y, x + i, (cs == QS_ASCII ? ascii : fine)[v[i] > 8 ? 8 : v[i]], role, attr);
}
