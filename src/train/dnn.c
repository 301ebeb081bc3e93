/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * oneDNN behind qs_conv: primitives made once for a piece's shape, each on one
 * thread; packed layouts are what oneDNN likes best for that shape. A port to
 * its version 3 touches only this file.
 */
#include "train/dnn.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "config.h"
#include "train/conv_bytes.h"
#include "train/conv_plain.h"

#if HAVE_DNNL
#include <dnnl.h>
#include <omp.h>
#include <threads.h>

enum pass { FORWARD, DATA, WEIGHTS, CODES, PASSES };

#define MAX_ARGS 6

struct shared {                /* of a convolution, made once */
    dnnl_primitive_desc_t pd[PASSES];
    dnnl_primitive_t p[PASSES];
    dnnl_memory_desc_t plain, bytes;   /* weights in PyTorch's order: floats, codes */
    dnnl_primitive_desc_t repack_pd[PASSES];
    dnnl_primitive_t repack[PASSES];   /* plain -> wf, plain -> wb, gw -> plain, bytes -> wc */
    dnnl_memory_t repack_mem[PASSES][3];
    void *repack_scratch[PASSES];
};
#else
struct shared { char none; };
#endif

struct qs_conv {
    qs_conv_shape s;
    bool plain;
    bool bytes;                /* codes go through our own kernel */
    size_t size[4];            /* floats of wf, wb, gw; bytes of wc */
    struct shared d;
};

struct qs_conv_job {
    qs_conv *c;
    uint8_t *room;             /* for our own kernel */
#if HAVE_DNNL
    const void *there[PASSES][MAX_ARGS];   /* what mem points at */
    dnnl_memory_t mem[PASSES][MAX_ARGS];
    dnnl_exec_arg_t arg[PASSES][MAX_ARGS];
    void *scratch[PASSES];
    int nargs[PASSES];
#endif
};

static bool asked_for(const char *what)
{
    const char *e = getenv("QUANTSCOPE_DNN");
    return e && !strcmp(e, what);
}

static bool want_plain(void) { return !HAVE_DNNL || asked_for("plain"); }

const char *qs_dnn_backend(void) { return want_plain() ? "plain" : "onednn"; }

#if HAVE_DNNL
static dnnl_engine_t engine;
static dnnl_stream_t stream;
/* Scratch memory is ours, a job's own: the library's belongs to the thread that made the primitive, and ours move. */
static dnnl_primitive_attr_t own_scratch;
static dnnl_status_t started;  /* how starting went */

/* One thread a call: the number of threads OpenMP takes is a property of the calling thread. */
static void one_thread(void)
{
    static _Thread_local bool done;
    if (!done) omp_set_num_threads(1);
    done = true;
}

static void start_once(void)
{
    started = dnnl_engine_create(&engine, dnnl_cpu, 0);
    if (!started) started = dnnl_stream_create(&stream, engine, dnnl_stream_default_flags);
    if (!started) started = dnnl_primitive_attr_create(&own_scratch);
    if (!started) started = dnnl_primitive_attr_set_scratchpad_mode(own_scratch, dnnl_scratchpad_mode_user);
}

static dnnl_status_t start(void)
{
    static once_flag once = ONCE_FLAG_INIT;
    call_once(&once, start_once);
    return started;
}

static void run(dnnl_primitive_t p, int n, const dnnl_exec_arg_t *arg)
{
    one_thread();
    if (dnnl_primitive_execute(p, stream, n, arg) != dnnl_success) abort();   /* cannot fail once it was made */
}

/* ---- making ----------------------------------------------------------------------------------- */
static const dnnl_memory_desc_t *md(const qs_conv *c, enum pass p, dnnl_query_t what)
{
    return dnnl_primitive_desc_query_md(c->d.pd[p], what, 0);
}

