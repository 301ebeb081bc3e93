/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_STORE_WATCH_IN_H
#define QS_STORE_WATCH_IN_H
/* What the thread of a watch (watch.c) and the picture it makes (watch_snap.c) share. One thread. */
#include "engine/snapshot.h"
#include "store/groups.h"
#include "store/store.h"

#define QS_RATE_POINTS 64      /* moments the rate is taken over */
#define QS_RATE_SECONDS 60     /* and how far back they go */

/* What has been read. */
typedef struct qs_reading {
    qs_store *s;               /* NULL: could not be opened */
    qs_sweep_row *sweep;       /* (nsweep) */
    size_t nsweep, cur;        /* the sweep that y is of */
    bool there;                /* y has been read */
    qs_study y;
    bool grouped;              /* g has been made of it, as `as` says; why: what of that could not be, or NULL */
    qs_groups g;
    qs_results_at as;
    char *why;
    struct { double t; size_t over; } mark[QS_RATE_POINTS];   /* cells that were over at these moments, oldest first */
    size_t nmark;
} qs_reading;

/* The picture of it; why: what went wrong, or NULL. Groups are made only where they are other ones than the last time; `at`
 * may name another group meanwhile. NULL: ctl abandoned it. */
qs_snap_results *qs_watch_picture(qs_reading *r, const qs_results_at *at, const char *why, const qs_ctl *ctl);
/* The same while its groups are being made, from the moment on when they can be read (qs_groups_make). */
qs_snap_results *qs_watch_rough(qs_reading *r, const qs_results_at *at);
/* The groups are no more those of y. */
void qs_watch_ungroup(qs_reading *r);

#endif
