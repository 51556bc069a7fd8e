/* SPDX-License-Identifier: MIT
 *
 * The policies in force (pageq/policies.c), and switching them (pageq/switch.c).
 */
#include "pageq_fixture.h"

#include "pageq/policies.h"
#include "pageq/switch.h"

/* Pages of each state: a switch replays those before LEFT_OUT. */
enum { ACTIVE = 0, INACTIVE = 4, LAUNDRY = 7, CLEANING = 9, LEFT_OUT = 10, WIRED = 11, COUNT = 12 };

static struct unit u;

static enum page_state
state_at(uint64_t index)
{
	return index < INACTIVE   ? PAGE_ACTIVE
	       : index < LAUNDRY  ? PAGE_INACTIVE
	       : index < CLEANING ? PAGE_LAUNDRY
	       : index < LEFT_OUT ? PAGE_CLEANING
	       : index < WIRED    ? PAGE_SPECULATIVE
				  : PAGE_WIRED;
}

static int
start(void **state)
{
	(void)state;
	unit_start(&u);
	assert_int_equal(policies_create(u.daemon, "mach2q"), 0);
	return 0;
}

static int
stop(void **state)
{
	(void)state;
	policies_destroy(u.daemon);
	unit_stop(&u);
	return 0;
}

static void
pages_make(void)
{
	for (uint64_t i = 0; i < COUNT; i++)
		page_make(&u, i, state_at(i));
}

static void
pages_end(void)
{
	for (uint64_t i = 0; i < COUNT; i++)
		page_end(&u, i);
	assert_int_equal(unit_level(&u, STAT_FRAMES_FREE), UNIT_FRAMES);
}

/* The instance has been told of that number of resident pages, and its own books are in order. */
static void
knows(struct page_policy *pp, unsigned resident)
{
	struct pol_stats stats = { 0 };

	assert_int_equal(pp->resident, resident);
	pp->ops->stats(pp->memory, &stats);
	assert_int_equal(stats.resident, resident);
	assert_null(pp->ops->check(pp->memory));
}

/* What a switch has made of the pages: inactive ones are active, and all others as they were. */
static void
pages_are_replayed(void)
{
	for (uint64_t i = 0; i < COUNT; i++) {
		enum page_state state = state_at(i);

		assert_int_equal(page_state(&u, i), state == PAGE_INACTIVE ? PAGE_ACTIVE : state);
		assert_int_equal(load_relaxed(&page_row(&u, i)->word) & PAGE_REPLAYED, 0);
	}
}

static void
of_the_daemon(void **state)
{
	struct policies *p = &u.daemon->pageq.policies;
	(void)state;

	pages_make();
	knows(p->common, LEFT_OUT);
	assert_int_equal(policy_switch(u.daemon, NULL, "fifo"), 0);
	assert_string_equal(p->common->text, "fifo");
	assert_int_equal(p->own_count, 0);
	knows(p->common, LEFT_OUT);
	pages_are_replayed();
	/* How the pages end that were on their way out is told to the policy that came. */
	pages_end();
	knows(p->common, 0);
}

static void
of_a_client(void **state)
{
	struct policies *p = &u.daemon->pageq.policies;
	struct page_policy *own;
	(void)state;

	pages_make();
	assert_int_equal(policy_switch(u.daemon, u.task, "fifo"), 0);
	own = policies_own(p, u.task);
	assert_non_null(own);
	assert_ptr_equal(policies_of(p, u.task), own);
	assert_int_equal(p->own_count, 1);
	knows(own, LEFT_OUT);
	knows(p->common, 0);
	pages_are_replayed();
	/* A switch of the daemon's policy concerns none of these pages. */
	assert_int_equal(policy_switch(u.daemon, NULL, "lru"), 0);
	knows(own, LEFT_OUT);
	knows(p->common, 0);
	/* Another one, and back to the daemon's. */
	assert_int_equal(policy_switch(u.daemon, u.task, "clock"), 0);
	assert_int_equal(p->own_count, 1);
	knows(policies_own(p, u.task), LEFT_OUT);
	assert_int_equal(policy_switch(u.daemon, u.task, ""), 0);
	assert_null(policies_own(p, u.task));
	assert_ptr_equal(policies_of(p, u.task), p->common);
	assert_int_equal(p->own_count, 0);
	knows(p->common, LEFT_OUT);
	pages_end();
	knows(p->common, 0);
}

