/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_APP_OUT_H
#define QS_APP_OUT_H
/*
 * Rows on stdout, as a table for people, one JSON array, or CSV. A command
 * declares its columns once; values are put in by column number.
 *
 * Numbers do not depend on the locale. NaN and infinity are null in JSON, empty
 * in CSV, "-" in the table.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QS_OUT_MAX 40

typedef enum qs_out_kind { QS_OUT_TABLE, QS_OUT_JSON, QS_OUT_CSV } qs_out_kind;

enum {
    QS_COL_TABLE = 1, QS_COL_JSON = 2, QS_COL_CSV = 4,   /* where it appears */
    QS_COL_DATA = QS_COL_JSON | QS_COL_CSV, QS_COL_ALL = 7,
    QS_COL_OPTIONAL = 8                                  /* JSON: left out, not null, where a row has no such value */
};

typedef struct qs_out_col {
    const char *key;      /* name in JSON and CSV */
    const char *head;     /* N_() heading in the table */
    int where;
    int width;            /* in the table: > 0 to the right, < 0 to the left; the last may be 0: as long as it is */
    const char *fmt;      /* of numbers in the table, for one double; NULL: "%.5g" */
} qs_out_col;

typedef struct qs_out_val {
    enum { QS_OUT_NONE, QS_OUT_TEXT, QS_OUT_REAL, QS_OUT_COUNT, QS_OUT_REALS, QS_OUT_COUNTS, QS_OUT_BOOL } type;
    const char *s;
    double d;
    int64_t i;
    const double *reals;
    const int64_t *counts;
    size_t n;
} qs_out_val;

static inline qs_out_val qs_out_text(const char *s)
{
    return (qs_out_val){.type = s ? QS_OUT_TEXT : QS_OUT_NONE, .s = s};
}
static inline qs_out_val qs_out_real(double d) { return (qs_out_val){.type = QS_OUT_REAL, .d = d}; }
static inline qs_out_val qs_out_count(int64_t i) { return (qs_out_val){.type = QS_OUT_COUNT, .i = i}; }
static inline qs_out_val qs_out_bool(bool b) { return (qs_out_val){.type = QS_OUT_BOOL, .i = b}; }
static inline qs_out_val qs_out_reals(const double *d, size_t n)
{
    return (qs_out_val){.type = QS_OUT_REALS, .reals = d, .n = n};
}
static inline qs_out_val qs_out_counts(const int64_t *i, size_t n)
{
    return (qs_out_val){.type = QS_OUT_COUNTS, .counts = i, .n = n};
}

typedef struct qs_out {
    qs_out_kind kind;
    const qs_out_col *col;    /* (n), borrowed */
    size_t n;
    size_t rows;
    double flushed;           /* when (qs_now) */
} qs_out;

void qs_out_begin(qs_out *o, qs_out_kind kind, const qs_out_col *col, size_t n);
/* The table's heading line; for tables in several blocks again before each. Other kinds: nothing. */
void qs_out_head(const qs_out *o);
/* A line of text between blocks of a table; other kinds: nothing. */
void qs_out_title(const qs_out *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* v: (n). false: nobody reads any more, or the disk is full: stop. */
bool qs_out_row(qs_out *o, const qs_out_val *v);
/* Closes the array and flushes. 0; else an exit code, with the reason said (a closed pipe is no failure: silent, 0). */
int qs_out_end(qs_out *o);

/* Columns that text takes in this locale; what a terminal could take amiss counts as one. */
int qs_out_width(const char *s);

#endif
