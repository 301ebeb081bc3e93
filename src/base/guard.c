/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Guarded mappings and the handler of SIGBUS. Knows addresses; not what is mapped there.
 *
 * The handler takes the same lock as add and remove. That cannot hang: a fault of memory is raised by the thread that
 * reads, at once, and no thread reads a mapped file while it holds the lock. A SIGBUS that somebody sent (kill) can come
 * at any moment, so it is told apart before the lock.
 */
#include "base/guard.h"

#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

static struct {
    pthread_mutex_t mu;
    qs_guard *first;
    bool stands;               /* our handler was set, and `before` is what it replaced */
    struct sigaction before;
    uintptr_t page;
} all = {.mu = PTHREAD_MUTEX_INITIALIZER};

static qs_guard *guard_of(uintptr_t at)
{
    for (qs_guard *g = all.first; g; g = g->next)
        if (at - (uintptr_t)g->data < g->size) return g;
    return NULL;
}

/* Zeros from the page of `at` to the end of its mapping. false: not ours. */
static bool replace(uintptr_t at)
{
    bool good = false;
    pthread_mutex_lock(&all.mu);
    qs_guard *g = guard_of(at);
    if (g) {
        uintptr_t from = at & ~(all.page - 1), end = (uintptr_t)g->data + g->size;
        good = mmap((void *)from, end - from, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) != MAP_FAILED;
        if (good) atomic_store_explicit(&g->lost, true, memory_order_release);
    }
    pthread_mutex_unlock(&all.mu);
    return good;
}

static void pass_on(int sig, siginfo_t *info, void *context)
{
    struct sigaction before = all.before;
    bool ends = before.sa_handler == SIG_DFL || before.sa_handler == SIG_IGN; /* a fault that is ignored ends a process too */
    if (!ends && !(before.sa_flags & (int)SA_RESETHAND)) {
        if (before.sa_flags & SA_SIGINFO) before.sa_sigaction(sig, info, context);
        else before.sa_handler(sig);
        return;
    }
    struct sigaction last = {.sa_handler = SIG_DFL};
    sigemptyset(&last.sa_mask);
    sigaction(sig, &last, NULL);
    if (!ends) {
        if (before.sa_flags & SA_SIGINFO) before.sa_sigaction(sig, info, context);
        else before.sa_handler(sig);
    } else if (info->si_code <= 0) {
        raise(sig);            /* it was sent; a fault comes again by itself */
    }
}

static void on_fault(int sig, siginfo_t *info, void *context)
{
    if (info->si_code > 0 && replace((uintptr_t)info->si_addr)) return;
    pass_on(sig, info, context);
}

static bool ours(const struct sigaction *a) { return a->sa_flags & SA_SIGINFO && a->sa_sigaction == on_fault; }

/* With the lock held. */
static void stand(void)
{
    struct sigaction now, sa = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    if (!all.page) all.page = (uintptr_t)sysconf(_SC_PAGESIZE);
    if (sigaction(SIGBUS, NULL, &now) || ours(&now)) return;
    all.before = now;
    sigemptyset(&sa.sa_mask);
    all.stands = !sigaction(SIGBUS, &sa, NULL);
}

/* With the lock held. Whoever came after us keeps what he set. */
static void leave(void)
{
    struct sigaction now;
    if (all.stands && !sigaction(SIGBUS, NULL, &now) && ours(&now)) sigaction(SIGBUS, &all.before, NULL);
    all.stands = false;
}

void qs_guard_add(qs_guard *g, const void *data, size_t size)
{
    *g = (qs_guard){.data = data, .size = size, .from = &all.first};
    pthread_mutex_lock(&all.mu);
    g->next = all.first;
    if (g->next) g->next->from = &g->next;
    else stand();
    all.first = g;
    pthread_mutex_unlock(&all.mu);
}

void qs_guard_remove(qs_guard *g)
{
    pthread_mutex_lock(&all.mu);
    *g->from = g->next;
    if (g->next) g->next->from = g->from;
    if (!all.first) leave();
    pthread_mutex_unlock(&all.mu);
}

void qs_guard_renew(void)
{
    pthread_mutex_lock(&all.mu);
    if (all.first) stand();
    pthread_mutex_unlock(&all.mu);
}
