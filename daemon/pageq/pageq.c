/* SPDX-License-Identifier: MIT
 *
 * Page queues. Runs on: fault servers, workers, jobs; PAGEQ held in every _locked function.
 * Allocates nothing but at a switch of policy.
 */
#include "pageq/pageq.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pageq/pageq_priv.h"

int
pageq_create(struct daemon *d, const char *policy)
{
	struct pageq *q = &d->pageq;
	int error = page_policy_create(d, policy, &q->policy);

	if (error)
		return error;
	q->task_policies = calloc(d->tasks.room, sizeof(*q->task_policies));
	if (!q->task_policies)
		return -ENOMEM;
	q->speculative_head = q->speculative_tail = FRAME_NONE;
	lock_init(&q->lock, RANK_PAGEQ);
	cond_init(&q->pageout_wanted);
	cond_init(&q->help_wanted);
	cond_init(&q->room_wanted);
	cond_init(&q->eviction_done);
	return 0;
}

void
pageq_destroy(struct daemon *d)
{
	page_policy_destroy(d->pageq.policy);
	free(d->pageq.task_policies);
	cond_fini(&d->pageq.pageout_wanted);
	cond_fini(&d->pageq.help_wanted);
	cond_fini(&d->pageq.room_wanted);
	cond_fini(&d->pageq.eviction_done);
	lock_fini(&d->pageq.lock);
}

void
pageq_policy_text_locked(struct daemon *d, struct task *task, char *text, size_t text_size)
{
	struct page_policy *own = task ? pageq_own_policy(d, task) : NULL;

	page_policy_describe(own ? own : d->pageq.policy, text, text_size);
}

/* --- the speculative list: pages brought in ahead of use, oldest first --- */

static void
speculative_add(struct daemon *d, uint32_t frame)
{
	struct pageq *q = &d->pageq;
	struct vm_page *p = page_of(d, frame);

	p->next = FRAME_NONE;
	p->prev = q->speculative_tail;
	if (q->speculative_tail != FRAME_NONE)
		page_of(d, q->speculative_tail)->next = frame;
	else
		q->speculative_head = frame;
	q->speculative_tail = frame;
}

static void
speculative_remove(struct daemon *d, uint32_t frame)
{
	struct pageq *q = &d->pageq;
	struct vm_page *p = page_of(d, frame);

	if (p->prev != FRAME_NONE)
		page_of(d, p->prev)->next = p->next;
	else
		q->speculative_head = p->next;
	if (p->next != FRAME_NONE)
		page_of(d, p->next)->prev = p->prev;
	else
		q->speculative_tail = p->prev;
}

void
pageq_take_speculative(struct daemon *d, uint32_t frame, struct victim *ret)
{
	struct vm_object *o = d->objects.objects[page_of(d, frame)->object];

	speculative_remove(d, frame);
	/* The policy hears of it only now, so that it can be told how it ends. */
	page_policy_fault(policy_of(d, o), pol_of(d, o, frame), PF_PREFETCH);
	vm_page_commit(d, o, frame, PAGE_SPECULATIVE, PAGE_LAUNDRY);
	*ret = (struct victim){ pol_of(d, o, frame), frame, o };
}

/* --- in, touched, gone --- */

/* A page is gone for good, or wired. The daemon's policy may remember one from before its client
 * had a policy of its own, and memory of entries goes with the page (vm/block.c). */
static void
forget(struct daemon *d, struct vm_object *o, pol_page page, bool resident)
{
	struct page_policy *policy = policy_of(d, o);

	page_policy_forget(policy, page, resident);
	if (unlikely(policy != d->pageq.policy))
		page_policy_forget(d->pageq.policy, page, false);
}

void
pageq_filled_locked(
    struct daemon *d, struct vm_object *o, uint32_t frame, enum page_state to, unsigned pf)
{
	vm_page_commit(d, o, frame, PAGE_FILLING, to);
	if (to == PAGE_ACTIVE)
		page_policy_fault(policy_of(d, o), pol_of(d, o, frame), pf);
	else if (to == PAGE_SPECULATIVE)
		speculative_add(d, frame);
	else
		forget(d, o, pol_of(d, o, frame), false);
}

