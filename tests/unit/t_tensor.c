/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Tensors and splits: every type against values known by hand, byte order, Fortran order, misaligned data, and that
 * gather, where and scatter agree with the definition of a part. */
#include <stdlib.h>

#include "model/model.h"
#include "../tap.h"

static qs_blob *bytes(const void *p, size_t n, size_t shift)
{
    qs_blob *b = qs_blob_new(n + shift, NULL);
    memcpy((char *)qs_blob_mem(b) + shift, p, n);
    return b;
}

static qs_tensor *over(qs_dtype d, int ndim, const int64_t *shape, const void *p, size_t n, size_t shift)
{
    qs_blob *b = bytes(p, n, shift);
    qs_tensor *t = qs_tensor_new("t", d, ndim, shape, b, b->data + shift, NULL);
    qs_blob_unref(b);
    return t;
}

/* ---- types ----------------------------------------------------------------------- */
static bool same_float(float a, float b) { return (isnan(a) && isnan(b)) || (a == b && signbit(a) == signbit(b)); }

static void check_values(qs_dtype d, const void *p, const float *want, int64_t n)
{
    size_t size = qs_dtype_size(d);
    for (size_t shift = 0; shift < 2; shift++) { /* 1: misaligned */
        float got[16];
        bool good = true;
        qs_tensor *t = over(d, 1, &n, p, (size_t)n * size, shift);
        qs_tensor_read(t, 0, (size_t)n, got);
        for (int64_t i = 0; i < n; i++) good &= same_float(got[i], want[i]) && same_float((float)qs_tensor_at(t, (size_t)i), want[i]);
        qs_tensor_read(t, 1, (size_t)n - 1, got);
        for (int64_t i = 1; i < n; i++) good &= same_float(got[i - 1], want[i]);
        ok(good, "%s%s", qs_dtype_name(d), shift && size > 1 ? ", misaligned" : "");
        qs_tensor_unref(t);
    }
}

#define CHECK(d, type, ...) do { const type v[] = __VA_ARGS__; check_values(d, v, want, sizeof v / sizeof *v); } while (0)

static void types(void)
{
    {
        const float want[] = {0, 1.5f, -2, 0.1f, INFINITY, 1e30f};
        CHECK(QS_F64, double, {0, 1.5, -2, 0.1, 1e300, 1e30});
    }
    {
        const float want[] = {0, -0.0f, 1.5f, INFINITY, NAN};
        CHECK(QS_F32, float, {0, -0.0f, 1.5f, INFINITY, NAN});
    }
    {
        const float want[] = {0, -0.0f, 1, -2, 65504, 0x1p-14f, 0x1p-24f, 1023 * 0x1p-24f, INFINITY, -INFINITY, NAN, 0x1.554p-2f};
        CHECK(QS_F16, uint16_t, {0, 0x8000, 0x3c00, 0xc000, 0x7bff, 0x0400, 1, 0x03ff, 0x7c00, 0xfc00, 0x7e01, 0x3555});
    }
    {
        const float want[] = {0, -0.0f, 1, -2, INFINITY, NAN, 0x1p-133f, 3.140625f};
        CHECK(QS_BF16, uint16_t, {0, 0x8000, 0x3f80, 0xc000, 0x7f80, 0x7fc0, 1, 0x4049});
    }
    {
        const float want[] = {0, -0.0f, 1, 448, -448, NAN, NAN, 0x1p-9f, 7 * 0x1p-9f, 0x1p-6f, 1.125f, 256};
        CHECK(QS_F8_E4M3, uint8_t, {0, 0x80, 0x38, 0x7e, 0xfe, 0x7f, 0xff, 1, 7, 8, 0x39, 0x78});
    }
    {
        const float want[] = {0, -0.0f, 1, 57344, -INFINITY, NAN, NAN, 0x1p-16f, 3 * 0x1p-16f, 0x1p-14f, 1.25f};
        CHECK(QS_F8_E5M2, uint8_t, {0, 0x80, 0x3c, 0x7b, 0xfc, 0x7d, 0xff, 1, 3, 4, 0x3d});
    }
    {
        const float want[] = {0, -1, 16777216, -9223372036854775808.0f};
        CHECK(QS_I64, int64_t, {0, -1, 16777217, INT64_MIN});
    }
    { const float want[] = {5, -2147483648.0f}; CHECK(QS_I32, int32_t, {5, INT32_MIN}); }
    { const float want[] = {5, -32768}; CHECK(QS_I16, int16_t, {5, INT16_MIN}); }
    { const float want[] = {5, -128, 127}; CHECK(QS_I8, int8_t, {5, INT8_MIN, INT8_MAX}); }
    { const float want[] = {5, 18446744073709551616.0f}; CHECK(QS_U64, uint64_t, {5, UINT64_MAX}); }
    { const float want[] = {5, 4294967296.0f}; CHECK(QS_U32, uint32_t, {5, UINT32_MAX}); }
    { const float want[] = {5, 65535}; CHECK(QS_U16, uint16_t, {5, 65535}); }
    { const float want[] = {5, 255}; CHECK(QS_U8, uint8_t, {5, 255}); }
    { const float want[] = {0, 1, 1}; CHECK(QS_BOOL, uint8_t, {0, 1, 7}); }
    const int64_t two = 2, wide[] = {9007199254740993, -1};
    qs_tensor *t = over(QS_I64, 1, &two, wide, sizeof wide, 0);
    ok(qs_tensor_at(t, 0) == 9007199254740992.0, "an I64 beyond 2^53 rounds to a double");
    qs_tensor_unref(t);
}

