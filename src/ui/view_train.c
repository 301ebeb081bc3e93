/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Training, over time: loss, accuracy with that of the float net, the steps of
 * all quantizers, one under the other on the same axis of steps made; beside
 * them the quantizer looked at (view_site.c). Several runs lie over each other.
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "ui/names.h"
#include "ui/screen.h"

#define Y_WIDTH 7

static const qs_snap_train *runs(const qs_ui *u) { return u->s ? u->s->train : NULL; }
static const qs_snap_run *current(const qs_ui *u) { return &u->s->train->run[u->s->train->cur]; }

int qs_run_role(const qs_snap_run *r) { return QS_ROLE_RUN0 + r->color; }

const char *qs_fmt_time(char out[QS_FMT], double s)
{
    if (!isfinite(s)) snprintf(out, QS_FMT, "…");
    else if (s < 90) snprintf(out, QS_FMT, "%.0f s", ceil(s));
    else if (s < 5400) snprintf(out, QS_FMT, "%.0f min", ceil(s / 60));
    else snprintf(out, QS_FMT, "%.1f h", s / 3600);
    return out;
}

/* ---- what is said around it --------------------------------------------------------------- */
static const char *state_text(qs_snap_state s)
{
    static const char *const names[] = {
        [QS_SNAP_READY] = N_("ready"), [QS_SNAP_RUNNING] = N_("running"), [QS_SNAP_PAUSED] = N_("paused"),
        [QS_SNAP_DONE] = N_("done"), [QS_SNAP_STOPPED] = N_("stopped"), [QS_SNAP_DIVERGED] = N_("diverged"),
    };
    return _(names[s]);
}

static void right_text(const qs_snap_run *r, char *t, size_t size)
{
    char a[QS_FMT], b[QS_FMT];
    snprintf(t, size, "%s", state_text(r->state));
    if (r->state == QS_SNAP_RUNNING && !isnan(r->images_s))
        snprintf(t, size, _("%s img/s · %s left"), qs_fmt_count(a, r->images_s, 6), qs_fmt_time(b, r->left_s));
}

static void draw_percent(qs_ui *u, int y, int *x, int end, size_t which, const char *what, double v, int role, int attr)
{
    char b[QS_FMT], t[80];
    if (isnan(v)) return;
    snprintf(t, sizeof t, "%s %s", what, qs_fmt_percent(b, v));
    if (*x + qs_text_width(t) > end) return;
    qs_ui_spot(u, QS_V_TRAIN, y, *x, qs_text_width(t), QS_N_ACCURACY, which, v);
    *x += qs_cells_text(&u->g, y, *x, end - *x, t, role, attr) + 2;
}

/* One run: what it is and its accuracies. */
static void draw_one_legend(qs_ui *u, qs_rect r)
{
    const qs_snap_run *n = current(u);
    int x = r.x, end = r.x + r.w;
    x += qs_cells_text(&u->g, r.y, x, end - x, "● ", qs_run_role(n), 0);
    x += qs_cells_text(&u->g, r.y, x, end - x, n->name, qs_run_role(n), QS_BOLD) + 3;
    draw_percent(u, r.y, &x, end, 0, _("before"), n->before, QS_ROLE_DIM, 0);
    draw_percent(u, r.y, &x, end, 1, _("now"), n->last, QS_ROLE_TITLE, QS_BOLD);
    draw_percent(u, r.y, &x, end, 2, _("float"), n->floating, QS_ROLE_DIM, 0);
}

