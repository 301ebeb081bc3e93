/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A race as a part of a snapshot: what its runs have come to, made anew when one of them has moved. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "engine/state.h"

#define RACE_FRAME 0.1         /* seconds between pictures nobody asked for */

struct qs_race {
    int refs;
    bool going, changed;
    size_t n;
    struct racer {
        char init[64];
        char *why;             /* it could not start */
        qs_run *r;             /* a reference, or NULL */
        uint64_t t;            /* as in the last picture */
        size_t neval;
        qs_run_state state;
    } *racer;                  /* (n); NULL: recorded */
    char program[128], machine[160], when[32];
    qs_snap_race *made;        /* a reference */
};

/* ---- what it was measured on ----------------------------------------------------------- */
/* "x86_64, Intel(R) Xeon(R) Processor, 2 threads" */
static void machine_text(char *out, size_t size)
{
    struct utsname u;
    size_t n;
    char *text = qs_file_read("/proc/cpuinfo", &n, NULL), *cpu = text ? strstr(text, "model name") : NULL;
    int w = snprintf(out, size, "%s", uname(&u) ? "?" : u.machine);
    if (cpu) {
        cpu += strcspn(cpu, ":\n");
        cpu += strspn(cpu, ": \t");
        w += snprintf(out + w, size - (size_t)w, ", %.*s", (int)(strcspn(cpu, "\n") < 80 ? strcspn(cpu, "\n") : 80), cpu);
    }
    snprintf(out + w, size - (size_t)w, ngettext(", %d thread", ", %d threads", (unsigned long)qs_threads()), qs_threads());
    free(text);
}

static void date_text(char *out, size_t size)
{
    time_t now = time(NULL);
    struct tm tm;
    if (!gmtime_r(&now, &tm) || !strftime(out, size, "%Y-%m-%d", &tm)) *out = '\0';
}

/* ---- the object -------------------------------------------------------------------------- */
qs_race *qs_race_new(const char *const *inits, size_t n, const char *program, qs_err *err)
{
    if (n < 1 || n > QS_RACERS) {
        qs_fail(err, QS_EARG, _("a race is of 1 to %d, not %zu"), QS_RACERS, n);
        return NULL;
    }
    qs_race *r = qs_xcalloc(1, sizeof *r);
    r->refs = 1;
    r->n = n;
    r->changed = true;
    r->racer = qs_xcalloc(n, sizeof *r->racer);
    for (size_t i = 0; i < n; i++) snprintf(r->racer[i].init, sizeof r->racer[i].init, "%s", inits[i]);
    snprintf(r->program, sizeof r->program, "%s", program);
    machine_text(r->machine, sizeof r->machine);
    date_text(r->when, sizeof r->when);
    return r;
}

qs_race *qs_race_of(qs_snap_race *picture)
{
    qs_race *r = qs_xcalloc(1, sizeof *r);
    r->refs = 1;
    r->made = picture;
    return r;
}

qs_race *qs_race_ref(qs_race *r)
{
    r->refs++;
    return r;
}

void qs_race_unref(qs_race *r)
{
    if (!r || --r->refs) return;
    for (size_t i = 0; i < r->n; i++) {
        free(r->racer[i].why);
        if (r->racer[i].r) qs_run_unref(r->racer[i].r);
    }
    free(r->racer);
    qs_snap_race_unref(r->made);
    free(r);
}

void qs_race_enter(qs_race *r, size_t i, qs_run *run)
{
    if (r->racer[i].r) qs_run_unref(r->racer[i].r);
    r->racer[i].r = qs_run_ref(run);
    r->changed = true;
}

void qs_race_refuse(qs_race *r, size_t i, const char *why)
{
    free(r->racer[i].why);
    r->racer[i].why = qs_xstrdup(why);
    r->changed = true;
}

void qs_race_going(qs_race *r, bool going)
{
    r->changed |= r->going != going;
    r->going = going;
}

/* ---- one racer ------------------------------------------------------------------------------- */
static qs_snap_state state_of(const qs_race *r, const qs_run *run)
{
    static const qs_snap_state over[] = {[QS_RUN_DONE] = QS_SNAP_DONE, [QS_RUN_STOPPED] = QS_SNAP_STOPPED,
                                         [QS_RUN_DIVERGED] = QS_SNAP_DIVERGED};
    return run->state != QS_RUN_READY ? over[run->state] : r->going ? QS_SNAP_RUNNING : QS_SNAP_PAUSED;
}

static void put_curves(const qs_run *run, qs_snap_racer *o)
{
    qs_snap_run x = {0};
    snap_loss(&run->h, &x);
    snap_evals(run, &x);
    free(x.low);
    free(x.high);
    o->nloss = x.nloss;
    o->loss_t = x.loss_t;
    o->mean = x.mean;
    o->neval = x.neval < QS_SNAP_LOSS ? x.neval : QS_SNAP_LOSS;
    o->eval_t = x.eval_t;
    o->eval = x.eval;
}

/* Of all quantized weights that are followed, each site by the number of its values. */
static double oscillating(const qs_run *run, const qs_record *rec)
{
    double sum = 0, n = 0;
    for (size_t i = 0; i < run->nsite; i++) {
        if (run->site[i].act || isnan(rec[i].oscillating)) continue;
        sum += rec[i].oscillating * (double)run->site[i].n;
        n += (double)run->site[i].n;
    }
    return n > 0 ? sum / n : NAN;
}

static size_t site_named(const qs_run *run, const char *name)
{
    size_t i = 0;
    while (i < run->nsite && strcmp(run->site[i].name, name)) i++;
    return i;
}

