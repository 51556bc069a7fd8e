/* SPDX-License-Identifier: MIT
 *
 * CLOCK, as FIFO-reinsertion with one bit: the oldest page is evicted, or, if it was referenced,
 * goes to the young end with its bit cleared.
 *
 * `clock` runs behind the core's window. A mapped page counts as referenced when the hand meets it,
 * whatever its bit says: without this guard a hot page, whose touches are invisible, would look
 * idle. A page starts with bit 0, as in the corrected version of the literature; with insert=1 it
 * starts as it would in a pager without a window.
 *
 * `clock-hand` needs no window: the hand itself unmaps the pages that it passes, so the bit is
 * whether a page is mapped. Its decisions are those of CLOCK with insert=1 and full information,
 * and it costs no soft faults except on pages that the hand has passed.
 */
#include "pol_priv.h"
#include "pol_list.h"
#include "pol_param.h"

#include <errno.h>

enum { RING = 1, PROPOSED, LISTS };
enum { REF = 1 };

struct clock_policy {
	struct pol_env env;
	struct pol_list lists[LISTS]; /* RING: the hand stands at the head */
	uint32_t insert;              /* a new page's bit */
	POL_ENTRIES struct pol_node nodes[];
};

static int
clock_params(uint32_t *insert, const char *params)
{
	const struct pol_param table[] = { { "insert", 0, 1, insert } };

	return pol_params_parse(params, table, 1);
}

static size_t
clock_footprint(const struct pol_env *env, const char *params)
{
	uint32_t insert;

	if (clock_params(&insert, params) != 0)
		return 0;
	return sizeof(struct clock_policy) + env->npages * sizeof(struct pol_node);
}

static int
clock_init(void *mem, const struct pol_env *env, const char *params)
{
	struct clock_policy *c = mem;

	if (env->npages > POL_PAGES_MAX)
		return -EINVAL;
	c->env = *env;
	pol_lists_init(c->lists, LISTS);
	return clock_params(&c->insert, params);
}

static size_t
clock_hand_footprint(const struct pol_env *env, const char *params)
{
	return params != NULL && *params != '\0' ? 0 : clock_footprint(env, NULL);
}

static int
clock_hand_init(void *mem, const struct pol_env *env, const char *params)
{
	struct clock_policy *c = mem;
	int error = params != NULL && *params != '\0' ? -EINVAL : clock_init(mem, env, NULL);

	c->insert = 1;
	return error;
}

static void
clock_fault(void *mem, pol_page page, unsigned pf)
{
	struct clock_policy *c = mem;

	if (c->nodes[page].list != 0)
		return;
	pol_push_tail(c->nodes, &c->lists[RING], page);
	c->nodes[page].bits = c->insert & REF;
}

static void
clock_soft(void *mem, pol_page page, unsigned pf)
{
	struct clock_policy *c = mem;

	if (c->nodes[page].list == 0)
		clock_fault(mem, page, pf);
	else if (c->nodes[page].list == PROPOSED)
		pol_move_head(c->nodes, c->lists, RING, page);
	c->nodes[page].bits = REF;
}

static void
clock_forget(void *mem, pol_page page)
{
	struct clock_policy *c = mem;

	if (c->nodes[page].list != 0)
		pol_detach(c->nodes, c->lists, page);
}

/* => the next page that is neither mapped nor referenced; two rounds find it if there is one. */
static pol_page
clock_turn(struct clock_policy *c)
{
	for (uint64_t steps = 2 * (uint64_t)c->lists[RING].count; steps > 0; steps--) {
		pol_page page = c->lists[RING].head;

		if (c->nodes[page].bits == 0 && pol_state_of(&c->env, page) == POL_INACTIVE)
			return page;
		c->nodes[page].bits = 0;
		pol_move_tail(c->nodes, c->lists, RING, page);
	}
	return POL_NONE;
}

static unsigned
clock_select(void *mem, unsigned want, pol_page *out)
{
	struct clock_policy *c = mem;
	unsigned n = 0;

	for (; n < want; n++) {
		out[n] = clock_turn(c);
		if (out[n] == POL_NONE)
			break;
		pol_move_tail(c->nodes, c->lists, PROPOSED, out[n]);
	}
	return n;
}

/* The hand advances over mapped pages until it stands before an inactive one. */
static unsigned
clock_hand_deactivate(void *mem, unsigned want, pol_page *out)
{
	struct clock_policy *c = mem;
	unsigned n = 0;

	while (n < want && c->lists[RING].count > 0 && c->nodes[c->lists[RING].head].bits == REF) {
		out[n] = c->lists[RING].head;
		c->nodes[out[n]].bits = 0;
		pol_move_tail(c->nodes, c->lists, RING, out[n++]);
	}
	return n;
}

static unsigned
clock_hand_select(void *mem, unsigned want, pol_page *out)
{
	struct clock_policy *c = mem;
	unsigned n = 0;

	while (n < want && c->lists[RING].count > 0 && c->nodes[c->lists[RING].head].bits == 0) {
		out[n] = c->lists[RING].head;
		pol_move_tail(c->nodes, c->lists, PROPOSED, out[n++]);
	}
	return n;
}

static void
clock_done(void *mem, pol_page page, enum pol_outcome outcome)
{
	struct clock_policy *c = mem;

	if (outcome == POL_EVICTED)
		clock_forget(mem, page);
	else if (c->nodes[page].list == PROPOSED)
		pol_move_tail(c->nodes, c->lists, RING, page);
}

static void
clock_resize(void *mem, uint32_t nframes)
{
	((struct clock_policy *)mem)->env.nframes = nframes;
}

static void
clock_stats(const void *mem, struct pol_stats *ret)
{
	const struct clock_policy *c = mem;

	*ret = (struct pol_stats){ .resident = c->lists[RING].count + c->lists[PROPOSED].count };
}

static const char *
clock_check(const void *mem)
{
	const struct clock_policy *c = mem;

	return pol_lists_check(c->nodes, c->lists, LISTS, c->env.npages);
}

#define CLOCK_COMMON                                                                               \
	.abi = POLICY_ABI, .fault = clock_fault, .soft = clock_soft, .forget = clock_forget,       \
	.done = clock_done, .resize = clock_resize, .stats = clock_stats, .check = clock_check

const struct pol_ops pol_clock = {
	CLOCK_COMMON,
	.name = "clock",
	.help = "FIFO with a second chance, behind the window of mapped pages",
	.params = "insert=0 reference bit of a new page (0 or 1)",
	.arrays = { { offsetof(struct clock_policy, nodes), sizeof(struct pol_node) } },
	.footprint = clock_footprint,
	.init = clock_init,
	.select = clock_select,
};

const struct pol_ops pol_clock_hand = {
	CLOCK_COMMON,
	.name = "clock-hand",
	.help = "CLOCK whose hand unmaps: exact with insert=1, no window",
	.params = "",
	.arrays = { { offsetof(struct clock_policy, nodes), sizeof(struct pol_node) } },
	.footprint = clock_hand_footprint,
	.init = clock_hand_init,
	.deactivate = clock_hand_deactivate,
	.select = clock_hand_select,
};
