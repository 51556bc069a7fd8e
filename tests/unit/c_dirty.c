/* SPDX-License-Identifier: MIT
 *
 * Dirty pages of files: who pays for them, and when a store must wait or is refused.
 */
#include "vnode_fixture.h"

#include "pageq/pageq.h"
#include "transit/discard.h"

static unsigned
billed(const struct task *task)
{
	struct task *t = (struct task *)(uintptr_t)task;

	assert_int_equal(
	    load_relaxed(&t->dirty.pages), load_relaxed(&t->bill.account->dirty_pages));
	return load_relaxed(&t->dirty.pages);
}

/* A dirty page is billed to the task that made it so, until it is clean, is wired, or is gone. */
static void
dirty_pages_are_billed(void **state)
{
	struct vm_page *pages[4];
	struct daemon *d = vf.u.daemon;
	struct vm_object *o;
	struct vm_entry e;
	uint32_t frame;

	(void)state;
	file_set(8 * PAGE);
	file_map(vf.tasks[0], vf.file, UNIT_BASE, 0, 8 * PAGE, &e);
	o = e.mapping->object;
	for (unsigned i = 0; i < 4; i++)
		pages[i] = page_make(o, i, 0x30 + (int)i);
	assert_int_equal(billed(vf.tasks[0]), 4);
	assert_int_equal(load_relaxed(&o->external->dirty_pages), 4);
	assert_int_equal(load_relaxed(&d->dirty.pages), 4);
	/* Dirty already: nobody else pays for it. */
	assert_true(vm_page_busy_only(pages[0]));
	vm_page_make_dirty(o, pages[0], vf.tasks[1]);
	vm_page_unbusy(pages[0]);
	assert_int_equal(billed(vf.tasks[1]), 0);
	/* Wired ones have a bound of their own. */
	frame = (uint32_t)(pages[1] - d->frames.pages);
	assert_true(vm_page_busy_only(pages[1]));
	pageq_lock(d);
	pageq_wire_locked(d, o, frame);
	pageq_unlock(d);
	assert_int_equal(billed(vf.tasks[0]), 3);
	pageq_lock(d);
	pageq_unwire_locked(d, o, frame);
	pageq_unlock(d);
	vm_page_unbusy(pages[1]);
	assert_int_equal(billed(vf.tasks[0]), 4);
	assert_int_equal(vm_object_discard(o, 3, 4), 1);
	assert_int_equal(billed(vf.tasks[0]), 3);
	pages_clean(o, NULL);
	assert_int_equal(billed(vf.tasks[0]), 0);
	assert_int_equal(load_relaxed(&o->external->dirty_pages), 0);
	assert_int_equal(load_relaxed(&d->dirty.pages), 0);
	/* It becomes dirty again for somebody else. */
	assert_true(vm_page_busy_only(pages[0]));
	pages[0]->cref = 0;
	vm_page_make_dirty(o, pages[0], vf.tasks[1]);
	vm_page_unbusy(pages[0]);
	assert_int_equal(billed(vf.tasks[1]), 1);
	pages_clean(o, NULL);
	assert_int_equal(billed(vf.tasks[1]), 0);
}

/* At its bound a store waits; where the file cannot be written, or nothing has been written for
 * long, it is refused. A file that can be written may have some pages all the same. Nobody else is
 * affected. */
