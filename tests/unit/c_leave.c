/* SPDX-License-Identifier: MIT
 *
 * Pages that leave memory, and pages that stay: ranges, holes, slots, and who is woken.
 */
#include "launder_fixture.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "pageq/pageq.h"
#include "threads.h"
#include "transit/discard.h"
#include "transit/leave.h"
#include "transit/release.h"
#include "transit/run.h"

/* Clean pages of [low, high) are the worker's next victims, CLEANING. */
static void
begin(struct vm_object *o, uint64_t low, uint64_t high)
{
	for (uint64_t i = low; i < high; i++) {
		page_make(o, i, false);
		page_begin(o, i);
	}
}

static void
store(struct vm_object *o, uint64_t low, uint64_t high)
{
	for (uint64_t i = low; i < high; i++)
		page_store(o, i);
}

static void
leave(void)
{
	struct pageout_worker *w = world.worker;

	world.call_count = 0;
	world.is_laundering = true;
	watch_client(task_cookie(world.unit.task));
	victims_leave(w->stats, &w->hole, w->victims, w->chosen);
	world.is_laundering = false;
	w->chosen = 0;
}

static unsigned
group_length(unsigned from)
{
	struct pageout_worker *w = world.worker;

	return victims_group_length(w->daemon, w->victims + from, w->chosen - from);
}

/* --- which pages one range takes away --- */

static void
stored_pages_join_neighbours(void **state)
{
	struct vm_object *o;
	(void)state;

	world_start();
	o = world.unit.object;
	begin(o, 0, 2);
	store(o, 2, 2 + VM_GAP_MAX);
	begin(o, 2 + VM_GAP_MAX, 3 + VM_GAP_MAX);
	assert_int_equal(group_length(0), 3);
	assert_int_equal(group_length(1), 2);
	assert_int_equal(group_length(2), 1);
	/* One stored page more. */
	begin(o, 100, 101);
	store(o, 101, 102 + VM_GAP_MAX);
	begin(o, 102 + VM_GAP_MAX, 103 + VM_GAP_MAX);
	assert_int_equal(group_length(3), 1);
	/* Something else than stored pages. */
	begin(o, 200, 201);
	begin(o, 202, 203);
	assert_int_equal(group_length(5), 1);
	page_make(o, 201, false);
	assert_int_equal(group_length(5), 1);
	leave();
	assert_int_equal(world.call_count, 5);
	assert_call(0, CALL_PUNCH, o, 0, 3 + VM_GAP_MAX);
	assert_call(1, CALL_PUNCH, o, 100, 101);
	assert_call(2, CALL_PUNCH, o, 102 + VM_GAP_MAX, 103 + VM_GAP_MAX);
	assert_call(3, CALL_PUNCH, o, 200, 201);
	assert_call(4, CALL_PUNCH, o, 202, 203);
	assert_stayed(o, 201, false);
	world_stop();
}

/* Each page of a range waits for all of it. */
static void
ranges_are_bounded(void **state)
{
	struct vm_object *o;
	unsigned length;
	(void)state;

	world_start();
	o = world.unit.object;
	begin(o, 0, 200);
	length = group_length(0);
	assert_in_range(length, 2, 199);
	leave();
	assert_int_equal(world.call_count, (200 + length - 1) / length);
	for (unsigned i = 0; i < world.call_count; i++)
		assert_call(i, CALL_PUNCH, o, i * length, min_u64((i + 1) * length, 200));
	assert_all_left(o, 0, 200);
	world_stop();
}

static void
ranges_are_of_one_object(void **state)
{
	struct pageout_worker *w;
	struct vm_object *o;
	(void)state;

	world_start();
	w = world.worker;
	o = world.unit.object;
	world.other = world_object_make(UNIT_PAGES, UNIT_BASE + (1ull << 32));
	begin(o, 7, 8);
	begin(world.other, 8, 9);
	assert_int_equal(group_length(0), 1);
	victims_leave(w->stats, &w->hole, w->victims, 2);
	assert_left(o, 7);
	assert_left(world.other, 8);
	assert_int_equal(world_counter(STAT_HOLES), 2);
	world_stop();
}

