/* SPDX-License-Identifier: MIT
 *
 * Letting pages and holes go. Runs on: any thread; the functions that wait on jobs. Allocates
 * nothing.
 */
#include "transit/release.h"

#include "pmap/pmap.h"
#include "vm/task.h"
#include "core/watch.h"

void
vm_object_unbusy(struct vm_object *o, uint64_t index, struct vm_page *p)
{
	locks_assert_none();
	vm_page_assert(o, index);
	if (!vm_page_unbusy(p))
		return;
	if (load_acquire(&o->waiters) > 0) {
		lock_acquire(&o->lock);
		cond_broadcast(&o->unbusy);
		lock_release(&o->lock);
	}
	pmap_wake(o, index, index + 1);
}

/* Waits for a page or a hole of another thread. That thread may be held up by the client, and so
 * this wait is watched as one for the client. => O held, dropped and retaken meanwhile */
static void
wait_watched(struct vm_object *o)
{
	lock_assert_held(&o->lock);
	watch_client(vm_object_cookie(o));
	watch_enter(WATCH_WAIT, -1);
	cond_wait(&o->unbusy, &o->lock);
	watch_leave();
}

void
vm_object_wait_unbusy(struct vm_object *o, struct vm_page *p)
{
	lock_assert_held(&o->lock);
	fetch_add_acq_rel(&o->waiters, 1);
	if (!vm_page_busy_try(p))
		wait_watched(o);
	else
		vm_page_flags_clear(p, PAGE_BUSY);
	fetch_sub_acq_rel(&o->waiters, 1);
}

bool
vm_object_wait_holes(struct vm_object *o, uint64_t low, uint64_t high)
{
	struct hole *hole = o->holes;
	bool waited = false;

	lock_assert_held(&o->lock);
	CHECK(low < high);
	while (hole) {
		if (hole->high <= low || hole->low >= high) {
			hole = hole->next;
			continue;
		}
		fetch_add_acq_rel(&o->waiters, 1);
		wait_watched(o);
		fetch_sub_acq_rel(&o->waiters, 1);
		waited = true;
		hole = o->holes;
	}
	return waited;
}

void
vm_object_wait_purged(struct vm_object *o)
{
	lock_assert_held(&o->lock);
	while (o->purgeable.is_purging) {
		fetch_add_acq_rel(&o->waiters, 1);
		wait_watched(o);
		fetch_sub_acq_rel(&o->waiters, 1);
	}
}

void
vm_object_hole_close(struct vm_object *o, struct hole *hole)
{
	bool wanted;

	locks_assert_none();
	lock_acquire(&o->lock);
	wanted = vm_object_hole_end(o, hole);
	lock_release(&o->lock);
	if (wanted)
		pmap_wake(o, hole->low, hole->high);
}

unsigned
vm_object_busy_resident(struct vm_object *o, uint64_t first, uint64_t last, uint32_t *frames)
{
	unsigned count = 0;

	lock_assert_held(&o->lock);
	CHECK(last <= o->page_count);
	for (uint64_t i = first; i < last; i++) {
		uint64_t slot = load_relaxed(vm_object_slot(o, i));

		if (slot_kind(slot) != SLOT_RESIDENT)
			continue;
		if (vm_page_busy_only(&o->daemon->frames.pages[slot_frame(slot)])) {
			frames[count++] = slot_frame(slot);
			continue;
		}
		vm_object_wait_unbusy(o, &o->daemon->frames.pages[slot_frame(slot)]);
		i--; /* The page may be in any state by now: it is looked at again. */
	}
	return count;
}
