/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Models of several files, as Hugging Face keeps them: a folder, in which one file is the model; an index, a JSON file
 * whose weight_map says in which file (shard) each tensor is; config.json, which names the network.
 *
 * A shard is named relative to its index and may not lead out of that folder by its name ("..", "/"). Links are
 * followed wherever they lead: a Hugging Face cache consists of them, and what they lead to is only read.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "model/gguf.h"
#include "model/json.h"

/* The folder of a file, with the slash; "" where the path has none. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *s = qs_xstrdup(path);
    s[slash ? slash - path + 1 : 0] = '\0';
    return s;
}

/* ---- config.json -------------------------------------------------------------------------------- */
/* "LlamaForCausalLM", to be freed; NULL where there is no readable config.json beside file that says so. */
static char *architecture(const char *file)
{
    char *folder = folder_of(file), *path = qs_xasprintf("%sconfig.json", folder), *name = NULL, shown[80];
    struct stat st;
    qs_blob *b = !stat(path, &st) && S_ISREG(st.st_mode) && st.st_size < 1 << 20 ? qs_blob_map(path, NULL) : NULL;
    json_t *root = b ? qs_json_object("config.json", b->data, b->size, NULL) : NULL;
    const char *text = json_string_value(json_array_get(json_object_get(root, "architectures"), 0));
    if (!text) text = json_string_value(json_object_get(root, "model_type"));
    if (text) name = qs_xstrdup(qs_name_shown(text, shown, sizeof shown));
    json_decref(root);
    qs_blob_unref(b);
    free(path);
    free(folder);
    return name;
}

/* "LlamaForCausalLM: 2 shards", before what the note says already. Takes over both texts; NULL: left out. */
static void put_note(qs_model *m, char *name, char *what)
{
    qs_str s = {0};
    const char *const part[] = {name, what, m->note};
    for (size_t i = 0; i < sizeof part / sizeof *part; i++)
        if (part[i]) qs_str_addf(&s, "%s%s", s.n ? ": " : "", part[i]);
    free(name);
    free(what);
    free(m->note);
    m->note = s.s;
}

/* ---- an index and its shards --------------------------------------------------------------------- */
static bool leads_out(const char *s)
{
    bool up = !*s || *s == '/';
    for (const char *p = s; (p = strstr(p, "..")); p += 2) up |= (p == s || p[-1] == '/') && (!p[2] || p[2] == '/');
    return up;
}

/* What an index is read with. map: tensor -> shard; counts: shard -> tensors it should have. */
typedef struct index_of { qs_model *m; char *folder; const json_t *map; json_t *counts; qs_err *err; } index_of;

static int count_shards(index_of *x)
{
    char shown[80];
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)x->map, name, value) {
        const char *shard = json_string_value(value);
        if (!shard)
            return qs_fail(x->err, QS_EFORMAT, _("weight_map: tensor %s: the name of a file expected"), qs_name_shown(name, shown, sizeof shown));
        if (leads_out(shard))
            return qs_fail(x->err, QS_EFORMAT, _("shard '%s': must be a file in the folder of the index"), qs_name_shown(shard, shown, sizeof shown));
        json_object_set_new(x->counts, shard, json_integer(1 + json_integer_value(json_object_get(x->counts, shard))));
    }
    return 0;
}

/* A file of tensors; NULL with the error set, which names it. */
static qs_model *open_shard(const char *path, qs_err *err)
{
    qs_model *m = NULL;
    qs_blob *b = qs_blob_map(path, err);
    const qs_reader *r = b ? qs_reader_for(b) : NULL;
    if (r == &qs_reader_index) qs_fail(err, QS_EFORMAT, _("%s: a shard that is an index itself"), path);
    else if (b) m = qs_model_read_apart(path, b, err);
    qs_blob_unref(b);
    return m;
}

/* A tensor that the index places in this shard, and that is not there. */
static int fail_missing(const index_of *x, const char *shard, const qs_model *part)
{
    char a[80], b[80];
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)x->map, name, value)
        if (!strcmp(json_string_value(value), shard) && !qs_model_find(part, name))
            return qs_fail(x->err, QS_EFORMAT, _("tensor %s is not in shard '%s', where the index places it"),
                           qs_name_shown(name, a, sizeof a), qs_name_shown(shard, b, sizeof b));
    return 0;
}

/* *others: tensors of shards that the index does not name. */
static int take_shard(index_of *x, const char *shard, int64_t want, size_t *others)
{
    int rc = 0;
    int64_t got = 0;
    char *path = qs_xasprintf("%s%s", x->folder, shard);
    qs_model *part = open_shard(path, x->err);
    free(path);
    if (!part) return x->err ? -x->err->code : -QS_EIO;
    for (size_t i = 0; i < part->n && !rc; i++) {
        qs_tensor *t = part->tensors[i];
        const char *place = json_string_value(json_object_get(x->map, t->name));
        bool here = place && !strcmp(place, shard);
        if (here) rc = qs_model_add(x->m, qs_tensor_ref(t), x->err);
        got += here;
        *others += !here;
    }
    if (!rc && got != want) rc = fail_missing(x, shard, part);
    qs_model_unref(part);
    return rc;
}

