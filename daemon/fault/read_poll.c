/* SPDX-License-Identifier: MIT
 *
 * Polling for reads. Runs on: the seat's server. Never sleeps.
 */
#include "fault/read_poll.h"

#include <sched.h>
#include <sys/epoll.h>

#include "clock.h"

/* A turn takes a microsecond; one that takes longer than this has waited for somebody else. */
#define TURN_NS 10000u
/* Reads without polling after it was in vain: at first, and at most. They double each further time,
 * and halve each time that it was not. */
#define SKIPS_FIRST 8u
#define SKIPS_MOST  1024u

bool
read_poll_may(struct read_poll *p)
{
	if (p->skips == 0)
		return true;
	p->skips--;
	return false;
}

void
read_poll_note(struct read_poll *p, bool in_vain)
{
	if (!in_vain)
		p->backoff = p->backoff > SKIPS_FIRST ? p->backoff / 2 : 0;
	else if (p->backoff == 0)
		p->backoff = SKIPS_FIRST;
	else if (p->backoff < SKIPS_MOST)
		p->backoff *= 2;
	p->skips = p->backoff;
}

bool
read_poll(struct fault_server *server, struct epoll_event *events, int most, int *ret_count)
{
	struct fault_seat *seat = server->seat;
	uint64_t limit = param(server->daemon, read_poll_us) * 1000, begin, before, now;
	bool is_ready = false;

	locks_assert_none();
	CHECK_OBJ(seat, FAULT_SEAT_MAGIC);
	*ret_count = 0;
	/* Servers that give way share their CPU with threads that are in a hurry. */
	if (seat->swapins_used == seat->swapins_ahead || limit == 0 ||
	    load_relaxed(&server->gives_way) || !read_poll_may(&seat->read_poll))
		return false;
	begin = before = now = clock_now_ns();
	while (now - begin < limit && now - before < TURN_NS) {
		*ret_count = epoll_wait(seat->epoll, events, most, 0);
		is_ready = *ret_count == 0 && swap_channel_is_ready(seat->channel);
		if (*ret_count != 0 || is_ready)
			break;
		sched_yield();
		before = now;
		now = clock_now_ns();
	}
	read_poll_note(&seat->read_poll, *ret_count == 0 && !is_ready);
	stat_add(server->stats, STAT_POLLED_READS, *ret_count != 0 || is_ready);
	return is_ready;
}
