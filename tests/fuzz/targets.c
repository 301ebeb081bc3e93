/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The targets. Beyond not crashing, each has something that must hold: a refusal has a name and a message, values are the
 * same in one piece and in two, what is printed reads back as the same.
 */
#include "fuzz.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/mem.h"
#include "engine/race.h"
#include "model/importance.h"
#include "model/packed.h"
#include "model/reader.h"
#include "quant/format.h"
#include "store/report.h"
#include "store/sweep.h"

uint8_t *fuzz_copy(const uint8_t *data, size_t size)
{
    uint8_t *p = malloc(size ? size : 1);
    return size ? memcpy(p, data, size) : p;
}

/* The bytes as text: up to the first NUL, with one behind. */
static char *text_of(const uint8_t *data, size_t size) { return strndup((const char *)data, size); }

/* NULL if a refusal says what and why. */
static const char *named(const qs_err *e)
{
    if (e->code <= QS_OK || e->code >= QS_CODES) return "refused without a code";
    return *e->msg ? NULL : "refused without a message";
}

/* ---- models ------------------------------------------------------------------------------------- */
enum { VALUES = 2048 };   /* of a tensor that are read at each end */

/* The values start .. start+n-1 at once, and cut in two somewhere. */
static const char *read_twice(const qs_tensor *t, size_t start, size_t n)
{
    static float a[VALUES], b[VALUES];
    size_t cut = n / 3;
    qs_tensor_read(t, start, n, a);
    qs_tensor_read(t, start, cut, b);
    qs_tensor_read(t, start + cut, n - cut, b + cut);
    return memcmp(a, b, n * sizeof *a) ? "values depend on how much is read at once" : NULL;
}

static const char *read_split(const qs_tensor *t, qs_split_kind kind, int axis, size_t group)
{
    qs_split s;
    qs_err e = {0};
    static float part[VALUES];
    if (qs_split_init(&s, t, kind, axis, group, &e)) return named(&e);
    for (size_t i = 0; i < s.parts && i < 4; i++) {
        size_t n = qs_split_len(&s, t, i);
        if (n > qs_split_longest(&s, t)) return "a part is longer than the longest";
        if (n > VALUES) return NULL;
        qs_split_gather(&s, t, i, part);
        for (size_t j = 0; j < n; j++)
            if (qs_split_where(&s, t, i, j) >= t->n) return "a part has an element that is not in the tensor";
    }
    return NULL;
}

static const char *read_tensor(const qs_tensor *t)
{
    char shape[80];
    float level[QS_PACKED_LEVELS];
    size_t n = t->n < VALUES ? t->n : VALUES;
    qs_tensor_reason(t);
    qs_tensor_shape_text(t, shape, sizeof shape);
    if (t->dtype == QS_UNKNOWN_DTYPE || !n) return NULL;
    const char *bad = read_twice(t, 0, n);
    if (!bad) bad = read_twice(t, t->n - n, n);
    qs_tensor_at(t, t->n - 1);
    qs_packed_levels(t, 0, level);
    qs_packed_levels(t, t->n - 1, level);
    if (!bad) bad = read_split(t, QS_SPLIT_CHANNEL, -1, 0);
    return bad ? bad : read_split(t, QS_SPLIT_GROUP, -1, 32);
}

static const char *read_model(const qs_model *m)
{
    const char *bad = NULL;
    for (size_t i = 0; i < m->n && i < 64 && !bad; i++) {
        bad = read_tensor(m->tensors[i]);
        if (qs_model_find(m, m->tensors[i]->name) != m->tensors[i]) bad = "a tensor is not found by its name";
    }
    return bad;
}

static void release(qs_blob *b) { free((void *)(uintptr_t)b->data); }

static qs_blob *blob_of(const uint8_t *data, size_t size)
{
    qs_blob *b = qs_xcalloc(1, sizeof *b);
    b->refs = 1;
    b->data = fuzz_copy(data, size);
    b->size = size;
    b->release = release;
    return b;
}

/* Other files are looked for beside this one: shards and external data find those of the corpus. */
static qs_model *open_model(const fuzz_target *t, const uint8_t *data, size_t size, qs_err *e)
{
    const char *top = getenv("top_srcdir");
    char *path = qs_xasprintf("%s/tests/fuzz/corpus/%s/file", top ? top : ".", t->name);
    qs_blob *b = blob_of(data, size);
    qs_model *m = qs_model_read(path, b, e);
    qs_blob_unref(b);
    free(path);
    return m;
}

static const char *model(const fuzz_target *t, const uint8_t *data, size_t size, bool *opened)
{
    qs_err e = {0};
    if (!size) return NULL; /* qs_blob_map refuses it */
    qs_model *m = open_model(t, data, size, &e);
    *opened = m;
    const char *bad = m ? read_model(m) : named(&e);
    qs_model_unref(m);
    return bad;
}

/* Of the weights of a matrix, experts and a convolution. */
static const char *importance(const fuzz_target *t, const uint8_t *data, size_t size, bool *opened)
{
    static const struct { const char *name; int ndim; int64_t shape[4]; } weights[] = {
        {"a.weight", 2, {2, 4}}, {"e.weight", 3, {2, 2, 4}}, {"c.weight", 4, {2, 3, 1, 2}}};
    qs_err e = {0};
    if (!size) return NULL;
    qs_model *m = open_model(t, data, size, &e);
    const char *bad = m ? read_model(m) : named(&e);
    *opened = m;
    for (size_t i = 0; m && !bad && i < sizeof weights / sizeof *weights; i++) {
        float *mem;
        qs_tensor *w = qs_tensor_f32(weights[i].name, weights[i].ndim, weights[i].shape, &mem, NULL), *x = qs_importance_of(m, w, NULL, &e);
        if (!x) bad = named(&e);
        else if (x->n != w->n) bad = "importance of another size than its weight";
        qs_tensor_unref(x);
        qs_tensor_unref(w);
    }
    qs_model_unref(m);
    return bad;
}

