/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * quantscope plot: a picture of a tensor, of columns or of a sweep's results, as a file or as text. Only hands over what was typed: which kinds
 * there are and what they take is in lua/quantscope/plots.lua.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/app.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "bind/repl.h"

enum { PAIRS = 32 };

typedef struct pairs { const char *v[2 * PAIRS + 1]; size_t n; char number[8][40]; size_t nnumber; } pairs;

static void put(pairs *p, const char *key, const char *value)
{
    if (!value) return;
    p->v[p->n++] = key;
    p->v[p->n++] = value;
}

static void put_number(pairs *p, const char *key, bool given, double v)
{
    if (!given) return;
    char *b = p->number[p->nnumber++];
    snprintf(b, sizeof p->number[0], "%.17g", v);
    put(p, key, b);
}

static void gather(const qs_args *a, const char *kind, const char *file, pairs *p)
{
    const struct { const char *key, *value; } texts[] = {
        {"kind", kind}, {"file", file}, {"tensor", a->ntensor ? a->tensor[0] : NULL}, {"format", a->format}, {"init", a->init},
        {"output", a->output}, {"title", a->title}, {"log", a->log}, {"x", a->x}, {"y", a->y},
        {"sweep", a->sweep}, {"by", a->by}, {"metric", a->metric}, {"series", a->series}, {"filter", a->filter},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) put(p, texts[i].key, texts[i].value);
    put_number(p, "points", a->points > 0, (double)a->points);
    put_number(p, "channel", a->channel >= 0, (double)a->channel);
    put_number(p, "lo", a->lo > 0, a->lo);
    put_number(p, "hi", a->hi > 0, a->hi);
    put_number(p, "width", a->width > 0, a->width);
    put_number(p, "height", a->height > 0, a->height);
    put_number(p, "font", a->font > 0, a->font);
}

static int plot(const qs_args *a, const pairs *p)
{
    qs_headless h;
    qs_err err = {0};
    char *text = NULL;
    int code = qs_headless_open(&h);
    if (!code) code = qs_headless_lua(&h, !a->no_config);
    if (!code && qs_repl_call(h.repl, "quantscope.plots", "command", p->v, &text, &err)) code = qs_say_err(&err);
    qs_progress_clear();
    if (text && *text) puts(text);
    free(text);
    qs_headless_close(&h);
    return code;
}

int qs_cmd_plot(const qs_args *a)
{
    pairs p = {0};
    if (a->ntensor > 1) return qs_usage(_("plot takes one --tensor"));
    if (a->log && strspn(a->log, "xy") != strlen(a->log)) return qs_usage(_("--log: x, y or xy, not \"%s\""), a->log);
    if (a->db && a->nrest < 2) gather(a, a->nrest ? a->rest[0] : a->metric ? "metric" : "series", a->db, &p);
    else if (a->nrest == 1 && qs_ends_in(a->rest[0], ".csv")) gather(a, "csv", a->rest[0], &p);
    else if (a->nrest == 2) gather(a, a->rest[0], a->rest[1], &p);
    else return qs_usage(_("plot needs a KIND and a FILE: hist, curve or heat of a MODEL, csv of a table, series, metric or grid of a DB"));
    return plot(a, &p);
}
