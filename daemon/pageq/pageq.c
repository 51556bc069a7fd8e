/* SPDX-License-Identifier: MIT
 *
 * Page queues. Runs on: fault servers, workers, jobs. Allocates nothing.
 */
#include "pageq/pageq.h"

#include "pageq/pageq_priv.h"

void
pageq_init(struct pageq *q)
{
	lock_init(&q->lock, RANK_PAGEQ);
	cond_init(&q->calls.pageout_wanted);
	cond_init(&q->calls.help_wanted);
	cond_init(&q->calls.room_wanted);
	cond_init(&q->evictions.done);
	speculative_init(&q->speculative);
	purge_queue_init(&q->purge);
}

void
pageq_fini(struct pageq *q)
{
	CHECK(!q->evictions.first);
	cond_fini(&q->calls.pageout_wanted);
	cond_fini(&q->calls.help_wanted);
	cond_fini(&q->calls.room_wanted);
	cond_fini(&q->evictions.done);
	lock_fini(&q->lock);
}

void
pageq_take_speculative_locked(struct daemon *d, uint32_t frame, struct victim *ret)
{
	struct vm_object *o = frame_object(d, frame);

	pageq_assert_held(d);
	speculative_remove_locked(d, frame);
	/* The policy is told of the page only now, so that it can be told how the page ends. */
	page_policy_fault(object_policy(d, o), frame_pol_page(d, o, frame), PF_PREFETCH);
	vm_page_commit(d, o, frame, PAGE_SPECULATIVE, PAGE_LAUNDRY);
	*ret = (struct victim){ frame_pol_page(d, o, frame), frame, o };
}

/* --- in, touched, gone --- */

/* A page is gone for good, or wired. The daemon's policy may remember it from before its client had
 * a policy of its own, and the memory of its entry goes with the page (transit/blocks.h). */
static void
forget_locked(struct daemon *d, struct vm_object *o, pol_page page, bool resident)
{
	struct page_policy *policy = object_policy(d, o);

	pageq_assert_held(d);
	page_policy_forget(policy, page, resident);
	if (unlikely(policy != d->pageq.policies.common))
		page_policy_forget(d->pageq.policies.common, page, false);
}

void
pageq_filled_locked(
    struct daemon *d, struct vm_object *o, uint32_t frame, enum page_state to, unsigned pf)
{
	pageq_assert_held(d);
	INVARIANT(frame_is_busy(d, frame));
	vm_page_commit(d, o, frame, PAGE_FILLING, to);
	if (to == PAGE_ACTIVE)
		page_policy_fault(object_policy(d, o), frame_pol_page(d, o, frame), pf);
	else if (to == PAGE_SPECULATIVE)
		speculative_add_locked(d, frame);
	else
		forget_locked(d, o, frame_pol_page(d, o, frame), false);
}

bool
pageq_reactivate_locked(struct daemon *d, struct vm_object *o, uint32_t frame, unsigned pf)
{
	struct page_policy *policy = object_policy(d, o);
	pol_page page = frame_pol_page(d, o, frame);
	enum page_state state = frame_page_state(d, frame);

	pageq_assert_held(d);
	switch (state) {
	case PAGE_INACTIVE:
		page_policy_soft(policy, page, pf);
		break;
	case PAGE_LAUNDRY:
		page_policy_soft(policy, page, pf);
		page_policy_done(policy, page, POL_RESCUED);
		break;
	case PAGE_SPECULATIVE:
		speculative_remove_locked(d, frame);
		page_policy_fault(policy, page, pf);
		break;
	default: /* ACTIVE or WIRED: mapped by another thread, or its mapping has just gone */
		return false;
	}
	vm_page_commit(d, o, frame, state, PAGE_ACTIVE);
	return true;
}

void
pageq_written_locked(struct daemon *d, struct vm_object *o, uint32_t frame)
{
	enum page_state state = frame_page_state(d, frame);

	pageq_assert_held(d);
	if (state == PAGE_ACTIVE || state == PAGE_INACTIVE)
		page_policy_write(object_policy(d, o), frame_pol_page(d, o, frame));
}

void
pageq_forget_locked(struct daemon *d, struct vm_object *o, pol_page page)
{
	pageq_assert_held(d);
	forget_locked(d, o, page, false);
}

/* The page is in no order any more; the caller commits the state that it gets. */
static void
leave_queues_locked(struct daemon *d, struct vm_object *o, uint32_t frame)
{
	pageq_assert_held(d);
	switch (frame_page_state(d, frame)) {
	case PAGE_SPECULATIVE:
		speculative_remove_locked(d, frame);
		forget_locked(d, o, frame_pol_page(d, o, frame), false); /* its ghost */
		break;
	case PAGE_WIRED:
		break;
	default:
		forget_locked(d, o, frame_pol_page(d, o, frame), true);
	}
}

