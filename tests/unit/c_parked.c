/* SPDX-License-Identifier: MIT
 *
 * Faults that wait: for a frame, for their process's limit, for a place in a read of swap. Faults
 * that were refused, and are answered when there is room.
 */
#include "fault_fixture.h"

#include "fault/deferred.h"
#include "fault/dispatch.h"
#include "fault/parked.h"
#include "fault/refuse.h"
#include "transit/discard.h"
#include "transit/release.h"

static void
park(
    struct fault_server *server, struct unit *u, uint64_t first, uint64_t count, enum wait_for wait)
{
	for (uint64_t i = first; i < first + count; i++) {
		struct fault f = fault_at(u, i, UFFD_FAULT_WRITE);

		fault_park(server, &f, wait);
	}
}

/* A client may have its share of the places; its faults beyond that are woken when it has room
 * again, even if no fault of it is parked. */
static void
overflow_is_woken(void **state)
{
	struct task *others[4];
	struct fault_server *server;
	struct unit u, other;
	struct daemon *d;
	unsigned share;
	(void)state;

	server = faults_start(&u);
	d = u.daemon;
	park_destroy(d);
	store_relaxed(&d->params.parked_faults, 256);
	assert_int_equal(park_create(d), 0);
	share = 64;
	store_relaxed(&d->frames.free_count, 0);
	park(server, &u, 0, share + 10, WAIT_FIRST);
	assert_int_equal(load_relaxed(&d->park.count), share);
	assert_true(u.task->waits.is_overflowed);
	/* Others fill the pool, and the last of them finds nothing. */
	for (unsigned i = 0; i < 4; i++) {
		others[i] = unit_task(d);
		other = (struct unit){ d, others[i], u.object, NULL };
		park(server, &other, 0, i < 3 ? share : 1, WAIT_FIRST);
	}
	assert_int_equal(load_relaxed(&d->park.count), 4 * share);
	assert_int_equal(others[3]->waits.count, 0);
	assert_true(others[3]->waits.is_overflowed);
	/* No frame is free: no thread is woken, because it would fault again at once. */
	parked_serve(server);
	assert_true(others[3]->waits.is_overflowed && u.task->waits.is_overflowed);
	assert_int_equal(world.wakes, 0);
	/* The clients that fill the pool end: there are places for the last one. */
	for (unsigned i = 0; i < 3; i++)
		parked_drop(d, others[i]);
	assert_false(others[3]->waits.is_overflowed);
	assert_true(u.task->waits.is_overflowed);
	/* And when the other's faults have been served it is woken for the rest. */
	store_relaxed(&d->frames.free_count, UNIT_FRAMES);
	parked_serve(server);
	assert_true(world.zeropages > 0 && world.wakes > 0);
	assert_false(u.task->waits.is_overflowed);
	assert_null(d->park.overflowed);
	for (unsigned i = 0; i < 4; i++)
		task_put(others[i]);
	faults_stop(&u);
}

/* Frames that their owner gives back go to waiting faults at once. */
static void
discard_rings(void **state)
{
	enum wait_for wait;
	struct fault f;
	struct fault_server *server;
	struct unit u;
	(void)state;

	server = faults_start(&u);
	f = fault_at(&u, 0, UFFD_FAULT_WRITE);
	assert_int_equal(fault_handle(server, &f, &wait), FAULT_ANSWERED);
	store_relaxed(&u.daemon->frames.free_count, 0);
	park(server, &u, 9, 1, WAIT_FIRST);
	assert_false(load_relaxed(&server->seat->bell->rung));
	assert_int_equal(vm_object_discard(u.object, 1, 8), 0);
	assert_false(load_relaxed(&server->seat->bell->rung));
	assert_int_equal(vm_object_discard(u.object, 0, 1), 1);
	assert_true(load_relaxed(&server->seat->bell->rung));
	store_relaxed(&u.daemon->frames.free_count, UNIT_FRAMES);
	faults_stop(&u);
}

