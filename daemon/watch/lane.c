/* SPDX-License-Identifier: MIT
 *
 * Moving a client from one lane to another. The set of servers that poll it changes under its
 * affinity.busy, as in fault/affinity.c.
 */
#include "watch/lane.h"

#include <sched.h>

#include "fault/lease.h"
#include "fault/poll.h"
#include "fault/fault.h"
#include "memorystatus/frame_wait.h"
#include "memorystatus/limits.h"
#include "pageq/side.h"
#include "pmap/wake.h"
#include "vm/vm_map.h"
#include "vm/vm_share.h"

/* => false: no server of the lane could be made to poll it, and those that do go on */
static bool
poll_from(struct daemon *d, struct task *task, unsigned lane)
{
	uint64_t polling = 0;
	bool any = false;

	CHECK(load_relaxed(&task->affinity.busy));
	/* First some join, then the others leave: somebody always polls. */
	for (unsigned i = 0; i < seat_count(d); i++)
		if (d->seats[i].lane == lane && fault_seat_watch(&d->seats[i], task) == 0) {
			polling |= lane == LANE_COMMON ? fault_seat_bit(i) : 0;
			any = true;
		}
	if (!any)
		return false;
	for (unsigned i = 0; i < seat_count(d); i++)
		if (d->seats[i].lane != lane)
			fault_seat_unwatch(&d->seats[i], task);
	store_relaxed(&task->affinity.polling, polling);
	return true;
}

/* The lanes of objects that it sees with others. */
static void
objects_settle(struct task *task)
{
	uint64_t at = 0;

	for (;;) {
		struct vm_mapping *mapping = NULL;
		struct vm_entry *e;

		lock_acquire(&task->map.lock);
		for (e = vm_map_lookup_from(&task->map, at);
		     e && e < task->map.entries + task->map.count && !mapping; e++) {
			at = e->end;
			if (e->mapping->object->is_shareable)
				mapping = vm_mapping_get(e->mapping);
		}
		lock_release(&task->map.lock);
		if (!mapping)
			return;
		vm_object_lane_settle(mapping->object);
		vm_mapping_put(mapping);
	}
}

void
lane_move(struct daemon *d, struct task *task, unsigned lane, struct stat_shard stats)
{
	unsigned before;

	CHECK_OBJ(task, TASK_MAGIC);
	CHECK(lane <= SIDE_LANES);
	while (exchange_acq_rel(&task->affinity.busy, true))
		sched_yield();
	if (lane != LANE_COMMON)
		direct_leave(d, task, stats);
	before = load_relaxed(&task->lane);
	store_release(&task->lane, lane);
	if (load_acquire(&task->state) == TASK_ATTACHED &&
	    (load_acquire(&task->affinity.is_direct) || !poll_from(d, task, lane)))
		store_release(&task->lane, before);
	objects_settle(task);
	/* The client's end takes it from all servers; those that joined after that are taken back
	 * here. */
	if (task_is_dead(task))
		for (unsigned i = 0; i < seat_count(d); i++)
			fault_seat_unwatch(&d->seats[i], task);
	store_release(&task->affinity.busy, false);
	/* Faults that were read and passed over meanwhile come again. */
	if (load_acquire(&task->state) == TASK_ATTACHED)
		task_wake_all(task);
	/* Requests that it made of workers of the lane before are for those of this one. */
	limits_want(d, task);
	frames_want(d);
	side_wake(d);
	refused_tables_freed(d);
}
