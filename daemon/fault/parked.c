/* SPDX-License-Identifier: MIT
 *
 * Answering parked faults. Runs on: fault servers; parked_drop on jobs. Never sleeps, allocates
 * nothing.
 */
#include "fault/parked.h"

#include "clock.h"
#include "fault/dispatch.h"
#include "fault/refuse.h"
#include "pmap/uffd.h"
#include "pmap/wake.h"

/* Wakes clients for whose forgotten faults there is room again. Every thread that has taken faults
 * out calls this. => no lock held */
static void
wake_overflowed(struct daemon *d)
{
	struct task *task;

	locks_assert_none();
	while ((task = frame_wait_overflowed(d)) != NULL) {
		if (!task_is_dead(task))
			task_wake_all(task);
		task_put(task);
	}
}

/* A refused fault, taken out with its reference, is answered after all, as a read, or kept again.
 * => no lock held */
static void
answer_refused(struct fault_server *server, struct fault *fault)
{
	locks_assert_none();
	fault->has_waited = false;
	fault->is_kept = fault->is_refused = true;
	fault->window_since_ns = 0;
	fault->flags = 0;
	fault->start_ns = clock_now_ns();
	if (!task_is_dead(fault->task))
		fault_dispatch(server, fault);
	task_put(fault->task);
}

/* Answers refused faults where there is room again. One that is kept again is not looked at again
 * in this turn. */
static void
serve_refused(struct fault_server *server)
{
	struct daemon *d = server->daemon;
	uint32_t most = load_acquire(&d->park.refused_count);
	struct fault fault;

	while (most-- > 0 && !watch_is_relieved() && refused_have_room(d) &&
	       refused_take(d, server->lane, &fault))
		answer_refused(server, &fault);
}

/* Answers faults that were refused for want of table memory, where some has been given back. A
 * fault that is refused once more is not looked at again in this turn. */
static void
serve_tableless(struct fault_server *server)
{
	struct daemon *d = server->daemon;
	uint32_t most = load_acquire(&d->park.tableless_count);
	struct fault fault;

	if (load_acquire(&d->park.tables_freed) == server->tables_seen)
		return;
	server->tables_seen = load_acquire(&d->park.tables_freed);
	while (
	    most-- > 0 && !watch_is_relieved() && refused_take_tableless(d, server->lane, &fault))
		answer_refused(server, &fault);
}

/* Answers faults on pages that their pagers did not have, where that may have changed. */
static void
serve_placeless(struct fault_server *server)
{
	struct daemon *d = server->daemon;
	uint32_t most = load_acquire(&d->park.placeless_count);
	struct fault fault;

	if (load_acquire(&d->park.places_changed) == server->places_seen)
		return;
	server->places_seen = load_acquire(&d->park.places_changed);
	while (
	    most-- > 0 && !watch_is_relieved() && refused_take_placeless(d, server->lane, &fault))
		answer_refused(server, &fault);
}

/* Stores into files that wait come again: their threads may have left meanwhile, and a page is not
 * to become dirty for one that has. */
static void
serve_stores(struct fault_server *server)
{
	struct daemon *d = server->daemon;
	uint32_t most = load_acquire(&d->park.storing_count);
	struct fault fault;

	if (load_acquire(&d->park.storing_changed) == server->stores_seen)
		return;
	server->stores_seen = load_acquire(&d->park.storing_changed);
	while (most-- > 0 && !watch_is_relieved() && frame_wait_take_store(d, &fault)) {
		ledger_count(&fault.task->bill.ledger, PAGER_LEDGER_STALL_SWAP,
		    clock_now_ns() - fault.start_ns);
		if (!task_is_dead(fault.task))
			uffd_wake(fault.task->uffd, round_down_u64(fault.address, d->hw_bytes),
			    d->hw_bytes);
		task_put(fault.task);
	}
}

/* The verdict is not VERDICT_WAIT. Takes over the fault's reference. */
static void
answer_waiting(
    struct fault_server *server, struct fault *fault, enum wait_for wait, enum wait_verdict verdict)
{
	struct task *task = fault->task;

	CHECK(verdict != VERDICT_WAIT);
	fault->is_kept = true;
	if (!task_is_dead(task)) {
		ledger_count(&task->bill.ledger,
		    wait == WAIT_LIMIT ? PAGER_LEDGER_STALL_LIMIT : PAGER_LEDGER_STALL_FRAME,
		    clock_now_ns() - fault->start_ns);
		fault->start_ns = clock_now_ns();
		fault->window_since_ns = 0;
		/* If another lane serves the task by now, the thread is sent back (fault_dispatch)
		 * and waits anew there if it must. */
		if (verdict == VERDICT_SERVE || load_acquire(&task->lane) != server->lane ||
		    !fault_refuse(server, fault, REFUSED_FRAMES))
			fault_dispatch(server, fault);
	}
	task_put(task);
}

void
parked_serve(struct fault_server *server)
{
	struct daemon *d = server->daemon;
	uint32_t most = load_acquire(&d->park.count);
	enum wait_verdict verdict;
	enum wait_for wait;
	struct fault fault;

	locks_assert_none();
	CHECK_OBJ(server, FAULT_SERVER_MAGIC);
	while (most-- > 0 && !watch_is_relieved() &&
	       (verdict = frame_wait_take(d, &fault, &wait)) != VERDICT_WAIT)
		answer_waiting(server, &fault, wait, verdict);
	wake_overflowed(d);
	serve_refused(server);
	serve_tableless(server);
	serve_placeless(server);
	serve_stores(server);
}

void
parked_look(struct fault_server *server)
{
	struct park *park = &server->daemon->park;

	if (load_acquire(&park->count) > 0 || load_relaxed(&park->refused_count) > 0 ||
	    (load_relaxed(&park->tableless_count) > 0 &&
		load_relaxed(&park->tables_freed) != server->tables_seen) ||
	    (load_relaxed(&park->placeless_count) > 0 &&
		load_relaxed(&park->places_changed) != server->places_seen) ||
	    (load_relaxed(&park->storing_count) > 0 &&
		load_relaxed(&park->storing_changed) != server->stores_seen))
		parked_serve(server);
}

void
parked_drop(struct daemon *d, struct task *task)
{
	locks_assert_none();
	frame_wait_drop(d, task);
	wake_overflowed(d);
}
