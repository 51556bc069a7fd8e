/* SPDX-License-Identifier: MIT
 *
 * WIRE and UNWIRE: ranges whose pages stay resident. The limits are on what may become wired,
 * touched or not: a promise counts from WIRE on, until the pages have gone.
 */
#ifndef WIRE_H
#define WIRE_H

#include "region/range.h"

/* The entries are wired once more. => 0, -EINVAL, -ENOMEM, -EACCES (the task may only read it by
 * its name, or not even read it by its protection), -EBUSY (page_list_around), or -EAGAIN:
 * the limit on wired memory, or the user's share of it, is reached. Runs on: jobs, no lock held */
int region_wire_begin(struct range *range);
/* Wires the resident pages of a piece; others become wired when they are touched. => pages */
uint64_t region_wire(struct range *range);
/* A resident page of the mapping becomes wired. => false: it is not resident, or what a copy lacks
 * of it could not be put there. No lock held */
bool page_wire(const struct range *range, const struct vm_mapping *m, uint64_t index);
/* The entries are wired once less. => 0, -ENOMEM, -EINVAL: not all of the range is wired, or
 * -EBUSY: some of it is pinned, or page_list_around */
int region_unwire_begin(struct range *range);
/* Unwires the pages of a piece that no entry keeps wired. => pages */
uint64_t region_unwire(struct range *range);
/* As region_wire_begin, and the entries are pinned: what a device may be at work on. They cannot be
 * unwired, given back or discarded until they are unpinned; their client's end unpins them.
 * direction: enum pager_direction. => as region_wire_begin; -EACCES: the protection does not allow
 * the direction. region_wire follows */
int region_pin_begin(struct range *range, uint32_t direction);
/* The entries are pinned once less. => 0, -ENOMEM, -EBUSY, or -EINVAL: not all of the range is
 * pinned. region_unwire follows */
int region_unpin_begin(struct range *range);
/* Whether somebody who maps pages [first, end) has pinned some of them. Another thread may be about
 * to. No lock held */
bool object_is_pinned(struct vm_object *o, uint64_t first, uint64_t end);
/* The part of a pinned range that begins where the range does and lies in one piece of one object.
 * *ret: as an entry that is no more than it, with a reference on the mapping. => 0 or -EINVAL: it
 * is not pinned there */
int region_pinned_part(const struct range *range, struct vm_entry *ret);
/* Entries that saw pages [first, last) are no more: the pages are unwired, but for those that other
 * mappings keep. No lock held, here and below */
void mapping_unwire(struct vm_mapping *m, uint64_t first, uint64_t last);
/* If the mapping has no wired entry any more, pages are unwired that are wired only because it had.
 */
void mapping_leftovers_unwire(struct vm_mapping *m);

#endif
