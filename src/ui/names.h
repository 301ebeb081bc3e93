/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_UI_NAMES_H
#define QS_UI_NAMES_H
/* Which layer and which role a tensor has, guessed from its name; for the map. */
#include <stddef.h>

typedef struct qs_part { char layer[64], role[24]; } qs_part;

/*
 *     model.layers.3.self_attn.q_proj.weight  ->  layers.3  q
 *     conv2d_7                                ->  7         conv
 *     layer1.0.conv2.weight                   ->  layer1.0  conv2
 *     StatefulPartitionedCall/functional_1/conv2d_9/Conv2D/ReadVariableOp:0  ->  9  conv
 */
qs_part qs_name_part(const char *name);

/* A name in at most w columns, as far as that goes: without ".weight", without what TensorFlow wraps around a layer
 * ("StatefulPartitionedCall/functional_1/depthwise_conv2d_9/depthwise/ReadVariableOp:0": depthwise_conv2d_9, or dw_9),
 * without what stands before the number of the layer, then without what stands between that number and the last word ("3…q_proj"). out: at least as long as the name + 4. */
void qs_name_short(const char *name, int w, char *out, size_t size);

#endif
