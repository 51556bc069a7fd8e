/* SPDX-License-Identifier: MIT
 *
 * The default policy: its target, the costs that it learns from faults, and the pages that it
 * unmaps together.
 */
#include "policy_core.h"

#include <errno.h>

/* |INACTIVE| after the default has been asked for all it wants to unmap. */
static void
test_mach2q_target(void **state)
{
	static const struct {
		const char *params;
		uint32_t resident, inactive;
	} rows[] = {
		{ NULL, 1, 1 },
		{ NULL, 2, 1 },
		{ NULL, 5, 1 },
		{ NULL, 6, 2 },
		{ NULL, 285, 95 },
		{ "inactive=34", 285, 96 },
		{ "inactive=50", 285, 142 },
		{ "inactive=90", 10, 9 },
		{ "inactive=1", 99, 1 },
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pol_stats stats;
		struct core c;

		core_open(&c, policy_find("mach2q"), rows[i].params, NPAGES);
		for (pol_page page = 0; page < rows[i].resident; page++)
			core_touch(&c, page);
		for (unsigned k = 0; k < NPAGES / BATCH + 1; k++)
			core_deactivate(&c, BATCH, 0);
		c.ops->stats(c.mem, &stats);
		assert_int_equal(stats.inactive, rows[i].inactive);
		assert_int_equal(stats.target, rows[i].inactive);
		core_close(&c);
	}
}

static void
touch_and_settle(struct core *c, unsigned touches)
{
	for (unsigned i = 0; i < touches; i++) {
		core_touch(c, below(c, 150));
		core_deactivate(c, BATCH, 0);
	}
}

/* Cheap soft faults: the share grows; expensive ones: it shrinks. tune() changes the cost under
 * way. */
static void
test_mach2q_adapt(void **state)
{
	struct pol_stats before, grown, shrunk;
	struct core c;

	core_open(&c, policy_find("mach2q"), "adapt=1,cost=1000,overhead=100", NFRAMES);
	c.ops->stats(c.mem, &before);
	touch_and_settle(&c, 20000);
	c.ops->stats(c.mem, &grown);
	assert_int_equal(grown.target, 75);
	assert_int_equal(c.ops->tune(c.mem, "cost=1,overhead=1"), 0);
	assert_int_equal(c.ops->tune(c.mem, "cost=0"), -EINVAL);
	touch_and_settle(&c, 20000);
	c.ops->stats(c.mem, &shrunk);
	assert_in_range(shrunk.target, 3, 5);
	core_close(&c);
}

/* The pages unmapped together with page 0, the oldest of 160; pages 8 to 15 were touched last. */
static void
test_mach2q_near(void **state)
{
	static const struct {
		const char *params;
		unsigned blocks,
		    young; /* pages of page 0's block that are unmapped: old ones, young ones */
	} rows[] = { { "inactive=50,near=0", 1, 0 }, { "inactive=50,near=50", 8, 0 },
		{ "inactive=50,near=100", 8, 8 } };

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		pol_page out[16];
		unsigned n, old = 0, young = 0;
		struct core c;

		core_open(&c, policy_find("mach2q"), rows[i].params, NPAGES);
		for (pol_page page = 0; page < 160; page++)
			if (page < 8 || page > 15)
				c.ops->fault(c.mem, page, 0);
		for (pol_page page = 8; page < 16; page++)
			c.ops->fault(c.mem, page, 0);
		n = c.ops->deactivate(c.mem, 16, out);
		assert_int_equal(n, 16);
		assert_int_equal(out[0], 0);
		/* Up to the first page of another block. */
		for (unsigned k = 0; k < n && out[k] < 16; k++) {
			old += out[k] < 8;
			young += out[k] >= 8;
			if (rows[i].blocks == 1)
				break;
		}
		assert_int_equal(old, rows[i].blocks);
		assert_int_equal(young, rows[i].young);
		core_close(&c);
	}
}

/* A first touch of everything lets the share grow; when pages are used again it falls within a few
 * epochs. */
