/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The same tensor in another file, by its name. Knows how programs name layers; looks at no value. */
#include "model/match.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define WEIGHT ".weight"

/* Names of the Llama family: llama.cpp's and Hugging Face's. A layer's stand behind its number. */
static const struct pair { const char *gguf, *hf; } whole[] = {
    {"token_embd", "model.embed_tokens"}, {"output_norm", "model.norm"}, {"output", "lm_head"},
}, layered[] = {
    {"attn_q", "self_attn.q_proj"},       {"attn_k", "self_attn.k_proj"}, {"attn_v", "self_attn.v_proj"},
    {"attn_output", "self_attn.o_proj"},  {"ffn_gate", "mlp.gate_proj"},  {"ffn_up", "mlp.up_proj"},
    {"ffn_down", "mlp.down_proj"},        {"attn_norm", "input_layernorm"},
    {"ffn_norm", "post_attention_layernorm"}, {"attn_q_norm", "self_attn.q_norm"}, {"attn_k_norm", "self_attn.k_norm"},
};
static const struct pair layer = {"blk.", "model.layers."};

static bool begins(const char *s, const char *with) { return !strncmp(s, with, strlen(with)); }

/* A name, or one with ".weight" or ".bias" behind it, in a list; the other word for it. */
static char *word_for(const struct pair *list, size_t n, const char *name, const char *before, bool gguf)
{
    for (size_t i = 0; i < n; i++) {
        const char *from = gguf ? list[i].gguf : list[i].hf, *to = gguf ? list[i].hf : list[i].gguf;
        size_t len = strlen(from);
        if (begins(name, from) && (!name[len] || !strcmp(name + len, WEIGHT) || !strcmp(name + len, ".bias")))
            return qs_xasprintf("%s%s%s", before, to, name + len);
    }
    return NULL;
}

static char *translated(const char *name, bool gguf)
{
    const char *from = gguf ? layer.gguf : layer.hf;
    if (!begins(name, from)) return word_for(whole, sizeof whole / sizeof *whole, name, "", gguf);
    const char *number = name + strlen(from);
    size_t digits = strspn(number, "0123456789");
    if (!digits || number[digits] != '.') return NULL;
    char *before = qs_xasprintf("%s%.*s.", gguf ? layer.hf : layer.gguf, (int)digits, number);
    char *other = word_for(layered, sizeof layered / sizeof *layered, number + digits + 1, before, gguf);
    free(before);
    return other;
}

char *qs_name_translated(const char *name)
{
    char *other = translated(name, true);
    return other ? other : translated(name, false);
}

/* The same, or the same layer. */
static qs_tensor *find(const qs_model *m, const char *name, qs_match *how)
{
    qs_tensor *t = qs_model_find(m, name);
    size_t n = strlen(name), w = strlen(WEIGHT);
    *how = QS_MATCH_SAME;
    if (t) return t;
    *how = QS_MATCH_LAYER;
    char *other = n > w && !strcmp(name + n - w, WEIGHT) ? qs_xasprintf("%.*s", (int)(n - w), name) : qs_xasprintf("%s" WEIGHT, name);
    t = qs_model_find(m, other);
    free(other);
    return t;
}

qs_tensor *qs_model_match(const qs_model *m, const char *name, qs_match *how)
{
    qs_match mine;
    qs_tensor *t = find(m, name, &mine);
    char *other = t ? NULL : qs_name_translated(name);
    if (other) {
        qs_match as;
        t = find(m, other, &as);
        mine = QS_MATCH_GGUF;
    }
    free(other);
    if (how) *how = t ? mine : QS_MATCH_NONE;
    return t;
}