void
pageq_discard_locked(struct daemon *d, struct vm_object *o, uint32_t frame)
{
	pageq_assert_held(d);
	lock_assert_held(&o->lock);
	INVARIANT(frame_is_busy(d, frame));
	leave_queues_locked(d, o, frame);
	vm_page_commit(d, o, frame, frame_page_state(d, frame), PAGE_ABSENT);
}

void
pageq_wire_locked(struct daemon *d, struct vm_object *o, uint32_t frame)
{
	pageq_assert_held(d);
	INVARIANT(frame_is_busy(d, frame));
	if (frame_page_state(d, frame) == PAGE_WIRED)
		return;
	leave_queues_locked(d, o, frame);
	vm_page_commit(d, o, frame, frame_page_state(d, frame), PAGE_WIRED);
}

void
pageq_unwire_locked(struct daemon *d, struct vm_object *o, uint32_t frame)
{
	pageq_assert_held(d);
	INVARIANT(frame_is_busy(d, frame));
	if (frame_page_state(d, frame) != PAGE_WIRED)
		return;
	vm_page_commit(d, o, frame, PAGE_WIRED, PAGE_ACTIVE);
	page_policy_fault(object_policy(d, o), frame_pol_page(d, o, frame), 0);
}

/* --- made inactive, chosen --- */

bool
pageq_deactivate_page_locked(struct daemon *d, struct vm_object *o, uint64_t index)
{
	uint64_t slot = load_acquire(vm_object_slot(o, index));
	uint32_t word;

	pageq_assert_held(d);
	if (slot_kind(slot) != SLOT_RESIDENT)
		return false;
	word = load_acquire(&frame_row(d, slot_frame(slot))->word);
	if (page_word_state(word) != PAGE_ACTIVE || word & PAGE_BUSY)
		return false;
	/* The policy did not propose the page. To the policy it stays mapped until it is told that
	 * the page was evicted (done) or touched (soft). */
	vm_page_commit(d, o, slot_frame(slot), PAGE_ACTIVE, PAGE_INACTIVE);
	page_policy_unmapped(object_policy(d, o), vm_object_pol_page(o, index));
	return true;
}

bool
pageq_deactivate_frame_locked(
    struct daemon *d, uint32_t frame, struct task_name name, struct victim *ret)
{
	struct vm_object *o;

	pageq_assert_held(d);
	if (frame_page_state(d, frame) != PAGE_ACTIVE)
		return false;
	o = frame_object(d, frame);
	if ((!task_names_all(name) && (o->is_shareable || !task_is_named(o->owner, name))) ||
	    !pageq_deactivate_page_locked(d, o, frame_row(d, frame)->index))
		return false;
	vm_object_get(o);
	*ret = (struct victim){ frame_pol_page(d, o, frame), frame, o };
	return true;
}

enum pageq_deactivation
pageq_deactivate_slot_locked(struct daemon *d, pol_page page, struct victim *ret)
{
	uint32_t frame, word;

	pageq_assert_held(d);
	frame = page_frame(d, page);
	if (frame == FRAME_NONE)
		return DEACTIVATION_NONE;
	if (pageq_deactivate_frame_locked(d, frame, (struct task_name){ 0 }, ret))
		return DEACTIVATION_DONE;
	word = load_acquire(&frame_row(d, frame)->word);
	switch (page_word_state(word)) {
	case PAGE_FILLING:
	case PAGE_ACTIVE:
		/* The thread may have let go of it since. */
		return DEACTIVATION_HELD;
	case PAGE_CLEANING:
	case PAGE_WIRED:
	case PAGE_DEVICE:
		return DEACTIVATION_NONE;
	default:
		/* A soft fault holds it before it is ACTIVE again. */
		return word & PAGE_BUSY ? DEACTIVATION_HELD : DEACTIVATION_NONE;
	}
}

bool
pageq_choose_page_locked(struct daemon *d, struct vm_object *o, uint64_t index, struct victim *ret)
{
	uint64_t slot = load_acquire(vm_object_slot(o, index));
	uint32_t word;

	pageq_assert_held(d);
	if (slot_kind(slot) != SLOT_RESIDENT)
		return false;
	word = load_acquire(&frame_row(d, slot_frame(slot))->word);
	if (page_word_state(word) != PAGE_INACTIVE || word & PAGE_BUSY)
		return false;
	vm_page_commit(d, o, slot_frame(slot), PAGE_INACTIVE, PAGE_LAUNDRY);
	*ret = (struct victim){ vm_object_pol_page(o, index), slot_frame(slot), o };
	return true;
}

bool
pageq_choose_speculative_page_locked(
    struct daemon *d, struct vm_object *o, uint64_t index, struct victim *ret)
{
	uint64_t slot = load_acquire(vm_object_slot(o, index));
	uint32_t word;

