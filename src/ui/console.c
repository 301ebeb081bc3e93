/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Readline without its screen: it edits, remembers and completes; we draw. It
 * gets its bytes from us one at a time, so that it never blocks the loop.
 */
#include "ui/console.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <readline/history.h>
#include <readline/readline.h>

#include "base/mem.h"
#include "plot/cells.h"

#define HISTORY_LINES 2000
#define MATCHES 200

static struct {
    const char *file;
    qs_board *words;
    void (*line)(void *ctx, const char *text);
    void *ctx;
    qs_str held;                  /* lines typed so far of an unfinished input */
    qs_str shown;                 /* prompt and line, for drawing */
    const char *in;               /* bytes being fed */
    size_t in_n;
    bool ended;
    char **match;
    size_t nmatch;
    const char *tail;             /* what a candidate ends in and readline adds itself: "] or " */
    char lead[128];               /* what stands before the word and belongs to it: m[" */
} con;

static const char prompt_new[] = "> ", prompt_more[] = "… ";

/* ---- is it finished? ------------------------------------------------------------------ */

/* Level of a long bracket "[==[" at s, or -1. */
static int long_open(const char *s)
{
    int n = 0;
    if (*s != '[') return -1;
    while (s[1 + n] == '=') n++;
    return s[1 + n] == '[' ? n : -1;
}

static const char *long_close(const char *s, int level)
{
    for (; *s; s++) {
        int n = 0;
        if (*s != ']') continue;
        while (s[1 + n] == '=') n++;
        if (n == level && s[1 + n] == ']') return s + n + 2;
    }
    return NULL;
}

static const char *skip_string(const char *s)
{
    char q = *s++;
    for (; *s && *s != q && *s != '\n'; s++)
        if (*s == '\\' && s[1]) s++;
    return *s == q ? s + 1 : s;
}

static int word_depth(const char *s, size_t n)
{
    static const struct { const char *word; int d; } words[] = {
        {"function", 1}, {"do", 1}, {"if", 1}, {"repeat", 1}, {"end", -1}, {"until", -1},
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strlen(words[i].word) == n && !memcmp(words[i].word, s, n)) return words[i].d;
    return 0;
}

/* Skips a comment or a long string at *s; 0 none, 1 skipped, -1 it has no end. */
static int skip_long(const char **s)
{
    bool comment = (*s)[0] == '-' && (*s)[1] == '-';
    const char *p = comment ? *s + 2 : *s;
    int level = long_open(p);
    if (!comment && level < 0) return 0;
    if (level < 0) {
        *s += strcspn(*s, "\n");
        return 1;
    }
    const char *e = long_close(p + level + 2, level);
    if (!e) return -1;
    *s = e;
    return 1;
}

bool qs_console_open(const char *s)
{
    int depth = 0;
    while (*s) {
        int k = skip_long(&s);
        if (k < 0) return true;
        if (k > 0) continue;
        if (*s == '"' || *s == '\'') { s = skip_string(s); continue; }
        if (isalpha((unsigned char)*s) || *s == '_') {
            size_t n = 1;
            while (isalnum((unsigned char)s[n]) || s[n] == '_') n++;
            depth += word_depth(s, n);
            s += n;
            continue;
        }
        depth += (*s == '(' || *s == '{' || *s == '[') - (*s == ')' || *s == '}' || *s == ']');
        s++;
    }
    return depth > 0;
}

/* ---- completion -------------------------------------------------------------------------- */

static void drop_matches(void)
{
    for (size_t i = 0; i < con.nmatch; i++) free(con.match[i]);
    free(con.match);
    con.match = NULL;
    con.nmatch = 0;
}

