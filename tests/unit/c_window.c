/* SPDX-License-Identifier: MIT
 *
 * Faults while a recording has a window, and another thread holds the page that is to leave it: the
 * fault is put off, nothing is mapped or recorded, and the server's thread does not wait.
 */
#include "fault_fixture.h"

#include <fcntl.h>

#include "fault/deferred.h"
#include "fault/direct.h"
#include "fault/dispatch.h"
#include "pageq/pageq.h"
#include "pmap/zap.h"
#include "record/recorder.h"
#include "record/recording.h"

enum { WINDOW = 4 };

static unsigned zaps;
static uint64_t zapped; /* the last page */

void __wrap_zap_now(
    struct daemon *d, struct stat_shard stats, struct victim *victims, unsigned count);
void __wrap_closer_close(struct daemon *d, int fd, pid_t pid, uid_t uid);

void
__wrap_zap_now(struct daemon *d, struct stat_shard stats, struct victim *victims, unsigned count)
{
	(void)d, (void)stats;
	for (unsigned i = 0; i < count; i++) {
		zaps++;
		zapped = victims[i].page - victims[i].object->slot_base;
		vm_object_put(victims[i].object);
	}
}

void
__wrap_closer_close(struct daemon *d, int fd, pid_t pid, uid_t uid)
{
	(void)d, (void)pid, (void)uid;
	close(fd);
}

static void
touch(struct fault_server *server, struct unit *u, uint64_t index, uint32_t flags)
{
	struct fault f = fault_at(u, index, flags);

	fault_dispatch(server, &f);
}

static uint64_t
records(struct unit *u)
{
	struct pager_rep_trace reply;

	trace_show(u->daemon, &reply);
	assert_int_equal(reply.dropped, 0);
	return reply.records;
}

static struct vm_page *
page_at(struct unit *u, uint64_t index)
{
	assert_int_equal(kind_at(u, index), SLOT_RESIDENT);
	return &u->daemon->frames.pages[slot_frame(load_relaxed(vm_object_slot(u->object, index)))];
}

static void
hold(struct unit *u, uint64_t index)
{
	assert_true(vm_page_busy_only(page_at(u, index)));
}

static void
let_go(struct unit *u, uint64_t index)
{
	assert_false(vm_page_unbusy(page_at(u, index)));
}

/* A recording whose window is full: of pages 0 to 3. */
static struct fault_server *
window_start(struct unit *u)
{
	struct fault_server *server = faults_start(u);
	int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

	server->seat->depth = FAULT_SIDE_DEPTH;
	assert_int_equal(deferred_create(server->seat), 0);
	assert_int_equal(trace_create(u->daemon), 0);
	assert_int_equal(
	    trace_start(u->daemon, fd, (struct task_name){ 0 }, WINDOW, server->stats), 0);
	for (uint64_t i = 0; i < WINDOW; i++)
		touch(server, u, i, 0);
	zaps = 0;
	zapped = UINT64_MAX;
	assert_int_equal(world.zeropages, WINDOW);
	assert_int_equal(records(u), WINDOW);
	return server;
}

static void
window_stop(struct fault_server *server, struct unit *u)
{
	assert_int_equal(trace_stop(u->daemon), 0);
	trace_destroy(u->daemon);
	deferred_destroy(server->seat);
	faults_stop(u);
}

static void
require_put_off(struct fault_server *server, unsigned count)
{
	assert_int_equal(server->seat->deferred_count, count);
	assert_int_equal(server->seat->deferred_for_window, count);
}

static void
first_touch_is_put_off(void **state)
{
	struct fault_server *server;
	uint64_t since;
	struct unit u;
	(void)state;

	server = window_start(&u);
	hold(&u, 0);
	touch(server, &u, 4, UFFD_FAULT_WRITE);
	since = server->seat->deferred[0].window_since_ns;
	for (unsigned round = 0; round < 3; round++) {
		require_put_off(server, 1);
		assert_int_equal(kind_at(&u, 4), SLOT_ABSENT);
		assert_int_equal(unit_level(&u, STAT_FRAMES_FREE), UNIT_FRAMES - WINDOW);
		assert_int_equal(world.zeropages, WINDOW);
		assert_int_equal(world.wakes, 0);
		assert_int_equal(records(&u), WINDOW);
		deferred_serve(server);
	}
	assert_int_equal(
	    server->seat->deferred[server->seat->deferred_head].window_since_ns, since);
	assert_int_equal(zaps, 0);
	/* It is let go: its mapping goes, and then the fault is answered. */
	let_go(&u, 0);
	deferred_serve(server);
	require_put_off(server, 0);
	assert_int_equal(zaps, 1);
	assert_int_equal(zapped, 0);
	assert_int_equal(state_at(&u, 0), PAGE_INACTIVE);
	assert_int_equal(state_at(&u, 4), PAGE_ACTIVE);
	assert_int_equal(world.zeropages, WINDOW + 1);
	assert_int_equal(records(&u), WINDOW + 1);
	window_stop(server, &u);
}