static void
store_page(struct unit *u, uint64_t index)
{
	struct fill fill = UNIT_FILL(u);

	lock_acquire(&u->object->lock);
	assert_int_equal(
	    fill_begin(u->daemon, u->object, index, 1, 1, FRAME_FIRST, &fill), RUN_BEGUN);
	lock_release(&u->object->lock);
	u->daemon->frames.pages[fill.frames[0]].cref = 1;
	fill_abort(u->daemon, &fill, 0);
	vm_object_put(u->object);
	assert_int_equal(kind_at(u, index), SLOT_STORED);
}

/* A fault that cannot be read now, and for which there is no place, is sent back: its thread sleeps
 * in the page that holds the address, which a message gives exactly. */
static void
no_place_is_sent_back(void **state)
{
	struct fault_server *server;
	struct fault f;
	struct unit u;
	(void)state;

	server = faults_start(&u);
	assert_int_equal(deferred_create(server->seat), 0);
	store_page(&u, 5);
	f = fault_at(&u, 5, 0);
	f.address += 123;
	world.wakes = 0;
	fault_dispatch(server, &f);
	assert_int_equal(server->seat->deferred_count, 1);
	assert_int_equal(world.wakes, 0);
	while (server->seat->deferred_count < FAULT_DEFERRED_MAX)
		assert_true(deferred_add(server, &f));
	fault_dispatch(server, &f);
	assert_int_equal(world.wakes, 1);
	assert_int_equal(world.woken, UNIT_BASE + 5 * 4096);
	assert_int_equal(kind_at(&u, 5), SLOT_STORED);
	deferred_destroy(server->seat);
	faults_stop(&u);
}

/* A client that ends while it waits for a frame may have been the only one for which clients of
 * side lanes wait. */
static void
last_waiter_ends(void **state)
{
	struct fault_server *server;
	struct task *other;
	struct unit u, second;
	(void)state;

	server = faults_start(&u);
	other = unit_task(u.daemon);
	second = (struct unit){ u.daemon, other, u.object, NULL };
	store_relaxed(&u.task->lane, 1);
	store_relaxed(&u.daemon->frames.free_count, 0);
	park(server, &second, 9, 1, WAIT_FIRST);
	park(server, &u, 4, 1, WAIT_LIMIT);
	assert_false(load_relaxed(&server->seat->bell->rung));
	parked_drop(u.daemon, other);
	assert_true(load_relaxed(&server->seat->bell->rung));
	store_relaxed(&u.daemon->frames.free_count, UNIT_FRAMES);
	store_relaxed(&u.task->lane, LANE_COMMON);
	task_put(other);
	faults_stop(&u);
}

/* A client in a side lane gets no frame while another's fault waits for one, and gets it as soon as
 * none does. */
static void
side_lane_waits(void **state)
{
	struct fault_server *server;
	enum wait_for wait;
	struct fault f;
	struct unit u;
	(void)state;

	server = faults_start(&u);
	store_relaxed(&u.task->lane, 1);
	server->lane = 1;
	f = fault_at(&u, 3, 0);
	assert_int_equal(fault_handle(server, &f, &wait), FAULT_ANSWERED);
	store_relaxed(&u.daemon->park.frame_count, 1);
	f = fault_at(&u, 4, 0);
	assert_int_equal(fault_handle(server, &f, &wait), FAULT_WAITS);
	assert_int_equal(wait, WAIT_LIMIT);
	park(server, &u, 4, 1, WAIT_LIMIT);
	parked_serve(server);
	assert_int_equal(kind_at(&u, 4), SLOT_ABSENT);
	assert_int_equal(load_relaxed(&u.daemon->park.count), 1);
	/* Where no page can leave, it is served like any other client. */
	store_relaxed(&u.daemon->park.squeezed, true);
	f = fault_at(&u, 5, 0);
	assert_int_equal(fault_handle(server, &f, &wait), FAULT_ANSWERED);
	store_relaxed(&u.daemon->park.squeezed, false);
	store_relaxed(&u.daemon->park.frame_count, 0);
	parked_serve(server);
	assert_int_equal(kind_at(&u, 4), SLOT_RESIDENT);
	assert_int_equal(load_relaxed(&u.daemon->park.count), 0);
	store_relaxed(&u.task->lane, LANE_COMMON);
	faults_stop(&u);
}

