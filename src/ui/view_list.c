/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The list of tensors: sorted, filtered, as many columns as fit. Moving in it selects. */
#include <ctype.h>
#include <fnmatch.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/text.h"
#include "ui/names.h"
#include "ui/screen.h"

/* ---- columns ------------------------------------------------------------------------------ */

enum { C_NAME, C_SHAPE, C_DTYPE, C_COUNT, C_SPARK, C_STD, C_KURT, C_SQNR, COLUMNS };

/* prio: what stays when there is little room, 0 always. */
static const struct { const char *title; int w, prio; bool right, can_sort; } columns[COLUMNS] = {
    [C_NAME]  = {N_("name"),  0,  0, false, true},
    [C_SHAPE] = {N_("shape"), 16, 6, false, false},
    [C_DTYPE] = {N_("type"),  5,  7, false, false},
    [C_COUNT] = {N_("count"), 7,  5, true,  true},
    [C_SPARK] = {"",          QS_SPARK, 2, false, false},
    [C_STD]   = {N_("std"),   5,  3, true,  true},
    [C_KURT]  = {N_("kurt"),  5,  4, true,  true},
    [C_SQNR]  = {N_("SQNR"),  4,  1, true,  true},
};
enum { SORT_MODEL = COLUMNS };          /* the order of the file */

static double sort_value(const qs_snap_row *r, int sort)
{
    switch (sort) {
    case C_COUNT: return (double)r->n;
    case C_STD: return r->std;
    case C_KURT: return r->kurtosis;
    default: return r->sqnr;
    }
}

static const qs_ui *sorting;            /* qsort has no context; one thread draws */

static int by_sort(const void *pa, const void *pb)
{
    size_t a = *(const size_t *)pa, b = *(const size_t *)pb;
    const qs_snap_row *row = sorting->s->list->row;
    int sort = sorting->list.sort, sign = sorting->list.down ? -1 : 1;
    if (sort == C_NAME) {
        int c = strverscmp(row[a].name, row[b].name);
        if (c) return sign * c;
    } else if (sort != SORT_MODEL) {
        double x = sort_value(&row[a], sort), y = sort_value(&row[b], sort);
        if (isnan(x) != isnan(y)) return isnan(x) ? 1 : -1;             /* unknown: last, either way */
        if (!isnan(x) && x != y) return sign * (x < y ? -1 : 1);
    }
    return a < b ? -1 : a > b;
}

static bool matches(const char *name, const char *filter)
{
    if (!*filter) return true;
    if (strpbrk(filter, "*?[")) return fnmatch(filter, name, FNM_CASEFOLD) == 0;
    return strcasestr(name, filter) != NULL;
}

/* Which rows show, in which order, and where the chosen one is. */
static void arrange(qs_ui *u)
{
    const qs_snap_list *l = u->s ? u->s->list : NULL;
    size_t n = l ? l->n : 0;
    u->list.n = 0;
    u->list.order = qs_xrealloc(u->list.order, (n + 1) * sizeof *u->list.order);
    for (size_t i = 0; i < n; i++)
        if (matches(l->row[i].name, u->list.filter)) u->list.order[u->list.n++] = i;
    sorting = u;
    if (u->list.sort != SORT_MODEL) qsort(u->list.order, u->list.n, sizeof *u->list.order, by_sort);
    const char *cur = qs_cur_tensor(u);
    for (size_t i = 0; i < u->list.n; i++)
        if (!strcmp(l->row[u->list.order[i]].name, cur)) u->list.cur = i;
    if (u->list.cur >= u->list.n) u->list.cur = u->list.n ? u->list.n - 1 : 0;
}

/* Which columns fit into w; widths in width[] (0: left out). */
static void fit(const qs_ui *u, int w, int *width)
{
    int longest = 8, left;
    for (size_t i = 0; i < u->list.n; i++) {
        int n = qs_text_width(qs_row_label(&u->s->list->row[u->list.order[i]]));
        longest = n > longest ? n : longest;
    }
    for (int c = 0; c < COLUMNS; c++) width[c] = 0;
    int least = w < 36 ? 9 : w < 44 ? 12 : 16;
    width[C_NAME] = longest < least ? longest : least;
    left = w - width[C_NAME] - 2;
    for (int p = 1; p <= 7; p++)
        for (int c = 1; c < COLUMNS; c++)
            if (columns[c].prio == p && left >= columns[c].w + 1) {
                width[c] = columns[c].w;
                left -= width[c] + 1;
            }
    if (left > 0) {
        int more = longest - width[C_NAME];
        width[C_NAME] += more < left ? (more > 0 ? more : 0) : left;
    }
}

/* ---- drawing ---------------------------------------------------------------------------------- */

