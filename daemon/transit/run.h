/* SPDX-License-Identifier: MIT
 *
 * Runs of pages that are filled by one operation, from their frames to their place in the memfd.
 */
#ifndef RUN_H
#define RUN_H

#include "core/stats.h"
#include "pagers/pager_types.h"
#include "vm/frame_use.h"
#include "vm/vm_object.h"
#include "vm/vm_page.h"

#define FAULT_CLUSTER_MAX PAGER_READ_MAX

/* Pages being filled by one operation: consecutive, busy, FILLING. */
struct fill {
	struct vm_object *object; /* with a reference */
	struct task *task;        /* for which they are filled; kept by the caller */
	uint64_t base;            /* where the task sees the object (struct vm_mapping) */
	uint64_t index;           /* of the first page */
	unsigned count;
	unsigned first; /* which of them faulted */
	bool write, wired;
	bool sequential; /* part of a run: copies are kept */
	uint32_t frames[FAULT_CLUSTER_MAX];
};

static inline struct vm_page *
fill_page(const struct fill *fill, unsigned i)
{
	return &fill->object->daemon->frames.pages[fill->frames[i]];
}

static inline uint64_t
fill_address(const struct fill *fill, unsigned i)
{
	return fill->base + ((fill->index + i) << fill->object->daemon->page_shift);
}

enum run_begun {
	RUN_BEGUN,
	RUN_NO_FRAME,   /* none is free for this use */
	RUN_NO_TABLE,   /* the client may have no more table memory */
	RUN_OVER_LIMIT, /* pages of the client's own must leave first */
	RUN_BUSY,       /* the page's neighbours are being taken away; the thread that does so wakes
			   it */
};
/* Takes frames for up to `want` pages of one kind from `index` on and makes them FILLING. The
 * caller has set task and base of *ret. => O held */
enum run_begun fill_begin(struct daemon *d, struct vm_object *o, uint64_t index, unsigned want,
    int direction, enum frame_use use, struct fill *ret);
/* FILLING -> ACTIVE (or `to`) for the first `count` pages; copies are kept or given up; the rest is
 * aborted. stats: the calling thread's; NULL: nothing is counted. No lock. */
void fill_finish(const struct stat_shard *stats, struct fill *fill, unsigned count,
    enum page_state to, bool protected);
/* Pages [from, count) go back to what they were; their threads fault again. Leaves the fill's
 * reference alone. */
void fill_abort(struct daemon *d, struct fill *fill, unsigned from);
/* All of them, and the fault is kept: only who else has met them busy is woken. */
void fill_defer(struct daemon *d, struct fill *fill);
/* The first `count` pages, all below the one that faulted, go back to what they were. */
void fill_drop_front(struct daemon *d, struct fill *fill, unsigned count);
/* The copy of page i cannot be read: it becomes POISONED, and whoever touches it gets SIGBUS. hole:
 * of the calling thread, not in use. */
void fill_lost(struct stat_shard stats, struct hole *hole, struct fill *fill, unsigned i);
/* Whether clean pages keep their copy in memory. */
bool fill_retains(struct daemon *d, const struct fill *fill);

#endif
