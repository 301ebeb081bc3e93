/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * PyTorch files: what torch.save wrote (tests/fuzz/corpus/torch; types and protocols: tests/cli/torch.t) is read, pickles that
 * are wrong or hostile are named errors, quickly. Truncation at every byte is in t_hostile.
 */
#include "files.h"
#include "zips.h"
#include "../tap.h"

static char *dir, *path;

/* ---- what torch wrote --------------------------------------------------------------------------- */
static bool has(const qs_model *m, const char *name, const double *want, size_t n)
{
    const qs_tensor *t = m ? qs_model_find(m, name) : NULL;
    bool good = t && t->n == n;
    for (size_t i = 0; good && i < n; i++) good = qs_tensor_at(t, i) == want[i];
    return good;
}

static void written_by_torch(const char *name)
{
    qs_err e = {0};
    char *file = in_source(name);
    qs_model *m = qs_model_open(file, &e);
    ok(m && m->n == 5 && !strcmp(m->format, "torch") && !strcmp(m->tensors[0]->name, "weight"), "%s %s", name, e.msg);
    ok(has(m, "weight", (double[]){-1, -0.875, -0.75, -0.625, -0.5, -0.375}, 6), "its values");
    ok(has(m, "turned", (double[]){-1, -0.625, -0.875, -0.5, -0.75, -0.375}, 6), "a transposed one");
    ok(has(m, "part", (double[]){-0.875, -0.75, -0.5, -0.375}, 4), "a part of one");
    ok(has(m, "half", (double[]){-1, -0.875, -0.75, -0.625}, 4) && qs_model_find(m, "half")->dtype == QS_BF16, "BF16");
    const qs_tensor *same = m ? qs_model_find(m, "same") : NULL, *part = m ? qs_model_find(m, "part") : NULL;
    ok(same && part->data == same->data + 4 && part->blob == same->blob, "a shared storage is not copied");
    qs_model_unref(m);
    free(file);
}

static void checkpoint(const char *name)
{
    qs_err e = {0};
    char *file = in_source(name);
    qs_model *m = qs_model_open(file, &e);
    ok(m && m->n == 1 && has(m, "w", (double[]){-1, -0.875, -0.75, -0.625}, 4), "%s: the tensors of state_dict %s", name, e.msg);
    ok(m && m->note && strstr(m->note, "\"state_dict\"") && strstr(m->note, "epoch, optimizer"), "%s", m && m->note ? m->note : "no note");
    qs_model_unref(m);
    free(file);
}

/* ---- pickles by hand --------------------------------------------------------------------------------- */
/* As data.pkl of a zip file, with a storage "0" of six floats, 0 to 5. */
static qs_model *open_pickle(const void *p, size_t n, const char *order, qs_err *err)
{
    const float six[] = {0, 1, 2, 3, 4, 5};
    qs_str s = {0};
    zip_make(&s, (zip_entry[]){ENTRY("m/data.pkl", p, n, .flags = 0), ENTRY("m/byteorder", order, strlen(order), .flags = 0),
                               ENTRY("m/data/0", six, sizeof six, .flags = 0)}, 3);
    qs_model *m = open_bytes(path, s.s, s.n, err);
    free(s.s);
    return m;
}

static void refuse(const char *what, const void *p, size_t n, int code, const char *message)
{
    qs_err e;
    qs_model *m = open_pickle(p, n, "little", &e);
    ok(!m && e.code == code && strstr(e.msg, message) && strstr(e.msg, path), "%s: %s", what, e.msg);
    qs_model_unref(m);
}

#define REFUSE(what, text, code, message) refuse(what, text, sizeof text - 1, code, message)

static void names(void)
{
    REFUSE("a global", "\x80\x02" "cos\nsystem\nX\2\0\0\0ls\x85R.", QS_EUNSUP, "os.system");
    REFUSE("one that is only named", "\x80\x02}(X\1\0\0\0aK\1X\1\0\0\0bcposix\nsystem\nu.", QS_EUNSUP, "posix.system");
    REFUSE("from the stack", "\x80\x04\x8c\x08" "builtins\x8c\x04" "eval\x93\x8c\x01x\x85R.", QS_EUNSUP, "builtins.eval");
    REFUSE("an instance", "(ios\nsystem\n.", QS_EUNSUP, "os.system");
    REFUSE("an object", "(c__builtin__\nexec\nVx\no.", QS_EUNSUP, "__builtin__.exec");
    REFUSE("torch's own", "ctorch.hub\nload\n)R.", QS_EUNSUP, "torch.hub.load");
    REFUSE("the beginning of a name", "ctorch\nFloat\n)R.", QS_EUNSUP, "torch.Float");
    REFUSE("with control characters", "cos\x1b[2J\nsystem\n)R.", QS_EUNSUP, "os?[2J.system");
    REFUSE("an extension", "\x82\1.", QS_EUNSUP, "0x82");
    REFUSE("a buffer beside", "\x80\x05\x97.", QS_EUNSUP, "0x97");
}

