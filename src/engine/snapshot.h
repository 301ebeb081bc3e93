/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_ENGINE_SNAPSHOT_H
#define QS_ENGINE_SNAPSHOT_H
/*
 * What the screen may know: one immutable, reference-counted picture of the
 * session, made by the worker, drawn by the UI. Numbers and names only, no
 * engine pointers. Includes only base/.
 *
 * Not known yet: NaN for a number, state flags for a row; the UI shows "…".
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/sync.h"

#define QS_SPARK 8            /* cells of a spark-line, values 0..8 eighths */
#define QS_SNAP_LOG 400       /* lines of log a snapshot carries at most */

/* ---- which results are looked at: "" is the default, which the picture of them fills in ------------- */
typedef struct qs_results_at {
    char file[256];           /* results database; "": none */
    char sweep[96];           /* default: the newest */
    char by[256];             /* "bits,init": parameters that groups are made by; default: all but seed */
    char metric[96];          /* default: the first */
    char baseline[256];       /* a group by its name; default: none */
    char group[256];          /* the one whose series are shown; default: the first */
} qs_results_at;

/* ---- what the user looks at (also inside a snapshot) ------------------------------ */
typedef struct qs_selected {
    char model[256];          /* path */
    char next[256];           /* path of the model that was opened after it, round and round; "": there is no other */
    char tensor[256];
    char format[128];         /* canonical */
    char init[64];            /* "by hand" when the step was moved */
    char learn[16];
    double step, offset;      /* of the channel looked at; all parts together: the medians */
    long channel;             /* part looked at; -1: all parts together */
    size_t parts;
    char view[16];            /* "hist" "curve" "compare" "map" "explain" "list" "train" "results" "race" */
    long run;                 /* the run looked at, counted from 1; 0: none */
    char site[96];            /* its quantizer looked at; "": none */
    double seek;              /* steps made at the record looked at; -1: the newest there is, as it trains */
    qs_results_at results;    /* as it was asked for */
} qs_selected;

/* ---- the list --------------------------------------------------------------------------- */
typedef struct qs_snap_row {
    char *name;
    char *label;              /* the name without the path that all weights of the model share; NULL: the name itself */
    char shape[48], dtype[16];
    char *reason;             /* why not quantized (translated), or NULL */
    size_t n;
    double std, kurtosis;     /* NaN: not known yet */
    double sqnr;              /* in the current format and init; NaN: not known yet or not quantized */
    double mse_ratio;         /* error against the least-squares minimum; NaN: not known */
    double sqnr_channel;      /* of the same format @channel; for the map's sentence */
    bool sampled;             /* the numbers come from a sample so far */
    bool has_spark;
    unsigned char spark[QS_SPARK];
} qs_snap_row;

/* Shared between snapshots while nothing in it changes. */
typedef struct qs_snap_list {
    atomic_int refs;
    size_t n;
    qs_snap_row *row;         /* in the order of the model */
    size_t weights, values;   /* tensors that are quantized, their elements */
    double bits_total;        /* size of those in the current format, bits */
    double sqnr_total;        /* energy-weighted over what is known, dB; NaN */
    double sqnr_total_channel;
    size_t known;             /* rows whose numbers are known */
} qs_snap_list;

/* ---- one quantizer on the tensor looked at ----------------------------------------------------- */
typedef struct qs_snap_quant {
    bool there;               /* false: none; the note says why, if format and init are given */
    char format[128], init[64];
    double step, offset, clip_lo, clip_hi;
    double mse, nmse, sqnr, clip_mse, round_mse, clipped, max_abs, bias, entropy;
    double mse_ratio, step_ratio;
    size_t levels, used;      /* all levels are counted here */
    size_t nlevel;            /* levels given: (nlevel) <= 512, else none: too many to draw */
    double *level, *cut;      /* (nlevel), (nlevel-1) levels and decision thresholds, unit of x; several parts: of the
                                 part whose step is the median */
    double *occupancy;        /* (nlevel) counts */
    double *qbins;            /* (hist.bins) histogram of the quantized values on the bins of `hist` */
    char *formula, *source, *note;  /* or NULL */
} qs_snap_quant;

/* The levels of a tensor that is stored as codes: of the part looked at, where its blocks differ of the middle one. */
typedef struct qs_snap_own {
    size_t nlevel;            /* 0: it is not, or nothing is known yet */
    double *level;            /* (nlevel) ascending, unit of x */
    char *note;               /* a line for people */
} qs_snap_own;

