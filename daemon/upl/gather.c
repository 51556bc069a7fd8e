/* SPDX-License-Identifier: MIT
 *
 * Pages come into a list. Runs on: jobs; with UPL_NOBLOCK any thread. Allocates nothing.
 */
#include <string.h>

#include "pageq/pageq.h"
#include "pmap/pmap.h"
#include "transit/release.h"
#include "transit/run.h"
#include "upl/upl.h"
#include "vm/vm_page.h"

/* Pages that are looked at while O is held. */
#define STEP_PAGES FAULT_CLUSTER_MAX

/* A walk through a list. */
struct step {
	struct upl *upl;
	unsigned fills; /* begun since O was taken; each has a reference on the object */
	bool is_full;   /* the next page cannot have a frame */
};

static void
take(struct upl *u, unsigned i, enum upl_page page)
{
	struct daemon *d = u->object->daemon;

	u->pages[i] = (uint8_t)page;
	pageq_lock(d);
	upl_take_locked(u, i);
	pageq_unlock(d);
}

/* What a resident page is for a list. */
static enum upl_page
kind_of(uint32_t word)
{
	switch (page_word_state(word)) {
	case PAGE_WIRED:
	case PAGE_DEVICE:
		return UPL_PAGE_WIRED;
	case PAGE_SPECULATIVE:
		return UPL_PAGE_SPECULATIVE;
	default:
		return word & PAGE_DIRTY ? UPL_PAGE_DIRTY : UPL_PAGE_CLEAN;
	}
}

/* Whether the list asks for a resident page. */
static bool
is_wanted(const struct upl *u, enum upl_page page, uint32_t word)
{
	bool copyout = u->flags & UPL_COPYOUT_FROM;

	if (page == UPL_PAGE_WIRED && !(u->flags & UPL_HOLD_WIRED))
		return false;
	if (!copyout)
		return !(u->flags & UPL_RET_ONLY_ABSENT);
	return !(u->flags & UPL_RET_ONLY_DIRTY) || word & PAGE_DIRTY;
}

/* => false: it was waited for, and the page is to be looked at again. O held, dropped and retaken
 * then */
static bool
resident_gather(struct upl *u, unsigned i, struct vm_page *p)
{
	struct vm_object *o = u->object;
	enum upl_page page;
	uint32_t word;

	lock_assert_held(&o->lock);
	if (!vm_page_busy_only(p)) {
		u->pages[i] = UPL_PAGE_BUSY;
		if (u->flags & UPL_NOBLOCK)
			return true;
		vm_object_wait_unbusy(o, p);
		return false;
	}
	/* The word is read now that nobody can change it. */
	word = load_acquire(&p->word);
	page = kind_of(word);
	u->pages[i] = (uint8_t)page;
	if (!is_wanted(u, page, word)) {
		/* O has been held since before it was busy, so no thread wants it. */
		(void)vm_page_unbusy(p);
		return true;
	}
	if (page == UPL_PAGE_WIRED)
		(void)vm_page_unbusy(p);
	take(u, i, page);
	return true;
}

/* A page without a frame. => as resident_gather */
static bool
empty_gather(struct step *s, unsigned i, enum upl_page page)
{
	struct upl *u = s->upl;
	struct vm_object *o = u->object;
	uint64_t index = u->first + i;
	struct fill fill = { .task = u->task, .base = u->base, .door = DOOR_UPL };
	enum run_begun begun;

	lock_assert_held(&o->lock);
	u->pages[i] = (uint8_t)page;
	if (u->flags & UPL_COPYOUT_FROM ||
	    (page == UPL_PAGE_STORED && u->flags & UPL_RET_ONLY_ABSENT))
		return true;
	begun = fill_begin(
	    o->daemon, o, index, 1, 1, page == UPL_PAGE_STORED ? FRAME_WRITE : FRAME_FIRST, &fill);
	if (begun == RUN_BEGUN) {
		s->fills++;
		take(u, i, page);
		return true;
	}
	if (u->flags & UPL_NOBLOCK) {
		if (begun == RUN_BUSY)
			u->pages[i] = UPL_PAGE_BUSY;
		return true;
	}
	/* The owner of the hole may wait for a page that this list holds. */
	if (begun == RUN_BUSY && u->held == 0) {
		vm_object_wait_holes(o, index, index + 1);
		return false;
	}
	s->is_full = true;
	return true;
}

/* => as resident_gather */
static bool
page_gather(struct step *s, unsigned i)
{
	struct upl *u = s->upl;
	struct vm_object *o = u->object;
	uint64_t slot = load_relaxed(vm_object_slot(o, u->first + i));

	lock_assert_held(&o->lock);
	switch (slot_kind(slot)) {
	case SLOT_RESIDENT:
		return resident_gather(u, i, &o->daemon->frames.pages[slot_frame(slot)]);
	case SLOT_STORED:
		return empty_gather(s, i, UPL_PAGE_STORED);
	case SLOT_ABSENT:
		return empty_gather(s, i, UPL_PAGE_ABSENT);
	default:
		u->pages[i] = UPL_PAGE_LOST;
		return true;
	}
}

/* Pages [from, to) are held no more, since they can be written to. */
static void
let_go(struct upl *u, unsigned from, unsigned to)
{
	CHECK(upl_abort(u, from, to - from, 0) == 0);
	lock_acquire(&u->object->lock);
	memset(u->pages + from, UPL_PAGE_BUSY, to - from);
	lock_release(&u->object->lock);
}

/* The dirty pages of [from, to) that are held cannot be written to from now on; clean ones cannot
 * be anyhow, and wired ones stay as they are. */
static void
still(struct upl *u, unsigned from, unsigned to)
{
	unsigned i = from;

	locks_assert_none();
	while (i < to) {
		unsigned n = 0;

		while (i + n < to && upl_has_busy(u, i + n) && u->pages[i + n] != UPL_PAGE_CLEAN)
			n++;
		if (n > 0 && pmap_protect(u->object, u->first + i, u->first + i + n) != 0)
			let_go(u, i, i + n);
		i += n > 0 ? n : 1;
	}
}

enum upl_gathered
upl_gather(struct upl *u, unsigned most)
{
	struct vm_object *o = u->object;
	struct daemon *d = o->daemon;
	struct step s = { .upl = u };

	CHECK_OBJ(u, UPL_MAGIC);
	CHECK(most > 0);
	locks_assert_none();
	while (u->gathered < u->count && most > 0 && !s.is_full) {
		unsigned from = u->gathered, n = most < STEP_PAGES ? most : STEP_PAGES;
		unsigned to = u->count - from < n ? u->count : from + n;

		s.fills = 0;
		lock_acquire(&o->lock);
		while (u->gathered < to && !s.is_full)
			u->gathered += page_gather(&s, u->gathered) && !s.is_full;
		lock_release(&o->lock);
		for (; s.fills > 0; s.fills--)
			vm_object_put(o);
		most -= to - from;
		if (u->flags & UPL_COPYOUT_FROM)
			still(u, from, u->gathered);
	}
	if (s.is_full)
		frames_want(d);
	return s.is_full ? UPL_NO_ROOM : u->gathered < u->count ? UPL_MORE : UPL_ALL;
}
