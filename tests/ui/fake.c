/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The screen without an engine: a worker whose numbers are made up, repeatable
 * and cheap. Screen tests drive it through QUANTSCOPE_SCRIPT or in tmux.
 *
 *     fake [-n TENSORS] [-c CHARSET] [-m names] [-r RUNS] [-d DATABASE] [-x ERROR] [-a STEPS]
 *                                                         jobs: sleep MS, stuck MS (ignores ^C), fail, more, anything else
 */
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/rng.h"
#include "fake_race.h"
#include "fake_results.h"
#include "fake_train.h"
#include "ui/ui.h"

#define SAMPLES 6000
#define LOG 300

typedef struct tensor { char name[96], shape[48]; const char *reason; size_t n; double std, kurt, *x; } tensor;

static struct {
    qs_board *board;
    qs_jobs *jobs;
    qs_selected sel, before, pinned;
    bool pin;
    tensor *t;
    size_t nt, known;
    uint64_t seq, selections, picked, exports;
    qs_export export[QS_SNAP_EXPORTS];
    char *log[LOG];
    uint64_t log_first;
    size_t nlog;
    char status[200];
    char doing[80];
    double done;
    uint64_t job, cancelled;
} fk;

/* ---- made-up tensors ------------------------------------------------------------------------ */

static void name_tensor(tensor *t, size_t i, const char *style)
{
    static const char *const llm[] = {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj",
                                      "mlp.up_proj", "mlp.down_proj", "input_layernorm"};
    size_t k = i / 2;
    if (!strcmp(style, "llm")) {
        snprintf(t->name, sizeof t->name, "model.layers.%zu.%s.weight", i / 8, llm[i % 8]);
        snprintf(t->shape, sizeof t->shape, "[1024,1024]");
        if (i % 8 == 7) { t->reason = "a norm"; snprintf(t->shape, sizeof t->shape, "[1024]"); }
        return;
    }
    snprintf(t->name, sizeof t->name, i % 2 ? "depthwise_conv2d_%zu" : "conv2d_%zu", k);
    snprintf(t->shape, sizeof t->shape, i % 2 ? "[%zu,1,3,3]" : "[%zu,24,1,1]", 24 + 4 * k);
    if (i % 9 == 8) { snprintf(t->name, sizeof t->name, "bias_%zu", k); t->reason = "1-D: a bias"; }
}

static int up(const void *a, const void *b) { double x = *(const double *)a, y = *(const double *)b; return (x > y) - (x < y); }

static void make_tensor(tensor *t, size_t i, const char *style)
{
    qs_rng r;
    double s = 0.05 + 0.3 * (double)((i * 7) % 11) / 11, m2 = 0, m4 = 0;
    qs_rng_seed(&r, 17 + i);
    name_tensor(t, i, style);
    t->n = SAMPLES;
    t->x = qs_xmalloc(SAMPLES * sizeof *t->x);
    for (size_t k = 0; k < SAMPLES; k++) {
        double g = qs_rng_normal(&r);
        if (i % 3 == 1) g = log(qs_rng_uniform(&r)) * (qs_rng_uniform(&r) < 0.5 ? 0.7 : -0.7);
        if (i % 5 == 3 && k % 2000 == 0) g *= 9;
        t->x[k] = g * s;
        m2 += t->x[k] * t->x[k];
        m4 += pow(t->x[k], 4);
    }
    m2 /= SAMPLES;
    t->std = sqrt(m2);
    t->kurt = m4 / SAMPLES / m2 / m2;
    qsort(t->x, SAMPLES, sizeof *t->x, up);
}

static tensor *cur(void)
{
    for (size_t i = 0; i < fk.nt; i++)
        if (!strcmp(fk.t[i].name, fk.sel.tensor)) return &fk.t[i];
    return &fk.t[0];
}

/* ---- a quantizer that is only good enough to look at ------------------------------------------- */

static int bits_of(const char *f)
{
    int b = atoi(f + strcspn(f, "0123456789"));
    return b < 1 ? 4 : b > 8 ? 8 : b;
}