static int sqnr_role(double v)
{
    return isnan(v) ? QS_ROLE_DIM : v < 10 ? QS_ROLE_BAD : v < 20 ? QS_ROLE_WARN : v < 30 ? QS_ROLE_TEXT : QS_ROLE_GOOD;
}

static void draw_name(qs_ui *u, int y, int x, int w, const char *name, int role, int attr)
{
    char t[300];
    qs_name_short(name, w, t, sizeof t);
    qs_cells_name(&u->g, y, x, w, t, role, attr);
}

static void draw_cell(qs_ui *u, int c, int y, int x, int w, size_t i, int attr)
{
    const qs_snap_row *r = &u->s->list->row[i];
    char b[QS_FMT];
    bool no = r->reason != NULL;
    int dim = no ? QS_ROLE_DIM : QS_ROLE_TEXT;
    switch (c) {
    case C_NAME: draw_name(u, y, x, w, qs_row_label(r), dim, attr); break;
    case C_SHAPE: qs_cells_text(&u->g, y, x, w, r->shape, QS_ROLE_DIM, attr); break;
    case C_DTYPE: qs_cells_text(&u->g, y, x, w, r->dtype, QS_ROLE_DIM, attr); break;
    case C_COUNT: qs_ui_number(u, QS_V_LIST, y, x, w, qs_fmt_count(b, (double)r->n, w), QS_N_COUNT, i, (double)r->n, QS_ROLE_DIM, attr); break;
    case C_SPARK:
        if (r->has_spark) qs_spark(&u->g, y, x, r->spark, QS_SPARK, u->ascii ? QS_ASCII : QS_BLOCK, no ? QS_ROLE_DIM : QS_ROLE_BARS, attr);
        else qs_cells_text(&u->g, y, x, w, "…", QS_ROLE_DIM, attr);
        break;
    case C_STD: qs_ui_number(u, QS_V_LIST, y, x, w, qs_fmt_fit(b, r->std, w), QS_N_STD, i, r->std, dim, attr); break;
    case C_KURT: qs_ui_number(u, QS_V_LIST, y, x, w, r->kurtosis < 1000 ? qs_fmt_fixed(b, r->kurtosis, r->kurtosis < 100 ? 2 : 0)
                              : qs_fmt_count(b, r->kurtosis, w), QS_N_KURT, i, r->kurtosis, QS_ROLE_DIM, attr); break;
    default:
        if (no) break;
        qs_ui_number(u, QS_V_LIST, y, x, w, qs_fmt_db(b, r->sqnr), QS_N_SQNR, i, r->sqnr, sqnr_role(r->sqnr), attr);
    }
}

static void draw_row(qs_ui *u, qs_rect r, int y, size_t k, const int *width)
{
    size_t i = u->list.order[k];
    const qs_snap_row *row = &u->s->list->row[i];
    bool cur = k == u->list.cur;
    int x = r.x + 1, attr = cur ? QS_BOLD : 0, reason_x = -1;
    for (int c = 0; c < COLUMNS; c++) {
        if (!width[c]) continue;
        bool tail = row->reason && c > C_COUNT;                 /* where numbers would be stands why there are none */
        if (tail && reason_x < 0) reason_x = x;
        if (!tail) draw_cell(u, c, y, x, width[c], i, attr);
        x += width[c] + 1;
    }
    if (reason_x >= 0) qs_cells_text(&u->g, y, reason_x, r.x + r.w - reason_x, row->reason, QS_ROLE_DIM, 0);
    if (row->sampled) qs_cells_put(&u->g, y, r.x + r.w - 1, L'~', QS_ROLE_DIM, 0);
    if (cur) {
        qs_cells_put(&u->g, y, r.x, L'▸', QS_ROLE_FOCUS, QS_BOLD);
        qs_cells_mark(&u->g, (qs_rect){y, r.x, 1, r.w}, QS_SELECTED);
    }
}

static void draw_heads(qs_ui *u, qs_rect r, int y, const int *width)
{
    int x = r.x + 1;
    for (int c = 0; c < COLUMNS; c++) {
        if (!width[c]) continue;
        bool on = c == u->list.sort;
        const char *t = _(columns[c].title);
        int role = on ? QS_ROLE_FOCUS : QS_ROLE_DIM;
        if (columns[c].right) qs_cells_right(&u->g, y, x, width[c], t, role, on ? QS_UNDER : 0);
        else if (*t) qs_cells_text(&u->g, y, x, width[c], t, role, on ? QS_UNDER : 0);
        x += width[c] + 1;
    }
}

static void keep_in_sight(qs_ui *u, int rows)
{
    size_t h = rows > 0 ? (size_t)rows : 1;
    if (u->list.cur < u->list.top) u->list.top = u->list.cur;
    if (u->list.cur >= u->list.top + h) u->list.top = u->list.cur - h + 1;
    if (u->list.top + h > u->list.n) u->list.top = u->list.n > h ? u->list.n - h : 0;
}

