/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ONNX: the small models of tests/golden/onnx_models.py, the bundled BlazeFace, external data and its traps. */
#include "files.h"
#include "../tap.h"

static qs_model *open_golden(const char *name, qs_err *err)
{
    char *rel = qs_xasprintf("tests/golden/onnx/%s.onnx", name), *file = in_source(rel);
    *err = (qs_err){0};
    qs_model *m = qs_model_open(file, err);
    free(file);
    free(rel);
    return m;
}

static void axes(void)
{
    static const struct { const char *name; int out; unsigned in; const char *use; } want[] = {
        {"conv", 0, 0xe, "Conv"},     {"deconv", 1, 0xd, "ConvTranspose"}, {"right", 1, 1, "MatMul"},  {"left", 0, 2, "MatMul"},
        {"batched", 2, 2, "MatMul"},  {"gemm", 1, 1, "Gemm"},              {"gemm_t", 0, 2, "Gemm"},   {"lstm_w", 1, 4, "LSTM"},
        {"lstm_r", 1, 4, "LSTM"},     {"table", 0, 2, "Gather"},           {"turned", 0, 2, "MatMul"}, {"codes", 1, 1, "MatMul"},
        {"shared", -1, 0, NULL},      {"twice", 1, 1, "MatMul"},           {"torch_w", 0, 2, "LSTM"},  {"alone", -1, 0, NULL},
    };
    qs_err e;
    qs_model *m = open_golden("axes", &e);
    if (!ok(m && m->n == 17, "axes.onnx %s", e.msg)) return;
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        const qs_tensor *t = qs_model_find(m, want[i].name);
        ok(t && t->out_axis == want[i].out && t->in_axes == want[i].in
               && (t->use && want[i].use ? !strcmp(t->use, want[i].use) : t->use == want[i].use),
           "%s: output axis %d, input axes %x, used by %s", want[i].name, t ? t->out_axis : -2, t ? t->in_axes : 0,
           t && t->use ? t->use : "no one it knows");
    }
    bool good = true;
    const qs_tensor *t = qs_model_find(m, "right");
    for (size_t i = 0; i < t->n; i++) good &= qs_tensor_at(t, i) == (double)i / 8;
    ok(good, "the values are read");
    t = qs_model_find(m, "codes");
    ok(t && t->packed && qs_tensor_at(t, 5) == 2.5, "codes with a scale are one tensor");
    qs_model_unref(m);
}

static void types(void)
{
    static const struct { const char *name; qs_dtype d; double a, b; } want[] = {
        {"float", QS_F32, 1.5, -2}, {"uint8", QS_U8, 1, 255}, {"int8", QS_I8, 1, -128}, {"uint16", QS_U16, 1, 65535},
        {"int16", QS_I16, 1, -32768}, {"int32", QS_I32, 1, -0x1p31}, {"int64", QS_I64, 1, -0x1p63}, {"bool", QS_BOOL, 1, 0},
        {"float16", QS_F16, 1.5, -2}, {"double", QS_F64, 1.5, -2}, {"uint32", QS_U32, 1, 0x1p32 - 1},
        {"uint64", QS_U64, 1, 0x1p64}, {"bfloat16", QS_BF16, 1.5, -2}, {"float8e4m3fn", QS_F8_E4M3, 1.5, -2},
        {"float8e5m2", QS_F8_E5M2, 1.5, -2},
    };
    static const struct { const char *name, *text; size_t n; } listed[] = {
        {"string", "STRING", 2}, {"complex64", "COMPLEX64", 2}, {"odd", "type 99", 3}, {"deep", "FLOAT, 9 axes", 0},
    };
    qs_err e;
    qs_model *m = open_golden("types", &e);
    if (!ok(m && m->n == 20, "types.onnx %s", e.msg)) return;
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        const qs_tensor *t = qs_model_find(m, want[i].name);
        ok(t && t->dtype == want[i].d && t->n == 2 && qs_tensor_at(t, 0) == want[i].a && qs_tensor_at(t, 1) == want[i].b,
           "%s", want[i].name);
    }
    for (size_t i = 0; i < sizeof listed / sizeof *listed; i++) {
        const qs_tensor *t = qs_model_find(m, listed[i].name);
        ok(t && !t->dtype && !strcmp(t->dtype_text, listed[i].text) && t->n == listed[i].n, "%s is listed", listed[i].name);
    }
    const qs_tensor *t = qs_model_find(m, "int4");
    ok(t && !strcmp(t->dtype_text, "INT4") && t->n == 3 && qs_tensor_at(t, 0) == 1 && qs_tensor_at(t, 1) == 2 && qs_tensor_at(t, 2) == 3,
       "integers of 4 bits are read");
    qs_model_unref(m);
}

