/* SPDX-License-Identifier: MIT
 *
 * Least recently used, segmented: the core's window of mapped pages is the first segment, the other
 * pages are ordered by their last visible touch (Turner and Levy's segmented FIFO). With no window
 * it is true LRU; with a window of W it is SFIFO with a secondary queue of c - W pages.
 *
 * The list holds all resident pages by last fault or soft fault. The window unmaps in the same
 * order, so the inactive pages are its head.
 */
#include "pol_priv.h"
#include "pol_list.h"

#include <errno.h>

enum { ORDER = 1, PROPOSED, LISTS };

struct lru {
	struct pol_env env;
	struct pol_list lists[LISTS];
	POL_ENTRIES struct pol_node nodes[];
};

static size_t
lru_footprint(const struct pol_env *env, const char *params)
{
	if (params != NULL && *params != '\0')
		return 0;
	return sizeof(struct lru) + env->npages * sizeof(struct pol_node);
}

static int
lru_init(void *mem, const struct pol_env *env, const char *params)
{
	struct lru *l = mem;

	if (lru_footprint(env, params) == 0 || env->npages > POL_PAGES_MAX)
		return -EINVAL;
	l->env = *env;
	pol_lists_init(l->lists, LISTS);
	return 0;
}

static void
lru_soft(void *mem, pol_page page, unsigned pf)
{
	struct lru *l = mem;

	if (l->nodes[page].list == 0)
		pol_push_tail(l->nodes, &l->lists[ORDER], page);
	else if (l->lists[ORDER].tail != page)
		pol_move_tail(l->nodes, l->lists, ORDER, page);
}

static void
lru_forget(void *mem, pol_page page)
{
	struct lru *l = mem;

	if (l->nodes[page].list != 0)
		pol_detach(l->nodes, l->lists, page);
}

static unsigned
lru_select(void *mem, unsigned want, pol_page *out)
{
	struct lru *l = mem;
	unsigned n = 0;

	for (; n < want; n++) {
		out[n] = pol_oldest(&l->env, l->nodes, l->lists, ORDER);
		if (out[n] == POL_NONE)
			break;
		pol_move_tail(l->nodes, l->lists, PROPOSED, out[n]);
	}
	return n;
}

static void
lru_done(void *mem, pol_page page, enum pol_outcome outcome)
{
	struct lru *l = mem;

	if (outcome == POL_EVICTED)
		lru_forget(mem, page);
	else if (l->nodes[page].list == PROPOSED)
		pol_move_tail(l->nodes, l->lists, ORDER, page);
}

static void
lru_resize(void *mem, uint32_t nframes)
{
	((struct lru *)mem)->env.nframes = nframes;
}

static void
lru_stats(const void *mem, struct pol_stats *ret)
{
	const struct lru *l = mem;

	*ret = (struct pol_stats){ .resident = l->lists[ORDER].count + l->lists[PROPOSED].count };
}

static const char *
lru_check(const void *mem)
{
	const struct lru *l = mem;

	return pol_lists_check(l->nodes, l->lists, LISTS, l->env.npages);
}

const struct pol_ops pol_lru = {
	.abi = POLICY_ABI,
	.name = "lru",
	.help = "least recently used behind the window of mapped pages (segmented FIFO)",
	.params = "",
	.arrays = { { offsetof(struct lru, nodes), sizeof(struct pol_node) } },
	.footprint = lru_footprint,
	.init = lru_init,
	.fault = lru_soft,
	.soft = lru_soft,
	.forget = lru_forget,
	.select = lru_select,
	.done = lru_done,
	.resize = lru_resize,
	.stats = lru_stats,
	.check = lru_check,
};
