/* SPDX-License-Identifier: MIT
 *
 * 2Q, the full version (Johnson and Shasha, VLDB 1994): A1in takes new pages in FIFO order, A1out
 * remembers the pages that left it, and Am holds those that came back, in LRU order. Promotion is
 * driven by refaults, so of all policies here it loses least when touches are invisible.
 *
 *   fault, unknown ---> A1IN --- evicted ---> A1OUT (ghost) --- fault ---> AM --- evicted --->
 * forgotten
 *
 * A touch in A1IN is ignored, except that a mapped page at its head which has been touched since it
 * entered goes to the tail: it cannot be evicted, and the pages behind it need not be mapped.
 */
#include "pol_priv.h"
#include "pol_list.h"
#include "pol_param.h"

#include <errno.h>

enum { A1IN = 1, AM, A1OUT, PROPOSED, LISTS };
enum {
	TOUCHED = 1,   /* soft fault since it took its place in A1IN */
	FROM_AM = 2,   /* PROPOSED: it comes from AM */
	GHOST_HIT = 4, /* not resident: miss() has found it in A1OUT */
};

struct twoq {
	struct pol_env env;
	struct pol_list lists[LISTS];
	uint32_t in_percent, out_percent;
	uint32_t kin, kout; /* pages */
	POL_ENTRIES struct pol_node nodes[];
};

static int
twoq_params(struct twoq *q, const char *params)
{
	const struct pol_param table[] = {
		{ "in", 1, 99, &q->in_percent },
		{ "out", 0, 1000, &q->out_percent },
	};

	return pol_params_parse(params, table, 2);
}

static size_t
twoq_footprint(const struct pol_env *env, const char *params)
{
	struct twoq scratch;

	if (twoq_params(&scratch, params) != 0)
		return 0;
	return sizeof(struct twoq) + env->npages * sizeof(struct pol_node);
}

static void
twoq_trim(struct twoq *q)
{
	while (q->lists[A1OUT].count > q->kout)
		pol_detach(q->nodes, q->lists, q->lists[A1OUT].head);
}

static void
twoq_resize(void *mem, uint32_t nframes)
{
	struct twoq *q = mem;

	q->env.nframes = nframes;
	q->kin = (uint32_t)((uint64_t)nframes * q->in_percent / 100);
	q->kout = (uint32_t)((uint64_t)nframes * q->out_percent / 100);
	twoq_trim(q);
}

static int
twoq_init(void *mem, const struct pol_env *env, const char *params)
{
	struct twoq *q = mem;
	int error;

	if (env->npages > POL_PAGES_MAX)
		return -EINVAL;
	q->env = *env;
	q->in_percent = 25;
	q->out_percent = 50;
	pol_lists_init(q->lists, LISTS);
	error = twoq_params(q, params);
	twoq_resize(q, env->nframes);
	return error;
}

/* The ghost leaves A1OUT before a victim may enter it: that order is part of the definition. */
static void
twoq_miss(void *mem, pol_page page, unsigned pf)
{
	struct twoq *q = mem;

	if (q->nodes[page].list != A1OUT)
		return;
	pol_detach(q->nodes, q->lists, page);
	q->nodes[page].bits = GHOST_HIT;
}

static void
twoq_fault(void *mem, pol_page page, unsigned pf)
{
	struct twoq *q = mem;

	twoq_miss(mem, page, pf);
	if (q->nodes[page].list != 0)
		return;
	pol_push_tail(q->nodes, &q->lists[q->nodes[page].bits & GHOST_HIT ? AM : A1IN], page);
	q->nodes[page].bits = 0;
}

static void
twoq_soft(void *mem, pol_page page, unsigned pf)
{
	struct twoq *q = mem;
	struct pol_node *node = &q->nodes[page];

	switch (node->list) {
	case A1IN:
		node->bits = TOUCHED;
		break;
	case AM:
		if (q->lists[AM].tail != page)
			pol_move_tail(q->nodes, q->lists, AM, page);
		break;
	case PROPOSED:
		if (node->bits & FROM_AM)
			pol_move_tail(q->nodes, q->lists, AM, page);
		else
			pol_move_head(q->nodes, q->lists, A1IN, page);
		node->bits = TOUCHED;
		break;
	default:
		twoq_fault(mem, page, pf);
	}
}

