/* SPDX-License-Identifier: MIT
 *
 * Laundering, a batch at a time: what it stores, what leaves, what stays, and for whom.
 */
#include "launder_fixture.h"

#include <errno.h>

#include "pageq/pageq.h"
#include "transit/discard.h"
#include "transit/run.h"

/* --- what leaves --- */

/* Protect, read and store, punch, publish, free: over more pages than PAGEQ is held for at once. */
static void
dirty_pages_are_stored_and_leave(void **state)
{
	enum { COUNT = 20 };
	struct vm_object *o;
	(void)state;

	world_start();
	o = world.unit.object;
	victims_make(o, 0, COUNT, true);
	assert_int_equal(world_launder(), COUNT);
	assert_int_equal(world.call_count, COUNT + 2);
	assert_call(0, CALL_PROTECT, o, 0, COUNT);
	for (unsigned i = 0; i < COUNT; i++)
		assert_call(1 + i, CALL_PUT, o, i, i + 1);
	assert_call(COUNT + 1, CALL_PUNCH, o, 0, COUNT);
	assert_all_left(o, 0, COUNT);
	assert_int_equal(world.worker->begun, COUNT);
	assert_int_equal(world.credit_asked, COUNT);
	assert_int_equal(world.writer_wanted, 0);
	assert_false(world.worker->refused);
	assert_int_equal(world_counter(STAT_PAGEOUTS), COUNT);
	assert_int_equal(world_counter(STAT_COMPRESSIONS), COUNT);
	assert_int_equal(world_counter(STAT_CLEAN_PAGEOUTS), 0);
	assert_int_equal(world_counter(STAT_HOLES), 1);
	assert_int_equal(unit_level(&world.unit, STAT_FRAMES_FREE), UNIT_FRAMES);
	assert_int_equal(unit_level(&world.unit, STAT_PAGES_COMPRESSED), COUNT);
	world_stop();
}

/* Reads that end early, and reads that a signal ends, go on where they were. */
static void
short_reads_go_on(void **state)
{
	struct vm_object *o;
	(void)state;

	world_start();
	o = world.unit.object;
	world.read_most = 1000;
	world.interruptions = 3;
	victims_make(o, 5, 9, true);
	assert_int_equal(world_launder(), 4);
	assert_all_left(o, 5, 9);
	world_stop();
}

static void
what_cannot_be_read_stays(void **state)
{
	struct vm_object *o;
	(void)state;

	world_start();
	o = world.unit.object;
	world.read_most = 0;
	victims_make(o, 5, 9, true);
	assert_int_equal(world_launder(), 0);
	assert_int_equal(world.call_count, 1);
	assert_all_stayed(o, 5, 9, true);
	assert_int_equal(world_counter(STAT_PAGEOUT_FAILURES), 4);
	world_stop();
}

/* Nothing is protected, read or stored for them. */
static void
clean_pages_leave_for_nothing(void **state)
{
	struct vm_object *o;
	(void)state;

	world_start();
	o = world.unit.object;
	world.credit = PAGER_ROOM_NONE;
	victims_make(o, 0, 10, false);
	assert_int_equal(world_launder(), 10);
	assert_false(world.worker->refused);
	assert_int_equal(world.call_count, 1);
	assert_call(0, CALL_PUNCH, o, 0, 10);
	assert_all_left(o, 0, 10);
	assert_int_equal(world.credit_asked, 0);
	assert_int_equal(world_counter(STAT_CLEAN_PAGEOUTS), 10);
	assert_int_equal(world_counter(STAT_COMPRESSIONS), 0);
	world_stop();
}

/* Only the dirty ones, and one protection from the first to the last of them. */
static void
clean_pages_are_not_stored_again(void **state)
{
	struct vm_object *o;
	(void)state;

	world_start();
	o = world.unit.object;
	victims_make(o, 0, 2, false);
	victims_make(o, 2, 4, true);
	victims_make(o, 4, 5, false);
	victims_make(o, 5, 6, true);
	victims_make(o, 6, 8, false);
	assert_int_equal(world_launder(), 8);
	assert_int_equal(world.call_count, 5);
	assert_call(0, CALL_PROTECT, o, 2, 6);
	assert_call(1, CALL_PUT, o, 2, 3);
	assert_call(2, CALL_PUT, o, 3, 4);
	assert_call(3, CALL_PUT, o, 5, 6);
	assert_call(4, CALL_PUNCH, o, 0, 8);
	assert_int_equal(world.credit_asked, 3);
	assert_int_equal(world_counter(STAT_CLEAN_PAGEOUTS), 5);
	assert_all_left(o, 0, 8);
	world_stop();
}

