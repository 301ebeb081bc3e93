/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The weights: their histogram with the smooth density, the levels and
 * thresholds of the quantizer under it on the same axis, and the histogram of
 * the quantized values: beside it where there is room, else on a key.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "ui/names.h"
#include "ui/screen.h"

static bool usable(const qs_ui *u) { return u->s && u->s->hist.bins > 0 && u->s->hist.hi > u->s->hist.lo; }

static qs_axis x_axis(const qs_ui *u)
{
    const qs_snap_hist *h = &u->s->hist;
    return (qs_axis){h->lo, h->hi, h->log_x && h->lo > 0};
}

/* ---- one histogram ---------------------------------------------------------------------------- */

static double highest(const double *v, size_t n, int cols)
{
    double *b = qs_xmalloc((size_t)cols * sizeof *b), m = 0;
    qs_plot_rebin(v, n, b, (size_t)cols);
    for (int i = 0; i < cols; i++) m = fmax(m, b[i]);
    free(b);
    return m;
}

/* The density, or the float values a quantized tensor was made of, are given a bin; as a line they need the middle of each
 * and the scale of the bars. */
static size_t line_over(const qs_ui *u, const double *bin, int cols, double **x, double **y)
{
    const qs_snap_hist *h = &u->s->hist;
    qs_axis a = x_axis(u);
    if (!bin) return 0;
    double per = h->bins > (size_t)cols ? (double)h->bins / cols : 1;
    *x = qs_xmalloc(h->bins * sizeof **x);
    *y = qs_xmalloc(h->bins * sizeof **y);
    for (size_t i = 0; i < h->bins; i++) {
        (*x)[i] = qs_axis_value(&a, ((double)i + 0.5) / (double)h->bins);
        (*y)[i] = bin[i] * per;
    }
    return h->bins;
}

static qs_ruler ruler_of(const qs_snap_quant *q, int role)
{
    return (qs_ruler){q->level, q->cut, q->nlevel, q->clip_lo, q->clip_hi, (unsigned char)role};
}

/* Of codes with scales, which have no quantizer here: the levels they came with. */
static qs_ruler own_ruler(const qs_snap_own *o)
{
    return (qs_ruler){o->level, NULL, o->nlevel, o->level[0], o->level[o->nlevel - 1], QS_ROLE_LEVEL};
}

static void title(const qs_ui *u, char *t, size_t size, int w);

static void draw_bars(qs_ui *u, qs_rect r, bool quantized, qs_rect *area)
{
    const qs_snap_hist *h = &u->s->hist;
    const qs_snap_quant *a = &u->s->a, *b = &u->s->b;
    int cols = r.w * qs_plot_bins_per_cell(u->cs), role = a->there ? qs_init_role(a->init) : QS_ROLE_LEVEL;
    double *dx = NULL, *dy = NULL;
    const double *other = u->s->versus.bins, *over = quantized ? NULL : other ? other : h->density;
    size_t nd = line_over(u, over, cols, &dx, &dy);
    const double *count = quantized ? a->qbins : h->count;
    double top = highest(count, h->bins, cols);
    if (other) top = fmax(top, highest(other, h->bins, cols));
    if (quantized && !u->hist.log_y && top > 0) top = fmax(top, highest(h->count, h->bins, cols));   /* the same scale */
    qs_series s[2] = {{.kind = QS_PLOT_BARS, .y = count, .n = h->bins, .role = (unsigned char)(quantized ? role : QS_ROLE_BARS),
                       .label = quantized ? _("quantized") : _("weights")},
                      {.kind = QS_PLOT_LINE, .x = dx, .y = dy, .n = nd, .role = other ? QS_ROLE_B : QS_ROLE_DENSITY,
                       .label = other ? _("float") : _("density")}};
    qs_ruler rulers[2];
    qs_limit limits[3];
    size_t nr = 0, nl = 0;
    if (a->there) {
        rulers[nr++] = ruler_of(a, role);
        limits[nl++] = (qs_limit){.label = _("clip"), .x = a->clip_lo, .ch = L'┊', .role = QS_ROLE_CLIP};
        limits[nl++] = (qs_limit){.x = a->clip_hi, .ch = L'┊', .role = QS_ROLE_CLIP};
    }
    if (!a->there && u->s->own.nlevel) rulers[nr++] = own_ruler(&u->s->own);
    if (b->there) rulers[nr++] = ruler_of(b, QS_ROLE_B);
    if (u->hist.cursor_on) limits[nl++] = (qs_limit){.x = u->hist.cursor, .ch = L'│', .role = QS_ROLE_CURSOR, .over = true};
    char name[700], paper_title[900];
    title(u, name, sizeof name, 60);
    if (a->there) snprintf(paper_title, sizeof paper_title, "%s  %s %s", name, a->format, a->init);
    else snprintf(paper_title, sizeof paper_title, "%s", name);
    const bool log_y = u->hist.log_y;
    const qs_axis tall = {log_y ? 0.5 : 0, top > 0 ? top * (log_y ? 1.3 : 1.04) : 1, log_y};
    qs_plot p = {.title = paper_title, .x_name = _("value"), .y_name = _("count"), .x = x_axis(u), .y = tall,
                 .series = s, .nseries = nd ? 2 : 1, .limit = limits, .nlimit = nl, .ruler = rulers, .nruler = nr,
                 .x_line = nr == 0, .x_labels = r.h >= 6};
    qs_ui_plot(u, &p, r, area);
    free(dx);
    free(dy);
}

