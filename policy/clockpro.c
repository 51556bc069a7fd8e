/* SPDX-License-Identifier: MIT
 *
 * CLOCK-Pro (Jiang, Chen, Zhang, USENIX ATC 2005): one ring of hot pages, resident cold pages and
 * cold pages that have been evicted but are still in their test period. A cold page that is touched
 * in its test period becomes hot. Three hands turn in the same direction:
 *
 *   hand_cold   evicts the next cold page without reference; in its test period it stays in the
 * ring as a ghost hand_hot    turns hot pages without reference cold, and ends the test periods
 * that it passes hand_test   ends test periods when there are more ghosts than frames
 *
 * The share mc of cold pages grows when a test period ends with a touch, and shrinks when one ends
 * without. New pages enter right behind hand_hot.
 *
 * Behind a window: a mapped hot page counts as referenced; a mapped cold page is stepped over by
 * hand_cold, and promoted only if it has been touched since it came. hand_cold cannot evict cold
 * pages that are mapped, so more pages are kept cold: as many more as it met when it came round
 * without a victim.
 */
#include "pol_priv.h"
#include "pol_list.h"
#include "pol_param.h"

#include <errno.h>

enum { RING = 1, LISTS };
/* bits: one of these, and REF. OUT: proposed, and done() has not been called yet. Such pages keep
 * their place in the ring. */
enum { HOT = 1, COLD, COLD_TEST, OUT, OUT_TEST, GHOST, KINDS, KIND = 7, REF = 8 };
/* Steps of hand_hot for one event: if all pages are mapped, it must not cost a whole round. */
enum { HOT_STEPS = 128 };

struct clockpro {
	struct pol_env env;
	struct pol_list lists[LISTS];
	uint32_t count[KINDS];
	pol_page hand_hot, hand_cold, hand_test; /* POL_END: the ring is empty */
	uint32_t mc;                             /* cold pages wanted, mc_min .. nframes - 1 */
	uint32_t mc_min;  /* bounds how far hand_cold goes from one victim to the next */
	uint32_t blocked; /* mapped cold pages in the last round without a victim */
	uint32_t cold_percent;
	POL_ENTRIES struct pol_node nodes[];
};

static int
clockpro_params(struct clockpro *c, const char *params)
{
	const struct pol_param table[] = { { "cold", 1, 99, &c->cold_percent } };

	return pol_params_parse(params, table, 1);
}

static size_t
clockpro_footprint(const struct pol_env *env, const char *params)
{
	struct clockpro scratch;

	if (clockpro_params(&scratch, params) != 0)
		return 0;
	return sizeof(struct clockpro) + env->npages * sizeof(struct pol_node);
}

static uint32_t
clockpro_kind(const struct clockpro *c, pol_page page)
{
	return c->nodes[page].list == 0 ? 0 : c->nodes[page].bits & KIND;
}

static pol_page
clockpro_next(const struct clockpro *c, pol_page page)
{
	pol_page next = c->nodes[page].next;

	return next == POL_END ? c->lists[RING].head : next;
}

static void
clockpro_set_kind(struct clockpro *c, pol_page page, uint32_t kind, uint32_t ref)
{
	c->count[clockpro_kind(c, page)]--;
	c->nodes[page].bits = (kind | ref) & 15;
	c->count[kind]++;
}

/* Right behind hand_hot, which will reach it last. */
static void
clockpro_insert(struct clockpro *c, pol_page page, uint32_t kind)
{
	if (c->hand_hot == POL_END) {
		pol_push_tail(c->nodes, &c->lists[RING], page);
		c->hand_hot = c->hand_cold = c->hand_test = page;
	} else {
		pol_insert_before(c->nodes, &c->lists[RING], c->hand_hot, page);
	}
	c->nodes[page].bits = kind & 15;
	c->count[kind]++;
}

static void
clockpro_remove(struct clockpro *c, pol_page page)
{
	pol_page *hands[] = { &c->hand_hot, &c->hand_cold, &c->hand_test };
	pol_page next = clockpro_next(c, page);

	for (unsigned i = 0; i < 3; i++)
		if (*hands[i] == page)
			*hands[i] = next == page ? POL_END : next;
	c->count[clockpro_kind(c, page)]--;
	pol_remove(c->nodes, &c->lists[RING], page);
	c->nodes[page].bits = 0;
}

/* Ends the test period of a page, if it is in one: a ghost goes, a resident page stays as a cold
 * page without one. */
