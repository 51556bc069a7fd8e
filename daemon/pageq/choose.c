/* SPDX-License-Identifier: MIT
 *
 * Rounds of the policies, and the core's own choices. Runs on: pageout workers; for
 * resident_frames also fault servers. PAGEQ is held in every function. Allocates nothing.
 */
#include "pageq/choose.h"

#include "pageq/pageq.h"
#include "pageq/pageq_priv.h"

/* --- when a policy proposes nothing though pages of its clients are there --- */

/* A policy from outside that is lazy or lost must not bring pageout to a stop. The core goes round
 * the frames by itself, and counts it in a statistic. */

/* Frames looked at in one call, since PAGEQ is held for as long as it takes. */
#define FALLBACK_LOOKS 4096u

unsigned
fall_back_locked(struct daemon *d, struct page_policy *policy, unsigned want, unsigned want_aged,
    struct victim *aged, unsigned *ret_aged, struct victim *ret)
{
	struct choice *choice = &d->pageq.choice;
	unsigned count = 0;

	pageq_assert_held(d);
	*ret_aged = 0;
	for (unsigned looks = 0; looks < FALLBACK_LOOKS && looks < d->frames.count && count < want;
	     looks++) {
		uint32_t frame = choice->fallback_hand;
		enum page_state state = frame_page_state(d, frame);
		struct vm_object *o;

		choice->fallback_hand = frame + 1 < d->frames.count ? frame + 1 : 0;
		if (state != PAGE_ACTIVE && state != PAGE_INACTIVE)
			continue;
		o = frame_object(d, frame);
		if (object_policy(d, o) != policy)
			continue;
		/* Mapped means referenced: an active page may leave when the hand comes round
		 * again. */
		if (state == PAGE_INACTIVE)
			count +=
			    pageq_choose_page_locked(d, o, frame_row(d, frame)->index, &ret[count]);
		else if (*ret_aged < want_aged)
			*ret_aged += pageq_deactivate_frame_locked(
			    d, frame, (struct task_name){ 0 }, &aged[*ret_aged]);
	}
	if (count > 0 || *ret_aged > 0)
		pageq_count(d, STAT_POLICY_FALLBACKS);
	return count;
}

/* --- what policies propose --- */

/* The policy has named a page that is not resident: it is told, and the violation is counted. */
static void
page_missing_locked(struct daemon *d, struct page_policy *policy, pol_page page)
{
	pageq_assert_held(d);
	pageq_count(d, STAT_POLICY_VIOLATIONS);
	page_policy_forget(policy, page, false);
}

unsigned
unmap_proposed_locked(struct daemon *d, struct page_policy *policy, const pol_page *pages,
    unsigned proposed, struct victim *ret)
{
	unsigned count = 0;

	pageq_assert_held(d);
	for (unsigned i = 0; i < proposed; i++) {
		uint32_t frame = page_frame(d, pages[i]);
		uint32_t word = frame == FRAME_NONE ? 0 : load_acquire(&frame_row(d, frame)->word);
		struct vm_object *o;

		if (unlikely(pages[i] >= d->slots.count)) {
			page_missing_locked(d, policy, pages[i]);
			continue;
		}
		/* Its owner has cooled it down, or the core has, before the policy came to it. */
		if (frame != FRAME_NONE && page_word_state(word) == PAGE_INACTIVE)
			continue;
		if (frame == FRAME_NONE || page_word_state(word) != PAGE_ACTIVE ||
		    word & PAGE_BUSY) {
			/* Gone, leaving, or in transit for a fault, which is a reference. */
			page_policy_soft(policy, pages[i], 0);
			continue;
		}
		o = frame_object(d, frame);
		vm_page_commit(d, o, frame, PAGE_ACTIVE, PAGE_INACTIVE);
		vm_object_get(o);
		ret[count++] = (struct victim){ pages[i], frame, o };
	}
	return count;
}

/* What one policy wants unmapped. needed: it is pressed. */
static unsigned
deactivate_by_locked(
    struct daemon *d, struct page_policy *policy, unsigned want, bool needed, struct victim *ret)
{
	pol_page pages[PROPOSALS_MAX];
	unsigned proposed = page_policy_deactivate(
	    policy, want > PROPOSALS_MAX ? PROPOSALS_MAX : want, needed, pages);

	pageq_assert_held(d);
	CHECK(proposed <= want);
	return unmap_proposed_locked(d, policy, pages, proposed, ret);
}

