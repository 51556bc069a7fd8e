/* SPDX-License-Identifier: MIT
 *
 * A range that is about to be punched: no page in it is filled, a fault that tries is woken later;
 * and the pages that may be in it.
 */
#include "c_unit.h"

#include "fault/fault.h"
#include "pageout/pageout.h"

/* Pages [0, count) become stored, by every arrow on the way. Handles are only carried about here.
 */
static void
store_pages(struct unit *u, uint64_t count)
{
	static const enum page_state way[] = { PAGE_ABSENT, PAGE_FILLING, PAGE_ACTIVE,
		PAGE_INACTIVE, PAGE_LAUNDRY, PAGE_CLEANING, PAGE_STORED };
	struct daemon *d = u->daemon;

	for (uint64_t i = 0; i < count; i++) {
		uint32_t frame;

		lock_acquire(&u->object->lock);
		assert_int_equal(vm_object_populate(u->object, i, 1, 1), 1);
		pageq_lock(d);
		frame = frame_take_locked(d, FRAME_FIRST);
		assert_true(frame != FRAME_NONE);
		d->frames.pages[frame].object = u->object->index;
		d->frames.pages[frame].index = (uint32_t)i;
		store_release(&d->frames.pages[frame].word, FRAME_TAKEN | PAGE_BUSY);
		for (unsigned k = 0; k + 1 < ARRAY_LEN(way); k++)
			vm_page_commit(d, u->object, frame, way[k], way[k + 1]);
		pageq_unlock(d);
		vm_object_slot_set(u->object, i, slot_resident(frame));
		vm_object_slot_set(u->object, i, slot_stored((struct cref){ 1000 + i }));
		lock_release(&u->object->lock);
	}
}

static void
forget_pages(struct unit *u, uint64_t count)
{
	lock_acquire(&u->object->lock);
	pageq_lock(u->daemon);
	for (uint64_t i = 0; i < count; i++) {
		vm_page_commit_slot(u->daemon, u->object, PAGE_STORED, PAGE_ABSENT);
		vm_object_slot_set(u->object, i, 0);
	}
	pageq_unlock(u->daemon);
	lock_release(&u->object->lock);
}

static enum run_begun
begin(struct unit *u, uint64_t index, unsigned want, int direction, struct fill *fill)
{
	enum run_begun begun;

	lock_acquire(&u->object->lock);
	begun = fill_begin(u->daemon, u->object, index, want, direction, FRAME_READ, fill);
	lock_release(&u->object->lock);
	return begun;
}

static void
end(struct unit *u, struct fill *fill)
{
	fill_abort(u->daemon, fill, 0);
	vm_object_put(u->object);
}

static void
nobody_fills_a_hole(void **state)
{
	struct hole hole, other;
	struct fill fill;
	struct unit u;
	(void)state;

	unit_start(&u);
	fill = (struct fill)UNIT_FILL(&u);
	store_pages(&u, 64);
	lock_acquire(&u.object->lock);
	vm_object_hole_begin(u.object, &hole, 20, 30);
	vm_object_hole_begin(u.object, &other, 50, 60);
	assert_null(vm_object_hole_at(u.object, 19));
	assert_ptr_equal(vm_object_hole_at(u.object, 20), &hole);
	assert_ptr_equal(vm_object_hole_at(u.object, 29), &hole);
	assert_null(vm_object_hole_at(u.object, 30));
	assert_ptr_equal(vm_object_hole_at(u.object, 55), &other);
	lock_release(&u.object->lock);

	assert_int_equal(begin(&u, 25, 1, 1, &fill), RUN_BUSY);
	assert_true(hole.wanted);
	assert_int_equal(slot_kind(load_relaxed(vm_object_slot(u.object, 25))), SLOT_STORED);
	assert_int_equal(unit_level(&u, STAT_FRAMES_FREE), UNIT_FRAMES);

	/* Runs stop in front of it, upwards and downwards. */
	hole.wanted = false;
	assert_int_equal(begin(&u, 17, 8, 1, &fill), RUN_BEGUN);
	assert_int_equal(fill.index, 17);
	assert_int_equal(fill.count, 3);
	end(&u, &fill);
	assert_int_equal(begin(&u, 33, 8, -1, &fill), RUN_BEGUN);
	assert_int_equal(fill.index, 30);
	assert_int_equal(fill.count, 4);
	end(&u, &fill);

	/* Punched: everything may be filled. */
	lock_acquire(&u.object->lock);
	assert_false(vm_object_hole_end(u.object, &hole));
	assert_null(vm_object_hole_at(u.object, 25));
	assert_ptr_equal(vm_object_hole_at(u.object, 55), &other);
	assert_false(vm_object_hole_end(u.object, &other));
	lock_release(&u.object->lock);
	assert_int_equal(begin(&u, 25, 8, 1, &fill), RUN_BEGUN);
	assert_int_equal(fill.count, 8);
	end(&u, &fill);
	assert_int_equal(unit_level(&u, STAT_FRAMES_FREE), UNIT_FRAMES);
	forget_pages(&u, 64);
	unit_stop(&u);
}

static void
only_stored_pages_stand_between(void **state)
{
	struct fill fill;
	struct unit u;
	(void)state;

	unit_start(&u);
	fill = (struct fill)UNIT_FILL(&u);
	store_pages(&u, 32);
	assert_true(vm_object_all_away(u.object, 3, 3));
	assert_true(vm_object_all_away(u.object, 0, 32));
	assert_false(vm_object_all_away(u.object, 0, 33)); /* absent: perhaps not even allocated */
	assert_int_equal(begin(&u, 9, 1, 1, &fill), RUN_BEGUN);
	assert_false(vm_object_all_away(u.object, 8, 11)); /* being filled */
	assert_true(vm_object_all_away(u.object, 10, 32));
	end(&u, &fill);
	assert_true(vm_object_all_away(u.object, 8, 11));
	forget_pages(&u, 32);
	unit_stop(&u);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_fills_a_hole),
		cmocka_unit_test(only_stored_pages_stand_between),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
