/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The registry of initializations, and running one over a part or a tensor:
 * names and variants, degenerate data, parts in parallel. The rules themselves
 * are in init_stat.c, init_mse.c and lloyd.c.
 */
#include "quant/init.h"

#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "quant/grid.h"
#include "quant/rows.h"
#include "stat/summary.h"

/* ---- the table -------------------------------------------------------------------------- */
/* Variants: words that may stand behind ":"; "<number>" among them (or alone): a number > 0. */
static const qs_init builtin[] = {
    {"minmax", N_("the outermost level on the largest value"),
     "s = max|x| / Qp; with an offset (max-min)/(c_max-c_min)",
     "the usual range observer; flip: GGUF's Q4_0", "qp 2^b 2^b-1", 0, NULL, qs_fit_minmax, NULL},
    {"percentile", N_("as minmax, at a quantile of |x| (99.99 %)"), "s = quantile(|x|, p) / Qp",
     "a common calibration rule",
     "<number>", 0, NULL, qs_fit_percentile, NULL},
    {"lsq", N_("LSQ's rule from the mean magnitude; one: inputs at 1, as much public code has it"),
     "s = 2 E|x| / sqrt(Qp)",
     "Esser et al. 2020, Learned Step Size Quantization, arXiv 1902.08153; one: zhutmost/lsq-net, ZouJiu1's V2", "paper one", 0,
     NULL, qs_fit_lsq, NULL},
    {"lsq+", N_("LSQ+: 3 sigma for signed weights; for activations the (s, beta) of least squares over all calibration batches"),
     "s = max(|mu-3 sigma|, |mu+3 sigma|) / 2^(b-1); activations: argmin ||x - Q(x)||^2",
     "Bhalgat et al. 2020, LSQ+, arXiv 2004.09576; public code: 2^b-1 (ZouJiu1; one: with inputs at s = 1, beta = 0), 2^b (MQBench)",
     "paper 2^b-1 2^b minmax one", 0,
     NULL, qs_fit_lsqp, NULL},
    {"aciq-gauss", N_("ACIQ's clip for a normal distribution"),
     "s = 2 alpha / 2^b, alpha = k(b) sigma; one-sided alpha / 2^b",
     "Banner et al. 2019, arXiv 1810.05723", "qp 2^b 2^b-1", 0, NULL, qs_fit_aciq_gauss, NULL},
    {"aciq-laplace", N_("ACIQ's clip for a Laplace distribution"),
     "s = 2 alpha / 2^b, alpha = W(3 4^b) E|x-mu|; one-sided alpha / 2^b",
     "Banner et al. 2019, arXiv 1810.05723", "qp 2^b 2^b-1", 0, NULL, qs_fit_aciq_laplace, NULL},
    {"aciq", N_("ACIQ, normal or Laplace by the smaller measured error"), "the better of aciq-gauss and aciq-laplace",
     "Banner et al. 2019, arXiv 1810.05723", "qp 2^b 2^b-1", 0, NULL, qs_fit_aciq, NULL},
    {"octav", N_("OCTAV: fixed point of the clipped error"),
     "s = 2 alpha / 2^b, alpha = E[|x|; |x|>alpha] / (4^-b/3 P(0<|x|<=alpha) + P(|x|>alpha))",
     "Sakr et al. 2022, Optimal Clipping and Magnitude-aware Differentiation, arXiv 2206.06501", "qp 2^b 2^b-1", 0,
     NULL, qs_fit_octav, NULL},
    {"sawb", N_("SAWB: a fit through rms and mean magnitude, 2 3 4 5 8 bits"),
     "s = 2 alpha / (2^b-1), alpha = c1 rms(x) + c2 E|x|",
     "Choi et al. 2019, SysML; constants of public code", "older qp 2^b 2^b-1", 0, qs_applies_sawb, qs_fit_sawb, NULL},
    {"kl", N_("the clip whose histogram keeps the most information"), "s = alpha / Qp, alpha = argmin KL(P || Q)",
     "the entropy calibration of TensorRT and MXNet; up to 2001 bins", "qp 2^b 2^b-1", 0, NULL, qs_fit_kl, NULL},
    {"apot", N_("APoT's start: 3 sigma for weights, a constant for activations"),
     "clip = 3 sigma; activations 8 (CIFAR code) or 6 (imagenet: the ImageNet code)",
     "Li, Dong, Wang 2020, APoT, arXiv 1909.13144, and its code",
     "<number> imagenet", 0, qs_applies_apot, qs_fit_apot, NULL},
    {"pact", N_("PACT's start: a constant clip for activations (pact:6), the range for weights"),
     "clip = 10; weights: max|x|",
     "Choi et al. 2018, PACT, arXiv 1805.06085: 10 as implementations have it, 6 in MQBench; weights by DoReFa there",
     "<number>", QS_INIT_NAMED_ONLY, NULL, qs_fit_pact, NULL},
    {"ggml", N_("as llama.cpp writes q4_0, q4_1, q5_0, q5_1, q8_0: codes picked before the step is rounded to f16"),
     "s = x / -2^(b-1), x farthest from 0; q8_0: max|x| / 127; q4_1, q5_1: (max-min) / (2^b-1)",
     "quantize_row_*_ref of ggml-quants.c, without fused multiplication", NULL, QS_INIT_VALUES, qs_applies_ggml, qs_fit_ggml, NULL},
    {"ocp", N_("the rule of the OCP standard for powers of two as scales (mxfp4)"),
     "s = 2^(floor(log2 max|x|) - floor(log2 max c))", "OCP Microscaling Formats (MX) 1.0, sec. 6.3", NULL, 0, qs_applies_ocp,
     qs_fit_ocp, NULL},
    {"mse", N_("the least squared error over all steps, exactly"),
     "s = argmin sum (x - Q(x))^2 = B/C where B^2/C is largest; +zp: over all z; +offset: best found",
     "sweep over sorted breakpoints; the same sums as llama.cpp PR 12557", NULL, QS_INIT_LEAST, NULL, qs_fit_mse, NULL},
    {"lloyd", N_("the optimal free codebook; changes the format to codebook(...)"),
     "levels and cells of least squared error",
     "Lloyd 1982, Max 1960; solved by dynamic programming (Bruce 1965)", NULL, QS_INIT_NAMED_ONLY, qs_applies_lloyd,
     qs_fit_lloyd, NULL},
    {"lp", N_("the least E|x - Q(x)|^p over all steps; lp:2 is mse"), "s = argmin E|x - Q(x)|^p, p behind the colon",
     "all steps at once by a correlation in ln|x|; p = 2 exactly", "<number>", QS_INIT_NAMED_ONLY, NULL, qs_fit_lp, NULL},
    {"adaptive", N_("ours: by what comes after it: the norms that train well, or, where nothing is learned, those the network's loss chooses"),
     "argmin E|x - Q(x)|^p: p = 3 for weights of 2 bits that learn, else 2; nothing learned: p and a factor by the loss",
     "quantscope; its nearest relative is LAPQ, arXiv 1911.07190", NULL, QS_INIT_NAMED_ONLY | QS_INIT_NETWORK, NULL,
     qs_fit_network, "adaptive"},
    {"lapq", N_("LAPQ: one norm by the calibration loss, then all steps jointly by Powell's method"),
     "p where a parabola through the losses is least; then Powell on ln s of all quantizers",
     "Nahshan et al. 2019, Loss Aware Post-training Quantization, arXiv 1911.07190", NULL,
     QS_INIT_NAMED_ONLY | QS_INIT_NETWORK, NULL, qs_fit_network, "lapq"},
};
enum { BUILTIN = sizeof builtin / sizeof *builtin, EXTRA_MAX = 256 };

