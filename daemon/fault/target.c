/* SPDX-License-Identifier: MIT
 *
 * From an address to the page that it means. Runs on: fault servers.
 */
#include "fault/target.h"

#include "daemon.h"
#include "fault/stream.h"
#include "vm/vm_map.h"

bool
target_find(struct daemon *d, const struct fault *f, struct target *ret)
{
	struct vm_map *m = &f->task->map;
	struct vm_entry *e;

	locks_assert_none();
	lock_acquire(&m->lock);
	e = vm_map_lookup(m, f->address);
	if (e) {
		ret->object = e->mapping->object;
		vm_object_get(ret->object);
		ret->base = e->mapping->base;
		ret->is_read_only = e->mapping->is_read_only;
		ret->low = e->offset >> d->page_shift;
		ret->high = ret->low + ((e->end - e->start) >> d->page_shift);
		ret->index = ret->low + ((f->address - e->start) >> d->page_shift);
		ret->behavior = e->behavior;
		ret->wired = e->wired_count > 0;
		ret->want = stream_follow_locked(d, f, e->behavior, &ret->direction);
		CHECK(ret->index < ret->high && ret->high <= e->mapping->end);
		lock_acquire(&ret->object->lock);
	}
	lock_release(&m->lock);
	return e != NULL;
}
