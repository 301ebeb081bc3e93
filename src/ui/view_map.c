/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The whole model at a glance: a row a layer, a column a role, a cell a tensor.
 * Colour says SQNR, kurtosis or the error against the least. Where names tell
 * nothing, the tensors stand in the order of the file.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "ui/names.h"
#include "ui/screen.h"

enum { M_SQNR, M_KURT, M_RATIO, METRICS };
static const struct { const char *name; double worst, best; bool log; enum qs_num kind; } metrics[METRICS] = {
    [M_SQNR]  = {N_("SQNR, dB"), 5, 45, false, QS_N_SQNR},
    [M_KURT]  = {N_("kurtosis"), 200, 2, true, QS_N_KURT},
    [M_RATIO] = {N_("error ×min"), 10, 1, true, QS_N_MSE_RATIO},
};
#define CELL 6

/* ---- the table: built from the names, kept while they stay ------------------------------------- */

typedef struct qs_map_table {
    uint64_t key;                      /* of all names and how many columns the fallback has */
    qs_snap_list *of;                  /* the list it was last found to be of, a reference; */
    size_t fallback_cols;              /* and with how many columns */
    size_t rows, cols;
    char (*layer)[64], (*role)[24];
    size_t *at;                        /* (rows, cols) row of the list + 1; 0: empty */
} table;

static uint64_t hash(uint64_t h, const char *s)
{
    for (; *s; s++) h = (h ^ (unsigned char)*s) * 1099511628211u;
    return (h ^ 0x9e) * 1099511628211u;
}

/* A set of names in the order they came: their numbers in an open table. */
typedef struct set { size_t *slot, cap, n, size; char *names; } set;

static size_t set_find(set *t, const char *name, bool *fresh)
{
    for (size_t i = hash(14695981039346656037u, name) % t->cap;; i = (i + 1) % t->cap) {
        *fresh = t->slot[i] == 0;
        if (*fresh) {
            memcpy(t->names + t->n * t->size, name, strlen(name) + 1);
            t->slot[i] = ++t->n;
        }
        if (!strcmp(t->names + (t->slot[i] - 1) * t->size, name)) return t->slot[i] - 1;
    }
}

static void free_table(table *t)
{
    if (!t) return;
    qs_snap_list_unref(t->of);
    free(t->layer);
    free(t->role);
    free(t->at);
    free(t);
}

void qs_map_free(qs_ui *u) { free_table(u->map.table); }

/* The order of the file: cells left to right. */
static table *plain(const qs_snap_list *l, const size_t *w, size_t n, size_t cols)
{
    table *t = qs_xcalloc(1, sizeof *t);
    t->cols = cols ? cols : 1;
    t->rows = (n + t->cols - 1) / t->cols;
    t->layer = qs_xcalloc(t->rows + 1, sizeof *t->layer);
    t->role = qs_xcalloc(t->cols + 1, sizeof *t->role);
    t->at = qs_xcalloc(t->rows * t->cols + 1, sizeof *t->at);
    for (size_t i = 0; i < n; i++) {
        t->at[i] = w[i] + 1;
        if (i % t->cols == 0) snprintf(t->layer[i / t->cols], sizeof *t->layer, "%.63s", qs_row_label(&l->row[w[i]]));
    }
    for (size_t c = 0; c < t->cols; c++) snprintf(t->role[c], sizeof *t->role, "+%zu", c);
    return t;
}

/* Layers that are bare numbers ("" before them all) come in the order of the numbers, whatever the order of the file.
 * r: (n) the row of every tensor. */
static void number_rows(table *t, size_t *r, size_t n)
{
    size_t *to = qs_xcalloc(t->rows + 1, sizeof *to);
    char (*old)[64] = qs_xcalloc(t->rows + 1, sizeof *old);
    bool bare = true;
    for (size_t i = 0; i < t->rows; i++) bare &= t->layer[i][strspn(t->layer[i], "0123456789")] == 0;
    for (size_t i = 0; i < t->rows && bare; i++) {
        memcpy(old[i], t->layer[i], sizeof *old);
        for (size_t k = 0; k < t->rows; k++) to[i] += strverscmp(t->layer[k], t->layer[i]) < 0;
    }
    for (size_t i = 0; i < t->rows && bare; i++) memcpy(t->layer[to[i]], old[i], sizeof *old);
    for (size_t i = 0; i < n && bare; i++) r[i] = to[r[i]];
    free(old);
    free(to);
}

