/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Codes and their scales become one tensor: the floats NumPy makes of them (tests/golden/joined.py), bit for bit; what does
 * not fit stays as it was; damaged files do no harm. */
#include <math.h>

#include "files.h"
#include "model/packed.h"
#include "../tap.h"

static qs_model *open_golden(const char *name, qs_err *err)
{
    char *file = qs_xasprintf("tests/golden/joined/%s", name), *path = in_source(file);
    *err = (qs_err){0};
    qs_model *m = qs_model_open(path, err);
    free(path);
    free(file);
    return m;
}

/* Values and, of joined tensors, that every one is among the levels it is said to have. */
static bool equal(const qs_tensor *got, const qs_tensor *want, bool *levels)
{
    float lv[QS_PACKED_LEVELS];
    bool many = got && got->packed && got->packed->kind->levels > QS_PACKED_LEVELS, good = got && got->n == want->n && got->ndim == want->ndim;
    for (int k = 0; good && k < want->ndim; k++) good = got->shape[k] == want->shape[k];
    if (!good) return false;
    float *a = qs_xmalloc(got->n * sizeof *a), *b = qs_xmalloc(got->n * sizeof *b);
    qs_tensor_read(got, 0, got->n, a);
    qs_tensor_read(want, 0, got->n, b);
    for (size_t i = 0; i < got->n && good; i++) {
        float one;
        qs_tensor_read(got, i, 1, &one);
        good = a[i] == b[i] && one == a[i];
        int n = qs_packed_levels(got, i, lv);
        bool found = !got->packed || many;
        for (int k = 0; k < n && !found; k++) found = fabsf(lv[k] - a[i]) <= 1e-6f * fmaxf(fabsf(lv[0]), fabsf(lv[n - 1]));
        *levels &= found;
    }
    free(a);
    free(b);
    return good;
}

static void golden(const char *file, const char *wanted, size_t n, const char *note)
{
    qs_err e;
    qs_model *m = open_golden(file, &e), *want = open_golden(wanted, &e);
    ok(m && want && m->n == n, "%s opens: %zu tensors%s", file, m ? m->n : 0, e.msg);
    for (size_t i = 0; m && want && i < want->n; i++) {
        bool levels = true;
        const qs_tensor *t = qs_model_find(m, want->tensors[i]->name);
        ok(equal(t, want->tensors[i], &levels), "%s: %s %s", file, want->tensors[i]->name, t ? t->dtype_text : "is not there");
        ok(levels, "its values are among its levels");
    }
    same(m && m->note ? m->note : "", note, "the note");
    qs_model_unref(m);
    qs_model_unref(want);
}

static void types(void)
{
    static const struct { const char *tensor, *type; double bpw; } want[] = {
        {"gptq4.weight", "uint4+zp@group16", 4 + (4 * 32 * 16 + 4 * 4 * 32 + 64 * 32) / 2048.0}, {"ct.weight", "int4@group16", 4 + 6 * 4 * 32 / 384.0},
        {"bnb.weight", "int8@channel", 8 + 5 * 32 / 35.0}, {"fp8.weight", "fp8e4m3@block128x128", 8 + 2 * 32 / 650.0},
        {"act_order.weight", "uint4+zp@group16", 4 + (4 * 32 * 16 + 4 * 4 * 32 + 64 * 32) / 2048.0}};
    qs_err e;
    qs_model *m = open_golden("model.safetensors", &e);
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        const qs_tensor *t = qs_model_find(m, want[i].tensor);
        same(t->dtype_text, want[i].type, "%s", want[i].tensor);
        if (i == 0) near(t->packed->bpw, 4 + (4 * 32 * 16 + 4 * 4 * 32) / 2048.0, 1e-12, "bits a value, without the order that is none");
        else near(t->packed->bpw, want[i].bpw, 1e-12, "bits a value");
    }
    ok(m->weights == 0, "none of them is to be quantized");
    qs_model_unref(m);
}

static void misfits(void)
{
    qs_err e;
    qs_model *m = open_golden("bad.safetensors", &e);
    size_t packed = 0;
    for (size_t i = 0; m && i < m->n; i++) packed += m->tensors[i]->packed != NULL;
    ok(m && m->n == 35 && !packed && m->weights == 10, "what does not fit stays as it was: %s", e.msg);
    ok(m && m->note && strstr(m->note, "12 with codes stay as they are: a.qweight"), "and the note says why: %s", m && m->note ? m->note : "");
    qs_model_unref(m);
    m = open_golden("order.safetensors", &e);
    const qs_tensor *t = m ? m->tensors[0] : NULL;
    bool good = t && t->n == 32 * 32;
    for (size_t i = 0; good && i < t->n; i++) good = (i % 32 == 2 || i % 32 == 3) == isnan(qs_tensor_at(t, i));
    ok(good, "an order that names no group is NaN there, and nowhere else");
    qs_model_unref(m);
}

static void read_all(qs_model *m)
{
    float x[64];
    for (size_t i = 0; m && i < m->n; i++) {
        const qs_tensor *t = m->tensors[i];
        size_t n = t->n < 64 ? t->n : 64;
        qs_tensor_read(t, 0, n, x);
        qs_tensor_read(t, t->n - n, n, x);
    }
    qs_model_unref(m);
}

