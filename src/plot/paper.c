/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A plot on its part of a page: where the parts stand, and everything around the data: axes and their numbers, names,
 * legend, limits, rulers, markers. The data themselves: paper_data.c. What a line is in a file: cairo.c.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "plot/sheet.h"

/* ---- where the parts stand --------------------------------------------------------------------------- */

enum { MARKER_ROWS = 6 };

/* of: the plot whose x it is; NULL: another axis. */
static void make_ticks(const qs_plot *of, const qs_axis *a, double room, qs_ticks *t)
{
    size_t most = room < 2 ? 2 : room > QS_SHEET_TICKS ? QS_SHEET_TICKS : (size_t)room;
    t->n = of ? qs_plot_x_ticks(of, most, t->v) : qs_axis_ticks(a, most, t->v);
    for (size_t i = 0; i < t->n; i++) qs_axis_label(a, t->v, t->n, t->v[i], t->label[i], sizeof t->label[i]);
}

static double widest(qs_paper *pp, const qs_ticks *t)
{
    double w = 0;
    for (size_t i = 0; i < t->n; i++) w = fmax(w, qs_ink_width(pp, t->label[i]));
    return w;
}

double qs_sheet_x(const qs_sheet *s, double v)
{
    double t = qs_axis_at(&s->p->x, v);
    return isnan(t) ? NAN : s->in.x + fmin(fmax(t, -50), 50) * s->in.w;
}

double qs_sheet_y(const qs_sheet *s, double v)
{
    double t = qs_axis_at(&s->p->y, v);
    return isnan(t) ? NAN : s->in.y + (1 - fmin(fmax(t, -50), 50)) * s->in.h;
}

/* ---- legend ------------------------------------------------------------------------------------------ */

static void sample(const qs_sheet *s, const qs_series *e, double x, double y)
{
    double em = s->em;
    qs_ink_role(s->pp, e->role, 1);
    if (e->kind == QS_PLOT_LINE) {
        qs_ink_line(s->pp, x, y - 0.3 * em, x + 1.4 * em, y - 0.3 * em, s->line * 1.6);
    } else if (e->kind == QS_PLOT_POINTS) {
        qs_ink_disc(s->pp, x + 0.7 * em, y - 0.3 * em, 0.28 * em);
    } else {
        if (e->kind == QS_PLOT_BAND) qs_ink_role(s->pp, e->role, 0.25);
        qs_ink_rect(s->pp, (qs_box){x, y - 0.65 * em, 1.4 * em, 0.7 * em});
    }
}

/* Lays the legend out in rows; draws it where draw is set. Returns its height. */
static double legend(qs_sheet *s, bool draw)
{
    const qs_plot *p = s->p;
    size_t n = qs_plot_labels(p), most = 4;
    double em = s->em, x = s->in.x, row = 1.35 * em, end = s->all.x + s->all.w - em;
    size_t rows = n ? 1 : 0;
    qs_ink_font(s->pp, 0.9 * em, false);
    for (size_t i = 0; i < n; i++) {
        const qs_series *e = qs_plot_labelled(p, i);
        double w = qs_ink_width(s->pp, e->label) + 1.8 * em;
        if (x > s->in.x && x + w > end) {
            if (rows == most) break;
            rows++;
            x = s->in.x;
        }
        double y = s->legend_y + row * ((double)rows - 1);
        if (draw) {
            sample(s, e, x, y);
            qs_ink_role(s->pp, QS_ROLE_TEXT, 1);
            qs_ink_text(s->pp, e->label, x + 1.8 * em, y, 0, end - x - 1.8 * em);
        }
        x += w + 1.2 * em;
    }
    return row * (double)rows;
}

/* ---- markers ----------------------------------------------------------------------------------------- */