/* A client that makes pages fast gets none while another's fault waits and frames are short, even
 * where there is one; what it has already it gets. Others do not wait for a second such client. */
static void
fast_client_waits(void **state)
{
	struct fault_server *server;
	struct unit u, second;
	struct task *other;
	enum wait_for wait;
	struct daemon *d;
	struct fault f;
	(void)state;

	server = faults_start(&u);
	d = u.daemon;
	other = unit_task(d);
	second = (struct unit){ d, other, u.object, NULL };
	store_page(&u, 6);
	store_relaxed(&u.task->creation.is_fast, true);
	store_relaxed(&d->frames.free_count, 0);
	park(server, &second, 9, 1, WAIT_FIRST);
	assert_int_equal(load_relaxed(&d->park.patient_count), 1);
	store_relaxed(&d->frames.free_count, d->frames.free_min - 1);
	assert_true(frames_available_for(d, FRAME_FIRST) > 0);
	f = fault_at(&u, 3, UFFD_FAULT_WRITE);
	assert_int_equal(fault_handle(server, &f, &wait), FAULT_WAITS);
	assert_int_equal(wait, WAIT_LIMIT);
	f = fault_at(&u, 6, 0);
	assert_int_not_equal(fault_handle(server, &f, &wait), FAULT_WAITS);
	/* Where frames are not short, or nothing can leave, it is served like any other. */
	store_relaxed(&d->frames.free_count, d->frames.free_min);
	f = fault_at(&u, 4, UFFD_FAULT_WRITE);
	assert_int_equal(fault_handle(server, &f, &wait), FAULT_ANSWERED);
	store_relaxed(&d->frames.free_count, d->frames.free_min - 1);
	store_relaxed(&d->park.squeezed, true);
	f = fault_at(&u, 5, UFFD_FAULT_WRITE);
	assert_int_equal(fault_handle(server, &f, &wait), FAULT_ANSWERED);
	store_relaxed(&d->park.squeezed, false);
	/* It waits behind the other one, and comes next. */
	store_relaxed(&d->frames.free_count, 0);
	park(server, &u, 3, 1, WAIT_LIMIT);
	parked_serve(server);
	assert_int_equal(load_relaxed(&d->park.count), 2);
	parked_drop(d, other);
	assert_int_equal(load_relaxed(&d->park.patient_count), 0);
	store_relaxed(&d->frames.free_count, d->frames.free_min - 1);
	parked_serve(server);
	assert_int_equal(load_relaxed(&d->park.count), 0);
	assert_int_equal(kind_at(&u, 3), SLOT_RESIDENT);
	/* A fault of a fast client is none for which another one waits. */
	store_relaxed(&d->frames.free_count, 0);
	park(server, &u, 7, 1, WAIT_FIRST);
	assert_int_equal(load_relaxed(&d->park.patient_count), 0);
	store_relaxed(&d->frames.free_count, UNIT_FRAMES);
	store_relaxed(&u.task->creation.is_fast, false);
	parked_serve(server);
	assert_int_equal(load_relaxed(&d->park.patient_count), 0);
	assert_int_equal(load_relaxed(&d->park.count), 0);
	task_put(other);
	faults_stop(&u);
}

