/* SPDX-License-Identifier: MIT
 *
 * Tasks: client processes. All sessions of a process share its limit. A task is there as long as it
 * has a session, and, if it has a limit, as long as its process lives, so that the limit holds for
 * the sessions to come as well.
 */
#ifndef TASK_H
#define TASK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "atomics.h"
#include "lock.h"

struct daemon;

struct task {
	struct task *next;      /* under the lock of struct tasks */
	atomic_uint references; /* likewise to write, (A) to look at: sessions */
	pid_t pid;              /* (C) as the daemon sees it; 0: in another pid namespace */
	int pidfd;              /* (C) its own; -1: none */
	uint64_t identity;      /* (C) of the process, never used again; 0: the kernel gives none */
	atomic_ullong limit_pages; /* (A) hard limit on resident pages; 0: none */
	atomic_llong resident;     /* (Q) to write, (A) to look at: pages of all its sessions */
	atomic_ullong wired_bytes; /* (A) that its sessions have been promised */
	atomic_uint limit_parked;  /* (A) faults that wait for its own pages to leave */
};

struct tasks {
	struct lock lock; /* covers the list; leaf */
	struct task *list;
};

void tasks_create(struct daemon *d);
void tasks_destroy(struct daemon *d);
/* The task of a process, with a reference. pidfd: of it, -1: not known; stays the caller's. =>
 * NULL: no memory */
struct task *task_get(struct daemon *d, pid_t pid, int pidfd);
void task_put(struct daemon *d, struct task *task);
/* Sets the limit of a process that may have no session now. => false: none with a limit is
 * remembered */
bool task_limit_set(struct daemon *d, pid_t pid, uint64_t pages, uint64_t *ret_previous);
/* Those without a session whose process has ended go. Runs on: the control loop, now and then */
void tasks_sweep(struct daemon *d);
/* Whether `more` pages would be too many. */
static inline bool
task_over_limit(const struct task *task, uint64_t more)
{
	struct task *t = (struct task *)(uintptr_t)task;
	uint64_t limit = load_relaxed(&t->limit_pages);

	return limit && (uint64_t)load_relaxed(&t->resident) + more > limit;
}
/* => pages that it may still take; UINT32_MAX: without a limit, or more */
uint32_t task_room(const struct task *task);

#endif
