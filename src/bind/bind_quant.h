/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_BIND_BIND_QUANT_H
#define QS_BIND_BIND_QUANT_H
/* What bind_quant.c, which knows formats and quantizers, lends to bind_init.c, which finds their steps. */
#include "bind/bind.h"

/* The index at i, or NULL with *t set: a tensor. Raises for another type. */
qs_index *qs_arg_tensor_or_index(lua_State *L, int i, qs_tensor **t);
/* As qs_arg_format, but without the granularity: for what is one part already. */
const qs_format *qs_arg_format_single(lua_State *L, int i, qs_err *err);

/* Pushes a copy; returns 1. */
int qs_push_format(lua_State *L, const qs_format *f);
/* A new quantizer of one part in a box at the top. NULL with err set: as qs_quantizer_new. */
qs_quantizer *qs_push_quantizer(lua_State *L, const qs_format *f, double step, double offset, qs_err *err);
/* Push what q.step, q.offset and q.clip are: a number, or an array where there are several parts. Return 1. */
int qs_push_steps(lua_State *L, const qs_quantizer *q);
int qs_push_offsets(lua_State *L, const qs_quantizer *q);
int qs_push_clips(lua_State *L, const qs_quantizer *q);

#endif
