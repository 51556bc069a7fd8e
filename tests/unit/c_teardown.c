/* SPDX-License-Identifier: MIT
 *
 * The end of a task: whatever it has, nothing of it is left in the books.
 */
#include "c_unit.h"

#include "control/teardown.h"
#include "fault/fault.h"
#include "memorystatus/frame_wait.h"
#include "pageq/pageq.h"
#include "pageq/policies.h"
#include "pageq/switch.h"
#include "region/allocate.h"
#include "region/wire.h"

#define PAGE 4096ull

static struct unit u;

static int
start(void **state)
{
	struct daemon *d;

	(void)state;
	unit_start(&u);
	d = u.daemon;
	assert_int_equal(policies_create(d, d->options.policy), 0);
	assert_int_equal(park_create(d), 0);
	return 0;
}

static int
stop(void **state)
{
	struct daemon *d = u.daemon;

	(void)state;
	store_relaxed(&u.task->state, TASK_ATTACHING);
	park_destroy(d);
	policies_destroy(d);
	unit_stop(&u);
	return 0;
}

/* Allocates pages [first, last) of the unit's address range. */
static struct vm_mapping *
allocate(uint64_t first, uint64_t last)
{
	struct range range;
	struct vm_entry e;

	assert_int_equal(
	    range_init(&range, u.task, UNIT_BASE + first * PAGE, (last - first) * PAGE), 0);
	assert_int_equal(region_allocate(&range, 0, &e), 0);
	return e.mapping;
}

/* => its frame */
static uint32_t
fill(struct vm_mapping *m, uint64_t index, enum page_state state)
{
	struct fill fill = { .task = m->task, .base = m->base };
	struct vm_object *o = m->object;

	lock_acquire(&o->lock);
	assert_int_equal(fill_begin(u.daemon, o, index, 1, 1, FRAME_FIRST, &fill), RUN_BEGUN);
	lock_release(&o->lock);
	fill_finish(NULL, &fill, 1, state, false);
	return fill.frames[0];
}

static void
tear_down(void)
{
	store_release(&u.task->state, TASK_DEAD);
	while (task_teardown(u.task))
		continue;
}

static void
nothing_is_left(void)
{
	assert_int_equal(u.task->map.count, 0);
	assert_int_equal(u.task->map.virtual_bytes, 0);
	assert_int_equal(u.task->map.wired_bytes, 0);
	assert_null(u.task->map.growing);
	assert_int_equal(u.task->wired_billed, 0);
	assert_int_equal(u.task->waits.count, 0);
	assert_int_equal(unit_level(&u, STAT_FRAMES_FREE), UNIT_FRAMES);
	assert_int_equal(unit_level(&u, STAT_PAGES_INTERNAL), 0);
	assert_int_equal(share_used(&u.daemon->shares, SHARE_WIRED), 0);
	assert_true(ledger_pages(&u.task->bill.ledger, PAGER_LEDGER_INTERNAL) == 0);
	/* But for the unit's own. */
	assert_int_equal(load_relaxed(&u.task->objects), 1);
	assert_int_equal(load_relaxed(&u.object->references), 2);
}

/* Pages in each state that they can be in when their task ends. */
static void
pages_of_all_states(void **state)
{
	enum { ACTIVE, INACTIVE, LAUNDRY, SPECULATIVE, WIRED };
	struct daemon *d = u.daemon;
	struct vm_mapping *m = allocate(0, 64);
	struct vm_object *o = m->object;
	struct victim victim;
	struct range range;

	(void)state;
	fill(m, ACTIVE, PAGE_ACTIVE);
	fill(m, INACTIVE, PAGE_ACTIVE);
	fill(m, LAUNDRY, PAGE_ACTIVE);
	fill(m, SPECULATIVE, PAGE_SPECULATIVE);
	fill(m, WIRED, PAGE_ACTIVE);
	pageq_lock(d);
	assert_true(pageq_deactivate_page_locked(d, o, INACTIVE));
	assert_true(pageq_deactivate_page_locked(d, o, LAUNDRY));
	assert_true(pageq_choose_page_locked(d, o, LAUNDRY, &victim));
	pageq_unlock(d);
	assert_int_equal(range_init(&range, u.task, UNIT_BASE + WIRED * PAGE, 10 * PAGE), 0);
	range.stats = stats_shard(&d->stats, 0);
	assert_int_equal(region_wire_begin(&range), 0);
	assert_int_equal(region_wire(&range), 1);
	assert_int_equal(share_used(&d->shares, SHARE_WIRED), 10 * PAGE);
	assert_int_equal(unit_level(&u, STAT_FRAMES_FREE), UNIT_FRAMES - 5);
	tear_down();
	nothing_is_left();
}

/* Ranges in several entries and objects. */
static void
many_ranges(void **state)
{
	struct vm_mapping *m;

	(void)state;
	for (uint64_t first = 0; first < 4096; first += 64) {
		m = allocate(first, first + 16);
		fill(m, (UNIT_BASE + first * PAGE - m->base) / PAGE, PAGE_ACTIVE);
	}
	/* Beyond the unit's object: an object of its own. */
	m = allocate(1ull << 20, (1ull << 20) + 8);
	assert_ptr_not_equal(m->object, u.object);
	fill(m, (UNIT_BASE + (1ull << 20) * PAGE - m->base) / PAGE, PAGE_ACTIVE);
	assert_int_equal(u.task->map.count, 65);
	tear_down();
	nothing_is_left();
}

/* Faults that wait are dropped, with the references that they hold. */
static void
waiting_faults(void **state)
{
	struct fault fault = { .task = u.task, .address = UNIT_BASE };
	unsigned references = load_relaxed(&u.task->references);

	(void)state;
	allocate(0, 8);
	for (unsigned i = 0; i < 3; i++) {
		fault.address = UNIT_BASE + i * PAGE;
		assert_true(frame_wait_keep(u.daemon, &fault, WAIT_FIRST));
	}
	refused_keep(u.daemon, &fault, REFUSED_FRAMES);
	assert_int_equal(load_relaxed(&u.daemon->park.count), 3);
	tear_down();
	nothing_is_left();
	assert_int_equal(load_relaxed(&u.daemon->park.count), 0);
	assert_int_equal(load_relaxed(&u.daemon->park.refused_count), 0);
	assert_int_equal(load_relaxed(&u.task->references), references);
	assert_false(frame_wait_keep(u.daemon, &fault, WAIT_FIRST));
}

/* Its own policy goes with it, and it gets none any more. */
static void
own_policy(void **state)
{
	struct daemon *d = u.daemon;

	(void)state;
	fill(allocate(0, 8), 0, PAGE_ACTIVE);
	assert_int_equal(policy_switch(d, u.task, "fifo"), 0);
	assert_int_equal(d->pageq.policies.own_count, 1);
	tear_down();
	nothing_is_left();
	assert_int_equal(d->pageq.policies.own_count, 0);
	assert_int_equal(policy_switch(d, u.task, "fifo"), -ESRCH);
	assert_int_equal(d->pageq.policies.own_count, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(pages_of_all_states, start, stop),
		cmocka_unit_test_setup_teardown(many_ranges, start, stop),
		cmocka_unit_test_setup_teardown(waiting_faults, start, stop),
		cmocka_unit_test_setup_teardown(own_policy, start, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
