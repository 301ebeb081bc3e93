/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_TESTS_FAKE_TRAIN_H
#define QS_TESTS_FAKE_TRAIN_H
/* Runs that are made up: everything they show follows from the number of steps made. For fake.c. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "engine/snapshot.h"

#define FT_SITES 12
#define FT_EVERY 4

typedef struct fake_run { char name[64]; double t, total; qs_snap_state state; int kind; } fake_run;

static struct { fake_run run[8]; size_t n, cur; size_t site; double seek; } ft = {.seek = -1, .site = 2};

static const char *const ft_names[FT_SITES] = {"conv1.weight", "conv2.input", "conv2.weight", "conv3.input", "conv3.weight", "conv4.input",
                                               "conv4.weight", "conv5.input", "conv5.weight", "fc1.input", "fc1.weight", "conv1.input"};

/* The same on every machine: hashed, not drawn. */
static double ft_noise(double a, double b)
{
    uint64_t x = (uint64_t)(a * 8191) * 0x9E3779B97F4A7C15u + (uint64_t)(b * 131 + 7) * 0xC2B2AE3D27D4EB4Fu;
    x ^= x >> 31; x *= 0xD6E8FEB86659FD93u; x ^= x >> 32;
    return (double)(x >> 11) / 9007199254740992.0 - 0.5;
}

static double ft_loss(const fake_run *r, double t) { return 0.45 + 0.06 * r->kind + (1.9 - 0.2 * r->kind) * exp(-t / 45) + 0.25 * ft_noise(t, r->kind) * (0.3 + exp(-t / 60)); }
static double ft_accuracy(const fake_run *r, double t) { return 0.885 - 0.012 * r->kind - (0.52 - 0.1 * r->kind) * exp(-t / 40); }

static double ft_step(const fake_run *r, size_t i, double t)
{
    double base = i == 0 || i == 10 ? 0.004 : i % 2 ? 0.3 + 0.04 * (double)i : 0.09 * pow(0.82, (double)i);
    double to = i % 3 == 2 ? 1.6 : i % 3 == 1 ? 0.7 : 1.15;
    return base * (1 + (to - 1) * (1 - exp(-t / (50 + 8 * (double)i)))) * (1 + 0.1 * r->kind);
}

static void ft_add(const char *name, double t, double total, qs_snap_state state)
{
    if (ft.n == 8) return;
    fake_run *r = &ft.run[ft.n];
    *r = (fake_run){.t = t, .total = total, .state = state, .kind = (int)ft.n};
    snprintf(r->name, sizeof r->name, "%s", name);
    ft.cur = ft.n++;
    ft.seek = -1;
}

/* ---- lines of Lua, as far as the screen sends them --------------------------------------------- */
static bool ft_line(const char *text)
{
    size_t k;
    char what[32];
    if (!strncmp(text, "run = qs.train(", 15)) {
        const char *init = strstr(text, "init=\"");
        char name[64];
        snprintf(name, sizeof name, "int2/uint2 %.*s lsq", init ? (int)strcspn(init + 6, "\"") : 0, init ? init + 6 : "");
        ft_add(name, 0, 300, QS_SNAP_RUNNING);
        return true;
    }
    if (sscanf(text, "run = qs.runs()[%zu]; run:%31[a-z]", &k, what) == 2 && k >= 1 && k <= ft.n) {
        ft.run[k - 1].state = what[0] == 'p' ? QS_SNAP_PAUSED : strcmp(what, "stop") ? QS_SNAP_RUNNING : QS_SNAP_STOPPED;
        return true;
    }
    if (sscanf(text, "run = qs.runs()[%zu]:branch", &k) == 1 && k >= 1 && k <= ft.n) {
        double t = ft.run[k - 1].t;
        ft_add("a branch", t, 300, QS_SNAP_RUNNING);
        return true;
    }
    return false;
}

static bool ft_going(void)
{
    for (size_t i = 0; i < ft.n; i++)
        if (ft.run[i].state == QS_SNAP_RUNNING) return true;
    return false;
}

