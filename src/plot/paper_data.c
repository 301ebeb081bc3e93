/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The data of a plot on its part of a page: series and heat maps. Where that part is was decided before, and what stands
 * around it is drawn elsewhere (paper.c). What may be a million is thinned here: the file stays one that can be opened.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "plot/color.h"
#include "plot/sheet.h"

/* ---- series -------------------------------------------------------------------------------------------- */

/* All bars as one shape. They are equal on the axis, whatever it is. */
static void draw_bars(const qs_sheet *s, const qs_series *e)
{
    double base = s->in.y + s->in.h, each = s->in.w / (double)e->n;
    qs_ink_to(s->pp, s->in.x, base);
    for (size_t i = 0; i < e->n; i++) {
        double y = e->y[i] > 0 || !s->p->y.log ? qs_sheet_y(s, e->y[i]) : base;
        if (isnan(y)) y = base;
        y = fmin(fmax(y, s->in.y - s->em), base);
        qs_ink_to(s->pp, s->in.x + each * (double)i, y);
        qs_ink_to(s->pp, s->in.x + each * ((double)i + 1), y);
    }
    qs_ink_to(s->pp, s->in.x + s->in.w, base);
    qs_ink_role(s->pp, e->role, 1);
    qs_ink_area(s->pp);
}

/* Of the points that share a column of the page only the first, lowest, highest and last are drawn. */
typedef struct column { bool some; long at; double first, low, high, last, x; } column;

static void column_out(const qs_sheet *s, column *c)
{
    const double y[4] = {c->first, c->low, c->high, c->last};
    for (int i = 0; c->some && i < 4; i++)
        if (!i || y[i] != y[i - 1]) qs_ink_to(s->pp, c->x, y[i]);
    c->some = false;
}

static void draw_line(const qs_sheet *s, const qs_series *e)
{
    bool thin = (double)e->n > 4 * s->in.w;
    column c = {0};
    for (size_t i = 0; i < e->n; i++) {
        double x = qs_sheet_x(s, e->x[i]), y = qs_sheet_y(s, e->y[i]);
        if (isnan(x) || isnan(y)) {
            column_out(s, &c);
            qs_ink_lift(s->pp);
            continue;
        }
        long at = lround(x * 2);
        if (c.some && (!thin || at != c.at)) column_out(s, &c);
        if (!c.some) c = (column){true, at, y, y, y, y, x};
        c.low = fmax(c.low, y);
        c.high = fmin(c.high, y);
        c.last = y;
    }
    column_out(s, &c);
    qs_ink_role(s->pp, e->role, 1);
    qs_ink_stroke(s->pp, s->line * (e->attr & QS_BOLD ? 2.2 : 1.6));
}

/* A line of one value, or with gaps on both sides of it, is a point. */
static void draw_lonely(const qs_sheet *s, const qs_series *e)
{
    qs_ink_role(s->pp, e->role, 1);
    for (size_t i = 0; i < e->n; i++) {
        bool before = i > 0 && !isnan(qs_sheet_x(s, e->x[i - 1]) + qs_sheet_y(s, e->y[i - 1]));
        bool after = i + 1 < e->n && !isnan(qs_sheet_x(s, e->x[i + 1]) + qs_sheet_y(s, e->y[i + 1]));
        double x = qs_sheet_x(s, e->x[i]), y = qs_sheet_y(s, e->y[i]);
        if (before || after || isnan(x + y)) continue;
        qs_ink_disc(s->pp, x, y, s->line * 1.6);
    }
}

