/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * PyTorch's files (.pt, .pth, .th, .bin): a pickle that describes tensors, and their storages. As torch.save has
 * written them since 1.6, a zip file with an entry a storage; before, one pickle after another with the storages behind
 * them. Tensors borrow the bytes of their storage, shared or strided as they are. Knows which Python names make up a
 * tensor; no code of a file is run, every other name is refused (pickle.c).
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "model/pickle.h"
#include "model/zip.h"

enum {
    DEPTH_MAX = 64,        /* of nested containers */
    NAME_MAX_BYTES = 512,  /* of a tensor's dotted name */
    NAMES_ROOM = 16 << 20  /* of all names, and 16 times the pickle: memory in proportion to the file */
};

/* ---- names ------------------------------------------------------------------------------------------ */
enum what { TENSOR, TENSOR_3, PARAMETER, QUANTIZED, SUBCLASS, UNREAD, STORAGE, DTYPE, DICT, SIZE, INERT };

/* UNREAD: tensors that are listed only; INERT: values that hold none. */
static const struct known { const char *module, *name; enum what what; qs_dtype d; } known[] = {
    {"_codecs", "encode", INERT, 0},
    {"argparse", "Namespace", INERT, 0},
    {"torch", "BFloat16Storage", STORAGE, QS_BF16},    {"torch", "BoolStorage", STORAGE, QS_BOOL},
    {"torch", "ByteStorage", STORAGE, QS_U8},          {"torch", "CharStorage", STORAGE, QS_I8},
    {"torch", "ComplexDoubleStorage", STORAGE, 0},     {"torch", "ComplexFloatStorage", STORAGE, 0},
    {"torch", "DoubleStorage", STORAGE, QS_F64},       {"torch", "FloatStorage", STORAGE, QS_F32},
    {"torch", "HalfStorage", STORAGE, QS_F16},         {"torch", "IntStorage", STORAGE, QS_I32},
    {"torch", "LongStorage", STORAGE, QS_I64},         {"torch", "QInt32Storage", STORAGE, QS_I32},
    {"torch", "QInt8Storage", STORAGE, QS_I8},         {"torch", "QUInt2x4Storage", STORAGE, 0},
    {"torch", "QUInt4x2Storage", STORAGE, 0},          {"torch", "QUInt8Storage", STORAGE, QS_U8},
    {"torch", "ShortStorage", STORAGE, QS_I16},        {"torch", "Size", SIZE, 0},
    {"torch", "Tensor", INERT, 0},                     {"torch", "bfloat16", DTYPE, QS_BF16},
    {"torch", "bool", DTYPE, QS_BOOL},                 {"torch", "channels_last", INERT, 0},
    {"torch", "complex128", DTYPE, 0},                 {"torch", "complex64", DTYPE, 0},
    {"torch", "contiguous_format", INERT, 0},          {"torch", "device", INERT, 0},
    {"torch", "float16", DTYPE, QS_F16},               {"torch", "float32", DTYPE, QS_F32},
    {"torch", "float64", DTYPE, QS_F64},               {"torch", "float8_e4m3fn", DTYPE, QS_F8_E4M3},
    {"torch", "float8_e4m3fnuz", DTYPE, 0},            {"torch", "float8_e5m2", DTYPE, QS_F8_E5M2},
    {"torch", "float8_e5m2fnuz", DTYPE, 0},            {"torch", "int16", DTYPE, QS_I16},
    {"torch", "int32", DTYPE, QS_I32},                 {"torch", "int64", DTYPE, QS_I64},
    {"torch", "int8", DTYPE, QS_I8},                   {"torch", "per_channel_affine", INERT, 0},
    {"torch", "per_channel_affine_float_qparams", INERT, 0}, {"torch", "per_channel_symmetric", INERT, 0},
    {"torch", "per_tensor_affine", INERT, 0},          {"torch", "per_tensor_symmetric", INERT, 0},
    {"torch", "preserve_format", INERT, 0},            {"torch", "qint32", DTYPE, QS_I32},
    {"torch", "qint8", DTYPE, QS_I8},                  {"torch", "quint8", DTYPE, QS_U8},
    {"torch", "sparse_coo", INERT, 0},                 {"torch", "sparse_csr", INERT, 0},
    {"torch", "strided", INERT, 0},                    {"torch", "uint16", DTYPE, QS_U16},
    {"torch", "uint32", DTYPE, QS_U32},                {"torch", "uint64", DTYPE, QS_U64},
    {"torch", "uint8", DTYPE, QS_U8},
    {"torch._tensor", "_rebuild_from_type_v2", SUBCLASS, 0},
    {"torch._utils", "_rebuild_device_tensor_from_numpy", UNREAD, 0},
    {"torch._utils", "_rebuild_meta_tensor_no_storage", UNREAD, 0},
    {"torch._utils", "_rebuild_parameter", PARAMETER, 0},
    {"torch._utils", "_rebuild_parameter_with_state", PARAMETER, 0},
    {"torch._utils", "_rebuild_qtensor", QUANTIZED, 0},
    {"torch._utils", "_rebuild_sparse_csr_tensor", UNREAD, 0},
    {"torch._utils", "_rebuild_sparse_tensor", UNREAD, 0},
    {"torch._utils", "_rebuild_tensor", TENSOR, 0},
    {"torch._utils", "_rebuild_tensor_v2", TENSOR, 0},
    {"torch._utils", "_rebuild_tensor_v3", TENSOR_3, 0},
    {"torch.nn.parameter", "Parameter", INERT, 0},
    {"torch.serialization", "_get_layout", INERT, 0},
    {"torch.storage", "TypedStorage", STORAGE, QS_U8}, {"torch.storage", "UntypedStorage", STORAGE, QS_U8},
    {"torch.storage", "_TypedStorage", STORAGE, QS_U8}, {"torch.storage", "_UntypedStorage", STORAGE, QS_U8},
    /* Python's own, under the names of 2 and 3; NumPy's scalars and arrays, as schedulers and random states keep them */
    {"__builtin__", "bytearray", INERT, 0},            {"__builtin__", "complex", INERT, 0},
    {"__builtin__", "set", INERT, 0},                  {"builtins", "bytearray", INERT, 0},
    {"builtins", "complex", INERT, 0},                 {"builtins", "set", INERT, 0},
    {"collections", "Counter", DICT, 0},               {"collections", "OrderedDict", DICT, 0},
    {"collections", "defaultdict", DICT, 0},           {"numpy", "dtype", INERT, 0},
    {"numpy", "ndarray", INERT, 0},                    {"numpy._core.multiarray", "_reconstruct", INERT, 0},
    {"numpy._core.multiarray", "scalar", INERT, 0},    {"numpy.core.multiarray", "_reconstruct", INERT, 0},
    {"numpy.core.multiarray", "scalar", INERT, 0},
};

