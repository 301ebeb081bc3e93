/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How the elements of a tensor are divided among quantizers. Knows axes and strides; not what a quantizer is.
 *
 * All three kinds are one thing: the axes are either inner (they run within a part) or outer (they number the
 * parts). Neighbouring inner axes are merged into one where they can be, so that a part is usually one run, or
 * runs with one stride.
 */
#include <string.h>

#include "base/text.h"
#include "model/reader.h"

typedef struct walk {
    int n;                     /* merged inner axes, outermost first; 0: the part is one element */
    size_t dim[QS_MAXDIM];
    size_t stride[QS_MAXDIM];  /* in elements of the C order */
} walk;

static unsigned all_axes(const qs_tensor *t) { return (1u << t->ndim) - 1; }

/* The axes that run within a part. A vector with no axes known has its groups along itself. */
static unsigned inner_axes(const qs_split *s, const qs_tensor *t)
{
    unsigned all = all_axes(t);
    if (s->kind == QS_SPLIT_TENSOR) return all;
    if (s->kind == QS_SPLIT_CHANNEL) return all & ~(1u << s->axis);
    if (t->in_axes) return t->in_axes & all;
    if (t->ndim == 1 && t->out_axis < 0) return all;
    return all & ~(1u << (t->out_axis < 0 ? 0 : t->out_axis));
}

static walk walk_of(const qs_split *s, const qs_tensor *t)
{
    walk w = {0}, r = {0};
    size_t stride = 1;
    unsigned inner = inner_axes(s, t);
    for (int k = t->ndim - 1; k >= 0; k--) { /* innermost first */
        size_t dim = (size_t)t->shape[k];
        if (inner >> k & 1 && dim != 1) {
            if (r.n && stride == r.stride[r.n - 1] * r.dim[r.n - 1]) r.dim[r.n - 1] *= dim;
            else {
                r.dim[r.n] = dim;
                r.stride[r.n++] = stride;
            }
        }
        stride *= dim;
    }
    for (w.n = 0; w.n < r.n; w.n++) {
        w.dim[w.n] = r.dim[r.n - 1 - w.n];
        w.stride[w.n] = r.stride[r.n - 1 - w.n];
    }
    return w;
}

/* The element where output number o begins: o counts the outer axes in C order. */
static size_t outer_place(const qs_split *s, const qs_tensor *t, size_t o)
{
    size_t stride = 1, place = 0;
    unsigned inner = inner_axes(s, t);
    for (int k = t->ndim - 1; k >= 0; k--) {
        size_t dim = (size_t)t->shape[k];
        if (!(inner >> k & 1)) {
            place += o % dim * stride;
            o /= dim;
        }
        stride *= dim;
    }
    return place;
}

static size_t inner_place(const walk *w, size_t i)
{
    size_t place = 0;
    for (int k = w->n - 1; k >= 0; k--) {
        place += i % w->dim[k] * w->stride[k];
        i /= w->dim[k];
    }
    return place;
}

static size_t groups_per_out(const qs_split *s)
{
    return s->kind == QS_SPLIT_GROUP && s->in ? (s->in - 1) / s->group + 1 : 1;
}

static int check_axis(qs_split *s, const qs_tensor *t, int axis, qs_err *err)
{
    s->axis = axis >= 0 ? axis : t->out_axis >= 0 ? t->out_axis : 0;
    if (s->kind != QS_SPLIT_CHANNEL || s->axis < t->ndim || (t->ndim == 0 && s->axis == 0)) return 0;
    return qs_fail(err, QS_EARG, _("axis %d: %s has %d"), s->axis, t->name, t->ndim);
}

int qs_split_init(qs_split *s, const qs_tensor *t, qs_split_kind kind, int axis, size_t group, qs_err *err)
{
    memset(s, 0, sizeof *s);
    s->kind = kind;
    s->group = group;
    s->parts = s->out = 1;
    s->in = t->n;
    s->contiguous = true;
    if (kind == QS_SPLIT_GROUP && !group) return qs_fail(err, QS_EARG, _("a group has at least 1 element"));
    if (check_axis(s, t, axis, err)) return -QS_EARG;
    if (!t->n) return 0;
    walk w = walk_of(s, t);
    s->in = 1;
    for (int k = 0; k < w.n; k++) s->in *= w.dim[k];
    s->out = t->n / s->in;
    s->parts = s->out * groups_per_out(s);
    s->contiguous = w.n == 0 || (w.n == 1 && w.stride[0] == 1);
    return 0;
}

static size_t group_start(const qs_split *s, size_t part)
{
    return s->kind == QS_SPLIT_GROUP ? part % groups_per_out(s) * s->group : 0;
}

size_t qs_split_len(const qs_split *s, const qs_tensor *t, size_t part)
{
    (void)t;
    size_t left = s->in - group_start(s, part);
    return s->kind == QS_SPLIT_GROUP && left > s->group ? s->group : left;
}

size_t qs_split_longest(const qs_split *s, const qs_tensor *t) { return qs_split_len(s, t, 0); }

size_t qs_split_where(const qs_split *s, const qs_tensor *t, size_t part, size_t i)
{
    walk w = walk_of(s, t);
    return outer_place(s, t, part / groups_per_out(s)) + inner_place(&w, group_start(s, part) + i);
}

/* Calls run for every stretch of a part that has one stride: elements i .. i+len-1 of the part begin at `place`. */
typedef void run_fn(void *arg, size_t i, size_t place, size_t stride, size_t len);

static void each_run(const qs_split *s, const qs_tensor *t, size_t part, run_fn *run, void *arg)
{
    size_t len = qs_split_len(s, t, part);
    if (!len) return;
    walk w = walk_of(s, t);
    size_t base = outer_place(s, t, part / groups_per_out(s)), from = group_start(s, part);
    size_t dim = w.n ? w.dim[w.n - 1] : 1, stride = w.n ? w.stride[w.n - 1] : 1;
    for (size_t i = 0, m; i < len; i += m) {
        size_t in_run = (from + i) % dim;
        m = dim - in_run < len - i ? dim - in_run : len - i;
        run(arg, i, base + inner_place(&w, from + i), stride, m);
    }
}

struct gather { const qs_tensor *t; float *out; };

static void gather_run(void *arg, size_t i, size_t place, size_t stride, size_t len)
{
    struct gather *g = arg;
    qs_tensor_read_strided(g->t, place, stride, len, g->out + i);
}

void qs_split_gather(const qs_split *s, const qs_tensor *t, size_t part, float *out)
{
    each_run(s, t, part, gather_run, &(struct gather){t, out});
}

struct scatter { const float *in; float *dst; };

static void scatter_run(void *arg, size_t i, size_t place, size_t stride, size_t len)
{
    struct scatter *c = arg;
    for (size_t k = 0; k < len; k++) c->dst[place + k * stride] = c->in[i + k];
}

void qs_split_scatter(const qs_split *s, const qs_tensor *t, size_t part, const float *in, float *dst)
{
    each_run(s, t, part, scatter_run, &(struct scatter){in, dst});
}
