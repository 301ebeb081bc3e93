/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The wire format of ONNX files, without what it means. protobuf-c copies every byte field, so a model of a gigabyte
 * would be read and copied to be opened; skimmed first, it parses a few kilobytes and the weights stay in the file.
 *
 * Knows tags, lengths and which fields of which message to keep; does not know types or shapes.
 */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "model/onnx.h"

enum wire { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };

/* What to do with a field. KEEP: any wire type. CHILD: a message. SPAN: bytes become a Span, single values are kept.
 * DROP: known, not needed (listed for the sake of recognizing files). */
enum action { NONE, DROP, KEEP, CHILD, SPAN };

#define FIELDS 26
static const struct rule { unsigned char action, child; } rules[QS_ONNX_MESSAGES][FIELDS] = {
    [QS_ONNX_MODEL] = {
        [1] = {DROP, 0}, [2] = {DROP, 0}, [3] = {DROP, 0}, [4] = {DROP, 0}, [5] = {DROP, 0}, [6] = {DROP, 0},
        [7] = {CHILD, QS_ONNX_GRAPH}, [8] = {DROP, 0}, [14] = {DROP, 0}, [20] = {DROP, 0}, [25] = {CHILD, QS_ONNX_FUNCTION},
    },
    [QS_ONNX_GRAPH] = {[1] = {CHILD, QS_ONNX_NODE}, [5] = {CHILD, QS_ONNX_TENSOR}, [15] = {CHILD, QS_ONNX_SPARSE}},
    [QS_ONNX_NODE] = {[1] = {KEEP, 0}, [2] = {KEEP, 0}, [3] = {KEEP, 0}, [4] = {KEEP, 0}, [5] = {CHILD, QS_ONNX_ATTRIBUTE}},
    [QS_ONNX_ATTRIBUTE] = {
        [1] = {KEEP, 0}, [2] = {KEEP, 0}, [3] = {KEEP, 0}, [5] = {CHILD, QS_ONNX_TENSOR}, [6] = {CHILD, QS_ONNX_GRAPH},
        [7] = {KEEP, 0}, [8] = {KEEP, 0}, [11] = {CHILD, QS_ONNX_GRAPH}, [22] = {CHILD, QS_ONNX_SPARSE},
    },
    [QS_ONNX_TENSOR] = {
        [1] = {KEEP, 0}, [2] = {KEEP, 0}, [4] = {SPAN, 0}, [5] = {KEEP, 0}, [6] = {DROP, 0}, [7] = {KEEP, 0},
        [8] = {KEEP, 0}, [9] = {SPAN, 0}, [10] = {SPAN, 0}, [11] = {KEEP, 0}, [12] = {DROP, 0}, [13] = {CHILD, QS_ONNX_ENTRY},
        [14] = {KEEP, 0},
    },
    [QS_ONNX_SPARSE] = {[1] = {CHILD, QS_ONNX_TENSOR}, [3] = {KEEP, 0}},
    [QS_ONNX_ENTRY] = {[1] = {KEEP, 0}, [2] = {KEEP, 0}},
    [QS_ONNX_FUNCTION] = {[1] = {KEEP, 0}, [7] = {CHILD, QS_ONNX_NODE}},
};

/* ---- fields ------------------------------------------------------------------------- */
typedef struct field {
    uint64_t number;
    unsigned wire;
    uint64_t value;              /* VARINT: the value */
    const unsigned char *tag;    /* where the field begins */
    const unsigned char *data;   /* BYTES: what it holds */
    uint64_t length;             /* BYTES */
} field;

static bool read_varint(const unsigned char **p, const unsigned char *end, uint64_t *out)
{
    *out = 0;
    for (unsigned shift = 0; *p < end && shift < 64; shift += 7) {
        unsigned char c = *(*p)++;
        *out |= (uint64_t)(c & 0x7f) << shift;
        if (c < 0x80) return true;
    }
    return false;
}

/* One field; *p goes behind it, for BYTES only behind the length. false: no field of this wire format. */
static bool read_field(const unsigned char **p, const unsigned char *end, field *f)
{
    uint64_t key;
    *f = (field){.tag = *p};
    if (!read_varint(p, end, &key)) return false;
    f->number = key >> 3;
    f->wire = (unsigned)(key & 7);
    if (!f->number || f->number > 0x1fffffff) return false;
    size_t fixed = f->wire == FIXED64 ? 8 : f->wire == FIXED32 ? 4 : 0;
    if (f->wire == VARINT) return read_varint(p, end, &f->value);
    if (f->wire == BYTES) {
        if (!read_varint(p, end, &f->length)) return false;
        f->data = *p;
        return true;
    }
    if (!fixed || (size_t)(end - *p) < fixed) return false; /* groups are long gone from the format */
    *p += fixed;
    return true;
}

