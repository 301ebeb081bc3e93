/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Initializations from statistics: each reads a few numbers off the index and
 * puts them into a published formula. A rule gives a step, or a clip, or a
 * range; the three setters below turn that into the parameters of any format.
 * Rules made for uniform grids transfer by their clip.
 */
#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "quant/rows.h"
#include "quant/grid.h"

/* ---- from a rule to parameters ------------------------------------------------------------- */
__attribute__((format(printf, 2, 3)))
static void say(qs_init_out *out, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(out->formula, sizeof out->formula, fmt, ap);
    va_end(ap);
}

static int bits_of(const qs_format *f) { return f->bits > 0 ? f->bits : 1; }

/* Qp of the uniform grid with as many bits. */
static double grid_qp(const qs_format *f)
{
    if (f->uniform) return f->qp;
    double q = f->is_signed ? ldexp(1, bits_of(f) - 1) - 1 : ldexp(1, bits_of(f)) - 1;
    return q > 1 ? q : 1;
}

/* What divides a clip alpha to give a step. */
enum divisor { BY_QP, BY_2B, BY_2B_1 };
static const char *const divisor_names[] = {"qp", "2^b", "2^b-1"};

static enum divisor divisor_of(const qs_init_in *in, enum divisor usual)
{
    for (int i = 0; i < 3; i++)
        if (!strcmp(in->opts->variant, divisor_names[i])) return (enum divisor)i;
    return usual;
}

static double divide(const qs_format *f, enum divisor d, const char **what)
{
    double all = ldexp(1, bits_of(f)), half = f->is_signed ? 0.5 : 1;
    static const char *const names[2][3] = {{"Qp", "2^b", "(2^b-1)"}, {"Qp", "(2^b/2)", "((2^b-1)/2)"}};
    *what = f->uniform ? names[f->is_signed][d] : "max|c|";
    /* One bit with a sign, -c and c, is a uniform grid too: its clip is half a cell beyond the levels. */
    if (f->n == 2 && f->c[0] == -f->c[1] && d == BY_2B) {
        *what = "2 max|c|";
        return 2 * f->cmax;
    }
    if (!f->uniform) return f->cmax;
    return d == BY_QP ? f->qp : (d == BY_2B ? all : all - 1) * half;
}

static double clamp(double v, double lo, double hi) { return v < lo ? lo : v > hi ? hi : v; }

/* The offset that puts the lowest level on lo: real, or by the nearest zero point. */
static double offset_for(const qs_format *f, double step, double lo)
{
    double zlo, zhi;
    if (f->offset == QS_OFFSET_REAL) return lo - f->c[0] * step;
    if (f->offset != QS_OFFSET_ZP) return 0;
    qs_format_zp_range(f, &zlo, &zhi);
    double z = clamp(rint(f->c[0] - lo / step), zlo, zhi);
    return z != 0 ? -step * z : 0;
}

/* An affine format over lo .. hi. */
static void set_range(const qs_init_in *in, qs_init_out *out, double lo, double hi)
{
    const qs_format *f = in->f;
    double width = (double)f->c[f->n - 1] - f->c[0];
    if (f->offset == QS_OFFSET_ZP) {
        lo = fmin(lo, 0);
        hi = fmax(hi, 0);
    }
    if (hi > lo && width > 0) {
        out->step = (hi - lo) / width;
        out->offset = offset_for(f, out->step, lo);
        return;
    }
    /* One value, or one level: the level nearest zero goes there. */
    out->step = (lo != 0 ? fabs(lo) : 1) / (f->cmax > 0 ? f->cmax : 1);
    out->offset = f->offset == QS_OFFSET_REAL ? lo - f->c[f->zero] * out->step : offset_for(f, out->step, lo);
}

static void say_range(const qs_init_in *in, qs_init_out *out, const char *what, double lo, double hi)
{
    say(out, "s = (hi-lo)/(c_max-c_min), %s: %.4g .. %.4g over %.4g levels' width", what, lo, hi,
        (double)in->f->c[in->f->n - 1] - in->f->c[0]);
}

