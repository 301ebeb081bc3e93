/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The board: snapshots by reference, picks that merge, the viewport, words; the text of a pick; the log ring. */
#include <locale.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/mem.h"
#include "engine/log.h"
#include "engine/snapshot.h"
#include "../tap.h"

static atomic_int woken, poked;
static void wake(void *c) { (void)c; atomic_fetch_add(&woken, 1); }
static void poke(void *c) { (void)c; atomic_fetch_add(&poked, 1); }

static qs_snap_list *list_of(size_t n)
{
    qs_snap_list *l = qs_xcalloc(1, sizeof *l);
    atomic_init(&l->refs, 1);
    l->n = n;
    l->row = qs_xcalloc(n, sizeof *l->row);
    for (size_t i = 0; i < n; i++) l->row[i].name = qs_xstrdup("row");
    return l;
}

static qs_snapshot *snap_of(uint64_t seq, qs_snap_list *l)
{
    qs_snapshot *s = qs_snapshot_new();
    s->seq = seq;
    atomic_fetch_add(&l->refs, 1);
    s->list = l;
    s->nlog = 1;
    s->log = qs_xcalloc(1, sizeof *s->log);
    s->log[0] = qs_xasprintf(" %llu", (unsigned long long)seq);
    return s;
}

static void snapshots(void)
{
    qs_board *b = qs_board_new(wake, poke, NULL);
    ok(qs_board_wanted(b) && !qs_board_wanted(NULL), "the first snapshot is wanted; no board wants none");
    ok(!qs_board_get(b), "none yet");
    qs_snap_list *l = list_of(3);
    qs_board_publish(b, snap_of(1, l));
    ok(atomic_load(&woken) == 1, "publishing wakes");
    ok(!qs_board_wanted(b), "what was published need not be wanted");
    qs_snapshot *one = qs_board_get(b);
    qs_board_publish(b, snap_of(2, l));
    qs_snapshot *two = qs_board_get(b);
    ok(one->seq == 1 && two->seq == 2, "a snapshot that is held outlives the next");
    ok(one->list == two->list && atomic_load(&l->refs) == 3, "the list is shared");
    same(one->log[0], " 1", "and unchanged");
    qs_snapshot_unref(one);
    ok(atomic_load(&l->refs) == 2 && atomic_load(&two->refs) == 2, "references are counted");
    qs_snapshot_unref(two);
    qs_board_want(b);
    ok(qs_board_wanted(b), "the next one please");
    qs_board_free(b);
    ok(atomic_load(&l->refs) == 1, "the board lets go of its snapshot");
    qs_snap_list_unref(l);
}

static void new_is_unknown(void)
{
    qs_snapshot *s = qs_snapshot_new();
    ok(isnan(s->mean) && isnan(s->a.mse) && isnan(s->b.step) && s->hist.bins == 0 && s->curve.points == 0,
       "a new snapshot knows nothing");
    qs_snapshot_unref(s);
    qs_snapshot_unref(NULL);
}

static void viewports(void)
{
    qs_board *b = qs_board_new(wake, poke, NULL);
    atomic_store(&poked, 0);
    uint64_t seq = qs_board_viewport_seq(b);
    qs_viewport v = {.hist_bins = 70, .hist_lo = NAN, .hist_hi = NAN, .curve_points = 140}, got;
    qs_board_set_viewport(b, &v);
    ok(qs_board_viewport_seq(b) == seq + 1 && atomic_load(&poked) == 1, "a new viewport counts and pokes");
    qs_board_set_viewport(b, &v);
    ok(qs_board_viewport_seq(b) == seq + 1 && atomic_load(&poked) == 1, "the same again does not, NaN or not");
    qs_board_viewport(b, &got);
    ok(got.hist_bins == 70 && isnan(got.hist_lo) && got.curve_points == 140, "it arrives whole");
    qs_board_free(b);
}

