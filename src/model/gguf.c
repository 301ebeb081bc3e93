/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * GGUF, versions 2 and 3, little-endian: a magic word, two counts, key-value pairs, descriptions of tensors, and
 * their bytes, each at a multiple of the alignment. Knows the file; what is in a block, gguf_blocks.c knows.
 *
 * Every length and count is compared with what is left of the file before it is used. Of the pairs only a few are
 * kept, for the note; the rest (vocabularies of megabytes) is stepped over.
 */
#include "model/gguf.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "model/reader.h"

#define MAGIC "GGUF"
#define NESTED_MAX 4      /* arrays in arrays: nobody writes two */
#define INFO_MIN 24       /* bytes a description takes at least: name, axes, type, offset */
#define PAIR_MIN 13       /* a key of no letters, a type, a byte */

static bool probe(const unsigned char *head, size_t n, size_t size)
{
    (void)size;
    return n >= 8 && !memcmp(head, MAGIC, 4);
}

/* ---- a cursor over the file ------------------------------------------------------------------- */
typedef struct cursor { const unsigned char *data; size_t at, size; qs_err *err; } cursor;
typedef struct text { const char *s; size_t n; } text; /* within the file, no NUL at its end */

/* what: N_() */
static int cut_short(const cursor *c, const char *what)
{
    return qs_fail(c->err, QS_EFORMAT, _("the file ends within %s (at byte %zu of %zu)"), _(what), c->at, c->size);
}

static uint64_t little(const unsigned char *p, int bytes)
{
    uint64_t x = 0;
    for (int i = bytes - 1; i >= 0; i--) x = x << 8 | p[i];
    return x;
}

/* A text as a string, for messages: not all of one that is long. */
static char *copy(text s) { return qs_xasprintf("%.*s", s.n < 200 ? (int)s.n : 200, s.n ? s.s : ""); }

static int read_number(cursor *c, int bytes, const char *what, uint64_t *out)
{
    *out = 0;
    if (c->size - c->at < (size_t)bytes) return cut_short(c, what);
    *out = little(c->data + c->at, bytes);
    c->at += (size_t)bytes;
    return 0;
}

static int read_text(cursor *c, const char *what, text *out)
{
    uint64_t n;
    if (read_number(c, 8, what, &n)) return -QS_EFORMAT;
    if (n > c->size - c->at)
        return qs_fail(c->err, QS_EFORMAT, _("%s of %llu bytes where %zu are left of the file"), _(what),
                       (unsigned long long)n, c->size - c->at);
    *out = (text){(const char *)c->data + c->at, (size_t)n};
    c->at += (size_t)n;
    return 0;
}

/* ---- key-value pairs -------------------------------------------------------------------------- */
enum { U8, I8, U16, I16, U32, I32, F32, BOOL, STRING, ARRAY, U64, I64, F64, VALUE_TYPES };
static const unsigned char value_size[VALUE_TYPES] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

/* What is kept of the pairs. */
typedef struct facts {
    text architecture, name;
    uint64_t alignment, file_type, split_no, split_count;
    bool has_type, whole;     /* whole: all parts were read */
} facts;

static int skip_value(cursor *c, uint32_t type, int depth);

static int skip_array(cursor *c, int depth)
{
    uint64_t type, n;
    if (read_number(c, 4, N_("an array"), &type) || read_number(c, 8, N_("an array"), &n)) return -QS_EFORMAT;
    if (type >= VALUE_TYPES)
        return qs_fail(c->err, QS_EFORMAT, _("an array of type %llu, which there is not"), (unsigned long long)type);
    size_t least = type == STRING ? 8 : type == ARRAY ? 12 : value_size[type];
    if (n > (c->size - c->at) / least)
        return qs_fail(c->err, QS_EFORMAT, _("an array of %llu values where %zu bytes are left of the file"),
                       (unsigned long long)n, c->size - c->at);
    if (value_size[type]) {
        c->at += (size_t)n * least;
        return 0;
    }
    if (depth == NESTED_MAX) return qs_fail(c->err, QS_EFORMAT, _("arrays nested more than %d deep"), NESTED_MAX);
    for (uint64_t i = 0; i < n; i++)
        if (skip_value(c, (uint32_t)type, depth + 1)) return -QS_EFORMAT;
    return 0;
}

