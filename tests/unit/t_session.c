/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The session: models by path, selection and undo, steps by hand, pin, errors that change nothing, cancelling. */
#include "engine_help.h"

static qs_session *with_model(void)
{
    qs_session *s = qs_session_new();
    qs_err err = {0};
    if (!qs_session_open(s, small_model("a.safetensors", 1), &err)) printf("# %s\n", err.msg);
    return s;
}

static void is_selected(const qs_session *s, const char *tensor, const char *format, const char *init, const char *what)
{
    const qs_selected *c = qs_session_selected(s);
    bool good = !strcmp(c->tensor, tensor) && !strcmp(c->format, format) && !strcmp(c->init, init);
    ok(good, "%s", what);
    if (!good) printf("# got %s, %s, %s\n", c->tensor, c->format, c->init);
}

static double step_of(qs_session *s, size_t part)
{
    qs_quantizer *q = qs_session_cur_quantizer(s, NULL, NULL);
    return q && part < q->parts ? q->step[part] : NAN;
}

static void models(void)
{
    qs_session *s = qs_session_new();
    qs_err err = {0};
    ok(qs_session_models(s) == 0 && !qs_session_cur_tensor(s), "no model, no tensor");
    ok(!qs_session_cur_quantizer(s, NULL, &err) && err.code == QS_ESTATE, "and no quantizer");
    ok(select_text(s, QS_PICK_TENSOR, "fc1", &err) == -QS_ESTATE, "no tensor can be selected");
    const char *path = small_model("a.safetensors", 1);
    qs_model *m = qs_session_open(s, path, &err);
    ok(m && qs_session_open(s, path, NULL) == m && qs_session_models(s) == 1, "the same path is the same model");
    is_selected(s, "fc1", "int4", "mse", "the first quantized tensor is selected, int4 and mse");
    same(qs_session_selected(s)->learn, "lsq", "learn lsq");
    ok(qs_session_selected(s)->channel == -1 && qs_session_selected(s)->parts == 1, "one part");
    small_model("b.safetensors", 7);
    ok(rename(scratch_file("b.safetensors"), path) == 0, "the file is written anew");
    qs_model *n = qs_session_open(s, path, NULL);
    ok(n && n != m && qs_session_models(s) == 2, "that is another model");
    ok(qs_session_cur_model(s) == m, "opening another one changes no selection");
    ok(!qs_session_open(s, scratch_file("none.safetensors"), &err) && err.code == QS_EIO, "a missing file is EIO");
    qs_session_free(s);
}

static void selecting(void)
{
    qs_session *s = with_model();
    qs_err err = {0};
    double before = step_of(s, 0);
    ok(before > 0, "the quantizer is computed when needed");
    ok(!select_text(s, QS_PICK_TENSOR, "fc2", &err), "another tensor");
    is_selected(s, "fc2", "int4", "mse", "keeps format and init");
    ok(!select_text(s, QS_PICK_INIT, "lsq", &err) && !select_text(s, QS_PICK_FORMAT, "int3", &err), "init, then format");
    is_selected(s, "fc2", "int3", "lsq", "the format keeps the init");
    ok(!undo(s, NULL) && !undo(s, NULL) && !undo(s, NULL), "three undos");
    is_selected(s, "fc1", "int4", "mse", "undo leads back");
    ok(step_of(s, 0) == before, "to the same step");
    ok(undo(s, &err) == -QS_ESTATE, "then there is nothing to undo");
    select_text(s, QS_PICK_INIT, "mse", NULL);
    select_text(s, QS_PICK_VIEW, "map", NULL);
    ok(undo(s, NULL) == -QS_ESTATE, "no change and a view leave nothing to undo");
    same(qs_session_selected(s)->view, "map", "but the view is there");
    qs_session_free(s);
}