static char *next_word(const char *text, int state)
{
    static char **got;
    static size_t n, i;
    static size_t lead;
    if (state == 0) {
        char *prefix = qs_xasprintf("%s%s", con.lead, text);
        got = qs_xcalloc(MATCHES, sizeof *got);
        n = con.words ? qs_board_words(con.words, prefix, got, MATCHES) : 0;
        i = 0;
        lead = strlen(con.lead);
        free(prefix);
    }
    while (i < n) {
        char *w = got[i++];
        char *r = strlen(w) > lead ? strdup(w + lead) : NULL;
        size_t e = r ? strlen(r) : 0;
        size_t cut = strlen(con.tail);
        if (cut && e >= cut && !strcmp(r + e - cut, con.tail)) r[e - cut] = 0;
        free(w);
        if (r) return r;
    }
    free(got);
    got = NULL;
    n = i = 0;
    return NULL;
}

/* `m["` before the word: the tensor names of a model. */
static void find_lead(int start)
{
    int b = start - 1;                                      /* the quote */
    con.lead[0] = 0;
    if (b < 1 || rl_line_buffer[b - 1] != '[') return;
    int a = b - 1;
    while (a > 0 && (isalnum((unsigned char)rl_line_buffer[a - 1]) || strchr("_.", rl_line_buffer[a - 1]))) a--;
    snprintf(con.lead, sizeof con.lead, "%.*s", start - a, rl_line_buffer + a);
}

/* What ends a word: in a string only its quote, so that a file's name stays whole. */
static char *breaks(void)
{
    static char code[] = " \t\n\"'`@$><=;|&{}()[]+-*/%^~,#", string[] = "\"'";
    char open = 0;
    for (int i = 0; i < rl_point; i++) {
        char c = rl_line_buffer[i];
        if (open && c == '\\') i++;
        else if (open) open = c == open ? 0 : open;
        else if (c == '"' || c == '\'') open = c;
    }
    return open ? string : code;
}

static char **complete(const char *text, int start, int end)
{
    (void)end;
    bool quoted = rl_completion_quote_character != 0;
    con.lead[0] = 0;
    con.tail = "";
    if (quoted) find_lead(start);
    rl_completion_append_character = 0;
    rl_completion_suppress_append = !quoted;
    if (quoted) con.tail = con.lead[0] ? "\"]" : "\"";
    if (quoted && !con.lead[0]) snprintf(con.lead, sizeof con.lead, "\"");       /* "lsq", "int4", names of tensors */
    char **m = rl_completion_matches(text, next_word);
    rl_attempted_completion_over = 1;
    if (m || !quoted || con.lead[0] != '"') return m;
    rl_filename_completion_desired = 1;                                          /* else files */
    return rl_completion_matches(text, rl_filename_completion_function);
}

static void keep_matches(char **m, int n, int longest)
{
    (void)longest;
    drop_matches();
    con.match = qs_xcalloc((size_t)n, sizeof *con.match);
    for (int i = 1; i <= n && m[i]; i++) con.match[con.nmatch++] = qs_xstrdup(m[i]);
}

/* ---- lines ---------------------------------------------------------------------------------- */

