/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Quantized models: finds the tensors that are codes, scales and zero points of one weight and puts one tensor in their
 * place. Runs after every reader. Knows how programs name and shape them, a row of a table each; reading is joined.c's.
 *
 * What does not fit stays as it was, and the model's note says why.
 */
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "model/joined.h"

enum { CODES = QS_JOINED_CODES, SCALE = QS_JOINED_SCALE, ZERO = QS_JOINED_ZERO, EXTRA = QS_JOINED_EXTRA };

/* What was found for one weight, and what it makes. */
typedef struct found {
    qs_model *m;
    qs_tensor *part[4];        /* borrowed from the model */
    qs_tensor *also;           /* goes with them, and is not read later */
    char *stem;
    const qs_told *told;       /* what the reader knows, or NULL */
    qs_joined j;
    int ndim;
    int64_t shape[QS_MAXDIM];
    bool blocks;               /* CODES have scales of their own: qs_scaled_tensor */
    char why[160];             /* it does not fit */
} found;

__attribute__((format(printf, 2, 3))) static bool no(found *f, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(f->why, sizeof f->why, fmt, ap);
    va_end(ap);
    return false;
}

static bool no_shape(found *f, const qs_tensor *t)
{
    char shape[128];
    return no(f, _("%s does not fit: %s %s"), t->name, t->dtype_text, qs_tensor_shape_text(t, shape, sizeof shape));
}

static bool is(const qs_tensor *t, qs_dtype d, int ndim) { return t && t->dtype == d && t->ndim == ndim && t->n; }
static bool is_scale(const qs_tensor *t) { return t && !t->packed && t->n && qs_dtype_float(t->dtype); }

static bool is_whole(const qs_tensor *t)
{
    return t && !t->packed && t->n && t->dtype != QS_BOOL && qs_dtype_size(t->dtype) && !qs_dtype_float(t->dtype);
}

static qs_tensor *named(const found *f, const char *ending)
{
    char *name = qs_xasprintf("%s%s", f->stem, ending);
    qs_tensor *t = qs_model_find(f->m, name);
    free(name);
    return t;
}

static size_t dim(const qs_tensor *t, int axis) { return (size_t)t->shape[axis]; }

static void shape_of(found *f, const qs_tensor *t)
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

static bool by_tensor(found *f)
{
    f->j.outer = 1;
    f->j.axis = f->j.axis_block = f->part[CODES]->n;
    snprintf(f->j.granularity, sizeof f->j.granularity, "tensor");
    return true;
}

static bool by_channel(found *f, int axis)
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
static bool by_block(found *f, int axis, size_t block)
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
static bool by_group(found *f, size_t block)
{
    const qs_tensor *c = f->part[CODES], *s = f->part[SCALE];
    size_t in = product(c, 1, c->ndim), groups = dim(s, 1);
    if (!block) block = in % groups ? 0 : in / groups;
    if (!block || dim(s, 0) != dim(c, 0) || (in - 1) / block + 1 != groups) return no_shape(f, s);
    f->j.outer = dim(c, 0);
    f->j.axis = in;
    f->j.axis_block = block;
    f->j.axis_step = 1;
    f->j.outer_step = groups;
    snprintf(f->j.granularity, sizeof f->j.granularity, "group%zu", block);
    return true;
}

