/* SPDX-License-Identifier: MIT
 *
 * Faults, one at a time: refused pages, regions that are given back, wiring, reads that find no
 * place, and holes that are allocated again.
 */
#include "fault_fixture.h"

#include "fault/refuse.h"

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "control/request.h"
#include "fault/swapin.h"
#include "pmap/barrier.h"
#include "pageq/pageq.h"
#include "region/allocate.h"
#include "threads.h"
#include "transit/discard.h"
#include "transit/leave.h"

/* --- a page is refused while another server would fill it --- */

static void
somebody_fills(struct unit *u, uint64_t index)
{
	struct fill fill = UNIT_FILL(u);
	enum run_begun begun;

	lock_acquire(&u->object->lock);
	begun = fill_begin(u->daemon, u->object, index, 1, 1, FRAME_READ, &fill);
	lock_release(&u->object->lock);
	assert_int_equal(begun, RUN_BUSY);
}

static void
nobody_fills_what_is_refused(void **state)
{
	struct fault_server *server;
	struct fill fill;
	struct fault f;
	struct unit u;
	(void)state;

	server = faults_start(&u);
	fill = (struct fill)UNIT_FILL(&u);
	f = fault_at(&u, 7, 0);
	world.on_poison = somebody_fills;
	assert_true(fault_refuse(server, &f, REFUSED_FRAMES));
	assert_int_equal(world.poisons, 1);
	/* A fault that came meanwhile is woken when the hole is gone. */
	assert_int_equal(world.wakes, 1);
	assert_int_equal(world.woken, f.address);
	assert_int_equal(load_relaxed(&u.daemon->park.refused_count), 1);
	/* And then it can be filled; a resident page is not refused. */
	lock_acquire(&u.object->lock);
	assert_null(vm_object_hole_at(u.object, 7));
	assert_int_equal(fill_begin(u.daemon, u.object, 7, 1, 1, FRAME_READ, &fill), RUN_BEGUN);
	lock_release(&u.object->lock);
	world.on_poison = NULL;
	assert_false(fault_refuse(server, &f, REFUSED_FRAMES));
	assert_int_equal(world.poisons, 1);
	fill_abort(u.daemon, &fill, 0);
	vm_object_put(u.object);
	faults_stop(&u);
}

static void
nothing_is_refused_in_a_hole(void **state)
{
	struct fault_server *server;
	struct hole hole;
	struct fault f;
	struct unit u;
	(void)state;

	server = faults_start(&u);
	f = fault_at(&u, 7, 0);
	lock_acquire(&u.object->lock);
	vm_object_hole_begin(u.object, &hole, 0, 16);
	lock_release(&u.object->lock);
	assert_true(fault_refuse(server, &f, REFUSED_FRAMES));
	assert_int_equal(world.poisons, 0);
	assert_int_equal(load_relaxed(&u.daemon->park.refused_count), 0);
	lock_acquire(&u.object->lock);
	assert_true(vm_object_hole_end(u.object, &hole));
	lock_release(&u.object->lock);
	faults_stop(&u);
}

/* --- a region is given back while a fault has found it and filled nothing yet --- */

struct late {
	struct unit *unit;
	sem_t has_object;
	pid_t other;        /* the thread that must wait */
	atomic_bool passed; /* it has not */
};

static void *
late_thread(void *argument)
{
	struct late *late = argument;

	struct unit *u = late->unit;
	struct fill fill = UNIT_FILL(u);

	lock_acquire(&u->object->lock);
	sem_post(&late->has_object);
	/* target_find has been here. The other one waits for us, or passes by. */
	while (!atomic_load(&late->passed) && !thread_sleeps(getpid(), late->other))
		sched_yield();
	assert_int_equal(fill_begin(u->daemon, u->object, 3, 1, 1, FRAME_FIRST, &fill), RUN_BEGUN);
	lock_release(&u->object->lock);
	fill.write = fill.wired = false;
	fill_finish(NULL, &fill, 1, PAGE_ACTIVE, false);
	return NULL;
}

static void
late_start(struct unit *u, struct late *late, pthread_t *thread)
{
	late->unit = u;
	late->other = gettid();
	atomic_init(&late->passed, false);
	sem_init(&late->has_object, 0, 0);
	pthread_create(thread, NULL, late_thread, late);
	while (sem_wait(&late->has_object) != 0)
		;
}

