/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Saving: what is written reads back as it was, byte for byte; files are replaced whole or not at all. */
#include <dirent.h>
#include <sys/stat.h>

#include "files.h"
#include "../tap.h"

static char *dir;

static bool equal(const qs_tensor *a, const qs_tensor *b)
{
    bool good = a && b && a->dtype == b->dtype && a->ndim == b->ndim && a->n == b->n;
    for (int i = 0; good && i < a->ndim; i++) good = a->shape[i] == b->shape[i];
    for (size_t i = 0; good && i < a->n; i++) {
        double x = qs_tensor_at(a, i), y = qs_tensor_at(b, i);
        good = x == y || (isnan(x) && isnan(y));
    }
    return good;
}

static qs_tensor *filled(const char *name, qs_dtype d, int ndim, const int64_t *shape, size_t n)
{
    size_t bytes = n * qs_dtype_size(d);
    qs_blob *b = qs_blob_new(bytes, NULL);
    unsigned char *p = qs_blob_mem(b);
    for (size_t i = 0; i < bytes; i++) p[i] = (unsigned char)(i * 73 + 5) & (d == QS_BOOL ? 1 : 0x7b);
    qs_tensor *t = qs_tensor_new(name, d, ndim, shape, b, b->data, NULL);
    qs_blob_unref(b);
    return t;
}

static size_t files_in_dir(void)
{
    size_t n = 0;
    DIR *d = opendir(dir);
    while (d && readdir(d)) n++;
    if (d) closedir(d);
    return n - 2;
}

/* Every type, odd counts, a scalar, an empty one; some swapped or in Fortran order. */
static void round_trip(void)
{
    qs_err e = {0};
    qs_tensor *t[QS_PACKED + 2];
    const int64_t shape[] = {3, 5}, none[] = {0, 4};
    char *path = in_dir(dir, "all.safetensors"), name[16];
    for (int d = 1; d < QS_PACKED; d++) {
        snprintf(name, sizeof name, "t%02d", d);
        t[d - 1] = filled(name, (qs_dtype)d, 2, shape, 15);
        t[d - 1]->swapped = d % 2;
        if (d % 3 == 0) qs_tensor_fortran(t[d - 1]);
    }
    t[QS_PACKED - 1] = filled("scalar \"quoted\" \xc3\xa4", QS_F32, 0, NULL, 1);
    t[QS_PACKED] = filled("empty", QS_F32, 2, none, 0);
    size_t n = QS_PACKED + 1;
    ok(!qs_model_save(path, t, n, &e), "saved: %s", e.msg);
    qs_model *m = qs_model_open(path, &e);
    bool good = m && m->n == n;
    for (size_t i = 0; good && i < n; i++) good = equal(t[i], qs_model_find(m, t[i]->name));
    ok(good, "every type comes back equal: %s", e.msg);
    bool aligned = true;
    for (size_t i = 0; m && i < m->n; i++)
        aligned &= !m->tensors[i]->n || (uintptr_t)m->tensors[i]->data % qs_dtype_size(m->tensors[i]->dtype) == 0;
    ok(aligned, "and is aligned in the file");
    ok(m && !qs_model_save(path, m->tensors, m->n, &e), "a model is saved over the file it is mapped from");
    for (size_t i = 0; good && i < n; i++) good = equal(t[i], qs_model_find(m, t[i]->name));
    ok(good, "and stays readable");
    qs_model_unref(m);
    m = qs_model_open(path, &e);
    ok(m && m->n == n, "as does the new file");
    qs_model_unref(m);
    for (size_t i = 0; i < n; i++) qs_tensor_unref(t[i]);
    unlink(path);
    free(path);
}

static void npy(void)
{
    qs_err e = {0};
    const int64_t shape[] = {3, 5};
    char *path = in_dir(dir, "one.npy");
    bool good = true, refused = true;
    for (int d = 1; d < QS_PACKED; d++) {
        bool has = d != QS_BF16 && d != QS_F8_E4M3 && d != QS_F8_E5M2;
        for (int ndim = 0; ndim < 3; ndim++) {
            const int64_t one[] = {15};
            qs_tensor *t = filled("w", (qs_dtype)d, ndim, ndim == 1 ? one : shape, ndim ? 15 : 1);
            if (ndim == 2) qs_tensor_fortran(t);
            int rc = qs_model_save(path, &t, 1, &e);
            qs_model *m = rc ? NULL : qs_model_open(path, &e);
            if (has) good &= m && equal(m->tensors[0], t);
            else refused &= rc == -QS_EARG;
            qs_model_unref(m);
            qs_tensor_unref(t);
            unlink(path);
        }
    }
    ok(good, "every type NumPy has comes back from .npy: %s", e.msg);
    ok(refused, "the others are refused");
    free(path);
}

