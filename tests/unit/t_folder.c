/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Models of several files, and files that are none: folders, indexes with missing or lying shards, names that lead out,
 * pipes, devices, sockets; and a file that is cut short while it is open.
 */
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "files.h"
#include "../tap.h"

#define CORPUS "tests/fuzz/corpus/index/"
#define ONE "model-00001-of-00002.safetensors"
#define TWO "model-00002-of-00002.safetensors"
#define INDEX "model.safetensors.index.json"

static char *dir;

static bool put(const char *name, const void *p, size_t n)
{
    char *path = in_dir(dir, name);
    bool good = write_bytes(path, p, n);
    free(path);
    return good;
}

static void copy(const char *from, const char *name)
{
    qs_err e = {0};
    char *path = in_source(from);
    qs_blob *b = qs_blob_map(path, &e);
    if (!b || !put(name, b->data, b->size)) ok(false, "%s %s", name, e.msg);
    qs_blob_unref(b);
    free(path);
}

static void gone(const char *name)
{
    char *path = in_dir(dir, name);
    remove(path);
    free(path);
}

static qs_model *open_in(const char *name, qs_err *err)
{
    char *path = in_dir(dir, name);
    *err = (qs_err){0};
    qs_model *m = qs_model_open(path, err);
    free(path);
    return m;
}

static void refused(const char *what, const char *name, int code, const char *message)
{
    qs_err e;
    qs_model *m = open_in(name, &e);
    ok(!m && e.code == code && strstr(e.msg, message) && strstr(e.msg, dir), "%s: %s %s", what, qs_code_name(e.code), e.msg);
    qs_model_unref(m);
}

/* ---- an index ------------------------------------------------------------------------------------- */
static void whole(void)
{
    qs_err e;
    copy(CORPUS INDEX, INDEX);
    copy(CORPUS ONE, ONE);
    copy(CORPUS TWO, TWO);
    copy(CORPUS "config.json", "config.json");
    qs_model *m = open_in(INDEX, &e);
    ok(m && m->n == 3 && !strcmp(m->format, "shards") && qs_tensor_at(qs_model_find(m, "b.weight"), 5) == 6, "two shards %s", e.msg);
    ok(m && m->note && !strcmp(m->note, "TinyForCausalLM: 2 shards"), "%s", m && m->note ? m->note : "no note");
    qs_model_unref(m);
    m = open_in("", &e);
    ok(m && m->n == 3 && !strncmp(m->path, dir, strlen(dir)), "the folder is the same model %s", e.msg);
    qs_model_unref(m);
}

static void index_says(const char *what, const char *json, int code, const char *message)
{
    put(INDEX, json, strlen(json));
    refused(what, INDEX, code, message);
}

#define SHARD(t, s) "{\"weight_map\": {\"" t "\": \"" s "\"}}"

static void lies(void)
{
    index_says("a missing shard", SHARD("a.weight", "model-9.safetensors"), QS_EIO, "model-9.safetensors: No such file");
    index_says("a tensor that is not there", SHARD("b.weight", ONE), QS_EFORMAT, "b.weight is not in shard '" ONE "'");
    index_says("up", SHARD("a.weight", "../" ONE), QS_EFORMAT, "folder of the index");
    index_says("down and up", SHARD("a.weight", "x/../../" ONE), QS_EFORMAT, "folder of the index");
    index_says("from the root", SHARD("a.weight", "/etc/passwd"), QS_EFORMAT, "folder of the index");
    index_says("no name", SHARD("a.weight", ""), QS_EFORMAT, "folder of the index");
    index_says("itself", SHARD("a.weight", INDEX), QS_EFORMAT, "an index itself");
    index_says("a folder", SHARD("a.weight", "."), QS_EIO, "is a folder");
    index_says("no model", SHARD("a.weight", "text.bin"), QS_EFORMAT, "text.bin: not a");
    index_says("a number for a shard", "{\"weight_map\": {\"a.weight\": 7}}", QS_EFORMAT, "name of a file expected");
    index_says("no map", "{\"weight\": {}}", QS_EFORMAT, "without weight_map");
    index_says("a list for a map", "{\"weight_map\": []}", QS_EFORMAT, "without weight_map");
    index_says("twice", "{\"weight_map\": {\"a\": \"x\", \"a\": \"x\"}}", QS_EFORMAT, "duplicate");
    index_says("cut", "{\"weight_map\": {", QS_EFORMAT, "JSON");
    qs_str deep = {0};
    for (int i = 0; i < 100000; i++) qs_str_add(&deep, "{\"a\":");
    index_says("braces 100000 deep", deep.s, QS_EFORMAT, "JSON");
    free(deep.s);
    qs_err e;
    const char *json = SHARD("b.weight", TWO);
    put(INDEX, json, strlen(json));
    qs_model *m = open_in(INDEX, &e);
    ok(m && m->n == 1 && strstr(m->note, "1 tensors more"), "what the index does not name is left out, and counted: %s", m ? m->note : e.msg);
    qs_model_unref(m);
}

