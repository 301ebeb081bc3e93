/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How an index is made: by sorting, by counting codes, or by buckets of float
 * bits. Sums are compensated, so that every stored one is right to
 * the last place or two; how work is cut never depends on the threads.
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "num/kernels.h"
#include "stat/index_build.h"
#include "stat/sort.h"

#define BUCKETS_FROM ((size_t)1 << 24)
#define COUNT_MIN 4096       /* shorter parts of 16-bit types are sorted like floats */
#define SLOTS_MIN 256        /* entries from which a table of slots pays */
#define SLOTS_MAX (1u << 17)

static _Atomic size_t bucket_limit = BUCKETS_FROM;

void qs_index_bucket_limit(size_t n) { bucket_limit = n ? n : BUCKETS_FROM; }

/* ---- memory: one block, the struct first --------------------------------------------------------- */
struct carve { size_t at; bool overflow; };

static size_t carve(struct carve *c, size_t n, size_t size)
{
    size_t bytes, at = c->at;
    if (!qs_mul(n, size, &bytes) || bytes > SIZE_MAX / 4 - at) c->overflow = true;
    else c->at = (at + bytes + 63) / 64 * 64;
    return at;
}

static uint32_t slots_for(size_t m)
{
    uint32_t s = 64;
    while (s < SLOTS_MAX && s < m / 16) s *= 2;
    return m < SLOTS_MIN ? 0 : s;
}

qs_index *qs_index_allocate(qs_index_kind kind, size_t m, int has, qs_err *err)
{
    struct carve c = {(sizeof(qs_index) + 63) / 64 * 64, false};
    bool buckets = kind == QS_INDEX_BUCKETS;
    uint32_t slots = buckets ? 0 : slots_for(m);
    size_t runs = buckets ? 0 : (m + QS_RUN - 1) / QS_RUN, width = has & QS_HAS_WEIGHTS ? 3 : 2;
    size_t value = carve(&c, m, sizeof(float));
    size_t w = has & QS_HAS_WEIGHTS ? carve(&c, m, sizeof(double)) : 0;
    size_t cum = has & QS_HAS_CUM ? carve(&c, m + 1, sizeof(size_t)) : 0;
    size_t run = buckets ? 0 : carve(&c, runs + 1, sizeof(qs_sums));
    size_t block = buckets ? 0 : carve(&c, m / QS_BLOCK + 1, width * sizeof(double));
    size_t slot = slots ? carve(&c, slots + 1, sizeof(uint32_t)) : 0;
    size_t id = buckets ? carve(&c, m, sizeof(uint32_t)) : 0;
    size_t edge = buckets ? carve(&c, m + 1, sizeof(qs_sums)) : 0;
    char *p = c.overflow ? NULL : qs_big_alloc(c.at);
    if (!p) {
        qs_fail(err, QS_ENOMEM, _("no memory for an index of %zu entries"), m);
        return NULL;
    }
    qs_index *ix = (qs_index *)(void *)p;
    memset(ix, 0, sizeof *ix);
    ix->refs = 1;
    ix->kind = kind;
    ix->bytes = c.at;
    ix->m = m;
    ix->slots = slots;
    ix->value = (float *)(void *)(p + value);
    if (w) ix->w = (double *)(void *)(p + w);
    if (cum) ix->cum = (size_t *)(void *)(p + cum);
    if (run) ix->run = (qs_sums *)(void *)(p + run);
    if (block) ix->block = (double *)(void *)(p + block);
    if (slot) ix->slot = (uint32_t *)(void *)(p + slot);
    if (id) ix->id = (uint32_t *)(void *)(p + id);
    if (edge) ix->edge = (qs_sums *)(void *)(p + edge);
    return ix;
}

/* ---- sums and slots of sorted entries ------------------------------------------------------------ */
/* Turns block[0..n-1] with stride `width` into what stands before each; returns the whole. */
static double scan(double *block, size_t n, size_t width)
{
    struct qs_acc a = {0, 0};
    for (size_t k = 0; k < n; k++) {
        double s = block[k * width];
        block[k * width] = qs_acc_get(&a);
        qs_acc_add(&a, s);
    }
    return qs_acc_get(&a);
}

