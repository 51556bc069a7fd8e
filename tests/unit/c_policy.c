/* SPDX-License-Identifier: MIT
 *
 * Page-out policies: each one through random events with check() after every one; tables of
 * parameters; memory for many pages; loading from a shared object.
 */
#include "policy_core.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "pol_param.h"

enum { EVENTS = 30000 };

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

/* Every page can be evicted in the end, also those with an open proposal once it is answered. */
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
		cmocka_unit_test(test_sparse),
		cmocka_unit_test(test_torture),
		cmocka_unit_test(test_load),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
