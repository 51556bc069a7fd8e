/* SPDX-License-Identifier: MIT
 *
 * The decision when no page can leave, from numbers alone.
 */
#include "c_unit.h"

#include "memorystatus/frame_wait.h"
#include "pagers/store.h"

static struct moment
tried(uint32_t rounds, uint32_t passes)
{
	return (struct moment){ rounds, passes };
}

static void
test_moments(void **state)
{
	struct moment t = moment_tried(tried(UINT32_MAX - 1, UINT32_MAX), tried(3, 0));

	(void)state;
	/* The counters wrap. */
	assert_int_equal(t.rounds, 5);
	assert_int_equal(t.passes, 1);
}

/* Rounds alone, or passes alone, prove nothing: the other thread may have had no CPU. */
static void
test_patience(void **state)
{
	static const enum frame_use uses[] = { FRAME_FIRST, FRAME_WRITE, FRAME_READ };

	(void)state;
	assert_false(squeeze_begins(tried(0, 0)));
	assert_false(squeeze_begins(tried(1u << 30, 0)));
	assert_false(squeeze_begins(tried(0, 1u << 30)));
	assert_true(squeeze_begins(tried(1000, 1000)));
	for (unsigned i = 0; i < 3; i++) {
		assert_false(squeeze_refuses(uses[i], tried(1u << 30, 0), false));
		assert_false(squeeze_refuses(uses[i], tried(0, 1u << 30), false));
		assert_true(squeeze_refuses(uses[i], tried(1000, 1000), false));
		/* While segments can leave it is far too early. */
		assert_false(squeeze_refuses(uses[i], tried(1000, 1000), true));
		assert_true(squeeze_refuses(uses[i], tried(1u << 20, 1u << 20), true));
		/* Never refused before the squeeze has begun for it. */
		for (uint32_t n = 0; n < 1000; n++)
			assert_true(!squeeze_refuses(uses[i], tried(n, n), false) ||
				    squeeze_begins(tried(n, n)));
	}
	/* Content that exists is waited for longer than content that does not. */
	for (uint32_t n = 0; n < 1000; n++)
		assert_true(!squeeze_refuses(FRAME_READ, tried(4 * n, n), false) ||
			    squeeze_refuses(FRAME_FIRST, tried(4 * n, n), false));
}

/* With and without wired pages a share leaves enough for the frames that pageout keeps free, and
 * for some pages. */
static void
test_share(void **state)
{
	(void)state;
	for (uint64_t movable = 64; movable < 1u << 24; movable += movable / 3)
		for (uint64_t percent = 1; percent <= 95; percent += 2)
			for (uint64_t beside = 16; beside < movable / 2; beside *= 2) {
				uint64_t least = min_u64(80, movable / 4);
				uint64_t share =
				    store_share_of(movable, percent, least, beside, true);

				assert_true(share >= least);
				assert_true(share <= max_u64(least, movable * percent / 100));
				assert_true(share == least || share + beside < movable);
				assert_true(store_share_of(
						movable, percent, least, beside, false) >= share);
				/* Wired frames reduce all shares alike. */
				assert_true(store_share_of(movable / 2, percent, least / 2,
						beside / 2, true) <= share);
			}
	/* With plenty of memory the percentage decides; without swap it is 90. */
	assert_int_equal(store_share_of(16384, 88, 320, 258, true), 14417);
	assert_int_equal(store_share_of(16384, 88, 320, 258, false), 14745);
	/* Never all, however large the segments. */
	assert_int_equal(store_share_of(100, 50, 1000, 10, true), 90);
	for (uint32_t n = 0; n < 100; n++)
		assert_true(!squeeze_begins(tried(n, n)) || squeeze_starves(tried(n, n)));
	assert_false(squeeze_starves(tried(1u << 30, 0)));
	assert_false(squeeze_starves(tried(0, 1u << 30)));
}

