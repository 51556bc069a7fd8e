/* SPDX-License-Identifier: MIT
 *
 * The daemon's default: Mach's two queues (doc/policies.md).
 *
 *   fault -> ACTIVE tail ... head -- deactivate --> INACTIVE tail ... head -- select --> PROPOSED
 *     |    ^                               ^             |                                  |
 *     |    +-------------------------------|---- soft ---+------------- soft ---------------+
 *     +------> TRIAL tail ... head --------+
 *
 * ACTIVE pages are mapped and their touches invisible, INACTIVE ones are unmapped and get a second
 * chance. deactivate() keeps |INACTIVE| at a share of all resident pages, a third by default. If
 * the share is too small, a page has no time to be touched again; if it is too large, soft faults
 * cost more than the major faults they save.
 *
 * adapt=1 adapts that share to the cost of both kinds of fault. The unit is a soft fault; a major
 * one costs `cost` of them (the daemon tunes this to its measurements). An epoch has as many faults
 * as pages are resident. In one epoch soft faults may cost up to `overhead` percent of the cost of
 * major faults: if they cost less the share grows, if they cost more it shrinks.
 *
 * near=N unmaps, together with a page, the pages of its aligned block of 16 that are among the
 * oldest N percent of ACTIVE. One flush of the TLBs, one write-protection and one hole serve them
 * all, and if pages are touched at random it makes no difference which of the old ones go. Ages are
 * counted in eighths of ACTIVE, and kept in the node's bits.
 *
 * refault=N separates pages by how soon they come back, as Linux's workingset detection does. The
 * distance of a page is the number of other pages that have left between its eviction and its next
 * fault. If it is less than N percent of the resident pages, the page was evicted too soon, and
 * becomes active. Other pages are on TRIAL, from which pages are unmapped first while there are
 * more than `trial` percent of them; a page touched there while it is INACTIVE becomes active. If
 * no page is likelier to come back than another, separating them wins nothing, so with adapt=1 it
 * is done only while pages come back soon clearly more often than by chance: with a mean distance
 * D, chance brings 1 - exp(-N/D) of them back within N, for which 2N / (2D + N) is a close
 * approximation.
 *
 * turns=N lets a page that has shown itself to be in use pass the head of ACTIVE up to N times
 * before it is unmapped, like clocks with counters (GCLOCK, S3-FIFO). A page that came back soon
 * gets a turn for each time that its distance can be doubled before it is no longer soon; a touch
 * while the page was INACTIVE gives one more. While pages are separated, such a page is not
 * unmapped with a neighbour either. Distances are counted in evictions; the number of a page's
 * eviction stands in its node while the node is on no list.
 *
 * Every call is O(1) for each page it moves and touches its node and those of two neighbours;
 * deactivate() lets at most TURNS_PER_PAGE pages pass for each one that is wanted.
 */
#include "pol_priv.h"
#include "pol_list.h"
#include "pol_param.h"

#include <errno.h>

enum { ACTIVE = 1, INACTIVE, PROPOSED, TRIAL, LISTS };
enum { BLOCK = 16, EIGHTHS = 8 };
enum { SHARE_MIN = 3, SHARE_MAX = 75, SHARE_STEP = 2, EPOCH_MIN = 64 };
/* Pages that come back soon, in percent of the number that chance would bring back: at the first
 * figure separating begins, below the second it ends. */
enum { SKEW_BEGINS = 125, SKEW_ENDS = 105, SKEW_EPOCH_MIN = 4096 };
/* The most further turns that a page can have, and the most pages that take one for each page that
 * is wanted, so that a call stays short. */
enum { TURNS_MAX = 15, TURNS_PER_PAGE = 8 };
enum { GHOST = 1 }; /* in prev of a node on no list: next is the number of its eviction */

struct mach2q {
	struct pol_env env;
	struct pol_list lists[LISTS];
	uint32_t share; /* inactive target, percent of resident; 33 stands for one third */
	uint32_t adapt, cost, overhead, near, refault, trial, turns;
	uint32_t eighth;                  /* the clock of ages */
	uint32_t entered;                 /* pages that have entered ACTIVE since it moved */
	uint32_t epoch_soft, epoch_major; /* since the last look at the share */
	uint32_t evicted;                 /* pages that have ever left, modulo 2^28 */
	uint32_t ghosts;                  /* of those: not back yet */
	uint32_t back;                    /* ghosts that came back since the last look for skew */
	uint32_t back_soon;               /* of those: soon */
	uint64_t distances;               /* the sum of their distances */
	uint32_t is_parting;
	uint8_t *turns_left; /* of each page: npages bytes, behind the nodes */
	POL_ENTRIES struct pol_node nodes[];
};

