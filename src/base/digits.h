/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_BASE_DIGITS_H
#define QS_BASE_DIGITS_H
/* Numbers as a few digits, for tables of a hundred thousand rows: printf is exact for any number, and takes its time. */
#include <stdbool.h>

#define QS_DIGITS_ROOM 24

/*
 * What printf makes of x by "%.{digits}g", into buf (QS_DIGITS_ROOM). digits: 1..9. false, and nothing written: ask printf
 * (an exponent, more than 10^9, not finite, or so near the middle of two that only long arithmetic can tell).
 * Cost: a tenth of printf.  Test: t_base
 */
bool qs_digits(double x, int digits, char *buf);

#endif
