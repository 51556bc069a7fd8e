/* SPDX-License-Identifier: MIT
 *
 * MAP_FILE: a part of a file gets a range.
 */
#ifndef MAP_FILE_H
#define MAP_FILE_H

#include "region/range.h"
#include "vm/books.h"

/* Puts the file's bytes from `offset` on, which is a multiple of the page size, into the map: as
 * much of the range as one object of the file covers, which is moved past. *ret: a copy of the
 * entry, whose object stays as long as the range does. => 0, -EEXIST (the range is not free),
 * -ENOMEM, or as vnode_get. It may wait for the file system. Runs on: jobs, no lock held */
int region_map_file(
    struct range *range, int fd, uint64_t offset, bool is_writable, struct vm_entry *ret);

#endif
