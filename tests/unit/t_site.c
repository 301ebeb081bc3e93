/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Sites against what defines them: forward and gradients against the quantizer of the same parameters for every format,
 * granularity, mask and rule; the published vectors; central differences where the defined gradient is a true one.
 */
#include <float.h>
#include <malloc.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/rng.h"
#include "base/sync.h"
#include "num/kernels.h"
#include "quant/grid.h"
#include "train/site.h"
#include "../tap.h"

#define H 6
#define W 5
#define C 19
#define OUT 8
#define KK 3
#define NW (OUT * C * KK * KK)
#define IMAGES 3
#define NA (IMAGES * H * W * C)
#define MAXN 2048
#define PIECES 5

static qs_net *net;            /* input 6x5x19, conv 8 3x3 */
static qs_net *line;           /* input 1x1x8, linear 1 */
static qs_rng rng;

static qs_net *make_net(int h, int w, int c, qs_op op, int out, int kernel)
{
    qs_net *n = qs_net_new(h, w, c, NULL);
    qs_layer l = {.op = op, .in = -1, .in2 = -1, .out = out, .kernel = kernel};
    if (!n || qs_net_add(n, &l, NULL) < 0) return NULL;
    return n;
}

static qs_site_opts opts(const char *format, const char *learn)
{
    return (qs_site_opts){.format = format, .learn = learn, .init = "mse", .step_decay = NAN};
}

static qs_site make_on(const qs_net *of, bool act, qs_site_opts o)
{
    qs_site s;
    qs_err e = {0};
    if (qs_site_init(&s, of, 1, act, &o, IMAGES, PIECES, &e)) ok(0, "%s %s: %s", o.format, o.learn, e.msg);
    return s;
}

/* A whole backward pass in one piece. */
static void backward(qs_site *s, const float *x, size_t n, const float *up, float *dx)
{
    memcpy(dx, up, n * sizeof *dx);
    qs_site_zero(s);
    qs_site_backward(s, x, 0, n, 0, dx);
    qs_site_end(s, s->act ? NULL : x, s->act ? NULL : dx);
}

/* ---- METHODS 11.10 ---------------------------------------------------------------------------- */
static const float x8[] = {-2.3f, -1.26f, -.74f, -.3f, .2f, .37f, .9f, 1.6f}, g8[] =
    {.5f, -1, .25f, 2, -.75f, 1.5f, -.4f, .8f};

static bool equal(const float *a, const float *b, size_t n, double tol)
{
    for (size_t i = 0; i < n; i++)
        if (!(fabs((double)a[i] - b[i]) <= tol)) return false;
    return true;
}

static void vector(const char *format, const char *learn, double step, double offset, bool act, const float *want,
                   const float *dx, double raw, double scaled, double db)
{
    float y[8], d[8];
    qs_site s = make_on(line, act, opts(format, learn));
    qs_site_set(&s, &step, s.offset ? &offset : NULL);
    qs_site_forward(&s, x8, 0, 8, y);
    backward(&s, x8, 8, g8, d);
    ok(equal(y, want, 8, 3e-7), "11.10 %s %s: values", format, act ? "input" : "weight");
    if (dx) ok(equal(d, dx, 8, 0), "11.10 %s: dx", format);
    near(s.raw[0], raw, 1e-5, "11.10 %s: dL/ds", format);
    if (scaled != 0) near(s.dstep[0], scaled, 1e-5, "11.10 %s: scaled", format);
    if (s.doffset) near(s.doffset[0], db / sqrt(8 * 7.), 1e-9, "11.10 %s: dL/dbeta", format);
    qs_site_clear(&s);
}

static void published(void)
{
    for (int act = 0; act < 2; act++) {
        vector("int3", "lsq", .5, 0, act, (float[]){-2, -1.5f, -.5f, -.5f, 0, .5f, 1, 1.5f},
               (float[]){0, -1, .25f, 2, -.75f, 1.5f, -.4f, 0}, .81, .16534055763786457, 0);
        vector("int2", "lsq", .8, 0, act, (float[]){-1.6f, -1.6f, -.8f, 0, 0, 0, .8f, .8f}, NULL, .05, .0176776695, 0);
    }
    vector("uint3+offset", "lsq+", .45, -1.3, true, (float[]){-1.3f, -1.3f, -.85f, -.4f, .05f, .5f, .95f, 1.4f}, NULL,
           -.1333333333, 0, .5);
}

/* ---- every format ------------------------------------------------------------------------------- */
static const char *const bases[] = {"int2", "int3", "int4", "int5", "int6", "int7", "int8", "int16", "int2:narrow",
    "int4:away", "int8:narrow:away", "int4:flip", "nf4:flip", "uint1", "uint2", "uint3", "uint4", "uint8", "uint16", "pot2",
    "pot4", "apot2", "apot3", "apot4", "apot5", "uapot2", "uapot3", "uapot4", "nf4", "fp4", "fp8e4m3", "fp8e5m2",
    "codebook(-1;0;0.3;2)", "codebook(-1;-0.4;0.1;2;3.5):away", "codebook(0.5)"};
static const char *const offsets[] = {"", "+offset", "+zp"};

static float X[MAXN], UP[MAXN], DX[MAXN], Y[MAXN], Y2[MAXN], REF[MAXN];

static void fill(size_t n)
{
    for (size_t i = 0; i < n; i++) {
        X[i] = (float)qs_rng_normal(&rng);
        UP[i] = (float)qs_rng_normal(&rng);
        if (i % 9 == 0) X[i] = (float)((int)(qs_rng_next(&rng) % 33) - 16) * 0.125f;   /* on levels and thresholds */
    }
}

