/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_BASE_SYNC_H
#define QS_BASE_SYNC_H
/*
 * What long work needs from above (cancel, progress) and from below (threads).
 *
 * Cancel compares ids and is never reset: job J is cancelled once *cancel_upto
 * >= J, so a Ctrl-C that comes just before the work starts is not lost.
 */
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

typedef struct qs_ctl {
    const _Atomic uint64_t *cancel_upto;  /* written by the signal handler; NULL: cannot be cancelled */
    uint64_t job;                         /* this work's id, > 0 */
    /* Called on the thread that owns the work, at every check; `done` in 0..1 or < 0 for unknown.
     * A return other than 0 abandons the work with QS_ECANCEL (a newer selection, say). */
    int (*poll)(void *ctx, const char *what, double done);
    void *ctx;
} qs_ctl;

/* Only asks whether the work was cancelled. Any thread; NULL ctl: never. */
static inline bool qs_cancelled(const qs_ctl *ctl)
{
    return ctl && ctl->cancel_upto && atomic_load_explicit(ctl->cancel_upto, memory_order_relaxed) >= ctl->job;
}

/*
 * The check long work makes every 64 K elements: cancel, progress, and whatever poll serves.
 * Returns 0 or -QS_ECANCEL with err set. Thread: the one that owns the work.
 */
int qs_ctl_check(const qs_ctl *ctl, const char *what, double done, qs_err *err);

/* Threads for computing: 1..256. Default: QUANTSCOPE_THREADS, else the usable CPUs. */
int qs_threads(void);
void qs_threads_set(int n);

/*
 * Runs fn(arg, chunk) for chunk = 0 .. chunks-1 on the pool and the calling thread; returns when all
 * are done. How work is cut into chunks must not depend on the number of threads: partial results
 * combined in chunk order are then equal bit for bit whatever the machine.
 * Thread: any, also from inside fn (it then runs in place). fn must not call qs_ctl_check.
 */
void qs_parallel(size_t chunks, void (*fn)(void *arg, size_t chunk), void *arg);

/* Inside fn: which of the threads that share the loop this is, 0 .. chunks-1; memory of that number is its own. */
size_t qs_worker(void);

/*
 * From off to on no signal handler runs on this thread, but for faults that it raises itself. For threads that are being made
 * (they inherit it), and around code that keeps data below its stack pointer, where a handler's frame would be written:
 * oneDNN's matrix products do (seen in 2.6). old: what was blocked before. Cost: a system call each.
 */
void qs_signals_off(sigset_t *old);
void qs_signals_on(const sigset_t *old);

/* Monotonic seconds. */
double qs_now(void);

#endif