static void
test_floors(void **state)
{
	(void)state;
	for (uint32_t count = 512; count < 1u << 30; count *= 2) {
		uint64_t share = count * 9ull / 10;

		for (uint32_t reserved = 64; reserved <= count / 8; reserved *= 2) {
			struct frame_table t = { .count = count,
				.reserved = reserved,
				.last = reserved / 4 < 32 ? reserved / 4 : 32 };

			/* A stored page can always be read; and each use leaves something to the
			 * one below. */
			assert_int_equal(frames_floor(&t, FRAME_READ, true), 0);
			assert_true(frames_floor(&t, FRAME_STORE, true) > 0);
			assert_true(frames_floor(&t, FRAME_WRITE, true) >
				    frames_floor(&t, FRAME_STORE, true));
			assert_true(frames_floor(&t, FRAME_FIRST, true) >
				    frames_floor(&t, FRAME_WRITE, true));
			/* The frames that the compressor leaves are enough for each of the later
			 * checks. */
			assert_true(frames_floor(&t, FRAME_STORE, false) >
				    frames_floor(&t, FRAME_WRITE, true));
			assert_true(frames_floor(&t, FRAME_READ, false) < t.reserved);
			/* Room for the pages that are left over at the segments' ends, and never
			 * all. */
			assert_true(store_squeezed_limit(share, count, t.last) >= share);
			assert_true(store_squeezed_limit(share, count, t.last) + t.last < count);
		}
	}
	assert_int_equal(store_squeezed_limit(1843, 2048, 32), 2048 - 64);
	assert_int_equal(store_squeezed_limit(1000, 512, 16), 1000);
}

static struct fault
fault_at(struct unit *u, uint64_t page)
{
	return (struct fault){ .task = u->task, .address = UNIT_BASE + page * 4096 };
}

/* The longest that waits decides; serving one of its use begins its wait anew. Refused ones are
 * found by address. */
static void
test_park(void **state)
{
	struct moment t;
	struct unit u;
	struct daemon *d;
	uint64_t address;

	(void)state;
	unit_start(&u);
	d = u.daemon;
	assert_int_equal(park_create(d), 0);
	store_relaxed(&d->frames.free_count, 0);
	assert_false(frame_wait_longest(d, &t));
	for (uint32_t i = 0; i < 4; i++) {
		struct fault f = fault_at(&u, i);

		store_relaxed(&d->pageq.rounds, 10 * i);
		store_relaxed(&d->writeback.passes, i);
		assert_true(frame_wait_keep(d, &f,
		    i == 0   ? WAIT_LIMIT
		    : i == 1 ? WAIT_WRITE
			     : WAIT_FIRST));
	}
	store_relaxed(&d->pageq.rounds, 100);
	store_relaxed(&d->writeback.passes, 10);
	/* A fault that waits for a limit does not wait for memory. */
	d->park.served[FRAME_WRITE] = d->park.served[FRAME_FIRST] = tried(0, 0);
	assert_true(frame_wait_longest(d, &t));
	assert_int_equal(t.passes, 9);
	assert_int_equal(t.rounds, 90);
	d->park.served[FRAME_WRITE] = tried(95, 9);
	assert_true(frame_wait_longest(d, &t));
	assert_int_equal(t.passes, 8);

	for (uint32_t i = 10; i < 20; i++) {
		struct fault f = fault_at(&u, i);

		refused_keep(d, &f, REFUSED_FRAMES);
	}
	assert_int_equal(load_relaxed(&d->park.refused_count), 10);
	assert_false(refused_forget(d, u.task, UNIT_BASE, UNIT_BASE + 10 * 4096, &address));
	for (unsigned i = 0; i < 2; i++)
		assert_true(refused_forget(
		    d, u.task, UNIT_BASE + 12 * 4096, UNIT_BASE + 14 * 4096, &address));
	assert_int_equal(address, UNIT_BASE + 13 * 4096);
	assert_false(
	    refused_forget(d, u.task, UNIT_BASE + 12 * 4096, UNIT_BASE + 14 * 4096, &address));
	/* The first and the last of the list. */
	assert_true(
	    refused_forget(d, u.task, UNIT_BASE + 10 * 4096, UNIT_BASE + 11 * 4096, &address));
	assert_true(
	    refused_forget(d, u.task, UNIT_BASE + 19 * 4096, UNIT_BASE + 20 * 4096, &address));
	assert_int_equal(load_relaxed(&d->park.refused_count), 6);
	frame_wait_drop(d, u.task);
	assert_int_equal(load_relaxed(&d->park.refused_count), 0);
	assert_int_equal(load_relaxed(&d->park.count), 0);
	store_relaxed(&d->frames.free_count, UNIT_FRAMES);
	park_destroy(d);
	unit_stop(&u);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_moments),
		cmocka_unit_test(test_patience),
		cmocka_unit_test(test_share),
		cmocka_unit_test(test_floors),
		cmocka_unit_test(test_park),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
