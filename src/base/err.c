/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const names[QS_CODES] = {
    [QS_OK] = "OK",           [QS_EARG] = "EARG",       [QS_EIO] = "EIO",
    [QS_EFORMAT] = "EFORMAT", [QS_ERANGE] = "ERANGE",   [QS_ENOMEM] = "ENOMEM",
    [QS_ECANCEL] = "ECANCEL", [QS_EUNSUP] = "EUNSUP",   [QS_ESTATE] = "ESTATE",
    [QS_EDIVERGED] = "EDIVERGED",
};

const char *qs_code_name(int code)
{
    int c = code < 0 ? -code : code;
    return c < QS_CODES ? names[c] : "EUNKNOWN";
}

int qs_fail(qs_err *err, int code, const char *fmt, ...)
{
    if (err) {
        va_list ap;
        va_start(ap, fmt);
        err->code = code;
        vsnprintf(err->msg, sizeof err->msg, fmt, ap);
        va_end(ap);
    }
    return -code;
}

int qs_fail_prefix(qs_err *err, const char *fmt, ...)
{
    if (!err) return -QS_EARG;
    char old[sizeof err->msg];
    memcpy(old, err->msg, sizeof old);
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(err->msg, sizeof err->msg, fmt, ap);
    va_end(ap);
    if (n >= 0 && (size_t)n < sizeof err->msg)
        snprintf(err->msg + n, sizeof err->msg - (size_t)n, ": %s", old);
    return -err->code;
}
