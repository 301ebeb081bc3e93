/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The error of one quantizer, two ways that agree: from an index, level by
 * level from prefix sums; or value by value, where there are more levels than
 * that pays for, where the sums would cancel, or where there is no index.
 */
#include "quant/error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "num/kernels.h"
#include "quant/grid.h"

#define CHUNK ((size_t)1 << 16)
#define BLOCK ((size_t)2048)
#define BATCH 32
#define LEVELS_MAX 4096      /* above: value by value */

void qs_qerror_clear(qs_qerror *e)
{
    free(e->occupancy);
    e->occupancy = NULL;
}

/* ---- sums over values ----------------------------------------------------------------- */
struct acc {
    /* sums of w, w x^2, w e^2 in two parts, w of clipped, w e; max |e| */
    double n, energy, clip, round, clipped, bias, max;
    size_t skipped;
    double *occ;           /* (levels) */
};

static void acc_join(struct acc *a, const struct acc *b, size_t levels)
{
    a->n += b->n;
    a->energy += b->energy;
    a->clip += b->clip;
    a->round += b->round;
    a->clipped += b->clipped;
    a->bias += b->bias;
    a->max = fmax(a->max, b->max);
    a->skipped += b->skipped;
    for (size_t k = 0; k < levels; k++) a->occ[k] += b->occ[k];
}

static void acc_reset(struct acc *a, double *occ, size_t levels)
{
    *a = (struct acc){.occ = occ};
    memset(occ, 0, levels * sizeof *occ);
}

/* n <= BLOCK values with weights (NULL: 1). */
static void add_block(struct acc *a, const qs_grid *g, const float *x, const double *w, size_t n)
{
    float y[BLOCK];
    int32_t rank[BLOCK];
    size_t last = g->n - 1;
    float lo = g->lv[0], hi = g->lv[last];
    qs_grid_apply(g, x, n, y);
    qs_grid_rank(g, x, n, rank);
    double round = 0, clip = 0, clipped = 0, bias = 0, energy = 0, count = 0, max = a->max;
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(x[i])) {
            a->skipped++;
            continue;
        }
        double wi = w ? w[i] : 1, e = (double)y[i] - x[i], sq = wi * e * e;
        bool out = (x[i] < lo && rank[i] == 0) || (x[i] > hi && (size_t)rank[i] == last);
        clip += out ? sq : 0;
        round += out ? 0 : sq;
        clipped += out ? wi : 0;
        bias += wi * e;
        energy += wi * (double)x[i] * x[i];
        count += wi;
        if (fabs(e) > max) max = fabs(e);
        a->occ[rank[i]] += wi;
    }
    a->n += count;
    a->energy += energy;
    a->clip += clip;
    a->round += round;
    a->clipped += clipped;
    a->bias += bias;
    a->max = max;
}

static void add_values(struct acc *a, const qs_grid *g, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i += BLOCK) add_block(a, g, x + i, NULL, n - i < BLOCK ? n - i : BLOCK);
}

static void add_entries(struct acc *a, const qs_grid *g, const qs_index *ix)
{
    float x[BLOCK];
    double w[BLOCK];
    size_t entries = qs_index_entries(ix), n;
    for (size_t i = 0; i < entries; i += n) {
        n = entries - i < BLOCK ? entries - i : BLOCK;
        for (size_t j = 0; j < n; j++) {
            x[j] = qs_index_value(ix, i + j);
            w[j] = qs_index_weight(ix, i + j);
        }
        add_block(a, g, x, w, n);
    }
}

static void finish(const struct acc *a, size_t levels, qs_qerror *out)
{
    double n = a->n > 0 ? a->n : 1, entropy = 0;
    *out = (qs_qerror){.n = a->n, .skipped = a->skipped, .levels = levels, .max_abs = a->max, .occupancy = a->occ};
    out->clip_mse = a->clip / n;
    out->round_mse = a->round / n;
    out->mse = out->clip_mse + out->round_mse;
    out->energy = a->energy / n;
    out->clipped = a->clipped / n;
    out->bias = a->bias / n;
    out->nmse = out->mse == 0 ? 0 : out->energy > 0 ? out->mse / out->energy : INFINITY;
    out->sqnr_db = out->nmse > 0 ? -10 * log10(out->nmse) : INFINITY;
    for (size_t k = 0; k < levels; k++) {
        if (!(a->occ[k] > 0)) continue;
        double p = a->occ[k] / n;
        out->used++;
        entropy -= p * log2(p);
    }
    out->entropy = entropy > 0 ? entropy : 0;
}

