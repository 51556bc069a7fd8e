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
#include "vm/window.h"
#include "vm/window_source.h"

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

/* Neighbours that are looked at on either side. */
#define SHOWN_NEAR 64u

/* Whether the page of the source is in memory, or can be brought there. If so its O is taken. */
static bool
source_enter(struct vm_object *source, uint64_t index)
{
	enum slot_kind kind;

	lock_acquire(&source->lock);
	kind = slot_kind(load_relaxed(vm_object_slot(source, index)));
	if (kind == SLOT_RESIDENT || kind == SLOT_STORED)
		return true;
	lock_release(&source->lock);
	return false;
}

/* The pages around the touched one that the window shows. => M held */
static void
neighbours_locked(const struct window *w, struct target *t)
{
	uint64_t at = t->copy_index, low = max_u64(w->first, t->low),
		 high = min_u64(w->end, t->high);

	lock_assert_held(&w->source->task->map.lock);
	t->low = t->high = at;
	while (t->low > low && at - t->low < SHOWN_NEAR &&
	       window_page_locked(w, t->low - 1) == WINDOW_SHOWS)
		t->low--;
	while (t->high < high && t->high - at < SHOWN_NEAR &&
	       window_page_locked(w, t->high) == WINDOW_SHOWS)
		t->high++;
}

/* Looks whether the touch is of a window. A read that may see the page of the source becomes one of
 * that page, with that object's O taken. => FOUND: as before or so, with O taken if *ret_taken;
 * OPENS: the copy's own page must be mapped there, and the client's agent is to be asked;
 * ASKED: it has been, and whoever hears of it wakes the thread; M held */
static enum target_found
window_enter_locked(
    const struct fault *f, const struct vm_entry *e, struct target *t, bool *ret_taken)
{
	struct window *w = window_at_locked(e->mapping, t->index);
	uint64_t at, first, end;
	struct vm_object *source;

	lock_assert_held(&f->task->map.lock);
	*ret_taken = false;
	if (!w)
		return TARGET_FOUND;
	if (window_page_locked(w, t->index) == WINDOW_ASKED)
		return TARGET_ASKED;
	source = w->source->object;
	at = w->source_first + (t->index - w->first);
	if (!t->wired && !(f->flags & (UFFD_FAULT_WRITE | UFFD_FAULT_WP)) &&
	    window_shows(t->object, t->index, source, at) && source_enter(source, at)) {
		t->copy = t->object;
		t->copy_index = t->index;
		t->copy_shift = w->source_first - w->first;
		vm_object_get(t->copy);
		neighbours_locked(w, t);
		t->low += t->copy_shift;
		t->high += t->copy_shift;
		t->object = source;
		t->base = w->source->base;
		t->seen_by = w->source->number;
		t->is_read_only = true;
		t->index = at;
		*ret_taken = true;
		return TARGET_FOUND;
	}
	window_block_locked(w, t->index, t->low, t->high, &first, &end);
	window_set_locked(w, first, end, WINDOW_ASKED);
	return TARGET_OPENS;
}

enum target_found
target_find(struct daemon *d, const struct fault *f, struct target *ret)
{
	struct vm_map *m = &f->task->map;
	enum target_found found = TARGET_UNKNOWN;
	bool is_taken = false;
	struct vm_entry *e;

	locks_assert_none();
	lock_acquire(&m->lock);
	e = vm_map_lookup(m, f->address);
	/* Devices are mapped without userfaultfd: if a program registers such a range itself,
	 * nothing is known of it here. */
	if (e && unlikely(e->mapping->object->is_device))
		e = NULL;
	if (e && unlikely(m->barrier) && f->flags & (UFFD_FAULT_WRITE | UFFD_FAULT_WP)) {
		m->barrier_met = true;
		found = TARGET_HELD;
	} else if (e) {
		ret->object = e->mapping->object;
		ret->base = e->mapping->base;
		ret->seen_by = e->mapping->number;
		/* What is brought in while the client forks is not to be written before that is
		 * over. */
		ret->is_read_only = e->mapping->is_read_only || m->barrier;
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
		ret->copy = NULL;
		if (unlikely(vm_mapping_has_windows(e->mapping)))
			found = window_enter_locked(f, e, ret, &is_taken);
		if (unlikely(is_taken || found != TARGET_FOUND))
			;
		else if (likely(!ret->object->submap))
			lock_acquire(&ret->object->lock);
		else if (!submap_enter(f, ret))
			found = TARGET_FORBIDDEN;
		if (found == TARGET_FOUND)
			vm_object_get(ret->object);
	}
	lock_release(&m->lock);
	return found;
}
