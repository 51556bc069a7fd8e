/* SPDX-License-Identifier: MIT
 *
 * Ranges come and go. Runs on: the control loop (allocate), jobs.
 */
#include "region/allocate.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "failpt.h"
#include "memorystatus/refused.h"
#include "pagers/returns.h"
#include "region/page_list.h"
#include "region/piece.h"
#include "region/wire.h"
#include "transit/discard.h"
#include "vm/copy_reserve.h"
#include "vm/vm_map.h"
#include "vm/vm_share.h"

/* Whether its object has room for the range, and takes several allocations. */
static bool
mapping_covers(const struct vm_mapping *m, uint64_t address, uint64_t pages)
{
	CHECK_OBJ(m, VM_MAPPING_MAGIC);
	if (m->object->alone)
		return false;
	return address >= vm_mapping_address(m, m->first) &&
	       address + (pages << m->object->daemon->page_shift) <= vm_mapping_address(m, m->end);
}

/* A mapping of this task in whose object there is room for the range: of the last object made, or
 * of a neighbour's. The range is free, so its pages there are nobody's. Without this each
 * allocation into a hole would make an object of 128 MiB. => NULL: none */
static struct vm_mapping *
mapping_around_locked(struct vm_map *m, uint64_t address, uint64_t pages)
{
	uint32_t above = vm_map_index(m, address);

	lock_assert_held(&m->lock);
	if (m->growing && mapping_covers(m->growing, address, pages))
		return m->growing;
	if (above > 0 && mapping_covers(m->entries[above - 1].mapping, address, pages))
		return m->entries[above - 1].mapping;
	if (above < m->count && mapping_covers(m->entries[above].mapping, address, pages))
		return m->entries[above].mapping;
	return NULL;
}

/* An object for the range, and unless it is to be alone there, more allocations behind it, mapped
 * at the range's address. flags: PAGER_WIRE_ALLOC_*. => 0 with a reference on the mapping, or as
 * vm_object_create; no lock held */
static int
mapping_make(struct range *range, uint64_t pages, uint32_t flags, struct vm_mapping **ret)
{
	unsigned use = flags & PAGER_WIRE_ALLOC_SHAREABLE ? OBJECT_SHAREABLE
		       : flags                            ? OBJECT_ALONE
							  : OBJECT_CHUNK;
	struct vm_object *o;
	int error;

	locks_assert_none();
	if (flags & PAGER_WIRE_ALLOC_PURGEABLE)
		use |= OBJECT_PURGEABLE;
	if (flags & PAGER_WIRE_ALLOC_TAGGED)
		use |= OBJECT_TAGGED;
	if (flags & PAGER_WIRE_ALLOC_UNCOUNTED)
		use |= OBJECT_UNCOUNTED;
	error = vm_object_create(range->task->daemon, range->task, pages, (enum object_use)use, &o);
	if (error)
		return error;
	error = vm_mapping_create(o, range->task, range->address, 0, pages, ret);
	vm_object_put(o);
	return error;
}

/* The mapping that a new range goes to, with a reference. => M is dropped and retaken meanwhile */
static int
mapping_for_locked(struct range *range, uint32_t flags, struct vm_mapping **ret)
{
	struct task *task = range->task;
	struct vm_map *m = &task->map;
	struct daemon *d = task->daemon;
	uint64_t pages = (range->end - range->address) >> d->page_shift;
	uint64_t chunk = max_u64(VM_OBJECT_CHUNK_BYTES >> d->page_shift, SLOTS_PER_RUN);
	struct vm_mapping *mapping = flags ? NULL : mapping_around_locked(m, range->address, pages);
	int error;

	lock_assert_held(&m->lock);
	if (mapping) {
		*ret = vm_mapping_get(mapping);
		return 0;
	}
	if (load_relaxed(&task->objects) >= param(d, max_client_objects))
		return -EDQUOT;
	/* Making an object is slow. Only the control loop allocates for this map. */
	lock_release(&m->lock);
	error = mapping_make(range, flags || pages * 2 > chunk ? pages : chunk, flags, &mapping);
	lock_acquire(&m->lock);
	if (error)
		return error;
	if (mapping->end > pages) {
		struct vm_mapping *old = m->growing;

		m->growing = vm_mapping_get(mapping);
		if (old) {
			lock_release(&m->lock);
			vm_mapping_put(old);
			lock_acquire(&m->lock);
		}
	}
	*ret = mapping;
	return 0;
}