/* Registered rows: published one by one, never moved. A replaced row stays readable. */
static const qs_init *_Atomic extra_row[EXTRA_MAX];
static atomic_size_t extra_n;
static atomic_flag registering = ATOMIC_FLAG_INIT;

size_t qs_init_count(void) { return BUILTIN + atomic_load(&extra_n); }

const qs_init *qs_init_at(size_t i)
{
    if (i < BUILTIN) return &builtin[i];
    return i < qs_init_count() ? atomic_load(&extra_row[i - BUILTIN]) : NULL;
}

static bool names(const char *text, const char *name)
{
    size_t n = strlen(name);
    return !strncmp(text, name, n) && (!text[n] || text[n] == ':');
}

const qs_init *qs_init_named(const char *name_and_variant)
{
    for (size_t i = 0, n = qs_init_count(); i < n; i++)
        if (names(name_and_variant, qs_init_at(i)->name)) return qs_init_at(i);
    return NULL;
}

/* A registered row, and the one it replaced: that may still be held by someone, so rows live as long as the program. */
struct registered {
    qs_init row;
    const qs_init *before;
};

static struct registered *copy_row(const qs_init *row)
{
    struct registered *copy = qs_xcalloc(1, sizeof *copy);
    qs_init *r = &copy->row;
    *r = *row;
    r->name = qs_xstrdup(row->name);
    r->doc = qs_xstrdup(row->doc ? row->doc : "");
    r->formula = qs_xstrdup(row->formula ? row->formula : "");
    r->source = qs_xstrdup(row->source ? row->source : "");
    r->variants = row->variants ? qs_xstrdup(row->variants) : NULL;
    return copy;
}

