/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Files of labelled images: IDX (MNIST and what imitates it), .npy pairs,
 * CIFAR-10 binary batches, the digits CSV; IDX and CSV gzipped or not. Knows
 * bytes, not which data set they are. The only file that knows zlib.
 *
 * A file is not believed: what its header claims is compared with what a file
 * of that size can hold before memory is asked for, and no more than that is
 * unpacked.
 *
 * To add a kind: one probe, one reader, one row in the table at the end.
 */
#include "train/data_files.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

#include "base/mem.h"
#include "base/text.h"
#include "model/model.h"

enum {
    MIB = 1 << 20,
    MAX_SIDE = 4096,
    MAX_CHANNELS = 4,
    GZIP_RATIO = 1032,          /* deflate's best, by its format: 258 bytes from 2 bits */
    CSV_MAX = 64 * MIB,         /* text says nothing of its size beforehand */
    CIFAR_SIDE = 32, CIFAR_IMAGE = 3 * CIFAR_SIDE * CIFAR_SIDE, CIFAR_RECORD = 1 + CIFAR_IMAGE, CIFAR_BATCHES = 99,
    DIGITS_SIDE = 8, DIGITS_PIXELS = DIGITS_SIDE * DIGITS_SIDE, DIGITS_FULL = 16
};

void qs_images_clear(qs_images *im)
{
    qs_big_free(im->bytes);
    qs_big_free(im->floats);
    qs_big_free(im->labels);
    *im = (qs_images){0};
}

/* ---- a file as a stream of bytes, unpacked where it is gzipped --------------------------- */
typedef struct source {
    const char *path;
    qs_blob *file;
    size_t at;                  /* bytes of the file given out, or given to zlib */
    bool gz, ended;
    z_stream z;
    const qs_ctl *ctl;
} source;

static int open_source(source *s, const char *path, const qs_ctl *ctl, qs_err *err)
{
    *s = (source){.path = path, .ctl = ctl};
    s->file = qs_blob_map(path, err);
    if (!s->file) return -err->code;
    s->gz = s->file->size >= 2 && s->file->data[0] == 0x1f && s->file->data[1] == 0x8b;
    if (s->gz && inflateInit2(&s->z, 16 + MAX_WBITS) != Z_OK) {
        qs_blob_unref(s->file);
        return qs_fail(err, QS_ENOMEM, _("%s: no memory to unpack it"), path);
    }
    return 0;
}

/* rc: of the work with it. Returns it, or EIO where the file lost bytes meanwhile. */
static int close_source(source *s, int rc, qs_err *err)
{
    if (s->gz) inflateEnd(&s->z);
    int lost = qs_blob_check(s->file, err);
    qs_blob_unref(s->file);
    return lost ? lost : rc;
}

/* Bytes that can still come at most: exact where the file is not packed. */
static size_t most_left(const source *s)
{
    size_t left = s->file->size - s->at, most;
    if (!s->gz) return left;
    return qs_mul(left + s->z.avail_in, GZIP_RATIO, &most) ? most : SIZE_MAX;
}

static void feed(source *s)
{
    size_t left = s->file->size - s->at, n = left < MIB ? left : MIB;
    s->z.next_in = (unsigned char *)(uintptr_t)(s->file->data + s->at);
    s->z.avail_in = (uInt)n;
    s->at += n;
}

/* A gzip member is through: the end of the file, or another member (gzip files may be joined). */
static int next_member(source *s, qs_err *err)
{
    if (!s->z.avail_in) feed(s);
    s->ended = !s->z.avail_in;
    if (s->ended) return 0;
    if (s->z.next_in[0] == 0x1f && inflateReset(&s->z) == Z_OK) return 0;
    return qs_fail(err, QS_EFORMAT, _("%s: something follows the gzip data"), s->path);
}

static int inflate_some(source *s, unsigned char *out, size_t want, size_t *got, qs_err *err)
{
    while (*got < want && !s->ended) {
        size_t room = want - *got < MIB ? want - *got : MIB;
        if (!s->z.avail_in) feed(s);
        s->z.next_out = out + *got;
        s->z.avail_out = (uInt)room;
        int r = inflate(&s->z, Z_NO_FLUSH);
        *got += room - s->z.avail_out;
        if (r == Z_BUF_ERROR) return qs_fail(err, QS_EFORMAT, _("%s: the gzip data is cut short"), s->path);
        if (r != Z_OK && r != Z_STREAM_END)
            return qs_fail(err, QS_EFORMAT, _("%s: damaged gzip data: %s"), s->path, s->z.msg ? s->z.msg : zError(r));
        int rc = r == Z_STREAM_END ? next_member(s, err) : 0;
        if (!rc) rc = qs_ctl_check(s->ctl, _("reading images"), (double)s->at / (double)s->file->size, err);
        if (rc) return rc;
    }
    return 0;
}

