/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The words of a format: reading them, writing them back, and what they say
 * about sizes. Levels are codebook.c's. The parser walks the text once; each
 * complaint names the character it is about and what could stand there.
 */
#include "quant/format.h"

#include <ctype.h>
#include <locale.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "quant/book.h"

#define LEVELS_MAX 65536
#define FLAGS "narrow, away, flip, scale=f16, scale=e8m0, scale=e4m3"

/* ---- the bases -------------------------------------------------------------------- */
struct family {
    const char *name;
    int lo, hi, also;      /* bits behind the name; 0: none, the number of bits is `fixed` */
    int fixed;
    int gap;               /* what a number of bits outside is: EFORMAT, or EUNSUP where the literature ends */
    const char *bits;      /* which exist, for people */
    qs_book_fn *build;     /* NULL: codebook(...) */
    bool uniform;
};

static const struct family families[] = {
    {"int",      2, 8, 16, 0, QS_EFORMAT, N_("B = 2..8, 16"), qs_book_int,   true},
    {"uint",     1, 8, 16, 0, QS_EFORMAT, N_("B = 1..8, 16"), qs_book_uint,  true},
    {"pot",      2, 8, 0,  0, QS_EUNSUP,  N_("B = 2..8"),     qs_book_pot,   false},
    {"apot",     2, 7, 0,  0, QS_EUNSUP,  N_("B = 2..7"),     qs_book_apot,  false},
    {"uapot",    2, 6, 0,  0, QS_EUNSUP,  N_("B = 2..6"),     qs_book_uapot, false},
    {"nf4",      0, 0, 0,  4, 0, NULL, qs_book_nf4,     false},
    {"fp4",      0, 0, 0,  4, 0, NULL, qs_book_fp4,     false},
    {"fp8e4m3",  0, 0, 0,  8, 0, NULL, qs_book_fp8e4m3, false},
    {"fp8e5m2",  0, 0, 0,  8, 0, NULL, qs_book_fp8e5m2, false},
    {"codebook", 0, 0, 0,  0, 0, NULL, NULL,            false},
};
enum { FAMILIES = sizeof families / sizeof *families, CODEBOOK = FAMILIES - 1 };

/* Block formats by the names they go by elsewhere. */
static const struct { const char *name, *text; } aliases[] = {
    {"q4_0", "int4:flip:scale=f16@group32"},    {"q4_1", "uint4:scale=f16+offset@group32"},
    {"q5_0", "int5:flip:scale=f16@group32"},    {"q5_1", "uint5:scale=f16+offset@group32"},
    {"q8_0", "int8:scale=f16@group32"},         {"mxfp4", "fp4:scale=e8m0@group32"},
    {"nvfp4", "fp4:scale=e4m3@group16"},
};