/* ---- orders ------------------------------------------------------------------------ */
static void orders(void)
{
    const unsigned char big[] = {0x3f, 0x80, 0, 0, 0xc0, 0x49, 0x0f, 0xdb};
    const int64_t two = 2, shape[] = {2, 3, 2};
    float got[12], got1[12];
    qs_tensor *t = over(QS_F32, 1, &two, big, sizeof big, 0);
    t->swapped = true;
    qs_tensor_read(t, 0, 2, got);
    ok(got[0] == 1 && got[1] == -3.14159274f && qs_tensor_at(t, 1) == got[1] && !qs_tensor_floats(t), "big-endian floats");
    qs_tensor_unref(t);

    float f[12]; /* element (i,j,k) = 100 i + 10 j + k, stored in Fortran order */
    for (int i = 0; i < 12; i++) f[i] = (float)(100 * (i % 2) + 10 * (i / 2 % 3) + i / 6);
    t = over(QS_F32, 3, shape, f, sizeof f, 0);
    qs_tensor_fortran(t);
    bool good = !qs_tensor_floats(t);
    qs_tensor_read(t, 0, 12, got);
    for (int i = 0; i < 12; i++) {
        good &= got[i] == (float)(100 * (i / 6) + 10 * (i / 2 % 3) + i % 2) && qs_tensor_at(t, (size_t)i) == got[i];
        qs_tensor_read(t, (size_t)i, 1, got1);
        good &= *got1 == got[i];
    }
    ok(good, "Fortran order is read in C order, from any start");
    qs_split s;
    ok(!qs_split_init(&s, t, QS_SPLIT_CHANNEL, 1, 0, NULL) && s.parts == 3, "channels of a Fortran array");
    qs_split_gather(&s, t, 2, got);
    ok(got[0] == 20 && got[1] == 21 && got[2] == 120 && got[3] == 121, "gathered in C order");
    qs_tensor_unref(t);
}

static void strides(void)
{
    float f[24], got[24];
    qs_err e = {0};
    for (int i = 0; i < 24; i++) f[i] = (float)i;
    const int64_t shape[] = {3, 2, 2}, wide[] = {4, 1000}, huge[] = {1 << 20, 1 << 20};
    const size_t stride[] = {1, 12, 5}, plain[] = {4, 2, 1}, expand[] = {1, 0}, none[] = {0, 0}, far[] = {SIZE_MAX / 2, 1, 1};
    qs_blob *b = qs_blob_new(sizeof f, NULL);
    memcpy(qs_blob_mem(b), f, sizeof f);
    qs_tensor *t = qs_tensor_strided("t", QS_F32, 3, shape, stride, b, b->data + 8, b->size - 8, &e);
    bool good = t && t->strided && !qs_tensor_floats(t);
    for (size_t start = 0; t && start < 12; start++) {
        qs_tensor_read(t, start, 12 - start, got);
        for (size_t i = start; i < 12; i++)
            good &= got[i - start] == (float)(2 + i / 4 + 12 * (i / 2 % 2) + 5 * (i % 2)) && qs_tensor_at(t, i) == (double)got[i - start];
    }
    ok(good, "any strides are read in C order, from any start");
    qs_split s;
    ok(t && !qs_split_init(&s, t, QS_SPLIT_CHANNEL, 1, 0, NULL) && s.parts == 2, "channels");
    if (t) qs_split_gather(&s, t, 1, got);
    ok(got[0] == 14 && got[1] == 19 && got[2] == 15 && got[5] == 21, "gathered in C order");
    qs_tensor_unref(t);
    t = qs_tensor_strided("t", QS_F32, 3, shape, plain, b, b->data, b->size, &e);
    ok(t && !t->strided && qs_tensor_floats(t), "the strides of C order are none");
    qs_tensor_unref(t);
    t = qs_tensor_strided("t", QS_F32, 2, wide, expand, b, b->data, b->size, &e);
    ok(t && t->n == 4000 && qs_tensor_at(t, 999) == 0 && qs_tensor_at(t, 3001) == 3, "expanded: %s", e.msg);
    qs_tensor_unref(t);
    ok(!qs_tensor_strided("t", QS_F32, 2, huge, none, b, b->data, b->size, &e) && strstr(e.msg, "1024 times"), "%s", e.msg);
    ok(!qs_tensor_strided("t", QS_F32, 3, shape, far, b, b->data, b->size, &e) && strstr(e.msg, "beyond"), "%s", e.msg);
    ok(!qs_tensor_strided("t", QS_F32, 3, shape, stride, b, b->data + 24, b->size - 24, &e) && strstr(e.msg, "beyond"), "%s", e.msg);
    qs_blob_unref(b);
}

