/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The pickle machine: a stack with marks, a memo, and one function a family of opcodes. Knows Python's values; not what
 * a tensor is. Source: Lib/pickletools.py of CPython.
 */
#include "model/pickle.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"

enum { BLOCK = 4096 };

typedef struct block { struct block *next; qs_py node[BLOCK]; } block;

struct qs_pickle {
    block *blocks;             /* the newest first */
    size_t nodes;
    qs_py **stack, **memo, **persistent;
    size_t nstack, cstack, nmemo, cmemo, npersistent, cpersistent;
    size_t *mark;              /* heights of the stack */
    size_t nmark, cmark;
    const unsigned char *p;
    size_t n, at;
    bool stopped;
    qs_pickle_allow *allow;
    qs_err *err;
};

/* ---- parts ------------------------------------------------------------------------------------- */
static int damaged(qs_pickle *k, const char *what)
{
    return qs_fail(k->err, QS_EFORMAT, _("pickle: %s (byte %zu)"), what, k->at);
}

static void *grown(void *p, size_t n, size_t *cap, size_t size)
{
    if (n < *cap) return p;
    *cap = *cap ? 2 * *cap : 64;
    return qs_xrealloc(p, *cap * size);
}

static qs_py *make(qs_pickle *k, qs_pickle_kind kind)
{
    if (k->nodes == QS_PICKLE_NODES) {
        qs_fail(k->err, QS_ENOMEM, _("pickle: more than %u values"), QS_PICKLE_NODES);
        return NULL;
    }
    if (k->nodes % BLOCK == 0) {
        block *b = qs_xcalloc(1, sizeof *b);
        b->next = k->blocks;
        k->blocks = b;
    }
    qs_py *x = &k->blocks->node[k->nodes++ % BLOCK];
    x->kind = kind;
    return x;
}

static int push(qs_pickle *k, qs_py *x)
{
    if (!x) return -QS_ENOMEM;
    k->stack = grown(k->stack, k->nstack, &k->cstack, sizeof *k->stack);
    k->stack[k->nstack++] = x;
    return 0;
}

static size_t floor_of(const qs_pickle *k) { return k->nmark ? k->mark[k->nmark - 1] : 0; }

/* NULL with the error set: nothing is there, above the last mark. */
static qs_py *top(qs_pickle *k)
{
    if (k->nstack > floor_of(k)) return k->stack[k->nstack - 1];
    damaged(k, _("an opcode takes more than there is"));
    return NULL;
}

static qs_py *pop(qs_pickle *k)
{
    qs_py *x = top(k);
    if (x) k->nstack--;
    return x;
}

static void add_item(qs_py *to, qs_py *x)
{
    if ((to->n & (to->n - 1)) == 0) to->item = qs_xrealloc(to->item, (to->n ? 2 * to->n : 1) * sizeof *to->item);
    to->item[to->n++] = x;
}

/* What stands above the last mark, which goes; *n of it. NULL: no mark. */
static qs_py **take_marked(qs_pickle *k, size_t *n)
{
    if (!k->nmark) {
        damaged(k, _("an opcode needs a mark"));
        return NULL;
    }
    size_t from = k->mark[--k->nmark];
    *n = k->nstack - from;
    k->nstack = from;
    return k->stack + from;
}

static const unsigned char *take(qs_pickle *k, uint64_t n)
{
    if (n > k->n - k->at) {
        damaged(k, _("cut short"));
        return NULL;
    }
    k->at += (size_t)n;
    return k->p + k->at - n;
}

static bool take_number(qs_pickle *k, int bytes, uint64_t *out)
{
    const unsigned char *p = take(k, (uint64_t)bytes);
    *out = 0;
    for (int i = bytes; p && i--;) *out = *out << 8 | p[i];
    return p;
}

/* A line without its end. */
static const char *take_line(qs_pickle *k, size_t *n)
{
    const unsigned char *p = k->p + k->at, *end = memchr(p, '\n', k->n - k->at);
    if (!end) {
        damaged(k, _("cut short"));
        return NULL;
    }
    *n = (size_t)(end - p);
    k->at += *n + 1;
    return (const char *)p;
}