/* Gives the labels rows under the axis where they do not touch; the strong ones first. */
static void place_markers(qs_sheet *s)
{
    const qs_plot *p = s->p;
    struct { double from, to; } taken[256];
    int row_of[256];
    size_t n = 0;
    s->marker_x = qs_xmalloc((p->nmarker + 1) * sizeof *s->marker_x);
    s->marker_row = qs_xcalloc(p->nmarker + 1, sizeof *s->marker_row);
    s->marker_rows = 0;
    for (size_t i = 0; i < p->nmarker; i++) s->marker_x[i] = NAN;
    for (int strong = 1; strong >= 0; strong--)
        for (size_t i = 0; i < p->nmarker && n < 256; i++) {
            const qs_marker *m = &p->marker[i];
            double t = qs_axis_at(&p->x, m->x);
            if (m->strong != strong || !(t >= 0 && t <= 1)) continue;
            qs_ink_font(s->pp, 0.8 * s->em, m->strong);
            double w = qs_ink_width(s->pp, m->label), x = qs_sheet_x(s, m->x) - w / 2;
            x = fmin(fmax(x, s->all.x + 0.3 * s->em), s->all.x + s->all.w - w - 0.3 * s->em);
            for (int r = 0; r < MARKER_ROWS && isnan(s->marker_x[i]); r++) {
                bool free_here = true;
                for (size_t k = 0; k < n; k++)
                    free_here &= row_of[k] != r || x > taken[k].to + 0.5 * s->em || x + w < taken[k].from - 0.5 * s->em;
                if (!free_here) continue;
                s->marker_x[i] = x;
                s->marker_row[i] = r;
                taken[n].from = x;
                taken[n].to = x + w;
                row_of[n++] = r;
                if (r >= s->marker_rows) s->marker_rows = r + 1;
            }
        }
}

/* On the axis at x: a disc, or a triangle. */
static void draw_sign(const qs_sheet *s, double x, double base, bool strong)
{
    double em = s->em;
    if (strong) {
        qs_ink_disc(s->pp, x, base, 0.32 * em);
        return;
    }
    qs_ink_to(s->pp, x, base - 0.3 * em);
    qs_ink_to(s->pp, x - 0.3 * em, base + 0.3 * em);
    qs_ink_to(s->pp, x + 0.3 * em, base + 0.3 * em);
    qs_ink_area(s->pp);
}

static void draw_markers(const qs_sheet *s)
{
    const qs_plot *p = s->p;
    double base = s->in.y + s->in.h, em = s->em, row = 1.05 * em;
    for (size_t i = 0; i < p->nmarker; i++) {
        const qs_marker *m = &p->marker[i];
        double t = qs_axis_at(&p->x, m->x), x = qs_sheet_x(s, m->x);
        if (!(t >= 0 && t <= 1)) continue;
        double y = s->markers_y + row * (s->marker_row[i] + 0.75), to = isnan(s->marker_x[i]) ? base : y - 0.62 * em;
        qs_ink_role(s->pp, m->role, m->strong ? 0.9 : 0.45);
        qs_ink_dashed(s->pp, x, s->in.y, x, to, s->line * (m->strong ? 0.9 : 0.6), m->strong ? 0 : 0.2 * em);
        qs_ink_role(s->pp, m->role, 1);
        draw_sign(s, x, base, m->strong);
        if (isnan(s->marker_x[i])) continue;
        qs_ink_font(s->pp, 0.8 * em, m->strong);
        qs_ink_text(s->pp, m->label, s->marker_x[i], y, 0, s->all.w);
    }
}

/* ---- names at the ends of lines ---------------------------------------------------------------------- */

static double ends_width(const qs_sheet *s)
{
    double w = 0;
    if (s->p->end_part > 0) return s->p->end_part * s->all.w;
    qs_ink_font(s->pp, 0.75 * s->em, true);
    for (size_t i = 0; i < s->p->nseries; i++)
        if (s->p->series[i].end) w = fmax(w, qs_ink_width(s->pp, s->p->series[i].end));
    return w > 0 ? fmin(w, 0.3 * s->all.w) + 0.8 * s->em : 0;
}

/* Where the line of e ends; false: it has no point. */
static bool line_end(const qs_sheet *s, const qs_series *e, double *x, double *y)
{
    for (size_t k = e->n; k-- > 0;) {
        *x = qs_sheet_x(s, e->x[k]);
        *y = qs_sheet_y(s, e->y[k]);
        if (!isnan(*x + *y)) return true;
    }
    return false;
}

/* The free row nearest to the wanted one, not further than `far`; -1: none. Takes it. */
static int take_row(bool *used, int rows, int want, int far)
{
    want = want < 0 ? 0 : want >= rows ? rows - 1 : want;
    for (int d = 0; d <= far; d++) {
        int at = want - d >= 0 && !used[want - d] ? want - d : want + d < rows && !used[want + d] ? want + d : -1;
        if (at < 0) continue;
        used[at] = true;
        return at;
    }
    return -1;
}

