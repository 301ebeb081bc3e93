/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Histograms. Counts are those of NumPy for float32 data to the last one:
 * edges are np.linspace(lo, hi, bins + 1) rounded to float32, bins are
 * half-open but for the last.
 */
#include "stat/hist.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "stat/summary.h"

#define BINS_MAX 65536
#define PIECE ((size_t)65536)
#define CHUNK ((size_t)1 << 20)
#define SLAB 16              /* chunks between two looks at the cancel token */
#define SAMPLE 65536         /* values that speak for a tensor's range */
#define LOG_DEPTH 0x1p-40

/* ---- edges ------------------------------------------------------------------------------- */
/* np.linspace: i * step + lo, and the end exactly; in logarithms for log_x. */
static double exact_edge(const qs_hist *h, size_t i)
{
    if (i == 0) return h->lo;
    if (i >= h->bins) return h->hi;
    double a = h->log_x ? log(h->lo) : h->lo, b = h->log_x ? log(h->hi) : h->hi;
    double e = (double)i * ((b - a) / (double)h->bins) + a;
    return h->log_x ? exp(e) : e;
}

double qs_hist_edge(const qs_hist *h, size_t i)
{
    double e = exact_edge(h, i);
    return h->wide ? e : (double)(float)e;
}

/* The smallest float that belongs at or above edge i. */
static float cut(const qs_hist *h, size_t i)
{
    double e = exact_edge(h, i);
    float f = fabs(e) > FLT_MAX ? (e > 0 ? INFINITY : -INFINITY) : (float)e;
    return h->wide && f < e ? nextafterf(f, INFINITY) : f;
}

/* The smallest float beyond the last bin, which is closed. */
static float end_cut(const qs_hist *h)
{
    double e = qs_hist_edge(h, h->bins);
    float f = fabs(e) > FLT_MAX ? (e > 0 ? INFINITY : -INFINITY) : (float)e;
    return f > e ? f : nextafterf(f, INFINITY);
}

static int prepare(qs_hist *h, double lo, double hi, size_t bins, bool log_x, qs_err *err)
{
    *h = (qs_hist){.lo = lo, .hi = hi, .bins = bins, .log_x = log_x};
    if (bins < 1 || bins > BINS_MAX) return qs_fail(err, QS_EARG, _("%zu bins; 1 to %d are possible"), bins, BINS_MAX);
    if (!(lo < hi) || !isfinite(lo) || !isfinite(hi))
        return qs_fail(err, QS_EARG, _("a histogram from %g to %g; the first must be below the second"), lo, hi);
    if (log_x && lo <= 0) return qs_fail(err, QS_EARG, _("a logarithmic histogram from %g; it must start above 0"), lo);
    double top = fmax(fabs(lo), fabs(hi)), step = nextafterf((float)fmin(top, FLT_MAX), INFINITY) - fmin(top, FLT_MAX);
    h->wide = top > FLT_MAX / 2 || (!log_x && (hi - lo) / (double)bins < 4 * step);
    h->count = qs_xcalloc(bins, sizeof *h->count);
    return 0;
}

void qs_hist_clear(qs_hist *h)
{
    free(h->count);
    h->count = NULL;
}

/* ---- the range to look at first ------------------------------------------------------------- */
struct span { double lo, hi; };

static struct span around(double v)
{
    double half = v != 0 ? fabs(v) / 2 : 0.5;
    return (struct span){v - half, v + half};
}

/* Ends of the rest, once k values a side are set aside. */
static bool squeezed(double min, double max, double ql, double qh) { return qh > ql && (qh - ql) * 3 < max - min; }

static struct span with_margin(double min, double max, double ql, double qh)
{
    double m = (qh - ql) / 20;
    return (struct span){fmax(min, ql - m), fmin(max, qh + m)};
}

static double nth(const qs_index *ix, size_t k)
{
    size_t n = qs_index_n(ix);
    return qs_index_quantile(ix, (double)k / (double)(n - 1));
}

/* min, max: of all values; ix may hold a sample of them. */
static struct span look_at(const qs_index *ix, double min, double max)
{
    size_t n = qs_index_n(ix), k = n / 1000 ? n / 1000 : 1;
    if (!(min < max)) return around(min);
    if (n < 16) return (struct span){min, max};
    double ql = nth(ix, k), qh = nth(ix, n - 1 - k);
    return squeezed(min, max, ql, qh) ? with_margin(min, max, ql, qh) : (struct span){min, max};
}

