/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The parts of the screen that need no terminal: unfinished Lua, names into layers and roles, numbers as text, keys. */
#include <locale.h>
#include <math.h>

#include "ui/console.h"
#include "ui/names.h"
#include "ui/screen.h"
#include "../tap.h"

static void unfinished(void)
{
    static const struct { const char *text; bool open; } lines[] = {
        {"print(1)", false},           {"print(", true},                     {"for i = 1, 3 do", true},
        {"for i = 1, 3 do end", false}, {"function f(x)", true},              {"if x then y() else", true},
        {"if x then y() end", false},  {"repeat x()", true},                 {"repeat x() until y", false},
        {"t = {1, 2,", true},          {"s = [[a", true},                    {"s = [==[a]]", true},
        {"s = [==[a]]]==]", false},    {"-- do", false},                     {"--[[ do", true},
        {"--[[ do ]] x()", false},     {"s = \"do (\"", false},              {"s = 'it\\'s do'", false},
        {"s = \"open", false},         {"end", false},                       {"m[\"a\"]", false},
        {"x.do_it = 1", false},        {"f(function() return 1 end)", false}, {"while x do if y then end", true},
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        ok(qs_console_open(lines[i].text) == lines[i].open, "%s is %s", lines[i].text, lines[i].open ? "unfinished" : "finished");
}

static void names(void)
{
    static const struct { const char *name, *layer, *role; } cases[] = {
        {"model.layers.3.self_attn.q_proj.weight", "layers.3", "q"}, {"model.layers.12.mlp.gate_proj.weight", "layers.12", "gate"},
        {"conv2d_7", "7", "conv"},                                   {"depthwise_conv2d_12", "12", "dw"},
        {"layer1.0.conv2.weight", "layer1.0", "conv2"},              {"conv1.weight", "1", "conv"},
        {"blk.5.ffn_down.weight", "blk.5", "down"},                  {"h.0.attn.c_attn.weight", "h.0", "qkv"},
        {"StatefulPartitionedCall/functional_1/depthwise_conv2d_9/depthwise/ReadVariableOp:0", "9", "dw"},
        {"StatefulPartitionedCall/functional_1/conv2d_17/Conv2D/ReadVariableOp:0", "17", "conv"},
        {"StatefulPartitionedCall/functional_1/conv2d/Conv2D/ReadVariableOp:0", "", "conv"},
        {"lm_head.weight", "", "head"},                              {"classifier_8", "8", "cls"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        qs_part p = qs_name_part(cases[i].name);
        same(p.layer, cases[i].layer, "layer of %s", cases[i].name);
        same(p.role, cases[i].role, "role of %s", cases[i].name);
    }
    char b[100];
    qs_name_short("model.layers.3.self_attn.q_proj.weight", 40, b, sizeof b);
    same(b, "model.layers.3.self_attn.q_proj.weight", "a name that fits stays");
    qs_name_short("model.layers.3.self_attn.q_proj.weight", 32, b, sizeof b);
    same(b, "model.layers.3.self_attn.q_proj", "without .weight");
    qs_name_short("model.layers.3.self_attn.q_proj.weight", 20, b, sizeof b);
    same(b, "3.self_attn.q_proj", "from the number on");
    qs_name_short("model.layers.3.self_attn.gate_proj.weight", 11, b, sizeof b);
    same(b, "3…gate_proj", "number and last word");
    qs_name_short("model.layers.3.self_attn.gate_proj.weight", 9, b, sizeof b);
    same(b, "3…gate", "the word alone");
    qs_name_short("StatefulPartitionedCall/functional_1/depthwise_conv2d_9/depthwise/ReadVariableOp:0", 20, b, sizeof b);
    same(b, "depthwise_conv2d_9", "the layer's own name");
    qs_name_short("StatefulPartitionedCall/functional_1/depthwise_conv2d_9/depthwise/ReadVariableOp:0", 12, b, sizeof b);
    same(b, "depthwise_9", "in twelve columns");
    qs_name_short("block.3.depthwise.weight", 18, b, sizeof b);
    same(b, "block.3.depthwise", "a role is no tail");
    qs_name_short("a_name_without_words_12", 5, b, sizeof b);
    same(b, "a_name_without_words_12", "a name without words stays");
    ok(qs_name_part("").role[0] == 0 && qs_name_part("...").layer[0] == 0, "names of nothing");
}

static void numbers(void)
{
    char b[QS_FMT];
    same(qs_fmt_sig(b, 0.101234, 4), "0.1012", "four digits");
    same(qs_fmt_sig(b, 3.412e-5, 4), "3.412e-05", "small");
    same(qs_fmt_sig(b, 0, 4), "0.000", "zero");
    same(qs_fmt_sig(b, NAN, 4), "…", "unknown");
    same(qs_fmt_sig(b, -INFINITY, 4), "-inf", "infinite");
    same(qs_fmt_fit(b, 0.13149, 5), "0.131", "as many digits as fit");
    same(qs_fmt_fit(b, 12345.678, 5), "12346", "no more than fit");
    same(qs_fmt_count(b, 1234567, 9), "1,234,567", "thousands");
    same(qs_fmt_count(b, 1234567, 6), "1.23M", "shortened");
    same(qs_fmt_count(b, 999999, 4), "1.0M", "rounded over the unit");
    same(qs_fmt_count(b, 100412, 7), "100,412", "just fits");
    same(qs_fmt_bytes(b, 52100), "52.1 kB", "bytes");
    same(qs_fmt_bytes(b, 512), "512 B", "few bytes");
    same(qs_fmt_percent(b, 0.0063), "0.63 %", "percent");
    same(qs_fmt_percent(b, 0.00001), "<0.01 %", "next to nothing");
    same(qs_fmt_db(b, 16.249), "16.2", "dB");
}

static void key_names(void)
{
    ok(qs_key_of("Down") == QS_K_DOWN && qs_key_of("space") == ' ' && qs_key_of("C-c") == 3, "keys by name");
    ok(qs_key_of("[") == '[' && qs_key_of("é") == 0xe9, "keys by character");
    ok(qs_key_of("Nowhere") == -1 && qs_key_of("") == -1 && qs_key_of("C-") == -1, "no such key");
    ok(qs_init_role("mse") != qs_init_role("lsq") && qs_init_role("mine") == qs_init_role("mine"), "a colour an initialization");
    ok(qs_init_role("mine") >= QS_ROLE_INIT0 && qs_init_role("mine") < QS_ROLE_HEAT0, "also for one of the user's");
}

int main(void)
{
    setlocale(LC_ALL, "C.UTF-8");
    unfinished();
    names();
    numbers();
    key_names();
    return done();
}
