/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Finding the parameters of a site from values: by an initialization, from nothing; and again by least squares, from
 * where they stand. Which init, and when, others decide.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "quant/allot.h"
#include "train/site_in.h"

#define FIT_MAX ((size_t)1 << 22)       /* more values than this: an init sees a regular choice of the images */

/* ---- initialization ------------------------------------------------------------------------------- */
struct fit {
    qs_site *s;
    const char *init;
    const float *x;
    size_t n;
    float *part;               /* room for the values of one part */
    double *step, *offset;
    qs_format *f;              /* where the init made a format of its own */
    const qs_ctl *ctl;
};

/* The values of a part among x (n), normalized where the site normalizes, to out; returns how many. */
static size_t gather(const qs_site *s, size_t part, const float *x, size_t n, float *out)
{
    size_t m = 0, period = s->inner * s->parts;
    for (size_t at = s->parts > 1 ? part * s->inner : 0; at < n; at += s->parts > 1 ? period : n) {
        size_t run = s->parts > 1 ? s->inner : n;
        memcpy(out + m, x + at, run * sizeof *x);
        m += run;
    }
    if (s->normalize) site_normalize(s, out, m, out);
    return m;
}

static void add_note(qs_site *s, const char *text)
{
    size_t at = strlen(s->note);
    if (*text) snprintf(s->note + at, sizeof s->note - at, "%s%s", at ? "; " : "", text);
}

static int fit_part(struct fit *k, size_t part, qs_err *err)
{
    qs_site *s = k->s;
    qs_init_opts o = {.role = s->act ? QS_ROLE_ACT : QS_ROLE_WEIGHT};
    qs_init_out out = {0};
    qs_index *ix = qs_index_new(k->part, gather(s, part, k->x, k->n, k->part), NULL, k->ctl, err);
    if (!ix) return -err->code;
    int rc = qs_init_index(k->init, ix, qs_site_format(s, part), &o, k->ctl, &out, err);
    qs_index_unref(ix);
    if (rc) return rc;
    k->step[part] = out.step;
    k->offset[part] = out.offset;
    if (part == 0) snprintf(s->formula, sizeof s->formula, "%s", out.formula);
    if (part == 0 || !*s->note) snprintf(s->note, sizeof s->note, "%s", out.note);
    if (!out.f) return 0;
    k->f = out.f;
    if (s->parts == 1 && !s->bits) return 0;
    return qs_fail(err, QS_EUNSUP, _("%s makes levels of its own; in training one quantizer a tensor can have them"),
                   k->init);
}

/* Every stride-th image, so that no more than FIT_MAX values are left. */
static size_t choose(const qs_site *s, const float *x, size_t n, float *out)
{
    size_t stride = (n + FIT_MAX - 1) / FIT_MAX, m = 0;
    for (size_t at = 0; at + s->n <= n; at += stride * s->n, m += s->n) memcpy(out + m, x + at, s->n * sizeof *x);
    return m;
}

/* What ACIQ takes for the width of a channel: the deviation of weights, E|x - mean| of inputs. */
static double width_of(const struct fit *k, size_t part)
{
    size_t n = gather(k->s, part, k->x, k->n, k->part), m = 0;
    double sum = 0, width = 0;
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(k->part[i])) continue;
        k->part[m++] = k->part[i];
        sum += (double)k->part[m - 1];
    }
    for (size_t i = 0; i < m; i++) {
        double d = (double)k->part[i] - sum / (double)m;
        width += k->s->act ? fabs(d) : d * d;
    }
    if (!m) return 0;
    return k->s->act ? width / (double)m : sqrt(width / (double)m);
}

/* Bits for the channels, by their widths; the note says what came out. */
static void allocate(struct fit *k, char *note, size_t size)
{
    qs_site *s = k->s;
    uint8_t *bits = qs_xmalloc(s->parts), lo = QS_ALLOT_MAX, hi = 0;
    double *width = qs_xmalloc(s->parts * sizeof *width);
    for (size_t p = 0; p < s->parts; p++) width[p] = width_of(k, p);
    qs_allot(width, s->parts, s->f->bits, bits);
    qs_site_allot(s, bits);
    for (size_t p = 0; p < s->parts; p++) {
        if (bits[p] < lo) lo = bits[p];
        if (bits[p] > hi) hi = bits[p];
    }
    snprintf(note, size, _("%d to %d bits a channel, %d on average"), lo, hi, s->f->bits);
    free(width);
    free(bits);
}

static int fit_all(struct fit *k, qs_err *err)
{
    qs_site *s = k->s;
    int rc = 0;
    char shared[100] = "";
    if (s->bits) allocate(k, shared, sizeof shared);
    s->formula[0] = s->note[0] = 0;
    for (size_t p = 0; p < s->parts && !rc; p++) {
        rc = qs_ctl_check(k->ctl, _("initializing"), (double)p / (double)s->parts, err);
        if (!rc) rc = fit_part(k, p, err);
    }
    if (rc) {
        qs_format_free(k->f);
        return rc;
    }
    if (k->f) site_take_format(s, k->f);
    qs_site_set(s, k->step, s->offset ? k->offset : NULL);
    add_note(s, shared);
    if (s->gain) add_note(s, s->correct == QS_CORRECT_MEAN ? _("mean of each channel corrected")
                          : _("mean and deviation of each channel corrected"));
    return 0;
}