static void picks(void)
{
    qs_board *b = qs_board_new(NULL, NULL, NULL);
    qs_pick got;
    ok(!qs_board_pick_waits(b) && !qs_board_take_pick(b, &got), "no pick waits");
    qs_board_pick(b, &(qs_pick){.set = QS_PICK_STEP, .step = 1});
    qs_board_pick(b, &(qs_pick){.set = QS_PICK_STEP, .step = 2});
    qs_board_pick(b, &(qs_pick){.set = QS_PICK_FORMAT, .format = "int3"});
    qs_board_pick(b, &(qs_pick){.set = QS_PICK_STEP, .step = 3});
    qs_board_pick(b, &(qs_pick){.set = QS_PICK_UNDO});
    qs_board_pick(b, &(qs_pick){.set = QS_PICK_UNDO});
    qs_board_pick(b, &(qs_pick){.set = 0});
    ok(qs_board_pick_fields(b) == (QS_PICK_STEP | QS_PICK_FORMAT | QS_PICK_UNDO),
       "what waits is known without taking it");
    ok(qs_board_take_pick(b, &got) && got.set == QS_PICK_STEP && got.step == 2,
       "the same fields: the newer replaces the older");
    ok(qs_board_take_pick(b, &got) && got.set == QS_PICK_FORMAT && !strcmp(got.format, "int3"),
       "in order");
    ok(qs_board_take_pick(b, &got) && got.step == 3, "but not across another pick");
    ok(qs_board_pick_fields(b) == QS_PICK_UNDO, "what was taken no longer waits");
    ok(qs_board_take_pick(b, &got) && qs_board_take_pick(b, &got) && got.set == QS_PICK_UNDO, "two undos are two");
    ok(!qs_board_take_pick(b, &got) && !qs_board_pick_waits(b), "then none");
    qs_board_free(b);
}

static void text_is(const qs_pick *p, const char *want, const char *what)
{
    char *s = qs_pick_text(p);
    same(s, want, "%s", what);
    free(s);
}

static void texts(void)
{
    text_is(&(qs_pick){.set = QS_PICK_UNDO}, "qs.undo()", "undo is a call");
    text_is(&(qs_pick){.set = QS_PICK_PIN}, "qs.pin()", "pin is a call");
    text_is(&(qs_pick){.set = QS_PICK_EXPORT, .export = {"hist", "a \"b\".svg", false}}, "qs.export(\"hist\", \"a \\\"b\\\".svg\")", "so is an export");
    text_is(&(qs_pick){.set = QS_PICK_EXPORT, .export = {"screen", "a.txt", true}}, "qs.export(\"screen\", \"a.txt\", {overwrite=true})",
            "also over a file that is there");
    text_is(&(qs_pick){.set = QS_PICK_TENSOR | QS_PICK_STEP, .tensor = "conv1.weight", .step = 0.1},
            "qs.select{tensor=\"conv1.weight\", step=0.1}", "a number has no more digits than needed");
    text_is(&(qs_pick){.set = QS_PICK_MODEL | QS_PICK_CHANNEL | QS_PICK_VIEW,
                        .model = "a\"b\\c\n1", .channel = -1, .view = "map"},
            "qs.select{model=\"a\\\"b\\\\c\\0101\", channel=-1, view=\"map\"}", "strings are escaped");
    text_is(&(qs_pick){.set = QS_PICK_STEP, .step = INFINITY}, "qs.select{step=math.huge}", "infinity is Lua too");
    static const double odd[] = {0.1 + 0.2, 1.0 / 3, 5e-324, 1.7976931348623157e308, -0.0625, 123456789012345678.0};
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        char *s = qs_pick_text(&(qs_pick){.set = QS_PICK_STEP, .step = odd[i]});
        ok(strtod(s + strlen("qs.select{step="), NULL) == odd[i], "%s reads back the same", s);
        free(s);
    }
    if (setlocale(LC_NUMERIC, "de_DE.UTF-8") || setlocale(LC_NUMERIC, "de_DE"))
        text_is(&(qs_pick){.set = QS_PICK_OFFSET, .offset = -2.5e-7}, "qs.select{offset=-2.5e-07}",
                "whatever the locale");
    setlocale(LC_NUMERIC, "C");
}

static void words(void)
{
    static const char *const all[] = {"t:summary", "qs.load", "t:totable", "f", "t:index", "m"};
    char **w = qs_xcalloc(6, sizeof *w), *out[4];
    for (int i = 0; i < 6; i++) w[i] = qs_xstrdup(all[i]);
    qs_board *b = qs_board_new(NULL, NULL, NULL);
    ok(qs_board_words(b, "t", out, 4) == 0, "no words yet");
    qs_board_set_words(b, w, 6);
    size_t n = qs_board_words(b, "t:", out, 4);
    ok(n == 3 && !strcmp(out[0], "t:index") && !strcmp(out[2], "t:totable"), "those with the prefix, sorted");
    for (size_t i = 0; i < n; i++) free(out[i]);
    n = qs_board_words(b, "", out, 2);
    ok(n == 2, "at most max");
    for (size_t i = 0; i < n; i++) free(out[i]);
    qs_board_free(b);
}

