/* SPDX-License-Identifier: MIT
 *
 * Eviction without its threads: the outcome for each state of a page, and parts that are handed on.
 */
#include "c_unit.h"

#include "fault/fault.h"
#include "pageout/evict.h"
#include "pageout/launder.h"
#include "pageout/pageout.h"
#include "pageq/side.h"
#include "pageq/page_policy.h"
#include "pageq/pageq.h"

static void
start(struct unit *u)
{
	struct daemon *d;

	unit_start(u);
	d = u->daemon;
	assert_int_equal(page_policy_create(d, "mach2q", &d->pageq.policies.common), 0);
}

/* A resident page, dirty, in that state (ACTIVE or SPECULATIVE). => its frame */
static uint32_t
page_make(struct unit *u, uint64_t index, enum page_state state)
{
	struct fill fill = UNIT_FILL(u);

	lock_acquire(&u->object->lock);
	assert_int_equal(
	    fill_begin(u->daemon, u->object, index, 1, 1, FRAME_FIRST, &fill), RUN_BEGUN);
	lock_release(&u->object->lock);
	fill_finish(NULL, &fill, 1, state, false);
	return fill.frames[0];
}

static enum page_state
state_of(struct unit *u, uint32_t frame)
{
	return page_word_state(load_relaxed(&u->daemon->frames.pages[frame].word));
}

/* Back, as when a fault has won; then gone. */
static void
page_end(struct unit *u, uint64_t index, uint32_t frame, const struct victim *v)
{
	struct daemon *d = u->daemon;
	struct vm_page *p = &d->frames.pages[frame];

	if (v) {
		pageq_lock(d);
		pageq_launder_abort_locked(d, v, true);
		pageq_unlock(d);
		assert_false(vm_page_unbusy(p));
		vm_object_put(u->object);
	}
	lock_acquire(&u->object->lock);
	assert_true(vm_page_busy_only(p));
	vm_object_slot_set(u->object, index, 0);
	pageq_lock(d);
	pageq_discard_locked(d, u->object, frame);
	pageq_unlock(d);
	lock_release(&u->object->lock);
}

static void
every_state_has_its_answer(void **state)
{
	enum { ACTIVE, INACTIVE, LAUNDRY, WIRED, BUSY, SPECULATIVE, CLEAN, COUNT, ABSENT = COUNT };
	static const enum pageq_eviction any[] = { EVICTION_TAKEN, EVICTION_TAKEN, EVICTION_TAKEN,
		EVICTION_NONE, EVICTION_BUSY, EVICTION_TAKEN, EVICTION_TAKEN, EVICTION_NONE };
	static const enum pageq_eviction clean[] = { EVICTION_DIRTY, EVICTION_DIRTY, EVICTION_DIRTY,
		EVICTION_NONE, EVICTION_BUSY, EVICTION_DIRTY, EVICTION_TAKEN, EVICTION_NONE };
	struct victim others, v[COUNT + 1];
	uint32_t frame[COUNT];
	unsigned references;
	struct daemon *d;
	struct unit u;
	(void)state;

	start(&u);
	d = u.daemon;
	for (uint64_t i = 0; i < COUNT; i++)
		frame[i] = page_make(&u, i, i == SPECULATIVE ? PAGE_SPECULATIVE : PAGE_ACTIVE);
	pageq_lock(d);
	assert_true(pageq_deactivate_page_locked(d, u.object, INACTIVE));
	assert_true(pageq_deactivate_page_locked(d, u.object, LAUNDRY));
	assert_true(pageq_choose_page_locked(d, u.object, LAUNDRY, &others));
	assert_true(vm_page_busy_only(&d->frames.pages[frame[WIRED]]));
	pageq_wire_locked(d, u.object, frame[WIRED]);
	assert_false(vm_page_unbusy(&d->frames.pages[frame[WIRED]]));
	pageq_unlock(d);
	assert_true(vm_page_busy_only(&d->frames.pages[frame[BUSY]]));
	vm_page_flags_clear(&d->frames.pages[frame[CLEAN]], PAGE_DIRTY);

	references = load_relaxed(&u.object->references);
	pageq_lock(d);
	for (uint64_t i = 0; i < COUNT + 1; i++)
		if (i != CLEAN)
			assert_int_equal(
			    pageq_evict_page_locked(d, u.object, i, true, &v[i]), clean[i]);
	assert_int_equal(unit_level(&u, STAT_FRAMES_LAUNDRY), 1);
	for (uint64_t i = 0; i < COUNT + 1; i++)
		assert_int_equal(
		    pageq_evict_page_locked(d, u.object, i, i == CLEAN, &v[i]), any[i]);
	/* Whose victim it was comes too late. */
	assert_false(pageq_launder_begin_locked(d, &others));
	pageq_unlock(d);
	assert_int_equal(unit_level(&u, STAT_FRAMES_LAUNDRY), 5);
	assert_int_equal(unit_level(&u, STAT_FRAMES_WIRED), 1);
	assert_int_equal(unit_level(&u, STAT_FRAMES_SPECULATIVE), 0);
	assert_int_equal(load_relaxed(&u.object->references), references + 5);
	assert_true(d->pageq.speculative.head == FRAME_NONE);
	/* Only a waiting job is woken. */
	assert_int_equal(load_relaxed(&d->frames.pages[frame[BUSY]].word) & PAGE_WANTED, 0);
	assert_false(vm_page_unbusy(&d->frames.pages[frame[BUSY]]));

	for (uint64_t i = 0; i < COUNT; i++) {
		if (any[i] == EVICTION_TAKEN) {
			assert_int_equal(state_of(&u, frame[i]), PAGE_CLEANING);
			assert_int_equal(v[i].frame, frame[i]);
		}
		page_end(&u, i, frame[i], any[i] == EVICTION_TAKEN ? &v[i] : NULL);
	}
	assert_int_equal(unit_level(&u, STAT_FRAMES_FREE), UNIT_FRAMES);
	page_policy_destroy(d->pageq.policies.common);
	unit_stop(&u);
}

