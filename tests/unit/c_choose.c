/* SPDX-License-Identifier: MIT
 *
 * What becomes inactive and what leaves (pageq/choose.c, speculative.c), and what the queues rely
 * on.
 */
#include "pageq_script.h"

#include "pageq/choose.h"
#include "panics.h"

static unsigned
round_of(unsigned want, unsigned want_aged, bool needed)
{
	unsigned count;

	pageq_lock(world.unit.daemon);
	count = choose_round_locked(world.unit.daemon, want, want_aged, needed, world.aged,
	    &world.aged_count, world.victims);
	pageq_unlock(world.unit.daemon);
	return count;
}

/* --- rounds --- */

/* Pages brought in ahead of use leave first, in the order in which they came, and only then does
 * the policy hear of them. */
static void
speculative_first(void **state)
{
	struct daemon *d = world.unit.daemon;
	(void)state;

	pages_make(0, 4, PAGE_SPECULATIVE);
	assert_int_equal(world.common.told_count, 0);
	/* One from the middle, one from each end. */
	pageq_lock(d);
	assert_true(
	    pageq_reactivate_locked(d, world.unit.object, page_frame_number(&world.unit, 1), 0));
	pageq_unlock(d);
	assert_int_equal(told(&world.common, TOLD_FAULT, page_name(&world.unit, 1)), 1);
	assert_int_equal(round_of(1, 0, false), 1);
	victim_is(&world.victims[0], 0);
	assert_int_equal(
	    told_last(&world.common, TOLD_FAULT, page_name(&world.unit, 0)), PF_PREFETCH);
	page_end(&world.unit, 3);
	assert_int_equal(d->pageq.speculative.head, page_frame_number(&world.unit, 2));
	assert_int_equal(d->pageq.speculative.tail, page_frame_number(&world.unit, 2));
	page_make(&world.unit, 3, PAGE_SPECULATIVE);
	assert_int_equal(round_of(8, 0, false), 2);
	victim_is(&world.victims[0], 2);
	victim_is(&world.victims[1], 3);
	assert_int_equal(d->pageq.speculative.head, FRAME_NONE);
	assert_int_equal(d->pageq.speculative.tail, FRAME_NONE);
	pages_end(0, 4);
	assert_int_equal(world.common.policy.resident, 0);
}

static void
with_neighbours(void **state)
{
	(void)state;

	store_relaxed(&world.unit.daemon->params.pageout_cluster, 4);
	pages_make(2, 9, PAGE_INACTIVE);
	page_end(&world.unit, 6);
	page_make(&world.unit, 6, PAGE_ACTIVE);
	/* Those of its cluster that are inactive. */
	selects(&world.common, page_name(&world.unit, 5));
	assert_int_equal(round_of(8, 0, false), 3);
	victim_is(&world.victims[0], 5);
	victim_is(&world.victims[1], 4);
	victim_is(&world.victims[2], 7);
	assert_int_equal(page_state(&world.unit, 6), PAGE_ACTIVE);
	/* And no more than are wanted. */
	selects(&world.common, page_name(&world.unit, 3));
	assert_int_equal(round_of(1, 0, false), 1);
	victim_is(&world.victims[0], 3);
	assert_int_equal(page_state(&world.unit, 2), PAGE_INACTIVE);
	assert_int_equal(page_state(&world.unit, 8), PAGE_INACTIVE);
	assert_int_equal(counted(STAT_POLICY_VIOLATIONS), 0);
	pages_end(2, 9);
}

static void
bad_proposals(void **state)
{
	enum { ACTIVE, BUSY, GOOD, COUNT, ABSENT = 20 };
	(void)state;

	store_relaxed(&world.unit.daemon->params.pageout_cluster, 1);
	page_make(&world.unit, ACTIVE, PAGE_ACTIVE);
	pages_make(BUSY, COUNT, PAGE_INACTIVE);
	assert_true(vm_page_busy_only(page_row(&world.unit, BUSY)));
	selects(&world.common, page_name(&world.unit, ABSENT));
	selects(&world.common, page_name(&world.unit, ACTIVE));
	selects(&world.common, page_name(&world.unit, BUSY));
	selects(&world.common, page_name(&world.unit, GOOD));
	assert_int_equal(round_of(2, 0, false), 1);
	victim_is(&world.victims[0], GOOD);
	/* A fault that has a page in its hands is no fault of the policy. */
	assert_int_equal(counted(STAT_POLICY_VIOLATIONS), 2);
	assert_int_equal(told(&world.common, TOLD_FORGET, page_name(&world.unit, ABSENT)), 1);
	assert_int_equal(
	    told_last(&world.common, TOLD_DONE, page_name(&world.unit, ACTIVE)), POL_BUSY);
	assert_int_equal(
	    told_last(&world.common, TOLD_DONE, page_name(&world.unit, BUSY)), POL_BUSY);
	assert_int_equal(told(&world.common, TOLD_DONE, page_name(&world.unit, GOOD)), 0);
	/* A policy that is always wrong is asked a bounded number of times. */
	world.common.told_count = world.common.select_count = world.common.selected = 0;
	for (unsigned i = 0; i < 10; i++)
		selects(&world.common, page_name(&world.unit, ABSENT));
	assert_int_equal(round_of(3, 0, false), 0);
	assert_int_equal(told(&world.common, TOLD_SELECT, POL_NONE), 6);
	assert_false(vm_page_unbusy(page_row(&world.unit, BUSY)));
	pages_end(ACTIVE, COUNT);
}