/* A row a layer, a column a role; several of one role in one layer get columns of their own. NULL: the names are no help. */
static table *by_names(const qs_snap_list *l, const size_t *w, size_t n)
{
    enum { MOST = 64 };
    table *t = qs_xcalloc(1, sizeof *t);
    size_t cap = 2 * n + 2 * MOST + 7, *r = qs_xcalloc(n + 1, sizeof *r), *c = qs_xcalloc(n + 1, sizeof *c);
    char *used = qs_xcalloc(n * MOST + 1, 1);
    t->layer = qs_xcalloc(n + 1, sizeof *t->layer);
    t->role = qs_xcalloc(MOST + 1, sizeof *t->role);
    set rows = {qs_xcalloc(cap, sizeof(size_t)), cap, 0, sizeof *t->layer, &t->layer[0][0]};
    set cols = {qs_xcalloc(cap, sizeof(size_t)), cap, 0, sizeof *t->role, &t->role[0][0]};
    bool fresh, fine = true;
    for (size_t i = 0; i < n && fine; i++) {
        qs_part p = qs_name_part(qs_row_label(&l->row[w[i]]));
        r[i] = set_find(&rows, p.layer, &fresh);
        for (int k = 1; cols.n < MOST; k++) {
            char role[sizeof *t->role];
            snprintf(role, sizeof role, k == 1 ? "%.14s" : "%.14s'%d", p.role, k);
            c[i] = set_find(&cols, role, &fresh);
            if (!used[r[i] * MOST + c[i]]) break;
        }
        fine = cols.n < MOST;
        used[r[i] * MOST + c[i]] = 1;
    }
    t->rows = rows.n;
    t->cols = cols.n;
    if (t->rows * t->cols > n * 7 + 8) fine = false;
    if (fine) number_rows(t, r, n);
    t->at = qs_xcalloc(fine ? t->rows * t->cols + 1 : 1, sizeof *t->at);
    for (size_t i = 0; i < n && fine; i++) t->at[r[i] * t->cols + c[i]] = w[i] + 1;
    free(rows.slot);
    free(cols.slot);
    free(r);
    free(c);
    free(used);
    if (fine) return t;
    free_table(t);
    return NULL;
}

static const table *now_of(table *t, qs_snap_list *l, size_t fallback_cols)
{
    qs_snap_list *had = t->of;
    t->of = qs_snap_list_ref(l);
    t->fallback_cols = fallback_cols;
    qs_snap_list_unref(had);
    return t;
}

static const table *the_table(qs_ui *u, size_t fallback_cols)
{
    qs_snap_list *l = u->s->list;
    table *old = u->map.table;
    if (old && old->of == l && old->fallback_cols == fallback_cols) return old;
    uint64_t key = 14695981039346656037u + fallback_cols;
    for (size_t i = 0; i < l->n; i++) key = hash(key, l->row[i].name);
    if (old && old->key == key) return now_of(old, l, fallback_cols);
    size_t *w = qs_xmalloc((l->n + 1) * sizeof *w), n = 0;
    for (size_t i = 0; i < l->n; i++)
        if (!l->row[i].reason) w[n++] = i;
    free_table(u->map.table);
    u->map.table = by_names(l, w, n);
    if (!u->map.table) u->map.table = plain(l, w, n, fallback_cols);
    u->map.table->key = key;
    free(w);
    return now_of(u->map.table, l, fallback_cols);
}

/* ---- colours and numbers ------------------------------------------------------------------------- */

static double value(const qs_snap_row *r, int metric)
{
    return metric == M_SQNR ? r->sqnr : metric == M_KURT ? r->kurtosis : r->mse_ratio;
}

static int heat(double v, int metric)
{
    double a = metrics[metric].worst, b = metrics[metric].best;
    if (isnan(v)) return QS_ROLE_DIM;
    if (metrics[metric].log) { a = log(a); b = log(b); v = log(v > 1e-9 ? v : 1e-9); }
    double t = (v - a) / (b - a);
    return QS_ROLE_HEAT0 + (t <= 0 ? 0 : t >= 1 ? 9 : (int)(t * 10));
}