static void
test_mach2q_adapt_fast(void **state)
{
	struct pol_stats grown, fallen;
	struct core c;

	core_open(&c, policy_find("mach2q"), "adapt=1,cost=2,overhead=3", NFRAMES);
	for (unsigned round = 0; round < 30; round++)
		for (pol_page page = 0; page < NPAGES; page++) {
			core_touch(&c, page);
			core_deactivate(&c, BATCH, 0);
		}
	c.ops->stats(c.mem, &grown);
	assert_true(grown.target > NFRAMES / 2);
	touch_and_settle(&c, 12 * NFRAMES);
	c.ops->stats(c.mem, &fallen);
	assert_true(fallen.target < NFRAMES / 6);
	core_close(&c);
}

static void
evict_one(struct core *c, pol_page want)
{
	pol_page victim;

	core_deactivate(c, 1, 0);
	assert_int_equal(c->ops->select(c->mem, 1, &victim), 1);
	assert_int_equal(victim, want);
	core_evicted(c, victim);
}

static void
fault_in(struct core *c, pol_page page)
{
	c->state[page] = POL_MAPPED;
	c->resident++;
	c->ops->fault(c->mem, page, 0);
	core_check(c, "fault");
}

/* Of 20 pages the first two leave. One comes back at once and is active; those on trial go before
 * it, whenever they came. The other comes back when more than a quarter has left: on trial like a
 * page that was never there. */
static void
test_mach2q_refault(void **state)
{
	struct pol_stats stats;
	struct core c;

	core_open(&c, policy_find("mach2q"), "inactive=1,refault=25,trial=1", NPAGES);
	for (pol_page page = 0; page < 20; page++)
		fault_in(&c, page);
	evict_one(&c, 0);
	evict_one(&c, 1);
	c.ops->stats(c.mem, &stats);
	assert_int_equal(stats.ghosts, 2);
	fault_in(&c, 1);
	for (pol_page page = 2; page < 7; page++)
		evict_one(&c, page);
	fault_in(&c, 0);
	for (pol_page page = 7; page < 20; page++)
		evict_one(&c, page);
	evict_one(&c, 0);
	evict_one(&c, 1);
	c.ops->stats(c.mem, &stats);
	assert_int_equal(stats.resident, 0);
	assert_int_equal(stats.ghosts, 20);
	/* A forgotten page counts as never seen. */
	core_forget(&c, 5);
	c.ops->stats(c.mem, &stats);
	assert_int_equal(stats.ghosts, 19);
	core_close(&c);
}

/* Page 2 comes back after one other has left, page 0 after three: the first has a turn more, so the
 * second goes before it. */
static void
test_mach2q_turns(void **state)
{
	static const char *const params[] = { "inactive=1,refault=25,trial=1",
		"inactive=1,refault=25,trial=1,turns=3" };

	for (unsigned i = 0; i < 2; i++) {
		struct core c;

		core_open(&c, policy_find("mach2q"), params[i], NPAGES);
		for (pol_page page = 0; page < 20; page++)
			fault_in(&c, page);
		for (pol_page page = 0; page < 3; page++)
			evict_one(&c, page);
		fault_in(&c, 2);
		fault_in(&c, 0);
		for (pol_page page = 3; page < 20; page++)
			evict_one(&c, page);
		evict_one(&c, i == 0 ? 2 : 0);
		evict_one(&c, i == 0 ? 0 : 2);
		core_close(&c);
	}
}

/* Every page has all its turns left: a call still unmaps as many pages as it was asked for. */
static void
test_mach2q_turns_end(void **state)
{
	pol_page out[BATCH];
	struct core c;

	core_open(&c, policy_find("mach2q"), "inactive=90,turns=15", NFRAMES);
	for (unsigned round = 0; round < 16; round++)
		for (pol_page page = 0; page < NFRAMES; page++) {
			core_touch(&c, page);
			core_deactivate(&c, BATCH, 0);
		}
	for (pol_page page = 0; page < NFRAMES; page++)
		core_touch(&c, page);
	assert_int_equal(c.ops->deactivate(c.mem, BATCH, out), BATCH);
	for (unsigned i = 0; i < BATCH; i++)
		c.state[out[i]] = POL_INACTIVE;
	core_check(&c, "deactivate");
	core_close(&c);
}

