/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Our side of `make bench`: reads one command a line, does it once, answers with
 * one line: seconds, then what else the command has to say. bench.py interleaves
 * it with the peers. Knows the engine's headers, no peer and no target.
 *
 *     make PATH KIND N SEED     writes N floats: normal laplace uniform bimodal outlier
 *     model PATH TYPE BYTES     writes a safetensors file of about so many bytes, BF16 or F32: the tensors of a transformer
 *     tensors PATH N            writes one of N tensors of 64 floats
 *     load PATH                 the floats that all other commands work on; also as BF16
 *     memcpy | kernel           copy, or fake-quantize at 4 bits, on one thread
 *     index | index16           builds the index of the floats, of the BF16 values, and lets it go
 *     keep                      builds the index and keeps it for the commands below
 *     range                     -> 0 and the step that puts the largest value on the last level
 *     curve LO HI POINTS        the error curve at 4 bits          -> seconds
 *     mse                       the exact initialization at 4 bits -> seconds step mse
 *     grid POINTS               the least error of a curve's points -> seconds step mse
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "num/kernels.h"
#include "quant/init.h"

typedef struct bench {
    float *x, *y;
    size_t n;
    qs_tensor *bf16;
    qs_index *kept;
    qs_format *int4;
} bench;

typedef int command(bench *b, char **arg, qs_err *err);

static double laplace(qs_rng *r)
{
    double u = qs_rng_uniform(r) - .5;
    return u < 0 ? log1p(2 * u) : -log1p(-2 * u);
}

static double draw(const char *kind, qs_rng *r)
{
    if (!strcmp(kind, "laplace")) return laplace(r);
    if (!strcmp(kind, "uniform")) return 2 * qs_rng_uniform(r) - 1;
    if (!strcmp(kind, "bimodal")) return (qs_rng_next(r) >> 63 ? 1 : -1) + .15 * qs_rng_normal(r);
    if (!strcmp(kind, "outlier")) return qs_rng_normal(r) * (qs_rng_next(r) % 500 ? 1 : 20);
    return qs_rng_normal(r);
}

static int do_make(bench *b, char **arg, qs_err *err)
{
    (void)b;
    size_t n = strtoull(arg[2], NULL, 10);
    qs_rng r;
    qs_rng_seed(&r, strtoull(arg[3], NULL, 10));
    FILE *f = fopen(arg[0], "wb");
    if (!f) return qs_fail(err, QS_EIO, "cannot write %s", arg[0]);
    for (size_t i = 0; i < n; i++) {
        float v = (float)draw(arg[1], &r);
        fwrite(&v, sizeof v, 1, f);
    }
    bool bad = ferror(f);
    if (fclose(f) || bad) return qs_fail(err, QS_EIO, "cannot write %s", arg[0]);
    printf("0\n");
    return 0;
}

/* ---- whole models --------------------------------------------------------------------------------- */
enum { POOL = 1 << 22, LAYER = 4 };

struct model {
    FILE *f;
    float *pool, *x;
    uint16_t *half;
    qs_rng r;
    bool bf16;
};

/* n values: the pool at ever new scales, around the tensor's. */
static void write_values(struct model *m, size_t n)
{
    double scale = 0.01 + 0.05 * qs_rng_uniform(&m->r);
    for (size_t done = 0; done < n; done += POOL) {
        size_t k = n - done < POOL ? n - done : POOL;
        float by = (float)(scale * (0.9 + 0.2 * qs_rng_uniform(&m->r)));
        for (size_t i = 0; i < k; i++) m->x[i] = m->pool[i] * by;
        for (size_t i = 0; i < k && m->bf16; i++) {
            uint32_t bits;
            memcpy(&bits, &m->x[i], sizeof bits);
            m->half[i] = (uint16_t)((bits + 0x8000) >> 16);
        }
        if (m->bf16) fwrite(m->half, 2, k, m->f);
        else fwrite(m->x, 4, k, m->f);
    }
}

