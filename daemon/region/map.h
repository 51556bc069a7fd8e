/* SPDX-License-Identifier: MIT
 *
 * MAKE_ENTRY and MAP_ENTRY: a range gets a name, and pages under a name get a range.
 */
#ifndef MAP_H
#define MAP_H

#include "region/range.h"
#include "vm/named_entry.h"

/* The pages of a range that can have a name. *ret: with a reference on the object. => 0; -EINVAL:
 * not all of the range is allocated, or it is not all of one object; -ENOTSUP: it was not allocated
 * to be shared, or is only a part of the allocation; -EACCES: the task may not do with it what the
 * name is to allow. No lock held */
int region_name(struct range *range, bool is_writable, struct named_range *ret);
/* Puts pages from `first` on into the map. The range is as long as they are. *ret: a copy of the
 * entry, whose object stays as long as the range does. => 0, -EEXIST (the range is not free),
 * -EBADF (the name has ended meanwhile), -ENOMEM (also: the client or the object has its share).
 * Runs on: jobs, no lock held */
int region_map(struct range *range, const struct named_range *name, uint64_t first,
    bool is_read_only, struct vm_entry *ret);

/* The name is gone: a piece of what it has covered is discarded, as far as nobody else covers it.
 * *at: pages below are done. *ret_pages: pages that are gone. => whether there is more. Runs on:
 * jobs, no lock held */
bool region_name_gone(const struct named_range *name, uint64_t *at, uint64_t *ret_pages);

#endif
