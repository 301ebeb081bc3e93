/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A format with numbers: steps and offsets, and the float32 arithmetic that
 * goes with them, over values, parts and whole tensors. How good a quantizer
 * is, error.c knows; where its numbers come from, init.c.
 */
#include "quant/quantizer.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "num/kernels.h"
#include "quant/book.h"
#include "quant/grid.h"

#define CHUNK ((size_t)1 << 16)
#define BATCH 64   /* chunks between two looks at the cancel token */

/* ---- making one --------------------------------------------------------------------- */
void qs_format_zp_range(const qs_format *f, double *lo, double *hi)
{
    *lo = fmin(0, ceil((double)f->c[0]));
    *hi = fmax(0, floor((double)f->c[f->n - 1]));
}

static int check_step(const qs_format *f, size_t part, double step, qs_err *err)
{
    if (!isfinite(step) || step == 0 || (step < 0 && !f->flip))
        return qs_fail(err, QS_EARG, _("step %zu is %g: a step is a finite number %s"), part + 1, step,
                       f->flip ? _("other than 0") : _("> 0"));
    if ((float)step == 0) return qs_fail(err, QS_EARG, _("step %zu, %g, is 0 in float32"), part + 1, step);
    if (!isfinite((float)step) || !isfinite((float)step * (float)f->cmax))
        return qs_fail(err, QS_EARG, _("step %zu, %g, puts the outermost level (%g steps) beyond float32"), part + 1,
                       step, f->cmax);
    return 0;
}

/* Rounds a zero point's offset to -step*z for the nearest integer z in range. */
static int check_offset(const qs_format *f, size_t part, double step, double *offset, qs_err *err)
{
    double lo, hi, z = 0;
    if (f->offset == QS_OFFSET_NONE) {
        if (*offset == 0) return 0;
        return qs_fail(err, QS_EARG, _("format %s has no offset: write %s+offset or %s+zp"), f->text, f->text, f->text);
    }
    if (f->offset == QS_OFFSET_ZP) {
        qs_format_zp_range(f, &lo, &hi);
        z = rint(-*offset / step);
        if (!(z >= lo && z <= hi))
            return qs_fail(err, QS_EARG, _("offset %zu, %g, asks for the zero point %g; %s has %g .. %g"), part + 1,
                           *offset, z, f->text, lo, hi);
        *offset = z != 0 ? -step * z : 0;
    }
    /* Both outermost levels as the arithmetic makes them. */
    float s = (float)step, beta = f->offset == QS_OFFSET_REAL ? (float)*offset : 0;
    float first = (float)(f->c[0] - z) * s + beta, last = (float)(f->c[f->n - 1] - z) * s + beta;
    if (isfinite(first) && isfinite(last)) return 0;
    return qs_fail(err, QS_EARG, _("offset %zu, %g, puts the outermost level beyond float32"), part + 1, *offset);
}

static int take_bits(qs_quantizer *q, const uint8_t *bits, qs_err *err)
{
    for (int b = 0; b <= 8; b++)
        if (!(q->by_bits[b] = qs_format_channel(q->f, b, err))) return -QS_EUNSUP;
    q->bits = qs_xmalloc(q->parts);
    memcpy(q->bits, bits, q->parts);
    return 0;
}

/* A step and an offset as the format keeps them; a zero point stays the same integer. */
static void keep(const qs_quantizer *q, const qs_format *f, double *step, double *beta)
{
    double s = qs_scale_near(f->scale, q->unit, *step);
    *beta = f->offset == QS_OFFSET_REAL ? qs_scale_offset(f->scale, *beta) : *beta * (s / *step);
    *step = s;
}