const qs_doc qs_format_docs[] = {
    {"int4",         N_("signed integers -2^(B-1) .. 2^(B-1)-1, B = 2..8, 16; :narrow leaves out the lowest")},
    {"uint4",        N_("unsigned integers 0 .. 2^B-1, B = 1..8, 16")},
    {"pot4",         N_("powers of two with a sign, largest 1, B = 2..8")},
    {"apot4",        N_("additive powers of two with a sign, largest 1, B = 2..7 (Li et al. 2020)")},
    {"uapot4",       N_("additive powers of two, unsigned, largest 1, B = 2..6")},
    {"nf4",          N_("16 quantiles of the normal distribution, largest 1 (Dettmers et al. 2023)")},
    {"fp4",          N_("4-bit floating point E2M1: 0, .5, 1, 1.5, 2, 3, 4, 6 with a sign")},
    {"fp8e4m3",      N_("8-bit floating point E4M3, largest 448")},
    {"fp8e5m2",      N_("8-bit floating point E5M2, largest finite 57344")},
    {"codebook(-1;0;1)", N_("levels of your own")},
    {"q4_0",         N_("GGUF: int4:flip:scale=f16@group32, 4.5 bits a weight; init ggml rounds as llama.cpp does")},
    {"q4_1",         N_("GGUF: uint4:scale=f16+offset@group32, 5 bits a weight; init ggml")},
    {"q5_0",         N_("GGUF: int5:flip:scale=f16@group32, 5.5 bits a weight; init ggml")},
    {"q5_1",         N_("GGUF: uint5:scale=f16+offset@group32, 6 bits a weight; init ggml")},
    {"q8_0",         N_("GGUF: int8:scale=f16@group32, 8.5 bits a weight; init ggml")},
    {"mxfp4",        N_("OCP: fp4:scale=e8m0@group32, 4.25 bits a weight; init ocp is the standard's rule")},
    {"nvfp4",        N_("NVIDIA: fp4:scale=e4m3@group16 under one float32, 4.5 bits a weight; init minmax is its rule")},
    {":narrow",      N_("flag: integers without the lowest code, symmetric about 0")},
    {":away",        N_("flag: ties go outward instead of to the even level")},
    {":flip",        N_("flag: the step may carry a sign (the codebook mirrored)")},
    {":scale=f16",   N_("flag: the steps of groups (and real offsets) in half precision; without: float32")},
    {":scale=e8m0",  N_("flag: the steps of groups are powers of two, 8 bits each")},
    {":scale=e4m3",  N_("flag: the steps of groups are 8-bit floats times one float32 of the tensor")},
    {"+offset",      N_("a real offset: Q(x) = s c + beta")},
    {"+zp",          N_("an integer zero point: beta = -s z")},
    {"@tensor",      N_("one step for the tensor (the default)")},
    {"@channel",     N_("one step an output channel; @channelN: along axis N")},
    {"@group32",     N_("one step for N consecutive inputs of an output channel")},
    {NULL, NULL},
};

/* ---- reading -------------------------------------------------------------------------- */
struct reader {
    const char *text, *p;
    qs_err *err;
    int code;              /* 0, or what went wrong */
};

/* The text as it may be shown: printable ASCII, cut. */
static const char *shown(const char *s, char *buf, size_t size)
{
    size_t i = 0;
    for (; s[i] && i + 4 < size; i++) buf[i] = isprint((unsigned char)s[i]) ? s[i] : '?';
    snprintf(buf + i, size - i, "%s", s[i] ? "..." : "");
    return buf;
}

__attribute__((format(printf, 3, 4)))
static bool complain(struct reader *r, int code, const char *fmt, ...)
{
    char what[300], text[60];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    r->code = qs_fail(r->err, code, _("format \"%s\", character %zu: %s"), shown(r->text, text, sizeof text),
                      (size_t)(r->p - r->text) + 1, what);
    return false;
}

static bool take(struct reader *r, const char *word)
{
    size_t n = strlen(word);
    if (strncmp(r->p, word, n)) return false;
    r->p += n;
    return true;
}

/* A number without sign or leading zero into *out, at most `max`; false if none starts here or it is too large. */
static bool take_number(struct reader *r, size_t max, size_t *out)
{
    const char *p = r->p;
    size_t v = 0;
    if (!isdigit((unsigned char)*p) || (*p == '0' && isdigit((unsigned char)p[1]))) return false;
    for (; isdigit((unsigned char)*p); p++) {
        v = v * 10 + (size_t)(*p - '0');   /* max is far from the end of size_t, and we leave at once beyond it */
        if (v > max) return false;
    }
    *out = v;
    r->p = p;
    return true;
}

static bool bits_exist(const struct family *w, size_t b)
{
    return (b >= (size_t)w->lo && b <= (size_t)w->hi) || (w->also && b == (size_t)w->also);
}

/* The end of a name: where a flag, an offset, a granularity or nothing follows. */
static size_t word_length(const char *p) { return strcspn(p, ":+@("); }