/* Of what is proposed for unmapping only active pages become inactive. */
static void
unmapping(void **state)
{
	enum { ACTIVE, BUSY, INACTIVE, LAUNDRY, COUNT, ABSENT = 20 };
	pol_page pages[] = { page_name(&world.unit, ABSENT), page_name(&world.unit, BUSY),
		page_name(&world.unit, INACTIVE), page_name(&world.unit, LAUNDRY),
		page_name(&world.unit, ACTIVE) };
	(void)state;

	pages_make(ACTIVE, INACTIVE, PAGE_ACTIVE);
	page_make(&world.unit, INACTIVE, PAGE_INACTIVE);
	page_make(&world.unit, LAUNDRY, PAGE_LAUNDRY);
	assert_true(vm_page_busy_only(page_row(&world.unit, BUSY)));
	pageq_lock(world.unit.daemon);
	assert_int_equal(unmap_proposed_locked(world.unit.daemon, &world.common.policy, pages,
			     ARRAY_LEN(pages), world.aged),
	    1);
	pageq_unlock(world.unit.daemon);
	aged_is(0, ACTIVE);
	assert_int_equal(page_state(&world.unit, ACTIVE), PAGE_INACTIVE);
	assert_int_equal(page_state(&world.unit, BUSY), PAGE_ACTIVE);
	assert_int_equal(page_state(&world.unit, LAUNDRY), PAGE_LAUNDRY);
	/* The policy takes back what it believes to be unmapped. */
	assert_int_equal(told(&world.common, TOLD_SOFT, page_name(&world.unit, ABSENT)), 1);
	assert_int_equal(told(&world.common, TOLD_SOFT, page_name(&world.unit, BUSY)), 1);
	assert_int_equal(told(&world.common, TOLD_SOFT, page_name(&world.unit, LAUNDRY)), 1);
	assert_int_equal(told(&world.common, TOLD_SOFT, page_name(&world.unit, INACTIVE)), 0);
	assert_int_equal(told(&world.common, TOLD_SOFT, page_name(&world.unit, ACTIVE)), 0);
	assert_false(vm_page_unbusy(page_row(&world.unit, BUSY)));
	pages_end(ACTIVE, COUNT);
}

static void
lazy_policy(void **state)
{
	enum { PAGES = 4 };
	(void)state;

	store_relaxed(&world.unit.daemon->params.pageout_cluster, 1);
	pages_make(0, PAGES, PAGE_ACTIVE);
	/* As long as nothing is needed it may be lazy, and is not asked to unmap. */
	assert_int_equal(round_of(2, 8, false), 0);
	assert_int_equal(world.aged_count, 0);
	assert_int_equal(told(&world.common, TOLD_DEACTIVATE, POL_NONE), 0);
	/* Needed: it is pressed, and what it unmaps may be selected at once. */
	deactivates(&world.common, page_name(&world.unit, 1));
	selects(&world.common, POL_NONE);
	selects(&world.common, page_name(&world.unit, 1));
	assert_int_equal(round_of(2, 8, true), 1);
	victim_is(&world.victims[0], 1);
	assert_int_equal(world.aged_count, 1);
	aged_is(0, 1);
	assert_int_equal(counted(STAT_POLICY_FALLBACKS), 0);
	/* It does nothing even then: the core makes pages inactive, and takes them the next time.
	 */
	assert_int_equal(round_of(2, 2, true), 0);
	assert_int_equal(world.aged_count, 2);
	aged_is(0, 0);
	aged_is(1, 2);
	assert_int_equal(counted(STAT_POLICY_FALLBACKS), 1);
	assert_int_equal(round_of(2, 0, true), 2);
	victim_is(&world.victims[0], 0);
	victim_is(&world.victims[1], 2);
	assert_int_equal(counted(STAT_POLICY_FALLBACKS), 2);
	assert_int_equal(page_state(&world.unit, 3), PAGE_ACTIVE);
	pages_end(0, PAGES);
	/* Without pages of its clients there is nothing to fall back on. */
	assert_int_equal(round_of(2, 2, true), 0);
	assert_int_equal(counted(STAT_POLICY_FALLBACKS), 2);
}

/* The core takes only the pages of the policy whose turn it is. */
static void
falling_back_by_policy(void **state)
{
	(void)state;

	own_begins();
	pages_make(0, 4, PAGE_INACTIVE);
	assert_int_equal(world.own.policy.resident, 4);
	pageq_lock(world.unit.daemon);
	assert_int_equal(fall_back_locked(world.unit.daemon, &world.common.policy, 8, 8, world.aged,
			     &world.aged_count, world.victims),
	    0);
	assert_int_equal(world.aged_count, 0);
	assert_int_equal(fall_back_locked(world.unit.daemon, &world.own.policy, 8, 8, world.aged,
			     &world.aged_count, world.victims),
	    4);
	pageq_unlock(world.unit.daemon);
	pages_end(0, 4);
}