/* --- what stays --- */

static void
without_room_only_clean_pages_leave(void **state)
{
	struct vm_object *o;
	(void)state;

	world_start();
	o = world.unit.object;
	world.credit = PAGER_ROOM_NONE;
	for (uint64_t i = 0; i < 10; i++)
		victims_make(o, i, i + 1, i % 2 == 0);
	assert_int_equal(world_launder(), 5);
	for (uint64_t i = 0; i < 10; i += 2) {
		assert_stayed(o, i, true);
		assert_left(o, i + 1);
	}
	assert_int_equal(world.call_count, 5); /* a hole each */
	assert_true(world.worker->refused);
	assert_true(world.writer_wanted > 0);
	assert_int_equal(world_counter(STAT_PAGEOUT_FAILURES), 5);
	assert_int_equal(world_counter(STAT_RESCUES), 0);
	world_stop();
}

/* A store that fails is the batch's last. */
static void
a_batch_ends_with_the_room(void **state)
{
	struct vm_object *o;
	(void)state;

	world_start();
	o = world.unit.object;
	world.room = 3;
	victims_make(o, 0, 5, true);
	victims_make(o, 5, 6, false);
	victims_make(o, 6, 8, true);
	victims_make(o, 100, 104, true);
	assert_int_equal(world_launder(), 4);
	for (uint64_t i = 0; i < 8; i++)
		if (i < 3 || i == 5)
			assert_left(o, i);
		else
			assert_stayed(o, i, true);
	assert_all_stayed(o, 100, 104, true);
	/* Protected, protected, stored, stored, stored, refused, punched, punched. */
	assert_int_equal(world.call_count, 8);
	assert_call(1, CALL_PROTECT, o, 100, 104);
	assert_call(5, CALL_PUT, o, 3, 4);
	assert_call(6, CALL_PUNCH, o, 0, 3);
	assert_call(7, CALL_PUNCH, o, 5, 6);
	assert_true(world.worker->refused);
	assert_true(world.writer_wanted > 0);
	assert_int_equal(world_counter(STAT_PAGEOUT_FAILURES), 8);
	world_stop();
}

/* All of it is tried, and more room is asked for. */
static void
some_room_is_used(void **state)
{
	struct vm_object *o;
	(void)state;

	world_start();
	o = world.unit.object;
	world.credit = PAGER_ROOM_SOME;
	victims_make(o, 0, 4, true);
	assert_int_equal(world_launder(), 4);
	assert_false(world.worker->refused);
	assert_int_equal(world.writer_wanted, 1);
	world_stop();
}

/* What can be written to is not copied. A mapping that is gone cannot be written through. */
static void
only_what_is_protected_is_stored(void **state)
{
	static const int gone[] = { -ENOENT, -ESRCH };
	struct vm_object *o;
	(void)state;

	world_start();
	o = world.unit.object;
	world.protect_error = -EAGAIN;
	victims_make(o, 0, 4, true);
	assert_int_equal(world_launder(), 0);
	assert_int_equal(world.call_count, 1);
	assert_all_stayed(o, 0, 4, true);
	assert_int_equal(world_counter(STAT_PAGEOUT_FAILURES), 4);
	world_stop();
	for (unsigned i = 0; i < ARRAY_LEN(gone); i++) {
		world_start();
		world.protect_error = gone[i];
		/* In the second object: the first one's protection is looked at. */
		world.other = world_object_make(UNIT_PAGES, UNIT_BASE + (1ull << 32));
		victims_make(world.other, 0, 4, true);
		assert_int_equal(world_launder(), 4);
		for (uint64_t page = 0; page < 4; page++)
			assert_left(world.other, page);
		world_stop();
	}
}

/* --- pins --- */

/* A page into which a device may write stays, dirty; those around it leave. All are looked at
 * together, protected, before any is copied. When the pin has gone the page leaves as others do. */