/* All pages came back at once, so each has its turns: a call passes eight of them for the one that
 * it is asked for, and takes the next, turns or not. */
static void
test_mach2q_turns_bound(void **state)
{
	enum { PAGES = 20, PASSED = 8 };
	struct core c;

	core_open(&c, policy_find("mach2q"), "inactive=1,refault=100,trial=1,turns=3", NPAGES);
	for (pol_page page = 0; page < PAGES; page++)
		fault_in(&c, page);
	for (pol_page page = 0; page < PAGES; page++) {
		evict_one(&c, page);
		fault_in(&c, page);
	}
	evict_one(&c, PASSED);
	/* The eight wait behind the others now, with two turns left; those behind the victim are
	 * passed next. */
	evict_one(&c, 2 * PASSED + 1);
	core_close(&c);
}

enum load { EVEN, TWO_KINDS, STEEP };

static pol_page
next_page(struct core *c, enum load load)
{
	switch (load) {
	case EVEN:
		return below(c, NPAGES);
	case TWO_KINDS: /* a fifth of the pages in three of five touches */
		return below(c, below(c, 100) < 60 ? NPAGES / 5 : NPAGES);
	case STEEP: /* the lower the oftener */
		return below(c, 1 + below(c, 1 + below(c, NPAGES)));
	}
	return 0;
}

/* => major faults */
static unsigned
misses(struct core *c, unsigned touches, enum load load)
{
	unsigned count = 0;

	for (unsigned i = 0; i < touches; i++) {
		pol_page page = next_page(c, load);

		count += c->state[page] == POL_NONRESIDENT;
		core_touch(c, page);
		core_deactivate(c, BATCH, 0);
	}
	return count;
}

/* Where some pages are touched more than others, parting saves faults and turns save some more.
 * Where all are touched alike, pages are not parted and turns make no real difference. */
static void
test_mach2q_skew(void **state)
{
	static const char *const params[] = { "inactive=8,adapt=1,cost=2,overhead=1",
		"inactive=8,adapt=1,cost=2,overhead=1,refault=25",
		"inactive=8,adapt=1,cost=2,overhead=1,refault=25,trial=10,turns=3" };
	unsigned even[3], skewed[3], steep[3];

	for (unsigned i = 0; i < 3; i++) {
		struct core c;

		core_open(&c, policy_find("mach2q"), params[i], NFRAMES);
		even[i] = misses(&c, 60000, EVEN);
		core_close(&c);
		core_open(&c, policy_find("mach2q"), params[i], NFRAMES / 2);
		skewed[i] = misses(&c, 120000, TWO_KINDS);
		core_close(&c);
		core_open(&c, policy_find("mach2q"), params[i], NFRAMES / 2);
		steep[i] = misses(&c, 120000, STEEP);
		core_close(&c);
	}
	print_message("misses, without and with refault, with turns: even %u %u %u, skewed %u %u "
		      "%u, steep %u %u %u\n",
	    even[0], even[1], even[2], skewed[0], skewed[1], skewed[2], steep[0], steep[1],
	    steep[2]);
	assert_int_equal(even[0], even[1]);
	assert_true(skewed[1] < skewed[0] - skewed[0] / 20);
	assert_true(even[2] < even[0] + even[0] / 50);
	assert_true(skewed[2] < skewed[1] + skewed[1] / 50);
	assert_true(steep[2] < steep[1] - steep[1] / 50);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mach2q_target),
		cmocka_unit_test(test_mach2q_adapt),
		cmocka_unit_test(test_mach2q_near),
		cmocka_unit_test(test_mach2q_adapt_fast),
		cmocka_unit_test(test_mach2q_refault),
		cmocka_unit_test(test_mach2q_turns),
		cmocka_unit_test(test_mach2q_turns_end),
		cmocka_unit_test(test_mach2q_turns_bound),
		cmocka_unit_test(test_mach2q_skew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