/* A clip alpha about zero; with an offset, the part of -alpha .. alpha about `centre` that holds values. */
static void set_clip(const qs_init_in *in, qs_init_out *out, const char *what, double alpha, double centre,
                     enum divisor d)
{
    const qs_format *f = in->f;
    const char *word;
    if (f->offset) {
        double lo = fmax(qs_index_min(in->ix), centre - alpha), hi = fmin(qs_index_max(in->ix), centre + alpha);
        set_range(in, out, fmin(lo, hi), fmax(lo, hi));
        say_range(in, out, what, lo, hi);
        return;
    }
    double by = divide(f, d, &word);
    out->step = alpha / by;
    say(out, "%s / %s = %.4g / %.4g", what, word, alpha, by);
}

/* A step; with an offset, the lowest level goes to the smallest value. */
static void set_step(const qs_init_in *in, qs_init_out *out, double step)
{
    out->step = step;
    if (in->f->offset && step > 0) out->offset = offset_for(in->f, step, qs_index_min(in->ix));
}

/* ---- ranges -------------------------------------------------------------------------------------- */
/* The value farthest out goes to the level farthest out, whatever its sign: GGUF's Q4_0. */
static void flip_minmax(const qs_init_in *in, qs_init_out *out)
{
    const qs_format *f = in->f;
    double lo = qs_index_min(in->ix), hi = qs_index_max(in->ix), x = fabs(lo) > fabs(hi) ? lo : hi;
    double c = fabs((double)f->c[0]) > fabs((double)f->c[f->n - 1]) ? f->c[0] : f->c[f->n - 1];
    out->step = x / c;
    say(out, "x / c, both farthest from 0 = %.4g / %.4g", x, c);
}

int qs_fit_minmax(const qs_init_in *in, qs_init_out *out, qs_err *err)
{
    (void)err;
    double lo = qs_index_min(in->ix), hi = qs_index_max(in->ix);
    if (in->f->offset) {
        set_range(in, out, lo, hi);
        say_range(in, out, "min .. max", lo, hi);
    } else if (in->f->flip && in->f->is_signed) {
        flip_minmax(in, out);
    } else if (in->f->is_signed) {
        set_clip(in, out, "max|x|", qs_index_absmax(in->ix), 0, divisor_of(in, BY_QP));
    } else {
        set_clip(in, out, "max x", hi, 0, divisor_of(in, BY_QP));
    }
    return 0;
}

static double percentile_of(const qs_init_in *in)
{
    double p = atof(in->opts->variant);   /* checked when the name was read; 0 for none */
    if (!(p > 0)) p = in->opts->percentile;
    return p > 0 ? p : 99.99;
}

int qs_fit_percentile(const qs_init_in *in, qs_init_out *out, qs_err *err)
{
    double p = percentile_of(in);
    char what[64];
    if (!(p >= 50 && p <= 100)) return qs_fail(err, QS_EARG, _("percentile %g is not between 50 and 100"), p);
    if (in->f->offset) {
        double lo = qs_index_quantile(in->ix, 1 - p / 100), hi = qs_index_quantile(in->ix, p / 100);
        set_range(in, out, lo, hi);
        snprintf(what, sizeof what, "%g %% .. %g %% quantile", 100 - p, p);
        say_range(in, out, what, lo, hi);
        return 0;
    }
    bool both = in->f->is_signed;
    snprintf(what, sizeof what, "%g %% quantile of %s", p, both ? "|x|" : "x");
    set_clip(in, out, what, both ? qs_index_quantile_abs(in->ix, p / 100) : qs_index_quantile(in->ix, p / 100), 0,
             BY_QP);
    return 0;
}

/* ---- LSQ, LSQ+ ------------------------------------------------------------------------------------- */
static bool is_act(const qs_init_in *in) { return in->opts->role == QS_ROLE_ACT || !in->f->is_signed; }

/* Public code that leaves inputs to training: s = 1, and no offset. */
static bool starts_at_one(const qs_init_in *in, qs_init_out *out)
{
    if (strcmp(in->opts->variant, "one") != 0 || !(is_act(in) || in->f->offset)) return false;
    out->step = in->f->uniform ? 1 : grid_qp(in->f) / in->f->cmax;
    say(out, "s = 1, a constant");
    return true;
}