static void ft_idle(void)
{
    for (size_t i = 0; i < ft.n; i++) {
        fake_run *r = &ft.run[i];
        if (r->state != QS_SNAP_RUNNING) continue;
        r->t++;
        if (r->t >= r->total) r->state = QS_SNAP_DONE;
    }
}

static void ft_take(const qs_pick *p)
{
    if (p->set & QS_PICK_RUN) { ft.cur = (size_t)p->run - 1; ft.seek = -1; }
    if (p->set & QS_PICK_SEEK) ft.seek = p->seek < 0 ? -1 : FT_EVERY * floor(p->seek / FT_EVERY);
    for (size_t i = 0; p->set & QS_PICK_SITE && i < FT_SITES; i++)
        if (!strcmp(ft_names[i], p->site)) ft.site = i;
}

static void ft_selected(qs_selected *s)
{
    s->run = ft.n ? (long)ft.cur + 1 : 0;
    s->seek = ft.seek;
    snprintf(s->site, sizeof s->site, "%s", ft.n ? ft_names[ft.site] : "");
}

/* ---- the picture ---------------------------------------------------------------------------------- */
static double *ft_room(size_t n) { return qs_xmalloc((n + 1) * sizeof(double)); }

static void ft_put_run(const fake_run *r, int color, qs_snap_run *o)
{
    size_t n = (size_t)r->t;
    memcpy(o->name, r->name, sizeof o->name);
    o->color = color;
    o->state = r->state;
    o->data = qs_xstrdup("fashion-mnist slice, 2,000 + 1,000 images: demonstration only");
    if (r->state == QS_SNAP_STOPPED) o->reason = qs_xstrdup("stopped by hand");
    o->t = r->t;
    o->total = r->total;
    o->images_s = 3120;
    o->left_s = (r->total - r->t) * 128 / o->images_s;
    o->before = ft_accuracy(r, 0);
    o->floating = 0.902;
    o->lr = 0.005 * (1 + cos(M_PI * r->t / r->total));
    o->loss_t = ft_room(n);
    o->low = ft_room(n);
    o->high = ft_room(n);
    o->mean = ft_room(n);
    double mean = NAN;
    for (size_t i = 0; i < n; i++) {
        double v = ft_loss(r, (double)i);
        mean = isnan(mean) ? v : 0.85 * mean + 0.15 * v;
        o->loss_t[i] = (double)i + 1;
        o->low[i] = o->high[i] = v;
        o->mean[i] = mean;
    }
    o->nloss = n;
    o->loss = mean;
    o->eval_t = ft_room(n / 20 + 2);
    o->eval = ft_room(n / 20 + 2);
    for (size_t t = 0; t <= n; t += 20) {
        o->eval_t[o->neval] = (double)t;
        o->eval[o->neval++] = o->last = ft_accuracy(r, (double)t);
    }
    o->nstep = n / FT_EVERY + 2;
    o->step_t = ft_room(o->nstep);
    o->step = ft_room(o->nstep);
    for (size_t k = 0; k < o->nstep; k++) {
        o->step_t[k] = fmin((double)(k * FT_EVERY), r->t);
        o->step[k] = ft_step(r, ft.site, o->step_t[k]);
    }
}

/* Bell-shaped weights, or a half bell of inputs with many zeros. */
static double ft_density(bool act, double x) { return act ? (x < 0 ? 0 : exp(-x * x / 1.2)) : exp(-x * x / 0.02); }

static double ft_error(bool act, double lo, double hi, double s)
{
    double sum = 0, all = 0;
    for (double x = act ? 0.005 : -1; x < (act ? 3 : 1); x += 0.005) {
        double w = ft_density(act, x), q = s * fmin(fmax(rint(x / s), lo), hi);
        sum += w * (x - q) * (x - q);
        all += w;
    }
    return sum / all;
}

