/* SPDX-License-Identifier: MIT
 *
 * The watcher, one look at a time: the threads that it takes for held up, the lanes of their
 * clients, and the threads that take over.
 */
#include "watch_fixture.h"

#include <fcntl.h>
#include <sys/resource.h>

/* Held up: relieved once, for good; the client is apart. The thread learns of it when it comes
 * back. */
static void
held_up(void **state)
{
	struct actor a;
	struct unit u;
	(void)state;

	watched_start(&u, &a, WATCH_ADDRESS_SPACE);
	actor_tell(&a, ENTER);
	watched_look(&u, HELD_LOOKS - 1);
	assert_int_equal(a.relieved, 0);
	assert_int_equal(load_relaxed(&u.task->lane), LANE_COMMON);
	watched_look(&u, 1);
	assert_int_equal(a.relieved, 1);
	assert_int_equal(watched_counted(&u, STAT_HELD_CALLS), 1);
	assert_int_equal(watched_counted(&u, STAT_RELIEVED_THREADS), 1);
	assert_int_equal(watched_counted(&u, STAT_CLIENTS_APART), 1);
	assert_int_not_equal(load_relaxed(&u.task->lane), LANE_COMMON);
	actor_tell(&a, LEAVE);
	assert_true(atomic_load(&a.is_relieved));
	/* A relieved thread that is held up again in a later call is not relieved twice. */
	actor_tell(&a, ENTER);
	watched_look(&u, 2 * HELD_LOOKS);
	assert_int_equal(a.relieved, 1);
	actor_tell(&a, LEAVE);
	assert_true(atomic_load(&a.is_relieved));
	assert_int_equal(watched_counted(&u, STAT_HOLDERS_ENDED), 0);
	watched_stop(&u, &a);
}

/* No thread stands by: it keeps its duty, and is tried again. */
static void
nobody_stands_by(void **state)
{
	struct actor a;
	struct unit u;
	(void)state;

	watched_start(&u, &a, WATCH_ADDRESS_SPACE);
	a.refuses = true;
	actor_tell(&a, ENTER);
	watched_look(&u, HELD_LOOKS + 2);
	assert_int_equal(watched_counted(&u, STAT_RELIEVED_THREADS), 0);
	a.refuses = false;
	watched_look(&u, 1);
	assert_int_equal(a.relieved, 1);
	actor_tell(&a, LEAVE);
	assert_true(atomic_load(&a.is_relieved));
	watched_stop(&u, &a);
}

/* Calls that come back in time, however many; and a thread that runs, or waits for a processor,
 * inside of one. */
static void
not_held_up(void **state)
{
	struct actor a;
	struct unit u;
	(void)state;

	watched_start(&u, &a, WATCH_ADDRESS_SPACE);
	for (unsigned i = 0; i < 4; i++) {
		actor_tell(&a, ENTER);
		watched_look(&u, 1);
		actor_tell(&a, LEAVE);
		watched_look(&u, 1);
	}
	actor_spin(&a);
	watched_look(&u, 4 * HELD_LOOKS);
	actor_spin_end(&a);
	assert_int_equal(a.relieved, 0);
	assert_false(atomic_load(&a.is_relieved));
	assert_int_equal(watched_counted(&u, STAT_HELD_CALLS), 0);
	assert_int_equal(watched_counted(&u, STAT_CLIENTS_APART), 0);
	assert_int_equal(load_relaxed(&u.task->lane), LANE_COMMON);
	watched_stop(&u, &a);
}

/* No call is long, but every look finds one: the client goes to a side lane, no thread is
 * relieved. After a while the client is back; the second time that takes longer. */
static void
often(void **state)
{
	unsigned looks[2] = { 0 };
	struct actor a;
	struct unit u;
	(void)state;

	watched_start(&u, &a, WATCH_ADDRESS_SPACE);
	for (unsigned time = 0; time < 2; time++) {
		actor_short_calls(&u, &a, 8);
		assert_int_equal(watched_counted(&u, STAT_CLIENTS_APART), time + 1);
		assert_int_not_equal(load_relaxed(&u.task->lane), LANE_COMMON);
		for (; load_relaxed(&u.task->lane) != LANE_COMMON; looks[time]++)
			watched_look(&u, 1);
		assert_true(looks[time] > 0);
	}
	assert_true(looks[1] > looks[0]);
	assert_int_equal(a.relieved, 0);
	watched_stop(&u, &a);
}

/* The lock of a memfd: three looks are enough, because an honest client never holds it; but not
 * while another thread of the daemon may hold it. */
