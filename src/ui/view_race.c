/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A race: runs from several initializations over the same axis of steps. Four
 * panels (loss, accuracy, the step of one quantizer, oscillating weights), all
 * where there is room, else one of them; below them the table. A racer has the
 * colour of its initialization and a digit of its own, in the lines too, so that
 * it can be told without colour. Live or recorded: the picture is the same.
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

static const qs_snap_race *shown(const qs_ui *u) { return u->s ? u->s->race : NULL; }

/* ---- how far it is to be seen --------------------------------------------------------------- */
/* Steps of a racer that are shown; -1: it waits for its start. */
static double seen_to(const qs_ui *u, size_t i)
{
    const qs_snap_racer *x = &shown(u)->racer[i];
    double at = u->s->race_at, waits = at < 0 ? ceil(-at) : 0;
    if (x->refused) return (double)i + waits < (double)shown(u)->n ? 0 : -1;
    if ((double)i + waits >= (double)shown(u)->n || !x->neval) return -1;
    return fmin(fmax(at, 0), x->t);
}

/* Points of a curve up to there. */
static size_t points_to(const double *t, size_t n, double to)
{
    size_t k = 0;
    while (k < n && t[k] <= to) k++;
    return k;
}

static bool whole(const qs_ui *u) { return !(u->s->race_at < shown(u)->total); }

/* ---- curves ------------------------------------------------------------------------------------- */
enum { LOSS, ACCURACY, STEPS, OSCILLATION, PANELS };
static const char *const panel_name[PANELS] = {N_("loss"), N_("accuracy, %"), N_("ln s/s0"), N_("weights that oscillate, %")};

/* What a panel shows of one racer: y is made for it. */
typedef struct curve { const double *x; double *y; size_t n; } curve;

/* Until one is chosen: the first weights in another format than the first layer's, which has 8 bits as a rule. */
static size_t site_cur(const qs_ui *u)
{
    const qs_snap_race *r = shown(u);
    if (u->race.site && u->race.site <= r->nsite) return u->race.site - 1;
    for (size_t i = 1; i < r->nsite; i++)
        if (!r->site[i].act && strcmp(r->site[i].format, r->site[0].format)) return i;
    return 0;
}

/* The step a racer's steps are drawn against: where it began; or, all alike, where the first racer did. */
static double reference(const qs_ui *u, size_t i)
{
    const qs_snap_race *r = shown(u);
    for (size_t k = u->race.same ? 0 : i; k < r->n; k++)
        if (r->racer[k].nrec) return r->racer[k].step[site_cur(u) * r->racer[k].nrec];
    return NAN;
}

static curve curve_of(const qs_ui *u, int panel, size_t i)
{
    const qs_snap_racer *x = &shown(u)->racer[i];
    double to = seen_to(u, i), s0 = panel == STEPS ? reference(u, i) : 1;
    const double *t = panel == LOSS ? x->loss_t : panel == ACCURACY ? x->eval_t : x->rec_t;
    size_t n = panel == LOSS ? x->nloss : panel == ACCURACY ? x->neval : x->nrec;
    curve c = {t, NULL, to < 0 ? 0 : points_to(t, n, to)};
    if (panel == STEPS && !shown(u)->nsite) c.n = 0;
    c.y = qs_xcalloc(c.n + 1, sizeof *c.y);
    for (size_t k = 0; k < c.n; k++)
        c.y[k] = panel == LOSS ? x->mean[k] : panel == ACCURACY ? 100 * x->eval[k]
               : panel == STEPS ? log(x->step[site_cur(u) * x->nrec + k] / s0) : 100 * x->oscillating[k];
    return c;
}

/* ---- one panel -------------------------------------------------------------------------------------- */
static void widen(const curve *c, double *lo, double *hi)
{
    for (size_t k = 0; k < c->n; k++) {
        if (!isfinite(c->y[k])) continue;
        *lo = fmin(*lo, c->y[k]);
        *hi = fmax(*hi, c->y[k]);
    }
}