static bool text_is(const char *s, size_t n, const char *word) { return strlen(word) == n && !memcmp(s, word, n); }

static int allow(const char *module, size_t nmodule, const char *name, size_t nname)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (text_is(name, nname, known[i].name) && text_is(module, nmodule, known[i].module)) return (int)i;
    return -1;
}

static const struct known *known_of(const qs_py *x) { return x && x->kind == QS_PY_GLOBAL ? &known[x->u.global.what] : NULL; }

/* What a call makes; NULL: x is none. */
static const struct known *called(const qs_py *x) { return x && x->kind == QS_PY_CALL ? known_of(x->u.call.fn) : NULL; }

static bool is_tensor(const qs_py *x)
{
    const struct known *k = called(x);
    return k && k->what <= UNREAD;
}

/* ---- storages --------------------------------------------------------------------------------------------- */
/* Where the bytes of a storage are. in: borrowed from the source. */
typedef struct place { qs_blob *in; const unsigned char *data; size_t size; } place;

typedef struct source source;
struct source {
    qs_model *m;
    qs_blob *blob;
    int (*find)(source *s, const char *key, place *out, qs_err *err);
    qs_zip zip;                /* of the zip kind */
    const char *prefix;        /* of its entries, */
    size_t nprefix;            /* up to and with the slash */
    struct legacy { char *key; place at; } *legacy;   /* of the old kind, by key */
    size_t nlegacy;
    bool swapped;
    size_t names, names_max;   /* bytes */
    qs_err *err;
};

static int wrong(const source *s, const char *what) { return qs_fail(s->err, QS_EFORMAT, "%s", what); }