static void refused(void)
{
    static const struct { unsigned field; const char *text; int code; const char *names; } bad[] = {
        {QS_PICK_MODEL, "/nowhere/x.onnx", QS_EIO, "model"},     {QS_PICK_TENSOR, "fc9", QS_EARG, "tensor"},
        {QS_PICK_FORMAT, "int99", QS_EFORMAT, "format"},         {QS_PICK_FORMAT, "apot8", QS_EUNSUP, "format"},
        {QS_PICK_FORMAT, "int4@channel7", QS_EARG, "format"},    {QS_PICK_INIT, "nothing", QS_EARG, "init"},
        {QS_PICK_INIT, "lsq+:nonsense", QS_EARG, "init"},        {QS_PICK_LEARN, "fast", QS_EARG, "learn"},
        {QS_PICK_VIEW, "window", QS_EARG, "view"},
    };
    qs_session *s = with_model();
    qs_err err;
    select_text(s, QS_PICK_INIT, "octav", NULL);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        err = (qs_err){0};
        int rc = select_text(s, bad[i].field, bad[i].text, &err);
        ok(rc == -bad[i].code && !strncmp(err.msg, bad[i].names, strlen(bad[i].names)), "%s %s is refused: %s",
           bad[i].names, bad[i].text, err.msg);
    }
    qs_pick p = {.set = QS_PICK_TENSOR | QS_PICK_FORMAT, .tensor = "fc2", .format = "int4x"};
    ok(qs_session_select(s, &p, &err) < 0, "one wrong field refuses the whole pick");
    is_selected(s, "fc1", "int4", "octav", "and nothing has changed");
    ok(select_step(s, -1, &err) == -QS_EARG && select_step(s, NAN, &err) == -QS_EARG, "a step is above 0");
    ok(qs_session_select(s, &(qs_pick){.set = QS_PICK_OFFSET, .offset = 1}, &err) == -QS_EARG, "int4 has no offset");
    is_selected(s, "fc1", "int4", "octav", "still nothing has changed");
    ok(!undo(s, NULL) && undo(s, NULL) < 0, "nor is there more to undo");
    qs_session_free(s);
}

static void not_quantized(void)
{
    qs_session *s = with_model();
    qs_err err = {0};
    ok(!select_text(s, QS_PICK_TENSOR, "bias", &err), "a bias can be selected");
    ok(!qs_session_cur_quantizer(s, NULL, &err) && err.code == QS_EUNSUP && strstr(err.msg, "bias"),
       "but has no quantizer: %s", err.msg);
    ok(select_step(s, 0.1, &err) == -QS_EUNSUP, "nor a step");
    qs_session_free(s);
}

static void by_hand(void)
{
    qs_session *s = with_model();
    ok(!select_step(s, 0.25, NULL), "a step by hand");
    is_selected(s, "fc1", "int4", "by hand", "is the init now");
    ok(step_of(s, 0) == 0.25, "as given");
    select_text(s, QS_PICK_FORMAT, "int8", NULL);
    near(step_of(s, 0), 0.25 * 8 / 128, 1e-15, "another format keeps the clip");
    is_selected(s, "fc1", "int8", "by hand", "and is by hand");
    select_text(s, QS_PICK_TENSOR, "fc2", NULL);
    is_selected(s, "fc2", "int8", "mse", "the next tensor starts from the named init");
    undo(s, NULL);
    near(step_of(s, 0), 0.25 * 8 / 128, 1e-15, "undo brings the step back");
    select_text(s, QS_PICK_INIT, "lsq", NULL);
    is_selected(s, "fc1", "int8", "lsq", "a named init ends it");
    qs_session_free(s);
}

static void channels(void)
{
    qs_session *s = with_model();
    double was[8], now;
    select_channel(s, 5);
    ok(qs_session_selected(s)->channel == -1, "one part has no channels");
    ok(!select_text(s, QS_PICK_FORMAT, "int4@channel", NULL), "@channel");
    ok(qs_session_selected(s)->parts == 8, "8 parts");
    select_channel(s, 100);
    ok(qs_session_selected(s)->channel == 7, "a channel is clamped");
    for (size_t i = 0; i < 8; i++) was[i] = step_of(s, i);
    ok(was[0] != was[7] && qs_session_selected(s)->step == was[7], "each has its step; the one looked at is shown");
    select_step(s, 2 * was[7], NULL);
    ok(step_of(s, 7) == 2 * was[7] && step_of(s, 3) == was[3], "a step by hand moves the channel looked at");
    undo(s, NULL);
    select_channel(s, -1);
    now = qs_session_selected(s)->step;
    select_step(s, 1.5 * now, NULL);
    near(qs_session_selected(s)->step, 1.5 * now, 1e-12, "all parts together: the median is the step given");
    near(step_of(s, 3), 1.5 * was[3], 1e-12, "and all are scaled");
    select_text(s, QS_PICK_FORMAT, "int4", NULL);
    near(step_of(s, 0), 1.5 * now, 1e-12, "to fewer parts: the median clip");
    qs_session_free(s);
}