/* A point that lies on one that is drawn already is not drawn again, and many are small squares. */
static void draw_points(const qs_sheet *s, const qs_series *e)
{
    enum { MANY = 5000, AT_ONCE = 1000 };
    bool many = e->n > MANY;
    double r = s->em * (many ? 0.08 : e->n > 200 ? 0.16 : 0.24), per = many ? 1 / (1.5 * r) : 2;   /* places a unit of length */
    size_t cols = (size_t)(s->in.w * per) + 2, rows = (size_t)(s->in.h * per) + 2, n = 0;
    qs_spot place[AT_ONCE];
    unsigned char *seen = qs_xcalloc(cols * rows / 8 + 1, 1);
    qs_ink_role(s->pp, e->role, 1);
    for (size_t i = 0; i < e->n; i++) {
        double tx = qs_axis_at(&s->p->x, e->x[i]), ty = qs_axis_at(&s->p->y, e->y[i]);
        if (!(tx >= 0 && tx <= 1 && ty >= 0 && ty <= 1)) continue;
        size_t at = (size_t)(ty * s->in.h * per) * cols + (size_t)(tx * s->in.w * per);
        if (seen[at / 8] >> at % 8 & 1) continue;
        seen[at / 8] = (unsigned char)(seen[at / 8] | 1 << at % 8);
        double x = qs_sheet_x(s, e->x[i]), y = qs_sheet_y(s, e->y[i]);
        if (!many) {
            qs_ink_disc(s->pp, x, y, r);
            continue;
        }
        place[n++] = (qs_spot){x, y};
        if (n < AT_ONCE) continue;
        qs_ink_squares(s->pp, place, n, r);
        n = 0;
    }
    qs_ink_squares(s->pp, place, n, r);
    free(seen);
}

static void draw_band(const qs_sheet *s, const qs_series *e)
{
    qs_ink_role(s->pp, e->role, 0.25);
    for (size_t i = 0; i < e->n;) {
        size_t n = i;
        while (n < e->n && !isnan(qs_sheet_x(s, e->x[n]) + qs_sheet_y(s, e->y[n]) + qs_sheet_y(s, e->y2[n]))) n++;
        if (n == i) { i++; continue; }
        for (size_t k = i; k < n; k++) qs_ink_to(s->pp, qs_sheet_x(s, e->x[k]), qs_sheet_y(s, e->y[k]));
        for (size_t k = n; k-- > i;) qs_ink_to(s->pp, qs_sheet_x(s, e->x[k]), qs_sheet_y(s, e->y2[k]));
        qs_ink_area(s->pp);
        i = n;
    }
}

void qs_sheet_series(const qs_sheet *s)
{
    for (size_t i = 0; i < s->p->nseries; i++) {
        const qs_series *e = &s->p->series[i];
        if (!e->n) continue;
        if (e->kind == QS_PLOT_BARS) draw_bars(s, e);
        else if (e->kind == QS_PLOT_POINTS) draw_points(s, e);
        else if (e->kind == QS_PLOT_BAND) draw_band(s, e);
        else { draw_line(s, e); draw_lonely(s, e); }
    }
}

/* ---- heat maps --------------------------------------------------------------------------------------- */

/* The matrix as a picture of one pixel a value. */
static void paint_matrix(const qs_sheet *s, const qs_heat *h)
{
    size_t n = h->rows * h->cols;
    uint32_t *argb = qs_xcalloc(n, sizeof *argb);
    for (size_t i = 0; i < n; i++) {
        double t = qs_heat_at(h, h->v[i]);
        if (!isnan(t)) argb[i] = 0xFF000000u | qs_color_heat(t);
    }
    qs_ink_picture(s->pp, s->in, argb, h->rows, h->cols);
    free(argb);
}

/* One rectangle a value where there are few: sharp at every size, and each can be taken by hand. */
static void paint_cells(const qs_sheet *s, const qs_heat *h)
{
    double w = s->in.w / (double)h->cols, each = s->in.h / (double)h->rows, t;
    for (size_t i = 0; i < h->rows * h->cols; i++) {
        if (isnan(t = qs_heat_at(h, h->v[i]))) continue;
        qs_ink_color(s->pp, qs_color_heat(t), 1);
        double x = s->in.x + w * (double)(i % h->cols), y = s->in.y + each * (double)(i / h->cols);
        qs_ink_tile(s->pp, (qs_box){x, y, w, each});
    }
}

