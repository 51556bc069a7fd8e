/* SPDX-License-Identifier: MIT
 *
 * The pulse: whatever a thread does before it beats is seen by a timer that rests, although nobody
 * beats again; and timers do rest.
 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/pulse.h"
#include "lock.h"

enum { TIMERS = 3, WORKERS = 3, ROUNDS = 500 };

/* A timer sums up what workers have done. */
struct timer {
	pthread_t thread;
	struct lock lock;
	struct cond cond;
	atomic_ullong seen;
	atomic_ullong rests;
};

static struct {
	struct pulse pulse;
	struct timer timers[TIMERS];
	atomic_ullong work;
	atomic_bool stopping;
	atomic_uint woken; /* of the control loop */
	uint64_t stops;
} world;

static void
timer_wake(void *argument)
{
	struct timer *t = argument;

	lock_acquire(&t->lock);
	cond_signal(&t->cond);
	lock_release(&t->lock);
}

/* Takes a number, looks, and rests if the number still holds. */
static void *
timer_main(void *argument)
{
	struct timer *t = argument;

	while (!load_acquire(&world.stopping)) {
		unsigned number = pulse_now(&world.pulse);

		store_release(&t->seen, load_relaxed(&world.work));
		sched_yield();
		lock_acquire(&t->lock);
		if (pulse_may_rest(&world.pulse, number) && !load_acquire(&world.stopping)) {
			fetch_add_relaxed(&t->rests, 1);
			cond_wait(&t->cond, &t->lock);
		}
		lock_release(&t->lock);
	}
	return NULL;
}

static void
loop_wake(void *argument)
{
	fetch_add_acq_rel((atomic_uint *)argument, 1);
}

/* Stops all as often as it can, and goes on when it is woken. */
static void *
loop_main(void *argument)
{
	(void)argument;
	while (!load_acquire(&world.stopping)) {
		unsigned woken = load_acquire(&world.woken);

		if (pulse_tick(&world.pulse) || !pulse_stop(&world.pulse))
			continue;
		world.stops++;
		while (load_acquire(&world.woken) == woken && !load_acquire(&world.stopping))
			sched_yield();
	}
	return NULL;
}

/* Does something once, and waits until all timers have seen it: nothing else will tell them. */
static void *
worker_main(void *argument)
{
	(void)argument;
	for (unsigned i = 0; i < ROUNDS; i++) {
		uint64_t mine = fetch_add_relaxed(&world.work, 1) + 1;

		pulse_beat(&world.pulse);
		for (unsigned t = 0; t < TIMERS; t++)
			while (load_acquire(&world.timers[t].seen) < mine)
				sched_yield();
	}
	return NULL;
}

static void
race(void **state)
{
	pthread_t loop, workers[WORKERS];

	(void)state;
	pulse_create(&world.pulse);
	if (!world.pulse.can_stop)
		skip();
	pulse_join(&world.pulse, loop_wake, &world.woken);
	for (unsigned i = 0; i < TIMERS; i++) {
		lock_init(&world.timers[i].lock, RANK_JOBS);
		cond_init(&world.timers[i].cond);
		pulse_join(&world.pulse, timer_wake, &world.timers[i]);
		pthread_create(&world.timers[i].thread, NULL, timer_main, &world.timers[i]);
	}
	pthread_create(&loop, NULL, loop_main, NULL);
	for (unsigned i = 0; i < WORKERS; i++)
		pthread_create(&workers[i], NULL, worker_main, NULL);
	for (unsigned i = 0; i < WORKERS; i++)
		pthread_join(workers[i], NULL);
	/* With nothing to do, each rests. */
	for (unsigned i = 0; i < TIMERS; i++) {
		uint64_t rests = load_relaxed(&world.timers[i].rests);

		while (rests == 0 && load_relaxed(&world.timers[i].rests) == rests)
			sched_yield();
	}
	store_release(&world.stopping, true);
	for (unsigned i = 0; i < TIMERS; i++) {
		timer_wake(&world.timers[i]);
		pthread_join(world.timers[i].thread, NULL);
	}
	pthread_join(loop, NULL);
	assert_true(world.stops > 0);
}

/* One step after another. */
static void
steps(void **state)
{
	static struct pulse p;
	static atomic_uint woken;
	unsigned number;

	(void)state;
	pulse_create(&p);
	if (!p.can_stop)
		skip();
	pulse_join(&p, loop_wake, &woken);
	number = pulse_now(&p);
	assert_false(pulse_may_rest(&p, number));
	pulse_beat(&p);
	assert_false(pulse_stop(&p)); /* somebody has beaten, and is told of nothing */
	assert_true(pulse_tick(&p));
	assert_false(pulse_tick(&p));
	assert_false(pulse_may_rest(&p, number));
	woken = 0;
	assert_true(pulse_stop(&p));
	assert_false(pulse_may_rest(&p, number)); /* it has not looked since */
	number = pulse_now(&p);
	assert_true(pulse_may_rest(&p, number));
	assert_int_equal(woken, 0);
	pulse_beat(&p);
	assert_int_equal(woken, 1);
	assert_false(pulse_may_rest(&p, number));
	pulse_beat(&p);
	assert_int_equal(woken, 1); /* all go on already */
	/* Where the kernel has no membarrier(2) nothing ever stops. */
	p.can_stop = false;
	pulse_tick(&p);
	assert_false(pulse_stop(&p));
	pulse_beat(&p);
	assert_int_equal(woken, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(steps), cmocka_unit_test(race) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
