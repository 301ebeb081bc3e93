/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Fake quantization at one place of a network: parameters, forward, straight-
 * through backward with the parameters' gradients. It knows formats and learning
 * rules through quant's grids and rules; it does not know layers, and it does not
 * decide how parameters move: that is the optimizer's. Where they start is found
 * in site_fit.c, what a record says of the values in site_look.c, what gives channels their mean and deviation back in
 * site_correct.c.
 *
 * Everything runs over spans: runs of values that share one step. Spans of
 * channels-last activations are gathered a block of rows at a time.
 */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "train/site_in.h"

/* ---- making one ---------------------------------------------------------------------------- */
/* Elements, parts and inner of the values, from the format's granularity and the net's shapes. */
static int shape_of(qs_site *s, const qs_net *net, qs_err *err)
{
    const qs_node *node = &net->node[s->node];
    const qs_node *from = node->in[0] >= 0 ? &net->node[node->in[0]] : NULL;
    const qs_param *w = s->act ? NULL : &net->param[node->weight];
    s->n = s->act ? (size_t)from->h * (size_t)from->w * (size_t)from->c : w->n;
    s->parts = 1;
    s->inner = 1;
    if (s->f->gran == QS_SPLIT_TENSOR) return 0;
    int axis = s->act ? ACT_AXIS : 0;
    if (s->f->gran == QS_SPLIT_GROUP)
        return qs_fail(err, QS_EUNSUP, _("%s: %s: training knows @tensor and @channel, not groups"), s->name, s->f->text);
    if (s->f->axis >= 0 && s->f->axis != axis)
        return qs_fail(err, QS_EUNSUP, _("%s: %s: the channel axis is %d here; write @channel"), s->name, s->f->text, axis);
    s->parts = s->act ? (size_t)from->c : (size_t)w->shape[0];
    s->inner = s->act ? 1 : s->n / s->parts;
    return 0;
}

/* The name of a learning rule, with ":rescale" behind rcf. */
static int learn_of(qs_site *s, const char *name, qs_err *err)
{
    char base[16];
    bool rescale = !strcmp(name, "rcf:rescale");
    snprintf(base, sizeof base, "%s", rescale ? "rcf" : name);
    if (strlen(name) >= sizeof s->learn_name || qs_learn_named(base, &s->learn, NULL))
        return qs_fail(err, QS_EARG, _("%s: no learning rule \"%.40s\": none, lsq, lsq+, rcf, rcf:rescale, pact"),
                       s->name, name);
    snprintf(s->learn_name, sizeof s->learn_name, "%s", name);
    s->fixed = s->learn == QS_LEARN_NONE;
    s->normalize = s->learn == QS_LEARN_RCF && !s->act;
    s->rescale = rescale && s->normalize;
    return 0;
}

static int name_of(qs_site *s, const qs_net *net, qs_err *err)
{
    if (s->node < 0 || s->node >= net->n)
        return qs_fail(err, QS_EARG, _("no node %d in a net of %d"), s->node, net->n);
    const qs_node *node = &net->node[s->node];
    if (!s->act && node->weight < 0) return qs_fail(err, QS_EARG, _("layer %s has no weights to quantize"), node->name);
    if (s->act && node->in[0] < 0) return qs_fail(err, QS_EARG, _("layer %s has no input to quantize"), node->name);
    snprintf(s->name, sizeof s->name, "%.80s.%s", node->name, s->act ? "input" : "weight");
    return 0;
}

/* Levels a value of the site may be on. */
static size_t levels_of(const qs_site *s) { return s->bits ? 256 : s->f->n; }

