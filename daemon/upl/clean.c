/* SPDX-License-Identifier: MIT
 *
 * The cleaning form of lists. Runs on: the cleaner. Allocates nothing. No lock is held across a
 * userfaultfd call: the pages are busy meanwhile.
 */
#include "pageq/pageq.h"
#include "pmap/pins.h"
#include "pmap/pmap.h"
#include "transit/release.h"
#include "upl/upl.h"
#include "vm/vm_page.h"

/* Pages that are looked at while O is held. */
#define STEP_PAGES 64u

/* => the page's frame, or NULL: it has none */
static struct vm_page *
page_at(const struct upl *u, unsigned i)
{
	uint64_t slot = load_relaxed(vm_object_slot(u->object, u->first + i));

	return slot_kind(slot) == SLOT_RESIDENT ? &u->object->daemon->frames.pages[slot_frame(slot)]
						: NULL;
}

bool
upl_is_cleaning(const struct vm_object *o, uint64_t index)
{
	lock_assert_held(&o->lock);
	for (const struct upl *u = o->upls; u; u = u->next)
		if (u->flags & UPL_CLEANING && index >= u->first && index - u->first < u->count &&
		    upl_holds(u, (unsigned)(index - u->first)))
			return true;
	return false;
}

/* *ret_taken: the page is busy now, and to become the list's. => UPL_STOP_END, or why the list
 * ends before the page; O held */
static enum upl_stop
page_gather(struct upl *u, unsigned i, bool *ret_taken)
{
	struct vm_page *p = page_at(u, i);
	uint32_t word;

	lock_assert_held(&u->object->lock);
	*ret_taken = false;
	/* Whoever makes it dirty after this tells the object. */
	word = p ? load_acquire(&p->word) : 0;
	if (!(word & PAGE_DIRTY) || word & PAGE_WRITING)
		return UPL_STOP_END;
	if (upl_is_cleaning(u->object, u->first + i))
		return UPL_STOP_LISTED;
	if (!vm_page_busy_only(p))
		return UPL_STOP_BUSY;
	/* The word is read now that nobody can change it. */
	word = load_acquire(&p->word);
	if (!(word & PAGE_DIRTY)) {
		/* O has been held since before it was busy, so no thread wants it. */
		(void)vm_page_unbusy(p);
		return UPL_STOP_END;
	}
	u->pages[i] = page_word_state(word) == PAGE_WIRED ? UPL_PAGE_WIRED : UPL_PAGE_DIRTY;
	*ret_taken = true;
	return UPL_STOP_END;
}

static enum upl_stop
step(struct upl *u, unsigned most)
{
	struct vm_object *o = u->object;
	unsigned from = u->gathered,
		 to = from + STEP_PAGES < u->count ? from + STEP_PAGES : u->count;
	enum upl_stop stop = UPL_STOP_END;
	uint64_t taken = 0;
	bool is_taken;

	lock_acquire(&o->lock);
	while (u->gathered < to && stop == UPL_STOP_END) {
		if (u->held + (unsigned)__builtin_popcountll(taken) == most) {
			stop = UPL_STOP_MOST;
			break;
		}
		stop = page_gather(u, u->gathered, &is_taken);
		taken |= (uint64_t)is_taken << (u->gathered - from);
		u->gathered += stop == UPL_STOP_END;
	}
	if (taken) {
		pageq_lock(o->daemon);
		for (; taken; taken &= taken - 1)
			upl_take_locked(u, from + (unsigned)__builtin_ctzll(taken));
		pageq_unlock(o->daemon);
	}
	lock_release(&o->lock);
	return stop;
}

/* How many pages from `from` on the list holds without a hole, wired or not as the first one. */
static unsigned
run_length(const struct upl *u, unsigned from)
{
	unsigned n = 1;

	while (from + n < u->gathered && upl_holds(u, from + n) &&
	       u->pages[from + n] == u->pages[from])
		n++;
	return n;
}

/* The pages cannot be written to from now on, but for wired ones: what a device writes into those
 * goes past any protection. => whether that is so */
static bool
still(struct upl *u)
{
	unsigned n;

	for (unsigned i = upl_next_held(u, 0); i < u->gathered; i = upl_next_held(u, i + n)) {
		n = run_length(u, i);
		if (u->pages[i] != UPL_PAGE_WIRED &&
		    pmap_protect_try(u->object, u->first + i, u->first + i + n) != 0)
			return false;
	}
	return true;
}

