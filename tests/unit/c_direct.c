/* SPDX-License-Identifier: MIT
 *
 * Direct servers (fault/direct.c) and their leases (fault/lease.c): a client is read by direct
 * servers or polled, at each moment by one of the two, and leaves its direct servers when it must.
 */
#include "server_fixture.h"

#include <sched.h>

#include "fault/direct.h"
#include "fault/lease.h"
#include "fault/server.h"
#include "pmap/uffd.h"
#include "threads.h"

static bool
lease(struct daemon *d, struct client *c, uint64_t wanted)
{
	bool done;

	/* No sample ends the lease. */
	store_relaxed(&c->task->affinity.faults_to_sample, UINT32_MAX);
	assert_false(exchange_acq_rel(&c->task->affinity.busy, true));
	done = direct_set(&d->servers[0], c->task, wanted);
	store_release(&c->task->affinity.busy, false);
	return done;
}

static void
leave(struct daemon *d, struct client *c)
{
	assert_false(exchange_acq_rel(&c->task->affinity.busy, true));
	direct_leave(d, c->task, d->servers[0].stats);
	store_release(&c->task->affinity.busy, false);
}

static bool
is_direct(struct client *c)
{
	return load_acquire(&c->task->affinity.is_direct);
}

/* Exactly the seats of the mask poll the client. */
static void
require_polls(struct daemon *d, struct client *c, uint64_t mask)
{
	for (unsigned i = 0; i < seat_count(d); i++)
		assert_int_equal(seat_polls(&d->seats[i], c), mask >> i & 1);
}

static struct daemon *
start(struct unit *u, struct client *c, unsigned servers)
{
	struct daemon *d = servers_start(u, servers);

	client_open(u, c);
	assert_int_equal(fault_servers_add(d, c->task, LANE_COMMON), 0);
	return d;
}

static void
stop(struct unit *u, struct client *c)
{
	fault_servers_remove(u->daemon, c->task);
	directs_let_go(u->daemon);
	client_close(c);
	servers_stop(u);
}

/* What a direct server cannot answer goes to its home, in its order and with a reference. */
static void
ring_keeps_order(void **state)
{
	struct fault_server *direct;
	struct client c;
	struct fault f;
	struct daemon *d;
	struct unit u;
	(void)state;

	d = start(&u, &c, 1);
	direct = direct_of(d, 0);
	d->servers[0].seat = direct->home;
	f = (struct fault){ .task = c.task };
	for (unsigned round = 0; round < 3; round++) {
		/* The second time the ring begins in its middle. */
		unsigned count = round == 1 ? FAULT_HANDED_MAX : 100;

		store_relaxed(&server_world.count, 0);
		for (unsigned i = 0; i < count; i++) {
			f.address = UNIT_BASE + i * 4096ull;
			assert_true(direct_hand_over(direct, &f));
		}
		assert_true(load_acquire(&direct->home->bell->rung));
		assert_int_equal(load_relaxed(&c.task->references), 1 + count);
		if (count == FAULT_HANDED_MAX)
			assert_false(direct_hand_over(direct, &f));
		/* A client that has ended meanwhile needs no answer. */
		if (round == 2)
			assert_true(task_commit(c.task, TASK_ATTACHED, TASK_DEAD));
		direct_serve_handed(&d->servers[0]);
		assert_int_equal(client_served(&c), round == 2 ? 0 : count);
		for (unsigned i = 0; i < client_served(&c); i++)
			assert_int_equal(server_world.served[i].address, UNIT_BASE + i * 4096ull);
		assert_int_equal(load_relaxed(&c.task->references), 1);
	}
	assert_int_equal(stats_counter(&d->stats, STAT_HANDED_FAULTS), 2 * 100 + FAULT_HANDED_MAX);
	d->servers[0].seat = NULL;
	stop(&u, &c);
}

