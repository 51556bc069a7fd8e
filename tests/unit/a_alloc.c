/* SPDX-License-Identifier: MIT
 *
 * Threads that may not allocate, and the sort that they use instead of qsort.
 */
#include "panics.h"

#include "alloc.h"
#include "sort.h"

/* Items as a worker sorts them: 256 of 16 bytes. */
enum { ITEMS = 256 };
struct item {
	uint32_t key;
	uint32_t number;
	uint64_t twice;
};

static uint64_t seed;

static uint32_t
next_number(void)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 33);
}

static void
items_fill(struct item *items, size_t count, uint32_t different)
{
	for (size_t i = 0; i < count; i++) {
		items[i] = (struct item){ .key = next_number() % different, .number = (uint32_t)i };
		items[i].twice = 2 * ((uint64_t)items[i].key << 32 | items[i].number);
	}
}

static int
compare(const void *a, const void *b)
{
	uint32_t x = ((const struct item *)a)->key, y = ((const struct item *)b)->key;

	return x < y ? -1 : x > y;
}

#define PANIC "check failed: a thread on the reclaim path allocates"

static void *volatile kept;

static void
by_malloc(void *argument)
{
	alloc_forbid();
	kept = malloc(10);
}

static void
by_calloc(void *argument)
{
	alloc_forbid();
	kept = calloc(3, 10);
}

static void
by_realloc(void *argument)
{
	alloc_forbid();
	kept = realloc(NULL, 10);
}

static void
by_aligned_alloc(void *argument)
{
	alloc_forbid();
	kept = aligned_alloc(64, 128);
}

static void
by_posix_memalign(void *argument)
{
	void *memory;

	alloc_forbid();
	if (posix_memalign(&memory, 64, 128) == 0)
		kept = memory;
}

/* libc's own calls are guarded too. */
static void
by_libc(void *argument)
{
	alloc_forbid();
	kept = strdup("text");
}

static struct item shared_items[ITEMS];

static void
by_nothing(void *argument)
{
	alloc_forbid();
	free(kept);
	SORT_BY(shared_items, ITEMS, key);
	alloc_allow();
	kept = malloc(10);
}

static void
guard_panics(void **state)
{
	(void)state;
	items_fill(shared_items, ITEMS, 1000);
	kept = malloc(10);
	assert_false(panics(by_nothing, NULL, PANIC));
	if (!ALLOC_GUARDED)
		return;
	assert_true(panics(by_malloc, NULL, PANIC));
	assert_true(panics(by_calloc, NULL, PANIC));
	assert_true(panics(by_realloc, NULL, PANIC));
	assert_true(panics(by_aligned_alloc, NULL, PANIC));
	assert_true(panics(by_posix_memalign, NULL, PANIC));
	assert_true(panics(by_libc, NULL, PANIC));
	free(kept);
}

/* Every count up to a batch, with many and with few different keys. */
static void
sort_sorts(void **state)
{
	static const uint32_t different[] = { 1, 2, 10, 1u << 30 };
	struct item items[ITEMS], expected[ITEMS];

	(void)state;
	for (size_t count = 0; count <= ITEMS; count++)
		for (size_t k = 0; k < sizeof(different) / sizeof(different[0]); k++) {
			bool seen[ITEMS] = { false };

			items_fill(items, count, different[k]);
			memcpy(expected, items, sizeof(items[0]) * count);
			qsort(expected, count, sizeof(expected[0]), compare);
			SORT_BY(items, count, key);
			for (size_t i = 0; i < count; i++) {
				assert_int_equal(items[i].key, expected[i].key);
				assert_int_equal(items[i].twice,
				    2 * ((uint64_t)items[i].key << 32 | items[i].number));
				assert_false(seen[items[i].number]);
				seen[items[i].number] = true;
			}
		}
}

/* Items in order, and in reverse order. */
static void
sort_sorts_order(void **state)
{
	struct item items[ITEMS];

	(void)state;
	for (int down = 0; down < 2; down++) {
		for (uint32_t i = 0; i < ITEMS; i++)
			items[i] = (struct item){ .key = down ? ITEMS - 1 - i : i };
		SORT_BY(items, ITEMS, key);
		for (uint32_t i = 0; i < ITEMS; i++)
			assert_int_equal(items[i].key, i);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(guard_panics),
		cmocka_unit_test(sort_sorts),
		cmocka_unit_test(sort_sorts_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
