/* SPDX-License-Identifier: MIT
 *
 * Seats that poll a client, and how their servers run beside it.
 */
#ifndef POLL_H
#define POLL_H

#include <sys/epoll.h>

#include "fault/seat.h"

/* The events of a client for which a seat waits. */
struct epoll_event fault_seat_events(struct task *task);
/* The server of seat i. */
static inline struct fault_server *
fault_seat_server(const struct daemon *d, unsigned i)
{
	CHECK(i < seat_count(d));
	return load_acquire(&d->seats[i].server);
}
/* Seat i in `polling` of a client (vm/task_notes.h), whose bits are for the first seats only. */
static inline uint64_t
fault_seat_bit(unsigned i)
{
	return i < 64 ? 1ull << i : 0;
}
/* The seat's server begins to poll the client, unless it does already, or ceases to. => 0 or -errno
 */
int fault_seat_watch(struct fault_seat *seat, struct task *task);
void fault_seat_unwatch(struct fault_seat *seat, struct task *task);
/* While several servers poll a client a fault wakes them all, and the one on the faulting thread's
 * CPU runs as soon as that thread blocks. The others must not interrupt their CPUs for an empty
 * look: in a virtual machine that interrupt costs the faulting thread more than the rest of its
 * fault. So they run as SCHED_BATCH, which preempts no thread when it wakes. Where one server polls
 * alone it preempts, because it must also answer a thread that has moved to another CPU. Any
 * thread. */
void fault_server_give_way(struct fault_server *server, bool give_way);

#endif