static void machine(void)
{
    REFUSE("nothing", "", QS_EFORMAT, "cut short");
    REFUSE("no opcode", "\x80\2\xff.", QS_EFORMAT, "0xff");
    REFUSE("no value", "\x80\2.", QS_EFORMAT, "more or less than one");
    REFUSE("two values", "NN.", QS_EFORMAT, "more or less than one");
    REFUSE("a mark left", "(N.", QS_EFORMAT, "more or less than one");
    REFUSE("a pop of nothing", "0.", QS_EFORMAT, "more than there is");
    REFUSE("no mark", "t.", QS_EFORMAT, "needs a mark");
    REFUSE("a tuple of too few", "N\x87.", QS_EFORMAT, "more than there is");
    REFUSE("across a mark", "N(a.", QS_EFORMAT, "more than there is");
    REFUSE("a key alone", "}(Nu.", QS_EFORMAT, "key without");
    REFUSE("items of a number", "K\1Na.", QS_EFORMAT, "items for");
    REFUSE("a memo that is empty", "h\1.", QS_EFORMAT, "no such");
    REFUSE("a memo of 4 billion", "Nr\xff\xff\xff\xff.", QS_EFORMAT, "without cause");
    REFUSE("a memo number with letters", "Np1x\n.", QS_EFORMAT, "bad number");
    REFUSE("text beyond the end", "X\xff\xff\xff\xff" "a.", QS_EFORMAT, "cut short");
    REFUSE("text of 2^64 bytes", "\x8d\xff\xff\xff\xff\xff\xff\xff\xff" "a.", QS_EFORMAT, "cut short");
    REFUSE("an integer beyond the end", "\x8b\xff\xff\xff\xff" "a.", QS_EFORMAT, "cut short");
    REFUSE("a number of letters", "I12x\n.", QS_EFORMAT, "bad number");
    REFUSE("arguments that are none", "ctorch\nSize\nNR.", QS_EFORMAT, "no tuple");
    REFUSE("a value that holds no tensors", "K\1.", QS_EUNSUP, "neither a tensor");
}

/* ---- bombs ------------------------------------------------------------------------------------------------ */
static void bombs(void)
{
    qs_err e;
    qs_str s = {0};
    qs_model *m = open_pickle("]q\0h\0a.", 7, "little", &e);
    ok(m && !m->n, "a list that holds itself %s", e.msg);
    qs_model_unref(m);

    qs_str_add(&s, "]q");
    qs_str_addn(&s, "\0", 1);
    for (int i = 1; i < 60; i++) { /* each list holds the one before it four times */
        qs_str_add(&s, "](");
        for (int k = 0; k < 4; k++) qs_str_addn(&s, (const char[]){'h', (char)(i - 1)}, 2);
        qs_str_addn(&s, (const char[]){'e', 'q', (char)i}, 3);
    }
    for (int i = 1; i < 60; i++) qs_str_add(&s, "\x86"); /* one value is left */
    qs_str_add(&s, ".");
    m = open_pickle(s.s, s.n, "little", &e);
    ok(m && !m->n, "four times four times four ..., sixty times over %s", e.msg);
    qs_model_unref(m);

    s.n = 0;
    for (int i = 0; i < 200000; i++) qs_str_add(&s, "]");
    for (int i = 1; i < 200000; i++) qs_str_add(&s, "a");
    qs_str_add(&s, ".");
    refuse("lists 200000 deep", s.s, s.n, QS_EFORMAT, "deeper than 64");
    s.n = 0;
    for (int i = 0; i < 200000; i++) qs_str_add(&s, "(");
    qs_str_add(&s, ".");
    refuse("marks 200000 deep", s.s, s.n, QS_EFORMAT, "more or less than one");
    s.n = 0;
    for (unsigned i = 0; i < 4000001 && !TAP_SANITIZED; i++) qs_str_addn(&s, "N", 1);
    if (!TAP_SANITIZED) refuse("four million values and one", s.s, s.n, QS_ENOMEM, "more than 4000000");
    free(s.s);
}

