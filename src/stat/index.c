/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Questions to an index: sums below a value, ranks, quantiles, moments. How an
 * index comes about is in index_build.c, how it is kept in cache.c.
 */
#include "stat/index_in.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"
#include "num/kernels.h"
#include "stat/sort.h"

qs_index *qs_index_ref(qs_index *ix)
{
    atomic_fetch_add(&ix->refs, 1);
    return ix;
}

void qs_index_unref(qs_index *ix)
{
    if (!ix || atomic_fetch_sub(&ix->refs, 1) != 1) return;
    if (ix->src) qs_index_forget_fine(ix);
    qs_tensor_unref(ix->src);
    qs_index_unref(ix->fine);
    free(ix->fine_at);
    free(atomic_load(&ix->moments));
    qs_big_free(ix);
}

qs_index_kind qs_index_kind_of(const qs_index *ix) { return ix->kind; }
bool qs_index_exact(const qs_index *ix) { return ix->kind != QS_INDEX_BUCKETS; }
bool qs_index_of_values(const qs_index *ix) { return ix->kind != QS_INDEX_BUCKETS || ix->all_single; }
size_t qs_index_n(const qs_index *ix) { return ix->n; }
size_t qs_index_skipped(const qs_index *ix) { return ix->skipped; }
size_t qs_index_distinct(const qs_index *ix) { return ix->distinct; }
size_t qs_index_bytes(const qs_index *ix) { return ix->bytes; }
bool qs_index_weighted(const qs_index *ix) { return ix->weighted; }
float qs_index_min(const qs_index *ix) { return ix->min; }
float qs_index_max(const qs_index *ix) { return ix->max; }
float qs_index_absmax(const qs_index *ix) { return fmaxf(-ix->min, ix->max); }
qs_sums qs_index_total(const qs_index *ix) { return ix->total; }
size_t qs_index_entries(const qs_index *ix) { return ix->m; }
float qs_index_value(const qs_index *ix, size_t i) { return ix->value[i]; }
double qs_index_weight(const qs_index *ix, size_t i) { return ix->w ? ix->w[i] : 1; }

const char *qs_index_kind_text(const qs_index *ix)
{
    static const char *const text[] = {N_("sorted"), N_("counted"), N_("buckets")};
    return text[ix->kind];
}

/* ---- where a value lies ------------------------------------------------------------------ */
struct range { size_t from, len; };

/* Entries among which the first one >= v is, or the end of them. */
static struct range range_of(const qs_index *ix, float v)
{
    if (!ix->slot) return (struct range){0, ix->m};
    uint32_t s = qs_slot_of(ix, v);
    return (struct range){ix->slot[s], ix->slot[s + 1] - ix->slot[s]};
}

/* An order of all floats but NaN in integers; -0 comes just below 0, so v must not be -0. */
static int32_t ordered(float x)
{
    int32_t b;
    memcpy(&b, &x, sizeof b);
    return b ^ (int32_t)((uint32_t)(b >> 31) >> 1);
}

/* Without branches: half of them would be mispredicted. */
static size_t search(const float *x, struct range r, int32_t v)
{
    const float *p = x + r.from;
    while (r.len > 1) {
        size_t half = r.len >> 1;
        p += half & -(size_t)(ordered(p[half - 1]) < v);
        r.len -= half;
    }
    return (size_t)(p - x) + (r.len && ordered(*p) < v);
}

size_t qs_index_rank(const qs_index *ix, float v)
{
    if (isnan(v)) return 0;
    return search(ix->value, range_of(ix, v), ordered(v + 0.0f));
}

/* ---- sums -------------------------------------------------------------------------------- */
static qs_sums sums_plain(const qs_index *ix, size_t rank)
{
    size_t b = rank / QS_BLOCK, r = rank / QS_RUN;
    double x = 0, xx = 0;
    for (size_t i = b * QS_BLOCK; i < rank; i++) {
        double d = ix->value[i];
        x += d;
        xx += d * d;
    }
    const double *k = ix->block + 2 * b;
    const qs_sums *run = &ix->run[r];
    return (qs_sums){(double)rank, run->wx + (k[0] + x), run->wxx + (k[1] + xx)};
}

static qs_sums sums_weighted(const qs_index *ix, size_t rank)
{
    size_t b = rank / QS_BLOCK, r = rank / QS_RUN;
    qs_sums s = {0, 0, 0};
    for (size_t i = b * QS_BLOCK; i < rank; i++) {
        double d = ix->value[i], wd = ix->w[i] * d;
        s.w += ix->w[i];
        s.wx += wd;
        s.wxx += wd * d;
    }
    const double *k = ix->block + 3 * b;
    const qs_sums *run = &ix->run[r];
    return (qs_sums){run->w + (k[0] + s.w), run->wx + (k[1] + s.wx), run->wxx + (k[2] + s.wxx)};
}

