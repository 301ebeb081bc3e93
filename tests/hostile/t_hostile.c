/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Hostile files for every reader: the bundled and golden files cut short at every length and with bytes changed,
 * always the same ones. A damaged file must give a named error or a model whose tensors can all be read; what must
 * not happen (a crash, an overrun, undefined behaviour) is for the sanitizer builds to see. The files that are
 * wrong in one known way are in t_safetensors, t_npy and t_onnx.
 */
#include <fcntl.h>

#include "base/rng.h"
#include "base/sync.h"
#include "../unit/files.h"
#include "../tap.h"

#define READ_MAX 5000 /* values read of a tensor at either end */
#define OFTEN (TAP_THREADS_ONLY ? 10 : TAP_SANITIZED ? 5 : 1) /* slow there; readers have one thread: every tenth of all this is enough for threads */

static size_t opened, refused, nameless, partial, whole;

static void use_split(const qs_tensor *t, qs_split_kind kind, int axis, size_t group)
{
    qs_split s;
    if (qs_split_init(&s, t, kind, axis, group, NULL)) return;
    size_t n = qs_split_longest(&s, t);
    float *out = n <= READ_MAX ? qs_xmalloc((n + 1) * sizeof *out) : NULL;
    for (int last = 0; last < 2 && out; last++) {
        size_t part = last ? s.parts - 1 : 0, len = qs_split_len(&s, t, part);
        if (len) qs_split_gather(&s, t, part, out);
        if (len && qs_split_where(&s, t, part, len - 1) >= t->n) nameless++;
    }
    free(out);
}

/* Everything the program does with a tensor it does not know. */
static void use_tensor(const qs_tensor *t)
{
    static float out[READ_MAX];
    char text[64];
    size_t n = t->n < READ_MAX ? t->n : READ_MAX;
    qs_tensor_shape_text(t, text, sizeof text);
    qs_tensor_reason(t);
    if (!t->dtype_text || !t->name || t->out_axis >= t->ndim || t->in_axes >> t->ndim) nameless++;
    if (!t->dtype) return;
    qs_tensor_read(t, 0, n, out);
    qs_tensor_read(t, t->n - n, n, out);
    if (t->n) qs_tensor_at(t, t->n - 1);
    use_split(t, QS_SPLIT_TENSOR, -1, 0);
    use_split(t, QS_SPLIT_CHANNEL, -1, 0);
    use_split(t, QS_SPLIT_GROUP, -1, 7);
}

static void try_file(const char *path)
{
    qs_err e = {0};
    qs_model *m = qs_model_open(path, &e);
    for (size_t i = 0; m && i < m->n; i++) {
        use_tensor(m->tensors[i]);
        if (qs_model_find(m, m->tensors[i]->name) != m->tensors[i]) nameless++;
    }
    opened += m != NULL;
    partial += m && m->n < whole;
    refused += m == NULL;
    if (!m && (!strstr(e.msg, path) || strlen(e.msg) < strlen(path) + 5 || !e.code || e.code == QS_EARG)) {
        if (!nameless++) printf("# %s: %s\n", qs_code_name(e.code), e.msg);
    }
    qs_model_unref(m);
}

static void begin(void) { opened = refused = nameless = partial = 0; }

static void report(const char *what, const char *name)
{
    ok(nameless == 0 && opened + refused > 0, "%s: %zu %s, %zu refused by name, %zu open", name, opened + refused, what, refused, opened);
}

/* Cut at every length up to `every`, then at some. What follows the graph of an ONNX file may be missing, no weight may. */
static void cut(const char *path, const unsigned char *p, size_t n, size_t every, const char *name)
{
    begin();
    write_bytes(path, p, n);
    for (size_t len = n - 1; len > 0; len -= len > every ? len / 37 + 1 : len < OFTEN ? len : OFTEN)
        if (!truncate(path, (off_t)len)) try_file(path);
    ok(partial == 0 && opened < n / 20 + 1, "%s: nothing opens with tensors missing", name);
    report("cuts", name);
}

