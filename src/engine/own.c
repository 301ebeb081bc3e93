/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The levels a tensor has of its own, where it is stored as codes with scales: those of the part looked at. Scales
 * differ from block to block; of several, the one in the middle is taken, and the note says so.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"
#include "engine/state.h"
#include "model/packed.h"

#define LOOKED 1024            /* scales looked at, at most: to find one in the middle, a sample does */

struct block { float scale, offset; size_t at; };

static int by_scale(const void *a, const void *b)
{
    const struct block *x = a, *y = b;
    float p = fabsf(x->scale), q = fabsf(y->scale);
    return p != q ? (p > q) - (p < q) : (x->at > y->at) - (x->at < y->at);
}

/* Blocks spread evenly over a part. Returns how many; same: all have one scale and offset. */
static size_t look(const qs_tensor *t, const qs_split *s, size_t part, struct block *b, bool *same)
{
    size_t n = qs_split_len(s, t, part), looked = n < LOOKED ? n : LOOKED, k = 0;
    *same = true;
    for (size_t i = 0; i < looked; i++) {
        struct block x = {.at = qs_split_where(s, t, part, (size_t)((double)i * ((double)n / (double)looked)))};
        t->packed->kind->grid(t->packed, x.at, &x.scale, &x.offset);
        if (!isfinite(x.scale) || !isfinite(x.offset)) continue;
        *same = *same && (!k || (x.scale == b[0].scale && x.offset == b[0].offset));
        b[k++] = x;
    }
    return k;
}

void own_clear(qs_snap_own *o)
{
    free(o->level);
    free(o->note);
    *o = (qs_snap_own){0};
}

void own_look(const qs_tensor *t, const qs_split *s, size_t part, qs_snap_own *o)
{
    struct block b[LOOKED];
    float level[QS_PACKED_LEVELS];
    bool same;
    own_clear(o);
    if (!t->packed) return;
    size_t n = look(t, s, part, b, &same);
    qsort(b, n, sizeof *b, by_scale);
    int levels = n ? qs_packed_levels(t, b[n / 2].at, level) : 0;
    if (!levels) return;
    o->nlevel = (size_t)levels;
    o->level = qs_xmalloc(o->nlevel * sizeof *o->level);
    for (int k = 0; k < levels; k++) o->level[k] = (double)level[k];
    o->note = same ? qs_xasprintf(_("its own %d levels, %.2f bits a value"), levels, t->packed->bpw)
                   : qs_xasprintf(_("its own %d levels (block of the middle scale), %.2f bits a value"), levels, t->packed->bpw);
}