static void weighted_blocks(const qs_index *ix, size_t from, size_t n, double *block)
{
    for (size_t k = 0; k < n; k++, block += 3) {
        double w = 0, x = 0, xx = 0;
        for (size_t i = from + k * QS_BLOCK; i < from + (k + 1) * QS_BLOCK; i++) {
            double d = ix->value[i], wd = ix->w[i] * d;
            w += ix->w[i];
            x += wd;
            xx += wd * d;
        }
        block[0] = w;
        block[1] = x;
        block[2] = xx;
    }
}

/* What the entries of a last, short block add. */
static qs_sums remainder_of(const qs_index *ix, size_t from, size_t to)
{
    qs_sums s = {0, 0, 0};
    for (size_t i = from; i < to; i++) {
        double d = ix->value[i], w = ix->w ? ix->w[i] : 1;
        s.w += w;
        s.wx += w * d;
        s.wxx += w * d * d;
    }
    return s;
}

static size_t distinct_in(const float *v, size_t from, size_t to)
{
    size_t d = 0, i = from;
    if (i == 0 && to > 0) d = i = 1;
    for (; i + 16 <= to; i += 16) {
        unsigned here = 0;
        for (size_t j = 0; j < 16; j++) here += v[i + j] != v[i + j - 1];
        d += here;
    }
    for (; i < to; i++) d += v[i] != v[i - 1];
    return d;
}

/* slot[s] = the first entry in slot s or above; a run fills what begins in it. */
static void fill_slots(qs_index *ix, size_t from, size_t to)
{
    uint32_t next = from ? qs_slot_of(ix, ix->value[from - 1]) + 1 : 0;   /* the first slot not yet begun */
    for (size_t i = from; i < to; i++) {
        if (i + 16 <= to && qs_slot_of(ix, ix->value[i + 15]) < next) {
            i += 15;
            continue;
        }
        for (uint32_t s = qs_slot_of(ix, ix->value[i]); next <= s; next++) ix->slot[next] = (uint32_t)i;
    }
    if (to == ix->m)
        for (; next <= ix->slots; next++) ix->slot[next] = (uint32_t)to;
}

struct finish { qs_index *ix; size_t *distinct; };   /* (runs) */

static void finish_run(void *arg, size_t r)
{
    struct finish *f = arg;
    qs_index *ix = f->ix;
    size_t from = r * QS_RUN, to = from + QS_RUN < ix->m ? from + QS_RUN : ix->m, n = (to - from) / QS_BLOCK;
    size_t width = ix->w ? 3 : 2;
    double *b = ix->block + from / QS_BLOCK * width, whole[3] = {0, 0, 0};
    if (ix->w) weighted_blocks(ix, from, n, b);
    else qs_num()->block16(ix->value + from, n, b);
    for (size_t k = 0; k < width; k++) whole[k] = scan(b + k, n, width);
    if (n < QS_RUN / QS_BLOCK) memcpy(b + n * width, whole, width * sizeof *b);
    qs_sums rest = remainder_of(ix, from + n * QS_BLOCK, to);
    if (ix->w) ix->run[r + 1] = (qs_sums){whole[0] + rest.w, whole[1] + rest.wx, whole[2] + rest.wxx};
    else ix->run[r + 1] = (qs_sums){(double)(to - from), whole[0] + rest.wx, whole[1] + rest.wxx};
    f->distinct[r] = distinct_in(ix->value, from, to);
    if (ix->slot) fill_slots(ix, from, to);
}

static void plan_slots(qs_index *ix)
{
    float top = fmaxf(-ix->min, ix->max);
    uint32_t bits;
    memcpy(&bits, &top, sizeof bits);
    ix->floor = bits > 20u << 23 ? bits - (20u << 23) : 0;
    while ((bits - ix->floor) >> ix->shift >= ix->slots / 2) ix->shift++;
}