/* ---- plain values ---------------------------------------------------------------------------------- */
typedef struct op { int (*run)(qs_pickle *k, const struct op *o); int a, b; } op;

static int op_value(qs_pickle *k, const op *o) /* a: kind, b: value */
{
    qs_py *x = make(k, (qs_pickle_kind)o->a);
    if (x) x->u.i = o->b;
    return push(k, x);
}

static int op_int(qs_pickle *k, const op *o) /* a: bytes; four of them have a sign */
{
    uint64_t v;
    if (!take_number(k, o->a, &v)) return -QS_EFORMAT;
    qs_py *x = make(k, QS_PY_INT);
    if (x) x->u.i = o->a == 4 ? (int32_t)(uint32_t)v : (int64_t)v;
    return push(k, x);
}

static int push_text(qs_pickle *k, qs_pickle_kind kind, const void *s, size_t n)
{
    qs_py *x = make(k, kind);
    if (x) {
        x->u.text.s = s;
        x->u.text.n = n;
    }
    return push(k, x);
}

static int op_long(qs_pickle *k, const op *o) /* a: bytes of the length */
{
    uint64_t n, v = 0;
    if (!take_number(k, o->a, &n)) return -QS_EFORMAT;
    const unsigned char *p = take(k, n);
    if (!p) return -QS_EFORMAT;
    if (n > 8) return push_text(k, QS_PY_BIG, p, (size_t)n);
    for (int i = 0; i < 8; i++) v |= (uint64_t)((uint64_t)i < n ? p[i] : n && p[n - 1] & 0x80 ? 0xff : 0) << 8 * i;
    qs_py *x = make(k, QS_PY_INT);
    if (x) x->u.i = (int64_t)v;
    return push(k, x);
}

static int op_line_int(qs_pickle *k, const op *o) /* a: 'I' or 'L' */
{
    size_t n;
    char buf[24], *end;
    const char *s = take_line(k, &n);
    if (!s) return -QS_EFORMAT;
    if (o->a == 'I' && n == 2 && s[0] == '0' && (s[1] == '0' || s[1] == '1')) return op_value(k, &(op){NULL, QS_PY_BOOL, s[1] - '0'});
    if (n && s[n - 1] == 'L') n--;
    if (n > 19) return push_text(k, QS_PY_BIG, s, n);
    memcpy(buf, s, n);
    buf[n] = '\0';
    errno = 0;
    long long v = strtoll(buf, &end, 10);
    if (!n || *end || errno) return damaged(k, _("a bad number"));
    qs_py *x = make(k, QS_PY_INT);
    if (x) x->u.i = v;
    return push(k, x);
}

static int push_float(qs_pickle *k, double f)
{
    qs_py *x = make(k, QS_PY_FLOAT);
    if (x) x->u.f = f;
    return push(k, x);
}

static int op_line_float(qs_pickle *k, const op *o)
{
    (void)o;
    size_t n;
    char buf[40], *end;
    const char *s = take_line(k, &n);
    if (!s) return -QS_EFORMAT;
    if (n >= sizeof buf) return damaged(k, _("a bad number"));
    memcpy(buf, s, n);
    buf[n] = '\0';
    double f = strtod(buf, &end);
    return !n || *end ? damaged(k, _("a bad number")) : push_float(k, f);
}

static int op_float(qs_pickle *k, const op *o)
{
    (void)o;
    uint64_t v;
    double f;
    if (!take_number(k, 8, &v)) return -QS_EFORMAT;
    v = __builtin_bswap64(v); /* the only big-endian number of pickle */
    memcpy(&f, &v, sizeof f);
    return push_float(k, f);
}

static int op_counted(qs_pickle *k, const op *o) /* a: kind, b: bytes of the length */
{
    uint64_t n;
    if (!take_number(k, o->b, &n)) return -QS_EFORMAT;
    const unsigned char *p = take(k, n);
    return p ? push_text(k, (qs_pickle_kind)o->a, p, (size_t)n) : -QS_EFORMAT;
}

