/* SPDX-License-Identifier: MIT
 *
 * Demand paging to the letter (pageq/exact.c).
 */
#include "pageq_script.h"

#include "pageq/exact.h"

static unsigned
round_exact(unsigned room)
{
	unsigned count;

	pageq_lock(world.unit.daemon);
	count = exact_round_locked(
	    world.unit.daemon, world.aged, room, &world.aged_count, world.victims);
	pageq_unlock(world.unit.daemon);
	return count;
}

static void
exact_rounds(void **state)
{
	(void)state;

	store_relaxed(&world.unit.daemon->params.pageout_cluster, 1);
	pages_make(0, 4, PAGE_ACTIVE);
	/* No more is unmapped than it takes to find one victim. */
	deactivates(&world.common, page_name(&world.unit, 2));
	deactivates(&world.common, page_name(&world.unit, 0));
	deactivates(&world.common, page_name(&world.unit, 1));
	selects(&world.common, POL_NONE);
	selects(&world.common, page_name(&world.unit, 2));
	assert_int_equal(round_exact(8), 1);
	victim_is(&world.victims[0], 2);
	assert_int_equal(world.aged_count, 2);
	aged_is(0, 2);
	aged_is(1, 0);
	assert_int_equal(page_state(&world.unit, 1), PAGE_ACTIVE);
	assert_int_equal(told(&world.common, TOLD_DEACTIVATE, POL_NONE), 2);
	/* The caller's room is a bound, too. */
	assert_int_equal(round_exact(1), 0);
	assert_int_equal(world.aged_count, 1);
	aged_is(0, 1);
	/* A policy that proposes nothing is asked four times; then the core chooses. */
	world.common.told_count = 0;
	assert_int_equal(round_exact(8), 1);
	victim_is(&world.victims[0], 0);
	assert_int_equal(told(&world.common, TOLD_DEACTIVATE, POL_NONE), 4);
	assert_int_equal(told(&world.common, TOLD_SELECT, POL_NONE), 4);
	assert_int_equal(counted(STAT_POLICY_FALLBACKS), 1);
	/* What was brought in ahead of use leaves without it. */
	world.common.told_count = 0;
	page_make(&world.unit, 4, PAGE_SPECULATIVE);
	assert_int_equal(round_exact(8), 1);
	victim_is(&world.victims[0], 4);
	assert_int_equal(world.aged_count, 0);
	assert_int_equal(told(&world.common, TOLD_SELECT, POL_NONE), 0);
	pages_end(0, 5);
}

static unsigned
settle(unsigned want)
{
	unsigned count;

	pageq_lock(world.unit.daemon);
	count = exact_settle_locked(world.unit.daemon, world.aged, want);
	pageq_unlock(world.unit.daemon);
	return count;
}

/* After a fault a policy that keeps a target is asked, while as many pages are resident as may
 * be. */
static void
settling(void **state)
{
	(void)state;

	script_init(&world.common, &keeping_ops);
	script_init(&world.own, &keeping_ops);
	pages_make(0, 4, PAGE_ACTIVE);
	own_begins();
	store_relaxed(&world.unit.daemon->params.resident_frames, 5);
	deactivates(&world.common, page_name(&world.unit, 0));
	deactivates(&world.own, page_name(&world.unit, 3));
	assert_int_equal(settle(8), 0);
	store_relaxed(&world.unit.daemon->params.resident_frames, 4);
	assert_int_equal(settle(1), 1);
	aged_is(0, 0);
	assert_int_equal(told(&world.own, TOLD_DEACTIVATE, POL_NONE), 0);
	assert_int_equal(settle(8), 1);
	aged_is(0, 3);
	assert_int_equal(told_last(&world.own, TOLD_DEACTIVATE, POL_NONE), 8);
	/* A policy that keeps none is not asked. */
	world.own.policy.ops = world.common.policy.ops = &script_ops;
	world.common.told_count = world.own.told_count = 0;
	assert_int_equal(settle(8), 0);
	assert_int_equal(world.common.told_count + world.own.told_count, 0);
	world.unit.daemon->pageq.policies.own_count = 0;
	pages_end(0, 4);
}

/* The policy hears of a miss once: when no frame was found, or else with the fault. */
static void
misses(void **state)
{
	(void)state;

	page_make(&world.unit, 0, PAGE_ACTIVE);
	assert_int_equal(told(&world.common, TOLD_MISS, page_name(&world.unit, 0)), 1);
	exact_missed(world.unit.daemon, world.unit.object, 1);
	exact_missed(world.unit.daemon, world.unit.object, 1);
	assert_int_equal(told(&world.common, TOLD_MISS, page_name(&world.unit, 1)), 1);
	assert_int_equal(told(&world.common, TOLD_FAULT, page_name(&world.unit, 1)), 0);
	page_make(&world.unit, 1, PAGE_ACTIVE);
	assert_int_equal(told(&world.common, TOLD_MISS, page_name(&world.unit, 1)), 1);
	assert_int_equal(told(&world.common, TOLD_FAULT, page_name(&world.unit, 1)), 1);
	pages_end(0, 2);
}

static void
resizing(void **state)
{
	static const struct {
		uint32_t resident_frames, assumed;
	} rows[] = { { 100, 100 }, { 0, UNIT_FRAMES }, { UNIT_FRAMES + 1, UNIT_FRAMES } };
	(void)state;

	own_begins();
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		store_relaxed(&world.unit.daemon->params.resident_frames, rows[i].resident_frames);
		pageq_lock(world.unit.daemon);
		exact_resize_locked(world.unit.daemon);
		pageq_unlock(world.unit.daemon);
		assert_int_equal(told_last(&world.common, TOLD_RESIZE, POL_NONE), rows[i].assumed);
		assert_int_equal(told_last(&world.own, TOLD_RESIZE, POL_NONE), rows[i].assumed);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(exact_rounds, script_start, script_stop),
		cmocka_unit_test_setup_teardown(settling, script_start, script_stop),
		cmocka_unit_test_setup_teardown(misses, script_start, script_stop),
		cmocka_unit_test_setup_teardown(resizing, script_start, script_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