/* Up to `want` bytes; *got is less only at the end of the file. */
static int read_some(source *s, void *out, size_t want, size_t *got, qs_err *err)
{
    *got = 0;
    if (s->gz) return inflate_some(s, out, want, got, err);
    size_t left = s->file->size - s->at;
    *got = want < left ? want : left;
    memcpy(out, s->file->data + s->at, *got);
    s->at += *got;
    return qs_ctl_check(s->ctl, _("reading images"), 1, err);
}

static int read_all(source *s, void *out, size_t want, qs_err *err)
{
    size_t got;
    int rc = read_some(s, out, want, &got, err);
    if (rc || got == want) return rc;
    return qs_fail(err, QS_EFORMAT, _("%s: cut short: %zu bytes are needed, %zu are there"), s->path, want, got);
}

/* Also lets zlib compare its checksum. */
static int at_end(source *s, qs_err *err)
{
    unsigned char one;
    size_t got;
    int rc = read_some(s, &one, 1, &got, err);
    if (rc || !got) return rc;
    return qs_fail(err, QS_EFORMAT, _("%s: more bytes follow than its header says"), s->path);
}

/* The first unpacked bytes, for probing; fewer where there are no more. */
static int head_of(const char *path, unsigned char *head, size_t n, size_t *got, size_t *size, qs_err *err)
{
    source s;
    int rc = open_source(&s, path, NULL, err);
    if (rc) return rc;
    *size = s.file->size;
    rc = read_some(&s, head, n, got, err);
    return close_source(&s, rc, err);
}

/* ---- memory and shapes --------------------------------------------------------------------- */
static void *room(const char *path, size_t n, size_t size, qs_err *err)
{
    size_t bytes;
    void *p = qs_mul(n, size, &bytes) ? qs_big_alloc(bytes) : NULL;
    if (!p) qs_fail(err, QS_ENOMEM, _("%s: no memory for %zu values"), path, n);
    return p;
}

static size_t image_size(const qs_images *im) { return (size_t)im->h * (size_t)im->w * (size_t)im->c; }

/*
 * (n, h, w), (n, h, w, c) or (n, c, h, w): the short axis is the channels, the last where both are short. *planes:
 * they came first.
 */
static int set_shape(qs_images *im, const char *path, int ndim, const int64_t *shape, bool *planes, qs_err *err)
{
    if (ndim != 3 && ndim != 4)
        return qs_fail(err, QS_EFORMAT, _("%s: images have 3 axes (n, rows, columns) or 4, with channels; it has %d"), path,
                       ndim);
    *planes = ndim == 4 && shape[3] > MAX_CHANNELS && shape[1] <= MAX_CHANNELS;
    int64_t c = ndim == 3 ? 1 : *planes ? shape[1] : shape[3];
    const int64_t *side = *planes ? shape + 2 : shape + 1;
    if (shape[0] < 1) return qs_fail(err, QS_EFORMAT, _("%s: holds no images"), path);
    if (shape[0] > UINT32_MAX) return qs_fail(err, QS_EUNSUP, _("%s: more than 2^32 images"), path);
    if (c < 1 || c > MAX_CHANNELS)
        return qs_fail(err, QS_EUNSUP, _("%s: images of %lld channels; 1 to %d are read"), path, (long long)c, MAX_CHANNELS);
    if (side[0] < 1 || side[1] < 1 || side[0] > MAX_SIDE || side[1] > MAX_SIDE)
        return qs_fail(err, QS_EUNSUP, _("%s: images of %lld x %lld pixels; sides of 1 to %d are read"), path,
                       (long long)side[0], (long long)side[1], MAX_SIDE);
    im->n = (size_t)shape[0];
    im->h = (int)side[0];
    im->w = (int)side[1];
    im->c = (int)c;
    size_t total;
    if (!qs_mul(im->n, image_size(im), &total)) return qs_fail(err, QS_EFORMAT, _("%s: larger than any machine"), path);
    return 0;
}

