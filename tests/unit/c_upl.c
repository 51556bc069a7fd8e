/* SPDX-License-Identifier: MIT
 *
 * Page lists: content, ranges, what they lack memory for, whose pages they are, and pages of files.
 */
#include "launder_fixture.h"

#include <errno.h>

#include "transit/discard.h"
#include "upl/upl.h"

static void
content_put(struct vm_object *o, uint64_t index, uint64_t word)
{
	assert_int_equal(
	    pwrite(o->backing.memfd, &word, sizeof(word), (off_t)index * 4096), sizeof(word));
}

static uint64_t
content_get(struct vm_object *o, uint64_t index)
{
	uint64_t word = 0;

	assert_int_equal(
	    pread(o->backing.memfd, &word, sizeof(word), (off_t)index * 4096), sizeof(word));
	return word;
}

/* What was put into the memfd is the page's once it is committed; an aborted page has left nothing
 * there; what was resident keeps its content unless it is thrown away. */
static void
content_goes_with_the_page(void **state)
{
	struct vm_object *o;
	struct upl *u;
	(void)state;

	world_start();
	watch_client(task_cookie(world.unit.task));
	o = world.unit.object;
	page_store(o, 3);
	page_make(o, 4, true);
	assert_int_equal(upl_create(o, world.unit.task, UNIT_BASE, 0, 6, 0, &u), 0);
	assert_int_equal(upl_gather(u, 100), UPL_ALL);
	assert_int_equal(u->held, 6);
	for (uint64_t i = 0; i < 5; i++)
		content_put(o, i, 100 + i);
	assert_int_equal(upl_commit(u, 0, 2, 0), 0);
	assert_int_equal(upl_abort(u, 2, 2, 0), 0);
	assert_int_equal(u->held, 2);
	assert_int_equal(upl_commit(u, 4, 2, 0), 0);
	assert_int_equal(content_get(o, 0), 100);
	assert_int_equal(content_get(o, 1), 101);
	assert_int_equal(slot_kind(load_relaxed(vm_object_slot(o, 2))), SLOT_ABSENT);
	assert_int_equal(content_get(o, 2), 0);
	assert_left(o, 3);
	assert_int_equal(content_get(o, 4), 104);
	/* Nothing was put there. */
	assert_int_equal(page_state_at(o, 5), PAGE_ACTIVE);
	assert_int_equal(content_get(o, 5), 0);
	upl_destroy(u);
	world_stop();
}

/* --- ranges --- */

static void
ranges_and_emptiness(void **state)
{
	struct vm_object *o;
	struct upl *u;
	(void)state;

	world_start();
	watch_client(task_cookie(world.unit.task));
	o = world.unit.object;
	page_make(o, 11, false);
	assert_int_equal(
	    upl_create(o, world.unit.task, UNIT_BASE, 10, 300, UPL_RET_ONLY_ABSENT, &u), 0);
	/* In steps. */
	assert_int_equal(upl_gather(u, 7), UPL_MORE);
	assert_int_equal(u->gathered, 7);
	assert_int_equal(u->held, 6);
	assert_int_equal(upl_gather(u, 1000), UPL_ALL);
	assert_int_equal(u->held, 299);
	/* Beyond its end nothing changes. */
	assert_int_equal(upl_commit(u, 299, 2, 0), -EINVAL);
	assert_int_equal(upl_abort(u, 301, 0, 0), -EINVAL);
	assert_int_equal(upl_commit(u, 1, UINT32_MAX, 0), -EINVAL);
	assert_int_equal(upl_abort(u, UINT32_MAX, 1, 0), -EINVAL);
	assert_int_equal(upl_commit(u, 0, 300, UPL_COMMIT_FLAGS + 1), -EINVAL);
	assert_int_equal(upl_abort(u, 0, 300, UPL_ABORT_FLAGS + 1), -EINVAL);
	assert_int_equal(u->held, 299);
	assert_int_equal(upl_commit(u, 300, 0, 0), 0);
	assert_int_equal(u->held, 299);
	assert_int_equal(upl_commit(u, 0, 100, 0), 0);
	assert_int_equal(u->held, 200);
	/* A page is handed back once. */
	assert_int_equal(upl_abort(u, 0, 101, UPL_ABORT_DUMP_PAGES), 0);
	assert_int_equal(u->held, 199);
	assert_int_equal(page_state_at(o, 109), PAGE_ACTIVE);
	assert_int_equal(slot_kind(load_relaxed(vm_object_slot(o, 110))), SLOT_ABSENT);
	assert_stayed(o, 11, false);
	/* The rest is aborted. */
	upl_destroy(u);
	assert_int_equal(load_relaxed(&o->daemon->frames.listed), 0);
	assert_int_equal(slot_kind(load_relaxed(vm_object_slot(o, 309))), SLOT_ABSENT);
	assert_int_equal(unit_level(&world.unit, STAT_FRAMES_ACTIVE), 100);
	assert_null(o->upls);
	world_stop();
}

