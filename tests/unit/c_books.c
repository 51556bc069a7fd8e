/* SPDX-License-Identifier: MIT
 *
 * Frames and slots change by their tables only, and what may be trusted of a page is checked: each
 * wrong step is a panic.
 */
#include "c_unit.h"
#include "panics.h"

enum { INDEX = 7 };

/* A page in a frame, busy: slot, frame and word tell one story. */
struct page {
	struct unit u;
	struct vm_page *p;
	uint32_t frame;
};

static void
page_start(struct page *page)
{
	struct daemon *d;

	unit_start(&page->u);
	d = page->u.daemon;
	lock_acquire(&page->u.object->lock);
	assert_int_equal(vm_object_populate(page->u.object, INDEX, 1, 1), 1);
	pageq_lock(d);
	page->frame = frame_take_locked(d, FRAME_FIRST);
	page->p = &d->frames.pages[page->frame];
	page->p->object = page->u.object->index;
	page->p->index = INDEX;
	vm_page_flags_set(page->p, PAGE_BUSY);
	vm_page_commit(d, page->u.object, page->frame, PAGE_ABSENT, PAGE_FILLING);
	pageq_unlock(d);
	vm_object_slot_set(page->u.object, INDEX, slot_resident(page->frame));
	lock_release(&page->u.object->lock);
}

static void
page_go(struct page *page, enum page_state from, enum page_state to)
{
	pageq_lock(page->u.daemon);
	vm_page_commit(page->u.daemon, page->u.object, page->frame, from, to);
	pageq_unlock(page->u.daemon);
}

static void
page_stop(struct page *page, enum page_state from)
{
	lock_acquire(&page->u.object->lock);
	vm_object_slot_set(page->u.object, INDEX, 0);
	page_go(page, from, PAGE_ABSENT);
	lock_release(&page->u.object->lock);
	unit_stop(&page->u);
}

/* --- frames --- */

static void
put_twice(void *argument)
{
	struct unit *u = argument;
	uint32_t frame;

	pageq_lock(u->daemon);
	frame = frame_take_locked(u->daemon, FRAME_FIRST);
	frame_put_locked(u->daemon, frame);
	frame_put_locked(u->daemon, frame);
}

static void
commit_free_frame(void *argument)
{
	struct unit *u = argument;

	pageq_lock(u->daemon);
	vm_page_commit(
	    u->daemon, u->object, u->daemon->frames.free_head, PAGE_ABSENT, PAGE_FILLING);
}

static void
take_unlocked(void *argument)
{
	struct unit *u = argument;

	(void)frame_take_locked(u->daemon, FRAME_FIRST);
}

static void
frames(void **state)
{
	enum { BYTES = 8 * 4096 };
	uint32_t frame, compressor;
	struct daemon *d;
	struct unit u;
	(void)state;

	unit_start(&u);
	d = u.daemon;
	pageq_lock(d);
	frame = frame_take_locked(d, FRAME_FIRST);
	assert_int_equal(frame_word_state(load_relaxed(&d->frames.pages[frame].word)), FRAME_TAKEN);
	frame_put_locked(d, frame);
	assert_int_equal(frame_word_state(load_relaxed(&d->frames.pages[frame].word)), FRAME_FREE);
	assert_true(frames_credit_compressor_locked(d, BYTES));
	compressor = d->frames.compressor_head;
	assert_int_equal(
	    frame_word_state(load_relaxed(&d->frames.pages[compressor].word)), FRAME_COMPRESSOR);
	assert_int_equal(unit_level(&u, STAT_FRAMES_COMPRESSOR), 8);
	assert_int_equal(frames_reclaim_credit_locked(d, 0), 8);
	assert_int_equal(
	    frame_word_state(load_relaxed(&d->frames.pages[compressor].word)), FRAME_FREE);
	pageq_unlock(d);
	assert_string_equal(frame_state_name(FRAME_TAKEN), "TAKEN");
	assert_true(panics(put_twice, &u, "FREE -> FREE"));
	assert_true(panics(commit_free_frame, &u, "FREE"));
	if (DEBUG_LEVEL >= 1)
		assert_true(panics(take_unlocked, &u, "PAGEQ is not held"));
	unit_stop(&u);
}

/* --- slots --- */

static void
absent_again(void *argument)
{
	struct unit *u = argument;

	lock_acquire(&u->object->lock);
	vm_object_slot_set(u->object, INDEX + 1, SLOT_ABSENT);
}

static void
slot_unlocked(void *argument)
{
	struct page *page = argument;

	vm_object_slot_set(page->u.object, INDEX, 0);
}

static void
resident_twice(void *argument)
{
	struct page *page = argument;

	lock_acquire(&page->u.object->lock);
	vm_object_slot_set(page->u.object, INDEX, slot_resident(page->frame));
}

static void
slots(void **state)
{
	struct page page;
	(void)state;

	page_start(&page);
	lock_acquire(&page.u.object->lock);
	assert_int_equal(vm_object_populate(page.u.object, INDEX + 1, 1, 1), 1);
	lock_release(&page.u.object->lock);
	assert_true(panics(absent_again, &page.u, "slot 0 ->"));
	assert_true(panics(resident_twice, &page, "slot"));
	if (DEBUG_LEVEL >= 1)
		assert_true(panics(slot_unlocked, &page, "OBJECT is not held"));
	page_stop(&page, PAGE_FILLING);
}

/* --- what may be trusted --- */

static void
trust(void *argument)
{
	struct page *page = argument;

	vm_page_assert(page->u.object, INDEX);
}

static void
trusted(void **state)
{
	struct vm_page good;
	struct page page;
	(void)state;

	page_start(&page);
	vm_page_assert(page.u.object, INDEX);
	vm_page_assert(page.u.object, INDEX + 1); /* absent */
	page_go(&page, PAGE_FILLING, PAGE_ACTIVE);
	vm_page_flags_set(page.p, PAGE_DIRTY);
	vm_page_assert(page.u.object, INDEX);
	good = *page.p;
	if (DEBUG_LEVEL >= 1) {
		page.p->cref = 5;
		assert_true(panics(trust, &page, "dirty with a copy"));
		vm_page_flags_clear(page.p, PAGE_DIRTY);
		vm_page_assert(page.u.object, INDEX);
		page.p->cref = 0;
		assert_true(panics(trust, &page, "clean without a copy"));
		vm_page_flags_set(page.p, PAGE_DIRTY);
		page.p->index++;
		assert_true(panics(trust, &page, "its frame says page"));
		page.p->index--;
		vm_page_flags_clear(page.p, PAGE_BUSY);
		assert_true(panics(trust, &page, "not busy"));
		vm_page_flags_set(page.p, PAGE_BUSY);
	}
	assert_memory_equal(page.p, &good, sizeof(good));
	page_stop(&page, PAGE_ACTIVE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames),
		cmocka_unit_test(slots),
		cmocka_unit_test(trusted),
	};

	return cmocka_run_group_tests_name("c_books", tests, NULL, NULL);
}
