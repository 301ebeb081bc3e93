/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_STORE_CREW_H
#define QS_STORE_CREW_H
/*
 * Worker processes that do one task after the other. Knows tasks as numbers,
 * what is said as lines (store/report.h), and nothing of sweeps.
 *
 * A worker is exec'ed, in a process group of its own (a Ctrl-C of the terminal
 * does not reach it), with the script in descriptor QS_CREW_SCRIPT, a socket to
 * its parent in QS_CREW_SOCKET, and nothing to read. What it prints comes as
 * lines. It ends with its parent: by PR_SET_PDEATHSIG, and by the end of the
 * socket. One that dies costs its task; the next task starts another.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "store/report.h"

enum { QS_CREW_SOCKET = 3, QS_CREW_SCRIPT = 4, QS_CREW_MAX = 256 };

typedef struct qs_crew qs_crew;

typedef struct qs_crew_opts {
    const char *program;       /* what is exec'ed */
    char *const *argv;         /* ends with NULL */
    const char *script;        /* (nscript) bytes every worker can read */
    size_t nscript;
    const char *hello;         /* what a worker must call itself, else it is another program */
    int jobs;                  /* 1 .. QS_CREW_MAX at a time */
    double limit;              /* seconds a task may take; 0: any */
} qs_crew_opts;

typedef struct qs_crew_event {
    enum { QS_CREW_ENDED, QS_CREW_PROGRESS, QS_CREW_SAID } kind;
    size_t task;
    int place;                 /* of the worker: 0 .. jobs-1 */
    const qs_report *report;   /* ENDED */
    double done;               /* PROGRESS: 0 .. 1 */
    const char *text;          /* PROGRESS; SAID: a line it printed */
} qs_crew_event;

/* Starts nothing yet. Copies what opts points to. */
qs_crew *qs_crew_new(const qs_crew_opts *o, qs_err *err);
/* Kills who works; others end by themselves. */
void qs_crew_free(qs_crew *c);
/* The place of a worker that has nothing to do, or could be started; -1: all work. */
int qs_crew_idle(const qs_crew *c);
size_t qs_crew_working(const qs_crew *c);
/* Gives the worker of an idle place a task; line: qs_line_job. EIO: it cannot be started. */
int qs_crew_give(qs_crew *c, int place, size_t task, const char *line, qs_err *err);
/* Waits until something happens or `seconds` are over, and tells it. An interrupted wait is over. EIO, ESTATE: workers
 * cannot work at all: not started, or another program. */
int qs_crew_wait(qs_crew *c, double seconds, void (*tell)(void *ctx, const qs_crew_event *e), void *ctx, qs_err *err);

/* ---- the other side --------------------------------------------------------------------------------------- */
typedef struct qs_hand {
    char *script;              /* (nscript) and a NUL */
    size_t nscript;
    qs_str in;
} qs_hand;
/* Binds this process to its parent, whose number is given. ESTATE: it was not started by a crew, or the parent is gone. */
int qs_hand_open(qs_hand *h, pid_t parent, qs_err *err);
void qs_hand_close(qs_hand *h);
/* The next job: 1; 0: no more; else an error. */
int qs_hand_next(qs_hand *h, qs_line *job, qs_err *err);
/* line: with its newline, NULL allowed; freed. */
int qs_hand_tell(qs_hand *h, char *line, qs_err *err);

#endif