static int take_numbers(qs_quantizer *q, const double *step, const double *offset, qs_err *err)
{
    for (size_t i = 0; i < q->parts; i++) {
        const qs_format *f = qs_quantizer_format(q, i);
        double beta = offset ? offset[i] : 0, s = step[i];
        int rc = check_step(f, i, s, err);
        if (!rc && f->scale) keep(q, f, &s, &beta);
        if (!rc) rc = check_offset(f, i, s, &beta, err);
        if (rc) return rc;
        q->step[i] = s;
        if (q->offset) q->offset[i] = beta;
    }
    return 0;
}

/* So that the largest step is the largest scale. */
static double unit_of(const qs_format *f, size_t parts, const double *step)
{
    double most = 0;
    for (size_t i = 0; i < parts; i++)
        if (isfinite(step[i])) most = fmax(most, fabs(step[i]));
    return qs_scale_unit(f->scale, most, 1);
}

static qs_quantizer *make(const qs_format *f, const qs_split *split, size_t parts, double unit, const uint8_t *bits,
                          const double *step, const double *offset, qs_err *err)
{
    if (parts < 1) {
        qs_fail(err, QS_EARG, _("a quantizer needs at least one step"));
        return NULL;
    }
    qs_quantizer *q = qs_xcalloc(1, sizeof *q);
    q->refs = 1;
    q->f = qs_format_copy(f);
    q->parts = parts;
    q->unit = unit > 0 ? unit : unit_of(f, parts, step);
    q->split = split ? *split : (qs_split){.kind = QS_SPLIT_TENSOR, .parts = 1, .contiguous = true};
    q->step = qs_xmalloc(parts * sizeof(double));
    q->offset = f->offset ? qs_xcalloc(parts, sizeof(double)) : NULL;
    snprintf(q->init, sizeof q->init, "by hand");
    if ((!bits || !take_bits(q, bits, err)) && !take_numbers(q, step, offset, err)) return q;
    qs_quantizer_unref(q);
    return NULL;
}

qs_quantizer *qs_quantizer_new(const qs_format *f, const qs_split *split, size_t parts, const double *step,
                               const double *offset, qs_err *err)
{
    return make(f, split, parts, 0, NULL, step, offset, err);
}

qs_quantizer *qs_quantizer_channels(const qs_format *f, const qs_split *split, size_t parts, const uint8_t *bits,
                                    const double *step, const double *offset, qs_err *err)
{
    return make(f, split, parts, 0, bits, step, offset, err);
}

qs_quantizer *qs_quantizer_blocks(const qs_format *f, const qs_split *split, size_t parts, double unit, const double *step,
                                  const double *offset, const float *pick, const float *pick_offset, qs_err *err)
{
    qs_quantizer *q = make(f, split, parts, unit, NULL, step, offset, err);
    if (!q || !pick) return q;
    q->pick = qs_xmalloc(parts * sizeof *pick);
    q->pick_offset = qs_xmalloc(parts * sizeof *pick_offset);
    memcpy(q->pick, pick, parts * sizeof *pick);
    memcpy(q->pick_offset, pick_offset, parts * sizeof *pick_offset);
    return q;
}

void qs_quantizer_correct(qs_quantizer *q, const double *gain, const double *shift)
{
    q->gain = qs_xrealloc(q->gain, q->parts * sizeof *gain);
    q->shift = qs_xrealloc(q->shift, q->parts * sizeof *shift);
    memcpy(q->gain, gain, q->parts * sizeof *gain);
    memcpy(q->shift, shift, q->parts * sizeof *shift);
}

qs_quantizer *qs_quantizer_ref(qs_quantizer *q)
{
    atomic_fetch_add(&q->refs, 1);
    return q;
}

void qs_quantizer_unref(qs_quantizer *q)
{
    if (!q || atomic_fetch_sub(&q->refs, 1) != 1) return;
    qs_format_free(q->f);
    free(q->step);
    free(q->offset);
    free(q->bits);
    for (int b = 0; b <= 8; b++) qs_format_free(q->by_bits[b]);
    free(q->pick);
    free(q->pick_offset);
    free(q->gain);
    free(q->shift);
    free(q->formula);
    free(q->note);
    free(q);
}

