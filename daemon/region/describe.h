/* SPDX-License-Identifier: MIT
 *
 * What a task's memory is, in words of the protocol. Runs on: the control loop, or jobs where pages
 * are walked. No lock held.
 */
#ifndef DESCRIBE_H
#define DESCRIBE_H

#include "pager/proto.h"
#include "region/range.h"

#define REGION_DEPTH_MAX 1u /* a submap has regions, and no submaps */

/* A map entry, or the part of one that a region of a submap covers. */
struct region {
	struct vm_entry entry; /* a copy; with a reference on its mapping */
	uint32_t depth;        /* submaps around it */
	bool is_submap;        /* it is one, and is not gone into */
};

/* The region at or above the address. depth: how many submaps to go into. => false: there is none;
 * no lock held, here and below */
bool region_at(struct task *task, uint64_t address, uint32_t depth, struct region *ret);
/* All but what its pages are. */
struct pager_wire_region region_describe(const struct region *region);
/* Counts a piece of its pages into *ret, from *done bytes into it; those of a submap it leaves to
 * the regions in it. Adds what that takes to *work (region/piece.h). => whether it has got to the
 * end */
bool region_count(
    const struct region *region, uint64_t *done, unsigned *work, struct pager_wire_region *ret);
/* is_wired: the entry is that it is looked at through. => PAGER_PAGE_* of a page */
uint32_t page_disposition(struct vm_object *o, uint64_t index, bool is_wired);
/* The task's ledger, its balances of one moment. */
void task_statistics(struct task *task, struct pager_statistics *ret);
void task_describe(struct task *task, struct pager_wire_client *ret);

#endif
