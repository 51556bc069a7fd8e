/* SPDX-License-Identifier: MIT
 *
 * Reusable pages. Runs on: jobs. O is never held across a call on a client's memory.
 */
#include "transit/reuse.h"

#include "pagers/pager.h"
#include "pmap/pmap.h"
#include "transit/empty.h"
#include "transit/release.h"

/* Pages that are busy at a time. */
#define REUSE_RUN 64u

/* A busy page is write-protected in all mappings: what it has counts no more. => whether it has
 * become reusable */
static bool
page_make_reusable(struct vm_object *o, uint32_t frame)
{
	struct daemon *d = o->daemon;
	struct vm_page *p = &d->frames.pages[frame];
	uint32_t word = load_acquire(&p->word);
	struct cref given_up = { p->cref };

	INVARIANT(word & PAGE_BUSY);
	if (page_word_state(word) == PAGE_WIRED || word & PAGE_DUP)
		return false;
	vm_page_make_clean(o, p);
	p->cref = CREF_BELOW.v;
	vm_page_flags_set(p, PAGE_DUP);
	pageq_lock(d);
	vm_page_reusable_set_locked(d, o, frame, true);
	pageq_unlock(d);
	if (given_up.v)
		pager_drop(o, given_up);
	return true;
}

/* The resident ones of [first, last), neighbours together. */
static uint64_t
resident_make_reusable(struct vm_object *o, uint64_t first, uint64_t last)
{
	const struct vm_page *pages = o->daemon->frames.pages;
	uint32_t frames[REUSE_RUN];
	uint64_t made = 0;
	unsigned count, n;

	CHECK(last - first <= REUSE_RUN);
	lock_acquire(&o->lock);
	count = vm_object_busy_resident(o, first, last, frames);
	lock_release(&o->lock);
	for (unsigned i = 0; i < count; i += n) {
		uint64_t from = pages[frames[i]].index;
		bool is_still;

		for (n = 1; i + n < count && pages[frames[i + n]].index == from + n;)
			n++;
		is_still = pmap_protect(o, from, from + n) == 0;
		for (unsigned k = i; k < i + n; k++) {
			struct vm_page *p = &o->daemon->frames.pages[frames[k]];

			made += is_still && page_make_reusable(o, frames[k]);
			vm_object_unbusy(o, p->index, p);
		}
	}
	return made;
}

uint64_t
vm_object_make_reusable(struct vm_object *o, uint64_t first, uint64_t end)
{
	uint64_t made = 0;

	locks_assert_none();
	CHECK_OBJ(o, VM_OBJECT_MAGIC);
	CHECK(end <= o->page_count && !o->is_shareable && !o->is_purgeable &&
	      o->standing == STANDING_PLAIN);
	for (uint64_t i = first; (i = vm_object_next_live(o, i, end)) < end;) {
		uint64_t last = min_u64(round_down_u64(i, REUSE_RUN) + REUSE_RUN, end);

		made += resident_make_reusable(o, i, last);
		for (; i < last; i++)
			if (slot_kind(load_acquire(vm_object_slot(o, i))) == SLOT_STORED)
				made += vm_object_empty(o, i, i + 1);
	}
	return made;
}

/* => whether it was reusable */
static bool
page_reuse(struct vm_object *o, uint64_t index, struct vm_page *p)
{
	bool was = load_acquire(&p->word) & PAGE_REUSABLE;

	INVARIANT(load_acquire(&p->word) & PAGE_BUSY);
	if (was) {
		CHECK(p->cref == CREF_BELOW.v);
		vm_page_flags_clear(p, PAGE_DUP);
		p->cref = 0;
		vm_page_make_dirty(o, p, o->owner);
		vm_page_reused(o, p);
	}
	vm_object_unbusy(o, index, p);
	return was;
}

uint64_t
vm_object_reuse(struct vm_object *o, uint64_t first, uint64_t end)
{
	struct daemon *d = o->daemon;
	uint64_t reused = 0;
	bool any;

	locks_assert_none();
	CHECK_OBJ(o, VM_OBJECT_MAGIC);
	CHECK(end <= o->page_count);
	pageq_lock(d);
	any = o->class_pages[LEDGER_CLASS_REUSABLE] > 0;
	pageq_unlock(d);
	for (uint64_t i = first; any && (i = vm_object_next_live(o, i, end)) < end; i++) {
		uint32_t frame;
		unsigned count = 0;

		/* A hint: pages that are not are left alone without being made busy. */
		lock_acquire(&o->lock);
		if (slot_kind(load_relaxed(vm_object_slot(o, i))) == SLOT_RESIDENT &&
		    load_acquire(
			&d->frames.pages[slot_frame(load_relaxed(vm_object_slot(o, i)))].word) &
			PAGE_REUSABLE)
			count = vm_object_busy_resident(o, i, i + 1, &frame);
		lock_release(&o->lock);
		if (count > 0)
			reused += page_reuse(o, i, &d->frames.pages[frame]);
	}
	return reused;
}