/* Everything whose size depends on the format; freed with work_free. */
static struct qs_site_work *work_new(const qs_site *s, size_t pieces)
{
    struct qs_site_work *w = qs_xcalloc(1, sizeof *w);
    size_t parts = s->parts;
    w->grid = qs_xcalloc(parts, sizeof *w->grid);
    w->rule = qs_xcalloc(parts, sizeof *w->rule);
    w->z = qs_xcalloc(parts, sizeof *w->z);
    w->edge = qs_xcalloc(parts, sizeof *w->edge);
    w->fresh = qs_xcalloc(2 * parts, sizeof *w->fresh);
    w->count = qs_xcalloc(levels_of(s), sizeof *w->count);
    for (int b = 0; s->bits && b <= 8; b++) w->by_bits[b] = qs_format_channel(s->f, b, NULL);
    bool uniform = s->f->uniform && (!s->bits || w->by_bits[1]->uniform);   /* one bit with a sign is not */
    if (parts > 1 && s->inner == 1 && uniform && !s->f->away && !s->normalize)
        for (int i = 0; i < 8; i++) w->col[i] = qs_xcalloc(parts, sizeof **w->col);
    w->each = qs_grid_room(s->bits ? w->by_bits[8] : s->f);
    w->room = w->each ? qs_xcalloc(parts, w->each) : NULL;
    w->pieces = pieces ? pieces : 1;
    w->stride = (2 * parts + 1 + 15) / 8 * 8;   /* pieces do not share cache lines */
    w->sum = qs_xcalloc(w->pieces * w->stride, sizeof *w->sum);
    return w;
}

static void work_free(struct qs_site_work *w)
{
    if (!w) return;
    free(w->grid);
    free(w->rule);
    free(w->z);
    free(w->edge);
    free(w->fresh);
    free(w->count);
    for (int b = 0; b <= 8; b++) qs_format_free(w->by_bits[b]);
    free(w->room);
    for (int i = 0; i < 8; i++) free(w->col[i]);
    free(w->sum);
    free(w);
}

static double gradient_scale(const qs_site *s, size_t batch)
{
    double n = (double)(s->n / s->parts);
    if (s->gscale == QS_GSCALE_NONE) return 1;
    if (s->gscale == QS_GSCALE_BATCH && s->act) n *= (double)(batch ? batch : 1);
    return qs_grad_scale(s->f, n);
}

/* Weight decay of the clip where a method publishes one (Li et al. 2020 and Choi et al. 2018 regularize alpha). */
static double decay_of(const qs_site *s, double asked)
{
    if (!isnan(asked)) return asked;
    return s->learn == QS_LEARN_RCF || s->learn == QS_LEARN_PACT ? 1e-4 : 0;
}

/* allocate and correct, once format, rule and shape are known. */
static int extras_of(qs_site *s, const qs_net *net, const qs_site_opts *o, qs_err *err)
{
    if (o->allocate == QS_ALLOCATE_YES) {
        qs_format *can = qs_format_channel(s->f, 0, err);
        if (!can) return qs_fail_prefix(err, "%s", s->name);
        qs_format_free(can);
        if (s->f->gran != QS_SPLIT_CHANNEL)
            return qs_fail(err, QS_EARG, _("%s: allocate shares bits between channels: write %s@channel"), s->name, s->f->text);
        s->bits = qs_xmalloc(s->parts);
        memset(s->bits, s->f->bits, s->parts);
    }
    if (o->correct <= QS_CORRECT_NO) return 0;
    if (s->act) return qs_fail(err, QS_EUNSUP, _("%s: correct is for weights"), s->name);
    if (s->normalize)
        return qs_fail(err, QS_EUNSUP, _("%s: correct and rcf: rcf takes mean and deviation out of the weights itself"), s->name);
    s->correct = o->correct;
    s->channels = (size_t)net->param[net->node[s->node].weight].shape[0];
    s->gain = qs_xcalloc(2 * s->channels, sizeof *s->gain);
    s->shift = s->gain + s->channels;
    for (size_t i = 0; i < s->channels; i++) s->gain[i] = 1;
    return 0;
}

static int describe(qs_site *s, const qs_net *net, const qs_site_opts *o, qs_err *err)
{
    int rc = name_of(s, net, err);
    if (rc) return rc;
    if (!o->format || !strcmp(o->format, "float"))
        return qs_fail(err, QS_EARG, _("%s: without a format there is nothing to quantize"), s->name);
    s->f = qs_format_parse(o->format, err);
    if (!s->f) return qs_fail_prefix(err, "%s", s->name);
    s->positive = s->act && qs_net_unsigned(net, s->node);
    rc = learn_of(s, o->learn ? o->learn : "lsq", err);
    if (!rc) rc = shape_of(s, net, err);
    return rc ? rc : extras_of(s, net, o, err);
}

