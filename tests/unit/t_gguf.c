/* SPDX-License-Identifier: GPL-3.0-or-later */
/* GGUF and tensors stored as codes: values, levels, shapes, saving; damaged files are named errors. */
#include "files.h"
#include "model/packed.h"
#include "../tap.h"

static char *dir, *path;

/* ---- a file, put together --------------------------------------------------------------------- */
typedef struct file { unsigned char b[8192]; size_t n; } file;

static void put(file *f, const void *p, size_t n)
{
    memcpy(f->b + f->n, p, n);
    f->n += n;
}

static void number(file *f, uint64_t x, int bytes) { put(f, &x, (size_t)bytes); } /* little-endian machines */

static void string(file *f, const char *s)
{
    number(f, strlen(s), 8);
    put(f, s, strlen(s));
}

static void tensor(file *f, const char *name, int ndim, const uint64_t *dims, uint32_t type, uint64_t offset)
{
    string(f, name);
    number(f, (uint64_t)ndim, 4);
    for (int i = 0; i < ndim; i++) number(f, dims[i], 8);
    number(f, type, 4);
    number(f, offset, 8);
}

static void pad(file *f)
{
    while (f->n % 32) number(f, 0, 1);
}

/* Two rows of Q8_0, one of Q4_0, a float vector, a type that is only listed. */
static file small(void)
{
    file f = {.n = 0};
    put(&f, "GGUF", 4);
    number(&f, 3, 4);
    number(&f, 4, 8);
    number(&f, 4, 8);
    string(&f, "general.architecture"); number(&f, 8, 4); string(&f, "llama");
    string(&f, "general.name"); number(&f, 8, 4); string(&f, "tiny");
    string(&f, "general.file_type"); number(&f, 4, 4); number(&f, 7, 4);
    string(&f, "tokens"); number(&f, 9, 4); number(&f, 8, 4); number(&f, 2, 8); string(&f, "a"); string(&f, "bc");
    tensor(&f, "blk.0.ffn.weight", 2, (uint64_t[]){32, 2}, 8, 0);
    tensor(&f, "blk.0.attn.weight", 2, (uint64_t[]){32, 1}, 2, 96);
    tensor(&f, "norm", 1, (uint64_t[]){3}, 0, 128);
    tensor(&f, "odd", 2, (uint64_t[]){256, 1}, 16, 160);
    pad(&f);
    for (int row = 0; row < 2; row++) {
        number(&f, row ? 0xb800 : 0x3c00, 2); /* 1 and -0.5 */
        for (int i = 0; i < 32; i++) number(&f, (uint64_t)(i * 8 - 128) & 255, 1);
    }
    pad(&f);
    number(&f, 0x4000, 2); /* 2 */
    for (int i = 0; i < 16; i++) number(&f, (uint64_t)(i | (15 - i) << 4), 1);
    pad(&f);
    put(&f, (float[]){1, -2, 3}, 12);
    pad(&f);
    for (int i = 0; i < 66; i++) number(&f, 0, 1);
    return f;
}

static void reads(void)
{
    file f = small();
    qs_err e;
    float x[64];
    qs_model *m = open_bytes(path, f.b, f.n, &e);
    if (!ok(m, "a small file opens %s", e.msg)) return;
    same(m->format, "gguf", "by its reader");
    const qs_tensor *t = qs_model_find(m, "blk.0.ffn.weight");
    ok(t && t->dtype == QS_PACKED && t->ndim == 2 && t->shape[0] == 2 && t->shape[1] == 32 && t->out_axis == 0 && t->in_axes == 2,
       "the file has the innermost axis first, we the outermost");
    same(t->dtype_text, "Q8_0", "its type by name");
    same(qs_tensor_reason(t), "already quantized", "it is not quantized again");
    ok(qs_tensor_floats(t) == NULL, "its floats lie nowhere");
    near(t->packed->bpw, 8.5, 0, "bits a value");
    qs_tensor_read(t, 0, 64, x);
    bool good = true;
    for (int i = 0; i < 64; i++) {
        double want = (i % 32 * 8 - 128) * (i < 32 ? 1 : -0.5);
        good = good && (double)x[i] == want && qs_tensor_at(t, (size_t)i) == want;
    }
    ok(good, "Q8_0: scale times code");
    qs_split s;
    qs_split_init(&s, t, QS_SPLIT_CHANNEL, 1, 0, NULL);
    qs_split_gather(&s, t, 5, x);
    ok(x[0] == -88 && x[1] == 44, "values far apart are found");
    t = qs_model_find(m, "blk.0.attn.weight");
    qs_tensor_read(t, 3, 20, x);
    ok(x[0] == 2 * (3 - 8) && x[12] == 2 * (15 - 8) && x[13] == 2 * (15 - 8) && x[19] == 2 * (15 - 6 - 8), "Q4_0: low halves, then high ones");
    t = qs_model_find(m, "norm");
    ok(t && t->dtype == QS_F32 && qs_tensor_at(t, 2) == 3, "F32 beside them");
    t = qs_model_find(m, "odd");
    ok(t && t->dtype == QS_UNKNOWN_DTYPE && !strcmp(t->dtype_text, "IQ2_XXS") && t->n == 256, "a type that is not read is listed");
    qs_model_unref(m);
}

