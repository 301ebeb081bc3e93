/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Step and real offset together (METHODS 9 B): best found, not proved. Starts are the range, every zero point's exact step and
 * the minima of a map over steps and offsets; each is improved by alternating least squares, the best by the exact step again.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "num/fft.h"
#include "quant/exact.h"
#include "quant/grid.h"

struct affine { double s, beta, err; };

/* One round of alternating least squares from (s, beta): codes, then the 2x2 normal equations. Returns the squares. */
static double als_round(qs_exact *b, struct affine *p)
{
    qs_sums all = qs_index_total(b->ix), last = {0};
    double sq = 0, sqq = 0, sxq = 0, e = 0;
    b->beta = p->beta;
    for (size_t k = 0; k + 1 < b->n; k++) b->v[k] = qs_exact_cut(b, b->t[k], p->s);
    qs_index_below_many(b->ix, b->v, b->n - 1, b->at);
    for (size_t k = 0; k < b->n; k++) {
        qs_sums to = k + 1 < b->n ? b->at[k] : all;
        double w = to.w - last.w, wx = to.wx - last.wx, l = b->c[k] * p->s + p->beta;
        sq += b->c[k] * w;
        sqq += b->c[k] * b->c[k] * w;
        sxq += b->c[k] * wx;
        e += fmax((to.wxx - last.wxx) - 2 * l * wx + l * l * w, 0);
        last = to;
    }
    double det = all.w * sqq - sq * sq;
    if (det > 1e-12 * all.w * sqq) {
        double s = (all.w * sxq - all.wx * sq) / det;
        if (s > 0) {
            p->s = s;
            p->beta = (all.wx - s * sq) / all.w;
        }
    }
    return e;
}

static void als(qs_exact *b, struct affine *p, int rounds)
{
    struct affine try = *p;
    p->err = INFINITY;
    for (int i = 0; i < rounds; i++) {
        struct affine at = try;
        at.err = als_round(b, &try);
        if (!(at.err < p->err * (1 - 1e-13))) break;
        *p = at;
    }
}

/* With beta fixed, the exact step; then the offset again, while that helps. */
static int refine(qs_exact *b, struct affine *p, const qs_ctl *ctl, qs_err *err)
{
    int rc = 0;
    for (int i = 0; i < 6 && !rc; i++) {
        qs_exact_best best = {0};
        struct affine try = *p;
        b->beta = p->beta;
        rc = qs_exact_search(b, ctl, &best, err);
        if (rc || !(best.gain > 0)) break;
        try.s = best.B / best.C;
        als(b, &try, 60);
        if (!(try.err < p->err * (1 - 1e-12))) break;
        *p = try;
    }
    return rc;
}

/*
 * METHODS 9 B: for a step, the error at every offset is the correlation of the histogram with the error profile of the
 * quantizer. One FFT of the histogram, two a step. Offsets go from one range below the smallest value to one above the largest,
 * in as many cells of the range as there are values to tell apart, from MAP_LEAST to MAP_MOST.
 */
#define MAP_LEAST ((size_t)64)
#define MAP_MOST ((size_t)512)
#define MAP_STEPS 48

struct map {
    size_t cells, half, n; /* of the range; on either side of 0 in a profile; length of the transforms */
    double lo, d;          /* the smallest value, width of a cell */
    double *h, *fh, *cx;   /* (n) a row, (n+2) transform of the histogram, (n+2) scratch */
};

/* h[k] = E(x - beta) at x - beta = (k - half) d; the histogram's cell i and offset j need k = i - j + half. */
static void profile(const qs_exact *b, double s, struct map *m)
{
    size_t level = 0;
    for (size_t k = 0; k < 2 * m->half; k++) {
        double x = ((double)k - (double)m->half + 0.5) * m->d;
        while (level + 1 < b->n && x >= b->t[level] * s) level++;
        double e = x - b->c[level] * s;
        m->h[k] = e * e;
    }
    memset(m->h + 2 * m->half, 0, (m->n - 2 * m->half) * sizeof *m->h);
}

/* The MINIMA smallest local minima of a row; at[] in cells, least[] ascending, infinity where there are fewer. */
#define MINIMA 4
static void row_minima(const double *row, size_t n, size_t *at, double *least)
{
    for (int i = 0; i < MINIMA; i++) least[i] = INFINITY;
    for (size_t m = 0; m < n; m++) {
        if ((m > 0 && row[m - 1] < row[m]) || (m + 1 < n && row[m + 1] <= row[m]) ||
            row[m] >= least[MINIMA - 1])
            continue;
        int i = MINIMA - 1;
        for (; i > 0 && least[i - 1] > row[m]; i--) {
            least[i] = least[i - 1];
            at[i] = at[i - 1];
        }
        least[i] = row[m];
        at[i] = m;
    }
}

static int map_row(const qs_exact *b, double s, struct map *m, qs_err *err)
{
    double *cx = m->cx;
    const double *fh = m->fh;
    profile(b, s, m);
    int rc = qs_fft_forward(m->n, m->h, cx, err);
    for (size_t k = 0; k <= m->n / 2 && !rc; k++) {   /* times the conjugate of the histogram's transform */
        double r = cx[2 * k] * fh[2 * k] + cx[2 * k + 1] * fh[2 * k + 1];
        cx[2 * k + 1] = cx[2 * k + 1] * fh[2 * k] - cx[2 * k] * fh[2 * k + 1];
        cx[2 * k] = r;
    }
    return rc ? rc : qs_fft_inverse(m->n, cx, m->h, err);
}

