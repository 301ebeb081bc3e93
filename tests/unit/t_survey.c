/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Bits by marginal gain against all combinations; peaks of channels against loops; a survey against its parts. */
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/rng.h"
#include "model/model.h"
#include "quant/survey.h"
#include "../tap.h"

static qs_rng rng;

/* ---- bits ------------------------------------------------------------------------------------------------- */
enum { ROWS = 5, KINDS = 4 };

/* The least error within bits, and the fewest bits within error, of all combinations. */
static void all_ways(const qs_choice *c, size_t n, size_t k, double bits, double error, double *least, double *fewest)
{
    size_t ways = 1;
    for (size_t i = 0; i < n; i++) ways *= k;
    *least = *fewest = INFINITY;
    for (size_t w = 0; w < ways; w++) {
        double b = 0, e = 0;
        for (size_t i = 0, rest = w; i < n; i++, rest /= k) {
            b += c[i * k + rest % k].bits;
            e += c[i * k + rest % k].error;
        }
        if (isnan(b)) continue;
        if (b <= bits) *least = fmin(*least, e);
        if (e <= error) *fewest = fmin(*fewest, b);
    }
}

/* kind 0: as quantizers are, 6 dB a bit; 1: anything; 2: with ties; 3: with holes. */
static void make_choices(qs_choice *c, int kind)
{
    for (size_t i = 0; i < ROWS * KINDS; i++) {
        double size = 1 + (double)(i / KINDS), bits = 2 + (double)(i % KINDS);
        c[i] = (qs_choice){size * bits, size * pow(4, -bits) * (0.5 + qs_rng_uniform(&rng))};
        if (kind == 1) c[i] = (qs_choice){10 * qs_rng_uniform(&rng), qs_rng_uniform(&rng)};
        if (kind == 2) c[i] = (qs_choice){(double)(qs_rng_next(&rng) % 4), (double)(qs_rng_next(&rng) % 4)};
        if (kind == 3 && i % 7 == 3) c[i] = (qs_choice){NAN, NAN};
    }
}

static void sums_of(const qs_choice *c, const size_t *pick, double *bits, double *error)
{
    *bits = *error = 0;
    for (size_t i = 0; i < ROWS; i++) {
        *bits += c[i * KINDS + pick[i]].bits;
        *error += c[i * KINDS + pick[i]].error;
    }
}

static void budgets(void)
{
    int cases = 0, wrong = 0, at_best = 0, unmet = 0;
    qs_rng_seed(&rng, 3);
    for (int round = 0; round < 400; round++) {
        qs_choice c[ROWS * KINDS];
        size_t pick[ROWS];
        qs_budget b;
        double most = 20 + 60 * qs_rng_uniform(&rng), error = 0.2 * qs_rng_uniform(&rng), least, fewest, bits, e;
        make_choices(c, round % 4);
        if (round % 4 == 1 || round % 4 == 2) most /= 4, error *= 20;
        all_ways(c, ROWS, KINDS, most, error, &least, &fewest);
        int rc = qs_budget_bits(c, ROWS, KINDS, most, pick, &b, NULL);
        unmet += isinf(least);
        if (isinf(least) != (rc == -QS_ERANGE)) wrong++;
        if (!rc) {
            sums_of(c, pick, &bits, &e);
            cases++;
            if (bits > most * (1 + 1e-9) || fabs(bits - b.bits) > 1e-9 || fabs(e - b.error) > 1e-9) wrong++;
            if (b.bound > least + 1e-9 || e < least - 1e-9) wrong++;
            at_best += e <= least + 1e-9;
        }
        rc = qs_budget_error(c, ROWS, KINDS, error, pick, &b, NULL);
        if (isinf(fewest) != (rc == -QS_ERANGE)) wrong++;
        if (!rc) {
            sums_of(c, pick, &bits, &e);
            cases++;
            if (e > error + 1e-9 || fabs(bits - b.bits) > 1e-9 || b.bound > fewest + 1e-9 || bits < fewest - 1e-9) wrong++;
            at_best += bits <= fewest + 1e-9;
        }
    }
    ok(cases > 400 && unmet > 20 && wrong == 0, "%d budgets: kept, and the bound holds (%d wrong, %d that nothing meets)", cases, wrong, unmet);
    ok(at_best == cases, "%d of %d are the best of all combinations", at_best, cases);
}

