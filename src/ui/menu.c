/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Menus with a line to type into (formats, initializations, channels), and the page of keys. */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "ui/screen.h"

/* ---- a menu ------------------------------------------------------------------------------ */

void qs_menu_close(qs_ui *u)
{
    for (size_t i = 0; i < u->menu.n; i++) {
        free(u->menu.item[i]);
        free(u->menu.note[i]);
    }
    free(u->menu.item);
    free(u->menu.note);
    memset(&u->menu, 0, sizeof u->menu);
    if (u->pop == QS_POP_MENU) u->pop = QS_POP_NONE;
    qs_ui_touch(u);
}

static void open_menu(qs_ui *u, const char *title, const char *hint, void (*chosen)(qs_ui *, const char *))
{
    qs_menu_close(u);
    u->menu.title = title;
    u->menu.hint = hint;
    u->menu.chosen = chosen;
    u->pop = QS_POP_MENU;
}

/* One that is not there yet: thousands of channels are not each looked for among the others. */
static void append(qs_ui *u, const char *item, const char *note)
{
    qs_menu *m = &u->menu;
    m->item = qs_xrealloc(m->item, (m->n + 1) * sizeof *m->item);
    m->note = qs_xrealloc(m->note, (m->n + 1) * sizeof *m->note);
    m->item[m->n] = qs_xstrdup(item);
    m->note[m->n++] = qs_xstrdup(note ? note : "");
}

static void add(qs_ui *u, const char *item, const char *note)
{
    for (size_t i = 0; i < u->menu.n; i++)
        if (!strcmp(u->menu.item[i], item)) return;
    append(u, item, note);
}

static bool fits(const qs_menu *m, size_t i) { return !strncmp(m->item[i], m->typed, strlen(m->typed)); }

static size_t step_to(const qs_menu *m, size_t i, int by)
{
    for (size_t k = 0, at = i; k < m->n; k++) {
        at = (at + (by > 0 ? 1 : m->n - 1)) % m->n;
        if (fits(m, at)) return at;
    }
    return i;
}

static void point(qs_menu *m, const char *item)
{
    for (size_t i = 0; i < m->n; i++)
        if (!strcmp(m->item[i], item)) m->cur = i;
}

static void type(qs_menu *m, int key)
{
    size_t n = strlen(m->typed);
    if (key == QS_K_BACKSPACE) {
        while (n > 0 && ((unsigned char)m->typed[n - 1] & 0xC0) == 0x80) n--;
        if (n > 0) m->typed[n - 1] = 0;
    } else if (key == QS_K_CTRL('u')) {
        m->typed[0] = 0;
    } else if (key >= 32 && key < QS_K_UP && n + 5 < sizeof m->typed) {
        qs_utf8_put((wchar_t)key, m->typed + n);
    }
    if (m->n && !fits(m, m->cur)) m->cur = step_to(m, m->cur, 1);
}

/* Tab: as far as all candidates agree. */
static void complete(qs_menu *m)
{
    const char *first = NULL;
    size_t same = 0;
    for (size_t i = 0; i < m->n; i++) {
        if (!fits(m, i)) continue;
        if (!first) { first = m->item[i]; same = strlen(first); continue; }
        size_t k = 0;
        while (k < same && m->item[i][k] == first[k]) k++;
        same = k;
    }
    if (first && same < sizeof m->typed && same > strlen(m->typed)) snprintf(m->typed, sizeof m->typed, "%.*s", (int)same, first);
}

static void choose(qs_ui *u)
{
    qs_menu *m = &u->menu;
    char text[128];
    bool listed = m->n && fits(m, m->cur);
    snprintf(text, sizeof text, "%s", listed ? m->item[m->cur] : m->typed);
    void (*fn)(qs_ui *, const char *) = m->chosen;
    qs_menu_close(u);
    if (*text) fn(u, text);
}

void qs_menu_key(qs_ui *u, int key)
{
    qs_menu *m = &u->menu;
    if (key == QS_K_ESC) qs_menu_close(u);
    else if (key == QS_K_ENTER) choose(u);
    else if (key == QS_K_TAB) complete(m);
    else if (key == QS_K_UP || key == QS_K_BACKTAB) m->cur = m->n ? step_to(m, m->cur, -1) : 0;
    else if (key == QS_K_DOWN) m->cur = m->n ? step_to(m, m->cur, 1) : 0;
    else type(m, key);
    qs_ui_touch(u);
}

