/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * An index by buckets of float bits, for more values than one wants to sort:
 * one pass, memory that does not grow with them. Knows where floats come from
 * and what their bits mean; how an index answers from buckets is in index.c.
 */
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"
#include "stat/index_build.h"
#include "stat/sort.h"

enum { PIECE = 65536 };

static const float *piece(const float *x, const qs_tensor *t, size_t start, size_t i, size_t n, float *buf)
{
    if (x) return x + i;
    qs_tensor_read(t, start + i, n, buf);
    return buf;
}

/*
 * The sums of a bucket from those of the low bits of its keys: x = a + ulp low, and integers add up exactly.
 * That is why buckets hold 2^14 floats and never cross a power of two.
 */
struct low { uint64_t n, l, ll; };

struct lane {
    struct low *b;               /* (QS_BUCKETS) */
    uint32_t min, max;           /* keys */
    uint64_t skipped, zeros;
};

struct tally {
    const struct qs_index_source *src;
    size_t from, step;
    struct lane lane[QS_LANES];
};

static void tally_piece(struct lane *lane, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t k = qs_key(x[i]), low = k & QS_BUCKET_LOW;
        if (!qs_key_finite(k)) {
            lane->skipped++;
            continue;
        }
        struct low *b = &lane->b[k >> QS_BUCKET_SHIFT];
        b->n++;
        b->l += low;
        b->ll += low * low;
        lane->min = k < lane->min ? k : lane->min;
        lane->max = k > lane->max ? k : lane->max;
        lane->zeros += k == 0x80000000u;
    }
}

static void tally_lane(void *arg, size_t l)
{
    struct tally *t = arg;
    size_t i = t->from + l * t->step, to = i + t->step < t->src->n ? i + t->step : t->src->n;
    float *buf = t->src->x ? NULL : qs_xmalloc(PIECE * sizeof *buf);
    for (; i < to; i += PIECE) {
        size_t n = to - i < PIECE ? to - i : PIECE;
        tally_piece(&t->lane[l], piece(t->src->x, t->src->t, t->src->start, i, n, buf), n);
    }
    free(buf);
}

/* What buckets are made of, dense. */
struct dense {
    uint64_t *n;
    qs_sums *s;                  /* (QS_BUCKETS) */
    bool *single;                /* (QS_BUCKETS) all values are one; weighted: not known */
    size_t skipped, zero_n;
    double zero_w;
    uint32_t min, max;
};

static void dense_lane(struct dense *d, const struct lane *lane)
{
    for (uint32_t id = 0; id < QS_BUCKETS; id++) {
        const struct low *b = &lane->b[id];
        if (!b->n) continue;
        uint32_t key = id << QS_BUCKET_SHIFT;
        double a = qs_key_float(key), ulp = qs_key_float(key + 1) - a, n = (double)b->n;
        double l = ulp * (double)b->l, ll = ulp * ulp * (double)b->ll;
        d->n[id] += b->n;
        d->single[id] = (unsigned __int128)b->n * b->ll == (unsigned __int128)b->l * b->l;   /* no variance */
        d->s[id].w += n;
        d->s[id].wx += n * a + l;
        d->s[id].wxx += n * a * a + 2 * a * l + ll;
    }
    d->skipped += lane->skipped;
    d->zero_n += lane->zeros;
    d->zero_w = (double)d->zero_n;
    if (lane->min < d->min) d->min = lane->min;
    if (lane->max > d->max) d->max = lane->max;
}

