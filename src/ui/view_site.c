/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The quantizer of a run that is looked at: the values it sees with its levels
 * under them, the squared error it would make at other steps, and two arrows at
 * its step: where the loss pulls it, and where the squared error would. They
 * seldom agree, and that is why a learned step leaves the least squares.
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "ui/screen.h"

static const qs_snap_look *look(const qs_ui *u) { return &u->s->train->look; }

/* ---- the histogram ------------------------------------------------------------------------ */
/* Values below x, from bins whose content is spread evenly. */
static double below(const qs_snap_look *l, double x)
{
    double at = (x - l->bin_lo) / (l->bin_hi - l->bin_lo) * (double)l->bins, sum = 0;
    if (at <= 0) return 0;
    size_t whole = at >= (double)l->bins ? l->bins : (size_t)at;
    for (size_t i = 0; i < whole; i++) sum += l->count[i];
    return whole < l->bins ? sum + (at - (double)whole) * l->count[whole] : sum;
}

static void draw_hist(qs_ui *u, qs_rect r)
{
    const qs_snap_look *l = look(u);
    size_t n = (size_t)(r.w > 0 ? r.w : 1) * (size_t)qs_plot_bins_per_cell(u->cs);
    double *y = qs_xcalloc(n, sizeof *y), top = 0, was = below(l, l->lo);
    for (size_t i = 0; i < n; i++) {
        double now = below(l, l->lo + (l->hi - l->lo) * (double)(i + 1) / (double)n);
        y[i] = now - was < 1e-9 ? 0 : now - was;
        top = fmax(top, y[i]);
        was = now;
    }
    const qs_snap_train *t = u->s->train;
    bool log_y = t->site[t->site_cur].act != u->train.flip_log && top > 4;     /* inputs: half of them are zeros, often */
    qs_series s = {.kind = QS_PLOT_BARS, .y = y, .n = n, .role = QS_ROLE_BARS};
    qs_ruler ruler = {l->level, l->cut, l->nlevel, l->clip_lo, l->clip_hi, (unsigned char)qs_run_role(&t->run[t->cur])};
    qs_limit limit[2] = {{.x = l->clip_lo, .ch = L'┊', .role = QS_ROLE_CLIP},
                         {.x = l->clip_hi, .ch = L'┊', .role = QS_ROLE_CLIP}};
    const qs_axis count = {log_y ? 0.5 : 0, top > 0 ? top * (log_y ? 1.3 : 1.05) : 1, log_y};
    qs_plot p = {.title = t->site[t->site_cur].name, .x_name = _("value"), .y_name = _("count"),
                 .x = {l->lo, l->hi, false}, .y = count, .series = &s, .nseries = 1,
                 .limit = limit, .nlimit = 2, .ruler = &ruler, .nruler = 1, .x_labels = true};
    qs_ui_plot(u, &p, r, NULL);
    free(y);
}

static void draw_facts(qs_ui *u, qs_rect r)
{
    const qs_snap_look *l = look(u);
    char b[QS_FMT], t[5][80];
    static const int role[5] = {QS_ROLE_CLIP, QS_ROLE_DIM, QS_ROLE_DIM, QS_ROLE_WARN, QS_ROLE_DIM};
    static const enum qs_num kind[5] = {QS_N_RUN_CLIPPED, QS_N_RUN_LEVELS, QS_N_RUN_ENTROPY, QS_N_OSCILLATE, QS_N_LSQ_R};
    const double value[5] = {l->clipped, l->used, l->entropy, l->oscillating, l->ratio};
    int x = r.x;
    snprintf(t[0], sizeof t[0], _("%s clipped"), qs_fmt_percent(b, l->clipped));
    snprintf(t[1], sizeof t[1], _("%.0f/%.0f used"), l->used, l->levels);
    snprintf(t[2], sizeof t[2], _("%.2f bits"), l->entropy);
    snprintf(t[3], sizeof t[3], isnan(l->oscillating) ? "" : _("%s oscillate"), qs_fmt_percent(b, l->oscillating));
    snprintf(t[4], sizeof t[4], isnan(l->ratio) ? "" : _("R %s"), qs_fmt_sig(b, l->ratio, 2));
    for (size_t i = 0; i < 5; i++) {
        int n = qs_text_width(t[i]);
        if (!n || x + n > r.x + r.w || isnan(value[i])) continue;
        qs_ui_spot(u, QS_V_TRAIN, r.y, x, n, kind[i], SIZE_MAX, value[i]);
        x += qs_cells_text(&u->g, r.y, x, n, t[i], role[i], 0) + 2;
    }
}