void qs_hist_range(const qs_index *ix, double *lo, double *hi, uint64_t *left_out)
{
    struct span s = look_at(ix, qs_index_min(ix), qs_index_max(ix));
    *lo = s.lo;
    *hi = s.hi;
    qs_hist h = {.lo = s.lo, .hi = s.hi, .bins = 1, .wide = true};
    size_t below = qs_index_count_below(ix, cut(&h, 0)), upto = qs_index_count_below(ix, end_cut(&h));
    if (left_out) *left_out = qs_index_n(ix) - (upto - below);
}

/* Of magnitudes: from the smallest that is not 0, at most 2^-40 deep, to the largest. */
static struct span magnitudes(double smallest, double largest)
{
    if (!(largest > 0)) return (struct span){0.5, 1.5};
    double lo = fmax(smallest, largest * LOG_DEPTH);
    return lo < largest ? (struct span){lo, largest} : (struct span){largest / 2, largest * 2};
}

static double smallest_magnitude(const qs_index *ix)
{
    size_t neg = qs_index_rank(ix, 0), pos = qs_index_rank(ix, nextafterf(0, 1));
    double a = neg > 0 ? -(double)qs_index_value(ix, neg - 1) : INFINITY;
    double b = pos < qs_index_entries(ix) ? qs_index_value(ix, pos) : INFINITY;
    return fmin(a, b);
}

/* ---- from an index ---------------------------------------------------------------------------- */
/* Values with lower <= |x| < upper, or lower <= x < upper. */
static uint64_t between(const qs_index *ix, float lower, float upper, bool magnitude)
{
    uint64_t n = qs_index_count_below(ix, upper) - qs_index_count_below(ix, lower);
    if (magnitude) n += qs_index_count_below(ix, nextafterf(-lower, INFINITY)) - qs_index_count_below(ix, nextafterf(-upper, INFINITY));
    return n;
}

int qs_hist_index(const qs_index *ix, double lo, double hi, size_t bins, bool log_x, qs_hist *out, qs_err *err)
{
    double dlo, dhi;
    qs_hist_range(ix, &dlo, &dhi, NULL);
    if (log_x) {
        struct span s = magnitudes(smallest_magnitude(ix), qs_index_absmax(ix));
        dlo = s.lo;
        dhi = s.hi;
    }
    int rc = prepare(out, isnan(lo) ? dlo : lo, isnan(hi) ? dhi : hi, bins, log_x, err);
    if (rc) return rc;
    float first = cut(out, 0), from = first, last = end_cut(out);
    for (size_t i = 0; i < bins; i++) {
        float to = i + 1 < bins ? cut(out, i + 1) : last;
        if (to > from) out->count[i] = between(ix, from, to, log_x);
        from = to > from ? to : from;
    }
    out->skipped = qs_index_skipped(ix);
    uint64_t inside = between(ix, first, last, log_x);
    out->over = log_x ? between(ix, last, INFINITY, true) : qs_index_n(ix) - qs_index_count_below(ix, last);
    out->under = qs_index_n(ix) - inside - out->over;
    return 0;
}

/* ---- from values -------------------------------------------------------------------------------- */
struct tally { uint64_t under, over, skipped; uint32_t *count; };

struct job {
    const qs_tensor *t;
    const float *x;          /* in place, or NULL */
    size_t first;            /* chunk of this slab */
    qs_hist *h;
    const float *cut;        /* (bins + 1) the last: beyond the end */
    double scale, origin;    /* bin of v is near (v - origin) * scale */
    struct tally *part;      /* (SLAB) one a chunk */
};

static void count_values(const struct job *j, const float *x, size_t n, struct tally *t)
{
    const float *c = j->cut;
    size_t bins = j->h->bins;
    for (size_t i = 0; i < n; i++) {
        float v = x[i];
        if (!isfinite(v)) t->skipped++;
        else if (v < c[0]) t->under++;
        else if (v >= c[bins]) t->over++;
        else {
            double near = (v - j->origin) * j->scale;
            size_t b = near > 0 ? near < (double)bins ? (size_t)near : bins - 1 : 0;
            while (v < c[b]) b--;
            while (v >= c[b + 1]) b++;
            t->count[b]++;
        }
    }
}