/* ---- the grid of one part ---------------------------------------------------------------- */
/* The codebook moved by -z, then mirrored; its thresholds follow the same rule as any codebook's. */
static void own_book(qs_grid *g, double z, void *room)
{
    const qs_format *f = g->f;
    size_t n = f->n;
    float *c = room, *t = c + n;
    unsigned char *up = (unsigned char *)(t + n);
    for (size_t k = 0; k < n; k++) {
        float v = (float)((double)f->c[k] - z);
        if (g->mirrored) c[n - 1 - k] = -v;
        else c[k] = v;
    }
    qs_book_thresholds(c, n, f->away, t, up);
    g->c = c;
    g->t = t;
    g->up = up;
}

static size_t book_bytes(const qs_format *f) { return (f->n * (2 * sizeof(float) + 1) + 63) / 64 * 64; }

size_t qs_grid_room(const qs_format *f) { return f->offset == QS_OFFSET_ZP || f->flip ? book_bytes(f) : 0; }

void qs_grid_place(qs_grid *g, const qs_format *f, double step, double offset, void *room)
{
    bool zp = f->offset == QS_OFFSET_ZP;
    double z = zp ? rint(-offset / step) : 0;
    *g = (qs_grid){.f = f, .s = fabsf((float)step), .beta = zp ? 0 : (float)offset, .n = f->n, .c = f->c, .t = f->t,
                   .up = f->up, .uniform = f->uniform, .mirrored = step < 0};
    if (z != 0 || g->mirrored) own_book(g, z, room);
    if (f->uniform) {
        g->lo = g->c[0];
        g->hi = g->c[g->n - 1];
        g->code0 = -f->qn;
    }
}

void qs_grid_at(qs_grid *g, const qs_format *f, double step, double offset)
{
    bool zp = f->offset == QS_OFFSET_ZP && rint(-offset / step) != 0;
    void *room = zp || step < 0 ? qs_xmalloc(book_bytes(f)) : NULL;   /* a search tries mirrored grids of any format */
    qs_grid_place(g, f, step, offset, room);
    g->own = room;
}

void qs_grid_levels(qs_grid *g)
{
    if (!g->lv) g->lv = qs_xmalloc(g->n * sizeof(float));
    for (size_t k = 0; k < g->n; k++) g->lv[k] = g->c[k] * g->s + g->beta;
    if (g->corrected) qs_correct(g->gain, g->shift, g->lv, g->n);
}

/*
 * The code of ggml is the whole part of u + half, in float32, with half = 1/2 above the lowest code's place: the least u
 * that goes to the level above is the float at, or next above, the point from which u + half rounds to that integer.
 * Without flip and offset (Q8_0) it is roundf(u): the half outward.
 */
static void ggml_cuts(const qs_grid *g, float *t, unsigned char *up)
{
    const qs_format *f = g->f;
    if (!f->flip && !f->offset) {
        qs_book_thresholds(g->c, g->n, true, t, up);
        return;
    }
    for (size_t k = 0; k + 1 < g->n; k++) {
        float code = (float)(k + 1), half = (float)f->qn + 0.5f;
        double least = (double)code - 0.5 * (double)(code - nextafterf(code, 0)) - (double)half;
        float u = (float)least;
        if ((double)u < least) u = nextafterf(u, INFINITY);
        size_t at = g->mirrored ? g->n - 2 - k : k;
        t[at] = g->mirrored ? -u : u;
        up[at] = !g->mirrored;
    }
}

void qs_grid_pick(qs_grid *g, float step, float offset)
{
    float *room = qs_xmalloc(book_bytes(g->f)), *t = room + g->n;
    unsigned char *up = (unsigned char *)(t + g->n);
    memcpy(room, g->c, g->n * sizeof *room);
    ggml_cuts(g, t, up);
    free(g->own);
    g->own = room;
    g->c = room;
    g->t = t;
    g->up = up;
    g->picked = true;
    g->inv = 1 / fabsf(step);
    g->origin = offset;
}