static void graphs(void)
{
    static const char *const names[] = {
        "outer", "c1", "c2", "c3", "c4", "c5", "c6", "w", "c", "choice.then_branch/w", "choice.then_branch/c", "v",
        "Loop_7.body/inner.else_branch/c", "Loop_7.body/inner.then_branch/w", "Loop_7.body/inner.then_branch/c",
    };
    qs_err e;
    qs_model *m = open_golden("graphs", &e);
    if (!ok(m && m->n == sizeof names / sizeof *names, "graphs.onnx %s", e.msg)) return;
    for (size_t i = 0; i < m->n; i++) same(m->tensors[i]->name, names[i], "names, made unique by their sub-graph only where they clash");
    ok(qs_model_find(m, "c1")->out_axis == 1 && qs_model_find(m, "c1")->ndim == 2, "a Constant is used like an initializer");
    ok(qs_tensor_at(qs_model_find(m, "c2"), 0) == 0.5 && qs_tensor_at(qs_model_find(m, "c3"), 1) == 1.5, "value_float, value_floats");
    ok(qs_tensor_at(qs_model_find(m, "c4"), 0) == -3 && qs_tensor_at(qs_model_find(m, "c5"), 2) == 3, "value_int, value_ints");
    const qs_tensor *w = qs_model_find(m, "choice.then_branch/w");
    ok(w->out_axis == 0 && w->in_axes == 6 && !strcmp(w->use, "Conv"), "nodes of sub-graphs say how weights are used");
    qs_model_unref(m);
}

static void external(void)
{
    static const struct { const char *name; int code; const char *message; } bad[] = {
        {"external_bad_up", QS_EFORMAT, "in the folder of the model"}, {"external_bad_root", QS_EFORMAT, "in the folder of the model"},
        {"external_bad_empty", QS_EFORMAT, "in the folder of the model"}, {"external_bad_gone", QS_EIO, "gone.bin"},
        {"external_bad_end", QS_EFORMAT, "of a file of 64"}, {"external_bad_huge", QS_EFORMAT, "of a file of 64"},
        {"external_bad_size", QS_EFORMAT, "are 24 bytes"}, {"external_bad_number", QS_EFORMAT, "must be numbers"},
    };
    qs_err e;
    qs_model *m = open_golden("external", &e);
    ok(m && qs_tensor_at(m->tensors[0], 0) == 2 && qs_tensor_at(m->tensors[0], 5) == 7, "external data at an offset %s", e.msg);
    qs_tensor *t = m ? qs_tensor_ref(m->tensors[0]) : NULL;
    qs_model_unref(m);
    ok(t && qs_tensor_at(t, 5) == 7, "a tensor keeps its file");
    qs_tensor_unref(t);
    m = open_golden("external_all", &e);
    ok(m && qs_tensor_at(m->tensors[0], 5) == 5, "without offset and length: from the start, as much as is needed %s", e.msg);
    qs_model_unref(m);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ok(!open_golden(bad[i].name, &e) && e.code == bad[i].code && strstr(e.msg, bad[i].message) && strstr(e.msg, "tensor w"),
           "%s", e.msg);
}

