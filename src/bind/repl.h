/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_BIND_REPL_H
#define QS_BIND_REPL_H
/*
 * A Lua state with quantscope in it: the console of the workbench, `repl`, `run` and `-e`.
 * Includes no Lua header, so that app and tests can use it plainly. One thread.
 */
#include "engine/session.h"

typedef struct qs_repl qs_repl;

/* print goes to sink (kind as in qs_session_log: '>' '=' '!' ' '), one call a line; NULL: to stdout.
 * screen: stdout belongs to curses, so print goes to the log, os.exit calls quit, and io.read, io.popen and os.execute
 * say why they are not available. */
typedef struct qs_repl_opts {
    qs_session *session;      /* injected */
    const char *data;         /* folder of the bundled data; NULL: where it is installed. Copied */
    const char *program;      /* what worker processes of a sweep run; NULL: looked for. Copied */
    void (*sink)(void *ctx, char kind, const char *line);
    void (*quit)(int code);   /* screen only */
    void *ctx;
    bool screen;
} qs_repl_opts;
qs_repl *qs_repl_new(const qs_repl_opts *o, qs_err *err);
void qs_repl_free(qs_repl *r);

/* One line (or several) typed at a prompt: tried as an expression first; results are printed, tensors summarized.
 * Returns 0; 1: incomplete, wants another line (nothing ran); negative: it failed, the message went to the sink. */
int qs_repl_line(qs_repl *r, const char *text);
/* A file with its arguments (`arg` and `...`); "-" is standard input. Exit code as in DESIGN 5: 0, 1, 3, 4, 130.
 * 4: a run of the script diverged, whether the script ended by it or went on to its end. */
int qs_repl_file(qs_repl *r, const char *path, int argc, char **argv);
/* -e: a chunk. Exit code likewise. */
int qs_repl_chunk(qs_repl *r, const char *text, const char *chunkname);
/* Calls the function of a module of ours with one table made of key, value, key, value, ..., NULL (texts). *text: what it
 * returned, malloc'd. 0, or the code it failed with, err set; ECANCEL after Ctrl-C. For commands that are written in Lua. */
int qs_repl_call(qs_repl *r, const char *module, const char *function, const char *const *pairs, char **text, qs_err *err);
/* Completion of `word` (the last name path in the line, "t:su", "qs.lo", "m[\"conv"): at most max, malloc'd. */
size_t qs_repl_complete(qs_repl *r, const char *word, char **out, size_t max);
/* All words, for qs_board_set_words; malloc'd array of malloc'd strings. */
size_t qs_repl_words(qs_repl *r, char ***out);

#endif