static void describe(const qs_conv_shape *s, dnnl_memory_desc_t *x, dnnl_memory_desc_t *w, dnnl_memory_desc_t *b,
                     dnnl_memory_desc_t *y, dnnl_memory_desc_t *plain)
{
    int g = s->groups;
    dnnl_dims_t dx = {s->n, s->c, s->h, s->w}, dy = {s->n, s->out, qs_conv_side(s->h, s), qs_conv_side(s->w, s)};
    dnnl_dims_t dw4 = {s->out, s->c, s->kernel, s->kernel}, db = {s->out};
    dnnl_dims_t dw5 = {g, s->out / g, s->c / g, s->kernel, s->kernel};
    dnnl_memory_desc_init_by_tag(x, 4, dx, dnnl_f32, dnnl_nhwc);
    dnnl_memory_desc_init_by_tag(y, 4, dy, dnnl_f32, dnnl_nhwc);
    dnnl_memory_desc_init_by_tag(b, 1, db, dnnl_f32, dnnl_x);
    dnnl_memory_desc_init_by_tag(w, g > 1 ? 5 : 4, g > 1 ? dw5 : dw4, dnnl_f32, dnnl_format_tag_any);
    dnnl_memory_desc_init_by_tag(plain, g > 1 ? 5 : 4, g > 1 ? dw5 : dw4, dnnl_f32, g > 1 ? dnnl_goihw : dnnl_oihw);
}

static dnnl_status_t make_pass(qs_conv *c, enum pass p, const dnnl_convolution_desc_t *d)
{
    dnnl_primitive_desc_t hint = p == FORWARD ? NULL : c->d.pd[FORWARD];
    dnnl_status_t st = dnnl_primitive_desc_create(&c->d.pd[p], d, own_scratch, engine, hint);
    return st ? st : dnnl_primitive_create(&c->d.p[p], c->d.pd[p]);
}

/* Bytes in, floats out: times the factor of the channel, plus its bias. */
static dnnl_status_t codes_attr(const qs_conv_shape *s, dnnl_primitive_attr_t *a)
{
    dnnl_dims_t dc = {1, s->out, 1, 1};
    dnnl_memory_desc_t channel;
    dnnl_post_ops_t ops;
    dnnl_status_t st = dnnl_primitive_attr_create(a);
    if (st) return st;
    dnnl_primitive_attr_set_scratchpad_mode(*a, dnnl_scratchpad_mode_user);
    dnnl_memory_desc_init_by_tag(&channel, 4, dc, dnnl_f32, dnnl_nhwc);
    if ((st = dnnl_post_ops_create(&ops))) return st;
    st = dnnl_post_ops_append_binary(ops, dnnl_binary_mul, &channel);
    if (!st && s->bias) st = dnnl_post_ops_append_binary(ops, dnnl_binary_add, &channel);
    if (!st) st = dnnl_primitive_attr_set_post_ops(*a, ops);
    dnnl_post_ops_destroy(ops);
    return st;
}

/* Exact: older instructions add pairs of products in 16 bits, where they can overflow. */
static bool exact_codes(dnnl_primitive_desc_t pd)
{
    const char *info = "";
    return !dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, &info) && strstr(info, "vnni");
}

/* The forward pass over codes; none where the library has none that is exact. */
static void make_codes(qs_conv *c, const dnnl_memory_desc_t *x, const dnnl_memory_desc_t *w, const dnnl_memory_desc_t *y,
                       const dnnl_dims_t str, const dnnl_dims_t pad, const dnnl_dims_t far)
{
    dnnl_memory_desc_t xc = *x, wc = *w;
    dnnl_primitive_attr_t attr = NULL;
    dnnl_convolution_desc_t d;
    xc.data_type = dnnl_u8;
    wc.data_type = dnnl_s8;
    c->d.bytes = c->d.plain;
    c->d.bytes.data_type = dnnl_s8;
    dnnl_status_t st = codes_attr(&c->s, &attr);
    if (!st) st = dnnl_convolution_forward_desc_init(&d, dnnl_forward_training, dnnl_convolution_direct, &xc, &wc, NULL, y, str,
                                                     pad, far);
    if (!st) st = dnnl_primitive_desc_create(&c->d.pd[CODES], &d, attr, engine, NULL);
    if (!st && exact_codes(c->d.pd[CODES])) st = dnnl_primitive_create(&c->d.p[CODES], c->d.pd[CODES]);
    if (!c->d.p[CODES] && c->d.pd[CODES]) {
        dnnl_primitive_desc_destroy(c->d.pd[CODES]);
        c->d.pd[CODES] = NULL;
    }
    if (attr) dnnl_primitive_attr_destroy(attr);
}