/* Steps that clip some of a normal distribution; powers of two for every other part, so that bounds are hit. */
static void set_random(qs_site *s)
{
    double step[64], offset[64], lo, hi;
    qs_format_zp_range(s->f, &lo, &hi);
    for (size_t p = 0; p < s->parts; p++) {
        step[p] = (1 + qs_rng_uniform(&rng)) / fmax(s->f->cmax, 1e-3);
        if (p % 2 == 0) step[p] = exp2(round(log2(step[p])));
        if (s->f->flip && qs_rng_next(&rng) % 2) step[p] = -step[p];
        offset[p] = .6 * qs_rng_uniform(&rng) - .3;
        if (s->f->offset == QS_OFFSET_ZP) offset[p] = -step[p] * rint(lo + (hi - lo) * qs_rng_uniform(&rng));
    }
    qs_site_set(s, step, s->offset ? offset : NULL);
}

/* The tensor a site's values are, and the quantizer of the same parameters on it. */
struct twin { qs_tensor *t; qs_quantizer *q; qs_format *f; };

static struct twin twin_of(const qs_site *s, const char *format, const float *x)
{
    struct twin w = {0};
    char text[128];
    float *mem;
    int64_t act[] = {IMAGES, H, W, C}, weight[] = {OUT, C, KK, KK};
    bool channel = strchr(format, '@') != NULL;
    snprintf(text, sizeof text, "%s%s", format, channel ? s->act ? "3" : "0" : "");
    w.f = qs_format_parse(text, NULL);
    w.t = qs_tensor_f32("x", 4, s->act ? act : weight, &mem, NULL);
    memcpy(mem, x, (s->act ? NA : NW) * sizeof *x);
    w.q = qs_quantizer_new(w.f, NULL, s->parts, s->step, s->offset, NULL);
    return w;
}

static void twin_clear(struct twin *w)
{
    qs_quantizer_unref(w->q);
    qs_tensor_unref(w->t);
    qs_format_free(w->f);
}

/* The same values in five pieces cut anywhere. */
static void in_pieces(qs_site *s, const float *x, size_t n, float *y)
{
    static const size_t cut[] = {0, 7, 100, 101, 230};
    for (int k = 4; k >= 0; k--) {
        size_t to = k == 4 ? n : cut[k + 1];
        qs_site_forward(s, x + cut[k], cut[k], to - cut[k], y + cut[k]);
    }
}

static size_t n_of(const qs_site *s) { return s->act ? NA : NW; }

static int forward_differs(qs_site *s, const char *format)
{
    size_t n = n_of(s), bad = 0;
    int32_t rank[MAXN];
    fill(n);
    struct twin w = twin_of(s, format, X);
    if (!w.q || qs_quantizer_apply(w.q, w.t, REF, NULL, NULL)) return 1;
    qs_site_forward(s, X, 0, n, Y);
    in_pieces(s, X, n, Y2);
    bad += memcmp(Y, REF, n * sizeof *Y) != 0;
    bad += memcmp(Y2, REF, n * sizeof *Y) != 0;
    qs_site_rank(s, X, 0, n, rank);
    for (size_t p = 0; p < s->parts; p++) {
        qs_grid g;
        qs_grid_init(&g, w.q, p);
        for (size_t i = 0; i < n; i++) {
            size_t of = s->parts == 1 ? 0 : s->act ? i % C : i / (C * KK * KK);
            bad += of == p && (rank[i] < 0 || (size_t)rank[i] >= g.n || g.lv[rank[i]] != Y[i]);
        }
        qs_grid_clear(&g);
    }
    memcpy(Y2, X, n * sizeof *X);
    qs_site_forward(s, Y2, 0, n, Y2);
    bad += memcmp(Y2, REF, n * sizeof *Y) != 0;
    twin_clear(&w);
    return bad != 0;
}

/* Every base with every offset and granularity; f says how many of its checks failed. */
static void over_formats(const char *what, int (*f)(const char *format, bool act))
{
    for (size_t b = 0; b < sizeof bases / sizeof *bases; b++) {
        int bad = 0;
        for (int o = 0; o < 3; o++)
            for (int gran = 0; gran < 2; gran++)
                for (int act = 0; act < 2; act++) {
                    char text[128];
                    /* 65536 levels a channel: slow */
                    if (strstr(bases[b], "16") && (TAP_SANITIZED ? o || gran : o == 2 && gran)) continue;
                    snprintf(text, sizeof text, "%s%s%s", bases[b], offsets[o], gran ? "@channel" : "");
                    int wrong = f(text, act);
                    if (wrong) printf("# %s %s\n", text, act ? "input" : "weight");
                    bad += wrong;
                }
        ok(!bad, "%s, every offset and granularity: %s", bases[b], what);
    }
}

static int check_forward(const char *format, bool act)
{
    qs_site s = make_on(net, act, opts(format, "lsq"));
    set_random(&s);
    int bad = forward_differs(&s, format);
    set_random(&s);
    bad += forward_differs(&s, format);
    qs_site_clear(&s);
    return bad;
}

/* ---- gradients against qs_quantizer_grad ------------------------------------------------------------- */
static bool bit_near(double got, double want, double size) { return fabs(got - want) <= 1e-12 * size + 1e-300; }

static int gradient_differs(const char *format, bool act, const char *learn, qs_mask mask)
{
    qs_site_opts o = opts(format, learn);
    o.mask = mask;
    qs_site s = make_on(net, act, o);
    size_t n = n_of(&s);
    double ds[64], db[64] = {0}, size = 0;
    int bad = 0;
    set_random(&s);
    fill(n);
    struct twin w = twin_of(&s, format, X);
    qs_grad_opts go = {.learn = s.learn, .mask = mask};
    qs_quantizer_grad(w.q, w.t, UP, &go, REF, ds, db, NULL);
    backward(&s, X, n, UP, DX);
    for (size_t i = 0; i < n; i++) size += fabs((double)UP[i]) * (s.f->cmax + s.f->qn + s.f->qp + 1);
    bad += memcmp(DX, REF, n * sizeof *DX) != 0;
    for (size_t p = 0; p < s.parts; p++) {
        double scale = qs_grad_scale(s.f, (double)s.n / (double)s.parts);
        bad += !bit_near(s.raw[p], ds[p], size) || !bit_near(s.dstep[p], scale * ds[p], size);
        if (s.doffset) bad += !bit_near(s.doffset[p], s.learn == QS_LEARN_LSQP ? scale * db[p] : 0, size);
    }
    twin_clear(&w);
    qs_site_clear(&s);
    return bad;
}

