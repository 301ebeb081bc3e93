/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * quantscope race: runs from several initializations, as a table, JSON or CSV. Who runs, and how, is in
 * lua/quantscope/races.lua; here are the columns.
 */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/app.h"
#include "app/out.h"
#include "base/mem.h"
#include "base/text.h"

/* Of a row, then what all rows share. */
enum { INIT, BEFORE, TENTH, THIRD, AFTER, LOSS, INIT_SECONDS, START_STEPS, SECONDS, STATE, STEPS, RAW, REASON, ERROR, CODE, NAME, OF_ROWS,
       NET = OF_ROWS, SET, SLICE, BITS, LEARN, SEED, FLOAT, COLS };

static const qs_out_col columns[COLS] = {
    [INIT] = {"init", N_("init"), QS_COL_ALL, -12, NULL},
    [BEFORE] = {"before", N_("before"), QS_COL_ALL, 6, "%.2f"},
    [TENTH] = {"tenth", NULL, QS_COL_ALL, 6, "%.2f"},       /* their heads are the steps */
    [THIRD] = {"third", NULL, QS_COL_ALL, 6, "%.2f"},
    [AFTER] = {"after", N_("after"), QS_COL_ALL, 6, "%.2f"},
    [LOSS] = {"loss", N_("loss"), QS_COL_DATA, 0, "%.4f"},
    [INIT_SECONDS] = {"init_seconds", N_("start s"), QS_COL_ALL, 7, "%.2f"},
    [START_STEPS] = {"start_steps", N_("=steps"), QS_COL_ALL, 6, "%.0f"},
    [SECONDS] = {"seconds", N_("train s"), QS_COL_ALL, 7, "%.2f"},
    [STATE] = {"state", N_("state"), QS_COL_ALL, 0, NULL},
    [STEPS] = {"steps", NULL, QS_COL_DATA, 0, NULL},
    [RAW] = {"accuracy_raw", NULL, QS_COL_DATA, 0, "%.4f"},
    [REASON] = {"reason", NULL, QS_COL_DATA | QS_COL_OPTIONAL, 0, NULL},
    [ERROR] = {"error", NULL, QS_COL_DATA | QS_COL_OPTIONAL, 0, NULL},
    [CODE] = {"code", NULL, QS_COL_DATA | QS_COL_OPTIONAL, 0, NULL},
    [NAME] = {"name", NULL, QS_COL_DATA, 0, NULL},
    [NET] = {"net", NULL, QS_COL_DATA, 0, NULL},
    [SET] = {"set", NULL, QS_COL_DATA, 0, NULL},
    [SLICE] = {"slice", NULL, QS_COL_DATA, 0, NULL},
    [BITS] = {"bits", NULL, QS_COL_DATA, 0, NULL},
    [LEARN] = {"learn", NULL, QS_COL_DATA, 0, NULL},
    [SEED] = {"seed", NULL, QS_COL_DATA, 0, NULL},
    [FLOAT] = {"float", NULL, QS_COL_DATA, 0, "%.4f"},
};

typedef struct tally { size_t rows, started, diverged; } tally;

/* ---- what Lua returned ------------------------------------------------------------------------------- */
static const char *text(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

static double number(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);
    return json_is_number(v) ? json_number_value(v) : (double)NAN;
}

/* A column with a format is of real numbers, whole ones too. */
static qs_out_val value(const json_t *v, const qs_out_col *c)
{
    if (json_is_string(v)) return qs_out_text(json_string_value(v));
    if (json_is_boolean(v)) return qs_out_bool(json_is_true(v));
    if (json_is_integer(v) && !c->fmt) return qs_out_count((int64_t)json_integer_value(v));
    if (json_is_number(v)) return qs_out_real(json_number_value(v));
    return (qs_out_val){0};
}

static tally count(const json_t *rows)
{
    tally t = {.rows = json_array_size(rows)};
    for (size_t i = 0; i < t.rows; i++) {
        const char *state = text(json_array_get(rows, i), "state");
        t.started += *state != '\0';
        t.diverged += !strcmp(state, "diverged");
    }
    return t;
}

/* ---- printing ------------------------------------------------------------------------------------------- */
/* The columns of this race: those of its milestones are headed by their steps, or stay out of the table. */
static void make_columns(const json_t *about, qs_out_col *out, char head[2][16])
{
    const json_t *at = json_object_get(about, "at");
    memcpy(out, columns, sizeof columns);
    for (int i = 0; i < 2; i++) {
        const json_t *step = json_array_get(at, (size_t)i);
        snprintf(head[i], sizeof head[i], "@%.0f", json_number_value(step));
        if (step) out[TENTH + i].head = head[i];
        else out[TENTH + i].where = QS_COL_DATA;
    }
}

/* Cut at blanks into lines of 80. */
static void print_wrapped(const qs_out *o, const char *s)
{
    enum { WIDTH = 80 };
    while (strlen(s) > WIDTH) {
        int n = WIDTH;
        while (n > 0 && s[n] != ' ') n--;
        if (!n) break;
        qs_out_title(o, "%.*s", n, s);
        s += n + 1;
    }
    qs_out_title(o, "%s", s);
}