void qs_menu_draw(qs_ui *u)
{
    qs_menu *m = &u->menu;
    int name = 8, note = 0, shown = 0, at = 0;
    for (size_t i = 0; i < m->n; i++) {
        int a = qs_text_width(m->item[i]), b = qs_text_width(m->note[i]);
        name = a > name ? a : name;
        note = b > note ? b : note;
        if (fits(m, i)) {
            if (i == m->cur) at = shown;
            shown++;
        }
    }
    int rows = (int)m->n < u->h - 7 ? (int)m->n : u->h - 7, wide = name + note + 8, hint = qs_text_width(m->hint) + 8;
    qs_rect r = qs_ui_box(u, rows + 4, wide < hint ? hint : wide, m->title, m->hint);
    int x = r.x + 1 + qs_cells_text(&u->g, r.y, r.x + 1, r.w - 2, "› ", QS_ROLE_FOCUS, 0);
    x += qs_cells_text(&u->g, r.y, x, r.w - 4, m->typed, QS_ROLE_TEXT, QS_BOLD);
    u->cur_y = r.y;
    u->cur_x = x;
    for (int i = r.x; i < r.x + r.w; i++) qs_cells_put(&u->g, r.y + 1, i, L'─', QS_ROLE_FRAME, 0);
    int top = at - rows / 2 < 0 ? 0 : at - rows / 2, y = 0, k = 0;
    if (top > shown - rows) top = shown - rows > 0 ? shown - rows : 0;
    for (size_t i = 0; i < m->n; i++) {
        if (!fits(m, i) || k++ < top || y >= rows) continue;
        int row = r.y + 2 + y++;
        bool init = m->chosen == qs_act_init;
        if (init) qs_cells_text(&u->g, row, r.x + 1, 2, "●", qs_init_role(m->item[i]), 0);
        qs_cells_text(&u->g, row, r.x + (init ? 3 : 2), name, m->item[i], QS_ROLE_TEXT, i == m->cur ? QS_BOLD : 0);
        qs_cells_text(&u->g, row, r.x + 5 + name, r.w - name - 6, m->note[i], QS_ROLE_DIM, 0);
        if (i == m->cur) qs_cells_mark(&u->g, (qs_rect){row, r.x, 1, r.w}, QS_SELECTED);
    }
    if (!shown) qs_cells_text(&u->g, r.y + 2, r.x + 2, r.w - 3, _("none of these: Enter takes what is typed"), QS_ROLE_DIM, 0);
}

/* ---- which menus there are ----------------------------------------------------------------- */

static const struct { const char *name, *note; } formats[] = {
    {"int8", N_("256 levels, two's complement")},   {"int8:narrow", N_("-127 .. 127")},
    {"int6", N_("64 levels")},                       {"int5", N_("32 levels")},
    {"int4", N_("16 levels")},                       {"int4:narrow", N_("-7 .. 7")},
    {"int4:flip", N_("16 levels, a step may carry a sign")}, {"int3", N_("8 levels")},
    {"int2", N_("4 levels")},                        {"int2:narrow", N_("-1, 0, 1")},
    {"int16", N_("65,536 levels")},                  {"uint8", N_("0 .. 255")},
    {"uint4", N_("0 .. 15")},                        {"uint2", N_("0 .. 3")},
    {"uint4+offset", N_("0 .. 15 with a real offset")}, {"uint8+zp", N_("0 .. 255 with an integer zero point")},
    {"apot4", N_("additive powers of two, signed")}, {"uapot4", N_("additive powers of two, unsigned")},
    {"pot4", N_("powers of two")},                   {"nf4", N_("NormalFloat, 16 levels")},
    {"fp4", N_("E2M1: 0 .5 1 1.5 2 3 4 6")},         {"fp8e4m3", N_("8-bit float, 3 bits of mantissa")},
    {"fp8e5m2", N_("8-bit float, 2 bits of mantissa")},
}, blocks[] = {
    {"q4_0", N_("GGUF: int4 in groups of 32, f16 steps")}, {"q4_1", N_("GGUF: uint4 with offsets in groups of 32")},
    {"q5_0", N_("GGUF: int5 in groups of 32, f16 steps")}, {"q5_1", N_("GGUF: uint5 with offsets in groups of 32")},
    {"q8_0", N_("GGUF: int8 in groups of 32, f16 steps")}, {"mxfp4", N_("OCP: fp4 in groups of 32, steps powers of two")},
    {"nvfp4", N_("NVIDIA: fp4 in groups of 16, steps 8-bit floats")},
};

