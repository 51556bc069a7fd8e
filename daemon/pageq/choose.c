/* SPDX-License-Identifier: MIT
 *
 * Which pages become inactive and which leave: rounds of the policies, and the core's own choices.
 * Runs on: pageout workers; PAGEQ held in every function. Allocates nothing.
 */
#include "pageq/pageq.h"
#include "pageq/pageq_priv.h"

/* --- when a policy proposes nothing though pages of its clients are there --- */

/* A policy from outside that is lazy or lost must not bring pageout to a stand: the core goes round
 * the frames by itself, and says so in a statistic. */

/* Frames looked at in one call: PAGEQ is held. */
#define FALLBACK_LOOKS 4096u

unsigned
pageq_fall_back(struct daemon *d, struct page_policy *policy, unsigned want, unsigned want_aged,
    struct victim *aged, unsigned *ret_aged, struct victim *ret)
{
	struct pageq *q = &d->pageq;
	unsigned count = 0;

	*ret_aged = 0;
	for (unsigned looks = 0; looks < FALLBACK_LOOKS && looks < d->frames.count && count < want;
	     looks++) {
		uint32_t frame = q->fallback_hand;
		enum page_state state = state_of(d, frame);
		struct vm_object *o;

		q->fallback_hand = frame + 1 < d->frames.count ? frame + 1 : 0;
		if (state != PAGE_ACTIVE && state != PAGE_INACTIVE)
			continue;
		o = d->objects.objects[page_of(d, frame)->object];
		if (policy_of(d, o) != policy)
			continue;
		/* Mapped means referenced: what is active now may leave when the hand comes round
		 * again. */
		if (state == PAGE_INACTIVE)
			count +=
			    pageq_choose_page_locked(d, o, page_of(d, frame)->index, &ret[count]);
		else if (*ret_aged < want_aged)
			*ret_aged += pageq_deactivate_frame_locked(
			    d, frame, (struct task_name){ 0 }, &aged[*ret_aged]);
	}
	if (count > 0 || *ret_aged > 0)
		pageq_count(d, STAT_POLICY_FALLBACKS);
	return count;
}

/* --- what policies propose --- */

unsigned
pageq_unmap_proposed(struct daemon *d, struct page_policy *policy, const pol_page *pages,
    unsigned proposed, struct victim *ret)
{
	unsigned count = 0;

	for (unsigned i = 0; i < proposed; i++) {
		uint32_t frame = frame_of(d, pages[i]);
		uint32_t word = frame == FRAME_NONE ? 0 : load_acquire(&page_of(d, frame)->word);
		struct vm_object *o;

		/* Cooled down by its owner before the policy came to it. */
		if (frame != FRAME_NONE && page_word_state(word) == PAGE_INACTIVE)
			continue;
		if (frame == FRAME_NONE || page_word_state(word) != PAGE_ACTIVE ||
		    word & PAGE_BUSY) {
			/* In transit by a fault: that is a reference. */
			page_policy_soft(policy, pages[i], 0);
			continue;
		}
		o = d->objects.objects[page_of(d, frame)->object];
		vm_page_commit(d, o, frame, PAGE_ACTIVE, PAGE_INACTIVE);
		vm_object_get(o);
		ret[count++] = (struct victim){ pages[i], frame, o };
	}
	return count;
}

static unsigned
deactivate_by(
    struct daemon *d, struct page_policy *policy, unsigned want, bool needed, struct victim *ret)
{
	pol_page pages[DEACTIVATE_MAX];
	unsigned proposed = page_policy_deactivate(
	    policy, want > DEACTIVATE_MAX ? DEACTIVATE_MAX : want, needed, pages);

	return pageq_unmap_proposed(d, policy, pages, proposed, ret);
}

struct page_policy *
pageq_policy_turn(struct daemon *d)
{
	struct pageq *q = &d->pageq;
	uint64_t total = q->policy->resident, ticket;

	if (q->own_policies == 0)
		return q->policy;
	for (uint32_t i = 0; i < d->tasks.room; i++)
		if (q->task_policies[i])
			total += q->task_policies[i]->resident;
	if (total == 0)
		return q->policy;
	/* A stride that is coprime to most totals walks all shares evenly. */
	q->policy_turn += 2654435761u;
	ticket = (uint64_t)q->policy_turn * total >> 32;
	for (uint32_t i = 0; i < d->tasks.room; i++) {
		struct page_policy *own = q->task_policies[i];

		if (!own)
			continue;
		if (ticket < own->resident)
			return own;
		ticket -= own->resident;
	}
	return q->policy;
}

