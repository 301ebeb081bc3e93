/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A number times a power of ten that is a double too is rounded once: off by 10^9 * 2^-53 at most. Where its fraction is
 * farther than that from one half, the rounded digits are right.
 */
#include "base/digits.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#define UNSURE 1e-6

static const double ten[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12};

/* a = d.ddd * 10^e as an integer of that many digits; false: unsure. */
static bool scale(double a, int digits, int64_t *k, int *e)
{
    for (*e = -4; *e < 8 && a >= (*e < -1 ? 1 / ten[-*e - 1] : ten[*e + 1]); ++*e) continue;
    int shift = digits - 1 - *e;
    double s = shift >= 0 ? a * ten[shift] : a / ten[-shift], whole = floor(s), rest = s - whole;
    *k = (int64_t)whole + (rest > 0.5);
    if (*k == (int64_t)ten[digits]) {
        *k /= 10;
        ++*e;
    }
    return fabs(rest - 0.5) > UNSURE;
}

/* The digits with a point where it belongs, without zeros at its end. */
static void lay_out(const char *d, int digits, int e, char *p)
{
    while (digits > 1 && d[digits - 1] == '0') digits--;
    int whole = e < 0 ? 0 : e + 1;
    if (!whole) p = mempcpy(p, "0.000", (size_t)(1 - e));
    for (int i = 0; i < whole || i < digits; i++) {
        if (i == whole && whole) *p++ = '.';
        *p++ = i < digits ? d[i] : '0';
    }
    *p = '\0';
}

bool qs_digits(double x, int digits, char *buf)
{
    char d[10];
    int64_t k;
    int e;
    double a = fabs(x);
    if (!(a >= 1e-4 && a < 1e9) || !scale(a, digits, &k, &e) || e >= digits) return false;
    for (int i = digits - 1; i >= 0; i--, k /= 10) d[i] = (char)('0' + k % 10);
    if (x < 0) *buf++ = '-';
    lay_out(d, digits, e, buf);
    return true;
}
