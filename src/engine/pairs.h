/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_ENGINE_PAIRS_H
#define QS_ENGINE_PAIRS_H
/*
 * Two models side by side: the tensors that are the same in both by model/match.h, how far apart they are, and all together.
 *
 *     qs_pairing w;
 *     qs_pairing_init(&w, a, b, false);
 *     for (qs_pair p; qs_pairing_next(&w, &p);) if (qs_pairing_measure(&w, &p, ctl, err)) break;
 */
#include "model/match.h"
#include "quant/diff.h"

typedef struct qs_pair {
    qs_tensor *a, *b;      /* borrowed from the models */
    qs_match how;
    bool measured;
    char note[200];        /* why not, or what to know; "": nothing */
    qs_diff d;
} qs_pair;

typedef struct qs_pairs_sum {
    qs_diff total;         /* over all that are counted */
    size_t measured;       /* pairs with numbers */
    size_t left;           /* pairs that could not be measured, or are not counted */
    size_t only_a, only_b; /* tensors without a partner, of the kinds that are compared */
} qs_pairs_sum;

typedef struct qs_pairing {
    const qs_model *a, *b;
    bool every;            /* biases and norms too; else tensors of two or more dimensions */
    size_t i;
    qs_pairs_sum sum;
} qs_pairing;

/* Fills measured, note and d of a, b and how. A pair that has no numbers (shapes differ, nothing finite) is no error: p->note.
 * Nor is one that llama.cpp stores in another order of its rows (attn_q, attn_k of Llama, when names were translated). ECANCEL. */
int qs_pair_measure(qs_pair *p, const qs_ctl *ctl, qs_err *err);

void qs_pairing_init(qs_pairing *w, const qs_model *a, const qs_model *b, bool every);
/* The next tensor of a that has a partner in b, in the order of a. false: there is none. */
bool qs_pairing_next(qs_pairing *w, qs_pair *p);
/* qs_pair_measure, and adds it to the sum; one in another order of its rows is not counted. */
int qs_pairing_measure(qs_pairing *w, qs_pair *p, const qs_ctl *ctl, qs_err *err);

#endif
