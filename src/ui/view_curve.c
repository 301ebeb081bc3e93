/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Error against step: the whole, its rounding and clipping parts, every initialization where it lies, and the step itself. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "ui/names.h"
#include "ui/screen.h"

static bool usable(const qs_ui *u)
{
    const qs_snap_curve *c = u->s ? &u->s->curve : NULL;
    return c && c->points > 1 && c->step[0] > 0 && c->step[c->points - 1] > c->step[0];
}

static qs_axis x_axis(const qs_ui *u)
{
    const qs_snap_curve *c = &u->s->curve;
    return (qs_axis){c->step[0], c->step[c->points - 1], true};
}

/* From half a decade under the least error to the greatest; parts that fall below vanish at the floor. */
static qs_axis y_axis(const qs_snap_curve *c)
{
    double lo = INFINITY, hi = 0;
    for (size_t i = 0; i < c->points; i++) {
        if (c->error[i] > 0) lo = fmin(lo, c->error[i]);
        hi = fmax(hi, c->error[i]);
    }
    if (!(lo < hi)) return (qs_axis){hi > 0 ? hi / 10 : 0.1, hi > 0 ? hi * 10 : 1, true};
    return (qs_axis){lo / 2.5, hi * 1.1, true};
}

static size_t markers(const qs_ui *u, qs_marker *m, size_t max)
{
    const qs_snap_curve *c = &u->s->curve;
    size_t n = 0;
    for (size_t i = 0; i < c->nmark && n < max; i++)
        if (c->mark[i].ok)
            m[n++] = (qs_marker){c->mark[i].step, c->mark[i].init, (unsigned char)qs_init_role(c->mark[i].init),
                                 !strcmp(c->mark[i].init, u->s->sel.init)};
    return n;
}

static double error_at(const qs_snap_curve *c, double step)
{
    size_t lo = 0, hi = c->points - 1;
    if (!(step >= c->step[0]) || step > c->step[hi]) return NAN;
    while (hi - lo > 1) {
        size_t mid = (lo + hi) / 2;
        if (c->step[mid] <= step) lo = mid; else hi = mid;
    }
    double t = log(step / c->step[lo]) / log(c->step[hi] / c->step[lo]);
    return c->error[lo] * (1 - t) + c->error[hi] * t;
}

static void draw_here(qs_ui *u, const qs_plot *p, qs_rect area)
{
    double s = qs_cur_step(u), e = error_at(&u->s->curve, s), ty = qs_axis_at(&p->y, e);
    if (isnan(ty) || area.h < 1) return;
    int x = qs_plot_column(&p->x, area, s), y = area.y + area.h - 1 - (int)floor(fmin(fmax(ty, 0), 0.999) * area.h);
    qs_cells_put(&u->g, y, x, L'●', qs_init_role(u->s->sel.init), QS_BOLD);
}

static void draw_legend(qs_ui *u, qs_rect area)
{
    static const struct { const char *text; int role; } parts[] = {
        {N_("error"), QS_ROLE_ERROR}, {N_("rounding"), QS_ROLE_ROUND}, {N_("clipping"), QS_ROLE_CLIP},
    };
    int w = 0, x = -1;
    for (size_t i = 0; i < 3; i++) w += qs_text_width(_(parts[i].text)) + 2;
    const qs_cell *row = u->g.c + (size_t)area.y * (size_t)u->g.w;
    for (int at = area.x + area.w / 5, run = 0; at < area.x + area.w && x < 0; at++) {     /* only where nothing is drawn */
        run = row[at].ch == L' ' ? run + 1 : 0;
        if (run == w + 2) x = at - w;
    }
    if (x < 0) return;
    for (size_t i = 0; i < 3; i++) x += qs_cells_text(&u->g, area.y, x, w, _(parts[i].text), parts[i].role, 0) + 2;
}

