/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/sweep_run.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/sha256.h"
#include "base/text.h"
#include "store/crew.h"

#define TICK 0.1               /* seconds between looks at Ctrl-C and the clock */
#define AGAIN 0.5              /* seconds between looks at cells that other processes run */
#define ALIVE 60.0             /* seconds between signs of life in the database */

typedef struct sweep_run {
    const qs_sweep *s;
    const qs_sweep_opts *o;
    const qs_sweep_source *src;
    const qs_sweep_watch *watch;
    const qs_ctl *ctl;
    qs_tally *t;
    qs_err *err;

    qs_store *store;
    int64_t sweep;
    size_t *at;                /* (n) cells of the sweep that were chosen */
    qs_trial *trial;           /* (n) the same in the database */
    size_t n;
    size_t *todo;              /* numbers among these that wait, from `next` on; and those that others run, from 0 on */
    size_t ntodo, next, nelse;

    qs_crew *crew;
    int jobs;
    int64_t *run;              /* (jobs) what each worker is at in the database, or is to begin; 0: nothing */
    size_t *claim;             /* (jobs) 1 + the number of the cell that run is of while it is not given yet; 0: none */
    double *part;              /* (jobs) how far it is */
    char *doing;               /* what one of them said last */
    int rc;                    /* an error on the way; err is set */
    double began, ticked, alive, asked;
} sweep_run;

/* ---- before ---------------------------------------------------------------------------------------- */
char *qs_sweep_db(const qs_sweep *s, long shard, long shards)
{
    return shards ? qs_xasprintf("%s.%ld-of-%ld.db", s->name, shard, shards) : qs_xasprintf("%s.db", s->name);
}

int qs_journal_read(const char *text, qs_store_mode *out, qs_err *err)
{
    bool wal = !strcmp(text, "wal");
    if (!wal && strcmp(text, "delete")) return qs_fail(err, QS_EARG, _("journal \"%.40s\": wal or delete"), text);
    *out = wal ? QS_STORE_WAL : QS_STORE_DELETE;
    return 0;
}

bool qs_sweep_wants(const qs_sweep_opts *o, qs_trial_status status)
{
    return status == QS_TRIAL_NONE || status == QS_TRIAL_RUNNING || (status != QS_TRIAL_DONE && !o->keep_failed);
}

/* {"file": "hash", ...}; NULL: err. */
static char *hash_inputs(char *const *input, qs_err *err)
{
    char hash[QS_SHA256_TEXT];
    qs_str out = {0};
    qs_str_add(&out, "{");
    for (; input && *input; input++) {
        if (qs_sha256_file(*input, hash, err)) {
            qs_fail_prefix(err, "%s", _("an input of the sweep"));
            free(out.s);
            return NULL;
        }
        if (out.n > 1) qs_str_add(&out, ",");
        qs_sweep_value_json(&(qs_sweep_value){.kind = QS_SWEEP_TEXT, .s = (char *)*input}, &out);
        qs_str_addf(&out, ":\"%s\"", hash);
    }
    qs_str_add(&out, "}");
    return out.s;
}

/* Finds the sweep in the database, or refuses to go on with another script. */
static int find_sweep(sweep_run *r, const qs_sweep_info *info)
{
    char changed[400];
    int rc = qs_store_sweep(r->store, info, &r->sweep, changed, sizeof changed, r->err);
    if (!rc && *changed && !r->o->accept && !r->o->fresh)
        return qs_fail(r->err, QS_ESTATE, _("the sweep %s in %s was run with something else; different now: %s. "
                       "--accept-changes goes on all the same, --fresh begins anew"), info->name, qs_store_path(r->store), changed);
    if (!rc && r->o->fresh) rc = qs_store_forget(r->store, r->sweep, r->err);
    if (!rc && *changed) rc = qs_store_accept(r->store, r->sweep, info, r->err);
    return rc;
}

