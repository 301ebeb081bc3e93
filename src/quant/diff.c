/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Two tensors of one shape, value by value. Knows no names and no files. */
#include "quant/diff.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "model/packed.h"

#define CHUNK ((size_t)1 << 16)
enum { BATCH = 32, USED_MAX = 256 };

typedef struct sums {
    double n, error, energy, bias, max_abs;
    size_t skipped;
    bool used[QS_PACKED_LEVELS];
} sums;

typedef struct walk {
    const qs_tensor *a, *b;
    size_t first;        /* number of the batch's first chunk */
    sums *part;          /* (BATCH) */
} walk;

static void add_values(sums *s, const float *x, const float *y, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double a = (double)x[i], b = (double)y[i], e = b - a;
        if (!isfinite(e)) {
            s->skipped++;
            continue;
        }
        s->n++;
        s->error += e * e;
        s->energy += a * a;
        s->bias += e;
        s->max_abs = fmax(s->max_abs, fabs(e));
    }
}

/* The number of a value's level: the one that is nearest, of those it could have had. */
static int level_of(const float *level, int n, float v)
{
    int lo = 0, hi = n - 1;
    while (hi - lo > 1) {
        int mid = (lo + hi) / 2;
        if (level[mid] <= v) lo = mid;
        else hi = mid;
    }
    return hi > lo && fabsf(level[hi] - v) < fabsf(level[lo] - v) ? hi : lo;
}

/* Which levels occur. Levels that a negative scale turns round are counted by their places. */
static void add_levels(sums *s, const qs_tensor *t, size_t start, const float *y, size_t n)
{
    float level[QS_PACKED_LEVELS];
    size_t run = t->packed->kind->run, m;
    for (size_t i = 0; i < n; i += m) {
        m = run ? run - (start + i) % run : 1;
        if (m > n - i) m = n - i;
        int levels = qs_packed_levels(t, start + i, level);
        if (levels < 2 || !(level[0] < level[levels - 1])) continue;   /* a scale of 0 says nothing */
        for (size_t k = 0; k < m; k++) s->used[level_of(level, levels, y[i + k])] |= isfinite(y[i + k]);
    }
}

static void do_chunk(void *arg, size_t i)
{
    const walk *w = arg;
    size_t start = (w->first + i) * CHUNK, n = w->a->n - start < CHUNK ? w->a->n - start : CHUNK;
    float *x = qs_xmalloc(2 * n * sizeof *x), *y = x + n;
    memset(&w->part[i], 0, sizeof *w->part);
    qs_tensor_read(w->a, start, n, x);
    qs_tensor_read(w->b, start, n, y);
    add_values(&w->part[i], x, y, n);
    if (w->b->packed) add_levels(&w->part[i], w->b, start, y, n);
    free(x);
}

static void join(sums *to, const sums *s)
{
    to->n += s->n;
    to->error += s->error;
    to->energy += s->energy;
    to->bias += s->bias;
    to->max_abs = fmax(to->max_abs, s->max_abs);
    to->skipped += s->skipped;
    for (int k = 0; k < QS_PACKED_LEVELS; k++) to->used[k] |= s->used[k];
}

static int add_all(walk *w, sums *all, const qs_ctl *ctl, qs_err *err)
{
    size_t chunks = (w->a->n + CHUNK - 1) / CHUNK;
    int rc = 0;
    w->part = qs_xmalloc(BATCH * sizeof *w->part);
    for (w->first = 0; w->first < chunks && !rc; w->first += BATCH) {
        size_t batch = chunks - w->first < BATCH ? chunks - w->first : BATCH;
        rc = qs_ctl_check(ctl, _("comparing"), (double)w->first / (double)chunks, err);
        if (!rc) qs_parallel(batch, do_chunk, w);
        for (size_t i = 0; i < batch && !rc; i++) join(all, &w->part[i]);
    }
    free(w->part);
    return rc;
}

/* ---- different values of a row ---------------------------------------------------------------- */
/* Puts v into the sorted list of n; false: it is full. */
static bool insert(float *list, size_t *n, float v)
{
    size_t lo = 0, hi = *n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (list[mid] < v) lo = mid + 1;
        else hi = mid;
    }
    if (lo < *n && list[lo] == v) return true;
    if (*n == USED_MAX) return false;
    memmove(list + lo + 1, list + lo, (*n - lo) * sizeof *list);
    list[lo] = v;
    ++*n;
    return true;
}

static bool row_values(const qs_tensor *t, size_t start, size_t n, size_t *most)
{
    float list[USED_MAX], x[512];
    size_t have = 0;
    for (size_t i = 0, m; i < n; i += m) {
        m = n - i < 512 ? n - i : 512;
        qs_tensor_read(t, start + i, m, x);
        for (size_t k = 0; k < m; k++)
            if (isfinite(x[k]) && !insert(list, &have, x[k])) return false;
    }
    if (have > *most) *most = have;
    return true;
}

/* The most in one row; 0: a row has too many to be quantized. */
static size_t most_values(const qs_tensor *t)
{
    size_t rows = t->ndim > 1 ? (size_t)t->shape[0] : 1, row = t->n / rows, most = 0;
    for (size_t r = 0; r < rows; r++)
        if (!row_values(t, r * row, row, &most)) return 0;
    return most;
}

/* ---- results ------------------------------------------------------------------------------------ */
static void relate(qs_diff *d)
{
    d->nmse = d->mse == 0 ? 0 : d->energy > 0 ? d->mse / d->energy : INFINITY;
    d->sqnr_db = d->nmse > 0 ? -10 * log10(d->nmse) : INFINITY;
}

int qs_diff_tensors(const qs_tensor *a, const qs_tensor *b, const qs_ctl *ctl, qs_diff *out, qs_err *err)
{
    char x[128], y[128];
    bool same = a->ndim == b->ndim && a->n == b->n;
    sums all = {0};
    *out = (qs_diff){0};
    for (int i = 0; same && i < a->ndim; i++) same = a->shape[i] == b->shape[i];
    if (!same)
        return qs_fail(err, QS_EARG, _("the shapes differ: %s and %s"), qs_tensor_shape_text(a, x, sizeof x), qs_tensor_shape_text(b, y, sizeof y));
    walk w = {.a = a, .b = b};
    int rc = add_all(&w, &all, ctl, err);
    if (!rc && !(all.n > 0)) rc = qs_fail(err, QS_ERANGE, _("no finite values to compare"));
    if (rc) return rc;
    *out = (qs_diff){.n = all.n, .mse = all.error / all.n, .energy = all.energy / all.n, .bias = all.bias / all.n,
                     .max_abs = all.max_abs, .skipped = all.skipped};
    relate(out);
    out->levels = b->packed ? (size_t)b->packed->kind->levels : 0;
    for (size_t k = 0; k < out->levels && k < QS_PACKED_LEVELS; k++) out->used += all.used[k];
    if (!b->packed) out->used = most_values(b);
    out->bpw = qs_tensor_bpw(b);
    return 0;
}

void qs_diff_add(qs_diff *sum, const qs_diff *d)
{
    double n = sum->n + d->n;
    if (!(n > 0)) return;
    sum->mse += (d->mse - sum->mse) * d->n / n;
    sum->energy += (d->energy - sum->energy) * d->n / n;
    sum->bias += (d->bias - sum->bias) * d->n / n;
    sum->bpw += (d->bpw - sum->bpw) * d->n / n;
    sum->max_abs = fmax(sum->max_abs, d->max_abs);
    sum->skipped += d->skipped;
    sum->n = n;
    relate(sum);
}
