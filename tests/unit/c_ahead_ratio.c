/* SPDX-License-Identifier: MIT
 *
 * How far files are read ahead, by what became of the pages that were.
 */
#include "c_unit.h"

#include "vm/ahead_ratio.h"

enum { LEAST = 8, MOST = 256 };

static unsigned
far_of(const struct ahead_ratio *r)
{
	return ahead_far(r, LEAST, MOST);
}

static void
unknown_is_worth_all(void **state)
{
	struct ahead_ratio r = { 0 };

	(void)state;
	assert_int_equal(far_of(&r), MOST);
	ahead_wasted(&r, 20 * LEAST - 1);
	assert_int_equal(far_of(&r), MOST);
	ahead_wasted(&r, 1);
	assert_int_equal(far_of(&r), LEAST);
}

static void
as_far_as_is_touched(void **state)
{
	struct ahead_ratio r = { 0 };

	(void)state;
	ahead_touched(&r, 300);
	assert_int_equal(far_of(&r), MOST);
	ahead_wasted(&r, 100);
	assert_int_equal(far_of(&r), MOST * 3 / 4);
	ahead_wasted(&r, 1000);
	assert_int_equal(far_of(&r), MOST * 300 / 1400);
	/* Less than the least is nothing, and where memory is small that is all. */
	ahead_wasted(&r, 100000);
	assert_int_equal(far_of(&r), LEAST);
	assert_int_equal(ahead_far(&r, LEAST, 4), 4);
}

/* What was long ago counts less: a file that is read otherwise now is soon read ahead of again. */
static void
old_fates_fade(void **state)
{
	struct ahead_ratio r = { 0 };
	unsigned touched = 0;

	(void)state;
	for (unsigned i = 0; i < 1000; i++)
		ahead_wasted(&r, 64);
	assert_int_equal(far_of(&r), LEAST);
	while (far_of(&r) < MOST / 2) {
		ahead_touched(&r, 64);
		touched += 64;
	}
	assert_true(touched <= 4096);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unknown_is_worth_all),
		cmocka_unit_test(as_far_as_is_touched),
		cmocka_unit_test(old_fates_fade),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
