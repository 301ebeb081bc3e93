/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Mapped files that are cut short while they are read, and a process that has a handler of its own. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/guard.h"
#include "../tap.h"

enum { PAGES = 16, THREADS = 4 };
static size_t page;

/* A file of PAGES pages full of `fill`, mapped; *fd stays open. */
static unsigned char *mapped(int *fd, unsigned char fill)
{
    char name[] = "/tmp/qs-guard-XXXXXX";
    unsigned char *block = malloc(page);
    *fd = mkstemp(name);
    unlink(name);
    memset(block, fill, page);
    for (int i = 0; i < PAGES; i++)
        if (write(*fd, block, page) != (ssize_t)page) return NULL;
    free(block);
    void *p = mmap(NULL, PAGES * page, PROT_READ, MAP_PRIVATE, *fd, 0);
    return p == MAP_FAILED ? NULL : p;
}

static size_t sum(const unsigned char *p, size_t n)
{
    const volatile unsigned char *v = p;
    size_t s = 0;
    for (size_t i = 0; i < n; i++) s += v[i];
    return s;
}

static void cut_short(void)
{
    int fd, other_fd;
    qs_guard g, other;
    unsigned char *p = mapped(&fd, 3), *q = mapped(&other_fd, 5);
    qs_guard_add(&g, p, PAGES * page - 100);
    qs_guard_add(&other, q, PAGES * page);
    ok(sum(p, PAGES * page) == 3 * PAGES * page && !qs_guard_lost(&g), "a whole file reads as it is");
    ok(!ftruncate(fd, (off_t)(2 * page)), "cut to two pages");
    ok(!qs_guard_lost(&g) && sum(p, 2 * page) == 6 * page && !qs_guard_lost(&g), "what is left can be read, nothing is lost");
    ok(sum(p + 5 * page, page) == 0 && qs_guard_lost(&g), "what is gone reads as zeros, and is lost");
    ok(sum(p, PAGES * page) == 6 * page, "all of it");
    ok(sum(q, PAGES * page) == 5 * PAGES * page && !qs_guard_lost(&other), "another file is unharmed");
    qs_guard_remove(&g);
    munmap(p, PAGES * page);
    ok(sum(q, PAGES * page) == 5 * PAGES * page, "and stays guarded");
    ok(!ftruncate(other_fd, 0) && sum(q, PAGES * page) == 0 && qs_guard_lost(&other), "cut to nothing");
    qs_guard_remove(&other);
    munmap(q, PAGES * page);
    close(fd);
    close(other_fd);
}

static void *reader(void *p) { return (void *)(uintptr_t)sum(p, PAGES * page); }

static void threads(void)
{
    int fd;
    void *got;
    size_t total = 0;
    qs_guard g;
    pthread_t t[THREADS];
    unsigned char *p = mapped(&fd, 1);
    qs_guard_add(&g, p, PAGES * page);
    ok(!ftruncate(fd, (off_t)page), "cut to one page");
    for (int i = 0; i < THREADS; i++) pthread_create(&t[i], NULL, reader, p);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(t[i], &got);
        total += (uintptr_t)got;
    }
    ok(total == THREADS * page && qs_guard_lost(&g), "%d threads read it at once", THREADS);
    qs_guard_remove(&g);
    munmap(p, PAGES * page);
    close(fd);
}

/* ---- a process with a handler of its own ------------------------------------------------------- */
static volatile sig_atomic_t host_called;
static unsigned char *host_page;

static void host(int sig, siginfo_t *info, void *context)
{
    (void)sig, (void)context;
    host_called += info->si_addr == host_page;
    mmap(host_page, PAGES * page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

static void guest(void)
{
    int fd, host_fd;
    qs_guard g;
    struct sigaction now, sa = {.sa_sigaction = host, .sa_flags = SA_SIGINFO};
    sigemptyset(&sa.sa_mask);
    sigaction(SIGBUS, &sa, NULL);
    unsigned char *p = mapped(&fd, 1);
    host_page = mapped(&host_fd, 1);
    qs_guard_add(&g, p, PAGES * page);
    if (ftruncate(fd, 0) || ftruncate(host_fd, 0)) ok(false, "truncate");
    ok(sum(p, PAGES * page) == 0 && qs_guard_lost(&g) && !host_called, "a fault of ours is not the host's");
    ok(sum(host_page, PAGES * page) == 0 && host_called == 1, "the host gets a fault of his own");
    qs_guard_remove(&g);
    sigaction(SIGBUS, NULL, &now);
    ok(now.sa_flags & SA_SIGINFO && now.sa_sigaction == host, "his handler stands again when nothing is guarded");
    signal(SIGBUS, SIG_DFL);
    munmap(p, PAGES * page);
    munmap(host_page, PAGES * page);
    close(fd);
    close(host_fd);
}

/* In a child without a handler: what a fault of nobody, or a signal that was sent, does to it. */
static int end_of_child(bool send)
{
    int status = 0, fd, bad_fd;
    fflush(stdout);
    pid_t pid = fork();
    if (!pid) {
        qs_guard g;
        signal(SIGBUS, SIG_DFL);
        unsigned char *p = mapped(&fd, 1), *bad = mapped(&bad_fd, 1);
        qs_guard_add(&g, p, PAGES * page);
        if (send) kill(getpid(), SIGBUS);
        if (!ftruncate(bad_fd, 0)) sum(bad, page);
        _exit(0);
    }
    waitpid(pid, &status, 0);
    return WIFSIGNALED(status) ? WTERMSIG(status) : -1;
}

static void renew(void)
{
    int fd;
    qs_guard g;
    unsigned char *p = mapped(&fd, 1);
    qs_guard_add(&g, p, PAGES * page);
    signal(SIGBUS, SIG_DFL);
    qs_guard_renew();
    ok(!ftruncate(fd, 0) && sum(p, page) == 0 && qs_guard_lost(&g), "ours stands before a handler that was set later");
    qs_guard_remove(&g);
    munmap(p, PAGES * page);
    close(fd);
}

int main(void)
{
    page = (size_t)sysconf(_SC_PAGESIZE);
    cut_short();
    threads();
    guest();
    renew();
    ok(end_of_child(false) == SIGBUS, "a fault in nobody's mapping ends the process as it always did");
    ok(end_of_child(true) == SIGBUS, "and so does a SIGBUS that was sent");
    return done();
}