int
region_allocate(struct range *range, uint32_t flags, struct vm_entry *ret)
{
	struct daemon *d = range->task->daemon;
	struct vm_map *m = &range->task->map;
	struct vm_mapping *mapping = NULL;
	int error;

	CHECK(range->at == range->address);
	lock_acquire(&m->lock);
	error = range_room_locked(range);
	if (!error)
		error = mapping_for_locked(range, flags, &mapping);
	if (!error) {
		CHECK(flags || mapping_covers(mapping, range->address,
				   (range->end - range->address) >> d->page_shift));
		*ret = (struct vm_entry){
			.start = range->address,
			.end = range->end,
			.mapping = mapping,
			.offset = range->address - mapping->base,
			.inheritance = PAGER_INHERIT_COPY,
			.protection = PROT_READ | PROT_WRITE,
			.max_protection = PROT_READ | PROT_WRITE,
		};
		vm_map_insert(m, ret);
		failpt_die(FAIL_DIE_ENTRY_MADE);
		range->at = range->end;
	}
	lock_release(&m->lock);
	return error == -ENOSPC || error == -EDQUOT ? -ENOMEM : error;
}

bool
region_is_allocated(struct range *range, struct vm_entry *ret)
{
	struct vm_map *m = &range->task->map;
	const struct vm_entry *e;
	bool is_there;

	locks_assert_none();
	lock_acquire(&m->lock);
	e = vm_map_lookup(m, range->address);
	is_there = e && e->end >= range->end;
	if (is_there) {
		*ret = *e;
		ret->start = range->address;
		ret->end = range->end;
		ret->offset += range->address - e->start;
	}
	lock_release(&m->lock);
	return is_there;
}

/* Whether giving the range back leaves more regions than the client may have: what lies within one
 * entry makes two. */
static bool
parts_too_many_locked(struct vm_map *m, const struct range *range)
{
	lock_assert_held(&m->lock);
	return m->count + 1 > param(m->daemon, max_client_regions) &&
	       vm_map_clips(m, range->address, range->end) == 2 &&
	       vm_map_index(m, range->address) == vm_map_index(m, range->end);
}

/* A device may be at work on what is pinned. */
static bool
is_pinned_locked(struct vm_map *m, const struct range *range)
{
	bool pinned = false;

	lock_assert_held(&m->lock);
	for (uint32_t i = vm_map_index(m, range->address);
	     i < m->count && m->entries[i].start < range->end; i++)
		pinned |= m->entries[i].pin_count > 0;
	return pinned;
}

/* Pages of a mapping that several may see are given back at its ends only: where the range begins
 * in the midst of one, its upper part becomes a mapping of its own. parts: both then, with a
 * reference. => false: it may not; nothing has changed */
static bool
split_locked(struct vm_map *m, const struct range *range, struct vm_mapping **spare,
    struct vm_mapping *parts[2])
{
	struct vm_entry *e = vm_map_lookup(m, range->address);
	struct vm_mapping *lower = e->mapping, *upper = *spare;
	uint64_t at = (e->offset + (range->address - e->start)) >> range->task->daemon->page_shift;

	lock_assert_held(&m->lock);
	if (!lower->object->is_shareable || lower->first == at)
		return true;
	if (!vm_mapping_split_locked(
		lower, at, vm_map_wired_above(m, range->address, lower), upper))
		return false;
	*spare = NULL;
	vm_map_clip(m, range->address, range->end);
	vm_mapping_get(lower);
	vm_map_remap(m, range->address, vm_mapping_address(upper, upper->end), lower, upper);
	parts[0] = lower;
	parts[1] = vm_mapping_get(upper);
	return true;
}

int
region_deallocate_begin(struct range *range)
{
	struct vm_map *m = &range->task->map;
	struct vm_mapping *spare, *parts[2] = { NULL };
	int error = 0;

	locks_assert_none();
	CHECK(range->at == range->address);
	if (page_list_around(range))
		return -EBUSY;
	/* What leaves may part links of copies. */
	if (!copy_reserve_settle(range->task->daemon))
		return -ENOMEM;
	spare = vm_mapping_blank();
	if (!spare)
		return -ENOMEM;
	lock_acquire(&m->lock);
	if (!vm_map_is_covered(m, range->address, range->end))
		error = -EINVAL;
	else if (is_pinned_locked(m, range))
		error = -EBUSY;
	else if (parts_too_many_locked(m, range))
		error = -ENOMEM;
	if (!error)
		error = vm_map_reserve(m);
	if (!error && !split_locked(m, range, &spare, parts))
		error = -ENOMEM;
	if (!error)
		vm_map_clip(m, range->address, range->end);
	lock_release(&m->lock);
	vm_mapping_blank_free(spare);
	for (unsigned i = 0; i < ARRAY_LEN(parts) && parts[i]; i++) {
		/* The other part alone may have the wired entries. */
		mapping_leftovers_unwire(parts[i]);
		vm_mapping_put(parts[i]);
	}
	return error;
}

