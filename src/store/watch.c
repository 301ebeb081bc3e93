/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The thread that reads a results database for the screen: when it looks, and
 * what it keeps open. How a picture is made of it is in watch_snap.c.
 */
#include "store/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "store/watch_in.h"

#define EVERY 0.25             /* seconds between two looks at a file */
#define REST 4                 /* times as long as reading took nothing is read again */
#define ALIVE 5                /* seconds after which cells that run are looked at again: their processes may be gone */
#define ROUGH 0.3              /* seconds after which a picture is shown whose intervals are not all there */
#define PATIENCE 0.5           /* seconds to wait for a lock; then the picture says so, and it is tried again */

struct qs_watch {
    void (*changed)(void *);
    void *ctx;
    pthread_t thread;
    bool stopped;
    pthread_mutex_t mu;        /* guards what follows, up to the line */
    pthread_cond_t cv;
    qs_results_at at;
    bool asked, shown, quit;
    qs_snap_results *made;     /* not taken yet */
    /* ---- the thread's own ---- */
    qs_reading r;
    char file[sizeof ((qs_results_at *)0)->file];   /* that r is of */
    dev_t dev;                 /* of the file that is open */
    ino_t ino;
    int64_t change;            /* of what has been read */
    double read_at, rest_until;
    qs_results_at doing;                            /* what a picture is being made of */
    double began;                                   /* when */
    bool rough;                                     /* one without all intervals has been shown */
    bool due;                                       /* one was abandoned */
    char why[sizeof ((qs_err *)0)->msg];            /* what went wrong the last time; "": nothing */
};

bool qs_watch_can(const char *path)
{
    static const char magic[] = "SQLite format 3";
    char b[sizeof magic] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not hang us */
    if (fd < 0) return false;
    ssize_t n = read(fd, b, sizeof b);
    close(fd);
    return n == (ssize_t)sizeof b && !memcmp(b, magic, sizeof b);
}

/* ---- the file -------------------------------------------------------------------------- */
static void forget(qs_watch *w)
{
    qs_reading *r = &w->r;
    qs_store_close(r->s);
    qs_store_free_sweeps(r->sweep, r->nsweep);
    qs_watch_ungroup(r);
    if (r->there) qs_study_clear(&r->y);
    *r = (qs_reading){0};
}

/* Opens it if it is not, or is another file now than the one that is open. */
static int keep_open(qs_watch *w, qs_err *err)
{
    struct stat st;
    if (stat(w->file, &st)) {
        forget(w);
        return qs_fail(err, QS_EIO, "%s: %s", w->file, strerror(errno));
    }
    if (w->r.s && (st.st_dev != w->dev || st.st_ino != w->ino)) forget(w);
    if (w->r.s) return 0;
    w->r.s = qs_store_open_within(w->file, QS_STORE_READ, PATIENCE, err);
    if (!w->r.s) return -err->code;
    w->dev = st.st_dev;
    w->ino = st.st_ino;
    return 0;
}

/* ---- reading ------------------------------------------------------------------------------ */
static int find_sweep(const qs_reading *r, const char *name, size_t *cur, qs_err *err)
{
    if (!r->nsweep) return qs_fail(err, QS_ERANGE, _("%s: no sweep in it yet"), qs_store_path(r->s));
    *cur = r->nsweep - 1;      /* the newest */
    for (size_t i = 0; i < r->nsweep && *name; i++) {
        if (strcmp(r->sweep[i].name, name)) continue;
        *cur = i;
        return 0;
    }
    return *name ? qs_fail(err, QS_EARG, _("%s: there is no sweep called \"%s\""), qs_store_path(r->s), name) : 0;
}

static void mark_rate(qs_reading *r, bool anew)
{
    double now = qs_now();
    if (anew) r->nmark = 0;
    while (r->nmark && (r->nmark == QS_RATE_POINTS || now - r->mark[0].t > QS_RATE_SECONDS))
        memmove(r->mark, r->mark + 1, --r->nmark * sizeof *r->mark);
    r->mark[r->nmark].t = now;
    r->mark[r->nmark++].over = r->sweep[r->cur].done + r->sweep[r->cur].failed;
}

