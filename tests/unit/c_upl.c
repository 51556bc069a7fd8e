/* SPDX-License-Identifier: MIT
 *
 * Page lists: content, ranges, what they lack memory for, whose pages they are, and pages of files.
 */
#include "launder_fixture.h"

#include <errno.h>

#include "audit/audit_priv.h"
#include "audit/report.h"
#include "pageq/pageq.h"
#include "transit/discard.h"
#include "transit/release.h"
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

/* The object is no file any more. The record of a client stays for as long as pages are billed to
 * it.
 */
static void
file_end(struct vm_object *o)
{
	store_release(&world.unit.task->state, TASK_DEAD);
	dirty_release(o->daemon);
	o->external = NULL;
	o->standing = STANDING_PLAIN;
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
	o->standing = STANDING_EXTERNAL;
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
	file_end(o);
	world_stop();
}

/* An object with a place for each page, and dirty pages at those places. */
static struct vm_object *
file_start(struct external *external, const uint64_t *dirty, unsigned count)
{
	struct vm_object *o;

	world_start();
	watch_client(task_cookie(world.unit.task));
	o = world.unit.object;
	o->external = external;
	o->standing = STANDING_EXTERNAL;
	for (unsigned i = 0; i < count; i++)
		page_make(o, dirty[i], true);
	store_relaxed(&external->dirty_since, 0);
	return o;
}

static void
file_stop(struct vm_object *o)
{
	assert_null(o->upls);
	vm_object_discard(o, 0, 8);
	file_end(o);
	world_stop();
}

/* => failures of the check of objects */
static unsigned
objects_check(struct vm_object *o)
{
	char text[1000];
	struct report r = report_begin(text, sizeof(text));

	check_objects(o->daemon, &r);
	return r.failures;
}

static struct upl *
cleaning_begin(void *memory, struct vm_object *o, uint64_t first, unsigned count)
{
	return upl_begin(memory, o, NULL, 0, first, count, UPL_CLEANING_ALL);
}

/* In the cleaning form pages are busy only while they are copied. What is committed is clean, by
 * range, unless it was written to; what is aborted, wired, or was written to stays dirty, and the
 * object is told. */
static void
cleaning_lists_let_threads_go_on(void **state)
{
	_Alignas(struct upl) char memory[UPL_BYTES(8)];
	struct external external = { 0 };
	const uint64_t dirty[] = { 0, 1, 3, 4, 6 };
	struct vm_object *o = file_start(&external, dirty, ARRAY_LEN(dirty));
	struct upl *u;
	(void)state;

	page_make(o, 2, false);
	page_at(o, 2)->cref = CREF_PLACE.v;
	vm_page_flags_set(page_at(o, 6), PAGE_BUSY);
	pageq_lock(o->daemon);
	pageq_wire_locked(o->daemon, o, slot_frame(load_relaxed(vm_object_slot(o, 6))));
	pageq_unlock(o->daemon);
	vm_object_unbusy(o, 6, page_at(o, 6));
	u = cleaning_begin(memory, o, 0, 8);
	assert_int_equal(upl_gather_dirty(u, 8), UPL_STOP_END);
	assert_int_equal(u->held, 5);
	assert_false(upl_holds(u, 2) || upl_holds(u, 5) || upl_holds(u, 7));
	for (unsigned i = 0; i < ARRAY_LEN(dirty); i++)
		assert_true(load_relaxed(&page_at(o, dirty[i])->word) & PAGE_BUSY);
	assert_true(fault_meets(o, 1));
	/* They are busy for a moment, as any page: no memory is set aside for the list. */
	assert_int_equal(load_relaxed(&o->daemon->frames.listed), 0);
	upl_go_on(u);
	assert_true(world.is_woken[1]);
	for (unsigned i = 0; i < ARRAY_LEN(dirty); i++)
		assert_int_equal(load_relaxed(&page_at(o, dirty[i])->word) &
				     (PAGE_BUSY | PAGE_DIRTY | PAGE_WRITING),
		    dirty[i] == 6 ? PAGE_DIRTY : PAGE_DIRTY | PAGE_WRITING);
	assert_int_equal(objects_check(o), 0);
	/* A thread writes to page 3. */
	vm_page_flags_clear(page_at(o, 3), PAGE_WRITING);
	store_relaxed(&external.dirty_since, 0);
	assert_int_equal(upl_commit(u, 0, 1, UPL_COMMIT_CLEAR_DIRTY), 0);
	assert_of_file(o, 0, false);
	assert_int_equal(load_relaxed(&external.dirty_since), 0);
	assert_int_equal(upl_abort(u, 1, 1, UPL_ABORT_ERROR), 0);
	assert_of_file(o, 1, true);
	assert_int_not_equal(load_relaxed(&external.dirty_since), 0);
	assert_int_equal(upl_commit(u, 2, 3, UPL_COMMIT_CLEAR_DIRTY), 0);
	assert_of_file(o, 3, true);
	assert_of_file(o, 4, false);
	store_relaxed(&external.dirty_since, 0);
	assert_int_equal(upl_commit(u, 5, 3, UPL_COMMIT_CLEAR_DIRTY), 0);
	assert_int_equal(page_state_at(o, 6), PAGE_WIRED);
	assert_int_not_equal(load_relaxed(&external.dirty_since), 0);
	assert_int_equal(u->held, 0);
	upl_end(u);
	/* A page on its way is a list's. */
	assert_int_equal(objects_check(o), 0);
	vm_page_flags_set(page_at(o, 1), PAGE_WRITING);
	assert_int_equal(objects_check(o), 1);
	vm_page_flags_clear(page_at(o, 1), PAGE_WRITING);
	file_stop(o);
}

