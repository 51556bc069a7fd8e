/* SPDX-License-Identifier: MIT
 *
 * Page-out policies: each one through random events with check() after every one; tables for
 * parameters and for the default's target; loading from a shared object.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "pol_load.h"
#include "pol_param.h"
#include "pol_window.h"

enum { NPAGES = 300, NFRAMES = 100, EVENTS = 30000, BATCH = 16 };

/* A core that does all that the contract allows, and counts what it is told. */
struct core {
	const struct pol_ops *ops;
	void *mem;
	struct pol_window *window;
	uint8_t state[NPAGES];    /* enum pol_state */
	uint8_t proposed[NPAGES]; /* and not done */
	uint32_t resident, nframes;
	uint64_t rng, clock;
};

static uint32_t
below(struct core *c, uint32_t n)
{
	c->rng = c->rng * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return (uint32_t)(((c->rng >> 32) * n) >> 32);
}

static enum pol_state
core_state(const void *core, pol_page page)
{
	return ((const struct core *)core)->state[page];
}

/* Grows from call to call, as a page's next use does from touch to touch. */
static uint64_t
core_next_use(const void *core, pol_page page)
{
	return ((const struct core *)core)->clock + page % 7;
}

static bool
is_min(const struct core *c)
{
	return c->ops->flags & POL_OFFLINE_ONLY;
}

static void
core_open(struct core *c, const struct pol_ops *ops, const char *params, uint32_t nframes)
{
	struct pol_env env = {
		.npages = NPAGES, .nframes = nframes, .seed = 7, .state = core_state, .core = c
	};
	size_t bytes;

	*c = (struct core){ .ops = ops, .nframes = nframes, .rng = 12345 };
	env.next_use = is_min(c) ? core_next_use : NULL;
	bytes = ops->footprint(&env, params);
	assert_true(bytes > 0 && bytes <= 512 + 16 * NPAGES);
	c->mem = calloc(1, bytes);
	c->window = calloc(1, pol_window_footprint(NPAGES));
	pol_window_init(c->window, nframes / 3);
	assert_int_equal(ops->init(c->mem, &env, params), 0);
}

static void
core_close(struct core *c)
{
	free(c->mem);
	free(c->window);
}

static void
core_check(const struct core *c, const char *what)
{
	struct pol_stats stats = { 0 };
	const char *wrong = c->ops->check(c->mem);

	if (wrong != NULL)
		fail_msg("%s after %s: %s", c->ops->name, what, wrong);
	c->ops->stats(c->mem, &stats);
	if (stats.resident != c->resident && policy_find(c->ops->name) == c->ops)
		fail_msg("%s after %s: %u pages are resident, the policy says %u", c->ops->name,
		    what, c->resident, (unsigned)stats.resident);
	if (stats.mapped + stats.inactive > 0)
		assert_int_equal(stats.mapped + stats.inactive, stats.resident);
}

static void
core_unmap(struct core *c, const pol_page *pages, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		assert_true(pages[i] < NPAGES && c->state[pages[i]] != POL_NONRESIDENT);
		c->state[pages[i]] = POL_INACTIVE;
	}
}

static void
core_deactivate(struct core *c, unsigned want, uint32_t keep)
{
	pol_page out[BATCH];
	unsigned n;

	if (c->ops->deactivate != NULL)
		n = c->ops->deactivate(c->mem, want, out);
	else
		n = pol_window_deactivate(c->window, keep, want, out);
	assert_true(n <= want);
	core_unmap(c, out, n);
	core_check(c, "deactivate");
}

static void
core_evicted(struct core *c, pol_page page)
{
	c->state[page] = POL_NONRESIDENT;
	c->proposed[page] = 0;
	c->resident--;
	pol_window_forget(c->window, page);
	c->ops->done(c->mem, page, POL_EVICTED);
}

static void
core_soft(struct core *c, pol_page page, unsigned pf)
{
	c->state[page] = POL_MAPPED;
	pol_window_map(c->window, page);
	c->ops->soft(c->mem, page, pf);
}

