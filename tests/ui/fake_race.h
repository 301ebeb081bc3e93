/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_TESTS_FAKE_RACE_H
#define QS_TESTS_FAKE_RACE_H
/* A race that is made up: four racers, one of which cannot start and one of which diverges. For fake.c, after fake_train.h. */
#include "fake_train.h"

#define FA_RACERS 5
#define FA_TOTAL 150
#define FA_RECORDS 31

static struct { bool there, recorded, going; double at; } fa;

static const char *const fa_inits[FA_RACERS] = {"lsq", "mse", "sawb", "adaptive", "minmax"};
static const char *const fa_sites[][2] = {{"conv1.weight", "int8"}, {"conv2.input", "uint2"}, {"conv2.weight", "int2"}, {"fc1.weight", "int8"}};
enum { FA_SITES = sizeof fa_sites / sizeof *fa_sites };

static bool fa_line(const char *text)
{
    bool race = !strncmp(text, "race = qs.race(", 15), play = !strncmp(text, "race = qs.play(", 15);
    if (race || play) {
        fa.there = fa.going = true;
        fa.recorded = play;
        fa.at = -2;
    }
    return race || play;
}

static bool fa_idle(void)
{
    if (!fa.going) return false;
    fa.at += fa.at < 0 ? 0.02 : 1;
    if (fa.at >= FA_TOTAL) fa.at = INFINITY;
    fa.going = isfinite(fa.at);
    return true;
}

static double *fa_doubles(size_t n) { return qs_xcalloc(n + 1, sizeof(double)); }

static void fa_racer(qs_snap_racer *x, size_t i)
{
    const double quality[FA_RACERS] = {0.05, 0.015, 0, 0, 0.2};
    double q = quality[i];
    snprintf(x->init, sizeof x->init, "%s", fa_inits[i]);
    if (i == 2) {
        x->refused = true;
        x->reason = qs_xstrdup("EUNSUP: conv2.input: sawb is a rule for signed weights; uint2 is unsigned");
        return;
    }
    x->state = i == 4 ? QS_SNAP_DIVERGED : QS_SNAP_DONE;
    x->t = i == 4 ? 60 : FA_TOTAL;
    if (i == 4) x->reason = qs_xstrdup("step 61: the loss is not finite");
    x->nloss = (size_t)x->t;
    x->loss_t = fa_doubles(x->nloss);
    x->mean = fa_doubles(x->nloss);
    for (size_t k = 0; k < x->nloss; k++) {
        x->loss_t[k] = (double)k + 1;
        x->mean[k] = i == 4 ? 0.8 + 0.02 * (double)k : 0.25 + q + (0.5 + 4 * q) * exp(-(double)k / 30) + 0.05 * ft_noise((double)k, (double)i);
    }
    x->neval = (size_t)x->t / 15 + 1;
    x->eval_t = fa_doubles(x->neval);
    x->eval = fa_doubles(x->neval);
    for (size_t k = 0; k < x->neval; k++) {
        x->eval_t[k] = 15 * (double)k;
        x->eval[k] = 0.9 - q / 2 - (0.05 + 3 * q) * exp(-(double)k / 2);
    }
    x->nrec = (size_t)x->t / 5 + 1;
    x->rec_t = fa_doubles(x->nrec);
    x->oscillating = fa_doubles(x->nrec);
    x->step = fa_doubles(FA_SITES * x->nrec);
    for (size_t k = 0; k < x->nrec; k++) {
        x->rec_t[k] = 5 * (double)k;
        x->oscillating[k] = k ? 0.02 * (1 + q * 5) * (1 - exp(-(double)k / 8)) : (double)NAN;
        for (size_t s = 0; s < FA_SITES; s++)
            x->step[s * x->nrec + k] = 0.1 * ((double)s + 1) * (1 + 6 * q) * (1 + (0.4 - 4 * q) * (double)s / 3 * (1 - exp(-(double)k / 10)));
    }
    x->before = x->eval[0];
    x->after = x->eval[x->neval - 1];
    x->init_s = i == 3 ? 0.81 : 0.06;
    x->train_s = 0.0142 * x->t;
}

static qs_snap_race *fa_picture(double *at)
{
    if (!fa.there) return NULL;
    qs_snap_race *r = qs_snap_race_new(FA_RACERS);
    *at = fa.at;
    r->recorded = fa.recorded;
    snprintf(r->net, sizeof r->net, "smallcnn");
    snprintf(r->set, sizeof r->set, "fashion-mnist");
    snprintf(r->name, sizeof r->name, "lsq int2/uint2");
    snprintf(r->program, sizeof r->program, "quantscope 0.1.0 (onednn, avx2)");
    snprintf(r->machine, sizeof r->machine, "x86_64, 2 threads");
    snprintf(r->when, sizeof r->when, "2026-11-26");
    r->data = qs_xstrdup("fashion-mnist, 60,000 + 10,000 images");
    r->seed = 1;
    r->batch = 128;
    r->total = FA_TOTAL;
    r->images = 2000;
    r->floating = 0.912;
    r->nsite = FA_SITES;
    r->site = qs_xcalloc(FA_SITES, sizeof *r->site);
    for (size_t i = 0; i < FA_SITES; i++) {
        snprintf(r->site[i].name, sizeof r->site[i].name, "%s", fa_sites[i][0]);
        snprintf(r->site[i].format, sizeof r->site[i].format, "%s", fa_sites[i][1]);
        r->site[i].act = i == 1;
    }
    for (size_t i = 0; i < FA_RACERS; i++) fa_racer(&r->racer[i], i);
    return r;
}

#endif
