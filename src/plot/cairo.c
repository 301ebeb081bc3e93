/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Plots on a page, by cairo, which is known in this file only. All lengths are in units of the page; `em`, the size of
 * the numbers at the axes, is what everything else is measured by.
 */
#include "plot/paper.h"

#include <cairo-pdf.h>
#include <cairo-svg.h>
#include <cairo.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "plot/color.h"

#ifdef __SANITIZE_ADDRESS__
/* What fontconfig has read of the system's fonts it keeps to the end; that is no leak of ours, and nothing to talk about. */
#define SEEN __attribute__((visibility("default")))
SEEN const char *__lsan_default_suppressions(void);
SEEN const char *__lsan_default_options(void);
const char *__lsan_default_options(void) { return "print_suppressions=0"; }
const char *__lsan_default_suppressions(void) { return "leak:libfontconfig"; }
#endif

const char qs_paper_endings[] = ".svg, .pdf or .png";

enum kind { SVG, PDF, PNG, KINDS };
static const char *const endings[KINDS] = {".svg", ".pdf", ".png"};

struct qs_paper {
    cairo_surface_t *surface;
    cairo_t *cr;
    enum kind kind;
    double w, h, em;
    char *path;
    const char *family;
    char *own_family;
    bool fresh, lost;             /* lost: no memory for what cairo gave */
    qs_str out, words, title;     /* the file; what is written on it; its first title */
};

typedef struct box { double x, y, w, h; } box;

/* ---- a page ------------------------------------------------------------------------------ */

static cairo_status_t take(void *ctx, const unsigned char *data, unsigned int n)
{
    qs_paper *pp = ctx;
    qs_str_addn(&pp->out, (const char *)data, n);
    return CAIRO_STATUS_SUCCESS;
}

static enum kind kind_of(const char *path)
{
    enum kind k = SVG;
    while (k < KINDS && !qs_ends_in(path, endings[k])) k++;
    return k;
}

bool qs_paper_knows(const char *path) { return kind_of(path) < KINDS; }

static double sized(double v, double otherwise) { return v > 0 || v < 0 || isnan(v) ? v : otherwise; }

static int check_size(const qs_paper *pp, qs_err *err)
{
    const struct { const char *name; double v, lo, hi; } of[] = {
        {"width", pp->w, 64, 16384}, {"height", pp->h, 64, 16384}, {"font", pp->em, 4, 400}};
    for (size_t i = 0; i < 3; i++)
        if (!(of[i].v >= of[i].lo && of[i].v <= of[i].hi))
            return qs_fail(err, QS_EARG, _("%s: %s should be %g to %g, got %g"), pp->path, of[i].name, of[i].lo, of[i].hi, of[i].v);
    return 0;
}

static void begin(qs_paper *pp)
{
    if (pp->kind == SVG) pp->surface = cairo_svg_surface_create_for_stream(take, pp, pp->w, pp->h);
    else if (pp->kind == PDF) pp->surface = cairo_pdf_surface_create_for_stream(take, pp, pp->w, pp->h);
    else pp->surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)lround(pp->w), (int)lround(pp->h));
    pp->cr = cairo_create(pp->surface);
    cairo_set_source_rgb(pp->cr, 1, 1, 1);
    cairo_paint(pp->cr);
    cairo_set_line_join(pp->cr, CAIRO_LINE_JOIN_ROUND);
    cairo_set_line_cap(pp->cr, CAIRO_LINE_CAP_BUTT);
}

qs_paper *qs_paper_new(const char *path, const qs_paper_opts *o, qs_err *err)
{
    static const qs_paper_opts plain;
    enum kind k = kind_of(path);
    if (k == KINDS) {
        qs_fail(err, QS_EARG, _("%s: the name of a picture must end in %s"), path, qs_paper_endings);
        return NULL;
    }
    if (!o) o = &plain;
    qs_paper *pp = qs_xcalloc(1, sizeof *pp);
    double by = k == PNG ? 2 : 1;
    *pp = (qs_paper){.kind = k, .w = sized(o->width, 960 * by), .h = sized(o->height, 540 * by), .path = qs_xstrdup(path), .fresh = o->fresh};
    pp->em = sized(o->font, fmax(4, pp->h / 30));
    pp->family = pp->own_family = qs_xstrdup(o->family && *o->family ? o->family : "sans");
    if (check_size(pp, err)) {
        qs_paper_free(pp);
        return NULL;
    }
    begin(pp);
    return pp;
}

void qs_paper_free(qs_paper *pp)
{
    if (!pp) return;
    if (pp->cr) cairo_destroy(pp->cr);
    if (pp->surface) cairo_surface_destroy(pp->surface);
    free(pp->path);
    free(pp->own_family);
    free(pp->out.s);
    free(pp->words.s);
    free(pp->title.s);
    free(pp);
}