/* Each in the free row nearest to where its line ends, and a thin line to it; the bold one first. */
static void draw_ends(const qs_sheet *s)
{
    double em = 0.75 * s->em, row = 1.15 * em, right = s->in.x + s->in.w, x, y;
    int rows = (int)(s->in.h / row);
    if (s->ends <= 0 || rows < 1) return;
    bool *used = qs_xcalloc((size_t)rows, sizeof *used);
    for (int bold = 1; bold >= 0; bold--)
        for (size_t i = 0; i < s->p->nseries; i++) {
            const qs_series *e = &s->p->series[i];
            if (!e->end || ((e->attr & QS_BOLD) != 0) != bold || !line_end(s, e, &x, &y)) continue;
            int at = take_row(used, rows, (int)floor((y - s->in.y) / row), bold ? rows : 4);
            if (at < 0) continue;
            double mid = s->in.y + row * (at + 0.5);
            qs_ink_role(s->pp, e->role, 0.4);
            qs_ink_line(s->pp, x, fmin(fmax(y, s->in.y), s->in.y + s->in.h), right + 0.3 * em, mid, s->line * 0.5);
            qs_ink_role(s->pp, e->role, 1);
            qs_ink_font(s->pp, em, bold);
            qs_ink_text(s->pp, e->end, right + 0.5 * em, mid + 0.35 * em, 0, s->ends - 0.4 * em);
        }
    free(used);
}

/* ---- layout ------------------------------------------------------------------------------------------ */

double qs_sheet_names_width(const qs_sheet *s, const char *const *names, size_t n)
{
    double w = 0;
    char b[64];
    for (size_t i = 0; i < n && i < 4096; i++) {
        qs_heat_name(names, names || i + 1 == n ? i : n - 1, b, sizeof b);
        w = fmax(w, qs_ink_width(s->pp, b));
    }
    return w;
}

static void lay_out(qs_sheet *s)
{
    const qs_plot *p = s->p;
    const qs_heat *h = p->heat;
    double em = s->em, top = s->all.y + 0.7 * em, bottom = s->all.y + s->all.h - 0.6 * em;
    double left = s->all.x + 0.7 * em, right = s->all.x + s->all.w - 1.2 * em;
    if (p->title && *p->title) top += 1.7 * em;
    if (p->x_name && *p->x_name) bottom -= 1.3 * em;
    s->x_name_y = bottom + 1.0 * em;
    if (p->y_name && *p->y_name && !h) left += 1.4 * em;
    qs_ink_font(s->pp, em, false);
    make_ticks(NULL, h ? &h->scale : &p->y, s->all.h / (2.4 * em), &s->y);
    double numbers = widest(s->pp, &s->y) + 0.6 * em;
    if (h) {
        qs_ink_font(s->pp, 0.9 * em, false);
        right -= numbers + 1.8 * em + (p->y_name && *p->y_name ? 1.4 * em : 0);
        numbers = fmin(qs_sheet_names_width(s, h->row, h->rows), s->all.w / 4) + 0.6 * em;
    }
    s->ends = ends_width(s);
    right -= s->ends;
    left += numbers;
    s->in = (qs_box){left, top, right - left, bottom - top};
    s->legend_y = top + 0.8 * em;
    top += legend(s, false);
    if (!h) place_markers(s);
    if (s->marker_rows) bottom -= 1.05 * em * s->marker_rows + 0.2 * em;
    s->markers_y = bottom + 0.2 * em;
    bottom -= 1.15 * em * (double)p->nruler;
    s->rulers_y = bottom;
    bottom -= 1.5 * em;                                     /* the numbers of x, right under the axis */
    s->x_labels_y = bottom + 1.2 * em;
    if (p->nmarker && !h) {                                 /* signs on the axis want air before the numbers */
        bottom -= 0.2 * em;
    }
    s->in = (qs_box){left, top + 0.3 * em, right - left, bottom - top - 0.3 * em};
    s->usable = s->in.w > 3 * em && s->in.h > 2 * em && (h ? h->rows && h->cols : qs_axis_ok(&p->x) && qs_axis_ok(&p->y));
    if (!s->usable) return;
    qs_ink_font(s->pp, em, false);
    make_ticks(p, &p->x, s->in.w / (4.5 * em), &s->x);
    make_ticks(NULL, h ? &h->scale : &p->y, s->in.h / (2 * em), &s->y);
}