static dnnl_status_t make_passes(qs_conv *c)
{
    const qs_conv_shape *s = &c->s;
    dnnl_dims_t str = {s->stride, s->stride}, pad = {s->pad, s->pad}, far;
    for (int i = 0; i < 2; i++) {   /* padding at the far end: what the last output pixel needs, maybe less than pad */
        int size = i ? s->w : s->h;
        far[i] = (qs_conv_side(size, s) - 1) * s->stride + s->kernel - size - s->pad;
    }
    dnnl_memory_desc_t x, w, b, y;
    dnnl_convolution_desc_t d;
    describe(s, &x, &w, &b, &y, &c->d.plain);
    dnnl_status_t st = dnnl_convolution_forward_desc_init(&d, dnnl_forward_training, dnnl_convolution_direct, &x, &w,
                                                          s->bias ? &b : NULL, &y, str, pad, far);
    if (!st) st = make_pass(c, FORWARD, &d);
    if (!st && s->codes && !c->bytes && !asked_for("float")) make_codes(c, &x, &w, &y, str, pad, far);
    if (st || !s->train) return st;
    st = dnnl_convolution_backward_data_desc_init(&d, dnnl_convolution_direct, &x, &w, &y, str, pad, far);
    if (!st) st = make_pass(c, DATA, &d);
    if (!st) st = dnnl_convolution_backward_weights_desc_init(&d, dnnl_convolution_direct, &x, &w, NULL, &y, str, pad, far);
    return st ? st : make_pass(c, WEIGHTS, &d);
}

/* Memory for what a primitive needs beside its arguments. */
static dnnl_status_t scratch(dnnl_primitive_desc_t pd, dnnl_memory_t *m, void **mem)
{
    const dnnl_memory_desc_t *d = dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0);
    size_t n = dnnl_memory_desc_get_size(d);
    *mem = qs_big_alloc(n + 64);
    return *mem ? dnnl_memory_create(m, d, engine, *mem) : dnnl_out_of_memory;
}

static dnnl_status_t make_repacks(qs_conv *c)
{
    static const dnnl_query_t what[PASSES] = {dnnl_query_weights_md, dnnl_query_weights_md, dnnl_query_diff_weights_md,
                                              dnnl_query_weights_md};
    for (int p = 0; p < PASSES; p++) {
        if (!c->d.pd[p]) continue;
        const dnnl_memory_desc_t *packed = md(c, p, what[p]), *plain = p == CODES ? &c->d.bytes : &c->d.plain;
        const dnnl_memory_desc_t *from = p == WEIGHTS ? packed : plain, *to = p == WEIGHTS ? plain : packed;
        c->size[p] = dnnl_memory_desc_get_size(packed) / (p == CODES ? 1 : sizeof(float));
        dnnl_status_t st = dnnl_reorder_primitive_desc_create(&c->d.repack_pd[p], from, engine, to, engine, own_scratch);
        if (!st) st = dnnl_primitive_create(&c->d.repack[p], c->d.repack_pd[p]);
        if (!st) st = dnnl_memory_create(&c->d.repack_mem[p][0], from, engine, DNNL_MEMORY_NONE);
        if (!st) st = dnnl_memory_create(&c->d.repack_mem[p][1], to, engine, DNNL_MEMORY_NONE);
        if (!st) st = scratch(c->d.repack_pd[p], &c->d.repack_mem[p][2], &c->d.repack_scratch[p]);
        if (st) return st;
    }
    return dnnl_success;
}

