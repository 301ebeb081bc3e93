/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/crew.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sync.h"
#include "base/text.h"

#define LINE_MOST ((size_t)256 << 20)      /* a report longer than this is none */
#define SAID_MOST 4000                     /* a line printed */
#define PATIENCE 10.0                      /* seconds a worker without a task has to end */

extern char **environ;

typedef struct worker {
    pid_t pid;                 /* 0: none */
    int sock, out;             /* ours: the socket, what it prints */
    bool working, greeted, late;
    size_t task;
    double since;              /* when it got the task, qs_now */
    qs_str in, said;
    char last[200];            /* the last line it printed */
} worker;

struct qs_crew {
    qs_crew_opts o;
    char *program, *hello;
    char **argv;
    int script;                /* descriptor */
    worker *w;                 /* (o.jobs) */
};

/* ---- descriptors ---------------------------------------------------------------------------------------- */
/* Above those that a worker gets, and not for others. Closes fd. */
static int lift(int fd)
{
    if (fd < 0) return fd;
    int high = fcntl(fd, F_DUPFD_CLOEXEC, 10), why = errno;
    close(fd);
    errno = why;
    return high;
}

static int script_file(const char *text, size_t n)
{
    int fd = lift(memfd_create("quantscope script", MFD_CLOEXEC));
    while (fd >= 0 && n) {
        ssize_t k = write(fd, text, n);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) {
            close(fd);
            return -1;
        }
        text += k;
        n -= (size_t)k;
    }
    return fd;
}

static void shut(int *fd)
{
    if (*fd >= 0) close(*fd);
    *fd = -1;
}

/* ---- the crew ------------------------------------------------------------------------------------------- */
static char **copy_words(char *const *argv)
{
    size_t n = 0;
    while (argv[n]) n++;
    char **out = qs_xcalloc(n + 1, sizeof *out);
    for (size_t i = 0; i < n; i++) out[i] = qs_xstrdup(argv[i]);
    return out;
}

qs_crew *qs_crew_new(const qs_crew_opts *o, qs_err *err)
{
    int script = script_file(o->script, o->nscript);
    if (script < 0) {
        qs_fail(err, QS_EIO, _("no room for the script in memory: %s"), strerror(errno));
        return NULL;
    }
    qs_crew *c = qs_xcalloc(1, sizeof *c);
    c->o = *o;
    c->program = qs_xstrdup(o->program);
    c->hello = qs_xstrdup(o->hello);
    c->argv = copy_words(o->argv);
    c->script = script;
    c->w = qs_xcalloc((size_t)o->jobs, sizeof *c->w);
    for (int i = 0; i < o->jobs; i++) c->w[i].sock = c->w[i].out = -1;
    return c;
}

static void forget(worker *w)
{
    shut(&w->sock);
    shut(&w->out);
    free(w->in.s);
    free(w->said.s);
    *w = (worker){.sock = -1, .out = -1};
}

/* Waits for a worker that ends, with all it started. How it ended; -1: nobody knows. */
static int bury(worker *w)
{
    int status = -1;
    kill(-w->pid, SIGKILL);
    while (waitpid(w->pid, &status, 0) < 0 && errno == EINTR) continue;
    return status;
}

/* One that has nothing to do ends when its socket does; not for ever. */
static void dismiss(worker *w)
{
    double until = qs_now() + PATIENCE;
    pid_t got = 0;
    while (!(got = waitpid(w->pid, NULL, WNOHANG)) && qs_now() < until) poll(NULL, 0, 1);
    if (!got) bury(w);
}

void qs_crew_free(qs_crew *c)
{
    if (!c) return;
    for (int i = 0; i < c->o.jobs; i++) {
        if (c->w[i].pid && c->w[i].working) kill(-c->w[i].pid, SIGKILL);
        shut(&c->w[i].sock);
        shut(&c->w[i].out);
    }
    for (int i = 0; i < c->o.jobs; i++) {
        worker *w = &c->w[i];
        if (w->pid && w->working) bury(w);
        else if (w->pid) dismiss(w);
        forget(w);
    }
    for (char **a = c->argv; *a; a++) free(*a);
    close(c->script);
    free(c->argv);
    free(c->program);
    free(c->hello);
    free(c->w);
    free(c);
}

int qs_crew_idle(const qs_crew *c)
{
    int none = -1;
    for (int i = c->o.jobs - 1; i >= 0; i--) {
        if (!c->w[i].working && (none < 0 || c->w[i].pid || !c->w[none].pid)) none = i;
    }
    return none;
}

