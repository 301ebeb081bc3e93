/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_PLOT_COLOR_H
#define QS_PLOT_COLOR_H
/*
 * Which colour a role has: the one table behind the screen and behind pictures,
 * so that what is orange there is orange here. On paper the hues are those of
 * Okabe and Ito, which people who see red and green alike tell apart.
 *
 * Source: Okabe and Ito 2008, Color Universal Design.  Test: t_paper
 */
#include <stdint.h>

#include "plot/cells.h"

typedef struct qs_color {
    short fg, bg;        /* on a dark terminal of 256 colours; -1: as the terminal is */
    uint32_t paper;      /* 0xRRGGBB on white */
} qs_color;

/* role: below QS_ROLES. */
qs_color qs_color_of(int role);
/* The same in a row that is selected: readable on its gray. */
qs_color qs_color_selected(qs_color c);
/* 0xRRGGBB of xterm's colour i (0..255). */
uint32_t qs_color_xterm(int i);
/* The map of heat on paper, t in 0..1: worst (as QS_ROLE_HEAT0) to best (QS_ROLE_HEAT0 + 9), in between by mixing. */
uint32_t qs_color_heat(double t);
/* Is less of it better? A metric is known by a word of its name: loss, error, seconds, ... */
bool qs_less_is_better(const char *metric);

/* The role of an initialization: one colour in every pane and picture. Names we do not know (written in Lua) get one by their
 * letters. */
int qs_init_role(const char *init);

#endif
