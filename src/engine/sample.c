/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Rows from a few values: at most QS_SAMPLE of a tensor, at places that do not
 * depend on anything but its size, read in short runs, so that a cold file costs
 * some pages only. With several parts, a few parts stand for all.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "engine/state.h"

#define RUN 64                 /* neighbours read together */
#define PART 256               /* values of a part, where there are several */

void spark_range(double mean, double std, double min, double max, double *lo, double *hi)
{
    *lo = fmax(min, mean - 3.5 * std);
    *hi = fmin(max, mean + 3.5 * std);
}

void spark_of(const double *count, unsigned char *spark)
{
    double top = 0;
    for (size_t i = 0; i < QS_SPARK; i++) top = fmax(top, count[i]);
    for (size_t i = 0; i < QS_SPARK; i++) {
        double v = top > 0 ? ceil(8 * count[i] / top) : 0;
        spark[i] = (unsigned char)v;
    }
}

/* Values of a tensor: all of a small one, else runs spread evenly. Returns how many. */
static size_t spread(const qs_tensor *t, float *x)
{
    if (t->n <= QS_SAMPLE) {
        qs_tensor_read(t, 0, t->n, x);
        return t->n;
    }
    const size_t runs = QS_SAMPLE / RUN;
    for (size_t i = 0; i < runs; i++) {
        size_t at = (size_t)((double)i / (double)(runs - 1) * (double)(t->n - RUN));
        qs_tensor_read(t, at, RUN, x + i * RUN);
    }
    return runs * RUN;
}

void sample_base(const qs_tensor *t, struct row_base *b)
{
    float x[QS_SAMPLE];
    double count[QS_SPARK] = {0}, lo, hi;
    qs_summary m;
    *b = (struct row_base){.known = SAMPLED, .std = NAN, .kurtosis = NAN};
    if (t->dtype == QS_UNKNOWN_DTYPE || !t->n) return;
    size_t n = spread(t, x);
    qs_summary_floats(x, n, &m);
    if (m.nans + m.infs >= m.n) return;
    b->std = m.std;
    b->kurtosis = m.kurtosis;
    spark_range(m.mean, m.std, m.min, m.max, &lo, &hi);
    if (!(lo < hi)) return;
    for (size_t i = 0; i < n; i++) {
        double at = (x[i] - lo) / (hi - lo) * QS_SPARK;
        if (at >= 0 && at <= QS_SPARK) count[at < QS_SPARK ? (size_t)at : QS_SPARK - 1]++;
    }
    spark_of(count, b->spark);
    b->has_spark = true;
}

/* Values of one part, at most `max`. */
static size_t of_part(const qs_tensor *t, const qs_split *s, size_t part, size_t max, float *x)
{
    size_t len = qs_split_len(s, t, part), n = len < max ? len : max;
    if (s->contiguous && n == len) {
        qs_tensor_read(t, qs_split_where(s, t, part, 0), n, x);
        return n;
    }
    for (size_t i = 0; i < n; i++) {
        size_t at = n < 2 ? 0 : (size_t)((double)i / (double)(n - 1) * (double)(len - 1));
        x[i] = (float)qs_tensor_at(t, qs_split_where(s, t, part, at));
    }
    return n;
}

struct sums { double error, energy; };

/* Fits one list of values and adds its error; 1: it cannot be fitted. */
static int add_fit(const float *x, size_t n, double weight, const qs_format *f, const char *init, const qs_ctl *ctl,
                   struct sums *sum)
{
    qs_init_out out = {0};
    qs_qerror e = {0};
    qs_index *ix = qs_index_new(x, n, NULL, ctl, NULL);
    if (!ix) return 1;
    qs_split one = {.kind = QS_SPLIT_TENSOR, .parts = 1};
    int rc = qs_init_index(init, ix, f, NULL, ctl, &out, NULL);
    const qs_format *g = out.f ? out.f : f;
    const double *offset = g->offset == QS_OFFSET_NONE ? NULL : &out.offset;
    const float *pick = out.pick != 0 ? &out.pick : NULL;
    qs_quantizer *q = rc ? NULL : qs_quantizer_blocks(g, &one, 1, 0, &out.step, offset, pick, &out.pick_offset, NULL);
    if (q) {
        qs_grid grid;
        qs_grid_init(&grid, q, 0);
        if (!qs_error_index(&grid, ix, &e, NULL)) {
            sum->error += weight * e.mse;
            sum->energy += weight * e.energy;
        }
        qs_grid_clear(&grid);
        qs_qerror_clear(&e);
        qs_quantizer_unref(q);
    }
    if (out.f) qs_format_free(out.f);
    qs_index_unref(ix);
    return q == NULL;
}

/* Error and energy an element in a format, estimated; NaN where it cannot be had. */
static struct sums estimate(const qs_tensor *t, const qs_format *f, const char *init, const qs_ctl *ctl)
{
    float x[QS_SAMPLE];
    struct sums sum = {0}, none = {NAN, NAN};
    qs_split s;
    double weight = 0;
    if (!f || qs_format_split(f, t, &s, NULL)) return none;
    if (s.parts == 1) return add_fit(x, spread(t, x), 1, f, init, ctl, &sum) ? none : sum;
    size_t per = QS_SAMPLE / s.parts > PART ? QS_SAMPLE / s.parts : PART, longest = qs_split_longest(&s, t);
    if (per > longest) per = longest;
    size_t count = QS_SAMPLE / (per ? per : 1);
    if (count > s.parts) count = s.parts;
    for (size_t i = 0; i < count; i++) {
        size_t part = count < 2 ? 0 : i * (s.parts - 1) / (count - 1), n = of_part(t, &s, part, per, x);
        double w = (double)qs_split_len(&s, t, part);
        if (!add_fit(x, n, w, f, init, ctl, &sum)) weight += w;
    }
    if (!(weight > 0)) return none;
    return (struct sums){sum.error / weight, sum.energy / weight};
}

/* The gain of @channel is carried over as a ratio: both errors then belong to the same energy. */
void sample_error(const qs_tensor *t, const qs_format *f, const qs_format *channel, const char *init,
                  const qs_ctl *ctl, struct row_err *r)
{
    struct sums a = estimate(t, f, init, ctl);
    *r = (struct row_err){.known = SAMPLED, .there = !isnan(a.error), .mse = a.error, .energy = a.energy,
                          .best = NAN, .channel = NAN};
    if (!r->there) return;
    r->best = strcmp(init, "mse") ? estimate(t, f, "mse", ctl).error : a.error;
    struct sums c = f->gran == QS_SPLIT_CHANNEL && f->axis < 0 ? a : estimate(t, channel, init, ctl);
    if (c.energy > 0) r->channel = c.error / c.energy * a.energy;
    else if (!isnan(c.error)) r->channel = c.error;
}
