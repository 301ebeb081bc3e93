/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What snapshots say: the numbers are those of stat and quant called directly; stages come in order and only what
 * changed is made anew; work gives way to newer picks; the list fills in; picks are served while a job runs.
 */
#include <time.h>

#include "engine_help.h"
#include "engine/state.h"
#include "model/packed.h"

static qs_session *s;
static qs_board *board;
static qs_snapshot *seen[200];      /* every snapshot published, while recording */
static size_t nseen;
static bool recording;
static qs_pick answer;              /* picked when the first picture of big2 comes, its numbers not there yet; set = 0: none */

static void on_wake(void *ctx)
{
    (void)ctx;
    if (!recording || nseen == 200) return;
    seen[nseen++] = qs_board_get(board);
    if (answer.set && !strcmp(seen[nseen - 1]->sel.tensor, "big2") && !seen[nseen - 1]->a.there) {
        qs_board_pick(board, &answer);
        answer.set = 0;
    }
    qs_board_want(board);
}

static void forget(void)
{
    while (nseen) qs_snapshot_unref(seen[--nseen]);
}

static void begin(const char *path)
{
    qs_err err = {0};
    s = qs_session_new();
    board = qs_board_new(on_wake, NULL, NULL);
    qs_session_attach(s, board, NULL);
    qs_board_set_viewport(board, &(qs_viewport){.hist_bins = 60, .hist_lo = NAN, .hist_hi = NAN, .curve_points = 50});
    if (!qs_session_open(s, path, &err)) printf("# %s\n", err.msg);
}

static void end(void)
{
    qs_session_attach(s, NULL, NULL);
    qs_session_free(s);
    qs_board_free(board);
    forget();
    recording = false;
}

static qs_snapshot *serve(const qs_pick *p)
{
    if (p) qs_board_pick(board, p);
    qs_session_serve(s);
    return qs_board_get(board);
}

static qs_snapshot *serve_text(unsigned field, const char *text)
{
    qs_pick p = {.set = field};
    if (field == QS_PICK_TENSOR) snprintf(p.tensor, sizeof p.tensor, "%s", text);
    if (field == QS_PICK_FORMAT) snprintf(p.format, sizeof p.format, "%s", text);
    if (field == QS_PICK_INIT) snprintf(p.init, sizeof p.init, "%s", text);
    return serve(&p);
}

static qs_index *index_here(void)
{
    qs_split whole;
    qs_split_init(&whole, s->sel.t, QS_SPLIT_TENSOR, -1, 0, NULL);
    return qs_index_of(s->sel.t, &whole, 0, NULL, NULL, NULL);
}

static double total(const double *v, size_t n)
{
    double sum = 0;
    for (size_t i = 0; v && i < n; i++) sum += v[i];
    return sum;
}

/* ---- numbers ------------------------------------------------------------------------- */
static void hist_is(const qs_snapshot *o)
{
    qs_index *ix = index_here();
    qs_hist h = {0};
    qs_hist_index(ix, NAN, NAN, 60, false, &h, NULL);
    bool equal = o->hist.bins == 60 && o->hist.lo == h.lo && o->hist.hi == h.hi;
    for (size_t i = 0; equal && i < 60; i++) equal = o->hist.count[i] == (double)h.count[i];
    ok(equal, "the histogram's counts are exact");
    near(total(o->hist.density, 60), total(o->hist.count, 60), 0.05, "the density is in expected counts a bin");
    qs_hist_clear(&h);
    qs_index_unref(ix);
}