static bool int_at(const qs_py *tuple, size_t i, int64_t *out)
{
    bool good = i < tuple->n && tuple->item[i]->kind == QS_PY_INT;
    if (good) *out = tuple->item[i]->u.i;
    return good;
}

static char *text_of(const qs_py *x)
{
    if (x->kind == QS_PY_INT) return qs_xasprintf("%lld", (long long)x->u.i);
    if (x->kind != QS_PY_TEXT || memchr(x->u.text.s, 0, x->u.text.n)) return NULL;
    char *s = strndup(x->u.text.s, x->u.text.n);
    return s ? s : qs_xstrdup("");
}

/* ('storage', type, key, where it lived, elements[, (key of the view, from, elements)]), checked. */
typedef struct storage { const struct known *type; const qs_py *key; int64_t n, from; } storage;

static int read_storage(const source *s, const qs_py *x, storage *out)
{
    const qs_py *id = x && x->kind == QS_PY_PERSISTENT ? x->u.call.args : NULL;
    int64_t n = 0, view = 0;
    if (!id || id->kind != QS_PY_TUPLE || id->n < 5 || !qs_py_is(id->item[0], "storage") || !int_at(id, 4, &n) || n < 0)
        return wrong(s, _("a tensor without a storage as torch.save describes it"));
    *out = (storage){.type = known_of(id->item[1]), .key = id->item[2], .n = n};
    if (!out->type || (out->type->what != STORAGE && out->type->what != DTYPE)) return wrong(s, _("a storage of no type"));
    if (id->n < 6 || id->item[5]->kind == QS_PY_NONE) return 0;
    const qs_py *v = id->item[5];
    if (v->kind != QS_PY_TUPLE || !int_at(v, 1, &out->from) || !int_at(v, 2, &view) || out->from < 0 || view < 0 || out->from > n || view > n - out->from)
        return wrong(s, _("a view beyond its storage"));
    out->n = view;
    return 0;
}

/* The bytes of a storage; d: the type of its elements (what untyped ones are read as is the tensor's business). */
static int find_storage(source *s, const storage *o, place *out)
{
    char *key = text_of(o->key), shown[80];
    if (!key) return wrong(s, _("a storage whose key is no text"));
    int rc = s->find(s, key, out, s->err);
    size_t size = qs_dtype_size(o->type->d), from = 0, bytes = 0;
    bool fits = qs_mul((size_t)o->from, size, &from) && qs_mul((size_t)o->n, size, &bytes) && from <= out->size && bytes <= out->size - from;
    if (!rc && !fits)
        rc = qs_fail(s->err, QS_EFORMAT, _("storage %s has %zu bytes, %lld elements of %s were to be in it"),
                     qs_name_shown(key, shown, sizeof shown), out->size, (long long)o->n, qs_dtype_name(o->type->d));
    free(key);
    if (rc) return rc;
    out->data += from;
    out->size = bytes;
    return 0;
}

/* ---- tensors ------------------------------------------------------------------------------------------------- */
static int read_lengths(const source *s, const qs_py *x, int64_t *out, int *n)
{
    if (x && called(x) && called(x)->what == SIZE && x->u.call.args->n == 1) x = x->u.call.args->item[0];
    if (!x || x->kind != QS_PY_TUPLE) return wrong(s, _("its shape or strides are no tuple"));
    *n = x->n > QS_MAXDIM ? -1 : (int)x->n;
    for (size_t i = 0; i < x->n; i++) {
        int64_t v;
        if (!int_at(x, i, &v) || v < 0) return wrong(s, _("its shape or strides must hold integers, 0 or more"));
        if (*n >= 0) out[i] = v;
    }
    return 0;
}

/* What makes tensors below returns NULL with the error set. */
static qs_tensor *unread(const source *s, const char *name, const char *text, int ndim, const int64_t *shape)
{
    return qs_tensor_unknown(name, text, ndim, shape, s->blob);
}

static qs_tensor *no_tensor(const source *s, const char *what)
{
    wrong(s, what);
    return NULL;
}

