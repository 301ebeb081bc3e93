/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Zip files: the directory at the end, local headers, and deflate by zlib. Knows nothing of what the entries mean.
 * Source: PKWARE APPNOTE 6.3.10.
 */
#include "model/zip.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/mem.h"
#include "base/text.h"

enum {
    END = 22, END64 = 56, LOCATOR = 20, CENTRAL = 46, LOCAL = 30,   /* sizes of the headers without what varies */
    COMMENT_MAX = 65535,
    STORED = 0, DEFLATED = 8,
    DEFLATE_RATIO = 1032                                            /* its best: 258 bytes from 2 bits */
};

static uint64_t little(const unsigned char *p, int bytes)
{
    uint64_t x = 0;
    while (bytes--) x = x << 8 | p[bytes];
    return x;
}

static bool marked(const unsigned char *p, char a, char b) { return p[0] == 'P' && p[1] == 'K' && p[2] == a && p[3] == b; }

bool qs_zip_probe(const unsigned char *head, size_t n) { return n >= 4 && (marked(head, 3, 4) || marked(head, 5, 6)); }

/* ---- the end of the directory ---------------------------------------------------------------- */
typedef struct directory { uint64_t at, size, n; } directory;

/* Where the end record begins: as far back as a comment can push it. */
static int find_end(const qs_blob *b, size_t *end, qs_err *err)
{
    size_t back = END;
    for (; back <= b->size && back <= END + COMMENT_MAX; back++) {
        const unsigned char *p = b->data + b->size - back;
        if (!marked(p, 5, 6) || little(p + 20, 2) != back - END) continue;
        *end = b->size - back;
        return 0;
    }
    return qs_fail(err, QS_EFORMAT, _("a zip file without a directory at its end: cut short?"));
}

static int read_end64(const qs_blob *b, size_t end, directory *d, qs_err *err)
{
    const unsigned char *p = b->data + end - LOCATOR;
    uint64_t at = little(p + 8, 8);
    if (at > end - LOCATOR || end - LOCATOR - at < END64 || !marked(b->data + at, 6, 6))
        return qs_fail(err, QS_EFORMAT, _("the end of its directory (zip64) is not where it should be"));
    p = b->data + at;
    *d = (directory){.n = little(p + 32, 8), .size = little(p + 40, 8), .at = little(p + 48, 8)};
    return 0;
}

static int read_end(const qs_blob *b, directory *d, qs_err *err)
{
    size_t end = 0;
    int rc = find_end(b, &end, err);
    if (rc) return rc;
    const unsigned char *p = b->data + end;
    uint64_t disk = little(p + 4, 2);
    *d = (directory){.n = little(p + 10, 2), .size = little(p + 12, 4), .at = little(p + 16, 4)};
    if (disk && disk != 0xffff) return qs_fail(err, QS_EUNSUP, _("a zip file in several parts"));
    if (end >= LOCATOR && marked(p - LOCATOR, 6, 7) && (rc = read_end64(b, end, d, err))) return rc;
    if (d->at > end || d->size > end - d->at || d->n > d->size / CENTRAL)
        return qs_fail(err, QS_EFORMAT, _("its directory says %llu entries in %llu bytes from byte %llu on, of a file of %zu"),
                       (unsigned long long)d->n, (unsigned long long)d->size, (unsigned long long)d->at, b->size);
    return 0;
}

/* ---- entries ------------------------------------------------------------------------------------ */
static int fail_entry(const qs_zip_entry *e, qs_err *err)
{
    char shown[80];
    qs_fail_prefix(err, _("entry %s"), qs_name_shown(e->name, shown, sizeof shown));
    return err ? -err->code : -QS_EFORMAT;
}

/* Sizes and offset that do not fit 32 bits are in an extra field, those only and in this order. */
static bool read_wide(const unsigned char *extra, size_t n, uint64_t *const wide[3])
{
    for (size_t k; n >= 4; extra += 4 + k, n -= 4 + k) {
        k = (size_t)little(extra + 2, 2);
        if (k > n - 4) return false;
        if (little(extra, 2) != 1) continue;
        const unsigned char *p = extra + 4;
        size_t left = k;
        for (int i = 0; i < 3; i++) {
            if (*wide[i] != 0xffffffff) continue;
            if (left < 8) return false;
            *wide[i] = little(p, 8);
            p += 8;
            left -= 8;
        }
    }
    return true;
}