/* Several: each with its number and accuracy; the one looked at is marked. Begins late enough that it is in sight. */
static void draw_legend(qs_ui *u, qs_rect r)
{
    const qs_snap_train *t = runs(u);
    char b[QS_FMT], text[120];
    if (t->nrun == 1) {
        draw_one_legend(u, r);
        return;
    }
    int end = r.x + r.w, each = r.w / (int)t->nrun, least = 18, w = each < least ? least : each;
    size_t fit = (size_t)(r.w / w < 1 ? 1 : r.w / w), first = t->cur >= fit ? t->cur - fit + 1 : 0;
    for (size_t i = first, x = (size_t)r.x; i < t->nrun && (int)x + 8 < end; i++, x += (size_t)w) {
        const qs_snap_run *n = &t->run[i];
        int room = (int)x + w > end ? end - (int)x : w - 1, at = (int)x, role = qs_run_role(n);
        snprintf(text, sizeof text, "%s%zu ", i == t->cur ? "▸" : " ", i + 1);
        at += qs_cells_text(&u->g, r.y, at, room, text, role, QS_BOLD);
        int tail = isnan(n->last) ? 0 : 7, name = room - (at - (int)x) - tail;
        if (name > 3) at += qs_cells_text(&u->g, r.y, at, name, n->name, role, i == t->cur ? QS_BOLD : 0) + 1;
        if (tail) qs_cells_text(&u->g, r.y, at, tail, qs_fmt_percent(b, n->last), QS_ROLE_TEXT, 0);
    }
}

/* ---- one panel over time ------------------------------------------------------------------------ */
static double last_step(const qs_snap_train *t)
{
    double m = 1;
    for (size_t i = 0; i < t->nrun; i++) m = fmax(m, t->run[i].total);
    return m;
}

/* Lines of one panel, with the memory they need. */
typedef struct lines {
    qs_series *s;
    size_t n;
    void *own[384];            /* a line has three at most; what is more is not drawn */
    size_t nown;
} lines;

enum { LINES = 120 };

static double *room_for(lines *l, size_t n)
{
    return l->own[l->nown++] = qs_xmalloc((n + 1) * sizeof(double));
}

static void add(lines *l, const double *x, const double *y, size_t n, int role, int attr)
{
    l->s = qs_xrealloc(l->s, (l->n + 1) * sizeof *l->s);
    l->s[l->n++] = (qs_series){.kind = QS_PLOT_LINE, .x = x, .y = y, .n = n, .role = (unsigned char)role, .attr = (unsigned char)attr};
}

/* The name of the last line, for paper. */
static void name_line(lines *l, const char *name)
{
    enum { MOST = 24 };
    size_t size = strlen(name) + 5;
    char *end = l->own[l->nown++] = qs_xmalloc(size);
    qs_name_short(name, MOST, end, size);
    l->s[l->n - 1].end = end;
}

static void free_lines(lines *l)
{
    for (size_t i = 0; i < l->nown; i++) free(l->own[i]);
    free(l->s);
}

static void add_dashed(lines *l, double from, double to, double y, int role)
{
    enum { DASHES = 36 };
    double *x = room_for(l, DASHES * 3), *v = room_for(l, DASHES * 3), each = (to - from) / DASHES;
    if (isnan(y)) return;
    for (size_t i = 0; i < DASHES; i++) {
        double a = from + each * (double)i;
        x[3 * i] = a;
        x[3 * i + 1] = x[3 * i + 2] = a + each * 0.45;
        v[3 * i] = v[3 * i + 1] = y;
        v[3 * i + 2] = NAN;
    }
    add(l, x, v, DASHES * 3, role, 0);
}

/* names: columns right of r that have those of the lines. */
static qs_rect panel(qs_ui *u, qs_rect r, qs_axis y, const lines *l, bool labels, int names, const char *what)
{
    const qs_snap_train *t = runs(u);
    double at = qs_cur_seek(u);
    qs_limit limit = {.x = at, .ch = L'┊', .role = QS_ROLE_CURSOR, .over = true};
    qs_rect area = {0};
    u->train.x = (qs_axis){0, last_step(t), false};
    qs_plot p = {.x_name = labels ? _("step") : NULL, .y_name = what, .x = u->train.x, .y = y,
                 .series = l->s, .nseries = l->n, .limit = &limit, .nlimit = at >= 0, .y_width = Y_WIDTH, .y_ticks = r.h > 3 ? 3 : 2, .x_labels = labels, .end_part = names / (double)(r.w + names)};
    qs_ui_plot(u, &p, r, &area);
    u->train.area.x = area.x;
    u->train.area.w = area.w;
    return area;
}