static void
choose_neighbours(struct daemon *d, struct vm_object *o, uint64_t index, unsigned want,
    struct victim *ret, unsigned *count)
{
	uint64_t cluster = param(d, pageout_cluster);
	uint64_t first = index - index % cluster;
	uint64_t last = min_u64(first + cluster, o->page_count);

	for (uint64_t i = first; i < last && *count < want; i++)
		if (i != index && pageq_choose_page_locked(d, o, i, &ret[*count]))
			++*count;
}

static void
violation(struct daemon *d, struct page_policy *policy, pol_page page)
{
	pageq_count(d, STAT_POLICY_VIOLATIONS);
	page_policy_forget(policy, page, false);
}

unsigned
pageq_choose_by(struct daemon *d, struct page_policy *policy, unsigned want, struct victim *ret)
{
	unsigned count = 0;

	for (unsigned tries = 0; count < want && tries < 2 * want; tries++) {
		struct vm_object *o;
		pol_page page;
		uint32_t frame;

		if (page_policy_select(policy, 1, &page) == 0)
			break;
		frame = frame_of(d, page);
		if (frame == FRAME_NONE) {
			violation(d, policy, page);
			continue;
		}
		o = d->objects.objects[page_of(d, frame)->object];
		if (!pageq_choose_page_locked(d, o, page_of(d, frame)->index, &ret[count])) {
			if (state_of(d, frame) == PAGE_ACTIVE)
				pageq_count(d, STAT_POLICY_VIOLATIONS);
			page_policy_done(policy, page, POL_BUSY);
			continue;
		}
		count++;
		choose_neighbours(d, o, page_of(d, frame)->index, want, ret, &count);
	}
	return count;
}

bool
pageq_choose_speculative(struct daemon *d, struct victim *ret)
{
	if (d->pageq.speculative_head == FRAME_NONE)
		return false;
	pageq_take_speculative(d, d->pageq.speculative_head, ret);
	return true;
}

unsigned
pageq_round_locked(struct daemon *d, unsigned want, unsigned want_aged, bool needed,
    struct victim *aged, unsigned *ret_aged, struct victim *ret)
{
	struct page_policy *policy = pageq_policy_turn(d);
	unsigned count = 0;

	*ret_aged = deactivate_by(d, policy, want_aged, false, aged);
	while (count < want && pageq_choose_speculative(d, &ret[count]))
		count++;
	count += pageq_choose_by(d, policy, want - count, ret + count);
	if (needed && count == 0 && *ret_aged == 0) {
		/* None proposed: the policy is asked to unmap some, and then for victims again. */
		*ret_aged = deactivate_by(d, policy, want_aged, true, aged);
		count = pageq_choose_by(d, policy, want, ret);
	}
	if (needed && count == 0 && *ret_aged == 0 && policy->resident > 0)
		count = pageq_fall_back(d, policy, want, want_aged, aged, ret_aged, ret);
	return count;
}

/* Frames looked at in one search for clean pages. */
#define CLEAN_SEARCH 4096u

unsigned
pageq_choose_clean_locked(struct daemon *d, unsigned want, struct victim *ret)
{
	unsigned count = 0;

	for (unsigned n = 0; n < CLEAN_SEARCH && n < d->frames.count && count < want; n++) {
		struct vm_page *p = page_of(d, d->pageq.clean_hand);
		uint32_t word = load_acquire(&p->word);
		enum page_state state = page_word_state(word);
		struct vm_object *o;

		if (++d->pageq.clean_hand == d->frames.count)
			d->pageq.clean_hand = 0;
		/* Neither busy nor dirty: it has a copy. */
		if ((state != PAGE_INACTIVE && state != PAGE_ACTIVE) ||
		    word & (PAGE_BUSY | PAGE_DIRTY))
			continue;
		o = d->objects.objects[p->object];
		if (state == PAGE_ACTIVE)
			pageq_deactivate_page_locked(d, o, p->index);
		if (pageq_choose_page_locked(d, o, p->index, &ret[count]))
			count++;
	}
	return count;
}