static void free_row(struct registered *r)
{
    free((char *)r->row.name);
    free((char *)r->row.doc);
    free((char *)r->row.formula);
    free((char *)r->row.source);
    free((char *)r->row.variants);
    free(r);
}

int qs_init_register(const qs_init *row, qs_err *err)
{
    if (!row->name || !*row->name || strlen(row->name) > 40 || strpbrk(row->name, ": \t\n,"))
        return qs_fail(err, QS_EARG,
                       _("an initialization has a name of 1 to 40 characters without spaces, \":\" and \",\""));
    if (!row->fit) return qs_fail(err, QS_EARG, _("initialization %s has no function"), row->name);
    for (size_t i = 0; i < BUILTIN; i++)
        if (!strcmp(builtin[i].name, row->name)) return qs_fail(err, QS_EARG, _("%s is built in"), row->name);
    struct registered *r = copy_row(row);
    size_t i = 0;
    while (atomic_flag_test_and_set(&registering)) continue;
    size_t n = atomic_load(&extra_n);
    while (i < n && strcmp(atomic_load(&extra_row[i])->name, row->name)) i++;
    r->before = i < n ? atomic_load(&extra_row[i]) : NULL;
    if (i < EXTRA_MAX) atomic_store(&extra_row[i], &r->row);
    if (i == n && i < EXTRA_MAX) atomic_store(&extra_n, n + 1);
    atomic_flag_clear(&registering);
    if (i < EXTRA_MAX) return 0;
    free_row(r);
    return qs_fail(err, QS_EARG, _("more than %d registered initializations"), EXTRA_MAX);
}

/* ---- names and variants ------------------------------------------------------------------------ */
static bool listed(const char *list, const char *word)
{
    size_t n = strlen(word);
    for (const char *p = list; p && n; p = strchr(p, ' ') ? strchr(p, ' ') + 1 : NULL)
        if (!strncmp(p, word, n) && (!p[n] || p[n] == ' ')) return true;
    return false;
}

static bool variant_fits(const qs_init *row, const char *v)
{
    char *end;
    if (!*v) return true;
    if (!row->variants) return row->flags & QS_INIT_LUA;
    if (listed(row->variants, "<number>") && strtod(v, &end) > 0 && !*end) return true;
    return *v != '<' && listed(row->variants, v);
}

const qs_init *qs_init_find(const char *name, char variant[32], qs_err *err)
{
    const qs_init *row = qs_init_named(name);
    const char *colon = strchr(name, ':');
    if (!row) {
        qs_fail(err, QS_EARG, _("no initialization \"%.60s\""), name);
        return NULL;
    }
    if (!colon) return row;
    if (strlen(colon + 1) >= 32 || !colon[1] || !variant_fits(row, colon + 1)) {
        qs_fail(err, QS_EARG, _("%s has no variant \"%.40s\"%s%s"), row->name, colon + 1,
                row->variants ? _(": it takes ") : "", row->variants ? row->variants : "");
        return NULL;
    }
    snprintf(variant, 32, "%s", colon + 1);
    return row;
}

