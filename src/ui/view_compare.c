/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Every initialization on this tensor and format, as a table: sorted, each with what it is and what its error is against the least. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "ui/names.h"
#include "ui/screen.h"

enum { C_INIT, C_STEP, C_RSTEP, C_CLIP, C_MSE, C_RMSE, C_SQNR, C_CLIPPED, C_MS, C_HOW, COLUMNS };

static const struct { const char *title; int w, prio; enum qs_num kind; } columns[COLUMNS] = {
    [C_INIT]    = {N_("init"),    13, 0, 0},
    [C_STEP]    = {N_("step"),     9, 2, QS_N_STEP},
    [C_RSTEP]   = {N_("×min"),     6, 6, QS_N_STEP_RATIO},
    [C_CLIP]    = {N_("clip"),     8, 5, QS_N_CLIP},
    [C_MSE]     = {N_("MSE"),     10, 4, QS_N_MSE},
    [C_RMSE]    = {N_("×min"),     7, 1, QS_N_MSE_RATIO},
    [C_SQNR]    = {N_("SQNR"),     6, 1, QS_N_SQNR},
    [C_CLIPPED] = {N_("clipped"),  8, 3, QS_N_CLIPPED},
    [C_MS]      = {N_("ms"),       7, 8, QS_N_MS},
    [C_HOW]     = {N_("how"),     20, 7, 0},
};

static double value(const qs_snap_compare_row *c, int col)
{
    const double v[COLUMNS] = {[C_STEP] = c->step, [C_RSTEP] = c->step_ratio, [C_CLIP] = c->clip, [C_MSE] = c->mse,
                               [C_RMSE] = c->mse_ratio, [C_SQNR] = c->sqnr, [C_CLIPPED] = c->clipped, [C_MS] = c->ms};
    return c->error ? NAN : v[col];
}

static const qs_ui *sorting;

static int by_sort(const void *pa, const void *pb)
{
    size_t a = *(const size_t *)pa, b = *(const size_t *)pb;
    const qs_snap_compare_row *x = &sorting->s->compare[a], *y = &sorting->s->compare[b];
    int sign = sorting->compare.down ? -1 : 1, col = sorting->compare.sort;
    if (col == C_INIT || col == C_HOW) return sign * strcmp(x->init, y->init);
    double v = value(x, col), w = value(y, col);
    if (isnan(v) != isnan(w)) return isnan(v) ? 1 : -1;
    if (!isnan(v) && v != w) return sign * (v < w ? -1 : 1);
    return a < b ? -1 : a > b;
}

static void arrange(qs_ui *u)
{
    size_t n = u->s ? u->s->ncompare : 0;
    u->compare.n = n < 64 ? n : 64;
    for (size_t i = 0; i < u->compare.n; i++) u->compare.order[i] = i;
    sorting = u;
    qsort(u->compare.order, u->compare.n, sizeof *u->compare.order, by_sort);
    for (size_t i = 0; i < u->compare.n; i++)                     /* the bar stays on the row it was on */
        if (!strcmp(u->s->compare[u->compare.order[i]].init, u->compare.cur_name)) u->compare.cur = i;
    if (u->compare.cur >= u->compare.n) u->compare.cur = u->compare.n ? u->compare.n - 1 : 0;
}

static void fit(int w, int *width)
{
    int left = w - columns[C_INIT].w - 2;
    for (int c = 0; c < COLUMNS; c++) width[c] = 0;
    width[C_INIT] = columns[C_INIT].w;
    for (int p = 1; p <= 8; p++)
        for (int c = 1; c < COLUMNS; c++)
            if (columns[c].prio == p && left >= columns[c].w + 2) {
                width[c] = columns[c].w;
                left -= width[c] + 2;
            }
    if (width[C_HOW]) width[C_HOW] += left;
}

static char *text_of(char b[QS_FMT], const qs_snap_compare_row *c, int col)
{
    switch (col) {
    case C_STEP: case C_CLIP: return qs_fmt_sig(b, value(c, col), col == C_STEP ? 5 : 4);
    case C_MSE: return isnan(value(c, col)) ? qs_fmt_sig(b, NAN, 4) : (snprintf(b, QS_FMT, "%.3e", c->mse), b);
    case C_SQNR: return qs_fmt_fixed(b, value(c, col), 2);
    case C_CLIPPED: return qs_fmt_percent(b, value(c, col));
    case C_MS: return qs_fmt_fixed(b, value(c, col), 2);
    default: return value(c, col) < 1000 ? qs_fmt_fixed(b, value(c, col), value(c, col) < 100 ? 2 : 1) : qs_fmt_sig(b, value(c, col), 2);
    }
}

static void draw_row(qs_ui *u, qs_rect in, int y, size_t k, const int *width)
{
    size_t i = u->compare.order[k];
    const qs_snap_compare_row *c = &u->s->compare[i];
    bool chosen = !strcmp(c->init, u->s->sel.init);
    int x = in.x + 2, role = qs_init_role(c->init);
    char b[QS_FMT];
    qs_cells_put(&u->g, y, in.x, chosen ? L'●' : L' ', role, QS_BOLD);
    qs_cells_text(&u->g, y, x, width[C_INIT], c->init, role, chosen ? QS_BOLD : 0);
    x += width[C_INIT];
    if (c->error) {
        qs_cells_text(&u->g, y, x + 2, in.x + in.w - x - 2, c->error, QS_ROLE_DIM, 0);
    } else {
        for (int col = 1; col < COLUMNS; col++) {
            if (!width[col]) continue;
            x += 2;
            if (col == C_HOW) qs_cells_text(&u->g, y, x, width[col], c->formula ? c->formula : "", QS_ROLE_DIM, 0);
            else qs_ui_number(u, QS_V_COMPARE, y, x, width[col], text_of(b, c, col), columns[col].kind, i, value(c, col),
                              col == u->compare.sort ? QS_ROLE_TITLE : QS_ROLE_TEXT, chosen ? QS_BOLD : 0);
            x += width[col];
        }
    }
    if (k == u->compare.cur && u->focus == QS_V_COMPARE && !u->con_focus) qs_cells_mark(&u->g, (qs_rect){y, in.x, 1, in.w}, QS_SELECTED);
}

