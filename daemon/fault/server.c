/* SPDX-License-Identifier: MIT
 *
 * Fault servers. A server is pinned to its CPU, so that the server on the faulting thread's CPU
 * usually gets the message: a wake-up that crosses CPUs costs more than the whole fault
 * (doc/performance.md).
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "alloc.h"
#include "clock.h"
#include "fault/swapin.h"
#include "fault/deferred.h"
#include "fault/direct.h"
#include "fault/dispatch.h"
#include "fault/server.h"
#include "fault/lease.h"
#include "fault/parked.h"
#include "fault/poll.h"
#include "fault/read_poll.h"
#include "fault/fault.h"
#include "fault/stream.h"
#include "fault/thread.h"
#include "fault/zero_ahead.h"
#include "own.h"

/* Cookies of a poll that are no task's. */
#define COOKIE_BELL UINT64_MAX
#define COOKIE_IO   (UINT64_MAX - 1)
/* Events taken by one poll. */
#define EVENTS 32
/* Messages of one client read at a time. */
#define READ_BATCH 16
/* Milliseconds until the next turn while something is to be tried again that no event announces. */
#define AGAIN_MS 1

/* There may be more messages: the edge comes once more. If the task has been taken from the seat
 * meanwhile, other servers poll it, and the call fails. */
static void
watch_again(struct fault_seat *seat, struct task *task)
{
	struct epoll_event event = fault_seat_events(task);

	CHECK_OBJ(seat, FAULT_SEAT_MAGIC);
	epoll_ctl(seat->epoll, EPOLL_CTL_MOD, task->uffd, &event);
}

static void
serve_task(struct fault_server *server, uint64_t cookie, uint32_t events)
{
	struct task *task = task_find_cookie(server->daemon, cookie);
	struct uffd_fault faults[READ_BATCH];
	bool more;
	int count;

	locks_assert_none();
	if (!task)
		return;
	/* The task is being moved to another lane, whose server reads what this one leaves. */
	if (unlikely(load_acquire(&task->lane) != server->lane)) {
		task_put(task);
		return;
	}
	/* A userfaultfd that its owner, and no direct server, has made blocking again polls as an
	 * error until it is nonblocking: servers would spin. */
	if (events & EPOLLERR && !load_acquire(&task->affinity.is_direct))
		uffd_never_wait(task->uffd);
	/* One batch a turn, so that one client's storm does not hold up the others. A batch that is
	 * not full has emptied the file: the next message is an edge. */
	count = uffd_read(task->uffd, faults, READ_BATCH, &more);
	if (more)
		watch_again(server->seat, task);
	if (count > 0)
		fault_server_answer(server, task, faults, (unsigned)count);
	task_put(task);
}

/* The server before may have taken edges without reading their messages: they come again. */
static void
watch_all_again(struct fault_seat *seat)
{
	struct daemon *d = seat->daemon;

	locks_assert_none();
	for (uint32_t i = 0; i < d->tasks.room; i++) {
		struct task *task = task_at(d, i);

		if (!task)
			continue;
		if (load_acquire(&task->state) == TASK_ATTACHED)
			watch_again(seat, task);
		task_put(task);
	}
}

/* Reads that the kernel has not taken yet have no completion to wait for, and a recording's window
 * tells no thread when it moves on. */
static bool
must_try_again(const struct fault_seat *seat)
{
	CHECK(seat->deferred_for_window <= seat->deferred_count);
	return seat->unflushed || seat->deferred_for_window > 0;
}

/* A run of so many faults is worth a first cluster, and a further one for each few more. */
#define AHEAD_FAULTS      12u
#define AHEAD_FAULTS_MORE 4u

/* Fills ahead of a thread's run what is at most a share of it. */
static void
fill_ahead(struct fault_server *server)
{
	struct daemon *d = server->daemon;
	unsigned most = (unsigned)(param(d, zero_ahead) / param(d, fault_cluster)), done = 0;
	struct zero_ahead ahead;
	uint32_t faults;

	locks_assert_none();
	if (!zero_ahead_take(server->seat, &ahead))
		return;
	while (
	    done < most && !watch_is_relieved() && !task_is_dead(ahead.task) && zero_ahead_may(d)) {
		struct fault f = { .task = ahead.task,
			.flags = ahead.flags,
			.thread = ahead.thread,
			.is_ahead = true };

		if (!stream_goes_on(ahead.task, ahead.thread, &f.address, &faults) ||
		    faults < AHEAD_FAULTS + done * (1 + AHEAD_FAULTS_MORE) ||
		    load_acquire(&ahead.task->lane) != server->lane)
			break;
		watch_client(task_cookie(ahead.task));
		if (fault_fill_ahead(server, &f) != FAULT_ANSWERED)
			break;
		done++;
	}
	task_put(ahead.task);
}