static int op_line_text(qs_pickle *k, const op *o) /* a: quoted */
{
    size_t n;
    const char *s = take_line(k, &n);
    if (!s) return -QS_EFORMAT;
    if (memchr(s, '\\', n)) return qs_fail(k->err, QS_EUNSUP, _("pickle: text with escapes of protocol 0"));
    if (!o->a) return push_text(k, QS_PY_TEXT, s, n);
    if (n < 2 || (*s != '\'' && *s != '"') || s[n - 1] != *s) return damaged(k, _("text without quotes"));
    return push_text(k, QS_PY_TEXT, s + 1, n - 2);
}

/* ---- the stack ----------------------------------------------------------------------------------------- */
static int op_mark(qs_pickle *k, const op *o)
{
    (void)o;
    k->mark = grown(k->mark, k->nmark, &k->cmark, sizeof *k->mark);
    k->mark[k->nmark++] = k->nstack;
    return 0;
}

static int op_pop(qs_pickle *k, const op *o) /* a: all above the mark */
{
    size_t n;
    if (o->a || (k->nmark && k->nstack == floor_of(k))) return take_marked(k, &n) ? 0 : -QS_EFORMAT;
    return pop(k) ? 0 : -QS_EFORMAT;
}

static int op_dup(qs_pickle *k, const op *o)
{
    (void)o;
    qs_py *x = top(k);
    return x ? push(k, x) : -QS_EFORMAT;
}

static int op_stop(qs_pickle *k, const op *o)
{
    (void)o;
    k->stopped = true;
    return k->nmark || k->nstack != 1 ? damaged(k, _("it ends with more or less than one value")) : 0;
}

static int op_skip(qs_pickle *k, const op *o) /* a: bytes: protocol, frame */
{
    return take(k, (uint64_t)o->a) ? 0 : -QS_EFORMAT;
}

static int op_refused(qs_pickle *k, const op *o)
{
    (void)o;
    return qs_fail(k->err, QS_EUNSUP, _("pickle: an opcode that needs a registry or buffers beside the file (0x%02x)"), k->p[k->at - 1]);
}

/* ---- containers --------------------------------------------------------------------------------------------- */
static int op_gather(qs_pickle *k, const op *o) /* a: kind, b: how many; < 0: all above the mark */
{
    size_t n = (size_t)o->b;
    qs_py **from = NULL, *x = make(k, (qs_pickle_kind)o->a);
    if (!x) return -QS_ENOMEM;
    if (o->b < 0) from = take_marked(k, &n);
    else if (k->nstack - floor_of(k) >= n) from = k->stack + (k->nstack -= n);
    else damaged(k, _("an opcode takes more than there is"));
    if (!from) return -QS_EFORMAT;
    if (o->a == QS_PY_DICT && n % 2) return damaged(k, _("a key without a value"));
    for (size_t i = 0; i < n; i++) add_item(x, from[i]);
    return push(k, x);
}

/* A list grows by values, a dict, or what a call made, by keys and values. */
static bool grows(const qs_py *x, bool pairs)
{
    return x->kind == QS_PY_CALL || (pairs ? x->kind == QS_PY_DICT : x->kind == QS_PY_LIST || x->kind == QS_PY_SET);
}

static int op_extend(qs_pickle *k, const op *o) /* a: pairs, b: how many values; < 0: all above the mark */
{
    size_t n = (size_t)o->b;
    qs_py **from = NULL, *x;
    if (o->b < 0) from = take_marked(k, &n);
    else if (k->nstack - floor_of(k) >= n) from = k->stack + (k->nstack -= n);
    else damaged(k, _("an opcode takes more than there is"));
    if (!from || !(x = top(k))) return -QS_EFORMAT;
    if (!grows(x, o->a)) return damaged(k, _("items for a value that has none"));
    if (o->a && n % 2) return damaged(k, _("a key without a value"));
    for (size_t i = 0; i < n && (o->a || x->kind != QS_PY_CALL); i++) add_item(x, from[i]); /* values of a call: a list of some class */
    return 0;
}