/* Cut short at every byte, and every byte of a header another one: an error or a model that can be read. */
static void damaged(const char *name, size_t header)
{
    char *file = qs_xasprintf("tests/golden/joined/%s", name), *path = in_source(file), *dir = tmp_dir(), *out = in_dir(dir, "x");
    size_t n = 0, opened = 0;
    char bytes[16384];
    FILE *f = fopen(path, "rb");
    if (f) n = fread(bytes, 1, sizeof bytes, f);
    if (f) fclose(f);
    for (size_t k = 0; k < n; k++) {
        qs_err e;
        qs_model *m = open_bytes(out, bytes, k, &e);
        opened += m != NULL;
        read_all(m);
    }
    ok(n && (header || !opened), "%s cut short at each of %zu bytes", name, n);
    size_t end = n < 400 ? n : 400;
    for (size_t k = 8; k < end; k++)
        for (const char *p = "9-"; *p; p++) {
            qs_err e;
            char was = bytes[k];
            bytes[k] = header ? (char)(was ^ 1 << (*p == '9' ? 0 : 6)) : *p;
            read_all(open_bytes(out, bytes, n, &e));
            bytes[k] = was;
        }
    ok(true, "%s with other bytes in its header", name);
    unlink(out);
    rmdir(dir);
    free(out);
    free(dir);
    free(path);
    free(file);
}

/* What MatMulNBits says of its weight, and codes of 16 bits, which are too many levels to be listed. */
static void onnx(void)
{
    static const struct { const char *tensor, *type; double bpw; } want[] = {
        {"int4", "int4+zp@channel", (35 * 4 + 7 * 36) / 35.0}, {"uint4_blocks", "uint4+zp@group4", (60 * 4 + 18 * 36) / 60.0},
        {"fp4", "fp4@group8", 4 + 8 * 16 / 64.0}, {"int16", "int16+zp@channel0", 16 + 3 * 48 / 12.0}, {"alone4", "INT4", 4},
        {"nb4", "int4@group16", 4 + 24 * 32 / 384.0}, {"nb4_zero", "uint4+zp@group16", (5 * 40 * 8 + 25 * 32 + 15 * 8) / 360.0},
        {"nb8_middle", "int8@channel", (4 * 32 * 8 + 4 * 32) / 64.0}};
    float lv[QS_PACKED_LEVELS];
    qs_err e;
    qs_model *m = open_golden("small.onnx", &e);
    for (size_t i = 0; m && i < sizeof want / sizeof *want; i++) {
        const qs_tensor *t = qs_model_find(m, want[i].tensor);
        same(t ? t->dtype_text : "", want[i].type, "%s", want[i].tensor);
        if (t) near(t->packed->bpw, want[i].bpw, 1e-12, "bits a value");
    }
    const qs_tensor *t = m ? qs_model_find(m, "nb4") : NULL;
    ok(t && t->out_axis == 0 && t->in_axes == 2 && t->use && !strcmp(t->use, "MatMulNBits"), "the axes of a product");
    t = m ? qs_model_find(m, "emb4") : NULL;
    ok(t && t->out_axis == 0 && t->use && !strcmp(t->use, "Gather"), "and of an embedding");
    t = m ? qs_model_find(m, "int16") : NULL;
    ok(t && t->packed->kind->levels == 65536 && !qs_packed_levels(t, 0, lv), "65536 levels are not listed");
    t = m ? qs_model_find(m, "int4") : NULL;
    ok(t && t->out_axis == 1 && t->in_axes == 1, "codes of 4 bits have the axes of the product they are used in");
    qs_model_unref(m);
    m = open_golden("fp4_bad.safetensors", &e);
    size_t packed = 0;
    for (size_t i = 0; m && i < m->n; i++) packed += m->tensors[i]->packed != NULL;
    ok(m && m->n == 12 && !packed, "what is like 4-bit floats and does not fit stays as it was: %s", e.msg);
    ok(m && m->note && strstr(m->note, "4 with codes stay as they are: a.weight_scale does not fit"), "and the note says why: %s", m && m->note ? m->note : "");
    qs_model_unref(m);
    m = open_golden("small_bad.onnx", &e);
    for (size_t i = 0; m && i < m->n; i++) packed += m->tensors[i]->packed != NULL;
    ok(m && m->n == 19 && packed == 1, "what does not fit stays as it was: %s", e.msg);
    ok(m && m->note && strstr(m->note, "8 with codes stay as they are: a does not fit"), "and the note says why: %s", m && m->note ? m->note : "");
    qs_model_unref(m);
}

int main(void)
{
    golden("model.safetensors", "want.safetensors", 17, "14 tensors are made of codes and their scales (GPTQ)");
    golden("qdq.onnx", "qdq_want.safetensors", 13, "5 tensors are made of codes and their scales (DequantizeLinear); "
           "1 with codes stay as they are: misfit_s does not fit: F32 [4]");
    golden("small.onnx", "small_want.safetensors", 23, "21 tensors are made of codes and their scales (DequantizeLinear)");
    golden("fp4.safetensors", "fp4_want.safetensors", 5, "4 tensors are made of codes and their scales (NVFP4)");
    golden("scaled.gguf", "scaled_want.safetensors", 7, "llama; 3 tensors are made of codes and their scales (blocks under a scale); "
           "1 with codes stay as they are: blk.0.odd.scale does not fit: F32 [2]");
    types();
    onnx();
    misfits();
    damaged("order.safetensors", 0);
    damaged("qdq.onnx", 1);
    return done();
}