static int skip_value(cursor *c, uint32_t type, int depth)
{
    text s;
    uint64_t x;
    if (type == STRING) return read_text(c, N_("a string"), &s);
    if (type == ARRAY) return skip_array(c, depth);
    if (type >= VALUE_TYPES) return qs_fail(c->err, QS_EFORMAT, _("a value of type %u, which there is not"), type);
    return read_number(c, value_size[type], N_("a value"), &x);
}

static bool is(text key, const char *word) { return key.n == strlen(word) && !memcmp(key.s, word, key.n); }

/* The pairs we keep: a string or an unsigned number each. */
static int read_value(cursor *c, text key, uint32_t type, facts *f)
{
    const struct { const char *key; text *s; uint64_t *x; } kept[] = {
        {"general.architecture", &f->architecture, NULL}, {"general.name", &f->name, NULL},
        {"general.alignment", NULL, &f->alignment}, {"general.file_type", NULL, &f->file_type},
        {"split.no", NULL, &f->split_no}, {"split.count", NULL, &f->split_count},
    };
    bool number = type == U8 || type == U16 || type == U32 || type == U64;
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        if (!is(key, kept[i].key)) continue;
        if (kept[i].s && type == STRING) return read_text(c, kept[i].key, kept[i].s);
        if (kept[i].x == &f->alignment && type != U32)
            return qs_fail(c->err, QS_EFORMAT, _("must be a 32-bit number"));
        if (kept[i].x && number) {
            f->has_type |= kept[i].x == &f->file_type;
            return read_number(c, value_size[type], kept[i].key, kept[i].x);
        }
    }
    return skip_value(c, type, 0);
}

static int read_pair(cursor *c, facts *f)
{
    text key;
    uint64_t type;
    char buf[80];
    if (read_text(c, N_("a key"), &key) || read_number(c, 4, N_("a value's type"), &type)) return -QS_EFORMAT;
    if (!read_value(c, key, (uint32_t)type, f)) return 0;
    char *name = copy(key);
    qs_fail_prefix(c->err, "%s", qs_name_shown(name, buf, sizeof buf));
    free(name);
    return -QS_EFORMAT;
}

/* ---- descriptions of tensors ------------------------------------------------------------------ */
typedef struct info {
    text name;
    int ndim;
    int64_t shape[QS_MAXDIM];  /* C order: the file has the innermost axis first */
    uint32_t type;
    uint64_t offset;
} info;

static int read_shape(cursor *c, info *t)
{
    uint64_t ndim, dim;
    if (read_number(c, 4, N_("a tensor's axes"), &ndim)) return -QS_EFORMAT;
    if (ndim > QS_MAXDIM)
        return qs_fail(c->err, QS_EFORMAT, _("%llu axes: a tensor has 0 to %d"), (unsigned long long)ndim, QS_MAXDIM);
    t->ndim = (int)ndim;
    for (int i = t->ndim - 1; i >= 0; i--) {
        if (read_number(c, 8, N_("a tensor's shape"), &dim)) return -QS_EFORMAT;
        if (dim > INT64_MAX)
            return qs_fail(c->err, QS_EFORMAT, _("axis %d has the length %llu"), i, (unsigned long long)dim);
        t->shape[i] = (int64_t)dim;
    }
    return 0;
}

static int read_info(cursor *c, info *t)
{
    uint64_t type;
    if (read_shape(c, t) || read_number(c, 4, N_("a tensor's type"), &type)
        || read_number(c, 8, N_("a tensor's offset"), &t->offset))
        return -QS_EFORMAT;
    t->type = (uint32_t)type;
    return 0;
}

