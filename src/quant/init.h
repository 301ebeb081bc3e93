/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_QUANT_INIT_H
#define QS_QUANT_INIT_H
/*
 * Initializations: where step (and offset) start. Each is one row of a table:
 * name, what it does, formula, source, and a function from the index of the
 * values and a format to parameters.
 *
 * To add one: one function, one row in init.c. Lua adds rows with qs.register_init.
 */
#include "quant/error.h"

typedef enum qs_role { QS_ROLE_WEIGHT, QS_ROLE_ACT } qs_role;

typedef struct qs_init_opts {
    qs_role role;
    /* what stands behind ":" in the name ("lsq+:2^b-1", "percentile:99.9"), or a `divisor` option */
    char variant[32];
    double percentile;    /* 0: the default, 99.99 */
    const qs_tensor *weights;  /* importance of every element, or NULL */
    double unit;          /* qs_init_index, scale=e4m3: of the tensor this part is of (qs_quantizer); 0: it is all there is */
} qs_init_opts;

/* What an initialization is given. */
typedef struct qs_init_in {
    const qs_index *ix;         /* the values of one part; always holds a finite value */
    const qs_format *f;
    const qs_init_opts *opts;
    const qs_ctl *ctl;
    double unit;                /* scale=e4m3: of the tensor's steps (scale.h); 0: this part is all there is */
    const float *x;             /* (n) the values in order, QS_INIT_VALUES and where they are there; else NULL, n 0 */
    size_t n;
    void *ctx;                  /* the row's own */
} qs_init_in;

typedef struct qs_init_out {
    double step;                /* > 0 (flip: != 0) */
    double offset;              /* beta in the unit of x; zp: -step*z */
    float pick, pick_offset;    /* what decides instead of step and offset (quantizer.h); pick 0: they do */
    qs_format *f;               /* another format (lloyd), owned by the caller now; else NULL */
    char formula[160];          /* with values: "2 E|w| / sqrt(Qp) = 2 * 0.0213 / sqrt(7)" */
    char note[200];             /* a diagnosis, or "" */
} qs_init_out;

enum {
    QS_INIT_NAMED_ONLY = 1,   /* not among the rows of a comparison unless named (lloyd, aliases) */
    QS_INIT_LUA = 2,          /* registered at run time */
    QS_INIT_LEAST = 8,        /* wants the least error also among the steps that scale= can keep, not the nearest step */
    QS_INIT_VALUES = 16,      /* the order of the values matters */
    QS_INIT_NETWORK = 4,      /* finds all quantizers of a network at once (train/search.c); on a tensor: ESTATE */
};

typedef struct qs_init {
    const char *name;      /* "lsq" */
    const char *doc;       /* one line */
    const char *formula;   /* "s = 2 E|w| / sqrt(Qp)" */
    const char *source;    /* "Esser et al. 2020, arXiv 1902.08153, sec. 2.1" */
    const char *variants;  /* "paper 2^b-1 2^b": what may stand behind ":"; NULL: nothing */
    int flags;
    int (*applies)(const qs_format *f, qs_role role, qs_err *err);  /* NULL: to all; says why not (EUNSUP) */
    int (*fit)(const qs_init_in *in, qs_init_out *out, qs_err *err);
    void *ctx;
} qs_init;

/* Rows, built-in first, then registered. Pointers stay valid for the program's life. */
size_t qs_init_count(void);
const qs_init *qs_init_at(size_t i);
const qs_init *qs_init_named(const char *name_and_variant);   /* NULL if there is none; ignores ":variant" */
/* Copies the strings. Replaces a row of the same name if that was registered too; EARG for a built-in name. */
int qs_init_register(const qs_init *row, qs_err *err);

/*
 * One part. name may carry ":variant". Degenerate data gives a defined result and a note: all zero -> step 1;
 * constant, single, subnormal, huge -> a step that is finite, > 0 and representable. ERANGE: nothing finite.
 * EARG: no such init or variant. EUNSUP: does not apply to this format (says why).
 */
int qs_init_index(const char *name, const qs_index *ix, const qs_format *f, const qs_init_opts *o,
                  const qs_ctl *ctl, qs_init_out *out, qs_err *err);
/* All parts of a tensor, in parallel over parts where that pays. opts may be NULL. */
qs_quantizer *qs_init_tensor(const char *name, qs_tensor *t, const qs_format *f, const qs_init_opts *o,
                             qs_cache *cache, const qs_ctl *ctl, qs_err *err);

/* ---- exact least squares (METHODS 10), used by `mse` and by comparisons ------------------------ */
/* The global minimum of sum w (x - s c)^2 over s > 0 (flip: s != 0), for any codebook, offset 0.
 * Cost: a sweep over n * levels breakpoints inside a bracket that one curve gives. */
int qs_mse_step(const qs_format *f, const qs_index *ix, const qs_ctl *ctl, double *step, double *mse, qs_err *err);

/* ---- comparison ----------------------------------------------------------------------------------- */
typedef struct qs_compare_row {
    char init[64];
    int code;                    /* 0, or what went wrong with a named init: enum qs_code */
    char error[256];             /* then the message */
    double step, offset, clip;   /* medians over parts */
    double mse, nmse, sqnr_db, clipped;
    double step_ratio;           /* against the least-squares optimum, geometric mean over parts; NaN: undefined */
    double mse_ratio;            /* total error against the optimum's; NaN: undefined */
    double ms;                   /* what the initialization cost */
    qs_quantizer *q;             /* a reference */
} qs_compare_row;
typedef struct qs_compare { size_t n; qs_compare_row *row; } qs_compare;
/* names: (n) or NULL for every init that applies and keeps the format. Sorted by mse, failed ones last. */
int qs_compare_tensor(qs_tensor *t, const qs_format *f, const char *const *names, size_t n, const qs_init_opts *o,
                      qs_cache *cache, const qs_ctl *ctl, qs_compare *out, qs_err *err);
void qs_compare_clear(qs_compare *c);

#endif
