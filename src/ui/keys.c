/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Keys: their names, the bytes behind them, and the table of those that mean the same everywhere. */
#include "ui/keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "ui/screen.h"

/* ---- names ------------------------------------------------------------------------------ */

static const struct { const char *name; int key; const char *bytes; } names[] = {
    {"Up", QS_K_UP, "\033[A"},       {"Down", QS_K_DOWN, "\033[B"},     {"Right", QS_K_RIGHT, "\033[C"},
    {"Left", QS_K_LEFT, "\033[D"},   {"Home", QS_K_HOME, "\033[H"},     {"End", QS_K_END, "\033[F"},
    {"PgUp", QS_K_PGUP, "\033[5~"},  {"PgDn", QS_K_PGDN, "\033[6~"},    {"Tab", QS_K_TAB, "\t"},
    {"Enter", QS_K_ENTER, "\r"},     {"Esc", QS_K_ESC, "\033"},         {"Escape", QS_K_ESC, "\033"},
    {"Space", ' ', " "},             {"Backspace", QS_K_BACKSPACE, "\177"}, {"Delete", QS_K_DELETE, "\033[3~"},
    {"BackTab", QS_K_BACKTAB, "\033[Z"}, {"F1", QS_K_F1, "\033OP"},     {"S-Left", QS_K_SLEFT, "\033[1;2D"},
    {"S-Right", QS_K_SRIGHT, "\033[1;2C"},
};
enum { NAMES = sizeof names / sizeof *names };

int qs_key_of(const char *name)
{
    for (size_t i = 0; i < NAMES; i++)
        if (!strcasecmp(names[i].name, name)) return names[i].key;
    if (name[0] == 'C' && name[1] == '-' && name[2] && !name[3]) return QS_K_CTRL(name[2]);
    const char *p = name;
    wchar_t c = qs_utf8_next(&p);
    return c && !*p ? (int)c : -1;
}

void qs_key_bytes(int key, char *out)
{
    for (size_t i = 0; i < NAMES; i++)
        if (names[i].key == key) { memcpy(out, names[i].bytes, strlen(names[i].bytes) + 1); return; }
    qs_utf8_put((wchar_t)key, out);
}

bool qs_key_here(const qs_key *k, const struct qs_ui *u)
{
    return k->place != QS_KEY_WEIGHTS || (u->focus != QS_V_TRAIN && u->focus != QS_V_RESULTS && u->focus != QS_V_RACE);
}

bool qs_keys_run(const qs_key_table *t, struct qs_ui *u, int key)
{
    for (size_t i = 0; i < t->n; i++)
        for (int k = 0; k < 8 && t->key[i].key[k]; k++)
            if (t->key[i].key[k] == key && qs_key_here(&t->key[i], u)) {
                t->key[i].run(u, key);
                return true;
            }
    return false;
}

/* ---- what keys mean everywhere ------------------------------------------------------------- */

static void next_pane(qs_ui *u, int key)
{
    int by = key == QS_K_BACKTAB ? QS_VIEWS - 1 : 1, v = u->focus;
    for (int i = 0; i < QS_VIEWS; i++) {
        v = (v + by) % QS_VIEWS;
        if (u->place[v].h > 0) break;
    }
    if (v == u->focus && u->wide) v = (v + by) % QS_VIEWS;
    qs_ui_focus(u, v);
}

static void number(qs_ui *u, int key)
{
    int v = key - '1';
    bool hidden = u->place[v].h == 0;
    qs_ui_focus(u, v);
    if (hidden) qs_act_view(u, v);
}

static void map(qs_ui *u, int key)
{
    (void)key;
    bool back = u->focus == QS_V_MAP;
    qs_ui_focus(u, back ? QS_V_LIST : QS_V_MAP);
    if (back) u->pane = QS_V_HIST;
    qs_act_view(u, back ? QS_V_HIST : QS_V_MAP);
}

static void train(qs_ui *u, int key) { qs_train_open(u, key == 'T'); }

static void results(qs_ui *u, int key)
{
    (void)key;
    qs_results_open(u);
}

static void race(qs_ui *u, int key) { qs_race_open(u, key == 'V'); }

static void step(qs_ui *u, int key)
{
    static const struct { int key; double by; } moves[] = {
        {'+', 1.05}, {'=', 1.05}, {'-', 1 / 1.05}, {QS_K_RIGHT, 1.01}, {QS_K_LEFT, 1 / 1.01}, {QS_K_SRIGHT, 1.001},
        {QS_K_SLEFT, 1 / 1.001},
    };
    for (size_t i = 0; i < sizeof moves / sizeof *moves; i++)
        if (moves[i].key == key) qs_act_step_by(u, moves[i].by);
}

static void bits(qs_ui *u, int key) { qs_act_bits(u, key == '[' ? -1 : 1); }
static void format(qs_ui *u, int key) { (void)key; qs_menu_formats(u); }
static void init(qs_ui *u, int key) { (void)key; qs_menu_inits(u); }
static void channel(qs_ui *u, int key) { (void)key; qs_menu_channels(u); }
static void undo(qs_ui *u, int key) { (void)key; qs_act_undo(u); }
static void model(qs_ui *u, int key) { (void)key; qs_act_next_model(u); }
static void pin(qs_ui *u, int key) { (void)key; qs_act_pin(u); }