static void quant_is(const qs_snap_quant *a, const char *init, const qs_snapshot *o, const char *what)
{
    qs_qerror e = {0};
    qs_quantizer *q = qs_init_tensor(init, s->sel.t, s->sel.f->f, NULL, NULL, NULL, NULL);
    qs_error_tensor(q, s->sel.t, NULL, NULL, &e, NULL);
    near(a->step, median_of(q->step, q->parts), 0, "%s: the step", what);
    near(a->mse, e.mse, 1e-9, "%s: the error", what);
    near(a->clip_mse + a->round_mse, a->mse, 1e-9, "%s: has two parts", what);
    near(a->sqnr, e.sqnr_db, 1e-9, "%s: SQNR", what);
    near(a->entropy, e.entropy, 1e-9, "%s: entropy", what);
    near(a->bias, e.bias, 1e-6, "%s: bias", what);
    ok(a->levels == e.levels && a->used == e.used && a->nlevel == e.levels, "%s: its levels", what);
    bool equal = true;
    for (size_t k = 0; k < e.levels; k++) equal = equal && a->occupancy[k] == e.occupancy[k];
    ok(equal, "%s: their occupancy", what);
    bool between = true;
    for (size_t k = 0; k + 1 < a->nlevel; k++)
        between = between && a->level[k] <= a->cut[k] && a->cut[k] <= a->level[k + 1];
    ok(between && a->level[0] == a->clip_lo && a->level[a->nlevel - 1] == a->clip_hi, "%s: cuts between levels", what);
    double in_range = 0;
    for (size_t k = 0; k < a->nlevel && q->parts == 1; k++)
        if (a->level[k] >= o->hist.lo && a->level[k] <= o->hist.hi) in_range += a->occupancy[k];
    if (q->parts == 1) near(total(a->qbins, o->hist.bins), in_range, 0, "%s: the quantized histogram counts them", what);
    else ok(total(a->qbins, o->hist.bins) > 0.9 * e.n, "%s: the quantized histogram has them", what);
    qs_qerror_clear(&e);
    qs_quantizer_unref(q);
}

static void curve_is(const qs_snapshot *o)
{
    qs_index *ix = index_here();
    qs_curve c = {0};
    qs_curve_index(s->sel.f->f, ix, &(qs_curve_opts){.points = 50, .p = 2}, NULL, &c, NULL);
    bool equal = o->curve.points == 50;
    for (size_t i = 0; equal && i < 50; i++)
        equal = o->curve.step[i] == c.step[i] && o->curve.error[i] == c.error[i] && o->curve.clip[i] == c.clip[i];
    ok(equal, "the curve is that of quant");
    qs_curve_clear(&c);
    qs_index_unref(ix);
}

static void compare_is(const qs_snapshot *o, const char *what)
{
    qs_compare c = {0};
    qs_compare_tensor(s->sel.t, s->sel.f->f, NULL, 0, NULL, NULL, NULL, &c, NULL);
    ok(o->ncompare == c.n && c.n > 5 && o->curve.nmark == c.n, "%s: a row and a marker for every initialization", what);
    bool equal = true;
    for (size_t i = 0; i < c.n && i < o->ncompare; i++) {
        const qs_snap_compare_row *r = &o->compare[i];
        bool same_row = !strcmp(r->init, c.row[i].init) && fabs(r->step - c.row[i].step) <= 1e-12 * fabs(r->step) &&
                        fabs(r->mse - c.row[i].mse) <= 1e-9 * r->mse && r->clip == c.row[i].clip &&
                        fabs(r->mse_ratio - c.row[i].mse_ratio) <= 1e-9 && o->curve.mark[i].error == r->mse &&
                        fabs(r->step_ratio - c.row[i].step_ratio) <= 1e-9;
        if (!same_row) printf("# %s: %.17g %.17g, want %s: %.17g %.17g\n", r->init, r->step, r->mse, c.row[i].init,
                              c.row[i].step, c.row[i].mse);
        equal = equal && same_row;
    }
    ok(equal, "%s: the rows are those of quant, in the same order", what);
    qs_compare_clear(&c);
}

static void numbers(void)
{
    begin(small_model("a.safetensors", 1));
    qs_snapshot *o = serve(NULL);
    qs_summary m;
    qs_summary_tensor(s->sel.t, NULL, &m, NULL);
    same(o->sel.tensor, "fc1", "the tensor");
    same(o->shape, "[8,100]", "its shape");
    ok(o->n == 800 && o->mean == m.mean && o->std == m.std && o->kurtosis == m.kurtosis && o->distinct > 700,
       "its summary");
    hist_is(o);
    quant_is(&o->a, "mse", o, "A");
    near(o->a.mse_ratio, 1, 1e-12, "mse is its own optimum");
    curve_is(o);
    compare_is(o, "int4");
    qs_snapshot_unref(o);
    o = serve_text(QS_PICK_INIT, "lsq");
    quant_is(&o->a, "lsq", o, "lsq");
    ok(o->a.mse_ratio > 1 && o->a.step_ratio > 0 && o->a.formula && o->a.source,
       "against the optimum, with formula and source");
    qs_snapshot_unref(o);
    o = serve_text(QS_PICK_FORMAT, "int4@channel");
    quant_is(&o->a, "lsq", o, "@channel");
    ok(o->sel.parts == 8 && o->sel.channel == -1, "8 parts, all together");
    compare_is(o, "@channel");
    for (size_t i = 0; i < o->ncompare; i++)
        if (!strcmp(o->compare[i].init, "lsq"))
            near(o->a.step_ratio, o->compare[i].step_ratio, 1e-9, "A's ratio is that of its row");
    qs_snapshot_unref(o);
    end();
}

