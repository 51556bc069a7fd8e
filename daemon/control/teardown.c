/* SPDX-License-Identifier: MIT
 *
 * The end of a session, however it ended: its faults are dropped, its pages discarded, its objects
 * put. The books must read zero afterwards (session_put checks). It goes in pieces, as any request.
 * Runs on: jobs.
 */
#include "control/piece.h"
#include "fault/fault.h"
#include "vm/pageq.h"

/* The next part of its memory, out of the map. => false: nothing is left */
static bool
take(struct session *s, unsigned *work, struct vm_entry *ret)
{
	struct vm_map *m = &s->map;
	bool any;

	lock_acquire(&m->lock);
	any = m->count > 0;
	if (any)
		*ret = piece_take(m, m->count - 1, s->daemon->page_shift, work);
	lock_release(&m->lock);
	return any;
}

bool
session_teardown(struct session *s)
{
	struct vm_object *growing;
	struct vm_entry e;
	unsigned work = 0;

	park_drop(s->daemon, s);
	while (take(s, &work, &e)) {
		vm_object_discard(e.object, e.offset >> s->daemon->page_shift,
		    (e.end - e.start) >> s->daemon->page_shift);
		vm_object_put(e.object);
		if (work >= PIECE_WORK)
			return true;
	}
	lock_acquire(&s->map.lock);
	growing = s->map.growing;
	s->map.growing = NULL;
	lock_release(&s->map.lock);
	session_wired_settle(s);
	if (growing)
		vm_object_put(growing);
	pageq_policy_drop(s->daemon, s);
	return false;
}
