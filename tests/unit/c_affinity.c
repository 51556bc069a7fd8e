/* SPDX-License-Identifier: MIT
 *
 * Which servers read a client's faults (fault/affinity.c): those of the CPUs where its threads are
 * seen, found by samples. CPUs and the clock are the test's.
 */
#include "server_fixture.h"

#include <sched.h>

#include "clock.h"
#include "fault/affinity.h"
#include "fault/lease.h"
#include "fault/poll.h"
#include "fault/server.h"
#include "watch/lane.h"

enum { SERVERS = 4, ALL = 15, INTERVAL = 32, PERIOD = 8 };

static unsigned place;   /* of the CPU on which the faulting thread is seen */
static unsigned samples; /* in which it was seen */
static uint64_t now;
static struct task *ends; /* as soon as a server begins to poll it */
static int fails = -1;    /* the seat that the kernel lets poll nobody; -1: none */

unsigned __wrap_cpus_place(const struct cpus *cpus, unsigned number);
int __real_fault_seat_watch(struct fault_seat *seat, struct task *task);
int __wrap_fault_seat_watch(struct fault_seat *seat, struct task *task);

unsigned
__wrap_cpus_place(const struct cpus *cpus, unsigned number)
{
	(void)cpus, (void)number;
	samples++;
	return place;
}

int
__wrap_fault_seat_watch(struct fault_seat *seat, struct task *task)
{
	if (task == ends)
		assert_true(task_commit(task, TASK_ATTACHED, TASK_DEAD));
	return (int)seat->index == fails ? -ENOMEM : __real_fault_seat_watch(seat, task);
}

static uint64_t
test_clock(void)
{
	return now;
}

static struct daemon *
start(struct unit *u, struct client *c)
{
	struct daemon *d = servers_start(u, SERVERS);

	client_open(u, c);
	assert_int_equal(fault_servers_add(d, c->task, LANE_COMMON), 0);
	store_relaxed(&d->params.direct_faults, 0);
	place = samples = 0;
	now = 1000000000;
	clock_inject(test_clock);
	return d;
}

static void
stop(struct unit *u, struct client *c)
{
	ends = NULL;
	clock_inject(NULL);
	fault_servers_remove(u->daemon, c->task);
	directs_let_go(u->daemon);
	client_close(c);
	servers_stop(u);
}

/* Faults of this thread, one at a time, until it has been sampled. => their number */
static unsigned
faults_to_sample(struct daemon *d, struct client *c)
{
	unsigned before = samples, faults = 0;

	while (samples == before) {
		assert_true(faults < 1000);
		affinity_note(&d->servers[0], c->task, (uint32_t)gettid(), 1);
		faults++;
	}
	return faults;
}

/* One period's samples, each of them seen at the place of the next character. */
static void
see(struct daemon *d, struct client *c, const char *places)
{
	for (; *places; places++) {
		place = (unsigned)(*places - '0');
		faults_to_sample(d, c);
	}
}

/* Exactly these servers poll the client, and the books say so. */
static void
require_polls(struct daemon *d, struct client *c, uint64_t mask)
{
	assert_int_equal(load_relaxed(&c->task->affinity.polling), mask);
	for (unsigned i = 0; i < seat_count(d); i++)
		assert_int_equal(seat_polls(&d->seats[i], c), mask >> i & 1);
}

static void
polled_where_it_runs(void **state)
{
	struct client c;
	struct daemon *d;
	struct unit u;
	(void)state;

	d = start(&u, &c);
	see(d, &c, "2222222");
	require_polls(d, &c, ALL);
	see(d, &c, "2");
	require_polls(d, &c, 4);
	/* Seen where no server polls it: one does at once. */
	see(d, &c, "0");
	require_polls(d, &c, 5);
	/* Seldom seen there: it leaves again at the period's end. Often: both stay. */
	see(d, &c, "2222222");
	require_polls(d, &c, 4);
	see(d, &c, "02020202");
	require_polls(d, &c, 5);
	/* What was seen long ago is forgotten. */
	see(d, &c, "0000000000000000");
	require_polls(d, &c, 1);
	stop(&u, &c);
}