static int read_name(cursor *c, info *t)
{
    if (read_text(c, N_("a tensor's name"), &t->name)) return -QS_EFORMAT;
    if (memchr(t->name.s, '\0', t->name.n))
        return qs_fail(c->err, QS_EFORMAT, _("a tensor's name holds a NUL"));
    return 0;
}

/* Multiplications contract the innermost axis; the one before it is the output. One axis says nothing. */
static qs_tensor *with_axes(qs_tensor *t)
{
    if (t && t->ndim >= 2 && t->ndim <= 3) {
        t->out_axis = t->ndim - 2;
        t->in_axes = 1u << (t->ndim - 1);
    }
    return t;
}

/* Where the blocks of t lie in the file, from the beginning of the data. */
static int check_place(const info *t, const qs_gguf_type *y, size_t space, uint64_t alignment, size_t *bytes, qs_err *err)
{
    size_t n;
    size_t row = t->ndim ? (size_t)t->shape[t->ndim - 1] : 1;
    int rc = qs_shape_count(t->ndim, t->shape, 8, &n, err);
    if (rc) return rc;
    if (row % y->values)
        return qs_fail(err, QS_EFORMAT, _("rows of %zu values are not whole blocks of %zu (%s)"), row, y->values, y->name);
    *bytes = n / y->values * y->bytes;
    if (t->offset % alignment)
        return qs_fail(err, QS_EFORMAT, _("offset %llu is not a multiple of the alignment, %llu"),
                       (unsigned long long)t->offset, (unsigned long long)alignment);
    if (t->offset > space || *bytes > space - (size_t)t->offset)
        return qs_fail(err, QS_EFORMAT, _("%zu bytes of %s at offset %llu do not fit the %zu bytes of data"), *bytes, y->name,
                       (unsigned long long)t->offset, space);
    return 0;
}

static qs_tensor *make_packed(const info *t, const char *name, const qs_gguf_type *y, qs_blob *blob, const unsigned char *at, qs_err *err)
{
    qs_packed *p = qs_packed_new(y->kind, 8 * (double)y->bytes / (double)y->values, blob);
    p->data = at;
    return qs_packed_tensor(name, t->ndim, t->shape, p, err);
}

static qs_tensor *make_plain(const info *t, const char *name, const qs_gguf_type *y, qs_blob *blob, const unsigned char *at, qs_err *err)
{
    qs_tensor *r = qs_tensor_new(name, y->plain, t->ndim, t->shape, blob, at, err);
    if (r) r->swapped = qs_big_endian() && y->bytes > 1;
    return r;
}

static int add_tensor(qs_model *m, const info *t, const char *name, qs_blob *blob, size_t data, uint64_t alignment, qs_err *err)
{
    char number[40];
    size_t bytes;
    qs_tensor *r;
    const qs_gguf_type *y = qs_gguf_type_of(t->type);
    if (!y) {
        snprintf(number, sizeof number, "type %u", t->type);
        return qs_model_add(m, qs_tensor_unknown(name, number, t->ndim, t->shape, blob), err);
    }
    int rc = check_place(t, y, blob->size - data, alignment, &bytes, err);
    if (rc) return rc;
    const unsigned char *at = blob->data + data + (size_t)t->offset;
    if (y->kind) r = make_packed(t, name, y, blob, at, err);
    else if (y->plain != QS_UNKNOWN_DTYPE) r = make_plain(t, name, y, blob, at, err);
    else r = qs_tensor_unknown(name, y->name, t->ndim, t->shape, blob);
    if (!r) return -QS_EFORMAT;
    return qs_model_add(m, with_axes(r), err);
}

/* ---- what the file is called ------------------------------------------------------------------ */
/* general.file_type: which type most of its tensors have. */
static const char *const file_types[] = {
    "F32", "F16", "Q4_0", "Q4_1", [7] = "Q8_0", "Q5_0", "Q5_1", "Q2_K", "Q3_K_S", "Q3_K_M", "Q3_K_L", "Q4_K_S", "Q4_K_M",
    "Q5_K_S", "Q5_K_M", "Q6_K", "IQ2_XXS", "IQ2_XS", "Q2_K_S", "IQ3_XS", "IQ3_XXS", "IQ1_S", "IQ4_NL", "IQ3_S", "IQ3_M",
    "IQ2_S", "IQ2_M", "IQ4_XS", "IQ1_M", "BF16", [36] = "TQ1_0", "TQ2_0", "MXFP4",
};
#define FILE_TYPES (sizeof file_types / sizeof *file_types)