static int tally_plain(const struct qs_index_source *src, struct dense *d, const qs_ctl *ctl, qs_err *err)
{
    struct tally t = {.src = src, .step = QS_SLAB};
    size_t lanes = (size_t)qs_threads() < QS_LANES ? (size_t)qs_threads() : QS_LANES;
    int rc = 0;
    struct low *all = qs_xcalloc(lanes * QS_BUCKETS, sizeof *all);
    for (size_t l = 0; l < lanes; l++) t.lane[l] = (struct lane){.b = all + l * QS_BUCKETS, .min = UINT32_MAX};
    for (t.from = 0; t.from < src->n && !rc; t.from += lanes * QS_SLAB) {
        rc = qs_ctl_check(ctl, _("counting"), (double)t.from / (double)src->n, err);
        if (!rc) qs_parallel(lanes, tally_lane, &t);
    }
    for (size_t l = 1; l < lanes; l++) {
        struct lane *to = &t.lane[0], *from = &t.lane[l];
        for (uint32_t id = 0; id < QS_BUCKETS; id++) {
            to->b[id].n += from->b[id].n;
            to->b[id].l += from->b[id].l;
            to->b[id].ll += from->b[id].ll;
        }
        to->skipped += from->skipped;
        to->zeros += from->zeros;
        to->min = from->min < to->min ? from->min : to->min;
        to->max = from->max > to->max ? from->max : to->max;
    }
    dense_lane(d, &t.lane[0]);
    free(all);
    return rc;
}

static void weigh_one(struct dense *d, float x, double w)
{
    uint32_t k = qs_key(x);
    if (!qs_key_finite(k)) {
        d->skipped++;
        return;
    }
    qs_sums *s = &d->s[k >> QS_BUCKET_SHIFT];
    double v = x;
    d->n[k >> QS_BUCKET_SHIFT]++;
    s->w += w;
    s->wx += w * v;
    s->wxx += w * v * v;
    d->min = k < d->min ? k : d->min;
    d->max = k > d->max ? k : d->max;
    if (x == 0) {
        d->zero_n++;
        d->zero_w += w;
    }
}

/* Weighted sums are floating-point: in order, on one thread. */
static int tally_weighted(const struct qs_index_source *src, struct dense *d, const qs_ctl *ctl, qs_err *err)
{
    float *buf = qs_xmalloc(2 * PIECE * sizeof *buf);
    int rc = 0;
    for (size_t i = 0; i < src->n && !rc; i += PIECE) {
        size_t n = src->n - i < PIECE ? src->n - i : PIECE;
        const float *x = piece(src->x, src->t, src->start, i, n, buf);
        const float *w = piece(src->w, src->wt, src->start, i, n, buf + PIECE);
        if ((rc = qs_index_check_weights(w, n, i, err))) break;
        for (size_t j = 0; j < n; j++) weigh_one(d, x[j], w[j]);
        rc = qs_ctl_check(ctl, _("counting"), (double)i / (double)src->n, err);
    }
    free(buf);
    return rc;
}

/* How many different ones c values of 2^14 possible ones are likely to be. */
static double likely_distinct(double c)
{
    double all = QS_BUCKET_LOW + 1.0;
    return all * -expm1(-c / all);
}

static qs_index *from_dense(const struct dense *d, bool weighted, size_t n, qs_err *err)
{
    size_t m = 0;
    for (uint32_t id = 0; id < QS_BUCKETS; id++) m += d->n[id] > 0;
    if (!m) return qs_index_nothing(NULL, n, err);
    qs_index *ix = qs_index_allocate(QS_INDEX_BUCKETS, m, QS_HAS_WEIGHTS | QS_HAS_CUM, err);
    if (!ix) return NULL;
    struct qs_acc3 a = {{0, 0}, {0, 0}, {0, 0}};
    double distinct = 0;
    size_t e = 0;
    ix->all_single = true;
    for (uint32_t id = 0; id < QS_BUCKETS; id++) {
        if (!d->n[id]) continue;
        const qs_sums *s = &d->s[id];
        ix->id[e] = id;
        ix->edge[e] = qs_acc3_get(&a);
        ix->cum[e] = ix->n;
        ix->w[e] = s->w;
        ix->value[e] = s->w > 0 ? (float)(s->wx / s->w) : qs_key_float(id << QS_BUCKET_SHIFT);
        ix->single[e] = d->single[id];
        ix->all_single &= d->single[id];
        qs_acc3_add(&a, *s);
        ix->n += d->n[id];
        distinct += likely_distinct((double)d->n[id]);
        e++;
    }
    ix->edge[m] = ix->total = qs_acc3_get(&a);
    ix->cum[m] = ix->n;
    ix->weighted = weighted;
    ix->skipped = d->skipped;
    ix->distinct = (size_t)distinct;
    ix->zero_n = d->zero_n;
    ix->zero_w = d->zero_w;
    ix->min = qs_key_float(d->min);
    ix->max = qs_key_float(d->max);
    return ix->total.w > 0 ? ix : qs_index_nothing(ix, n, err);
}

