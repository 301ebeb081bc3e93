/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Opening costs the header: a sparse gigabyte, as safetensors and as ONNX, under 60 ms and 64 MB of memory of our own. */
#include <fcntl.h>

#include "base/sync.h"
#include "files.h"
#include "../tap.h"

#define TENSORS 256
#define BYTES ((uint64_t)4 << 20) /* a tensor; together 1 GiB */

/* Memory that is ours, in bytes: not the pages of mapped files. */
static double anonymous(void)
{
    char line[256];
    double kb = -1;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f)) sscanf(line, "RssAnon: %lf", &kb);
    if (f) fclose(f);
    return kb * 1024;
}

static void put(int fd, uint64_t at, const qs_str *s)
{
    ok(pwrite(fd, s->s, s->n, (off_t)at) == (ssize_t)s->n, "header written");
}

static void write_safetensors(const char *path)
{
    qs_str h = {0};
    for (int i = 0; i < TENSORS; i++)
        qs_str_addf(&h, "%s\"layers.%d.weight\":{\"dtype\":\"F32\",\"shape\":[1024,1024],\"data_offsets\":[%llu,%llu]}", i ? "," : "{",
                    i, (unsigned long long)(i * BYTES), (unsigned long long)((i + 1) * BYTES));
    qs_str_add(&h, "}");
    qs_str file = {0};
    for (int i = 0; i < 8; i++) qs_str_addn(&file, (char[]){(char)(h.n >> 8 * i)}, 1);
    qs_str_addn(&file, h.s, h.n);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    put(fd, 0, &file);
    ok(!ftruncate(fd, (off_t)(file.n + TENSORS * BYTES)), "a sparse file of 1 GB");
    close(fd);
    free(h.s);
    free(file.s);
}

static void varint(qs_str *s, uint64_t x)
{
    for (; x >= 0x80; x >>= 7) qs_str_addn(s, (char[]){(char)(x | 0x80)}, 1);
    qs_str_addn(s, (char[]){(char)x}, 1);
}

/* graph { initializer { dims 1024, 1024; data_type FLOAT; name; raw_data } ... } */
static void write_onnx(const char *path)
{
    qs_str head[TENSORS] = {{0}}, file = {0};
    uint64_t graph = 0, at;
    for (int i = 0; i < TENSORS; i++) {
        qs_str t = {0};
        qs_str_addn(&t, "\x08\x80\x08\x08\x80\x08\x10\x01\x42\x04", 10);
        qs_str_addf(&t, "w%03d", i);
        qs_str_addn(&t, "\x4a", 1);
        varint(&t, BYTES);
        qs_str_addn(&head[i], "\x2a", 1);
        varint(&head[i], t.n + BYTES);
        qs_str_addn(&head[i], t.s, t.n);
        free(t.s);
        graph += head[i].n + BYTES;
    }
    qs_str_addn(&file, "\x08\x07\x3a", 3);
    varint(&file, graph);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    put(fd, 0, &file);
    at = file.n;
    for (int i = 0; i < TENSORS; at += head[i++].n + BYTES) put(fd, at, &head[i]);
    ok(!ftruncate(fd, (off_t)at), "a sparse file of 1 GB");
    close(fd);
    for (int i = 0; i < TENSORS; i++) free(head[i].s);
    free(file.s);
}

static void measure(const char *dir, const char *name, void (*write)(const char *path))
{
    char *path = in_dir(dir, name);
    qs_err e = {0};
    write(path);
    double best = 1e9, before = anonymous(), most = 0;
    bool good = true;
    for (int i = 0; i < 5; i++) {
        double t = qs_now();
        qs_model *m = qs_model_open(path, &e);
        t = qs_now() - t;
        double mem = anonymous() - before;
        best = t < best ? t : best;
        most = mem > most ? mem : most;
        good &= m && m->n == TENSORS && m->values == TENSORS * BYTES / 4 && qs_tensor_at(m->tensors[TENSORS - 1], 5) == 0;
        qs_model_unref(m);
    }
    ok(good, "%s: %d tensors, 1 GB %s", name, TENSORS, e.msg);
    /* A promise of the plain build: a sanitizer only has to come to an end. */
    ok(best < (TAP_SANITIZED ? 1 : 0.060), "%s opens in %.2f ms", name, best * 1e3);
    ok(most < 64e6, "%s takes %.1f MB of our own", name, most / 1e6);
    unlink(path);
    free(path);
}

int main(void)
{
    char *dir = tmp_dir();
    measure(dir, "big.safetensors", write_safetensors);
    measure(dir, "big.onnx", write_onnx);
    rmdir(dir);
    free(dir);
    return done();
}
