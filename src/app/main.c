/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The command line: which commands and options there are, which face to show.
 * Everything else is in the file of the command.
 */
#include <errno.h>
#include <getopt.h>
#include <locale.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/app.h"
#include "base/mem.h"
#include "base/text.h"
#include "config.h"
#include "train/dataset.h"

/* ---- the tables -------------------------------------------------------------------------- */
typedef struct command {
    const char *name, *synopsis, *doc;                 /* synopsis NULL: not for people */
    int (*run)(const qs_args *a);
    bool rows;        /* prints rows: a closed pipe ends it in good order */
    bool passes;      /* what follows its first argument is not ours */
} command;

static const command commands[] = {
    {"", N_("[MODEL...]"), N_("the workbench; with no MODEL on the bundled one; also on a results database"), qs_cmd_workbench, false, false},
    {"list", N_("MODEL"), N_("tensors, types, shapes, statistics"), qs_cmd_list, true, false},
    {"compare", N_("MODEL"), N_("every initialization on every tensor and format"), qs_cmd_compare, true, false},
    {"report", N_("MODEL"), N_("the whole model: statistics, best initialization, bits for a budget"), qs_cmd_report, true, false},
    {"curve", N_("MODEL --tensor NAME"), N_("the error at every step"), qs_cmd_curve, true, false},
    {"plot", N_("KIND FILE [-o OUT]"), N_("a picture (.svg, .pdf, .png) or text: hist, curve, heat, csv; series, metric, grid"), qs_cmd_plot, true, false},
    {"quantize", N_("MODEL -o OUT.safetensors"), N_("writes the model quantized: floats, or codes with scales"), qs_cmd_quantize, true, false},
    {"diff", N_("FLOAT QUANT"), N_("what a quantized model lost: error, SQNR, levels used, bits a value"), qs_cmd_diff, true, false},
    {"init", N_("MODEL [--out FILE.json]"), N_("the steps an initialization finds, for other trainers"), qs_cmd_init, false, false},
    {"race", "", N_("trains a bundled net from several initializations, side by side"), qs_cmd_race, true, false},
    {"results", "DB", N_("a results database: means, intervals, differences"), qs_cmd_results, true, false},
    {"merge", "OUT.db IN.db...", N_("results databases into one"), qs_cmd_merge, false, false},
    {"run", N_("SCRIPT.lua [ARG...]"), N_("run a Lua script (-: standard input)"), qs_cmd_run, false, true},
    {"repl", "", N_("a plain Lua prompt"), qs_cmd_repl, false, false},
    {"sweep", N_("FILE.lua"), N_("run a sweep: its cells in worker processes, results in a database"), qs_cmd_sweep, true, false},
    {"sweep-worker", NULL, NULL, qs_cmd_sweep_worker, false, true},      /* started by sweep */
};
static const command eval = {"-e", "", "", qs_cmd_eval, false, false};

typedef struct option_row {
    const char *name;
    int letter;
    const char *arg;                                   /* NULL: a flag */
    const char *doc;
    enum { FLAG, TEXT, TEXTS, LONG, REAL } kind;
    size_t field, count;                               /* in qs_args; count: of TEXTS */
    const char *commands;                              /* that have it; " " stands for all; "-" for the workbench */
    long min;                                          /* of LONG */
} option_row;

