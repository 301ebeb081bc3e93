/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Work without a screen: the session, Ctrl-C, the progress line, and how a
 * command finds its model and tensors. Knows no command.
 */
#include <fnmatch.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/app.h"
#include "base/mem.h"
#include "base/text.h"
#include "bind/repl.h"
#include "quant/init.h"

/* ---- Ctrl-C: cancel compares ids, see base/sync.h --------------------------------------- */
static _Atomic uint64_t cancel_upto;
static _Atomic uint64_t job = 1;

/* The first stops the work, where it next asks; the second the program. */
static void on_interrupt(int sig)
{
    if (atomic_load(&cancel_upto) >= atomic_load(&job)) {
        signal(sig, SIG_DFL);
        raise(sig);
    }
    atomic_store(&cancel_upto, atomic_load(&job));
}

static void catch_interrupt(void)
{
    struct sigaction sa = {.sa_handler = on_interrupt};
    sigemptyset(&sa.sa_mask);
    sigaction(SIGINT, &sa, NULL);
}

/* ---- progress --------------------------------------------------------------------------- */
static bool progress_shown;

static bool progress_wanted(void)
{
    const char *term = getenv("TERM");
    return isatty(STDERR_FILENO) && term && strcmp(term, "dumb");
}

static int show_progress(void *ctx, const char *what, double done)
{
    static double last;
    double now = qs_now();
    (void)ctx;
    if (now - last < 0.1) return 0;
    last = now;
    progress_shown = true;
    if (done >= 0 && done <= 1) fprintf(stderr, "\r\033[K%.60s %3.0f %%", what, 100 * done);
    else fprintf(stderr, "\r\033[K%.60s", what);
    fflush(stderr);
    return 0;
}

void qs_progress_clear(void)
{
    if (progress_shown) fputs("\r\033[K", stderr);
    progress_shown = false;
}

/* ---- session ------------------------------------------------------------------------------ */
static void set_ctl(qs_headless *h)
{
    qs_ctl ctl = {.cancel_upto = &cancel_upto, .job = atomic_load(&job)};
    if (progress_wanted()) ctl.poll = show_progress;
    qs_session_set_ctl(h->session, &ctl);
}

int qs_headless_open(qs_headless *h)
{
    *h = (qs_headless){.session = qs_session_new()};
    catch_interrupt();
    set_ctl(h);
    return 0;
}

void qs_headless_again(qs_headless *h)
{
    atomic_fetch_add(&job, 1);
    set_ctl(h);
}

int qs_headless_lua(qs_headless *h, bool config)
{
    qs_err err = {0};
    char *data = qs_path_data("");
    qs_repl_opts o = {.session = h->session, .data = data, .program = "/proc/self/exe"};
    h->repl = qs_repl_new(&o, &err);
    free(data);
    if (!h->repl) return qs_say_err(&err);
    char *path = config ? qs_path_config() : NULL;
    if (path && !access(path, F_OK) && qs_repl_file(h->repl, path, 0, NULL))
        qs_say(_("%s failed; going on without the rest of it"), path);
    free(path);
    return 0;
}

void qs_headless_close(qs_headless *h)
{
    qs_progress_clear();
    if (h->repl) qs_repl_free(h->repl);
    qs_session_free(h->session);
    *h = (qs_headless){0};
}

/* ---- commands that are written in Lua ------------------------------------------------------- */
void qs_pairs_put(qs_pairs *p, const char *key, const char *value)
{
    if (!value) return;
    p->v[p->n++] = key;
    p->v[p->n++] = value;
}

void qs_pairs_number(qs_pairs *p, const char *key, bool given, double v)
{
    if (!given) return;
    char *b = p->number[p->nnumber++];
    snprintf(b, sizeof p->number[0], "%.17g", v);
    qs_pairs_put(p, key, b);
}

int qs_headless_command(const qs_args *a, const char *module, const qs_pairs *p, char **text)
{
    qs_headless h;
    qs_err err = {0};
    *text = NULL;
    int code = qs_headless_open(&h);
    if (!code) code = qs_headless_lua(&h, !a->no_config);
    if (!code && qs_repl_call(h.repl, module, "command", p->v, text, &err)) code = qs_say_err(&err);
    qs_headless_close(&h);
    return code;
}

/* ---- model and tensors ---------------------------------------------------------------------- */
qs_model *qs_headless_model(qs_headless *h, const qs_args *a, int *code)
{
    qs_err err = {0};
    if (a->nrest != 1) {
        *code = a->nrest ? qs_usage(_("%s takes one MODEL, not %d"), a->command, a->nrest)
                         : qs_usage(_("%s needs a MODEL"), a->command);
        return NULL;
    }
    qs_model *m = qs_session_open(h->session, a->rest[0], &err);
    if (!m) *code = qs_say_file(&err);
    return m;
}

qs_model *qs_headless_other(qs_headless *h, const char *path, int *code)
{
    qs_err err = {0};
    qs_model *m = path ? qs_session_open(h->session, path, &err) : NULL;
    if (path && !m) *code = qs_say_file(&err);
    return m;
}

