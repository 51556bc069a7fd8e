/* SPDX-License-Identifier: MIT
 *
 * Pages that come back too soon, and what is made of their number; clients that make pages fast.
 */
#include "c_unit.h"

#include "memorystatus/creation.h"
#include "memorystatus/pressure.h"
#include "memorystatus/thrash.h"

#define SECOND 1000000000ull

/* --- ghosts --- */

static void
ghosts(void **state)
{
	struct refaults r = { 0 };
	struct unit u;
	uint64_t time;

	(void)state;
	unit_start(&u);
	/* Without a table nothing is a refault. */
	refault_mark(&r, u.object, 1, refaults_leave(&r, 1));
	assert_false(refault_came(&r, u.object, 1, 100));
	assert_int_equal(refaults_create(&r, 1000), 0);
	assert_int_equal(load_relaxed(&r.places), 1024);
	/* One that never left is none; one that left is, once. */
	assert_false(refault_came(&r, u.object, 0, 100));
	time = refaults_leave(&r, 3);
	for (uint64_t i = 1; i <= 3; i++)
		refault_mark(&r, u.object, i, time);
	assert_true(refault_came(&r, u.object, 1, 100));
	assert_false(refault_came(&r, u.object, 1, 100));
	/* As many others as there are frames may leave meanwhile, and not one more. */
	(void)refaults_leave(&r, 97);
	assert_true(refault_came(&r, u.object, 2, 100));
	(void)refaults_leave(&r, 1);
	assert_false(refault_came(&r, u.object, 3, 100));
	assert_int_equal(load_relaxed(&r.came), 2);
	assert_int_equal(load_relaxed(&r.read), 5);
	/* All pages of a whole memory: few ghosts are overwritten, and none is mistaken. */
	time = refaults_leave(&r, 500);
	for (uint64_t i = 0; i < 500; i++)
		refault_mark(&r, u.object, i, time);
	store_relaxed(&r.came, 0);
	for (uint64_t i = 500; i < 1000; i++)
		assert_false(refault_came(&r, u.object, i, 1000));
	for (uint64_t i = 0; i < 500; i++)
		(void)refault_came(&r, u.object, i, 1000);
	assert_in_range(load_relaxed(&r.came), 300, 500);
	refaults_destroy(&r);
	unit_stop(&u);
}

/* The time in a ghost has 20 bits: of a large memory it counts several pages. */
static void
large_memory(void **state)
{
	struct refaults r = { 0 };
	struct unit u;
	uint64_t rows = 1u << 20;

	(void)state;
	unit_start(&u);
	assert_int_equal(refaults_create(&r, (uint32_t)rows), 0);
	assert_true(r.unit_shift > 0 && rows * 16 >> r.unit_shift < 1u << 20);
	refault_mark(&r, u.object, 7, refaults_leave(&r, 1));
	refault_mark(&r, u.object, 8, refaults_leave(&r, 1));
	for (uint64_t left = 0; left < rows - 1000; left += 1000)
		(void)refaults_leave(&r, 1000);
	assert_true(refault_came(&r, u.object, 7, rows));
	(void)refaults_leave(&r, 4000);
	assert_false(refault_came(&r, u.object, 8, rows));
	/* As many places as there are frames, within what there is room for. */
	refaults_size(&r, 1500);
	assert_int_equal(load_relaxed(&r.places), 2048);
	refault_mark(&r, u.object, 9, refaults_leave(&r, 1));
	assert_true(refault_came(&r, u.object, 9, rows));
	refaults_size(&r, UINT32_MAX);
	assert_int_equal(load_relaxed(&r.places), 1u << 20);
	refaults_destroy(&r);
	unit_stop(&u);
}

/* --- thrashing --- */