static int make(qs_conv *c, qs_err *err)
{
    one_thread();
    dnnl_status_t st = start();
    if (!st) st = make_passes(c);
    if (!st) st = make_repacks(c);
    const qs_conv_shape *s = &c->s;
    return !st ? 0 : qs_fail(err, QS_EUNSUP, _("oneDNN has no convolution %dx%d stride %d pad %d, %d -> %d channels in %d groups "
                             "on %dx%d (status %d)"), s->kernel, s->kernel, s->stride, s->pad, s->c, s->out, s->groups, s->h,
                             s->w, (int)st);
}

static void repack(qs_conv *c, enum pass p, const void *from, void *to)
{
    dnnl_memory_t *m = c->d.repack_mem[p];
    if (dnnl_memory_set_data_handle(m[0], (void *)(uintptr_t)from) || dnnl_memory_set_data_handle(m[1], to)) abort();
    dnnl_exec_arg_t arg[3] = {{DNNL_ARG_FROM, m[0]}, {DNNL_ARG_TO, m[1]}, {DNNL_ARG_SCRATCHPAD, m[2]}};
    run(c->d.repack[p], 3, arg);
}

static void unmake(qs_conv *c)
{
    for (int p = 0; p < PASSES; p++) {
        if (c->d.p[p]) dnnl_primitive_destroy(c->d.p[p]);
        if (c->d.pd[p]) dnnl_primitive_desc_destroy(c->d.pd[p]);
        if (c->d.repack[p]) dnnl_primitive_destroy(c->d.repack[p]);
        qs_big_free(c->d.repack_scratch[p]);
        for (int i = 0; i < 3; i++)
            if (c->d.repack_mem[p][i]) dnnl_memory_destroy(c->d.repack_mem[p][i]);
        if (c->d.repack_pd[p]) dnnl_primitive_desc_destroy(c->d.repack_pd[p]);
    }
}

/* ---- jobs ---------------------------------------------------------------------------------------- */
struct use { int arg; dnnl_query_t md; int index; };
#define USES 5
static const struct use uses[PASSES][USES] = {
    [FORWARD] = {{DNNL_ARG_SRC, dnnl_query_src_md, 0}, {DNNL_ARG_WEIGHTS, dnnl_query_weights_md, 0},
                 {DNNL_ARG_DST, dnnl_query_dst_md, 0}, {DNNL_ARG_BIAS, dnnl_query_weights_md, 1}},
    [DATA] = {{DNNL_ARG_DIFF_SRC, dnnl_query_diff_src_md, 0}, {DNNL_ARG_WEIGHTS, dnnl_query_weights_md, 0},
              {DNNL_ARG_DIFF_DST, dnnl_query_diff_dst_md, 0}},
    [WEIGHTS] = {{DNNL_ARG_SRC, dnnl_query_src_md, 0}, {DNNL_ARG_DIFF_WEIGHTS, dnnl_query_diff_weights_md, 0},
                 {DNNL_ARG_DIFF_DST, dnnl_query_diff_dst_md, 0}},
    [CODES] = {{DNNL_ARG_SRC, dnnl_query_src_md, 0}, {DNNL_ARG_WEIGHTS, dnnl_query_weights_md, 0},
               {DNNL_ARG_DST, dnnl_query_dst_md, 0},
               {DNNL_ARG_ATTR_MULTIPLE_POST_OP(0) | DNNL_ARG_SRC_1, dnnl_query_exec_arg_md,
                DNNL_ARG_ATTR_MULTIPLE_POST_OP(0) | DNNL_ARG_SRC_1},
               {DNNL_ARG_ATTR_MULTIPLE_POST_OP(1) | DNNL_ARG_SRC_1, dnnl_query_exec_arg_md,
                DNNL_ARG_ATTR_MULTIPLE_POST_OP(1) | DNNL_ARG_SRC_1}},
};

