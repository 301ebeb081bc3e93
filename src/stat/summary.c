/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What values are like, in two reads. Sums are taken in pieces of a fixed
 * length and combined in order, so the bits do not depend on the threads.
 */
#include "stat/summary.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"
#include "num/kernels.h"

#define PIECE ((size_t)65536)
#define SLAB 64              /* pieces between two looks at the cancel token */

struct job {
    const qs_tensor *t;      /* NULL: x */
    const float *x;
    size_t n, first;         /* first: piece of this slab */
    double mean;
    qs_pass1 *one;           /* (SLAB) */
    qs_pass2 *two;
};

/* Piece p of this slab, in place or read into buf. */
static const float *piece(const struct job *j, size_t p, size_t *n, float **buf)
{
    size_t from = (j->first + p) * PIECE;
    *n = j->n - from < PIECE ? j->n - from : PIECE;
    if (j->x) return j->x + from;
    *buf = qs_xmalloc(*n * sizeof **buf);
    qs_tensor_read(j->t, from, *n, *buf);
    return *buf;
}

static void run1(void *arg, size_t p)
{
    struct job *j = arg;
    float *buf = NULL;
    size_t n;
    const float *x = piece(j, p, &n, &buf);
    qs_num()->pass1(x, n, &j->one[p]);
    free(buf);
}

static void run2(void *arg, size_t p)
{
    struct job *j = arg;
    float *buf = NULL;
    size_t n;
    const float *x = piece(j, p, &n, &buf);
    qs_num()->pass2(x, n, j->mean, &j->two[p]);
    free(buf);
}

static void join1(qs_pass1 *a, const qs_pass1 *b)
{
    a->sum += b->sum;
    a->sum_abs += b->sum_abs;
    a->sum_sq += b->sum_sq;
    a->min = fminf(a->min, b->min);
    a->max = fmaxf(a->max, b->max);
    a->finite += b->finite;
    a->zeros += b->zeros;
    a->nans += b->nans;
    a->infs += b->infs;
}

static void join2(qs_pass2 *a, const qs_pass2 *b)
{
    a->m2 += b->m2;
    a->m3 += b->m3;
    a->m4 += b->m4;
    a->abs_dev += b->abs_dev;
}

/* One read: which = 0 or 1. Progress counts both. */
static int read_all(struct job *j, int which, qs_pass1 *one, qs_pass2 *two, const qs_ctl *ctl, qs_err *err)
{
    size_t pieces = (j->n + PIECE - 1) / PIECE;
    for (j->first = 0; j->first < pieces; j->first += SLAB) {
        size_t k = pieces - j->first < SLAB ? pieces - j->first : SLAB;
        int rc = !ctl ? 0 : qs_ctl_check(ctl, _("statistics"), ((double)j->first / (double)pieces + which) / 2, err);
        if (rc) return rc;
        qs_parallel(k, which ? run2 : run1, j);
        for (size_t p = 0; p < k; p++)
            if (which) join2(two, &j->two[p]);
            else join1(one, &j->one[p]);
    }
    return 0;
}

static void first_part(const struct job *j, const qs_pass1 *a, qs_summary *out)
{
    double n = (double)a->finite;
    *out = (qs_summary){.n = j->n, .zeros = a->zeros, .nans = a->nans, .infs = a->infs};
    if (!a->finite) return;
    out->min = a->min;
    out->max = a->max;
    out->absmax = fmax(-out->min, out->max);
    out->mean = a->min < a->max ? a->sum / n : out->min;
    out->mean_abs = a->sum_abs / n;
    out->mean_sq = a->sum_sq / n;
}

static void second_part(const qs_pass2 *c, double n, qs_summary *out)
{
    double var = c->m2 / n;
    if (!(var > 0)) return;
    out->std = sqrt(c->m2 / (n - 1));
    out->skewness = c->m3 / n / var / sqrt(var);
    out->kurtosis = c->m4 / n / var / var;
}

static int summarize(struct job *j, const qs_ctl *ctl, qs_summary *out, qs_err *err)
{
    qs_pass1 one[SLAB], all = {.min = INFINITY, .max = -INFINITY};
    qs_pass2 two[SLAB], central = {0, 0, 0, 0};
    j->one = one;
    j->two = two;
    int rc = read_all(j, 0, &all, NULL, ctl, err);
    if (rc) return rc;
    first_part(j, &all, out);
    if (!all.finite || !(all.min < all.max)) return 0;
    j->mean = out->mean;
    rc = read_all(j, 1, NULL, &central, ctl, err);
    if (!rc) second_part(&central, (double)all.finite, out);
    return rc;
}

int qs_summary_tensor(const qs_tensor *t, const qs_ctl *ctl, qs_summary *out, qs_err *err)
{
    struct job j = {.t = t, .x = qs_tensor_floats(t), .n = t->n};
    *out = (qs_summary){.n = t->n};
    if (!qs_dtype_size(t->dtype))
        return qs_fail(err, QS_EUNSUP, _("%s: values of type %s cannot be read"), t->name, t->dtype_text ? t->dtype_text : "?");
    int rc = summarize(&j, ctl, out, err);
    return rc ? rc : qs_tensor_check(t, err);
}

struct some { qs_tensor *const *t; qs_summary *out; };

static void run_one(void *arg, size_t i)
{
    const struct some *s = arg;
    struct job j = {.t = s->t[i], .x = qs_tensor_floats(s->t[i]), .n = s->t[i]->n};
    s->out[i] = (qs_summary){.n = j.n};
    if (qs_dtype_size(s->t[i]->dtype)) summarize(&j, NULL, &s->out[i], NULL);
}

int qs_summary_some(qs_tensor *const *t, size_t n, const qs_ctl *ctl, qs_summary *out, qs_err *err)
{
    struct some s = {t, out};
    size_t k = 0;
    while (k < n && k < QS_SUMMARIES && t[k]->n <= PIECE) k++;
    int rc = qs_ctl_check(ctl, _("statistics"), -1, err);
    if (!rc && k) {
        qs_parallel(k, run_one, &s);
        rc = qs_tensors_check(t, k, err);
    } else if (!rc && qs_dtype_size(t[0]->dtype)) {
        rc = qs_summary_tensor(t[0], ctl, out, err);
    } else if (!rc) {
        *out = (qs_summary){.n = t[0]->n};
    }
    return rc ? rc : k ? (int)k : 1;
}

bool qs_summary_counted(const qs_index *ix, qs_summary *out)
{
    qs_moments m;
    if (qs_index_kind_of(ix) != QS_INDEX_COUNTED || qs_index_weighted(ix) || qs_index_skipped(ix)) return false;
    qs_index_moments(ix, &m);
    *out = (qs_summary){.n = qs_index_n(ix), .min = qs_index_min(ix), .max = qs_index_max(ix), .absmax = qs_index_absmax(ix),
                        .mean = m.mean, .std = m.std, .mean_abs = m.mean_abs, .mean_sq = m.mean_sq, .skewness = m.skewness,
                        .kurtosis = m.kurtosis,
                        .zeros = qs_index_count_below(ix, 0x1p-149f) - qs_index_count_below(ix, 0)};
    return true;
}

void qs_summary_floats(const float *x, size_t n, qs_summary *out)
{
    struct job j = {.x = x, .n = n};
    summarize(&j, NULL, out, NULL);
}