/* Rows of tensor i, of 4096 columns: an embedding, then layers. */
static size_t rows_of(size_t i)
{
    static const size_t rows[LAYER] = {4096, 1024, 11008, 4096};
    return i ? rows[(i - 1) % LAYER] : 32000;
}

static void header(qs_str *b, const char *type, size_t size, size_t bytes, size_t *tensors)
{
    size_t at = 0, i = 0;
    qs_str_add(b, "{");
    for (; at < bytes; i++) {
        size_t n = rows_of(i) * 4096 * size;
        qs_str_addf(b, "%s\"%s.%zu.weight\":{\"dtype\":\"%s\",\"shape\":[%zu,4096],\"data_offsets\":[%zu,%zu]}", i ? "," : "",
                    i ? "layer" : "embed", i, type, rows_of(i), at, at + n);
        at += n;
    }
    qs_str_add(b, "}");
    while (b->n % 8) qs_str_add(b, " ");
    *tensors = i;
}

static int open_safetensors(FILE **f, const char *path, const qs_str *head, qs_err *err)
{
    uint64_t n = head->n;
    if (!(*f = fopen(path, "wb"))) return qs_fail(err, QS_EIO, "cannot write %s", path);
    fwrite(&n, sizeof n, 1, *f);
    fwrite(head->s, 1, head->n, *f);
    return 0;
}

static int close_file(FILE *f, const char *path, qs_err *err)
{
    bool bad = ferror(f);
    if (fclose(f) || bad) return qs_fail(err, QS_EIO, "cannot write %s", path);
    printf("0\n");
    return 0;
}

static int do_model(bench *b, char **arg, qs_err *err)
{
    (void)b;
    struct model m = {.bf16 = !strcmp(arg[1], "BF16")};
    qs_str head = {0};
    size_t tensors;
    header(&head, m.bf16 ? "BF16" : "F32", m.bf16 ? 2 : 4, strtoull(arg[2], NULL, 10), &tensors);
    int rc = open_safetensors(&m.f, arg[0], &head, err);
    free(head.s);
    if (rc) return rc;
    qs_rng_seed(&m.r, 6);
    m.pool = qs_xmalloc(2 * POOL * sizeof *m.pool);
    m.x = m.pool + POOL;
    m.half = qs_xmalloc(POOL * sizeof *m.half);
    for (size_t i = 0; i < POOL; i++) m.pool[i] = (float)qs_rng_normal(&m.r);
    for (size_t i = 0; i < tensors; i++) write_values(&m, rows_of(i) * 4096);
    free(m.pool);
    free(m.half);
    return close_file(m.f, arg[0], err);
}

static int do_tensors(bench *b, char **arg, qs_err *err)
{
    (void)b;
    size_t n = strtoull(arg[1], NULL, 10);
    qs_str head = {0};
    qs_rng r;
    FILE *f;
    for (size_t i = 0; i < n; i++)
        qs_str_addf(&head, "%s\"layers.%zu.weight\":{\"dtype\":\"F32\",\"shape\":[8,8],\"data_offsets\":[%zu,%zu]}", i ? "," : "{", i,
                    256 * i, 256 * (i + 1));
    qs_str_add(&head, "}");
    while (head.n % 8) qs_str_add(&head, " ");
    int rc = open_safetensors(&f, arg[0], &head, err);
    free(head.s);
    if (rc) return rc;
    qs_rng_seed(&r, 6);
    for (size_t i = 0; i < 64 * n; i++) {
        float v = (float)qs_rng_normal(&r);
        fwrite(&v, sizeof v, 1, f);
    }
    return close_file(f, arg[0], err);
}

