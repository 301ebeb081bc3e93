/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_UI_KEYS_H
#define QS_UI_KEYS_H
/*
 * Keys as the views see them: a Unicode character, a control code, or one of
 * the names below. One table a view and one for all: the help page and the
 * status line are generated from them, and they are what is dispatched.
 */
#include <stdbool.h>
#include <stddef.h>

struct qs_ui;

enum {
    QS_K_TAB = 9, QS_K_ENTER = 13, QS_K_ESC = 27, QS_K_BACKSPACE = 127,
    QS_K_UP = 0x110000, QS_K_DOWN, QS_K_LEFT, QS_K_RIGHT, QS_K_HOME, QS_K_END, QS_K_PGUP, QS_K_PGDN,
    QS_K_BACKTAB, QS_K_DELETE, QS_K_F1, QS_K_MOUSE, QS_K_SLEFT, QS_K_SRIGHT
};
#define QS_K_CTRL(c) ((c) & 0x1f)

/* What place a key has in the status line. */
typedef enum qs_key_place {
    QS_KEY_FITS,                                  /* one where there is room */
    QS_KEY_ALWAYS,                                /* one whatever the width */
    QS_KEY_WEIGHTS,                               /* as FITS, but means something in views of the weights only */
} qs_key_place;

typedef struct qs_key {
    int key[8];                                   /* 0 ends */
    const char *shown;                            /* "[ ]" */
    const char *brief;                            /* for the status line, or NULL: only in the help */
    const char *help;                             /* one line */
    void (*run)(struct qs_ui *u, int key);
    qs_key_place place;
} qs_key;

typedef struct qs_key_table { const char *title; const qs_key *key; size_t n; } qs_key_table;

extern const qs_key_table qs_keys_global;
/* Whether it means something in the view that has the keys. */
bool qs_key_here(const qs_key *k, const struct qs_ui *u);
/* Runs what the key means in the table; false: not in it, or nothing here. */
bool qs_keys_run(const qs_key_table *t, struct qs_ui *u, int key);
/* The code of a key's name ("Down", "PgUp", "F1", "Space", "C-l", "a"); -1: no such key. */
int qs_key_of(const char *name);
/* The bytes a terminal sends for it; NULL-terminated in out (at least 8). */
void qs_key_bytes(int key, char *out);

#endif
