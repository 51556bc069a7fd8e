/* SPDX-License-Identifier: MIT
 *
 * The end of a task, for whatever reason its session has ended: its faults are dropped, its pages
 * discarded, its objects put. The books must read zero afterwards (task_put checks). It goes in
 * pieces, like a request. Runs on: jobs.
 */
#include "control/teardown.h"

#include "fault/parked.h"
#include "pageq/policies.h"
#include "region/allocate.h"
#include "region/copy.h"
#include "region/page_list.h"
#include "region/shared.h"
#include "region/transfer.h"

bool
task_teardown(struct task *task)
{
	CHECK(task_is_dead(task));
	parked_drop(task->daemon, task);
	/* Its pages are waited for below. */
	if (page_lists_drop(task) || copies_held_drop(task) || transfer_drop(task) ||
	    region_give_up(task))
		return true;
	shared_drop(task);
	policies_drop(task->daemon, task);
	return false;
}