static void
discard_waits_for_who_was_first(void **state)
{
	pthread_t thread;
	struct late late;
	struct unit u;
	(void)state;

	faults_start(&u);
	late_start(&u, &late, &thread);
	assert_int_equal(vm_object_discard(u.object, 0, UNIT_PAGES), 1);
	atomic_store(&late.passed, true);
	pthread_join(thread, NULL);
	assert_int_equal(kind_at(&u, 3), SLOT_ABSENT);
	assert_int_equal(unit_level(&u, STAT_FRAMES_FREE), UNIT_FRAMES);
	faults_stop(&u);
}

static int
request(struct unit *u, int (*handle)(struct request *r), const void *body, void *reply)
{
	struct request r = { .task = u->task,
		.daemon = u->daemon,
		.body = body,
		.reply = reply,
		.stats = stats_shard(&u->daemon->stats, shard_index_extra(u->daemon, SHARD_JOBS)) };

	return handle(&r);
}

static void
wire_waits_for_who_was_first(void **state)
{
	struct pager_req_wire body = { .address = UNIT_BASE, .size = 16 * 4096 };
	pthread_t thread;
	struct late late;
	struct unit u;
	(void)state;

	faults_start(&u);
	late_start(&u, &late, &thread);
	assert_int_equal(request(&u, handle_wire, &body, NULL), 0);
	atomic_store(&late.passed, true);
	pthread_join(thread, NULL);
	assert_int_equal(state_at(&u, 3), PAGE_WIRED);
	assert_int_equal(request(&u, handle_unwire, &body, NULL), 0);
	assert_int_equal(state_at(&u, 3), PAGE_ACTIVE);
	faults_stop(&u);
}

/* --- wired --- */

/* A page that is not wired though its range is: it came ahead of use, or was being filled. Its
 * first touch wires it. */
static void
touch_wires(void **state)
{
	struct pager_req_wire body = { .address = UNIT_BASE, .size = 16 * 4096 };
	static const enum page_state from[] = { PAGE_ACTIVE, PAGE_SPECULATIVE };
	struct fault_server *server;
	struct unit u;
	(void)state;

	server = faults_start(&u);
	assert_int_equal(request(&u, handle_wire, &body, NULL), 0);
	for (uint64_t i = 0; i < ARRAY_LEN(from); i++) {
		struct fault f = fault_at(&u, i, UFFD_FAULT_MINOR);
		enum wait_for wait;
		struct fill fill = UNIT_FILL(&u);

		lock_acquire(&u.object->lock);
		assert_int_equal(
		    fill_begin(u.daemon, u.object, i, 1, 1, FRAME_FIRST, &fill), RUN_BEGUN);
		lock_release(&u.object->lock);
		fill.write = fill.wired = false;
		fill_finish(NULL, &fill, 1, from[i], false);
		assert_int_equal(state_at(&u, i), from[i]);
		assert_int_equal(fault_handle(server, &f, &wait), FAULT_ANSWERED);
		assert_int_equal(state_at(&u, i), PAGE_WIRED);
	}
	assert_int_equal(unit_level(&u, STAT_FRAMES_WIRED), 2);
	assert_int_equal(request(&u, handle_unwire, &body, NULL), 0);
	assert_int_equal(unit_level(&u, STAT_FRAMES_WIRED), 0);
	faults_stop(&u);
}

static int
wire(struct unit *u, int (*handle)(struct request *r), uint64_t first, uint64_t count)
{
	struct pager_req_wire body = { .address = UNIT_BASE + first * 4096, .size = count * 4096 };

	return request(u, handle, &body, NULL);
}