int qs_fit_lsq(const qs_init_in *in, qs_init_out *out, qs_err *err)
{
    (void)err;
    qs_moments m;
    double qp = grid_qp(in->f);
    if (starts_at_one(in, out)) return 0;
    qs_index_moments(in->ix, &m);
    double s = 2 * m.mean_abs / sqrt(qp);
    if (in->f->uniform) {
        set_step(in, out, s);
        say(out, "2 E|x| / sqrt(Qp) = 2 * %.4g / sqrt(%g)", m.mean_abs, qp);
    } else {
        set_step(in, out, s * qp / in->f->cmax);
        say(out, "clip 2 E|x| sqrt(Qp) / max|c| = 2 * %.4g * sqrt(%g) / %.4g", m.mean_abs, qp, in->f->cmax);
    }
    return 0;
}

/* Weights: 3 sigma about the mean. */
static void three_sigma(const qs_init_in *in, qs_init_out *out)
{
    qs_moments m;
    qs_index_moments(in->ix, &m);
    int b = bits_of(in->f);
    const char *v = in->opts->variant;
    double reach = fmax(fabs(m.mean - 3 * m.std), fabs(m.mean + 3 * m.std));
    bool minus = !strcmp(v, "2^b-1") || !strcmp(v, "one"), whole = !strcmp(v, "2^b");
    double by = minus ? ldexp(1, b) - 1 : ldexp(1, whole ? b : b - 1);
    const char *name = minus ? "(2^b-1)" : whole ? "2^b" : "2^(b-1)";
    if (in->f->uniform) {
        out->step = reach / by;
        say(out, "max|mu +- 3 sigma| / %s = |%.4g %c 3 * %.4g| / %g", name, m.mean, m.mean < 0 ? '-' : '+', m.std, by);
        return;
    }
    double qp = grid_qp(in->f);
    out->step = reach / by * qp / in->f->cmax;
    say(out, "clip Qp max|mu +- 3 sigma| / %s / max|c| = %g * %.4g / %g / %.4g", name, qp, reach, by, in->f->cmax);
}

int qs_fit_lsqp(const qs_init_in *in, qs_init_out *out, qs_err *err)
{
    if (!strcmp(in->opts->variant, "minmax")) return qs_fit_minmax(in, out, err);
    if (starts_at_one(in, out)) return 0;
    if (!is_act(in) && !in->f->offset) {
        three_sigma(in, out);
        return 0;
    }
    /* Activations: the paper minimizes ||xhat - x||^2 over (s, beta); solved here by our own exact search. */
    int rc = qs_fit_mse(in, out, err);
    if (!rc) say(out, "argmin over (s, beta) of sum (x - Q(x))^2 = (%.6g, %.6g)", out->step, out->offset);
    return rc;
}

/* ---- ACIQ ---------------------------------------------------------------------------------------------- */
double qs_aciq_gauss(int bits)
{
    double k = 1 / (3 * ldexp(1, 2 * bits)), a = 1, step = 1;
    /* Falling and convex: Newton from the left never oversteps. */
    for (int i = 0; i < 100 && fabs(step) > 1e-15 * a; i++) {
        double tail = erfc(a / M_SQRT2) + k;
        step = (sqrt(2 / M_PI) * exp(-0.5 * a * a) - a * tail) / tail;
        a += step;
    }
    return a;
}

/* Lambert's W of 3 * 4^bits, by Newton on w + ln w = ln z. */
double qs_aciq_laplace(int bits)
{
    double lnz = log(3) + 2 * bits * log(2), w = lnz > 1 ? lnz - log(lnz) : 0.5;
    for (int i = 0; i < 50; i++) w -= (w + log(w) - lnz) / (1 + 1 / w);
    return w;
}

static int aciq(const qs_init_in *in, qs_init_out *out, bool laplace)
{
    qs_moments m;
    qs_index_moments(in->ix, &m);
    bool one_sided = !in->f->is_signed && !in->f->offset;
    int b = bits_of(in->f) + one_sided;
    double k = laplace ? qs_aciq_laplace(b) : qs_aciq_gauss(b), width = laplace ? m.mean_abs_dev : m.std;
    double alpha = k * width + (one_sided ? fmax(m.mean, 0) : 0);
    char what[80];
    snprintf(what, sizeof what, one_sided && m.mean > 0 ? "(mu + %.4g %s)" : "%.4g %s", k, laplace ? "b" : "sigma");
    set_clip(in, out, what, alpha, m.mean, divisor_of(in, BY_2B));
    if (!in->f->offset && !one_sided && fabs(m.mean) > m.std)
        snprintf(out->note, sizeof out->note,
                 _("the mean, %.3g, is beyond one sigma of 0: ACIQ's model puts it at the centre"),
                 m.mean);
    return 0;
}

