/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "model/json.h"

#include <string.h>

#include "base/mem.h"
#include "base/text.h"

static bool too_many_values(const unsigned char *p, size_t n)
{
    size_t commas = 0;
    for (const unsigned char *end = p + n; n > QS_JSON_COMMAS && p < end && (p = memchr(p, ',', (size_t)(end - p))); p++) commas++;
    return commas > QS_JSON_COMMAS;
}

json_t *qs_json_object(const char *what, const unsigned char *p, size_t n, qs_err *err)
{
    json_error_t je;
    char buf[sizeof je.text + 8];
    json_t *root = NULL;
    if (n > QS_JSON_MAX)
        qs_fail(err, QS_EFORMAT, _("%s: %zu bytes of JSON: at most %u MB are read"), what, n, QS_JSON_MAX / 1000000);
    else if (too_many_values(p, n))
        qs_fail(err, QS_EFORMAT, _("%s: more than %u values"), what, QS_JSON_COMMAS);
    else if (!(root = json_loadb((const char *)p, n, JSON_REJECT_DUPLICATES, &je)))
        qs_fail(err, QS_EFORMAT, _("%s: %s (byte %d)"), what, qs_name_shown(je.text, buf, sizeof buf), je.position);
    else if (!json_is_object(root)) {
        qs_fail(err, QS_EFORMAT, _("%s: not a JSON object"), what);
        json_decref(root);
        root = NULL;
    }
    return root;
}

/* ---- walking ---------------------------------------------------------------------------- */
int qs_json_begin(qs_json_walk *w, const char *what, const unsigned char *p, size_t n, qs_err *err)
{
    *w = (qs_json_walk){.what = what, .p = p, .n = n, .strings = qs_big_alloc(n + 1)};
    return w->strings ? 0 : qs_fail(err, QS_ENOMEM, _("%s: no memory for %zu bytes of JSON"), what, n);
}

void qs_json_end(qs_json_walk *w) { qs_big_free(w->strings); }

static int fail_at(const qs_json_walk *w, const char *why, qs_err *err)
{
    return qs_fail(err, QS_EFORMAT, _("%s: %s (byte %zu)"), w->what, why, w->at);
}

unsigned char qs_json_peek(qs_json_walk *w)
{
    while (w->at < w->n && (w->p[w->at] == ' ' || w->p[w->at] == '\n' || w->p[w->at] == '\t' || w->p[w->at] == '\r')) w->at++;
    return w->at < w->n ? w->p[w->at] : 0;
}

bool qs_json_take(qs_json_walk *w, char c)
{
    bool there = qs_json_peek(w) == (unsigned char)c;
    w->at += there;
    return there;
}

int qs_json_more(qs_json_walk *w, char close, size_t i, qs_err *err)
{
    if (qs_json_take(w, close)) return 0;
    if (!i || qs_json_take(w, ',')) return 1;
    return fail_at(w, close == '}' ? _("',' or '}' must come here") : _("',' or ']' must come here"), err);
}

/* Bytes up to the quote that ends a string; *plain: they are what they say. The length of the text, if there is none. */
static size_t string_length(const unsigned char *p, size_t n, bool *plain)
{
    size_t i = 0;
    for (*plain = true; i < n && p[i] != '"'; i++)
        if (p[i] < ' ' || p[i] > '~' || p[i] == '\\') {
            *plain = false;
            i += p[i] == '\\';
        }
    return i;
}

/* A string with its quotes that is not plain: whoever knows all of JSON decodes it. */
static int decode(const qs_json_walk *w, size_t bytes, char *out, qs_err *err)
{
    json_error_t je;
    char buf[sizeof je.text + 8];
    json_t *s = json_loadb((const char *)w->p + w->at, bytes, JSON_DECODE_ANY, &je);
    if (!s) return fail_at(w, qs_name_shown(je.text, buf, sizeof buf), err);
    memcpy(out, json_string_value(s), json_string_length(s) + 1);
    json_decref(s);
    return 0;
}

const char *qs_json_string(qs_json_walk *w, qs_err *err)
{
    bool plain;
    char *out = w->strings + w->used;
    if (qs_json_peek(w) != '"') {
        fail_at(w, _("a string must come here"), err);
        return NULL;
    }
    const unsigned char *p = w->p + w->at + 1;
    size_t left = w->n - w->at - 1, n = string_length(p, left, &plain);
    if (n >= left) {
        fail_at(w, _("a string without an end"), err);
        return NULL;
    }
    if (plain) memcpy(out, p, n);
    if (plain) out[n] = '\0';
    else if (decode(w, n + 2, out, err)) return NULL;
    w->used += n + 1;
    w->at += n + 2;
    return out;
}

const char *qs_json_key(qs_json_walk *w, qs_err *err)
{
    const char *key = qs_json_string(w, err);
    if (!key || qs_json_take(w, ':')) return key;
    fail_at(w, _("':' must come here"), err);
    return NULL;
}

static bool digit(const qs_json_walk *w, size_t at) { return at < w->n && w->p[at] >= '0' && w->p[at] <= '9'; }

int qs_json_whole(qs_json_walk *w, int64_t *out, qs_err *err)
{
    qs_json_peek(w);
    size_t at = w->at;
    int64_t x = 0;
    bool fits = true;
    for (; digit(w, at); at++) fits = fits && !__builtin_mul_overflow(x, 10, &x) && !__builtin_add_overflow(x, w->p[at] - '0', &x);
    bool zeros = at > w->at + 1 && w->p[w->at] == '0', real = at < w->n && strchr(".eE", w->p[at]);
    if (at == w->at || zeros || real) return 0;
    if (!fits) return fail_at(w, _("a number beyond 63 bits"), err);
    w->at = at;
    *out = x;
    return 1;
}

int qs_json_over(qs_json_walk *w, qs_err *err)
{
    qs_json_peek(w);
    return w->at == w->n ? 0 : fail_at(w, _("the end must come here"), err);
}
