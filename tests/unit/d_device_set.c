/* SPDX-License-Identifier: MIT
 *
 * The set of devices' addresses against a plain array.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "d_test.h"
#include "device_set.h"

#define UNITS 200

static void
check_equal(const struct device_set *set, const uint64_t *truth)
{
	uint64_t found[UNITS] = { 0 };

	assert_true(set->count <= set->capacity);
	for (size_t i = 0; i < set->count; i++) {
		const struct device_range *range = &set->ranges[i];

		assert_true(range->start < range->end);
		for (uint64_t unit = range->start; unit < range->end; unit++) {
			assert_int_equal(found[unit], 0);
			found[unit] = range->file.inode;
		}
	}
	assert_memory_equal(found, truth, sizeof(found));
}

/* Ranges keep the file that they show, whatever is cut out of them. */
static void
device_set_oracle(void **state)
{
	unsigned seed = (unsigned)time(NULL);
	uint64_t truth[UNITS] = { 0 };
	struct device_set set;

	printf("seed %u\n", seed);
	device_set_init(&set);
	for (int step = 0; step < 20000; step++) {
		uint64_t start = (uint64_t)rand_r(&seed) % UNITS;
		uint64_t end = start + 1 + (uint64_t)rand_r(&seed) % 12;
		struct device_range range;
		bool free = true, whole = true;

		if (end > UNITS)
			end = UNITS;
		for (uint64_t unit = start; unit < end; unit++) {
			free &= truth[unit] == 0;
			whole &= truth[unit] != 0;
		}
		assert_int_equal(device_set_contains(&set, start, end), whole);
		assert_int_equal(device_set_reserve(&set, 1), 0);
		range = (struct device_range){ start, end, { .inode = 1 + (uint64_t)step } };
		if (free)
			device_set_add(&set, &range);
		else
			device_set_remove(&set, start, end);
		for (uint64_t unit = start; unit < end; unit++)
			truth[unit] = free ? range.file.inode : 0;
		check_equal(&set, truth);
	}
	device_set_fini(&set);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(device_set_oracle) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
