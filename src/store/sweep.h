/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_STORE_SWEEP_H
#define QS_STORE_SWEEP_H
/*
 * What a sweep is: a name and cells, each a combination of parameters. Pure:
 * knows no database, no process and no Lua.
 *
 * A cell's key is the canonical JSON of its parameters: an object, names sorted
 * by bytes, no spaces, numbers with the fewest digits that read back the same,
 * whole ones below 2^53 without point or exponent (2 and 2.0 are one value). It
 * alone says which cell this is: on every machine, in every database. The seed
 * of a cell and its place in the shards come from it.
 *
 * Cells are in the order of nested loops: names sorted, the last one fastest,
 * values as they were given. Explicit cells are in the order they were given.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"

typedef enum qs_sweep_kind { QS_SWEEP_BOOL, QS_SWEEP_INTEGER, QS_SWEEP_REAL, QS_SWEEP_TEXT } qs_sweep_kind;
typedef struct qs_sweep_value {
    qs_sweep_kind kind;
    union {
        int64_t i;             /* INTEGER; BOOL: 0 or 1 */
        double x;              /* REAL: finite */
        char *s;               /* TEXT: UTF-8 */
    };
} qs_sweep_value;

typedef struct qs_sweep_param {
    const char *name;
    qs_sweep_value value;            /* its text belongs to the sweep */
} qs_sweep_param;

typedef struct qs_sweep_cell {
    qs_sweep_param *param;           /* (n) names ascending */
    size_t n;
    char *key;
} qs_sweep_cell;

typedef struct qs_sweep_axis {       /* a parameter and its values */
    char *name;
    qs_sweep_value *value;           /* (n) */
    size_t n;
} qs_sweep_axis;

typedef struct qs_sweep {
    char *name;                /* letters, digits, "._-": "NAME.db" is a file */
    qs_sweep_axis *axis;             /* (naxis) ascending by name; values of explicit cells in the order they came up */
    size_t naxis;
    qs_sweep_cell *cell;             /* (ncell) */
    size_t ncell;
    char **own;                /* (nown) the texts of values */
    size_t nown;
} qs_sweep;

#define QS_SWEEP_MAX 10000000  /* cells */

/* ---- making one: values of parameters, or explicit cells; then qs_sweep_close -------------------------- */
/* EARG: no name a file could have. */
qs_sweep *qs_sweep_new(const char *name, qs_err *err);
void qs_sweep_free(qs_sweep *s);
/* One more value of a parameter; v is copied. EARG: the name is empty or no UTF-8; the value is NaN, infinite, no UTF-8. */
int qs_sweep_add_value(qs_sweep *s, const char *name, const qs_sweep_value *v, qs_err *err);
/* An explicit cell of n parameters, copied. EARG as above, or a name is there twice. */
int qs_sweep_add_cell(qs_sweep *s, const qs_sweep_param *param, size_t n, qs_err *err);
/* Ends it: of values makes all combinations. EARG: there is nothing, or more than QS_SWEEP_MAX cells, or two are the same. */
int qs_sweep_close(qs_sweep *s, qs_err *err);
/* Leaves cells out: those with keep[i] false. EARG: none stays. */
int qs_sweep_keep(qs_sweep *s, const bool *keep, qs_err *err);
/* The grid as a JSON object: parameter -> list of values. malloc'd. */
char *qs_sweep_grid(const qs_sweep *s);

/* ---- choosing ---------------------------------------------------------------------------------------- */
/*
 * The numbers of the cells (malloc'd, ascending) that `filter` and the shard choose. filter: "bits=2|3,init=lsq"; NULL: all.
 * Shard `i` of `of`, counted from 1; of = 0: all. Cells are sorted by a hash of their key and dealt out in turn: shards are
 * disjoint, together complete, differ by one cell at most, and do not depend on the filter.
 * EARG: the filter cannot be read, names a parameter or a value that no cell has; i is not 1 .. of.
 */
int qs_sweep_choose(const qs_sweep *s, const char *filter, long i, long of, size_t **out, size_t *n, qs_err *err);

/* "2/8" -> 2, 8. EARG. */
int qs_shard_read(const char *text, long *i, long *of, qs_err *err);

/* ---- keys ----------------------------------------------------------------------------------------------- */
/* Appends the value as JSON. */
void qs_sweep_value_json(const qs_sweep_value *v, qs_str *out);
/* Appends it as people read it: text without quotes. */
void qs_sweep_value_text(const qs_sweep_value *v, qs_str *out);
/* "bits=2 init=lsq", malloc'd. */
char *qs_sweep_cell_text(const qs_sweep_cell *c);
/* A seed for whatever is random in a cell: 1 .. 2^53-1, the same on every machine. */
int64_t qs_key_seed(const char *key);
/* The cell of a key, with texts of its own: qs_sweep_cell_clear. EFORMAT: it is none. */
int qs_sweep_cell_read(const char *key, qs_sweep_cell *c, qs_err *err);
void qs_sweep_cell_clear(qs_sweep_cell *c);     /* only what qs_sweep_cell_read filled */

#endif
