/* SPDX-License-Identifier: MIT
 *
 * Giving up dirty pages. Runs on: the cleaner's hands. Allocates nothing. No lock is held across a
 * userfaultfd call: the pages are busy meanwhile.
 */
#include "transit/forget.h"

#include "pagers/pager_types.h"
#include "pmap/pmap.h"
#include "transit/release.h"
#include "vm/vm_page.h"

/* Pages that are looked at while O is held. */
#define STEP_PAGES 64u

/* => the page's frame, if it is resident, dirty and not wired; else NULL */
static struct vm_page *
dirty_at(const struct vm_object *o, uint64_t index)
{
	uint64_t slot = load_relaxed(vm_object_slot(o, index));
	struct vm_page *p;
	uint32_t word;

	if (slot_kind(slot) != SLOT_RESIDENT)
		return NULL;
	p = &o->daemon->frames.pages[slot_frame(slot)];
	word = load_acquire(&p->word);
	return word & PAGE_DIRTY && page_word_state(word) != PAGE_WIRED ? p : NULL;
}

/* Makes dirty pages of [low, low + count) busy. => which, by bits */
static uint64_t
take(struct vm_object *o, uint64_t low, unsigned count, bool *ret_busy)
{
	uint64_t taken = 0;

	CHECK(count <= STEP_PAGES);
	lock_acquire(&o->lock);
	for (unsigned i = 0; i < count; i++) {
		struct vm_page *p = dirty_at(o, low + i);

		if (!p)
			continue;
		if (!vm_page_busy_only(p)) {
			*ret_busy = true;
			continue;
		}
		/* Now nobody can change it. O has been held since before it was busy, so no thread
		 * wants it. */
		if (dirty_at(o, low + i))
			taken |= UINT64_C(1) << i;
		else
			(void)vm_page_unbusy(p);
	}
	lock_release(&o->lock);
	return taken;
}

/* The busy pages [low, end) are clean if they cannot be written to any more, and are let go. =>
 * whether they are */
static bool
forget(struct vm_object *o, uint64_t low, uint64_t end)
{
	bool is_still = pmap_protect(o, low, end) == 0;

	locks_assert_none();
	for (uint64_t i = low; i < end; i++) {
		struct vm_page *p =
		    &o->daemon->frames.pages[slot_frame(load_relaxed(vm_object_slot(o, i)))];

		if (is_still) {
			p->cref = CREF_PLACE.v;
			vm_page_make_clean(o, p);
		}
		vm_object_unbusy(o, i, p);
	}
	return is_still;
}

uint64_t
vm_object_forget_dirty(struct vm_object *o, bool *ret_busy)
{
	uint64_t gone = 0, at = 0;

	locks_assert_none();
	CHECK(o->external);
	*ret_busy = false;
	vm_object_settle(o);
	while ((at = vm_object_next_live(o, at, o->page_count)) < o->page_count) {
		unsigned count = (unsigned)min_u64(STEP_PAGES, o->page_count - at);
		uint64_t taken = take(o, at, count, ret_busy);

		while (taken) {
			unsigned from = (unsigned)__builtin_ctzll(taken), n;
			uint64_t rest = ~(taken >> from);

			n = rest ? (unsigned)__builtin_ctzll(rest) : STEP_PAGES;
			if (forget(o, at + from, at + from + n))
				gone += n;
			else
				*ret_busy = true;
			taken &= from + n < STEP_PAGES ? ~UINT64_C(0) << (from + n) : 0;
		}
		at += count;
	}
	return gone;
}