static void draw_scale(const qs_sheet *s, const qs_heat *h)
{
    enum { STEPS = 50 };
    double em = s->em, x = s->in.x + s->in.w + em, each = s->in.h / STEPS;
    for (int i = 0; i < STEPS; i++) {
        double up = (i + 0.5) / STEPS;
        qs_ink_color(s->pp, qs_color_heat(h->high_is_best ? up : 1 - up), 1);
        qs_ink_rect(s->pp, (qs_box){x, s->in.y + s->in.h - each * (i + 1), em, each * 1.05});
    }
    qs_ink_role(s->pp, QS_ROLE_DIM, 1);
    qs_ink_font(s->pp, 0.9 * em, false);
    for (size_t i = 0; i < s->y.n; i++) {
        double t = qs_axis_at(&h->scale, s->y.v[i]), y = s->in.y + (1 - t) * s->in.h;
        qs_ink_line(s->pp, x + em, y, x + 1.25 * em, y, s->line);
        qs_ink_text(s->pp, s->y.label[i], x + 1.45 * em, y + 0.33 * em, 0, 8 * em);
    }
}

/* The numbers themselves, where there is room for all. */
static void draw_values(const qs_sheet *s, const qs_heat *h)
{
    double w = s->in.w / (double)h->cols, each = s->in.h / (double)h->rows, em = 0.9 * s->em;
    char b[32];
    qs_ink_font(s->pp, em, false);
    if (each < 1.3 * em || w < qs_ink_width(s->pp, "-0.0000") + 0.4 * em) return;
    for (size_t i = 0; i < h->rows * h->cols; i++) {
        double t = qs_heat_at(h, h->v[i]);
        if (isnan(t) || !isfinite(h->v[i])) continue;
        uint32_t c = qs_color_heat(t);
        bool dark = 0.3 * (double)(c >> 16 & 255) + 0.59 * (double)(c >> 8 & 255) + 0.11 * (double)(c & 255) < 128;
        qs_ink_color(s->pp, dark ? 0xFFFFFF : 0x000000, 1);
        snprintf(b, sizeof b, "%.4g", h->v[i]);
        double x = s->in.x + w * ((double)(i % h->cols) + 0.5), y = s->in.y + each * ((double)(i / h->cols) + 0.5);
        qs_ink_text(s->pp, b, x, y + 0.35 * em, 0.5, w);
    }
}

enum { HUGE_STEP = 1 << 24 };

/* Names of this size fit at every so-many-th place: 1, 2, 5, 10, 20, ... A place has a size above 0. */
static size_t every(double size, double place)
{
    size_t n = 1;
    for (int i = 0; (double)n * place < size && n < HUGE_STEP; i++) n = i % 3 == 1 ? n / 2 * 5 : n * 2;
    return n;
}

void qs_sheet_heat(const qs_sheet *s)
{
    const qs_heat *h = s->p->heat;
    double em = s->em;
    char name[64];
    if (h->rows * h->cols <= 4096) paint_cells(s, h);
    else paint_matrix(s, h);
    draw_values(s, h);
    draw_scale(s, h);
    qs_ink_role(s->pp, QS_ROLE_DIM, 1);
    qs_ink_font(s->pp, 0.9 * em, false);
    for (size_t i = 0, each = every(1.2 * em, s->in.h / (double)h->rows); i < h->rows; i += each) {
        double y = s->in.y + s->in.h * ((double)i + 0.5) / (double)h->rows;
        qs_heat_name(h->row, i, name, sizeof name);
        qs_ink_text(s->pp, name, s->in.x - 0.4 * em, y + 0.33 * em, 1, s->all.w / 4);
    }
    double wide = qs_sheet_names_width(s, h->col, h->cols) + 0.5 * em;
    for (size_t i = 0, each = every(wide, s->in.w / (double)h->cols); i < h->cols; i += each) {
        qs_heat_name(h->col, i, name, sizeof name);
        double x = s->in.x + s->in.w * ((double)i + 0.5) / (double)h->cols;
        qs_ink_text(s->pp, name, x, s->x_labels_y, 0.5, s->in.w);
    }
}