void qs_index_finish(qs_index *ix)
{
    size_t runs = (ix->m + QS_RUN - 1) / QS_RUN, few[1], width = ix->w ? 3 : 2;
    struct finish f = {ix, runs > 1 ? qs_xmalloc(runs * sizeof *f.distinct) : few};
    ix->min = ix->value[0];
    ix->max = ix->value[ix->m - 1];
    if (ix->slot) plan_slots(ix);
    qs_parallel(runs, finish_run, &f);
    if (ix->m % QS_RUN == 0)
        for (size_t k = 0; k < width; k++) ix->block[ix->m / QS_BLOCK * width + k] = 0;
    struct qs_acc3 a = {{0, 0}, {0, 0}, {0, 0}};
    ix->run[0] = qs_acc3_get(&a);
    for (size_t r = 0; r < runs; r++) {
        qs_acc3_add(&a, ix->run[r + 1]);
        ix->run[r + 1] = qs_acc3_get(&a);
        ix->distinct += f.distinct[r];
    }
    ix->runs = runs;
    ix->total = ix->run[runs];
    if (runs > 1) free(f.distinct);
}

static qs_index *drop(qs_index *ix)
{
    qs_index_unref(ix);
    return NULL;
}

qs_index *qs_index_nothing(qs_index *ix, size_t n, qs_err *err)
{
    if (n == 0) qs_fail(err, QS_ERANGE, _("there are no values"));
    else if (!ix || ix->n == 0) qs_fail(err, QS_ERANGE, _("none of %zu values is finite"), n);
    else qs_fail(err, QS_ERANGE, _("all weights are 0"));
    return drop(ix);
}

/* ---- sorted ------------------------------------------------------------------------------------------ */
int qs_index_check_weights(const float *w, size_t n, size_t at, qs_err *err)
{
    for (size_t i = 0; i < n; i++)
        if (!(w[i] >= 0 && w[i] <= FLT_MAX))
            return qs_fail(err, QS_ERANGE, _("weight %zu is %g; weights are finite and not negative"), at + i, (double)w[i]);
    return 0;
}

static qs_index *sorted(const float *x, size_t n, const float *w, const qs_ctl *ctl, qs_err *err)
{
    if (w && qs_index_check_weights(w, n, 0, err)) return NULL;
    qs_index *ix = qs_index_allocate(QS_INDEX_SORTED, n, w ? QS_HAS_WEIGHTS : 0, err);
    if (!ix) return NULL;
    ix->weighted = w != NULL;
    if (w ? qs_sort_pairs(x, w, n, ix->value, ix->w, &ix->n, ctl, err)
          : qs_sort_floats(x, n, ix->value, &ix->n, ctl, err))
        return drop(ix);
    ix->m = ix->n;
    ix->skipped = n - ix->n;
    if (!ix->n) return qs_index_nothing(ix, n, err);
    qs_index_finish(ix);
    return ix->total.w > 0 ? ix : qs_index_nothing(ix, n, err);
}

/* ---- counted --------------------------------------------------------------------------------------------- */
struct codes {
    const unsigned char *data;
    size_t n, size;              /* bytes a code: 1 or 2 */
    size_t from, step;           /* this round: where it starts, elements a lane */
    uint32_t *lane;              /* (lanes) tables of 2 x 65536 */
};

static void count_lane(void *arg, size_t l)
{
    const struct codes *c = arg;
    uint32_t *a = c->lane + l * 2 * 65536, *b = a + 65536;
    size_t i = c->from + l * c->step, to = i + c->step;
    if (to > c->n) to = c->n;
    memset(a, 0, 2 * 65536 * sizeof *a);
    if (c->size == 1) {
        for (; i < to; i++) (i & 1 ? a : b)[c->data[i]]++;
        return;
    }
    for (; i + 4 <= to; i += 4) {   /* two tables: the same code twice in a row need not wait for itself */
        uint64_t v;
        memcpy(&v, c->data + 2 * i, sizeof v);
        a[v & 0xffff]++;
        b[v >> 16 & 0xffff]++;
        a[v >> 32 & 0xffff]++;
        b[v >> 48]++;
    }
    for (; i < to; i++) {
        uint16_t v;
        memcpy(&v, c->data + 2 * i, sizeof v);
        a[v]++;
    }
}

