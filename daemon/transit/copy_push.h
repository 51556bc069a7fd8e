/* SPDX-License-Identifier: MIT
 *
 * Content goes up: before a page changes or goes, the copy above it that lacks it gets what it has
 * (vm/copy_link.h). Only one copy is told, since what is above that one looks there.
 *
 *   the page that lacks     what is below it             what happens
 *   DUP                     anything                     it is its own from now on, where it is
 *   ABSENT                  clean, with a stored copy    it gets the copy's handle: STORED
 *   ABSENT                  stored (jobs)                likewise
 *   ABSENT                  about to be filled with      it gets the handle of zeroes
 *                           zeroes for the first time
 *   ABSENT                  dirty, or DUP itself         the content is compressed: STORED
 *   ABSENT                  poisoned (jobs)              POISONED
 *
 * No call is made on the copy's memory, whose locks its client could hold: content goes to the
 * store (store_keep), of which the holder gets it as any page that has left.
 *
 * What comes into the copy is billed to its owner, whose limits are not asked: a thread that writes
 * waits for no other client's pages to leave. But where the copy is the writer's own, its fatal
 * limit on the footprint is. Where the store has no room it waits for a frame, as a first touch
 * does.
 */
#ifndef COPY_PUSH_H
#define COPY_PUSH_H

#include "core/stats.h"
#include "vm/vm_object.h"

enum copy_pushed {
	COPY_PUSHED,   /* nothing lacks the page: it may change */
	COPY_BUSY,     /* the page above is in transit; whoever has it wakes those who wait for the
			  page below */
	COPY_NO_FRAME, /* there is no memory for the content */
	COPY_OVER_LIMIT, /* the writer would have more than its fatal limit on the footprint: it is
			    ended; COPY_ON_WRITE and COPY_TO_WIRE */
	COPY_FAILED,     /* the page could not be read */
};

enum copy_manner {
	COPY_ON_WRITE,     /* any thread: nothing is waited for */
	COPY_BY_JOB,       /* a page above that is busy is waited for: never COPY_BUSY */
	COPY_TO_WIRE,      /* likewise; the page will be written to */
	COPY_AS_IT_LEAVES, /* likewise; and any memory may be taken, since the page's own will be
			      free at once */
};
/* Of a page that the caller has busy. stats: the calling thread's; NULL: nothing is counted. page:
 * memory for one. => no lock held. What was clean may be
 * DIRTY, without a copy, afterwards. */
enum copy_pushed copy_push(const struct stat_shard *stats, struct vm_object *o, uint64_t index,
    void *page, enum copy_manner how);
/* The same of `count` pages that follow one another; pages: memory for all of them. direction: 1
 * from the first one upwards, or -1 from the last one downwards. Nothing is waited for. => how many
 * of them may change; no lock held */
unsigned copy_push_run(const struct stat_shard *stats, struct vm_object *o, uint64_t first,
    unsigned count, int direction, void *pages);
/* Of a page without a frame, in a hole of the calling job's. => whether something above has its
 * handle now, or its loss: it is to be ABSENT, without dropping that; jobs, no lock held */
bool copy_push_slot(const struct stat_shard *stats, struct vm_object *o, uint64_t index);
/* Of a page that is ABSENT, in a hole of the calling job's: it is STORED, with that content. =>
 * false: there is no memory; no lock held */
bool copy_keep(
    const struct stat_shard *stats, struct vm_object *o, uint64_t index, const void *content);
/* Of a page without a frame, in a hole of the calling job's: what is above gets that content, or
 * its loss; the page stays what it is. => false: there is no memory; no lock held */
bool copy_push_kept(
    const struct stat_shard *stats, struct vm_object *o, uint64_t index, void *content);

#endif
