/* SPDX-License-Identifier: GPL-3.0-or-later */
/* .npy: what NumPy wrote (tests/golden/npy.py) is read, or refused by name; damaged headers are named errors. */
#include <dirent.h>
#include <ftw.h>
#include <sys/stat.h>

#include "files.h"
#include "../tap.h"

static char *dir, *path;

static const struct { char code; const char *digits; qs_dtype d; } kinds[] = {
    {'f', "8", QS_F64}, {'f', "4", QS_F32}, {'f', "2", QS_F16}, {'i', "8", QS_I64}, {'i', "4", QS_I32}, {'i', "2", QS_I16},
    {'i', "1", QS_I8}, {'u', "8", QS_U64}, {'u', "4", QS_U32}, {'u', "2", QS_U16}, {'u', "1", QS_U8}, {'b', "1", QS_BOOL},
};

static double expected(char kind, int i)
{
    int x = i * 37 % 23;
    return kind == 'b' ? i % 3 == 0 : kind == 'u' ? x : kind == 'i' ? x - 9 : (x - 9) / 4.0;
}

static qs_model *open_golden(const char *name, qs_err *err)
{
    char *rel = qs_xasprintf("tests/golden/npy/%s.npy", name), *file = in_source(rel);
    *err = (qs_err){0};
    qs_model *m = qs_model_open(file, err);
    free(file);
    free(rel);
    return m;
}

static void read_array(const char *name, qs_dtype d)
{
    qs_err e;
    qs_model *m = open_golden(name, &e);
    if (!ok(m && m->n == 1, "%s opens %s", name, e.msg)) return;
    const qs_tensor *t = m->tensors[0];
    float x[12];
    bool good = t->dtype == d && t->ndim == 3 && t->shape[0] == 2 && t->shape[1] == 3 && t->n == 12;
    qs_tensor_read(t, 0, t->n, x);
    for (int i = 0; good && i < 12; i++) good = (double)x[i] == expected(*name, i) && qs_tensor_at(t, (size_t)i) == (double)x[i];
    ok(good && !strcmp(t->name, name), "%s has NumPy's values", name);
    qs_model_unref(m);
}

static void arrays(void)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        for (int order = 0; order < 3; order++) {
            static const char *const orders[] = {"little", "big", "none"};
            if ((order == 2) != (*kinds[i].digits == '1')) continue;
            char name[32];
            snprintf(name, sizeof name, "%c%s_%s", kinds[i].code, kinds[i].digits, orders[order]);
            read_array(name, kinds[i].d);
        }
    read_array("f4_fortran", QS_F32);
    read_array("f8_bigfortran", QS_F64);
    read_array("f4_version2", QS_F32);
    read_array("f4_version3", QS_F32);
    qs_err e;
    qs_model *m = open_golden("scalar", &e);
    ok(m && m->tensors[0]->ndim == 0 && qs_tensor_at(m->tensors[0], 0) == 1.5, "a scalar %s", e.msg);
    qs_model_unref(m);
    m = open_golden("empty", &e);
    ok(m && m->tensors[0]->n == 0 && m->tensors[0]->ndim == 2, "an empty array %s", e.msg);
    qs_model_unref(m);
    m = open_golden("vector", &e);
    ok(m && m->tensors[0]->ndim == 1 && qs_tensor_at(m->tensors[0], 1) == -2, "a vector %s", e.msg);
    qs_model_unref(m);
}

static void refused(void)
{
    static const struct { const char *name, *message; } files[] = {
        {"refused_object", "Python objects"}, {"refused_records", "records"}, {"refused_complex", "complex"},
        {"refused_text", "text"}, {"refused_bytes", "byte strings"}, {"refused_dates", "dates"},
        {"refused_spans", "time spans"}, {"refused_wide", "that width"}, {"refused_raw", "raw records"},
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        qs_err e;
        ok(!open_golden(files[i].name, &e) && e.code == QS_EUNSUP && strstr(e.msg, files[i].message), "%s", e.msg);
    }
}

/* A version 1 file with that header and so many bytes of data. */
static qs_model *open_header(const char *header, size_t data, qs_err *err)
{
    size_t n = strlen(header);
    unsigned char *b = qs_xcalloc(1, 10 + n + data);
    memcpy(b, "\x93NUMPY\1\0", 8);
    b[8] = (unsigned char)n;
    b[9] = (unsigned char)(n >> 8);
    memcpy(b + 10, header, n);
    qs_model *m = open_bytes(path, b, 10 + n + data, err);
    free(b);
    return m;
}

