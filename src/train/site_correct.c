/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a site adds to its grid: gain and shift of the channels of weights, so that their mean and deviation are those of
 * the floats (ACIQ's bias correction); and a site as a quantizer of its own, with all of that.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"
#include "train/site_in.h"

/* ---- correction ------------------------------------------------------------------------------- */
struct spread { double sum, sq, n; };

static void spread_add(struct spread *a, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(x[i])) continue;
        a->sum += (double)x[i];
        a->sq += (double)x[i] * (double)x[i];
        a->n++;
    }
}

static double spread_mean(const struct spread *a) { return a->n > 0 ? a->sum / a->n : 0; }

static double spread_square(const struct spread *a)   /* sum of squares about the mean */
{
    double m2 = a->sq - a->sum * spread_mean(a);
    return m2 > 1e-12 * a->sq ? m2 : 0;
}

/* Gain and shift of a channel: Q(w) gets the deviation of w, then its mean. */
static void correct_channel(qs_site *s, const float *w, size_t channel)
{
    const size_t each = s->n / s->channels;
    float y[SPAN];
    struct spread a = {0}, b = {0};
    for (size_t i = 0; i < each; i += SPAN) {
        size_t at = channel * each + i, m = each - i < SPAN ? each - i : SPAN;
        site_plain_forward(s, w + at, at, m, y);
        spread_add(&a, w + at, m);
        spread_add(&b, y, m);
    }
    double have = spread_square(&b), want = spread_square(&a), gain = 1;
    if (s->correct == QS_CORRECT_BOTH && have > 0 && want > 0) gain = sqrt(want / have);
    s->gain[channel] = (float)gain;
    s->shift[channel] = (float)(spread_mean(&a) - (double)s->gain[channel] * spread_mean(&b));
}

void site_find_correction(qs_site *s, const float *w)
{
    for (size_t i = 0; i < s->channels; i++) correct_channel(s, w, i);
}

void site_correct(const qs_site *s, size_t start, size_t n, const float *shift, float *y)
{
    const size_t each = s->n / s->channels;
    for (size_t i = 0, m; i < n; i += m) {
        size_t channel = (start + i) / each;
        m = each - (start + i) % each;
        if (m > n - i) m = n - i;
        qs_correct(s->gain[channel], shift ? shift[channel] : 0, y + i, m);
    }
}

/* ---- as a value of its own ------------------------------------------------------------------------ */
/* One step a tensor, but channels corrected each in its own way: the same step for every channel. */
static qs_quantizer *spread_out(const qs_site *s, const qs_split *split, qs_err *err)
{
    qs_quantizer *q = NULL;
    double *v = qs_xmalloc(2 * s->channels * sizeof *v);
    char *plain = qs_format_print(s->f), *text = qs_xasprintf("%s@channel", plain);
    qs_format *f = qs_format_parse(text, err);
    for (size_t i = 0; i < s->channels; i++) {
        v[i] = s->step[0];
        v[s->channels + i] = s->offset ? s->offset[0] : 0;
    }
    if (f) q = qs_quantizer_new(f, split, s->channels, v, v + s->channels, err);
    qs_format_free(f);
    free(plain);
    free(text);
    free(v);
    return q;
}

static void correct_quantizer(const qs_site *s, qs_quantizer *q)
{
    double *v = qs_xmalloc(2 * s->channels * sizeof *v);
    for (size_t i = 0; i < s->channels; i++) {
        v[i] = (double)s->gain[i];
        v[s->channels + i] = (double)s->shift[i];
    }
    qs_quantizer_correct(q, v, v + s->channels);
    free(v);
}

qs_quantizer *qs_site_quantizer(const qs_site *s, qs_err *err)
{
    bool each = s->gain && s->parts == 1 && s->channels > 1;
    qs_split split = {.kind = QS_SPLIT_CHANNEL, .axis = s->act ? ACT_AXIS : 0, .parts = each ? s->channels : s->parts,
                      .contiguous = !s->act};
    qs_quantizer *q = each ? spread_out(s, &split, err)
        : qs_quantizer_channels(s->f, s->parts > 1 ? &split : NULL, s->parts, s->parts > 1 ? s->bits : NULL, s->step, s->offset,
                                err);
    if (!q) return NULL;
    if (s->gain) correct_quantizer(s, q);
    snprintf(q->init, sizeof q->init, "%s", s->init);
    if (*s->formula) q->formula = qs_xstrdup(s->formula);
    if (*s->note) q->note = qs_xstrdup(s->note);
    return q;
}
