/* SPDX-License-Identifier: MIT
 *
 * First in, first out: a baseline for comparison. Pages are unmapped only when they are about to be
 * evicted, so a touch finds a page inactive only in the short time between the two, and the window
 * of mapped pages does not matter.
 *
 * The one queue is kept as two lists, INACTIVE (its old end) followed by ACTIVE. A page touched
 * after it was unmapped goes back to the old end of ACTIVE: it keeps its turn but has to be
 * unmapped again.
 */
#include "pol_priv.h"
#include "pol_list.h"

#include <errno.h>

enum { ACTIVE = 1, INACTIVE, PROPOSED, LISTS };

struct fifo {
	struct pol_env env;
	struct pol_list lists[LISTS];
	POL_ENTRIES struct pol_node nodes[];
};

static size_t
fifo_footprint(const struct pol_env *env, const char *params)
{
	if (params != NULL && *params != '\0')
		return 0;
	return sizeof(struct fifo) + env->npages * sizeof(struct pol_node);
}

static int
fifo_init(void *mem, const struct pol_env *env, const char *params)
{
	struct fifo *f = mem;

	if (fifo_footprint(env, params) == 0 || env->npages > POL_PAGES_MAX)
		return -EINVAL;
	f->env = *env;
	pol_lists_init(f->lists, LISTS);
	return 0;
}

static void
fifo_fault(void *mem, pol_page page, unsigned pf)
{
	struct fifo *f = mem;

	if (f->nodes[page].list == 0)
		pol_push_tail(f->nodes, &f->lists[ACTIVE], page);
}

static void
fifo_soft(void *mem, pol_page page, unsigned pf)
{
	struct fifo *f = mem;

	if (f->nodes[page].list == 0)
		pol_push_tail(f->nodes, &f->lists[ACTIVE], page);
	else if (f->nodes[page].list != ACTIVE)
		pol_move_head(f->nodes, f->lists, ACTIVE, page);
}

static void
fifo_forget(void *mem, pol_page page)
{
	struct fifo *f = mem;

	if (f->nodes[page].list != 0)
		pol_detach(f->nodes, f->lists, page);
}

static unsigned
fifo_deactivate(void *mem, unsigned want, pol_page *out)
{
	struct fifo *f = mem;
	unsigned n = 0;

	while (f->lists[INACTIVE].count < want && f->lists[ACTIVE].count > 0) {
		out[n] = f->lists[ACTIVE].head;
		pol_move_tail(f->nodes, f->lists, INACTIVE, out[n++]);
	}
	return n;
}

static unsigned
fifo_select(void *mem, unsigned want, pol_page *out)
{
	struct fifo *f = mem;
	unsigned n = 0;

	while (n < want && f->lists[INACTIVE].count > 0) {
		out[n] = f->lists[INACTIVE].head;
		pol_move_tail(f->nodes, f->lists, PROPOSED, out[n++]);
	}
	return n;
}

static void
fifo_done(void *mem, pol_page page, enum pol_outcome outcome)
{
	struct fifo *f = mem;

	if (outcome == POL_EVICTED)
		fifo_forget(mem, page);
	else if (f->nodes[page].list == PROPOSED)
		pol_move_tail(f->nodes, f->lists, INACTIVE, page);
}

static void
fifo_resize(void *mem, uint32_t nframes)
{
	((struct fifo *)mem)->env.nframes = nframes;
}

static void
fifo_stats(const void *mem, struct pol_stats *ret)
{
	const struct fifo *f = mem;

	*ret = (struct pol_stats){
		.mapped = f->lists[ACTIVE].count,
		.inactive = f->lists[INACTIVE].count + f->lists[PROPOSED].count,
	};
	ret->resident = ret->mapped + ret->inactive;
}

static const char *
fifo_check(const void *mem)
{
	const struct fifo *f = mem;

	return pol_lists_check(f->nodes, f->lists, LISTS, f->env.npages);
}

const struct pol_ops pol_fifo = {
	.abi = POLICY_ABI,
	.name = "fifo",
	.help = "first in, first out; no soft faults: the control",
	.params = "",
	.arrays = { { offsetof(struct fifo, nodes), sizeof(struct pol_node) } },
	.footprint = fifo_footprint,
	.init = fifo_init,
	.fault = fifo_fault,
	.soft = fifo_soft,
	.forget = fifo_forget,
	.deactivate = fifo_deactivate,
	.select = fifo_select,
	.done = fifo_done,
	.resize = fifo_resize,
	.stats = fifo_stats,
	.check = fifo_check,
};