/* The arrays of a pass, in the order of its uses. */
static void arrays(const qs_conv_at *a, enum pass p, const void **out)
{
    const void *all[PASSES][USES] = {[FORWARD] = {a->x, a->wf, a->y, a->bias}, [DATA] = {a->gx, a->wb, a->gy},
                                     [WEIGHTS] = {a->xb, a->gw, a->gy}, [CODES] = {a->codes, a->wc, a->y, a->factor, a->bias}};
    memcpy(out, all[p], sizeof all[p]);
}

static dnnl_status_t bind(qs_conv_job *j, enum pass p, const qs_conv_at *a)
{
    const void *at[USES];
    arrays(a, p, at);
    for (int i = 0; i < 3; i++)
        if (!at[i]) return dnnl_success;   /* this pass is not asked for */
    for (int i = 0; i < USES && at[i]; i++) {
        const struct use *u = &uses[p][i];
        const dnnl_memory_desc_t *d = dnnl_primitive_desc_query_md(j->c->d.pd[p], u->md, u->index);
        dnnl_status_t st = dnnl_memory_create(&j->mem[p][i], d, engine, (void *)(uintptr_t)at[i]);
        if (st) return st;
        j->there[p][i] = at[i];
        j->arg[p][i] = (dnnl_exec_arg_t){uses[p][i].arg, j->mem[p][i]};
        j->nargs[p] = i + 1;
    }
    int n = j->nargs[p]++;
    dnnl_status_t st = scratch(j->c->d.pd[p], &j->mem[p][n], &j->scratch[p]);
    j->arg[p][n] = (dnnl_exec_arg_t){DNNL_ARG_SCRATCHPAD, j->mem[p][n]};
    return st;
}

static void go(qs_conv_job *j, enum pass p, const qs_conv_at *a)
{
    const void *at[USES];
    arrays(a, p, at);
    for (int i = 0; i < USES && at[i]; i++) {
        if (at[i] == j->there[p][i]) continue;
        if (dnnl_memory_set_data_handle(j->mem[p][i], (void *)(uintptr_t)at[i])) abort();
        j->there[p][i] = at[i];
    }
    run(j->c->d.p[p], j->nargs[p], j->arg[p]);
}
#else
#define go(j, pass, at) (void)0
#endif

qs_conv *qs_conv_new(const qs_conv_shape *s, qs_err *err)
{
    qs_conv *c = qs_xcalloc(1, sizeof *c);
    c->s = *s;
    c->plain = want_plain();
    size_t n = (size_t)s->out * (size_t)(s->c / s->groups) * (size_t)(s->kernel * s->kernel);
    for (int i = 0; i < 3; i++) c->size[i] = n;
    c->size[3] = c->plain && s->codes ? n : 0;
    c->bytes = s->codes && !c->plain && !asked_for("float") && !asked_for("onednn") && qs_bytes_fit(s);
    if (c->bytes) c->size[3] = qs_bytes_weights(s);
#if HAVE_DNNL
    if (!c->plain && make(c, err)) {
        qs_conv_free(c);
        return NULL;
    }
#else
    (void)err;
#endif
    return c;
}

void qs_conv_free(qs_conv *c)
{
    if (!c) return;
#if HAVE_DNNL
    unmake(c);
#endif
    free(c);
}

size_t qs_conv_wf(const qs_conv *c) { return c->size[0]; }
size_t qs_conv_wb(const qs_conv *c) { return c->size[1]; }
size_t qs_conv_gw(const qs_conv *c) { return c->size[2]; }
size_t qs_conv_wc(const qs_conv *c) { return c->size[3]; }

