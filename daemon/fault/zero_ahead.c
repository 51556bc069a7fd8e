/* SPDX-License-Identifier: MIT
 *
 * Filling ahead: who is asked. Runs on: fault servers. Never sleeps, allocates nothing.
 */
#include "fault/zero_ahead.h"

#include "core/bell.h"
#include "record/recorder.h"

/* A processor is idle, as far as faults go, when it has had none for this time. */
#define QUIET_NS 1000000u
/* Memory is plenty while more than one frame in this many is free. */
#define PLENTY_SHARE 16u

enum ahead_state { AHEAD_NONE, AHEAD_CHANGES, AHEAD_ASKED };

bool
zero_ahead_may(const struct daemon *d)
{
	return load_relaxed(&d->park.count) == 0 && param(d, zero_ahead) > 0 &&
	       frames_available_for(d, FRAME_FIRST) >
		   d->frames.count / PLENTY_SHARE + FAULT_CLUSTER_MAX;
}

/* => another processor's seat that is quiet; NULL: there is none */
static struct fault_seat *
quiet_seat(struct daemon *d, const struct fault_server *server, uint64_t now_ns)
{
	for (unsigned i = 0; i < d->server_count; i++) {
		struct fault_seat *seat = &d->seats[i];

		if (seat->cpu != server->cpu && load_relaxed(&seat->fault_ns) + QUIET_NS < now_ns &&
		    load_relaxed(&seat->ahead_state) == AHEAD_NONE)
			return seat;
	}
	return NULL;
}

void
zero_ahead_ask(struct fault_server *server, const struct fault *f)
{
	struct daemon *d = server->daemon;
	unsigned none = AHEAD_NONE;
	struct fault_seat *seat;

	locks_assert_none();
	if (server->lane != LANE_COMMON || !zero_ahead_may(d) || trace_is_exact(d))
		return;
	seat = quiet_seat(d, server, f->start_ns);
	if (!seat || !cas_acq_rel(&seat->ahead_state, &none, AHEAD_CHANGES))
		return;
	seat->ahead =
	    (struct zero_ahead){ task_get(f->task), f->thread, f->flags & UFFD_FAULT_WRITE };
	store_release(&seat->ahead_state, AHEAD_ASKED);
	bell_ring(seat->bell);
}

bool
zero_ahead_take(struct fault_seat *seat, struct zero_ahead *ret)
{
	CHECK_OBJ(seat, FAULT_SEAT_MAGIC);
	if (load_acquire(&seat->ahead_state) != AHEAD_ASKED)
		return false;
	*ret = seat->ahead;
	store_release(&seat->ahead_state, AHEAD_NONE);
	return true;
}