void qs_grid_part(qs_grid *g, const qs_quantizer *q, size_t part)
{
    qs_grid_at(g, qs_quantizer_format(q, part), q->step[part], q->offset ? q->offset[part] : 0);
    if (q->pick && q->pick[part] != 0) qs_grid_pick(g, q->pick[part], q->pick_offset[part]);
    if (!q->gain) return;
    g->corrected = true;
    g->gain = (float)q->gain[part];
    g->shift = (float)q->shift[part];
}

void qs_grid_init(qs_grid *g, const qs_quantizer *q, size_t part)
{
    qs_grid_part(g, q, part);
    qs_grid_levels(g);
}

void qs_grid_clear(qs_grid *g)
{
    free(g->lv);
    free(g->own);
    g->lv = NULL;
    g->own = NULL;
}

static qs_fq fq_of(const qs_grid *g)
{
    return (qs_fq){.s = g->s, .beta = g->beta, .lo = g->lo, .hi = g->hi, .away = g->f->away};
}

static qs_fqbook fqbook_of(const qs_grid *g)
{
    return (qs_fqbook){.s = g->s, .beta = g->beta, .c = g->c, .t = g->t, .up = g->up, .n = g->n};
}

void qs_correct(float gain, float shift, float *y, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float v = y[i] * gain;   /* two roundings, on every machine */
        y[i] = v + shift;
    }
}

/* The level's number by pick, for one value that is a number. */
static inline size_t picked_rank(const qs_grid *g, float x)
{
    float d = x - g->origin;   /* two roundings, on every machine */
    return qs_book_rank(g->t, g->up, g->n, d * g->inv);
}

static void picked_apply(const qs_grid *g, const float *x, size_t n, float *out)
{
    for (size_t i = 0; i < n; i++) {
        if (isnan(x[i])) {
            out[i] = x[i];
            continue;
        }
        float v = g->c[picked_rank(g, x[i])] * g->s;
        out[i] = v + g->beta;
    }
}

void qs_grid_apply(const qs_grid *g, const float *x, size_t n, float *out)
{
    if (g->picked) picked_apply(g, x, n, out);
    else if (g->uniform) {
        qs_fq q = fq_of(g);
        qs_num()->fq(x, n, &q, out);
    } else {
        qs_fqbook q = fqbook_of(g);
        qs_num()->fqbook(x, n, &q, out);
    }
    if (g->corrected) qs_correct(g->gain, g->shift, out, n);
}

void qs_grid_grad(const qs_grid *g, const float *x, size_t n, const qs_fqrule *r, float *grad, qs_fqsums *out)
{
    if (g->uniform) {
        qs_fq q = fq_of(g);
        qs_num()->fqgrad(x, n, &q, r, grad, out);
    } else {
        qs_fqbook q = fqbook_of(g);
        qs_num()->fqbookgrad(x, n, &q, r, grad, out);
    }
}

void qs_grid_rank(const qs_grid *g, const float *x, size_t n, int32_t *rank)
{
    if (g->picked) {
        for (size_t i = 0; i < n; i++) rank[i] = isnan(x[i]) ? 0 : (int32_t)picked_rank(g, x[i]);
    } else if (g->uniform) {
        qs_fq q = fq_of(g);
        int32_t lo = (int32_t)g->lo;
        qs_num()->fqcode(x, n, &q, rank);
        for (size_t i = 0; i < n; i++) rank[i] -= lo;
    } else {
        qs_fqbook q = fqbook_of(g);
        qs_num()->fqbookcode(x, n, &q, rank);
    }
}

bool qs_grid_byte(const qs_grid *g, const float *x, size_t n, uint8_t *code)
{
    qs_fq q = fq_of(g);
    return qs_num()->fqbyte(x, n, &q, code);
}

