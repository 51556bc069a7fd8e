/* SPDX-License-Identifier: MIT
 *
 * ALLOCATE and DEALLOCATE: ranges of a task's map come and go, with the objects behind them.
 */
#ifndef ALLOCATE_H
#define ALLOCATE_H

#include "region/range.h"

/* Puts the range into the map, in an object that exists or a new one. flags: PAGER_WIRE_ALLOC_*,
 * each of which is for an object of its own. *ret: a copy of its entry, whose object stays as long
 * as the range does. => 0, -EEXIST (not free) or -ENOMEM (also: the client has its share). Runs on:
 * the control loop, which alone allocates. */
int region_allocate(struct range *range, uint32_t flags, struct vm_entry *ret);
/* Whether all of the range is allocated in one entry, as by region_allocate, whose *ret that is. No
 * lock held */
bool region_is_allocated(struct range *range, struct vm_entry *ret);
/* All of the range is the task's, and is parted from what lies around it. => 0, -EINVAL, -ENOMEM or
 * -EBUSY (some of it is pinned, or page_list_around): nothing has changed. No lock held */
int region_deallocate_begin(struct range *range);
/* Takes a piece of it out of the map and discards its pages. => pages that were there. Runs on:
 * jobs, no lock held */
uint64_t region_deallocate(struct range *range);
/* The task has ended: gives back a piece of all that it has. => whether there is more. Runs on:
 * jobs, no lock held */
bool region_give_up(struct task *task);

#endif
