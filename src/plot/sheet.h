/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_PLOT_SHEET_H
#define QS_PLOT_SHEET_H
/*
 * A plot on its part of a page, shared by paper.c (where its parts stand, and all that is around the data) and
 * paper_data.c (the data). Private to these two. All is measured by `em`, the size of the numbers at the axes.
 */
#include "plot/ink.h"

enum { QS_SHEET_TICKS = 32 };

typedef struct qs_ticks { double v[QS_SHEET_TICKS]; size_t n; char label[QS_SHEET_TICKS][24]; } qs_ticks;

typedef struct qs_sheet {
    qs_paper *pp;
    const qs_plot *p;
    qs_box all, in;          /* its part; the data's */
    double em, line;         /* size of the numbers, width of a line */
    qs_ticks x, y;           /* y of a heat map: the scale of its colours */
    bool usable;
    double legend_y, x_labels_y, rulers_y, markers_y, x_name_y;   /* base lines, or tops */
    int marker_rows;
    double ends;             /* width of the names at the ends of lines */
    double *marker_x;        /* (nmarker) where its label begins; NAN: it has none */
    int *marker_row;
} qs_sheet;

/* Where a value stands on the page; far outside at most 50 times the axis. NaN: it has no place. */
double qs_sheet_x(const qs_sheet *s, double v);
double qs_sheet_y(const qs_sheet *s, double v);
/* The widest of n names of rows or columns, in the letters that are chosen. */
double qs_sheet_names_width(const qs_sheet *s, const char *const *names, size_t n);

/* All series in their order; a heat map with its names, its numbers and the scale of its colours. */
void qs_sheet_series(const qs_sheet *s);
void qs_sheet_heat(const qs_sheet *s);

#endif