/* Cut at every length, and every byte changed: a named error, or a model. */
static void damaged(void)
{
    static const char to[] = {0, '"', '}', ',', '\\', (char)0xff};
    qs_err e;
    size_t bad = 0, opened = 0;
    char *from = in_source(CORPUS INDEX), *path = in_dir(dir, INDEX);
    qs_blob *b = qs_blob_map(from, &e);
    char *text = b ? strndup((const char *)b->data, b->size) : NULL;
    for (size_t i = 0; b && i < b->size * (1 + sizeof to); i++) {
        size_t at = i % b->size, k = i / b->size;
        char was = text[at];
        if (k) text[at] = to[k - 1];
        qs_model *m = open_bytes(path, text, k ? b->size : at ? at : 1, &e);
        opened += m != NULL;
        bad += !m && (!strstr(e.msg, dir) || !e.code || e.code == QS_EARG);
        qs_model_unref(m);
        text[at] = was;
    }
    ok(b && !bad && opened, "a damaged index: named errors, %zu open", opened);
    qs_blob_unref(b);
    free(text);
    free(from);
    free(path);
}

static void links(void)
{
    qs_err e;
    char *below = in_dir(dir, "snapshot"), *index = in_dir(dir, "snapshot/" INDEX), *link = in_dir(dir, "snapshot/shard");
    const char *json = SHARD("a.weight", "shard");
    mkdir(below, 0700);
    write_bytes(index, json, strlen(json));
    ok(!symlink("../" ONE, link), "a link");
    qs_model *m = open_in("snapshot", &e);
    ok(m && m->n == 1, "a link that leads out of the folder is followed: caches are made of them %s", e.msg);
    qs_model_unref(m);
    unlink(link);
    ok(!symlink("shard", link), "a link to itself");
    refused("which leads nowhere", "snapshot", QS_EIO, "shard: ");
    unlink(link);
    unlink(index);
    rmdir(below);
    free(below);
    free(index);
    free(link);
}

/* ---- a folder -------------------------------------------------------------------------------------------- */
static void which(void)
{
    qs_err e;
    qs_model *m;
    gone(INDEX);
    refused("shards without an index", "", QS_EIO, "2 files that end in .safetensors");
    gone(ONE);
    m = open_in("", &e);
    ok(m && m->n == 2 && !strcmp(m->format, "safetensors") && !strcmp(m->note, "TinyForCausalLM"), "the only file of its kind %s", e.msg);
    qs_model_unref(m);
    copy("data/sample.safetensors", "model.safetensors");
    m = open_in("", &e);
    ok(m && m->n == 30, "model.safetensors before others %s", e.msg);
    qs_model_unref(m);
    gone("model.safetensors");
    gone(TWO);
    copy("tests/fuzz/corpus/torch/zip.pt", "pytorch_model.bin");
    m = open_in("", &e);
    ok(m && !strcmp(m->format, "torch") && m->n == 5, "pytorch_model.bin before other .bin %s", e.msg);
    qs_model_unref(m);
    gone("pytorch_model.bin");
    refused("a file that is no model", "", QS_EFORMAT, "text.bin: not a");
    gone("text.bin");
    refused("a folder without one", "", QS_EIO, "looked for: model.safetensors.index.json");
    refused("a missing one", "nothing/", QS_EIO, "No such file");
}

/* ---- GGUF in parts ------------------------------------------------------------------------------------- */
#define GGUF "tests/fuzz/corpus/gguf/"
#define PART1 "part-00001-of-00002.gguf"
#define PART2 "part-00002-of-00002.gguf"

