/* SPDX-License-Identifier: MIT
 *
 * The set of ranges against a plain array of booleans.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "d_test.h"
#include "range_set.h"

#define UNITS 300

static void
check_equal(const struct range_set *set, const bool *truth)
{
	size_t unit = 0;

	assert_true(set->count <= set->capacity);
	for (size_t i = 0; i < set->count; i++) {
		assert_true(set->ranges[i].start < set->ranges[i].end);
		if (i > 0)
			assert_true(set->ranges[i - 1].end < set->ranges[i].start);
		for (; unit < set->ranges[i].start; unit++)
			assert_false(truth[unit]);
		for (; unit < set->ranges[i].end; unit++)
			assert_true(truth[unit]);
	}
	for (; unit < UNITS; unit++)
		assert_false(truth[unit]);
}

static bool
all(const bool *truth, size_t start, size_t end, bool value)
{
	for (size_t i = start; i < end; i++) {
		if (truth[i] != value)
			return false;
	}
	return true;
}

static void
range_set_oracle(void **state)
{
	unsigned seed = (unsigned)time(NULL);
	struct range_set set;
	bool truth[UNITS] = { false };

	printf("seed %u\n", seed);
	range_set_init(&set);
	for (int step = 0; step < 20000; step++) {
		size_t start = (size_t)rand_r(&seed) % UNITS;
		size_t end = start + 1 + (size_t)rand_r(&seed) % 12;

		if (end > UNITS)
			end = UNITS;
		assert_int_equal(
		    range_set_contains(&set, start, end), all(truth, start, end, true));
		assert_int_equal(range_set_reserve(&set, 1), 0);
		if (all(truth, start, end, false)) {
			range_set_add(&set, start, end);
			memset(truth + start, true, end - start);
		} else if (all(truth, start, end, true)) {
			range_set_remove(&set, start, end);
			memset(truth + start, false, end - start);
		}
		if (step % 16 == 0)
			check_equal(&set, truth);
	}
	range_set_fini(&set);
}

static void
range_set_search(void **state)
{
	static const struct {
		uint64_t size, align, start;
		bool fits;
	} rows[] = { { 10, 1, 10, true }, { 11, 1, 30, true }, { 31, 1, 0, false },
		{ 4, 16, 16, true }, { 5, 16, 32, true }, { 28, 16, 32, true },
		{ 29, 16, 0, false }, { 1, 64, 0, false } };
	struct range_set set;
	uint64_t start;

	range_set_init(&set);
	assert_null(range_set_above(&set, 0));
	assert_false(range_set_fit(&set, 1, 1, &start));
	assert_false(range_set_contains(&set, 0, 1));
	assert_int_equal(range_set_reserve(&set, 2), 0);
	range_set_add(&set, 10, 20);
	range_set_add(&set, 30, 60);
	assert_int_equal(range_set_above(&set, 0)->start, 10);
	assert_int_equal(range_set_above(&set, 19)->start, 10);
	assert_int_equal(range_set_above(&set, 20)->start, 30);
	assert_null(range_set_above(&set, 60));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(
		    range_set_fit(&set, rows[i].size, rows[i].align, &start), rows[i].fits);
		if (rows[i].fits)
			assert_int_equal(start, rows[i].start);
	}
	assert_false(range_set_contains(&set, 15, 35));
	range_set_fini(&set);
}

/* Far more ranges than the first pages hold. */
static void
range_set_growth(void **state)
{
	struct range_set set;

	range_set_init(&set);
	for (uint64_t i = 0; i < 50000; i++) {
		assert_int_equal(range_set_reserve(&set, 1), 0);
		range_set_add(&set, i * 10, i * 10 + 5);
	}
	assert_int_equal(set.count, 50000);
	assert_true(range_set_contains(&set, 123450, 123455));
	assert_false(range_set_contains(&set, 123455, 123456));
	range_set_fini(&set);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(range_set_oracle),
		cmocka_unit_test(range_set_search),
		cmocka_unit_test(range_set_growth),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