/* ---- one part ------------------------------------------------------------------------------------- */
void qs_init_note(qs_init_out *out, const char *fmt, ...)
{
    size_t n = strlen(out->note);
    va_list ap;
    if (n && n + 3 < sizeof out->note) {
        memcpy(out->note + n, "; ", 3);
        n += 2;
    }
    va_start(ap, fmt);
    vsnprintf(out->note + n, sizeof out->note - n, fmt, ap);
    va_end(ap);
}

static double default_offset(const qs_format *f, const qs_index *ix)
{
    return f->offset == QS_OFFSET_REAL ? qs_index_min(ix) : 0;
}

/* No value but 0, or no level but 0: any step does. */
static bool trivial(const qs_init_in *in, qs_init_out *out)
{
    bool zeros = qs_index_absmax(in->ix) == 0, level0 = in->f->cmax == 0;
    if (!zeros && !level0) return false;
    out->step = 1;
    out->offset = level0 ? default_offset(in->f, in->ix) : in->f->offset == QS_OFFSET_REAL
        ? -(double)in->f->c[in->f->zero] : 0;
    snprintf(out->formula, sizeof out->formula, "1");
    qs_init_note(out, zeros ? _("every value is 0: any step does, 1 is used")
             : _("the only level is 0: any step does, 1 is used"));
    return true;
}

static double extreme(const qs_index *ix, const qs_format *f)
{
    double lo = fabs((double)qs_index_min(ix)), hi = qs_index_max(ix);
    return !f->is_signed && hi > 0 ? hi : fmax(lo, fabs(hi));
}

/* A rule that has no answer here (a negative clip, an empty side) is answered by the range. */
static void mend(const qs_init_in *in, const qs_init *row, qs_init_out *out)
{
    bool good = isfinite(out->step) && out->step != 0 && (out->step > 0 || in->f->flip) && isfinite(out->offset);
    if (!good) {
        char was[32];
        snprintf(was, sizeof was, "%.3g", out->step);
        out->step = extreme(in->ix, in->f) / in->f->cmax;
        out->offset = default_offset(in->f, in->ix);
        qs_init_note(out, _("%s gives the step %s here; the range is used"), row->name, was);
    }
}

/* Into what float32 can hold: the step not 0, the outermost levels finite. */
static void fit_float(const qs_format *f, qs_init_out *out)
{
    double z = f->offset == QS_OFFSET_ZP ? rint(-out->offset / out->step) : 0, s = fabs(out->step);
    double reach = fmax(fabs(f->c[0] - z), fabs(f->c[f->n - 1] - z)), least = 0x1p-149;
    if (out->f) reach = out->f->cmax;
    double most = FLT_MAX / fmax(fmax(reach, f->cmax), 1) * (1 - 1e-6) / (f->offset == QS_OFFSET_REAL ? 4 : 1);
    if (s > most || s < least) {
        out->step = copysign(s > most ? most : least, out->step);
        qs_init_note(out, _("the step is held at %.3g, the end of float32"), out->step);
    }
    if (f->offset == QS_OFFSET_REAL && fabs(out->offset) > FLT_MAX / 2)
        out->offset = copysign(FLT_MAX / 2, out->offset);
    if (f->offset == QS_OFFSET_ZP) out->offset = z != 0 ? -out->step * z : 0;
    if (!f->offset) out->offset = 0;
}