/* ---- texts ------------------------------------------------------------------------------------------ */
static const char *format(const fuzz_target *t, const uint8_t *data, size_t size, bool *opened)
{
    (void)t;
    qs_err e = {0};
    char *text = text_of(data, size);
    qs_format *f = qs_format_parse(text, &e), *again = NULL;
    char *once = NULL, *twice = NULL;
    const char *bad = f ? NULL : named(&e);
    *opened = f;
    if (f) once = qs_format_print(f);
    if (f && !(again = qs_format_parse(once, &e))) bad = "what is printed cannot be read";
    if (again) {
        twice = qs_format_print(again);
        if (strcmp(once, twice)) bad = "what is printed is printed differently the next time";
        else if (f->n != again->n || memcmp(f->c, again->c, f->n * sizeof *f->c)) bad = "what is printed has other levels";
        else if (f->gran != again->gran || f->group != again->group || f->axis != again->axis || f->offset != again->offset || f->scale != again->scale)
            bad = "what is printed is another format";
        qs_format_free(qs_format_bits(f, f->bits + 1, NULL));
    }
    free(text);
    free(once);
    free(twice);
    qs_format_free(f);
    qs_format_free(again);
    return bad;
}

static void add(qs_sweep *s, const char *name, qs_sweep_value v) { qs_sweep_add_value(s, name, &v, NULL); }

static qs_sweep *some_sweep(void)
{
    qs_sweep *s = qs_sweep_new("fuzz", NULL);
    for (int i = 2; i < 5; i++) add(s, "bits", (qs_sweep_value){.kind = QS_SWEEP_INTEGER, .i = i});
    add(s, "init", (qs_sweep_value){.kind = QS_SWEEP_TEXT, .s = (char[]){"lsq"}});
    add(s, "init", (qs_sweep_value){.kind = QS_SWEEP_TEXT, .s = (char[]){"a|b, c"}});
    add(s, "lr", (qs_sweep_value){.kind = QS_SWEEP_REAL, .x = .1});
    add(s, "lr", (qs_sweep_value){.kind = QS_SWEEP_REAL, .x = 1e-300});
    add(s, "on", (qs_sweep_value){.kind = QS_SWEEP_BOOL, .i = 1});
    qs_sweep_close(s, NULL);
    return s;
}

static const char *filter(const fuzz_target *t, const uint8_t *data, size_t size, bool *opened)
{
    (void)t;
    static qs_sweep *s; /* for all of them */
    qs_err e = {0};
    long i, of;
    size_t *cell = NULL, n = 0;
    char *text = text_of(data, size);
    if (!s) s = some_sweep();
    const char *bad = NULL;
    *opened = !qs_sweep_choose(s, text, 0, 0, &cell, &n, &e);
    if (!*opened) bad = named(&e);
    for (size_t k = 0; *opened && k < n; k++)
        if (cell[k] >= s->ncell || (k && cell[k - 1] >= cell[k])) bad = "chosen cells are not in order";
    free(cell);
    if (!qs_shard_read(text, &i, &of, NULL) && (i < 1 || i > of)) bad = "a shard that is not one of those there are";
    free(text);
    return bad;
}

/* A key, and a line between a sweep and its workers: JSON both. */
static const char *cell(const fuzz_target *t, const uint8_t *data, size_t size, bool *opened)
{
    (void)t;
    qs_err e = {0};
    qs_sweep_cell c = {0};
    qs_line line = {0};
    char *text = text_of(data, size);
    const char *bad = NULL;
    *opened = !qs_sweep_cell_read(text, &c, &e);
    if (*opened) {
        char *shown = qs_sweep_cell_text(&c);
        free(shown);
        qs_sweep_cell_clear(&c);
    } else bad = named(&e);
    if (!qs_line_read(text, &line, &e)) {
        *opened = true;
        qs_line_clear(&line);
    }
    free(text);
    return bad;
}

/* ---- files that are opened by their path -------------------------------------------------------------- */
static const char *race(const fuzz_target *t, const uint8_t *data, size_t size, bool *opened)
{
    char path[40];
    qs_err e = {0};
    int fd = memfd_create(t->name, MFD_CLOEXEC);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size) return "no file in memory";
    qs_race *r = qs_race_load(path, &e);
    close(fd);
    *opened = r;
    const char *bad = r ? NULL : named(&e);
    if (r && !qs_race_picture(r)) bad = "a race without a picture";
    qs_race_unref(r);
    return bad;
}

/* The readers of src/model find out by themselves what the bytes are: a target of that table is its corpus. */
const fuzz_target fuzz_targets[] = {
    {"safetensors", model}, {"npy", model}, {"npz", model}, {"gguf", model}, {"torch", model}, {"onnx", model},
    {"index", model}, {"joined", model}, {"importance", importance}, {"format", format}, {"filter", filter}, {"cell", cell}, {"race", race}, {NULL, NULL},
};