static void one_channel(void)
{
    begin(small_model("a.safetensors", 1));
    qs_snapshot *o = serve(&(qs_pick){.set = QS_PICK_FORMAT | QS_PICK_CHANNEL | QS_PICK_INIT, .format = "int4@channel",
                                      .channel = 3, .init = "lsq"});
    qs_split split;
    float x[100];
    qs_summary m;
    qs_format_split(s->sel.f->f, s->sel.t, &split, NULL);
    qs_split_gather(&split, s->sel.t, 3, x);
    qs_summary_floats(x, 100, &m);
    ok(o->n == 100 && o->std == m.std && o->min == m.min, "the numbers are those of the channel");
    ok(total(o->hist.count, o->hist.bins) + o->hist.under + o->hist.over == 100, "the histogram too");
    qs_quantizer *q = qs_init_tensor("lsq", s->sel.t, s->sel.f->f, NULL, NULL, NULL, NULL);
    qs_grid g;
    float y[100];
    double mse = 0;
    qs_grid_init(&g, q, 3);
    qs_grid_apply(&g, x, 100, y);
    for (int i = 0; i < 100; i++) mse += (double)(x[i] - y[i]) * (x[i] - y[i]) / 100;
    near(o->a.mse, mse, 1e-6, "and the error");
    ok(o->a.step == q->step[3] && o->sel.step == q->step[3], "with its step");
    for (size_t i = 0; i < o->ncompare; i++)
        if (!strcmp(o->compare[i].init, "lsq"))
            near(o->compare[i].mse, o->a.mse, 1e-12, "the comparison is on the channel");
    qs_grid_clear(&g);
    qs_quantizer_unref(q);
    qs_snapshot_unref(o);
    end();
}

static void pinned(void)
{
    begin(small_model("a.safetensors", 1));
    qs_snapshot *o = serve(&(qs_pick){.set = QS_PICK_PIN});
    ok(o->b.there && o->b.mse == o->a.mse, "the pinned quantizer is B");
    double mse = o->b.mse;
    qs_snapshot_unref(o);
    o = serve_text(QS_PICK_FORMAT, "int3");
    ok(o->b.there && o->b.mse == mse && o->a.mse > mse && !strcmp(o->b.format, "int4"), "it stays while A changes");
    qs_snapshot_unref(o);
    o = serve_text(QS_PICK_TENSOR, "fc2");
    quant_is(&o->a, "mse", o, "A on another tensor");
    ok(o->b.there && o->b.mse < o->a.mse, "on another tensor B is its format and init there");
    qs_snapshot_unref(o);
    o = serve(&(qs_pick){.set = QS_PICK_PIN});
    ok(!o->b.there && !o->b.format[0], "again: lets it go");
    qs_snapshot_unref(o);
    end();
}

static void not_quantized(void)
{
    begin(small_model("a.safetensors", 1));
    qs_snapshot *o = serve_text(QS_PICK_TENSOR, "bias");
    ok(o->reason && !o->a.there && o->a.note && o->ncompare == 0 && o->curve.points == 0,
       "a bias has no quantizer: %s", o->a.note);
    ok(o->hist.bins == 60 && o->std > 0, "but a histogram and statistics");
    qs_snapshot_unref(o);
    o = serve_text(QS_PICK_TENSOR, "fc7");
    ok(o->status && strstr(o->status, "fc7") && o->log[o->nlog - 1][0] == '!', "a refused pick says why");
    same(o->log[o->nlog - 2], ">qs.select{tensor=\"fc7\"}", "after its echo");
    ok(o->selection_seq == 2, "and counts as served");
    qs_snapshot_unref(o);
    end();
}

