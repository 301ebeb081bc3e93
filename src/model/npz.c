/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * NumPy's .npz: a zip file of .npy files, each an array with the name of its entry. What .npy has that is not numbers
 * is listed with its type, and not read. Entries that are no .npy are passed over.
 */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "model/zip.h"

/* By the name of the first entry: a zip file has no other mark. One without entries is what NumPy makes of no arrays. */
static bool probe(const unsigned char *head, size_t n, size_t size)
{
    (void)size;
    if (!qs_zip_probe(head, n)) return false;
    size_t k = n >= 30 ? head[26] | (size_t)head[27] << 8 : 0;
    return head[2] == 5 || (k > 4 && 30 + k <= n && !memcmp(head + 30 + k - 4, ".npy", 4));
}

static int read_entry(qs_model *m, qs_zip *z, qs_zip_entry *e, qs_err *err)
{
    qs_blob *b;
    const unsigned char *data;
    int rc = qs_zip_get(z, e, &b, &data, err);
    if (rc) return rc;
    char shown[80], *name = qs_xstrdup(e->name);
    name[strlen(name) - 4] = '\0';
    rc = qs_npy_read(m, name, b, data, e->size, err);
    if (rc) qs_fail_prefix(err, _("entry %s"), qs_name_shown(e->name, shown, sizeof shown));
    free(name);
    qs_blob_unref(b);
    return rc;
}

static int read_file(qs_model *m, qs_blob *blob, qs_err *err)
{
    qs_zip z;
    int rc = qs_zip_open(&z, blob, err);
    if (rc) return rc;
    if (!z.n) rc = qs_fail(err, QS_EFORMAT, _("a zip file without entries: no array in it"));
    for (size_t i = 0; i < z.n && !rc; i++)
        if (qs_ends_in(z.entry[i].name, ".npy")) rc = read_entry(m, &z, &z.entry[i], err);
    qs_zip_close(&z);
    return rc;
}

const qs_reader qs_reader_npz = {
    "npz", N_("NumPy .npz: arrays by name; stored ones mapped, deflated ones unpacked"), probe, read_file,
};
