/* SPDX-License-Identifier: MIT
 *
 * Fault servers (fault/server.c): which messages they read, in which turns, and what a server
 * leaves to the next one.
 */
#include "server_fixture.h"

#include "fault/deferred.h"
#include "fault/direct.h"
#include "fault/read_poll.h"
#include "fault/server.h"

/* A storm of faults is read to its end, one batch a turn: another client's fault comes in between.
 */
static void
storm_is_read_in_turns(void **state)
{
	enum { STORM = 100, BATCH = 16 }; /* messages that a server reads at a time */
	struct client stormy, calm;
	struct daemon *d;
	struct unit u;
	unsigned at;
	(void)state;

	d = servers_start(&u, 1);
	client_open(&u, &stormy);
	client_open(&u, &calm);
	client_touch(&stormy, 0, STORM);
	client_touch(&calm, 0, 1);
	assert_int_equal(fault_servers_add(d, stormy.task, LANE_COMMON), 0);
	assert_int_equal(fault_servers_add(d, calm.task, LANE_COMMON), 0);
	server_run(&d->servers[0]);
	assert_int_equal(client_served(&stormy), STORM);
	assert_int_equal(client_served(&calm), 1);
	for (at = 0; server_world.served[at].task != calm.task; at++)
		continue;
	assert_true(at <= BATCH);
	/* Nothing is left: the servers sleep until there is a message. */
	server_run(&d->servers[0]);
	assert_int_equal(load_relaxed(&server_world.count), STORM + 1);
	fault_servers_remove(d, stormy.task);
	fault_servers_remove(d, calm.task);
	client_close(&stormy);
	client_close(&calm);
	servers_stop(&u);
}

/* A client is polled in its lane, from all seats of the lane, and from no other. */
static void
lane_has_its_servers(void **state)
{
	struct fault_server *side;
	struct client common, apart;
	struct daemon *d;
	struct unit u;
	(void)state;

	d = servers_start(&u, 2);
	side = load_relaxed(&d->seats[d->server_count].server);
	client_open(&u, &common);
	client_open(&u, &apart);
	assert_int_equal(fault_servers_add(d, common.task, LANE_COMMON), 0);
	assert_int_equal(fault_servers_add(d, apart.task, 1), 0);
	assert_int_equal(load_relaxed(&common.task->affinity.polling), 3);
	assert_int_equal(load_relaxed(&apart.task->affinity.polling), 0);
	for (unsigned i = 0; i < seat_count(d); i++) {
		assert_int_equal(seat_polls(&d->seats[i], &common), i < d->server_count);
		assert_int_equal(seat_polls(&d->seats[i], &apart), i == d->server_count);
	}
	client_touch(&apart, 7, 1);
	server_run(&d->servers[0]);
	assert_int_equal(client_served(&apart), 0);
	server_run(side);
	assert_int_equal(client_served(&apart), 1);
	assert_ptr_equal(server_world.served[0].server, side);
	/* It is being moved: its server leaves what comes to the other lane's. */
	store_release(&apart.task->lane, LANE_COMMON);
	client_touch(&apart, 8, 1);
	server_run(side);
	assert_int_equal(client_served(&apart), 1);
	fault_servers_remove(d, common.task);
	fault_servers_remove(d, apart.task);
	for (unsigned i = 0; i < seat_count(d); i++)
		assert_false(seat_polls(&d->seats[i], &common));
	client_close(&common);
	client_close(&apart);
	servers_stop(&u);
}

/* A server has taken an edge and is relieved before it reads: the next one reads the messages. */
static void
next_server_takes_all(void **state)
{
	struct fault_server *first, *next;
	struct fault late, waiting;
	struct client c;
	struct daemon *d;
	struct unit u;
	(void)state;

	d = servers_start(&u, 1);
	first = &d->servers[0];
	client_open(&u, &c);
	assert_int_equal(fault_servers_add(d, c.task, LANE_COMMON), 0);
	client_touch(&c, 1, 3);
	assert_int_equal(seat_edges_take(&d->seats[0]), 1);
	late = (struct fault){ .task = c.task, .address = UNIT_BASE + 4 * 4096 };
	waiting = (struct fault){ .task = c.task, .address = UNIT_BASE + 5 * 4096 };
	first->seat = &d->seats[0];
	assert_true(deferred_add(first, &late));
	assert_true(direct_hand_over(&d->servers[d->server_count], &waiting));
	first->watch.relieve(d, &first->watch);
	next = load_acquire(&d->seats[0].server);
	assert_ptr_not_equal(next, first);
	assert_int_equal(next->duty.number, 0);
	assert_true(next->duty.is_new);
	assert_ptr_equal(load_relaxed(&d->seats[0].bell->is_behind), &next->gives_way);
	server_run(next);
	assert_int_equal(client_served(&c), 5);
	assert_ptr_equal(server_world.served[0].server, next);
	assert_int_equal(load_relaxed(&c.task->references), 1);
	/* Each server that stands by takes one seat; when none is left, the seat stays. */
	for (unsigned i = 1; i < STAND_BYS + 2; i++) {
		struct fault_server *before = load_acquire(&d->seats[0].server);

		before->watch.relieve(d, &before->watch);
		assert_int_equal(load_acquire(&d->seats[0].server) != before, i < STAND_BYS);
	}
	fault_servers_remove(d, c.task);
	client_close(&c);
	servers_stop(&u);
}

