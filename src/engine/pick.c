/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A pick written as the Lua call that does the same. Numbers are written with as
 * few digits as read back the same, strings with Lua's escapes; the result does
 * not depend on the locale.
 */
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "engine/snapshot.h"

/* In the order they are written. */
static const struct field {
    unsigned bit;
    const char *name;
    enum { TEXT, NUMBER, INTEGER } kind;
    size_t at;
} fields[] = {
    {QS_PICK_MODEL, "model", TEXT, offsetof(qs_pick, model)},
    {QS_PICK_TENSOR, "tensor", TEXT, offsetof(qs_pick, tensor)},
    {QS_PICK_FORMAT, "format", TEXT, offsetof(qs_pick, format)},
    {QS_PICK_INIT, "init", TEXT, offsetof(qs_pick, init)},
    {QS_PICK_LEARN, "learn", TEXT, offsetof(qs_pick, learn)},
    {QS_PICK_STEP, "step", NUMBER, offsetof(qs_pick, step)},
    {QS_PICK_OFFSET, "offset", NUMBER, offsetof(qs_pick, offset)},
    {QS_PICK_CHANNEL, "channel", INTEGER, offsetof(qs_pick, channel)},
    {QS_PICK_VIEW, "view", TEXT, offsetof(qs_pick, view)},
    {QS_PICK_RUN, "run", INTEGER, offsetof(qs_pick, run)},
    {QS_PICK_SITE, "site", TEXT, offsetof(qs_pick, site)},
    {QS_PICK_SEEK, "seek", NUMBER, offsetof(qs_pick, seek)},
    {QS_PICK_RESULTS, "results", TEXT, offsetof(qs_pick, results.file)},
    {QS_PICK_SWEEP, "sweep", TEXT, offsetof(qs_pick, results.sweep)},
    {QS_PICK_BY, "by", TEXT, offsetof(qs_pick, results.by)},
    {QS_PICK_METRIC, "metric", TEXT, offsetof(qs_pick, results.metric)},
    {QS_PICK_BASELINE, "baseline", TEXT, offsetof(qs_pick, results.baseline)},
    {QS_PICK_GROUP, "group", TEXT, offsetof(qs_pick, results.group)},
};

static void add_text(qs_str *b, const char *s)
{
    qs_str_add(b, "\"");
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\') qs_str_addf(b, "\\%c", c);
        else if (c < 32 || c == 127) qs_str_addf(b, "\\%03u", c);
        else qs_str_addn(b, s, 1);
    }
    qs_str_add(b, "\"");
}

static void add_number(qs_str *b, double v)
{
    char buf[40];
    if (!isfinite(v)) {
        qs_str_add(b, isnan(v) ? "0/0" : v > 0 ? "math.huge" : "-math.huge");
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(buf, sizeof buf, "%.*g", digits, v);
        if (strtod(buf, NULL) == v) break;
    }
    char *comma = buf + strspn(buf, "-0123456789");   /* the locale's decimal point, one byte or more */
    size_t odd = strcspn(comma, "0123456789e");
    if (odd) {
        memmove(comma + 1, comma + odd, strlen(comma + odd) + 1);
        *comma = '.';
    }
    qs_str_add(b, buf);
}

static void add_field(qs_str *b, const qs_pick *p, const struct field *f)
{
    const char *at = (const char *)p + f->at;
    qs_str_addf(b, "%s=", f->name);
    if (f->kind == TEXT) add_text(b, at);
    else if (f->kind == NUMBER) add_number(b, *(const double *)(const void *)at);
    else qs_str_addf(b, "%ld", *(const long *)(const void *)at);
}

char *qs_pick_text(const qs_pick *p)
{
    if (p->set & QS_PICK_UNDO) return qs_xstrdup("qs.undo()");
    if (p->set & QS_PICK_PIN) return qs_xstrdup("qs.pin()");
    qs_str b = {0};
    if (p->set & QS_PICK_EXPORT) {
        qs_str_add(&b, "qs.export(");
        add_text(&b, p->export.what);
        qs_str_add(&b, ", ");
        add_text(&b, p->export.path);
        qs_str_add(&b, p->export.overwrite ? ", {overwrite=true})" : ")");
        return b.s;
    }
    const char *between = "";
    qs_str_add(&b, "qs.select{");
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (p->set & fields[i].bit) {
            qs_str_add(&b, between);
            add_field(&b, p, &fields[i]);
            between = ", ";
        }
    qs_str_add(&b, "}");
    return b.s;
}