static void levels(void)
{
    file f = small();
    qs_err e;
    float x[QS_PACKED_LEVELS];
    qs_model *m = open_bytes(path, f.b, f.n, &e);
    const qs_tensor *t = qs_model_find(m, "blk.0.ffn.weight");
    int n = qs_packed_levels(t, 0, x);
    ok(n == 256 && x[0] == -128 && x[255] == 127, "levels of a block");
    n = qs_packed_levels(t, 32, x);
    ok(n == 256 && x[0] == -63.5f && x[255] == 64, "ascending where the scale is negative");
    ok(qs_packed_levels(t, 64, x) == 0 && qs_packed_levels(qs_model_find(m, "norm"), 0, x) == 0, "none where there are none");
    n = qs_packed_levels(qs_model_find(m, "blk.0.attn.weight"), 0, x);
    ok(n == 16 && x[0] == -16 && x[15] == 14, "Q4_0 has 16");
    qs_model_unref(m);
}

static void saves(void)
{
    static const char *const endings[] = {"out.safetensors", "out.npy"};
    file f = small();
    qs_err e;
    float x[64], y[64];
    qs_model *m = open_bytes(path, f.b, f.n, &e);
    qs_tensor *t = qs_model_find(m, "blk.0.ffn.weight"), *other = qs_tensor_renamed(t, "w");
    qs_tensor_read(t, 0, 64, x);
    qs_model_unref(m);
    for (int i = 0; i < 2; i++) {
        char *out = in_dir(dir, endings[i]);
        ok(!qs_model_save(out, &other, 1, &e), "%s is written", endings[i]);
        m = qs_model_open(out, &e);
        t = m ? m->tensors[0] : NULL;
        if (t) qs_tensor_read(t, 0, 64, y);
        ok(t && t->dtype == QS_F32 && t->n == 64 && !memcmp(x, y, sizeof x), "as float32, the same values");
        qs_model_unref(m);
        remove(out);
        free(out);
    }
    qs_tensor_unref(other);
}

/* ---- every kind of block, against NumPy (tests/oracle/make_gguf.py) ----------------------------- */
static bool equal(const float *x, const float *y, size_t n)
{
    bool good = true;
    for (size_t i = 0; i < n; i++) good = good && x[i] == y[i];
    return good;
}

/* From the middle of a block into the middle of another, and one by one. */
static bool equal_in_pieces(const qs_tensor *t, const float *want)
{
    float x[512];
    bool good = true;
    for (size_t from = 0; from < t->n; from += 29) {
        size_t n = t->n - from < 277 ? t->n - from : 277;
        qs_tensor_read(t, from, n, x);
        good = good && equal(x, want + from, n) && (float)qs_tensor_at(t, from) == want[from];
    }
    return good;
}

/* Every value is one of its levels, and they ascend. */
static bool on_levels(const qs_tensor *t, const float *want)
{
    float lv[QS_PACKED_LEVELS];
    bool good = true;
    for (size_t i = 0; i < t->n; i += 3) {
        int n = qs_packed_levels(t, i, lv), hits = 0;
        for (int k = 0; k < n; k++) {
            hits += lv[k] == want[i];
            good = good && (!k || lv[k] >= lv[k - 1]);
        }
        good = good && hits;
    }
    return good;
}

