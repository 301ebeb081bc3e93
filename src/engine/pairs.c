/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Pairs of tensors of two models. Which belong together is match.c's, how far apart they are diff.c's. */
#include "engine/pairs.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

/* Whether a tensor is compared at all: numbers that are meant as real ones. */
static bool compared(const qs_tensor *t, bool every)
{
    return t->n && (t->packed || qs_dtype_float(t->dtype)) && (every || t->ndim > 1);
}

void qs_pairing_init(qs_pairing *w, const qs_model *a, const qs_model *b, bool every)
{
    *w = (qs_pairing){.a = a, .b = b, .every = every};
    for (size_t i = 0; i < b->n; i++) w->sum.only_b += compared(b->tensors[i], every);
}

bool qs_pairing_next(qs_pairing *w, qs_pair *p)
{
    for (; w->i < w->a->n; w->i++) {
        qs_tensor *t = w->a->tensors[w->i];
        if (!compared(t, w->every)) continue;
        *p = (qs_pair){.a = t};
        p->b = qs_model_match(w->b, t->name, &p->how);
        if (p->b && compared(p->b, w->every)) {
            w->sum.only_b--;
            w->i++;
            return true;
        }
        w->sum.only_a++;
    }
    return false;
}

/* llama.cpp stores the rows of these in the order its rotary embedding wants them. A pair that is close is not. */
static bool reordered(const qs_pair *p)
{
    bool rotary = strstr(p->a->name, "attn_q.") || strstr(p->a->name, "attn_k.") || strstr(p->b->name, "attn_q.") || strstr(p->b->name, "attn_k.");
    return p->how == QS_MATCH_GGUF && rotary && p->d.nmse > 0.5;
}

int qs_pair_measure(qs_pair *p, const qs_ctl *ctl, qs_err *err)
{
    qs_err mine = {0};
    int rc = qs_diff_tensors(p->a, p->b, ctl, &p->d, &mine);
    if (rc == -QS_ECANCEL) return qs_fail(err, QS_ECANCEL, "%s", mine.msg);
    p->measured = !rc;
    if (rc) snprintf(p->note, sizeof p->note, "%.190s", mine.msg);
    else if (reordered(p)) snprintf(p->note, sizeof p->note, "%s", _("not counted: llama.cpp has the rows in another order"));
    return 0;
}

int qs_pairing_measure(qs_pairing *w, qs_pair *p, const qs_ctl *ctl, qs_err *err)
{
    int rc = qs_pair_measure(p, ctl, err);
    if (rc) return rc;
    w->sum.measured += p->measured;
    if (*p->note) w->sum.left++;
    else qs_diff_add(&w->sum.total, &p->d);
    return 0;
}