static qs_axis axis_of(const qs_ui *u, int panel, const curve *c)
{
    double lo = INFINITY, hi = -INFINITY;
    for (size_t i = 0; i < shown(u)->n; i++) widen(&c[i], &lo, &hi);
    if (panel == ACCURACY && !isnan(shown(u)->floating)) hi = fmax(hi, 100 * shown(u)->floating);
    if (!(lo <= hi)) return panel == STEPS ? (qs_axis){-0.1, 0.1, false} : (qs_axis){0, 1, false};
    if (panel == LOSS && lo > 0 && hi / lo > 3) return (qs_axis){lo / 1.2, hi * 1.2, true};
    double air = fmax(0.06 * (hi - lo), panel == ACCURACY ? 0.5 : panel == STEPS ? 0.02 : 0.02 * fabs(hi) + 1e-3);
    return (qs_axis){panel == STEPS ? lo - air : fmax(0, lo - air), panel == ACCURACY ? fmin(100.5, hi + air) : hi + air, false};
}

static int row_of(const qs_axis *y, qs_rect a, double v)
{
    return a.y + a.h - 1 - (int)floor(fmin(fmax(qs_axis_at(y, v), 0), 0.999) * a.h);
}

/* "1" to "9", then letters. */
static wchar_t sign_of(size_t i) { return i < 9 ? (wchar_t)(L'1' + (wchar_t)i) : (wchar_t)(L'a' + (wchar_t)(i - 9)); }

/* A racer's digit at the end of its line and, each elsewhere, inside it. */
static void put_signs(qs_ui *u, qs_rect a, const qs_axis *x, const qs_axis *y, size_t i, const curve *c)
{
    int role = qs_init_role(shown(u)->racer[i].init), own = (int)(i % 6);
    if (a.w < 4 || a.h < 1) return;
    for (int k = 0; k <= 3 && c->n; k++) {
        size_t at = k == 3 ? c->n - 1 : (size_t)((double)(c->n - 1) * (0.08 + 0.3 * k + 0.045 * own));
        if (isfinite(c->y[at])) qs_cells_put(&u->g, row_of(y, a, c->y[at]), qs_plot_column(x, a, c->x[at]), sign_of(i), role, QS_BOLD);
    }
}

/* The accuracy of the float net: two points make a line. */
static size_t add_float(const qs_ui *u, double *x, double *y, qs_series *s)
{
    const qs_snap_race *r = shown(u);
    if (isnan(r->floating)) return 0;
    x[0] = 0;
    x[1] = r->total;
    y[0] = y[1] = 100 * r->floating;
    *s = (qs_series){.kind = QS_PLOT_LINE, .x = x, .y = y, .n = 2, .role = QS_ROLE_DENSITY, .label = _("float net")};
    return 1;
}

static void panel_title(const qs_ui *u, int panel, char *t, size_t size)
{
    const qs_snap_race *r = shown(u);
    char b[QS_FMT];
    snprintf(t, size, "%s", _(panel_name[panel]));
    if (panel == ACCURACY && !isnan(r->floating)) snprintf(t, size, _("accuracy, %%; line: float net, %s"), qs_fmt_percent(b, r->floating));
    if (panel != STEPS || !r->nsite) return;
    const qs_snap_race_site *s = &r->site[site_cur(u)];
    snprintf(t, size, u->race.same ? _("ln s/s0, s0: of 1  %s  %s") : _("ln s/s0  %s  %s"), s->name, s->format);
}

static void draw_panel(qs_ui *u, qs_rect r, int panel)
{
    const qs_snap_race *o = shown(u);
    curve *c = qs_xcalloc(o->n, sizeof *c);
    qs_series *s = qs_xcalloc(o->n + 1, sizeof *s);
    double fx[2], fy[2];
    size_t n = panel == ACCURACY ? add_float(u, fx, fy, s) : 0;
    char title[160];
    if (r.h < 3 || r.w < 16) r.h = 0;
    for (size_t i = 0; i < o->n; i++) {
        c[i] = curve_of(u, panel, i);
        s[n++] = (qs_series){.kind = QS_PLOT_LINE, .x = c[i].x, .y = c[i].y, .n = c[i].n, .role = (unsigned char)qs_init_role(o->racer[i].init),
                             .attr = QS_BOLD, .label = o->racer[i].init};
    }
    panel_title(u, panel, title, sizeof title);
    qs_plot p = {.x_name = _("step"), .y_name = title, .x = {0, fmax(o->total, 1), false}, .y = axis_of(u, panel, c), .series = s, .nseries = n,
                 .y_width = Y_WIDTH, .y_ticks = r.h > 6 ? 4 : 3, .x_labels = r.h > 4};
    qs_rect a = {0};
    if (r.h) {
        qs_cells_text(&u->g, r.y, r.x + Y_WIDTH, r.w - Y_WIDTH, title, QS_ROLE_TITLE, 0);
        if (!u->race.all) {
            char which[QS_FMT];
            snprintf(which, sizeof which, _("← %d of %d →"), panel + 1, PANELS);
            qs_cells_right(&u->g, r.y, r.x, r.w, which, QS_ROLE_DIM, 0);
        }
        qs_ui_plot(u, &p, (qs_rect){r.y + 1, r.x, r.h - 1, r.w}, &a);
        for (size_t i = 0; i < o->n; i++) put_signs(u, a, &p.x, &p.y, i, &c[i]);
    }
    for (size_t i = 0; i < o->n; i++) free(c[i].y);
    free(c);
    free(s);
}

