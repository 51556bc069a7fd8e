/* SPDX-License-Identifier: MIT
 *
 * Holes, which are the lock of pages without a frame (struct hole, books.h). Waiting for one and
 * waking those who met one: transit/release.h.
 */
#ifndef HOLE_H
#define HOLE_H

#include "vm/books.h"

/* The hole that the page lies in, or NULL. A thread that may not go on sets ->wanted: the hole's
 * owner wakes the range. => O held */
static inline struct hole *
vm_object_hole_at(const struct vm_object *o, uint64_t index)
{
	struct hole *hole = o->holes;

	lock_assert_held(&o->lock);
	while (unlikely(hole != NULL) && (index < hole->low || index >= hole->high))
		hole = hole->next;
	return hole;
}
/* [low, high) becomes a hole. => O held */
void vm_object_hole_begin(struct vm_object *o, struct hole *hole, uint64_t low, uint64_t high);
/* And ceases to be one; jobs that wait for that are told. => whether the range must be woken; O
 * held */
bool vm_object_hole_end(struct vm_object *o, struct hole *hole);

#endif
