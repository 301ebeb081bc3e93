/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Two tensors, value by value, against the plain sums; which names mean the same tensor. */
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/rng.h"
#include "model/match.h"
#include "model/packed.h"
#include "quant/diff.h"
#include "../tap.h"

static qs_tensor *random_tensor(int64_t rows, int64_t cols, uint64_t seed, float levels)
{
    const int64_t shape[] = {rows, cols};
    float *x;
    qs_rng r;
    qs_tensor *t = qs_tensor_f32("t", 2, shape, &x, NULL);
    qs_rng_seed(&r, seed);
    for (int64_t i = 0; i < rows * cols; i++) {
        x[i] = (float)qs_rng_normal(&r);
        if (levels > 0) x[i] = fminf(fmaxf(rintf(x[i] * 2), -levels), levels) * (float)(1 + i / cols) / 2;
    }
    return t;
}

static void numbers(void)
{
    qs_err e = {0};
    qs_diff d, sum = {0};
    qs_tensor *a = random_tensor(7, 40001, 1, 0), *b = random_tensor(7, 40001, 2, 3);
    double error = 0, energy = 0, bias = 0, most = 0;
    for (size_t i = 0; i < a->n; i++) {
        double x = qs_tensor_at(a, i), y = qs_tensor_at(b, i);
        error += (x - y) * (x - y);
        energy += x * x;
        bias += y - x;
        most = fmax(most, fabs(y - x));
    }
    double n = (double)a->n;
    ok(!qs_diff_tensors(a, b, NULL, &d, &e), "measured: %s", e.msg);
    near(d.mse, error / n, 1e-12, "mean squared error");
    near(d.nmse, error / energy, 1e-12, "relative");
    near(d.sqnr_db, -10 * log10(error / energy), 1e-12, "SQNR");
    near(d.bias, bias / n, 1e-9, "bias");
    ok(d.max_abs == most && d.n == n && !d.skipped, "largest error, values");
    ok(d.used == 7 && d.levels == 0 && d.bpw == 32, "7 values a row, %zu said; no codebook; 32 bits", d.used);
    qs_diff_add(&sum, &d);
    ok(!qs_diff_tensors(b, b, NULL, &d, &e) && d.mse == 0 && d.nmse == 0 && isinf(d.sqnr_db), "of itself: no error");
    qs_diff_add(&sum, &d);
    near(sum.mse, error / n / 2, 1e-12, "two together");
    near(sum.bpw, 32, 1e-12, "their bits");
    ok(!qs_diff_tensors(b, a, NULL, &d, &e) && d.used == 0, "floats have no levels");
    int threads = qs_threads();
    qs_diff one;
    qs_threads_set(1);
    qs_diff_tensors(a, b, NULL, &one, &e);
    qs_threads_set(threads > 1 ? threads : 3);
    qs_diff_tensors(a, b, NULL, &d, &e);
    ok(!memcmp(&one, &d, sizeof d), "the same for any number of threads");
    qs_tensor_unref(a);
    qs_tensor_unref(b);
}

static void edges(void)
{
    qs_err e = {0};
    qs_diff d;
    float *x, *y;
    qs_tensor *a = qs_tensor_f32("a", 2, (const int64_t[]){2, 3}, &x, NULL), *b = qs_tensor_f32("b", 2, (const int64_t[]){3, 2}, &y, NULL);
    ok(qs_diff_tensors(a, b, NULL, &d, &e) == -QS_EARG && strstr(e.msg, "[2,3]"), "shapes: %s", e.msg);
    ok(!qs_diff_tensors(a, a, NULL, &d, &e) && d.nmse == 0 && d.used == 1, "all 0");
    for (int i = 0; i < 6; i++) x[i] = i == 3 ? 2 : NAN;
    ok(!qs_diff_tensors(a, a, NULL, &d, &e) && d.skipped == 5 && d.energy == 4, "NaN is left out");
    x[3] = INFINITY;
    ok(qs_diff_tensors(a, a, NULL, &d, &e) == -QS_ERANGE, "nothing finite: %s", e.msg);
    _Atomic uint64_t upto = 1;
    ok(qs_diff_tensors(a, a, &(qs_ctl){.cancel_upto = &upto, .job = 1}, &d, &e) == -QS_ECANCEL, "stopped");
    qs_tensor_unref(a);
    qs_tensor_unref(b);
}

static void add(qs_model *m, const char *name) { qs_model_add(m, qs_tensor_f32(name, 1, (const int64_t[]){2}, NULL, NULL), NULL); }

static void matching(void)
{
    static const struct { const char *name, *found; qs_match how; } want[] = {
        {"fc1.weight", "fc1.weight", QS_MATCH_SAME}, {"fc2", "fc2.weight", QS_MATCH_LAYER}, {"conv.weight", "conv", QS_MATCH_LAYER},
        {"blk.0.attn_q.weight", "model.layers.0.self_attn.q_proj.weight", QS_MATCH_GGUF},
        {"blk.12.ffn_down.weight", "model.layers.12.mlp.down_proj.weight", QS_MATCH_GGUF},
        {"blk.0.attn_q", "model.layers.0.self_attn.q_proj.weight", QS_MATCH_GGUF},
        {"model.layers.3.mlp.up_proj.weight", "blk.3.ffn_up.weight", QS_MATCH_GGUF},
        {"token_embd.weight", "model.embed_tokens.weight", QS_MATCH_GGUF}, {"lm_head.weight", "output.weight", QS_MATCH_GGUF},
        {"blk.1.attn_q.weight", NULL, 0}, {"blk.x.attn_q.weight", NULL, 0}, {"blk.0.attn_q_x.weight", NULL, 0}, {"blk.", NULL, 0}, {"", NULL, 0}};
    qs_model *m = qs_model_new("m", "test");
    add(m, "fc1.weight"), add(m, "fc2.weight"), add(m, "conv"), add(m, "model.layers.0.self_attn.q_proj.weight");
    add(m, "model.layers.12.mlp.down_proj.weight"), add(m, "blk.3.ffn_up.weight"), add(m, "model.embed_tokens.weight"), add(m, "output.weight");
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        qs_match how;
        const qs_tensor *t = qs_model_match(m, want[i].name, &how);
        ok(want[i].found ? t && !strcmp(t->name, want[i].found) && how == want[i].how : !t && how == QS_MATCH_NONE, "%s -> %s", want[i].name,
           t ? t->name : "none");
    }
    qs_model_unref(m);
}

int main(void)
{
    numbers();
    edges();
    matching();
    return done();
}
