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

qs_part qs_name_part(const char *name)
{
    qs_part p = {"", ""};
    const char *begin = name, *num = "";
    size_t layer_end = 0, role_n = 0;
    bool found = false;
    for (const char *w = name; *w;) {                         /* words between dots, slashes and the like */
        size_t n = strcspn(w, "./:;|");
        size_t e = stem(w, n, &num);
        const char *r = role_of(w, n);
        if (!r && e) r = role_of(w, e);
        bool numbered = e < n && e > 0;
        if (r) {
            bool keep = layer_end > 0 && numbered && !role_of(w, n);       /* layer1.0.conv2: the number tells the role */
            snprintf(p.role, sizeof p.role, keep ? "%.18s%.*s" : "%.18s", r, (int)(n - (size_t)(num - w)), num);
            if (!keep && layer_end == 0 && numbered) snprintf(p.layer, sizeof p.layer, "%.*s", (int)(w + n - num), num);
            found = true;
        } else if (!found && (all_digits(w, n) || numbered)) {
            layer_end = (size_t)(w + n - name);
        }
        if (!idle_word(w, n)) { begin = w; role_n = n; }
        w += n + (w[n] != 0);
    }
    if (!found) snprintf(p.role, sizeof p.role, "%.*s", role_n < 8 ? (int)role_n : 8, begin);
    if (!p.layer[0] && layer_end) {
        const char *s = name;
        for (const char *q = name; q < name + layer_end; q++)              /* "model.layers.3" -> "layers.3" */
            if (*q == '.' && strncmp(name, "model.", 6) == 0 && s == name) s = q + 1;
        snprintf(p.layer, sizeof p.layer, "%.*s", (int)(name + layer_end - s), s);
    }
    return p;
}

const char *qs_row_label(const qs_snap_row *r) { return r->label ? r->label : r->name; }
const char *qs_tensor_label(const qs_snapshot *s) { return s->label[0] ? s->label : s->sel.tensor; }

/* Where the first word that is a number begins, or NULL. */
static const char *number_word(const char *s)
{
    for (; *s; s += strcspn(s, "./") + (s[strcspn(s, "./")] != 0))
        if (all_digits(s, strcspn(s, "./"))) return s;
    return NULL;
}

void qs_name_short(const char *name, int w, char *out, size_t size)
{
    snprintf(out, size, "%s", name);
    size_t n = strlen(out);
    if (qs_text_width(out) <= w) return;
    if (n > 7 && !strcmp(out + n - 7, ".weight")) out[n - 7] = 0;
    if (qs_text_width(out) <= w) return;
    const char *num = number_word(out);
    if (!num || !num[strcspn(num, "./")]) return;
    memmove(out, num, strlen(num) + 1);
    if (qs_text_width(out) <= w) return;
    char *first = out + strcspn(out, "./"), *last = strrchr(out, '.');
    if (!last || last <= first) return;
    char tail[128];
    snprintf(tail, sizeof tail, "%s", last + 1);
    snprintf(first, size - (size_t)(first - out), "…%s", tail);
    n = strlen(out);
    if (qs_text_width(out) > w && n > 5 && !strcmp(out + n - 5, "_proj")) out[n - 5] = 0;
}