/* Codes with scales: their own levels, of a channel and of the whole. */
static void own_levels(void)
{
    const char *top = getenv("top_srcdir");
    char *file = qs_xasprintf("%s/tests/oracle/golden/gguf_blocks.gguf", top ? top : ".");
    begin(file);
    qs_snapshot_unref(serve_text(QS_PICK_FORMAT, "int4@group32"));
    qs_snapshot_unref(serve_text(QS_PICK_TENSOR, "Q4_0"));
    qs_snapshot *o = serve(&(qs_pick){.set = QS_PICK_CHANNEL, .channel = 3});
    const qs_tensor *t = qs_model_find(qs_session_cur_model(s), "Q4_0");
    float lv[QS_PACKED_LEVELS];
    int n = qs_packed_levels(t, 3 * 32, lv);
    bool same = o->own.nlevel == 16 && n == 16;
    for (int k = 0; same && k < n; k++) same = o->own.level[k] == (double)lv[k];
    ok(!o->a.there && same && o->n == 32 && o->sel.channel == 3, "a block of codes is looked at with its own levels (%zu)", o->own.nlevel);
    ok(o->own.note && strstr(o->own.note, "16 levels, 4.50 bits"), "and the note says so: %s", o->own.note ? o->own.note : "-");
    qs_snapshot_unref(o);
    o = serve(&(qs_pick){.set = QS_PICK_CHANNEL, .channel = -1});
    ok(o->own.nlevel == 16 && o->own.note && strstr(o->own.note, "middle scale"), "of several blocks one in the middle: %s",
       o->own.note ? o->own.note : "-");
    qs_snapshot_unref(o);
    qs_snapshot_unref(serve_text(QS_PICK_TENSOR, "Q4_0.values"));
    o = serve(NULL);
    ok(o->own.nlevel == 0 && o->a.there, "numbers have none");
    qs_snapshot_unref(o);
    end();
    free(file);
}

static void labels(void)
{
    qs_tensor *t[] = {bell_tensor("m/f/conv_1/Conv/read:0", 4, 9, 1), bell_tensor("m/f/conv_2/Conv/read:0", 4, 9, 2),
                      bell_tensor("m/f/dense/fc/read:0", 4, 9, 3), bell_tensor("m/f/bias", 4, 0, 4)};
    const char *path = scratch_file("a.safetensors");
    begin(save(path, t, 4) ? path : NULL);
    qs_snapshot *o = serve_text(QS_PICK_TENSOR, "m/f/dense/fc/read:0");
    same(o->list->row[1].label, "conv_1", "what all weights share is left out, and a last word that repeats the one before");
    same(o->list->row[3].label, "dense/fc", "a word of its own stays");
    same(o->list->row[0].label, "bias", "a bias loses what it has of that");
    same(o->label, "dense/fc", "the tensor looked at is labelled alike");
    qs_snapshot_unref(o);
    end();
    begin(small_model("a.safetensors", 1));
    o = serve_text(QS_PICK_TENSOR, "fc2");
    ok(!o->list->row[1].label && !o->label[0], "letters in common are no words in common");
    qs_snapshot_unref(o);
    end();
}

/* ---- stages ----------------------------------------------------------------------------------------- */
static void only_what_changed(void)
{
    begin(small_model("a.safetensors", 1));
    qs_snapshot *a = serve(NULL);
    const double *curve = s->view.curve.step;
    const qs_index *ix = s->view.ix;
    uint64_t hist = s->view.hist_seq;
    qs_snapshot *b = serve(&(qs_pick){.set = QS_PICK_STEP, .step = 0.05});
    ok(b->a.step == 0.05 && strcmp(b->sel.init, "by hand") == 0 && b->a.mse != a->a.mse, "a step changes the quantizer");
    near(b->a.mse_ratio, b->a.mse / a->a.mse, 1e-12, "measured against the same optimum");
    ok(s->view.curve.step == curve && s->view.ix == ix && s->view.hist_seq == hist, "and nothing else is made anew");
    ok(a->list == b->list, "the list is shared while nothing in it changed");
    ok(total(b->a.qbins, 60) > 0 && b->ncompare == a->ncompare, "what was there is there");
    qs_board_set_viewport(board, &(qs_viewport){.hist_bins = 30, .hist_lo = -0.1, .hist_hi = 0.1, .curve_points = 50});
    qs_snapshot *c = serve(NULL);
    ok(c->hist.bins == 30 && c->hist.zoomed && fabs(c->hist.lo + 0.1) < 1e-8 && c->hist.under > 0,
       "another viewport, another histogram");
    near(total(c->hist.count, 30) + c->hist.under + c->hist.over, 800, 0, "every value is somewhere");
    ok(s->view.curve.step == curve && c->a.qbins && c->a.mse == b->a.mse, "the curve stays, the quantized bins follow");
    qs_snapshot_unref(a);
    qs_snapshot_unref(b);
    qs_snapshot_unref(c);
    end();
}