static bool blank(const qs_ui *u, int y, int x, int w)
{
    for (int i = x; i < x + w; i++)
        if (y < 0 || y >= u->g.h || i < 0 || i >= u->g.w || u->g.c[(size_t)y * (size_t)u->g.w + (size_t)i].ch != L' ') return false;
    return true;
}

/* A word inside a panel, at the right, in the first of its rows (from above or below) where nothing is drawn. */
static void word(qs_ui *u, qs_rect a, bool above, const char *text, int role)
{
    int n = qs_text_width(text), x = a.x + a.w - n;
    if (n + 4 > a.w) return;
    for (int k = 0; k < a.h; k++) {
        int y = above ? a.y + k : a.y + a.h - 1 - k;
        if (!blank(u, y, x - 1, n + 1)) continue;
        qs_cells_text(&u->g, y, x, n, text, role, 0);
        return;
    }
}

static int row_of(const qs_axis *y, qs_rect a, double v)
{
    double t = qs_axis_at(y, v);
    return a.y + a.h - 1 - (int)floor(fmin(fmax(t, 0), 0.999) * a.h);
}

/* The end of a line: which run it is, where there are several; else a point. */
static void mark_end(qs_ui *u, qs_rect a, const qs_axis *y, size_t run, double x, double v)
{
    const qs_snap_train *t = runs(u);
    if (isnan(v) || a.h < 1 || a.w < 2) return;
    wchar_t sign = t->nrun > 1 ? (wchar_t)(L'0' + (wchar_t)((run + 1) % 10)) : L'●';
    qs_cells_put(&u->g, row_of(y, a, v), qs_plot_column(&u->train.x, a, x), sign, qs_run_role(&t->run[run]), QS_BOLD);
}

/* ---- loss ------------------------------------------------------------------------------------------- */
/* The loss as it was, between its least and greatest: a zigzag. */
static void add_raw(lines *l, const qs_snap_run *r)
{
    double *x = room_for(l, 2 * r->nloss), *y = room_for(l, 2 * r->nloss);
    for (size_t i = 0; i < r->nloss; i++) {
        x[2 * i] = x[2 * i + 1] = r->loss_t[i];
        y[2 * i] = i % 2 ? r->high[i] : r->low[i];
        y[2 * i + 1] = i % 2 ? r->low[i] : r->high[i];
    }
    add(l, x, y, 2 * r->nloss, QS_ROLE_CUT, 0);
}

static qs_axis loss_axis(const qs_snap_train *t)
{
    double lo = INFINITY, hi = 0;
    for (size_t i = 0; i < t->nrun; i++)
        for (size_t k = 0; k < t->run[i].nloss; k++) {
            double v = t->run[i].mean[k];
            if (!isfinite(v) || v <= 0) continue;
            lo = fmin(lo, v);
            hi = fmax(hi, v);
        }
    if (!(lo <= hi)) return (qs_axis){0, 1, false};
    if (hi / lo > 3) return (qs_axis){lo / 1.4, hi * 1.2, true};
    return (qs_axis){fmax(0, lo - 0.5 * (hi - lo + 0.05 * hi)), hi + 0.3 * (hi - lo + 0.05 * hi), false};
}

static void draw_loss(qs_ui *u, qs_rect r, int names)
{
    const qs_snap_train *t = runs(u);
    const qs_snap_run *now = current(u);
    qs_axis y = loss_axis(t);
    char b[QS_FMT], c[QS_FMT], text[120];
    lines l = {0};
    add_raw(&l, now);
    for (size_t k = 1; k <= t->nrun; k++) {                 /* the one looked at last, over the others */
        const qs_snap_run *n = &t->run[(t->cur + k) % t->nrun];
        add(&l, n->loss_t, n->mean, n->nloss, qs_run_role(n), n == now ? QS_BOLD : 0);
        l.s[l.n - 1].label = n->name;
    }
    qs_rect a = panel(u, r, y, &l, false, names, _("loss"));
    for (size_t i = 0; i < t->nrun; i++)
        if (t->run[i].nloss) mark_end(u, a, &y, i, t->run[i].t, t->run[i].loss);
    snprintf(text, sizeof text, isnan(now->loss) ? _("loss") : _("loss %s  rate %s"), qs_fmt_sig(b, now->loss, 3), qs_fmt_sig(c, now->lr, 2));
    word(u, a, true, text, QS_ROLE_DIM);
    free_lines(&l);
}