/* ---- what is said around it ------------------------------------------------------------------------ */

/* As much as fits into w columns: the name always, then shape, type and count. */
static void title(const qs_ui *u, char *t, size_t size, int w)
{
    const qs_snapshot *s = u->s;
    char n[QS_FMT], ch[40] = "";
    qs_fmt_count(n, (double)s->n, 14);
    if (s->sel.channel >= 0) snprintf(ch, sizeof ch, _("  channel %ld"), s->sel.channel);
    char rest[200], name[300];
    for (int k = 0; k < 4; k++) {                              /* less and less beside the name */
        if (k == 0) snprintf(rest, sizeof rest, "  %s %s  n=%s%s", s->shape, s->dtype, n, ch);
        if (k == 1) snprintf(rest, sizeof rest, "  %s %s%s", s->shape, s->dtype, ch);
        if (k == 2) snprintf(rest, sizeof rest, "  %s%s", s->shape, ch);
        if (k == 3) snprintf(rest, sizeof rest, "%s", ch);
        const char *what = k < 3 ? _("Weights") : "", *gap = k < 3 ? "  " : "";
        int room = w - qs_text_width(rest) - qs_text_width(what) - qs_text_width(gap);
        qs_name_short(qs_tensor_label(s), room > 18 ? room : 18, name, sizeof name);
        snprintf(t, size, "%s%s%s%s", what, gap, name, rest);
        if (qs_text_width(t) <= w) return;
    }
    qs_name_short(qs_tensor_label(s), w - qs_text_width(ch), name, sizeof name);
    snprintf(t, size, "%s%s", name, ch);
}

/* A quantized tensor against the float one. */
static void draw_versus(qs_ui *u, qs_rect r, int y)
{
    const qs_snap_versus *v = &u->s->versus;
    char a[QS_FMT], b[QS_FMT], t[5][80];
    const struct { enum qs_num kind; double value; int role; } part[5] = {
        {QS_N_V_SQNR, v->sqnr, QS_ROLE_TEXT}, {QS_N_V_MSE, v->mse, QS_ROLE_TEXT}, {QS_N_V_LEVELS, (double)v->used, QS_ROLE_DIM},
        {QS_N_V_BITS, v->bpw, QS_ROLE_DIM}, {QS_N_V_MAX, v->max_abs, QS_ROLE_DIM},
    };
    snprintf(t[0], sizeof t[0], _("%s dB"), qs_fmt_fixed(a, v->sqnr, 2));
    snprintf(t[1], sizeof t[1], "%s %s", _("MSE"), qs_fmt_sig(a, v->mse, 4));
    if (v->levels) snprintf(t[2], sizeof t[2], _("%zu of %zu levels used"), v->used, v->levels);
    else if (v->used) snprintf(t[2], sizeof t[2], _("%zu values a row"), v->used);
    else *t[2] = '\0';
    snprintf(t[3], sizeof t[3], _("%s bits"), qs_fmt_fixed(b, v->bpw, 3));
    snprintf(t[4], sizeof t[4], "%s %s", _("max"), qs_fmt_sig(a, v->max_abs, 3));
    for (int i = 0, x = r.x; i < 5; i++) {
        int w = qs_text_width(t[i]);
        if (!w || x + w > r.x + r.w) continue;
        qs_ui_number(u, QS_V_HIST, y, x, w, t[i], part[i].kind, SIZE_MAX, part[i].value, part[i].role, 0);
        x += w + 3;
    }
}