bool
pageq_reactivate_locked(struct daemon *d, struct vm_object *o, uint32_t frame, unsigned pf)
{
	struct page_policy *policy = policy_of(d, o);
	pol_page page = pol_of(d, o, frame);
	enum page_state state = state_of(d, frame);

	switch (state) {
	case PAGE_INACTIVE:
		page_policy_soft(policy, page, pf);
		break;
	case PAGE_LAUNDRY:
		page_policy_soft(policy, page, pf);
		page_policy_done(policy, page, POL_RESCUED);
		break;
	case PAGE_SPECULATIVE:
		speculative_remove(d, frame);
		page_policy_fault(policy, page, pf);
		break;
	default: /* ACTIVE or WIRED: mapped elsewhere, or its mapping was only just taken away */
		return false;
	}
	vm_page_commit(d, o, frame, state, PAGE_ACTIVE);
	return true;
}

void
pageq_written_locked(struct daemon *d, struct vm_object *o, uint32_t frame)
{
	enum page_state state = state_of(d, frame);

	if (state == PAGE_ACTIVE || state == PAGE_INACTIVE)
		page_policy_write(policy_of(d, o), pol_of(d, o, frame));
}

void
pageq_forget_locked(struct daemon *d, struct vm_object *o, pol_page page)
{
	forget(d, o, page, false);
}

static void
leave_queues(struct daemon *d, struct vm_object *o, uint32_t frame)
{
	switch (state_of(d, frame)) {
	case PAGE_SPECULATIVE:
		speculative_remove(d, frame);
		forget(d, o, pol_of(d, o, frame), false); /* its ghost */
		break;
	case PAGE_WIRED:
		break;
	default:
		forget(d, o, pol_of(d, o, frame), true);
	}
}

void
pageq_discard_locked(struct daemon *d, struct vm_object *o, uint32_t frame)
{
	leave_queues(d, o, frame);
	vm_page_commit(d, o, frame, state_of(d, frame), PAGE_ABSENT);
}

void
pageq_wire_locked(struct daemon *d, struct vm_object *o, uint32_t frame)
{
	if (state_of(d, frame) == PAGE_WIRED)
		return;
	leave_queues(d, o, frame);
	vm_page_commit(d, o, frame, state_of(d, frame), PAGE_WIRED);
}

void
pageq_unwire_locked(struct daemon *d, struct vm_object *o, uint32_t frame)
{
	if (state_of(d, frame) != PAGE_WIRED)
		return;
	vm_page_commit(d, o, frame, PAGE_WIRED, PAGE_ACTIVE);
	page_policy_fault(policy_of(d, o), pol_of(d, o, frame), 0);
}

/* --- ageing and choosing --- */

bool
pageq_deactivate_page_locked(struct daemon *d, struct vm_object *o, uint64_t index)
{
	uint64_t slot = load_acquire(vm_object_slot(o, index));
	uint32_t word;

	if (slot_kind(slot) != SLOT_RESIDENT)
		return false;
	word = load_acquire(&page_of(d, slot_frame(slot))->word);
	if (page_word_state(word) != PAGE_ACTIVE || word & PAGE_BUSY)
		return false;
	/* The policy did not propose it: for the policy it stays mapped until it is evicted (done)
	 * or touched (soft). */
	vm_page_commit(d, o, slot_frame(slot), PAGE_ACTIVE, PAGE_INACTIVE);
	page_policy_unmapped(policy_of(d, o), vm_object_pol_page(o, index));
	return true;
}

bool
pageq_deactivate_frame_locked(
    struct daemon *d, uint32_t frame, struct task_name name, struct victim *ret)
{
	struct vm_object *o;

	if (state_of(d, frame) != PAGE_ACTIVE)
		return false;
	o = d->objects.objects[page_of(d, frame)->object];
	if ((!task_names_all(name) && !task_is_named(o->owner, name)) ||
	    !pageq_deactivate_page_locked(d, o, page_of(d, frame)->index))
		return false;
	vm_object_get(o);
	*ret = (struct victim){ pol_of(d, o, frame), frame, o };
	return true;
}

