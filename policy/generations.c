/* SPDX-License-Identifier: MIT
 *
 * Generations, after Linux's multi-generational LRU. A page that is touched joins the youngest of
 * at most four generations; the two youngest are mapped. Ageing opens a new youngest generation,
 * and the one that thus becomes the third is unmapped as a batch. Victims come from the oldest.
 *
 *     min_seq  ...  max_seq-2 | max_seq-1   max_seq
 *     victims       unmapped  |  mapped     mapped, faults and soft faults enter here
 *
 * Tiers: a page remembers up to three refaults, also while it is out. If the pages of a tier come
 * back more often than those without a refault, they are moved up one generation instead of being
 * evicted.
 */
#include "pol_priv.h"
#include "pol_list.h"
#include "pol_param.h"

#include <errno.h>

enum { GENS = 4, MAPPED = 1, IDLE = MAPPED + GENS, PROPOSED = IDLE + GENS, LISTS };
enum {
	TIER = 3,       /* mask: refaults, up to 3 */
	REMEMBERED = 4, /* not resident, evicted by us */
};
enum { TIER_SAMPLE = 64 }; /* evictions of a tier before its rate counts */

struct gens {
	struct pol_env env;
	/* MAPPED + (seq & 3) and IDLE + (seq & 3): the two halves of generation seq. */
	struct pol_list lists[LISTS];
	uint32_t min_seq, max_seq; /* 1 <= max_seq - min_seq < GENS */
	uint32_t low;              /* percent of resident: age when fewer can be proposed */
	uint32_t min_age;          /* faults of both kinds between two ageings */
	uint32_t age;              /* of those, since the last one */
	uint32_t evicted[TIER + 1], refaulted[TIER + 1]; /* halved at each ageing */
	POL_ENTRIES struct pol_node nodes[];
};

static int
gens_params(struct gens *g, const char *params)
{
	const struct pol_param table[] = {
		{ "low", 1, 90, &g->low },
		{ "min_age", 0, 1000000000, &g->min_age },
	};

	return pol_params_parse(params, table, 2);
}

static size_t
gens_footprint(const struct pol_env *env, const char *params)
{
	struct gens scratch;

	if (gens_params(&scratch, params) != 0)
		return 0;
	return sizeof(struct gens) + env->npages * sizeof(struct pol_node);
}

static int
gens_init(void *mem, const struct pol_env *env, const char *params)
{
	struct gens *g = mem;

	if (env->npages > POL_PAGES_MAX)
		return -EINVAL;
	g->env = *env;
	g->max_seq = 1;
	g->low = 10;
	pol_lists_init(g->lists, LISTS);
	return gens_params(g, params);
}

static struct pol_list *
gens_mapped(struct gens *g, uint32_t seq)
{
	return &g->lists[MAPPED + (seq & (GENS - 1))];
}

static struct pol_list *
gens_idle(struct gens *g, uint32_t seq)
{
	return &g->lists[IDLE + (seq & (GENS - 1))];
}

static void
gens_fault(void *mem, pol_page page, unsigned pf)
{
	struct gens *g = mem;
	struct pol_node *node = &g->nodes[page];
	uint32_t tier = node->bits & TIER;

	if (node->list != 0)
		return;
	if (node->bits & REMEMBERED) {
		g->refaulted[tier]++;
		node->bits = (tier < TIER ? tier + 1 : TIER) & 15;
	}
	g->age++;
	/* Nothing has touched the page yet: it goes to the next batch to be unmapped, where a touch
	 * will be seen. */
	if (pf & PF_PREFETCH)
		pol_push_tail(g->nodes, gens_mapped(g, g->max_seq - 1), page);
	else
		pol_push_tail(g->nodes, gens_mapped(g, g->max_seq), page);
}

static void
gens_soft(void *mem, pol_page page, unsigned pf)
{
	struct gens *g = mem;

	if (g->nodes[page].list == 0) {
		gens_fault(mem, page, pf);
	} else if (g->nodes[page].list >= IDLE) {
		pol_detach(g->nodes, g->lists, page);
		pol_push_tail(g->nodes, gens_mapped(g, g->max_seq), page);
		g->age++;
	}
}

static void
gens_forget(void *mem, pol_page page)
{
	struct gens *g = mem;

	if (g->nodes[page].list != 0)
		pol_detach(g->nodes, g->lists, page);
	g->nodes[page].bits = 0;
}

static uint64_t
gens_resident(const struct gens *g)
{
	uint64_t sum = 0;

	for (unsigned i = 1; i < LISTS; i++)
		sum += g->lists[i].count;
	return sum;
}

/* Pages that select() may propose, and those that deactivate() still has to unmap: generations up
 * to the third. */
static uint64_t
gens_old(struct gens *g, bool mapped)
{
	uint64_t sum = 0;

	for (uint32_t seq = g->min_seq; seq + 2 <= g->max_seq; seq++)
		sum += mapped ? gens_mapped(g, seq)->count : gens_idle(g, seq)->count;
	return sum;
}