static int check_gradient(const char *format, bool act)
{
    static const char *const learns[] = {"none", "lsq", "lsq+", "pact", "rcf"};
    int bad = 0;
    for (int l = 0; l < 5; l++)
        for (int m = QS_MASK_PAPER; m <= QS_MASK_NONE; m++)
            if (act || strcmp(learns[l], "rcf")) bad += gradient_differs(format, act, learns[l], (qs_mask)m);
    return bad;
}

static void nothing_learned(void)
{
    qs_site s = make_on(net, true, opts("uint4+offset", "none"));
    set_random(&s);
    fill(NA);
    backward(&s, X, NA, UP, DX);
    ok(s.fixed && s.raw[0] == 0 && s.dstep[0] == 0 && s.doffset[0] == 0, "learn none: no gradients of parameters");
    qs_site_clear(&s);
    s = make_on(net, true, opts("int4", "lsq"));
    fill(NA);
    X[3] = NAN;
    X[8] = INFINITY;
    backward(&s, X, NA, UP, DX);
    ok(DX[3] == 0 && DX[8] == 0 && isfinite(s.raw[0]), "NaN gives no gradient, infinity is clipped");
    qs_site_clear(&s);
}

/* ---- the defined rule against differences ----------------------------------------------------------------- */
/*
 * With codes that do not change, d/ds of sum g s c is sum g c, by true differences. The rule is that, less g u inside:
 * the rounding term of the straight-through estimate. At clipped elements both are the same.
 */
static void against_differences(const char *format, const char *learn)
{
    qs_site s = make_on(net, true, opts(format, learn));
    double step = .3, offset[] = {-.25}, sum[2] = {0}, inside = 0, e = 1e-4, clip = 0;
    const float lo = s.f->c[0], hi = s.f->c[s.f->n - 1];
    for (size_t i = 0; i < NA; i++) {   /* u at a quarter of a gap from the level: far from thresholds */
        size_t k = qs_rng_next(&rng) % s.f->n;
        double gap = k + 1 < s.f->n ? s.f->c[k + 1] - s.f->c[k] : 3;
        double u = s.f->c[k] + .25 * gap;
        if (i % 7 == 0) u = lo - 2;
        X[i] = (float)(u * step + (s.offset ? offset[0] : 0));
        UP[i] = (float)qs_rng_normal(&rng);
        if (u > lo && u < hi) inside += UP[i] * u;
        else clip += UP[i] * (u < lo ? lo : hi);
    }
    for (int k = 0; k < 2; k++) {
        double at = step + (k ? e : -e);
        qs_site_set(&s, &at, s.offset ? offset : NULL);
        qs_site_forward(&s, X, 0, NA, Y);
        for (size_t i = 0; i < NA; i++) sum[k] += UP[i] * ((double)Y[i] - (s.offset ? offset[0] : 0));
    }
    qs_site_set(&s, &step, s.offset ? offset : NULL);
    backward(&s, X, NA, UP, DX);
    double fd = (sum[1] - sum[0]) / (2 * e), want = strcmp(learn, "pact") ? fd - inside : clip;
    ok(fabs(s.raw[0] - want) < 2e-3 * (1 + fabs(fd)), "%s %s: d/ds is the difference quotient less the rounding term"
       " (%.6g, %.6g)", format, learn, s.raw[0], want);
    qs_site_clear(&s);
}

/* A zero point stays while the step learns: beta = -s z moves with it, and the gradient holds that part too. */
static void zero_point(void)
{
    qs_site s = make_on(net, true, opts("uint4+zp", "lsq+"));
    double step = .2, offset = -1.0, e = 1e-4, sum[2] = {0}, inside = 0;
    qs_site_set(&s, &step, &offset);
    for (size_t i = 0; i < NA; i++) {
        int c = (int)(qs_rng_next(&rng) % 18) - 6;      /* codes -5 .. 10 less z, and one beyond each end */
        X[i] = (float)((c + .2) * step);
        UP[i] = (float)qs_rng_normal(&rng);
        if (c >= -5 && c < 10) inside += UP[i] * (c + .2);
    }
    for (int k = 0; k < 2; k++) {
        double at = step + (k ? e : -e);
        qs_site_set(&s, &at, k ? s.offset : NULL);
        qs_site_forward(&s, X, 0, NA, Y);
        for (size_t i = 0; i < NA; i++) sum[k] += UP[i] * (double)Y[i];
    }
    near(s.offset[0], -5 * (step + e), 1e-12, "+zp: the zero point stays when the step moves");
    qs_site_set(&s, &step, NULL);
    backward(&s, X, NA, UP, DX);
    near(s.raw[0], (sum[1] - sum[0]) / (2 * e) - inside, 2e-3, "+zp: the gradient includes beta = -s z");
    ok(s.doffset[0] == 0, "+zp: the zero point has no gradient");
    step = .1;
    offset = -.3;
    qs_site_set(&s, &step, &offset);
    near(s.offset[0], -.3, 1e-12, "+zp: another offset sets another zero point");
    offset = 99;
    qs_site_set(&s, &step, &offset);
    ok(s.offset[0] == 0, "+zp: zero points stay in their range");
    qs_site_clear(&s);
}

/* ---- rcf on weights ------------------------------------------------------------------------------------------- */
/* What the network sees, with the straight-through estimate frozen: in double, as a function of the weights. */
struct frozen { double keep[NW], rest[NW]; bool rescale; };   /* Q(y) ~ keep y + rest */

