/* SPDX-License-Identifier: MIT
 *
 * Faults that stand: nothing is told to a thread that has been woken since its fault was noted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base.h"
#include "pmap/standing.h"

#define PAGE 4096u
#define ROOM 64u

static unsigned told;

static void
tell(const void *argument)
{
	(void)argument;
	told++;
}

static bool
ends(const struct standing *fault)
{
	unsigned before = told;
	bool stood = standing_end(fault, tell, NULL);

	assert_int_equal(told - before, stood);
	return stood;
}

static void
stands_once_it_has_come_again(void **state)
{
	const struct standing fault = { 7, 100, 16 * PAGE };

	(void)state;
	assert_false(ends(&fault));
	assert_false(standing_look(&fault));
	assert_int_equal(load_relaxed(&standing_count), 1);
	assert_true(standing_look(&fault));
	assert_true(standing_look(&fault));
	assert_true(ends(&fault));
	assert_false(ends(&fault));
	assert_int_equal(load_relaxed(&standing_count), 0);
}

static void
a_wake_of_its_page_ends_it(void **state)
{
	const struct standing fault = { 7, 100, 16 * PAGE };
	const struct {
		int uffd;
		uint64_t address, bytes;
		bool stands;
	} wakes[] = {
		{ 7, 16 * PAGE, PAGE, false },
		{ 7, 0, 17 * PAGE, false },
		{ 7, 0, UINT64_MAX, false },
		{ 7, 0, 16 * PAGE, true },
		{ 7, 17 * PAGE, PAGE, true },
		{ 8, 16 * PAGE, PAGE, true },
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_LEN(wakes); i++) {
		assert_false(standing_look(&fault));
		assert_true(standing_look(&fault));
		standing_woken(wakes[i].uffd, wakes[i].address, wakes[i].bytes);
		assert_int_equal(ends(&fault), wakes[i].stands);
		assert_int_equal(load_relaxed(&standing_count), 0);
	}
}

static void
a_thread_is_at_one_place(void **state)
{
	const struct standing first = { 7, 100, 16 * PAGE }, second = { 7, 100, 17 * PAGE },
			      other = { 7, 101, 16 * PAGE };

	(void)state;
	assert_false(standing_look(&first));
	assert_false(standing_look(&other));
	assert_false(standing_look(&second));
	assert_int_equal(load_relaxed(&standing_count), 2);
	assert_false(ends(&first));
	assert_true(ends(&second));
	assert_true(standing_look(&other));
	assert_true(standing_end(&other, NULL, NULL));
	assert_int_equal(load_relaxed(&standing_count), 0);
}

static void
the_oldest_makes_room(void **state)
{
	struct standing faults[ROOM + 1];
	unsigned standing = 0;

	(void)state;
	for (unsigned i = 0; i <= ROOM; i++) {
		faults[i] = (struct standing){ 7, 100 + i, (16 + i) * PAGE };
		assert_false(standing_look(&faults[i]));
	}
	assert_int_equal(load_relaxed(&standing_count), ROOM);
	for (unsigned i = 0; i <= ROOM; i++)
		standing += ends(&faults[i]);
	assert_int_equal(standing, ROOM);
	assert_int_equal(load_relaxed(&standing_count), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stands_once_it_has_come_again),
		cmocka_unit_test(a_wake_of_its_page_ends_it),
		cmocka_unit_test(a_thread_is_at_one_place),
		cmocka_unit_test(the_oldest_makes_room),
	};

	standing_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