enum pageq_deactivation
pageq_deactivate_slot_locked(struct daemon *d, pol_page page, struct victim *ret)
{
	uint32_t frame, word;

	pageq_assert_held(d);
	frame = frame_of(d, page);
	if (frame == FRAME_NONE)
		return DEACTIVATION_NONE;
	if (pageq_deactivate_frame_locked(d, frame, (struct task_name){ 0 }, ret))
		return DEACTIVATION_DONE;
	word = load_acquire(&page_of(d, frame)->word);
	switch (page_word_state(word)) {
	case PAGE_FILLING:
	case PAGE_ACTIVE:
		/* It may have been let go since. */
		return DEACTIVATION_HELD;
	case PAGE_CLEANING:
	case PAGE_WIRED:
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

	if (slot_kind(slot) != SLOT_RESIDENT)
		return false;
	word = load_acquire(&page_of(d, slot_frame(slot))->word);
	if (page_word_state(word) != PAGE_INACTIVE || word & PAGE_BUSY)
		return false;
	vm_page_commit(d, o, slot_frame(slot), PAGE_INACTIVE, PAGE_LAUNDRY);
	*ret = (struct victim){ vm_object_pol_page(o, index), slot_frame(slot), o };
	return true;
}

static bool
is_victim(struct daemon *d, const struct victim *v)
{
	return frame_of(d, v->page) == v->frame && state_of(d, v->frame) == PAGE_LAUNDRY;
}

struct vm_object *
pageq_victim_object_locked(struct daemon *d, const struct victim *v)
{
	pageq_assert_held(d);
	return is_victim(d, v) ? d->objects.objects[page_of(d, v->frame)->object] : NULL;
}

void
pageq_victim_stays_locked(struct daemon *d, const struct victim *v)
{
	if (is_victim(d, v))
		pageq_reactivate_locked(
		    d, d->objects.objects[page_of(d, v->frame)->object], v->frame, 0);
}

bool
pageq_launder_begin_locked(struct daemon *d, struct victim *v)
{
	struct vm_page *p = page_of(d, v->frame);

	if (!is_victim(d, v))
		return false;
	v->object = d->objects.objects[p->object];
	if (!vm_page_busy_only(p)) {
		/* Not every holder takes it off the laundry (compaction does not), and nobody else
		 * would come for it. */
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

	if (slot_kind(slot) != SLOT_RESIDENT)
		return EVICTION_NONE;
	frame = slot_frame(slot);
	word = load_acquire(&page_of(d, frame)->word);
	if (page_word_state(word) == PAGE_WIRED)
		return EVICTION_NONE;
	if (word & PAGE_BUSY)
		return EVICTION_BUSY;
	if (clean_only && word & PAGE_DIRTY)
		return EVICTION_DIRTY;
	switch (page_word_state(word)) {
	case PAGE_SPECULATIVE:
		pageq_take_speculative(d, frame, ret);
		break;
	case PAGE_LAUNDRY:
		/* Another worker's victim, which that one will not find in the laundry any more. */
		*ret = (struct victim){ vm_object_pol_page(o, index), frame, o };
		break;
	default:
		pageq_deactivate_page_locked(d, o, index);
		/* A fault makes it busy without PAGEQ, and it is no victim then. */
		if (!pageq_choose_page_locked(d, o, index, ret))
			return EVICTION_BUSY;
	}
	return pageq_launder_begin_locked(d, ret) ? EVICTION_TAKEN : EVICTION_BUSY;
}

void
pageq_launder_finish_locked(struct daemon *d, const struct victim *v)
{
	vm_page_commit(d, v->object, v->frame, PAGE_CLEANING, PAGE_STORED);
	page_policy_done(policy_of(d, v->object), v->page, POL_EVICTED);
}

void
pageq_launder_abort_locked(struct daemon *d, const struct victim *v, bool rescued)
{
	vm_page_commit(d, v->object, v->frame, PAGE_CLEANING, PAGE_ACTIVE);
	page_policy_soft(policy_of(d, v->object), v->page, 0);
	page_policy_done(policy_of(d, v->object), v->page, rescued ? POL_RESCUED : POL_FAILED);
}
