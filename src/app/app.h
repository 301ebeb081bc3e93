/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_APP_APP_H
#define QS_APP_APP_H
/*
 * What the files of app share: the parsed command line, exit codes, the places
 * of files, the interrupt of headless work, and one function a command.
 *
 * To add a command: one file with one function, one row in the table of main.c,
 * its options in the table there, a section in man/quantscope.1.
 */
#include "engine/session.h"
#include "quant/format.h"
#include "store/store.h"

enum { QS_EXIT_OK = 0, QS_EXIT_FAIL = 1, QS_EXIT_USAGE = 2, QS_EXIT_FILE = 3, QS_EXIT_DIVERGED = 4, QS_EXIT_INT = 130,
       QS_EXIT_SIGNAL = 128 /* and its number */ };

/* ---- the command line (main.c) ------------------------------------------------------- */
typedef struct qs_args {
    const char *command;          /* "list", or "" for the workbench */
    char **rest;                  /* (nrest) what is no option */
    int nrest;
    const char **tensor;          /* (ntensor) --tensor GLOB, as often as given */
    size_t ntensor;
    const char **chunk;           /* (nchunk) -e LUA, as often as given */
    size_t nchunk;
    const char *format, *init;    /* lists with commas, or NULL */
    long points, channel, threads; /* -1: not given */
    double lo, hi, norm;          /* --lo, --hi: 0: not given; --norm p */
    bool json, csv, codes, no_config, help, version;
    const char *output, *title, *log, *x, *y;   /* of a picture (output: also of quantize, init); NULL: not given */
    double width, height, font;   /* of a picture; 0: not given */
    double budget, sqnr;          /* of report: bits a weight, dB; 0: not given */
    const char *html;             /* a page to write; NULL: not given */
    const char *importance, *activations;   /* files; NULL: not given */
    /* sweep */
    const char *db, *filter, *shard;
    long jobs;                    /* -1: not given */
    double limit;                 /* seconds; 0: not given */
    bool fresh, resume, keep_failed, dry_run;
    const char *plot;             /* "braille" "block" "ascii", or NULL */
    const char *sweep, *by, *metric, *baseline, *series;   /* of results */
    const char *journal;          /* "wal" "delete", or NULL */
    bool accept_changes;
    /* race */
    const char *net, *learn;      /* NULL: not given */
    long bits, steps, seed;       /* -1: not given */
    bool slice;
    const char *record, *play, *speed;   /* NULL: not given */
    const char *color;            /* "auto" "256" "8" "none", or NULL */
} qs_args;

/* Commands. Each returns the exit code; messages went to stderr. */
int qs_cmd_list(const qs_args *a);
int qs_cmd_compare(const qs_args *a);
int qs_cmd_curve(const qs_args *a);
int qs_cmd_quantize(const qs_args *a);
int qs_cmd_init(const qs_args *a);
int qs_cmd_diff(const qs_args *a);
int qs_cmd_plot(const qs_args *a);
int qs_cmd_results(const qs_args *a);
int qs_cmd_race(const qs_args *a);
int qs_cmd_report(const qs_args *a);
int qs_cmd_merge(const qs_args *a);
int qs_cmd_run(const qs_args *a);
int qs_cmd_eval(const qs_args *a);       /* -e */
int qs_cmd_repl(const qs_args *a);
int qs_cmd_sweep(const qs_args *a);
int qs_cmd_sweep_worker(const qs_args *a);
int qs_cmd_workbench(const qs_args *a);

/* --journal: how a results database is opened for writing. */
qs_store_mode qs_journal(const qs_args *a);