static bool has_room(qs_rect r) { return r.w >= 96 && r.h >= 14; }

static void draw_panels(qs_ui *u, qs_rect r)
{
    u->race.all = has_room(r) && !u->race.one;
    if (!u->race.all) {
        draw_panel(u, r, u->race.panel % PANELS);
        return;
    }
    int w = (r.w - 2) / 2, h = r.h / 2;
    for (int i = 0; i < PANELS; i++)
        draw_panel(u, (qs_rect){r.y + (i / 2) * h, r.x + (i % 2) * (w + 2), i < 2 ? h : r.h - h, w}, i);
}

/* ---- the table --------------------------------------------------------------------------------------------- */
enum { C_BEFORE, C_TENTH, C_THIRD, C_NOW, C_INIT_S, C_INIT_STEPS, C_TRAIN_S, COLUMNS };
static const struct { const char *title; int w, prio; enum qs_num kind; } columns[COLUMNS] = {
    [C_BEFORE]     = {N_("before"),  7, 0, QS_N_ACCURACY},
    [C_TENTH]      = {NULL,          7, 1, QS_N_ACCURACY},
    [C_THIRD]      = {NULL,          7, 1, QS_N_ACCURACY},
    [C_NOW]        = {N_("now"),     7, 0, QS_N_ACCURACY},
    [C_INIT_S]     = {N_("start s"), 7, 1, QS_N_START},
    [C_INIT_STEPS] = {N_("=steps"),  6, 1, QS_N_START},
    [C_TRAIN_S]    = {N_("train s"), 7, 2, QS_N_TRAIN_SECONDS},
};
enum { NAME = 14, STATE = 11 };

static double eval_at(const qs_snap_racer *x, double t)
{
    for (size_t k = 0; k < x->neval; k++)
        if (x->eval_t[k] == t) return x->eval[k];
    return NAN;
}

/* Of the validations all have, the one nearest to `want` and after `above`; NaN: none. */
static double milestone(const qs_snap_race *r, double want, double above)
{
    double best = NAN;
    const qs_snap_racer *first = NULL;
    for (size_t i = 0; i < r->n && !first; i++) first = r->racer[i].neval ? &r->racer[i] : NULL;
    for (size_t k = 0; first && k < first->neval; k++) {
        double t = first->eval_t[k];
        bool all = t > above && t < r->total;
        for (size_t i = 0; i < r->n && all; i++) all = !r->racer[i].neval || !isnan(eval_at(&r->racer[i], t)) || r->racer[i].t < t;
        if (all && !(fabs(t - want) >= fabs(best - want))) best = t;
    }
    return best;
}

static double value(const qs_ui *u, size_t i, int col)
{
    const qs_snap_race *r = shown(u);
    const qs_snap_racer *x = &r->racer[i];
    double to = seen_to(u, i), tenth = milestone(r, r->total / 10, 0), third = milestone(r, r->total / 3, isnan(tenth) ? 0 : tenth);
    if (to < 0 || x->refused) return NAN;
    size_t seen = points_to(x->eval_t, x->neval, to);
    switch (col) {
    case C_BEFORE: return x->before;
    case C_TENTH: return tenth <= to ? eval_at(x, tenth) : (double)NAN;
    case C_THIRD: return third <= to ? eval_at(x, third) : (double)NAN;
    case C_NOW: return to >= x->t && !isnan(x->after) ? x->after : seen ? x->eval[seen - 1] : (double)NAN;
    case C_INIT_S: return x->init_s;
    case C_INIT_STEPS: return x->t > 0 && x->train_s > 0 ? x->init_s / (x->train_s / x->t) : (double)NAN;
    default: return x->t > 0 ? x->train_s * to / x->t : (double)NAN;
    }
}