/* ---- the error curve, and the arrows --------------------------------------------------------------- */
static qs_axis error_axis(const qs_snap_look *l)
{
    double lo = INFINITY, hi = 0;
    for (size_t i = 0; i < l->points; i++) {
        if (l->curve_error[i] > 0) lo = fmin(lo, l->curve_error[i]);
        hi = fmax(hi, l->curve_error[i]);
    }
    if (!(lo < hi)) return (qs_axis){hi > 0 ? hi / 10 : 0.1, hi > 0 ? hi * 10 : 1, true};
    return (qs_axis){lo / 1.3, hi * 1.1, true};
}

/* Probed losses on the error's axis: half way up is no change, the largest change of its logarithm reaches the edge. */
static void place_probes(const qs_snap_look *l, const qs_axis *y, double *out)
{
    double most = 0;
    for (size_t i = 0; i < l->nprobe; i++)
        if (isfinite(l->probe_loss[i])) most = fmax(most, fabs(log1p(l->probe_loss[i])));
    for (size_t i = 0; i < l->nprobe; i++) {
        double at = most > 0 ? 0.5 + 0.47 * log1p(l->probe_loss[i]) / most : 0.5;
        out[i] = y->lo * pow(y->hi / y->lo, fmin(at, 0.99));
    }
}

/* "dots: loss ×0.86 .. ×4.88" */
static void draw_probes(qs_ui *u, qs_rect a, const qs_snap_look *l, int role)
{
    char t[80], b[QS_FMT], c[QS_FMT];
    double lo = 1, hi = 1;
    for (size_t i = 0; i < l->nprobe; i++) {
        lo = fmin(lo, 1 + l->probe_loss[i]);
        hi = fmax(hi, 1 + l->probe_loss[i]);
    }
    snprintf(t, sizeof t, _("dots: loss ×%s .. ×%s"), qs_fmt_fixed(b, lo, 2), qs_fmt_fixed(c, hi, 2));
    int n = qs_text_width(t), x = a.x + a.w - n;
    if (!l->nprobe || n >= a.w) return;
    qs_cells_text(&u->g, a.y, x, n, t, role, 0);
    qs_ui_spot(u, QS_V_TRAIN, a.y, x, n, QS_N_PROBES, SIZE_MAX, hi);
}

static int sign_of_pull(const qs_snap_look *l)
{
    if (isnan(l->pull) || l->fixed) return 0;
    return fabs(l->pull) <= l->pull_noise ? 0 : l->pull > 0 ? 1 : -1;
}

static int sign_of_error(const qs_snap_look *l)
{
    if (isnan(l->slope)) return 0;
    return fabs(l->slope) < 0.05 ? 0 : l->slope > 0 ? -1 : 1;
}

/* "loss ●━━━━▸": from column c, `len` cells long, its name on the other side. Returns the column of the name. */
static int draw_arrow(qs_ui *u, qs_rect a, int y, int c, int sign, int len, const char *name, int role)
{
    int n = qs_text_width(name), x = sign < 0 ? c + 2 : c - n - 1;
    qs_cells_put(&u->g, y, c, sign ? L'●' : L'·', role, QS_BOLD);
    for (int i = 1; i <= len && sign; i++) {
        int at = c + sign * i;
        if (at < a.x || at >= a.x + a.w) break;
        bool tip = i == len || at + sign < a.x || at + sign >= a.x + a.w;
        qs_cells_put(&u->g, y, at, tip ? (sign > 0 ? L'▸' : L'◂') : L'━', role, QS_BOLD);
    }
    if (x < a.x - 6) x = c + (sign > 0 ? len : 0) + 2;
    if (x + n > a.x + a.w) x = c - (sign < 0 ? len : 0) - n - 1;
    qs_cells_text(&u->g, y, x, n, name, role, 0);
    return x;
}