static int count_codes(struct codes *c, uint64_t *count, const qs_ctl *ctl, qs_err *err)
{
    size_t lanes = (size_t)qs_threads() < QS_LANES ? (size_t)qs_threads() : QS_LANES;
    size_t tables = c->size == 1 ? 256 : 65536;
    int rc = 0;
    c->lane = qs_xmalloc(lanes * 2 * 65536 * sizeof *c->lane);
    c->step = (c->n + lanes - 1) / lanes < QS_SLAB ? ((c->n + lanes - 1) / lanes + 3) / 4 * 4 : QS_SLAB;
    memset(count, 0, tables * sizeof *count);
    for (c->from = 0; c->from < c->n && !rc; c->from += lanes * c->step) {
        qs_parallel(lanes, count_lane, c);
        for (size_t l = 0; l < 2 * lanes; l++)
            for (size_t k = 0; k < tables; k++) count[k] += c->lane[l * 65536 + k];
        rc = qs_ctl_check(ctl, _("counting"), (double)c->from / (double)c->n, err);
    }
    free(c->lane);
    return rc;
}

/* The values of all codes of a type, as the model reads them. */
static int code_values(const qs_tensor *t, size_t codes, float *value, qs_err *err)
{
    int64_t shape = (int64_t)codes;
    size_t size = qs_dtype_size(t->dtype);
    qs_blob *b = qs_blob_new(codes * size, err);
    if (!b) return -QS_ENOMEM;
    unsigned char *p = qs_blob_mem(b);
    for (size_t k = 0; k < codes; k++) {
        uint16_t wide = (uint16_t)k;
        if (size == 1) p[k] = (unsigned char)k;
        else memcpy(p + 2 * k, &wide, sizeof wide);
    }
    qs_tensor *all = qs_tensor_new("codes", t->dtype, 1, &shape, b, p, err);
    qs_blob_unref(b);
    if (!all) return -QS_EARG;
    all->swapped = t->swapped;
    qs_tensor_read(all, 0, codes, value);
    qs_tensor_unref(all);
    return 0;
}

/* Weights of codes: one pass, in order, on one thread. t and w: the same n elements from start. */
static int weigh_codes(const qs_tensor *t, const qs_tensor *w, size_t start, size_t n, double *weight,
                       const qs_ctl *ctl, qs_err *err)
{
    enum { STEP = 65536 };
    size_t size = qs_dtype_size(t->dtype);
    const unsigned char *data = t->data + start * size;
    float *buf = qs_xmalloc(STEP * sizeof *buf);
    int rc = 0;
    for (size_t i = 0; i < n && !rc; i += STEP) {
        size_t k = n - i < STEP ? n - i : STEP;
        qs_tensor_read(w, start + i, k, buf);
        if ((rc = qs_index_check_weights(buf, k, start + i, err))) break;
        for (size_t j = 0; j < k; j++) {
            uint16_t v;
            if (size == 1) v = data[i + j];
            else memcpy(&v, data + 2 * (i + j), sizeof v);
            weight[v] += buf[j];
        }
        rc = qs_ctl_check(ctl, _("counting"), (double)i / (double)n, err);
    }
    free(buf);
    return rc;
}

/* From counts (and weights or NULL) of codes whose values are known. */
static qs_index *from_counts(const uint64_t *count, const double *weight, const float *value, size_t codes, size_t n,
                             qs_err *err)
{
    float *x = qs_xmalloc(2 * codes * sizeof *x), *code = x + codes, *order = qs_xmalloc(codes * sizeof *order);
    double *at = qs_xmalloc(codes * sizeof *at);
    size_t used = 0, m = 0;
    for (size_t k = 0; k < codes; k++)
        if (count[k]) {
            x[used] = value[k];
            code[used++] = (float)k;
        }
    qs_index *ix = NULL;
    if (!qs_sort_pairs(x, code, used, order, at, &m, NULL, err))
        ix = m ? qs_index_allocate(QS_INDEX_COUNTED, m, QS_HAS_WEIGHTS | QS_HAS_CUM, err)
               : qs_index_nothing(NULL, n, err);
    if (ix) {
        ix->m = 0;
        for (size_t i = 0; i < m; i++) {
            size_t k = (size_t)at[i], e = ix->m - (ix->m && ix->value[ix->m - 1] == order[i]);
            if (e == ix->m) {   /* codes of equal value are one entry */
                ix->value[e] = order[i];
                ix->w[e] = 0;
                ix->cum[ix->m++] = ix->n;
            }
            ix->w[e] += weight ? weight[k] : (double)count[k];
            ix->n += count[k];
        }
        ix->cum[ix->m] = ix->n;
        ix->skipped = n - ix->n;
        ix->weighted = weight != NULL;
        qs_index_finish(ix);
        if (!(ix->total.w > 0)) ix = qs_index_nothing(ix, n, err);
    }
    free(at);
    free(order);
    free(x);
    return ix;
}

