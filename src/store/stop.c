/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdatomic.h>
#include <stddef.h>

#include "store/sweep_run.h"

enum { SIGNALS = 3 };
static const int signals[SIGNALS] = {SIGINT, SIGTERM, SIGHUP};
static struct sigaction size_before;
static struct sigaction before[SIGNALS];
static atomic_int got;
static int depth;      /* a cell that runs in this process may run a sweep of its own */

static void note(int sig)
{
    int none = 0;
    atomic_compare_exchange_strong(&got, &none, sig);
    for (int i = 0; i < SIGNALS; i++) {
        void (*fn)(int) = before[i].sa_handler;
        if (signals[i] == sig && !(before[i].sa_flags & SA_SIGINFO) && fn != SIG_DFL && fn != SIG_IGN) fn(sig);
    }
}

void qs_stop_begin(void)
{
    struct sigaction sa = {.sa_handler = note};
    if (depth++) return;
    sigemptyset(&sa.sa_mask);
    atomic_store(&got, 0);
    sigaction(SIGXFSZ, NULL, &size_before);
    if (size_before.sa_handler == SIG_DFL) signal(SIGXFSZ, SIG_IGN);
    for (int i = 0; i < SIGNALS; i++) {
        sigaction(signals[i], NULL, &before[i]);
        if (before[i].sa_handler != SIG_IGN) sigaction(signals[i], &sa, NULL);
    }
}

void qs_stop_end(void)
{
    if (--depth) return;
    for (int i = 0; i < SIGNALS; i++) sigaction(signals[i], &before[i], NULL);
    sigaction(SIGXFSZ, &size_before, NULL);
}

int qs_stop_signal(void) { return atomic_load(&got); }