static void draw_curve(qs_ui *u, qs_rect r)
{
    const qs_snap_look *l = look(u);
    int role = qs_run_role(&u->s->train->run[u->s->train->cur]), longest = r.w / 4;
    const qs_axis error = error_axis(l);
    double *probe = qs_xcalloc(l->nprobe + 1, sizeof *probe);
    place_probes(l, &error, probe);
    qs_series s[2] = {{.kind = QS_PLOT_LINE, .x = l->curve_step, .y = l->curve_error, .n = l->points, .role = QS_ROLE_ERROR},
                      {.kind = QS_PLOT_POINTS, .x = l->probe_step, .y = probe, .n = l->nprobe, .role = (unsigned char)role}};
    qs_limit limit[2] = {{.x = l->best_step, .ch = L'┊', .role = QS_ROLE_GOOD},
                         {.x = l->step, .ch = L'┊', .role = (unsigned char)role}};
    qs_marker least = {l->best_step, "", QS_ROLE_GOOD, false};
    qs_plot p = {.x_name = _("step"), .y_name = _("mean squared error"),
                 .x = {l->curve_step[0], l->curve_step[l->points - 1], true}, .y = error,
                 .series = s, .nseries = l->nprobe ? 2 : 1, .marker = &least, .nmarker = 1, .limit = limit, .nlimit = 2,
                 .y_width = r.w > 36 ? 7 : 0, .x_line = true};
    qs_rect a;
    qs_ui_plot(u, &p, (qs_rect){r.y, r.x, r.h - 2, r.w}, &a);
    free(probe);
    if (a.h < 1) return;
    draw_probes(u, a, l, role);
    int c = qs_plot_column(&p.x, a, l->step), line = a.y + a.h;
    double ty = qs_axis_at(&p.y, l->error);
    if (!isnan(ty)) qs_cells_put(&u->g, a.y + a.h - 1 - (int)floor(fmin(fmax(ty, 0), 0.999) * a.h), c, L'●', role, QS_BOLD);
    int loss = isnan(l->pull_rel) ? 1 : 1 + (int)lround(l->pull_rel * longest), pull = 1 + (int)lround(fmin(fabs(l->slope), 1) * longest);
    int x = draw_arrow(u, a, line + 1, c, sign_of_pull(l), loss, _("loss"), role);
    if (!isnan(l->pull)) qs_ui_spot(u, QS_V_TRAIN, line + 1, x, qs_text_width(_("loss")), QS_N_PULL, SIZE_MAX, l->pull);
    x = draw_arrow(u, a, line + 2, c, sign_of_error(l), pull, _("error"), QS_ROLE_ERROR);
    if (!isnan(l->slope)) qs_ui_spot(u, QS_V_TRAIN, line + 2, x, qs_text_width(_("error")), QS_N_SLOPE, SIZE_MAX, l->slope);
}

/* ---- in words ------------------------------------------------------------------------------------------- */
static const char *sentence(const qs_snap_look *l)
{
    /* by where the loss pulls (down, nowhere, up), then where the squared error does */
    static const char *const says[3][3] = {
        {N_("Loss and squared error both pull the step down."),
         N_("At the least squares; the loss pulls the step down, away from it."),
         N_("The loss pulls the step down, the squared error up: it leaves the least squares.")},
        {N_("The loss hardly pulls; the squared error would be less at a smaller step."),
         N_("At rest: neither loss nor squared error pulls the step."),
         N_("The loss hardly pulls; the squared error would be less at a larger step.")},
        {N_("The loss pulls the step up, the squared error down: it leaves the least squares."),
         N_("At the least squares; the loss pulls the step up, away from it."),
         N_("Loss and squared error both pull the step up.")},
    };
    if (l->fixed) return _("Not learned: the step stays where its initialization put it.");
    if (isnan(l->pull)) return _("Where the loss pulls the step is known after the next record.");
    return _(says[sign_of_pull(l) + 1][sign_of_error(l) + 1]);
}

/* Words of a sentence in as many rows as there are. Returns the rows used. */
static int wrap(qs_ui *u, qs_rect r, const char *s, int role, bool draw)
{
    int y = 0;
    while (*s && y < r.h) {
        size_t fit = 0, n = strlen(s);
        for (size_t i = 0; i <= n; i++) {
            if (s[i] != ' ' && s[i]) continue;
            char part[200];
            snprintf(part, sizeof part, "%.*s", (int)i, s);
            if (qs_text_width(part) > r.w) break;
            fit = i;
        }
        if (!fit) fit = n;
        char part[200];
        snprintf(part, sizeof part, "%.*s", (int)fit, s);
        if (draw) qs_cells_text(&u->g, r.y + y, r.x, r.w, part, role, 0);
        s += fit;
        s += strspn(s, " ");
        y++;
    }
    return y;
}

