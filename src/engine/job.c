/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The worker thread and the box of lines it runs, in order. Knows threads, ids
 * and one pipe; what a line means, the runner knows.
 *
 * One leaf mutex guards the queue; nothing is computed while it is held. Ids and
 * the cancel word are atomics, since a signal handler reads and writes them.
 */
#include "engine/job.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/sync.h"

struct job {
    struct job *next;
    uint64_t id;
    char text[];
};

struct qs_jobs {
    qs_jobs_ops ops;
    pthread_t thread;
    pthread_mutex_t mu;        /* guards first, last */
    pthread_cond_t cv;
    struct job *first, **last;
    atomic_size_t queued;
    atomic_bool poked, quit, asleep;
    _Atomic uint64_t given;    /* the last id given out */
    _Atomic uint64_t running;
    _Atomic uint64_t cancel_upto;
    int wake[2];
};

static atomic_bool one_there;

/* ---- ids ------------------------------------------------------------------------- */
/* A lock-free maximum: two cancels that race never take one back. */
static void cancel_upto(qs_jobs *j, uint64_t id)
{
    uint64_t old = atomic_load(&j->cancel_upto);
    while (old < id && !atomic_compare_exchange_weak(&j->cancel_upto, &old, id)) {}
}

void qs_jobs_cancel(qs_jobs *j) { cancel_upto(j, atomic_load(&j->given)); }
uint64_t qs_jobs_own_id(qs_jobs *j) { return atomic_fetch_add(&j->given, 1) + 1; }
const _Atomic uint64_t *qs_jobs_cancel_word(const qs_jobs *j) { return &j->cancel_upto; }
uint64_t qs_jobs_running(const qs_jobs *j) { return atomic_load(&j->running); }
size_t qs_jobs_queued(const qs_jobs *j) { return atomic_load(&j->queued); }

bool qs_jobs_waiting(const qs_jobs *j)
{
    return atomic_load(&j->queued) || atomic_load(&j->poked) || atomic_load(&j->quit);
}

bool qs_jobs_idle(const qs_jobs *j) { return atomic_load(&j->asleep) && !qs_jobs_waiting(j); }

/* ---- the queue ------------------------------------------------------------------- */
uint64_t qs_jobs_submit(qs_jobs *j, const char *text)
{
    size_t n = strlen(text) + 1;
    struct job *b = qs_xmalloc(sizeof *b + n);
    memcpy(b->text, text, n);
    b->next = NULL;
    pthread_mutex_lock(&j->mu);
    uint64_t id = b->id = qs_jobs_own_id(j);
    *j->last = b;
    j->last = &b->next;
    atomic_fetch_add(&j->queued, 1);
    pthread_cond_signal(&j->cv);
    pthread_mutex_unlock(&j->mu);
    return id;
}

/* With mu held. */
static struct job *take(qs_jobs *j)
{
    struct job *b = j->first;
    if (!b) return NULL;
    j->first = b->next;
    if (!j->first) j->last = &j->first;
    atomic_fetch_sub(&j->queued, 1);
    return b;
}

void qs_jobs_drop(qs_jobs *j)
{
    pthread_mutex_lock(&j->mu);
    for (struct job *b; (b = take(j));) free(b);
    pthread_mutex_unlock(&j->mu);
}

void qs_jobs_poke(qs_jobs *j)
{
    pthread_mutex_lock(&j->mu);
    atomic_store(&j->poked, true);
    pthread_cond_signal(&j->cv);
    pthread_mutex_unlock(&j->mu);
}

/* ---- the worker --------------------------------------------------------------------- */
static void run(qs_jobs *j, struct job *b)
{
    if (atomic_load(&j->cancel_upto) >= b->id) {
        if (j->ops.skip) j->ops.skip(j->ops.ctx, b->id, b->text);
    } else {
        atomic_store(&j->running, b->id);
        j->ops.run(j->ops.ctx, b->id, b->text);
        atomic_store(&j->running, 0);
    }
    free(b);
    qs_jobs_wake(j);
}

/* Waits until there is something to do, or not at all while `more` background work is left. false: the end. */
static bool next(qs_jobs *j, bool more, bool *serve, struct job **b)
{
    pthread_mutex_lock(&j->mu);
    while (!more && !j->first && !atomic_load(&j->poked) && !atomic_load(&j->quit)) {
        atomic_store(&j->asleep, true);
        pthread_cond_wait(&j->cv, &j->mu);
    }
    atomic_store(&j->asleep, false);
    bool quit = atomic_load(&j->quit);
    *serve = atomic_exchange(&j->poked, false);
    *b = quit ? NULL : take(j);
    pthread_mutex_unlock(&j->mu);
    return !quit;
}

static void *work(void *arg)
{
    qs_jobs *j = arg;
    struct job *b;
    bool serve, more = false;   /* nothing before the first job or poke: whoever starts us may still set things up */
    while (next(j, more, &serve, &b)) {
        if (serve && j->ops.serve) j->ops.serve(j->ops.ctx);
        if (b) run(j, b);
        more = j->ops.idle && (serve || b || j->ops.idle(j->ops.ctx));
    }
    return NULL;
}

/* The worker takes no signals. */
static int start_thread(qs_jobs *j)
{
    sigset_t old;
    qs_signals_off(&old);
    int rc = pthread_create(&j->thread, NULL, work, j);
    qs_signals_on(&old);
    return rc;
}

static void free_jobs(qs_jobs *j)
{
    qs_jobs_drop(j);
    for (int i = 0; i < 2; i++)
        if (j->wake[i] >= 0) close(j->wake[i]);
    pthread_cond_destroy(&j->cv);
    pthread_mutex_destroy(&j->mu);
    free(j);
    atomic_store(&one_there, false);
}

qs_jobs *qs_jobs_start(const qs_jobs_ops *ops, qs_err *err)
{
    if (atomic_exchange(&one_there, true)) {
        qs_fail(err, QS_ESTATE, "there is a worker already");
        return NULL;
    }
    qs_jobs *j = qs_xcalloc(1, sizeof *j);
    j->ops = *ops;
    j->last = &j->first;
    j->wake[0] = j->wake[1] = -1;
    pthread_mutex_init(&j->mu, NULL);
    pthread_cond_init(&j->cv, NULL);
    int rc = pipe2(j->wake, O_NONBLOCK | O_CLOEXEC) ? errno : start_thread(j);
    if (rc) {
        qs_fail(err, QS_EIO, "the worker cannot be started: %s", strerror(rc));
        free_jobs(j);
        return NULL;
    }
    return j;
}

void qs_jobs_stop(qs_jobs *j)
{
    if (!j) return;
    cancel_upto(j, UINT64_MAX);
    pthread_mutex_lock(&j->mu);
    atomic_store(&j->quit, true);
    pthread_cond_signal(&j->cv);
    pthread_mutex_unlock(&j->mu);
    pthread_join(j->thread, NULL);
    free_jobs(j);
}

/* ---- the pipe --------------------------------------------------------------------------- */
int qs_jobs_wake_fd(const qs_jobs *j) { return j->wake[0]; }

/* A full pipe is as good as one more byte: the reader wakes. */
void qs_jobs_wake(qs_jobs *j)
{
    int e = errno;
    ssize_t n = write(j->wake[1], "", 1);
    (void)n;
    errno = e;
}
