/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_BIND_BIND_SWEEP_H
#define QS_BIND_BIND_SWEEP_H
/* What the files of the binding that know sweeps share. */
#include "bind/bind.h"
#include "bind/sweep.h"

/* ---- one cell (bind_cell.c) ------------------------------------------------------------------------------ */
/* Pushes {param = value}. */
void qs_push_cell(lua_State *L, const qs_sweep_cell *c);
/* Calls the run function of the sweep at index i for the cell and takes what it returns. Raises what it raises. */
void qs_call_cell(lua_State *L, int i, const qs_sweep_cell *cell, const qs_cell_call *c, qs_report *out);

/* ---- declarations (bind_sweep.c) --------------------------------------------------------------------------- */
/* In a worker process: whether the sweep of this name is the one whose cell is to be run. */
bool qs_sweep_is_wanted(lua_State *L, const char *name);
/* It is the one at index i. */
void qs_sweep_set_wanted(lua_State *L, int i);
/* Pushes it; false: nil, it has not come up. */
bool qs_sweep_push_wanted(lua_State *L);
/* The modules that are loaded and came from files are inputs as well. */
void qs_sweep_add_modules(lua_State *L, qs_declared *d);

#endif
