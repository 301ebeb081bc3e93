/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reading codes whose scales and zero points are tensors of their own. Knows the layouts of joined.h; which file has
 * which is join.c's business. Nothing here fails: places were checked when the tensor was made, and a group number that
 * means nothing gives NaN.
 */
#include "model/joined.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define BLOCK 256               /* codes unpacked at a time */

typedef struct own {
    qs_packed_kind kind;
    qs_joined j;
    char *name, *doc;
} own;

static const own *own_of(const qs_packed *p) { return p->own; }

/* ---- codes ------------------------------------------------------------------------------------- */
static const unsigned char awq_place[8] = {0, 4, 1, 5, 2, 6, 3, 7};   /* of output o % 8 within its word */

/* n words, `stride` apart. */
static void words_at(const qs_tensor *t, size_t start, size_t stride, size_t n, uint32_t *w)
{
    qs_tensor_bytes(t, start, stride, n, (unsigned char *)w);
}

static uint32_t bits_of(const uint32_t *w, size_t at, int bits)
{
    uint64_t two = w[at / 32];
    if (at % 32 + (size_t)bits > 32) two |= (uint64_t)w[at / 32 + 1] << 32;
    return (uint32_t)(two >> at % 32) & (uint32_t)((1u << bits) - 1);
}

/* Codes a .. a+n-1 of output o, out of words that hold them one after the other, `stride` apart, the first of all at `first`. */
static void codes_of_words(const own *w, const qs_tensor *t, size_t first, size_t stride, size_t a, size_t n, int32_t *code)
{
    uint32_t word[BLOCK + 2];
    int bits = w->j.bits;
    size_t from = a * (size_t)bits / 32, to = ((a + n) * (size_t)bits - 1) / 32;
    words_at(t, first + from * stride, stride, to - from + 1, word);
    for (size_t i = 0; i < n; i++) code[i] = (int32_t)bits_of(word, (a + i) * (size_t)bits - from * 32, bits);
}

/* Codes a .. a+n-1 of a row of bytes that begins at byte `first`. */
static void codes_of_bytes(const qs_tensor *t, size_t first, int bits, size_t a, size_t n, int32_t *code)
{
    unsigned char byte[BLOCK + 2];
    size_t from = a * (size_t)bits / 8, to = ((a + n) * (size_t)bits - 1) / 8;
    qs_tensor_bytes(t, first + from, 1, to - from + 1, byte);
    byte[to - from + 1] = 0;
    for (size_t i = 0; i < n; i++) {
        size_t at = (a + i) * (size_t)bits - from * 8;
        code[i] = (byte[at / 8] | byte[at / 8 + 1] << 8) >> at % 8 & ((1 << bits) - 1);
    }
}

static void codes_awq(const own *w, const qs_tensor *t, size_t o, size_t a, size_t n, int32_t *code)
{
    uint32_t word[BLOCK];
    size_t row = w->j.outer / 8;
    words_at(t, a * row + o / 8, row, n, word);
    for (size_t i = 0; i < n; i++) code[i] = (int32_t)(word[i] >> 4 * awq_place[o % 8] & 15);
}

/* Levels of values start .. start+n-1, n <= BLOCK, all of one row. */
static void levels_at(const own *w, const qs_tensor *t, size_t start, size_t n, float *level)
{
    int32_t code[BLOCK];
    const qs_joined *j = &w->j;
    size_t o = start / j->axis, a = start % j->axis, words = j->axis * (size_t)j->bits / 32;
    switch (j->codes) {
    case QS_CODES_PLAIN: qs_tensor_read(t, start, n, level); break;
    case QS_CODES_DOWN: codes_of_words(w, t, o, j->outer, a, n, code); break;
    case QS_CODES_ALONG: codes_of_words(w, t, o * words, 1, a, n, code); break;
    case QS_CODES_AWQ: codes_awq(w, t, o, a, n, code); break;
    case QS_CODES_BYTES: codes_of_bytes(t, o * j->row, j->bits, a, n, code); break;
    }
    for (size_t i = 0; i < n && j->codes != QS_CODES_PLAIN; i++)
        level[i] = j->small ? qs_bits_value(j->small, code[i]) : (float)(code[i] + j->shift);
    for (size_t i = 0; i < n && j->book; i++)
        level[i] = level[i] >= 0 && level[i] < (float)j->levels ? j->level[(int)level[i]] : NAN;
}