static void
serve_seat(struct fault_server *server)
{
	struct fault_seat *seat = server->seat;
	struct epoll_event events[EVENTS];

	CHECK_OBJ(seat, FAULT_SEAT_MAGIC);
	while (!load_acquire(&seat->stopping) && !watch_is_relieved()) {
		int count = 0;

		locks_assert_none();
		CHECK(load_relaxed(&seat->server) == server);
		if (read_poll(server, events, EVENTS, &count))
			swapin_reap(server);
		else if (count == 0)
			count = epoll_wait(
			    seat->epoll, events, EVENTS, must_try_again(seat) ? AGAIN_MS : -1);

		CHECKF(count >= 0 || errno == EINTR, "epoll_wait: %d", errno);
		/* The kernel interrupts the wait to put a completion into the ring, before the
		 * ring's descriptor is readable. */
		if (count < 0 && seat->swapins_used > 0)
			swapin_reap(server);
		for (int i = 0; i < count && !watch_is_relieved(); i++) {
			if (events[i].data.u64 == COOKIE_BELL)
				bell_answer(seat->bell);
			else if (events[i].data.u64 == COOKIE_IO)
				swapin_reap(server);
			else
				serve_task(server, events[i].data.u64, events[i].events);
		}
		direct_serve_handed(server);
		fill_ahead(server);
		if (!watch_is_relieved())
			swapin_forget(server);
		if (!watch_is_relieved())
			parked_look(server);
		if (!watch_is_relieved() && seat->deferred_count > 0)
			deferred_serve(server);
		if (watch_is_relieved())
			break;
		swapin_collect(seat);
		pulse_beat(&server->daemon->pulse);
		seat->unflushed = seat->swapins_used > 0 && swap_channel_flush(seat->channel) != 0;
	}
}

/* A server has one seat after another; most have one for good. */
static void *
server_main(void *argument)
{
	struct fault_server *server = argument;
	struct daemon *d = server->daemon;
	int number;

	CHECK_OBJ(server, FAULT_SERVER_MAGIC);
	own_thread("fault");
	alloc_forbid();
	while ((number = duty_wait(d, &server->duty)) != DUTY_NONE) {
		struct fault_seat *seat = &d->seats[number];

		CHECK((unsigned)number < seat_count(d) && !server->seat);
		server->seat = seat;
		server->cpu = seat->cpu;
		server->lane = seat->lane;
		watch_on_duty(&server->watch, seat->lane);
		fault_server_begin(server, seat->lane == LANE_COMMON ? "fault" : "side");
		watch_all_again(seat);
		/* The server before may have been relieved while it looked at faults that were
		 * refused for want of table memory. */
		server->tables_seen = load_acquire(&d->park.tables_freed) - 1;
		/* The server before may have answered its bell without looking. */
		bell_ring(seat->bell);
		serve_seat(server);
		server->seat = NULL;
		if (!watch_is_relieved())
			break;
		/* It has answered what it was at: the seat's server can give the read's entry
		 * back. */
		bell_ring(seat->bell);
		duty_end(d, &server->duty);
	}
	return NULL;
}

/* The index in daemon.servers of the i-th server that polls: first those of the common lane, then,
 * behind the direct ones, those of side lanes and those that stand by. */
static unsigned
polling_server(const struct daemon *d, unsigned i)
{
	return i < d->server_count ? i : d->server_count + i;
}
static unsigned
polling_server_count(const struct daemon *d)
{
	return fault_thread_count(d) - d->server_count;
}

/* The seat is that server's from now on. */
static void
seat_take(struct fault_seat *seat, struct fault_server *server)
{
	CHECK_OBJ(seat, FAULT_SEAT_MAGIC);
	CHECK_OBJ(server, FAULT_SERVER_MAGIC);
	store_relaxed(&seat->bell->is_behind, &server->gives_way);
	store_release(&seat->server, server);
}

/* A server that stands by takes the seat. Runs on: the watcher, while the seat's server is inside
 * of a call. */
static void
relieve(struct daemon *d, struct watch *w)
{
	struct fault_server *server = container_of(w, struct fault_server, watch), *next = NULL;

	lock_acquire(&d->duty_lock);
	for (unsigned i = 0; i < polling_server_count(d) && !next; i++)
		if (d->servers[polling_server(d, i)].duty.number == DUTY_NONE)
			next = &d->servers[polling_server(d, i)];
	if (next && !d->duties_end && watch_relieved(w)) {
		seat_take(&d->seats[server->duty.number], next);
		duty_give_locked(d, &next->duty, server->duty.number);
	}
	lock_release(&d->duty_lock);
}