static void cell_text(char b[QS_FMT], double v, int metric)
{
    if (metric == M_SQNR) qs_fmt_db(b, v);
    else if (v >= 100) qs_fmt_count(b, v, 4);
    else qs_fmt_fixed(b, v, v < 10 ? 2 : 1);
}

/* ---- the sentence above ------------------------------------------------------------------------------- */

static void worst_two(const qs_snap_list *l, size_t *a, size_t *b)
{
    *a = *b = SIZE_MAX;
    for (size_t i = 0; i < l->n; i++) {
        double v = l->row[i].sqnr;
        if (l->row[i].reason || isnan(v)) continue;
        if (*a == SIZE_MAX || v < l->row[*a].sqnr) { *b = *a; *a = i; }
        else if (*b == SIZE_MAX || v < l->row[*b].sqnr) *b = i;
    }
}

static int say(qs_ui *u, qs_rect r, int y, int x, const char *t, int role)
{
    return x + qs_cells_text(&u->g, y, x, r.x + r.w - x, t, role, 0);
}

static int say_number(qs_ui *u, qs_rect r, int y, int x, const char *t, enum qs_num kind, size_t row, double v)
{
    int n = qs_text_width(t);
    if (x + n > r.x + r.w) return x;
    qs_ui_number(u, QS_V_MAP, y, x, n, t, kind, row, v, QS_ROLE_TITLE, 0);
    return x + n;
}

static int sentence(qs_ui *u, qs_rect r)
{
    const qs_snap_list *l = u->s->list;
    char b[QS_FMT], t[400];
    size_t w[2];
    worst_two(l, &w[0], &w[1]);
    int y = r.y, x = say(u, r, y, r.x, _("Worst: "), QS_ROLE_DIM), room = (r.w - 7 - 2 * 7 - 2) / 2;
    for (int i = 0; i < 2 && w[i] != SIZE_MAX; i++) {
        char name[300];
        qs_name_short(qs_row_label(&l->row[w[i]]), room, name, sizeof name);
        x = say(u, r, y, x, i ? ", " : "", QS_ROLE_DIM);
        x += qs_cells_name(&u->g, y, x, room, name, QS_ROLE_TEXT, 0);
        snprintf(t, sizeof t, " %s dB", qs_fmt_db(b, l->row[w[i]].sqnr));
        x = say_number(u, r, y, x, t, QS_N_SQNR, w[i], l->row[w[i]].sqnr);
    }
    if (w[0] == SIZE_MAX) x = say(u, r, y, x, "…", QS_ROLE_DIM);
    y++;
    x = say_number(u, r, y, r.x, qs_fmt_bytes(b, l->bits_total / 8), QS_N_SIZE, SIZE_MAX, l->bits_total);
    snprintf(t, sizeof t, _(" in %s"), qs_cur_format(u));
    x = say(u, r, y, x, t, QS_ROLE_DIM);
    snprintf(t, sizeof t, _(" · %s dB"), qs_fmt_db(b, l->sqnr_total));
    x = say_number(u, r, y, x, t, QS_N_GAIN, SIZE_MAX, l->sqnr_total);
    if (strstr(qs_cur_format(u), "@channel") == NULL && !isnan(l->sqnr_total_channel)) {
        snprintf(t, sizeof t, _(", @channel would give %s dB"), qs_fmt_db(b, l->sqnr_total_channel));
        if (x + qs_text_width(t) > r.x + r.w) {                   /* a line of its own, without the comma */
            memmove(t, t + 2, strlen(t + 2) + 1);
            x = r.x;
            y++;
        }
        x = say_number(u, r, y, x, t, QS_N_GAIN, SIZE_MAX - 1, l->sqnr_total_channel);
    }
    if (l->known < l->weights) {
        snprintf(t, sizeof t, _(" · %zu of %zu known"), l->known, l->weights);
        say(u, r, y, x, t, QS_ROLE_DIM);
    }
    return y + 1 - r.y;
}

/* ---- drawing -------------------------------------------------------------------------------------------- */

