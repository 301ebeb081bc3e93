/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_BIND_BIND_RUN_H
#define QS_BIND_BIND_RUN_H
#include "bind/bind.h"

/* The options of qs.train at index i. Leaves one value at the top that keeps what they point to. EARG; raises for types. */
int qs_bind_run_opts(lua_State *L, int i, qs_run_opts *o, qs_err *err);

#endif
