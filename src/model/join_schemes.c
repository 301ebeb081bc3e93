/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How programs keep a quantized weight: what its codes, scales and zero points are called, how their shapes belong together, a
 * row of a table each. join.c goes over a model with it; reading is joined.c's.
 */
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "model/join_in.h"

bool qs_join_no(qs_found *f, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(f->why, sizeof f->why, fmt, ap);
    va_end(ap);
    return false;
}

bool qs_join_no_shape(qs_found *f, const qs_tensor *t)
{
    char shape[128];
    return qs_join_no(f, _("%s does not fit: %s %s"), t->name, t->dtype_text, qs_tensor_shape_text(t, shape, sizeof shape));
}

static bool is(const qs_tensor *t, qs_dtype d, int ndim) { return t && t->dtype == d && t->ndim == ndim && t->n; }
bool qs_join_is_scale(const qs_tensor *t) { return t && !t->packed && t->n && qs_dtype_float(t->dtype); }

static bool is_whole(const qs_tensor *t)
{
    return t && !t->packed && t->n && t->dtype != QS_BOOL && qs_dtype_size(t->dtype) && !qs_dtype_float(t->dtype);
}

static qs_tensor *named(const qs_found *f, const char *ending)
{
    char *name = qs_xasprintf("%s%s", f->stem, ending);
    qs_tensor *t = qs_model_find(f->m, name);
    free(name);
    return t;
}

static size_t dim(const qs_tensor *t, int axis) { return (size_t)t->shape[axis]; }

static void shape_of(qs_found *f, const qs_tensor *t)
{
    f->ndim = t->ndim;
    memcpy(f->shape, t->shape, sizeof f->shape);
}

static void base_name(qs_joined *j, const char *kind) { snprintf(j->base, sizeof j->base, "%s%d", kind, j->bits); }

/* ---- which scale belongs to which value ---------------------------------------------------------- */
static size_t product(const qs_tensor *t, int from, int to)
{
    size_t n = 1;
    for (int k = from; k < to; k++) n *= dim(t, k);
    return n;
}

static bool by_tensor(qs_found *f)
{
    f->j.outer = 1;
    f->j.axis = f->j.axis_block = f->part[CODES]->n;
    snprintf(f->j.granularity, sizeof f->j.granularity, "tensor");
    return true;
}

static bool by_channel(qs_found *f, int axis)
{
    const qs_tensor *c = f->part[CODES];
    f->j.outer = product(c, 0, axis);
    f->j.axis = dim(c, axis);
    f->j.inner = product(c, axis + 1, c->ndim);
    f->j.axis_step = 1;
    if (axis == (c->out_axis < 0 ? 0 : c->out_axis)) snprintf(f->j.granularity, sizeof f->j.granularity, "channel");
    else snprintf(f->j.granularity, sizeof f->j.granularity, "channel%d", axis);
    return true;
}

/* Blocks of `block` along one axis, for every place along the others. */
static bool by_block(qs_found *f, int axis, size_t block)
{
    const qs_tensor *c = f->part[CODES];
    f->j.outer = product(c, 0, axis);
    f->j.axis = dim(c, axis);
    f->j.inner = product(c, axis + 1, c->ndim);
    f->j.axis_block = block;
    f->j.axis_step = f->j.inner;
    f->j.inner_step = f->j.inner > 1;
    f->j.outer_step = ((f->j.axis - 1) / block + 1) * f->j.inner;
    snprintf(f->j.granularity, sizeof f->j.granularity, "group%zu", block);
    return true;
}

/* Scales [outputs, groups] of codes whose first axis is outputs and all others are inputs; block 0: by the shapes. */
static bool by_group(qs_found *f, size_t block)
{
    const qs_tensor *c = f->part[CODES], *s = f->part[SCALE];
    size_t in = product(c, 1, c->ndim), groups = dim(s, 1);
    if (!block) block = in % groups ? 0 : in / groups;
    if (!block || dim(s, 0) != dim(c, 0) || (in - 1) / block + 1 != groups) return qs_join_no_shape(f, s);
    f->j.outer = dim(c, 0);
    f->j.axis = in;
    f->j.axis_block = block;
    f->j.axis_step = 1;
    f->j.outer_step = groups;
    snprintf(f->j.granularity, sizeof f->j.granularity, "group%zu", block);
    return true;
}

