/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * llama.cpp's importance matrix as it was written until 2025: a count, then for each tensor the length of its name, the name,
 * how often it was called, how many values, the values (float32 sums over calls), all little-endian; behind them how many
 * chunks there were and the name of the data set, which not every version wrote. A tensor here is the mean over the calls.
 * (The newer layout is GGUF: sums and counts as tensors; importance.c knows both.)
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "model/reader.h"

#define ENTRIES_MAX 1000000
#define NAME_MAX_LENGTH 1024

typedef struct cursor { const unsigned char *p; size_t left; } cursor;

static bool take_int(cursor *c, int64_t *out)
{
    if (c->left < 4) return false;
    *out = (int32_t)((uint32_t)c->p[0] | (uint32_t)c->p[1] << 8 | (uint32_t)c->p[2] << 16 | (uint32_t)c->p[3] << 24);
    c->p += 4;
    c->left -= 4;
    return true;
}

static bool take_bytes(cursor *c, int64_t n, const unsigned char **out)
{
    if (n < 0 || (uint64_t)n > c->left) return false;
    *out = c->p;
    c->p += n;
    c->left -= (size_t)n;
    return true;
}

typedef struct entry { const unsigned char *name, *values; int64_t length, calls, n; } entry;

static bool plain_name(const unsigned char *s, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (s[i] < 33 || s[i] > 126) return false;
    return true;
}

/* Everything of an entry but its values. */
static bool take_head(cursor *c, entry *e)
{
    return take_int(c, &e->length) && e->length >= 1 && e->length <= NAME_MAX_LENGTH && take_bytes(c, e->length, &e->name)
           && plain_name(e->name, e->length) && take_int(c, &e->calls) && e->calls >= 0 && take_int(c, &e->n) && e->n >= 0;
}

/* There is no mark: the first entry must be one, and fit the file. */
static bool probe(const unsigned char *head, size_t n, size_t size)
{
    cursor c = {head, n};
    int64_t entries;
    entry e;
    if (!take_int(&c, &entries) || entries < 1 || entries > ENTRIES_MAX || !take_head(&c, &e)) return false;
    return e.n > 0 && (uint64_t)e.n <= size / 4 && memchr(e.name, '.', (size_t)e.length);
}

static int add(qs_model *m, const entry *e, qs_err *err)
{
    char *name = qs_xasprintf("%.*s", (int)e->length, (const char *)e->name);
    float *x;
    qs_tensor *t = qs_tensor_f32(name, 1, &e->n, &x, err);
    for (int64_t i = 0; t && i < e->n; i++) {
        const unsigned char *b = e->values + 4 * i;
        uint32_t u = (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
        memcpy(&x[i], &u, 4);
        if (e->calls) x[i] /= (float)e->calls;
    }
    free(name);
    return t ? qs_model_add(m, t, err) : -QS_ENOMEM;
}

static int read_file(qs_model *m, qs_blob *blob, qs_err *err)
{
    cursor c = {blob->data, blob->size};
    int64_t entries = 0, chunks = 0;
    int rc = 0;
    take_int(&c, &entries);
    for (int64_t i = 0; i < entries && !rc; i++) {
        entry e;
        if (!take_head(&c, &e) || !take_bytes(&c, e.n * 4, &e.values))
            return qs_fail(err, QS_EFORMAT, _("entry %lld of %lld is cut short or damaged"), (long long)i + 1, (long long)entries);
        rc = add(m, &e, err);
    }
    if (!rc && take_int(&c, &chunks)) m->note = qs_xasprintf(_("importance of columns, from %lld chunks"), (long long)chunks);
    return rc;
}

const qs_reader qs_reader_imatrix = {
    "imatrix", N_("llama.cpp's importance matrix, the older layout (the newer one is GGUF)"), probe, read_file,
};