int qs_site_init(qs_site *s, const qs_net *net, int node, bool act, const qs_site_opts *o, size_t batch, size_t pieces,
                 qs_err *err)
{
    *s = (qs_site){.node = node, .act = act, .mask = o->mask, .gscale = o->gscale, .dev = 1};
    int rc = describe(s, net, o, err);
    if (rc) {
        qs_site_clear(s);
        return rc;
    }
    snprintf(s->init, sizeof s->init, "%s", o->init ? o->init : "mse");
    s->attached = o->attached && s->normalize;
    s->step_rate = o->step_rate > 0 ? o->step_rate : 1;
    s->step_decay = decay_of(s, o->step_decay);
    s->step = qs_xcalloc(s->parts, sizeof(double));
    s->dstep = qs_xcalloc(s->parts, sizeof(double));
    s->raw = qs_xcalloc(s->parts, sizeof(double));
    if (s->f->offset) {
        s->offset = qs_xcalloc(s->parts, sizeof(double));
        s->doffset = qs_xcalloc(s->parts, sizeof(double));
    }
    s->work = work_new(s, pieces);
    s->work->scale = gradient_scale(s, batch);
    for (size_t p = 0; p < s->parts; p++) s->work->edge[p] = 1;
    qs_site_set(s, s->work->edge, NULL);
    return 0;
}

void qs_site_clear(qs_site *s)
{
    work_free(s->work);
    qs_format_free(s->f);
    free(s->step);
    free(s->offset);
    free(s->dstep);
    free(s->doffset);
    free(s->raw);
    free(s->bits);
    free(s->gain);
    *s = (qs_site){0};
}

void site_take_format(qs_site *s, qs_format *f)
{
    size_t pieces = s->work->pieces;
    double scale = s->work->scale * qs_grad_scale(f, 1) / qs_grad_scale(s->f, 1);
    if (s->gscale == QS_GSCALE_NONE) scale = 1;
    work_free(s->work);
    qs_format_free(s->f);
    s->f = f;
    s->work = work_new(s, pieces);
    s->work->scale = scale;
}

/* ---- parameters ----------------------------------------------------------------------------- */
const qs_format *qs_site_format(const qs_site *s, size_t part)
{
    return s->bits ? s->work->by_bits[s->bits[part]] : s->f;
}

/* The nearest step that float32 arithmetic can use; `old` where the new one is no number. */
static double usable_step(const qs_format *f, double step, double old)
{
    double least = FLT_MIN, most = FLT_MAX / (2 * fmax(1, f->cmax + f->qn + f->qp));
    if (!isfinite(step)) step = old;
    double size = f->flip ? fabs(step) : step;
    size = size > least ? fmin(size, most) : least;
    return f->flip && step < 0 ? -size : size;
}

/* A zero point stays unless another offset than the one that stands is given; so beta = -s z follows the step. */
static double usable_offset(const qs_site *s, size_t p, double step, const double *offset)
{
    double lo, hi, beta = offset ? offset[p] : s->offset[p], *z = &s->work->z[p];
    if (s->f->offset == QS_OFFSET_REAL) return fabs(beta) < FLT_MAX / 2 ? beta : s->offset[p];
    if (beta != s->offset[p] && isfinite(beta)) {
        qs_format_zp_range(qs_site_format(s, p), &lo, &hi);
        *z = fmax(lo, fmin(hi, rint(-beta / step)));
    }
    return *z != 0 ? -step * *z : 0;
}

/* A part's column of the arrays that the kernels of channels-last values read. */
static void set_column(struct qs_site_work *w, size_t p)
{
    const qs_grid *g = &w->grid[p];
    const qs_fqrule *r = &w->rule[p];
    const float v[8] = {g->s, g->beta, g->lo, g->hi, r->in_lo, r->in_hi, r->lo, r->hi};
    for (int i = 0; i < 8; i++) w->col[i][p] = v[i];
}