static void count_chunk(void *arg, size_t k)
{
    struct job *j = arg;
    struct tally *t = &j->part[k];
    float *buf = j->x ? NULL : qs_xmalloc(PIECE * sizeof *buf);
    size_t i = (j->first + k) * CHUNK, to = i + CHUNK < j->t->n ? i + CHUNK : j->t->n;
    for (; i < to; i += PIECE) {
        size_t n = to - i < PIECE ? to - i : PIECE;
        if (!j->x) qs_tensor_read(j->t, i, n, buf);
        count_values(j, j->x ? j->x + i : buf, n, t);
    }
    free(buf);
}

static void add_part(qs_hist *h, struct tally *t)
{
    for (size_t b = 0; b < h->bins; b++) h->count[b] += t->count[b];
    h->under += t->under;
    h->over += t->over;
    h->skipped += t->skipped;
    memset(t->count, 0, h->bins * sizeof *t->count);
    *t = (struct tally){.count = t->count};
}

static int count_all(struct job *j, const qs_ctl *ctl, qs_err *err)
{
    size_t chunks = (j->t->n + CHUNK - 1) / CHUNK, slab = chunks < SLAB ? chunks : SLAB;
    uint32_t *count = qs_xcalloc(slab * j->h->bins, sizeof *count);
    struct tally part[SLAB];
    int rc = 0;
    for (size_t k = 0; k < slab; k++) part[k] = (struct tally){.count = count + k * j->h->bins};
    j->part = part;
    for (j->first = 0; j->first < chunks && !rc; j->first += slab) {
        rc = qs_ctl_check(ctl, _("histogram"), (double)j->first / (double)chunks, err);
        size_t n = rc ? 0 : chunks - j->first < slab ? chunks - j->first : slab;
        qs_parallel(n, count_chunk, j);
        for (size_t k = 0; k < n; k++) add_part(j->h, &part[k]);
    }
    free(count);
    return rc;
}

/* Ends that are not given: from all values and a sample. */
static int default_range(const qs_tensor *t, const qs_ctl *ctl, struct span *s, qs_err *err)
{
    qs_summary all;
    int rc = qs_summary_tensor(t, ctl, &all, err);
    if (rc) return rc;
    size_t n = t->n < SAMPLE ? t->n : SAMPLE;
    float *x = qs_xmalloc(n * sizeof *x);
    for (size_t i = 0; i < n; i++) qs_tensor_read(t, (size_t)((double)i * ((double)t->n / (double)n)), 1, &x[i]);
    qs_index *ix = all.n - all.nans - all.infs ? qs_index_new(x, n, NULL, NULL, NULL) : NULL;
    *s = ix ? look_at(ix, all.min, all.max) : (struct span){all.min, all.max};
    if (!(s->lo < s->hi)) *s = around(s->lo);
    qs_index_unref(ix);
    free(x);
    return 0;
}

int qs_hist_tensor(const qs_tensor *t, double lo, double hi, size_t bins, const qs_ctl *ctl, qs_hist *out, qs_err *err)
{
    struct span s = {lo, hi};
    if (!qs_dtype_size(t->dtype))
        return qs_fail(err, QS_EUNSUP, _("%s: values of type %s cannot be read"), t->name, t->dtype_text ? t->dtype_text : "?");
    int rc = isnan(lo) || isnan(hi) ? default_range(t, ctl, &s, err) : 0;
    if (rc || (rc = prepare(out, isnan(lo) ? s.lo : lo, isnan(hi) ? s.hi : hi, bins, false, err))) return rc;
    float *edges = qs_xmalloc((bins + 1) * sizeof *edges);
    for (size_t i = 0; i < bins; i++) edges[i] = cut(out, i);
    edges[bins] = end_cut(out);
    struct job j = {.t = t, .x = qs_tensor_floats(t), .h = out, .cut = edges, .origin = out->lo,
                    .scale = (double)bins / (out->hi - out->lo)};
    rc = count_all(&j, ctl, err);
    if (!rc) rc = qs_tensor_check(t, err);
    free(edges);
    if (rc) qs_hist_clear(out);
    return rc;
}
