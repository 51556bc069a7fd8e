/* SPDX-License-Identifier: MIT
 *
 * WILLNEED: stored pages come into the memfd ahead of use, unmapped (SPECULATIVE), as far as frames
 * are free beyond what pageout wants. Runs on: jobs, which may wait for its own I/O channel.
 */
#ifndef PREFETCH_H
#define PREFETCH_H

#include "pagers/pager_types.h"
#include "core/watch.h"
#include "region/range.h"

int prefetch_create(struct daemon *d);
void prefetch_destroy(struct daemon *d);
/* The place of the thread of profiles, behind those of the jobs threads. */
#define PREFETCH_OF_PROFILES JOBS_THREADS

/* Memory for a page, of the jobs thread with that number. */
void *prefetch_page_of(struct daemon *d, unsigned place);
/* Puts the stored content of a page that the calling thread has FILLING into the memfd. place: of
 * the jobs thread. => whether it could; no lock held */
bool prefetch_content(struct daemon *d, unsigned place, struct vm_object *o, uint64_t index);
/* Expands a copy into the thread's memory for a page; it may be read from secondary storage. The
 * page is FILLING, or in a hole, by the calling thread. => OK; else it cannot be read now, or is
 * lost; no lock held */
enum pager_result prefetch_read(
    const struct vm_object *o, unsigned place, uint64_t index, struct cref copy);
/* An anonymous page of a task's own, by its address. */
struct prefetch_target {
	struct task *task;          /* kept by the caller */
	struct vm_mapping *mapping; /* with a reference */
	uint64_t index;             /* in its object */
};
/* => false: there is none, or none that may be brought in; no lock held, here and below */
bool prefetch_target_find(struct task *task, uint64_t address, struct prefetch_target *ret);
void prefetch_target_put(struct prefetch_target *target);
/* Whether there is memory for pages of that task that nobody has asked for: what they take makes no
 * pageout necessary. */
bool prefetch_may(const struct daemon *d, const struct task *task);
enum prefetched {
	PREFETCH_DONE,
	PREFETCH_NOT,     /* it is there, or has no content, or cannot be read */
	PREFETCH_NO_ROOM, /* nor will others be brought in now */
};
/* Brings a stored page in, SPECULATIVE and mapped nowhere: for the policy it comes when it is
 * touched, which is a soft fault. place: of the calling thread */
enum prefetched prefetch_foreseen(const struct prefetch_target *target, unsigned place);
/* Brings the stored pages of a piece in. => pages; no lock held */
uint64_t region_prefetch(struct range *range);

#endif