static int register_sweep(sweep_run *r)
{
    char hash[QS_SHA256_TEXT];
    qs_sha256 h;
    qs_sha256_init(&h);
    qs_sha256_add(&h, r->src->text, r->src->ntext);
    qs_sha256_text(&h, hash);
    char *inputs = hash_inputs(r->src->input, r->err), *grid = qs_sweep_grid(r->s);
    qs_sweep_info info = {.name = r->s->name, .script = r->src->path, .script_hash = hash, .inputs = inputs,
                          .program = r->src->version, .grid = grid};
    int rc = inputs ? find_sweep(r, &info) : -QS_EIO;
    free(inputs);
    free(grid);
    return rc;
}

/* The chosen cells as the database knows them. */
static int register_cells(sweep_run *r)
{
    r->trial = qs_xcalloc(r->n + 1, sizeof *r->trial);
    r->todo = qs_xcalloc(r->n + 1, sizeof *r->todo);
    for (size_t i = 0; i < r->n; i++) {
        char *key = r->s->cell[r->at[i]].key;
        r->trial[i] = (qs_trial){.place = (int64_t)r->at[i], .key = key, .params = key};
    }
    int rc = qs_store_cells(r->store, r->sweep, r->trial, r->n, r->err);
    for (size_t i = 0; i < r->n && !rc; i++) {
        if (qs_sweep_wants(r->o, r->trial[i].status)) r->todo[r->ntodo++] = i;
        else if (r->trial[i].status == QS_TRIAL_DONE) r->t->before++;
        else r->t->kept++;
    }
    r->t->cells = r->n;
    return rc;
}

static int prepare(sweep_run *r)
{
    int rc = qs_sweep_choose(r->s, r->o->filter, r->o->shard, r->o->shards, &r->at, &r->n, r->err);
    if (rc) return rc;      /* before there is a database */
    char *name = r->o->db ? NULL : qs_sweep_db(r->s, r->o->shard, r->o->shards);
    if (r->o->fresh && r->o->filter)
        return qs_fail(r->err, QS_EARG, _("--fresh forgets the whole sweep: it does not go with --filter"));
    r->store = qs_store_open(r->o->db ? r->o->db : name, r->o->journal, r->err);
    free(name);
    rc = r->store ? register_sweep(r) : -r->err->code;
    return rc ? rc : register_cells(r);
}

/* ---- a cell begins --------------------------------------------------------------------------------------- */
/* How the cell stands that could not be begun: done by another process, or run by one, to be asked again. */
static int find_out(sweep_run *r, size_t i)
{
    int rc = qs_store_cells(r->store, r->sweep, &r->trial[i], 1, r->err);
    if (rc) return rc;
    if (qs_sweep_wants(r->o, r->trial[i].status)) r->todo[r->nelse++] = i;
    else if (r->trial[i].status == QS_TRIAL_DONE) r->t->before++;
    else r->t->kept++;
    return 0;
}

/* The next cell that is ours to run: 1, its number and run; 0: none now; else an error. */
static int begin_next(sweep_run *r, size_t *i, int64_t *run)
{
    while (r->next < r->ntodo) {
        *i = r->todo[r->next++];
        int rc = qs_store_begin(r->store, r->trial[*i].id, run, r->err);
        if (!rc) return 1;
        if (rc == -QS_ESTATE) rc = find_out(r, *i);
        if (rc) return rc;
    }
    return 0;
}

/* ---- a cell ends ------------------------------------------------------------------------------------------ */
static void count(qs_tally *t, qs_trial_status status)
{
    t->done += status == QS_TRIAL_DONE;
    t->failed += status == QS_TRIAL_FAILED;
    t->killed += status == QS_TRIAL_KILLED;
    t->timeout += status == QS_TRIAL_TIMEOUT;
}

/* The end of one cell and the begin of the next on the same place, as one transaction: half the flushes of the disk. What
 * the next one fails with comes back in *claimed. */
