/* SPDX-License-Identifier: MIT
 *
 * Purging: an object goes whole or not at all, and nobody sees a part of it; what is volatile is
 * not laundered; a state does not change while somebody holds the object.
 */
#include "launder_fixture.h"

#include <errno.h>

#include "pageout/purge.h"
#include "transit/purge.h"
#include "transit/release.h"
#include "transit/run.h"

enum { DIRTY = 270, CLEAN = 280, STORED = 290 }; /* pages below are dirty, clean, stored */

static struct vm_object *
object_start(enum purgeable_state state)
{
	struct vm_object *o;

	world_start();
	o = world.unit.object;
	/* As if it had been made so. */
	o->is_purgeable = true;
	purgeable_init(&o->purgeable);
	o->standing = STANDING_NONVOLATILE;
	for (uint64_t i = 0; i < CLEAN; i++)
		page_make(o, i, i < DIRTY);
	for (uint64_t i = CLEAN; i < STORED; i++)
		page_store(o, i);
	lock_acquire(&o->lock);
	pageq_lock(o->daemon);
	if (state != PURGEABLE_NONVOLATILE)
		vm_object_purgeable_switch_locked(o, state, 0, false);
	pageq_unlock(o->daemon);
	lock_release(&o->lock);
	return o;
}

static enum purge_outcome
purge(struct vm_object *o, bool waits, uint64_t *ret_pages)
{
	struct hole hole;

	watch_own->client = task_cookie(o->owner);
	return vm_object_purge(world.worker->stats, &hole, o, waits, ret_pages);
}

static void
assert_untouched(struct vm_object *o, enum purgeable_state state)
{
	assert_int_equal(o->purgeable.state, state);
	assert_int_equal(o->purgeable.pages, STORED);
	assert_int_equal(purgeable_is_queued(&o->purgeable), state == PURGEABLE_VOLATILE);
	assert_false(o->purgeable.is_purging);
	assert_null(o->holes);
	assert_all_stayed(o, 0, DIRTY, true);
	assert_all_stayed(o, DIRTY, CLEAN, false);
	assert_all_left(o, CLEAN, STORED);
	assert_int_equal(world_counter(STAT_PURGES), 0);
}

/* All of it, at once: frames, copies beside pages, and stored pages. */
static void
all_of_it_goes(void **state)
{
	struct vm_object *o = object_start(PURGEABLE_VOLATILE);
	uint64_t pages;
	(void)state;

	assert_int_equal(load_relaxed(&o->daemon->pageq.purge.pages), STORED);
	assert_int_equal(unit_level(&world.unit, STAT_PAGES_VOLATILE), CLEAN);
	assert_int_equal(purge(o, false, &pages), PURGE_DONE);
	assert_int_equal(pages, STORED);
	assert_int_equal(o->purgeable.state, PURGEABLE_EMPTY);
	assert_int_equal(o->purgeable.pages, 0);
	assert_false(purgeable_is_queued(&o->purgeable));
	assert_null(o->holes);
	for (uint64_t i = 0; i < STORED; i++) {
		assert_int_equal(slot_kind(load_relaxed(vm_object_slot(o, i))), SLOT_ABSENT);
		assert_false(page_is_in_memfd(o, i));
		assert_int_equal(world.is_dropped[i], i >= DIRTY);
	}
	assert_int_equal(unit_level(&world.unit, STAT_FRAMES_FREE), UNIT_FRAMES);
	assert_int_equal(load_relaxed(&o->daemon->pageq.purge.pages), 0);
	assert_int_equal(unit_level(&world.unit, STAT_PAGES_VOLATILE), 0);
	assert_int_equal(world_counter(STAT_PURGED), STORED);
	/* Of what is empty there is nothing to purge; of what is nonvolatile nothing may be. */
	assert_int_equal(purge(o, false, &pages), PURGE_DONE);
	assert_int_equal(pages, 0);
	assert_int_equal(world_counter(STAT_PURGES), 1);
	world_stop();
}