static int read_shards(index_of *x)
{
    int rc = count_shards(x);
    size_t others = 0;
    const char *shard;
    json_t *want;
    if (rc) return rc;
    json_object_foreach(x->counts, shard, want)
        if ((rc = take_shard(x, shard, json_integer_value(want), &others))) return rc;
    size_t n = json_object_size(x->counts);
    char *what = others ? qs_xasprintf(_("%zu shards, with %zu tensors more than the index names"), n, others)
                        : qs_xasprintf(ngettext("%zu shard", "%zu shards", n), n);
    put_note(x->m, NULL, what);
    return 0;
}

static bool probe(const unsigned char *head, size_t n, size_t size)
{
    (void)size;
    size_t i = 0;
    while (i < n && strchr(" \t\r\n", head[i]) && head[i]) i++;
    return i < n && head[i] == '{';
}

static int read_index(qs_model *m, qs_blob *b, qs_err *err)
{
    const char *path = b->path ? b->path : m->path; /* m's may be the folder; bytes in memory have none of their own */
    json_t *root = qs_json_object("JSON", b->data, b->size, err);
    if (!root) return err ? -err->code : -QS_EFORMAT;
    index_of x = {.m = m, .folder = folder_of(path), .map = json_object_get(root, "weight_map"), .counts = json_object(), .err = err};
    int rc = json_is_object(x.map) ? read_shards(&x)
                                   : qs_fail(err, QS_EFORMAT, _("a JSON file without weight_map: no index of shards"));
    if (!rc) put_note(m, architecture(path), NULL);
    json_decref(x.counts);
    json_decref(root);
    free(x.folder);
    return rc;
}

const qs_reader qs_reader_index = {
    "shards", N_("the index of a model in several files (*.index.json), or a folder with one"), probe, read_index,
};

/* ---- a folder ---------------------------------------------------------------------------------------- */
/* The names that mean the model, the first that is there; then the only file with one of these endings. */
static const char *const names[] = {"model.safetensors.index.json", "model.safetensors", "pytorch_model.bin.index.json", "pytorch_model.bin"};
static const char *const endings[] = {".index.json", ".safetensors", ".gguf", ".bin", ".pt", ".pth", ".onnx", ".npz"};

static bool is_file(const char *path)
{
    struct stat st;
    return !stat(path, &st) && !S_ISDIR(st.st_mode);
}

/* A part of a split GGUF model that is not the first: that one stands for all. */
static bool later_part(const char *name)
{
    unsigned no, of;
    return qs_gguf_part(name, &no, &of) && no != 1;
}

/* The only file in the folder with that ending, NULL where there is none; *more: how many there are. */
static char *only_file(const char *folder, const char *ending, size_t *n, qs_err *err)
{
    char *found = NULL;
    DIR *d = opendir(folder);
    *n = 0;
    if (!d) qs_fail(err, QS_EIO, "%s: %s", folder, strerror(errno));
    for (const struct dirent *e; d && (e = readdir(d));) {
        char *path = e->d_name[0] != '.' && qs_ends_in(e->d_name, ending) && !later_part(e->d_name) ? qs_xasprintf("%s/%s", folder, e->d_name) : NULL;
        bool first = path && is_file(path) && !(*n)++;
        if (first) found = path;
        else free(path);
    }
    if (d) closedir(d);
    return found;
}

static void fail_folder(const char *folder, qs_err *err)
{
    qs_str s = {0};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) qs_str_addf(&s, "%s%s", i ? ", " : "", names[i]);
    qs_str_add(&s, _(", or one file that ends in"));
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) qs_str_addf(&s, " %s", endings[i]);
    qs_fail(err, QS_EIO, _("%s: is a folder without a model; looked for: %s"), folder, s.s);
    free(s.s);
}

/* The file that is the model, to be freed. */
static char *find_file(const char *folder, qs_err *err)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *path = qs_xasprintf("%s/%s", folder, names[i]);
        if (is_file(path)) return path;
        free(path);
    }
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        size_t n = 0;
        qs_err why = {0};
        char *path = only_file(folder, endings[i], &n, &why);
        if (n == 1) return path;
        free(path);
        if (!n && !why.code) continue;
        if (why.code && err) *err = why;
        else qs_fail(err, QS_EIO, _("%s: is a folder with %zu files that end in %s: which one is meant?"), folder, n, endings[i]);
        return NULL;
    }
    fail_folder(folder, err);
    return NULL;
}

qs_model *qs_folder_open(const char *folder, qs_err *err)
{
    size_t n = strlen(folder);
    while (n > 1 && folder[n - 1] == '/') n--;
    char *bare = strndup(folder, n), *path = bare ? find_file(bare, err) : NULL;
    qs_blob *b = path ? qs_blob_map(path, err) : NULL;
    qs_model *m = b ? qs_model_read(path, b, err) : NULL;
    if (m && strcmp(m->format, qs_reader_index.name)) put_note(m, architecture(path), NULL);
    if (m) { /* known by the path that was given */
        free(m->path);
        m->path = qs_xstrdup(folder);
    }
    qs_blob_unref(b);
    free(path);
    free(bare);
    return m;
}
