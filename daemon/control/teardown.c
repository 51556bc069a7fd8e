/* SPDX-License-Identifier: MIT
 *
 * The end of a session, however it ended: its faults are dropped, its pages discarded, its objects
 * put. The books must read zero afterwards (task_put checks). It goes in pieces, as any request.
 * Runs on: jobs.
 */
#include "region/piece.h"
#include "fault/parked.h"
#include "pageq/pageq.h"
#include "transit/discard.h"

/* The next part of its memory, out of the map. => false: nothing is left */
static bool
take(struct task *task, unsigned *work, struct vm_entry *ret)
{
	struct vm_map *m = &task->map;
	bool any;

	lock_acquire(&m->lock);
	any = m->count > 0;
	if (any)
		*ret = piece_take(m, m->count - 1, task->daemon->page_shift, work);
	lock_release(&m->lock);
	return any;
}

bool
task_teardown(struct task *task)
{
	struct vm_object *growing;
	struct vm_entry e;
	unsigned work = 0;

	parked_drop(task->daemon, task);
	while (take(task, &work, &e)) {
		vm_object_discard(e.object, e.offset >> task->daemon->page_shift,
		    (e.end - e.start) >> task->daemon->page_shift);
		vm_object_put(e.object);
		if (work >= PIECE_WORK)
			return true;
	}
	lock_acquire(&task->map.lock);
	growing = task->map.growing;
	task->map.growing = NULL;
	lock_release(&task->map.lock);
	task_wired_settle(task);
	if (growing)
		vm_object_put(growing);
	pageq_policy_drop(task->daemon, task);
	return false;
}