static void
gens_retire_empty(struct gens *g)
{
	while (g->max_seq - g->min_seq >= 2 && gens_mapped(g, g->min_seq)->count == 0 &&
	       gens_idle(g, g->min_seq)->count == 0)
		g->min_seq++;
}

/* Opens generations until some page has to be unmapped or can be proposed. */
static void
gens_age(struct gens *g)
{
	uint64_t idle = gens_old(g, false);

	if (gens_old(g, true) > 0 || idle * 100 >= gens_resident(g) * g->low)
		return;
	if (idle > 0 && g->age < g->min_age)
		return;
	for (unsigned i = 0; i < GENS; i++) {
		gens_retire_empty(g);
		if (g->max_seq - g->min_seq == GENS - 1)
			return;
		g->max_seq++;
		for (unsigned t = 0; t <= TIER && i == 0; t++) {
			g->evicted[t] /= 2;
			g->refaulted[t] /= 2;
		}
		g->age = 0;
		if (gens_old(g, true) + gens_old(g, false) > idle)
			return;
	}
}

static unsigned
gens_deactivate(void *mem, unsigned want, pol_page *out)
{
	struct gens *g = mem;
	unsigned n = 0;

	gens_age(g);
	for (uint32_t seq = g->min_seq; seq + 2 <= g->max_seq; seq++) {
		struct pol_list *from = gens_mapped(g, seq);

		while (n < want && from->count > 0) {
			out[n] = from->head;
			pol_remove(g->nodes, from, out[n]);
			pol_push_tail(g->nodes, gens_idle(g, seq), out[n++]);
		}
	}
	return n;
}

/* Do pages of this tier come back more often than those of tier 0? */
static bool
gens_protected(const struct gens *g, uint32_t tier)
{
	return tier > 0 && g->evicted[tier] >= TIER_SAMPLE &&
	       (uint64_t)g->refaulted[tier] * g->evicted[0] >
		   (uint64_t)g->refaulted[0] * g->evicted[tier];
}

static unsigned
gens_select(void *mem, unsigned want, pol_page *out)
{
	struct gens *g = mem;
	unsigned n = 0;

	gens_retire_empty(g);
	for (uint32_t seq = g->min_seq; n < want && seq + 2 <= g->max_seq; seq++) {
		struct pol_list *from = gens_idle(g, seq);

		while (n < want && from->count > 0) {
			pol_page page = from->head;

			pol_remove(g->nodes, from, page);
			if (gens_protected(g, g->nodes[page].bits & TIER)) {
				pol_push_tail(g->nodes, gens_idle(g, seq + 1), page);
				continue;
			}
			pol_push_tail(g->nodes, &g->lists[PROPOSED], page);
			out[n++] = page;
		}
	}
	return n;
}

static void
gens_done(void *mem, pol_page page, enum pol_outcome outcome)
{
	struct gens *g = mem;
	struct pol_node *node = &g->nodes[page];

	if (outcome == POL_EVICTED && node->list != 0) {
		pol_detach(g->nodes, g->lists, page);
		g->evicted[node->bits & TIER]++;
		node->bits |= REMEMBERED;
	} else if (outcome != POL_EVICTED && node->list == PROPOSED) {
		pol_detach(g->nodes, g->lists, page);
		pol_push_tail(g->nodes, gens_idle(g, g->min_seq), page);
	}
}

static void
gens_resize(void *mem, uint32_t nframes)
{
	((struct gens *)mem)->env.nframes = nframes;
}

static void
gens_stats(const void *mem, struct pol_stats *ret)
{
	const struct gens *g = mem;

	*ret = (struct pol_stats){ .resident = gens_resident(g), .target = g->max_seq };
	for (unsigned i = 0; i < GENS; i++)
		ret->mapped += g->lists[MAPPED + i].count;
	ret->inactive = ret->resident - ret->mapped;
}

static const char *
gens_check(const void *mem)
{
	const struct gens *g = mem;

	if (g->max_seq - g->min_seq < 1 || g->max_seq - g->min_seq >= GENS)
		return "generations: sequence numbers out of order";
	for (uint32_t seq = g->max_seq + 1; seq < g->min_seq + GENS; seq++)
		if (g->lists[MAPPED + (seq & 3)].count > 0 || g->lists[IDLE + (seq & 3)].count > 0)
			return "generations: pages in a generation that does not exist";
	return pol_lists_check(g->nodes, g->lists, LISTS, g->env.npages);
}

const struct pol_ops pol_generations = {
	.abi = POLICY_ABI,
	.name = "generations",
	.help = "four generations, unmapped in batches, refault tiers (after Linux's MGLRU)",
	.params =
	    "low=10 age when less than this percent of resident pages can be evicted; min_age=0 "
	    "faults of both "
	    "kinds between two ageings",
	.flags = POL_KEEPS_TARGET,
	.arrays = { { offsetof(struct gens, nodes), sizeof(struct pol_node) } },
	.footprint = gens_footprint,
	.init = gens_init,
	.fault = gens_fault,
	.soft = gens_soft,
	.forget = gens_forget,
	.deactivate = gens_deactivate,
	.select = gens_select,
	.done = gens_done,
	.resize = gens_resize,
	.stats = gens_stats,
	.check = gens_check,
};
