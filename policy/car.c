/* SPDX-License-Identifier: MIT
 *
 * CAR (Bansal and Modha, FAST 2004): ARC's lists and ghosts with clocks for T1 and T2. A referenced
 * page at the hand of T1 goes to T2, one at the hand of T2 gets another round. Unlike in ARC, a
 * ghost hit moves p only after the victim has been chosen, so everything happens in fault().
 *
 * Behind a window: a mapped page counts as referenced at T2's hand. At T1's hand a page that was
 * touched since it came goes to T2 as always; one that was not is still in its first mapping, and
 * so are all pages behind it, so T1 has no victim.
 */
#include "pol_priv.h"
#include "pol_list.h"

#include <errno.h>

enum { T1 = 1, T2, B1, B2, PROPOSED, LISTS };
enum { REF = 1, FROM_T2 = 2 };

struct car {
	struct pol_env env;
	struct pol_list lists[LISTS]; /* the hands of T1 and T2 stand at their heads */
	double p;                     /* target of |T1|, 0 .. nframes */
	POL_ENTRIES struct pol_node nodes[];
};

static size_t
car_footprint(const struct pol_env *env, const char *params)
{
	if (params != NULL && *params != '\0')
		return 0;
	return sizeof(struct car) + env->npages * sizeof(struct pol_node);
}

static int
car_init(void *mem, const struct pol_env *env, const char *params)
{
	struct car *c = mem;

	if (car_footprint(env, params) == 0 || env->npages > POL_PAGES_MAX)
		return -EINVAL;
	c->env = *env;
	pol_lists_init(c->lists, LISTS);
	return 0;
}

static void
car_drop(struct car *c, unsigned list)
{
	pol_detach(c->nodes, c->lists, c->lists[list].head);
}

/* Cuts the ghosts so that `entering` more pages keep |T1| + |B1| <= c and all four <= 2c. */
static void
car_trim(struct car *c, uint32_t entering)
{
	const struct pol_list *l = c->lists;
	uint64_t frames = c->env.nframes;

	while (l[B1].count > 0 && (uint64_t)l[T1].count + l[B1].count + entering > frames)
		car_drop(c, B1);
	while (
	    l[B2].count > 0 &&
	    (uint64_t)l[T1].count + l[T2].count + l[B1].count + l[B2].count + entering > 2 * frames)
		car_drop(c, B2);
}

static double
car_step(const struct car *c, unsigned own, unsigned other)
{
	double ratio = (double)c->lists[other].count / (double)c->lists[own].count;

	return ratio > 1 ? ratio : 1;
}

static void
car_fault(void *mem, pol_page page, unsigned pf)
{
	struct car *c = mem;
	double frames = c->env.nframes;

	switch (c->nodes[page].list) {
	case 0:
		car_trim(c, 1);
		pol_push_tail(c->nodes, &c->lists[T1], page);
		break;
	case B1:
		c->p += car_step(c, B1, B2);
		c->p = c->p < frames ? c->p : frames;
		pol_move_tail(c->nodes, c->lists, T2, page);
		break;
	case B2:
		c->p -= car_step(c, B2, B1);
		c->p = c->p > 0 ? c->p : 0;
		pol_move_tail(c->nodes, c->lists, T2, page);
		break;
	default:
		return;
	}
	c->nodes[page].bits = 0;
}

static void
car_unpropose(struct car *c, pol_page page)
{
	pol_move_tail(c->nodes, c->lists, c->nodes[page].bits & FROM_T2 ? T2 : T1, page);
	c->nodes[page].bits = 0;
	car_trim(c, 0);
}

static void
car_soft(void *mem, pol_page page, unsigned pf)
{
	struct car *c = mem;

	switch (c->nodes[page].list) {
	case PROPOSED:
		car_unpropose(c, page);
		break;
	case T1:
	case T2:
		break;
	default:
		car_fault(mem, page, pf);
		return;
	}
	c->nodes[page].bits = REF;
}

static void
car_forget(void *mem, pol_page page)
{
	struct car *c = mem;

	if (c->nodes[page].list != 0)
		pol_detach(c->nodes, c->lists, page);
	c->nodes[page].bits = 0;
}

/* One step of a hand. => true when *ret is the victim; else the page has moved, or *ret is
 * POL_NONE: stuck. */
