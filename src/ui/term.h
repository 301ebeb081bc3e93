/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_UI_TERM_H
#define QS_UI_TERM_H
/* The terminal: the only file that knows curses. Grids go out, keys come in. Thread: main. */
#include <signal.h>

#include "base/err.h"
#include "engine/job.h"
#include "plot/cells.h"

/* Set by signal handlers, read and cleared by the loop. */
typedef struct qs_signals { volatile sig_atomic_t intr, winch, term, cont, stop; } qs_signals;
extern qs_signals qs_term_signals;

/* colors as in qs_ui_opts. jobs: whose wake pipe the handlers write and whose work SIGINT cancels.
 * -QS_EUNSUP without a terminal, or one that cannot do it. */
int qs_term_start(int colors, qs_jobs *jobs, qs_err *err);
void qs_term_stop(void);
/* Gives the terminal to the shell as SIGTSTP does; returns when it is ours again, and cont is set. */
void qs_term_suspend(void);
/* Ends the program as SIGINT does, the terminal restored. */
void qs_term_die(void) __attribute__((noreturn));

bool qs_term_utf8(void);                              /* the locale's characters are UTF-8 */
void qs_term_size(int *h, int *w);                    /* asks the system, tells curses */
/* Shows the cells that differ from the last time; cursor at (cy, cx), hidden if cy < 0. */
void qs_term_show(const qs_cells *g, int cy, int cx);
void qs_term_refresh(void);                           /* the next show paints everything */
int qs_term_key(void);                                /* -1: none waits */
bool qs_term_mouse(int *y, int *x, int *wheel);       /* after QS_K_MOUSE; wheel -1, 0, 1; false: not for us */
void qs_term_mouse_on(bool on);

#endif
