/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The pool: one set of threads, made when first needed, one parallel loop at a
 * time. A caller that finds the pool in use runs its loop alone, which is right
 * (the machine is busy already) and cannot deadlock.
 */
#include "base/sync.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#define THREADS_MAX 256

int qs_ctl_check(const qs_ctl *ctl, const char *what, double done, qs_err *err)
{
    if (!ctl) return 0;
    if (qs_cancelled(ctl) || (ctl->poll && ctl->poll(ctl->ctx, what, done)))
        return qs_fail(err, QS_ECANCEL, "interrupted");
    return 0;
}

double qs_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- how many ---------------------------------------------------------------- */
static _Atomic int wanted;

static int default_threads(void)
{
    const char *e = getenv("QUANTSCOPE_THREADS");
    int n = e ? atoi(e) : 0;
    cpu_set_t set;
    if (n < 1 && !sched_getaffinity(0, sizeof set, &set)) n = CPU_COUNT(&set);
    return n < 1 ? 1 : n > THREADS_MAX ? THREADS_MAX : n;
}

int qs_threads(void)
{
    int n = atomic_load(&wanted);
    if (!n) {
        n = default_threads();
        atomic_store(&wanted, n);
    }
    return n;
}

void qs_threads_set(int n) { atomic_store(&wanted, n < 1 ? 1 : n > THREADS_MAX ? THREADS_MAX : n); }

/* ---- the pool ------------------------------------------------------------------ */
struct loop {
    void (*fn)(void *, size_t);
    void *arg;
    size_t chunks;
    _Atomic size_t next, workers;
};

static _Thread_local size_t worker;

size_t qs_worker(void) { return worker; }

static struct {
    pthread_mutex_t use;   /* held by the caller whose loop runs */
    pthread_mutex_t mu;    /* guards what follows */
    pthread_cond_t start, done;
    struct loop *loop;
    _Atomic unsigned long turn;   /* grows by one a loop */
    _Atomic int working;
    int made, allowed;
} pool = {.use = PTHREAD_MUTEX_INITIALIZER, .mu = PTHREAD_MUTEX_INITIALIZER,
          .start = PTHREAD_COND_INITIALIZER, .done = PTHREAD_COND_INITIALIZER};

static void run_chunks(struct loop *l)
{
    size_t outer = worker, c = atomic_fetch_add(&l->next, 1);
    if (c >= l->chunks) return;
    worker = atomic_fetch_add(&l->workers, 1);
    for (; c < l->chunks; c = atomic_fetch_add(&l->next, 1)) l->fn(l->arg, c);
    worker = outer;
}

/* Waking a thread costs more than many a loop of a training step: whoever waits looks on for a moment before it sleeps. */
#define SPINS 10000

static void breathe(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

static void await_turn(unsigned long seen)
{
    for (int i = 0; i < SPINS && atomic_load_explicit(&pool.turn, memory_order_relaxed) == seen; i++) breathe();
}

static void await_others(void)
{
    for (int i = 0; i < SPINS && atomic_load_explicit(&pool.working, memory_order_relaxed); i++) breathe();
}

static void *pool_main(void *arg)
{
    int me = (int)(intptr_t)arg;
    unsigned long seen = 0;
    for (;;) {
        await_turn(seen);
        pthread_mutex_lock(&pool.mu);
        while (pool.turn == seen || !pool.loop || me >= pool.allowed) {
            seen = pool.turn;
            pthread_cond_wait(&pool.start, &pool.mu);
        }
        seen = pool.turn;
        struct loop *l = pool.loop;
        pool.working++;
        pthread_mutex_unlock(&pool.mu);
        run_chunks(l);
        pthread_mutex_lock(&pool.mu);
        if (--pool.working == 0) pthread_cond_signal(&pool.done);
        pthread_mutex_unlock(&pool.mu);
    }
    return NULL;
}

void qs_signals_off(sigset_t *old)
{
    /* blocked, those would end the program before a crash handler gives the terminal back */
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};
    sigset_t all;
    sigfillset(&all);
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) sigdelset(&all, faults[i]);
    pthread_sigmask(SIG_BLOCK, &all, old);
}

void qs_signals_on(const sigset_t *old) { pthread_sigmask(SIG_SETMASK, old, NULL); }

/* With pool.mu held: brings the pool to n helpers; they take no signals. */
static void grow(int n)
{
    sigset_t old;
    qs_signals_off(&old);
    while (pool.made < n) {
        pthread_t t;
        if (pthread_create(&t, NULL, pool_main, (void *)(intptr_t)pool.made)) break;
        pthread_detach(t);
        pool.made++;
    }
    qs_signals_on(&old);
}

void qs_parallel(size_t chunks, void (*fn)(void *, size_t), void *arg)
{
    struct loop l = {.fn = fn, .arg = arg, .chunks = chunks};
    int helpers = qs_threads() - 1;
    if (chunks < 2 || helpers < 1 || pthread_mutex_trylock(&pool.use)) {
        run_chunks(&l);
        return;
    }
    pthread_mutex_lock(&pool.mu);
    if (pool.made < helpers) grow(helpers);
    pool.loop = &l;
    pool.allowed = helpers;
    pool.turn++;
    pthread_cond_broadcast(&pool.start);
    pthread_mutex_unlock(&pool.mu);

    run_chunks(&l);

    await_others();
    pthread_mutex_lock(&pool.mu);
    pool.loop = NULL;
    while (pool.working) pthread_cond_wait(&pool.done, &pool.mu);
    pthread_mutex_unlock(&pool.mu);
    pthread_mutex_unlock(&pool.use);
}
