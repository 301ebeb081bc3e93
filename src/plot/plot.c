/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Plots as cells. A cell is divided into dots (2 x 4 in braille, 2 x 2 in
 * blocks, 1 x 3 in ASCII); lines and bars set dots, each cell then shows the
 * character that has them. Knows no terminal and no quantizer.
 */
#include "plot/plot.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"

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

/* Points as crosses of five dots, so that they are seen beside lines. */
static void points(const qs_plot *p, const qs_series *s, canvas *c)
{
    static const int at[5][2] = {{0, 0}, {1, 0}, {-1, 0}, {0, 1}, {0, -1}};
    double w = c->r.w * c->sx - 1, h = c->r.h * c->sy - 1;
    for (size_t i = 0; i < s->n; i++) {
        double tx = qs_axis_at(&p->x, s->x[i]), ty = qs_axis_at(&p->y, s->y[i]);
        if (!(tx >= 0 && tx <= 1 && ty >= 0 && ty <= 1)) continue;
        for (int k = 0; k < (c->cs == QS_BRAILLE ? 5 : 1); k++)
            dot(c, (int)(tx * w + 0.5) + at[k][0], (int)((1 - ty) * h + 0.5) + at[k][1], s->role, s->attr);
    }
}

/* Every other dot between the edges: what lies over it stays readable. */
static void band(const qs_plot *p, const qs_series *s, canvas *c)
{
    double w = c->r.w * c->sx - 1, h = c->r.h * c->sy - 1;
    for (size_t i = 0; i + 1 < s->n; i++) {
        double x0 = qs_axis_at(&p->x, s->x[i]) * w, x1 = qs_axis_at(&p->x, s->x[i + 1]) * w;
        double a0 = qs_axis_at(&p->y, s->y[i]), a1 = qs_axis_at(&p->y, s->y[i + 1]);
        double b0 = qs_axis_at(&p->y, s->y2[i]), b1 = qs_axis_at(&p->y, s->y2[i + 1]);
        if (isnan(x0 + x1) || isnan(a0 + a1) || isnan(b0 + b1) || !(x1 >= x0)) continue;
        int from = (int)ceil(fmax(x0, 0)), to = (int)floor(fmin(x1, w));
        for (int px = from; px <= to; px++) {
            double t = x1 > x0 ? (px - x0) / (x1 - x0) : 0, a = a0 + t * (a1 - a0), b = b0 + t * (b1 - b0);
            int y0 = (int)lround((1 - fmin(fmax(fmax(a, b), 0), 1)) * h), y1 = (int)lround((1 - fmin(fmax(fmin(a, b), 0), 1)) * h);
            for (int py = y0; py <= y1; py++)
                if ((px + py) % 2 == 0) dot(c, px, py, s->role, s->attr);
        }
    }
}

/* ---- heat maps --------------------------------------------------------------------------- */

/* Where v lies among the colours, 0 worst to 1 best; NaN: nowhere. */
double qs_heat_at(const qs_heat *h, double v)
{
    double t = qs_axis_at(&h->scale, v);
    if (isnan(t)) return NAN;
    t = fmin(fmax(t, 0), 1);
    return h->high_is_best ? t : 1 - t;
}

void qs_heat_name(const char *const *names, size_t i, char *out, size_t size)
{
    if (names) snprintf(out, size, "%s", names[i] ? names[i] : "");
    else snprintf(out, size, "%zu", i + 1);
}

/* The numbers themselves, a blank on either side, where there is room for all. */
static void draw_values(const qs_heat *h, qs_cells *g, qs_rect r)
{
    int w = r.w / (int)h->cols, each = r.h / (int)h->rows;
    for (size_t i = 0; i < h->rows * h->cols && w >= 11 && each >= 1; i++) {
        char b[32];
        if (isnan(qs_heat_at(h, h->v[i])) || !isfinite(h->v[i])) continue;
        snprintf(b, sizeof b, " %.4g ", h->v[i]);
        int y = (int)(((double)(i / h->cols) + 0.5) * r.h / (double)h->rows), x = (int)(((double)(i % h->cols) + 0.5) * r.w / (double)h->cols);
        qs_cells_text(g, r.y + y, r.x + x - (int)strlen(b) / 2, w, b, QS_ROLE_TEXT, 0);
    }
}