void qs_menu_formats(qs_ui *u)
{
    const char *cur = qs_cur_format(u);
    char base[128], full[192];
    open_menu(u, _("Format"), _("type one, or choose: @channel, +offset, :narrow as usual"), qs_act_format);
    snprintf(base, sizeof base, "%.*s", (int)strcspn(cur, "@"), cur);
    const char *gran = cur + strcspn(cur, "@");
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        snprintf(full, sizeof full, "%s%s", formats[i].name, gran);   /* the granularity stays */
        add(u, full, _(formats[i].note));
    }
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) add(u, blocks[i].name, _(blocks[i].note));
    if (*cur) add(u, cur, _("as it is"));
    point(&u->menu, cur);
    qs_ui_touch(u);
}

void qs_menu_inits(qs_ui *u)
{
    char note[200], a[QS_FMT], b[QS_FMT];
    open_menu(u, _("Initialization"), _("error against the least-squares minimum"), qs_act_init);
    for (size_t i = 0; u->s && i < u->s->ncompare; i++) {
        const qs_snap_compare_row *c = &u->s->compare[i];
        snprintf(note, sizeof note, "%5s ×   %6s dB", qs_fmt_fixed(a, c->mse_ratio, 2), qs_fmt_db(b, c->sqnr));
        add(u, c->init, c->error ? c->error : note);
    }
    for (size_t i = 0; u->s && i < u->s->curve.nmark; i++) add(u, u->s->curve.mark[i].init, "");
    if (u->s) point(&u->menu, u->s->sel.init);
    qs_ui_touch(u);
}

static void channel_chosen(qs_ui *u, const char *t)
{
    char *end;
    long c = strtol(t, &end, 10);
    if (t[0] == '@') qs_act_granularity(u, t);
    else if (!strcmp(t, "all")) qs_act_channel(u, -1);
    else if (!*end && c >= 0) qs_act_channel(u, c);
    else qs_ui_say(u, true, _("\"%s\": a granularity begins with @, a channel is a number from 0, or \"all\""), t);
}

void qs_menu_channels(qs_ui *u)
{
    static const struct { const char *name, *note; } gran[] = {
        {"@tensor", N_("one step for all")}, {"@channel", N_("one step an output channel")},
        {"@group32", N_("one step for 32 inputs")}, {"@group64", N_("one step for 64 inputs")},
        {"@group128", N_("one step for 128 inputs")},
    };
    char name[24];
    open_menu(u, _("Granularity and channel"), _("type a number to look at that channel"), channel_chosen);
    for (size_t i = 0; i < sizeof gran / sizeof *gran; i++) add(u, gran[i].name, _(gran[i].note));
    size_t parts = u->s ? u->s->sel.parts : 0;
    const char *show = _("show this channel");
    if (parts > 1) add(u, "all", _("show all channels together"));
    for (size_t i = 0; parts > 1 && i < parts && i < 4096; i++) {
        snprintf(name, sizeof name, "%zu", i);
        append(u, name, show);
    }
    const char *cur = qs_cur_format(u), *at = strchr(cur, '@');
    point(&u->menu, at ? at : "@tensor");
    qs_ui_touch(u);
}

/* ---- runs ------------------------------------------------------------------------------------------- */

static const struct { const char *name, *note; } starts[] = {
    {"init=mse", N_("least squares")},                    {"init=lsq", N_("LSQ: 2 E|w| / sqrt(Qp)")},
    {"init=lsq+", N_("LSQ+: mean +- 3 sigma")},            {"init=minmax", N_("the whole range, nothing clipped")},
    {"init=percentile", N_("99.99 % of the values")},     {"init=octav", N_("OCTAV: optimal clipping")},
    {"init=aciq-laplace", N_("ACIQ: Laplace model")},     {"init=sawb", N_("SAWB: fitted constants")},
    {"init=adaptive", N_("ours: by the loss, dots show it")}, {"init=lapq", N_("LAPQ: one norm, then all jointly")},
}, learns[] = {
    {"learn=lsq", N_("the gradient of the step")},        {"learn=lsq+", N_("of step and offset")},
    {"learn=pact", N_("of the clip")},                    {"learn=none", N_("steps stay as they are now")},
};

