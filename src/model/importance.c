/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Importance of weights from files of several kinds. Knows their forms; what it is good for, quant/ knows. */
#include "model/importance.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "model/match.h"

/* ---- where the columns of a weight are ------------------------------------------------------------ */
/* The weight in C order is [outer][columns][inner]; experts: the columns of each expert are their own. */
typedef struct columns { size_t experts, outer, n, inner; } columns;

static columns columns_of(const qs_tensor *t)
{
    columns c = {1, 1, 1, 1};
    int axis = t->ndim == 2 && t->out_axis == 1 ? 0 : t->ndim == 3 && !t->use ? 2 : t->ndim > 1 ? 1 : 0;
    if (t->ndim == 3 && axis == 2) c.experts = (size_t)t->shape[0];
    for (int k = 0; k < t->ndim; k++) *(k < axis ? &c.outer : k == axis ? &c.n : &c.inner) *= (size_t)t->shape[k];
    return c;
}

/* ---- the forms -------------------------------------------------------------------------------------- */
/* Each makes a number a column, (experts * n) doubles; false: `from` has another form. */
static bool whole(const qs_tensor *x, const columns *c, double *v)
{
    if (x->n != c->n && x->n != c->n * c->experts) return false;
    for (size_t i = 0; i < c->n * c->experts; i++) v[i] = qs_tensor_at(x, i % x->n);
    return true;
}

static bool sums(const qs_tensor *x, const qs_tensor *counts, const columns *c, double *v)
{
    if (!whole(x, c, v) || (counts->n != 1 && counts->n != c->experts)) return false;
    for (size_t i = 0; i < c->n * c->experts; i++) {
        double count = qs_tensor_at(counts, i / c->n % counts->n);
        v[i] = count > 0 ? v[i] / count : 0;
    }
    return true;
}

/* Activations seen as [rows][columns][places]. */
static bool squares(const qs_tensor *x, const columns *c, double *v)
{
    int axis = x->ndim - 1;
    if (x->ndim == 4 && c->inner > 1) axis = 1;     /* images of a convolution */
    if (x->ndim < 2 || !x->n || (size_t)x->shape[axis] != c->n || c->experts > 1) return false;
    size_t places = 1, rows = x->n / c->n;
    for (int k = axis + 1; k < x->ndim; k++) places *= (size_t)x->shape[k];
    float *buf = qs_xmalloc(c->n * places * sizeof *buf);
    for (size_t r = 0; r < rows / places; r++) {
        qs_tensor_read(x, r * c->n * places, c->n * places, buf);
        for (size_t i = 0; i < c->n; i++)
            for (size_t k = 0; k < places; k++) v[i] += (double)buf[i * places + k] * (double)buf[i * places + k] / (double)rows;
    }
    free(buf);
    return true;
}

/* ---- finding it ------------------------------------------------------------------------------------------ */
/* X.ending for the weight t, by its own name and by the other family's. */
static qs_tensor *find_with(const qs_model *from, const char *name, const char *ending)
{
    char *full = qs_xasprintf("%s%s", name, ending), *other = qs_name_translated(name);
    qs_tensor *t = qs_model_find(from, full);
    free(full);
    if (!t && other) {
        full = qs_xasprintf("%s%s", other, ending);
        t = qs_model_find(from, full);
        free(full);
    }
    free(other);
    return t;
}

static int read_columns(const qs_model *from, const qs_tensor *t, const columns *c, double *v, bool *none, qs_err *err)
{
    char x[128], y[128];
    const qs_tensor *sum = find_with(from, t->name, ".in_sum2"), *counts = find_with(from, t->name, ".counts");
    const qs_tensor *other = sum && counts ? sum : qs_model_match(from, t->name, NULL);
    *none = !other;
    if (!other) return qs_fail(err, QS_EARG, _("%s has no importance of %s"), from->path, t->name);
    if (sum && counts ? sums(sum, counts, c, v) : other->ndim == 1 ? whole(other, c, v) : squares(other, c, v)) return 0;
    return qs_fail(err, QS_EARG, _("%s: %s %s is no importance of %s %s"), from->path, other->name, qs_tensor_shape_text(other, x, sizeof x),
                   t->name, qs_tensor_shape_text(t, y, sizeof y));
}

static void spread(const columns *c, const double *v, float *out)
{
    for (size_t o = 0; o < c->outer; o++) {
        const double *of = v + o / (c->outer / c->experts) * c->n;
        for (size_t i = 0; i < c->n; i++)
            for (size_t k = 0; k < c->inner; k++) *out++ = (float)of[i];
    }
}

qs_tensor *qs_importance_of(const qs_model *from, const qs_tensor *t, bool *none, qs_err *err)
{
    bool mine;
    float *mem;
    if (!none) none = &mine;
    *none = false;
    if (!t->n || !t->ndim) {
        qs_fail(err, QS_EARG, _("%s has no columns"), t->name);
        return NULL;
    }
    const columns c = columns_of(t);
    double *v = qs_big_alloc(c.experts * c.n * sizeof *v);
    qs_tensor *w = NULL;
    if (!v) qs_fail(err, QS_ENOMEM, _("no memory for the importance of %s"), t->name);
    else {
        memset(v, 0, c.experts * c.n * sizeof *v);
        if (!read_columns(from, t, &c, v, none, err)) w = qs_tensor_f32(t->name, t->ndim, t->shape, &mem, err);
    }
    if (w) spread(&c, v, mem);
    qs_big_free(v);
    return w;
}