static void mix_bytes(unsigned char *to, const unsigned char *from, size_t area, size_t c)
{
    for (size_t k = 0; k < c; k++)
        for (size_t p = 0; p < area; p++) to[p * c + k] = from[k * area + p];
}

static void mix_floats(float *to, const float *from, size_t area, size_t c)
{
    for (size_t k = 0; k < c; k++)
        for (size_t p = 0; p < area; p++) to[p * c + k] = from[k * area + p];
}

/* Planes of channels to channels last, image by image in place. */
static int planes_to_pixels(qs_images *im, const char *path, const qs_ctl *ctl, qs_err *err)
{
    size_t size = image_size(im), c = (size_t)im->c, area = size / c, each = im->bytes ? 1 : sizeof *im->floats;
    void *one = room(path, size, each, err);
    int rc = one ? 0 : -QS_ENOMEM;
    for (size_t i = 0; !rc && i < im->n; i++) {
        memcpy(one, im->bytes ? (void *)(im->bytes + i * size) : (void *)(im->floats + i * size), size * each);
        if (im->bytes) mix_bytes(im->bytes + i * size, one, area, c);
        else mix_floats(im->floats + i * size, one, area, c);
        if (i % 256 == 255) rc = qs_ctl_check(ctl, _("reading images"), (double)i / (double)im->n, err);
    }
    qs_big_free(one);
    return rc;
}

/* ---- IDX: 00 00 type axes, the sizes of the axes (32 bits, big end first), values --------------- */
enum { IDX_BYTES = 0x08, IDX_AXES = 4 };

static bool is_idx(const unsigned char *head, size_t n, size_t size, const char *path)
{
    (void)size, (void)path;
    return n >= 4 && !head[0] && !head[1] && head[2] >= 0x08 && head[2] <= 0x0e && head[3] >= 1 && head[3] <= 8;
}

/* The header; total: bytes that must follow, known to be possible in a file of that size. */
static int idx_header(source *s, int *ndim, int64_t *shape, size_t *total, qs_err *err)
{
    unsigned char h[4 + 4 * IDX_AXES];
    int rc = read_all(s, h, 4, err);
    if (rc) return rc;
    if (h[2] != IDX_BYTES)
        return qs_fail(err, QS_EUNSUP, _("%s: IDX values of type 0x%02x; bytes (0x08) are read"), s->path, h[2]);
    if (h[3] > IDX_AXES)
        return qs_fail(err, QS_EFORMAT, _("%s: IDX with %d axes; 1 to %d are read"), s->path, h[3], IDX_AXES);
    *ndim = h[3];
    if ((rc = read_all(s, h + 4, 4 * (size_t)*ndim, err))) return rc;
    *total = 1;
    bool fits = true;
    for (int i = 0; i < *ndim; i++) {
        const unsigned char *p = h + 4 + 4 * i;
        shape[i] = (int64_t)((uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]);
        fits = fits && qs_mul(*total, (size_t)shape[i], total);
    }
    if (!fits) return qs_fail(err, QS_EFORMAT, _("%s: its header claims more bytes than any machine has"), s->path);
    size_t most = most_left(s);
    if (*total > most && s->gz)
        return qs_fail(err, QS_EFORMAT, _("%s: its header claims %zu bytes, which a gzip file of %zu cannot hold"), s->path,
                       *total, s->file->size);
    if (*total > most)
        return qs_fail(err, QS_EFORMAT, _("%s: cut short: its header claims %zu bytes, %zu follow"), s->path, *total, most);
    return 0;
}

static int idx_body(source *s, unsigned char **bytes, size_t total, qs_err *err)
{
    *bytes = room(s->path, total ? total : 1, 1, err);
    if (!*bytes) return -QS_ENOMEM;
    int rc = read_all(s, *bytes, total, err);
    return rc ? rc : at_end(s, err);
}

static int read_idx(qs_images *im, const char *path, const qs_ctl *ctl, qs_err *err)
{
    source s;
    int ndim;
    int64_t shape[IDX_AXES];
    size_t total;
    bool planes;
    int rc = open_source(&s, path, ctl, err);
    if (rc) return rc;
    rc = idx_header(&s, &ndim, shape, &total, err);
    if (!rc) rc = set_shape(im, path, ndim, shape, &planes, err);
    if (!rc) rc = idx_body(&s, &im->bytes, total, err);
    if (!rc && planes) rc = planes_to_pixels(im, path, ctl, err);
    im->full = 255;
    return close_source(&s, rc, err);
}

