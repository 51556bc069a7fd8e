/* SPDX-License-Identifier: MIT
 *
 * The daemon's default: Mach's two queues (reference/policies.md 2.2, MACH2Q; XNU's vm_pageout).
 *
 *   fault ---> ACTIVE tail ... head --- deactivate ---> INACTIVE tail ... head --- select --->
 * PROPOSED ^                                         |                                     |
 *                +------------------ soft -----------------+------------- soft ------------------+
 *
 * ACTIVE pages are mapped and their touches invisible, INACTIVE ones are unmapped and get a second
 * chance. deactivate() keeps |INACTIVE| at a share of all resident pages, a third by default: too
 * small and a page has no time to be touched again, too large and soft faults cost more than the
 * major faults they save.
 *
 * adapt=1 moves that share by what both kinds of fault cost: a soft fault is the unit, a major one
 * costs `cost` of them (the daemon tunes it to what it measures). Over an epoch of as many faults
 * as pages are resident, soft faults may cost up to `overhead` percent of what major faults cost:
 * below it the share grows, above it shrinks.
 *
 * near=N unmaps, with a page, those of its aligned block of 16 that are among the oldest N percent of
 * ACTIVE: one flush of the TLBs, one write-protection and one hole serve them all, and where pages are
 * touched at random it makes no difference which of the old ones go. An age is counted in eighths of
 * ACTIVE, in the node's bits.
 *
 * Every call is O(1) for each page it moves and touches its node and those of two neighbours.
 */
#include "pol_priv.h"
#include "pol_list.h"
#include "pol_param.h"

#include <errno.h>

enum { ACTIVE = 1, INACTIVE, PROPOSED, LISTS };
enum { BLOCK = 16, EIGHTHS = 8 };
enum { SHARE_MIN = 5, SHARE_MAX = 75, SHARE_STEP = 2, EPOCH_MIN = 64 };

struct mach2q {
	struct pol_env env;
	struct pol_list lists[LISTS];
	uint32_t share; /* inactive target, percent of resident; 33 stands for one third */
	uint32_t adapt, cost, overhead, near;
	uint32_t eighth, entered;         /* clock of ages, and pages that entered ACTIVE since it moved */
	uint32_t epoch_soft, epoch_major; /* since the last look at the share */
	struct pol_node nodes[];
};

static int
mach2q_params(struct mach2q *m, const char *params)
{
	const struct pol_param table[] = {
	    {"inactive", 1, 90, &m->share},
	    {"adapt", 0, 1, &m->adapt},
	    {"cost", 1, 1000000, &m->cost},
	    {"overhead", 1, 1000, &m->overhead},
	    {"near", 0, 100, &m->near},
	};

	return pol_params_parse(params, table, sizeof(table) / sizeof(table[0]));
}

static size_t
mach2q_footprint(const struct pol_env *env, const char *params)
{
	struct mach2q scratch;

	if (mach2q_params(&scratch, params) != 0)
		return 0;
	return sizeof(struct mach2q) + env->npages * sizeof(struct pol_node);
}

static int
mach2q_init(void *mem, const struct pol_env *env, const char *params)
{
	struct mach2q *m = mem;

	if (env->npages > POL_PAGES_MAX)
		return -EINVAL;
	m->env = *env;
	m->share = 33;
	m->cost = 20;
	m->overhead = 20;
	pol_lists_init(m->lists, LISTS);
	return mach2q_params(m, params);
}

static uint32_t
mach2q_resident(const struct mach2q *m)
{
	return m->lists[ACTIVE].count + m->lists[INACTIVE].count + m->lists[PROPOSED].count;
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
	/* Much too many: a phase without reuse (a first touch of everything) has let the share grow. */
	if (soft > 2 * allowed && m->share - m->share / 4 >= SHARE_MIN)
		m->share -= m->share / 4;
	else if (soft > allowed && m->share >= SHARE_MIN + SHARE_STEP)
		m->share -= SHARE_STEP;
	else if (soft < allowed / 2 && m->share + SHARE_STEP <= SHARE_MAX)
		m->share += SHARE_STEP;
	m->epoch_soft = m->epoch_major = 0;
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

	if (m->nodes[page].list != 0)
		return;
	/* Nobody has asked for a prefetched page: it is the next to be unmapped, and a touch will
	 * show. */
	if (pf & PF_PREFETCH)
		pol_push_head(m->nodes, &m->lists[ACTIVE], page);
	else
		mach2q_activate(m, page);
	if (m->adapt != 0) {
		m->epoch_major++;
		mach2q_adapt(m);
	}
}

static void
mach2q_soft(void *mem, pol_page page, unsigned pf)
{
	struct mach2q *m = mem;

	switch (m->nodes[page].list) {
	case 0:
		mach2q_activate(m, page);
		break;
	case INACTIVE:
	case PROPOSED:
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

	if (m->nodes[page].list != 0)
		pol_detach(m->nodes, m->lists, page);
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
		if (m->nodes[p].list != ACTIVE || ((m->eighth - m->nodes[p].bits) & 15) < oldest)
			continue;
		pol_move_tail(m->nodes, m->lists, INACTIVE, p);
		out[n++] = p;
	}
	return n;
}

static unsigned
mach2q_deactivate(void *mem, unsigned want, pol_page *out)
{
	struct mach2q *m = mem;
	uint32_t target = mach2q_target(m);
	unsigned n = 0;

	while (n < want && m->lists[INACTIVE].count < target && m->lists[ACTIVE].count > 0) {
		pol_page page = m->lists[ACTIVE].head;

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

	if (outcome == POL_EVICTED)
		mach2q_forget(mem, page);
	else if (m->nodes[page].list != PROPOSED)
		return;
	else if (outcome == POL_RESCUED || outcome == POL_FAILED)
		mach2q_activate(m, page);
	else
		pol_move_tail(m->nodes, m->lists, INACTIVE, page);
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
	    .mapped = m->lists[ACTIVE].count,
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
    .params = "inactive=33 percent of resident pages kept unmapped (33: one third); adapt=0 move "
	      "it by the cost "
	      "of faults; cost=20 soft faults that a major one costs; overhead=20 percent of the "
	      "cost of major "
	      "faults that soft ones may cost; near=0 percent of the mapped pages, the oldest, that are "
	      "unmapped together with a neighbour",
    .flags = POL_KEEPS_TARGET,
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