/* ---- the file --------------------------------------------------------------------------------- */
static int check_version(cursor *c)
{
    uint64_t v;
    c->at = 4;
    if (read_number(c, 4, N_("the version"), &v)) return -QS_EFORMAT;
    if (v == 2 || v == 3) return 0;
    if (v == 0x02000000 || v == 0x03000000)
        return qs_fail(c->err, QS_EUNSUP, _("written on a big-endian machine, whose files are not read here"));
    return qs_fail(c->err, QS_EUNSUP, _("version %llu: 2 and 3 are known"), (unsigned long long)v);
}

static int read_counts(cursor *c, uint64_t *tensors, uint64_t *pairs)
{
    if (read_number(c, 8, N_("the number of tensors"), tensors) || read_number(c, 8, N_("the number of keys"), pairs))
        return -QS_EFORMAT;
    size_t left = c->size - c->at;
    if (*tensors <= left / INFO_MIN && *pairs <= left / PAIR_MIN) return 0;
    return qs_fail(c->err, QS_EFORMAT, _("%llu tensors and %llu keys in a file of %zu bytes"), (unsigned long long)*tensors,
                   (unsigned long long)*pairs, c->size);
}

static int fail_info(const info *t, qs_err *err)
{
    char buf[80], *name = copy(t->name);
    qs_fail_prefix(err, _("tensor %s"), qs_name_shown(name, buf, sizeof buf));
    free(name);
    return err ? -err->code : -QS_EFORMAT;
}

static int read_infos(cursor *c, info *t, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (read_name(c, &t[i])) return -QS_EFORMAT;
        if (read_info(c, &t[i])) return fail_info(&t[i], c->err);
    }
    return 0;
}

static int add_all(qs_model *m, const info *t, size_t n, qs_blob *blob, size_t end, uint64_t alignment, qs_err *err)
{
    size_t pad = (size_t)(alignment - end % alignment) % (size_t)alignment;
    size_t data = pad < blob->size - end ? end + pad : blob->size;
    qs_str name = {0};
    int rc = 0;
    for (size_t i = 0; i < n && !rc; i++) {
        name.n = 0;
        qs_str_addn(&name, t[i].name.s, t[i].name.n);
        rc = add_tensor(m, &t[i], name.s, blob, data, alignment, err) ? fail_info(&t[i], err) : 0;
    }
    free(name.s);
    return rc;
}

static int read_tensors(qs_model *m, cursor *c, size_t n, qs_blob *blob, uint64_t alignment)
{
    info *t = qs_big_alloc((n ? n : 1) * sizeof *t);
    if (!t) return qs_fail(c->err, QS_ENOMEM, _("no memory for %zu tensors"), n);
    int rc = read_infos(c, t, n);
    if (!rc) rc = add_all(m, t, n, blob, c->at, alignment, c->err);
    qs_big_free(t);
    return rc;
}

/* "llama: tiny, mostly Q8_0; 3 parts" of what the file says about itself. */
static void note(qs_model *m, const facts *f)
{
    qs_str s = {0};
    char buf[80];
    char *name = copy(f->name), *arch = copy(f->architecture);
    if (*arch) qs_str_addf(&s, "%s", qs_name_shown(arch, buf, sizeof buf));
    if (*name) qs_str_addf(&s, "%s%s", s.n ? ": " : "", qs_name_shown(name, buf, sizeof buf));
    if (f->has_type && f->file_type < FILE_TYPES && file_types[f->file_type])
        qs_str_addf(&s, _("%smostly %s"), s.n ? ", " : "", file_types[f->file_type]);
    if (f->whole)
        qs_str_addf(&s, _("%s%llu parts"), s.n ? "; " : "", (unsigned long long)f->split_count);
    else if (f->split_count > 1)
        qs_str_addf(&s, _("%spart %llu of %llu"), s.n ? "; " : "", (unsigned long long)f->split_no + 1,
                    (unsigned long long)f->split_count);
    free(name);
    free(arch);
    m->note = s.s;
}