static void
clockpro_end_test(struct clockpro *c, pol_page page)
{
	uint32_t kind = clockpro_kind(c, page), ref = c->nodes[page].bits & REF;

	if (kind == GHOST)
		clockpro_remove(c, page);
	else if (kind == COLD_TEST || kind == OUT_TEST)
		clockpro_set_kind(c, page, kind == COLD_TEST ? COLD : OUT, ref);
	else
		return;
	if (c->mc > c->mc_min)
		c->mc--;
}

static void
clockpro_turn_test(struct clockpro *c)
{
	while (c->count[GHOST] > c->env.nframes) {
		pol_page page = c->hand_test;

		c->hand_test = clockpro_next(c, page);
		clockpro_end_test(c, page);
	}
}

/* Turns one hot page cold, if one can be found in HOT_STEPS. */
static void
clockpro_turn_hot(struct clockpro *c)
{
	for (unsigned steps = 0; c->count[HOT] > 0 && steps < HOT_STEPS; steps++) {
		pol_page page = c->hand_hot;

		c->hand_hot = clockpro_next(c, page);
		if (clockpro_kind(c, page) != HOT) {
			clockpro_end_test(c, page);
		} else if ((c->nodes[page].bits & REF) ||
			   pol_state_of(&c->env, page) == POL_MAPPED) {
			c->nodes[page].bits = HOT;
		} else {
			clockpro_set_kind(c, page, COLD, 0);
			return;
		}
	}
}

static uint32_t
clockpro_hot_max(const struct clockpro *c)
{
	uint64_t cold = (uint64_t)c->mc + c->blocked;

	return cold < c->env.nframes ? c->env.nframes - (uint32_t)cold : 0;
}

static void
clockpro_promote(struct clockpro *c, pol_page page)
{
	clockpro_remove(c, page);
	clockpro_insert(c, page, HOT);
	if (c->mc + 1 < c->env.nframes)
		c->mc++;
	if (c->count[HOT] > clockpro_hot_max(c))
		clockpro_turn_hot(c);
}

static void
clockpro_resize(void *mem, uint32_t nframes)
{
	struct clockpro *c = mem;

	c->env.nframes = nframes;
	c->mc_min = nframes / 8 + 1;
	if (c->mc >= nframes)
		c->mc = nframes > 1 ? nframes - 1 : 1;
	if (c->mc < c->mc_min)
		c->mc = c->mc_min;
	c->blocked = 0;
	clockpro_turn_test(c);
}

static int
clockpro_init(void *mem, const struct pol_env *env, const char *params)
{
	struct clockpro *c = mem;
	int error;

	if (env->npages > POL_PAGES_MAX)
		return -EINVAL;
	c->env = *env;
	c->cold_percent = 15;
	c->hand_hot = c->hand_cold = c->hand_test = POL_END;
	pol_lists_init(c->lists, LISTS);
	error = clockpro_params(c, params);
	c->mc = (uint32_t)((uint64_t)env->nframes * c->cold_percent / 100) + 1;
	clockpro_resize(c, env->nframes);
	return error;
}

static void
clockpro_fault(void *mem, pol_page page, unsigned pf)
{
	struct clockpro *c = mem;
	uint64_t cold =
	    (uint64_t)c->count[COLD] + c->count[COLD_TEST] + c->count[OUT] + c->count[OUT_TEST];

	switch (clockpro_kind(c, page)) {
	case 0:
		/* While frames are free, pages become hot without a test. */
		if (cold + c->count[HOT] < c->env.nframes && c->count[HOT] + c->mc < c->env.nframes)
			clockpro_insert(c, page, HOT);
		else
			clockpro_insert(c, page, COLD_TEST);
		break;
	case GHOST:
		clockpro_promote(c, page);
		break;
	}
}

static void
clockpro_soft(void *mem, pol_page page, unsigned pf)
{
	struct clockpro *c = mem;

	switch (clockpro_kind(c, page)) {
	case 0:
	case GHOST:
		clockpro_fault(mem, page, pf);
		return;
	case OUT:
		clockpro_set_kind(c, page, COLD, 0);
		break;
	case OUT_TEST:
		clockpro_set_kind(c, page, COLD_TEST, 0);
		break;
	}
	c->nodes[page].bits |= REF;
}

static void
clockpro_forget(void *mem, pol_page page)
{
	if (clockpro_kind(mem, page) != 0)
		clockpro_remove(mem, page);
}

