/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Pages and what is put on them (paper.h, ink.h), by cairo, which is known in this file only. What a plot is, and where its
 * parts stand, is not known here: paper.c.
 */
#include "plot/ink.h"

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
    char *path, *family;
    bool fresh;
    bool down;                    /* the next point of a shape is joined to the last */
    qs_str out, words, title;     /* the file; what is written on it; its first title */
};

/* ---- a page ------------------------------------------------------------------------------------------ */

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
    pp->family = qs_xstrdup(o->family && *o->family ? o->family : "sans");
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
    free(pp->family);
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

/* Nothing is drawn any more: out is the file. */
static int end(qs_paper *pp, qs_err *err)
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
    return st ? qs_fail(err, st == CAIRO_STATUS_NO_MEMORY ? QS_ENOMEM : QS_EIO, "%s: %s", pp->path, cairo_status_to_string(st)) : 0;
}

int qs_paper_close(qs_paper *pp, qs_err *err)
{
    int rc = end(pp, err);
    if (!rc) rc = qs_file_write(pp->path, pp->out.s, pp->out.n, pp->fresh, err);
    qs_paper_free(pp);
    return rc;
}

char *qs_paper_take(qs_paper *pp, size_t *n, qs_err *err)
{
    qs_str out = {0};
    if (!end(pp, err)) {
        out = pp->out;
        pp->out = (qs_str){0};
    }
    qs_paper_free(pp);
    *n = out.n;
    return out.s;
}

/* ---- lines and surfaces -------------------------------------------------------------------- */

qs_box qs_ink_page(const qs_paper *pp) { return (qs_box){0, 0, pp->w, pp->h}; }
double qs_ink_em(const qs_paper *pp) { return pp->em; }

void qs_ink_color(qs_paper *pp, uint32_t rgb, double alpha)
{
    cairo_set_source_rgba(pp->cr, (rgb >> 16 & 255) / 255.0, (rgb >> 8 & 255) / 255.0, (rgb & 255) / 255.0, alpha);
}

void qs_ink_role(qs_paper *pp, int role, double alpha) { qs_ink_color(pp, qs_color_of(role).paper, alpha); }

void qs_ink_flood(qs_paper *pp, uint32_t rgb)
{
    qs_ink_color(pp, rgb, 1);
    cairo_paint(pp->cr);
}

void qs_ink_clip(qs_paper *pp, qs_box b)
{
    cairo_save(pp->cr);
    cairo_rectangle(pp->cr, b.x, b.y, b.w, b.h);
    cairo_clip(pp->cr);
}

void qs_ink_unclip(qs_paper *pp) { cairo_restore(pp->cr); }

void qs_ink_line(qs_paper *pp, double x0, double y0, double x1, double y1, double width)
{
    cairo_set_line_width(pp->cr, width);
    cairo_move_to(pp->cr, x0, y0);
    cairo_line_to(pp->cr, x1, y1);
    cairo_stroke(pp->cr);
}

void qs_ink_dashed(qs_paper *pp, double x0, double y0, double x1, double y1, double width, double dash)
{
    const double d[2] = {dash, dash};
    cairo_set_dash(pp->cr, d, dash > 0 ? 2 : 0, 0);
    qs_ink_line(pp, x0, y0, x1, y1, width);
    cairo_set_dash(pp->cr, d, 0, 0);
}

void qs_ink_rect(qs_paper *pp, qs_box b)
{
    cairo_rectangle(pp->cr, b.x, b.y, b.w, b.h);
    cairo_fill(pp->cr);
}

void qs_ink_tile(qs_paper *pp, qs_box b)
{
    cairo_set_antialias(pp->cr, CAIRO_ANTIALIAS_NONE);
    qs_ink_rect(pp, b);
    cairo_set_antialias(pp->cr, CAIRO_ANTIALIAS_DEFAULT);
}

void qs_ink_disc(qs_paper *pp, double x, double y, double r)
{
    cairo_arc(pp->cr, x, y, r, 0, 2 * M_PI);
    cairo_fill(pp->cr);
}

void qs_ink_squares(qs_paper *pp, const qs_spot *at, size_t n, double r)
{
    for (size_t i = 0; i < n; i++) cairo_rectangle(pp->cr, at[i].x - r, at[i].y - r, 2 * r, 2 * r);
    cairo_fill(pp->cr);
}

void qs_ink_to(qs_paper *pp, double x, double y)
{
    if (pp->down) cairo_line_to(pp->cr, x, y);
    else cairo_move_to(pp->cr, x, y);
    pp->down = true;
}