/* Frames are lacking: the list ends there, or with NOBLOCK there are holes. */
static void
lists_end_where_memory_does(void **state)
{
	struct vm_object *o;
	struct daemon *d;
	struct upl *u, *next;
	unsigned room;
	(void)state;

	world_start();
	watch_client(task_cookie(world.unit.task));
	o = world.unit.object;
	d = o->daemon;
	room = frames_available(d);
	assert_in_range(room, 2, UNIT_PAGES - 2);
	assert_int_equal(upl_create(o, world.unit.task, UNIT_BASE, 0, room + 2, 0, &u), 0);
	assert_int_equal(upl_gather(u, UNIT_PAGES), UPL_NO_ROOM);
	assert_int_equal(u->gathered, room);
	assert_int_equal(u->held, room);
	/* As it is: the next call would go on there. */
	assert_int_equal(upl_gather(u, UNIT_PAGES), UPL_NO_ROOM);
	assert_int_equal(u->gathered, room);
	/* Pages of a list cannot make room. */
	assert_int_equal(frames_movable(d), UNIT_FRAMES - room);
	upl_clip(u);
	assert_int_equal(u->count, room);
	assert_int_equal(upl_abort(u, 0, room + 1, 0), -EINVAL);
	assert_int_equal(upl_create(o, world.unit.task, UNIT_BASE, room, 2, UPL_NOBLOCK, &next), 0);
	assert_int_equal(upl_gather(next, UNIT_PAGES), UPL_ALL);
	assert_int_equal(next->held, 0);
	assert_int_equal(next->pages[0], UPL_PAGE_ABSENT);
	upl_destroy(next);
	upl_destroy(u);
	assert_int_equal(frames_movable(d), UNIT_FRAMES);
	world_stop();
}

/* A list of another list's pages has holes there. */
static void
pages_are_of_one_list(void **state)
{
	struct upl *a, *b;
	struct vm_object *o;
	(void)state;

	world_start();
	watch_client(task_cookie(world.unit.task));
	o = world.unit.object;
	assert_int_equal(upl_create(o, world.unit.task, UNIT_BASE, 0, 4, 0, &a), 0);
	assert_int_equal(upl_gather(a, 4), UPL_ALL);
	assert_int_equal(upl_create(o, world.unit.task, UNIT_BASE, 2, 4, UPL_NOBLOCK, &b), 0);
	assert_int_equal(upl_gather(b, 4), UPL_ALL);
	assert_int_equal(b->held, 2);
	assert_int_equal(b->pages[0], UPL_PAGE_BUSY);
	assert_int_equal(b->pages[1], UPL_PAGE_BUSY);
	assert_int_equal(load_relaxed(&o->daemon->frames.listed), 6);
	/* Holes are passed over: the other list still has them. */
	assert_int_equal(upl_abort(b, 0, 4, UPL_ABORT_DUMP_PAGES), 0);
	assert_int_equal(a->held, 4);
	assert_int_equal(load_relaxed(&o->daemon->frames.listed), 4);
	upl_destroy(b);
	upl_destroy(a);
	world_stop();
}

/* Where a mapping cannot be protected its pages can be written to, and so are not held. */
static void
what_can_be_written_is_not_held(void **state)
{
	struct vm_object *o;
	struct upl *u;
	(void)state;

	world_start();
	watch_client(task_cookie(world.unit.task));
	o = world.unit.object;
	page_make(o, 0, true);
	page_make(o, 1, false);
	page_make(o, 2, true);
	world.protect_error = -EAGAIN;
	assert_int_equal(upl_create(o, world.unit.task, UNIT_BASE, 0, 3, UPL_COPYOUT_FROM, &u), 0);
	assert_int_equal(upl_gather(u, 3), UPL_ALL);
	assert_int_equal(u->held, 1);
	assert_true(upl_holds(u, 1));
	assert_int_equal(u->pages[0], UPL_PAGE_BUSY);
	assert_int_equal(u->pages[2], UPL_PAGE_BUSY);
	upl_destroy(u);
	for (uint64_t i = 0; i < 3; i++)
		assert_stayed(o, i, i != 1);
	world_stop();
}

/* Wired by the task that fills: what comes in is wired. */
static void
filled_pages_of_wired_ranges_are_wired(void **state)
{
	struct vm_object *o;
	struct upl *u;
	(void)state;

	world_start();
	watch_client(task_cookie(world.unit.task));
	o = world.unit.object;
	assert_int_equal(upl_create(o, world.unit.task, UNIT_BASE, 0, 3, 0, &u), 0);
	u->is_wired = true;
	assert_int_equal(upl_gather(u, 3), UPL_ALL);
	assert_int_equal(upl_commit(u, 0, 1, 0), 0);
	assert_int_equal(upl_commit(u, 1, 1, UPL_COMMIT_SPECULATE), 0);
	assert_int_equal(upl_commit(u, 2, 1, UPL_COMMIT_INACTIVATE), 0);
	for (uint64_t i = 0; i < 3; i++)
		assert_int_equal(page_state_at(o, i), PAGE_WIRED);
	upl_destroy(u);
	world_stop();
}

