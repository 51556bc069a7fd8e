/* SPDX-License-Identifier: MIT
 *
 * Direct servers (direct.h). lease.c says how they get a client and are called off; the timer
 * repeats O_NONBLOCK and the signal, because the client has the same open file and may clear
 * O_NONBLOCK again.
 */
#include "fault/direct.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>

#include "alloc.h"
#include "fault/dispatch.h"
#include "fault/lease.h"
#include "fault/parked.h"
#include "fault/thread.h"
#include "own.h"

/* A direct server is quiet after this many ticks of the control loop's timer without a fault. */
#define QUIET_TICKS 5
/* Nanoseconds for which the end waits for a direct server before it calls it off once more. */
#define JOIN_NS 10000000

/* The ring has one producer, the direct server, and one consumer, the server of its home. */
static bool
ring_take(struct fault_seat *home, struct fault *ret)
{
	unsigned out = load_relaxed(&home->handed_out);

	CHECK_OBJ(home, FAULT_SEAT_MAGIC);
	INVARIANT(load_acquire(&home->handed_in) - out <= FAULT_HANDED_MAX);
	if (out == load_acquire(&home->handed_in))
		return false;
	*ret = home->handed[out % FAULT_HANDED_MAX];
	store_release(&home->handed_out, out + 1);
	return true;
}

bool
direct_hand_over(struct fault_server *server, const struct fault *f)
{
	struct fault_seat *home = server->home;
	unsigned in = load_relaxed(&home->handed_in);

	CHECK_OBJ(home, FAULT_SEAT_MAGIC);
	CHECK_OBJ(f->task, TASK_MAGIC);
	if (in - load_acquire(&home->handed_out) == FAULT_HANDED_MAX)
		return false;
	home->handed[in % FAULT_HANDED_MAX] = *f;
	task_get(f->task);
	store_release(&home->handed_in, in + 1);
	stat_add(server->stats, STAT_HANDED_FAULTS, 1);
	bell_ring(home->bell);
	return true;
}

void
direct_serve_handed(struct fault_server *server)
{
	struct fault f;

	locks_assert_none();
	while (!watch_is_relieved() && ring_take(server->seat, &f)) {
		if (!task_is_dead(f.task))
			fault_dispatch(server, &f);
		task_put(f.task);
	}
}

/* The client, or a process that has the file from it, has made the file nonblocking, or the file
 * cannot be read by waiting: from here on the client is polled. */
static void
refuse(struct fault_server *server, struct task *task)
{
	CHECK(server->home != NULL);
	if (exchange_acq_rel(&task->affinity.busy, true)) {
		sched_yield();
		return;
	}
	if (!load_acquire(&server->leaving)) {
		task->affinity.direct_refused = true;
		direct_leave(server->daemon, task, server->stats);
		/* No server could be made to poll it: this one waits again, rather than spin. */
		if (load_acquire(&task->affinity.is_direct))
			uffd_may_wait(task->uffd);
	}
	store_release(&task->affinity.busy, false);
}

static void
serve(struct fault_server *server, struct task *task)
{
	struct uffd_fault fault;

	locks_assert_none();
	CHECK(server->seat == NULL);
	while (!load_acquire(&server->leaving) && !load_acquire(&server->stopping) &&
	       !task_is_dead(task)) {
		int count = uffd_read_wait(task->uffd, &fault);

		if (count > 0) {
			store_relaxed(&server->served, load_relaxed(&server->served) + 1);
			stat_add(server->stats, STAT_DIRECT_FAULTS, 1);
			fault_server_answer(server, task, &fault, 1);
		} else if (count < 0 && count != -EINTR && !load_acquire(&server->leaving)) {
			refuse(server, task);
		}
		parked_look(server);
		pulse_beat(&server->daemon->pulse);
	}
}

static void *
direct_main(void *argument)
{
	struct fault_server *server = argument;
	struct daemon *d = server->daemon;

	CHECK_OBJ(server, FAULT_SERVER_MAGIC);
	own_thread("direct");
	watch_on_duty(&server->watch, LANE_COMMON);
	fault_server_begin(server, "direct");
	alloc_forbid();
	lock_acquire(&d->direct_lock);
	/* A client that is assigned just before the end is let go like any other. */
	while (server->client || !load_acquire(&server->stopping)) {
		struct task *task = server->client;

		if (!task) {
			cond_wait(&server->assigned, &d->direct_lock);
			continue;
		}
		lock_release(&d->direct_lock);
		serve(server, task);
		lock_acquire(&d->direct_lock);
		CHECK(server->client == task);
		server->client = NULL;
		store_release(&server->leaving, false);
		lock_release(&d->direct_lock);
		task_put(task);
		lock_acquire(&d->direct_lock);
	}
	lock_release(&d->direct_lock);
	return NULL;
}

/* Whether all direct servers of the task are quiet. */
static bool
is_quiet_locked(struct daemon *d, const struct task *task)
{
	lock_assert_held(&d->direct_lock);
	for (unsigned i = 0; i < d->server_count; i++) {
		const struct fault_server *server = direct_of(d, i);

		if (server->client == task && server->quiet_ticks < QUIET_TICKS)
			return false;
	}
	return true;
}

