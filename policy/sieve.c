/* SPDX-License-Identifier: MIT
 *
 * SIEVE (Zhang et al., NSDI 2024), guarded: a hand moves from the oldest page towards the newest,
 * clears visited bits and evicts the first page whose bit is not set. Survivors keep their place,
 * and the hand stays where it is.
 *
 * The guard has two parts. First, the hand steps over mapped pages and leaves their bits alone.
 * Otherwise it would run into the newest pages, whose touches it cannot see, and evict pages in use
 * (60 times the misses on one trace). Second, a page that is still mapped when the next event
 * arrives may have been touched unseen after its fault, so it starts with its bit set. Otherwise
 * the hand would follow the end of the window and evict each page as it is unmapped (up to twice
 * the misses). Without a window neither part acts, and this is SIEVE as published.
 *
 * If two rounds find no victim, the policy proposes none, and the core unmaps more pages.
 */
#include "pol_priv.h"
#include "pol_list.h"

#include <errno.h>

enum { QUEUE = 1, PROPOSED, LISTS };
enum { VISITED = 1 };

struct sieve {
	struct pol_env env;
	struct pol_list lists[LISTS]; /* QUEUE: the oldest page is the head */
	pol_page hand;                /* next page to look at; POL_END: the oldest */
	pol_page newest;              /* faulted in by the last event, else POL_NONE */
	POL_ENTRIES struct pol_node nodes[];
};

static size_t
sieve_footprint(const struct pol_env *env, const char *params)
{
	if (params != NULL && *params != '\0')
		return 0;
	return sizeof(struct sieve) + env->npages * sizeof(struct pol_node);
}

static int
sieve_init(void *mem, const struct pol_env *env, const char *params)
{
	struct sieve *s = mem;

	if (sieve_footprint(env, params) == 0 || env->npages > POL_PAGES_MAX)
		return -EINVAL;
	s->env = *env;
	s->hand = POL_END;
	s->newest = POL_NONE;
	pol_lists_init(s->lists, LISTS);
	return 0;
}

/* Called before each event: looks whether the page of the last fault has stayed mapped. */
static void
sieve_settle(struct sieve *s)
{
	if (s->newest == POL_NONE)
		return;
	if (s->nodes[s->newest].list == QUEUE && pol_state_of(&s->env, s->newest) == POL_MAPPED)
		s->nodes[s->newest].bits = VISITED;
	s->newest = POL_NONE;
}

static void
sieve_fault(void *mem, pol_page page, unsigned pf)
{
	struct sieve *s = mem;

	sieve_settle(s);
	if (s->nodes[page].list != 0)
		return;
	pol_push_tail(s->nodes, &s->lists[QUEUE], page);
	s->nodes[page].bits = 0;
	s->newest = page;
}

/* Puts the page back where the hand took it from: right behind the hand. */
static void
sieve_unpropose(struct sieve *s, pol_page page)
{
	pol_detach(s->nodes, s->lists, page);
	if (s->hand == POL_END)
		pol_push_tail(s->nodes, &s->lists[QUEUE], page);
	else
		pol_insert_before(s->nodes, &s->lists[QUEUE], s->hand, page);
}

static void
sieve_soft(void *mem, pol_page page, unsigned pf)
{
	struct sieve *s = mem;

	sieve_settle(s);
	if (s->nodes[page].list == 0)
		sieve_fault(mem, page, pf);
	else if (s->nodes[page].list == PROPOSED)
		sieve_unpropose(s, page);
	s->nodes[page].bits = VISITED;
}

static void
sieve_forget(void *mem, pol_page page)
{
	struct sieve *s = mem;

	if (s->nodes[page].list == 0)
		return;
	if (page == s->hand)
		s->hand = s->nodes[page].next;
	pol_detach(s->nodes, s->lists, page);
}

static pol_page
sieve_turn(struct sieve *s)
{
	for (uint64_t steps = 2 * (uint64_t)s->lists[QUEUE].count; steps > 0; steps--) {
		pol_page page = s->hand == POL_END ? s->lists[QUEUE].head : s->hand;

		s->hand = s->nodes[page].next;
		if (pol_state_of(&s->env, page) != POL_INACTIVE)
			continue;
		if (s->nodes[page].bits == 0)
			return page;
		s->nodes[page].bits = 0;
	}
	return POL_NONE;
}

static unsigned
sieve_select(void *mem, unsigned want, pol_page *out)
{
	struct sieve *s = mem;
	unsigned n = 0;

	sieve_settle(s);
	for (; n < want; n++) {
		out[n] = sieve_turn(s);
		if (out[n] == POL_NONE)
			break;
		pol_move_tail(s->nodes, s->lists, PROPOSED, out[n]);
	}
	return n;
}

static void
sieve_done(void *mem, pol_page page, enum pol_outcome outcome)
{
	struct sieve *s = mem;

	if (outcome == POL_EVICTED)
		sieve_forget(mem, page);
	else if (s->nodes[page].list == PROPOSED)
		sieve_unpropose(s, page);
}

static void
sieve_resize(void *mem, uint32_t nframes)
{
	((struct sieve *)mem)->env.nframes = nframes;
}

static void
sieve_stats(const void *mem, struct pol_stats *ret)
{
	const struct sieve *s = mem;

	*ret = (struct pol_stats){ .resident = s->lists[QUEUE].count + s->lists[PROPOSED].count };
}

static const char *
sieve_check(const void *mem)
{
	const struct sieve *s = mem;

	if (s->hand != POL_END && s->nodes[s->hand].list != QUEUE)
		return "sieve: the hand is off the queue";
	return pol_lists_check(s->nodes, s->lists, LISTS, s->env.npages);
}

const struct pol_ops pol_sieve = {
	.abi = POLICY_ABI,
	.name = "sieve",
	.help = "SIEVE with the guard \"mapped means visited\"",
	.params = "",
	.arrays = { { offsetof(struct sieve, nodes), sizeof(struct pol_node) } },
	.footprint = sieve_footprint,
	.init = sieve_init,
	.fault = sieve_fault,
	.soft = sieve_soft,
	.forget = sieve_forget,
	.select = sieve_select,
	.done = sieve_done,
	.resize = sieve_resize,
	.stats = sieve_stats,
	.check = sieve_check,
};