static void offsets(void)
{
    qs_session *s = with_model();
    ok(!select_text(s, QS_PICK_FORMAT, "uint4+zp", NULL), "uint4+zp");
    double step = step_of(s, 0), z = -qs_session_selected(s)->offset / step;
    near(z, nearbyint(z), 1e-9, "the zero point is an integer");
    select_step(s, 1.1 * step, NULL);
    near(-qs_session_selected(s)->offset / (1.1 * step), nearbyint(z), 1e-9, "a step by hand keeps the zero point");
    select_text(s, QS_PICK_FORMAT, "uint4+offset", NULL);
    double offset = qs_session_selected(s)->offset;
    ok(!qs_session_select(s, &(qs_pick){.set = QS_PICK_OFFSET, .offset = offset - 0.125}, NULL), "an offset by hand");
    near(qs_session_selected(s)->offset, offset - 0.125, 1e-12, "as given");
    near(step_of(s, 0), 1.1 * step, 1e-12, "keeps the step");
    qs_session_free(s);
}

static void kept_but_unfit(void)
{
    qs_session *s = with_model();
    qs_err err = {0};
    ok(!select_text(s, QS_PICK_INIT, "sawb", NULL), "sawb on int4");
    ok(!select_text(s, QS_PICK_FORMAT, "int7", &err), "a format it does not apply to can be chosen");
    ok(!qs_session_cur_quantizer(s, NULL, &err) && err.msg[0], "there is no quantizer then: %s", err.msg);
    qs_pick p = {.set = QS_PICK_INIT, .init = "sawb"};
    ok(qs_session_select(s, &p, &err) < 0, "naming it there is an error");
    qs_session_free(s);
}

static void pins(void)
{
    qs_session *s = with_model();
    qs_err err = {0};
    qs_pick pin = {.set = QS_PICK_PIN};
    ok(!qs_session_select(s, &pin, &err), "pinned");
    ok(undo(s, NULL) == -QS_ESTATE, "a pin is not for undo");
    ok(!qs_session_select(s, &pin, &err), "let go");
    select_text(s, QS_PICK_TENSOR, "bias", NULL);
    ok(qs_session_select(s, &pin, &err) < 0 && !strncmp(err.msg, "pin", 3),
       "there must be a quantizer to pin: %s", err.msg);
    qs_session_free(s);
}

static void other_models(void)
{
    qs_session *s = with_model();
    qs_tensor *t[] = {bell_tensor("fc0", 4, 4, 3), bell_tensor("fc2", 6, 40, 4)};
    const char *path = scratch_file("b.safetensors");
    save(path, t, 2);
    select_text(s, QS_PICK_TENSOR, "fc2", NULL);
    ok(!select_text(s, QS_PICK_MODEL, path, NULL) && qs_session_models(s) == 2, "another model is opened and selected");
    is_selected(s, "fc2", "int4", "mse", "at the tensor of the same name");
    undo(s, NULL);
    select_text(s, QS_PICK_TENSOR, "fc1", NULL);
    select_text(s, QS_PICK_MODEL, path, NULL);
    is_selected(s, "fc0", "int4", "mse", "or at its first one");
    qs_session_free(s);
}

static int polled;
static char said[120];
static int count_poll(void *ctx, const char *what, double done_)
{
    (void)ctx, (void)done_;
    snprintf(said, sizeof said, "%s", what);
    polled++;
    return 0;
}

static void headless(void)
{
    qs_session *s = with_model();
    qs_err err = {0};
    _Atomic uint64_t word = 0;
    ok(qs_session_ctl(s) && !qs_cancelled(qs_session_ctl(s)), "without a screen there is a ctl that cancels nothing");
    qs_session_set_ctl(s, &(qs_ctl){.cancel_upto = &word, .job = 3, .poll = count_poll});
    ok(!qs_ctl_check(qs_session_ctl(s), "x", 0.5, &err) && polled == 1, "progress is passed on");
    qs_session_who(s, "mse");
    ok(!qs_ctl_check(qs_session_ctl(s), "training", 0.5, &err) && !strcmp(said, "mse: training"), "with whose work it is");
    qs_session_who(s, NULL);
    ok(!qs_ctl_check(qs_session_ctl(s), "x", 0.5, &err) && !strcmp(said, "x"), "and without");
    atomic_store(&word, 3);
    ok(qs_ctl_check(qs_session_ctl(s), "x", 0.5, &err) == -QS_ECANCEL, "Ctrl-C is seen");
    qs_session_publish(s, true);
    qs_session_serve(s);
    ok(!qs_session_idle(s), "without a screen there is nothing to publish, serve or fill in");
    qs_session_free(s);
    qs_session_free(NULL);
}

int main(void)
{
    models();
    selecting();
    refused();
    not_quantized();
    by_hand();
    channels();
    offsets();
    kept_but_unfit();
    pins();
    other_models();
    headless();
    scratch_clean();
    return done();
}
