/* SPDX-License-Identifier: MIT
 *
 * Faults in windows. Runs on: fault servers. Never sleeps, allocates nothing.
 */
#include "fault/shown.h"

#include <sys/socket.h>

#include "fault/seat.h"
#include "pager/proto.h"
#include "pmap/uffd.h"
#include "vm/vm_map.h"
#include "vm/window.h"
#include "vm/window_source.h"

/* => whether the agent will hear of it */
static bool
agent_ask(const struct daemon *d, const struct task *task, uint64_t address)
{
	struct pager_agent_message message = { .op = PAGER_AGENT_WINDOW, .count = 1 };
	size_t bytes = offsetof(struct pager_agent_message, ranges) + sizeof(message.ranges[0]);

	message.ranges[0] = (struct pager_agent_range){ address, d->page_bytes };
	return send(task->agent, &message, bytes, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)bytes;
}

/* The pages that come together with the one at the address are in that state now. */
static void
block_set(struct task *task, uint64_t address, enum window_page to)
{
	unsigned page_shift = task->daemon->page_shift;
	uint64_t index, low, first, end;
	struct window *w = NULL;
	struct vm_entry *e;

	lock_acquire(&task->map.lock);
	e = vm_map_lookup(&task->map, address);
	if (e && vm_mapping_has_windows(e->mapping)) {
		low = e->offset >> page_shift;
		index = low + ((address - e->start) >> page_shift);
		w = window_at_locked(e->mapping, index);
		if (w) {
			window_block_locked(
			    w, index, low, low + ((e->end - e->start) >> page_shift), &first, &end);
			window_set_locked(w, first, end, to);
		}
	}
	lock_release(&task->map.lock);
}

enum fault_outcome
shown_ask(struct fault_server *server, const struct fault *f)
{
	struct daemon *d = server->daemon;
	uint64_t address = f->address & ~(uint64_t)(d->page_bytes - 1);

	locks_assert_none();
	block_set(f->task, address, WINDOW_ASKED);
	if (agent_ask(d, f->task, address))
		return FAULT_BUSY;
	/* It does not keep up: the thread comes again. */
	block_set(f->task, address, WINDOW_SHOWS);
	uffd_wake(f->task->uffd, address, d->page_bytes);
	return FAULT_AGAIN;
}

bool
shown_begin(const struct target *t, uint64_t index, struct vm_page *p)
{
	CHECK(load_acquire(&p->word) & PAGE_BUSY && !t->object->external);
	if (!window_shows(t->copy, index - t->copy_shift, t->object, index))
		return false;
	vm_page_flags_set(p, PAGE_SHOWN);
	return true;
}