static double frozen_loss(const double *w, const float *up, const struct frozen *f)
{
    double mean = 0, var = 0, loss = 0;
    for (int i = 0; i < NW; i++) mean += w[i] / NW;
    for (int i = 0; i < NW; i++) var += (w[i] - mean) * (w[i] - mean) / (NW - 1);
    for (int i = 0; i < NW; i++) {
        double q = f->keep[i] * (w[i] - mean) / sqrt(var) + f->rest[i];
        loss += up[i] * (f->rescale ? sqrt(var) * q : q);
    }
    return loss;
}

static void rcf_weights(const char *format, const char *learn, bool attached)
{
    qs_site_opts o = opts(format, learn);
    o.attached = attached;
    o.mask = QS_MASK_CLAMP;
    qs_site s = make_on(net, false, o);
    double step = 2.1 / s.f->cmax, w[NW], worst = 0, worst_detached = 0;
    static struct frozen f;
    f.rescale = s.rescale;
    fill(NW);
    for (int i = 0; i < NW; i++) w[i] = X[i] = .07f * X[i] + .01f;
    qs_site_begin(&s, X);
    qs_site_set(&s, s.parts == 1 ? &step : s.step, NULL);
    qs_site_forward(&s, X, 0, NW, Y);
    backward(&s, X, NW, UP, DX);
    for (int i = 0; i < NW; i++) {
        double y = (w[i] - s.mean) / s.dev, q = s.rescale ? Y[i] / s.dev : Y[i];
        f.keep[i] = y >= s.f->c[0] * s.step[0] && y <= s.f->c[s.f->n - 1] * s.step[0];
        f.rest[i] = q - f.keep[i] * y;
    }
    for (int i = 0; i < NW; i++) {
        double e = 1e-4, was = w[i];
        w[i] = was + e;
        double up = frozen_loss(w, UP, &f);
        w[i] = was - e;
        double fd = (up - frozen_loss(w, UP, &f)) / (2 * e);
        w[i] = was;
        worst = fmax(worst, fabs(fd - DX[i]) / (1 + fabs(fd)));
        double alone = f.keep[i] * UP[i] / (s.rescale ? 1 : s.dev);
        worst_detached = fmax(worst_detached, fabs(alone - DX[i]) / (1 + fabs(alone)));
    }
    if (attached) ok(worst < 2e-5, "%s %s attached: the gradient by central differences (%.2g)", format, learn, worst);
    else ok(worst_detached < 1e-6, "%s %s detached: mean and deviation are constants (%.2g)", format, learn,
            worst_detached);
    qs_site_clear(&s);
}

static void rcf_values(void)
{
    qs_site a = make_on(net, false, opts("apot4", "rcf")), b = make_on(net, false, opts("apot4", "rcf:rescale"));
    float norm[NW];
    double step = 2.6, ds, db;
    int bad = 0;
    fill(NW);
    for (int i = 0; i < NW; i++) X[i] = .2f * X[i] - .03f;
    qs_site_begin(&a, X);
    qs_site_begin(&b, X);
    qs_site_set(&a, &step, NULL);
    qs_site_set(&b, &step, NULL);
    qs_site_forward(&a, X, 0, NW, Y);
    qs_site_forward(&b, X, 0, NW, Y2);
    for (int i = 0; i < NW; i++) norm[i] = (X[i] - (float)a.mean) / (float)a.dev;
    struct twin w = twin_of(&a, "apot4", norm);
    qs_quantizer_apply(w.q, w.t, REF, NULL, NULL);
    for (int i = 0; i < NW; i++) bad += Y[i] != REF[i] || Y2[i] != REF[i] * (float)b.dev;
    ok(!bad, "rcf quantizes the normalized weights; rescale multiplies the deviation back");
    double mean = 0, var = 0;
    for (int i = 0; i < NW; i++) mean += X[i] / (double)NW;
    for (int i = 0; i < NW; i++) var += (X[i] - mean) * (X[i] - mean) / (NW - 1);
    near(a.mean, mean, 1e-10, "the mean");
    near(a.dev, sqrt(var), 1e-10, "the deviation is n-1");
    qs_grad_opts go = {.learn = QS_LEARN_RCF};
    qs_quantizer_grad(w.q, w.t, UP, &go, REF, &ds, &db, NULL);
    backward(&a, X, NW, UP, DX);
    near(a.raw[0], ds, 1e-10, "rcf: the step's gradient is that of the normalized weights");
    backward(&b, X, NW, UP, DX);
    near(b.raw[0], ds * (double)(float)b.dev, 1e-5, "rescale: times the deviation");
    twin_clear(&w);
    ok(a.step_decay == 1e-4 && !a.attached, "rcf: the clip decays as published");
    near(a.vnorm, sqrt(var * (NW - 1) + mean * mean * NW), 1e-6, "the norm of the weights");
    qs_site_clear(&a);
    qs_site_clear(&b);
}

/* ---- pieces, scales, parameters ----------------------------------------------------------------------------------- */
struct cut { qs_site *s; float *g; size_t n; };

static void cut_piece(void *arg, size_t k)
{
    const struct cut *c = arg;
    size_t per = (c->n + PIECES - 1) / PIECES, from = k * per, to = from + per < c->n ? from + per : c->n;
    qs_site_backward(c->s, X + from, from, to - from, k, c->g + from);
}

