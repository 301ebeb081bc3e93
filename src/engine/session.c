/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The session as its faces see it: models, the log, what long work gets from
 * above, and serving. What is selected, computed and shown is in the files that
 * state.h lists.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "engine/state.h"

#define STAGE 0.008            /* seconds within which a finished stage waits for the next one */
#define GIB ((size_t)1 << 30)

/* Indexes may take a quarter of the memory there is, at most 1 GiB: three or so of 10^7 values. */
static size_t cache_bytes(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    size_t quarter = pages > 0 && size > 0 ? (size_t)pages / 4 * (size_t)size : GIB / 4;
    return quarter < GIB ? quarter : GIB;
}

qs_session *qs_session_new(void)
{
    qs_session *s = qs_xcalloc(1, sizeof *s);
    s->cache = qs_cache_new(cache_bytes());
    s->gen = (struct gens){1, 1, 1, 1, 1};
    s->done = -1;
    s->train.at.seek = -1;
    s->view.port = (qs_viewport){.hist_lo = NAN, .hist_hi = NAN};
    sel_default(&s->sel);
    return s;
}

void qs_session_free(qs_session *s)
{
    if (!s) return;
    view_clear(&s->view);
    cmp_clear_all(s);
    list_clear(&s->list);
    pin_clear(&s->pin);
    train_clear(s);
    results_clear(s);
    race_clear(s);
    for (size_t i = 0; i < s->nundo; i++) sel_clear(&s->undo[i]);
    free(s->undo);
    sel_clear(&s->sel);
    if (s->q) qs_quantizer_unref(s->q);
    qs_log_clear(&s->log);
    qs_cache_free(s->cache);
    for (size_t i = 0; i < s->nmodel; i++) qs_model_unref(s->model[i]);
    free(s->model);
    free(s->file);
    free(s->status);
    free(s);
}

qs_cache *qs_session_cache(qs_session *s) { return s->cache; }

/* ---- models --------------------------------------------------------------------------- */
/* What tells a file from one that was written in its place. */
static struct file_id id_of_file(const char *path)
{
    struct stat st;
    if (stat(path, &st)) return (struct file_id){0};
    return (struct file_id){.dev = (uint64_t)st.st_dev, .ino = (uint64_t)st.st_ino, .size = (int64_t)st.st_size,
                            .sec = (int64_t)st.st_mtim.tv_sec, .nsec = (int64_t)st.st_mtim.tv_nsec, .there = true};
}

static bool same_file(const struct file_id *a, const struct file_id *b)
{
    return a->dev == b->dev && a->ino == b->ino && a->size == b->size && a->sec == b->sec && a->nsec == b->nsec;
}

/* Paths longer than a pick holds are known by their beginning. A file that is gone is still the model it was. */
static qs_model *opened(const qs_session *s, const char *path)
{
    size_t n = strlen(path), room = sizeof ((qs_pick *)0)->model - 1;
    struct file_id now = id_of_file(path);
    for (size_t i = s->nmodel; i-- > 0;) {
        const char *had = s->model[i]->path;
        if (n == room && strlen(had) > n && !strncmp(had, path, n)) return s->model[i];
        if (!strcmp(had, path) && (!now.there || same_file(&now, &s->file[i]))) return s->model[i];
    }
    return NULL;
}

qs_model *qs_session_open(qs_session *s, const char *path, qs_err *err)
{
    qs_model *m = opened(s, path);
    if (m) return m;
    struct file_id id = id_of_file(path);
    m = qs_model_open(path, err);
    if (!m) return NULL;
    s->model = qs_xrealloc(s->model, (s->nmodel + 1) * sizeof(qs_model *));
    s->file = qs_xrealloc(s->file, (s->nmodel + 1) * sizeof *s->file);
    s->file[s->nmodel] = id;
    s->model[s->nmodel++] = m;
    if (!s->sel.m) select_default(s, m);
    return m;
}

size_t qs_session_models(const qs_session *s) { return s->nmodel; }
qs_model *qs_session_model(const qs_session *s, size_t i) { return i < s->nmodel ? s->model[i] : NULL; }

/* ---- the selected objects ------------------------------------------------------------------ */
qs_model *qs_session_cur_model(const qs_session *s) { return s->sel.m; }
qs_tensor *qs_session_cur_tensor(const qs_session *s) { return s->sel.t; }
const qs_format *qs_session_cur_format(const qs_session *s) { return s->sel.f->f; }