/* ---- accuracy ----------------------------------------------------------------------------------------- */
static qs_axis accuracy_axis(const qs_snap_train *t)
{
    double lo = 100, hi = 0;
    for (size_t i = 0; i < t->nrun; i++) {
        const qs_snap_run *r = &t->run[i];
        const double known[] = {100 * r->before, 100 * r->floating, 100 * r->last};
        for (size_t k = 0; k < 3; k++) {
            if (isnan(known[k])) continue;
            lo = fmin(lo, known[k]);
            hi = fmax(hi, known[k]);
        }
        for (size_t k = 0; k < r->neval; k++) lo = fmin(lo, 100 * r->eval[k]);
    }
    if (lo > hi) return (qs_axis){0, 100, false};
    double by = hi - lo > 40 ? 20 : hi - lo > 12 ? 10 : hi - lo > 5 ? 5 : 2;    /* ends where the labels are */
    return (qs_axis){fmax(0, floor((lo - 0.2) / by) * by), fmin(100.5, ceil((hi + 0.2) / by) * by), false};
}

static void add_accuracy(lines *l, const qs_snap_run *r, int attr)
{
    double *y = room_for(l, r->neval);
    for (size_t i = 0; i < r->neval; i++) y[i] = 100 * r->eval[i];
    add(l, r->eval_t, y, r->neval, qs_run_role(r), attr);
}

static void draw_accuracy(qs_ui *u, qs_rect r, int names)
{
    const qs_snap_train *t = runs(u);
    const qs_snap_run *now = current(u);
    qs_axis y = accuracy_axis(t);
    char b[QS_FMT], text[120];
    lines l = {0};
    add_dashed(&l, 0, last_step(t), 100 * now->floating, QS_ROLE_DENSITY);
    for (size_t k = 1; k <= t->nrun; k++) {
        const qs_snap_run *n = &t->run[(t->cur + k) % t->nrun];
        add_accuracy(&l, n, n == now ? QS_BOLD : 0);
    }
    qs_rect a = panel(u, r, y, &l, false, names, _("accuracy, %"));
    for (size_t i = 0; i < t->nrun; i++) {
        const qs_snap_run *n = &t->run[i];
        if (n->neval) mark_end(u, a, &y, i, n->eval_t[n->neval - 1], 100 * n->eval[n->neval - 1]);
    }
    if (!isnan(now->floating)) {
        snprintf(text, sizeof text, _("float %s"), qs_fmt_percent(b, now->floating));
        int at = row_of(&y, a, 100 * now->floating) + 1, n = qs_text_width(text);
        if (a.h > 2 && at < a.y + a.h && blank(u, at, a.x + a.w - n - 1, n + 1)) qs_cells_text(&u->g, at, a.x + a.w - n, n, text, QS_ROLE_DENSITY, 0);
    }
    snprintf(text, sizeof text, isnan(now->last) ? _("accuracy") : _("accuracy %s"), qs_fmt_percent(b, now->last));
    word(u, a, false, text, QS_ROLE_DIM);
    free_lines(&l);
}

/* ---- steps ------------------------------------------------------------------------------------------------ */
/* Steps move by tens of percent and lie decades apart: each is drawn against where it began, unless sizes are asked for.
 * Other runs' against where the one looked at began. */
static double unit(const qs_ui *u, size_t site) { return u->train.sizes ? 1 : runs(u)->site[site].step[0]; }

static void add_scaled(lines *l, const double *x, const double *y, size_t n, double by, int role, int attr)
{
    double *v = room_for(l, n);
    for (size_t i = 0; i < n; i++) v[i] = y[i] / by;
    add(l, x, v, n, role, attr);
}