/* What is there stays until the new is read as a whole. */
static int read_all(qs_watch *w, const char *sweep, qs_err *err)
{
    qs_reading *r = &w->r;
    qs_sweep_row *rows;
    qs_study y;
    size_t n, cur = 0;
    int rc = qs_store_sweeps(r->s, &rows, &n, err);
    if (rc) return rc;
    qs_store_free_sweeps(r->sweep, r->nsweep);
    r->sweep = rows;
    r->nsweep = n;
    rc = find_sweep(r, sweep, &cur, err);
    if (!rc) rc = qs_study_read(r->s, rows[cur].name, &y, err);
    if (rc) return rc;
    bool other = !r->there || strcmp(r->y.sweep, y.sweep);
    qs_watch_ungroup(r);
    if (r->there) qs_study_clear(&r->y);
    r->y = y;
    r->there = true;
    r->cur = cur;
    mark_rate(r, other);
    return 0;
}

/* Must it be read again? */
static int stale(qs_watch *w, bool other, bool *is, int64_t *change, qs_err *err)
{
    const qs_reading *r = &w->r;
    int rc = qs_store_change(r->s, change, err);
    bool running = r->there && r->cur < r->nsweep && r->sweep[r->cur].running;
    *is = other || !r->there || *change != w->change || (running && qs_now() - w->read_at > ALIVE);
    return rc;
}

/* Is another sweep asked for than the one that has been read? */
static bool other_sweep(const qs_reading *r, const char *name)
{
    if (!*name && r->nsweep) name = r->sweep[r->nsweep - 1].name;
    return r->there && strcmp(name, r->y.sweep);
}

/* Looks, and reads if there is something new. 1: there is. */
static int look(qs_watch *w, const qs_results_at *at, qs_err *err)
{
    bool anew = false;
    int64_t change = 0;
    int rc = keep_open(w, err);
    if (!rc) rc = stale(w, other_sweep(&w->r, at->sweep), &anew, &change, err);
    if (rc || !anew) return rc;
    double begin = qs_now();
    rc = read_all(w, at->sweep, err);
    w->read_at = qs_now();
    w->rest_until = w->read_at + REST * (w->read_at - begin);
    if (rc) return rc;
    w->change = change;
    return 1;
}

static void put(qs_watch *w, qs_snap_results *o)
{
    pthread_mutex_lock(&w->mu);
    qs_snap_results *old = w->made;
    w->made = o;
    pthread_mutex_unlock(&w->mu);
    qs_snap_results_unref(old);
    w->changed(w->ctx);
}

/* Is the picture that is being made wanted no more? Another group alone is no reason: its groups are the same. Once what it
 * is made of can be read, whoever waits, or asks for another group, gets what is there. */
static int attend(void *ctx, const char *what, double done)
{
    qs_watch *w = ctx;
    (void)done;
    pthread_mutex_lock(&w->mu);
    const qs_results_at *a = &w->at, *b = &w->doing;
    bool same = !strcmp(a->file, b->file) && !strcmp(a->sweep, b->sweep) && !strcmp(a->by, b->by) && !strcmp(a->metric, b->metric) &&
                !strcmp(a->baseline, b->baseline);
    bool over = w->quit || !same;
    bool show = !over && !strcmp(what, "intervals") && (w->rough ? w->asked : qs_now() - w->began > ROUGH);
    if (show) {
        w->doing = w->at;
        w->asked = false;
    }
    pthread_mutex_unlock(&w->mu);
    w->rough = w->rough || show;
    if (show) put(w, qs_watch_rough(&w->r, &w->doing));
    return over;
}

/* A picture, or NULL where the last one still holds. */
static qs_snap_results *turn(qs_watch *w, const qs_results_at *at, bool asked)
{
    qs_err err = {0};
    if (strcmp(at->file, w->file)) {
        forget(w);
        memcpy(w->file, at->file, sizeof w->file);
    }
    if (!*w->file) return NULL;
    int rc = look(w, at, &err);
    if (rc < 0) {              /* what was read before stays in sight; the file is opened again the next time */
        qs_store_close(w->r.s);
        w->r.s = NULL;
        w->change = -1;
    }
    char *text = rc < 0 ? qs_xasprintf("%s: %s", qs_code_name(rc), err.msg) : NULL;
    bool news = rc > 0 || asked || w->due || strcmp(w->why, text ? text : "");
    snprintf(w->why, sizeof w->why, "%s", text ? text : "");
    free(text);
    qs_ctl ctl = {.poll = attend, .ctx = w};
    w->doing = *at;
    w->began = qs_now();
    w->rough = false;
    qs_snap_results *o = news ? qs_watch_picture(&w->r, &w->doing, *w->why ? w->why : NULL, &ctl) : NULL;
    w->due = news && !o;
    return o;
}