int qs_fit_aciq_gauss(const qs_init_in *in, qs_init_out *out, qs_err *err) { (void)err; return aciq(in, out, false); }
int qs_fit_aciq_laplace(const qs_init_in *in, qs_init_out *out, qs_err *err) { (void)err; return aciq(in, out, true); }

static double measured(const qs_init_in *in, const qs_init_out *p)
{
    qs_grid g;
    if (!(p->step > 0)) return INFINITY;
    double step = clamp(p->step, 0x1p-149, FLT_MAX / fmax(in->f->cmax, 1) / 4);
    qs_grid_at(&g, in->f, step, in->f->offset == QS_OFFSET_ZP ? -step * rint(-p->offset / p->step) : p->offset);
    qs_grid_levels(&g);
    double mse = qs_error_mse(&g, in->ix, NULL);
    qs_grid_clear(&g);
    return mse;
}

int qs_fit_aciq(const qs_init_in *in, qs_init_out *out, qs_err *err)
{
    (void)err;
    qs_init_out g = *out, l = *out;
    aciq(in, &g, false);
    aciq(in, &l, true);
    double eg = measured(in, &g), el = measured(in, &l);
    *out = el < eg ? l : g;
    snprintf(out->note, sizeof out->note, _("%s chosen by its smaller measured error (gauss %.4g, laplace %.4g)"),
             el < eg ? "laplace" : "gauss", eg, el);
    return 0;
}

/* ---- OCTAV --------------------------------------------------------------------------------------------------- */
struct tail { double count, abs; };

/* Of |x| > s (signed), or x > s. */
static struct tail beyond(const qs_index *ix, double s, bool is_signed)
{
    float up = (float)s;
    if ((double)up <= s) up = nextafterf(up, INFINITY);   /* the smallest float > s */
    qs_sums all = qs_index_total(ix), hi = qs_index_below(ix, up);
    struct tail t = {all.w - hi.w, all.wx - hi.wx};
    if (!is_signed) return t;
    qs_sums lo = qs_index_below(ix, nextafterf(-up, INFINITY));   /* x <= -up */
    t.count += lo.w;
    t.abs -= lo.wx;
    return t;
}

double qs_octav_clip(const qs_index *ix, int bits, bool is_signed)
{
    double k = ldexp(1, -2 * bits) / (is_signed ? 3 : 12);
    struct tail nonzero = beyond(ix, 0, is_signed);
    double n = qs_index_total(ix).w, s = nonzero.abs / n;
    for (int i = 0; i < 100 && s > 0; i++) {
        struct tail t = beyond(ix, s, is_signed);
        /* Stepped beyond all values, where many bits make clipping hopeless: the largest of them is the clip. */
        if (!(t.count > 0)) return is_signed ? qs_index_absmax(ix) : qs_index_max(ix);
        double next = t.abs / (k * (nonzero.count - t.count) + t.count);
        if (fabs(next - s) <= 1e-14 * s) break;
        s = next;
    }
    return s;
}

int qs_fit_octav(const qs_init_in *in, qs_init_out *out, qs_err *err)
{
    (void)err;
    bool both = in->f->is_signed || in->f->offset;
    set_clip(in, out, "fixed point alpha", qs_octav_clip(in->ix, bits_of(in->f), both), 0, divisor_of(in, BY_2B));
    return 0;
}

/* ---- SAWB ------------------------------------------------------------------------------------------------------ */
static const struct sawb { int bits; double c1, c2; } sawb_table[] = {
    {2, 3.12, -2.064}, {3, 7.509, -6.892}, {4, 12.68, -12.80}, {5, 17.74, -18.64}, {8, 31.76, -35.04},
};

static const struct sawb *sawb_of(const qs_format *f)
{
    for (size_t i = 0; i < sizeof sawb_table / sizeof *sawb_table; i++)
        if (sawb_table[i].bits == f->bits) return &sawb_table[i];
    return NULL;
}

