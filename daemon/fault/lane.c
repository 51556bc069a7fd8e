/* SPDX-License-Identifier: MIT
 *
 * Moving a client from one lane to another. Who polls it changes under its affinity_busy, as in
 * fault/affinity.c.
 */
#include "fault/lane.h"

#include <sched.h>

#include "fault/direct.h"
#include "fault/fault.h"
#include "jobs.h"
#include "pageout/pageout.h"

static void
poll_from(struct daemon *d, struct session *s, unsigned lane)
{
	uint64_t polling = 0;

	/* First those that join, then those that leave: somebody always polls. */
	for (unsigned i = 0; i < seat_count(d); i++)
		if (d->seats[i].lane == lane && fault_seat_watch(&d->seats[i], s) == 0 &&
		    lane == LANE_COMMON)
			polling |= 1ull << i;
	for (unsigned i = 0; i < seat_count(d); i++)
		if (d->seats[i].lane != lane)
			fault_seat_unwatch(&d->seats[i], s);
	store_relaxed(&s->servers_polling, polling);
}

void
lane_move(struct daemon *d, struct session *s, unsigned lane, struct stat_shard stats)
{
	while (exchange_acq_rel(&s->affinity_busy, true))
		sched_yield();
	if (lane != LANE_COMMON)
		direct_leave(d, s, stats);
	store_release(&s->lane, lane);
	if (load_acquire(&s->state) == SESSION_CLIENT)
		poll_from(d, s, lane);
	/* Its end takes it from all; what came after that is ours to take back. */
	if (session_is_dead(s))
		for (unsigned i = 0; i < seat_count(d); i++)
			fault_seat_unwatch(&d->seats[i], s);
	store_release(&s->affinity_busy, false);
	/* Faults that were read and passed over on the way come again. */
	if (load_acquire(&s->state) == SESSION_CLIENT)
		session_wake_all(s);
	/* What it has wanted from workers and jobs of the lane before is for those of this one. */
	pageout_want_session(d, s);
	pageout_want(d);
	side_wake(d);
	jobs_wake(d);
	park_tables_freed(d);
}