static void draw_foot(qs_ui *u, qs_rect r)
{
    const qs_snap_quant *a = &u->s->a;
    char b[QS_FMT], t[100];
    int x = r.x + 2, y = r.y + r.h - 1, end = r.x + r.w - 2;
    if (!a->there) return;
    const struct { const char *name; enum qs_num kind; double v; int role; } part[] = {
        {_("step"), QS_N_STEP, qs_cur_step(u), QS_ROLE_TEXT}, {"MSE", QS_N_MSE, a->mse, QS_ROLE_TEXT},
        {"×min", QS_N_MSE_RATIO, a->mse_ratio, QS_ROLE_TEXT}, {_("SQNR"), QS_N_SQNR, a->sqnr, QS_ROLE_TEXT},
        {_("rounding"), QS_N_ROUND, a->round_mse, QS_ROLE_ROUND}, {_("clipped"), QS_N_CLIPPED, a->clipped, QS_ROLE_CLIP},
    };
    for (size_t i = 0; i < sizeof part / sizeof *part; i++) {
        if (part[i].kind == QS_N_STEP) qs_fmt_sig(b, part[i].v, 5);
        if (part[i].kind == QS_N_MSE || part[i].kind == QS_N_ROUND) qs_fmt_sig(b, part[i].v, 4);
        if (part[i].kind == QS_N_MSE_RATIO) qs_fmt_fixed(b, part[i].v, 3);
        if (part[i].kind == QS_N_SQNR) qs_fmt_db(b, part[i].v);
        if (part[i].kind == QS_N_CLIPPED) qs_fmt_percent(b, part[i].v);
        snprintf(t, sizeof t, part[i].kind == QS_N_SQNR ? " %s %s dB " : " %s %s ", part[i].name, b);
        int n = qs_text_width(t);
        if (x + n > end) break;
        qs_ui_number(u, QS_V_CURVE, y, x, n, t, part[i].kind, SIZE_MAX, part[i].v, part[i].role, 0);
        x += n;
    }
}

static void ask(qs_ui *u, int w)
{
    qs_viewport v = u->vp;
    size_t points = w < 8 ? 16 : (size_t)w * 2;
    v.curve_points = points > 512 ? 512 : points;
    v.curve_lo = u->curve.lo;
    v.curve_hi = u->curve.hi;
    if (v.curve_points == u->vp.curve_points && v.curve_lo == u->vp.curve_lo && v.curve_hi == u->vp.curve_hi) return;
    u->vp = v;
    qs_board_set_viewport(u->o->board, &u->vp);
}

static void draw(qs_ui *u, qs_rect r)
{
    char t[200];
    snprintf(t, sizeof t, "%s%s%s", _("Error against step"), u->s ? "  " : "", u->s ? u->s->sel.format : "");
    qs_rect in = qs_ui_frame(u, QS_V_CURVE, r, t, u->s && u->s->curve.approximate ? _("MSE, log-log, from buckets") : _("MSE, log-log"), NULL);
    ask(u, in.w - 7);
    u->curve.area.w = 0;
    if (!usable(u)) {
        const char *why = u->s && u->s->reason ? u->s->reason : "…";
        qs_cells_text(&u->g, in.y + in.h / 2, in.x + (in.w - qs_text_width(why)) / 2, in.w, why, QS_ROLE_DIM, 0);
        return;
    }
    const qs_snap_curve *c = &u->s->curve;
    qs_series s[3] = {
        {.kind = QS_PLOT_LINE, .x = c->step, .y = c->clip, .n = c->points, .role = QS_ROLE_CLIP, .label = _("clipping")},
        {.kind = QS_PLOT_LINE, .x = c->step, .y = c->round, .n = c->points, .role = QS_ROLE_ROUND, .label = _("rounding")},
        {.kind = QS_PLOT_LINE, .x = c->step, .y = c->error, .n = c->points, .role = QS_ROLE_ERROR, .label = _("error")}};
    bool parts = u->curve.parts && c->clip && c->round;
    qs_marker m[64];
    qs_limit limit[2] = {{.x = qs_cur_step(u), .ch = L'┊', .role = QS_ROLE_CURSOR},
                         {.x = u->s->b.there ? u->s->b.step : NAN, .ch = L'┊', .role = QS_ROLE_B, .label = "B"}};
    char paper_title[400];
    snprintf(paper_title, sizeof paper_title, "%s  %s", qs_tensor_label(u->s), u->s->sel.format);
    qs_plot p = {.title = paper_title, .x_name = _("step"), .y_name = _("mean squared error"), .x = x_axis(u), .y = y_axis(c),
                 .series = parts ? s : s + 2, .nseries = parts ? 3 : 1, .limit = limit, .nlimit = u->s->b.there ? 2 : 1, .marker = m, .nmarker = markers(u, m, 64), .y_width = in.w > 40 ? 7 : 0,
                 .x_line = true, .marker_rows = in.h >= 11 ? 3 : in.h >= 7 ? 2 : in.h >= 6 ? 1 : 0};
    qs_rect inner = {in.y, in.x, in.h, in.w - 1};
    qs_ui_plot(u, &p, inner, &u->curve.area);
    draw_here(u, &p, u->curve.area);
    if (parts) draw_legend(u, u->curve.area);
    draw_foot(u, r);
}

