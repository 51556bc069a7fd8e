/* SPDX-License-Identifier: MIT
 *
 * Ranges and names. Runs on: jobs.
 */
#include "region/map.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "pagers/returns.h"
#include "region/piece.h"
#include "transit/discard.h"
#include "vm/vm_map.h"

/* The entries of a range lie side by side in one object. => 0 or as region_name; M held */
static int
name_check_locked(const struct range *range, bool is_writable, struct named_range *ret)
{
	struct vm_map *m = &range->task->map;
	unsigned page_shift = range->task->daemon->page_shift;
	const struct vm_entry *e = vm_map_lookup(m, range->address);
	const struct vm_mapping *mapping = e->mapping;

	lock_assert_held(&m->lock);
	if (!mapping->object->is_shareable)
		return -ENOTSUP;
	ret->object = mapping->object;
	ret->first = (e->offset + (range->address - e->start)) >> page_shift;
	ret->end = ret->first + ((range->end - range->address) >> page_shift);
	ret->is_writable = is_writable;
	ret->may_change = false;
	for (; e < m->entries + m->count && e->start < range->end; e++) {
		if (e->mapping->object != mapping->object || e->mapping->base != mapping->base)
			return -EINVAL;
		if (!(e->max_protection & PROT_READ))
			return -EACCES;
		if (is_writable && (e->mapping->is_read_only || !(e->max_protection & PROT_WRITE)))
			return -EACCES;
	}
	/* Whoever maps a page of it gets the memfd of all. What a client has given for that is its
	 * own affair; and of a file it is what the file's descriptor, which the client could have
	 * sent instead, would have given. */
	if (mapping->object->backing.is_foreign || mapping->object->external)
		return 0;
	return ret->first == 0 && ret->end == mapping->object->page_count ? 0 : -ENOTSUP;
}

int
region_name(struct range *range, bool is_writable, struct named_range *ret)
{
	struct vm_map *m = &range->task->map;
	int error;

	locks_assert_none();
	lock_acquire(&m->lock);
	error = vm_map_is_covered(m, range->address, range->end)
		    ? name_check_locked(range, is_writable, ret)
		    : -EINVAL;
	if (!error)
		vm_object_get(ret->object);
	lock_release(&m->lock);
	return error;
}

int
region_map(struct range *range, const struct named_range *name, uint64_t first, bool is_read_only,
    struct vm_entry *ret)
{
	struct vm_map *m = &range->task->map;
	unsigned page_shift = range->task->daemon->page_shift;
	struct vm_object *o = name->object;
	struct vm_mapping *mapping = vm_mapping_blank();
	uint64_t pages = (range->end - range->address) >> page_shift;
	int protection = is_read_only ? PROT_READ : PROT_READ | PROT_WRITE, error;

	locks_assert_none();
	CHECK(first >= name->first && first + pages <= name->end);
	CHECK(is_read_only || name->is_writable);
	if (!mapping)
		return -ENOMEM;
	mapping->is_read_only = is_read_only;
	lock_acquire(&m->lock);
	error = range_room_locked(range);
	if (!error)
		error = vm_mapping_join_locked(mapping, o, range->task,
		    range->address - (first << page_shift), first, first + pages);
	if (!error) {
		*ret = (struct vm_entry){ .start = range->address,
			.end = range->end,
			.mapping = mapping,
			.offset = first << page_shift,
			.inheritance = o->is_device ? PAGER_INHERIT_NONE : PAGER_INHERIT_SHARE,
			.protection = (uint32_t)protection,
			.max_protection = (uint32_t)protection };
		vm_map_insert(m, ret);
		range->at = range->end;
	}
	lock_release(&m->lock);
	if (error) {
		/* It has never been a mapping, so no page is left to discard. */
		vm_mapping_blank_free(mapping);
		return error == -EBADF || error == -EEXIST ? error : -ENOMEM;
	}
	vm_object_owner_settle(o);
	vm_object_lane_settle(o);
	return 0;
}

bool
region_name_gone(const struct named_range *name, uint64_t *at, uint64_t *ret_pages)
{
	unsigned work = 0;
	uint64_t to;

	locks_assert_none();
	CHECK(name->first <= *at && *at < name->end);
	if (name->object->external) {
		/* Its pager has the pages, or will. Perhaps nobody sees it any more: the cleaner
		 * looks. */
		returns_ring(name->object->daemon);
		*at = name->end;
		*ret_pages = 0;
		return false;
	}
	to = piece_reach(name->object, *at, name->end, PIECE_DISCARD, &work);
	*ret_pages = vm_object_discard_uncovered(name->object, NULL, *at, to);
	*at = to;
	return *at < name->end;
}