#define FIELD(f) offsetof(qs_args, f)
static const option_row options[] = {
    {"tensor", 't', N_("GLOB"), N_("only tensors whose name matches; may be repeated"), TEXTS, FIELD(tensor),
     FIELD(ntensor), " list compare report curve plot quantize init diff ", 0},
    {"format", 'f', N_("F,..."), N_("formats, as int4@channel (default int4; curve, quantize, init: one; report: int2,3,4,6,8)"), TEXT, FIELD(format), 0,
     " compare report curve plot quantize init ", 0},
    {"init", 'i', N_("I,..."), N_("initializations, as lsq,mse (default: all that apply; race: the usual; quantize, init: one, mse)"), TEXT,
     FIELD(init), 0, " compare report plot race quantize init ", 0},
    {"points", 'n', N_("N"), N_("points of the curve (default 512)"), LONG, FIELD(points), 0, " curve plot ", 2},
    {"channel", 'c', N_("N"), N_("the channel or group, where the format has several steps"), LONG, FIELD(channel), 0,
     " curve plot ", 0},
    {"lo", 0, N_("STEP"), N_("smallest step (default: to show the minimum)"), REAL, FIELD(lo), 0, " curve plot ", 0},
    {"hi", 0, N_("STEP"), N_("largest step"), REAL, FIELD(hi), 0, " curve plot ", 0},
    {"norm", 'p', N_("P"), N_("the mean of |error|^P (default 2)"), REAL, FIELD(norm), 0, " curve ", 0},
    {"output", 'o', N_("OUT"), N_("the picture to write: .svg, .pdf or .png (without: text)"), TEXT, FIELD(output), 0, " plot ", 0},
    {"output", 'o', N_("OUT"), N_("the quantized model to write: .safetensors"), TEXT, FIELD(output), 0, " quantize ", 0},
    {"out", 'o', N_("FILE"), N_("the steps, as JSON (without: standard output)"), TEXT, FIELD(output), 0, " init ", 0},
    {"importance", 0, N_("FILE"), N_("weights of the squared error, a column: an imatrix, or recorded activations"), TEXT,
     FIELD(importance), 0, " compare quantize init ", 0},
    {"activations", 0, N_("FILE"), N_("compares what goes into the layers, as recorded in FILE, in place of their weights"), TEXT,
     FIELD(activations), 0, " compare ", 0},
    {"codes", 0, NULL, N_("codes and scales in place of quantized floats"), FLAG, FIELD(codes), 0, " quantize ", 0},
    {"width", 0, N_("W"), N_("its width, points or pixels (default 960, .png 1920)"), REAL, FIELD(width), 0, " plot ", 0},
    {"height", 0, N_("H"), N_("its height (default 540, .png 1080)"), REAL, FIELD(height), 0, " plot ", 0},
    {"font", 0, N_("SIZE"), N_("size of its letters (default: a thirtieth of the height)"), REAL, FIELD(font), 0, " plot ", 0},
    {"title", 0, N_("TEXT"), N_("what stands above it"), TEXT, FIELD(title), 0, " plot ", 0},
    {"log", 0, N_("AXES"), N_("logarithmic axes: x, y or xy"), TEXT, FIELD(log), 0, " plot ", 0},
    {"x", 0, N_("COLUMN"), N_("along the axis: a column (csv), series or parameter"), TEXT, FIELD(x), 0, " plot ", 0},
    {"y", 0, N_("COLUMN,..."), N_("csv: the columns to show (default: all with numbers)"), TEXT, FIELD(y), 0, " plot ", 0},
    {"budget", 0, N_("BITS"), N_("bits a weight on average, scales and all: suggests a format for each tensor"), REAL, FIELD(budget), 0,
     " report ", 0},
    {"sqnr", 0, N_("DB"), N_("the SQNR the whole is to have: suggests the formats that take least"), REAL, FIELD(sqnr), 0, " report ", 0},
    {"html", 0, N_("FILE"), N_("writes a page with plots, one file, for a browser"), TEXT, FIELD(html), 0, " report ", 0},
    {"net", 0, N_("NAME"), N_("a bundled net: mlp, smallcnn (default), resnet8, depthwise"), TEXT, FIELD(net), 0, " race ", 0},
    {"bits", 0, N_("B"), N_("bits of weights and activations (default 2)"), LONG, FIELD(bits), 0, " race ", 1},
    {"learn", 0, N_("RULE"), N_("how steps move: none, lsq (default), lsq+, rcf, pact"), TEXT, FIELD(learn), 0, " race ", 0},
    {"steps", 0, N_("N"), N_("steps of training, of 128 images (default 100)"), LONG, FIELD(steps), 0, " race ", 1},
    {"seed", 0, N_("S"), N_("the order of the images (default 1)"), LONG, FIELD(seed), 0, " race ", 1},
    {"slice", 0, NULL, N_("the bundled slice of Fashion-MNIST: for demonstration only"), FLAG, FIELD(slice), 0, " race ", 0},
    {"record", 0, N_("FILE"), N_("also writes the race, to be played later"), TEXT, FIELD(record), 0, " race ", 0},
    {"play", 0, N_("RACE"), N_("plays a recorded race: a file or a name (smallcnn-2bit)"), TEXT, FIELD(play), 0, " race ", 0},
    {"speed", 0, N_("X"), N_("how fast: 1 as it was (default), 10 ten times, 0 at once"), TEXT, FIELD(speed), 0, " race ", 0},
    {"sweep", 0, N_("NAME"), N_("the sweep (default: the only one, else a list)"), TEXT, FIELD(sweep), 0, " results plot ", 0},
    {"by", 0, N_("P,..."), N_("groups by these parameters (default: all but seed)"), TEXT, FIELD(by), 0, " results plot ", 0},
    {"metric", 0, N_("NAME"), N_("the metric (default: the first)"), TEXT, FIELD(metric), 0, " results plot ", 0},
    {"series", 0, N_("NAME"), N_("the series of a sweep's cells (default: the only one)"), TEXT, FIELD(series), 0, " plot ", 0},
    {"baseline", 0, N_("P=VALUE"), N_("differences from this one, in pairs"), TEXT, FIELD(baseline), 0, " results ", 0},
    {"accept-changes", 0, NULL, N_("although script, inputs or program are not the same"), FLAG, FIELD(accept_changes), 0, " merge sweep ", 0},
    {"journal", 0, N_("KIND"), N_("wal, or delete for shared file systems"), TEXT, FIELD(journal), 0, " merge sweep ", 0},
    {"json", 0, NULL, N_("one JSON array of objects"), FLAG, FIELD(json), 0, " list compare report curve quantize diff race results sweep ", 0},
    {"csv", 0, NULL, N_("comma-separated values, arrays left out"), FLAG, FIELD(csv), 0, " list compare report curve quantize diff race results sweep ", 0},
    {"jobs", 0, N_("N"), N_("cells at a time (default: one a thread)"), LONG, FIELD(jobs), 0, " sweep ", 1},
    {"db", 0, N_("FILE"), N_("the results database (sweep: default NAME.db here)"), TEXT, FIELD(db), 0, " sweep plot ", 0},
    {"filter", 0, N_("P=V|V,..."), N_("only cells with these values"), TEXT, FIELD(filter), 0, " sweep plot ", 0},
    {"shard", 0, N_("I/N"), N_("the I-th of N parts of the cells"), TEXT, FIELD(shard), 0, " sweep ", 0},
    {"resume", 0, NULL, N_("go on with what is left (default)"), FLAG, FIELD(resume), 0, " sweep ", 0},
    {"fresh", 0, NULL, N_("forget what was run before"), FLAG, FIELD(fresh), 0, " sweep ", 0},
    {"keep-failed", 0, NULL, N_("do not try failed cells again"), FLAG, FIELD(keep_failed), 0, " sweep ", 0},
    {"limit-seconds", 0, N_("S"), N_("stop a cell that takes longer"), REAL, FIELD(limit), 0, " sweep ", 0},
    {"dry-run", 0, NULL, N_("print the cells and which would run"), FLAG, FIELD(dry_run), 0, " sweep ", 0},
    {"plot", 0, N_("KIND"), N_("plots from braille, block or ascii characters (default: by locale)"), TEXT,
     FIELD(plot), 0, " - ", 0},
    {"color", 0, N_("WHEN"), N_("auto, 256, 8 or none"), TEXT, FIELD(color), 0, " - ", 0},
    {"no-config", 0, NULL, N_("do not run config.lua"), FLAG, FIELD(no_config), 0, " - compare report plot quantize init race repl ", 0},
    {"execute", 'e', N_("LUA"), N_("run Lua text and end; may be repeated"), TEXTS, FIELD(chunk), FIELD(nchunk),
     " - ", 0},
    {"threads", 'j', N_("N"), N_("threads for computing (default: the usable CPUs)"), LONG, FIELD(threads), 0, " ", 1},
    {"help", 'h', NULL, N_("this text"), FLAG, FIELD(help), 0, " ", 0},
    {"version", 'V', NULL, N_("the version"), FLAG, FIELD(version), 0, " ", 0},
};
enum { NCOMMANDS = sizeof commands / sizeof *commands, NOPTIONS = sizeof options / sizeof *options, LONG_ONLY = 256 };