/* ---- keys ------------------------------------------------------------------------------------------- */

static void column(qs_ui *u, int by)
{
    qs_rect a = u->curve.area;
    if (!usable(u) || a.w < 2) return;
    qs_axis x = x_axis(u);
    double s = qs_cur_step(u), dots = a.w * 2.0;
    if (isnan(s)) s = qs_axis_value(&x, 0.5);
    qs_act_step(u, s * exp(by * log(x.hi / x.lo) / dots));
}

static void drive(qs_ui *u, int key)
{
    static const struct { int key, by; } moves[] = {{QS_K_LEFT, -1}, {QS_K_RIGHT, 1}, {QS_K_SLEFT, -10}, {QS_K_SRIGHT, 10}};
    for (size_t i = 0; i < 4; i++)
        if (moves[i].key == key) column(u, moves[i].by);
}

/* The initialization with the next larger or smaller step. */
static void hop(qs_ui *u, int key)
{
    const qs_snap_curve *c = u->s ? &u->s->curve : NULL;
    double s = qs_cur_step(u), best = NAN;
    const char *name = NULL;
    bool up = key == '.';
    for (size_t i = 0; c && i < c->nmark; i++) {
        double m = c->mark[i].step;
        if (!c->mark[i].ok || (up ? m <= s * (1 + 1e-9) : m >= s * (1 - 1e-9))) continue;
        if (!name || (up ? m < best : m > best)) { best = m; name = c->mark[i].init; }
    }
    if (name) qs_act_init(u, name);
}

static void parts(qs_ui *u, int key) { (void)key; u->curve.parts = !u->curve.parts; qs_ui_touch(u); }

static void zoom(qs_ui *u, int key)
{
    if (!usable(u)) return;
    qs_axis x = x_axis(u);
    double mid = qs_cur_step(u), w = log(x.hi / x.lo) * (key == 'z' ? 0.25 : 1);
    if (isnan(mid)) mid = sqrt(x.lo * x.hi);
    u->curve.lo = key == 'a' ? 0 : mid * exp(-w);
    u->curve.hi = key == 'a' ? 0 : mid * exp(w);
    qs_ui_touch(u);
}

static void click(qs_ui *u, int y, int x)
{
    qs_rect a = u->curve.area;
    (void)y;
    if (!usable(u) || x < a.x || x >= a.x + a.w) return;
    qs_axis ax = x_axis(u);
    qs_act_step(u, qs_plot_at_column(&ax, a, x));
}

static void wheel(qs_ui *u, int by) { column(u, by); }

static const qs_key keys[] = {
    {{QS_K_LEFT, QS_K_RIGHT, QS_K_SLEFT, QS_K_SRIGHT}, "← →", N_("drive"), N_("drives the step along the curve (Shift: faster)"), drive, QS_KEY_FITS},
    {{',', '.'}, ", .", N_("next init"), N_("the initialization with the next smaller or larger step"), hop, QS_KEY_FITS},
    {{'z', 'Z', 'a'}, "z Z", NULL, N_("zooms around the step; a: everything"), zoom, QS_KEY_FITS},
    {{'p'}, "p", N_("parts"), N_("the rounding and clipping parts as lines of their own"), parts, QS_KEY_FITS},
};
const qs_view qs_view_curve = {"curve", N_("Error against step"), {N_("Error against step"), keys, sizeof keys / sizeof *keys}, draw, click, wheel};