/* The tensor, which is quantized, against the float one it was made of in another open model; as qs_diff. */
typedef struct qs_snap_versus {
    bool there;               /* measured */
    char model[256], tensor[256];  /* path and name of the float one; "": none is open */
    char note[200];           /* why it is not measured, or what to know; "": nothing */
    double n, mse, energy, sqnr, max_abs, bias, bpw;
    size_t levels, used;      /* 0: not known */
    double *bins;             /* (hist.bins) the float values on the bins of `hist`, or NULL */
} qs_snap_versus;

typedef struct qs_snap_hist {
    size_t bins;              /* 0: none yet */
    double lo, hi;
    bool log_x;
    double *count;            /* (bins) exact */
    double under, over, skipped;
    double *density;          /* (bins) expected count a bin from the density estimate, or NULL */
    double left_out;          /* values outside the default range, or 0: "3 outliers not shown" */
    bool zoomed;
} qs_snap_hist;

typedef struct qs_snap_marker { char init[64]; double step, error; bool ok; } qs_snap_marker;

typedef struct qs_snap_curve {
    size_t points;            /* 0: none yet */
    double *step, *error, *clip, *round;
    size_t nmark;
    qs_snap_marker *mark;     /* every initialization */
    bool approximate;         /* from buckets */
} qs_snap_curve;

typedef struct qs_snap_compare_row {
    char init[64];
    char *error;              /* or NULL */
    double step, step_ratio, clip, mse, mse_ratio, sqnr, clipped, ms;
    char *formula, *source;
} qs_snap_compare_row;

/* ---- training -------------------------------------------------------------------------------- */
#define QS_SNAP_LOSS 1024     /* points of a loss curve at most */
#define QS_SNAP_STEPS 512     /* points of a step over time at most */
#define QS_SNAP_COLORS 8      /* runs beyond that share colours */

typedef enum qs_snap_state {
    QS_SNAP_READY, QS_SNAP_RUNNING, QS_SNAP_PAUSED, QS_SNAP_DONE, QS_SNAP_STOPPED, QS_SNAP_DIVERGED
} qs_snap_state;

typedef struct qs_snap_run {
    char name[64];            /* "lsq int2/uint2 mse" */
    int color;                /* 0 .. QS_SNAP_COLORS-1, its own as long as the session has it */
    qs_snap_state state;
    char *reason;             /* why it stopped or diverged, or NULL */
    char *data;               /* what it trains on, as every output says it */
    double t, total;          /* steps made, steps of the run */
    double images_s, left_s;  /* NaN: not known */
    double loss, lr;          /* smoothed; of the last step */
    double before, floating, last;   /* accuracies 0..1: after initialization, of the float net, the newest; NaN */
    size_t nloss;             /* <= QS_SNAP_LOSS */
    double *loss_t, *low, *high, *mean;   /* (nloss) steps made; least and greatest loss since the point before, moving mean */
    size_t neval;             /* validations, with the one after initialization */
    double *eval_t, *eval;    /* (neval) steps made, accuracy */
    size_t nstep;             /* the step of the quantizer looked at, in this run; 0: it has none of that name */
    double *step_t, *step;    /* (nstep) */
} qs_snap_run;

typedef struct qs_snap_site {
    char name[96], format[128], learn[16];
    bool act;                 /* an input, else weights */
    double now;               /* step at the moment looked at */
    double *step;             /* (nrec) over time */
} qs_snap_site;

/* The quantizer looked at, as it trains or at a record. Several parts: all scaled to the geometric mean of their steps. */
typedef struct qs_snap_look {
    bool there;
    char init[64];
    bool fixed;               /* learn none */
    bool live;
    double t;                 /* steps made then */
    double step, offset, first;      /* first: after initialization */
    double lo, hi;            /* range to draw values in: the same over the whole run as far as it has come */
    size_t bins;              /* histogram of values on bin_lo .. bin_hi */
    double bin_lo, bin_hi, *count, under, over;
    size_t nlevel;            /* none beyond 512 */
    double *level, *cut, clip_lo, clip_hi;
    double clipped, entropy, used, levels, oscillating, ratio;   /* ratio: LSQ's R; NaN: unknown */
    size_t points;            /* squared error against the step; 0: none */
    double *curve_step, *curve_error;
    bool coarse;              /* the curve is from the histogram */
    double error, best_step, best_error;   /* at the step; the least */
    double slope;             /* d ln mse / d ln step at the step; NaN */
    size_t nprobe;            /* steps that its start tried, by norms and factors; 0: none */
    double *probe_step, *probe_loss;   /* the network's loss then, against where it stood: 0.1 is 10 % more */
    double probe_p, probe_factor;      /* what came of it: the norm of its kind, and the factor of the step of that norm; NaN */
    double probe_first, probe_last;    /* the network's loss at least squares, and at the start that was chosen; NaN */
    double pull;              /* -dL/d ln step, mean of the records around: > 0: the loss pulls the step up; NaN */
    double pull_noise;        /* its standard error: a smaller pull is none; NaN */
    double pull_rel;          /* its size against the greatest of the run so far, 0..1; NaN */
} qs_snap_look;

