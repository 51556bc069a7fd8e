/* SPDX-License-Identifier: MIT
 *
 * Direct servers' clients. DIRECT covers which server has which client; no server holds it while it
 * reads. A server is called off by a flag, by O_NONBLOCK in case it has not begun to read, and by a
 * signal in case it has. Runs on: fault servers, direct servers, the watcher, the control loop.
 */
#include "fault/lease.h"

#include <signal.h>

#include "fault/poll.h"
#include "pmap/uffd.h"

void
direct_call_off_locked(struct fault_server *server)
{
	lock_assert_held(&server->daemon->direct_lock);
	CHECK_OBJ(server, FAULT_SERVER_MAGIC);
	store_release(&server->leaving, true);
	if (server->client && !pthread_equal(pthread_self(), server->thread))
		pthread_kill(server->thread, LEAVE_SIGNAL);
}

/* Whether the direct servers of the mask can read the task. */
static bool
can_be_had_locked(struct daemon *d, struct task *task, uint64_t wanted)
{
	lock_assert_held(&d->direct_lock);
	if (task_is_dead(task) || load_acquire(&task->lane) != LANE_COMMON)
		return false;
	for (unsigned i = 0; i < d->server_count; i++) {
		struct fault_server *server = direct_of(d, i);

		/* One that is leaving may have looked at `leaving` for the last time. */
		if (wanted & 1ull << i &&
		    (load_relaxed(&server->stopping) || load_relaxed(&server->leaving) ||
			(server->client && server->client != task)))
			return false;
	}
	return true;
}

bool
direct_set(struct fault_server *server, struct task *task, uint64_t wanted)
{
	struct daemon *d = server->daemon;
	bool begins;

	locks_assert_none();
	CHECK(load_relaxed(&task->affinity.busy));
	CHECK(d->server_count >= 64 || wanted >> d->server_count == 0);
	lock_acquire(&d->direct_lock);
	begins = !load_relaxed(&task->affinity.is_direct);
	if (!can_be_had_locked(d, task, wanted)) {
		lock_release(&d->direct_lock);
		return false;
	}
	/* First this flag: a server that still polls the task must not make it nonblocking again
	 * (serve_task). */
	store_release(&task->affinity.is_direct, true);
	if (begins && uffd_may_wait(task->uffd) != 0) {
		store_release(&task->affinity.is_direct, false);
		lock_release(&d->direct_lock);
		return false;
	}
	for (unsigned i = 0; i < d->server_count; i++) {
		struct fault_server *direct = direct_of(d, i);

		if (wanted & 1ull << i && !direct->client) {
			direct->client = task_get(task);
			direct->quiet_ticks = 0;
			cond_signal(&direct->assigned);
		} else if (!(wanted & 1ull << i) && direct->client == task) {
			direct_call_off_locked(direct);
		}
	}
	lock_release(&d->direct_lock);
	if (begins) {
		for (unsigned i = 0; i < d->server_count; i++) {
			fault_seat_unwatch(&d->seats[i], task);
			fault_server_give_way(fault_seat_server(d, i), false);
		}
		stat_add(server->stats, STAT_DIRECT_BEGINS, 1);
	}
	store_relaxed(&task->affinity.polling, wanted);
	return true;
}

static struct stat_shard
control_stats(struct daemon *d)
{
	return stats_shard(&d->stats, shard_index_extra(d, SHARD_CONTROL));
}

static void
call_all_off(struct daemon *d, struct task *task, struct stat_shard stats)
{
	CHECK_OBJ(task, TASK_MAGIC);
	lock_acquire(&d->direct_lock);
	if (load_relaxed(&task->affinity.is_direct)) {
		stat_add(stats, STAT_DIRECT_ENDS, 1);
		store_release(&task->affinity.is_direct, false);
		uffd_never_wait(task->uffd);
		for (unsigned i = 0; i < d->server_count; i++)
			if (direct_of(d, i)->client == task)
				direct_call_off_locked(direct_of(d, i));
	}
	lock_release(&d->direct_lock);
}

void
direct_leave(struct daemon *d, struct task *task, struct stat_shard stats)
{
	uint64_t polling = 0;

	locks_assert_none();
	CHECK(load_relaxed(&task->affinity.busy));
	if (!load_acquire(&task->affinity.is_direct))
		return;
	/* Before the direct servers leave, so that the task is always read. */
	for (unsigned i = 0; i < d->server_count; i++)
		if (fault_seat_watch(&d->seats[i], task) == 0)
			polling |= fault_seat_bit(i);
	if (polling == 0)
		return;
	store_relaxed(&task->affinity.polling, polling);
	call_all_off(d, task, stats);
	/* The task's end takes it from all servers; those that were added after that are taken back
	 * here. */
	if (task_is_dead(task))
		for (unsigned i = 0; i < d->server_count; i++)
			fault_seat_unwatch(&d->seats[i], task);
}

void
direct_remove(struct daemon *d, struct task *task)
{
	locks_assert_none();
	call_all_off(d, task, control_stats(d));
}
