/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * `?`: every number on screen says how it came about: the formula, the values
 * in it, the source. Knows the formulas as text; computes nothing but what the
 * line shows.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "ui/screen.h"

/* ---- what is known about a number -------------------------------------------------------- */

/* One set of names for the current quantizer and for a row of the comparison. */
typedef struct facts {
    const qs_snapshot *s;
    const qs_snap_row *row;              /* of the list, or NULL */
    const qs_snap_group *group;          /* of results, or NULL */
    const char *init, *formula, *source, *format;
    double step, clip, mse, sqnr, mse_ratio, step_ratio, clipped, ms;
    double power;                        /* mean(x^2) */
    double v;                            /* the number itself */
} facts;

static facts facts_of(const qs_ui *u, const qs_spot *p)
{
    const qs_snapshot *s = u->s;
    const qs_snap_quant *a = &s->a;
    facts f = {.s = s, .v = p->value, .format = s->sel.format, .init = a->init, .formula = a->formula, .source = a->source, .step = a->step,
               .clip = a->clip_hi, .mse = a->mse, .sqnr = a->sqnr, .mse_ratio = a->mse_ratio, .step_ratio = a->step_ratio,
               .clipped = a->clipped, .ms = NAN, .power = a->nmse > 0 ? a->mse / a->nmse : NAN};
    if (p->view == QS_V_LIST || p->view == QS_V_MAP) f.row = s->list && p->row < s->list->n ? &s->list->row[p->row] : NULL;
    if (p->view == QS_V_RESULTS && s->results && p->row < s->results->ngroup) f.group = &s->results->group[p->row];
    if (p->view == QS_V_COMPARE && p->row < s->ncompare) {
        const qs_snap_compare_row *c = &s->compare[p->row];
        f.init = c->init; f.formula = c->formula; f.source = c->source; f.step = c->step; f.clip = c->clip; f.mse = c->mse;
        f.sqnr = c->sqnr; f.mse_ratio = c->mse_ratio; f.step_ratio = c->step_ratio; f.clipped = c->clipped; f.ms = c->ms;
    }
    return f;
}

static const char *sig(char b[QS_FMT], double v) { return qs_fmt_sig(b, v, 4); }

/* ---- one text a kind: lines; the first is the formula ------------------------------------------ */

static void t_count(const facts *f, qs_str *o)
{
    char a[QS_FMT];
    qs_str_addf(o, _("elements of the tensor: the product of its shape\n"));
    if (f->row) qs_str_addf(o, "%s = %s\n", f->row->shape, qs_fmt_count(a, (double)f->row->n, 20));
}

static void t_bin(const facts *f, qs_str *o)
{
    char a[QS_FMT], b[QS_FMT];
    const qs_snap_hist *h = &f->s->hist;
    qs_str_add(o, _("values of this bin, counted one by one in the raw data; a value on an edge belongs to the bin above\n"));
    qs_str_addf(o, _("%s of %s; a bin is %s wide\n"), qs_fmt_count(a, f->v, 14), qs_fmt_count(b, (double)f->s->n, 14),
                h->log_x ? _("in equal steps of log x") : qs_fmt_sig((char[QS_FMT]){0}, (h->hi - h->lo) / (double)h->bins, 4));
}

static void t_std(const facts *f, qs_str *o)
{
    char a[QS_FMT], b[QS_FMT];
    qs_str_addf(o, _("std = sqrt( sum (x - mean)^2 / (n - 1) ), sums in double, values that are not finite left out\n"));
    qs_str_addf(o, "std = %s", sig(a, f->v));
    if (f->row && !strcmp(f->row->name, f->s->sel.tensor)) qs_str_addf(o, "   mean = %s", sig(b, f->s->mean));
    if (f->row && f->row->sampled) qs_str_add(o, _("   from a sample so far"));
    qs_str_add(o, "\n");
}

static void t_kurt(const facts *f, qs_str *o)
{
    char a[QS_FMT];
    qs_str_add(o, _("kurtosis = (1/n) sum (x - mean)^4 / ((1/n) sum (x - mean)^2)^2   (Pearson: a normal distribution has 3)\n"));
    qs_str_addf(o, "%s: %s\n", sig(a, f->v),
                isnan(f->v) ? _("not known yet") : f->v > 20 ? _("a few values far out; a step for all of them wastes most levels")
                : f->v > 4 ? _("heavier tails than normal (Laplace has 6)") : f->v < 2.5 ? _("lighter tails than normal (uniform has 1.8)") : _("close to normal"));
}