/* New numbers of one part; the codebook, in units of the step, changes only with the zero point or the sign. */
static void set_grid(qs_site *s, size_t p, bool same_book)
{
    struct qs_site_work *w = s->work;
    double beta = s->offset ? s->offset[p] : 0;
    if (same_book) {
        w->grid[p].s = fabsf((float)s->step[p]);
        w->grid[p].beta = s->f->offset == QS_OFFSET_ZP ? 0 : (float)beta;
    } else {
        qs_grid_place(&w->grid[p], qs_site_format(s, p), s->step[p], beta, w->room ? w->room + p * w->each : NULL);
        qs_grid_rule(&w->grid[p], s->learn, s->mask, &w->rule[p]);
    }
    if (w->col[0]) set_column(w, p);
}

void qs_site_set(qs_site *s, const double *step, const double *offset)
{
    struct qs_site_work *w = s->work;
    for (size_t p = 0; p < s->parts; p++) {
        const qs_grid *g = &w->grid[p];
        const qs_format *f = qs_site_format(s, p);
        double z = w->z[p], d = usable_step(f, step[p], s->step[p] != 0 ? s->step[p] : 1);
        double beta = s->offset ? usable_offset(s, p, d, offset) : 0;
        s->step[p] = d;
        if (s->offset) s->offset[p] = beta;
        set_grid(s, p, g->f == f && z == w->z[p] && g->mirrored == (d < 0));
    }
}

void qs_site_allot(qs_site *s, const uint8_t *bits)
{
    memcpy(s->bits, bits, s->parts);
    memset(s->work->z, 0, s->parts * sizeof *s->work->z);
    memcpy(s->work->fresh, s->step, s->parts * sizeof *s->step);
    qs_site_set(s, s->work->fresh, s->offset);
}

void qs_site_scale(qs_site *s, double factor)
{
    double *v = s->work->fresh;
    for (size_t p = 0; p < s->parts; p++) v[p] = s->step[p] * factor;
    qs_site_set(s, v, NULL);
}

/* ---- spans ------------------------------------------------------------------------------------ */
static void *cell(void *io, size_t i) { return io ? (char *)io + 4 * i : NULL; }

void site_normalize(const qs_site *s, const float *w, size_t n, float *y)
{
    const float mean = (float)s->mean, dev = (float)s->dev;
    for (size_t i = 0; i < n; i++) y[i] = (w[i] - mean) / dev;
}

/* Values that lie together. */
static void one_span(const struct spans *k, size_t part, const float *x, size_t n, void *io)
{
    float y[SPAN];
    if (!k->s->normalize) {
        k->fn(k->s, part, x, n, io, k->ctx);
        return;
    }
    for (size_t i = 0; i < n; i += SPAN) {
        size_t m = n - i < SPAN ? n - i : SPAN;
        site_normalize(k->s, x + i, m, y);
        k->fn(k->s, part, y, m, cell(io, i), k->ctx);
    }
}

/* The values of one channel among the first n, every `parts`th from `first`. */
static void one_column(const struct spans *k, size_t part, const float *x, size_t first, size_t n, void *io)
{
    float y[SPAN];
    uint32_t box[SPAN];
    size_t m = 0, parts = k->s->parts;
    for (size_t i = first; i < n; i += parts, m++) {
        y[m] = x[i];
        if (io && k->reads) memcpy(&box[m], cell(io, i), sizeof *box);
    }
    if (!m) return;
    if (k->s->normalize) site_normalize(k->s, y, m, y);
    k->fn(k->s, part, y, m, io ? box : NULL, k->ctx);
    if (io)
        for (size_t i = first, j = 0; i < n; i += parts, j++) memcpy(cell(io, i), &box[j], sizeof *box);
}

/* Channels last: blocks of rows that stay in the cache, channel by channel. */
static void columns(const struct spans *k, const float *x, size_t start, size_t n, void *io)
{
    size_t parts = k->s->parts, rows = 8192 / parts;
    size_t block = parts * (rows < 16 ? 16 : rows > SPAN ? SPAN : rows);
    for (size_t at = 0; at < n; at += block) {
        size_t m = n - at < block ? n - at : block;
        for (size_t p = 0; p < parts; p++)
            one_column(k, p, x + at, (p + parts - (start + at) % parts) % parts, m, cell(io, at));
    }
}

