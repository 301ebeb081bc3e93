/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Results of a sweep, as they come in: a table of groups of cells with mean,
 * interval and difference from a baseline, and below it the series of the group
 * looked at, over those of the baseline.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "ui/screen.h"

#define MARKS 4                /* columns in front of a row: ▸ looked at, * best, B baseline */
#define GAP 2

static const qs_snap_results *shown(const qs_ui *u) { return u->s ? u->s->results : NULL; }

/* ---- columns --------------------------------------------------------------------------- */
enum { C_N, C_MEAN, C_HALF, C_STD, C_MIN, C_MAX, C_DIFF, C_DHALF, C_P, COLUMNS };
enum { SORT_GRID = -1 };           /* in the order of the values */

static const struct { const char *title; int w, prio; bool base; enum qs_num kind; } columns[COLUMNS] = {
    [C_N]     = {N_("n"),      7, 0, false, QS_N_CELLS},
    [C_MEAN]  = {N_("mean"),   9, 0, false, QS_N_GROUP_MEAN},
    [C_HALF]  = {N_("±95%"),   8, 1, false, QS_N_INTERVAL},
    [C_STD]   = {N_("std"),    8, 3, false, QS_N_GROUP_STD},
    [C_MIN]   = {N_("min"),    9, 4, false, QS_N_LEAST},
    [C_MAX]   = {N_("max"),    9, 6, false, QS_N_GREATEST},
    [C_DIFF]  = {N_("diff B"), 9, 0, true, QS_N_DIFF},
    [C_DHALF] = {N_("±95%"),   8, 2, true, QS_N_DIFF_INTERVAL},
    [C_P]     = {N_("p"),      6, 5, true, QS_N_P},
};

static double value(const qs_snap_group *g, int col)
{
    const double v[COLUMNS] = {[C_N] = (double)g->n, [C_MEAN] = g->mean, [C_HALF] = (g->hi - g->lo) / 2, [C_STD] = g->std,
                               [C_MIN] = g->min, [C_MAX] = g->max, [C_DIFF] = g->diff, [C_DHALF] = (g->diff_hi - g->diff_lo) / 2,
                               [C_P] = g->p};
    return v[col];
}

static bool less_is_better(const qs_ui *u, const char *metric) { return qs_less_is_better(metric) != u->results.flip; }

/* The group with the best mean; ngroup: none has any. */
static size_t best_group(const qs_ui *u)
{
    const qs_snap_results *r = shown(u);
    double sign = less_is_better(u, r->at.metric) ? -1 : 1;
    size_t best = r->ngroup;
    for (size_t i = 0; i < r->ngroup; i++) {
        double v = sign * r->group[i].mean;
        if (!isnan(v) && (best == r->ngroup || v > sign * r->group[best].mean)) best = i;
    }
    return best;
}

static bool has_baseline(const qs_snap_results *r)
{
    for (size_t i = 0; i < r->ngroup; i++)
        if (r->group[i].baseline) return true;
    return false;
}

/* ---- rows -------------------------------------------------------------------------------------- */
static const qs_ui *sorting;

static int by_sort(const void *pa, const void *pb)
{
    size_t a = *(const size_t *)pa, b = *(const size_t *)pb;
    const qs_snap_group *x = &shown(sorting)->group[a], *y = &shown(sorting)->group[b];
    int sign = sorting->results.down ? -1 : 1, col = sorting->results.sort, grid = a < b ? -1 : a > b;
    if (col < 0) return sign * grid;
    double v = value(x, col), w = value(y, col);
    if (isnan(v) != isnan(w)) return isnan(v) ? 1 : -1;
    if (v < w || v > w) return sign * (v < w ? -1 : 1);
    return grid;
}

