/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a run remembers: room for every step laid out beforehand, records at their steps, copies to go on from. */
#include "train/history.h"
#include "../tap.h"

enum { SITES = 3, STEPS = 20, EVERY = 6 };

/* A run of `n` steps: losses, and records as a run makes them, before the first step, every EVERY, and at the last. */
static void make_run(qs_history *h, int n)
{
    for (int t = 0; t <= n; t++) {
        if (t) qs_history_loss(h, 1.0 / t, 0.1 * t);
        if (t % EVERY && t != n) continue;
        qs_record *r = qs_history_record(h, (uint64_t)t, 1.0 / (t + 1));
        for (int s = 0; r && s < SITES; s++) r[s] = (qs_record){.step = 100 * t + s, .ratio = NAN};
    }
}

static bool is_run(const qs_history *h, int n)
{
    bool good = h->nloss == (size_t)n && h->nsite == SITES && h->every == EVERY;
    for (int t = 0; t < n; t++) good = good && h->loss[t] == (float)(1.0 / (t + 1)) && h->lr[t] == (float)(0.1 * (t + 1));
    for (size_t k = 0; k < h->nrec; k++) {
        good = good && h->rec_loss[k] == 1.0 / ((double)h->rec_t[k] + 1);
        for (size_t s = 0; s < SITES; s++) {
            const qs_record *r = &h->rec[k * SITES + s];
            good = good && r->step == (double)(100 * h->rec_t[k] + s) && isnan(r->ratio);
        }
    }
    return good;
}

static void records(void)
{
    static const uint64_t when[] = {0, 6, 12, 18, 20};
    qs_history h;
    qs_err e = {0};
    if (!ok(!qs_history_init(&h, SITES, STEPS, EVERY, &e), "laid out %s", e.msg)) return;
    ok(h.cap == STEPS && !h.nloss && !h.nrec && !h.neval, "and empty");
    make_run(&h, STEPS);
    ok(is_run(&h, STEPS), "every step and every record is kept");
    ok(h.nrec == 5 && !memcmp(h.rec_t, when, sizeof when), "records before the first step, every 6 and at the last");
    qs_history_loss(&h, 5, 5);
    ok(is_run(&h, STEPS), "a step more than was laid out is not written");
    int extra = 0;
    while (extra < 100 && qs_history_record(&h, STEPS, 0)) extra++;
    ok(extra < 3 && h.nrec == h.rcap, "nor is a record: %d more fitted", extra);
    qs_history_clear(&h);
    ok(!h.loss && !h.rec && !h.eval, "cleared");
    qs_history_clear(&h);
}

static void evaluations(void)
{
    qs_history h;
    qs_err e = {0};
    bool good = !qs_history_init(&h, 0, 0, 1, &e);
    for (int i = 0; good && i < 100; i++)
        qs_history_eval(&h, &(qs_eval){.t = (uint64_t)i, .accuracy = i / 100.0, .part = i % 3});
    for (size_t i = 0; good && i < 100; i++) good = h.eval[i].t == i && h.eval[i].accuracy == (double)i / 100;
    ok(good && h.neval == 100, "evaluations have no limit; a run of no steps and no quantizers is one %s", e.msg);
    qs_history_clear(&h);
}

static void copies(void)
{
    qs_history a, b;
    qs_err e = {0};
    if (!ok(!qs_history_init(&a, SITES, STEPS, EVERY, &e), "a run")) return;
    make_run(&a, 12);
    qs_history_eval(&a, &(qs_eval){.t = 12, .accuracy = 0.5});
    ok(!qs_history_copy(&b, &a, 2 * STEPS, &e) && is_run(&b, 12) && b.cap == 2 * STEPS && b.nrec == a.nrec && b.neval == 1 &&
       b.eval[0].accuracy == 0.5, "a copy with room for more steps %s", e.msg);
    qs_history_loss(&b, 9, 9);
    qs_record *r = qs_history_record(&b, 13, 9);
    if (r) r->step = 9;
    ok(is_run(&a, 12), "grows apart from the first");
    qs_history_clear(&b);
    ok(!qs_history_copy(&b, &a, 3, &e) && is_run(&b, 12) && b.cap >= 12 && b.nrec == a.nrec,
       "asked for fewer steps than made: all stay");
    qs_history_clear(&b);
    qs_history_clear(&a);
    ok(qs_history_init(&a, SIZE_MAX / 2, 100, 1, &e) == -QS_ENOMEM && !a.rec, "%s", e.msg);
    ok(qs_history_init(&a, SITES, UINT64_MAX / 2, 1, &e) == -QS_ENOMEM && !a.loss, "%s", e.msg);
}

int main(void)
{
    records();
    evaluations();
    copies();
    return done();
}
