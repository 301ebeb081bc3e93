/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Results of sweeps: what is looked at, and the newest picture of it. Where that
 * comes from is not known here: see qs_source.
 */
#include <stddef.h>
#include <string.h>

#include "base/text.h"
#include "engine/state.h"

void qs_session_set_source(qs_session *s, const qs_source *src) { s->results.source = *src; }

void results_clear(qs_session *s)
{
    qs_snap_results_unref(s->results.made);
    s->results = (struct results){0};
}

/* ---- what is looked at --------------------------------------------------------------- */
/* In the order they are served: a change takes what depends on it to the default. */
#define FIELD(bit, name, resets) {QS_PICK_##bit, resets, offsetof(qs_results_at, name), sizeof ((qs_results_at *)0)->name, #name}
#define OF_GROUPS (QS_PICK_BASELINE | QS_PICK_GROUP)
static const struct field {
    unsigned bit, resets;
    size_t at, size;
    const char *name;
} fields[] = {
    FIELD(RESULTS, file, QS_PICK_OF_RESULTS & ~QS_PICK_RESULTS),
    FIELD(SWEEP, sweep, QS_PICK_METRIC | QS_PICK_BY | OF_GROUPS),
    FIELD(METRIC, metric, 0),
    FIELD(BY, by, OF_GROUPS),
    FIELD(BASELINE, baseline, 0),
    FIELD(GROUP, group, 0),
};
enum { FIELDS = sizeof fields / sizeof *fields };

int results_pick(const qs_pick *p, qs_results_at *at, qs_err *err)
{
    const char *from = (const char *)&p->results;
    char *to = (char *)at;
    for (const struct field *f = fields; f < fields + FIELDS; f++) {
        if (!(p->set & f->bit)) continue;
        if (f > fields && !*at->file) return qs_fail(err, QS_ESTATE, _("%s: no results database is open; results= opens one"), f->name);
        bool same = !strcmp(to + f->at, from + f->at);
        memcpy(to + f->at, from + f->at, f->size);
        for (size_t k = 0; k < FIELDS && !same; k++)
            if (fields[k].bit & f->resets) to[fields[k].at] = '\0';
    }
    return 0;
}

static bool same_at(const qs_results_at *a, const qs_results_at *b)
{
    for (size_t i = 0; i < FIELDS; i++)
        if (strcmp((const char *)a + fields[i].at, (const char *)b + fields[i].at)) return false;
    return true;
}

void results_look_at(qs_session *s, const qs_results_at *at)
{
    struct results *r = &s->results;
    if (same_at(at, &r->at)) return;
    if (strcmp(at->file, r->at.file)) {          /* what was seen of another file is no picture of this one */
        qs_snap_results_unref(r->made);
        r->made = NULL;
    }
    r->at = *at;
    s->news = true;
}

/* ---- what comes of it ------------------------------------------------------------------ */
void results_follow(qs_session *s)
{
    struct results *r = &s->results;
    bool shown = !strcmp(s->sel.view, "results");
    if (!r->source.take) return;
    if (shown != r->told_shown || !same_at(&r->at, &r->told)) {
        r->told = r->at;
        r->told_shown = shown;
        r->source.look(r->source.ctx, &r->at, shown);
    }
    qs_snap_results *o = r->source.take(r->source.ctx);
    if (!o) return;
    bool ours = !strcmp(o->at.file, r->at.file);   /* and not of a file looked at before */
    if (ours) {
        qs_snap_results_unref(r->made);
        r->made = o;
        s->news = true;
    } else {
        qs_snap_results_unref(o);
    }
}

qs_snap_results *results_snap(qs_session *s)
{
    qs_snap_results *o = s->results.made;
    if (o) atomic_fetch_add(&o->refs, 1);
    return o;
}
