/* SPDX-License-Identifier: MIT
 *
 * S3-FIFO (Yang et al., SOSP 2023): a small FIFO S for new pages, a main FIFO M with a two-bit
 * counter, and a FIFO G of the ghosts of pages that S evicted. A page leaves S for M if it was
 * touched `threshold` times, otherwise for G; a page whose ghost is found by a fault goes to M.
 *
 * Behind a window: at M's head a mapped page gets another round with its counter kept. At S's head
 * a mapped page that was touched goes to M; one that was not is in its first mapping, and so are
 * all pages behind it, so S has no victim and grows up to the window.
 */
#include "pol_priv.h"
#include "pol_list.h"
#include "pol_param.h"

#include <errno.h>

enum { S = 1, M, G, PROPOSED, LISTS };
enum {
	FREQ = 3,      /* mask: touches, up to 3 */
	FROM_M = 4,    /* PROPOSED: it comes from M */
	GHOST_HIT = 8, /* not resident: miss() has found it in G */
};

struct s3fifo {
	struct pol_env env;
	struct pol_list lists[LISTS];
	uint32_t small_percent, ghost_percent, threshold;
	uint32_t main_pages, ghost_pages;
	POL_ENTRIES struct pol_node nodes[];
};

static int
s3fifo_params(struct s3fifo *s, const char *params)
{
	const struct pol_param table[] = {
		{ "small", 0, 99, &s->small_percent },
		{ "ghost", 0, 1000, &s->ghost_percent },
		{ "threshold", 1, 3, &s->threshold },
	};

	return pol_params_parse(params, table, 3);
}

static size_t
s3fifo_footprint(const struct pol_env *env, const char *params)
{
	struct s3fifo scratch;

	if (s3fifo_params(&scratch, params) != 0)
		return 0;
	return sizeof(struct s3fifo) + env->npages * sizeof(struct pol_node);
}

static void
s3fifo_trim(struct s3fifo *s)
{
	while (s->lists[G].count > s->ghost_pages)
		pol_detach(s->nodes, s->lists, s->lists[G].head);
}

static void
s3fifo_resize(void *mem, uint32_t nframes)
{
	struct s3fifo *s = mem;

	s->env.nframes = nframes;
	s->main_pages = nframes - (uint32_t)((uint64_t)nframes * s->small_percent / 100);
	s->ghost_pages = (uint32_t)((uint64_t)nframes * s->ghost_percent / 100);
	s3fifo_trim(s);
}

static int
s3fifo_init(void *mem, const struct pol_env *env, const char *params)
{
	struct s3fifo *s = mem;
	int error;

	if (env->npages > POL_PAGES_MAX)
		return -EINVAL;
	s->env = *env;
	s->small_percent = 10;
	s->ghost_percent = 90;
	s->threshold = 2;
	pol_lists_init(s->lists, LISTS);
	error = s3fifo_params(s, params);
	s3fifo_resize(s, env->nframes);
	return error;
}

static void
s3fifo_miss(void *mem, pol_page page, unsigned pf)
{
	struct s3fifo *s = mem;

	if (s->nodes[page].list != G)
		return;
	pol_detach(s->nodes, s->lists, page);
	s->nodes[page].bits = GHOST_HIT;
}

static void
s3fifo_fault(void *mem, pol_page page, unsigned pf)
{
	struct s3fifo *s = mem;

	s3fifo_miss(mem, page, pf);
	if (s->nodes[page].list != 0)
		return;
	pol_push_tail(s->nodes, &s->lists[s->nodes[page].bits & GHOST_HIT ? M : S], page);
	s->nodes[page].bits = 0;
}

static void
s3fifo_soft(void *mem, pol_page page, unsigned pf)
{
	struct s3fifo *s = mem;
	struct pol_node *node = &s->nodes[page];

	if (node->list == PROPOSED) {
		pol_move_head(s->nodes, s->lists, node->bits & FROM_M ? M : S, page);
		node->bits &= FREQ;
	} else if (node->list != S && node->list != M) {
		s3fifo_fault(mem, page, pf);
		return;
	}
	if ((node->bits & FREQ) < FREQ)
		node->bits++;
}

static void
s3fifo_forget(void *mem, pol_page page)
{
	struct s3fifo *s = mem;

	if (s->nodes[page].list != 0)
		pol_detach(s->nodes, s->lists, page);
	s->nodes[page].bits = 0;
}