static qs_tensor *make_strided(source *s, const char *name, const struct known *type, const storage *o, int64_t offset, int ndim,
                               const int64_t *shape, const int64_t *stride)
{
    place at = {0};
    size_t from, size = qs_dtype_size(type->d), steps[QS_MAXDIM];
    if (ndim < 0) return unread(s, name, _("more than 8 axes"), -1, NULL);
    if (!type->d) return unread(s, name, type->name, ndim, shape);
    if (find_storage(s, o, &at)) return NULL;
    if (!qs_mul((size_t)offset, size, &from) || from > at.size) return no_tensor(s, _("it begins beyond its storage"));
    for (int i = 0; i < ndim; i++) steps[i] = (size_t)stride[i];
    qs_tensor *t = qs_tensor_strided(name, type->d, ndim, shape, steps, at.in, at.data + from, at.size - from, s->err);
    if (!t && s->err) s->err->code = QS_EFORMAT;
    if (t) t->swapped = s->swapped && size > 1;
    return t;
}

/* (storage, offset, shape, strides, ...): of _rebuild_tensor, _v2, _v3 (whose seventh is the type) and _rebuild_qtensor. */
static qs_tensor *make_plain(source *s, const char *name, enum what what, const qs_py *args)
{
    storage o;
    int ndim = 0, nstride = 0;
    int64_t offset = 0, shape[QS_MAXDIM], stride[QS_MAXDIM];
    if (args->n < 4 || !int_at(args, 1, &offset) || offset < 0) return no_tensor(s, _("a tensor without storage, offset, shape and strides"));
    if (read_storage(s, args->item[0], &o) || read_lengths(s, args->item[2], shape, &ndim) || read_lengths(s, args->item[3], stride, &nstride))
        return NULL;
    const struct known *type = what == TENSOR_3 ? args->n > 6 ? known_of(args->item[6]) : NULL : o.type;
    if (!type || (type->what != STORAGE && type->what != DTYPE)) return no_tensor(s, _("a tensor of no type"));
    if (ndim != nstride) return no_tensor(s, _("it has not as many strides as axes"));
    return make_strided(s, name, type, &o, offset, ndim, shape, stride);
}

/* A call that makes a tensor, without what may be around it: a parameter, a subclass. what NULL: nothing of sense. */
typedef struct making { const struct known *what; const qs_py *args; } making;

static making unwrapped(const qs_py *x)
{
    making k = {called(x), x->u.call.args};
    for (int i = 0; i < 8 && k.what && k.what->what <= UNREAD; i++) {
        if (k.what->what == PARAMETER) {
            const qs_py *inner = k.args->n ? k.args->item[0] : NULL;
            k = is_tensor(inner) ? (making){called(inner), inner->u.call.args} : (making){0};
        } else if (k.what->what == SUBCLASS) { /* (function, type, its arguments, state) */
            bool good = k.args->n > 2 && k.args->item[2]->kind == QS_PY_TUPLE;
            k = good ? (making){known_of(k.args->item[0]), k.args->item[2]} : (making){0};
        } else return k;
    }
    return (making){0};
}

/* A scale or a zero point: a number, or the tensor of one for each channel. */
static qs_tensor *make_part(source *s, const char *name, const qs_py *x)
{
    making k = is_tensor(x) ? unwrapped(x) : (making){0};
    if (k.what && k.what->what <= TENSOR_3) return make_plain(s, name, k.what->what, k.args);
    if (x->kind != QS_PY_FLOAT && x->kind != QS_PY_INT) return no_tensor(s, _("a scale or zero point that is no number"));
    float *mem, v = x->kind == QS_PY_INT ? (float)x->u.i : (float)x->u.f;
    qs_tensor *t = qs_tensor_f32(name, 0, NULL, &mem, s->err);
    if (t) *mem = v;
    return t;
}

