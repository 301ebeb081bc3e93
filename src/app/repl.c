/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * quantscope repl: a plain prompt with readline, no screen. The console of the
 * workbench is another one (ui/console.c); both speak to bind/repl.h.
 */
#include "bind/repl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <readline/history.h>
#include <readline/readline.h>

#include "app/app.h"
#include "base/mem.h"
#include "base/text.h"
#include "config.h"

#define WORDS_MAX 500
#define HISTORY_MAX 5000

static qs_repl *completing;      /* readline's callbacks take no context */
static bool interrupted;

/* ---- readline ------------------------------------------------------------------------- */
static char *next_word(const char *text, int state)
{
    static char *word[WORDS_MAX];
    static size_t n, at;
    if (!state) {
        while (at < n) free(word[at++]);
        n = qs_repl_complete(completing, text, word, WORDS_MAX);
        at = 0;
    }
    return at < n ? word[at++] : NULL;
}

static char **complete(const char *text, int start, int end)
{
    (void)start;
    (void)end;
    rl_attempted_completion_over = 1;
    rl_completion_append_character = '\0';
    return rl_completion_matches(text, next_word);
}

/* Runs after a signal while a line is typed; ours are Ctrl-C only. */
static int drop_line(void)
{
    interrupted = true;
    rl_done = 1;
    return 0;
}

static void setup_readline(qs_repl *r, const char *history)
{
    completing = r;
    rl_readline_name = "quantscope";
    rl_catch_signals = 0;
    rl_signal_event_hook = drop_line;
    rl_attempted_completion_function = complete;
    rl_basic_word_break_characters = " \t\n=<>(){},;+-*/%^#~&|";
    rl_completer_quote_characters = "";
    read_history(history);
    stifle_history(HISTORY_MAX);
}

/* A line without its newline, malloc'd; NULL at the end of input. */
static char *read_line(const char *prompt, bool terminal)
{
    if (terminal) return readline(prompt);
    char *line = NULL;
    size_t size = 0;
    ssize_t n = getline(&line, &size, stdin);
    if (n < 0) {
        free(line);
        return NULL;
    }
    if (n && line[n - 1] == '\n') line[n - 1] = '\0';
    return line;
}

/* ---- the loop ---------------------------------------------------------------------------- */
/* Adds a line to what is typed so far and runs that if it is complete. 1: it is not; negative: it failed. */
static int take_line(qs_repl *r, qs_str *typed, const char *line)
{
    if (typed->n) qs_str_add(typed, "\n");
    qs_str_add(typed, line);
    int rc = qs_repl_line(r, typed->s ? typed->s : "");
    if (rc == 1) return rc;
    free(typed->s);
    *typed = (qs_str){0};
    return rc;
}

static int loop(qs_headless *h, bool terminal)
{
    qs_str typed = {0};
    int failed = 0;
    for (char *line; (line = read_line(typed.n ? ">> " : "> ", terminal)); free(line)) {
        qs_headless_again(h);
        if (interrupted) {
            interrupted = false;
            putchar('\n');
            free(typed.s);
            typed = (qs_str){0};
            continue;
        }
        if (terminal && *line) add_history(line);
        failed |= take_line(h->repl, &typed, line) < 0;
    }
    if (terminal) putchar('\n');
    if (typed.n) {
        qs_say(_("the input ends in the middle of a statement"));
        failed = 1;
    }
    free(typed.s);
    return terminal ? 0 : failed;
}

int qs_cmd_repl(const qs_args *a)
{
    qs_headless h;
    bool terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
    if (a->nrest) return qs_usage(_("repl takes no arguments, and there is \"%s\""), a->rest[0]);
    int code = qs_headless_open(&h);
    if (!code) code = qs_headless_lua(&h, !a->no_config);
    if (!code) {
        char *history = qs_path_history();
        if (terminal) {
            setup_readline(h.repl, history);
            printf(_("%s, Lua: help() helps, Ctrl-D ends\n"), PACKAGE_STRING);
        }
        code = loop(&h, terminal);
        if (terminal) write_history(history);
        free(history);
    }
    qs_headless_close(&h);
    return code;
}
