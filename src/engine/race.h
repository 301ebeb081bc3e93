/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_ENGINE_RACE_H
#define QS_ENGINE_RACE_H
/*
 * A race: runs from several initializations that train side by side. It only
 * looks: whoever has the runs makes their steps. What it sees is the picture of
 * snapshots (qs_snap_race), live or from the file of a recorded one, so that
 * both are shown by the same view. One thread. Test: t_race
 */
#include "engine/snapshot.h"
#include "train/run.h"

typedef struct qs_race qs_race;
struct qs_session;

/* Of (n) racers by the names of their initializations, none of them ready yet. program: "quantscope 0.3 (onednn, avx2)",
 * for records. EARG: not 1 to QS_RACERS. */
qs_race *qs_race_new(const char *const *inits, size_t n, const char *program, qs_err *err);
qs_race *qs_race_ref(qs_race *r);
void qs_race_unref(qs_race *r);

/* Racer i is at its start: a reference is taken. Or it cannot start, and why. i < n. */
void qs_race_enter(qs_race *r, size_t i, qs_run *run);
void qs_race_refuse(qs_race *r, size_t i, const char *why);
/* Whether steps are being made: a run that is not over is called running, else paused. */
void qs_race_going(qs_race *r, bool going);

/* How it stands now. Borrowed: until the next call, or take a reference. Cost: nothing where no run has moved. */
const qs_snap_race *qs_race_picture(qs_race *r);

/*
 * Recorded races (race_file.c): JSON text, versioned, described in the manual under FILES. Numbers have 5 digits.
 * save: EIO.  load: EIO; EFORMAT with what is wrong: the file is damaged, of a later version, or no race.
 */
int qs_race_save(qs_race *r, const char *path, qs_err *err);
qs_race *qs_race_load(const char *path, qs_err *err);

/* Shows it on the screen as far as `at` (qs_snapshot.race_at; INFINITY: all there is). Takes a reference. */
void qs_session_race_show(struct qs_session *s, qs_race *r, double at);

/* For race_file.c: a race that is a picture and nothing else; takes it over. */
qs_race *qs_race_of(qs_snap_race *picture);

#endif