/* Wired pages count from then on, touched or not, and once. */
static void
wire_counts_promises(void **state)
{
	struct pager_req_deallocate part = { .address = UNIT_BASE, .size = 100 * 4096 };
	struct pager_rep_deallocate reply = { 0 };
	struct vm_entry entry;
	struct task *other;
	struct unit u, second;
	(void)state;

	faults_start(&u);
	store_relaxed(&u.daemon->params.wire_percent, 50); /* of 1024 */
	frames_params_refresh(u.daemon);
	other = unit_task(u.daemon);
	second = (struct unit){ u.daemon, other, u.object, NULL };
	entry = u.task->map.entries[0];
	assert_int_equal(
	    vm_mapping_create(u.object, other, UNIT_BASE, 0, UNIT_PAGES, &entry.mapping), 0);
	unit_map(other, &entry);

	assert_int_equal(wire(&u, handle_wire, 0, 513), -EAGAIN);
	assert_int_equal(wire(&u, handle_wire, 0, 400), 0);
	assert_int_equal(wire(&u, handle_wire, 0, 400), 0); /* nested */
	assert_int_equal(wire(&u, handle_wire, 1000, 113), -EAGAIN);
	assert_int_equal(wire(&second, handle_wire, 0, 113), -EAGAIN);
	assert_int_equal(wire(&u, handle_wire, 300, 212), 0); /* 100 of them are wired */
	assert_int_equal(wire(&second, handle_wire, 0, 1), -EAGAIN);
	assert_int_equal(wire(&u, handle_unwire, 300, 212), 0);
	assert_int_equal(wire(&second, handle_wire, 0, 112), 0);
	assert_int_equal(wire(&second, handle_wire, 112, 1), -EAGAIN);
	/* Given back, and ended. */
	assert_int_equal(request(&u, handle_deallocate, &part, &reply), 0);
	assert_int_equal(wire(&second, handle_wire, 112, 100), 0);
	assert_int_equal(wire(&u, handle_wire, 1000, 1), -EAGAIN);
	while (region_give_up(other))
		continue;
	assert_int_equal(wire(&u, handle_wire, 1000, 212), 0);
	assert_int_equal(u.task->map.wired_bytes, 512 * 4096);
	/* A client's own limit: half of it. */
	assert_int_equal(wire(&u, handle_unwire, 1000, 212), 0);
	store_relaxed(&u.task->bill.process->limit_pages, 620);
	assert_int_equal(wire(&u, handle_wire, 1000, 11), -EAGAIN);
	assert_int_equal(wire(&u, handle_wire, 1000, 10), 0);
	task_put(other);
	while (region_give_up(u.task))
		continue;
	assert_int_equal(u.task->map.wired_bytes, 0);
	/* As faults_stop wants it. */
	entry.mapping = vm_mapping_get(u.mapping);
	entry.user_wired_count = entry.wired_count = 0;
	unit_map(u.task, &entry);
	faults_stop(&u);
}

/* --- a read of swap finds no place --- */

/* The fault is kept: its thread must not be woken to fault once more. Other waiting threads are
 * woken. */
static void
kept_is_not_woken(void **state)
{
	struct fault_server *server;
	struct fault f;
	struct unit u;
	(void)state;

	server = faults_start(&u);
	server->seat->swapins = calloc(FAULT_IO_DEPTH, sizeof(*server->seat->swapins));
	f = fault_at(&u, 7, 0);
	for (unsigned wanted = 0; wanted < 2; wanted++) {
		struct fill fill = UNIT_FILL(&u);

		/* The page is in the middle of the pages to be brought in. */
		lock_acquire(&u.object->lock);
		assert_int_equal(
		    fill_begin(u.daemon, u.object, 7, 4, -1, FRAME_READ, &fill), RUN_BEGUN);
		assert_int_equal(fill.first, 3);
		if (wanted)
			assert_false(vm_page_busy_try(&u.daemon->frames.pages[fill.frames[3]]));
		lock_release(&u.object->lock);
		assert_int_equal(swapin_start(server, &f, &fill), FAULT_NO_IO);
		assert_int_equal(world.wakes, wanted);
		assert_int_equal(kind_at(&u, 7), SLOT_ABSENT);
	}
	free(server->seat->swapins);
	faults_stop(&u);
}

/* --- allocated, freed and allocated again --- */

static int
allocate(struct unit *u, uint64_t address, uint64_t pages, uint64_t *ret_offset)
{
	struct pager_req_allocate body = { .address = address, .size = pages * 4096 };
	struct pager_rep_allocate reply = { 0 };
	int error = request(u, handle_allocate, &body, &reply);

	*ret_offset = reply.object_offset;
	return error;
}

static int
deallocate(struct unit *u, uint64_t address, uint64_t pages)
{
	struct pager_req_deallocate body = { .address = address, .size = pages * 4096 };
	struct pager_rep_deallocate reply = { 0 };

	return request(u, handle_deallocate, &body, &reply);
}

