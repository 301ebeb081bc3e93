/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Importance from every form it comes in; the step of least weighted squared error against all there could be. */
#include <math.h>

#include "base/rng.h"
#include "files.h"
#include "model/importance.h"
#include "quant/init.h"
#include "../tap.h"

/* ---- an old imatrix ---------------------------------------------------------------------------- */
typedef struct bytes { unsigned char b[512]; size_t n; } bytes;

static void put(bytes *f, const void *p, size_t n)
{
    memcpy(f->b + f->n, p, n);
    f->n += n;
}

static void put_int(bytes *f, int32_t v) { put(f, &v, 4); }

static void put_entry(bytes *f, const char *name, int32_t calls, int32_t n, const float *v)
{
    put_int(f, (int32_t)strlen(name));
    put(f, name, strlen(name));
    put_int(f, calls);
    put_int(f, n);
    put(f, v, (size_t)n * 4);
}

static bytes imatrix(bool tail)
{
    bytes f = {.n = 0};
    put_int(&f, 2);
    put_entry(&f, "blk.0.ffn_up.weight", 4, 3, (const float[]){4, 8, 0});
    put_entry(&f, "blk.0.ffn_gate_exps.weight", 2, 4, (const float[]){2, 4, 6, 8});
    if (tail) put_int(&f, 100), put_int(&f, 4), put(&f, "text", 4);
    return f;
}

static qs_tensor *weight(const char *name, int ndim, const int64_t *shape)
{
    return qs_tensor_f32(name, ndim, shape, NULL, NULL);
}

/* The importance of a tensor as it should be: want(i) of element i. */
static void check(const qs_model *m, qs_tensor *t, const float *want, const char *what)
{
    qs_err e = {0};
    qs_tensor *w = qs_importance_of(m, t, NULL, &e);
    bool good = w && w->n == t->n && w->ndim == t->ndim;
    for (size_t i = 0; good && i < w->n; i++) good = qs_tensor_at(w, i) == (double)want[i];
    ok(good, "%s%s", what, e.msg);
    qs_tensor_unref(w);
    qs_tensor_unref(t);
}

static void old_layout(const char *path)
{
    qs_err e;
    bool none = false;
    bytes f = imatrix(true);
    qs_model *m = open_bytes(path, f.b, f.n, &e);
    ok(m && m->n == 2 && !strcmp(m->format, "imatrix") && m->note && strstr(m->note, "100 chunks"), "opens: %s", e.msg);
    check(m, weight("blk.0.ffn_up.weight", 2, (const int64_t[]){2, 3}), (const float[]){1, 2, 0, 1, 2, 0}, "a number a column, for every row");
    check(m, weight("model.layers.0.mlp.up_proj.weight", 2, (const int64_t[]){1, 3}), (const float[]){1, 2, 0}, "by Hugging Face's name");
    check(m, weight("blk.0.ffn_gate_exps.weight", 3, (const int64_t[]){2, 2, 2}), (const float[]){1, 2, 1, 2, 3, 4, 3, 4}, "experts have their own");
    qs_tensor *t = weight("blk.0.ffn_up.weight", 2, (const int64_t[]){3, 4}), *other = weight("other.weight", 2, (const int64_t[]){1, 3});
    ok(!qs_importance_of(m, t, &none, &e) && !none && e.code == QS_EARG && strstr(e.msg, "[3,4]"), "another size: %s", e.msg);
    ok(!qs_importance_of(m, other, &none, &e) && none, "none: %s", e.msg);
    qs_tensor_unref(t);
    qs_tensor_unref(other);
    qs_model_unref(m);
    f = imatrix(false);
    m = open_bytes(path, f.b, f.n, &e);
    ok(m && !m->note, "without what newer versions add");
    qs_model_unref(m);
    size_t opened = 0;
    for (size_t k = 0; k < f.n; k++) {
        m = open_bytes(path, f.b, k, &e);
        opened += m != NULL;
        qs_model_unref(m);
    }
    ok(!opened, "cut short anywhere it is refused");
    for (size_t k = 0; k < f.n; k++)
        for (int bit = 0; bit < 8; bit += 7) {
            bytes g = f;
            g.b[k] ^= (unsigned char)(1 << bit);
            qs_model_unref(open_bytes(path, g.b, g.n, &e));
        }
    ok(true, "other bytes do no harm");
}

static void add(qs_model *m, const char *name, int ndim, const int64_t *shape, const float *v)
{
    float *x;
    qs_tensor *t = qs_tensor_f32(name, ndim, shape, &x, NULL);
    memcpy(x, v, t->n * sizeof *x);
    qs_model_add(m, t, NULL);
}