/* Asks for victims and leaves them without an answer. */
static void
core_select(struct core *c, unsigned want)
{
	pol_page out[BATCH];
	unsigned n = c->ops->select(c->mem, want, out);

	assert_true(n <= want);
	for (unsigned i = 0; i < n; i++) {
		assert_true(out[i] < NPAGES);
		if (is_min(c))
			continue;
		assert_int_equal(c->state[out[i]], POL_INACTIVE);
		assert_false(c->proposed[out[i]]);
		c->proposed[out[i]] = 1;
	}
	core_check(c, "select");
}

/* One of the outcomes for a page that has been proposed, or an eviction of one that has not. */
static void
core_answer(struct core *c, pol_page page)
{
	if (c->state[page] != POL_INACTIVE)
		return;
	if (!c->proposed[page]) {
		if (below(c, 4) == 0)
			core_evicted(c, page);
		return;
	}
	switch (below(c, 6)) {
	case 0:
		core_soft(c, page, 0);
		c->ops->done(c->mem, page, POL_RESCUED);
		break;
	case 1:
	case 2:
		c->ops->done(c->mem, page, POL_BUSY);
		break;
	case 3:
		core_soft(c, page, 0);
		c->ops->done(c->mem, page, POL_FAILED);
		break;
	default:
		core_evicted(c, page);
	}
	c->proposed[page] = 0;
	core_check(c, "done");
}

static void
core_make_room(struct core *c)
{
	for (unsigned tries = 0; c->resident >= c->nframes && tries < 20000; tries++) {
		pol_page victim;

		core_deactivate(c, tries % 2 ? BATCH : 1, tries < 4 ? c->window->width : 0);
		if (c->ops->select(c->mem, 1, &victim) == 1)
			core_evicted(c, victim);
		else
			core_answer(c, below(c, NPAGES));
	}
	if (c->resident >= c->nframes)
		fail_msg(
		    "%s: no victim, %u of %u frames in use", c->ops->name, c->resident, c->nframes);
}

static void
core_touch(struct core *c, pol_page page)
{
	unsigned pf = below(c, 3) == 0 ? PF_WRITE : 0;

	c->clock += 10;
	switch (c->state[page]) {
	case POL_NONRESIDENT:
		if (below(c, 8) == 0)
			pf |= PF_PREFETCH;
		if (c->ops->miss != NULL && below(c, 8) > 0)
			c->ops->miss(c->mem, page, pf);
		core_check(c, "miss");
		core_make_room(c);
		c->state[page] = POL_MAPPED;
		c->resident++;
		pol_window_map(c->window, page);
		c->ops->fault(c->mem, page, pf);
		core_check(c, "fault");
		break;
	case POL_INACTIVE:
		core_soft(c, page, pf);
		if (c->proposed[page])
			c->ops->done(c->mem, page, POL_RESCUED);
		c->proposed[page] = 0;
		core_check(c, "soft");
		break;
	default:
		if (c->ops->write != NULL)
			c->ops->write(c->mem, page);
		if (is_min(c))
			c->ops->soft(c->mem, page, pf);
	}
}

static void
core_forget(struct core *c, pol_page page)
{
	c->resident -= c->state[page] != POL_NONRESIDENT;
	c->state[page] = POL_NONRESIDENT;
	c->proposed[page] = 0;
	pol_window_forget(c->window, page);
	c->ops->forget(c->mem, page);
	core_check(c, "forget");
}

static void
core_event(struct core *c)
{
	pol_page page = below(c, NPAGES), hot = below(c, NPAGES / 4);
	uint32_t dice = below(c, 100);

	if (dice < 70)
		core_touch(c, dice < 45 ? hot : page);
	else if (dice < 74)
		core_select(c, 1 + below(c, BATCH));
	else if (dice < 84)
		core_answer(c, page);
	else if (dice < 92)
		core_deactivate(c, 1 + below(c, BATCH), c->window->width);
	else if (dice < 95)
		core_forget(c, page);
	else if (dice < 96 && c->ops->miss != NULL && c->state[page] == POL_NONRESIDENT)
		c->ops->miss(c->mem, page, 0); /* and no fault: the fill has failed */
	else if (dice < 98 && c->state[page] == POL_MAPPED && !c->proposed[page]) {
		c->state[page] = POL_INACTIVE; /* "will not need it": the core's own idea */
		pol_window_forget(c->window, page);
	} else if (dice == 99 && below(c, 20) == 0) {
		c->nframes = 1 + below(c, NFRAMES + 20);
		c->ops->resize(c->mem, c->nframes);
		core_check(c, "resize");
	}
}

