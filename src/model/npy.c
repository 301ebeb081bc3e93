/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * NumPy's .npy, versions 1 to 3: a magic word, a Python dict literal with exactly the keys descr, fortran_order
 * and shape, and the bytes of one array. Numbers of either byte order in either element order; everything else
 * NumPy can store (objects, records, text, dates, complex numbers) is refused by name.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "model/reader.h"

#define MAGIC "\x93NUMPY"

static bool probe(const unsigned char *head, size_t n, size_t size)
{
    (void)size;
    return n >= 6 && !memcmp(head, MAGIC, 6);
}

/* ---- the header, read with a cursor ---------------------------------------------- */
typedef struct cursor { const char *p, *end; qs_err *err; } cursor;

typedef struct header {
    char descr[16];
    bool fortran, has_descr, has_order, has_shape;
    int ndim;
    int64_t shape[QS_MAXDIM];
} header;

static void skip_space(cursor *c)
{
    while (c->p < c->end && strchr(" \t\n\r", *c->p) && *c->p) c->p++;
}

/* Takes ch if it is next (after spaces). */
static bool take(cursor *c, char ch)
{
    skip_space(c);
    if (c->p == c->end || *c->p != ch) return false;
    c->p++;
    return true;
}

static bool take_word(cursor *c, const char *word)
{
    size_t n = strlen(word);
    skip_space(c);
    if ((size_t)(c->end - c->p) < n || memcmp(c->p, word, n)) return false;
    c->p += n;
    return true;
}

static int expect(cursor *c, char ch)
{
    return take(c, ch) ? 0 : qs_fail(c->err, QS_EFORMAT, _("header: '%c' expected"), ch);
}

/* A string without escapes; longer ones are cut to fit (no valid key or number type is that long). */
static int read_string(cursor *c, char *out, size_t size)
{
    size_t n = 0;
    skip_space(c);
    char quote = c->p < c->end ? *c->p : '\0';
    if (quote != '\'' && quote != '"') return qs_fail(c->err, QS_EFORMAT, _("header: a string expected"));
    for (c->p++; c->p < c->end && *c->p != quote; c->p++) {
        if (*c->p < 32 || *c->p > 126 || *c->p == '\\') return qs_fail(c->err, QS_EFORMAT, _("header: a bad string"));
        if (n + 1 < size) out[n++] = *c->p;
    }
    out[n] = '\0';
    return expect(c, quote);
}

static int read_length(cursor *c, int64_t *out)
{
    int64_t x = 0;
    skip_space(c);
    if (c->p == c->end || !isdigit((unsigned char)*c->p))
        return qs_fail(c->err, QS_EFORMAT, _("header: shape must hold integers, 0 or more"));
    for (; c->p < c->end && isdigit((unsigned char)*c->p); c->p++)
        if (__builtin_mul_overflow(x, 10, &x) || __builtin_add_overflow(x, *c->p - '0', &x))
            return qs_fail(c->err, QS_EFORMAT, _("header: a length in shape is too large"));
    if (c->p < c->end && *c->p == 'L') c->p++; /* Python 2 wrote long integers like that */
    *out = x;
    return 0;
}

static int read_shape(cursor *c, header *h)
{
    bool comma = true;
    if (expect(c, '(')) return -QS_EFORMAT;
    while (!take(c, ')')) {
        int64_t x = 0;
        if (!comma) return qs_fail(c->err, QS_EFORMAT, _("header: ',' expected in shape"));
        if (read_length(c, &x)) return -QS_EFORMAT;
        if (h->ndim == QS_MAXDIM)
            return qs_fail(c->err, QS_EUNSUP, _("the array has more than %d axes"), QS_MAXDIM);
        h->shape[h->ndim++] = x;
        comma = take(c, ',');
    }
    if (h->ndim == 1 && !comma) return qs_fail(c->err, QS_EFORMAT, _("header: shape must be a tuple"));
    return 0;
}

static int read_descr(cursor *c, header *h)
{
    skip_space(c);
    if (c->p < c->end && *c->p == '[')
        return qs_fail(c->err, QS_EUNSUP, _("a structured array (records): save its fields as arrays of their own"));
    return read_string(c, h->descr, sizeof h->descr);
}