static void dense_clear(struct dense *d)
{
    free(d->n);
    free(d->s);
    free(d->single);
}

static int dense_init(struct dense *d, qs_err *err)
{
    *d = (struct dense){.n = calloc(QS_BUCKETS, sizeof *d->n), .s = calloc(QS_BUCKETS, sizeof *d->s),
                        .single = calloc(QS_BUCKETS, sizeof *d->single), .min = UINT32_MAX};
    if (d->n && d->s && d->single) return 0;
    dense_clear(d);
    return qs_fail(err, QS_ENOMEM, _("no memory for %u buckets"), QS_BUCKETS);
}

qs_index *qs_index_buckets(const struct qs_index_source *src, const qs_ctl *ctl, qs_err *err)
{
    struct dense d;
    bool weighted = src->w || src->wt;
    if (dense_init(&d, err)) return NULL;
    int rc = (weighted ? tally_weighted : tally_plain)(src, &d, ctl, err);
    qs_index *ix = rc ? NULL : from_dense(&d, weighted, src->n, err);
    if (ix && src->again) {
        ix->src = qs_tensor_ref(src->again);
        ix->start = src->start;
    }
    dense_clear(&d);
    return ix;
}

/* The value of each single bucket of r, the mirror of ix: sums that were subtracted do not know it to the last bit. */
static void mirror_singles(qs_index *r, const qs_index *ix)
{
    size_t e = ix->m;
    for (size_t i = 0; i < r->m; i++) {
        while (e > 0 && QS_BUCKETS - 1 - ix->id[e - 1] < r->id[i]) e--;
        bool there = e > 0 && QS_BUCKETS - 1 - ix->id[e - 1] == r->id[i];
        if (r->single[i]) r->value[i] = there && ix->single[e - 1] ? 0.0f - ix->value[e - 1] : 0;
    }
}

/* -x of the floats of a bucket are a bucket; only 0 stays where it is. */
qs_index *qs_index_buckets_mirror(const qs_index *ix, qs_err *err)
{
    struct dense d;
    uint32_t zero = 0x80000000u >> QS_BUCKET_SHIFT;
    if (dense_init(&d, err)) return NULL;
    for (size_t e = 0; e < ix->m; e++) {
        uint32_t id = QS_BUCKETS - 1 - ix->id[e];
        d.n[id] = ix->cum[e + 1] - ix->cum[e];
        d.single[id] = ix->single[e];
        d.s[id] = (qs_sums){ix->edge[e + 1].w - ix->edge[e].w, -(ix->edge[e + 1].wx - ix->edge[e].wx),
                            ix->edge[e + 1].wxx - ix->edge[e].wxx};
    }
    d.n[zero - 1] -= ix->zero_n;
    d.s[zero - 1].w -= ix->zero_w;
    d.n[zero] += ix->zero_n;
    d.s[zero].w += ix->zero_w;
    d.skipped = ix->skipped;
    d.zero_n = ix->zero_n;
    d.zero_w = ix->zero_w;
    if (ix->zero_n) d.single[zero] = d.n[zero] == ix->zero_n, d.single[zero - 1] = false;
    d.min = qs_key(-ix->max);
    d.max = qs_key(-ix->min);
    qs_index *r = from_dense(&d, ix->weighted, ix->n, err);
    if (r) mirror_singles(r, ix);
    dense_clear(&d);
    return r;
}