/* All pages must be obtainable, also those with an open proposal once it is answered. */
static void
core_drain(struct core *c)
{
	for (pol_page page = 0; page < NPAGES; page++)
		if (c->proposed[page])
			c->ops->done(c->mem, page, POL_BUSY);
	for (unsigned tries = 0; c->resident > 0 && tries < 20 * NPAGES; tries++) {
		pol_page victim;

		core_deactivate(c, BATCH, 0);
		if (c->ops->select(c->mem, 1, &victim) == 1)
			core_evicted(c, victim);
	}
	assert_int_equal(c->resident, 0);
	core_check(c, "drain");
}

static void
torture(const struct pol_ops *ops, const char *params, uint32_t nframes)
{
	struct core c;

	core_open(&c, ops, params, nframes);
	for (unsigned i = 0; i < EVENTS; i++)
		core_event(&c);
	core_drain(&c);
	for (unsigned i = 0; i < EVENTS / 10; i++)
		core_event(&c);
	core_drain(&c);
	core_close(&c);
}

static void
test_torture(void **state)
{
	static const uint32_t sizes[] = { NFRAMES, 1, 2, 9 };

	for (unsigned i = 0; policy_at(i) != NULL; i++)
		for (unsigned k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++)
			torture(policy_at(i), NULL, sizes[k]);
	torture(policy_find("mach2q"), "inactive=50,adapt=1,cost=100,overhead=5", NFRAMES);
	torture(policy_find("mach2q"), "inactive=8,adapt=1,cost=2,overhead=1,near=85", NFRAMES);
	torture(policy_find("mach2q"), "near=85,refault=25,trial=10", NFRAMES);
	torture(policy_find("mach2q"),
	    "inactive=8,adapt=1,cost=2,overhead=1,near=85,refault=400,trial=100", NFRAMES);
	torture(policy_find("mach2q"), "refault=25,turns=15", 2);
	torture(policy_find("mach2q"), "near=85,refault=100,trial=10,turns=15", NFRAMES);
	torture(policy_find("2q"), "in=50,out=100", NFRAMES);
	torture(policy_find("s3fifo"), "small=30,threshold=1,ghost=0", NFRAMES);
	torture(policy_find("generations"), "low=40,min_age=50", NFRAMES);
}

static void
test_params(void **state)
{
	static const struct {
		const char *policy, *params;
		bool good;
	} rows[] = {
		{ "mach2q", NULL, true },
		{ "mach2q", "", true },
		{ "mach2q", "inactive=1", true },
		{ "mach2q", "inactive=90", true },
		{ "mach2q", "inactive=0", false },
		{ "mach2q", "inactive=91", false },
		{ "mach2q", "inactive=99999999999999999999", false },
		{ "mach2q", "inactive=", false },
		{ "mach2q", "inactive", false },
		{ "mach2q", "inactive=33,", false },
		{ "mach2q", "inactive=33,adapt=1", true },
		{ "mach2q", "inactive=33 adapt=1", false },
		{ "mach2q", ",inactive=33", false },
		{ "mach2q", "Inactive=33", false },
		{ "mach2q", "inactiv=33", false },
		{ "mach2q", "inactive=-1", false },
		{ "mach2q", "refault=0,trial=1", true },
		{ "mach2q", "refault=400,trial=100", true },
		{ "mach2q", "refault=401", false },
		{ "mach2q", "trial=0", false },
		{ "mach2q", "turns=0", true },
		{ "mach2q", "turns=15", true },
		{ "mach2q", "turns=16", false },
		{ "fifo", "x=1", false },
		{ "clock", "insert=1", true },
		{ "clock", "insert=2", false },
		{ "clock-hand", "insert=1", false },
		{ "s3fifo", "threshold=0", false },
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct pol_ops *ops = policy_find(rows[i].policy);
		struct pol_env env = { .npages = 8, .nframes = 4 };
		size_t bytes = ops->footprint(&env, rows[i].params);
		void *mem = calloc(1, 4096);

		if ((bytes > 0) != rows[i].good ||
		    (ops->init(mem, &env, rows[i].params) == 0) != rows[i].good)
			fail_msg("%s \"%s\": should be %s", rows[i].policy, rows[i].params,
			    rows[i].good ? "good" : "refused");
		free(mem);
	}
}

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

