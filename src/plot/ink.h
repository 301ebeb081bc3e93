/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_PLOT_INK_H
#define QS_PLOT_INK_H
/*
 * What can be put on a page (paper.h): lines, surfaces, pictures, text. It knows no plot and no axis, and who draws with
 * it knows no library. Private to plot. Lengths are in units of the page, y grows downward.
 *
 *     qs_ink_role(pp, QS_ROLE_FRAME, 1);
 *     qs_ink_line(pp, 10, 90, 150, 90, 0.5);
 *
 * Colour and letters stay as they were last chosen. The code: cairo.c.  Thread: as the page.  Test: t_paper
 */
#include <stddef.h>
#include <stdint.h>

#include "plot/paper.h"

typedef struct qs_box { double x, y, w, h; } qs_box;
typedef struct qs_spot { double x, y; } qs_spot;

/* All of the page, from 0, 0; and the size its opener wants for the numbers at the axes. */
qs_box qs_ink_page(const qs_paper *pp);
double qs_ink_em(const qs_paper *pp);
/* What the file is called by those who list it; the first that says so is heard. */
void qs_ink_title(qs_paper *pp, const char *title);

/* The colour of what follows: 0xRRGGBB, or a role's. alpha: 1 covers. */
void qs_ink_color(qs_paper *pp, uint32_t rgb, double alpha);
void qs_ink_role(qs_paper *pp, int role, double alpha);
/* The whole page in one colour, over all that is there. */
void qs_ink_flood(qs_paper *pp, uint32_t rgb);

/* Only what lies in b is seen, until unclip, which also brings back the colour and the letters of before. */
void qs_ink_clip(qs_paper *pp, qs_box b);
void qs_ink_unclip(qs_paper *pp);

void qs_ink_line(qs_paper *pp, double x0, double y0, double x1, double y1, double width);
/* Pieces and gaps of this length; 0: a whole line. */
void qs_ink_dashed(qs_paper *pp, double x0, double y0, double x1, double y1, double width, double dash);
void qs_ink_rect(qs_paper *pp, qs_box b);
/* One of many that touch: its edges are sharp, so that no seams are between them. */
void qs_ink_tile(qs_paper *pp, qs_box b);
void qs_ink_disc(qs_paper *pp, double x, double y, double r);
/* n squares around at, half a side r, as one element of the file. */
void qs_ink_squares(qs_paper *pp, const qs_spot *at, size_t n, double r);

/* A shape, point after point; ended by what it is: a line, or the surface within. */
void qs_ink_to(qs_paper *pp, double x, double y);
void qs_ink_lift(qs_paper *pp);        /* a gap before the next point */
void qs_ink_stroke(qs_paper *pp, double width);
void qs_ink_area(qs_paper *pp);        /* closed */

/* A picture of one pixel a value, 0xAARRGGBB (rows, cols), 0: none, stretched over b: one element of the file, however many.
 * More than 32767 rows or cols: nothing is drawn. */
void qs_ink_picture(qs_paper *pp, qs_box b, const uint32_t *argb, size_t rows, size_t cols);

/* Text in the family of the page. Bytes that are no UTF-8 and control characters show as '?'. */
void qs_ink_font(qs_paper *pp, double size, bool bold);
double qs_ink_width(qs_paper *pp, const char *s);
/* On the base line y; at: 0 begins at x, 0.5 in the middle of it, 1 ends there. What is wider than most ends in "…". */
void qs_ink_text(qs_paper *pp, const char *s, double x, double y, double at, double most);
/* The same upward, its middle at x, y. */
void qs_ink_text_up(qs_paper *pp, const char *s, double x, double y, double most);

/* A letter of a terminal, always in a monospaced family; it does not count as text of the page. */
void qs_ink_letter(qs_paper *pp, wchar_t ch, double x, double y, double size, bool bold);
/* How wide such letters are, in parts of their size. */
double qs_ink_letter_width(qs_paper *pp);

#endif