/* (codes as above ..., (scheme, scale, zero) or (scheme, scales, zeros, axis)) of _rebuild_qtensor. Integers of 32 bits stay as they are. */
static qs_tensor *make_quantized(source *s, const char *name, const qs_py *args)
{
    const qs_py *q = args->n > 4 ? args->item[4] : NULL;
    int64_t axis = 0;
    qs_told told = {.codes = make_plain(s, name, QUANTIZED, args)};
    if (!told.codes || (told.codes->dtype != QS_I8 && told.codes->dtype != QS_U8) || !told.codes->n) return told.codes;
    qs_tensor *t = NULL;
    bool good = q && q->kind == QS_PY_TUPLE && q->n >= 3 && (q->n == 3 || (int_at(q, 3, &axis) && axis >= 0 && axis < QS_MAXDIM));
    told.axis = (int)axis;
    if (!good) wrong(s, _("a quantized tensor without scale and zero point"));
    if (good && (told.scale = make_part(s, name, q->item[1])) && (told.zero = make_part(s, name, q->item[2])))
        t = qs_join_parts(name, "PyTorch", &told, s->err);
    qs_tensor_unref(told.codes);
    qs_tensor_unref(told.scale);
    qs_tensor_unref(told.zero);
    return t;
}

static int add_tensor(source *s, const char *name, const qs_py *x)
{
    char shown[80];
    making k = unwrapped(x);
    s->names += strlen(name);
    qs_tensor *t = s->names > s->names_max     ? no_tensor(s, _("the names take more memory than the file"))
                   : !k.what                   ? no_tensor(s, _("it is made in a way that makes no tensor"))
                   : k.what->what == UNREAD    ? unread(s, name, k.what->name + strlen("_rebuild_"), -1, NULL)
                   : k.what->what == QUANTIZED ? make_quantized(s, name, k.args)
                                               : make_plain(s, name, k.what->what, k.args);
    int rc = t ? qs_model_add(s->m, t, s->err) : s->err ? -s->err->code : -QS_EFORMAT;
    if (rc) qs_fail_prefix(s->err, _("tensor %s"), qs_name_shown(name, shown, sizeof shown));
    return rc;
}

/* ---- finding them in what was saved ------------------------------------------------------------------------------ */
static bool is_dict(const qs_py *x)
{
    return x->kind == QS_PY_DICT || (called(x) && called(x)->what == DICT);
}

static bool is_list(const qs_py *x) { return x->kind == QS_PY_LIST || x->kind == QS_PY_TUPLE; }

static int walk(source *s, qs_str *path, qs_py *x, int depth);

/* Appends ".key" for one call of walk. */
static int walk_item(source *s, qs_str *path, const char *key, size_t n, qs_py *x, int depth)
{
    size_t before = path->n;
    if (!is_tensor(x) && !is_dict(x) && !is_list(x)) return 0;
    if (n > NAME_MAX_BYTES || before + n + 1 > NAME_MAX_BYTES || memchr(key, 0, n))
        return qs_fail(s->err, QS_EFORMAT, _("a tensor's name is longer than %d bytes, or has a NUL in it"), NAME_MAX_BYTES);
    if (before) qs_str_add(path, ".");
    qs_str_addn(path, key, n);
    int rc = walk(s, path, x, depth);
    path->s[path->n = before] = '\0';
    return rc;
}

/* Every container once, however often it is referred to: that ends cycles, and sums of sums. A tensor as often as it stands there. */
static int walk(source *s, qs_str *path, qs_py *x, int depth)
{
    char number[24];
    int rc = 0;
    if (is_tensor(x)) return add_tensor(s, path->s, x);
    if (x->seen) return 0;
    x->seen = true;
    if (depth == DEPTH_MAX) return qs_fail(s->err, QS_EFORMAT, _("nested deeper than %d"), DEPTH_MAX);
    bool dict = is_dict(x);
    for (size_t i = 0; i < x->n && !rc; i += 1 + dict) {
        const qs_py *key = dict ? x->item[i] : NULL;
        const char *text = key && key->kind == QS_PY_TEXT ? key->u.text.s : number;
        long long as_number = key && key->kind == QS_PY_INT ? (long long)key->u.i : (long long)(i / (1 + dict));
        snprintf(number, sizeof number, "%lld", as_number);
        rc = walk_item(s, path, text, text == number ? strlen(number) : key->u.text.n, x->item[i + dict], depth + 1);
    }
    return rc;
}

static bool holds_tensors(const qs_py *x)
{
    bool found = false;
    for (size_t i = 1; is_dict(x) && i < x->n && !found; i += 2) found = is_tensor(x->item[i]);
    return found;
}

/* Under these keys training scripts keep a model's weights, beside an optimizer's state and more. */
static const char *const weights_at[] = {"state_dict", "model_state_dict", "model", "module", "net", "network", "weights", "params_ema", "params"};

