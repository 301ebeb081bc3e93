/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Indexes that are kept: by tensor, split and part, bounded in bytes, the least
 * recently used leaving first. Knows nothing of how an index is made.
 */
#include <pthread.h>
#include <stdlib.h>

#include "base/mem.h"
#include "stat/index.h"

struct item {
    struct item *chain;          /* the next in the same place of the table */
    struct item *older, *newer;  /* by use; NULL at the ends */
    qs_tensor *t;                /* a reference, so that the address stays its own */
    qs_split_kind kind;
    int axis;
    size_t group, part;
    qs_index *ix;                /* a reference */
    size_t bytes;
};

struct qs_cache {
    pthread_mutex_t mu;
    size_t limit, bytes, n, places;   /* places: a power of two */
    struct item **table;
    struct item *oldest, *newest;
};

qs_cache *qs_cache_new(size_t bytes)
{
    qs_cache *c = qs_xcalloc(1, sizeof *c);
    pthread_mutex_init(&c->mu, NULL);
    c->limit = bytes;
    c->places = 64;
    c->table = qs_xcalloc(c->places, sizeof *c->table);
    return c;
}

static struct item key_of(const qs_tensor *t, const qs_split *s, size_t part)
{
    struct item k = {.t = (qs_tensor *)(uintptr_t)t, .kind = s->kind, .part = part};
    if (s->kind == QS_SPLIT_CHANNEL) k.axis = s->axis;
    if (s->kind == QS_SPLIT_GROUP) k.group = s->group;
    return k;
}

static bool equal(const struct item *a, const struct item *b)
{
    return a->t == b->t && a->part == b->part && a->kind == b->kind && a->axis == b->axis && a->group == b->group;
}

static size_t place_of(const qs_cache *c, const struct item *k)
{
    uint64_t h = (uint64_t)(uintptr_t)k->t >> 4;
    h = (h ^ k->part * 0x9e3779b97f4a7c15u) * 0xbf58476d1ce4e5b9u;
    h = (h ^ h >> 29 ^ (uint64_t)k->kind << 60 ^ (uint64_t)(unsigned)k->axis << 40 ^ k->group) * 0x94d049bb133111ebu;
    return (size_t)(h >> 20) & (c->places - 1);
}

/* ---- with the lock held ------------------------------------------------------------------ */
static struct item *find(const qs_cache *c, const struct item *k)
{
    struct item *i = c->table[place_of(c, k)];
    while (i && !equal(i, k)) i = i->chain;
    return i;
}

static void unlink_use(qs_cache *c, struct item *i)
{
    if (i->older) i->older->newer = i->newer;
    else c->oldest = i->newer;
    if (i->newer) i->newer->older = i->older;
    else c->newest = i->older;
}

static void link_newest(qs_cache *c, struct item *i)
{
    i->older = c->newest;
    i->newer = NULL;
    if (c->newest) c->newest->newer = i;
    else c->oldest = i;
    c->newest = i;
}

static void grow(qs_cache *c)
{
    struct item **old = c->table;
    size_t places = c->places;
    c->places *= 4;
    c->table = qs_xcalloc(c->places, sizeof *c->table);
    for (size_t p = 0; p < places; p++)
        for (struct item *i = old[p], *next; i; i = next) {
            next = i->chain;
            struct item **to = &c->table[place_of(c, i)];
            i->chain = *to;
            *to = i;
        }
    free(old);
}

static void insert(qs_cache *c, struct item *i)
{
    if (c->n >= 2 * c->places) grow(c);
    struct item **to = &c->table[place_of(c, i)];
    i->chain = *to;
    *to = i;
    link_newest(c, i);
    c->n++;
    c->bytes += i->bytes;
}

/* Takes items out until the bound holds; returns them chained, to be released without the lock. */
static struct item *shrink(qs_cache *c)
{
    struct item *out = NULL;
    while (c->bytes > c->limit && c->oldest) {
        struct item *i = c->oldest, **p = &c->table[place_of(c, i)];
        while (*p != i) p = &(*p)->chain;
        *p = i->chain;
        unlink_use(c, i);
        c->n--;
        c->bytes -= i->bytes;
        i->chain = out;
        out = i;
    }
    return out;
}

static qs_index *use(qs_cache *c, struct item *i)
{
    unlink_use(c, i);
    link_newest(c, i);
    return qs_index_ref(i->ix);
}

/* ---- without it ---------------------------------------------------------------------------- */
static void release(struct item *i)
{
    while (i) {
        struct item *next = i->chain;
        qs_tensor_unref(i->t);
        qs_index_unref(i->ix);
        free(i);
        i = next;
    }
}

void qs_cache_free(qs_cache *c)
{
    if (!c) return;
    c->limit = 0;
    release(shrink(c));
    pthread_mutex_destroy(&c->mu);
    free(c->table);
    free(c);
}

size_t qs_cache_bytes(qs_cache *c)
{
    pthread_mutex_lock(&c->mu);
    size_t n = c->bytes;
    pthread_mutex_unlock(&c->mu);
    return n;
}

qs_index *qs_cache_peek(qs_cache *c, const qs_tensor *t, const qs_split *s, size_t part)
{
    if (!c) return NULL;
    struct item k = key_of(t, s, part);
    pthread_mutex_lock(&c->mu);
    struct item *i = find(c, &k);
    qs_index *ix = i ? use(c, i) : NULL;
    pthread_mutex_unlock(&c->mu);
    return ix;
}

/* Puts ix in, unless another thread was faster: then that one is used. Takes over the reference, returns one. */
static qs_index *keep(qs_cache *c, qs_tensor *t, const struct item *k, qs_index *ix)
{
    struct item *i = qs_xmalloc(sizeof *i), *out = NULL;
    *i = *k;
    i->t = qs_tensor_ref(t);
    i->ix = qs_index_ref(ix);
    i->bytes = qs_index_bytes(ix) + sizeof *i;
    pthread_mutex_lock(&c->mu);
    struct item *there = find(c, k);
    if (there) {
        qs_index *mine = ix;
        ix = use(c, there);
        i->chain = NULL;
        out = i;
        pthread_mutex_unlock(&c->mu);
        qs_index_unref(mine);
    } else {
        insert(c, i);
        out = shrink(c);
        pthread_mutex_unlock(&c->mu);
    }
    release(out);
    return ix;
}

qs_index *qs_cache_get(qs_cache *c, qs_tensor *t, const qs_split *s, size_t part, const qs_ctl *ctl, qs_err *err)
{
    qs_index *ix = qs_cache_peek(c, t, s, part);
    if (ix) return ix;
    ix = qs_index_of(t, s, part, NULL, ctl, err);
    if (!ix || !c || qs_index_bytes(ix) + sizeof(struct item) > c->limit) return ix;
    struct item k = key_of(t, s, part);
    return keep(c, t, &k, ix);
}