static void pieces(const char *format, bool act)
{
    qs_site s = make_on(net, act, opts(format, "lsq+"));
    double raw[2][64], db[2][64] = {{0}};
    size_t n = n_of(&s);
    set_random(&s);
    fill(n);
    for (int k = 0; k < 2; k++) {
        float *g = k ? Y : DX;
        memcpy(g, UP, n * sizeof *g);
        struct cut c = {&s, g, n};
        qs_site_zero(&s);
        if (k) qs_parallel(PIECES, cut_piece, &c);
        else for (size_t j = PIECES; j-- > 0;) cut_piece(&c, j);
        qs_site_end(&s, act ? NULL : X, act ? NULL : g);
        memcpy(raw[k], s.raw, s.parts * sizeof(double));
        if (s.doffset) memcpy(db[k], s.doffset, s.parts * sizeof(double));
    }
    backward(&s, X, n, UP, Y2);
    bool close = true;
    for (size_t p = 0; p < s.parts; p++) close = close && fabs(s.raw[p] - raw[0][p]) <= 1e-12 * (1 + fabs(s.raw[p])) * 100;
    ok(!memcmp(raw[0], raw[1], s.parts * sizeof(double)) && !memcmp(db[0], db[1], s.parts * sizeof(double)) &&
       !memcmp(DX, Y, n * sizeof *DX) && !memcmp(DX, Y2, n * sizeof *DX) && close,
       "%s %s: the same cut gives the same bits, whoever computes it", format, act ? "input" : "weight");
    qs_site_clear(&s);
}

static void scales(void)
{
    static const struct { const char *format; bool act; qs_gscale g; double n, qp; } t[] = {
        {"int4", false, QS_GSCALE_PAPER, NW, 7},          {"int4", false, QS_GSCALE_BATCH, NW, 7},
        {"int4@channel", false, QS_GSCALE_PAPER, NW / OUT, 7},
        {"uint2", true, QS_GSCALE_PAPER, H * W * C, 3},   {"uint2", true, QS_GSCALE_BATCH, H * W * C * IMAGES, 3},
        {"uint2@channel", true, QS_GSCALE_BATCH, H * W * IMAGES, 3}, {"apot4", false, QS_GSCALE_PAPER, NW, 1},
    };
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        qs_site_opts o = opts(t[i].format, "lsq");
        o.gscale = t[i].g;
        qs_site s = make_on(net, t[i].act, o);
        set_random(&s);
        fill(n_of(&s));
        backward(&s, X, n_of(&s), UP, DX);
        near(s.dstep[0], s.raw[0] / sqrt(t[i].n * t[i].qp), 1e-12, "%s: gradient scale 1/sqrt(%g * %g)", t[i].format, t[i].n,
             t[i].qp);
        qs_site_clear(&s);
    }
    qs_site_opts o = opts("int4", "lsq");
    o.gscale = QS_GSCALE_NONE;
    qs_site s = make_on(net, true, o);
    fill(NA);
    backward(&s, X, NA, UP, DX);
    ok(s.dstep[0] == s.raw[0], "gscale none");
    qs_site_clear(&s);
}

static void parameters(void)
{
    qs_site s = make_on(net, false, opts("int4@channel", "lsq"));
    double step[OUT] = {.5, -1, 0, NAN, INFINITY, 1e300, 1e-300, 2};
    ok(s.step[0] == 1 && s.parts == OUT && s.inner == C * KK * KK, "steps are 1 until set; a part a channel");
    qs_site_set(&s, step, NULL);
    bool good = s.step[0] == .5 && s.step[7] == 2 && s.step[3] == 1 && s.step[4] == 1;
    for (int i = 0; i < OUT; i++) good = good && s.step[i] > 0 && isfinite((float)s.step[i] * 8) && (float)s.step[i] > 0;
    ok(good, "steps stay positive, finite and usable; what is no number changes nothing");
    ok(strstr(s.name, ".weight") && !s.positive, "a site has the layer's name: %s", s.name);
    qs_site_clear(&s);
    s = make_on(net, true, opts("int4+offset", "lsq"));
    double one = .5, beta = .25;
    qs_site_set(&s, &one, &beta);
    qs_site_set(&s, &one, NULL);
    ok(s.offset[0] == .25, "offsets stay where none are given");
    fill(NA);
    backward(&s, X, NA, UP, DX);
    ok(s.doffset[0] == 0 && s.raw[0] != 0, "lsq learns the step, not the offset");
    size_t held = mallinfo2().uordblks;
    for (int i = 0; i < 100; i++) {
        qs_site_set(&s, &one, &beta);
        qs_site_forward(&s, X, 0, NA, Y);
        backward(&s, X, NA, UP, DX);
    }
    ok(mallinfo2().uordblks == held, "a step holds no memory");
    qs_site_clear(&s);
}

static void refused(const char *format, const char *learn, bool act, int code, const char *says)
{
    qs_site s;
    qs_err e = {0};
    qs_site_opts o = opts(format, learn);
    int rc = qs_site_init(&s, net, 1, act, &o, 1, 1, &e);
    ok(rc == -code && strstr(e.msg, says) && strstr(e.msg, act ? ".input" : ".weight"), "%s %s: %s", format, learn, e.msg);
}

static void refusals(void)
{
    refused("int4@group32", "lsq", false, QS_EUNSUP, "groups");
    refused("int4@channel1", "lsq", false, QS_EUNSUP, "axis is 0");
    refused("int4@channel1", "lsq", true, QS_EUNSUP, "axis is 3");
    refused("int99", "lsq", true, QS_EFORMAT, "int");
    refused("int4", "adam", true, QS_EARG, "adam");
    refused("float", "lsq", true, QS_EARG, "format");
    qs_site s;
    qs_site_opts o = opts("int4", "lsq");
    ok(qs_site_init(&s, net, 0, false, &o, 1, 1, NULL) == -QS_EARG && qs_site_init(&s, net, 77, true, &o, 1, 1, NULL) ==
       -QS_EARG, "nodes without weights are refused");
}