/* The inactive pages around a victim, of the same cluster, leave with it. */
static void
choose_neighbours_locked(struct daemon *d, struct vm_object *o, uint64_t index, unsigned want,
    struct victim *ret, unsigned *count)
{
	uint64_t cluster = param(d, pageout_cluster);
	uint64_t first = index - index % cluster;
	uint64_t last = min_u64(first + cluster, o->page_count);

	pageq_assert_held(d);
	for (uint64_t i = first; i < last && *count < want; i++)
		if (i != index && pageq_choose_page_locked(d, o, i, &ret[*count]))
			++*count;
}

unsigned
choose_by_locked(struct daemon *d, struct page_policy *policy, unsigned want, struct victim *ret)
{
	unsigned count = 0;

	pageq_assert_held(d);
	for (unsigned tries = 0; count < want && tries < 2 * want; tries++) {
		struct vm_object *o;
		pol_page page;
		uint32_t frame;

		if (page_policy_select(policy, 1, &page) == 0)
			break;
		frame = page_frame(d, page);
		if (frame == FRAME_NONE) {
			page_missing_locked(d, policy, page);
			continue;
		}
		o = frame_object(d, frame);
		if (!pageq_choose_page_locked(d, o, frame_row(d, frame)->index, &ret[count])) {
			if (frame_page_state(d, frame) == PAGE_ACTIVE)
				pageq_count(d, STAT_POLICY_VIOLATIONS);
			page_policy_done(policy, page, POL_BUSY);
			continue;
		}
		count++;
		choose_neighbours_locked(d, o, frame_row(d, frame)->index, want, ret, &count);
	}
	return count;
}

bool
choose_speculative_locked(struct daemon *d, struct victim *ret)
{
	pageq_assert_held(d);
	if (d->pageq.speculative.head == FRAME_NONE)
		return false;
	pageq_take_speculative_locked(d, d->pageq.speculative.head, ret);
	return true;
}

unsigned
choose_round_locked(struct daemon *d, unsigned want, unsigned want_aged, bool needed,
    struct victim *aged, unsigned *ret_aged, struct victim *ret)
{
	struct page_policy *policy = policies_turn_locked(d);
	unsigned count = 0;

	pageq_assert_held(d);
	*ret_aged = deactivate_by_locked(d, policy, want_aged, false, aged);
	while (count < want && d->pageq.speculative.count > d->frames.foreseen_kept &&
	       choose_speculative_locked(d, &ret[count]))
		count++;
	count += choose_by_locked(d, policy, want - count, ret + count);
	while (needed && count == 0 && choose_speculative_locked(d, &ret[count]))
		count++;
	if (needed && count == 0 && *ret_aged == 0) {
		/* Nothing was proposed: the policy is asked to unmap pages, and then for victims
		 * again. */
		*ret_aged = deactivate_by_locked(d, policy, want_aged, true, aged);
		count = choose_by_locked(d, policy, want, ret);
	}
	if (needed && count == 0 && *ret_aged == 0 && policy->resident > 0)
		count = fall_back_locked(d, policy, want, want_aged, aged, ret_aged, ret);
	return count;
}

/* Frames looked at in one search for clean pages, since PAGEQ is held for as long as it takes. */
#define CLEAN_SEARCH 4096u

unsigned
choose_clean_locked(struct daemon *d, unsigned want, struct victim *ret)
{
	struct choice *choice = &d->pageq.choice;
	unsigned count = 0;

	pageq_assert_held(d);
	for (unsigned n = 0; n < CLEAN_SEARCH && n < d->frames.count && count < want; n++) {
		uint32_t frame = choice->clean_hand;
		struct vm_page *p = frame_row(d, frame);
		uint32_t word = load_acquire(&p->word);
		enum page_state state = page_word_state(word);
		struct vm_object *o;

		choice->clean_hand = frame + 1 < d->frames.count ? frame + 1 : 0;
		/* A page that is neither busy nor dirty has a copy. */
		if ((state != PAGE_INACTIVE && state != PAGE_ACTIVE) ||
		    word & (PAGE_BUSY | PAGE_DIRTY))
			continue;
		o = frame_object(d, frame);
		if (state == PAGE_ACTIVE)
			pageq_deactivate_page_locked(d, o, p->index);
		if (pageq_choose_page_locked(d, o, p->index, &ret[count]))
			count++;
	}
	return count;
}