/* A client that waits for its own limit holds up no other client. */
static void
limit_holds_up_nobody(void **state)
{
	enum { LIMITED = 700 };
	struct fault_server *server;
	struct task *other;
	struct unit u, second;
	struct daemon *d;
	struct moment t;
	(void)state;

	server = faults_start(&u);
	d = u.daemon;
	other = unit_task(d);
	second = (struct unit){ d, other, u.object, NULL };
	/* Both hold more than they may. */
	store_relaxed(&u.task->bill.process->limit_pages, 1);
	store_relaxed(&other->bill.process->limit_pages, 1);
	store_relaxed(&u.task->bill.process->resident, 5);
	store_relaxed(&other->bill.process->resident, 5);
	park(server, &second, 0, LIMITED, WAIT_LIMIT);
	park(server, &u, 0, 3, WAIT_LIMIT);
	assert_int_equal(load_relaxed(&other->bill.process->limit_parked), LIMITED);
	store_relaxed(&d->frames.free_count, 0);
	park(server, &second, LIMITED, 1, WAIT_FIRST);
	store_relaxed(&d->writeback.passes, 9);
	store_relaxed(&d->pageq.rounds, 9);
	assert_true(frame_wait_longest(d, &t));
	assert_int_equal(t.passes, 9);
	/* A frame is free: the last of them all gets it (its task has no such page, that is an
	 * answer). */
	store_relaxed(&d->frames.free_count, UNIT_FRAMES);
	parked_serve(server);
	assert_int_equal(world.poisons, 1);
	assert_int_equal(load_relaxed(&d->park.count), LIMITED + 3);
	/* And the client behind the one at its limit. */
	store_relaxed(&u.task->bill.process->resident, 0);
	store_relaxed(&u.task->bill.process->limit_pages, 0);
	parked_serve(server);
	assert_int_equal(world.zeropages, 3);
	assert_int_equal(load_relaxed(&d->park.count), LIMITED);
	store_relaxed(&other->bill.process->resident, 0);
	parked_drop(d, other);
	assert_int_equal(load_relaxed(&d->park.count), 0);
	assert_null(d->park.limited);
	task_put(other);
	faults_stop(&u);
}

/* --- refused faults --- */

static void
refuse(struct fault_server *server, struct unit *u, uint64_t index)
{
	struct fault f = fault_at(u, index, UFFD_FAULT_WRITE);

	assert_true(fault_refuse(server, &f, REFUSED_FRAMES));
}

static uint32_t
refused(struct unit *u)
{
	return load_relaxed(&u->daemon->park.refused_count);
}

/* Whether the bell has been rung since the last time. */
static bool
has_rung(struct fault_server *server)
{
	return exchange_acq_rel(&server->seat->bell->rung, false);
}

/* There is room for some of the refused faults only. The others are answered as soon as there is
 * room again, although no thread of their client can fault on pages that are SIGBUS. */
static void
refused_are_not_forgotten(void **state)
{
	enum { COUNT = 5 };
	struct fault_server *server;
	struct daemon *d;
	struct unit u;
	(void)state;

	server = faults_start(&u);
	d = u.daemon;
	for (uint64_t i = 0; i < COUNT; i++)
		refuse(server, &u, 10 + i);
	assert_int_equal(refused(&u), COUNT);
	/* The squeeze ends: there is room for two. */
	store_relaxed(&d->park.squeezed, true);
	store_relaxed(&d->frames.free_count, d->frames.free_min + 1);
	frame_wait_judge(d);
	assert_false(load_relaxed(&d->park.squeezed));
	assert_true(has_rung(server));
	parked_look(server);
	assert_int_equal(refused(&u), COUNT - 2);
	/* Nobody is rung for while there is none. */
	frame_wait_freed(d);
	assert_false(has_rung(server));
	/* A worker frees one. */
	store_relaxed(&d->frames.free_count, d->frames.free_min);
	frame_wait_freed(d);
	assert_true(has_rung(server));
	parked_look(server);
	assert_int_equal(refused(&u), COUNT - 3);
	/* Frames that nobody has told of. */
	store_relaxed(&d->frames.free_count, UNIT_FRAMES);
	frame_wait_judge(d);
	assert_true(has_rung(server));
	parked_look(server);
	assert_int_equal(refused(&u), 0);
	for (uint64_t i = 0; i < COUNT; i++)
		assert_int_equal(kind_at(&u, 10 + i), SLOT_RESIDENT);
	frame_wait_judge(d);
	assert_false(has_rung(server));
	faults_stop(&u);
}

