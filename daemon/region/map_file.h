/* SPDX-License-Identifier: MIT
 *
 * MAP_FILE: a part of a file gets a range.
 */
#ifndef MAP_FILE_H
#define MAP_FILE_H

#include "region/range.h"
#include "vm/books.h"

struct vnode;

/* Puts the file's bytes from `offset` on, which is a multiple of the page size, into the map: as
 * much of the range as one object of the file covers, which is moved past. *ret: a copy of the
 * entry, whose object stays as long as the range does. => 0, -EEXIST (the range is not free),
 * -ENOMEM, or as vnode_get. It may wait for the file system. Runs on: jobs, no lock held */
int region_map_file(
    struct range *range, int fd, uint64_t offset, bool is_writable, struct vm_entry *ret);

/* A piece of the range, which is anonymous memory (region_copy_check_destination), follows the file
 * from `offset` on, which is that of range->at: it has what the file has until it is written. The
 * range is moved behind it. => 0; -EINVAL: some of it is not allocated; or as vnode_get and
 * vm_object_follow_range. It may wait for the file system. Runs on: jobs, no lock held */
int region_copy_file(struct range *range, int fd, uint64_t offset);
/* The same of a file of which the caller has a reference. file_pages: in the file now, or 0. */
int region_copy_vnode(struct range *range, struct vnode *v, uint64_t offset, uint64_t file_pages);

#endif