static double q_error(const tensor *t, int bits, double s, double *clip, double *clipped)
{
    double lo = -ldexp(1, bits - 1), hi = ldexp(1, bits - 1) - 1, all = 0, c = 0, n = 0;
    for (size_t i = 0; i < t->n; i++) {
        double v = t->x[i] / s, q = fmin(fmax(rint(v), lo), hi), e = (v - q) * s;
        all += e * e;
        if (v < lo || v > hi) { c += e * e; n++; }
    }
    if (clip) *clip = c / (double)t->n;
    if (clipped) *clipped = n / (double)t->n;
    return all / (double)t->n;
}

static const char *const inits[] = {"mse", "octav", "aciq-laplace", "aciq-gauss", "lsq", "lsq+", "minmax", "percentile", "kl", "sawb", "mine"};
static const char *const hows[] = {
    "exact least squares: one sweep over the sorted breakpoints", "Newton on the clipped MSE", "alpha = W(3 4^b) b, step 2 alpha / 2^b",
    "stationary point of the Gaussian model", "2 E|w| / sqrt(Qp)", "max|mu +- 3 sigma| / 2^(b-1)", "max|x| / Qp", "q(0.9999) of |x| / Qp",
    "least KL divergence of 2048 bins", "c1 sqrt(E w^2) + c2 E|w|", "written in Lua"};
enum { INITS = sizeof inits / sizeof *inits };

static double best_step(const tensor *t, int bits)
{
    double best = 0, least = INFINITY, top = fmax(fabs(t->x[0]), t->x[t->n - 1]) / ldexp(1, bits - 1);
    for (int i = 1; i <= 100; i++) {
        double s = top * i / 100 * 1.2, e = q_error(t, bits, s, NULL, NULL);
        if (e < least) { least = e; best = s; }
    }
    return best;
}

static double step_of(const tensor *t, const char *init, int bits, double best)
{
    static const double by[INITS] = {1, 1.04, 0.93, 0.82, 1.6, 0.8, 0, 1.9, 1.2, 1.1, 1.3};
    for (int i = 0; i < INITS; i++)
        if (!strcmp(init, inits[i])) return by[i] > 0 ? best * by[i] : fmax(fabs(t->x[0]), t->x[t->n - 1]) / (ldexp(1, bits - 1) - 1);
    return best;
}

/* ---- a snapshot ------------------------------------------------------------------------------------ */

static void fill_quant(qs_snap_quant *q, const tensor *t, const qs_selected *sel, const qs_snap_hist *h, double best)
{
    int bits = bits_of(sel->format);
    double s = strcmp(sel->init, "by hand") ? step_of(t, sel->init, bits, best) : sel->step, lo = -ldexp(1, bits - 1), hi = -lo - 1;
    q->there = true;
    snprintf(q->format, sizeof q->format, "%s", sel->format);
    snprintf(q->init, sizeof q->init, "%s", sel->init);
    q->step = s;
    q->clip_lo = lo * s;
    q->clip_hi = hi * s;
    q->mse = q_error(t, bits, s, &q->clip_mse, &q->clipped);
    q->round_mse = q->mse - q->clip_mse;
    q->nmse = q->mse / (t->std * t->std);
    q->sqnr = -10 * log10(q->nmse);
    q->mse_ratio = q->mse / q_error(t, bits, best, NULL, NULL);
    q->step_ratio = s / best;
    q->entropy = bits * 0.8;
    q->levels = q->nlevel = (size_t)1 << bits;
    q->level = qs_xcalloc(q->nlevel, sizeof(double));
    q->cut = qs_xcalloc(q->nlevel, sizeof(double));
    q->occupancy = qs_xcalloc(q->nlevel, sizeof(double));
    q->qbins = qs_xcalloc(h->bins + 1, sizeof(double));
    for (size_t k = 0; k < q->nlevel; k++) q->level[k] = (lo + (double)k) * s;
    for (size_t k = 0; k + 1 < q->nlevel; k++) q->cut[k] = (q->level[k] + q->level[k + 1]) / 2;
    for (size_t i = 0; i < t->n; i++) {
        double v = fmin(fmax(rint(t->x[i] / s), lo), hi);
        q->occupancy[(size_t)(v - lo)]++;
        double b = (v * s - h->lo) / (h->hi - h->lo) * (double)h->bins;
        if (b >= 0 && b < (double)h->bins) q->qbins[(size_t)b]++;
    }
    for (size_t k = 0; k < q->nlevel; k++) q->used += q->occupancy[k] > 0;
    for (int i = 0; i < INITS; i++)
        if (!strcmp(inits[i], sel->init)) q->formula = qs_xstrdup(hows[i]);
    q->source = qs_xstrdup("made up for a test");
}