void qs_ink_lift(qs_paper *pp) { pp->down = false; }

void qs_ink_stroke(qs_paper *pp, double width)
{
    cairo_set_line_width(pp->cr, width);
    cairo_stroke(pp->cr);
    pp->down = false;
}

void qs_ink_area(qs_paper *pp)
{
    cairo_close_path(pp->cr);
    cairo_fill(pp->cr);
    pp->down = false;
}

void qs_ink_picture(qs_paper *pp, qs_box b, const uint32_t *argb, size_t rows, size_t cols)
{
    cairo_surface_t *m = cairo_image_surface_create(CAIRO_FORMAT_ARGB32, (int)cols, (int)rows);
    if (cairo_surface_status(m)) {
        cairo_surface_destroy(m);
        return;
    }
    cairo_surface_flush(m);
    unsigned char *row = cairo_image_surface_get_data(m);
    for (size_t y = 0; y < rows; y++, row += cairo_image_surface_get_stride(m))
        memcpy(row, argb + y * cols, cols * sizeof *argb);
    cairo_surface_mark_dirty(m);
    cairo_save(pp->cr);
    cairo_translate(pp->cr, b.x, b.y);
    cairo_scale(pp->cr, b.w / (double)cols, b.h / (double)rows);
    cairo_set_source_surface(pp->cr, m, 0, 0);
    cairo_pattern_set_filter(cairo_get_source(pp->cr), CAIRO_FILTER_NEAREST);
    qs_ink_rect(pp, (qs_box){0, 0, (double)cols, (double)rows});
    cairo_restore(pp->cr);
    cairo_surface_destroy(m);
}

/* ---- text ------------------------------------------------------------------------------------ */

/* As it can be drawn: whole UTF-8, no control characters. malloc'd. */
static char *clean(const char *s)
{
    qs_str b = {0};
    char c8[5];
    qs_str_add(&b, "");
    for (wchar_t c; (c = qs_utf8_next(&s));) qs_str_addn(&b, c8, qs_utf8_put(c < 32 || (c >= 127 && c < 160) ? L'?' : c, c8));
    return b.s;
}

static void letters(qs_paper *pp, const char *family, double size, bool bold)
{
    cairo_select_font_face(pp->cr, family, CAIRO_FONT_SLANT_NORMAL, bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_font_size(pp->cr, size);
}

static double advance(qs_paper *pp, const char *s)
{
    cairo_text_extents_t e;
    cairo_text_extents(pp->cr, s, &e);
    return e.x_advance;
}

void qs_ink_title(qs_paper *pp, const char *title)
{
    if (pp->title.n) return;
    char *t = clean(title);
    qs_str_add(&pp->title, t);
    free(t);
}

void qs_ink_font(qs_paper *pp, double size, bool bold) { letters(pp, pp->family, size, bold); }

double qs_ink_width(qs_paper *pp, const char *s)
{
    char *t = clean(s);
    double w = advance(pp, t);
    free(t);
    return w;
}

void qs_ink_text(qs_paper *pp, const char *s, double x, double y, double at, double most)
{
    char *t = clean(s);
    size_t n = strlen(t);
    double w = advance(pp, t);
    while (w > most && n > 0) {
        while (n > 0 && ((unsigned char)t[--n] & 0xC0) == 0x80) {}
        t[n] = 0;
        char *shorter = qs_xasprintf("%s…", t);
        w = advance(pp, shorter);
        if (w <= most || n == 0) { free(t); t = shorter; break; }
        free(shorter);
    }
    cairo_move_to(pp->cr, x - at * w, y);
    cairo_show_text(pp->cr, t);
    if (*t) qs_str_addf(&pp->words, "%s%s", pp->words.n ? "\n" : "", t);
    free(t);
}

void qs_ink_text_up(qs_paper *pp, const char *s, double x, double y, double most)
{
    cairo_save(pp->cr);
    cairo_translate(pp->cr, x, y);
    cairo_rotate(pp->cr, -M_PI / 2);
    qs_ink_text(pp, s, 0, 0, 0.5, most);
    cairo_restore(pp->cr);
}

static const char terminal[] = "monospace";

void qs_ink_letter(qs_paper *pp, wchar_t ch, double x, double y, double size, bool bold)
{
    char b[5];
    letters(pp, terminal, size, bold);
    qs_utf8_put(ch, b);
    cairo_move_to(pp->cr, x, y);
    cairo_show_text(pp->cr, b);
}

double qs_ink_letter_width(qs_paper *pp)
{
    letters(pp, terminal, 100, false);
    return fmax(advance(pp, "M"), 1) / 100;
}