static void draw_note(qs_ui *u, qs_rect r, int y)
{
    const qs_snap_quant *a = &u->s->a;
    char b[QS_FMT], c[QS_FMT], t[200];
    int x = r.x;
    if (!a->there) {
        const char *why = u->s->own.note ? u->s->own.note : u->s->reason ? u->s->reason : a->note;
        if (why) qs_cells_text(&u->g, y, x, r.w, why, u->s->own.note ? QS_ROLE_DIM : QS_ROLE_WARN, 0);
        return;
    }
    snprintf(t, sizeof t, "%s %s", _("step"), qs_fmt_sig(b, a->step, 5));
    qs_ui_number(u, QS_V_HIST, y, x, qs_text_width(t), t, QS_N_STEP, 0, a->step, qs_init_role(a->init), QS_BOLD);
    x += qs_text_width(t) + 3;
    snprintf(t, sizeof t, _("clip %s .. %s"), qs_fmt_sig(b, a->clip_lo, 4), qs_fmt_sig(c, a->clip_hi, 4));
    qs_ui_number(u, QS_V_HIST, y, x, qs_text_width(t), t, QS_N_CLIP, 0, a->clip_hi, QS_ROLE_CLIP, 0);
    x += qs_text_width(t) + 3;
    snprintf(t, sizeof t, _("%s levels, %s used"), qs_fmt_count(b, (double)a->levels, 7), qs_fmt_count(c, (double)a->used, 7));
    if (x + qs_text_width(t) <= r.x + r.w)
        qs_ui_number(u, QS_V_HIST, y, x, qs_text_width(t), t, QS_N_LEVELS, 0, (double)a->used, QS_ROLE_DIM, 0);
    x += qs_text_width(t) + 3;
    snprintf(t, sizeof t, _("%s dB"), qs_fmt_db(b, a->sqnr));
    if (x + qs_text_width(t) <= r.x + r.w)
        qs_ui_number(u, QS_V_HIST, y, x, qs_text_width(t), t, QS_N_SQNR, SIZE_MAX, a->sqnr, QS_ROLE_TEXT, 0);
}

static size_t bin_at(const qs_ui *u, double v)
{
    qs_axis a = x_axis(u);
    double t = qs_axis_at(&a, v);
    size_t n = u->s->hist.bins;
    if (!(t > 0)) return 0;
    return t >= 1 ? n - 1 : (size_t)(t * (double)n);
}

static void foot(const qs_ui *u, char *t, size_t size)
{
    const qs_snap_hist *h = &u->s->hist;
    char a[QS_FMT], b[QS_FMT], c[QS_FMT];
    qs_axis x = x_axis(u);
    t[0] = 0;
    if (u->hist.cursor_on) {
        size_t i = bin_at(u, u->hist.cursor);
        double lo = qs_axis_value(&x, (double)i / (double)h->bins), hi = qs_axis_value(&x, ((double)i + 1) / (double)h->bins);
        snprintf(t, size, _("%s values in %s .. %s"), qs_fmt_count(c, h->count[i], 14), qs_fmt_sig(a, lo, 4), qs_fmt_sig(b, hi, 4));
        return;
    }
    if (u->s->b.there) snprintf(t, size, _("B  %s · %s  step %s  %s dB"), u->s->b.format, u->s->b.init, qs_fmt_sig(a, u->s->b.step, 4),
                                qs_fmt_db(b, u->s->b.sqnr));
    else if (h->left_out > 0) snprintf(t, size, _("%s outliers not shown (0 shows all)"), qs_fmt_count(a, h->left_out, 9));
    else if (h->under + h->over > 0) snprintf(t, size, _("%s below, %s above"), qs_fmt_count(a, h->under, 9), qs_fmt_count(b, h->over, 9));
    if (h->skipped > 0) snprintf(t + strlen(t), size - strlen(t), _("  %s not finite"), qs_fmt_count(a, h->skipped, 9));
    const qs_snap_versus *v = &u->s->versus;
    const char *slash = strrchr(v->model, '/');
    if (*v->note && !t[0]) snprintf(t, size, _("float model: %s"), v->note);
    else if (*v->tensor && !t[0])
        snprintf(t, size, v->bins ? _("line: %.90s in %.90s") : _("against %.90s in %.90s"), v->tensor, slash ? slash + 1 : v->model);
    if (u->s->a.note && !t[0] && !u->s->own.note) snprintf(t, size, "%s", u->s->a.note);
}