/* The racer with the best accuracy now; n: none. */
static size_t leader(const qs_ui *u)
{
    size_t n = shown(u)->n, best = n;
    for (size_t i = 0; i < n; i++) {
        double v = value(u, i, C_NOW);
        if (!isnan(v) && shown(u)->racer[i].state != QS_SNAP_DIVERGED && (best == n || v > value(u, best, C_NOW))) best = i;
    }
    return best;
}

static void fit(int room, int *width)
{
    memset(width, 0, COLUMNS * sizeof *width);
    for (int p = 0; p <= 2; p++)
        for (int c = 0; c < COLUMNS; c++)
            if (columns[c].prio == p && room >= columns[c].w + 1) {
                width[c] = columns[c].w;
                room -= width[c] + 1;
            }
}

static void draw_heads(qs_ui *u, qs_rect r, const int *width)
{
    const qs_snap_race *o = shown(u);
    double tenth = milestone(o, o->total / 10, 0), third = milestone(o, o->total / 3, isnan(tenth) ? 0 : tenth);
    int x = r.x + NAME + 4;
    for (int c = 0; c < COLUMNS; c++) {
        char at[QS_FMT] = "";
        double t = c == C_TENTH ? tenth : third;
        if (!columns[c].title && !isnan(t)) snprintf(at, sizeof at, "@%.0f", t);
        if (width[c]) qs_cells_right(&u->g, r.y, x, width[c], columns[c].title ? c == C_NOW && whole(u) ? _("after") : _(columns[c].title) : at, QS_ROLE_DIM, 0);
        x += width[c] ? width[c] + 1 : 0;
    }
}

static const char *state_text(qs_ui *u, size_t i, char *t, size_t size)
{
    static const char *const names[] = {
        [QS_SNAP_READY] = N_("waits"), [QS_SNAP_RUNNING] = N_("step %.0f"), [QS_SNAP_PAUSED] = N_("cut at %.0f"), [QS_SNAP_DONE] = N_("done"),
        [QS_SNAP_STOPPED] = N_("stopped %.0f"), [QS_SNAP_DIVERGED] = N_("diverged %.0f"),
    };
    const qs_snap_racer *x = &shown(u)->racer[i];
    double to = seen_to(u, i);
    int state = to < 0 ? QS_SNAP_READY : to < x->t ? QS_SNAP_RUNNING : x->state;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(t, size, _(names[state]), to);
#pragma GCC diagnostic pop
    return t;
}

static void draw_row(qs_ui *u, int y, qs_rect r, size_t i, const int *width, size_t best)
{
    const qs_snap_racer *x = &shown(u)->racer[i];
    int role = qs_init_role(x->init), at = r.x + NAME + 4, end = r.x + r.w;
    char b[QS_FMT], t[60];
    qs_cells_put(&u->g, y, r.x, i == best ? L'*' : L' ', QS_ROLE_GOOD, QS_BOLD);
    qs_cells_put(&u->g, y, r.x + 1, sign_of(i), role, QS_BOLD);
    qs_cells_name(&u->g, y, r.x + 3, NAME, x->init, role, QS_BOLD);
    if (x->refused && seen_to(u, i) >= 0) {
        qs_cells_text(&u->g, y, at + 1, end - at - 1, x->reason ? x->reason : "", QS_ROLE_BAD, 0);
        return;
    }
    for (int c = 0; c < COLUMNS; c++) {
        double v = value(u, i, c);
        if (!width[c]) continue;
        if (isnan(v)) qs_cells_right(&u->g, y, at, width[c], "", QS_ROLE_DIM, 0);
        else qs_ui_number(u, QS_V_RACE, y, at, width[c], columns[c].kind == QS_N_ACCURACY ? qs_fmt_fixed(b, 100 * v, 2) : qs_fmt_fixed(b, v, c == C_INIT_STEPS ? 0 : 2),
                          columns[c].kind, i * COLUMNS + (size_t)c, v, c == C_NOW ? i == best ? QS_ROLE_GOOD : QS_ROLE_TITLE : QS_ROLE_TEXT, 0);
        at += width[c] + 1;
    }
    bool bad = x->state == QS_SNAP_DIVERGED && seen_to(u, i) >= x->t;
    qs_cells_text(&u->g, y, at + 1, end - at - 1, state_text(u, i, t, sizeof t), bad ? QS_ROLE_BAD : QS_ROLE_DIM, 0);
}

