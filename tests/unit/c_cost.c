/* SPDX-License-Identifier: MIT
 *
 * The cost of a major fault in soft faults, computed from numbers alone; and the policies that are
 * told of it.
 */
#include "c_unit.h"

#include "pageq/cost.h"
#include "pageq/page_policy.h"
#include "pageq/pageq.h"

/* Every fault costs 7 us beside its server's work. */
#define US 1000u

static struct fault_times
times(uint64_t soft, uint64_t soft_us, uint64_t refills, uint64_t refill_us, uint64_t pages)
{
	return (struct fault_times){ soft, soft * soft_us * US, refills, refills * refill_us * US,
		pages };
}

static uint32_t
measured(struct fault_times t, uint32_t now)
{
	uint32_t cost = 0;

	return cost_measure(&t, now, &cost) ? cost : 0;
}

static void
test_cost(void **state)
{
	static const struct {
		uint64_t soft_us, refill_us, pages; /* of 1000 faults of each kind */
		uint32_t now, cost;                 /* cost 0: stays */
	} rows[] = {
		{ 3, 13, 1000, 0, 2 },                             /* 20 / 10 */
		{ 3, 13, 1000, 2, 0 },                             /* the same again */
		{ 3, 93, 1000, 2, 10 },                            /* from disk */
		{ 3, 93, 1000, 9, 0 },                             /* not clearly another */
		{ 3, 93, 1000, 16, 10 }, { 3, 1993, 1000, 2, 16 }, /* 200: the most */
		{ 3, 13, 8000, 2, 1 }, /* runs: a page costs a quarter of a soft fault */
		{ 3, 13, 8000, 1, 0 }, { 3, 19, 1000, 2, 0 }, /* 2.6: rounds to 3, may also be 2 */
		{ 3, 20, 1000, 2, 3 },                        /* 2.7 */
		{ 3, 17, 1000, 3, 0 },                        /* 2.4 */
		{ 3, 15, 1000, 3, 2 },                        /* 2.2 */
		{ 0, 0, 1000, 0, 1 },
		{ 93, 13, 1000, 8, 1 }, /* soft faults that cost more than major ones */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint32_t cost =
		    measured(times(1000, rows[i].soft_us, 1000, rows[i].refill_us, rows[i].pages),
			rows[i].now);

		if (cost != rows[i].cost)
			fail_msg("row %zu: %u instead of %u", i, cost, rows[i].cost);
	}
	/* Too few to tell. */
	assert_int_equal(measured(times(0, 0, 100000, 50, 100000), 0), 0);
	assert_int_equal(measured(times(100000, 3, 0, 0, 0), 0), 0);
	assert_int_equal(measured(times(100000, 3, 1000, 50, 0), 0), 0);
}

static void
test_policies(void **state)
{
	static const struct {
		const char *text;
		uint32_t cost; /* after being told 7 */
	} rows[] = {
		{ "mach2q", 7 },
		{ "mach2q:adapt=1", 7 },
		{ "mach2q:adapt=1,cost=5,near=85", 0 },
		{ "mach2q:cost=2", 0 },
		{ "default", 0 }, /* its cost is written out */
		{ "lru", 0 },
	};
	char text[2048];
	struct unit u;

	(void)state;
	unit_start(&u);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct page_policy *pp;

		assert_int_equal(page_policy_create(u.daemon, rows[i].text, &pp), 0);
		pageq_lock(u.daemon);
		page_policy_tune(pp, 7);
		assert_int_equal(pp->cost, rows[i].cost);
		page_policy_describe(pp, text, sizeof(text));
		pageq_unlock(u.daemon);
		assert_int_equal(strstr(text, "measured: cost=7\n") != NULL, rows[i].cost == 7);
		page_policy_destroy(pp);
	}
	unit_stop(&u);
}

/* Counters, as the timer sees them. */
static void
test_refresh(void **state)
{
	struct stat_shard shard;
	struct daemon *d;
	struct unit u;

	(void)state;
	unit_start(&u);
	d = u.daemon;
	shard = stats_shard(&d->stats, 0);
	assert_int_equal(page_policy_create(d, "mach2q:adapt=1", &d->pageq.policies.common), 0);
	cost_refresh(d);
	assert_int_equal(d->pageq.policies.common->cost, 0);
	stat_add(shard, STAT_SOFT_FAULTS, 1000);
	stat_add(shard, STAT_SOFT_FAULT_NS, 3000 * 1000);
	stat_add(shard, STAT_REFILLS, 150);
	stat_add(shard, STAT_REFILL_NS, 150 * 93 * 1000);
	stat_add(shard, STAT_DECOMPRESSIONS, 100);
	stat_add(shard, STAT_SWAPINS, 50);
	cost_refresh(d); /* too few: they are kept */
	assert_int_equal(d->pageq.policies.common->cost, 0);
	stat_add(shard, STAT_REFILLS, 150);
	stat_add(shard, STAT_REFILL_NS, 150 * 93 * 1000);
	stat_add(shard, STAT_SWAPINS, 150);
	store_relaxed(&d->params.resident_frames, 512);
	cost_refresh(d);
	assert_int_equal(d->pageq.cost.measured, 10);
	assert_int_equal(d->pageq.policies.common->cost, 0); /* demand paging to the letter */
	store_relaxed(&d->params.resident_frames, 0);
	cost_refresh(d);
	assert_int_equal(d->pageq.policies.common->cost, 10);
	page_policy_destroy(d->pageq.policies.common);
	unit_stop(&u);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cost),
		cmocka_unit_test(test_policies),
		cmocka_unit_test(test_refresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