/* ---- parts -------------------------------------------------------------------------------------- */
typedef struct grid { float scale, zero, offset; } grid;

/* The part of a value and how many values from it on share it (at least 1). SIZE_MAX: none. */
static size_t part_of(const qs_packed *p, size_t i, size_t *run)
{
    const qs_joined *j = &own_of(p)->j;
    size_t k = i % j->inner, a = i / j->inner % j->axis, o = i / j->inner / j->axis, g = a / j->axis_block;
    size_t left = j->axis - a, in_block = j->axis_block - a % j->axis_block;
    *run = (in_block < left ? in_block : left) * j->inner - k;
    if (j->inner_step) *run = 1;
    if (j->extra == QS_EXTRA_ORDER) {
        double order = qs_tensor_at(p->part[QS_JOINED_EXTRA], a);
        *run = 1;
        if (!(order >= 0) || order >= (double)(p->part[QS_JOINED_SCALE]->n / j->outer)) return SIZE_MAX;
        g = (size_t)order;
    }
    return o / j->outer_block * j->outer_step + g * j->axis_step + k * j->inner_step;
}

/* The zero of a part of [groups, outer] that is stored as bits of words. */
static float zero_bits(const own *w, const qs_tensor *t, size_t part)
{
    uint32_t word[2] = {0, 0};
    size_t g = part / w->j.outer, o = part % w->j.outer, bits = (size_t)w->j.bits, row = w->j.outer * bits / 32;
    if (w->j.zeros == QS_ZERO_AWQ) {
        words_at(t, g * row + o / 8, 1, 1, word);
        return (float)(word[0] >> 4 * awq_place[o % 8] & 15);
    }
    size_t at = o * bits, last = (at + bits - 1) / 32;
    words_at(t, g * row + at / 32, 1, last - at / 32 + 1, word);
    return (float)bits_of(word, at % 32, (int)bits);
}

/* The zero of a part of [outer, groups] that is stored as bits of bytes. */
static float zero_bytes(const own *w, const qs_tensor *t, size_t part)
{
    int32_t zero;
    size_t groups = w->j.outer_step, row = (groups * (size_t)w->j.bits + 7) / 8;
    codes_of_bytes(t, part / groups * row, w->j.bits, part % groups, 1, &zero);
    return (float)zero;
}

static grid grid_of(const qs_packed *p, size_t part)
{
    const own *w = own_of(p);
    const qs_tensor *zero = p->part[QS_JOINED_ZERO];
    grid g = {NAN, 0, 0};
    if (part >= p->part[QS_JOINED_SCALE]->n) return g;
    qs_tensor_read(p->part[QS_JOINED_SCALE], part, 1, &g.scale);
    if (w->j.powers) g.scale = g.scale == 255 ? NAN : ldexpf(1, (int)g.scale - 127);
    if (w->j.factor != 1) g.scale = (float)((double)g.scale * w->j.factor);
    if (w->j.divisor != 0) g.scale = (float)((double)g.scale / w->j.divisor);
    if (zero && w->j.zeros == QS_ZERO_BYTES) g.zero = zero_bytes(w, zero, part);
    else if (zero && w->j.zeros != QS_ZERO_PLAIN) g.zero = zero_bits(w, zero, part);
    else if (zero) qs_tensor_read(zero, zero->n == 1 ? 0 : part, 1, &g.zero);
    g.zero += (float)w->j.zero_plus;
    if (w->j.extra == QS_EXTRA_OFFSET) qs_tensor_read(p->part[QS_JOINED_EXTRA], part, 1, &g.offset);
    return g;
}

