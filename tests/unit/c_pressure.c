/* SPDX-License-Identifier: MIT
 *
 * Memory pressure: levels and the order of notices from numbers alone, then the thread's look with
 * clients whose agents are sockets of the test's.
 */
#include "c_unit.h"

#include <sys/socket.h>

#include "memorystatus/memorystatus.h"
#include "pager/pressure.h"

#define SECOND 1000000000ull

static void
test_available(void **state)
{
	struct space space = { .movable = 1000,
		.free_above = 10,
		.files = 20,
		.pages = 400,
		.ratio = 500,
		.compressor_room = 900,
		.swap_room = 40 };

	(void)state;
	assert_int_equal(pressure_available(&space), 10 + 20 + 200 + 40);
	/* As far as the compressor may grow; and what does not compress frees nothing. */
	space.compressor_room = 100;
	assert_int_equal(pressure_available(&space), 10 + 20 + 100 + 40);
	space.ratio = 1000;
	assert_int_equal(pressure_available(&space), 10 + 20 + 40);
	space.ratio = 0;
	assert_int_equal(pressure_available(&space), 10 + 20 + 400 + 40);
	space.swap_room = 1u << 30;
	assert_int_equal(pressure_available(&space), 1000);
	assert_int_equal(pressure_available(&(struct space){ .free_above = 1 }), 0);
}

static enum pressure
next(enum pressure now, unsigned available)
{
	struct pressure_input in = { .available = available,
		.limits = pressure_limits_of(1u << 30) };

	return pressure_next(now, &in);
}

/* Each level begins below its limit, and is left when there is 15 % more than that. */
static void
test_levels(void **state)
{
	static const struct {
		enum pressure now;
		unsigned available;
		enum pressure then;
	} rows[] = {
		{ PRESSURE_NORMAL, 1000, PRESSURE_NORMAL },
		{ PRESSURE_NORMAL, 150, PRESSURE_NORMAL },
		{ PRESSURE_NORMAL, 149, PRESSURE_WARNING },
		{ PRESSURE_NORMAL, 99, PRESSURE_URGENT },
		{ PRESSURE_NORMAL, 49, PRESSURE_CRITICAL },
		{ PRESSURE_WARNING, 171, PRESSURE_WARNING },
		{ PRESSURE_WARNING, 172, PRESSURE_NORMAL },
		{ PRESSURE_URGENT, 114, PRESSURE_URGENT },
		{ PRESSURE_URGENT, 115, PRESSURE_WARNING },
		{ PRESSURE_CRITICAL, 56, PRESSURE_CRITICAL },
		{ PRESSURE_CRITICAL, 57, PRESSURE_URGENT },
		{ PRESSURE_CRITICAL, 1000, PRESSURE_NORMAL },
	};
	struct pressure_input in = { .available = 1000, .limits = pressure_limits_of(1u << 30) };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(next(rows[i].now, rows[i].available), rows[i].then);
	/* What has been tried in vain counts more than the number. */
	in.is_squeezed = true;
	assert_int_equal(pressure_next(PRESSURE_NORMAL, &in), PRESSURE_CRITICAL);
	in.is_squeezed = false;
	in.host = PRESSURE_WARNING;
	assert_int_equal(pressure_next(PRESSURE_NORMAL, &in), PRESSURE_WARNING);
	in.available = 10;
	assert_int_equal(pressure_next(PRESSURE_NORMAL, &in), PRESSURE_CRITICAL);
	assert_int_equal(pressure_limits_of(4ull << 30).below[PRESSURE_CRITICAL], 40);
	assert_int_equal(pressure_limits_of(1ull << 40).below[PRESSURE_WARNING], 120);
}

