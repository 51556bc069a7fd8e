/* SPDX-License-Identifier: MIT
 *
 * Clean pages leave. Runs on: jobs, the cleaner. Allocates nothing.
 */
#include "transit/drop.h"

#include "memorystatus/frame_wait.h"
#include "pageq/pageq.h"
#include "transit/leave.h"

/* Pages that are taken in one round. */
#define DROP_BATCH 64u
/* Pages that are looked at while PAGEQ is held once. */
#define DROP_STEP 16u

uint64_t
vm_object_drop_clean(struct stat_shard stats, struct hole *hole, struct vm_object *o, uint64_t low,
    uint64_t high, bool *ret_busy)
{
	struct victim victims[DROP_BATCH];
	struct daemon *d = o->daemon;
	uint64_t gone = 0, at = low;

	locks_assert_none();
	CHECK(low <= high && high <= o->page_count);
	*ret_busy = false;
	vm_object_settle(o);
	while ((at = vm_object_next_live(o, at, high)) < high) {
		uint64_t end = min_u64(at + DROP_BATCH, high);
		unsigned count = 0;

		while (at < end) {
			uint64_t step = min_u64(at + DROP_STEP, end);

			pageq_lock(d);
			for (; at < step; at++) {
				enum pageq_eviction what =
				    pageq_evict_page_locked(d, o, at, true, &victims[count]);

				count += what == EVICTION_TAKEN;
				*ret_busy |= what == EVICTION_BUSY;
			}
			pageq_unlock(d);
		}
		victims_leave(stats, hole, victims, count);
		gone += count;
	}
	if (gone > 0)
		frame_wait_freed(d);
	return gone;
}