static void split(void)
{
    qs_err e;
    copy(GGUF PART1, PART1);
    refused("a part is missing", PART1, QS_EIO, PART2 ": No such file");
    copy(GGUF PART2, PART2);
    static const char *const names[] = {PART1, ""};
    for (size_t i = 0; i < 2; i++) {
        qs_model *m = open_in(names[i], &e);
        ok(m && m->n == 2 && qs_model_find(m, "w0.weight") && qs_model_find(m, "w1.weight"), "%s is both parts %s", i ? "the folder" : "the first", e.msg);
        ok(m && m->note && strstr(m->note, "llama; 2 parts"), "%s", m && m->note ? m->note : "no note");
        qs_model_unref(m);
    }
    qs_model *m = open_in(PART2, &e);
    ok(m && m->n == 1 && strstr(m->note, "part 2 of 2"), "a later one alone is a part %s", e.msg);
    qs_model_unref(m);
    copy(GGUF PART1, "one.gguf");
    m = open_in("one.gguf", &e);
    ok(m && m->n == 1 && strstr(m->note, "part 1 of 2"), "so is the first under another name %s", e.msg);
    qs_model_unref(m);
    refused("parts and another file", "", QS_EIO, "2 files that end in .gguf");
    gone("one.gguf");
    copy(GGUF PART1, PART2);
    refused("the first twice", PART1, QS_EFORMAT, "two tensors are called w0.weight");
    copy(GGUF "keys.gguf", PART2);
    refused("a part of another model", PART1, QS_EFORMAT, PART2 ": says that it is part 2 of 3");
    put(PART2, "text", 4);
    refused("no part at all", PART1, QS_EFORMAT, PART2 ": not a GGUF file");
    gone(PART1);
    gone(PART2);
}

/* ---- files that are none ------------------------------------------------------------------------------------ */
static void no_files(void)
{
    qs_err e = {0};
    char *path = in_dir(dir, "model.safetensors");
    ok(!mkfifo(path, 0600), "a pipe");
    refused("a pipe", "model.safetensors", QS_EIO, "not a regular file");
    refused("a folder with one", "", QS_EIO, "not a regular file");
    unlink(path);
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int s = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
    ok(!bind(s, (const struct sockaddr *)&a, sizeof a), "a socket");
    refused("a socket", "model.safetensors", QS_EIO, "");
    close(s);
    unlink(path);
    put("model.safetensors", "", 0);
    refused("an empty file", "model.safetensors", QS_EFORMAT, "empty");
    if (geteuid() && !chmod(path, 0)) refused("one that may not be read", "model.safetensors", QS_EIO, "Permission denied");
    unlink(path);
    ok(!qs_model_open("/dev/zero", &e) && e.code == QS_EIO && strstr(e.msg, "/dev/zero: not a regular file"), "%s", e.msg);
    ok(!qs_model_open("/dev/null", &e) && e.code == QS_EIO, "%s", e.msg);
    free(path);
}

/* ---- cut short while it is open -------------------------------------------------------------------------------- */
static void cut_short(void)
{
    qs_err e = {0};
    copy("data/sample.safetensors", "a.safetensors");
    copy("data/sample.safetensors", "b.safetensors");
    char *path = in_dir(dir, "a.safetensors");
    qs_model *m = open_in("a.safetensors", &e), *other = open_in("b.safetensors", &e);
    if (!ok(m && other, "two models %s", e.msg)) return;
    const qs_tensor *t = m->tensors[m->n - 1], *same = other->tensors[m->n - 1];
    float *x = qs_xmalloc((t->n + 1) * sizeof *x), *y = qs_xmalloc((t->n + 1) * sizeof *y);
    ok(!qs_model_check(m, &e) && !truncate(path, 4096), "nothing is lost yet");
    qs_tensor_read(t, 0, t->n, x);
    ok(qs_tensor_check(t, &e) == -QS_EIO && strstr(e.msg, path) && strstr(e.msg, "cut short"), "%s", e.msg);
    ok(qs_model_check(m, &e) == -QS_EIO, "the model, too");
    qs_tensor_read(same, 0, t->n, y);
    ok(!qs_model_check(other, &e), "another one is unharmed");
    copy("data/sample.safetensors", "c.safetensors");
    char *c = in_dir(dir, "c.safetensors"), *b = in_dir(dir, "b.safetensors");
    ok(!rename(c, b) && !truncate(b, 100) && !qs_model_check(other, &e), "nor by what happens to another file of its name");
    qs_model_unref(m);
    qs_model_unref(other);
    gone("a.safetensors");
    gone("b.safetensors");
    free(x);
    free(y);
    free(b);
    free(c);
    free(path);
}

int main(void)
{
    dir = tmp_dir();
    put("text.bin", "hello", 5);
    whole();
    lies();
    damaged();
    links();
    which();
    split();
    no_files();
    cut_short();
    gone("config.json");
    ok(!rmdir(dir), "nothing is left behind");
    free(dir);
    return done();
}
