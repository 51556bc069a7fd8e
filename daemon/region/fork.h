/* SPDX-License-Identifier: MIT
 *
 * What a forked child gets of its parent's map, by the inheritance of each region. Runs on: jobs of
 * the parent, no lock held.
 */
#ifndef REGION_FORK_H
#define REGION_FORK_H

#include "daemon.h"
#include "pager/proto.h"
#include "vm/books.h"

/* Ranges of the parent that are not copied here. With a keeper that is all that is not shared, and
 * zeroes are told apart (PAGER_FORK_ZEROES). */
struct fork_physical {
	struct pager_wire_range *ranges; /* room for PAGER_FORK_PHYSICAL_MAX; ascending */
	unsigned count;
};

/* Fills the child's map, which is empty. The parent's writes wait (pmap/barrier.h). Memory that
 * only the parent sees is copied, and shareable memory that is to be copied, too; the rest of
 * what is shareable is mapped by the child as well, files and submaps among it. Devices, and what
 * a page list covers, the child does not get. Wired memory, and what else the copy machinery does
 * not take, goes into *ret: it is write-protected, and the child's part of it is zeroes. => 0;
 * -E2BIG: that would be too many ranges; -ENOMEM, -EMFILE, or what share_take says: the child's map
 * has a part of it, which the caller gives up */
int region_fork(struct task *parent, struct task *child, struct fork_physical *ret);

#endif