/* Everywhere and nowhere: none has a large share, and the servers stay as they are. */
static void
always_polled(void **state)
{
	struct client c;
	struct daemon *d;
	struct unit u;
	(void)state;

	d = start(&u, &c);
	for (unsigned i = 0; i < ARRAY_LEN(c.task->affinity.seen); i++)
		c.task->affinity.seen[i] = 4;
	see(d, &c, "01230123");
	require_polls(d, &c, ALL);
	/* A thread that cannot be found changes nothing. */
	samples = 0;
	for (unsigned i = 0; i < 2 * PERIOD * 256; i++)
		affinity_note(&d->servers[0], c.task, 0, 1);
	assert_int_equal(samples, 0);
	require_polls(d, &c, ALL);
	/* In a side lane nothing is chosen. */
	store_relaxed(&c.task->lane, 1);
	for (unsigned i = 0; i < 2 * PERIOD * 256; i++)
		affinity_note(&d->servers[0], c.task, (uint32_t)gettid(), 1);
	assert_int_equal(samples, 0);
	store_relaxed(&c.task->lane, LANE_COMMON);
	stop(&u, &c);
}

/* Samples become rare while nothing changes, and frequent when something does. */
static void
samples_become_rare(void **state)
{
	unsigned interval = INTERVAL, most = 0;
	struct client c;
	struct daemon *d;
	struct unit u;
	(void)state;

	d = start(&u, &c);
	see(d, &c, "33333333");
	require_polls(d, &c, 8);
	for (unsigned i = 0; i < 8 * PERIOD; i++) {
		unsigned faults = faults_to_sample(d, &c);

		assert_true(faults == interval || faults == 2 * interval);
		interval = faults;
		most = interval;
	}
	assert_int_equal(most, 256);
	place = 1;
	assert_int_equal(faults_to_sample(d, &c), 256);
	assert_int_equal(faults_to_sample(d, &c), INTERVAL);
	/* Faults that come together count as many. */
	samples = 0;
	affinity_note(&d->servers[0], c.task, (uint32_t)gettid(), INTERVAL - 1);
	assert_int_equal(samples, 0);
	affinity_note(&d->servers[0], c.task, (uint32_t)gettid(), 1);
	assert_int_equal(samples, 1);
	/* Another thread is at it. */
	store_relaxed(&c.task->affinity.busy, true);
	affinity_note(&d->servers[0], c.task, (uint32_t)gettid(), 1000);
	assert_int_equal(samples, 1);
	store_relaxed(&c.task->affinity.busy, false);
	stop(&u, &c);
}

/* A client that ends while a server begins to poll it is polled by none. */
static void
ended_is_not_polled(void **state)
{
	struct client c;
	struct daemon *d;
	struct unit u;
	(void)state;

	d = start(&u, &c);
	see(d, &c, "22222222");
	ends = c.task;
	see(d, &c, "1");
	assert_true(task_is_dead(c.task));
	assert_false(seat_polls(&d->seats[1], &c));
	stop(&u, &c);
}

/* A server that cannot poll the client keeps no other from joining or leaving, then or later. */
static void
failed_join_is_made_up_for(void **state)
{
	struct client c;
	struct daemon *d;
	struct unit u;
	(void)state;

	d = start(&u, &c);
	see(d, &c, "00000000");
	require_polls(d, &c, 1);
	fails = 2;
	see(d, &c, "1");
	require_polls(d, &c, 3);
	/* The period ends: 1 and 2 are wanted, and 2 cannot be had. None leaves. */
	see(d, &c, "2222222");
	require_polls(d, &c, 3);
	see(d, &c, "33332222");
	require_polls(d, &c, 11);
	fails = -1;
	see(d, &c, "2222222222222222");
	require_polls(d, &c, 4);
	stop(&u, &c);
}

/* A server polls the client, though the books do not say so. */
static void
joining_twice_is_no_failure(void **state)
{
	struct client c;
	struct daemon *d;
	struct unit u;
	(void)state;

	d = start(&u, &c);
	see(d, &c, "00000000");
	require_polls(d, &c, 1);
	assert_int_equal(fault_seat_watch(&d->seats[3], c.task), 0);
	see(d, &c, "3333333333333333");
	require_polls(d, &c, 8);
	stop(&u, &c);
}

/* There are more servers than `polling` has bits, and where none of a lane can poll the client it
 * stays in its own. */
static void
lanes_of_many_servers(void **state)
{
	enum { MANY = 70 };
	struct stat_shard stats;
	struct daemon *d;
	struct client c;
	struct unit u;
	(void)state;

	d = servers_start(&u, MANY);
	stats = stats_shard(&d->stats, shard_index_extra(d, SHARD_WATCH));
	client_open(&u, &c);
	assert_int_equal(fault_servers_add(d, c.task, LANE_COMMON), 0);
	for (unsigned lane = SIDE_LANES; lane <= SIDE_LANES; lane--) {
		lane_move(d, c.task, lane, stats);
		assert_int_equal(load_relaxed(&c.task->lane), lane);
		for (unsigned i = 0; i < seat_count(d); i++)
			assert_int_equal(seat_polls(&d->seats[i], &c), d->seats[i].lane == lane);
	}
	assert_true(load_relaxed(&c.task->affinity.polling) == UINT64_MAX);
	fails = MANY; /* the seat of lane 1 */
	lane_move(d, c.task, 1, stats);
	assert_int_equal(load_relaxed(&c.task->lane), LANE_COMMON);
	assert_true(seat_polls(&d->seats[0], &c) && seat_polls(&d->seats[MANY - 1], &c));
	fails = -1;
	fault_servers_remove(d, c.task);
	directs_let_go(d);
	client_close(&c);
	servers_stop(&u);
}