/* Content of a page that is on its way is not overtaken by content that is older: while one
 * cleaning list has a page no other takes it, also where it has been written to meanwhile. */
static void
no_two_cleaning_lists_have_a_page(void **state)
{
	_Alignas(struct upl) char memory[2][UPL_BYTES(8)];
	struct external external = { 0 };
	const uint64_t dirty[] = { 0, 1, 2, 3 };
	struct vm_object *o = file_start(&external, dirty, ARRAY_LEN(dirty));
	struct upl *a, *b;
	(void)state;

	a = cleaning_begin(memory[0], o, 0, 3);
	assert_int_equal(upl_gather_dirty(a, 2), UPL_STOP_MOST);
	assert_int_equal(a->held, 2);
	upl_clip(a);
	upl_go_on(a);
	vm_page_flags_clear(page_at(o, 1), PAGE_WRITING);
	/* Page 0 is waited for by number, page 1 must be written once more, and afterwards. */
	b = cleaning_begin(memory[1], o, 0, 4);
	assert_int_equal(upl_gather_dirty(b, 8), UPL_STOP_LISTED);
	assert_int_equal(b->gathered, 1);
	assert_int_equal(b->held, 0);
	upl_end(b);
	assert_int_equal(upl_commit(a, 0, 2, UPL_COMMIT_CLEAR_DIRTY), 0);
	upl_end(a);
	/* Page 2 is in transit. */
	vm_page_flags_set(page_at(o, 2), PAGE_BUSY);
	b = cleaning_begin(memory[1], o, 0, 4);
	assert_int_equal(upl_gather_dirty(b, 8), UPL_STOP_BUSY);
	assert_int_equal(b->gathered, 2);
	assert_true(upl_holds(b, 1));
	upl_end(b);
	vm_page_flags_clear(page_at(o, 2), PAGE_BUSY);
	file_stop(o);
}

/* Nothing is let go as protected that is not. */
static void
what_can_be_written_is_not_cleaned(void **state)
{
	_Alignas(struct upl) char memory[UPL_BYTES(8)];
	struct external external = { 0 };
	const uint64_t dirty[] = { 0, 1 };
	struct vm_object *o = file_start(&external, dirty, ARRAY_LEN(dirty));
	struct upl *u;
	(void)state;

	world.protect_error = -EAGAIN;
	u = cleaning_begin(memory, o, 0, 8);
	assert_int_equal(upl_gather_dirty(u, 8), UPL_STOP_BUSY);
	assert_int_equal(u->held + u->gathered, 0);
	for (uint64_t i = 0; i < 2; i++)
		assert_of_file(o, i, true);
	assert_int_not_equal(load_relaxed(&external.dirty_since), 0);
	upl_end(u);
	file_stop(o);
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
		cmocka_unit_test(cleaning_lists_let_threads_go_on),
		cmocka_unit_test(no_two_cleaning_lists_have_a_page),
		cmocka_unit_test(what_can_be_written_is_not_cleaned),
		cmocka_unit_test(lists_are_clipped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