bool init_must_wait(const qs_session *s, const char *init)
{
    const qs_init *row = s->nested ? qs_init_named(init) : NULL;
    return row && row->flags & QS_INIT_LUA;
}

qs_quantizer *qs_session_cur_quantizer(qs_session *s, const qs_ctl *ctl, qs_err *err)
{
    const char *why = sel_reason(&s->sel);
    if (!s->sel.t) {
        qs_fail(err, QS_ESTATE, "%s", _(why));
    } else if (why) {
        qs_fail(err, QS_EUNSUP, _("%s is left as it is: %s"), s->sel.t->name, _(why));
    } else if (s->sel.hand) {
        return s->sel.hand;
    } else if (s->q_err.code) {
        if (err) *err = s->q_err;
    } else if (!s->q && init_must_wait(s, s->sel.init)) {
        qs_fail(err, QS_ESTATE, _("init: %s is written in Lua, and Lua is busy; it follows"), s->sel.init);
    } else if (!s->q) {
        qs_err e = {0};
        s->locked++;
        s->q = qs_init_tensor(s->sel.init, s->sel.t, s->sel.f->f, NULL, s->cache, ctl, &e);
        s->locked--;
        if (!s->q && e.code != QS_ECANCEL) s->q_err = e;
        if (!s->q && err) *err = e;
    }
    return s->q;
}

static void put_params(const qs_session *s, qs_selected *o)
{
    const qs_quantizer *q = s->sel.hand ? s->sel.hand : s->q;
    long c = s->sel.channel;
    o->step = o->offset = NAN;
    if (!q) return;
    bool one = c >= 0 && (size_t)c < q->parts;
    o->step = one ? q->step[c] : median_of(q->step, q->parts);
    o->offset = !q->offset ? 0 : one ? q->offset[c] : median_of(q->offset, q->parts);
}

static const char *next_model(const qs_session *s)
{
    for (size_t i = 0; i < s->nmodel; i++)
        if (s->model[i] == s->sel.m && s->nmodel > 1) return s->model[(i + 1) % s->nmodel]->path;
    return "";
}

const qs_selected *qs_session_selected(const qs_session *s)
{
    static _Thread_local qs_selected o;
    const struct sel *n = &s->sel;
    memset(&o, 0, sizeof o);
    snprintf(o.model, sizeof o.model, "%s", n->m ? n->m->path : "");
    snprintf(o.next, sizeof o.next, "%s", next_model(s));
    snprintf(o.tensor, sizeof o.tensor, "%s", n->t ? n->t->name : "");
    snprintf(o.format, sizeof o.format, "%s", n->f->f->text);
    snprintf(o.init, sizeof o.init, "%s", n->hand ? "by hand" : n->init);
    memcpy(o.learn, n->learn, sizeof o.learn);
    memcpy(o.view, n->view, sizeof o.view);
    o.channel = n->channel;
    o.parts = sel_parts(n, NULL);
    put_params(s, &o);
    o.run = s->train.at.r ? (long)qs_session_run_number(s, s->train.at.r) : 0;
    memcpy(o.site, s->train.at.site, sizeof o.site);
    o.seek = s->train.at.seek;
    o.results = s->results.at;
    return &o;
}

/* ---- the log --------------------------------------------------------------------------------- */
void qs_session_log(qs_session *s, char kind, const char *text)
{
    qs_log_add(&s->log, kind, text);
    s->news = true;
}

void qs_session_status(qs_session *s, const char *text)
{
    free(s->status);
    s->status = text ? qs_xstrdup(text) : NULL;
    s->news = true;
}

/* ---- publishing --------------------------------------------------------------------------------- */
void qs_session_attach(qs_session *s, qs_board *b, qs_jobs *j)
{
    s->board = b;
    s->jobs = j;
    s->news = true;
}

bool qs_session_on_screen(const qs_session *s) { return s->jobs; }

void qs_session_publish(qs_session *s, bool force)
{
    if (!s->board) return;
    train_follow(s, force);
    results_follow(s);
    race_follow(s, force);
    if (!(force || (s->news && qs_board_wanted(s->board)))) return;
    s->news = false;
    s->quiet_since = qs_now();
    qs_snapshot *o = picture(s, force);
    s->said_running = o->running;
    s->said_queued = o->queued;
    qs_board_publish(s->board, o);
}