/* Pages that have a place with their pager stay until memory is wanted, or nobody maps the object
 * any more: the cleaner sees to it. */
static uint64_t
places_leave(const struct vm_entry *e, uint64_t first, uint64_t last)
{
	struct vm_object *o = e->mapping->object;
	struct daemon *d = o->daemon;
	uint64_t address;

	mapping_unwire(e->mapping, first, last);
	while (refused_forget(d, e->mapping->task, e->start, e->end, &address))
		continue;
	vm_object_owner_settle(o);
	vm_object_lane_settle(o);
	return 0;
}

/* What the task has seen of an object that several may see: pages that nobody else keeps go, others
 * are unwired where this task alone had wired them. */
static uint64_t
shared_discard(const struct vm_entry *e, uint64_t first, uint64_t last)
{
	struct vm_object *o = e->mapping->object;
	uint64_t gone;

	CHECK(o->is_shareable && first < last);
	if (o->is_device) {
		vm_object_owner_settle(o);
		return 0;
	}
	if (o->external)
		return places_leave(e, first, last);
	/* Also where the entry is not wired: others may have left pages wired for the sake of
	 * another entry of this mapping. */
	mapping_unwire(e->mapping, first, last);
	gone = vm_object_discard_uncovered(o, NULL, first, last);
	vm_object_owner_settle(o);
	vm_object_lane_settle(o);
	return gone;
}

/* => pages that were there and are no more */
static uint64_t
entry_discard(const struct vm_entry *e, unsigned page_shift)
{
	uint64_t first = e->offset >> page_shift,
		 last = first + ((e->end - e->start) >> page_shift);
	struct vm_object *o = e->mapping->object;
	bool is_place;
	uint64_t gone;

	CHECK(e->start < e->end);
	gone = o->is_shareable ? shared_discard(e, first, last)
			       : vm_object_discard(o, first, last - first);
	is_place = o->external != NULL;
	if (is_place)
		vm_object_get(o);
	vm_mapping_put(e->mapping);
	if (is_place) {
		/* It may have been the last mapping. */
		returns_ring(o->daemon);
		vm_object_put(o);
	}
	return gone;
}

/* Takes the first part of what is left out of the map. => false: nothing is left */
static bool
take_next(struct range *range, unsigned *work, struct vm_entry *ret)
{
	struct vm_map *m = &range->task->map;
	uint32_t i;
	bool found;

	CHECK(range->address <= range->at && range->at <= range->end);
	lock_acquire(&m->lock);
	i = vm_map_index(m, range->at);
	found = i < m->count && m->entries[i].start < range->end;
	if (found)
		*ret = piece_take_locked(m, i, range->task->daemon->page_shift, work);
	lock_release(&m->lock);
	range->at = found ? ret->end : range->end;
	return found;
}

uint64_t
region_deallocate(struct range *range)
{
	uint64_t gone = 0;
	unsigned work = 0;
	struct vm_entry e;

	locks_assert_none();
	CHECK_OBJ(range->task, TASK_MAGIC);
	while (work < PIECE_WORK && take_next(range, &work, &e)) {
		failpt_die(FAIL_DIE_ENTRY_GONE);
		gone += entry_discard(&e, range->task->daemon->page_shift);
	}
	stat_add(range->stats, STAT_DISCARDS, gone);
	if (range_is_done(range))
		task_wired_settle(range->task);
	return gone;
}

/* Takes the last part of the map out of it. => false: nothing is left */
static bool
take_last(struct task *task, unsigned *work, struct vm_entry *ret)
{
	struct vm_map *m = &task->map;
	bool any;

	lock_acquire(&m->lock);
	any = m->count > 0;
	if (any)
		*ret = piece_take_last_locked(m, task->daemon->page_shift, work);
	lock_release(&m->lock);
	return any;
}

bool
region_give_up(struct task *task)
{
	struct vm_mapping *growing;
	unsigned work = 0;
	struct vm_entry e;

	locks_assert_none();
	CHECK_OBJ(task, TASK_MAGIC);
	while (take_last(task, &work, &e)) {
		entry_discard(&e, task->daemon->page_shift);
		if (work >= PIECE_WORK)
			return true;
	}
	lock_acquire(&task->map.lock);
	growing = task->map.growing;
	task->map.growing = NULL;
	lock_release(&task->map.lock);
	task_wired_settle(task);
	if (growing)
		vm_mapping_put(growing);
	return false;
}