size_t qs_crew_working(const qs_crew *c)
{
    size_t n = 0;
    for (int i = 0; i < c->o.jobs; i++) n += c->w[i].working;
    return n;
}

/* ---- starting ------------------------------------------------------------------------------------------- */
static void spawn_attributes(posix_spawnattr_t *a)
{
    sigset_t none, usual;
    sigemptyset(&none);
    sigemptyset(&usual);
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGCHLD, SIGTSTP, SIGXFSZ};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) sigaddset(&usual, signals[i]);
    posix_spawnattr_init(a);
    posix_spawnattr_setflags(a, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setpgroup(a, 0);
    posix_spawnattr_setsigmask(a, &none);
    posix_spawnattr_setsigdefault(a, &usual);
}

/* sock, out: the worker's ends. 0 or errno. */
static int spawn(const qs_crew *c, int sock, int out, pid_t *pid)
{
    posix_spawn_file_actions_t f;
    posix_spawnattr_t a;
    posix_spawn_file_actions_init(&f);
    posix_spawn_file_actions_addopen(&f, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&f, out, 1);
    posix_spawn_file_actions_adddup2(&f, out, 2);
    posix_spawn_file_actions_adddup2(&f, sock, QS_CREW_SOCKET);
    posix_spawn_file_actions_adddup2(&f, c->script, QS_CREW_SCRIPT);
    spawn_attributes(&a);
    int rc = posix_spawn(pid, c->program, &f, &a, c->argv, environ);
    posix_spawnattr_destroy(&a);
    posix_spawn_file_actions_destroy(&f);
    return rc;
}

static int start(const qs_crew *c, worker *w, qs_err *err)
{
    int sock[2] = {-1, -1}, out[2] = {-1, -1}, rc = 0;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sock) || pipe2(out, O_CLOEXEC)) rc = errno;
    for (int i = 0; i < 2 && !rc; i++) {
        if ((sock[i] = lift(sock[i])) < 0 || (out[i] = lift(out[i])) < 0) rc = errno;
    }
    if (!rc) rc = spawn(c, sock[1], out[1], &w->pid);
    shut(&sock[1]);
    shut(&out[1]);
    if (rc) {
        shut(&sock[0]);
        shut(&out[0]);
        w->pid = 0;
        return qs_fail(err, QS_EIO, _("%s: a worker process cannot be started: %s"), c->program, strerror(rc));
    }
    fcntl(out[0], F_SETFL, O_NONBLOCK);
    w->sock = sock[0];
    w->out = out[0];
    return 0;
}

int qs_crew_give(qs_crew *c, int place, size_t task, const char *line, qs_err *err)
{
    worker *w = &c->w[place];
    if (!w->pid && start(c, w, err)) return -err->code;
    w->working = true;
    w->task = task;
    w->since = qs_now();
    w->last[0] = '\0';
    /* One that died meanwhile is noticed by the end of its socket. */
    for (size_t n = strlen(line); n;) {
        ssize_t k = send(w->sock, line, n, MSG_NOSIGNAL);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) break;
        line += k;
        n -= (size_t)k;
    }
    return 0;
}

/* ---- hearing -------------------------------------------------------------------------------------------- */
typedef struct hearing {
    qs_crew *c;
    int place;
    worker *w;
    void (*tell)(void *ctx, const qs_crew_event *e);
    void *ctx;
    qs_err *err;
} hearing;

static void tell(const hearing *h, qs_crew_event e)
{
    e.task = h->w->task;
    e.place = h->place;
    h->tell(h->ctx, &e);
}

/* A line it printed. */
static void said(const hearing *h, char *line)
{
    snprintf(h->w->last, sizeof h->w->last, "%s", line);
    if (h->w->working) tell(h, (qs_crew_event){.kind = QS_CREW_SAID, .text = line});
}

/* Cuts b into lines for fn and keeps the rest. 0, or what fn returned. */
static int each_line(const hearing *h, qs_str *b, int (*fn)(const hearing *h, char *line))
{
    size_t from = 0;
    int rc = 0;
    for (char *end; !rc && from < b->n && (end = memchr(b->s + from, '\n', b->n - from)); from = (size_t)(end + 1 - b->s)) {
        *end = '\0';
        rc = fn(h, b->s + from);
    }
    if (from) {
        memmove(b->s, b->s + from, b->n - from + 1);
        b->n -= from;
    }
    return rc;
}

