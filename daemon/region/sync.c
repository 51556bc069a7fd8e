/* SPDX-License-Identifier: MIT
 *
 * Pages that have places. Runs on: jobs.
 */
#include "region/sync.h"

#include "transit/drop.h"
#include "vm/vm_mapping.h"

bool
region_place_next(struct range *range, struct clean_request *ret)
{
	unsigned page_shift = range->task->daemon->page_shift;
	struct vm_entry e;

	locks_assert_none();
	while (!range_is_done(range) && task_entry_get(range->task, range->at, &e)) {
		uint64_t from = max_u64(range->at, e.start), to = min_u64(range->end, e.end);
		struct vm_object *o = e.mapping->object;
		bool found = e.start < range->end && o->external;

		if (found) {
			vm_object_get(o);
			*ret = (struct clean_request){ .object = o, .task = range->task };
			ret->low = (e.offset + (from - e.start)) >> page_shift;
			ret->high = ret->low + ((to - from) >> page_shift);
		}
		vm_mapping_put(e.mapping);
		range->at = min_u64(e.end, range->end);
		if (found)
			return true;
	}
	range->at = range->end;
	return false;
}

uint64_t
region_place_drop(struct range *range, const struct clean_request *pages)
{
	struct hole hole;
	bool is_busy;
	uint64_t gone;

	locks_assert_none();
	gone = vm_object_drop_clean(
	    range->stats, &hole, pages->object, pages->low, pages->high, &is_busy);
	stat_add(range->stats, STAT_FILE_DROPS, gone);
	return gone;
}