/* The bytes of an entry lie behind its local header, whose name must be the same. */
static int find_bytes(const qs_blob *b, uint64_t limit, uint64_t local, uint64_t packed, qs_zip_entry *e, qs_err *err)
{
    size_t n = strlen(e->name);
    const unsigned char *p = local <= limit && limit - local >= LOCAL ? b->data + local : NULL;
    if (!p || !marked(p, 3, 4))
        return qs_fail(err, QS_EFORMAT, _("it is not where the directory says (byte %llu)"), (unsigned long long)local);
    uint64_t head = LOCAL + little(p + 26, 2) + little(p + 28, 2), room = limit - local;
    if (head > room || little(p + 26, 2) != n || memcmp(p + LOCAL, e->name, n))
        return qs_fail(err, QS_EFORMAT, _("it has another name where the directory says it is"));
    if (packed > room - head) return qs_fail(err, QS_EFORMAT, _("its %llu bytes reach beyond the data"), (unsigned long long)packed);
    e->at = (size_t)(local + head);
    e->packed = (size_t)packed;
    return 0;
}

/* One entry of the directory at p; left: bytes of it from there on. name: where its name is copied to. */
static int read_entry(const qs_blob *b, uint64_t limit, const unsigned char *p, size_t left, char *name, qs_zip_entry *e,
                      size_t *used, qs_err *err)
{
    if (left < CENTRAL || !marked(p, 1, 2)) return qs_fail(err, QS_EFORMAT, _("its directory is damaged"));
    unsigned flags = (unsigned)little(p + 8, 2), method = (unsigned)little(p + 10, 2);
    uint64_t packed = little(p + 20, 4), size = little(p + 24, 4), local = little(p + 42, 4);
    size_t n = (size_t)little(p + 28, 2), extra = (size_t)little(p + 30, 2);
    *used = CENTRAL + n + extra + (size_t)little(p + 32, 2);
    if (*used > left || memchr(p + CENTRAL, 0, n)) return qs_fail(err, QS_EFORMAT, _("its directory is damaged"));
    memcpy(name, p + CENTRAL, n);
    name[n] = '\0';
    *e = (qs_zip_entry){.name = name, .crc = (uint32_t)little(p + 16, 4), .deflated = method == DEFLATED};
    if (!read_wide(p + CENTRAL + n, extra, (uint64_t *const[]){&size, &packed, &local}))
        qs_fail(err, QS_EFORMAT, _("its extra field is damaged"));
    else if (flags & 1)
        qs_fail(err, QS_EUNSUP, _("it is encrypted"));
    else if (method != STORED && method != DEFLATED)
        qs_fail(err, QS_EUNSUP, _("packed by method %u; stored and deflated entries are read"), method);
    else if (method == STORED && size != packed)
        qs_fail(err, QS_EFORMAT, _("stored, and yet of two sizes"));
    else if (size > SIZE_MAX / 2)
        qs_fail(err, QS_EFORMAT, _("larger than any memory"));
    else if (!find_bytes(b, limit, local, packed, e, err)) {
        e->size = (size_t)size;
        return 0;
    }
    return fail_entry(e, err);
}

static int by_place(const void *a, const void *b)
{
    const qs_zip_entry *x = *(qs_zip_entry *const *)a, *y = *(qs_zip_entry *const *)b;
    if (x->at != y->at) return x->at < y->at ? -1 : 1;
    return x->packed < y->packed ? -1 : x->packed > y->packed;
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(qs_zip_entry *const *)a)->name, (*(qs_zip_entry *const *)b)->name);
}

/* Between the bytes of two entries there is at least a local header. */
static int check_entries(qs_zip *z, qs_err *err)
{
    int rc = 0;
    qs_zip_entry **e = z->sorted = qs_xmalloc(z->n * sizeof *e);
    for (size_t i = 0; i < z->n; i++) e[i] = &z->entry[i];
    qsort(e, z->n, sizeof *e, by_place);
    for (size_t i = 1; i < z->n && !rc; i++)
        if (e[i]->at < LOCAL || e[i - 1]->at + e[i - 1]->packed > e[i]->at - LOCAL) {
            qs_fail(err, QS_EFORMAT, _("it shares bytes of the file with another entry"));
            rc = fail_entry(e[i], err);
        }
    qsort(e, z->n, sizeof *e, by_name);
    for (size_t i = 1; i < z->n && !rc; i++)
        if (!by_name(&e[i - 1], &e[i])) {
            qs_fail(err, QS_EFORMAT, _("stands twice in the directory"));
            rc = fail_entry(e[i], err);
        }
    return rc;
}