static void draw_cell(qs_ui *u, int y, int x, size_t i, bool on, int cell)
{
    const qs_snap_row *r = &u->s->list->row[i];
    double v = value(r, u->map.metric);
    char b[QS_FMT], t[QS_FMT + 8];
    cell_text(b, v, u->map.metric);
    int role = heat(v, u->map.metric), n = qs_text_width(b);
    snprintf(t, sizeof t, "%*s%s%s", n < 4 ? 4 - n : 0, "", b, r->sampled ? "~" : on ? "◂" : " ");
    qs_ui_number(u, QS_V_MAP, y, x, 5, t, metrics[u->map.metric].kind, i, v, role, on ? QS_BOLD | QS_UNDER : 0);
    if (on && cell > 5) qs_cells_put(&u->g, y, x - 1, L'▸', QS_ROLE_CURSOR, QS_BOLD);
}

static void follow(qs_ui *u, const table *t)
{
    const char *cur = qs_cur_tensor(u);
    const qs_snap_list *l = u->s->list;
    for (size_t r = 0; r < t->rows; r++)
        for (size_t c = 0; c < t->cols; c++) {
            size_t i = t->at[r * t->cols + c];
            if (i && !strcmp(l->row[i - 1].name, cur)) { u->map.row = r; u->map.col = c; }
        }
}

static void scroll(size_t cur, size_t *top, size_t room, size_t n)
{
    if (cur < *top) *top = cur;
    if (room && cur >= *top + room) *top = cur - room + 1;
    if (*top + room > n) *top = n > room ? n - room : 0;
}

static void draw_legend(qs_ui *u, qs_rect r, int y)
{
    char a[QS_FMT], b[QS_FMT], t[120];
    snprintf(t, sizeof t, "%s %s", qs_fmt_sig(a, metrics[u->map.metric].worst, 3), "");
    int x = say(u, r, y, r.x, t, QS_ROLE_DIM);
    for (int i = 0; i < 10; i++) qs_cells_put(&u->g, y, x++, L' ', QS_ROLE_HEAT0 + i, 0);
    snprintf(t, sizeof t, " %s  %s", qs_fmt_sig(b, metrics[u->map.metric].best, 3), _(metrics[u->map.metric].name));
    say(u, r, y, x, t, QS_ROLE_DIM);
}

static void draw_table(qs_ui *u, qs_rect r, const table *t)
{
    int name = 3;
    for (size_t i = 0; i < t->rows; i++) {
        int n = qs_text_width(t->layer[i]);
        name = n > name ? n : name;
    }
    name = name > r.w / 3 ? r.w / 3 : name;
    int cell = name + 2 + (int)t->cols * CELL <= r.w ? CELL : CELL - 1;         /* closer, where room is short */
    size_t cols = r.w - name - 2 > cell ? (size_t)((r.w - name - 2) / cell) : 1, rows = r.h > 1 ? (size_t)r.h - 1 : 1;
    follow(u, t);
    scroll(u->map.row, &u->map.top, rows, t->rows);
    scroll(u->map.col, &u->map.left, cols, t->cols);
    for (size_t c = 0; c < cols && u->map.left + c < t->cols; c++)
        qs_cells_right(&u->g, r.y, r.x + name + 2 + (int)c * cell, 4, t->role[u->map.left + c], QS_ROLE_DIM, 0);
    for (size_t k = 0; k < rows && u->map.top + k < t->rows; k++) {
        size_t row = u->map.top + k;
        int y = r.y + 1 + (int)k;
        qs_cells_right(&u->g, y, r.x, name, *t->layer[row] ? t->layer[row] : "–", row == u->map.row ? QS_ROLE_TITLE : QS_ROLE_DIM, 0);
        for (size_t c = 0; c < cols && u->map.left + c < t->cols; c++) {
            size_t col = u->map.left + c, i = t->at[row * t->cols + col];
            int x = r.x + name + 2 + (int)c * cell;
            if (i) draw_cell(u, y, x, i - 1, row == u->map.row && col == u->map.col, cell);
            else qs_cells_text(&u->g, y, x + 3, 1, "·", QS_ROLE_FRAME, 0);
        }
    }
    if (u->map.left + cols < t->cols) qs_cells_put(&u->g, r.y, r.x + r.w - 1, L'→', QS_ROLE_DIM, 0);
    if (u->map.left > 0) qs_cells_put(&u->g, r.y, r.x + name, L'←', QS_ROLE_DIM, 0);
    if (u->map.top + rows < t->rows) qs_cells_put(&u->g, r.y + (int)rows, r.x + r.w - 1, L'↓', QS_ROLE_DIM, 0);
}