/* Those of a client in a side lane are for that lane's servers. */
static void
side_lane_is_rung(void **state)
{
	struct fault_server *server;
	struct bells *bells;
	struct unit u;
	(void)state;

	server = faults_start(&u);
	bells = &u.daemon->bells;
	refuse(server, &u, 3);
	store_relaxed(&u.task->lane, 1);
	frame_wait_judge(u.daemon);
	assert_true(bells->count > bells->common);
	for (unsigned i = 0; i < bells->count; i++)
		assert_true(load_relaxed(&bells->bells[i].rung));
	parked_look(server);
	assert_int_equal(refused(&u), 1);
	server->lane = 1;
	parked_look(server);
	assert_int_equal(refused(&u), 0);
	assert_int_equal(kind_at(&u, 3), SLOT_RESIDENT);
	store_relaxed(&u.task->lane, LANE_COMMON);
	faults_stop(&u);
}

/* Those that were refused once more have their turn at once. */
static void
turn_comes(struct unit *u)
{
	struct park *k = &u->daemon->park;

	for (uint32_t i = k->refused.head; i != PARK_NONE; i = k->pool[i].next) {
		assert_true(k->pool[i].fault.again_ns > 0);
		k->pool[i].fault.again_ns = 0;
	}
}

static void
parked_look_requires(struct fault_server *server, struct unit *u, uint32_t left)
{
	unsigned wakes = world.wakes;

	parked_look(server);
	assert_int_equal(refused(u), left);
	/* Nobody waits for the answer. */
	assert_int_equal(world.wakes, wakes);
}

/* A refused fault that cannot be answered when it is its turn is kept: no thread will bring it
 * again. */
static void
refused_are_kept(void **state)
{
	struct fault_server *server;
	struct hole hole;
	struct fault f;
	struct unit u;
	(void)state;

	server = faults_start(&u);
	assert_int_equal(deferred_create(server->seat), 0);
	refuse(server, &u, 7);
	/* Nothing can be put in place: the client's address space is changing. */
	world.zeropage_error = -EAGAIN;
	world.wakes = 0;
	parked_look(server);
	assert_int_equal(refused(&u), 1);
	world.zeropage_error = 0;
	/* It is not tried again at once, because its client may keep it so. */
	parked_look_requires(server, &u, 1);
	assert_int_equal(kind_at(&u, 7), SLOT_ABSENT);
	turn_comes(&u);
	/* Another thread is at its neighbours. */
	lock_acquire(&u.object->lock);
	vm_object_hole_begin(u.object, &hole, 0, 16);
	lock_release(&u.object->lock);
	parked_look_requires(server, &u, 1);
	vm_object_hole_close(u.object, &hole);
	turn_comes(&u);
	/* The client gets into another lane once the server has the fault. */
	f = fault_at(&u, 7, 0);
	assert_true(refused_take(u.daemon, LANE_COMMON, &f));
	f.is_refused = true;
	store_relaxed(&u.task->lane, 1);
	world.wakes = 0;
	fault_dispatch(server, &f);
	task_put(u.task);
	assert_int_equal(refused(&u), 1);
	assert_int_equal(world.wakes, 0);
	store_relaxed(&u.task->lane, LANE_COMMON);
	turn_comes(&u);
	parked_look(server);
	assert_int_equal(refused(&u), 0);
	assert_int_equal(kind_at(&u, 7), SLOT_RESIDENT);
	/* It would have to be read from disk, and there is no place for it. */
	store_page(&u, 5);
	refuse(server, &u, 5);
	f = fault_at(&u, 5, 0);
	while (server->seat->deferred_count < FAULT_DEFERRED_MAX)
		assert_true(deferred_add(server, &f));
	parked_look_requires(server, &u, 1);
	deferred_destroy(server->seat);
	assert_int_equal(deferred_create(server->seat), 0);
	turn_comes(&u);
	parked_look_requires(server, &u, 0);
	assert_int_equal(server->seat->deferred_count, 1);
	assert_true(server->seat->deferred[server->seat->deferred_head].is_refused);
	deferred_destroy(server->seat);
	faults_stop(&u);
}