/* A rise is announced at once, a fall to the highest level of the last five seconds. */
static void
test_announce(void **state)
{
	struct pressure_hold hold = { 0 };

	(void)state;
	assert_true(pressure_announce(&hold, PRESSURE_CRITICAL, 10 * SECOND));
	assert_false(pressure_announce(&hold, PRESSURE_NORMAL, 11 * SECOND));
	assert_false(pressure_announce(&hold, PRESSURE_WARNING, 12 * SECOND));
	assert_false(pressure_announce(&hold, PRESSURE_NORMAL, 15 * SECOND));
	assert_int_equal(hold.announced, PRESSURE_CRITICAL);
	assert_true(pressure_announce(&hold, PRESSURE_NORMAL, 16 * SECOND));
	assert_int_equal(hold.announced, PRESSURE_WARNING);
	/* It begins anew after a rise. */
	assert_false(pressure_announce(&hold, PRESSURE_NORMAL, 17 * SECOND));
	assert_true(pressure_announce(&hold, PRESSURE_URGENT, 18 * SECOND));
	assert_false(pressure_announce(&hold, PRESSURE_NORMAL, 19 * SECOND));
	assert_false(pressure_announce(&hold, PRESSURE_NORMAL, 23 * SECOND));
	assert_true(pressure_announce(&hold, PRESSURE_NORMAL, 24 * SECOND));
	assert_int_equal(hold.announced, PRESSURE_NORMAL);
}

#define ALL PAGER_PRESSURE_LEVELS
static const struct notice_client clients[] = {
	{ ALL, PRESSURE_NORMAL, 100, 500 },
	{ ALL, PRESSURE_NORMAL, 0, 100 },
	{ ALL, PRESSURE_NORMAL, 0, 400 },
	{ ALL, PRESSURE_NORMAL, 180, 9 },
	{ 0, PRESSURE_NORMAL, 0, 1000 },
	{ ALL, PRESSURE_NORMAL, 30, 300 },
	{ PAGER_PRESSURE_BIT(PRESSURE_CRITICAL), PRESSURE_NORMAL, 40, 200 },
};

/* Tells all that are due. => how many; `order` has their indices */
static size_t
tell_all(struct notice_client *c, enum pressure announced, uint64_t least, size_t *order)
{
	size_t n = 0;

	while (notice_choose(c, ARRAY_LEN(clients), announced, least, &order[n]))
		c[order[n++]].told = notice_level(announced);
	return n;
}

/* The least important and largest first while pressure rises, the other way round as it falls. */
static void
test_order(void **state)
{
	static const size_t rises[] = { 2, 1, 5, 0 }, worse[] = { 2, 1, 5, 6, 0 },
			    falls[] = { 0, 5, 1, 2 };
	struct notice_client c[ARRAY_LEN(clients)];
	size_t order[ARRAY_LEN(clients) + 1];

	(void)state;
	memcpy(c, clients, sizeof(c));
	assert_int_equal(tell_all(c, PRESSURE_WARNING, 10, order), ARRAY_LEN(rises));
	assert_memory_equal(order, rises, sizeof(rises));
	/* A program is told of urgent as warning, which it knows. */
	assert_int_equal(tell_all(c, PRESSURE_URGENT, 10, order), 0);
	assert_int_equal(tell_all(c, PRESSURE_CRITICAL, 10, order), ARRAY_LEN(worse));
	assert_memory_equal(order, worse, sizeof(worse));
	/* Only those that were told are told that it is over, also when they are small by now. */
	c[2].footprint = c[1].footprint = 0;
	c[1].footprint = 1;
	assert_int_equal(tell_all(c, PRESSURE_NORMAL, 10, order), ARRAY_LEN(falls));
	assert_int_equal(order[0], falls[0]);
	assert_int_equal(order[1], falls[1]);
	assert_int_equal(order[2] + order[3], 3);
}

/* --- the look --- */

static struct unit unit;

static struct pager_agent_message
received(int socket, bool *ret_any)
{
	struct pager_agent_message message = { 0 };

	*ret_any = recv(socket, &message, sizeof(message), MSG_DONTWAIT) > 0;
	return message;
}

/* A notice goes to the agent once, says its level, and notes what the client has. An agent whose
 * socket is full gets it at a later look. */
