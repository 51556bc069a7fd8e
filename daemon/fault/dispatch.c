/* SPDX-License-Identifier: MIT
 *
 * What becomes of a fault: it is handled, and where it cannot be answered now it is parked, refused
 * or put off. Runs on: fault servers. Never sleeps, allocates
 * nothing.
 */
#include "fault/dispatch.h"

#include "clock.h"
#include "fault/refuse.h"
#include "fault/refuser.h"
#include "memorystatus/limits.h"

void
fault_park(struct fault_server *server, const struct fault *fault, enum wait_for wait)
{
	struct daemon *d = server->daemon;
	bool limit = wait == WAIT_LIMIT;

	locks_assert_none();
	stat_add(server->stats,
	    limit                ? STAT_LIMIT_PARKS
	    : wait == WAIT_DIRTY ? STAT_DIRTY_PARKS
				 : STAT_PARKS,
	    1);
	if (!frame_wait_keep(d, fault, wait))
		return;
	if (wait == WAIT_DIRTY) {
		/* Pages may have become clean before it was in the queue. */
		if (dirty_has_room(fault->task))
			frame_wait_stores_changed(d);
		returns_ring(d);
		return;
	}
	if (limit)
		limits_want(d, fault->task);
	else
		frames_want(d);
	/* A frame may have been freed after this fault found none and before it was in the queue.
	 */
	if (frames_available_for(d, wait == WAIT_READ    ? FRAME_READ
				    : wait == WAIT_WRITE ? FRAME_WRITE
							 : FRAME_FIRST) > 0)
		bells_ring_one(&d->bells);
}

/* Wakes the thread, which faults again. The message has the exact address, a wake-up needs the
 * page's. A page with poison has no such thread. */
static void
send_back(const struct fault_server *server, const struct fault *f)
{
	size_t bytes = server->daemon->hw_bytes;

	if (f->is_refused) {
		refused_keep(server->daemon, f, REFUSED_FRAMES);
		return;
	}
	uffd_wake(f->task->uffd, round_down_u64(f->address, bytes), bytes);
}

/* The server tries the fault again later. Where it has no place for it, the fault is sent back: by
 * the time that it comes again, things have moved on. */
static void
put_off(struct fault_server *server, const struct fault *f, bool for_window)
{
	struct fault later = *f;

	CHECK(server->defer != NULL);
	later.is_kept = true;
	if (!for_window)
		later.window_since_ns = 0;
	else if (later.window_since_ns == 0)
		later.window_since_ns = clock_now_ns();
	if (!server->defer(server, &later))
		send_back(server, f);
}

/* The store is refused; where that cannot be told to its thread it waits. */
static void
refuse_store(struct fault_server *server, const struct fault *f)
{
	/* The thread may have left. */
	if (f->is_kept) {
		send_back(server, f);
		return;
	}
	if (refuser_ask(server->daemon, f))
		fault_park(server, f, WAIT_DIRTY);
}

void
fault_dispatch(struct fault_server *server, const struct fault *f)
{
	enum fault_outcome outcome;
	enum wait_for wait;

	locks_assert_none();
	CHECK_OBJ(f->task, TASK_MAGIC);
	/* Another lane serves the client by now: the thread faults again, and that lane's servers
	 * are told. The same holds for the rest of a batch whose server has been relieved. */
	if (unlikely(load_acquire(&f->task->lane) != server->lane || watch_is_relieved())) {
		send_back(server, f);
		return;
	}
	watch_client(task_cookie(f->task));
	outcome = fault_handle(server, f, &wait);
	switch (outcome) {
	case FAULT_ANSWERED:
	case FAULT_PENDING:
		break;
	case FAULT_AGAIN:
	case FAULT_BUSY:
		/* The thread has been woken, or will be. */
		if (f->is_refused)
			refused_keep(server->daemon, f, REFUSED_FRAMES);
		break;
	case FAULT_WAITS:
		fault_park(server, f, wait);
		break;
	case FAULT_NO_STORE:
		refuse_store(server, f);
		break;
	case FAULT_NO_TABLE:
		if (!fault_refuse(server, f, REFUSED_TABLES))
			send_back(server, f);
		break;
	case FAULT_NO_IO:
	case FAULT_NO_WINDOW:
		put_off(server, f, outcome == FAULT_NO_WINDOW);
		break;
	}
}
