/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Tensor names cut into layer and role. Knows the words that exporters use; knows no model. */
#include "ui/names.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "plot/cells.h"

static const struct { const char *word, *role; } roles[] = {
    {"q_proj", "q"}, {"k_proj", "k"}, {"v_proj", "v"}, {"o_proj", "o"}, {"out_proj", "o"}, {"qkv_proj", "qkv"}, {"in_proj", "qkv"},
    {"query", "q"}, {"key", "k"}, {"value", "v"}, {"wq", "q"}, {"wk", "k"}, {"wv", "v"}, {"wo", "o"}, {"attn_q", "q"},
    {"attn_k", "k"}, {"attn_v", "v"}, {"attn_output", "o"}, {"c_attn", "qkv"}, {"qkv", "qkv"}, {"c_proj", "proj"}, {"c_fc", "fc"},
    {"gate_proj", "gate"}, {"up_proj", "up"}, {"down_proj", "down"}, {"ffn_gate", "gate"}, {"ffn_up", "up"}, {"ffn_down", "down"},
    {"w1", "gate"}, {"w2", "down"}, {"w3", "up"}, {"intermediate", "up"}, {"depthwise", "dw"}, {"depthwise_conv2d", "dw"}, {"dwconv", "dw"},
    {"dw", "dw"}, {"pointwise", "pw"}, {"pw", "pw"}, {"pwconv", "pw"}, {"conv2d", "conv"}, {"conv1d", "conv"}, {"conv", "conv"}, {"convolution", "conv"},
    {"downsample", "down"}, {"shortcut", "short"}, {"linear", "fc"}, {"dense", "fc"}, {"fc", "fc"}, {"proj", "proj"}, {"gemm", "fc"}, {"matmul", "fc"},
    {"embed", "embed"}, {"embedding", "embed"}, {"embeddings", "embed"}, {"wte", "embed"}, {"wpe", "pos"}, {"embed_tokens", "embed"},
    {"lm_head", "head"}, {"head", "head"}, {"classifier", "cls"}, {"regressor", "reg"}, {"weight_ih", "ih"}, {"weight_hh", "hh"},
};

static const char *role_of(const char *w, size_t n)
{
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++)
        if (strlen(roles[i].word) == n && !strncasecmp(roles[i].word, w, n)) return roles[i].role;
    return NULL;
}

static bool idle_word(const char *w, size_t n)
{
    static const char *const words[] = {"weight", "kernel", "w", "weights", "quant", "tensor", "matrix"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strlen(words[i]) == n && !strncasecmp(words[i], w, n)) return true;
    return false;
}

static bool all_digits(const char *w, size_t n)
{
    for (size_t i = 0; i < n; i++) if (!isdigit((unsigned char)w[i])) return false;
    return n > 0;
}

/* A word without its number at the end: "conv2" -> "conv", "2"; "depthwise_12" -> "depthwise", "12". */
static size_t stem(const char *w, size_t n, const char **num)
{
    size_t e = n;
    while (e > 0 && isdigit((unsigned char)w[e - 1])) e--;
    *num = w + e;
    if (e > 0 && e < n && w[e - 1] == '_') e--;
    return e;
}

/* Words that wrap a whole model and tell nothing: "StatefulPartitionedCall/functional_1/". */
static bool wrapper(const char *w, size_t n)
{
    static const char *const words[] = {"StatefulPartitionedCall", "functional", "sequential", "model", "module"};
    const char *num;
    size_t e = stem(w, n, &num);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strlen(words[i]) == e && !strncasecmp(words[i], w, e)) return true;
    return false;
}

static const char *skip_wrappers(const char *name)
{
    for (;;) {
        size_t n = strcspn(name, "./");
        if (!name[n] || !name[n + 1] || !wrapper(name, n)) return name;
        name += n + 1;
    }
}

