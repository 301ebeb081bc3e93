/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_MODEL_ZIP_H
#define QS_MODEL_ZIP_H
/*
 * The directory of a zip file in a blob (zip64 too). Entries are stored (their bytes are borrowed) or deflated
 * (unpacked into memory when they are asked for). Nothing else of zip: no encryption, no other packing, one disk.
 *
 * Against bombs: no two entries share a byte of the file, an entry that claims more than deflate can make of its
 * bytes is refused, and all that is unpacked of one file together is at most QS_ZIP_ROOM bytes and QS_ZIP_RATIO times
 * the size of the file; the error says which.
 */
#include "model/reader.h"

#define QS_ZIP_ROOM ((size_t)256 << 20)
#define QS_ZIP_RATIO 32

typedef struct qs_zip_entry {
    const char *name;
    size_t at, packed;        /* its bytes in the blob */
    size_t size;              /* unpacked; equals packed where it is stored */
    uint32_t crc;
    bool deflated;
    qs_blob *unpacked;        /* once it was asked for */
} qs_zip_entry;

typedef struct qs_zip {
    qs_blob *blob;            /* borrowed */
    qs_zip_entry *entry;      /* (n) in the order of the directory */
    qs_zip_entry **sorted;    /* (n) by name */
    size_t n;
    char *names;
    size_t unpacked;          /* bytes, so far */
} qs_zip;

bool qs_zip_probe(const unsigned char *head, size_t n);
/* EFORMAT: no directory, or one that does not fit the file; entries that overlap or are named alike; EUNSUP: encrypted,
 * packed in another way, in several parts. All by the name of the entry. Cost: the directory, and a page an entry. */
int qs_zip_open(qs_zip *z, qs_blob *blob, qs_err *err);
void qs_zip_close(qs_zip *z);
qs_zip_entry *qs_zip_find(const qs_zip *z, const char *name);   /* NULL: there is none */
/* The bytes of entry e of z: e->size at *data in *in, a reference of the caller's; unpacked once. EFORMAT: a bomb, or damaged; ENOMEM. */
int qs_zip_get(qs_zip *z, qs_zip_entry *e, qs_blob **in, const unsigned char **data, qs_err *err);

#endif
