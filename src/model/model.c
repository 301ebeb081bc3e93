/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Models: the ordered list of tensors, their names, and the table of readers. Knows no file format.
 */
#include "model/model.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/text.h"
#include "model/reader.h"

/* In the order they are asked: from the surest mark to the weakest. */
const qs_reader *const qs_readers[] = {&qs_reader_npy, &qs_reader_npz, &qs_reader_gguf, &qs_reader_safetensors, &qs_reader_torch,
                                       &qs_reader_onnx, &qs_reader_onnx_tensor, &qs_reader_index, &qs_reader_imatrix, NULL};

/* ---- names: open addressing, at most half full ------------------------------- */
struct qs_model_names {
    size_t cap;           /* a power of two */
    struct slot {
        size_t i, hash;   /* number of the tensor + 1, 0: free; of its name, so that names that differ are not looked at */
    } *slot, first[32];   /* (cap); what it begins with */
};

static size_t hash(const char *s) /* FNV-1a */
{
    uint64_t h = 14695981039346656037u;
    for (; *s; s++) h = (h ^ (unsigned char)*s) * 1099511628211u;
    return (size_t)(h ^ h >> 32);
}

/* The slot of that name, or the free one where it would go. */
static struct slot *find_slot(const qs_model *m, const char *name, size_t h)
{
    struct qs_model_names *t = m->names;
    size_t i = h & (t->cap - 1);
    while (t->slot[i].i && (t->slot[i].hash != h || strcmp(m->tensors[t->slot[i].i - 1]->name, name))) i = (i + 1) & (t->cap - 1);
    return &t->slot[i];
}

static void put_name(qs_model *m, const char *name, size_t i)
{
    size_t h = hash(name);
    *find_slot(m, name, h) = (struct slot){i, h};
}

/* Free slots, in huge pages where they are many; NULL: no memory. */
static struct slot *new_slots(size_t cap)
{
    struct slot *s = qs_big_alloc(cap * sizeof *s);
    return s ? memset(s, 0, cap * sizeof *s) : NULL;
}

static int names_grow(qs_model *m, qs_err *err)
{
    struct qs_model_names *t = m->names, old = *t;
    struct slot *more = new_slots(2 * old.cap);
    if (!more) return qs_fail(err, QS_ENOMEM, _("no memory for the names of %zu tensors"), m->n);
    t->cap = 2 * old.cap;
    t->slot = more;
    for (size_t k = 0; k < old.cap; k++) {
        if (!old.slot[k].i) continue;
        size_t i = old.slot[k].hash & (t->cap - 1);
        while (t->slot[i].i) i = (i + 1) & (t->cap - 1);
        t->slot[i] = old.slot[k];
    }
    if (old.slot != t->first) qs_big_free(old.slot);
    return 0;
}

qs_tensor *qs_model_find(const qs_model *m, const char *name)
{
    size_t i = find_slot(m, name, hash(name))->i;
    return i ? m->tensors[i - 1] : NULL;
}

/* ---- the list ---------------------------------------------------------------- */
qs_model *qs_model_new(const char *path, const char *format)
{
    qs_model *m = qs_xcalloc(1, sizeof *m);
    m->refs = 1;
    m->path = qs_xstrdup(path ? path : "");
    m->format = format;
    m->names = qs_xcalloc(1, sizeof *m->names);
    m->names->cap = sizeof m->names->first / sizeof *m->names->first;
    m->names->slot = m->names->first;
    return m;
}

static void count(qs_model *m, const qs_tensor *t)
{
    if (qs_tensor_reason(t)) return;
    m->weights++;
    m->values += t->n;
}

void qs_model_replace(qs_model *m, qs_tensor *const *list, size_t n)
{
    for (size_t i = 0; i < m->n; i++) qs_tensor_unref(m->tensors[i]);
    memset(m->names->slot, 0, m->names->cap * sizeof *m->names->slot);
    m->weights = m->values = 0;
    for (m->n = 0; m->n < n;) {   /* never more than there were: there is room */
        m->tensors[m->n] = list[m->n];
        put_name(m, list[m->n]->name, m->n + 1);
        count(m, list[m->n++]);
    }
}