static void
nonvolatile_stays(void **state)
{
	struct vm_object *o = object_start(PURGEABLE_NONVOLATILE);
	uint64_t pages;
	(void)state;

	assert_int_equal(purge(o, false, &pages), PURGE_KEPT);
	assert_int_equal(purge(o, true, &pages), PURGE_KEPT);
	assert_untouched(o, PURGEABLE_NONVOLATILE);
	world_stop();
}

/* One page in transit keeps all of it, wherever it is, and so does another thread's hole. */
static void
one_page_keeps_it(void **state)
{
	static const uint64_t held[] = { 0, 1, 255, 256, DIRTY, CLEAN - 1 };
	struct vm_object *o = object_start(PURGEABLE_VOLATILE);
	struct hole hole;
	uint64_t pages;
	(void)state;

	for (unsigned i = 0; i < ARRAY_LEN(held); i++) {
		struct vm_page *p = page_at(o, held[i]);

		assert_true(vm_page_busy_only(p));
		assert_int_equal(purge(o, false, &pages), PURGE_BUSY);
		/* Nothing was left behind for its holder, and nobody waits. */
		assert_int_equal(load_relaxed(&p->word) & PAGE_WANTED, 0);
		vm_object_unbusy(o, held[i], p);
		assert_untouched(o, PURGEABLE_VOLATILE);
	}
	lock_acquire(&o->lock);
	vm_object_hole_begin(o, &hole, CLEAN, CLEAN + 1);
	lock_release(&o->lock);
	assert_int_equal(purge(o, false, &pages), PURGE_BUSY);
	vm_object_hole_close(o, &hole);
	assert_untouched(o, PURGEABLE_VOLATILE);
	assert_int_equal(purge(o, false, &pages), PURGE_DONE);
	world_stop();
}

static unsigned punches;

/* Between two punches: the pages that have gone are not filled, the others are not mapped again,
 * and the object is empty for whoever asks. */
static void
between_punches(struct vm_object *o, uint64_t low, uint64_t high)
{
	struct fill fill = UNIT_FILL(&world.unit);
	static const uint64_t gone = 3, there = DIRTY + 1;

	assert_true(o->purgeable.is_purging);
	assert_int_equal(o->purgeable.state, PURGEABLE_EMPTY);
	for (uint64_t i = low; i < high; i++)
		assert_true(load_relaxed(&page_at(o, i)->word) & PAGE_BUSY);
	if (punches++ == 0)
		return;
	assert_true(gone < low && there >= low && there < high);
	lock_acquire(&o->lock);
	assert_int_equal(slot_kind(load_relaxed(vm_object_slot(o, gone))), SLOT_ABSENT);
	assert_int_equal(fill_begin(o->daemon, o, gone, 1, 1, FRAME_FIRST, &fill), RUN_BUSY);
	assert_int_equal(fill_begin(o->daemon, o, CLEAN, 1, 1, FRAME_READ, &fill), RUN_BUSY);
	lock_release(&o->lock);
	assert_true(fault_meets(o, there));
}

static void
nobody_sees_a_part(void **state)
{
	struct vm_object *o = object_start(PURGEABLE_VOLATILE);
	uint64_t pages;
	(void)state;

	punches = 0;
	world.on_punch = between_punches;
	assert_int_equal(purge(o, false, &pages), PURGE_DONE);
	world.on_punch = NULL;
	assert_int_equal(punches, 2);
	/* Threads that met it are woken when all of it has gone. */
	assert_true(world.is_woken[3] && world.is_woken[DIRTY + 1] && world.is_woken[CLEAN]);
	world_stop();
}

/* Victims stay, without a call on their memory, and an object is to go in their place. */
static void
volatile_victims_are_not_laundered(void **state)
{
	struct vm_object *o;
	(void)state;

	world_start();
	o = world.unit.object;
	o->is_purgeable = true;
	purgeable_init(&o->purgeable);
	o->standing = STANDING_NONVOLATILE;
	victims_make(o, 0, 8, true);
	lock_acquire(&o->lock);
	pageq_lock(o->daemon);
	vm_object_purgeable_switch_locked(o, PURGEABLE_VOLATILE, 0, false);
	pageq_unlock(o->daemon);
	lock_release(&o->lock);
	assert_int_equal(world_launder(), 0);
	assert_int_equal(world.call_count, 0);
	assert_true(world.worker->met_volatile);
	assert_all_stayed(o, 0, 8, true);
	assert_int_equal(world_counter(STAT_COMPRESSIONS), 0);
	/* It is not ripe, so it goes because it has to. */
	assert_int_equal(purge_round(world.worker, 0), 8);
	world_stop();
}