int qs_applies_sawb(const qs_format *f, qs_role role, qs_err *err)
{
    (void)role;
    if (!sawb_of(f))
        return qs_fail(err, QS_EUNSUP, _("sawb: constants are published for 2, 3, 4, 5 and 8 bits, not for %d"),
                       f->bits);
    if (!f->is_signed) return qs_fail(err, QS_EUNSUP, _("sawb is a rule for signed weights; %s is unsigned"), f->text);
    return 0;
}

int qs_fit_sawb(const qs_init_in *in, qs_init_out *out, qs_err *err)
{
    (void)err;
    qs_moments m;
    struct sawb w = *sawb_of(in->f);
    qs_index_moments(in->ix, &m);
    if (w.bits == 2 && !strcmp(in->opts->variant, "older")) w = (struct sawb){2, 3.212, -2.178};
    double alpha = w.c1 * sqrt(m.mean_sq) + w.c2 * m.mean_abs;
    char what[80];
    snprintf(what, sizeof what, "(%g rms %+g E|x|)", w.c1, w.c2);
    set_clip(in, out, what, alpha, 0, divisor_of(in, BY_2B_1));
    return 0;
}

/* ---- constants: PACT, APoT -------------------------------------------------------------------------------------------------------- */
/* Weights are DoReFa's there: a grid over the whole range (of tanh(w), which is left out here). */
int qs_fit_pact(const qs_init_in *in, qs_init_out *out, qs_err *err)
{
    double fixed = atof(in->opts->variant);
    if (!is_act(in)) {
        snprintf(out->note, sizeof out->note, _("pact starts inputs; weights have their range, as DoReFa's without its tanh"));
        return qs_fit_minmax(in, out, err);
    }
    double alpha = fixed > 0 ? fixed : 10;
    const char *word;
    double by = divide(in->f, BY_QP, &word);
    set_step(in, out, alpha / by);
    say(out, "alpha / %s = %g / %.4g, a constant", word, alpha, by);
    return 0;
}

int qs_applies_apot(const qs_format *f, qs_role role, qs_err *err)
{
    (void)role;
    if (strstr(f->base, "pot")) return 0;
    return qs_fail(err, QS_EUNSUP, _("apot starts the clip of pot, apot and uapot levels, not of %s"), f->base);
}

int qs_fit_apot(const qs_init_in *in, qs_init_out *out, qs_err *err)
{
    (void)err;
    qs_moments m;
    double fixed = atof(in->opts->variant);
    qs_index_moments(in->ix, &m);
    if (fixed > 0 || is_act(in)) {
        double alpha = fixed > 0 ? fixed : !strcmp(in->opts->variant, "imagenet") ? 6 : 8;
        set_step(in, out, alpha / in->f->cmax);
        say(out, "alpha = %g, a constant", alpha);
    } else {
        set_step(in, out, 3 * m.std / in->f->cmax);
        say(out, "alpha = 3 sigma = 3 * %.4g", m.std);
    }
    return 0;
}

/* ---- KL -------------------------------------------------------------------------------------------------------- */
#define KL_HALF 1000      /* 2001 bins, or 1001 from zero up for unsigned formats; fewer for fewer values */

/* Prefix sums over the bins, so that a candidate costs its levels, not its bins. */
struct kl {
    double h[2 * KL_HALF + 2];      /* counts */
    double sum[2 * KL_HALF + 2];    /* of h */
    double hlogh[2 * KL_HALF + 2];  /* of h ln h */
    double nonzero[2 * KL_HALF + 2];/* bins with h > 0 */
    size_t half, bins;
};

static void kl_prefix(struct kl *k)
{
    k->sum[0] = k->hlogh[0] = k->nonzero[0] = 0;
    for (size_t i = 0; i < k->bins; i++) {
        k->sum[i + 1] = k->sum[i] + k->h[i];
        k->hlogh[i + 1] = k->hlogh[i] + (k->h[i] > 0 ? k->h[i] * log(k->h[i]) : 0);
        k->nonzero[i + 1] = k->nonzero[i] + (k->h[i] > 0);
    }
}