static int end_and_claim(sweep_run *r, int64_t run, const qs_outcome *o, int place, int *claimed)
{
    size_t i;
    int64_t next;
    int rc = qs_store_group_begin(r->store, r->err);
    if (rc) return rc;
    int was = qs_store_end(r->store, run, o, r->err);
    if (was && was != -QS_ESTATE) return qs_store_group_end(r->store, was, r->err);
    *claimed = begin_next(r, &i, &next);
    rc = qs_store_group_end(r->store, 0, *claimed < 0 ? NULL : r->err);
    if (rc || *claimed != 1) return rc ? rc : was;
    r->claim[place] = i + 1;
    r->run[place] = next;
    return was;
}

/* place: of the worker that is free now; -1: none, or it is to get no more. */
static void finish(sweep_run *r, size_t i, int64_t run, const qs_outcome *given, int place)
{
    qs_outcome o = *given;
    const qs_sweep_cell *c = &r->s->cell[r->at[i]];
    int rc = -QS_EIO, claimed = 0;
    const size_t next = r->next, nelse = r->nelse;
    const qs_tally was = *r->t;
    o.seed = (uint64_t)qs_key_seed(c->key);
    if (place >= 0) rc = end_and_claim(r, run, &o, place, &claimed);
    if (rc && rc != -QS_ESTATE) {      /* as if nothing had been claimed */
        r->next = next;
        r->nelse = nelse;
        *r->t = was;
        rc = qs_store_end(r->store, run, &o, r->err);
    }
    if (rc && rc != -QS_ESTATE) {
        r->rc = rc;
        return;
    }
    if (rc) r->t->before++;      /* another process took it away: it is that one's */
    else count(r->t, o.status);
    if (r->watch->ended && !rc) r->watch->ended(r->watch->ctx, r->t, c, &o);
    if (claimed < 0) r->rc = claimed;
}

/* Cells that others ran: to be asked for again. */
static bool others_left(sweep_run *r)
{
    if (r->next < r->ntodo || !r->nelse) return false;
    r->ntodo = r->nelse;
    r->next = r->nelse = 0;
    return true;
}

/* ---- now and then ------------------------------------------------------------------------------------------ */
static bool stopped(const sweep_run *r) { return qs_cancelled(r->ctl) || qs_stop_signal(); }

static int interrupted(sweep_run *r) { return qs_fail(r->err, QS_ECANCEL, "interrupted"); }

static int tick(sweep_run *r)
{
    double now = qs_now();
    r->t->seconds = now - r->began;
    r->t->elsewhere = r->nelse;
    r->t->part = 0;
    for (int i = 0; i < r->jobs; i++) r->t->part += r->part[i];
    r->t->doing = r->doing;
    if (stopped(r)) return interrupted(r);
    if (now - r->ticked >= TICK && r->watch->tick) {
        r->ticked = now;
        if (r->watch->tick(r->watch->ctx, r->t)) return interrupted(r);
    }
    if (now - r->alive < ALIVE) return 0;
    r->alive = now;
    return qs_store_alive(r->store, r->err);
}

/* ---- with a crew ------------------------------------------------------------------------------------------- */
static void hear(void *ctx, const qs_crew_event *e)
{
    sweep_run *r = ctx;
    int64_t run = r->run[e->place];
    switch (e->kind) {
    case QS_CREW_ENDED:
        r->run[e->place] = 0;
        r->part[e->place] = 0;
        r->t->running--;
        if (!r->rc) finish(r, e->task, run, &e->report->o, stopped(r) ? -1 : e->place);
        return;
    case QS_CREW_PROGRESS:
        r->part[e->place] = e->done < 0 ? 0 : e->done > 1 ? 1 : e->done;
        free(r->doing);
        r->doing = qs_xstrdup(e->text);
        return;
    case QS_CREW_SAID:
        if (r->watch->said) r->watch->said(r->watch->ctx, &r->s->cell[r->at[e->task]], e->text);
        return;
    }
}

/* Its share of the machine; what does not divide goes to the first. */
static int threads_of(const sweep_run *r, int place)
{
    int all = qs_threads(), n = all / r->jobs + (place < all % r->jobs);
    return n < 1 ? 1 : n;
}

