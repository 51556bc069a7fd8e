/* SPDX-License-Identifier: MIT
 *
 * Poison. Runs on: fault servers.
 */
#include "transit/poison.h"

#include "pmap/uffd.h"
#include "vm/hole.h"

void
poison_hole(struct vm_object *o, struct hole *hole)
{
	uint64_t address = vm_object_address(o, hole->low);
	size_t page = o->daemon->page_bytes;
	bool wanted;

	CHECK(hole->high == hole->low + 1);
	uffd_poison(o->task->uffd, address, page, UFFD_MODE_HELD);
	lock_acquire(&o->lock);
	wanted = vm_object_hole_end(o, hole);
	lock_release(&o->lock);
	if (wanted)
		uffd_wake(o->task->uffd, address, page);
}