static void
soft_fault_is_put_off(void **state)
{
	struct fault_server *server;
	struct unit u;
	(void)state;

	server = window_start(&u);
	touch(server, &u, 4, 0);
	assert_int_equal(zapped, 0);
	hold(&u, 1);
	touch(server, &u, 0, UFFD_FAULT_MINOR);
	require_put_off(server, 1);
	assert_int_equal(state_at(&u, 0), PAGE_INACTIVE);
	assert_int_equal(world.continues, 0);
	assert_int_equal(records(&u), WINDOW + 1);
	/* Its page is nobody's meanwhile. */
	hold(&u, 0);
	let_go(&u, 0);
	let_go(&u, 1);
	deferred_serve(server);
	require_put_off(server, 0);
	assert_int_equal(zapped, 1);
	assert_int_equal(state_at(&u, 0), PAGE_ACTIVE);
	assert_int_equal(world.continues, 1);
	assert_int_equal(records(&u), WINDOW + 2);
	window_stop(server, &u);
}

/* A soft fault holds its page before the page is ACTIVE again. */
static void
page_that_comes_back_is_waited_for(void **state)
{
	struct fault_server *server;
	struct unit u;
	(void)state;

	server = window_start(&u);
	pageq_lock(u.daemon);
	assert_true(pageq_deactivate_page_locked(u.daemon, u.object, 0));
	pageq_unlock(u.daemon);
	hold(&u, 0);
	touch(server, &u, 4, 0);
	require_put_off(server, 1);
	let_go(&u, 0);
	deferred_serve(server);
	require_put_off(server, 0);
	/* It did not come back: nothing has to be unmapped. */
	assert_int_equal(zaps, 0);
	assert_int_equal(state_at(&u, 4), PAGE_ACTIVE);
	window_stop(server, &u);
}

static void
direct_server_hands_over(void **state)
{
	struct fault_server *server, direct = { .magic = FAULT_SERVER_MAGIC };
	struct unit u;
	(void)state;

	server = window_start(&u);
	server->seat->handed = calloc(FAULT_HANDED_MAX, sizeof(*server->seat->handed));
	direct.daemon = u.daemon;
	direct.stats = server->stats;
	direct.home = server->seat;
	direct.defer = direct_hand_over;
	hold(&u, 0);
	touch(&direct, &u, 4, 0);
	require_put_off(server, 0);
	assert_int_equal(load_relaxed(&server->seat->handed_in), 1);
	assert_true(load_relaxed(&server->seat->bell->rung));
	assert_int_equal(kind_at(&u, 4), SLOT_ABSENT);
	direct_serve_handed(server);
	require_put_off(server, 1);
	assert_int_equal(kind_at(&u, 4), SLOT_ABSENT);
	let_go(&u, 0);
	deferred_serve(server);
	assert_int_equal(state_at(&u, 4), PAGE_ACTIVE);
	assert_int_equal(records(&u), WINDOW + 1);
	free(server->seat->handed);
	window_stop(server, &u);
}

static void
patience_ends(void **state)
{
	struct fault_server *server;
	struct unit u;
	(void)state;

	server = window_start(&u);
	hold(&u, 0);
	touch(server, &u, 4, 0);
	require_put_off(server, 1);
	assert_int_equal(stats_counter(&u.daemon->stats, STAT_TRACE_INEXACT), 0);
	server->seat->deferred[0].window_since_ns = 1;
	deferred_serve(server);
	require_put_off(server, 0);
	assert_int_equal(stats_counter(&u.daemon->stats, STAT_TRACE_INEXACT), 1);
	assert_int_equal(state_at(&u, 4), PAGE_ACTIVE);
	assert_int_equal(records(&u), WINDOW + 1);
	/* The held page has left the window as it was; the next one to leave stands behind it. */
	assert_int_equal(zaps, 0);
	touch(server, &u, 5, 0);
	require_put_off(server, 0);
	assert_int_equal(zapped, 1);
	let_go(&u, 0);
	window_stop(server, &u);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_touch_is_put_off),
		cmocka_unit_test(soft_fault_is_put_off),
		cmocka_unit_test(page_that_comes_back_is_waited_for),
		cmocka_unit_test(direct_server_hands_over),
		cmocka_unit_test(patience_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
