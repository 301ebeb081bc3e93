/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_ENGINE_STATE_H
#define QS_ENGINE_STATE_H
/*
 * The inside of a session, shared by the files of this room only. One thread.
 *
 * session.c  models, log, ctl, serving         select.c  the selection, undo, pin
 * view.c     what the panes show, in stages    compare.c rows of the comparison, kept
 * bins.c     where a quantizer puts the values
 * versus.c   a quantized tensor against the float one
 * picture.c  all of it as a snapshot           list.c    rows of the list, as an object to share
 * background.c  the numbers of those rows      sample.c  the same from a few values
 * training.c runs, steps between jobs          train_snap.c  runs as a part of a snapshot
 * train_look.c  the quantizer of a run that is looked at
 * results.c  results of sweeps: what is looked at, and what comes from the source
 * race.c     the race that is shown
 */
#include "engine/log.h"
#include "engine/race.h"
#include "engine/session.h"
#include "stat/hist.h"
#include "stat/summary.h"

#define FRAME 0.033            /* seconds between snapshots nobody asked for */

/* ---- the selection ------------------------------------------------------------------- */
/* A format that several states share; one thread. */
struct fmt {
    int refs;
    qs_format *f;
    char *text;                /* whole canonical string */
};
struct fmt *fmt_new(qs_format *f);      /* takes over f */
struct fmt *fmt_ref(struct fmt *f);
void fmt_unref(struct fmt *f);

struct sel {
    qs_model *m;               /* a reference, or NULL */
    qs_tensor *t;              /* a reference, or NULL */
    struct fmt *f;
    char init[64];             /* the named one; also the one a step by hand started from */
    char learn[16], view[16];
    long channel;              /* -1: all parts */
    qs_quantizer *hand;        /* not NULL: by hand; a reference */
};

struct pin {                   /* B */
    bool there;
    qs_tensor *t;              /* where it was pinned */
    struct fmt *f;
    char init[64];
    qs_quantizer *q;           /* as it was there */
    bool hand;
};

/* Generations: each grows when what it names changes; work is keyed by them. */
struct gens {
    uint64_t tensor;           /* another tensor */
    uint64_t look;             /* other values: tensor or part */
    uint64_t format;           /* other values or format */
    uint64_t quant;            /* another quantizer (or values) */
    uint64_t pin;
};

/* ---- what the panes show ----------------------------------------------------------------- */
struct side {                  /* A or B */
    uint64_t made;             /* gens.quant (A), gens.pin + gens.look (B) it was made for */
    uint64_t qbins_made;       /* hist_made its qbins are for */
    qs_quantizer *q;           /* a reference, or NULL */
    size_t part;               /* the part whose levels are shown */
    bool all;                  /* of several parts together */
    qs_qerror e;
    qs_snap_quant s;           /* as it goes into snapshots */
};

struct cmp_row {
    qs_snap_compare_row s;
    uint64_t id;               /* of the row of the init table it was made by */
    bool ok;
};

struct cmp {                   /* rows of the comparison of one tensor (or part) and format */
    qs_tensor *t;              /* a reference */
    char *format;
    long part;                 /* -1: the tensor */
    uint64_t used;             /* clock of the cache */
    size_t n;
    struct cmp_row *row;       /* sorted by error, failed ones last */
    qs_quantizer *best;        /* the least-squares optimum; NULL: not known */
    double best_step, best_mse;/* of its first part; of all; NaN: not known */
};

struct versus {
    uint64_t made;             /* gens.tensor it was measured for */
    size_t models;             /* how many were open then */
    uint64_t bins_made;        /* hist_seq its bins are for */
    qs_tensor *a;              /* the float one, a reference; NULL: none, or not measured */
    qs_snap_versus s;          /* as it goes into snapshots */
};

