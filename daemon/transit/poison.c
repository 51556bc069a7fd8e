/* SPDX-License-Identifier: MIT
 *
 * Poison. Runs on: fault servers. Allocates nothing.
 */
#include "transit/poison.h"

#include "pmap/pmap.h"
#include "pmap/uffd.h"
#include "vm/hole.h"

void
poison_hole(struct vm_object *o, struct hole *hole, struct task *task, uint64_t address)
{
	uint64_t low = hole->low;
	bool wanted;

	locks_assert_none();
	CHECK(hole->high == low + 1);
	uffd_poison(task->uffd, address, o->daemon->page_bytes, UFFD_MODE_HELD);
	lock_acquire(&o->lock);
	wanted = vm_object_hole_end(o, hole);
	lock_release(&o->lock);
	if (wanted)
		pmap_wake(o, low, low + 1);
}