static void
twoq_forget(void *mem, pol_page page)
{
	struct twoq *q = mem;

	if (q->nodes[page].list != 0)
		pol_detach(q->nodes, q->lists, page);
	q->nodes[page].bits = 0;
}

static pol_page
twoq_oldest_in(struct twoq *q)
{
	while (q->lists[A1IN].count > 0) {
		pol_page page = pol_oldest(&q->env, q->nodes, q->lists, A1IN);

		if (page != POL_NONE)
			return page;
		page = q->lists[A1IN].head;
		if (!(q->nodes[page].bits & TOUCHED))
			return POL_NONE;
		q->nodes[page].bits = 0;
		pol_move_tail(q->nodes, q->lists, A1IN, page);
	}
	return POL_NONE;
}

static pol_page
twoq_victim(struct twoq *q)
{
	pol_page page = POL_NONE;

	if (q->lists[A1IN].count > q->kin)
		page = twoq_oldest_in(q);
	if (page == POL_NONE)
		page = pol_oldest(&q->env, q->nodes, q->lists, AM);
	return page != POL_NONE ? page : twoq_oldest_in(q);
}

static unsigned
twoq_select(void *mem, unsigned want, pol_page *out)
{
	struct twoq *q = mem;
	unsigned n = 0;

	for (; n < want; n++) {
		pol_page page = twoq_victim(q);

		if (page == POL_NONE)
			break;
		q->nodes[page].bits = q->nodes[page].list == AM ? FROM_AM : 0;
		pol_move_tail(q->nodes, q->lists, PROPOSED, page);
		out[n] = page;
	}
	return n;
}

static void
twoq_evicted(struct twoq *q, pol_page page)
{
	struct pol_node *node = &q->nodes[page];
	bool from_in = node->list == A1IN || (node->list == PROPOSED && !(node->bits & FROM_AM));

	if (node->list == 0 || node->list == A1OUT)
		return;
	pol_detach(q->nodes, q->lists, page);
	node->bits = 0;
	if (from_in)
		pol_push_tail(q->nodes, &q->lists[A1OUT], page);
	twoq_trim(q);
}

static void
twoq_done(void *mem, pol_page page, enum pol_outcome outcome)
{
	struct twoq *q = mem;

	if (outcome == POL_EVICTED) {
		twoq_evicted(q, page);
	} else if (q->nodes[page].list == PROPOSED) {
		pol_move_tail(q->nodes, q->lists, q->nodes[page].bits & FROM_AM ? AM : A1IN, page);
		q->nodes[page].bits = 0;
	}
}

static void
twoq_stats(const void *mem, struct pol_stats *ret)
{
	const struct twoq *q = mem;

	*ret = (struct pol_stats){
		.resident = q->lists[A1IN].count + q->lists[AM].count + q->lists[PROPOSED].count,
		.ghosts = q->lists[A1OUT].count,
		.target = q->kin,
	};
}

static const char *
twoq_check(const void *mem)
{
	const struct twoq *q = mem;

	if (q->lists[A1OUT].count > q->kout)
		return "2q: more ghosts than kout";
	return pol_lists_check(q->nodes, q->lists, LISTS, q->env.npages);
}

const struct pol_ops pol_twoq = {
	.abi = POLICY_ABI,
	.name = "2q",
	.help = "2Q, full version: FIFO for new pages, LRU for those that came back",
	.params = "in=25 A1in's share of the frames, percent; out=50 size of the ghost list A1out, "
		  "percent of frames",
	.arrays = { { offsetof(struct twoq, nodes), sizeof(struct pol_node) } },
	.footprint = twoq_footprint,
	.init = twoq_init,
	.fault = twoq_fault,
	.soft = twoq_soft,
	.forget = twoq_forget,
	.select = twoq_select,
	.done = twoq_done,
	.resize = twoq_resize,
	.stats = twoq_stats,
	.check = twoq_check,
	.miss = twoq_miss,
};
