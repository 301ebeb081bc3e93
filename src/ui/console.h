/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_UI_CONSOLE_H
#define QS_UI_CONSOLE_H
/* The Lua prompt: the only file that knows readline. Bytes go in, lines and a picture of the prompt come out. Thread: main. */
#include <stdbool.h>
#include <stddef.h>

#include "engine/snapshot.h"

/* history: file, or NULL. line: called with every complete input (several lines joined by newlines). */
void qs_console_start(const char *history, qs_board *words, void (*line)(void *ctx, const char *text), void *ctx);
void qs_console_stop(void);                            /* writes the history */

/* What was typed, as the terminal sent it. False: the end of input was typed on an empty line (Ctrl-D). */
bool qs_console_feed(const char *bytes, size_t n);
void qs_console_cancel(void);                          /* Ctrl-C: drops the line and what waits for its end */
void qs_console_resize(int h, int w);
/* The worker found `text` unfinished: the prompt goes on after it. */
void qs_console_resume(const char *text);
bool qs_console_vi_insert(void);                       /* Escape belongs to readline just now */

/* The prompt and the line as they should look, UTF-8, and the column of the cursor in it. Borrowed until the next feed. */
const char *qs_console_text(int *column);
/* Candidates of the last completion to be shown, or 0. Borrowed until the next feed. */
size_t qs_console_matches(char ***out);

/* True where the text is plainly unfinished Lua: an open block, bracket, string or comment. */
bool qs_console_open(const char *text);

#endif