static qs_axis steps_axis(const lines *l, bool sizes)
{
    double lo = sizes ? INFINITY : 1 / 1.1, hi = sizes ? 0 : 1.1;
    for (size_t i = 0; i < l->n; i++)
        for (size_t k = 0; k < l->s[i].n; k++) {
            double v = l->s[i].y[k];
            if (!(v > 0) || !isfinite(v)) continue;
            lo = fmin(lo, v);
            hi = fmax(hi, v);
        }
    if (!(lo <= hi)) return (qs_axis){0.01, 1, true};
    double air = sizes ? 1.25 : pow(hi / lo, 0.06);
    return (qs_axis){lo / air, hi * air, true};
}

static size_t site_cur(const qs_ui *u)
{
    const qs_snap_train *t = runs(u);
    const char *name = qs_cur_site(u);
    for (size_t i = 0; i < t->nsite; i++)
        if (!strcmp(t->site[i].name, name)) return i;
    return t->site_cur;
}

/* Names at the ends of the lines, each in the free row nearest to its end; the one looked at first. */
static void draw_names(qs_ui *u, qs_rect r, qs_rect a, const qs_axis *y)
{
    const qs_snap_train *t = runs(u);
    bool *used = qs_xcalloc((size_t)a.h + 1, sizeof *used);
    size_t cur = site_cur(u);
    for (size_t k = 0; k < t->nsite; k++) {
        size_t i = k == 0 ? cur : k <= cur ? k - 1 : k;
        char name[120];
        int want = row_of(y, a, t->site[i].now / unit(u, i)) - a.y, row = -1;
        for (int d = 0; d < (k ? 3 : a.h) && row < 0; d++) {
            if (want - d >= 0 && !used[want - d]) row = want - d;
            else if (want + d < a.h && !used[want + d]) row = want + d;
        }
        if (row < 0) continue;
        used[row] = true;
        int w = r.x + r.w - a.x - a.w - 1;
        qs_name_short(t->site[i].name, w, name, sizeof name);
        int role = k == 0 ? qs_run_role(current(u)) : t->site[i].act ? QS_ROLE_ROUND : QS_ROLE_BARS;
        qs_cells_name(&u->g, a.y + row, a.x + a.w + 1, w, name, role, k == 0 ? QS_BOLD : 0);
    }
    free(used);
}

static void draw_steps_head(qs_ui *u, qs_rect r)
{
    const qs_snap_train *t = runs(u);
    char text[200], b[QS_FMT];
    size_t i = site_cur(u);
    if (!t->nsite) return;
    int x = r.x + Y_WIDTH, end = r.x + r.w;
    snprintf(text, sizeof text, "%s %s", t->site[i].name, qs_fmt_sig(b, t->site[i].now, 4));
    x += qs_cells_text(&u->g, r.y, x, end - x, text, qs_run_role(current(u)), QS_BOLD) + 2;
    snprintf(text, sizeof text, _("×%s since the start"), qs_fmt_fixed(b, t->site[i].now / t->site[i].step[0], 2));
    if (x + qs_text_width(text) <= end) x += qs_cells_text(&u->g, r.y, x, end - x, text, QS_ROLE_TEXT, 0) + 2;
    if (x + 15 > end) return;
    x += qs_cells_text(&u->g, r.y, x, end - x, _("weights"), QS_ROLE_BARS, 0) + 1;
    qs_cells_text(&u->g, r.y, x, end - x, _("inputs"), QS_ROLE_ROUND, 0);
}

