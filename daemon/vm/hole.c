/* SPDX-License-Identifier: MIT
 *
 * Holes. Runs on: any thread that has O.
 */
#include "vm/hole.h"

#include "check.h"

void
vm_object_hole_begin(struct vm_object *o, struct hole *hole, uint64_t low, uint64_t high)
{
	CHECK(low < high && low < o->page_count);
	lock_assert_held(&o->lock);
	*hole = (struct hole){ .next = o->holes, .low = low, .high = high };
	o->holes = hole;
}

bool
vm_object_hole_end(struct vm_object *o, struct hole *hole)
{
	struct hole **at = &o->holes;

	lock_assert_held(&o->lock);
	while (*at != hole) {
		CHECK(*at != NULL);
		at = &(*at)->next;
	}
	*at = hole->next;
	if (load_acquire(&o->waiters) > 0)
		cond_broadcast(&o->unbusy);
	return hole->wanted;
}