/* Whether pattern p chooses t among those that are listed by default. */
static bool chooses(const char *p, const qs_tensor *t, bool every)
{
    if (!strcmp(p, t->name)) return true;
    return !fnmatch(p, t->name, 0) && (every || !qs_tensor_reason(t));
}

/* Why p chose nothing. */
static int nothing_chosen(const char *p, const qs_model *m)
{
    for (size_t i = 0; i < m->n; i++) {
        const qs_tensor *t = m->tensors[i];
        if (fnmatch(p, t->name, 0)) continue;
        qs_say(_("%s: --tensor %s matches only tensors that are left as they are, as %s (%s); a whole name takes it"),
               m->path, p, t->name, _(qs_tensor_reason(t)));
        return QS_EXIT_FAIL;
    }
    qs_say(_("%s: no tensor matches --tensor %s; `quantscope list %s` shows the names"), m->path, p, m->path);
    return QS_EXIT_FAIL;
}

int qs_choose_tensors(const qs_args *a, const qs_model *m, bool every, qs_tensor ***out, size_t *n)
{
    *out = qs_xcalloc(m->n + 1, sizeof **out);
    *n = 0;
    bool *hit = qs_xcalloc(a->ntensor + 1, sizeof *hit);
    for (size_t i = 0; i < m->n; i++) {
        qs_tensor *t = m->tensors[i];
        bool take = !a->ntensor && (every || !qs_tensor_reason(t));
        for (size_t k = 0; k < a->ntensor; k++) {
            bool c = chooses(a->tensor[k], t, every);
            hit[k] |= c;
            take |= c;
        }
        if (take) (*out)[(*n)++] = t;
    }
    int code = 0;
    for (size_t k = 0; k < a->ntensor && !code; k++) {
        if (!hit[k]) code = nothing_chosen(a->tensor[k], m);
    }
    free(hit);
    if (code) {
        free(*out);
        *out = NULL;
    }
    return code;
}

char **qs_cut_list(const char *s, size_t *n)
{
    size_t len = strlen(s), max = len + 2;
    char **list = qs_xcalloc(1, max * sizeof *list + len + 1);
    char *text = memcpy((char *)(list + max), s, len + 1);
    int depth = 0;
    *n = 0;
    list[(*n)++] = text;
    for (char *p = text; *p; p++) {
        if (*p == '(') depth++;
        if (*p == ')') depth--;
        if (*p != ',' || depth > 0) continue;
        *p = '\0';
        list[(*n)++] = p + 1;
    }
    return list;
}

/* ---- formats and initializations on tensors --------------------------------------------------- */
/* --format and --init: lists with commas. An exit code, the mistake said. */
static int read_formats(const char *list, qs_format ***f, size_t *nf)
{
    qs_err err = {0};
    size_t n;
    int code = 0;
    char **text = qs_cut_list(list, &n);
    *f = qs_xcalloc(n, sizeof **f);
    for (size_t i = 0; i < n && !code; i++) {
        (*f)[i] = qs_format_parse(text[i], &err);
        if ((*f)[i]) ++*nf;
        else code = qs_usage("--format: %s", err.msg);
    }
    free(text);
    return code;
}

static int read_inits(const char *list, char ***init, size_t *ninit)
{
    if (!list) return 0;
    *init = qs_cut_list(list, ninit);
    for (size_t i = 0; i < *ninit; i++) {
        if (qs_init_named((*init)[i])) continue;
        qs_str known = {0};
        for (size_t k = 0; k < qs_init_count(); k++) qs_str_addf(&known, "%s%s", k ? ", " : "", qs_init_at(k)->name);
        int code = qs_usage(_("--init: no initialization is called \"%s\"; there are %s"), (*init)[i], known.s ? known.s : "");
        free(known.s);
        return code;
    }
    return 0;
}

int qs_asked_open(qs_asked *q, const qs_args *a, const char *formats, size_t most)
{
    *q = (qs_asked){0};
    int code = qs_headless_open(&q->h);
    if (!code) code = qs_headless_lua(&q->h, !a->no_config);
    if (!code) code = read_formats(a->format ? a->format : formats, &q->f, &q->nf);
    if (!code && q->nf > most) code = qs_usage(_("--format: at most %zu"), most);
    if (!code) code = read_inits(a->init, &q->init, &q->ninit);
    if (!code) q->m = qs_headless_model(&q->h, a, &code);
    if (q->m) code = qs_choose_tensors(a, q->m, false, &q->t, &q->nt);
    return code;
}

int qs_asked_nothing(const qs_asked *q, const qs_args *a)
{
    if (a->json) puts("[]");
    qs_say(_("%s: no tensor here is quantized (floating, two or more dimensions); --tensor NAME takes one anyway"), q->m->path);
    return QS_EXIT_FAIL;
}

void qs_asked_close(qs_asked *q)
{
    for (size_t i = 0; i < q->nf; i++) qs_format_free(q->f[i]);
    free(q->f);
    free(q->t);
    free(q->init);
    qs_headless_close(&q->h);
}
