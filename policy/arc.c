/* SPDX-License-Identifier: MIT
 *
 * ARC (Megiddo and Modha, FAST 2003): T1 holds pages seen once lately, T2 those seen more often,
 * both in LRU order; B1 and B2 remember the pages that were evicted from them. A hit in a ghost
 * list moves the real-valued target p of |T1| in favour of the list that would have kept the page.
 *
 * |T1| + |B1| <= c and all four together <= 2c; ghosts are cut when a page enters that was on none
 * of the lists, which gives the same lists as the paper's case IV.
 */
#include "pol_priv.h"
#include "pol_list.h"

#include <errno.h>

enum { T1 = 1, T2, B1, B2, PROPOSED, LISTS };
enum {
	FROM_T2 = 1,   /* PROPOSED: it comes from T2 */
	GHOST_HIT = 2, /* not resident: miss() has found it in B1 or B2 */
};

struct arc {
	struct pol_env env;
	struct pol_list lists[LISTS];
	double p;    /* target of |T1|, 0 .. nframes */
	bool b2_hit; /* the fault that the next victim makes room for was found in B2 */
	POL_ENTRIES struct pol_node nodes[];
};

static size_t
arc_footprint(const struct pol_env *env, const char *params)
{
	if (params != NULL && *params != '\0')
		return 0;
	return sizeof(struct arc) + env->npages * sizeof(struct pol_node);
}

static int
arc_init(void *mem, const struct pol_env *env, const char *params)
{
	struct arc *a = mem;

	if (arc_footprint(env, params) == 0 || env->npages > POL_PAGES_MAX)
		return -EINVAL;
	a->env = *env;
	pol_lists_init(a->lists, LISTS);
	return 0;
}

/* How far a hit in `own` moves p. */
static double
arc_step(const struct arc *a, unsigned own, unsigned other)
{
	double ratio = (double)a->lists[other].count / (double)a->lists[own].count;

	return ratio > 1 ? ratio : 1;
}

static void
arc_miss(void *mem, pol_page page, unsigned pf)
{
	struct arc *a = mem;
	unsigned list = a->nodes[page].list;

	if (list == B1) {
		a->p += arc_step(a, B1, B2);
		a->p = a->p < a->env.nframes ? a->p : a->env.nframes;
	} else if (list == B2) {
		a->p -= arc_step(a, B2, B1);
		a->p = a->p > 0 ? a->p : 0;
	}
	a->b2_hit = list == B2;
	if (list == B1 || list == B2) {
		pol_detach(a->nodes, a->lists, page);
		a->nodes[page].bits = GHOST_HIT;
	}
}

static void
arc_drop(struct arc *a, unsigned list)
{
	pol_detach(a->nodes, a->lists, a->lists[list].head);
}

/* Cuts the ghosts so that `entering` more pages keep the two bounds. */
static void
arc_trim(struct arc *a, uint32_t entering)
{
	const struct pol_list *l = a->lists;
	uint64_t c = a->env.nframes;

	while (l[B1].count > 0 && (uint64_t)l[T1].count + l[B1].count + entering > c)
		arc_drop(a, B1);
	while (l[B2].count > 0 &&
	       (uint64_t)l[T1].count + l[T2].count + l[B1].count + l[B2].count + entering > 2 * c)
		arc_drop(a, B2);
}

static void
arc_fault(void *mem, pol_page page, unsigned pf)
{
	struct arc *a = mem;

	if (a->nodes[page].list == B1 || a->nodes[page].list == B2)
		arc_miss(mem, page, pf);
	a->b2_hit = false;
	if (a->nodes[page].list != 0)
		return;
	if (a->nodes[page].bits & GHOST_HIT) {
		pol_push_tail(a->nodes, &a->lists[T2], page);
		arc_trim(a, 0);
	} else {
		arc_trim(a, 1);
		pol_push_tail(a->nodes, &a->lists[T1], page);
	}
	a->nodes[page].bits = 0;
}

static void
arc_soft(void *mem, pol_page page, unsigned pf)
{
	struct arc *a = mem;
	unsigned list = a->nodes[page].list;

	if (list != T1 && list != T2 && list != PROPOSED) {
		arc_fault(mem, page, pf);
	} else if (a->lists[T2].tail != page) {
		pol_move_tail(a->nodes, a->lists, T2, page);
		a->nodes[page].bits = 0;
		if (list == PROPOSED)
			arc_trim(a, 0);
	}
}