/* ---- tensors ------------------------------------------------------------------------------------------------- */
static char *tensor(const char *storage, const char *rest)
{
    return qs_xasprintf("ctorch._utils\n_rebuild_tensor_v2\n((%stQ%sI00\nNtR.", storage, rest);
}

#define SIX "Vstorage\nctorch\nFloatStorage\nV0\nVcpu\nI6\n"

static void tensors(void)
{
    const struct { const char *what, *storage, *rest, *message; } bad[] = {
        {"another key", "Vstorage\nctorch\nFloatStorage\nV1\nVcpu\nI6\n", "I0\n(I6\nt(I1\nt", "no entry m/data/1"},
        {"a key that climbs", "Vstorage\nctorch\nFloatStorage\nV../data.pkl\nVcpu\nI1\n", "I0\n(I1\nt(I1\nt", "no entry"},
        {"a storage that is larger than its bytes", "Vstorage\nctorch\nFloatStorage\nV0\nVcpu\nI7\n", "I0\n(I6\nt(I1\nt", "has 24 bytes"},
        {"a storage of 2^62", "Vstorage\nctorch\nDoubleStorage\nV0\nVcpu\nI4611686018427387904\n", "I0\n(I6\nt(I1\nt", "has 24 bytes"},
        {"a storage less than empty", "Vstorage\nctorch\nFloatStorage\nV0\nVcpu\nI-1\n", "I0\n(I6\nt(I1\nt", "without a storage"},
        {"a storage of no type", "Vstorage\nVx\nV0\nVcpu\nI6\n", "I0\n(I6\nt(I1\nt", "of no type"},
        {"no storage", "Vmodule\nctorch\nFloatStorage\nV0\nVcpu\nI6\n", "I0\n(I6\nt(I1\nt", "without a storage"},
        {"a beginning beyond", SIX, "I7\n(I0\nt(I1\nt", "beyond its storage"},
        {"a negative beginning", SIX, "I-1\n(I6\nt(I1\nt", "without storage, offset"},
        {"a shape beyond", SIX, "I1\n(I6\nt(I1\nt", "beyond the data"},
        {"strides beyond", SIX, "I0\n(I2\nI2\nt(I5\nI1\nt", "beyond the data"},
        {"a stride of 2^62", SIX, "I0\n(I2\nI3\nt(I4611686018427387904\nI1\nt", "beyond the data"},
        {"a shape of 2^64", SIX, "I0\n(I4294967296\nI4294967296\nt(I0\nI0\nt", "any machine"},
        {"a shape of 2^60 of the same", SIX, "I0\n(I1073741824\nI1073741824\nt(I0\nI0\nt", "1024 times"},
        {"a negative shape", SIX, "I0\n(I-6\nt(I1\nt", "0 or more"},
        {"a shape of text", SIX, "I0\n(V6\nt(I1\nt", "0 or more"},
        {"no shape", SIX, "I0\nN(I1\nt", "no tuple"},
        {"other strides than axes", SIX, "I0\n(I6\nt(I1\nI1\nt", "not as many"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char *p = tensor(bad[i].storage, bad[i].rest);
        refuse(bad[i].what, p, strlen(p), QS_EFORMAT, bad[i].message);
        free(p);
    }
    REFUSE("a tensor without arguments", "ctorch._utils\n_rebuild_tensor_v2\n)R.", QS_EFORMAT, "without storage");
    REFUSE("a parameter of nothing", "ctorch._utils\n_rebuild_parameter\n)R.", QS_EFORMAT, "makes no tensor");
}

static void sound(void)
{
    qs_err e;
    char *p = tensor(SIX, "I1\n(I2\nI2\nt(I1\nI3\nt");
    qs_model *m = open_pickle(p, strlen(p), "little", &e);
    ok(m && has(m, "t", (double[]){1, 4, 2, 5}, 4), "a tensor on its own, with strides %s", e.msg);
    qs_model_unref(m);
    m = open_pickle(p, strlen(p), "big", &e);
    ok(m && m->tensors[0]->swapped, "a file marked as big-endian");
    qs_model_unref(m);
    free(p);
    p = tensor(SIX, "I0\n(I1\nI1\nI1\nI1\nI1\nI1\nI1\nI1\nI6\nt(I6\nI6\nI6\nI6\nI6\nI6\nI6\nI6\nI1\nt");
    m = open_pickle(p, strlen(p), "little", &e);
    ok(m && !m->tensors[0]->dtype, "nine axes are listed, and not read %s", e.msg);
    qs_model_unref(m);
    free(p);
    static const char f8[] = "ctorch._utils\n_rebuild_tensor_v3\n((Vstorage\nctorch.storage\nUntypedStorage\nV0\nVcpu\nI24\ntQI4\n(I4\nt(I1\nt"
                             "I00\nNctorch\nfloat8_e4m3fn\ntR.";
    m = open_pickle(f8, sizeof f8 - 1, "little", &e);
    ok(m && m->tensors[0]->dtype == QS_F8_E4M3 && qs_tensor_at(m->tensors[0], 3) == 1.875, "F8 in an untyped storage %s", e.msg);
    qs_model_unref(m);
}

/* Two tensors whose dotted names are the same; a name longer than any. */
static void dotted(void)
{
    qs_str s = {0};
    char *t = tensor(SIX, "I0\n(I6\nt(I1\nt");
    t[strlen(t) - 1] = '\0'; /* without its end */
    qs_str_addf(&s, "(Va.b\n%sVa\n(Vb\n%sdd.", t, t);
    refuse("two of one name", s.s, s.n, QS_EFORMAT, "two tensors are called a.b");
    s.n = 0;
    qs_str_add(&s, "(V");
    for (int i = 0; i < 600; i++) qs_str_add(&s, "n");
    qs_str_addf(&s, "\n%sd.", t);
    refuse("a long name", s.s, s.n, QS_EFORMAT, "longer than 512");
    qs_err e;
    s.n = 0;
    qs_str_addf(&s, "(Vone\n(%s%slI7\n%sVten\nI10\nd.", t, t, t);
    qs_model *m = open_pickle(s.s, s.n, "little", &e);
    ok(m && m->n == 3 && qs_model_find(m, "one.1") && qs_model_find(m, "7"), "lists and numbers name tensors too %s", e.msg);
    qs_model_unref(m);
    free(s.s);
    free(t);
}

/* ---- other files --------------------------------------------------------------------------------------------- */
static void strangers(void)
{
    qs_err e;
    char tar[1024] = "sys_info";
    memcpy(tar + 257, "ustar", 5);
    ok(!open_bytes(path, tar, sizeof tar, &e) && e.code == QS_EUNSUP && strstr(e.msg, "tar file"), "%s", e.msg);
    ok(!open_bytes(path, "\x80\x02}.", 4, &e) && e.code == QS_EUNSUP && strstr(e.msg, "not one that torch.save"), "%s", e.msg);
    ok(!open_bytes(path, "\x80\x02\x8a\x0al\xfc\x9c\x46\xf9 j\xa8P\x19.\x80\x02M\xea\x03.", 21, &e) && strstr(e.msg, "version"), "%s", e.msg);
    qs_str s = {0};
    zip_make(&s, (zip_entry[]){ENTRY("m/data.pkl", "N.", 2, .flags = 0), ENTRY("m/constants.pkl", "N.", 2, .flags = 0)}, 2);
    ok(!open_bytes(path, s.s, s.n, &e) && e.code == QS_EUNSUP && strstr(e.msg, "TorchScript"), "%s", e.msg);
    free(s.s);
}

int main(void)
{
    dir = tmp_dir();
    path = in_dir(dir, "t.pt");
    const char *const nets[] = {"zip.pt", "zip4.pt", "old.pt", "old4.pt"};
    for (size_t i = 0; i < sizeof nets / sizeof *nets; i++) {
        char *name = qs_xasprintf("tests/fuzz/corpus/torch/%s", nets[i]);
        written_by_torch(name);
        free(name);
    }
    checkpoint("tests/fuzz/corpus/torch/checkpoint.pt");
    checkpoint("tests/fuzz/corpus/torch/checkpoint_old.pt");
    names();
    machine();
    bombs();
    tensors();
    sound();
    dotted();
    strangers();
    unlink(path);
    rmdir(dir);
    free(path);
    free(dir);
    return done();
}