static void
test_look(void **state)
{
	struct memorystatus *s = &unit.daemon->memorystatus;
	struct task *task = unit.task;
	struct pager_agent_message m;
	char filling[4096] = { 0 };
	int pair[2];
	bool any;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	task->agent = pair[0];
	assert_true(task_commit(task, TASK_ATTACHING, TASK_ATTACHED));
	store_relaxed(&unit.daemon->params.notice_least_bytes, 0);
	store_relaxed(&s->simulated, PRESSURE_WARNING);
	memorystatus_look(unit.daemon, SECOND);
	received(pair[1], &any);
	assert_false(any); /* it has not asked */
	store_relaxed(&task->notices.levels, ALL);
	while (send(pair[0], filling, sizeof(filling), MSG_DONTWAIT) > 0)
		continue;
	memorystatus_look(unit.daemon, 2 * SECOND);
	assert_int_equal(load_relaxed(&task->notices.sent), 0);
	while (recv(pair[1], filling, sizeof(filling), MSG_DONTWAIT) > 0)
		continue;
	memorystatus_look(unit.daemon, 3 * SECOND);
	m = received(pair[1], &any);
	assert_true(any && m.op == PAGER_AGENT_PRESSURE && m.count == 0);
	assert_int_equal(PAGER_AGENT_PRESSURE_LEVEL(m.value), PRESSURE_WARNING);
	assert_int_equal(m.value >> 8, load_relaxed(&task->notices.sent));
	memorystatus_look(unit.daemon, 4 * SECOND);
	received(pair[1], &any);
	assert_false(any);
	/* A level that lasts is said again after half an hour. */
	memorystatus_look(unit.daemon, 1900 * SECOND);
	received(pair[1], &any);
	assert_true(any);
	memorystatus_done(task);
	assert_int_equal(load_relaxed(&task->notices.done), load_relaxed(&task->notices.sent));
	/* One that does not want to know of the fall is told of the next rise all the same. */
	store_relaxed(&task->notices.levels, PAGER_PRESSURE_BIT(PRESSURE_WARNING));
	store_relaxed(&s->simulated, PRESSURE_NORMAL);
	memorystatus_look(unit.daemon, 1901 * SECOND);
	received(pair[1], &any);
	assert_false(any);
	store_relaxed(&s->simulated, PRESSURE_WARNING);
	memorystatus_look(unit.daemon, 1902 * SECOND);
	received(pair[1], &any);
	assert_true(any);
	task->agent = -1;
	close(pair[0]);
	close(pair[1]);
}

/* Frames retire as they become free and come back; the gauges sum at each step. */
static void
test_resize(void **state)
{
	struct daemon *d = unit.daemon;
	struct frame_table *t = &d->frames;
	struct frame_sizes sizes = frames_sizes(d);

	(void)state;
	assert_int_equal(sizes.least, 512);
	assert_int_equal(sizes.most, 4 * UNIT_FRAMES);
	assert_int_equal(frames_resize(d, sizes.least - 1), -ERANGE);
	assert_int_equal(frames_resize(d, sizes.most + 1), -ERANGE);
	assert_int_equal(frames_resize(d, sizes.least), 0);
	assert_int_equal(unit_level(&unit, STAT_FRAMES_TOTAL), sizes.least);
	assert_int_equal(unit_level(&unit, STAT_FRAMES_FREE), sizes.least);
	assert_int_equal(t->retired, UNIT_FRAMES - sizes.least);
	assert_int_equal(frames_movable(d), sizes.least);
	/* Retired rows come back before new ones are used. */
	assert_int_equal(frames_resize(d, UNIT_FRAMES), 0);
	assert_int_equal(t->retired, 0);
	assert_int_equal(load_relaxed(&t->count), UNIT_FRAMES);
	assert_int_equal(frames_resize(d, 2 * UNIT_FRAMES), 0);
	assert_int_equal(load_relaxed(&t->free_count), 2 * UNIT_FRAMES);
	assert_int_equal(load_relaxed(&t->count), 2 * UNIT_FRAMES);
	/* What is wired has to fit. */
	assert_int_equal(share_take(d, unit.task->bill.account, SHARE_WIRED, 300 * 4096), 0);
	assert_true(frames_sizes(d).least >= 300 + 256);
	assert_int_equal(frames_resize(d, 512), -ERANGE);
	share_give(d, unit.task->bill.account, SHARE_WIRED, 300 * 4096);
}

