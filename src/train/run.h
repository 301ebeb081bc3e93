/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_TRAIN_RUN_H
#define QS_TRAIN_RUN_H
/*
 * A QAT run as an object with `step`: it owns a copy of the net, its sites, its
 * plans, the optimizer and the history. Whoever holds it decides when the next
 * step is made; nothing goes on by itself. One thread.
 *
 *   new: copies the net, makes the sites, initializes them (weights at once, activations through the network in order on
 *   calibration batches of training images, everything before already quantized), evaluates: run->before.
 */
#include "train/dataset.h"
#include "train/history.h"
#include "train/net.h"
#include "train/site.h"

/*
 * Options are laid over each other: weights or acts, then what the first and last layers say, then what a layer is told
 * by name; a field left at 0, NULL or NaN stays as it was. The sign of acts follows what produces the values ("4" is
 * uint4 behind a ReLU, int4 behind SiLU; "uint4" and "int4" change likewise, unless they hold an offset; the site's note
 * says so). rcf on weights that no batch normalization follows is rcf:rescale, and says so.
 */
/* AUTO: only where no step is learned; where steps are, looking at the loss beforehand gained nothing that was left after
 * training (EXPERIMENTS.md). RANDOM (factors): a control. */
enum { QS_ADAPT_AUTO, QS_ADAPT_ON, QS_ADAPT_OFF, QS_ADAPT_RANDOM };

typedef struct qs_quant_opts {
    bool on;                  /* false: a float run */
    qs_site_opts weights, acts;
    /* format NULL: as the others. With a format: init mse where none is given. Default int8 / acts 8 bits, init mse.
     * Where weights (acts) are float these are too. */
    qs_site_opts first_w, first_a, last_w, last_a;
    const char *input;        /* format of the image itself; NULL: not quantized */
    struct qs_override { const char *layer; bool has_w, has_a; qs_site_opts w, a; } *override;   /* (noverride) */
    size_t noverride;
    size_t calib;             /* training images the activations are initialized on; 0: 256 */
    struct qs_adapt_opts {    /* of init adaptive (and lapq: images, cost) */
        size_t images;        /* training images a half: those to choose by, those to check with; 0: 256, lapq 512 */
        double cost;          /* what it may cost, in training steps of 128 images; 0: 100 */
        bool labels;          /* by the cross-entropy with the labels, not the divergence from the float outputs */
        int norms;            /* QS_ADAPT_...: asks the loss for them */
        int factors;          /* QS_ADAPT_... */
    } adapt;
    struct qs_follow_opts {   /* steps re-solved by least squares while training begins; then they only learn */
        bool weights, acts;
        uint64_t every;       /* steps; 0: 10 */
        double upto;          /* a fraction of the run; 0: 0.6 */
    } follow;
} qs_quant_opts;

typedef enum qs_optimizer { QS_SGD, QS_ADAM } qs_optimizer;
typedef enum qs_schedule { QS_COSINE, QS_STEPWISE, QS_CONSTANT } qs_schedule;

typedef struct qs_run_opts {
    double epochs;            /* or steps; both 0: 1 epoch */
    uint64_t steps;
    size_t batch;             /* 0: 128 */
    double lr;                /* 0: 0.01 */
    double momentum;          /* NaN: 0.9 (sgd) */
    double beta2, eps;        /* adam; 0: 0.999, 1e-8 */
    double weight_decay;      /* NaN: 1e-4 */
    bool nesterov;
    qs_optimizer optimizer;
    qs_schedule schedule;     /* cosine spans the run; stepwise: times `gamma` every `every` steps */
    double gamma;             /* 0: 0.1 */
    uint64_t every;           /* 0: a third of the run */
    double clip;              /* bound on the norm of all gradients of weights; 0: none */
    double bound;             /* a loss above it is divergence; 0: 1e4 */
    uint64_t seed;            /* 0: 1 */
    uint64_t record;          /* a record every so many steps; 0: 10 (but at most 4096 records a run) */
    uint64_t evaluate;        /* validation every so many steps; 0: only when asked and at the end */
    uint64_t patience;        /* evaluations without a better validation loss before the run stops; 0: never */
    size_t val_limit;         /* validation images used; 0: all */
    int aug_pad; bool aug_flip;
    qs_quant_opts quant;
} qs_run_opts;
void qs_run_defaults(qs_run_opts *o);

