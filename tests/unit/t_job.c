/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The job box: order, cancelling, poke and idle, stopping while busy. Runs under the thread sanitizer too. */
#include "engine/job.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "../tap.h"

static struct {
    qs_jobs *j;
    pthread_mutex_t mu;
    char said[400];
    atomic_int ran, stopped, skipped, served, idled, idle_left;
    atomic_bool go;            /* "wait" jobs wait for it */
    sigset_t mask;
} w = {.mu = PTHREAD_MUTEX_INITIALIZER};

static void say(const char *s)
{
    pthread_mutex_lock(&w.mu);
    strncat(w.said, s, sizeof w.said - strlen(w.said) - 1);
    pthread_mutex_unlock(&w.mu);
}

static void nap(void) { nanosleep(&(struct timespec){0, 200000}, NULL); }

/* "wait": until go or cancelled; "spin": until cancelled; anything else is said. */
static void run(void *ctx, uint64_t id, const char *text)
{
    (void)ctx;
    qs_ctl ctl = {.cancel_upto = qs_jobs_cancel_word(w.j), .job = id};
    if (qs_jobs_running(w.j) != id) say("[wrong id]");
    if (!strcmp(text, "mask")) pthread_sigmask(SIG_BLOCK, NULL, &w.mask);
    bool spin = !strcmp(text, "spin"), wait = !strcmp(text, "wait");
    while ((spin || (wait && !atomic_load(&w.go))) && !qs_ctl_check(&ctl, "test", -1, NULL)) nap();
    if (qs_cancelled(&ctl)) atomic_fetch_add(&w.stopped, 1);
    say(text);
    atomic_fetch_add(&w.ran, 1);
}

static void serve(void *ctx) { (void)ctx; atomic_fetch_add(&w.served, 1); }
static void skip(void *ctx, uint64_t id, const char *text)
{
    (void)ctx, (void)id, (void)text;
    atomic_fetch_add(&w.skipped, 1);
}

static bool idle(void *ctx)
{
    (void)ctx;
    if (atomic_load(&w.idle_left) <= 0) return false;
    atomic_fetch_add(&w.idled, 1);
    return atomic_fetch_sub(&w.idle_left, 1) > 1;
}

static bool until(atomic_int *v, int want)
{
    for (int i = 0; i < 25000 && atomic_load(v) < want; i++) nap();
    return atomic_load(v) >= want;
}

static bool started(uint64_t id)
{
    for (int i = 0; i < 25000 && qs_jobs_running(w.j) != id; i++) nap();
    return qs_jobs_running(w.j) == id;
}

static void begin(void)
{
    static const qs_jobs_ops ops = {.run = run, .serve = serve, .idle = idle, .skip = skip};
    w.said[0] = '\0';
    atomic_int *const all[] = {&w.ran, &w.stopped, &w.skipped, &w.served, &w.idled, &w.idle_left};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) atomic_store(all[i], 0);
    atomic_store(&w.go, false);
    w.j = qs_jobs_start(&ops, NULL);
}

static void in_order(void)
{
    begin();
    uint64_t hold = qs_jobs_submit(w.j, "wait");
    ok(started(hold), "the first job starts");
    uint64_t a = qs_jobs_submit(w.j, "a"), b = qs_jobs_submit(w.j, "b");
    ok(hold < a && a < b, "ids grow");
    ok(qs_jobs_queued(w.j) == 2, "two jobs wait while one runs");
    ok(qs_jobs_waiting(w.j) && !qs_jobs_idle(w.j), "something waits");
    atomic_store(&w.go, true);
    ok(until(&w.ran, 3), "all ran");
    same(w.said, "waitab", "jobs run in the order they were given");
    struct pollfd p = {qs_jobs_wake_fd(w.j), POLLIN, 0};
    ok(poll(&p, 1, 5000) == 1, "the end of a job wakes the other side");
    qs_jobs_submit(w.j, "mask");
    until(&w.ran, 4);
    ok(sigismember(&w.mask, SIGINT) && sigismember(&w.mask, SIGWINCH) && sigismember(&w.mask, SIGTSTP) &&
           !sigismember(&w.mask, SIGSEGV), "the worker takes no signals but its own faults");
    qs_err err = {0};
    ok(!qs_jobs_start(&(qs_jobs_ops){.run = run}, &err) && err.code == QS_ESTATE, "there is one worker a process");
    qs_jobs_stop(w.j);
}