static void
dirty_pages_have_bounds(void **state)
{
	struct vm_object *o;
	struct vm_entry e;
	uint32_t room, part;

	(void)state;
	file_set(8 * PAGE);
	file_map(vf.tasks[0], vf.file, UNIT_BASE, 0, 8 * PAGE, &e);
	o = e.mapping->object;
	room = (uint32_t)dirty_most_of_session(vf.u.daemon);
	part = room / 16;
	assert_true(room > 16 && room < dirty_most_of_user(vf.u.daemon));
	page_make(o, 0, 0x30);
	assert_int_equal(dirty_may_store(vf.tasks[0], o), DIRTY_MAY);
	/* As if many had been made dirty, in other files. */
	fetch_add_relaxed(&vf.tasks[0]->dirty.pages, room - 1);
	assert_false(dirty_has_room(vf.tasks[0]));
	assert_int_equal(dirty_may_store(vf.tasks[0], o), DIRTY_MAY);
	fetch_add_relaxed(&o->external->dirty_pages, part);
	assert_int_equal(load_relaxed(&vf.tasks[0]->dirty.stopped_ns), 0);
	assert_int_equal(dirty_may_store(vf.tasks[0], o), DIRTY_WAITS);
	assert_int_equal(dirty_may_store(vf.tasks[0], o), DIRTY_WAITS);
	assert_int_not_equal(load_relaxed(&vf.tasks[0]->dirty.stopped_ns), 0);
	assert_int_equal(dirty_may_store(vf.tasks[1], o), DIRTY_MAY);
	/* For longer than anybody waits. */
	store_relaxed(&vf.tasks[0]->dirty.stopped_ns, 1);
	assert_int_equal(dirty_may_store(vf.tasks[0], o), DIRTY_REFUSED);
	/* Something has been written. */
	dirty_progress(o, vf.tasks[0]->index + 1);
	assert_int_equal(dirty_may_store(vf.tasks[0], o), DIRTY_WAITS);
	/* Writes fail. */
	store_relaxed(&o->external->is_failing, true);
	assert_int_equal(dirty_may_store(vf.tasks[0], o), DIRTY_REFUSED);
	assert_int_equal(dirty_may_store(vf.tasks[1], o), DIRTY_MAY);
	store_relaxed(&o->external->is_failing, false);
	/* They do not come back. */
	store_relaxed(&o->external->late, 1);
	assert_int_equal(dirty_may_store(vf.tasks[0], o), DIRTY_REFUSED);
	store_relaxed(&o->external->late, 0);
	/* A quarter above the bound is for all files together. */
	fetch_sub_relaxed(&o->external->dirty_pages, part);
	assert_int_equal(dirty_may_store(vf.tasks[0], o), DIRTY_MAY);
	assert_int_equal(load_relaxed(&vf.tasks[0]->dirty.stopped_ns), 0);
	fetch_add_relaxed(&vf.tasks[0]->dirty.pages, room / 4 + 1);
	assert_int_equal(dirty_may_store(vf.tasks[0], o), DIRTY_WAITS);
	fetch_sub_relaxed(&vf.tasks[0]->dirty.pages, room - 1 + room / 4 + 1);
	/* All sessions of the user together. */
	fetch_add_relaxed(
	    &vf.tasks[0]->bill.account->dirty_pages, (uint32_t)dirty_most_of_user(vf.u.daemon) * 2);
	assert_int_equal(dirty_may_store(vf.tasks[0], o), DIRTY_WAITS);
	assert_int_equal(dirty_may_store(vf.tasks[1], o), DIRTY_MAY);
	fetch_sub_relaxed(
	    &vf.tasks[0]->bill.account->dirty_pages, (uint32_t)dirty_most_of_user(vf.u.daemon) * 2);
	pages_clean(o, NULL);
}

/* The record of a task stays as long as pages are billed to it. */
static void
dirty_pages_keep_their_task(void **state)
{
	struct vm_entry a, b;
	struct vm_object *o;
	struct vm_page *p;

	(void)state;
	file_set(8 * PAGE);
	file_map(vf.tasks[0], vf.file, UNIT_BASE, 0, 8 * PAGE, &a);
	file_map(vf.tasks[1], vf.file, UNIT_BASE, 0, 8 * PAGE, &b);
	o = a.mapping->object;
	p = page_make(o, 0, 0x30);
	pages_clean(o, NULL);
	assert_true(vm_page_busy_only(p));
	p->cref = 0;
	vm_page_make_dirty(o, p, vf.tasks[1]);
	vm_page_unbusy(p);
	assert_int_equal(load_relaxed(&vf.tasks[1]->references), 3);
	dirty_release(vf.u.daemon);
	assert_true(load_relaxed(&vf.tasks[1]->dirty.is_held));
	store_release(&vf.tasks[1]->state, TASK_DEAD);
	dirty_release(vf.u.daemon);
	assert_true(load_relaxed(&vf.tasks[1]->dirty.is_held));
	pages_clean(o, NULL);
	dirty_release(vf.u.daemon);
	assert_false(load_relaxed(&vf.tasks[1]->dirty.is_held));
	assert_int_equal(load_relaxed(&vf.tasks[1]->references), 2);
}
int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(dirty_pages_are_billed, vnodes_begin, vnodes_end),
		cmocka_unit_test_setup_teardown(dirty_pages_have_bounds, vnodes_begin, vnodes_end),
		cmocka_unit_test_setup_teardown(
		    dirty_pages_keep_their_task, vnodes_begin, vnodes_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