/* The upper halves of the floats, as a BF16 tensor. */
static int make_bf16(bench *b, qs_err *err)
{
    qs_blob *blob = qs_blob_new(2 * b->n, err);
    if (!blob) return -err->code;
    uint16_t *h = qs_blob_mem(blob);
    for (size_t i = 0; i < b->n; i++) {
        uint32_t bits;
        memcpy(&bits, &b->x[i], 4);
        h[i] = (uint16_t)(bits >> 16);
    }
    int64_t shape[1] = { (int64_t)b->n };
    b->bf16 = qs_tensor_new("bf16", QS_BF16, 1, shape, blob, blob->data, err);
    qs_blob_unref(blob);
    return b->bf16 ? 0 : -err->code;
}

static void forget(bench *b)
{
    qs_index_unref(b->kept);
    qs_tensor_unref(b->bf16);
    qs_big_free(b->x);
    qs_big_free(b->y);
    b->kept = NULL, b->bf16 = NULL, b->x = b->y = NULL;
}

static int do_load(bench *b, char **arg, qs_err *err)
{
    forget(b);
    FILE *f = fopen(arg[0], "rb");
    if (!f) return qs_fail(err, QS_EIO, "cannot read %s", arg[0]);
    fseek(f, 0, SEEK_END);
    b->n = (size_t)ftell(f) / 4;
    rewind(f);
    b->x = qs_big_alloc(4 * b->n);
    b->y = qs_big_alloc(4 * b->n);
    size_t got = b->x && b->y ? fread(b->x, 4, b->n, f) : 0;
    fclose(f);
    if (got != b->n || !b->n) return qs_fail(err, QS_EIO, "cannot read %s", arg[0]);
    memset(b->y, 0, 4 * b->n);
    printf("0\n");
    return make_bf16(b, err);
}

static int do_memcpy(bench *b, char **arg, qs_err *err)
{
    (void)arg, (void)err;
    double t = qs_now();
    memcpy(b->y, b->x, 4 * b->n);
    printf("%.9g\n", qs_now() - t);
    return 0;
}

static int do_kernel(bench *b, char **arg, qs_err *err)
{
    (void)arg, (void)err;
    qs_fq q = { .s = .34f, .beta = 0, .lo = -8, .hi = 7, .away = false };
    double t = qs_now();
    qs_num()->fq(b->x, b->n, &q, b->y);
    printf("%.9g %s\n", qs_now() - t, qs_num()->isa);
    return 0;
}

static int do_index(bench *b, char **arg, qs_err *err)
{
    (void)arg;
    double t = qs_now();
    qs_index *ix = qs_index_new(b->x, b->n, NULL, NULL, err);
    t = qs_now() - t;
    if (!ix) return -err->code;
    printf("%.9g %s\n", t, qs_index_kind_text(ix));
    qs_index_unref(ix);
    return 0;
}

static int do_index16(bench *b, char **arg, qs_err *err)
{
    (void)arg;
    qs_split whole;
    int rc = qs_split_init(&whole, b->bf16, QS_SPLIT_TENSOR, -1, 0, err);
    if (rc) return rc;
    double t = qs_now();
    qs_index *ix = qs_index_of(b->bf16, &whole, 0, NULL, NULL, err);
    t = qs_now() - t;
    if (!ix) return -err->code;
    printf("%.9g %s\n", t, qs_index_kind_text(ix));
    qs_index_unref(ix);
    return 0;
}

static int do_keep(bench *b, char **arg, qs_err *err)
{
    (void)arg;
    qs_index_unref(b->kept);
    b->kept = qs_index_new(b->x, b->n, NULL, NULL, err);
    if (!b->kept) return -err->code;
    printf("0\n");
    return 0;
}

static int do_range(bench *b, char **arg, qs_err *err)
{
    (void)arg, (void)err;
    printf("0 %.9g\n", qs_index_absmax(b->kept) / 7);
    return 0;
}

