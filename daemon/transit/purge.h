/* SPDX-License-Identifier: MIT
 *
 * Purgeable objects (vm/purgeable.h) are emptied, and change their state.
 *
 * An object goes whole or not at all. All of its pages are put into a hole, and the resident ones
 * made busy; then it becomes empty, its pages are punched, and the hole is closed. A thread that
 * touches a page that has been punched waits for the end of the hole, so whoever has seen a page
 * empty sees no page that is not; and a thread that has written to a page before that has written
 * to what is thrown away. A worker waits for nothing: where a page is in transit it leaves the
 * object as it is.
 */
#ifndef PURGE_H
#define PURGE_H

#include "core/stats.h"
#include "vm/vm_object.h"

enum purge_outcome {
	PURGE_DONE,
	PURGE_BUSY, /* a page is in transit: nothing has changed */
	PURGE_KEPT, /* the object is nonvolatile */
};
/* A volatile object becomes empty; one that is empty is emptied again. hole: the calling thread's,
 * not in use. waits: for pages in transit; jobs alone. *ret_pages: that had content. The
 * caller has named the client to the watch. => no lock held; a reference */
enum purge_outcome vm_object_purge(struct stat_shard stats, struct hole *hole, struct vm_object *o,
    bool waits, uint64_t *ret_pages);
/* The owner wants that state: word: as of PAGER_PURGEABLE_*. *ret_before: the one before. Waits
 * until the object is not being purged. record: where *ret_before is noted before anything changes;
 * NULL: nowhere. => 0; -EBUSY: some of it is wired, or in a page list. No lock held. Runs on: jobs
 */
int vm_object_purgeable_set(struct stat_shard stats, struct vm_object *o, uint32_t word,
    struct task_record *record, uint32_t *ret_before);
/* The state now. No lock held. Runs on: jobs */
uint32_t vm_object_purgeable_get(struct vm_object *o);

#endif