void qs_grid_encode(const qs_grid *g, const float *x, size_t n, int32_t *code)
{
    int32_t last = (int32_t)g->n - 1, code0 = g->code0;
    qs_grid_rank(g, x, n, code);
    if (g->mirrored)
        for (size_t i = 0; i < n; i++) code[i] = last - code[i] + code0;
    else if (code0)
        for (size_t i = 0; i < n; i++) code[i] += code0;
}

/* ---- cuts ---------------------------------------------------------------------------------- */
/* From x to u: a division by s, or where inv is not 0 a multiplication. */
struct map { float s, beta, inv; };

static inline bool goes_up(float x, const struct map *m, float t, bool up)
{
    float d = x - m->beta, u = m->inv != 0 ? d * m->inv : d / m->s;
    return up ? u >= t : u > t;
}

/* Floats in order as integers, and back. */
static inline int32_t order_of(float x)
{
    int32_t i;
    memcpy(&i, &x, sizeof i);
    return i < 0 ? INT32_MIN - i : i;
}

static inline float float_at(int32_t i)
{
    float x;
    if (i < 0) i = INT32_MIN - i;
    memcpy(&x, &i, sizeof x);
    return x;
}

static float cut_by_halving(const struct map *m, float t, bool up)
{
    int64_t lo = order_of(-FLT_MAX) - 1, hi = (int64_t)order_of(FLT_MAX) + 1;   /* lo stays below, hi goes up */
    while (hi - lo > 1) {
        int64_t mid = lo + (hi - lo) / 2;
        if (goes_up(float_at((int32_t)mid), m, t, up)) hi = mid;
        else lo = mid;
    }
    return hi > order_of(FLT_MAX) ? INFINITY : float_at((int32_t)hi);
}

static float cut(const struct map *m, float t, bool up)
{
    double near = (double)t * m->s + m->beta;
    if (!(fabs(near) < FLT_MAX / 2)) return cut_by_halving(m, t, up);
    int32_t i = order_of((float)near);
    if (goes_up(float_at(i), m, t, up)) {
        for (int tries = 0; tries < 6; tries++, i--)
            if (!goes_up(float_at(i - 1), m, t, up)) return float_at(i) + 0.0f;
    } else {
        for (int tries = 0; tries < 6; tries++)
            if (goes_up(float_at(++i), m, t, up)) return float_at(i) + 0.0f;
    }
    return cut_by_halving(m, t, up) + 0.0f;
}

float qs_cut(float s, float beta, float t, bool up) { return cut(&(struct map){s, beta, 0}, t, up); }

float qs_grid_cut(const qs_grid *g, size_t k)
{
    if (g->picked) return cut(&(struct map){1 / g->inv, g->origin, g->inv}, g->t[k], g->up[k]);
    return qs_cut(g->s, g->beta, g->t[k], g->up[k]);
}

/* ---- whole tensors ------------------------------------------------------------------------------ */
int qs_quantizer_fits(const qs_quantizer *q, const qs_tensor *t, qs_split *split, qs_err *err)
{
    int rc = qs_format_split(q->f, t, split, err);
    if (rc) return rc;
    if (split->parts == q->parts) return 0;
    char shape[128];
    return qs_fail(err, QS_EARG, _("the quantizer has %zu steps; %s %s in %s needs %zu"), q->parts,
                   t->name ? t->name : "?", qs_tensor_shape_text(t, shape, sizeof shape), q->f->text, split->parts);
}

struct walk {
    const qs_quantizer *q;
    const qs_tensor *t;
    const qs_split *s;
    float *out;            /* values, or NULL */
    int32_t *code;         /* codes, or NULL */
    size_t per;            /* parts a chunk; 0: chunks of one part that is the tensor */
    size_t first;          /* chunk number of this batch's first */
};