static void print_title(const qs_out *o, const json_t *about)
{
    if (json_is_true(json_object_get(about, "recorded"))) return;      /* it was said before it was played */
    qs_out_title(o, _("%s on %s: %.0f steps of %.0f images, seed %.0f, learn %s"), text(about, "net"), text(about, "set"),
                 number(about, "steps"), number(about, "batch"), number(about, "seed"), text(about, "learn"));
    qs_out_title(o, _("%.0f-bit weights and activations (first and last layer: 8); float net: %.2f %%"),
                 number(about, "bits"), 100 * number(about, "float"));
    qs_out_title(o, "%s", "");
}

static void print_notes(const qs_out *o, const json_t *about)
{
    double n = number(about, "images"), p = number(json_array_get(json_object_get(about, "rows"), 0), "after");
    qs_out_title(o, "%s", "");
    qs_out_title(o, _("before, @N, after: validation accuracy in %%: initialized, at step N, at the end;"));
    if (isfinite(p)) qs_out_title(o, _("%.0f images: a standard error of %.1f."), n, 100 * sqrt(p * (1 - p) / n));
    qs_out_title(o, _("start s, train s: seconds for the start and the steps; =steps: start s in steps."));
    print_wrapped(o, text(about, "data"));
}

static bool print_row(qs_out *o, const json_t *about, const json_t *row)
{
    qs_out_val v[COLS];
    for (int i = 0; i < COLS; i++) v[i] = value(json_object_get(i < OF_ROWS ? row : about, columns[i].key), &columns[i]);
    if (o->kind == QS_OUT_TABLE) {
        for (int i = BEFORE; i <= AFTER; i++)
            if (v[i].type == QS_OUT_REAL) v[i].d *= 100;
        if (v[STATE].type == QS_OUT_NONE) v[STATE] = qs_out_text(_("refused"));
    }
    return qs_out_row(o, v);
}

/* On stderr, whatever the kind of output: who did not come in, and why. */
static void say_why(const json_t *row)
{
    const char *why = text(row, *text(row, "error") ? "error" : "reason");
    if (*why) qs_say("%s: %s", text(row, "init"), why);
}

static int print(const qs_args *a, const json_t *about)
{
    qs_out o;
    const json_t *rows = json_object_get(about, "rows");
    tally t = count(rows);
    qs_out_col cols[COLS];
    char heads[2][16];
    make_columns(about, cols, heads);
    qs_out_begin(&o, a->json ? QS_OUT_JSON : a->csv ? QS_OUT_CSV : QS_OUT_TABLE, cols, COLS);
    print_title(&o, about);
    qs_out_head(&o);
    bool more = true;
    for (size_t i = 0; i < t.rows && more; i++) more = print_row(&o, about, json_array_get(rows, i));
    if (more) print_notes(&o, about);
    int code = qs_out_end(&o);
    for (size_t i = 0; i < t.rows; i++) say_why(json_array_get(rows, i));
    return code ? code : t.diverged == t.started ? QS_EXIT_DIVERGED : 0;
}

static void gather(const qs_args *a, qs_pairs *p)
{
    qs_pairs_put(p, "net", a->net);
    qs_pairs_put(p, "init", a->init);
    qs_pairs_put(p, "learn", a->learn);
    qs_pairs_put(p, "slice", a->slice ? "" : NULL);
    qs_pairs_put(p, "record", a->record);
    qs_pairs_put(p, "play", a->play);
    qs_pairs_put(p, "lines", a->json || a->csv ? NULL : "");
    qs_pairs_put(p, "speed", a->speed);
    qs_pairs_number(p, "bits", a->bits > 0, (double)a->bits);
    qs_pairs_number(p, "steps", a->steps > 0, (double)a->steps);
    qs_pairs_number(p, "seed", a->seed > 0, (double)a->seed);
}

int qs_cmd_race(const qs_args *a)
{
    qs_pairs p = {0};
    char *json;
    if (a->nrest) return qs_usage(_("race takes no \"%s\"; a net is named by --net"), a->rest[0]);
    if (a->speed && !a->play) return qs_usage(_("race: --speed is of a race that is played (--play)"));
    if (a->play && (a->record || a->net || a->init || a->learn || a->slice || a->bits > 0 || a->steps > 0 || a->seed > 0))
        return qs_usage(_("race: a recorded race is as it is: --play takes only --speed, --json and --csv"));
    gather(a, &p);
    int code = qs_headless_command(a, "quantscope.races", &p, &json);
    if (code) return code;
    json_error_t e;
    json_t *about = json_loads(json, 0, &e);
    free(json);
    if (!about) {
        qs_say("race: %s", e.text);
        return QS_EXIT_FAIL;
    }
    code = print(a, about);
    json_decref(about);
    return code;
}