static void draw(qs_ui *u, qs_rect r)
{
    char foot[200], a[QS_FMT];
    int width[COLUMNS];
    arrange(u);
    size_t n = u->s && u->s->list ? u->s->list->n : 0;
    const char *sort = u->list.sort == SORT_MODEL ? _("in file order") : _(columns[u->list.sort].title);
    const char *filter = u->list.filter;
    snprintf(foot, sizeof foot, "%zu/%zu · %s%s%s%s", u->list.n ? u->list.cur + 1 : 0, u->list.n, sort,
             u->list.sort == SORT_MODEL ? "" : u->list.down ? " ↓" : " ↑", *filter ? " · /" : "", filter);
    qs_rect in = qs_ui_frame(u, QS_V_LIST, r, _("Tensors"), n ? qs_fmt_count(a, (double)n, 9) : "", n ? foot : NULL);
    if (!n) {
        qs_cells_text(&u->g, in.y, in.x + 1, in.w - 2, u->s ? _("no model: qs.load \"FILE\"") : "…", QS_ROLE_DIM, 0);
        return;
    }
    if (!u->list.n) {
        qs_cells_text(&u->g, in.y, in.x + 1, in.w - 2, _("nothing matches the filter"), QS_ROLE_DIM, 0);
        return;
    }
    fit(u, in.w, width);
    draw_heads(u, in, in.y, width);
    keep_in_sight(u, in.h - 1);
    for (int y = 1; y < in.h && u->list.top + (size_t)y - 1 < u->list.n; y++)
        draw_row(u, in, in.y + y, u->list.top + (size_t)y - 1, width);
}

/* ---- keys ------------------------------------------------------------------------------------------ */

static void go(qs_ui *u, long to)
{
    if (!u->list.n) return;
    if (to < 0) to = 0;
    if (to >= (long)u->list.n) to = (long)u->list.n - 1;
    u->list.cur = (size_t)to;
    qs_act_tensor(u, u->s->list->row[u->list.order[to]].name);
    qs_ui_touch(u);
}

static void move(qs_ui *u, int key)
{
    long page = u->place[QS_V_LIST].h - 4, cur = (long)u->list.cur;
    switch (key) {
    case QS_K_UP: case 'k': go(u, cur - 1); break;
    case QS_K_DOWN: case 'j': go(u, cur + 1); break;
    case QS_K_PGUP: go(u, cur - page); break;
    case QS_K_PGDN: go(u, cur + page); break;
    case QS_K_HOME: case 'g': go(u, 0); break;
    default: go(u, (long)u->list.n); break;
    }
}

static void sort(qs_ui *u, int key)
{
    static const int cycle[] = {SORT_MODEL, C_NAME, C_COUNT, C_STD, C_KURT, C_SQNR};
    enum { N = sizeof cycle / sizeof *cycle };
    if (key == 'S') {
        u->list.down = !u->list.down;
    } else {
        int i = 0;
        while (i < N && cycle[i] != u->list.sort) i++;
        u->list.sort = cycle[(i + 1) % N];
        u->list.down = u->list.sort == C_COUNT || u->list.sort == C_STD || u->list.sort == C_KURT;
    }
    qs_ui_touch(u);
}

static void enter(qs_ui *u, int key)
{
    (void)key;
    bool hidden = u->place[QS_V_HIST].h == 0;
    u->wide = false;
    qs_ui_focus(u, QS_V_HIST);
    if (hidden) qs_act_view(u, QS_V_HIST);
}

static void click(qs_ui *u, int y, int x)
{
    qs_rect r = u->place[QS_V_LIST];
    (void)x;
    if (y >= r.y + 2 && y < r.y + r.h - 1 && u->list.top + (size_t)(y - r.y - 2) < u->list.n) go(u, (long)u->list.top + y - r.y - 2);
}

static void wheel(qs_ui *u, int by) { go(u, (long)u->list.cur + by); }

static const qs_key keys[] = {
    {{QS_K_UP, QS_K_DOWN, 'k', 'j'}, "↑ ↓", N_("tensor"), N_("the tensor before or after"), move, QS_KEY_FITS},
    {{QS_K_PGUP, QS_K_PGDN, QS_K_HOME, QS_K_END, 'g', 'G'}, "PgUp PgDn", NULL, N_("a page, Home and End: first and last"), move, QS_KEY_FITS},
    {{'s', 'S'}, "s S", N_("sort"), N_("sorts by the next column (S: the other way round)"), sort, QS_KEY_FITS},
    {{QS_K_ENTER}, N_("Enter"), NULL, N_("looks at its weights"), enter, QS_KEY_FITS},
};
const qs_view qs_view_list = {"list", N_("Tensors"), {N_("Tensors"), keys, sizeof keys / sizeof *keys}, draw, click, wheel};
