/* SPDX-License-Identifier: MIT
 *
 * Clean pages leave because their pager has them, and perhaps something newer.
 */
#ifndef DROP_H
#define DROP_H

#include "core/stats.h"
#include "vm/vm_object.h"

/* The clean pages of [low, high) leave. hole: the calling thread's, not in use. *ret_busy: some
 * were in transit. => how many have left; no lock held */
uint64_t vm_object_drop_clean(struct stat_shard stats, struct hole *hole, struct vm_object *o,
    uint64_t low, uint64_t high, bool *ret_busy);

#endif
