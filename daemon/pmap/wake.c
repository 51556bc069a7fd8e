/* SPDX-License-Identifier: MIT
 *
 * Waking a client's threads. Runs on: any thread, no lock held.
 */
#include "pmap/wake.h"

#include "pmap/uffd.h"
#include "vm/vm_map.h"

void
task_wake_all(struct task *task)
{
	uint64_t from = 0;

	locks_assert_none();
	for (;;) {
		struct vm_entry *e;
		uint64_t start = 0, end = 0;

		lock_acquire(&task->map.lock);
		e = vm_map_lookup_from(&task->map, from);
		if (e) {
			start = e->start;
			end = e->end;
		}
		lock_release(&task->map.lock);
		if (!e)
			return;
		uffd_wake(task->uffd, start, end - start);
		from = end;
	}
}