static int give(sweep_run *r, int place, size_t i, int64_t run)
{
    const char *key = r->trial[i].key;
    char *line = qs_line_job(key, qs_key_seed(key), threads_of(r, place));
    int rc = qs_crew_give(r->crew, place, i, line, r->err);
    free(line);
    r->run[place] = run;      /* abandoned with the others where it failed */
    r->t->running += !rc;
    return rc;
}

static bool take_claim(sweep_run *r, int place, size_t *i, int64_t *run)
{
    if (!r->claim[place]) return false;
    *i = r->claim[place] - 1;
    *run = r->run[place];
    r->claim[place] = 0;
    return true;
}

static bool claims_left(const sweep_run *r)
{
    for (int i = 0; i < r->jobs; i++) {
        if (r->claim[i]) return true;
    }
    return false;
}

static int fill_places(sweep_run *r)
{
    size_t i;
    int64_t run;
    int rc = 1;
    for (int place; rc == 1 && !stopped(r) && (place = qs_crew_idle(r->crew)) >= 0;) {
        rc = take_claim(r, place, &i, &run) ? 1 : begin_next(r, &i, &run);
        if (rc == 1 && (rc = give(r, place, i, run)) == 0) rc = 1;
    }
    return rc < 0 ? rc : 0;
}

static int with_crew(sweep_run *r)
{
    for (;;) {
        int rc = fill_places(r);
        if (!rc) rc = tick(r);
        if (rc) return rc;
        bool working = qs_crew_working(r->crew) > 0;
        if (!working && r->next >= r->ntodo && !r->nelse && !claims_left(r)) return 0;
        rc = qs_crew_wait(r->crew, TICK, hear, r, r->err);
        if (!rc) rc = r->rc;
        if (rc) return rc;
        if (qs_now() - r->asked < AGAIN || !others_left(r)) continue;
        r->asked = qs_now();
    }
}

static int open_crew(sweep_run *r)
{
    qs_crew_opts o = {.program = r->src->program, .argv = r->src->argv, .script = r->src->text, .nscript = r->src->ntext,
                      .hello = r->src->version, .jobs = r->jobs, .limit = r->o->limit};
    r->crew = qs_crew_new(&o, r->err);
    return r->crew ? 0 : -r->err->code;
}

/* ---- without -------------------------------------------------------------------------------------------------- */
static int run_here(sweep_run *r, size_t i, int64_t run)
{
    qs_report report = {0};
    const qs_sweep_cell *c = &r->s->cell[r->at[i]];
    double began = qs_now();
    r->run[0] = run;
    r->t->running = 1;
    int rc = r->src->here(r->src->ctx, c, qs_key_seed(c->key), &report);
    r->t->running = 0;
    qs_report_close(&report, qs_now() - began);
    if (rc || stopped(r)) {
        rc = interrupted(r);
    } else {
        r->run[0] = 0;
        finish(r, i, run, &report.o, -1);
        rc = r->rc;
    }
    qs_report_clear(&report);
    return rc;
}

static int all_here(sweep_run *r)
{
    size_t i;
    int64_t run;
    if (r->o->limit > 0) return qs_fail(r->err, QS_EARG, _("a time limit needs worker processes: put the sweep into a file"));
    for (int rc;;) {
        if ((rc = tick(r)) || (rc = begin_next(r, &i, &run)) < 0) return rc;
        if (rc && (rc = run_here(r, i, run))) return rc;
        if (r->next < r->ntodo) continue;
        if (!r->nelse) return 0;
        poll(NULL, 0, (int)(AGAIN * 1000));
        others_left(r);
    }
}