/* What is odd about the data, before what the rule had to say. */
static void diagnose(const qs_init_in *in, qs_init_out *out)
{
    const qs_index *ix = in->ix;
    char rule[sizeof out->note];
    memcpy(rule, out->note, sizeof rule);
    *out->note = 0;
    double lo = qs_index_min(ix), hi = qs_index_max(ix);
    if (qs_index_skipped(ix)) qs_init_note(out, _("%zu NaN or infinite values left out"), qs_index_skipped(ix));
    if (qs_index_n(ix) == 1 && lo != 0) qs_init_note(out, _("a single value, %.4g"), lo);
    else if (lo == hi && lo != 0) qs_init_note(out, _("every value is %.4g"), lo);
    if (!in->f->is_signed && !in->f->offset && !in->f->flip && lo < 0 && !out->f)
        qs_init_note(out, _("%.3g %% of the values are below 0, where %s has no level"),
                 100 * qs_index_below(ix, 0).w / qs_index_total(ix).w, in->f->text);
    if (hi > 0x1p-126 * -1 && fmax(fabs(lo), fabs(hi)) < 0x1p-126 && fmax(fabs(lo), fabs(hi)) > 0)
        qs_init_note(out, _("every value is subnormal in float32"));
    if (*rule) qs_init_note(out, "%s", rule);
}

int qs_init_part(const qs_init *row, const qs_init_in *in, qs_init_out *out, qs_err *err)
{
    *out = (qs_init_out){0};
    if (!trivial(in, out)) {
        qs_init_in with = *in;
        with.ctx = row->ctx;
        int rc = row->fit(&with, out, err);
        if (rc) return rc;
        if (!out->f) mend(in, row, out);
        fit_float(in->f, out);
    }
    qs_init_keep(row, in, out);
    diagnose(in, out);
    return 0;
}

int qs_init_index(const char *name, const qs_index *ix, const qs_format *f, const qs_init_opts *o,
                  const qs_ctl *ctl, qs_init_out *out, qs_err *err)
{
    qs_init_opts opts = o ? *o : (qs_init_opts){0};
    const qs_init *row = qs_init_find(name, opts.variant, err);
    if (!row) return -QS_EARG;
    if (!variant_fits(row, opts.variant))
        return qs_fail(err, QS_EARG, _("%s has no variant \"%.40s\""), row->name, opts.variant);
    int rc = row->applies ? row->applies(f, opts.role, err) : 0;
    qs_init_in in = {.ix = ix, .f = f, .opts = &opts, .ctl = ctl, .unit = opts.unit};
    return rc ? rc : qs_init_part(row, &in, out, err);
}

int qs_init_unit(const qs_format *f, const qs_tensor *t, const qs_ctl *ctl, double *unit, qs_err *err)
{
    qs_summary all = {0};
    int rc = f->scale == QS_SCALE_E4M3 ? qs_summary_tensor(t, ctl, &all, err) : 0;
    *unit = qs_scale_unit(f->scale, all.absmax, f->cmax);
    return rc;
}

float *qs_init_values(const qs_init *row, const qs_tensor *t, const qs_split *s, size_t part)
{
    if (!(row->flags & QS_INIT_VALUES)) return NULL;
    float *x = qs_xmalloc(qs_split_len(s, t, part) * sizeof *x);
    qs_split_gather(s, t, part, x);
    return x;
}

/* ---- tensors ------------------------------------------------------------------------------------------ */
#define SMALL ((size_t)4096)   /* parts below: the cache would hold more bookkeeping than values */

qs_index *qs_init_part_index(qs_tensor *t, const qs_split *s, size_t part, const qs_tensor *weights, qs_cache *cache,
                             const qs_ctl *ctl, qs_err *err)
{
    if (!weights && cache && qs_split_len(s, t, part) >= SMALL) return qs_cache_get(cache, t, s, part, ctl, err);
    return qs_index_of(t, s, part, weights, ctl, err);
}

int qs_init_check_opts(const qs_tensor *t, const qs_init_opts *o, qs_err *err)
{
    if (!t->n) return qs_fail(err, QS_ERANGE, _("tensor %s is empty"), t->name ? t->name : "?");
    if (!o || !o->weights) return 0;
    bool same = o->weights->ndim == t->ndim && o->weights->n == t->n;
    for (int i = 0; same && i < t->ndim; i++) same = o->weights->shape[i] == t->shape[i];
    return same ? 0 : qs_fail(err, QS_EARG, _("weights have another shape than tensor %s"), t->name ? t->name : "?");
}

