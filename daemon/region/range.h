/* SPDX-License-Identifier: MIT
 *
 * A range of a task's map, on which an operation works a piece at a time. Each call of an operation
 * carries out one piece and moves `at` on; its caller calls again until the range is done, and
 * others' work passes between two calls. Meanwhile nothing else changes the map: of the requests of
 * one session one is under way. Runs on: jobs, and the control loop for ALLOCATE.
 */
#ifndef RANGE_H
#define RANGE_H

#include "core/stats.h"
#include "vm/task.h"
#include "vm/vm_map.h"

struct range {
	struct task *task;
	struct stat_shard stats; /* the calling thread's */
	unsigned place;          /* of the calling jobs thread in d->prefetch */
	uint64_t address, end;   /* client addresses [address, end), multiples of the page */
	uint64_t at;             /* [address, at) is done */
};

/* The numbers may be any. => 0 or -EINVAL: that is no range of pages */
int range_init(struct range *range, struct task *task, uint64_t address, uint64_t size);
static inline bool
range_is_done(const struct range *range)
{
	return range->at >= range->end;
}
/* Whether all of it is allocated. => 0 or -EINVAL; no lock held */
int range_is_covered(struct range *range);
/* Whether an entry may come there. => 0, and the next insert and two clips cannot fail; -EEXIST:
 * something is allocated there; -ENOMEM: the client has as much as it may, or there is no memory;
 * or what share_take says. M held */
int range_room_locked(const struct range *range);
/* Whether a page of it is in a window (vm/window.h) and not open. No lock held */
bool range_has_windows(const struct range *range);
/* A copy of the entry at or above the address, with a reference on its mapping. => false: there is
 * none; no lock held */
bool task_entry_get(struct task *task, uint64_t address, struct vm_entry *ret);

#endif