static void arrange(qs_ui *u)
{
    const qs_snap_results *r = shown(u);
    const char *cur = qs_cur_group(u);
    u->results.n = r->ngroup;
    u->results.order = qs_xrealloc(u->results.order, (r->ngroup + 1) * sizeof *u->results.order);
    for (size_t i = 0; i < r->ngroup; i++) u->results.order[i] = i;
    sorting = u;
    qsort(u->results.order, r->ngroup, sizeof *u->results.order, by_sort);
    u->results.cur = 0;
    for (size_t i = 0; i < r->ngroup; i++)
        if (!strcmp(r->group[u->results.order[i]].name, cur)) u->results.cur = i;
}

/* Widths of the parameters' columns: as wide as their values, the widest cut until all of them have a place. */
static int *key_widths(const qs_snap_results *r, int room)
{
    int *w = qs_xcalloc(r->nby + 1, sizeof *w), sum = 0;
    for (size_t i = 0; i < r->nby; i++) {
        w[i] = qs_text_width(r->by[i]);
        for (size_t k = 0; k < r->ngroup; k++) {
            int n = qs_text_width(r->group[k].value[i]);
            w[i] = n > w[i] ? n : w[i];
        }
        w[i] = w[i] > 24 ? 24 : w[i];
        sum += w[i] + GAP;
    }
    while (sum > room) {
        size_t widest = 0;
        for (size_t i = 1; i < r->nby; i++) widest = w[i] > w[widest] ? i : widest;
        if (!r->nby || w[widest] <= 3) break;
        w[widest]--;
        sum--;
    }
    return w;
}

static void fit(const qs_snap_results *r, int room, int *width)
{
    bool base = has_baseline(r);
    for (int c = 0; c < COLUMNS; c++) width[c] = 0;
    for (int p = 0; p <= 6; p++)
        for (int c = 0; c < COLUMNS; c++)
            if (columns[c].prio == p && (base || !columns[c].base) && room >= columns[c].w + GAP) {
                width[c] = columns[c].w;
                room -= width[c] + GAP;
            }
}

static char *text_of(char b[QS_FMT], const qs_snap_group *g, int col)
{
    double v = value(g, col);
    size_t all = g->n + g->undefined + g->failed + g->left;
    if (col == C_N) {
        char n[QS_FMT], of[QS_FMT];
        qs_fmt_count(n, (double)g->n, 4);
        if (all > g->n) snprintf(b, QS_FMT, "%.12s/%.12s%s", n, qs_fmt_count(of, (double)all, 4), g->failed ? "!" : "");
        else memcpy(b, n, QS_FMT);
        return b;
    }
    if (col == C_DIFF && v > 0) {
        b[0] = '+';
        char rest[QS_FMT];
        snprintf(b + 1, QS_FMT - 1, "%.*s", QS_FMT - 2, qs_fmt_fit(rest, v, columns[col].w - 2));
        return b;
    }
    int digits = col == C_MEAN || col == C_MIN || col == C_MAX ? 5 : 3;
    qs_fmt_sig(b, v, digits);
    return (int)strlen(b) <= columns[col].w ? b : qs_fmt_fit(b, v, columns[col].w);
}

static int role_of(const qs_snap_group *g, int col, bool best)
{
    if (col == C_N) return g->failed ? QS_ROLE_WARN : QS_ROLE_DIM;
    if (col == C_MEAN) return best ? QS_ROLE_GOOD : QS_ROLE_TITLE;
    if (col == C_DIFF && !isnan(g->diff_lo) && (g->diff_lo > 0 || g->diff_hi < 0)) return QS_ROLE_TITLE;
    return col == C_DIFF ? QS_ROLE_TEXT : QS_ROLE_DIM;
}

/* Is this number, which is not there, being computed? */
static bool awaited(const qs_snap_results *r, const qs_snap_group *g, int col)
{
    return r->rough && ((col == C_HALF && g->n > 1) || (col == C_DHALF && g->pairs > 1) || (col == C_P && g->pairs > 0));
}

