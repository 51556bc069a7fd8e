/* SPDX-License-Identifier: MIT
 *
 * Devices' addresses in one array: a program maps few devices. Locks: the caller's.
 */
#include "device_set.h"

#include <errno.h>

#include "own_pages.h"

#define DEVICE_SET_FIRST_BYTES 4096

void
device_set_init(struct device_set *set)
{
	*set = (struct device_set){ 0 };
}

void
device_set_fini(struct device_set *set)
{
	own_pages_free(set->ranges, set->capacity * sizeof(struct device_range));
	*set = (struct device_set){ 0 };
}

int
device_set_reserve(struct device_set *set, size_t more)
{
	size_t bytes = set->capacity * sizeof(struct device_range);
	void *memory = own_pages_grow(set->ranges, &bytes,
	    (set->count + more) * sizeof(struct device_range), DEVICE_SET_FIRST_BYTES);

	if (!memory)
		return -ENOMEM;
	set->ranges = memory;
	set->capacity = bytes / sizeof(struct device_range);
	return 0;
}

void
device_set_add(struct device_set *set, const struct device_range *range)
{
	set->ranges[set->count++] = *range;
}

void
device_set_remove(struct device_set *set, uint64_t start, uint64_t end)
{
	for (size_t i = 0; i < set->count;) {
		struct device_range *range = &set->ranges[i], upper = *range;

		if (range->end <= start || range->start >= end) {
			i++;
			continue;
		}
		upper.start = end;
		range->end = start;
		if (range->start < range->end) {
			/* At most one range has parts on both sides of what goes. */
			if (upper.start < upper.end)
				device_set_add(set, &upper);
			i++;
		} else if (upper.start < upper.end) {
			*range = upper;
			i++;
		} else {
			*range = set->ranges[--set->count];
		}
	}
}

bool
device_set_contains(const struct device_set *set, uint64_t start, uint64_t end)
{
	bool found = true;

	while (start < end && found) {
		found = false;
		for (size_t i = 0; i < set->count && !found; i++)
			if (set->ranges[i].start <= start && start < set->ranges[i].end) {
				start = set->ranges[i].end;
				found = true;
			}
	}
	return start >= end;
}
