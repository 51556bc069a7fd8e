/* SPDX-License-Identifier: MIT
 *
 * Processes: client processes. All tasks of a process share its limit. A process is there as long
 * as it has a task, and, if it has a limit, as long as its process lives, so that the limit holds
 * for the tasks to come as well.
 */
#ifndef PROCESS_H
#define PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "atomics.h"
#include "check.h"
#include "lock.h"

struct daemon;

struct process {
	struct process *next;   /* under the lock of struct processes */
	atomic_uint references; /* likewise to write, (A) to look at: tasks */
	pid_t pid;              /* (C) as the daemon sees it; 0: in another pid namespace */
	int pidfd;              /* (C) its own; -1: none */
	uint64_t identity;      /* (C) of the process, never used again; 0: the kernel gives none */
	atomic_ullong limit_pages; /* (A) hard limit on resident pages; 0: none */
	atomic_llong resident;     /* (Q) to write, (A) to look at: pages of all its tasks */
	atomic_llong wired; /* (Q) to write, (A) to look at: of these, pages that are wired */
	atomic_ullong wired_promised; /* (A) pages that its tasks may have wired */
	atomic_uint limit_parked;     /* (A) faults that wait for its own pages to leave */
};

struct processes {
	struct lock lock; /* covers the list; leaf */
	struct process *list;
};

void processes_create(struct daemon *d);
void processes_destroy(struct daemon *d);
/* The process of a process, with a reference. pidfd: of it, -1: not known; stays the caller's. =>
 * NULL: no memory */
struct process *process_get(struct daemon *d, pid_t pid, int pidfd);
void process_put(struct daemon *d, struct process *process);
/* Sets the limit of a process that may have no task now. => false: none with a limit is
 * remembered */
bool process_limit_set(struct daemon *d, pid_t pid, uint64_t pages, uint64_t *ret_previous);
/* Those without a task whose process has ended go. Runs on: the control loop, now and then */
void processes_sweep(struct daemon *d);
/* Pages that count for its limit. What others have wired of its objects does not: it could do
 * nothing to make these leave. */
static inline uint64_t
process_counted(const struct process *process)
{
	struct process *t = (struct process *)(uintptr_t)process;
	long long resident = load_relaxed(&t->resident);
	long long others = load_relaxed(&t->wired) - (long long)load_relaxed(&t->wired_promised);

	INVARIANT(resident >= 0);
	if (others > 0)
		resident = others < resident ? resident - others : 0;
	return (uint64_t)resident;
}
/* Whether `more` pages would be too many. */
static inline bool
process_over_limit(const struct process *process, uint64_t more)
{
	struct process *t = (struct process *)(uintptr_t)process;
	uint64_t limit = load_relaxed(&t->limit_pages);

	return limit && process_counted(process) + more > limit;
}
/* => pages that it may still take; UINT32_MAX: without a limit, or more */
uint32_t process_room(const struct process *process);

#endif