static void logs(void)
{
    qs_log l = {0};
    uint64_t first;
    qs_log_add(&l, ' ', "one\ntwo\n\nfour\n");
    ok(qs_log_tail(&l, 100, &first) == 4 && first == 0, "several lines are split, the last newline ends the last one");
    same(qs_log_line(&l, 0), " one", "with their kind");
    same(qs_log_line(&l, 2), " ", "an empty line in the middle stays");
    qs_log_add(&l, '!', "a\tb\x1b[2J");
    same(qs_log_line(&l, 4), "!a    b?[2J", "nothing that moves a cursor");
    qs_log_add(&l, '=', "");
    same(qs_log_line(&l, 5), "=", "an empty text is an empty line");
    char big[2 * QS_LOG_LINE_MAX];
    memset(big, 'x', sizeof big);
    memcpy(big + QS_LOG_LINE_MAX - 1, "ö", 2);
    big[sizeof big - 1] = '\0';
    qs_log_add(&l, ' ', big);
    const char *cut = qs_log_line(&l, 6);
    ok(strlen(cut) == 1 + QS_LOG_LINE_MAX - 1 + strlen("…") && !strcmp(cut + QS_LOG_LINE_MAX, "…"),
       "a long line is cut between characters");
    for (int i = 0; i < QS_LOG_LINES + 10; i++) qs_log_add(&l, ' ', "more");
    qs_log_add(&l, '>', "last");
    size_t n = qs_log_tail(&l, 400, &first);
    ok(n == 400 && first + n == 7 + QS_LOG_LINES + 11, "lines are numbered since the start");
    same(qs_log_line(&l, first + n - 1), ">last", "the ring keeps the newest");
    ok(qs_log_tail(&l, 1u << 20, &first) == QS_LOG_LINES, "and no more than it holds");
    qs_log_clear(&l);
}

/* ---- two threads ------------------------------------------------------------------- */
enum { ROUNDS = 3000 };
struct pair { qs_board *b; qs_snap_list *l; atomic_bool end; long bad; };

static void *publisher(void *arg)
{
    struct pair *p = arg;
    qs_pick k;
    for (uint64_t i = 1; i <= ROUNDS; i++) {
        qs_board_publish(p->b, snap_of(i, p->l));
        while (qs_board_take_pick(p->b, &k))
            if (k.step < 0) p->bad++;
        if (i % 500 == 0) {
            char **w = qs_xcalloc(1, sizeof *w);
            w[0] = qs_xstrdup("w");
            qs_board_set_words(p->b, w, 1);
        }
    }
    atomic_store(&p->end, true);
    return NULL;
}

static void concurrent(void)
{
    struct pair p = {.b = qs_board_new(NULL, NULL, NULL), .l = list_of(10)};
    pthread_t t;
    pthread_create(&t, NULL, publisher, &p);
    uint64_t last = 0;
    long bad = 0;
    for (int i = 0; !atomic_load(&p.end); i++) {
        qs_snapshot *s = qs_board_get(p.b);
        if (s) {
            char want[32];
            snprintf(want, sizeof want, " %llu", (unsigned long long)s->seq);
            bad += s->seq < last || strcmp(s->log[0], want) || strcmp(s->list->row[9].name, "row");
            last = s->seq;
        }
        qs_snapshot_unref(s);
        qs_board_want(p.b);
        /* no faster than they are taken, or the queue outgrows its reader */
        if (!qs_board_pick_waits(p.b))
            qs_board_pick(p.b, &(qs_pick){.set = i & 1 ? QS_PICK_STEP : QS_PICK_OFFSET, .step = i});
        qs_board_set_viewport(p.b, &(qs_viewport){.hist_bins = (size_t)i + 1});
        char *out[2];
        for (size_t n = qs_board_words(p.b, "w", out, 2); n--;) free(out[n]);
    }
    pthread_join(t, NULL);
    qs_snapshot *s = qs_board_get(p.b);
    ok(s->seq == ROUNDS && bad == 0 && p.bad == 0, "snapshots arrive whole and in order while both sides run");
    qs_snapshot_unref(s);
    qs_board_free(p.b);
    ok(atomic_load(&p.l->refs) == 1, "every one was freed");
    qs_snap_list_unref(p.l);
}

int main(void)
{
    snapshots();
    new_is_unknown();
    viewports();
    picks();
    texts();
    words();
    logs();
    concurrent();
    return done();
}