static void other_forms(void)
{
    qs_model *m = qs_model_new("m", "test");
    add(m, "a.weight.in_sum2", 2, (const int64_t[]){1, 2}, (const float[]){6, 8});
    add(m, "a.weight.counts", 2, (const int64_t[]){1, 1}, (const float[]){2});
    add(m, "e.weight.in_sum2", 2, (const int64_t[]){2, 2}, (const float[]){6, 8, 5, 6});
    add(m, "e.weight.counts", 2, (const int64_t[]){2, 1}, (const float[]){2, 0});
    add(m, "fc", 3, (const int64_t[]){2, 1, 3}, (const float[]){1, 2, 3, 3, 0, 1});
    add(m, "conv", 4, (const int64_t[]){1, 2, 1, 2}, (const float[]){1, 3, 0, 2});
    check(m, weight("a.weight", 2, (const int64_t[]){2, 2}), (const float[]){3, 4, 3, 4}, "sums and counts");
    check(m, weight("e.weight", 3, (const int64_t[]){2, 1, 2}), (const float[]){3, 4, 0, 0}, "of experts, one that was never called");
    check(m, weight("fc.weight", 2, (const int64_t[]){2, 3}), (const float[]){5, 2, 5, 5, 2, 5}, "activations: mean squares");
    qs_tensor *t = weight("fc.weight", 2, (const int64_t[]){3, 2});
    t->out_axis = 1;
    check(m, t, (const float[]){5, 5, 2, 2, 5, 5}, "where outputs are the second axis");
    check(m, weight("conv.weight", 4, (const int64_t[]){1, 2, 1, 2}), (const float[]){5, 5, 2, 2}, "images of a convolution");
    qs_model_unref(m);
}

/* ---- the exact step -------------------------------------------------------------------------------- */
static double error_at(const float *x, const float *w, int n, int lo, int hi, double s, double *b, double *c)
{
    double e = 0;
    *b = *c = 0;
    for (int i = 0; i < n; i++) {
        double k = fmin(fmax(rint((double)x[i] / s), lo), hi), d = (double)x[i] - k * s;
        e += (double)w[i] * d * d;
        *b += (double)w[i] * k * (double)x[i];
        *c += (double)w[i] * k * k;
    }
    return e;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Between two steps at which a value changes its code the error is a parabola: all of them, and all their ends. */
static double least(const float *x, const float *w, int n, int lo, int hi)
{
    double *s = qs_xcalloc((size_t)n * 16 + 2, sizeof *s), best = INFINITY, b, c;
    int m = 0;
    for (int i = 0; i < n; i++)
        for (int k = 0; k < 8; k++)
            if (x[i] != 0) s[m++] = fabs((double)x[i]) / (k + 0.5);
    qsort(s, (size_t)m, sizeof *s, ascending);
    s[m] = s[m - 1] * 2;
    for (int i = 0; i < m; i++) {
        double mid = (s[i] + s[i + 1]) / 2;
        best = fmin(best, error_at(x, w, n, lo, hi, s[i], &b, &c));
        error_at(x, w, n, lo, hi, mid, &b, &c);
        if (c > 0 && b / c >= s[i] && b / c <= s[i + 1]) best = fmin(best, error_at(x, w, n, lo, hi, b / c, &b, &c));
    }
    free(s);
    return best;
}

static void exact(void)
{
    enum { ROWS = 5, COLS = 12, N = ROWS * COLS };
    int good = 0, cases = 0, moved = 0;
    for (uint64_t seed = 1; seed <= 40; seed++)
        for (int bits = 2; bits <= 4; bits++, cases++) {
            char name[8];
            float *x, w[N], col[COLS];
            double b, c;
            qs_rng r;
            qs_err e = {0};
            qs_rng_seed(&r, seed);
            qs_tensor *t = qs_tensor_f32("fc.weight", 2, (const int64_t[]){ROWS, COLS}, &x, NULL);
            for (int i = 0; i < COLS; i++) col[i] = i % 5 == 3 ? 0 : (float)exp(2 * qs_rng_normal(&r));
            for (int i = 0; i < N; i++) x[i] = (float)qs_rng_normal(&r), w[i] = col[i % COLS];
            qs_model *m = qs_model_new("m", "test");
            add(m, "fc.weight", 1, (const int64_t[]){COLS}, col);
            qs_tensor *weights = qs_importance_of(m, t, NULL, &e);
            snprintf(name, sizeof name, "int%d", bits);
            qs_format *f = qs_format_parse(name, &e);
            const qs_init_opts o = {.weights = weights};
            qs_quantizer *q = qs_init_tensor("mse", t, f, &o, NULL, NULL, &e), *plain = qs_init_tensor("mse", t, f, NULL, NULL, NULL, &e);
            double got = error_at(x, w, N, -f->qn, f->qp, q->step[0], &b, &c), want = least(x, w, N, -f->qn, f->qp);
            good += got <= want * (1 + 1e-6);
            moved += error_at(x, w, N, -f->qn, f->qp, plain->step[0], &b, &c) > want * (1 + 1e-3);
            qs_quantizer_unref(q);
            qs_quantizer_unref(plain);
            qs_format_free(f);
            qs_tensor_unref(weights);
            qs_model_unref(m);
            qs_tensor_unref(t);
        }
    ok(good == cases, "%d of %d steps are the least weighted error there is", good, cases);
    ok(moved > cases / 2, "and in %d cases not that of equal weights", moved);
}

int main(void)
{
    char *dir = tmp_dir(), *path = in_dir(dir, "imatrix.dat");
    old_layout(path);
    unlink(path);
    rmdir(dir);
    free(path);
    free(dir);
    other_forms();
    exact();
    return done();
}