/* Every sum on the way is the best for its bits. */
static void on_the_way(void)
{
    int wrong = 0, points = 0;
    for (int round = 0; round < 60; round++) {
        qs_choice c[ROWS * KINDS], way[64];
        double least, fewest;
        make_choices(c, round % 4);
        size_t n = qs_budget_curve(c, ROWS, KINDS, way, 64);
        for (size_t i = 0; i < n; i++) {
            size_t pick[ROWS];
            qs_budget b;
            all_ways(c, ROWS, KINDS, way[i].bits * (1 + 1e-12), 0, &least, &fewest);
            points++;
            wrong += fabs(way[i].error - least) > 1e-9 || (i && way[i].error > way[i - 1].error);
            wrong += qs_budget_bits(c, ROWS, KINDS, way[i].bits, pick, &b, NULL) || fabs(b.error - least) > 1e-9;
        }
    }
    ok(points > 200 && wrong == 0, "%d sums by marginal gain are optimal for their bits", points);
    qs_choice c[ROWS * KINDS], few[3], all[64];
    make_choices(c, 0);
    size_t n = qs_budget_curve(c, ROWS, KINDS, all, 64), m = qs_budget_curve(c, ROWS, KINDS, few, 3);
    ok(m == 3 && n > 3 && few[0].bits == all[0].bits && few[2].bits == all[n - 1].bits, "a short curve has both ends");
}

/* ---- peaks ------------------------------------------------------------------------------------------------ */
static qs_tensor *random_tensor(int ndim, const int64_t *shape)
{
    float *x;
    qs_tensor *t = qs_tensor_f32("t", ndim, shape, &x, NULL);
    for (size_t i = 0; i < t->n; i++) x[i] = (float)qs_rng_normal(&rng);
    if (t->n > 5) x[1] = NAN, x[2] = INFINITY, x[3] = -INFINITY;
    return t;
}

static size_t peaks_wrong(const qs_tensor *t, int axis)
{
    size_t inner = 1, n = (size_t)t->shape[axis], bad = 0;
    float *want = qs_xcalloc(n, sizeof *want), *got = qs_xcalloc(n, sizeof *got);
    for (int i = axis + 1; i < t->ndim; i++) inner *= (size_t)t->shape[i];
    for (size_t i = 0; i < t->n; i++) {
        float v = fabsf((float)qs_tensor_at(t, i));
        if (isfinite(v)) want[i / inner % n] = fmaxf(want[i / inner % n], v);
    }
    bad += qs_peaks(t, axis, got, NULL, NULL) != 0;
    for (size_t i = 0; i < n; i++) bad += want[i] != got[i];
    free(want);
    free(got);
    return bad;
}

static void peaks(void)
{
    static const int64_t shapes[][3] = {{7, 5, 3}, {40, 700, 1}, {3, 40000, 2}, {2, 3, 40001}, {1, 1, 9}, {900, 31, 33}, {1, 70000, 1}};
    size_t bad = 0;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        qs_tensor *t = random_tensor(3, shapes[i]);
        for (int axis = 0; axis < 3; axis++) bad += peaks_wrong(t, axis);
        qs_tensor_unref(t);
    }
    ok(bad == 0, "peaks of channels along every axis (%zu wrong)", bad);
    int64_t shape[2] = {64, 100};
    float *x;
    qs_outliers o;
    qs_tensor *t = qs_tensor_f32("t", 2, shape, &x, NULL);
    for (size_t i = 0; i < t->n; i++) x[i] = (float)qs_rng_uniform(&rng);
    x[17 * 100 + 3] = -12, x[40 * 100] = 5;
    int rc = qs_outliers_find(t, NULL, &o, NULL);
    ok(!rc && o.channels == 64 && o.n == 2 && o.worst == 17 && o.ratio > 11 && o.ratio < 13,
       "two channels stand out, the widest is named (%zu, %zu, %g)", o.n, o.worst, o.ratio);
    t->out_axis = 1;
    ok(!qs_outliers_find(t, NULL, &o, NULL) && o.channels == 100 && o.n == 2 && o.worst == 3, "along the axis of outputs");
    qs_err e;
    float one;
    rc = qs_peaks(t, 2, &one, NULL, &e);
    ok(rc == -QS_EARG, "no such axis: %s", e.msg);
    qs_tensor_unref(t);
}

/* ---- the whole ---------------------------------------------------------------------------------------------- */
enum { MANY = 37 };

static void make_model(qs_tensor **t)
{
    for (size_t i = 0; i < MANY; i++) {
        int64_t shape[2] = {(int64_t)(4 + i), (int64_t)(20 + 5 * i)};
        t[i] = random_tensor(2, shape);
    }
    float *x;
    qs_tensor_unref(t[5]);
    int64_t none[2] = {3, 4}, zero[2] = {8, 9};
    t[5] = qs_tensor_f32("none", 2, none, &x, NULL);
    for (int i = 0; i < 12; i++) x[i] = NAN;
    qs_tensor_unref(t[6]);
    t[6] = qs_tensor_f32("zero", 2, zero, &x, NULL);
}