static int idx_labels(int32_t **labels, size_t *n, const char *path, qs_err *err)
{
    source s;
    int ndim;
    int64_t shape[IDX_AXES];
    unsigned char *bytes = NULL;
    int rc = open_source(&s, path, NULL, err);
    if (rc) return rc;
    rc = idx_header(&s, &ndim, shape, n, err);
    if (!rc && ndim != 1) rc = qs_fail(err, QS_EFORMAT, _("%s: labels have one axis, it has %d"), path, ndim);
    if (!rc) rc = idx_body(&s, &bytes, *n, err);
    if (!rc && !(*labels = room(path, *n ? *n : 1, sizeof **labels, err))) rc = -QS_ENOMEM;
    for (size_t i = 0; !rc && i < *n; i++) (*labels)[i] = bytes[i];
    qs_big_free(bytes);
    return close_source(&s, rc, err);
}

/* ---- .npy, by the reader of models ---------------------------------------------------------------- */
static bool is_npy(const unsigned char *head, size_t n, size_t size, const char *path)
{
    (void)size, (void)path;
    return n >= 6 && !memcmp(head, "\x93NUMPY", 6);
}

static int npy_bytes(qs_images *im, const qs_tensor *t, const qs_ctl *ctl, qs_err *err)
{
    float run[4096];
    for (size_t i = 0, n; i < t->n; i += n) {
        n = t->n - i < 4096 ? t->n - i : 4096;
        qs_tensor_read(t, i, n, run);
        for (size_t k = 0; k < n; k++) im->bytes[i + k] = (unsigned char)run[k];
        if (i % MIB == 0 && qs_ctl_check(ctl, _("reading images"), (double)i / (double)t->n, err)) return -QS_ECANCEL;
    }
    return 0;
}

static int npy_floats(qs_images *im, const qs_tensor *t, const char *path, const qs_ctl *ctl, qs_err *err)
{
    for (size_t i = 0, n; i < t->n; i += n) {
        n = t->n - i < MIB ? t->n - i : MIB;
        qs_tensor_read(t, i, n, im->floats + i);
        for (size_t k = i; k < i + n; k++)
            if (!isfinite(im->floats[k]))
                return qs_fail(err, QS_EFORMAT, _("%s: image %zu has a value that is no finite number"), path,
                               k / image_size(im));
        if (qs_ctl_check(ctl, _("reading images"), (double)i / (double)t->n, err)) return -QS_ECANCEL;
    }
    return 0;
}

static int npy_images(qs_images *im, const qs_tensor *t, const char *path, const qs_ctl *ctl, qs_err *err)
{
    bool planes, bytes = t->dtype == QS_U8;
    int rc = set_shape(im, path, t->ndim, t->shape, &planes, err);
    if (rc) return rc;
    im->full = bytes ? 255 : 1;
    void *p = room(path, t->n, bytes ? 1 : sizeof *im->floats, err);
    if (!p) return -QS_ENOMEM;
    if (bytes) im->bytes = p;
    else im->floats = p;
    if (bytes && !t->strided) memcpy(p, t->data, t->n);
    else rc = bytes ? npy_bytes(im, t, ctl, err) : npy_floats(im, t, path, ctl, err);
    return !rc && planes ? planes_to_pixels(im, path, ctl, err) : rc;
}

static int read_npy(qs_images *im, const char *path, const qs_ctl *ctl, qs_err *err)
{
    qs_model *m = qs_model_open(path, err);
    if (!m) return -err->code;
    int rc = npy_images(im, m->tensors[0], path, ctl, err);
    if (!rc) rc = qs_model_check(m, err);
    qs_model_unref(m);
    return rc;
}

static int take_labels(int32_t *labels, const qs_tensor *t, const char *path, qs_err *err)
{
    for (size_t i = 0; i < t->n; i++) {
        double v = qs_tensor_at(t, i);
        if (!(v >= 0 && v < QS_LABELS && v == floor(v)))
            return qs_fail(err, QS_EFORMAT, _("%s: label %zu is %g; whole numbers from 0 to %d are read"), path, i, v,
                           QS_LABELS - 1);
        labels[i] = (int32_t)v;
    }
    return 0;
}