/* ---- sums from an index --------------------------------------------------------------------- */
void qs_grid_edges(const qs_grid *g, float *v)
{
    size_t n = g->n;
    for (size_t k = 0; k + 1 < n; k++) v[k + 1] = qs_grid_cut(g, k);
    v[0] = g->c[0] * g->s + g->beta;
    v[n] = nextafterf(g->c[n - 1] * g->s + g->beta, INFINITY);
    /* Levels can collapse where the step is below an ulp of the offset; the edges still ascend. */
    if (n > 1) {
        v[0] = fminf(v[0], v[1]);
        v[n] = fmaxf(v[n], v[n - 1]);
    }
}

/* sum w (x - l)^2 over what lies between two sums. */
static inline double squares(const qs_sums *a, const qs_sums *b, double l)
{
    double w = b->w - a->w;
    if (!(w > 0)) return 0;
    double sq = (b->wxx - a->wxx) - 2 * l * (b->wx - a->wx) + l * l * w;
    return sq > 0 ? sq : 0;
}

void qs_grid_squares(const qs_grid *g, const qs_index *ix, float *v, qs_sums *at, double *clip, double *round)
{
    static const qs_sums none;
    size_t n = g->n;
    qs_sums all = qs_index_total(ix);
    qs_grid_edges(g, v);
    qs_index_below_many(ix, v, n + 1, at);
    *clip = squares(&none, &at[0], g->c[0] * g->s + g->beta) + squares(&at[n], &all, g->c[n - 1] * g->s + g->beta);
    *round = 0;
    for (size_t k = 0; k < n; k++) *round += squares(&at[k], &at[k + 1], g->c[k] * g->s + g->beta);
}

/* The largest |x - l| on a level is at one of its outermost values. */
static double farthest(const qs_index *ix, size_t from, size_t to, double l)
{
    if (from >= to) return 0;
    return fmax(fabs(qs_index_value(ix, from) - l), fabs(qs_index_value(ix, to - 1) - l));
}

static void acc_from_sums(struct acc *a, const qs_grid *g, const qs_index *ix)
{
    size_t n = g->n, from = 0;
    float *v = qs_xmalloc((n + 1) * sizeof *v);
    qs_sums *at = qs_xmalloc((n + 1) * sizeof *at), all = qs_index_total(ix);
    qs_grid_squares(g, ix, v, at, &a->clip, &a->round);
    a->n = all.w;
    a->energy = all.wxx;
    a->clipped = at[0].w + (all.w - at[n].w);
    a->bias = -all.wx;
    for (size_t k = 0; k < n; k++) {
        size_t to = k + 1 < n ? qs_index_rank(ix, v[k + 1]) : qs_index_entries(ix);
        a->occ[k] = (k + 1 < n ? at[k + 1].w : all.w) - (k ? at[k].w : 0);
        if (a->occ[k] > 0) a->bias += (double)g->lv[k] * a->occ[k];
        a->max = fmax(a->max, farthest(ix, from, to, g->lv[k]));
        from = to;
    }
    free(v);
    free(at);
}

/*
 * Prefix sums of x^2 are good to about 1e-13 of their total; where the error is smaller than that times 1e7, or where
 * going through the entries costs little, the squares are summed value by value.
 */
static bool sums_cancel(const struct acc *a, const qs_index *ix)
{
    double nmse = (a->clip + a->round) / a->energy;
    return a->energy > 0 && nmse < (qs_index_entries(ix) <= CHUNK ? 1e-3 : 1e-6);
}

int qs_error_index(const qs_grid *g, const qs_index *ix, qs_qerror *out, qs_err *err)
{
    (void)err;
    struct acc a;
    bool whole = qs_index_of_values(ix);      /* not of means of buckets */
    bool by_value = g->n > LEVELS_MAX || (whole && qs_index_entries(ix) <= g->n) || g->corrected;
    double *occ = qs_xmalloc(g->n * sizeof *occ);
    acc_reset(&a, occ, g->n);
    if (!by_value) acc_from_sums(&a, g, ix);
    if (by_value || (whole && sums_cancel(&a, ix))) {
        acc_reset(&a, occ, g->n);
        add_entries(&a, g, ix);
    }
    a.skipped = qs_index_skipped(ix);
    finish(&a, g->n, out);
    return 0;
}

