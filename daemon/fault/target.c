/* SPDX-License-Identifier: MIT
 *
 * From an address to the page that it means. Runs on: fault servers.
 */
#include "fault/target.h"

#include <sys/mman.h>

#include "daemon.h"
#include "fault/stream.h"
#include "pmap/uffd.h"
#include "transit/run.h"
#include "vm/submap.h"
#include "vm/vm_map.h"

/* Of a submap the fault may have no more than the region that it touches. => true: with O taken;
 * false: it touches a hole, or the region does not allow it; M held */
static bool
submap_enter(const struct fault *f, struct target *t)
{
	bool writes = f->flags & (UFFD_FAULT_WRITE | UFFD_FAULT_WP), may;
	struct submap *submap = t->object->submap;
	struct submap_region region;

	lock_assert_held(&f->task->map.lock);
	lock_acquire(&submap->lock);
	may = submap_find_locked(submap, t->index, &region) &&
	      (region.protection & (writes ? PROT_WRITE : PROT_READ));
	if (may) {
		t->low = max_u64(t->low, region.start);
		t->high = min_u64(t->high, region.end);
		/* Pages that may only be read are mapped as to a task that may only read. */
		t->is_read_only |= !(region.protection & PROT_WRITE);
		lock_acquire(&t->object->lock);
	}
	lock_release(&submap->lock);
	return may;
}

enum target_found
target_find(struct daemon *d, const struct fault *f, struct target *ret)
{
	struct vm_map *m = &f->task->map;
	enum target_found found = TARGET_UNKNOWN;
	struct vm_entry *e;

	locks_assert_none();
	lock_acquire(&m->lock);
	e = vm_map_lookup(m, f->address);
	/* Devices are mapped without userfaultfd: if a program registers such a range itself,
	 * nothing is known of it here. */
	if (e && unlikely(e->mapping->object->is_device))
		e = NULL;
	if (e) {
		ret->object = e->mapping->object;
		ret->base = e->mapping->base;
		ret->seen_by = e->mapping->number;
		ret->is_read_only = e->mapping->is_read_only;
		ret->low = e->offset >> d->page_shift;
		ret->high = ret->low + ((e->end - e->start) >> d->page_shift);
		ret->index = ret->low + ((f->address - e->start) >> d->page_shift);
		ret->behavior = e->behavior;
		ret->wired = e->wired_count > 0;
		ret->want = stream_follow_locked(d, f, e->behavior, &ret->direction);
		/* A long run through a file. */
		if (unlikely(ret->object->external != NULL) && ret->want >= param(d, fault_cluster))
			ret->want = FAULT_CLUSTER_MAX;
		CHECK(ret->index < ret->high && ret->high <= e->mapping->end);
		found = TARGET_FOUND;
		if (likely(!ret->object->submap))
			lock_acquire(&ret->object->lock);
		else if (!submap_enter(f, ret))
			found = TARGET_FORBIDDEN;
		if (found == TARGET_FOUND)
			vm_object_get(ret->object);
	}
	lock_release(&m->lock);
	return found;
}