/* ---- initialization ------------------------------------------------------------------------------------------------- */
static void fits(const char *format, const char *init, bool act)
{
    qs_site_opts o = opts(format, "lsq");
    o.init = init;
    qs_site s = make_on(net, act, o);
    qs_err e = {0};
    fill(n_of(&s));
    int rc = qs_site_fit(&s, NULL, X, n_of(&s), NULL, &e), bad = 0;
    struct twin w = twin_of(&s, format, X);
    qs_init_opts io = {.role = act ? QS_ROLE_ACT : QS_ROLE_WEIGHT};
    qs_quantizer *q = qs_init_tensor(init, w.t, w.f, &io, NULL, NULL, NULL), *mine = qs_site_quantizer(&s, NULL);
    for (size_t p = 0; q && p < s.parts; p++)
        bad += s.step[p] != q->step[p] || (s.offset && fabs(s.offset[p] - q->offset[p]) > 1e-12);
    ok(!rc && q && !bad && *s.formula, "%s %s %s: the init of the tensor (%s) %s", format, init, act ? "input" : "weight",
       s.formula, e.msg);
    ok(mine && mine->parts == s.parts && !memcmp(mine->step, s.step, s.parts * sizeof(double)) &&
       !strcmp(mine->init, init), "%s: the quantizer as a value", format);
    qs_quantizer_unref(q);
    qs_quantizer_unref(mine);
    twin_clear(&w);
    qs_site_clear(&s);
}

static void more_fits(void)
{
    qs_err e = {0};
    qs_site s = make_on(net, false, opts("apot4", "rcf"));
    fill(NW);
    for (int i = 0; i < NW; i++) X[i] = .01f * X[i] + 5;
    ok(!qs_site_fit(&s, NULL, X, NW, NULL, &e) && s.step[0] > 1.5 && s.step[0] < 4, "rcf: fitted on normalized weights (%g) %s",
       s.step[0], e.msg);
    qs_site_clear(&s);

    s = make_on(net, true, opts("int4", "lsq"));
    for (int i = 0; i < NA; i++) X[i] = NAN;
    ok(qs_site_fit(&s, NULL, X, NA, NULL, &e) == -QS_ERANGE && strstr(e.msg, s.name), "nothing finite: %s", e.msg);
    qs_site_clear(&s);

    qs_site_opts o = opts("int3", "lsq");
    o.init = "lloyd";
    s = make_on(net, false, o);
    fill(NW);
    ok(!qs_site_fit(&s, NULL, X, NW, NULL, &e) && s.f->n == 8 && !s.f->uniform, "lloyd: the site takes the init's levels");
    qs_site_forward(&s, X, 0, NW, Y);
    backward(&s, X, NW, UP, DX);
    near(s.dstep[0], s.raw[0] * qs_grad_scale(s.f, NW), 1e-12, "lloyd: the scale follows the levels");
    qs_site_clear(&s);
    o.format = "int3@channel";
    s = make_on(net, false, o);
    ok(qs_site_fit(&s, NULL, X, NW, NULL, &e) == -QS_EUNSUP && strstr(e.msg, s.name), "lloyd a channel: %s", e.msg);
    qs_site_clear(&s);
}

/* ---- following --------------------------------------------------------------------------------------------------------- */
static double mse_of(const qs_site *s, const float *x, size_t n)
{
    static float q[NW > NA ? NW : NA];
    double sum = 0;
    qs_site_forward(s, x, 0, n, q);
    for (size_t i = 0; i < n; i++) sum += ((double)q[i] - x[i]) * ((double)q[i] - x[i]);
    return sum / (double)n;
}

/* From a start that is off by `factor` to near the least error; never to a larger one. reach: a real offset moves from
 * where it stands only, and may end in a local minimum. */
static void refits(const char *format, bool act, double factor, double reach)
{
    static float room[NW > NA ? NW : NA];
    qs_site s = make_on(net, act, opts(format, "lsq"));
    fill(n_of(&s));
    qs_site_fit(&s, NULL, X, n_of(&s), NULL, NULL);
    double least = mse_of(&s, X, n_of(&s));
    qs_site_scale(&s, factor);
    double before = mse_of(&s, X, n_of(&s));
    qs_site_refit(&s, X, n_of(&s), room);
    double after = mse_of(&s, X, n_of(&s));
    ok(after <= before * (1 + 1e-6) && after <= least * reach, "%s %s from %g times the step: mse %.4g, before %.4g, least %.4g", format,
       act ? "input" : "weight", factor, after, before, least);
    qs_site_refit(&s, X, n_of(&s), room);
    ok(mse_of(&s, X, n_of(&s)) <= after * (1 + 1e-6), "%s: and stays", format);
    qs_site_clear(&s);
}

static void follows(void)
{
    static const char *const formats[] = {"int2", "int4", "int3@channel", "apot4", "nf4", "fp4@channel", "int3:flip"};
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        for (int act = 0; act < 2; act++) {
            refits(formats[i], act, 1.7, 1.02);
            refits(formats[i], act, 0.4, 1.02);
        }
    refits("uint3+zp", true, 1.3, 1.02);
    refits("uint3+offset", true, 1.3, 1.05);
}

/* ---- what a record keeps ---------------------------------------------------------------------------------------------- */
static int check_look(const char *format, bool act)
{
    qs_site s = make_on(net, act, opts(format, "lsq"));
    qs_site_look a, b;
    qs_qerror e;
    size_t n = n_of(&s), total = 0;
    set_random(&s);
    fill(n);
    X[5] = NAN;
    struct twin w = twin_of(&s, format, X);
    qs_error_tensor(w.q, w.t, NULL, NULL, &e, NULL);
    qs_site_inspect(&s, X, 0, n, &a);
    for (int i = 0; i < QS_SITE_BINS; i++) total += a.bin[i];
    total += a.under + a.over;
    int bad = fabs(a.clipped - e.clipped) > 1e-12 || fabs(a.mse - e.mse) > 1e-9 * e.mse ||
              fabs(a.entropy - e.entropy) > 1e-9 || a.used != (double)e.used || total != n - 1;
    for (size_t i = 0; i < n; i++) X[i] *= 9;
    qs_site_inspect(&s, X, 0, n, &b);
    bad += a.lo != b.lo || a.hi != b.hi;
    qs_qerror_clear(&e);
    twin_clear(&w);
    qs_site_clear(&s);
    return bad;
}