static pol_page
s3fifo_turn_small(struct s3fifo *s)
{
	while (s->lists[S].count > 0) {
		pol_page page = s->lists[S].head;
		uint32_t freq = s->nodes[page].bits;
		bool inactive = pol_state_of(&s->env, page) == POL_INACTIVE;

		if (inactive && freq < s->threshold)
			return page;
		if (!inactive && freq == 0)
			break;
		s->nodes[page].bits = 0;
		pol_move_tail(s->nodes, s->lists, M, page);
	}
	return POL_NONE;
}

static pol_page
s3fifo_turn_main(struct s3fifo *s)
{
	for (uint64_t steps = (FREQ + 1) * (uint64_t)s->lists[M].count; steps > 0; steps--) {
		pol_page page = s->lists[M].head;
		bool inactive = pol_state_of(&s->env, page) == POL_INACTIVE;

		if (inactive && s->nodes[page].bits == 0)
			return page;
		if (inactive)
			s->nodes[page].bits--;
		pol_move_tail(s->nodes, s->lists, M, page);
	}
	return POL_NONE;
}

static pol_page
s3fifo_victim(struct s3fifo *s)
{
	pol_page page = POL_NONE;

	if (s->lists[M].count <= s->main_pages)
		page = s3fifo_turn_small(s);
	if (page == POL_NONE)
		page = s3fifo_turn_main(s);
	return page != POL_NONE ? page : s3fifo_turn_small(s);
}

static unsigned
s3fifo_select(void *mem, unsigned want, pol_page *out)
{
	struct s3fifo *s = mem;
	unsigned n = 0;

	for (; n < want; n++) {
		pol_page page = s3fifo_victim(s);

		if (page == POL_NONE)
			break;
		if (s->nodes[page].list == M)
			s->nodes[page].bits |= FROM_M;
		pol_move_tail(s->nodes, s->lists, PROPOSED, page);
		out[n] = page;
	}
	return n;
}

static void
s3fifo_done(void *mem, pol_page page, enum pol_outcome outcome)
{
	struct s3fifo *s = mem;
	struct pol_node *node = &s->nodes[page];
	bool from_main = node->list == M || (node->list == PROPOSED && (node->bits & FROM_M));

	if (node->list == 0 || node->list == G)
		return;
	if (outcome != POL_EVICTED) {
		if (node->list == PROPOSED)
			pol_move_tail(s->nodes, s->lists, from_main ? M : S, page);
		node->bits &= FREQ;
		return;
	}
	pol_detach(s->nodes, s->lists, page);
	node->bits = 0;
	if (!from_main)
		pol_push_tail(s->nodes, &s->lists[G], page);
	s3fifo_trim(s);
}

static void
s3fifo_stats(const void *mem, struct pol_stats *ret)
{
	const struct s3fifo *s = mem;

	*ret = (struct pol_stats){
		.resident = s->lists[S].count + s->lists[M].count + s->lists[PROPOSED].count,
		.ghosts = s->lists[G].count,
		.target = s->env.nframes - s->main_pages,
	};
}

static const char *
s3fifo_check(const void *mem)
{
	const struct s3fifo *s = mem;

	if (s->lists[G].count > s->ghost_pages)
		return "s3fifo: too many ghosts";
	return pol_lists_check(s->nodes, s->lists, LISTS, s->env.npages);
}

const struct pol_ops pol_s3fifo = {
	.abi = POLICY_ABI,
	.name = "s3fifo",
	.help = "small FIFO, main FIFO with a counter, ghosts",
	.params =
	    "small=10 share of the small queue, percent of frames; ghost=90 ghosts, percent of "
	    "frames; "
	    "threshold=2 touches that move a page from the small queue to the main one (1..3)",
	.arrays = { { offsetof(struct s3fifo, nodes), sizeof(struct pol_node) } },
	.footprint = s3fifo_footprint,
	.init = s3fifo_init,
	.fault = s3fifo_fault,
	.soft = s3fifo_soft,
	.forget = s3fifo_forget,
	.select = s3fifo_select,
	.done = s3fifo_done,
	.resize = s3fifo_resize,
	.stats = s3fifo_stats,
	.check = s3fifo_check,
	.miss = s3fifo_miss,
};
