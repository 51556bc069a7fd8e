/* SPDX-License-Identifier: MIT
 *
 * Asking for pages of clients at their limit. Runs on: any thread.
 */
#include "memorystatus/limits.h"

#include "daemon.h"
#include "memorystatus/memorystatus.h"
#include "vm/task.h"
#include "vm/vm_object.h"

static void
want_pages_of(struct daemon *d, struct task *task)
{
	unsigned lane = load_acquire(&task->lane);

	CHECK_OBJ(task, TASK_MAGIC);
	store_release(&task->reclaim.queued, true);
	CHECK(lane <= SIDE_LANES);
	store_release(&d->limits.wanted[lane], true);
	if (lane == LANE_COMMON) {
		frames_want(d);
		return;
	}
	pageq_lock(d);
	cond_broadcast(&d->pageq.side[lane - 1].wanted);
	pageq_unlock(d);
}

void
limits_want(struct daemon *d, struct task *task)
{
	struct task *other;
	uint32_t cursor = 0;

	locks_assert_none();
	CHECK(task->bill.process != NULL);
	want_pages_of(d, task);
	if (likely(load_relaxed(&task->bill.process->references) == 1))
		return;
	/* The limit is the process's: its other tasks' pages serve as well. */
	while ((other = task_next(d, &cursor)) != NULL) {
		if (other != task && other->bill.process == task->bill.process)
			want_pages_of(d, other);
		task_put(other);
	}
}

void
limits_want_of_owner(struct vm_object *o)
{
	struct process *process;
	struct task *owner;

	locks_assert_none();
	lock_acquire(&o->lock);
	CHECK(o->owner);
	owner = task_get(o->owner);
	lock_release(&o->lock);
	process = owner->bill.process;
	if (process_over_limit(process, 0))
		limits_want(o->daemon, owner);
	if (unlikely(process_over_footprint(process, 0)) && load_relaxed(&process->dying_ns) == 0)
		memorystatus_want(o->daemon);
	task_put(owner);
}
