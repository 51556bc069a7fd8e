/* SPDX-License-Identifier: MIT
 *
 * PURGEABLE: the state of purgeable memory, by an address of it. It is the whole object's, also
 * where a task maps, or has kept, a part of it. Runs on: jobs, no lock held.
 */
#ifndef REGION_PURGEABLE_H
#define REGION_PURGEABLE_H

#include "region/range.h"

/* word: as of PAGER_PURGEABLE_*, NULL: only the state is asked for. *ret: the state, before a
 * change. => 0, -EINVAL (no purgeable memory; no such state), -EACCES, or as
 * vm_object_purgeable_set */
int region_purgeable(struct task *task, struct stat_shard stats, uint64_t address,
    const uint32_t *word, uint32_t *ret);
/* The task's volatile objects from *cursor (an address) on become empty, a piece at a time. =>
 * whether there is more */
bool region_purge_all(struct task *task, struct stat_shard stats, uint64_t *cursor);

#endif