static int read_one(qs_model *m, qs_blob *blob, facts *f, qs_err *err)
{
    cursor c = {blob->data, 0, blob->size, err};
    uint64_t tensors, pairs;
    *f = (facts){.alignment = 32};
    int rc = check_version(&c);
    if (rc || (rc = read_counts(&c, &tensors, &pairs))) return rc;
    for (uint64_t i = 0; i < pairs; i++)
        if (read_pair(&c, f)) return -QS_EFORMAT;
    if (!f->alignment || f->alignment & (f->alignment - 1) || f->alignment > 1 << 20)
        return qs_fail(err, QS_EFORMAT, _("general.alignment is %llu: it must be a power of two, at most a MiB"),
                       (unsigned long long)f->alignment);
    return read_tensors(m, &c, (size_t)tensors, blob, f->alignment);
}

/* ---- a model in several files ------------------------------------------------------------------- */
#define PART "-00001-of-00002.gguf"

size_t qs_gguf_part(const char *path, unsigned *no, unsigned *of)
{
    size_t n = strlen(path), digits = 0;
    const char *end = n > strlen(PART) ? path + n - strlen(PART) : "";
    for (const char *p = end, *like = PART; *p; p++, like++) {
        bool digit = *like >= '0' && *like <= '9';
        if (digit ? *p < '0' || *p > '9' : *p != *like) return 0;
        digits += digit;
    }
    if (digits != 10) return 0;
    *no = (unsigned)strtoul(end + 1, NULL, 10);
    *of = (unsigned)strtoul(end + strlen("-00001-of-"), NULL, 10);
    return n - strlen(PART);
}

/* Part number no (from 0) of as many as f says; what it says of itself must agree. */
static int read_part(qs_model *m, const char *path, uint64_t no, const facts *f, qs_err *err)
{
    facts g = {0};
    qs_blob *b = qs_blob_map(path, err);
    if (!b) return err ? -err->code : -QS_EIO;
    int rc = !probe(b->data, b->size, b->size) ? qs_fail(err, QS_EFORMAT, _("not a GGUF file")) : read_one(m, b, &g, err);
    if (!rc && (g.split_no != no || g.split_count != f->split_count))
        rc = qs_fail(err, QS_EFORMAT, _("says that it is part %llu of %llu"), (unsigned long long)g.split_no + 1, (unsigned long long)g.split_count);
    if (rc) qs_fail_prefix(err, "%s", path);
    if (!rc) rc = qs_blob_check(b, err);
    qs_blob_unref(b);
    return rc;
}

/* The other parts, beside the first: where that is called as llama.cpp calls it. Else it stays a part. */
static int read_others(qs_model *m, const char *path, facts *f, qs_err *err)
{
    int rc = 0;
    unsigned no, of;
    size_t stem = path ? qs_gguf_part(path, &no, &of) : 0;
    if (!stem || f->split_no || no != 1 || of != f->split_count) return 0;
    for (unsigned k = 2; k <= of && !rc; k++) {
        char *name = qs_xasprintf("%.*s-%05u-of-%05u.gguf", (int)stem, path, k, of);
        rc = read_part(m, name, k - 1, f, err);
        free(name);
    }
    f->whole = true;
    return rc;
}

static int read_file(qs_model *m, qs_blob *blob, qs_err *err)
{
    facts f;
    int rc = read_one(m, blob, &f, err);
    if (!rc) rc = read_others(m, blob->path, &f, err);
    if (!rc) note(m, &f);
    return rc;
}

const qs_reader qs_reader_gguf = {
    "gguf", N_("GGUF 2 and 3 (llama.cpp): plain numbers and blocks of codes with scales, mapped"), probe, read_file,
};