static void
assert_of_file(struct vm_object *o, uint64_t index, bool is_dirty)
{
	assert_int_equal(page_at(o, index)->word & (PAGE_BUSY | PAGE_DIRTY | PAGE_WRITING),
	    is_dirty ? PAGE_DIRTY : 0);
	assert_int_equal(page_at(o, index)->cref, is_dirty ? 0 : CREF_PLACE.v);
}

/* Of an object whose pager has a place for each page: what was written to its place is clean, what
 * came from there too; what could not be had is asked for again. */
static void
pages_that_have_a_place(void **state)
{
	struct external external = { 0 };
	struct vm_object *o;
	struct upl *u;
	(void)state;

	world_start();
	watch_client(task_cookie(world.unit.task));
	o = world.unit.object;
	o->external = &external;
	for (uint64_t i = 0; i < 4; i++) {
		page_make(o, i, true);
		assert_of_file(o, i, true);
	}
	vm_page_flags_set(page_at(o, 1), PAGE_WRITING);
	assert_int_equal(upl_create(o, world.unit.task, UNIT_BASE, 0, 8,
			     UPL_COPYOUT_FROM | UPL_CLEAN_IN_PLACE | UPL_RET_ONLY_DIRTY, &u),
	    0);
	assert_int_equal(upl_gather(u, 8), UPL_ALL);
	assert_int_equal(u->held, 4);
	assert_int_equal(upl_commit(u, 0, 2, 0), 0);
	assert_int_equal(upl_commit(u, 2, 1, UPL_COMMIT_SET_DIRTY), 0);
	assert_int_equal(upl_abort(u, 3, 1, 0), 0);
	for (uint64_t i = 0; i < 4; i++)
		assert_of_file(o, i, i >= 2);
	upl_destroy(u);
	/* Page 2 leaves, written. */
	assert_int_equal(upl_create(o, world.unit.task, UNIT_BASE, 2, 1, UPL_COPYOUT_FROM, &u), 0);
	assert_int_equal(upl_gather(u, 8), UPL_ALL);
	assert_int_equal(upl_commit(u, 0, 1, 0), 0);
	assert_int_equal(slot_kind(load_relaxed(vm_object_slot(o, 2))), SLOT_ABSENT);
	upl_destroy(u);
	/* Absent ones come in. */
	assert_int_equal(
	    upl_create(o, world.unit.task, UNIT_BASE, 0, 8, UPL_RET_ONLY_ABSENT, &u), 0);
	assert_int_equal(upl_gather(u, 8), UPL_ALL);
	assert_int_equal(u->held, 5);
	assert_true(fault_meets(o, 6));
	assert_int_equal(upl_commit(u, 2, 3, UPL_COMMIT_SPECULATE), 0);
	assert_int_equal(upl_commit(u, 5, 1, UPL_COMMIT_SET_DIRTY), 0);
	assert_int_equal(upl_abort(u, 6, 2, UPL_ABORT_ERROR), 0);
	assert_of_file(o, 2, false);
	assert_int_equal(page_state_at(o, 4), PAGE_SPECULATIVE);
	assert_of_file(o, 4, false);
	assert_of_file(o, 5, true);
	assert_int_equal(slot_kind(load_relaxed(vm_object_slot(o, 6))), SLOT_ABSENT);
	assert_true(world.is_woken[6]);
	assert_int_equal(slot_kind(load_relaxed(vm_object_slot(o, 7))), SLOT_ABSENT);
	upl_destroy(u);
	vm_object_discard(o, 0, 8);
	o->external = NULL;
	world_stop();
}

/* The most that one list covers. */
static void
lists_are_clipped(void **state)
{
	struct vm_object *o;
	struct upl *u;
	(void)state;

	world_start();
	o = world_object_make(3 * UPL_BYTES_MAX / 4096, UNIT_BASE + (1ull << 36));
	assert_int_equal(upl_create(o, world.unit.task, o->mappings->base, 1, o->page_count - 1,
			     UPL_COPYOUT_FROM, &u),
	    0);
	assert_int_equal(u->count, UPL_BYTES_MAX / 4096);
	assert_int_equal(upl_gather(u, UINT32_MAX), UPL_ALL);
	assert_int_equal(u->held, 0);
	upl_destroy(u);
	vm_mapping_put(o->mappings);
	world_stop();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(content_goes_with_the_page),
		cmocka_unit_test(ranges_and_emptiness),
		cmocka_unit_test(lists_end_where_memory_does),
		cmocka_unit_test(pages_are_of_one_list),
		cmocka_unit_test(what_can_be_written_is_not_held),
		cmocka_unit_test(filled_pages_of_wired_ranges_are_wired),
		cmocka_unit_test(pages_that_have_a_place),
		cmocka_unit_test(lists_are_clipped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
