/* SPDX-License-Identifier: MIT
 *
 * When a policy proposes nothing though pages of its clients are there: the core goes round the
 * frames by itself, and says so in a statistic. A policy from outside that is lazy or lost must not
 * bring pageout to a stand. Runs on: pageout workers.
 */
#include "pageq/pageq_priv.h"

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
