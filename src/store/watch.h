/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_STORE_WATCH_H
#define QS_STORE_WATCH_H
/*
 * A results database as the screen sees it: groups, series and how the sweep
 * comes on, as pictures (engine/snapshot.h), made anew whenever another process
 * has written. A thread of its own reads, so that neither a big table nor a
 * locked file ever holds up a key or a training step.
 *
 *     qs_watch *w = qs_watch_start(changed, ctx, &err);
 *     qs_source results = qs_watch_source(w);
 *     qs_session_set_source(session, &results);
 *
 * It asks qs_store_change four times a second while what it reads is shown, reads
 * again only where that says so, and rests four times as long as reading took. Where intervals take longer than a moment,
 * a picture without them comes first.  Test: t_watch
 */
#include "engine/session.h"

typedef struct qs_watch qs_watch;

/* changed: called on the thread of the watch whenever there is a new picture to take. NULL: EIO, no thread. */
qs_watch *qs_watch_start(void (*changed)(void *ctx), void *ctx, qs_err *err);
/* Ends the thread, once a read that goes on is over (groups and their statistics are abandoned): `changed` is not called
 * any more, the source still answers. */
void qs_watch_stop(qs_watch *w);
/* Stops it, and frees. NULL allowed, in both. */
void qs_watch_free(qs_watch *w);
/* For qs_session_set_source; valid until qs_watch_free. */
qs_source qs_watch_source(qs_watch *w);

/* Does this file begin as a results database (any SQLite file) does? */
bool qs_watch_can(const char *path);

#endif