/* ---- messages ------------------------------------------------------------------------ */
/* "quantscope: ..." on stderr. */
void qs_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Says it and where to read on; QS_EXIT_USAGE. */
int qs_usage(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Says err; the exit code for its kind: files 3, Ctrl-C 130, arguments 2, else 1. */
int qs_say_err(const qs_err *err);
/* The same for a file that cannot be opened, whatever the reason: 3. */
int qs_say_file(const qs_err *err);
/* Whether all that was printed could be written: 0, or an exit code, the reason said. A closed pipe is no failure. */
int qs_flush_stdout(void);
/* False once a write to stdout failed. Asked right after writing, with errno 0 before: it keeps the reason. */
bool qs_stdout_open(void);

/* ---- places (paths.c): malloc'd; no file need be there ----------------------------------- */
char *qs_path_config(void);              /* config.lua */
char *qs_path_history(void);             /* console history; makes its folder */
/* A file or folder that comes with the program, by its name in data/: beside the source when run from the build folder,
 * else installed. NULL: neither is there. */
char *qs_path_data(const char *name);
char *qs_path_bundled(void);             /* the model the workbench opens when none is named; NULL as above */

/* ---- work without a screen (headless.c) ------------------------------------------------------ */
typedef struct qs_headless {
    qs_session *session;
    struct qs_repl *repl;         /* only after qs_headless_lua */
} qs_headless;
/* A session whose work SIGINT cancels (again: ends the program), with progress on stderr where that is a terminal. */
int qs_headless_open(qs_headless *h);
void qs_headless_close(qs_headless *h);
/* A Lua state on that session; config: also runs config.lua, if it is there. 0 or an exit code. */
int qs_headless_lua(qs_headless *h, bool config);
/* What comes next is new work: an earlier Ctrl-C does not count. */
void qs_headless_again(qs_headless *h);
/* Removes the progress line before something else is printed. */
void qs_progress_clear(void);

/* What was typed, as keys and texts, for a command that is written in Lua. Keys and texts are borrowed. */
typedef struct qs_pairs {
    const char *v[2 * 32 + 1];               /* key, value, ..., NULL */
    size_t n;
    char number[8][40];
    size_t nnumber;
} qs_pairs;
/* value NULL: left out. */
void qs_pairs_put(qs_pairs *p, const char *key, const char *value);
void qs_pairs_number(qs_pairs *p, const char *key, bool given, double v);
/* Calls the function `command` of a module in lua/quantscope with them. *text: what it returned, malloc'd; NULL: it failed,
 * and the exit code and what was said on stderr tell why. */
int qs_headless_command(const qs_args *a, const char *module, const qs_pairs *p, char **text);

/* The model a command works on: exactly one must be named. NULL: *code is the exit code. Borrowed from the session. */
qs_model *qs_headless_model(qs_headless *h, const qs_args *a, int *code);
/* Another file, named by an option; path NULL: NULL, and *code stays. NULL otherwise: *code is the exit code. */
qs_model *qs_headless_other(qs_headless *h, const char *path, int *code);
/*
 * Tensors that the --tensor patterns choose, in the order of the model; without a pattern all that are quantized
 * (every: really all). A pattern that is a tensor's whole name takes it whatever it holds; one that chooses
 * nothing is an error that says so. Returns an exit code; *out malloc'd, tensors borrowed.
 */
int qs_choose_tensors(const qs_args *a, const qs_model *m, bool every, qs_tensor ***out, size_t *n);
/* Cuts at commas outside parentheses; malloc'd NULL-terminated array in one block with its strings. */
char **qs_cut_list(const char *s, size_t *n);
/* What a command that tries formats and initializations on tensors is asked. */
typedef struct qs_asked {
    qs_headless h;                /* with Lua: config.lua may add initializations */
    qs_model *m;
    qs_tensor **t;                /* (nt) may be none: qs_asked_nothing */
    size_t nt;
    qs_format **f;                /* (nf) */
    size_t nf;
    char **init;                  /* (ninit); NULL: all that apply */
    size_t ninit;
} qs_asked;
/* formats: where --format says none; most: so many at most. Returns an exit code; to be closed either way. */
int qs_asked_open(qs_asked *q, const qs_args *a, const char *formats, size_t most);
/* Says that no tensor was chosen; an exit code. */
int qs_asked_nothing(const qs_asked *q, const qs_args *a);
void qs_asked_close(qs_asked *q);

#endif
