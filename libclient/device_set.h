/* SPDX-License-Identifier: MIT
 *
 * Addresses at which devices are mapped, and which file each shows. Such a mapping is not
 * registered with userfaultfd, so the file tells it from what the program may have mapped in its
 * place. It lives in pages of its own, as range sets do.
 */
#ifndef PAGER_DEVICE_SET_H
#define PAGER_DEVICE_SET_H

#include "chan.h"

struct device_range {
	uint64_t start, end;
	struct fd_note file;
};

struct device_set {
	struct device_range *ranges; /* in no order, disjoint */
	size_t count, capacity;      /* count <= capacity */
};

void device_set_init(struct device_set *set);
void device_set_fini(struct device_set *set);
/* Makes room for `more` changes. => 0 or -ENOMEM */
int device_set_reserve(struct device_set *set, size_t more);
/* => room was reserved */
void device_set_add(struct device_set *set, const struct device_range *range);
/* Takes the range out, however many parts of the set it is of. => room for 1 was reserved */
void device_set_remove(struct device_set *set, uint64_t start, uint64_t end);
/* Whether all of [start, end) is in the set. */
bool device_set_contains(const struct device_set *set, uint64_t start, uint64_t end);

#endif