/* --- a worker is relieved --- */

/* The rest of an awaited range is handed on, unless the worker is held up by that range's own
 * pages; so are clients at their limit. */
static void
parts_are_handed_over(void **state)
{
	struct pageout_worker *w = calloc(2, sizeof(*w)), *next = w + 1;
	struct eviction e = { .parts = 1 };
	struct unit u;
	(void)state;

	unit_start(&u);
	w->duty.number = 0;
	next->duty.number = DUTY_NONE;
	w->eviction = &e;
	w->part_low = 70;
	w->part_high = 128;
	w->chosen = 5;
	w->begun = 3;
	w->victims[3].page = 33;
	w->victims[4].page = 44;
	w->evicting = true;
	lock_acquire(&u.daemon->duty_lock);
	worker_hand_over_locked(u.daemon, w, next);
	assert_ptr_equal(w->eviction, &e);
	assert_null(next->eviction);
	w->evicting = false;
	worker_hand_over_locked(u.daemon, w, next);
	lock_release(&u.daemon->duty_lock);
	assert_null(w->eviction);
	assert_ptr_equal(next->eviction, &e);
	assert_int_equal(next->part_low, 70);
	assert_int_equal(next->part_high, 128);
	assert_int_equal(e.parts, 1);
	assert_int_equal(next->chosen, 2);
	assert_int_equal(next->victims[1].page, 44);
	assert_true(next->duty.is_new && next->duty.number == 0);
	assert_true(load_relaxed(&u.daemon->limits.wanted[LANE_COMMON]));
	free(w);
	unit_stop(&u);
}

/* Up by half each time, to the most, back by half where no room was found, by the usual rule where
 * pages stay in memory. */
static void
presses_lightly_what_goes_on(void **state)
{
	static const struct {
		unsigned now, least, most;
		bool goes_on, refused;
		unsigned next;
	} rows[] = {
		{ 0, 1, 16, true, false, 1 }, { 1, 1, 16, true, false, 2 },
		{ 2, 1, 16, true, false, 4 }, { 7, 1, 16, true, false, 11 },
		{ 11, 1, 16, true, false, 16 }, { 16, 1, 16, true, false, 16 },
		{ 16, 1, 16, true, true, 8 }, { 1, 1, 16, true, true, 1 },
		{ 0, 1, 16, true, true, 1 }, { 16, 1, 16, false, false, 0 },
		{ 16, 1, 16, false, true, 0 },
		{ 16, 1, 4, true, false, 4 }, /* the parameter was lowered */
		{ 3, 4, 16, true, true, 4 },
		{ 2, 8, 1, true, false,
		    8 }, /* compress_acceleration is above: never pressed harder for this */
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(evict_acceleration(rows[i].now, rows[i].least, rows[i].most,
				     rows[i].goes_on, rows[i].refused),
		    rows[i].next);
}

/* Victims that a side lane must launder are no reason to wait, but not without end; any other turn
 * begins anew. */
static void
side_lanes_victims_are_passed_over(void **state)
{
	struct pageout_worker *w = calloc(1, sizeof(*w));
	unsigned turns = 0;
	struct victim *v;
	struct daemon *d;
	uint32_t frame;
	struct unit u;
	(void)state;

	start(&u);
	d = u.daemon;
	assert_int_equal(side_create(d), 0);
	assert_false(worker_has_passed_over(w, 0, 0));
	for (;; turns++) {
		unsigned before = w->passed_over;

		w->passed_over += 16;
		if (!worker_has_passed_over(w, before, 0))
			break;
		assert_int_equal(w->passed_over, before + 16);
	}
	assert_in_range(turns, 16, 1000);
	assert_int_equal(w->passed_over, 0);
	w->passed_over = 16;
	assert_false(worker_has_passed_over(w, 0, 1));
	assert_int_equal(w->passed_over, 0);
	w->passed_over = 16;
	assert_false(worker_has_passed_over(w, 16, 0));

	/* One of a client in a side lane. */
	frame = page_make(&u, 7, PAGE_ACTIVE);
	v = &w->victims[0];
	pageq_lock(d);
	assert_true(pageq_deactivate_page_locked(d, u.object, 7));
	assert_true(pageq_choose_page_locked(d, u.object, 7, v));
	pageq_unlock(d);
	store_relaxed(&u.task->lane, 1);
	w->daemon = d;
	w->stats = stats_shard(&d->stats, 0);
	w->chosen = 1;
	assert_int_equal(launder(w), 0);
	assert_int_equal(w->passed_over, 1);
	assert_int_equal(d->pageq.side[0].count, 1);
	assert_int_equal(state_of(&u, frame), PAGE_LAUNDRY);
	page_end(&u, 7, frame, NULL);
	side_destroy(d);
	page_policy_destroy(d->pageq.policies.common);
	unit_stop(&u);
	free(w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(presses_lightly_what_goes_on),
		cmocka_unit_test(every_state_has_its_answer),
		cmocka_unit_test(parts_are_handed_over),
		cmocka_unit_test(side_lanes_victims_are_passed_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
