/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_UI_UI_H
#define QS_UI_UI_H
/*
 * The workbench's screen. Draws snapshots, sends picks and lines of Lua; computes
 * nothing and knows no engine type.
 */
#include "engine/job.h"
#include "engine/snapshot.h"

typedef struct qs_ui_opts {
    qs_board *board;
    qs_jobs *jobs;
    const char *history;      /* file of the console's history, or NULL */
    const char *script;       /* QUANTSCOPE_SCRIPT, or NULL */
    const char *charset;      /* "braille", "block", "ascii", or NULL: by locale */
    int colors;               /* 0: none (NO_COLOR); 8; 256; -1: by the terminal */
} qs_ui_opts;

/*
 * Runs until the user quits; the terminal is restored in every case. Returns the exit code: 0, 1, or 2 where there is no
 * terminal (TERM unset or dumb included; err says so). Thread: main; installs the signal handlers.
 */
int qs_ui_run(const qs_ui_opts *o, qs_err *err);

/* Asks the screen to end in an orderly way (os.exit in the console). Any thread. */
void qs_ui_quit(int code);

#endif