static int read_order(cursor *c, header *h)
{
    h->fortran = take_word(c, "True");
    return h->fortran || take_word(c, "False") ? 0
           : qs_fail(c->err, QS_EFORMAT, _("header: fortran_order must be True or False"));
}

static int read_item(cursor *c, header *h)
{
    char key[16];
    if (read_string(c, key, sizeof key) || expect(c, ':')) return -QS_EFORMAT;
    struct { const char *name; bool *seen; int (*read)(cursor *, header *); } keys[] = {
        {"descr", &h->has_descr, read_descr}, {"fortran_order", &h->has_order, read_order},
        {"shape", &h->has_shape, read_shape},
    };
    for (size_t i = 0; i < 3; i++)
        if (!strcmp(key, keys[i].name)) {
            if (*keys[i].seen) return qs_fail(c->err, QS_EFORMAT, _("header: %s stands twice"), key);
            *keys[i].seen = true;
            return keys[i].read(c, h);
        }
    return qs_fail(c->err, QS_EFORMAT, _("header: unknown key %s"), key);
}

static int read_header(cursor *c, header *h)
{
    bool comma = true;
    if (expect(c, '{')) return -QS_EFORMAT;
    while (!take(c, '}')) {
        if (!comma) return qs_fail(c->err, QS_EFORMAT, _("header: ',' expected"));
        int rc = read_item(c, h);
        if (rc) return rc;
        comma = take(c, ',');
    }
    skip_space(c);
    if (c->p != c->end) return qs_fail(c->err, QS_EFORMAT, _("header: something follows the dictionary"));
    if (h->has_descr && h->has_order && h->has_shape) return 0;
    return qs_fail(c->err, QS_EFORMAT, _("header: descr, fortran_order and shape are needed"));
}

/* ---- types ------------------------------------------------------------------------ */
static const struct { const char *code; qs_dtype d; } codes[] = {
    {"f8", QS_F64}, {"f4", QS_F32}, {"f2", QS_F16}, {"i8", QS_I64}, {"i4", QS_I32}, {"i2", QS_I16}, {"i1", QS_I8},
    {"u8", QS_U64}, {"u4", QS_U32}, {"u2", QS_U16}, {"u1", QS_U8}, {"b1", QS_BOOL},
};

static const struct { char kind; const char *what; } refused[] = {
    {'O', N_("Python objects")}, {'S', N_("byte strings")}, {'a', N_("byte strings")}, {'U', N_("text")},
    {'c', N_("complex numbers")}, {'M', N_("dates")}, {'m', N_("time spans")}, {'V', N_("raw records")},
    {'f', N_("floats of that width")},
};

static int read_type(const header *h, qs_dtype *d, bool *swapped, qs_err *err)
{
    char order = h->descr[0];
    const char *code = h->descr + (strchr("<>|=", order) && order);
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (!strcmp(code, codes[i].code)) {
            *d = codes[i].d;
            bool wide = qs_dtype_size(*d) > 1;
            if (wide && (order == '|' || code == h->descr)) break; /* the order is needed where there is one */
            *swapped = wide && order == (qs_big_endian() ? '<' : '>');
            return 0;
        }
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        if (*code == refused[i].kind)
            return qs_fail(err, QS_EUNSUP, _("an array of %s ('%s'), not of numbers that can be quantized"),
                           _(refused[i].what), h->descr);
    return qs_fail(err, QS_EFORMAT, _("header: unknown type '%s'"), h->descr);
}

/* ---- the file ----------------------------------------------------------------------- */
/* The last part of the path without .npy: the file has no name for its array. */
static char *array_name(const char *path)
{
    const char *base = strrchr(path, '/');
    char *name = qs_xstrdup(base ? base + 1 : path);
    size_t n = strlen(name);
    if (n > 4 && !strcmp(name + n - 4, ".npy")) name[n - 4] = '\0';
    return name;
}