static void draw_row(qs_ui *u, qs_rect in, int y, size_t k, const int *keys, const int *width, size_t best)
{
    const qs_snap_results *r = shown(u);
    size_t i = u->results.order[k];
    const qs_snap_group *g = &r->group[i];
    bool cur = k == u->results.cur;
    int x = in.x + MARKS, end = in.x + in.w, attr = cur ? QS_BOLD : 0;
    char b[QS_FMT];
    if (cur) qs_cells_put(&u->g, y, in.x, L'▸', QS_ROLE_A, QS_BOLD);
    if (i == best) qs_cells_put(&u->g, y, in.x + 1, L'*', QS_ROLE_GOOD, QS_BOLD);
    if (g->baseline) qs_cells_put(&u->g, y, in.x + 2, L'B', QS_ROLE_B, QS_BOLD);
    for (size_t c = 0; c < r->nby && x < end; c++, x += GAP) {
        qs_cells_name(&u->g, y, x, keys[c] < end - x ? keys[c] : end - x, g->value[c], g->baseline ? QS_ROLE_B : QS_ROLE_TEXT, attr);
        x += keys[c];
    }
    for (int c = 0; c < COLUMNS; c++) {
        if (!width[c]) continue;
        bool none = columns[c].base && g->baseline, number = c == C_N || !isnan(value(g, c));
        if (number && !none) qs_ui_number(u, QS_V_RESULTS, y, x, width[c], text_of(b, g, c), columns[c].kind, i, value(g, c), role_of(g, c, i == best), attr);
        else qs_cells_right(&u->g, y, x, width[c], none ? "" : awaited(r, g, c) ? "…" : "-", QS_ROLE_DIM, 0);
        x += width[c] + GAP;
    }
    if (cur && u->focus == QS_V_RESULTS && !u->con_focus) qs_cells_mark(&u->g, (qs_rect){y, in.x, 1, in.w}, QS_SELECTED);
}

static void draw_heads(qs_ui *u, qs_rect in, const int *keys, const int *width)
{
    const qs_snap_results *r = shown(u);
    int x = in.x + MARKS, end = in.x + in.w;
    for (size_t c = 0; c < r->nby && x < end; c++, x += GAP) {
        qs_cells_name(&u->g, in.y, x, keys[c] < end - x ? keys[c] : end - x, r->by[c], u->results.sort < 0 ? QS_ROLE_FOCUS : QS_ROLE_DIM,
                      c == 0 && u->results.sort < 0 ? QS_UNDER : 0);
        x += keys[c];
    }
    for (int c = 0; c < COLUMNS; c++) {
        if (!width[c]) continue;
        bool on = c == u->results.sort;
        const char *t = _(columns[c].title);
        int n = qs_text_width(t);
        qs_cells_text(&u->g, in.y, x + width[c] - n, n, t, on ? QS_ROLE_FOCUS : QS_ROLE_DIM, on ? QS_UNDER : 0);
        x += width[c] + GAP;
    }
}

static void draw_table(qs_ui *u, qs_rect in)
{
    const qs_snap_results *r = shown(u);
    int width[COLUMNS], least = columns[C_N].w + columns[C_MEAN].w + 2 * GAP + (has_baseline(r) ? columns[C_DIFF].w + GAP : 0);
    int *keys = key_widths(r, in.w - MARKS - least), used = MARKS;
    size_t rows = in.h > 1 ? (size_t)in.h - 1 : 1, best = best_group(u);
    for (size_t i = 0; i < r->nby; i++) used += keys[i] + GAP;
    fit(r, in.w - used + GAP, width);
    draw_heads(u, in, keys, width);
    if (u->results.cur < u->results.top) u->results.top = u->results.cur;
    if (u->results.cur >= u->results.top + rows) u->results.top = u->results.cur - rows + 1;
    if (u->results.top + rows > u->results.n) u->results.top = u->results.n > rows ? u->results.n - rows : 0;
    u->results.rows = (qs_rect){in.y + 1, in.x, (int)rows, in.w};
    for (size_t k = 0; k < rows && u->results.top + k < u->results.n; k++)
        draw_row(u, in, in.y + 1 + (int)k, u->results.top + k, keys, width, best);
    free(keys);
}

