/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Zip files and NumPy's .npz: what NumPy wrote is read, what is wrong in one way is a named error. */
#include "files.h"
#include "model/zip.h"
#include "zips.h"
#include "../tap.h"

static char *dir, *path;

static void written_by_numpy(const char *name)
{
    qs_err e = {0};
    char *file = in_source(name);
    qs_model *m = qs_model_open(file, &e);
    ok(m && m->n == 3 && !strcmp(m->format, "npz"), "%s %s", name, e.msg);
    const qs_tensor *t = m ? qs_model_find(m, "weight") : NULL;
    bool good = t && t->ndim == 2 && t->shape[1] == 3;
    for (size_t i = 0; good && i < 6; i++) good = qs_tensor_at(t, i) == (double)i;
    ok(good, "its values");
    t = m ? qs_model_find(m, "fortran") : NULL;
    ok(t && t->strided && qs_tensor_at(t, 0) == 1 && qs_tensor_at(t, 1) == 0, "Fortran order");
    t = m ? qs_model_find(m, "names") : NULL;
    ok(t && !t->dtype && !strcmp(t->dtype_text, "<U1"), "text is listed, and not read");
    qs_model_unref(m);
    free(file);
}

/* A .npy file of one float32. */
#define NPY "\x93NUMPY\1\0\x3b\0{'descr': '<f4', 'fortran_order': False, 'shape': (1,)}   \n\0\0\x80\x3f"
#define NPY_N (sizeof NPY - 1)

#define FIRST ENTRY("a.npy", NPY, NPY_N)

static qs_model *open_zip(const zip_entry *e, size_t n, qs_err *err)
{
    qs_str s = {0};
    zip_make(&s, e, n);
    qs_model *m = open_bytes(path, s.s, s.n, err);
    free(s.s);
    return m;
}

static void good(void)
{
    qs_err e;
    qs_model *m = open_zip((zip_entry[]){ENTRY("a.npy", NPY, NPY_N, .wide = true), ENTRY("b.txt", "x", 1), ENTRY("c.npy", NPY, NPY_N)}, 3, &e);
    ok(m && m->n == 2 && qs_tensor_at(m->tensors[1], 0) == 1 && !strcmp(m->tensors[1]->name, "c"), "zip64 sizes; what is no .npy is passed over %s", e.msg);
    ok(m && m->tensors[0]->blob == m->tensors[1]->blob, "stored arrays borrow the file");
    qs_model_unref(m);
}

static void wrong(void)
{
    static char noise[400000];
    const struct { const char *what, *message; int code; zip_entry e[2]; } bad[] = {
        {"named alike", "stands twice", QS_EFORMAT, {FIRST, FIRST}},
        {"the same bytes twice", "shares bytes", QS_EFORMAT, {FIRST, ENTRY("a.npy", NPY, NPY_N, .at = 1)}},
        {"another name there", "another name", QS_EFORMAT, {FIRST, ENTRY("b.npy", NPY, NPY_N, .at = 1)}},
        {"beyond the file", "not where", QS_EFORMAT, {FIRST, ENTRY("b.npy", NPY, NPY_N, .at = 100000)}},
        {"encrypted", "encrypted", QS_EUNSUP, {FIRST, ENTRY("b.npy", NPY, NPY_N, .flags = 1)}},
        {"another packing", "method 12", QS_EUNSUP, {FIRST, ENTRY("b.npy", NPY, NPY_N, .method = 12)}},
        {"stored in two sizes", "two sizes", QS_EFORMAT, {FIRST, ENTRY("b.npy", NPY, NPY_N, .size = 7)}},
        {"more than deflate can", "cannot be in 73", QS_EFORMAT, {FIRST, ENTRY("b.npy", NPY, NPY_N, .method = 8, .size = 1 << 20)}},
        {"more than the room", "256 MB and 32 times", QS_EFORMAT, {FIRST, ENTRY("b.npy", noise, sizeof noise, .method = 8, .size = 300u << 20)}},
        {"larger than memory", "larger than any", QS_EFORMAT, {FIRST, ENTRY("b.npy", NPY, NPY_N, .method = 8, .size = SIZE_MAX, .wide = true)}},
        {"damaged", "damaged", QS_EFORMAT, {FIRST, ENTRY("b.npy", "\xff\xff\xff", 3, .method = 8, .size = 9)}},
        {"another checksum", "checksum", QS_EFORMAT, {FIRST, ENTRY("b.npy", "\1\1\0\xfe\xffx", 6, .method = 8, .size = 1, .crc = 5)}},
        {"another size", "size that the directory says", QS_EFORMAT, {FIRST, ENTRY("b.npy", "\x03\0", 2, .method = 8, .size = 1)}},
        {"no .npy in it", "entry b.npy", QS_EFORMAT, {FIRST, ENTRY("b.npy", "hello, world", 12)}},
        {"an array that is cut", "needs 4 bytes, 3 follow", QS_EFORMAT, {FIRST, ENTRY("b.npy", NPY, NPY_N - 1)}},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        qs_err e;
        qs_model *m = open_zip(bad[i].e, 2, &e);
        ok(!m && e.code == bad[i].code && strstr(e.msg, bad[i].message) && strstr(e.msg, path), "%s: %s", bad[i].what, e.msg);
        qs_model_unref(m);
    }
    qs_err e;
    ok(!open_zip(NULL, 0, &e) && e.code == QS_EFORMAT && strstr(e.msg, "without entries"), "%s", e.msg);
    qs_model *m = open_zip((zip_entry[]){ENTRY("x/model.json", "{}", 2)}, 1, &e);
    ok(!m && e.code == QS_EUNSUP && strstr(e.msg, "without data.pkl"), "%s", e.msg);
}

int main(void)
{
    dir = tmp_dir();
    path = in_dir(dir, "t.npz");
    written_by_numpy("tests/fuzz/corpus/npz/stored.npz");
    written_by_numpy("tests/fuzz/corpus/npz/deflated.npz");
    good();
    wrong();
    unlink(path);
    rmdir(dir);
    free(path);
    free(dir);
    return done();
}