static void t_sqnr(const facts *f, qs_str *o)
{
    char a[QS_FMT], b[QS_FMT], c[QS_FMT];
    qs_str_add(o, _("SQNR = -10 log10( mse / mean(x^2) )   signal to quantization noise; 6.02 dB is one bit\n"));
    if (f->row) {
        qs_str_addf(o, _("%s dB: mse / mean(x^2) = 10^(-%s/10) = %s%s\n"), qs_fmt_db(a, f->v), qs_fmt_fixed(b, f->v, 2), sig(c, pow(10, -f->v / 10)),
                    f->row->sampled ? _("   from a sample so far") : "");
        return;
    }
    qs_str_addf(o, "-10 log10( %s / %s ) = %s dB\n", sig(a, f->mse), sig(b, f->power), qs_fmt_fixed(c, f->sqnr, 2));
}

static void t_mse(const facts *f, qs_str *o)
{
    char a[QS_FMT], b[QS_FMT], c[QS_FMT];
    qs_str_add(o, _("mse = (1/n) sum ( x - Q(x) )^2, exact over all values, = rounding part + clipping part\n"));
    if (f->init == f->s->a.init)
        qs_str_addf(o, "%s = %s + %s\n", sig(a, f->mse), sig(b, f->s->a.round_mse), sig(c, f->s->a.clip_mse));
    else
        qs_str_addf(o, "%s: mse = %s\n", f->init, sig(a, f->mse));
}

static void t_mse_ratio(const facts *f, qs_str *o)
{
    char a[QS_FMT], b[QS_FMT], c[QS_FMT];
    qs_str_add(o, _("mse of this initialization / least mse over all steps of this format on this tensor (1.00 is the best there is)\n"));
    if (f->row) qs_str_addf(o, "%s: %s\n", f->s->sel.init, qs_fmt_fixed(c, f->v, 3));
    else qs_str_addf(o, "%s / %s = %s\n", sig(a, f->mse), sig(b, f->mse / f->mse_ratio), qs_fmt_fixed(c, f->mse_ratio, 3));
    qs_str_add(o, _("A larger squared error is not by itself a worse start for training.\n"));
}

static void t_step(const facts *f, qs_str *o)
{
    char a[QS_FMT], b[QS_FMT];
    qs_str_addf(o, "%s\n", f->formula ? f->formula : _("moved by hand: the levels are step times the codebook"));
    qs_str_addf(o, _("%s: step = %s, clip = %s\n"), f->init, sig(a, f->step), sig(b, f->clip));
    if (f->source) qs_str_addf(o, "%s\n", f->source);
}

static void t_step_ratio(const facts *f, qs_str *o)
{
    char a[QS_FMT], b[QS_FMT], c[QS_FMT];
    qs_str_add(o, _("step / the step of least squared error; above 1 too coarse, below 1 clips too much\n"));
    qs_str_addf(o, "%s / %s = %s\n", sig(a, f->step), sig(b, f->step / f->step_ratio), qs_fmt_fixed(c, f->step_ratio, 3));
}

static void t_clip(const facts *f, qs_str *o)
{
    char a[QS_FMT], b[QS_FMT], c[QS_FMT];
    qs_str_add(o, _("clip = step * largest level of the codebook; what lies beyond is set to it\n"));
    qs_str_addf(o, "%s = %s * %s   (%s)\n", sig(a, f->clip), sig(b, f->step), sig(c, f->clip / f->step), f->format);
    if (f->init == f->s->a.init) qs_str_addf(o, _("range %s .. %s\n"), sig(a, f->s->a.clip_lo), sig(b, f->s->a.clip_hi));
}

static void t_clipped(const facts *f, qs_str *o)
{
    char a[QS_FMT], b[QS_FMT], c[QS_FMT];
    qs_str_add(o, _("values strictly beyond the outermost levels / all values\n"));
    qs_str_addf(o, "%s / %s = %s\n", qs_fmt_count(a, f->clipped * (double)f->s->n, 14), qs_fmt_count(b, (double)f->s->n, 14), qs_fmt_percent(c, f->clipped));
}

static void t_ms(const facts *f, qs_str *o)
{
    char a[QS_FMT];
    qs_str_addf(o, _("time this initialization took on the index of the tensor: %s ms\n"), qs_fmt_fixed(a, f->ms, 3));
}

