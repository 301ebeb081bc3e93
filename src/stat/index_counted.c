/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * An index by counting: of elements of 1 or 2 bytes only how often each code
 * occurs matters. Knows codes and their values, not how sums of entries are
 * kept. Counts are whole numbers, so they do not depend on the threads.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "stat/index_build.h"
#include "stat/sort.h"

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
