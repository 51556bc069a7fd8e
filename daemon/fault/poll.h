/* SPDX-License-Identifier: MIT
 *
 * Which seats poll a client, and how their servers run beside it.
 */
#ifndef POLL_H
#define POLL_H

#include <sys/epoll.h>

#include "fault/seat.h"

/* What a seat polls of a client. */
struct epoll_event fault_seat_events(struct task *task);
/* The server of seat i. */
static inline struct fault_server *
fault_seat_server(const struct daemon *d, unsigned i)
{
	return load_acquire(&d->seats[i].server);
}
/* One server begins or ceases to poll it. */
int fault_seat_watch(struct fault_seat *seat, struct task *task);
void fault_seat_unwatch(struct fault_seat *seat, struct task *task);
/* While several servers poll a client a fault wakes them all, and the one on the faulting thread's
 * CPU runs as soon as that thread blocks. The others shall not interrupt what their CPUs do for an
 * empty look: in a virtual machine that interrupt costs the faulting thread more than the rest of
 * its fault. A SCHED_BATCH thread preempts nobody when it wakes. With one server polling, who must
 * also answer a thread that has moved, it preempts. Any thread. */
void fault_server_give_way(struct fault_server *server, bool give_way);

#endif