static void t_levels(const facts *f, qs_str *o)
{
    char a[QS_FMT], b[QS_FMT], c[QS_FMT];
    const qs_snap_quant *q = &f->s->a;
    qs_str_add(o, _("levels of the codebook, and those at least one value falls on\n"));
    qs_str_addf(o, _("%s levels, %s used; entropy of the codes %s bits\n"), qs_fmt_count(a, (double)q->levels, 9), qs_fmt_count(b, (double)q->used, 9),
                qs_fmt_fixed(c, q->entropy, 3));
}

static void t_bits(const facts *f, qs_str *o)
{
    char a[QS_FMT], b[QS_FMT], c[QS_FMT];
    qs_str_add(o, _("bits a weight = bits of a code + (bits of a step and its offset) * parts / n, of the tensor looked at\n"));
    qs_str_addf(o, ngettext("%s: %s with %s step over %s values\n", "%s: %s with %s steps over %s values\n", f->s->sel.parts), f->format,
                qs_fmt_fixed(a, f->v, 3), qs_fmt_count(b, (double)f->s->sel.parts, 14), qs_fmt_count(c, (double)f->s->n, 14));
}

static void t_size(const facts *f, qs_str *o)
{
    char a[QS_FMT], b[QS_FMT], c[QS_FMT];
    const qs_snap_list *l = f->s->list;
    if (!l) return;
    qs_str_add(o, _("codes and their steps of all weight tensors in this format, tables packed without gaps\n"));
    qs_str_addf(o, _("%s bits / 8 = %s; %s bits a weight\n"), qs_fmt_count(a, l->bits_total, 20), qs_fmt_bytes(b, l->bits_total / 8),
                qs_fmt_fixed(c, l->bits_total / (double)(l->values ? l->values : 1), 3));
}

static void t_gain(const facts *f, qs_str *o)
{
    char a[QS_FMT], b[QS_FMT];
    const qs_snap_list *l = f->s->list;
    if (!l) return;
    qs_str_add(o, _("SQNR of the whole model = -10 log10( sum |x - Q(x)|^2 / sum |x|^2 ), over all weight tensors\n"));
    qs_str_addf(o, _("as it is %s dB, with a step for each output channel %s dB\n"), qs_fmt_fixed(a, l->sqnr_total, 2), qs_fmt_fixed(b, l->sqnr_total_channel, 2));
}

static void t_round(const facts *f, qs_str *o)
{
    char a[QS_FMT], b[QS_FMT], c[QS_FMT];
    const qs_snap_quant *q = &f->s->a;
    qs_str_add(o, _("(1/n) sum ( x - Q(x) )^2 over the values inside the clip range\n"));
    qs_str_addf(o, _("%s; a uniform error would give step^2 / 12 = %s; clipping adds %s\n"), sig(a, q->round_mse), sig(b, q->step * q->step / 12), sig(c, q->clip_mse));
}

/* ---- of a quantized tensor against the float one ------------------------------------------------- */
/* Which they are: x and y of the formulas. */
static void versus_names(const facts *f, qs_str *o)
{
    const qs_snap_versus *v = &f->s->versus;
    qs_str_addf(o, _("x: %s in %s; y: the values stored here; of the whole tensor\n"), v->tensor, v->model);
    if (*v->note) qs_str_addf(o, "%s\n", v->note);
}

static void t_v_sqnr(const facts *f, qs_str *o)
{
    char a[QS_FMT], b[QS_FMT], c[QS_FMT];
    const qs_snap_versus *v = &f->s->versus;
    qs_str_add(o, _("SQNR = -10 log10( mean((x - y)^2) / mean(x^2) )   signal to quantization noise; 6.02 dB is one bit\n"));
    qs_str_addf(o, "-10 log10( %s / %s ) = %s dB\n", sig(a, v->mse), sig(b, v->energy), qs_fmt_fixed(c, v->sqnr, 2));
    versus_names(f, o);
}

static void t_v_mse(const facts *f, qs_str *o)
{
    char a[QS_FMT], b[QS_FMT], c[QS_FMT];
    const qs_snap_versus *v = &f->s->versus;
    qs_str_add(o, _("mse = (1/n) sum (x - y)^2 over the pairs that are finite\n"));
    qs_str_addf(o, _("%s over %s pairs; mean of y - x %s\n"), sig(a, v->mse), qs_fmt_count(b, v->n, 14), sig(c, v->bias));
    versus_names(f, o);
}

static void t_v_max(const facts *f, qs_str *o)
{
    char a[QS_FMT];
    qs_str_add(o, _("max = the greatest |x - y|\n"));
    qs_str_addf(o, "%s\n", sig(a, f->s->versus.max_abs));
    versus_names(f, o);
}