static int map_init(struct map *m, const qs_index *ix, qs_err *err)
{
    size_t cells = MAP_LEAST;
    while (cells < MAP_MOST && cells < 4 * qs_index_entries(ix)) cells *= 2;
    double lo = qs_index_min(ix), hi = qs_index_max(ix);
    *m = (struct map){.cells = cells, .half = 2 * cells, .n = 8 * cells, .lo = lo, .d = (hi - lo) / (double)cells};
    m->h = qs_fft_alloc(m->n);
    m->fh = qs_fft_alloc(m->n + 2);
    m->cx = qs_fft_alloc(m->n + 2);
    memset(m->h, 0, m->n * sizeof *m->h);
    qs_sums last = {0};
    for (size_t i = 0; i < cells; i++) {
        qs_sums to = i + 1 < cells ? qs_index_below(ix, (float)(lo + m->d * (double)(i + 1))) : qs_index_total(ix);
        m->h[i] = to.w - last.w;
        last = to;
    }
    return qs_fft_forward(m->n, m->h, m->fh, err);
}

static void map_clear(struct map *m)
{
    qs_fft_free(m->h);
    qs_fft_free(m->fh);
    qs_fft_free(m->cx);
}

/* The best offsets at each of MAP_STEPS steps: start values. */
static int offset_map(const qs_exact *b, struct affine *out, size_t *count, qs_err *err)
{
    struct map m;
    double range = qs_index_max(b->ix) - (double)qs_index_min(b->ix), width = b->c[b->n - 1] - b->c[0];
    int rc = map_init(&m, b->ix, err);
    for (int i = 0; i < MAP_STEPS && !rc; i++) {
        double s = range / width * pow(0.02, (double)i / MAP_STEPS) * 1.2, least[MINIMA];
        size_t at[MINIMA] = {0};
        rc = map_row(b, s, &m, err);
        if (rc) break;
        row_minima(m.h, 2 * m.half - m.cells + 1, at, least);   /* at = half - j */
        for (int k = 0; k < MINIMA && least[k] < INFINITY; k++)
            out[(*count)++] = (struct affine){s, m.lo + ((double)m.half - (double)at[k]) * m.d, least[k]};
    }
    map_clear(&m);
    return rc;
}

static int by_error(const void *a, const void *b)
{
    double x = ((const struct affine *)a)->err, y = ((const struct affine *)b)->err;
    return (x > y) - (x < y);
}

/* The range itself, and every zero point's best step. */
static int zp_starts(const qs_format *f, const qs_exact *b, struct affine *out, size_t *count, const qs_ctl *ctl,
                     qs_err *err)
{
    double lo = qs_index_min(b->ix), hi = qs_index_max(b->ix), zlo, zhi, width = b->c[b->n - 1] - b->c[0];
    int rc = 0;
    qs_format_zp_range(f, &zlo, &zhi);
    double stride = fmax(1, ceil((zhi - zlo) / 64));
    out[(*count)++] = (struct affine){(hi - lo) / width, lo - b->c[0] * (hi - lo) / width, 0};
    for (double z = zlo; z <= zhi && !rc; z += stride) {
        qs_exact_best best = {0};
        bool better;
        rc = qs_exact_try(f, b->ix, z, false, ctl, &best, &better, err);
        if (better) out[(*count)++] = (struct affine){best.B / best.C, -best.B / best.C * z, 0};
    }
    return rc;
}

#define REFINED 6
static int best_offset(const qs_format *f, const qs_index *ix, bool mirrored, const qs_ctl *ctl, struct affine *out,
                       qs_err *err)
{
    qs_exact b;
    struct affine start[MAP_STEPS * MINIMA + 72];
    size_t n = 0;
    qs_exact_init(&b, ix, f, 0, mirrored);
    b.by_entry = false;
    int rc = zp_starts(f, &b, start, &n, ctl, err);
    if (!rc) rc = offset_map(&b, start, &n, err);
    for (size_t i = 0; i < n && !rc; i++) als(&b, &start[i], 40);
    qsort(start, n, sizeof *start, by_error);
    for (size_t i = 0; i < n && i < REFINED && !rc; i++) rc = refine(&b, &start[i], ctl, err);
    qsort(start, n < REFINED ? n : REFINED, sizeof *start, by_error);
    *out = start[0];
    qs_exact_clear(&b);
    return rc;
}

int qs_exact_offset(const qs_init_in *in, qs_exact_answer *a, qs_err *err)
{
    int rc = 0;
    struct affine best = {.err = INFINITY};
    if (qs_index_min(in->ix) == qs_index_max(in->ix) || in->f->n < 2) return 0;
    for (int m = 0; m <= in->f->flip && !rc; m++) {
        struct affine p;
        rc = best_offset(in->f, in->ix, m, in->ctl, &p, err);
        if (rc || !(p.err < best.err)) continue;
        best = p;
        *a = (qs_exact_answer){.step = m ? -p.s : p.s, .offset = p.beta, .found = true};
    }
    return rc;
}