/* What x ln x gains when `extra` joins h. */
static double edge_gain(double h, double extra)
{
    return (h + extra > 0 ? (h + extra) * log(h + extra) : 0) - (h > 0 ? h * log(h) : 0);
}

/*
 * KL(P || Q) of the candidate from .. to: P the slice with the outliers on its edge bins, Q the slice merged into
 * `levels` bins and spread evenly over the nonzero ones. Smoothing (eps where only Q is 0) touches the edges alone.
 */
static double divergence(const struct kl *k, size_t from, size_t to, size_t levels)
{
    const double eps = 1e-4;
    double all = k->sum[k->bins], inside = k->sum[to] - k->sum[from];
    double below = k->sum[from], above = all - k->sum[to], first = eps, last = eps, cross = 0;
    size_t width = (to - from) / levels;
    if (!(inside > 0)) return INFINITY;
    for (size_t j = 0; j < levels; j++) {
        size_t a = from + j * width, b = j + 1 == levels ? to : a + width;
        double sum = k->sum[b] - k->sum[a], nonzero = k->nonzero[b] - k->nonzero[a];
        double q = nonzero > 0 ? sum / nonzero / inside : eps;
        if (sum > 0) cross += sum * log(q);
        if (j == 0 && k->h[from] > 0) first = q;
        if (j + 1 == levels && k->h[to - 1] > 0) last = q;
    }
    cross += below * log(first) + above * log(last);
    double own = k->hlogh[to] - k->hlogh[from] + edge_gain(k->h[from], below) + edge_gain(k->h[to - 1], above);
    return (own - all * log(all) - cross) / all;
}

static void kl_histogram(const qs_index *ix, double lo, double width, size_t bins, double *h)
{
    float *v = qs_xmalloc((bins + 1) * sizeof *v);
    qs_sums *at = qs_xmalloc((bins + 1) * sizeof *at);
    for (size_t i = 0; i <= bins; i++) v[i] = (float)(lo + width * (double)i);
    v[bins] = nextafterf(v[bins], INFINITY);
    qs_index_below_many(ix, v, bins + 1, at);
    for (size_t i = 0; i < bins; i++) h[i] = at[i + 1].w - at[i].w;
    h[bins - 1] += qs_index_total(ix).w - at[bins].w;
    if (lo < 0) h[0] += at[0].w;
    free(v);
    free(at);
}

/* The half-width, in bins, with the smallest divergence, of at most `tries` candidates. */
static size_t kl_best(const struct kl *k, bool both, size_t levels, size_t tries)
{
    size_t best = k->half, start = both ? levels / 2 : levels, stride = start < best ? (best - start) / tries + 1 : 1;
    double least = INFINITY;
    for (size_t i = start; i <= k->half; i += stride) {
        size_t from = both ? k->half - i : 0, to = both ? k->half + i + 1 : i + 1;
        double d = divergence(k, from, to, levels < to - from ? levels : to - from);
        if (d >= least) continue;
        least = d;
        best = i;
    }
    return best;
}

int qs_fit_kl(const qs_init_in *in, qs_init_out *out, qs_err *err)
{
    (void)err;
    bool both = in->f->is_signed || in->f->offset;
    double top = both ? qs_index_absmax(in->ix) : qs_index_max(in->ix);
    size_t levels = (size_t)fmin(ldexp(1, bits_of(in->f)) - 1, 255);
    if (!(top > 0)) return 0;   /* unsigned, and nothing above zero: the step stays 0, which the caller mends */
    struct kl *k = qs_xmalloc(sizeof *k);
    size_t n = qs_index_n(in->ix);
    k->half = (size_t)clamp((double)n, (double)(4 * levels), KL_HALF);
    if (k->half > KL_HALF) k->half = KL_HALF;
    k->bins = both ? 2 * k->half + 1 : k->half + 1;
    double width = (both ? 2 * top : top) / (double)k->bins;
    kl_histogram(in->ix, both ? -top : 0, width, k->bins, k->h);
    kl_prefix(k);
    double best = (double)kl_best(k, both, levels, n < 64 ? 64 : n);
    free(k);
    set_clip(in, out, "alpha of least KL", fmin((best + (both ? 0.5 : 1)) * width, top), 0, divisor_of(in, BY_QP));
    return 0;
}
