/* SPDX-License-Identifier: GPL-3.0-or-later */
/* safetensors: the sample file, and everything the format forbids, each with a message that names it. */
#include <jansson.h>

#include "files.h"
#include "../tap.h"

static char *dir, *path;

/* Opens a file of that header and `data` zero bytes. length: what the first 8 bytes say; 0: the truth. */
static qs_model *open_header(const char *json, size_t data, uint64_t length, qs_err *err)
{
    size_t n = strlen(json);
    unsigned char *b = qs_xcalloc(1, 8 + n + data);
    for (int i = 0; i < 8; i++) b[i] = (unsigned char)((length ? length : n) >> 8 * i);
    memcpy(b + 8, json, n);
    qs_model *m = open_bytes(path, b, 8 + n + data, err);
    free(b);
    return m;
}

#define T(dtype, shape, begin, end) "{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" begin "," end "]}"

static const struct { const char *what, *json; size_t data; uint64_t length; const char *message; } bad[] = {
    {"a header longer than the file", "{\"a\":" T("F32", "[1]", "0", "4") "}", 4, 1000, "cut short"},
    {"a header beyond the limit", "{\"a\":1}", 4, 100000001, "100 MB"},
    {"a header beyond any limit", "{\"a\":1}", 4, UINT64_MAX, "100 MB"},
    {"a header cut in JSON", "{\"a\":" T("F32", "[1]", "0", "4") "}", 4, 20, "header"},
    {"the same name twice", "{\"a\":" T("F32", "[1]", "0", "4") ",\"a\":" T("F32", "[1]", "4", "8") "}", 8, 0, "two tensors are called a"},
    {"metadata twice", "{\"__metadata__\":{},\"__metadata__\":{}}", 0, 0, "has __metadata__ twice"},
    {"a field twice", "{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\"}}", 0, 0, "tensor a: has dtype twice"},
    {"a key twice in metadata", "{\"__metadata__\":{\"k\":\"1\",\"k\":\"2\"}}", 0, 0, "duplicate"},
    {"an escaped name twice", "{\"a\":" T("F32", "[1]", "0", "4") ",\"\\u0061\":" T("F32", "[1]", "4", "8") "}", 8, 0, "two tensors are called a"},
    {"a name that is not UTF-8", "{\"a\xff\":" T("F32", "[1]", "0", "4") "}", 4, 0, "header"},
    {"a length with a zero before it", "{\"a\":" T("F32", "[01]", "0", "4") "}", 4, 0, "shape must hold"},
    {"no comma", "{\"a\":" T("F32", "[1]", "0", "4") "\"b\":" T("F32", "[1]", "4", "8") "}", 8, 0, "must come here (byte 53)"},
    {"no object", "{\"a\":7}", 0, 0, "tensor a: must be an object"},
    {"dtype missing", "{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4, 0, "tensor a: dtype"},
    {"dtype a number", "{\"a\":{\"dtype\":4,\"shape\":[1],\"data_offsets\":[0,4]}}", 4, 0, "dtype"},
    {"shape missing", "{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, 0, "shape"},
    {"offsets missing", "{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, 0, "data_offsets"},
    {"three offsets", "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,8]}}", 8, 0, "data_offsets"},
    {"a fourth field", "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"x\":1}}", 4, 0, "other than"},
    {"a negative length", "{\"a\":" T("F32", "[-1]", "0", "4") "}", 4, 0, "shape must hold"},
    {"a real length", "{\"a\":" T("F32", "[1.0]", "0", "4") "}", 4, 0, "shape must hold"},
    {"a length beyond 64 bits", "{\"a\":" T("F32", "[99999999999999999999]", "0", "4") "}", 4, 0, "header"},
    {"a shape that overflows", "{\"a\":" T("F32", "[4294967296,4294967296]", "0", "4") "}", 4, 0, "any machine"},
    {"a size that overflows", "{\"a\":" T("F64", "[4611686018427387904]", "0", "0") "}", 0, 0, "any machine"},
    {"offsets backwards", "{\"a\":" T("F32", "[1]", "4", "0") "}", 4, 0, "end before"},
    {"a negative offset", "{\"a\":" T("F32", "[1]", "-4", "0") "}", 4, 0, "data_offsets"},
    {"an offset beyond the file", "{\"a\":" T("F32", "[1]", "0", "4") "}", 3, 0, "beyond the end"},
    {"too few bytes for the shape", "{\"a\":" T("F32", "[2]", "0", "4") "}", 4, 0, "8 bytes, data_offsets say 4"},
    {"an overlap", "{\"a\":" T("F32", "[2]", "0", "8") ",\"b\":" T("F32", "[2]", "4", "12") "}", 12, 0, "tensor b: its bytes overlap"},
    {"the same bytes twice", "{\"a\":" T("F32", "[1]", "0", "4") ",\"b\":" T("F32", "[1]", "0", "4") "}", 4, 0, "overlap"},
    {"a hole", "{\"a\":" T("F32", "[1]", "0", "4") ",\"b\":" T("F32", "[1]", "8", "12") "}", 12, 0, "tensor b: a hole"},
    {"a hole at the start", "{\"a\":" T("F32", "[1]", "4", "8") "}", 8, 0, "a hole"},
    {"bytes at the end", "{\"a\":" T("F32", "[1]", "0", "4") "}", 5, 0, "1 bytes after"},
    {"metadata that is no map", "{\"__metadata__\":[]}", 0, 0, "__metadata__ must be an object"},
    {"metadata of numbers", "{\"__metadata__\":{\"a\":1}}", 0, 0, "strings to strings"},
    {"NUL in a name", "{\"a\\u0000b\":" T("F32", "[1]", "0", "4") "}", 4, 0, "header"},
    {"text after the header", "{\"a\":" T("F32", "[1]", "0", "4") "} x", 4, 0, "header"},
    {"an array in front", "{}[1]", 0, 0, "header"},
};

static void damaged(void)
{
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        qs_err e;
        qs_model *m = open_header(bad[i].json, bad[i].data, bad[i].length, &e);
        ok(!m && e.code == QS_EFORMAT && strstr(e.msg, bad[i].message) && strstr(e.msg, path), "%s: %s", bad[i].what, e.msg);
        qs_model_unref(m);
    }
    qs_err e;
    qs_str deep = {0};
    qs_str_add(&deep, "{\"a\":");
    for (int i = 0; i < 100000; i++) qs_str_add(&deep, "[");
    ok(!open_header(deep.s, 0, 0, &e) && e.code == QS_EFORMAT, "brackets 100000 deep: %s", e.msg);
    free(deep.s);
    qs_str many = {0};
    qs_str_add(&many, "{\"__metadata__\":{\"a\":\"");
    many.s = qs_xrealloc(many.s, many.n + 11000004);
    memset(many.s + many.n, ',', 11000000);
    memcpy(many.s + many.n + 11000000, "\"}}", 4);
    ok(!open_header(many.s, 0, 0, &e) && e.code == QS_EFORMAT && strstr(e.msg, "more than"), "11 MB of commas: %s", e.msg);
    free(many.s);
    ok(!open_bytes(path, "", 0, &e) && e.code == QS_EFORMAT && strstr(e.msg, "empty"), "%s", e.msg);
    ok(!open_bytes(path, "\x08\0\0\0\0\0\0", 7, &e) && e.code == QS_EFORMAT, "%s", e.msg);
    ok(!open_bytes(path, "PK\3\4xxxxxxxx", 12, &e) && e.code == QS_EFORMAT && strstr(e.msg, "zip"), "%s", e.msg);
    unlink(path);
    ok(!qs_model_open(dir, &e) && e.code == QS_EIO && strstr(e.msg, "folder"), "%s", e.msg);
    ok(!qs_model_open("/nonexistent/x.safetensors", &e) && e.code == QS_EIO && strstr(e.msg, "/nonexistent/x"), "%s", e.msg);
}

/* Whatever is put in the place of any byte: a header that is taken is JSON, and no key of it comes twice. */
static void as_strict_as_json(void)
{
    const char whole[] = "{\"__metadata__\":{\"k\":\"v\"},\"a\\n\":" T("F32", "[1]", "0", "4") ",\"\xc3\xa9\":" T("I8", "[ 1, 0 ]", "4", "4") "} ";
    const char put[] = "\"\\{}[]:,019-.eutna \n\x01\x7f\x80\xc3";
    size_t taken = 0, wrong = 0;
    for (size_t at = 0; at < sizeof whole - 1; at++) {
        for (size_t k = 0; k < sizeof put - 1; k++) {
            char text[sizeof whole];
            qs_err e;
            memcpy(text, whole, sizeof text);
            text[at] = put[k];
            qs_model *m = open_header(text, 4, 0, &e);
            json_t *j = m ? json_loads(text, JSON_REJECT_DUPLICATES, NULL) : NULL;
            taken += m != NULL;
            wrong += m && !j;
            json_decref(j);
            qs_model_unref(m);
        }
    }
    ok(taken > 100 && !wrong, "%zu changed headers are taken, %zu of them are no JSON", taken, wrong);
}

static void valid(void)
{
    qs_err e;
    qs_model *m = open_header("{}", 0, 0, &e);
    ok(m && m->n == 0 && m->weights == 0, "a file without tensors");
    qs_model_unref(m);
    m = open_header("{\"b\":" T("F32", "[1]", "4", "8") ",\"a\":" T("I8", "[4]", "0", "4") ",\"z\":" T("F32", "[0,2]", "4", "4")
                    "}       ", 8, 0, &e);
    ok(m && m->n == 3 && !strcmp(m->tensors[0]->name, "a") && !strcmp(m->tensors[1]->name, "z"),
       "tensors come in the order of their bytes; an empty one is no overlap");
    qs_model_unref(m);
    m = open_header("{\"q\":" T("F4", "[3,5]", "0", "7") ",\"d\":" T("F32", "[1,1,1,1,1,1,1,1,1]", "7", "11") "}", 11, 0, &e);
    ok(m && m->n == 2 && m->tensors[0]->dtype == QS_UNKNOWN_DTYPE && m->tensors[0]->n == 15 && qs_tensor_reason(m->tensors[0]),
       "an unknown type is listed");
    same(m ? m->tensors[0]->dtype_text : NULL, "F4", "by its name");
    ok(m && m->tensors[1]->dtype == QS_UNKNOWN_DTYPE && strstr(m->tensors[1]->dtype_text, "9 axes"), "too many axes are listed too");
    float x[15] = {1};
    if (m) qs_tensor_read(m->tensors[0], 0, 15, x);
    ok(x[0] == 0, "and read as zeros");
    qs_tensor *t = m ? qs_tensor_ref(m->tensors[0]) : NULL;
    qs_model_unref(m);
    same(t ? t->name : NULL, "q", "a tensor outlives its model");
    qs_tensor_unref(t);
}

static double value(const qs_model *m, const char *name, size_t i)
{
    const qs_tensor *t = qs_model_find(m, name);
    return t && i < t->n ? qs_tensor_at(t, i) : NAN;
}

static void sample(void)
{
    qs_err e = {0};
    char *file = in_source("data/sample.safetensors");
    qs_model *m = qs_model_open(file, &e);
    free(file);
    if (!ok(m && m->n == 30 && m->weights == 14 && m->values == 32577, "the sample: %s", e.msg)) return;
    same(m->format, "safetensors", "its format");
    ok(value(m, "scale", 0) == 0.5 && value(m, "ints.i64", 2) == 0x1p53 && value(m, "ints.u64", 1) == 0x1p64, "F32, I64, U64");
    ok(value(m, "ints.i32", 3) == -0x1p31 && value(m, "ints.i16", 3) == -32768 && value(m, "ints.i8", 3) == -128, "I32, I16, I8");
    ok(value(m, "ints.u32", 1) == 0x1p32 - 1 && value(m, "ints.u16", 1) == 65535 && value(m, "ints.u8", 1) == 255, "U32, U16, U8");
    ok(value(m, "mask", 0) == 1 && value(m, "mask", 1) == 0, "BOOL");
    ok(value(m, "fp8.e4m3", 0x7e) == 448 && isnan(value(m, "fp8.e4m3", 0x7f)) && value(m, "fp8.e5m2", 0x7b) == 57344, "F8");
    ok(isnan(value(m, "nonfinite.weight", 7)) && value(m, "nonfinite.weight", 200) == -INFINITY, "NaN and infinity");
    double s16 = 0, sb = 0;
    for (size_t i = 0; i < 4096; i++) {
        s16 += pow(value(m, "blocks.0.k_proj.weight", i), 2);
        sb += pow(value(m, "blocks.0.v_proj.weight", i), 2);
    }
    ok(fabs(sqrt(s16 / 4096) - 0.04) < 0.002 && fabs(sqrt(sb / 4096) - 0.04) < 0.002, "F16 and BF16 weights have their spread");
    ok(!qs_model_find(m, "no such tensor"), "a name that is not there");
    bool found = true;
    for (size_t i = 0; i < m->n; i++) found &= qs_model_find(m, m->tensors[i]->name) == m->tensors[i];
    ok(found, "every name finds its tensor");
    qs_model_unref(m);
}

int main(void)
{
    dir = tmp_dir();
    path = in_dir(dir, "t.safetensors");
    damaged();
    as_strict_as_json();
    valid();
    sample();
    unlink(path);
    rmdir(dir);
    free(path);
    free(dir);
    return done();
}
