/* SPDX-License-Identifier: MIT
 *
 * The page that a fault is about.
 */
#ifndef TARGET_H
#define TARGET_H

#include "memorystatus/frame_wait.h"
#include "vm/vm_object.h"

/* What the map says about the faulting address. */
struct target {
	struct vm_object *object; /* with a reference */
	uint64_t base;            /* where the task sees the object (struct vm_mapping) */
	uint32_t seen_by;         /* the mapping's number */
	bool is_read_only;        /* likewise; or its region of a submap may only be read */
	uint64_t index;
	uint64_t low, high; /* pages of the object that this region maps, of a submap within one
			       of its regions: [low, high) */
	uint32_t behavior;
	bool wired;
	unsigned want; /* pages to bring in, the faulting one included */
	int direction; /* of the run: 1 or -1 */
	/* The page is seen at the place of page `copy_index` of a copy, as pages of the object are
	 * at those of the pages copy_shift below (vm/window.h). With a reference; NULL: it is not
	 */
	struct vm_object *copy;
	uint64_t copy_index, copy_shift;
};

enum target_found {
	TARGET_UNKNOWN,   /* there is no region */
	TARGET_FORBIDDEN, /* the object is a submap, which does not allow the touch */
	TARGET_HELD,      /* a write, while the client forks: it is woken when that is over */
	TARGET_OPENS,     /* a copy's page that is not mapped there must be: shown_ask */
	TARGET_ASKED,     /* likewise, and the client's agent has been asked: it is woken */
	TARGET_FOUND,     /* with O taken, and a reference on the object */
};

/* Looks the fault's address up. O is taken while the map, and a submap, still say that the page
 * belongs to the region, so that a region being given back is either seen here or discarded after
 * the fault (doc/locking.md). Called with no lock held */
enum target_found target_find(struct daemon *d, const struct fault *f, struct target *ret);
/* Where the task sees page `index` of the object. */
static inline uint64_t
target_address(const struct target *t, uint64_t index)
{
	INVARIANT(index >= t->low && index < t->high);
	return t->base + (index << t->object->daemon->page_shift);
}

#endif