static int do_curve(bench *b, char **arg, qs_err *err)
{
    qs_curve_opts o = { .lo = strtod(arg[0], NULL), .hi = strtod(arg[1], NULL), .points = strtoull(arg[2], NULL, 10), .p = 2 };
    qs_curve c = { 0 };
    double t = qs_now();
    int rc = qs_curve_index(b->int4, b->kept, &o, NULL, &c, err);
    t = qs_now() - t;
    if (rc) return rc;
    printf("%.9g\n", t);
    qs_curve_clear(&c);
    return 0;
}

static int do_mse(bench *b, char **arg, qs_err *err)
{
    (void)arg;
    qs_init_opts o = { .role = QS_ROLE_WEIGHT };
    qs_init_out out = { 0 };
    double t = qs_now();
    int rc = qs_init_index("mse", b->kept, b->int4, &o, NULL, &out, err);
    t = qs_now() - t;
    if (rc) return rc;
    /* The error is looked up on a curve of two points that begins at the step. */
    qs_curve_opts at = { .points = 2, .lo = out.step, .hi = out.step * 1.001, .p = 2 };
    qs_curve c = { 0 };
    if ((rc = qs_curve_index(b->int4, b->kept, &at, NULL, &c, err)) < 0) return rc;
    printf("%.9g %.17g %.17g\n", t, out.step, c.error[0]);
    qs_curve_clear(&c);
    return 0;
}

/* Equally spaced steps up to absmax / Qp, as grid searches take them. */
static int do_grid(bench *b, char **arg, qs_err *err)
{
    size_t points = strtoull(arg[0], NULL, 10);
    double top = qs_index_absmax(b->kept) / 7, t = qs_now();
    qs_curve_opts o = { .points = points, .lo = top / 100, .hi = top, .p = 2 };
    qs_curve c = { 0 };
    int rc = qs_curve_index(b->int4, b->kept, &o, NULL, &c, err);
    if (rc) return rc;
    printf("%.9g %.17g %.17g\n", qs_now() - t, c.best_step, c.best_error);
    qs_curve_clear(&c);
    return 0;
}

static const struct { const char *name; int args; bool loaded, kept; command *run; } commands[] = {
    { "make", 4, false, false, do_make },     { "load", 1, false, false, do_load },
    { "model", 3, false, false, do_model },   { "tensors", 2, false, false, do_tensors },
    { "memcpy", 0, true, false, do_memcpy },  { "kernel", 0, true, false, do_kernel },
    { "index", 0, true, false, do_index },    { "index16", 0, true, false, do_index16 },
    { "keep", 0, true, false, do_keep },      { "range", 0, true, true, do_range },
    { "curve", 3, true, true, do_curve },     { "mse", 0, true, true, do_mse },
    { "grid", 1, true, true, do_grid },
};

static int run(bench *b, char *line, qs_err *err)
{
    char *arg[8] = { 0 };
    int n = 0;
    for (char *p = strtok(line, " \n"); p && n < 8; p = strtok(NULL, " \n")) arg[n++] = p;
    for (size_t i = 0; n && i < sizeof commands / sizeof *commands; i++) {
        if (strcmp(arg[0], commands[i].name)) continue;
        if (n - 1 != commands[i].args) return qs_fail(err, QS_EARG, "%s wants %d arguments", arg[0], commands[i].args);
        if ((commands[i].loaded && !b->x) || (commands[i].kept && !b->kept))
            return qs_fail(err, QS_ESTATE, "%s: load and keep first", arg[0]);
        return commands[i].run(b, arg + 1, err);
    }
    return qs_fail(err, QS_EARG, "no such command");
}

int main(void)
{
    bench b = { 0 };
    qs_err err = { 0 };
    char line[4096];
    b.int4 = qs_format_parse("int4", &err);
    while (b.int4 && fgets(line, sizeof line, stdin)) {
        if (run(&b, line, &err) < 0) printf("error %s\n", err.msg);
        fflush(stdout);
    }
    forget(&b);
    qs_format_free(b.int4);
    return 0;
}