int qs_model_add(qs_model *m, qs_tensor *t, qs_err *err)
{
    char buf[80];
    if (find_slot(m, t->name, hash(t->name))->i) {
        qs_fail(err, QS_EFORMAT, _("two tensors are called %s"), qs_name_shown(t->name, buf, sizeof buf));
        qs_tensor_unref(t);
        return -QS_EFORMAT;
    }
    int rc = 2 * (m->n + 1) > m->names->cap ? names_grow(m, err) : 0;
    if (rc) {
        qs_tensor_unref(t);
        return rc;
    }
    if ((m->n & (m->n - 1)) == 0) /* capacity: the powers of two */
        m->tensors = qs_xrealloc(m->tensors, (m->n ? 2 * m->n : 1) * sizeof(qs_tensor *));
    m->tensors[m->n++] = t;
    put_name(m, t->name, m->n);
    count(m, t);
    return 0;
}

int qs_model_check(const qs_model *m, qs_err *err) { return qs_tensors_check(m->tensors, m->n, err); }

qs_model *qs_model_ref(qs_model *m)
{
    atomic_fetch_add(&m->refs, 1);
    return m;
}

void qs_model_unref(qs_model *m)
{
    if (!m || atomic_fetch_sub(&m->refs, 1) != 1) return;
    for (size_t i = 0; i < m->n; i++) qs_tensor_unref(m->tensors[i]);
    free(m->tensors);
    if (m->names->slot != m->names->first) qs_big_free(m->names->slot);
    free(m->names);
    free(m->note);
    qs_hints_free(m->hints);
    free(m->path);
    free(m);
}

/* ---- opening ----------------------------------------------------------------- */
#define HEAD 4096

/* Files people are likely to try: saying what they are helps more than saying what they are not. */
static const struct { const char *magic; size_t n; const char *what; } strangers[] = {
    {"\x89HDF", 4, N_("an HDF5 file (Keras)")},
    {"\x1f\x8b", 2, N_("compressed with gzip")},
};

const qs_reader *qs_reader_for(const qs_blob *b)
{
    for (size_t i = 0; qs_readers[i]; i++)
        if (qs_readers[i]->probe(b->data, b->size < HEAD ? b->size : HEAD, b->size)) return qs_readers[i];
    return NULL;
}

static int fail_unknown(const qs_blob *b, const char *path, qs_err *err)
{
    for (size_t i = 0; i < sizeof strangers / sizeof *strangers; i++)
        if (b->size >= strangers[i].n && !memcmp(b->data, strangers[i].magic, strangers[i].n))
            return qs_fail(err, QS_EFORMAT, _("%s: %s, which is not read here; safetensors, GGUF, PyTorch, NumPy and ONNX files are"), path,
                           _(strangers[i].what));
    return qs_fail(err, QS_EFORMAT, _("%s: not a safetensors, GGUF, PyTorch, NumPy or ONNX file"), path);
}

qs_model *qs_model_read_apart(const char *path, qs_blob *b, qs_err *err)
{
    const qs_reader *r = qs_reader_for(b);
    if (!r) {
        fail_unknown(b, path, err);
        return NULL;
    }
    qs_model *m = qs_model_new(path, r->name);
    int rc = r->read(m, b, err);
    if (rc) qs_fail_prefix(err, "%s: %s", path, r->name);
    if (!qs_blob_check(b, err) && !rc) return m;
    qs_model_unref(m);
    return NULL;
}

qs_model *qs_model_read(const char *path, qs_blob *b, qs_err *err)
{
    qs_model *m = qs_model_read_apart(path, b, err);
    if (m) qs_model_join(m);
    return m;
}

qs_model *qs_model_open(const char *path, qs_err *err)
{
    struct stat st;
    if (!stat(path, &st) && S_ISDIR(st.st_mode)) return qs_folder_open(path, err);
    qs_blob *b = qs_blob_map(path, err);
    if (!b) return NULL;
    qs_model *m = qs_model_read(path, b, err);
    qs_blob_unref(b); /* the tensors keep it */
    return m;
}
