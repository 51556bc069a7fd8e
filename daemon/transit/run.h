/* SPDX-License-Identifier: MIT
 *
 * Fills: consecutive pages that one operation brings into memory, from taking their frames until
 * each is ACTIVE, back where it was, or lost. Their content is put in place by transit/put.h.
 */
#ifndef RUN_H
#define RUN_H

#include "core/stats.h"
#include "pagers/pager_types.h"
#include "vm/frame_use.h"
#include "vm/vm_object.h"
#include "vm/vm_page.h"

#define FAULT_CLUSTER_MAX PAGER_READ_MAX

/* The pages of one fill: consecutive, busy by the calling thread, FILLING. */
struct fill {
	struct vm_object *object; /* with a reference */
	struct task *task;        /* for which they are filled; kept by the caller */
	uint64_t base;            /* where the task sees the object (struct vm_mapping) */
	bool is_read_only;        /* likewise: vm_mapping.h */
	uint64_t index;           /* of the first page, in the object */
	unsigned count;           /* pages */
	unsigned first;           /* of the page that faulted, in the fill */
	enum door door;   /* by which its pages come; DOOR_FAULT where a thread touched one */
	bool write;       /* the fault is a write */
	bool wired;       /* the range is wired: the pages become WIRED */
	bool from_below;  /* they are copies (vm/copy_link.h): their content is what is
			     below; set by fill_begin */
	bool sequential;  /* the thread is on a run: stored copies are kept */
	uint32_t seen_by; /* where several see the object: the number of the mapping through
			     which they are put into page tables, SEEN_BY_* */
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
	RUN_NO_FRAME,   /* no frame is free for this use */
	RUN_NO_TABLE,   /* the client may have no more table memory */
	RUN_OVER_LIMIT, /* pages of the client's own must leave first */
	RUN_BUSY,       /* the page lies in a hole, whose owner will wake the range */
};
/* Takes frames for up to `want` pages of one kind, ABSENT or STORED, from `index` on (direction:
 * upwards if positive, else downwards) and makes them FILLING. The caller has set task, base,
 * is_read_only and door of *ret, sets write, wired and sequential afterwards, and seen_by
 * if it knows it. => O held */
enum run_begun fill_begin(struct daemon *d, struct vm_object *o, uint64_t index, unsigned want,
    int direction, enum frame_use use, struct fill *ret);
/* FILLING -> `to` (ACTIVE, which is WIRED where the range is wired, or SPECULATIVE) for the first
 * `count` pages; the rest is aborted. Of pages that are `protected` from writes the copies are
 * kept; the others give theirs up. Drops the fill's reference. stats: the calling thread's; NULL:
 * nothing is counted. => no lock held */
void fill_finish(const struct stat_shard *stats, struct fill *fill, unsigned count,
    enum page_state to, bool protected);
/* Pages [from, count) go back to what they were, and their threads fault again. The fill keeps its
 * reference. => no lock held */
void fill_abort(struct daemon *d, struct fill *fill, unsigned from);
/* All pages go back to what they were, and the fault is kept: only other threads, which have met
 * the pages busy, are woken. => no lock held */
void fill_defer(struct daemon *d, struct fill *fill);
/* The first `count` pages, all below the one that faulted, go back to what they were. => no lock
 * held */
void fill_drop_front(struct daemon *d, struct fill *fill, unsigned count);
/* The copy of page i cannot be read: the page becomes POISONED, and touching it is SIGBUS. The
 * caller aborts the other pages. is_own: the fill's address is where its task sees this page, and
 * poison goes there; else the task sees a copy's page there, which is another one, and its thread
 * is woken to find out. hole: the calling thread's, not in use. => no lock held */
void fill_lost(
    struct stat_shard stats, struct hole *hole, struct fill *fill, unsigned i, bool is_own);
/* Whether the clean pages of a fill keep their copies. Any thread */
bool fill_retains(struct daemon *d, const struct fill *fill);

#endif
