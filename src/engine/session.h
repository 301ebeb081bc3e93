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

typedef struct qs_session qs_session;

qs_session *qs_session_new(void);
void qs_session_free(qs_session *s);
qs_cache *qs_session_cache(qs_session *s);

/* Models. Opening the same path again gives the same model (a reference of the session's; borrow it). */
qs_model *qs_session_open(qs_session *s, const char *path, qs_err *err);
size_t qs_session_models(const qs_session *s);
qs_model *qs_session_model(const qs_session *s, size_t i);

/*
 * The selection: what all panes show. Fields of a pick that are not set stay as they are; a new tensor keeps format and
 * init; a new format keeps the init; "by hand" keeps the clip. Nothing changes if anything in it is wrong: EARG, EFORMAT,
 * EIO, EUNSUP with a message that names the field. UNDO: ESTATE when there is nothing to undo. PIN: the current quantizer
 * becomes B; again: lets it go.
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

/* The screen, where there is one. */
void qs_session_attach(qs_session *s, qs_board *b, qs_jobs *j);   /* NULL, NULL: headless */
/* Makes a snapshot and publishes it if the board wants one (force: in any case). No board: nothing. */
void qs_session_publish(qs_session *s, bool force);
/* Headless (nothing attached): the ctl that qs_session_ctl then gives; copied. app sets it, with its signal handler's
 * cancel word and its progress line, and the Lua hook asks qs_cancelled of it. NULL: none. */
void qs_session_set_ctl(qs_session *s, const qs_ctl *ctl);
/* A ctl for work of the running job: cancel, progress into the snapshot, selections served meanwhile. */
qs_ctl *qs_session_ctl(qs_session *s);
/* Serves what the screen asked for: every pick that waits is selected and its call echoed (a refused one: message as
 * status), then a snapshot is published if that or the viewport changed anything. Called between jobs (qs_jobs_ops.serve);
 * the poll of qs_session_ctl does the same while a job runs. */
void qs_session_serve(qs_session *s);
/* One slice of background work (rows of the list: sampled, then exact). false: nothing left. */
bool qs_session_idle(qs_session *s);

#endif