/* What a recording's window holds up has no event: the poll has a time-out as long as there is such
 * a fault, and no longer. */
static void
held_up_is_tried_again(void **state)
{
	struct fault f = { .window_since_ns = 1, .address = UNIT_BASE };
	struct client c;
	struct daemon *d;
	struct unit u;
	(void)state;

	d = servers_start(&u, 1);
	client_open(&u, &c);
	f.task = c.task;
	d->servers[0].seat = &d->seats[0];
	assert_true(deferred_add(&d->servers[0], &f));
	d->servers[0].seat = NULL;
	server_run(&d->servers[0]);
	assert_int_equal(client_served(&c), 1);
	assert_int_equal(server_world.timeouts[0], 1);
	assert_int_equal(server_world.timeouts[server_world.polls - 1], -1);
	client_close(&c);
	servers_stop(&u);
}

/* At the end nothing keeps a client. */
static void
end_drops_what_lies_there(void **state)
{
	struct client c;
	struct fault f;
	struct daemon *d;
	struct unit u;
	(void)state;

	d = servers_start(&u, 2);
	client_open(&u, &c);
	f = (struct fault){ .task = c.task, .address = UNIT_BASE };
	d->servers[1].seat = &d->seats[1];
	assert_true(deferred_add(&d->servers[1], &f));
	assert_true(direct_hand_over(&d->servers[d->server_count + 1], &f));
	assert_int_equal(load_relaxed(&c.task->references), 3);
	fault_servers_fini(d);
	assert_int_equal(client_served(&c), 0);
	client_close(&c);
	unit_stop(&u);
}

/* Whether the server, which has a read under way, looks for a client's fault without sleeping. */
static bool
polls_for_read(struct daemon *d, struct client *c, unsigned ahead, uint64_t limit_us)
{
	struct fault_seat *seat = &d->seats[0];
	uint64_t before = stats_counter(&d->stats, STAT_POLLED_READS);
	bool polled;

	store_relaxed(&d->params.read_poll_us, limit_us);
	server_world.polls = 0;
	store_release(&seat->stopping, false);
	seat->swapins_used = 1;
	seat->swapins_ahead = ahead;
	client_touch(c, 0, 1);
	server_run(&d->servers[0]);
	seat->swapins_used = seat->swapins_ahead = 0;
	polled = server_world.timeouts[0] == 0;
	assert_int_equal(stats_counter(&d->stats, STAT_POLLED_READS) - before, polled);
	return polled;
}

/* A server polls while a thread waits for a read, but not for what is read ahead, not where its
 * CPU is wanted by threads in a hurry, and ever less where polling brings nothing. */
static void
reads_are_polled_for(void **state)
{
	struct read_poll *p;
	struct client c;
	struct daemon *d;
	struct unit u;
	unsigned skipped = 0;
	(void)state;

	d = servers_start(&u, 1);
	p = &d->seats[0].read_poll;
	client_open(&u, &c);
	assert_int_equal(fault_servers_add(d, c.task, LANE_COMMON), 0);
	assert_true(polls_for_read(d, &c, 0, 1));
	*p = (struct read_poll){ 0 };
	assert_false(polls_for_read(d, &c, 1, 1));
	assert_false(polls_for_read(d, &c, 0, 0));
	store_relaxed(&d->servers[0].gives_way, true);
	assert_false(polls_for_read(d, &c, 0, 1));
	store_relaxed(&d->servers[0].gives_way, false);
	assert_true(polls_for_read(d, &c, 0, 1));
	*p = (struct read_poll){ 0 };
	read_poll_note(p, true);
	read_poll_note(p, true);
	while (!read_poll_may(p))
		skipped++;
	assert_int_equal(skipped, 16);
	read_poll_note(p, false);
	for (skipped = 0; !read_poll_may(p); skipped++)
		continue;
	assert_int_equal(skipped, 8);
	read_poll_note(p, false);
	assert_true(read_poll_may(p));
	for (unsigned i = 0; i < 64; i++)
		read_poll_note(p, true);
	assert_int_equal(p->skips, 1024);
	fault_servers_remove(d, c.task);
	client_close(&c);
	servers_stop(&u);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(storm_is_read_in_turns),
		cmocka_unit_test(lane_has_its_servers),
		cmocka_unit_test(next_server_takes_all),
		cmocka_unit_test(held_up_is_tried_again),
		cmocka_unit_test(end_drops_what_lies_there),
		cmocka_unit_test(reads_are_polled_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
