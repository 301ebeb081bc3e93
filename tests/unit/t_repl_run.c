/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Runs in the console: Ctrl-C in the middle leaves a consistent run, and exit codes of scripts whose run diverged. */
#include <stdlib.h>

#include "base/mem.h"
#include "bind/repl.h"
#include "../tap.h"

static _Atomic uint64_t cancel_upto;
static uint64_t job;
static long polls, cancel_at;          /* the poll at which somebody presses Ctrl-C; 0: nobody does */
static qs_session *session;
static qs_repl *repl;
static char said[4096];

static int poll_hook(void *ctx, const char *what, double done)
{
    (void)ctx, (void)what, (void)done;
    if (cancel_at && ++polls == cancel_at) atomic_store(&cancel_upto, job);
    return 0;
}

static void sink(void *ctx, char kind, const char *line)
{
    (void)ctx, (void)kind;
    snprintf(said, sizeof said, "%s", line);
}

static void begin(long at)
{
    polls = 0;
    cancel_at = at;
    const qs_ctl ctl = {.cancel_upto = &cancel_upto, .job = ++job, .poll = poll_hook};
    qs_session_set_ctl(session, &ctl);
    said[0] = 0;
}

static int line(const char *text)
{
    begin(0);
    return qs_repl_line(repl, text);
}

static void interrupted_at(long at, const char *what)
{
    line("a = assert(qs.train(net, d, o)); n = 0");
    begin(at);
    int rc = qs_repl_line(repl, what);
    if (rc != -QS_ECANCEL) return;   /* it was over before */
    line("=a.state == 'ready' and a.step <= 8 and #a.history.loss == a.step");
    same(said, "true", "Ctrl-C at poll %ld of %s: the run stands between two steps", at, what);
    line("a:finish(); e = 0; for i = 1, 8 do if a.history.loss[i] ~= b.history.loss[i] then e = e + 1 end end");
    line("=e == 0 and a.state");
    same(said, "done", "and goes on to the same losses");
}

int main(void)
{
    const char *top = getenv("top_srcdir");
    char *data = qs_xasprintf("%s/data", top ? top : ".");
    qs_err err = {0};
    session = qs_session_new();
    repl = qs_repl_new(&(qs_repl_opts){.session = session, .data = data, .sink = sink}, &err);
    if (!ok(repl, "a console: %s", err.msg)) return done();
    /* The thousand test images: whatever is evaluated re-estimates on all there are to train on. */
    char *files = qs_xasprintf("at = '%s/fashion-mnist/t10k-'", data);
    line(files);
    free(files);
    ok(!line("d = assert(qs.dataset{images=at..'images-idx3-ubyte.gz', labels=at..'labels-idx1-ubyte.gz', val=100}) "
             "net = qs.net{input = {1, 28, 28}, qs.conv{6, stride = 3}, qs.batchnorm(), qs.relu(), qs.conv{8, stride = 2}, "
             "qs.batchnorm(), qs.relu(), qs.linear{10}}"), "data and a net: %s", said);
    line("o = {steps=8, batch=16, evaluate=4, quant={weights=2, acts=2, calib=32}}");
    line("b = assert(qs.train(net, d, o)) b:finish()");
    line("=b.state");
    same(said, "done", "the run nobody interrupts");
    for (long at = 1; at < 30; at += TAP_THREADS_ONLY ? 11 : 2) interrupted_at(at, "for s in a:steps() do n = n + 1 end");
    for (long at = 2; at < 30; at += TAP_THREADS_ONLY ? 20 : 7) interrupted_at(at, "a:finish()");
    begin(2);
    ok(qs_repl_line(repl, "c = qs.train(net, d, o)") == -QS_ECANCEL, "Ctrl-C while a run is made");
    line("=c");
    same(said, "nil", "there is none");

    line("wild = {steps=10, batch=16, lr=1e9, schedule='constant'}");
    begin(0);
    ok(qs_repl_chunk(repl, "r = qs.train(net, d, o) assert(r:finish())", "=x") == 0, "a run that ends well: 0: %s", said);
    begin(0);
    ok(qs_repl_chunk(repl, "assert(qs.train(net, d, wild):finish())", "=x") == 4, "a script that dies of divergence: 4: %s", said);
    begin(0);
    ok(qs_repl_chunk(repl, "for s in qs.train(net, d, wild):steps() do end", "=x") == 4, "one that does not look: 4: %s", said);
    ok(strstr(said, "EDIVERGED") == said, "and why is said: %s", said);
    begin(0);
    ok(qs_repl_chunk(repl, "error 'other'", "=x") == 1, "another error: 1: %s", said);
    begin(0);
    ok(qs_repl_chunk(repl, "assert(qs.dataset{images='nowhere.npy'})", "=x") == 3, "a data file that is missing: 3: %s", said);
    qs_repl_free(repl);
    qs_session_free(session);
    free(data);
    return done();
}