/* Frames in use retire when they are put back; where they cannot be, the rest stays. */
static void
test_resize_in_use(void **state)
{
	struct daemon *d = unit.daemon;
	uint32_t taken[UNIT_FRAMES], count = 0;

	(void)state;
	pageq_lock(d);
	while ((taken[count] = frame_take_locked(d, FRAME_FIRST)) != FRAME_NONE)
		count++;
	stats_queues_begin(&d->stats);
	fetch_sub_relaxed(&d->stats.levels[STAT_FRAMES_FREE], (long long)count);
	fetch_add_relaxed(&d->stats.levels[STAT_FRAMES_ACTIVE], (long long)count);
	stats_queues_end(&d->stats);
	pageq_unlock(d);
	assert_int_equal(frames_resize(d, 512), 0);
	assert_int_equal(frames_to_retire(d), UNIT_FRAMES - 512);
	/* The reserve is left: pageout needs it to make room. */
	assert_true(load_relaxed(&d->frames.free_count) >= d->frames.reserved);
	pageq_lock(d);
	for (uint32_t i = 0; i < 600; i++)
		frame_put_locked(d, taken[--count]);
	stats_queues_begin(&d->stats);
	fetch_add_relaxed(&d->stats.levels[STAT_FRAMES_FREE], 600);
	fetch_sub_relaxed(&d->stats.levels[STAT_FRAMES_ACTIVE], 600);
	stats_queues_end(&d->stats);
	pageq_unlock(d);
	frames_retire(d);
	assert_int_equal(frames_to_retire(d), 0);
	assert_int_equal(unit_level(&unit, STAT_FRAMES_TOTAL), 512);
	assert_int_equal(frames_resize(d, 2000), 0);
	assert_int_equal(frames_resize(d, 1999), 0);
	assert_int_equal(frames_retire_end(d), 0);
	pageq_lock(d);
	while (count > 0)
		frame_put_locked(d, taken[--count]);
	pageq_unlock(d);
}

/* What is left of a fatal limit, and who wants more is noted down. */
static void
test_fatal_limit(void **state)
{
	struct process *process = unit.task->bill.process;

	(void)state;
	assert_false(process_wants_too_much(process, 1u << 20));
	assert_int_equal(process_footprint_room(process), UINT32_MAX);
	store_relaxed(&process->footprint_most, 100);
	store_relaxed(&process->footprint, 99);
	assert_int_equal(process_footprint_room(process), 1);
	assert_false(process_wants_too_much(process, 1));
	assert_false(load_relaxed(&process->is_over_fatal));
	assert_true(process_wants_too_much(process, 2));
	assert_true(load_relaxed(&process->is_over_fatal));
	store_relaxed(&process->footprint, 0);
}

static int
start(void **state)
{
	(void)state;
	unit_start(&unit);
	assert_int_equal(memorystatus_create(unit.daemon), 0);
	return 0;
}

static int
stop(void **state)
{
	(void)state;
	memorystatus_fini(unit.daemon);
	unit_stop(&unit);
	return 0;
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_available),
		cmocka_unit_test(test_levels),
		cmocka_unit_test(test_announce),
		cmocka_unit_test(test_order),
		cmocka_unit_test_setup_teardown(test_look, start, stop),
		cmocka_unit_test_setup_teardown(test_fatal_limit, start, stop),
		cmocka_unit_test_setup_teardown(test_resize, start, stop),
		cmocka_unit_test_setup_teardown(test_resize_in_use, start, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