/* The weights in a checkpoint; x itself where it is none. *key: under which it was found. */
static qs_py *weights_of(qs_py *x, const char **key)
{
    for (int depth = 0; depth < 4 && is_dict(x) && !holds_tensors(x); depth++) {
        qs_py *inner = NULL;
        for (size_t i = 0; i < sizeof weights_at / sizeof *weights_at && !inner; i++) {
            qs_py *at = qs_py_get(x, weights_at[i]);
            if (!at || !is_dict(at) || !(holds_tensors(at) || qs_py_get(at, "state_dict"))) continue;
            inner = at;
            *key = weights_at[i];
        }
        if (!inner) break;
        x = inner;
    }
    return x;
}

/* "the weights of "state_dict"; not listed: optimizer, epoch" */
static void note_rest(source *s, const qs_py *root, const char *key)
{
    qs_str t = {0};
    qs_str_addf(&t, _("the tensors of \"%s\" in a checkpoint"), key);
    for (size_t i = 0, shown = 0; i < root->n && shown < 8; i += 2) {
        if (root->item[i]->kind != QS_PY_TEXT || qs_py_is(root->item[i], key)) continue;
        char *other = text_of(root->item[i]), buf[40];
        if (other) qs_str_addf(&t, "%s %s", shown++ ? "," : _("; beside it:"), qs_name_shown(other, buf, sizeof buf));
        free(other);
    }
    s->m->note = t.s;
}

/* The last part of the path without its ending: the name of a tensor that was saved alone. */
static void bare_name(const char *path, qs_str *out)
{
    const char *base = strrchr(path, '/'), *dot = strrchr(base ? base : path, '.');
    base = base ? base + 1 : path;
    qs_str_addn(out, base, dot > base ? (size_t)(dot - base) : strlen(base));
}

static int list_tensors(source *s, qs_py *root, size_t pickled)
{
    const char *key = NULL;
    qs_str path = {0};
    qs_py *x = weights_of(root, &key);
    s->names_max = NAMES_ROOM + 16 * pickled;
    if (key) note_rest(s, root, key);
    if (is_tensor(x)) bare_name(s->m->path, &path);
    else qs_str_add(&path, "");
    int rc = is_tensor(x) || is_dict(x) || is_list(x) ? walk(s, &path, x, 0)
             : qs_fail(s->err, QS_EUNSUP, _("neither a tensor nor a dictionary or list of some"));
    free(path.s);
    return rc;
}

/* ---- the zip kind ---------------------------------------------------------------------------------------------------- */
static int find_zipped(source *s, const char *key, place *out, qs_err *err)
{
    char shown[80], *name = qs_xasprintf("%.*sdata/%s", (int)s->nprefix, s->prefix, key);
    qs_zip_entry *e = qs_zip_find(&s->zip, name);
    int rc = e ? qs_zip_get(&s->zip, e, &out->in, &out->data, err)
               : qs_fail(err, QS_EFORMAT, _("the file has no entry %s"), qs_name_shown(name, shown, sizeof shown));
    free(name);
    if (rc) return rc;
    out->size = e->size;
    qs_blob_unref(out->in); /* the zip keeps it until the tensor does */
    return 0;
}

/* The entry "PREFIX/data.pkl", with PREFIX the name the file had once; NULL: there is none. */
static qs_zip_entry *find_pickle(source *s)
{
    for (size_t i = 0; i < s->zip.n; i++) {
        const char *name = s->zip.entry[i].name, *slash = strchr(name, '/');
        if (!slash || strcmp(slash + 1, "data.pkl")) continue;
        s->prefix = name;
        s->nprefix = (size_t)(slash + 1 - name);
        return &s->zip.entry[i];
    }
    return NULL;
}

/* The bytes of "PREFIX/what" where it is; NULL: no such entry, or it cannot be unpacked. */
static const unsigned char *small_entry(source *s, const char *what, size_t *n)
{
    qs_blob *in;
    const unsigned char *p = NULL;
    char *name = qs_xasprintf("%.*s%s", (int)s->nprefix, s->prefix, what);
    qs_zip_entry *e = qs_zip_find(&s->zip, name);
    free(name);
    *n = e ? e->size : 0;
    if (!e || qs_zip_get(&s->zip, e, &in, &p, NULL)) return NULL;
    qs_blob_unref(in);
    return p;
}