static bool read_bits(struct reader *r, const struct family *w, qs_format *f)
{
    size_t b = 0, n = strspn(r->p, "0123456789");
    const char *start = r->p;
    if (!n) return complain(r, QS_EFORMAT, _("expected a number of bits after \"%s\" (%s)"), w->name, _(w->bits));
    if (!take_number(r, 99, &b) || !bits_exist(w, b)) {
        r->p = start;
        return complain(r, w->gap, _("%sB exists for %s, not for \"%.*s\""), w->name, _(w->bits), n < 9 ? (int)n : 9,
                        start);
    }
    f->bits = (int)b;
    return true;
}

static const struct family *find_family(const char *p)
{
    size_t n = word_length(p), letters = 0;
    while (letters < n && islower((unsigned char)p[letters])) letters++;
    for (int i = 0; i < FAMILIES; i++) {
        const struct family *w = &families[i];
        size_t want = w->lo ? letters : n;
        if (strlen(w->name) == want && !strncmp(w->name, p, want)) return w;
    }
    return NULL;
}

/* One level of codebook(...); strtod in the C locale, without its hex, nan and inf. */
static bool read_level(struct reader *r, locale_t c_locale, double *out)
{
    size_t n = strspn(r->p, "0123456789.+-eE");
    char *end;
    *out = strtod_l(r->p, &end, c_locale);
    if (!n || end != r->p + n) return complain(r, QS_EFORMAT, _("expected a number"));
    if (!isfinite((float)*out)) return complain(r, QS_EFORMAT, _("a level is beyond float32"));
    r->p = end;
    return true;
}

static bool read_levels(struct reader *r, locale_t c_locale, double **c, size_t *n)
{
    size_t cap = 16;
    *c = qs_xmalloc(cap * sizeof **c);
    for (*n = 0;;) {
        if (*n == LEVELS_MAX) return complain(r, QS_EFORMAT, _("more than %d levels"), LEVELS_MAX);
        if (*n == cap) *c = qs_xrealloc(*c, (cap *= 2) * sizeof **c);
        if (!read_level(r, c_locale, &(*c)[*n])) return false;
        ++*n;
        if (take(r, ")")) return true;
        if (!take(r, ";")) return complain(r, QS_EFORMAT, _("expected \";\" or \")\" after a level"));
    }
}

static int bits_for(size_t levels)
{
    int b = 0;
    while (((size_t)1 << b) < levels) b++;
    return b;
}

static bool read_codebook(struct reader *r, double **c, size_t *n)
{
    if (!take(r, "(")) return complain(r, QS_EFORMAT, _("expected \"(\": codebook(-1;0;1)"));
    locale_t c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (!c_locale) return complain(r, QS_ENOMEM, _("no C locale"));
    bool good = read_levels(r, c_locale, c, n);
    freelocale(c_locale);
    return good;
}

static bool read_base(struct reader *r, qs_format *f, double **c, size_t *n)
{
    const struct family *w = find_family(r->p);
    if (!w)
        return complain(r, QS_EFORMAT, _("expected intB, uintB, potB, apotB, uapotB, nf4, fp4, fp8e4m3, fp8e5m2, "
                                         "codebook(c;c;...), or q4_0, q4_1, q5_0, q5_1, q8_0, mxfp4, nvfp4"));
    r->p += strlen(w->name);
    f->base = w->name;
    f->uniform = w->uniform;
    f->bits = w->fixed;
    if (!w->build) return read_codebook(r, c, n);
    return !w->lo || read_bits(r, w, f);
}

static bool set_flag(struct reader *r, const char *name, bool *flag)
{
    if (*flag) return complain(r, QS_EFORMAT, _("\"%s\" is given twice"), name);
    *flag = true;
    return true;
}