static size_t differ(const qs_survey *s, const qs_survey_opts *o)
{
    size_t bad = 0;
    for (size_t i = 0; i < s->n; i++)
        for (size_t k = 0; k < s->nf; k++) {
            const qs_survey_cell *c = &s->row[i].cell[k];
            qs_compare all;
            if (qs_compare_tensor(s->row[i].t, o->f[k], o->init, o->ninit, NULL, NULL, NULL, &all, NULL)) {
                bad += !c->code || !c->error;
                continue;
            }
            const qs_compare_row *best = &all.row[0];
            bad += c->code || strcmp(c->init, best->init) || c->step != best->step || c->mse != best->mse || c->sqnr_db != best->sqnr_db;
            bad += c->bpw != qs_format_bpw(o->f[k], s->row[i].t);
            qs_compare_clear(&all);
        }
    return bad;
}

/* What the header says of totals, once more. */
static size_t totals_wrong(const qs_survey *s)
{
    size_t bad = 0;
    for (size_t k = 0; k < s->nf; k++) {
        double noise = 0, weight = 0, bits = 0, n = 0;
        for (size_t i = 0; i < s->n; i++) {
            const qs_survey_row *r = &s->row[i];
            if (r->cell[k].code) continue;
            noise += r->cell[k].nmse * (double)(r->s.n - r->s.nans - r->s.infs);
            weight += (double)(r->s.n - r->s.nans - r->s.infs);
            bits += r->cell[k].bpw * (double)r->t->n;
            n += (double)r->t->n;
        }
        bad += fabs(s->total[k].nmse - noise / weight) > 1e-12 || fabs(s->total[k].bpw - bits / n) > 1e-12;
        bad += fabs(s->total[k].sqnr_db + 10 * log10(noise / weight)) > 1e-9;
    }
    return bad;
}

static void whole(void)
{
    static const char *const text[] = {"int2", "int4@channel", "int8"}, *const init[] = {"lsq", "mse", "minmax"};
    qs_tensor *t[MANY];
    const qs_format *f[3];
    qs_survey s, one;
    qs_err e;
    make_model(t);
    for (int k = 0; k < 3; k++) f[k] = qs_format_parse(text[k], NULL);
    qs_survey_opts o = {.f = f, .nf = 3, .init = init, .ninit = 3, .budget = 5};
    ok(!qs_survey_run(t, MANY, &o, NULL, &s, &e), "a survey of %d tensors", MANY);
    ok(differ(&s, &o) == 0, "its rows are those of the comparison");
    ok(totals_wrong(&s) == 0, "its totals are the sums");
    ok(s.row[5].cell[0].code == QS_ERANGE && s.row[5].pick == 3, "a tensor without a finite value says so: %s", s.row[5].cell[0].error);
    ok(s.row[6].cell[0].nmse == 0 && s.row[6].pick == 0, "zeros get the least bits");
    ok(s.budgeted && s.picked.bpw <= 5 && s.picked.bpw > 4.5 && s.picked.sqnr_db > s.total[1].sqnr_db - 3 && s.bound >= s.picked.sqnr_db - 1e-9,
       "bits within the budget: %g, %g dB of at most %g", s.picked.bpw, s.picked.sqnr_db, s.bound);
    int threads = qs_threads();
    qs_threads_set(1);
    qs_survey_run(t, MANY, &o, NULL, &one, NULL);
    qs_threads_set(threads);
    size_t bad = 0;
    for (size_t i = 0; i < MANY; i++)
        for (size_t k = 0; k < 3; k++)
            bad += memcmp(&s.row[i].cell[k].mse, &one.row[i].cell[k].mse, sizeof(double)) || s.row[i].pick != one.row[i].pick;
    ok(bad == 0, "the same bits with one thread");
    qs_survey_clear(&one);
    qs_survey_clear(&s);
    o.budget = 0, o.sqnr_db = 25;
    int rc = qs_survey_run(t, MANY, &o, NULL, &s, &e);
    ok(!rc && s.picked.sqnr_db >= 25 && s.bound <= s.picked.bpw + 1e-9, "an SQNR that is asked for: %g dB with %g bits",
       s.picked.sqnr_db, s.picked.bpw);
    qs_survey_clear(&s);
    o.sqnr_db = 90;
    rc = qs_survey_run(t, MANY, &o, NULL, &s, &e);
    ok(rc == -QS_ERANGE && strstr(e.msg, "dB"), "more than there is: %s", e.msg);
    qs_survey_clear(&s);
    o.sqnr_db = 0, o.budget = 1;
    rc = qs_survey_run(t, MANY, &o, NULL, &s, &e);
    ok(rc == -QS_ERANGE && strstr(e.msg, "bits"), "less than there is: %s", e.msg);
    qs_survey_clear(&s);
    _Atomic uint64_t upto = 7;
    qs_ctl ctl = {.cancel_upto = &upto, .job = 7};
    rc = qs_survey_run(t, MANY, &o, &ctl, &s, &e);
    ok(rc == -QS_ECANCEL, "cancelled: %s", e.msg);
    qs_survey_clear(&s);
    for (size_t i = 0; i < MANY; i++) qs_tensor_unref(t[i]);
    for (int k = 0; k < 3; k++) qs_format_free((qs_format *)(uintptr_t)f[k]);
}