void qs_conv_pack(qs_conv *c, const float *w, float *wf, float *wb)
{
    if (c->plain) {
        memcpy(wf, w, c->size[0] * sizeof *wf);
        if (wb) memcpy(wb, w, c->size[1] * sizeof *wb);
        return;
    }
#if HAVE_DNNL
    repack(c, FORWARD, w, wf);
    if (wb) repack(c, DATA, w, wb);
#endif
}

void qs_conv_pack_codes(qs_conv *c, const int8_t *w, int8_t *wc)
{
    if (c->plain) memcpy(wc, w, c->size[3]);
    else if (c->bytes) qs_bytes_pack(&c->s, w, wc);
#if HAVE_DNNL
    else repack(c, CODES, w, wc);
#endif
}

void qs_conv_unpack(qs_conv *c, const float *gw, float *w)
{
    if (c->plain) memcpy(w, gw, c->size[2] * sizeof *w);
#if HAVE_DNNL
    else repack(c, WEIGHTS, gw, w);
#endif
}

qs_conv_job *qs_conv_job_new(qs_conv *c, const qs_conv_at *at, qs_err *err)
{
    qs_conv_job *j = qs_xcalloc(1, sizeof *j);
    j->c = c;
    if (c->bytes) j->room = qs_xcalloc(qs_bytes_room(&c->s), 1);
#if HAVE_DNNL
    for (int p = 0; p < PASSES && !c->plain; p++)
        if (c->d.p[p] && bind(j, p, at)) {
            qs_conv_job_free(j);
            qs_fail(err, QS_ENOMEM, _("no memory for a convolution"));
            return NULL;
        }
#else
    (void)at, (void)err;
#endif
    return j;
}

void qs_conv_job_free(qs_conv_job *j)
{
    if (!j) return;
#if HAVE_DNNL
    for (int p = 0; p < PASSES; p++) {
        for (int i = 0; i < MAX_ARGS; i++)
            if (j->mem[p][i]) dnnl_memory_destroy(j->mem[p][i]);
        qs_big_free(j->scratch[p]);
    }
#endif
    free(j->room);
    free(j);
}

void qs_conv_forward(qs_conv_job *j, const qs_conv_at *at)
{
    if (j->c->plain) qs_plain_forward(&j->c->s, at);
    else go(j, FORWARD, at);
}

void qs_conv_forward_codes(qs_conv_job *j, const qs_conv_at *at)
{
    if (j->c->plain) qs_plain_forward_codes(&j->c->s, at);
    else if (j->c->bytes) qs_bytes_forward(&j->c->s, at, j->room);
    else go(j, CODES, at);
}

void qs_conv_backward_data(qs_conv_job *j, const qs_conv_at *at)
{
    if (j->c->plain) qs_plain_backward_data(&j->c->s, at);
    else go(j, DATA, at);
}

void qs_conv_backward_weights(qs_conv_job *j, const qs_conv_at *at)
{
    if (j->c->plain) qs_plain_backward_weights(&j->c->s, at);
    else go(j, WEIGHTS, at);
}

void qs_gemm(bool ta, bool tb, size_t m, size_t n, size_t k, const float *a, size_t lda, const float *b, size_t ldb,
             float *c, size_t ldc)
{
#if HAVE_DNNL
    if (!want_plain()) {
        one_thread();
        if (dnnl_sgemm(ta ? 'T' : 'N', tb ? 'T' : 'N', (dnnl_dim_t)m, (dnnl_dim_t)n, (dnnl_dim_t)k, 1.0f, a, (dnnl_dim_t)lda,
                       b, (dnnl_dim_t)ldb, 0.0f, c, (dnnl_dim_t)ldc) != dnnl_success) abort();
        return;
    }
#endif
    qs_plain_gemm(ta, tb, m, n, k, a, lda, b, ldb, c, ldc);
}