/* ---- all of it ---------------------------------------------------------------------------------------------------- */
static int go(sweep_run *r)
{
    int jobs = !r->src->program ? 1 : r->o->jobs ? r->o->jobs : qs_threads();
    r->jobs = (size_t)jobs > r->ntodo ? (int)r->ntodo : jobs;
    if (r->jobs > QS_CREW_MAX) r->jobs = QS_CREW_MAX;
    if (r->watch->begins) r->watch->begins(r->watch->ctx, r->t, r->jobs);
    if (!r->ntodo) return 0;
    r->run = qs_xcalloc((size_t)r->jobs, sizeof *r->run);
    r->claim = qs_xcalloc((size_t)r->jobs, sizeof *r->claim);
    r->part = qs_xcalloc((size_t)r->jobs, sizeof *r->part);
    if (!r->src->program) return all_here(r);
    int rc = open_crew(r);
    return rc ? rc : with_crew(r);
}

/* What began and did not end was never there. An error on the way stays the one that is told. */
static void leave(sweep_run *r)
{
    qs_crew_free(r->crew);
    for (int i = 0; r->run && i < r->jobs; i++) {
        if (r->run[i] && r->store) qs_store_abandon(r->store, r->run[i], NULL);
    }
    qs_store_close(r->store);
    r->t->running = 0;
    r->t->elsewhere = r->nelse;
    r->t->seconds = qs_now() - r->began;
    r->t->doing = NULL;
    free(r->doing);
    free(r->run);
    free(r->claim);
    free(r->part);
    free(r->todo);
    free(r->trial);
    free(r->at);
}

int qs_sweep_run(const qs_sweep *s, const qs_sweep_opts *o, const qs_sweep_source *src, const qs_sweep_watch *watch,
                 const qs_ctl *ctl, qs_tally *tally, qs_err *err)
{
    static const qs_sweep_watch nobody;
    qs_err own;
    sweep_run r = {.s = s, .o = o, .src = src, .watch = watch ? watch : &nobody, .ctl = ctl, .t = tally, .err = err ? err : &own};
    *tally = (qs_tally){0};
    r.began = r.alive = qs_now();
    int rc = prepare(&r);
    if (!rc) rc = go(&r);
    leave(&r);
    return rc;
}

/* ---- looking ---------------------------------------------------------------------------------------------------- */
static int by_key(const void *a, const void *b)
{
    return strcmp(((const qs_results_row *)a)->key, ((const qs_results_row *)b)->key);
}

/* The statuses of the cells at[] as the results of the database have them. */
static void match(const qs_sweep *s, qs_results *t, const size_t *at, qs_trial_status *status, size_t n)
{
    if (t->nrow) qsort(t->row, t->nrow, sizeof *t->row, by_key);
    for (size_t i = 0; i < n; i++) {
        qs_results_row want = {.key = s->cell[at[i]].key};
        const qs_results_row *row = t->nrow ? bsearch(&want, t->row, t->nrow, sizeof want, by_key) : NULL;
        if (row) status[i] = row->status;
    }
}

static int look_into(const qs_sweep *s, const char *path, const size_t *at, qs_trial_status *status, size_t n, qs_err *err)
{
    qs_results t = {0};
    if (access(path, F_OK) && errno == ENOENT) return 0;
    qs_store *store = qs_store_open(path, QS_STORE_READ, err);
    if (!store) return -err->code;
    int rc = qs_store_results(store, s->name, &t, err);
    if (!rc) match(s, &t, at, status, n);
    qs_results_clear(&t);
    qs_store_close(store);
    return rc == -QS_EARG ? 0 : rc;      /* no such sweep there yet */
}

int qs_sweep_look(const qs_sweep *s, const qs_sweep_opts *o, size_t **at, qs_trial_status **status, size_t *n, qs_err *err)
{
    *status = NULL;
    int rc = qs_sweep_choose(s, o->filter, o->shard, o->shards, at, n, err);
    if (rc) return rc;
    *status = qs_xcalloc(*n + 1, sizeof **status);
    char *name = o->db ? qs_xstrdup(o->db) : qs_sweep_db(s, o->shard, o->shards);
    if (!o->fresh) rc = look_into(s, name, *at, *status, *n, err);
    free(name);
    if (!rc) return 0;
    free(*at);
    free(*status);
    *at = NULL;
    *status = NULL;
    return rc;
}