static void fill_hist(qs_snap_hist *h, const tensor *t)
{
    qs_viewport v;
    qs_board_viewport(fk.board, &v);
    h->bins = v.hist_bins ? v.hist_bins : 80;
    double far = fmax(-t->x[0], t->x[t->n - 1]), range = fmin(far, 4.5 * t->std);
    h->zoomed = !isnan(v.hist_lo);
    h->lo = h->zoomed ? v.hist_lo : -range;
    h->hi = h->zoomed ? v.hist_hi : range;
    h->count = qs_xcalloc(h->bins, sizeof(double));
    h->density = qs_xcalloc(h->bins, sizeof(double));
    for (size_t i = 0; i < t->n; i++) {
        double b = (t->x[i] - h->lo) / (h->hi - h->lo) * (double)h->bins;
        if (b < 0) h->under++;
        else if (b >= (double)h->bins) h->over++;
        else h->count[(size_t)b]++;
    }
    h->left_out = h->zoomed ? 0 : h->under + h->over;
    double w = (h->hi - h->lo) / (double)h->bins;
    for (size_t i = 0; i < h->bins; i++) {
        double x = (h->lo + ((double)i + 0.5) * w) / t->std;
        h->density[i] = (double)t->n * w / t->std * exp(-x * x / 2) / sqrt(2 * M_PI);
    }
}

static void fill_curve(qs_snapshot *s, const tensor *t, int bits, double best)
{
    qs_viewport v;
    qs_board_viewport(fk.board, &v);
    size_t n = s->curve.points = v.curve_points ? v.curve_points : 100;
    double lo = v.curve_lo > 0 ? v.curve_lo : best / 8, hi = v.curve_hi > 0 ? v.curve_hi : best * 8;
    double **a[] = {&s->curve.step, &s->curve.error, &s->curve.clip, &s->curve.round};
    for (int i = 0; i < 4; i++) *a[i] = qs_xcalloc(n, sizeof(double));
    for (size_t i = 0; i < n; i++) {
        s->curve.step[i] = lo * pow(hi / lo, (double)i / (double)(n - 1));
        s->curve.error[i] = q_error(t, bits, s->curve.step[i], &s->curve.clip[i], NULL);
        s->curve.round[i] = s->curve.error[i] - s->curve.clip[i];
    }
    s->curve.nmark = INITS;
    s->curve.mark = qs_xcalloc(INITS, sizeof *s->curve.mark);
    s->ncompare = INITS;
    s->compare = qs_xcalloc(INITS, sizeof *s->compare);
    double least = q_error(t, bits, best, NULL, NULL);
    for (int i = 0; i < INITS; i++) {
        qs_snap_compare_row *c = &s->compare[i];
        snprintf(c->init, sizeof c->init, "%s", inits[i]);
        c->step = step_of(t, inits[i], bits, best);
        c->mse = q_error(t, bits, c->step, NULL, &c->clipped);
        c->step_ratio = c->step / best;
        c->mse_ratio = c->mse / least;
        c->clip = c->step * (ldexp(1, bits - 1) - 1);
        c->sqnr = -10 * log10(c->mse / t->std / t->std);
        c->ms = 0.1 * i;
        c->formula = qs_xstrdup(hows[i]);
        c->source = qs_xstrdup("made up for a test");
        if (!strcmp(inits[i], "sawb") && bits > 5) c->error = qs_xstrdup("EUNSUP: no published constants for these bits");
        s->curve.mark[i] = (qs_snap_marker){.step = c->step, .error = c->mse, .ok = !c->error};
        snprintf(s->curve.mark[i].init, sizeof s->curve.mark[i].init, "%s", inits[i]);
    }
}

