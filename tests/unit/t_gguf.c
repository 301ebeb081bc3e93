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

int main(void)
{
    dir = tmp_dir();
    path = in_dir(dir, "x.gguf");
    reads();
    levels();
    saves();
    cut_short();
    remove(path);
    rmdir(dir);
    free(path);
    free(dir);
    return done();
}
