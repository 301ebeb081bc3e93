/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_MODEL_PICKLE_H
#define QS_MODEL_PICKLE_H
/*
 * Python's pickle, protocols 0 to 5, read as a description: values become a graph of nodes, and what Python would call
 * (a class, a function) becomes a node that names it with its arguments. No code is looked up and none is run. Which
 * names may occur at all the caller says; another one is EUNSUP with that name.
 *
 * The state that BUILD sets is read and dropped.
 *
 * Bounds: one node an opcode at most, QS_PICKLE_NODES in all; the memo and everything else take memory in proportion
 * to the bytes read. The graph may have cycles (a list can hold itself): who walks it must look out.
 */
#include "model/reader.h"

#define QS_PICKLE_NODES 4000000u

typedef enum qs_pickle_kind {
    QS_PY_NONE, QS_PY_BOOL, QS_PY_INT, QS_PY_FLOAT, QS_PY_TEXT, QS_PY_BYTES,
    QS_PY_LIST, QS_PY_TUPLE, QS_PY_SET, QS_PY_DICT,
    QS_PY_GLOBAL,     /* a name */
    QS_PY_CALL,       /* a name and its arguments; items set on what came out are those of the call */
    QS_PY_PERSISTENT, /* a persistent id */
    QS_PY_BIG         /* an integer of more than 64 bits: u.text, as it stands there */
} qs_pickle_kind;

typedef struct qs_py qs_py;
struct qs_py {
    qs_pickle_kind kind;
    bool seen;                     /* for who walks; false at first */
    union {
        int64_t i;                 /* BOOL, INT */
        double f;
        struct { const char *s; size_t n; } text;    /* TEXT, BYTES, BIG: borrowed from the pickle, no NUL behind them */
        struct { const char *module, *name; size_t nmodule, nname; int what; } global;  /* what: as `allow` said */
        struct { qs_py *fn, *args; } call;           /* fn: whatever stood there, a GLOBAL mostly; PERSISTENT: args alone */
    } u;
    qs_py **item;                  /* (n) of LIST, TUPLE, SET; DICT, CALL: key, value, key, value ... */
    size_t n;
};

typedef struct qs_pickle qs_pickle;   /* owns the nodes */

/* Which names may occur: a number of the caller's, kept in u.global.what; < 0: none of them. */
typedef int qs_pickle_allow(const char *module, size_t nmodule, const char *name, size_t nname);

/*
 * Reads one pickle from the beginning of n bytes; *used: how many it took. NULL: EFORMAT: damaged, cut short;
 * EUNSUP: a name that is not allowed, an opcode that needs code (extensions, buffers beside the file); ENOMEM: too many values.
 * Cost: linear in the bytes.  Test: t_torch
 */
qs_pickle *qs_pickle_read(const unsigned char *p, size_t n, qs_pickle_allow *allow, size_t *used, qs_err *err);
qs_py *qs_pickle_root(const qs_pickle *k);
/* The persistent ids, in the order of the file; *n of them. */
qs_py *const *qs_pickle_persistent(const qs_pickle *k, size_t *n);
void qs_pickle_free(qs_pickle *k);

/* Whether x is the text s. */
bool qs_py_is(const qs_py *x, const char *s);
/* The last value under that text in a DICT or CALL; NULL: none. Cost: one pass. */
qs_py *qs_py_get(const qs_py *dict, const char *key);

#endif