static void draw_steps(qs_ui *u, qs_rect r)
{
    const qs_snap_train *t = runs(u);
    size_t cur = site_cur(u);
    int names = r.w >= 56 ? 15 : 0;
    lines l = {0};
    if (r.h < 4) return;
    draw_steps_head(u, r);
    for (size_t i = 0; i < t->nsite && l.n < LINES - 20; i++)
        if (i != cur) {
            add_scaled(&l, t->rec_t, t->site[i].step, t->nrec, unit(u, i), t->site[i].act ? QS_ROLE_ROUND : QS_ROLE_BARS, 0);
            name_line(&l, t->site[i].name);
            l.s[l.n - 1].label = t->site[i].act ? _("inputs") : _("weights");
        }
    for (size_t i = 0; i < t->nrun; i++)
        if (i != t->cur && cur == t->site_cur && cur < t->nsite)
            add_scaled(&l, t->run[i].step_t, t->run[i].step, t->run[i].nstep, unit(u, cur), qs_run_role(&t->run[i]), 0);
    if (cur < t->nsite) {
        add_scaled(&l, t->rec_t, t->site[cur].step, t->nrec, unit(u, cur), qs_run_role(current(u)), QS_BOLD);
        name_line(&l, t->site[cur].name);
    }
    qs_axis y = steps_axis(&l, u->train.sizes);
    qs_rect a = panel(u, (qs_rect){r.y + 1, r.x, r.h - 1, r.w - names}, y, &l, true, names, u->train.sizes ? _("step size") : _("steps against the first"));
    for (size_t i = 0; i < t->nrun && cur == t->site_cur && cur < t->nsite; i++)
        if (t->run[i].nstep && t->nrun > 1) mark_end(u, a, &y, i, t->run[i].t, t->run[i].step[t->run[i].nstep - 1] / unit(u, cur));
    if (names && a.h > 0) draw_names(u, r, a, &y);
    free_lines(&l);
}

/* ---- where everything stands ---------------------------------------------------------------------------------- */
static void draw_over_time(qs_ui *u, qs_rect r)
{
    int each = r.h >= 9 ? (r.h - 2) * 3 / 10 : r.h / 2;
    u->train.area = r;
    int tail = r.w >= 56 ? 15 : 0;                           /* all panels end where that of the steps does */
    draw_loss(u, (qs_rect){r.y, r.x, each, r.w - tail}, tail);
    draw_accuracy(u, (qs_rect){r.y + each, r.x, each, r.w - tail}, tail);
    draw_steps(u, (qs_rect){r.y + 2 * each, r.x, r.h - 2 * each, r.w});
}

static void draw_nothing(qs_ui *u, qs_rect in)
{
    static const struct { const char *key, *text; } rows[] = {
        {"T", N_("trains the network that comes with the program at 2 bits, here")},
        {":", N_("or type it, for a net and data of yours:")},
        {"", "run = qs.train(net, data, {quant={weights=\"int2\", acts=\"uint2\"}})"},
        {"", "run:start()"},
    };
    int y = in.y + in.h / 2 - 3, w = 68 < in.w - 2 ? 68 : in.w - 2, x = in.x + (in.w - w) / 2;
    bool waits = qs_jobs_running(u->o->jobs) || qs_jobs_queued(u->o->jobs);
    qs_cells_text(&u->g, y, x, w, waits ? _("A run is being prepared ...") : _("No run yet."), QS_ROLE_TITLE, QS_BOLD);
    for (int i = 0; i < 4 && !waits; i++) {
        qs_cells_text(&u->g, y + 2 + i, x, 2, rows[i].key, QS_ROLE_KEY, QS_BOLD);
        qs_cells_text(&u->g, y + 2 + i, x + 3, w - 3, i < 2 ? _(rows[i].text) : rows[i].text, i < 2 ? QS_ROLE_TEXT : QS_ROLE_ECHO, 0);
    }
}

static void title(const qs_ui *u, char *t, size_t size)
{
    const qs_snap_run *r = current(u);
    double at = qs_cur_seek(u);
    snprintf(t, size, "%s", _("Training"));
    if (runs(u)->nrun > 1) snprintf(t + strlen(t), size - strlen(t), _("  run %zu of %zu"), runs(u)->cur + 1, runs(u)->nrun);
    snprintf(t + strlen(t), size - strlen(t), _("  step %.0f/%.0f"), r->t, r->total);
    if (at >= 0) snprintf(t + strlen(t), size - strlen(t), _("  seen at step %.0f"), at);
}