static const struct { const char *header; size_t data; int code; const char *message; } bad[] = {
    {"", 0, QS_EFORMAT, "'{' expected"},
    {"{", 0, QS_EFORMAT, "a string expected"},
    {"{}", 0, QS_EFORMAT, "are needed"},
    {"{'descr': '<f4', 'fortran_order': False}", 4, QS_EFORMAT, "are needed"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'more': 1}", 4, QS_EFORMAT, "unknown key"},
    {"{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1,)}", 4, QS_EFORMAT, "twice"},
    {"{'descr': '<f4', 'fortran_order': Maybe, 'shape': (1,)}", 4, QS_EFORMAT, "True or False"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (1)}", 4, QS_EFORMAT, "tuple"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': [1]}", 4, QS_EFORMAT, "'(' expected"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}", 4, QS_EFORMAT, "0 or more"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (1.0,)}", 4, QS_EFORMAT, "expected"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (1 1)}", 4, QS_EFORMAT, "',' expected"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}", 4, QS_EFORMAT, "too large"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296)}", 4, QS_EFORMAT, "any machine"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1)}", 4, QS_EUNSUP, "8 axes"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}", 4, QS_EFORMAT, "needs 8 bytes, 4 follow"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,)}", 5, QS_EFORMAT, "needs 4 bytes, 5 follow"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,)} x", 4, QS_EFORMAT, "follows the dictionary"},
    {"{'descr': '<q4', 'fortran_order': False, 'shape': (1,)}", 4, QS_EFORMAT, "unknown type"},
    {"{'descr': '', 'fortran_order': False, 'shape': (1,)}", 4, QS_EFORMAT, "unknown type"},
    {"{'descr': 'f4\\n', 'fortran_order': False, 'shape': (1,)}", 4, QS_EFORMAT, "bad string"},
    {"{'descr': '<f4, 'fortran_order': False, 'shape': (1,)}", 4, QS_EFORMAT, "expected"},
    {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}", 4, QS_EUNSUP, "structured"},
};

static void damaged(void)
{
    qs_err e;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        qs_model *m = open_header(bad[i].header, bad[i].data, &e);
        ok(!m && e.code == bad[i].code && strstr(e.msg, bad[i].message), "%s -> %s", bad[i].header, e.msg);
        qs_model_unref(m);
    }
    ok(!open_bytes(path, "\x93NUMPY\4\0aaaaaaaa", 16, &e) && e.code == QS_EUNSUP && strstr(e.msg, "version 4"), "%s", e.msg);
    ok(!open_bytes(path, "\x93NUMPY\1\0\xff\xff{}", 12, &e) && e.code == QS_EFORMAT, "%s", e.msg);
    ok(!open_bytes(path, "\x93NUMPY\2\0\xff\xff", 10, &e) && e.code == QS_EFORMAT, "%s", e.msg);
    ok(!open_bytes(path, "\x93NUMPY", 6, &e) && e.code == QS_EFORMAT, "%s", e.msg);
    qs_model *m = open_header("{'shape': (2L,), 'fortran_order': True, \"descr\": '<f4'}", 8, &e);
    ok(m && m->tensors[0]->n == 2, "any order of keys, either quote, long integers of Python 2 %s", e.msg);
    qs_model_unref(m);
}

/* ---- the files NumPy tests itself with (package python3-numpy) ---- */
#define NUMPY "/usr/lib/python3/dist-packages/numpy"
static size_t numpys, nameless;

static int open_one(const char *file, const struct stat *st, int kind, struct FTW *f)
{
    (void)st, (void)f;
    const char *dot = strrchr(file, '.');
    if (kind != FTW_F || !dot || (strcmp(dot, ".npy") && strcmp(dot, ".npz"))) return 0;
    qs_err e = {0};
    qs_model *m = qs_model_open(file, &e);
    numpys++;
    nameless += !m && (!e.code || !strstr(e.msg, file) || strlen(e.msg) < strlen(file) + 10);
    qs_model_unref(m);
    return 0;
}

static void of_numpy(void)
{
    static const struct { const char *file, *type, *refused; } want[] = {
        {"python3.npy", "F64", NULL},      {"win64python2.npy", "F64", NULL},     /* an integer of Python 2 in its shape */
        {"py2-objarr.npz", "|O8", NULL},   {"py3-objarr.npz", "|O8", NULL},       /* one array of several: listed */
        {"py2-objarr.npy", NULL, "an array of Python objects"}, {"py3-objarr.npy", NULL, "an array of Python objects"},
    };
    if (nftw(NUMPY, open_one, 8, FTW_PHYS) || !numpys) {
        ok(true, "NumPy's own files # SKIP python3-numpy is not installed");
        return;
    }
    ok(!nameless, "each of %zu files that come with NumPy opens, or is refused by name and with a reason", numpys);
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        qs_err e = {0};
        char *file = qs_xasprintf(NUMPY "/lib/tests/data/%s", want[i].file);
        qs_model *m = qs_model_open(file, &e);
        const qs_tensor *t = m && m->n == 1 ? m->tensors[0] : NULL;
        if (want[i].refused) ok(!m && e.code == QS_EUNSUP && strstr(e.msg, want[i].refused), "%s", e.msg);
        else ok(t && !strcmp(t->dtype_text, want[i].type) && (t->dtype ? t->n == 2 && qs_tensor_at(t, 1) == 1 : t->n == 4), "%s: %s", want[i].file, want[i].type);
        qs_model_unref(m);
        free(file);
    }
}

int main(void)
{
    dir = tmp_dir();
    path = in_dir(dir, "t.npy");
    arrays();
    refused();
    damaged();
    of_numpy();
    unlink(path);
    rmdir(dir);
    free(path);
    free(dir);
    return done();
}
