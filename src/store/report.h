/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_STORE_REPORT_H
#define QS_STORE_REPORT_H
/*
 * What a cell gave, filled piece by piece, and the lines that a sweep and its
 * worker processes send each other: one JSON object a line.
 *
 *     to a worker:    {"cell": KEY, "seed": N, "threads": N}
 *     from a worker:  {"hello": PROGRAM}                        once
 *                     {"progress": 0..1, "text": TEXT}          now and then
 *                     {"status": "done", "seconds": S, ...}     the end of a cell
 *
 * Numbers keep their bits; NaN and infinities pass.
 */
#include "base/mem.h"
#include "store/store.h"

typedef struct qs_report {
    qs_outcome o;              /* points into what follows */
    qs_metric *metric;
    qs_metric_series *series;
    qs_str text;               /* JSON object without its closing brace; s NULL: empty */
    char *error;
} qs_report;

void qs_report_clear(qs_report *r);
void qs_report_metric(qs_report *r, const char *name, double x);
/* x: (n), copied. */
void qs_report_series(qs_report *r, const char *name, const double *x, size_t n);
/* Other things it gave. */
void qs_report_text(qs_report *r, const char *name, const char *text);
void qs_report_flag(qs_report *r, const char *name, bool is);
/* The cell failed, or was killed, or took too long: why. What it gave stays. */
void qs_report_fail(qs_report *r, qs_trial_status status, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Ends it, sorts metrics and series by name: r->o is what qs_store_end takes. DONE unless something failed; a metric that is
 * NaN is a failure that names it. */
void qs_report_close(qs_report *r, double seconds);

/* ---- lines: malloc'd, with their newline ----------------------------------------------------------------- */
char *qs_line_job(const char *key, int64_t seed, int threads);
char *qs_line_hello(const char *program);
char *qs_line_progress(double done, const char *text);
char *qs_line_report(const qs_report *r);

typedef struct qs_line {
    enum { QS_LINE_JOB, QS_LINE_HELLO, QS_LINE_PROGRESS, QS_LINE_REPORT } kind;
    char *text;                /* the key, the program, what goes on; malloc'd */
    int64_t seed;
    int threads;
    double done;
    qs_report report;
} qs_line;
/* EFORMAT: none of these. */
int qs_line_read(const char *text, qs_line *out, qs_err *err);
void qs_line_clear(qs_line *l);

#endif