/* One look at the network's loss while adaptive or lapq chose a start. */
enum { QS_ATTEMPT_ALL = -1, QS_ATTEMPT_WEIGHTS = -2, QS_ATTEMPT_ACTS = -3 };
typedef struct qs_attempt {
    int site;                 /* whose step was scaled; or whose norm was tried: QS_ATTEMPT_... */
    double p, factor;         /* the norm, NaN for a factor; the factor of the step, NaN for a norm */
    double loss, before;      /* mean over the images to choose by; where it stood before, NaN: the first look */
    double check;             /* mean over those to check with, NaN: not looked */
    bool taken;               /* it was better than all before: the search went on from there */
} qs_attempt;
typedef struct qs_adapted {
    size_t nattempt, cap;       /* 0: no such init was asked for */
    qs_attempt *attempt;
    double p_weights, p_acts; /* the norms it settled on; NaN: none */
    double first, last;       /* loss of the least-squares start, and of the chosen one, on the images to choose by */
    double *factor;           /* (nsite) of the step of that norm; 1 where nothing was changed */
    double *ratio;            /* (nsite) of the step it starts with to that of least squares on the first batch; 1: unknown */
    uint64_t images;          /* that went forward through the network for it */
} qs_adapted;

typedef struct qs_score { double accuracy, loss, accuracy_raw; size_t n; } qs_score;   /* accuracies in 0..1; NaN: unknown */

typedef enum qs_run_state { QS_RUN_READY, QS_RUN_DONE, QS_RUN_STOPPED, QS_RUN_DIVERGED } qs_run_state;

typedef struct qs_run {
    atomic_int refs;
    char name[64];            /* "lsq int2/uint2 mse", for legends */
    qs_net *net;              /* the copy that is trained */
    qs_dataset *data;
    qs_run_opts o;            /* with every default filled in; strings owned by the run */
    qs_site *site;            /* (nsite) weights and inputs in the order of the net */
    size_t nsite;
    uint64_t t, total;        /* steps made, steps of the run */
    double lr;                /* of the last step */
    double loss;              /* of the last step's batch */
    qs_run_state state;
    char reason[200];         /* why it stopped or diverged */
    qs_score before, floating, last;   /* after initialization; of the float net; the newest validation */
    qs_history h;
    double seconds;           /* spent in steps */
    double init_seconds;      /* spent initializing */
    qs_adapted adapted;
    struct qs_run_work *work; /* private */
} qs_run;

/* EARG: an option out of range, a net whose input does not fit the data; init and format errors name the site. */
qs_run *qs_run_new(const qs_net *net, qs_dataset *d, const qs_run_opts *o, const qs_ctl *ctl, qs_err *err);
qs_run *qs_run_ref(qs_run *r);
void qs_run_unref(qs_run *r);

/* One step, and the evaluation that is due after it. 1: made, more to come; 0: the run is over (done, stopped early,
 * diverged: state and reason say which); ESTATE: it was over already. After ECANCEL the run is as before the step; an
 * evaluation that was interrupted is made up by the next call. Parameters of a diverged run are those before the step
 * that failed. No allocation. */
int qs_run_step(qs_run *r, const qs_ctl *ctl, qs_err *err);
/* Ends it: state STOPPED, reason. The history stays. */
void qs_run_stop(qs_run *r, const char *reason);

/* The values that site i quantizes: its weights, or what it saw of the last step's batch; (*n). NULL: none yet. Borrowed
 * until the next step. */
const float *qs_run_seen(const qs_run *r, size_t site, size_t *n);

/*
 * Accuracy on a part: batch statistics are re-estimated on the same 2048 training images first (accuracy_raw: with the
 * running ones, as they are). Nothing of the run changes but r->last (QS_PART_VAL) and a line in the history.
 * limit: images used at most; 0: all, of QS_PART_VAL r->o.val_limit.
 * ESTATE: no images in this part; ECANCEL.
 */
int qs_run_evaluate(qs_run *r, qs_part part, size_t limit, const qs_ctl *ctl, qs_score *out, qs_err *err);

/* A new run that goes on from this one's state (weights, steps, optimizer, position; also from a stopped or diverged
 * one). Other learn or init: NULL keeps; a new init re-initializes the sites on the current weights, a rule that
 * normalizes weights takes the steps over in deviations. First and last layers and those told by name keep what they
 * were told. EARG: a float run has neither; ESTATE: the run made all of its steps. */
qs_run *qs_run_branch(const qs_run *r, const char *learn, const char *init, const qs_ctl *ctl, qs_err *err);

/* Everything needed to go on bit for bit: parameters, sites, optimizer, position, history (.safetensors with JSON). */
int qs_run_save(const qs_run *r, const char *path, qs_err *err);
/* net: the same description; d: the same data (compared by shape, size and hash). EFORMAT, ESTATE with what differs. */
qs_run *qs_run_load(const qs_net *net, qs_dataset *d, const char *path, qs_err *err);

/* The float accuracy of a net as it is (re-estimated statistics, and raw). */
int qs_net_evaluate(const qs_net *net, qs_dataset *d, qs_part part, size_t limit, const qs_ctl *ctl, qs_score *out,
                    qs_err *err);
/* Inputs of every convolution and linear layer of the float net on so many training images, as indexes.
 * names, index: (*n), malloc'd arrays; release names[i] with free, index[i] with qs_index_unref. */
int qs_net_activations(const qs_net *net, qs_dataset *d, size_t images, const qs_ctl *ctl, char ***names,
                       qs_index ***index, size_t *n, qs_err *err);

#endif