static void read_run(const grid *g, const float *level, size_t n, float *out)
{
    for (size_t i = 0; i < n; i++) {
        float y = g->scale * (level[i] - g->zero);   /* three roundings, as the files' own programs make them */
        out[i] = y + g->offset;
    }
}

static void read_joined(const qs_packed *p, size_t start, size_t n, float *out)
{
    const own *w = own_of(p);
    float level[BLOCK];
    size_t run = 0, row = w->j.axis * w->j.inner;
    grid g = {NAN, 0, 0};
    for (size_t i = 0, m; i < n; i += m) {
        size_t at = start + i, left = row - at % row;
        m = n - i < BLOCK ? n - i : BLOCK;
        if (m > left) m = left;
        levels_at(w, p->part[QS_JOINED_CODES], at, m, level);
        for (size_t k = 0, r; k < m; k += r, run -= r) {
            if (!run) {
                size_t part = part_of(p, at + k, &run);
                g = grid_of(p, part);
            }
            r = run < m - k ? run : m - k;
            read_run(&g, level + k, r, out + i + k);
        }
    }
}

static void grid_joined(const qs_packed *p, size_t i, float *scale, float *offset)
{
    size_t run;
    grid g = grid_of(p, part_of(p, i, &run));
    *scale = g.scale;
    *offset = g.offset - g.scale * g.zero;
}

static void release(qs_packed *p)
{
    own *w = p->own;
    free(w->j.level);
    free(w->name);
    free(w->doc);
    free(w);
}

/* ---- making --------------------------------------------------------------------------------------- */
/* In the grammar of formats: "uint4+zp@group128". */
static char *format_name(const qs_joined *j, bool zero)
{
    const char *of = strcmp(j->granularity, "tensor") ? j->granularity : "";
    return qs_xasprintf("%s%s%s%s", j->base, j->extra == QS_EXTRA_OFFSET ? "+offset" : zero ? "+zp" : "", *of ? "@" : "", of);
}

static double bits_each(const qs_tensor *t) { return t->packed ? t->packed->bpw : 8.0 * (double)qs_dtype_size(t->dtype); }

static double bits_stored(qs_tensor *const part[4])
{
    double bits = 0;
    for (int i = 0; i < 4; i++) bits += part[i] ? (double)part[i]->n * bits_each(part[i]) : 0;
    return bits;
}

/* Values in a row that share a part, where all runs are as long; 0: they are not. */
static size_t run_of(const qs_joined *j)
{
    bool even = !j->inner_step && j->extra != QS_EXTRA_ORDER && j->axis % j->axis_block == 0;
    return even ? j->axis_block * j->inner : 0;
}

qs_tensor *qs_joined_tensor(const char *name, int ndim, const int64_t *shape, const qs_joined *j, qs_tensor *const part[4],
                            qs_err *err)
{
    own *w = qs_xcalloc(1, sizeof *w);
    bool zero = part[QS_JOINED_ZERO] || j->zero_plus;
    w->j = *j;
    w->name = format_name(j, zero);
    w->doc = qs_xasprintf("%s: %d-bit codes, a scale%s for each %s", j->scheme, j->bits, zero ? " and a zero point" : "", j->granularity);
    w->kind = (qs_packed_kind){.name = w->name, .doc = w->doc, .bits = j->bits, .run = run_of(j), .levels = j->levels, .lowest = j->lowest,
                               .level = w->j.level, .read = read_joined, .grid = grid_joined, .release = release};
    size_t n = j->outer * j->axis * j->inner;
    qs_packed *p = qs_packed_new(&w->kind, n ? bits_stored(part) / (double)n : j->bits, part[QS_JOINED_CODES]->blob);
    p->own = w;
    for (int i = 0; i < 4; i++) p->part[i] = part[i] ? qs_tensor_ref(part[i]) : NULL;
    return qs_packed_tensor(name, ndim, shape, p, err);
}