/* The count under the cursor, where the frame shows it, can be explained. */
static void foot_number(qs_ui *u, qs_rect r)
{
    char c[QS_FMT];
    double n = u->s->hist.count[bin_at(u, u->hist.cursor)];
    qs_fmt_count(c, n, 14);
    qs_ui_number(u, QS_V_HIST, r.y + r.h - 1, r.x + 3, qs_text_width(c), c, QS_N_BIN, SIZE_MAX, n, QS_ROLE_CURSOR, QS_BOLD);
}

static void ask_bins(qs_ui *u, int w)
{
    qs_viewport v = u->vp;
    v.hist_bins = (size_t)(w < 1 ? 1 : w) * (size_t)qs_plot_bins_per_cell(u->cs);
    v.hist_lo = u->hist.lo;
    v.hist_hi = u->hist.hi;
    v.hist_log_x = u->hist.log_x;
    bool same = v.hist_bins == u->vp.hist_bins && v.hist_log_x == u->vp.hist_log_x &&
                (v.hist_lo == u->vp.hist_lo || (isnan(v.hist_lo) && isnan(u->vp.hist_lo))) &&
                (v.hist_hi == u->vp.hist_hi || (isnan(v.hist_hi) && isnan(u->vp.hist_hi)));
    if (same) return;
    u->vp = v;
    qs_board_set_viewport(u->o->board, &u->vp);
}

static void draw(qs_ui *u, qs_rect r)
{
    char t[700], f[300], right[80];
    bool have = usable(u);
    if (have) foot(u, f, sizeof f);
    bool two = r.w >= 100 && u->s && u->s->a.there && u->s->a.qbins;
    snprintf(right, sizeof right, "%s%s%s", u->hist.quant && !two ? _("quantized · ") : "", have && u->s->hist.zoomed ? _("zoom · ") : "",
             u->hist.log_y ? _("log y") : _("linear y"));
    if (u->s) title(u, t, sizeof t, r.w - 8 - qs_text_width(right));
    else snprintf(t, sizeof t, "%s", _("Weights"));
    qs_rect in = qs_ui_frame(u, QS_V_HIST, r, t, right, have ? f : NULL);
    if (have && u->hist.cursor_on) foot_number(u, r);
    in.x++;
    in.w -= 2;
    int each = two ? (in.w - 3) / 2 : in.w;
    ask_bins(u, each);
    if (!have) {
        const char *why = u->s && u->s->reason ? u->s->reason : "…";
        qs_cells_text(&u->g, in.y + in.h / 2, in.x + (in.w - qs_text_width(why)) / 2, in.w, why, QS_ROLE_DIM, 0);
        return;
    }
    bool versus = u->s->versus.there;
    int note = in.h < 5 ? 0 : versus && in.h >= 8 ? 2 : 1;
    qs_rect left = {in.y, in.x, in.h - note, each};
    bool quant = u->hist.quant && !two && u->s->a.there && u->s->a.qbins;
    draw_bars(u, left, quant, &u->hist.area);
    if (two) {
        qs_rect right_half = {in.y, in.x + in.w - each, in.h - note, each};
        draw_bars(u, right_half, true, NULL);
        for (int y = in.y; y < in.y + in.h - note; y++) qs_cells_put(&u->g, y, in.x + each + 1, L'│', QS_ROLE_FRAME, 0);
        qs_cells_right(&u->g, in.y, right_half.x, right_half.w, _("quantized"), QS_ROLE_DIM, 0);
    }
    if (note && versus) draw_versus(u, in, in.y + in.h - note);
    if (note > versus) draw_note(u, in, in.y + in.h - 1);
}

/* ---- keys ------------------------------------------------------------------------------------------- */

static void flip(qs_ui *u, int key)
{
    if (key == 'l') u->hist.log_y = !u->hist.log_y;
    if (key == 'L') u->hist.log_x = !u->hist.log_x;
    if (key == 'v') u->hist.quant = !u->hist.quant;
    qs_ui_touch(u);
}