static int print_line(const hearing *h, char *line)
{
    said(h, line);
    return 0;
}

static void read_output(const hearing *h)
{
    char buf[4096];
    worker *w = h->w;
    for (ssize_t k; (k = read(w->out, buf, sizeof buf)) != 0;) {
        if (k < 0 && errno == EINTR) continue;
        if (k < 0) break;
        for (ssize_t i = 0; i < k; i++) {
            if (!buf[i]) buf[i] = '?';
        }
        qs_str_addn(&w->said, buf, (size_t)k);
        each_line(h, &w->said, print_line);
        if (w->said.n > SAID_MOST) qs_str_add(&w->said, "\n");
        each_line(h, &w->said, print_line);
    }
}

/* The rest of what it printed without a newline, before its task is over. */
static void end_output(const hearing *h)
{
    read_output(h);
    if (h->w->said.n) said(h, h->w->said.s);
    h->w->said.n = 0;
}

static void ended(const hearing *h, const qs_report *r)
{
    end_output(h);
    h->w->working = false;
    tell(h, (qs_crew_event){.kind = QS_CREW_ENDED, .report = r});
}

static int greeted(const hearing *h, const char *hello)
{
    h->w->greeted = true;
    if (!strcmp(hello, h->c->hello)) return 0;
    return qs_fail(h->err, QS_ESTATE, _("%s is %s; this is %s: cells must all run with one program"), h->c->program, hello,
                   h->c->hello);
}

static int hear(const hearing *h, char *line)
{
    qs_line l;
    int rc = qs_line_read(line, &l, h->err);
    if (rc) return rc;
    if (l.kind == QS_LINE_HELLO) rc = greeted(h, l.text);
    else if (l.kind == QS_LINE_REPORT && h->w->working) ended(h, &l.report);
    else if (l.kind == QS_LINE_PROGRESS && h->w->working)
        tell(h, (qs_crew_event){.kind = QS_CREW_PROGRESS, .done = l.done, .text = l.text});
    qs_line_clear(&l);
    return rc;
}

/* ---- ends ------------------------------------------------------------------------------------------------- */
static void why(const hearing *h, int status, qs_report *r)
{
    const worker *w = h->w;
    const char *colon = *w->last ? "; it last said: " : "";
    if (w->late)
        qs_report_fail(r, QS_TRIAL_TIMEOUT, _("stopped after %g s"), h->c->o.limit);
    else if (status >= 0 && WIFSIGNALED(status))
        qs_report_fail(r, QS_TRIAL_KILLED, _("killed by signal %d (%s)%s%s"), WTERMSIG(status), strsignal(WTERMSIG(status)), colon,
                       w->last);
    else if (status >= 0 && WIFEXITED(status))
        qs_report_fail(r, QS_TRIAL_FAILED, _("the process ended with exit code %d before the cell was done%s%s"),
                       WEXITSTATUS(status), colon, w->last);
    else
        qs_report_fail(r, QS_TRIAL_KILLED, _("the process is gone%s%s"), colon, w->last);
}

/* Not a word, and nobody killed it: the program cannot run here. Its task is as it was. */
static int stillborn(const hearing *h, int status, const char *reason)
{
    if (h->w->greeted || h->w->late) return 0;
    if (status >= 0 && WIFSIGNALED(status) && (WTERMSIG(status) == SIGKILL || WTERMSIG(status) == SIGTERM)) return 0;
    return qs_fail(h->err, QS_EIO, _("%s: a worker process did not come up: %s"), h->c->program, reason);
}

/* Its socket is closed: it is dead, or as good as that. */
static int died(const hearing *h)
{
    worker *w = h->w;
    qs_report r = {0};
    int status = bury(w);
    end_output(h);
    why(h, status, &r);
    qs_report_close(&r, qs_now() - w->since);
    int rc = stillborn(h, status, r.error);
    if (w->working && !rc) ended(h, &r);
    qs_report_clear(&r);
    forget(w);
    return rc;
}

static int read_socket(const hearing *h)
{
    char buf[1 << 16];
    ssize_t k = recv(h->w->sock, buf, sizeof buf, MSG_DONTWAIT);
    if (k < 0 && (errno == EINTR || errno == EAGAIN)) return 0;
    if (k <= 0) return died(h);
    bool whole = memchr(buf, '\n', (size_t)k);
    qs_str_addn(&h->w->in, buf, (size_t)k);
    if (whole) return each_line(h, &h->w->in, hear);
    if (h->w->in.n < LINE_MOST) return 0;
    kill(-h->w->pid, SIGKILL);
    h->w->in.n = 0;
    return 0;
}