qs_index *qs_index_counted(const qs_tensor *t, const qs_tensor *w, size_t start, size_t n, const qs_ctl *ctl,
                           qs_err *err)
{
    size_t size = qs_dtype_size(t->dtype), tables = size == 1 ? 256 : 65536;
    uint64_t *count = qs_xmalloc(tables * sizeof *count);
    double *weight = w ? qs_xcalloc(tables, sizeof *weight) : NULL;
    float *value = qs_xmalloc(tables * sizeof *value);
    struct codes c = {.data = t->data + start * size, .n = n, .size = size};
    qs_index *ix = NULL;
    if (!code_values(t, tables, value, err) && !count_codes(&c, count, ctl, err) &&
        !(w && weigh_codes(t, w, start, n, weight, ctl, err)))
        ix = from_counts(count, weight, value, tables, n, err);
    free(value);
    free(weight);
    free(count);
    return ix;
}

/* ---- buckets --------------------------------------------------------------------------------------------- */
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
    for (uint32_t id = 0; id < QS_BUCKETS; id++) {
        if (!d->n[id]) continue;
        const qs_sums *s = &d->s[id];
        ix->id[e] = id;
        ix->edge[e] = qs_acc3_get(&a);
        ix->cum[e] = ix->n;
        ix->w[e] = s->w;
        ix->value[e] = s->w > 0 ? (float)(s->wx / s->w) : qs_key_float(id << QS_BUCKET_SHIFT);
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

static int dense_init(struct dense *d, qs_err *err)
{
    *d = (struct dense){.n = calloc(QS_BUCKETS, sizeof *d->n), .s = calloc(QS_BUCKETS, sizeof *d->s), .min = UINT32_MAX};
    if (d->n && d->s) return 0;
    free(d->n);
    free(d->s);
    return qs_fail(err, QS_ENOMEM, _("no memory for %u buckets"), QS_BUCKETS);
}

qs_index *qs_index_buckets(const struct qs_index_source *src, const qs_ctl *ctl, qs_err *err)
{
    struct dense d;
    bool weighted = src->w || src->wt;
    if (dense_init(&d, err)) return NULL;
    int rc = (weighted ? tally_weighted : tally_plain)(src, &d, ctl, err);
    qs_index *ix = rc ? NULL : from_dense(&d, weighted, src->n, err);
    free(d.n);
    free(d.s);
    return ix;
}

/* ---- the constructors ---------------------------------------------------------------------------------------- */
qs_index *qs_index_new(const float *x, size_t n, const float *w, const qs_ctl *ctl, qs_err *err)
{
    if (!n) return qs_index_nothing(NULL, 0, err);
    if (n <= bucket_limit) return sorted(x, n, w, ctl, err);
    struct qs_index_source src = {.x = x, .w = w, .n = n};
    return qs_index_buckets(&src, ctl, err);
}

/* A part as floats: in place where it can be, else in *own. NULL: no memory. */
static const float *part_floats(const qs_tensor *t, const qs_split *s, size_t part, size_t n, float **own, qs_err *err)
{
    const float *x = qs_tensor_floats(t);
    size_t bytes;
    if (x && s->contiguous) return x + qs_split_where(s, t, part, 0);
    if (qs_mul(n, sizeof **own, &bytes)) *own = qs_big_alloc(bytes);
    if (!*own) qs_fail(err, QS_ENOMEM, _("no memory for %zu values"), n);
    else qs_split_gather(s, t, part, *own);
    return *own;
}

static qs_index *gathered(const qs_tensor *t, const qs_split *s, size_t part, const qs_tensor *weights, size_t n,
                          const qs_ctl *ctl, qs_err *err)
{
    float *own = NULL, *own_w = NULL;
    const float *x = part_floats(t, s, part, n, &own, err), *w = NULL;
    qs_index *ix = NULL;
    if (x && weights) w = part_floats(weights, s, part, n, &own_w, err);
    if (x && (w || !weights)) ix = qs_index_new(x, n, w, ctl, err);
    qs_big_free(own);
    qs_big_free(own_w);
    return ix;
}

static qs_index *index_of(const qs_tensor *t, const qs_split *s, size_t part, const qs_tensor *weights,
                          const qs_ctl *ctl, qs_err *err)
{
    size_t n = qs_split_len(s, t, part), size = qs_dtype_size(t->dtype);
    if (!size) {
        qs_fail(err, QS_EUNSUP, _("values of type %s cannot be read"), t->dtype_text ? t->dtype_text : "?");
        return NULL;
    }
    if (weights && weights->n != t->n) {
        qs_fail(err, QS_EARG, _("%zu weights for %zu values"), weights->n, t->n);
        return NULL;
    }
    if (!n) return qs_index_nothing(NULL, 0, err);
    if (!s->contiguous || (t->fortran && (s->parts > 1 || weights))) return gathered(t, s, part, weights, n, ctl, err);
    size_t start = qs_split_where(s, t, part, 0);
    if (size <= 2 && n >= COUNT_MIN) return qs_index_counted(t, weights, start, n, ctl, err);
    if (n <= bucket_limit) return gathered(t, s, part, weights, n, ctl, err);
    const float *x = qs_tensor_floats(t), *w = weights ? qs_tensor_floats(weights) : NULL;
    struct qs_index_source src = {.x = x ? x + start : NULL, .w = w ? w + start : NULL,
                                  .t = t, .wt = weights, .start = start, .n = n};
    return qs_index_buckets(&src, ctl, err);
}

qs_index *qs_index_of(const qs_tensor *t, const qs_split *s, size_t part, const qs_tensor *weights,
                      const qs_ctl *ctl, qs_err *err)
{
    qs_index *ix = index_of(t, s, part, weights, ctl, err);
    if (!ix) qs_fail_prefix(err, "%s", t->name);
    return ix;
}

/* ---- the mirror image ----------------------------------------------------------------------------------------- */
/* -x of the floats of a bucket are a bucket; only 0 stays where it is. */
qs_index *qs_index_buckets_mirror(const qs_index *ix, qs_err *err)
{
    struct dense d;
    uint32_t zero = 0x80000000u >> QS_BUCKET_SHIFT;
    if (dense_init(&d, err)) return NULL;
    for (size_t e = 0; e < ix->m; e++) {
        uint32_t id = QS_BUCKETS - 1 - ix->id[e];
        d.n[id] = ix->cum[e + 1] - ix->cum[e];
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
    d.min = qs_key(-ix->max);
    d.max = qs_key(-ix->min);
    qs_index *r = from_dense(&d, ix->weighted, ix->n, err);
    free(d.n);
    free(d.s);
    return r;
}

qs_index *qs_index_mirror(const qs_index *ix, qs_err *err)
{
    if (ix->kind == QS_INDEX_BUCKETS) return qs_index_buckets_mirror(ix, err);
    qs_index *r = qs_index_allocate(ix->kind, ix->m, (ix->w ? QS_HAS_WEIGHTS : 0) | (ix->cum ? QS_HAS_CUM : 0), err);
    if (!r) return NULL;
    for (size_t i = 0, k = ix->m - 1; i < ix->m; i++, k--) {
        r->value[i] = 0.0f - ix->value[k];   /* 0 stays +0 */
        if (ix->w) r->w[i] = ix->w[k];
        if (ix->cum) r->cum[i] = ix->n - ix->cum[k + 1];
    }
    if (ix->cum) r->cum[ix->m] = ix->n;
    r->n = ix->n;
    r->skipped = ix->skipped;
    r->weighted = ix->weighted;
    qs_index_finish(r);
    return r;
}
