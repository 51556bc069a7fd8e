/* SPDX-License-Identifier: MIT
 *
 * Bills by walking: what a client's ledger must say, from its objects' pages and nothing that was
 * posted. `pagerctl check` compares all of it; in builds with debug_level 1 the memorystatus thread
 * compares a part at each look, and a difference is a panic.
 */
#ifndef LEDGER_WALK_H
#define LEDGER_WALK_H

#include "core/ledger.h"

struct daemon;
struct task;
struct vm_object;

/* Pages by class. */
struct class_pages {
	uint64_t pages[LEDGER_CLASS_COUNT];
};

/* The object's pages, each looked at. => O and PAGEQ held */
void vm_object_walk_locked(const struct vm_object *o, struct class_pages *ret);
/* The first class of which the object has posted something else; LEDGER_CLASS_NONE: none. => PAGEQ
 * held */
enum ledger_class vm_object_differs_locked(
    const struct vm_object *o, const struct class_pages *walked);
/* What the objects that the task pays for have posted, and its mappings of devices. => PAGEQ held
 */
void task_walk_locked(struct task *task, struct class_pages *ret);
/* => the first entry of its ledger that says something else, PAGER_LEDGER_COUNT: none; PAGEQ held
 */
enum pager_ledger_entry task_differs_locked(
    const struct task *task, const struct class_pages *walked);
/* Pages that an entry must have. */
uint64_t class_pages_of(const struct class_pages *walked, enum pager_ledger_entry entry);

struct ledger_walk {
	uint32_t object, task; /* where it goes on */
};
#if DEBUG_LEVEL >= 1
/* Compares the next object and the next task. No lock held */
void ledger_walk_step(struct daemon *d, struct ledger_walk *at);
#else
static inline void
ledger_walk_step(struct daemon *d, struct ledger_walk *at)
{
	(void)d;
	(void)at;
}
#endif

#endif