void site_each_span(const struct spans *k, const float *x, size_t start, size_t n, void *io)
{
    const qs_site *s = k->s;
    if (s->parts > 1 && s->inner == 1) {
        columns(k, x, start, n, io);
        return;
    }
    for (size_t i = 0, m; i < n; i += m) {
        size_t part = s->parts > 1 ? (start + i) / s->inner % s->parts : 0;
        m = s->parts > 1 ? s->inner - (start + i) % s->inner : n;
        if (m > n - i) m = n - i;
        one_span(k, part, x + i, m, cell(io, i));
    }
}

/* ---- forward and backward ----------------------------------------------------------------------- */
void qs_site_begin(qs_site *s, const float *w)
{
    qs_pass1 a;
    qs_pass2 b;
    if (s->gain) site_find_correction(s, w);
    if (!s->normalize) return;
    qs_num()->pass1(w, s->n, &a);
    s->mean = a.finite ? a.sum / (double)a.finite : 0;
    qs_num()->pass2(w, s->n, s->mean, &b);
    s->dev = a.finite > 1 ? sqrt(b.m2 / (double)(a.finite - 1)) : 1;
    if (!((float)s->dev > 0) || !isfinite((float)s->dev)) s->dev = 1;
}

static void forward_span(const qs_site *s, size_t part, const float *x, size_t n, void *io, void *ctx)
{
    float *out = io, dev = (float)s->dev;
    (void)ctx;
    qs_grid_apply(&s->work->grid[part], x, n, out);
    if (s->rescale)
        for (size_t i = 0; i < n; i++) out[i] *= dev;
}

/* Whole rows of channels-last values under one uniform format: the kernels walk them as they lie. */
static bool whole_rows(const qs_site *s, size_t start, size_t n)
{
    return s->work->col[0] && s->parts >= 8 && start % s->parts == 0 && n % s->parts == 0;
}

static qs_fqcols cols_of(const qs_site *s)
{
    float *const *v = s->work->col;
    return (qs_fqcols){v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7], s->work->rule[0].inner};
}

void site_plain_forward(const qs_site *s, const float *x, size_t start, size_t n, float *out)
{
    if (whole_rows(s, start, n)) {
        qs_fqcols q = cols_of(s);
        qs_num()->fqcols(x, n / s->parts, s->parts, &q, out);
        return;
    }
    site_each_span(&(struct spans){.s = s, .fn = forward_span}, x, start, n, out);
}

void qs_site_forward(const qs_site *s, const float *x, size_t start, size_t n, float *out)
{
    site_plain_forward(s, x, start, n, out);
    if (s->gain) site_correct(s, start, n, s->shift, out);
}

bool qs_site_whole(const qs_site *s)
{
    const qs_format *f = s->f;
    if (s->bits || s->gain) return false;
    bool fits = s->act ? f->qn <= 0 && f->qp <= 255 && s->parts == 1 : f->qn <= 128 && f->qp <= 127;
    return f->uniform && !f->flip && f->offset == QS_OFFSET_NONE && !s->normalize && fits;
}

bool qs_site_codes(const qs_site *s, const float *x, size_t start, size_t n, uint8_t *code)
{
    bool numbers = true;
    for (size_t i = 0, m; i < n; i += m) {
        m = s->parts > 1 ? s->inner - (start + i) % s->inner : n;
        if (m > n - i) m = n - i;
        size_t part = s->parts > 1 ? (start + i) / s->inner % s->parts : 0;
        numbers &= qs_grid_byte(&s->work->grid[part], x + i, m, code + i);
    }
    return numbers;
}

/* dL/d dev of dev Q(y), y held: sum g Q(y). Normalized spans are short. */
static double rescale_sum(const qs_grid *grid, const float *y, const float *g, size_t n)
{
    float q[SPAN];
    double sum = 0;
    qs_grid_apply(grid, y, n, q);
    for (size_t i = 0; i < n; i++) sum += (double)g[i] * q[i];
    return sum;
}