/* ---- the memo --------------------------------------------------------------------------------------------------- */
/* Numbers run with the values that are kept; a file cannot ask for a memo larger than itself. */
static int keep(qs_pickle *k, uint64_t i)
{
    qs_py *x = top(k);
    if (!x) return -QS_EFORMAT;
    if (i > k->at) return damaged(k, _("a memo number without cause"));
    while (k->nmemo <= i) {
        k->memo = grown(k->memo, k->nmemo, &k->cmemo, sizeof *k->memo);
        k->memo[k->nmemo++] = NULL;
    }
    k->memo[i] = x;
    return 0;
}

static int fetch(qs_pickle *k, uint64_t i)
{
    return i < k->nmemo && k->memo[i] ? push(k, k->memo[i]) : damaged(k, _("the memo has no such value"));
}

static bool line_number(qs_pickle *k, uint64_t *out)
{
    size_t n;
    const char *s = take_line(k, &n);
    *out = 0;
    if (s && (!n || n > 12)) return !damaged(k, _("a bad number"));
    for (size_t i = 0; s && i < n; i++) {
        if (s[i] < '0' || s[i] > '9') return !damaged(k, _("a bad number"));
        *out = 10 * *out + (uint64_t)(s[i] - '0');
    }
    return s;
}

static int op_put(qs_pickle *k, const op *o) /* a: bytes of the number; 0: the next one; < 0: a line */
{
    uint64_t i = k->nmemo;
    if (o->a < 0 ? !line_number(k, &i) : o->a && !take_number(k, o->a, &i)) return -QS_EFORMAT;
    return keep(k, i);
}

static int op_get(qs_pickle *k, const op *o)
{
    uint64_t i;
    if (o->a < 0 ? !line_number(k, &i) : !take_number(k, o->a, &i)) return -QS_EFORMAT;
    return fetch(k, i);
}

/* ---- names and calls ------------------------------------------------------------------------------------------------ */
static int push_global(qs_pickle *k, const char *module, size_t nmodule, const char *name, size_t nname)
{
    char full[160], shown[160];
    int what = k->allow(module, nmodule, name, nname);
    if (what < 0) {
        snprintf(full, sizeof full, "%.*s.%.*s", (int)(nmodule < 70 ? nmodule : 70), module, (int)(nname < 70 ? nname : 70), name);
        return qs_fail(k->err, QS_EUNSUP, _("it needs the Python object %s, which is none of those that make up tensors; no code of a "
                       "file is run here (torch.save(model.state_dict(), ...) writes files without)"),
                       qs_name_shown(full, shown, sizeof shown));
    }
    qs_py *x = make(k, QS_PY_GLOBAL);
    if (!x) return -QS_ENOMEM;
    x->u.global.module = module;
    x->u.global.name = name;
    x->u.global.nmodule = nmodule;
    x->u.global.nname = nname;
    x->u.global.what = what;
    return push(k, x);
}

static int op_global(qs_pickle *k, const op *o)
{
    (void)o;
    size_t n = 0, m = 0;
    const char *module = take_line(k, &n), *name = module ? take_line(k, &m) : NULL;
    return name ? push_global(k, module, n, name, m) : -QS_EFORMAT;
}

static int op_stack_global(qs_pickle *k, const op *o)
{
    (void)o;
    const qs_py *name = pop(k), *module = name ? pop(k) : NULL;
    if (!module) return -QS_EFORMAT;
    if (name->kind != QS_PY_TEXT || module->kind != QS_PY_TEXT) return damaged(k, _("a name that is no text"));
    return push_global(k, module->u.text.s, module->u.text.n, name->u.text.s, name->u.text.n);
}

static int push_call(qs_pickle *k, qs_py *fn, qs_py *args)
{
    qs_py *x = make(k, QS_PY_CALL);
    if (x) {
        x->u.call.fn = fn;
        x->u.call.args = args;
    }
    return push(k, x);
}