static void
direct_or_polled(void **state)
{
	struct client c, other;
	struct daemon *d;
	struct unit u;
	(void)state;

	d = start(&u, &c, 3);
	client_open(&u, &other);
	assert_int_equal(fault_servers_add(d, other.task, LANE_COMMON), 0);
	require_polls(d, &c, 7);
	assert_true(lease(d, &c, 5));
	assert_true(is_direct(&c) && client_waits(&c));
	require_polls(d, &c, 0);
	assert_int_equal(load_relaxed(&c.task->affinity.polling), 5);
	assert_ptr_equal(direct_of(d, 0)->client, c.task);
	assert_null(direct_of(d, 1)->client);
	assert_ptr_equal(direct_of(d, 2)->client, c.task);
	assert_int_equal(load_relaxed(&c.task->references), 3);
	/* A server has one client: one that is taken is no part of a lease, and then there is none.
	 */
	assert_false(lease(d, &other, 3));
	assert_false(is_direct(&other) || client_waits(&other));
	assert_null(direct_of(d, 1)->client);
	require_polls(d, &other, 7);
	assert_true(lease(d, &other, 2));
	/* One of two is called off; until it has let go it is not to be had again. */
	assert_true(lease(d, &c, 1));
	assert_false(load_relaxed(&direct_of(d, 0)->leaving));
	assert_true(load_relaxed(&direct_of(d, 2)->leaving));
	assert_true(client_waits(&c));
	assert_false(lease(d, &c, 5));
	directs_let_go(d);
	assert_true(lease(d, &c, 5));
	assert_int_equal(stats_counter(&d->stats, STAT_DIRECT_BEGINS), 2);
	/* All are called off, once. */
	for (unsigned i = 0; i < 2; i++) {
		leave(d, &c);
		assert_false(is_direct(&c) || client_waits(&c));
		assert_int_equal(stats_counter(&d->stats, STAT_DIRECT_ENDS), 1);
		assert_int_equal(load_relaxed(&c.task->affinity.polling), 7);
	}
	assert_true(load_relaxed(&direct_of(d, 0)->leaving));
	assert_false(load_relaxed(&direct_of(d, 1)->leaving));
	require_polls(d, &c, 7);
	directs_let_go(d);
	assert_int_equal(load_relaxed(&c.task->references), 1);
	/* Not for a client of a side lane, nor for one that has ended. */
	store_relaxed(&c.task->lane, 1);
	assert_false(lease(d, &c, 1));
	store_relaxed(&c.task->lane, LANE_COMMON);
	assert_true(task_commit(c.task, TASK_ATTACHED, TASK_DEAD));
	assert_false(lease(d, &c, 1));
	assert_null(direct_of(d, 0)->client);
	fault_servers_remove(d, other.task);
	directs_let_go(d);
	client_close(&other);
	stop(&u, &c);
}

/* A client ends while it leaves: nobody polls it afterwards. */
static void
ended_is_not_polled(void **state)
{
	struct client c;
	struct daemon *d;
	struct unit u;
	(void)state;

	d = start(&u, &c, 2);
	assert_true(lease(d, &c, 3));
	assert_true(task_commit(c.task, TASK_ATTACHED, TASK_DEAD));
	leave(d, &c);
	require_polls(d, &c, 0);
	directs_let_go(d);
	stop(&u, &c);
}

static bool
has_client(struct fault_server *server)
{
	bool has;

	lock_acquire(&server->daemon->direct_lock);
	has = server->client != NULL;
	lock_release(&server->daemon->direct_lock);
	return has;
}

/* A thread that waits in a read is called out of it, and reads the next client. */
static void
reader_is_called_off(void **state)
{
	struct fault_server *server;
	struct client c, next;
	struct daemon *d;
	struct unit u;
	(void)state;

	d = start(&u, &c, 1);
	client_open(&u, &next);
	server = direct_of(d, 0);
	direct_begin(server);
	for (unsigned round = 0; round < 2; round++) {
		struct client *client = round == 0 ? &c : &next;
		pid_t tid;

		assert_true(lease(d, client, 1));
		client_touch(client, 1, 3);
		while (client_served(client) < 3)
			sched_yield();
		while ((tid = load_acquire(&server->tid)) == 0 || !thread_sleeps(getpid(), tid))
			sched_yield();
		assert_true(has_client(server));
		if (round == 0)
			leave(d, client);
		else
			fault_servers_remove(d, client->task);
		while (has_client(server))
			sched_yield();
	}
	for (unsigned i = 0; i < 6; i++)
		assert_ptr_equal(server_world.served[i].server, server);
	assert_int_equal(load_relaxed(&server->served), 6);
	assert_int_equal(stats_counter(&d->stats, STAT_DIRECT_FAULTS), 6);
	direct_end(server);
	client_close(&next);
	stop(&u, &c);
}