static void
arc_forget(void *mem, pol_page page)
{
	struct arc *a = mem;

	if (a->nodes[page].list != 0)
		pol_detach(a->nodes, a->lists, page);
	a->nodes[page].bits = 0;
}

/* The paper's REPLACE. If the list that it chooses has no inactive page, the victim comes from the
 * other one. */
static pol_page
arc_victim(struct arc *a)
{
	double t1 = a->lists[T1].count;
	unsigned first = t1 > 0 && (t1 > a->p || (a->b2_hit && t1 == a->p)) ? T1 : T2;
	pol_page page = pol_oldest(&a->env, a->nodes, a->lists, first);

	return page != POL_NONE ? page
				: pol_oldest(&a->env, a->nodes, a->lists, first == T1 ? T2 : T1);
}

static unsigned
arc_select(void *mem, unsigned want, pol_page *out)
{
	struct arc *a = mem;
	unsigned n = 0;

	for (; n < want; n++) {
		pol_page page = arc_victim(a);

		if (page == POL_NONE)
			break;
		a->nodes[page].bits = a->nodes[page].list == T2 ? FROM_T2 : 0;
		pol_move_tail(a->nodes, a->lists, PROPOSED, page);
		a->b2_hit = false;
		out[n] = page;
	}
	return n;
}

static void
arc_evicted(struct arc *a, pol_page page)
{
	struct pol_node *node = &a->nodes[page];
	bool from_t2 = node->list == T2 || (node->list == PROPOSED && (node->bits & FROM_T2));

	if (node->list != T1 && node->list != T2 && node->list != PROPOSED)
		return;
	pol_move_tail(a->nodes, a->lists, from_t2 ? B2 : B1, page);
	node->bits = 0;
	arc_trim(a, 0);
}

static void
arc_done(void *mem, pol_page page, enum pol_outcome outcome)
{
	struct arc *a = mem;

	if (outcome == POL_EVICTED) {
		arc_evicted(a, page);
	} else if (a->nodes[page].list == PROPOSED) {
		pol_move_tail(a->nodes, a->lists, a->nodes[page].bits & FROM_T2 ? T2 : T1, page);
		a->nodes[page].bits = 0;
		arc_trim(a, 0);
	}
}

static void
arc_resize(void *mem, uint32_t nframes)
{
	struct arc *a = mem;

	a->env.nframes = nframes;
	a->p = a->p < nframes ? a->p : nframes;
	arc_trim(a, 0);
}

static void
arc_stats(const void *mem, struct pol_stats *ret)
{
	const struct arc *a = mem;

	*ret = (struct pol_stats){
		.resident = a->lists[T1].count + a->lists[T2].count + a->lists[PROPOSED].count,
		.ghosts = a->lists[B1].count + a->lists[B2].count,
		.target = (uint64_t)a->p,
	};
}

static const char *
arc_check(const void *mem)
{
	const struct arc *a = mem;
	const struct pol_list *l = a->lists;
	uint64_t c = a->env.nframes;

	if (!(a->p >= 0 && a->p <= a->env.nframes))
		return "arc: p out of range";
	if (l[B1].count > 0 && (uint64_t)l[T1].count + l[B1].count > c)
		return "arc: |T1| + |B1| > c";
	if (l[B2].count > 0 &&
	    (uint64_t)l[T1].count + l[T2].count + l[B1].count + l[B2].count > 2 * c)
		return "arc: more than 2c entries";
	return pol_lists_check(a->nodes, a->lists, LISTS, a->env.npages);
}

const struct pol_ops pol_arc = {
	.abi = POLICY_ABI,
	.name = "arc",
	.help = "adaptive replacement cache: recency against frequency, moved by ghost hits",
	.params = "",
	.arrays = { { offsetof(struct arc, nodes), sizeof(struct pol_node) } },
	.footprint = arc_footprint,
	.init = arc_init,
	.fault = arc_fault,
	.soft = arc_soft,
	.forget = arc_forget,
	.select = arc_select,
	.done = arc_done,
	.resize = arc_resize,
	.stats = arc_stats,
	.check = arc_check,
	.miss = arc_miss,
};
