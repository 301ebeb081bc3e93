/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the user wants of the session, as picks. Remembers what was asked for
 * until a snapshot answers, so that keys held down add up and lists do not
 * jump back. Computes nothing.
 */
#include <ctype.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "ui/screen.h"

static void copy(char *to, size_t size, const char *from) { snprintf(to, size, "%s", from); }

static void send(qs_ui *u, const qs_pick *p)
{
    u->want_since = qs_now();
    u->want_ticket = qs_board_pick(u->o->board, p);
    qs_ui_touch(u);
}

const char *qs_cur_tensor(const qs_ui *u)
{
    if (u->want.set & QS_PICK_TENSOR) return u->want.tensor;
    return u->s ? u->s->sel.tensor : "";
}

const char *qs_cur_format(const qs_ui *u)
{
    if (u->want.set & QS_PICK_FORMAT) return u->want.format;
    return u->s ? u->s->sel.format : "";
}

double qs_cur_step(const qs_ui *u)
{
    if (u->want.set & QS_PICK_STEP) return u->want.step;
    return u->s && u->s->a.there ? u->s->a.step : NAN;
}

/* A change of tensor, format or initialization makes a step that was asked for before pointless. */
static void forget_step(qs_ui *u) { u->want.set &= ~(unsigned)QS_PICK_STEP; }

void qs_act_tensor(qs_ui *u, const char *name)
{
    qs_pick p = {.set = QS_PICK_TENSOR};
    if (!strcmp(name, qs_cur_tensor(u))) return;
    copy(p.tensor, sizeof p.tensor, name);
    copy(u->want.tensor, sizeof u->want.tensor, name);
    forget_step(u);
    u->want.set |= QS_PICK_TENSOR;
    u->hist.lo = u->hist.hi = NAN;               /* a new tensor: its own range */
    u->curve.lo = u->curve.hi = 0;
    send(u, &p);
}

void qs_act_next_model(qs_ui *u)
{
    qs_pick p = {.set = QS_PICK_MODEL};
    if (!u->s || !*u->s->sel.next) {
        qs_ui_say(u, true, _("no other model is open; qs.load \"FILE\" opens one"));
        return;
    }
    copy(p.model, sizeof p.model, u->s->sel.next);
    u->want.set &= ~(unsigned)(QS_PICK_TENSOR | QS_PICK_STEP);
    u->hist.lo = u->hist.hi = NAN;
    u->curve.lo = u->curve.hi = 0;
    send(u, &p);
}

void qs_act_format(qs_ui *u, const char *format)
{
    qs_pick p = {.set = QS_PICK_FORMAT};
    copy(p.format, sizeof p.format, format);
    copy(u->want.format, sizeof u->want.format, format);
    forget_step(u);
    u->want.set |= QS_PICK_FORMAT;
    send(u, &p);
}

void qs_act_init(qs_ui *u, const char *init)
{
    qs_pick p = {.set = QS_PICK_INIT};
    copy(p.init, sizeof p.init, init);
    forget_step(u);
    send(u, &p);
}

void qs_act_step(qs_ui *u, double step)
{
    char five[QS_FMT];
    if (!(step > 0) || !isfinite(step)) return;
    snprintf(five, sizeof five, "%.4e", step);             /* by hand: five digits, so that the echo can be read */
    qs_pick p = {.set = QS_PICK_STEP, .step = step = strtod(five, NULL)};
    u->want.step = step;
    u->want.set |= QS_PICK_STEP;
    send(u, &p);
}

void qs_act_step_by(qs_ui *u, double factor)
{
    double s = qs_cur_step(u);
    if (isnan(s)) qs_ui_say(u, true, _("there is no step to move here"));
    else qs_act_step(u, s * factor);
}

void qs_act_channel(qs_ui *u, long channel)
{
    qs_pick p = {.set = QS_PICK_CHANNEL, .channel = channel};
    forget_step(u);
    send(u, &p);
}

const char *qs_cur_site(const qs_ui *u)
{
    if (u->want.set & QS_PICK_SITE) return u->want.site;
    return u->s ? u->s->sel.site : "";
}

double qs_cur_seek(const qs_ui *u)
{
    if (u->want.set & QS_PICK_SEEK) return u->want.seek;
    return u->s ? u->s->sel.seek : -1;
}

void qs_act_run(qs_ui *u, long run)
{
    qs_pick p = {.set = QS_PICK_RUN, .run = run};
    u->want.set &= ~(unsigned)QS_PICK_SEEK;
    send(u, &p);
}

void qs_act_site(qs_ui *u, const char *name)
{
    qs_pick p = {.set = QS_PICK_SITE};
    copy(p.site, sizeof p.site, name);
    copy(u->want.site, sizeof u->want.site, name);
    u->want.set |= QS_PICK_SITE;
    send(u, &p);
}

void qs_act_seek(qs_ui *u, double t)
{
    qs_pick p = {.set = QS_PICK_SEEK, .seek = t};
    u->want.seek = t;
    u->want.set |= QS_PICK_SEEK;
    send(u, &p);
}