static void
memfd_often(void **state)
{
	struct actor a, b;
	struct unit u;
	(void)state;

	watched_start(&u, &a, WATCH_MEMFD);
	actor_begin(&u, &b, WATCH_MEMFD);
	actor_spin(&b);
	actor_short_calls(&u, &a, 5);
	assert_int_equal(watched_counted(&u, STAT_CLIENTS_APART), 0);
	actor_spin_end(&b);
	watched_look(&u, 32);
	actor_short_calls(&u, &a, 3);
	assert_int_equal(watched_counted(&u, STAT_CLIENTS_APART), 1);
	actor_finish(&b);
	watched_stop(&u, &a);
}

/* Faults of a side lane wait for a thread that waits there for one of the lane's clients, but
 * not for a client that was ended in vain. */
static void
waits_without_end(void **state)
{
	struct actor a;
	struct unit u;
	(void)state;

	watched_start(&u, &a, WATCH_WAIT);
	store_relaxed(&a.watch.lane, 1);
	store_relaxed(&u.task->lane, 1);
	actor_tell(&a, ENTER);
	watched_look(&u, 100);
	assert_int_equal(a.relieved, 0);
	actor_tell(&a, LEAVE);
	actor_tell(&a, ENTER);
	store_relaxed(&u.task->end_wanted, true);
	watched_look(&u, HELD_LOOKS);
	assert_int_equal(a.relieved, 0);
	watched_look(&u, 500 / WATCH_TICK_MS);
	assert_int_equal(a.relieved, 1);
	actor_tell(&a, LEAVE);
	store_relaxed(&u.task->lane, LANE_COMMON);
	watched_stop(&u, &a);
}

/* No descriptor is left: a running thread is not taken for asleep, and threads whose files are
 * open are seen as before. */
static void
without_descriptors(void **state)
{
	struct rlimit limit, none;
	struct actor a, b;
	struct unit u;
	(void)state;

	watched_start(&u, &a, WATCH_ADDRESS_SPACE);
	actor_begin(&u, &b, WATCH_ADDRESS_SPACE);
	actor_tell(&a, ENTER);
	watched_look(&u, 1);
	actor_tell(&a, LEAVE);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = (struct rlimit){ 0, limit.rlim_max };
	actor_spin(&b);
	actor_tell(&a, ENTER);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	watched_look(&u, 2 * HELD_LOOKS);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(a.relieved, 1);
	assert_int_equal(b.relieved, 0);
	actor_spin_end(&b);
	actor_tell(&a, LEAVE);
	actor_finish(&b);
	watched_stop(&u, &a);
}

/* Clients that hold threads up before they are attached: from the third one on, present and new
 * clients of the same user wait in a side lane. */
static void
held_before_attached(void **state)
{
	struct task *tasks[4];
	struct actor a[3];
	struct unit u;
	(void)state;

	watched_start(&u, &a[0], WATCH_PAGEMAP);
	actor_begin(&u, &a[1], WATCH_PAGEMAP);
	actor_begin(&u, &a[2], WATCH_PAGEMAP);
	for (unsigned i = 0; i < 4; i++) {
		tasks[i] = unit_task(u.daemon);
	}
	for (unsigned i = 0; i < 3; i++) {
		a[i].client = task_cookie(tasks[i]);
		actor_tell(&a[i], ENTER);
		assert_int_equal(watch_lane_of(u.daemon, getuid()), LANE_COMMON);
		watched_look(&u, HELD_LOOKS);
		assert_int_equal(a[i].relieved, 1);
	}
	assert_int_not_equal(watch_lane_of(u.daemon, getuid()), LANE_COMMON);
	assert_int_equal(load_relaxed(&tasks[3]->lane_before), watch_lane_of(u.daemon, getuid()));
	for (unsigned i = 0; i < 3; i++)
		actor_tell(&a[i], LEAVE);
	for (unsigned i = 0; i < 4; i++) {
		store_release(&tasks[i]->state, TASK_DEAD);
		watched_look(&u, 64);
		task_put(tasks[i]);
	}
	actor_finish(&a[2]);
	actor_finish(&a[1]);
	watched_stop(&u, &a[0]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(held_up),
		cmocka_unit_test(nobody_stands_by),
		cmocka_unit_test(not_held_up),
		cmocka_unit_test(often),
		cmocka_unit_test(memfd_often),
		cmocka_unit_test(waits_without_end),
		cmocka_unit_test(without_descriptors),
		cmocka_unit_test(held_before_attached),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