/* ---- axes -------------------------------------------------------------------------------------------- */

/* A line up and down where v is on the axis of x. */
static void upright(const qs_sheet *s, double v, double from, double to, double width)
{
    double x = qs_sheet_x(s, v);
    qs_ink_line(s->pp, x, from, x, to, width);
}

static void draw_grid(const qs_sheet *s)
{
    qs_ink_color(s->pp, 0xE4E4E4, 1);
    for (size_t i = 0; i < s->x.n; i++) upright(s, s->x.v[i], s->in.y, s->in.y + s->in.h, s->line * 0.6);
    for (size_t i = 0; i < s->y.n; i++) {
        double y = qs_sheet_y(s, s->y.v[i]);
        qs_ink_line(s->pp, s->in.x, y, s->in.x + s->in.w, y, s->line * 0.6);
    }
}

static void draw_axes(const qs_sheet *s)
{
    double em = s->em, base = s->in.y + s->in.h, used = -INFINITY;
    qs_ink_role(s->pp, QS_ROLE_FRAME, 1);
    qs_ink_line(s->pp, s->in.x, s->in.y, s->in.x, base, s->line);
    qs_ink_line(s->pp, s->in.x, base, s->in.x + s->in.w, base, s->line);
    qs_ink_role(s->pp, QS_ROLE_DIM, 1);
    qs_ink_font(s->pp, em, false);
    for (size_t i = 0; i < s->y.n; i++) {
        double y = qs_sheet_y(s, s->y.v[i]);
        qs_ink_line(s->pp, s->in.x - 0.3 * em, y, s->in.x, y, s->line);
        qs_ink_text(s->pp, s->y.label[i], s->in.x - 0.5 * em, y + 0.35 * em, 1, s->in.w);
    }
    for (size_t i = 0; i < s->x.n; i++) {
        double x = qs_sheet_x(s, s->x.v[i]), w = qs_ink_width(s->pp, s->x.label[i]);
        qs_ink_line(s->pp, x, base, x, base + 0.3 * em, s->line);
        if (x - w / 2 < used + 0.5 * em) continue;
        qs_ink_text(s->pp, s->x.label[i], x, s->x_labels_y, 0.5, s->in.w);
        used = x + w / 2;
    }
}

static void draw_names(const qs_sheet *s)
{
    const qs_plot *p = s->p;
    double em = s->em, mid = s->in.x + s->in.w / 2;
    qs_ink_role(s->pp, QS_ROLE_TITLE, 1);
    if (p->title && *p->title) {
        qs_ink_font(s->pp, 1.15 * em, true);
        qs_ink_text(s->pp, p->title, s->all.x + s->all.w / 2, s->all.y + 1.6 * em, 0.5, s->all.w - 2 * em);
        qs_ink_title(s->pp, p->title);
    }
    qs_ink_role(s->pp, QS_ROLE_TEXT, 1);
    qs_ink_font(s->pp, em, false);
    if (p->x_name && *p->x_name) qs_ink_text(s->pp, p->x_name, mid, s->x_name_y, 0.5, s->all.w - 2 * em);
    double side = p->heat ? s->all.x + s->all.w - 0.6 * em : s->all.x + 1.5 * em;
    if (p->y_name && *p->y_name) qs_ink_text_up(s->pp, p->y_name, side, s->in.y + s->in.h / 2, s->all.h - 2 * em);
}

/* ---- limits and rulers ------------------------------------------------------------------------------ */

static bool inside(const qs_sheet *s, double v)
{
    double t = qs_axis_at(&s->p->x, v);
    return t >= 0 && t <= 1;
}

static void draw_limits(const qs_sheet *s)
{
    double base = s->in.y + s->in.h, em = s->em;
    for (size_t i = 0; i < s->p->nlimit; i++) {
        const qs_limit *l = &s->p->limit[i];
        if (!inside(s, l->x)) continue;
        double x = qs_sheet_x(s, l->x), y = s->in.y + (0.8 + 1.0 * (double)(i % 4)) * em;
        bool right = qs_axis_at(&s->p->x, l->x) < 0.75;
        qs_ink_role(s->pp, l->role, 1);
        qs_ink_dashed(s->pp, x, s->in.y, x, base, s->line, l->over ? 0 : 0.4 * em);
        if (!l->label || !*l->label) continue;
        qs_ink_font(s->pp, 0.85 * em, false);
        qs_ink_text(s->pp, l->label, right ? x + 0.3 * em : x - 0.3 * em, y, right ? 0 : 1, s->in.w / 3);
    }
}

