/* SPDX-License-Identifier: MIT
 *
 * A policy from outside, about as short as a policy can be: a hand sweeps over the page numbers and
 * proposes the inactive ones. The core's window decides what is unmapped. One byte a page.
 * Explained in doc/policies.md.
 */
#include "policy.h"

enum { ABSENT, RESIDENT, PROPOSED };

struct sweep {
	struct pol_env env;
	uint32_t hand;
	POL_ENTRIES uint8_t page[];
};

static size_t
sweep_footprint(const struct pol_env *env, const char *params)
{
	return params == NULL || *params == '\0' ? sizeof(struct sweep) + env->npages : 0;
}

static int
sweep_init(void *mem, const struct pol_env *env, const char *params)
{
	((struct sweep *)mem)->env = *env;
	return 0;
}

static void
sweep_touch(void *mem, pol_page page, unsigned pf)
{
	((struct sweep *)mem)->page[page] = RESIDENT;
}

static void
sweep_forget(void *mem, pol_page page)
{
	((struct sweep *)mem)->page[page] = ABSENT;
}

static unsigned
sweep_select(void *mem, unsigned want, pol_page *out)
{
	struct sweep *s = mem;
	unsigned n = 0;

	for (uint32_t i = 0; i < s->env.npages && n < want; i++) {
		pol_page page = s->hand;

		s->hand = (s->hand + 1) % s->env.npages;
		if (s->page[page] != RESIDENT || s->env.state(s->env.core, page) != POL_INACTIVE)
			continue;
		s->page[page] = PROPOSED;
		out[n++] = page;
	}
	return n;
}

static void
sweep_done(void *mem, pol_page page, enum pol_outcome outcome)
{
	((struct sweep *)mem)->page[page] = outcome == POL_EVICTED ? ABSENT : RESIDENT;
}

extern const struct pol_ops pagerd_policy;
__attribute__((visibility("default"))) const struct pol_ops pagerd_policy = {
	.abi = POLICY_ABI,
	.name = "sweep",
	.help = "a hand over the page numbers",
	.params = "",
	.arrays = { { offsetof(struct sweep, page), sizeof(uint8_t) } },
	.footprint = sweep_footprint,
	.init = sweep_init,
	.fault = sweep_touch,
	.soft = sweep_touch,
	.forget = sweep_forget,
	.select = sweep_select,
	.done = sweep_done,
};