/* Holes are filled from the objects around them: an object page has one address. */
static void
holes_make_no_objects(void **state)
{
	enum { PAGES = 400 };
	const uint64_t base = UNIT_BASE + (1ull << 32);
	uint64_t offset;
	struct unit u;
	(void)state;

	faults_start(&u);
	assert_int_equal(load_relaxed(&u.task->objects), 1);
	for (uint64_t i = 0; i < PAGES; i++) {
		assert_int_equal(allocate(&u, base + i * 4096, 1, &offset), 0);
		assert_int_equal(offset, i * 4096);
	}
	for (unsigned round = 0; round < 3; round++) {
		for (uint64_t i = round % 2; i < PAGES; i += 2)
			assert_int_equal(deallocate(&u, base + i * 4096, 1), 0);
		for (uint64_t i = round % 2; i < PAGES; i += 2) {
			assert_int_equal(allocate(&u, base + i * 4096, 1, &offset), 0);
			assert_int_equal(offset, i * 4096);
		}
		assert_int_equal(load_relaxed(&u.task->objects), 2);
	}
	/* All in one piece again. */
	assert_int_equal(u.task->map.count, 2);
	/* Elsewhere: another, and as many as the client may have. Then the holes of both are still
	 * found, below and above. */
	store_relaxed(&u.daemon->params.max_client_objects, 3);
	assert_int_equal(allocate(&u, base + (1ull << 32), 1, &offset), 0);
	assert_int_equal(allocate(&u, base + (2ull << 32), 1, &offset), -ENOMEM);
	assert_int_equal(allocate(&u, base - 4096, 1, &offset), -ENOMEM);
	assert_int_equal(deallocate(&u, base, 10), 0);
	assert_int_equal(allocate(&u, base + 4096, 2, &offset), 0);
	assert_int_equal(offset, 4096);
	assert_int_equal(allocate(&u, base + PAGES * 4096, 2, &offset), 0);
	assert_int_equal(offset, PAGES * 4096);
	assert_int_equal(load_relaxed(&u.task->objects), 3);
	/* Not beyond an object's end. */
	assert_int_equal(allocate(&u, base + VM_OBJECT_CHUNK_BYTES - 4096, 2, &offset), -ENOMEM);
	assert_int_equal(allocate(&u, base + VM_OBJECT_CHUNK_BYTES - 4096, 1, &offset), 0);
	assert_int_equal(deallocate(&u, base + VM_OBJECT_CHUNK_BYTES - 4096, 1), 0);
	assert_int_equal(deallocate(&u, base + 4096, 2), 0);
	assert_int_equal(deallocate(&u, base + 10 * 4096, PAGES - 8), 0);
	assert_int_equal(load_relaxed(&u.task->objects), 2);
	assert_int_equal(deallocate(&u, base + (1ull << 32), 1), 0);
	vm_mapping_put(u.task->map.growing);
	u.task->map.growing = NULL;
	assert_int_equal(load_relaxed(&u.task->objects), 1);
	faults_stop(&u);
}

/* --- a page that a sharer has punched away --- */

/* The page is resident and clean, and its place in the memfd has the byte. => its row */
static struct vm_page *
clean_page(struct fault_server *server, struct unit *u, uint64_t index, char byte)
{
	struct fault f = fault_at(u, index, 0);
	enum wait_for wait;
	struct vm_page *p;

	assert_int_equal(fault_handle(server, &f, &wait), FAULT_ANSWERED);
	p = &u->daemon->frames.pages[slot_frame(load_relaxed(vm_object_slot(u->object, index)))];
	p->cref = 1;
	vm_page_busy_only(p);
	vm_page_flags_clear(p, PAGE_DIRTY);
	vm_page_unbusy(p);
	assert_int_equal(pwrite(u->object->backing.memfd, &byte, 1, (off_t)index * 4096), 1);
	return p;
}

static char
byte_at(struct unit *u, uint64_t index)
{
	char byte = 0;

	assert_int_equal(pread(u->object->backing.memfd, &byte, 1, (off_t)index * 4096), 1);
	return byte;
}

/* The fault server takes nothing out of memory: the page goes to a worker, whose thread wakes the
 * one that has faulted. */