static void t_v_levels(const facts *f, qs_str *o)
{
    const qs_snap_versus *v = &f->s->versus;
    if (v->levels) qs_str_add(o, _("levels of the codebook that occur anywhere in the tensor, whatever the scales / levels of the codebook\n"));
    else qs_str_add(o, _("the most different values in one row of the tensor\n"));
    if (v->levels) qs_str_addf(o, "%zu / %zu\n", v->used, v->levels);
    else qs_str_addf(o, "%zu\n", v->used);
}

static void t_v_bits(const facts *f, qs_str *o)
{
    char a[QS_FMT], b[QS_FMT];
    const qs_snap_versus *v = &f->s->versus;
    qs_str_add(o, _("bits a value as the file has it: codes, scales and offsets together\n"));
    qs_str_addf(o, _("%s; the tensor takes %s\n"), qs_fmt_fixed(a, v->bpw, 3), qs_fmt_bytes(b, v->bpw * (double)f->s->n / 8));
}

/* ---- of a run ---------------------------------------------------------------------------------- */
static const qs_snap_look *look(const facts *f) { return &f->s->train->look; }

static void t_accuracy(const facts *f, qs_str *o)
{
    char a[QS_FMT];
    qs_str_add(o, _("right answers / images of the validation split, which is kept apart from training and test\n"));
    qs_str_addf(o, _("%s; batch normalization is estimated anew on the same 2048 training images before every evaluation\n"), qs_fmt_percent(a, f->v));
    qs_str_add(o, _("float: the net before it was quantized; before: quantized by the initialization, not trained yet\n"));
}

static void t_run_step(const facts *f, qs_str *o)
{
    char a[QS_FMT], b[QS_FMT], c[QS_FMT];
    const qs_snap_look *l = look(f);
    qs_str_add(o, _("the learned step: levels are step times the codebook; of several channels the geometric mean\n"));
    qs_str_addf(o, _("%s / %s (least squared error on the values seen now) = %s\n"), sig(a, l->step), sig(b, l->best_step),
                qs_fmt_fixed(c, l->step / l->best_step, 3));
    qs_str_addf(o, _("it began at %s (%s)\n"), sig(a, l->first), l->init);
}

static void t_run_error(const facts *f, qs_str *o)
{
    char a[QS_FMT], b[QS_FMT], c[QS_FMT];
    const qs_snap_look *l = look(f);
    qs_str_add(o, _("mean squared error at this step / the least over all steps, on the values seen now\n"));
    qs_str_addf(o, "%s / %s = %s%s\n", sig(a, l->error), sig(b, l->best_error), qs_fmt_fixed(c, l->error / l->best_error, 3),
                l->coarse ? _("   from the histogram that the record keeps, not from the values: nearly") : "");
    qs_str_add(o, _("A larger squared error is not by itself worse: the loss decides.\n"));
}

static void t_run_clipped(const facts *f, qs_str *o)
{
    char a[QS_FMT], b[QS_FMT], c[QS_FMT];
    qs_str_add(o, _("values beyond the outermost levels / all values; they are set to those levels\n"));
    qs_str_addf(o, _("%s outside %s .. %s\n"), qs_fmt_percent(a, f->v), sig(b, look(f)->clip_lo), sig(c, look(f)->clip_hi));
}

static void t_run_levels(const facts *f, qs_str *o)
{
    qs_str_add(o, _("levels at least one value falls on / levels of the format\n"));
    qs_str_addf(o, "%.0f / %.0f\n", look(f)->used, look(f)->levels);
}

static void t_run_entropy(const facts *f, qs_str *o)
{
    char a[QS_FMT], b[QS_FMT];
    qs_str_add(o, _("entropy of the codes = -sum p log2 p, p: the share of a level\n"));
    qs_str_addf(o, _("%s of at most log2 %.0f = %s bits\n"), qs_fmt_fixed(a, f->v, 3), look(f)->levels, qs_fmt_fixed(b, log2(look(f)->levels), 3));
}

static void t_oscillate(const facts *f, qs_str *o)
{
    char a[QS_FMT];
    qs_str_add(o, _("weights whose code turns back at once more often than 0.005 times a step, moving mean with 0.01 / weights followed\n"));
    qs_str_addf(o, "%s\n%s\n", qs_fmt_percent(a, f->v), _("Nagel et al. 2022, Overcoming Oscillations in Quantization-Aware Training"));
}