static void fill_list(qs_snapshot *s)
{
    qs_snap_list *l = qs_xcalloc(1, sizeof *l);
    int bits = bits_of(fk.sel.format);
    atomic_init(&l->refs, 1);
    l->n = fk.nt;
    l->row = qs_xcalloc(fk.nt + 1, sizeof *l->row);
    for (size_t i = 0; i < fk.nt; i++) {
        qs_snap_row *r = &l->row[i];
        const tensor *t = &fk.t[i];
        r->name = qs_xstrdup(t->name);
        memcpy(r->shape, t->shape, sizeof r->shape);
        strcpy(r->dtype, "f32");
        r->reason = t->reason ? qs_xstrdup(t->reason) : NULL;
        r->n = t->n;
        r->std = r->kurtosis = r->sqnr = r->mse_ratio = r->sqnr_channel = NAN;
        if (!t->reason) { l->weights++; l->values += t->n; }
        if (i >= fk.known) continue;
        l->known += !t->reason;
        r->std = t->std;
        r->kurtosis = t->kurt;
        r->has_spark = true;
        r->sampled = i % 7 == 6;
        for (int k = 0; k < QS_SPARK; k++) r->spark[k] = (unsigned char)(1 + 7 * exp(-(k - 3.5) * (k - 3.5) / (2 + (double)(i % 4))));
        if (t->reason) continue;
        r->sqnr = 6.02 * bits - 4 - 2 * log(t->kurt);
        r->mse_ratio = 1 + (double)(i % 5) * 0.4;
        r->sqnr_channel = r->sqnr + 4;
    }
    l->bits_total = (double)l->values * bits + (double)l->weights * 32;
    l->sqnr_total = fk.known ? 6.02 * bits - 7 : NAN;
    l->sqnr_total_channel = fk.known ? 6.02 * bits - 3 : NAN;
    s->list = l;
}

static void publish(void)
{
    qs_snapshot *s = qs_snapshot_new();
    tensor *t = fk.nt ? cur() : NULL;
    s->seq = ++fk.seq;
    s->selection_seq = fk.selections;
    s->picked = fk.picked;
    s->exports = fk.exports;
    memcpy(s->export, fk.export, sizeof s->export);
    fill_list(s);
    if (t) {
        int bits = bits_of(fk.sel.format);
        s->n = t->n;
        memcpy(s->shape, t->shape, sizeof s->shape);
        strcpy(s->dtype, "f32");
        s->min = t->x[0];
        s->max = t->x[t->n - 1];
        s->std = t->std;
        s->kurtosis = t->kurt;
        fill_hist(&s->hist, t);
        if (t->reason) {
            s->reason = qs_xstrdup(t->reason);
        } else {
            double best = best_step(t, bits);
            fill_quant(&s->a, t, &fk.sel, &s->hist, best);
            if (fk.pin) fill_quant(&s->b, t, &fk.pinned, &s->hist, best);
            fill_curve(s, t, bits, best);
            fk.sel.step = s->a.step;
        }
    }
    fk.sel.parts = strstr(fk.sel.format, "@channel") ? 24 : 1;
    ft_selected(&fk.sel);
    s->train = ft_picture();
    fk.sel.results = fr.at;
    s->results = fr_picture();
    s->race = fa_picture(&s->race_at);
    s->sel = fk.sel;
    s->running = qs_jobs_running(fk.jobs);
    snprintf(s->doing, sizeof s->doing, "%s", fk.doing);
    s->done = fk.done;
    s->background = fk.known < fk.nt;
    s->log_first = fk.log_first;
    s->log = qs_xcalloc(LOG, sizeof *s->log);
    for (size_t i = 0; i < fk.nlog; i++) s->log[s->nlog++] = qs_xstrdup(fk.log[i]);
    if (fk.status[0]) s->status = qs_xstrdup(fk.status);
    qs_board_publish(fk.board, s);
}

/* ---- the worker ---------------------------------------------------------------------------------------- */

static void say(char kind, const char *text)
{
    if (fk.nlog == LOG) {
        free(fk.log[0]);
        memmove(fk.log, fk.log + 1, (LOG - 1) * sizeof *fk.log);
        fk.nlog--;
        fk.log_first++;
    }
    fk.log[fk.nlog++] = qs_xasprintf("%c%s", kind, text);
}