static int npy_labels(int32_t **labels, size_t *n, const char *path, qs_err *err)
{
    qs_model *m = qs_model_open(path, err);
    if (!m) return -err->code;
    const qs_tensor *t = m->tensors[0];
    int rc = 0;
    *n = t->n;
    if (t->ndim != 1 && !(t->ndim == 2 && t->shape[1] == 1))
        rc = qs_fail(err, QS_EFORMAT, _("%s: labels have one axis, it has %d"), path, t->ndim);
    if (!rc && !(*labels = room(path, *n ? *n : 1, sizeof **labels, err))) rc = -QS_ENOMEM;
    if (!rc) rc = take_labels(*labels, t, path, err);
    if (!rc) rc = qs_model_check(m, err);
    qs_model_unref(m);
    return rc;
}

/* ---- CIFAR-10 binary: records of a label and 3 planes of 32x32 bytes ---------------------------------- */
static bool ends_in(const char *path, const char *end)
{
    size_t n = strlen(path), k = strlen(end);
    return n >= k && !strcmp(path + n - k, end);
}

/* The records have no mark of their own: the name decides, unless the content is plainly something else. */
static bool is_cifar(const unsigned char *head, size_t n, size_t size, const char *path)
{
    if (!ends_in(path, ".bin") || is_npy(head, n, size, path)) return false;
    return size % CIFAR_RECORD == 0 || !is_idx(head, n, size, path);
}

static int cifar_records(const qs_blob *b, size_t *n, qs_err *err)
{
    if (b->size % CIFAR_RECORD)
        return qs_fail(err, QS_EFORMAT, _("%s: CIFAR-10 records have %d bytes; %zu bytes are no whole number of them"),
                       b->path, CIFAR_RECORD, b->size);
    *n += b->size / CIFAR_RECORD;
    return 0;
}

static int cifar_copy(qs_images *im, size_t at, const qs_blob *b, const qs_ctl *ctl, qs_err *err)
{
    for (size_t i = 0; i < b->size / CIFAR_RECORD; i++) {
        const unsigned char *r = b->data + i * CIFAR_RECORD;
        if (*r > 9) return qs_fail(err, QS_EFORMAT, _("%s: image %zu has label %d; CIFAR-10 has 0 to 9"), b->path, i, *r);
        im->labels[at + i] = *r;
        mix_bytes(im->bytes + (at + i) * CIFAR_IMAGE, r + 1, CIFAR_IMAGE / 3, 3);
        if (i % 256 == 255 && qs_ctl_check(ctl, _("reading images"), -1, err)) return -QS_ECANCEL;
    }
    return qs_blob_check(b, err);
}

/* All files as one run of images. */
static int cifar_join(qs_images *im, qs_blob *const *files, size_t nfile, const qs_ctl *ctl, qs_err *err)
{
    int rc = 0;
    *im = (qs_images){.h = CIFAR_SIDE, .w = CIFAR_SIDE, .c = 3, .full = 255};
    for (size_t i = 0; !rc && i < nfile; i++) rc = cifar_records(files[i], &im->n, err);
    if (rc) return rc;
    if (im->n > UINT32_MAX) return qs_fail(err, QS_EUNSUP, _("%s: more than 2^32 images"), files[0]->path);
    im->bytes = room(files[0]->path, im->n, CIFAR_IMAGE, err);
    im->labels = room(files[0]->path, im->n, sizeof *im->labels, err);
    if (!im->bytes || !im->labels) return -QS_ENOMEM;
    for (size_t i = 0, at = 0; !rc && i < nfile; at += files[i++]->size / CIFAR_RECORD)
        rc = cifar_copy(im, at, files[i], ctl, err);
    return rc;
}

static int read_cifar(qs_images *im, const char *path, const qs_ctl *ctl, qs_err *err)
{
    qs_blob *b = qs_blob_map(path, err);
    if (!b) return -err->code;
    int rc = cifar_join(im, &b, 1, ctl, err);
    qs_blob_unref(b);
    return rc;
}

/* dir/name, mapped; NULL without an error where there is no such file. */
static qs_blob *map_in(const char *dir, const char *name, int number, int *rc, qs_err *err)
{
    struct stat st;
    char *path = number ? qs_xasprintf("%s/%s_%d.bin", dir, name, number) : qs_xasprintf("%s/%s.bin", dir, name);
    qs_blob *b = NULL;
    if (!stat(path, &st) || errno != ENOENT) {
        b = qs_blob_map(path, err);
        if (!b) *rc = -err->code;
    }
    free(path);
    return b;
}