static void t_lsq_r(const facts *f, qs_str *o)
{
    char a[QS_FMT];
    qs_str_add(o, _("R = (|dL/ds| / s) / (|dL/dw| / |w|): updates of the step against those of the weights, each relative to its size\n"));
    qs_str_addf(o, _("%s; LSQ scales the gradient of the step so that this is near 1\n"), sig(a, f->v));
    qs_str_add(o, _("Esser et al. 2020, Learned Step Size Quantization, eq. 4\n"));
}

static void t_pull(const facts *f, qs_str *o)
{
    char a[QS_FMT], b[QS_FMT];
    const qs_snap_look *l = look(f);
    qs_str_add(o, _("-dL/d ln s, mean over the records around: to the right the loss wants a larger step\n"));
    qs_str_addf(o, _("%s, standard error %s; within it the loss is said not to pull\n"), sig(a, l->pull), sig(b, l->pull_noise));
    qs_str_add(o, _("The length of the arrow is against the greatest pull of the run so far.\n"));
}

static void t_slope(const facts *f, qs_str *o)
{
    char a[QS_FMT];
    qs_str_add(o, _("-d ln mse / d ln s at the step: where the squared error would go\n"));
    qs_str_addf(o, _("%s; below 0.05 it is at its least\n"), sig(a, -f->v));
}

/* The least of the tried steps, by the loss; SIZE_MAX: none. */
static size_t best_probe(const qs_snap_look *l)
{
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < l->nprobe; i++)
        if (isfinite(l->probe_loss[i]) && (best == SIZE_MAX || l->probe_loss[i] < l->probe_loss[best])) best = i;
    return best;
}

static void t_probes(const facts *f, qs_str *o)
{
    char a[QS_FMT], b[QS_FMT], c[QS_FMT];
    const qs_snap_look *l = look(f);
    size_t best = best_probe(l);
    qs_str_add(o, _("a dot: a step the start tried here, and the network's loss on calibration images with it; half way up: as before, logarithmic\n"));
    qs_str_addf(o, _("chosen: norm p = %s (2: least squares), its step times %s"), qs_fmt_sig(a, l->probe_p, 2), qs_fmt_fixed(b, l->probe_factor, 2));
    qs_str_addf(o, _("; the network's loss %s at least squares, %s as chosen\n"), sig(a, l->probe_first), sig(b, l->probe_last));
    if (best != SIZE_MAX)
        qs_str_addf(o, _("%zu tried; least loss x%s at step %s, the least squared error now at %s\n"), l->nprobe,
                    qs_fmt_fixed(a, 1 + l->probe_loss[best], 2), sig(b, l->probe_step[best]), sig(c, l->best_step));
    qs_str_add(o, _("A norm is tried for all weights, then all inputs, and their steps move together; a factor is of this step alone, and is taken "
                    "if other images gain, too, by two standard errors. Where dots fall and the curve rises, loss and squared error disagree.\n"));
}

/* ---- of a race -------------------------------------------------------------------------------------- */
static void t_start(const facts *f, qs_str *o)
{
    char a[QS_FMT];
    qs_str_add(o, _("what the start cost: seconds from the float net to a run that is ready, calibration and search with it\n"));
    qs_str_addf(o, _("%s; =steps: so many training steps of the same run take as long\n"), sig(a, f->v));
}

static void t_train_seconds(const facts *f, qs_str *o)
{
    char a[QS_FMT];
    qs_str_add(o, _("seconds spent in the steps of this run, those of the others not counted\n"));
    qs_str_addf(o, _("%s; all make steps in turn on the same threads\n"), sig(a, f->v));
}

/* ---- of a group of results ------------------------------------------------------------------------ */
static void t_cells(const facts *f, qs_str *o)
{
    const qs_snap_group *g = f->group;
    qs_str_add(o, _("cells of the group that are done and have the metric as a finite number\n"));
    qs_str_addf(o, _("%zu; %zu done without, %zu failed, %zu not done yet\n"), g->n, g->undefined, g->failed, g->left);
}

static void t_group_mean(const facts *f, qs_str *o)
{
    char a[QS_FMT], b[QS_FMT], c[QS_FMT];
    qs_str_add(o, _("mean of the metric over the cells of the group\n"));
    qs_str_addf(o, _("%s: %s over %zu cells, 95 %% interval %s .. %s\n"), f->s->results->at.metric, sig(a, f->group->mean), f->group->n,
                sig(b, f->group->lo), sig(c, f->group->hi));
}

