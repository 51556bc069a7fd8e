/* SPDX-License-Identifier: MIT
 *
 * Polling. Runs on: any thread.
 */
#include "fault/poll.h"

#include <errno.h>
#include <sched.h>
#include <sys/epoll.h>

/* Clients are watched by edges: otherwise each wait would look again at what was served last. */
struct epoll_event
fault_seat_events(struct task *task)
{
	return (struct epoll_event){ .events = EPOLLIN | EPOLLET, .data.u64 = task_cookie(task) };
}

void
fault_server_give_way(struct fault_server *server, bool give_way)
{
	pid_t thread = load_acquire(&server->tid);

	CHECK_OBJ(server, FAULT_SERVER_MAGIC);
	if (thread == 0 || exchange_acq_rel(&server->gives_way, give_way) == give_way)
		return;
	/* The nice level stays. Another thread may want the opposite meanwhile: what was wanted
	 * last is done last. */
	do {
		give_way = load_acquire(&server->gives_way);
		sched_setscheduler(
		    thread, give_way ? SCHED_BATCH : SCHED_OTHER, &(struct sched_param){ 0 });
	} while (load_acquire(&server->gives_way) != give_way);
}

int
fault_seat_watch(struct fault_seat *seat, struct task *task)
{
	struct epoll_event event = fault_seat_events(task);

	CHECK_OBJ(seat, FAULT_SEAT_MAGIC);
	if (epoll_ctl(seat->epoll, EPOLL_CTL_ADD, task->uffd, &event) == 0 || errno == EEXIST)
		return 0;
	return -errno;
}

void
fault_seat_unwatch(struct fault_seat *seat, struct task *task)
{
	CHECK_OBJ(seat, FAULT_SEAT_MAGIC);
	epoll_ctl(seat->epoll, EPOLL_CTL_DEL, task->uffd, NULL);
}