/* Those of n values that are in sight. */
static void draw_marks(const qs_sheet *s, const double *v, size_t n, double from, double to, double width)
{
    for (size_t k = 0; k < n; k++)
        if (inside(s, v[k])) upright(s, v[k], from, to, width);
}

/* Levels, as thin lines through the data where there are few, and on a rule of their own under it. */
static void draw_ruler(const qs_sheet *s, const qs_ruler *u, double y)
{
    double em = s->em, left = s->in.x, right = s->in.x + s->in.w;
    double lo = fmin(fmax(qs_sheet_x(s, u->lo), left), right), hi = fmin(fmax(qs_sheet_x(s, u->hi), left), right);
    size_t seen = 0;
    for (size_t k = 0; k < u->n; k++) seen += inside(s, u->level[k]);
    double each = s->in.w / (double)(seen ? seen : 1);
    qs_ink_role(s->pp, QS_ROLE_CUT, 1);
    qs_ink_dashed(s->pp, left, y, right, y, s->line, 0.3 * em);
    qs_ink_role(s->pp, u->role, 1);
    if (hi > lo) qs_ink_line(s->pp, lo, y, hi, y, s->line * 1.6);
    if (each > s->line * 2)
        draw_marks(s, u->level, u->n, y - 0.4 * em, y + 0.4 * em, s->line * (each > 0.5 * em ? 1.6 : 0.8));
    qs_ink_role(s->pp, QS_ROLE_CUT, 1);
    if (u->cut && u->n && each > 1.2 * em) draw_marks(s, u->cut, u->n - 1, y, y + 0.35 * em, s->line);
    qs_ink_role(s->pp, u->role, 0.5);
    if (s->p->nruler == 1 && each > 0.8 * em)
        draw_marks(s, u->level, u->n, s->in.y, s->in.y + s->in.h, s->line * 0.6);
}

static void draw_rulers(const qs_sheet *s)
{
    double y = s->rulers_y + 0.75 * s->em;
    for (size_t i = 0; i < s->p->nruler; i++, y += 1.15 * s->em) draw_ruler(s, &s->p->ruler[i], y);
}

/* ---- a plot ------------------------------------------------------------------------------------------ */

static void draw_data(qs_sheet *s)
{
    if (s->p->heat) {
        qs_sheet_heat(s);
        return;
    }
    draw_grid(s);
    qs_ink_clip(s->pp, (qs_box){s->in.x, s->in.y - s->line, s->in.w, s->in.h + s->line});
    qs_sheet_series(s);
    qs_ink_unclip(s->pp);
    draw_limits(s);
    draw_rulers(s);
    draw_axes(s);
    draw_markers(s);
    draw_ends(s);
    legend(s, true);
}

void qs_paper_plot(qs_paper *pp, const qs_plot *p, double x, double y, double w, double h)
{
    qs_box page = qs_ink_page(pp);
    qs_sheet s = {.pp = pp, .p = p, .all = {x * page.w, y * page.h, w * page.w, h * page.h}};
    /* Several plots on a page: smaller letters, but never less than half. */
    s.em = qs_ink_em(pp) * fmin(1, fmax(0.5, sqrt(fmin(w, 1) * fmin(h, 1)) * 1.25));
    s.line = s.em / 12;
    lay_out(&s);
    draw_names(&s);
    if (s.usable) draw_data(&s);
    else {
        qs_ink_role(pp, QS_ROLE_DIM, 1);
        qs_ink_font(pp, s.em, false);
        qs_ink_text(pp, _("nothing to be seen here"), s.all.x + s.all.w / 2, s.all.y + s.all.h / 2, 0.5, s.all.w);
    }
    free(s.marker_x);
    free(s.marker_row);
}

int qs_plot_save(const qs_plot *p, const char *path, const qs_paper_opts *o, qs_err *err)
{
    qs_paper *pp = qs_paper_new(path, o, err);
    if (!pp) return err ? -err->code : -QS_EARG;
    qs_paper_plot(pp, p, 0, 0, 1, 1);
    return qs_paper_close(pp, err);
}
