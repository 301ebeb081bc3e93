/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Bits for channels. With r = (2/3) log2 width, a common shift t and bits = round(r + t), channel i gets its k-th bit
 * where r - (k - 1) is at least 1/2 - t. So the shift need not be searched: all bits of all channels stand in one line,
 * by r - (k - 1), and the first n * mean are handed out.
 */
#include "quant/allot.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct bid {
    double r;
    size_t channel;
};

static int by_need(const void *a, const void *b)
{
    const struct bid *x = a, *y = b;
    if (x->r != y->r) return x->r < y->r ? 1 : -1;
    return (x->channel > y->channel) - (x->channel < y->channel);
}

void qs_allot(const double *width, size_t n, int mean, uint8_t *bits)
{
    struct bid *bid = qs_xcalloc(n * QS_ALLOT_MAX, sizeof *bid);
    for (size_t i = 0; i < n; i++) {
        double r = width[i] > 0 ? 2.0 / 3 * log2(width[i]) : -1e4;   /* nothing there: last in the line */
        for (size_t k = 0; k < QS_ALLOT_MAX; k++) bid[i * QS_ALLOT_MAX + k] = (struct bid){r - (double)k, i};
    }
    qsort(bid, n * QS_ALLOT_MAX, sizeof *bid, by_need);
    memset(bits, 0, n);
    for (size_t k = 0; k < n * (size_t)mean; k++) bits[bid[k].channel]++;
    free(bid);
}
