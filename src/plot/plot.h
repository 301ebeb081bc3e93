/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_PLOT_PLOT_H
#define QS_PLOT_PLOT_H
/*
 * What a plot is, and how it becomes cells: bars, lines, points, bands, a heat map, vertical limits, a
 * ruler of levels under the axis, labelled markers. Plain data in, cells out; plot/paper.h draws the same as a picture.
 *
 *     qs_plot p = {.x = {-1, 1, false}, .y = {0, 90, false}, .series = s, .nseries = 2};
 *     qs_plot_draw(&p, QS_BRAILLE, &grid, rect, NULL);
 *
 * Thread: any. Cost: cells drawn + points of the series. Test: t_plot (as text), t_paper.
 */
#include "base/err.h"
#include "plot/axis.h"
#include "plot/cells.h"

typedef enum { QS_BRAILLE, QS_BLOCK, QS_ASCII } qs_charset;

typedef enum { QS_PLOT_LINE, QS_PLOT_BARS, QS_PLOT_POINTS, QS_PLOT_BAND } qs_series_kind;

typedef struct qs_series {
    qs_series_kind kind;
    const double *x;       /* (n) ascending for lines and bands; NULL for bars: n equal bins from x.lo to x.hi */
    const double *y;       /* (n) NaN: a gap */
    size_t n;
    unsigned char role, attr;
    const double *y2;      /* (n) the other edge of a band */
    const char *label;     /* what the legend says, once for all series that say the same; NULL: nothing */
    const char *end;       /* its name right of the plot, where the line ends; on paper only. NULL: none */
} qs_series;

/* A vertical line through the plot: a clip bound, a cursor. In cells drawn where no data is, unless over is set. */
typedef struct qs_limit {
    double x;
    wchar_t ch;
    unsigned char role;
    bool over;
    const char *label;     /* beside it on paper; NULL: none */
} qs_limit;

/* A row under the plot: where levels and thresholds lie. Solid between lo and hi, dotted outside. */
typedef struct qs_ruler {
    const double *level, *cut;   /* (n), (n-1) ascending; n = 0: no marks */
    size_t n;
    double lo, hi;               /* clip range */
    unsigned char role;
} qs_ruler;

typedef struct qs_marker {
    double x;
    const char *label;
    unsigned char role;
    bool strong;                 /* the chosen one: ● instead of ▲, bold, placed first */
} qs_marker;

/* A matrix as colours: in place of series, over the whole plot, with its values where they have room. Its rows and columns
 * have the numbers, not the axes. */
typedef struct qs_heat {
    const double *v;             /* (rows, cols), the first row at the top; NaN: left blank */
    size_t rows, cols;
    qs_axis scale;               /* the values at the ends of the colours */
    bool high_is_best;           /* large values blue (QS_ROLE_HEAT0 + 9) in place of red */
    const char *const *row, *const *col;   /* names, or NULL: 1, 2, ... */
} qs_heat;

typedef struct qs_plot {
    qs_axis x, y;
    const qs_series *series;  size_t nseries;
    const qs_limit *limit;    size_t nlimit;
    const qs_ruler *ruler;    size_t nruler;
    const qs_marker *marker;  size_t nmarker;
    const qs_heat *heat;         /* NULL: none */
    const char *title, *x_name, *y_name;   /* on paper and in qs_plot_sheet; y_name of a heat map: what the colours mean. Or NULL */
    int y_width;                 /* columns for the labels of y; 0: none */
    int y_ticks;                 /* labels of y it may have however low it is; 0: 2 */
    bool x_line;                 /* an axis line with its numbers in it; the signs of the markers stand on it */
    bool x_labels;               /* a row of numbers of their own, where there is no line */
    double end_part;             /* part of its width on paper that belongs to names at the ends of lines; 0: what they need */
    int marker_rows;             /* rows for the labels of markers; what does not fit keeps only its sign on the line */
} qs_plot;

/* Sets the ends of x and y that are NaN so that all series, markers and levels are in sight, with a little air; log as it is
 * set. Values that are not finite, or not above 0 where log, do not count. Always leaves axes that can be used.
 * ERANGE: a log axis, values, and none above 0; or an end that is given is none (0 on a log axis, lo >= hi). */
int qs_plot_fit(qs_plot *p, qs_err *err);

/* Where v lies among the colours: 0 worst to 1 best; NaN: it has no place. */
double qs_heat_at(const qs_heat *h, double v);
/* Name i of a row or column. */
void qs_heat_name(const char *const *names, size_t i, char *out, size_t size);

/* Ticks of x, as qs_axis_ticks; whole numbers only where all x of the series are whole (bits, steps). */
size_t qs_plot_x_ticks(const qs_plot *p, size_t max, double *out);

/* How many different labels the legend has. */
size_t qs_plot_labels(const qs_plot *p);
/* The series that label i stands for. */
const qs_series *qs_plot_labelled(const qs_plot *p, size_t i);

/* A plot that stands for itself: title, legend, names of the axes around it. For consoles and logs. */
void qs_plot_sheet(const qs_plot *p, qs_charset cs, qs_cells *g, qs_rect r);

/* Draws p into r. *area (or NULL): the cells of the data, for cursors and mouse. Axes that cannot be used: nothing is drawn. */
void qs_plot_draw(const qs_plot *p, qs_charset cs, qs_cells *g, qs_rect r, qs_rect *area);

/* Bins a cell column shows as bars: 2 for braille, 1 otherwise. */
int qs_plot_bins_per_cell(qs_charset cs);
/* The column (of area) where x lies, clamped; and the value at the middle of a column. */
int qs_plot_column(const qs_axis *a, qs_rect area, double x);
double qs_plot_at_column(const qs_axis *a, qs_rect area, int col);

/* Where n bins each of some weight must show as `cells` bars: sums. in (n), out (cells). */
void qs_plot_rebin(const double *in, size_t n, double *out, size_t cells);

/* A spark-line of n values 0..8 eighths (0: nothing), one cell each. */
void qs_spark(qs_cells *g, int y, int x, const unsigned char *v, int n, qs_charset cs, int role, int attr);

#endif
