/* SPDX-License-Identifier: MIT
 *
 * WIRE and UNWIRE: ranges whose pages stay resident. The limits are on what may become wired,
 * touched or not: a promise counts from WIRE on, until the pages have gone.
 */
#ifndef WIRE_H
#define WIRE_H

#include "region/range.h"

/* The entries are wired once more. => 0, -EINVAL, -ENOMEM, -EACCES (the task may only read it by
 * its name, or not even read it by its protection), or -EAGAIN: the limit on wired memory, or the
 * user's share of it, is reached. Runs on: jobs, no lock held */
int region_wire_begin(struct range *range);
/* Wires the resident pages of a piece; others become wired when they are touched. => pages */
uint64_t region_wire(struct range *range);
/* The entries are wired once less. => 0, -ENOMEM, or -EINVAL: not all of the range is wired */
int region_unwire_begin(struct range *range);
/* Unwires the pages of a piece that no entry keeps wired. => pages */
uint64_t region_unwire(struct range *range);
/* Entries that saw pages [first, last) are no more: the pages are unwired, but for those that other
 * mappings keep. No lock held, here and below */
void mapping_unwire(struct vm_mapping *m, uint64_t first, uint64_t last);
/* If the mapping has no wired entry any more, pages are unwired that are wired only because it had.
 */
void mapping_leftovers_unwire(struct vm_mapping *m);

#endif