/* A cell shows the value in its middle, as colour and (for whoever sees none) as shade. */
static void draw_heat(const qs_plot *p, qs_charset cs, qs_cells *g, qs_rect r)
{
    static const wchar_t fine[] = L" ░▒▓█", ascii[] = L" .:+#";
    const qs_heat *h = p->heat;
    for (int y = 0; y < r.h && h->rows && h->cols; y++)
        for (int x = 0; x < r.w; x++) {
            size_t i = (size_t)((y + 0.5) * (double)h->rows / r.h), k = (size_t)((x + 0.5) * (double)h->cols / r.w);
            double v = h->v[i * h->cols + k], t = qs_heat_at(h, v), up = h->high_is_best ? t : 1 - t;
            if (isnan(t)) continue;
            int shade = up >= 1 ? 4 : (int)(up * 5), role = QS_ROLE_HEAT0 + (t >= 1 ? 9 : (int)(t * 10));
            qs_cells_put(g, r.y + y, r.x + x, (cs == QS_ASCII ? ascii : fine)[shade], role, 0);
        }
    if (h->rows && h->cols && h->rows <= (size_t)r.h && h->cols < (size_t)r.w) draw_values(h, g, r);
    char name[64];
    for (int y = 0, last = -1; y < r.h && p->y_width > 0 && h->rows; y++) {
        int i = (int)((y + 0.5) * (double)h->rows / r.h);
        if (i == last) continue;
        last = i;
        qs_heat_name(h->row, (size_t)i, name, sizeof name);
        qs_cells_right(g, r.y + y, r.x - p->y_width, p->y_width - 1, name, QS_ROLE_DIM, 0);
    }
    for (int x = 0, used = 0; x < r.w && h->cols; x++) {
        size_t i = (size_t)((x + 0.5) * (double)h->cols / r.w);
        qs_heat_name(h->col, i, name, sizeof name);
        if (x < used || x + qs_text_width(name) > r.w) continue;
        used = x + qs_cells_text(g, r.y + r.h, r.x + x, r.w - x, name, QS_ROLE_DIM, 0) + 1;
        while (x + 1 < r.w && (size_t)((x + 1.5) * (double)h->cols / r.w) == i) x++;
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

static bool whole_x(const qs_plot *p)
{
    for (size_t i = 0; i < p->nseries; i++) {
        const qs_series *s = &p->series[i];
        for (size_t k = 0; k < s->n; k++)
            if (!s->x || (isfinite(s->x[k]) && s->x[k] != floor(s->x[k]))) return false;
    }
    return p->nseries > 0;
}

size_t qs_plot_x_ticks(const qs_plot *p, size_t max, double *out)
{
    double from = ceil(p->x.lo), to = floor(p->x.hi);
    size_t n = 0;
    if (p->x.log || !(from <= to) || to - from + 1 > (double)max || !whole_x(p)) return qs_axis_ticks(&p->x, max, out);
    for (double v = from; v <= to; v++) out[n++] = v;
    return n;
}

/* The numbers of x: in the axis line where no sign of a marker stands, or as a row. */
static void draw_x_labels(const qs_plot *p, qs_charset cs, qs_cells *g, qs_rect r, int y)
{
    double t[64];
    wchar_t line = cs == QS_ASCII ? L'-' : L'─';
    size_t max = (size_t)(r.w / 8);
    size_t n = qs_plot_x_ticks(p, max > 64 ? 64 : max, t);
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
    int below = p->heat ? 1 : (p->x_line || p->x_labels ? 1 : 0) + (int)p->nruler + p->marker_rows;
    qs_rect d = {r.y, r.x + p->y_width, r.h - below, r.w - p->y_width};
    if (area) *area = d;
    if (p->heat && d.h > 0 && d.w > 3) { draw_heat(p, cs, g, d); return; }
    if (d.h < 1 || d.w < 4 || !qs_axis_ok(&p->x) || !qs_axis_ok(&p->y)) {
        if (area) area->h = area->w = 0;
        return;
    }
    canvas c;
    canvas_new(&c, d, cs);
    for (size_t i = 0; i < p->nseries; i++) {
        const qs_series *s = &p->series[i];
        if (s->kind == QS_PLOT_LINE) line(p, s, &c);
        else if (s->kind == QS_PLOT_POINTS) points(p, s, &c);
        else if (s->kind == QS_PLOT_BAND) band(p, s, &c);
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

/* ---- standing for itself ------------------------------------------------------------------- */

size_t qs_plot_labels(const qs_plot *p)
{
    size_t n = 0;
    while (qs_plot_labelled(p, n)) n++;
    return n;
}

const qs_series *qs_plot_labelled(const qs_plot *p, size_t want)
{
    for (size_t i = 0, n = 0; i < p->nseries; i++) {
        const qs_series *s = &p->series[i];
        bool again = !s->label || !*s->label;
        for (size_t k = 0; k < i && !again; k++)
            again = p->series[k].label && !strcmp(p->series[k].label, s->label) && p->series[k].role == s->role;
        if (!again && n++ == want) return s;
    }
    return NULL;
}

/* As many labels as fit into a row; returns the next one. */
static size_t draw_labels(const qs_plot *p, size_t i, qs_charset cs, qs_cells *g, qs_rect r)
{
    static const wchar_t fine[] = L"─█●▒", ascii[] = L"-#o:";
    int x = r.x;
    for (const qs_series *s; (s = qs_plot_labelled(p, i)); i++) {
        int n = qs_text_width(s->label);
        if (x > r.x && x + 3 + n > r.x + r.w) break;
        qs_cells_put(g, r.y, x, (cs == QS_ASCII ? ascii : fine)[s->kind], s->role, QS_BOLD);
        qs_cells_text(g, r.y, x + 2, r.x + r.w - x - 2, s->label, s->role, 0);
        x += n + 4;
    }
    return i;
}

void qs_plot_sheet(const qs_plot *p, qs_charset cs, qs_cells *g, qs_rect r)
{
    qs_plot own = *p;
    own.y_width = own.y_width ? own.y_width : 9;
    own.x_line = !own.heat && !own.nruler;
    own.x_labels = own.nruler > 0;
    own.marker_rows = own.nmarker ? own.nmarker > 8 ? 4 : own.nmarker > 3 ? 3 : 1 : 0;
    if (p->title) {
        qs_cells_text(g, r.y, r.x + own.y_width, r.w - own.y_width, p->title, QS_ROLE_TITLE, QS_BOLD);
        r.y++;
        r.h--;
    }
    for (size_t i = 0, rows = 0; qs_plot_labelled(p, i) && rows < 3; rows++) {
        i = draw_labels(p, i, cs, g, (qs_rect){r.y, r.x + own.y_width, 1, r.w - own.y_width});
        r.y++;
        r.h--;
    }
    if (p->y_name && *p->y_name) {
        qs_cells_text(g, r.y, r.x, r.w, p->y_name, QS_ROLE_DIM, 0);
        r.y++;
        r.h--;
    }
    if (p->x_name && *p->x_name) qs_cells_right(g, r.y + --r.h, r.x, r.w, p->x_name, QS_ROLE_DIM, 0);
    qs_plot_draw(&own, cs, g, r, NULL);
}

/* ---- ranges ---------------------------------------------------------------------------------- */

typedef struct range { double lo, hi; size_t values, usable; } range;

static void widen(range *r, bool log_axis, double v)
{
    r->values++;
    if (!isfinite(v) || (log_axis && v <= 0)) return;
    r->usable++;
    v = fmin(fmax(v, -1e300), 1e300);
    if (log_axis) v = fmax(v, 1e-300);
    r->lo = fmin(r->lo, v);
    r->hi = fmax(r->hi, v);
}

static range range_x(const qs_plot *p)
{
    range r = {INFINITY, -INFINITY, 0, 0};
    for (size_t i = 0; i < p->nseries; i++)
        for (size_t k = 0; k < p->series[i].n && p->series[i].x; k++) widen(&r, p->x.log, p->series[i].x[k]);
    for (size_t i = 0; i < p->nmarker; i++) widen(&r, p->x.log, p->marker[i].x);
    for (size_t i = 0; i < p->nruler; i++)
        for (size_t k = 0; k < p->ruler[i].n; k++) widen(&r, p->x.log, p->ruler[i].level[k]);
    return r;
}

static range range_y(const qs_plot *p)
{
    range r = {INFINITY, -INFINITY, 0, 0};
    for (size_t i = 0; i < p->nseries; i++) {
        const qs_series *s = &p->series[i];
        for (size_t k = 0; k < s->n; k++) {
            widen(&r, p->y.log, s->y[k]);
            if (s->kind == QS_PLOT_BAND) widen(&r, p->y.log, s->y2[k]);
        }
        if (s->kind == QS_PLOT_BARS) widen(&r, p->y.log, p->y.log ? 0.5 : 0);
    }
    return r;
}

/* Ends that are NaN from the range; air: the part of the width that stays free at each. */
static int fit(qs_axis *a, range r, double air, const char *what, qs_err *err)
{
    bool lo = isnan(a->lo), hi = isnan(a->hi);
    if ((lo || hi) && a->log && r.values && !r.usable)
        return qs_fail(err, QS_ERANGE, _("%s: a logarithmic axis, and no value above 0"), what);
    if (!r.usable) r = (range){a->log ? 0.1 : 0, 1, 0, 0};
    if (lo) a->lo = r.lo;
    if (hi) a->hi = r.hi;
    if ((lo || hi) && a->log && a->lo > 0 && a->hi / a->lo < 1 + 1e-6) {
        if (lo) a->lo /= 2;
        if (hi) a->hi *= 2;
    } else if ((lo || hi) && a->log && a->lo > 0) {
        double by = exp(air * (log(a->hi) - log(a->lo)));
        if (lo) a->lo = fmax(a->lo / by, 1e-305);
        if (hi) a->hi = fmin(a->hi * by, 1e305);
    } else if (lo || hi) {
        double least = 1e-9 * fmax(fabs(a->lo), fabs(a->hi)), by = air * (a->hi - a->lo);
        if (!(a->hi - a->lo > least)) by = a->lo < 0 || a->lo > 0 ? fabs(a->lo) / 10 : 1;
        if (lo) a->lo -= by;
        if (hi) a->hi += by;
    }
    if (qs_axis_ok(a)) return 0;
    return qs_fail(err, QS_ERANGE, _("%s: an axis from %g to %g cannot be drawn%s"), what, a->lo, a->hi,
                   a->log && !(a->lo > 0) ? _(" (it is logarithmic: both ends above 0)") : "");
}

int qs_plot_fit(qs_plot *p, qs_err *err)
{
    bool bars = false, floor_y = isnan(p->y.lo);
    for (size_t i = 0; i < p->nseries; i++) bars |= p->series[i].kind == QS_PLOT_BARS;
    int rc = fit(&p->x, range_x(p), 0.02, "x", err);
    if (!rc) rc = fit(&p->y, range_y(p), 0.04, "y", err);
    if (!rc && bars && floor_y && !p->y.log && p->y.lo < 0) p->y.lo = 0;     /* bars stand on the axis */
    return rc;
}

void qs_spark(qs_cells *g, int y, int x, const unsigned char *v, int n, qs_charset cs, int role, int attr)
{
    static const wchar_t fine[] = L" ▁▂▃▄▅▆▇█", ascii[] = L" ..--==##";
    for (int i = 0; i < n; i++)
        qs_cells_put(g, y, x + i, (cs == QS_ASCII ? ascii : fine)[v[i] > 8 ? 8 : v[i]], role, attr);
}