	pageq_assert_held(d);
	if (slot_kind(slot) != SLOT_RESIDENT)
		return false;
	word = load_acquire(&frame_row(d, slot_frame(slot))->word);
	if (page_word_state(word) != PAGE_SPECULATIVE || word & PAGE_BUSY)
		return false;
	pageq_take_speculative_locked(d, slot_frame(slot), ret);
	return true;
}

/* Whether the page is still LAUNDRY, in the frame where it was chosen. */
static bool
is_victim_locked(struct daemon *d, const struct victim *v)
{
	pageq_assert_held(d);
	return page_frame(d, v->page) == v->frame && frame_page_state(d, v->frame) == PAGE_LAUNDRY;
}

struct vm_object *
pageq_victim_object_locked(struct daemon *d, const struct victim *v)
{
	pageq_assert_held(d);
	return is_victim_locked(d, v) ? frame_object(d, v->frame) : NULL;
}

void
pageq_victim_stays_locked(struct daemon *d, const struct victim *v)
{
	pageq_assert_held(d);
	if (is_victim_locked(d, v))
		pageq_reactivate_locked(d, frame_object(d, v->frame), v->frame, 0);
}

/* --- laundered --- */

bool
pageq_launder_begin_locked(struct daemon *d, struct victim *v)
{
	struct vm_page *p = frame_row(d, v->frame);

	pageq_assert_held(d);
	if (!is_victim_locked(d, v))
		return false;
	v->object = d->objects.objects[p->object];
	if (!vm_page_busy_only(p)) {
		/* Some holders of BUSY leave it in the laundry (compaction does), and no other
		 * worker would take it up. */
		pageq_reactivate_locked(d, v->object, v->frame, 0);
		return false;
	}
	vm_object_get(v->object);
	vm_page_commit(d, v->object, v->frame, PAGE_LAUNDRY, PAGE_CLEANING);
	return true;
}

enum pageq_eviction
pageq_evict_page_locked(
    struct daemon *d, struct vm_object *o, uint64_t index, bool clean_only, struct victim *ret)
{
	uint64_t slot = load_acquire(vm_object_slot(o, index));
	uint32_t frame, word;

	pageq_assert_held(d);
	if (slot_kind(slot) != SLOT_RESIDENT)
		return EVICTION_NONE;
	frame = slot_frame(slot);
	word = load_acquire(&frame_row(d, frame)->word);
	if (page_word_state(word) == PAGE_WIRED || page_word_state(word) == PAGE_DEVICE)
		return EVICTION_NONE;
	if (word & PAGE_BUSY)
		return EVICTION_BUSY;
	if (clean_only && word & PAGE_DIRTY)
		return EVICTION_DIRTY;
	/* Nothing is stored of what may be thrown away: it goes with all of its object. */
	if (vm_object_is_volatile(o) && word & PAGE_DIRTY)
		return EVICTION_NONE;
	switch (page_word_state(word)) {
	case PAGE_SPECULATIVE:
		pageq_take_speculative_locked(d, frame, ret);
		break;
	case PAGE_LAUNDRY:
		/* Another worker's victim. That worker will not find it in the laundry any more. */
		*ret = (struct victim){ vm_object_pol_page(o, index), frame, o };
		break;
	default:
		pageq_deactivate_page_locked(d, o, index);
		/* A fault makes a page busy without PAGEQ. Such a page is no victim. */
		if (!pageq_choose_page_locked(d, o, index, ret))
			return EVICTION_BUSY;
	}
	return pageq_launder_begin_locked(d, ret) ? EVICTION_TAKEN : EVICTION_BUSY;
}

void
pageq_launder_finish_locked(struct daemon *d, const struct victim *v)
{
	bool is_absent;

	pageq_assert_held(d);
	lock_assert_held(&v->object->lock);
	INVARIANT(frame_is_busy(d, v->frame));
	/* Where the pager, or a page below, has the content there is no copy to be named. */
	is_absent = v->object->external || load_acquire(&frame_row(d, v->frame)->word) & PAGE_DUP;
	vm_page_commit(
	    d, v->object, v->frame, PAGE_CLEANING, is_absent ? PAGE_ABSENT : PAGE_STORED);
	page_policy_done(object_policy(d, v->object), v->page, POL_EVICTED);
}

void
pageq_launder_abort_locked(struct daemon *d, const struct victim *v, bool rescued)
{
	pageq_assert_held(d);
	INVARIANT(frame_is_busy(d, v->frame));
	vm_page_commit(d, v->object, v->frame, PAGE_CLEANING, PAGE_ACTIVE);
	page_policy_soft(object_policy(d, v->object), v->page, 0);
	page_policy_done(object_policy(d, v->object), v->page, rescued ? POL_RESCUED : POL_FAILED);
}
