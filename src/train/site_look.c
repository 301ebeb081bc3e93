/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a record keeps of the values a site sees: errors, codes, a histogram. Changes nothing. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "train/site_in.h"

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The median over parts of the outermost level, first or last, in the unit of x. */
static double median_edge(const qs_site *s, bool last)
{
    double *v = s->work->edge;
    for (size_t p = 0; p < s->parts; p++) {
        const qs_grid *g = &s->work->grid[p];
        v[p] = (double)g->c[last ? g->n - 1 : 0] * g->s + g->beta;
    }
    qsort(v, s->parts, sizeof *v, by_value);
    return v[s->parts / 2];
}

struct looking {
    qs_site_look *out;
    double inv;                /* bins a unit of x */
    double sq;
    size_t finite, clipped;
};

static void count_codes(const qs_site *s, const qs_grid *g, const float *x, const int32_t *rank, size_t n,
                        struct looking *k)
{
    const float first = g->c[0] * g->s + g->beta, last = g->c[g->n - 1] * g->s + g->beta;
    /* Where channels have bits of their own, their levels are counted where they are among the integers of 8 bits. */
    const size_t zero = s->bits ? (size_t)(g->f->c[0] - s->work->by_bits[8]->c[0]) : 0;
    const int32_t gap = g->n == 2 && s->bits ? (int32_t)(g->f->c[1] - g->f->c[0]) : 1;
    size_t finite = 0, clipped = 0;
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(x[i])) continue;
        finite++;
        clipped += (x[i] < first) + (x[i] > last);
        s->work->count[zero + rank[i] * gap]++;
    }
    k->finite += finite;
    k->clipped += clipped;
}

static void count_bins(const float *x, size_t n, struct looking *k)
{
    const float lo = k->out->lo, hi = k->out->hi, inv = (float)k->inv;
    for (size_t i = 0; i < n; i++) {
        if (x[i] >= lo && x[i] <= hi) {
            int b = (int)((x[i] - lo) * inv);
            k->out->bin[b < QS_SITE_BINS ? b : QS_SITE_BINS - 1]++;
        } else {
            k->out->under += x[i] < lo;
            k->out->over += x[i] > hi;
        }
    }
}

static void look_span(const qs_site *s, size_t part, const float *x, size_t n, void *io, void *ctx)
{
    const qs_grid *g = &s->work->grid[part];
    struct looking *k = ctx;
    float y[SPAN];
    int32_t rank[SPAN];
    (void)io;
    for (size_t i = 0; i < n; i += SPAN) {
        qs_diff d;
        size_t m = n - i < SPAN ? n - i : SPAN;
        qs_grid_apply(g, x + i, m, y);
        qs_grid_rank(g, x + i, m, rank);
        qs_num()->diff(x + i, y, m, &d);
        k->sq += d.sq;
        count_codes(s, g, x + i, rank, m, k);
        count_bins(x + i, m, k);
    }
}

/* Of what the network gets: levels corrected a channel. */
static double corrected_squares(const qs_site *s, const float *x, size_t start, size_t n)
{
    float y[SPAN];
    double sum = 0;
    for (size_t i = 0; i < n; i += SPAN) {
        qs_diff d;
        size_t m = n - i < SPAN ? n - i : SPAN;
        qs_site_forward(s, x + i, start + i, m, y);
        qs_num()->diff(x + i, y, m, &d);
        sum += d.sq;
    }
    return sum;
}

void qs_site_inspect(const qs_site *s, const float *x, size_t start, size_t n, qs_site_look *out)
{
    struct looking k = {.out = out};
    double a = median_edge(s, false), b = median_edge(s, true), half = (b - a) / 2;
    if (!(half > 0)) half = fabs(s->step[0]);
    *out = (qs_site_look){.lo = (float)((a + b) / 2 - 1.25 * half), .hi = (float)((a + b) / 2 + 1.25 * half)};
    k.inv = QS_SITE_BINS / (2.5 * half);
    const size_t levels = s->bits ? s->work->by_bits[8]->n : s->f->n;
    memset(s->work->count, 0, levels * sizeof *s->work->count);
    site_each_span(&(struct spans){.s = s, .fn = look_span, .ctx = &k}, x, start, n, NULL);
    double total = k.finite ? (double)k.finite : 1;
    out->levels = levels <= QS_SITE_LEVELS && !s->bits ? (uint32_t)levels : 0;
    out->clipped = (double)k.clipped / total;
    out->mse = (s->gain ? corrected_squares(s, x, start, n) : k.sq) / total;
    for (size_t c = 0; c < levels; c++) {
        double p = s->work->count[c] / total;
        if (out->levels) out->level[c] = (uint32_t)s->work->count[c];
        out->used += p > 0;
        if (p > 0) out->entropy -= p * log2(p);
    }
    if (out->entropy < 0) out->entropy = 0;
}

static void rank_span(const qs_site *s, size_t part, const float *x, size_t n, void *io, void *ctx)
{
    (void)ctx;
    qs_grid_rank(&s->work->grid[part], x, n, io);
}

void qs_site_rank(const qs_site *s, const float *x, size_t start, size_t n, int32_t *out)
{
    site_each_span(&(struct spans){.s = s, .fn = rank_span}, x, start, n, out);
}