/* n values gave lo .. hi around mean. */
static void interval_text(qs_str *o, size_t n, double lo, double hi)
{
    char a[QS_FMT], b[QS_FMT], c[QS_FMT];
    if (n < 20) qs_str_add(o, _("half the 95 % interval of the mean = t(0.975; n - 1) std / sqrt(n), Student's t\n"));
    else qs_str_add(o, _("half the 95 % interval of the mean, bias-corrected and accelerated bootstrap\n"));
    qs_str_addf(o, _("n = %zu: %s .. %s, half %s\n"), n, sig(a, lo), sig(b, hi), sig(c, (hi - lo) / 2));
    if (n >= 20) qs_str_add(o, _("Efron 1987, Better Bootstrap Confidence Intervals\n"));
}

static void t_interval(const facts *f, qs_str *o) { interval_text(o, f->group->n, f->group->lo, f->group->hi); }
static void t_diff_interval(const facts *f, qs_str *o) { interval_text(o, f->group->pairs, f->group->diff_lo, f->group->diff_hi); }

static void t_group_std(const facts *f, qs_str *o)
{
    char a[QS_FMT];
    qs_str_add(o, _("std = sqrt( sum (x - mean)^2 / (n - 1) ) over the cells of the group\n"));
    qs_str_addf(o, "%s, n = %zu\n", sig(a, f->group->std), f->group->n);
}

static void t_least(const facts *f, qs_str *o)
{
    char a[QS_FMT];
    qs_str_addf(o, _("the least value among %zu cells\n%s\n"), f->group->n, sig(a, f->v));
}

static void t_greatest(const facts *f, qs_str *o)
{
    char a[QS_FMT];
    qs_str_addf(o, _("the greatest value among %zu cells\n%s\n"), f->group->n, sig(a, f->v));
}

static void t_diff(const facts *f, qs_str *o)
{
    char a[QS_FMT], b[QS_FMT], c[QS_FMT];
    qs_str_add(o, _("mean of this minus baseline, over pairs of cells that agree in all parameters the groups are not made by\n"));
    qs_str_addf(o, _("%s over %zu pairs, 95 %% interval %s .. %s\n"), sig(a, f->group->diff), f->group->pairs, sig(b, f->group->diff_lo),
                sig(c, f->group->diff_hi));
}

static void t_p(const facts *f, qs_str *o)
{
    char a[QS_FMT], b[QS_FMT];
    qs_str_add(o, _("the chance of a mean difference at least as far from 0 if the sign of each were a coin's: two-sided sign-flip test\n"));
    qs_str_addf(o, _("p = %s; %zu pairs cannot give less than %s\n"), sig(a, f->group->p), f->group->pairs, sig(b, ldexp(2, -(int)f->group->pairs)));
    qs_str_add(o, _("Fisher 1935, The Design of Experiments, section 21\n"));
}

static const struct { const char *title; void (*text)(const facts *, qs_str *); } kinds[QS_NUMS] = {
    [QS_N_COUNT] = {N_("Count"), t_count},              [QS_N_STD] = {N_("Standard deviation"), t_std},
    [QS_N_KURT] = {N_("Kurtosis"), t_kurt},             [QS_N_SQNR] = {N_("SQNR"), t_sqnr},
    [QS_N_MSE] = {N_("Mean squared error"), t_mse},     [QS_N_MSE_RATIO] = {N_("Error against the least"), t_mse_ratio},
    [QS_N_STEP] = {N_("Step"), t_step},                 [QS_N_STEP_RATIO] = {N_("Step against the best"), t_step_ratio},
    [QS_N_CLIP] = {N_("Clip range"), t_clip},           [QS_N_CLIPPED] = {N_("Clipped"), t_clipped},
    [QS_N_MS] = {N_("Time"), t_ms},                     [QS_N_BIN] = {N_("Count"), t_bin},
    [QS_N_LEVELS] = {N_("Levels"), t_levels},           [QS_N_SIZE] = {N_("Size"), t_size},
    [QS_N_BITS] = {N_("Bits a weight"), t_bits},
    [QS_N_V_SQNR] = {N_("SQNR against the float model"), t_v_sqnr}, [QS_N_V_MSE] = {N_("Error against the float model"), t_v_mse},
    [QS_N_V_MAX] = {N_("Greatest error"), t_v_max},     [QS_N_V_LEVELS] = {N_("Levels"), t_v_levels},
    [QS_N_V_BITS] = {N_("Bits a value"), t_v_bits},
    [QS_N_ACCURACY] = {N_("Accuracy"), t_accuracy},     [QS_N_RUN_STEP] = {N_("Step"), t_run_step},
    [QS_N_RUN_ERROR] = {N_("Error against the least"), t_run_error}, [QS_N_RUN_CLIPPED] = {N_("Clipped"), t_run_clipped},
    [QS_N_RUN_LEVELS] = {N_("Levels"), t_run_levels},   [QS_N_RUN_ENTROPY] = {N_("Entropy"), t_run_entropy},
    [QS_N_OSCILLATE] = {N_("Oscillating weights"), t_oscillate}, [QS_N_LSQ_R] = {N_("LSQ's R"), t_lsq_r},
    [QS_N_PROBES] = {N_("What the start was chosen by"), t_probes},
    [QS_N_START] = {N_("Price of the start"), t_start}, [QS_N_TRAIN_SECONDS] = {N_("Time"), t_train_seconds},
    [QS_N_PULL] = {N_("Where the loss pulls"), t_pull}, [QS_N_SLOPE] = {N_("Where the squared error pulls"), t_slope},
    [QS_N_CELLS] = {N_("Cells"), t_cells},              [QS_N_GROUP_MEAN] = {N_("Mean"), t_group_mean},
    [QS_N_INTERVAL] = {N_("Interval of the mean"), t_interval}, [QS_N_GROUP_STD] = {N_("Standard deviation"), t_group_std},
    [QS_N_LEAST] = {N_("Minimum"), t_least},            [QS_N_GREATEST] = {N_("Maximum"), t_greatest},
    [QS_N_DIFF] = {N_("Difference from the baseline"), t_diff}, [QS_N_DIFF_INTERVAL] = {N_("Interval of the difference"), t_diff_interval},
    [QS_N_P] = {N_("p of the difference"), t_p},
    [QS_N_GAIN] = {N_("What a step a channel gains"), t_gain}, [QS_N_ROUND] = {N_("Rounding error"), t_round},
};