/* Shared between snapshots while nothing in it changes. */
typedef struct qs_snap_train {
    atomic_int refs;
    size_t nrun, going;       /* runs; those that are being trained now */
    qs_snap_run *run;         /* in the order they were made */
    size_t cur;               /* the one looked at, from 0 */
    size_t nsite, site_cur;   /* its quantizers; the one looked at */
    qs_snap_site *site;
    size_t nrec;              /* points in time of their steps, <= QS_SNAP_STEPS; the last one is now */
    double *rec_t;            /* (nrec) steps made */
    size_t records, record;   /* records there are; the one looked at (= records: live) */
    double before_t, after_t; /* steps made at the records beside the one looked at; NaN: none */
    qs_snap_look look;
} qs_snap_train;

/* ---- a race: runs from several initializations, side by side from the same net, batches and seed ---- */
#define QS_RACERS 32          /* at most; the ninth shares the first one's colour */

typedef struct qs_snap_racer {
    char init[64];
    qs_snap_state state;      /* READY: it waits for its initialization, or (refused) could not start */
    bool refused;
    char *reason;             /* why it could not start, stopped or diverged, or NULL */
    double t;                 /* steps made */
    double before, after, loss, raw;      /* validation: accuracy 0..1 before the first step; the newest, with its loss, and with
                                             batch statistics as they run; NaN */
    double init_s, train_s;   /* seconds its initialization took, its steps took so far; NaN */
    size_t nloss;             /* <= QS_SNAP_LOSS */
    double *loss_t, *mean;    /* (nloss) steps made, moving mean of the loss of its batches */
    size_t neval;             /* <= QS_SNAP_LOSS: validations, with the one before the first step */
    double *eval_t, *eval;    /* (neval) */
    size_t nrec;              /* <= QS_SNAP_STEPS */
    double *rec_t;            /* (nrec) steps made */
    double *oscillating;      /* (nrec) fraction of the quantized weights whose code turns back and forth; NaN */
    double *step;             /* (nsite, nrec) of each quantizer, of several parts the geometric mean; NaN: it has none */
} qs_snap_racer;

typedef struct qs_snap_race_site { char name[96], format[64]; bool act; } qs_snap_race_site;

/* Shared between snapshots while nothing in it changes. What is in a file of a recorded race is this (engine/race.h). */
typedef struct qs_snap_race {
    atomic_int refs;
    bool recorded;            /* from a file: nothing of it is computed here */
    char name[64];            /* of the run without its initialization: "lsq int2/uint2" */
    char net[64], set[64];
    char program[128], machine[160], when[32];   /* with what, on what, when it was measured */
    char *data;               /* what it trains on, as every output says it, or NULL */
    double seed, batch, total, images;           /* total: steps of a run; images: of a validation */
    double floating;          /* accuracy of the float net; NaN */
    size_t nsite;
    qs_snap_race_site *site;
    size_t n;                 /* <= QS_RACERS */
    qs_snap_racer *racer;
} qs_snap_race;

/* ---- results of sweeps, in a database that others may be writing ------------------------------ */
#define QS_SNAP_POINTS 400    /* of a series at most */

typedef struct qs_snap_group {   /* cells that are alike in the parameters groups are made by */
    char *name;               /* "bits=2,init=lsq" */
    char **value;             /* (nby) of these parameters; "-": it has none */
    size_t n, undefined, failed, left;      /* cells with the metric; done without it; failed; not done yet */
    double mean, std, min, max, lo, hi;     /* of the metric; lo .. hi: 95 % interval of the mean; NaN: undefined */
    bool baseline;
    size_t pairs;
    double diff, diff_lo, diff_hi, p;       /* this minus the baseline, in pairs, with interval; sign-flip test; NaN */
} qs_snap_group;