struct view {
    uint64_t summary_made, index_made, hist_made, curve_made, compare_made;
    uint64_t hist_seq;         /* grows whenever hist was made anew */
    qs_viewport port;          /* what hist and curve were made for */
    double curve_offset;
    bool summary_there;
    qs_summary summary;
    size_t n;                  /* values looked at */
    qs_index *ix;              /* of the values looked at; NULL: none */
    qs_err ix_err;             /* why there is none */
    qs_hist hist;
    double *density;           /* (hist.bins) expected counts, or NULL */
    double left_out;
    bool zoomed;
    qs_snap_own own;           /* made with the summary */
    struct versus versus;
    struct side a, b;
    qs_curve curve;
    struct cmp *cmp;           /* of what is looked at, in the cache; NULL: none */
    bool stopped;              /* Ctrl-C: not taken up again before the next change */
};

#define CMP_KEPT 24
#define CMP_BYTES ((size_t)8 << 20)

/* ---- the list --------------------------------------------------------------------------------- */
enum known { NOT_KNOWN, SAMPLED, EXACT };

struct row_base {              /* of the values alone */
    enum known known;
    double std, kurtosis;
    bool has_spark;
    unsigned char spark[QS_SPARK];
};

struct row_err {               /* in one format and init */
    enum known known;
    bool there;                /* has numbers (else: the init does not apply, or nothing finite) */
    double mse, energy, best, channel;   /* an element: error, square, least-squares error, error @channel; or NaN */
};

struct rowset {                /* for one format and init */
    char *format, *init;
    uint64_t used, id;         /* clock; which registration of the init */
    struct row_err *row;       /* (m->n) */
    double bits;
};
#define ROWSETS 8

struct list {
    qs_model *m;
    struct row_base *base;     /* (m->n) */
    size_t head, tail;         /* bytes of path that the names of all weights share, in front and behind */
    const char *weight_name;   /* the first weight's, which has both; borrowed */
    struct rowset set[ROWSETS], *cur;
    size_t sampled, exact;     /* cursors: rows below are known so far */
    uint64_t clock;
    qs_snap_list *made;        /* the newest object, a reference */
    bool changed;              /* rows changed since */
    double made_at;
};

/* ---- training ------------------------------------------------------------------------------------ */
struct run_slot {
    qs_run *r;                 /* a reference */
    int color;
    bool going;                /* started, and not paused since */
    uint64_t mark_t;           /* steps and seconds when the speed was last taken */
    double mark_s, mark_at, speed;   /* steps a second spent in steps; NaN: not known */
    uint64_t shown_t;          /* as in the last picture */
    size_t shown_evals;
    qs_run_state shown_state;
};

struct train_at {              /* what is looked at */
    qs_run *r;                 /* borrowed from its slot; NULL: none */
    char site[96];
    double seek;               /* -1: live */
};

struct train_look {            /* what was found out about it */
    qs_snap_look s;            /* its blocks are its own */
    double made_at;
    bool stale;
};

struct training {
    struct run_slot slot[QS_RUNS_MAX];
    size_t n, turn;
    struct train_at at;
    struct train_look look;
    uint64_t id;               /* of all steps since the last start, for Ctrl-C */
    qs_snap_train *made;       /* the newest picture, a reference */
    bool changed;
    double made_at;
};

/* ---- results of sweeps ------------------------------------------------------------------------------ */
struct results {
    qs_source source;          /* take NULL: none */
    qs_results_at at, told;    /* looked at; as the source was last told */
    bool told_shown;
    qs_snap_results *made;     /* the newest picture, a reference */
};

/* ---- a race ------------------------------------------------------------------------------------------- */
struct shown_race {
    qs_race *race;             /* a reference; NULL: none */
    double at;                 /* qs_snapshot.race_at */
    double made_at;
};

/* ---- the session --------------------------------------------------------------------------------- */
struct file_id { uint64_t dev, ino; int64_t size, sec, nsec; bool there; };

