/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_MODEL_MATCH_H
#define QS_MODEL_MATCH_H
/*
 * The same tensor in another file. A rule of names, in this order: the same name; the same with or without ".weight" at its
 * end (what records a layer names the layer); GGUF's name for Hugging Face's of the Llama family, or the other way round.
 */
#include "model/model.h"

typedef enum qs_match { QS_MATCH_NONE, QS_MATCH_SAME, QS_MATCH_LAYER, QS_MATCH_GGUF } qs_match;

/* Borrowed; NULL: none. how may be NULL.  Test: t_diff */
qs_tensor *qs_model_match(const qs_model *m, const char *name, qs_match *how);
/* The other family's name, malloc'd: "blk.3.attn_q.weight" <-> "model.layers.3.self_attn.q_proj.weight". NULL: no such name. */
char *qs_name_translated(const char *name);

#endif