/* --- they leave --- */

static void
what_leaves_is_billed(void **state)
{
	struct vm_object *o;
	struct ledger *ledger;
	unsigned references;
	(void)state;

	world_start();
	o = world.unit.object;
	references = load_relaxed(&o->references);
	ledger = &o->bill->ledger;
	begin(o, 0, 3);
	store(o, 3, 5);
	begin(o, 5, 6);
	assert_int_equal(load_relaxed(&o->references), references + 4);
	leave();
	assert_int_equal(world.call_count, 1);
	assert_call(0, CALL_PUNCH, o, 0, 6);
	assert_all_left(o, 0, 6);
	assert_int_equal(load_relaxed(&o->references), references);
	assert_null(o->holes);
	assert_int_equal(world_counter(STAT_HOLES), 1);
	assert_int_equal(ledger_pages(ledger, PAGER_LEDGER_PAGEOUTS), 4);
	assert_int_equal(unit_level(&world.unit, STAT_FRAMES_FREE), UNIT_FRAMES);
	assert_int_equal(unit_level(&world.unit, STAT_PAGES_COMPRESSED), 6);
	world_stop();
}

/* The page that the fault is on. */
static enum { FAULT_ON_VICTIM, FAULT_ON_STORED, FAULT_NOWHERE } fault;

static void
faults_come(enum call call, struct vm_object *o, uint64_t low, uint64_t high)
{
	struct fill fill = { .task = o->owner, .base = o->mappings->base };

	(void)low, (void)high;
	if (call != CALL_PUNCH)
		return;
	if (fault == FAULT_ON_VICTIM)
		assert_true(fault_meets(o, 1));
	lock_acquire(&o->lock);
	if (fault == FAULT_ON_STORED)
		assert_int_equal(fill_begin(o->daemon, o, 3, 1, 1, FRAME_READ, &fill), RUN_BUSY);
	lock_release(&o->lock);
}

/* Too late to keep the page: they are woken when it can be filled again. A fault on a stored page
 * in between is not answered meanwhile, and woken too. Without a fault nobody is woken. */
static void
faults_in_a_hole_are_woken(void **state)
{
	struct vm_object *o;
	(void)state;

	world_start();
	o = world.unit.object;
	world.on_call = faults_come;
	for (fault = FAULT_ON_VICTIM; fault <= FAULT_NOWHERE; fault++) {
		struct fill fill = { .task = o->owner, .base = o->mappings->base };

		begin(o, 0, 3);
		store(o, 3, 5);
		begin(o, 5, 6);
		leave();
		assert_call(0, CALL_PUNCH, o, 0, 6);
		assert_int_equal(world.call_count, fault == FAULT_NOWHERE ? 1 : 2);
		if (fault != FAULT_NOWHERE)
			assert_call(1, CALL_WAKE, o, 0, 6);
		assert_all_left(o, 0, 6);
		/* Now it is answered. */
		lock_acquire(&o->lock);
		assert_int_equal(fill_begin(o->daemon, o, 1, 1, 1, FRAME_READ, &fill), RUN_BEGUN);
		lock_release(&o->lock);
		fill_abort(o->daemon, &fill, 0);
		vm_object_put(o);
		vm_object_discard(o, 0, 6);
	}
	assert_int_equal(world_counter(STAT_RESCUES), 0);
	world_stop();
}

/* --- they stay --- */

static void
stay(bool is_rescued)
{
	struct pageout_worker *w = world.worker;

	world.call_count = 0;
	world.is_laundering = true;
	watch_client(task_cookie(world.unit.task));
	victim_stay(w->stats, &w->victims[--w->chosen], is_rescued ? STAYS_WANTED : STAYS_NO_ROOM);
	world.is_laundering = false;
}