int qs_zip_open(qs_zip *z, qs_blob *blob, qs_err *err)
{
    directory d;
    *z = (qs_zip){.blob = blob};
    int rc = read_end(blob, &d, err);
    if (rc) return rc;
    z->entry = qs_xcalloc((size_t)d.n, sizeof *z->entry);
    z->names = qs_xmalloc((size_t)d.size); /* a header is longer than the NUL behind a name */
    char *name = z->names;
    for (size_t at = 0, used; z->n < d.n && !rc; at += used) {
        used = 0;
        rc = read_entry(blob, d.at, blob->data + d.at + at, (size_t)d.size - at, name, &z->entry[z->n], &used, err);
        if (!rc) name += strlen(z->entry[z->n++].name) + 1;
    }
    if (!rc) rc = check_entries(z, err);
    if (rc) qs_zip_close(z);
    return rc;
}

void qs_zip_close(qs_zip *z)
{
    for (size_t i = 0; i < z->n; i++) qs_blob_unref(z->entry[i].unpacked);
    free(z->entry);
    free(z->sorted);
    free(z->names);
    *z = (qs_zip){0};
}

static int name_of(const void *name, const void *e) { return strcmp(name, (*(qs_zip_entry *const *)e)->name); }

qs_zip_entry *qs_zip_find(const qs_zip *z, const char *name)
{
    qs_zip_entry **e = bsearch(name, z->sorted, z->n, sizeof *z->sorted, name_of);
    return e ? *e : NULL;
}

/* ---- bytes ------------------------------------------------------------------------------------------ */
static int check_room(const qs_zip *z, const qs_zip_entry *e, qs_err *err)
{
    size_t most, room;
    if (qs_mul(e->packed, DEFLATE_RATIO, &most) && e->size > most)
        return qs_fail(err, QS_EFORMAT, _("%zu bytes cannot be in %zu deflated ones"), e->size, e->packed);
    if (!qs_mul(z->blob->size, QS_ZIP_RATIO, &room) || __builtin_add_overflow(room, QS_ZIP_ROOM, &room)) room = SIZE_MAX;
    if (e->size <= room && z->unpacked <= room - e->size) return 0;
    return qs_fail(err, QS_EFORMAT, _("unpacks to %zu bytes: all of a file may be %zu MB and %d times its size, here %zu"), e->size,
                   QS_ZIP_ROOM >> 20, QS_ZIP_RATIO, room);
}

static int inflate_all(const unsigned char *from, size_t packed, unsigned char *to, size_t size, qs_err *err)
{
    enum { STEP = 1 << 30 };
    int r = Z_OK;
    size_t in = 0, out = 0;
    z_stream s = {0};
    if (inflateInit2(&s, -MAX_WBITS) != Z_OK) return qs_fail(err, QS_ENOMEM, _("no memory to unpack it"));
    while (r == Z_OK) {
        uInt have = (uInt)(packed - in < STEP ? packed - in : STEP), room = (uInt)(size - out < STEP ? size - out : STEP);
        s.next_in = (unsigned char *)(uintptr_t)(from + in);
        s.avail_in = have;
        s.next_out = to + out;
        s.avail_out = room;
        r = inflate(&s, Z_NO_FLUSH);
        in += have - s.avail_in;
        out += room - s.avail_out;
    }
    inflateEnd(&s);
    if (r == Z_STREAM_END && in == packed && out == size) return 0;
    if (r == Z_STREAM_END || r == Z_BUF_ERROR)
        return qs_fail(err, QS_EFORMAT, _("its deflated bytes are not of the size that the directory says (%zu)"), size);
    return qs_fail(err, QS_EFORMAT, _("its deflated bytes are damaged: %s"), zError(r));
}

static int unpack(qs_zip *z, qs_zip_entry *e, qs_err *err)
{
    int rc = check_room(z, e, err);
    if (rc) return rc;
    qs_blob *b = qs_blob_new(e->size, err);
    if (!b) return -QS_ENOMEM;
    unsigned char *to = qs_blob_mem(b);
    rc = inflate_all(z->blob->data + e->at, e->packed, to, e->size, err);
    if (!rc && crc32_z(0, to, e->size) != e->crc) rc = qs_fail(err, QS_EFORMAT, _("its checksum is another one: damaged"));
    z->unpacked += e->size;
    if (rc) qs_blob_unref(b);
    else e->unpacked = b;
    return rc;
}

int qs_zip_get(qs_zip *z, qs_zip_entry *e, qs_blob **in, const unsigned char **data, qs_err *err)
{
    if (!e->deflated) {
        *in = qs_blob_ref(z->blob);
        *data = z->blob->data + e->at;
        return 0;
    }
    if (!e->unpacked && unpack(z, e, err)) return fail_entry(e, err);
    *in = qs_blob_ref(e->unpacked);
    *data = e->unpacked->data;
    return 0;
}