/* Looks at the resident cold page at hand_cold. => true: it is the victim. */
static bool
clockpro_judge(struct clockpro *c, pol_page page)
{
	uint32_t kind = clockpro_kind(c, page);

	if (!(c->nodes[page].bits & REF)) {
		if (pol_state_of(&c->env, page) != POL_INACTIVE)
			return false;
		clockpro_set_kind(c, page, kind == COLD ? OUT : OUT_TEST, 0);
		return true;
	}
	if (kind == COLD_TEST) {
		clockpro_promote(c, page);
	} else {
		clockpro_remove(c, page);
		clockpro_insert(c, page, COLD_TEST);
	}
	return false;
}

/* Turns pages cold until hand_cold can find a victim. */
static void
clockpro_make_cold(struct clockpro *c, uint32_t blocked)
{
	uint32_t before;

	c->blocked = blocked < c->env.nframes ? blocked : c->env.nframes;
	do {
		before = c->count[HOT];
		clockpro_turn_hot(c);
	} while (c->count[HOT] < before && c->count[HOT] > clockpro_hot_max(c));
}

static pol_page
clockpro_victim(struct clockpro *c)
{
	for (unsigned round = 0; round < 3; round++) {
		uint32_t blocked = 0;

		for (uint32_t steps = c->lists[RING].count; steps > 0; steps--) {
			pol_page page = c->hand_cold;
			uint32_t kind = clockpro_kind(c, page);

			if (c->count[COLD] + c->count[COLD_TEST] <= blocked)
				break;
			c->hand_cold = clockpro_next(c, page);
			if (kind != COLD && kind != COLD_TEST)
				continue;
			if (clockpro_judge(c, page))
				return page;
			blocked += !(c->nodes[page].bits & REF) && clockpro_kind(c, page) == kind;
		}
		clockpro_make_cold(c, blocked);
	}
	return POL_NONE;
}

static unsigned
clockpro_select(void *mem, unsigned want, pol_page *out)
{
	unsigned n = 0;

	for (; n < want; n++) {
		out[n] = clockpro_victim(mem);
		if (out[n] == POL_NONE)
			break;
	}
	return n;
}

static void
clockpro_done(void *mem, pol_page page, enum pol_outcome outcome)
{
	struct clockpro *c = mem;
	uint32_t kind = clockpro_kind(c, page);

	if (kind == 0 || kind == GHOST)
		return;
	if (outcome != POL_EVICTED) {
		if (kind == OUT || kind == OUT_TEST)
			clockpro_set_kind(c, page, kind == OUT ? COLD : COLD_TEST, 0);
	} else if (kind == OUT || kind == COLD) {
		clockpro_remove(c, page);
	} else {
		clockpro_set_kind(c, page, GHOST, 0);
		clockpro_turn_test(c);
	}
}

static void
clockpro_stats(const void *mem, struct pol_stats *ret)
{
	const struct clockpro *c = mem;

	*ret = (struct pol_stats){
		.resident = c->lists[RING].count - c->count[GHOST],
		.ghosts = c->count[GHOST],
		.target = c->mc,
	};
}

static const char *
clockpro_check(const void *mem)
{
	const struct clockpro *c = mem;
	const pol_page hands[] = { c->hand_hot, c->hand_cold, c->hand_test };
	const char *wrong = pol_lists_check(c->nodes, c->lists, LISTS, c->env.npages);
	uint32_t count[KIND + 1] = { 0 };

	if (wrong != NULL)
		return wrong;
	for (pol_page page = c->lists[RING].head; page != POL_END; page = c->nodes[page].next)
		count[c->nodes[page].bits & KIND]++;
	if (memcmp(count, c->count, sizeof(c->count)) != 0)
		return "clock-pro: the counts are not those of the ring";
	for (unsigned i = 0; i < 3; i++)
		if ((hands[i] == POL_END) != (c->lists[RING].count == 0) ||
		    (hands[i] != POL_END && c->nodes[hands[i]].list != RING))
			return "clock-pro: a hand is off the ring";
	if (c->count[GHOST] > c->env.nframes)
		return "clock-pro: more ghosts than frames";
	return c->mc >= c->mc_min ? NULL : "clock-pro: too few cold pages wanted";
}

const struct pol_ops pol_clockpro = {
	.abi = POLICY_ABI,
	.name = "clock-pro",
	.help = "hot, cold and test pages on one clock with three hands",
	.params = "cold=15 cold pages wanted at the start, percent of frames",
	.arrays = { { offsetof(struct clockpro, nodes), sizeof(struct pol_node) } },
	.footprint = clockpro_footprint,
	.init = clockpro_init,
	.fault = clockpro_fault,
	.soft = clockpro_soft,
	.forget = clockpro_forget,
	.select = clockpro_select,
	.done = clockpro_done,
	.resize = clockpro_resize,
	.stats = clockpro_stats,
	.check = clockpro_check,
};