/* ---- the thread ------------------------------------------------------------------------------- */
/* With mu held. */
static void sleep_for(qs_watch *w, double seconds)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    double at = (double)t.tv_nsec + 1e9 * seconds;
    t.tv_sec += (time_t)(at / 1e9);
    t.tv_nsec = (long)fmod(at, 1e9);
    pthread_cond_timedwait(&w->cv, &w->mu, &t);
}

/* Waits until there is something to look at. With mu held; false: the end. */
static bool wait_turn(qs_watch *w)
{
    double due = qs_now() + EVERY;
    if (due < w->rest_until) due = w->rest_until;
    while (!w->quit && !w->asked) {
        double left = due - qs_now();
        if (!w->shown || !*w->at.file) pthread_cond_wait(&w->cv, &w->mu);
        else if (left > 0) sleep_for(w, left);
        else break;
    }
    return !w->quit;
}

static void *work(void *arg)
{
    qs_watch *w = arg;
    pthread_mutex_lock(&w->mu);
    while (wait_turn(w)) {
        qs_results_at at = w->at;
        bool asked = w->asked;
        w->asked = false;
        pthread_mutex_unlock(&w->mu);
        qs_snap_results *o = turn(w, &at, asked);
        if (o) put(w, o);
        pthread_mutex_lock(&w->mu);
    }
    pthread_mutex_unlock(&w->mu);
    return NULL;
}

/* As the pool's threads, it takes no signals. */
static int start_thread(qs_watch *w)
{
    sigset_t old;
    qs_signals_off(&old);
    int rc = pthread_create(&w->thread, NULL, work, w);
    qs_signals_on(&old);
    return rc;
}

static void destroy(qs_watch *w)
{
    forget(w);
    qs_snap_results_unref(w->made);
    pthread_cond_destroy(&w->cv);
    pthread_mutex_destroy(&w->mu);
    free(w);
}

qs_watch *qs_watch_start(void (*changed)(void *), void *ctx, qs_err *err)
{
    qs_watch *w = qs_xcalloc(1, sizeof *w);
    pthread_condattr_t clock;
    w->changed = changed;
    w->ctx = ctx;
    pthread_mutex_init(&w->mu, NULL);
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&w->cv, &clock);
    pthread_condattr_destroy(&clock);
    int rc = start_thread(w);
    if (!rc) return w;
    qs_fail(err, QS_EIO, "the reader of results cannot be started: %s", strerror(rc));
    destroy(w);
    return NULL;
}

void qs_watch_stop(qs_watch *w)
{
    if (!w || w->stopped) return;
    pthread_mutex_lock(&w->mu);
    w->quit = true;
    pthread_cond_signal(&w->cv);
    pthread_mutex_unlock(&w->mu);
    pthread_join(w->thread, NULL);
    w->stopped = true;
}

void qs_watch_free(qs_watch *w)
{
    qs_watch_stop(w);
    if (w) destroy(w);
}

/* ---- the source: called by the worker --------------------------------------------------------------- */
static void source_look(void *ctx, const qs_results_at *at, bool shown)
{
    qs_watch *w = ctx;
    pthread_mutex_lock(&w->mu);
    w->at = *at;
    w->shown = shown;
    w->asked = true;
    pthread_cond_signal(&w->cv);
    pthread_mutex_unlock(&w->mu);
}

static qs_snap_results *source_take(void *ctx)
{
    qs_watch *w = ctx;
    pthread_mutex_lock(&w->mu);
    qs_snap_results *o = w->made;
    w->made = NULL;
    pthread_mutex_unlock(&w->mu);
    return o;
}

qs_source qs_watch_source(qs_watch *w) { return (qs_source){.ctx = w, .look = source_look, .take = source_take}; }