static void draw(qs_ui *u, qs_rect r)
{
    char t[200], right[100], foot[300] = "";
    bool some = runs(u) != NULL;
    if (!some) {
        draw_nothing(u, qs_ui_frame(u, QS_V_TRAIN, r, _("Training"), NULL, NULL));
        return;
    }
    const qs_snap_run *now = current(u);
    title(u, t, sizeof t);
    right_text(now, right, sizeof right);
    bool bad = now->state == QS_SNAP_DIVERGED || now->state == QS_SNAP_STOPPED;
    if (bad && now->reason) snprintf(foot, sizeof foot, "%s", now->reason);
    else if (now->data) snprintf(foot, sizeof foot, "%s", now->data);
    qs_rect in = qs_ui_frame(u, QS_V_TRAIN, r, t, right, foot);
    in.x++;
    in.w -= 2;
    draw_legend(u, (qs_rect){in.y, in.x, 1, in.w});
    in.y++;
    in.h--;
    if (in.w < 60) {
        draw_over_time(u, in);
        return;
    }
    int site = in.w * 42 / 100 < 64 ? in.w * 42 / 100 : 64, left = in.w - site - 2;
    draw_over_time(u, (qs_rect){in.y, in.x, in.h, left});
    for (int y = in.y; y < in.y + in.h; y++) qs_cells_put(&u->g, y, in.x + left, L'│', QS_ROLE_FRAME, 0);
    qs_site_draw(u, (qs_rect){in.y, in.x + left + 2, in.h, site});
}

/* ---- what is wanted of runs --------------------------------------------------------------------------------------- */
void qs_train_demo(qs_ui *u, const char *init)
{
    char *line = qs_xasprintf("run = qs.train(qs.bundled \"smallcnn\", qs.dataset(\"fashion-mnist\", {slice=true, val=500}), {steps=300, "
                              "evaluate=20, record=4, quant={weights=\"int2\", acts=\"uint2\", init=\"%s\", learn=\"lsq\"}}); run:start()", init);
    qs_act_line(u, line);
    free(line);
}

static void start_demo(qs_ui *u)
{
    if (qs_jobs_running(u->o->jobs) || qs_jobs_queued(u->o->jobs)) qs_ui_say(u, false, "%s", _("a line runs already"));
    else if (runs(u)) qs_menu_again(u);
    else qs_train_demo(u, "mse");
}

void qs_train_open(qs_ui *u, bool start)
{
    bool here = u->focus == QS_V_TRAIN;
    if (here && start) { start_demo(u); return; }
    if (!here) u->train.back = u->pane == QS_V_TRAIN ? u->train.back : u->pane;
    int to = here ? u->train.back : QS_V_TRAIN;
    qs_ui_focus(u, to);
    qs_act_view(u, to);
    if (start && !runs(u)) start_demo(u);
}

/* ---- keys ------------------------------------------------------------------------------------------------------------ */
static bool there(qs_ui *u)
{
    if (!runs(u)) qs_ui_say(u, false, "%s", _("there is no run yet; T trains the bundled network"));
    return runs(u) != NULL;
}

static void enter(qs_ui *u, int key)
{
    (void)key;
    if (!runs(u)) start_demo(u);
}

static void method(qs_ui *u, const char *call)
{
    char line[80];
    snprintf(line, sizeof line, "run = qs.runs()[%zu]; run:%s()", runs(u)->cur + 1, call);
    qs_act_line(u, line);
}

static void pause_key(qs_ui *u, int key)
{
    (void)key;
    if (!there(u)) return;
    qs_snap_state s = current(u)->state;
    if (s >= QS_SNAP_DONE) qs_ui_say(u, false, _("this run is %s; b branches off a new one"), state_text(s));
    else method(u, s == QS_SNAP_RUNNING ? "pause" : "start");
}

static void stop_key(qs_ui *u, int key)
{
    (void)key;
    if (there(u)) method(u, "stop");
}

static void branch_key(qs_ui *u, int key)
{
    (void)key;
    if (there(u)) qs_menu_branch(u);
}

static void site_key(qs_ui *u, int key)
{
    if (!there(u) || !runs(u)->nsite) return;
    const qs_snap_train *t = runs(u);
    size_t i = site_cur(u), n = t->nsite;
    i = key == QS_K_UP || key == 'k' ? (i + n - 1) % n : (i + 1) % n;
    qs_act_site(u, t->site[i].name);
}