static bool read_scale(struct reader *r, qs_format *f)
{
    if (f->scale) return complain(r, QS_EFORMAT, _("\"%s\" is given twice"), "scale");
    r->p += strlen("scale=");
    size_t n = word_length(r->p);
    for (qs_scale k = QS_SCALE_F16; k < QS_SCALES; k++) {
        const char *name = qs_scale_types[k].name;
        if (strlen(name) != n || strncmp(name, r->p, n)) continue;
        f->scale = k;
        r->p += n;
        return true;
    }
    return complain(r, QS_EFORMAT, _("expected f16, e8m0 or e4m3 after \"scale=\""));
}

/* Scales of blocks: there must be blocks, and only half precision keeps offsets too. */
static bool check_scale(struct reader *r, const qs_format *f)
{
    const char *name = qs_scale_types[f->scale].name;
    if (!f->scale) return true;
    if (f->gran != QS_SPLIT_GROUP)
        return complain(r, QS_EFORMAT, _("scale=%s is for groups: expected @groupN"), name);
    if (f->offset != QS_OFFSET_REAL || f->scale == QS_SCALE_F16) return true;
    return complain(r, QS_EFORMAT, _("scale=%s keeps no offset: expected +zp or none"), name);
}

static bool read_flag(struct reader *r, qs_format *f)
{
    struct { const char *name; bool *flag; } flags[] = {
        {"narrow", &f->narrow}, {"away", &f->away}, {"flip", &f->flip},
    };
    size_t n = word_length(r->p);
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        if (strlen(flags[i].name) != n || strncmp(flags[i].name, r->p, n)) continue;
        if (flags[i].flag == &f->narrow && strcmp(f->base, "int"))
            return complain(r, QS_EFORMAT, _("\"narrow\" is for intB, not for %s"), f->base);
        bool good = set_flag(r, flags[i].name, flags[i].flag);
        r->p += n;
        return good;
    }
    if (!strncmp(r->p, "scale=", 6)) return read_scale(r, f);
    return complain(r, QS_EFORMAT, _("expected a flag: %s"), FLAGS);
}

static bool read_offset(struct reader *r, qs_format *f)
{
    size_t n = word_length(r->p);
    if (n == 6 && take(r, "offset")) f->offset = QS_OFFSET_REAL;
    else if (n == 2 && take(r, "zp")) f->offset = QS_OFFSET_ZP;
    else return complain(r, QS_EFORMAT, _("expected \"offset\" or \"zp\" after \"+\""));
    return true;
}

static bool read_granularity(struct reader *r, qs_format *f)
{
    size_t v = 0;
    if (take(r, "tensor")) return true;
    if (take(r, "channel")) {
        f->gran = QS_SPLIT_CHANNEL;
        f->axis = -1;
        if (!*r->p) return true;
        if (!take_number(r, QS_MAXDIM - 1, &v))
            return complain(r, QS_EFORMAT, _("expected an axis 0..%d after \"channel\", or nothing"), QS_MAXDIM - 1);
        f->axis = (int)v;
        return true;
    }
    if (take(r, "group")) {
        f->gran = QS_SPLIT_GROUP;
        if (!take_number(r, (size_t)1 << 40, &v) || !v)
            return complain(r, QS_EFORMAT, _("expected the size of a group after \"group\": @group32"));
        f->group = v;
        return true;
    }
    return complain(r, QS_EFORMAT, _("expected tensor, channel, channelN or groupN after \"@\""));
}

static bool read_all(struct reader *r, qs_format *f, double **c, size_t *n)
{
    if (!read_base(r, f, c, n)) return false;
    while (take(r, ":"))
        if (!read_flag(r, f)) return false;
    if (take(r, "+") && !read_offset(r, f)) return false;
    if (take(r, "@") && !read_granularity(r, f)) return false;
    if (!*r->p) return check_scale(r, f);
    return complain(r, QS_EFORMAT, f->gran || r->p[-1] == 'r' ? _("expected the end") : f->offset
                    ? _("expected \"@\" or the end") : _("expected \":\", \"+\", \"@\" or the end"));
}

