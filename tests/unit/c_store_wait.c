/* SPDX-License-Identifier: MIT
 *
 * Stores into files that wait until pages have been written.
 */
#include "fault_fixture.h"

#include "fault/dispatch.h"
#include "fault/parked.h"
#include "transit/discard.h"

/* Whether the bell has been rung since the last time. */
static bool
has_rung(struct fault_server *server)
{
	return exchange_acq_rel(&server->seat->bell->rung, false);
}

/* A page of a file, clean. */
static void
clean_page(struct unit *u, uint64_t index)
{
	struct fill fill = UNIT_FILL(u);

	lock_acquire(&u->object->lock);
	assert_int_equal(
	    fill_begin(u->daemon, u->object, index, 1, 1, FRAME_READ, &fill), RUN_BEGUN);
	lock_release(&u->object->lock);
	fill_finish(NULL, &fill, 1, PAGE_ACTIVE, true);
}

static bool
is_dirty(struct unit *u, uint64_t index)
{
	uint64_t slot = load_relaxed(vm_object_slot(u->object, index));

	return load_relaxed(&u->daemon->frames.pages[slot_frame(slot)].word) & PAGE_DIRTY;
}

/* A store for which its user has too many dirty pages waits until some are clean, or until its
 * client ends; threads that have left meanwhile make no page dirty. */
static void
stores_wait(void **state)
{
	struct external external = { 0 };
	struct fault_server *server;
	struct fault f, touch;
	struct daemon *d;
	uint32_t room;
	struct unit u;
	(void)state;

	server = faults_start(&u);
	d = u.daemon;
	assert_int_equal(returns_create(d), 0);
	u.object->external = &external;
	store_relaxed(&u.object->pager, PAGER_VNODE);
	clean_page(&u, 3);
	room = (uint32_t)dirty_most_of_session(d);
	fetch_add_relaxed(&u.task->dirty.pages, room);
	fetch_add_relaxed(&external.dirty_pages, room);
	f = fault_at(&u, 3, UFFD_FAULT_WP);
	fault_dispatch(server, &f);
	assert_int_equal(load_relaxed(&d->park.storing_count), 1);
	assert_int_equal(u.task->waits.count, 1);
	/* Faults that wait for frames are others: nobody else reads less ahead because of it. */
	assert_int_equal(load_relaxed(&d->park.count), 0);
	assert_false(is_dirty(&u, 3));
	/* The cleaner is asked at once. */
	assert_true(load_relaxed(&d->returns.is_rung));
	/* Reads are not affected. */
	touch = fault_at(&u, 3, UFFD_FAULT_MINOR);
	fault_dispatch(server, &touch);
	assert_int_equal(world.continues, 1);
	(void)has_rung(server);
	fetch_add_relaxed(&u.task->bill.account->dirty_turn, 1);
	frame_wait_stores_changed(d);
	assert_true(has_rung(server));
	world.wakes = 0;
	parked_look(server);
	assert_int_equal(load_relaxed(&d->park.storing_count), 0);
	assert_int_equal(world.wakes, 1);
	assert_int_equal(world.woken, UNIT_BASE + 3 * 4096);
	assert_false(is_dirty(&u, 3));
	/* It comes again, too early, and its client ends. */
	fault_dispatch(server, &f);
	assert_int_equal(load_relaxed(&d->park.storing_count), 1);
	parked_drop(d, u.task);
	assert_int_equal(load_relaxed(&d->park.storing_count), 0);
	/* There is room. */
	fetch_sub_relaxed(&u.task->dirty.pages, room);
	fault_dispatch(server, &f);
	assert_true(is_dirty(&u, 3));
	assert_int_equal(load_relaxed(&u.task->dirty.pages), 1);
	assert_int_equal(vm_object_discard(u.object, 3, 4), 1);
	store_release(&u.task->state, TASK_DEAD);
	dirty_release(d);
	u.object->external = NULL;
	store_relaxed(&u.object->pager, PAGER_STORE);
	returns_destroy(d);
	faults_stop(&u);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stores_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