double qs_error_mse(const qs_grid *g, const qs_index *ix, double *clipped)
{
    struct acc a;
    double *occ = qs_xmalloc(g->n * sizeof *occ);
    bool whole = qs_index_of_values(ix);
    bool by_value = g->n > LEVELS_MAX || (whole && qs_index_entries(ix) <= 8 * g->n) || g->corrected;
    acc_reset(&a, occ, g->n);
    if (!by_value) acc_from_sums(&a, g, ix);
    if (by_value || (whole && sums_cancel(&a, ix))) {
        acc_reset(&a, occ, g->n);
        add_entries(&a, g, ix);
    }
    free(occ);
    if (clipped) *clipped = a.clipped / a.n;
    return (a.clip + a.round) / a.n;
}

/* ---- tensors ------------------------------------------------------------------------------------ */
struct walk {
    const qs_quantizer *q;
    qs_tensor *t;
    const qs_split *s;
    /* parts a chunk (0: the tensor in runs of CHUNK elements); chunk number of the batch's first */
    size_t per, first;
    struct acc *acc;       /* (BATCH) */
    double *mse;           /* (parts) or NULL */
};

/* A channel with bits of its own: its levels are counted where they are among the integers of 8 bits. */
static void add_channel(struct acc *a, const qs_quantizer *q, const qs_grid *g, const float *x, size_t n)
{
    double occ[256];
    struct acc own;
    acc_reset(&own, occ, g->n);
    add_values(&own, g, x, n);
    for (size_t k = 0; k < g->n; k++) a->occ[(size_t)(g->f->c[k] - q->by_bits[8]->c[0])] += occ[k];
    acc_join(a, &own, 0);
}

static void walk_part(const struct walk *w, struct acc *a, size_t part)
{
    qs_grid g;
    size_t n = qs_split_len(w->s, w->t, part);
    double before = a->clip + a->round, count = a->n;
    float *x = qs_xmalloc(n * sizeof *x);
    qs_split_gather(w->s, w->t, part, x);
    qs_grid_init(&g, w->q, part);
    if (w->q->bits) add_channel(a, w->q, &g, x, n);
    else add_values(a, &g, x, n);
    if (w->mse) w->mse[part] = a->n > count ? (a->clip + a->round - before) / (a->n - count) : 0;
    qs_grid_clear(&g);
    free(x);
}

static void walk_run(const struct walk *w, struct acc *a, size_t chunk)
{
    const float *in = qs_tensor_floats(w->t);
    size_t start = chunk * CHUNK, n = w->t->n - start < CHUNK ? w->t->n - start : CHUNK;
    float *buf = in ? NULL : qs_xmalloc(n * sizeof *buf);
    qs_grid g;
    if (buf) qs_tensor_read(w->t, start, n, buf);
    qs_grid_init(&g, w->q, 0);
    add_values(a, &g, in ? in + start : buf, n);
    qs_grid_clear(&g);
    free(buf);
}

static void walk_chunk(void *arg, size_t i)
{
    const struct walk *w = arg;
    struct acc *a = &w->acc[i];
    size_t chunk = w->first + i;
    acc_reset(a, a->occ, qs_quantizer_levels(w->q));
    if (!w->per) {
        walk_run(w, a, chunk);
        return;
    }
    for (size_t p = chunk * w->per; p < (chunk + 1) * w->per && p < w->s->parts; p++) {
        if (w->mse) acc_reset(a, a->occ, qs_quantizer_levels(w->q));
        walk_part(w, a, p);
    }
}

static int walk_all(struct walk *w, struct acc *sum, const qs_ctl *ctl, qs_err *err)
{
    struct acc acc[BATCH];
    int rc = 0;
    size_t levels = qs_quantizer_levels(w->q), longest = qs_split_longest(w->s, w->t), chunks = (w->t->n + CHUNK - 1) / CHUNK;
    double *occ = qs_big_alloc(BATCH * levels * sizeof *occ);
    if (!occ) return qs_fail(err, QS_ENOMEM, _("no memory to count the levels of %s"), w->q->f->text);
    for (size_t i = 0; i < BATCH; i++) acc[i].occ = occ + i * levels;
    if (w->s->parts > 1) {
        w->per = longest && longest < CHUNK ? CHUNK / longest : 1;
        chunks = (w->s->parts + w->per - 1) / w->per;
    } else if (w->mse) {
        w->per = chunks = 1;
    }
    w->acc = acc;
    for (w->first = 0; w->first < chunks && !rc; w->first += BATCH) {
        size_t batch = chunks - w->first < BATCH ? chunks - w->first : BATCH;
        rc = qs_ctl_check(ctl, _("measuring the error"), (double)w->first / (double)chunks, err);
        if (!rc) qs_parallel(batch, walk_chunk, w);
        for (size_t i = 0; i < batch && !rc && sum; i++) acc_join(sum, &acc[i], levels);
    }
    qs_big_free(occ);
    return rc ? rc : qs_tensor_check(w->t, err);
}