static void
punched_page_is_handed_on(void **state)
{
	struct fault_server *server;
	struct handed_queue *q;
	enum wait_for wait;
	struct vm_page *p;
	struct victim v;
	struct fault f;
	struct unit u;
	(void)state;

	server = faults_start(&u);
	u.object->is_shareable = true;
	q = &u.daemon->pageq.handed[LANE_COMMON];
	p = clean_page(server, &u, 7, 'x');
	f = fault_at(&u, 7, 0);
	world.continue_error = -EFAULT;
	world.wakes = 0;
	assert_int_equal(fault_handle(server, &f, &wait), FAULT_AGAIN);
	assert_int_equal(q->count, 1);
	assert_int_equal(page_word_state(load_relaxed(&p->word)), PAGE_CLEANING);
	assert_true(load_relaxed(&p->word) & PAGE_WANTED);
	assert_int_equal(byte_at(&u, 7), 'x');
	assert_int_equal(world.wakes, 0);
	/* Another touch meets it busy. */
	assert_int_equal(fault_handle(server, &f, &wait), FAULT_AGAIN);
	assert_int_equal(q->count, 1);
	assert_true(handed_take(u.daemon, LANE_COMMON, &v));
	assert_false(handed_take(u.daemon, LANE_COMMON, &v));
	victims_leave(server->stats, &server->hole, &v, 1);
	assert_int_equal(kind_at(&u, 7), SLOT_STORED);
	assert_int_equal(byte_at(&u, 7), 0);
	assert_true(world.wakes > 0);
	/* The queue is full: the page stays, and the thread faults again. */
	world.continue_error = 0;
	p = clean_page(server, &u, 9, 'y');
	world.continue_error = -EFAULT;
	world.wakes = 0;
	q->count = HANDED_MAX;
	f = fault_at(&u, 9, 0);
	assert_int_equal(fault_handle(server, &f, &wait), FAULT_AGAIN);
	assert_true(world.wakes > 0);
	assert_int_equal(state_at(&u, 9), PAGE_ACTIVE);
	assert_false(load_relaxed(&p->word) & PAGE_BUSY);
	assert_int_equal(byte_at(&u, 9), 'y');
	q->count = 0;
	faults_stop(&u);
}

static void
writes_wait_for_a_fork(void **state)
{
	struct fault_server *server;
	enum wait_for wait;
	struct fault f;
	struct unit u;
	(void)state;

	server = faults_start(&u);
	u.task->uffd = 1000;
	f = fault_at(&u, 7, UFFD_FAULT_WRITE);
	barrier_begin(u.task, 5);
	assert_int_equal(fault_handle(server, &f, &wait), FAULT_BUSY);
	assert_int_equal(kind_at(&u, 7), SLOT_ABSENT);
	assert_int_equal(world.zeropages + world.wakes, 0);
	/* Of another child. */
	assert_false(barrier_end(u.task, 6));
	assert_int_equal(fault_handle(server, &f, &wait), FAULT_BUSY);
	assert_int_equal(world.wakes, 0);
	assert_true(barrier_end(u.task, 5));
	assert_int_equal(world.wakes, 1);
	assert_false(barrier_end(u.task, 5));
	assert_int_equal(fault_handle(server, &f, &wait), FAULT_ANSWERED);
	assert_int_equal(world.zeropages, 1);
	assert_int_equal(kind_at(&u, 7), SLOT_RESIDENT);
	/* Nobody is woken where nobody waits. */
	barrier_begin(u.task, 7);
	assert_int_equal(barrier_expire(u.task, UINT64_MAX), 0);
	assert_true(barrier_end(u.task, 0));
	assert_int_equal(world.wakes, 1);
	u.task->uffd = -1;
	faults_stop(&u);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(punched_page_is_handed_on),
		cmocka_unit_test(nobody_fills_what_is_refused),
		cmocka_unit_test(nothing_is_refused_in_a_hole),
		cmocka_unit_test(discard_waits_for_who_was_first),
		cmocka_unit_test(wire_waits_for_who_was_first),
		cmocka_unit_test(touch_wires),
		cmocka_unit_test(wire_counts_promises),
		cmocka_unit_test(kept_is_not_woken),
		cmocka_unit_test(holes_make_no_objects),
		cmocka_unit_test(writes_wait_for_a_fork),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