/* What is unmapped with page 0, the oldest of 160, of which pages 8 to 15 were touched last. */
static void
test_mach2q_near(void **state)
{
	static const struct {
		const char *params;
		unsigned blocks,
		    young; /* of page 0's block: so many of its old pages, and of its young ones */
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
	/* What is forgotten has not been there. */
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

/* Every page has all its turns before it: a call unmaps what it was asked for all the same. */
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

/* Where some pages are touched more than others parting saves faults, and turns save some more; by
 * chance alone pages are not parted, and turns make no difference to speak of. */
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

/* Memory for 2^26 pages is a sparse mapping: init must leave it so, and a page's first event must
 * work. */
static void
test_sparse(void **state)
{
	for (unsigned i = 0; policy_at(i) != NULL; i++) {
		const struct pol_ops *ops = policy_at(i);
		struct pol_env env = {
			.npages = 1u << 26, .nframes = 1u << 20, .next_use = core_next_use
		};
		struct core clock = { .clock = 1 };
		size_t bytes = ops->footprint(&env, NULL), touched = 0;
		unsigned char *in_core = malloc(bytes / 4096 + 1);
		char *mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

		assert_true(mem != MAP_FAILED && in_core != NULL);
		env.core = &clock;
		assert_true(bytes <= (size_t)env.npages * 16 + 4096);
		assert_int_equal(ops->init(mem, &env, NULL), 0);
		ops->fault(mem, (1u << 26) - 1, 0);
		ops->soft(mem, (1u << 26) - 1, 0);
		ops->forget(mem, (1u << 26) - 1);
		ops->done(mem, 12345, POL_EVICTED);
		assert_int_equal(mincore(mem, bytes, in_core), 0);
		for (size_t k = 0; k < bytes / 4096; k++)
			touched += in_core[k] & 1;
		if (touched > 2048)
			fail_msg("%s: init touched %zu pages", ops->name, touched);
		munmap(mem, bytes);
		free(in_core);
	}
}

static void
test_table(void **state)
{
	assert_string_equal(policy_at(0)->name, "mach2q");
	assert_null(policy_find("none"));
	assert_null(policy_at(1000));
	for (unsigned i = 0; policy_at(i) != NULL; i++) {
		assert_int_equal(policy_at(i)->abi, POLICY_ABI);
		assert_ptr_equal(policy_find(policy_at(i)->name), policy_at(i));
	}
}

static void
test_load(void **state)
{
	const struct pol_ops *ops = NULL, *again = NULL;
	char why[256] = "";

	assert_int_equal(policy_load("/nonexistent.so", &ops, why, sizeof(why)), -ENOENT);
	assert_int_equal(policy_load(BAD_ABI, &ops, why, sizeof(why)), -ENOEXEC);
	assert_non_null(strstr(why, "ABI"));
	assert_int_equal(policy_load(NO_SYMBOL, &ops, why, sizeof(why)), -ENOEXEC);
	assert_non_null(strstr(why, "pagerd_policy"));
	assert_null(ops);
	assert_int_equal(policy_load(EXAMPLE, &ops, why, sizeof(why)), 0);
	assert_string_equal(ops->name, "sweep");
	assert_int_equal(policy_load(EXAMPLE, &again, why, sizeof(why)), 0);
	assert_ptr_equal(ops, again);
	torture(ops, NULL, NFRAMES);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_params),
		cmocka_unit_test(test_mach2q_target),
		cmocka_unit_test(test_mach2q_adapt),
		cmocka_unit_test(test_mach2q_near),
		cmocka_unit_test(test_mach2q_adapt_fast),
		cmocka_unit_test(test_mach2q_refault),
		cmocka_unit_test(test_mach2q_turns),
		cmocka_unit_test(test_mach2q_turns_end),
		cmocka_unit_test(test_mach2q_turns_bound),
		cmocka_unit_test(test_mach2q_skew),
		cmocka_unit_test(test_sparse),
		cmocka_unit_test(test_torture),
		cmocka_unit_test(test_load),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