typedef struct qs_snap_series {  /* a series over the cells of a group */
    char *name;
    size_t cells;             /* that have it */
    size_t n;                 /* <= QS_SNAP_POINTS */
    double *at, *mean, *low, *high;         /* (n) place in the series from 1; mean, least, greatest; NaN: none is finite */
} qs_snap_series;

/* Shared between snapshots while nothing in it changes. */
typedef struct qs_snap_results {
    atomic_int refs;
    qs_results_at at;         /* what it shows, defaults filled in as far as they are known */
    char *error;              /* why there is nothing, or nothing newer; NULL */
    size_t nsweep, sweep;     /* sweeps; the one shown */
    char **sweeps;
    size_t cells, done, failed, running, left;   /* its cells: the last four add up to the first */
    double rate, left_s;      /* cells a second; seconds until none is left; NaN: not known */
    size_t nparam, nmetric, nby, ngroup;
    char **param, **metric;
    char **by;                /* (nby) names of parameters */
    qs_snap_group *group;     /* in the order of the values */
    bool rough;               /* intervals and p are still being computed: of some groups they are NaN */
    size_t nseries, nbase;
    qs_snap_series *series, *base;          /* of the group looked at; of the baseline */
} qs_snap_results;

/* A picture of the screen that was asked for (qs.export, e, E): drawn by the UI from the snapshot it has. */
#define QS_SNAP_EXPORTS 16
typedef struct qs_export {
    char what[16];            /* a view, or "screen" */
    char path[256];
    bool overwrite;           /* also over a file that is there */
} qs_export;

typedef struct qs_snapshot {
    atomic_int refs;
    uint64_t seq;
    uint64_t selection_seq;   /* grows with every selection served */
    uint64_t picked;          /* ticket of the last pick served, a refused one too: it and all before it are answered */
    qs_selected sel;
    /* the tensor looked at */
    char label[256];          /* its name as rows are labelled; "": the name itself */
    char shape[48], dtype[16], *reason, *axes_note, *index_kind;
    double bpw;               /* bits a value in the format of `sel`, steps and offsets too; NaN: it is left as it is */
    size_t n;
    double min, max, mean, std, skewness, kurtosis;
    double zeros, nans, infs, distinct;
    qs_snap_list *list;       /* a reference; NULL: no model */
    qs_snap_hist hist;
    qs_snap_own own;
    qs_snap_versus versus;
    qs_snap_quant a;          /* the current quantizer */
    qs_snap_quant b;          /* the pinned one (Space); there = false: none */
    qs_snap_curve curve;
    size_t ncompare;
    qs_snap_compare_row *compare;
    qs_snap_train *train;     /* a reference; NULL: no run */
    qs_snap_results *results; /* a reference; NULL: no database is open, or nothing is known of it yet */
    qs_snap_race *race;       /* a reference; NULL: none */
    double race_at;           /* how much of it is to be shown: steps made; -k: k racers still wait for their start */
    /* what goes on */
    uint64_t running;         /* job id, 0: none */
    size_t queued;
    char doing[80];           /* "index conv1.weight", or "" */
    double done;              /* 0..1; < 0: unknown */
    bool background;          /* the list is still filling in */
    /* the log: text lines, oldest first; number of the first line since the start */
    uint64_t log_first;
    size_t nlog;
    char **log;               /* each begins with a kind: '>' echo, '=' result, '!' error, ' ' print */
    char *status;             /* a message for the status line, or NULL */
    /* exports asked for since the start; the last QS_SNAP_EXPORTS are here, number i at i % QS_SNAP_EXPORTS */
    uint64_t exports;
    qs_export export[QS_SNAP_EXPORTS];
} qs_snapshot;

/* Empty: numbers NaN, nothing there. Whoever fills one gives it blocks of their own for its pointers (malloc). */
qs_snapshot *qs_snapshot_new(void);
qs_snapshot *qs_snapshot_ref(qs_snapshot *s);
void qs_snapshot_unref(qs_snapshot *s);
qs_snap_list *qs_snap_list_ref(qs_snap_list *l);
void qs_snap_list_unref(qs_snap_list *l);
qs_snap_train *qs_snap_train_new(void);   /* as qs_snapshot_new */
void qs_snap_train_unref(qs_snap_train *t);
qs_snap_results *qs_snap_results_new(void);
void qs_snap_results_unref(qs_snap_results *r);
qs_snap_race *qs_snap_race_new(size_t n);  /* of n racers: their numbers NaN */
void qs_snap_race_unref(qs_snap_race *r);