static void take(const qs_pick *p)
{
    fk.status[0] = 0;
    if (p->set & QS_PICK_UNDO) { fk.sel = fk.before; return; }
    if (p->set & QS_PICK_EXPORT) { fk.export[fk.exports++ % QS_SNAP_EXPORTS] = p->export; return; }
    if (p->set & QS_PICK_PIN) { fk.pin = !fk.pin; fk.pinned = fk.sel; return; }
    if (p->set & QS_PICK_FORMAT && bits_of(p->format) != atoi(p->format + strcspn(p->format, "0123456789"))) {
        snprintf(fk.status, sizeof fk.status, "EFORMAT: format \"%.60s\" does not exist", p->format);
        return;
    }
    fk.before = fk.sel;
    ft_take(p);
    fr_take(p);
    if (p->set & QS_PICK_TENSOR) snprintf(fk.sel.tensor, sizeof fk.sel.tensor, "%s", p->tensor);
    if (p->set & QS_PICK_FORMAT) snprintf(fk.sel.format, sizeof fk.sel.format, "%s", p->format);
    if (p->set & QS_PICK_INIT) snprintf(fk.sel.init, sizeof fk.sel.init, "%s", p->init);
    if (p->set & QS_PICK_VIEW) snprintf(fk.sel.view, sizeof fk.sel.view, "%s", p->view);
    if (p->set & QS_PICK_CHANNEL) fk.sel.channel = p->channel;
    if (p->set & QS_PICK_STEP) { fk.sel.step = p->step; strcpy(fk.sel.init, "by hand"); }
}

static void serve(void *ctx)
{
    qs_pick p;
    (void)ctx;
    while (qs_board_take_pick(fk.board, &p)) {
        char *t = qs_pick_text(&p);
        if (!(p.set & QS_PICK_VIEW)) say('>', t);
        free(t);
        take(&p);
        fk.selections++;
        fk.picked = p.ticket;
    }
    publish();
}

static bool idle(void *ctx)
{
    (void)ctx;
    bool going = ft_going() | fa_idle();
    if (fk.known >= fk.nt && !going) return false;
    fk.known += 9;
    if (fk.known >= fk.nt) fk.known = fk.nt;
    if (going) nanosleep(&(struct timespec){0, 10000000}, NULL);
    if (atomic_load(qs_jobs_cancel_word(fk.jobs)) > fk.cancelled) {
        fk.cancelled = atomic_load(qs_jobs_cancel_word(fk.jobs));
        for (size_t i = 0; i < ft.n; i++)
            if (ft.run[i].state == QS_SNAP_RUNNING) ft.run[i].state = QS_SNAP_PAUSED;
    }
    ft_idle();
    publish();
    return true;
}

static void nap(long ms) { nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL); }

static void work(uint64_t id, long ms, bool stops)
{
    for (long i = 0; i < ms; i += 10) {
        nap(10);
        if (stops && atomic_load(qs_jobs_cancel_word(fk.jobs)) >= id) { say('!', "interrupted"); break; }
        snprintf(fk.doing, sizeof fk.doing, "index %.60s", cur()->name);
        fk.done = (double)i / (double)ms;
        if (qs_board_pick_waits(fk.board)) serve(NULL);
        else if (qs_board_wanted(fk.board)) publish();
    }
    fk.doing[0] = 0;
}

static void run(void *ctx, uint64_t id, const char *text)
{
    char note[64];
    (void)ctx;
    size_t lines = 0;
    for (const char *s = text; *s; lines++) {
        char *one = qs_xasprintf("%.*s", (int)strcspn(s, "\n"), s);
        say('>', one);
        free(one);
        s += strcspn(s, "\n");
        s += *s == '\n';
    }
    size_t n = strlen(text);
    if (n && text[n - 1] == '=') {
        snprintf(note, sizeof note, "%llu %zu", (unsigned long long)id, lines);
        say('?', note);
    } else if (!strncmp(text, "sleep ", 6)) work(id, atol(text + 6), true);
    else if (!strncmp(text, "stuck ", 6)) work(id, atol(text + 6), false);
    else if (!strncmp(text, "pick ", 5)) snprintf(fk.sel.view, sizeof fk.sel.view, "%s", text + 5);
    else if (ft_line(text) || fa_line(text)) {}
    else if (!strcmp(text, "fail")) say('!', "stdin:1: attempt to index a nil value (global 'x')");
    else if (!strcmp(text, "more")) for (int i = 1; i <= 60; i++) { snprintf(note, sizeof note, "line %d", i); say(' ', note); }
    else if (!strcmp(text, "os.exit(3)")) qs_ui_quit(3);
    else say('=', "ok");
    publish();
}

