/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_BASE_ERR_H
#define QS_BASE_ERR_H
/*
 * Errors: one object, one message, made where the facts are.
 *
 * What can fail returns 0 or a negative code and takes a trailing `qs_err *`
 * (NULL is allowed). Constructors return NULL with the error set. Nothing here
 * is global, and nothing below app/ ends the program.
 */

enum qs_code {
    QS_OK = 0,
    QS_EARG,     /* an argument is wrong: names it and says what it should be */
    QS_EIO,      /* the system refused: open, read, map, write */
    QS_EFORMAT,  /* a file or a format string is not what it should be */
    QS_ERANGE,   /* the data has no answer: empty, all NaN */
    QS_ENOMEM,   /* a size that came from outside could not be had */
    QS_ECANCEL,  /* Ctrl-C, or a newer request made this one pointless */
    QS_EUNSUP,   /* well-formed, and not supported here */
    QS_ESTATE,   /* not now: the object is in another state */
    QS_EDIVERGED, /* a training run went out of bounds and stopped */
    QS_CODES
};

typedef struct qs_err {
    int code;       /* enum qs_code, positive */
    char msg[512];  /* one line, no newline, UTF-8 */
} qs_err;

/* Fills err (where not NULL) and returns -code: `return qs_fail(err, QS_EIO, "...")`. */
int qs_fail(qs_err *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Puts "prefix: " before the message that is there, once a layer that knows the file or tensor. */
int qs_fail_prefix(qs_err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* "EFORMAT" for QS_EFORMAT or its negative; "OK" for 0. */
const char *qs_code_name(int code);

#endif
