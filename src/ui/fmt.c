/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Numbers as short texts of stable width. What is not known is "…". */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "ui/screen.h"

static char *odd(char out[QS_FMT], double v)
{
    snprintf(out, QS_FMT, "%s", isnan(v) ? "…" : v > 0 ? "inf" : "-inf");
    return out;
}

char *qs_fmt_sig(char out[QS_FMT], double v, int digits)
{
    if (!isfinite(v)) return odd(out, v);
    double a = fabs(v);
    if (a != 0 && (a < 1e-4 || a >= 1e6)) {
        snprintf(out, QS_FMT, "%.*e", digits - 1, v);
        return out;
    }
    int lead = a < 1e-300 ? 1 : (int)floor(log10(a)) + 1;
    int dec = digits - lead;
    snprintf(out, QS_FMT, "%.*f", dec < 0 ? 0 : dec > 9 ? 9 : dec, v);
    return out;
}

char *qs_fmt_fit(char out[QS_FMT], double v, int width)
{
    if (!isfinite(v)) return odd(out, v);
    for (int digits = width > 17 ? 17 : width; digits >= 1; digits--) {
        qs_fmt_sig(out, v, digits);
        if ((int)strlen(out) <= width) return out;
    }
    snprintf(out, QS_FMT, "%.0e", v);
    return out;
}

char *qs_fmt_fixed(char out[QS_FMT], double v, int decimals)
{
    if (!isfinite(v)) return odd(out, v);
    if (fabs(v) >= 1e12) return qs_fmt_sig(out, v, 3);
    snprintf(out, QS_FMT, "%.*f", decimals, v);
    return out;
}

char *qs_fmt_count(char out[QS_FMT], double n, int width)
{
    char raw[QS_FMT];
    if (!isfinite(n)) return odd(out, n);
    snprintf(raw, sizeof raw, "%.0f", n < 1e18 ? n : 1e18);
    size_t len = strlen(raw), o = 0;
    if ((int)(len + (len - 1) / 3) <= width) {
        for (size_t i = 0; i < len; i++) {
            if (i && (len - i) % 3 == 0) out[o++] = ',';
            out[o++] = raw[i];
        }
        out[o] = 0;
        return out;
    }
    static const char unit[] = "kMGTPE";
    int u = -1;
    do { n /= 1000; u++; } while (n >= 999.5 && unit[u + 1]);
    snprintf(out, QS_FMT, "%.*f%c", n < 9.995 && width > 4 ? 2 : n < 99.95 ? 1 : 0, n, unit[u]);
    return out;
}

char *qs_fmt_bytes(char out[QS_FMT], double b)
{
    static const char *unit[] = {"B", "kB", "MB", "GB", "TB"};
    size_t u = 0;
    if (!isfinite(b)) return odd(out, b);
    while (b >= 999.5 && u < 4) { b /= 1000; u++; }
    snprintf(out, QS_FMT, "%.*f %s", u == 0 ? 0 : b < 9.95 ? 2 : 1, b, unit[u]);
    return out;
}

char *qs_fmt_db(char out[QS_FMT], double v)
{
    if (!isfinite(v)) return odd(out, v);
    snprintf(out, QS_FMT, v > -100 ? "%.1f" : "%.0f", v == 0 ? 0.0 : v);
    return out;
}

char *qs_fmt_percent(char out[QS_FMT], double f)
{
    if (!isfinite(f)) return odd(out, f);
    double p = f * 100;
    if (p > 0 && p < 0.01) snprintf(out, QS_FMT, "<0.01 %%");
    else snprintf(out, QS_FMT, p < 1 ? "%.2f %%" : p < 99.95 ? "%.1f %%" : "%.0f %%", p);
    return out;
}
