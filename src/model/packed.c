/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Tensors stored as codes: making them, letting them go, their levels. Knows no file and no kind.
 */
#include "model/packed.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"
#include "model/reader.h"

qs_packed *qs_packed_new(const qs_packed_kind *kind, double bpw, qs_blob *blob)
{
    qs_packed *p = qs_xcalloc(1, sizeof *p);
    p->refs = 1;
    p->kind = kind;
    p->bpw = bpw;
    p->blob = blob ? qs_blob_ref(blob) : NULL;
    return p;
}

qs_packed *qs_packed_ref(qs_packed *p)
{
    atomic_fetch_add(&p->refs, 1);
    return p;
}

void qs_packed_unref(qs_packed *p)
{
    if (!p || atomic_fetch_sub(&p->refs, 1) != 1) return;
    if (p->kind->release) p->kind->release(p);
    for (int i = 0; i < QS_PACKED_PARTS; i++) qs_tensor_unref(p->part[i]);
    qs_blob_unref(p->blob);
    free(p);
}

qs_tensor *qs_packed_tensor(const char *name, int ndim, const int64_t *shape, qs_packed *p, qs_err *err)
{
    size_t n;
    qs_tensor *t = NULL;
    if (ndim < 0 || ndim > QS_MAXDIM)
        qs_fail(err, QS_EARG, _("%d axes: a tensor has 0 to %d"), ndim, QS_MAXDIM);
    else if (!qs_shape_count(ndim, shape, sizeof(float), &n, err))
        t = qs_tensor_unknown(name, p->kind->name, ndim, shape, p->blob);
    if (t) {
        t->dtype = QS_PACKED;
        t->packed = p;
    } else {
        qs_packed_unref(p);
        if (err) err->code = QS_EARG;
    }
    return t;
}

int qs_packed_levels(const qs_tensor *t, size_t i, float *out)
{
    float scale, offset;
    if (!t->packed || i >= t->n) return 0;
    const qs_packed_kind *k = t->packed->kind;
    if (k->levels > QS_PACKED_LEVELS) return 0;
    k->grid(t->packed, i, &scale, &offset);
    if (!isfinite(scale) || !isfinite(offset)) return 0;
    for (int j = 0; j < k->levels; j++) {
        int up = scale < 0 ? k->levels - 1 - j : j; /* ascending also where the scale turns the codebook round */
        out[j] = scale * (k->level ? k->level[up] : (float)(k->lowest + up)) + offset;
    }
    return k->levels;
}
