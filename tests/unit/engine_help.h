/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_TESTS_ENGINE_HELP_H
#define QS_TESTS_ENGINE_HELP_H
/* Models in files of our own, and short ways to pick; for t_session and t_view. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/rng.h"
#include "engine/session.h"
#include "../tap.h"

static char scratch[300];

__attribute__((unused)) static const char *scratch_file(const char *name)
{
    static char path[2][400];
    static int turn;
    const char *dir = getenv("TMPDIR");
    if (!scratch[0]) {
        snprintf(scratch, sizeof scratch, "%s/qs-engine-XXXXXX", dir ? dir : "/tmp");
        if (!mkdtemp(scratch)) exit(99);
    }
    turn = !turn;
    snprintf(path[turn], sizeof path[turn], "%s/%s", scratch, name);
    return path[turn];
}

__attribute__((unused)) static void scratch_clean(void)
{
    static const char *const names[] = {"a.safetensors", "b.safetensors", "big.safetensors", "bad.safetensors"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) unlink(scratch_file(names[i]));
    rmdir(scratch);
}

/* Bell-shaped values, the same on every machine. */
__attribute__((unused)) static void bell(float *x, size_t n, uint64_t seed, double scale)
{
    qs_rng r;
    qs_rng_seed(&r, seed);
    for (size_t i = 0; i < n; i++) x[i] = (float)(scale * qs_rng_normal(&r));
}

__attribute__((unused)) static qs_tensor *bell_tensor(const char *name, int64_t a, int64_t b, uint64_t seed)
{
    float *x;
    int64_t shape[2] = {a, b};
    qs_tensor *t = qs_tensor_f32(name, b ? 2 : 1, shape, &x, NULL);
    bell(x, (size_t)(a * (b ? b : 1)), seed, 0.1);
    return t;
}

__attribute__((unused)) static bool save(const char *path, qs_tensor **t, size_t n)
{
    qs_err err = {0};
    bool good = qs_model_save(path, t, n, &err) == 0;
    if (!good) printf("# %s\n", err.msg);
    for (size_t i = 0; i < n; i++) qs_tensor_unref(t[i]);
    return good;
}

/* fc1 [8,100], fc2 [5,40], bias [8] */
__attribute__((unused)) static const char *small_model(const char *file, uint64_t seed)
{
    qs_tensor *t[] = {bell_tensor("bias", 8, 0, seed), bell_tensor("fc1", 8, 100, seed + 1),
                      bell_tensor("fc2", 5, 40, seed + 2)};
    const char *path = scratch_file(file);
    return save(path, t, 3) ? path : NULL;
}

__attribute__((unused)) static int select_text(qs_session *s, unsigned field, const char *text, qs_err *err)
{
    qs_pick p = {.set = field};
    switch (field) {
    case QS_PICK_MODEL: snprintf(p.model, sizeof p.model, "%s", text); break;
    case QS_PICK_TENSOR: snprintf(p.tensor, sizeof p.tensor, "%s", text); break;
    case QS_PICK_FORMAT: snprintf(p.format, sizeof p.format, "%s", text); break;
    case QS_PICK_INIT: snprintf(p.init, sizeof p.init, "%s", text); break;
    case QS_PICK_VIEW: snprintf(p.view, sizeof p.view, "%s", text); break;
    default: snprintf(p.learn, sizeof p.learn, "%s", text);
    }
    return qs_session_select(s, &p, err);
}

__attribute__((unused)) static int select_step(qs_session *s, double step, qs_err *err)
{
    return qs_session_select(s, &(qs_pick){.set = QS_PICK_STEP, .step = step}, err);
}

__attribute__((unused)) static int select_channel(qs_session *s, long c)
{
    return qs_session_select(s, &(qs_pick){.set = QS_PICK_CHANNEL, .channel = c}, NULL);
}

__attribute__((unused)) static int undo(qs_session *s, qs_err *err)
{
    return qs_session_select(s, &(qs_pick){.set = QS_PICK_UNDO}, err);
}

#endif