static void draw_table(qs_ui *u, qs_rect r)
{
    int width[COLUMNS];
    size_t best = leader(u);
    fit(r.w - NAME - 4 - STATE, width);
    draw_heads(u, r, width);
    for (size_t i = 0; i < shown(u)->n && (int)i + 1 < r.h; i++) draw_row(u, r.y + 1 + (int)i, r, i, width, best);
}

const char *qs_race_owner(const qs_ui *u, size_t spot_row)
{
    size_t i = spot_row / COLUMNS;
    return i < shown(u)->n ? shown(u)->racer[i].init : "";
}

/* ---- what is said around it ------------------------------------------------------------------------------------ */
static void draw_nothing(qs_ui *u, qs_rect in)
{
    static const struct { const char *key, *text; } rows[] = {
        {"V", N_("races the bundled network here, now: 2 bits, three starts")},
        {"o", N_("plays a recorded race, without computing")},
        {":", N_("or type it, for a net and data of yours:")},
        {"", "race = qs.race(net, data, {inits={\"lsq\", \"mse\"}, steps=100, evaluate=10,"},
        {"", "                           quant={weights=\"int2\", acts=\"uint2\"}})"},
    };
    int y = in.y + in.h / 2 - 4, w = 76 < in.w - 2 ? 76 : in.w - 2, x = in.x + (in.w - w) / 2;
    bool waits = qs_jobs_running(u->o->jobs) || qs_jobs_queued(u->o->jobs);
    qs_cells_text(&u->g, y, x, w, waits ? _("A race is being prepared ...") : _("No race yet."), QS_ROLE_TITLE, QS_BOLD);
    for (int i = 0; i < 5 && !waits; i++) {
        qs_cells_text(&u->g, y + 2 + i, x, 2, rows[i].key, QS_ROLE_KEY, QS_BOLD);
        qs_cells_text(&u->g, y + 2 + i, x + 3, w - 3, i < 3 ? _(rows[i].text) : rows[i].text, i < 3 ? QS_ROLE_TEXT : QS_ROLE_ECHO, 0);
    }
}

static void right_text(const qs_ui *u, char *t, size_t size)
{
    const qs_snap_race *r = shown(u);
    double to = 0;
    bool paused = false;
    for (size_t i = 0; i < r->n; i++) {
        to = fmax(to, seen_to(u, i));
        paused = paused || r->racer[i].state == QS_SNAP_PAUSED;
    }
    if (r->recorded) snprintf(t, size, _("recorded · step %.0f/%.0f"), to, r->total);
    else if (paused) snprintf(t, size, _("cancelled at step %.0f/%.0f: race = qs.race() has it"), to, r->total);
    else if (!isnan(r->total)) snprintf(t, size, _("step %.0f/%.0f"), to, r->total);
    else snprintf(t, size, "%s", _("starting"));
}

static void foot_text(const qs_snap_race *r, char *t, size_t size)
{
    snprintf(t, size, "%s", r->data ? r->data : "");
    if (r->recorded) snprintf(t, size, _("recorded %s, %s, %s; %s"), r->when, r->program, r->machine, r->data ? r->data : r->set);
}

