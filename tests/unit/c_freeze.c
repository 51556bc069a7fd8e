/* SPDX-License-Identifier: MIT
 *
 * Which process is frozen without being asked for, from numbers alone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base.h"
#include "memorystatus/freeze_policy.h"
#include "memorystatus/jetsam.h"

#define SECOND 1000000000ull
#define NOW    (1000 * SECOND)

static const struct freeze_rules rules = {
	.below = 500, .most = 2, .least = 100, .quiet_ns = 10 * SECOND, .budget = 5000
};

static struct freeze_candidate
quiet_for(unsigned seconds)
{
	return (struct freeze_candidate){ .band = BAND_IDLE,
		.is_free = true,
		.pages = 1000,
		.quiet_since_ns = NOW - seconds * SECOND };
}

/* => the index, -1: none */
static int
choose(const struct freeze_candidate *c, size_t count, unsigned left, unsigned frozen)
{
	const struct freeze_input in = { NOW, left, frozen };
	size_t chosen;

	return freeze_choose(c, count, &rules, &in, &chosen) ? (int)chosen : -1;
}

static void
longest_quiet_first(void **state)
{
	struct freeze_candidate c[4] = { quiet_for(20), quiet_for(40), quiet_for(30),
		quiet_for(5) };

	(void)state;
	assert_int_equal(choose(c, 4, 499, 0), 1);
	/* Memory is not short; there are as many as there may be. */
	assert_int_equal(choose(c, 4, 500, 0), -1);
	assert_int_equal(choose(c, 4, 499, 1), 1);
	assert_int_equal(choose(c, 4, 499, 2), -1);
	assert_int_equal(choose(c, 0, 0, 0), -1);
}

static void
who_is_no_candidate(void **state)
{
	struct freeze_candidate c[2] = { quiet_for(20), quiet_for(40) };

	(void)state;
#define NOT(field, value)                                                                          \
	do {                                                                                       \
		c[1] = quiet_for(40);                                                              \
		c[1].field = (value);                                                              \
		assert_int_equal(choose(c, 2, 0, 0), 0);                                           \
	} while (0)
	NOT(band, BAND_BACKGROUND);
	NOT(is_dying, true);
	NOT(is_free, false);
	NOT(pages, 99);
	NOT(pages, 5001);
	/* Thawed by touches: it has to be quiet for longer. */
	NOT(thaws, 4);
	c[1].thaws = 3;
	assert_int_equal(choose(c, 2, 0, 0), 1);
	c[1].band = BAND_AGING2;
	assert_int_equal(choose(c, 2, 0, 0), 1);
	c[0] = c[1] = quiet_for(9);
	assert_int_equal(choose(c, 2, 0, 0), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(longest_quiet_first),
		cmocka_unit_test(who_is_no_candidate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