static void branch_chosen(qs_ui *u, const char *t)
{
    size_t n = strcspn(t, "=");
    bool known = !strncmp(t, "init=", 5) || !strncmp(t, "learn=", 6);
    if (!known || !t[n + 1] || strpbrk(t, "\"\\") || !u->s || !u->s->train) {
        qs_ui_say(u, true, _("\"%s\": init=NAME or learn=NAME"), t);
        return;
    }
    char *line = qs_xasprintf("run = qs.runs()[%zu]:branch{%.*s=\"%s\"}; run:start()", u->s->train->cur + 1, (int)n, t, t + n + 1);
    qs_act_line(u, line);
    free(line);
}

void qs_menu_branch(qs_ui *u)
{
    open_menu(u, _("Branch: a new run from here"), _("another rule, or steps found anew by another initialization"), branch_chosen);
    for (size_t i = 0; i < sizeof learns / sizeof *learns; i++) add(u, learns[i].name, _(learns[i].note));
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) add(u, starts[i].name, _(starts[i].note));
    qs_ui_touch(u);
}

static void again_chosen(qs_ui *u, const char *t)
{
    if (strncmp(t, "init=", 5) || !t[5] || strpbrk(t, "\"\\")) qs_ui_say(u, true, _("\"%s\": init=NAME"), t);
    else qs_train_demo(u, t + 5);
}

void qs_menu_again(qs_ui *u)
{
    open_menu(u, _("Train the bundled network again from"), _("same seed, same batches: only the start differs"), again_chosen);
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) add(u, starts[i].name, _(starts[i].note));
    qs_ui_touch(u);
}

/* ---- races ------------------------------------------------------------------------------------------- */

/* As in lua/quantscope/races.lua, which has their files. */
static const struct { const char *name, *note; int speed; } races[] = {
    {"smallcnn-2bit", N_("2 bits, LSQ: four starts, 150 steps"), 3},
    {"depthwise-2bit", N_("depthwise, 2 bits, LSQ: four starts, 150 steps"), 8},
    {"resnet8-apot3", N_("APoT at 3 bits: four starts, 150 steps"), 12},
};

/* At such a speed that it takes a quarter of a minute. */
static void race_chosen(qs_ui *u, const char *name)
{
    int speed = 1;
    for (size_t i = 0; i < sizeof races / sizeof *races; i++)
        if (!strcmp(races[i].name, name)) speed = races[i].speed;
    if (strpbrk(name, "\"\\")) qs_ui_say(u, true, _("\"%s\": a name without quotes"), name);
    else qs_race_play(u, name, speed);
}

void qs_menu_races(qs_ui *u)
{
    open_menu(u, _("Recorded races"), _("played as they were measured, nothing is computed; V races here"), race_chosen);
    for (size_t i = 0; i < sizeof races / sizeof *races; i++) add(u, races[i].name, _(races[i].note));
    qs_ui_touch(u);
}

/* ---- results ------------------------------------------------------------------------------------------ */

static const qs_snap_results *shown_results(const qs_ui *u) { return u->s ? u->s->results : NULL; }

static bool grouped(const qs_snap_results *r, const char *name)
{
    for (size_t i = 0; i < r->nby; i++)
        if (!strcmp(r->by[i], name)) return true;
    return false;
}

/* A parameter joins those that groups are made by, or leaves them; several with commas, or one that is typed, are taken as
 * they stand. */
static void by_chosen(qs_ui *u, const char *t)
{
    const qs_snap_results *r = shown_results(u);
    qs_str b = {0};
    if (!r) return;
    bool is = false, in = grouped(r, t);
    for (size_t i = 0; i < r->nparam; i++) is = is || !strcmp(r->param[i], t);
    for (size_t i = 0; i < r->nparam && is; i++) {
        const char *p = r->param[i];
        if (strcmp(p, t) ? grouped(r, p) : !in) qs_str_addf(&b, "%s%s", b.n ? "," : "", p);
    }
    if (is && !b.n) qs_ui_say(u, true, "%s", _("at least one parameter must make groups"));
    else qs_act_results(u, QS_PICK_BY, is ? b.s : t);
    free(b.s);
}