static void golden(void)
{
    qs_err e = {0};
    float x[512], want[512];
    char *blocks = in_source("tests/oracle/golden/gguf_blocks.gguf");
    qs_model *m = qs_model_open(blocks, &e);
    if (!ok(m && m->n == 28, "the file with all kinds opens %s", e.msg)) return;
    for (size_t i = 0; i < m->n; i += 2) {
        const qs_tensor *t = m->tensors[i], *w = m->tensors[i + 1];
        qs_tensor_read(w, 0, 512, want);
        qs_tensor_read(t, 0, 512, x);
        ok(t->packed && !strcmp(t->packed->kind->name, t->name) && equal(x, want, 512), "%s is what NumPy says, bit for bit", t->name);
        ok(equal_in_pieces(t, want), "%s in pieces", t->name);
        ok(on_levels(t, want), "%s has levels, and every value is on one", t->name);
    }
    qs_model_unref(m);
    free(blocks);
}

/* What means nothing is NaN, not a number. */
static void no_numbers(void)
{
    file f = {.n = 0};
    qs_err e;
    float x[QS_PACKED_LEVELS];
    put(&f, "GGUF", 4);
    number(&f, 3, 4);
    number(&f, 1, 8);
    number(&f, 0, 8);
    tensor(&f, "w", 1, (uint64_t[]){32}, 39, 0);
    pad(&f);
    number(&f, 255, 1);
    for (int i = 0; i < 16; i++) number(&f, 0x22, 1);
    qs_model *m = open_bytes(path, f.b, f.n, &e);
    ok(m && isnan(qs_tensor_at(m->tensors[0], 3)), "the scale 255 of MXFP4 is NaN");
    ok(m && qs_packed_levels(m->tensors[0], 3, x) == 0, "and there are no levels");
    qs_model_unref(m);
}

/* ---- damaged files ---------------------------------------------------------------------------- */
static void cut_short(void)
{
    file f = small();
    qs_err e;
    size_t bad = 0;
    for (size_t n = 1; n < f.n; n++) {
        qs_model *m = open_bytes(path, f.b, n, &e);
        bad += m || e.code != QS_EFORMAT || !strstr(e.msg, path);
        qs_model_unref(m);
    }
    ok(bad == 0, "cut short at every byte: a named error (%zu are not)", bad);
}

/* One file of one tensor, with something wrong. */
static void head(file *f, uint32_t version, uint64_t tensors, uint64_t keys)
{
    f->n = 0;
    put(f, "GGUF", 4);
    number(f, version, 4);
    number(f, tensors, 8);
    number(f, keys, 8);
}

static void refused(file *f, int code, const char *want, const char *what)
{
    qs_err e;
    pad(f);
    for (int i = 0; i < 64; i++) number(f, 0, 1);
    qs_model *m = open_bytes(path, f->b, f->n, &e);
    ok(!m && e.code == code && strstr(e.msg, want) && strstr(e.msg, path), "%s: %s", what, m ? "it opens" : e.msg);
    qs_model_unref(m);
}

static void array(file *f, uint32_t of, uint64_t n)
{
    string(f, "a");
    number(f, 9, 4);
    number(f, of, 4);
    number(f, n, 8);
}