/* ---- series ---------------------------------------------------------------------------------------- */
static const qs_snap_series *series_named(const qs_snap_series *s, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (!strcmp(s[i].name, name)) return &s[i];
    return NULL;
}

static void widen(const qs_snap_series *s, double *lo, double *hi, double *end)
{
    for (size_t i = 0; s && i < s->n; i++) {
        if (isnan(s->mean[i])) continue;
        *lo = fmin(*lo, s->low[i]);
        *hi = fmax(*hi, s->high[i]);
        *end = fmax(*end, s->at[i]);
    }
}

/* The mean, and with several cells a band from their least to their greatest. */
static size_t add_lines(qs_series *l, const qs_snap_series *s, const char *group, int role)
{
    size_t n = 0;
    if (!s) return 0;
    if (s->cells > 1)
        l[n++] = (qs_series){.kind = QS_PLOT_BAND, .x = s->at, .y = s->low, .y2 = s->high, .n = s->n, .role = (unsigned char)role};
    l[n++] = (qs_series){.kind = QS_PLOT_LINE, .x = s->at, .y = s->mean, .n = s->n, .role = (unsigned char)role, .attr = QS_BOLD,
                         .label = group};
    return n;
}

static void draw_one_series(qs_ui *u, qs_rect r, const qs_snap_series *a, const qs_snap_series *b)
{
    double lo = INFINITY, hi = -INFINITY, end = 1;
    const qs_results_at *at = &shown(u)->at;
    qs_series lines[4];
    size_t n = add_lines(lines, b, at->baseline, QS_ROLE_B);
    n += add_lines(lines + n, a, at->group, QS_ROLE_A);
    widen(a, &lo, &hi, &end);
    widen(b, &lo, &hi, &end);
    qs_cells_text(&u->g, r.y, r.x + 7, r.w - 7, a->name, QS_ROLE_TITLE, 0);
    if (!(lo <= hi)) return;
    char what[200];            /* on paper nothing else says what the band is */
    bool band = a->cells > 1 || (b && b->cells > 1);
    snprintf(what, sizeof what, "%s%s%s%s", a->name, band ? " (" : "", band ? _("mean, least, greatest") : "", band ? ")" : "");
    double air = hi > lo ? 0.05 * (hi - lo) : fmax(fabs(hi) * 0.1, 1e-9);
    qs_axis y = lo > 0 && hi / lo > 30 ? (qs_axis){lo / 1.2, hi * 1.2, true} : (qs_axis){lo - air, hi + air, false};
    qs_plot p = {.x = {1, end > 1 ? end : 2, false}, .y = y, .series = lines, .nseries = n, .y_width = 7, .y_ticks = r.h > 6 ? 4 : 2,
                 .x_labels = true, .x_name = _("place in the series"), .y_name = what};
    qs_ui_plot(u, &p, (qs_rect){r.y + 1, r.x, r.h - 1, r.w}, NULL);
}

static int draw_key(qs_ui *u, int y, int x, int end, const char *sign, const char *name, size_t cells, int role)
{
    char t[400];
    snprintf(t, sizeof t, ngettext("%s %s  %zu cell", "%s %s  %zu cells", cells), sign, name, cells);
    return x + qs_cells_text(&u->g, y, x, end - x, t, role, QS_BOLD) + 3;
}

static size_t most_cells(const qs_snap_series *s, size_t n)
{
    size_t most = 0;
    for (size_t i = 0; i < n; i++) most = s[i].cells > most ? s[i].cells : most;
    return most;
}

static void draw_series(qs_ui *u, qs_rect r)
{
    const qs_snap_results *o = shown(u);
    size_t fits = (size_t)(r.w / 34 < 1 ? 1 : r.w / 34), n = o->nseries < fits ? o->nseries : fits;
    int x = r.x, end = r.x + r.w, each = r.w / (int)n;
    size_t a = most_cells(o->series, o->nseries), b = most_cells(o->base, o->nbase);
    x = draw_key(u, r.y, x, end, "▸", o->at.group, a, QS_ROLE_A);
    if (o->nbase) x = draw_key(u, r.y, x, end, "B", o->at.baseline, b, QS_ROLE_B);
    const char *says = a > 1 ? _("mean, least, greatest") : "";
    if (x + qs_text_width(says) <= end) qs_cells_text(&u->g, r.y, x, end - x, says, QS_ROLE_DIM, 0);
    for (size_t i = 0; i < n; i++)
        draw_one_series(u, (qs_rect){r.y + 1, r.x + (int)i * each, r.h - 1, each - (i + 1 < n ? 2 : 0)}, &o->series[i],
                        series_named(o->base, o->nbase, o->series[i].name));
}

