/* SPDX-License-Identifier: MIT
 *
 * Shared by pageq.c (queues), choose.c (rounds), exact.c (rounds in the order of pagersim) and
 * switch.c (policies change). Everything here is called with PAGEQ held.
 */
#ifndef PAGEQ_PRIV_H
#define PAGEQ_PRIV_H

#include "vm/task.h"
#include "pageq/page_policy.h"
#include "pageq/victim.h"

#define DEACTIVATE_MAX 64u

static inline struct vm_page *
page_of(struct daemon *d, uint32_t frame)
{
	return &d->frames.pages[frame];
}

static inline pol_page
pol_of(struct daemon *d, const struct vm_object *o, uint32_t frame)
{
	return vm_object_pol_page(o, page_of(d, frame)->index);
}

static inline enum page_state
state_of(struct daemon *d, uint32_t frame)
{
	return page_word_state(load_acquire(&page_of(d, frame)->word));
}

/* The frame of a resident page, or FRAME_NONE. The page may be gone, and its object with it: a
 * victim holds no reference, and a policy from outside may name anything. */
static inline uint32_t
frame_of(struct daemon *d, pol_page page)
{
	uint64_t slot = load_acquire(slot_look(&d->slots, page));

	return slot_kind(slot) == SLOT_RESIDENT ? slot_frame(slot) : FRAME_NONE;
}

static inline struct page_policy *
policy_of(struct daemon *d, const struct vm_object *o)
{
	struct page_policy *own = pageq_own_policy(d, o->owner);

	return own ? own : d->pageq.policy;
}

static inline void
pageq_count(struct daemon *d, enum stat_index index)
{
	stat_add(stats_shard(&d->stats, shard_index_extra(d, SHARD_PAGEQ)), index, 1);
}

/* ACTIVE -> INACTIVE for what the policy has proposed. => pages in ret, with references on their
 * objects */
unsigned pageq_unmap_proposed(struct daemon *d, struct page_policy *policy, const pol_page *pages,
    unsigned proposed, struct victim *ret);
/* Whose turn it is: the daemon's policy and those of clients, each in proportion to its pages. */
struct page_policy *pageq_policy_turn(struct daemon *d);
/* SPECULATIVE -> LAUNDRY: the page leaves. */
void pageq_take_speculative(struct daemon *d, uint32_t frame, struct victim *ret);
/* The oldest page that was brought in ahead of use. => false: there is none */
bool pageq_choose_speculative(struct daemon *d, struct victim *ret);
/* What the policy proposes, with neighbours. => victims */
unsigned pageq_choose_by(
    struct daemon *d, struct page_policy *policy, unsigned want, struct victim *ret);
/* The core's own choice (choose.c): as pageq_round_locked, of the pages of that policy. =>
 * victims */
unsigned pageq_fall_back(struct daemon *d, struct page_policy *policy, unsigned want,
    unsigned want_aged, struct victim *aged, unsigned *ret_aged, struct victim *ret);

#endif