static bool has_option(const command *c, const option_row *o)
{
    char word[32];
    snprintf(word, sizeof word, " %s ", *c->name ? c->name : "-");
    return !strcmp(o->commands, " ") || strstr(o->commands, word);
}

static const command *find_command(const char *name)
{
    for (int i = 1; i < NCOMMANDS; i++) {
        if (!strcmp(commands[i].name, name)) return &commands[i];
    }
    return NULL;
}

/* ---- messages -------------------------------------------------------------------------------- */
static void vsay(const char *fmt, va_list ap)
{
    qs_progress_clear();
    fputs("quantscope: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
}

void qs_say(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsay(fmt, ap);
    va_end(ap);
}

int qs_usage(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsay(fmt, ap);
    va_end(ap);
    fputs(_("Try: quantscope --help\n"), stderr);
    return QS_EXIT_USAGE;
}

int qs_say_err(const qs_err *err)
{
    static const int codes[QS_CODES] = {
        [QS_EARG] = QS_EXIT_USAGE, [QS_EIO] = QS_EXIT_FILE, [QS_EFORMAT] = QS_EXIT_FILE, [QS_ECANCEL] = QS_EXIT_INT,
        [QS_EDIVERGED] = QS_EXIT_DIVERGED,
    };
    qs_say("%s", err->msg);
    return err->code > 0 && err->code < QS_CODES && codes[err->code] ? codes[err->code] : QS_EXIT_FAIL;
}

int qs_say_file(const qs_err *err)
{
    int code = qs_say_err(err);
    return code == QS_EXIT_INT ? code : QS_EXIT_FILE;
}

static int write_error;      /* errno of the first write to stdout that failed */

bool qs_stdout_open(void)
{
    if (ferror(stdout) && !write_error) write_error = errno ? errno : EIO;
    return !write_error;
}

int qs_flush_stdout(void)
{
    static bool said;
    errno = 0;
    fflush(stdout);
    if (qs_stdout_open() || write_error == EPIPE) return 0;
    if (!said) qs_say(_("cannot write the result: %s"), strerror(write_error));
    said = true;
    return QS_EXIT_FAIL;
}

/* ---- help ----------------------------------------------------------------------------------------- */
static void print_option(const option_row *o)
{
    char left[64];
    snprintf(left, sizeof left, "%c%c%s --%s%s%s", o->letter ? '-' : ' ', o->letter ? o->letter : ' ',
             o->letter ? "," : " ", o->name, o->arg ? " " : "", o->arg ? _(o->arg) : "");
    printf("  %-22s %s\n", left, _(o->doc));
}

static int print_help(const command *only)
{
    if (!only) puts(_("quantscope: a terminal workbench for analysing neural-network quantization\n"));
    puts(_("Usage:"));
    for (int i = 0; i < NCOMMANDS; i++) {
        char left[64];
        const command *c = &commands[i];
        if ((only && c != only) || !c->synopsis) continue;
        snprintf(left, sizeof left, "%s%s%s", c->name, *c->name && *c->synopsis ? " " : "",
                 *c->synopsis ? _(c->synopsis) : "");
        printf("  quantscope %-28s %s\n", left, _(c->doc));
        if (!i) printf("  quantscope %-28s %s\n", "-e LUA", _("run Lua text"));
    }
    puts(_("\nOptions:"));
    for (int i = 0; i < NOPTIONS; i++) {
        if (!only || has_option(only, &options[i])) print_option(&options[i]);
    }
    puts(_("\nExit: 0 done, 1 failed, 2 wrong usage, 3 missing or unreadable or damaged file, 4 diverged, 130 Ctrl-C.\n"
           "The manual: man quantscope. Keys of the workbench: F1 there."));
    return qs_flush_stdout();
}

static int print_version(void)
{
    puts(PACKAGE_STRING);
    puts(_("License GPL-3.0-or-later: free software, no warranty."));
    return qs_flush_stdout();
}

/* ---- parsing ---------------------------------------------------------------------------------------- */
static int take_number(const option_row *o, const char *text, void *field)
{
    char *end;
    errno = 0;
    if (o->kind == LONG) {
        long v = strtol(text, &end, 10);
        if (errno || end == text || *end || v < o->min)
            return qs_usage(_("--%s: \"%s\" is no whole number from %ld on"), o->name, text, o->min);
        *(long *)field = v;
        return 0;
    }
    double v = strtod(text, &end);
    if (errno || end == text || *end || !(v > 0) || v > 1e300)
        return qs_usage(_("--%s: \"%s\" is no number above 0"), o->name, text);
    *(double *)field = v;
    return 0;
}

static int take_option(qs_args *a, const option_row *o, char *text)
{
    void *field = (char *)a + o->field;
    switch (o->kind) {
    case FLAG: *(bool *)field = true; return 0;
    case TEXT:
        if (*(const char **)field) return qs_usage(_("--%s is given twice: %s and %s"), o->name, *(const char **)field, text);
        *(const char **)field = text;
        return 0;
    case TEXTS: {
        size_t *n = (size_t *)((char *)a + o->count);
        const char ***list = field;
        *list = qs_xrealloc(*list, (*n + 1) * sizeof **list);
        (*list)[(*n)++] = text;
        return 0;
    }
    default: return take_number(o, text, field);
    }
}

/* getopt's tables for the options that c has. */
static void getopt_tables(const command *c, char *letters, struct option *longs)
{
    int n = 0;
    for (int i = 0; i < NOPTIONS; i++) {
        const option_row *o = &options[i];
        if (!has_option(c, o)) continue;
        longs[n++] = (struct option){o->name, o->arg ? required_argument : no_argument, NULL, LONG_ONLY + i};
        if (!o->letter) continue;
        *letters++ = (char)o->letter;
        if (o->arg) *letters++ = ':';
    }
    *letters = '\0';
    longs[n] = (struct option){0};
}

static const option_row *option_of(int got)
{
    if (got >= LONG_ONLY) return &options[got - LONG_ONLY];
    for (int i = 0; i < NOPTIONS; i++) {
        if (options[i].letter == got) return &options[i];
    }
    return NULL;
}

/* word: where it stands; letter: of a short one. */
static int no_option(const command *c, const char *word, int letter)
{
    char name[3] = {'-', (char)letter, '\0'};
    if (strncmp(word, "--", 2) && letter && letter < LONG_ONLY) word = name;
    if (*c->name) return qs_usage(_("%s has no option %s"), c->name, word);
    return qs_usage(_("there is no option %s"), word);
}

/* Reads options from argv[1] on; stops: at the first word that is none. *next: the first word that is no option. */
static int read_options(qs_args *a, const command *c, int argc, char **argv, bool stops, int *next)
{
    char letters[2 * NOPTIONS + 3] = "+:";
    struct option longs[NOPTIONS + 1];
    getopt_tables(c, letters + (stops ? 2 : 1), longs);
    if (!stops) letters[0] = ':';
    optind = 0;
    opterr = 0;
    for (int got; (got = getopt_long(argc, argv, letters, longs, NULL)) != -1;) {
        const char *word = argv[optind - 1];
        if (got == ':') return qs_usage(_("%s needs a value"), word);
        if (got == '?') return no_option(c, word, optopt);
        int code = take_option(a, option_of(got), optarg);
        if (code) return code;
    }
    *next = optind;
    return 0;
}

static int one_of(const char *option, const char *value, const char *const *known)
{
    for (size_t i = 0; value && known[i]; i++) {
        if (!strcmp(value, known[i])) return 0;
    }
    if (!value) return 0;
    qs_str all = {0};
    for (size_t i = 0; known[i]; i++) qs_str_addf(&all, "%s%s", i ? ", " : "", known[i]);
    int code = qs_usage(_("--%s: \"%s\" is none of %s"), option, value, all.s);
    free(all.s);
    return code;
}

static int check_args(const qs_args *a)
{
    static const char *const plots[] = {"braille", "block", "ascii", NULL};
    static const char *const journals[] = {"wal", "delete", NULL};
    static const char *const colors[] = {"auto", "256", "8", "none", NULL};
    if (a->json && a->csv) return qs_usage(_("--json and --csv: choose one"));
    if (a->threads > 256) return qs_usage(_("--threads: at most 256"));
    if (a->points > 1000000) return qs_usage(_("--points: at most 1000000"));
    if (a->lo > 0 && a->hi > 0 && a->lo >= a->hi) return qs_usage(_("--lo must be below --hi"));
    int code = one_of("plot", a->plot, plots);
    if (!code) code = one_of("color", a->color, colors);
    return code ? code : one_of("journal", a->journal, journals);
}

qs_store_mode qs_journal(const qs_args *a) { return a->journal && !strcmp(a->journal, "delete") ? QS_STORE_DELETE : QS_STORE_WAL; }

static int parse(qs_args *a, int argc, char **argv, const command **c)
{
    int next = 1, code = read_options(a, &commands[0], argc, argv, true, &next);
    *c = &commands[0];
    if (code || a->help || a->version) return code;
    const command *named = next < argc ? find_command(argv[next]) : NULL;
    if (named) *c = named;
    else next--;      /* the workbench: argv[next] stands where a command's name would */
    argc -= next;
    argv += next;
    code = read_options(a, *c, argc, argv, (*c)->passes, &next);
    if (code) return code;
    a->rest = argv + next;
    a->nrest = argc - next;
    if (a->nchunk && !named) *c = &eval;
    else if (a->nchunk) return qs_usage(_("-e stands alone, without %s"), named->name);
    a->command = (*c)->name;
    return check_args(a);
}

/* Tells the rooms below where what comes with the program lies. */
static void tell_bundled(void)
{
    char *images = qs_path_data("fashion-mnist");
    qs_dataset_bundled(images);
    free(images);
}

int main(int argc, char **argv)
{
    qs_args a = {.points = -1, .channel = -1, .threads = -1, .norm = 2, .jobs = -1, .bits = -1, .steps = -1, .seed = -1};
    const command *c;
    setlocale(LC_ALL, "");
    setlocale(LC_NUMERIC, "C");      /* numbers look the same everywhere */
    bindtextdomain(PACKAGE, QS_LOCALEDIR);
    textdomain(PACKAGE);
    int code = parse(&a, argc, argv, &c);
    if (!code && a.help) code = print_help(c == &commands[0] ? NULL : c);
    else if (!code && a.version) code = print_version();
    else if (!code) {
        if (a.threads > 0) qs_threads_set((int)a.threads);
        if (c->rows) signal(SIGPIPE, SIG_IGN);
        tell_bundled();
        code = c->run(&a);
        int flushed = qs_flush_stdout();
        if (!code) code = flushed;
    }
    free(a.tensor);
    free(a.chunk);
    return code;
}