static void put_records(const qs_snap_race *p, const qs_run *run, qs_snap_racer *o)
{
    const qs_history *h = &run->h;
    size_t n = o->nrec = snap_records(h);
    o->rec_t = qs_xcalloc(n + 1, sizeof(double));
    o->oscillating = qs_xcalloc(n + 1, sizeof(double));
    o->step = qs_xcalloc(p->nsite * n + 1, sizeof(double));
    for (size_t k = 0; k < n; k++) {
        size_t at = snap_record(h, k, n);
        o->rec_t[k] = (double)h->rec_t[at];
        o->oscillating[k] = oscillating(run, &h->rec[at * h->nsite]);
    }
    for (size_t i = 0; i < p->nsite; i++) {
        size_t site = site_named(run, p->site[i].name);
        for (size_t k = 0; k < n; k++)
            o->step[i * n + k] = site < run->nsite ? h->rec[snap_record(h, k, n) * h->nsite + site].step : (double)NAN;
    }
}

static void put_run(const qs_race *r, struct racer *x, const qs_snap_race *p, qs_snap_racer *o)
{
    const qs_run *run = x->r;
    const qs_score *now = isnan(run->last.accuracy) ? &run->before : &run->last;
    o->state = state_of(r, run);
    o->reason = *run->reason ? qs_xstrdup(run->reason) : NULL;
    o->t = (double)run->t;
    o->before = run->before.accuracy;
    o->after = now->accuracy;
    o->loss = now->loss;
    o->raw = now->accuracy_raw;
    o->init_s = run->init_seconds;
    o->train_s = run->seconds;
    put_curves(run, o);
    put_records(p, run, o);
    x->t = run->t;
    x->neval = run->h.neval;
    x->state = run->state;
}

/* ---- all of it --------------------------------------------------------------------------------- */
/* What all runs share, from the first one. */
static void put_about(const qs_run *run, const char *init, qs_snap_race *p)
{
    size_t name = strlen(run->name), end = strlen(init);
    bool ends = name > end && !strcmp(run->name + name - end, init) && run->name[name - end - 1] == ' ';
    snprintf(p->name, sizeof p->name, "%.*s", (int)(ends ? name - end - 1 : name), run->name);
    snprintf(p->net, sizeof p->net, "%s", run->net->name);
    snprintf(p->set, sizeof p->set, "%s", run->data->name);
    p->data = qs_xstrdup(run->data->note);
    p->seed = (double)run->o.seed;
    p->batch = (double)run->o.batch;
    p->total = (double)run->total;
    p->images = run->before.n ? (double)run->before.n : (double)NAN;
    p->floating = run->floating.accuracy;
    p->nsite = run->nsite;
    p->site = qs_xcalloc(run->nsite + 1, sizeof *p->site);
    for (size_t i = 0; i < run->nsite; i++) {
        snprintf(p->site[i].name, sizeof p->site[i].name, "%s", run->site[i].name);
        snprintf(p->site[i].format, sizeof p->site[i].format, "%.63s", run->site[i].f->text);
        p->site[i].act = run->site[i].act;
    }
}

static bool has_moved(const qs_race *r)
{
    for (size_t i = 0; i < r->n; i++) {
        const struct racer *x = &r->racer[i];
        if (x->r && (x->t != x->r->t || x->neval != x->r->h.neval || x->state != x->r->state)) return true;
    }
    return r->changed;
}

static qs_snap_race *make(qs_race *r)
{
    qs_snap_race *p = qs_snap_race_new(r->n);
    memcpy(p->program, r->program, sizeof p->program);
    memcpy(p->machine, r->machine, sizeof p->machine);
    memcpy(p->when, r->when, sizeof p->when);
    for (size_t i = 0; i < r->n && !p->site; i++)
        if (r->racer[i].r) put_about(r->racer[i].r, r->racer[i].init, p);
    for (size_t i = 0; i < r->n; i++) {
        struct racer *x = &r->racer[i];
        qs_snap_racer *o = &p->racer[i];
        memcpy(o->init, x->init, sizeof o->init);
        o->refused = x->why;
        if (x->why) o->reason = qs_xstrdup(x->why);
        else if (x->r) put_run(r, x, p, o);
    }
    r->changed = false;
    return p;
}

const qs_snap_race *qs_race_picture(qs_race *r)
{
    if (r->racer && has_moved(r)) {
        qs_snap_race_unref(r->made);
        r->made = make(r);
    }
    return r->made;
}

/* ---- on the screen ------------------------------------------------------------------------------- */
void qs_session_race_show(qs_session *s, qs_race *r, double at)
{
    struct shown_race *x = &s->race;
    qs_race_ref(r);
    qs_race_unref(x->race);
    x->race = r;
    x->at = at;
    s->news = true;
}

void race_follow(qs_session *s, bool now)
{
    struct shown_race *x = &s->race;
    if (x->race && x->race->racer && has_moved(x->race) && (now || qs_now() - x->made_at >= RACE_FRAME)) s->news = true;
}

qs_snap_race *race_snap(qs_session *s, double *at)
{
    struct shown_race *x = &s->race;
    *at = x->at;
    if (!x->race) return NULL;
    if (!s->jobs || !qs_jobs_running(s->jobs)) qs_race_going(x->race, false);   /* whoever made its steps is gone, after Ctrl-C, say */
    if (qs_now() - x->made_at >= RACE_FRAME || !x->race->made || x->race->changed || !s->jobs || !qs_jobs_running(s->jobs)) {
        qs_race_picture(x->race);
        x->made_at = qs_now();
    }
    atomic_fetch_add(&x->race->made->refs, 1);
    return x->race->made;
}

void race_clear(qs_session *s)
{
    qs_race_unref(s->race.race);
    s->race = (struct shown_race){0};
}