static void ft_put_look(const fake_run *r, qs_snap_look *o)
{
    bool act = strstr(ft_names[ft.site], "input") != NULL;
    double lo = act ? 0 : -2, hi = act ? 3 : 1, t = ft.seek < 0 ? r->t : ft.seek;
    *o = (qs_snap_look){.there = true, .init = "mse", .live = ft.seek < 0, .t = t, .step = ft_step(r, ft.site, t),
                        .first = ft_step(r, ft.site, 0), .levels = 4, .used = 4, .clipped = 0.031, .entropy = 1.82,
                        .oscillating = act ? NAN : 0.043, .ratio = act ? NAN : 0.7, .bins = 96, .nlevel = 4, .points = 100,
                        .offset = 0, .coarse = act};
    o->lo = o->bin_lo = (lo - 0.5) * 1.25 * ft_step(r, ft.site, 300);
    o->hi = o->bin_hi = (hi + 1) * 1.25 * ft_step(r, ft.site, 300);
    o->count = ft_room(96);
    for (size_t i = 0; i < 96; i++) o->count[i] = floor(900 * ft_density(act, o->lo + (o->hi - o->lo) * ((double)i + 0.5) / 96)) + (act && i == 12 ? 20000 : 0);
    o->level = ft_room(4);
    o->cut = ft_room(4);
    for (size_t k = 0; k < 4; k++) o->level[k] = (lo + (double)k) * o->step;
    for (size_t k = 0; k < 3; k++) o->cut[k] = (o->level[k] + o->level[k + 1]) / 2;
    o->clip_lo = o->level[0];
    o->clip_hi = o->level[3];
    o->curve_step = ft_room(100);
    o->curve_error = ft_room(100);
    o->best_error = INFINITY;
    for (size_t i = 0; i < 100; i++) {
        o->curve_step[i] = o->first / 5 * pow(25, (double)i / 99);
        o->curve_error[i] = ft_error(act, lo, hi, o->curve_step[i]);
        if (o->curve_error[i] < o->best_error) { o->best_error = o->curve_error[i]; o->best_step = o->curve_step[i]; }
    }
    o->error = ft_error(act, lo, hi, o->step);
    o->slope = log(ft_error(act, lo, hi, o->step * 1.06) / ft_error(act, lo, hi, o->step / 1.06)) / log(1.1236);
    o->pull = t > 3 ? ft_step(r, ft.site, t + 20) - o->step : NAN;
    o->pull_noise = 1e-3 * o->step;
    o->pull_rel = fabs(o->pull) / o->step * 3;
}

static qs_snap_train *ft_picture(void)
{
    if (!ft.n) return NULL;
    qs_snap_train *o = qs_snap_train_new();
    const fake_run *r = &ft.run[ft.cur];
    o->nrun = ft.n;
    o->cur = ft.cur;
    o->run = qs_xcalloc(ft.n, sizeof *o->run);
    for (size_t i = 0; i < ft.n; i++) {
        ft_put_run(&ft.run[i], (int)i, &o->run[i]);
        o->going += ft.run[i].state == QS_SNAP_RUNNING;
    }
    o->nsite = FT_SITES;
    o->site_cur = ft.site;
    o->site = qs_xcalloc(FT_SITES, sizeof *o->site);
    o->records = (size_t)r->t / FT_EVERY + 1;
    o->nrec = o->records + 1;
    o->record = ft.seek < 0 ? o->records : (size_t)ft.seek / FT_EVERY;
    if (o->record > 0) o->before_t = (double)(o->record - 1) * FT_EVERY;
    if (o->record + 1 < o->records) o->after_t = (double)(o->record + 1) * FT_EVERY;
    o->rec_t = ft_room(o->nrec);
    for (size_t k = 0; k < o->nrec; k++) o->rec_t[k] = fmin((double)k * FT_EVERY, r->t);
    for (size_t i = 0; i < FT_SITES; i++) {
        qs_snap_site *s = &o->site[i];
        snprintf(s->name, sizeof s->name, "%s", ft_names[i]);
        s->act = strstr(ft_names[i], "input") != NULL;
        snprintf(s->format, sizeof s->format, "%s", i == 0 || i >= 10 ? "int8" : s->act ? "uint2" : "int2");
        snprintf(s->learn, sizeof s->learn, "lsq");
        s->step = ft_room(o->nrec);
        for (size_t k = 0; k < o->nrec; k++) s->step[k] = ft_step(r, i, o->rec_t[k]);
        s->now = ft_step(r, i, ft.seek < 0 ? r->t : ft.seek);
    }
    ft_put_look(r, &o->look);
    return o;
}

#endif
