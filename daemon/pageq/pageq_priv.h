/* SPDX-License-Identifier: MIT
 *
 * Looks at frames and slots that the files of pageq/ share. => PAGEQ held in each
 */
#ifndef PAGEQ_PRIV_H
#define PAGEQ_PRIV_H

#include "pageq/page_policy.h"
#include "vm/vm_object.h"

/* The row of a frame. */
static inline struct vm_page *
frame_row(struct daemon *d, uint32_t frame)
{
	pageq_assert_held(d);
	INVARIANT(frame < d->frames.count);
	return &d->frames.pages[frame];
}

/* The object of the page in a frame. => the page is resident */
static inline struct vm_object *
frame_object(struct daemon *d, uint32_t frame)
{
	struct vm_object *o = d->objects.objects[frame_row(d, frame)->object];

	INVARIANT(o && o->magic == VM_OBJECT_MAGIC);
	return o;
}

/* The state of the page in a frame. */
static inline enum page_state
frame_page_state(struct daemon *d, uint32_t frame)
{
	return page_word_state(load_acquire(&frame_row(d, frame)->word));
}

static inline bool
frame_is_busy(struct daemon *d, uint32_t frame)
{
	return load_acquire(&frame_row(d, frame)->word) & PAGE_BUSY;
}

/* The name by which policies know the page in a frame. */
static inline pol_page
frame_pol_page(struct daemon *d, const struct vm_object *o, uint32_t frame)
{
	return vm_object_pol_page(o, frame_row(d, frame)->index);
}

/* The frame of a resident page, or FRAME_NONE. The page may be gone, and its object with it: a
 * victim holds no reference, and a policy from outside may name anything. */
static inline uint32_t
page_frame(struct daemon *d, pol_page page)
{
	uint64_t slot;

	pageq_assert_held(d);
	if (unlikely(page >= d->slots.count))
		return FRAME_NONE;
	slot = load_acquire(slot_look(&d->slots, page));
	return slot_kind(slot) == SLOT_RESIDENT ? slot_frame(slot) : FRAME_NONE;
}

/* The policy that orders the object's pages. */
static inline struct page_policy *
object_policy(struct daemon *d, const struct vm_object *o)
{
	pageq_assert_held(d);
	return policies_of(&d->pageq.policies, vm_object_policy_task(o));
}

static inline void
pageq_count(struct daemon *d, enum stat_index index)
{
	pageq_assert_held(d);
	stat_add(stats_shard(&d->stats, shard_index_extra(d, SHARD_PAGEQ)), index, 1);
}

#endif