/* data_batch_1.bin and on, and test_batch.bin where it is there. */
static int read_cifar_folder(qs_images *im, qs_images *test, const char *dir, const qs_ctl *ctl, qs_err *err)
{
    qs_blob *files[CIFAR_BATCHES], *last = NULL;
    size_t n = 0;
    int rc = 0;
    while (n < CIFAR_BATCHES && (files[n] = map_in(dir, "data_batch", (int)n + 1, &rc, err))) n++;
    if (!rc && !n) rc = qs_fail(err, QS_EIO, _("%s: a folder without a data_batch_1.bin of CIFAR-10"), dir);
    if (!rc) rc = cifar_join(im, files, n, ctl, err);
    if (!rc) last = map_in(dir, "test_batch", 0, &rc, err);
    if (last) rc = cifar_join(test, &last, 1, ctl, err);
    for (size_t i = 0; i < n; i++) qs_blob_unref(files[i]);
    qs_blob_unref(last);
    return rc;
}

/* ---- digits: lines of 64 pixels from 0 to 16 and a label ------------------------------------------------ */
static bool is_csv(const unsigned char *head, size_t n, size_t size, const char *path)
{
    (void)size, (void)path;
    bool comma = false;
    for (size_t i = 0; i < n; i++) {
        if (!memchr("0123456789,. \r\n", head[i], 15)) return false;
        comma = comma || head[i] == ',';
    }
    return comma;
}

/* One number of a row; *p moves past it and what ends it. `end`: ',' or '\n'. */
static bool csv_number(const char **p, const char *stop, char end, int *value)
{
    const char *s = *p;
    int v = 0, digits = 0;
    while (s < stop && *s == ' ') s++;
    for (; s < stop && *s >= '0' && *s <= '9' && digits < 4; s++, digits++) v = 10 * v + (*s - '0');
    if (s < stop && *s == '.')                             /* "5.000" is 5 */
        while (++s < stop && *s == '0') continue;
    while (s < stop && *s == ' ') s++;
    if (end == '\n' && s < stop && *s == '\r') s++;
    bool good = digits && (s < stop ? *s == end : end == '\n');
    *p = s < stop ? s + 1 : s;
    *value = v;
    return good;
}

static int csv_row(qs_images *im, const char *path, const char **p, const char *stop, qs_err *err)
{
    unsigned char *pixels = im->bytes + im->n * DIGITS_PIXELS;
    for (int i = 0, v; i < DIGITS_PIXELS; i++) {
        if (!csv_number(p, stop, ',', &v))
            return qs_fail(err, QS_EFORMAT, _("%s: line %zu: %d numbers with commas between are expected"), path, im->n + 1,
                           DIGITS_PIXELS + 1);
        if (v > DIGITS_FULL)
            return qs_fail(err, QS_EFORMAT, _("%s: line %zu: pixel %d is %d; 0 to %d are read"), path, im->n + 1, i + 1, v,
                           DIGITS_FULL);
        pixels[i] = (unsigned char)v;
    }
    int label;
    if (!csv_number(p, stop, '\n', &label))
        return qs_fail(err, QS_EFORMAT, _("%s: line %zu: %d numbers with commas between are expected"), path, im->n + 1,
                       DIGITS_PIXELS + 1);
    if (label > 9) return qs_fail(err, QS_EFORMAT, _("%s: line %zu: label %d; 0 to 9 are read"), path, im->n + 1, label);
    im->labels[im->n++] = label;
    return 0;
}

static int csv_rows(qs_images *im, const char *path, const char *text, size_t n, const qs_ctl *ctl, qs_err *err)
{
    size_t most = n / (2 * DIGITS_PIXELS + 1) + 1;         /* a number and a comma each */
    int rc = 0;
    *im = (qs_images){.h = DIGITS_SIDE, .w = DIGITS_SIDE, .c = 1, .full = DIGITS_FULL};
    im->bytes = room(path, most, DIGITS_PIXELS, err);
    im->labels = room(path, most, sizeof *im->labels, err);
    if (!im->bytes || !im->labels) return -QS_ENOMEM;
    for (const char *p = text; !rc && p < text + n;) {
        rc = csv_row(im, path, &p, text + n, err);
        if (!rc && im->n % 4096 == 0) rc = qs_ctl_check(ctl, _("reading images"), (double)(p - text) / (double)n, err);
    }
    return rc || im->n ? rc : qs_fail(err, QS_EFORMAT, _("%s: holds no images"), path);
}

