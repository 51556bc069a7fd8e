/* SPDX-License-Identifier: MIT
 *
 * Pages in the queues, without memory behind them.
 */
#ifndef TESTS_PAGEQ_FIXTURE_H
#define TESTS_PAGEQ_FIXTURE_H

#include "c_unit.h"

#include "pageq/page_policy.h"
#include "pageq/pageq.h"
#include "transit/run.h"

static inline pol_page
page_name(struct unit *u, uint64_t index)
{
	return vm_object_pol_page(u->object, index);
}

static inline struct vm_page *
page_row(struct unit *u, uint64_t index)
{
	uint64_t slot = load_relaxed(vm_object_slot(u->object, index));

	assert_int_equal(slot_kind(slot), SLOT_RESIDENT);
	return &u->daemon->frames.pages[slot_frame(slot)];
}

static inline uint32_t
page_frame_number(struct unit *u, uint64_t index)
{
	return (uint32_t)(page_row(u, index) - u->daemon->frames.pages);
}

static inline enum page_state
page_state(struct unit *u, uint64_t index)
{
	return page_word_state(load_relaxed(&page_row(u, index)->word));
}

static inline void
page_fill_begin(struct unit *u, uint64_t index, struct fill *ret)
{
	*ret = (struct fill)UNIT_FILL(u);
	lock_acquire(&u->object->lock);
	assert_int_equal(
	    fill_begin(u->daemon, u->object, index, 1, 1, FRAME_FIRST, ret), RUN_BEGUN);
	lock_release(&u->object->lock);
}

/* A resident page, dirty, in any state but FILLING. A page that is CLEANING is busy, with a
 * reference on the object. */
static inline void
page_make(struct unit *u, uint64_t index, enum page_state state)
{
	bool is_speculative = state == PAGE_SPECULATIVE;
	struct daemon *d = u->daemon;
	struct fill fill;
	struct victim v;

	page_fill_begin(u, index, &fill);
	fill_finish(NULL, &fill, 1, is_speculative ? PAGE_SPECULATIVE : PAGE_ACTIVE, false);
	pageq_lock(d);
	if (state == PAGE_WIRED) {
		assert_true(vm_page_busy_only(page_row(u, index)));
		pageq_wire_locked(d, u->object, page_frame_number(u, index));
		assert_false(vm_page_unbusy(page_row(u, index)));
	} else if (state != PAGE_ACTIVE && !is_speculative) {
		assert_true(pageq_deactivate_page_locked(d, u->object, index));
		if (state != PAGE_INACTIVE)
			assert_true(pageq_choose_page_locked(d, u->object, index, &v));
		if (state == PAGE_CLEANING)
			assert_true(pageq_launder_begin_locked(d, &v));
	}
	pageq_unlock(d);
	assert_int_equal(page_state(u, index), state);
}

/* The page is gone, whatever its state. */
static inline void
page_end(struct unit *u, uint64_t index)
{
	struct victim v = { page_name(u, index), page_frame_number(u, index), u->object };
	struct daemon *d = u->daemon;
	struct vm_page *p = page_row(u, index);

	if (page_state(u, index) == PAGE_CLEANING) {
		pageq_lock(d);
		pageq_launder_abort_locked(d, &v, true);
		pageq_unlock(d);
		assert_false(vm_page_unbusy(p));
		vm_object_put(u->object);
	}
	lock_acquire(&u->object->lock);
	assert_true(vm_page_busy_only(p));
	vm_object_slot_set(u->object, index, 0);
	pageq_lock(d);
	pageq_discard_locked(d, u->object, v.frame);
	pageq_unlock(d);
	lock_release(&u->object->lock);
}

#endif