static void look_speed(void)
{
    enum { N = 65536 };
    float *x = qs_xmalloc(N * sizeof *x);
    qs_site s = make_on(net, true, opts("uint4", "lsq"));
    double step = .2, best = 1;
    qs_site_look k;
    for (int i = 0; i < N; i++) x[i] = (float)fabs(qs_rng_normal(&rng));
    qs_site_set(&s, &step, NULL);
    for (int i = 0; i < 20; i++) {
        double t = qs_now();
        qs_site_inspect(&s, x, 0, N, &k);
        t = qs_now() - t;
        best = t < best ? t : best;
    }
    printf("# 65536 values looked at in %.3f ms\n", best * 1e3);
    ok(k.clipped > 0 && k.bin[20] > 0, "a look at 65536 values");
    qs_site_clear(&s);
    free(x);
}

/* ---- what ACIQ adds ----------------------------------------------------------------------------------------------------- */
static void shared_bits(const char *format, bool act)
{
    qs_site_opts o = opts(format, "lsq");
    o.allocate = QS_ALLOCATE_YES;
    qs_site s = make_on(net, act, o);
    size_t n = n_of(&s), bad = 0, sum = 0;
    qs_err e = {0};
    fill(n);
    for (size_t i = 0; i < n; i++) X[i] *= (float)exp2((double)(i / s.inner % s.parts) / 2.0);   /* wider and wider channels */
    ok(!qs_site_fit(&s, "mse", X, n, NULL, &e), "%s %s: fitted %s", format, act ? "input" : "weight", e.msg);
    for (size_t p = 0; p < s.parts; p++) {
        sum += s.bits[p];
        bad += p && s.bits[p] < s.bits[p - 1];
    }
    ok(sum == s.parts * (size_t)s.f->bits && s.bits[0] < s.bits[s.parts - 1] && !bad && strstr(s.note, "on average"),
       "%s: %d to %d bits (%s)", format, s.bits[0], s.bits[s.parts - 1], s.note);
    /* Every channel as its own quantizer starts and quantizes, in pieces and at once, and so do gradients. */
    float *whole = qs_xmalloc(n * sizeof *whole);
    qs_site_forward(&s, X, 0, n, whole);
    backward(&s, X, n, UP, DX);
    qs_init_opts io = {.role = act ? QS_ROLE_ACT : QS_ROLE_WEIGHT};
    in_pieces(&s, X, n, Y);
    bad = 0;
    for (size_t p = 0; p < s.parts; p++) {
        const qs_format *f = qs_site_format(&s, p);
        float part[MAXN], want[MAXN], up[MAXN];
        size_t m = 0;
        for (size_t i = 0; i < n; i++)
            if (i / s.inner % s.parts == p) up[m] = UP[i], part[m++] = X[i];
        qs_init_out out = {0};
        qs_index *ix = qs_index_new(part, m, NULL, NULL, NULL);
        bad += qs_init_index("mse", ix, f, &io, NULL, &out, &e) != 0 || out.step != s.step[p] || f->bits != s.bits[p];
        qs_index_unref(ix);
        qs_quantizer *q = qs_quantizer_new(f, NULL, 1, &out.step, f->offset ? &out.offset : NULL, &e);
        qs_grid g;
        qs_grid_init(&g, q, 0);
        qs_grid_apply(&g, part, m, want);
        qs_fqrule r;
        qs_fqsums sums;
        qs_grid_rule(&g, QS_LEARN_LSQ, QS_MASK_PAPER, &r);
        qs_grid_grad(&g, part, m, &r, up, &sums);
        for (size_t i = 0, j = 0; i < n; i++)
            if (i / s.inner % s.parts == p) bad += Y[i] != want[j] || whole[i] != want[j] || DX[i] != up[j], j++;
        bad += !bit_near(s.raw[p], sums.step, 1e3);
        qs_grid_clear(&g);
        qs_quantizer_unref(q);
    }
    free(whole);
    ok(!bad, "%s: every channel starts, quantizes and learns by its own bits (%zu do not)", format, bad);
    qs_quantizer *q = qs_site_quantizer(&s, &e);
    ok(q && q->bits && !memcmp(q->bits, s.bits, s.parts), "%s: so does the quantizer as a value", format);
    qs_quantizer_unref(q);
    /* Gradients, part by part; and parameters may change. */
    backward(&s, X, n, UP, DX);
    double was = s.dstep[s.parts - 1], twice[64];
    for (size_t p = 0; p < s.parts; p++) twice[p] = 2 * s.step[p];
    qs_site_set(&s, twice, NULL);
    ok(isfinite(was) && was != 0 && s.step[1] == twice[1] && qs_site_format(&s, 0)->bits == s.bits[0], "%s: and it can move", format);
    qs_site_look k;
    qs_site_inspect(&s, X, 0, n, &k);
    ok(k.levels == 0 && k.used > 2 && k.mse > 0, "%s: a look", format);
    qs_site_clear(&s);
}