/* ---- types ------------------------------------------------------------------------------------------------------ */
/* n values of a type as bytes of its codes, none of them NaN or infinite, and the same as float32. */
static void make_typed(qs_dtype d, int64_t rows, int64_t cols, qs_tensor **t, qs_tensor **floats)
{
    size_t n = (size_t)(rows * cols), size = qs_dtype_size(d);
    int64_t shape[2] = {rows, cols};
    qs_blob *b = qs_blob_new(n * size, NULL);
    unsigned char *p = qs_blob_mem(b);
    for (size_t i = 0; i < n; i++) {
        float v = (float)qs_rng_normal(&rng);
        double wide = (double)v;
        uint32_t bits;
        memcpy(&bits, &v, sizeof bits);
        uint16_t half = d == QS_F16 ? (uint16_t)((bits >> 16 & 0x8000) | (bits >> 13 & 0x1fff) | 0x2000) : (uint16_t)(bits >> 16);
        int32_t whole = (int32_t)(100 * v);
        if (d == QS_F64) memcpy(p + i * size, &wide, size);
        else if (d == QS_F32) memcpy(p + i * size, &v, size);
        else if (d == QS_I32) memcpy(p + i * size, &whole, size);
        else if (size == 2) memcpy(p + i * size, &half, size);
        else p[i] = d == QS_F8_E4M3 ? (unsigned char)(qs_rng_next(&rng) % 120 + (i & 1) * 128) : (unsigned char)(30 * v);
    }
    *t = qs_tensor_new("typed", d, 2, shape, b, p, NULL);
    float *x;
    *floats = qs_tensor_f32("typed", 2, shape, &x, NULL);
    qs_tensor_read(*t, 0, n, x);
    qs_blob_unref(b);
}

static bool alike(double a, double b) { return fabs(a - b) <= 1e-11 * fabs(b) + 1e-13; }

static size_t rows_differ(const qs_survey_row *a, const qs_survey_row *b, size_t nf)
{
    const qs_summary *x = &a->s, *y = &b->s;
    size_t bad = x->n != y->n || x->zeros != y->zeros || x->nans != y->nans || x->min != y->min || x->max != y->max || a->o.n != b->o.n ||
                 a->o.ratio != b->o.ratio;
    bad += !alike(x->mean, y->mean) + !alike(x->std, y->std) + !alike(x->skewness, y->skewness) + !alike(x->kurtosis, y->kurtosis);
    for (size_t k = 0; k < nf; k++) {
        const qs_survey_cell *c = &a->cell[k], *d = &b->cell[k];
        bad += c->code || d->code || strcmp(c->init, d->init) || fabs(c->step - d->step) > 1e-6 * d->step || fabs(c->mse - d->mse) > 1e-7 * d->mse || c->clipped != d->clipped;
    }
    return bad;
}

/* Counted, in buckets that are looked at again, or sorted: the same values give the same rows, but for which of the float32 steps
 * around the minimum is taken (parts in 1e8 of the error). */
static void types(void)
{
    static const qs_dtype of[] = {QS_F16, QS_BF16, QS_F64, QS_I32, QS_I8, QS_U8, QS_F8_E4M3, QS_F32};
    const qs_format *f[] = {qs_format_parse("int4", NULL), qs_format_parse("nf4", NULL)};
    static const char *const init[] = {"mse", "lsq"};
    qs_survey_opts o = {.f = f, .nf = 2, .init = init, .ninit = 2};
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        qs_tensor *t, *x;
        qs_survey a, b;
        make_typed(of[i], 90, 800, &t, &x);
        if (of[i] == QS_F32) qs_index_bucket_limit(10000);
        int rc = qs_survey_run(&t, 1, &o, NULL, &a, NULL);
        qs_index_bucket_limit(0);
        rc |= qs_survey_run(&x, 1, &o, NULL, &b, NULL);
        size_t bad = rows_differ(&a.row[0], &b.row[0], 2);
        ok(!rc && bad == 0, "%s%s: as the sorted floats (%zu differ)", qs_dtype_name(of[i]), of[i] == QS_F32 ? " in buckets" : "", bad);
        qs_survey_clear(&a);
        qs_survey_clear(&b);
        qs_tensor_unref(t);
        qs_tensor_unref(x);
    }
    for (int k = 0; k < 2; k++) qs_format_free((qs_format *)(uintptr_t)f[k]);
}

int main(void)
{
    budgets();
    on_the_way();
    peaks();
    whole();
    types();
    return done();
}
