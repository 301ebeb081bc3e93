/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_PLOT_PAPER_H
#define QS_PLOT_PAPER_H
/*
 * Plots as pictures: the model of plot.h on a page of SVG, PDF or PNG, readable
 * from the back of a room. What cells cannot show (names of the axes, a grid, a
 * legend, labels beside limits) is there; roles become the hues of plot/color.h.
 *
 *     qs_plot_save(&p, "hist.svg", NULL, &err);
 *
 * The letters of an SVG are outlines, so that it looks the same everywhere; its <title> and <desc> hold them as text.
 *
 * Thread: any, one page at a time each. Cost: marks on the page. Test: t_paper, tests/cli/plot.t.
 */
#include "plot/plot.h"

typedef struct qs_paper_opts {
    double width, height;   /* points (SVG, PDF) or pixels (PNG); 0: 960 x 540, PNG 1920 x 1080 */
    double font;            /* size of the numbers at the axes, likewise; 0: a thirtieth of the height */
    const char *family;     /* NULL: "sans" */
    bool fresh;             /* never over a file that is there */
} qs_paper_opts;

/* ".svg, .pdf or .png" : what a name may end in, for messages. */
extern const char qs_paper_endings[];
/* Whether the name ends in one of them. */
bool qs_paper_knows(const char *path);

typedef struct qs_paper qs_paper;
/* A white page that path will hold. NULL: EARG another ending, or a size out of range (64..16384, font 4..400). */
qs_paper *qs_paper_new(const char *path, const qs_paper_opts *o, qs_err *err);
/* Draws p into a part of the page, all of it being 0, 0, 1, 1. Axes that cannot be used: a note says so. */
void qs_paper_plot(qs_paper *pp, const qs_plot *p, double x, double y, double w, double h);
/* Draws a grid of cells as a terminal shows it, as large as fits; r: the part of it. */
void qs_paper_cells(qs_paper *pp, const qs_cells *g, qs_rect r);
/* Writes the file and frees the page. Errors as qs_file_write; nothing is left of a file that failed. */
int qs_paper_close(qs_paper *pp, qs_err *err);
void qs_paper_free(qs_paper *pp);      /* without writing; NULL allowed */

/* The page as text in place of a file, malloc'd, and the page is freed: an SVG that can stand in another file. NULL: as above. */
char *qs_paper_take(qs_paper *pp, size_t *n, qs_err *err);

/* All of it at once. */
int qs_plot_save(const qs_plot *p, const char *path, const qs_paper_opts *o, qs_err *err);

#endif