static int read_zipped_pickle(source *s, qs_zip_entry *e)
{
    qs_blob *in;
    const unsigned char *p;
    size_t used, n;
    const unsigned char *order = small_entry(s, "byteorder", &n);
    int rc = qs_zip_get(&s->zip, e, &in, &p, s->err);
    if (rc) return rc;
    s->swapped = order && n >= 3 && !memcmp(order, "big", 3) ? !qs_big_endian() : qs_big_endian();
    qs_pickle *k = qs_pickle_read(p, e->size, allow, &used, s->err);
    rc = k ? list_tensors(s, qs_pickle_root(k), e->size) : s->err ? -s->err->code : -QS_EFORMAT;
    qs_pickle_free(k);
    qs_blob_unref(in);
    return rc;
}

static int read_zip(source *s)
{
    size_t n;
    int rc = qs_zip_open(&s->zip, s->blob, s->err);
    if (rc) return rc;
    s->find = find_zipped;
    qs_zip_entry *e = find_pickle(s);
    if (!e) rc = qs_fail(s->err, QS_EUNSUP, _("a zip file without data.pkl, which PyTorch's have, or .npy, which NumPy's have"));
    else if (small_entry(s, "constants.pkl", &n))
        rc = qs_fail(s->err, QS_EUNSUP, _("a TorchScript program (torch.jit.save); torch.save(model.state_dict(), ...) writes its weights"));
    else rc = read_zipped_pickle(s, e);
    qs_zip_close(&s->zip);
    return rc;
}

/* ---- the old kind: pickles one after another, storages behind them ------------------------------------------------------ */
static const unsigned char magic[10] = {0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19}; /* 0x1950a86a20f9469cfc6c */

static int by_key(const void *a, const void *b) { return strcmp(((const struct legacy *)a)->key, ((const struct legacy *)b)->key); }

static int key_of(const void *key, const void *l) { return strcmp(key, ((const struct legacy *)l)->key); }

static int find_legacy(source *s, const char *key, place *out, qs_err *err)
{
    char shown[80];
    const struct legacy *l = bsearch(key, s->legacy, s->nlegacy, sizeof *s->legacy, key_of);
    if (!l || !l->at.in) return qs_fail(err, QS_EFORMAT, _("the file has no storage %s"), qs_name_shown(key, shown, sizeof shown));
    *out = l->at;
    return 0;
}

/* What every storage is of, from the persistent ids; keys sorted, each once. */
static int legacy_types(source *s, const qs_pickle *k)
{
    size_t n;
    qs_py *const *id = qs_pickle_persistent(k, &n);
    s->legacy = qs_xcalloc(n, sizeof *s->legacy);
    for (size_t i = 0; i < n; i++) {
        storage o;
        int rc = read_storage(s, id[i], &o);
        if (rc) return rc;
        size_t size = qs_dtype_size(o.type->d);
        char *key = text_of(o.key);
        if (!key) return wrong(s, _("a storage whose key is no text"));
        s->legacy[s->nlegacy++] = (struct legacy){key, {.size = size ? size : !strcmp(o.type->name, "ComplexDoubleStorage") ? 16 : 8}};
    }
    qsort(s->legacy, n, sizeof *s->legacy, by_key);
    size_t kept = 0;
    bool agree = true;
    for (size_t i = 0; i < n; i++) {
        struct legacy l = s->legacy[i];
        bool again = kept && !strcmp(s->legacy[kept - 1].key, l.key);
        agree = agree && !(again && s->legacy[kept - 1].at.size != l.at.size);
        if (again) free(l.key);
        else s->legacy[kept++] = l;
    }
    s->nlegacy = kept;
    return agree ? 0 : wrong(s, _("a storage of two types"));
}