size_t qs_index_entry_from(const qs_index *ix, uint32_t id)
{
    size_t lo = 0, hi = ix->m;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (ix->id[mid] < id) lo = mid + 1;
        else hi = mid;
    }
    return lo;
}

/* The bucket of v among the entries (or the first above it), and how far v lies into it: 0 where v is in a gap. */
static size_t bucket_of(const qs_index *ix, float v, double *a, double *h, double *f)
{
    uint32_t id = qs_key(v) >> QS_BUCKET_SHIFT;
    size_t lo = qs_index_entry_from(ix, id);
    *a = qs_key_float(id << QS_BUCKET_SHIFT);
    *h = qs_key_float(id << QS_BUCKET_SHIFT | QS_BUCKET_LOW) - *a;
    *f = lo < ix->m && ix->id[lo] == id ? ((double)v - *a) / *h : 0;
    return lo;
}

static qs_sums minus(qs_sums a, qs_sums b) { return (qs_sums){a.w - b.w, a.wx - b.wx, a.wxx - b.wxx}; }

/* Below v, within its bucket e, from the sorted values of the bucket. */
static qs_sums sums_fine(const qs_index *ix, size_t e, float v)
{
    const qs_index *f = ix->fine;
    size_t rank = qs_index_rank(f, v);
    qs_sums in = minus(f->w ? sums_weighted(f, rank) : sums_plain(f, rank), f->w ? sums_weighted(f, ix->fine_at[e]) : sums_plain(f, ix->fine_at[e]));
    return (qs_sums){ix->edge[e].w + in.w, ix->edge[e].wx + in.wx, ix->edge[e].wxx + in.wxx};
}

static bool zero_bucket(const qs_index *ix, size_t e) { return ix->id[e] == 0x80000000u >> QS_BUCKET_SHIFT; }

/* Inside a bucket values are taken as evenly spread, bent so that the sums at its edges are right. */
static qs_sums sums_buckets(const qs_index *ix, float v)
{
    double a, h, f;
    if (!(v > ix->min)) return (qs_sums){0, 0, 0};
    if (v > ix->max) return ix->total;
    size_t b = bucket_of(ix, v, &a, &h, &f);
    const qs_sums *e = &ix->edge[b];
    if (f == 0) return *e;
    if (ix->single[b]) return v > ix->value[b] ? e[1] : e[0];
    if (ix->fine_at && ix->fine_at[b] != QS_COARSE) return sums_fine(ix, b, v);
    double zero = zero_bucket(ix, b) ? ix->zero_w : 0;   /* many values may be exactly 0: they are not spread */
    double w = e[1].w - e[0].w - zero;
    double bent = (e[1].wx - e[0].wx) - w * (a + h / 2);
    double bent2 = (e[1].wxx - e[0].wxx) - w * (a * a + a * h + h * h / 3);
    return (qs_sums){e->w + zero + f * w, e->wx + f * (w * (a + f * h / 2) + bent),
                     e->wxx + f * (w * (a * a + a * f * h + f * f * h * h / 3) + bent2)};
}

static size_t count_buckets(const qs_index *ix, float v)
{
    double a, h, f;
    if (!(v > ix->min)) return 0;
    if (v > ix->max) return ix->n;
    size_t b = bucket_of(ix, v, &a, &h, &f), from = ix->cum[b];
    if (f == 0) return from;
    if (ix->single[b]) return v > ix->value[b] ? ix->cum[b + 1] : from;
    if (ix->fine_at && ix->fine_at[b] != QS_COARSE)
        return from + qs_index_count_below(ix->fine, v) - (ix->fine->cum ? ix->fine->cum[ix->fine_at[b]] : ix->fine_at[b]);
    size_t zero = zero_bucket(ix, b) ? ix->zero_n : 0;
    return from + zero + (size_t)(f * (double)(ix->cum[b + 1] - from - zero) + 0.5);
}

qs_sums qs_index_below(const qs_index *ix, float v)
{
    if (isnan(v)) return (qs_sums){0, 0, 0};
    if (ix->kind == QS_INDEX_BUCKETS) return sums_buckets(ix, v);
    size_t rank = qs_index_rank(ix, v);
    return ix->w ? sums_weighted(ix, rank) : sums_plain(ix, rank);
}

size_t qs_index_count_below(const qs_index *ix, float v)
{
    if (isnan(v)) return 0;
    if (ix->kind == QS_INDEX_BUCKETS) return count_buckets(ix, v);
    size_t rank = qs_index_rank(ix, v);
    return ix->cum ? ix->cum[rank] : rank;
}

/* So many searches go on side by side that their cache misses overlap. */
#define ABREAST 16