static int
watch(struct fault_seat *seat, int fd, uint64_t cookie)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = cookie };

	return epoll_ctl(seat->epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static int
seat_create(struct daemon *d, struct fault_seat *seat, unsigned index)
{
	int error;

	CHECK(index < seat_count(d));
	seat->magic = FAULT_SEAT_MAGIC;
	seat->daemon = d;
	seat->index = index;
	seat->cpu = cpus_number(&d->cpus, index);
	seat->lane = index < d->server_count ? LANE_COMMON : index - d->server_count + 1;
	seat->depth = seat->lane == LANE_COMMON ? FAULT_IO_DEPTH : FAULT_SIDE_DEPTH;
	seat->epoll = epoll_create1(EPOLL_CLOEXEC);
	seat->bell = &d->bells.bells[index];
	seat->swapins = own_alloc(OWN_SERVER, seat->depth * sizeof(*seat->swapins));
	seat->handed = own_alloc(OWN_SERVER, FAULT_HANDED_MAX * sizeof(*seat->handed));
	if (seat->epoll < 0 || !seat->swapins || !seat->handed || deferred_create(seat))
		return -ENOMEM;
	error = watch(seat, seat->bell->fd, COOKIE_BELL);
	if (error)
		return error;
	seat->channel_buffer_bytes = fault_io_bytes(d);
	error =
	    swap_channel_create(d->swap, seat->depth, seat->channel_buffer_bytes, &seat->channel);
	if (error)
		return error;
	return watch(seat, swap_channel_fd(seat->channel), COOKIE_IO);
}

int
fault_servers_start(struct daemon *d)
{
	int error = 0;

	CHECK(!d->servers && !d->seats);
	d->servers = own_alloc(OWN_SERVER, fault_thread_count(d) * sizeof(*d->servers));
	d->seats = own_alloc(OWN_SERVER, seat_count(d) * sizeof(*d->seats));
	if (!d->servers || !d->seats)
		return -ENOMEM;
	for (unsigned i = 0; i < seat_count(d) && !error; i++)
		error = seat_create(d, &d->seats[i], i);
	for (unsigned i = 0; i < polling_server_count(d) && !error; i++) {
		struct fault_server *server = &d->servers[polling_server(d, i)];

		error = fault_server_create(d, server, polling_server(d, i), deferred_add);
		watch_add(d, &server->watch, relieve);
		if (i >= seat_count(d))
			continue;
		seat_take(&d->seats[i], server);
		server->duty = (struct duty){ (int)i, true };
	}
	if (!error)
		error = direct_start(d);
	for (unsigned i = 0; i < polling_server_count(d) && !error; i++)
		error = fault_server_start(&d->servers[polling_server(d, i)], server_main);
	return error;
}

void
fault_servers_stop(struct daemon *d)
{
	direct_stop(d);
	for (unsigned i = 0; i < seat_count(d); i++) {
		store_release(&d->seats[i].stopping, true);
		bell_ring(d->seats[i].bell);
	}
	for (unsigned i = 0; i < polling_server_count(d); i++)
		pthread_join(d->servers[polling_server(d, i)].thread, NULL);
}

/* Reads that are still under way are finished here, so that no page stays busy. */
static void
seat_destroy(struct fault_seat *seat, struct fault_server *server)
{
	struct zero_ahead ahead;

	CHECK_OBJ(seat, FAULT_SEAT_MAGIC);
	server->seat = seat;
	server->lane = seat->lane;
	while (seat->swapins_used > 0) {
		swap_channel_wait(seat->channel);
		swapin_reap(server);
	}
	deferred_destroy(seat);
	if (zero_ahead_take(seat, &ahead))
		task_put(ahead.task);
	if (seat->channel)
		swap_channel_destroy(seat->channel);
	close(seat->epoll);
	own_free(OWN_SERVER, seat->swapins);
}

void
fault_servers_fini(struct daemon *d)
{
	for (unsigned i = 0; i < seat_count(d); i++)
		seat_destroy(&d->seats[i], fault_seat_server(d, i));
	direct_fini(d);
	for (unsigned i = 0; i < seat_count(d); i++)
		own_free(OWN_SERVER, d->seats[i].handed);
	for (unsigned i = 0; i < fault_thread_count(d); i++) {
		own_area_forget(d->servers[i].bounce);
		munmap(d->servers[i].bounce, (size_t)FAULT_CLUSTER_MAX << d->page_shift);
	}
	own_free(OWN_SERVER, d->servers);
	own_free(OWN_SERVER, d->seats);
}

int
fault_servers_add(struct daemon *d, struct task *task, unsigned lane)
{
	uint64_t polling = d->server_count >= 64 ? UINT64_MAX : (1ull << d->server_count) - 1;

	CHECK_OBJ(task, TASK_MAGIC);
	CHECK(lane <= SIDE_LANES);
	store_release(&task->lane, lane);
	store_relaxed(&task->affinity.polling, lane == LANE_COMMON ? polling : 0);
	for (unsigned i = 0; i < seat_count(d); i++) {
		int error = d->seats[i].lane == lane ? fault_seat_watch(&d->seats[i], task) : 0;

		if (error) {
			fault_servers_remove(d, task);
			return error;
		}
	}
	return 0;
}

void
fault_servers_remove(struct daemon *d, struct task *task)
{
	locks_assert_none();
	direct_remove(d, task);
	for (unsigned i = 0; i < seat_count(d); i++)
		fault_seat_unwatch(&d->seats[i], task);
	for (unsigned i = 0; i < fault_thread_count(d); i++)
		fault_server_give_way(&d->servers[i], false);
}