static int
mach2q_params(struct mach2q *m, const char *params)
{
	const struct pol_param table[] = {
		{ "inactive", 1, 90, &m->share },
		{ "adapt", 0, 1, &m->adapt },
		{ "cost", 1, 1000000, &m->cost },
		{ "overhead", 1, 1000, &m->overhead },
		{ "near", 0, 100, &m->near },
		{ "refault", 0, 400, &m->refault },
		{ "trial", 1, 100, &m->trial },
		{ "turns", 0, TURNS_MAX, &m->turns },
	};

	return pol_params_parse(params, table, sizeof(table) / sizeof(table[0]));
}

static size_t
mach2q_footprint(const struct pol_env *env, const char *params)
{
	struct mach2q scratch;

	if (mach2q_params(&scratch, params) != 0)
		return 0;
	return sizeof(struct mach2q) + env->npages * (sizeof(struct pol_node) + 1);
}

static int
mach2q_init(void *mem, const struct pol_env *env, const char *params)
{
	struct mach2q *m = mem;

	if (env->npages > POL_PAGES_MAX)
		return -EINVAL;
	m->env = *env;
	m->turns_left = (uint8_t *)&m->nodes[env->npages];
	m->share = 33;
	m->cost = 20;
	m->overhead = 20;
	m->trial = 33;
	pol_lists_init(m->lists, LISTS);
	return mach2q_params(m, params);
}

static uint32_t
mach2q_mapped(const struct mach2q *m)
{
	return m->lists[ACTIVE].count + m->lists[TRIAL].count;
}

static uint32_t
mach2q_resident(const struct mach2q *m)
{
	return mach2q_mapped(m) + m->lists[INACTIVE].count + m->lists[PROPOSED].count;
}

static uint32_t
mach2q_target(const struct mach2q *m)
{
	uint32_t resident = mach2q_resident(m);
	uint64_t target = m->share == 33 ? resident / 3 : (uint64_t)resident * m->share / 100;

	return target > 1 ? (uint32_t)target : 1;
}

static void
mach2q_adapt(struct mach2q *m)
{
	uint64_t soft = m->epoch_soft, major = m->epoch_major, allowed;

	if (soft + major < EPOCH_MIN || soft + major < mach2q_resident(m) / 4)
		return;
	allowed = major * m->cost * m->overhead / 100;
	/* Far too many are inactive: a phase without reuse (a first touch of all pages) has let the
	 * share grow. */
	if (soft > 2 * allowed && m->share - m->share / 4 >= SHARE_MIN)
		m->share -= m->share / 4;
	else if (soft > allowed && m->share >= SHARE_MIN + SHARE_STEP)
		m->share -= SHARE_STEP;
	else if (soft < allowed / 2 && m->share + SHARE_STEP <= SHARE_MAX)
		m->share += SHARE_STEP;
	m->epoch_soft = m->epoch_major = 0;
}

static void
mach2q_leave_ghost(struct mach2q *m, pol_page page)
{
	m->nodes[page].prev = GHOST;
	m->nodes[page].next = m->evicted++ & POL_END;
	m->ghosts++;
}

/* => whether there was a ghost; *ret_distance: pages that have left since */
static bool
mach2q_take_ghost(struct mach2q *m, pol_page page, uint32_t *ret_distance)
{
	struct pol_node *node = &m->nodes[page];

	if (node->list != 0 || node->prev != GHOST)
		return false;
	node->prev = 0;
	m->ghosts--;
	*ret_distance = (m->evicted - node->next) & POL_END;
	return true;
}

/* The distance below which a page comes back soon, in pages that leave. */
static uint64_t
mach2q_soon(const struct mach2q *m)
{
	return (uint64_t)mach2q_resident(m) * m->refault / 100;
}

/* => further turns of a page that was touched again after `distance` others had left. */
static uint32_t
mach2q_turns(const struct mach2q *m, uint64_t distance)
{
	uint64_t soon = mach2q_soon(m) / 2;
	uint32_t turns = 0;

	for (; turns < m->turns && distance < soon; soon /= 2)
		turns++;
	return turns;
}

static void
mach2q_look_for_skew(struct mach2q *m)
{
	uint64_t soon = mach2q_soon(m), chance;

	if (m->back < SKEW_EPOCH_MIN || m->back < mach2q_resident(m) / 4)
		return;
	chance = 2 * soon * m->back / (2 * (m->distances / m->back) + soon);
	if ((uint64_t)m->back_soon * 100 > chance * SKEW_BEGINS)
		m->is_parting = 1;
	else if ((uint64_t)m->back_soon * 100 < chance * SKEW_ENDS)
		m->is_parting = 0;
	m->back = m->back_soon = 0;
	m->distances = 0;
}