/* ---- what is said around it ------------------------------------------------------------------------------ */
/* How the sweep comes on, in so many columns: what does not fit is left out, the least important first. */
static void right_text(const qs_snap_results *r, int room, char *t, size_t size)
{
    enum { DONE, FAILED, RUNNING, LEFT, RATE, TO_GO, PARTS };
    static const int order[PARTS] = {DONE, FAILED, LEFT, TO_GO, RUNNING, RATE};
    char part[PARTS][60] = {""}, b[QS_FMT];
    snprintf(part[DONE], sizeof *part, _("%zu/%zu done"), r->done, r->cells);
    if (r->failed) snprintf(part[FAILED], sizeof *part, _("%zu failed"), r->failed);
    if (r->running) snprintf(part[RUNNING], sizeof *part, _("%zu running"), r->running);
    if (r->left) snprintf(part[LEFT], sizeof *part, _("%zu left"), r->left);
    if (!isnan(r->rate)) {
        snprintf(part[RATE], sizeof *part, _("%s/s"), qs_fmt_sig(b, r->rate, 2));
        snprintf(part[TO_GO], sizeof *part, _("%s to go"), qs_fmt_time(b, r->left_s));
    }
    for (int i = 0; i < PARTS; i++) {
        char *p = part[order[i]];
        room -= qs_text_width(p) + (i ? 3 : 0);
        if (i && room < 0) *p = '\0';
        if (i && !*p) room += 3;
    }
    *t = '\0';
    for (int i = 0; i < PARTS; i++)
        if (*part[i]) snprintf(t + strlen(t), size - strlen(t), "%s%s", *t ? " · " : "", part[i]);
}

static void draw_lines(qs_ui *u, qs_rect in, const char *head, const char *const *line, int n)
{
    int y = in.y + (in.h - n - 2) / 2, w = 70 < in.w - 4 ? 70 : in.w - 4, x = in.x + (in.w - w) / 2;
    qs_cells_text(&u->g, y, x, w, head, QS_ROLE_TITLE, QS_BOLD);
    for (int i = 0; i < n; i++) qs_cells_text(&u->g, y + 2 + i, x, w, line[i], i % 2 ? QS_ROLE_ECHO : QS_ROLE_TEXT, 0);
}

static void draw_nothing(qs_ui *u, qs_rect in)
{
    const char *const lines[] = {_("A sweep makes one, and this view opens it while the sweep goes on:"),
                                 "  quantscope sweep FILE.lua --db results.db",
                                 _("then, here or when the program starts:"),
                                 "  qs.select{view=\"results\", results=\"results.db\"}", "", "  quantscope results.db"};
    draw_lines(u, in, _("No results database is open."), lines, 6);
}

static void draw_error(qs_ui *u, qs_rect in, const char *file, const char *why)
{
    int w = in.w - 4, y = in.y + in.h / 3;
    qs_cells_name(&u->g, y, in.x + 2, w, file, QS_ROLE_TITLE, QS_BOLD);
    for (y += 2; *why && y < in.y + in.h; y++) {
        char row[600];
        size_t n = qs_ui_row_bytes(why, w);
        snprintf(row, sizeof row, "%.*s", (int)n, why);
        qs_cells_text(&u->g, y, in.x + 2, w, row, QS_ROLE_BAD, 0);
        why += n;
        why += *why == ' ';
    }
}

