/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_TRAIN_DATA_FILES_H
#define QS_TRAIN_DATA_FILES_H
/*
 * Between dataset.c and the readers of data_files.c: labelled images as they
 * came, channels last, with labels.
 */
#include "base/err.h"
#include "base/sync.h"

typedef struct qs_images {
    size_t n;                 /* images, 1 .. 2^32-1 */
    int h, w, c;              /* each side 1..4096, 1..4 channels */
    float full;               /* the raw value that counts as 1: 255, of digits 16, of floats 1 */
    unsigned char *bytes;     /* (n, h, w, c), or NULL; qs_big_alloc */
    float *floats;            /* (n, h, w, c) where bytes is NULL; finite */
    int32_t *labels;          /* (n) 0 .. QS_LABELS-1 */
} qs_images;

enum { QS_LABELS = 10000 };   /* more classes than this is taken for damage */

/*
 * images  a file of any kind we read, found by content; or a folder of CIFAR-10 binary batches.
 * labels  the file of labels; NULL where they are in the images' file.
 * test    filled where the source has test images of its own (a CIFAR-10 folder), else all 0. NULL: such a source
 *         is an error.
 *
 * Returns 0; EIO, EFORMAT, EUNSUP, ENOMEM, EARG (labels missing, or not wanted): messages name the file. Nothing is
 *         to be cleared then.
 * Cost    one pass; memory never beyond what the file's own size can hold. ctl is asked every MiB.
 */
int qs_images_read(const char *images, const char *labels, qs_images *out, qs_images *test, const qs_ctl *ctl, qs_err *err);
void qs_images_clear(qs_images *im);

#endif