static bool
mach2q_parts(const struct mach2q *m)
{
	return m->refault != 0 && (m->adapt == 0 || m->is_parting != 0);
}

/* A page comes in. => whether it becomes active at once */
static bool
mach2q_is_back_soon(struct mach2q *m, pol_page page)
{
	uint32_t distance;
	bool soon = false;

	if (mach2q_take_ghost(m, page, &distance) && m->refault != 0) {
		soon = distance < mach2q_soon(m);
		m->turns_left[page] = (uint8_t)mach2q_turns(m, distance);
		m->back++;
		m->back_soon += soon;
		m->distances += distance;
		mach2q_look_for_skew(m);
	}
	return soon;
}

/* The page enters ACTIVE at its tail, from no list or from another. */
static void
mach2q_activate(struct mach2q *m, pol_page page)
{
	if (m->nodes[page].list != 0)
		pol_detach(m->nodes, m->lists, page);
	if (++m->entered > m->lists[ACTIVE].count / EIGHTHS) {
		m->entered = 0;
		m->eighth++;
	}
	m->nodes[page].bits = m->eighth & 15;
	pol_push_tail(m->nodes, &m->lists[ACTIVE], page);
}

static void
mach2q_fault(void *mem, pol_page page, unsigned pf)
{
	struct mach2q *m = mem;
	bool soon;

	if (m->nodes[page].list != 0)
		return;
	soon = mach2q_is_back_soon(m, page);
	/* Nothing has touched a prefetched page yet: it is the next to be unmapped, so that a touch
	 * will be seen. */
	if (pf & PF_PREFETCH)
		pol_push_head(m->nodes, &m->lists[mach2q_parts(m) ? TRIAL : ACTIVE], page);
	else if (mach2q_parts(m) && !soon)
		pol_push_tail(m->nodes, &m->lists[TRIAL], page);
	else
		mach2q_activate(m, page);
	if (m->adapt != 0) {
		m->epoch_major++;
		mach2q_adapt(m);
	}
}

/* The page was touched while it was INACTIVE: it gets one turn, and those of a page that came back
 * at a distance of |INACTIVE|. */
static void
mach2q_gain_turns(struct mach2q *m, pol_page page)
{
	uint32_t turns = m->turns_left[page] + 1 + mach2q_turns(m, m->lists[INACTIVE].count);

	m->turns_left[page] = (uint8_t)(turns < m->turns ? turns : m->turns);
}

static void
mach2q_soft(void *mem, pol_page page, unsigned pf)
{
	struct mach2q *m = mem;
	uint32_t distance;

	switch (m->nodes[page].list) {
	case 0:
		(void)mach2q_take_ghost(m, page, &distance);
		mach2q_activate(m, page);
		break;
	case INACTIVE:
	case PROPOSED:
		mach2q_gain_turns(m, page);
		mach2q_activate(m, page);
		if (m->adapt != 0) {
			m->epoch_soft++;
			mach2q_adapt(m);
		}
		break;
	}
}

static void
mach2q_forget(void *mem, pol_page page)
{
	struct mach2q *m = mem;
	uint32_t distance;

	if (m->nodes[page].list == 0) {
		(void)mach2q_take_ghost(m, page, &distance);
		return;
	}
	pol_detach(m->nodes, m->lists, page);
	m->nodes[page].prev = 0; /* no ghost any more */
	m->turns_left[page] = 0;
}

/* Whether a page may go with a neighbour that is unmapped: one on trial, or an old one. */
static bool
mach2q_may_go(const struct mach2q *m, pol_page page, uint32_t oldest)
{
	const struct pol_node *node = &m->nodes[page];

	return node->list == TRIAL ||
	       (node->list == ACTIVE && (m->turns_left[page] == 0 || !mach2q_parts(m)) &&
		   ((m->eighth - node->bits) & 15) >= oldest);
}

static unsigned
mach2q_neighbours(struct mach2q *m, pol_page page, unsigned want, pol_page *out)
{
	pol_page first = page - page % BLOCK, end = first + BLOCK;
	uint32_t oldest = EIGHTHS * (100 - m->near) / 100;
	unsigned n = 0;

	if (end > m->env.npages)
		end = m->env.npages;
	for (pol_page p = first; p < end && n < want; p++) {
		if (!mach2q_may_go(m, p, oldest))
			continue;
		pol_move_tail(m->nodes, m->lists, INACTIVE, p);
		out[n++] = p;
	}
	return n;
}

/* => the list whose head is unmapped next: TRIAL while it has more than its share, or has been
 * given up. */
