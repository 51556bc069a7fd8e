/* SPDX-License-Identifier: MIT
 *
 * A sort for threads that may not allocate (glibc's qsort does, above 1024 bytes).
 */
#ifndef BASE_SORT_H
#define BASE_SORT_H

#include <stddef.h>
#include <stdint.h>

/* An item: what it is sorted by, and twelve bytes that go with it. */
struct sort_item {
	uint32_t key;
	unsigned char rest[12];
};

/* Sorts items of that size and shape in place. Items with the same key may change places. */
void sort_items(void *items, size_t count);

/* The same for an array of structures whose first field is the key. */
#define SORT_BY(items, count, field)                                                               \
	do {                                                                                       \
		_Static_assert(sizeof((items)[0]) == sizeof(struct sort_item) &&                   \
				   sizeof((items)[0].field) == sizeof(uint32_t) &&                 \
				   offsetof(__typeof__((items)[0]), field) == 0,                   \
		    "not as struct sort_item");                                                    \
		sort_items(items, count);                                                          \
	} while (0)

#endif