/* ---- waiting ----------------------------------------------------------------------------------------------- */
static double time_left(const qs_crew *c, const worker *w)
{
    return c->o.limit > 0 && w->working && !w->late ? w->since + c->o.limit - qs_now() : 1e9;
}

int qs_crew_wait(qs_crew *c, double seconds, void (*fn)(void *ctx, const qs_crew_event *e), void *ctx, qs_err *err)
{
    struct pollfd p[2 * QS_CREW_MAX];
    for (int i = 0; i < c->o.jobs; i++) {
        double left = time_left(c, &c->w[i]);
        if (left < seconds) seconds = left < 0 ? 0 : left;
        p[2 * i] = (struct pollfd){.fd = c->w[i].sock, .events = POLLIN};
        p[2 * i + 1] = (struct pollfd){.fd = c->w[i].out, .events = POLLIN};
    }
    int n = poll(p, (nfds_t)(2 * c->o.jobs), (int)(seconds * 1000) + (seconds > 0)), rc = 0;
    for (int i = 0; i < c->o.jobs && n > 0 && !rc; i++) {
        hearing h = {c, i, &c->w[i], fn, ctx, err};
        if (p[2 * i + 1].revents) read_output(&h);
        if (p[2 * i + 1].revents & POLLHUP && !(p[2 * i + 1].revents & POLLIN)) shut(&c->w[i].out);
        if (p[2 * i].revents) rc = read_socket(&h);
    }
    for (int i = 0; i < c->o.jobs && !rc; i++) {      /* who has just been heard may be done */
        if ((n > 0 && p[2 * i].revents) || time_left(c, &c->w[i]) > 0) continue;
        c->w[i].late = true;
        kill(-c->w[i].pid, SIGKILL);
    }
    return rc;
}

/* ---- the other side ---------------------------------------------------------------------------------------- */
static int read_all(int fd, char **out, size_t *n, qs_err *err)
{
    qs_str b = {0};
    char buf[4096];
    off_t at = 0;
    ssize_t k;
    qs_str_add(&b, "");
    while ((k = pread(fd, buf, sizeof buf, at)) > 0) {
        qs_str_addn(&b, buf, (size_t)k);
        at += k;
    }
    *out = b.s;
    *n = b.n;
    return k < 0 ? qs_fail(err, QS_ESTATE, _("a worker process is started by `quantscope sweep`, not by hand")) : 0;
}

int qs_hand_open(qs_hand *h, pid_t parent, qs_err *err)
{
    *h = (qs_hand){0};
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent)
        return qs_fail(err, QS_ESTATE, _("a worker process is started by `quantscope sweep`, and that is gone"));
    fcntl(QS_CREW_SOCKET, F_SETFD, FD_CLOEXEC);
    fcntl(QS_CREW_SCRIPT, F_SETFD, FD_CLOEXEC);
    return read_all(QS_CREW_SCRIPT, &h->script, &h->nscript, err);
}

void qs_hand_close(qs_hand *h)
{
    free(h->script);
    free(h->in.s);
    *h = (qs_hand){0};
}

int qs_hand_next(qs_hand *h, qs_line *job, qs_err *err)
{
    char buf[4096];
    for (char *end;;) {
        if (h->in.n && (end = memchr(h->in.s, '\n', h->in.n))) {
            *end = '\0';
            int rc = qs_line_read(h->in.s, job, err);
            h->in.n -= (size_t)(end + 1 - h->in.s);
            memmove(h->in.s, end + 1, h->in.n + 1);
            return rc ? rc : 1;
        }
        ssize_t k = read(QS_CREW_SOCKET, buf, sizeof buf);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) return 0;
        qs_str_addn(&h->in, buf, (size_t)k);
    }
}

int qs_hand_tell(qs_hand *h, char *line, qs_err *err)
{
    (void)h;
    int rc = 0;
    const char *p = line;
    for (size_t n = line ? strlen(line) : 0; n && !rc;) {
        ssize_t k = write(QS_CREW_SOCKET, p, n);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) rc = qs_fail(err, QS_EIO, _("the sweep is gone: %s"), strerror(errno));
        p += k;
        n -= (size_t)(k > 0 ? k : 0);
    }
    free(line);
    return rc;
}