/* Which of the pages, which are dirty and write-protected, are pinned: as wired ones they are
 * copied, written, and stay dirty. */
static void
make_pinned(struct upl *u, const unsigned *pages, unsigned count)
{
	uint64_t indexes[STEP_PAGES];
	bool pinned[STEP_PAGES];

	CHECK(count > 0 && count <= STEP_PAGES);
	for (unsigned k = 0; k < count; k++)
		indexes[k] = u->first + pages[k];
	(void)pins_find(u->object->daemon, u->object, indexes, count, pinned);
	for (unsigned k = 0; k < count; k++)
		if (pinned[k])
			u->pages[pages[k]] = UPL_PAGE_PINNED;
}

static void
find_pins(struct upl *u)
{
	unsigned pages[STEP_PAGES], count = 0;

	if (!pins_are_known(&u->object->daemon->pins))
		return;
	for (unsigned i = upl_next_held(u, 0); i < u->gathered; i = upl_next_held(u, i + 1)) {
		if (u->pages[i] == UPL_PAGE_WIRED)
			continue;
		pages[count++] = i;
		if (count == STEP_PAGES) {
			make_pinned(u, pages, count);
			count = 0;
		}
	}
	if (count > 0)
		make_pinned(u, pages, count);
}

/* The list's pages are busy no more. */
static void
pages_release(struct upl *u, uint32_t mark)
{
	struct vm_page *p;

	for (unsigned i = upl_next_held(u, 0); i < u->count; i = upl_next_held(u, i + 1)) {
		p = page_at(u, i);
		if (u->pages[i] == UPL_PAGE_DIRTY)
			vm_page_flags_set(p, mark);
		vm_object_unbusy(u->object, u->first + i, p);
	}
}

enum upl_stop
upl_gather_dirty(struct upl *u, unsigned most)
{
	enum upl_stop stop = UPL_STOP_END;

	CHECK_OBJ(u, UPL_MAGIC);
	CHECK(u->flags & UPL_CLEANING && u->gathered == 0 && most > 0);
	locks_assert_none();
	while (stop == UPL_STOP_END && u->gathered < u->count)
		stop = step(u, most);
	if (u->held > 0 && !still(u)) {
		upl_clean_finish(u, 0, u->count, false);
		u->gathered = 0;
		return UPL_STOP_BUSY;
	}
	find_pins(u);
	return stop;
}

void
upl_go_on(struct upl *u)
{
	CHECK_OBJ(u, UPL_MAGIC);
	CHECK(u->flags & UPL_CLEANING && !u->goes_on);
	locks_assert_none();
	u->goes_on = true;
	pages_release(u, PAGE_WRITING);
}

/* => whether the page, which the list gives up, may be dirty; O held */
static bool
page_finish(struct upl *u, unsigned i, bool is_clean)
{
	struct vm_page *p = page_at(u, i);
	bool is_dirty = true;

	lock_assert_held(&u->object->lock);
	if (!p)
		return false;
	if (!(load_acquire(&p->word) & PAGE_WRITING))
		return load_acquire(&p->word) & PAGE_DIRTY;
	/* In transit: it is written once more. */
	if (!is_clean || !vm_page_busy_only(p)) {
		vm_page_flags_clear(p, PAGE_WRITING);
		return true;
	}
	if (load_acquire(&p->word) & PAGE_WRITING) {
		p->cref = CREF_PLACE.v;
		dirty_progress(u->object, load_relaxed(&p->word) >> PAGE_PAYER_SHIFT);
		vm_page_make_clean(u->object, p);
		is_dirty = false;
	}
	/* O has been held since before it was busy, so no thread wants it. */
	(void)vm_page_unbusy(p);
	return is_dirty;
}

void
upl_clean_finish(struct upl *u, unsigned from, unsigned count, bool is_clean)
{
	struct vm_object *o = u->object;
	bool is_dirty = false;

	CHECK(u->flags & UPL_CLEANING && from + count <= u->count);
	locks_assert_none();
	if (!u->goes_on) {
		CHECK(!is_clean && from == 0 && count == u->count);
		pages_release(u, 0);
	}
	lock_acquire(&o->lock);
	for (unsigned i = upl_next_held(u, from); i < from + count; i = upl_next_held(u, i + 1)) {
		is_dirty |= page_finish(u, i, is_clean);
		pageq_lock(o->daemon);
		upl_give_locked(u, i);
		pageq_unlock(o->daemon);
	}
	lock_release(&o->lock);
	if (is_dirty)
		vm_object_dirtied(o);
}