/* All text of a source, at most CSV_MAX. */
static int whole_text(source *s, char **text, size_t *n, qs_err *err)
{
    size_t cap = most_left(s);
    if (cap > CSV_MAX) cap = CSV_MAX;
    *text = room(s->path, cap + 1, 1, err);
    if (!*text) return -QS_ENOMEM;
    int rc = read_some(s, *text, cap + 1, n, err);
    if (rc || *n <= cap) return rc;
    return qs_fail(err, QS_EFORMAT, _("%s: more than %d MB of text is taken for damage"), s->path, CSV_MAX / MIB);
}

static int read_csv(qs_images *im, const char *path, const qs_ctl *ctl, qs_err *err)
{
    source s;
    char *text = NULL;
    size_t n = 0;
    int rc = open_source(&s, path, ctl, err);
    if (rc) return rc;
    rc = whole_text(&s, &text, &n, err);
    if (!rc) rc = csv_rows(im, path, text, n, ctl, err);
    qs_big_free(text);
    return close_source(&s, rc, err);
}

/* ---- the table ---------------------------------------------------------------------------------------------- */
typedef struct kind {
    /* head: the first n <= 64 unpacked bytes; size: of the file as it lies there. */
    bool (*probe)(const unsigned char *head, size_t n, size_t size, const char *path);
    int (*images)(qs_images *im, const char *path, const qs_ctl *ctl, qs_err *err);
    int (*labels)(int32_t **labels, size_t *n, const char *path, qs_err *err);   /* NULL: they are with the images */
} kind;

static const kind kinds[] = {
    {is_npy, read_npy, npy_labels},
    {is_cifar, read_cifar, NULL},
    {is_idx, read_idx, idx_labels},
    {is_csv, read_csv, NULL},
};

static const kind *kind_of(const char *path, int *rc, qs_err *err)
{
    unsigned char head[64] = {0};
    size_t n = 0, size = 0;
    *rc = head_of(path, head, sizeof head, &n, &size, err);
    if (*rc) return NULL;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (kinds[i].probe(head, n, size, path)) return &kinds[i];
    *rc = qs_fail(err, QS_EFORMAT,
                  _("%s: no data begins with the bytes %02x %02x %02x %02x; IDX, .npy, CIFAR-10 batches (.bin) and the "
                    "digits CSV are read"), path, head[0], head[1], head[2], head[3]);
    return NULL;
}

static int read_labels(qs_images *im, const char *images, const char *path, qs_err *err)
{
    int rc;
    size_t n = 0;
    const kind *k = kind_of(path, &rc, err);
    if (!k) return rc;
    if (!k->labels) return qs_fail(err, QS_EFORMAT, _("%s: not a file of labels; IDX and .npy are read"), path);
    if ((rc = k->labels(&im->labels, &n, path, err))) return rc;
    if (n != im->n) return qs_fail(err, QS_EFORMAT, _("%s: %zu labels for the %zu images of %s"), path, n, im->n, images);
    return 0;
}

static int labels_inside(const char *images, qs_err *err)
{
    return qs_fail(err, QS_EARG, _("%s: its labels are inside, no labels file belongs to it"), images);
}

static int read_file(qs_images *im, const char *images, const char *labels, const qs_ctl *ctl, qs_err *err)
{
    int rc;
    const kind *k = kind_of(images, &rc, err);
    if (!k) return rc;
    if (k->labels && !labels) return qs_fail(err, QS_EARG, _("%s: the file of its labels must be named"), images);
    if (!k->labels && labels) return labels_inside(images, err);
    rc = k->images(im, images, ctl, err);
    return !rc && labels ? read_labels(im, images, labels, err) : rc;
}

int qs_images_read(const char *images, const char *labels, qs_images *out, qs_images *test, const qs_ctl *ctl, qs_err *err)
{
    struct stat st;
    qs_err own = {0}, *e = err ? err : &own;       /* a constructor's error is read back here */
    *out = (qs_images){0};
    if (test) *test = (qs_images){0};
    bool folder = test && !stat(images, &st) && S_ISDIR(st.st_mode);
    int rc = folder && labels ? labels_inside(images, e)
             : folder         ? read_cifar_folder(out, test, images, ctl, e)
                              : read_file(out, images, labels, ctl, e);
    if (!rc) return 0;
    qs_images_clear(out);
    if (test) qs_images_clear(test);
    return rc;
}