static void
clean_pages(void **state)
{
	enum { DIRTY, ACTIVE, INACTIVE, BUSY, WIRED, LAST, COUNT };
	static const enum page_state states[COUNT] = { PAGE_ACTIVE, PAGE_ACTIVE, PAGE_INACTIVE,
		PAGE_INACTIVE, PAGE_WIRED, PAGE_ACTIVE };
	static const uint64_t clean[] = { ACTIVE, INACTIVE, BUSY, LAST };
	(void)state;

	for (uint64_t i = 0; i < COUNT; i++)
		page_make(&world.unit, i, states[i]);
	for (size_t i = 0; i < ARRAY_LEN(clean); i++)
		vm_page_flags_clear(page_row(&world.unit, clean[i]), PAGE_DIRTY);
	assert_true(vm_page_busy_only(page_row(&world.unit, BUSY)));
	pageq_lock(world.unit.daemon);
	/* The next search goes on where the last one has ended. */
	assert_int_equal(choose_clean_locked(world.unit.daemon, 1, world.victims), 1);
	victim_is(&world.victims[0], ACTIVE);
	assert_int_equal(choose_clean_locked(world.unit.daemon, 1, world.victims), 1);
	victim_is(&world.victims[0], INACTIVE);
	assert_int_equal(choose_clean_locked(world.unit.daemon, 8, world.victims), 1);
	victim_is(&world.victims[0], LAST);
	assert_int_equal(choose_clean_locked(world.unit.daemon, 8, world.victims), 0);
	pageq_unlock(world.unit.daemon);
	assert_int_equal(page_state(&world.unit, DIRTY), PAGE_ACTIVE);
	assert_int_equal(page_state(&world.unit, BUSY), PAGE_INACTIVE);
	assert_false(vm_page_unbusy(page_row(&world.unit, BUSY)));
	pages_end(0, COUNT);
}

/* --- what is not allowed --- */

/* Frames are shared memory: a function that panics in a child has not changed them. */

static void
choose_unlocked(void *argument)
{
	(void)argument;
	(void)choose_by_locked(world.unit.daemon, &world.common.policy, 1, world.victims);
}

static void
policy_unlocked(void *argument)
{
	(void)argument;
	page_policy_soft(&world.common.policy, page_name(&world.unit, 0), 0);
}

static void
discard_with_pageq_alone(void *argument)
{
	(void)argument;
	pageq_lock(world.unit.daemon);
	pageq_discard_locked(
	    world.unit.daemon, world.unit.object, page_frame_number(&world.unit, 0));
}

static void
discard_not_busy(void *argument)
{
	(void)argument;
	lock_acquire(&world.unit.object->lock);
	pageq_lock(world.unit.daemon);
	pageq_discard_locked(
	    world.unit.daemon, world.unit.object, page_frame_number(&world.unit, 0));
}

static void
finish_with_pageq_alone(void *argument)
{
	struct victim v = { page_name(&world.unit, 1), page_frame_number(&world.unit, 1),
		world.unit.object };

	(void)argument;
	pageq_lock(world.unit.daemon);
	pageq_launder_finish_locked(world.unit.daemon, &v);
}

static void
contracts(void **state)
{
	(void)state;

	if (DEBUG_LEVEL < 1)
		return;
	page_make(&world.unit, 0, PAGE_ACTIVE);
	page_make(&world.unit, 1, PAGE_CLEANING);
	assert_true(panics(choose_unlocked, NULL, "PAGEQ is not held"));
	assert_true(panics(policy_unlocked, NULL, "PAGEQ is not held"));
	assert_true(panics(discard_not_busy, NULL, "frame_is_busy"));
	assert_true(vm_page_busy_only(page_row(&world.unit, 0)));
	assert_true(panics(discard_with_pageq_alone, NULL, "OBJECT is not held"));
	assert_false(vm_page_unbusy(page_row(&world.unit, 0)));
	assert_true(panics(finish_with_pageq_alone, NULL, "OBJECT is not held"));
	pages_end(0, 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(speculative_first, script_start, script_stop),
		cmocka_unit_test_setup_teardown(with_neighbours, script_start, script_stop),
		cmocka_unit_test_setup_teardown(bad_proposals, script_start, script_stop),
		cmocka_unit_test_setup_teardown(unmapping, script_start, script_stop),
		cmocka_unit_test_setup_teardown(lazy_policy, script_start, script_stop),
		cmocka_unit_test_setup_teardown(falling_back_by_policy, script_start, script_stop),
		cmocka_unit_test_setup_teardown(clean_pages, script_start, script_stop),
		cmocka_unit_test_setup_teardown(contracts, script_start, script_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
