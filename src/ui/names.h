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
 */
qs_part qs_name_part(const char *name);

#endif