static const struct rule *rule_of(qs_onnx_message kind, const field *f)
{
    static const struct rule none = {NONE, 0};
    return f->number < FIELDS ? &rules[kind][f->number] : &none;
}

/* ---- writing the slim message ---------------------------------------------------------- */
static void put_varint(qs_str *out, uint64_t x)
{
    char c[10];
    size_t n = 0;
    for (; x >= 0x80; x >>= 7) c[n++] = (char)(x | 0x80);
    c[n++] = (char)x;
    qs_str_addn(out, c, n);
}

static void put_bytes(qs_str *out, uint64_t number, const qs_str *body)
{
    put_varint(out, number << 3 | BYTES);
    put_varint(out, body->n);
    if (body->n) qs_str_addn(out, body->s, body->n);
}

static void put_span(qs_str *out, const qs_blob *b, const field *f)
{
    qs_str span = {0};
    const uint64_t values[] = {f->number, (uint64_t)(f->data - b->data), f->length};
    for (unsigned i = 0; i < 3; i++) {
        put_varint(&span, (i + 1) << 3 | VARINT);
        put_varint(&span, values[i]);
    }
    put_bytes(out, 1000, &span);
    free(span.s);
}

/* ---- the skim ----------------------------------------------------------------------------- */
#define DEPTH_MAX 64 /* messages within messages; one sub-graph is three */

static int fail_wire(const qs_blob *b, const field *f, const char *what, qs_err *err)
{
    return qs_fail(err, QS_EFORMAT, _("byte %zu: %s"), (size_t)(f->tag - b->data), what);
}

static int skim(const qs_blob *b, qs_onnx_message kind, const unsigned char *p, const unsigned char *end, int depth,
                qs_str *out, qs_err *err)
{
    field f;
    while (p < end) {
        if (!read_field(&p, end, &f)) return fail_wire(b, &f, _("not a protobuf field: damaged or cut short"), err);
        const struct rule *r = rule_of(kind, &f);
        if (f.wire == BYTES) {
            if (f.length > (uint64_t)(end - p)) return fail_wire(b, &f, _("a field longer than what holds it: cut short?"), err);
            p += f.length;
        }
        if (r->action == SPAN && f.wire == BYTES) {
            if (f.length) put_span(out, b, &f);
        } else if (r->action == KEEP || r->action == SPAN) qs_str_addn(out, (const char *)f.tag, (size_t)(p - f.tag));
        if (r->action != CHILD) continue;
        if (f.wire != BYTES) return fail_wire(b, &f, _("a field of the wrong kind"), err);
        if (depth == DEPTH_MAX) return fail_wire(b, &f, _("graphs nested deeper than any model"), err);
        qs_str body = {0};
        int rc = skim(b, (qs_onnx_message)r->child, f.data, p, depth + 1, &body, err);
        if (!rc) put_bytes(out, f.number, &body);
        free(body.s);
        if (rc) return rc;
    }
    return 0;
}

int qs_onnx_skim(const qs_blob *b, qs_onnx_message kind, qs_str *out, qs_err *err)
{
    return skim(b, kind, b->data, b->data + b->size, 0, out, err);
}

/* ---- recognizing ----------------------------------------------------------------------------- */
/* The wire types a field may have: a tensor's numbers come packed (BYTES) or one by one. The lengths of its axes
 * could too, but no writer does that, and a sequence of tensors would then look like a tensor. */
static bool wire_fits(qs_onnx_message kind, const field *f)
{
    static const unsigned char model[FIELDS] = {[1] = 1 << VARINT, [5] = 1 << VARINT};
    static const unsigned char tensor[FIELDS] = {
        [1] = 1 << VARINT, [2] = 1 << VARINT, [4] = 1 << FIXED32 | 1 << BYTES, [5] = 1 << VARINT | 1 << BYTES,
        [7] = 1 << VARINT | 1 << BYTES, [10] = 1 << FIXED64 | 1 << BYTES, [11] = 1 << VARINT | 1 << BYTES, [14] = 1 << VARINT,
    };
    unsigned allowed = kind == QS_ONNX_TENSOR ? tensor[f->number] : model[f->number];
    return (allowed ? allowed : 1u << BYTES) >> f->wire & 1;
}

bool qs_onnx_looks_like(qs_onnx_message kind, const unsigned char *head, size_t n, size_t size)
{
    const unsigned char *p = head, *end = head + n;
    bool sure = false;
    field f;
    while (p < end) {
        if (!read_field(&p, end, &f)) return sure && n < size;
        if (rule_of(kind, &f)->action == NONE || !wire_fits(kind, &f)) return false;
        sure |= kind == QS_ONNX_MODEL ? f.number == 7 || f.number == 8 : f.number == 2 && f.value >= 1 && f.value <= 64;
        if (f.wire == BYTES && f.length > (uint64_t)(end - p)) return sure;
        if (f.wire == BYTES) p += f.length;
    }
    return sure;
}
