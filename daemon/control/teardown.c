/* SPDX-License-Identifier: MIT
 *
 * The end of a session, however it ended: its faults are dropped, its pages discarded, its objects put. The books
 * must read zero afterwards (session_put checks). Runs on: jobs.
 */
#include "control/control.h"
#include "fault/fault.h"
#include "vm/pageq.h"

void
session_teardown(struct session *s)
{
	struct vm_map *m = &s->map;
	struct vm_object *growing;

	park_drop(s->daemon, s);
	lock_acquire(&m->lock);
	growing = m->growing;
	m->growing = NULL;
	while (m->count > 0) {
		struct vm_entry e = vm_map_remove_at(m, m->count - 1);

		lock_release(&m->lock);
		vm_object_discard(e.object, e.offset >> s->daemon->page_shift, (e.end - e.start) >> s->daemon->page_shift);
		vm_object_put(e.object);
		lock_acquire(&m->lock);
	}
	lock_release(&m->lock);
	session_wired_settle(s);
	if (growing)
		vm_object_put(growing);
	pageq_policy_drop(s->daemon, s);
}
