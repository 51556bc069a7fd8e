/* SPDX-License-Identifier: MIT
 *
 * Changes of submaps: regions come and go, and what may be done with them. The books change first
 * (vm/submap.h), which is in force for all faults at once; then the pages leave the page tables of
 * all who map them, piece by piece. When the last piece is done no process can touch what it may
 * not, whether it runs or is stopped.
 */
#ifndef SUBMAP_CHANGE_H
#define SUBMAP_CHANGE_H

#include "core/stats.h"
#include "vm/submap.h"

/* A change that is carried out in pieces, on pages [first, end) of the object. */
struct submap_change {
	struct vm_object *object;
	struct stat_shard stats; /* the calling thread's */
	unsigned place;          /* of the calling jobs thread in d->prefetch */
	uint64_t first, end;
	uint64_t at;    /* [first, at) is done */
	uint64_t pages; /* of this piece: that are gone */
};

/* As submap_add, and threads that were waiting there go on. No lock held, here and below. Runs on:
 * jobs */
int region_submap_add(struct vm_object *o, const struct submap_place *place, uint32_t protection,
    uint32_t tag, uint64_t *ret_first);
/* As submap_remove, or -EBUSY: some of it is pinned; region_submap_discard follows until all is
 * done. */
int region_submap_remove(struct submap_change *c);
/* Discards a piece. */
void region_submap_discard(struct submap_change *c);
/* As submap_protect, or -EBUSY: it may not be read any more, and some of it is pinned;
 * region_submap_lower follows until all is done. */
int region_submap_protect(struct submap_change *c, uint32_t protection, bool is_maximum);
/* Takes rights that the regions lack from the pages of a piece. */
void region_submap_lower(struct submap_change *c);

#endif