/* Counts each server's ticks without a fault, and calls those off once more that should leave. */
static void
tick_locked(struct daemon *d)
{
	lock_assert_held(&d->direct_lock);
	for (unsigned i = 0; i < d->server_count; i++) {
		struct fault_server *server = direct_of(d, i);
		unsigned served = load_relaxed(&server->served);

		server->quiet_ticks = served == server->served_before ? server->quiet_ticks + 1 : 0;
		server->served_before = served;
		if (!load_acquire(&server->leaving) || !server->client)
			continue;
		/* While other direct servers read for its client the file stays blocking: the next
		 * fault wakes this one too. */
		if (!load_relaxed(&server->client->affinity.is_direct))
			uffd_never_wait(server->client->uffd);
		direct_call_off_locked(server);
	}
}

void
direct_refresh(struct daemon *d)
{
	locks_assert_none();
	lock_acquire(&d->direct_lock);
	tick_locked(d);
	for (unsigned i = 0; i < d->server_count; i++) {
		struct task *task = direct_of(d, i)->client;

		if (!task || load_acquire(&direct_of(d, i)->leaving) || !is_quiet_locked(d, task))
			continue;
		task_get(task);
		lock_release(&d->direct_lock);
		if (!exchange_acq_rel(&task->affinity.busy, true)) {
			direct_leave(
			    d, task, stats_shard(&d->stats, shard_index_extra(d, SHARD_CONTROL)));
			store_release(&task->affinity.busy, false);
		}
		task_put(task);
		lock_acquire(&d->direct_lock);
	}
	lock_release(&d->direct_lock);
}

bool
direct_is_busy(struct daemon *d)
{
	bool is_busy = false;

	locks_assert_none();
	lock_acquire(&d->direct_lock);
	for (unsigned i = 0; i < d->server_count; i++)
		is_busy |= direct_of(d, i)->client != NULL;
	lock_release(&d->direct_lock);
	return is_busy;
}

/* The server is held up by a client. That is most likely another one than its own, whose fault had
 * waited for a frame, so its own client is polled meanwhile. Runs on: the watcher. */
static void
relieve(struct daemon *d, struct watch *w)
{
	struct fault_server *server = container_of(w, struct fault_server, watch);
	struct task *task = NULL;

	CHECK_OBJ(server, FAULT_SERVER_MAGIC);
	CHECK(w != watch_own);
	lock_acquire(&d->direct_lock);
	if (server->client && !load_relaxed(&server->leaving))
		task = task_get(server->client);
	lock_release(&d->direct_lock);
	if (!task)
		return;
	if (!exchange_acq_rel(&task->affinity.busy, true)) {
		direct_leave(d, task, stats_shard(&d->stats, shard_index_extra(d, SHARD_WATCH)));
		store_release(&task->affinity.busy, false);
	}
	task_put(task);
}

/* The signal only has to end a read with EINTR. */
static void
leave_signal(int number)
{
	(void)number;
}

int
direct_start(struct daemon *d)
{
	struct sigaction action = { .sa_handler = leave_signal };

	CHECK(d->servers != NULL && d->seats != NULL);
	lock_init(&d->direct_lock, RANK_DIRECT);
	if (sigaction(LEAVE_SIGNAL, &action, NULL) < 0)
		return -errno;
	for (unsigned i = 0; i < d->server_count; i++) {
		struct fault_server *server = direct_of(d, i);
		int error = fault_server_create(d, server, d->server_count + i, direct_hand_over);

		if (error)
			return error;
		server->home = &d->seats[i];
		watch_add(d, &server->watch, relieve);
		cond_init(&server->assigned);
		error = fault_server_start(server, direct_main);
		if (error)
			return error;
	}
	return 0;
}

void
direct_stop(struct daemon *d)
{
	for (unsigned i = 0; i < d->server_count; i++) {
		struct fault_server *server = direct_of(d, i);
		struct timespec until;

		CHECK(server->home == &d->seats[i]);
		do {
			lock_acquire(&d->direct_lock);
			store_release(&server->stopping, true);
			if (server->client)
				uffd_never_wait(server->client->uffd);
			direct_call_off_locked(server);
			cond_signal(&server->assigned);
			lock_release(&d->direct_lock);
			clock_gettime(CLOCK_REALTIME, &until);
			until.tv_nsec += JOIN_NS;
			until.tv_sec += until.tv_nsec / 1000000000;
			until.tv_nsec %= 1000000000;
		} while (pthread_timedjoin_np(server->thread, NULL, &until) != 0);
	}
}

void
direct_fini(struct daemon *d)
{
	struct fault f;

	for (unsigned i = 0; i < d->server_count; i++) {
		while (ring_take(&d->seats[i], &f))
			task_put(f.task);
		CHECK(direct_of(d, i)->client == NULL);
		cond_fini(&direct_of(d, i)->assigned);
	}
	lock_fini(&d->direct_lock);
}