/* Square blocks of a matrix: [outputs / b, inputs / b], the last ones short. */
static bool by_square(qs_found *f)
{
    const qs_tensor *c = f->part[CODES], *s = f->part[SCALE];
    size_t block = 128;      /* the one size in use (DeepSeek); the shapes alone do not say which */
    if (c->ndim != 2 || s->ndim != 2 || (dim(c, 0) - 1) / block + 1 != dim(s, 0) || (dim(c, 1) - 1) / block + 1 != dim(s, 1))
        return qs_join_no_shape(f, s);
    f->j.outer = dim(c, 0);
    f->j.axis = dim(c, 1);
    f->j.outer_block = f->j.axis_block = block;
    f->j.outer_step = dim(s, 1);
    f->j.axis_step = 1;
    snprintf(f->j.granularity, sizeof f->j.granularity, "block%zux%zu", block, block);
    return true;
}

/* The only axis along which the scales differ, where they have the axes of the codes; -1: none or several. */
static int broadcast_axis(const qs_tensor *c, const qs_tensor *s)
{
    int axis = -1;
    if (s->ndim != c->ndim) return -1;
    for (int k = 0; k < s->ndim; k++) {
        if (s->shape[k] == 1) continue;
        if (axis >= 0 || s->shape[k] != c->shape[k]) return -1;
        axis = k;
    }
    return axis;
}

static bool by_shapes(qs_found *f, size_t block)
{
    const qs_tensor *c = f->part[CODES], *s = f->part[SCALE];
    int axis = broadcast_axis(c, s);
    if (s->n == 1) return by_tensor(f);
    if (axis >= 0 && !block) return by_channel(f, axis);
    if (s->ndim == 1 && c->ndim >= 1 && s->n == dim(c, 0) && !block) return by_channel(f, 0);
    if (s->ndim == 2 && c->ndim >= 2) return by_group(f, block);
    return qs_join_no_shape(f, s);
}

/* ---- zero points ------------------------------------------------------------------------------------ */
static bool plain_zero(qs_found *f)
{
    const qs_tensor *z = f->part[ZERO];
    if (!z) return true;
    if ((z->packed && !qs_bits_are(z)) || !qs_dtype_size(z->dtype) || (z->n != 1 && z->n != f->part[SCALE]->n)) return qs_join_no_shape(f, z);
    return true;
}

/* ---- the schemes -------------------------------------------------------------------------------------- */
static void integers(qs_joined *j, int bits, bool is_signed)
{
    j->bits = bits;
    j->levels = 1 << bits;
    j->lowest = is_signed ? -(1 << (bits - 1)) : 0;
    base_name(j, is_signed ? "int" : "uint");
}

/* Codes of 2 or 4 bits, several a byte. */
static void small(qs_joined *j, const qs_packed_kind *k)
{
    if (!k->level) {
        integers(j, k->bits, k->lowest < 0);
        return;
    }
    j->bits = k->bits;
    j->levels = k->levels;
    j->level = qs_xmalloc((size_t)k->levels * sizeof *j->level);
    memcpy(j->level, k->level, (size_t)k->levels * sizeof *j->level);
    base_name(j, "fp");
}