void qs_menu_by(qs_ui *u)
{
    const qs_snap_results *r = shown_results(u);
    if (!r || !r->nparam) return;
    open_menu(u, _("Groups are made by"), _("Enter: in or out; or type all of them: bits,init"), by_chosen);
    for (size_t i = 0; i < r->nparam; i++) add(u, r->param[i], grouped(r, r->param[i]) ? _("in") : _("averaged over"));
    qs_ui_touch(u);
}

static void metric_chosen(qs_ui *u, const char *t) { qs_act_results(u, QS_PICK_METRIC, t); }

void qs_menu_metric(qs_ui *u)
{
    const qs_snap_results *r = shown_results(u);
    if (!r || !r->nmetric) return;
    open_menu(u, _("Metric"), _("what the table shows"), metric_chosen);
    for (size_t i = 0; i < r->nmetric; i++) add(u, r->metric[i], "");
    point(&u->menu, r->at.metric);
    qs_ui_touch(u);
}

/* ---- the page of keys ------------------------------------------------------------------------- */

/* One chapter of the page: 0 what works everywhere, 1 the rest of that table, then the views. */
enum { HELP_CHAPTERS = QS_VIEWS + 2 };

static const qs_key_table *help_table(int i) { return i < 2 ? &qs_keys_global : &qs_view_of(i - 2)->keys; }
static bool in_chapter(int i, const qs_key *k) { return i > 1 || (k->place == QS_KEY_WEIGHTS) == (i == 1); }

static int count_rows(int i)
{
    const qs_key_table *t = help_table(i);
    int n = 0;
    for (size_t k = 0; k < t->n; k++) n += in_chapter(i, &t->key[k]);
    return n ? n + 2 : 0;
}

static int help_rows(qs_ui *u, qs_rect r, int y, int i)
{
    const qs_key_table *t = help_table(i);
    if (!count_rows(i)) return y;
    const char *title = i == 1 ? _("Where weights are shown") : _(t->title);
    if (y >= r.y && y < r.y + r.h) qs_cells_text(&u->g, y, r.x + 1, r.w - 2, title, QS_ROLE_FOCUS, QS_BOLD);
    y++;
    for (size_t k = 0; k < t->n; k++) {
        if (!in_chapter(i, &t->key[k])) continue;
        if (y >= r.y && y < r.y + r.h) {
            qs_cells_text(&u->g, y, r.x + 3, 11, _(t->key[k].shown), QS_ROLE_KEY, QS_BOLD);
            qs_cells_text(&u->g, y, r.x + 15, r.w - 16, _(t->key[k].help), QS_ROLE_TEXT, 0);
        }
        y++;
    }
    return y + 1;
}

void qs_help_draw(qs_ui *u)
{
    int rows = 0;
    for (int i = 0; i < HELP_CHAPTERS; i++) rows += count_rows(i);
    qs_rect r = qs_ui_box(u, rows + 1, 78, _("Keys"), _("↑ ↓ scroll   any other key closes"));
    int most = rows - 1 - r.h > 0 ? rows - 1 - r.h : 0;
    u->pop_top = u->pop_top < 0 ? 0 : u->pop_top > most ? most : u->pop_top;
    int y = r.y - u->pop_top;
    for (int i = 0; i < HELP_CHAPTERS; i++) y = help_rows(u, r, y, i);
}

void qs_help_key(qs_ui *u, int key)
{
    static const struct { int key, by; } moves[] = {
        {QS_K_UP, -1}, {QS_K_DOWN, 1}, {QS_K_PGUP, -10}, {QS_K_PGDN, 10}, {QS_K_HOME, -1000}, {QS_K_END, 1000}, {' ', 10},
    };
    bool moved = false;
    for (size_t i = 0; i < sizeof moves / sizeof *moves; i++)
        if (moves[i].key == key) { u->pop_top += moves[i].by; moved = true; }
    if (!moved) u->pop = QS_POP_NONE;
    qs_ui_touch(u);
}
