/* SPDX-License-Identifier: MIT
 *
 * A range of pages becomes ABSENT: content, stored copies and frames are given up. Runs on: jobs,
 * pageout workers (purging). Allocates nothing. O is never held across a system call on the memfd
 * or the userfaultfd.
 */
#include "transit/empty.h"

#include "failpt.h"
#include "memorystatus/frame_wait.h"
#include "pageq/pageq.h"
#include "pagers/pager.h"
#include "pmap/backing.h"
#include "pmap/pmap.h"
#include "record/recorder.h"
#include "record/window.h"
#include "transit/release.h"

/* Pages that one hole spans while they are discarded. */
#define DISCARD_RUN 256u

/* Copies whose pages are gone. They are freed without O, because that may punch the compressor's
 * memory. */
struct copies {
	struct cref crefs[DISCARD_RUN];
	unsigned count;
};

/* Stored and poisoned pages of [first, last) become ABSENT. => how many; O held */
static uint64_t
discard_slots(struct vm_object *o, uint64_t first, uint64_t last, struct copies *copies)
{
	struct daemon *d = o->daemon;
	uint64_t gone = 0;

	lock_assert_held(&o->lock);
	for (uint64_t i = first; i < last; i++) {
		uint64_t slot = load_relaxed(vm_object_slot(o, i));

		if (slot_kind(slot) != SLOT_STORED && slot_kind(slot) != SLOT_POISONED)
			continue;
		vm_object_slot_set(o, i, 0);
		pageq_lock(d);
		vm_page_commit_slot(d, o,
		    slot_kind(slot) == SLOT_STORED ? PAGE_STORED : PAGE_POISONED, PAGE_ABSENT);
		pageq_forget_locked(d, o, vm_object_pol_page(o, i));
		pageq_unlock(d);
		CHECK(copies->count < DISCARD_RUN || slot_kind(slot) != SLOT_STORED);
		if (slot_kind(slot) == SLOT_STORED)
			copies->crefs[copies->count++] = slot_cref(slot);
		if (trace_is_on(d))
			trace_forgotten(d, o, i);
		gone++;
	}
	return gone;
}

/* Takes the poison of [first, last) out of the page tables: a page is put over it and punched away
 * again. The range is a hole of the caller's, in which no other thread gives a page a frame, so no
 * page with content is punched. => no lock held */
static void
unpoison(struct vm_object *o, uint64_t first, uint64_t last)
{
	locks_assert_none();
	for (uint64_t i = first; i < last; i++) {
		if (slot_kind(load_acquire(vm_object_slot(o, i))) == SLOT_POISONED)
			pmap_clear(o, i);
	}
}

/* The frames of the resident pages of [first, last), which the caller has busy. => how many; O held
 */
static unsigned
resident_frames(struct vm_object *o, uint64_t first, uint64_t last, uint32_t *frames)
{
	unsigned count = 0;

	lock_assert_held(&o->lock);
	for (uint64_t i = first; i < last; i++) {
		uint64_t slot = load_relaxed(vm_object_slot(o, i));

		if (slot_kind(slot) == SLOT_RESIDENT)
			frames[count++] = slot_frame(slot);
	}
	return count;
}

/* Discards pages [first, last), which the caller has in a hole. are_busy: it has the resident ones
 * busy, too. => how many had content; no lock held */
static uint64_t
discard_run(struct vm_object *o, uint64_t first, uint64_t last, bool are_busy)
{
	struct daemon *d = o->daemon;
	uint32_t frames[DISCARD_RUN];
	bool wanted[DISCARD_RUN];
	struct copies copies = { .count = 0 };
	unsigned count, start;
	uint64_t gone;

	locks_assert_none();
	CHECK(first < last && last - first <= DISCARD_RUN);
	unpoison(o, first, last);
	lock_acquire(&o->lock);
	count = are_busy ? resident_frames(o, first, last, frames)
			 : vm_object_busy_resident(o, first, last, frames);
	lock_release(&o->lock);
	/* Only busy pages are punched, in runs of neighbours. */
	for (start = 0; start < count;) {
		uint64_t from = d->frames.pages[frames[start]].index;
		unsigned n = 1;

		while (start + n < count && d->frames.pages[frames[start + n]].index == from + n)
			n++;
		backing_punch(o, from << d->page_shift, (uint64_t)n << d->page_shift);
		start += n;
		failpt_die(FAIL_DIE_DISCARD_PUNCHED);
	}
	lock_acquire(&o->lock);
	for (unsigned i = 0; i < count; i++) {
		struct vm_page *p = &d->frames.pages[frames[i]];
		uint64_t index = p->index;
		struct cref cref = { p->cref };
		uint32_t word = load_acquire(&p->word);

		vm_page_assert(o, index);
		vm_object_slot_set(o, index, 0);
		pageq_lock(d);
		pageq_discard_locked(d, o, frames[i]);
		pageq_unlock(d);
		if (cref.v)
			copies.crefs[copies.count++] = cref;
		if (trace_is_on(d))
			trace_forgotten(d, o, index);
		/* WANTED is set under O only, so the word has it. These threads are woken below. */
		wanted[i] = word & PAGE_WANTED;
		frames[i] = (uint32_t)(index - first);
	}
	gone = count + discard_slots(o, first, last, &copies);
	if (load_acquire(&o->waiters) > 0)
		cond_broadcast(&o->unbusy);
	lock_release(&o->lock);
	for (unsigned i = 0; i < copies.count; i++)
		pager_drop(o, copies.crefs[i]);
	for (unsigned i = 0; i < count; i++)
		if (wanted[i])
			pmap_wake(o, first + frames[i], first + frames[i] + 1);
	if (count > 0)
		frame_wait_freed(d);
	return gone;
}

static uint64_t
empty_in_hole(struct vm_object *o, uint64_t first, uint64_t end, bool are_busy)
{
	uint64_t gone = 0;

	locks_assert_none();
	CHECK_OBJ(o, VM_OBJECT_MAGIC);
	CHECK(end <= o->page_count);
	for (uint64_t i = first; (i = vm_object_next_live(o, i, end)) < end;) {
		uint64_t last = min_u64(round_down_u64(i, DISCARD_RUN) + DISCARD_RUN, end);

		gone += discard_run(o, i, last, are_busy);
		i = last;
	}
	return gone;
}

uint64_t
vm_object_empty_in_hole(struct vm_object *o, uint64_t first, uint64_t end)
{
	return empty_in_hole(o, first, end, false);
}

uint64_t
vm_object_empty_busy(struct vm_object *o, uint64_t first, uint64_t end)
{
	return empty_in_hole(o, first, end, true);
}

uint64_t
vm_object_empty(struct vm_object *o, uint64_t first, uint64_t end)
{
	uint64_t gone = 0;
	struct hole hole;

	locks_assert_none();
	CHECK_OBJ(o, VM_OBJECT_MAGIC);
	CHECK(end <= o->page_count);
	for (uint64_t i = first; (i = vm_object_next_live(o, i, end)) < end;) {
		uint64_t last = min_u64(round_down_u64(i, DISCARD_RUN) + DISCARD_RUN, end);

		lock_acquire(&o->lock);
		vm_object_wait_holes(o, i, last);
		vm_object_hole_begin(o, &hole, i, last);
		lock_release(&o->lock);
		gone += discard_run(o, i, last, false);
		vm_object_hole_close(o, &hole);
		i = last;
	}
	return gone;
}