static void
pages_stay_active(void **state)
{
	struct vm_object *o;
	unsigned references;
	(void)state;

	world_start();
	o = world.unit.object;
	references = load_relaxed(&o->references);
	for (unsigned is_dirty = 0; is_dirty < 2; is_dirty++) {
		page_make(o, is_dirty, is_dirty);
		page_begin(o, is_dirty);
		stay(false);
		assert_stayed(o, is_dirty, is_dirty);
		/* Nobody has met it. */
		assert_int_equal(world.call_count, 0);
		page_begin(o, is_dirty);
		assert_true(fault_meets(o, is_dirty));
		stay(true);
		assert_stayed(o, is_dirty, is_dirty);
		assert_int_equal(world.call_count, 1);
		assert_call(0, CALL_WAKE, o, is_dirty, is_dirty + 1);
	}
	assert_int_equal(world_counter(STAT_PAGEOUT_FAILURES), 2);
	assert_int_equal(world_counter(STAT_RESCUES), 2);
	assert_int_equal(load_relaxed(&o->references), references);
	assert_int_equal(unit_level(&world.unit, STAT_FRAMES_ACTIVE), 2);
	world_stop();
}

struct waiter {
	struct vm_object *object;
	atomic_int thread; /* 0: has not begun */
};

static void *
waiter_main(void *argument)
{
	struct waiter *waiter = argument;
	struct vm_object *o = waiter->object;

	lock_acquire(&o->lock);
	atomic_store(&waiter->thread, gettid());
	while (slot_kind(load_relaxed(vm_object_slot(o, 3))) == SLOT_RESIDENT &&
	       load_relaxed(&page_at(o, 3)->word) & PAGE_BUSY)
		vm_object_wait_unbusy(o, page_at(o, 3));
	lock_release(&o->lock);
	return NULL;
}

/* A job that waits for a page goes on, whether the page stays or leaves. */
static void
jobs_that_wait_go_on(void **state)
{
	(void)state;
	for (unsigned leaves = 0; leaves < 2; leaves++) {
		struct vm_object *o;
		struct waiter waiter = { 0 };
		pthread_t thread;

		world_start();
		o = world.unit.object;
		begin(o, 3, 4);
		waiter.object = o;
		assert_int_equal(pthread_create(&thread, NULL, waiter_main, &waiter), 0);
		while (atomic_load(&waiter.thread) == 0 || load_acquire(&o->waiters) == 0 ||
		       !thread_sleeps(getpid(), atomic_load(&waiter.thread)))
			sched_yield();
		if (leaves)
			leave();
		else
			stay(true);
		pthread_join(thread, NULL);
		assert_int_equal(load_relaxed(&o->waiters), 0);
		if (leaves)
			assert_left(o, 3);
		else
			assert_stayed(o, 3, false);
		world_stop();
	}
}

/* --- still --- */

static void
ranges_are_still_or_refused(void **state)
{
	static const struct {
		int answer, result;
	} rows[] = { { 0, 0 }, { -ENOENT, 0 }, { -ESRCH, 0 }, { -EAGAIN, -EAGAIN },
		{ -EINVAL, -EINVAL } };
	struct vm_object *o;
	(void)state;

	world_start();
	o = world.unit.object;
	watch_client(task_cookie(o->owner));
	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		struct still_range still = { 0 };

		world.call_count = 0;
		world.protect_error = rows[i].answer;
		assert_int_equal(still_range_make(o, 10, 15, &still), rows[i].result);
		assert_int_equal(world.call_count, 1);
		assert_call(0, CALL_PROTECT, o, 10, 15);
		/* Untouched on failure. */
		assert_ptr_equal(still.object, rows[i].result ? NULL : o);
		assert_int_equal(still.low, rows[i].result ? 0 : 10);
		assert_int_equal(still.high, rows[i].result ? 0 : 15);
	}
	world_stop();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stored_pages_join_neighbours),
		cmocka_unit_test(ranges_are_bounded),
		cmocka_unit_test(ranges_are_of_one_object),
		cmocka_unit_test(what_leaves_is_billed),
		cmocka_unit_test(faults_in_a_hole_are_woken),
		cmocka_unit_test(pages_stay_active),
		cmocka_unit_test(jobs_that_wait_go_on),
		cmocka_unit_test(ranges_are_still_or_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