struct job {
    const qs_init *row;
    const qs_init_opts *opts;
    qs_tensor *t;
    const qs_format *f;
    const qs_split *s;
    qs_cache *cache;
    const qs_ctl *ctl, *quiet;   /* quiet: only asks for cancel, for the threads of the pool */
    double *step, *offset;       /* (parts) */
    float *pick, *pick_offset;   /* (parts) */
    double unit;
    size_t per, first, end;      /* parts a chunk; the batch is chunks first .. end */
    qs_init_out *shown;          /* what the first part said (with text and codebook) */
    char (*note)[200];           /* (chunks of a batch) the first note of each */
    size_t *noted, *empty;       /* (chunks of a batch) parts with a note; without a finite value */
    qs_err *errs;                /* (chunks of a batch) */
};

static void do_part(struct job *j, size_t p, size_t slot, const qs_ctl *ctl)
{
    qs_err e = {0};
    qs_init_out out = {0};
    qs_index *ix = qs_init_part_index(j->t, j->s, p, j->opts->weights, j->cache, ctl, &e);
    if (!ix && e.code == QS_ERANGE) {
        j->empty[slot]++;
        out.step = 1;
        snprintf(out.note, sizeof out.note, _("no finite value: 1 is used"));
    } else if (ix) {
        float *x = qs_init_values(j->row, j->t, j->s, p);
        qs_init_in in = {.ix = ix, .f = j->f, .opts = j->opts, .ctl = ctl, .unit = j->unit, .x = x,
                         .n = x ? qs_split_len(j->s, j->t, p) : 0};
        if (!qs_init_part(j->row, &in, &out, &e)) e.code = 0;
        else if (!e.code) e.code = QS_ESTATE;
        free(x);
        qs_index_unref(ix);
    }
    if (e.code && e.code != QS_ERANGE && !j->errs[slot].code) j->errs[slot] = e;
    if (ix && e.code == QS_ERANGE && !j->errs[slot].code) j->errs[slot] = e;
    j->step[p] = out.step;
    j->offset[p] = out.offset;
    j->pick[p] = out.pick;
    j->pick_offset[p] = out.pick_offset;
    if (*out.note && !j->noted[slot]++) memcpy(j->note[slot], out.note, sizeof out.note);
    if (p == 0) *j->shown = out;
    else qs_format_free(out.f);
}

static void do_chunk(void *arg, size_t i)
{
    struct job *j = arg;
    size_t from = (j->first + i) * j->per, to = from + j->per < j->s->parts ? from + j->per : j->s->parts;
    for (size_t p = from; p < to && !j->errs[i].code; p++) do_part(j, p, i, j->quiet);
}

enum { BATCH = 16 };

struct tally { size_t noted, empty; char note[200]; };

static int collect(struct job *j, size_t chunks, struct tally *tally, qs_err *err)
{
    for (size_t i = 0; i < chunks; i++) {
        if (j->errs[i].code) return qs_fail(err, j->errs[i].code, "%s", j->errs[i].msg);
        if (j->noted[i] && !tally->noted) memcpy(tally->note, j->note[i], sizeof tally->note);
        tally->noted += j->noted[i];
        tally->empty += j->empty[i];
    }
    return 0;
}

/* Over all parts: in parallel, but for one part (whose rule may share its work out itself) and for rows in Lua. */
static int do_all(struct job *j, struct tally *tally, qs_err *err)
{
    char note[BATCH][200];
    size_t noted[BATCH], empty[BATCH], longest = qs_split_longest(j->s, j->t);
    qs_err errs[BATCH];
    bool alone = j->s->parts == 1 || (j->row->flags & QS_INIT_LUA);
    int rc = 0;
    j->per = alone || !longest || longest >= SMALL * 4 ? 1 : SMALL * 4 / longest;
    j->note = note, j->noted = noted, j->empty = empty, j->errs = errs;
    size_t chunks = (j->s->parts + j->per - 1) / j->per;
    for (j->first = 0; j->first < chunks && !rc; j->first += BATCH) {
        size_t n = chunks - j->first < BATCH ? chunks - j->first : BATCH;
        rc = qs_ctl_check(j->ctl, _("initializing"), (double)j->first / (double)chunks, err);
        if (rc) break;
        memset(noted, 0, sizeof noted);
        memset(empty, 0, sizeof empty);
        memset(errs, 0, sizeof errs);
        if (alone) for (size_t i = 0; i < n; i++) do_part(j, j->first + i, i, j->ctl);
        else qs_parallel(n, do_chunk, j);
        rc = collect(j, n, tally, err);
    }
    return rc;
}