/* ---- the board: the newest snapshot -------------------------------------------------------------- */
typedef struct qs_board qs_board;
/* wake: called after a publish (wakes the UI); poke: after a pick or a new viewport (wakes the worker). NULL: nothing */
qs_board *qs_board_new(void (*wake)(void *), void (*poke)(void *), void *ctx);
void qs_board_free(qs_board *b);
void qs_board_publish(qs_board *b, qs_snapshot *s);        /* takes over the reference */
qs_snapshot *qs_board_get(qs_board *b);                    /* a reference; NULL: none yet */
void qs_board_want(qs_board *b);                           /* UI: I have drawn, the next one please */
bool qs_board_wanted(const qs_board *b);                   /* worker: is a new one welcome? (NULL: no) */

/* ---- what the UI asks for beyond the selection: sizes of its panes, zoom ---------------------------- */
typedef struct qs_viewport {
    size_t hist_bins;         /* cells * dots of the histogram */
    double hist_lo, hist_hi;  /* NaN: the default range */
    bool hist_log_x;
    size_t curve_points;
    double curve_lo, curve_hi;/* 0: default */
} qs_viewport;
void qs_board_set_viewport(qs_board *b, const qs_viewport *v);   /* UI; pokes the worker if anything changed */
void qs_board_viewport(const qs_board *b, qs_viewport *v);       /* worker: the newest */
uint64_t qs_board_viewport_seq(const qs_board *b);               /* grows with every change */

/* ---- what the user picks: plain data, one call of `qs.select{...}`, qs.undo(), qs.pin() or qs.export() -------------- */
enum {
    QS_PICK_MODEL = 1, QS_PICK_TENSOR = 2, QS_PICK_FORMAT = 4, QS_PICK_INIT = 8, QS_PICK_VIEW = 16, QS_PICK_STEP = 32,
    QS_PICK_OFFSET = 64, QS_PICK_CHANNEL = 128, QS_PICK_LEARN = 256,
    QS_PICK_UNDO = 512, QS_PICK_PIN = 1024,    /* these stand alone */
    QS_PICK_RUN = 2048, QS_PICK_SITE = 4096, QS_PICK_SEEK = 8192,
    QS_PICK_EXPORT = 16384,                    /* alone too */
    QS_PICK_RESULTS = 1 << 15, QS_PICK_SWEEP = 1 << 16, QS_PICK_BY = 1 << 17, QS_PICK_METRIC = 1 << 18,
    QS_PICK_BASELINE = 1 << 19, QS_PICK_GROUP = 1 << 20,
    QS_PICK_OF_RESULTS = 63 << 15              /* all six */
};
typedef struct qs_pick {
    unsigned set;             /* which of the fields below are meant */
    char model[256], tensor[256], format[128], init[64], view[16], learn[16];
    double step, offset;      /* by hand: init becomes "by hand" */
    long channel;             /* -1: all parts together */
    long run;                 /* from 1 */
    char site[96];            /* "conv2.weight" */
    double seek;              /* steps made: the last record until then; -1: as it trains */
    qs_results_at results;
    qs_export export;
    uint64_t ticket;          /* given by qs_board_pick */
} qs_pick;
/* "qs.select{tensor=\"conv1.weight\", step=0.1}": the call that does the same, for the echo. malloc'd. */
char *qs_pick_text(const qs_pick *p);
/* The UI puts picks in, in order; a pick of the same fields replaces the last one that still waits. Pokes the worker.
 * Returns its ticket, a number that grows: it is answered once a snapshot's `picked` has come that far. */
uint64_t qs_board_pick(qs_board *b, const qs_pick *p);
bool qs_board_take_pick(qs_board *b, qs_pick *out);        /* worker: the oldest; false: none */
bool qs_board_pick_waits(const qs_board *b);               /* any thread: one atomic read */
unsigned qs_board_pick_fields(const qs_board *b);          /* QS_PICK_... of all that wait; one atomic read */

/* ---- completion: words the console offers, kept up to date by the worker ------------------------------- */
void qs_board_set_words(qs_board *b, char **words, size_t n);    /* takes over; any order; "t:summary" style paths */
/* Copies those that begin with prefix, at most max, into out (each malloc'd). */
size_t qs_board_words(qs_board *b, const char *prefix, char **out, size_t max);

#endif