static int op_call(qs_pickle *k, const op *o) /* a: keywords stand above the arguments */
{
    if (o->a && !pop(k)) return -QS_EFORMAT;
    qs_py *args = pop(k), *fn = args ? pop(k) : NULL;
    if (!fn) return -QS_EFORMAT;
    if (args->kind != QS_PY_TUPLE) return damaged(k, _("arguments that are no tuple"));
    return push_call(k, fn, args);
}

static int op_marked_call(qs_pickle *k, const op *o) /* a: the name stands in the file (INST), else first above the mark (OBJ) */
{
    if (o->a && op_global(k, o)) return k->err ? -k->err->code : -QS_EFORMAT;
    qs_py *fn = o->a ? pop(k) : NULL;
    if (op_gather(k, &(op){NULL, QS_PY_TUPLE, -1})) return k->err ? -k->err->code : -QS_EFORMAT;
    qs_py *args = pop(k);
    if (!o->a) {
        if (!args->n) return damaged(k, _("an object without a class"));
        fn = args->item[0];
        memmove(args->item, args->item + 1, --args->n * sizeof *args->item);
    }
    return push_call(k, fn, args);
}

static int op_build(qs_pickle *k, const op *o)
{
    (void)o;
    return pop(k) && top(k) ? 0 : -QS_EFORMAT;
}

static int op_persistent(qs_pickle *k, const op *o) /* a: on the stack */
{
    size_t n;
    const char *s = o->a ? NULL : take_line(k, &n);
    if (!o->a && (!s || push_text(k, QS_PY_TEXT, s, n))) return -QS_EFORMAT;
    qs_py *id = pop(k), *x = id ? make(k, QS_PY_PERSISTENT) : NULL;
    if (!x) return id ? -QS_ENOMEM : -QS_EFORMAT;
    x->u.call.args = id;
    k->persistent = grown(k->persistent, k->npersistent, &k->cpersistent, sizeof *k->persistent);
    k->persistent[k->npersistent++] = x;
    return push(k, x);
}

/* ---- the table -------------------------------------------------------------------------------------------------------- */
static const op ops[256] = {
    [0x80] = {op_skip, 1, 0},                  [0x95] = {op_skip, 8, 0},                [ '.'] = {op_stop, 0, 0},
    [ '('] = {op_mark, 0, 0},                  [ '0'] = {op_pop, 0, 0},                 [ '1'] = {op_pop, 1, 0},
    [ '2'] = {op_dup, 0, 0},                   [ 'N'] = {op_value, QS_PY_NONE, 0},
    [0x88] = {op_value, QS_PY_BOOL, 1},        [0x89] = {op_value, QS_PY_BOOL, 0},
    [ 'I'] = {op_line_int, 'I', 0},            [ 'L'] = {op_line_int, 'L', 0},          [ 'F'] = {op_line_float, 0, 0},
    [ 'J'] = {op_int, 4, 0},                   [ 'K'] = {op_int, 1, 0},                 [ 'M'] = {op_int, 2, 0},
    [0x8a] = {op_long, 1, 0},                  [0x8b] = {op_long, 4, 0},                [ 'G'] = {op_float, 0, 0},
    [ 'S'] = {op_line_text, 1, 0},             [ 'V'] = {op_line_text, 0, 0},
    [ 'T'] = {op_counted, QS_PY_TEXT, 4},      [ 'U'] = {op_counted, QS_PY_TEXT, 1},    [ 'X'] = {op_counted, QS_PY_TEXT, 4},
    [0x8c] = {op_counted, QS_PY_TEXT, 1},      [0x8d] = {op_counted, QS_PY_TEXT, 8},
    [ 'B'] = {op_counted, QS_PY_BYTES, 4},     [ 'C'] = {op_counted, QS_PY_BYTES, 1},   [0x8e] = {op_counted, QS_PY_BYTES, 8},
    [0x96] = {op_counted, QS_PY_BYTES, 8},
    [ ')'] = {op_gather, QS_PY_TUPLE, 0},      [0x85] = {op_gather, QS_PY_TUPLE, 1},    [0x86] = {op_gather, QS_PY_TUPLE, 2},
    [0x87] = {op_gather, QS_PY_TUPLE, 3},      [ 't'] = {op_gather, QS_PY_TUPLE, -1},
    [ ']'] = {op_gather, QS_PY_LIST, 0},       [ 'l'] = {op_gather, QS_PY_LIST, -1},
    [ '}'] = {op_gather, QS_PY_DICT, 0},       [ 'd'] = {op_gather, QS_PY_DICT, -1},
    [0x8f] = {op_gather, QS_PY_SET, 0},        [0x91] = {op_gather, QS_PY_SET, -1},
    [ 'a'] = {op_extend, 0, 1},                [ 'e'] = {op_extend, 0, -1},             [0x90] = {op_extend, 0, -1},
    [ 's'] = {op_extend, 1, 2},                [ 'u'] = {op_extend, 1, -1},
    [ 'p'] = {op_put, -1, 0},                  [ 'q'] = {op_put, 1, 0},                 [ 'r'] = {op_put, 4, 0},
    [0x94] = {op_put, 0, 0},
    [ 'g'] = {op_get, -1, 0},                  [ 'h'] = {op_get, 1, 0},                 [ 'j'] = {op_get, 4, 0},
    [ 'c'] = {op_global, 0, 0},                [0x93] = {op_stack_global, 0, 0},
    [ 'R'] = {op_call, 0, 0},                  [0x81] = {op_call, 0, 0},                [0x92] = {op_call, 1, 0},
    [ 'i'] = {op_marked_call, 1, 0},           [ 'o'] = {op_marked_call, 0, 0},         [ 'b'] = {op_build, 0, 0},
    [ 'P'] = {op_persistent, 0, 0},            [ 'Q'] = {op_persistent, 1, 0},
    [0x82] = {op_refused, 0, 0},               [0x83] = {op_refused, 0, 0},             [0x84] = {op_refused, 0, 0},
    [0x97] = {op_refused, 0, 0},               [0x98] = {op_refused, 0, 0},
};

