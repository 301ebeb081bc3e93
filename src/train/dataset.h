/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_TRAIN_DATASET_H
#define QS_TRAIN_DATASET_H
/*
 * Labelled images: training, validation and test, kept apart. Immutable once
 * made, reference counted, read from any thread. Images are kept as they come
 * (bytes or floats) and normalized when a batch is made: (x - mean[c]) / std[c]
 * (bytes to a rounding or two).
 *
 * To add a data set by name: one row in the table of dataset.c. To add a file
 * kind: one reader in data_files.c.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/sync.h"
#include "quant/format.h"    /* qs_doc */

typedef enum qs_part { QS_PART_TRAIN, QS_PART_VAL, QS_PART_TEST } qs_part;

typedef struct qs_dataset {
    atomic_int refs;
    char name[64];            /* "fashion-mnist" */
    char note[256];           /* what every output says: "fashion-mnist, 60,000 + 10,000 images (from FILE)", or
                                 "fashion-mnist slice, 2,000 + 1,000 images: demonstration only, the test accuracy has an
                                 error of about 1 point" */
    bool slice;               /* the bundled slice: demonstration only */
    int h, w, c;              /* rows, columns, channels of an image */
    int classes;              /* labels are 0 .. classes-1 */
    size_t n[3];              /* images of each qs_part */
    float mean[4], std[4];    /* (c) of the training images; of pixel values scaled to 0..1 where they are bytes */
    uint64_t hash;            /* of all images and labels (FNV-1a), for records */
    struct qs_data *own;      /* private: the images */
} qs_dataset;

typedef struct qs_dataset_opts {
    bool slice;               /* the bundled slice even where the whole set is there */
    long val;                 /* images taken off the END of the training set as validation; < 0: a tenth of it */
    /* own files: IDX (gzipped or not), .npy, CIFAR-10 binary batches (labels inside), digits CSV (labels inside) */
    const char *images, *labels;            /* NULL: by name */
    const char *test_images, *test_labels;  /* NULL: the last sixth of the images is the test set */
    const char *dir;          /* where to look for a named set first; NULL: the places it is known to be */
    const char *bundled;      /* directory of the bundled slice; NULL: none (qs_dataset_bundled is used if set) */
} qs_dataset_opts;

/* Names and one line each: fashion-mnist, mnist, cifar10, digits. NULL name ends. */
extern const qs_doc qs_dataset_docs[];
/* Where the bundled slice lies, set once by whoever knows (app, bind); copied. Thread: before any other call. */
void qs_dataset_bundled(const char *dir);

/*
 * By name (o->images NULL) or from files. fashion-mnist: the Debian package where present, else the slice.
 * EARG: no such name (lists them), val not in 0..n. EIO: missing; the message names the package or file to get and
 * where it was looked for. EFORMAT: damaged, counts of images and labels differ, labels out of range.
 * Cost: reading and unpacking, about 0.3 s for 60,000 images; ctl asked throughout.
 */
qs_dataset *qs_dataset_open(const char *name, const qs_dataset_opts *o, const qs_ctl *ctl, qs_err *err);
/* Of floats in memory, for tests: images (n, h, w, c), labels (n); the last `val` are validation, then `test`. */
qs_dataset *qs_dataset_memory(const char *name, int h, int w, int c, int classes, const float *images,
                              const int32_t *labels, size_t n, size_t val, size_t test, qs_err *err);
qs_dataset *qs_dataset_ref(qs_dataset *d);
void qs_dataset_unref(qs_dataset *d);

typedef struct qs_augment {
    int pad;                  /* random crop out of the image padded with so many zeros (raw value 0) a side; 0: none */
    bool flip;                /* half the images mirrored left to right */
    uint64_t seed;            /* image i of step t is augmented by (seed, t, i) alone */
    uint64_t step;
} qs_augment;

/* Images which[0..n-1] of a part: x (n, h, w, c) normalized, channels last; y (n). aug NULL: as they are.
 * Thread: any; uses the pool. No allocation. which[i] < n[part]. */
void qs_dataset_batch(const qs_dataset *d, qs_part part, const uint32_t *which, size_t n, const qs_augment *aug,
                      float *x, int32_t *y);

/*
 * The order of training images: position k of an endless run of shuffled epochs (Fisher-Yates with its own generator a
 * seed and epoch); a batch never crosses an epoch's end: what is left over (less than a batch) is dropped.
 */
typedef struct qs_order {
    uint32_t *perm;           /* (n) of the current epoch */
    size_t n, batch;
    uint64_t seed, epoch;     /* epoch the permutation is of */
} qs_order;
int qs_order_init(qs_order *o, size_t n, size_t batch, uint64_t seed, qs_err *err);   /* EARG: batch > n, batch 0 */
/* The image numbers of step t (0, 1, ...), (batch). Borrowed until the next call. */
const uint32_t *qs_order_batch(qs_order *o, uint64_t step);
void qs_order_clear(qs_order *o);

#endif