/* Lets the screen draw what was just published, before the machine gets busy. */
void let_draw(qs_session *s)
{
    for (int i = 0; i < 80 && s->jobs && !qs_board_wanted(s->board) && !qs_board_pick_waits(s->board); i++) {
        if (qs_jobs_waiting(s->jobs)) return;
        nanosleep(&(struct timespec){0, 500000}, NULL);
    }
}

void publish_staged(qs_session *s)
{
    s->news = true;
    if (qs_now() - s->quiet_since > STAGE) qs_session_publish(s, true);
}

void publish_now_and_then(qs_session *s)
{
    if (qs_now() - s->quiet_since >= FRAME) qs_session_publish(s, false);
}

/* ---- picks ------------------------------------------------------------------------------------------ */
#define HARMLESS (unsigned)(QS_PICK_VIEW | QS_PICK_LEARN | QS_PICK_RUN | QS_PICK_SITE | QS_PICK_SEEK | QS_PICK_EXPORT | QS_PICK_OF_RESULTS)

/* A pick, echoed as the call it is. */
static void serve_pick(qs_session *s, const qs_pick *p)
{
    qs_err err = {0};
    char *text = qs_pick_text(p);
    qs_session_status(s, NULL);
    qs_session_log(s, '>', text);
    free(text);
    if (qs_session_select(s, p, &err)) {
        qs_session_log(s, '!', err.msg);
        qs_session_status(s, err.msg);
    }
    s->by_key = true;
    s->picked = p->ticket;
}

static size_t take_picks(qs_session *s)
{
    qs_pick p = s->held;
    size_t n = 0;
    if (!s->board) return 0;
    s->held.set = 0;
    for (; p.set || qs_board_take_pick(s->board, &p); n++) {
        serve_pick(s, &p);
        p.set = 0;
    }
    return n;
}

/* ---- what work gets from above ------------------------------------------------------------------- */
/* what NULL: as before. */
static void set_doing(qs_session *s, const char *what, double done)
{
    if (what && strncmp(s->doing, what, sizeof s->doing - 1)) {
        snprintf(s->doing, sizeof s->doing, "%s", what);
        s->news = true;
    }
    if (done != s->done) s->news = true;
    s->done = done;
    s->doing_at = qs_now();
}

static unsigned waiting_fields(const qs_session *s) { return qs_board_pick_fields(s->board) | s->held.set; }

/* Is there something to serve while a job runs? What no key asked for waits for the next frame. */
static bool asked(const qs_session *s)
{
    if (s->locked) return false;
    if (waiting_fields(s)) return true;
    return qs_now() - s->quiet_since >= FRAME &&
           (qs_board_viewport_seq(s->board) != s->port_seq || view_open(s, true));
}

void serve_nested(qs_session *s)
{
    if (!s->board || s->serving) return;
    if (asked(s)) {
        s->nested = true;
        qs_session_serve(s);
        s->nested = false;
    }
    publish_now_and_then(s);
}

void qs_session_who(qs_session *s, const char *who) { snprintf(s->who, sizeof s->who, "%s", who ? who : ""); }

static const char *whose(const qs_session *s, const char *what, char *buf, size_t size)
{
    if (!what) what = "";
    if (!s->who[0]) return what;
    snprintf(buf, size, "%s: %s", s->who, what);
    return buf;
}

static int given_poll(void *ctx, const char *what, double done)
{
    const qs_session *s = ctx;
    char text[120];
    return s->given.poll(s->given.ctx, whose(s, what, text, sizeof text), done);
}

static int job_poll(void *ctx, const char *what, double done)
{
    qs_session *s = ctx;
    char text[120];
    if (s->serving) return 0;
    set_doing(s, whose(s, what, text, sizeof text), done);
    serve_nested(s);
    return 0;
}

void qs_session_set_ctl(qs_session *s, const qs_ctl *ctl) { s->given = ctl ? *ctl : (qs_ctl){0}; }

/* Our own work between jobs, or at the end of one that was cancelled, goes by an id of its own. */
static qs_ctl cancel_of(qs_session *s)
{
    if (!s->jobs) return s->given;
    uint64_t id = s->serving && !s->nested ? 0 : qs_jobs_running(s->jobs);
    return (qs_ctl){.cancel_upto = qs_jobs_cancel_word(s->jobs), .job = id ? id : s->own_id ? s->own_id : UINT64_MAX};
}