/* A copy of a golden file in dir. */
static char *copy_golden(const char *dir, const char *name)
{
    char *rel = qs_xasprintf("tests/golden/onnx/%s", name), *from = in_source(rel), *to = in_dir(dir, name);
    qs_blob *b = qs_blob_map(from, NULL);
    ok(b && write_bytes(to, b->data, b->size), "copied %s", name);
    qs_blob_unref(b);
    free(rel);
    free(from);
    return to;
}

static void links(void)
{
    qs_err e = {0};
    char *dir = tmp_dir(), *model = copy_golden(dir, "external_bad_link.onnx"), *data = copy_golden(dir, "external.bin"),
         *link_path = in_dir(dir, "link.bin");
    ok(!symlink("external.bin", link_path), "a link to a file beside it");
    qs_model *m = qs_model_open(model, &e);
    ok(m, "is followed %s", e.msg);
    qs_model_unref(m);
    unlink(link_path);
    ok(!symlink("/etc/passwd", link_path), "a link out of the folder");
    ok(!qs_model_open(model, &e) && e.code == QS_EFORMAT && strstr(e.msg, "leads out"), "is not: %s", e.msg);
    unlink(link_path);
    unlink(model);
    unlink(data);
    rmdir(dir);
    free(dir);
    free(model);
    free(data);
    free(link_path);
}

static void damaged(void)
{
    static const struct { const char *name, *message; } bad[] = {
        {"bad_short", "24 bytes, the file has 20"}, {"bad_none", "the file has 0"}, {"bad_negative", "negative"},
        {"bad_overflow", "any machine"}, {"bad_twice", "given twice"}, {"bad_names", "stands twice"},
        {"bad_field", "the file has 0"}, {"bad_range", "300 does not fit"},
    };
    qs_err e;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ok(!open_golden(bad[i].name, &e) && e.code == QS_EFORMAT && strstr(e.msg, bad[i].message), "%s", e.msg);
}

/* Graphs within graphs: a message of `depth` levels, built from the inside. */
static void nested(void)
{
    qs_err e;
    char *dir = tmp_dir(), *path = in_dir(dir, "deep.onnx");
    qs_str in = {0};
    for (int i = 0; i < 3000; i++) { /* field: graph 7 or attribute 6, node 1, attribute 5 */
        const unsigned char tags[] = {0x0a, 0x2a, 0x32};
        unsigned char head[8] = {i == 2999 ? 0x3a : tags[(2999 - i) % 3 == 0 ? 2 : 2 - (2999 - i) % 3 == 1 ? 0 : 1]};
        size_t n = 1;
        for (size_t x = in.n; n == 1 || x; x >>= 7) head[n++] = (unsigned char)((x & 0x7f) | (x > 0x7f ? 0x80 : 0));
        qs_str out = {0};
        qs_str_addn(&out, (const char *)head, n);
        if (in.n) qs_str_addn(&out, in.s, in.n);
        free(in.s);
        in = out;
    }
    ok(!open_bytes(path, in.s, in.n, &e) && e.code == QS_EFORMAT && strstr(e.msg, "nested deeper"), "graphs 1000 deep: %s", e.msg);
    unlink(path);
    rmdir(dir);
    free(in.s);
    free(path);
    free(dir);
}

static void blazeface(void)
{
    qs_err e = {0};
    char *file = in_source("data/blazeface_front.onnx");
    qs_model *m = qs_model_open(file, &e);
    free(file);
    if (!ok(m && m->n == 71 && m->weights == 37 && m->values == 99202, "BlazeFace: 37 weights with 99202 values %s", e.msg)) return;
    bool conv = true;
    for (size_t i = 0; i < m->n; i++)
        if (!qs_tensor_reason(m->tensors[i])) conv &= m->tensors[i]->out_axis == 0 && m->tensors[i]->use && !strcmp(m->tensors[i]->use, "Conv");
    ok(conv, "all weights are of Conv nodes, output axis 0");
    qs_model_unref(m);
}

int main(void)
{
    axes();
    types();
    graphs();
    external();
    links();
    damaged();
    nested();
    blazeface();
    return done();
}