/* It must wait for its client's limit, and its client has its share of the places. */
static void
refused_without_place_is_kept(void **state)
{
	struct fault_server *server;
	struct unit u;
	(void)state;

	server = faults_start(&u);
	park_destroy(u.daemon);
	store_relaxed(&u.daemon->params.parked_faults, 256);
	assert_int_equal(park_create(u.daemon), 0);
	refuse(server, &u, 100);
	store_relaxed(&u.task->bill.process->limit_pages, 1);
	store_relaxed(&u.task->bill.process->resident, 5);
	park(server, &u, 0, 64, WAIT_LIMIT);
	parked_look_requires(server, &u, 1);
	assert_false(u.task->waits.is_overflowed);
	store_relaxed(&u.task->bill.process->limit_pages, 0);
	store_relaxed(&u.task->bill.process->resident, 0);
	turn_comes(&u);
	parked_look(server);
	assert_int_equal(refused(&u), 0);
	assert_int_equal(kind_at(&u, 100), SLOT_RESIDENT);
	faults_stop(&u);
}

/* Its page has been given back: whatever is there now gets no poison, because no thread waits. */
static void
refused_page_is_gone(void **state)
{
	struct fault_server *server;
	struct fault f;
	struct unit u;
	(void)state;

	server = faults_start(&u);
	f = fault_at(&u, UNIT_PAGES + 10, 0);
	refused_keep(u.daemon, &f, REFUSED_FRAMES);
	parked_look_requires(server, &u, 0);
	assert_int_equal(world.poisons, 0);
	faults_stop(&u);
}

/* Table memory may come back in ways that nobody is told of. */
static void
tableless_are_looked_at(void **state)
{
	struct fault_server *server;
	struct fault f;
	struct unit u;
	(void)state;

	server = faults_start(&u);
	f = fault_at(&u, 10, 0);
	server->tables_seen = load_relaxed(&u.daemon->park.tables_freed);
	refused_keep(u.daemon, &f, REFUSED_TABLES);
	parked_look(server);
	assert_int_equal(load_relaxed(&u.daemon->park.tableless_count), 1);
	frame_wait_judge(u.daemon);
	assert_true(has_rung(server));
	parked_look(server);
	assert_int_equal(load_relaxed(&u.daemon->park.tableless_count), 0);
	assert_int_equal(kind_at(&u, 10), SLOT_RESIDENT);
	faults_stop(&u);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(overflow_is_woken),
		cmocka_unit_test(discard_rings),
		cmocka_unit_test(no_place_is_sent_back),
		cmocka_unit_test(last_waiter_ends),
		cmocka_unit_test(side_lane_waits),
		cmocka_unit_test(fast_client_waits),
		cmocka_unit_test(limit_holds_up_nobody),
		cmocka_unit_test(refused_are_not_forgotten),
		cmocka_unit_test(side_lane_is_rung),
		cmocka_unit_test(refused_are_kept),
		cmocka_unit_test(refused_without_place_is_kept),
		cmocka_unit_test(refused_page_is_gone),
		cmocka_unit_test(tableless_are_looked_at),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
