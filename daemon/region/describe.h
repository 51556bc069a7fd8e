/* SPDX-License-Identifier: MIT
 *
 * What a task's memory is, in words of the protocol. Runs on: the control loop, or jobs where pages
 * are walked. No lock held.
 */
#ifndef DESCRIBE_H
#define DESCRIBE_H

#include "pager/proto.h"
#include "region/range.h"

/* An entry, all but what its pages are. No lock held */
struct pager_wire_region region_describe(const struct vm_entry *e);
/* Counts a piece of its pages into *ret, from *done bytes into it. Adds what that takes to *work
 * (region/piece.h). => whether it has got to the end */
bool region_count(
    const struct vm_entry *e, uint64_t *done, unsigned *work, struct pager_wire_region *ret);
/* => PAGER_PAGE_* of a page */
uint32_t page_disposition(struct vm_object *o, uint64_t index);
/* The task's ledger, its balances of one moment. */
void task_statistics(struct task *task, struct pager_statistics *ret);
void task_describe(struct task *task, struct pager_wire_client *ret);

#endif
