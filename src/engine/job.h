/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_ENGINE_JOB_H
#define QS_ENGINE_JOB_H
/*
 * The job box between the UI thread and the worker: lines of Lua with ids,
 * queued in order. Knows neither Lua nor the screen: plain text goes in, the
 * worker's runner takes it out. Includes only base/, so that ui may use it.
 *
 *     UI thread                             worker thread
 *     qs_jobs_submit(text)  --------------> runner(ctx, id, text)
 *     qs_jobs_cancel()      --- id -------> qs_ctl_check fails
 *     qs_board_pick(pick)   --------------> serve(ctx)   also in the middle of a job
 *     wake pipe             <-------------- qs_jobs_wake
 */
#include "base/sync.h"

typedef struct qs_jobs qs_jobs;

typedef struct qs_jobs_ops {
    void *ctx;
    /* Runs one job on the worker thread. */
    void (*run)(void *ctx, uint64_t id, const char *text);
    /* Serves what the UI picked (qs_board_take_pick, qs_board_viewport) and publishes; called between jobs whenever the
     * worker is poked. The runner also serves from qs_ctl_check and the Lua hook while a job runs. */
    void (*serve)(void *ctx);
    /* Background work when there is nothing else: one slice of at most 10 ms, or longer work that stops within 10 ms
     * once qs_jobs_waiting; false when nothing is left (it is asked again after the next job or serving). */
    bool (*idle)(void *ctx);
    /* A job that was cancelled before it started is not run; this says so. Worker thread; NULL: nothing. */
    void (*skip)(void *ctx, uint64_t id, const char *text);
} qs_jobs_ops;

/* Starts the worker (all signals blocked in it, but those of a fault of its own). One a process (ESTATE): the signal
 * handler needs to find it. Touches ctx from the first submit or poke on, not before. EIO: the system gives no
 * thread or no pipe.  Test: t_job */
qs_jobs *qs_jobs_start(const qs_jobs_ops *ops, qs_err *err);
/* Cancels what runs, ends the worker, frees; jobs that wait are dropped. NULL allowed. */
void qs_jobs_stop(qs_jobs *j);

uint64_t qs_jobs_submit(qs_jobs *j, const char *text);    /* copies; returns the id */
size_t qs_jobs_queued(const qs_jobs *j);                  /* waiting, without the one that runs */
uint64_t qs_jobs_running(const qs_jobs *j);               /* id, 0: none */
/* Cancels every job submitted so far, and the worker's own work that goes on. Async-signal-safe. */
void qs_jobs_cancel(qs_jobs *j);
/* Drops the jobs that wait. */
void qs_jobs_drop(qs_jobs *j);

/* Wakes the worker if it waits: something was picked. Any thread. */
void qs_jobs_poke(qs_jobs *j);

int qs_jobs_wake_fd(const qs_jobs *j);                    /* the UI polls this for reading; non-blocking */
void qs_jobs_wake(qs_jobs *j);                            /* async-signal-safe: one byte into the pipe */

/* For qs_ctl: the cancel word, compared with the id of the job that runs. */
const _Atomic uint64_t *qs_jobs_cancel_word(const qs_jobs *j);
/* An id for work of the worker's own (serving a pick), so that a cancel from now on reaches it. */
uint64_t qs_jobs_own_id(qs_jobs *j);
/* Does a job, a poke or the end wait? Any thread; three atomic reads. Background work asks it to give way. */
bool qs_jobs_waiting(const qs_jobs *j);
/* Does the worker sleep, with nothing left to do (no job, no poke, no idle slice)? Any thread. */
bool qs_jobs_idle(const qs_jobs *j);

#endif