static void below_batch(const qs_index *ix, const float *v, size_t k, qs_sums *out)
{
    uint32_t s[ABREAST];
    struct range r[ABREAST];
    size_t rank[ABREAST];
    for (size_t i = 0; i < k; i++) {
        s[i] = qs_slot_of(ix, v[i]);
        __builtin_prefetch(&ix->slot[s[i]]);
    }
    for (size_t i = 0; i < k; i++) {
        r[i] = (struct range){ix->slot[s[i]], ix->slot[s[i] + 1] - ix->slot[s[i]]};
        __builtin_prefetch(&ix->value[r[i].from + r[i].len / 2]);
    }
    for (bool more = true; more;) {
        more = false;
        for (size_t i = 0; i < k; i++) {
            if (r[i].len <= QS_BLOCK) continue;
            size_t half = r[i].len >> 1;
            r[i].from += half & -(size_t)(ordered(ix->value[r[i].from + half - 1]) < ordered(v[i] + 0.0f));
            r[i].len -= half;
            __builtin_prefetch(&ix->value[r[i].from + r[i].len / 2]);
            more = true;
        }
    }
    for (size_t i = 0; i < k; i++) {
        rank[i] = search(ix->value, r[i], ordered(v[i] + 0.0f));
        __builtin_prefetch(&ix->block[rank[i] / QS_BLOCK * (ix->w ? 3 : 2)]);
    }
    for (size_t i = 0; i < k; i++)
        out[i] = isnan(v[i]) ? (qs_sums){0, 0, 0} : ix->w ? sums_weighted(ix, rank[i]) : sums_plain(ix, rank[i]);
}

/* Of few entries: all of them, once, beside the ascending v. */
static bool walkable(const qs_index *ix, const float *v, size_t k)
{
    if (ix->m > 8 * k) return false;
    for (size_t i = 1; i < k; i++)
        if (!(v[i] >= v[i - 1])) return false;
    return true;
}

/* As sums_plain, bit for bit. */
static void below_walk(const qs_index *ix, const float *v, size_t k, qs_sums *out)
{
    double x = 0, xx = 0;
    size_t i = 0;
    for (size_t j = 0; j < k; j++) {
        for (; i < ix->m && ix->value[i] < v[j]; ) {
            double d = ix->value[i];
            x += d;
            xx += d * d;
            if (++i % QS_BLOCK == 0) x = xx = 0;
        }
        const double *b = ix->block + 2 * (i / QS_BLOCK);
        const qs_sums *run = &ix->run[i / QS_RUN];
        out[j] = (qs_sums){(double)i, run->wx + (b[0] + x), run->wxx + (b[1] + xx)};
    }
}

void qs_index_rank_many(const qs_index *ix, const float *v, size_t k, size_t *rank)
{
    if (k && walkable(ix, v, k)) {
        for (size_t i = 0, j = 0; j < k; rank[j++] = i)
            while (i < ix->m && ix->value[i] < v[j]) i++;
        return;
    }
    for (size_t j = 0; j < k; j++) rank[j] = qs_index_rank(ix, v[j]);
}

void qs_index_below_many(const qs_index *ix, const float *v, size_t k, qs_sums *out)
{
    if (ix->kind != QS_INDEX_BUCKETS && !ix->w && k && walkable(ix, v, k)) {
        below_walk(ix, v, k, out);
        return;
    }
    if (!ix->slot) {
        for (size_t i = 0; i < k; i++) out[i] = qs_index_below(ix, v[i]);
        return;
    }
    for (size_t i = 0; i < k; i += ABREAST) below_batch(ix, v + i, k - i < ABREAST ? k - i : ABREAST, out + i);
}

/* ---- order statistics ------------------------------------------------------------------------ */
/* The value with so many before it. Buckets: as if evenly spread. */
static double nth(const qs_index *ix, size_t rank)
{
    if (!ix->cum) return ix->value[rank];
    size_t lo = 0, hi = ix->m - 1;
    while (lo < hi) {
        size_t mid = lo + (hi - lo + 1) / 2;
        if (ix->cum[mid] <= rank) lo = mid;
        else hi = mid - 1;
    }
    if (ix->kind != QS_INDEX_BUCKETS) return ix->value[lo];
    double a = qs_key_float(ix->id[lo] << QS_BUCKET_SHIFT);
    double h = qs_key_float(ix->id[lo] << QS_BUCKET_SHIFT | QS_BUCKET_LOW) - a;
    double v = a + h * ((double)(rank - ix->cum[lo]) + 0.5) / (double)(ix->cum[lo + 1] - ix->cum[lo]);
    return fmin(fmax(v, ix->min), ix->max);
}

typedef double nth_fn(const qs_index *ix, size_t rank);