qs_ctl *qs_session_ctl(qs_session *s)
{
    s->ctl = cancel_of(s);
    if (s->board) {
        s->ctl.poll = job_poll;
        s->ctl.ctx = s;
    } else if (s->who[0] && s->ctl.poll) {
        s->ctl.poll = given_poll;
        s->ctl.ctx = s;
    }
    return &s->ctl;
}

/* Picks that no work depends on are served where they are; the first other one is held for the next round. */
static void take_harmless(qs_session *s)
{
    qs_pick p;
    while (!s->held.set && !(waiting_fields(s) & ~HARMLESS) && qs_board_take_pick(s->board, &p)) {
        if (p.set & ~HARMLESS) s->held = p;
        else serve_pick(s, &p);
        if (!s->held.set) qs_session_publish(s, true);
    }
}

static bool gives_way(qs_session *s)
{
    if (!s->board) return false;
    if (waiting_fields(s)) take_harmless(s);
    if (waiting_fields(s) & s->work_yields) return true;
    return s->work_to_jobs && s->jobs && !s->nested && qs_jobs_waiting(s->jobs);
}

/* Our own work: shows what it does, and gives way to what makes it pointless. */
static int work_poll(void *ctx, const char *what, double done)
{
    qs_session *s = ctx;
    (void)what;
    if (s->doing[0]) set_doing(s, NULL, done);
    if (gives_way(s)) {
        s->abandoned++;
        return 1;
    }
    publish_now_and_then(s);
    return 0;
}

qs_ctl *work_ctl(qs_session *s, const char *label, unsigned yields, bool to_jobs)
{
    s->work = cancel_of(s);
    s->work.poll = work_poll;
    s->work.ctx = s;
    s->work_yields = yields;
    s->work_to_jobs = to_jobs;
    s->doing[0] = '\0';
    if (label) set_doing(s, label, -1);
    return &s->work;
}

int work_check(qs_session *s, qs_err *err) { return qs_ctl_check(&s->work, s->doing, s->done, err); }

void work_done(qs_session *s)
{
    s->doing[0] = '\0';
    s->done = -1;
}

/* ---- serving ----------------------------------------------------------------------------------------- */
static void take_viewport(qs_session *s)
{
    uint64_t seq = s->board ? qs_board_viewport_seq(s->board) : s->port_seq;
    if (seq != s->port_seq) s->view.stopped = false;
    s->port_seq = seq;
}

/* Picks, then the panes; again while a newer pick made the panes' work pointless. */
void qs_session_serve(qs_session *s)
{
    if (s->serving) return;
    s->serving = true;
    s->quiet_since = qs_now();
    if (s->jobs) s->own_id = qs_jobs_own_id(s->jobs);
    size_t picked = 0;
    int rc;
    do {
        picked += take_picks(s);
        take_viewport(s);
        follow_init(s);
        rc = view_update(s, NULL);
    } while (rc == -QS_ECANCEL && s->board && waiting_fields(s) && !s->view.stopped);
    work_done(s);
    results_follow(s);
    if (picked || s->news) qs_session_publish(s, picked > 0 || !s->nested);
    s->serving = false;
}

/* ---- background ---------------------------------------------------------------------------------------- */
#define SLICE 0.008

bool qs_session_idle(qs_session *s)
{
    if (s->serving) return false;
    follow_init(s);
    if (s->jobs && (s->said_running != qs_jobs_running(s->jobs) || s->said_queued != qs_jobs_queued(s->jobs)))
        s->news = true;        /* the job that the last picture showed has ended */
    if (view_open(s, false)) {
        qs_session_serve(s);
        return view_open(s, false) || list_open(s) || train_going(s);
    }
    if (train_going(s)) train_slice(s);
    s->serving = true;
    if (s->jobs) s->own_id = qs_jobs_own_id(s->jobs);
    list_slice(s, qs_now() + SLICE, NULL);
    work_done(s);
    bool more = list_open(s) || train_going(s);
    if (more) publish_now_and_then(s);
    else if (s->news) qs_session_publish(s, true);
    s->serving = false;
    return more;
}