static void draw_heads(qs_ui *u, qs_rect in, const int *width)
{
    int x = in.x + 2;
    for (int c = 0; c < COLUMNS; c++) {
        if (!width[c]) continue;
        bool on = c == u->compare.sort;
        int role = on ? QS_ROLE_FOCUS : QS_ROLE_DIM, n = qs_text_width(_(columns[c].title));
        int at = c == C_INIT || c == C_HOW ? x : x + width[c] - n;
        qs_cells_text(&u->g, in.y, at, n, _(columns[c].title), role, on ? QS_UNDER : 0);
        x += width[c] + 2;
    }
}

static void draw(qs_ui *u, qs_rect r)
{
    char t[500], right[100];
    int width[COLUMNS];
    char name[300];
    int room = r.w - 6 - qs_text_width(_("Compare")) - 5 - (u->s ? qs_text_width(u->s->sel.format) : 0);
    if (u->s) qs_name_short(qs_tensor_label(u->s), r.w >= 90 ? room - 36 : room, name, sizeof name);
    if (u->s) snprintf(t, sizeof t, "%s  %s · %s", _("Compare"), name, u->s->sel.format);
    else snprintf(t, sizeof t, "%s", _("Compare"));
    snprintf(right, sizeof right, _("×min: against the least squares"));
    qs_rect in = qs_ui_frame(u, QS_V_COMPARE, r, t, right, NULL);
    in.x++;
    in.w -= 2;
    arrange(u);
    if (!u->compare.n) {
        const char *why = u->s && u->s->reason ? u->s->reason : "…";
        qs_cells_text(&u->g, in.y + in.h / 2, in.x + (in.w - qs_text_width(why)) / 2, in.w, why, QS_ROLE_DIM, 0);
        return;
    }
    fit(in.w, width);
    draw_heads(u, in, width);
    size_t rows = in.h > 1 ? (size_t)in.h - 1 : 1;
    if (u->compare.cur < u->compare.top) u->compare.top = u->compare.cur;
    if (u->compare.cur >= u->compare.top + rows) u->compare.top = u->compare.cur - rows + 1;
    if (u->compare.top + rows > u->compare.n) u->compare.top = u->compare.n > rows ? u->compare.n - rows : 0;
    for (size_t k = 0; k < rows && u->compare.top + k < u->compare.n; k++)
        draw_row(u, in, in.y + 1 + (int)k, u->compare.top + k, width);
}

/* ---- keys --------------------------------------------------------------------------------------------- */

static void go(qs_ui *u, long to)
{
    if (!u->compare.n) return;
    to = to < 0 ? 0 : to >= (long)u->compare.n ? (long)u->compare.n - 1 : to;
    u->compare.cur = (size_t)to;
    snprintf(u->compare.cur_name, sizeof u->compare.cur_name, "%s", u->s->compare[u->compare.order[to]].init);
    qs_ui_touch(u);
}

static void move(qs_ui *u, int key)
{
    long cur = (long)u->compare.cur;
    go(u, key == QS_K_UP || key == 'k' ? cur - 1 : key == QS_K_DOWN || key == 'j' ? cur + 1 : key == QS_K_HOME ? 0 : (long)u->compare.n);
}

static void take(qs_ui *u, int key)
{
    (void)key;
    if (u->compare.cur < u->compare.n) qs_act_init(u, u->s->compare[u->compare.order[u->compare.cur]].init);
}

static void sort(qs_ui *u, int key)
{
    static const int cycle[] = {C_RMSE, C_INIT, C_STEP, C_SQNR, C_CLIPPED, C_MS};
    enum { N = sizeof cycle / sizeof *cycle };
    int i = 0;
    while (i < N && cycle[i] != u->compare.sort) i++;
    if (key == 'S') u->compare.down = !u->compare.down;
    else {
        u->compare.sort = cycle[(i + 1) % N];
        u->compare.down = u->compare.sort == C_SQNR;
    }
    qs_ui_touch(u);
}

static void click(qs_ui *u, int y, int x)
{
    qs_rect r = u->place[QS_V_COMPARE];
    (void)x;
    if (y >= r.y + 2 && y < r.y + r.h - 1) go(u, (long)u->compare.top + y - r.y - 2);
}

static void wheel(qs_ui *u, int by) { go(u, (long)u->compare.cur + by); }

static const qs_key keys[] = {
    {{QS_K_UP, QS_K_DOWN, 'k', 'j', QS_K_HOME, QS_K_END}, "↑ ↓", N_("row"), N_("the row before or after"), move, QS_KEY_FITS},
    {{QS_K_ENTER}, N_("Enter"), N_("take"), N_("takes this initialization"), take, QS_KEY_FITS},
    {{'s', 'S'}, "s S", N_("sort"), N_("sorts by the next column (S: the other way round)"), sort, QS_KEY_FITS},
};
const qs_view qs_view_compare = {"compare", N_("Compare"), {N_("Compare"), keys, sizeof keys / sizeof *keys}, draw, click, wheel};
