/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How an index is made: which way is taken (sorting is here, the others in
 * index_counted.c and index_buckets.c), its memory, and the sums of sorted
 * entries. Sums are compensated, so that every stored one is right to
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
    size_t single = buckets ? carve(&c, m, sizeof(bool)) : 0;
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
    if (single) ix->single = (bool *)(void *)(p + single);
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

int qs_index_check_weights(const float *w, size_t n, size_t at, qs_err *err)
{
    for (size_t i = 0; i < n; i++)
        if (!(w[i] >= 0 && w[i] <= FLT_MAX))
            return qs_fail(err, QS_ERANGE, _("weight %zu is %g; weights are finite and not negative"), at + i, (double)w[i]);
    return 0;
}

/* ---- sorted ------------------------------------------------------------------------------------------ */
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
    if (!s->contiguous) return gathered(t, s, part, weights, n, ctl, err);
    size_t start = qs_split_where(s, t, part, 0);
    if (size <= 2 && n >= COUNT_MIN && !t->strided) return qs_index_counted(t, weights, start, n, ctl, err);
    if (n <= bucket_limit) return gathered(t, s, part, weights, n, ctl, err);
    const float *x = qs_tensor_floats(t), *w = weights ? qs_tensor_floats(weights) : NULL;
    struct qs_index_source src = {.x = x ? x + start : NULL, .w = w ? w + start : NULL,
                                  .t = t, .wt = weights, .again = weights ? NULL : (qs_tensor *)(uintptr_t)t, .start = start, .n = n};
    return qs_index_buckets(&src, ctl, err);
}

qs_index *qs_index_of(const qs_tensor *t, const qs_split *s, size_t part, const qs_tensor *weights,
                      const qs_ctl *ctl, qs_err *err)
{
    qs_index *ix = index_of(t, s, part, weights, ctl, err);
    if (qs_tensor_check(t, err) || (weights && qs_tensor_check(weights, err))) {
        qs_index_unref(ix);
        return NULL;
    }
    if (!ix) qs_fail_prefix(err, "%s", t->name);
    return ix;
}

/* ---- the mirror image ----------------------------------------------------------------------------------------- */
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