/* A worker purges in its own lane, and asks the others'. */
static void
a_lane_purges_its_own(void **state)
{
	struct vm_object *o = object_start(PURGEABLE_VOLATILE);
	struct purge_queue *q = &o->daemon->pageq.purge;
	(void)state;

	store_relaxed(&world.unit.task->lane, 2);
	assert_int_equal(purge_round(world.worker, PURGEABLE_GROUPS), 0);
	assert_false(q->asked[1]);
	assert_true(q->asked[2]);
	assert_untouched(o, PURGEABLE_VOLATILE);
	world.worker->lane = 2;
	assert_int_equal(purge_for_pressure(world.worker), CLEAN);
	assert_true(q->asked[2]); /* there may be more */
	assert_int_equal(purge_for_pressure(world.worker), 0);
	assert_false(q->asked[2]);
	store_relaxed(&world.unit.task->lane, LANE_COMMON);
	world_stop();
}

static void
what_is_held_stays_nonvolatile(void **state)
{
	struct vm_object *o = object_start(PURGEABLE_NONVOLATILE);
	struct stat_shard stats = world.worker->stats;
	uint32_t before = 99;
	(void)state;

	o->purgeable.wirers = 1;
	assert_int_equal(
	    vm_object_purgeable_set(stats, o, PURGEABLE_VOLATILE, NULL, &before), -EBUSY);
	assert_int_equal(vm_object_purgeable_set(stats, o, PURGEABLE_EMPTY, NULL, &before), -EBUSY);
	o->purgeable.wirers = 0;
	store_relaxed(&o->mappings->wired_bytes, 4096);
	assert_int_equal(
	    vm_object_purgeable_set(stats, o, PURGEABLE_VOLATILE, NULL, &before), -EBUSY);
	store_relaxed(&o->mappings->wired_bytes, 0);
	assert_int_equal(before, 99);
	assert_untouched(o, PURGEABLE_NONVOLATILE);
	assert_int_equal(vm_object_purgeable_set(stats, o,
			     PURGEABLE_VOLATILE | PAGER_PURGEABLE_GROUP(5), NULL, &before),
	    0);
	assert_int_equal(before, PURGEABLE_NONVOLATILE);
	assert_int_equal(vm_object_purgeable_get(o), PURGEABLE_VOLATILE | PAGER_PURGEABLE_GROUP(5));
	assert_int_equal(
	    vm_object_purgeable_set(stats, o, PURGEABLE_NONVOLATILE, NULL, &before), 0);
	assert_int_equal(before, PURGEABLE_VOLATILE | PAGER_PURGEABLE_GROUP(5));
	assert_untouched(o, PURGEABLE_NONVOLATILE);
	assert_int_equal(vm_object_purgeable_set(stats, o, PURGEABLE_EMPTY, NULL, &before), 0);
	assert_int_equal(vm_object_purgeable_set(stats, o, PURGEABLE_VOLATILE, NULL, &before), 0);
	assert_int_equal(before, PURGEABLE_EMPTY);
	/* What is put into it goes again. */
	page_make(o, 7, true);
	assert_true(purgeable_is_queued(&o->purgeable));
	assert_int_equal(purge_round(world.worker, 0), 1);
	assert_int_equal(
	    vm_object_purgeable_set(stats, o, PURGEABLE_NONVOLATILE, NULL, &before), 0);
	assert_int_equal(before, PURGEABLE_EMPTY);
	world_stop();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_of_it_goes),
		cmocka_unit_test(nonvolatile_stays),
		cmocka_unit_test(one_page_keeps_it),
		cmocka_unit_test(nobody_sees_a_part),
		cmocka_unit_test(volatile_victims_are_not_laundered),
		cmocka_unit_test(a_lane_purges_its_own),
		cmocka_unit_test(what_is_held_stays_nonvolatile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