static int run(qs_pickle *k)
{
    int rc = 0;
    while (!rc && !k->stopped) {
        const unsigned char *code = take(k, 1);
        if (!code) return -QS_EFORMAT;
        if (!ops[*code].run) return qs_fail(k->err, QS_EFORMAT, _("pickle: no opcode is 0x%02x (byte %zu)"), *code, k->at - 1);
        rc = ops[*code].run(k, &ops[*code]);
    }
    return rc;
}

qs_pickle *qs_pickle_read(const unsigned char *p, size_t n, qs_pickle_allow *allow, size_t *used, qs_err *err)
{
    qs_pickle *k = qs_xcalloc(1, sizeof *k);
    k->p = p;
    k->n = n;
    k->allow = allow;
    k->err = err;
    k->stack = grown(NULL, 0, &k->cstack, sizeof *k->stack); /* never NULL: what takes nothing from it takes it from somewhere */
    int rc = run(k);
    *used = k->at;
    if (!rc) return k;
    qs_pickle_free(k);
    return NULL;
}

qs_py *qs_pickle_root(const qs_pickle *k) { return k->stack[0]; }

qs_py *const *qs_pickle_persistent(const qs_pickle *k, size_t *n)
{
    *n = k->npersistent;
    return k->persistent;
}

void qs_pickle_free(qs_pickle *k)
{
    if (!k) return;
    for (block *b = k->blocks, *next; b; b = next) {
        next = b->next;
        for (size_t i = 0; i < BLOCK; i++) free(b->node[i].item);
        free(b);
    }
    free(k->stack);
    free(k->memo);
    free(k->persistent);
    free(k->mark);
    free(k);
}

bool qs_py_is(const qs_py *x, const char *s)
{
    return x && x->kind == QS_PY_TEXT && x->u.text.n == strlen(s) && !memcmp(x->u.text.s, s, x->u.text.n);
}

qs_py *qs_py_get(const qs_py *dict, const char *key)
{
    for (size_t i = dict->n; i > 1; i -= 2)
        if (qs_py_is(dict->item[i - 2], key)) return dict->item[i - 1];
    return NULL;
}