/* By the definition: mean and deviation of every output channel are those of the weights. */
static void corrected(const char *format, qs_correction how)
{
    qs_site_opts o = opts(format, "none");
    o.correct = how;
    qs_site s = make_on(net, false, o);
    qs_err e = {0};
    size_t each = NW / OUT, bad = 0;
    fill(NW);
    for (int i = 0; i < NW; i++) X[i] += .2f;
    ok(!qs_site_fit(&s, "aciq", X, NW, NULL, &e) && strstr(s.note, "corrected"), "%s: %s%s", format, s.note, e.msg);
    qs_site_begin(&s, X);
    in_pieces(&s, X, NW, Y);
    for (size_t c = 0; c < OUT; c++) {
        double m = 0, my = 0, v = 0, vy = 0;
        for (size_t i = c * each; i < (c + 1) * each; i++) m += (double)X[i] / (double)each, my += (double)Y[i] / (double)each;
        for (size_t i = c * each; i < (c + 1) * each; i++) {
            v += ((double)X[i] - m) * ((double)X[i] - m);
            vy += ((double)Y[i] - my) * ((double)Y[i] - my);
        }
        bad += fabs(m - my) > 1e-6;
        if (how == QS_CORRECT_BOTH) bad += fabs(v - vy) > 1e-4 * v;
        else bad += s.gain[c] != 1;
    }
    ok(!bad && s.channels == OUT, "%s: channels keep their mean%s", format, how == QS_CORRECT_BOTH ? " and deviation" : "");
    int64_t shape[4] = {OUT, KK, KK, C};
    float *mem;
    qs_tensor *t = qs_tensor_f32("w", 4, shape, &mem, NULL);
    memcpy(mem, X, NW * sizeof *mem);
    qs_quantizer *q = qs_site_quantizer(&s, &e);
    ok(q && !qs_quantizer_apply(q, t, Y2, NULL, &e) && !memcmp(Y, Y2, NW * sizeof *Y), "%s: the quantizer as a value does the same %s",
       format, e.msg);
    qs_qerror err;
    qs_site_look k;
    qs_error_tensor(q, t, NULL, NULL, &err, &e);
    qs_site_inspect(&s, X, 0, NW, &k);
    ok(fabs(k.mse - err.mse) <= 1e-9 * err.mse, "%s: and a look sees the same error (%g, %g)", format, k.mse, err.mse);
    qs_qerror_clear(&err);
    qs_quantizer_unref(q);
    qs_tensor_unref(t);
    backward(&s, X, NW, UP, DX);
    bad = 0;
    for (int i = 0; i < NW; i++) bad += DX[i] != 0 && DX[i] != UP[i] * s.gain[(size_t)i / each];
    ok(!bad, "%s: gradients take the gain along", format);
    qs_site_clear(&s);
}

static void unfit(const char *format, const char *learn, bool act, bool allocate, int code, const char *says)
{
    qs_site s;
    qs_err e = {0};
    qs_site_opts o = opts(format, learn);
    if (allocate) o.allocate = QS_ALLOCATE_YES;
    else o.correct = QS_CORRECT_BOTH;
    ok(qs_site_init(&s, net, 1, act, &o, 1, 1, &e) == -code && strstr(e.msg, says) && strstr(e.msg, act ? ".input" : ".weight"),
       "%s", e.msg);
}

static void aciq(void)
{
    shared_bits("int4@channel", false);
    shared_bits("int2@channel", false);
    shared_bits("int3+offset@channel", false);
    shared_bits("uint4@channel", true);
    shared_bits("uint3+zp@channel", true);
    shared_bits("int3:narrow@channel", true);
    corrected("int3", QS_CORRECT_BOTH);
    corrected("int2@channel", QS_CORRECT_BOTH);
    corrected("int2@channel", QS_CORRECT_MEAN);
    corrected("nf4+zp", QS_CORRECT_BOTH);
    unfit("int4", "none", false, true, QS_EARG, "@channel");
    unfit("nf4@channel", "none", false, true, QS_EUNSUP, "int and uint");
    unfit("int16@channel", "none", false, true, QS_EUNSUP, "8 bits");
    unfit("uint4", "none", true, false, QS_EUNSUP, "weights");
    unfit("int4", "rcf", false, false, QS_EUNSUP, "rcf");
    qs_err e = {0};
    qs_site_opts o = opts("int4@channel", "none");
    o.allocate = QS_ALLOCATE_YES;
    qs_site s = make_on(net, false, o);
    fill(NW);
    ok(qs_site_fit(&s, "lloyd", X, NW, NULL, &e) == -QS_EUNSUP, "%s", e.msg);
    for (int i = 0; i < NW; i++) X[i] = 0;
    ok(!qs_site_fit(&s, "mse", X, NW, NULL, &e) && s.bits[0] == 4 && s.bits[OUT - 1] == 4, "nothing but zeros: all the same bits");
    qs_site_clear(&s);
}

int main(void)
{
    qs_rng_seed(&rng, 41);
    net = make_net(H, W, C, QS_OP_CONV, OUT, KK);
    line = make_net(1, 1, 8, QS_OP_LINEAR, 1, 0);
    published();
    if (!TAP_THREADS_ONLY) {
        over_formats("forward is the quantizer to the bit", check_forward);
        over_formats("gradients are the quantizer's, every rule and mask", check_gradient);
    }
    nothing_learned();
    static const char *const some[] = {"int4", "uint3+offset", "nf4", "apot4", "fp4", "codebook(-1;0;0.3;2)"};
    for (size_t i = 0; i < sizeof some / sizeof *some; i++) {
        against_differences(some[i], "lsq");
        against_differences(some[i], "lsq+");
        against_differences(some[i], "rcf");
        against_differences(some[i], "pact");
    }
    zero_point();
    for (int attached = 0; attached < 2; attached++) {
        rcf_weights("apot4", "rcf", attached);
        rcf_weights("apot4", "rcf:rescale", attached);
        rcf_weights("int3", "rcf", attached);
        rcf_weights("int4@channel", "rcf:rescale", attached);
    }
    rcf_values();
    pieces("int4", true);
    pieces("uint3+offset@channel", true);
    pieces("nf4@channel", false);
    pieces("fp8e4m3+zp", true);
    aciq();
    scales();
    parameters();
    refusals();
    fits("int4", "mse", false);
    fits("int3@channel", "lsq", false);
    fits("uint4@channel", "mse", true);
    fits("uint4+zp", "minmax", true);
    fits("uint3+offset@channel", "mse", true);
    fits("int4:flip@channel", "mse", false);
    more_fits();
    follows();
    if (!TAP_THREADS_ONLY) over_formats("a look is the error of the quantizer", check_look);
    look_speed();
    qs_net_unref(net);
    qs_net_unref(line);
    return done();
}