static bool
car_turn(struct car *c, unsigned list, pol_page *ret)
{
	pol_page page = c->lists[list].head;
	bool inactive = pol_state_of(&c->env, page) == POL_INACTIVE;

	*ret = page;
	if (c->nodes[page].bits == 0 && inactive)
		return true;
	if (list == T1 && c->nodes[page].bits == 0)
		*ret = POL_NONE;
	else
		pol_move_tail(c->nodes, c->lists, T2, page);
	c->nodes[page].bits = 0;
	return false;
}

static pol_page
car_victim(struct car *c)
{
	const struct pol_list *l = c->lists;
	bool t1_stuck = false;

	for (uint64_t steps = 2 * ((uint64_t)l[T1].count + l[T2].count); steps > 0; steps--) {
		bool from_t1 = l[T1].count > 0 && l[T1].count >= (c->p > 1 ? c->p : 1);
		pol_page page;

		if (l[T2].count == 0 || (from_t1 && !t1_stuck))
			from_t1 = true;
		else
			from_t1 = false;
		if (l[T1].count == 0 && from_t1)
			return POL_NONE;
		if (car_turn(c, from_t1 ? T1 : T2, &page))
			return page;
		if (page == POL_NONE && (t1_stuck || l[T2].count == 0))
			return POL_NONE;
		t1_stuck |= page == POL_NONE;
	}
	return POL_NONE;
}

static unsigned
car_select(void *mem, unsigned want, pol_page *out)
{
	struct car *c = mem;
	unsigned n = 0;

	for (; n < want; n++) {
		pol_page page = car_victim(c);

		if (page == POL_NONE)
			break;
		c->nodes[page].bits = c->nodes[page].list == T2 ? FROM_T2 : 0;
		pol_move_tail(c->nodes, c->lists, PROPOSED, page);
		out[n] = page;
	}
	return n;
}

static void
car_done(void *mem, pol_page page, enum pol_outcome outcome)
{
	struct car *c = mem;
	struct pol_node *node = &c->nodes[page];
	bool from_t2 = node->list == T2 || (node->list == PROPOSED && (node->bits & FROM_T2));

	if (outcome != POL_EVICTED) {
		if (node->list == PROPOSED)
			car_unpropose(c, page);
		return;
	}
	if (node->list != T1 && node->list != T2 && node->list != PROPOSED)
		return;
	pol_move_tail(c->nodes, c->lists, from_t2 ? B2 : B1, page);
	node->bits = 0;
	car_trim(c, 0);
}

static void
car_resize(void *mem, uint32_t nframes)
{
	struct car *c = mem;

	c->env.nframes = nframes;
	c->p = c->p < nframes ? c->p : nframes;
	car_trim(c, 0);
}

static void
car_stats(const void *mem, struct pol_stats *ret)
{
	const struct car *c = mem;

	*ret = (struct pol_stats){
		.resident = c->lists[T1].count + c->lists[T2].count + c->lists[PROPOSED].count,
		.ghosts = c->lists[B1].count + c->lists[B2].count,
		.target = (uint64_t)c->p,
	};
}

static const char *
car_check(const void *mem)
{
	const struct car *c = mem;
	const struct pol_list *l = c->lists;
	uint64_t frames = c->env.nframes;

	if (!(c->p >= 0 && c->p <= c->env.nframes))
		return "car: p out of range";
	if (l[B1].count > 0 && (uint64_t)l[T1].count + l[B1].count > frames)
		return "car: |T1| + |B1| > c";
	if (l[B2].count > 0 &&
	    (uint64_t)l[T1].count + l[T2].count + l[B1].count + l[B2].count > 2 * frames)
		return "car: more than 2c entries";
	return pol_lists_check(c->nodes, c->lists, LISTS, c->env.npages);
}

const struct pol_ops pol_car = {
	.abi = POLICY_ABI,
	.name = "car",
	.help = "clock with adaptive replacement: ARC's ghosts, two clocks",
	.params = "",
	.arrays = { { offsetof(struct car, nodes), sizeof(struct pol_node) } },
	.footprint = car_footprint,
	.init = car_init,
	.fault = car_fault,
	.soft = car_soft,
	.forget = car_forget,
	.select = car_select,
	.done = car_done,
	.resize = car_resize,
	.stats = car_stats,
	.check = car_check,
};