static unsigned
mach2q_source(const struct mach2q *m)
{
	uint64_t share = mach2q_parts(m) ? m->trial : 0;

	if (m->lists[ACTIVE].count == 0)
		return TRIAL;
	return (uint64_t)m->lists[TRIAL].count * 100 > share * mach2q_resident(m) ? TRIAL : ACTIVE;
}

static unsigned
mach2q_deactivate(void *mem, unsigned want, pol_page *out)
{
	struct mach2q *m = mem;
	uint32_t target = mach2q_target(m);
	unsigned n = 0, turns = 0;

	while (n < want && m->lists[INACTIVE].count < target && mach2q_mapped(m) > 0) {
		unsigned source = mach2q_source(m);
		pol_page page = m->lists[source].head;

		if (source == ACTIVE && m->turns_left[page] > 0 &&
		    turns++ < want * TURNS_PER_PAGE) {
			m->turns_left[page]--;
			mach2q_activate(m, page);
			continue;
		}
		pol_move_tail(m->nodes, m->lists, INACTIVE, page);
		out[n++] = page;
		if (m->near != 0)
			n += mach2q_neighbours(m, page, want - n, out + n);
	}
	return n;
}

static unsigned
mach2q_select(void *mem, unsigned want, pol_page *out)
{
	struct mach2q *m = mem;
	unsigned n = 0;

	while (n < want && m->lists[INACTIVE].count > 0) {
		out[n] = m->lists[INACTIVE].head;
		pol_move_tail(m->nodes, m->lists, PROPOSED, out[n++]);
	}
	return n;
}

static void
mach2q_done(void *mem, pol_page page, enum pol_outcome outcome)
{
	struct mach2q *m = mem;

	if (outcome == POL_EVICTED) {
		mach2q_forget(mem, page);
		mach2q_leave_ghost(m, page);
	} else if (m->nodes[page].list != PROPOSED) {
		return;
	} else if (outcome == POL_RESCUED || outcome == POL_FAILED) {
		mach2q_activate(m, page);
	} else {
		pol_move_tail(m->nodes, m->lists, INACTIVE, page);
	}
}

static void
mach2q_resize(void *mem, uint32_t nframes)
{
	((struct mach2q *)mem)->env.nframes = nframes;
}

static void
mach2q_stats(const void *mem, struct pol_stats *ret)
{
	const struct mach2q *m = mem;

	*ret = (struct pol_stats){
		.resident = mach2q_resident(m),
		.mapped = mach2q_mapped(m),
		.ghosts = m->ghosts,
		.inactive = m->lists[INACTIVE].count + m->lists[PROPOSED].count,
		.target = mach2q_target(m),
	};
}

static const char *
mach2q_check(const void *mem)
{
	const struct mach2q *m = mem;

	if (m->share < 1 || m->share > 90)
		return "mach2q: inactive share out of range";
	if (m->ghosts > m->env.npages - mach2q_resident(m))
		return "mach2q: more ghosts than pages that are away";
	if (m->back_soon > m->back)
		return "mach2q: more pages back soon than back";
	return pol_lists_check(m->nodes, m->lists, LISTS, m->env.npages);
}

static int
mach2q_tune(void *mem, const char *params)
{
	return mach2q_params(mem, params);
}

const struct pol_ops pol_mach2q = {
	.abi = POLICY_ABI,
	.name = "mach2q",
	.help = "Mach's active and inactive queues, the default",
	.params =
	    "inactive=33 percent of resident pages kept unmapped (33: one third); adapt=0 move "
	    "it by the cost "
	    "of faults; cost=20 soft faults that a major one costs; overhead=20 percent of the "
	    "cost of major "
	    "faults that soft ones may cost; near=0 percent of the mapped pages, the oldest, that "
	    "are "
	    "unmapped together with a neighbour; refault=0 percent of the resident pages: what "
	    "comes back "
	    "before as many have left becomes active, the rest is on trial (0: all become active; "
	    "with "
	    "adapt=1 only where it differs from chance); trial=33 percent of the resident pages "
	    "that may "
	    "be on trial before others are unmapped; turns=0 most further turns as active that a "
	    "page has which "
	    "came back or was touched soon",
	.flags = POL_KEEPS_TARGET,
	.arrays = { { offsetof(struct mach2q, nodes), sizeof(struct pol_node) },
	    { 0, sizeof(uint8_t) } },
	.footprint = mach2q_footprint,
	.init = mach2q_init,
	.fault = mach2q_fault,
	.soft = mach2q_soft,
	.forget = mach2q_forget,
	.deactivate = mach2q_deactivate,
	.select = mach2q_select,
	.done = mach2q_done,
	.resize = mach2q_resize,
	.stats = mach2q_stats,
	.check = mach2q_check,
	.tune = mach2q_tune,
};