struct qs_session {
    qs_model **model;          /* (nmodel) references */
    struct file_id *file;      /* (nmodel) as they were when opened */
    size_t nmodel;
    qs_cache *cache;
    struct sel sel, *undo;     /* (nundo) oldest first */
    size_t nundo;
    struct pin pin;
    struct gens gen;
    uint64_t init_seen;        /* registration of sel.init that all of this was computed with */
    uint64_t served;           /* selections and picks: selection_seq */
    uint64_t picked;           /* ticket of the last pick served */
    bool by_key;               /* the last change came from a pick, not from Lua */
    qs_quantizer *q;           /* of sel.init on sel.t; NULL: not computed */
    qs_err q_err;              /* or why there is none; code 0: not tried */
    struct view view;
    struct cmp *cmp[CMP_KEPT];
    uint64_t cmp_clock;
    struct list list;
    struct training train;
    struct results results;
    struct shown_race race;
    qs_log log;
    char *status;
    /* the screen */
    qs_board *board;
    qs_jobs *jobs;
    qs_ctl ctl, given, work;   /* for jobs; headless; for our own work */
    unsigned work_yields;      /* picks of these fields abandon the work (QS_PICK_...) */
    bool work_to_jobs;         /* a job that waits does too */
    bool serving, nested;      /* in serve; that inside a running job */
    int locked;                /* the selection is in use: no serving now */
    uint64_t own_id;
    uint64_t exports;          /* asked for since the start */
    qs_export export[QS_SNAP_EXPORTS];
    qs_pick held;              /* taken from the board, and not served yet; set = 0: none */
    char doing[80];
    char who[40];              /* whose work the running job does; "" */
    double done, doing_at;
    bool news;                 /* since the last snapshot */
    double quiet_since;        /* the last snapshot, or the beginning of serving: no half picture before its time */
    uint64_t said_running;     /* as in the last snapshot */
    size_t said_queued;
    uint64_t seq, port_seq;
    size_t abandoned;          /* times work gave way (for tests) */
};

/* select.c */
void sel_default(struct sel *s);
void sel_clear(struct sel *s);
void pin_clear(struct pin *p);
const char *sel_reason(const struct sel *s);                 /* why there is no quantizer; NULL: there can be one */
size_t sel_parts(const struct sel *s, qs_split *split);      /* of the format on the tensor; 1 where it does not fit */
void select_default(qs_session *s, qs_model *m);
void follow_init(qs_session *s);                             /* sel.init may have been registered anew */
double median_of(const double *v, size_t n);                 /* of an even number: the mean of the middle two */

/* session.c */
bool init_must_wait(const qs_session *s, const char *init);  /* it is written in Lua, and Lua is busy */
qs_ctl *work_ctl(qs_session *s, const char *label, unsigned yields, bool to_jobs);
void work_done(qs_session *s);
int work_check(qs_session *s, qs_err *err);
void publish_staged(qs_session *s);                          /* unless the next stage may be as quick */
void publish_now_and_then(qs_session *s);
void serve_nested(qs_session *s);                            /* in the middle of a job or a step, if something was asked */
void let_draw(qs_session *s);                                /* waits for the screen, 40 ms at most */

/* view.c */
int view_update(qs_session *s, qs_err *err);                 /* all stages; ECANCEL: gave way */
bool view_open(const qs_session *s, bool nested);            /* is anything left that could be done now? */
void view_stale(qs_session *s, const struct gens *old);      /* lets go of what no longer holds */
void view_clear(struct view *v);
void side_ratios(qs_session *s, struct side *x);
void clear_snap_quant(qs_snap_quant *q);

/* own.c */
void own_look(const qs_tensor *t, const qs_split *s, size_t part, qs_snap_own *o);   /* nothing where t is not packed */
void own_clear(qs_snap_own *o);