static void cursor_to(qs_ui *u, int col)
{
    qs_rect a = u->hist.area;
    if (!usable(u) || a.w < 1) return;
    qs_axis x = x_axis(u);
    if (col < a.x) col = a.x;
    if (col >= a.x + a.w) col = a.x + a.w - 1;
    u->hist.cursor = qs_plot_at_column(&x, a, col);
    u->hist.cursor_on = true;
    qs_ui_touch(u);
}

static void toggle_cursor(qs_ui *u, int key)
{
    (void)key;
    if (u->hist.cursor_on) u->hist.cursor_on = false;
    else cursor_to(u, u->hist.area.x + u->hist.area.w / 2);
    qs_ui_touch(u);
}

/* A bin to the left or right; without a cursor the arrows move the step, as everywhere. */
static void cursor_by(qs_ui *u, int key)
{
    if (!u->hist.cursor_on) { qs_keys_run(&qs_keys_global, u, key); return; }
    if (!usable(u)) return;
    qs_axis x = x_axis(u);
    size_t n = u->s->hist.bins, i = bin_at(u, u->hist.cursor);
    if (key == QS_K_LEFT && i > 0) i--;
    if (key == QS_K_RIGHT && i + 1 < n) i++;
    if (key == QS_K_HOME) i = 0;
    if (key == QS_K_END) i = n - 1;
    u->hist.cursor = qs_axis_value(&x, ((double)i + 0.5) / (double)n);
    qs_ui_touch(u);
}

static void set_range(qs_ui *u, double lo, double hi)
{
    if (!(hi - lo > 1e-12 * fmax(fabs(lo), fabs(hi)))) return;
    u->hist.lo = lo;
    u->hist.hi = hi;
    qs_ui_touch(u);
}

static void zoom(qs_ui *u, int key)
{
    if (!usable(u)) return;
    double lo = u->s->hist.lo, hi = u->s->hist.hi, w = hi - lo, mid = u->hist.cursor_on ? u->hist.cursor : (lo + hi) / 2;
    switch (key) {
    case 'z': set_range(u, mid - w / 4, mid + w / 4); break;
    case 'Z': set_range(u, mid - w, mid + w); break;
    case '<': set_range(u, lo - w / 4, hi - w / 4); break;
    case '>': set_range(u, lo + w / 4, hi + w / 4); break;
    case '0': set_range(u, u->s->min, u->s->max); break;
    default: u->hist.lo = u->hist.hi = NAN;
    }
    qs_ui_touch(u);
}

static void leave(qs_ui *u, int key)
{
    if (u->hist.cursor_on) u->hist.cursor_on = false;
    else if (!isnan(u->hist.lo)) u->hist.lo = u->hist.hi = NAN;
    else qs_keys_run(&qs_keys_global, u, key);
    qs_ui_touch(u);
}

static void click(qs_ui *u, int y, int x) { (void)y; cursor_to(u, x); }
static void wheel(qs_ui *u, int by) { zoom(u, by < 0 ? 'z' : 'Z'); }

static const qs_key keys[] = {
    {{'l', 'L'}, "l", N_("log"), N_("logarithmic counts (L: logarithmic values)"), flip, QS_KEY_FITS},
    {{'z', 'Z'}, "z Z", N_("zoom"), N_("zooms in and out, around the cursor if there is one"), zoom, QS_KEY_FITS},
    {{'<', '>'}, "< >", NULL, N_("to the left, to the right"), zoom, QS_KEY_FITS},
    {{'0', 'a'}, "0 a", NULL, N_("the whole range with all outliers; a: the range chosen by itself"), zoom, QS_KEY_FITS},
    {{'x'}, "x", N_("cursor"), N_("a cursor that shows the exact count; ← → move it, x or Esc takes it away"), toggle_cursor, QS_KEY_FITS},
    {{QS_K_LEFT, QS_K_RIGHT, QS_K_HOME, QS_K_END}, "← →", NULL, N_("the cursor, bin by bin; without it the step"), cursor_by, QS_KEY_FITS},
    {{'v'}, "v", N_("quantized"), N_("the quantized values in place of the weights (side by side where there is room)"), flip, QS_KEY_FITS},
    {{QS_K_ESC}, "Esc", NULL, N_("no cursor, no zoom"), leave, QS_KEY_FITS},
};
const qs_view qs_view_hist = {"hist", N_("Weights"), {N_("Weights"), keys, sizeof keys / sizeof *keys}, draw, click, wheel};
