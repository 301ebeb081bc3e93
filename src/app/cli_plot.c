/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * quantscope plot: a picture of a tensor, of columns or of a sweep's results, as a file or as text. Only hands over
 * what was typed: which kinds there are and what they take is in lua/quantscope/plots.lua.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/app.h"
#include "base/file.h"
#include "base/text.h"

static void gather(const qs_args *a, const char *kind, const char *file, qs_pairs *p)
{
    const struct { const char *key, *value; } texts[] = {
        {"kind", kind}, {"file", file}, {"tensor", a->ntensor ? a->tensor[0] : NULL}, {"format", a->format}, {"init", a->init},
        {"output", a->output}, {"title", a->title}, {"log", a->log}, {"x", a->x}, {"y", a->y},
        {"sweep", a->sweep}, {"by", a->by}, {"metric", a->metric}, {"series", a->series}, {"filter", a->filter},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) qs_pairs_put(p, texts[i].key, texts[i].value);
    qs_pairs_number(p, "points", a->points > 0, (double)a->points);
    qs_pairs_number(p, "channel", a->channel >= 0, (double)a->channel);
    qs_pairs_number(p, "lo", a->lo > 0, a->lo);
    qs_pairs_number(p, "hi", a->hi > 0, a->hi);
    qs_pairs_number(p, "width", a->width > 0, a->width);
    qs_pairs_number(p, "height", a->height > 0, a->height);
    qs_pairs_number(p, "font", a->font > 0, a->font);
}

static int plot(const qs_args *a, const qs_pairs *p)
{
    char *text;
    int code = qs_headless_command(a, "quantscope.plots", p, &text);
    if (text && *text) puts(text);
    free(text);
    return code;
}

int qs_cmd_plot(const qs_args *a)
{
    qs_pairs p = {0};
    if (a->ntensor > 1) return qs_usage(_("plot takes one --tensor"));
    if (a->log && strspn(a->log, "xy") != strlen(a->log)) return qs_usage(_("--log: x, y or xy, not \"%s\""), a->log);
    if (a->db && a->nrest < 2) gather(a, a->nrest ? a->rest[0] : a->metric ? "metric" : "series", a->db, &p);
    else if (a->nrest == 1 && qs_ends_in(a->rest[0], ".csv")) gather(a, "csv", a->rest[0], &p);
    else if (a->nrest == 2) gather(a, a->rest[0], a->rest[1], &p);
    else return qs_usage(_("plot needs a KIND and a FILE: hist, curve or heat of a MODEL, csv of a table, series, metric or grid of a DB"));
    return plot(a, &p);
}