static void errors(void)
{
    qs_err e = {0};
    const int64_t shape[] = {2};
    char *path = in_dir(dir, "x.safetensors"), *npy_path = in_dir(dir, "x.npy"), *deep = in_dir(dir, "none/x.npy");
    qs_tensor *t[2] = {filled("w", QS_F32, 1, shape, 2), filled("w", QS_F32, 1, shape, 2)};
    ok(qs_model_save("x.bin", t, 1, &e) == -QS_EARG && strstr(e.msg, "x.bin"), "an unknown ending: %s", e.msg);
    ok(qs_model_save(npy_path, t, 2, &e) == -QS_EARG, "the same name twice: %s", e.msg);
    t[1]->name[0] = 'v';
    ok(qs_model_save(npy_path, t, 2, &e) == -QS_EARG && strstr(e.msg, "one tensor"), "two in .npy: %s", e.msg);
    ok(qs_model_save(deep, t, 1, &e) == -QS_EIO && strstr(e.msg, "none/x.npy"), "no such folder: %s", e.msg);
    t[1]->name[0] = '\xff';
    ok(qs_model_save(path, t, 2, &e) == -QS_EARG, "a name that is not UTF-8: %s", e.msg);
    t[1]->name[0] = 'u';
    t[1]->dtype = QS_UNKNOWN_DTYPE;
    ok(qs_model_save(path, t, 2, &e) == -QS_EARG, "an unknown type: %s", e.msg);
    ok(files_in_dir() == 0, "no attempt leaves a file behind");
    ok(!qs_model_save(path, NULL, 0, &e), "no tensors are a model too: %s", e.msg);
    qs_model *m = qs_model_open(path, &e);
    ok(m && m->n == 0, "and read back");
    qs_model_unref(m);
    struct stat st;
    mode_t mask = umask(0);
    umask(mask);
    ok(!stat(path, &st) && (st.st_mode & 0777) == (0666 & ~mask), "with the permissions of any new file");
    unlink(path);
    qs_tensor_unref(t[0]);
    qs_tensor_unref(t[1]);
    free(path);
    free(npy_path);
    free(deep);
}

/* Put in another order than the file's; what is left out or fails leaves no file. */
struct flow { int fail, skip; };

static int put_all(qs_stream *s, void *ctx, qs_err *err)
{
    const struct flow *w = ctx;
    const float f[] = {1, 2, 3};
    const int8_t i[] = {-1, 0, 1, 2, 3};
    int rc = qs_stream_put(s, 1, i, err);
    if (!rc && !w->skip) rc = qs_stream_put(s, 2, &(double){0.5}, err);
    if (!rc && w->fail) return qs_fail(err, QS_ECANCEL, "enough");
    return rc ? rc : qs_stream_put(s, 0, f, err);
}

static void streams(void)
{
    qs_err e = {0};
    const qs_item item[] = {{"f", QS_F32, 1, {3}}, {"i", QS_I8, 2, {5, 1}}, {"d", QS_F64, 0, {0}}};
    const char *const meta[] = {"made by", "a test", NULL};
    char *path = in_dir(dir, "stream.safetensors");
    ok(!qs_model_stream(path, item, 3, meta, put_all, &(struct flow){0, 0}, &e), "streamed: %s", e.msg);
    qs_model *m = qs_model_open(path, &e);
    ok(m && m->n == 3 && qs_tensor_at(qs_model_find(m, "f"), 2) == 3 && qs_tensor_at(qs_model_find(m, "i"), 4) == 3
       && qs_tensor_at(qs_model_find(m, "d"), 0) == 0.5, "in any order: %s", e.msg);
    qs_model_unref(m);
    unlink(path);
    ok(qs_model_stream(path, item, 3, NULL, put_all, &(struct flow){1, 0}, &e) == -QS_ECANCEL, "stopped");
    ok(qs_model_stream(path, item, 3, NULL, put_all, &(struct flow){0, 1}, &e) == -QS_ESTATE && strstr(e.msg, "tensor d"),
       "one was left out: %s", e.msg);
    const qs_item twice[] = {{"f", QS_F32, 0, {0}}, {"f", QS_I8, 0, {0}}};
    ok(qs_model_stream(path, twice, 2, NULL, put_all, NULL, &e) == -QS_EARG, "two of one name: %s", e.msg);
    free(path);
    path = in_dir(dir, "stream.npy");
    ok(qs_model_stream(path, item, 3, NULL, put_all, NULL, &e) == -QS_EARG, "another ending: %s", e.msg);
    free(path);
}

int main(void)
{
    dir = tmp_dir();
    round_trip();
    npy();
    errors();
    streams();
    ok(!rmdir(dir), "the folder is empty again");
    free(dir);
    return done();
}
