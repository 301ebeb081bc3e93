/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Saving tensors: chooses the writer by the ending of the path, writes beside and renames, so that a file is
 * either the old one or the new one, and so that a model may be saved over the file it is mapped from.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "model/reader.h"

static int write_npy(FILE *f, qs_tensor *const *tensors, size_t n, qs_err *err)
{
    if (n != 1) return qs_fail(err, QS_EARG, _(".npy holds one tensor, not %zu; use .safetensors"), n);
    return qs_npy_write(f, tensors[0], err);
}

static const struct writer {
    const char *ending;
    int (*write)(FILE *f, qs_tensor *const *tensors, size_t n, qs_err *err);
} writers[] = {{".safetensors", qs_safetensors_write}, {".npy", write_npy}};

static const struct writer *writer_for(const char *path)
{
    size_t n = strlen(path);
    for (size_t i = 0; i < sizeof writers / sizeof *writers; i++) {
        size_t e = strlen(writers[i].ending);
        if (n > e && !strcmp(path + n - e, writers[i].ending)) return &writers[i];
    }
    return NULL;
}

int qs_bytes_write(FILE *f, const qs_tensor *t, qs_err *err)
{
    unsigned char raw[4096];
    size_t size = qs_dtype_size(t->dtype), block = sizeof raw / size;
    bool plain = t->data && !t->packed && !t->strided && !t->swapped && !qs_big_endian();
    if (plain && t->n && fwrite(t->data, size, t->n, f) != t->n) return qs_fail(err, QS_EIO, "%s", strerror(errno));
    for (size_t i = 0; i < t->n && !plain; i += block) {
        size_t m = t->n - i < block ? t->n - i : block;
        qs_tensor_bytes(t, i, 1, m, raw);
        for (size_t k = 0; k < m && qs_big_endian(); k++)
            for (size_t a = k * size, b = a + size - 1; a < b; a++, b--) {
                unsigned char c = raw[a];
                raw[a] = raw[b];
                raw[b] = c;
            }
        if (fwrite(raw, size, m, f) != m) return qs_fail(err, QS_EIO, "%s", strerror(errno));
    }
    return 0;
}

qs_item qs_item_of(const qs_tensor *t)
{
    qs_item o = {.name = t->name, .dtype = qs_tensor_saved(t), .ndim = t->ndim};
    for (int i = 0; i < t->ndim; i++) o.shape[i] = t->shape[i];
    return o;
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const qs_item *const *)a)->name, (*(const qs_item *const *)b)->name);
}

static int check_items(const qs_item *item, size_t n, qs_err *err)
{
    int rc = 0;
    const qs_item **sorted = qs_xmalloc(n * sizeof *sorted);
    for (size_t i = 0; i < n; i++) sorted[i] = &item[i];
    qsort(sorted, n, sizeof *sorted, by_name);
    for (size_t i = 0; i < n && !rc; i++) {
        if (!qs_dtype_size(sorted[i]->dtype))
            rc = qs_fail(err, QS_EARG, _("tensor %s: type %s cannot be saved"), sorted[i]->name, qs_dtype_name(sorted[i]->dtype));
        else if (i && !by_name(&sorted[i - 1], &sorted[i]))
            rc = qs_fail(err, QS_EARG, _("two tensors are called %s"), sorted[i]->name);
        else if (!strcmp(sorted[i]->name, "__metadata__"))
            rc = qs_fail(err, QS_EARG, _("no tensor can be called __metadata__"));
    }
    free(sorted);
    return rc;
}

static int check_tensors(qs_tensor *const *tensors, size_t n, qs_err *err)
{
    qs_item *item = qs_xcalloc(n, sizeof *item);
    int rc = 0;
    for (size_t i = 0; i < n && !rc; i++) {
        item[i] = qs_item_of(tensors[i]);
        if (!qs_dtype_size(tensors[i]->dtype)) /* the file's own word for it says more */
            rc = qs_fail(err, QS_EARG, _("tensor %s: type %s cannot be saved"), tensors[i]->name, tensors[i]->dtype_text);
    }
    if (!rc) rc = check_items(item, n, err);
    free(item);
    return rc;
}

typedef struct content { const struct writer *w; qs_tensor *const *tensors; size_t n; } content;

static int write_content(FILE *f, void *ctx, qs_err *err)
{
    const content *c = ctx;
    int rc = c->w->write(f, c->tensors, c->n, err);
    for (size_t i = 0; i < c->n && !rc; i++) rc = qs_tensor_check(c->tensors[i], err);
    return rc;
}

int qs_model_save(const char *path, qs_tensor *const *tensors, size_t n, qs_err *err)
{
    const struct writer *w = writer_for(path);
    if (!w) return qs_fail(err, QS_EARG, _("%s: the name must end in .safetensors or .npy"), path);
    int rc = check_tensors(tensors, n, err);
    return rc ? rc : qs_file_fill(path, write_content, &(content){w, tensors, n}, false, err);
}

/* ---- tensor after tensor ------------------------------------------------------- */
typedef struct flow {
    const qs_item *item;
    size_t n;
    const char *const *meta;
    int (*fill)(qs_stream *s, void *ctx, qs_err *err);
    void *ctx;
} flow;

static int write_flow(FILE *f, void *ctx, qs_err *err)
{
    const flow *w = ctx;
    qs_stream *s = qs_safetensors_begin(f, w->item, w->n, w->meta, err);
    if (!s) return -QS_EARG;
    int rc = w->fill(s, w->ctx, err), end = qs_safetensors_end(s, rc ? NULL : err);
    return rc ? rc : end;
}

int qs_model_stream(const char *path, const qs_item *item, size_t n, const char *const *meta,
                    int (*fill)(qs_stream *s, void *ctx, qs_err *err), void *ctx, qs_err *err)
{
    if (!qs_ends_in(path, ".safetensors")) return qs_fail(err, QS_EARG, _("%s: the name must end in .safetensors"), path);
    int rc = check_items(item, n, err);
    return rc ? rc : qs_file_fill(path, write_flow, &(flow){item, n, meta, fill, ctx}, false, err);
}
