/* SPDX-License-Identifier: GPL-3.0-or-later */
/* `require "quantscope.core"` in a stock lua5.4: the engine with a session of its own. Not linked to liblua. */
#include "bind/bind.h"

/* The only name that is seen from outside: everything is compiled hidden. */
__attribute__((visibility("default"))) int luaopen_quantscope_core(lua_State *L);

int luaopen_quantscope_core(lua_State *L) { return qs_bind_open(L); }
