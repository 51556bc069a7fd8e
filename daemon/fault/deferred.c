/* SPDX-License-Identifier: MIT
 *
 * Faults that are put off. Runs on: fault servers. Never sleeps, allocates only at start.
 */
#include "fault/deferred.h"

#include <errno.h>
#include <stdlib.h>

#include "fault/dispatch.h"
#include "own.h"

int
deferred_create(struct fault_seat *seat)
{
	CHECK(!seat->deferred && seat->deferred_count == 0);
	seat->deferred = own_alloc(OWN_SERVER, FAULT_DEFERRED_MAX * sizeof(*seat->deferred));
	return seat->deferred ? 0 : -ENOMEM;
}

/* => the oldest one, with its reference to the task */
static struct fault
take(struct fault_seat *seat)
{
	struct fault fault = seat->deferred[seat->deferred_head];

	CHECK(seat->deferred_count > 0);
	seat->deferred_head = (seat->deferred_head + 1) % FAULT_DEFERRED_MAX;
	seat->deferred_count--;
	if (fault.window_since_ns) {
		CHECK(seat->deferred_for_window > 0);
		seat->deferred_for_window--;
	}
	return fault;
}

void
deferred_destroy(struct fault_seat *seat)
{
	while (seat->deferred_count > 0)
		task_put(take(seat).task);
	CHECK(seat->deferred_for_window == 0);
	own_free(OWN_SERVER, seat->deferred);
	seat->deferred = NULL;
}

bool
deferred_add(struct fault_server *server, const struct fault *f)
{
	struct fault_seat *seat = server->seat;

	/* The ring is in the seat, which a relieved server has no more. */
	if (watch_is_relieved() || seat->deferred_count == FAULT_DEFERRED_MAX)
		return false;
	CHECK(load_relaxed(&seat->server) == server);
	seat->deferred[(seat->deferred_head + seat->deferred_count) % FAULT_DEFERRED_MAX] = *f;
	task_get(f->task);
	seat->deferred_count++;
	if (f->window_since_ns)
		seat->deferred_for_window++;
	return true;
}

void
deferred_serve(struct fault_server *server)
{
	struct fault_seat *seat = server->seat;
	unsigned most = seat->deferred_count;

	locks_assert_none();
	/* While all reads are taken there is nothing to try: a completion will come. */
	while (most-- > 0 && !watch_is_relieved() && seat->swapins_used < seat->depth) {
		struct fault fault = take(seat);

		if (!task_is_dead(fault.task))
			fault_dispatch(server, &fault);
		task_put(fault.task);
	}
}
