/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_QUANT_BUDGET_H
#define QS_QUANT_BUDGET_H
/*
 * Which tensor gets how many bits: of each one's choices (bits, error) one is taken, so that the errors' sum is least for
 * a sum of bits, or the bits' sum least for a sum of errors.
 *
 * Of each tensor the choices on the lower convex hull of error against bits: from the smallest ones on, the step that takes
 * away the most error a bit is taken first (marginal gain). Every sum on that way is optimal for the bits it spends. Between
 * two of them the best is found by adding tensor after tensor to the sums that can still be it, as long as these are fewer than a
 * million (models of a few hundred tensors: so far always); else the last sum of the way is taken. Either way `bound` says
 * how far from the optimum it is at most.
 *
 * Source: Shoham, Gersho 1988, Efficient bit allocation for an arbitrary set of quantizers, IEEE ASSP 36(9).
 * Cost: sorts n k steps, then up to a million states (24 MB). Test: t_survey, against all combinations.
 */
#include <stddef.h>

#include "base/err.h"

typedef struct qs_choice {
    double bits;    /* of the whole tensor; NaN: this choice is none */
    double error;   /* of the whole tensor, any unit in which errors of tensors add up, >= 0 */
} qs_choice;

typedef struct qs_budget {
    double bits, error;   /* sums of what was picked */
    double bound;         /* least sum that any pick could have: of errors (qs_budget_bits), of bits (qs_budget_error) */
} qs_budget;

/* c: (n, k); pick: (n), the choice of each; k where a row has none (it counts nothing). Least error within `most` bits.
 * ERANGE: the smallest choices need more (err says how many). */
int qs_budget_bits(const qs_choice *c, size_t n, size_t k, double most, size_t *pick, qs_budget *out, qs_err *err);
/* Fewest bits with at most that sum of errors. ERANGE: the best choices leave more. */
int qs_budget_error(const qs_choice *c, size_t n, size_t k, double most, size_t *pick, qs_budget *out, qs_err *err);

/* The whole way: sums after 0, 1, 2, ... steps, at most `points` of them, evenly taken; both ends are there. Returns how many. */
size_t qs_budget_curve(const qs_choice *c, size_t n, size_t k, qs_choice *out, size_t points);

#endif