static void
what_is_pinned_stays(void **state)
{
	struct vm_object *o;
	struct daemon *d;
	(void)state;

	world_start();
	o = world.unit.object;
	d = o->daemon;
	d->pins.looks = (void *)world.worker;
	assert_int_equal(pin_marks_create(d), 0);
	world.is_pinned[2] = world.is_pinned[7] = true;
	victims_make(o, 0, 8, true);
	victims_make(o, 8, 10, false);
	victims_make(o, 100, 102, true);
	assert_int_equal(world_launder(), 10);
	assert_int_equal(world.looks, 1);
	assert_call(0, CALL_PROTECT, o, 0, 8);
	assert_call(1, CALL_PROTECT, o, 100, 102);
	assert_call(2, CALL_PUT, o, 0, 1);
	assert_stayed(o, 2, true);
	assert_stayed(o, 7, true);
	assert_all_left(o, 0, 2);
	assert_all_left(o, 3, 7);
	assert_all_left(o, 8, 10);
	assert_all_left(o, 100, 102);
	assert_int_equal(world_counter(STAT_PINNED), 2);
	assert_int_equal(world_counter(STAT_PAGEOUT_FAILURES), 0);
	assert_int_equal(world_counter(STAT_PINS_BROKEN), 0);
	assert_int_equal(world.worker->pins_pass, 2);
	assert_int_equal(d->pin_marks.marked, 2);

	world.is_pinned[2] = world.is_pinned[7] = false;
	world.call_count = 0;
	world.worker->chosen = world.worker->begun = 0;
	page_choose(o, 2);
	page_choose(o, 7);
	assert_int_equal(world_launder(), 2);
	assert_left(o, 2);
	assert_left(o, 7);
	assert_int_equal(d->pin_marks.marked, 0);
	d->pins.looks = NULL;
	pin_marks_destroy(d);
	world_stop();
}

/* --- faults --- */

static void
fault_while_it_is_stored(enum call call, struct vm_object *o, uint64_t low, uint64_t high)
{
	(void)high;
	if (call == CALL_PUT && low == 4)
		assert_true(fault_meets(o, 4));
}

/* It keeps the page, and the page its copy. Its thread is woken once. */
static void
a_fault_wins_until_the_hole(void **state)
{
	struct vm_object *o;
	(void)state;

	world_start();
	o = world.unit.object;
	world.on_call = fault_while_it_is_stored;
	victims_make(o, 0, 8, true);
	assert_int_equal(world_launder(), 7);
	for (uint64_t i = 0; i < 8; i++)
		if (i != 4)
			assert_left(o, i);
	assert_stayed(o, 4, false);
	assert_int_equal(world.call_count, 1 + 8 + 1 + 2);
	assert_call(9, CALL_WAKE, o, 4, 5);
	assert_call(10, CALL_PUNCH, o, 0, 4);
	assert_call(11, CALL_PUNCH, o, 5, 8);
	assert_int_equal(world_counter(STAT_RESCUES), 1);
	assert_int_equal(world_counter(STAT_PAGEOUT_FAILURES), 0);
	assert_int_equal(world_counter(STAT_PAGEOUTS), 7);
	world_stop();
}

/* Victims that were touched, or are busy by another thread, are not begun. */
static void
rescued_victims_are_passed_over(void **state)
{
	struct vm_object *o;
	struct daemon *d;
	(void)state;

	world_start();
	o = world.unit.object;
	d = o->daemon;
	victims_make(o, 0, 4, true);
	pageq_lock(d);
	assert_true(pageq_reactivate_locked(d, o, world.worker->victims[0].frame, 0));
	pageq_unlock(d);
	assert_true(vm_page_busy_only(page_at(o, 2)));
	assert_int_equal(world_launder(), 2);
	assert_stayed(o, 0, true);
	assert_int_equal(page_state_at(o, 2), PAGE_ACTIVE);
	assert_false(vm_page_unbusy(page_at(o, 2)));
	assert_stayed(o, 2, true);
	assert_left(o, 1);
	assert_left(o, 3);
	assert_int_equal(world.worker->begun, 4);
	assert_int_equal(world_counter(STAT_RESCUES), 0);
	world_stop();
}

/* --- an object after the other --- */

/* An object ends while two of its pages are victims, and two others take its slots and frames, with
 * victims in the same places. They are laundered one after the other (the fixture looks for busy
 * pages of another object at each call). */