/* The storages lie in the order of the list of keys, each behind the number of its elements. */
static int legacy_places(source *s, const qs_py *keys, size_t at)
{
    char shown[80];
    if (keys->kind != QS_PY_LIST) return wrong(s, _("the storages are not announced by a list"));
    for (size_t i = 0; i < keys->n; i++) {
        uint64_t n = 0;
        size_t bytes = 0;
        char *key = text_of(keys->item[i]);
        struct legacy *l = key ? bsearch(key, s->legacy, s->nlegacy, sizeof *s->legacy, key_of) : NULL;
        if (!l || l->at.in) {
            qs_fail(s->err, QS_EFORMAT, _("a storage that no tensor names, or that is announced twice: %s"), qs_name_shown(key ? key : "?", shown, sizeof shown));
            free(key);
            return -QS_EFORMAT;
        }
        free(key);
        bool room = s->blob->size - at >= 8;
        for (int b = 7; room && b >= 0; b--) n = n << 8 | s->blob->data[at + (size_t)b];
        if (!room || !qs_mul((size_t)n, l->at.size, &bytes) || bytes > s->blob->size - at - 8)
            return qs_fail(s->err, QS_EFORMAT, _("storage %s: cut short"), qs_name_shown(l->key, shown, sizeof shown));
        l->at = (place){s->blob, s->blob->data + at + 8, bytes};
        at += 8 + bytes;
    }
    return 0;
}

static qs_pickle *next_pickle(source *s, size_t *at)
{
    size_t used = 0;
    qs_pickle *k = qs_pickle_read(s->blob->data + *at, s->blob->size - *at, allow, &used, s->err);
    *at += used;
    return k;
}

/* Magic number, version, what the machine was like. */
static int read_preamble(source *s, size_t *at)
{
    for (int i = 0; i < 3; i++) {
        qs_pickle *k = next_pickle(s, at);
        if (!k) return s->err ? -s->err->code : -QS_EFORMAT;
        const qs_py *x = qs_pickle_root(k);
        bool good = i == 0   ? x->kind == QS_PY_BIG && x->u.text.n == sizeof magic && !memcmp(x->u.text.s, magic, sizeof magic)
                    : i == 1 ? x->kind == QS_PY_INT && x->u.i == 1001
                             : is_dict(x);
        qs_pickle_free(k);
        if (!good)
            return i ? wrong(s, _("a version of PyTorch's files that is not known"))
                     : qs_fail(s->err, QS_EUNSUP, _("a Python pickle, and not one that torch.save has written"));
    }
    return 0;
}

static int read_legacy(source *s)
{
    size_t at = 0, began;
    int rc = read_preamble(s, &at);
    if (rc) return rc;
    began = at;
    qs_pickle *what = next_pickle(s, &at), *keys = NULL;
    size_t pickled = at - began;
    if (what && !(rc = legacy_types(s, what))) keys = next_pickle(s, &at);
    if (!rc && !keys) rc = s->err ? -s->err->code : -QS_EFORMAT;
    s->find = find_legacy;
    s->swapped = qs_big_endian(); /* these are little-endian wherever they were written */
    if (!rc) rc = legacy_places(s, qs_pickle_root(keys), at);
    if (!rc) rc = list_tensors(s, qs_pickle_root(what), pickled);
    for (size_t i = 0; i < s->nlegacy; i++) free(s->legacy[i].key);
    free(s->legacy);
    qs_pickle_free(what);
    qs_pickle_free(keys);
    return rc;
}

/* ---- the reader ------------------------------------------------------------------------------------------------------------ */
static bool is_tar(const unsigned char *head, size_t n) { return n >= 262 && !memcmp(head + 257, "ustar", 5); }

static bool probe(const unsigned char *head, size_t n, size_t size)
{
    (void)size;
    return qs_zip_probe(head, n) || (n >= 2 && head[0] == 0x80 && head[1] >= 2 && head[1] <= 5) || is_tar(head, n);
}

static int read_file(qs_model *m, qs_blob *blob, qs_err *err)
{
    source s = {.m = m, .blob = blob, .err = err};
    if (is_tar(blob->data, blob->size))
        return qs_fail(err, QS_EUNSUP, _("a tar file, as PyTorch wrote before 0.1.10: load it and save it again with a newer one"));
    return qs_zip_probe(blob->data, blob->size) ? read_zip(&s) : read_legacy(&s);
}

const qs_reader qs_reader_torch = {
    "torch", N_("PyTorch .pt, .pth, .bin: zip or older; tensors of a pickle, without running it; mapped"), probe, read_file,
};
