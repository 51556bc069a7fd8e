/* SPDX-License-Identifier: MIT
 *
 * Demand paging to the letter: tools/pagersim/sim.c has the same order of events (sim_make_room,
 * sim_settle). Runs on: fault servers, pageout worker 0, the control loop (a changed parameter).
 * Allocates nothing.
 */
#include "pageq/exact.h"

#include "pageq/choose.h"
#include "pageq/pageq_priv.h"
#include "pageq/victim.h"

/* Proposals of nothing after which a round gives up. */
#define EXACT_STALLS 4u
/* Proposals in a row of nothing that can be unmapped, after which it gives up: a policy from
 * outside may go on naming pages without end. */
#define EXACT_VAIN 64u

unsigned
exact_round_locked(
    struct daemon *d, struct victim *aged, unsigned room, unsigned *ret_aged, struct victim *ret)
{
	struct page_policy *policy = policies_turn_locked(d);
	pol_page pages[PROPOSALS_MAX];
	unsigned vain = 0;

	pageq_assert_held(d);
	*ret_aged = 0;
	if (choose_speculative_locked(d, ret))
		return 1;
	for (unsigned stalls = 0; stalls < EXACT_STALLS && vain < EXACT_VAIN && *ret_aged < room;) {
		unsigned most = room - *ret_aged < PROPOSALS_MAX ? room - *ret_aged : PROPOSALS_MAX;
		unsigned proposed = page_policy_make_room(policy, most, stalls > 0, pages);

		unsigned unmapped =
		    unmap_proposed_locked(d, policy, pages, proposed, aged + *ret_aged);

		*ret_aged += unmapped;
		vain = unmapped > 0 ? 0 : vain + 1;
		if (choose_by_locked(d, policy, 1, ret) > 0)
			return 1;
		stalls += proposed == 0;
	}
	if (*ret_aged > 0 || policy->resident == 0)
		return 0;
	return fall_back_locked(d, policy, 1, room, aged, ret_aged, ret);
}

/* What one policy wants unmapped after a fault. */
static unsigned
settle_by_locked(struct daemon *d, struct page_policy *policy, struct victim *ret, unsigned want)
{
	long long resident = load_relaxed(&d->stats.levels[STAT_PAGES_INTERNAL]) +
			     load_relaxed(&d->stats.levels[STAT_PAGES_REUSABLE]) +
			     load_relaxed(&d->stats.levels[STAT_PAGES_EXTERNAL]);
	bool scarce = (uint64_t)resident >= param(d, resident_frames);
	pol_page pages[PROPOSALS_MAX];
	unsigned proposed =
	    page_policy_settle(policy, want > PROPOSALS_MAX ? PROPOSALS_MAX : want, scarce, pages);

	pageq_assert_held(d);
	CHECK(proposed <= want);
	return unmap_proposed_locked(d, policy, pages, proposed, ret);
}

unsigned
exact_settle_locked(struct daemon *d, struct victim *ret, unsigned want)
{
	const struct policies *p = &d->pageq.policies;
	unsigned count = settle_by_locked(d, p->common, ret, want);

	pageq_assert_held(d);
	for (uint32_t i = 0; p->own_count > 0 && count < want && i < d->tasks.room; i++)
		if (p->own[i])
			count += settle_by_locked(d, p->own[i], ret + count, want - count);
	return count;
}

void
exact_missed(struct daemon *d, struct vm_object *o, uint64_t index)
{
	locks_assert_none();
	pageq_lock(d);
	page_policy_miss(object_policy(d, o), vm_object_pol_page(o, index));
	pageq_unlock(d);
}

void
exact_resize_locked(struct daemon *d)
{
	const struct policies *p = &d->pageq.policies;

	pageq_assert_held(d);
	page_policy_resize(p->common);
	for (uint32_t i = 0; p->own_count > 0 && i < d->tasks.room; i++)
		if (p->own[i])
			page_policy_resize(p->own[i]);
	if (d->pageq.calls.first_asleep)
		cond_signal(&d->pageq.calls.pageout_wanted);
}