static void next_channel(qs_ui *u, int key)
{
    long n = u->s ? (long)u->s->sel.parts : 0, c = u->s ? u->s->sel.channel : -1;
    if (n < 2) { qs_ui_say(u, true, _("one step for the whole tensor; c chooses @channel")); return; }
    c += key == '{' ? -1 : 1;
    qs_act_channel(u, c < -1 ? n - 1 : c >= n ? -1 : c);
}

static void console(qs_ui *u, int key)
{
    (void)key;
    u->con_focus = true;
    qs_ui_touch(u);
}

static void wide(qs_ui *u, int key)
{
    (void)key;
    u->wide = !u->wide;
    qs_ui_touch(u);
}

static void scroll(qs_ui *u, int key)
{
    u->con_scroll += key == QS_K_PGUP ? u->con.h - 1 : 1 - u->con.h;
    qs_ui_touch(u);
}

static void filter(qs_ui *u, int key)
{
    (void)key;
    u->pop = QS_POP_FILTER;
    qs_ui_touch(u);
}

static void export(qs_ui *u, int key) { qs_export_open(u, key == 'E'); }
static void explain(qs_ui *u, int key) { (void)key; qs_explain_start(u); }

static void help(qs_ui *u, int key)
{
    (void)key;
    u->pop = QS_POP_HELP;
    u->pop_top = 0;
    qs_ui_touch(u);
}

static void quit(qs_ui *u, int key)
{
    (void)key;
    bool busy = qs_jobs_running(u->o->jobs) || qs_jobs_queued(u->o->jobs) || (u->s && u->s->train && u->s->train->going);
    if (busy) u->pop = QS_POP_ASK;
    else u->quit = 0;
    qs_ui_touch(u);
}

static void escape(qs_ui *u, int key)
{
    (void)key;
    u->message[0] = 0;
    qs_ui_touch(u);
}

static const qs_key keys[] = {
    {{QS_K_TAB, QS_K_BACKTAB}, N_("Tab"), N_("pane"), N_("the next pane (Shift-Tab: the one before)"), next_pane, QS_KEY_FITS},
    {{'1', '2', '3', '4', '5', '6', '7', '8'}, "1..8", NULL, N_("tensors, weights, error curve, comparison, map, training, results, race"), number, QS_KEY_FITS},
    {{'+', '=', '-'}, "+ -", N_("step"), N_("the step, 5 % up or down"), step, QS_KEY_WEIGHTS},
    {{QS_K_LEFT, QS_K_RIGHT, QS_K_SLEFT, QS_K_SRIGHT}, N_("← →"), NULL, N_("the step, 1 % (with Shift 0.1 %)"), step, QS_KEY_WEIGHTS},
    {{'[', ']'}, "[ ]", N_("bits"), N_("one bit less or more"), bits, QS_KEY_WEIGHTS},
    {{'f'}, "f", N_("format"), N_("choose or type a format"), format, QS_KEY_WEIGHTS},
    {{'i'}, "i", N_("init"), N_("choose an initialization"), init, QS_KEY_WEIGHTS},
    {{'c'}, "c", N_("channel"), N_("granularity, and the channel that is shown"), channel, QS_KEY_WEIGHTS},
    {{'{', '}'}, "{ }", NULL, N_("the channel before or after"), next_channel, QS_KEY_WEIGHTS},
    {{'u'}, "u", N_("undo"), N_("takes the last choice back"), undo, QS_KEY_WEIGHTS},
    {{' '}, N_("Space"), N_("pin B"), N_("pins the quantizer as B to compare with (again: lets go)"), pin, QS_KEY_WEIGHTS},
    {{'M'}, "M", NULL, N_("the next model that is open, at the same tensor"), model, QS_KEY_WEIGHTS},
    {{'m'}, "m", N_("map"), N_("the whole model at a glance, and back"), map, QS_KEY_FITS},
    {{'t', 'T'}, "t", N_("train"), N_("training, and back (T: trains the bundled network at 2 bits)"), train, QS_KEY_FITS},
    {{'r', 'V'}, "r", N_("race"), N_("races from several starts, and back (V: starts one of the bundled network)"), race, QS_KEY_FITS},
    {{'R'}, "R", NULL, N_("results of sweeps, and back"), results, QS_KEY_FITS},
    {{'/'}, "/", N_("filter"), N_("show only tensors whose name matches"), filter, QS_KEY_WEIGHTS},
    {{'e', 'E'}, "e", N_("export"), N_("writes this pane as a picture (.svg .pdf .png .txt .ans); E: the whole screen"), export, QS_KEY_FITS},
    {{':'}, ":", N_("console"), N_("the Lua prompt; Escape returns"), console, QS_KEY_ALWAYS},
    {{'?'}, "?", N_("explain"), N_("explains the numbers on screen, one by one"), explain, QS_KEY_ALWAYS},
    {{QS_K_F1}, "F1", N_("keys"), N_("this page"), help, QS_KEY_ALWAYS},
    {{'q'}, "q", N_("quit"), N_("ends; asks while work runs"), quit, QS_KEY_FITS},
    {{'w'}, "w", NULL, N_("this pane alone, and back"), wide, QS_KEY_FITS},
    {{QS_K_PGUP, QS_K_PGDN}, "PgUp PgDn", NULL, N_("scrolls the console"), scroll, QS_KEY_FITS},
    {{QS_K_ESC}, "Esc", NULL, N_("leaves the console, a menu, a cursor"), escape, QS_KEY_FITS},
};
const qs_key_table qs_keys_global = {N_("Everywhere"), keys, sizeof keys / sizeof *keys};