static void do_run(const struct walk *w, const qs_grid *g, const float *x, size_t n, float *out, int32_t *code)
{
    (void)w;
    if (out) qs_grid_apply(g, x, n, out);
    else qs_grid_encode(g, x, n, code);
}

/* Elements start .. start+n-1 of the C order under one grid. */
static void do_flat(const struct walk *w, const qs_grid *g, size_t start, size_t n)
{
    const float *in = qs_tensor_floats(w->t);
    float *buf = NULL;
    if (!in) {
        buf = qs_xmalloc(n * sizeof *buf);
        qs_tensor_read(w->t, start, n, buf);
    }
    do_run(w, g, in ? in + start : buf, n, w->out ? w->out + start : NULL, w->code ? w->code + start : NULL);
    free(buf);
}

/* A part whose elements lie apart. */
static void do_part(const struct walk *w, const qs_grid *g, size_t part, size_t n)
{
    float *buf = qs_xmalloc(n * sizeof *buf);
    qs_split_gather(w->s, w->t, part, buf);
    if (w->out) {
        qs_grid_apply(g, buf, n, buf);
        qs_split_scatter(w->s, w->t, part, buf, w->out);
    } else {
        int32_t *code = qs_xmalloc(n * sizeof *code);
        qs_grid_encode(g, buf, n, code);
        for (size_t i = 0; i < n; i++) w->code[qs_split_where(w->s, w->t, part, i)] = code[i];
        free(code);
    }
    free(buf);
}

static void do_parts(const struct walk *w, size_t chunk)
{
    size_t from = chunk * w->per, to = from + w->per < w->s->parts ? from + w->per : w->s->parts;
    for (size_t p = from; p < to; p++) {
        qs_grid g;
        size_t n = qs_split_len(w->s, w->t, p);
        if (!n) continue;
        qs_grid_part(&g, w->q, p);
        if (w->s->contiguous) do_flat(w, &g, qs_split_where(w->s, w->t, p, 0), n);
        else do_part(w, &g, p, n);
        qs_grid_clear(&g);
    }
}

static void do_chunk(void *arg, size_t i)
{
    const struct walk *w = arg;
    size_t chunk = w->first + i;
    if (w->per) {
        do_parts(w, chunk);
        return;
    }
    qs_grid g;
    size_t start = chunk * CHUNK, n = w->t->n - start < CHUNK ? w->t->n - start : CHUNK;
    qs_grid_part(&g, w->q, 0);
    do_flat(w, &g, start, n);
    qs_grid_clear(&g);
}

static int walk_tensor(struct walk *w, const qs_ctl *ctl, qs_err *err)
{
    qs_split s;
    int rc = qs_quantizer_fits(w->q, w->t, &s, err);
    if (rc) return rc;
    w->s = &s;
    size_t chunks = (w->t->n + CHUNK - 1) / CHUNK;
    if (s.parts > 1) {
        size_t longest = qs_split_longest(&s, w->t);
        w->per = longest && longest < CHUNK ? CHUNK / longest : 1;
        chunks = (s.parts + w->per - 1) / w->per;
    }
    for (w->first = 0; w->first < chunks && !rc; w->first += BATCH) {
        rc = qs_ctl_check(ctl, _("quantizing"), (double)w->first / (double)chunks, err);
        if (!rc) qs_parallel(chunks - w->first < BATCH ? chunks - w->first : BATCH, do_chunk, w);
    }
    return rc ? rc : qs_tensor_check(w->t, err);
}

int qs_quantizer_apply(const qs_quantizer *q, const qs_tensor *t, float *out, const qs_ctl *ctl, qs_err *err)
{
    struct walk w = {.q = q, .t = t, .out = out};
    return walk_tensor(&w, ctl, err);
}

int qs_quantizer_encode(const qs_quantizer *q, const qs_tensor *t, int32_t *out, const qs_ctl *ctl, qs_err *err)
{
    struct walk w = {.q = q, .t = t, .code = out};
    return walk_tensor(&w, ctl, err);
}
