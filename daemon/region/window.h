/* SPDX-License-Identifier: MIT
 *
 * Requests about windows (vm/window.h).
 *
 * A window is opened, a block at a time, by the client's agent, or by a thread that needs it:
 *
 *   WINDOW_OPEN: the block's pages become resident, the copy's own, dirty and wired -> their memory
 * is mapped over what is shown there, and registered -> WINDOW_DONE: they are open, and wired no
 * more
 *
 * In between, a thread that touches them has them without a fault, or waits. Nothing else of the
 * client's happens in between that would give them back: the library holds its change_lock. If it
 * does not, or the second message never comes, only that client has the harm: a block of its own
 * stays wired.
 *
 * Runs on: jobs, no lock held.
 */
#ifndef REGION_WINDOW_H
#define REGION_WINDOW_H

#include "region/range.h"

/* What is to be mapped. */
struct shown {
	struct vm_object *source; /* with a reference */
	uint64_t bytes, offset;
};

/* A window for the first part of the range. => 0, and what is to be mapped there; -EOPNOTSUPP:
 * there is nothing that could be shown; -EINVAL: it is not allocated; -ENOMEM */
int region_share_reads(struct range *range, struct shown *ret);
/* The same for the first large region at or above the range's start; the range becomes what of it
 * there is. => also -ENOENT: there is none */
int region_fork_share(struct range *range, struct shown *ret, uint32_t *ret_protection);
/* What of the client's stands where. */
struct window_part {
	struct vm_mapping *mapping; /* with a reference */
	uint64_t first, end;        /* pages that come together */
	uint64_t address;           /* of the first */
	uint32_t protection;
	bool is_wired; /* the client has wired it */
};
/* => false: the page at the address is in no window, or open */
bool region_window_find(const struct range *range, struct window_part *ret);
/* Pages [first + done, end) of the part become wired, one after the other. => how many of the part
 * are; fewer than all: there is no frame now */
uint64_t region_window_wire(
    const struct range *range, const struct window_part *part, uint64_t done);
/* A piece of the range is open, or as it was before; range->at moves on. */
void region_window_done(struct range *range, bool is_mapped);

#endif
