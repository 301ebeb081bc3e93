/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_QUANT_ALLOT_H
#define QS_QUANT_ALLOT_H
/*
 * Bits for the channels of a tensor: wide channels get more than narrow ones, at the same number of bits on average.
 *
 * Source: Banner et al. 2019, arXiv 1810.05723, section 4: the levels of channel i are to be proportional to
 * alpha_i^(2/3), alpha_i its width; bits are the rounded logarithm, 0 .. 8. The published code shifts a target until
 * the rounded bits have about the wanted mean; here they have exactly that mean.
 */
#include <stddef.h>
#include <stdint.h>

#define QS_ALLOT_MAX 8

/* width: (n) of the channels, any unit, >= 0, finite. bits: (n), 0 .. 8, their sum n * mean; mean: 1 .. 8.
 * Equal widths: the first channels get what is over. Cost: sorts 8 n numbers. Test: t_quantizer. */
void qs_allot(const double *width, size_t n, int mean, uint8_t *bits);

#endif