/* The client makes the file nonblocking: it is polled, and no fault is lost. */
static void
nonblocking_is_polled(void **state)
{
	struct client c;
	struct daemon *d;
	struct unit u;
	(void)state;

	d = start(&u, &c, 2);
	assert_true(lease(d, &c, 2));
	assert_int_equal(uffd_never_wait(c.task->uffd), 0);
	direct_begin(direct_of(d, 1));
	while (has_client(direct_of(d, 1)))
		sched_yield();
	direct_end(direct_of(d, 1));
	assert_true(c.task->affinity.direct_refused);
	assert_false(is_direct(&c));
	require_polls(d, &c, 3);
	client_touch(&c, 5, 1);
	server_run(&d->servers[0]);
	assert_int_equal(client_served(&c), 1);
	stop(&u, &c);
}

/* => ticks of the timer until the client is not direct any more, at most `most` */
static unsigned
ticks_until_polled(struct daemon *d, struct client *c, unsigned most)
{
	unsigned ticks = 0;

	while (is_direct(c) && ticks < most) {
		direct_refresh(d);
		ticks++;
	}
	return ticks;
}

/* A client whose servers are all quiet for some ticks goes back to the poll. */
static void
quiet_is_polled(void **state)
{
	struct client c;
	struct daemon *d;
	unsigned quiet;
	struct unit u;
	(void)state;

	d = start(&u, &c, 2);
	assert_true(lease(d, &c, 3));
	quiet = ticks_until_polled(d, &c, 100);
	assert_in_range(quiet, 2, 99);
	require_polls(d, &c, 3);
	/* The client makes its file blocking again: as long as a server must leave the timer
	 * repeats what it did. */
	assert_int_equal(uffd_may_wait(c.task->uffd), 0);
	direct_refresh(d);
	assert_false(client_waits(&c));
	directs_let_go(d);
	/* One of two has a fault now and then: that is not quiet. */
	assert_true(lease(d, &c, 3));
	for (unsigned round = 0; round < 3; round++) {
		fetch_add_relaxed(&direct_of(d, 1)->served, 1);
		assert_int_equal(ticks_until_polled(d, &c, quiet - 1), quiet - 1);
		assert_true(is_direct(&c));
	}
	/* While another thread decides about the client the timer leaves it alone. */
	store_relaxed(&c.task->affinity.busy, true);
	assert_int_equal(ticks_until_polled(d, &c, 2 * quiet), 2 * quiet);
	store_relaxed(&c.task->affinity.busy, false);
	assert_int_equal(ticks_until_polled(d, &c, 2 * quiet), 1);
	directs_let_go(d);
	stop(&u, &c);
}

/* A direct server that another client holds up: its own client is polled meanwhile. */
static void
held_up_is_polled(void **state)
{
	struct fault_server *server;
	struct client c;
	struct daemon *d;
	struct unit u;
	(void)state;

	d = start(&u, &c, 2);
	server = direct_of(d, 0);
	server->watch.relieve(d, &server->watch);
	assert_true(lease(d, &c, 1));
	store_relaxed(&c.task->affinity.busy, true);
	server->watch.relieve(d, &server->watch);
	assert_true(is_direct(&c));
	store_relaxed(&c.task->affinity.busy, false);
	server->watch.relieve(d, &server->watch);
	assert_false(is_direct(&c));
	require_polls(d, &c, 3);
	assert_int_equal(load_relaxed(&c.task->references), 2); /* the test's, the server's */
	directs_let_go(d);
	stop(&u, &c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ring_keeps_order),
		cmocka_unit_test(direct_or_polled),
		cmocka_unit_test(ended_is_not_polled),
		cmocka_unit_test(reader_is_called_off),
		cmocka_unit_test(nonblocking_is_polled),
		cmocka_unit_test(quiet_is_polled),
		cmocka_unit_test(held_up_is_polled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