/* Servers that share a client give way; one that is alone does not. */
static void
sharers_give_way(void **state)
{
	struct client c;
	struct daemon *d;
	struct unit u;
	(void)state;

	d = start(&u, &c);
	for (unsigned i = 0; i < SERVERS; i++)
		store_release(&d->servers[i].tid, gettid());
	see(d, &c, "0");
	for (unsigned i = 0; i < SERVERS; i++)
		assert_true(load_relaxed(&d->servers[i].gives_way));
	see(d, &c, "1010101");
	require_polls(d, &c, 3);
	for (unsigned i = 0; i < SERVERS; i++)
		assert_int_equal(load_relaxed(&d->servers[i].gives_way), i < 2);
	see(d, &c, "1111111111111111");
	require_polls(d, &c, 2);
	for (unsigned i = 0; i < SERVERS; i++)
		assert_false(load_relaxed(&d->servers[i].gives_way));
	assert_int_equal(sched_getscheduler(0), SCHED_OTHER);
	stop(&u, &c);
}

/* --- who gets direct servers --- */

enum { RATE = 1000 }; /* faults a second */

/* A period in which faults come `times` as fast as they must, and this many of those between two
 * samples need the disk, for swap and for files in turn. => whether direct servers read the client
 * then */
static bool
is_direct_after(struct daemon *d, struct client *c, unsigned times, unsigned reads)
{
	for (unsigned i = 0; i < PERIOD; i++) {
		uint64_t interval = max_u64(c->task->affinity.interval, INTERVAL);

		now += interval * 1000000000 / RATE / times - 1;
		ledger_count(&c->task->bill.ledger,
		    i % 2 ? PAGER_LEDGER_FILE_READS : PAGER_LEDGER_SWAPINS,
		    (int64_t)(reads * interval / INTERVAL));
		place = 2;
		faults_to_sample(d, c);
	}
	return load_acquire(&c->task->affinity.is_direct);
}

static void
direct_while_fit(void **state)
{
	struct client c;
	struct daemon *d;
	struct unit u;
	(void)state;

	d = start(&u, &c);
	/* The parameter says never. */
	assert_false(is_direct_after(d, &c, 2, 0));
	require_polls(d, &c, 4);
	store_relaxed(&d->params.direct_faults, RATE);
	assert_true(is_direct_after(d, &c, 1, INTERVAL / 8));
	assert_int_equal(load_relaxed(&c.task->affinity.polling), 4);
	assert_ptr_equal(direct_of(d, 2)->client, c.task);
	for (unsigned i = 0; i < seat_count(d); i++)
		assert_false(seat_polls(&d->seats[i], &c));
	assert_true(client_waits(&c));
	/* One sample that finds too few faults ends it. */
	now += 1000000000;
	faults_to_sample(d, &c);
	require_polls(d, &c, ALL);
	assert_false(client_waits(&c));
	directs_let_go(d);
	/* Too slow, or too often from disk. */
	assert_false(is_direct_after(d, &c, 1, INTERVAL / 8 + 1));
	now += 1000000000;
	faults_to_sample(d, &c);
	assert_true(is_direct_after(d, &c, 1, 0));
	assert_false(is_direct_after(d, &c, 1, INTERVAL / 8 + 1));
	directs_let_go(d);
	/* It has made its file nonblocking once. */
	c.task->affinity.direct_refused = true;
	assert_false(is_direct_after(d, &c, 2, 0));
	assert_false(is_direct_after(d, &c, 2, 0));
	stop(&u, &c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(polled_where_it_runs),
		cmocka_unit_test(always_polled),
		cmocka_unit_test(samples_become_rare),
		cmocka_unit_test(ended_is_not_polled),
		cmocka_unit_test(sharers_give_way),
		cmocka_unit_test(failed_join_is_made_up_for),
		cmocka_unit_test(joining_twice_is_no_failure),
		cmocka_unit_test(lanes_of_many_servers),
		cmocka_unit_test(direct_while_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