static void describe(qs_quantizer *q, const struct job *j, const char *name, const struct tally *t)
{
    size_t parts = j->s->parts;
    const char *formula = *j->shown->formula ? j->shown->formula : j->row->formula;
    snprintf(q->init, sizeof q->init, "%s", name);
    if (*j->opts->variant && !strchr(name, ':'))
        snprintf(q->init, sizeof q->init, "%.24s:%.31s", name, j->opts->variant);
    if (formula && *formula)
        q->formula = parts > 1 ? qs_xasprintf(_("%s; the first of %zu: %s"), j->row->formula, parts, formula)
            : qs_xstrdup(formula);
    q->source = j->row->source && *j->row->source ? j->row->source : NULL;
    if (t->noted) q->note = parts > 1 ? qs_xasprintf(_("%zu of %zu parts: %s"), t->noted, parts, t->note)
        : qs_xstrdup(t->note);
}

static qs_quantizer *make(struct job *j, const char *name, double start, qs_err *err)
{
    struct tally tally = {0};
    qs_quantizer *q = NULL;
    int rc = do_all(j, &tally, err);
    if (!rc && tally.empty == j->s->parts)
        rc = qs_fail(err, QS_ERANGE, _("tensor %s has no finite value"), j->t->name ? j->t->name : "?");
    if (!rc) {
        const qs_format *f = j->shown->f ? j->shown->f : j->f;
        q = qs_quantizer_blocks(f, j->s, j->s->parts, j->unit, j->step, f->offset ? j->offset : NULL,
                                j->row->flags & QS_INIT_VALUES ? j->pick : NULL, j->pick_offset, err);
    }
    if (q) {
        describe(q, j, name, &tally);
        q->ms = (qs_now() - start) * 1e3;
    }
    qs_format_free(j->shown->f);
    return q;
}

qs_quantizer *qs_init_tensor(const char *name, qs_tensor *t, const qs_format *f, const qs_init_opts *o,
                             qs_cache *cache, const qs_ctl *ctl, qs_err *err)
{
    double start = qs_now();
    qs_init_opts opts = o ? *o : (qs_init_opts){0};
    qs_split s;
    const qs_init *row = qs_init_find(name, opts.variant, err);
    if (!row || qs_init_check_opts(t, o, err) || (row->applies && row->applies(f, opts.role, err)) ||
        qs_format_split(f, t, &s, err))
        return NULL;
    if (!variant_fits(row, opts.variant)) {
        qs_fail(err, QS_EARG, _("%s has no variant \"%.40s\""), row->name, opts.variant);
        return NULL;
    }
    qs_ctl quiet = ctl ? (qs_ctl){.cancel_upto = ctl->cancel_upto, .job = ctl->job} : (qs_ctl){0};
    qs_init_out shown = {0};
    struct job j = {.row = row, .opts = &opts, .t = t, .f = f, .s = &s, .cache = cache, .ctl = ctl, .quiet = &quiet,
                    .shown = &shown};
    if (qs_init_unit(f, t, ctl, &j.unit, err)) return NULL;
    j.step = qs_xcalloc(2 * s.parts, sizeof *j.step);
    j.offset = j.step + s.parts;
    j.pick = qs_xcalloc(2 * s.parts, sizeof *j.pick);
    j.pick_offset = j.pick + s.parts;
    qs_quantizer *q = make(&j, name, start, err);
    free(j.step);
    free(j.pick);
    return q;
}