/* Levels, sizes and text, once all words are read. Takes c over. */
static void complete(qs_format *f, double *c, size_t n)
{
    if (!c) {
        for (int i = 0; i < FAMILIES; i++)
            if (f->base == families[i].name) n = families[i].build(f, &c);
    }
    qs_book_finish(f, c, n);
    if (f->base == families[CODEBOOK].name) f->bits = bits_for(f->n);
    if (f->uniform) {
        f->qn = (int)-f->c[0];
        f->qp = (int)f->c[f->n - 1];
    }
    char *full = qs_format_print(f);
    bool cut = strlen(full) >= sizeof f->text;
    snprintf(f->text, sizeof f->text, "%.*s%s", cut ? (int)sizeof f->text - 4 : (int)sizeof f->text - 1, full,
             cut ? "..." : "");
    free(full);
}

/* What a name of a whole format stands for; other texts are themselves. */
static const char *spelled_out(const char *text)
{
    for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++)
        if (!strcmp(text, aliases[i].name)) return aliases[i].text;
    return text;
}

const char *qs_format_name(const char *text)
{
    for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++)
        if (!strcmp(text, aliases[i].text)) return aliases[i].name;
    return text;
}

qs_format *qs_format_parse(const char *text, qs_err *err)
{
    text = spelled_out(text);
    struct reader r = {.text = text, .p = text, .err = err};
    qs_format *f = qs_xcalloc(1, sizeof *f);
    double *c = NULL;
    size_t n = 0;
    f->axis = -1;
    if (!read_all(&r, f, &c, &n)) {
        free(c);
        free(f);
        return NULL;
    }
    complete(f, c, n);
    return f;
}

qs_format *qs_format_codebook(const double *c, size_t n, qs_err *err)
{
    if (n < 1 || n > LEVELS_MAX) {
        qs_fail(err, QS_EARG, _("a codebook has 1 to %d levels, not %zu"), LEVELS_MAX, n);
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        if (isfinite((float)c[i])) continue;
        qs_fail(err, QS_EARG, _("level %zu of the codebook is not a finite float32 number"), i + 1);
        return NULL;
    }
    qs_format *f = qs_xcalloc(1, sizeof *f);
    f->base = families[CODEBOOK].name;
    f->axis = -1;
    double *own = qs_xmalloc(n * sizeof *own);
    memcpy(own, c, n * sizeof *own);
    complete(f, own, n);
    return f;
}

/* ---- copying, writing ---------------------------------------------------------------------- */
static void *duplicate(const void *p, size_t n)
{
    void *q = qs_xmalloc(n);
    memcpy(q, p, n);
    return q;
}

qs_format *qs_format_copy(const qs_format *f)
{
    qs_format *g = duplicate(f, sizeof *f);
    g->c = duplicate(f->c, f->n * sizeof *f->c);
    g->t = duplicate(f->t, f->n * sizeof *f->t);
    g->up = duplicate(f->up, f->n);
    return g;
}

void qs_format_free(qs_format *f)
{
    if (!f) return;
    free(f->c);
    free(f->t);
    free(f->up);
    free(f);
}

/* The shortest decimal that reads back as this float, with a point whatever the locale. */
static void add_level(qs_str *s, float v)
{
    char buf[40] = "", one[40];
    for (int digits = 1; digits <= 9; digits++) {
        snprintf(one, sizeof one, "%.*g", digits, (double)v);
        if (strtof(one, NULL) == v && (!*buf || strlen(one) < strlen(buf))) memcpy(buf, one, sizeof buf);
    }
    for (char *p = buf; *p; p++)
        if (*p == ',') *p = '.';
    qs_str_add(s, buf);
}

static void add_codebook(qs_str *s, const qs_format *f)
{
    qs_str_add(s, "(");
    for (size_t k = 0; k < f->n; k++) {
        if (k) qs_str_add(s, ";");
        add_level(s, f->c[k]);
    }
    qs_str_add(s, ")");
}

