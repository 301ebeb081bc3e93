/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_PLOT_CELLS_H
#define QS_PLOT_CELLS_H
/*
 * A grid of character cells: what a plot or a whole screen is drawn on before a
 * terminal (or a test) sees it. A cell says what it means (a role), never which
 * colour that is. Everything clips: drawing outside is allowed and does nothing.
 */
#include <stdbool.h>
#include <stddef.h>
#include <wchar.h>

/* What a cell means. The terminal gives each a colour. */
enum qs_cell_role {
    QS_ROLE_TEXT, QS_ROLE_DIM, QS_ROLE_FRAME, QS_ROLE_FOCUS, QS_ROLE_TITLE, QS_ROLE_BARS, QS_ROLE_DENSITY,
    QS_ROLE_LEVEL, QS_ROLE_CUT, QS_ROLE_CLIP, QS_ROLE_ERROR, QS_ROLE_ROUND, QS_ROLE_A, QS_ROLE_B, QS_ROLE_CURSOR,
    QS_ROLE_GOOD, QS_ROLE_WARN, QS_ROLE_BAD, QS_ROLE_ECHO, QS_ROLE_KEY,
    QS_ROLE_INIT0,                                   /* one colour an initialization, everywhere */
    QS_ROLE_HEAT0 = QS_ROLE_INIT0 + 16,              /* worst .. best */
    QS_ROLE_RUN0 = QS_ROLE_HEAT0 + 10,               /* one colour a run */
    QS_ROLES = QS_ROLE_RUN0 + 8
};

enum { QS_BOLD = 1, QS_REVERSE = 2, QS_UNDER = 4, QS_SELECTED = 8 };   /* attributes */

typedef struct qs_cell {
    wchar_t ch;                /* 0: right half of a wide character */
    unsigned char role, attr;
} qs_cell;

typedef struct qs_rect { int y, x, h, w; } qs_rect;

typedef struct qs_cells {
    int h, w;
    qs_cell *c;                /* (h, w) */
} qs_cells;

void qs_cells_init(qs_cells *g, int h, int w);     /* blank; any earlier content of g is not looked at */
void qs_cells_clear(qs_cells *g);                  /* blanks all cells */
void qs_cells_free(qs_cells *g);

void qs_cells_put(qs_cells *g, int y, int x, wchar_t ch, int role, int attr);
void qs_cells_fill(qs_cells *g, qs_rect r, wchar_t ch, int role, int attr);
/* Adds attributes to cells that are there already. */
void qs_cells_mark(qs_cells *g, qs_rect r, int attr);
/* Text in UTF-8, at most w columns; what does not fit ends in "…". Bytes that are no UTF-8 and control characters
 * show as '?'. Returns the columns used. */
int qs_cells_text(qs_cells *g, int y, int x, int w, const char *s, int role, int attr);
/* A name: what does not fit loses its middle, since names differ at their ends. Returns the columns used. */
int qs_cells_name(qs_cells *g, int y, int x, int w, const char *s, int role, int attr);
/* The same as qs_cells_text, its right end at column x+w-1. */
void qs_cells_right(qs_cells *g, int y, int x, int w, const char *s, int role, int attr);
/* A frame with rounded corners. */
void qs_cells_frame(qs_cells *g, qs_rect r, int role, int attr);

/* The next character of a UTF-8 text; *s moves on. 0 at the end; U+FFFD for what is none. */
wchar_t qs_utf8_next(const char **s);
/* Writes ch as UTF-8 into out (at least 5 bytes, NUL added); returns its bytes. */
size_t qs_utf8_put(wchar_t ch, char *out);
/* Columns of a character (0, 1, 2) and of a text. */
int qs_char_width(wchar_t ch);
int qs_text_width(const char *s);

/* Replaces every character that is not ASCII by one that looks like it. */
void qs_cells_ascii(qs_cells *g);
/* The text of the grid: lines without trailing blanks, each with a newline, UTF-8. malloc'd. */
char *qs_cells_string(const qs_cells *g);

/* A part of the grid as a file, malloc'd: text as above; with the colours of a terminal of 256 (SGR); as SVG in a monospaced
 * font on dark, whose letters can be searched and copied. What lies outside the grid is left out.  Test: t_paper */
char *qs_cells_text_of(const qs_cells *g, qs_rect r);
char *qs_cells_ansi(const qs_cells *g, qs_rect r);
char *qs_cells_svg(const qs_cells *g, qs_rect r);

#endif