static const char *big_model(void)
{
    static const char *path;
    if (path) return path;
    qs_tensor *t[] = {bell_tensor("big1", 1000, 1000, 11), bell_tensor("big2", 1000, 1000, 12),
                      bell_tensor("small", 5, 40, 13)};
    path = qs_xstrdup(scratch_file("big.safetensors"));
    save(path, t, 3);
    return path;
}

static void staging(void)
{
    begin(big_model());
    qs_session_serve(s);
    recording = true;
    qs_board_want(board);
    qs_snapshot *o = serve_text(QS_PICK_TENSOR, "big2");
    ok(nseen >= 2, "a big tensor comes in stages (%zu)", nseen);
    const qs_snapshot *first = seen[0];
    ok(!strcmp(first->sel.tensor, "big2") && !strcmp(first->shape, "[1000,1000]") && first->n == 1000000,
       "first name and shape");
    ok(first->hist.bins == 0 && isnan(first->std) && !first->a.there && isnan(first->sel.step) && !first->index_kind,
       "with all else not known yet");
    ok(o->hist.bins == 60 && o->a.there && o->curve.points == 50 && o->ncompare > 5 && !o->doing[0],
       "at last everything");
    bool order = true;
    for (size_t i = 0; i < nseen; i++)
        order = order && (!seen[i]->a.there || seen[i]->hist.bins) && (!seen[i]->ncompare || seen[i]->curve.points) &&
                (i == 0 || seen[i]->seq > seen[i - 1]->seq);
    ok(order, "in between nothing comes before what it stands on");
    qs_snapshot_unref(o);
    forget();
    o = serve_text(QS_PICK_TENSOR, "big1");
    bool blank = false;
    for (size_t i = 0; i < nseen; i++) blank = blank || (!seen[i]->doing[0] && isnan(seen[i]->std));
    ok(nseen && !blank, "where the index is there, no empty picture comes first");
    qs_snapshot_unref(o);
    end();
}

static void giving_way(void)
{
    begin(big_model());
    recording = true;
    qs_board_want(board);
    answer = (qs_pick){.set = QS_PICK_TENSOR, .tensor = "small"};
    qs_snapshot *o = serve_text(QS_PICK_TENSOR, "big2");
    ok(!answer.set, "a newer pick came while the first was worked on");
    ok(s->abandoned > 0, "the work was abandoned");
    same(o->sel.tensor, "small", "the newer one won");
    ok(o->a.there && o->ncompare > 5, "and was finished");
    qs_snapshot_unref(o);
    forget();
    answer = (qs_pick){.set = QS_PICK_VIEW, .view = "map"};
    size_t before = s->abandoned;
    o = serve_text(QS_PICK_TENSOR, "big2");
    ok(!answer.set && s->abandoned == before, "a pick of the view abandons nothing");
    ok(!strcmp(o->sel.view, "map") && !strcmp(o->sel.tensor, "big2") && o->a.there, "and is served all the same");
    qs_snapshot_unref(o);
    end();
}

static _Atomic uint64_t cancel_word;
static void cancel_wake(void *ctx)
{
    (void)ctx;
    atomic_store(&cancel_word, 5);
}

static void stopped(void)
{
    begin(big_model());
    qs_board_free(board);
    board = qs_board_new(cancel_wake, NULL, NULL);
    qs_session_attach(s, board, NULL);
    qs_session_set_ctl(s, &(qs_ctl){.cancel_upto = &cancel_word, .job = 5});
    qs_snapshot *o = serve_text(QS_PICK_TENSOR, "big2");   /* the first snapshot presses Ctrl-C */
    ok(!o->a.there && o->status, "Ctrl-C stops the panes' work, and the status says so");
    ok(!view_open(s, false), "it is not taken up again by itself");
    qs_snapshot_unref(o);
    qs_session_set_ctl(s, &(qs_ctl){.cancel_upto = &cancel_word, .job = 6});
    o = serve_text(QS_PICK_FORMAT, "int5");
    ok(o->a.there && o->hist.bins, "but by the next selection");
    qs_snapshot_unref(o);
    end();
}