static void draw_step(qs_ui *u, qs_rect r)
{
    const qs_snap_look *l = look(u);
    char a[QS_FMT], b[QS_FMT], t[160];
    int x = r.x, end = r.x + r.w;
    snprintf(t, sizeof t, r.w < 36 ? "%s" : _("step %s"), qs_fmt_sig(a, l->step, 4));
    qs_ui_spot(u, QS_V_TRAIN, r.y, x, qs_text_width(t), QS_N_RUN_STEP, SIZE_MAX, l->step);
    x += qs_cells_text(&u->g, r.y, x, end - x, t, qs_run_role(&u->s->train->run[u->s->train->cur]), QS_BOLD) + 1;
    snprintf(t, sizeof t, _("= %s × least squares"), qs_fmt_fixed(a, l->step / l->best_step, 2));
    if (x + qs_text_width(t) > end) return;
    x += qs_cells_text(&u->g, r.y, x, end - x, t, QS_ROLE_TEXT, 0) + 2;
    snprintf(t, sizeof t, l->coarse ? _("error ≈×%s") : _("error ×%s"), qs_fmt_fixed(a, l->error / l->best_error, 2));
    if (x + qs_text_width(t) > end) return;
    qs_ui_spot(u, QS_V_TRAIN, r.y, x, qs_text_width(t), QS_N_RUN_ERROR, SIZE_MAX, l->error);
    x += qs_cells_text(&u->g, r.y, x, end - x, t, QS_ROLE_TEXT, 0) + 2;
    snprintf(t, sizeof t, _("began at %s"), qs_fmt_sig(b, l->first, 4));
    if (x + qs_text_width(t) <= end) qs_cells_text(&u->g, r.y, x, end - x, t, QS_ROLE_DIM, 0);
}

static void draw_head(qs_ui *u, qs_rect r)
{
    const qs_snap_train *t = u->s->train;
    const qs_snap_site *s = &t->site[t->site_cur];
    char rest[240];
    snprintf(rest, sizeof rest, "%s · %s · %s", s->format, t->look.init, s->learn);
    int n = qs_text_width(rest), name = r.w - n - 2;
    if (name < 12) { name = r.w; n = 0; }
    int x = r.x + qs_cells_name(&u->g, r.y, r.x, name, s->name, QS_ROLE_TITLE, QS_BOLD) + 2;
    if (n) qs_cells_text(&u->g, r.y, x, r.x + r.w - x, rest, QS_ROLE_DIM, 0);
}

void qs_site_draw(qs_ui *u, qs_rect r)
{
    const qs_snap_train *t = u->s->train;
    if (t->site_cur >= t->nsite) {
        qs_cells_text(&u->g, r.y + r.h / 2, r.x, r.w, _("nothing is quantized in this run"), QS_ROLE_DIM, 0);
        return;
    }
    draw_head(u, r);
    if (!t->look.there || !t->look.bins) {
        qs_cells_text(&u->g, r.y + r.h / 2, r.x, r.w, "…", QS_ROLE_DIM, 0);
        return;
    }
    int words = wrap(u, (qs_rect){0, 0, 3, r.w}, sentence(&t->look), QS_ROLE_TEXT, false);
    bool curve = t->look.points > 1 && r.h >= 14;
    int foot = curve ? 1 + words : 0, middle = r.h - 2 - foot, hist = curve ? (middle - 2) * 45 / 100 + 1 : middle;
    draw_hist(u, (qs_rect){r.y + 1, r.x, hist, r.w});
    draw_facts(u, (qs_rect){r.y + 1 + hist, r.x, 1, r.w});
    if (!curve) return;
    draw_curve(u, (qs_rect){r.y + 2 + hist, r.x, middle - hist, r.w});
    draw_step(u, (qs_rect){r.y + r.h - 1 - words, r.x, 1, r.w});
    wrap(u, (qs_rect){r.y + r.h - words, r.x, words, r.w}, sentence(&t->look), QS_ROLE_TEXT, true);
}