qs_part qs_name_part(const char *name)
{
    qs_part p = {"", ""};
    name = skip_wrappers(name);
    const char *begin = name, *num = "", *last = "";
    size_t layer_end = 0, role_n = 0;
    for (const char *w = name; *w;) {                         /* words between dots, slashes and the like */
        size_t n = strcspn(w, "./:;|");
        size_t e = stem(w, n, &num);
        const char *r = role_of(w, n);
        if (!r && e) r = role_of(w, e);
        bool numbered = e < n && e > 0;
        if (r && strcmp(r, last) != 0) {                      /* conv2d_1/Conv2D says the same twice */
            bool keep = layer_end > 0 && numbered && !role_of(w, n);       /* layer1.0.conv2: the number tells the role */
            snprintf(p.role, sizeof p.role, keep ? "%.18s%.*s" : "%.18s", r, (int)(n - (size_t)(num - w)), num);
            if (!keep && layer_end == 0 && numbered) snprintf(p.layer, sizeof p.layer, "%.*s", (int)(w + n - num), num);
            last = r;
        } else if (!r && !*last && (all_digits(w, n) || numbered)) {
            layer_end = (size_t)(w + n - name);
        }
        if (!idle_word(w, n)) { begin = w; role_n = n; }
        w += n + (w[n] != 0);
    }
    if (!*last) snprintf(p.role, sizeof p.role, "%.*s", role_n < 8 ? (int)role_n : 8, begin);
    if (!p.layer[0] && layer_end) snprintf(p.layer, sizeof p.layer, "%.*s", (int)layer_end, name);
    return p;
}

const char *qs_row_label(const qs_snap_row *r) { return r->label ? r->label : r->name; }
const char *qs_tensor_label(const qs_snapshot *s) { return s->label[0] ? s->label : s->sel.tensor; }

/* ---- short names ---------------------------------------------------------------------------- */

/* Where the first word that is a number begins, or NULL. */
static const char *number_word(const char *s)
{
    for (; *s; s += strcspn(s, "./") + (s[strcspn(s, "./")] != 0))
        if (all_digits(s, strcspn(s, "./"))) return s;
    return NULL;
}

static bool cut_end(char *s, const char *end)
{
    size_t n = strlen(s), k = strlen(end);
    if (n <= k || strcmp(s + n - k, end) != 0) return false;
    s[n - k] = 0;
    return true;
}

/* What exporters hang behind every name. */
static void cut_tail(char *s)
{
    static const char *const first[] = {"/ReadVariableOp:0", "/ReadVariableOp", ".weight", "/kernel:0", "/kernel"};
    static const char *const then[] = {"/Conv2D", "/depthwise", "/MatMul"};
    for (size_t i = 0; i < sizeof first / sizeof *first; i++)
        if (cut_end(s, first[i])) {
            for (size_t k = 0; k < sizeof then / sizeof *then; k++) cut_end(s, then[k]);
            return;
        }
}

/* "0.self_attn.gate_proj" -> "0…gate_proj" -> "0…gate" */
static void number_and_last(char *out, int w, size_t size)
{
    char tail[128], *last = strrchr(out, '.'), *first = out + strcspn(out, "./");
    if (!last || last <= first) return;
    snprintf(tail, sizeof tail, "%s", last + 1);
    snprintf(first, size - (size_t)(first - out), "…%s", tail);
    if (qs_text_width(out) > w) cut_end(out, "_proj");
}

void qs_name_short(const char *name, int w, char *out, size_t size)
{
    snprintf(out, size, "%s", name);
    if (qs_text_width(out) <= w) return;
    cut_tail(out);
    if (qs_text_width(out) <= w) return;
    const char *inner = skip_wrappers(out), *num;
    memmove(out, inner, strlen(inner) + 1);
    if (qs_text_width(out) <= w) return;
    char *dw = strstr(out, "depthwise_conv2d");
    if (dw) memmove(dw + 9, dw + 16, strlen(dw + 16) + 1);
    num = number_word(out);
    if (qs_text_width(out) <= w || !num || !num[strcspn(num, "./")]) return;
    memmove(out, num, strlen(num) + 1);
    if (qs_text_width(out) > w) number_and_last(out, w, size);
}
