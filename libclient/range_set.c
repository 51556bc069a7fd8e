/* SPDX-License-Identifier: MIT
 *
 * Sorted ranges in one array. Neighbours are joined, so a program with many allocations side by
 * side has few of them: binary search to find, memmove to change. Locks: the caller's.
 */
#include "range_set.h"

#include <errno.h>
#include <string.h>

#include "own_pages.h"

#define RANGE_SET_FIRST_BYTES 65536

void
range_set_init(struct range_set *set)
{
	*set = (struct range_set){ 0 };
}

void
range_set_fini(struct range_set *set)
{
	own_pages_free(set->ranges, set->capacity * sizeof(struct range));
	*set = (struct range_set){ 0 };
}

int
range_set_reserve(struct range_set *set, size_t more)
{
	size_t bytes = set->capacity * sizeof(struct range);
	void *memory = own_pages_grow(
	    set->ranges, &bytes, (set->count + more) * sizeof(struct range), RANGE_SET_FIRST_BYTES);

	if (!memory)
		return -ENOMEM;
	set->ranges = memory;
	set->capacity = bytes / sizeof(struct range);
	return 0;
}

/* Index of the first range that ends above the address; count if there is none. */
static size_t
range_set_index(const struct range_set *set, uint64_t address)
{
	size_t low = 0, high = set->count, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (set->ranges[middle].end > address)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

static void
range_set_insert_at(struct range_set *set, size_t index, struct range range)
{
	memmove(&set->ranges[index + 1], &set->ranges[index], (set->count - index) * sizeof(range));
	set->ranges[index] = range;
	set->count++;
}

static void
range_set_delete_at(struct range_set *set, size_t index, size_t count)
{
	set->count -= count;
	memmove(&set->ranges[index], &set->ranges[index + count],
	    (set->count - index) * sizeof(struct range));
}

void
range_set_add(struct range_set *set, uint64_t start, uint64_t end)
{
	size_t i = range_set_index(set, start);
	bool joins_below = i > 0 && set->ranges[i - 1].end == start;
	bool joins_above = i < set->count && set->ranges[i].start == end;

	if (joins_below && joins_above) {
		set->ranges[i - 1].end = set->ranges[i].end;
		range_set_delete_at(set, i, 1);
	} else if (joins_below) {
		set->ranges[i - 1].end = end;
	} else if (joins_above) {
		set->ranges[i].start = start;
	} else {
		range_set_insert_at(set, i, (struct range){ start, end });
	}
}

void
range_set_remove(struct range_set *set, uint64_t start, uint64_t end)
{
	size_t i = range_set_index(set, start);
	struct range *range = &set->ranges[i];
	struct range above = { end, range->end };

	if (range->start == start && range->end == end) {
		range_set_delete_at(set, i, 1);
	} else if (range->start == start) {
		range->start = end;
	} else {
		range->end = start;
		if (above.start < above.end)
			range_set_insert_at(set, i + 1, above);
	}
}

bool
range_set_contains(const struct range_set *set, uint64_t start, uint64_t end)
{
	size_t i = range_set_index(set, start);

	return i < set->count && set->ranges[i].start <= start && set->ranges[i].end >= end;
}

const struct range *
range_set_above(const struct range_set *set, uint64_t address)
{
	size_t i = range_set_index(set, address);

	return i < set->count ? &set->ranges[i] : NULL;
}

bool
range_set_fit(const struct range_set *set, uint64_t size, uint64_t align, uint64_t *ret_start)
{
	for (size_t i = 0; i < set->count; i++) {
		const struct range *range = &set->ranges[i];
		uint64_t start = (range->start + align - 1) & ~(align - 1);

		if (start < range->end && range->end - start >= size) {
			*ret_start = start;
			return true;
		}
	}
	return false;
}
