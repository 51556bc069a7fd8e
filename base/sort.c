/* SPDX-License-Identifier: MIT
 *
 * Heap sort. Runs on: any thread.
 */
#include "sort.h"

#include <stdbool.h>
#include <string.h>

/* Items are read and written as bytes: their type is the caller's. */
static inline struct sort_item
item_at(const unsigned char *items, size_t i)
{
	struct sort_item item;

	memcpy(&item, items + i * sizeof(item), sizeof(item));
	return item;
}

static inline uint32_t
key_at(const unsigned char *items, size_t i)
{
	uint32_t key;

	memcpy(&key, items + i * sizeof(struct sort_item), sizeof(key));
	return key;
}

static inline void
item_put(unsigned char *items, size_t i, struct sort_item item)
{
	memcpy(items + i * sizeof(item), &item, sizeof(item));
}

/* The item finds its place among the first `count`, in the part of the heap that begins at `at`. */
static void
sink(unsigned char *items, size_t at, size_t count, struct sort_item item)
{
	size_t child;

	while ((child = 2 * at + 1) < count) {
		if (child + 1 < count)
			child += key_at(items, child) < key_at(items, child + 1);
		if (item.key >= key_at(items, child))
			break;
		item_put(items, at, item_at(items, child));
		at = child;
	}
	item_put(items, at, item);
}

static bool
are_sorted(const unsigned char *items, size_t count)
{
	for (size_t i = 1; i < count; i++)
		if (key_at(items, i) < key_at(items, i - 1))
			return false;
	return true;
}

void
sort_items(void *memory, size_t count)
{
	unsigned char *items = memory;

	if (are_sorted(items, count))
		return;
	for (size_t i = count / 2; i-- > 0;)
		sink(items, i, count, item_at(items, i));
	for (size_t last = count; --last > 0;) {
		struct sort_item item = item_at(items, last);

		item_put(items, last, item_at(items, 0));
		sink(items, 0, last, item);
	}
}