static void add_escaped(qs_str *b, const char *s)
{
    static const struct { char c; const char *to; } odd[] = {{'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}};
    for (; *s; s++) {
        const char *to = NULL;
        for (size_t i = 0; i < 3; i++)
            if (odd[i].c == *s) to = odd[i].to;
        if (to) qs_str_add(b, to);
        else qs_str_addn(b, s, 1);
    }
}

/* What is drawn as outlines once more as text, for readers that see none, and for searches. */
static void add_words(qs_paper *pp)
{
    char *tag = pp->out.s ? strstr(pp->out.s, "<svg") : NULL, *end = tag ? strchr(tag, '>') : NULL;
    if (!end) return;
    qs_str b = {0};
    size_t at = (size_t)(end + 1 - pp->out.s);
    qs_str_addn(&b, pp->out.s, at);
    qs_str_add(&b, "\n<title>");
    add_escaped(&b, pp->title.s ? pp->title.s : "quantscope");
    qs_str_add(&b, "</title>\n<desc>");
    add_escaped(&b, pp->words.s ? pp->words.s : "");
    qs_str_add(&b, "</desc>");
    qs_str_addn(&b, pp->out.s + at, pp->out.n - at);
    free(pp->out.s);
    pp->out = b;
}

int qs_paper_close(qs_paper *pp, qs_err *err)
{
    cairo_status_t st = cairo_status(pp->cr);
    if (pp->kind == PDF) {
        cairo_pdf_surface_set_metadata(pp->surface, CAIRO_PDF_METADATA_TITLE, pp->title.s ? pp->title.s : "quantscope");
        cairo_show_page(pp->cr);
    }
    if (!st && pp->kind == PNG) st = cairo_surface_write_to_png_stream(pp->surface, take, pp);
    cairo_surface_finish(pp->surface);
    if (!st) st = cairo_surface_status(pp->surface);
    if (!st && pp->kind == SVG) add_words(pp);
    int rc = st ? qs_fail(err, st == CAIRO_STATUS_NO_MEMORY ? QS_ENOMEM : QS_EIO, "%s: %s", pp->path, cairo_status_to_string(st))
                : qs_file_write(pp->path, pp->out.s, pp->out.n, pp->fresh, err);
    qs_paper_free(pp);
    return rc;
}

int qs_plot_save(const qs_plot *p, const char *path, const qs_paper_opts *o, qs_err *err)
{
    qs_paper *pp = qs_paper_new(path, o, err);
    if (!pp) return err ? -err->code : -QS_EARG;
    qs_paper_plot(pp, p, 0, 0, 1, 1);
    return qs_paper_close(pp, err);
}

/* ---- ink ----------------------------------------------------------------------------------- */

static void ink(qs_paper *pp, uint32_t rgb, double alpha)
{
    cairo_set_source_rgba(pp->cr, (rgb >> 16 & 255) / 255.0, (rgb >> 8 & 255) / 255.0, (rgb & 255) / 255.0, alpha);
}

static void role_ink(qs_paper *pp, int role, double alpha) { ink(pp, qs_color_of(role).paper, alpha); }

static void stroke(qs_paper *pp, double x0, double y0, double x1, double y1, double width)
{
    cairo_set_line_width(pp->cr, width);
    cairo_move_to(pp->cr, x0, y0);
    cairo_line_to(pp->cr, x1, y1);
    cairo_stroke(pp->cr);
}

static void dashes(qs_paper *pp, double on)
{
    const double d[2] = {on, on};
    cairo_set_dash(pp->cr, d, on > 0 ? 2 : 0, 0);
}

/* As it can be drawn: whole UTF-8, no control characters. malloc'd. */
static char *clean(const char *s)
{
    qs_str b = {0};
    char c8[5];
    qs_str_add(&b, "");
    for (wchar_t c; (c = qs_utf8_next(&s));) qs_str_addn(&b, c8, qs_utf8_put(c < 32 || (c >= 127 && c < 160) ? L'?' : c, c8));
    return b.s;
}

static void font(qs_paper *pp, double size, bool bold)
{
    cairo_select_font_face(pp->cr, pp->family, CAIRO_FONT_SLANT_NORMAL, bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_font_size(pp->cr, size);
}

static double text_width(qs_paper *pp, const char *s)
{
    cairo_text_extents_t e;
    char *t = clean(s);
    cairo_text_extents(pp->cr, t, &e);
    free(t);
    return e.x_advance;
}

/* Text on the line y; at: 0 begins at x, 0.5 in the middle of it, 1 ends there. What is wider than most loses its end. */
static void text(qs_paper *pp, const char *s, double x, double y, double at, double most)
{
    char *t = clean(s);
    size_t n = strlen(t);
    double w = text_width(pp, t);
    while (w > most && n > 0) {
        while (n > 0 && ((unsigned char)t[--n] & 0xC0) == 0x80) {}
        t[n] = 0;
        char *shorter = qs_xasprintf("%s…", t);
        w = text_width(pp, shorter);
        if (w <= most || n == 0) { free(t); t = shorter; break; }
        free(shorter);
    }
    cairo_move_to(pp->cr, x - at * w, y);
    cairo_show_text(pp->cr, t);
    if (*t) qs_str_addf(&pp->words, "%s%s", pp->words.n ? "\n" : "", t);
    free(t);
}

static void text_up(qs_paper *pp, const char *s, double x, double y, double most)
{
    cairo_save(pp->cr);
    cairo_translate(pp->cr, x, y);
    cairo_rotate(pp->cr, -M_PI / 2);
    text(pp, s, 0, 0, 0.5, most);
    cairo_restore(pp->cr);
}

/* ---- where the parts stand --------------------------------------------------------------------- */

enum { TICKS = 32, MARKER_ROWS = 6, HUGE_STEP = 1 << 24 };

typedef struct ticks { double v[TICKS]; size_t n; char label[TICKS][24]; } ticks;

/* A plot on its part of the page. */
typedef struct sheet {
    qs_paper *pp;
    const qs_plot *p;
    box all, in;             /* its part; the data's */
    double em, line;         /* size of the numbers, width of a line */
    ticks x, y;
    bool usable;
    double legend_y, x_labels_y, rulers_y, markers_y, x_name_y;   /* base lines, or tops */
    int marker_rows;
    double ends;             /* width of the names at the ends of lines */
    double *marker_x;        /* (nmarker) where its label begins; NAN: it has none */
    int *marker_row;
} sheet;

/* of: the plot whose x it is; NULL: another axis. */
static void make_ticks(const qs_plot *of, const qs_axis *a, double room, ticks *t)
{
    size_t most = room < 2 ? 2 : room > TICKS ? TICKS : (size_t)room;
    t->n = of ? qs_plot_x_ticks(of, most, t->v) : qs_axis_ticks(a, most, t->v);
    for (size_t i = 0; i < t->n; i++) qs_axis_label(a, t->v, t->n, t->v[i], t->label[i], sizeof t->label[i]);
}

static double widest(qs_paper *pp, const ticks *t)
{
    double w = 0;
    for (size_t i = 0; i < t->n; i++) w = fmax(w, text_width(pp, t->label[i]));
    return w;
}

static double px(const sheet *s, double v)
{
    double t = qs_axis_at(&s->p->x, v);
    return isnan(t) ? NAN : s->in.x + fmin(fmax(t, -50), 50) * s->in.w;
}

static double py(const sheet *s, double v)
{
    double t = qs_axis_at(&s->p->y, v);
    return isnan(t) ? NAN : s->in.y + (1 - fmin(fmax(t, -50), 50)) * s->in.h;
}

/* ---- legend ---------------------------------------------------------------------------------------- */

static void sample(sheet *s, const qs_series *e, double x, double y)
{
    double em = s->em;
    role_ink(s->pp, e->role, 1);
    if (e->kind == QS_PLOT_LINE) {
        stroke(s->pp, x, y - 0.3 * em, x + 1.4 * em, y - 0.3 * em, s->line * 1.6);
    } else if (e->kind == QS_PLOT_POINTS) {
        cairo_arc(s->pp->cr, x + 0.7 * em, y - 0.3 * em, 0.28 * em, 0, 2 * M_PI);
        cairo_fill(s->pp->cr);
    } else {
        if (e->kind == QS_PLOT_BAND) role_ink(s->pp, e->role, 0.25);
        cairo_rectangle(s->pp->cr, x, y - 0.65 * em, 1.4 * em, 0.7 * em);
        cairo_fill(s->pp->cr);
    }
}

/* Lays the legend out in rows; draws it where draw is set. Returns its height. */
static double legend(sheet *s, bool draw)
{
    const qs_plot *p = s->p;
    size_t n = qs_plot_labels(p), most = 4;
    double em = s->em, x = s->in.x, row = 1.35 * em, end = s->all.x + s->all.w - em;
    size_t rows = n ? 1 : 0;
    font(s->pp, 0.9 * em, false);
    for (size_t i = 0; i < n; i++) {
        const qs_series *e = qs_plot_labelled(p, i);
        double w = text_width(s->pp, e->label) + 1.8 * em;
        if (x > s->in.x && x + w > end) {
            if (rows == most) break;
            rows++;
            x = s->in.x;
        }
        double y = s->legend_y + row * ((double)rows - 1);
        if (draw) {
            sample(s, e, x, y);
            role_ink(s->pp, QS_ROLE_TEXT, 1);
            text(s->pp, e->label, x + 1.8 * em, y, 0, end - x - 1.8 * em);
        }
        x += w + 1.2 * em;
    }
    return row * (double)rows;
}

/* ---- markers -------------------------------------------------------------------------------------------- */

/* Gives the labels rows under the axis where they do not touch; the strong ones first. */
static void place_markers(sheet *s)
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
            font(s->pp, 0.8 * s->em, m->strong);
            double w = text_width(s->pp, m->label), x = px(s, m->x) - w / 2;
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

static void draw_markers(sheet *s)
{
    const qs_plot *p = s->p;
    double base = s->in.y + s->in.h, em = s->em, row = 1.05 * em;
    for (size_t i = 0; i < p->nmarker; i++) {
        const qs_marker *m = &p->marker[i];
        double t = qs_axis_at(&p->x, m->x), x = px(s, m->x);
        if (!(t >= 0 && t <= 1)) continue;
        double y = s->markers_y + row * (s->marker_row[i] + 0.75);
        role_ink(s->pp, m->role, m->strong ? 0.9 : 0.45);
        dashes(s->pp, m->strong ? 0 : 0.2 * em);
        stroke(s->pp, x, s->in.y, x, isnan(s->marker_x[i]) ? base : y - 0.62 * em, s->line * (m->strong ? 0.9 : 0.6));
        dashes(s->pp, 0);
        role_ink(s->pp, m->role, 1);
        if (m->strong) {
            cairo_arc(s->pp->cr, x, base, 0.32 * em, 0, 2 * M_PI);
        } else {
            cairo_move_to(s->pp->cr, x, base - 0.3 * em);
            cairo_line_to(s->pp->cr, x - 0.3 * em, base + 0.3 * em);
            cairo_line_to(s->pp->cr, x + 0.3 * em, base + 0.3 * em);
            cairo_close_path(s->pp->cr);
        }
        cairo_fill(s->pp->cr);
        if (isnan(s->marker_x[i])) continue;
        font(s->pp, 0.8 * em, m->strong);
        text(s->pp, m->label, s->marker_x[i], y, 0, s->all.w);
    }
}

/* ---- names at the ends of lines ----------------------------------------------------------------------------- */

static double ends_width(sheet *s)
{
    double w = 0;
    if (s->p->end_part > 0) return s->p->end_part * s->all.w;
    font(s->pp, 0.75 * s->em, true);
    for (size_t i = 0; i < s->p->nseries; i++)
        if (s->p->series[i].end) w = fmax(w, text_width(s->pp, s->p->series[i].end));
    return w > 0 ? fmin(w, 0.3 * s->all.w) + 0.8 * s->em : 0;
}

/* Where the line of e ends; false: it has no point. */
static bool line_end(const sheet *s, const qs_series *e, double *x, double *y)
{
    for (size_t k = e->n; k-- > 0;) {
        *x = px(s, e->x[k]);
        *y = py(s, e->y[k]);
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
static void draw_ends(sheet *s)
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
            role_ink(s->pp, e->role, 0.4);
            stroke(s->pp, x, fmin(fmax(y, s->in.y), s->in.y + s->in.h), right + 0.3 * em, mid, s->line * 0.5);
            role_ink(s->pp, e->role, 1);
            font(s->pp, em, bold);
            text(s->pp, e->end, right + 0.5 * em, mid + 0.35 * em, 0, s->ends - 0.4 * em);
        }
    free(used);
}

/* ---- layout ------------------------------------------------------------------------------------------------ */

static double names_width(qs_paper *pp, const char *const *names, size_t n)
{
    double w = 0;
    char b[64];
    for (size_t i = 0; i < n && i < 4096; i++) {
        qs_heat_name(names, names || i + 1 == n ? i : n - 1, b, sizeof b);
        w = fmax(w, text_width(pp, b));
    }
    return w;
}

static void lay_out(sheet *s)
{
    const qs_plot *p = s->p;
    const qs_heat *h = p->heat;
    double em = s->em, top = s->all.y + 0.7 * em, bottom = s->all.y + s->all.h - 0.6 * em;
    double left = s->all.x + 0.7 * em, right = s->all.x + s->all.w - 1.2 * em;
    if (p->title && *p->title) top += 1.7 * em;
    if (p->x_name && *p->x_name) bottom -= 1.3 * em;
    s->x_name_y = bottom + 1.0 * em;
    if (p->y_name && *p->y_name && !h) left += 1.4 * em;
    font(s->pp, em, false);
    make_ticks(NULL, h ? &h->scale : &p->y, s->all.h / (2.4 * em), &s->y);
    double numbers = widest(s->pp, &s->y) + 0.6 * em;
    if (h) {
        font(s->pp, 0.9 * em, false);
        right -= numbers + 1.8 * em + (p->y_name && *p->y_name ? 1.4 * em : 0);
        numbers = fmin(names_width(s->pp, h->row, h->rows), s->all.w / 4) + 0.6 * em;
    }
    s->ends = ends_width(s);
    right -= s->ends;
    left += numbers;
    s->in = (box){left, top, right - left, bottom - top};
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
    s->in = (box){left, top + 0.3 * em, right - left, bottom - top - 0.3 * em};
    s->usable = s->in.w > 3 * em && s->in.h > 2 * em && (h ? h->rows && h->cols : qs_axis_ok(&p->x) && qs_axis_ok(&p->y));
    if (!s->usable) return;
    font(s->pp, em, false);
    make_ticks(p, &p->x, s->in.w / (4.5 * em), &s->x);
    make_ticks(NULL, h ? &h->scale : &p->y, s->in.h / (2 * em), &s->y);
}

/* ---- axes ----------------------------------------------------------------------------------------------------- */

static void draw_grid(sheet *s)
{
    ink(s->pp, 0xE4E4E4, 1);
    for (size_t i = 0; i < s->x.n; i++) stroke(s->pp, px(s, s->x.v[i]), s->in.y, px(s, s->x.v[i]), s->in.y + s->in.h, s->line * 0.6);
    for (size_t i = 0; i < s->y.n; i++) stroke(s->pp, s->in.x, py(s, s->y.v[i]), s->in.x + s->in.w, py(s, s->y.v[i]), s->line * 0.6);
}

static void draw_axes(sheet *s)
{
    double em = s->em, base = s->in.y + s->in.h, used = -INFINITY;
    role_ink(s->pp, QS_ROLE_FRAME, 1);
    stroke(s->pp, s->in.x, s->in.y, s->in.x, base, s->line);
    stroke(s->pp, s->in.x, base, s->in.x + s->in.w, base, s->line);
    role_ink(s->pp, QS_ROLE_DIM, 1);
    font(s->pp, em, false);
    for (size_t i = 0; i < s->y.n; i++) {
        double y = py(s, s->y.v[i]);
        stroke(s->pp, s->in.x - 0.3 * em, y, s->in.x, y, s->line);
        text(s->pp, s->y.label[i], s->in.x - 0.5 * em, y + 0.35 * em, 1, s->in.w);
    }
    for (size_t i = 0; i < s->x.n; i++) {
        double x = px(s, s->x.v[i]), w = text_width(s->pp, s->x.label[i]);
        stroke(s->pp, x, base, x, base + 0.3 * em, s->line);
        if (x - w / 2 < used + 0.5 * em) continue;
        text(s->pp, s->x.label[i], x, s->x_labels_y, 0.5, s->in.w);
        used = x + w / 2;
    }
}

static void draw_names(sheet *s)
{
    const qs_plot *p = s->p;
    double em = s->em, mid = s->in.x + s->in.w / 2;
    role_ink(s->pp, QS_ROLE_TITLE, 1);
    if (p->title && *p->title) {
        font(s->pp, 1.15 * em, true);
        text(s->pp, p->title, s->all.x + s->all.w / 2, s->all.y + 1.6 * em, 0.5, s->all.w - 2 * em);
        char *t = clean(p->title);
        if (!s->pp->title.n) qs_str_add(&s->pp->title, t);
        free(t);
    }
    role_ink(s->pp, QS_ROLE_TEXT, 1);
    font(s->pp, em, false);
    if (p->x_name && *p->x_name) text(s->pp, p->x_name, mid, s->x_name_y, 0.5, s->all.w - 2 * em);
    if (p->y_name && *p->y_name)
        text_up(s->pp, p->y_name, p->heat ? s->all.x + s->all.w - 0.6 * em : s->all.x + 1.5 * em, s->in.y + s->in.h / 2, s->all.h - 2 * em);
}

/* ---- data -------------------------------------------------------------------------------------------------------- */

/* All bars as one shape. They are equal on the axis, whatever it is. */
static void draw_bars(sheet *s, const qs_series *e)
{
    double base = s->in.y + s->in.h, each = s->in.w / (double)e->n;
    cairo_move_to(s->pp->cr, s->in.x, base);
    for (size_t i = 0; i < e->n; i++) {
        double y = e->y[i] > 0 || !s->p->y.log ? py(s, e->y[i]) : base;
        if (isnan(y)) y = base;
        y = fmin(fmax(y, s->in.y - s->em), base);
        cairo_line_to(s->pp->cr, s->in.x + each * (double)i, y);
        cairo_line_to(s->pp->cr, s->in.x + each * ((double)i + 1), y);
    }
    cairo_line_to(s->pp->cr, s->in.x + s->in.w, base);
    cairo_close_path(s->pp->cr);
    role_ink(s->pp, e->role, 1);
    cairo_fill(s->pp->cr);
}

/* Of the points that share a column of the page only the first, lowest, highest and last are drawn. */
typedef struct column { bool some; long at; double first, low, high, last, x; } column;

static void column_out(sheet *s, column *c, bool *down)
{
    const double y[4] = {c->first, c->low, c->high, c->last};
    for (int i = 0; c->some && i < 4; i++) {
        if (i && y[i] == y[i - 1]) continue;
        if (*down) cairo_line_to(s->pp->cr, c->x, y[i]);
        else cairo_move_to(s->pp->cr, c->x, y[i]);
        *down = true;
    }
    c->some = false;
}

static void draw_line(sheet *s, const qs_series *e)
{
    bool down = false, thin = (double)e->n > 4 * s->in.w;
    column c = {0};
    for (size_t i = 0; i < e->n; i++) {
        double x = px(s, e->x[i]), y = py(s, e->y[i]);
        if (isnan(x) || isnan(y)) {
            column_out(s, &c, &down);
            down = false;
            continue;
        }
        long at = lround(x * 2);
        if (c.some && (!thin || at != c.at)) column_out(s, &c, &down);
        if (!c.some) c = (column){true, at, y, y, y, y, x};
        c.low = fmax(c.low, y);
        c.high = fmin(c.high, y);
        c.last = y;
    }
    column_out(s, &c, &down);
    role_ink(s->pp, e->role, 1);
    cairo_set_line_width(s->pp->cr, s->line * (e->attr & QS_BOLD ? 2.2 : 1.6));
    cairo_stroke(s->pp->cr);
}

/* A line of one value, or with gaps on both sides of it, is a point. */
static void draw_lonely(sheet *s, const qs_series *e)
{
    role_ink(s->pp, e->role, 1);
    for (size_t i = 0; i < e->n; i++) {
        bool before = i > 0 && !isnan(px(s, e->x[i - 1]) + py(s, e->y[i - 1]));
        bool after = i + 1 < e->n && !isnan(px(s, e->x[i + 1]) + py(s, e->y[i + 1]));
        double x = px(s, e->x[i]), y = py(s, e->y[i]);
        if (before || after || isnan(x + y)) continue;
        cairo_arc(s->pp->cr, x, y, s->line * 1.6, 0, 2 * M_PI);
        cairo_fill(s->pp->cr);
    }
}

/* A point that lies on one that is drawn already is not drawn again, and many are small squares: a million stay a picture
 * that can be opened. */
static void draw_points(sheet *s, const qs_series *e)
{
    enum { MANY = 5000, AT_ONCE = 1000 };
    bool many = e->n > MANY;
    double r = s->em * (many ? 0.08 : e->n > 200 ? 0.16 : 0.24), per = many ? 1 / (1.5 * r) : 2;   /* places a unit of length */
    size_t cols = (size_t)(s->in.w * per) + 2, rows = (size_t)(s->in.h * per) + 2, drawn = 0;
    unsigned char *seen = qs_xcalloc(cols * rows / 8 + 1, 1);
    role_ink(s->pp, e->role, 1);
    for (size_t i = 0; i < e->n; i++) {
        double tx = qs_axis_at(&s->p->x, e->x[i]), ty = qs_axis_at(&s->p->y, e->y[i]);
        if (!(tx >= 0 && tx <= 1 && ty >= 0 && ty <= 1)) continue;
        size_t at = (size_t)(ty * s->in.h * per) * cols + (size_t)(tx * s->in.w * per);
        if (seen[at / 8] >> at % 8 & 1) continue;
        seen[at / 8] = (unsigned char)(seen[at / 8] | 1 << at % 8);
        double x = px(s, e->x[i]), y = py(s, e->y[i]);
        if (many) cairo_rectangle(s->pp->cr, x - r, y - r, 2 * r, 2 * r);
        else cairo_arc(s->pp->cr, x, y, r, 0, 2 * M_PI);
        if (!many || ++drawn % AT_ONCE == 0) cairo_fill(s->pp->cr);
    }
    cairo_fill(s->pp->cr);
    free(seen);
}

static void draw_band(sheet *s, const qs_series *e)
{
    role_ink(s->pp, e->role, 0.25);
    for (size_t i = 0; i < e->n;) {
        size_t n = i;
        while (n < e->n && !isnan(px(s, e->x[n]) + py(s, e->y[n]) + py(s, e->y2[n]))) n++;
        if (n == i) { i++; continue; }
        for (size_t k = i; k < n; k++) cairo_line_to(s->pp->cr, px(s, e->x[k]), py(s, e->y[k]));
        for (size_t k = n; k-- > i;) cairo_line_to(s->pp->cr, px(s, e->x[k]), py(s, e->y2[k]));
        cairo_close_path(s->pp->cr);
        cairo_fill(s->pp->cr);
        i = n;
    }
}

static void draw_series(sheet *s)
{
    for (size_t i = 0; i < s->p->nseries; i++) {
        const qs_series *e = &s->p->series[i];
        if (!e->n) continue;
        if (e->kind == QS_PLOT_BARS) draw_bars(s, e);
        else if (e->kind == QS_PLOT_POINTS) draw_points(s, e);
        else if (e->kind == QS_PLOT_BAND) draw_band(s, e);
        else { draw_line(s, e); draw_lonely(s, e); }
    }
}

static bool inside(const sheet *s, double v)
{
    double t = qs_axis_at(&s->p->x, v);
    return t >= 0 && t <= 1;
}

static void draw_limits(sheet *s)
{
    double base = s->in.y + s->in.h, em = s->em;
    for (size_t i = 0; i < s->p->nlimit; i++) {
        const qs_limit *l = &s->p->limit[i];
        if (!inside(s, l->x)) continue;
        double x = px(s, l->x);
        bool right = qs_axis_at(&s->p->x, l->x) < 0.75;
        role_ink(s->pp, l->role, 1);
        dashes(s->pp, l->over ? 0 : 0.4 * em);
        stroke(s->pp, x, s->in.y, x, base, s->line);
        dashes(s->pp, 0);
        if (!l->label || !*l->label) continue;
        font(s->pp, 0.85 * em, false);
        text(s->pp, l->label, right ? x + 0.3 * em : x - 0.3 * em, s->in.y + (0.8 + 1.0 * (double)(i % 4)) * em, right ? 0 : 1, s->in.w / 3);
    }
}

/* Levels, as thin lines through the data where there are few, and on a rule of their own under it. */
static void draw_rulers(sheet *s)
{
    double em = s->em, y = s->rulers_y + 0.75 * em, end = s->in.x + s->in.w;
    for (size_t i = 0; i < s->p->nruler; i++, y += 1.15 * em) {
        const qs_ruler *u = &s->p->ruler[i];
        role_ink(s->pp, QS_ROLE_CUT, 1);
        dashes(s->pp, 0.3 * em);
        stroke(s->pp, s->in.x, y, end, y, s->line);
        dashes(s->pp, 0);
        double from = fmin(fmax(px(s, u->lo), s->in.x), end), to = fmin(fmax(px(s, u->hi), s->in.x), end);
        role_ink(s->pp, u->role, 1);
        if (to > from) stroke(s->pp, from, y, to, y, s->line * 1.6);
        size_t seen = 0;
        for (size_t k = 0; k < u->n; k++) seen += inside(s, u->level[k]);
        double each = s->in.w / (double)(seen ? seen : 1);
        for (size_t k = 0; k < u->n && each > s->line * 2; k++)
            if (inside(s, u->level[k])) stroke(s->pp, px(s, u->level[k]), y - 0.4 * em, px(s, u->level[k]), y + 0.4 * em, s->line * (each > 0.5 * em ? 1.6 : 0.8));
        role_ink(s->pp, QS_ROLE_CUT, 1);
        for (size_t k = 0; u->cut && k + 1 < u->n && each > 1.2 * em; k++)
            if (inside(s, u->cut[k])) stroke(s->pp, px(s, u->cut[k]), y, px(s, u->cut[k]), y + 0.35 * em, s->line);
        role_ink(s->pp, u->role, 0.5);
        for (size_t k = 0; k < u->n && s->p->nruler == 1 && each > 0.8 * em; k++)
            if (inside(s, u->level[k])) stroke(s->pp, px(s, u->level[k]), s->in.y, px(s, u->level[k]), s->in.y + s->in.h, s->line * 0.6);
    }
}

/* ---- heat maps ---------------------------------------------------------------------------------------------------------- */

/* The matrix as a picture of one pixel a value, which cairo stretches: one element, however many values. */
static void paint_matrix(sheet *s, const qs_heat *h)
{
    cairo_surface_t *m = cairo_image_surface_create(CAIRO_FORMAT_ARGB32, (int)h->cols, (int)h->rows);
    if (cairo_surface_status(m)) {
        cairo_surface_destroy(m);
        return;
    }
    cairo_surface_flush(m);
    unsigned char *row = cairo_image_surface_get_data(m);
    for (size_t y = 0; y < h->rows; y++, row += cairo_image_surface_get_stride(m))
        for (size_t x = 0; x < h->cols; x++) {
            double t = qs_heat_at(h, h->v[y * h->cols + x]);
            uint32_t c = isnan(t) ? 0 : 0xFF000000u | qs_color_heat(t);
            memcpy(row + 4 * x, &c, 4);
        }
    cairo_surface_mark_dirty(m);
    cairo_save(s->pp->cr);
    cairo_translate(s->pp->cr, s->in.x, s->in.y);
    cairo_scale(s->pp->cr, s->in.w / (double)h->cols, s->in.h / (double)h->rows);
    cairo_set_source_surface(s->pp->cr, m, 0, 0);
    cairo_pattern_set_filter(cairo_get_source(s->pp->cr), CAIRO_FILTER_NEAREST);
    cairo_rectangle(s->pp->cr, 0, 0, (double)h->cols, (double)h->rows);
    cairo_fill(s->pp->cr);
    cairo_restore(s->pp->cr);
    cairo_surface_destroy(m);
}

/* One rectangle a value where there are few: sharp at every size, and each can be taken by hand. */
static void paint_cells(sheet *s, const qs_heat *h)
{
    double w = s->in.w / (double)h->cols, t;
    double each = s->in.h / (double)h->rows;
    cairo_set_antialias(s->pp->cr, CAIRO_ANTIALIAS_NONE);       /* no seams between them */
    for (size_t i = 0; i < h->rows * h->cols; i++) {
        if (isnan(t = qs_heat_at(h, h->v[i]))) continue;
        ink(s->pp, qs_color_heat(t), 1);
        cairo_rectangle(s->pp->cr, s->in.x + w * (double)(i % h->cols), s->in.y + each * (double)(i / h->cols), w, each);
        cairo_fill(s->pp->cr);
    }
    cairo_set_antialias(s->pp->cr, CAIRO_ANTIALIAS_DEFAULT);
}

static void draw_scale(sheet *s, const qs_heat *h)
{
    enum { STEPS = 50 };
    double em = s->em, x = s->in.x + s->in.w + em, each = s->in.h / STEPS;
    for (int i = 0; i < STEPS; i++) {
        double up = (i + 0.5) / STEPS;
        ink(s->pp, qs_color_heat(h->high_is_best ? up : 1 - up), 1);
        cairo_rectangle(s->pp->cr, x, s->in.y + s->in.h - each * (i + 1), em, each * 1.05);
        cairo_fill(s->pp->cr);
    }
    role_ink(s->pp, QS_ROLE_DIM, 1);
    font(s->pp, 0.9 * em, false);
    for (size_t i = 0; i < s->y.n; i++) {
        double t = qs_axis_at(&h->scale, s->y.v[i]), y = s->in.y + (1 - t) * s->in.h;
        stroke(s->pp, x + em, y, x + 1.25 * em, y, s->line);
        text(s->pp, s->y.label[i], x + 1.45 * em, y + 0.33 * em, 0, 8 * em);
    }
}

/* The numbers themselves, where there is room for all. */
static void draw_values(sheet *s, const qs_heat *h)
{
    double w = s->in.w / (double)h->cols, each = s->in.h / (double)h->rows, em = 0.9 * s->em;
    char b[32];
    font(s->pp, em, false);
    if (each < 1.3 * em || w < text_width(s->pp, "-0.0000") + 0.4 * em) return;
    for (size_t i = 0; i < h->rows * h->cols; i++) {
        double t = qs_heat_at(h, h->v[i]);
        if (isnan(t) || !isfinite(h->v[i])) continue;
        uint32_t c = qs_color_heat(t);
        bool dark = 0.3 * (double)(c >> 16 & 255) + 0.59 * (double)(c >> 8 & 255) + 0.11 * (double)(c & 255) < 128;
        ink(s->pp, dark ? 0xFFFFFF : 0x000000, 1);
        snprintf(b, sizeof b, "%.4g", h->v[i]);
        text(s->pp, b, s->in.x + w * ((double)(i % h->cols) + 0.5), s->in.y + each * ((double)(i / h->cols) + 0.5) + 0.35 * em, 0.5, w);
    }
}

/* Names of this size fit at every so-many-th place: 1, 2, 5, 10, 20, ... A place has a size above 0. */
static size_t every(double size, double place)
{
    size_t n = 1;
    for (int i = 0; (double)n * place < size && n < HUGE_STEP; i++) n = i % 3 == 1 ? n / 2 * 5 : n * 2;
    return n;
}

static void draw_heat(sheet *s)
{
    const qs_heat *h = s->p->heat;
    double em = s->em;
    char name[64];
    if (h->rows * h->cols <= 4096) paint_cells(s, h);
    else paint_matrix(s, h);
    draw_values(s, h);
    draw_scale(s, h);
    role_ink(s->pp, QS_ROLE_DIM, 1);
    font(s->pp, 0.9 * em, false);
    for (size_t i = 0, each = every(1.2 * em, s->in.h / (double)h->rows); i < h->rows; i += each) {
        double y = s->in.y + s->in.h * ((double)i + 0.5) / (double)h->rows;
        qs_heat_name(h->row, i, name, sizeof name);
        text(s->pp, name, s->in.x - 0.4 * em, y + 0.33 * em, 1, s->all.w / 4);
    }
    double wide = names_width(s->pp, h->col, h->cols) + 0.5 * em;
    for (size_t i = 0, each = every(wide, s->in.w / (double)h->cols); i < h->cols; i += each) {
        qs_heat_name(h->col, i, name, sizeof name);
        double x = s->in.x + s->in.w * ((double)i + 0.5) / (double)h->cols;
        text(s->pp, name, x, s->x_labels_y, 0.5, s->in.w);
    }
}

/* ---- a plot --------------------------------------------------------------------------------------------------------------- */

static void draw_data(sheet *s)
{
    if (!s->p->heat) draw_grid(s);
    cairo_save(s->pp->cr);
    cairo_rectangle(s->pp->cr, s->in.x, s->in.y - s->line, s->in.w, s->in.h + s->line);
    cairo_clip(s->pp->cr);
    if (!s->p->heat) draw_series(s);
    cairo_restore(s->pp->cr);
    if (s->p->heat) {
        draw_heat(s);
        return;
    }
    draw_limits(s);
    draw_rulers(s);
    draw_axes(s);
    draw_markers(s);
    draw_ends(s);
    legend(s, true);
}

void qs_paper_plot(qs_paper *pp, const qs_plot *p, double x, double y, double w, double h)
{
    sheet s = {.pp = pp, .p = p, .all = {x * pp->w, y * pp->h, w * pp->w, h * pp->h}};
    /* Several plots on a page: smaller letters, but never less than half. */
    s.em = pp->em * fmin(1, fmax(0.5, sqrt(fmin(w, 1) * fmin(h, 1)) * 1.25));
    s.line = s.em / 12;
    lay_out(&s);
    draw_names(&s);
    if (s.usable) draw_data(&s);
    else {
        role_ink(pp, QS_ROLE_DIM, 1);
        font(pp, s.em, false);
        text(pp, _("nothing to be seen here"), s.all.x + s.all.w / 2, s.all.y + s.all.h / 2, 0.5, s.all.w);
    }
    free(s.marker_x);
    free(s.marker_row);
}

/* ---- cells ----------------------------------------------------------------------------------------------------------------- */

typedef struct screen { qs_paper *pp; double x, y, cw, ch, size; } screen;

static void fill(screen *s, double x, double y, double w, double h)
{
    cairo_rectangle(s->pp->cr, s->x + x * s->cw, s->y + y * s->ch, w * s->cw, h * s->ch);
    cairo_fill(s->pp->cr);
}

/* Braille and blocks as what they show: fonts differ too much in them. */
static bool draw_shape(screen *s, wchar_t ch, double y, double x)
{
    static const int bit[8][2] = {{0, 0}, {0, 1}, {0, 2}, {1, 0}, {1, 1}, {1, 2}, {0, 3}, {1, 3}};
    if (ch >= 0x2800 && ch < 0x2900) {
        for (int i = 0; i < 8; i++)
            if ((ch - 0x2800) >> i & 1) fill(s, x + 0.08 + 0.5 * bit[i][0], y + 0.03 + 0.25 * bit[i][1], 0.36, 0.2);
        return true;
    }
    if (ch >= 0x2581 && ch <= 0x2588) {
        double h = (ch - 0x2580) / 8.0;
        fill(s, x, y + 1 - h, 1, h);
        return true;
    }
    return false;
}

static void draw_cell(screen *s, const qs_cell *c, int y, int x)
{
    qs_color col = qs_color_of(c->role);
    char b[5];
    if (c->attr & QS_SELECTED) col = qs_color_selected(col);
    uint32_t fg = col.fg < 0 ? 0xD0D0D0 : qs_color_xterm(col.fg), bg = col.bg < 0 ? 0x1C1C1C : qs_color_xterm(col.bg);
    if (c->attr & QS_REVERSE) { uint32_t t = fg; fg = bg; bg = t; }
    if (bg != 0x1C1C1C) {
        ink(s->pp, bg, 1);
        fill(s, x, y, 1.02, 1.02);
    }
    ink(s->pp, fg, 1);
    if (c->attr & QS_UNDER) fill(s, x, y + 0.95, 1, 0.05);
    if (c->ch <= L' ' || draw_shape(s, c->ch, y, x)) return;
    cairo_select_font_face(s->pp->cr, "monospace", CAIRO_FONT_SLANT_NORMAL, c->attr & QS_BOLD ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_font_size(s->pp->cr, s->size);
    qs_utf8_put(c->ch, b);
    cairo_move_to(s->pp->cr, s->x + x * s->cw, s->y + (y + 0.78) * s->ch);
    cairo_show_text(s->pp->cr, b);
}

void qs_paper_cells(qs_paper *pp, const qs_cells *g, qs_rect r)
{
    screen s = {.pp = pp};
    cairo_text_extents_t e;
    if (r.h < 1 || r.w < 1) return;
    ink(pp, 0x1C1C1C, 1);
    cairo_paint(pp->cr);
    cairo_select_font_face(pp->cr, "monospace", CAIRO_FONT_SLANT_NORMAL, CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_font_size(pp->cr, 100);
    cairo_text_extents(pp->cr, "M", &e);
    double wide = fmax(e.x_advance, 1) / 100, tall = 1.2;
    s.size = fmin(pp->w / ((r.w + 2) * wide), pp->h / ((r.h + 1) * tall));
    s.cw = s.size * wide;
    s.ch = s.size * tall;
    s.x = (pp->w - r.w * s.cw) / 2;
    s.y = (pp->h - r.h * s.ch) / 2;
    for (int y = 0; y < r.h; y++)
        for (int x = 0; x < r.w; x++)
            if (r.y + y < g->h && r.x + x < g->w) draw_cell(&s, &g->c[(size_t)(r.y + y) * (size_t)g->w + (size_t)(r.x + x)], y, x);
}