/* ---- numbers on screen ------------------------------------------------------------------------------ */

void qs_ui_number(qs_ui *u, int view, int y, int x, int w, const char *text, enum qs_num kind, size_t row, double value, int role, int attr)
{
    qs_cells_right(&u->g, y, x, w, text, role, attr);
    int n = qs_text_width(text), seen = n < w ? n : w;
    qs_ui_spot(u, view, y, x + w - seen, seen, kind, row, value);
}

void qs_ui_spot(qs_ui *u, int view, int y, int x, int w, enum qs_num kind, size_t row, double value)
{
    if (u->nspot < QS_SPOTS && w > 0) u->spot[u->nspot++] = (qs_spot){y, x, w, kind, view, row, value};
}

/* Whose number it is. */
static const char *owner(const qs_ui *u, const qs_spot *p, const facts *f)
{
    const qs_snap_train *t = u->s->train;
    if (p->view == QS_V_COMPARE) return f->init;
    if (f->group) return f->group->name;
    if (p->view == QS_V_RACE) return u->s->race ? qs_race_owner(u, p->row) : "";
    if (p->view != QS_V_TRAIN || !t) return f->row ? f->row->name : u->s->sel.tensor;
    return p->kind == QS_N_ACCURACY ? t->run[t->cur].name : t->site[t->site_cur].name;
}

static bool same_spot(const qs_spot *a, const qs_spot *b) { return a->view == b->view && a->kind == b->kind && a->row == b->row; }

static const qs_spot *find(const qs_ui *u)
{
    for (size_t i = 0; i < u->nspot; i++)
        if (same_spot(&u->spot[i], &u->at)) return &u->spot[i];
    return NULL;
}

void qs_explain_start(qs_ui *u)
{
    const qs_spot *best = NULL;
    for (size_t i = 0; i < u->nspot; i++) {
        const qs_spot *p = &u->spot[i];
        bool here = p->view == u->focus;
        bool row = u->focus != QS_V_LIST || (u->s && u->s->list && !strcmp(u->s->list->row[p->row < u->s->list->n ? p->row : 0].name, qs_cur_tensor(u)));
        if (u->focus == QS_V_RESULTS) row = u->results.cur < u->results.n && p->row == u->results.order[u->results.cur];
        if (here && row && (!best || (p->kind == QS_N_SQNR && best->kind != QS_N_SQNR && u->focus == QS_V_LIST))) best = p;
    }
    if (!best && u->nspot) best = &u->spot[0];
    if (!best) { qs_ui_say(u, true, "%s", _("no number here to explain")); return; }
    u->at = *best;
    u->explain = true;
    qs_ui_touch(u);
}