static void remember(const char *text)
{
    bool several = strchr(text, '\n') != NULL;
    HIST_ENTRY *last = history_length > 0 ? history_get(history_base + history_length - 1) : NULL;
    if (last && !strcmp(last->line, text)) return;
    if (several && strstr(text, "--")) return;              /* a comment would swallow what follows on one line */
    char *flat = qs_xstrdup(text);
    for (char *p = flat; *p; p++) if (*p == '\n') *p = ' ';
    add_history(flat);
    if (con.file && append_history(1, con.file) == ENOENT) {
        int fd = open(con.file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        if (fd >= 0) {
            close(fd);
            append_history(1, con.file);
        }
    }
    free(flat);
}

static void take_line(char *line)
{
    if (!line) { con.ended = true; return; }
    if (con.held.n) qs_str_add(&con.held, "\n");
    qs_str_add(&con.held, line);
    bool nothing = strspn(con.held.s, " \t\n") == con.held.n;
    bool blank_end = line[0] == 0 && con.held.n > 1;        /* an empty line ends what never would */
    if (!nothing && !blank_end && qs_console_open(con.held.s)) {
        rl_set_prompt(prompt_more);
    } else {
        char *text = con.held.s;
        con.held = (qs_str){0};
        rl_set_prompt(prompt_new);
        if (!nothing) {
            remember(text);
            con.line(con.ctx, text);
        }
        free(text);
    }
    free(line);
}

void qs_console_resume(const char *text)
{
    con.held.n = 0;
    qs_str_add(&con.held, text);
    rl_set_prompt(prompt_more);
}

/* ---- readline's side ------------------------------------------------------------------------- */

static void nothing(void) {}

static void no_terminal(int meta) { (void)meta; }

/* A byte for readline. It asks for more than we were given only in the middle of a character or key: then they come at once. */
static int next_byte(FILE *f)
{
    unsigned char b;
    (void)f;
    if (con.in_n) {
        con.in_n--;
        return (unsigned char)*con.in++;
    }
    struct pollfd p = {STDIN_FILENO, POLLIN, 0};
    if (poll(&p, 1, 100) == 1 && read(STDIN_FILENO, &b, 1) == 1) return b;
    return 7;                                               /* Ctrl-G: abandons what was begun */
}

static int more_input(void) { return con.in_n > 0; }

void qs_console_start(const char *history, qs_board *words, void (*line)(void *, const char *), void *ctx)
{
    con.file = history;
    con.words = words;
    con.line = line;
    con.ctx = ctx;
    rl_readline_name = "quantscope";
    rl_catch_signals = rl_catch_sigwinch = rl_change_environment = 0;
    rl_prep_term_function = no_terminal;
    rl_deprep_term_function = nothing;
    rl_redisplay_function = nothing;
    rl_getc_function = next_byte;
    rl_input_available_hook = more_input;
    rl_initialize();
    rl_variable_bind("bell-style", "none");
    rl_variable_bind("show-all-if-ambiguous", "on");
    rl_variable_bind("blink-matching-paren", "off");
    rl_variable_bind("horizontal-scroll-mode", "off");
    rl_variable_bind("enable-bracketed-paste", "off");
    rl_completion_query_items = 0;
    rl_completion_word_break_hook = breaks;
    rl_completer_quote_characters = "\"'";
    rl_attempted_completion_function = complete;
    rl_completion_display_matches_hook = keep_matches;
    using_history();
    stifle_history(HISTORY_LINES);
    if (history) read_history(history);
    rl_callback_handler_install(prompt_new, take_line);
}

void qs_console_stop(void)
{
    rl_callback_handler_remove();
    if (con.file) history_truncate_file(con.file, HISTORY_LINES);
    clear_history();
    drop_matches();
    free(con.held.s);
    free(con.shown.s);
    memset(&con, 0, sizeof con);
}

bool qs_console_feed(const char *bytes, size_t n)
{
    drop_matches();
    con.in = bytes;
    con.in_n = n;
    con.ended = false;
    while (con.in_n && !con.ended) rl_callback_read_char();
    return !con.ended;
}

void qs_console_cancel(void)
{
    rl_callback_sigcleanup();
    rl_replace_line("", 1);
    rl_point = rl_end = 0;
    con.held.n = 0;
    free(con.held.s);
    con.held = (qs_str){0};
    drop_matches();
    rl_set_prompt(prompt_new);
}

void qs_console_resize(int h, int w) { rl_set_screen_size(h, w); }

bool qs_console_vi_insert(void)
{
    return rl_editing_mode == 0 && rl_get_keymap() == rl_get_keymap_by_name("vi-insert");
}

const char *qs_console_text(int *column)
{
    const char *p = rl_display_prompt ? rl_display_prompt : "";
    qs_str *b = &con.shown;
    b->n = 0;
    qs_str_add(b, p);
    qs_str_addn(b, rl_line_buffer ? rl_line_buffer : "", rl_line_buffer ? (size_t)rl_point : 0);
    *column = qs_text_width(b->s);
    qs_str_add(b, rl_line_buffer ? rl_line_buffer + rl_point : "");
    return b->s;
}

size_t qs_console_matches(char ***out)
{
    *out = con.match;
    return con.nmatch;
}