static size_t plain_cols(qs_rect r) { return r.w > 34 ? (size_t)(r.w * 2 / 3 - 2) / CELL : 3; }

static void draw(qs_ui *u, qs_rect r)
{
    const qs_snap_list *l = u->s ? u->s->list : NULL;
    qs_rect in = qs_ui_frame(u, QS_V_MAP, r, _("Map"), _(metrics[u->map.metric].name), NULL);
    in.x++;
    in.w -= 2;
    if (!l || !l->weights) {
        qs_cells_text(&u->g, in.y, in.x, in.w, l ? _("no tensor here is quantized") : "…", QS_ROLE_DIM, 0);
        return;
    }
    const table *t = the_table(u, plain_cols(in));
    int head = in.h >= 5 ? sentence(u, in) : 0, legend = in.h >= 9 ? 1 : 0;
    head += in.h >= 9;                                            /* air */
    draw_table(u, (qs_rect){in.y + head, in.x, in.h - head - legend, in.w}, t);
    if (legend) draw_legend(u, in, in.y + in.h - 1);
}

/* ---- keys ---------------------------------------------------------------------------------------------------- */

static void move(qs_ui *u, int key)
{
    static const struct { int key, dy, dx; } moves[] = {
        {QS_K_UP, -1, 0}, {QS_K_DOWN, 1, 0}, {QS_K_LEFT, 0, -1}, {QS_K_RIGHT, 0, 1}, {'k', -1, 0}, {'j', 1, 0}, {'h', 0, -1}, {QS_K_PGUP, -8, 0}, {QS_K_PGDN, 8, 0},
    };
    const qs_snap_list *l = u->s ? u->s->list : NULL;
    if (!l || !l->weights) return;
    qs_rect in = u->place[QS_V_MAP];
    const table *t = the_table(u, plain_cols((qs_rect){in.y + 1, in.x + 2, in.h - 2, in.w - 4}));
    for (size_t i = 0; i < sizeof moves / sizeof *moves; i++) {
        if (moves[i].key != key) continue;
        long r = (long)u->map.row, c = (long)u->map.col;
        for (;;) {                                                /* on over empty cells, to the edge */
            r += moves[i].dy;
            c += moves[i].dx;
            if (abs(moves[i].dy) > 1) { r = r < 0 ? 0 : r >= (long)t->rows ? (long)t->rows - 1 : r; }
            if (r < 0 || c < 0 || r >= (long)t->rows || c >= (long)t->cols) break;
            size_t at = t->at[(size_t)r * t->cols + (size_t)c];
            if (at) { qs_act_tensor(u, l->row[at - 1].name); break; }
            if (abs(moves[i].dy) > 1) break;
        }
    }
    qs_ui_touch(u);
}

static void metric(qs_ui *u, int key) { (void)key; u->map.metric = (u->map.metric + 1) % METRICS; qs_ui_touch(u); }

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
    for (size_t i = 0; i < u->nspot; i++) {
        const qs_spot *p = &u->spot[i];
        if (p->view == QS_V_MAP && p->y == y && x >= p->x - 2 && x < p->x + p->w && u->s->list && p->row < u->s->list->n)
            qs_act_tensor(u, u->s->list->row[p->row].name);
    }
}

static const qs_key keys[] = {
    {{QS_K_UP, QS_K_DOWN, QS_K_LEFT, QS_K_RIGHT, 'k', 'j', 'h'}, "↑ ↓ ← →", N_("tensor"), N_("the tensor beside"), move, QS_KEY_FITS},
    {{QS_K_PGUP, QS_K_PGDN}, "PgUp PgDn", NULL, N_("eight layers up or down"), move, QS_KEY_FITS},
    {{'s'}, "s", N_("colour"), N_("colour by SQNR, kurtosis, error against the least"), metric, QS_KEY_FITS},
    {{QS_K_ENTER}, N_("Enter"), N_("open"), N_("looks at its weights"), enter, QS_KEY_FITS},
};
const qs_view qs_view_map = {"map", N_("Map"), {N_("Map"), keys, sizeof keys / sizeof *keys}, draw, click, NULL};