static void bad_heads(void)
{
    file f;
    head(&f, 1, 0, 0), refused(&f, QS_EUNSUP, "version 1", "version 1");
    head(&f, 4, 0, 0), refused(&f, QS_EUNSUP, "version 4", "version 4");
    head(&f, 0x03000000, 0, 0), refused(&f, QS_EUNSUP, "big-endian", "the other byte order");
    head(&f, 3, 1ull << 62, 0), refused(&f, QS_EFORMAT, "tensors", "an absurd number of tensors");
    head(&f, 3, 0, UINT64_MAX), refused(&f, QS_EFORMAT, "keys", "an absurd number of keys");
    head(&f, 3, 0, 1), number(&f, UINT64_MAX, 8), refused(&f, QS_EFORMAT, "a key of", "an absurd key");
    head(&f, 3, 0, 1), string(&f, "k"), number(&f, 13, 4), refused(&f, QS_EFORMAT, "type 13", "a type there is not");
    head(&f, 3, 0, 1), string(&f, "k"), number(&f, 8, 4), number(&f, 1 << 20, 8), refused(&f, QS_EFORMAT, "a string", "an absurd string");
    head(&f, 3, 0, 1), array(&f, 6, UINT64_MAX / 4), refused(&f, QS_EFORMAT, "an array", "an absurd array");
    head(&f, 3, 0, 1), array(&f, 8, 1 << 20), refused(&f, QS_EFORMAT, "an array", "an absurd array of strings");
    head(&f, 3, 0, 1), array(&f, 77, 1), refused(&f, QS_EFORMAT, "type 77", "an array of a type there is not");
    head(&f, 3, 0, 1), string(&f, "general.alignment"), number(&f, 4, 4), number(&f, 48, 4),
        refused(&f, QS_EFORMAT, "power of two", "an alignment that is none");
    head(&f, 3, 0, 1), string(&f, "general.alignment"), number(&f, 4, 4), number(&f, 0, 4),
        refused(&f, QS_EFORMAT, "power of two", "no alignment");
    head(&f, 3, 0, 1), string(&f, "general.alignment"), number(&f, 8, 4), string(&f, "32"),
        refused(&f, QS_EFORMAT, "32-bit", "an alignment in words");
    head(&f, 3, 0, 1), string(&f, "a"), number(&f, 9, 4);
    for (int i = 0; i < 100; i++) number(&f, 9, 4), number(&f, 1, 8);
    refused(&f, QS_EFORMAT, "nested", "arrays in arrays in arrays");
}

static void bad_tensors(void)
{
    file f;
    const uint64_t row[] = {32}, odd[] = {33, 2}, huge[] = {1ull << 62, 4}, most[] = {1ull << 40, 1ull << 40}, none[] = {0, 5},
                   negative[] = {UINT64_MAX}, nine[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
    const struct { int ndim; const uint64_t *dims; uint32_t type; uint64_t offset; const char *want, *what; } bad[] = {
        {1, row, 2, 16, "alignment", "an offset between two places"},
        {1, row, 2, 1u << 20, "do not fit", "an offset behind the end"},
        {1, row, 2, UINT64_MAX - 31, "do not fit", "an offset that would overflow"},
        {2, odd, 2, 0, "whole blocks", "a row that is not whole blocks"},
        {2, huge, 2, 0, "more elements", "a shape that overflows"},
        {2, most, 0, 0, "more elements", "a shape that overflows with its size"},
        {1, most, 8, 0, "do not fit", "a shape that the file cannot hold"},
        {1, negative, 0, 0, "length", "a negative length"},
        {9, nine, 0, 0, "9 axes", "nine axes"},
        {1, most, 16, 0, "do not fit", "a listed type that the file cannot hold"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        head(&f, 3, 1, 0);
        tensor(&f, "w\nx", bad[i].ndim, bad[i].dims, bad[i].type, bad[i].offset);
        refused(&f, QS_EFORMAT, bad[i].want, bad[i].what);
    }
    head(&f, 3, 2, 0), tensor(&f, "w", 1, row, 2, 0), tensor(&f, "w", 1, row, 2, 32), refused(&f, QS_EFORMAT, "two tensors", "a name twice");
    head(&f, 3, 1, 0), number(&f, 3, 8), put(&f, "a\0b", 3), number(&f, 0, 4), refused(&f, QS_EFORMAT, "NUL", "a NUL in a name");
    head(&f, 3, 1, 0), number(&f, 1ull << 40, 8), refused(&f, QS_EFORMAT, "a tensor's name", "an absurd name");
    head(&f, 3, 2, 0), tensor(&f, "none", 2, none, 2, 0), tensor(&f, "number", 0, none, 0, 0), pad(&f), number(&f, 0x3f800000, 4);
    qs_err e;
    qs_model *m = open_bytes(path, f.b, f.n, &e);
    ok(m && m->tensors[0]->n == 0 && m->tensors[1]->n == 1 && qs_tensor_at(m->tensors[1], 0) == 1, "no values and one value are fine %s", e.msg);
    qs_model_unref(m);
}

int main(void)
{
    dir = tmp_dir();
    path = in_dir(dir, "x.gguf");
    reads();
    levels();
    saves();
    golden();
    no_numbers();
    cut_short();
    bad_heads();
    bad_tensors();
    remove(path);
    rmdir(dir);
    free(path);
    free(dir);
    return done();
}
