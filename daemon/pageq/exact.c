/* SPDX-License-Identifier: MIT
 *
 * resident_frames: demand paging to the letter, in the order of events of pagersim
 * (tools/pagersim/sim.c: sim_make_room, sim_settle), so that live counts can be compared with
 * predicted ones. Runs on: fault servers, pageout worker 0.
 */
#include "pageq/pageq.h"
#include "pageq/pageq_priv.h"

/* Rounds without progress before the core gives up for now. */
#define EXACT_STALLS 4u

unsigned
pageq_round_exact_locked(
    struct daemon *d, struct victim *aged, unsigned room, unsigned *ret_aged, struct victim *ret)
{
	struct page_policy *policy = pageq_policy_turn(d);
	pol_page pages[DEACTIVATE_MAX];

	*ret_aged = 0;
	if (pageq_choose_speculative(d, ret))
		return 1;
	for (unsigned stalls = 0; stalls < EXACT_STALLS && *ret_aged < room;) {
		unsigned most =
		    room - *ret_aged < DEACTIVATE_MAX ? room - *ret_aged : DEACTIVATE_MAX;
		unsigned proposed = page_policy_make_room(policy, most, stalls > 0, pages);

		*ret_aged += pageq_unmap_proposed(d, policy, pages, proposed, aged + *ret_aged);
		if (pageq_choose_by(d, policy, 1, ret) > 0)
			return 1;
		stalls += proposed == 0;
	}
	if (*ret_aged > 0 || policy->resident == 0)
		return 0;
	return pageq_fall_back(d, policy, 1, room, aged, ret_aged, ret);
}

static unsigned
settle_by(struct daemon *d, struct page_policy *policy, struct victim *ret, unsigned want)
{
	bool scarce = (uint64_t)load_relaxed(&d->stats.levels[STAT_PAGES_INTERNAL]) >=
		      param(d, resident_frames);
	pol_page pages[DEACTIVATE_MAX];
	unsigned proposed = page_policy_settle(
	    policy, want > DEACTIVATE_MAX ? DEACTIVATE_MAX : want, scarce, pages);

	return pageq_unmap_proposed(d, policy, pages, proposed, ret);
}

unsigned
pageq_settle_locked(struct daemon *d, struct victim *ret, unsigned want)
{
	struct pageq *q = &d->pageq;
	unsigned count = settle_by(d, q->policy, ret, want);

	for (uint32_t i = 0; q->own_policies > 0 && count < want && i < d->tasks.room; i++)
		if (q->task_policies[i])
			count += settle_by(d, q->task_policies[i], ret + count, want - count);
	return count;
}

void
pageq_missed(struct daemon *d, struct vm_object *o, uint64_t index)
{
	pageq_lock(d);
	page_policy_miss(policy_of(d, o), vm_object_pol_page(o, index));
	pageq_unlock(d);
}

void
pageq_resize_locked(struct daemon *d)
{
	struct pageq *q = &d->pageq;

	page_policy_resize(q->policy);
	for (uint32_t i = 0; q->own_policies > 0 && i < d->tasks.room; i++)
		if (q->task_policies[i])
			page_policy_resize(q->task_policies[i]);
	if (q->first_asleep)
		cond_signal(&q->pageout_wanted);
}