/* ---- making ------------------------------------------------------------------------- */
static void making(void)
{
    qs_err e = {0};
    float *mem;
    char buf[64];
    const int64_t s23[] = {2, 3}, bad[] = {2, -3}, huge[] = {INT64_MAX, 2}, empty[] = {INT64_MAX, INT64_MAX, 0}, one[] = {1};
    qs_tensor *t = qs_tensor_f32("w", 2, s23, &mem, &e);
    ok(t && t->n == 6 && t->out_axis == -1 && qs_tensor_floats(t) == mem && mem[5] == 0, "a float32 tensor of ours");
    same(qs_tensor_shape_text(t, buf, sizeof buf), "[2,3]", "its shape as text");
    same(qs_tensor_shape_text(t, buf, 4), "[2,", "cut where it does not fit");
    ok(!qs_tensor_reason(t), "a weight");
    ok(!qs_tensor_new("x", QS_F32, 2, s23, t->blob, t->data + 4, &e) && e.code == QS_EARG, "data beyond its blob: %s", e.msg);
    ok(!qs_tensor_new("x", QS_F32, 2, s23, t->blob, t->data - 4, &e), "data before its blob");
    ok(!qs_tensor_new("x", QS_F32, 2, s23, NULL, NULL, &e), "data from nowhere");
    qs_tensor_unref(t);
    ok(!qs_tensor_f32("w", 2, bad, &mem, &e) && e.code == QS_EARG, "negative: %s", e.msg);
    ok(!qs_tensor_f32("w", 2, huge, &mem, &e) && e.code == QS_EARG, "overflow: %s", e.msg);
    ok(!qs_tensor_f32("w", 9, empty, &mem, &e) && e.code == QS_EARG, "9 axes: %s", e.msg);
    t = qs_tensor_f32("w", 3, empty, &mem, &e);
    ok(t && t->n == 0, "an axis of length 0 makes any shape empty");
    same(qs_tensor_reason(t), "empty", "and says so");
    qs_tensor_unref(t);
    t = qs_tensor_f32("w", 0, NULL, &mem, &e);
    ok(t && t->n == 1, "a scalar has one element");
    same(qs_tensor_reason(t), "a scalar", "and says so");
    same(qs_tensor_shape_text(t, buf, sizeof buf), "[]", "its shape as text");
    qs_tensor_unref(t);
    t = qs_tensor_f32("w", 1, one, &mem, &e);
    same(qs_tensor_reason(t), "one dimension: a bias or a norm", "a vector");
    t->dtype = QS_I32;
    ok(!strncmp(qs_tensor_reason(t), "integers", 8), "integers");
    t->dtype = QS_F8_E4M3;
    same(qs_tensor_reason(t), "already 8-bit floats", "8-bit floats");
    t->dtype = QS_UNKNOWN_DTYPE;
    ok(qs_tensor_reason(t) != NULL, "unknown types");
    qs_tensor_unref(t);
}

/* ---- splits --------------------------------------------------------------------------- */
/* Walks all parts: where must be a permutation, gather the values there, scatter the inverse, lengths add up. */
static bool consistent(const qs_split *s, const qs_tensor *t)
{
    size_t n = t->n, seen = 0;
    float *out = calloc(n + 1, sizeof *out), *back = calloc(n + 1, sizeof *back);
    unsigned char *hit = calloc(n + 1, 1);
    bool good = true;
    for (size_t p = 0; p < s->parts; p++) {
        size_t len = qs_split_len(s, t, p);
        good &= len <= qs_split_longest(s, t) && (len > 0 || n == 0);
        qs_split_gather(s, t, p, out);
        for (size_t i = 0; i < len && good; i++) {
            size_t w = qs_split_where(s, t, p, i);
            good &= w < n && !hit[w] && (double)out[i] == qs_tensor_at(t, w);
            good &= !s->contiguous || i == 0 || w == qs_split_where(s, t, p, i - 1) + 1;
            if (w < n) hit[w] = 1;
        }
        qs_split_scatter(s, t, p, out, back);
        seen += len;
    }
    for (size_t i = 0; i < n; i++) good &= (double)back[i] == qs_tensor_at(t, i);
    free(out);
    free(back);
    free(hit);
    return good && seen == n;
}

