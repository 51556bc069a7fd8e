/* SPDX-License-Identifier: MIT
 *
 * Changes of the entries of a range, all or none.
 */
#ifndef CHANGE_H
#define CHANGE_H

#include "region/range.h"

/* The map is locked while these are called. */
struct change {
	struct range *range;
	int (*check)(struct change *c, const struct vm_entry *e); /* or NULL. => 0 or -errno */
	int (*agree)(struct change *c); /* or NULL: when nothing else can fail. => 0 or -errno */
	void (*apply)(struct change *c, struct vm_entry *e);
	uint32_t value;       /* what an attribute becomes */
	uint64_t wired_bytes; /* added to what is promised to be wired */
};

/* Entry by entry. => 0, -EINVAL (not all of the range is allocated), -ENOMEM (also: the change
 * would part entries, and the client may not have more), or what check or agree says: nothing has
 * changed then. No lock held */
int change_entries(struct change *c);

#endif