static void backward_span(const qs_site *s, size_t part, const float *x, size_t n, void *io, void *ctx)
{
    float *g = io, dev = (float)s->dev;
    double *sum = ctx;
    qs_fqsums add;
    if (s->rescale) {
        if (s->attached) sum[2 * s->parts] += rescale_sum(&s->work->grid[part], x, g, n);
        for (size_t i = 0; i < n; i++) g[i] *= dev;
    }
    qs_grid_grad(&s->work->grid[part], x, n, &s->work->rule[part], g, &add);
    sum[part] += add.step;
    sum[s->parts + part] += add.offset;
    if (s->normalize && !s->attached)
        for (size_t i = 0; i < n; i++) g[i] /= dev;
}

void qs_site_backward(qs_site *s, const float *x, size_t start, size_t n, size_t piece, float *g)
{
    double *sum = s->work->sum + piece * s->work->stride;
    if (s->gain) site_correct(s, start, n, NULL, g);
    if (whole_rows(s, start, n)) {
        qs_fqcols q = cols_of(s);
        qs_num()->fqcolsgrad(x, n / s->parts, s->parts, &q, g, sum, sum + s->parts);
        return;
    }
    site_each_span(&(struct spans){.s = s, .fn = backward_span, .ctx = sum, .reads = true}, x, start, n, g);
}

void qs_site_zero(qs_site *s)
{
    memset(s->work->sum, 0, s->work->pieces * s->work->stride * sizeof *s->work->sum);
}

/*
 * Through the normalization y = (w - mean)/dev. g holds h = dL/dy; with rescale the deviation also feels
 * D = sum g Q(y) directly. d mean/dw_i = 1/n, d dev/dw_i = y_i/(n-1).
 */
static void finish_attached(const qs_site *s, const float *w, double direct, float *g)
{
    const double n = (double)s->n, mean = s->mean, dev = s->dev;
    double sh = 0, shy = 0;
    if (s->n < 2) {
        g[0] = 0;
        return;
    }
    for (size_t i = 0; i < s->n; i++) {
        sh += g[i];
        shy += g[i] * ((w[i] - mean) / dev);
    }
    for (size_t i = 0; i < s->n; i++) {
        double y = (w[i] - mean) / dev;
        g[i] = (float)((g[i] - sh / n - y * shy / (n - 1)) / dev + direct * y / (n - 1));
    }
}

static double norm_of(const float *x, size_t n) { return sqrt(qs_num()->sumsq(x, n)); }

/* Of a part's step, where its levels are not those of the others. */
static double scale_of(const qs_site *s, size_t p)
{
    if (!s->bits || s->gscale == QS_GSCALE_NONE) return s->work->scale;
    return s->work->scale * qs_grad_scale(qs_site_format(s, p), 1) / qs_grad_scale(s->f, 1);
}

void qs_site_end(qs_site *s, const float *w, float *g)
{
    struct qs_site_work *k = s->work;
    double direct = 0;
    bool moves = s->learn == QS_LEARN_LSQP && s->f->offset == QS_OFFSET_REAL;
    for (size_t j = 0; j < k->pieces; j++) direct += k->sum[j * k->stride + 2 * s->parts];
    for (size_t p = 0; p < s->parts; p++) {
        double ds = 0, db = 0;
        for (size_t j = 0; j < k->pieces; j++) {
            ds += k->sum[j * k->stride + p];
            db += k->sum[j * k->stride + s->parts + p];
        }
        if (s->fixed) ds = 0;
        s->raw[p] = k->grid[p].mirrored ? -ds : ds;
        double scale = scale_of(s, p);
        s->dstep[p] = scale * s->raw[p];
        if (s->doffset) s->doffset[p] = moves ? scale * db : 0;
    }
    if (s->attached && w && g) finish_attached(s, w, direct, g);
    s->gnorm = g ? norm_of(g, s->n) : 0;
    s->vnorm = w ? norm_of(w, s->n) : 0;
}