/* ---- the list ------------------------------------------------------------------------------------------ */
static const qs_snap_row *row(const qs_snapshot *o, const char *name)
{
    for (size_t i = 0; i < o->list->n; i++)
        if (!strcmp(o->list->row[i].name, name)) return &o->list->row[i];
    return NULL;
}

static void fills_in(void)
{
    begin(big_model());
    qs_snapshot *o = serve(NULL);
    ok(o->list && o->list->n == 3 && isnan(row(o, "big2")->std) && isnan(row(o, "big2")->sqnr) && o->background,
       "rows begin unknown");
    ok(o->list->weights == 3 && o->list->values == 2000200 && o->list->bits_total > 4 * 2000200.0, "sizes are known");
    qs_snapshot_unref(o);
    while (s->list.sampled < 3) qs_session_idle(s);
    qs_session_publish(s, true);
    o = qs_board_get(board);
    double rough = row(o, "big2")->sqnr;
    if (s->list.exact < 2) ok(row(o, "big2")->sampled, "sampled rows are marked");
    qs_snapshot_unref(o);
    while (qs_session_idle(s)) {}
    o = qs_board_get(board);
    const qs_snap_row *r = row(o, "big2");
    qs_quantizer *q = qs_init_tensor("mse", qs_model_find(s->sel.m, "big2"), s->sel.f->f, NULL, NULL, NULL, NULL);
    qs_qerror e = {0};
    qs_error_tensor(q, qs_model_find(s->sel.m, "big2"), NULL, NULL, &e, NULL);
    ok(!o->background && !r->sampled && r->has_spark && o->list->known == 3, "then all is known exactly");
    near(r->sqnr, e.sqnr_db, 1e-9, "SQNR as quant has it");
    near(rough, r->sqnr, 0.05, "the sample was near");
    near(r->mse_ratio, 1, 1e-12, "mse against mse");
    ok(r->sqnr_channel > r->sqnr, "@channel gains");
    near(r->kurtosis, 3, 0.05, "kurtosis");
    near(o->list->sqnr_total, r->sqnr, 0.02, "the total is weighted by energy");
    qs_qerror_clear(&e);
    qs_quantizer_unref(q);
    qs_snapshot *p = serve_text(QS_PICK_FORMAT, "int2");
    ok(isnan(row(p, "big2")->sqnr) && row(p, "big2")->std > 0 && p->background,
       "another format begins again; what has nothing to do with it stays");
    qs_snapshot_unref(p);
    p = serve_text(QS_PICK_FORMAT, "int4");
    ok(row(p, "big2")->sqnr == r->sqnr && !p->background, "back again, all is there at once");
    qs_snapshot_unref(p);
    qs_snapshot_unref(o);
    end();
}

/* ---- with a worker, and a job that runs ------------------------------------------------------------------ */
static qs_jobs *jobs;
static atomic_bool let_go;
static atomic_int lua_calls, in_job, lua_in_job;

static void jobs_wake(void *ctx) { (void)ctx; }
static void jobs_poke(void *ctx) { (void)ctx; qs_jobs_poke(jobs); }
static void nap(void) { nanosleep(&(struct timespec){0, 500000}, NULL); }

static void run_job(void *ctx, uint64_t id, const char *text)
{
    (void)ctx, (void)id;
    atomic_store(&in_job, 1);
    qs_session_log(s, ' ', text);
    while (!atomic_load(&let_go) && !qs_ctl_check(qs_session_ctl(s), "a long job", -1, NULL)) nap();
    atomic_store(&in_job, 0);
    qs_session_serve(s);
}

static void serve_job(void *ctx) { (void)ctx; qs_session_serve(s); }
static bool idle_job(void *ctx) { (void)ctx; return qs_session_idle(s); }

/* Stands for an initialization in Lua: it must not be called while a job runs. */
static int lua_fit(const qs_init_in *in, qs_init_out *out, qs_err *err)
{
    (void)err;
    atomic_fetch_add(&lua_calls, 1);
    if (atomic_load(&in_job)) atomic_store(&lua_in_job, 1);
    out->step = qs_index_absmax(in->ix) / 10;
    return 0;
}

