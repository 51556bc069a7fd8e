/* SPDX-License-Identifier: MIT
 *
 * Random: deactivates uniformly among mapped pages, evicts uniformly among inactive ones. The other
 * baseline: no policy should do worse than this for long.
 *
 * at[] is a dense array of the resident pages in three parts; where[] holds each page's place in
 * it:
 *
 *   0 .. proposed | proposed .. proposed + inactive | .. resident
 *     PROPOSED    |            INACTIVE             |    MAPPED
 */
#include "pol_priv.h"

#include <errno.h>

struct random_policy {
	struct pol_env env;
	uint64_t rng;
	uint32_t proposed;
	uint32_t inactive;            /* without the proposed ones */
	uint32_t resident;            /* all, proposed ones included */
	pol_page *at;                 /* the page in each place: npages of them, behind where[] */
	POL_ENTRIES uint32_t where[]; /* of each page: its place + 1; 0: not resident */
};

static size_t
random_footprint(const struct pol_env *env, const char *params)
{
	if (params != NULL && *params != '\0')
		return 0;
	return sizeof(struct random_policy) + env->npages * (sizeof(uint32_t) + sizeof(pol_page));
}

static int
random_init(void *mem, const struct pol_env *env, const char *params)
{
	struct random_policy *r = mem;

	if (random_footprint(env, params) == 0 || env->npages > POL_PAGES_MAX)
		return -EINVAL;
	r->env = *env;
	r->at = &r->where[env->npages];
	r->rng = env->seed * UINT64_C(2) + 1;
	return 0;
}

/* Uniform in 0 .. n - 1 (multiply-shift on the top half of a 64-bit LCG). */
static uint32_t
random_below(struct random_policy *r, uint32_t n)
{
	r->rng = r->rng * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(((r->rng >> 32) * n) >> 32);
}

static void
random_put(struct random_policy *r, uint32_t place, pol_page page)
{
	r->at[place] = page;
	r->where[page] = place + 1;
}

static void
random_swap(struct random_policy *r, uint32_t a, uint32_t b)
{
	pol_page page = r->at[a];

	random_put(r, a, r->at[b]);
	random_put(r, b, page);
}

/* Moves the page to the first place behind INACTIVE, one part after the other. */
static void
random_make_mapped(struct random_policy *r, pol_page page)
{
	if (r->where[page] <= r->proposed) {
		random_swap(r, r->where[page] - 1, r->proposed - 1);
		r->proposed--;
		r->inactive++;
	}
	if (r->where[page] <= r->proposed + r->inactive) {
		random_swap(r, r->where[page] - 1, r->proposed + r->inactive - 1);
		r->inactive--;
	}
}

static void
random_soft(void *mem, pol_page page, unsigned pf)
{
	struct random_policy *r = mem;

	if (r->where[page] == 0)
		random_put(r, r->resident++, page);
	else
		random_make_mapped(r, page);
}

static void
random_forget(void *mem, pol_page page)
{
	struct random_policy *r = mem;

	if (r->where[page] == 0)
		return;
	random_make_mapped(r, page);
	random_swap(r, r->where[page] - 1, --r->resident);
	r->where[page] = 0;
}

static unsigned
random_deactivate(void *mem, unsigned want, pol_page *out)
{
	struct random_policy *r = mem;
	unsigned n = 0;

	while (r->inactive < want && r->proposed + r->inactive < r->resident) {
		uint32_t first = r->proposed + r->inactive;

		random_swap(r, first + random_below(r, r->resident - first), first);
		out[n++] = r->at[first];
		r->inactive++;
	}
	return n;
}

static unsigned
random_select(void *mem, unsigned want, pol_page *out)
{
	struct random_policy *r = mem;
	unsigned n = 0;

	while (n < want && r->inactive > 0) {
		random_swap(r, r->proposed + random_below(r, r->inactive), r->proposed);
		out[n++] = r->at[r->proposed];
		r->proposed++;
		r->inactive--;
	}
	return n;
}

static void
random_done(void *mem, pol_page page, enum pol_outcome outcome)
{
	struct random_policy *r = mem;

	if (outcome == POL_EVICTED) {
		random_forget(mem, page);
	} else if (r->where[page] != 0 && r->where[page] <= r->proposed) {
		random_swap(r, r->where[page] - 1, --r->proposed);
		r->inactive++;
	}
}

static void
random_resize(void *mem, uint32_t nframes)
{
	((struct random_policy *)mem)->env.nframes = nframes;
}

static void
random_stats(const void *mem, struct pol_stats *ret)
{
	const struct random_policy *r = mem;

	*ret = (struct pol_stats){
		.resident = r->resident,
		.inactive = r->proposed + r->inactive,
		.mapped = r->resident - r->proposed - r->inactive,
	};
}

static const char *
random_check(const void *mem)
{
	const struct random_policy *r = mem;

	if ((uint64_t)r->proposed + r->inactive > r->resident || r->resident > r->env.npages)
		return "random: the parts do not fit into resident";
	for (uint32_t i = 0; i < r->resident; i++)
		if (r->at[i] >= r->env.npages || r->where[r->at[i]] != i + 1)
			return "random: a slot and its page disagree";
	return NULL;
}

const struct pol_ops pol_random = {
	.abi = POLICY_ABI,
	.name = "random",
	.help = "uniform random victim: the second control",
	.params = "",
	.arrays = { { offsetof(struct random_policy, where), sizeof(uint32_t) } },
	.footprint = random_footprint,
	.init = random_init,
	.fault = random_soft,
	.soft = random_soft,
	.forget = random_forget,
	.deactivate = random_deactivate,
	.select = random_select,
	.done = random_done,
	.resize = random_resize,
	.stats = random_stats,
	.check = random_check,
};