/* versus.c */
bool versus_wanted(const qs_session *s);                     /* the tensor looked at is quantized */
int versus_measure(qs_session *s, qs_err *err);
int versus_bins(qs_session *s, const qs_split *split, size_t part, qs_err *err);   /* of the part looked at */
void versus_clear(struct versus *v);

/* bins.c */
int side_qbins(qs_session *s, struct side *x, qs_err *err);  /* the quantized histogram of a side */
int parts_errors(qs_session *s, struct side *x, qs_err *err);/* x->e for all parts together */

/* compare.c */
struct cmp *cmp_find(qs_session *s, bool make);
int cmp_fill(qs_session *s, struct cmp *c, qs_err *err);     /* the rows that are missing */
bool cmp_whole(const struct cmp *c, const qs_format *f, bool nested);
void cmp_clear_all(qs_session *s);
uint64_t init_id(const char *name);                          /* changes when it is registered anew; 0: there is none */

/* list.c, background.c */
void list_follow(qs_session *s);                             /* the selection changed: other model, format or init */
qs_snap_list *list_snap(qs_session *s, bool force);          /* a reference, or NULL */
char *list_label(const qs_session *s, const qs_tensor *t);   /* as in qs_snap_row, malloc'd; NULL: the name */
void list_clear(struct list *l);
bool list_open(const qs_session *s);
int list_slice(qs_session *s, double until, qs_err *err);      /* ECANCEL: gave way */

/* sample.c: the same numbers from at most QS_SAMPLE values */
#define QS_SAMPLE 4096
void sample_base(const qs_tensor *t, struct row_base *b);
void sample_error(const qs_tensor *t, const qs_format *f, const qs_format *channel, const char *init,
                  const qs_ctl *ctl, struct row_err *r);
/* The range a spark-line shows: three and a half deviations, within what there is. */
void spark_range(double mean, double std, double min, double max, double *lo, double *hi);
void spark_of(const double *count, unsigned char *spark);    /* (QS_SPARK) counts to eighths */

/* training.c */
int train_pick(const qs_session *s, const qs_pick *p, struct train_at *at, qs_err *err);   /* at: as it would be */
void train_look_at(qs_session *s, const struct train_at *at);
struct run_slot *train_slot(const qs_session *s, const qs_run *r);    /* NULL: not one of ours */
size_t train_site(const struct train_at *at);                /* number of the site; nsite: none */
size_t train_record(const struct train_at *at);              /* record looked at; nrec: live */
bool train_going(const qs_session *s);
void train_slice(qs_session *s);                             /* one step, or 10 ms of them */
void train_follow(qs_session *s, bool now);                  /* has a run moved? then it is news, and is looked at */
void train_clear(qs_session *s);

/* train_look.c */
void look_make(qs_session *s);
void look_free(qs_snap_look *l);

/* train_snap.c */
qs_snap_train *train_snap(qs_session *s);                    /* a reference, or NULL */
void snap_loss(const qs_history *h, qs_snap_run *o);         /* its loss, thinned out; into blocks of their own */
void snap_evals(const qs_run *r, qs_snap_run *o);            /* its validations, with the one before the first step */
size_t snap_records(const qs_history *h);                    /* records shown at most, and which is the k-th of n */
size_t snap_record(const qs_history *h, size_t k, size_t n);

/* results.c */
int results_pick(const qs_pick *p, qs_results_at *at, qs_err *err);   /* at: as it would be */
void results_look_at(qs_session *s, const qs_results_at *at);
void results_follow(qs_session *s);                          /* tells the source what is looked at; has it news? */
qs_snap_results *results_snap(qs_session *s);                /* a reference, or NULL */
void results_clear(qs_session *s);

/* race.c */
void race_follow(qs_session *s, bool now);                   /* has a racer moved? then it is news */
qs_snap_race *race_snap(qs_session *s, double *at);          /* a reference, or NULL */
void race_clear(qs_session *s);

/* picture.c */
qs_snapshot *picture(qs_session *s, bool force);

#endif
