/* SPDX-License-Identifier: MIT
 *
 * A set of addresses, kept as sorted ranges [start, end) that neither touch nor overlap. It lives
 * in pages of its own (own_pages.h).
 */
#ifndef PAGER_RANGE_SET_H
#define PAGER_RANGE_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct range {
	uint64_t start, end;
};

struct range_set {
	struct range *ranges;
	size_t count, capacity; /* count <= capacity */
};

void range_set_init(struct range_set *set);
void range_set_fini(struct range_set *set);

/* Makes room so that the next `more` changes cannot fail. => 0 or -ENOMEM. */
int range_set_reserve(struct range_set *set, size_t more);
/* => room was reserved; no part of the range is in the set. Joins its neighbours. */
void range_set_add(struct range_set *set, uint64_t start, uint64_t end);
/* => room was reserved; all of the range is in the set. */
void range_set_remove(struct range_set *set, uint64_t start, uint64_t end);

/* Whether all of [start, end) is in the set. */
bool range_set_contains(const struct range_set *set, uint64_t start, uint64_t end);
/* The first range that ends above the address, or NULL. */
const struct range *range_set_above(const struct range_set *set, uint64_t address);
/* The lowest place in the set for `size` bytes at a multiple of `align`, a power of 2. => false:
 * there is none */
bool range_set_fit(const struct range_set *set, uint64_t size, uint64_t align, uint64_t *ret_start);

#endif