static void
an_object_that_ended_makes_no_group(void **state)
{
	const uint64_t far = SLOTS_PER_RUN;
	struct victim stale[2];
	struct pageout_worker *w;
	struct vm_object *o, *third;
	uint32_t slot_base;
	(void)state;

	world_start();
	w = world.worker;
	o = world_object_make(2 * SLOTS_PER_RUN, UNIT_BASE + (1ull << 32));
	slot_base = o->slot_base;
	victims_make(o, 0, 1, true);
	victims_make(o, far, far + 1, true);
	memcpy(stale, w->victims, sizeof(stale));
	vm_object_discard(o, 0, o->page_count);
	vm_mapping_put(o->mappings);
	w->chosen = 0;

	world.other = world_object_make(SLOTS_PER_RUN, UNIT_BASE + (2ull << 32));
	third = world_object_make(SLOTS_PER_RUN, UNIT_BASE + (3ull << 32));
	assert_int_equal(world.other->slot_base, slot_base);
	assert_int_equal(third->slot_base, slot_base + SLOTS_PER_RUN);
	/* The frame that was freed last is taken first. */
	assert_int_equal(page_make(third, 0, true), stale[1].frame);
	assert_int_equal(page_make(world.other, 0, true), stale[0].frame);
	page_choose(world.other, 0);
	page_choose(third, 0);
	memcpy(w->victims, stale, sizeof(stale));

	/* The fixture knows two objects: these. */
	o = world.unit.object;
	world.unit.object = third;
	assert_int_equal(world_launder(), 2);
	world.unit.object = o;
	assert_int_equal(world.call_count, 6);
	for (unsigned i = 0; i < 3; i++) {
		static const enum call calls[] = { CALL_PROTECT, CALL_PUT, CALL_PUNCH };

		assert_call(i, calls[i], world.other, 0, 1);
		assert_call(3 + i, calls[i], third, 0, 1);
	}
	assert_left(world.other, 0);
	assert_left(third, 0);
	vm_object_discard(third, 0, third->page_count);
	vm_mapping_put(third->mappings);
	world_stop();
}

static void
hold_up(enum call call, struct vm_object *o, uint64_t low, uint64_t high)
{
	(void)o, (void)low, (void)high;
	if (call == CALL_PUNCH)
		watch_own->relieved = true;
}

/* The rest of the batch is another thread's by then: it stays in the laundry, not busy. */
static void
a_relieved_worker_begins_nothing_more(void **state)
{
	struct vm_object *o;
	(void)state;

	world_start();
	o = world.unit.object;
	world.other = world_object_make(UNIT_PAGES, UNIT_BASE + (1ull << 32));
	world.on_call = hold_up;
	victims_make(o, 0, 4, true);
	victims_make(world.other, 0, 4, true);
	assert_int_equal(world_launder(), 4);
	assert_int_equal(world.worker->begun, 4);
	for (uint64_t i = 0; i < 4; i++) {
		assert_left(o, i);
		assert_int_equal(page_state_at(world.other, i), PAGE_LAUNDRY);
		assert_int_equal(page_at(world.other, i)->word & PAGE_BUSY, 0);
	}
	/* As the stand-by does. */
	watch_own->relieved = false;
	assert_int_equal(world_launder(), 4);
	for (uint64_t i = 0; i < 4; i++)
		assert_left(world.other, i);
	world_stop();
}

/* What evict.c has made CLEANING by itself is laundered in the same way. */
static void
begun_pages_are_laundered(void **state)
{
	struct pageout_worker *w;
	struct vm_object *o;
	(void)state;

	world_start();
	w = world.worker;
	o = world.unit.object;
	for (unsigned i = 0; i < 4; i++) {
		page_make(o, i, i % 2 == 0);
		page_begin(o, i);
	}
	world.is_laundering = true;
	assert_int_equal(launder_begun(w, w->victims, 4), 4);
	world.is_laundering = false;
	assert_all_left(o, 0, 4);
	assert_int_equal(w->begun, 0);
	assert_int_equal(world_counter(STAT_PAGEOUTS), 4);
	assert_int_equal(launder_begun(w, w->victims, 0), 0);
	world_stop();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dirty_pages_are_stored_and_leave),
		cmocka_unit_test(short_reads_go_on),
		cmocka_unit_test(what_cannot_be_read_stays),
		cmocka_unit_test(clean_pages_leave_for_nothing),
		cmocka_unit_test(clean_pages_are_not_stored_again),
		cmocka_unit_test(without_room_only_clean_pages_leave),
		cmocka_unit_test(a_batch_ends_with_the_room),
		cmocka_unit_test(some_room_is_used),
		cmocka_unit_test(only_what_is_protected_is_stored),
		cmocka_unit_test(what_is_pinned_stays),
		cmocka_unit_test(a_fault_wins_until_the_hole),
		cmocka_unit_test(rescued_victims_are_passed_over),
		cmocka_unit_test(an_object_that_ended_makes_no_group),
		cmocka_unit_test(a_relieved_worker_begins_nothing_more),
		cmocka_unit_test(begun_pages_are_laundered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
