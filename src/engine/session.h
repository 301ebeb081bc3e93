/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_ENGINE_SESSION_H
#define QS_ENGINE_SESSION_H
/*
 * The session owns the models, the cache of indexes, the selection with its
 * undo, and the log. Every face (screen, console, batch, module) works through
 * it. It lives on one thread, the worker's; only the board and the job box are
 * shared.
 */
#include "engine/job.h"
#include "engine/snapshot.h"
#include "model/model.h"
#include "quant/init.h"
#include "train/run.h"

typedef struct qs_session qs_session;

qs_session *qs_session_new(void);
void qs_session_free(qs_session *s);
qs_cache *qs_session_cache(qs_session *s);

/* Models. Opening the same path again gives the same model (a reference of the session's; borrow it), unless the file
 * was written anew since; models stay open as long as the session. The first one opened is selected: its first tensor
 * that is quantized, int4, mse, learn lsq. */
qs_model *qs_session_open(qs_session *s, const char *path, qs_err *err);
size_t qs_session_models(const qs_session *s);
qs_model *qs_session_model(const qs_session *s, size_t i);

/*
 * The selection: what all panes show. Fields of a pick that are not set stay as they are; a new tensor keeps format and
 * init; a new format keeps the init; "by hand" keeps the clip over formats, and ends with the tensor it was made on: the
 * next one starts from the named init again. A step or offset by hand with channel -1 moves all parts: steps are scaled,
 * offsets shifted, so that their median is the value given. A new model keeps the tensor's name if it has it, else takes
 * the first one that is quantized. `channel` counts from 0 and is clamped to the parts there are.
 * Nothing changes if anything named in it is wrong: EARG, EFORMAT, EIO, EUNSUP with a message that names the field.
 * (What is kept and does not fit, an init for the new format, say, is no error: there is no quantizer then, and its note
 * says why.)
 * `run` is counted from 1; `site` is one of its quantizers, kept by name from run to run; `seek` is the last record that
 * was made until then, and goes back to -1 (as it trains) with another run. Of results, another file or sweep takes what
 * was chosen below it back to the defaults; a file that cannot be read is no error here, the picture says it. None of these
 * is kept for undo.
 * UNDO: ESTATE when there is nothing to undo; a change of the view alone is not kept for it. PIN: the current quantizer
 * becomes B; again: lets it go. On another tensor B is its format and init there.
 * Cost: nothing is computed here but what a step by hand starts from.
 */
int qs_session_select(qs_session *s, const qs_pick *p, qs_err *err);
const qs_selected *qs_session_selected(const qs_session *s);
/* The selected objects; NULL where there are none. The quantizer is computed when needed. Borrowed. */
qs_model *qs_session_cur_model(const qs_session *s);
qs_tensor *qs_session_cur_tensor(const qs_session *s);
const qs_format *qs_session_cur_format(const qs_session *s);
qs_quantizer *qs_session_cur_quantizer(qs_session *s, const qs_ctl *ctl, qs_err *err);

/* The log: what print, results and errors say. kind: '>' '=' '!' ' '. Several lines are split. */
void qs_session_log(qs_session *s, char kind, const char *text);
void qs_session_status(qs_session *s, const char *text);   /* a message for the status line; NULL clears */

/* The screen, where there is one. Call it before the first submit or poke. */
void qs_session_attach(qs_session *s, qs_board *b, qs_jobs *j);   /* NULL, NULL: headless */
bool qs_session_on_screen(const qs_session *s);
/* Serves what the screen asked for: every pick that waits is echoed as the call it is and selected (a refused one: its
 * message in the log and as status), then what the panes show is computed and published in stages. Called between jobs
 * (qs_jobs_ops.serve); the poll of qs_session_ctl does the same while a job runs. */
void qs_session_serve(qs_session *s);
/* Makes a snapshot and publishes it if the board wants one (force: in any case). No board: nothing. */
void qs_session_publish(qs_session *s, bool force);
/* Headless (nothing attached): the ctl that qs_session_ctl then gives; copied. app sets it, with its signal handler's
 * cancel word and its progress line, and the Lua hook asks qs_cancelled of it. NULL: none. */
void qs_session_set_ctl(qs_session *s, const qs_ctl *ctl);
/* Whose work comes next, where a job is of several: stands before what its progress says. NULL: of nobody. */
void qs_session_who(qs_session *s, const char *who);
/* A ctl for work of the running job: cancel, progress into the snapshot, selections served meanwhile. Never NULL; the
 * session's own, valid until the next call. */
qs_ctl *qs_session_ctl(qs_session *s);
/* The worker's `idle`: what a job left open, then steps of the runs that were started (in turn, a step or 10 ms at a
 * time), then rows of the list, sampled, then exact. Gives way within 10 ms, or a training step, once a job, pick or poke
 * waits; picks are served in the middle of a step too. false: nothing left. */
bool qs_session_idle(qs_session *s);

/*
 * Results of sweeps (results.c) come from a room above this one, through two calls that do not wait. `look`: what to show
 * from now on (copied); shown: somebody sees it, so news is welcome. `take`: the newest picture, a reference; NULL: none
 * since the last one. Whoever made the source pokes the worker when there is one to take.
 */
typedef struct qs_source {
    void *ctx;
    void (*look)(void *ctx, const qs_results_at *at, bool shown);
    qs_snap_results *(*take)(void *ctx);
} qs_source;
/* Copied; before the first job. Without one what is picked of results is kept and not shown. */
void qs_session_set_source(qs_session *s, const qs_source *src);

/*
 * Runs (training.c). The session holds those it was given, in order, at most QS_RUNS_MAX: a new one then takes the place of
 * the oldest that neither trains nor is looked at. Call these from a job, never from inside a step.
 */
#define QS_RUNS_MAX 8
/* Takes a reference; the run becomes the one looked at. Again: nothing. ESTATE: QS_RUNS_MAX runs are being trained. */
int qs_session_run_add(qs_session *s, qs_run *r, qs_err *err);
size_t qs_session_runs(const qs_session *s);
qs_run *qs_session_run(const qs_session *s, size_t i);              /* i from 0; borrowed; NULL: none */
size_t qs_session_run_number(const qs_session *s, const qs_run *r); /* from 1, as qs.select{run=} counts; 0: not one of ours */
/* Trains it from qs_session_idle on, until it is over, is paused, or Ctrl-C pauses all; adds it first. ESTATE: it is over. */
int qs_session_run_start(qs_session *s, qs_run *r, qs_err *err);
void qs_session_run_pause(qs_session *s, qs_run *r);
bool qs_session_run_going(const qs_session *s, const qs_run *r);
/* Ends it (qs_run_stop). ESTATE: it is over already. */
int qs_session_run_stop(qs_session *s, qs_run *r, qs_err *err);
/* Lets it go. */
void qs_session_run_drop(qs_session *s, qs_run *r);

#endif