/* Buckets are looked at again where the levels of g part: the errors are exact then. Takes ix over; NULL with *rc. */
static qs_index *exact_for(const qs_grid *g, qs_index *ix, const qs_ctl *ctl, qs_err *err, int *rc)
{
    if (!qs_index_refinable(ix)) return ix;
    float *v = qs_xmalloc((g->n + 1) * sizeof *v);
    qs_interval *at = qs_xmalloc((g->n + 1) * sizeof *at);
    qs_err mine = {0};
    qs_grid_edges(g, v);
    for (size_t k = 0; k <= g->n; k++) at[k] = (qs_interval){v[k], v[k]};
    bool fits = qs_index_refine_count(ix, at, g->n + 1) <= qs_index_fine_most();
    qs_index *fine = fits ? qs_index_refine(ix, at, g->n + 1, ctl, &mine) : qs_index_ref(ix);
    if (!fine) *rc = qs_fail(err, mine.code, "%s", mine.msg);
    free(v);
    free(at);
    qs_index_unref(ix);
    return fine;
}

/* The index of a whole tensor, where it is there or pays to make. */
static qs_index *index_for(const qs_quantizer *q, qs_tensor *t, const qs_split *s, qs_cache *cache, const qs_ctl *ctl,
                           qs_err *err, int *rc)
{
    *rc = 0;
    if (!cache || s->parts > 1 || q->f->n > LEVELS_MAX) return NULL;
    qs_err mine = {0};
    qs_index *ix = qs_cache_get(cache, t, s, 0, ctl, &mine);
    if (!ix && mine.code == QS_ECANCEL) *rc = qs_fail(err, QS_ECANCEL, "%s", mine.msg);
    return ix;
}

int qs_error_tensor(const qs_quantizer *q, qs_tensor *t, qs_cache *cache, const qs_ctl *ctl, qs_qerror *out,
                    qs_err *err)
{
    qs_split s;
    int rc = qs_quantizer_fits(q, t, &s, err);
    *out = (qs_qerror){0};
    if (rc) return rc;
    qs_index *ix = index_for(q, t, &s, cache, ctl, err, &rc);
    if (ix) {
        qs_grid g;
        qs_grid_init(&g, q, 0);
        ix = exact_for(&g, ix, ctl, err, &rc);
        if (ix) rc = qs_error_index(&g, ix, out, err);
        qs_grid_clear(&g);
        qs_index_unref(ix);
    }
    if (ix || rc) return rc;
    struct walk w = {.q = q, .t = t, .s = &s};
    struct acc sum;
    size_t levels = qs_quantizer_levels(q);
    acc_reset(&sum, qs_xmalloc(levels * sizeof(double)), levels);
    rc = walk_all(&w, &sum, ctl, err);
    if (!rc && sum.n <= 0)
        rc = qs_fail(err, QS_ERANGE, _("tensor %s has no finite value"), t->name ? t->name : "?");
    if (rc) {
        free(sum.occ);
        return rc;
    }
    finish(&sum, levels, out);
    return 0;
}

int qs_error_parts(const qs_quantizer *q, qs_tensor *t, qs_cache *cache, const qs_ctl *ctl, double *out, qs_err *err)
{
    qs_split s;
    int rc = qs_quantizer_fits(q, t, &s, err);
    if (rc) return rc;
    qs_index *ix = index_for(q, t, &s, cache, ctl, err, &rc);
    if (ix) {
        qs_grid g;
        qs_grid_init(&g, q, 0);
        ix = exact_for(&g, ix, ctl, err, &rc);
        if (ix) out[0] = qs_error_mse(&g, ix, NULL);
        qs_grid_clear(&g);
        qs_index_unref(ix);
    }
    if (ix || rc) return rc;
    struct walk w = {.q = q, .t = t, .s = &s, .mse = out};
    return walk_all(&w, NULL, ctl, err);
}