static void cancelling(void)
{
    begin();
    uint64_t first = qs_jobs_submit(w.j, "spin");
    qs_jobs_submit(w.j, "x");
    qs_jobs_submit(w.j, "y");
    started(first);
    qs_jobs_cancel(w.j);
    ok(until(&w.skipped, 2) && until(&w.stopped, 1), "cancel stops what runs and what waits");
    same(w.said, "spin", "a job cancelled while it waited does not run");
    qs_jobs_submit(w.j, "after");
    ok(until(&w.ran, 2) && atomic_load(&w.stopped) == 1, "a job submitted after the cancel runs");
    first = qs_jobs_submit(w.j, "wait");
    started(first);
    uint64_t late = qs_jobs_submit(w.j, "spin");
    qs_jobs_cancel(w.j);             /* before it starts: must not be lost */
    ok(until(&w.skipped, 3) && qs_jobs_running(w.j) != late, "a cancel before the start is not lost");
    uint64_t own = qs_jobs_own_id(w.j);
    qs_ctl ctl = {.cancel_upto = qs_jobs_cancel_word(w.j), .job = own};
    ok(!qs_cancelled(&ctl), "work of the worker's own is not cancelled by an earlier cancel");
    qs_jobs_cancel(w.j);
    ok(qs_cancelled(&ctl), "but by a later one");
    qs_jobs_stop(w.j);
}

static void poke_and_idle(void)
{
    begin();
    atomic_store(&w.idle_left, 5);
    nap();
    ok(atomic_load(&w.idled) == 0 && atomic_load(&w.served) == 0, "nothing is touched before the first poke");
    qs_jobs_poke(w.j);
    ok(until(&w.served, 1), "a poke is served");
    ok(until(&w.idled, 5), "idle slices go on until nothing is left");
    for (int i = 0; i < 25000 && !qs_jobs_idle(w.j); i++) nap();
    ok(qs_jobs_idle(w.j), "then the worker sleeps");
    atomic_store(&w.idle_left, 3);
    qs_jobs_submit(w.j, "a");
    ok(until(&w.idled, 8), "and are asked for again after a job");
    uint64_t hold = qs_jobs_submit(w.j, "wait");
    started(hold);
    qs_jobs_submit(w.j, "b");
    qs_jobs_submit(w.j, "c");
    qs_jobs_drop(w.j);
    ok(qs_jobs_queued(w.j) == 0, "dropped jobs are gone");
    atomic_store(&w.go, true);
    until(&w.ran, 2);
    same(w.said, "await", "and do not run");
    qs_jobs_stop(w.j);
}

static void stop_while_busy(void)
{
    begin();
    uint64_t id = qs_jobs_submit(w.j, "spin");
    for (int i = 0; i < 10; i++) qs_jobs_submit(w.j, "never");
    started(id);
    qs_jobs_stop(w.j);
    same(w.said, "spin", "stopping cancels what runs and runs nothing more");
    ok(atomic_load(&w.stopped) == 1, "the job saw it");
    qs_jobs_stop(NULL);
}

/* Cancels race with submits: a job either runs to its end or is stopped, and none is lost. */
static void *hammer(void *arg)
{
    (void)arg;
    for (int i = 0; i < 200; i++) {
        qs_jobs_cancel(w.j);
        qs_jobs_poke(w.j);
        if (i % 8 == 0) nap();
    }
    return NULL;
}

static void racing(void)
{
    begin();
    pthread_t t;
    pthread_create(&t, NULL, hammer, NULL);
    for (int i = 0; i < 200; i++) qs_jobs_submit(w.j, ".");
    pthread_join(t, NULL);
    for (int i = 0; i < 25000 && atomic_load(&w.ran) + atomic_load(&w.skipped) < 200; i++) nap();
    ok(atomic_load(&w.ran) + atomic_load(&w.skipped) == 200, "every job ran or was skipped");
    qs_jobs_stop(w.j);
}

int main(void)
{
    in_order();
    cancelling();
    poke_and_idle();
    stop_while_busy();
    racing();
    return done();
}