static void draw(qs_ui *u, qs_rect r)
{
    const qs_snap_race *o = shown(u);
    char title[240], right[120], foot[700];
    if (!o) {
        draw_nothing(u, qs_ui_frame(u, QS_V_RACE, r, _("Race"), NULL, NULL));
        return;
    }
    snprintf(title, sizeof title, *o->net ? _("Race  %s  %s  seed %.0f") : _("Race"), o->net, o->name, o->seed);
    right_text(u, right, sizeof right);
    foot_text(o, foot, sizeof foot);
    qs_rect in = qs_ui_frame(u, QS_V_RACE, r, title, right, foot);
    in.x++;
    in.w -= 2;
    int most = in.h / 2, want = (int)o->n + 1, table = want < most ? want : most;
    if (isnan(o->total)) qs_cells_text(&u->g, in.y + 1, in.x + 1, in.w - 1, _("the first start is being computed ..."), QS_ROLE_DIM, 0);
    else draw_panels(u, (qs_rect){in.y, in.x, in.h - table, in.w});
    draw_table(u, (qs_rect){in.y + in.h - table, in.x, table, in.w});
}

/* ---- what is wanted of it ------------------------------------------------------------------------------------------ */
static bool busy(qs_ui *u)
{
    bool is = qs_jobs_running(u->o->jobs) || qs_jobs_queued(u->o->jobs);
    if (is) qs_ui_say(u, false, "%s", _("a line runs already"));
    return is;
}

static void start(qs_ui *u)
{
    if (busy(u)) return;
    qs_act_line(u, "race = qs.race(qs.bundled \"smallcnn\", qs.dataset(\"fashion-mnist\", {slice=true, val=500}), "
                   "{inits={\"lsq\", \"mse\", \"adaptive\"}, steps=100, evaluate=10, record=5, quant={weights=\"int2\", acts=\"uint2\", learn=\"lsq\"}}); print(race)");
}

void qs_race_open(qs_ui *u, bool now)
{
    bool here = u->focus == QS_V_RACE;
    if (!here) u->race.back = u->pane == QS_V_RACE ? u->race.back : u->pane;
    if (!here || !now) {
        int to = here ? u->race.back : QS_V_RACE;
        qs_ui_focus(u, to);
        qs_act_view(u, to);
    }
    if (now) start(u);
}

void qs_race_play(qs_ui *u, const char *name, int speed)
{
    if (busy(u)) return;
    char *line = qs_xasprintf("race = qs.play(\"%s\", {speed=%d}); print(race)", name, speed);
    qs_act_line(u, line);
    free(line);
}

/* ---- keys -------------------------------------------------------------------------------------------------------------- */
static void panel_key(qs_ui *u, int key)
{
    u->race.panel = (u->race.panel + (key == QS_K_LEFT ? PANELS - 1 : 1)) % PANELS;
    if (u->race.all) u->race.one = true;
    qs_ui_touch(u);
}

static void all_key(qs_ui *u, int key)
{
    (void)key;
    u->race.one = u->race.all;
    qs_ui_touch(u);
}

static void site_key(qs_ui *u, int key)
{
    size_t n = shown(u) ? shown(u)->nsite : 0;
    if (n) u->race.site = (site_cur(u) + (key == QS_K_UP || key == 'k' ? n - 1 : 1)) % n + 1;
    if (n && !u->race.all) u->race.panel = STEPS;
    qs_ui_touch(u);
}

static void same_key(qs_ui *u, int key)
{
    (void)key;
    u->race.same = !u->race.same;
    qs_ui_touch(u);
}

static void recorded_key(qs_ui *u, int key)
{
    (void)key;
    if (!busy(u)) qs_menu_races(u);
}

static void wheel(qs_ui *u, int by) { site_key(u, by < 0 ? QS_K_UP : QS_K_DOWN); }

static const qs_key keys[] = {
    {{'o', QS_K_ENTER}, "o", N_("recorded"), N_("plays a recorded race"), recorded_key, QS_KEY_FITS},
    {{QS_K_LEFT, QS_K_RIGHT}, "← →", N_("panel"), N_("loss, accuracy, steps, oscillation: one of them"), panel_key, QS_KEY_FITS},
    {{'a'}, "a", N_("all"), N_("all four where there is room, and back"), all_key, QS_KEY_FITS},
    {{QS_K_UP, QS_K_DOWN, 'k', 'j'}, "↑ ↓", N_("quantizer"), N_("the quantizer whose step is shown"), site_key, QS_KEY_FITS},
    {{'x'}, "x", N_("against"), N_("steps against where each began, or where the first did"), same_key, QS_KEY_FITS},
};
const qs_view qs_view_race = {"race", N_("Race"), {N_("Race"), keys, sizeof keys / sizeof *keys}, draw, NULL, wheel};