const char *qs_cur_group(const qs_ui *u)
{
    if (u->want.set & QS_PICK_GROUP) return u->want.results.group;
    return !u->s ? "" : *u->s->sel.results.group || !u->s->results ? u->s->sel.results.group : u->s->results->at.group;
}

void qs_act_results(qs_ui *u, unsigned field, const char *text)
{
    static const struct { unsigned field; size_t at, size; } fields[] = {
        {QS_PICK_SWEEP, offsetof(qs_pick, results.sweep), sizeof u->want.results.sweep},
        {QS_PICK_BY, offsetof(qs_pick, results.by), sizeof u->want.results.by},
        {QS_PICK_METRIC, offsetof(qs_pick, results.metric), sizeof u->want.results.metric},
        {QS_PICK_BASELINE, offsetof(qs_pick, results.baseline), sizeof u->want.results.baseline},
        {QS_PICK_GROUP, offsetof(qs_pick, results.group), sizeof u->want.results.group},
    };
    qs_pick p = {.set = field};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (fields[i].field == field) copy((char *)&p + fields[i].at, fields[i].size, text);
    u->want.set &= ~(unsigned)QS_PICK_GROUP;
    if (field == QS_PICK_GROUP) u->want.results = p.results;
    u->want.set |= field & QS_PICK_GROUP;
    send(u, &p);
}

void qs_act_line(qs_ui *u, const char *lua)
{
    qs_jobs_submit(u->o->jobs, lua);
    qs_ui_touch(u);
}

void qs_act_undo(qs_ui *u)
{
    u->want.set = 0;
    send(u, &(qs_pick){.set = QS_PICK_UNDO});
}

void qs_act_pin(qs_ui *u) { send(u, &(qs_pick){.set = QS_PICK_PIN}); }

void qs_act_view(qs_ui *u, int view)
{
    qs_pick p = {.set = QS_PICK_VIEW};
    copy(p.view, sizeof p.view, qs_view_of(view)->name);
    copy(u->want.view, sizeof u->want.view, p.view);
    u->want.set |= QS_PICK_VIEW;
    send(u, &p);
}

/* The number of bits in a canonical format: the first digits of its base ("uint4:narrow@channel"). */
void qs_act_bits(qs_ui *u, int by)
{
    const char *f = qs_cur_format(u);
    char out[128];
    size_t i = 0;
    while (f[i] && isalpha((unsigned char)f[i])) i++;
    if (!isdigit((unsigned char)f[i])) {
        qs_ui_say(u, true, _("%s has no number of bits to change; f chooses a format"), *f ? f : "…");
        return;
    }
    char *rest;
    long bits = strtol(f + i, &rest, 10);
    bool whole = !strncmp(f, "int", 3) || !strncmp(f, "uint", 4);
    long next = whole && bits == 8 && by > 0 ? 16 : whole && bits == 16 && by < 0 ? 8 : bits + by;
    snprintf(out, sizeof out, "%.*s%ld%s", (int)i, f, next, rest);
    qs_act_format(u, out);
}

void qs_act_granularity(qs_ui *u, const char *gran)
{
    char out[160];
    const char *f = qs_cur_format(u);
    size_t base = strcspn(f, "@"), scale = base;
    const char *at = strstr(f, ":scale=");
    if (at && strncmp(gran, "@group", 6)) scale = (size_t)(at - f);      /* which only groups have */
    size_t rest = scale < base ? scale + 1 + strcspn(at + 1, ":+@") : base;
    snprintf(out, sizeof out, "%.*s%.*s%s", (int)scale, f, (int)(base - rest), f + rest, gran);
    qs_act_format(u, out);
}

static void follow_view(qs_ui *u)
{
    const char *v = u->s->sel.view;
    if (!strcmp(v, u->seen_view)) return;
    if (!u->seen_view[0]) {                                /* the first picture: what is shown, not where the keys go */
        copy(u->seen_view, sizeof u->seen_view, v);
        for (int i = 1; i < QS_VIEWS; i++)
            if (!strcmp(qs_view_of(i)->name, v)) u->pane = i;
        if (u->pane == QS_V_RESULTS || u->pane == QS_V_RACE) qs_ui_focus(u, u->pane);   /* which stands alone */
        return;
    }
    copy(u->seen_view, sizeof u->seen_view, v);
    if (u->want.set & QS_PICK_VIEW) return;
    for (int i = 0; i < QS_VIEWS; i++)
        if (!strcmp(qs_view_of(i)->name, v)) qs_ui_focus(u, i);
    if (!strcmp(v, "explain") && !u->explain) qs_explain_start(u);
}

void qs_act_news(qs_ui *u)
{
    bool answered = u->s->picked >= u->want_ticket;
    if (u->want.set && (answered || qs_now() - u->want_since > 3)) {
        if (u->want.set & QS_PICK_VIEW) copy(u->seen_view, sizeof u->seen_view, u->s->sel.view);
        u->want.set = 0;
    }
    follow_view(u);
}