/* The nearest number in a direction; sideways costs more than ahead. */
static const qs_spot *nearest(const qs_ui *u, int dy, int dx)
{
    const qs_spot *best = NULL, *from = find(u);
    double least = INFINITY;
    if (!from) return u->nspot ? &u->spot[0] : NULL;
    for (size_t i = 0; i < u->nspot; i++) {
        const qs_spot *p = &u->spot[i];
        int ay = p->y - from->y, ax = (p->x + p->w) - (from->x + from->w);
        int ahead = dy ? ay * dy : ax * dx, side = dy ? abs(ax) : abs(ay) * 4;
        if (ahead <= 0) continue;
        double d = ahead * (dy ? 4 : 1) + side * 3.0;
        if (d < least) { least = d; best = p; }
    }
    return best;
}

void qs_explain_key(qs_ui *u, int key)
{
    const qs_spot *p = NULL;
    const qs_spot *from = find(u);
    size_t i = from ? (size_t)(from - u->spot) : 0, n = u->nspot;
    switch (key) {
    case QS_K_UP: p = nearest(u, -1, 0); break;
    case QS_K_DOWN: p = nearest(u, 1, 0); break;
    case QS_K_LEFT: p = nearest(u, 0, -1); break;
    case QS_K_RIGHT: p = nearest(u, 0, 1); break;
    case QS_K_TAB: p = n ? &u->spot[(i + 1) % n] : NULL; break;
    case QS_K_BACKTAB: p = n ? &u->spot[(i + n - 1) % n] : NULL; break;
    default: u->explain = false;
    }
    if (p) u->at = *p;
    qs_ui_touch(u);
}

/* Breaks text at blanks so that it fits into w columns; draws what fits into h rows. Returns the rows it takes. */
static int paragraph(qs_ui *u, qs_rect r, int y, const char *t, size_t n, int role, bool draw)
{
    char line[1024];
    size_t at = 0;
    int rows = 0;
    while (at < n) {
        size_t end = at, fit = at;
        int w = 0;
        while (end < n && w <= r.w) {
            const char *p = t + end;
            wchar_t c = qs_utf8_next(&p);
            w += qs_char_width(c);
            if (w > r.w) break;
            end = (size_t)(p - t);
            if (c == ' ' || end == n) fit = end;
        }
        if (fit == at) fit = end > at ? end : at + 1;
        snprintf(line, sizeof line, "%.*s", (int)(fit - at), t + at);
        if (draw && y + rows < r.y + r.h) qs_cells_text(&u->g, y + rows, r.x, r.w, line, role, 0);
        rows++;
        at = fit;
    }
    return rows ? rows : 1;
}

static int lines(qs_ui *u, qs_rect r, const char *text, bool draw)
{
    int y = r.y, k = 0;
    for (const char *s = text; *s; k++) {
        size_t n = strcspn(s, "\n");
        y += paragraph(u, r, y, s, n, k == 0 ? QS_ROLE_TITLE : k == 1 ? QS_ROLE_TEXT : QS_ROLE_DIM, draw);
        s += n + (s[n] == '\n');
    }
    return y - r.y;
}

void qs_explain_draw(qs_ui *u)
{
    const qs_spot *p = find(u);
    qs_str t = {0};
    if (!p || !u->s || (p->view == QS_V_TRAIN && !u->s->train) || (p->view == QS_V_RACE && !u->s->race) || (p->view == QS_V_RESULTS && !facts_of(u, p).group)) { u->explain = false; return; }
    facts f = facts_of(u, p);
    qs_str_add(&t, "");
    kinds[p->kind].text(&f, &t);
    qs_cells_mark(&u->g, (qs_rect){p->y, p->x, 1, p->w}, QS_REVERSE);
    int w = u->w < 84 ? u->w - 2 : 82, inside = w - 4;
    int h = lines(u, (qs_rect){0, 0, 99, inside}, t.s, false) + 2;
    int y = p->y < u->h / 2 ? u->h - 1 - h : 1;                   /* never over the number itself */
    if (y <= p->y && p->y < y + h) y = p->y > h ? p->y - h : p->y + 1;
    qs_rect r = {y < 0 ? 0 : y, (u->w - w) / 2, h, w};
    char title[400];
    snprintf(title, sizeof title, "%s  %s", _(kinds[p->kind].title), owner(u, p, &f));
    qs_cells_fill(&u->g, r, L' ', QS_ROLE_TEXT, 0);
    qs_rect in = qs_ui_frame(u, -1, r, title, _("arrows: another number · Esc"), NULL);
    in.x++;
    in.w -= 2;
    lines(u, in, t.s, true);
    free(t.s);
}
