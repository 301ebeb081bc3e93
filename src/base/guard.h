/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_BASE_GUARD_H
#define QS_BASE_GUARD_H
/*
 * Files that are cut short while they are mapped. Reading a page that its file no longer has raises SIGBUS on the
 * thread that reads. For guarded mappings the rest of the mapping, from that page on, is then replaced by zeros, the
 * mapping is marked as lost, and the read goes on: whoever reads asks qs_guard_lost when it is through and says EIO.
 * A page that a failing disk does not give is the same case.
 *
 * SIGBUS belongs to the whole process, and we may be a guest in it (the Lua module): the handler stands only while
 * something is guarded, hands every fault that is not in a guarded mapping to the handler that was there before, and
 * puts that one back when the last guard goes.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct qs_guard {
    const void *data;                 /* where the file is mapped, on a page; all four set by qs_guard_add */
    size_t size;                      /* bytes */
    atomic_bool lost;
    struct qs_guard *next, **from;
} qs_guard;

/*
 * From add to remove the mapping is guarded; g must stay where it is, and the mapping must be there all the time.
 * Cost: a system call for the first one and the last one.  Thread: any.  Test: t_guard
 */
void qs_guard_add(qs_guard *g, const void *data, size_t size);
void qs_guard_remove(qs_guard *g);

/* Whether something was read that is not in the file any more. Stays so. */
static inline bool qs_guard_lost(const qs_guard *g) { return atomic_load_explicit(&g->lost, memory_order_acquire); }

/* Who has just set a handler for SIGBUS himself (the workbench, to give the terminal back) calls this: ours stands before it again. */
void qs_guard_renew(void);

#endif