static void wake(void *ctx) { (void)ctx; if (fk.jobs) qs_jobs_wake(fk.jobs); }
static void poke(void *ctx) { (void)ctx; if (fk.jobs) qs_jobs_poke(fk.jobs); }

static char **words(void)
{
    static const char *const w[] = {"\"lsq\"", "help", "m", "m[\"conv2d_0\"]", "m[\"conv2d_1\"]", "print", "qs.compare", "qs.curve", "qs.init", "qs.inits", "qs.load",
                                    "t:error", "t:summary"};
    char **out = qs_xcalloc(sizeof w / sizeof *w, sizeof *out);
    for (size_t i = 0; i < sizeof w / sizeof *w; i++) out[i] = qs_xstrdup(w[i]);
    qs_board_set_words(fk.board, out, sizeof w / sizeof *w);
    return out;
}

int main(int argc, char **argv)
{
    const char *charset = NULL, *style = "conv";
    qs_err err = {0};
    fk.nt = 37;
    for (int c; (c = getopt(argc, argv, "n:c:m:r:d:x:a:")) >= 0;) {
        if (c == 'n') fk.nt = (size_t)atol(optarg);
        if (c == 'c') charset = optarg;
        if (c == 'm') style = optarg;
        if (c == 'd') fr_open(optarg);
        if (c == 'x') fr.error = optarg;
        if (c == 'a') {
            fa.there = fa.recorded = true;
            fa.at = strtod(optarg, NULL);
        }
        for (int i = 0; c == 'r' && i < atoi(optarg); i++)
            ft_add((const char *const[]){"int2/uint2 mse lsq", "int2/uint2 lsq lsq", "int2/uint2 minmax lsq"}[i % 3], 120 + 60 * (i % 3), 300,
                   QS_SNAP_PAUSED);
    }
    setlocale(LC_ALL, "");
    setlocale(LC_NUMERIC, "C");
    fk.t = qs_xcalloc(fk.nt + 1, sizeof *fk.t);
    for (size_t i = 0; i < fk.nt; i++) make_tensor(&fk.t[i], i, style);
    strcpy(fk.sel.model, "/somewhere/face_detection_front.onnx");
    snprintf(fk.sel.tensor, sizeof fk.sel.tensor, "%s", fk.nt > 2 ? fk.t[2].name : "");
    strcpy(fk.sel.format, "int4");
    strcpy(fk.sel.init, "lsq");
    strcpy(fk.sel.view, "hist");
    fk.sel.channel = -1;
    fk.board = qs_board_new(wake, poke, NULL);
    fk.jobs = qs_jobs_start(&(qs_jobs_ops){.run = run, .serve = serve, .idle = idle}, &err);
    words();
    publish();
    qs_jobs_poke(fk.jobs);
    qs_ui_opts o = {.board = fk.board, .jobs = fk.jobs, .history = getenv("FAKE_HISTORY"), .script = getenv("QUANTSCOPE_SCRIPT"),
                    .charset = charset, .colors = getenv("NO_COLOR") ? 0 : -1};
    int code = qs_ui_run(&o, &err);
    if (err.code) fprintf(stderr, "fake: %s: %s\n", qs_code_name(err.code), err.msg);
    qs_jobs_stop(fk.jobs);
    qs_board_free(fk.board);
    for (size_t i = 0; i < fk.nt; i++) free(fk.t[i].x);
    for (size_t i = 0; i < fk.nlog; i++) free(fk.log[i]);
    free(fk.t);
    return code;
}