static int find_header(const unsigned char *p, size_t size, size_t *begin, size_t *end, qs_err *err)
{
    if (size < 10 || memcmp(p, MAGIC, 6)) return qs_fail(err, QS_EFORMAT, _("the file ends within the header"));
    unsigned version = p[6], wide = version > 1;
    if (version < 1 || version > 3 || p[7])
        return qs_fail(err, QS_EUNSUP, _("version %u.%u: 1.0 to 3.0 are known"), version, p[7]);
    *begin = wide ? 12 : 10;
    size_t length = (size_t)(p[8] | p[9] << 8);
    if (wide && size >= 12) length |= (size_t)p[10] << 16 | (size_t)p[11] << 24;
    if (size < *begin || length > size - *begin)
        return qs_fail(err, QS_EFORMAT, _("the file ends within the header (%zu bytes)"), length);
    *end = *begin + length;
    return 0;
}

/* size: bytes that follow the header, at data. */
static int make_tensor(qs_model *m, const char *name, const header *h, qs_blob *b, const unsigned char *data, size_t size, qs_err *err)
{
    qs_dtype d = QS_UNKNOWN_DTYPE;
    bool swapped = false;
    size_t n = 0;
    int rc = read_type(h, &d, &swapped, err);
    if (rc || (rc = qs_shape_count(h->ndim, h->shape, qs_dtype_size(d), &n, err))) return rc;
    if (n * qs_dtype_size(d) != size)
        return qs_fail(err, QS_EFORMAT, _("the shape needs %zu bytes, %zu follow the header"), n * qs_dtype_size(d),
                       size);
    qs_tensor *t = qs_tensor_new(name, d, h->ndim, h->shape, b, data, err);
    if (!t) return -QS_EFORMAT;
    t->swapped = swapped;
    if (h->fortran) qs_tensor_fortran(t);
    return qs_model_add(m, t, err);
}

static int read_array(qs_model *m, const char *name, header *h, qs_blob *b, const unsigned char *p, size_t size, qs_err *err)
{
    size_t begin = 0, end = 0;
    int rc = find_header(p, size, &begin, &end, err);
    if (rc) return rc;
    cursor c = {(const char *)p + begin, (const char *)p + end, err};
    rc = read_header(&c, h);
    return rc ? rc : make_tensor(m, name, h, b, p + end, size - end, err);
}

int qs_npy_read(qs_model *m, const char *name, qs_blob *in, const unsigned char *data, size_t size, qs_err *err)
{
    header h = {0};
    int rc = read_array(m, name, &h, in, data, size, err);
    if (rc != -QS_EUNSUP) return rc;
    return qs_model_add(m, qs_tensor_unknown(name, *h.descr ? h.descr : _("records"), h.has_shape ? h.ndim : -1, h.shape, in), err);
}

static int read_file(qs_model *m, qs_blob *b, qs_err *err)
{
    header h = {0};
    char *name = array_name(m->path);
    int rc = read_array(m, name, &h, b, b->data, b->size, err);
    free(name);
    return rc;
}

const qs_reader qs_reader_npy = {
    "npy", N_("NumPy .npy: one array of numbers, either byte order, C or Fortran order; mapped"), probe, read_file,
};

/* ---- writing -------------------------------------------------------------------------- */
static const char *code_of(qs_dtype d)
{
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (codes[i].d == d) return codes[i].code;
    return NULL;
}

/* Version 1 with the header padded so that the data begins at a multiple of 64, as NumPy does. */
int qs_npy_write(FILE *f, const qs_tensor *t, qs_err *err)
{
    qs_str s = {0};
    const char *code = code_of(qs_tensor_saved(t));
    if (!code) return qs_fail(err, QS_EARG, _("tensor %s: .npy has no %s; .safetensors may"), t->name, t->dtype_text);
    qs_str_addf(&s, "{'descr': '%c%s', 'fortran_order': False, 'shape': (", qs_dtype_size(t->dtype) > 1 ? '<' : '|', code);
    for (int i = 0; i < t->ndim; i++) qs_str_addf(&s, "%s%lld%s", i ? ", " : "", (long long)t->shape[i], t->ndim == 1 ? "," : "");
    qs_str_add(&s, "), }");
    while ((10 + s.n + 1) % 64) qs_str_add(&s, " ");
    qs_str_add(&s, "\n");
    const unsigned char head[10] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (unsigned char)s.n, (unsigned char)(s.n >> 8)};
    bool good = fwrite(head, 1, 10, f) == 10 && fwrite(s.s, 1, s.n, f) == s.n;
    free(s.s);
    return good ? qs_bytes_write(f, t, err) : qs_fail(err, QS_EIO, "%s", strerror(errno));
}