int qs_site_fit(qs_site *s, const char *init, const float *x, size_t n, const qs_ctl *ctl, qs_err *err)
{
    qs_err own;
    if (!err) err = &own;
    size_t given = n;
    bool few = s->act && n > FIT_MAX && n > s->n;
    float *buf = qs_big_alloc((few ? 2 : 1) * (n ? n : 1) * sizeof *buf);
    if (!buf) return qs_fail(err, QS_ENOMEM, _("%s: no memory to initialize on %zu values"), s->name, n);
    struct fit k = {.s = s, .init = init ? init : s->init, .x = x, .part = buf, .ctl = ctl};
    if (few) {
        n = choose(s, x, n, buf + n);
        k.x = buf + given;
    }
    k.n = n;
    k.step = qs_xcalloc(2 * s->parts, sizeof(double));
    k.offset = k.step + s->parts;
    qs_site_begin(s, x);
    int rc = fit_all(&k, err);
    if (!rc && n < given) {
        size_t at = strlen(s->note);
        snprintf(s->note + at, sizeof s->note - at, _("%sinitialized on %zu of %zu values"), at ? "; " : "", n, given);
    }
    free(k.step);
    qs_big_free(buf);
    return rc ? qs_fail_prefix(err, "%s", s->name) : 0;
}

/* ---- following ------------------------------------------------------------------------------------ */
#define OCTAVES 2                       /* smaller and larger steps looked at */
#define AN_OCTAVE 8                     /* so many in each */
#define FINE 10                         /* then so many on either side, eight times as close */
#define ALTERNATIONS 16

/* sum (x - Q(x))^2 with the grid's step at s. */
static double squares_at(const qs_grid *of, double s, const float *x, size_t n)
{
    float y[SPAN];
    double sum = 0;
    qs_grid g = *of;
    g.s = (float)s;
    for (size_t i = 0; i < n; i += SPAN) {
        qs_diff d;
        size_t m = n - i < SPAN ? n - i : SPAN;
        qs_grid_apply(&g, x + i, m, y);
        qs_num()->diff(x + i, y, m, &d);
        sum += d.sq;
    }
    return sum;
}

struct codes { double n, x, c, xc, cc; };

/* Sums over the codes c = (Q(x) - beta) / s that values get. */
static struct codes sum_codes(const qs_grid *g, const float *x, size_t n)
{
    float y[SPAN];
    struct codes k = {0};
    const double s = (double)g->s, beta = (double)g->beta;
    for (size_t i = 0; i < n; i += SPAN) {
        size_t m = n - i < SPAN ? n - i : SPAN;
        qs_grid_apply(g, x + i, m, y);
        for (size_t j = 0; j < m; j++) {
            double v = (double)x[i + j], c = ((double)y[j] - beta) / s;
            if (!isfinite(v)) continue;
            k.n++;
            k.x += v;
            k.c += c;
            k.xc += v * c;
            k.cc += c * c;
        }
    }
    return k;
}

/* The best step (and real offset) for the codes that values get now; false: there is none. */
static bool alternate(qs_grid *g, bool moves, const float *x, size_t n)
{
    struct codes k = sum_codes(g, x, n);
    double beta = (double)g->beta, det = k.n * k.cc - k.c * k.c;
    if (moves && det > 1e-9 * k.n * k.cc) {
        double s = (k.n * k.xc - k.x * k.c) / det;
        if (!(s > 0)) return false;
        g->s = (float)s;
        g->beta = (float)((k.x - s * k.c) / k.n);
        return true;
    }
    double s = (k.xc - beta * k.c) / k.cc;
    if (!(s > 0) || !isfinite(s)) return false;
    g->s = (float)s;
    return true;
}

/* The best of `n` steps on either side of the grid's own, `an_octave` to an octave; *best: its error. */
static void scan_steps(qs_grid *g, int n, double an_octave, const float *x, size_t count, double *best)
{
    const double s0 = (double)g->s;
    for (int k = -n; k <= n; k++) {
        double t = s0 * exp2(k / an_octave), e = k ? squares_at(g, t, x, count) : *best;
        if (!(e < *best)) continue;
        *best = e;
        g->s = (float)t;
    }
}

static void alternate_on(qs_grid *g, bool moves, const float *x, size_t n, double *best)
{
    qs_grid try = *g;
    for (int i = 0; i < ALTERNATIONS && alternate(&try, moves, x, n); i++) {
        double e = squares_at(&try, (double)try.s, x, n);
        if (!(e < *best)) return;
        *best = e;
        *g = try;
    }
}

/* One part; g becomes the better grid. Coarsely over all steps, then finely about the best: there are many minima. */
static void refit_part(const qs_site *s, qs_grid *g, const float *x, size_t n)
{
    const bool moves = s->f->offset == QS_OFFSET_REAL;
    double best = squares_at(g, (double)g->s, x, n);
    scan_steps(g, OCTAVES * AN_OCTAVE, AN_OCTAVE, x, n, &best);
    alternate_on(g, moves, x, n, &best);
    scan_steps(g, FINE, 8 * AN_OCTAVE, x, n, &best);
    alternate_on(g, moves, x, n, &best);
}

void qs_site_refit(qs_site *s, const float *x, size_t n, float *room)
{
    struct qs_site_work *w = s->work;
    for (size_t p = 0; p < s->parts; p++) {
        qs_grid g = w->grid[p];
        size_t m = gather(s, p, x, n, room);
        if (m) refit_part(s, &g, room, m);
        w->fresh[p] = g.mirrored ? -(double)g.s : (double)g.s;
        w->fresh[s->parts + p] = (double)g.beta;
    }
    qs_site_set(s, w->fresh, s->f->offset == QS_OFFSET_REAL ? w->fresh + s->parts : NULL);
}
