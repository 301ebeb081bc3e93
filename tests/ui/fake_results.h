/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_TESTS_FAKE_RESULTS_H
#define QS_TESTS_FAKE_RESULTS_H
/* Results that are made up: three initializations at two bit widths over five seeds, two sweeps. For fake.c. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "engine/snapshot.h"

#define FR_GROUPS 6
#define FR_POINTS 80

static struct { bool there; const char *error; qs_results_at at; } fr;

static void fr_open(const char *file)
{
    fr.there = true;
    snprintf(fr.at.file, sizeof fr.at.file, "%s", file);
}

static void fr_take(const qs_pick *p)
{
    const struct { unsigned bit; char *to; const char *from; size_t size; } fields[] = {
        {QS_PICK_RESULTS, fr.at.file, p->results.file, sizeof fr.at.file},
        {QS_PICK_SWEEP, fr.at.sweep, p->results.sweep, sizeof fr.at.sweep},
        {QS_PICK_METRIC, fr.at.metric, p->results.metric, sizeof fr.at.metric},
        {QS_PICK_BY, fr.at.by, p->results.by, sizeof fr.at.by},
        {QS_PICK_BASELINE, fr.at.baseline, p->results.baseline, sizeof fr.at.baseline},
        {QS_PICK_GROUP, fr.at.group, p->results.group, sizeof fr.at.group},
    };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (p->set & fields[i].bit) snprintf(fields[i].to, fields[i].size, "%s", fields[i].from);
}

static const char *const fr_bits[] = {"2", "4"}, *const fr_inits[] = {"mse", "lsq", "adaptive"};

static char **fr_texts(size_t n, const char *const *text)
{
    char **out = qs_xcalloc(n + 1, sizeof *out);
    for (size_t i = 0; i < n; i++) out[i] = qs_xstrdup(text[i]);
    return out;
}

static double fr_mean(size_t i) { return 0.8 + 0.05 * (double)(i / 3) + (i % 3 == 1 ? -0.04 : i % 3 == 2 ? 0.012 : 0); }

static void fr_group(qs_snap_group *g, size_t i, size_t base)
{
    bool loss = !strcmp(fr.at.metric, "loss");
    double m = loss ? 1 - fr_mean(i) : fr_mean(i), b = loss ? 1 - fr_mean(base) : fr_mean(base);
    const char *const v[] = {fr_bits[i / 3], fr_inits[i % 3]};
    *g = (qs_snap_group){.name = qs_xasprintf("bits=%s,init=%s", v[0], v[1]), .value = fr_texts(2, v), .n = i == 4 ? 3 : i == 5 ? 0 : 5,
                         .failed = i == 4, .left = i == 4 ? 1 : i == 5 ? 5 : 0, .mean = m, .std = 0.016, .min = m - 0.02, .max = m + 0.02,
                         .lo = m - 0.0195, .hi = m + 0.0195, .diff = NAN, .diff_lo = NAN, .diff_hi = NAN, .p = NAN};
    if (i == 5) g->mean = g->std = g->min = g->max = g->lo = g->hi = NAN;
    g->baseline = i == base;
    if (base == FR_GROUPS || i == base || i == 5) return;
    g->pairs = g->n;
    g->diff = m - b;
    g->diff_lo = g->diff - 0.004;
    g->diff_hi = g->diff + 0.004;
    g->p = 0.0625;
}

static void fr_series(qs_snap_series *s, const char *name, size_t group)
{
    double rate = 12 + 7 * (double)(group % 3);
    *s = (qs_snap_series){.name = qs_xstrdup(name), .cells = 5, .n = FR_POINTS};
    double **v[] = {&s->at, &s->mean, &s->low, &s->high};
    for (size_t i = 0; i < 4; i++) *v[i] = qs_xmalloc(FR_POINTS * sizeof(double));
    for (size_t k = 0; k < FR_POINTS; k++) {
        double fall = exp(-(double)k / rate);
        s->at[k] = (double)k + 1;
        s->mean[k] = strcmp(name, "loss") ? fr_mean(group) - 0.6 * fall : 0.3 + 2 * fall;
        s->low[k] = s->mean[k] - 0.02 - 0.1 * fall;
        s->high[k] = s->mean[k] + 0.02 + 0.1 * fall;
    }
}

static size_t fr_named(const qs_snap_results *o, const char *name)
{
    for (size_t i = 0; i < o->ngroup; i++)
        if (!strcmp(o->group[i].name, name)) return i;
    return FR_GROUPS;
}

static qs_snap_series *fr_both(size_t group, size_t *n)
{
    if (group >= 5) return NULL;
    qs_snap_series *s = qs_xcalloc(2, sizeof *s);
    fr_series(&s[0], "accuracy", group);
    fr_series(&s[1], "loss", group);
    *n = 2;
    return s;
}

static size_t fr_base(void)
{
    for (size_t i = 0; i < FR_GROUPS; i++) {
        char name[64];
        snprintf(name, sizeof name, "bits=%s,init=%s", fr_bits[i / 3], fr_inits[i % 3]);
        if (!strcmp(name, fr.at.baseline)) return i;
    }
    return FR_GROUPS;
}

static qs_snap_results *fr_picture(void)
{
    if (!fr.there) return NULL;
    qs_snap_results *o = qs_snap_results_new();
    size_t base = fr_base();
    o->at = fr.at;
    if (fr.error) {
        o->error = qs_xstrdup(fr.error);
        return o;
    }
    o->nsweep = 2;
    o->sweeps = fr_texts(2, (const char *const[]){"walk", "init-race"});
    o->sweep = strcmp(fr.at.sweep, "walk") != 0;
    if (!*o->at.sweep) strcpy(o->at.sweep, "init-race");
    o->cells = 30;
    o->done = 23;
    o->failed = o->running = 1;
    o->left = 5;
    o->rate = 0.42;
    o->left_s = 14;
    o->nparam = 3;
    o->param = fr_texts(3, (const char *const[]){"bits", "init", "seed"});
    o->nmetric = 2;
    o->metric = fr_texts(2, (const char *const[]){"accuracy", "loss"});
    if (!*o->at.metric) strcpy(o->at.metric, "accuracy");
    o->nby = 2;
    o->by = fr_texts(2, (const char *const[]){"bits", "init"});
    o->group = qs_xcalloc(FR_GROUPS, sizeof *o->group);
    for (size_t i = 0; i < FR_GROUPS; i++) fr_group(&o->group[o->ngroup++], i, base);
    size_t cur = fr_named(o, o->at.group);
    if (cur == FR_GROUPS) cur = 0;
    snprintf(o->at.group, sizeof o->at.group, "%s", o->group[cur].name);
    o->series = fr_both(cur, &o->nseries);
    if (base < FR_GROUPS && base != cur) o->base = fr_both(base, &o->nbase);
    return o;
}

#endif