static void title(const qs_ui *u, char *t, size_t size)
{
    const qs_snap_results *r = shown(u);
    snprintf(t, size, _("Results  %s"), r->at.sweep);
    if (r->nsweep > 1) snprintf(t + strlen(t), size - strlen(t), _("  %zu of %zu"), r->sweep + 1, r->nsweep);
    if (*r->at.metric) snprintf(t + strlen(t), size - strlen(t), "  %s %s", r->at.metric, less_is_better(u, r->at.metric) ? "↓" : "↑");
}

/* Which end of the metric is best in words, where there is room for them. */
static void add_sense(const qs_ui *u, int room, char *t, size_t size)
{
    const char *metric = shown(u)->at.metric, *says = less_is_better(u, metric) ? _("less is better") : _("more is better");
    if (*metric && qs_text_width(says) + 3 <= room) snprintf(t + strlen(t), size - strlen(t), " (%s)", says);
}

/* Was something asked for that the picture does not show yet? */
static bool pending(const qs_ui *u)
{
    const qs_results_at *a = &u->s->sel.results, *b = &shown(u)->at;
    const char *const both[][2] = {{a->sweep, b->sweep}, {a->by, b->by}, {a->metric, b->metric}, {a->baseline, b->baseline}};
    for (size_t i = 0; i < sizeof both / sizeof *both; i++)
        if (*both[i][0] && strcmp(both[i][0], both[i][1])) return true;
    return false;
}

static void draw(qs_ui *u, qs_rect r)
{
    const qs_snap_results *o = shown(u);
    char t[400], right[400];
    u->results.rows = (qs_rect){0};
    u->results.n = 0;
    if (!o || !o->nsweep) {
        qs_rect in = qs_ui_frame(u, QS_V_RESULTS, r, _("Results"), NULL, NULL);
        if (o && o->error) draw_error(u, in, o->at.file, o->error);
        else if (!u->s || !*u->s->sel.results.file) draw_nothing(u, in);
        else draw_lines(u, in, _("Reading ..."), NULL, 0);
        return;
    }
    title(u, t, sizeof t);
    int room = r.w - 12 - qs_text_width(t);
    right_text(o, room, right, sizeof right);
    add_sense(u, room - qs_text_width(right), t, sizeof t);
    qs_rect in = qs_ui_frame(u, QS_V_RESULTS, r, t, right, o->error ? o->error : pending(u) ? _("as asked for: coming ...") : o->at.file);
    in.x++;
    in.w -= 2;
    arrange(u);
    int table = in.h;
    if (o->nseries && in.h >= 12) {
        int most = in.h - 8 > in.h / 2 ? in.h / 2 : in.h - 8, want = (int)o->ngroup + 1;
        table = want < most ? want : most;
        draw_series(u, (qs_rect){in.y + table + 1, in.x, in.h - table - 1, in.w});
    }
    draw_table(u, (qs_rect){in.y, in.x, table, in.w});
}

void qs_results_open(qs_ui *u)
{
    bool here = u->focus == QS_V_RESULTS;
    if (!here) u->results.back = u->pane == QS_V_RESULTS ? u->results.back : u->pane;
    int to = here ? u->results.back : QS_V_RESULTS;
    qs_ui_focus(u, to);
    qs_act_view(u, to);
}

/* ---- keys -------------------------------------------------------------------------------------------------- */
static bool there(qs_ui *u)
{
    bool some = shown(u) && shown(u)->ngroup && u->results.n == shown(u)->ngroup;
    if (!some) qs_ui_say(u, false, "%s", _("no results yet"));
    return some;
}

static void go(qs_ui *u, long to)
{
    long n = (long)u->results.n;
    to = to < 0 ? 0 : to >= n ? n - 1 : to;
    qs_act_results(u, QS_PICK_GROUP, shown(u)->group[u->results.order[to]].name);
}

