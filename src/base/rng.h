/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_BASE_RNG_H
#define QS_BASE_RNG_H
/*
 * Random numbers with a seed and no global state: xoshiro256++ (Blackman and
 * Vigna 2019) seeded through splitmix64. The same seed gives the same numbers
 * on every machine (up to libm's last bit where a transform is used).
 */
#include <stdint.h>

typedef struct qs_rng { uint64_t s[4]; } qs_rng;

void qs_rng_seed(qs_rng *r, uint64_t seed);
uint64_t qs_rng_next(qs_rng *r);
double qs_rng_uniform(qs_rng *r);   /* in (0, 1), 53 bits, never 0 or 1 */
double qs_rng_normal(qs_rng *r);    /* mean 0, variance 1 (Marsaglia polar, one of the pair) */

#endif