static qs_snapshot *wait_for(bool (*good)(const qs_snapshot *))
{
    for (int i = 0; i < 20000; i++, nap()) {
        qs_snapshot *o = qs_board_get(board);
        qs_board_want(board);
        if (o && good(o)) return o;
        qs_snapshot_unref(o);
    }
    return qs_board_get(board);
}

static bool is_running(const qs_snapshot *o) { return o->running && !strcmp(o->doing, "a long job"); }
static bool is_fc2(const qs_snapshot *o) { return !strcmp(o->sel.tensor, "fc2") && o->ncompare > 5; }
static bool has_luas(const qs_snapshot *o) { return !strcmp(o->sel.init, "luas") && o->a.note; }
static bool is_whole(const qs_snapshot *o)
{
    bool there = false;
    for (size_t i = 0; i < o->ncompare; i++) there |= !strcmp(o->compare[i].init, "luas");
    return there && o->a.there && !o->running && !o->background;
}

static void while_a_job_runs(void)
{
    static const qs_jobs_ops ops = {.run = run_job, .serve = serve_job, .idle = idle_job};
    qs_init_register(&(qs_init){.name = "luas", .doc = "a test", .flags = QS_INIT_LUA, .fit = lua_fit}, NULL);
    s = qs_session_new();
    board = qs_board_new(jobs_wake, jobs_poke, NULL);
    jobs = qs_jobs_start(&ops, NULL);
    qs_session_attach(s, board, jobs);
    qs_session_open(s, small_model("a.safetensors", 1), NULL);
    uint64_t id = qs_jobs_submit(jobs, "working");
    qs_snapshot *o = wait_for(is_running);
    ok(o->running == id && is_running(o), "a job runs and shows what it does");
    qs_snapshot_unref(o);
    qs_board_pick(board, &(qs_pick){.set = QS_PICK_TENSOR, .tensor = "fc2"});
    o = wait_for(is_fc2);
    ok(is_fc2(o) && o->running == id, "a pick is served while it runs");
    qs_snapshot_unref(o);
    qs_board_pick(board, &(qs_pick){.set = QS_PICK_INIT, .init = "luas"});
    o = wait_for(has_luas);
    ok(has_luas(o) && !o->a.there, "an init in Lua has to wait: %s", o->a.note ? o->a.note : "-");
    qs_snapshot_unref(o);
    ok(atomic_load(&lua_calls) == 0, "it is not called");
    qs_jobs_cancel(jobs);
    o = wait_for(is_whole);
    ok(is_whole(o), "after the job it is filled in, and the list too");
    if (!is_whole(o))
        printf("# a %d, running %d, background %d, %zu rows\n", o->a.there, (int)o->running, o->background, o->ncompare);
    ok(!atomic_load(&lua_in_job), "never inside the job");
    for (size_t i = 0; i < o->ncompare; i++)
        if (!strcmp(o->compare[i].init, "luas"))
            near(o->a.mse_ratio, o->compare[i].mse_ratio, 1e-12, "its row and A agree");
    qs_snapshot_unref(o);
    for (int i = 0; i < 20000 && !qs_jobs_idle(jobs); i++) nap();
    ok(qs_jobs_idle(jobs), "then the worker sleeps");
    uint64_t quick = qs_jobs_submit(jobs, "quick");   /* let_go is set below: until then it runs */
    o = wait_for(is_running);
    ok(o->running == quick, "another job");
    qs_snapshot_unref(o);
    atomic_store(&let_go, true);
    for (int i = 0; i < 20000 && !qs_jobs_idle(jobs); i++) nap();
    o = qs_board_get(board);
    ok(!o->running && !o->doing[0], "the last picture says that nothing runs, though nothing else changed");
    qs_snapshot_unref(o);
    qs_jobs_stop(jobs);
    qs_session_attach(s, NULL, NULL);
    qs_session_free(s);
    qs_board_free(board);
}

int main(void)
{
    numbers();
    one_channel();
    pinned();
    not_quantized();
    labels();
    own_levels();
    only_what_changed();
    staging();
    giving_way();
    stopped();
    fills_in();
    while_a_job_runs();
    scratch_clean();
    return done();
}