static void move(qs_ui *u, int key)
{
    long cur = (long)u->results.cur, page = u->results.rows.h > 1 ? u->results.rows.h - 1 : 1;
    const struct { int key; long to; } moves[] = {
        {QS_K_UP, cur - 1}, {'k', cur - 1}, {QS_K_DOWN, cur + 1}, {'j', cur + 1}, {QS_K_PGUP, cur - page}, {QS_K_PGDN, cur + page},
        {QS_K_HOME, 0}, {QS_K_END, (long)u->results.n},
    };
    if (!there(u)) return;
    for (size_t i = 0; i < sizeof moves / sizeof *moves; i++)
        if (moves[i].key == key) go(u, moves[i].to);
}

static void pin(qs_ui *u, int key)
{
    (void)key;
    if (!there(u)) return;
    const qs_snap_group *g = &shown(u)->group[u->results.order[u->results.cur]];
    qs_act_results(u, QS_PICK_BASELINE, g->baseline ? "" : g->name);
}

static void sort(qs_ui *u, int key)
{
    static const int cycle[] = {SORT_GRID, C_MEAN, C_STD, C_MIN, C_DIFF, C_N};
    enum { N = sizeof cycle / sizeof *cycle };
    int i = 0;
    if (!there(u)) return;
    while (i < N && cycle[i] != u->results.sort) i++;
    if (key == 'S') u->results.down = !u->results.down;
    else {
        bool base = has_baseline(shown(u));
        do i = (i + 1) % N; while (cycle[i] == C_DIFF && !base);
        u->results.sort = cycle[i];
        bool value = cycle[i] == C_MEAN || cycle[i] == C_MIN || cycle[i] == C_DIFF;
        u->results.down = value && !less_is_better(u, shown(u)->at.metric);      /* the best first */
    }
    qs_ui_touch(u);
}

static void by(qs_ui *u, int key)
{
    (void)key;
    if (there(u)) qs_menu_by(u);
}

static void metric(qs_ui *u, int key)
{
    (void)key;
    if (there(u)) qs_menu_metric(u);
}

static void flip(qs_ui *u, int key)
{
    (void)key;
    u->results.flip = !u->results.flip;
    qs_ui_touch(u);
}

static void sweep(qs_ui *u, int key)
{
    const qs_snap_results *r = shown(u);
    size_t n = r ? r->nsweep : 0;
    if (n < 2) qs_ui_say(u, false, "%s", n ? _("only one sweep in this database") : _("no results yet"));
    else qs_act_results(u, QS_PICK_SWEEP, r->sweeps[(r->sweep + (key == QS_K_LEFT ? n - 1 : 1)) % n]);
}

static void click(qs_ui *u, int y, int x)
{
    qs_rect a = u->results.rows;
    (void)x;
    if (u->results.n && y >= a.y && y < a.y + a.h) go(u, (long)u->results.top + y - a.y);
}

static void wheel(qs_ui *u, int by_rows)
{
    if (u->results.n) go(u, (long)u->results.cur + by_rows);
}

static const qs_key keys[] = {
    {{QS_K_UP, QS_K_DOWN, 'k', 'j', QS_K_HOME, QS_K_END, QS_K_PGUP, QS_K_PGDN}, "↑ ↓", N_("group"), N_("the group that is looked at"), move, QS_KEY_FITS},
    {{' '}, N_("Space"), N_("baseline"), N_("compares all with this group (again: with none)"), pin, QS_KEY_FITS},
    {{'s', 'S'}, "s S", N_("sort"), N_("sorts by the next column (S: the other way round)"), sort, QS_KEY_FITS},
    {{'g'}, "g", N_("group by"), N_("the parameters that groups are made by"), by, QS_KEY_FITS},
    {{'v'}, "v", N_("metric"), N_("the metric that is shown"), metric, QS_KEY_FITS},
    {{QS_K_LEFT, QS_K_RIGHT}, "← →", N_("sweep"), N_("the sweep before or after"), sweep, QS_KEY_FITS},
    {{'x'}, "x", NULL, N_("whether less or more of the metric is better"), flip, QS_KEY_FITS},
};
const qs_view qs_view_results = {"results", N_("Results"), {N_("Results"), keys, sizeof keys / sizeof *keys}, draw, click, wheel};