static void
thrashing(void **state)
{
	/* After each quarter of a second so many more were read, and are refaults. */
	static const struct {
		uint64_t read, came;
		bool is_thrashing;
	} rows[] = {
		{ 1000, 1000, false }, /* once is chance */
		{ 1000, 1000, true },
		{ 1999, 1000, true }, /* half of those that were read */
		{ 2002, 1000, false },
		{ 1000, 1000, false },
		{ 999, 999, false }, /* too few */
		{ 1000, 1000, false },
		{ 1 << 20, 1 << 20, true },
		{ 1000, 999, false },
		{ 0, 0, false },
	};
	struct thrash_input in = { .now_ns = SECOND, .read = 5, .came = 1, .most = 1000 };
	struct thrash t = { 0 };

	(void)state;
	assert_false(thrash_look(&t, &in));
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		bool before = t.periods == THRASH_PERIODS;

		in.read += rows[i].read;
		in.came += rows[i].came;
		/* Before the period is over nothing changes. */
		in.now_ns += THRASH_PERIOD_NS - 1;
		assert_int_equal(thrash_look(&t, &in), before);
		in.now_ns += 1;
		assert_int_equal(thrash_look(&t, &in), rows[i].is_thrashing);
	}
	/* In a long period there must be more. */
	for (unsigned i = 0; i < 3; i++) {
		in.now_ns += 4 * THRASH_PERIOD_NS;
		in.read += 3999;
		in.came += 3999;
		assert_false(thrash_look(&t, &in));
	}
	for (unsigned i = 0; i < 2; i++) {
		in.now_ns += 4 * THRASH_PERIOD_NS;
		in.read += 4000;
		in.came += 4000;
		assert_int_equal(thrash_look(&t, &in), i == 1);
	}
	in.most = 0;
	assert_false(thrash_look(&t, &in));
	/* It begins with what is so then: what came before counts for nothing. */
	in.most = 10;
	assert_false(thrash_look(&t, &in));
	in.now_ns += THRASH_PERIOD_NS;
	assert_false(thrash_look(&t, &in));
}

static void
is_pressure(void **state)
{
	struct pressure_input in = {
		.available = 1000, .is_thrashing = true, .limits = pressure_limits_of(1u << 30)
	};

	(void)state;
	assert_int_equal(pressure_next(PRESSURE_NORMAL, &in), PRESSURE_WARNING);
	in.available = 1;
	assert_int_equal(pressure_next(PRESSURE_NORMAL, &in), PRESSURE_CRITICAL);
	in.available = 1000;
	in.is_thrashing = false;
	assert_int_equal(pressure_next(PRESSURE_WARNING, &in), PRESSURE_NORMAL);
}

/* --- fast clients --- */

static void
creation(void **state)
{
	struct task_creation c = { 0 };
	uint64_t now = SECOND;

	(void)state;
	/* What it had before it was looked at first is no speed. */
	assert_false(creation_look(&c, 1000000, 100, false, now));
	assert_false(creation_look(&c, 1000600, 100, false, now + 5 * SECOND));
	assert_true(creation_look(&c, 1000601, 100, false, now + 5 * SECOND));
	/* A window of its own begins, in which it makes less, and the next. */
	now += 5 * SECOND;
	assert_true(creation_look(&c, 1001201, 100, false, now + 6 * SECOND));
	assert_true(creation_look(&c, 1001801, 100, false, now + 12 * SECOND));
	assert_true(creation_look(&c, 1001801, 100, false, now + 18 * SECOND - 1));
	assert_false(creation_look(&c, 1001801, 100, false, now + 18 * SECOND));
	/* Just below the rate it never is. */
	for (unsigned i = 1; i < 10; i++)
		assert_false(creation_look(
		    &c, 1001801 + i * 599, 100, false, now + 18 * SECOND + i * 6 * SECOND));
	/* Fast once more, and the parameter is set to 0. */
	assert_true(creation_look(&c, 2000000, 100, false, now + 200 * SECOND));
	assert_false(creation_look(&c, 2000000, 0, false, now + 200 * SECOND));
	assert_false(creation_look(&c, 2000600, 100, false, now + 201 * SECOND));
	/* One that hoards is, for as long as it does, unless no client is. */
	assert_true(creation_look(&c, 2000600, 100, true, now + 300 * SECOND));
	assert_false(creation_look(&c, 2000600, 100, false, now + 301 * SECOND));
	assert_false(creation_look(&c, 2000600, 0, true, now + 302 * SECOND));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ghosts),
		cmocka_unit_test(large_memory),
		cmocka_unit_test(thrashing),
		cmocka_unit_test(is_pressure),
		cmocka_unit_test(creation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