static int ascending(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Levels of an 8-bit float: all 256 patterns, without NaN, infinity and the second zero. */
static void floats8(qs_joined *j, qs_dtype d)
{
    unsigned char all[256];
    float v[256];
    qs_blob b = {.refs = 2, .data = all, .size = sizeof all};
    qs_tensor t = {.refs = 2, .dtype = d, .ndim = 1, .shape = {256}, .n = 256, .data = all, .blob = &b};
    for (int i = 0; i < 256; i++) all[i] = (unsigned char)i;
    qs_tensor_read(&t, 0, 256, v);
    j->level = qs_xmalloc(256 * sizeof *j->level);
    for (int i = 0; i < 256; i++)
        if (v[i] - v[i] == 0 && !(v[i] == 0 && i)) j->level[j->levels++] = v[i];
    qsort(j->level, (size_t)j->levels, sizeof *j->level, ascending);
    j->bits = 8;
    snprintf(j->base, sizeof j->base, "%s", d == QS_F8_E4M3 ? "fp8e4m3" : "fp8e5m2");
}

/* Codes that are elements, as they stand. false, in silence: these are no codes. */
static bool plain_codes(qs_found *f)
{
    const qs_tensor *c = f->part[CODES];
    if (c->dtype == QS_I8 || c->dtype == QS_U8) integers(&f->j, 8, c->dtype == QS_I8);
    else if (c->dtype == QS_I16 || c->dtype == QS_U16) integers(&f->j, 16, c->dtype == QS_I16);
    else if (qs_bits_are(c)) small(&f->j, c->packed->kind);
    else if (c->dtype == QS_F8_E4M3 || c->dtype == QS_F8_E5M2) floats8(&f->j, c->dtype);
    else return false;
    shape_of(f, c);
    return c->n > 0;
}

static bool fit_scaled(qs_found *f)
{
    if (named(f, ".weight_scale_2")) return false;      /* NVFP4: two codes a byte */
    return plain_codes(f) && plain_zero(f) && by_shapes(f, 0);
}

static bool fit_square(qs_found *f) { return plain_codes(f) && (f->part[SCALE]->n == 1 ? by_tensor(f) : by_square(f)); }

/* bitsandbytes: SCB is the largest magnitude of a row, which has the code 127. */
static bool fit_scb(qs_found *f)
{
    if (f->part[CODES]->dtype != QS_I8 || !plain_codes(f)) return false;
    f->j.factor = 1 / 127.0;
    return f->part[CODES]->ndim == 2 && f->part[SCALE]->n == dim(f->part[CODES], 0) ? by_channel(f, 0) : qs_join_no_shape(f, f->part[SCALE]);
}

static void words(qs_joined *j, size_t outer, size_t axis, size_t group)
{
    j->levels = 1 << j->bits;
    j->outer = outer;
    j->axis = axis;
    j->axis_block = group;
    if (group == axis) snprintf(j->granularity, sizeof j->granularity, "channel");
    else snprintf(j->granularity, sizeof j->granularity, "group%zu", group);
}

static void matrix(qs_found *f, size_t out, size_t in)
{
    f->ndim = 2;
    f->shape[0] = (int64_t)out;
    f->shape[1] = (int64_t)in;
}

/* Bits of a code, from how many words hold n of them. 0: none. */
static int bits_in(size_t words, size_t n)
{
    static const int known[] = {2, 3, 4, 8};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (n % 32 == 0 && words == n / 32 * (size_t)known[i]) return known[i];
    return 0;
}

/* GPTQ stores zero - 1; its second version the zero itself. Where all are the middle of the codes nothing else makes
 * sense than that it is the zero. */
static bool second_version(const qs_tensor *z, int bits)
{
    uint32_t word[64], middle = 0;
    size_t n = z->n < 64 ? z->n : 64;
    if (bits == 3) return false;
    for (int k = 0; k < 32; k += bits) middle |= 1u << (k + bits - 1);
    qs_tensor_bytes(z, 0, 1, n, (unsigned char *)word);
    for (size_t i = 0; i < n; i++)
        if (word[i] != middle) return false;
    return true;
}

/* An order of the inputs that is none: group after group. */
static bool in_order(const qs_tensor *order, size_t group)
{
    for (size_t i = 0; i < order->n; i++)
        if (qs_tensor_at(order, i) != (double)(i / group)) return false;
    return true;
}

/* Inputs a group, by the order or by division. 0: neither says. */
static size_t group_size(qs_found *f, size_t in, size_t groups)
{
    qs_tensor *order = f->part[EXTRA];
    size_t group = (in - 1) / groups + 1;
    if (order && (!is_whole(order) || order->n != in)) return qs_join_no_shape(f, order), 0;
    if (order && in_order(order, group)) {
        f->also = order;
        f->part[EXTRA] = NULL;
    } else if (order) {
        f->j.extra = QS_EXTRA_ORDER;
    } else if (in % groups) {
        return qs_join_no(f, _("%s: %zu inputs do not make %zu groups"), f->stem, in, groups), 0;
    }
    return group;
}

static bool fit_gptq(qs_found *f)
{
    const qs_tensor *c = f->part[CODES], *s = f->part[SCALE], *z = f->part[ZERO];
    if (!is(c, QS_I32, 2) || !qs_join_is_scale(s) || s->ndim != 2 || dim(c, 1) != dim(s, 1)) return qs_join_no_shape(f, s);
    if (!is(z, QS_I32, 2) || dim(z, 0) != dim(s, 0)) return z ? qs_join_no_shape(f, z) : qs_join_no(f, _("%s has no qzeros"), f->stem);
    size_t out = dim(s, 1);
    int bits = f->j.bits = bits_in(dim(z, 1), out);
    if (!bits) return qs_join_no_shape(f, z);
    size_t in = dim(c, 0) / (size_t)bits * 32;
    if (dim(c, 0) % (size_t)bits) return qs_join_no_shape(f, c);
    size_t group = group_size(f, in, dim(s, 0));
    if (!group) return false;
    words(&f->j, out, in, group);
    f->j.outer_step = 1;
    f->j.axis_step = out;
    f->j.codes = QS_CODES_DOWN;
    f->j.zeros = QS_ZERO_BITS;
    f->j.zero_plus = !second_version(z, bits);
    base_name(&f->j, "uint");
    matrix(f, out, in);
    return true;
}

static bool fit_awq(qs_found *f)
{
    const qs_tensor *c = f->part[CODES], *s = f->part[SCALE], *z = f->part[ZERO];
    if (!is(c, QS_I32, 2) || !qs_join_is_scale(s) || s->ndim != 2 || dim(c, 1) != dim(s, 1) / 8 || dim(s, 1) % 8) return qs_join_no_shape(f, c);
    if (!is(z, QS_I32, 2) || dim(z, 0) != dim(s, 0) || dim(z, 1) != dim(c, 1)) return z ? qs_join_no_shape(f, z) : qs_join_no(f, _("%s has no qzeros"), f->stem);
    size_t out = dim(s, 1), in = dim(c, 0);
    if (in % dim(s, 0)) return qs_join_no_shape(f, s);
    f->j.bits = 4;
    words(&f->j, out, in, in / dim(s, 0));
    f->j.outer_step = 1;
    f->j.axis_step = out;
    f->j.codes = QS_CODES_AWQ;
    f->j.zeros = QS_ZERO_AWQ;
    base_name(&f->j, "uint");
    matrix(f, out, in);
    return true;
}

/* compressed-tensors, "pack-quantized": signed codes, stored with 2^(bits-1) added; zero points are not read. */
static bool fit_compressed(qs_found *f)
{
    const qs_tensor *c = f->part[CODES], *s = f->part[SCALE], *shape = f->part[ZERO];
    if (named(f, ".weight_zero_point")) return qs_join_no(f, _("%s: packed zero points are not known here"), f->stem);
    if (!is(c, QS_I32, 2) || !qs_join_is_scale(s) || s->ndim != 2 || dim(s, 0) != dim(c, 0)) return qs_join_no_shape(f, s);
    if (!shape) return qs_join_no(f, _("%s has no weight_shape"), f->stem);
    if (!is_whole(shape) || shape->n != 2 || qs_tensor_at(shape, 0) != (double)dim(c, 0)) return qs_join_no_shape(f, shape);
    double inputs = qs_tensor_at(shape, 1);
    if (!(inputs >= 1) || inputs > (double)dim(c, 1) * 16) return qs_join_no_shape(f, shape);
    size_t in = (size_t)inputs;
    if (!(f->j.bits = bits_in(dim(c, 1), in))) return qs_join_no_shape(f, c);
    f->also = f->part[ZERO];
    f->part[ZERO] = NULL;
    size_t group = group_size(f, in, dim(s, 1));
    if (!group) return false;
    words(&f->j, dim(c, 0), in, group);
    f->j.outer_step = dim(s, 1);
    f->j.axis_step = 1;
    f->j.codes = QS_CODES_ALONG;
    f->j.shift = f->j.lowest = -(1 << (f->j.bits - 1));
    base_name(&f->j, "int");
    matrix(f, dim(c, 0), in);
    return true;
}

/* ---- floats of 4 bits (E2M1), two a byte, the first in the low half ------------------------------------- */
static bool fp4_rows(qs_found *f, size_t outer, size_t row, size_t block)
{
    small(&f->j, &qs_bits_fp4);
    f->j.small = &qs_bits_fp4;
    f->j.codes = QS_CODES_BYTES;
    f->j.row = row;
    f->j.outer = outer;
    f->j.axis = 2 * row;
    f->j.axis_block = block;
    f->j.outer_step = 2 * row / block;
    f->j.axis_step = 1;
    snprintf(f->j.granularity, sizeof f->j.granularity, "group%zu", block);
    return true;
}

/* [..., inputs / 2] bytes, a scale for each `block` inputs. */
static bool fit_fp4(qs_found *f, size_t block)
{
    const qs_tensor *c = f->part[CODES], *s = f->part[SCALE];
    size_t row = dim(c, c->ndim - 1), outer = product(c, 0, c->ndim - 1);
    if (row * 2 % block || s->n != outer * (row * 2 / block)) return qs_join_no_shape(f, s);
    shape_of(f, c);
    f->shape[c->ndim - 1] *= 2;
    return fp4_rows(f, outer, row, block);
}

/* One more scale for the tensor, in the place of the zero point. */
static bool take_global(qs_found *f, double *to)
{
    qs_tensor *g = f->part[ZERO];
    if (!qs_join_is_scale(g) || g->n != 1) return qs_join_no_shape(f, g);
    *to = qs_tensor_at(g, 0);
    f->also = g;
    f->part[ZERO] = NULL;
    return true;
}

static bool is_nvfp4(const qs_found *f)
{
    const qs_tensor *c = f->part[CODES];
    return c->dtype == QS_U8 && c->ndim >= 2 && c->n && f->part[SCALE]->dtype == QS_F8_E4M3 && f->part[ZERO];
}

/* NVIDIA's ModelOpt multiplies by the global scale, compressed-tensors divides. */
static bool fit_modelopt(qs_found *f) { return is_nvfp4(f) && fit_fp4(f, 16) && take_global(f, &f->j.factor); }
static bool fit_nvfp4(qs_found *f) { return is_nvfp4(f) && fit_fp4(f, 16) && take_global(f, &f->j.divisor); }

static bool fit_mxfp4(qs_found *f)
{
    const qs_tensor *c = f->part[CODES];
    f->j.powers = true;
    return c->dtype == QS_U8 && c->ndim >= 2 && c->n && fit_fp4(f, 32);
}

/* gpt-oss: [..., rows, blocks, 16] bytes, scales [..., rows, blocks]. */
static bool fit_oss(qs_found *f)
{
    const qs_tensor *c = f->part[CODES], *s = f->part[SCALE];
    int last = c->ndim - 2;
    if (c->dtype != QS_U8 || c->ndim < 3 || !c->n || dim(c, c->ndim - 1) != 16) return false;
    if (s->ndim != c->ndim - 1 || s->n != c->n / 16 || dim(s, last) != dim(c, last)) return qs_join_no_shape(f, s);
    shape_of(f, c);
    f->ndim = c->ndim - 1;
    f->shape[last] *= 32;
    f->j.powers = true;
    return fp4_rows(f, product(c, 0, last), dim(c, last) * 16, 32);
}

/* GGUF: blocks that have scales of their own, and one more for all, each expert or each row. */
static bool fit_blocks(qs_found *f)
{
    const qs_tensor *c = f->part[CODES], *s = f->part[SCALE];
    if (!c->packed || qs_bits_are(c) || !c->n) return false;
    if (s->n != 1 && (c->ndim < 2 || s->n != dim(c, 0))) return qs_join_no_shape(f, s);
    f->blocks = true;
    shape_of(f, c);
    return true;
}

/* ---- what quantscope writes ------------------------------------------------------------------------------ */
/* "int4:narrow+zp@group32": base, bits, size of a group. */
static size_t read_format(qs_joined *j, const char *format)
{
    const char *group = strstr(format, "@group");
    size_t n = strspn(format, "abcdefghijklmnopqrstuvwxyz0123456789"), kind = strcspn(format, "0123456789");
    int bits = atoi(format + (kind < n ? kind : n));
    if (n < sizeof j->base) snprintf(j->base, sizeof j->base, "%.*s", (int)n, format);
    if (!j->level && bits >= 1 && bits <= 16) {
        bool is_signed = *format == 'i';
        j->bits = bits;
        j->lowest = is_signed ? -(1 << (bits - 1)) + (strstr(format, ":narrow") != NULL) : 0;
        j->levels = (1 << (bits - is_signed)) - j->lowest;
    }
    unsigned long size = group ? strtoul(group + 6, NULL, 10) : 0;
    return size < INT_MAX ? size : 0;
}

static int bits_for(int levels)
{
    int bits = 1;
    while (1 << bits < levels) bits++;
    return bits;
}

static bool take_book(qs_found *f, const qs_tensor *book)
{
    if (!qs_join_is_scale(book) || book->n > QS_PACKED_LEVELS || book->n < 2 || f->part[CODES]->dtype != QS_U8) return qs_join_no_shape(f, book);
    f->j.level = qs_xmalloc(QS_PACKED_LEVELS * sizeof *f->j.level);
    f->j.book = true;
    f->j.levels = (int)book->n;
    f->j.bits = bits_for(f->j.levels);
    base_name(&f->j, "code");
    qs_tensor_read(book, 0, book->n, f->j.level);
    for (size_t i = 1; i < book->n; i++)
        if (!(f->j.level[i - 1] < f->j.level[i])) return qs_join_no(f, _("%s does not ascend"), book->name);
    f->also = f->part[EXTRA];
    f->part[EXTRA] = NULL;
    return true;
}

static bool fit_ours(qs_found *f)
{
    const char *format = f->m->hints ? f->m->hints->format : NULL;
    size_t group = 0;
    if (!plain_codes(f)) return false;
    if (f->part[EXTRA] && !take_book(f, f->part[EXTRA])) return false;
    if (format) group = read_format(&f->j, format);
    if (f->part[SCALE]->ndim == 3 && group) return qs_join_no(f, _("%s: its groups do not run along rows"), f->stem);
    qs_tensor *offset = named(f, ".offset");
    if (offset && (!qs_join_is_scale(offset) || offset->n != f->part[SCALE]->n)) return qs_join_no_shape(f, offset);
    if (offset) f->j.extra = QS_EXTRA_OFFSET;
    if (offset) f->part[EXTRA] = offset;
    return plain_zero(f) && by_shapes(f, group);
}

/* ---- what a reader tells (ONNX) ---------------------------------------------------------------------------- */
/* Packed bits, or numbers as the scales are; without either the zero is in the middle, so the codes are signed. */
static bool fit_nbits_zero(qs_found *f, size_t blocks)
{
    qs_tensor *z = f->part[ZERO];
    int bits = f->j.bits;
    if (!z) {
        f->j.shift = f->j.lowest = -(1 << (bits - 1));
    } else if (z->dtype == QS_U8 && z->n == f->told->rows * ((blocks * (size_t)bits + 7) / 8)) {
        f->j.zeros = QS_ZERO_BYTES;
    } else if (!qs_join_is_scale(z) || z->n != f->part[SCALE]->n) {
        return qs_join_no_shape(f, z);
    }
    base_name(&f->j, z ? "uint" : "int");
    return true;
}

static bool nbits_order(qs_found *f)
{
    qs_tensor *order = f->told->order;
    if (!is_whole(order) || order->n != f->told->inputs) return qs_join_no_shape(f, order);
    if (in_order(order, f->told->block)) {
        f->also = order;
    } else {
        f->part[EXTRA] = order;
        f->j.extra = QS_EXTRA_ORDER;
    }
    return true;
}

/* MatMulNBits: [rows, blocks, block * bits / 8] bytes, scales [rows, blocks]. */
static bool fit_nbits(qs_found *f)
{
    const qs_told *t = f->told;
    const qs_tensor *c = f->part[CODES], *s = f->part[SCALE];
    size_t blocks = t->block && t->inputs ? (t->inputs - 1) / t->block + 1 : 0, row, all, scales;
    if (t->bits < 2 || t->bits > 8 || !blocks || !t->rows || t->block % 8 || t->block > c->n * 4 || t->inputs > c->n * 4)
        return qs_join_no(f, _("%s: not the bits, blocks and shape that MatMulNBits has"), c->name);
    row = blocks * (t->block / 8 * (size_t)t->bits);
    if (c->dtype != QS_U8 || !qs_mul(row, t->rows, &all) || all != c->n) return qs_join_no_shape(f, c);
    if (!qs_mul(blocks, t->rows, &scales) || s->n != scales) return qs_join_no_shape(f, s);
    f->j.bits = t->bits;
    if (t->order && !nbits_order(f)) return false;
    words(&f->j, t->rows, t->inputs, t->block < t->inputs ? t->block : t->inputs);
    f->j.outer_step = blocks;
    f->j.axis_step = 1;
    f->j.codes = QS_CODES_BYTES;
    f->j.row = row;
    matrix(f, t->rows, t->inputs);
    return fit_nbits_zero(f, blocks);
}

/* DequantizeLinear. */
static bool fit_told(qs_found *f)
{
    const qs_tensor *c = f->part[CODES], *s = f->part[SCALE];
    int axis = f->told->axis < 0 ? f->told->axis + c->ndim : f->told->axis;
    if (f->told->bits) return fit_nbits(f);
    if (!plain_codes(f) || !plain_zero(f)) return false;
    if (s->n == 1) return by_tensor(f);
    if (axis < 0 || axis >= c->ndim) return qs_join_no(f, _("%s has no axis %d"), c->name, f->told->axis);
    if (!f->told->block) return s->ndim == 1 && s->n == dim(c, axis) ? by_channel(f, axis) : qs_join_no_shape(f, s);
    bool fits = s->ndim == c->ndim && dim(s, axis) == (dim(c, axis) - 1) / f->told->block + 1;
    for (int k = 0; k < c->ndim && fits; k++) fits = k == axis || s->shape[k] == c->shape[k];
    return fits ? by_block(f, axis, f->told->block) : qs_join_no_shape(f, s);
}

/* ---- the table ------------------------------------------------------------------------------------------------ */
const qs_join_rule qs_join_rules[] = {
    {"quantscope", {".codes", ".scale", ".zero_point", ".codebook"}, "", fit_ours, false},
    {"NVFP4", {".weight", ".weight_scale", ".weight_scale_2", ""}, ".weight", fit_modelopt, false},
    {"NVFP4", {".weight_packed", ".weight_scale", ".weight_global_scale", ""}, ".weight", fit_nvfp4, false},
    {"MXFP4", {".weight_packed", ".weight_scale", "", ""}, ".weight", fit_mxfp4, true},
    {"MXFP4", {"_blocks", "_scales", "", ""}, "", fit_oss, true},
    {"GPTQ", {".qweight", ".scales", ".qzeros", ".g_idx"}, ".weight", fit_gptq, false},
    {"AWQ", {".qweight", ".scales", ".qzeros", ""}, ".weight", fit_awq, false},
    {"compressed-tensors", {".weight_packed", ".weight_scale", ".weight_shape", ".weight_g_idx"}, ".weight", fit_compressed, false},
    {"codes with scales", {".weight", ".weight_scale", ".weight_zero_point", ""}, ".weight", fit_scaled, false},
    {"codes with scales", {".weight", ".scale", ".zero_point", ""}, ".weight", fit_scaled, false},
    {"bitsandbytes", {".weight", ".SCB", "", ""}, ".weight", fit_scb, false},
    {"8-bit floats with scales", {".weight", ".weight_scale_inv", "", ""}, ".weight", fit_square, false},
    {"blocks under a scale", {".weight", ".scale", "", ""}, ".weight", fit_blocks, false},
    {"blocks under a scale", {".weight", ".weight.scale", "", ""}, ".weight", fit_blocks, false},
    {NULL, {NULL}, NULL, NULL, false},
};
_Static_assert(sizeof qs_join_rules / sizeof *qs_join_rules <= 65, "joining.may has a bit a row");
const qs_join_rule qs_join_onnx = {"DequantizeLinear", {"", "", "", ""}, "", fit_told, false};
const qs_join_rule qs_join_onnx_bits = {"MatMulNBits", {"", "", "", ""}, "", fit_told, false};