static bool has_bits(const qs_format *f)
{
    for (int i = 0; i < FAMILIES; i++)
        if (!strcmp(f->base, families[i].name)) return families[i].lo > 0;
    return false;
}

char *qs_format_print(const qs_format *f)
{
    qs_str s = {0};
    qs_str_add(&s, f->base);
    if (has_bits(f)) qs_str_addf(&s, "%d", f->bits);
    if (!strcmp(f->base, "codebook")) add_codebook(&s, f);
    if (f->narrow) qs_str_add(&s, ":narrow");
    if (f->away) qs_str_add(&s, ":away");
    if (f->flip) qs_str_add(&s, ":flip");
    if (f->scale) qs_str_addf(&s, ":scale=%s", qs_scale_types[f->scale].name);
    if (f->offset == QS_OFFSET_REAL) qs_str_add(&s, "+offset");
    if (f->offset == QS_OFFSET_ZP) qs_str_add(&s, "+zp");
    if (f->gran == QS_SPLIT_GROUP) qs_str_addf(&s, "@group%zu", f->group);
    if (f->gran == QS_SPLIT_CHANNEL) qs_str_add(&s, "@channel");
    if (f->gran == QS_SPLIT_CHANNEL && f->axis >= 0) qs_str_addf(&s, "%d", f->axis);
    return s.s;
}

/* ---- what a format means for a tensor ---------------------------------------------------------- */
int qs_format_split(const qs_format *f, const qs_tensor *t, qs_split *out, qs_err *err)
{
    return qs_split_init(out, t, f->gran, f->axis, f->group, err);
}

double qs_format_bpw(const qs_format *f, const qs_tensor *t)
{
    qs_split s;
    if (!t || !t->n || qs_format_split(f, t, &s, NULL)) return f->bits;
    double scale = qs_scale_types[f->scale].bits;
    double part = scale + (f->offset == QS_OFFSET_REAL ? scale : f->offset == QS_OFFSET_ZP ? f->bits : 0);
    return f->bits + (part * (double)s.parts + (f->scale == QS_SCALE_E4M3 ? 32 : 0)) / (double)t->n;
}

/* One bit more than 8 is 16, one less than 16 is 8: the integers between do not exist. */
static int over_the_gap(const struct family *w, int from, int bits)
{
    if (w->also && from == w->hi && bits == from + 1) return w->also;
    if (w->also && from == w->also && bits == from - 1) return w->hi;
    return bits;
}

qs_format *qs_format_bits(const qs_format *f, int bits, qs_err *err)
{
    for (int i = 0; i < FAMILIES; i++) {
        const struct family *w = &families[i];
        if (strcmp(f->base, w->name) || !w->lo) continue;
        bits = over_the_gap(w, f->bits, bits);
        if (bits < 0 || !bits_exist(w, (size_t)bits)) break;
        qs_format *g = qs_xcalloc(1, sizeof *g);
        *g = *f;
        g->bits = bits;
        complete(g, NULL, 0);
        return g;
    }
    qs_fail(err, QS_ERANGE, _("%s has no form with %d bits"), f->base, bits);
    return NULL;
}

qs_format *qs_format_channel(const qs_format *f, int bits, qs_err *err)
{
    static const double few[2][2] = {{0}, {-1, 1}};
    if (!f->uniform || f->bits > 8) {
        qs_fail(err, QS_EUNSUP, _("%s: bits are allocated between channels of int and uint of up to 8 bits"), f->text);
        return NULL;
    }
    qs_format *g = qs_xcalloc(1, sizeof *g);
    bool own = bits == 0 || (bits == 1 && f->is_signed);
    *g = *f;
    g->bits = bits;
    g->uniform = !own || bits == 0;
    g->qn = g->qp = 0;
    complete(g, own ? duplicate(few[bits], ((size_t)bits + 1) * sizeof **few) : NULL, own ? (size_t)bits + 1 : 0);
    return g;
}