static qs_tensor *counting(int ndim, const int64_t *shape)
{
    float *mem;
    qs_tensor *t = qs_tensor_f32("t", ndim, shape, &mem, NULL);
    for (size_t i = 0; i < t->n; i++) mem[i] = (float)i + 1;
    return t;
}

static void all_splits(void)
{
    static const struct { int ndim; int64_t shape[5]; } shapes[] = {
        {0, {0}}, {1, {7}}, {2, {4, 6}}, {2, {1, 5}}, {2, {5, 1}}, {3, {2, 3, 4}}, {4, {3, 5, 2, 2}}, {4, {6, 1, 3, 3}},
        {4, {2, 1, 1, 700}}, {5, {2, 3, 2, 1, 5}}, {2, {0, 3}}, {2, {3, 0}},
    };
    qs_split s;
    for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++) {
        qs_tensor *t = counting(shapes[k].ndim, shapes[k].shape);
        char buf[64];
        bool good = !qs_split_init(&s, t, QS_SPLIT_TENSOR, -1, 0, NULL) && s.parts == 1 && consistent(&s, t);
        for (int a = 0; a < (t->ndim ? t->ndim : 1); a++)
            good &= !qs_split_init(&s, t, QS_SPLIT_CHANNEL, a, 0, NULL) && consistent(&s, t)
                    && (!t->n || s.parts == (size_t)(t->ndim ? t->shape[a] : 1));
        for (unsigned mask = 0; mask < 1u << t->ndim; mask++)
            for (size_t g = 1; g < 9; g += 1 + g / 3) {
                t->in_axes = mask;
                good &= !qs_split_init(&s, t, QS_SPLIT_GROUP, -1, g, NULL) && consistent(&s, t);
            }
        ok(good, "every split of %s covers it once and comes back", qs_tensor_shape_text(t, buf, sizeof buf));
        qs_tensor_unref(t);
    }
}

static void known_splits(void)
{
    qs_split s;
    qs_err e = {0};
    float got[64];
    const int64_t mat[] = {5, 3}, conv[] = {4, 3, 2, 2}, vec[] = {10};
    qs_tensor *t = counting(2, mat); /* a MatMul weight [in,out] */
    t->out_axis = 1;
    t->in_axes = 1;
    ok(!qs_split_init(&s, t, QS_SPLIT_GROUP, -1, 2, &e) && s.parts == 9 && s.out == 3 && s.in == 5 && !s.contiguous,
       "groups of 2 along 5 inputs of 3 outputs");
    qs_split_gather(&s, t, 4, got);
    ok(qs_split_len(&s, t, 4) == 2 && got[0] == 8 && got[1] == 11, "the second group of the second output");
    ok(qs_split_len(&s, t, 5) == 1, "the last group is short");
    ok(!qs_split_init(&s, t, QS_SPLIT_CHANNEL, -1, 0, &e) && s.parts == 3 && s.axis == 1, "channels along out_axis");
    ok(!qs_split_init(&s, t, QS_SPLIT_CHANNEL, 0, 0, &e) && s.parts == 5 && s.contiguous, "an axis by number");
    ok(qs_split_init(&s, t, QS_SPLIT_CHANNEL, 2, 0, &e) == -QS_EARG, "no such axis: %s", e.msg);
    ok(qs_split_init(&s, t, QS_SPLIT_GROUP, -1, 0, &e) == -QS_EARG, "groups of nothing: %s", e.msg);
    qs_tensor_unref(t);
    t = counting(4, conv);
    ok(!qs_split_init(&s, t, QS_SPLIT_GROUP, -1, 5, &e) && s.parts == 12 && s.contiguous, "unknown axes: axis 0 is output");
    qs_split_gather(&s, t, 5, got);
    ok(qs_split_len(&s, t, 5) == 2 && got[0] == 23 && got[1] == 24, "the last group of the second channel");
    t->in_axes = 2; /* only the second axis: the kernel axes count as output */
    ok(!qs_split_init(&s, t, QS_SPLIT_GROUP, -1, 8, &e) && s.out == 16 && s.in == 3, "axes that are neither count as output");
    qs_tensor_unref(t);
    t = counting(1, vec);
    ok(!qs_split_init(&s, t, QS_SPLIT_GROUP, -1, 4, &e) && s.parts == 3, "groups run along a vector");
    qs_tensor_unref(t);
}

int main(void)
{
    types();
    orders();
    strides();
    making();
    all_splits();
    known_splits();
    return done();
}
