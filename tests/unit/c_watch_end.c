/* SPDX-License-Identifier: MIT
 *
 * The watcher, one look at a time: the clients that it ends, and what follows for their users.
 */
#include "watch_fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "watch/holder.h"

/* A lock that an honest client never holds is held for long: the task is ended, and its user's
 * next clients begin in a side lane for a while. */
static void
ended(void **state)
{
	struct actor a;
	struct unit u;
	uid_t uid;
	(void)state;

	watched_start(&u, &a, WATCH_MEMFD);
	uid = u.task->uid;
	assert_int_equal(watch_lane_of(u.daemon, uid), LANE_COMMON);
	actor_tell(&a, ENTER);
	watched_look(&u, HELD_LOOKS);
	assert_false(load_relaxed(&u.task->end_wanted));
	watched_look(&u, UNSEEN_LOOKS);
	assert_true(load_relaxed(&u.task->end_wanted));
	assert_true(load_relaxed(&u.daemon->tasks_end_wanted));
	assert_int_equal(watched_counted(&u, STAT_HOLDERS_ENDED), 1);
	assert_int_not_equal(watch_lane_of(u.daemon, uid), LANE_COMMON);
	assert_int_equal(watch_lane_of(u.daemon, uid + 1), LANE_COMMON);
	actor_tell(&a, LEAVE);
	watched_look(&u, 60000 / WATCH_TICK_MS + 1);
	assert_int_equal(watch_lane_of(u.daemon, uid), LANE_COMMON);
	watched_stop(&u, &a);
}

/* The lock of a memfd that several see: no client is blamed, the thread is relieved. */
static void
nobody(void **state)
{
	struct actor a, b;
	struct unit u;
	(void)state;

	watched_start(&u, &a, WATCH_MEMFD);
	actor_begin(&u, &b, WATCH_MEMFD);
	a.client = b.client = 0;
	actor_spin(&b);
	actor_tell(&a, ENTER);
	watched_look(&u, HELD_LOOKS);
	assert_int_equal(watched_counted(&u, STAT_HELD_CALLS), 1);
	assert_int_equal(a.relieved, 1);
	actor_spin_end(&b);
	watched_look(&u, 1000 / WATCH_TICK_MS);
	assert_int_equal(watched_counted(&u, STAT_HELD_CALLS), 1);
	assert_int_equal(watched_counted(&u, STAT_HOLDERS_ENDED), 0);
	assert_int_equal(watched_counted(&u, STAT_CLIENTS_APART), 0);
	assert_false(load_relaxed(&u.task->end_wanted));
	assert_int_equal(watch_lane_of(u.daemon, u.task->uid), LANE_COMMON);
	actor_tell(&a, LEAVE);
	assert_true(atomic_load(&a.is_relieved));
	actor_finish(&b);
	watched_stop(&u, &a);
}

static void
end_one(struct unit *u, struct actor *a)
{
	uint64_t before = watched_counted(u, STAT_HOLDERS_ENDED);

	store_relaxed(&u->task->end_wanted, false);
	actor_tell(a, ENTER);
	for (unsigned looks = 0; watched_counted(u, STAT_HOLDERS_ENDED) == before; looks++) {
		assert_in_range(looks, 0, UNSEEN_LOOKS);
		watched_look(u, 1);
	}
	actor_tell(a, LEAVE);
}

/* => for how many looks the user's connections are refused */
static unsigned
refused_looks(struct unit *u, uid_t uid)
{
	unsigned looks = 0;

	for (; watch_refuses(u->daemon, uid); looks++)
		watched_look(u, 1);
	return looks;
}

/* One client after the other is ended: from the third on the user is refused connections, each time
 * for longer; when it has been good for a while all is forgotten. Clients that are ended while it
 * is refused were there before. */
static void
ended_often(void **state)
{
	unsigned looks, last = 0;
	struct actor a;
	struct unit u;
	uid_t uid;
	(void)state;

	watched_start(&u, &a, WATCH_MEMFD);
	uid = u.task->uid;
	for (unsigned round = 0; round < 2; round++) {
		end_one(&u, &a);
		end_one(&u, &a);
		assert_false(watch_refuses(u.daemon, uid));
		end_one(&u, &a);
		assert_true(watch_refuses(u.daemon, uid));
		assert_false(watch_refuses(u.daemon, uid + 1));
		looks = refused_looks(&u, uid);
		assert_int_equal(looks, 1000 / WATCH_TICK_MS);
		for (unsigned i = 0; i < 8; i++) {
			last = looks;
			end_one(&u, &a);
			looks = refused_looks(&u, uid);
			assert_int_equal(looks, i < 6 ? 2 * last : last);
		}
		end_one(&u, &a);
		end_one(&u, &a);
		assert_true(refused_looks(&u, uid) < last);
		assert_int_not_equal(watch_lane_of(u.daemon, uid), LANE_COMMON);
		watched_look(&u, 60000 / WATCH_TICK_MS + 1);
		assert_int_equal(watch_lane_of(u.daemon, uid), LANE_COMMON);
	}
	watched_stop(&u, &a);
}

/* A process that is inside of a call that takes the memfd's lock, until it is killed. */
static pid_t
holder_start(struct unit *u, int memfd)
{
	int pipes[2];
	pid_t child;

	assert_int_equal(pipe(pipes), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		(void)!splice(pipes[0], NULL, memfd, NULL, 4096, 0);
		_exit(1);
	}
	close(pipes[0]);
	while (!watch_holder_seen(u->daemon, memfd))
		sched_yield();
	/* The child has the other end, too: nothing ends its wait. */
	close(pipes[1]);
	return child;
}

/* The lock is with another thread of ours that has no processor, or sleeps behind one that has
 * none: that is not the client's doing. A process that is seen inside of a call on the memfd is. */
static void
ours_is_excused(void **state)
{
	int memfd = memfd_create("pagerd-object", MFD_CLOEXEC), other;
	struct actor a, b;
	struct unit u;
	pid_t child;
	(void)state;

	watched_start(&u, &a, WATCH_MEMFD);
	actor_begin(&u, &b, WATCH_MEMFD);
	other = memfd_create("pagerd-object", MFD_CLOEXEC);
	a.memfd = memfd;
	child = holder_start(&u, memfd);
	assert_false(watch_holder_seen(u.daemon, other));
	actor_spin(&b);
	actor_tell(&a, ENTER);
	watched_look(&u, 2 * SEEN_LOOKS);
	assert_int_equal(a.relieved, 1);
	assert_false(load_relaxed(&u.task->end_wanted));
	actor_spin_end(&b);
	watched_look(&u, SEEN_LOOKS - 1);
	assert_false(load_relaxed(&u.task->end_wanted));
	watched_look(&u, 1);
	assert_true(load_relaxed(&u.task->end_wanted));
	actor_tell(&a, LEAVE);
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_false(watch_holder_seen(u.daemon, memfd));
	/* Nobody is seen inside of a call. */
	store_relaxed(&u.task->end_wanted, false);
	actor_tell(&a, ENTER);
	watched_look(&u, UNSEEN_LOOKS - 1);
	assert_false(load_relaxed(&u.task->end_wanted));
	watched_look(&u, 1);
	assert_true(load_relaxed(&u.task->end_wanted));
	actor_tell(&a, LEAVE);
	actor_finish(&b);
	watched_stop(&u, &a);
	close(memfd);
	close(other);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ended),
		cmocka_unit_test(nobody),
		cmocka_unit_test(ended_often),
		cmocka_unit_test(ours_is_excused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
