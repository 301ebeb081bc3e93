/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_UI_NAMES_H
#define QS_UI_NAMES_H
/* Which layer and which role a tensor has, guessed from its name; for the map. */
#include <stddef.h>

#include "engine/snapshot.h"

typedef struct qs_part { char layer[64], role[24]; } qs_part;

/*
 *     model.layers.3.self_attn.q_proj.weight     ->  layers.3  q
 *     conv2d_7                                   ->  7         conv
 *     layer1.0.conv2.weight                      ->  layer1.0  conv2
 *     functional_1/depthwise_conv2d_3/depthwise  ->  3         dw
 */
qs_part qs_name_part(const char *name);

/* What people read instead of a tensor's whole name: of a row, and of the tensor looked at. */
const char *qs_row_label(const qs_snap_row *r);
const char *qs_tensor_label(const qs_snapshot *s);

/* A name in at most w columns, as far as that goes: without ".weight" and what wraps the whole model, then without what
 * stands before the number of the layer, then without what stands between it and the last word ("3…q_proj").
 * out: at least as long as the name + 4. */
void qs_name_short(const char *name, int w, char *out, size_t size);

#endif