static void run_key(qs_ui *u, int key)
{
    if (!there(u)) return;
    size_t n = runs(u)->nrun, i = runs(u)->cur;
    if (n < 2) { qs_ui_say(u, false, "%s", _("only one run; b branches off another")); return; }
    qs_act_run(u, (long)(key == QS_K_LEFT ? (i + n - 1) % n : (i + 1) % n) + 1);
}

/* The record beside the one looked at, also when that is still being asked for. */
static double beside(const qs_ui *u, bool later)
{
    const qs_snap_train *t = runs(u);
    double at = qs_cur_seek(u), best = NAN;
    bool asked = u->want.set & QS_PICK_SEEK;
    if (!asked) return later ? t->after_t : t->before_t;
    for (size_t i = 0; i + 1 < t->nrec; i++) {
        double v = t->rec_t[i];
        if (later ? at >= 0 && v > at && isnan(best) : at < 0 || v < at) best = v;
    }
    return best;
}

static void seek_key(qs_ui *u, int key)
{
    if (!there(u) || !runs(u)->records) return;
    double at = qs_cur_seek(u), to = -1;
    if (key == QS_K_HOME) to = runs(u)->rec_t[0];
    if (key == ',') to = beside(u, false);
    if (key == '.') to = at < 0 ? NAN : beside(u, true);
    if (isnan(to) && key == '.' && at >= 0) to = -1;               /* after the last record: live */
    if (!isnan(to)) qs_act_seek(u, to);
}

static void log_key(qs_ui *u, int key)
{
    (void)key;
    u->train.flip_log = !u->train.flip_log;
    qs_ui_touch(u);
}

static void sizes_key(qs_ui *u, int key)
{
    (void)key;
    u->train.sizes = !u->train.sizes;
    qs_ui_touch(u);
}

static void again_key(qs_ui *u, int key)
{
    (void)key;
    start_demo(u);
}

static void click(qs_ui *u, int y, int x)
{
    qs_rect a = u->train.area;
    if (!runs(u) || !runs(u)->records || x < a.x || x >= a.x + a.w || y < a.y || y >= a.y + a.h) return;
    double t = qs_plot_at_column(&u->train.x, a, x);
    qs_act_seek(u, t > current(u)->t ? -1 : fmax(t, 0));
}

static void wheel(qs_ui *u, int by)
{
    if (runs(u)) site_key(u, by < 0 ? QS_K_UP : QS_K_DOWN);
}

static const qs_key keys[] = {
    {{'p'}, "p", N_("pause"), N_("pauses the run, and goes on"), pause_key, QS_KEY_FITS},
    {{QS_K_UP, QS_K_DOWN, 'k', 'j'}, "↑ ↓", N_("quantizer"), N_("the quantizer that is looked at"), site_key, QS_KEY_FITS},
    {{',', '.', QS_K_HOME, QS_K_END}, ", .", N_("scrub"), N_("back and forth through the records (Home: the first, End: as it trains)"), seek_key, QS_KEY_FITS},
    {{'b'}, "b", N_("branch"), N_("a new run from here, with another rule or initialization"), branch_key, QS_KEY_FITS},
    {{QS_K_LEFT, QS_K_RIGHT}, "← →", N_("run"), N_("the run before or after"), run_key, QS_KEY_FITS},
    {{'S'}, "S", N_("stop"), N_("ends the run; its history stays"), stop_key, QS_KEY_FITS},
    {{'T'}, "T", N_("demo"), N_("trains the bundled network at 2 bits; again: from another initialization"), again_key, QS_KEY_FITS},
    {{'x'}, "x", NULL, N_("the steps' sizes, or against where they began"), sizes_key, QS_KEY_FITS},
    {{'l'}, "l", NULL, N_("counts logarithmic or not"), log_key, QS_KEY_FITS},
    {{QS_K_ENTER}, N_("Enter"), NULL, N_("starts the demonstration, where there is no run"), enter, QS_KEY_FITS},
};
const qs_view qs_view_train = {"train", N_("Training"), {N_("Training"), keys, sizeof keys / sizeof *keys}, draw, click, wheel};
