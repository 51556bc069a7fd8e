/* SPDX-License-Identifier: MIT
 *
 * A policy from a shared object that names pages that cannot be: just beyond the last one, far
 * beyond it, and POL_NONE. The daemon must refuse each, count it, and manage without. With
 * ROGUE_DEACTIVATES it names them for being unmapped, too; without, the daemon unmaps by itself.
 */
#include "policy.h"

struct rogue {
	struct pol_env env;
	unsigned turn;
};

static size_t
rogue_footprint(const struct pol_env *env, const char *params)
{
	(void)env, (void)params;
	return sizeof(struct rogue);
}

static int
rogue_init(void *mem, const struct pol_env *env, const char *params)
{
	struct rogue *r = mem;

	(void)params;
	r->env = *env;
	r->turn = 0;
	return 0;
}

static const char *
rogue_check(const void *mem)
{
	const struct rogue *r = mem;

	return r->env.state(r->env.core, r->env.npages) == POL_NONRESIDENT ? NULL
									   : "that page is there";
}

static void
rogue_event(void *mem, pol_page page, unsigned pf)
{
	(void)mem, (void)page, (void)pf;
}

static void
rogue_forget(void *mem, pol_page page)
{
	(void)mem, (void)page;
}

static unsigned
rogue_propose(void *mem, unsigned want, pol_page *out)
{
	struct rogue *r = mem;
	unsigned i;

	for (i = 0; i < want; i++) {
		const pol_page pages[] = { r->env.npages, r->env.npages + 512 * 1024, POL_PAGES_MAX,
			UINT32_C(1) << 31, POL_NONE - 1, POL_NONE };

		out[i] = pages[r->turn++ % (sizeof(pages) / sizeof(pages[0]))];
		(void)r->env.state(r->env.core, out[i]);
	}
	return i;
}

static void
rogue_done(void *mem, pol_page page, enum pol_outcome outcome)
{
	(void)mem, (void)page, (void)outcome;
}

extern const struct pol_ops pagerd_policy;
__attribute__((visibility("default"))) const struct pol_ops pagerd_policy = {
	.abi = POLICY_ABI,
	.name = "rogue",
	.help = "names pages that cannot be",
	.params = "",
	.footprint = rogue_footprint,
	.init = rogue_init,
	.fault = rogue_event,
	.soft = rogue_event,
	.forget = rogue_forget,
#ifdef ROGUE_DEACTIVATES
	.deactivate = rogue_propose,
#endif
	.select = rogue_propose,
	.done = rogue_done,
	.check = rogue_check,
};
