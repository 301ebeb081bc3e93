/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Every file of Debian's libonnx-testdata against what python3-onnx reads from it: names, types, shapes, values.
 * onnx_testdata.txt (made by onnx_testdata.py) has a checksum a folder; with --print this program writes its own.
 */
#include <dirent.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "model/model.h"
#include "../tap.h"

#define DATA "/usr/share/libonnx-testdata/data"

static uint32_t crc(uint32_t c, const void *p, size_t n) /* that of zlib */
{
    const unsigned char *b = p;
    c = ~c;
    while (n--) {
        c ^= *b++;
        for (int i = 0; i < 8; i++) c = c >> 1 ^ (c & 1 ? 0xedb88320u : 0);
    }
    return ~c;
}

static uint32_t crc_text(uint32_t c, const char *s) { return crc(c, s, strlen(s)); }

/* The values as doubles; the floats must be the same, rounded. */
static uint32_t crc_values(uint32_t c, const qs_tensor *t, bool *agree)
{
    float *f = qs_xmalloc((t->n + 1) * sizeof *f);
    qs_tensor_read(t, 0, t->n, f);
    for (size_t i = 0; i < t->n; i++) {
        double x = qs_tensor_at(t, i);
        *agree &= isnan(x) ? isnan(f[i]) : f[i] == (float)x;
        c = isnan(x) ? crc_text(c, "nan") : crc(c, &x, sizeof x);
    }
    free(f);
    return c;
}

static size_t tensors, wrong_floats, files, models, refused, nameless;

static uint32_t crc_file(uint32_t c, const char *path)
{
    qs_err e = {0};
    qs_model *m = qs_model_open(path, &e);
    files++;
    models += strstr(path, ".onnx") != NULL;
    refused += !m;
    nameless += !m && (!e.code || !strstr(e.msg, path) || strlen(e.msg) < strlen(path) + 10);
    if (!m) return crc_text(c, "refused\n");
    for (size_t i = 0; i < m->n; i++) {
        const qs_tensor *t = m->tensors[i];
        char head[512], shape[128];
        bool agree = true;
        snprintf(head, sizeof head, "%s %s %s\n", t->name, t->dtype_text, qs_tensor_shape_text(t, shape, sizeof shape));
        if (getenv("VERBOSE")) printf("# %s", head);
        c = crc_text(c, head);
        if (t->dtype) c = crc_values(c, t, &agree);
        tensors++;
        wrong_floats += !agree;
    }
    qs_model_unref(m);
    return crc_text(c, "\n");
}

static int is_model(const struct dirent *d)
{
    const char *dot = strrchr(d->d_name, '.');
    return dot && (!strcmp(dot, ".onnx") || !strcmp(dot, ".pb"));
}

static int is_folder(const struct dirent *d) { return d->d_type == DT_DIR && d->d_name[0] != '.'; }

static int by_bytes(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }

/* Calls fn(path, crc of its models) for every folder that has any, in the order of names. */
static void walk(const char *folder, void (*fn)(void *arg, const char *folder, uint32_t c), void *arg)
{
    struct dirent **list;
    uint32_t c = 0;
    int n = scandir(folder, &list, is_model, by_bytes);
    for (int i = 0; i < n; i++) {
        char *path = qs_xasprintf("%s/%s", folder, list[i]->d_name);
        c = crc_file(c, path);
        free(path);
        free(list[i]);
    }
    if (n >= 0) free(list);
    if (n > 0) fn(arg, folder, c);
    n = scandir(folder, &list, is_folder, by_bytes);
    for (int i = 0; i < n; i++) {
        char *path = qs_xasprintf("%s/%s", folder, list[i]->d_name);
        walk(path, fn, arg);
        free(path);
        free(list[i]);
    }
    if (n >= 0) free(list);
}

struct check { FILE *golden; size_t same, differ; };

static void compare(void *arg, const char *folder, uint32_t c)
{
    struct check *k = arg;
    char line[1024], mine[1024];
    snprintf(mine, sizeof mine, "%08x %s\n", c, folder + strlen(DATA) + 1);
    if (!k->golden) {
        fputs(mine, stdout);
        return;
    }
    bool good = fgets(line, sizeof line, k->golden) && !strcmp(line, mine);
    k->same += good;
    k->differ += !good;
    if (!good && k->differ < 10) printf("# got  %s# want %s", mine, line);
}

int main(int argc, char **argv)
{
    const char *top = getenv("top_srcdir");
    struct check k = {0};
    if (access(DATA, R_OK)) {
        printf("1..0 # SKIP Debian's libonnx-testdata is not installed\n");
        return 0;
    }
    if (argc > 1 && !strcmp(argv[1], "--print")) {
        walk(DATA, compare, &k);
        fprintf(stderr, "%zu files, %zu tensors\n", files, tensors);
        return 0;
    }
    char *path = qs_xasprintf("%s/tests/golden/onnx_testdata.txt", top ? top : ".");
    k.golden = fopen(path, "r");
    free(path);
    if (!ok(k.golden, "the golden file is there")) return done();
    char line[1024];
    walk(DATA, compare, &k);
    ok(k.differ == 0 && k.same > 1000, "%zu folders read as python3-onnx reads them, %zu differ", k.same, k.differ);
    ok(!fgets(line, sizeof line, k.golden), "and no folder is missing");
    ok(files == 4277 && tensors > 3000, "%zu files, %zu tensors", files, tensors);
    ok(models == 1072 && nameless == 0, "%zu models; %zu files refused, each by name and with a reason", models, refused);
    ok(wrong_floats == 0, "the floats are the exact values rounded");
    fclose(k.golden);
    return done();
}