/* Square blocks of a matrix: [outputs / b, inputs / b], the last ones short. */
static bool by_square(found *f)
{
    const qs_tensor *c = f->part[CODES], *s = f->part[SCALE];
    size_t block = 128;      /* the one size in use (DeepSeek); the shapes alone do not say which */
    if (c->ndim != 2 || s->ndim != 2 || (dim(c, 0) - 1) / block + 1 != dim(s, 0) || (dim(c, 1) - 1) / block + 1 != dim(s, 1))
        return no_shape(f, s);
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

static bool by_shapes(found *f, size_t block)
{
    const qs_tensor *c = f->part[CODES], *s = f->part[SCALE];
    int axis = broadcast_axis(c, s);
    if (s->n == 1) return by_tensor(f);
    if (axis >= 0 && !block) return by_channel(f, axis);
    if (s->ndim == 1 && c->ndim >= 1 && s->n == dim(c, 0) && !block) return by_channel(f, 0);
    if (s->ndim == 2 && c->ndim >= 2) return by_group(f, block);
    return no_shape(f, s);
}

/* ---- zero points ------------------------------------------------------------------------------------ */
static bool plain_zero(found *f)
{
    const qs_tensor *z = f->part[ZERO];
    if (!z) return true;
    if ((z->packed && !qs_bits_are(z)) || !qs_dtype_size(z->dtype) || (z->n != 1 && z->n != f->part[SCALE]->n)) return no_shape(f, z);
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
static bool plain_codes(found *f)
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

static bool fit_scaled(found *f)
{
    if (named(f, ".weight_scale_2")) return false;      /* NVFP4: two codes a byte */
    return plain_codes(f) && plain_zero(f) && by_shapes(f, 0);
}

static bool fit_square(found *f) { return plain_codes(f) && (f->part[SCALE]->n == 1 ? by_tensor(f) : by_square(f)); }

/* bitsandbytes: SCB is the largest magnitude of a row, which has the code 127. */
static bool fit_scb(found *f)
{
    if (f->part[CODES]->dtype != QS_I8 || !plain_codes(f)) return false;
    f->j.factor = 1 / 127.0;
    return f->part[CODES]->ndim == 2 && f->part[SCALE]->n == dim(f->part[CODES], 0) ? by_channel(f, 0) : no_shape(f, f->part[SCALE]);
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

static void matrix(found *f, size_t out, size_t in)
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
static size_t group_size(found *f, size_t in, size_t groups)
{
    qs_tensor *order = f->part[EXTRA];
    size_t group = (in - 1) / groups + 1;
    if (order && (!is_whole(order) || order->n != in)) return no_shape(f, order), 0;
    if (order && in_order(order, group)) {
        f->also = order;
        f->part[EXTRA] = NULL;
    } else if (order) {
        f->j.extra = QS_EXTRA_ORDER;
    } else if (in % groups) {
        return no(f, _("%s: %zu inputs do not make %zu groups"), f->stem, in, groups), 0;
    }
    return group;
}

static bool fit_gptq(found *f)
{
    const qs_tensor *c = f->part[CODES], *s = f->part[SCALE], *z = f->part[ZERO];
    if (!is(c, QS_I32, 2) || !is_scale(s) || s->ndim != 2 || dim(c, 1) != dim(s, 1)) return no_shape(f, s);
    if (!is(z, QS_I32, 2) || dim(z, 0) != dim(s, 0)) return z ? no_shape(f, z) : no(f, _("%s has no qzeros"), f->stem);
    size_t out = dim(s, 1);
    int bits = f->j.bits = bits_in(dim(z, 1), out);
    if (!bits) return no_shape(f, z);
    size_t in = dim(c, 0) / (size_t)bits * 32;
    if (dim(c, 0) % (size_t)bits) return no_shape(f, c);
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

static bool fit_awq(found *f)
{
    const qs_tensor *c = f->part[CODES], *s = f->part[SCALE], *z = f->part[ZERO];
    if (!is(c, QS_I32, 2) || !is_scale(s) || s->ndim != 2 || dim(c, 1) != dim(s, 1) / 8 || dim(s, 1) % 8) return no_shape(f, c);
    if (!is(z, QS_I32, 2) || dim(z, 0) != dim(s, 0) || dim(z, 1) != dim(c, 1)) return z ? no_shape(f, z) : no(f, _("%s has no qzeros"), f->stem);
    size_t out = dim(s, 1), in = dim(c, 0);
    if (in % dim(s, 0)) return no_shape(f, s);
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
static bool fit_compressed(found *f)
{
    const qs_tensor *c = f->part[CODES], *s = f->part[SCALE], *shape = f->part[ZERO];
    if (named(f, ".weight_zero_point")) return no(f, _("%s: packed zero points are not known here"), f->stem);
    if (!is(c, QS_I32, 2) || !is_scale(s) || s->ndim != 2 || dim(s, 0) != dim(c, 0)) return no_shape(f, s);
    if (!shape) return no(f, _("%s has no weight_shape"), f->stem);
    if (!is_whole(shape) || shape->n != 2 || qs_tensor_at(shape, 0) != (double)dim(c, 0)) return no_shape(f, shape);
    double inputs = qs_tensor_at(shape, 1);
    if (!(inputs >= 1) || inputs > (double)dim(c, 1) * 16) return no_shape(f, shape);
    size_t in = (size_t)inputs;
    if (!(f->j.bits = bits_in(dim(c, 1), in))) return no_shape(f, c);
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
static bool fp4_rows(found *f, size_t outer, size_t row, size_t block)
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
static bool fit_fp4(found *f, size_t block)
{
    const qs_tensor *c = f->part[CODES], *s = f->part[SCALE];
    size_t row = dim(c, c->ndim - 1), outer = product(c, 0, c->ndim - 1);
    if (row * 2 % block || s->n != outer * (row * 2 / block)) return no_shape(f, s);
    shape_of(f, c);
    f->shape[c->ndim - 1] *= 2;
    return fp4_rows(f, outer, row, block);
}

/* One more scale for the tensor, in the place of the zero point. */
static bool take_global(found *f, double *to)
{
    qs_tensor *g = f->part[ZERO];
    if (!is_scale(g) || g->n != 1) return no_shape(f, g);
    *to = qs_tensor_at(g, 0);
    f->also = g;
    f->part[ZERO] = NULL;
    return true;
}

static bool is_nvfp4(const found *f)
{
    const qs_tensor *c = f->part[CODES];
    return c->dtype == QS_U8 && c->ndim >= 2 && c->n && f->part[SCALE]->dtype == QS_F8_E4M3 && f->part[ZERO];
}

/* NVIDIA's ModelOpt multiplies by the global scale, compressed-tensors divides. */
static bool fit_modelopt(found *f) { return is_nvfp4(f) && fit_fp4(f, 16) && take_global(f, &f->j.factor); }
static bool fit_nvfp4(found *f) { return is_nvfp4(f) && fit_fp4(f, 16) && take_global(f, &f->j.divisor); }

static bool fit_mxfp4(found *f)
{
    const qs_tensor *c = f->part[CODES];
    f->j.powers = true;
    return c->dtype == QS_U8 && c->ndim >= 2 && c->n && fit_fp4(f, 32);
}

/* gpt-oss: [..., rows, blocks, 16] bytes, scales [..., rows, blocks]. */
static bool fit_oss(found *f)
{
    const qs_tensor *c = f->part[CODES], *s = f->part[SCALE];
    int last = c->ndim - 2;
    if (c->dtype != QS_U8 || c->ndim < 3 || !c->n || dim(c, c->ndim - 1) != 16) return false;
    if (s->ndim != c->ndim - 1 || s->n != c->n / 16 || dim(s, last) != dim(c, last)) return no_shape(f, s);
    shape_of(f, c);
    f->ndim = c->ndim - 1;
    f->shape[last] *= 32;
    f->j.powers = true;
    return fp4_rows(f, product(c, 0, last), dim(c, last) * 16, 32);
}

/* GGUF: blocks that have scales of their own, and one more for all, each expert or each row. */
static bool fit_blocks(found *f)
{
    const qs_tensor *c = f->part[CODES], *s = f->part[SCALE];
    if (!c->packed || qs_bits_are(c) || !c->n) return false;
    if (s->n != 1 && (c->ndim < 2 || s->n != dim(c, 0))) return no_shape(f, s);
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

static bool take_book(found *f, const qs_tensor *book)
{
    if (!is_scale(book) || book->n > QS_PACKED_LEVELS || book->n < 2 || f->part[CODES]->dtype != QS_U8) return no_shape(f, book);
    f->j.level = qs_xmalloc(QS_PACKED_LEVELS * sizeof *f->j.level);
    f->j.book = true;
    f->j.levels = (int)book->n;
    f->j.bits = bits_for(f->j.levels);
    base_name(&f->j, "code");
    qs_tensor_read(book, 0, book->n, f->j.level);
    for (size_t i = 1; i < book->n; i++)
        if (!(f->j.level[i - 1] < f->j.level[i])) return no(f, _("%s does not ascend"), book->name);
    f->also = f->part[EXTRA];
    f->part[EXTRA] = NULL;
    return true;
}

static bool fit_ours(found *f)
{
    const char *format = f->m->hints ? f->m->hints->format : NULL;
    size_t group = 0;
    if (!plain_codes(f)) return false;
    if (f->part[EXTRA] && !take_book(f, f->part[EXTRA])) return false;
    if (format) group = read_format(&f->j, format);
    if (f->part[SCALE]->ndim == 3 && group) return no(f, _("%s: its groups do not run along rows"), f->stem);
    qs_tensor *offset = named(f, ".offset");
    if (offset && (!is_scale(offset) || offset->n != f->part[SCALE]->n)) return no_shape(f, offset);
    if (offset) f->j.extra = QS_EXTRA_OFFSET;
    if (offset) f->part[EXTRA] = offset;
    return plain_zero(f) && by_shapes(f, group);
}

/* ---- what a reader tells (ONNX) ---------------------------------------------------------------------------- */
/* Packed bits, or numbers as the scales are; without either the zero is in the middle, so the codes are signed. */
static bool fit_nbits_zero(found *f, size_t blocks)
{
    qs_tensor *z = f->part[ZERO];
    int bits = f->j.bits;
    if (!z) {
        f->j.shift = f->j.lowest = -(1 << (bits - 1));
    } else if (z->dtype == QS_U8 && z->n == f->told->rows * ((blocks * (size_t)bits + 7) / 8)) {
        f->j.zeros = QS_ZERO_BYTES;
    } else if (!is_scale(z) || z->n != f->part[SCALE]->n) {
        return no_shape(f, z);
    }
    base_name(&f->j, z ? "uint" : "int");
    return true;
}

static bool nbits_order(found *f)
{
    qs_tensor *order = f->told->order;
    if (!is_whole(order) || order->n != f->told->inputs) return no_shape(f, order);
    if (in_order(order, f->told->block)) {
        f->also = order;
    } else {
        f->part[EXTRA] = order;
        f->j.extra = QS_EXTRA_ORDER;
    }
    return true;
}

/* MatMulNBits: [rows, blocks, block * bits / 8] bytes, scales [rows, blocks]. */
static bool fit_nbits(found *f)
{
    const qs_told *t = f->told;
    const qs_tensor *c = f->part[CODES], *s = f->part[SCALE];
    size_t blocks = t->block && t->inputs ? (t->inputs - 1) / t->block + 1 : 0, row, all, scales;
    if (t->bits < 2 || t->bits > 8 || !blocks || !t->rows || t->block % 8 || t->block > c->n * 4 || t->inputs > c->n * 4)
        return no(f, _("%s: not the bits, blocks and shape that MatMulNBits has"), c->name);
    row = blocks * (t->block / 8 * (size_t)t->bits);
    if (c->dtype != QS_U8 || !qs_mul(row, t->rows, &all) || all != c->n) return no_shape(f, c);
    if (!qs_mul(blocks, t->rows, &scales) || s->n != scales) return no_shape(f, s);
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
static bool fit_told(found *f)
{
    const qs_tensor *c = f->part[CODES], *s = f->part[SCALE];
    int axis = f->told->axis < 0 ? f->told->axis + c->ndim : f->told->axis;
    if (f->told->bits) return fit_nbits(f);
    if (!plain_codes(f) || !plain_zero(f)) return false;
    if (s->n == 1) return by_tensor(f);
    if (axis < 0 || axis >= c->ndim) return no(f, _("%s has no axis %d"), c->name, f->told->axis);
    if (!f->told->block) return s->ndim == 1 && s->n == dim(c, axis) ? by_channel(f, axis) : no_shape(f, s);
    bool fits = s->ndim == c->ndim && dim(s, axis) == (dim(c, axis) - 1) / f->told->block + 1;
    for (int k = 0; k < c->ndim && fits; k++) fits = k == axis || s->shape[k] == c->shape[k];
    return fits ? by_block(f, axis, f->told->block) : no_shape(f, s);
}

/* ---- the table ------------------------------------------------------------------------------------------------ */
static const struct rule {
    const char *scheme;
    const char *ending[4];     /* of codes, scale, zero point, extra; "": none. Codes and scale must be there */
    const char *joined;        /* the ending of the one tensor */
    bool (*fit)(found *f);     /* false with f->why: it does not fit; false without: these are no codes */
    bool powers;               /* scales are bytes, else floats */
} rules[] = {
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
};
#define RULES (sizeof rules / sizeof *rules)
static const struct rule onnx = {"DequantizeLinear", {"", "", "", ""}, "", fit_told, false};
static const struct rule onnx_bits = {"MatMulNBits", {"", "", "", ""}, "", fit_told, false};

/* ---- going over a model ------------------------------------------------------------------------------------------ */
typedef struct joining {
    qs_model *m;
    const qs_tensor **gone;    /* (ngone) parts of what was joined */
    size_t ngone, cap;
    qs_tensor **made;          /* (m->n) in place of tensor i, or NULL */
    size_t joined;
    const char *scheme;        /* of the first */
    char why[160];             /* the first that does not fit */
    size_t failed;
    bool may[RULES];           /* the model has scales of that name at all */
    qs_str name;               /* kept from one to the next */
} joining;

static void take(joining *w, const qs_tensor *t)
{
    if (!t) return;
    if (w->ngone == w->cap) w->gone = qs_xrealloc(w->gone, (w->cap = 2 * w->cap + 16) * sizeof *w->gone);
    w->gone[w->ngone++] = t;
}

static void fail(joining *w, const char *why)
{
    if (!w->failed++) snprintf(w->why, sizeof w->why, "%s", why);
}

/* Makes the tensor in place of number i. */
static void make(joining *w, size_t i, const struct rule *r, found *f)
{
    char *name = qs_xasprintf("%s%s", f->stem, r->joined);
    qs_tensor *other = qs_model_find(w->m, name), *c = f->part[CODES];
    qs_err err = {0};
    if (other && other != c) {
        no(f, _("%s is there beside its codes"), name);
    } else if (!(w->made[i] = f->blocks ? qs_scaled_tensor(name, c, f->part[SCALE], &err)
                                        : qs_joined_tensor(name, f->ndim, f->shape, &f->j, f->part, &err))) {
        no(f, "%s: %s", name, err.msg);
    } else {
        f->j.level = NULL;      /* taken over */
        if (f->told && f->told->bits) {
            w->made[i]->out_axis = 0;
            w->made[i]->in_axes = 1u << 1;
            w->made[i]->use = f->told->use;
        } else if (f->ndim == c->ndim) {
            w->made[i]->out_axis = c->out_axis;
            w->made[i]->in_axes = c->in_axes;
            w->made[i]->use = c->use;
        }
        for (int k = 0; k < 4; k++) take(w, f->part[k]);
        take(w, f->also);
        if (!w->joined++) w->scheme = r->scheme;
    }
    free(name);
}

static found start(const joining *w, const struct rule *r, const qs_told *told)
{
    return (found){.m = w->m, .told = told,
                   .j = {.scheme = r->scheme, .inner = 1, .outer_block = 1, .axis_block = 1, .factor = 1}};
}

/* Where in name what comes before ending is over; 0: it does not end like that, or is nothing else. */
static size_t stem_of(const char *name, size_t n, const char *ending)
{
    size_t e = strlen(ending);
    return n > e && !memcmp(name + n - e, ending, e) ? n - e : 0;
}

static qs_tensor *partner(joining *w, const char *stem, const char *ending)
{
    if (!*ending) return NULL;
    w->name.n = 0;
    qs_str_add(&w->name, stem);
    qs_str_add(&w->name, ending);
    return qs_model_find(w->m, w->name.s);
}

/* Tensor i by one rule. true: nothing more is to be tried. */
static bool by_rule(joining *w, size_t i, const struct rule *r, char *why, size_t size)
{
    qs_tensor *t = w->m->tensors[i];
    size_t n = stem_of(t->name, strlen(t->name), r->ending[CODES]);
    if (!n) return false;
    found f = start(w, r, NULL);
    f.stem = qs_xasprintf("%.*s", (int)n, t->name);
    f.part[CODES] = t;
    for (int k = SCALE; k <= EXTRA; k++) f.part[k] = partner(w, f.stem, r->ending[k]);
    bool scales = r->powers ? f.part[SCALE] && f.part[SCALE]->dtype == QS_U8 : is_scale(f.part[SCALE]);
    if (scales && r->fit(&f)) make(w, i, r, &f);
    if (*f.why) snprintf(why, size, "%s", f.why);
    free(f.j.level);
    free(f.stem);
    return w->made[i];
}

/* Most models have no scales, and then no partner of a hundred thousand tensors is looked for. */
static void look_for_scales(joining *w)
{
    for (size_t i = 0; i < w->m->n; i++) {
        const char *name = w->m->tensors[i]->name;
        size_t n = strlen(name);
        for (size_t k = 0; k < RULES; k++) w->may[k] = w->may[k] || stem_of(name, n, rules[k].ending[SCALE]);
    }
}

static void by_name(joining *w)
{
    look_for_scales(w);
    for (size_t i = 0; i < w->m->n; i++) {
        char why[160] = "";
        bool done = w->made[i] != NULL;
        for (size_t k = 0; k < RULES && !done; k++) done = w->may[k] && by_rule(w, i, &rules[k], why, sizeof why);
        if (!done && *why) fail(w, why);
    }
}

static int by_codes(const void *a, const void *b)
{
    const qs_told *x = a, *y = b;
    return (x->codes > y->codes) - (x->codes < y->codes);
}

static void by_told(joining *w)
{
    const qs_hints *h = w->m->hints;
    qsort(h->told, h->ntold, sizeof *h->told, by_codes);
    for (size_t i = 0; i < w->m->n; i++) {
        const qs_told key = {.codes = w->m->tensors[i]};
        const qs_told *told = bsearch(&key, h->told, h->ntold, sizeof key, by_codes);
        if (!told) continue;
        const struct rule *r = told->bits ? &onnx_bits : &onnx;
        found f = start(w, r, told);
        f.stem = told->codes->name;
        f.part[CODES] = told->codes;
        f.part[SCALE] = told->scale;
        f.part[ZERO] = told->zero;
        if (is_scale(told->scale) && r->fit(&f)) make(w, i, r, &f);
        if (*f.why) fail(w, f.why);
        free(f.j.level);
    }
}

static int by_address(const void *a, const void *b)
{
    const qs_tensor *x = *(const qs_tensor *const *)a, *y = *(const qs_tensor *const *)b;
    return (x > y) - (x < y);
}

/* The joined tensors in the places of their codes, without what went into them. */
static void rebuild(joining *w)
{
    size_t n = 0;
    qs_tensor **list = qs_xcalloc(w->m->n, sizeof *list);
    qsort(w->gone, w->ngone, sizeof *w->gone, by_address);
    for (size_t i = 0; i < w->m->n; i++) {
        if (w->made[i]) list[n++] = w->made[i];
        else if (!bsearch(&w->m->tensors[i], w->gone, w->ngone, sizeof *w->gone, by_address)) list[n++] = qs_tensor_ref(w->m->tensors[i]);
    }
    qs_model_replace(w->m, list, n);
    free(list);
}

static void say(joining *w)
{
    qs_str s = {0};
    if (w->m->note) qs_str_addf(&s, "%s; ", w->m->note);
    if (w->joined) qs_str_addf(&s, _("%zu tensors are made of codes and their scales (%s)"), w->joined, w->scheme);
    if (w->failed) qs_str_addf(&s, _("%s%zu with codes stay as they are: %s"), w->joined ? "; " : "", w->failed, w->why);
    free(w->m->note);
    w->m->note = s.s;
}

void qs_model_join(qs_model *m)
{
    joining w = {.m = m, .made = qs_xcalloc(m->n, sizeof *w.made)};
    if (m->hints && m->hints->ntold) by_told(&w);
    by_name(&w);
    if (w.joined) rebuild(&w);
    if (w.joined || w.failed) say(&w);
    free(w.name.s);
    free(w.gone);
    free(w.made);
    qs_hints_free(m->hints);
    m->hints = NULL;
}

/* ---- what readers tell --------------------------------------------------------------------------------------------- */
static qs_hints *hints_of(qs_model *m)
{
    if (!m->hints) m->hints = qs_xcalloc(1, sizeof *m->hints);
    return m->hints;
}

void qs_join_told(qs_model *m, const qs_told *t)
{
    qs_hints *h = hints_of(m);
    h->told = qs_xrealloc(h->told, (h->ntold + 1) * sizeof *h->told);
    h->told[h->ntold++] = *t;
}

qs_tensor *qs_join_parts(const char *name, const char *scheme, const qs_told *told, qs_err *err)
{
    qs_tensor *t = NULL;
    found f = {.told = told, .part = {told->codes, told->scale, told->zero}, .stem = told->codes->name,
               .j = {.scheme = scheme, .inner = 1, .outer_block = 1, .axis_block = 1, .factor = 1}};
    if (!is_scale(told->scale)) no_shape(&f, told->scale);
    else if (fit_told(&f)) t = qs_joined_tensor(name, f.ndim, f.shape, &f.j, f.part, err);
    else if (!*f.why) no_shape(&f, told->codes);
    if (*f.why) qs_fail(err, QS_EFORMAT, "%s", f.why);
    if (!t) free(f.j.level);
    return t;
}

void qs_join_format(qs_model *m, const char *format)
{
    qs_hints *h = hints_of(m);
    free(h->format);
    h->format = qs_xstrdup(format);
}

void qs_hints_free(qs_hints *h)
{
    if (!h) return;
    free(h->format);
    free(h->told);
    free(h);
}
