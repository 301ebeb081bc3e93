/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The memory of a run: arrays laid out for all of its steps. */
#include "train/history.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"

static void *part(size_t n, size_t size)
{
    size_t bytes;
    return qs_mul(n ? n : 1, size, &bytes) ? qs_big_alloc(bytes) : NULL;
}

int qs_history_init(qs_history *h, size_t nsite, uint64_t steps, uint64_t every, qs_err *err)
{
    size_t row;
    *h = (qs_history){.nsite = nsite, .every = every, .cap = steps, .rcap = steps / every + 3, .ecap = 16};
    if (!qs_mul(nsite, h->rcap, &row)) return qs_fail(err, QS_ENOMEM, _("no memory for the history of %zu sites"), nsite);
    h->loss = part(steps, sizeof *h->loss);
    h->lr = part(steps, sizeof *h->lr);
    h->rec_t = part(h->rcap, sizeof *h->rec_t);
    h->rec_loss = part(h->rcap, sizeof *h->rec_loss);
    h->rec = part(row, sizeof *h->rec);
    h->eval = qs_xmalloc(h->ecap * sizeof *h->eval);
    if (h->loss && h->lr && h->rec_t && h->rec_loss && h->rec) return 0;
    qs_history_clear(h);
    return qs_fail(err, QS_ENOMEM, _("no memory for the history of %llu steps of %zu quantizers"), (unsigned long long)steps,
                   nsite);
}

void qs_history_clear(qs_history *h)
{
    qs_big_free(h->loss);
    qs_big_free(h->lr);
    qs_big_free(h->rec_t);
    qs_big_free(h->rec_loss);
    qs_big_free(h->rec);
    free(h->eval);
    *h = (qs_history){0};
}

int qs_history_copy(qs_history *to, const qs_history *from, uint64_t steps, qs_err *err)
{
    int rc = qs_history_init(to, from->nsite, steps > from->nloss ? steps : from->nloss, from->every, err);
    if (rc) return rc;
    memcpy(to->loss, from->loss, from->nloss * sizeof *to->loss);
    memcpy(to->lr, from->lr, from->nloss * sizeof *to->lr);
    to->nloss = from->nloss;
    to->nrec = from->nrec < to->rcap ? from->nrec : to->rcap;
    memcpy(to->rec_t, from->rec_t, to->nrec * sizeof *to->rec_t);
    memcpy(to->rec_loss, from->rec_loss, to->nrec * sizeof *to->rec_loss);
    memcpy(to->rec, from->rec, to->nrec * from->nsite * sizeof *to->rec);
    for (size_t i = 0; i < from->neval; i++) qs_history_eval(to, &from->eval[i]);
    return 0;
}

void qs_history_loss(qs_history *h, double loss, double lr)
{
    if (h->nloss == h->cap) return;
    h->loss[h->nloss] = (float)loss;
    h->lr[h->nloss++] = (float)lr;
}

qs_record *qs_history_record(qs_history *h, uint64_t t, double loss)
{
    if (h->nrec == h->rcap) return NULL;
    h->rec_t[h->nrec] = t;
    h->rec_loss[h->nrec] = loss;
    return &h->rec[h->nrec++ * h->nsite];
}

void qs_history_eval(qs_history *h, const qs_eval *e)
{
    if (h->neval == h->ecap) h->eval = qs_xrealloc(h->eval, (h->ecap *= 2) * sizeof *h->eval);
    h->eval[h->neval++] = *e;
}