/* A page that is being filled during a switch is told to the policy that came, when it has been. */
static void
during_a_fill(void **state)
{
	struct policies *p = &u.daemon->pageq.policies;
	struct fill fill;
	(void)state;

	page_fill_begin(&u, 0, &fill);
	assert_int_equal(policy_switch(u.daemon, NULL, "fifo"), 0);
	knows(p->common, 0);
	fill_finish(NULL, &fill, 1, PAGE_ACTIVE, false);
	knows(p->common, 1);
	page_end(&u, 0);
	knows(p->common, 0);
}

static void
failures_change_nothing(void **state)
{
	struct policies *p = &u.daemon->pageq.policies;
	struct page_policy *common = p->common;
	(void)state;

	pages_make();
	assert_int_equal(policy_switch(u.daemon, NULL, "no-such"), -ENOENT);
	assert_int_equal(policy_switch(u.daemon, NULL, "mach2q:no-such=1"), -EINVAL);
	assert_int_equal(policy_switch(u.daemon, u.task, "no-such"), -ENOENT);
	/* The daemon always has one. */
	assert_int_equal(policy_switch(u.daemon, NULL, ""), -ENOENT);
	assert_ptr_equal(p->common, common);
	assert_int_equal(p->own_count, 0);
	knows(common, LEFT_OUT);
	for (uint64_t i = 0; i < COUNT; i++)
		assert_int_equal(page_state(&u, i), state_at(i));
	pages_end();
}

static void
texts(void **state)
{
	char text[1024];
	(void)state;

	assert_int_equal(policy_switch(u.daemon, u.task, "fifo"), 0);
	pageq_lock(u.daemon);
	policies_text_locked(u.daemon, NULL, text, sizeof(text));
	assert_memory_equal(text, "mach2q: ", 8);
	policies_text_locked(u.daemon, u.task, text, sizeof(text));
	assert_memory_equal(text, "fifo: ", 6);
	pageq_unlock(u.daemon);
	assert_int_equal(policy_switch(u.daemon, u.task, ""), 0);
	pageq_lock(u.daemon);
	policies_text_locked(u.daemon, u.task, text, sizeof(text));
	assert_memory_equal(text, "mach2q: ", 8);
	pageq_unlock(u.daemon);
}

/* Turns go round in proportion to the pages of each policy. */
static void
turns(void **state)
{
	struct policies *p = &u.daemon->pageq.policies;
	unsigned owns = 0;
	(void)state;

	pageq_lock(u.daemon);
	assert_ptr_equal(policies_turn_locked(u.daemon), p->common);
	pageq_unlock(u.daemon);
	assert_int_equal(policy_switch(u.daemon, u.task, "fifo"), 0);
	pageq_lock(u.daemon);
	/* Nobody has a page. */
	assert_ptr_equal(policies_turn_locked(u.daemon), p->common);
	p->common->resident = 100;
	policies_own(p, u.task)->resident = 300;
	for (unsigned i = 0; i < 4000; i++)
		owns += policies_turn_locked(u.daemon) == policies_own(p, u.task);
	assert_in_range(owns, 2900, 3100);
	p->common->resident = 0;
	for (unsigned i = 0; i < 100; i++)
		assert_ptr_equal(policies_turn_locked(u.daemon), policies_own(p, u.task));
	policies_own(p, u.task)->resident = 0;
	pageq_unlock(u.daemon);
	assert_int_equal(policy_switch(u.daemon, u.task, ""), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(of_the_daemon, start, stop),
		cmocka_unit_test_setup_teardown(of_a_client, start, stop),
		cmocka_unit_test_setup_teardown(during_a_fill, start, stop),
		cmocka_unit_test_setup_teardown(failures_change_nothing, start, stop),
		cmocka_unit_test_setup_teardown(texts, start, stop),
		cmocka_unit_test_setup_teardown(turns, start, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