/* NumPy's linear rule. */
static double quantile(const qs_index *ix, double p, nth_fn *at)
{
    p = p > 0 ? p < 1 ? p : 1 : 0;
    double pos = p * (double)(ix->n - 1);
    size_t k = (size_t)pos;
    double t = pos - (double)k, a = at(ix, k);
    if (t == 0) return a;
    double b = at(ix, k + 1);
    return t < 0.5 ? a + (b - a) * t : b - (b - a) * (1 - t);
}

double qs_index_quantile(const qs_index *ix, double p) { return quantile(ix, p, nth); }

/* How many values have |x| <= a float of these bits. */
static size_t within(const qs_index *ix, uint32_t bits)
{
    float t;
    memcpy(&t, &bits, sizeof t);
    return qs_index_count_below(ix, nextafterf(t, INFINITY)) - qs_index_count_below(ix, -t);
}

/* The |value| with so many smaller ones: the smallest float that so many do not exceed. */
static double nth_abs(const qs_index *ix, size_t rank)
{
    float top = qs_index_absmax(ix), x;
    uint32_t lo = 0, hi;
    memcpy(&hi, &top, sizeof hi);
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (within(ix, mid) > rank) hi = mid;
        else lo = mid + 1;
    }
    memcpy(&x, &lo, sizeof x);
    return x;
}

double qs_index_quantile_abs(const qs_index *ix, double p) { return quantile(ix, p, nth_abs); }

/* ---- moments ------------------------------------------------------------------------------------ */
struct central {
    const qs_index *ix;
    double mean;
    qs_pass2 *part;   /* (runs) */
};

static void central_run(void *arg, size_t r)
{
    const struct central *c = arg;
    const qs_index *ix = c->ix;
    size_t from = r * QS_RUN, to = from + QS_RUN < ix->m ? from + QS_RUN : ix->m;
    qs_pass2 p = {0, 0, 0, 0};
    if (!ix->w) qs_num()->pass2(ix->value + from, to - from, c->mean, &p);
    else
        for (size_t i = from; i < to; i++) {
            double d = ix->value[i] - c->mean, d2 = d * d, w = ix->w[i];
            p.m2 += w * d2;
            p.m3 += w * d2 * d;
            p.m4 += w * d2 * d2;
            p.abs_dev += w * fabs(d);
        }
    c->part[r] = p;
}

static qs_pass2 central_sums(const qs_index *ix, double mean)
{
    size_t runs = (ix->m + QS_RUN - 1) / QS_RUN;
    struct central c = {ix, mean, qs_xmalloc(runs * sizeof *c.part)};
    qs_pass2 s = {0, 0, 0, 0};
    qs_parallel(runs, central_run, &c);
    for (size_t r = 0; r < runs; r++) {
        s.m2 += c.part[r].m2;
        s.m3 += c.part[r].m3;
        s.m4 += c.part[r].m4;
        s.abs_dev += c.part[r].abs_dev;
    }
    free(c.part);
    return s;
}

/* What lies inside the buckets, around their means. */
static double inner_square(const qs_index *ix)
{
    double s = 0;
    for (size_t i = 0; i < ix->m && ix->kind == QS_INDEX_BUCKETS; i++) {
        const qs_sums *e = &ix->edge[i];
        double w = e[1].w - e[0].w, x = e[1].wx - e[0].wx, in = (e[1].wxx - e[0].wxx) - (w > 0 ? x * x / w : 0);
        if (in > 0) s += in;
    }
    return s;
}

static void compute_moments(const qs_index *ix, qs_moments *m)
{
    const qs_sums t = ix->total, neg = qs_index_below(ix, 0);
    *m = (qs_moments){.n = (double)ix->n, .mean = t.wx / t.w, .mean_sq = t.wxx / t.w,
                      .mean_abs = (t.wx - 2 * neg.wx) / t.w};
    if (ix->min == ix->max) {
        m->mean = ix->min;
        m->mean_abs = fabs(m->mean);
        return;
    }
    qs_pass2 c = central_sums(ix, m->mean);
    c.m2 += inner_square(ix);
    double n = (double)ix->n, var = c.m2 / t.w;
    if (!(var > 0)) return;
    m->std = sqrt(var * n / (n - 1));
    m->mean_abs_dev = c.abs_dev / t.w;
    double z = sqrt(var);
    m->skewness = c.m3 / t.w / var / z;
    m->kurtosis = c.m4 / t.w / var / var;
}

void qs_index_moments(const qs_index *ix, qs_moments *m)
{
    qs_index *own = (qs_index *)(uintptr_t)ix;   /* a value made late, not a change */
    qs_moments *have = atomic_load(&own->moments), *none = NULL;
    if (!have) {
        have = qs_xmalloc(sizeof *have);
        compute_moments(ix, have);
        if (!atomic_compare_exchange_strong(&own->moments, &none, have)) {
            free(have);
            have = none;
        }
    }
    *m = *have;
}