/* Changes 1..3 bytes among the first `head`, or (one time in eight) anywhere, tries, and puts them back. */
static void mutate(const char *path, const unsigned char *p, size_t n, size_t head, int times, const char *name)
{
    static const unsigned char nasty[] = {0, 1, 0x7f, 0x80, 0xff, '0', '9', '-', '"', '{', '}', '[', ']', ',', '\\'};
    qs_rng r;
    qs_rng_seed(&r, 42);
    begin();
    write_bytes(path, p, n);
    int fd = open(path, O_WRONLY);
    for (int i = 0; i < times; i += OFTEN) {
        size_t at[3], k = 1 + qs_rng_next(&r) % 3, among = qs_rng_next(&r) % 8 && head < n ? head : n;
        for (size_t j = 0; j < k; j++) {
            uint64_t x = qs_rng_next(&r);
            at[j] = (size_t)(x >> 16) % among;
            unsigned char c = x & 256 ? nasty[(x & 255) % sizeof nasty] : x & 512 ? p[at[j]] ^ (unsigned char)(1 << (x & 7)) : (unsigned char)x;
            if (pwrite(fd, &c, 1, (off_t)at[j]) != 1) nameless++;
        }
        try_file(path);
        for (size_t j = 0; j < k; j++)
            if (pwrite(fd, &p[at[j]], 1, (off_t)at[j]) != 1) nameless++;
    }
    close(fd);
    report("changes", name);
}

/* Every byte of a small file, each to a few values. */
static void sweep(const char *path, const unsigned char *p, size_t n, const char *name)
{
    static const unsigned char to[] = {0x7f, 0xff};
    begin();
    write_bytes(path, p, n);
    int fd = open(path, O_WRONLY);
    for (size_t i = 0; i < n; i += OFTEN) {
        for (size_t j = 0; j < sizeof to; j++)
            if (pwrite(fd, &to[j], 1, (off_t)i) == 1) try_file(path);
        if (pwrite(fd, &p[i], 1, (off_t)i) != 1) nameless++;
    }
    close(fd);
    report("changes, byte by byte", name);
}

static void garbage(const char *path)
{
    static const char *const starts[] = {"", "\x93NUMPY\1\0", "\x93NUMPY\2\0", "\x40\0\0\0\0\0\0\0{\"", "\x08\x07\x3a\x40", "\x08\x02\x10\x01"};
    static const size_t lengths[] = {0, 8, 8, 10, 4, 4};
    unsigned char b[256];
    qs_rng r;
    qs_rng_seed(&r, 7);
    begin();
    for (int i = 0; i < 1200 / OFTEN; i++) {
        size_t k = (size_t)i % 6;
        for (size_t j = 0; j < sizeof b; j++) b[j] = (unsigned char)qs_rng_next(&r);
        memcpy(b, starts[k], lengths[k]);
        write_bytes(path, b, 1 + qs_rng_next(&r) % sizeof b);
        try_file(path);
    }
    report("files", "garbage behind every magic");
}

static void attack(const char *dir, const char *name, size_t head, int times, bool small)
{
    const char *dot = strrchr(name, '.');
    char *from = in_source(name), *path = qs_xasprintf("%s/hostile%s", dir, dot);
    qs_err e = {0};
    qs_blob *b = qs_blob_map(from, &e);
    qs_model *m = qs_model_open(from, &e);
    whole = m ? m->n : 0;
    qs_model_unref(m);
    if (ok(b && whole, "%s %s", name, e.msg)) {
        cut(path, b->data, b->size, small ? b->size : 600, name);
        mutate(path, b->data, b->size, head, times, name);
        if (small) sweep(path, b->data, b->size, name);
    }
    unlink(path);
    qs_blob_unref(b);
    free(from);
    free(path);
}

int main(void)
{
    char *dir = tmp_dir(), *path = in_dir(dir, "garbage");
    attack(dir, "data/sample.safetensors", 2900, 2500, false);
    attack(dir, "data/blazeface_front.onnx", 3000, 1500, false);
    attack(dir, "tests/golden/onnx/axes.onnx", 2337, 1500, true);
    attack(dir, "tests/golden/onnx/types.onnx", 481, 1500, true);
    attack(dir, "tests/golden/onnx/graphs.onnx", 1026, 1500, true);
    attack(dir, "tests/golden/onnx/external.onnx", 96, 500, true);
    attack(dir, "tests/golden/npy/f4_fortran.npy", 128, 1500, true);
    attack(dir, "tests/golden/npy/f8_big.npy", 128, 500, true);
    attack(dir, "tests/fuzz/corpus/npz/stored.npz", 818, 1000, true);
    attack(dir, "tests/fuzz/corpus/npz/deflated.npz", 609, 1000, true);
    attack(dir, "tests/fuzz/corpus/torch/zip4.pt", 1364, 1000, true);
    attack(dir, "tests/fuzz/corpus/torch/checkpoint.pt", 1139, 500, false);
    attack(dir, "tests/fuzz/corpus/torch/old.pt", 774, 1500, true);
    attack(dir, "tests/fuzz/corpus/torch/old4.pt", 707, 500, false);
    attack(dir, "tests/fuzz/corpus/torch/quantized.pt", 546, 500, false);
    garbage(path);
    unlink(path);
    rmdir(dir);
    free(path);
    free(dir);
    return done();
}
